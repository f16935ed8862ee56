//! Guards: open uses of regions of a store.
//!
//! A guard's region is the layout of a claim slot, on which the guard has a reference, so that the handle can be
//! released first. The end of a guard allocates nothing: the slot of a guard that leaves poison or device work becomes
//! the record of it, see `record`.

use super::claim::SpareClaim;
use super::class::{Class, Completion, GuardParams};
use super::locked::Locked;
use super::points::leaves_unknown;
use super::state::{Claim, Group, Guard, GuardBody, GuardedSlot, Ledger};
use crate::device::checked;
use crate::layout::Layout;
use crate::region::Region;
use crate::slots::{Id, Slot, Spare, State, Table};
use crate::stream::Point;
use crate::thread::Thread;

impl Guard {
    /// Whether it is the head of a borrow_all, which belongs to no ledger.
    pub(crate) fn is_head(&'static self) -> bool {
        self.guarded.ledger().is_none()
    }

    /// The bits of its handle, while there is one.
    pub(crate) fn id(&'static self) -> Id {
        Slot::id(self)
    }

    /// Frees the slot, to which only the caller refers.
    pub(super) fn reset(&'static self, thread: &'static Thread) {
        // SAFETY: in no list of a ledger: ours alone.
        *unsafe { self.guarded.own() } = GuardBody::NEW;
        Table::free(thread, self);
    }

    /// Locks the ledger of a guard that the caller owns, and that therefore stays open.
    pub fn lock(&'static self) -> Locked {
        let ledger = self.guarded.ledger().expect("not a head");
        Locked::one(crate::thread::current(), ledger)
    }
}

/// A guard slot that is in no ledger yet.
pub type SpareGuard = Spare<Guard>;

/// A taken slot that stores the point after which the bytes of a new store may be used, if there is one. Small, because
/// it is moved often.
pub(super) struct StartPoint(&'static Guard);

impl StartPoint {
    pub(super) fn of(spare: SpareGuard, point: Option<Point>) -> StartPoint {
        let start = StartPoint(spare.into_slot());
        start.set(point);
        start
    }

    pub(super) fn set(&self, point: Option<Point>) {
        // SAFETY: taken, in no list: ours alone.
        unsafe { self.0.guarded.own() }.point = point;
    }

    pub(super) fn point(&self) -> Option<Point> {
        // SAFETY: as above.
        unsafe { self.0.guarded.own() }.point
    }

    /// The empty slot and the point.
    pub(super) fn take(self, thread: &'static Thread) -> Option<(SpareGuard, Point)> {
        // SAFETY: a start point owns its slot, and is forgotten.
        let spare = unsafe { Spare::of(self.0, thread) };
        core::mem::forget(self);
        // SAFETY: taken, in no list: ours alone.
        let point = unsafe { spare.slot().guarded.own() }.point.take();
        point.map(|point| (spare, point))
    }
}

impl Drop for StartPoint {
    fn drop(&mut self) {
        self.set(None);
        Table::free(crate::thread::current(), self.0);
    }
}

impl Locked {
    /// Opens a guard on the layout of `region` through the claim `owner`; they differ only for chunks and exports. It
    /// has no handle yet.
    #[inline]
    pub(crate) fn add_guard(
        &mut self,
        spare: SpareGuard,
        params: GuardParams,
        owner: &'static Claim,
        region: &'static Claim,
        group: Option<Group>,
    ) -> &'static Guard {
        let guard = spare.into_slot();
        let ledger = self.ledger_of(region);
        self.check(owner.guarded());
        guard.guarded.set_ledger(ledger);
        let origin = self.origin();
        self.note_use(ledger);
        // SAFETY: `state_mut` checks that the ledger is locked by us; it guards the region and, with it, the owner; the
        // guard is unpublished.
        unsafe { self.state_mut(ledger).link_guard(guard, owner, params, origin) };
        let body = self.get_mut(guard);
        body.region = Some(region);
        body.group = group;
        if !core::ptr::eq(owner, region) {
            self.get_mut(region).layout_refs += 1;
        }
        if let Some(Group(group)) = group {
            self.get_mut(group).open += 1;
        }
        guard.head.set_state(State::Kept);
        if checked::exists() {
            // The fast path leaves its end to the slow path.
            self.get_mut(guard).completion = Completion::Access;
            self.update_access(ledger, owner, None);
        }
        self.log_guard(guard);
        guard
    }

    /// Publishes the handle of an open guard.
    #[inline]
    pub(crate) fn publish_guard(&mut self, guard: &'static Guard) -> Id {
        Table::publish(guard)
    }

    /// Ends a guard whose bytes were not used: the version stays, and no poison is cleared.
    pub(crate) fn abandon_guard(&mut self, guard: &'static Guard) {
        self.get_mut(guard).abandoned = true;
        self.end_guard(guard, false);
    }

    /// Ends a guard or export, whose id is stale from now on. `failed`: what a writer wrote is undefined.
    #[inline]
    pub fn end_guard(&mut self, guard: &'static Guard, failed: bool) {
        self.end_guard_at(guard, failed, None);
    }

    /// As [`Locked::end_guard`]; device work on the bytes continues until `point`.
    pub(crate) fn end_guard_at(&mut self, guard: &'static Guard, failed: bool, point: Option<Point>) {
        let ledger = self.ledger_of(guard);
        let body = self.get(guard);
        let (class, discard, abandoned) = (body.class, body.discard, body.abandoned);
        let (owner, region, group) = (body.owner(), body.region(), body.group);
        self.log_guard_end(guard);
        // If the device is lost, the point counts as passed and leaves no record, so the failure must be noted now.
        let device = self.state(ledger).device;
        let lost = point.is_some_and(|point| leaves_unknown(device, point));
        let failed = failed || lost && !self.get(region).layout.is_empty();
        let written = class == Class::Write && !failed && !abandoned;
        self.state_mut(ledger).was_exported |= class.is_writable_export();
        // SAFETY: `state_mut` checks that the ledger is locked by us; it guards the guard, and with it the owner.
        unsafe { self.state_mut(ledger).unlink_guard(guard, written) };
        if checked::exists() && point.is_none() {
            self.update_access(ledger, owner, Some(guard));
        }
        let (whole, counted) = (core::ptr::eq(owner, region), self.get(owner).counted);
        let (mut poisons, mut heals) = (false, false);
        if class == Class::Write {
            poisons = failed && !self.get(region).layout.is_empty();
            heals = written && discard && self.state(ledger).poisoned > 0;
        }
        let point = point.filter(|point| !point.is_passed() && !self.get(region).layout.is_empty());
        if whole && counted && group.is_none() && !poisons && !heals && point.is_none() {
            // The common case: the owner is still a claim, so nothing else ends with the guard.
            self.get_mut(owner).layout_refs -= 1;
            self.free_guard(guard);
            return;
        }
        if heals {
            self.clear_poison(region);
        }
        let records = poisons || point.is_some();
        if records {
            self.leave_record(guard, poisons, point);
        } else {
            self.free_guard(guard);
        }
        // A record keeps the guard's reference on its region.
        self.drop_lease_if_unused(owner);
        if !whole {
            if records {
                self.drop_lease_if_unused(region);
            } else {
                self.drop_layout_ref(region);
            }
        }
        if let Some(group) = group {
            self.end_member(group, failed);
        }
        if !(whole && records) {
            self.drop_layout_ref(owner);
        }
        self.mark_dead_if_unused(ledger);
    }

    /// Frees a guard's slot in the state [`GuardBody::NEW`], on which new guards rely. They set the origin, which a
    /// message about the ended guard may still name.
    pub(super) fn free_guard(&mut self, guard: &'static Guard) {
        let body = self.get_mut(guard);
        *body = GuardBody { origin: body.origin, ..GuardBody::NEW };
        Table::free(self.thread(), guard);
    }

    /// Makes the group for the chunks of one write over `owner`.
    pub(crate) fn add_group(&mut self, spare: SpareGuard, owner: &'static Claim, discard: bool) -> Group {
        let guard = spare.into_slot();
        guard.guarded.set_ledger(self.ledger_of(owner));
        *self.get_mut(guard) =
            GuardBody { class: Class::Group, discard, region: Some(owner), owner: Some(owner), ..GuardBody::NEW };
        guard.head.set_state(State::Kept);
        self.add_layout_ref(owner);
        Group(guard)
    }

    /// Opens a write guard over a part of `owner`, whose layout is in `spare` and whose root is that of `owner`.
    pub(crate) fn add_part(
        &mut self,
        mut spare: SpareClaim,
        guard: SpareGuard,
        params: GuardParams,
        owner: &'static Claim,
        group: Group,
    ) -> &'static Guard {
        self.share_root(owner, &mut spare);
        let (ledger, lease) = (self.ledger_of(owner), self.lease(owner));
        let part = self.add_layout_slot(ledger, spare, lease);
        self.add_guard(guard, params, owner, part, Some(group))
    }

    fn end_member(&mut self, Group(group): Group, failed: bool) {
        let body = self.get_mut(group);
        body.open -= 1;
        body.failed |= failed;
        if body.open > 0 {
            return;
        }
        let (whole, heals) = (body.region(), body.discard && !body.failed);
        if heals {
            self.clear_poison(whole);
        }
        self.free_guard(group);
        self.drop_layout_ref(whole);
    }

    /// Lets the guards and records of a claim that left the store refer to the claim that stays.
    pub(super) fn rename_claim(&mut self, ledger: &'static Ledger, from: &'static Claim, to: &'static Claim) {
        let state = self.state(ledger);
        for list in [state.guard_list, state.record_list] {
            let mut at = list;
            while let Some(guard) = at {
                let body = self.get_mut(guard);
                if body.region.is_some_and(|region| core::ptr::eq(region, from)) {
                    body.region = Some(to);
                }
                if body.owner.is_some_and(|owner| core::ptr::eq(owner, from)) {
                    body.owner = Some(to);
                }
                at = body.next;
            }
        }
    }

    /// The region of a claim's layout.
    #[inline]
    pub(crate) fn region<'a>(&'a self, claim: &'static Claim) -> Region<'a> {
        Region { layout: &self.get(claim).layout, root: self.root(claim) }
    }

    /// The layout of the guard's region. Its address is stable while the guard is open.
    pub(crate) fn layout_of<'a>(&'a self, guard: &'static Guard) -> &'a Layout {
        &self.get(self.get(guard).region()).layout
    }
}
