//! The free spans of a pool: found by size, cut, merged, kept by age, returned to the device.
//!
//! Contract: that of `state`, under the same lock. A free span merges with its free neighbours at once. It is in
//! exactly one bin, and in the list by age. Small spans with free blocks are listed here too, by class.

use super::{Piece, PoolState, Prealloc};
use crate::device::Terms;
use crate::device::host::GRANULE;
use crate::pool::Pool;
use crate::pool::backing::huge;
use crate::pool::span::UpstreamPiece;
use crate::pool::span::{Kind, Span, SpanSource, StreamMark, table};
use crate::pool::state::free_bins::LOOKS_PER_BIN;
use crate::types::*;

/// Free bytes that a pool may have when it grows: this many, or that part of the bytes in use.
const FREE_AT_GROWTH_BYTES: usize = 6 << 20;
const FREE_AT_GROWTH_PART: usize = 64;
/// The most that goes back at once, of memory that decays: the system takes this many bytes back in about 100 us. A
/// huge page fits in it wherever it begins.
const PORTION_BYTES: usize = 2 * huge::HUGE_PAGE_BYTES;

/// The whole granules of a range of addresses: (start, end).
fn inner(start: usize, end: usize, granule: usize) -> (usize, usize) {
    if granule == GRANULE { (start, end) } else { (start.next_multiple_of(granule), end / granule * granule) }
}

impl PoolState {
    pub(super) fn owns(&self, pool: &'static Pool, span: &'static Span) -> bool {
        span.pool().is_some_and(|owner| core::ptr::eq(owner, pool))
    }

    /// Makes a span that is in no list free, and merges it with free neighbours.
    pub fn set_free(&mut self, span: &'static Span, now: u64) {
        let mut span = span;
        let Some(pool) = span.pool() else { return };
        span.change(|| span.set_kind(Kind::Free));
        span.set_freed_ms(now);
        // There may be more than two, because the most recent free span is kept unmerged.
        while let Some(neighbour) = self.free_neighbour(pool, span) {
            self.unlist_free(neighbour);
            span = self.merge(span, neighbour);
        }
        self.list_free(span);
    }

    /// A free neighbour that it may merge with.
    fn free_neighbour(&self, pool: &'static Pool, span: &'static Span) -> Option<&'static Span> {
        let before = span.start.get().checked_sub(1).and_then(table::get);
        let free = |other: &&'static Span| {
            self.owns(pool, other) && other.kind() == Kind::Free && !other.is(span) && self.may_join(span, other)
        };
        [before, table::get(span.end())].into_iter().flatten().find(free)
    }

    /// Whether two neighbours may merge. Pieces that go back whole do not merge with others.
    pub(super) fn may_join(&self, a: &Span, b: &Span) -> bool {
        self.settings.terms.joins || a.same_source(b)
    }

    /// Whether a free span can go back to the device, at least in part, or is a whole piece.
    pub(super) fn can_go(&self, span: &Span) -> bool {
        let Terms { splits, granule, .. } = self.settings.terms;
        match splits {
            true if granule == GRANULE => true,
            true => {
                let (first, end) = inner(span.start.get(), span.end(), granule);
                first < end
            }
            false => span.piece().is_some_and(|record| record.bytes() == span.bytes.get()),
        }
    }

    /// Makes a large block's span free and keeps it unmerged for the next request of its size. The span kept before
    /// merges.
    pub(super) fn set_free_recent(&mut self, span: &'static Span, now: u64) {
        self.merge_recent();
        self.set_free_apart(span, now);
        self.recent = Some(span);
    }

    /// Merges the span that was kept unmerged. False: there is none.
    pub fn merge_recent(&mut self) -> bool {
        let Some(span) = self.recent else { return false };
        self.unlist_free(span);
        self.set_free(span, span.freed_ms());
        true
    }

    /// Bytes of the unmerged span with its free neighbours.
    pub(super) fn around_recent(&self) -> usize {
        let Some(span) = self.recent else { return 0 };
        let Some(pool) = span.pool() else { return 0 };
        let before = span.start.get().checked_sub(1).and_then(table::get);
        let free = |other: &&'static Span| {
            self.owns(pool, other) && other.kind() == Kind::Free && !other.is(span) && self.may_join(span, other)
        };
        let beside = [before, table::get(span.end())].into_iter().flatten().filter(free);
        span.bytes.get() + beside.map(|other| other.bytes.get()).sum::<usize>()
    }

    /// Makes a span free without merging, because its neighbour is about to be used.
    pub(super) fn set_free_apart(&mut self, span: &'static Span, since: u64) {
        span.change(|| span.set_kind(Kind::Free));
        span.set_freed_ms(since);
        self.list_free(span);
    }

    /// Merges two free neighbours. The larger record stays, so that the shorter range is relabelled. Its age stays
    /// too: a small block in steady use beside a large unused span must not keep that from ageing.
    pub(super) fn merge(&mut self, a: &'static Span, b: &'static Span) -> &'static Span {
        let (large, small) = if a.bytes.get() >= b.bytes.get() { (a, b) } else { (b, a) };
        let (start, bytes) = (a.start.get().min(b.start.get()), a.bytes.get() + b.bytes.get());
        let (left, right) = if a.start.get() < b.start.get() { (a, b) } else { (b, a) };
        let through = if right.clean.get() == right.bytes.get() { left.clean.get() } else { 0 };
        let clean = right.clean.get() + through;
        let source = if a.same_source(b) { a.source() } else { SpanSource::Several };
        // The span first, then the table: a reader finds each address in a span that contains it.
        large.change(|| {
            large.start.set(start);
            large.bytes.set(bytes);
            large.clean.set(clean);
            large.set_source(source);
        });
        table::put(small.start.get(), small.bytes.get(), Some(large));
        table::begin(large);
        self.drop_span(small);
        large
    }

    pub(super) fn drop_span(&mut self, span: &'static Span) {
        self.figures.metadata_bytes -= size_of::<Span>() as u64;
        span.release();
    }

    /// Cuts the end off a span that is in no list. `span` keeps the first `keep` bytes; the result has the rest, and
    /// kind None.
    pub(super) fn cut_off(
        &mut self,
        span: &'static Span,
        keep: usize,
        prealloc: &mut Prealloc,
    ) -> Option<&'static Span> {
        let rest = prealloc.span()?;
        let (start, bytes) = (span.start.get() + keep, span.bytes.get() - keep);
        let pool = span.pool()?;
        rest.change(|| {
            rest.set_kind(Kind::None);
            rest.set_pool(pool);
            rest.start.set(start);
            rest.bytes.set(bytes);
            rest.clean.set(span.clean.get().min(bytes));
            rest.set_source(span.source());
            rest.set_metadata(None);
        });
        table::put(start, bytes, Some(rest));
        span.change(|| {
            span.bytes.set(keep);
            span.clean.set(span.clean.get().saturating_sub(bytes));
        });
        self.figures.metadata_bytes += size_of::<Span>() as u64;
        Some(rest)
    }

    /// Takes a free span for a request, cut to size. Without descriptors only one that needs no cut.
    pub(super) fn take_free(
        &mut self,
        pool: &'static Pool,
        bytes: usize,
        alignment: usize,
        prealloc: Option<&mut Prealloc>,
    ) -> Option<&'static Span> {
        if self.settings.terms.whole {
            let can_serve = |span: &Span| self.can_go(span) && pool.ops().reuse(span.start.get());
            let span = self.free_bins.find_exactly(bytes, alignment, can_serve)?;
            self.unlist_free(span);
            return Some(span);
        }
        let pad_of = |span: &Span| span.start.get().next_multiple_of(alignment) - span.start.get();
        let mut span = self.free_bins.find(bytes, alignment)?;
        debug_assert!(self.owns(pool, span));
        if pad_of(span) == 0 && span.bytes.get() == bytes {
            self.unlist_free(span);
            return Some(span);
        }
        let prealloc = prealloc?;
        if self.recent.is_some_and(|recent| recent.is(span)) {
            // What is left of it would lie beside free neighbours and never be merged.
            self.merge_recent();
            span = self.free_bins.find(bytes, alignment)?;
        }
        let pad = pad_of(span);
        self.unlist_free(span);
        let since = span.freed_ms();
        if pad > 0 {
            let Some(rest) = self.cut_off(span, pad, prealloc) else {
                self.list_free(span);
                return None;
            };
            self.set_free_apart(span, since);
            span = rest;
        }
        if span.bytes.get() > bytes {
            let Some((front, rest)) = self.front_of(span, bytes, prealloc) else {
                self.set_free(span, since);
                return None;
            };
            self.set_free_apart(rest, since);
            span = front;
        }
        Some(span)
    }

    /// Cuts a span in two: (first `bytes`, rest). The shorter part gets the new record, so that little is relabelled.
    pub(super) fn front_of(
        &mut self,
        span: &'static Span,
        bytes: usize,
        prealloc: &mut Prealloc,
    ) -> Option<(&'static Span, &'static Span)> {
        if bytes > span.bytes.get() / 2 {
            return Some((span, self.cut_off(span, bytes, prealloc)?));
        }
        let front = prealloc.span()?;
        let (start, pool) = (span.start.get(), span.pool()?);
        front.change(|| {
            front.set_kind(Kind::None);
            front.set_pool(pool);
            front.start.set(start);
            front.bytes.set(bytes);
            front.clean.set(span.clean.get().saturating_sub(span.bytes.get() - bytes));
            front.set_source(span.source());
            front.set_metadata(None);
        });
        table::put(start, bytes, Some(front));
        span.change(|| {
            span.start.set(start + bytes);
            span.bytes.set(span.bytes.get() - bytes);
            span.clean.set(span.clean.get().min(span.bytes.get()));
        });
        table::begin(span);
        self.figures.metadata_bytes += size_of::<Span>() as u64;
        Some((front, span))
    }

    pub(super) fn list_free(&mut self, span: &'static Span) {
        self.free_bins.put(span, self.can_go(span));
    }

    pub(super) fn unlist_free(&mut self, span: &'static Span) {
        if self.recent.is_some_and(|recent| recent.is(span)) {
            self.recent = None;
        }
        self.free_bins.take(span, self.can_go(span));
    }

    /// Puts a small span with free blocks in front of its class's list: the one freed last is used first.
    pub fn enlist(&mut self, span: &'static Span) {
        self.partial[span.class.get()].push(span);
    }

    /// The first small span of a class with free blocks and without an owner.
    pub fn partial(&self, class: usize) -> Option<&'static Span> {
        self.partial[class].first()
    }

    pub fn delist(&mut self, span: &'static Span) {
        self.partial[span.class.get()].remove(span);
    }

    // ---- returning memory ----

    /// Takes a piece of the free span that was unused longest, to be returned to the device: about `wanted` bytes, at
    /// most `most`, in whole granules. Where pieces go back whole: one of at most `most` bytes. Without descriptors
    /// only what leaves at most one span behind.
    pub fn evict(&mut self, wanted: usize, most: usize, mut prealloc: Option<&mut Prealloc>) -> Option<Piece> {
        if wanted == 0 {
            return None;
        }
        self.merge_recent();
        if !self.settings.terms.splits {
            return self.evict_whole(most);
        }
        let unit = self.settings.terms.granule;
        let limit = most;
        let most = wanted
            .checked_next_multiple_of(unit)
            .unwrap_or(wanted)
            .min(most.checked_next_multiple_of(GRANULE).unwrap_or(most))
            / unit
            * unit;
        let mut next = self.free_bins.oldest();
        for _ in 0..LOOKS_PER_BIN {
            let span = next?;
            next = span.newer.get();
            let (start, end) = inner(span.start.get(), span.end(), unit);
            let bytes = most.min(end.saturating_sub(start));
            // Bytes that were never allocated hold no memory: the other end goes first.
            let (from, to) = if span.clean.get() > 0 { (start, start + bytes) } else { (end - bytes, end) };
            // Marks in an upstream's memory belong to the pool below.
            let own = self.settings.terms.joins && !self.settings.terms.ordered;
            let (from, to) = match self.parts {
                // Units that are mapped together go back together.
                Some(device) => device.whole_part(start, end, most, limit).unwrap_or((start, start)),
                None if own => huge::without_parts(from, to),
                None => (from, to),
            };
            let record = span.piece();
            if from < to && self.cut_out(span, from, to, prealloc.as_deref_mut()) {
                if own {
                    self.figures.huge_bytes -= (huge::unmark(from, to - from) * huge::HUGE_PAGE_BYTES) as u64;
                }
                return Some(self.count_return(from, to - from, record));
            }
        }
        None
    }

    /// Takes huge pages that the system can move out of a large free span: at most `most` bytes that follow each other.
    /// They go on in the pool at another place, so they do not count as returned. The span that ends at `behind` stays:
    /// what they move to will extend it.
    pub fn evict_pages(&mut self, most: usize, behind: usize, prealloc: &mut Prealloc) -> Option<Piece> {
        self.merge_recent();
        let (span, from, bytes) = self.free_bins.find_from_largest(|span| {
            if span.end() == behind {
                return None;
            }
            let dirty_end = span.end() - span.clean.get();
            huge::first_movable(span.start.get(), dirty_end, most).map(|(from, bytes)| (span, from, bytes))
        })?;
        if !self.cut_out(span, from, from + bytes, Some(prealloc)) {
            return None;
        }
        self.figures.huge_bytes -= (huge::unmark(from, bytes) * huge::HUGE_PAGE_BYTES) as u64;
        self.count_gone(bytes);
        self.figures.device_bytes_total -= bytes as u64;
        Some(Piece::new(from, bytes))
    }

    /// Takes the whole free piece that was unused longest, of those with at most `most` bytes.
    fn evict_whole(&mut self, most: usize) -> Option<Piece> {
        let all = self.figures.reserved_bytes as usize;
        let stays = |span: &Span| span.piece().is_some_and(UpstreamPiece::is_kept) && most < all;
        let mut span = self.free_bins.oldest()?;
        while span.bytes.get() > most || stays(span) {
            span = span.newer.get()?;
        }
        self.unlist_free(span);
        Some(self.drop_whole(span))
    }

    /// Takes the free span at an address out of the state, if it is a whole piece.
    pub fn evict_at(&mut self, address: usize) -> Option<Piece> {
        let span = table::find(address).filter(|span| span.kind() == Kind::Free && self.can_go(span))?;
        self.unlist_free(span);
        Some(self.drop_whole(span))
    }

    /// Takes a free span that is a whole piece and in no list out of the state.
    pub fn drop_whole(&mut self, span: &'static Span) -> Piece {
        let (start, bytes, record) = (span.start.get(), span.bytes.get(), span.piece());
        table::put(start, bytes, record.and_then(UpstreamPiece::under));
        // Its uses may be unfinished: the device takes it back behind them.
        span.uses.clear();
        self.drop_span(span);
        self.count_return(start, bytes, record)
    }

    /// Counts a range that left the pool's addresses.
    pub(super) fn count_gone(&mut self, bytes: usize) {
        self.figures.reserved_bytes -= bytes as u64;
        self.figures.address_bytes -= bytes as u64;
    }

    /// Counts a range that goes back to the device.
    fn count_return(&mut self, start: usize, bytes: usize, record: Option<&'static UpstreamPiece>) -> Piece {
        self.count_gone(bytes);
        self.figures.device_free_count += 1;
        Piece { record: record.filter(|record| self.count_part_returned(record, bytes)), ..Piece::new(start, bytes) }
    }

    /// Takes a range out of a free span. False: two spans would be left, and there is no descriptor for the second.
    fn cut_out(&mut self, span: &'static Span, from: usize, to: usize, prealloc: Option<&mut Prealloc>) -> bool {
        self.unlist_free(span);
        if span.start.get() < from && to < span.end() {
            let since = span.freed_ms();
            let Some(rest) = prealloc.and_then(|prealloc| self.cut_off(span, to - span.start.get(), prealloc)) else {
                self.list_free(span);
                return false;
            };
            // The record may have the mark of an earlier use, and this path leads through no stream list, which would
            // reset it.
            rest.set_mark(StreamMark::None);
            rest.uses.clear();
            self.set_free_apart(rest, since);
        }
        table::put(from, to - from, span.piece().and_then(UpstreamPiece::under));
        let (start, end, clean) = (span.start.get(), span.end(), span.clean.get());
        if (start, end) == (from, to) {
            self.drop_span(span);
            return true;
        }
        let (left_from, left_to) = if start == from { (to, end) } else { (start, from) };
        span.change(|| {
            span.start.set(left_from);
            span.bytes.set(left_to - left_from);
            span.clean.set(clean.saturating_sub(end - left_to).min(left_to - left_from));
        });
        self.list_free(span);
        true
    }

    /// Takes out the free spans that were ever allocated, linked by `next`. [`PoolState::set_free`] puts them back.
    pub fn take_used(&mut self) -> Option<&'static Span> {
        let mut first = None;
        self.merge_recent();
        self.free_bins.each(|span| {
            if span.clean.get() < span.bytes.get() {
                self.free_bins.take(span, self.can_go(span));
                span.change(|| span.set_kind(Kind::None));
                span.next.set(first);
                first = Some(span);
            }
        });
        first
    }

    /// Whether a piece may be due to go back, for pools of devices.
    pub fn is_due(&mut self, just_freed: usize, now: u64) -> bool {
        let oldest = self.free_bins.oldest().map(|oldest| now.saturating_sub(oldest.freed_ms()));
        let late = oldest.is_some_and(|age| age > self.settings.delay_ms);
        self.retired || self.settings.flags & TN_POOL_DIRECT != 0 || late || self.excess(just_freed, now) > 0
    }

    /// A piece that is due to go back: more than may stay, or unused for too long. `just_freed`: bytes that were freed
    /// in this very call; without decay they do not count, so that a loop with one large block keeps it. usize::MAX:
    /// the call freed nothing.
    pub fn evict_due(&mut self, just_freed: usize, now: u64) -> Option<Piece> {
        if self.retired {
            self.dissolve_empty(now);
            self.merge_recent();
            return self.drop_reserved().or_else(|| self.evict(usize::MAX / 2, usize::MAX / 2, None));
        }
        if self.settings.flags & TN_POOL_DIRECT != 0 {
            return self.evict(self.spare(), self.spare(), None);
        }
        let over = self.excess(just_freed, now);
        let late =
            self.free_bins.oldest().filter(|oldest| now.saturating_sub(oldest.freed_ms()) > self.settings.delay_ms);
        let portion = if self.decays() { PORTION_BYTES } else { usize::MAX };
        self.evict(over.max(late.map_or(0, |late| late.bytes.get())).min(portion), self.spare(), None)
    }

    /// Whether free memory goes back by age, in portions: that of the host, where `release_threshold` is not set. Whole
    /// pieces of devices and upstreams cannot go in portions.
    pub fn decays(&self) -> bool {
        self.settings.threshold_grows && self.settings.terms.splits && !self.settings.terms.ordered && !self.retired
    }

    /// Whether more is free than may stay at any age.
    pub fn keeps_for_later(&mut self, now: u64) -> bool {
        let free = self.free_bins.bytes();
        if !self.decays() || free <= self.settings.threshold / 4 {
            return false;
        }
        let in_use = self.in_use_lately(now);
        free > self.free_span_allowance(in_use)
    }

    /// Bytes of free spans above what may stay now.
    fn excess(&mut self, just_freed: usize, now: u64) -> usize {
        let free = self.free_bins.bytes();
        // A quarter of the threshold may stay in any case.
        let quarter = self.settings.threshold / 4;
        if !self.decays() {
            let free = free.saturating_sub(just_freed);
            return if free <= quarter { 0 } else { free.saturating_sub(self.free_span_allowance(self.in_use_now())) };
        }
        let used = self.used();
        self.recent_peak.note(used.saturating_add(if just_freed == usize::MAX { 0 } else { just_freed }), now);
        let lately = self.recent_peak.at(now).saturating_sub(used);
        if free <= quarter.max(lately) {
            return 0;
        }
        let in_use = self.in_use_lately(now);
        free.saturating_sub(lately.max(self.free_span_allowance(in_use)))
    }

    /// Bytes of all but free spans.
    fn used(&self) -> usize {
        (self.figures.reserved_bytes as usize).saturating_sub(self.free_bins.bytes())
    }

    /// Bytes of free spans that may stay at any age: the threshold without the free blocks inside spans, but at least a
    /// quarter of it, because free blocks cannot serve large requests. The default threshold counts the unused ends of
    /// blocks too: in huge pages they are resident.
    fn free_span_allowance(&self, in_use: usize) -> usize {
        let f = &self.figures;
        let (threshold, ends) = match self.settings.threshold_grows {
            true => (self.settings.threshold.max(in_use / 4), 0),
            false => (self.settings.threshold, f.overhead_bytes),
        };
        let unused = (f.reserved_bytes - ends - f.pending_bytes) as usize - in_use;
        let inside = unused.saturating_sub(self.free_bins.bytes());
        threshold.saturating_sub(inside).max(threshold / 4)
    }

    /// A piece of at most `most` bytes to return when the pool grows for a large request, if too much free memory does
    /// not fit it. So free memory is exchanged instead of added up (T5), and hardly more is reserved than was used
    /// lately. `coming`: bytes that the request is about to use.
    pub fn evict_for_growth(&mut self, most: usize, coming: usize, now: u64) -> Option<Piece> {
        if !self.settings.threshold_grows {
            return None;
        }
        let used = self.used();
        let lately =
            if self.decays() { self.recent_peak.at(now).saturating_sub(used.saturating_add(coming)) } else { 0 };
        let may_stay = lately + FREE_AT_GROWTH_BYTES.max((used + lately) / FREE_AT_GROWTH_PART);
        self.evict(most.min(self.free_bins.bytes().saturating_sub(may_stay)), self.spare(), None)
    }

    /// Bytes that may go back without falling below what was committed at creation.
    pub fn spare(&self) -> usize {
        (self.figures.reserved_bytes as usize).saturating_sub(self.settings.floor)
    }

    /// Whether nothing refers to the pool any more.
    pub fn is_over(&self) -> bool {
        self.retired
            && self.refs == 0
            && self.busy == 0
            && self.heaps.is_none()
            && self.counts().all().blocks() == 0
            && self.figures.address_bytes == 0
    }
}
