//! The buffer protocol (PEP 3118): every open buffer is one export, which ends with it (CA-20 to CA-26).
//!
//! Contract: a writable array gives a shared view, a read-only one a read-only view; the proxies `x.readonly` and
//! `x.exclusive` give those classes. A request that the layout does not meet, or that a guard forbids, is a
//! BufferError; nothing is copied. Shape and strides of a buffer belong to its guard, whose handle is in the buffer's
//! `internal`.

use crate::api::{self, Id, cuda};
use crate::base::{errors, site};
use crate::exchange::export_class::{Class, open};
use crate::handles::array::{Array, brief};
use crate::sys::*;
use crate::values::buffer_fields::BufferFields;
use crate::values::convert::{as_numpy, cached_objects, fixed_text, numpy_bfloat16, text_of};
use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicU64, Ordering};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Opens an export of `array` and fills a buffer with it that belongs to `owner`.
///
/// # Safety
/// - `view` may be written.
unsafe fn export(
    owner: Bound<'_, PyAny>,
    array: &Array,
    class: Class,
    view: *mut ffi::Py_buffer,
    flags: c_int,
) -> PyResult<()> {
    // SAFETY: writable by this function's contract; a buffer without an owner counts as not filled.
    unsafe { (*view).obj = core::ptr::null_mut() };
    let py = owner.py();
    let id = array.id()?;
    let _site = site::here(py);
    let reading_suffices = flags & ffi::PyBUF_WRITABLE != ffi::PyBUF_WRITABLE;
    let (guard, info, readonly) = open(py, id, class, reading_suffices).map_err(errors::exporting)?;
    // SAFETY: shape and strides belong to the guard, which `release` ends; the array's bytes live as long.
    let filled = unsafe { BufferFields::of(&info, readonly).fill(owner, view, flags, guard.0 as *mut c_void) };
    if filled.is_err() {
        let _ = api::borrow_end(guard, 0);
    }
    filled
}

/// Ends the export of a buffer.
///
/// # Safety
/// - `view` was filled by `export`.
unsafe fn release(view: *mut ffi::Py_buffer) {
    // SAFETY: by this function's list.
    let guard = unsafe { (*view).internal } as u64;
    // Ending an open guard never fails, and there is no caller to report to.
    let _ = api::borrow_end(Id(guard), 0);
}

#[pymethods]
impl Array {
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let array = slf.clone();
        // SAFETY: Python passes a buffer to fill.
        unsafe { export(slf.into_any(), array.get(), Class::Default, view, flags) }?;
        array.get().add_protocol_refs(1);
        Ok(())
    }

    unsafe fn __releasebuffer__(&self, view: *mut ffi::Py_buffer) {
        self.add_protocol_refs(-1);
        // SAFETY: Python passes a buffer that `__getbuffer__` filled.
        unsafe { release(view) }
    }

    /// For NumPy where the buffer was refused: raises the reason. bfloat16 has no code in buffers, so NumPy gets it
    /// here.
    #[pyo3(signature = (dtype=None, copy=None))]
    fn __array__<'py>(
        slf: Bound<'py, Self>,
        dtype: Option<&Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if slf.get().dtype() == TN_BF16 {
            return bfloat16_as_numpy(slf.py(), slf.get(), Class::Default, dtype, copy);
        }
        as_numpy(slf.into_any(), dtype, copy)
    }

    /// A proxy whose views are read-only: while a view exists the array cannot be written. The proxy itself holds
    /// nothing.
    ///
    /// >>> n = numpy.asarray(x.readonly)
    #[getter]
    fn readonly(slf: Bound<'_, Self>) -> Proxy {
        Proxy::of(slf, Class::ReadOnly)
    }

    /// A proxy whose view is exclusive: while the view exists no other code reads or writes the array.
    #[getter]
    fn exclusive(slf: Bound<'_, Self>) -> Proxy {
        Proxy::of(slf, Class::Exclusive)
    }
}

/// A NumPy array of the type of `ml_dtypes` on the bytes of a bfloat16 array.
fn bfloat16_as_numpy<'py>(
    py: Python<'py>,
    array: &Array,
    class: Class,
    dtype: Option<&Bound<'py, PyAny>>,
    copy: Option<bool>,
) -> PyResult<Bound<'py, PyAny>> {
    let bfloat16 = numpy_bfloat16(py)?;
    let bits = Array::wrap(py, api::view_dtype(array.id()?, TN_U16)?, TN_U16, array.ndim())?;
    let name = array.info()?.name;
    if name[0] != 0 {
        api::set_name(bits.get().id()?, Some(&text_of(&fixed_text(&name))?))?;
    }
    let shared = as_numpy(Bound::new(py, Proxy::of(bits.clone(), class))?.into_any(), None, None)?;
    // The export keeps the bytes, so that no second claim shows up among the holders. Strict mode refuses a release
    // while an export is open; the claim then ends with the view.
    let _ = bits.get().release(py);
    let shared = shared.call_method1("view", (bfloat16,))?;
    let options = PyDict::new(py);
    if let Some(dtype) = dtype {
        options.set_item("dtype", dtype)?;
    }
    options.set_item("copy", copy)?;
    cached_objects(py)?.asarray.bind(py).call((shared,), Some(&options))
}

/// The array for consumers of another class: what `x.readonly` and `x.exclusive` return. Pass it to `numpy.asarray`,
/// `memoryview`, `numpy.from_dlpack` and the like.
#[pyclass(frozen, module = "tenure", name = "Proxy")]
pub struct Proxy {
    array: Py<Array>,
    class: Class,
    /// The export that reading an array interface opened; 0: none.
    interface_export: AtomicU64,
}

impl Proxy {
    fn of(array: Bound<'_, Array>, class: Class) -> Proxy {
        array.get().add_protocol_refs(1);
        Proxy { array: array.unbind(), class, interface_export: AtomicU64::new(0) }
    }

    /// The array.
    pub fn array(&self) -> &Array {
        self.array.get()
    }

    /// The class of its exports.
    pub fn class(&self) -> Class {
        self.class
    }

    /// Keeps an export open until `end_interface_export`.
    pub fn set_interface_export(&self, guard: Id) {
        self.interface_export.store(guard.0, Ordering::Relaxed);
    }

    /// Ends the kept export.
    pub fn end_interface_export(&self) {
        let guard = self.interface_export.swap(0, Ordering::Relaxed);
        if guard != 0 {
            cuda::end_export(Id(guard));
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.end_interface_export();
        self.array.get().add_protocol_refs(-1);
    }
}

#[pymethods]
impl Proxy {
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let proxy = slf.clone();
        let (array, class) = (proxy.get().array.get(), proxy.get().class);
        // SAFETY: Python passes a buffer to fill.
        unsafe { export(slf.into_any(), array, class, view, flags) }
    }

    unsafe fn __releasebuffer__(&self, view: *mut ffi::Py_buffer) {
        // SAFETY: Python passes a buffer that `__getbuffer__` filled.
        unsafe { release(view) }
    }

    #[pyo3(signature = (dtype=None, copy=None))]
    fn __array__<'py>(
        slf: Bound<'py, Self>,
        dtype: Option<&Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if slf.get().array().dtype() == TN_BF16 {
            return bfloat16_as_numpy(slf.py(), slf.get().array(), slf.get().class(), dtype, copy);
        }
        as_numpy(slf.into_any(), dtype, copy)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let which = if self.class == Class::ReadOnly { "readonly" } else { "exclusive" };
        format!("<{which} view of {}>", brief(self.array.bind(py)))
    }

    fn __reduce__(&self, py: Python<'_>) -> PyResult<Py<PyDict>> {
        Err(errors::with_text(py, TN_ERR_UNSUPPORTED, "a view of an array cannot be pickled", false))
    }
}
