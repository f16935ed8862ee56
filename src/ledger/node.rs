//! Claims of expression nodes. They have no handle, and are counted in `claims` and `nodes` (H and P in the
//! specification). Until such a claim ends, no other holder can write its bytes.

use super::claim::SpareClaim;
use super::locked::{self, Locked};
use super::new_store::NewStore;
use super::operation::NodeTag;
use super::state::{Claim, GuardedSlot, Ledger};
use crate::error::Result;
use crate::names::Name;
use crate::slots::{Slot, State};
use crate::thread::Thread;

/// The ledger of a claim that the caller owns, and that therefore does not move.
pub fn ledger_of_claim(claim: &'static Claim) -> &'static Ledger {
    claim.guarded().ledger().expect("claims of nodes have a ledger")
}

/// Locks the ledgers of claims that the caller owns.
pub fn lock_claims(claims: &[&'static Claim]) -> Result<Locked> {
    locked::lock_all(claims.len(), &|i| Ok(ledger_of_claim(claims[i])))
}

impl Claim {
    /// Locks the ledger of a claim that the caller owns: that of an expression node.
    pub(crate) fn lock_own(&'static self) -> Locked {
        self.lock_own_as(crate::thread::current())
    }

    /// [`Claim::lock_own`]; `thread` is the calling thread.
    #[inline]
    pub(crate) fn lock_own_as(&'static self, thread: &'static Thread) -> Locked {
        Locked::one(thread, ledger_of_claim(self))
    }
}

impl Locked {
    /// Makes `spare` a node's claim, copied from `claim`. The layout of `spare` has room for that of `claim`.
    pub(crate) fn copy_to_node(&mut self, claim: &'static Claim, spare: SpareClaim, tag: NodeTag) -> &'static Claim {
        let claim = self.copy_unpublished(claim, spare);
        claim.head().set_state(State::Kept);
        self.own_by_node(claim, tag)
    }

    /// Makes a claim without a handle a node's.
    fn own_by_node(&mut self, claim: &'static Claim, tag: NodeTag) -> &'static Claim {
        self.get_mut(claim).node = Some(tag);
        let ledger = self.ledger_of(claim);
        self.state_mut(ledger).nodes += 1;
        claim
    }

    /// Stores which node owns the claim, and which operation waits for it.
    pub(crate) fn tag_node(&mut self, claim: &'static Claim, tag: NodeTag) {
        debug_assert!(self.get(claim).node.is_some());
        self.get_mut(claim).node = Some(tag);
    }

    /// Prepares a node's claim whose bytes will be overwritten: weak handles of the old contents end, and so do its
    /// name and its root.
    pub(crate) fn overwrite_node(&mut self, claim: &'static Claim) {
        let ledger = self.ledger_of(claim);
        self.state_mut(ledger).epoch += 1;
        self.get_mut(claim).name = Name::NONE;
        self.drop_root(claim);
    }

    /// Ends the claim of a node.
    pub(crate) fn end_node(&mut self, claim: &'static Claim) {
        let ledger = self.ledger_of(claim);
        self.get_mut(claim).node = None;
        self.state_mut(ledger).nodes -= 1;
        self.unlink(claim);
        self.drop_lease_if_unused(claim);
        self.free_if_unused(claim);
        self.mark_dead_if_unused(ledger);
    }
}

impl NewStore {
    /// Makes the store with one claim, which a node owns.
    pub(crate) fn finish_node(self, tag: NodeTag) -> &'static Claim {
        let (mut locked, id) = self.finish_locked();
        let claim = locked::find::<Claim>(id).expect("only this function knows it");
        claim.head().make_stale(State::Kept);
        locked.own_by_node(claim, tag)
    }
}
