//! The steps of a remote free and of collecting: all that two threads do to a span at the same time. `remote_free`
//! explains them.
//!
//! Contract: the atomics are those of `super::atomic`. In `loom_model`, which compiles this file a second time, they
//! are the model checker's.

use super::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use super::block_state::{BlockCell, BlockState};

/// 1: the span is queued for collection. Set by the thread that frees a block.
#[derive(Debug, Default)]
pub(in crate::pool) struct Queued(AtomicU32);

impl Queued {
    /// Marks the span as queued. True: the caller must put it into the queue.
    pub fn up(&self) -> bool {
        // Sequentially consistent, as the bit set before, and as the reads of the collector: one of the two sees the
        // other.
        self.0.load(Ordering::SeqCst) == 0 && self.0.swap(1, Ordering::SeqCst) == 0
    }
    /// The span left the queue. Called before its blocks are collected.
    pub fn leave(&self) {
        self.0.swap(0, Ordering::SeqCst);
    }
    pub fn is(&self) -> bool {
        self.0.load(Ordering::SeqCst) != 0
    }
}

/// Sets the bit of a returned block.
pub(in crate::pool) fn set_returned(word: &AtomicU64, bit: usize) {
    word.fetch_or(1 << bit, Ordering::SeqCst);
}

/// Publishes a block in limbo to the owner. After the last step it is the owner's to collect, and the caller must not
/// touch the span.
pub(in crate::pool) fn publish(word: &AtomicU64, bit: usize, cell: &BlockCell, queue_up: impl FnOnce()) {
    set_returned(word, bit);
    queue_up();
    cell.exchange(BlockState::Limbo, BlockState::Returned);
}

/// Collects the blocks of one word of bits, as their owner. `push` makes a block free.
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
        // One read: a block in limbo may be returned at the next one.
        let was = cell.get();
        match was.state() {
            BlockState::Returned => {
                // Only the collector changes a returned block.
                cell.set_state(was, BlockState::Freed);
                push(bit);
                all.blocks += 1;
            }
            BlockState::Limbo => {
                // The freeing thread has not finished with the span.
                set_returned(word, bit);
                all.later = true;
            }
            _ => all.wrong += 1,
        }
    }
}

/// What was found among the remote frees of a span.
#[derive(Default)]
pub(in crate::pool) struct Collected {
    /// Blocks that are free again.
    pub blocks: usize,
    /// Bits of blocks that are not returned: two threads freed them at the same moment.
    pub wrong: usize,
    /// Another thread is about to return one more block.
    pub later: bool,
}

/// A lock-free stack: any thread pushes, and one takes the whole.
#[derive(Debug)]
pub(in crate::pool) struct AtomicStack<T>(AtomicPtr<T>);

impl<T> AtomicStack<T> {
    #[cfg(not(loom))]
    pub const fn new() -> AtomicStack<T> {
        AtomicStack(AtomicPtr::new(core::ptr::null_mut()))
    }
    /// Loom's atomics cannot be made at compile time.
    #[cfg(loom)]
    pub fn new() -> AtomicStack<T> {
        AtomicStack(AtomicPtr::new(core::ptr::null_mut()))
    }

    /// Pushes an element that is in no list. `link` stores the element behind it.
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

    /// Whether it is empty at this moment.
    pub fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed).is_null()
    }

    /// Takes all elements; the newest is returned. NULL: none.
    pub fn take(&self) -> *mut T {
        if self.is_empty() { core::ptr::null_mut() } else { self.0.swap(core::ptr::null_mut(), Ordering::Acquire) }
    }
}
