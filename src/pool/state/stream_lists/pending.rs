//! What has passed, and what has not: pending spans become finished, or are taken out to be waited for.
//!
//! Contract: that of `lanes`: the driver is asked by the caller, under no lock.

use super::{LOOKS, Lane, Ordered, POINTS, Points};
use crate::device::host::GRANULE;
use crate::pool::span::stream_uses::{Home, Point};
use crate::pool::span::{Kind, Span};
use crate::pool::state::{Books, Kit, Want};
use crate::sys::os;

/// How far somebody is who asks about everything that is pending.
#[derive(Default)]
pub(in crate::pool) struct Sweep {
    /// Its number, at the spans that it asked about; 0: it has not begun.
    number: usize,
    /// When it began, in ms.
    begun: usize,
    lanes: usize,
}

/// Where the numbers of sweeps begin: no time in ms, which is what else may stand at a span.
const NUMBERS: usize = 1 << 62;

impl Sweep {
    /// Whether a mixed span is not for it: it was asked about, by this one or by one that began later; or it came there since, and who asks
    /// as long as others give back, or as long as others ask, asks for ever.
    fn passes_over(&self, span: &Span) -> bool {
        let since = span.since.get();
        since >= self.number || (self.begun < since && since < NUMBERS)
    }
}

impl Books {
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

    /// The next of all points that there are to ask about; none: those were all. A span that is used on more queues than fit is asked about in
    /// part, and again by the next sweep, which finds less of it.
    pub fn more_points(&mut self, sweep: &mut Sweep) -> Points {
        let mut points = [None; POINTS];
        let Some(ordered) = self.ordered else { return points };
        if sweep.number == 0 {
            ordered.sweeps.add(1);
            sweep.number = NUMBERS | ordered.sweeps.get();
            sweep.begun = os::coarse_ms() as usize;
        }
        let mut places = points.iter_mut();
        for lane in ordered.lanes().skip(sweep.lanes) {
            if places.len() == 0 {
                return points;
            }
            sweep.lanes += 1;
            if let Some(point) = lane.watch()
                && let Some(place) = places.next()
            {
                *place = Some(point);
            }
        }
        let mut next = ordered.mixed.first();
        while let Some(span) = next {
            next = span.next.get();
            if sweep.passes_over(span) {
                continue;
            }
            let mut open = 0;
            span.uses.each(|point| open += usize::from(!point.is_passed()));
            if open > places.len() && places.len() < POINTS {
                break;
            }
            span.since.set(sweep.number);
            span.uses.each(|point| {
                if !point.is_passed()
                    && let Some(place) = places.next()
                {
                    *place = Some(point);
                }
            });
        }
        points
    }

    /// Takes a pending span out for a queue that will wait for its uses on the device. It is the caller's until [`Books::set_free_ordered`].
    pub fn take_pending(&mut self, want: &Want, kit: &mut Kit) -> Option<&'static Span> {
        let (ordered, queue) = (self.ordered?, want.queue?);
        let fine = want.is_fine();
        let lanes = ordered.lanes().filter(|lane| !lane.is_of(queue));
        let find = |lane: &'static Lane| want.find_on(lane.shelf(fine));
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

    /// Puts a span aside that nobody may have before it was cleared; one that may not be cleared either lies nowhere from then on.
    pub(super) fn leave_uncleared(&mut self, span: &'static Span) {
        let Some(Ordered { uncleared: left, .. }) = self.ordered else { return };
        span.change(|| span.set_kind(Kind::Free));
        self.figures.pending_bytes += span.bytes.get() as u64;
        if span.is_caught() {
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

    /// How many there are.
    pub fn uncleared(&self) -> usize {
        self.ordered.map_or(0, |ordered| ordered.uncleared.count.get())
    }

    /// Takes out the one that was put aside first. It is the caller's until [`Books::set_free_ordered`].
    pub fn take_uncleared(&mut self) -> Option<&'static Span> {
        let left = &self.ordered?.uncleared;
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
}
