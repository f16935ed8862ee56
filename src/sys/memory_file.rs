//! Files in memory, which processes share by their descriptors: memfd_create(2), and the seals of fcntl(2).
//!
//! Contract: a file never changes its size, and its pages are there where the system could refuse them later, so a
//! mapping of it never faults. A descriptor is closed by an exec, and the file has no name that another process could
//! open. Its last page is the library's: a [`Word`], which all processes that may write the file can change. Nothing is
//! allocated.

use super::file::{Errno, File, Outcome, retry};
use super::{machine, os};
use core::ffi::{CStr, c_int};
use core::sync::atomic::{AtomicU64, Ordering};

/// The size stays.
pub const FIXED_SIZE: c_int = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;
/// Nobody maps the file writable from now on, or writes it otherwise. Mappings that exist stay writable.
pub const NO_NEW_WRITERS: c_int = libc::F_SEAL_FUTURE_WRITE;

/// A new file of `bytes` bytes, whole pages, which read 0, and a page for its word, with the seal [`FIXED_SIZE`]. The
/// name is for /proc.
pub fn create(name: &CStr, bytes: usize) -> Outcome<File> {
    const FLAGS: libc::c_uint = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: a text with a NUL.
    let make = |flags| retry(|| unsafe { libc::memfd_create(name.as_ptr(), flags) as isize });
    // Linux before 6.3 does not know MFD_NOEXEC_SEAL.
    let fd = make(FLAGS | libc::MFD_NOEXEC_SEAL).or_else(|errno| match errno {
        Errno(libc::EINVAL) => make(FLAGS),
        errno => Err(errno),
    })?;
    let file = File::owned(fd as c_int);
    let bytes = bytes.checked_add(os::page_bytes()).and_then(|bytes| libc::off_t::try_from(bytes).ok());
    let bytes = bytes.ok_or(Errno(libc::EFBIG))?;
    // Linux gives everybody all rights, as far as they reach the file.
    file.set_permissions(0o600)?;
    file.set_len(bytes)?;
    // Otherwise the system counts pages as they are touched, and a touch that it refuses is a SIGBUS.
    if !machine::reserves_freely() {
        file.allocate(bytes)?;
    }
    seal(&file, FIXED_SIZE)?;
    Ok(file)
}

/// Adds seals. EPERM: the file has F_SEAL_SEAL, or may not be written; EINVAL: it cannot be sealed, or the system does
/// not know the seal.
pub fn seal(file: &File, seals: c_int) -> Outcome<()> {
    // SAFETY: accesses no memory.
    retry(|| unsafe { libc::fcntl(file.fd(), libc::F_ADD_SEALS, seals) as isize }).map(|_| ())
}

/// The seals of a file. EINVAL: it cannot have any.
pub fn seals(file: &File) -> Outcome<c_int> {
    // SAFETY: accesses no memory.
    retry(|| unsafe { libc::fcntl(file.fd(), libc::F_GET_SEALS) as isize }).map(|seals| seals as c_int)
}

/// Whether the file has the seal [`NO_NEW_WRITERS`].
pub fn has_no_new_writers(file: &File) -> bool {
    seals(file).is_ok_and(|seals| seals & NO_NEW_WRITERS != 0)
}

/// Whether the descriptor may read, and whether it may write.
pub fn access(file: &File) -> Outcome<(bool, bool)> {
    // SAFETY: accesses no memory.
    let flags = retry(|| unsafe { libc::fcntl(file.fd(), libc::F_GETFL) as isize })? as c_int;
    let mode = flags & libc::O_ACCMODE;
    let opened = flags & libc::O_PATH == 0;
    Ok((opened && mode != libc::O_WRONLY, opened && mode != libc::O_RDONLY))
}

/// Another descriptor of the file.
pub fn duplicate(file: &File) -> Outcome<File> {
    // SAFETY: accesses no memory.
    retry(|| unsafe { libc::fcntl(file.fd(), libc::F_DUPFD_CLOEXEC, 0) as isize }).map(|fd| File::owned(fd as c_int))
}

/// A number in the last page of a file, which several processes change. Its drop unmaps the page.
pub struct Word {
    page: *mut AtomicU64,
}

// SAFETY: the number is reached by atomic accesses only, from any thread.
unsafe impl Send for Word {}

impl Word {
    /// Maps the word of a file that has the seal against shrinking. EINVAL: the file is too small. EACCES, EPERM: it
    /// may not be written.
    pub fn of(file: &File) -> Outcome<Word> {
        let page = os::page_bytes();
        let start = file.stat()?.bytes.checked_sub(page as u64).filter(|start| start.is_multiple_of(page as u64));
        let start = start.and_then(|start| libc::off_t::try_from(start).ok()).ok_or(Errno(libc::EINVAL))?;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the system's choice.
        let at = unsafe { libc::mmap(core::ptr::null_mut(), page, protection, libc::MAP_SHARED, file.fd(), start) };
        if at == libc::MAP_FAILED { Err(Errno::last()) } else { Ok(Word { page: at.cast() }) }
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        // SAFETY: mapped as long as `self` lives, aligned to a page, and reached by atomic accesses only. Whatever
        // another process writes there is a number.
        unsafe { (*self.page).load(Ordering::Acquire) }
    }

    /// Replaces a value by the next one. False: it has another value, so another process was first.
    pub fn advance(&self, from: u64) -> bool {
        let next = from.wrapping_add(1);
        // SAFETY: as above.
        unsafe { (*self.page).compare_exchange(from, next, Ordering::AcqRel, Ordering::Acquire).is_ok() }
    }
}

impl Drop for Word {
    fn drop(&mut self) {
        // SAFETY: mapped by `of`, and nobody else has the address.
        unsafe { os::unmap(self.page as usize, os::page_bytes()) };
    }
}

/// Maps the file without its last page, writable, at a multiple of `alignment`, a power of two. `bytes`: the size that
/// it was created with.
pub fn map(file: &File, bytes: usize, alignment: usize) -> Outcome<usize> {
    let start = os::map(bytes, alignment).ok_or(Errno(libc::ENOMEM))?;
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_FIXED);
    // SAFETY: replaces the mapping made above, which nobody uses yet.
    let at = unsafe { libc::mmap(start as *mut _, bytes, protection, flags, file.fd(), 0) };
    if at == libc::MAP_FAILED {
        let errno = Errno::last();
        // SAFETY: mapped above and not used.
        unsafe { os::unmap(start, bytes) };
        return Err(errno);
    }
    Ok(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::file::Access;

    #[test]
    fn a_file_keeps_its_size_and_can_lose_its_writers() {
        let file = create(c"test", 8192).unwrap();
        assert_eq!(file.stat().unwrap().bytes, 8192 + os::page_bytes() as u64);
        assert_eq!(seals(&file).unwrap() & FIXED_SIZE, FIXED_SIZE);
        assert_eq!(access(&file), Ok((true, true)));
        let start = map(&file, 8192, 1 << 16).unwrap();
        assert!(start.is_multiple_of(1 << 16));
        // SAFETY: mapped above.
        unsafe { (start as *mut u8).write(7) };
        assert!(!has_no_new_writers(&file));
        seal(&file, NO_NEW_WRITERS).unwrap();
        assert!(has_no_new_writers(&file));
        let other = duplicate(&file).unwrap();
        assert_eq!(other.map(8192, Access::Write).unwrap_err(), Errno(libc::EPERM));
        let seen = other.map(8192, Access::Read).unwrap();
        // SAFETY: both mappings exist.
        unsafe {
            (start as *mut u8).write(8);
            assert_eq!(*seen.address, 8);
            seen.unmap();
            os::unmap(start, 8192);
        }
        assert_eq!(Word::of(&other).err(), Some(Errno(libc::EPERM)));
        assert_eq!(seals(&File::open(None, c"/", libc::O_RDONLY, 0).unwrap()), Err(Errno(libc::EINVAL)));
        assert_eq!(seals(&File::lent(-1)), Err(Errno(libc::EBADF)));
    }

    #[test]
    fn one_of_two_advances_the_word() {
        let file = create(c"test", 4096).unwrap();
        let (one, other) = (Word::of(&file).unwrap(), Word::of(&duplicate(&file).unwrap()).unwrap());
        assert_eq!((one.get(), one.advance(1)), (0, false));
        assert!(one.advance(0) && !other.advance(0));
        assert_eq!((one.get(), other.get()), (1, 1));
    }
}
