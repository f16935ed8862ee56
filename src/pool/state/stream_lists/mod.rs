//! The free memory of a pool on whose blocks devices work: who may have which part of it, and when.
//!
//! | word | meaning |
//! |---|---|
//! | use | a point on a queue after which a span's bytes are free (`uses`) |
//! | finished | a free span all of whose uses have passed: anybody may have it |
//! | list | the free spans that one queue used last, and nobody else: that queue may have them at once |
//! | multi_stream | the free spans with uses on several queues |
//! | needs_clearing | the free spans that nobody may have before they were cleared, in pools that promise so |
//! | range | whole granules cut into spans of multiples of 512 bytes, for blocks up to 1 MiB; they have a map (`in_range`) |
//!
//! A span that comes back lies in its queue's list, which asks no driver; so a loop on one queue never does (PD-1). A request looks in its own
//! queue's list, then among what is finished, then for what its queue is known to come after (PD-2). Only then is the driver asked, by the
//! caller and under no lock: once for each list that has something that fits, about a point that covers all that lay in it at the first look
//! (PD-3, [`PoolState::points`]); what has passed moves to the finished ([`PoolState::collect_passed`]), where it merges. What does not pass may be taken
//! out and waited for on the device ([`PoolState::take_pending`], PD-4): one span, and the rest of its list stays where it is.
//!
//! Neighbours merge where both are finished, or in one list, and lie in one piece of the device (PD-5). Shelves find what fits in a number of
//! steps that does not depend on how much there is; stream_lists are few, one for each queue that was ever used.
//!
//! How others do it: PyTorch's caching allocator keeps blocks by stream and records an event on each other stream when a block is freed; ours
//! records none until somebody looks. RMM's coalescing lists are stream_lists too; a stream that finds nothing waits for another's event and takes
//! one block. CUDA's pools follow dependencies that the driver sees, as `Queue::follows` does what Tenure sees.
//!
//! | file | what |
//! |---|---|
//! | `requests` | what is free is found, cut and handed out |
//! | `ranges` | granules become ranges, and granules again |
//! | `pending` | what has passed, and what has not |
//!
//! Contract: that of `state`, under the same lock. Nothing here asks a driver.

pub(in crate::pool) mod pending;

mod ranges;

mod requests;

use super::{PoolState, Want};
use crate::device::host::GRANULE;
use crate::pool::Pool;
use crate::pool::arena::{Recycled, Recycler};
use crate::pool::span::range_map::MIN_PIECE_BYTES;
use crate::pool::span::stream_uses::{FreeListKind, Point, Queue};
use crate::pool::span::{Kind, Link, List, RelaxedUsize, Span, StreamMark, table};
use crate::pool::state::free_bins::FreeBins;
use crate::sys::os;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// Largest block that is cut from a range; its rests are kept down to a block_bytes.
pub(in crate::pool) const LARGEST_IN_RANGE_BYTES: usize = 1 << 20;
/// Rests of larger blocks are not cut off below this.
const LEAST_REST: usize = 2 << 20;
/// Spans with uses on several queues that a request looks at.
const LOOKS: usize = 32;
/// Points that one step asks the driver about.
pub(in crate::pool) const POINTS: usize = 64;

/// Points to ask the driver about.
pub(in crate::pool) type Points = [Option<Point>; POINTS];

/// What is free beside the state' own free_bins, which has what is finished and whole granules.
#[derive(Debug)]
pub(in crate::pool) struct StreamLists {
    /// Finished, in ranges.
    in_range: FreeBins,
    lists: AtomicPtr<StreamList>,
    multi_stream: List,
    needs_clearing: ClearingQueue,
    /// How often somebody asked about everything.
    rounds: RelaxedUsize,
    recycled: AtomicPtr<StreamLists>,
}

/// Spans that have to be cleared, linked by `next`: who comes last is tried last.
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
    /// In ranges.
    in_range: FreeBins,
    /// Of whole granules.
    whole: FreeBins,
    /// The span that came here last: not merged yet, because the next request is likely to want it as it is.
    recent: Link,
    /// The tick that the driver is asked about, until it has passed; 0: none.
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
    /// One with nothing in it. None: no memory.
    pub fn create() -> Option<&'static StreamLists> {
        let lists = STREAM_LISTS.get()?;
        lists.in_range.set_unit(MIN_PIECE_BYTES);
        Some(lists)
    }

    /// Back to the others, with its stream_lists: they are empty, and nothing leads to it any more.
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

    /// One that found no use.
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

    /// The point to ask about: one that covers all that lay here when it was chosen, until it has passed.
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
    /// Whether it is cut from a range.
    fn is_in_range(&self) -> bool {
        self.block_bytes <= LARGEST_IN_RANGE_BYTES && self.span_alignment < GRANULE
    }

    /// Spans of one bin, or with uses on several queues, that are looked at for it.
    fn looks(&self) -> usize {
        if self.exhaustive { usize::MAX } else { LOOKS }
    }

    /// What fits it on a free_bins.
    fn find_on(&self, free_bins: &FreeBins) -> Option<&'static Span> {
        free_bins.find_within(self.span_bytes, self.span_alignment, self.looks())
    }

    /// Bytes that are not worth being cut off.
    fn least_rest(&self) -> usize {
        if self.is_in_range() { MIN_PIECE_BYTES } else { LEAST_REST }
    }
}

/// The range that a span lies in; None: it is of whole granules.
fn range_of(span: &Span) -> Option<&'static Span> {
    table::get(span.start.get()).filter(|outer| outer.kind() == Kind::Range && !outer.is(span))
}

impl PoolState {
    /// Gives a queue its list, if it has none: `list` was made for it. What was not needed.
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

    /// Whether a queue has its list, or needs none here.
    pub fn has_stream_list(&self, queue: &'static Queue) -> bool {
        self.stream_lists.is_none_or(|lists| lists.of(queue).is_some())
    }

    // ---- on and off the shelves ----

    /// Puts a free span where its uses say, and merges nothing.
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

    /// Takes a free span off where it lies.
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

    /// Makes a span that is in no list free. It merges with the neighbours that are free for the same reason, in a list not before the next one
    /// comes there.
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
            // Not yet with this one, which lies nowhere.
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

    /// Merges what came to a list last. False: it was merged, or is gone.
    fn merge_recent_of(&mut self, list: &'static StreamList) -> bool {
        let Some(recent) = list.recent.get() else { return false };
        self.remove_free(recent);
        self.merge_free(recent, os::coarse_ms());
        true
    }

    /// Merges what came to each list last.
    pub fn merge_recents(&mut self) {
        for list in self.stream_lists.into_iter().flat_map(StreamLists::all) {
            self.merge_recent_of(list);
        }
    }

    /// Merges a free span that is in no list with its neighbours, and puts it where it belongs.
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

    /// A free neighbour of the same kind, with which a span may be one.
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

    /// Bytes of the largest free span that anybody may have.
    pub(super) fn largest_in_ranges(&self) -> usize {
        self.stream_lists.map_or(0, |lists| lists.in_range.largest())
    }
}
