//! The load of the library: the listener starts if the environment variable `TENURE_LISTEN` asks for it.
//!
//! Contract: without the variable this reads the environment and does nothing else. A program that runs with more rights than its caller
//! ignores the variable. A failure is printed, because no call could return it.

use crate::boundary;
use crate::error;
use crate::listen;
use crate::sys::os;
use crate::types::TN_OK;
use core::ffi::CStr;

/// An initialisation function of the shared library, or of the program that contains the library.
#[used]
#[unsafe(link_section = ".init_array")]
static AT_LOAD: extern "C" fn() = at_load;

extern "C" fn at_load() {
    let is_on = |value: &CStr| [&b"1"[..], b"true", b"on"].contains(&value.to_bytes());
    if os::with_variable(c"TENURE_LISTEN", is_on) != Some(true) {
        return;
    }
    if boundary::enter("TENURE_LISTEN", listen::start) != TN_OK {
        // SAFETY: this thread's message, which ends with a NUL and stays until its next failure.
        let why = unsafe { CStr::from_ptr(error::published()) };
        os::print_error(&["tenure: ", why.to_str().unwrap_or("TENURE_LISTEN failed"), "\n"]);
    }
}
