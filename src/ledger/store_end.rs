//! The end of a store: which uses keep it, and how its bytes are marked for return.
//!
//! A store without claims, guards and exports is dead, unless unfinished device work keeps foreign bytes. The bytes of
//! a dead store go back when its lock is released (`deferred_work`); the others wait in the list of `deferred_release`.

use super::deferred_release;
use super::locked::Locked;
use super::residence::Residence;
use super::state::{Backing, Ledger, LedgerState};
use crate::slots::State;

impl LedgerState {
    /// Whether neither claim nor guard nor export is left.
    #[inline]
    pub(super) fn is_unused(&self) -> bool {
        self.claims == 0 && self.readers == 0 && self.writers == 0 && self.exports() == 0 && self.moves == 0
    }

    /// Whether the bytes of an unused store can go back now.
    #[inline]
    pub(super) fn can_end(&self) -> bool {
        self.is_unused()
            && self.leases == 0
            && self.residence != Residence::Moving
            && (self.works == 0 || self.is_own_memory())
    }

    /// Whether the bytes are a pool's, which waits for unfinished device work itself. The owner of foreign bytes would
    /// not.
    #[inline]
    pub(crate) fn is_own_memory(&self) -> bool {
        matches!(self.backing, Backing::None | Backing::Pool(..))
    }

    /// Whether the store has claims only: no guard, export, record or move.
    #[inline(always)]
    pub(crate) fn has_only_claims(&self) -> bool {
        self.moves == 0 && self.has_only_claims_and_moves()
    }

    /// Whether the store has neither guard nor export nor record.
    #[inline(always)]
    pub(super) fn has_only_claims_and_moves(&self) -> bool {
        self.readers | self.writers | self.exports_read | self.exports_shared | self.exports_exclusive == 0
            && self.records == 0
            && self.held == 0
    }

    /// Whether a claim rests or moves that is not a function's on a spare buffer. `claims` may not count it.
    pub(crate) fn is_lent(&self) -> bool {
        self.moves > self.spares
    }

    /// Whether another claim rests, so that the store goes on to exist.
    #[inline(always)]
    pub(super) fn rests(&self) -> bool {
        self.moves > 0
    }

    /// Whether the end of the last claim ends the store, whose bytes then go back to a pool, and nothing else.
    #[inline]
    pub(super) fn ends_with_last_claim(&self) -> bool {
        self.has_only_claims() && self.is_own_memory()
    }
}

impl Locked {
    /// Marks the store as dead if nothing uses it, or defers its end until its device work has passed.
    #[inline]
    pub(super) fn mark_dead_if_unused(&mut self, ledger: &'static Ledger) {
        let state = self.state(ledger);
        debug_assert!(state.is_valid());
        // A spent handle may outlive its store. The ledger that it names is then free, or belongs to another store.
        if state.is_unused() && ledger.is_alive() {
            // The last claim may have ended while another one rested.
            self.state_mut(ledger).epoch += 1;
            let state = self.state(ledger);
            if state.can_end() {
                self.mark_dead(ledger);
            } else {
                deferred_release::add(ledger);
            }
        }
    }

    /// Marks the store as dead: its bytes go back after unlocking.
    fn mark_dead(&mut self, ledger: &'static Ledger) {
        self.count_held_bytes(ledger, false);
        self.drop_records(ledger);
        ledger.head.set_state(State::Spent);
        self.state_mut(ledger).next_dead = self.after.dead;
        self.after.dead = Some(ledger);
    }

    /// Sets whether the pool's statistics count the bytes as held without a claim.
    pub(super) fn count_held_bytes(&mut self, ledger: &'static Ledger, held: bool) {
        let state = self.state_mut(ledger);
        let Backing::Pool(pool, requested) = state.backing else { return };
        let now = if held { requested } else { 0 };
        if state.held != now {
            pool.add_held(now - state.held);
            state.held = now;
        }
    }
}
