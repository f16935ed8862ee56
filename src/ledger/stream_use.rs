//! The fast path of uses in the order of a stream, for one handle: a guard beside unfinished work that the stream comes
//! after, and its end, which leaves work behind.
//!
//! Each launch of a kernel opens and ends such guards, and so does a program that launches its kernels itself. From the
//! second one on, the array has a record of the stream's earlier work, which the end of the guard moves on to the new
//! point. As in [`super::fast_path`], a function does all of its work, or changes nothing and says so.

use super::class::{Class, Completion};
use super::fast_path::LockedSlot;
use super::internal_guard::InternalGuard;
use super::state::{Claim, Guard, GuardBody, GuardedSlot};
use crate::slots::Table;
use crate::stream::{Point, Stream};
use crate::thread::Thread;

/// More records are left to the slow path, which removes those that are not needed.
const MAX_RECORDS: usize = 4;

impl<S: GuardedSlot> LockedSlot<S> {
    /// The records of the store; None: there are many.
    #[inline(always)]
    fn records(&self) -> Option<impl Iterator<Item = (&'static Guard, &GuardBody)>> {
        let first = self.state().record_list;
        // SAFETY: records are guarded by the ledger, which is locked by us, and `&self` lets no mutable reference be.
        let body = |record: &'static Guard| unsafe { &*record.guarded().body.get() };
        let few = self.state().records as usize <= MAX_RECORDS;
        few.then(|| {
            core::iter::successors(first, move |record| body(record).next).map(move |record| (record, body(record)))
        })
    }
}

impl LockedSlot<Claim> {
    /// Whether the store has no poisoned region, and a reader or writer on the stream comes after all unfinished work
    /// that it has to.
    #[inline(always)]
    pub(crate) fn comes_after_work(&self, stream: &'static Stream, writing: bool) -> bool {
        if self.state().records == 0 {
            return true;
        }
        let comes_after = |(_, body): (&Guard, &GuardBody)| {
            body.class == Class::WorkRead && !writing || body.point.is_some_and(|point| stream.follows(point))
        };
        self.state().poisoned == 0
            && self.state().residence.tracked() == 0
            && self.records().is_some_and(|mut records| records.all(comes_after))
    }
}

impl LockedSlot<Guard> {
    /// Ends a guard on a whole array that is still a claim. Device work on the bytes continues until `point`, as it did
    /// until an earlier point of the stream.
    #[inline(always)]
    pub(crate) fn end_on_stream(mut self, point: Point) -> bool {
        let (guard, thread) = (self.at.slot, self.inside.thread());
        let body = self.body();
        let (owner, writes, origin) = (body.owner(), body.class == Class::Write, body.origin);
        let is_whole = body.region.is_some_and(|region| core::ptr::eq(region, owner)) && body.group.is_none();
        // SAFETY: the claims of a guard are guarded by its ledger, which is locked; no mutable reference is out.
        let is_claim = unsafe { &*owner.guarded().body.get() }.counted;
        if !is_whole
            || !is_claim
            || self.state().poisoned > 0
            || point.is_passed()
            || body.completion != Completion::Ledger
        {
            return false;
        }
        // Only writers wait for readers, so a reader does not stand for a writer.
        let stands_for = |(_, record): &(&'static Guard, &GuardBody)| {
            record.region.is_some_and(|region| core::ptr::eq(region, owner))
                && (writes || record.class == Class::WorkRead)
                && record
                    .point
                    .is_some_and(|earlier| earlier.stream() == point.stream() && earlier.tick() <= point.tick())
        };
        let Some((record, _)) = self.records().and_then(|mut records| records.find(stands_for)) else { return false };
        // SAFETY: the ledger is locked by us and guards the guard, which is in the list, and its owner.
        unsafe { self.state_mut().unlink_guard(guard, writes) };
        // SAFETY: as above; no other reference is out.
        unsafe { owner.guarded().own() }.layout_refs -= 1;
        // SAFETY: as above; a record is no guard.
        let record = unsafe { record.guarded().own() };
        record.class = if writes { Class::WorkWrite } else { Class::WorkRead };
        (record.point, record.origin) = (Some(point), origin);
        Table::free(thread, guard);
        true
    }
}

impl InternalGuard {
    /// As [`InternalGuard::end_at`] for a use that did not fail.
    #[inline(always)]
    pub(crate) fn end_on_stream(self, thread: &'static Thread, point: Point) {
        let guard = self.into_guard();
        if !LockedSlot::held(thread, guard).end_on_stream(point) {
            guard.lock().end_guard_at(guard, false, Some(point));
        }
    }
}
