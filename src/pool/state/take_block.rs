//! Blocks that are allocated: from free memory, or in memory that has just come from the device.
//!
//! Contract: that of `state`, under the same lock.

use super::{NewBlock, Piece, PoolState, Prealloc, Want};
use crate::pool::Pool;
use crate::pool::span::{BlockMetadata, Kind, Span, class, table};
use crate::pool::thread_heap::Heap;
use crate::sys::os;
use crate::thread;

impl PoolState {
    /// A block from what the pool has, without cutting a span.
    pub fn take_block(&mut self, pool: &'static Pool, want: &Want) -> Option<NewBlock> {
        let Some(class) = want.class else {
            let span = self.take_free(pool, want.span_bytes, want.span_alignment, None)?;
            return Some(self.make_large(span, want));
        };
        let span = self.partial[class].first()?;
        self.take_small(span, want)
    }

    /// A block from what the pool has.
    pub fn take_block_cutting(
        &mut self,
        pool: &'static Pool,
        want: &Want,
        prealloc: &mut Prealloc,
    ) -> Option<NewBlock> {
        let small = want.class.and_then(|class| self.partial[class].first());
        if let Some(span) = small {
            return self.take_small(span, want);
        }
        let span = match self.take_free(pool, want.span_bytes, want.span_alignment, Some(prealloc)) {
            Some(span) => span,
            None if self.merge_recent() => {
                self.take_free(pool, want.span_bytes, want.span_alignment, Some(prealloc))?
            }
            None => return None,
        };
        match want.class {
            None => Some(self.make_large(span, want)),
            Some(_) => self.make_small(span, want, prealloc),
        }
    }

    /// A block in memory that just came from the device. None: the memory is in use already.
    pub fn take_block_in(
        &mut self,
        pool: &'static Pool,
        piece: Piece,
        want: &Want,
        prealloc: &mut Prealloc,
    ) -> Option<NewBlock> {
        let mut span = self.adopt(pool, piece, prealloc)?;
        if self.stream_lists.is_some() {
            return self.take_block_in_for_stream(span, want, prealloc);
        }
        if span.bytes.get() > want.span_bytes {
            let (front, rest) = self.front_of(span, want.span_bytes, prealloc)?;
            self.set_free_apart(rest, os::coarse_ms());
            span = front;
        }
        match want.class {
            None => Some(self.make_large(span, want)),
            Some(_) => self.make_small(span, want, prealloc),
        }
    }

    /// Enters memory that just came from the device as a span in no list. None: the memory is in use already.
    fn adopt(&mut self, pool: &'static Pool, piece: Piece, prealloc: &mut Prealloc) -> Option<&'static Span> {
        let (start, bytes) = (piece.start, piece.bytes);
        let source = self.enter_source(&piece)?;
        let clean = if self.settings.terms.zeroed { bytes - piece.dirty } else { 0 };
        let span = prealloc.span()?;
        span.change(|| {
            span.set_kind(Kind::None);
            span.set_pool(pool);
            span.start.set(start);
            span.bytes.set(bytes);
            span.clean.set(clean);
            span.set_source(source);
            span.set_metadata(None);
        });
        if let Some(ready) = piece.ready {
            span.uses.set(ready);
        }
        table::put(start, bytes, Some(span));
        let f = &mut self.figures;
        f.reserved_bytes += bytes as u64;
        f.address_bytes += bytes as u64;
        f.device_bytes_total += bytes as u64;
        f.metadata_bytes += size_of::<Span>() as u64;
        self.peak();
        Some(span)
    }

    /// Enters memory that just came from the device as free.
    pub fn add_free(&mut self, pool: &'static Pool, piece: Piece, prealloc: &mut Prealloc, now: u64) -> bool {
        let Some(span) = self.adopt(pool, piece, prealloc) else { return false };
        if self.stream_lists.is_some() {
            self.set_free_ordered(span, now);
            return true;
        }
        self.set_free(span, now);
        true
    }

    pub(super) fn make_large(&mut self, span: &'static Span, want: &Want) -> NewBlock {
        span.change(|| {
            span.set_metadata(None);
            span.block_bytes.set(want.block_bytes);
            span.count.set(1);
            span.bump.set(1);
            span.set_block(0, want.block);
            span.set_kind(Kind::Large);
        });
        self.figures.overhead_bytes += (span.bytes.get() - want.block_bytes) as u64;
        self.count_in(want.block_bytes, want.block);
        let dirty = span.bytes.get() - span.clean.get();
        span.clean.set(span.clean.get().min(span.bytes.get() - want.block_bytes));
        NewBlock { address: span.start.get(), zero: dirty == 0, dirty, ready: None }
    }

    fn make_small(&mut self, span: &'static Span, want: &Want, prealloc: &mut Prealloc) -> Option<NewBlock> {
        let (class, metadata) = prealloc.metadata.take()?;
        metadata.clear();
        span.change(|| {
            span.set_metadata(Some(metadata));
            span.class.set(class);
            span.block_bytes.set(want.block_bytes);
            span.reciprocal.set(class::reciprocal(class));
            span.count.set(span.bytes.get() / want.block_bytes);
            span.start_over();
            span.set_fresh(span.clean.get() == span.bytes.get());
            span.set_heap(None);
            span.set_kind(Kind::Small);
        });
        self.figures.overhead_bytes += (span.bytes.get() % want.block_bytes) as u64;
        self.figures.metadata_bytes += BlockMetadata::bytes(class) as u64;
        self.empty[class] += 1;
        self.enlist(span);
        self.take_small(span, want)
    }

    fn take_small(&mut self, span: &'static Span, want: &Want) -> Option<NewBlock> {
        let (class, was_empty) = (span.class.get(), span.is_empty());
        let index = span.pop()?;
        if was_empty {
            self.empty[class] -= 1;
        }
        let zero = span.is_fresh() && span.is_untouched(index);
        span.set_block(index, want.block);
        // The pool may have been released since the heap was found. Then it has no heaps any more.
        let is_ours = |heap: &&'static Heap| {
            !self.retired && heap.is_of(thread::current()) && span.pool().is_some_and(|pool| heap.is_in(pool))
        };
        let heap = want.heap.filter(is_ours);
        if heap.is_some() || span.is_full() {
            self.delist(span);
        }
        if let Some(heap) = heap {
            heap.own(span);
        }
        self.count_in(want.block_bytes, want.block);
        Some(NewBlock::new(span.address_of(index, want.block_bytes), zero))
    }
}
