//! Streams, events and the scopes that make a stream current: the native half of `tenure.cuda`.
//!
//! Contract: one object owns one handle of the library, never a constant. The end of the object releases it, also while
//! work is pending. A call that may wait for a device runs with the interpreter released.

use crate::api::{self, Id, cuda};
use crate::base::errors;
use crate::base::interpreter::while_alive;
use crate::sys::*;
use crate::values::convert::{device_of, device_text, parameter_of};
use core::sync::atomic::{AtomicU64, Ordering};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyTuple};
use std::sync::{Mutex, PoisonError};
use std::thread::ThreadId;

/// The thread's current stream of a call's device.
const CURRENT: Id = Id(3);
/// Nanoseconds in a millisecond, CUDA's unit of time.
const MILLISECOND: f64 = 1e6;

/// The open scopes of an object. The thread that entered a scope leaves it.
#[derive(Default)]
struct Scopes(Mutex<Vec<(ThreadId, Id)>>);

impl Scopes {
    fn enter(&self, py: Python<'_>, device: tn_device, stream: Id, flags: u32) -> PyResult<()> {
        let scope = py.detach(|| cuda::stream_enter(device, stream, flags).map_err(PyErr::from))?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((std::thread::current().id(), scope));
        Ok(())
    }

    fn leave(&self, py: Python<'_>) -> PyResult<()> {
        let thread = std::thread::current().id();
        let scope = {
            let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            list.iter().rposition(|(of, _)| *of == thread).map(|at| list.remove(at).1)
        };
        let Some(scope) = scope else {
            return Err(PyRuntimeError::new_err("this thread has no open `with` block of this stream"));
        };
        py.detach(|| cuda::stream_leave(scope).map_err(PyErr::from))
    }
}

/// A queue of work on a device, made by `tenure.cuda.stream()`. The end of the object releases it, also while work is
/// pending.
///
/// `with s:` makes it the thread's current stream. `with s.auto_synchronize():` also waits for it at the end of the
/// block.
///
/// >>> s = cuda.stream()
/// >>> with s.auto_synchronize():
/// ...     d = cuda.to_device(n, stream=s)
#[pyclass(frozen, weakref, module = "tenure.cuda", name = "Stream")]
pub struct Stream {
    /// 0: released.
    id: AtomicU64,
    device: tn_device,
    scopes: Scopes,
    /// The object that has the CUstream of another library: it lives as long as this one.
    _owner: Option<Py<PyAny>>,
}

impl Stream {
    fn wrap(py: Python<'_>, id: Id, device: tn_device, owner: Option<Py<PyAny>>) -> PyResult<Bound<'_, Stream>> {
        Bound::new(py, Stream { id: AtomicU64::new(id.0), device, scopes: Scopes::default(), _owner: owner })
    }

    /// The handle, if the object still has one.
    pub fn id(&self) -> PyResult<Id> {
        match self.id.load(Ordering::Relaxed) {
            0 => Err(Python::attach(|py| {
                errors::with_text(py, TN_ERR_STALE, "this stream was released; only its repr works", false)
            })),
            id => Ok(Id(id)),
        }
    }

    /// The GPU.
    pub fn device_code(&self) -> tn_device {
        self.device
    }

    /// Another handle on the same stream.
    pub fn another(&self) -> PyResult<Id> {
        Ok(cuda::stream_import(self.device, cuda::stream_native(self.id()?)?)?)
    }

    /// The handle of a `stream=` argument. None and 0, Numba's default, are NULL: the work is complete when the call
    /// returns.
    pub fn id_of(stream: Option<&Bound<'_, PyAny>>) -> PyResult<Id> {
        let Some(stream) = stream else { return Ok(Id::NULL) };
        if let Ok(stream) = stream.cast::<Stream>() {
            return stream.get().id();
        }
        if stream.is_exact_instance_of::<PyInt>() && stream.eq(0)? {
            return Ok(Id::NULL);
        }
        Err(PyTypeError::new_err(format!(
            "stream must be a tenure.cuda.Stream or None, not {}; tenure.cuda.external_stream(stream) makes one of another library's stream",
            stream.get_type().name()?
        )))
    }
}

/// Makes the call of a finalizer, without the interpreter's lock: the driver may wait for a host function that needs it.
/// A finalizer cannot report a failure, and releasing an open handle never fails.
fn released(release: impl Fn() -> api::Result<()> + Copy + Send) {
    if while_alive(|py| py.detach(release)).is_none() {
        let _ = release();
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let id = *self.id.get_mut();
        if id != 0 {
            released(move || cuda::stream_release(Id(id)));
        }
    }
}

#[pymethods]
impl Stream {
    /// Waits until all work of the stream is done. Raises an error of that work.
    pub fn synchronize(&self, py: Python<'_>) -> PyResult<()> {
        let id = self.id()?;
        py.detach(|| cuda::stream_synchronize(id).map_err(PyErr::from))
    }

    /// The CUstream as an integer, for other libraries: 1 is the legacy stream, 2 the per-thread one, never 0.
    #[getter]
    fn native(&self) -> PyResult<u64> {
        Ok(cuda::stream_native(self.id()?)?)
    }

    /// The device, such as "cuda:0".
    #[getter]
    fn device(&self) -> String {
        device_text(self.device)
    }

    /// The handle as an integer, valid while this object exists.
    #[getter]
    fn handle(&self) -> PyResult<u64> {
        Ok(self.id()?.0)
    }

    /// The handle for ctypes.
    #[getter]
    fn _as_parameter_<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        parameter_of(py, self.id()?)
    }

    /// `with s.auto_synchronize():` makes the stream current. The end of the block waits for it and restores the
    /// previous one.
    fn auto_synchronize(slf: Bound<'_, Self>) -> StreamScope {
        StreamScope { stream: slf.unbind(), scopes: Scopes::default() }
    }

    /// Until the end of the block, this is the thread's current stream of its device.
    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        let this = slf.get();
        this.scopes.enter(slf.py(), this.device, this.id()?, 0)?;
        Ok(slf)
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.scopes.leave(py)
    }

    /// Releases the handle now; pending work continues. Calling it twice is allowed.
    fn release(&self) -> PyResult<()> {
        match self.id.swap(0, Ordering::Relaxed) {
            0 => Ok(()),
            id => Ok(cuda::stream_release(Id(id))?),
        }
    }

    /// `await s.done()` lets other tasks run until all work that the stream has now is done.
    fn done<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("tenure.cuda")?.getattr("_done")?.call1((slf,))
    }

    /// Whether both objects mean one CUstream on one device.
    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        let Ok(other) = other.cast::<Stream>() else { return false };
        let place = |stream: &Stream| {
            let id = Id(stream.id.load(Ordering::Relaxed));
            if id == Id::NULL { None } else { cuda::stream_native(id).ok().map(|native| (native, stream.device.id)) }
        };
        core::ptr::eq(self, other.get()) || (place(self).is_some() && place(self) == place(other.get()))
    }

    /// One value for all streams of a device, because a released stream's CUstream is not known any more.
    fn __hash__(&self) -> i32 {
        self.device.id
    }

    fn __repr__(&self) -> String {
        match self.id().and_then(|id| Ok(cuda::stream_native(id)?)) {
            Ok(1) => format!("<legacy stream of {}>", self.device()),
            Ok(2) => format!("<per-thread stream of {}>", self.device()),
            Ok(native) => format!("<stream {native:#x} of {}>", self.device()),
            Err(_) => "<released stream>".to_owned(),
        }
    }
}

/// The context manager of `Stream.auto_synchronize()`.
#[pyclass(frozen, module = "tenure.cuda", name = "StreamScope")]
pub struct StreamScope {
    stream: Py<Stream>,
    scopes: Scopes,
}

#[pymethods]
impl StreamScope {
    fn __enter__(&self, py: Python<'_>) -> PyResult<Py<Stream>> {
        let stream = self.stream.get();
        self.scopes.enter(py, stream.device, stream.id()?, TN_AUTO_SYNCHRONIZE)?;
        Ok(self.stream.clone_ref(py))
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.scopes.leave(py)
    }
}

/// Creates a stream on a device.
#[pyfunction]
pub fn _stream<'py>(py: Python<'py>, device: &str, priority: i32, blocking: bool) -> PyResult<Bound<'py, Stream>> {
    let device = device_of(device)?;
    let flags = if blocking { TN_STREAM_BLOCKING } else { 0 };
    let id = py.detach(|| cuda::stream_create(device, flags, priority).map_err(PyErr::from))?;
    Stream::wrap(py, id, device, None)
}

/// Makes the object for a stream of another library, which keeps the stream. `owner` lives as long as the object.
#[pyfunction]
#[pyo3(signature = (device, native, owner=None))]
pub fn _external_stream<'py>(
    py: Python<'py>,
    device: &str,
    native: u64,
    owner: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, Stream>> {
    let device = device_of(device)?;
    let id = py.detach(|| cuda::stream_import(device, native).map_err(PyErr::from))?;
    Stream::wrap(py, id, device, owner)
}

/// The thread's current stream.
#[pyfunction]
pub fn _current_stream<'py>(py: Python<'py>, device: &str) -> PyResult<Bound<'py, Stream>> {
    let device = device_of(device)?;
    let id = py.detach(|| cuda::stream_current(device).map_err(PyErr::from))?;
    Stream::wrap(py, id, device, None)
}

/// A point in a stream, made by `tenure.cuda.event()`.
///
/// An event that was not recorded counts as passed. Recording it again moves it; a stream that waits already keeps
/// waiting for the old point.
#[pyclass(frozen, weakref, module = "tenure.cuda", name = "Event")]
pub struct Event {
    id: Id,
    device: tn_device,
}

impl Drop for Event {
    fn drop(&mut self) {
        let id = self.id;
        released(move || cuda::event_release(id));
    }
}

/// Creates an event of a device. timing: for `elapsed_time`.
#[pyfunction]
pub fn _event<'py>(py: Python<'py>, device: &str, timing: bool) -> PyResult<Bound<'py, Event>> {
    let device = device_of(device)?;
    let flags = if timing { TN_EVENT_TIMING } else { 0 };
    let id = py.detach(|| cuda::event_create(device, flags).map_err(PyErr::from))?;
    Bound::new(py, Event { id, device })
}

/// The stream of an argument. None and 0, Numba's default, are the current one here.
fn or_current(stream: Option<&Bound<'_, PyAny>>) -> PyResult<Id> {
    Ok(match Stream::id_of(stream)? {
        Id::NULL => CURRENT,
        id => id,
    })
}

#[pymethods]
impl Event {
    /// Records the event behind the work that `stream` has now, or the current stream.
    #[pyo3(signature = (stream=None))]
    fn record(&self, stream: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        Ok(cuda::event_record(self.id, or_current(stream)?)?)
    }

    /// Makes `stream`, or the current one, wait for the event. The host does not wait.
    #[pyo3(signature = (stream=None))]
    fn wait(&self, stream: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        Ok(cuda::event_wait(self.id, or_current(stream)?)?)
    }

    /// Makes the host wait for the event.
    fn synchronize(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| cuda::event_synchronize(self.id).map_err(PyErr::from))
    }

    /// Whether the event has passed. Never waits.
    fn query(&self) -> PyResult<bool> {
        Ok(cuda::event_query(self.id)?)
    }

    fn __repr__(&self) -> String {
        format!("<event of {}>", device_text(self.device))
    }

    /// Milliseconds from this event to another. Both have passed, and both were made with timing.
    fn elapsed_time(&self, end: &Bound<'_, Event>) -> PyResult<f64> {
        Ok(cuda::event_elapsed(self.id, end.get().id)? as f64 / MILLISECOND)
    }
}
