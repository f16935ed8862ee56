//! Requests: what is free is found, cut and handed out; live blocks change their size.
//!
//! Contract: that of `lanes`. What is handed out was used by nobody else than the request's queue, or by what that comes after.

use super::{LEAST_REST, range_of};
use crate::device::host::GRANULE;
use crate::pool::span::block_state::{Block, State};
use crate::pool::span::range_map::UNIT;
use crate::pool::span::stream_uses::{Home, Point};
use crate::pool::span::{Kind, Span};
use crate::pool::state::{Books, Kit, Placed, Want};
use crate::sys::os;
use crate::types::TN_POOL_ZERO_ON_FREE;

impl Books {
    /// A block from what the pool has and the want's queue may have without a wait. Without a kit only one for which nothing must be cut.
    pub fn place_ordered(&mut self, want: &Want, mut kit: Option<&mut Kit>) -> Option<Placed> {
        let ordered = self.ordered?;
        let fine = want.is_fine();
        let own = want.queue.and_then(|queue| ordered.lane(queue));
        loop {
            let found = own.and_then(|lane| want.find_on(lane.shelf(fine)));
            let finished = if fine { &ordered.fine } else { &self.shelf };
            let found = found.or_else(|| want.find_on(finished));
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
        let found = lanes.filter_map(|lane| want.find_on(lane.shelf(fine)));
        found.chain(self.mixed_for(want, fine)).find(follows)
    }

    /// Whether something fits a want that its queue may have without a wait, as it is.
    pub fn has_for(&self, want: &Want) -> bool {
        let Some(ordered) = self.ordered else { return false };
        let fine = want.is_fine();
        let finished = if fine { &ordered.fine } else { &self.shelf };
        let own = want.queue.and_then(|queue| ordered.lane(queue));
        want.find_on(finished).is_some()
            || own.is_some_and(|lane| want.find_on(lane.shelf(fine)).is_some())
            || self.find_followed(want, fine).is_some()
    }

    /// The first few mixed spans that fit.
    pub(super) fn mixed_for(&self, want: &Want, fine: bool) -> impl Iterator<Item = &'static Span> {
        let first = self.ordered.and_then(|ordered| ordered.mixed.first());
        let (bytes, alignment) = (want.span_bytes, want.span_alignment);
        core::iter::successors(first, |span| span.next.get()).take(want.looks()).filter(move |span| {
            let pad = span.start.get().next_multiple_of(alignment) - span.start.get();
            span.bytes.get() >= bytes + pad && range_of(span).is_some() == fine
        })
    }

    /// Takes a free span out, cut to what is wanted; the rest goes back to where it was. None: it needs cuts for which there is no kit.
    pub(super) fn cut_to(&mut self, span: &'static Span, want: &Want, kit: Option<&mut Kit>) -> Option<&'static Span> {
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

    /// Whether a live block can have so many bytes where it is.
    pub fn fits_in_place(&self, span: &Span, bytes: usize) -> bool {
        let unit = if range_of(span).is_some() { UNIT } else { GRANULE };
        bytes.checked_next_multiple_of(unit).is_some_and(|usable| usable <= span.bytes.get())
    }

    /// Changes the size of a live raw block that fits in place; what it does not need any more is free after the block's own uses, and after
    /// `point`, up to which its holder used it. False: it is not live any more.
    pub fn resize_ordered(
        &mut self,
        span: &'static Span,
        block: Block,
        bytes: usize,
        point: Option<Point>,
        kit: &mut Kit,
    ) -> bool {
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
            self.shrink_ordered(span, usable, fine, point, kit);
        }
        span.exchange(0, State::Limbo, State::Raw);
        self.account(block).tally.reallocated += 1;
        true
    }

    fn shrink_ordered(&mut self, span: &'static Span, keep: usize, fine: bool, point: Option<Point>, kit: &mut Kit) {
        let least = if fine { UNIT } else { LEAST_REST };
        let home = match (span.uses.home(), point) {
            (home, None) => home,
            (Home::Finished, Some(point)) => Home::On(point),
            (Home::On(used), Some(point)) if point.queue().follows(used) => Home::On(point),
            _ => Home::Mixed,
        };
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
        rest.set_uncleared(self.devices_clear());
        self.set_free_ordered(rest, os::coarse_ms());
    }

    /// Whether what is free has been cleared, by the device.
    fn devices_clear(&self) -> bool {
        self.settings.flags & TN_POOL_ZERO_ON_FREE != 0 && !self.settings.terms.touch
    }
}
