//! Promises, which pass a claim on.

use super::claim::SpareClaim;
use super::locked::Locked;
use super::state::{Claim, Promise, PromiseBody};
use crate::error::Result;
use crate::slots::{Id, Slot, State, Table};
use crate::thread::Thread;

impl Promise {
    /// The bits of its handle.
    pub fn id(&'static self) -> Id {
        Slot::id(self)
    }
    /// Gives the slot of a promise that is not outstanding back.
    pub fn free(&'static self, locked: &Locked) {
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
    pub fn take(thread: &'static Thread) -> Result<SparePromise> {
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
    /// One more promise of the claim is outstanding.
    pub fn add_promise(&mut self, claim: &'static Claim, mut spare: SparePromise) -> Id {
        spare.used = true;
        let promise = spare.promise;
        let made = self.made();
        let body = self.get_mut(claim);
        body.given += 1;
        let next = body.promises.replace(promise);
        promise.guarded.set_ledger(self.ledger_of(claim));
        *self.get_mut(promise) = PromiseBody { next, claim: Some(claim), made };
        Table::publish(promise)
    }

    /// The claim that an outstanding promise passes on.
    pub fn promised(&self, promise: &'static Promise) -> &'static Claim {
        self.get(promise).claim.expect("outstanding promises have a claim")
    }

    /// The promise is used up: no longer outstanding, its handle still to be released. The claim is not looked at further.
    pub fn spend_promise(&mut self, promise: &'static Promise) {
        let claim = self.promised(promise);
        let after = self.get(promise).next;
        let mut at = self.get(claim).promises;
        if at.is_some_and(|first| core::ptr::eq(first, promise)) {
            self.get_mut(claim).promises = after;
        } else {
            while let Some(other) = at {
                at = self.get(other).next;
                if at.is_some_and(|next| core::ptr::eq(next, promise)) {
                    self.get_mut(other).next = after;
                    break;
                }
            }
        }
        let body = self.get_mut(promise);
        body.next = None;
        body.claim = None;
        self.get_mut(claim).given -= 1;
        promise.head.set_state(State::Spent);
    }

    /// No promise of the claim is outstanding any more: its handle is live again, or, if that was released, the claim ends.
    pub fn ungive(&mut self, claim: &'static Claim) {
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
    pub fn pass_claim(&mut self, claim: &'static Claim, spare: SpareClaim, entered: bool) -> Id {
        let ledger = self.ledger_of(claim);
        let made = self.made();
        let id = self.copy_claim(claim, spare);
        self.unlink(claim);
        let body = self.get_mut(claim);
        body.required = 0;
        body.made = made;
        body.entered = entered;
        if claim.head().state() == State::Kept {
            self.drop_lease_if_unused(claim);
            self.free_if_unused(claim);
        } else {
            claim.head().set_state(State::Spent);
            // What an export needs of a lease it has itself; exports and records may still need layout and root.
            self.drop_lease_after_work(claim);
            if self.get(claim).layout_refs == 0 {
                self.drop_root(claim);
            }
        }
        self.mark_dead_if_unused(ledger);
        id
    }

    /// `spare` becomes a clone of the claim: H + 1. Its layout has room for it.
    pub fn copy_claim(&mut self, claim: &'static Claim, mut spare: SpareClaim) -> Id {
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
    pub fn each_promise(&self, claim: &'static Claim, mut visit: impl FnMut(&'static Promise)) {
        let mut at = self.get(claim).promises;
        while let Some(promise) = at {
            visit(promise);
            at = self.get(promise).next;
        }
    }
}
