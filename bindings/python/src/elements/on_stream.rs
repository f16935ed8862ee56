//! Borrows for work on a stream: `x.on(stream)` (PY-16).

use crate::api::{self, Id, cuda};
use crate::base::site;
use crate::elements::device_view::DeviceView;
use crate::handles::array::Array;
use crate::handles::stream::Stream;
use crate::sys::*;
use crate::values::convert::mode_of;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::sync::{Mutex, PoisonError};

/// A borrow for work on a stream: the result of `x.on(stream)`.
#[pyclass(frozen, module = "tenure", name = "OnStream")]
pub struct OnStream {
    array: Py<Array>,
    access: u32,
    stream: Py<Stream>,
    open: Mutex<Option<Lease>>,
}

/// A guard for work of a stream, with its own handle to that stream: a caller that releases its stream in the block
/// does not leave the guard open.
struct Lease {
    guard: Id,
    stream: Id,
}

impl Lease {
    fn end(self, flags: u32) -> api::Result<()> {
        let ended = cuda::borrow_end_on(self.guard, flags, self.stream);
        // Never fails for an open handle, so the message of a failure above stays.
        let _ = cuda::stream_release(self.stream);
        ended
    }
}

impl OnStream {
    /// access: TN_READ, or TN_READ_WRITE with a mode.
    pub fn new<'py>(
        array: Bound<'py, Array>,
        access: u32,
        stream: &Bound<'py, Stream>,
    ) -> PyResult<Bound<'py, OnStream>> {
        let py = array.py();
        let stream = stream.clone().unbind();
        Bound::new(py, OnStream { array: array.unbind(), access, stream, open: Mutex::new(None) })
    }
}

#[pymethods]
impl OnStream {
    fn __enter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, DeviceView>> {
        let _site = site::here(py);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.is_some() {
            return Err(PyRuntimeError::new_err("this borrow is already open; make another one for another block"));
        }
        let (id, stream) = (self.array.get().id()?, self.stream.get().another()?);
        let (guard, view) = match cuda::borrow_on(id, self.access, stream) {
            Ok(taken) => taken,
            Err(failure) => {
                let error = failure.into();
                let _ = cuda::stream_release(stream);
                return Err(error);
            }
        };
        *open = Some(Lease { guard, stream });
        Bound::new(py, DeviceView::of(&view, self.access & TN_WRITE == 0))
    }

    #[pyo3(signature = (exception=None, *_rest))]
    fn __exit__(&self, exception: Option<&Bound<'_, PyAny>>, _rest: &Bound<'_, PyTuple>) -> PyResult<()> {
        let Some(lease) = self.open.lock().unwrap_or_else(PoisonError::into_inner).take() else { return Ok(()) };
        Ok(lease.end(if exception.is_some() { TN_END_FAILED } else { 0 })?)
    }
}

impl Drop for OnStream {
    fn drop(&mut self) {
        if let Some(lease) = self.open.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            // The block never ended, and there is no caller to report to.
            let _ = lease.end(0);
        }
    }
}

#[pymethods]
impl Array {
    /// `with x.on(stream) as view:` lends the array to work on a stream. The block issues the work on the address in
    /// `view`. Until that work is done, the library lets no other code use the bytes. The stream waits for other
    /// streams' work on them.
    ///
    /// view: a `DeviceView` with `pointer`, `shape`, `strides`, `dtype`. write: the work writes; mode: as in `fill`.
    #[pyo3(signature = (stream, *, write=false, mode=None))]
    fn on<'py>(
        slf: Bound<'py, Self>,
        stream: &Bound<'py, Stream>,
        write: bool,
        mode: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, OnStream>> {
        let access = if write { TN_READ_WRITE | mode_of(mode)? } else { TN_READ };
        OnStream::new(slf, access, stream)
    }
}
