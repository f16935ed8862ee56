//! Borrows of a mirror's side as context managers: `m.read(where)` and `m.write(where)`.
//!
//! Contract: as for the borrows of arrays: the guard ends with the block, that of a writer with TN_END_FAILED after an
//! exception. A view of the host side that is kept elsewhere becomes a shared view of that side, which then is held.
//! Begin and end release the GIL, because they may move bytes.

use crate::api::{Id, cuda, mirror as c};
use crate::base::guard::{Guard, Kept};
use crate::base::interpreter::SameThread;
use crate::base::site;
use crate::elements::block_variables;
use crate::elements::borrow::{BorrowedBuffer, Shown, shown};
use crate::elements::ended_view::invalidate_view;
use crate::handles::mirror::{Mirror, side_of};
use crate::handles::stream::Stream;
use crate::sys::*;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::sync::{Arc, Mutex, PoisonError};

/// A borrow of a mirror's side: the result of `m.read()` and `m.write()`.
#[pyclass(frozen, module = "tenure", name = "MirrorBorrow")]
pub struct MirrorBorrow {
    mirror: Py<Mirror>,
    side: tn_side,
    access: tn_access,
    stream: Option<Py<Stream>>,
    open: Mutex<Option<Open>>,
}

/// The guard and the view of an open block.
struct Open {
    guard: Arc<Guard>,
    /// Its own handle on the stream, so that a caller that releases the stream in the block does not leave the guard
    /// open.
    stream: Id,
    shown: Shown,
}

impl MirrorBorrow {
    fn new<'py>(
        mirror: Bound<'py, Mirror>,
        r#where: &str,
        access: tn_access,
        stream: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, MirrorBorrow>> {
        let (py, side) = (mirror.py(), side_of(r#where)?);
        Stream::id_of(stream)?;
        let stream = stream.and_then(|stream| stream.cast::<Stream>().ok()).map(|stream| stream.clone().unbind());
        Bound::new(py, MirrorBorrow { mirror: mirror.unbind(), side, access, stream, open: Mutex::new(None) })
    }

    /// A shared view of the side keeps the bytes of a view that outlives its block.
    fn keep(&self, buffer: &Py<BorrowedBuffer>) {
        let kept = self.mirror.get().id().ok().and_then(|mirror| c::get(mirror, self.side).ok()).map(|array| {
            let claim = Kept::Claim(array);
            buffer.get().shared(array).unwrap_or(claim)
        });
        *buffer.get().kept() = kept;
    }
}

/// Releases the handle on a stream, which never fails for an open one.
fn release(stream: Id) {
    if stream != Id::NULL {
        let _ = cuda::stream_release(stream);
    }
}

#[pymethods]
impl MirrorBorrow {
    fn __enter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let _site = site::here(py);
        if self.open.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            return Err(PyRuntimeError::new_err("this borrow is already open; make another one for another block"));
        }
        let mirror = self.mirror.get().id()?;
        let stream = self.stream.as_ref().map_or(Ok(Id::NULL), |stream| stream.get().another())?;
        let (side, access) = (self.side, self.access);
        let opened = py.detach(|| c::acquire(mirror, side, access, stream).map(SameThread).map_err(PyErr::from));
        let (id, view) = opened.inspect_err(|_| release(stream))?.0;
        let guard = Guard::new(id, false);
        let shown = shown(py, &guard, &view, access & TN_WRITE == 0, view.data as usize);
        let shown = shown.inspect_err(|_| release(stream))?;
        let given = shown.view.bind(py).clone();
        // The host is done with the bytes when the block ends, whatever stream moved them.
        let ended_on = if side == TN_SIDE_HOST { Id::NULL } else { stream };
        if ended_on != stream {
            release(stream);
        }
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some(Open { guard, stream: ended_on, shown });
        Ok(given)
    }

    #[pyo3(signature = (exception=None, *_rest))]
    fn __exit__(
        &self,
        py: Python<'_>,
        exception: Option<&Bound<'_, PyAny>>,
        _rest: &Bound<'_, PyTuple>,
    ) -> PyResult<()> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Open { guard, stream, shown: Shown { view, buffer } }) = open else { return Ok(()) };
        let _site = site::here(py);
        let failed = exception.is_some();
        guard.mark_failed(failed);
        if block_variables::bound_to_one_variable(py, &[&view]).is_ok_and(|known| known[0]) {
            invalidate_view(view.into_bound(py));
        } else {
            drop(view);
        }
        let ended =
            py.detach(|| guard.finish_by(|id, flags| cuda::borrow_end_on(id, flags, stream).map_err(PyErr::from)));
        release(stream);
        if let Some(buffer) = buffer.filter(|buffer| buffer.get().has_views()) {
            py.detach(|| self.keep(&buffer));
        }
        ended
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let which = if self.access & TN_WRITE != 0 { "write" } else { "read" };
        let side = if self.side == TN_SIDE_HOST { "host" } else { "device" };
        Ok(format!("<{which} borrow of the {side} side of {}>", self.mirror.bind(py).repr()?))
    }
}

#[pymethods]
impl Mirror {
    /// `with m.read(where) as view:` makes a side valid and lends it for reading: the host side as a NumPy array, the
    /// device side as a `DeviceView`.
    ///
    /// stream: orders the transfer and the work on the device; None: the transfer is complete when the block begins,
    /// and the work when it ends.
    #[pyo3(signature = (r#where="host", stream=None))]
    fn read<'py>(
        slf: Bound<'py, Self>,
        r#where: &str,
        stream: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, MirrorBorrow>> {
        MirrorBorrow::new(slf, r#where, TN_READ, stream)
    }

    /// `with m.write(where) as view:` as `read`, for writing too: the end of the block makes the side the only valid
    /// one, and refreshes the other one if somebody holds it.
    ///
    /// overwrite: the block writes every element, so no transfer is needed. After an exception the contents are those
    /// of the other side if that was valid, else undefined.
    #[pyo3(signature = (r#where="host", stream=None, *, overwrite=false))]
    fn write<'py>(
        slf: Bound<'py, Self>,
        r#where: &str,
        stream: Option<&Bound<'py, PyAny>>,
        overwrite: bool,
    ) -> PyResult<Bound<'py, MirrorBorrow>> {
        MirrorBorrow::new(slf, r#where, if overwrite { TN_WRITE } else { TN_READ_WRITE }, stream)
    }
}
