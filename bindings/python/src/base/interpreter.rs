//! HEAD

use crate::api::{self, Failure, Id, cuda};
use crate::types::*;
use core::ffi::c_int;
use pyo3::exceptions::PySystemError;
use pyo3::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::thread::ThreadId;

/// Calls with TN_WAIT in its flags such that nobody else waits too: asks first, and waits with the interpreter released.
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

/// Calls what reads an array and has no TN_WAIT: where device work that writes it is in the way, once more after waiting for that. With
/// the interpreter released.
pub fn retry_after_wait<T>(array: Id, call: impl Fn() -> api::Result<T>) -> api::Result<T> {
    match call() {
        Err(Failure(TN_ERR_PENDING)) => {
            cuda::wait(array, TN_READ)?;
            call()
        }
        done => done,
    }
}

/// What passes from the thread that waits to itself.
pub struct SameThread<T>(pub T);

impl<T: Copy> SameThread<T> {
    /// All of it, so that a closure takes the whole and not a field.
    pub fn all(&self) -> T {
        self.0
    }
}

// SAFETY: `detach` runs the closure on the same thread; the pointers in it are to memory that a guard or a local keeps.
unsafe impl<T> Send for SameThread<T> {}

// SAFETY: the same.
unsafe impl<T> Sync for SameThread<T> {}

/// The thread on which the interpreter ends, from the moment that it begins to: no other thread may ask to be
/// attached then.
static ENDING: OnceLock<ThreadId> = OnceLock::new();

/// Called by `atexit`.
#[pyfunction]
pub fn _ending() {
    let _ = ENDING.set(std::thread::current().id());
}

/// Runs `body` attached. None: the interpreter is gone, or is ending on another thread.
pub fn while_alive<R>(body: impl FnOnce(Python<'_>) -> R) -> Option<R> {
    if ENDING.get().is_some_and(|thread| *thread != std::thread::current().id()) {
        return None;
    }
    Python::try_attach(body)
}

/// Runs what C called; an exception is set and -1 returned if it fails.
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
