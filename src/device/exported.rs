//! Memory of a GPU that other processes can open: the source of pools with TN_POOL_IPC (IP-20, IP-23).
//!
//! Contract: each range is one allocation of cuMemAlloc, in multiples of 2 MiB, because the driver shares smaller ones
//! together with their neighbours. A range that was exported, and that an importer has open, is not freed: it is kept,
//! and a later call of this module frees it once no importer has it. The driver would take it away from them.

use super::cuda;
use super::export_file::{self, Entry};
use super::interface::{Device, Terms};
use crate::error::{Result, quietly};
use crate::gpu::ipc::{self, Handle, SharedEvent};
use crate::gpu::{GPUS, gpu};
use crate::grow_unlocked;
use crate::names::Name;
use crate::stream::Stream;
use crate::sys::lock::Mutex;
use crate::thread::{self, QuickLock};
use crate::types::*;
use core::sync::atomic::{AtomicUsize, Ordering};

/// The driver places smaller allocations side by side.
const ALLOCATION_BYTES: usize = 2 << 20;

/// How many kept ranges one request looks at.
const LOOKS_PER_CALL: usize = 16;

/// The memory of a GPU, for pools with TN_POOL_IPC.
#[derive(Debug)]
pub struct Exported {
    gpu: i32,
}

static ALL: [Exported; GPUS] = {
    let mut all = [const { Exported { gpu: 0 } }; GPUS];
    let mut id = 0;
    while id < GPUS {
        all[id].gpu = id as i32;
        id += 1;
    }
    all
};

/// The memory of a GPU. The GPU exists.
pub(super) fn of_gpu(id: i32) -> &'static Exported {
    &ALL[id as usize]
}

/// A range of a pool.
#[derive(Clone, Copy)]
struct Range {
    start: usize,
    bytes: usize,
    gpu: i32,
    /// What other processes know of it; None: it was never exported.
    sent: Option<(Sent, Event)>,
    /// The pool freed it.
    freed: bool,
    /// The pool's serial, and the array's name.
    owner: (u64, Name),
}

/// What an importer needs of a range.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// The first address of the driver's allocation, and its bytes.
    pub base: usize,
    /// The size of the allocation.
    pub bytes: usize,
    /// Its place in the file of this process.
    pub entry: Entry,
    /// The driver's handle of the allocation.
    pub memory: Handle,
    /// The driver's handle of the event.
    pub event: Handle,
}

impl Sent {
    /// For an array without elements.
    pub const NOTHING: Sent =
        Sent { base: 0, bytes: 0, entry: Entry { place: 0, serial: 0 }, memory: [0; 64], event: [0; 64] };
}

/// The event that tells importers when the bytes are valid.
#[derive(Clone, Copy)]
struct Event {
    event: SharedEvent,
    /// Which of the GPU's contexts has it.
    epoch: u32,
}

/// All ranges, by their addresses. A freed one stays at its place until the driver has its memory back.
static RANGES: QuickLock<Vec<Range>> = QuickLock::new(Vec::new());

/// One export at a time makes what crosses.
static EXPORTING: Mutex<()> = Mutex::new(());

fn position(ranges: &[Range], address: usize) -> Option<usize> {
    let at = ranges.partition_point(|range| range.start <= address).checked_sub(1)?;
    (!ranges[at].freed && address < ranges[at].start + ranges[at].bytes).then_some(at)
}

fn range_of(address: usize) -> Option<Range> {
    let ranges = RANGES.lock();
    position(&ranges, address).map(|at| ranges[at])
}

/// Whether an address is in memory of a pool with TN_POOL_IPC.
pub fn has(address: usize) -> bool {
    range_of(address).is_some()
}

/// Whether an address is in the allocation that has an entry of this process's file, and whose pool has not freed it.
pub fn is_of(address: usize, entry: Entry) -> bool {
    range_of(address).and_then(|range| range.sent).is_some_and(|(sent, _)| sent.entry == entry)
}

/// The first address of the allocation that has an entry of this process's file. None: its pool has freed it.
pub fn base_of(entry: Entry) -> Option<usize> {
    let ranges = RANGES.lock();
    let found = ranges.iter().filter(|range| !range.freed).filter_map(|range| range.sent);
    found.into_iter().find(|(sent, _)| sent.entry == entry).map(|(sent, _)| sent.base)
}

/// Prepares the range of an address for importers, who shall wait for the work that a stream has now; None: for none.
/// The caller holds an array there, so that the range stays. None: no range has the address.
pub fn export(address: usize, after: Option<&'static Stream>, owner: (u64, Name)) -> Result<Option<Sent>> {
    let _alone = EXPORTING.lock();
    let Some(range) = range_of(address) else { return Ok(None) };
    let gpu = gpu(range.gpu)?;
    let inside = gpu.enter()?;
    cuda::refuse_dead(range.start)?;
    let sent = match range.sent {
        Some(sent) => sent,
        None => {
            let (base, bytes) = ipc::allocation_of(&inside, range.start)?;
            let memory = ipc::memory_handle(&inside, base)?;
            let (recorded, event) = SharedEvent::create(&inside)?;
            let entry = export_file::add().inspect_err(|_| {
                // SAFETY: just created.
                unsafe { recorded.destroy(&inside) }
            })?;
            thread::on_fork_child(after_fork);
            (Sent { base, bytes, entry, memory, event }, Event { event: recorded, epoch: gpu.epoch() })
        }
    };
    let mut ranges = RANGES.lock();
    let at = position(&ranges, address).expect("the caller holds an array there");
    ranges[at].sent = Some(sent);
    ranges[at].owner = owner;
    drop(ranges);
    if let Some(stream) = after {
        // SAFETY: the event of this range, and a stream of the library that never ends.
        unsafe { sent.1.event.record(&inside, stream.raw())? };
    }
    Ok(Some(sent.0))
}

/// The child of a fork has none of its parent's exports.
fn after_fork() {
    RANGES.lock().iter_mut().for_each(|range| range.sent = None);
}

/// A range that its pool freed, and that importers have open.
#[derive(Clone, Copy)]
pub struct Kept {
    /// The first address.
    pub start: usize,
    /// The size.
    pub bytes: usize,
    /// The GPU.
    pub device: tn_device,
    /// The serial of its pool, which may have been released.
    pub pool: u64,
    /// The name of the array that was exported.
    pub name: Name,
    entry: Entry,
}

impl Kept {
    /// Calls `f` with the numbers of the importing processes.
    pub fn each_importer(&self, f: &mut dyn FnMut(u32)) {
        self.entry.each_importer(f);
    }
}

/// The kept range at or after an address.
pub fn next_kept(address: usize) -> Option<Kept> {
    let ranges = RANGES.lock();
    let first = ranges.partition_point(|range| range.start < address);
    let range = ranges[first..].iter().find(|range| range.freed && range.sent.is_some())?;
    let device = tn_device { r#type: TN_CUDA, id: range.gpu };
    let entry = range.sent?.0.entry;
    Some(Kept { start: range.start, bytes: range.bytes, device, pool: range.owner.0, name: range.owner.1, entry })
}

/// Bytes that a pool has freed, and that importers have open.
pub fn kept_bytes(pool: u64) -> u64 {
    let ranges = RANGES.lock();
    ranges.iter().filter(|range| range.freed && range.owner.0 == pool).map(|range| range.bytes as u64).sum()
}

/// Frees kept ranges of a GPU that no importer has any more. Looks at most at `looks` of them, in turn. Returns whether
/// there were any.
fn free_returned(id: i32, looks: usize) -> bool {
    static TURN: AtomicUsize = AtomicUsize::new(0);
    let is_kept = |range: &&Range| range.freed && range.gpu == id && range.sent.is_some();
    let count = RANGES.lock().iter().filter(is_kept).count();
    let mut any = false;
    for _ in 0..count.min(looks) {
        let found = {
            let ranges = RANGES.lock();
            let behind = ranges.partition_point(|range| range.start <= TURN.load(Ordering::Relaxed));
            let (before, after) = ranges.split_at(behind);
            after.iter().chain(before).find(is_kept).copied()
        };
        let Some(range) = found else { break };
        TURN.store(range.start, Ordering::Relaxed);
        any |= free_kept(&range).is_some();
    }
    any
}

/// Frees a range that its pool freed, unless an importer has it. None: one has it, or another thread frees it. False:
/// the driver refuses.
fn free_kept(range: &Range) -> Option<bool> {
    if range.sent.is_some_and(|(sent, _)| !sent.entry.remove()) {
        return None;
    }
    let removed = grow_unlocked::remove_sorted(&RANGES, range.start, |other| other.start);
    debug_assert!(removed.is_some_and(|removed| removed.freed), "only freed ranges are removed");
    Some(release(range))
}

/// Gives a range back to the driver.
fn release(range: &Range) -> bool {
    if let Some((_, event)) = range.sent
        && let Ok(gpu) = gpu(range.gpu)
        && let Ok(inside) = quietly(|| gpu.enter())
        && event.epoch == gpu.epoch()
    {
        // SAFETY: of the present context, and no process uses it any more.
        unsafe { event.event.destroy(&inside) };
    }
    // SAFETY: from `reserve`, whole, and no process uses it any more.
    unsafe { cuda::of_gpu(range.gpu).free(range.start, range.bytes) }
}

impl Exported {
    fn memory(&self) -> &'static cuda::Memory {
        cuda::of_gpu(self.gpu)
    }

    /// TN_ERR_UNSUPPORTED: memory of the GPU cannot cross to other processes.
    pub(super) fn check(&self) -> Result<()> {
        gpu(self.gpu)?.check_shares_memory()
    }
}

impl Device for Exported {
    fn terms(&self) -> Terms {
        Terms { granule: ALLOCATION_BYTES, ..self.memory().terms() }
    }

    fn reserve(&self, bytes: usize, alignment: usize, node: u32) -> Result<Option<usize>> {
        free_returned(self.gpu, LOOKS_PER_CALL);
        if grow_unlocked::make(&RANGES, 64).is_err() {
            return Ok(None);
        }
        let alignment = alignment.max(ALLOCATION_BYTES);
        let Some(start) = self.memory().reserve(bytes, alignment, node)? else { return Ok(None) };
        let range = Range { start, bytes, gpu: self.gpu, sent: None, freed: false, owner: (0, Name::NONE) };
        if grow_unlocked::insert_sorted(&RANGES, 64, range, |other| other.start).is_ok() {
            return Ok(Some(start));
        }
        release(&range);
        Ok(None)
    }

    unsafe fn free(&self, start: usize, bytes: usize) -> bool {
        let mut ranges = RANGES.lock();
        let at = ranges.partition_point(|range| range.start < start);
        debug_assert!(ranges[at].start == start && ranges[at].bytes == bytes, "ranges are freed whole");
        ranges[at].freed = true;
        let range = ranges[at];
        drop(ranges);
        let freed = free_kept(&range).unwrap_or(true);
        free_returned(self.gpu, LOOKS_PER_CALL);
        freed
    }

    fn free_left_over(&self) -> bool {
        let any = free_returned(self.gpu, usize::MAX);
        self.memory().free_left_over() || any
    }

    cuda::on_streams!();

    fn is_gone(&self) -> bool {
        self.memory().is_gone()
    }

    fn memory(&self) -> Option<(u64, u64)> {
        Device::memory(Exported::memory(self))
    }
}
