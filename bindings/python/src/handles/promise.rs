//! `give` and `take`, and handles that other languages pass in (PY-1, PY-5, PY-20). `operations::takes` has
//! `@tenure.takes`.
//!
//! Contract: a promise object owns its promise. When an unused one is collected, the giver can use its array again and
//! a ResourceWarning reports it. Outside, handles are integers; a wrong one raises the exception of its status.

use crate::api::{self, Failure, Id, cuda};
use crate::base::{errors, site};
use crate::handles::array::{Array, brief};
use crate::handles::pool::Pool;
use crate::handles::references;
use crate::handles::stream::Stream;
use crate::sys::*;
use crate::values::convert::{device_of, parameter_of, text_of};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use pyo3::exceptions::{PyAttributeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// An array on its way to a new owner: the result of `tenure.give(x)`. It has no data; `tenure.take(promise)` makes an
/// array of it.
#[pyclass(frozen, weakref, module = "tenure", name = "Promise")]
pub struct Promise {
    id: AtomicU64,
    /// `detach` handed the promise out: the receiver releases it.
    detached: AtomicBool,
    /// A description of the array: `array float64 (2, 3) "K"`.
    what: String,
    /// The given handle, and the number of variables that it has; None: not known.
    giver: Option<(Id, u32)>,
    /// The variables were counted; the caller did not pass the number.
    counted: bool,
}

impl Promise {
    fn wrap(py: Python<'_>, id: Id, what: String) -> PyResult<Bound<'_, Promise>> {
        Self::of(py, id, what, None, false)
    }

    fn of(
        py: Python<'_>,
        id: Id,
        what: String,
        giver: Option<(Id, u32)>,
        counted: bool,
    ) -> PyResult<Bound<'_, Promise>> {
        Bound::new(py, Promise { id: AtomicU64::new(id.0), detached: AtomicBool::new(false), what, giver, counted })
    }

    /// The promise's handle.
    pub fn id(&self) -> Id {
        Id(self.id.load(Ordering::Relaxed))
    }

    /// The given handle, if this package gave it.
    pub fn giver(&self) -> Option<Id> {
        self.giver.map(|(giver, _)| giver)
    }

    /// The given handle, if its variables were counted.
    pub fn counted(&self) -> Option<Id> {
        self.giver.filter(|_| self.counted).map(|(giver, _)| giver)
    }

    /// Number of variables, each of which needs a promise.
    pub fn required(&self) -> u32 {
        self.giver.map_or(1, |(_, required)| required)
    }

    /// Replaces a cancelled promise by another one for its handle.
    pub fn renew(&self, id: Id) {
        let old = self.id.swap(id.0, Ordering::Relaxed);
        let _ = api::promise_release(Id(old));
    }

    /// A message with what the promise is of in place of its handle.
    fn named(&self, text: &str) -> String {
        text.replace(&format!("{:#018x}", self.id().0), &format!("of {}", self.what))
    }

    fn help(&self) -> String {
        format!(
            "<tenure promise of {}>\n  \
             The function that received it lacks `@tenure.takes`: put that line above its `def`,\n  \
             or unwrap the promise at its top: `array = tenure.take(promise)`.\n  \
             promise.cancel() returns the array to its giver.{}",
            self.what,
            self.condition()
        )
    }

    /// The condition to move the array, where one promise is not enough.
    fn condition(&self) -> String {
        match self.giver {
            Some((_, required @ 2..)) => {
                let counted = if self.counted { "refer to the array" } else { "refer to it, its giver says" };
                format!(
                    "\n  {required} variables {counted}: it moves if {required} promises come in one call;\n  \
                     with fewer the taker shares its bytes, and overwrites them in place only once the others are gone."
                )
            }
            _ => String::new(),
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if *self.detached.get_mut() {
            return;
        }
        // Cancelling succeeds exactly where the promise was neither taken nor cancelled.
        if api::promise_cancel(self.id()).is_ok() {
            warn(&self.what);
        }
        let _ = api::promise_release(self.id());
    }
}

/// Warns that a promise was never used. Where warnings are errors, the exception goes to `sys.unraisablehook`.
fn warn(what: &str) {
    Python::try_attach(|py| {
        let pending = PyErr::take(py);
        let text = format!("a promise of {what} was never taken; the giver can use its array again");
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
    /// Cancels the promise: the giver can use its array again. Raises if it was taken or cancelled before.
    fn cancel(slf: &Bound<'_, Self>) -> PyResult<()> {
        let nothing = PyTuple::empty(slf.py());
        api::promise_cancel(slf.get().id()).map_err(|failure| described(slf.py(), failure, slf.as_any(), &nothing))
    }

    /// Takes the promise and moves the array to a device, "cuda:0" or "cpu": the old bytes go back to their pool as
    /// soon as they were read. An array that is there already is taken without a copy. If this raises, the promise is
    /// as before.
    ///
    /// stream: the copy becomes work of that stream. pool: the bytes come from there. name: otherwise the array's own.
    ///
    /// >>> y = tenure.give(x, required=1).to_device("cpu")       # x is gone; nothing was copied
    #[pyo3(signature = (device, stream=None, *, pool=None, name=None))]
    fn to_device<'py>(
        slf: &Bound<'py, Self>,
        device: &str,
        stream: Option<&Bound<'py, PyAny>>,
        pool: Option<&Bound<'py, Pool>>,
        name: Option<&str>,
    ) -> PyResult<Bound<'py, Array>> {
        let py = slf.py();
        let (id, device) = (slf.get().id(), device_of(device)?);
        let (pool, stream) = (Pool::id_of(pool)?, Stream::id_of(stream)?);
        let name = name.map(text_of).transpose()?;
        let _site = site::here(py);
        let moved = py.detach(|| {
            let moved = cuda::promise_to_device(id, device, pool, stream);
            moved.map_err(|failure| (failure, api::last_error()))
        });
        let moved = match moved {
            Ok(moved) => Array::adopt(py, moved)?,
            Err((Failure(TN_ERR_DESTRUCTED), text)) => {
                return Err(errors::with_text(py, TN_ERR_DESTRUCTED, &slf.get().named(&text), false));
            }
            Err((Failure(status), text)) => return Err(errors::with_text(py, status, &text, false)),
        };
        if name.is_some() {
            api::set_name(moved.get().id()?, name.as_deref())?;
        }
        Ok(moved)
    }

    /// The promise's handle as an integer, valid while this object exists.
    #[getter]
    fn handle(&self) -> u64 {
        self.id().0
    }

    /// The handle for ctypes.
    #[getter]
    fn _as_parameter_<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        parameter_of(py, self.id())
    }

    /// Returns the handle as an integer. The receiver takes the promise and must call `tn_promise_release`.
    fn detach(&self) -> PyResult<u64> {
        if self.detached.swap(true, Ordering::Relaxed) {
            return Err(PyValueError::new_err("this promise was detached already"));
        }
        Ok(self.id().0)
    }

    fn __repr__(&self) -> String {
        // A promise that can still be taken is refused as a duplicate; any other has another status.
        let id = self.id();
        if matches!(api::take(&[id, id]), Err(Failure(TN_ERR_DUPLICATE))) {
            return self.help();
        }
        format!("<tenure promise of {}, taken or cancelled>", self.what)
    }

    /// An attribute of arrays raises a TypeError that explains promises, and so does a protocol by which a library
    /// would read an array. Other special names are absent, as programs that look at any object expect.
    fn __getattr__(slf: &Bound<'_, Self>, name: &str) -> PyResult<Py<PyAny>> {
        let array = slf.py().get_type::<Array>();
        let protocol = ["__array_", "__dlpack_", "__arrow_"].iter().any(|start| name.starts_with(start));
        if (protocol || !name.starts_with("__")) && array.hasattr(name)? {
            return Err(PyTypeError::new_err(format!("a promise has no {name}: {}", slf.get().help())));
        }
        Err(PyAttributeError::new_err(format!("'tenure.Promise' object has no attribute '{name}'")))
    }
}

/// Makes a promise to hand the array over: `f(tenure.give(x))`, where f has `@tenure.takes`.
///
/// The array is refused (GIVEN) until the promise is taken or cancelled. If a promise came for each variable that
/// refers to the array, the array is destructed for good. Otherwise the taker shares the bytes, and x stays usable.
/// Variables are names, attributes and containers; the call itself does not count. `required=n` sets their number: with
/// `required=1` this promise is enough. With the true number the result does not depend on how an interpreter counts:
/// from CPython 3.14 on, one local variable too many may go unnoticed, and using it then raises.
///
/// >>> p = tenure.give(x)
/// >>> y = tenure.take(p)
/// >>> x.shape
/// Traceback (most recent call last):
/// tenure.OwnershipError: ...
#[pyfunction]
#[pyo3(signature = (array, required=None))]
pub fn give<'py>(py: Python<'py>, array: &Bound<'py, PyAny>, required: Option<i64>) -> PyResult<Bound<'py, Promise>> {
    let Ok(array) = array.cast::<Array>() else {
        let what = array.get_type().name()?;
        return Err(PyTypeError::new_err(format!(
            "give takes a tenure.Array, not {what}; tenure.asarray makes one of others"
        )));
    };
    let counted = references::variables(array);
    let id = array.get().id()?;
    let needed = match required {
        None => counted,
        Some(n) if n < 1 => {
            return Err(PyValueError::new_err(format!("required counts variables and is at least 1, not {n}")));
        }
        Some(n) => u32::try_from(n).unwrap_or(u32::MAX),
    };
    let what = brief(array);
    let _site = site::here(py);
    let promise = api::give(id, needed)?;
    Promise::of(py, promise, what, Some((id, needed)), required.is_none())
}

/// The array of a promise. Several promises give a tuple, all or none.
///
/// >>> def f(promise):
/// ...     x = tenure.take(promise)
#[pyfunction]
#[pyo3(signature = (promise, *more))]
pub fn take<'py>(
    py: Python<'py>,
    promise: &Bound<'py, PyAny>,
    more: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    let id_of = |object: &Bound<'_, PyAny>| match object.cast::<Promise>() {
        Ok(promise) => Ok(promise.get().id()),
        Err(_) => {
            let what = object.get_type().name()?;
            Err(PyTypeError::new_err(format!("take takes promises, which tenure.give(x) makes, not {what}")))
        }
    };
    let mut ids = vec![id_of(promise)?];
    for promise in more.iter() {
        ids.push(id_of(&promise)?);
    }
    let _site = site::here(py);
    let taken = api::take(&ids).map_err(|failure| described(py, failure, promise, more))?;
    // Every handle gets an object before an error is reported, so that none is lost.
    let mut arrays: Vec<PyResult<Bound<'_, Array>>> = taken.into_iter().map(|id| Array::adopt(py, id)).collect();
    if more.is_empty() {
        return arrays.remove(0).map(Bound::into_any);
    }
    let arrays: Vec<_> = arrays.into_iter().collect::<PyResult<_>>()?;
    Ok(PyTuple::new(py, arrays)?.into_any())
}

/// The error of a call with promises. A message about one that is used up has what it is of in place of its handle.
fn described(py: Python<'_>, failure: Failure, first: &Bound<'_, PyAny>, more: &Bound<'_, PyTuple>) -> PyErr {
    if failure.0 != TN_ERR_DESTRUCTED {
        return failure.into();
    }
    let mut text = api::last_error();
    for object in core::iter::once(first.clone()).chain(more.iter()) {
        if let Ok(promise) = object.cast::<Promise>() {
            text = promise.get().named(&text);
        }
    }
    errors::with_text(py, failure.0, &text, false)
}

/// The object for a handle of other code: an array or a promise. The object owns the handle from now on.
#[pyfunction]
pub fn from_handle(py: Python<'_>, handle: u64) -> PyResult<Bound<'_, PyAny>> {
    let id = Id(handle);
    match api::query(id) {
        Ok(info) => Ok(Array::wrap(py, id, info.dtype, info.ndim)?.into_any()),
        Err(Failure(TN_ERR_KIND)) if is_promise(id)? => Ok(Promise::wrap(py, id, "array".to_owned())?.into_any()),
        Err(failure) => Err(failure.into()),
    }
}

/// Whether the handle is a promise that can be taken. Passing it twice is refused as a duplicate, after all other
/// checks.
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

/// A new array on the bytes of a borrowed handle, which stays with its owner.
#[pyfunction]
pub fn clone_handle(py: Python<'_>, handle: u64) -> PyResult<Bound<'_, Array>> {
    let _site = site::here(py);
    Array::adopt(py, api::clone(Id(handle))?)
}
