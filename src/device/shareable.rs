//! Memory of the host that other processes can map: each range is a file in memory of its own (IP-3). What this process
//! imported is on the list too, so that it can be exported again.
//!
//! Contract: a range belongs to one block, so a process that gets the file of an array sees that array alone. A file
//! that was exported is never used for another block: what a process has mapped stays as it was when this process freed
//! it. A child of fork shares the memory with its parent, so the ranges of before the fork are not used again either.

use super::interface::{Device, GRANULE, Terms};
use crate::error::{Result, Status, fail};
use crate::grow_unlocked;
use crate::sys::file::{Errno, File, Mapping, Outcome};
use crate::sys::process::Process;
use crate::sys::{memory_file, os};
use crate::thread::{self, QuickLock};
use crate::types::*;
use core::ffi::c_int;
use core::sync::atomic::{AtomicI32, Ordering};

/// Memory that can be shared.
pub struct Shareable;

/// The only one.
pub static SHAREABLE: Shareable = Shareable;

/// A range and its file: a block of a pool, or what another process made and this one has mapped.
#[derive(Clone, Copy)]
struct Range {
    start: usize,
    bytes: usize,
    fd: c_int,
    identity: (u64, u64),
    writable: bool,
    /// No other process has the bytes.
    sole: bool,
    /// Another process may have the file, or have had it.
    exported: bool,
    /// The process that exported it; None: this one made it.
    exporter: Option<Process>,
    /// Number of forks before it was mapped: a child shares the ranges of its parent, and has them apart from its own.
    forks: u32,
    /// Number of forks that were begun by then: if there were more since, a parent and its child both have the range.
    children: u32,
}

/// All ranges, by their addresses.
static RANGES: QuickLock<Vec<Range>> = QuickLock::new(Vec::new());

/// The range that has an address, with a descriptor of its file.
pub struct Found {
    /// The first address.
    pub start: usize,
    /// The size in bytes.
    pub bytes: usize,
    /// The file; a descriptor of its own.
    pub file: File,
}

/// Whether an address is in shareable memory.
pub fn has(address: usize) -> bool {
    range_of(address).is_some()
}

fn range_of(address: usize) -> Option<Range> {
    let ranges = RANGES.lock();
    let at = ranges.partition_point(|range| range.start <= address).checked_sub(1)?;
    Some(ranges[at]).filter(|range| address < range.start + range.bytes)
}

/// The range of an address. The caller holds an array there, so that the range stays. None: no range has it. TN_ERR_IO:
/// no descriptor.
pub fn find(address: usize) -> Result<Option<Found>> {
    let Some(range) = range_of(address) else { return Ok(None) };
    let file = memory_file::duplicate(&File::lent(range.fd)).map_err(no_descriptor)?;
    Ok(Some(Found { start: range.start, bytes: range.bytes, file }))
}

/// A range that this process made, and its file.
pub struct Lent {
    /// The first address.
    pub start: usize,
    /// The file's descriptor, which lives as long as the range.
    pub fd: c_int,
    /// The identity of the file.
    pub identity: (u64, u64),
}

/// The range of this process at an address. The caller holds a block there.
pub fn lend(address: usize) -> Option<Lent> {
    let Range { start, fd, identity, .. } = range_of(address).filter(|range| range.exporter.is_none())?;
    Some(Lent { start, fd, identity })
}

/// Whether the bytes at an address are in this process alone. The caller holds an array there.
pub fn is_sole(address: usize) -> bool {
    range_of(address).is_some_and(|range| range.sole)
}

/// Notes that another process may have the file of an address from now on; unless `offered`, also the bytes. True: none
/// had it before.
pub fn set_exported(address: usize, offered: bool) -> bool {
    let mut ranges = RANGES.lock();
    let found = ranges.iter_mut().find(|range| (range.start..range.start + range.bytes).contains(&address));
    found.is_some_and(|range| {
        range.sole &= offered;
        !core::mem::replace(&mut range.exported, true)
    })
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
    if let Some(range) = RANGES.lock().iter_mut().find(|range| range.start == start) {
        range.writable = true;
    }
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
    let range =
        Range { start, bytes, fd: own.fd(), identity, writable, sole, exported: true, exporter, forks, children };
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

/// Makes a range and its file.
fn make(bytes: usize, alignment: usize, node: u32) -> Outcome<usize> {
    let file = memory_file::create(c"tenure", bytes)?;
    let identity = file.stat()?.identity;
    let start = memory_file::map(&file, bytes, alignment)?;
    if let Some(node) = node.checked_sub(1) {
        os::prefer_node(start, bytes, node);
    }
    let (fd, forks, children) = (file.fd(), thread::forks(), thread::children());
    let (sole, exported, exporter) = (true, false, None);
    let range = Range { start, bytes, fd, identity, writable: true, sole, exported, exporter, forks, children };
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
        Ok(make(bytes, alignment.max(GRANULE), node).map_err(refused).ok())
    }

    fn last_refusal(&self) -> Option<Errno> {
        Some(Errno(REFUSED.load(Ordering::Relaxed))).filter(|errno| errno.0 != 0)
    }

    fn can_reuse(&self, start: usize) -> bool {
        range_of(start).is_some_and(|range| !range.exported && range.children == thread::children())
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
        let memory = os::memory();
        Some((memory.total, memory.free))
    }
}
