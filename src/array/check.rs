//! The checks of an array handle that come before what a call does: its state, its process, its device.
//!
//! Each check runs under the lock of the array's ledger and returns a [`Refusal`], which the caller turns into a status
//! after unlocking.

use super::refusal::{Checked, ExportEnd, Holder, Quoted, Refusal};
use crate::cuda_driver::driver;
use crate::device;
use crate::device_copy::registered;
use crate::error::{Result, fail};
use crate::gpu::{self, managed};
use crate::ledger::{self, Claim, GuardedSlot, LedgerState, Locked, Origin};
use crate::names::DeviceName;
use crate::slots::Id;
use crate::thread;
use crate::types::*;

/// TN_ERR_DESTRUCTED if the array was taken from this handle.
#[inline]
pub fn check_not_destructed(locked: &Locked, claim: &'static Claim) -> Checked<()> {
    if ledger::is_spent(claim) {
        return Err(destructed(locked, claim));
    }
    Ok(())
}

/// TN_ERR_DESTRUCTED or TN_ERR_GIVEN, unless the handle is live; then [`check_process`].
#[inline]
pub fn check_live(locked: &Locked, claim: &'static Claim) -> Checked<()> {
    check_not_destructed(locked, claim)?;
    if locked.get(claim).given > 0 {
        return Err(given(locked, claim));
    }
    check_process(locked, claim)
}

/// TN_ERR_BORROWED or TN_ERR_BORROWED_WRITE if the handle has open guards, which prevent giving it.
pub fn check_guards(locked: &Locked, claim: &'static Claim) -> Checked<()> {
    let body = locked.get(claim);
    let (status, count) = match (body.writers + u32::from(body.moving), body.readers) {
        (0, 0) => return Ok(()),
        (0, readers) => (TN_ERR_BORROWED, readers),
        (writers, _) => (TN_ERR_BORROWED_WRITE, writers),
    };
    let mut origin = body.origin;
    locked.each_guard(locked.ledger_of(claim), |guard| {
        if core::ptr::eq(locked.get(guard).owner(), claim) && !locked.get(guard).class.is_export() {
            origin = locked.get(guard).origin;
        }
    });
    Err(Refusal::By(Holder { origin, count, ..Holder::of(status, body.name) }))
}

/// TN_ERR_DEVICE if this process was forked, and the bytes are on a device of its parent, or were page-locked there by
/// the driver (ST-15). The driver does not document what such an address is in the child. Memory that the program
/// itself allocated and registered stays usable.
#[inline]
pub fn check_process<S: GuardedSlot>(locked: &Locked, slot: &'static S) -> Checked<()> {
    if thread::are_devices_in_doubt() { check_origin(locked.state(locked.ledger_of(slot))) } else { Ok(()) }
}

/// As above, and TN_ERR_DRIVER if the bytes went with a context that was reset, or with the process that exported them.
#[cold]
fn check_origin(state: &LedgerState) -> Checked<()> {
    if state.device.r#type != TN_CPU && state.bytes > 0 {
        device::refuse_dead(state.start as usize)?;
    }
    let ours = match state.device.r#type {
        TN_CPU => true,
        TN_CUDA_HOST => registered::flags((state.start, state.start + state.bytes.max(1))).is_some(),
        _ => false,
    };
    if !ours {
        // The driver was loaded before the fork, so this makes no driver call.
        driver()?;
    }
    Ok(())
}

/// TN_ERR_DRIVER if the bytes are on a lost device; the message names the cause (DV-8).
#[cold]
pub fn check_alive(device: tn_device) -> Checked<()> {
    match device.r#type {
        TN_CUDA => gpu::gpu(device.id)?.alive().map(drop)?,
        TN_CUDA_MANAGED => gpu::gpu(managed::gpu_of(device))?.alive().map(drop)?,
        _ => {}
    }
    Ok(())
}

/// TN_ERR_DEVICE if the host cannot access the bytes.
pub fn check_reach(locked: &Locked, claim: &'static Claim) -> Checked<()> {
    let device = locked.state(locked.ledger_of(claim)).device;
    if ledger::is_reachable(device) {
        return Ok(());
    }
    let name = locked.get(claim).name;
    Err(fail(
        TN_ERR_DEVICE,
        format_args!(
            "{} is on device {}, which the host cannot reach; copy it with tn_array_to_device first",
            Quoted(&name),
            DeviceName(device)
        ),
    )
    .into())
}

#[cold]
fn destructed(locked: &Locked, claim: &'static Claim) -> Refusal {
    let body = locked.get(claim);
    Refusal::Taken { subject: body.name, origin: body.origin, taken_by: body.taken_by }
}

#[cold]
fn given(locked: &Locked, claim: &'static Claim) -> Refusal {
    let mut origin = Origin::default();
    locked.each_promise(claim, |promise| origin = locked.get(promise).origin);
    let body = locked.get(claim);
    Refusal::By(Holder { origin, count: body.given, ..Holder::of(TN_ERR_GIVEN, body.name) })
}

/// Runs `body` on the locked claim of a handle, and turns a refusal into a status after unlocking.
#[inline]
pub fn with<T>(id: Id, body: impl FnOnce(&mut Locked, &'static Claim) -> Checked<T>) -> Result<T> {
    let (mut locked, claim) = ledger::lock::<Claim>(id)?;
    let outcome = body(&mut locked, claim);
    drop(locked);
    outcome.map_err(Refusal::into_status)
}

/// Strict mode: the release of a handle that is given, or that has open guards or exports, is refused.
#[cold]
pub fn check_unused(locked: &Locked, claim: &'static Claim) -> Checked<()> {
    if ledger::is_spent(claim) {
        return Ok(());
    }
    let body = locked.get(claim);
    if body.given > 0 {
        return Err(given(locked, claim));
    }
    let (status, count) = match (body.writers, body.readers, body.exports) {
        (0, 0, 0) => return Ok(()),
        (0, 0, exports) => (TN_ERR_EXPORTED, exports),
        (0, readers, _) => (TN_ERR_BORROWED, readers),
        (writers, _, _) => (TN_ERR_BORROWED_WRITE, writers),
    };
    let mut holder = Holder { count, ..Holder::of(status, body.name) };
    locked.each_guard(locked.ledger_of(claim), |guard| {
        if core::ptr::eq(locked.get(guard).owner(), claim) {
            (holder.origin, holder.export_end) = (locked.get(guard).origin, ExportEnd::of(locked, guard));
        }
    });
    Err(Refusal::By(holder))
}
