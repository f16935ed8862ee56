//! Transitions: the changes that one event makes to the slots, lists and counts of a store.
//!
//! Contract: the fast path for one handle and the slow path through `Locked` both use these functions to change claims,
//! guards, promises and leases. A transition checks no rule, allocates nothing and frees nothing. `drop_root` returns a
//! root that became unused: the fast path frees it at once, the slow path after unlocking.
//!
//! The functions of the hot paths are inlined. Where a caller passes a constant for `last`, `only`, `stays` or the
//! class, the compiler removes the branches for the other values.

use super::class::{Class, Completion, GuardParams};
use super::origin::Origin;
use super::state::{
    Backing, Claim, ClaimBody, Guard, GuardedSlot, Lease, LedgerState, Promise, PromiseBody, Root, TakenBy,
};
use crate::names::Name;
use crate::slots::{Id, Slot, State};
use crate::sys::os;
use crate::types::tn_device;

/// Bytes of the smallest store that records when it was made. Reading the clock takes a quarter of the time that a
/// small store takes.
const TIMED_BYTES: i64 = 64 << 10;

/// Obligations of the caller of each function:
/// - It has locked the ledger of this state.
/// - The ledger guards all slots that are passed.
/// - No other reference exists to anything that the lock guards.
impl LedgerState {
    /// Begins the state of a new store. The epoch is kept, because weak handles of the ledger's previous store compare
    /// it.
    #[inline(always)]
    pub(super) fn begin(&mut self, device: tn_device, start: i64, bytes: i64, backing: Backing) {
        // Built in place from constants: a state that passes through memory costs 5 ns.
        let time_ns = if bytes >= TIMED_BYTES { os::coarse_time_ns() } else { 0 };
        let epoch = self.epoch;
        *self = LedgerState { device, start, bytes, backing, time_ns, epoch, ..LedgerState::EMPTY };
    }

    /// Adds a claim to the list and to `claims`, which the specification calls H.
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
            // SAFETY: as above. It was in the list before, so it is not `claim`.
            unsafe { next.guarded().own() }.previous = Some(claim);
        }
    }

    /// Takes a claim out of the list and out of `claims`. The epoch is unchanged, unlike in [`LedgerState::end_claim`].
    ///
    /// # Safety
    /// - As above; the claim is in the list.
    #[inline(always)]
    pub(super) unsafe fn unlink_claim(&mut self, claim: &'static Claim) {
        // SAFETY: guarded by the locked ledger, and no other reference is out.
        let body = unsafe { claim.guarded().own() };
        debug_assert!(body.counted);
        body.counted = false;
        // Cleared, because guards can keep the slot after its claim has ended.
        let (previous, next) = (body.previous.take(), body.next.take());
        self.claims -= 1;
        match previous {
            // SAFETY: as above; no slot in a list is its own neighbour.
            Some(previous) => unsafe { previous.guarded().own() }.next = next,
            None => self.claim_list = next,
        }
        if let Some(next) = next {
            // SAFETY: as above.
            unsafe { next.guarded().own() }.previous = previous;
        }
    }

    /// Ends a claim. `last`: no other claim is left, which ends the epoch of weak handles, unless a claim rests.
    ///
    /// # Safety
    /// - As above; the claim is in the list.
    #[inline(always)]
    pub(super) unsafe fn end_claim(&mut self, claim: &'static Claim, last: bool) {
        // SAFETY: the caller's obligation.
        unsafe { self.unlink_claim(claim) };
        debug_assert_eq!(last, self.claims == 0);
        if last && self.moves == 0 {
            self.epoch += 1;
        }
    }

    /// Makes a claim that of a shared variable, see [`super::Locked::begin_variable`].
    ///
    /// # Safety
    /// - As above.
    #[inline(always)]
    pub(super) unsafe fn begin_variable(&mut self, claim: &'static Claim, variable: Id, name: Name) {
        // SAFETY: guarded by the locked ledger, and no other reference is out.
        let body = unsafe { claim.guarded().own() };
        debug_assert!(body.keeper == Id::NONE);
        body.keeper = variable;
        if !name.is_none() || !body.name.is_none() {
            body.name = name;
        }
        // It may have come from a callback, whose bytes were another value's.
        body.lent = false;
        body.grants = false;
        self.managed += 1;
    }

    /// Undoes [`LedgerState::begin_variable`].
    ///
    /// # Safety
    /// - As above.
    #[inline(always)]
    pub(super) unsafe fn end_variable(&mut self, claim: &'static Claim) {
        // SAFETY: guarded by the locked ledger, and no other reference is out.
        let body = unsafe { claim.guarded().own() };
        debug_assert!(body.is_of_variable());
        body.keeper = Id::NONE;
        self.managed -= 1;
    }

    /// Lets a new claim rest as a function's on a spare buffer, see [`super::Locked::rest_spare`].
    ///
    /// # Safety
    /// - As above; the claim is in no list.
    #[inline(always)]
    pub(super) unsafe fn begin_resting_spare(&mut self, claim: &'static Claim) {
        // SAFETY: guarded by the locked ledger, and no other reference is out.
        let body = unsafe { claim.guarded().own() };
        body.moving = true;
        body.given = 1;
        self.moves += 1;
        self.spares += 1;
    }

    /// Ends the rest of a function's claim, which has a handle, on a spare buffer. It counts from now on.
    ///
    /// # Safety
    /// - As above; the claim rests.
    #[inline(always)]
    pub(super) unsafe fn end_resting_spare(&mut self, claim: &'static Claim) {
        // SAFETY: guarded by the locked ledger, and no other reference is out.
        let body = unsafe { claim.guarded().own() };
        body.moving = false;
        body.given = 0;
        self.moves -= 1;
        self.spares -= 1;
        // SAFETY: as above; the reference above is not used any more.
        unsafe { self.link_claim(claim) };
    }

    /// Lets `to` share the root of `from`, if it has one: the layout of the array that the view `from` was made from.
    ///
    /// # Safety
    /// - As above; `to` may be unpublished.
    #[inline(always)]
    pub(super) unsafe fn share_root(&mut self, from: &'static Claim, to: &'static Claim) {
        // SAFETY: guarded by the locked ledger, or unpublished; each reference ends in its line.
        unsafe {
            let Some(root) = from.guarded().own().root else { return };
            root.guarded().own().users += 1;
            to.guarded().own().root = Some(root);
        }
    }

    /// Takes the root away from a claim. Returns the root if no other claim uses it.
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

    /// Adds an outstanding promise of a claim. `required`: the number of its promises that one call must take for the
    /// claim to pass on, see `tn_array_give`.
    ///
    /// # Safety
    /// - As above; the promise is unpublished.
    #[inline(always)]
    pub(super) unsafe fn add_promise(
        &mut self,
        claim: &'static Claim,
        promise: &'static Promise,
        required: u32,
        origin: Origin,
    ) {
        // SAFETY: guarded by the locked ledger, and no other reference is out.
        let body = unsafe { claim.guarded().own() };
        body.given += 1;
        body.required = body.required.max(required);
        let next = body.promises.replace(promise);
        // SAFETY: unpublished, so only the caller has a reference.
        *unsafe { promise.guarded().own() } = PromiseBody { next, claim: Some(claim), origin };
    }

    /// Marks an outstanding promise of a claim as spent, and takes it off the claim's list. Its handle stays until it
    /// is released. `only`: the claim has no other one.
    ///
    /// # Safety
    /// - As above; the promise is outstanding.
    #[inline(always)]
    pub(super) unsafe fn spend_promise(&mut self, promise: &'static Promise, claim: &'static Claim, only: bool) {
        // SAFETY: guarded by the locked ledger, and no other reference is out.
        let claim_body = unsafe { claim.guarded().own() };
        debug_assert_eq!(only, claim_body.given == 1);
        if only {
            claim_body.given = 0;
            claim_body.promises = None;
        } else {
            claim_body.given -= 1;
            // SAFETY: the caller's obligation; the reference above is not used any more.
            unsafe { self.unlink_promise(promise, claim) };
        }
        // SAFETY: as above.
        unsafe { promise.guarded().own() }.claim = None;
        promise.head().set_state(State::Spent);
    }

    /// Takes one of several promises off the list of their claim. Not inlined, because most claims have one promise.
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

    /// Moves a claim, with its layout, form, name and READONLY, to an unpublished slot; `claims` is unchanged. The old
    /// slot then stores where the claim was taken, and how.
    ///
    /// `stays`: guards, or records of poison or of unfinished device work, still need the old layout. Then the two
    /// slots share the root. Otherwise the root moves too.
    ///
    /// # Safety
    /// - As above; `from` is in the list, and `to` is unpublished. The layout of `to` has room for that of `from`.
    #[inline(always)]
    pub(super) unsafe fn pass_claim(
        &mut self,
        from: &'static Claim,
        to: &'static Claim,
        origin: Origin,
        taken_by: TakenBy,
        stays: bool,
    ) {
        // SAFETY: guarded by the locked ledger, or unpublished, and no other reference is out.
        let (old, new) = unsafe { (from.guarded().own(), to.guarded().own()) };
        let fits = new.copy_layout_and_name_from(old);
        assert!(fits, "the caller has made room");
        new.origin = origin;
        new.lent = old.lent;
        // Where the old handle was taken, for the message of TN_ERR_DESTRUCTED.
        old.origin = origin;
        old.taken_by = taken_by;
        old.required = 0;
        debug_assert_eq!(stays, old.layout_refs > 0);
        if stays {
            // SAFETY: the caller's obligation; the references above are not used any more.
            unsafe { self.share_root(from, to) };
        } else {
            new.root = old.root.take();
        }
        // SAFETY: the caller's obligation.
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
        self.foreign_leases += u32::from(!body.may_overwrite);
        if let Some(next) = next {
            // SAFETY: as above. It was in the list before, so it is not `lease`.
            unsafe { next.guarded().own() }.previous = Some(lease);
        }
    }

    /// Takes a lease out of the list and the counts. Its own links keep their values, which no function reads before it
    /// is linked again.
    ///
    /// # Safety
    /// - As above; the lease is in the list.
    #[inline(always)]
    pub(super) unsafe fn unlink_lease(&mut self, lease: &'static Lease) {
        // SAFETY: guarded by the locked ledger, and no other reference is out.
        let body = unsafe { lease.guarded().own() };
        let (previous, next) = (body.previous, body.next);
        self.leases -= 1;
        self.foreign_leases -= u32::from(!body.may_overwrite);
        match previous {
            // SAFETY: as above; no slot in a list is its own neighbour.
            Some(previous) => unsafe { previous.guarded().own() }.next = next,
            None => self.lease_list = next,
        }
        if let Some(next) = next {
            // SAFETY: as above.
            unsafe { next.guarded().own() }.previous = previous;
        }
    }

    /// Adds a guard on all of `owner`, and counts it for the store and for the owner, on whose layout it gets a
    /// reference.
    ///
    /// # Safety
    /// - As above; the guard is unpublished. Its owner is guarded by the same ledger.
    #[inline(always)]
    pub(super) unsafe fn link_guard(
        &mut self,
        guard: &'static Guard,
        owner: &'static Claim,
        params: GuardParams,
        origin: Origin,
    ) {
        let next = self.guard_list.replace(guard);
        *self.store_count(params.class) += 1;
        // A branch, not an unconditional addition, which would write a cache line that concurrent readers only read.
        if params.frozen {
            self.frozen += 1;
        }
        // SAFETY: guarded by the locked ledger, and no other reference is out.
        let claim = unsafe { owner.guarded().own() };
        *claim.claim_count(params.class) += 1;
        claim.layout_refs += 1;
        // Free slots have all other fields as in `GuardBody::NEW`, so these need no store.
        // SAFETY: as above.
        let body = unsafe { guard.guarded().own() };
        body.next = next;
        body.previous = None;
        body.owner = Some(owner);
        body.region = Some(owner);
        body.class = params.class;
        body.frozen = params.frozen;
        body.discard = params.discard;
        body.origin = origin;
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
                && !body.logged
                && body.completion == Completion::Ledger
        );
        if let Some(next) = next {
            // SAFETY: as above. It was in the list before, so it is not `guard`.
            unsafe { next.guarded().own() }.previous = Some(guard);
        }
    }

    /// Takes a guard out of the list and the counts. `written`: the contents changed. The guard keeps its reference on
    /// the owner's layout, and its own links, which no function reads before it is linked again.
    ///
    /// # Safety
    /// - As above; the guard is in the list, and its owner is guarded by the same ledger.
    #[inline(always)]
    pub(super) unsafe fn unlink_guard(&mut self, guard: &'static Guard, written: bool) {
        // A branch, not an unconditional addition, which would write a cache line that concurrent readers only read.
        if written {
            self.version += 1;
        }
        // SAFETY: guarded by the locked ledger, and no other reference is out.
        let body = unsafe { guard.guarded().own() };
        let (previous, next, class, owner) = (body.previous, body.next, body.class, body.owner());
        *self.store_count(class) -= 1;
        if body.frozen {
            self.frozen -= 1;
        }
        // SAFETY: as above.
        *unsafe { owner.guarded().own() }.claim_count(class) -= 1;
        match previous {
            // SAFETY: as above; no slot in a list is its own neighbour.
            Some(previous) => unsafe { previous.guarded().own() }.next = next,
            None => self.guard_list = next,
        }
        if let Some(next) = next {
            // SAFETY: as above.
            unsafe { next.guarded().own() }.previous = previous;
        }
    }

    /// The store's count of open guards or exports of a class.
    #[inline(always)]
    fn store_count(&mut self, class: Class) -> &mut u32 {
        match class {
            Class::Read => &mut self.readers,
            Class::Write => &mut self.writers,
            Class::ExportRead => &mut self.exports_read,
            Class::ExportShared => &mut self.exports_shared,
            Class::ExportExclusive => &mut self.exports_exclusive,
            Class::Poison | Class::WorkRead | Class::WorkWrite | Class::Group => {
                unreachable!("records and groups are not in the list of guards")
            }
        }
    }
}

impl ClaimBody {
    /// The count of guards of a class, or of exports of all classes, that are open through this handle.
    #[inline(always)]
    fn claim_count(&mut self, class: Class) -> &mut u32 {
        match class {
            Class::Read => &mut self.readers,
            Class::Write => &mut self.writers,
            export => {
                debug_assert!(export.is_export());
                &mut self.exports
            }
        }
    }
}
