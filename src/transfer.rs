//! Movement: copies with checks and guards.
//!
//! Contract: copies move bits, of one element type and one shape, between any two layouts; bytes that belong to no element stay as
//! they are. The source is read under a guard and the destination written under one, so a call behaves like borrow, work and end in one
//! step. Every element of a destination is overwritten: DISCARD is implied, and poison heals. On the host everything is done on return.
//! Any thread.
#![forbid(unsafe_code)]

use crate::array::{Checked, HOST, Refusal};
use crate::blit::{self, Place};
use crate::borrow::{self, Call, Entry, Mode, Use};
use crate::error::{Result, about, fail};
use crate::layout::{Layout, Order, Tuple};
use crate::ledger::{self, Claim, Fresh, Hold, Locked, Order as When};
use crate::names::Name;
use crate::pool::{self, Pool};
use crate::region;
use crate::slots::Id;
use crate::stream::Stream;
use crate::thread;
use crate::types::*;
use core::ffi::CStr;

/// What copies nothing at a border and so never stands in the copy book.
fn call(function: &'static CStr) -> Call<'static> {
    Call::by_host(function)
}

/// The pool of a new array of a device: the given one, which must be of that device, or the thread's current one.
fn pool_for(device: tn_device, pool: Option<&'static Pool>) -> Result<&'static Pool> {
    match pool {
        None => pool::current(device),
        Some(pool) if pool.device() == device => Ok(pool),
        Some(pool) => {
            let (name, at) = (pool.name(), pool.device());
            Err(fail(
                TN_ERR_DEVICE,
                format_args!(
                    "pool \"{}\" is of device ({}, {}), and the array of ({}, {})",
                    name.as_str(),
                    at.r#type,
                    at.id,
                    device.r#type,
                    device.id
                ),
            ))
        }
    }
}

/// A new array with the same elements, dense: F if the source is F- and not C-contiguous, else C.
pub fn copy(function: &'static CStr, id: Id, pool: Option<&'static Pool>, stream: Result<Stream>) -> Result<Id> {
    let fits = |_: &Locked, _: &[&'static Claim]| -> Checked<()> { Ok(pool_for(HOST, pool).map(drop)?) };
    crate::ledger::find::<Claim>(id)?;
    stream?;
    let source = one(Call { fits: Some(&fits), ..call(function) }, id, Use::Read { frozen: false }, When::HOST)?;
    let copied = duplicate(&source, pool_for(HOST, pool)?, Order::A, Name::NONE);
    source.end(false);
    copied
}

/// The elements of an open guard as a new array.
pub fn duplicate(source: &Hold, pool: &'static Pool, order: Order, name: Name) -> Result<Id> {
    let mut fresh = Fresh::allocate(thread::current(), pool, &mut source.layout().like(order)?, false)?;
    blit::copy(&fresh.place()?, &source.place()?)?;
    fresh.claim().set_name(name);
    Ok(fresh.finish())
}

/// A new array with the elements of raw memory.
pub fn duplicate_raw(source: &Place<'_>, pool: &'static Pool, readonly: bool) -> Result<Id> {
    let mut fresh = Fresh::allocate(thread::current(), pool, &mut source.layout().like(Order::A)?, false)?;
    blit::copy(&fresh.place()?, source)?;
    fresh.claim().set_readonly(readonly);
    Ok(fresh.finish())
}

/// One guard for the library's own use.
pub fn one(call: Call<'_>, id: Id, wanted: Use, when: When) -> Result<Hold> {
    Ok(borrow::acquire(call, &[Entry { id, wanted, when }])?.pop().expect("one entry, one guard"))
}

/// A new array on a device, also if the array is there already.
pub fn to_device(
    function: &'static CStr,
    id: Id,
    device: tn_device,
    pool: Option<&'static Pool>,
    stream: Result<Stream>,
) -> Result<Id> {
    let fits = |_: &Locked, _: &[&'static Claim]| -> Checked<()> { Ok(pool_for(device, pool).map(drop)?) };
    crate::ledger::find::<Claim>(id)?;
    stream?;
    let source = one(Call { fits: Some(&fits), ..call(function) }, id, Use::Read { frozen: false }, When::HOST)?;
    let copied = pool_for(device, pool).and_then(|pool| duplicate(&source, pool, Order::A, Name::NONE));
    source.end(false);
    copied
}

/// Write modes of movement: every element is overwritten.
fn writing(mode: u32) -> Result<Use> {
    match borrow::mode(mode, TN_REQUIRE_ASYNC)? {
        Use::Write { mode, .. } => Ok(Use::Write { mode, discard: true }),
        _ => unreachable!("modes are of writers"),
    }
}

/// Ends a write guard after the work: if that failed, it had not written anything yet.
fn done(hold: Hold, outcome: Result<()>) -> Result<()> {
    match outcome {
        Ok(()) => hold.end(false),
        Err(_) => borrow::abandon(hold),
    }
    outcome
}

fn copy_held(to: &Hold, from: &Hold) -> Result<()> {
    blit::copy(&to.place()?, &from.place()?)
}

/// Same element type and same shape, or DTYPE, SHAPE.
fn check_match(from: &Layout, to: &Layout) -> Result<()> {
    if from.dtype() != to.dtype() {
        return Err(fail(
            TN_ERR_DTYPE,
            format_args!(
                "{} elements do not go into an array of {}; copies do not convert",
                from.dtype().name(),
                to.dtype().name()
            ),
        ));
    }
    if from.shape() != to.shape() {
        return Err(fail(
            TN_ERR_SHAPE,
            format_args!(
                "shape {} does not go into shape {}; broadcast or reshape first",
                Tuple(from.shape()),
                Tuple(to.shape())
            ),
        ));
    }
    Ok(())
}

/// Copies the elements of one array into another one.
pub fn copy_into(function: &'static CStr, source: Id, target: Id, mode: u32, stream: Result<Stream>) -> Result<()> {
    if stream.is_ok()
        && let Some(outcome) = copy_free(source, target, mode)
    {
        return outcome;
    }
    let ids = [source, target];
    drop(crate::ledger::lock_all(2, &|i| {
        crate::ledger::ledger_of::<Claim>(ids[i]).map_err(|status| about(status, ["source", "destination"][i]))
    })?);
    stream?;
    let wanted = writing(mode)?;
    let same = core::cell::Cell::new(false);
    let fits = |locked: &Locked, claims: &[&'static Claim]| -> Checked<()> {
        let (from, to) = (claims[0], claims[1]);
        check_match(&locked.get(from).layout, &locked.get(to).layout)?;
        let exact = || region::overlap(locked.region(from), locked.region(to)) == region::Overlap::Exact;
        if core::ptr::eq(from, to) || (core::ptr::eq(locked.ledger_of(from), locked.ledger_of(to)) && exact()) {
            same.set(true);
            return Err(Refusal::Nothing);
        }
        Ok(())
    };
    let when = When::HOST.waiting(mode & TN_WAIT != 0);
    let entries = [Entry { id: source, wanted: Use::Read { frozen: false }, when }, Entry { id: target, wanted, when }];
    let opened = borrow::acquire(Call { may_overlap: true, fits: Some(&fits), ..call(function) }, &entries);
    if same.get() {
        return Ok(());
    }
    let mut holds = opened?.into_iter();
    let (from, to) = (holds.next().expect("two entries"), holds.next().expect("two entries"));
    let outcome = copy_held(&to, &from);
    from.end(false);
    done(to, outcome)
}

/// The same between two live arrays that fit and that nothing is in the way of: the short way, which nearly every copy goes. Two arrays
/// of one store may be in each other's way, and go the long one.
fn copy_free(source: Id, target: Id, mode: u32) -> Option<Result<()>> {
    let wanted = writing_free(mode)?;
    let from = borrow::hold_free(source, Use::Read { frozen: false })?;
    let Some(to) = borrow::hold_free(target, wanted) else {
        from.end(false);
        return None;
    };
    let reached = ledger::is_reachable(from.device()) && ledger::is_reachable(to.device());
    if !reached || from.layout().dtype() != to.layout().dtype() || from.layout().shape() != to.layout().shape() {
        borrow::abandon(to);
        from.end(false);
        return None;
    }
    let outcome = copy_held(&to, &from);
    from.end(false);
    Some(done(to, outcome))
}

/// A mode that needs no look at others; a wrong one is said by the long way.
fn writing_free(mode: u32) -> Option<Use> {
    (mode & !TN_WAIT == 0).then_some(Use::Write { mode: Mode::Aliased, discard: true })
}

/// Copies the elements into raw host memory.
pub fn copy_to_host(
    function: &'static CStr,
    id: Id,
    stream: Result<Stream>,
    target: &dyn Fn(&Layout) -> Result<Layout>,
    write: &dyn Fn(&Layout, &Place<'_>) -> Result<()>,
) -> Result<()> {
    crate::ledger::find::<Claim>(id)?;
    stream?;
    let fits = |locked: &Locked, claims: &[&'static Claim]| -> Checked<()> {
        let layout = &locked.get(claims[0]).layout;
        let target = target(layout)?;
        check_match(layout, &target)?;
        if target.self_overlaps() {
            return Err(fail(
                TN_ERR_LAYOUT,
                format_args!("elements of the target share bytes (strides {})", Tuple(target.strides())),
            )
            .into());
        }
        Ok(())
    };
    let source = one(Call { fits: Some(&fits), ..call(function) }, id, Use::Read { frozen: false }, When::HOST)?;
    let outcome = target(source.layout()).and_then(|layout| write(&layout, &source.place()?));
    source.end(false);
    outcome
}

/// Copies elements from raw host memory.
pub fn copy_from_host(
    function: &'static CStr,
    id: Id,
    mode: u32,
    stream: Result<Stream>,
    source: &dyn Fn(&Layout) -> Result<Layout>,
    read: &dyn Fn(&Place<'_>, &Layout) -> Result<()>,
) -> Result<()> {
    crate::ledger::find::<Claim>(id)?;
    stream?;
    let wanted = writing(mode)?;
    let fits = |locked: &Locked, claims: &[&'static Claim]| -> Checked<()> {
        let layout = &locked.get(claims[0]).layout;
        Ok(check_match(&source(layout)?, layout)?)
    };
    let when = When::HOST.waiting(mode & TN_WAIT != 0);
    let target = one(Call { fits: Some(&fits), ..call(function) }, id, wanted, when)?;
    let outcome = source(target.layout()).and_then(|layout| read(&target.place()?, &layout));
    done(target, outcome)
}

/// Overwrites every element with one value, or with zeros.
pub fn fill(
    function: &'static CStr,
    id: Id,
    value: Option<&dyn Fn(usize) -> [u8; 16]>,
    mode: u32,
    stream: Result<Stream>,
) -> Result<()> {
    let free = writing_free(mode).filter(|_| stream.is_ok()).and_then(|wanted| borrow::hold_free(id, wanted));
    let target = match free {
        Some(target) => target,
        None => {
            crate::ledger::find::<Claim>(id)?;
            stream?;
            one(call(function), id, writing(mode)?, When::HOST.waiting(mode & TN_WAIT != 0))?
        }
    };
    let item = target.layout().item() as usize;
    let outcome = target.place().map(|place| match value {
        Some(value) => blit::fill(&place, &value(item)[..item]),
        None => blit::zero(&place),
    });
    done(target, outcome)
}
