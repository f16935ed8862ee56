//! The fast path: nearly every allocation and free, with plain loads and stores on data of the thread.
//!
//! Contract: that of `blocks`. What the fast path does not do, it leaves unchanged for the slow path: a handle that
//! the thread has not cached, a class without a free block, a block of another thread's span, a call from inside the
//! library, a fork that waits. The machine code matters here: calls only at the end, and nothing that could unwind.

use super::{Heap, handle_cache};
use crate::pool::backing::decayed::give_back_decayed;
use crate::pool::client::PLAIN;
use crate::pool::options::LARGEST_ALIGNMENT;
use crate::pool::span::block_state::{Block, BlockBits, BlockState};
use crate::pool::span::{Span, class, table};
use crate::pool::thread_heap::blocks::free_large;
use crate::pool::{Pool, calls, log, remote_free};
use crate::thread::{self, FastEntry, Thread};
use core::hint;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

/// An allocation by the fast path. Rare upkeep is left to be done.
pub struct FastAllocation {
    heap: &'static Heap,
    inside: FastEntry,
    rare: bool,
    address: usize,
}

impl FastAllocation {
    #[inline(always)]
    pub fn address(&self) -> usize {
        self.address
    }
    /// Ends the call with its result. Comes last, so that no register must be saved for the upkeep.
    #[inline(always)]
    pub fn finish<R>(self, result: R) -> R {
        if self.rare { self.heap.after_allocation(self.inside, result) } else { result }
    }
}

/// A raw block of the C functions' client.
#[inline(always)]
fn plain(thread: &'static Thread, requested: usize, alignment: usize) -> Block {
    Block { state: BlockState::Raw, alignment, requested, tag: PLAIN.tag(thread.stamp()) }
}

/// Allocates a small raw block from the thread's heap of a handle's pool (0: the host's current pool). None, and
/// nothing is changed: the heap has no block at hand, the thread has not cached the handle, or would have to wait.
#[inline(always)]
pub fn allocate_fast(pool: u64, bytes: usize, alignment: usize) -> Option<FastAllocation> {
    let thread = thread::current_fast()?;
    let (inside, heap) = handle_cache::enter(thread, pool)?;
    let class = match alignment {
        0 => class::of_default(bytes, heap.class_mask.get())?,
        _ => class::of_request(bytes, alignment)?,
    };
    let span = heap.ready_span(class);
    let index = span.pop_stacked()?;
    // As `take`. The stamp is read where it is used, so that no register keeps it, nor the class beside it.
    heap.count_allocation(class, PLAIN);
    let taken = heap.hand_out(span, index, plain(thread, bytes, heap.alignment_of(alignment)), PLAIN);
    Some(FastAllocation { heap, inside, rare: taken.rare, address: taken.address })
}

/// As `allocate_fast`, for what the thread keeps elsewhere: a small block in another span of the class, or a large
/// block. Also while events are recorded. Returns the address.
pub fn allocate_cached(pool: u64, bytes: usize, alignment: usize) -> Option<usize> {
    give_back_decayed();
    let thread = thread::current_if_registered()?;
    let inside = FastEntry::begin_recording(thread)?;
    let heap = handle_cache::heap(thread, pool)?;
    let alignment = heap.alignment_of(alignment);
    let block = plain(thread, bytes, alignment);
    let taken = take_cached(heap, inside, block)?;
    if let Some(pool) = heap.pool() {
        pool.log_allocation(taken, block, 0);
    }
    Some(taken)
}

fn take_cached(heap: &'static Heap, inside: FastEntry, block: Block) -> Option<usize> {
    let (bytes, alignment) = (block.requested, block.alignment);
    if let Some(class) = class::of_request(bytes, alignment) {
        let span = heap.span_with_free(class)?;
        let taken = heap.take(class, span, span.pop()?, block, PLAIN);
        return Some(if taken.rare { heap.after_allocation(inside, taken.address) } else { taken.address });
    }
    take_kept(heap, inside, block)
}

/// As `allocate_fast`, for a block that is too large for it: one of those that the thread keeps. Returns the address.
#[inline]
pub fn allocate_kept(pool: u64, bytes: usize, alignment: usize) -> Option<NonNull<u8>> {
    if bytes <= class::LARGEST_BYTES {
        return None;
    }
    let thread = thread::current_fast()?;
    let (inside, heap) = handle_cache::enter(thread, pool)?;
    let kept = take_kept(heap, inside, plain(thread, bytes, heap.alignment_of(alignment)))?;
    NonNull::new(kept as *mut u8)
}

#[inline]
fn take_kept(heap: &'static Heap, inside: FastEntry, block: Block) -> Option<usize> {
    if !block.alignment.is_power_of_two() || block.alignment > LARGEST_ALIGNMENT {
        return None;
    }
    heap.take_cached_large(block, inside)
}

/// As `allocate_cached`, for a large block of a known pool and client.
#[inline]
pub fn allocate_kept_fast(pool: &'static Pool, bytes: usize, alignment: usize, tag: u64) -> Option<usize> {
    // A callback of the pool's own upstream may be under way. Then the slow path refuses.
    let thread = thread::current_if_registered().filter(|thread| !calls::is_any(thread))?;
    let inside = FastEntry::begin(thread)?;
    let heap = Heap::cached(thread, pool)?;
    let alignment = heap.alignment_of(alignment);
    take_kept(heap, inside, Block { state: BlockState::Raw, alignment, requested: bytes, tag })
}

/// As `allocate_fast`, for a block of any kind of a known pool: a store's, or one of a client. Returns the address.
#[inline(always)]
pub fn allocate_in_fast(thread: &'static Thread, pool: &'static Pool, block: Block) -> Option<usize> {
    let inside = FastEntry::begin(thread)?;
    let heap = Heap::cached(thread, pool)?;
    let alignment = heap.alignment_of(block.alignment);
    let class = class::of_request(block.requested, alignment)?;
    let span = heap.ready_span(class);
    let index = span.pop_stacked()?;
    let taken = heap.take(class, span, index, Block { alignment, ..block }, block.client());
    Some(if taken.rare { heap.after_allocation(inside, taken.address) } else { taken.address })
}

/// A C function that frees blocks: what it does where the fast path does not.
pub trait Deallocate {
    /// What the function returns.
    type Status: Copy;
    /// What it returns when a block was freed.
    const DONE: Self::Status;
    /// The slow path, with the arguments of the function. `extern "C"` never unwinds, so the fast path can jump to
    /// it.
    extern "C" fn slow(pool: u64, address: usize, stream: u64) -> Self::Status;
}

/// Frees a raw block of a handle's pool (0: of any pool) that is small, or a large one that the thread may keep.
/// Otherwise calls `D::slow`.
#[inline(always)]
pub fn deallocate_fast<D: Deallocate>(pool: u64, address: usize, stream: u64) -> D::Status {
    let slow = || D::slow(pool, address, stream);
    let Some(thread) = thread::current_fast() else { return slow() };
    let Some((inside, heap)) = handle_cache::enter(thread, pool) else { return slow() };
    let Some((span, offset)) = heap.find_own(address) else {
        return free_not_owned::<D>(pool, address, stream, heap, inside);
    };
    let Some(freed) = heap.free_block(span, offset, BlockBits::is_plain) else {
        drop(inside);
        return slow();
    };
    if freed.rare { heap.after_free(span, inside, D::DONE) } else { D::DONE }
}

/// The end of a call for a block that the thread's heap does not own.
#[inline(never)]
extern "C" fn free_not_owned<D: Deallocate>(
    pool: u64,
    address: usize,
    stream: u64,
    heap: &'static Heap,
    inside: FastEntry,
) -> D::Status {
    let through = if pool == 0 { None } else { heap.pool() };
    // Behind a closed gate the thread may have no record.
    let freed = if heap.is_closed() { None } else { free_elsewhere(inside.thread(), through, address) };
    drop(inside);
    if freed.is_some() { D::DONE } else { D::slow(pool, address, stream) }
}

/// Frees a raw block of any pool, as [`deallocate_fast`], for a thread without a heap of its current pool. False, and
/// nothing is changed: the block needs the slow path.
/// Also while events are recorded.
#[inline(never)]
pub fn deallocate_anywhere(address: usize) -> bool {
    let Some(thread) = thread::current_if_registered() else { return false };
    let free = || FastEntry::begin_recording(thread).and_then(|_inside| free_elsewhere(thread, None, address));
    log::free(None, address, BlockState::Raw, || free().ok_or(())).is_ok()
}

/// Frees a raw block of another thread's heap, or a large one that the thread may keep. If no pool was passed, also a
/// block of any heap of this thread. Returns its requested bytes.
#[inline(always)]
fn free_elsewhere(thread: &'static Thread, through: Option<&'static Pool>, address: usize) -> Option<usize> {
    let span = table::get(address)?;
    match span.heap() {
        None => free_large(thread, through, span, address, BlockState::Raw),
        Some(owner) if !owner.is_of(thread) => remote_free::free_block(thread, through, span, address, BlockState::Raw),
        Some(_) if through.is_some() => None,
        Some(owner) => {
            let freed = owner.free_block(span, address.wrapping_sub(span.start.get()), BlockBits::is_plain)?;
            if freed.rare {
                owner.after_free(span, (), ());
            }
            Some(freed.requested)
        }
    }
}

/// Frees a small block that the thread's heap of a pool owns. Returns its requested bytes. None, and nothing is
/// changed: the block needs the slow path.
#[inline(always)]
pub fn deallocate_in_fast(
    thread: &'static Thread,
    pool: &'static Pool,
    address: usize,
    state: BlockState,
) -> Option<usize> {
    let inside = FastEntry::begin(thread)?;
    let heap = Heap::cached(thread, pool)?;
    let (span, offset) = heap.find_own(address)?;
    let freed = heap.free_block(span, offset, |bits| bits.is(state))?;
    Some(if freed.rare { heap.after_free(span, inside, freed.requested) } else { freed.requested })
}

impl Heap {
    /// The span of a class to allocate from; one without blocks if the heap has none.
    #[inline(always)]
    fn ready_span(&self, class: usize) -> &'static Span {
        // SAFETY: a class, and there is a link for each, which `set_up_ready` has set before any thread had the heap.
        unsafe { self.ready.get_unchecked(class).get().unwrap_unchecked() }
    }

    /// Whether it is the heap behind a closed gate.
    fn is_closed(&self) -> bool {
        self.owner_thread.load(Ordering::Relaxed).is_null()
    }

    /// The alignment of a request; 0 means the pool's.
    #[inline(always)]
    fn alignment_of(&self, asked: usize) -> usize {
        if asked == 0 { self.alignment.get() } else { asked }
    }

    /// The span of this heap that contains the address, and the offset in it.
    #[inline(always)]
    pub(super) fn find_own(&'static self, address: usize) -> Option<(&'static Span, usize)> {
        let recent = &self.recent;
        let offset = address.wrapping_sub(recent.start.get());
        // Nearly always a hit if blocks are freed in order. Then no load waits for the table.
        if offset < recent.bytes.get() {
            // SAFETY: `bytes` is not 0, so there is a span (see `Recent`).
            return Some((unsafe { recent.span.get().unwrap_unchecked() }, offset));
        }
        hint::cold_path();
        let span = table::get_small(address).filter(|span| span.is_of(self))?;
        let start = span.start.get();
        recent.start.set(start);
        recent.bytes.set(span.bytes.get());
        recent.span.set(Some(span));
        Some((span, address.wrapping_sub(start)))
    }
}
