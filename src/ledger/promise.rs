//! Promises, which pass a claim on.

use super::claim::SpareClaim;
use super::locked::Locked;
use super::state::{Claim, GuardedSlot, Promise};
use crate::error::Result;
use crate::slots::{Id, Slot, State, Table};
use crate::thread::Thread;

impl Promise {
    /// The bits of its handle.
    pub(crate) fn id(&'static self) -> Id {
        Slot::id(self)
    }
    /// Gives the slot of a promise that is not outstanding back.
    pub(crate) fn free(&'static self, locked: &Locked) {
        Table::free(locked.thread(), self);
    }
}

/// A taken promise slot that is nobody's yet.
pub struct SparePromise {
    promise: &'static Promise,
    thread: &'static Thread,
    used: bool,
}

impl SparePromise {
    /// Takes a slot; outside of locks.
    pub(crate) fn take(thread: &'static Thread) -> Result<SparePromise> {
        Ok(SparePromise { promise: Table::take(thread)?, thread, used: false })
    }
}

impl Drop for SparePromise {
    fn drop(&mut self) {
        if !self.used {
            Table::free(self.thread, self.promise);
        }
    }
}

impl Locked {
    /// Adds an outstanding promise of the claim; `required` is how many of them its giver requires.
    pub(crate) fn add_promise(&mut self, claim: &'static Claim, required: u32, mut spare: SparePromise) -> Id {
        spare.used = true;
        let (promise, made) = (spare.promise, self.made());
        let ledger = self.ledger_of(claim);
        promise.guarded.set_ledger(ledger);
        // SAFETY: `state_mut` checks that the ledger is locked by us; it guards the claim, and the promise is new.
        unsafe { self.state_mut(ledger).add_promise(claim, promise, required, made) };
        Table::publish(promise)
    }

    /// The claim that an outstanding promise passes on.
    pub(crate) fn promised(&self, promise: &'static Promise) -> &'static Claim {
        self.get(promise).claim.expect("outstanding promises have a claim")
    }

    /// Marks an outstanding promise as used up. Its handle still has to be released, and its claim is left as it is.
    pub(crate) fn spend_promise(&mut self, promise: &'static Promise) {
        let ledger = self.ledger_of(promise);
        let claim = self.promised(promise);
        let only = self.get(claim).given == 1;
        // SAFETY: `state_mut` checks that the ledger is locked by us; it guards the promise and, while that is outstanding, its claim.
        unsafe { self.state_mut(ledger).spend_promise(promise, claim, only) };
    }

    /// No promise of the claim is outstanding any more: its handle is live again, or, if that was released, the claim ends.
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

    /// The claim passes to `spare`, with layout, root, lease, name and READONLY; H is unchanged. The old handle, if it is still out,
    /// is destructed and remembers who took it, and whether by entering a scope. `spare`'s layout has room for it.
    pub(crate) fn pass_claim(&mut self, claim: &'static Claim, spare: SpareClaim, entered: bool) -> Id {
        let ledger = self.ledger_of(claim);
        let made = self.made();
        let to = spare.into_claim();
        to.guarded().set_ledger(ledger);
        let (lease, stays) = (self.get(claim).lease, self.get(claim).layout_refs > 0);
        self.get_mut(to).lease = lease;
        if let Some(lease) = lease {
            self.hold_lease(lease);
        }
        // SAFETY: `state_mut` checks that the ledger is locked by us; it guards the claim, and `to` is new.
        unsafe { self.state_mut(ledger).pass_claim(claim, to, made, entered, stays) };
        if claim.head().state() == State::Kept {
            self.drop_lease_if_unused(claim);
            self.free_if_unused(claim);
        } else {
            claim.head().set_state(State::Spent);
            // An export has its own reference on the lease. Exports and records may still need layout and root of the old slot.
            self.drop_lease_after_work(claim);
        }
        self.mark_dead_if_unused(ledger);
        Table::publish(to)
    }

    /// `spare` becomes a clone of the claim: H + 1. Its layout has room for it.
    pub(crate) fn copy_claim(&mut self, claim: &'static Claim, mut spare: SpareClaim) -> Id {
        let ledger = self.ledger_of(claim);
        let made = self.made();
        self.share_root(claim, &mut spare);
        let from = self.get(claim);
        let to = spare.body();
        let fits = to.copy(from);
        assert!(fits, "the caller has made room");
        to.made = made;
        let lease = from.lease;
        self.add_claim(ledger, spare, lease)
    }

    /// The outstanding promises of a claim.
    pub(crate) fn each_promise(&self, claim: &'static Claim, mut visit: impl FnMut(&'static Promise)) {
        let mut at = self.get(claim).promises;
        while let Some(promise) = at {
            visit(promise);
            at = self.get(promise).next;
        }
    }
}
