//! Threads of the library's own, which exist only on request.
#![forbid(unsafe_code)]

use crate::error::{Result, fail};
use crate::sys::file::Errno;
use crate::sys::os;
use crate::types::*;

/// Starts a thread that nobody waits for; `what` asks for it. TN_ERR_NO_HOST_MEMORY: the system refuses it, or there is
/// no memory.
pub fn start(what: &str, body: fn()) -> Result<()> {
    // Forks are seen once a thread is known.
    let recorded = super::try_current().ok_or(Errno::NO_MEMORY);
    recorded.and_then(|_| os::start_thread(body)).map_err(|errno| {
        fail(
            TN_ERR_NO_HOST_MEMORY,
            format_args!(
                "the system started no thread for {what}: {errno}; end others, or allow more (ulimit -u, pids.max of the control group)"
            ),
        )
    })
}
