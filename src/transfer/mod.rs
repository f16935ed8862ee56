//! Copies and fills of arrays, with checks and guards.
//!
//! Contract: a copy moves the elements between two layouts of equal element type and shape, in any memory. Bytes that
//! belong to no element stay as they are. A guard covers the source while it is read, and another one the destination
//! while it is written. So a call behaves as if it opened a borrow, copied, and ended the borrow in one step. A new
//! array needs no guard: it is written before it has a handle. A copy or fill overwrites every element of its
//! destination: DISCARD is implied, and poison is cleared. `route` says which work is complete on return. The stores
//! record the rest as work of the stream. Any thread may call this module.
//!
//! | file | contents |
//! |---|---|
//! | `mod` | copies between arrays |
//! | `operand` | the arrays of a copy or a fill, and their guards |
//! | `raw` | copies from and to raw host memory |
//! | `fill` | fills, and new arrays of device memory |
//! | `register` | page-locking of the caller's memory; advice for managed memory |
//! | `relocate` | given arrays that move to another device |
//! | `route` | the choice between host and device for a copy or fill, and its end |
#![forbid(unsafe_code)]

mod fill;

mod operand;

mod raw;

mod register;

mod relocate;

mod route;

pub use fill::{create, fill};
pub use operand::acquire_one;
pub use raw::{Side, copy_from_host, copy_to_host};
pub use register::{advise, prefetch, register};
pub use relocate::move_to_device;
pub use route::Route;

use crate::array::{Checked, HOST, Refusal};
use crate::blit::{self, HostView};
use crate::borrow::{self, BorrowContext, Entry, Use};
use crate::device_copy::{self, MemoryView};
use crate::error::{Result, about, fail, quietly};
use crate::layout::{Form, Order};
use crate::ledger::{self, Claim, InternalGuard, Locked, NewStore, UseTime};
use crate::names::DeviceName;
use crate::names::Name;
use crate::pool::{self, Pool};
use crate::region;
use crate::slots::Id;
use crate::stream::{Point, Stream, StreamArg};
use crate::thread;
use crate::types::*;
use core::cell::Cell;
use core::ffi::CStr;
use operand::{OVERWRITE, Source, check_match, is_default_mode, location_of, source_of, write_use};

/// The pool of a new array on a device: the given one, which must be of that device, or the thread's current one. For
/// the host, a pool of page-locked memory is accepted too.
fn pool_for(device: tn_device, pool: Option<&'static Pool>) -> Result<&'static Pool> {
    let Some(pool) = pool else { return pool::current(device) };
    let of = pool.device();
    if of == device || device == HOST && of.r#type == TN_CUDA_HOST {
        return Ok(pool);
    }
    let name = pool.name();
    Err(fail(
        TN_ERR_DEVICE,
        format_args!(
            "pool \"{}\" is of device {}, and the array is to be on {}; pass a pool of that device, or NULL",
            name.as_str(),
            DeviceName(of),
            DeviceName(device)
        ),
    ))
}

/// Frees the memory that a pool has cached, and the staging memory of copies to and from its device. Returns the bytes
/// that the pool freed.
pub fn trim(pool: &'static Pool, keep_bytes: usize) -> Result<usize> {
    pool.check_process()?;
    let released = pool.trim(keep_bytes);
    device_copy::trim(pool.device());
    Ok(released)
}

/// Copies an array to a new, dense one on the same device. The copy is in F order if the source is F- but not
/// C-contiguous, else in C.
pub fn copy(function: &'static CStr, id: Id, pool: Option<&'static Pool>, stream: Result<StreamArg>) -> Result<Id> {
    ledger::find::<Claim>(id)?;
    let stream = stream?;
    let source = source_of(id)?;
    let device = source.device;
    new(function, id, &source, &Destination::new(device, pool, &stream))
}

/// Copies an array to a new, dense one of a pool, in the given order.
pub fn copy_to(function: &'static CStr, id: Id, order: Order, pool: &'static Pool, stream: &StreamArg) -> Result<Id> {
    ledger::find::<Claim>(id)?;
    let to = Destination { order, ..Destination::new(pool.device(), Some(pool), stream) };
    new(function, id, &source_of(id)?, &to)
}

/// Copies an array to a new one on a device, even if the array is on that device already.
pub fn to_device(
    function: &'static CStr,
    id: Id,
    device: tn_device,
    pool: Option<&'static Pool>,
    stream: Result<StreamArg>,
) -> Result<Id> {
    ledger::find::<Claim>(id)?;
    let stream = stream?;
    let source = source_of(id)?;
    new(function, id, &source, &Destination::new(device, pool, &stream).page_locked(source.device))
}

/// Where a new array goes.
struct Destination<'a> {
    device: tn_device,
    pool: Option<&'static Pool>,
    stream: &'a StreamArg,
    name: Name,
    /// Where the host copies, it first waits for unfinished device work.
    waits: bool,
    order: Order,
}

impl<'a> Destination<'a> {
    fn new(device: tn_device, pool: Option<&'static Pool>, stream: &'a StreamArg) -> Self {
        Destination { device, pool, stream, name: Name::NONE, waits: false, order: Order::A }
    }

    /// With page-locked memory in place of the host's, where that lets a copy from `source` be asynchronous.
    fn page_locked(self, source: tn_device) -> Self {
        let is_asynchronous = source.r#type == TN_CUDA && !matches!(self.stream, StreamArg::Now);
        if is_asynchronous && self.pool.is_none() && self.device == HOST {
            return Destination { device: tn_device { r#type: TN_CUDA_HOST, id: 0 }, ..self };
        }
        self
    }
}

/// Copies an array, with its form, to a new one.
fn new(function: &'static CStr, id: Id, from: &Source, to: &Destination<'_>) -> Result<Id> {
    let pool = pool_for(to.device, to.pool)?;
    let route = if from.is_empty { Route::HOST } else { Route::of(to.stream, &[pool.device(), from.device], false)? };
    let when = route.when(to.waits && route.is_host());
    let source = acquire_one(BorrowContext::new(function), id, Use::Read { frozen: false }, when)?;
    if route.is_host() {
        let copied = duplicate(&source, pool, to.order, (to.name, from.form));
        source.end(false);
        return copied;
    }
    let layout = &mut source.layout().like(to.order)?;
    let mut new_store = NewStore::allocate_on(thread::current(), route.stream(), pool, layout, false)?;
    new_store.claim().set_name(to.name);
    new_store.claim().set_form(from.form);
    let outcome = route.copy(new_store.memory_view(), source.memory_view());
    route.publish(new_store, Some(source), outcome)
}

/// Copies the elements of an open guard to a new array. The host can access both.
pub fn duplicate(source: &InternalGuard, pool: &'static Pool, order: Order, (name, form): (Name, Form)) -> Result<Id> {
    let mut new_store = NewStore::allocate(thread::current(), pool, &mut source.layout().like(order)?, false)?;
    if !source.layout().is_empty() {
        let (to, from) = (new_store.host_view()?, source.host_view()?);
        blit::copy(&to, &from)?;
        route::log_host_copy(&to, &from);
    }
    new_store.claim().set_name(name);
    new_store.claim().set_form(form);
    Ok(new_store.finish())
}

/// Copies the elements of raw memory to a new array.
pub fn duplicate_raw(source: &HostView<'_>, pool: &'static Pool, readonly: bool) -> Result<Id> {
    let mut new_store = NewStore::allocate(thread::current(), pool, &mut source.layout().like(Order::A)?, false)?;
    let to = new_store.host_view()?;
    blit::copy(&to, source)?;
    route::log_host_copy(&to, source);
    new_store.claim().set_readonly(readonly);
    Ok(new_store.finish())
}

/// Copies the elements of raw memory of a device to a new array there, after a point. The copy is done on return.
pub fn duplicate_memory(
    source: &MemoryView<'_>,
    device: tn_device,
    after: Option<Point>,
    readonly: bool,
) -> Result<Id> {
    // Managed memory of another library may be that of any GPU. New memory is that of this library's pool.
    let home = if device.r#type == TN_CUDA { device } else { tn_device { id: 0, ..device } };
    let pool = pool::current(home)?;
    let route = Route::of(&StreamArg::Now, &[home], false)?;
    match (after, route.stream()) {
        (None, _) => {}
        (Some(point), Some(stream)) => stream.wait_for(point)?,
        (Some(point), None) => point.wait()?,
    }
    let layout = &mut source.layout().like(Order::A)?;
    let mut new_store = NewStore::allocate_on(thread::current(), route.stream(), pool, layout, false)?;
    new_store.claim().set_readonly(readonly);
    let outcome = route.copy(new_store.memory_view(), Ok(*source));
    if outcome.is_err() {
        // The caller may free the source now, so no work may be left on it.
        quietly(|| route.stream().map(Stream::synchronize));
    }
    route.publish(new_store, None, outcome)
}

/// Copies the elements of one array into another one: the slow path of [`copy_fast`], for all cases and with every
/// status.
pub fn copy_into(function: &'static CStr, source: Id, target: Id, mode: u32, stream: Result<StreamArg>) -> Result<()> {
    let ids = [source, target];
    drop(ledger::lock_all(2, &|i| {
        ledger::ledger_of::<Claim>(ids[i]).map_err(|status| about(status, ["source", "destination"][i]))
    })?);
    let stream = stream?;
    let wanted = write_use(mode)?;
    let ((from, is_empty), (to, _)) = (location_of(source)?, location_of(target)?);
    let strict = mode & TN_REQUIRE_ASYNC != 0;
    let route = Route::find(&stream, &[to, from], strict, is_empty);
    let same = Cell::new(false);
    let check_shapes = |locked: &Locked, claims: &[&'static Claim]| -> Checked<()> {
        let (from, to) = (claims[0], claims[1]);
        check_match(&locked.get(from).layout, &locked.get(to).layout)?;
        if let Err(failed) = &route {
            return Err(failed.report().into());
        }
        let exact = || region::overlap(locked.region(from), locked.region(to)) == region::Overlap::Exact;
        same.set(core::ptr::eq(from, to) || (core::ptr::eq(locked.ledger_of(from), locked.ledger_of(to)) && exact()));
        if same.get() { Err(Refusal::Nothing) } else { Ok(()) }
    };
    let when = route.as_ref().map_or(UseTime::HOST, |route| route.when(mode & TN_WAIT != 0));
    let entries = [Entry::new(source, Use::Read { frozen: false }, when), Entry::new(target, wanted, when)];
    let opened = borrow::acquire(
        BorrowContext { may_overlap: true, check_shapes: Some(&check_shapes), ..BorrowContext::new(function) },
        &entries,
    );
    if same.get() {
        return Ok(());
    }
    let (mut guards, route) = (opened?.into_iter(), route.map_err(|failed| failed.report())?);
    let (from, to) = (guards.next().expect("two entries"), guards.next().expect("two entries"));
    let outcome = route.copy(to.memory_view(), from.memory_view());
    route.end(Some(to), Some(from), outcome)
}

/// The fast path of a copy, which nearly every copy takes: two live arrays of equal type and shape, without a conflict.
/// None: the caller takes the slow path. Two arrays of one store do, because they may overlap.
///
/// Half of its time is four atomic exchanges: each of the two ledgers is locked when its guard opens and when it ends.
/// A large copy evicts the guards from the first-level cache, so both are prefetched before they end.
#[inline(always)]
pub fn copy_fast(source: Id, target: Id, mode: u32) -> Option<Result<()>> {
    if !is_default_mode(mode) {
        return None;
    }
    let thread = thread::current();
    let from = borrow::open_internal_fast(thread, source, Use::Read { frozen: false })?;
    let Some(to) = borrow::open_internal_fast(thread, target, OVERWRITE) else {
        from.end_on_thread(thread, false);
        return None;
    };
    let outcome = match (to.host_view_if_reachable(), from.host_view_if_reachable()) {
        (Some(dst), Some(src)) if dst.layout().dtype() == src.layout().dtype() => {
            route::log_host_copy(&dst, &src);
            blit::copy_alike(&dst, &src)
        }
        _ => None,
    };
    from.prefetch();
    to.prefetch();
    from.end_on_thread(thread, false);
    match outcome {
        Some(Ok(())) => to.end_on_thread(thread, false),
        _ => borrow::abandon(to),
    }
    outcome
}
