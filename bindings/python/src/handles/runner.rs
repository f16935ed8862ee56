//! `tenure.Runner`: large copies on the threads of an executor.
//!
//! Contract: what the library asks for is a [`Task`] given to `executor.submit`, as often as it wants tasks, but for one that the calling
//! thread does itself. When the callback returns no task runs, and none that starts later does anything: so nothing depends on what the
//! executor does with them, nor on what its futures are. Failures of the executor are written to `sys.unraisablehook`; the copy is whole.

use crate::api;
use crate::types::*;
use core::ffi::c_void;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

/// Copies of fewer bytes stay on their thread: handing over through Python costs some 50 us, a copy of so many bytes ten times that.
const LEAST_BYTES: usize = 8 << 20;

/// What was current before a block.
struct Before(tn_runner);

// SAFETY: its pointers are handed back to the library on the thread that they came from, and not followed here.
unsafe impl Send for Before {}

/// Threads for large copies. Until the end of a `with` block, copies and fills of this thread that have at least `least_bytes` bytes are
/// divided among at most `threads` threads: the calling one, and those of `executor`, a `concurrent.futures.Executor` that runs threads.
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
            return Err(PyValueError::new_err("threads is 0; 1 is the calling thread alone"));
        }
        Ok(Runner { executor, threads, least_bytes: least_bytes.max(1), before: Mutex::new(Vec::new()) })
    }

    /// Until the end of the block this thread's large copies are divided.
    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        let runner = slf.get();
        let before = api::runner_current()?;
        // While it is current the library has a pointer to it, and so a reference of its own.
        let context = slf.clone().into_ptr();
        let new = tn_runner {
            size: size_of::<tn_runner>(),
            run: Some(run),
            context: context.cast(),
            threads: runner.threads,
            least_bytes: runner.least_bytes,
        };
        // SAFETY: `run` does what it must, and its context lives until the block ends.
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
            return Err(PyRuntimeError::new_err("this thread is in no `with` block of this runner"));
        };
        // SAFETY: it was current when the block began, and whoever made it current has not ended that yet.
        unsafe { api::runner_set_current(&before)? };
        // SAFETY: the reference that `__enter__` took.
        drop(unsafe { Bound::from_owned_ptr(slf.py(), slf.as_ptr()) });
        Ok(())
    }

    /// At most so many threads, the calling one among them.
    #[getter]
    fn threads(&self) -> usize {
        self.threads
    }

    /// Copies of fewer bytes stay on their thread.
    #[getter]
    fn least_bytes(&self) -> usize {
        self.least_bytes
    }

    fn __repr__(&self) -> String {
        format!("<tenure.Runner of {} threads from {} bytes>", self.threads, self.least_bytes)
    }
}

/// A call of the library's: its task, and who is at it.
struct Call {
    task: unsafe extern "C" fn(*mut c_void, usize),
    argument: usize,
    state: Mutex<State>,
    idle: Condvar,
}

struct State {
    /// The library has its answer: the argument is gone.
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
        // SAFETY: the library's own function with its own argument, before its callback has returned.
        unsafe { (self.task)(self.argument as *mut c_void, index) };
        self.state().running -= 1;
        self.idle.notify_all();
    }

    /// Lets no more begin, and waits for those that have.
    fn end(&self) {
        let mut state = self.state();
        state.over = true;
        while state.running > 0 {
            state = self.idle.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// What an executor gets.
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

/// The callback.
///
/// # Safety
/// - as `tn_run_callback`; `context` is a live `Runner`.
unsafe extern "C" fn run(context: *mut c_void, task: tn_task, argument: *mut c_void, count: usize) {
    let Some(task) = task else { return };
    let state = Mutex::new(State { over: false, running: 0 });
    let call = Arc::new(Call { task, argument: argument as usize, state, idle: Condvar::new() });
    // None: the interpreter is ending, and this thread does it all.
    Python::try_attach(|py| {
        // SAFETY: the object, which `__enter__` keeps alive; the interpreter is held.
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

/// Gives all tasks but the first to the executor.
fn submit(runner: &Bound<'_, PyAny>, call: &Arc<Call>, count: usize) -> PyResult<()> {
    let executor = runner.cast::<Runner>()?.get().executor.bind(runner.py());
    for index in 1..count {
        executor.call_method1("submit", (Task { call: call.clone(), index },))?;
    }
    Ok(())
}
