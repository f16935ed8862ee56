//! Purge: pages inside spans of small blocks that no live block touches go back to the system. Part of a trim.
//!
//! Contract: a span is in no list while it is purged, so that no block of it is allocated. It counts as queued for
//! collection, so that no thread makes it free. Its blocks are read, and pages returned, under no lock. The state
//! does not change: a purged page stays committed and cached.

use crate::pool::Pool;
use crate::pool::span::block_state::BlockState;
use crate::pool::span::{Span, class};
use crate::pool::state::PoolState;
use crate::sys::os;
use crate::thread::{self, CriticalSection};
use crate::types::*;

/// Steps of occupancy by which spans are sorted.
const STEPS: usize = 8;

impl PoolState {
    /// Takes the small spans of a class with free blocks out of their list, linked by `older`. Spans that are queued
    /// for collection stay.
    fn take_partial(&mut self, class: usize) -> Option<&'static Span> {
        let (mut taken, mut next) = (None, self.partial(class));
        while let Some(span) = next {
            next = span.next.get();
            if !span.is_queued() && span.queued.up() {
                self.delist(span);
                span.older.set(taken);
                taken = Some(span);
            }
        }
        taken
    }

    /// Puts them back, the fullest in front, so that the others run empty.
    fn put_partial(&mut self, pool: &'static Pool, first: Option<&'static Span>) {
        for step in 0..STEPS {
            each(first, |span| {
                if span.taken() * STEPS / span.count.get() == step {
                    self.enlist(span);
                }
            });
        }
        each(first, |span| self.collect_unowned(pool, span));
    }
}

/// Visits a chain of spans. A visited span may leave the chain.
fn each(first: Option<&'static Span>, mut visit: impl FnMut(&'static Span)) {
    let mut next = first;
    while let Some(span) = next {
        next = span.older.get();
        visit(span);
    }
}

impl Pool {
    /// Returns pages that no live block touches, in spans without an owner.
    pub(in crate::pool) fn purge_partial_spans(&'static self) {
        if self.flags.load(core::sync::atomic::Ordering::Relaxed) & TN_POOL_STRICT != 0 || self.is_imported() {
            // Strict mode checks the pattern in freed blocks. And no foreign code is called while spans are in no
            // list.
            return;
        }
        for class in 0..class::COUNT {
            // A fork must not happen while spans are in no list.
            let _inside = CriticalSection::enter(thread::current());
            let first = self.state.lock().take_partial(class);
            if first.is_none() {
                continue;
            }
            each(first, |span| self.purge_span(span));
            self.state.lock().put_partial(self, first);
        }
    }

    fn purge_span(&'static self, span: &'static Span) {
        let (start, block_bytes, page) = (span.start.get(), span.block_bytes.get(), os::page_bytes());
        let used = span.bump.get();
        let discard = |from: usize, to: usize| {
            let (from, to) = (from.next_multiple_of(page), to / page * page);
            if from < to {
                // SAFETY: the pages lie between live blocks of a span of this pool, and no block of it can be
                // allocated now. If the call fails, they stay as they are.
                unsafe { self.ops().discard(start + from, to - from, false) };
            }
        };
        let mut free_from = 0;
        for index in 0..used {
            if !matches!(span.block(index).state, BlockState::Never | BlockState::Freed) {
                discard(free_from, index * block_bytes);
                free_from = (index + 1) * block_bytes;
            }
        }
        // Bytes behind the last allocated block were never touched.
        discard(free_from, (used * block_bytes).next_multiple_of(page).min(span.bytes.get()));
    }
}
