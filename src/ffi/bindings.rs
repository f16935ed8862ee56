//! Section "bindings": what the language bindings of Tenure call, and no program. Declared in include/tenure_bindings.h.

use crate::boundary::enter;
use crate::exchange::dlpack;
use crate::ffi::convert;
use crate::types::*;

/// Completes the table of `tn_dlpack_exchange_api` with the functions of the Python package that take Python objects.
///
/// @param slots        A table whose functions from, to and view of Python objects are set and stay callable; the rest is not read.
/// @return TN_OK, also for the same functions again; TN_ERR_NULL; TN_ERR_INVALID for others than those that are set.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup bindings
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_dlpack_register_python(slots: *const DLPackExchangeAPI) -> tn_status {
    enter("tn_dlpack_register_python", || {
        convert::id(slots, "slots")?;
        // SAFETY: a table, by this function's documentation.
        unsafe { dlpack::register_python(slots.cast()) }
    })
}
