//! Section "library": version, statuses, texts.

use crate::error;
use crate::types::*;
use core::ffi::c_char;

/// The version of the library that runs, made like TN_VERSION.
///
/// @return major << 16 | minor << 8 | patch.
/// @note Threads: any. Never fails.
/// @since 0.1
/// @ingroup library
#[unsafe(no_mangle)]
pub extern "C" fn tn_version() -> u32 {
    TN_VERSION
}

/// The symbolic name of a status.
///
/// @param status   any number.
/// @return "TN_ERR_STALE" and the like, "TN_ERR_?" for an unknown one. Static text, never NULL.
/// @note Threads: any. Never fails.
/// @since 0.1
/// @ingroup library
#[unsafe(no_mangle)]
pub extern "C" fn tn_status_name(status: tn_status) -> *const c_char {
    error::name(status).as_ptr()
}

/// The text of this thread's last failure: the function, what was wrong, the offending values, what to do.
///
/// @return NUL-terminated UTF-8, "" if nothing failed yet; never NULL. The library's, valid until the thread's next failure.
/// @note Threads: any; the text is the calling thread's own. Where tasks change threads between two calls (goroutines, virtual
///       threads), pin the thread for the call and this one. Never fails.
/// @since 0.1
/// @ingroup library
#[unsafe(no_mangle)]
pub extern "C" fn tn_last_error() -> *const c_char {
    error::published()
}
