//! Claims: array handles, and the slots of released handles that promises or guards still need.
//!
//! A claim has a layout on its store. Its slot is Live while its handle is usable, and Spent after a take. A released
//! handle that promises or guards still need is Kept. If promises need it, it still counts as a claim (H in the
//! specification). If only guards need it, it is only a layout.

use super::locked::Locked;
use super::origin::Origin;
use super::state::{Claim, ClaimBody, Guard, GuardedSlot, Lease, Ledger, Root, TakenBy};
use crate::error::Result;
use crate::events;
use crate::layout::{Form, Layout};
use crate::names::Name;
use crate::region;
use crate::slots::{Id, Slot, Spare, State, Table};
use crate::thread::Thread;

/// A claim slot that is in no ledger yet.
pub type SpareClaim = Spare<Claim>;

/// A root slot that is not in use yet.
pub type SpareRoot = Spare<Root>;

impl SpareClaim {
    #[inline]
    pub(super) fn body(&mut self) -> &mut ClaimBody {
        // SAFETY: not published, in no list: the slot is ours alone.
        unsafe { self.slot().guarded.own() }
    }

    /// The layout of the claim to be.
    #[inline]
    pub fn layout(&mut self) -> &mut Layout {
        &mut self.body().layout
    }

    /// Sets the layout of a new array whose bytes begin at `start`. `layout` is left unspecified.
    #[inline(always)]
    pub(super) fn lay_out(&mut self, thread: &'static Thread, layout: &mut Layout, bytes: i64, start: i64) {
        let place = self.layout();
        if !place.set(layout) {
            core::mem::swap(place, layout);
        }
        if bytes > 0 {
            place.begin_at(start);
        }
        self.set_origin(Origin::by(thread));
    }

    pub(crate) fn set_readonly(&mut self, readonly: bool) {
        self.body().readonly = readonly;
    }

    pub(crate) fn set_form(&mut self, form: Form) {
        self.body().form = form;
    }

    pub(crate) fn set_grants(&mut self, grants: bool) {
        self.body().grants = grants;
    }

    pub(crate) fn set_name(&mut self, name: Name) {
        self.body().name = name;
        if !name.is_none() {
            events::name(Slot::id(self.slot()).bits(), self.layout().offset() as u64, name.as_str());
        }
    }

    /// Sets where the handle is made.
    pub fn set_origin(&mut self, origin: Origin) {
        self.body().origin = origin;
    }
}

impl Root {
    /// Takes a slot whose layout has a capacity of `ndim` axes; outside of locks.
    pub(crate) fn spare(thread: &'static Thread, ndim: usize) -> Result<SpareRoot> {
        let layout = Layout::room(ndim)?;
        let spare = SpareRoot::take(thread)?;
        // SAFETY: taken, in no list: ours alone.
        unsafe { spare.slot().guarded.own() }.layout = layout;
        Ok(spare)
    }

    pub(super) fn reset(&'static self, thread: &'static Thread) {
        // SAFETY: in no claim any more: ours alone.
        unsafe { self.guarded.own() }.layout = Layout::EMPTY;
        Table::free(thread, self);
    }
}

impl Claim {
    /// Frees the slot. Only the caller refers to it, or its ledger is locked by the caller.
    #[inline]
    pub(super) fn reset(&'static self, thread: &'static Thread) {
        // SAFETY: unpublished or dead, and in no list of a ledger: ours alone.
        let body = unsafe { self.guarded.own() };
        if !body.layout.is_inline() {
            body.layout = Layout::EMPTY;
        }
        if !body.name.is_none() {
            body.name.end();
            body.named = self.head.epoch_when_free();
        }
        body.required = 0;
        body.readonly = false;
        body.form = Form::Full;
        body.taken_by = TakenBy::Take;
        body.grants = false;
        body.lent = false;
        debug_assert!(
            body.root.is_none() && body.lease.is_none() && !body.counted && !body.moving && body.node.is_none()
        );
        debug_assert!(body.given + body.readers + body.writers + body.exports + body.layout_refs == 0);
        Table::free(thread, self);
    }

    /// The bits of its handle, while there is one.
    pub(crate) fn id(&'static self) -> Id {
        Slot::id(self)
    }

    /// Locks the ledger of a claim that is marked as moving. Such a claim stays on its ledger even if its handle is
    /// released.
    pub(crate) fn lock_moving(&'static self) -> Locked {
        Locked::one(crate::thread::current(), self.guarded.ledger().expect("moving claims have a ledger"))
    }
}

impl Locked {
    /// Makes `spare` a claim on the store, and publishes its handle.
    #[inline]
    pub(crate) fn add_claim(
        &mut self,
        ledger: &'static Ledger,
        spare: SpareClaim,
        lease: Option<&'static Lease>,
    ) -> Id {
        Table::publish(self.add_unpublished(ledger, spare, lease))
    }

    /// Makes `spare` a claim on the store, without a handle so far.
    #[inline]
    pub(super) fn add_unpublished(
        &mut self,
        ledger: &'static Ledger,
        mut spare: SpareClaim,
        lease: Option<&'static Lease>,
    ) -> &'static Claim {
        spare.body().lease = lease;
        let claim = spare.into_slot();
        claim.guarded.set_ledger(ledger);
        self.link(ledger, claim);
        if let Some(lease) = lease {
            self.hold_lease(lease);
        }
        claim
    }

    /// Makes `spare` a layout for guards, without a claim and without a handle.
    pub(super) fn add_layout_slot(
        &mut self,
        ledger: &'static Ledger,
        mut spare: SpareClaim,
        lease: Option<&'static Lease>,
    ) -> &'static Claim {
        spare.body().lease = lease;
        spare.body().counted = false;
        let claim = spare.into_slot();
        claim.guarded.set_ledger(ledger);
        if let Some(lease) = lease {
            self.hold_lease(lease);
        }
        claim.head.set_state(State::Kept);
        claim
    }

    /// Adds the claim to the ledger's list and count.
    #[inline]
    pub(super) fn link(&mut self, ledger: &'static Ledger, claim: &'static Claim) {
        self.check(claim.guarded());
        let state = self.state_mut(ledger);
        // SAFETY: `state_mut` checks that the ledger is locked by us; it guards the claim.
        unsafe { state.link_claim(claim) };
        if state.claims == 1 {
            self.count_held_bytes(ledger, false);
        }
    }

    /// Ends the claim; its slot stays.
    #[inline]
    pub(super) fn unlink(&mut self, claim: &'static Claim) {
        let ledger = self.ledger_of(claim);
        let state = self.state_mut(ledger);
        let last = state.claims == 1;
        // SAFETY: `state_mut` checks that the ledger is locked by us; it guards the claim, which is in the list.
        unsafe { state.end_claim(claim, last) };
        // A claim that rests, or that moves, has the bytes.
        if last && state.moves == 0 && !state.can_end() {
            self.count_held_bytes(ledger, true);
        }
    }

    /// Releases a handle in any state. Its id is stale from now on, and its claim ends unless promises keep it.
    #[inline]
    pub(crate) fn release(&mut self, claim: &'static Claim) {
        let ledger = self.ledger_of(claim);
        claim.head.make_stale(State::Kept);
        let body = self.get(claim);
        if body.counted && body.given == 0 {
            self.unlink(claim);
        }
        self.drop_lease_if_unused(claim);
        self.free_if_unused(claim);
        self.mark_dead_if_unused(ledger);
    }

    /// Drops the lease of a claim that has ended and has no open guard or export. A poisoned region may still need the
    /// layout, but needs no lease. Unfinished device work keeps the lease.
    #[inline]
    pub(super) fn drop_lease_if_unused(&mut self, claim: &'static Claim) {
        let body = self.get(claim);
        let used = body.counted || body.given > 0 || body.moving || body.readers + body.writers + body.exports > 0;
        if !used && body.lease.is_some() {
            self.drop_lease_after_work(claim);
        }
    }

    /// Frees the slot of a released claim, after unlocking, if neither promises nor guards nor a moving write need it.
    #[inline]
    pub(super) fn free_if_unused(&mut self, claim: &'static Claim) {
        let body = self.get(claim);
        if claim.head.state() != State::Kept || body.counted || body.given > 0 || body.layout_refs > 0 || body.moving {
            return;
        }
        self.drop_root(claim);
        self.drop_lease(claim);
        let chain = self.after.claims;
        self.get_mut(claim).next = chain;
        self.after.claims = Some(claim);
    }

    /// Drops the claim's reference on its root.
    pub(super) fn drop_root(&mut self, claim: &'static Claim) {
        self.check(claim.guarded());
        let ledger = self.ledger_of(claim);
        // SAFETY: `state_mut` checks that the ledger is locked by us; it guards the claim and its root.
        if let Some(root) = unsafe { self.state_mut(ledger).drop_root(claim) } {
            self.free_root_later(root);
        }
    }

    pub(super) fn release_root(&mut self, root: &'static Root) {
        let body = self.get_mut(root);
        body.users -= 1;
        if body.users == 0 {
            self.free_root_later(root);
        }
    }

    fn free_root_later(&mut self, root: &'static Root) {
        let chain = self.after.roots;
        self.get_mut(root).next = chain;
        self.after.roots = Some(root);
    }

    /// The layout of the array that the view `claim` was made from, or its own.
    #[inline]
    pub(crate) fn root<'a>(&'a self, claim: &'static Claim) -> &'a Layout {
        match self.get(claim).root {
            Some(root) => &self.get(root).layout,
            None => &self.get(claim).layout,
        }
    }

    /// Makes the layout of `claim` a root that views can share, unless it has one. False if the spare is missing or too
    /// small.
    pub(crate) fn make_root(&mut self, claim: &'static Claim, spare: &mut Option<SpareRoot>) -> bool {
        if self.get(claim).root.is_some() {
            return true;
        }
        let Some(taken) = spare.take() else { return false };
        // SAFETY: taken, in no claim: ours alone.
        let body = unsafe { taken.slot().guarded.own() };
        if !body.layout.set(&self.get(claim).layout) {
            return false;
        }
        body.users = 1;
        let root = taken.into_slot();
        root.guarded.set_ledger(self.ledger_of(claim));
        root.head.set_state(State::Kept);
        self.get_mut(claim).root = Some(root);
        true
    }

    /// A claim of which a new layout could be a view: its root has the layout as a box, and no other one that is larger
    /// was found. Looks at the newest claims only.
    pub(crate) fn claim_with_box(&self, ledger: &'static Ledger, layout: &Layout) -> Option<&'static Claim> {
        const LOOKED_AT: usize = 16;
        let newest = core::iter::successors(self.state(ledger).claim_list, |claim| self.get(*claim).next);
        newest
            .take(LOOKED_AT)
            .filter(|claim| region::is_box(layout, self.root(claim)))
            .max_by_key(|claim| self.root(claim).extent().map_or(0, |(start, end)| end - start))
    }

    /// Lets `spare` share the root of `claim`.
    #[inline]
    pub(crate) fn share_root(&mut self, claim: &'static Claim, spare: &mut SpareClaim) {
        self.check(claim.guarded());
        let ledger = self.ledger_of(claim);
        // SAFETY: `state_mut` checks that the ledger is locked by us; it guards the claim and its root, and the spare
        // one is unpublished.
        unsafe { self.state_mut(ledger).share_root(claim, spare.slot()) };
    }

    /// The lease that keeps the import from which `claim` descends.
    #[inline]
    pub(crate) fn lease(&self, claim: &'static Claim) -> Option<&'static Lease> {
        self.get(claim).lease
    }

    /// Calls `visit` with each claim of the store.
    pub(crate) fn each_claim(&self, ledger: &'static Ledger, mut visit: impl FnMut(&'static Claim)) {
        let mut at = self.state(ledger).claim_list;
        while let Some(claim) = at {
            visit(claim);
            at = self.get(claim).next;
        }
    }

    /// The name that the program gave to an array on a store, that of the oldest one, and where the oldest array was made.
    pub(super) fn name_and_origin(&self, ledger: &'static Ledger) -> (Name, Origin) {
        let (mut name, mut origin) = (Name::NONE, Origin::default());
        self.each_claim(ledger, |claim| {
            let body = self.get(claim);
            // The list has the newest claim first.
            origin = body.origin;
            if !body.name.is_none() {
                name = body.name;
            }
        });
        (name, origin)
    }

    /// Whether the claim has a live handle.
    pub(crate) fn has_handle(&self, claim: &'static Claim) -> bool {
        claim.head.state() == State::Live
    }

    /// Adds a reference of a guard, export or record on the layout.
    #[inline]
    pub(super) fn add_layout_ref(&mut self, claim: &'static Claim) {
        self.get_mut(claim).layout_refs += 1;
    }

    /// Adds a reference on a root.
    pub(super) fn use_root(&mut self, root: &'static Root) {
        self.get_mut(root).users += 1;
    }

    /// Drops a reference on the layout, and frees the slot with the last one.
    #[inline]
    pub(super) fn drop_layout_ref(&mut self, claim: &'static Claim) {
        self.get_mut(claim).layout_refs -= 1;
        self.free_if_unused(claim);
    }

    /// Marks a claim whose bytes a COW write copies. Until the copy is done, the claim and its store stay, even if the
    /// handle is released, and uses that conflict with the write are refused.
    pub(crate) fn begin_move(&mut self, claim: &'static Claim) {
        let ledger = self.ledger_of(claim);
        self.get_mut(claim).moving = true;
        self.state_mut(ledger).moves += 1;
    }

    /// Restores the claim after a failed copy.
    pub(crate) fn cancel_move(&mut self, claim: &'static Claim) {
        let ledger = self.ledger_of(claim);
        self.get_mut(claim).moving = false;
        self.state_mut(ledger).moves -= 1;
        self.drop_lease_if_unused(claim);
        self.free_if_unused(claim);
        let state = self.state(ledger);
        if state.claims == 0 && state.moves == 0 && !state.can_end() {
            self.count_held_bytes(ledger, true);
        }
        self.mark_dead_if_unused(ledger);
    }

    /// Moves a claim to the new store of `to`: it takes that layout, becomes the store's only claim and is writable.
    /// The slot of `to` takes the old layout and stays on the old store for the exports and records that need it.
    /// Records of the new store, of work that its memory still has, refer to `claim` afterwards. Both stores are
    /// locked, `claim` has a handle, and no other thread knows the handle of `to`.
    pub(crate) fn finish_move(&mut self, claim: &'static Claim, to: &'static Claim) {
        let (old, new) = (self.ledger_of(claim), self.ledger_of(to));
        self.state_mut(old).moves -= 1;
        self.unlink(claim);
        self.unlink(to);
        to.head.make_stale(State::Kept);
        let right = self.get_mut(to);
        let layout = core::mem::replace(&mut right.layout, Layout::EMPTY);
        let new_layout_refs = core::mem::take(&mut right.layout_refs);
        let left = self.get_mut(claim);
        left.moving = false;
        left.readonly = false;
        left.grants = false;
        let layout = core::mem::replace(&mut left.layout, layout);
        let (root, lease) = (left.root.take(), left.lease.take());
        let layout_refs = core::mem::replace(&mut left.layout_refs, new_layout_refs);
        let exports = core::mem::take(&mut left.exports);
        let (origin, name) = (left.origin, left.name);
        claim.guarded.set_ledger(new);
        to.guarded.set_ledger(old);
        let stays = self.get_mut(to);
        stays.layout = layout;
        stays.root = root;
        stays.lease = lease;
        stays.layout_refs = layout_refs;
        stays.exports = exports;
        stays.origin = origin;
        stays.name = name;
        if layout_refs > 0 {
            self.rename_claim(old, claim, to);
        }
        if new_layout_refs > 0 {
            self.rename_claim(new, to, claim);
        }
        self.link(new, claim);
        self.drop_lease_if_unused(to);
        self.free_if_unused(to);
        self.mark_dead_if_unused(old);
    }

    /// Calls `visit` with each open guard of the store, newest first.
    pub(crate) fn each_guard(&self, ledger: &'static Ledger, mut visit: impl FnMut(&'static Guard)) {
        let mut at = self.state(ledger).guard_list;
        while let Some(guard) = at {
            visit(guard);
            at = self.get(guard).next;
        }
    }
}
