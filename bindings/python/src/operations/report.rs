//! Queries: who holds what, which handles are open, what was copied; and the process-wide options.
//!
//! Contract: converts the library's answers to the result types of `tenure/_types.py`; changes nothing but options.

use crate::api::{self, Id};
use crate::base::errors;
use crate::handles::array::Array;
use crate::operations::address_range;
use crate::sys::*;
use crate::values::convert::{cached_objects, device_text, dims_of, dtype_of, fixed_text, text_of};
use crate::values::json;
use core::ffi::CStr;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::sync::{Mutex, PoisonError};

fn holder<'py>(py: Python<'py>, h: &tn_holder) -> PyResult<Bound<'py, PyAny>> {
    cached_objects(py)?.types_module.bind(py).getattr("Holder")?.call1((
        h.kind,
        fixed_text(&h.name),
        fixed_text(&h.site),
        h.bytes,
        h.thread,
        h.time_ns,
        h.id,
        device_text(h.device),
    ))
}

fn holders<'py>(py: Python<'py>, list: &[tn_holder]) -> PyResult<Bound<'py, PyTuple>> {
    PyTuple::new(py, list.iter().map(|h| holder(py, h)).collect::<PyResult<Vec<_>>>()?)
}

/// The result of `Array.why_not`.
pub fn why_not<'py>(py: Python<'py>, array: Id, target: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
    let (bits, list) = match target {
        None => api::why_not(array, None)?,
        Some(target) => {
            let (shape, dtype, device) = match target.cast::<Array>() {
                Ok(other) => {
                    let info = other.get().info()?;
                    (info.shape[..info.ndim as usize].into(), info.dtype, info.device)
                }
                Err(_) => {
                    let (shape, dtype): (Bound<'_, PyAny>, Bound<'_, PyAny>) = target.extract()?;
                    (dims_of(&shape)?, dtype_of(&dtype)?, tn_device { r#type: TN_CPU, id: 0 })
                }
            };
            let target = tn_target {
                size: size_of::<tn_target>(),
                device,
                dtype,
                ndim: shape.len() as i32,
                shape: shape.as_ptr(),
            };
            api::why_not(array, Some(&target))?
        }
    };
    cached_objects(py)?.types_module.bind(py).getattr("why")?.call1((bits, holders(py, &list)?))
}

#[pymethods]
impl Array {
    /// Why the bytes cannot be overwritten in place: a `tenure.Why` flag with `.holders`; 0 if they can.
    ///
    /// target: an array, or (shape, dtype), to be stored there.
    #[pyo3(signature = (target=None))]
    fn why_not<'py>(&self, py: Python<'py>, target: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        why_not(py, self.id()?, target)
    }
}

/// Handles that the package itself keeps until the process ends.
static STAYING: Mutex<Vec<u64>> = Mutex::new(Vec::new());

/// Makes `leaks` leave this handle out.
#[pyfunction]
pub fn _stays(handle: u64) {
    STAYING.lock().unwrap_or_else(PoisonError::into_inner).push(handle);
}

/// All open handles, as a list of `tenure.Holder`.
#[pyfunction]
pub fn leaks(py: Python<'_>) -> PyResult<Vec<Bound<'_, PyAny>>> {
    let staying = STAYING.lock().unwrap_or_else(PoisonError::into_inner).clone();
    api::leaks()?.iter().filter(|h| !staying.contains(&h.id)).map(|h| holder(py, h)).collect()
}

/// The copy book: all copies between libraries and devices since the start, by call site, as a list of
/// `tenure.CopySite`, most bytes first.
#[pyfunction]
pub fn copies(py: Python<'_>) -> PyResult<Vec<Bound<'_, PyAny>>> {
    let class = cached_objects(py)?.types_module.bind(py).getattr("CopySite")?;
    let entry = |s: &tn_copy_site| {
        // SAFETY: NULL or static text of the library.
        let function = if s.function.is_null() { c"" } else { unsafe { CStr::from_ptr(s.function) } };
        class.call1((function.to_string_lossy(), fixed_text(&s.site), s.why, s.forced != 0, s.count, s.bytes))
    };
    api::copies()?.iter().map(entry).collect()
}

/// The owner of the bytes at an address: a `tenure.Store` with `.holders`. Unknown addresses raise.
#[pyfunction]
#[pyo3(signature = (address, nbytes=1))]
pub fn holders_of(py: Python<'_>, address: u64, nbytes: usize) -> PyResult<Bound<'_, PyAny>> {
    let (s, list) = api::holders_of(address, nbytes)?;
    store(py, &s, &list)
}

fn store<'py>(py: Python<'py>, s: &tn_store_info, list: &[tn_holder]) -> PyResult<Bound<'py, PyAny>> {
    cached_objects(py)?.types_module.bind(py).getattr("Store")?.call1((
        s.address,
        s.bytes,
        device_text(s.device),
        fixed_text(&s.pool_name),
        s.version,
        s.flags,
        holders(py, list)?,
    ))
}

/// Returns the holders of an object's bytes: an array, a NumPy array, a PyTorch tensor, a memoryview or another buffer,
/// an object with DLPack or an array interface, or an address. The result is a `tenure.Store` with `.holders`, or None
/// for memory that this library does not know. Nothing is read and nothing is copied.
///
/// >>> n = numpy.asarray(x)
/// >>> [h.kind.name for h in tenure.owner_of(n[1:]).holders]
/// ['HANDLE', 'EXPORT_SHARED']
/// >>> tenure.owner_of(bytearray(10)) is None
/// True
#[pyfunction]
pub fn owner_of<'py>(py: Python<'py>, object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    if let Ok(array) = object.cast::<Array>() {
        return of_array(py, array.get());
    }
    let (address, bytes) = address_range::of(object)?;
    match api::holders_of(address, bytes.max(1)) {
        Ok((s, list)) => store(py, &s, &list).map(Some),
        // No array of this library is at NULL.
        Err(api::Failure(TN_ERR_FOREIGN | TN_ERR_NULL)) => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

/// The store of an array, also while other code writes it, was given it, or works on it on a device.
fn of_array<'py>(py: Python<'py>, array: &Array) -> PyResult<Option<Bound<'py, PyAny>>> {
    match api::array_holders(array.id()?) {
        Ok((s, list)) => store(py, &s, &list).map(Some),
        // No elements, so no bytes.
        Err(api::Failure(TN_ERR_FOREIGN)) => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

/// Runs the queued release callbacks (imports of C code with TN_RELEASE_QUEUED). Returns how many ran.
#[pyfunction]
pub fn run_releases(py: Python<'_>) -> PyResult<usize> {
    py.detach(|| api::run_releases().map_err(PyErr::from))
}

/// Reads a process-wide option, or sets it: `tenure.option("strict", "1")`.
#[pyfunction]
#[pyo3(signature = (name, value=None))]
pub fn option(name: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<String> {
    let name = text_of(name)?;
    if let Some(value) = value {
        let value = if value.is_instance_of::<pyo3::types::PyBool>() {
            u8::from(value.is_truthy()?).to_string()
        } else {
            value.str()?.to_string()
        };
        api::option_set(&name, &text_of(&value)?)?;
    }
    Ok(api::option_get(&name)?)
}

/// The output of `tn_report_json`.
#[pyfunction]
pub fn _report_json(py: Python<'_>) -> PyResult<String> {
    Ok(py.detach(api::report_json)?)
}

/// The output of `tn_report_json` as a dictionary: see `tenure.snapshot()`.
#[pyfunction]
pub fn _report(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    json::read(py, &py.detach(api::report_json)?)
}

/// The output of `tn_report_html_text`: see `tenure.Report.save`.
#[pyfunction]
pub fn _report_html() -> PyResult<String> {
    Ok(api::report_html()?)
}

/// `with tenure.no_copies():` a copy on this thread that was not requested raises OwnershipError (WOULD_COPY). Blocks
/// nest. In a test it proves that a path copies nothing; `tenure.copies()` lists where copies were made.
///
/// >>> with tenure.no_copies():
/// ...     n = numpy.asarray(x)                 # an alias, so no copy is needed
/// >>> with tenure.no_copies():
/// ...     y = tenure.from_buffer(b"odd" * 8, copy=True)   # requested, so it is allowed
#[pyclass(frozen, module = "tenure", name = "no_copies")]
pub struct NoCopies;

#[pymethods]
impl NoCopies {
    #[new]
    fn new() -> NoCopies {
        NoCopies
    }

    fn __enter__(&self) -> PyResult<()> {
        Ok(api::copies_forbid(true)?)
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        Ok(api::copies_forbid(false)?)
    }
}

/// Raises the exception of a status with this thread's last message: for bindings of C libraries that return Tenure's
/// statuses.
///
/// >>> tenure.check(tenure.Status.OK)
#[pyfunction]
pub fn check(py: Python<'_>, status: tn_status) -> PyResult<()> {
    if status == TN_OK {
        return Ok(());
    }
    let text = api::last_error();
    let text = if text.is_empty() { api::status_name(status) } else { text };
    Err(errors::with_text(py, status, &text, false))
}
