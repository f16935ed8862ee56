//! The address range of any object's bytes: a NumPy array, a PyTorch tensor, a memoryview, an object with DLPack or an
//! array interface, or an address.
//!
//! Contract: queries the object, not the library. Nothing is read at the address, nothing is copied, and buffers opened
//! for the query are closed. Addresses of other devices are returned as they are: the library does not know them
//! either.

use crate::handles::expr::Expr;
use crate::values::checked::checked;
use crate::values::convert::{Dims, cached_objects, dims_of};
use crate::values::foreign_buffer::{ForeignBuffer, MAX_AXES, dense, reach};
use core::ffi::{CStr, c_void};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt};

/// The lowest address of an object's bytes, and their number up to the end of the last element.
pub fn of(object: &Bound<'_, PyAny>) -> PyResult<(u64, usize)> {
    let py = object.py();
    if object.is_instance_of::<PyInt>() {
        return Ok((object.extract::<u64>()?, 1));
    }
    // An interface may name a buffer in place of an address.
    let object = &checked(object)?;
    if let Ok(memory) = ForeignBuffer::read(object) {
        return Ok(memory.address_range());
    }
    // Before DLPack: a tensor that takes part in automatic differentiation refuses to be exported.
    if let Ok(Some(extent)) = of_tensor(object) {
        return Ok(extent);
    }
    if let Ok(interface) = object.getattr(intern!(py, "__array_interface__")) {
        return of_interface(&interface);
    }
    // An expression would be computed.
    if !object.is_instance_of::<Expr>() {
        if object.hasattr(intern!(py, "__dlpack__"))? {
            return of_dlpack(object);
        }
        let options = PyDict::new(py);
        options.set_item("copy", false)?;
        // An object that NumPy can see without a copy, such as a column of a table. A list is not, because NumPy would
        // have to copy it.
        if let Ok(seen) = cached_objects(py)?.asarray.bind(py).call((object,), Some(&options))
            && let Ok(interface) = seen.getattr(intern!(py, "__array_interface__"))
        {
            return of_interface(&interface);
        }
    }
    Err(PyTypeError::new_err(format!(
        "owner_of takes an array, a buffer, an object with DLPack or an array interface, or an address, not {}",
        object.get_type().name()?
    )))
}

/// The range from the first element to the end of the last one, by shape and strides in bytes.
fn span(first: u64, item: i64, shape: &[i64], strides: &[i64]) -> PyResult<(u64, usize)> {
    if shape.contains(&0) {
        return Ok((first, 0));
    }
    let range = reach(item, shape, strides).and_then(|(low, bytes)| Some((first.checked_add_signed(low)?, bytes)));
    range.filter(|(first, bytes)| first.checked_add(*bytes as u64).is_some()).ok_or_else(|| {
        let text = format!(
            "shape {shape:?} with strides {strides:?} of {item} bytes an element reaches beyond the address space from {first:#x}"
        );
        PyValueError::new_err(text)
    })
}

/// The range of a PyTorch tensor, which is recognised by its methods. None: any other object.
fn of_tensor(object: &Bound<'_, PyAny>) -> PyResult<Option<(u64, usize)>> {
    let py = object.py();
    if !object.hasattr(intern!(py, "data_ptr"))? || !object.hasattr(intern!(py, "element_size"))? {
        return Ok(None);
    }
    let first: u64 = object.call_method0(intern!(py, "data_ptr"))?.extract()?;
    let item: i64 = object.call_method0(intern!(py, "element_size"))?.extract()?;
    let shape: Vec<i64> = object.getattr(intern!(py, "shape"))?.extract()?;
    let mut strides: Vec<i64> = object.call_method0(intern!(py, "stride"))?.extract()?;
    strides.iter_mut().for_each(|stride| *stride = stride.saturating_mul(item));
    span(first, item, &shape, &strides).map(Some)
}

fn of_interface(interface: &Bound<'_, PyAny>) -> PyResult<(u64, usize)> {
    let first: u64 = interface.get_item("data")?.get_item(0)?.extract()?;
    let shape: Vec<i64> = interface.get_item("shape")?.extract()?;
    // "<f8": the number is the size of an element.
    let code: String = interface.get_item("typestr")?.extract()?;
    let item: i64 = code.get(2..).and_then(|digits| digits.parse().ok()).unwrap_or(1);
    let item = if code.contains('U') { 4 * item } else { item };
    let strides = interface.call_method1("get", ("strides",))?;
    let strides: Dims = match strides.is_none() {
        false => dims_of(&strides)?,
        true => dense(item, &shape),
    };
    span(first, item, &shape, &strides)
}

/// The beginning of a DLTensor, by DLPack's layout.
#[repr(C)]
struct Tensor {
    data: u64,
    device: [i32; 2],
    ndim: i32,
    code: u8,
    bits: u8,
    lanes: u16,
    shape: *const i64,
    strides: *const i64,
    byte_offset: u64,
}

/// DLPack's flag: the producer copied the bytes for this export.
const IS_COPIED: u64 = 1 << 1;

/// The range of an object with DLPack: its tensor is requested and released unused.
fn of_dlpack(object: &Bound<'_, PyAny>) -> PyResult<(u64, usize)> {
    let py = object.py();
    let options = PyDict::new(py);
    options.set_item(intern!(py, "max_version"), (1, 1))?;
    let name = intern!(py, "__dlpack__");
    let capsule = match object.call_method(name, (), Some(&options)) {
        Err(error) if error.is_instance_of::<PyTypeError>(py) => object.call_method0(name)?,
        answer => answer?,
    };
    let pointer = |name: &CStr| -> Option<*const c_void> {
        // SAFETY: attached, a live object, a terminated name.
        unsafe {
            let held = ffi::PyCapsule_IsValid(capsule.as_ptr(), name.as_ptr()) != 0;
            held.then(|| ffi::PyCapsule_GetPointer(capsule.as_ptr(), name.as_ptr()).cast_const())
        }
    };
    let tensor = match (pointer(c"dltensor_versioned"), pointer(c"dltensor")) {
        (Some(versioned), _) => {
            // SAFETY: the struct of that name: major and minor version, context, deleter, flags, tensor. Other major
            // versions are left.
            let (major, flags) = unsafe { (versioned.cast::<u32>().read(), versioned.cast::<u64>().add(3).read()) };
            if major != 1 || flags & IS_COPIED != 0 {
                return Ok((0, 0));
            }
            // SAFETY: as above.
            unsafe { versioned.byte_add(32) }
        }
        (None, Some(legacy)) => legacy,
        (None, None) => return Err(PyTypeError::new_err("__dlpack__ gave no capsule of DLPack")),
    };
    // SAFETY: a DLTensor, unchanged as long as the capsule exists.
    let tensor = unsafe { &*tensor.cast::<Tensor>() };
    let item = i64::from(tensor.bits) * i64::from(tensor.lanes) / 8;
    // First: nothing says how long the lists are otherwise.
    let ndim = usize::try_from(tensor.ndim).ok().filter(|ndim| *ndim <= MAX_AXES).ok_or_else(|| {
        PyValueError::new_err(format!("the tensor has ndim {}, which is not in 0 to {MAX_AXES}", tensor.ndim))
    })?;
    let list = |at: *const i64| -> Dims {
        // SAFETY: NULL, or ndim entries by the format.
        if at.is_null() { Dims::new() } else { unsafe { core::slice::from_raw_parts(at, ndim) }.into() }
    };
    let (shape, mut strides) = (list(tensor.shape), list(tensor.strides));
    strides.iter_mut().for_each(|stride| *stride = stride.saturating_mul(item));
    if strides.len() < shape.len() {
        strides = dense(item, &shape);
    }
    span(tensor.data.wrapping_add(tensor.byte_offset), item.max(1), &shape, &strides)
}
