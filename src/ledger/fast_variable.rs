//! The fast path of claims of shared variables, and of claims on the spare buffers of functions.
//!
//! As in [`super::fast_path`], each function either does all of its work or changes nothing and says so. The slow path
//! is in [`super::variable`].

use super::fast_path::LockedSlot;
use super::origin::Origin;
use super::state::{Claim, GuardedSlot};
use crate::names::Name;
use crate::slots::{Id, Slot, State, Table};

impl LockedSlot<Claim> {
    /// Makes a claim that of a shared variable, see [`super::Locked::begin_variable`], and gives it another handle.
    #[inline(always)]
    pub(crate) fn become_variable(mut self, variable: Id, name: Name) -> Id {
        let claim = self.at.slot;
        // SAFETY: the ledger is locked by us and guards the claim; no other reference is out.
        unsafe { self.state_mut().begin_variable(claim, variable, name) };
        claim.head().make_stale(State::Live);
        claim.id()
    }

    /// Turns the claim of a former value into that of a spare buffer, with another handle. None if anything else is on
    /// the store.
    #[inline(always)]
    pub(crate) fn become_spare(mut self) -> Option<&'static Claim> {
        let (claim, body, state) = (self.at.slot, self.body(), self.state());
        let alone = body.counted && state.claims == 1 && state.managed == 1 && state.has_only_claims();
        let is_own = state.leases == 0 && state.is_own_memory();
        if !alone || !is_own || !body.is_of_variable() || body.readonly || state.readonly {
            return None;
        }
        let unnamed = body.name.is_none();
        // SAFETY: the ledger is locked by us and guards the claim; each reference ends in its line.
        unsafe {
            self.state_mut().end_variable(claim);
            if !unnamed {
                claim.guarded().own().name = Name::NONE;
            }
        }
        claim.head().make_stale(State::Live);
        Some(claim)
    }

    /// Adds a function's claim on the buffer of an array that its caller gets: it rests, see
    /// [`super::Locked::rest_spare`]. None: anything else is on the store, the array could not be written, or the
    /// thread's cache is empty.
    #[inline(always)]
    pub(crate) fn add_resting_spare(&mut self) -> Option<&'static Claim> {
        let (body, state) = (self.body(), self.state());
        let alone = body.counted && body.given == 0 && state.claims == 1 && state.has_only_claims();
        let is_plain = body.root.is_none() && body.lease.is_none() && !body.readonly && body.layout.is_inline();
        if !alone || !is_plain || !state.is_own_memory() || state.leases > 0 {
            return None;
        }
        let kept: &'static Claim = Table::take_cached(self.inside.thread())?;
        kept.guarded().set_ledger(self.at.ledger);
        let origin = Origin::by(self.inside.thread());
        // SAFETY: the ledger is locked by us and guards `claim`; the kept one is unpublished. Each reference ends in
        // its line.
        unsafe {
            let to = kept.guarded().own();
            let fits = to.layout.set(&self.at.body().layout);
            debug_assert!(fits, "both are inline");
            to.form = self.at.body().form;
            to.origin = origin;
            self.state_mut().begin_resting_spare(kept);
        }
        Table::publish(kept);
        Some(kept)
    }

    /// Takes a function's claim on a spare buffer, resting or not, for the use of the buffer. Returns its handle. Weak
    /// handles of the buffer end. None if anything else is on the store.
    #[inline(always)]
    pub(crate) fn take_spare(mut self) -> Option<Id> {
        let (claim, body, state) = (self.at.slot, self.body(), self.state());
        let (counted, rests) = (u32::from(body.counted), u32::from(!body.counted));
        let alone = state.claims == counted && state.moves == rests && state.spares == rests;
        if !alone || !state.has_only_claims_and_moves() || state.managed > 0 || claim.head().state() != State::Live {
            return None;
        }
        // SAFETY: the ledger is locked by us and guards the claim, which is in the list exactly if it is counted.
        unsafe {
            let state = self.state_mut();
            if rests == 1 {
                state.end_resting_spare(claim);
            }
            state.epoch += 1;
        }
        Some(claim.id())
    }
}
