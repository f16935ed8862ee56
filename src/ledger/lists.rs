//! The lists of a store's claims and guards, which run through their slots, with the counts that go with them.
//!
//! For those who hold the ledger's lock: [`super::Locked`] and [`super::One`].

use super::class::{Class, GuardParams};
use super::origin::Origin;
use super::state::{Claim, ClaimBody, Guard, GuardedSlot, LedgerState};

/// What every function here asks of its caller: the ledger of these books is locked by it and guards the slot, and no reference is out to
/// what the lock guards but the one to these books.
impl LedgerState {
    /// Puts a claim into the list: H + 1.
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

    /// Takes a claim out of the list: H - 1.
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

    /// Puts a guard on all of `owner` into the list, and counts it, here and with its owner, which it layout_refs.
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
        // On a line of its own, which readers need not touch.
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

    /// Takes a guard out of the list and the counts. The owner stays pinned.
    ///
    /// # Safety
    /// - As above; the guard is in the list, and its owner is guarded by the same ledger.
    #[inline(always)]
    pub(super) unsafe fn unlink_guard(&mut self, guard: &'static Guard) {
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

    /// How many of a class are open. What an ended guard left is not open, and the record of a group is no guard.
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
    /// How many guards or exports of a class are open through this handle.
    #[inline(always)]
    fn count(&mut self, class: Class) -> &mut u32 {
        match class {
            Class::Read => &mut self.readers,
            Class::Write => &mut self.writers,
            _ => &mut self.exports,
        }
    }
}
