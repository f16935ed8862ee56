//! Section "bindings": functions for Tenure's own language bindings, not for programs. Declared in include/tenure_bindings.h.

use crate::boundary::enter;
use crate::exchange::dlpack;
use crate::ffi::convert;
use crate::types::*;

/// Completes the table of `tn_dlpack_exchange_api` with the Python package's functions that take Python objects.
///
/// @param slots        A table with the three functions that convert from, convert to and view Python objects. They stay callable; the
///                     other entries are not read.
/// @return TN_OK, also if these functions are set already; TN_ERR_NULL; TN_ERR_INVALID if other functions are set already.
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
