//! Objects that NumPy is about to read, with what NumPy believes without a look (CA-37, CA-38).
//!
//! Contract: NumPy takes a buffer's shape and an `__array_interface__` as they are. So every object of other code
//! passes here before `numpy.asarray` gets it. The protocols are asked in NumPy's order.

use crate::values::convert::cached_objects;
use crate::values::foreign_buffer::ForeignBuffer;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple, PyType};

/// The object itself, if NumPy may read it, or a NumPy array of the buffer that its `__array_interface__` names. Raises
/// where these reach outside the memory that they name.
pub fn checked<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = object.py();
    let is_plain =
        object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>() || object.is_instance_of::<PyType>();
    if is_plain || object.is_instance(cached_objects(py)?.ndarray.bind(py))? {
        return Ok(object.clone());
    }
    // SAFETY: attached, a live object.
    if unsafe { ffi::PyObject_CheckBuffer(object.as_ptr()) } != 0 {
        ForeignBuffer::check(object)?;
        return Ok(object.clone());
    }
    if object.hasattr(intern!(py, "__array_struct__")).unwrap_or(false) {
        return Ok(object.clone());
    }
    match object.getattr(intern!(py, "__array_interface__")) {
        Ok(interface) if interface.is_instance_of::<PyDict>() => {
            let seen = py.import("tenure._interface")?.getattr("seen")?.call1((interface,))?;
            Ok(if seen.is_none() { object.clone() } else { seen })
        }
        _ => Ok(object.clone()),
    }
}

/// `numpy.asarray` of an object of other code.
pub fn asarray<'py>(object: &Bound<'py, PyAny>, options: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
    let py = object.py();
    cached_objects(py)?.asarray.bind(py).call((checked(object)?,), options)
}
