//! Claims of shared variables, and claims that rest while a call lends their bytes.
//!
//! The value of a shared variable is constant: only its own claim and claims that `grants` may write it. A claim rests while a callback has
//! the bytes through another handle: it is not counted among the claims, so the callback's handle can be the only holder. Clones, views and
//! promises of the callback's handle inherit its grant, and lose it when the claim wakes.

use super::locked::Locked;
use super::state::Claim;
use crate::names::Name;
use crate::slots::{Id, Slot, State};

impl Locked {
    /// Makes a claim that of a shared variable, whose handle no caller knows. Its store becomes constant for all other handles.
    pub(crate) fn begin_variable(&mut self, claim: &'static Claim, variable: Id, name: Name) {
        let ledger = self.ledger_of(claim);
        let body = self.get_mut(claim);
        debug_assert!(body.variable == Id::NONE);
        body.variable = variable;
        body.name = name;
        self.state_mut(ledger).managed += 1;
    }

    /// Undoes [`Locked::begin_variable`].
    pub(crate) fn end_variable(&mut self, claim: &'static Claim) {
        let ledger = self.ledger_of(claim);
        let body = self.get_mut(claim);
        debug_assert!(body.variable != Id::NONE);
        body.variable = Id::NONE;
        self.state_mut(ledger).managed -= 1;
    }

    /// Makes a claim the handle of a callback, and lets it write the value if its store is one.
    pub(crate) fn begin_lent(&mut self, claim: &'static Claim) {
        let is_value = self.state(self.ledger_of(claim)).managed > 0;
        let body = self.get_mut(claim);
        body.lent = true;
        body.grants = is_value;
    }

    /// Lets a claim rest: uses of its handle are refused, and it is not counted. The claim and its store stay, also if the handle is
    /// released meanwhile. The store has another claim, through which a callback uses the bytes.
    pub(crate) fn rest(&mut self, claim: &'static Claim) {
        debug_assert_eq!(self.get(claim).given, 0);
        self.begin_move(claim);
        self.unlink(claim);
        // No promise stands for this one. The checks of every call refuse a handle that is given.
        self.get_mut(claim).given = 1;
    }

    /// Ends [`Locked::rest`], and the grants of all claims that descend from the callback's handle. If the handle of the resting claim was
    /// released meanwhile, that claim ends.
    pub(crate) fn wake(&mut self, claim: &'static Claim) {
        let mut at = self.state(self.ledger_of(claim)).claim_list;
        while let Some(other) = at {
            let body = self.get_mut(other);
            body.lent = false;
            body.grants = false;
            at = body.next;
        }
        self.get_mut(claim).given = 0;
        if claim.head().state() == State::Kept {
            self.cancel_move(claim);
            return;
        }
        let ledger = self.ledger_of(claim);
        self.link(ledger, claim);
        self.get_mut(claim).moving = false;
        self.state_mut(ledger).moves -= 1;
    }

    /// The claim of a shared variable on the store of `claim`, if it has one.
    pub(crate) fn variable_beside(&self, claim: &'static Claim) -> Option<&'static Claim> {
        let mut found = None;
        self.each_claim(self.ledger_of(claim), |other| {
            if self.get(other).variable != Id::NONE {
                found = Some(other);
            }
        });
        found
    }
}
