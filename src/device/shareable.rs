//! Memory of the host that other processes can map: each range is a file in memory of its own (IP-3). What this process
//! imported is on the list too, so that it can be exported again.
//!
//! Contract: a range belongs to one block, so a process that gets the file of an array sees that array alone. What a
//! process has mapped stays as it was when this process freed it: a file that was exported serves another block only
//! when the system says that no other process has it any more (IP-7). For that, each process gets an open file
//! description of its own. A child of fork shares the memory with its parent, so the ranges of before the fork are not
//! used again.
//!
//! A file that was exported read-only has a seal against new writers for ever. Such files serve other blocks only in
//! pools whose arrays are never exported to be written ([`READONLY`]).

use super::interface::{Device, GRANULE, Terms};
use crate::error::{Result, Status, fail};
use crate::grow_unlocked;
use crate::sys::file::{Access, Errno, File, Mapping, Outcome};
use crate::sys::file_lock;
use crate::sys::memory_file::{self, Word};
use crate::sys::process::Process;
use crate::sys::{machine, os};
use crate::thread::{self, QuickLock};
use crate::types::*;
use core::ffi::c_int;
use core::sync::atomic::{AtomicI32, AtomicU8, Ordering};

/// Memory that can be shared.
pub struct Shareable {
    /// Others only read it.
    readonly: bool,
}

/// That of pools with TN_POOL_SHAREABLE.
pub static SHAREABLE: Shareable = Shareable { readonly: false };
/// That of pools with TN_POOL_READONLY_EXPORTS too.
pub static READONLY: Shareable = Shareable { readonly: true };

/// A range and its file: a block of a pool, or what another process made and this one has mapped.
#[derive(Clone, Copy)]
struct Range {
    start: usize,
    bytes: usize,
    fd: c_int,
    identity: (u64, u64),
    writable: bool,
    /// No export of it is to be written.
    readonly: bool,
    /// No other process has the bytes.
    sole: bool,
    /// Another process may have the file, or have had it.
    exported: bool,
    /// The system can tell whether another process has the file: `fd` is a description that it counts, and nobody else
    /// has that description.
    tracked: bool,
    /// The process that exported it; None: this one made it.
    exporter: Option<Process>,
    /// Number of forks before it was mapped: a child shares the ranges of its parent, and has them apart from its own.
    forks: u32,
    /// Number of forks that were begun by then: if there were more since, a parent and its child both have the range.
    children: u32,
}

impl Range {
    /// Whether it may serve another block once no other process has it.
    fn can_serve(&self) -> bool {
        let tells = || self.tracked && counts_readers();
        let can_be_written = || !memory_file::has_no_new_writers(&File::lent(self.fd));
        self.children == thread::children() && (!self.exported || tells()) && (self.readonly || can_be_written())
    }

    /// Whether no process has an exported range any more, and none has changed what the library has of its file.
    fn is_back(&self) -> bool {
        let file = File::lent(self.fd);
        if !file_lock::is_only_description(&file) {
            return false;
        }
        let wrong = libc::F_SEAL_SEAL | if self.readonly { 0 } else { memory_file::NO_NEW_WRITERS };
        let is_offered = || !self.readonly && Word::of(&file).map_or(true, |word| !word.get().is_multiple_of(2));
        memory_file::seals(&file).is_ok_and(|seals| seals & wrong == 0) && !is_offered()
    }
}

/// All ranges, by their addresses.
static RANGES: QuickLock<Vec<Range>> = QuickLock::new(Vec::new());

/// The range that has an address.
#[derive(Clone, Copy)]
pub struct Found {
    /// The first address.
    pub start: usize,
    /// The size in bytes.
    pub bytes: usize,
    /// The descriptor of its file, which lives as long as the range.
    pub fd: c_int,
    /// The identity of the file.
    pub identity: (u64, u64),
    /// Whether this process made it.
    pub is_own: bool,
    /// Whether no export of it is to be written.
    pub readonly: bool,
}

/// Whether an address is in shareable memory.
pub fn has(address: usize) -> bool {
    range_of(address).is_some()
}

fn range_of(address: usize) -> Option<Range> {
    with(address, |range| *range)
}

/// Calls `f` with the range that has an address.
fn with<R>(address: usize, f: impl FnOnce(&mut Range) -> R) -> Option<R> {
    let mut ranges = RANGES.lock();
    let at = ranges.partition_point(|range| range.start <= address).checked_sub(1)?;
    Some(&mut ranges[at]).filter(|range| address < range.start + range.bytes).map(f)
}

/// The range of an address. The caller holds an array there, so that the range stays. None: no range has it.
pub fn find(address: usize) -> Option<Found> {
    let Range { start, bytes, fd, identity, exporter, readonly, .. } = range_of(address)?;
    Some(Found { start, bytes, fd, identity, is_own: exporter.is_none(), readonly })
}

impl Found {
    /// A description of the file for another process, which allows this access. TN_ERR_IO: no descriptor.
    pub fn open(&self, access: Access) -> Result<File> {
        let own = File::lent(self.fd);
        if let Some(file) = reopen(&own, access).map_err(no_descriptor)? {
            return Ok(file);
        }
        set_untracked(self.start);
        memory_file::duplicate(&own).map_err(no_descriptor)
    }
}

/// Another description of a file. None: the system has no /proc, or the file belongs to another user.
fn reopen(file: &File, access: Access) -> Outcome<Option<File>> {
    match file_lock::reopen(file, access) {
        Err(errno @ Errno(libc::EMFILE | libc::ENFILE | libc::ENOMEM)) => Err(errno),
        outcome => Ok(outcome.ok()),
    }
}

/// Notes that another process may get the description of this one, so that the system cannot tell who has the file.
pub fn set_untracked(address: usize) {
    with(address, |range| range.tracked = false);
}

/// Whether the bytes at an address are in this process alone. The caller holds an array there.
pub fn is_sole(address: usize) -> bool {
    range_of(address).is_some_and(|range| range.sole)
}

/// Notes that another process may have the file of an address from now on; unless `offered`, also the bytes. True: none
/// had it before.
pub fn set_exported(address: usize, offered: bool) -> bool {
    let first = with(address, |range| {
        range.sole &= offered;
        !core::mem::replace(&mut range.exported, true)
    });
    first == Some(true)
}

/// A range of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mapped {
    /// The first address.
    pub start: usize,
    /// The size in bytes.
    pub bytes: usize,
    /// Whether this process may write.
    pub writable: bool,
}

/// The first range of the file with this identity at an address or behind it.
pub fn next_of_file(identity: (u64, u64), from: usize) -> Option<Mapped> {
    let ranges = RANGES.lock();
    let forks = thread::forks();
    let is = |range: &&Range| range.start >= from && range.identity == identity && range.forks == forks;
    ranges.iter().find(is).map(|&Range { start, bytes, writable, .. }| Mapped { start, bytes, writable })
}

/// Lets a range be written that was mapped to be read. The caller holds an array there, and `file` may be written.
pub fn make_writable(start: usize, file: &File) -> Outcome<()> {
    let Some(range) = range_of(start).filter(|range| !range.writable) else { return Ok(()) };
    // SAFETY: the range was mapped from the file's first byte on, and the caller's array keeps it.
    unsafe { file.remap_writable(range.start, range.bytes)? };
    with(start, |range| range.writable = true);
    Ok(())
}

/// Adds a file of another process that this one has mapped, until [`forget`]. TN_ERR_IO, TN_ERR_NO_HOST_MEMORY.
pub fn add(
    mapping: &Mapping,
    file: &File,
    identity: (u64, u64),
    (writable, sole): (bool, bool),
    exporter: Process,
) -> Result<()> {
    let own = memory_file::duplicate(file).map_err(no_descriptor)?;
    let (start, bytes) = (mapping.address as usize, mapping.bytes);
    let exporter = Some(exporter);
    let (forks, children) = (thread::forks(), thread::children());
    let (fd, readonly, exported, tracked) = (own.fd(), false, true, false);
    let range =
        Range { start, bytes, fd, identity, writable, readonly, sole, exported, tracked, exporter, forks, children };
    insert(range).map_err(|entries| {
        fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for a list of {entries} ranges of shareable memory"))
    })?;
    let _ = own.into_fd();
    Ok(())
}

/// Removes what [`add`] added, and closes its file. The mapping stays.
pub fn forget(start: usize) {
    remove(start);
}

/// Memory of another process that this one has mapped.
pub struct Imported {
    /// The first address.
    pub start: usize,
    /// The size in bytes.
    pub bytes: usize,
    /// The process that exported it.
    pub exporter: Process,
    /// Whether this process may write.
    pub writable: bool,
}

/// The first memory of another process at an address, or behind it.
pub fn next_imported(from: usize) -> Option<Imported> {
    let ranges = RANGES.lock();
    let at = ranges.partition_point(|range| range.start < from);
    ranges[at..].iter().find_map(|range| {
        let Range { start, bytes, writable, .. } = *range;
        range.exporter.map(|exporter| Imported { start, bytes, exporter, writable })
    })
}

/// Err: the number of entries for which there was no memory.
fn insert(range: Range) -> core::result::Result<(), usize> {
    grow_unlocked::insert_sorted(&RANGES, 64, range, |other| other.start)
}

/// Removes the range that begins at an address, and closes its file.
fn remove(start: usize) -> Range {
    let range = grow_unlocked::remove_sorted(&RANGES, start, |range| range.start).expect("a range begins there");
    drop(File::owned(range.fd));
    range
}

/// TN_ERR_IO, with the system's message.
#[cold]
pub fn no_descriptor(errno: Errno) -> Status {
    let advice = if errno.0 == libc::EMFILE { "; each array in shareable memory has a descriptor" } else { "" };
    fail(TN_ERR_IO, format_args!("no descriptor for shared memory: {errno}{advice}"))
}

/// The errno of the last range that the system refused; 0: none was.
static REFUSED: AtomicI32 = AtomicI32::new(0);

/// A new file for a range, and whether the system can tell who else has it.
fn new_file(bytes: usize) -> Outcome<(File, bool)> {
    let made = memory_file::create(c"tenure", bytes)?;
    let counted = reopen(&made, Access::Write)?;
    Ok(counted.map_or((made, false), |file| (file, true)))
}

/// Whether the system counts descriptions that only read. Some systems do not.
fn counts_readers() -> bool {
    static ANSWER: AtomicU8 = AtomicU8::new(0);
    if ANSWER.load(Ordering::Relaxed) == 0 {
        let counts = new_file(os::page_bytes()).and_then(|(file, _)| {
            let _reader = file_lock::reopen(&file, Access::Read)?;
            Ok(!file_lock::is_only_description(&file))
        });
        let Ok(counts) = counts else { return false };
        ANSWER.store(1 + u8::from(counts), Ordering::Relaxed);
    }
    ANSWER.load(Ordering::Relaxed) == 2
}

/// Makes a range and its file.
fn make(bytes: usize, alignment: usize, node: u32, readonly: bool) -> Outcome<usize> {
    let (file, tracked) = new_file(bytes)?;
    let identity = file.stat()?.identity;
    let start = memory_file::map(&file, bytes, alignment)?;
    if let Some(node) = node.checked_sub(1) {
        os::prefer_node(start, bytes, node);
    }
    let (fd, forks, children) = (file.fd(), thread::forks(), thread::children());
    let (writable, sole, exported, exporter) = (true, true, false, None);
    let range =
        Range { start, bytes, fd, identity, writable, readonly, sole, exported, tracked, exporter, forks, children };
    if insert(range).is_err() {
        // SAFETY: mapped above, and nobody has the address.
        unsafe { os::unmap(start, bytes) };
        return Err(Errno::NO_MEMORY);
    }
    let _ = file.into_fd();
    Ok(start)
}

impl Device for Shareable {
    fn terms(&self) -> Terms {
        Terms {
            page: os::page_bytes(),
            refusal: TN_ERR_NO_HOST_MEMORY,
            zeroed: true,
            touch: true,
            whole: true,
            ..Terms::NONE
        }
    }

    fn reserve(&self, bytes: usize, alignment: usize, node: u32) -> Result<Option<usize>> {
        let refused = |errno: Errno| REFUSED.store(errno.0, Ordering::Relaxed);
        Ok(make(bytes, alignment.max(GRANULE), node, self.readonly).map_err(refused).ok())
    }

    fn last_refusal(&self) -> Option<Errno> {
        Some(Errno(REFUSED.load(Ordering::Relaxed))).filter(|errno| errno.0 != 0)
    }

    fn can_keep(&self, start: usize) -> bool {
        range_of(start).is_some_and(|range| range.can_serve())
    }

    fn reuse(&self, start: usize) -> bool {
        let Some(range) = range_of(start).filter(|range| range.can_serve()) else { return false };
        if !range.exported {
            return true;
        }
        range.is_back() && with(start, |range| (range.sole, range.exported) = (true, false)).is_some()
    }

    unsafe fn free(&self, start: usize, bytes: usize) -> bool {
        let range = remove(start);
        debug_assert_eq!(range.bytes, bytes, "ranges are freed whole");
        // SAFETY: the caller's obligation.
        unsafe { os::unmap(start, bytes) }
    }

    unsafe fn prefault(&self, start: usize, bytes: usize) {
        // SAFETY: the caller's obligation.
        unsafe { os::populate(start, bytes) };
    }

    fn memory(&self) -> Option<(u64, u64)> {
        let memory = machine::memory();
        Some((memory.total, memory.free))
    }
}
