//! Records that ended guards leave on a store: regions that a failed writer left undefined, and unfinished device work.
//!
//! A record is the slot of the ended guard with its region, so leaving one allocates nothing. A record of device work
//! has a point; once that has passed, the next check of the ledger removes the record. A poisoned region may have a
//! point too. No function here calls a driver: under the lock, only points that are known to have passed count as
//! passed. The others are returned in [`Points`], to be polled or waited for under no lock.

use super::class::Class;
use super::locked::Locked;
use super::points::{Points, UseTime, leaves_unknown};
use super::state::{Claim, Guard, Lease, Ledger};
use crate::region;
use crate::slots::{Slot, State};
use crate::stream::Point;

impl Locked {
    fn records(&self, ledger: &'static Ledger) -> impl Iterator<Item = &'static Guard> {
        core::iter::successors(self.state(ledger).record_list, |record| self.get(*record).next)
    }

    /// The record at `at`, which then moves on to the next: for loops that remove records.
    fn take_next(&self, at: &mut Option<&'static Guard>) -> Option<&'static Guard> {
        let record = (*at)?;
        *at = self.get(record).next;
        Some(record)
    }

    /// Makes an ended guard a record, which keeps the guard's reference on its region.
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
            // The handle may be released or move to a copy. The part's own slot stays, and takes the handle's name for
            // messages.
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
        if poisons && self.state(ledger).poisoned > 1 {
            self.drop_covered_poison(ledger, guard);
        }
    }

    /// Removes the poisoned regions that a new one contains: whatever clears the new one clears them too. So a writer
    /// that fails again and again leaves one record.
    fn drop_covered_poison(&mut self, ledger: &'static Ledger, new: &'static Guard) {
        let region = self.get(new).region();
        let mut at = self.state(ledger).record_list;
        while let Some(record) = self.take_next(&mut at) {
            let body = self.get(record);
            let (poisons, works, old) = (body.class == Class::Poison, body.point.is_some(), body.region());
            if !poisons || works || core::ptr::eq(record, new) {
                continue;
            }
            if core::ptr::eq(old, region) || region::contains(self.region(region), self.region(old)) {
                self.remove_record(record);
            }
        }
    }

    /// Removes records that a new one supersedes: whatever must come after the old work must come after the new work
    /// too, and the new work comes after the old.
    fn drop_superseded(&mut self, ledger: &'static Ledger, new: &'static Guard, point: Point) {
        let (class, region) = (self.get(new).class, self.get(new).region());
        let mut at = self.state(ledger).record_list;
        while let Some(record) = self.take_next(&mut at) {
            if core::ptr::eq(record, new) {
                continue;
            }
            let body = self.get(record);
            let (Some(earlier), old) = (body.point, body.region()) else { continue };
            // Guards can end in another order than their points, so an earlier point supersedes no later one. Work of
            // another GPU is not superseded, because that GPU can be lost before its work is done.
            if earlier.tick() > point.tick() || point.stream().device() != earlier.stream().device() {
                continue;
            }
            // Only writers wait for a reader, so a reader supersedes no writer.
            let says = match (class, body.class) {
                (Class::WorkWrite, Class::WorkRead | Class::WorkWrite) => point.stream().follows(earlier),
                (Class::WorkRead, Class::WorkRead) => core::ptr::eq(point.stream(), earlier.stream()),
                _ => false,
            };
            let within = || core::ptr::eq(old, region) || region::contains(self.region(region), self.region(old));
            if says && within() {
                self.remove_record(record);
            }
        }
    }

    /// Removes a record whose region is no longer poisoned and whose work has passed.
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

    /// Removes the work that is known to have passed, and ends what waited only for it.
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
                // The lost device left these bytes undefined.
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

    /// Removes all records of a store that ends. Unfinished work is kept in `due` for the pool that gets the bytes.
    pub(super) fn drop_records(&mut self, ledger: &'static Ledger) {
        while let Some(record) = self.state(ledger).record_list {
            let Some(point) = self.get(record).point.filter(|point| !point.is_passed()) else {
                self.remove_record(record);
                continue;
            };
            // The slot keeps the point until the chain is worked off.
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
                // Device work of the failed writer continues.
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

    /// The record of a poisoned region that overlaps the claim's region.
    pub(crate) fn poison_over(&self, claim: &'static Claim) -> Option<&'static Guard> {
        let mut found = None;
        self.each_record_over(claim, |record| {
            if found.is_none() && self.get(record).class == Class::Poison {
                found = Some(record);
            }
        });
        found
    }

    /// The device work of a record that a reader or writer has to come after; readers do not wait for readers.
    fn work_before(&self, record: &'static Guard, writing: bool) -> Option<Point> {
        let body = self.get(record);
        body.point.filter(|_| writing || body.class != Class::WorkRead)
    }

    /// The device work of a record for which a reader or writer has to wait: it is not known to have passed, and the
    /// stream of the use is not ordered after it anyway.
    pub(crate) fn blocking_work(&self, record: &'static Guard, writing: bool, order: UseTime) -> Option<Point> {
        let point = self.work_before(record, writing)?;
        let ordered = match order.stream {
            Some(stream) => stream.follows(point),
            None => point.is_passed(),
        };
        (!ordered && !order.unordered).then_some(point)
    }

    /// Adds the store of a claim, if its bytes have to come back into memory first.
    #[inline]
    pub(crate) fn add_if_away(&self, claim: &'static Claim, points: &mut Points) {
        let ledger = self.ledger_of(claim);
        if self.state(ledger).residence.is_away() {
            points.add_away(ledger.tag());
        }
    }

    /// The unfinished work on a claim's region for which the host has to wait as a reader or writer, and the store if its
    /// bytes have to come back into memory.
    pub(crate) fn work_over(&self, claim: &'static Claim, writing: bool) -> Points {
        let mut points = Points::default();
        self.add_if_away(claim, &mut points);
        if self.state(self.ledger_of(claim)).works > 0 {
            self.each_record_over(claim, |record| {
                if let Some(point) = self.blocking_work(record, writing, UseTime::HOST) {
                    points.add(point, None);
                }
            });
        }
        points
    }

    /// A point of work that a lost device did not finish, and for which a reader or writer would wait.
    pub(crate) fn lost_over(&self, claim: &'static Claim, writing: bool) -> Option<Point> {
        let mut lost = None;
        if self.state(self.ledger_of(claim)).works > 0 {
            self.each_record_over(claim, |record| {
                lost = lost.or(self.work_before(record, writing).filter(|point| point.is_lost()));
            });
        }
        lost
    }

    /// Whether unfinished work is recorded for the layout of this claim.
    pub(super) fn has_work(&self, claim: &'static Claim) -> bool {
        let ledger = self.ledger_of(claim);
        let is_work = |record: &'static Guard| {
            let body = self.get(record);
            body.point.is_some() && core::ptr::eq(body.region(), claim)
        };
        self.state(ledger).works > 0 && self.records(ledger).any(is_work)
    }

    /// The unfinished work of a store: all of it, or that which keeps an import.
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

#[cfg(all(test, not(loom)))]
mod tests {
    use crate::ffi::array::{tn_array_release, tn_array_zeros};
    use crate::ffi::borrow::{tn_array_borrow_write, tn_borrow_end};
    use crate::ffi::view::tn_array_slice;
    use crate::ledger::{Claim, locked};
    use crate::slots::Id;
    use crate::types::*;
    use core::ptr::{null, null_mut};

    /// A write that fails; then the poisoned regions of the store.
    fn fail_write(array: *mut tn_array) -> u32 {
        let (mut data, mut guard) = (null_mut(), null_mut());
        // SAFETY: the outputs are ours.
        unsafe {
            let opened = tn_array_borrow_write(array, TN_WRITE_DISCARD, null_mut(), &mut data, null_mut(), &mut guard);
            assert_eq!(opened, TN_OK);
            assert_eq!(tn_borrow_end(guard, TN_END_FAILED, null_mut()), TN_OK);
        }
        let (locked, claim) = locked::lock::<Claim>(Id::from_bits(array.addr() as u64)).unwrap();
        let state = locked.state(locked.ledger_of(claim));
        assert_eq!(state.records, state.poisoned);
        state.poisoned
    }

    #[test]
    fn failed_writes_on_the_same_bytes_leave_one_record() {
        let part = |array: *mut tn_array, start: i64, stop: i64| {
            let mut view = null_mut();
            let spec = tn_slice_spec { start, stop, step: 1, reserved: [0; 4] };
            // SAFETY: the output is ours.
            assert_eq!(unsafe { tn_array_slice(array, 1, &spec, &mut view) }, TN_OK);
            view
        };
        let mut whole = null_mut();
        // SAFETY: the output is ours.
        assert_eq!(unsafe { tn_array_zeros(null_mut(), TN_F64, 1, [10].as_ptr(), null(), &mut whole) }, TN_OK);
        let (none, left, right) = (part(whole, 3, 3), part(whole, 0, 4), part(whole, 6, 10));
        assert_eq!(fail_write(none), 0, "no byte is undefined");
        assert_eq!([left, left, right, left, right].map(fail_write), [1, 1, 2, 2, 2]);
        assert_eq!(fail_write(whole), 1);
        for array in [none, left, right, whole] {
            assert_eq!(tn_array_release(array), TN_OK);
        }
    }
}
