//! Updates: the caller changes the value, in a copy or in place.

use super::lent::{self, Left, Lent, Update};
use super::slot::{Value, VariableRef};
use super::value::{self, ALIASED, Crossing};
use crate::array;
use crate::error::{self, Result, Status, fail, quietly};
use crate::flags;
use crate::layout::Order;
use crate::slots::Id;
use crate::types::*;
use core::ffi::CStr;

/// Begins an update, and returns an array that has the value. Without TN_MAY_OVERWRITE, and if another holder needs the
/// old bytes, the array is a copy, which becomes the value if the update succeeds.
pub fn begin_update(function: &'static CStr, id: Id, flags: u32) -> Result<(Id, Crossing)> {
    begin(function, &VariableRef::find(id)?, flags, false)
}

/// Ends an update. With TN_END_FAILED a copy is dropped, and a value that was changed in place is poisoned.
pub fn end_update(function: &'static CStr, id: Id, flags: u32) -> Result<()> {
    let variable = VariableRef::find(id)?;
    flags::check("flags", flags, TN_END_FAILED, &flags::END)?;
    end(function, &variable, flags & TN_END_FAILED != 0, false)
}

/// Runs a callback between begin and end of an update. The callback may release the variable's handle.
pub fn update(
    function: &'static CStr,
    id: Id,
    flags: u32,
    callback: &mut dyn FnMut(Id) -> tn_status,
) -> Result<Crossing> {
    let variable = VariableRef::find(id)?;
    let (value, crossing) = begin(function, &variable, flags, true)?;
    let status = callback(value);
    end(function, &variable, status != TN_OK, true)?;
    if status == TN_OK { Ok(crossing) } else { Err(status_of("the callback", status)) }
}

fn begin(function: &'static CStr, variable: &VariableRef, flags: u32, by_callback: bool) -> Result<(Id, Crossing)> {
    flags::check("flags", flags, TN_MAY_OVERWRITE, &flags::CROSSING)?;
    let (work, present) = variable.begin()?;
    value::verify(variable, present)?;
    let present = variable.check(present)?;
    let (lent, crossing) = lend_value(function, variable, present, flags)?;
    let handle = lent.handle();
    work.suspend(Update { lent, why: crossing.why, by_callback });
    Ok((handle, crossing))
}

/// Lends the value to a callback: the value itself with TN_MAY_OVERWRITE, if nobody else holds it, else a copy.
pub fn lend_value(
    function: &'static CStr,
    variable: &VariableRef,
    present: Value,
    flags: u32,
) -> Result<(Lent, Crossing)> {
    let mut why = 0;
    if flags & TN_MAY_OVERWRITE != 0 {
        match lent::lend_alone(present.array)? {
            Ok(lent) => return Ok((lent, ALIASED)),
            Err(reasons) => why = reasons,
        }
    }
    value::check_forbidden(why)?;
    let (scratch, copied) = value::copy_uncounted(function, present.array, variable.fixed().pool, Order::A, why)?;
    match lent::lend(scratch) {
        Ok(lent) => {
            copied.count();
            Ok((lent, Crossing { how: TN_COPIED, why }))
        }
        Err(status) => {
            let _ = array::release_now(scratch);
            Err(status)
        }
    }
}

fn end(function: &'static CStr, variable: &VariableRef, failed: bool, by_callback: bool) -> Result<()> {
    let (_work, Update { lent, why, .. }) = variable.resume(by_callback)?;
    let array = lent.array();
    let left = lent.end();
    let checked = if failed { Ok(()) } else { check_left(left) };
    let keeps = checked.is_ok() && !failed;
    let present = variable.value();
    match (present.array == array, keeps) {
        (true, true) => value::commit(variable, None, false),
        (true, false) => variable.poison(),
        (false, true) => store(function, variable, array, present, why)?,
        (false, false) => quietly(|| array::release_now(array))?,
    }
    checked
}

/// Makes a copy the value. `why`: the reasons for which the value itself was not lent.
fn store(function: &'static CStr, variable: &VariableRef, copy: Id, present: Value, why: u32) -> Result<()> {
    let stored = value::store_own(function, variable, copy, present);
    if !stored.as_ref().is_ok_and(|stored| stored.array == Some(copy)) {
        array::release_if_open(copy);
    }
    value::commit(variable, stored?.array, why & value::BY_HOLDER != 0);
    Ok(())
}

/// TN_ERR_FAILED if something is left behind through which the value can still change, or if a write of it failed.
fn check_left(left: Left) -> Result<()> {
    let failed = |text: &str| Err(fail(TN_ERR_FAILED, format_args!("{text}")));
    if left.is_writable {
        return failed("the value was left open for writing; end its guards and exports before the update ends");
    }
    if left.is_poisoned {
        return failed("a write of the value failed, and the update did not say so");
    }
    Ok(())
}

/// The status of code of the program that failed: its own, if the library knows it. `code`: what the message calls it.
pub fn status_of(code: &str, status: tn_status) -> Status {
    if status > TN_ERR_OVERFLOW {
        return fail(TN_ERR_FAILED, format_args!("{code} returned {status}, which is no status code"));
    }
    fail(status, format_args!("{code} returned {}", error::name(status).to_str().unwrap_or_default()))
}
