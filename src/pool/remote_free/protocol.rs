//! The steps by which a block comes back from a thread that does not own its span, and by which the owner takes it: all that two threads do
//! at the same time. `foreign` says what they are for.
//!
//! Contract: the atomics are those of `super`: the system's, or in `rehearsal`, where the same text is built once more, the model checker's.

use super::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use super::block_state::{BlockCell, BlockState};

/// 1: the span is in a list of those with blocks to be collected. Written by whoever returns a block.
#[derive(Debug, Default)]
pub(in crate::pool) struct Queued(AtomicU32);

impl Queued {
    /// BlockMetadata that there are blocks to be collected; true for the one who then has to put it into the list.
    pub fn up(&self) -> bool {
        // Sequentially consistent, as the bit that was set before and the looks of the collector: one of the two sees the other.
        self.0.load(Ordering::SeqCst) == 0 && self.0.swap(1, Ordering::SeqCst) == 0
    }
    /// It is in no list any more; before its blocks are collected.
    pub fn leave(&self) {
        self.0.swap(0, Ordering::SeqCst);
    }
    pub fn is(&self) -> bool {
        self.0.load(Ordering::SeqCst) != 0
    }
}

/// BlockMetadata that a block was returned.
pub(in crate::pool) fn set_returned(word: &AtomicU64, bit: usize) {
    word.fetch_or(1 << bit, Ordering::SeqCst);
}

/// Lets the owner know of a block in limbo. With the last step it is the owner's to collect, and the span nothing that the caller may touch.
pub(in crate::pool) fn publish(word: &AtomicU64, bit: usize, cell: &BlockCell, queue_up: impl FnOnce()) {
    set_returned(word, bit);
    queue_up();
    cell.exchange(BlockState::Limbo, BlockState::Returned);
}

/// Takes the blocks of one word of bits, as their owner; `push` makes them such as can be had.
pub(in crate::pool) fn collect<'a>(
    word: &AtomicU64,
    cell: impl Fn(usize) -> &'a BlockCell,
    mut push: impl FnMut(usize),
    all: &mut Collected,
) {
    if word.load(Ordering::SeqCst) == 0 {
        return;
    }
    let mut bits = word.swap(0, Ordering::SeqCst);
    while bits != 0 {
        let bit = bits.trailing_zeros() as usize;
        bits &= bits - 1;
        let cell = cell(bit);
        // One look: what is in limbo now may be returned at the next.
        let was = cell.get();
        match was.state() {
            BlockState::Returned => {
                // The collector's alone: nobody else changes what is not live.
                cell.set_state(was, BlockState::Freed);
                push(bit);
                all.blocks += 1;
            }
            BlockState::Limbo => {
                // Who returns it has not let go of the span yet.
                set_returned(word, bit);
                all.later = true;
            }
            _ => all.wrong += 1,
        }
    }
}

/// What was found among the blocks of a span that others gave back.
#[derive(Default)]
pub(in crate::pool) struct Collected {
    /// Blocks that can be had again.
    pub blocks: usize,
    /// BlockMetadata of blocks that are not returned: they were given back twice at the same moment.
    pub wrong: usize,
    /// Somebody is about to return one more.
    pub later: bool,
}

/// A list, newest first; pushed by anyone, taken as a whole.
#[derive(Debug)]
pub(in crate::pool) struct AtomicStack<T>(AtomicPtr<T>);

impl<T> AtomicStack<T> {
    /// An empty one.
    #[cfg(not(loom))]
    pub const fn new() -> AtomicStack<T> {
        AtomicStack(AtomicPtr::new(core::ptr::null_mut()))
    }
    /// An empty one. The checker's atomics are not made at compile time.
    #[cfg(loom)]
    pub fn new() -> AtomicStack<T> {
        AtomicStack(AtomicPtr::new(core::ptr::null_mut()))
    }

    /// Puts one in that is in no list; `link` metadata which one is behind it.
    pub fn push(&self, this: *mut T, link: impl Fn(*mut T)) {
        let mut head = self.0.load(Ordering::Relaxed);
        loop {
            link(head);
            // Release pairs with the Acquire in `take`: the link is seen.
            match self.0.compare_exchange_weak(head, this, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Whether nothing is in it at this moment.
    pub fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed).is_null()
    }

    /// The first of all that were in it; NULL: none.
    pub fn take(&self) -> *mut T {
        if self.is_empty() { core::ptr::null_mut() } else { self.0.swap(core::ptr::null_mut(), Ordering::Acquire) }
    }
}
