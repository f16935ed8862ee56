//! Free spans enter the lists of a stream-ordered pool, leave them, and merge with their neighbours.

use super::ranges::range_of;
use super::{StreamList, StreamLists};
use crate::pool::Pool;
use crate::pool::span::stream_uses::{FreeListKind, Point, Stream};
use crate::pool::span::{Kind, Span, StreamMark, UpstreamPiece, table};
use crate::pool::state::PoolState;
use crate::sys::os;

impl PoolState {
    /// Adds a stream's list, unless it has one. Returns what was not needed.
    pub fn add_stream_list(
        &mut self,
        stream: &'static Stream,
        list: Option<&'static StreamList>,
    ) -> Option<&'static StreamList> {
        let Some(lists) = self.stream_lists.filter(|_| !self.has_stream_list(stream)) else { return list };
        let list = list?;
        lists.add(stream, list);
        self.figures.metadata_bytes += size_of::<StreamList>() as u64;
        // Some may belong into the new list's heap.
        let unlisted = lists.unlisted.take_all();
        while let Some(span) = unlisted.first() {
            unlisted.remove(span);
            lists.heap_of(span).insert(span);
        }
        None
    }

    /// Whether a stream has its list, or needs none in this pool.
    pub fn has_stream_list(&self, stream: &'static Stream) -> bool {
        self.stream_lists.is_none_or(|lists| lists.of(stream).is_some())
    }

    // ---- in and out of the lists ----

    /// Puts a free span into the list that its uses say, without merging.
    pub(super) fn insert_free(&mut self, span: &'static Span) {
        let Some(lists) = self.stream_lists else { return };
        let in_range = range_of(span).is_some();
        span.set_mark(StreamMark::None);
        match span.uses.free_list_kind() {
            FreeListKind::Finished if in_range => lists.in_range.put(span, false),
            FreeListKind::Finished => self.list_free(span),
            FreeListKind::On(point) if let Some(list) = lists.of(point.stream()) => {
                span.set_use_tick(point.tick());
                list.free_bins(in_range).put(span, true);
                self.figures.pending_bytes += span.bytes.get() as u64;
            }
            FreeListKind::On(_) | FreeListKind::MultiStream => {
                span.set_mark(StreamMark::MultiStream);
                lists.multi_stream.push(span);
                lists.heap_of(span).insert(span);
                self.figures.pending_bytes += span.bytes.get() as u64;
            }
        }
    }

    /// Removes a free span from its list.
    pub(super) fn remove_free(&mut self, span: &'static Span) {
        let Some(lists) = self.stream_lists else { return };
        let in_range = range_of(span).is_some();
        match span.uses.free_list_kind() {
            _ if span.mark() == StreamMark::MultiStream => {
                lists.heap_of(span).remove(span);
                lists.multi_stream.remove(span);
                self.figures.pending_bytes -= span.bytes.get() as u64;
            }
            FreeListKind::On(point) if let Some(list) = lists.of(point.stream()) => {
                if list.recent.get().is_some_and(|recent| recent.is(span)) {
                    list.recent.set(None);
                }
                list.free_bins(in_range).take(span, true);
                self.figures.pending_bytes -= span.bytes.get() as u64;
            }
            _ if in_range => lists.in_range.take(span, false),
            _ => self.unlist_free(span),
        }
    }

    /// Makes a span that is in no list free, and merges it with neighbours in the same list. In a stream list it is
    /// merged when the next span comes.
    pub fn set_free_ordered(&mut self, span: &'static Span, now: u64) {
        span.uses.close_open_uses();
        if span.needs_clearing() {
            self.list_needs_clearing(span);
            return;
        }
        let list = match (span.uses.drop_passed(), self.stream_lists) {
            (FreeListKind::On(point), Some(lists)) => lists.of(point.stream()),
            _ => None,
        };
        if let Some(list) = list {
            // Before the new span is in the list, so that it stays unmerged.
            self.merge_recent_of(list);
        }
        span.change(|| span.set_kind(Kind::Free));
        match list {
            Some(list) => {
                self.insert_free(span);
                list.recent.set(Some(span));
            }
            None => self.merge_free(span, now),
        }
    }

    /// Takes the free span at an address out of its list, if it is a whole piece that can go back behind its uses.
    pub fn take_whole_piece(&mut self, pool: &'static Pool, address: usize) -> Option<&'static Span> {
        let span = table::find(address).filter(|span| self.owns(pool, span) && span.kind() == Kind::Free)?;
        let is_whole = |piece: &UpstreamPiece| piece.left.get() == span.bytes.get() && !piece.is_kept();
        let is_listed = matches!(span.mark(), StreamMark::None | StreamMark::MultiStream);
        if !is_listed || !span.piece().is_some_and(is_whole) {
            return None;
        }
        self.remove_free(span);
        span.set_mark(StreamMark::None);
        span.change(|| span.set_kind(Kind::None));
        Some(span)
    }

    /// Merges the newest span of a list. False: it was merged already, or is gone.
    pub(super) fn merge_recent_of(&mut self, list: &'static StreamList) -> bool {
        let Some(recent) = list.recent.get() else { return false };
        self.remove_free(recent);
        self.merge_free(recent, os::coarse_ms());
        true
    }

    /// Merges the newest span of each list.
    pub fn merge_recents(&mut self) {
        for list in self.stream_lists.into_iter().flat_map(StreamLists::all) {
            self.merge_recent_of(list);
        }
    }

    /// Merges a free span that is in no list with its neighbours, and puts the result into its list.
    pub(super) fn merge_free(&mut self, span: &'static Span, now: u64) {
        let Some(pool) = span.pool() else { return };
        let mut span = span;
        let kind = span.uses.drop_passed();
        let range = range_of(span);
        while let Some(neighbour) = self.alike_beside(pool, span, &kind) {
            self.remove_free(neighbour);
            let tick = match (span.uses.free_list_kind(), neighbour.uses.free_list_kind()) {
                (FreeListKind::On(a), FreeListKind::On(b)) => a.tick().max(b.tick()),
                _ => 0,
            };
            span.uses.clear();
            neighbour.uses.clear();
            span = self.merge(span, neighbour);
            if let FreeListKind::On(point) = kind {
                span.uses.set(Point::new(point.stream(), tick));
            }
        }
        span.set_freed_ms(now);
        match range {
            Some(range) if matches!(kind, FreeListKind::Finished) && range.bytes.get() == span.bytes.get() => {
                self.dissolve_range(range, span, now);
            }
            _ => self.insert_free(span),
        }
    }

    /// A free neighbour in the same kind of list, with which a span may merge.
    fn alike_beside(&self, pool: &'static Pool, span: &'static Span, kind: &FreeListKind) -> Option<&'static Span> {
        if matches!(kind, FreeListKind::MultiStream) {
            return None;
        }
        let range = range_of(span);
        let before = span.start.get().checked_sub(1).and_then(table::find);
        let alike = |other: &&'static Span| {
            let same_range = match (range, range_of(other)) {
                (Some(a), Some(b)) => a.is(b),
                (a, b) => a.is_none() && b.is_none(),
            };
            let same_home = match (kind, other.uses.free_list_kind()) {
                (FreeListKind::Finished, FreeListKind::Finished) => true,
                (FreeListKind::On(a), FreeListKind::On(b)) => core::ptr::eq(a.stream(), b.stream()),
                _ => false,
            };
            self.owns(pool, other)
                && other.kind() == Kind::Free
                && !other.is(span)
                && same_range
                && same_home
                && other.mark() != StreamMark::MultiStream
                && !other.needs_clearing()
                && self.may_join(span, other)
        };
        [before, table::find(span.end())].into_iter().flatten().find(alike)
    }

    /// Bytes of the largest finished span in ranges.
    pub(in crate::pool::state) fn largest_in_ranges(&self) -> usize {
        self.stream_lists.map_or(0, |lists| lists.in_range.largest())
    }
}
