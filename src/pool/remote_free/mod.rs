//! Blocks that come back from a thread that does not own their span.
//!
//! Giving one back is a compare-exchange of its state, by which of two threads exactly one wins, and a bit of its span, which stays set
//! however often it is set: so no race can hand a block out twice. A second exchange is the last touch of the span. Whoever sets the first
//! bit puts the span into its pool's list. The owner takes that list apart, the next time it runs out of blocks, and collects from its spans
//! what still is in that state, with plain stores: what is returned is nobody else's.

pub(super) mod protocol;

use crate::pool::Pool;
use crate::pool::span::block_state;
use crate::pool::span::block_state::BlockState;
use crate::pool::span::{Kind, Span};
use crate::pool::state::PoolState;
use crate::pool::thread_heap::Heap;
use crate::thread::Thread;
use core::sync::atomic;
use core::sync::atomic::{Ordering, fence};
use protocol::AtomicStack;

/// Spans with blocks to be collected.
pub(super) type Returned = AtomicStack<Span>;

/// Gives a block back to a span that another thread's heap owned a moment ago; the bytes that were asked for. None, and nothing is changed:
/// it is not the start of a live block of that kind, or not of the pool that was passed, or the thread has no memory for counting it.
#[inline]
pub(super) fn free_block(
    thread: &'static Thread,
    through: Option<&'static Pool>,
    span: &'static Span,
    address: usize,
    state: BlockState,
) -> Option<usize> {
    let version = span.version();
    let pool = span.pool()?;
    if version & 1 != 0 || span.kind() != Kind::Small || through.is_some_and(|through| !core::ptr::eq(through, pool)) {
        return None;
    }
    let heap = Heap::cached(thread, pool).or_else(|| Heap::of_or_new(thread, pool))?;
    // What is read here belongs together if the version is the same afterwards; then the block lies in the span.
    let index = span.index_at(address.wrapping_sub(span.start.get()))?;
    let (cell, block_bytes) = (span.shared_cell(index)?, span.block_bytes.get());
    let word = cell.get();
    let slack = match state {
        BlockState::Store => block_bytes.wrapping_sub(span.block(index).requested),
        _ => word.slack(),
    };
    // Orders what was read before the version, as in `Span::read`.
    fence(Ordering::Acquire);
    if !word.is(state) || span.version() != version {
        return None;
    }
    if !span.claim(version, cell, word, BlockState::Limbo) {
        return None;
    }
    publish(pool, span, index);
    heap.count_elsewhere(block_bytes, slack, word.client());
    Some(block_bytes.wrapping_sub(slack))
}

/// Lets the owner know of a block that is returned, and is in limbo so far: as long as it is, the span stays the owner's. With the last step
/// the block is the owner's to collect, and the span nothing that the caller may touch.
pub(super) fn publish(pool: &'static Pool, span: &'static Span, index: usize) {
    span.publish(index, || queue_up(pool, span));
}

fn queue_up(pool: &'static Pool, span: &'static Span) {
    if span.queued.up() {
        // SAFETY: NULL or a span, and those are never unmapped.
        pool.returned.push(core::ptr::from_ref(span).cast_mut(), |next| span.queue.set(unsafe { next.as_ref() }));
    }
}

/// Collects the returned blocks of a span that is in no list any more, as its owner: how many, and how many were given back twice. What
/// somebody is about to return brings it into the list again.
pub(super) fn collect(pool: &'static Pool, span: &'static Span) -> (usize, usize) {
    span.queued.leave();
    let all = span.collect();
    if all.later {
        queue_up(pool, span);
    }
    (all.blocks, all.wrong)
}

impl PoolState {
    /// Takes the pool's list of spans with returned blocks apart: each goes to its owner's, and what has none is collected.
    pub fn sort_returned(&mut self, pool: &'static Pool) {
        // SAFETY: as in `queue_up`.
        let mut next = unsafe { pool.returned.take().as_ref() };
        while let Some(span) = next {
            next = span.queue.get();
            // Two threads that gave one block back at the same moment can bring a span here that is something else by now.
            let stray = span.kind() != Kind::Small || !span.pool().is_some_and(|owner| core::ptr::eq(owner, pool));
            match span.heap() {
                _ if stray => span.queued.leave(),
                Some(heap) => {
                    span.queue.set(heap.pending.get());
                    heap.pending.set(Some(span));
                }
                None => self.collect_unowned(pool, span),
            }
        }
    }
}
