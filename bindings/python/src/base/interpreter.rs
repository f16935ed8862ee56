//! The interpreter's lock: waiting without it, attaching where the interpreter may be ending, and callbacks from C.
//!
//! Contract: a call that may wait for a device first tries without waiting, and then waits with the interpreter
//! released. No thread attaches after the interpreter began to end, except the one that ends it.

use crate::api::{self, Failure, Id, cuda};
use crate::sys::*;
use core::ffi::c_int;
use pyo3::exceptions::PySystemError;
use pyo3::ffi;
use pyo3::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::thread::ThreadId;

/// Makes a call whose flags may have TN_WAIT, so that other threads run meanwhile: first without waiting, then again
/// with the interpreter released.
pub fn wait_without_gil<T: Send>(
    py: Python<'_>,
    flags: u32,
    call: impl Fn(u32) -> api::Result<T> + Send + Sync,
) -> api::Result<T> {
    match call(flags & !TN_WAIT) {
        Err(Failure(TN_ERR_PENDING)) if flags & TN_WAIT != 0 => py.detach(|| call(flags)),
        done => done,
    }
}

/// Makes a call that reads `array` and has no TN_WAIT. Where pending device work writes the array, waits for it and
/// calls once more. The caller has released the interpreter.
pub fn retry_after_wait<T>(array: Id, call: impl Fn() -> api::Result<T>) -> api::Result<T> {
    match call() {
        Err(Failure(TN_ERR_PENDING)) => {
            cuda::wait(array, TN_READ)?;
            call()
        }
        done => done,
    }
}

/// A value that crosses `Python::detach`, which stays on the same thread.
pub struct SameThread<T>(pub T);

impl<T: Copy> SameThread<T> {
    /// The whole value: a closure that calls this captures the wrapper, not the field in it.
    pub fn all(&self) -> T {
        self.0
    }
}

// SAFETY: `detach` runs the closure on the same thread. A guard or a local variable keeps the memory behind the
// pointers.
unsafe impl<T> Send for SameThread<T> {}

// SAFETY: as above.
unsafe impl<T> Sync for SameThread<T> {}

/// The thread on which the interpreter ends, once it began to. No other thread may attach from then on.
static ENDING: OnceLock<ThreadId> = OnceLock::new();

/// Called by `atexit`.
#[pyfunction]
pub fn _ending() {
    let _ = ENDING.set(std::thread::current().id());
}

/// Runs `body` attached. None: the interpreter has ended, or is ending on another thread.
pub fn while_alive<R>(body: impl FnOnce(Python<'_>) -> R) -> Option<R> {
    if ENDING.get().is_some_and(|thread| *thread != std::thread::current().id()) {
        return None;
    }
    // Declared first, so that it is dropped last.
    let _lock = Lock::of_this_thread()?;
    Python::try_attach(body)
}

/// The interpreter's lock, taken again on a thread that Python knows. pyo3 assumes that a thread below one of its calls
/// has the lock. That is wrong where a callable, run by this crate, calls C code through ctypes, which lets go of the
/// lock, and that code calls back.
struct Lock(Option<ffi::PyGILState_STATE>);

impl Lock {
    /// None: there is no interpreter.
    fn of_this_thread() -> Option<Lock> {
        // SAFETY: may always be called.
        if unsafe { ffi::Py_IsInitialized() } == 0 {
            return None;
        }
        // SAFETY: the interpreter is initialized.
        let is_known = unsafe { !ffi::PyGILState_GetThisThreadState().is_null() };
        // SAFETY: as above; `drop` releases what this takes.
        Some(Lock(is_known.then(|| unsafe { ffi::PyGILState_Ensure() })))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(state) = self.0 {
            // SAFETY: taken by `of_this_thread` on this thread.
            unsafe { ffi::PyGILState_Release(state) };
        }
    }
}

/// Runs the body of a function that C called. On failure sets a Python exception and returns -1.
pub fn guarded(body: impl FnOnce(Python<'_>) -> PyResult<()>) -> c_int {
    let outcome = catch_unwind(AssertUnwindSafe(|| Python::attach(body)));
    match outcome.unwrap_or_else(|_| Err(PySystemError::new_err("a bug in tenure, please report it"))) {
        Ok(()) => 0,
        Err(error) => {
            Python::attach(|py| error.restore(py));
            -1
        }
    }
}
