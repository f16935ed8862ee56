//! The C functions of the event log.

use super::{Result, check, filled};
use crate::sys::*;
use core::ffi::CStr;
use core::ptr::null;

/// Begins a log, in memory without a path.
pub fn start(path: Option<&CStr>, kinds: tn_log_kinds, capacity: u64) -> Result<()> {
    let path = path.map_or(null(), CStr::as_ptr);
    let options = tn_log_options { size: size_of::<tn_log_options>(), kinds, reserved: 0, path, capacity };
    // SAFETY: whole options, whose path is NULL or a terminated text.
    check(unsafe { tn_log_start(&options) })
}

calls! {
    /// Ends the log.
    fn stop() = tn_log_stop;
}

/// Saves the log that is in memory.
pub fn save(path: &CStr) -> Result<()> {
    // SAFETY: a terminated text.
    check(unsafe { tn_log_save(path.as_ptr()) })
}

/// What the log has.
pub fn query() -> Result<tn_log_stats> {
    // SAFETY: `stats` is writable, and says its size.
    filled(sized!(tn_log_stats), |stats| unsafe { tn_log_query(stats) })
}
