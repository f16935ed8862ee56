//! Ranges: granules cut into spans of multiples of 512 bytes, and whole granules again.
//!
//! Contract: that of `stream_lists`. All spans of a range come from one piece of the device.

use crate::device::host::GRANULE;
use crate::pool::span::range_map::{RANGE_BYTES, RangeMap};
use crate::pool::span::{Kind, Span, table};
use crate::pool::state::{PoolState, Prealloc, Want};
use crate::sys::os;

/// The range that contains a span. None: the span has whole granules.
pub(super) fn range_of(span: &Span) -> Option<&'static Span> {
    table::get(span.start.get()).filter(|outer| outer.kind() == Kind::Range && !outer.is(span))
}

impl PoolState {
    /// Makes a range with one free span of granules that the stream may have. False: there are none.
    pub(super) fn open_range(&mut self, want: &Want, prealloc: &mut Prealloc) -> bool {
        let Some(lists) = self.stream_lists.filter(|_| prealloc.map.is_some()) else { return false };
        let list = want.stream.and_then(|stream| lists.of(stream));
        let needed = want.span_bytes.next_multiple_of(GRANULE);
        let find = |bytes: usize, alignment: usize| {
            let own = list.and_then(|list| list.whole.find(bytes, alignment));
            own.or_else(|| self.free_bins.find(bytes, alignment))
        };
        // Where granules go back to the device one by one, a range is one of them, so that few are in use for small
        // blocks.
        let alignment = self.settings.terms.granule.min(RANGE_BYTES);
        let aligned = find(RANGE_BYTES, alignment);
        let Some(mut outer) = aligned.or_else(|| find(needed, GRANULE)) else { return false };
        self.remove_free(outer);
        let pad = outer.start.get().next_multiple_of(alignment) - outer.start.get();
        if aligned.is_some() && pad > 0 {
            let Some(rest) = self.cut_off(outer, pad, prealloc) else {
                self.insert_free(outer);
                return false;
            };
            let front = outer;
            self.rest_of(rest, front, front);
            rest.change(|| rest.set_kind(Kind::Free));
            outer = rest;
        }
        if outer.bytes.get() > RANGE_BYTES {
            let Some((front, rest)) = self.front_of(outer, RANGE_BYTES, prealloc) else {
                self.insert_free(outer);
                return false;
            };
            self.rest_of(front, rest, outer);
            return self.make_range(front, prealloc);
        }
        self.make_range(outer, prealloc)
    }

    /// Lists the rest of a free span that was cut in two. `whole`: the part that has the uses of the whole.
    pub(super) fn rest_of(&mut self, span: &'static Span, rest: &'static Span, whole: &'static Span) {
        let other = if span.is(whole) { rest } else { span };
        other.follow_list_key(whole);
        other.uses.follow(&whole.uses);
        rest.change(|| rest.set_kind(Kind::Free));
        self.insert_free(rest);
    }

    fn make_range(&mut self, outer: &'static Span, prealloc: &mut Prealloc) -> bool {
        let (Some(map), Some(inner), Some(pool)) = (prealloc.map.take(), prealloc.span(), outer.pool()) else {
            self.insert_free(outer);
            return false;
        };
        inner.change(|| {
            inner.set_kind(Kind::Free);
            inner.set_pool(pool);
            inner.start.set(outer.start.get());
            inner.bytes.set(outer.bytes.get());
            inner.clean.set(0);
            inner.set_source(outer.source());
            inner.set_metadata(None);
        });
        inner.follow_list_key(outer);
        inner.uses.follow(&outer.uses);
        outer.uses.clear();
        map.put(0, outer.bytes.get(), inner);
        outer.change(|| {
            outer.set_map(Some(map));
            outer.set_kind(Kind::Range);
        });
        self.figures.metadata_bytes += (size_of::<Span>() + size_of::<RangeMap<Span>>()) as u64;
        self.insert_free(inner);
        true
    }

    /// Turns a range into a free span of whole granules. All of the range is one free span, which is in no list.
    pub(super) fn dissolve_range(&mut self, outer: &'static Span, inner: &'static Span, now: u64) {
        outer.uses.follow(&inner.uses);
        inner.uses.clear();
        let mut map = None;
        outer.change(|| {
            outer.clean.set(0);
            map = outer.set_map(None);
            outer.set_kind(Kind::None);
        });
        if let Some(map) = map {
            map.release();
            self.figures.metadata_bytes -= size_of::<RangeMap<Span>>() as u64;
        }
        self.drop_span(inner);
        outer.change(|| outer.set_kind(Kind::Free));
        self.merge_free(outer, now);
    }

    /// Turns ranges into whole granules if one free span of one stream fills them. False: there was none.
    pub fn dissolve_ranges(&mut self) -> bool {
        let Some(lists) = self.stream_lists else { return false };
        self.merge_recents();
        let mut whole: Option<&'static Span> = None;
        for list in lists.all() {
            list.in_range.each(|span| {
                if range_of(span).is_some_and(|range| range.bytes.get() == span.bytes.get()) {
                    list.in_range.take(span, true);
                    span.next.set(whole);
                    whole = Some(span);
                }
            });
        }
        let any = whole.is_some();
        while let Some(inner) = whole {
            whole = inner.next.get();
            self.figures.pending_bytes -= inner.bytes.get() as u64;
            if let Some(range) = range_of(inner) {
                self.dissolve_range(range, inner, os::coarse_ms());
            }
        }
        any
    }
}
