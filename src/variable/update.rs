//! Updates: a callback changes the value, in a copy or in place.

use super::lent::{self, Left, Lent};
use super::slot::{self, VariableRef};
use super::value::{self, ALIASED, Crossing};
use crate::array;
use crate::error::{self, Result, Status, fail};
use crate::flags;
use crate::layout::Order;
use crate::slots::Id;
use crate::types::*;
use core::ffi::CStr;

/// Runs a callback with an array that has the value. Without TN_MAY_OVERWRITE, and if another holder needs the old bytes, the array is a
/// copy, which becomes the value if the callback succeeds.
pub fn update(
    function: &'static CStr,
    id: Id,
    flags: u32,
    callback: &mut dyn FnMut(Id) -> tn_status,
) -> Result<Crossing> {
    let variable = VariableRef::find(id)?;
    flags::check("flags", flags, TN_MAY_OVERWRITE, &flags::CROSSING)?;
    let _work = variable.begin()?;
    value::verify(&variable)?;
    let present = variable.check_value()?;
    let mut why = 0;
    if flags & TN_MAY_OVERWRITE != 0 {
        match lent::lend_alone(present.array)? {
            Ok(lent) => return update_in_place(&variable, lent, callback),
            Err(reasons) => why = reasons,
        }
    }
    value::check_forbidden(why)?;
    let (scratch, bytes) = value::copy_uncounted(function, present.array, variable.fixed().pool, Order::A)?;
    let lent = match lent::lend(scratch) {
        Ok(lent) => lent,
        Err(status) => {
            let _ = array::release_now(scratch);
            return Err(status);
        }
    };
    value::note_copy(function, why, bytes);
    let status = callback(lent.handle());
    let outcome = outcome_of(status, lent.end()).and_then(|()| value::store_own(function, &variable, scratch, present));
    if !outcome.as_ref().is_ok_and(|stored| stored.array == Some(scratch)) {
        let _ = array::release_now(scratch);
    }
    match outcome?.array {
        Some(array) => slot::end_value(variable.commit(array, why & value::BY_HOLDER != 0)),
        None => variable.touch(),
    }
    value::note_checksum(&variable);
    Ok(Crossing { how: TN_COPIED, why })
}

fn update_in_place(variable: &VariableRef, lent: Lent, callback: &mut dyn FnMut(Id) -> tn_status) -> Result<Crossing> {
    let status = callback(lent.handle());
    let left = lent.end();
    match outcome_of(status, left) {
        Ok(()) => {
            variable.touch();
            value::note_checksum(variable);
            Ok(ALIASED)
        }
        Err(status) => {
            variable.poison();
            Err(status)
        }
    }
}

/// The outcome of a callback, from its status and from what it left behind.
fn outcome_of(status: tn_status, left: Left) -> Result<()> {
    let failed = |text: &str| Err(fail(TN_ERR_FAILED, format_args!("the callback {text}")));
    match status {
        TN_OK if left.is_writable => failed("left the value open for writing; end its guards and exports"),
        TN_OK if left.is_poisoned => failed("returned TN_OK after a write that failed"),
        TN_OK => Ok(()),
        status => Err(status_of(status)),
    }
}

/// The status of a failed callback: its own, if the library knows it.
fn status_of(status: tn_status) -> Status {
    if status > TN_ERR_OVERFLOW {
        return fail(TN_ERR_FAILED, format_args!("the callback returned {status}, which is no status code"));
    }
    fail(status, format_args!("the callback returned {}", error::name(status).to_str().unwrap_or_default()))
}
