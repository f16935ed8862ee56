//! The file through which a process that exports memory of a GPU, and the processes that import it, know of each other
//! (IP-23).
//!
//! Contract: an exporting process has one such file, in memory, and sends a descriptor of it with each array. Importers
//! cannot write it. Each exported allocation has an entry with a number that is never used again, and a range of lock
//! bytes. The exporter has a lock on byte 0 as long as it lives. An importer has a lock on the byte of its process
//! number in the range of each allocation that it has open. A descriptor that was sent and not closed yet has a lock on
//! the byte of process 0, which is none. The system drops the locks of a process that ends, however it ends.
//!
//! An importer locks its byte first and reads the entry then. The exporter takes the whole range before it clears the
//! entry. So either the importer finds that it came too late, or the exporter finds the importer. Locks belong to open
//! file descriptions, so nobody shares the description that has the locks: what crosses is opened anew, and the child
//! of a fork closes what it inherited.

use crate::error::{Result, Status, fail};
use crate::sys::file::{Access, Errno, File};
use crate::sys::file_lock::{self, Kind, Part};
use crate::sys::{memory_file, os};
use crate::thread::{self, ColdLock};
use crate::types::*;
use core::ffi::c_int;
use core::sync::atomic::{AtomicU64, Ordering};

/// The size of the file: an entry of 8 bytes for each of [`ENTRIES`] allocations. Only pages that were written take
/// memory.
const FILE_BYTES: usize = 1 << 20;
const ENTRIES: u32 = (FILE_BYTES / 8) as u32;
/// What the first entry has: these bytes.
const MAGIC: u64 = u64::from_ne_bytes(*b"TNEXPORT");
/// The first entry of an allocation.
const FIRST: u32 = 1;

/// The exporter's byte.
const LIFE: Part = Part { start: 0, bytes: 1 };
/// The lock bytes of an allocation: one for each process number, which has 22 bits at most.
const RANGE_BITS: u32 = 22;

/// The lock bytes of an entry.
fn range(entry: u32) -> Part {
    Part { start: i64::from(entry) << RANGE_BITS, bytes: 1 << RANGE_BITS }
}

/// This process's file.
#[derive(Clone, Copy)]
struct Own {
    fd: c_int,
    /// Where it is mapped.
    start: usize,
    identity: (u64, u64),
    /// The entry where the search for a free one begins.
    next: u32,
    /// The number of the latest export.
    serial: u64,
}

static OWN: ColdLock<Option<Own>> = ColdLock::new(None);

impl Own {
    fn entry(&self, at: u32) -> &'static AtomicU64 {
        // SAFETY: an entry of the mapping, which only the child of a fork unmaps, before it can come here.
        unsafe { &*((self.start + 8 * at as usize) as *const AtomicU64) }
    }
}

/// An exported allocation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its place in the file.
    pub place: u32,
    /// Its number.
    pub serial: u64,
}

#[cold]
fn no_file(errno: Errno) -> Status {
    match errno.0 {
        libc::EINVAL | libc::ENOSYS | libc::ENOENT => fail(
            TN_ERR_UNSUPPORTED,
            format_args!("the system cannot share memory of GPUs (Linux 5.1 with /proc can): {errno}"),
        ),
        _ => fail(TN_ERR_IO, format_args!("no descriptor for shared memory of GPUs: {errno}")),
    }
}

/// Makes this process's file.
fn create() -> core::result::Result<Own, Errno> {
    let file = memory_file::create(c"tenure exports", FILE_BYTES)?;
    let start = memory_file::map(&file, FILE_BYTES, os::page_bytes())?;
    let own = Own { fd: file.fd(), start, identity: file.stat()?.identity, next: FIRST, serial: 0 };
    own.entry(0).store(MAGIC, Ordering::Relaxed);
    let sealed = memory_file::seal(&file, memory_file::NO_NEW_WRITERS).and_then(|()| {
        if file_lock::try_lock(&file, Kind::Exclusive, LIFE)? { Ok(()) } else { Err(Errno(libc::EINVAL)) }
    });
    if let Err(errno) = sealed {
        // SAFETY: mapped above, and nobody has the address.
        unsafe { os::unmap(start, FILE_BYTES) };
        return Err(errno);
    }
    let _fd = file.into_fd();
    Ok(own)
}

/// Calls `f` with this process's file, which the first call makes.
fn with<R>(f: impl FnOnce(&mut Own) -> R) -> Result<R> {
    if let Some(own) = OWN.lock().as_mut() {
        return Ok(f(own));
    }
    let made = create().map_err(no_file)?;
    thread::on_fork_child(after_fork);
    let mut own = OWN.lock();
    let used = *own.get_or_insert(made);
    if used.fd != made.fd {
        drop(own);
        drop(File::owned(made.fd));
        // SAFETY: mapped by `create`, and nobody has the address.
        unsafe { os::unmap(made.start, FILE_BYTES) };
        return with(f);
    }
    Ok(f(own.as_mut().expect("set above")))
}

/// The child of a fork exports nothing of its parent. It drops the descriptor and the mapping, which both keep the open
/// file description, so that the parent's lock ends with the parent.
fn after_fork() {
    if let Some(own) = OWN.lock().take() {
        drop(File::owned(own.fd));
        // SAFETY: mapped by `create`, and this process has no other thread.
        unsafe { os::unmap(own.start, FILE_BYTES) };
    }
}

/// A descriptor of this process's file for another process. While it is open, or one that was duplicated from it, the
/// allocation stays. TN_ERR_UNSUPPORTED, TN_ERR_IO.
pub fn lend(entry: Option<Entry>) -> Result<File> {
    let file = file_lock::reopen(&File::lent(with(|own| own.fd)?), Access::Read).map_err(no_file)?;
    if let Some(entry) = entry {
        let part = Part { bytes: 1, ..range(entry.place) };
        let locked = file_lock::try_lock(&file, Kind::Shared, part).map_err(no_file)?;
        debug_assert!(locked, "the caller holds an array there");
    }
    Ok(file)
}

/// Whether a file is this process's own.
pub fn is_own(identity: (u64, u64)) -> bool {
    OWN.lock().is_some_and(|own| own.identity == identity)
}

/// Adds an allocation. TN_ERR_LIMIT: the file has no entry left.
pub fn add() -> Result<Entry> {
    with(|own| {
        let places = (own.next..ENTRIES).chain(FIRST..own.next);
        let place = places.into_iter().find(|place| own.entry(*place).load(Ordering::Relaxed) == 0)?;
        own.serial += 1;
        own.next = if place + 1 < ENTRIES { place + 1 } else { FIRST };
        // Release: importers read it after they have their lock, by a system call.
        own.entry(place).store(own.serial, Ordering::Release);
        Some(Entry { place, serial: own.serial })
    })?
    .ok_or_else(|| {
        fail(
            TN_ERR_LIMIT,
            format_args!("{} allocations of GPUs are exported; release some of those arrays", ENTRIES - FIRST),
        )
    })
}

impl Entry {
    /// Removes an allocation that no importer has. False: one has it, or another thread removed it; nothing changed.
    pub fn remove(self) -> bool {
        let own = OWN.lock();
        let Some(own) = own.as_ref() else { return false };
        let file = File::lent(own.fd);
        let entry = own.entry(self.place);
        let there = entry.load(Ordering::Relaxed) == self.serial;
        if !there || file_lock::try_lock(&file, Kind::Exclusive, range(self.place)) != Ok(true) {
            return false;
        }
        entry.store(0, Ordering::Release);
        let unlocked = file_lock::unlock(&file, range(self.place));
        debug_assert_eq!(unlocked, Ok(()));
        true
    }

    /// Calls `f` with the numbers of importing processes, each as that process sees its own number, in no order; 0:
    /// descriptors that were sent, and not closed yet.
    pub fn each_importer(self, f: &mut dyn FnMut(u32)) {
        let Some(own) = *OWN.lock() else { return };
        each_lock(&File::lent(own.fd), range(self.place), range(self.place).start, f);
    }
}

/// Calls `f` with the lock bytes in a part of a file, counted from `first`.
fn each_lock(file: &File, part: Part, first: i64, f: &mut dyn FnMut(u32)) {
    let Ok(Some(found)) = file_lock::conflict(file, Kind::Exclusive, part) else { return };
    let end = part.start + part.bytes;
    let from = found.start.max(part.start);
    let to = if found.bytes == 0 { end } else { end.min(found.start + found.bytes) };
    f((from - first) as u32);
    for (start, end) in [(part.start, from), (to, end)] {
        if start < end {
            each_lock(file, Part { start, bytes: end - start }, first, f);
        }
    }
}

/// An importer's lock on an allocation of another process.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

#[cold]
fn too_late(what: &str) -> Status {
    fail(
        TN_ERR_STALE,
        format_args!("{what}; the array, or the fd that came with the descriptor, must exist until the import"),
    )
}

/// TN_ERR_STALE, for an import whose exporter has ended.
#[cold]
pub fn exporter_has_ended() -> Status {
    too_late("the process that exported the array has ended")
}

/// TN_ERR_INVALID, TN_ERR_IO: the file is none of an exporting process. Returns its identity.
pub fn check(file: &File) -> Result<(u64, u64)> {
    let io = |errno: Errno| fail(TN_ERR_IO, format_args!("fd {}: {errno}", file.fd()));
    let stat = file.stat().map_err(io)?;
    let (readable, _) = memory_file::access(file).map_err(io)?;
    // A lock on a file of another kind could wait for a server.
    let in_memory = stat.is_regular() && readable && memory_file::seals(file).is_ok();
    if !in_memory || read(file, 0) != Some(MAGIC) {
        return Err(fail(
            TN_ERR_INVALID,
            format_args!(
                "the descriptor's fd {} is no file of a process that exports GPU memory; pass the one that came with it",
                file.fd()
            ),
        ));
    }
    Ok(stat.identity)
}

/// An entry of a file.
fn read(file: &File, place: u32) -> Option<u64> {
    let mut value = 0u64;
    // SAFETY: 8 bytes of ours.
    let got = unsafe { file.read_at((&raw mut value).cast(), 8, 8 * u64::from(place)) };
    (got == Ok(8)).then_some(value)
}

/// Locks an allocation of the process that has a file. TN_ERR_STALE: that process has freed it, or has ended.
pub fn lock(file: &File, entry: Entry) -> Result<Lock> {
    if !(FIRST..ENTRIES).contains(&entry.place) || entry.serial == 0 {
        return Err(fail(
            TN_ERR_INVALID,
            format_args!("the descriptor was damaged: its allocation has entry {} of the file", entry.place),
        ));
    }
    // The number of the process has more bits only on a system that is none of Linux's.
    let byte = i64::from(os::process_number() & ((1 << RANGE_BITS) - 1));
    let io = |errno: Errno| {
        fail(TN_ERR_IO, format_args!("fd {} could not be opened again, by /proc, or locked: {errno}", file.fd()))
    };
    let file = file_lock::reopen(file, Access::Read).map_err(io)?;
    let part = Part { start: range(entry.place).start + byte, bytes: 1 };
    if !file_lock::try_lock(&file, Kind::Shared, part).map_err(io)? || read(&file, entry.place) != Some(entry.serial) {
        return Err(too_late("the exporter has freed the array's memory"));
    }
    if has_ended(&file) {
        return Err(exporter_has_ended());
    }
    Ok(Lock { file })
}

impl Lock {
    /// The descriptor, which keeps the lock until it is closed.
    pub fn into_fd(self) -> c_int {
        self.file.into_fd()
    }

    /// The lock of a descriptor of [`Lock::into_fd`]. Its drop ends the lock.
    pub fn of_fd(fd: c_int) -> Lock {
        Lock { file: File::owned(fd) }
    }
}

/// Whether the exporting process has ended, for the descriptor of a lock.
pub fn has_exporter_ended(fd: c_int) -> bool {
    has_ended(&File::lent(fd))
}

fn has_ended(file: &File) -> bool {
    matches!(file_lock::conflict(file, Kind::Shared, LIFE), Ok(None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_stays_while_an_importer_has_it() {
        let (entry, other) = (add().unwrap(), add().unwrap());
        assert!(entry.serial != other.serial && entry.place != other.place);
        let lent = lend(None).unwrap();
        let sent = lend(Some(entry)).unwrap();
        assert!(!entry.remove());
        let importers = |entry: Entry| {
            let mut found = Vec::new();
            entry.each_importer(&mut |process| found.push(process));
            found.sort();
            found
        };
        assert_eq!(importers(entry), [0]);
        assert!(is_own(check(&lent).unwrap()));
        let code = |outcome: Result<Lock>| outcome.map_or_else(|status| status.code(), |_| TN_OK);
        let first = lock(&lent, entry).unwrap();
        let second = lock(&lent, entry).unwrap();
        assert_eq!(importers(entry), [0, std::process::id()]);
        drop(sent);
        assert_eq!(importers(entry), [std::process::id()]);
        assert!(!has_ended(&first.file));
        drop(first);
        assert!(!entry.remove());
        drop(second);
        assert!(entry.remove());
        assert!(importers(entry).is_empty());
        assert_eq!(code(lock(&lent, entry)), TN_ERR_STALE);
        assert_eq!(code(lock(&lent, Entry { serial: other.serial + 1, ..other })), TN_ERR_STALE);
        for place in [0, ENTRIES, u32::MAX] {
            assert_eq!(code(lock(&lent, Entry { place, ..other })), TN_ERR_INVALID);
        }
        assert!(memory_file::map(&lent, FILE_BYTES, 4096).is_err(), "importers cannot write");
        let again = add().unwrap();
        assert!(again.serial > other.serial);
        assert!(other.remove() && again.remove());
    }

    #[test]
    fn other_files_are_refused() {
        let code = |file: &File| check(file).map_or_else(|status| status.code(), |_| TN_OK);
        assert_eq!(code(&File::lent(-1)), TN_ERR_IO);
        assert_eq!(code(&File::open(None, c"/", libc::O_RDONLY, 0).unwrap()), TN_ERR_INVALID);
        assert_eq!(code(&File::open(None, c"/proc/self/exe", libc::O_RDONLY, 0).unwrap()), TN_ERR_INVALID);
        assert_eq!(code(&memory_file::create(c"test", 4096).unwrap()), TN_ERR_INVALID);
    }
}
