//! give and take, weak handles, and handles that cross to and from other languages (PY-1 with an explicit `required`,
//! PY-5, PY-6, PY-20).
//!
//! Contract: a promise object owns its promise; when it is collected unused, the giver has its array back and a
//! ResourceWarning says so. Handles are integers outside; a wrong one is the exception of its status.

use crate::api::{self, Failure, Id};
use crate::array::Array;
use crate::errors;
use crate::site;
use crate::text;
use crate::types::*;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use pyo3::exceptions::{PyAttributeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// An array on its way: what `tenure.give(x)` gives. It has no data; `tenure.take(promise)` makes an array of it.
#[pyclass(frozen, weakref, module = "tenure", name = "Promise")]
pub struct Promise {
    id: u64,
    /// The promise was handed out by `detach`: it is not ours to release.
    detached: AtomicBool,
    /// What was given: "array float64 (2, 3) \"K\"".
    what: String,
}

impl Promise {
    fn wrap(py: Python<'_>, id: Id, what: String) -> PyResult<Bound<'_, Promise>> {
        Bound::new(py, Promise { id: id.0, detached: AtomicBool::new(false), what })
    }

    fn help(&self) -> String {
        format!(
            "<tenure promise of {}>\n  \
             The function that received it has to unwrap it: `array = tenure.take(promise)` at its top.\n  \
             Until then it has no data, no shape and no arithmetic.\n  \
             promise.cancel() gives the array back to who gave it.",
            self.what
        )
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if *self.detached.get_mut() {
            return;
        }
        // Cancelling works exactly where nobody took or cancelled it.
        if api::promise_cancel(Id(self.id)).is_ok() {
            warn(&self.what);
        }
        let _ = api::promise_release(Id(self.id));
    }
}

/// Says that a promise was never used; what a warning that is turned into an error raises goes where such errors go.
fn warn(what: &str) {
    Python::try_attach(|py| {
        let pending = PyErr::take(py);
        let text = format!("a promise of {what} was never taken; the giver has its array back");
        if let Ok(text) = std::ffi::CString::new(text) {
            let category = py.get_type::<pyo3::exceptions::PyResourceWarning>();
            if let Err(error) = PyErr::warn(py, category.as_any(), &text, 1) {
                error.write_unraisable(py, None);
            }
        }
        if let Some(pending) = pending {
            pending.restore(py);
        }
    });
}

#[pymethods]
impl Promise {
    /// The giver has its array back. A promise that was taken or cancelled already raises.
    fn cancel(&self) -> PyResult<()> {
        Ok(api::promise_cancel(Id(self.id))?)
    }

    /// The promise's handle as an integer, lent: valid while this object lives.
    #[getter]
    fn handle(&self) -> u64 {
        self.id
    }

    /// The lent handle for ctypes.
    #[getter]
    fn _as_parameter_<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("ctypes")?.getattr("c_void_p")?.call1((self.id,))
    }

    /// Hands the handle out as an integer; whoever gets it takes it and releases it (`tn_promise_release`).
    fn detach(&self) -> PyResult<u64> {
        if self.detached.swap(true, Ordering::Relaxed) {
            return Err(PyValueError::new_err("this promise was detached already"));
        }
        Ok(self.id)
    }

    fn __repr__(&self) -> String {
        self.help()
    }

    /// What an array has and a promise has not is a TypeError that says why.
    fn __getattr__(slf: &Bound<'_, Self>, name: &str) -> PyResult<Py<PyAny>> {
        let array = slf.py().get_type::<Array>();
        if array.hasattr(name)? {
            return Err(PyTypeError::new_err(format!("a promise has no {name}: {}", slf.get().help())));
        }
        Err(PyAttributeError::new_err(format!("'tenure.Promise' object has no attribute '{name}'")))
    }
}

/// Wraps the array's handle in a promise not to use it again: `f(tenure.give(x))`, where f takes it.
///
/// The array is refused (GIVEN) until the promise is taken or cancelled; if it was taken it is destructed for good.
/// required: how many variables refer to the array, where the promise of one of them is not enough.
///
/// >>> p = tenure.give(x)
/// >>> y = tenure.take(p)
/// >>> x
/// <destructed array (...)>
#[pyfunction]
#[pyo3(signature = (array, required=1))]
pub fn give<'py>(py: Python<'py>, array: &Bound<'py, Array>, required: i64) -> PyResult<Bound<'py, Promise>> {
    let id = array.get().id()?;
    if required < 1 {
        return Err(PyValueError::new_err(format!("required counts variables and is at least 1, not {required}")));
    }
    let what = text::brief(array);
    let _site = site::here(py);
    let promise = api::give(id, u32::try_from(required).unwrap_or(u32::MAX))?;
    Promise::wrap(py, promise, what)
}

/// The array of a promise. Several promises give a tuple, all or nothing.
///
/// >>> def f(promise):
/// ...     x = tenure.take(promise)
#[pyfunction]
#[pyo3(signature = (promise, *more))]
pub fn take<'py>(
    py: Python<'py>,
    promise: &Bound<'py, Promise>,
    more: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    let mut ids = vec![Id(promise.get().id)];
    for promise in more.iter() {
        ids.push(Id(promise.cast::<Promise>()?.get().id));
    }
    let _site = site::here(py);
    let taken = api::take(&ids)?;
    // Each handle gets its object before an error of one of them is reported, so that none is lost.
    let mut arrays: Vec<PyResult<Bound<'_, Array>>> = taken.into_iter().map(|id| Array::adopt(py, id)).collect();
    if more.is_empty() {
        return arrays.remove(0).map(Bound::into_any);
    }
    let arrays: Vec<_> = arrays.into_iter().collect::<PyResult<_>>()?;
    Ok(PyTuple::new(py, arrays)?.into_any())
}

/// A handle without a claim: what `x.weak()` gives.
#[pyclass(frozen, weakref, module = "tenure", name = "Weak")]
pub struct Weak {
    id: AtomicU64,
}

impl Weak {
    /// An object that owns the weak handle.
    pub fn wrap(py: Python<'_>, id: Id) -> PyResult<Bound<'_, Weak>> {
        Bound::new(py, Weak { id: AtomicU64::new(id.0) })
    }
}

impl Drop for Weak {
    fn drop(&mut self) {
        let id = *self.id.get_mut();
        if id != 0 {
            let _ = api::weak_release(Id(id));
        }
    }
}

#[pymethods]
impl Weak {
    /// A new array on the bytes, as long as somebody has a claim on them; else OwnershipError.
    fn upgrade<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Array>> {
        let _site = site::here(py);
        Array::adopt(py, api::upgrade(Id(self.id.load(Ordering::Relaxed)))?)
    }

    /// Gives the weak handle back. Twice is fine.
    fn release(&self) -> PyResult<()> {
        match self.id.swap(0, Ordering::Relaxed) {
            0 => Ok(()),
            id => Ok(api::weak_release(Id(id))?),
        }
    }

    /// The handle as an integer, lent: valid while this object lives.
    #[getter]
    fn handle(&self) -> u64 {
        self.id.load(Ordering::Relaxed)
    }

    fn __repr__(&self) -> String {
        if self.id.load(Ordering::Relaxed) == 0 { "<released weak handle>" } else { "<tenure weak handle>" }.to_owned()
    }
}

/// The object for a handle that other code handed over: an array or a promise. It is this object's to release from
/// now on.
#[pyfunction]
pub fn from_handle(py: Python<'_>, handle: u64) -> PyResult<Bound<'_, PyAny>> {
    let id = Id(handle);
    match api::query(id) {
        Ok(info) => Ok(Array::wrap(py, id, info.dtype, info.ndim)?.into_any()),
        Err(Failure(TN_ERR_KIND)) if is_promise(id)? => Ok(Promise::wrap(py, id, "array".to_owned())?.into_any()),
        Err(failure) => Err(failure.into()),
    }
}

/// A promise that can be taken: naming it twice is refused as a duplicate, after everything else was found right.
fn is_promise(id: Id) -> PyResult<bool> {
    match api::take(&[id, id]) {
        Err(Failure(TN_ERR_DUPLICATE)) => Ok(true),
        Err(Failure(TN_ERR_KIND)) => {
            let text = format!("{:#x} is the handle of neither an array nor a promise", id.0);
            Err(Python::attach(|py| errors::with_text(py, TN_ERR_KIND, &text, false)))
        }
        Err(failure) => Err(failure.into()),
        Ok(_) => Ok(false),
    }
}

/// A new array on the bytes of a handle that was lent: the handle stays who lent it.
#[pyfunction]
pub fn clone_handle(py: Python<'_>, handle: u64) -> PyResult<Bound<'_, Array>> {
    let _site = site::here(py);
    Array::adopt(py, api::clone(Id(handle))?)
}
