//! Movement: copies with checks and guards.
//!
//! Contract: copies move bits, of one element type and one shape, between any two layouts in any memory; bytes that belong to no element
//! stay as they are. The source is read under a guard and the destination written under one, so a call behaves like borrow, work and end
//! in one step. Every element of a destination is overwritten: DISCARD is implied, and poison heals. What is done on return says `route`;
//! the rest is recorded on the stores as work of the stream. Any thread.
//!
//! | file | what |
//! |---|---|
//! | `mod` | copies between arrays |
//! | `operand` | the arrays of a copy or a fill, and their guards |
//! | `raw` | copies from and to raw host memory |
//! | `fill` | fills, and new arrays of device memory |
//! | `register` | page-locking of the caller's memory; advice for managed memory |
//! | `route` | who moves the bytes, and what is left on return |
#![forbid(unsafe_code)]

mod fill;

mod operand;

mod raw;

mod register;

mod route;

pub use fill::{create, fill};
pub use operand::one;
pub use raw::{Side, copy_from_host, copy_to_host};
pub use register::{advise, prefetch, register};

use crate::array::{Checked, HOST, Refusal};
use crate::blit::{self, HostView};
use crate::borrow::{self, BorrowContext, Entry, Use};
use crate::device_copy;
use crate::error::{Result, about, fail};
use crate::layout::Order;
use crate::ledger::{self, Claim, InternalGuard, Locked, NewStore, UseTime};
use crate::names::DeviceName;
use crate::names::Name;
use crate::pool::{self, Pool};
use crate::region;
use crate::slots::Id;
use crate::stream::Stream;
use crate::thread;
use crate::types::*;
use core::cell::Cell;
use core::ffi::CStr;
use operand::{WHOLE, check_match, is_free_mode, lies, writing};
use route::Route;

/// The pool of a new array of a device: the given one, which must be of that device, or the thread's current one. Page-locked memory serves
/// the host too.
fn pool_for(device: tn_device, pool: Option<&'static Pool>) -> Result<&'static Pool> {
    let Some(pool) = pool else { return pool::current(device) };
    let at = pool.device();
    if at == device || device == HOST && at.r#type == TN_CUDA_HOST {
        return Ok(pool);
    }
    let name = pool.name();
    Err(fail(
        TN_ERR_DEVICE,
        format_args!(
            "pool \"{}\" is of device {}, and the array is to be on {}; pass a pool of that device, or NULL",
            name.as_str(),
            DeviceName(at),
            DeviceName(device)
        ),
    ))
}

/// Gives what a pool has cached back to its device, and what copies to and from that device keep. Returns the bytes of the former.
pub fn trim(pool: &'static Pool, keep_bytes: usize) -> Result<usize> {
    pool.check_process()?;
    let released = pool.trim(keep_bytes);
    device_copy::trim(pool.device());
    Ok(released)
}

/// A new array with the same elements on the same device, dense: F if the source is F- and not C-contiguous, else C.
pub fn copy(function: &'static CStr, id: Id, pool: Option<&'static Pool>, stream: Result<Stream>) -> Result<Id> {
    ledger::find::<Claim>(id)?;
    let stream = stream?;
    let at = lies(id)?;
    new(function, id, at, at.0, pool, &stream)
}

/// A new array on a device, also if the array is there already.
pub fn to_device(
    function: &'static CStr,
    id: Id,
    device: tn_device,
    pool: Option<&'static Pool>,
    stream: Result<Stream>,
) -> Result<Id> {
    ledger::find::<Claim>(id)?;
    let stream = stream?;
    let at = lies(id)?;
    // So that the copy can be asynchronous.
    let locked = pool.is_none() && device == HOST && at.0.r#type == TN_CUDA && !matches!(stream, Stream::Now);
    let device = if locked { tn_device { r#type: TN_CUDA_HOST, id: 0 } } else { device };
    new(function, id, at, device, pool, &stream)
}

fn new(
    function: &'static CStr,
    id: Id,
    (from, is_empty): (tn_device, bool),
    device: tn_device,
    pool: Option<&'static Pool>,
    stream: &Stream,
) -> Result<Id> {
    let pool = pool_for(device, pool)?;
    let route = if is_empty { Route::HOST } else { Route::of(stream, &[pool.device(), from], false)? };
    let source = one(BorrowContext::new(function), id, Use::Read { frozen: false }, route.when(false))?;
    if route.is_host() {
        let copied = duplicate(&source, pool, Order::A, Name::NONE);
        source.end(false);
        return copied;
    }
    let made = fill::open(pool, &mut source.layout().like(Order::A)?, &Name::NONE, &route);
    let (id, target) = match made {
        Ok(made) => made,
        Err(status) => {
            borrow::abandon(source);
            return Err(status);
        }
    };
    let outcome = route.copy(target.memory_view(), source.memory_view());
    let ended = route.end(Some(target), Some(source), outcome);
    fill::keep(id, ended)
}

/// The elements of an open guard as a new array of memory that the host reaches.
pub fn duplicate(source: &InternalGuard, pool: &'static Pool, order: Order, name: Name) -> Result<Id> {
    let mut fresh = NewStore::allocate(thread::current(), pool, &mut source.layout().like(order)?, false)?;
    if !source.layout().is_empty() {
        blit::copy(&fresh.host_view()?, &source.host_view()?)?;
    }
    fresh.claim().set_name(name);
    Ok(fresh.finish())
}

/// A new array with the elements of raw memory.
pub fn duplicate_raw(source: &HostView<'_>, pool: &'static Pool, readonly: bool) -> Result<Id> {
    let mut fresh = NewStore::allocate(thread::current(), pool, &mut source.layout().like(Order::A)?, false)?;
    blit::copy(&fresh.host_view()?, source)?;
    fresh.claim().set_readonly(readonly);
    Ok(fresh.finish())
}

/// Copies the elements of one array into another one: the long way, where [`copy_free`] does not.
pub fn copy_into(function: &'static CStr, source: Id, target: Id, mode: u32, stream: Result<Stream>) -> Result<()> {
    let ids = [source, target];
    drop(ledger::lock_all(2, &|i| {
        ledger::ledger_of::<Claim>(ids[i]).map_err(|status| about(status, ["source", "destination"][i]))
    })?);
    let stream = stream?;
    let wanted = writing(mode)?;
    let ((from, is_empty), (to, _)) = (lies(source)?, lies(target)?);
    let strict = mode & TN_REQUIRE_ASYNC != 0;
    let route = Route::find(&stream, &[to, from], strict, is_empty);
    let same = Cell::new(false);
    let fits = |locked: &Locked, claims: &[&'static Claim]| -> Checked<()> {
        let (from, to) = (claims[0], claims[1]);
        check_match(&locked.get(from).layout, &locked.get(to).layout)?;
        if let Err(none) = &route {
            return Err(none.say().into());
        }
        let exact = || region::overlap(locked.region(from), locked.region(to)) == region::Overlap::Exact;
        same.set(core::ptr::eq(from, to) || (core::ptr::eq(locked.ledger_of(from), locked.ledger_of(to)) && exact()));
        if same.get() { Err(Refusal::Nothing) } else { Ok(()) }
    };
    let when = route.as_ref().map_or(UseTime::HOST, |route| route.when(mode & TN_WAIT != 0));
    let entries = [Entry { id: source, wanted: Use::Read { frozen: false }, when }, Entry { id: target, wanted, when }];
    let opened = borrow::acquire(
        BorrowContext { may_overlap: true, fits: Some(&fits), ..BorrowContext::new(function) },
        &entries,
    );
    if same.get() {
        return Ok(());
    }
    let (mut holds, route) = (opened?.into_iter(), route.map_err(|none| none.say())?);
    let (from, to) = (holds.next().expect("two entries"), holds.next().expect("two entries"));
    let outcome = route.copy(to.memory_view(), from.memory_view());
    route.end(Some(to), Some(from), outcome)
}

/// The same between two live arrays that fit and that nothing is in the way of: the short way, which nearly every copy goes. Two arrays
/// of one store may be in each other's way, and go the long one.
///
/// Of its time four exchanges are half: two ledgers, each locked when its guard opens and when it ends. After a copy that went through the
/// first cache, what the ends look at is not there any more, and is asked for at once.
#[inline(always)]
pub fn copy_free(source: Id, target: Id, mode: u32) -> Option<Result<()>> {
    if !is_free_mode(mode) {
        return None;
    }
    let thread = thread::current();
    let from = borrow::hold_free(thread, source, Use::Read { frozen: false })?;
    let Some(to) = borrow::hold_free(thread, target, WHOLE) else {
        from.end_by(thread, false);
        return None;
    };
    let outcome = match (to.host_view_if_reachable(), from.host_view_if_reachable()) {
        (Some(dst), Some(src)) if dst.layout().dtype() == src.layout().dtype() => blit::copy_alike(&dst, &src),
        _ => None,
    };
    from.fetch();
    to.fetch();
    from.end_by(thread, false);
    match outcome {
        Some(Ok(())) => to.end_by(thread, false),
        _ => borrow::abandon(to),
    }
    outcome
}
