//! Blocks that come back from a thread that does not own their span.
//!
//! Giving one back is a compare-exchange of its state, by which of two threads exactly one wins, and a bit of its span, which stays set
//! however often it is set: so no race can hand a block out twice. Whoever sets the first bit puts the span into its pool's list. The owner
//! takes that list apart, the next time it runs out of blocks, and collects from its spans what still is in that state.

use crate::pool::books::Books;
use crate::pool::heap::Heap;
use crate::pool::span::{Kind, Span, State};
use crate::pool::{Pool, table};
use crate::thread::Thread;
use core::sync::atomic::{AtomicPtr, Ordering};

/// Spans with blocks to be collected, newest first; pushed by anyone, taken as a whole.
#[derive(Debug)]
pub(super) struct Returned(AtomicPtr<Span>);

impl Returned {
    /// An empty list.
    pub const fn new() -> Returned {
        Returned(AtomicPtr::new(core::ptr::null_mut()))
    }

    fn push(&self, span: &'static Span) {
        let this = core::ptr::from_ref(span).cast_mut();
        let mut head = self.0.load(Ordering::Relaxed);
        loop {
            // SAFETY: NULL or a span, and those are never unmapped.
            span.queue.set(unsafe { head.as_ref() });
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

    fn take(&self) -> Option<&'static Span> {
        if self.0.load(Ordering::Relaxed).is_null() {
            return None;
        }
        // SAFETY: as in `push`.
        unsafe { self.0.swap(core::ptr::null_mut(), Ordering::Acquire).as_ref() }
    }
}

/// Gives a block back to a span that another thread's heap owned a moment ago; the bytes that were asked for. None, and nothing is changed:
/// it is not the start of a live block of that kind, or the thread has no memory for counting it.
pub(super) fn give(thread: &'static Thread, span: &'static Span, address: usize, state: State) -> Option<usize> {
    let version = span.version();
    let pool = span.pool()?;
    if version & 1 != 0 || span.kind() != Kind::Small {
        return None;
    }
    let heap = Heap::of_or_new(thread, pool)?;
    let index = span.index_at(address.wrapping_sub(span.start.get()))?;
    let (unit, block) = (span.unit.get(), span.block(index));
    if block.state != state || span.version() != version || !table::get(address).is_some_and(|now| now.is(span)) {
        return None;
    }
    if !span.exchange(index, state, State::Returned) {
        return None;
    }
    // A span with a live block stays what it is. It did not: then the address had been given back before, and that state was another
    // block's, which gets it back.
    if span.version() != version {
        span.exchange(index, State::Returned, state);
        return None;
    }
    announce(pool, span, index);
    heap.count_returned(unit, block);
    Some(block.requested)
}

/// Lets the owner know of a returned block.
pub(super) fn announce(pool: &'static Pool, span: &'static Span, index: usize) {
    span.set_returned(index);
    if span.queue_up() {
        pool.returned.push(span);
    }
}

impl Books {
    /// Takes the pool's list of spans with returned blocks apart: each goes to its owner's, and what has none is collected.
    pub fn sort_returned(&mut self, pool: &'static Pool) {
        let mut next = pool.returned.take();
        while let Some(span) = next {
            next = span.queue.get();
            match span.heap() {
                Some(heap) => {
                    span.queue.set(heap.pending.get());
                    heap.pending.set(Some(span));
                }
                None => self.collect_unowned(pool, span),
            }
        }
    }
}
