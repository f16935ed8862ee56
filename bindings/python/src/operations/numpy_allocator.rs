//! NumPy's allocator: a pool's handler for NumPy, and the current handler of the running context (NEP 49).
//!
//! Contract: a capsule refers to the handler of one pool and never ends it: the library owns the struct, which lives
//! until the end of the process. The current handler is NumPy's own variable of the running thread and task.

use crate::api;
use crate::handles::pool::Pool;
use crate::values::numpy_api::function;
use core::ffi::{CStr, c_void};
use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;

/// The name of a handler's capsule.
const HANDLER: &CStr = c"mem_handler";
/// The index of `PyDataMem_SetHandler` in NumPy's table of functions, since 1.22.
const SET_HANDLER: usize = 304;
/// The index of `PyDataMem_GetHandler`.
const GET_HANDLER: usize = 305;

type SetHandler = unsafe extern "C" fn(*mut ffi::PyObject) -> *mut ffi::PyObject;
type GetHandler = unsafe extern "C" fn() -> *mut ffi::PyObject;

/// A capsule around the pool's handler. None: that of the process-wide pool.
#[pyfunction]
pub fn _numpy_handler<'py>(py: Python<'py>, pool: Option<&Bound<'py, Pool>>) -> PyResult<Bound<'py, PyAny>> {
    let handler = api::numpy_handler(Pool::id_of(pool)?)?;
    // SAFETY: the struct and its name live until the end of the process.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyCapsule_New(handler, HANDLER.as_ptr(), None)) }
}

/// Makes a capsule's handler the current one. Returns the capsule of the previous one.
#[pyfunction]
pub fn _numpy_set<'py>(py: Python<'py>, handler: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: PyCapsule_IsValid accepts any object.
    if unsafe { ffi::PyCapsule_IsValid(handler.as_ptr(), HANDLER.as_ptr()) } == 0 {
        return Err(PyRuntimeError::new_err("this capsule holds no allocation handler of numpy"));
    }
    // SAFETY: NumPy's function of this place, with the interpreter held.
    unsafe {
        let set = core::mem::transmute::<*const c_void, SetHandler>(function(py, SET_HANDLER)?);
        Bound::from_owned_ptr_or_err(py, set(handler.as_ptr()))
    }
}

/// The capsule of the current handler.
#[pyfunction]
pub fn _numpy_get(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: NumPy's function of this place, with the interpreter held.
    unsafe {
        let get = core::mem::transmute::<*const c_void, GetHandler>(function(py, GET_HANDLER)?);
        Bound::from_owned_ptr_or_err(py, get())
    }
}
