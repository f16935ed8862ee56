//! Files: owned descriptors, reads and writes at raw addresses, mappings, and the calls that replace one file by
//! another.
//!
//! Contract: a thin layer over the system calls, which repeats calls that a signal interrupted, and writes without a
//! signal that would end the program (`quiet`). It allocates nothing. Every failure is an [`Errno`]. The bytes of
//! arrays are passed as raw pointers, never as slices.

use super::cancellation::uncancelled;
use super::limits;
use super::quiet::without_signal;
use core::ffi::{CStr, c_char, c_int, c_uint, c_void};
use core::fmt;

/// The error of a system call; displayed as the system's message, with the limit that is its reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Errno(pub i32);

/// The result of a system call.
pub type Outcome<T> = core::result::Result<T, Errno>;

impl Errno {
    /// There is no memory.
    pub const NO_MEMORY: Errno = Errno(libc::ENOMEM);

    /// Whether the call would have had to wait.
    pub fn is_again(self) -> bool {
        self.0 == libc::EAGAIN || self.0 == libc::EWOULDBLOCK
    }

    pub(super) fn last() -> Errno {
        Errno(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
    }
}

impl Errno {
    /// The refusal of memory, if a limit of the process or the system may explain it.
    pub fn no_memory_by_limit() -> Option<Errno> {
        limits::of(libc::ENOMEM).map(|_| Errno::NO_MEMORY)
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; 128];
        // SAFETY: the buffer has the length that is passed; the call writes a NUL-terminated string, cut if it is too
        // long.
        let failed = unsafe { libc::strerror_r(self.0, text.as_mut_ptr().cast(), text.len()) };
        match CStr::from_bytes_until_nul(&text).ok().and_then(|text| text.to_str().ok()) {
            Some(text) if failed == 0 => f.write_str(text)?,
            _ => write!(f, "system error {}", self.0)?,
        }
        match limits::of(self.0) {
            Some(limit) => write!(f, " ({limit})"),
            None => Ok(()),
        }
    }
}

/// Repeats a call that a signal interrupted, and that is no cancellation point; a negative result is the errno.
pub(super) fn retry(mut call: impl FnMut() -> isize) -> Outcome<isize> {
    loop {
        let result = uncancelled(&mut call);
        if result >= 0 {
            return Ok(result);
        }
        let errno = Errno::last();
        if errno.0 != libc::EINTR {
            return Err(errno);
        }
    }
}

/// As [`retry`], for a call that writes or extends a file.
fn retry_quietly(mut call: impl FnMut() -> isize) -> Outcome<isize> {
    retry(|| without_signal(&mut call))
}

/// Repeats a call that writes a part of the bytes, from those on that are done, until it has written all.
fn write_all(bytes: usize, mut call: impl FnMut(usize) -> isize) -> Outcome<()> {
    let mut done = 0;
    while done < bytes {
        match retry_quietly(|| call(done))? {
            0 => return Err(Errno(libc::EIO)),
            n => done += n as usize,
        }
    }
    Ok(())
}

/// The properties of a file.
#[derive(Clone, Copy, Debug)]
pub struct Stat {
    /// The length in bytes, of a regular file.
    pub bytes: u64,
    /// The numbers of the file system and of the file, which no other existing file has.
    pub identity: (u64, u64),
    mode: libc::mode_t,
}

impl Stat {
    fn of(stat: &libc::stat) -> Stat {
        Stat { bytes: stat.st_size.max(0) as u64, identity: (stat.st_dev, stat.st_ino), mode: stat.st_mode }
    }
    /// Whether it is a regular file: no folder, pipe or device.
    pub fn is_regular(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFREG
    }
    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFDIR
    }
    /// Whether it is a symbolic link; only reported by [`stat_at`].
    pub fn is_link(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFLNK
    }
    /// The permission bits, without the kind of file.
    pub fn permissions(&self) -> u32 {
        self.mode & 0o777
    }
}

/// A mapped file; unmapped by [`Mapping::unmap`] only, because its owner is a ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mapping {
    /// The address of the file's first byte.
    pub address: *mut u8,
    /// The length in bytes.
    pub bytes: usize,
}

impl Mapping {
    /// Unmaps the file.
    ///
    /// # Safety
    /// - The mapping was made by [`File::map`], and is unmapped once.
    /// - Its bytes are not used again.
    pub unsafe fn unmap(self) {
        // SAFETY: the caller's obligation.
        let result = unsafe { libc::munmap(self.address.cast(), self.bytes) };
        // Fails only for an invalid range.
        debug_assert_eq!(result, 0);
    }
}

/// The kind of a mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Read-only; writes of others to the file are visible.
    Read,
    /// Writable; the file does not change.
    Private,
    /// Writable; writes change the file.
    Write,
}

/// An open file. Its drop closes it, unless the descriptor is the caller's.
#[derive(Debug)]
pub struct File {
    fd: c_int,
    lent: bool,
}

impl File {
    /// Opens `path` in `folder` (None: the working folder) with the flags of open(2). The descriptor is never inherited
    /// by another program, never becomes a terminal and never waits for the other end of a pipe.
    pub fn open(folder: Option<&File>, path: &CStr, flags: c_int, permissions: u32) -> Outcome<File> {
        let flags = flags | libc::O_CLOEXEC | libc::O_NOCTTY | libc::O_NONBLOCK;
        // SAFETY: `path` ends with a NUL.
        let fd =
            retry(|| unsafe { libc::openat(fd_of(folder), path.as_ptr(), flags, permissions as c_uint) as isize })?;
        Ok(File { fd: fd as c_int, lent: false })
    }

    /// A file with the caller's descriptor, which stays open.
    pub const fn lent(fd: c_int) -> File {
        File { fd, lent: true }
    }

    /// The file of a new descriptor, which its drop closes.
    pub fn owned(fd: c_int) -> File {
        File { fd, lent: false }
    }

    /// The descriptor's number.
    pub fn fd(&self) -> c_int {
        self.fd
    }

    /// The descriptor's number. The descriptor is the caller's from now on.
    pub fn into_fd(self) -> c_int {
        let fd = self.fd;
        core::mem::forget(self);
        fd
    }

    /// The properties of the file.
    pub fn stat(&self) -> Outcome<Stat> {
        let mut stat = core::mem::MaybeUninit::uninit();
        // SAFETY: a buffer for one stat.
        retry(|| unsafe { libc::fstat(self.fd, stat.as_mut_ptr()) as isize })?;
        // SAFETY: the call succeeded, so it filled the struct.
        Ok(Stat::of(unsafe { stat.assume_init_ref() }))
    }

    /// Reads from `offset` on until `bytes` bytes are read or the file ends; returns their number. Keeps the file
    /// position.
    ///
    /// # Safety
    /// - `to` may be written for `bytes` bytes.
    pub unsafe fn read_at(&self, to: *mut u8, bytes: usize, offset: u64) -> Outcome<usize> {
        let mut done = 0;
        while done < bytes {
            // SAFETY: the caller's obligation; the system writes at most the rest of the bytes.
            let n = retry(|| unsafe {
                libc::pread(self.fd, to.add(done).cast(), bytes - done, (offset + done as u64) as libc::off_t)
            })?;
            if n == 0 {
                break;
            }
            done += n as usize;
        }
        Ok(done)
    }

    /// Writes all bytes at the file position.
    ///
    /// # Safety
    /// - `from` may be read for `bytes` bytes.
    pub unsafe fn write(&self, from: *const u8, bytes: usize) -> Outcome<()> {
        // SAFETY: the caller's obligation; the system reads at most the rest of the bytes.
        write_all(bytes, |done| unsafe { libc::write(self.fd, from.add(done).cast(), bytes - done) })
    }

    /// Writes all bytes from `offset` on. Keeps the file position.
    ///
    /// # Safety
    /// - `from` may be read for `bytes` bytes.
    pub unsafe fn write_at(&self, from: *const u8, bytes: usize, offset: u64) -> Outcome<()> {
        // SAFETY: the caller's obligation; the system reads at most the rest of the bytes.
        write_all(bytes, |done| unsafe {
            libc::pwrite(self.fd, from.add(done).cast(), bytes - done, (offset + done as u64) as libc::off_t)
        })
    }

    /// Returns the space of a part of the file, which then reads 0. A file system that cannot do this keeps the space.
    pub fn punch_hole(&self, offset: u64, bytes: u64) {
        let how = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        // SAFETY: accesses no memory.
        let _ =
            retry(|| unsafe { libc::fallocate(self.fd, how, offset as libc::off_t, bytes as libc::off_t) as isize });
    }

    /// Maps the first `bytes` bytes, at least one. The file may be closed afterwards.
    pub fn map(&self, bytes: usize, access: Access) -> Outcome<Mapping> {
        let (protection, flags) = match access {
            Access::Read => (libc::PROT_READ, libc::MAP_SHARED),
            Access::Private => (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE),
            Access::Write => (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED),
        };
        // SAFETY: a new mapping at an address of the system's choice.
        let address = unsafe { libc::mmap(core::ptr::null_mut(), bytes, protection, flags, self.fd, 0) };
        if address == libc::MAP_FAILED { Err(Errno::last()) } else { Ok(Mapping { address: address.cast(), bytes }) }
    }

    /// Makes a mapping of this file writable that was made read-only, maybe by another descriptor. It stays where it
    /// is, and may be in use.
    ///
    /// # Safety
    /// - The file's first `bytes` bytes are mapped at `start`, and stay so during the call.
    pub unsafe fn remap_writable(&self, start: usize, bytes: usize) -> Outcome<()> {
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_FIXED);
        // SAFETY: the caller's obligation. The same bytes take the place of the mapping at once, so no access of
        // another thread fails.
        let address = unsafe { libc::mmap(start as *mut c_void, bytes, protection, flags, self.fd, 0) };
        if address == libc::MAP_FAILED { Err(Errno::last()) } else { Ok(()) }
    }

    /// Maps the first `bytes` bytes, writable, before the file has them. Only bytes that [`File::write_zeros`] gave it
    /// may be accessed. Returns the address.
    pub fn map_ahead(&self, bytes: usize) -> Outcome<usize> {
        self.map(bytes, Access::Write).map(|mapping| mapping.address as usize)
    }

    /// Writes zeros at the end of the file or behind it, so that later writes of these bytes through a mapping need no
    /// space. `bytes`: a multiple of 4096. This is several times cheaper than space without contents, whose pages the
    /// file system prepares one by one as they are touched.
    pub fn write_zeros(&self, offset: usize, bytes: usize) -> Outcome<()> {
        static ZEROS: [u8; 4096] = [0; 4096];
        const PARTS: usize = 256;
        let part = libc::iovec { iov_base: ZEROS.as_ptr().cast_mut().cast(), iov_len: ZEROS.len() };
        let mut parts = [part; PARTS];
        let mut done = 0;
        while done < bytes {
            let count = (bytes - done).div_ceil(ZEROS.len()).min(PARTS);
            // What was written of a page is not written again: the next call has the reason why the rest has no room.
            parts[0].iov_len = ZEROS.len() - done % ZEROS.len();
            let at = (offset + done) as libc::off_t;
            // SAFETY: the system reads the zeros of the first `count` parts.
            match retry_quietly(|| unsafe { libc::pwritev(self.fd, parts.as_ptr(), count as c_int, at) })? {
                0 => return Err(Errno(libc::EIO)),
                n => done += n as usize,
            }
        }
        Ok(())
    }

    /// Sets the file's length. New bytes read 0.
    pub fn set_len(&self, bytes: libc::off_t) -> Outcome<()> {
        // SAFETY: accesses no memory.
        retry_quietly(|| unsafe { libc::ftruncate(self.fd, bytes) as isize }).map(|_| ())
    }

    /// Makes the system find room for all bytes up to this length now.
    pub fn allocate(&self, bytes: libc::off_t) -> Outcome<()> {
        // A signal undoes a call: in parts, each of which is done soon.
        const PART: libc::off_t = 16 << 20;
        for at in (0..bytes).step_by(PART as usize) {
            // SAFETY: accesses no memory.
            retry_quietly(|| unsafe { libc::fallocate(self.fd, 0, at, PART.min(bytes - at)) as isize })?;
        }
        Ok(())
    }

    /// Sets the permission bits.
    pub fn set_permissions(&self, permissions: u32) -> Outcome<()> {
        // SAFETY: accesses no memory.
        retry(|| unsafe { libc::fchmod(self.fd, permissions as libc::mode_t) as isize }).map(|_| ())
    }

    /// Waits until the contents are on the storage medium; for a folder, its entries.
    pub fn sync(&self) -> Outcome<()> {
        // SAFETY: accesses no memory.
        retry(|| unsafe { libc::fsync(self.fd) as isize }).map(|_| ())
    }

    /// Closes the file, and reports failed writes, which some network file systems report only now.
    pub fn close(self) -> Outcome<()> {
        let fd = self.fd;
        let lent = self.lent;
        core::mem::forget(self);
        // Never repeated: the descriptor is gone also after EINTR, which is no failure of the writes.
        // SAFETY: the file's own descriptor, closed once, because the value was forgotten.
        if !lent && uncancelled(|| unsafe { libc::close(fd) }) != 0 {
            let errno = Errno::last();
            return if errno.0 == libc::EINTR { Ok(()) } else { Err(errno) };
        }
        Ok(())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        if !self.lent {
            // SAFETY: the file's own descriptor, closed once. A failure concerns writes that no caller waits for.
            uncancelled(|| unsafe { libc::close(self.fd) });
        }
    }
}

fn fd_of(folder: Option<&File>) -> c_int {
    folder.map_or(libc::AT_FDCWD, |folder| folder.fd)
}

/// The properties of `name` in `folder`; a symbolic link is not followed.
pub fn stat_at(folder: &File, name: &CStr) -> Outcome<Stat> {
    let mut stat = core::mem::MaybeUninit::uninit();
    // SAFETY: `name` ends with a NUL, and the buffer is for one stat.
    retry(|| unsafe {
        libc::fstatat(folder.fd, name.as_ptr(), stat.as_mut_ptr(), libc::AT_SYMLINK_NOFOLLOW) as isize
    })?;
    // SAFETY: the call succeeded, so it filled the struct.
    Ok(Stat::of(unsafe { stat.assume_init_ref() }))
}

/// Fails unless the process, with its effective user, may write `name` in `folder`.
pub fn check_writable(folder: &File, name: &CStr) -> Outcome<()> {
    // SAFETY: `name` ends with a NUL.
    retry(|| unsafe { libc::faccessat(folder.fd, name.as_ptr(), libc::W_OK, libc::AT_EACCESS) as isize }).map(|_| ())
}

/// Whether [`link`] works here: it needs the process's descriptors under /proc.
pub fn can_link() -> bool {
    // SAFETY: a constant path.
    unsafe { libc::access(c"/proc/self/fd/".as_ptr(), libc::X_OK) == 0 }
}

/// Links the open `file`, which has no name, as `name` in `folder`; EEXIST if the name exists.
pub fn link(file: &File, folder: &File, name: &CStr) -> Outcome<()> {
    let mut path = Name::new();
    path.print(format_args!("/proc/self/fd/{}", file.fd));
    // SAFETY: both paths end with a NUL.
    retry(|| unsafe {
        libc::linkat(libc::AT_FDCWD, path.as_ptr(), folder.fd, name.as_ptr(), libc::AT_SYMLINK_FOLLOW) as isize
    })
    .map(|_| ())
}

/// Renames a file inside `folder`. A file with the new name is replaced atomically; with `keep` it is EEXIST.
pub fn rename(folder: &File, from: &CStr, to: &CStr, keep: bool) -> Outcome<()> {
    if !keep {
        // SAFETY: both names end with a NUL.
        return retry(|| unsafe { libc::renameat(folder.fd, from.as_ptr(), folder.fd, to.as_ptr()) as isize })
            .map(|_| ());
    }
    // As a system call: musl has the function since 1.2.5 only.
    // SAFETY: as above.
    let renamed = retry(|| unsafe {
        let (number, flags) = (libc::SYS_renameat2, libc::RENAME_NOREPLACE);
        libc::syscall(number, folder.fd, from.as_ptr(), folder.fd, to.as_ptr(), flags) as isize
    });
    match renamed {
        // A file system without that flag: a link is refused if the new name exists.
        Err(Errno(libc::EINVAL | libc::ENOSYS)) => {
            // SAFETY: as above.
            retry(|| unsafe { libc::linkat(folder.fd, from.as_ptr(), folder.fd, to.as_ptr(), 0) as isize })?;
            remove(folder, from)
        }
        other => other.map(|_| ()),
    }
}

/// Removes a name.
pub fn remove(folder: &File, name: &CStr) -> Outcome<()> {
    // SAFETY: `name` ends with a NUL.
    retry(|| unsafe { libc::unlinkat(folder.fd, name.as_ptr(), 0) as isize }).map(|_| ())
}

/// A path of at most 4095 bytes, in a buffer.
pub struct Name {
    bytes: [u8; libc::PATH_MAX as usize],
    length: usize,
}

impl Name {
    /// An empty path.
    pub const fn new() -> Name {
        Name { bytes: [0; libc::PATH_MAX as usize], length: 0 }
    }

    /// The path with these bytes; None if there are too many.
    pub fn of(bytes: &[u8]) -> Option<Name> {
        let mut name = Name::new();
        name.bytes.get_mut(..bytes.len() + 1)?[..bytes.len()].copy_from_slice(bytes);
        name.length = bytes.len();
        Some(name)
    }

    /// The canonical path of an existing file, without symbolic links.
    pub fn resolved(path: &CStr) -> Outcome<Name> {
        let mut name = Name::new();
        // SAFETY: the path ends with a NUL; the buffer has PATH_MAX bytes, as the call demands.
        if unsafe { libc::realpath(path.as_ptr(), name.bytes.as_mut_ptr().cast()) }.is_null() {
            return Err(Errno::last());
        }
        name.length = name.as_cstr().count_bytes();
        Ok(name)
    }

    /// Replaces the path by a short text.
    pub fn print(&mut self, text: fmt::Arguments<'_>) {
        self.length = 0;
        // A long text would be cut, but no caller passes one.
        let _ = fmt::write(self, text);
        self.bytes[self.length] = 0;
    }

    /// The path for system calls.
    pub fn as_cstr(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or(c"")
    }

    fn as_ptr(&self) -> *const c_char {
        self.bytes.as_ptr().cast()
    }
}

impl Default for Name {
    fn default() -> Self {
        Name::new()
    }
}

impl fmt::Write for Name {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let capacity = self.bytes.len() - 1 - self.length;
        let taken = text.len().min(capacity);
        self.bytes[self.length..self.length + taken].copy_from_slice(&text.as_bytes()[..taken]);
        self.length += taken;
        if taken == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

/// A name for a temporary file, to be printed.
pub struct FreshName(u64);

/// A name that most probably no file has: another one each time.
pub fn fresh_name() -> FreshName {
    FreshName(fresh_number())
}

impl fmt::Display for FreshName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ".tenure-{:016x}.tmp", self.0)
    }
}

/// A number for names of temporary files: unique in this process, and probably among processes.
pub fn fresh_number() -> u64 {
    use core::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut number = 0u64;
    // SAFETY: a buffer of the length that is passed. Without random bytes, the counter and the process below suffice.
    uncancelled(|| unsafe {
        libc::getrandom((&raw mut number).cast::<c_void>(), size_of::<u64>(), libc::GRND_NONBLOCK)
    });
    // Relaxed: the values only have to differ.
    let count = NEXT.fetch_add(1, Ordering::Relaxed);
    number ^ (u64::from(std::process::id()) << 32) ^ count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errno_prints_as_the_system_says_it() {
        assert_eq!(Errno(libc::ENOENT).to_string(), "No such file or directory");
        assert!(Errno(99_999).to_string().contains("99999"));
    }

    #[test]
    fn a_path_too_long_is_none() {
        assert!(Name::of(&[b'x'; 4095]).is_some());
        assert!(Name::of(&[b'x'; 4096]).is_none());
    }

    #[test]
    fn a_lent_descriptor_stays_open() {
        let own = File::open(None, c"/", libc::O_RDONLY, 0).unwrap();
        drop(File::lent(own.fd()));
        File::lent(own.fd()).close().unwrap();
        assert!(own.stat().unwrap().is_folder());
        own.close().unwrap();
    }
}
