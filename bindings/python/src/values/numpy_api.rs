//! NumPy's table of C functions: its entries, and NumPy arrays over given memory.
//!
//! Contract: the places of entries are part of NumPy's stable interface. An array that is made here does not own its
//! memory; the caller keeps that alive.

use crate::sys::*;
use crate::values::convert::{cached_objects, dtype_object, numpy_bfloat16};
use core::ffi::{c_int, c_void};
use core::ptr::{null, null_mut};
use pyo3::exceptions::PyImportError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyCapsule;

/// The index of `PyArray_NewFromDescr` in the table.
const NEW_FROM_DESCR: usize = 94;
/// The index of `PyArray_SetBaseObject`, since 1.7.
const SET_BASE_OBJECT: usize = 282;
/// `NPY_ARRAY_WRITEABLE`
pub const WRITEABLE: c_int = 0x400;

type NewFromDescr = unsafe extern "C" fn(
    *mut ffi::PyTypeObject,
    *mut ffi::PyObject,
    c_int,
    *const ffi::Py_ssize_t,
    *const ffi::Py_ssize_t,
    *mut c_void,
    c_int,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;
type SetBaseObject = unsafe extern "C" fn(*mut ffi::PyObject, *mut ffi::PyObject) -> c_int;

/// An entry of NumPy's table.
pub fn function(py: Python<'_>, place: usize) -> PyResult<*const c_void> {
    let table = py.import("numpy._core._multiarray_umath")?.getattr("_ARRAY_API")?;
    let table = table
        .cast_into::<PyCapsule>()
        .map_err(|_| PyImportError::new_err("this numpy has no table of C functions; use NumPy 2.0 or newer"))?;
    // SAFETY: a capsule without a name; NumPy's table has more entries than these and lives as long as NumPy.
    let entry = unsafe {
        let functions = ffi::PyCapsule_GetPointer(table.as_ptr(), null()).cast::<*const c_void>();
        if functions.is_null() {
            return Err(PyErr::fetch(py));
        }
        *functions.add(place)
    };
    if entry.is_null() {
        Err(PyImportError::new_err("this numpy lacks a C function of NumPy 2.0; use NumPy 2.0 or newer"))
    } else {
        Ok(entry)
    }
}

/// The functions for arrays.
struct ArrayFunctions {
    new_from_descr: NewFromDescr,
    set_base_object: SetBaseObject,
}

fn array_functions(py: Python<'_>) -> PyResult<&'static ArrayFunctions> {
    static FOUND: PyOnceLock<ArrayFunctions> = PyOnceLock::new();
    FOUND.get_or_try_init(py, || {
        // SAFETY: NumPy's functions of these places have these types.
        unsafe {
            Ok(ArrayFunctions {
                new_from_descr: core::mem::transmute::<*const c_void, NewFromDescr>(function(py, NEW_FROM_DESCR)?),
                set_base_object: core::mem::transmute::<*const c_void, SetBaseObject>(function(py, SET_BASE_OBJECT)?),
            })
        }
    })
}

/// A NumPy array over the memory of a view.
///
/// # Safety
/// - The host can access the memory, and may write it if `writable`.
/// - The memory stays accessible until the array is gone, or has a base that keeps it.
pub unsafe fn array_over<'py>(py: Python<'py>, view: &tn_view_info, writable: bool) -> PyResult<Bound<'py, PyAny>> {
    let dtype = if view.dtype == TN_BF16 { numpy_bfloat16(py)? } else { dtype_object(py, view.dtype)? };
    let class = cached_objects(py)?.ndarray.as_ptr().cast::<ffi::PyTypeObject>();
    // NumPy would allocate memory for NULL, which only an array without elements has.
    let data = if view.data.is_null() { core::ptr::without_provenance_mut(64) } else { view.data };
    let flags = if writable { WRITEABLE } else { 0 };
    // SAFETY: ndim lengths and strides, valid during the call; the reference to the element type is handed over; the
    // memory is the caller's obligation.
    unsafe {
        let array = (array_functions(py)?.new_from_descr)(
            class,
            dtype.into_ptr(),
            view.ndim,
            view.shape.cast(),
            view.strides.cast(),
            data,
            flags,
            null_mut(),
        );
        Bound::from_owned_ptr_or_err(py, array)
    }
}

/// Makes `base` live as long as an array that has no base.
pub fn set_base(array: &Bound<'_, PyAny>, base: Bound<'_, PyAny>) -> PyResult<()> {
    // SAFETY: an array of `array_over`; the reference to the base is handed over, also on failure.
    match unsafe { (array_functions(array.py())?.set_base_object)(array.as_ptr(), base.into_ptr()) } {
        0 => Ok(()),
        _ => Err(PyErr::fetch(array.py())),
    }
}
