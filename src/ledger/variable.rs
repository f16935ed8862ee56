//! Claims of shared variables, and claims that rest while a call lends their bytes.
//!
//! The value of a shared variable is constant: only its own claim and claims that `grants` may write it. A claim rests
//! while a callback has the bytes through another handle: it is not counted among the claims, so the callback's handle
//! can be the only holder. Clones, views and promises of the callback's handle inherit its grant, and lose it when the
//! claim wakes.

use super::locked::Locked;
use super::state::{Claim, GuardedSlot};
use crate::names::Name;
use crate::slots::{Id, Slot, State, Table};

impl Locked {
    /// Makes a claim that of a shared variable, whose handle no caller knows. Its store becomes constant for all other
    /// handles.
    pub(crate) fn begin_variable(&mut self, claim: &'static Claim, variable: Id, name: Name) {
        let ledger = self.ledger_of(claim);
        // SAFETY: `state_mut` checks that the ledger is locked by us; it guards the claim.
        unsafe { self.state_mut(ledger).begin_variable(claim, variable, name) };
    }

    /// Undoes [`Locked::begin_variable`].
    pub(crate) fn end_variable(&mut self, claim: &'static Claim) {
        let ledger = self.ledger_of(claim);
        // SAFETY: `state_mut` checks that the ledger is locked by us; it guards the claim.
        unsafe { self.state_mut(ledger).end_variable(claim) };
    }

    /// Ends all weak handles of a store, as if it had been without a claim.
    pub(crate) fn end_weak_handles(&mut self, claim: &'static Claim) {
        let ledger = self.ledger_of(claim);
        self.state_mut(ledger).epoch += 1;
    }

    /// Gives a claim, whose handle only the library knows, another handle.
    pub(crate) fn renew_handle(&mut self, claim: &'static Claim) -> Id {
        self.check(claim.guarded());
        claim.head().make_stale(State::Live);
        claim.id()
    }

    /// Makes a claim the handle of a callback, and lets it write the value if its store is one.
    pub(crate) fn begin_lent(&mut self, claim: &'static Claim) {
        let state = self.state_mut(self.ledger_of(claim));
        state.was_exported = false;
        let is_value = state.managed > 0;
        let body = self.get_mut(claim);
        body.lent = true;
        body.grants = is_value;
    }

    /// Lets a claim rest: uses of its handle are refused, and it is not counted. The claim and its store stay, also if
    /// the handle is released meanwhile. The store has another claim, through which a callback uses the bytes.
    pub(crate) fn rest(&mut self, claim: &'static Claim) {
        self.rest_counted(claim);
        self.unlink(claim);
    }

    /// As [`Locked::rest`], but the claim is counted all the time.
    pub(crate) fn rest_counted(&mut self, claim: &'static Claim) {
        debug_assert_eq!(self.get(claim).given, 0);
        self.begin_move(claim);
        // No promise stands for this one. The checks of every call refuse a handle that is given.
        self.get_mut(claim).given = 1;
    }

    /// [`Locked::resume`] of a claim whose bytes were lent. The grants of all claims that descend from the callback's
    /// handle end too, unless that callback itself had the bytes from another call.
    pub(crate) fn wake(&mut self, claim: &'static Claim) {
        let descends = self.get(claim).grants || self.get(claim).lent;
        // A variable's claim counts again after its lending ended.
        let is_nested = descends && self.variable_beside(claim).is_none();
        let mut at = self.state(self.ledger_of(claim)).claim_list.filter(|_| !is_nested);
        while let Some(other) = at {
            let body = self.get_mut(other);
            body.lent = false;
            body.grants = false;
            at = body.next;
        }
        if !is_nested {
            let body = self.get_mut(claim);
            body.lent = false;
            body.grants = false;
        }
        self.resume(claim);
    }

    /// [`Locked::rest`] of a function's claim on a buffer that it keeps for a later call.
    pub(crate) fn rest_spare(&mut self, claim: &'static Claim) {
        self.rest(claim);
        let ledger = self.ledger_of(claim);
        self.state_mut(ledger).spares += 1;
    }

    /// Ends [`Locked::rest_spare`]. No callback's handle descends from the claim.
    pub(crate) fn resume_spare(&mut self, claim: &'static Claim) {
        let ledger = self.ledger_of(claim);
        self.state_mut(ledger).spares -= 1;
        self.resume(claim);
    }

    /// Ends [`Locked::rest`]. If the handle of the resting claim was released meanwhile, that claim ends.
    pub(crate) fn resume(&mut self, claim: &'static Claim) {
        let body = self.get_mut(claim);
        body.given = 0;
        let counted = body.counted;
        if claim.head().state() == State::Kept {
            if counted {
                self.unlink(claim);
            }
            self.cancel_move(claim);
            return;
        }
        let ledger = self.ledger_of(claim);
        if !counted {
            self.link(ledger, claim);
        }
        self.get_mut(claim).moving = false;
        self.state_mut(ledger).moves -= 1;
    }

    /// The claim of a handle, if that is on the store of `claim`.
    pub(crate) fn find_beside(&self, claim: &'static Claim, handle: Id) -> Option<&'static Claim> {
        let found = Table::<Claim>::guess(handle).filter(|found| found.head().is(handle))?;
        let ledger = found.guarded().ledger()?;
        core::ptr::eq(ledger, self.ledger_of(claim)).then_some(found)
    }

    /// The claim of a shared variable on the store of `claim`, if it has one.
    pub(crate) fn variable_beside(&self, claim: &'static Claim) -> Option<&'static Claim> {
        let mut found = None;
        self.each_claim(self.ledger_of(claim), |other| {
            if self.get(other).is_of_variable() {
                found = Some(other);
            }
        });
        found
    }
}
