//! The parts that UMF's two tables share: results, outputs, and the control function.

use super::record::target;
use super::tables;
use crate::error::fail;
use crate::types::*;

/// The result codes of UMF that this library uses.
pub(super) const SUCCESS: tables::Result = 0;
pub(super) const OUT_OF_HOST_MEMORY: tables::Result = 1;
pub(super) const PROVIDER_SPECIFIC: tables::Result = 2;
pub(super) const INVALID_ARGUMENT: tables::Result = 3;
pub(super) const INVALID_ALIGNMENT: tables::Result = 4;
pub(super) const NOT_SUPPORTED: tables::Result = 5;
pub(super) const USER_SPECIFIC: tables::Result = 6;
pub(super) const DEPENDENCY_UNAVAILABLE: tables::Result = 7;
pub(super) const OUT_OF_RESOURCES: tables::Result = 8;
pub(super) const INVALID_CTL_PATH: tables::Result = 9;
pub(super) const UNKNOWN: tables::Result = 0x7fff_fffe;

/// The name of both tables.
pub(super) const NAME: &core::ffi::CStr = c"tenure";

/// The result of a status (AL-80).
pub(super) fn result_of(status: tn_status) -> tables::Result {
    match status {
        TN_OK => SUCCESS,
        TN_ERR_NO_HOST_MEMORY => OUT_OF_HOST_MEMORY,
        TN_ERR_DRIVER => PROVIDER_SPECIFIC,
        TN_ERR_NULL | TN_ERR_INVALID | TN_ERR_RANGE | TN_ERR_STALE | TN_ERR_KIND | TN_ERR_FOREIGN | TN_ERR_SHARED => {
            INVALID_ARGUMENT
        }
        TN_ERR_LAYOUT => INVALID_ALIGNMENT,
        TN_ERR_UNSUPPORTED => NOT_SUPPORTED,
        TN_ERR_FAILED => USER_SPECIFIC,
        TN_ERR_NO_DEVICE_MEMORY | TN_ERR_POOL_LIMIT => OUT_OF_RESOURCES,
        _ => UNKNOWN,
    }
}

/// The status of a result (AL-82).
pub(super) fn status_of(result: tables::Result) -> tn_status {
    match result {
        SUCCESS => TN_OK,
        OUT_OF_HOST_MEMORY => TN_ERR_NO_HOST_MEMORY,
        PROVIDER_SPECIFIC => TN_ERR_DRIVER,
        INVALID_ARGUMENT => TN_ERR_INVALID,
        INVALID_ALIGNMENT => TN_ERR_LAYOUT,
        NOT_SUPPORTED => TN_ERR_UNSUPPORTED,
        OUT_OF_RESOURCES => TN_ERR_NO_DEVICE_MEMORY,
        _ => TN_ERR_FAILED,
    }
}

/// Writes an output parameter.
pub(super) fn write<T>(out: *mut T, value: T) -> crate::error::Result<()> {
    if out.is_null() {
        return Err(fail(TN_ERR_NULL, format_args!("an output is NULL")));
    }
    // SAFETY: not NULL; a variable of UMF.
    unsafe { out.write(value) };
    Ok(())
}

/// The value of a pool's statistic, by its path in UMF's control functions, such as "stats.used". None: there is no
/// such path.
fn statistic(stats: &tn_pool_stats, path: &[u8]) -> Option<u64> {
    let name = path.strip_prefix(b"stats.")?;
    match name {
        b"used" | b"used_memory" | b"allocated_memory" => Some(stats.in_use_bytes),
        b"reserved" | b"reserved_memory" => Some(stats.reserved_bytes),
        b"peak" | b"peak_memory" => Some(stats.peak_in_use_bytes),
        b"alloc_count" => Some(stats.live_blocks),
        _ => None,
    }
}

/// UMF's control function. It reads statistics, and supports nothing else.
pub(super) extern "C" fn control(
    of: *mut core::ffi::c_void,
    _source: i32,
    name: *const core::ffi::c_char,
    arg: *mut core::ffi::c_void,
    size: usize,
    query: i32,
    _more: *mut core::ffi::c_void,
) -> tables::Result {
    const READ: i32 = 0;
    let mut result = INVALID_CTL_PATH;
    crate::boundary::enter("tn_umf ext_ctl", || {
        if name.is_null() {
            result = INVALID_ARGUMENT;
            return Ok(());
        }
        // SAFETY: UMF passes a text that ends with a NUL.
        let path = unsafe { core::ffi::CStr::from_ptr(name) }.to_bytes();
        let stats = target(of)?.pool().map(crate::pool::Pool::query).unwrap_or_default();
        if let Some(value) = statistic(&stats, path) {
            result = SUCCESS;
            if query != READ || arg.is_null() || size != size_of::<u64>() {
                result = INVALID_ARGUMENT;
                return Ok(());
            }
            // SAFETY: the size was checked above.
            unsafe { arg.cast::<u64>().write_unaligned(value) };
        }
        Ok(())
    });
    result
}
