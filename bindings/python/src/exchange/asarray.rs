//! `tenure.asarray` and `tenure.from_buffer`: arrays on the memory of other objects, or on a copy where their memory
//! cannot be shared.
//!
//! Contract: `asarray` tries buffers, Arrow, the CUDA array interface, DLPack and the array interface in this order,
//! and copies last.

use crate::api;
use crate::base::{errors, site};
use crate::elements::create;
use crate::exchange::arrow::from_arrow;
use crate::exchange::cuda_array_interface::from_cuda_array_interface;
use crate::exchange::dlpack::from_dlpack;
use crate::exchange::ndarray::from_ndarray;
use crate::handles::array::Array;
use crate::handles::expr::value;
use crate::sys::*;
use crate::values::checked::checked;
use crate::values::convert::{cached_objects, crossing, dtype_object, dtype_of};
use crate::values::foreign_buffer::ForeignBuffer;
use crate::values::foreign_ndarray::ForeignNdarray;
use pyo3::exceptions::{PyBufferError, PyNotImplementedError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// An array on the memory of an object with the buffer protocol (bytes, bytearray, NumPy arrays, mmap, array.array).
///
/// copy: None aliases where possible, False aliases or raises, True copies. writable: None takes what the object
/// offers, True requires a writable buffer, False makes a read-only array. The object stays alive as long as the array,
/// or an array made from it, needs its memory.
///
/// >>> b = bytearray(8)
/// >>> x = tenure.from_buffer(b)
/// >>> x[0] = 7
/// >>> b[0]
/// 7
#[pyfunction]
#[pyo3(signature = (object, *, writable=None, copy=None))]
pub fn from_buffer<'py>(
    py: Python<'py>,
    object: &Bound<'py, PyAny>,
    writable: Option<bool>,
    copy: Option<bool>,
) -> PyResult<Bound<'py, Array>> {
    if let Some(array) = ForeignNdarray::of(object)
        && (writable != Some(true) || !array.readonly())
    {
        return from_ndarray(py, &array, writable == Some(false), copy, PyErr::from);
    }
    let memory = match ForeignBuffer::of(object, writable) {
        Ok(memory) => memory,
        // NumPy has no code for it in buffers.
        Err(_) if is_numpy_bfloat16(object)? => {
            let bits = from_buffer(py, &object.call_method1("view", ("uint16",))?, writable, copy)?;
            let bits = bits.get();
            return Array::wrap(py, api::view_dtype(bits.id()?, TN_BF16)?, TN_BF16, bits.ndim());
        }
        Err(error) => return Err(error),
    };
    let layout = memory.layout()?;
    let mut flags = crossing(copy);
    if writable == Some(false) || (memory.readonly() && copy != Some(true)) {
        flags |= TN_IMPORT_READONLY;
    }
    let _site = site::here(py);
    let id = memory.import(&layout, flags)?;
    Array::wrap(py, id, layout.dtype, layout.shape.len() as i32)
}

/// Whether the object is a NumPy array of `ml_dtypes.bfloat16`.
fn is_numpy_bfloat16(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    let array = cached_objects(object.py())?.numpy.bind(object.py()).getattr("ndarray")?;
    Ok(object.is_instance(&array)? && dtype_of(&object.getattr("dtype")?).ok() == Some(TN_BF16))
}

/// The object as an array, without a copy where possible. An array is returned unchanged. NumPy arrays, other buffers,
/// objects with DLPack (a PyTorch tensor), Arrow arrays and arrays of GPUs (Numba, CuPy) are aliased. Anything else is
/// copied as by `tenure.array`.
///
/// dtype: a conversion copies. copy: None copies where necessary, False raises instead, True always copies.
///
/// >>> n = numpy.zeros(3)
/// >>> x = tenure.asarray(n)
/// >>> x[0] = 1.0
/// >>> n[0]
/// np.float64(1.0)
#[pyfunction]
#[pyo3(signature = (object, dtype=None, *, copy=None))]
pub fn asarray<'py>(
    py: Python<'py>,
    object: &Bound<'py, PyAny>,
    dtype: Option<&Bound<'py, PyAny>>,
    copy: Option<bool>,
) -> PyResult<Bound<'py, Array>> {
    let wanted = dtype.map(dtype_of).transpose()?;
    let forbidden = copy == Some(false);
    let aliased = match copy {
        Some(true) => None,
        _ => alias(py, object, copy).or_else(|error| if forbidden { Err(unshared(py, error)?) } else { Err(error) })?,
    };
    if let Some(array) = aliased
        && wanted.is_none_or(|w| w == array.get().dtype())
    {
        return Ok(array);
    }
    if forbidden {
        return Err(PyValueError::new_err(UNSHARED));
    }
    if copy.is_none() && wanted.is_none() && has_memory(object)? && api::copies_forbidden()? {
        let text = format!(
            "this would copy ({} has elements or an order that cannot be shared), and the thread forbids copies; convert it \
             first, or pass copy=True",
            object.get_type().name()?
        );
        return Err(errors::with_text(py, TN_ERR_WOULD_COPY, &text, false));
    }
    let mut source = object.clone();
    if !object.hasattr("__array__")? && !object.is_instance_of::<Array>() {
        if has_arrow(object)? {
            source = from_arrow(py, object, None)?.into_any();
        } else if has_cuda_array_interface(object) {
            source = from_cuda_array_interface(py, object, None, true)?.into_any();
        } else if object.hasattr("__dlpack__")? {
            source = from_dlpack(py, object, None, None)?.into_any();
        }
    }
    let dtype = wanted.map(|w| dtype_object(py, w)).transpose()?;
    create::array(py, &source, dtype.as_ref(), None, None, None)
}

const UNSHARED: &str = "this object's memory cannot be shared, and copy=False forbids a copy";

/// The error of `copy=False` where an alias is refused because only a copy would do: a ValueError with the reason, as
/// NumPy raises. Any other error is returned unchanged.
fn unshared(py: Python<'_>, error: PyErr) -> PyResult<PyErr> {
    if !wants_a_copy(py, &error) {
        return Ok(error);
    }
    let refused = PyValueError::new_err(format!("{UNSHARED}: {}", error.value(py).str()?));
    refused.set_cause(py, Some(error));
    Ok(refused)
}

/// Whether the library refused to alias memory that it would copy.
fn wants_a_copy(py: Python<'_>, error: &PyErr) -> bool {
    let status = error.value(py).getattr("status").and_then(|status| status.extract::<u32>());
    status.is_ok_and(|status| matches!(status, TN_ERR_WOULD_COPY | TN_ERR_LAYOUT))
}

/// Whether the object is an array of Arrow.
fn has_arrow(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(object.hasattr("__arrow_c_array__")? || object.hasattr("__arrow_c_device_array__")?)
}

/// Whether the object has its elements in memory of a GPU. PyTorch's tensors that need gradients raise an error of
/// their own for the attribute.
fn has_cuda_array_interface(object: &Bound<'_, PyAny>) -> bool {
    object.hasattr("__cuda_array_interface__").unwrap_or(false)
}

/// Whether the object has its elements in memory, unlike a list of numbers. Then a copy is one that an alias could have
/// avoided.
fn has_memory(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    // SAFETY: attached, a live object.
    let buffer = unsafe { ffi::PyObject_CheckBuffer(object.as_ptr()) } != 0;
    let interface = object.hasattr("__array_interface__")? || has_cuda_array_interface(object);
    Ok(buffer || interface || object.hasattr("__dlpack__")?)
}

/// An array on the object's own bytes. None: they cannot be shared. copy: None lets the library copy what it cannot
/// alias, such as misaligned elements; False refuses that.
fn alias<'py>(py: Python<'py>, object: &Bound<'py, PyAny>, copy: Option<bool>) -> PyResult<Option<Bound<'py, Array>>> {
    if let Ok(array) = object.cast::<Array>() {
        return Ok(Some(array.clone()));
    }
    if let Some(value) = value(object)? {
        return Ok(Some(value));
    }
    // SAFETY: attached, a live object.
    if unsafe { ffi::PyObject_CheckBuffer(object.as_ptr()) } != 0 {
        return match from_buffer(py, object, None, copy) {
            Ok(array) => Ok(Some(array)),
            // `asarray` raises it with the reason.
            Err(error) if copy == Some(false) && wants_a_copy(py, &error) => Err(error),
            // A format without an element type here, which NumPy may convert.
            Err(error) if error.is_instance_of::<PyTypeError>(py) || error.is_instance_of::<PyValueError>(py) => {
                Ok(None)
            }
            // DLPack has types that buffers lack: JAX exports bfloat16 by DLPack only.
            Err(error) if error.is_instance_of::<PyBufferError>(py) && object.hasattr("__dlpack__")? => {
                drop(error);
                from_dlpack(py, object, None, copy).map(Some)
            }
            Err(error) => Err(error),
        };
    }
    // Before DLPack: Arrow's arrays have that as well, but for one axis only.
    if has_arrow(object)? {
        return match from_arrow(py, object, copy) {
            Ok(array) => Ok(Some(array)),
            // Nulls, packed bits, texts: NumPy may convert them.
            Err(error)
                if error.is_instance_of::<PyTypeError>(py) || error.is_instance_of::<PyNotImplementedError>(py) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        };
    }
    // Before DLPack, whose structs cannot name a stream to wait for.
    if has_cuda_array_interface(object) {
        return from_cuda_array_interface(py, object, copy, true).map(Some);
    }
    if object.hasattr("__dlpack__")? {
        return from_dlpack(py, object, None, copy).map(Some);
    }
    if object.hasattr("__array_interface__")? {
        let options = PyDict::new(py);
        options.set_item("copy", false)?;
        let array = cached_objects(py)?.asarray.bind(py).call((checked(object)?,), Some(&options));
        return array.ok().map(|array| from_buffer(py, &array, None, copy)).transpose();
    }
    Ok(None)
}
