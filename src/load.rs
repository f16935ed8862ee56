//! The load of the library: the listener and the background thread start if the environment variables `TENURE_LISTEN`
//! and `TENURE_BACKGROUND` ask for them, and a log of events if `TENURE_EVENTS` names a file.
//!
//! Contract: without the variables this reads the environment and does nothing else. A program that runs with more
//! rights than its caller ignores them. A failure is printed, because no call could return it.

use crate::background;
use crate::boundary;
use crate::error::{self, Result};
use crate::listen;
use crate::report;
use crate::sys::os;
use crate::types::TN_OK;
use core::ffi::CStr;

/// An initialisation function of the shared library, or of the program that contains the library.
#[used]
#[unsafe(link_section = ".init_array")]
static AT_LOAD: extern "C" fn() = at_load;

extern "C" fn at_load() {
    let is_on = |value: &CStr| [&b"1"[..], b"true", b"on"].contains(&value.to_bytes());
    if os::with_variable(c"TENURE_LISTEN", is_on) == Some(true) {
        start("TENURE_LISTEN", listen::start);
    }
    if os::with_variable(c"TENURE_BACKGROUND", is_on) == Some(true) {
        start("TENURE_BACKGROUND", background::start);
    }
    os::with_variable(c"TENURE_EVENTS", |path| {
        if !path.is_empty() {
            start("TENURE_EVENTS", || report::start_events_at(path));
        }
    });
}

fn start(variable: &'static str, start: impl FnOnce() -> Result<()>) {
    if boundary::enter(variable, start) != TN_OK {
        // SAFETY: this thread's message, which ends with a NUL and stays until its next failure.
        let why = unsafe { CStr::from_ptr(error::published()) };
        os::print_error(&["tenure: ", why.to_str().unwrap_or(variable), "\n"]);
    }
}
