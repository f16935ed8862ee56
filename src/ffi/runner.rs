//! Section "runner": the caller's threads for large copies.

use crate::boundary::enter;
use crate::ffi::convert;
use crate::runner;
use crate::types::*;

impl convert::VersionedStruct for tn_runner {
    const FIRST: usize = size_of::<tn_runner>();
    const NAME: &'static str = "tn_runner";
    fn defaults() -> tn_runner {
        tn_runner { size: 0, run: None, context: core::ptr::null_mut(), threads: 0, least_bytes: 0 }
    }
}

/// Sets the runner of this thread: a function that spreads its large copies, and the blocks of kernels of the host that
/// it launches, over threads of the caller. The library starts no threads.
///
/// Copies and fills of host arrays and raw memory are divided into at most `threads` tasks, which `run` calls. The
/// calling thread runs the tasks that `run` did not call. Small copies, and those whose source and destination overlap,
/// are not divided. The result does not depend on the runner.
///
/// @param runner   The runner, copied during this call. Its `context` must stay valid until this thread sets another
///                 runner. NULL: no runner, as at first. A runner whose `run` is NULL means that too.
/// @return TN_OK; TN_ERR_INVALID for a wrong size.
/// @note Threads: any; other threads keep their runners. This thread calls `run` while it holds no lock. `run` may call
///       the library, and must return normally. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup runner
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_runner_set_current(runner: *const tn_runner) -> tn_status {
    enter("tn_runner_set_current", || {
        // SAFETY: NULL or a struct of the size it says, by this function's documentation.
        runner::set_current(unsafe { convert::sized(runner)? });
        Ok(())
    })
}

/// Writes the runner of this thread, for a later `tn_runner_set_current`.
///
/// @param[out] out The struct to fill, with `size` set by the caller. `run` is NULL if there is no runner. On failure:
///                 untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for a wrong size.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup runner
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_runner_current(out: *mut tn_runner) -> tn_status {
    enter("tn_runner_current", || {
        // SAFETY: NULL or a struct whose size is set, by this function's documentation.
        let out = unsafe { convert::fill(out, "out")?? };
        // SAFETY: as above.
        unsafe { out.write(&runner::current(), size_of::<tn_runner>()) };
        Ok(())
    })
}
