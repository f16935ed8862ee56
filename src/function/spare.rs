//! Spare buffers: what outputs and updates with TN_REUSE leave for later calls.
//!
//! Contract: the function keeps a claim on each buffer. While a caller has the buffer as an output, that claim rests:
//! it is not counted, so the caller's handle can be the only holder. The buffer is offered to a body only when nobody
//! else has anything on it. A call takes a buffer for itself alone. Nothing is allocated or released under the lock,
//! which no call takes for each buffer alone.

use crate::error::Result;
use crate::layout::Layout;
use crate::ledger::{self, Claim, Locked, LockedSlot, SpareClaim};
use crate::lists;
use crate::names::Name;
use crate::slots::Id;
use crate::thread::{QuickLock, Thread};
use smallvec::SmallVec;

/// The most buffers that are kept for one output or update. A caller may have the output of the call before, and
/// several threads may call.
const KEPT: usize = 4;

/// The most places that are looked at under one lock.
const AT_ONCE: usize = 4;

/// The buffers of one place, oldest first.
type Kept = [Option<&'static Claim>; KEPT];

/// The spare buffers of a function, by place: its outputs, and then its updates.
pub struct Spares {
    lists: QuickLock<Vec<Kept>>,
    /// Some output or update has TN_REUSE.
    is_used: bool,
}

impl Spares {
    /// None yet, for that many places. `is_used`: some output or update has TN_REUSE.
    pub fn create(places: usize, is_used: bool) -> Result<Spares> {
        let mut lists = lists::vector(places, "items")?;
        lists.resize(places, [None; KEPT]);
        Ok(Spares { lists: QuickLock::new(lists), is_used })
    }

    /// Takes a buffer that nobody else has for each place that has one. `found`: by place, all none. The caller owns
    /// the handles.
    pub fn take(&self, thread: &'static Thread, found: &mut [Id]) {
        if !self.is_used {
            return;
        }
        for (chunk, found) in found.chunks_mut(AT_ONCE).enumerate() {
            let first = chunk * AT_ONCE;
            let mut oldest = [None; AT_ONCE];
            let mut lists = self.lists.lock_as(thread);
            for (oldest, kept) in oldest.iter_mut().zip(&mut lists[first..]) {
                if let Some(claim) = kept[0].take() {
                    kept.rotate_left(1);
                    *oldest = Some(claim);
                }
            }
            drop(lists);
            for (at, found) in found.iter_mut().enumerate() {
                if let Some(claim) = oldest[at] {
                    *found = match LockedSlot::held(thread, claim).take_spare() {
                        Some(handle) => handle,
                        None => self.take_slow(first + at, claim),
                    };
                }
            }
        }
    }

    /// Takes the oldest buffer of a place that nobody else has, or none. `oldest` was taken out.
    #[cold]
    fn take_slow(&self, place: usize, oldest: &'static Claim) -> Id {
        let others = self.empty(place);
        let mut taken = Id::NONE;
        for claim in core::iter::once(oldest).chain(others.into_iter().flatten()) {
            if taken == Id::NONE && make_reusable(claim) {
                taken = claim.id();
            } else {
                self.put_back(place, claim);
            }
        }
        taken
    }

    /// Keeps a buffer, and drops those of the place that have other layouts.
    #[cold]
    fn add_to_others(&self, place: usize, claim: &'static Claim) {
        let mut layout = Layout::EMPTY;
        let fits = layout.set(&claim.lock_moving().get(claim).layout);
        for other in self.empty(place).into_iter().flatten() {
            if fits && is_like(other, &layout) { self.put_back(place, other) } else { end(other) }
        }
        self.put_back(place, claim);
    }

    /// Drops the buffers that nobody else has, and that `is_unwanted` accepts. Returns how many.
    pub fn drop_free(&self, mut is_unwanted: impl FnMut(&Locked, &'static Claim) -> bool) -> usize {
        let mut dropped = 0;
        for place in 0..self.places() {
            for claim in self.empty(place).into_iter().flatten() {
                let locked = claim.lock_moving();
                let goes = is_unheld(&locked, claim) && is_unwanted(&locked, claim);
                drop(locked);
                dropped += usize::from(goes);
                if goes { end(claim) } else { self.put_back(place, claim) }
            }
        }
        dropped
    }

    fn places(&self) -> usize {
        self.lists.lock().len()
    }

    /// Takes all buffers of a place.
    fn empty(&self, place: usize) -> Kept {
        core::mem::replace(&mut self.lists.lock()[place], [None; KEPT])
    }

    /// Puts a buffer to a place. If the place is full, drops its oldest one.
    fn put_back(&self, place: usize, claim: &'static Claim) {
        let mut lists = self.lists.lock();
        let kept = &mut lists[place];
        let oldest = if kept[KEPT - 1].is_some() {
            kept.rotate_left(1);
            kept[KEPT - 1].take()
        } else {
            None
        };
        if let Some(free) = kept.iter_mut().find(|entry| entry.is_none()) {
            *free = Some(claim);
        }
        drop(lists);
        oldest.into_iter().for_each(end);
    }
}

impl Drop for Spares {
    fn drop(&mut self) {
        for place in 0..self.places() {
            self.empty(place).into_iter().flatten().for_each(end);
        }
    }
}

/// Buffers that a call leaves for later ones. Its drop puts them to their places.
pub struct Returned<'a> {
    spares: &'a Spares,
    thread: &'static Thread,
    /// At most [`AT_ONCE`].
    waiting: SmallVec<[(usize, &'static Claim); AT_ONCE]>,
}

impl<'a> Returned<'a> {
    /// None yet.
    pub fn new(thread: &'static Thread, spares: &'a Spares) -> Returned<'a> {
        Returned { spares, thread, waiting: SmallVec::new() }
    }

    /// Keeps an array that the library owns. An array that the body gave away or passed on is released.
    pub fn keep(&mut self, place: usize, array: Id) {
        let Ok((mut locked, claim)) = ledger::lock::<Claim>(array) else { return };
        if !is_ours(&locked, claim) {
            locked.release(claim);
            return;
        }
        make_plain(&mut locked, claim);
        // A body may know the old handle.
        locked.renew_handle(claim);
        drop(locked);
        self.push(place, claim);
    }

    /// Keeps the buffer of a former value of a variable, if nobody else has it. False: somebody has, and nothing was
    /// done. The handle becomes another one, because a reader may still have the old one and take the array for the
    /// value.
    pub fn keep_value(&mut self, place: usize, before: Id) -> bool {
        let kept = LockedSlot::<Claim>::live(self.thread, before).and_then(LockedSlot::become_spare);
        let kept = kept.or_else(|| value_to_spare(before));
        kept.is_some_and(|claim| {
            self.push(place, claim);
            true
        })
    }

    /// Keeps the buffer of an array that a caller gets, for the time after. Cannot fail: a buffer that cannot be kept
    /// is not.
    pub fn keep_handed_out(&mut self, place: usize, array: Id, spare: SpareClaim) {
        let fast = LockedSlot::<Claim>::live(self.thread, array).and_then(|mut one| one.add_resting_spare());
        if let Some(claim) = fast.or_else(|| output_to_spare(array, spare)) {
            self.push(place, claim);
        }
    }

    /// Keeps a buffer of which the function has a claim already.
    pub fn push(&mut self, place: usize, claim: &'static Claim) {
        if self.waiting.len() == AT_ONCE {
            self.put_all();
        }
        self.waiting.push((place, claim));
    }

    fn put_all(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let mut lists = self.spares.lists.lock_as(self.thread);
        // A place usually has no buffer now.
        self.waiting.retain(|(place, claim)| {
            let kept = &mut lists[*place];
            let is_empty = kept[0].is_none();
            if is_empty {
                kept[0] = Some(claim);
            }
            !is_empty
        });
        drop(lists);
        for (place, claim) in self.waiting.drain(..) {
            self.spares.add_to_others(place, claim);
        }
    }
}

impl Drop for Returned<'_> {
    fn drop(&mut self) {
        self.put_all();
    }
}

/// The slow path of [`Returned::keep_value`].
#[cold]
fn value_to_spare(before: Id) -> Option<&'static Claim> {
    let (mut locked, claim) = ledger::lock::<Claim>(before).ok()?;
    let state = locked.state(locked.ledger_of(claim));
    if !is_reusable(&locked, claim) || state.leases > 0 || !state.is_own_memory() || state.readonly {
        return None;
    }
    locked.end_variable(claim);
    make_plain(&mut locked, claim);
    locked.renew_handle(claim);
    Some(claim)
}

/// The slow path of [`Returned::keep_handed_out`]. None: the buffer cannot be kept.
#[cold]
fn output_to_spare(array: Id, spare: SpareClaim) -> Option<&'static Claim> {
    let (mut locked, claim) = ledger::lock::<Claim>(array).ok()?;
    if !is_ours(&locked, claim) {
        return None;
    }
    let kept = locked.copy_claim(claim, spare);
    let claim = ledger::find::<Claim>(kept).expect("only this function knows it");
    make_plain(&mut locked, claim);
    locked.rest_spare(claim);
    Some(claim)
}

/// Makes a claim that of a buffer without a name, which the next body can write.
fn make_plain(locked: &mut Locked, claim: &'static Claim) {
    let body = locked.get_mut(claim);
    body.name = Name::NONE;
    body.readonly = body.readonly && body.layout.self_overlaps();
}

/// Whether the handle is a live one. The body knows the handle, and may have given the array away or passed it on.
fn is_ours(locked: &Locked, claim: &'static Claim) -> bool {
    let body = locked.get(claim);
    body.counted && body.given == 0 && !body.moving
}

/// Whether nobody but the function has anything on the buffer, and no failed writer left its bytes undefined.
fn is_reusable(locked: &Locked, claim: &'static Claim) -> bool {
    is_unheld(locked, claim) && locked.state(locked.ledger_of(claim)).poisoned == 0
}

/// Whether nobody but the function has a handle, guard or export on the buffer.
fn is_unheld(locked: &Locked, claim: &'static Claim) -> bool {
    let state = locked.state(locked.ledger_of(claim));
    let body = locked.get(claim);
    let (counted, is_value) = (u32::from(body.counted), u32::from(body.is_of_variable()));
    // The claim of an argument or a value that is lent to a body rests.
    let is_only_claim = state.claims == counted && !state.is_lent() && state.managed == is_value;
    is_only_claim && state.readers + state.writers + state.exports() == 0
}

/// Makes the claim of a buffer that nobody else has count again. False: somebody has it.
fn make_reusable(claim: &'static Claim) -> bool {
    let mut locked = claim.lock_moving();
    let reusable = is_reusable(&locked, claim);
    if reusable {
        if !locked.get(claim).counted {
            locked.resume_spare(claim);
        }
        locked.end_weak_handles(claim);
    }
    reusable
}

fn is_like(claim: &'static Claim, layout: &Layout) -> bool {
    let locked = claim.lock_moving();
    let other = &locked.get(claim).layout;
    other.dtype() == layout.dtype() && other.has_shape_of(layout) && other.strides() == layout.strides()
}

/// Ends the claim of the function on a buffer. Other holders keep the buffer.
pub fn end(claim: &'static Claim) {
    let mut locked = claim.lock_moving();
    if !locked.get(claim).counted {
        locked.resume_spare(claim);
    }
    locked.release(claim);
}
