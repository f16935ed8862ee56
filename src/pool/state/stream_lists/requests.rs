//! Requests: free spans are found, cut and allocated; live blocks change their size.
//!
//! Contract: that of `stream_lists`. The request's stream may use an allocated span without a wait, because only this
//! stream used it, or the stream comes after its uses.

use super::ranges::range_of;
use super::{LARGEST_IN_RANGE_BYTES, LEAST_REST_BYTES, MULTI_STREAM_LOOKS};
use crate::device::Terms;
use crate::device::host::GRANULE;
use crate::pool::span::block_state::{Block, BlockState};
use crate::pool::span::range_map::MIN_PIECE_BYTES;
use crate::pool::span::stream_uses::{FreeListKind, Point};
use crate::pool::span::{Kind, Span, StreamMark};
use crate::pool::state::free_bins::FreeBins;
use crate::pool::state::{NewBlock, PoolState, Prealloc, Want};
use crate::sys::os;
use crate::types::{TN_POOL_IPC, TN_POOL_ZERO_ON_FREE};

impl Want {
    /// Whether the block is cut from a range.
    pub fn is_in_range(&self) -> bool {
        self.block_bytes <= LARGEST_IN_RANGE_BYTES && self.span_alignment < GRANULE
    }

    /// Spans of one bin, or multi-stream spans, that a search looks at.
    pub(super) fn looks(&self) -> usize {
        if self.exhaustive { usize::MAX } else { MULTI_STREAM_LOOKS }
    }

    /// A span in the bins that fits.
    pub(super) fn find_on(&self, free_bins: &FreeBins) -> Option<&'static Span> {
        free_bins.find_within(self.span_bytes, self.span_alignment, self.looks())
    }

    /// Smallest rest that is cut off.
    pub(super) fn least_rest(&self, terms: &Terms) -> usize {
        match self.is_in_range() {
            true => MIN_PIECE_BYTES,
            // Merges with any neighbour.
            false if terms.joins => GRANULE,
            false => LEAST_REST_BYTES,
        }
    }
}

impl PoolState {
    /// A block that the request's stream may have without a wait. Without descriptors only one that needs no cut.
    pub fn take_block_for_stream(&mut self, want: &Want, mut prealloc: Option<&mut Prealloc>) -> Option<NewBlock> {
        let lists = self.stream_lists.filter(|_| self.reuses())?;
        let in_range = want.is_in_range();
        let own = want.stream.and_then(|stream| lists.of(stream));
        loop {
            let found = own.and_then(|list| want.find_on(list.free_bins(in_range)));
            let finished = if in_range { &lists.in_range } else { &self.free_bins };
            let found = found.or_else(|| want.find_on(finished));
            if let Some(span) = found {
                let span = self.cut_to(span, want, prealloc.as_deref_mut())?;
                return Some(self.hand_out(span, want));
            }
            if let Some(span) = self.find_followed(want, in_range) {
                let span = self.take_for(span, want, prealloc.as_deref_mut())?;
                return Some(self.hand_out(span, want));
            }
            // It may fit after merging.
            if prealloc.is_some() && own.is_some_and(|list| self.merge_recent_of(list)) {
                continue;
            }
            if !in_range || !prealloc.as_deref_mut().is_some_and(|prealloc| self.open_range(want, prealloc)) {
                return None;
            }
        }
    }

    /// Whether freed memory serves later requests. Other processes may have that of pools with TN_POOL_IPC, so it goes
    /// back to the device.
    pub(super) fn reuses(&self) -> bool {
        self.settings.flags & TN_POOL_IPC == 0
    }

    /// A span of other streams that the request's stream is known to come after.
    fn find_followed(&self, want: &Want, in_range: bool) -> Option<&'static Span> {
        let (lists, stream) = (self.stream_lists?, want.stream?);
        let follows = |span: &&'static Span| span.uses.all(|point| stream.follows(point));
        let stream_lists = lists.all().filter(|list| !list.is_of(stream));
        let found = stream_lists.filter_map(|list| want.find_on(list.free_bins(in_range)));
        found.chain(self.multi_stream_for(want, in_range)).find(follows)
    }

    /// Whether a span fits that the request's stream may have without a wait.
    pub fn has_for(&self, want: &Want) -> bool {
        let Some(lists) = self.stream_lists.filter(|_| self.reuses()) else { return false };
        let in_range = want.is_in_range();
        let finished = if in_range { &lists.in_range } else { &self.free_bins };
        let own = want.stream.and_then(|stream| lists.of(stream));
        want.find_on(finished).is_some()
            || own.is_some_and(|list| want.find_on(list.free_bins(in_range)).is_some())
            || self.find_followed(want, in_range).is_some()
    }

    /// The first multi-stream spans that fit.
    pub(super) fn multi_stream_for(&self, want: &Want, in_range: bool) -> impl Iterator<Item = &'static Span> {
        let first = self.stream_lists.and_then(|lists| lists.multi_stream.first());
        let (bytes, alignment) = (want.span_bytes, want.span_alignment);
        core::iter::successors(first, |span| span.next.get()).take(want.looks()).filter(move |span| {
            let pad = span.start.get().next_multiple_of(alignment) - span.start.get();
            span.bytes.get() >= bytes + pad && range_of(span).is_some() == in_range
        })
    }

    /// Whether a free span must be cut for a request.
    fn must_cut(&self, span: &Span, want: &Want) -> bool {
        let pad = span.start.get().next_multiple_of(want.span_alignment) - span.start.get();
        pad > 0 || span.bytes.get() - want.span_bytes >= want.least_rest(&self.settings.terms)
    }

    /// Takes a free span out, cut to size. The rest goes back into its list. None: it must be cut, and there are no
    /// descriptors.
    pub(super) fn cut_to(
        &mut self,
        span: &'static Span,
        want: &Want,
        prealloc: Option<&mut Prealloc>,
    ) -> Option<&'static Span> {
        let pad = span.start.get().next_multiple_of(want.span_alignment) - span.start.get();
        let spare = span.bytes.get() - pad - want.span_bytes;
        let least_rest = want.least_rest(&self.settings.terms);
        if pad == 0 && spare < least_rest {
            self.remove_free(span);
            return Some(span);
        }
        let prealloc = prealloc?;
        self.remove_free(span);
        let mut span = span;
        if pad > 0 {
            let Some(rest) = self.cut_off(span, pad, prealloc) else {
                self.insert_free(span);
                return None;
            };
            let front = span;
            self.rest_of(rest, front, front);
            span = rest;
        }
        if spare >= least_rest {
            let Some((front, rest)) = self.front_of(span, want.span_bytes, prealloc) else {
                span.change(|| span.set_kind(Kind::Free));
                self.insert_free(span);
                return None;
            };
            self.rest_of(front, rest, span);
            span = front;
        }
        Some(span)
    }

    /// As `cut_to`, for a span of other streams that the request's stream comes after. The part taken out belongs to
    /// that stream then.
    fn take_for(&mut self, span: &'static Span, want: &Want, prealloc: Option<&mut Prealloc>) -> Option<&'static Span> {
        let stream = want.stream?;
        let whole = span.mark() == StreamMark::MultiStream;
        if span.uses.has_unknown_work() {
            // The span keeps its uses: nothing else tells when work in unknown streams ends.
            return if whole && self.must_cut(span, want) { None } else { self.cut_to(span, want, prealloc) };
        }
        if stream.needs_early_events() {
            // The stream's point would have no event, and none may be recorded under the lock. So the span keeps its
            // uses, and a multi-stream span stays: the slow path makes the stream wait for it.
            return if whole { None } else { self.cut_to(span, want, prealloc) };
        }
        if whole {
            // The rest of a multi-stream span could not share its uses.
            self.remove_free(span);
            span.uses.set(stream.now());
            self.insert_free(span);
        }
        let taken = self.cut_to(span, want, prealloc)?;
        taken.uses.set(stream.now());
        Some(taken)
    }

    fn hand_out(&mut self, span: &'static Span, want: &Want) -> NewBlock {
        let ready = match span.uses.free_list_kind() {
            FreeListKind::On(point) if !point.is_passed() => Some(point),
            _ => None,
        };
        NewBlock { ready, ..self.make_large(span, want) }
    }

    /// Enters a new piece from the device, and allocates the block in it. None: the memory is in use already.
    pub fn take_block_in_for_stream(
        &mut self,
        span: &'static Span,
        want: &Want,
        prealloc: &mut Prealloc,
    ) -> Option<NewBlock> {
        if !self.reuses() {
            // The block has the whole piece. The record may have the mark of an earlier use.
            span.set_mark(StreamMark::None);
            span.uses.clear();
            return Some(self.hand_out(span, want));
        }
        self.set_free_ordered(span, os::coarse_ms());
        self.take_block_for_stream(want, Some(prealloc))
    }

    /// Whether a live block can have that many bytes in place.
    pub fn fits_in_place(&self, span: &Span, bytes: usize) -> bool {
        let unit = if range_of(span).is_some() { MIN_PIECE_BYTES } else { GRANULE };
        bytes.checked_next_multiple_of(unit).is_some_and(|usable| usable <= span.bytes.get())
    }

    /// Changes the size of a live raw block that fits in place. The rest is free after the block's own uses, and
    /// after `point`, up to which its holder used it. False: it is not live any more.
    pub fn resize_ordered(
        &mut self,
        span: &'static Span,
        block: Block,
        bytes: usize,
        point: Option<Point>,
        prealloc: &mut Prealloc,
    ) -> bool {
        if !span.exchange(0, BlockState::Raw, BlockState::Limbo) {
            return false;
        }
        let in_range = range_of(span).is_some();
        let (old, usable) =
            (span.block_bytes.get(), bytes.next_multiple_of(if in_range { MIN_PIECE_BYTES } else { GRANULE }));
        if usable > old {
            self.set_usable(span, usable);
        }
        self.resize(span, 0, block, bytes);
        if usable < old / 2 {
            self.set_usable(span, usable);
            self.shrink_ordered(span, usable, in_range, point, prealloc);
        }
        span.exchange(0, BlockState::Limbo, BlockState::Raw);
        self.account(block).tally.reallocated += 1;
        true
    }

    fn shrink_ordered(
        &mut self,
        span: &'static Span,
        keep: usize,
        in_range: bool,
        point: Option<Point>,
        prealloc: &mut Prealloc,
    ) {
        let least = if in_range { MIN_PIECE_BYTES } else { LEAST_REST_BYTES };
        let kind = match (span.uses.free_list_kind(), point) {
            (kind, None) => kind,
            (FreeListKind::Finished, Some(point)) => FreeListKind::On(point),
            (FreeListKind::On(used), Some(point)) if point.stream().follows(used) => FreeListKind::On(point),
            _ => FreeListKind::MultiStream,
        };
        // The uses of a multi-stream block cannot be recorded twice.
        if matches!(kind, FreeListKind::MultiStream) || span.bytes.get() - keep < least {
            return;
        }
        let Some(rest) = self.cut_off(span, keep, prealloc) else { return };
        self.figures.overhead_bytes -= rest.bytes.get() as u64;
        match kind {
            FreeListKind::On(point) => rest.uses.set(point),
            _ => rest.uses.clear(),
        }
        rest.set_mark(if self.devices_clear() { StreamMark::NeedsClearing } else { StreamMark::None });
        self.set_free_ordered(rest, os::coarse_ms());
    }

    /// Whether the device clears freed memory.
    fn devices_clear(&self) -> bool {
        self.settings.flags & TN_POOL_ZERO_ON_FREE != 0 && !self.settings.terms.touch
    }
}
