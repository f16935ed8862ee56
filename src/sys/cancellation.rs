//! Cancellation of threads (pthread_cancel(3)).
//!
//! Contract: a system call of the library is no cancellation point, because a thread that ended inside of the library
//! would leave locks and frames behind. A request that comes meanwhile stays, and the program's next cancellation point
//! serves it.

use core::ffi::c_int;

const DISABLE: c_int = 1;

unsafe extern "C" {
    fn pthread_setcancelstate(state: c_int, old: *mut c_int) -> c_int;
}

/// Makes system calls that would be cancellation points. Costs nanoseconds, and no system call; errno stays as it is.
pub(super) fn uncancelled<R>(call: impl FnOnce() -> R) -> R {
    let mut before = 0;
    // SAFETY: a valid state, and room for the old one. DISABLE has one value in all C libraries of Linux.
    unsafe { pthread_setcancelstate(DISABLE, &mut before) };
    let result = call();
    // SAFETY: a state that the call above returned; NULL: the old one is not wanted.
    unsafe { pthread_setcancelstate(before, core::ptr::null_mut()) };
    result
}
