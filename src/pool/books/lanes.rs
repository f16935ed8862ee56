//! The free memory of a pool on whose blocks devices work: who may have which part of it, and when.
//!
//! | word | meaning |
//! |---|---|
//! | use | a point on a queue after which a span's bytes are free (`uses`) |
//! | finished | a free span all of whose uses have passed: anybody may have it |
//! | lane | the free spans that one queue used last, and nobody else: that queue may have them at once |
//! | mixed | the free spans with uses on several queues |
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
//! Contract: that of `books`, under the same lock. Nothing here asks a driver.

use super::shelf::Shelf;
use super::{Books, Kit, Placed, Want};
use crate::device::host::GRANULE;
use crate::pool::arena::{Recycled, Recycler};
use crate::pool::cell::{Block, State};
use crate::pool::fine::{Fine, RANGE, UNIT};
use crate::pool::span::{Kind, Link, List, Span};
use crate::pool::uses::{Home, Point, Queue};
use crate::pool::{Pool, table};
use crate::sys::os;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// Largest block that is cut from a range; its rests are kept down to a unit.
pub(in crate::pool) const LARGEST_FINE: usize = 1 << 20;
/// Rests of larger blocks are not cut off below this.
const LEAST_REST: usize = 2 << 20;
/// Spans with uses on several queues that a request looks at.
const LOOKS: usize = 32;
/// Points that one step asks the driver about.
pub(in crate::pool) const POINTS: usize = 16;

/// Points to ask the driver about.
pub(in crate::pool) type Points = [Option<Point>; POINTS];

/// What is free beside the books' own shelf, which has what is finished and whole granules.
#[derive(Debug)]
pub(in crate::pool) struct Ordered {
    /// Finished, in ranges.
    fine: Shelf,
    lanes: AtomicPtr<Lane>,
    mixed: List,
    recycled: AtomicPtr<Ordered>,
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
                && self.may_join(span, other)
        };
        [before, table::find(span.end())].into_iter().flatten().find(alike)
    }

    // ---- ranges ----

    /// Cuts granules into a range of one free span, for a small block of which no range has room. Of those that the queue may have; False:
    /// there are none.
    fn open_range(&mut self, want: &Want, kit: &mut Kit) -> bool {
        let Some(ordered) = self.ordered.filter(|_| kit.map.is_some()) else { return false };
        let lane = want.queue.and_then(|queue| ordered.lane(queue));
        let needed = want.span_bytes.next_multiple_of(GRANULE);
        let find = |bytes: usize| {
            let own = lane.and_then(|lane| lane.coarse.find(bytes, GRANULE));
            own.or_else(|| self.shelf.find(bytes, GRANULE))
        };
        let Some(outer) = find(RANGE).or_else(|| find(needed)) else { return false };
        self.unshelve(outer);
        if outer.bytes.get() > RANGE {
            let Some((front, rest)) = self.front_of(outer, RANGE, kit) else {
                self.shelve(outer);
                return false;
            };
            self.rest_of(front, rest, outer);
            return self.make_range(front, kit);
        }
        self.make_range(outer, kit)
    }

    /// A free span was cut in two: the rest goes where the whole was. `whole`: the one of both that has its uses.
    fn rest_of(&mut self, span: &'static Span, rest: &'static Span, whole: &'static Span) {
        let other = if span.is(whole) { rest } else { span };
        other.since.set(whole.since.get());
        match whole.uses.home() {
            Home::On(point) => other.uses.set(point),
            _ => other.uses.clear(),
        }
        rest.change(|| rest.set_kind(Kind::Free));
        self.shelve(rest);
    }

    fn make_range(&mut self, outer: &'static Span, kit: &mut Kit) -> bool {
        let (Some(map), Some(inner), Some(pool)) = (kit.map.take(), kit.span(), outer.pool()) else {
            self.shelve(outer);
            return false;
        };
        inner.change(|| {
            inner.set_kind(Kind::Free);
            inner.set_pool(pool);
            inner.start.set(outer.start.get());
            inner.bytes.set(outer.bytes.get());
            inner.clean.set(0);
            inner.origin.set(outer.origin.get());
            inner.set_notes(None);
        });
        inner.since.set(outer.since.get());
        match outer.uses.home() {
            Home::On(point) => inner.uses.set(point),
            _ => inner.uses.clear(),
        }
        outer.uses.clear();
        map.put(0, outer.bytes.get(), inner);
        outer.change(|| {
            outer.set_map(Some(map));
            outer.set_kind(Kind::Fine);
        });
        self.figures.metadata_bytes += (size_of::<Span>() + size_of::<Fine>()) as u64;
        self.shelve(inner);
        true
    }

    /// Makes a range whole granules again. All of it is one free span, which is in no list.
    fn dissolve_range(&mut self, outer: &'static Span, inner: &'static Span, now: u64) {
        match inner.uses.home() {
            Home::On(point) => outer.uses.set(point),
            _ => outer.uses.clear(),
        }
        inner.uses.clear();
        let mut map = None;
        outer.change(|| {
            outer.clean.set(0);
            map = outer.set_map(None);
            outer.set_kind(Kind::None);
        });
        if let Some(map) = map {
            map.release();
            self.figures.metadata_bytes -= size_of::<Fine>() as u64;
        }
        self.drop_span(inner);
        outer.change(|| outer.set_kind(Kind::Free));
        self.merge_free(outer, now);
    }

    /// Makes the ranges whole granules again in which nothing is live and only one queue has work. False: there was none.
    pub fn dissolve_ranges(&mut self) -> bool {
        let Some(ordered) = self.ordered else { return false };
        self.merge_recents();
        let mut whole: Option<&'static Span> = None;
        for lane in ordered.lanes() {
            lane.fine.each(|span| {
                if range_of(span).is_some_and(|range| range.bytes.get() == span.bytes.get()) {
                    lane.fine.take(span, true);
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

    // ---- requests ----

    /// A block from what the pool has and the want's queue may have without a wait. Without a kit only one for which nothing must be cut.
    pub fn place_ordered(&mut self, want: &Want, mut kit: Option<&mut Kit>) -> Option<Placed> {
        let ordered = self.ordered?;
        let fine = want.is_fine();
        let own = want.queue.and_then(|queue| ordered.lane(queue));
        loop {
            let found = own.and_then(|lane| lane.shelf(fine).find(want.span_bytes, want.span_alignment));
            let finished = if fine { &ordered.fine } else { &self.shelf };
            let found = found.or_else(|| finished.find(want.span_bytes, want.span_alignment));
            if let Some(span) = found {
                let span = self.cut_to(span, want, kit.as_deref_mut())?;
                return Some(self.hand_out(span, want));
            }
            if let Some(span) = self.find_followed(want, fine) {
                let span = self.take_for(span, want, kit.as_deref_mut())?;
                return Some(self.hand_out(span, want));
            }
            // Once merged it may fit.
            if kit.is_some() && own.is_some_and(|lane| self.merge_recent_of(lane)) {
                continue;
            }
            if !fine || !kit.as_deref_mut().is_some_and(|kit| self.open_range(want, kit)) {
                return None;
            }
        }
    }

    /// A span of other queues that the want's is known to come after.
    fn find_followed(&self, want: &Want, fine: bool) -> Option<&'static Span> {
        let (ordered, queue) = (self.ordered?, want.queue?);
        let follows = |span: &&'static Span| span.uses.all(|point| queue.follows(point));
        let lanes = ordered.lanes().filter(|lane| !lane.is_of(queue));
        let found = lanes.filter_map(|lane| lane.shelf(fine).find(want.span_bytes, want.span_alignment));
        found.chain(self.mixed_for(want, fine)).find(follows)
    }

    /// The first few mixed spans that fit.
    fn mixed_for(&self, want: &Want, fine: bool) -> impl Iterator<Item = &'static Span> {
        let first = self.ordered.and_then(|ordered| ordered.mixed.first());
        let (bytes, alignment) = (want.span_bytes, want.span_alignment);
        core::iter::successors(first, |span| span.next.get()).take(LOOKS).filter(move |span| {
            let pad = span.start.get().next_multiple_of(alignment) - span.start.get();
            span.bytes.get() >= bytes + pad && range_of(span).is_some() == fine
        })
    }

    /// Takes a free span out, cut to what is wanted; the rest goes back to where it was. None: it needs cuts for which there is no kit.
    fn cut_to(&mut self, span: &'static Span, want: &Want, kit: Option<&mut Kit>) -> Option<&'static Span> {
        let pad = span.start.get().next_multiple_of(want.span_alignment) - span.start.get();
        let spare = span.bytes.get() - pad - want.span_bytes;
        if pad == 0 && spare < want.least_rest() {
            self.unshelve(span);
            return Some(span);
        }
        let kit = kit?;
        self.unshelve(span);
        let mut span = span;
        if pad > 0 {
            let Some(rest) = self.cut_off(span, pad, kit) else {
                self.shelve(span);
                return None;
            };
            let front = span;
            self.rest_of(rest, front, front);
            span = rest;
        }
        if spare >= want.least_rest() {
            let Some((front, rest)) = self.front_of(span, want.span_bytes, kit) else {
                span.change(|| span.set_kind(Kind::Free));
                self.shelve(span);
                return None;
            };
            self.rest_of(front, rest, span);
            span = front;
        }
        Some(span)
    }

    /// The same for a span that other queues used, and the want's queue comes after: what is taken out is that queue's from now on.
    fn take_for(&mut self, span: &'static Span, want: &Want, kit: Option<&mut Kit>) -> Option<&'static Span> {
        let queue = want.queue?;
        let whole = span.is_mixed();
        if whole {
            // Its rest could not say after what it is free.
            self.unshelve(span);
            span.uses.set(queue.now());
            self.shelve(span);
        }
        let taken = self.cut_to(span, want, kit)?;
        taken.uses.set(queue.now());
        Some(taken)
    }

    fn hand_out(&mut self, span: &'static Span, want: &Want) -> Placed {
        let ready = match span.uses.home() {
            Home::On(point) if !point.is_passed() => Some(point),
            _ => None,
        };
        Placed { ready, ..self.make_large(span, want) }
    }

    /// Enters a piece that just came from the device, and takes a block of it. None: it is no new memory.
    pub fn place_in_ordered(&mut self, span: &'static Span, want: &Want, kit: &mut Kit) -> Option<Placed> {
        self.set_free_ordered(span, os::coarse_ms());
        self.place_ordered(want, Some(kit))
    }

    // ---- what has passed, and what has not ----

    /// Moves what has passed to where anybody may have it. False: there was nothing.
    pub fn harvest(&mut self, now: u64) -> bool {
        let Some(ordered) = self.ordered else { return false };
        let mut any = false;
        for lane in ordered.lanes() {
            for fine in [true, false] {
                let passed =
                    |span: &&'static Span| lane.point(span.since.get() as u64).is_none_or(|point| point.is_passed());
                while let Some(span) = lane.shelf(fine).oldest().filter(passed) {
                    self.unshelve(span);
                    self.set_free_ordered(span, now);
                    any = true;
                }
            }
        }
        let mut next = ordered.mixed.first();
        while let Some(span) = next {
            next = span.next.get();
            let lane_of = |point: Point| ordered.lane(point.queue()).is_some();
            let stays = match span.uses.settle() {
                Home::Mixed => true,
                Home::On(point) => !lane_of(point),
                Home::Finished => false,
            };
            if !stays {
                self.unshelve(span);
                self.set_free_ordered(span, now);
                any = true;
                // What was merged with it may have been the next one's neighbour, never a mixed span itself.
            }
        }
        any
    }

    /// What to ask the driver about: of each lane of another queue a point that covers what lies there, and the uses of mixed spans. With a
    /// want only where something fits it.
    pub fn points(&self, want: Option<&Want>) -> Points {
        let mut points = [None; POINTS];
        let Some(ordered) = self.ordered else { return points };
        let mut places = points.iter_mut();
        let own = want.and_then(|want| want.queue);
        let fits = |lane: &Lane| match want {
            None => true,
            Some(want) => {
                let fine = want.is_fine();
                lane.shelf(fine).find(want.span_bytes, want.span_alignment).is_some()
                    || fine && lane.coarse.find(want.span_bytes.next_multiple_of(GRANULE), GRANULE).is_some()
            }
        };
        for lane in ordered.lanes() {
            if own.is_some_and(|queue| lane.is_of(queue)) || !fits(lane) {
                continue;
            }
            let Some(point) = lane.watch() else { continue };
            let Some(place) = places.next() else { return points };
            *place = Some(point);
        }
        let mixed = |span: &'static Span| {
            span.uses.each(|point| {
                if !point.is_passed()
                    && let Some(place) = places.next()
                {
                    *place = Some(point);
                }
            });
        };
        match want {
            Some(want) => self.mixed_for(want, want.is_fine()).for_each(mixed),
            None => core::iter::successors(ordered.mixed.first(), |span| span.next.get()).take(LOOKS).for_each(mixed),
        }
        points
    }

    /// Takes a pending span out for a queue that will wait for its uses on the device. It is the caller's until [`Books::set_free_ordered`].
    pub fn take_pending(&mut self, want: &Want, kit: &mut Kit) -> Option<&'static Span> {
        let (ordered, queue) = (self.ordered?, want.queue?);
        let fine = want.is_fine();
        let lanes = ordered.lanes().filter(|lane| !lane.is_of(queue));
        let find = |lane: &'static Lane| lane.shelf(fine).find(want.span_bytes, want.span_alignment);
        let found = lanes.filter_map(find).next();
        let span = match found {
            Some(span) => self.cut_to(span, want, Some(kit))?,
            None => {
                let span = self.mixed_for(want, fine).next()?;
                self.unshelve(span);
                span
            }
        };
        span.change(|| span.set_kind(Kind::None));
        Some(span)
    }

    /// Granules of other queues' lanes become a range of one of them, where a small block is wanted and nothing else is left.
    pub fn open_pending_range(&mut self, want: &Want, kit: &mut Kit) -> bool {
        let Some(ordered) = self.ordered.filter(|_| want.is_fine()) else { return false };
        let needed = want.span_bytes.next_multiple_of(GRANULE);
        let find = |lane: &'static Lane| {
            let point = lane.coarse.find(needed, GRANULE)?.uses.home();
            if let Home::On(point) = point { Some(point.queue()) } else { None }
        };
        let Some(queue) = ordered.lanes().find_map(find) else { return false };
        self.open_range(&Want { queue: Some(queue), ..*want }, kit)
    }

    /// Bytes of the largest free span that anybody may have.
    pub(super) fn largest_fine(&self) -> usize {
        self.ordered.map_or(0, |ordered| ordered.fine.largest())
    }

    /// Whether a live block can have so many bytes where it is.
    pub fn fits_in_place(&self, span: &Span, bytes: usize) -> bool {
        let unit = if range_of(span).is_some() { UNIT } else { GRANULE };
        bytes.checked_next_multiple_of(unit).is_some_and(|usable| usable <= span.bytes.get())
    }

    /// Changes the size of a live raw block that fits in place; what it does not need any more is free after the block's own uses. False: it
    /// is not live any more.
    pub fn resize_ordered(&mut self, span: &'static Span, block: Block, bytes: usize, kit: &mut Kit) -> bool {
        if !span.exchange(0, State::Raw, State::Limbo) {
            return false;
        }
        let fine = range_of(span).is_some();
        let (old, usable) = (span.unit.get(), bytes.next_multiple_of(if fine { UNIT } else { GRANULE }));
        if usable > old {
            self.set_usable(span, usable);
        }
        self.resize(span, 0, block, bytes);
        if usable < old / 2 {
            self.set_usable(span, usable);
            self.shrink_ordered(span, usable, fine, kit);
        }
        span.exchange(0, State::Limbo, State::Raw);
        self.account(block).tally.reallocated += 1;
        true
    }

    fn shrink_ordered(&mut self, span: &'static Span, keep: usize, fine: bool, kit: &mut Kit) {
        let least = if fine { UNIT } else { LEAST_REST };
        let home = span.uses.home();
        // The uses of a block that several queues use cannot be noted twice.
        if matches!(home, Home::Mixed) || span.bytes.get() - keep < least {
            return;
        }
        let Some(rest) = self.cut_off(span, keep, kit) else { return };
        self.figures.overhead_bytes -= rest.bytes.get() as u64;
        match home {
            Home::On(point) => rest.uses.set(point),
            _ => rest.uses.clear(),
        }
        self.set_free_ordered(rest, os::coarse_ms());
    }
}
