//! Claims and writers of mirrors. A mirror owns one claim on the store of each side, whose handle no caller knows. It
//! completes the end of its writers itself.

use super::class::Class;
use super::internal_guard::InternalGuard;
use super::locked::Locked;
use super::state::{Claim, Guard};
use crate::names::Name;
use crate::slots::Id;
use crate::stream::Point;

impl Locked {
    /// Makes a claim that of a mirror.
    pub(crate) fn begin_side(&mut self, claim: &'static Claim, mirror: Id, name: Name) {
        let body = self.get_mut(claim);
        debug_assert!(body.keeper == Id::NONE);
        body.keeper = mirror;
        if !name.is_none() {
            body.name = name;
        }
    }

    /// Undoes [`Locked::begin_side`].
    pub(crate) fn end_side(&mut self, claim: &'static Claim) {
        self.get_mut(claim).keeper = Id::NONE;
    }

    /// The mirror whose writer a guard is.
    pub(crate) fn mirror_of(&self, guard: &'static Guard) -> Id {
        self.get(self.get(guard).owner()).keeper
    }

    /// Makes an open writer on all of an array a reader. `wrote`: it wrote, and that is complete; else it wrote
    /// nothing.
    pub(crate) fn downgrade_guard(&mut self, guard: &'static Guard, wrote: bool) {
        let (ledger, body) = (self.ledger_of(guard), self.get(guard));
        debug_assert!(body.class == Class::Write);
        let (owner, heals) = (body.owner(), wrote && body.discard && self.state(ledger).poisoned > 0);
        if heals {
            self.clear_poison(owner);
        }
        let state = self.state_mut(ledger);
        state.writers -= 1;
        state.readers += 1;
        state.version += u64::from(wrote);
        let claim = self.get_mut(owner);
        claim.writers -= 1;
        claim.readers += 1;
        let body = self.get_mut(guard);
        body.class = Class::Read;
        body.discard = false;
    }

    /// As [`Locked::abandon_guard`]; device work that reads the bytes continues until `point`.
    pub(crate) fn abandon_guard_at(&mut self, guard: &'static Guard, point: Option<Point>) {
        if self.get(guard).class == Class::Write {
            self.downgrade_guard(guard, false);
        }
        self.end_guard_at(guard, false, point);
    }
}

impl InternalGuard {
    /// The bytes of a guard that [`InternalGuard::into_guard`] passed to the caller, who passes it back with the next
    /// `into_guard`.
    pub(crate) fn again(guard: &'static Guard) -> InternalGuard {
        InternalGuard::of(guard)
    }

    /// Number of finished writes of the store. Nobody else finishes one while a write guard is open on all of it.
    pub(crate) fn version(&self) -> u64 {
        let guard = self.guard();
        let locked = guard.lock();
        locked.state(locked.ledger_of(guard)).version
    }
}
