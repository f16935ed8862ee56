//! Pending spans: which uses have passed, and which points to query at the driver.
//!
//! Contract: that of `stream_lists`. The caller asks the driver, under no lock.

use super::{MULTI_STREAM_LOOKS, POINTS, Points, StreamList, StreamLists};
use crate::device::host::GRANULE;
use crate::pool::span::stream_uses::FreeListKind;
use crate::pool::span::{Kind, Span, StreamMark};
use crate::pool::state::{PoolState, Prealloc, Want};
use crate::stream;
use crate::sys::os;
use core::sync::atomic::Ordering;

/// The state of one round of questions about everything that is pending.
#[derive(Default)]
pub(in crate::pool) struct PollRound {
    /// Its number, stored in the spans that it queried; 0: not begun.
    number: usize,
    /// When it began.
    begun_ms: u64,
    stream_lists: usize,
}

impl PollRound {
    /// Whether the round skips a multi-stream span: this round, or a later one, asked about it already; or it was
    /// freed after this round began. Without this, a round could go on for as long as others free or ask.
    fn passes_over(&self, span: &Span) -> bool {
        match span.poll_round() {
            Some(round) => round >= self.number,
            None => self.begun_ms < span.freed_ms(),
        }
    }
}

impl PoolState {
    /// Makes spans finished whose uses have passed. False: there were none. Takes time for these spans and for each
    /// stream, and none if no stream has progressed since the last call.
    pub fn collect_passed(&mut self, now: u64) -> bool {
        let Some(lists) = self.stream_lists else { return false };
        // Before the first look at a use: what passes during this call counts for the next one.
        let progress = stream::progress();
        if lists.collected_at.swap(progress, Ordering::Relaxed) == progress {
            return false;
        }
        let mut any = false;
        for list in lists.all() {
            for in_range in [true, false] {
                let passed = |span: &&'static Span| list.point(span.use_tick()).is_none_or(|point| point.is_passed());
                while let Some(span) = list.free_bins(in_range).oldest().filter(passed) {
                    self.remove_free(span);
                    self.set_free_ordered(span, now);
                    any = true;
                }
            }
        }
        for list in lists.all() {
            let passed =
                |span: &&'static Span| list.point(span.uses.first_tick()).is_none_or(|point| point.is_passed());
            while let Some(span) = list.multi_stream.first().filter(passed) {
                list.multi_stream.remove(span);
                any |= self.list_again(lists, span, now);
            }
        }
        let unlisted = lists.unlisted.take_all();
        while let Some(span) = unlisted.first() {
            unlisted.remove(span);
            any |= self.list_again(lists, span, now);
        }
        any
    }

    /// Lists a multi-stream span of which a use may have passed. It was taken out of its heap. False: it is
    /// multi-stream still.
    fn list_again(&mut self, lists: &'static StreamLists, span: &'static Span, now: u64) -> bool {
        let stays = match span.uses.drop_passed() {
            FreeListKind::MultiStream => true,
            FreeListKind::On(point) => lists.of(point.stream()).is_none(),
            FreeListKind::Finished => false,
        };
        lists.heap_of(span).insert(span);
        if !stays {
            self.remove_free(span);
            self.set_free_ordered(span, now);
        }
        !stays
    }

    /// What to ask the driver about: for each other stream's list a point that covers its spans, and the uses of
    /// multi-stream spans. With a request only where a span fits it.
    pub fn points(&self, want: Option<&Want>) -> Points {
        let mut points = [None; POINTS];
        let Some(lists) = self.stream_lists else { return points };
        let mut entries = points.iter_mut();
        let own = want.and_then(|want| want.stream);
        let fits = |list: &StreamList| match want {
            None => true,
            Some(want) => {
                let in_range = want.is_in_range();
                list.free_bins(in_range).find(want.span_bytes, want.span_alignment).is_some()
                    || in_range && list.whole.find(want.span_bytes.next_multiple_of(GRANULE), GRANULE).is_some()
            }
        };
        for list in lists.all() {
            if own.is_some_and(|stream| list.is_of(stream)) || !fits(list) {
                continue;
            }
            let Some(point) = list.watch() else { continue };
            let Some(entry) = entries.next() else { return points };
            *entry = Some(point);
        }
        let multi_stream = |span: &'static Span| {
            span.uses.each(|point| {
                if !point.is_passed()
                    && let Some(entry) = entries.next()
                {
                    *entry = Some(point);
                }
            });
        };
        match want {
            Some(want) => self.multi_stream_for(want, want.is_in_range()).for_each(multi_stream),
            None => core::iter::successors(lists.multi_stream.first(), |span| span.next.get())
                .take(MULTI_STREAM_LOOKS)
                .for_each(multi_stream),
        }
        points
    }

    /// The next points of a round; none: the round is complete. A span with more uses than fit is asked about in
    /// part, and again in the next round.
    pub fn more_points(&mut self, round: &mut PollRound) -> Points {
        let mut points = [None; POINTS];
        let Some(lists) = self.stream_lists else { return points };
        if round.number == 0 {
            lists.rounds.add(1);
            round.number = lists.rounds.get();
            round.begun_ms = os::coarse_ms();
        }
        let mut entries = points.iter_mut();
        for list in lists.all().skip(round.stream_lists) {
            if entries.len() == 0 {
                return points;
            }
            round.stream_lists += 1;
            if let Some(point) = list.watch()
                && let Some(entry) = entries.next()
            {
                *entry = Some(point);
            }
        }
        let mut next = lists.multi_stream.first();
        while let Some(span) = next {
            next = span.next.get();
            if round.passes_over(span) {
                continue;
            }
            let mut open = 0;
            span.uses.each(|point| open += usize::from(!point.is_passed()));
            if open > entries.len() && entries.len() < POINTS {
                break;
            }
            span.set_poll_round(round.number);
            span.uses.each(|point| {
                if !point.is_passed()
                    && let Some(entry) = entries.next()
                {
                    *entry = Some(point);
                }
            });
        }
        points
    }

    /// Takes out a pending span for a stream that will wait on the device for its uses.
    /// [`PoolState::set_free_ordered`] puts it back.
    pub fn take_pending(&mut self, want: &Want, prealloc: &mut Prealloc) -> Option<&'static Span> {
        let (lists, stream) = (self.stream_lists.filter(|_| self.reuses())?, want.stream?);
        let in_range = want.is_in_range();
        let stream_lists = lists.all().filter(|list| !list.is_of(stream));
        let find = |list: &'static StreamList| want.find_on(list.free_bins(in_range));
        let found = stream_lists.filter_map(find).next();
        let span = match found {
            Some(span) => self.cut_to(span, want, Some(prealloc))?,
            None => {
                let span = self.multi_stream_for(want, in_range).next()?;
                self.remove_free(span);
                span
            }
        };
        span.change(|| span.set_kind(Kind::None));
        Some(span)
    }

    /// Lists a span that must be cleared. A captured one goes into no list.
    pub(super) fn list_needs_clearing(&mut self, span: &'static Span) {
        let Some(StreamLists { needs_clearing: left, .. }) = self.stream_lists else { return };
        span.change(|| span.set_kind(Kind::Free));
        self.figures.pending_bytes += span.bytes.get() as u64;
        if span.mark() == StreamMark::Captured {
            return;
        }
        span.next.set(None);
        match left.last.get() {
            Some(last) => last.next.set(Some(span)),
            None => left.first.set(Some(span)),
        }
        left.last.set(Some(span));
        left.count.add(1);
    }

    /// Number of spans that must be cleared.
    pub fn needs_clearing_count(&self) -> usize {
        self.stream_lists.map_or(0, |lists| lists.needs_clearing.count.get())
    }

    /// Takes out the span that waits longest for being cleared. [`PoolState::set_free_ordered`] puts it back.
    pub fn take_needs_clearing(&mut self) -> Option<&'static Span> {
        let left = &self.stream_lists?.needs_clearing;
        let span = left.first.get()?;
        left.first.set(span.next.get());
        if span.next.get().is_none() {
            left.last.set(None);
        }
        left.count.subtract(1);
        self.figures.pending_bytes -= span.bytes.get() as u64;
        span.change(|| span.set_kind(Kind::None));
        Some(span)
    }

    /// Makes a range of another stream's pending granules, if a small block is wanted.
    pub fn open_pending_range(&mut self, want: &Want, prealloc: &mut Prealloc) -> bool {
        let Some(lists) = self.stream_lists.filter(|_| want.is_in_range()) else { return false };
        let needed = want.span_bytes.next_multiple_of(GRANULE);
        let find = |list: &'static StreamList| {
            let point = list.whole.find(needed, GRANULE)?.uses.free_list_kind();
            if let FreeListKind::On(point) = point { Some(point.stream()) } else { None }
        };
        let Some(stream) = lists.all().find_map(find) else { return false };
        self.open_range(&Want { stream: Some(stream), ..*want }, prealloc)
    }
}
