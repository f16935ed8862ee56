//! The short way: what nearly every call is, done with loads and stores of what the thread has.
//!
//! Contract: that of `blocks`. What is not done is left as it was, for the long way: a handle that the thread does not know yet, a class
//! without room, what another thread owns, a call from inside, a fork that waits. The machine code matters here: no call but at the end,
//! nothing that could unwind.

use super::Heap;
use crate::pool::client::PLAIN;
use crate::pool::options::LARGEST_ALIGNMENT;
use crate::pool::span::block_state::{Block, BlockBits, BlockState};
use crate::pool::span::{Span, class, table};
use crate::pool::thread_heap::blocks::free_large;
use crate::pool::{Pool, handle, remote_free};
use crate::thread::{self, FastEntry, Thread};

/// A block that was handed out the quick way; what is rare is left to be done.
pub struct FastAllocation {
    heap: &'static Heap,
    inside: FastEntry,
    rare: bool,
    address: usize,
}

impl FastAllocation {
    /// Where it is.
    #[inline(always)]
    pub fn address(&self) -> usize {
        self.address
    }
    /// The end of the call, with its result. Last, so that no register must be saved for what is rare.
    #[inline(always)]
    pub fn finish<R>(self, result: R) -> R {
        if self.rare { self.heap.after_allocation(self.inside, result) } else { result }
    }
}

/// What is known of a raw block that the thread asks for through a function of C.
#[inline(always)]
fn plain(thread: &'static Thread, requested: usize, alignment: usize) -> Block {
    Block { state: BlockState::Raw, alignment, requested, tag: PLAIN.tag(thread.stamp()) }
}

/// Hands out a small raw block that the thread's heap of a pool has, by the handle (0: of the host's current pool): what nearly every request
/// is. None, and nothing is changed: the heap has none, the thread does not know the handle, or would have to wait.
#[inline(always)]
pub fn allocate_fast(pool: u64, bytes: usize, alignment: usize) -> Option<FastAllocation> {
    let thread = thread::current_fast()?;
    let inside = FastEntry::begin(thread)?;
    let heap = handle::heap(thread, pool)?;
    let alignment = heap.alignment_of(alignment);
    let class = class::of_request(bytes, alignment)?;
    // SAFETY: what a request has is a class, and there is a list for each.
    let span = unsafe { heap.with_free.get_unchecked(class) }.first()?;
    let taken = heap.take(class, span, || plain(thread, bytes, alignment))?;
    Some(FastAllocation { heap, inside, rare: taken.rare, address: taken.address })
}

/// The same for a small block where the span to take from is full and another one has room, and for a large one: where it is.
pub fn allocate_cached(pool: u64, bytes: usize, alignment: usize) -> Option<usize> {
    let thread = thread::current_if_registered()?;
    let inside = FastEntry::begin(thread)?;
    let heap = handle::heap(thread, pool)?;
    let alignment = heap.alignment_of(alignment);
    let block = plain(thread, bytes, alignment);
    if let Some(class) = class::of_request(bytes, alignment) {
        let taken = heap.take(class, heap.span_with_free(class)?, || block)?;
        return Some(if taken.rare { heap.after_allocation(inside, taken.address) } else { taken.address });
    }
    if !alignment.is_power_of_two() || alignment > LARGEST_ALIGNMENT {
        return None;
    }
    heap.take_cached_large(block)
}

/// The same for a large block of a pool that is known and a client that says who asks: the one that the thread keeps.
#[inline]
pub fn allocate_kept_fast(pool: &'static Pool, bytes: usize, alignment: usize, tag: u64) -> Option<usize> {
    // A callback that is under way may be of the pool's own upstream, which gets a status.
    let thread = thread::current_if_registered().filter(|thread| thread.calling() == 0)?;
    let _inside = FastEntry::begin(thread)?;
    let heap = Heap::cached(thread, pool)?;
    let alignment = heap.alignment_of(alignment);
    if !alignment.is_power_of_two() || alignment > LARGEST_ALIGNMENT {
        return None;
    }
    heap.take_cached_large(Block { state: BlockState::Raw, alignment, requested: bytes, tag })
}

/// The same for a store's block, of a pool that is known: where it is. `bytes`: at least 1.
#[inline(always)]
pub fn allocate_store_fast(
    thread: &'static Thread,
    pool: &'static Pool,
    bytes: usize,
    alignment: usize,
    tag: u64,
) -> Option<usize> {
    let inside = FastEntry::begin(thread)?;
    let heap = Heap::cached(thread, pool)?;
    let class = class::of_request(bytes, alignment)?;
    // SAFETY: as in `allocate_fast`.
    let span = unsafe { heap.with_free.get_unchecked(class) }.first()?;
    let taken = heap.take(class, span, || Block { state: BlockState::Store, alignment, requested: bytes, tag })?;
    Some(if taken.rare { heap.after_allocation(inside, taken.address) } else { taken.address })
}

/// A function of C that gives blocks back: what it does where the quick way does not.
pub trait Deallocate {
    /// What it tells.
    type Status: Copy;
    /// What it tells when a block was given back.
    const DONE: Self::Status;
    /// The long way, with what the function got. Of C's kind, which never unwinds: so it can be jumped to.
    extern "C" fn slow(pool: u64, address: usize, stream: u64) -> Self::Status;
}

/// Gives a raw block back that is small, or a large one that the thread may keep, of that pool (0: of any). What is not that, `D` does.
#[inline(always)]
pub fn deallocate_fast<D: Deallocate>(pool: u64, address: usize, stream: u64) -> D::Status {
    let slow = || D::slow(pool, address, stream);
    let Some(thread) = thread::current_fast() else { return slow() };
    let Some(inside) = FastEntry::begin(thread) else { return slow() };
    let Some(heap) = handle::heap(thread, pool) else {
        drop(inside);
        return slow();
    };
    let Some((span, offset)) = heap.find_own(address) else {
        return free_not_owned::<D>(pool, address, stream, heap, inside);
    };
    let Some(given) = heap.free_block(span, offset, BlockBits::is_plain) else {
        drop(inside);
        return slow();
    };
    if given.rare { heap.after_free(span, inside, D::DONE) } else { D::DONE }
}

/// What the thread's heap does not own: the end of the call.
#[inline(never)]
extern "C" fn free_not_owned<D: Deallocate>(
    pool: u64,
    address: usize,
    stream: u64,
    heap: &'static Heap,
    inside: FastEntry,
) -> D::Status {
    let through = if pool == 0 { None } else { heap.pool() };
    let given = free_elsewhere(inside.thread(), through, address);
    drop(inside);
    if given.is_some() { D::DONE } else { D::slow(pool, address, stream) }
}

/// Gives a raw block back, of any pool: what [`deallocate_fast`] does, for a thread that has no heap of its current pool. False, and
/// nothing is changed: it is not that.
#[inline(never)]
pub fn deallocate_anywhere(address: usize) -> bool {
    let Some(thread) = thread::current_if_registered() else { return false };
    FastEntry::begin(thread).and_then(|_inside| free_elsewhere(thread, None, address)).is_some()
}

/// Gives a raw block back that another thread's heap owns, or a large one that the thread may keep, or where no pool was passed one of any
/// heap of the thread's. The bytes that were asked for.
#[inline(always)]
fn free_elsewhere(thread: &'static Thread, through: Option<&'static Pool>, address: usize) -> Option<usize> {
    let span = table::get(address)?;
    match span.heap() {
        None => free_large(thread, through, span, address, BlockState::Raw),
        Some(owner) if !owner.is_of(thread) => remote_free::free_block(thread, through, span, address, BlockState::Raw),
        Some(_) if through.is_some() => None,
        Some(owner) => {
            let given = owner.free_block(span, address.wrapping_sub(span.start.get()), BlockBits::is_plain)?;
            if given.rare {
                owner.after_free(span, (), ());
            }
            Some(given.requested)
        }
    }
}

/// Gives a store's block back that the thread's heap of a pool owns. False, and nothing is changed: it is not that.
#[inline(always)]
pub fn deallocate_store_fast(thread: &'static Thread, pool: &'static Pool, address: usize) -> bool {
    let Some(inside) = FastEntry::begin(thread) else { return false };
    let Some(heap) = Heap::cached(thread, pool) else { return false };
    let Some((span, offset)) = heap.find_own(address) else { return false };
    let Some(given) = heap.free_block(span, offset, |word| word.is(BlockState::Store)) else { return false };
    if given.rare { heap.after_free(span, inside, true) } else { true }
}

impl Heap {
    /// The alignment that a request means: 0 is the pool's.
    #[inline(always)]
    fn alignment_of(&self, asked: usize) -> usize {
        if asked == 0 { self.alignment.get() } else { asked }
    }

    /// The span of this heap that has the address, and the offset in it.
    #[inline(always)]
    pub(super) fn find_own(&'static self, address: usize) -> Option<(&'static Span, usize)> {
        let offset = address.wrapping_sub(self.recent.start.get());
        // Nearly always right for what is given back in order, and then nothing waits for a look into the table.
        if offset < self.recent.bytes.get() {
            // SAFETY: some bytes, and so a span (see `Recent`).
            return Some((unsafe { self.recent.span.get().unwrap_unchecked() }, offset));
        }
        let span = table::get(address).filter(|span| span.is_of(self))?;
        let start = span.start.get();
        self.recent.start.set(start);
        self.recent.bytes.set(span.bytes.get());
        self.recent.span.set(Some(span));
        Some((span, address.wrapping_sub(start)))
    }
}
