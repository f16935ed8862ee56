//! What the functions of UMF's provider table have in common.
#![forbid(unsafe_code)]

use super::common::result_of;
use super::tables;
use crate::boundary;
use crate::error::{Result, fail};
use crate::plugin::Target;
use crate::pool;
use crate::types::*;
use core::cell::Cell;
use core::ffi::c_void;

/// The function that error texts name: the one that returned the table.
const FUNCTION: &str = "tn_umf_provider_ops";

thread_local! {
    // `const` and without Drop, as those of `error`.
    static LAST_STATUS: Cell<tn_status> = const { Cell::new(TN_OK) };
}

/// Runs the body of a function, and records its status for `get_last_native_error`.
pub(super) fn enter(body: impl FnOnce() -> Result<()>) -> tables::Result {
    let status = boundary::enter(FUNCTION, body);
    if status != TN_OK {
        LAST_STATUS.set(status);
    }
    result_of(status)
}

/// The status of this thread's last function that failed.
pub(super) fn last_status() -> tn_status {
    LAST_STATUS.get()
}

/// Checks that a block of the provider starts at `ptr` and has `bytes` bytes.
pub(super) fn check_block(target: &Target, ptr: *const c_void, bytes: usize) -> Result<()> {
    let block = pool::locate(ptr as usize);
    let own = block.is_some_and(|block| target.is(block.pool) && block.start == ptr as usize && block.owner == 0);
    if own && block.is_some_and(|block| block.requested == bytes) {
        return Ok(());
    }
    Err(fail(TN_ERR_INVALID, format_args!("{ptr:p} is not a block of {bytes} bytes that this provider allocated")))
}
