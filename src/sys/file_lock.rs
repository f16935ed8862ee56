//! Locks of parts of a file, between processes: those of open file descriptions, fcntl(2).
//!
//! Contract: a lock belongs to a description, and ends with it: at its last close, or when the processes that have it
//! end. Descriptors that were duplicated or inherited share their description; [`reopen`] makes another one. No call
//! waits. Nothing is allocated.

use super::file::{Access, Errno, File, Outcome, retry};
use core::ffi::c_int;
use core::fmt::Write;

/// How a part of a file is locked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Others may share it.
    Shared = libc::F_RDLCK as isize,
    /// Nobody else has any lock on the part. The descriptor may write.
    Exclusive = libc::F_WRLCK as isize,
}

/// Bytes of a file that one lock covers. They need not exist.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// The first one.
    pub start: i64,
    /// How many; 0: all from there on.
    pub bytes: i64,
}

fn call(file: &File, command: c_int, kind: c_int, part: Part) -> Outcome<libc::flock> {
    // SAFETY: all zero is a valid value.
    let mut lock: libc::flock = unsafe { core::mem::zeroed() };
    (lock.l_type, lock.l_whence) = (kind as libc::c_short, libc::SEEK_SET as libc::c_short);
    (lock.l_start, lock.l_len) = (part.start, part.bytes);
    // SAFETY: a struct of ours.
    retry(|| unsafe { libc::fcntl(file.fd(), command, &raw mut lock) as isize })?;
    Ok(lock)
}

/// Locks a part for the file's description. False: another description has a lock that conflicts.
pub fn try_lock(file: &File, kind: Kind, part: Part) -> Outcome<bool> {
    match call(file, libc::F_OFD_SETLK, kind as c_int, part) {
        Ok(_) => Ok(true),
        Err(Errno(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Ends the locks of the file's description on a part.
pub fn unlock(file: &File, part: Part) -> Outcome<()> {
    call(file, libc::F_OFD_SETLK, libc::F_UNLCK, part).map(drop)
}

/// A lock of another description that keeps this one from locking a part. None: there is none. The system does not tell
/// whose it is.
pub fn conflict(file: &File, kind: Kind, part: Part) -> Outcome<Option<Part>> {
    let found = call(file, libc::F_OFD_GETLK, kind as c_int, part)?;
    let part = Part { start: found.l_start, bytes: found.l_len };
    Ok((c_int::from(found.l_type) != libc::F_UNLCK).then_some(part))
}

/// Whether the file's description, which may write, is the only one of the file in the system: no process has another
/// open, mapped, or on its way through a socket. False: one has, or the system does not tell. [`reopen`] made the
/// description; the system does not count that of memfd_create.
///
/// Source: the kernel grants a write lease (fcntl(2), F_SETLEASE) to the only description. Another process that opens
/// the file meanwhile, by /proc, breaks the lease, of which a signal tells: by default SIGIO, which ends the process.
/// The signal here is SIGURG, which does nothing by default.
pub fn is_only_description(file: &File) -> bool {
    const F_SETSIG: c_int = 10;
    // SAFETY: accesses no memory.
    let control = |command, argument: c_int| retry(|| unsafe { libc::fcntl(file.fd(), command, argument) as isize });
    if control(F_SETSIG, libc::SIGURG).is_err() || control(libc::F_SETLEASE, libc::F_WRLCK).is_err() {
        return false;
    }
    let is_whole = control(libc::F_GETLEASE, 0) == Ok(libc::F_WRLCK as isize);
    control(libc::F_SETLEASE, libc::F_UNLCK).is_ok() && is_whole
}

/// Opens the file of a descriptor again, for reading or for writing too: with a description of its own. ENOENT: the
/// system has no /proc.
pub fn reopen(file: &File, access: Access) -> Outcome<File> {
    let mut path = [0u8; 32];
    let mut text = Cursor { to: &mut path, at: 0 };
    let _ = write!(text, "/proc/self/fd/{}\0", file.fd());
    let path = core::ffi::CStr::from_bytes_until_nul(&path).map_err(|_| Errno(libc::EINVAL))?;
    let flags = match access {
        Access::Write => libc::O_RDWR,
        _ => libc::O_RDONLY,
    };
    File::open(None, path, flags, 0)
}

/// Writes a text into a buffer that is large enough for it.
struct Cursor<'a> {
    to: &'a mut [u8],
    at: usize,
}

impl Write for Cursor<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let end = self.at + text.len();
        self.to.get_mut(self.at..end).ok_or(core::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.at = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::memory_file;

    #[test]
    fn the_only_description_is_told_from_others() {
        let made = memory_file::create(c"test", 4096).unwrap();
        assert!(!is_only_description(&made), "the system does not count it");
        let file = reopen(&made, Access::Write).unwrap();
        drop(made);
        assert!(is_only_description(&file));
        for access in [Access::Read, Access::Write] {
            let other = reopen(&file, access).unwrap();
            assert!(!is_only_description(&file));
            let seen = other.map(4096, access).unwrap();
            drop(other);
            assert!(!is_only_description(&file), "a mapping keeps the description");
            // SAFETY: mapped above, and nobody has the address.
            unsafe { seen.unmap() };
            assert!(is_only_description(&file));
        }
        let copy = memory_file::duplicate(&file).unwrap();
        assert!(is_only_description(&file) && is_only_description(&copy), "one description");
        assert!(!is_only_description(&File::lent(-1)));
    }

    #[test]
    fn a_lock_belongs_to_a_description() {
        let file = memory_file::create(c"test", 4096).unwrap();
        let (one, far) = (Part { start: 0, bytes: 1 }, Part { start: 1 << 40, bytes: 8 });
        assert_eq!(try_lock(&file, Kind::Exclusive, one), Ok(true));
        let other = reopen(&file, Access::Read).unwrap();
        let copy = memory_file::duplicate(&file).unwrap();
        assert_eq!(conflict(&other, Kind::Shared, one), Ok(Some(one)));
        assert_eq!((conflict(&copy, Kind::Shared, one), try_lock(&other, Kind::Shared, one)), (Ok(None), Ok(false)));
        let third = Part { start: far.start + 3, bytes: 1 };
        assert_eq!(try_lock(&other, Kind::Shared, third), Ok(true));
        assert_eq!(conflict(&file, Kind::Exclusive, far), Ok(Some(third)));
        assert_eq!(conflict(&reopen(&file, Access::Read).unwrap(), Kind::Shared, far), Ok(None));
        assert_eq!(try_lock(&file, Kind::Exclusive, far), Ok(false));
        drop(other);
        assert_eq!(try_lock(&file, Kind::Exclusive, far), Ok(true));
        unlock(&file, far).unwrap();
        // The copy keeps the description, and so its lock.
        drop(file);
        let other = reopen(&copy, Access::Read).unwrap();
        assert_eq!(conflict(&other, Kind::Shared, one), Ok(Some(one)));
        drop(copy);
        assert_eq!(conflict(&other, Kind::Shared, one), Ok(None));
        assert_eq!(try_lock(&File::lent(-1), Kind::Shared, one), Err(Errno(libc::EBADF)));
    }
}
