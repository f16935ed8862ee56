//! Objects that NumPy is about to read, with what NumPy believes without a look (CA-37, CA-38).
//!
//! Contract: NumPy takes a buffer's shape and an `__array_interface__` as they are. So every object of other code
//! passes here before `numpy.asarray` gets it, also as an item of lists and tuples. The protocols are asked in NumPy's
//! order. The items of other sequences are not seen: NumPy asks such an object for them itself.

use crate::values::convert::cached_objects;
use crate::values::foreign_buffer::{ForeignBuffer, MAX_AXES};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyComplex, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple, PyType};

/// The object itself, if NumPy may read it, or what NumPy is to read in its place: an array of the buffer that an
/// `__array_interface__` names. Raises where these reach outside the memory that they name.
pub fn checked<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    Ok(replacement(object, 0)?.unwrap_or_else(|| object.clone()))
}

/// What NumPy is to read in place of an object that lies inside of `depth` lists. None: the object itself.
fn replacement<'py>(object: &Bound<'py, PyAny>, depth: usize) -> PyResult<Option<Bound<'py, PyAny>>> {
    if let Ok(list) = object.cast::<PyList>() {
        return replaced_items(list.iter(), depth, || Ok(list.get_slice(0, list.len())));
    }
    if let Ok(tuple) = object.cast::<PyTuple>() {
        return replaced_items(tuple.iter(), depth, || PyList::new(tuple.py(), tuple.iter()));
    }
    let py = object.py();
    let objects = cached_objects(py)?;
    if object.is_instance_of::<PyType>() || object.is_instance(objects.ndarray.bind(py))? {
        return Ok(None);
    }
    // SAFETY: attached, a live object.
    if unsafe { ffi::PyObject_CheckBuffer(object.as_ptr()) } != 0 {
        ForeignBuffer::check(object)?;
        return Ok(None);
    }
    if object.hasattr(intern!(py, "__array_struct__")).unwrap_or(false) {
        return Ok(None);
    }
    match object.getattr(intern!(py, "__array_interface__")) {
        Ok(interface) if interface.is_instance_of::<PyDict>() => {
            let seen = py.import("tenure._interface")?.getattr("seen")?.call1((interface,))?;
            Ok((!seen.is_none()).then_some(seen))
        }
        _ => Ok(None),
    }
}

/// A copy of a list or tuple, if NumPy is to read another object in place of one of its items. NumPy reads lists inside
/// of lists up to its largest number of axes.
fn replaced_items<'py>(
    items: impl Iterator<Item = Bound<'py, PyAny>>,
    depth: usize,
    copy: impl Fn() -> PyResult<Bound<'py, PyList>>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    if depth == MAX_AXES {
        return Ok(None);
    }
    let mut list: Option<Bound<'py, PyList>> = None;
    // Most lists have items of one type.
    let mut last_scalar = core::ptr::null_mut();
    for (at, item) in items.enumerate() {
        let kind = item.get_type_ptr();
        if kind == last_scalar {
            continue;
        }
        if is_scalar(&item)? {
            last_scalar = kind;
            continue;
        }
        let Some(other) = replacement(&item, depth + 1)? else { continue };
        let list = match &list {
            Some(list) => list,
            None => list.insert(copy()?),
        };
        list.set_item(at, other)?;
    }
    Ok(list.map(Bound::into_any))
}

/// Whether NumPy takes it as one number or text, without a look at its buffer.
fn is_scalar(item: &Bound<'_, PyAny>) -> PyResult<bool> {
    let is_plain = item.is_exact_instance_of::<PyFloat>()
        || item.is_exact_instance_of::<PyInt>()
        || item.is_exact_instance_of::<PyBool>()
        || item.is_exact_instance_of::<PyComplex>()
        || item.is_exact_instance_of::<PyString>();
    Ok(is_plain || item.is_instance(cached_objects(item.py())?.generic.bind(item.py()))?)
}

/// `numpy.asarray` of an object of other code.
pub fn asarray<'py>(object: &Bound<'py, PyAny>, options: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
    let py = object.py();
    cached_objects(py)?.asarray.bind(py).call((checked(object)?,), options)
}
