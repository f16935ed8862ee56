//! The life of array handles: layouts copied from them, clones, releases.
//!
//! Each function tries the fast path for one handle first. The slow path knows every case and every status.

use super::check::{check_live, check_unused, with};
use super::refusal::Refusal;
use crate::error::{Result, quietly};
use crate::layout::Layout;
use crate::ledger::{self, Claim, Locked, LockedSlot, SpareClaim};
use crate::options;
use crate::slots::Id;
use crate::thread::{self, Thread};
use crate::types::tn_device;

/// Copies the layout of a live handle.
pub fn snapshot(id: Id) -> Result<Layout> {
    let mut layout = Layout::EMPTY;
    lock_with_layout(id, &mut layout)?;
    Ok(layout)
}

/// Locks the store of a live handle, and copies its layout. Memory for the copy is allocated under no lock.
pub fn lock_with_layout(id: Id, copy: &mut Layout) -> Result<(Locked, &'static Claim)> {
    loop {
        let (locked, claim) = ledger::lock::<Claim>(id)?;
        let state = check_live(&locked, claim);
        let layout = &locked.get(claim).layout;
        let ndim = layout.ndim();
        if state.is_ok() && copy.set(layout) {
            return Ok((locked, claim));
        }
        drop(locked);
        state.map_err(Refusal::into_status)?;
        *copy = Layout::room(ndim)?;
    }
}

/// Releases a handle that the library itself owns; strict mode does not apply.
pub fn release_now(id: Id) -> Result<()> {
    if let Some(one) = LockedSlot::<Claim>::of(thread::current(), id)
        && one.release()
    {
        return Ok(());
    }
    let (mut locked, claim) = ledger::lock::<Claim>(id)?;
    locked.release(claim);
    Ok(())
}

/// As [`release_now`], for a handle that may be released already. It keeps the draft of the message.
pub fn release_if_open(id: Id) {
    release_if_open_as(thread::current(), id);
}

/// [`release_if_open`]; `thread` is the calling thread.
pub fn release_if_open_as(thread: &'static Thread, id: Id) {
    if let Some(one) = LockedSlot::<Claim>::of(thread, id)
        && one.release()
    {
        return;
    }
    let _ = quietly(|| release_now(id));
}

/// A handle that only the library knows. Its drop releases it.
pub struct Owned(Id);

impl Owned {
    /// Takes over a handle, or none.
    pub fn new(id: Id) -> Owned {
        Owned(id)
    }

    /// The handle.
    pub fn id(&self) -> Id {
        self.0
    }

    /// The handle, which the caller owns.
    pub fn into_id(mut self) -> Id {
        core::mem::replace(&mut self.0, Id::NONE)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if self.0 != Id::NONE {
            release_if_open(self.0);
        }
    }
}

/// The device of a live array's bytes.
pub fn device(id: Id) -> Result<tn_device> {
    with(id, |locked, claim| {
        check_live(locked, claim)?;
        Ok(locked.state(locked.ledger_of(claim)).device)
    })
}

/// Makes another claim with the layout and name of this one.
#[inline(always)]
pub fn clone(id: Id) -> Result<Id> {
    if let Some(mut one) = LockedSlot::<Claim>::live(thread::current(), id)
        && one.body().given == 0
        && let Some(clone) = one.add_claim(|from, to| to.copy_layout_and_name_from(from).then_some(true))
    {
        return Ok(clone);
    }
    clone_slow(id)
}

/// The slow path of [`clone`]: a check fails, or the layout needs memory outside of the slot.
#[cold]
#[inline(never)]
fn clone_slow(id: Id) -> Result<Id> {
    let mut spare = SpareClaim::take(thread::current())?;
    let (mut locked, claim) = lock_with_layout(id, spare.layout())?;
    Ok(locked.copy_claim(claim, spare))
}

/// Releases a handle and ends its claim. Open guards, exports and promises keep the bytes; in strict mode they refuse
/// the release.
#[inline(always)]
pub fn release(id: Id) -> Result<()> {
    if !options::strict()
        && let Some(one) = LockedSlot::<Claim>::of(thread::current(), id)
        && one.release()
    {
        return Ok(());
    }
    release_slow(id)
}

/// The slow path of [`release`]: a check fails, or more ends than the handle.
#[cold]
#[inline(never)]
fn release_slow(id: Id) -> Result<()> {
    with(id, |locked, claim| {
        if options::strict() {
            check_unused(locked, claim)?;
        }
        locked.release(claim);
        Ok(())
    })
}

/// Whether the array exists and has no elements, in whatever state it is.
pub fn is_empty(id: Id) -> bool {
    ledger::lock::<Claim>(id).is_ok_and(|(locked, claim)| locked.get(claim).layout.is_empty())
}
