//! Shared variables: array values that the library keeps, and that functions of the program read and update.
//!
//! Contract: the value is constant while no call of this module works on the variable. Its store is marked in its
//! ledger, so the rules of `borrow` refuse writes through all other handles. What a caller got from a variable never
//! changes: a set or update that finds another holder takes another buffer. A call that fails leaves value and version
//! as they were. The exception is an update in place, which poisons the variable. A variable lives as long as its
//! handle or a reference. Any thread may call; one call at a time changes a variable, and another one is refused at
//! once.
//!
//! | file | contents |
//! |---|---|
//! | `mod` | creation, reading, setting, release |
//! | `slot` | the variable behind a handle, and references on it |
//! | `value` | how an array becomes the value: by alias or by copy |
//! | `resting` | the claim of an argument that a call writes or takes |
//! | `lent` | the handle through which a callback has the bytes |
//! | `update` | updates by a callback |
#![forbid(unsafe_code)]

mod lent;

mod resting;

mod slot;

mod update;

mod value;

pub use lent::{Lent, lend_alone};
pub use resting::Resting;
pub use slot::{Exchange, Value, VariableRef, Work, clone_values, end_value, exchange_all, tag_of};
pub use update::{begin_update, end_update, status_of, update};
pub use value::{
    ALIASED, BY_HOLDER, Copied, Crossing, Source, adopt_left, check_forbidden, copy, copy_uncounted, mark, mark_left,
    note_checksum, verify,
};

use crate::array;
use crate::borrow;
use crate::error::{Result, fail, quietly, rank};
use crate::flags;
use crate::gpu;
use crate::layout::{Layout, Order, Tuple};
use crate::ledger;
use crate::names::{DeviceName, Name};
use crate::pool::{self, Pool};
use crate::slots::Id;
use crate::types::*;
use core::ffi::CStr;
use slot::Fixed;

/// The options of a new variable.
#[derive(Clone, Copy)]
pub struct Options {
    /// None: the device of the value.
    pub device: Option<tn_device>,
    /// None: the thread's current pool of the device.
    pub pool: Option<&'static Pool>,
    /// No name: that of the value.
    pub name: Name,
}

/// The flags with which a value enters a variable.
const ENTERING: u32 = TN_BORROW | TN_REQUIRE_BORROW | TN_TAKE_OWNERSHIP | TN_STRICT;
/// The flags with which a value leaves.
const LEAVING: u32 = TN_BORROW | TN_REQUIRE_BORROW | TN_RAW;

/// Creates a variable.
pub fn create(function: &'static CStr, value: Id, flags: u32, options: Result<Options>) -> Result<(Id, Crossing)> {
    let options = with_check(options, || check_entering(value, flags))?;
    let source = Source::of(value)?;
    let home = source.device;
    let device = options.device.unwrap_or(home);
    value::check_strict(value, flags, device)?;
    let pool = pool_of(device, options.pool)?;
    let name = if options.name.is_none() { source.name } else { options.name };
    let fixed = Fixed { device, home, dtype: source.layout.dtype(), ndim: source.layout.ndim(), pool, name };
    let variable = VariableRef::create(fixed)?;
    let stored = value::store(function, &variable, value, flags, None)?;
    value::commit(&variable, stored.array, stored.is_detached);
    Ok((variable.publish(), stored.crossing))
}

/// The checks of a value's handle and flags.
fn check_entering(value: Id, flags: u32) -> Result<()> {
    ledger::find::<ledger::Claim>(value)?;
    flags::check("flags", flags, ENTERING, &flags::CROSSING)
}

/// Makes a check of another argument. If both fail, the status that comes first in the order of checks is reported.
fn with_check<T>(noted: Result<T>, check: impl Fn() -> Result<()>) -> Result<T> {
    match noted {
        Ok(noted) => check().map(|()| noted),
        Err(status) => match quietly(&check) {
            Err(other) if rank(other.code()) < rank(status.code()) => Err(check().err().unwrap_or(status)),
            _ => Err(status),
        },
    }
}

/// The pool for copies of values: the given one, which must be of the variable's device, or the thread's current one.
fn pool_of(device: tn_device, pool: Option<&'static Pool>) -> Result<&'static Pool> {
    let current = pool::current(device)?;
    let Some(pool) = pool else { return Ok(current) };
    if pool.device() == current.device() {
        return Ok(pool);
    }
    Err(fail(
        TN_ERR_DEVICE,
        format_args!(
            "pool \"{}\" is of device {}, and the variable is to be on {}; pass a pool of that device, or NULL",
            pool.name().as_str(),
            DeviceName(pool.device()),
            DeviceName(device)
        ),
    ))
}

/// Reads a variable: an alias of its value, or a copy.
pub fn get(function: &'static CStr, id: Id, flags: u32) -> Result<(Id, Crossing)> {
    if flags & !TN_REQUIRE_BORROW == TN_RAW | TN_BORROW
        && let Some(value) = slot::clone_value_fast(id)
    {
        return Ok((value, ALIASED));
    }
    let variable = VariableRef::find(id)?;
    flags::check("flags", flags, LEAVING, &flags::CROSSING)?;
    let fixed = variable.fixed();
    let may_alias = flags & (TN_BORROW | TN_REQUIRE_BORROW) != 0;
    let raw = flags & TN_RAW != 0;
    let reachable = raw || fixed.device == fixed.home || host_reads(fixed)?;
    if may_alias && reachable {
        return Ok((variable.clone_value()?, ALIASED));
    }
    let why = if may_alias { TN_WHY_DEVICE } else { 0 };
    variable.check_value()?;
    if flags & TN_REQUIRE_BORROW != 0 {
        return Err(borrow::alias_required(why));
    }
    value::check_forbidden(why)?;
    // The copy reads through a handle of its own, so the variable may change meanwhile.
    let source = variable.clone_value()?;
    let (device, order) = if raw { (fixed.device, Order::A) } else { (fixed.home, Order::C) };
    let copied = pool::current(device).and_then(|pool| value::copy(function, source, pool, order, why));
    let _ = array::release_now(source);
    copied.map(|array| (array, Crossing { how: TN_COPIED, why }))
}

/// Whether the host can use the variable's bytes as they are, although they are page-locked or managed.
fn host_reads(fixed: &Fixed) -> Result<bool> {
    Ok(match fixed.device.r#type {
        TN_CUDA_HOST => fixed.home == array::HOST,
        TN_CUDA_MANAGED => fixed.home == array::HOST && gpu::managed::is_concurrent()?,
        _ => false,
    })
}

/// Replaces the value. TN_ERR_DTYPE, TN_ERR_SHAPE if element type or number of axes differ.
pub fn set(function: &'static CStr, id: Id, value: Id, flags: u32) -> Result<Crossing> {
    let variable = with_check(VariableRef::find(id), || check_entering(value, flags))?;
    let source = Source::of(value)?;
    check_fits(variable.fixed(), &source.layout)?;
    value::check_strict(value, flags, variable.fixed().device)?;
    let (work, present) = variable.begin()?;
    value::verify(&variable, present)?;
    let stored = value::store(function, &variable, value, flags, Some(present))?;
    value::commit(&variable, stored.array, stored.is_detached);
    drop(work);
    Ok(stored.crossing)
}

fn check_fits(fixed: &Fixed, layout: &Layout) -> Result<()> {
    if layout.dtype() != fixed.dtype {
        return Err(fail(
            TN_ERR_DTYPE,
            format_args!(
                "the variable has elements of {}, not {}; convert the value first",
                fixed.dtype.name(),
                layout.dtype().name()
            ),
        ));
    }
    if layout.ndim() != fixed.ndim {
        return Err(fail(
            TN_ERR_SHAPE,
            format_args!(
                "the variable has {} axes, and the value has shape {}; reshape it first",
                fixed.ndim,
                Tuple(layout.shape())
            ),
        ));
    }
    Ok(())
}

/// The properties of a variable.
pub struct Info<'a> {
    /// What stays the same.
    pub fixed: &'a Fixed,
    /// The value.
    pub array: &'a array::Info<'a>,
    /// Number of the value, from 1.
    pub version: u64,
    /// How often a holder made the library take another buffer.
    pub detach_count: u64,
    /// Whether an update in place failed.
    pub is_poisoned: bool,
}

/// Calls `visit` with the properties, under the lock of the value's ledger.
pub fn query(id: Id, mut visit: impl FnMut(&Info<'_>)) -> Result<()> {
    let variable = VariableRef::find(id)?;
    variable.with_value(|value| {
        array::query(value.array, |array| {
            visit(&Info {
                fixed: variable.fixed(),
                array,
                version: value.version,
                detach_count: value.detach_count,
                is_poisoned: value.is_poisoned,
            });
        })
    })
}

/// TN_ERR_STALE or TN_ERR_KIND, unless the handle is that of a variable.
pub fn check_handle(id: Id) -> Result<()> {
    VariableRef::find(id).map(drop)
}

/// Ends the caller's handle. Borrowed values outlive it.
pub fn release(id: Id) -> Result<()> {
    slot::release(id)
}
