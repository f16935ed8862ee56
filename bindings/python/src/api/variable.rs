//! The C functions for shared variables.

use super::{Id, Result, blank, check, filled, made};
use crate::sys::*;
use core::ffi::CStr;
use core::ptr::null;

/// Where a variable keeps its value; `Default`: on the value's device, from the current pool.
#[derive(Default)]
pub struct Place {
    pub device: Option<tn_device>,
    pub pool: Option<Id>,
}

/// Calls with an output for what became of a value.
fn crossed<T>(call: impl FnOnce(*mut tn_crossing) -> Result<T>) -> Result<(T, tn_crossing)> {
    let mut how = blank();
    Ok((call(&mut how)?, how))
}

/// Creates a variable from an array.
pub fn create(value: Id, flags: u32, place: &Place, name: Option<&CStr>) -> Result<(Id, tn_crossing)> {
    let options = tn_shared_options {
        size: size_of::<tn_shared_options>(),
        device: place.device.unwrap_or(tn_device { r#type: 0, id: 0 }),
        pool: place.pool.unwrap_or(Id::NULL).raw(),
        name: name.map_or(null(), CStr::as_ptr),
    };
    // SAFETY: a checked id; the options are valid during the call; the outputs are writable.
    crossed(|how| made(|out| unsafe { tn_shared_create(value.raw(), flags, &options, out, how) }))
}

/// Reads a variable.
pub fn get(variable: Id, flags: u32) -> Result<(Id, tn_crossing)> {
    // SAFETY: a checked id; the outputs are writable.
    crossed(|how| made(|out| unsafe { tn_shared_get(variable.raw(), flags, out, how) }))
}

/// Replaces the value.
pub fn set(variable: Id, value: Id, flags: u32) -> Result<tn_crossing> {
    // SAFETY: checked ids; the output is writable.
    crossed(|how| check(unsafe { tn_shared_set(variable.raw(), value.raw(), flags, how) })).map(|(_, how)| how)
}

/// Begins an update, and returns the array that has the value.
pub fn begin_update(variable: Id, flags: u32) -> Result<(Id, tn_crossing)> {
    // SAFETY: a checked id; the outputs are writable.
    crossed(|how| made(|out| unsafe { tn_shared_update_begin(variable.raw(), flags, out, how) }))
}

calls! {
    /// Ends an update.
    fn end_update(variable: Id, flags: u32) = tn_shared_update_end;
    /// Releases a variable.
    fn release(variable: Id) = tn_shared_release;
}

/// The properties of a variable.
pub fn query(variable: Id) -> Result<tn_shared_info> {
    // SAFETY: a checked id; `info` is writable, and says its size.
    filled(sized!(tn_shared_info), |info| unsafe { tn_shared_query(variable.raw(), info) })
}
