//! A runner with one thread per task.

use core::ffi::c_void;
use core::sync::atomic::{AtomicUsize, Ordering};
use tenure::types::*;

/// Runs a call's tasks, each on a thread of its own. The context is NULL, or an [`AtomicUsize`] to which the number of
/// tasks is added.
///
/// # Safety
/// - The context lives during the call.
pub unsafe extern "C" fn on_threads(context: *mut c_void, task: tn_task, argument: *mut c_void, count: usize) {
    // SAFETY: the caller's obligation.
    if let Some(tasks) = unsafe { context.cast::<AtomicUsize>().as_ref() } {
        tasks.fetch_add(count, Ordering::Relaxed);
    }
    let (task, argument) = (task.unwrap(), argument as usize);
    std::thread::scope(|scope| {
        for index in 0..count {
            // SAFETY: all tasks end before the runner returns, so the argument is valid; any thread may use it.
            scope.spawn(move || unsafe { task(argument as *mut c_void, index) });
        }
    });
}
