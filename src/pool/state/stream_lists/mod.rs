//! The free memory of a pool on whose blocks devices work: who may have which part of it, and when.
//!
//! | word | meaning |
//! |---|---|
//! | use | a point on a queue after which a span's bytes are free (`uses`) |
//! | finished | a free span all of whose uses have passed: anybody may have it |
//! | lane | the free spans that one queue used last, and nobody else: that queue may have them at once |
//! | mixed | the free spans with uses on several queues |
//! | uncleared | the free spans that nobody may have before they were cleared, in pools that promise so |
//! | range | whole granules cut into spans of multiples of 512 bytes, for blocks up to 1 MiB; they have a map (`fine`) |
//!
//! A span that comes back lies in its queue's lane, which asks no driver; so a loop on one queue never does (PD-1). A request looks in its own
//! queue's lane, then among what is finished, then for what its queue is known to come after (PD-2). Only then is the driver asked, by the
//! caller and under no lock: once for each lane that has something that fits, about a point that covers all that lay in it at the first look
//! (PD-3, [`Books::points`]); what has passed moves to the finished ([`Books::harvest`]), where it merges. What does not pass may be taken
//! out and waited for on the device ([`Books::take_pending`], PD-4): one span, and the rest of its lane stays where it is.
//!
//! Neighbours merge where both are finished, or in one lane, and lie in one piece of the device (PD-5). Shelves find what fits in a number of
//! steps that does not depend on how much there is; lanes are few, one for each queue that was ever used.
//!
//! How others do it: PyTorch's caching allocator keeps blocks by stream and records an event on each other stream when a block is freed; ours
//! records none until somebody looks. RMM's coalescing lists are lanes too; a stream that finds nothing waits for another's event and takes
//! one block. CUDA's pools follow dependencies that the driver sees, as `Queue::follows` does what Tenure sees.
//!
//! | file | what |
//! |---|---|
//! | `requests` | what is free is found, cut and handed out |
//! | `ranges` | granules become ranges, and granules again |
//! | `pending` | what has passed, and what has not |
//!
//! Contract: that of `books`, under the same lock. Nothing here asks a driver.

pub(in crate::pool) mod pending;

mod ranges;

mod requests;

use super::{Books, Want};
use crate::device::host::GRANULE;
use crate::pool::Pool;
use crate::pool::arena::{Recycled, Recycler};
use crate::pool::span::range_map::UNIT;
use crate::pool::span::stream_uses::{Home, Point, Queue};
use crate::pool::span::{Kind, Link, List, Span, Word, table};
use crate::pool::state::free_bins::Shelf;
use crate::sys::os;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// Largest block that is cut from a range; its rests are kept down to a unit.
pub(in crate::pool) const LARGEST_FINE: usize = 1 << 20;
/// Rests of larger blocks are not cut off below this.
const LEAST_REST: usize = 2 << 20;
/// Spans with uses on several queues that a request looks at.
const LOOKS: usize = 32;
/// Points that one step asks the driver about.
pub(in crate::pool) const POINTS: usize = 64;

/// Points to ask the driver about.
pub(in crate::pool) type Points = [Option<Point>; POINTS];

/// What is free beside the books' own shelf, which has what is finished and whole granules.
#[derive(Debug)]
pub(in crate::pool) struct Ordered {
    /// Finished, in ranges.
    fine: Shelf,
    lanes: AtomicPtr<Lane>,
    mixed: List,
    uncleared: Left,
    /// How often somebody asked about everything.
    sweeps: Word,
    recycled: AtomicPtr<Ordered>,
}

/// Spans that have to be cleared, linked by `next`: who comes last is tried last.
#[derive(Debug)]
struct Left {
    first: Link,
    last: Link,
    count: Word,
}

// SAFETY: zero is valid for every field, and `recycled` serves the list only.
unsafe impl Recycled for Ordered {
    fn link(&self) -> &AtomicPtr<Ordered> {
        &self.recycled
    }
}

/// The free spans of one queue.
#[derive(Debug)]
pub(in crate::pool) struct Lane {
    queue: AtomicPtr<Queue>,
    /// In ranges.
    fine: Shelf,
    /// Of whole granules.
    coarse: Shelf,
    /// The span that came here last: not merged yet, because the next request is likely to want it as it is.
    recent: Link,
    /// The tick that the driver is asked about, until it has passed; 0: none.
    watched: AtomicU64,
    next: AtomicPtr<Lane>,
    recycled: AtomicPtr<Lane>,
}

// SAFETY: zero is valid for every field, and `recycled` serves the list only.
unsafe impl Recycled for Lane {
    fn link(&self) -> &AtomicPtr<Lane> {
        &self.recycled
    }
}

static ORDERED: Recycler<Ordered> = Recycler::new();
static LANES: Recycler<Lane> = Recycler::new();

impl Ordered {
    /// One with nothing in it. None: no memory.
    pub fn create() -> Option<&'static Ordered> {
        let ordered = ORDERED.get()?;
        ordered.fine.set_unit(UNIT);
        Some(ordered)
    }

    /// Back to the others, with its lanes: they are empty, and nothing leads to it any more.
    pub fn release(&'static self) {
        let mut next = self.lanes.swap(core::ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: NULL, or a lane, and those are never unmapped.
        while let Some(lane) = unsafe { next.as_ref() } {
            next = lane.next.load(Ordering::Relaxed);
            LANES.put(lane);
        }
        ORDERED.put(self);
    }

    fn lanes(&self) -> impl Iterator<Item = &'static Lane> {
        let at = |link: &AtomicPtr<Lane>| {
            // SAFETY: NULL, or a lane, and those are never unmapped.
            unsafe { link.load(Ordering::Relaxed).as_ref() }
        };
        core::iter::successors(at(&self.lanes), move |lane: &&'static Lane| at(&lane.next))
    }

    fn lane(&self, queue: &'static Queue) -> Option<&'static Lane> {
        self.lanes().find(|lane| lane.is_of(queue))
    }
}

impl Lane {
    /// A lane for a queue. None: no memory.
    pub fn create(queue: &'static Queue) -> Option<&'static Lane> {
        let lane = LANES.get()?;
        lane.fine.set_unit(UNIT);
        lane.coarse.set_unit(GRANULE);
        lane.queue.store(core::ptr::from_ref(queue).cast_mut(), Ordering::Relaxed);
        lane.watched.store(0, Ordering::Relaxed);
        lane.recent.set(None);
        Some(lane)
    }

    /// One that found no use.
    pub fn release(&'static self) {
        LANES.put(self);
    }

    fn is_of(&self, queue: &'static Queue) -> bool {
        core::ptr::eq(self.queue.load(Ordering::Relaxed), queue)
    }

    fn shelf(&self, fine: bool) -> &Shelf {
        if fine { &self.fine } else { &self.coarse }
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
        let newest = |shelf: &Shelf| shelf.newest().map_or(0, |span| span.since.get() as u64);
        let tick = newest(&self.fine).max(newest(&self.coarse));
        self.watched.store(tick, Ordering::Relaxed);
        self.point(tick).filter(|_| tick > 0)
    }
}

impl Want {
    /// Whether it is cut from a range.
    fn is_fine(&self) -> bool {
        self.unit <= LARGEST_FINE && self.span_alignment < GRANULE
    }

    /// Spans of one bin, or with uses on several queues, that are looked at for it.
    fn looks(&self) -> usize {
        if self.thorough { usize::MAX } else { LOOKS }
    }

    /// What fits it on a shelf.
    fn find_on(&self, shelf: &Shelf) -> Option<&'static Span> {
        shelf.find_within(self.span_bytes, self.span_alignment, self.looks())
    }

    /// Bytes that are not worth being cut off.
    fn least_rest(&self) -> usize {
        if self.is_fine() { UNIT } else { LEAST_REST }
    }
}

/// The range that a span lies in; None: it is of whole granules.
fn range_of(span: &Span) -> Option<&'static Span> {
    table::get(span.start.get()).filter(|outer| outer.kind() == Kind::Fine && !outer.is(span))
}

impl Books {
    /// Gives a queue its lane, if it has none: `lane` was made for it. What was not needed.
    pub fn add_lane(&mut self, queue: &'static Queue, lane: Option<&'static Lane>) -> Option<&'static Lane> {
        let Some(ordered) = self.ordered.filter(|_| !self.has_lane(queue)) else { return lane };
        let lane = lane?;
        lane.next.store(ordered.lanes.load(Ordering::Relaxed), Ordering::Relaxed);
        ordered.lanes.store(core::ptr::from_ref(lane).cast_mut(), Ordering::Relaxed);
        self.figures.metadata_bytes += size_of::<Lane>() as u64;
        None
    }

    /// Whether a queue has its lane, or needs none here.
    pub fn has_lane(&self, queue: &'static Queue) -> bool {
        self.ordered.is_none_or(|ordered| ordered.lane(queue).is_some())
    }

    // ---- on and off the shelves ----

    /// Puts a free span where its uses say, and merges nothing.
    fn shelve(&mut self, span: &'static Span) {
        let Some(ordered) = self.ordered else { return };
        let fine = range_of(span).is_some();
        span.set_mixed(false);
        match span.uses.home() {
            Home::Finished if fine => ordered.fine.put(span, false),
            Home::Finished => self.list_free(span),
            Home::On(point) if let Some(lane) = ordered.lane(point.queue()) => {
                span.since.set(point.tick() as usize);
                lane.shelf(fine).put(span, true);
                self.figures.pending_bytes += span.bytes.get() as u64;
            }
            Home::On(_) | Home::Mixed => {
                span.set_mixed(true);
                ordered.mixed.push(span);
                self.figures.pending_bytes += span.bytes.get() as u64;
            }
        }
    }

    /// Takes a free span off where it lies.
    fn unshelve(&mut self, span: &'static Span) {
        let Some(ordered) = self.ordered else { return };
        let fine = range_of(span).is_some();
        match span.uses.home() {
            _ if span.is_mixed() => {
                ordered.mixed.remove(span);
                self.figures.pending_bytes -= span.bytes.get() as u64;
            }
            Home::On(point) if let Some(lane) = ordered.lane(point.queue()) => {
                if lane.recent.get().is_some_and(|recent| recent.is(span)) {
                    lane.recent.set(None);
                }
                lane.shelf(fine).take(span, true);
                self.figures.pending_bytes -= span.bytes.get() as u64;
            }
            _ if fine => ordered.fine.take(span, false),
            _ => self.unlist_free(span),
        }
    }

    /// Makes a span that is in no list free. It merges with the neighbours that are free for the same reason, in a lane not before the next one
    /// comes there.
    pub fn set_free_ordered(&mut self, span: &'static Span, now: u64) {
        span.uses.close();
        if span.is_uncleared() {
            self.leave_uncleared(span);
            return;
        }
        let lane = match (span.uses.settle(), self.ordered) {
            (Home::On(point), Some(ordered)) => ordered.lane(point.queue()),
            _ => None,
        };
        if let Some(lane) = lane {
            // Not yet with this one, which lies nowhere.
            self.merge_recent_of(lane);
        }
        span.change(|| span.set_kind(Kind::Free));
        match lane {
            Some(lane) => {
                self.shelve(span);
                lane.recent.set(Some(span));
            }
            None => self.merge_free(span, now),
        }
    }

    /// Merges what came to a lane last. False: it was merged, or is gone.
    fn merge_recent_of(&mut self, lane: &'static Lane) -> bool {
        let Some(recent) = lane.recent.get() else { return false };
        self.unshelve(recent);
        self.merge_free(recent, os::coarse_ms());
        true
    }

    /// Merges what came to each lane last.
    pub fn merge_recents(&mut self) {
        for lane in self.ordered.into_iter().flat_map(Ordered::lanes) {
            self.merge_recent_of(lane);
        }
    }

    /// Merges a free span that is in no list with its neighbours, and puts it where it belongs.
    fn merge_free(&mut self, span: &'static Span, now: u64) {
        let Some(pool) = span.pool() else { return };
        let mut span = span;
        let home = span.uses.settle();
        let range = range_of(span);
        while let Some(neighbour) = self.alike_beside(pool, span, &home) {
            self.unshelve(neighbour);
            let tick = match (span.uses.home(), neighbour.uses.home()) {
                (Home::On(a), Home::On(b)) => a.tick().max(b.tick()),
                _ => 0,
            };
            span.uses.clear();
            neighbour.uses.clear();
            span = self.merge(span, neighbour);
            if let Home::On(point) = home {
                span.uses.set(Point::new(point.queue(), tick));
            }
        }
        span.since.set(now as usize);
        match range {
            Some(range) if matches!(home, Home::Finished) && range.bytes.get() == span.bytes.get() => {
                self.dissolve_range(range, span, now);
            }
            _ => self.shelve(span),
        }
    }

    /// A free neighbour of the same home, with which a span may be one.
    fn alike_beside(&self, pool: &'static Pool, span: &'static Span, home: &Home) -> Option<&'static Span> {
        if matches!(home, Home::Mixed) {
            return None;
        }
        let range = range_of(span);
        let before = span.start.get().checked_sub(1).and_then(table::find);
        let alike = |other: &&'static Span| {
            let same_range = match (range, range_of(other)) {
                (Some(a), Some(b)) => a.is(b),
                (a, b) => a.is_none() && b.is_none(),
            };
            let same_home = match (home, other.uses.home()) {
                (Home::Finished, Home::Finished) => true,
                (Home::On(a), Home::On(b)) => core::ptr::eq(a.queue(), b.queue()),
                _ => false,
            };
            self.owns(pool, other)
                && other.kind() == Kind::Free
                && !other.is(span)
                && same_range
                && same_home
                && !other.is_mixed()
                && !other.is_uncleared()
                && self.may_join(span, other)
        };
        [before, table::find(span.end())].into_iter().flatten().find(alike)
    }

    /// Bytes of the largest free span that anybody may have.
    pub(super) fn largest_fine(&self) -> usize {
        self.ordered.map_or(0, |ordered| ordered.fine.largest())
    }
}
