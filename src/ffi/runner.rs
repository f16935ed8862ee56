//! Section "runner": threads of the caller's for large copies.

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

/// Sets on which threads of the caller's large copies of this thread run; the library has none of its own.
///
/// Copies and fills between host arrays and raw memory are divided among at most `threads` tasks, which `run` calls; what none of them
/// takes the calling thread does itself. Copies whose source and destination overlap, and small ones, stay on their thread. The result is
/// the same.
///
/// @param runner   The runner; it is read during this call. What `context` points to must live until another runner is set. NULL, or one
///                 whose `run` is NULL: none, as at first.
/// @return TN_OK; TN_ERR_INVALID for a wrong size, and then the current runner stays.
/// @note Threads: any; other threads keep theirs. `run` is called by this thread, under no lock; it may call the library, and must return
///       normally. Blocks: never. Allocates: nothing.
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

/// Gives the runner that this thread set: what `tn_runner_set_current` puts back.
///
/// @param[out] out The struct to fill; `size` is set by the caller. `run` is NULL where there is none. On failure: untouched.
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
