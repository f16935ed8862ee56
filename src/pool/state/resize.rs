//! Blocks that change their size: within their span, with the free span behind it, or at other addresses.
//!
//! Contract: that of `state`, under the same lock. The block is in limbo: no other thread can find it.

use super::{PoolState, Prealloc, Want};
use crate::device::host::GRANULE;
use crate::pool::Pool;
use crate::pool::span::block_state::{Block, BlockState};
use crate::pool::span::{Kind, Span, SpanSource, table};

impl PoolState {
    /// Sets the requested bytes of a block in limbo.
    pub fn resize(&mut self, span: &'static Span, index: usize, block: Block, requested: usize) {
        span.set_block(index, Block { requested, state: BlockState::Limbo, ..block });
        self.change(block, 0, (requested as u64).wrapping_sub(block.requested as u64));
        self.peak();
    }

    /// Sets the usable bytes of a large block within its span.
    pub fn set_usable(&mut self, span: &'static Span, usable: usize) {
        let old = span.block_bytes.get();
        debug_assert!(usable <= span.bytes.get());
        span.change(|| {
            span.block_bytes.set(usable);
            span.clean.set(span.clean.get().min(span.bytes.get() - usable));
        });
        self.figures.overhead_bytes = self.figures.overhead_bytes + old as u64 - usable as u64;
        self.change(span.block(0), (usable as u64).wrapping_sub(old as u64), 0);
        self.peak();
    }

    /// Shrinks a large block in place. Whole granules that it no longer needs become free.
    pub fn shrink(&mut self, span: &'static Span, usable: usize, prealloc: &mut Prealloc, now: u64) {
        self.set_usable(span, usable);
        let keep = usable.next_multiple_of(GRANULE);
        if keep < span.bytes.get()
            && !self.settings.terms.whole
            && let Some(rest) = self.cut_off(span, keep, prealloc)
        {
            self.figures.overhead_bytes -= rest.bytes.get() as u64;
            self.set_free(rest, now);
        }
    }

    /// Extends a large block's span by the free span behind it.
    pub fn grow_in_place(
        &mut self,
        pool: &'static Pool,
        span: &'static Span,
        bytes: usize,
        prealloc: &mut Prealloc,
    ) -> bool {
        let Some(next) = table::get(span.end()) else { return false };
        let more = bytes - span.bytes.get();
        if !self.owns(pool, next)
            || next.kind() != Kind::Free
            || next.start.get() != span.end()
            || !self.may_join(span, next)
            || next.bytes.get() < more
        {
            return false;
        }
        self.unlist_free(next);
        if next.bytes.get() > more {
            let since = next.freed_ms();
            let Some(rest) = self.cut_off(next, more, prealloc) else {
                self.list_free(next);
                return false;
            };
            self.set_free_apart(rest, since);
        }
        span.change(|| {
            span.bytes.set(bytes);
            span.clean.set(next.clean.get().min(more));
        });
        if !next.same_source(span) {
            span.set_source(SpanSource::Several);
        }
        table::put(next.start.get(), more, Some(span));
        self.figures.overhead_bytes += more as u64;
        self.drop_span(next);
        true
    }

    /// Removes a large block's span from the table, to be moved to other addresses.
    pub fn lift(&mut self, span: &'static Span) {
        table::put(span.start.get(), span.bytes.get(), None);
    }

    /// Enters a lifted span again where it was.
    pub fn put_back(&mut self, span: &'static Span) {
        table::put(span.start.get(), span.bytes.get(), Some(span));
    }

    /// Enters a lifted span where its pages went. Its block becomes live with its new size.
    pub fn put_down(&mut self, span: &'static Span, start: usize, want: &Want) {
        let (old_bytes, old_unit) = (span.bytes.get(), span.block_bytes.get());
        self.reservations += 1;
        span.change(|| {
            span.start.set(start);
            span.set_source(SpanSource::Reservation(self.reservations));
            span.bytes.set(want.span_bytes);
            span.block_bytes.set(want.block_bytes);
            span.clean.set(0);
            span.set_block(0, want.block);
        });
        table::put(start, want.span_bytes, Some(span));
        let f = &mut self.figures;
        f.reserved_bytes = f.reserved_bytes + want.span_bytes as u64 - old_bytes as u64;
        f.address_bytes = f.address_bytes + want.span_bytes as u64 - old_bytes as u64;
        f.device_bytes_total += (want.span_bytes - old_bytes) as u64;
        f.overhead_bytes =
            f.overhead_bytes + (want.span_bytes - want.block_bytes) as u64 - (old_bytes - old_unit) as u64;
        self.count_in(want.block_bytes, want.block);
    }
}
