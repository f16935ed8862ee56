//! Transitions: the changes that one event makes to the slots, lists and counts of a store.
//!
//! Contract: the fast path for one handle and the general path through `Locked` change claims, guards, promises and leases with the
//! same functions. A transition checks no rule, allocates nothing and frees nothing. It returns what became unused; the fast path frees
//! that at once, the general path after unlocking. All functions are inlined: in a caller that knows the case, the others fold away.

use super::class::{Class, GuardParams};
use super::origin::Origin;
use super::state::{Backing, Claim, ClaimBody, Guard, GuardedSlot, Lease, LedgerState, Promise, PromiseBody, Root};
use crate::slots::{Slot, State};
use crate::types::tn_device;

/// Obligations of the caller of each function: it has locked the ledger of this state; the ledger guards all slots that are passed; and
/// no other reference exists to anything that the lock guards.
impl LedgerState {
    /// Begins the state of a new store. The epoch goes on, because weak handles of the ledger's last store compare it.
    #[inline(always)]
    pub(super) fn begin(&mut self, device: tn_device, start: i64, bytes: i64, backing: Backing) {
        // Built in place from constants: a state that passes through memory costs 5 ns.
        *self = LedgerState { device, start, bytes, backing, epoch: self.epoch, ..LedgerState::EMPTY };
    }

    /// Adds a claim: H + 1.
    ///
    /// # Safety
    /// - As above; the claim is in no list.
    #[inline(always)]
    pub(super) unsafe fn link_claim(&mut self, claim: &'static Claim) {
        let next = self.claim_list.replace(claim);
        self.claims += 1;
        // SAFETY: guarded by the locked ledger, and no other reference is out.
        let body = unsafe { claim.guarded().own() };
        body.next = next;
        body.previous = None;
        body.counted = true;
        if let Some(next) = next {
            // SAFETY: as above; not the one that was put in.
            unsafe { next.guarded().own() }.previous = Some(claim);
        }
    }

    /// Takes a claim out of the list: H - 1. Without another claim the epoch ends too, see [`LedgerState::end_claim`].
    ///
    /// # Safety
    /// - As above; the claim is in the list.
    #[inline(always)]
    pub(super) unsafe fn unlink_claim(&mut self, claim: &'static Claim) {
        // SAFETY: guarded by the locked ledger, and no other reference is out.
        let body = unsafe { claim.guarded().own() };
        debug_assert!(body.counted);
        body.counted = false;
        let (previous, next) = (body.previous.take(), body.next.take());
        self.claims -= 1;
        match previous {
            // SAFETY: as above; nothing in a list is its own neighbour.
            Some(previous) => unsafe { previous.guarded().own() }.next = next,
            None => self.claim_list = next,
        }
        if let Some(next) = next {
            // SAFETY: as above.
            unsafe { next.guarded().own() }.previous = previous;
        }
    }

    /// Ends a claim: H - 1. `last`: no other claim is left, which ends the epoch of weak handles.
    ///
    /// # Safety
    /// - As above; the claim is in the list.
    #[inline(always)]
    pub(super) unsafe fn end_claim(&mut self, claim: &'static Claim, last: bool) {
        // SAFETY: the caller's promise.
        unsafe { self.unlink_claim(claim) };
        debug_assert_eq!(last, self.claims == 0);
        if last {
            self.epoch += 1;
        }
    }

    /// Lets `to` share the root of `from`, if `from` has one.
    ///
    /// # Safety
    /// - As above; `to` may be new.
    #[inline(always)]
    pub(super) unsafe fn share_root(&mut self, from: &'static Claim, to: &'static Claim) {
        // SAFETY: guarded by the locked ledger, or new; each reference ends in its line.
        unsafe {
            let Some(root) = from.guarded().own().root else { return };
            root.guarded().own().users += 1;
            to.guarded().own().root = Some(root);
        }
    }

    /// Takes the root away from a claim. Returns the root if that was its last use.
    ///
    /// # Safety
    /// - As above.
    #[inline(always)]
    pub(super) unsafe fn drop_root(&mut self, claim: &'static Claim) -> Option<&'static Root> {
        // SAFETY: guarded by the locked ledger; each reference ends in its line.
        unsafe {
            let root = claim.guarded().own().root.take()?;
            let users = &mut root.guarded().own().users;
            *users -= 1;
            (*users == 0).then_some(root)
        }
    }

    /// Adds an outstanding promise of a claim, of which its giver requires `required`.
    ///
    /// # Safety
    /// - As above; the promise is new: taken, and not published yet.
    #[inline(always)]
    pub(super) unsafe fn add_promise(
        &mut self,
        claim: &'static Claim,
        promise: &'static Promise,
        required: u32,
        made: Origin,
    ) {
        // SAFETY: guarded by the locked ledger, and no other reference is out.
        let body = unsafe { claim.guarded().own() };
        body.given += 1;
        body.required = body.required.max(required);
        let next = body.promises.replace(promise);
        // SAFETY: new, so only the caller knows it.
        *unsafe { promise.guarded().own() } = PromiseBody { next, claim: Some(claim), made };
    }

    /// Marks an outstanding promise of a claim as spent, and takes it off the claim's list. Its handle stays until it is released.
    /// `only`: the claim has no other one.
    ///
    /// # Safety
    /// - As above; the promise is outstanding.
    #[inline(always)]
    pub(super) unsafe fn spend_promise(&mut self, promise: &'static Promise, claim: &'static Claim, only: bool) {
        // SAFETY: guarded by the locked ledger, and no other reference is out.
        let of = unsafe { claim.guarded().own() };
        debug_assert_eq!(only, of.given == 1);
        if only {
            of.given = 0;
            of.promises = None;
        } else {
            of.given -= 1;
            // SAFETY: the caller's promise; the reference above is not used any more.
            unsafe { self.unlink_promise(promise, claim) };
        }
        // SAFETY: as above.
        unsafe { promise.guarded().own() }.claim = None;
        promise.head().set_state(State::Spent);
    }

    /// Takes one of several promises off the list of their claim.
    ///
    /// # Safety
    /// - As above; the promise is in the list.
    unsafe fn unlink_promise(&mut self, promise: &'static Promise, claim: &'static Claim) {
        // SAFETY: guarded by the locked ledger; each reference ends before the next one is made.
        unsafe {
            let next = promise.guarded().own().next.take();
            let mut at = &mut claim.guarded().own().promises;
            while let Some(other) = *at
                && !core::ptr::eq(other, promise)
            {
                at = &mut other.guarded().own().next;
            }
            *at = next;
        }
    }

    /// Passes a claim to a new slot with layout, name and READONLY: H is unchanged. The root goes with it, or is shared if the old layout
    /// `stays` for guards and records. The old claim remembers where it was taken, and whether by entering a scope.
    ///
    /// # Safety
    /// - As above; `from` is in the list, and `to` is new. The layout of `to` has room for that of `from`.
    #[inline(always)]
    pub(super) unsafe fn pass_claim(
        &mut self,
        from: &'static Claim,
        to: &'static Claim,
        made: Origin,
        entered: bool,
        stays: bool,
    ) {
        // SAFETY: guarded by the locked ledger, or new, and no other reference is out.
        let (old, new) = unsafe { (from.guarded().own(), to.guarded().own()) };
        let fits = new.copy(old);
        assert!(fits, "the caller has made room");
        new.made = made;
        old.made = made;
        old.entered = entered;
        old.required = 0;
        debug_assert_eq!(stays, old.layout_refs > 0);
        if stays {
            // SAFETY: the caller's promise; the references above are not used any more.
            unsafe { self.share_root(from, to) };
        } else {
            new.root = old.root.take();
        }
        // SAFETY: the caller's promise.
        unsafe {
            self.link_claim(to);
            self.unlink_claim(from);
        }
    }

    /// Adds an open lease.
    ///
    /// # Safety
    /// - As above; the lease is in no list.
    #[inline(always)]
    pub(super) unsafe fn link_lease(&mut self, lease: &'static Lease) {
        let next = self.lease_list.replace(lease);
        // SAFETY: guarded by the locked ledger, and no other reference is out.
        let body = unsafe { lease.guarded().own() };
        body.next = next;
        body.previous = None;
        self.leases += 1;
        self.lent += u32::from(!body.may_overwrite);
        if let Some(next) = next {
            // SAFETY: as above; not the one that was put in.
            unsafe { next.guarded().own() }.previous = Some(lease);
        }
    }

    /// Takes a lease out of the list and the counts.
    ///
    /// # Safety
    /// - As above; the lease is in the list.
    #[inline(always)]
    pub(super) unsafe fn unlink_lease(&mut self, lease: &'static Lease) {
        // SAFETY: guarded by the locked ledger, and no other reference is out.
        let body = unsafe { lease.guarded().own() };
        let (previous, next) = (body.previous, body.next);
        self.leases -= 1;
        self.lent -= u32::from(!body.may_overwrite);
        match previous {
            // SAFETY: as above; nothing in a list is its own neighbour.
            Some(previous) => unsafe { previous.guarded().own() }.next = next,
            None => self.lease_list = next,
        }
        if let Some(next) = next {
            // SAFETY: as above.
            unsafe { next.guarded().own() }.previous = previous;
        }
    }

    /// Adds a guard on all of `owner`, and counts it for the store and for the owner, on whose layout it gets a reference.
    ///
    /// # Safety
    /// - As above; the guard is new: taken, and not published yet. Its owner is guarded by the same ledger.
    #[inline(always)]
    pub(super) unsafe fn link_guard(
        &mut self,
        guard: &'static Guard,
        owner: &'static Claim,
        params: GuardParams,
        made: Origin,
    ) {
        let next = self.guard_list.replace(guard);
        *self.count(params.class) += 1;
        // On a cache line of its own, which readers do not write.
        if params.frozen {
            self.frozen += 1;
        }
        // SAFETY: guarded by the locked ledger, and no other reference is out.
        let claim = unsafe { owner.guarded().own() };
        *claim.count(params.class) += 1;
        claim.layout_refs += 1;
        // SAFETY: as above. What is not set here is as in `GuardBody::NEW`: that is how slots are given back.
        let body = unsafe { guard.guarded().own() };
        body.next = next;
        body.previous = None;
        body.owner = Some(owner);
        body.region = Some(owner);
        body.class = params.class;
        body.frozen = params.frozen;
        body.discard = params.discard;
        body.made = made;
        if params.time_ns != 0 {
            body.time_ns = params.time_ns;
        }
        debug_assert!(
            body.group.is_none()
                && body.entry.is_none()
                && !body.abandoned
                && !body.failed
                && body.open == 0
                && body.point.is_none()
                && !body.streamed
        );
        if let Some(next) = next {
            // SAFETY: as above; not the one that was put in.
            unsafe { next.guarded().own() }.previous = Some(guard);
        }
    }

    /// Takes a guard out of the list and the counts. `written`: the contents changed. The guard's reference on the owner's layout stays.
    ///
    /// # Safety
    /// - As above; the guard is in the list, and its owner is guarded by the same ledger.
    #[inline(always)]
    pub(super) unsafe fn unlink_guard(&mut self, guard: &'static Guard, written: bool) {
        // On a cache line of its own, which readers do not write.
        if written {
            self.version += 1;
        }
        // SAFETY: guarded by the locked ledger, and no other reference is out.
        let body = unsafe { guard.guarded().own() };
        let (previous, next, class, owner) = (body.previous, body.next, body.class, body.owner());
        *self.count(class) -= 1;
        if body.frozen {
            self.frozen -= 1;
        }
        // SAFETY: as above.
        *unsafe { owner.guarded().own() }.count(class) -= 1;
        match previous {
            // SAFETY: as above; nothing in a list is its own neighbour.
            Some(previous) => unsafe { previous.guarded().own() }.next = next,
            None => self.guard_list = next,
        }
        if let Some(next) = next {
            // SAFETY: as above.
            unsafe { next.guarded().own() }.previous = previous;
        }
    }

    /// The count of open guards or exports of a class. Records and groups are not in the list.
    #[inline(always)]
    fn count(&mut self, class: Class) -> &mut u32 {
        match class {
            Class::Read => &mut self.readers,
            Class::Write => &mut self.writers,
            Class::ExportRead => &mut self.exports_read,
            Class::ExportShared => &mut self.exports_shared,
            Class::ExportExclusive => &mut self.exports_exclusive,
            Class::Poison | Class::WorkRead | Class::WorkWrite | Class::Group => {
                unreachable!("none of them is in the list of guards")
            }
        }
    }
}

impl ClaimBody {
    /// The count of guards or exports of a class that are open through this handle.
    #[inline(always)]
    fn count(&mut self, class: Class) -> &mut u32 {
        match class {
            Class::Read => &mut self.readers,
            Class::Write => &mut self.writers,
            _ => &mut self.exports,
        }
    }
}
