//! Records: what ended guards leave on a store. The region that a failed writer left undefined, and work of a device that goes on.
//!
//! A record is the slot of the guard that it was, with the region that it pinned, so that leaving one needs no memory. One of device work
//! has a point, after which it counts no more and is swept when its ledger is next looked at; a poisoned region may have one too. Nothing
//! here asks a driver: under the lock a point has passed if that is known already, and what is not known goes out in [`Points`], to be
//! asked or waited for under no lock.

use super::class::Class;
use super::locked::Locked;
use super::points::{Points, UseTime, leaves_unknown};
use super::state::{Claim, Guard, Lease, Ledger};
use crate::region;
use crate::slots::{Slot, State};
use crate::stream::Point;

impl Locked {
    /// The records of a store.
    fn records(&self, ledger: &'static Ledger) -> impl Iterator<Item = &'static Guard> {
        core::iter::successors(self.state(ledger).record_list, |record| self.get(*record).next)
    }

    /// The same for a loop that takes records away: the one at `at`, which moves on to the next first.
    fn take_next(&self, at: &mut Option<&'static Guard>) -> Option<&'static Guard> {
        let record = (*at)?;
        *at = self.get(record).next;
        Some(record)
    }

    /// A closed guard becomes a record; it keeps the region's pin.
    pub(super) fn leave_record(&mut self, guard: &'static Guard, poisons: bool, point: Option<Point>) {
        let ledger = self.ledger_of(guard);
        guard.head().make_stale(State::Kept);
        let body = self.get(guard);
        let (owner, region) = (body.owner(), body.region());
        let class = match body.class {
            _ if poisons => Class::Poison,
            Class::Read | Class::ExportRead => Class::WorkRead,
            _ => Class::WorkWrite,
        };
        if !core::ptr::eq(owner, region) {
            // The handle may be released or move to a copy; what stays is the part's own slot, by the handle's name.
            let name = self.get(owner).name;
            self.get_mut(region).name = name;
        }
        let first = self.state(ledger).record_list;
        let body = self.get_mut(guard);
        body.class = class;
        body.owner = Some(region);
        body.group = None;
        body.frozen = false;
        body.point = point;
        body.previous = None;
        body.next = first;
        if let Some(first) = first {
            self.get_mut(first).previous = Some(guard);
        }
        let state = self.state_mut(ledger);
        state.record_list = Some(guard);
        state.records += 1;
        state.poisoned += u32::from(poisons);
        state.works += u32::from(point.is_some());
        if let Some(point) = point
            && state.works > 1
        {
            self.drop_superseded(ledger, guard, point);
        }
    }

    /// Forgets the work that a new record says all about: whoever has to be after the old one has to be after the new one too, and that is
    /// after the old one.
    fn drop_superseded(&mut self, ledger: &'static Ledger, new: &'static Guard, point: Point) {
        let (class, region) = (self.get(new).class, self.get(new).region());
        let mut at = self.state(ledger).record_list;
        while let Some(record) = self.take_next(&mut at) {
            if core::ptr::eq(record, new) {
                continue;
            }
            let body = self.get(record);
            let (Some(earlier), old) = (body.point, body.region()) else { continue };
            // Ends come here in another order than their points: one that was taken earlier says nothing of a later one. And another GPU may be
            // lost before its work is done, which nothing on this one makes good.
            if earlier.tick() > point.tick() || point.queue().device() != earlier.queue().device() {
                continue;
            }
            // A reader is in the way of writers only, and so says nothing about a writer.
            let says = match (class, body.class) {
                (Class::WorkWrite, Class::WorkRead | Class::WorkWrite) => point.queue().follows(earlier),
                (Class::WorkRead, Class::WorkRead) => core::ptr::eq(point.queue(), earlier.queue()),
                _ => false,
            };
            let within = || core::ptr::eq(old, region) || region::contains(self.region(region), self.region(old));
            if says && within() {
                self.remove_record(record);
            }
        }
    }

    /// Takes a record away: its region is not poisoned any more, or its work has passed.
    fn remove_record(&mut self, record: &'static Guard) {
        let ledger = self.ledger_of(record);
        let body = self.get(record);
        let (previous, next, region) = (body.previous, body.next, body.region());
        let (poisons, works) = (body.class == Class::Poison, body.point.is_some());
        match previous {
            Some(previous) => self.get_mut(previous).next = next,
            None => self.state_mut(ledger).record_list = next,
        }
        if let Some(next) = next {
            self.get_mut(next).previous = previous;
        }
        let state = self.state_mut(ledger);
        state.records -= 1;
        state.poisoned -= u32::from(poisons);
        state.works -= u32::from(works);
        self.free_guard(record);
        if works {
            self.drop_lease_if_unused(region);
        }
        self.drop_layout_ref(region);
    }

    /// Forgets the work that is known to have passed. What waited for nothing else ends with it.
    pub(crate) fn drop_passed_work(&mut self, ledger: &'static Ledger) {
        if self.state(ledger).works > 0 {
            self.drop_passed_work_slow(ledger);
        }
    }

    #[cold]
    fn drop_passed_work_slow(&mut self, ledger: &'static Ledger) {
        let mut at = self.state(ledger).record_list;
        while let Some(record) = self.take_next(&mut at) {
            let body = self.get(record);
            let Some(point) = body.point.filter(|point| point.is_passed()) else { continue };
            let (class, region) = (body.class, body.region());
            let unknown = class == Class::WorkWrite && leaves_unknown(self.state(ledger).device, point);
            if unknown {
                // What a lost device did not finish there others would read, and nobody knows what it is.
                self.get_mut(record).class = Class::Poison;
                self.state_mut(ledger).poisoned += 1;
            }
            if unknown || class == Class::Poison {
                self.get_mut(record).point = None;
                self.state_mut(ledger).works -= 1;
                self.drop_lease_if_unused(region);
            } else {
                self.remove_record(record);
            }
        }
        self.mark_dead_if_unused(ledger);
    }

    /// All records of a store that ends: poison goes, and unfinished work is noted for whoever gets the bytes.
    pub(super) fn drop_records(&mut self, ledger: &'static Ledger) {
        while let Some(record) = self.state(ledger).record_list {
            let Some(point) = self.get(record).point.filter(|point| !point.is_passed()) else {
                self.remove_record(record);
                continue;
            };
            // The slot stays for the point, as long as the chain is.
            let body = self.get_mut(record);
            let (next, poisons, region) = (body.next, body.class == Class::Poison, body.region());
            body.region = None;
            body.owner = None;
            body.point = Some(point);
            if let Some(next) = next {
                self.get_mut(next).previous = None;
            }
            let state = self.state_mut(ledger);
            state.record_list = next;
            state.records -= 1;
            state.poisoned -= u32::from(poisons);
            state.works -= 1;
            let chain = state.due.replace(record);
            self.get_mut(record).next = chain;
            self.drop_lease_if_unused(region);
            self.drop_layout_ref(region);
        }
    }

    /// Removes the poisoned regions that the region of `writer` contains.
    pub(super) fn clear_poison(&mut self, writer: &'static Claim) {
        let ledger = self.ledger_of(writer);
        let mut at = self.state(ledger).record_list;
        while let Some(record) = self.take_next(&mut at) {
            let body = self.get(record);
            let poisons = body.class == Class::Poison;
            if !poisons || !region::contains(self.region(writer), self.region(body.region())) {
                continue;
            }
            if body.point.is_some() {
                // What the failed writer put into its queue goes on all the same.
                self.get_mut(record).class = Class::WorkWrite;
                self.state_mut(ledger).poisoned -= 1;
            } else {
                self.remove_record(record);
            }
        }
    }

    /// Calls `visit` with the records of the store that overlap the claim's region.
    pub(crate) fn each_record_over(&self, claim: &'static Claim, mut visit: impl FnMut(&'static Guard)) {
        for record in self.records(self.ledger_of(claim)) {
            if !region::disjoint(self.region(self.get(record).region()), self.region(claim)) {
                visit(record);
            }
        }
    }

    /// Whether a poisoned region overlaps the claim's; who left it.
    pub(crate) fn poison_over(&self, claim: &'static Claim) -> Option<&'static Guard> {
        let mut found = None;
        self.each_record_over(claim, |record| {
            if found.is_none() && self.get(record).class == Class::Poison {
                found = Some(record);
            }
        });
        found
    }

    /// The device work of a record that matters to a reader or writer: readers do not mind one another.
    fn work_before(&self, record: &'static Guard, writing: bool) -> Option<Point> {
        let body = self.get(record);
        body.point.filter(|_| writing || body.class != Class::WorkRead)
    }

    /// The device work of a record that is in the way of a reader or writer in this order: not passed, as far as is known, nor before it anyhow.
    pub(crate) fn blocking_work(&self, record: &'static Guard, writing: bool, order: UseTime) -> Option<Point> {
        let point = self.work_before(record, writing)?;
        let ordered = match order.queue {
            Some(queue) => queue.follows(point),
            None => point.is_passed(),
        };
        (!ordered).then_some(point)
    }

    /// The unfinished work on a claim's region that a reader or writer has to be after, as the host.
    pub(crate) fn work_over(&self, claim: &'static Claim, writing: bool) -> Points {
        let mut points = Points::default();
        if self.state(self.ledger_of(claim)).works > 0 {
            self.each_record_over(claim, |record| {
                if let Some(point) = self.blocking_work(record, writing, UseTime::HOST) {
                    points.add(point, None);
                }
            });
        }
        points
    }

    /// Of the work that a reader or writer would wait for: some that its device, which is lost, did not finish.
    pub(crate) fn lost_over(&self, claim: &'static Claim, writing: bool) -> Option<Point> {
        let mut lost = None;
        if self.state(self.ledger_of(claim)).works > 0 {
            self.each_record_over(claim, |record| {
                lost = lost.or(self.work_before(record, writing).filter(|point| point.is_lost()));
            });
        }
        lost
    }

    /// Whether unfinished work lies on the layout of this very claim.
    pub(super) fn has_work(&self, claim: &'static Claim) -> bool {
        let ledger = self.ledger_of(claim);
        let is_work = |record: &'static Guard| {
            let body = self.get(record);
            body.point.is_some() && core::ptr::eq(body.region(), claim)
        };
        self.state(ledger).works > 0 && self.records(ledger).any(is_work)
    }

    /// The unfinished work of a store: all, or what keeps an import.
    pub(super) fn unfinished_work(&self, ledger: &'static Ledger, import: Option<&'static Lease>) -> Points {
        let keeps = |region: &'static Claim| {
            import.is_none_or(|lease| self.lease(region).is_some_and(|of| core::ptr::eq(of, lease)))
        };
        let mut points = Points::default();
        for record in self.records(ledger) {
            let body = self.get(record);
            if let Some(point) = body.point
                && keeps(body.region())
            {
                points.add(point, None);
            }
        }
        points
    }
}
