//! Promises: a giver turns a handle into a promise, passes the promise on, and the taker gets the claim.
//!
//! Contract: `give` touches no byte and checks only the handle and its own guards. `take` takes all promises of a call
//! or none. If a call takes as many promises of a handle as the giver required, the handle is destructed (Case I). If
//! it takes fewer, the takers get clones (Case II). Whether bytes may be overwritten is decided when they are used, not
//! here. `enter` and `leave` serve a callee that accepts both arrays and promises. Any thread may call.
//!
//! | file | contents |
//! |---|---|
//! | `mod` | give, cancel, release; a claim beside an outstanding promise |
//! | `take` | what `take` and `enter` share: Case I and Case II, all or none |
//! | `scope` | `enter` and `leave` |
#![forbid(unsafe_code)]

mod scope;

mod take;

pub use scope::{enter, leave};

use self::take::{By, used_up};
use crate::array::{self, Refusal};
use crate::error::{Result, fail};
use crate::layout::Layout;
use crate::ledger::{self, Claim, Locked, LockedSlot, Promise, SpareClaim, SparePromise};
use crate::probes;
use crate::slots::Id;
use crate::thread;
use crate::types::*;

/// Makes a promise of a handle, which its giver may not use any more. `required`: number of the giver's variables that
/// refer to it.
#[inline(always)]
pub fn give(id: Id, required: u32) -> Result<Id> {
    if required > 0
        && let Some(one) = LockedSlot::<Claim>::live(thread::current(), id)
        && one.body().given == 0
        && let Some(promise) = one.give(required)
    {
        probes::give(id.bits(), promise.bits());
        return Ok(promise);
    }
    give_slow(id, required).inspect(|promise| probes::give(id.bits(), promise.bits()))
}

/// The slow path of [`give`]: a check fails, something conflicts, or the handle was given before.
#[cold]
#[inline(never)]
fn give_slow(id: Id, required: u32) -> Result<Id> {
    let spare = SparePromise::take(thread::current())?;
    array::with(id, |locked, claim| {
        if required == 0 {
            return Err(fail(
                TN_ERR_INVALID,
                format_args!("required is 0; one variable at least refers to the handle"),
            )
            .into());
        }
        array::check_not_destructed(locked, claim)?;
        array::check_process(locked, claim)?;
        let body = locked.get(claim);
        let needed = body.required.max(required);
        if body.given > 0 && body.moving {
            // The claim rests: a call has the array.
            return Err(given_already(locked, claim, 1));
        }
        if body.given + 1 > needed {
            return Err(given_already(locked, claim, needed));
        }
        if body.given == 0 {
            array::check_guards(locked, claim)?;
        }
        Ok(locked.add_promise(claim, required, spare))
    })
}

#[cold]
fn given_already(locked: &Locked, claim: &'static Claim, needed: u32) -> Refusal {
    if needed == 1 {
        return match array::check_live(locked, claim) {
            Err(refusal) => refusal,
            Ok(()) => unreachable!("a promise is outstanding"),
        };
    }
    let name = locked.get(claim).name;
    fail(TN_ERR_COUNT, format_args!("{} was given {needed} times already, as often as required", array::Quoted(&name)))
        .into()
}

/// Cancels a promise: the giver has its share of the array back. The promise still has to be released.
pub fn cancel(id: Id) -> Result<()> {
    let (mut locked, promise) = ledger::lock::<Promise>(id)?;
    if ledger::is_spent(promise) {
        drop(locked);
        return Err(used_up(id));
    }
    if let Err(refusal) = array::check_process(&locked, promise) {
        drop(locked);
        return Err(refusal.into_status());
    }
    withdraw(&mut locked, promise);
    Ok(())
}

fn withdraw(locked: &mut Locked, promise: &'static Promise) {
    let claim = locked.promised(promise);
    locked.spend_promise(promise);
    if locked.get(claim).given == 0 {
        locked.ungive(claim);
    }
}

/// Releases a promise, and cancels it first if it is outstanding.
#[inline(always)]
pub fn release(id: Id) -> Result<()> {
    if let Some(one) = LockedSlot::<Promise>::of(thread::current(), id)
        && one.release()
    {
        return Ok(());
    }
    release_slow(id)
}

/// The slow path of [`release`]: a check fails, or the promise is outstanding.
#[cold]
#[inline(never)]
fn release_slow(id: Id) -> Result<()> {
    let (mut locked, promise) = ledger::lock::<Promise>(id)?;
    if !ledger::is_spent(promise) {
        withdraw(&mut locked, promise);
    }
    promise.free(&locked);
    Ok(())
}

/// Makes a claim on the bytes of an outstanding promise's array, with its layout and name. The promise stays
/// outstanding.
pub fn clone(id: Id) -> Result<Id> {
    let mut spare = SpareClaim::take(thread::current())?;
    loop {
        let (mut locked, promise) = ledger::lock::<Promise>(id)?;
        if ledger::is_spent(promise) {
            drop(locked);
            return Err(used_up(id));
        }
        if let Err(refusal) = array::check_process(&locked, promise) {
            drop(locked);
            return Err(refusal.into_status());
        }
        let claim = locked.promised(promise);
        if spare.layout().set(&locked.get(claim).layout) {
            return Ok(locked.copy_claim(claim, spare));
        }
        let ndim = locked.get(claim).layout.ndim();
        drop(locked);
        *spare.layout() = Layout::room(ndim)?;
    }
}

/// Takes one promise.
pub fn take_one(id: Id) -> Result<Id> {
    let mut taken = None;
    take(&[id], |_, id| taken = Some(id))?;
    Ok(taken.expect("one promise, one array"))
}

/// Takes promises, all or none: `out(i, id)` receives the new handle for the i-th.
#[inline(always)]
pub fn take(promises: &[Id], mut out: impl FnMut(usize, Id)) -> Result<()> {
    if let [id] = promises
        && let Some(one) = LockedSlot::<Promise>::live(thread::current(), *id)
        && let Some(taken) = one.take()
    {
        probes::take(id.bits(), taken.bits());
        out(0, taken);
        return Ok(());
    }
    take_all(promises, &mut out)
}

/// The slow path of [`take`], which knows every case.
#[cold]
#[inline(never)]
fn take_all(promises: &[Id], out: &mut dyn FnMut(usize, Id)) -> Result<()> {
    take::open(thread::current(), promises, By::Take, out)
}
