//! Threads of the library's own, which exist only on request.
#![forbid(unsafe_code)]

use crate::error::{Result, fail};
use crate::sys::os;
use crate::types::*;

/// Starts a thread that nobody waits for; `what` asks for it. TN_ERR_NO_HOST_MEMORY: the system refuses.
pub fn start(what: &str, body: fn()) -> Result<()> {
    os::start_thread(body).map_err(|errno| {
        fail(
            TN_ERR_NO_HOST_MEMORY,
            format_args!(
                "the system started no thread for {what}: {errno}; end others, or allow more (ulimit -u, pids.max of the control group)"
            ),
        )
    })
}
