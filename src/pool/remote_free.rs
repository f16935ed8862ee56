//! Remote frees: blocks freed by a thread that does not own their span.
//!
//! A remote free is a compare-exchange of the block's state, which exactly one of two threads wins, and a bit of the
//! span. The bit may be set any number of times, so no race can allocate a block twice. A second exchange is the last
//! access to the span. The thread that sets the first bit queues the span in its pool. When the owner runs out of
//! blocks, it takes that queue and collects its spans with plain stores, because no other thread changes a returned
//! block.

use crate::pool::Pool;
use crate::pool::span::block_state::BlockState;
use crate::pool::span::{Kind, Span};
use crate::pool::state::PoolState;
use crate::pool::thread_heap::Heap;
use crate::thread::Thread;
use core::sync::atomic::{Ordering, fence};

/// Frees a block of a span that another thread's heap owned a moment ago. Returns the requested bytes. None, and
/// nothing is changed: it is not the start of a live block in the given state, not of the pool that was passed, or
/// the thread has no heap to count in.
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
    // What is read here belongs together if the version is the same afterwards. Then the block lies in the span.
    let index = span.index_at(address.wrapping_sub(span.start.get()))?;
    let (cell, block_bytes) = (span.shared_cell(index)?, span.block_bytes.get());
    let bits = cell.get();
    let slack = match state {
        BlockState::Store => block_bytes.wrapping_sub(span.block(index).requested),
        _ => bits.slack(),
    };
    // Orders the reads above before the version, as in `Span::read`.
    fence(Ordering::Acquire);
    if !bits.is(state) || span.version() != version {
        return None;
    }
    if !span.change_block(version, cell, bits, BlockState::Limbo) {
        return None;
    }
    publish(pool, span, index);
    heap.count_elsewhere(block_bytes, slack, bits.client());
    Some(block_bytes.wrapping_sub(slack))
}

/// Publishes a block in limbo to the owner of its span. While the block is in limbo the span stays the owner's. After
/// the last step the block is the owner's to collect, and the caller must not touch the span.
pub(super) fn publish(pool: &'static Pool, span: &'static Span, index: usize) {
    span.publish(index, || queue_up(pool, span));
}

fn queue_up(pool: &'static Pool, span: &'static Span) {
    if span.queued.up() {
        // SAFETY: NULL or a span, and those are never unmapped.
        pool.returned.push(core::ptr::from_ref(span).cast_mut(), |next| span.queue.set(unsafe { next.as_ref() }));
    }
}

/// Collects the remote frees of a span that was just taken off the queue, as its owner. Returns the blocks, and how
/// many were freed twice. A block that is about to be returned queues the span again.
pub(super) fn collect(pool: &'static Pool, span: &'static Span) -> (usize, usize) {
    span.queued.leave();
    let all = span.collect();
    if all.later {
        queue_up(pool, span);
    }
    (all.blocks, all.wrong)
}

impl PoolState {
    /// Distributes the pool's queue: each span goes to its owner's queue; a span without an owner is collected.
    pub fn sort_returned(&mut self, pool: &'static Pool) {
        // SAFETY: as in `queue_up`.
        let mut next = unsafe { pool.returned.take().as_ref() };
        while let Some(span) = next {
            next = span.queue.get();
            // Two threads that freed one block at the same moment can queue a span that is something else by now.
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
