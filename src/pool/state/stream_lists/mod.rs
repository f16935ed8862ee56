//! The free memory of a stream-ordered pool: which stream may have which part of it, and when.
//!
//! | term | meaning |
//! |---|---|
//! | use | a point on a queue that must pass before a span's bytes can be reused (`span::stream_uses`) |
//! | finished | a free span without pending uses: every request may have it |
//! | stream list | the free spans that only one queue uses; that queue may have them at once |
//! | multi-stream | a free span with uses on several queues |
//! | needs clearing | a free span that must be cleared before it is allocated again, in pools with TN_POOL_ZERO_ON_FREE |
//! | range | granules cut into spans of multiples of 512 bytes, for blocks up to 1 MiB; it has a map (`span::range_map`) |
//!
//! A freed span goes to its queue's list without a question to the driver, so a loop on one queue never asks it
//! (PD-1). A request looks at its own queue's list, then at finished spans, then at spans that its queue is known to
//! come after (PD-2). Only then the caller asks the driver, under no lock: once for each list with a span that fits.
//! The question is about a point that covers all spans of the list at that time (PD-3, [`PoolState::points`]). Spans
//! whose uses have passed become finished and merge ([`PoolState::collect_passed`]). A span whose uses have not
//! passed can be waited for on the device ([`PoolState::take_pending`], PD-4); the rest of its list stays.
//!
//! Neighbours merge if both are finished, or in one stream list, and lie in one piece of the device (PD-5). Bins find
//! a span in a bounded number of steps. There is one stream list for each queue that was ever used.
//!
//! Comparison: PyTorch's caching allocator also keeps blocks by stream, and records an event on each other stream at
//! a free; Tenure records none until a request needs it. RMM's coalescing lists are per stream too; a stream that
//! finds nothing waits for another stream's event and takes one block. CUDA's pools follow dependencies that the
//! driver sees; `Queue::follows` does so for those that Tenure sees.
//!
//! | file | what |
//! |---|---|
//! | `requests` | free spans are found, cut and allocated |
//! | `ranges` | granules become ranges, and granules again |
//! | `pending` | which uses have passed |
//!
//! Contract: that of `state`, under the same lock. Nothing here asks a driver.

pub(in crate::pool) mod pending;

mod ranges;

mod requests;

use super::{PoolState, Want};
use crate::device::host::GRANULE;
use crate::pool::Pool;
use crate::pool::recycler::{Recycled, Recycler};
use crate::pool::span::range_map::MIN_PIECE_BYTES;
use crate::pool::span::stream_uses::{FreeListKind, Point, Queue};
use crate::pool::span::{Kind, Link, List, RelaxedUsize, Span, StreamMark, table};
use crate::pool::state::free_bins::FreeBins;
use crate::sys::os;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// Largest block that is cut from a range. Rests in a range are kept down to [`MIN_PIECE_BYTES`].
pub(in crate::pool) const LARGEST_IN_RANGE_BYTES: usize = 1 << 20;
/// Smallest rest that is cut off a larger block.
const LEAST_REST_BYTES: usize = 2 << 20;
/// Multi-stream spans that a bounded search looks at.
const MULTI_STREAM_LOOKS: usize = 32;
/// Points that one poll asks the driver about.
pub(in crate::pool) const POINTS: usize = 64;

pub(in crate::pool) type Points = [Option<Point>; POINTS];

/// Free spans beside the pool's own bins, which have the finished spans of whole granules.
#[derive(Debug)]
pub(in crate::pool) struct StreamLists {
    /// Finished spans in ranges.
    in_range: FreeBins,
    lists: AtomicPtr<StreamList>,
    multi_stream: List,
    needs_clearing: ClearingQueue,
    /// How many poll rounds began.
    rounds: RelaxedUsize,
    recycled: AtomicPtr<StreamLists>,
}

/// Spans that must be cleared, linked by `next`, the oldest first.
#[derive(Debug)]
struct ClearingQueue {
    first: Link,
    last: Link,
    count: RelaxedUsize,
}

// SAFETY: zero is valid for every field, and `recycled` serves the list only.
unsafe impl Recycled for StreamLists {
    fn link(&self) -> &AtomicPtr<StreamLists> {
        &self.recycled
    }
}

/// The free spans of one queue.
#[derive(Debug)]
pub(in crate::pool) struct StreamList {
    queue: AtomicPtr<Queue>,
    /// Spans in ranges.
    in_range: FreeBins,
    /// Spans of whole granules.
    whole: FreeBins,
    /// The newest span. It is not merged yet, because the next request is likely to want it as it is.
    recent: Link,
    /// The tick that the driver is asked about until it has passed; 0: none.
    watched: AtomicU64,
    next: AtomicPtr<StreamList>,
    recycled: AtomicPtr<StreamList>,
}

// SAFETY: zero is valid for every field, and `recycled` serves the list only.
unsafe impl Recycled for StreamList {
    fn link(&self) -> &AtomicPtr<StreamList> {
        &self.recycled
    }
}

static STREAM_LISTS: Recycler<StreamLists> = Recycler::new();
static LISTS: Recycler<StreamList> = Recycler::new();

impl StreamLists {
    /// Empty lists. None: no memory.
    pub fn create() -> Option<&'static StreamLists> {
        let lists = STREAM_LISTS.get()?;
        lists.in_range.set_unit(MIN_PIECE_BYTES);
        Some(lists)
    }

    /// Returns the record and its lists, which are empty, to the free lists.
    pub fn release(&'static self) {
        let mut next = self.lists.swap(core::ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: NULL, or a list, and those are never unmapped.
        while let Some(list) = unsafe { next.as_ref() } {
            next = list.next.load(Ordering::Relaxed);
            LISTS.put(list);
        }
        STREAM_LISTS.put(self);
    }

    fn all(&self) -> impl Iterator<Item = &'static StreamList> {
        let at = |link: &AtomicPtr<StreamList>| {
            // SAFETY: NULL, or a list, and those are never unmapped.
            unsafe { link.load(Ordering::Relaxed).as_ref() }
        };
        core::iter::successors(at(&self.lists), move |list: &&'static StreamList| at(&list.next))
    }

    fn of(&self, queue: &'static Queue) -> Option<&'static StreamList> {
        self.all().find(|list| list.is_of(queue))
    }
}

impl StreamList {
    /// A list for a queue. None: no memory.
    pub fn create(queue: &'static Queue) -> Option<&'static StreamList> {
        let list = LISTS.get()?;
        list.in_range.set_unit(MIN_PIECE_BYTES);
        list.whole.set_unit(GRANULE);
        list.queue.store(core::ptr::from_ref(queue).cast_mut(), Ordering::Relaxed);
        list.watched.store(0, Ordering::Relaxed);
        list.recent.set(None);
        Some(list)
    }

    /// Returns a list that was not needed.
    pub fn release(&'static self) {
        LISTS.put(self);
    }

    fn is_of(&self, queue: &'static Queue) -> bool {
        core::ptr::eq(self.queue.load(Ordering::Relaxed), queue)
    }

    fn free_bins(&self, in_range: bool) -> &FreeBins {
        if in_range { &self.in_range } else { &self.whole }
    }

    fn point(&self, tick: u64) -> Option<Point> {
        // SAFETY: set from a reference to a queue, and those are never unmapped.
        let queue = unsafe { self.queue.load(Ordering::Relaxed).as_ref() };
        queue.map(|queue| Point::new(queue, tick))
    }

    /// The point to ask about. It covers all spans that were here when it was chosen, and stays until it has passed.
    fn watch(&self) -> Option<Point> {
        let watched = self.point(self.watched.load(Ordering::Relaxed));
        if let Some(point) = watched.filter(|point| point.tick() > 0 && !point.is_passed()) {
            return Some(point);
        }
        let newest = |free_bins: &FreeBins| free_bins.newest().map_or(0, |span| span.use_tick());
        let tick = newest(&self.in_range).max(newest(&self.whole));
        self.watched.store(tick, Ordering::Relaxed);
        self.point(tick).filter(|_| tick > 0)
    }
}

impl Want {
    /// Whether the block is cut from a range.
    fn is_in_range(&self) -> bool {
        self.block_bytes <= LARGEST_IN_RANGE_BYTES && self.span_alignment < GRANULE
    }

    /// Spans of one bin, or multi-stream spans, that a search looks at.
    fn looks(&self) -> usize {
        if self.exhaustive { usize::MAX } else { MULTI_STREAM_LOOKS }
    }

    /// A span in the bins that fits.
    fn find_on(&self, free_bins: &FreeBins) -> Option<&'static Span> {
        free_bins.find_within(self.span_bytes, self.span_alignment, self.looks())
    }

    /// Smallest rest that is cut off.
    fn least_rest(&self) -> usize {
        if self.is_in_range() { MIN_PIECE_BYTES } else { LEAST_REST_BYTES }
    }
}

/// The range that contains a span. None: the span has whole granules.
fn range_of(span: &Span) -> Option<&'static Span> {
    table::get(span.start.get()).filter(|outer| outer.kind() == Kind::Range && !outer.is(span))
}

impl PoolState {
    /// Adds a queue's list, unless it has one. Returns what was not needed.
    pub fn add_stream_list(
        &mut self,
        queue: &'static Queue,
        list: Option<&'static StreamList>,
    ) -> Option<&'static StreamList> {
        let Some(lists) = self.stream_lists.filter(|_| !self.has_stream_list(queue)) else { return list };
        let list = list?;
        list.next.store(lists.lists.load(Ordering::Relaxed), Ordering::Relaxed);
        lists.lists.store(core::ptr::from_ref(list).cast_mut(), Ordering::Relaxed);
        self.figures.metadata_bytes += size_of::<StreamList>() as u64;
        None
    }

    /// Whether a queue has its list, or needs none in this pool.
    pub fn has_stream_list(&self, queue: &'static Queue) -> bool {
        self.stream_lists.is_none_or(|lists| lists.of(queue).is_some())
    }

    // ---- in and out of the lists ----

    /// Puts a free span into the list that its uses say, without merging.
    fn insert_free(&mut self, span: &'static Span) {
        let Some(lists) = self.stream_lists else { return };
        let in_range = range_of(span).is_some();
        span.set_mark(StreamMark::None);
        match span.uses.free_list_kind() {
            FreeListKind::Finished if in_range => lists.in_range.put(span, false),
            FreeListKind::Finished => self.list_free(span),
            FreeListKind::On(point) if let Some(list) = lists.of(point.queue()) => {
                span.set_use_tick(point.tick());
                list.free_bins(in_range).put(span, true);
                self.figures.pending_bytes += span.bytes.get() as u64;
            }
            FreeListKind::On(_) | FreeListKind::MultiStream => {
                span.set_mark(StreamMark::MultiStream);
                lists.multi_stream.push(span);
                self.figures.pending_bytes += span.bytes.get() as u64;
            }
        }
    }

    /// Removes a free span from its list.
    fn remove_free(&mut self, span: &'static Span) {
        let Some(lists) = self.stream_lists else { return };
        let in_range = range_of(span).is_some();
        match span.uses.free_list_kind() {
            _ if span.mark() == StreamMark::MultiStream => {
                lists.multi_stream.remove(span);
                self.figures.pending_bytes -= span.bytes.get() as u64;
            }
            FreeListKind::On(point) if let Some(list) = lists.of(point.queue()) => {
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
            (FreeListKind::On(point), Some(lists)) => lists.of(point.queue()),
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

    /// Merges the newest span of a list. False: it was merged already, or is gone.
    fn merge_recent_of(&mut self, list: &'static StreamList) -> bool {
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
    fn merge_free(&mut self, span: &'static Span, now: u64) {
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
                span.uses.set(Point::new(point.queue(), tick));
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
                (FreeListKind::On(a), FreeListKind::On(b)) => core::ptr::eq(a.queue(), b.queue()),
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
    pub(super) fn largest_in_ranges(&self) -> usize {
        self.stream_lists.map_or(0, |lists| lists.in_range.largest())
    }
}
