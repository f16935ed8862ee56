//! Spare buffers: what outputs and updates with TN_REUSE leave for later calls.
//!
//! Contract: the function keeps a claim on each buffer. While a caller has the buffer as an output, that claim rests: it is not counted, so
//! the caller's handle can be the only holder. The buffer is offered to a body only when nobody else has anything on it. A call takes a
//! buffer for itself alone. Nothing is allocated or released under the lock.

use super::declaration;
use crate::error::Result;
use crate::layout::Layout;
use crate::ledger::{self, Claim, Locked, SpareClaim};
use crate::names::Name;
use crate::slots::Id;
use crate::thread::QuickLock;

/// The most buffers that are kept for one output or update. A caller may have the output of the call before, and several threads may call.
const KEPT: usize = 4;

type Kept = [Option<&'static Claim>; KEPT];

/// The spare buffers of a function, by place: its outputs, and then its updates.
pub struct Spares(Vec<QuickLock<Kept>>);

impl Spares {
    /// None yet, for that many places.
    pub fn create(places: usize) -> Result<Spares> {
        let mut list = declaration::vector(places)?;
        list.resize_with(places, || QuickLock::new([None; KEPT]));
        Ok(Spares(list))
    }

    /// Takes a buffer that nobody else has. The caller owns the handle.
    pub fn take(&self, place: usize) -> Option<Id> {
        let mut kept = self.empty(place)?;
        let taken = kept.iter_mut().find_map(|entry| entry.take_if(|claim| make_free(claim)));
        if kept.iter().any(Option::is_some) {
            kept.into_iter().flatten().for_each(|claim| self.put_back(place, claim));
        }
        taken.map(Claim::id)
    }

    /// Keeps an array that the library owns, and drops buffers of other layouts. An array that the body gave away or passed on is released.
    pub fn keep(&self, place: usize, array: Id) {
        let Ok((mut locked, claim)) = ledger::lock::<Claim>(array) else { return };
        if !is_ours(&locked, claim) {
            locked.release(claim);
            return;
        }
        locked.get_mut(claim).name = Name::NONE;
        // A body may know the old handle.
        locked.renew_handle(claim);
        self.add(place, locked, claim);
    }

    /// Keeps the buffer of a former value of a variable, if nobody else has it. False: somebody has, and nothing was done. The handle becomes
    /// another one, because a reader may still have the old one and take the array for the value.
    pub fn keep_value(&self, place: usize, before: Id) -> bool {
        let Ok((mut locked, claim)) = ledger::lock::<Claim>(before) else { return false };
        let state = locked.state(locked.ledger_of(claim));
        if !is_free(&locked, claim) || state.leases > 0 || !state.is_own_memory() || state.readonly {
            return false;
        }
        locked.end_variable(claim);
        locked.get_mut(claim).name = Name::NONE;
        locked.renew_handle(claim);
        self.add(place, locked, claim);
        true
    }

    fn add(&self, place: usize, locked: Locked, claim: &'static Claim) {
        let mut kept = self.0[place].lock();
        if kept.iter().all(Option::is_none) {
            kept[0] = Some(claim);
            return;
        }
        drop(kept);
        let mut layout = Layout::EMPTY;
        let fits = layout.set(&locked.get(claim).layout);
        drop(locked);
        for other in self.empty(place).into_iter().flatten().flatten() {
            if fits && is_like(other, &layout) { self.put_back(place, other) } else { end(other) }
        }
        self.put_back(place, claim);
    }

    /// Keeps the buffer of an array that a caller gets, for the time after. Cannot fail: a buffer that cannot be kept is not.
    pub fn keep_handed_out(&self, place: usize, array: Id, spare: SpareClaim) {
        let Ok((mut locked, claim)) = ledger::lock::<Claim>(array) else { return };
        if !is_ours(&locked, claim) {
            return;
        }
        let kept = locked.copy_claim(claim, spare);
        let claim = ledger::find::<Claim>(kept).expect("only this function knows it");
        locked.get_mut(claim).name = Name::NONE;
        locked.rest_spare(claim);
        self.add(place, locked, claim);
    }

    /// Drops the buffers that nobody else has, and that `is_unwanted` accepts. Returns how many.
    pub fn drop_free(&self, mut is_unwanted: impl FnMut(&Locked, &'static Claim) -> bool) -> usize {
        let mut dropped = 0;
        for place in 0..self.0.len() {
            for claim in self.empty(place).into_iter().flatten().flatten() {
                let locked = claim.lock_moving();
                let goes = is_unheld(&locked, claim) && is_unwanted(&locked, claim);
                drop(locked);
                dropped += usize::from(goes);
                if goes { end(claim) } else { self.put_back(place, claim) }
            }
        }
        dropped
    }

    /// Takes all buffers of a place.
    fn empty(&self, place: usize) -> Option<Kept> {
        let mut kept = self.0[place].lock();
        kept.iter().any(Option::is_some).then(|| core::mem::replace(&mut *kept, [None; KEPT]))
    }

    /// Puts a buffer to a place. If the place is full, drops its oldest one.
    fn put_back(&self, place: usize, claim: &'static Claim) {
        let mut kept = self.0[place].lock();
        let oldest = if kept[KEPT - 1].is_some() {
            kept.rotate_left(1);
            kept[KEPT - 1].take()
        } else {
            None
        };
        if let Some(free) = kept.iter_mut().find(|entry| entry.is_none()) {
            *free = Some(claim);
        }
        drop(kept);
        oldest.into_iter().for_each(end);
    }
}

impl Drop for Spares {
    fn drop(&mut self) {
        for place in 0..self.0.len() {
            self.empty(place).into_iter().flatten().flatten().for_each(end);
        }
    }
}

/// Whether the handle is a live one. The body knows the handle, and may have given the array away or passed it on.
fn is_ours(locked: &Locked, claim: &'static Claim) -> bool {
    let body = locked.get(claim);
    body.counted && body.given == 0 && !body.moving
}

/// Whether nobody but the function has anything on the buffer, and no failed writer left its bytes undefined.
fn is_free(locked: &Locked, claim: &'static Claim) -> bool {
    is_unheld(locked, claim) && locked.state(locked.ledger_of(claim)).poisoned == 0
}

/// Whether nobody but the function has a handle, guard or export on the buffer.
fn is_unheld(locked: &Locked, claim: &'static Claim) -> bool {
    let state = locked.state(locked.ledger_of(claim));
    let body = locked.get(claim);
    let (counted, is_value) = (u32::from(body.counted), u32::from(body.variable != Id::NONE));
    // The claim of an argument or a value that is lent to a body rests.
    let is_only_claim = state.claims == counted && !state.is_lent() && state.managed == is_value;
    is_only_claim && state.readers + state.writers + state.exports() == 0
}

/// Makes the claim of a buffer that nobody else has count again. False: somebody has it.
fn make_free(claim: &'static Claim) -> bool {
    let mut locked = claim.lock_moving();
    let free = is_free(&locked, claim);
    if free {
        if !locked.get(claim).counted {
            locked.resume_spare(claim);
        }
        locked.end_weak_handles(claim);
    }
    free
}

fn is_like(claim: &'static Claim, layout: &Layout) -> bool {
    let locked = claim.lock_moving();
    let other = &locked.get(claim).layout;
    other.dtype() == layout.dtype() && other.has_shape_of(layout) && other.strides() == layout.strides()
}

/// Ends the claim of the function on a buffer. Other holders keep the buffer.
fn end(claim: &'static Claim) {
    let mut locked = claim.lock_moving();
    if !locked.get(claim).counted {
        locked.resume_spare(claim);
    }
    locked.release(claim);
}
