//! Promises: a handle is given away, the promise travels, and who takes it gets the claim.
//!
//! Contract: `give` never touches bytes and looks at nothing but the handle and its own guards; `take` is all or nothing. A handle
//! from which as many promises were taken in one call as the giver required (Case I) is destructed; with fewer (Case II) the takers get
//! clones. Whether bytes may be overwritten is decided when they are used, not here. A callee that does not care which of its
//! parameters were given calls `enter` and `leave`. Any thread.
//!
//! | file | what |
//! |---|---|
//! | `mod` | give, cancel, release |
//! | `take` | what `take` and `enter` share: Case I and Case II, all or none |
//! | `scope` | `enter` and `leave` |
#![forbid(unsafe_code)]

mod scope;

mod take;

pub use scope::{enter, leave};

use self::take::By;
use crate::array::{self, Checked, Holder, Refusal};
use crate::error::{Result, Status, fail};
use crate::ledger::{self, Claim, Locked, One, Promise, SparePromise};
use crate::names::Name;
use crate::slots::Id;
use crate::thread;
use crate::types::*;

/// Wraps the handle in a promise not to use it again; `required`: how many variables of the giver refer to it.
#[inline(always)]
pub fn give(id: Id, required: u32) -> Result<Id> {
    if required > 0
        && let Some(one) = One::<Claim>::live(thread::current(), id)
        && one.body().given == 0
        && let Some(promise) = one.give(required)
    {
        return Ok(promise);
    }
    give_slow(id, required)
}

/// The same where something is wrong or in the way, or the handle was given before.
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
        array::check_there(locked, claim)?;
        array::check_process(locked, claim)?;
        let body = locked.get(claim);
        let needed = body.required.max(required);
        if body.given + 1 > needed {
            return Err(given_already(locked, claim, needed));
        }
        if body.given == 0 {
            check_guards(locked, claim)?;
        }
        locked.get_mut(claim).required = needed;
        Ok(locked.add_promise(claim, spare))
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

/// A handle with guards of its own is not given: whoever uses them has the bytes.
fn check_guards(locked: &Locked, claim: &'static Claim) -> Checked<()> {
    let body = locked.get(claim);
    let (status, count) = match (body.writers + u32::from(body.moving), body.readers) {
        (0, 0) => return Ok(()),
        (0, readers) => (TN_ERR_BORROWED, readers),
        (writers, _) => (TN_ERR_BORROWED_WRITE, writers),
    };
    let mut made = body.made;
    locked.each_guard(locked.ledger_of(claim), |guard| {
        if core::ptr::eq(locked.get(guard).owner(), claim) && !locked.get(guard).class.is_export() {
            made = locked.get(guard).made;
        }
    });
    Err(Refusal::By(Holder { status, subject: body.name, name: Name::NONE, made, count, why: 0, cow: false }))
}

#[cold]
fn used_up(promise: Id) -> Status {
    fail(
        TN_ERR_DESTRUCTED,
        format_args!("the promise {promise} was taken or cancelled already; it can only be released"),
    )
}

/// The giver has its share of the array back; the promise still has to be released.
pub fn cancel(id: Id) -> Result<()> {
    let (mut locked, promise) = ledger::lock::<Promise>(id)?;
    if ledger::is_spent(promise) {
        drop(locked);
        return Err(used_up(id));
    }
    if let Err(refusal) = array::check_process(&locked, promise) {
        drop(locked);
        return Err(refusal.say());
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

/// Gives a promise back, and cancels it first if nobody took it.
#[inline(always)]
pub fn release(id: Id) -> Result<()> {
    if let Some(one) = One::<Promise>::of(thread::current(), id)
        && one.release()
    {
        return Ok(());
    }
    release_slow(id)
}

/// The same where something is wrong, or the promise is still outstanding.
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

/// Takes promises, all or none: `out(i, id)` receives the new handle for the i-th.
#[inline(always)]
pub fn take(promises: &[Id], mut out: impl FnMut(usize, Id)) -> Result<()> {
    if let [id] = promises
        && let Some(one) = One::<Promise>::live(thread::current(), *id)
        && let Some(taken) = one.take()
    {
        out(0, taken);
        return Ok(());
    }
    take_all(promises, &mut out)
}

/// The same for several, or where something is wrong or unusual.
#[cold]
#[inline(never)]
fn take_all(promises: &[Id], out: &mut dyn FnMut(usize, Id)) -> Result<()> {
    take::open(thread::current(), promises, By::Take, out)
}
