//! The short way: what nearly every call is, done with loads and stores of what the thread has.
//!
//! Contract: that of `blocks`. What is not done is left as it was, for the long way: a handle that the thread does not know yet, a class
//! without room, what another thread owns, a call from inside, a fork that waits. The machine code matters here: no call but at the end,
//! nothing that could unwind.

use super::Heap;
use super::blocks::give_large;
use crate::pool::cell::{Block, State, Word};
use crate::pool::client::PLAIN;
use crate::pool::options::LARGEST_ALIGNMENT;
use crate::pool::span::Span;
use crate::pool::{Pool, class, foreign, handle, table};
use crate::thread::{self, Thread, Visit};

/// A block that was handed out the quick way; what is rare is left to be done.
pub struct Quick {
    heap: &'static Heap,
    inside: Visit,
    rare: bool,
    address: usize,
}

impl Quick {
    /// Where it is.
    #[inline(always)]
    pub fn address(&self) -> usize {
        self.address
    }
    /// The end of the call. Last, so that no register must be saved for what is rare.
    #[inline(always)]
    pub fn finish(self) {
        if self.rare {
            self.heap.after_taking(self.inside);
        }
    }
}

/// What is known of a raw block that the thread asks for through a function of C.
#[inline(always)]
fn plain(thread: &'static Thread, requested: usize, alignment: usize) -> Block {
    Block { state: State::Raw, alignment, requested, tag: PLAIN.tag(thread.stamp()) }
}

/// Hands out a small raw block that the thread's heap of a pool has, by the handle (0: of the host's current pool): what nearly every request
/// is. None, and nothing is changed: the heap has none, the thread does not know the handle, or would have to wait.
#[inline(always)]
pub fn allocate_quickly(pool: u64, bytes: usize, alignment: usize) -> Option<Quick> {
    let thread = thread::known()?;
    let inside = Visit::begin(thread)?;
    let heap = handle::heap(thread, pool)?;
    let alignment = heap.alignment_of(alignment);
    let class = class::of_request(bytes, alignment)?;
    // SAFETY: what a request has is a class, and there is a list for each.
    let span = unsafe { heap.room.get_unchecked(class) }.first()?;
    let taken = heap.take(class, span, plain(thread, bytes, alignment))?;
    Some(Quick { heap, inside, rare: taken.rare, address: taken.address })
}

/// The same for a small block where the span to take from is full and another one has room, and for a large one: where it is.
pub fn allocate_otherwise(pool: u64, bytes: usize, alignment: usize) -> Option<usize> {
    let thread = thread::known()?;
    let inside = Visit::begin(thread)?;
    let heap = handle::heap(thread, pool)?;
    let alignment = heap.alignment_of(alignment);
    let block = plain(thread, bytes, alignment);
    if let Some(class) = class::of_request(bytes, alignment) {
        let taken = heap.take(class, heap.roomy(class)?, block)?;
        if taken.rare {
            heap.after_taking(inside);
        }
        return Some(taken.address);
    }
    if !alignment.is_power_of_two() || alignment > LARGEST_ALIGNMENT {
        return None;
    }
    heap.take_large(block)
}

/// The same for a large block of a pool that is known and a client that says who asks: the one that the thread keeps.
// A call of its own, so that small requests, which pass by, save no more registers than they need.
#[inline(never)]
pub fn allocate_kept_quickly(pool: &'static Pool, bytes: usize, alignment: usize, tag: u64) -> Option<usize> {
    // A callback that is under way may be of the pool's own upstream, which gets a status.
    let thread = thread::known().filter(|thread| thread.calling() == 0)?;
    let _inside = Visit::begin(thread)?;
    let heap = Heap::at_hand(thread, pool)?;
    let alignment = heap.alignment_of(alignment);
    if !alignment.is_power_of_two() || alignment > LARGEST_ALIGNMENT {
        return None;
    }
    heap.take_large(Block { state: State::Raw, alignment, requested: bytes, tag })
}

/// The same for a store's block, of a pool that is known: where it is. `bytes`: at least 1.
#[inline(always)]
pub fn allocate_store_quickly(
    thread: &'static Thread,
    pool: &'static Pool,
    bytes: usize,
    alignment: usize,
    tag: u64,
) -> Option<usize> {
    let inside = Visit::begin(thread)?;
    let heap = Heap::at_hand(thread, pool)?;
    let class = class::of_request(bytes, alignment)?;
    // SAFETY: as in `allocate_quickly`.
    let span = unsafe { heap.room.get_unchecked(class) }.first()?;
    let taken = heap.take(class, span, Block { state: State::Store, alignment, requested: bytes, tag })?;
    if taken.rare {
        heap.after_taking(inside);
    }
    Some(taken.address)
}

/// Gives a small raw block back that the thread's heap of that pool owns (0: of any pool). False, and nothing is changed: it is not that.
#[inline(always)]
pub fn deallocate_quickly(pool: u64, address: usize) -> bool {
    let Some(thread) = thread::known() else { return false };
    let Some(inside) = Visit::begin(thread) else { return false };
    let Some(heap) = handle::heap(thread, pool) else { return false };
    heap.give_own(pool == 0, thread, inside, address, Word::is_plain)
}

/// The same for a store's block, of a pool that is known.
#[inline(always)]
pub fn deallocate_store_quickly(thread: &'static Thread, pool: &'static Pool, address: usize) -> bool {
    let Some(inside) = Visit::begin(thread) else { return false };
    let Some(heap) = Heap::at_hand(thread, pool) else { return false };
    heap.give_own(false, thread, inside, address, |word| word.is(State::Store))
}

/// The same for a large block that the thread may keep, and for a small one that another thread's heap owns.
pub fn deallocate_otherwise(pool: u64, address: usize) -> bool {
    let (Some(thread), Some(span)) = (thread::known(), table::get(address)) else { return false };
    let Some(_inside) = Visit::begin(thread) else { return false };
    let through = match pool {
        0 => None,
        pool => match handle::heap(thread, pool).and_then(Heap::pool) {
            None => return false,
            pool => pool,
        },
    };
    let given = match span.heap() {
        None => give_large(thread, through, span, address, State::Raw),
        Some(heap) if heap.is_of(thread) || through.is_some_and(|pool| !heap.is_in(pool)) => None,
        Some(_) => foreign::give(thread, span, address, State::Raw),
    };
    given.is_some()
}

impl Heap {
    /// The alignment that a request means: 0 is the pool's.
    #[inline(always)]
    fn alignment_of(&self, asked: usize) -> usize {
        if asked == 0 { self.alignment.get() } else { asked }
    }

    /// Takes a block back of a span of this heap, or with `any` of another one of the thread; the end of the call. False, and nothing is
    /// changed: it is not that, or not the right block.
    #[inline(always)]
    fn give_own(
        &'static self,
        any: bool,
        thread: &'static Thread,
        inside: Visit,
        address: usize,
        is_right: impl FnOnce(Word) -> bool,
    ) -> bool {
        let offset = address.wrapping_sub(self.recent.start.get());
        // Nearly always right for what is given back in order, and then nothing waits for a look into the table.
        let found = if offset < self.recent.bytes.get() {
            // SAFETY: some bytes, and so a span (see `Recent`).
            Some((self, unsafe { self.recent.span.get().unwrap_unchecked() }, offset))
        } else {
            self.find_owned(any, thread, address)
        };
        let Some((heap, span, offset)) = found else { return false };
        let Some(given) = heap.give(span, offset, is_right) else { return false };
        if given.rare {
            heap.after_giving(span, inside);
        }
        true
    }

    /// The span of this heap, or with `any` of another one of the thread, that has the address, and the offset in it.
    #[inline(always)]
    pub(super) fn find_owned(
        &'static self,
        any: bool,
        thread: &'static Thread,
        address: usize,
    ) -> Option<(&'static Heap, &'static Span, usize)> {
        let span = table::get(address)?;
        let heap = if span.is_of(self) { self } else { span.heap().filter(|heap| any && heap.is_of(thread))? };
        let offset = address.wrapping_sub(span.start.get());
        heap.recent.start.set(span.start.get());
        heap.recent.bytes.set(span.bytes.get());
        heap.recent.span.set(Some(span));
        Some((heap, span, offset))
    }
}
