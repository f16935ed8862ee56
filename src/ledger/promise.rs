//! Promises, which pass a claim on.

use super::claim::SpareClaim;
use super::locked::Locked;
use super::log::log_claim;
use super::state::{Claim, GuardedSlot, Promise, TakenBy};
use crate::events::Kind;
use crate::slots::{Id, Slot, Spare, State, Table};

impl Promise {
    pub(crate) fn id(&'static self) -> Id {
        Slot::id(self)
    }

    /// Frees the slot of a spent promise.
    pub(crate) fn free(&'static self, locked: &Locked) {
        Table::free(locked.thread(), self);
    }
}

/// A promise slot that is in no ledger yet.
pub type SparePromise = Spare<Promise>;

impl Locked {
    /// Adds an outstanding promise of the claim; `required`: see [`LedgerState::add_promise`].
    pub(crate) fn add_promise(&mut self, claim: &'static Claim, required: u32, spare: SparePromise) -> Id {
        let (promise, origin) = (spare.into_slot(), self.origin());
        let ledger = self.ledger_of(claim);
        promise.guarded.set_ledger(ledger);
        // SAFETY: `state_mut` checks that the ledger is locked by us; it guards the claim, and the promise is new.
        unsafe { self.state_mut(ledger).add_promise(claim, promise, required, origin) };
        let id = Table::publish(promise);
        log_claim(Kind::Give, claim, &self.get(claim).layout, id);
        id
    }

    /// The claim that an outstanding promise passes on.
    pub(crate) fn promised(&self, promise: &'static Promise) -> &'static Claim {
        self.get(promise).claim.expect("outstanding promises have a claim")
    }

    /// Marks an outstanding promise as spent. Its handle still has to be released; its claim is not changed.
    pub(crate) fn spend_promise(&mut self, promise: &'static Promise) {
        let ledger = self.ledger_of(promise);
        let claim = self.promised(promise);
        let only = self.get(claim).given == 1;
        // SAFETY: `state_mut` checks that the ledger is locked by us; it guards the promise and, while that is
        // outstanding, its claim.
        unsafe { self.state_mut(ledger).spend_promise(promise, claim, only) };
    }

    /// Makes a given claim without outstanding promises live again, or ends it if its handle was released.
    pub(crate) fn ungive(&mut self, claim: &'static Claim) {
        let ledger = self.ledger_of(claim);
        debug_assert_eq!(self.get(claim).given, 0);
        self.get_mut(claim).required = 0;
        if claim.head().state() == State::Kept {
            self.unlink(claim);
            self.drop_lease_if_unused(claim);
            self.free_if_unused(claim);
            self.mark_dead_if_unused(ledger);
        }
    }

    /// Passes the claim to `spare`, with layout, root, lease, form, name and READONLY. The old handle, if it is
    /// unreleased, is destructed, and stores where it was taken, and how. The layout of `spare` has room for that of
    /// `claim`. `promise`: the one that passes it, for the event log.
    pub(crate) fn pass_claim(
        &mut self,
        claim: &'static Claim,
        spare: SpareClaim,
        taken_by: TakenBy,
        promise: Id,
    ) -> Id {
        let ledger = self.ledger_of(claim);
        let origin = self.origin();
        let to = spare.into_slot();
        to.guarded().set_ledger(ledger);
        let (lease, stays) = (self.get(claim).lease, self.get(claim).layout_refs > 0);
        self.get_mut(to).lease = lease;
        if let Some(lease) = lease {
            self.hold_lease(lease);
        }
        // SAFETY: `state_mut` checks that the ledger is locked by us; it guards the claim, and `to` is new.
        unsafe { self.state_mut(ledger).pass_claim(claim, to, origin, taken_by, stays) };
        if claim.head().state() == State::Kept {
            self.drop_lease_if_unused(claim);
            self.free_if_unused(claim);
        } else {
            claim.head().set_state(State::Spent);
            // An export has its own reference on the lease. Exports and records may still need layout and root of the
            // old slot.
            self.drop_lease_after_work(claim);
        }
        self.mark_dead_if_unused(ledger);
        log_claim(Kind::Take, to, &self.get(to).layout, promise);
        Table::publish(to)
    }

    /// Makes `spare` a clone of the claim. The layout of `spare` has room for that of `claim`.
    pub(crate) fn copy_claim(&mut self, claim: &'static Claim, spare: SpareClaim) -> Id {
        Table::publish(self.copy_unpublished(claim, spare))
    }

    /// [`Locked::copy_claim`], without a handle so far.
    pub(super) fn copy_unpublished(&mut self, claim: &'static Claim, mut spare: SpareClaim) -> &'static Claim {
        let ledger = self.ledger_of(claim);
        let origin = self.origin();
        self.share_root(claim, &mut spare);
        let from = self.get(claim);
        let to = spare.body();
        let fits = to.copy_layout_and_name_from(from);
        assert!(fits, "the caller has made room");
        to.origin = origin;
        let lease = from.lease;
        self.add_unpublished(ledger, spare, lease)
    }

    /// Calls `visit` with each outstanding promise of a claim.
    pub(crate) fn each_promise(&self, claim: &'static Claim, mut visit: impl FnMut(&'static Promise)) {
        let mut at = self.get(claim).promises;
        while let Some(promise) = at {
            visit(promise);
            at = self.get(promise).next;
        }
    }
}
