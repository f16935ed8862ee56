//! `tenure.Runner`: large copies on the threads of an executor.
//!
//! Contract: for each task but one the library's request becomes a [`Task`] given to `executor.submit`; the calling
//! thread does the last one. When the callback returns no task runs, and a task that starts later does nothing. So the
//! result does not depend on how the executor schedules tasks, nor on its futures. Errors of the executor go to
//! `sys.unraisablehook`; the copy is complete all the same.

use crate::api;
use crate::base::interpreter::while_alive;
use crate::sys::*;
use core::ffi::c_void;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

/// Copies of fewer bytes stay on their thread. Submitting a task through Python costs some 50 us; a copy of this many
/// bytes takes ten times as long.
const LEAST_BYTES: usize = 8 << 20;

/// The previous runner of a block.
struct Before(tn_runner);

// SAFETY: its pointers go back to the library on the thread that they came from, and are not followed here.
unsafe impl Send for Before {}

/// Threads for large copies. Until the end of a `with` block, copies and fills of this thread with at least
/// `least_bytes` bytes are divided among at most `threads` threads: the calling one, and those of `executor`, a
/// `concurrent.futures.Executor` that runs threads.
///
/// >>> from concurrent.futures import ThreadPoolExecutor
/// >>> with ThreadPoolExecutor(3) as executor, tenure.Runner(executor, 4):
/// ...     y = tenure.zeros((3000, 1000)).T.copy()
/// >>> y.shape
/// (1000, 3000)
#[pyclass(frozen, weakref, module = "tenure", name = "Runner")]
pub struct Runner {
    executor: Py<PyAny>,
    threads: usize,
    least_bytes: usize,
    before: Mutex<Vec<(ThreadId, Before)>>,
}

impl Runner {
    fn before(&self) -> MutexGuard<'_, Vec<(ThreadId, Before)>> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Runner {
    #[new]
    #[pyo3(signature = (executor, threads, *, least_bytes=LEAST_BYTES))]
    fn new(executor: Py<PyAny>, threads: usize, least_bytes: usize) -> PyResult<Runner> {
        if threads == 0 {
            return Err(PyValueError::new_err("threads is 0; pass at least 1, the calling thread alone"));
        }
        Ok(Runner { executor, threads, least_bytes: least_bytes.max(1), before: Mutex::new(Vec::new()) })
    }

    /// Until the end of the block, this thread's large copies are divided.
    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        let runner = slf.get();
        let before = api::runner_current()?;
        // While the runner is current the library has a pointer to it, so it holds a reference.
        let context = slf.clone().into_ptr();
        let new = tn_runner {
            size: size_of::<tn_runner>(),
            run: Some(run),
            context: context.cast(),
            threads: runner.threads,
            least_bytes: runner.least_bytes,
        };
        // SAFETY: `run` follows the contract of `tn_run_callback`; the context lives until the block ends.
        unsafe { api::runner_set_current(&new)? };
        runner.before().push((std::thread::current().id(), Before(before)));
        Ok(slf)
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(slf: &Bound<'_, Self>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        let thread = std::thread::current().id();
        let before = {
            let mut list = slf.get().before();
            list.iter().rposition(|(of, _)| *of == thread).map(|at| list.remove(at).1)
        };
        let Some(Before(before)) = before else {
            return Err(PyRuntimeError::new_err("this thread has no open `with` block of this runner"));
        };
        // SAFETY: it was current when the block began, and the block that made it current is still open.
        unsafe { api::runner_set_current(&before)? };
        // SAFETY: the reference that `__enter__` took.
        drop(unsafe { Bound::from_owned_ptr(slf.py(), slf.as_ptr()) });
        Ok(())
    }

    /// The largest number of threads, including the calling one.
    #[getter]
    fn threads(&self) -> usize {
        self.threads
    }

    /// Copies of fewer bytes are not divided.
    #[getter]
    fn least_bytes(&self) -> usize {
        self.least_bytes
    }

    fn __repr__(&self) -> String {
        format!("<tenure.Runner of {} threads from {} bytes>", self.threads, self.least_bytes)
    }
}

/// One call of the library: its task, and how many threads run it.
struct Call {
    task: unsafe extern "C" fn(*mut c_void, usize),
    argument: usize,
    state: Mutex<State>,
    idle: Condvar,
}

struct State {
    /// The callback has returned, so the argument is invalid.
    over: bool,
    running: usize,
}

impl Call {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, index: usize) {
        {
            let mut state = self.state();
            if state.over {
                return;
            }
            state.running += 1;
        }
        // SAFETY: the library's function with its argument, before the callback returned.
        unsafe { (self.task)(self.argument as *mut c_void, index) };
        self.state().running -= 1;
        self.idle.notify_all();
    }

    /// Lets no more tasks begin, and waits for those that run.
    fn end(&self) {
        let mut state = self.state();
        state.over = true;
        while state.running > 0 {
            state = self.idle.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The callable that an executor gets.
#[pyclass(frozen, module = "tenure", name = "_Task")]
struct Task {
    call: Arc<Call>,
    index: usize,
}

#[pymethods]
impl Task {
    fn __call__(&self, py: Python<'_>) {
        py.detach(|| self.call.run(self.index));
    }
}

/// The callback of the library.
///
/// # Safety
/// - As for `tn_run_callback`; `context` is a live `Runner`.
unsafe extern "C" fn run(context: *mut c_void, task: tn_task, argument: *mut c_void, count: usize) {
    let Some(task) = task else { return };
    let state = Mutex::new(State { over: false, running: 0 });
    let call = Arc::new(Call { task, argument: argument as usize, state, idle: Condvar::new() });
    // Where the interpreter is ending this does nothing, and the library does all tasks on this thread.
    while_alive(|py| {
        // SAFETY: the object, which `__enter__` keeps alive; the interpreter is attached.
        let runner = unsafe { Bound::from_borrowed_ptr(py, context.cast()) };
        if let Err(error) = submit(&runner, &call, count) {
            error.write_unraisable(py, Some(&runner));
        }
        py.detach(|| {
            call.run(0);
            call.end();
        });
    });
}

/// Submits all tasks but the first to the executor.
fn submit(runner: &Bound<'_, PyAny>, call: &Arc<Call>, count: usize) -> PyResult<()> {
    let executor = runner.cast::<Runner>()?.get().executor.bind(runner.py());
    for index in 1..count {
        executor.call_method1("submit", (Task { call: call.clone(), index },))?;
    }
    Ok(())
}
