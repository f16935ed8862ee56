//! An argument whose handle cannot be used until the call ends, because the call writes or takes the array.
//!
//! Contract: no other thread can use, give or take the handle meanwhile; it can only release it. The drop of a
//! [`Resting`] gives the handle back. [`Resting::end`] destructs the handle of an array that the call took.

use crate::array;
use crate::ledger::{Claim, Locked, SpareClaim, TakenBy};
use crate::slots::Id;

/// The claim of such an argument.
pub struct Resting {
    claim: &'static Claim,
    /// The slot to which a taken claim passes in the end, so that the end cannot fail.
    taken: Option<SpareClaim>,
}

impl Resting {
    /// Makes the handle unusable. The store has another claim, which may be the only holder of the bytes.
    pub fn begin(locked: &mut Locked, claim: &'static Claim) -> Resting {
        locked.rest(claim);
        Resting { claim, taken: None }
    }

    /// As [`Resting::begin`], but the claim remains a holder, so nobody else can be the only one.
    pub fn begin_counted(locked: &mut Locked, claim: &'static Claim) -> Resting {
        locked.rest_counted(claim);
        Resting { claim, taken: None }
    }

    /// The claim.
    pub fn claim(&self) -> &'static Claim {
        self.claim
    }

    /// Lets [`Resting::end`] destruct the handle. The layout of `spare` has room for that of the claim.
    pub fn take(&mut self, spare: SpareClaim) {
        self.taken = Some(spare);
    }

    /// Ends the argument of a call that succeeded. Allocates nothing.
    pub fn end(mut self) {
        let taken = self.taken.take();
        let mut locked = self.claim.lock_moving();
        locked.resume(self.claim);
        // Another thread may have released the handle.
        let spare = taken.filter(|_| locked.has_handle(self.claim));
        let passed = spare.map(|spare| locked.pass_claim(self.claim, spare, TakenBy::Take, Id::NONE));
        drop(locked);
        if let Some(passed) = passed {
            let _ = array::release_now(passed);
        }
        core::mem::forget(self);
    }
}

impl Drop for Resting {
    fn drop(&mut self) {
        self.claim.lock_moving().resume(self.claim);
    }
}
