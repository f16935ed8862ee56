//! Memory of other Python objects: any buffer (PEP 3118) as an array, aliased where it can be.
//!
//! Contract: the import keeps the object's buffer open until the library says that nobody here uses it any more, on
//! whichever thread that happens; the buffer is then released with the interpreter attached, and left alone when the
//! interpreter is gone (CA-27, XC-8). Formats are one element code in native order (CA-28); anything else is refused
//! before a byte is touched.

use crate::api;
use crate::array::Array;
use crate::convert::{Dims, dtype_object, dtype_of, tables};
use crate::create;
use crate::site;
use crate::types::*;
use core::ffi::{CStr, c_int, c_void};
use pyo3::exceptions::{PyBufferError, PyNotImplementedError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::OnceLock;
use std::thread::ThreadId;

/// An open buffer of some object. It lies on the heap, because its shape may point into itself.
pub struct Memory(Box<ffi::Py_buffer>);

// SAFETY: a `Py_buffer` may be used and released from any thread that is attached, and `Drop` attaches.
unsafe impl Send for Memory {}
// SAFETY: shared use only reads its fields.
unsafe impl Sync for Memory {}

/// The thread on which the interpreter ends, from the moment that it begins to: no other thread may ask to be
/// attached then.
static ENDING: OnceLock<ThreadId> = OnceLock::new();

/// Called by `atexit`.
#[pyfunction]
pub fn _ending() {
    let _ = ENDING.set(std::thread::current().id());
}

/// Runs `body` attached. None: the interpreter is gone, or is ending on another thread.
pub fn while_alive<R>(body: impl FnOnce(Python<'_>) -> R) -> Option<R> {
    if ENDING.get().is_some_and(|thread| *thread != std::thread::current().id()) {
        return None;
    }
    Python::try_attach(body)
}

impl Drop for Memory {
    fn drop(&mut self) {
        // Else the buffer's owner is gone, too.
        while_alive(|_| {
            // SAFETY: attached; filled by PyObject_GetBuffer and released once.
            unsafe { ffi::PyBuffer_Release(&mut *self.0) }
        });
    }
}

impl Memory {
    fn open(object: &Bound<'_, PyAny>, flags: c_int) -> PyResult<Memory> {
        let mut buffer = Box::new(ffi::Py_buffer::new());
        // SAFETY: attached; on failure nothing was filled, and the box is dropped as it was made.
        if unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), &mut *buffer, flags) } != 0 {
            return Err(PyErr::fetch(object.py()));
        }
        Ok(Memory(buffer))
    }

    /// The object's buffer with its layout, to read.
    pub fn read(object: &Bound<'_, PyAny>) -> PyResult<Memory> {
        Self::open(object, ffi::PyBUF_FULL_RO)
    }

    /// The object's buffer; writable None: if it can be.
    fn of(object: &Bound<'_, PyAny>, writable: Option<bool>) -> PyResult<Memory> {
        match writable {
            Some(true) => Self::open(object, ffi::PyBUF_FULL),
            Some(false) => Self::read(object),
            // Exporters of both kinds answer this one, and say which they are.
            None => Self::read(object),
        }
    }

    fn readonly(&self) -> bool {
        self.0.readonly != 0
    }

    /// Element type, shape and strides, checked as far as they are not the library's to check.
    pub fn layout(&self) -> PyResult<Layout> {
        let view = &self.0;
        let dtype = self.dtype()?;
        let ndim = usize::try_from(view.ndim).unwrap_or(0);
        let list = |at: *mut isize, what: &str| -> PyResult<Dims> {
            if at.is_null() && ndim > 0 {
                return Err(PyValueError::new_err(format!("the buffer has {ndim} axes and no {what}")));
            }
            // SAFETY: not NULL, ndim entries by the buffer protocol.
            Ok((0..ndim).map(|i| unsafe { *at.add(i) } as i64).collect())
        };
        if !view.suboffsets.is_null() {
            for i in 0..ndim {
                // SAFETY: ndim entries by the buffer protocol.
                if unsafe { *view.suboffsets.add(i) } >= 0 {
                    return Err(pyo3::exceptions::PyBufferError::new_err("buffers with suboffsets are refused"));
                }
            }
        }
        let shape = list(view.shape, "shape")?;
        // Without strides, as ctypes' arrays are, the elements lie in C order.
        let strides = if view.strides.is_null() {
            let mut next = view.itemsize as i64;
            let mut strides = shape.clone();
            for length in strides.iter_mut().rev() {
                next *= core::mem::replace(length, next);
            }
            strides
        } else {
            list(view.strides, "strides")?
        };
        Ok(Layout { dtype, shape, strides })
    }

    /// The element type of the format string.
    fn dtype(&self) -> PyResult<tn_dtype> {
        let format = if self.0.format.is_null() {
            c"B"
        } else {
            // SAFETY: terminated, valid while the buffer is open.
            unsafe { CStr::from_ptr(self.0.format) }
        };
        let bytes = format.to_bytes();
        let size = self.0.itemsize;
        let (order, code) = match bytes {
            [first @ (b'@' | b'=' | b'<' | b'|' | b'>' | b'!'), rest @ ..] => (*first, rest),
            _ => (b'@', bytes),
        };
        let swapped = matches!(order, b'>' | b'!') && size > 1;
        let number = |code: u32| code | ((size as u32) * 8) << 8 | 1 << 16;
        let dtype = match code {
            b"?" => TN_BOOL,
            b"b" | b"h" | b"i" | b"l" | b"q" | b"n" => number(TN_CODE_INT),
            b"B" | b"H" | b"I" | b"L" | b"Q" | b"N" => number(TN_CODE_UINT),
            b"e" | b"f" | b"d" => number(TN_CODE_FLOAT),
            b"Zf" | b"Zd" => number(TN_CODE_COMPLEX),
            _ => 0,
        };
        let known = crate::convert::KINDS.iter().any(|k| k.0 == dtype && k.3 as isize == size);
        if !known || swapped {
            return Err(PyTypeError::new_err(format!(
                "a buffer of format {:?} with {size} bytes each is none of the element types that cross borders, in \
                 native byte order",
                format.to_string_lossy()
            )));
        }
        Ok(dtype)
    }

    /// The lowest address of an element, and how many bytes there are from it to the end of the last one.
    pub fn extent(&self) -> (u64, usize) {
        let (mut low, mut high) = (0i64, self.0.itemsize as i64);
        if let Ok(layout) = self.layout() {
            if layout.shape.contains(&0) {
                return (self.0.buf as u64, 0);
            }
            for (length, stride) in layout.shape.iter().zip(&layout.strides) {
                let reach = (length - 1) * stride;
                if reach < 0 { low += reach } else { high += reach }
            }
        }
        ((self.0.buf as u64).wrapping_add_signed(low), (high - low) as usize)
    }

    /// Copies the elements into an array of the same shape and type.
    pub fn copy_into(&self, py: Python<'_>, array: api::Id) -> PyResult<()> {
        let layout = self.layout()?;
        // The whole buffer crosses, which may; its pointer alone may not.
        py.detach(|| {
            let this = self;
            let raw = layout.raw();
            // SAFETY: the buffer is open as long as `self`.
            unsafe { api::copy_from_host(array, this.0.buf, &raw, TN_WAIT) }.map_err(PyErr::from)
        })
    }
}

/// Shape and strides in bytes.
pub struct Layout {
    dtype: tn_dtype,
    shape: Dims,
    strides: Dims,
}

impl Layout {
    /// As the C API takes it; valid as long as `self`.
    pub fn raw(&self) -> tn_layout {
        tn_layout {
            size: size_of::<tn_layout>(),
            dtype: self.dtype,
            ndim: self.shape.len() as i32,
            shape: self.shape.as_ptr(),
            strides: self.strides.as_ptr(),
            offset: 0,
        }
    }
}

/// What the library calls when nobody here uses the bytes any more.
///
/// # Safety
/// - `context` comes from `Box::into_raw` of a `Memory` and is passed once.
unsafe extern "C" fn done(context: *mut c_void) {
    // Nothing may unwind into the library; a buffer that cannot be released is left alone.
    let _ = std::panic::catch_unwind(|| {
        // SAFETY: by this function's list.
        drop(unsafe { Box::from_raw(context.cast::<Memory>()) });
    });
}

/// Python's `copy=` as crossing flags (XC-1).
pub fn crossing(copy: Option<bool>) -> u32 {
    match copy {
        None => TN_BORROW,
        Some(false) => TN_REQUIRE_BORROW,
        Some(true) => 0,
    }
}

/// An array on the memory of an object with the buffer protocol (bytes, bytearray, NumPy arrays, mmap, array.array).
///
/// copy: None aliases where it can, False aliases or raises, True copies. writable: None takes what the object gives,
/// True asks for a writable buffer, False makes a read-only array. The object stays alive as long as the array or
/// what was made from it needs its memory.
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
    let memory = Memory::of(object, writable)?;
    let layout = memory.layout()?;
    let mut flags = crossing(copy);
    if writable == Some(false) || (memory.readonly() && copy != Some(true)) {
        flags |= TN_IMPORT_READONLY;
    }
    let (pointer, ndim) = (memory.0.buf, layout.shape.len() as i32);
    let context = Box::into_raw(Box::new(memory));
    let _site = site::here(py);
    // SAFETY: the buffer keeps the memory and its description valid until `done` got the box; any thread may call it.
    match unsafe { api::import_host(pointer, &layout.raw(), flags, Some(done), context.cast()) } {
        Ok((id, _how)) => Array::wrap(py, id, layout.dtype, ndim),
        Err(failure) => {
            let error = failure.into();
            // SAFETY: a failing import does not call the release: the box is still ours.
            drop(unsafe { Box::from_raw(context) });
            Err(error)
        }
    }
}

/// The object as an array, with no copy where that is possible: an array as it is, a NumPy array or another buffer
/// aliased, an object with DLPack (a PyTorch tensor) or an Arrow array aliased; anything else is copied as by `tenure.array`.
///
/// dtype: a conversion copies. copy: None copies where it must, False raises instead, True copies.
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
    let aliased = if copy == Some(true) { None } else { alias(py, object)? };
    if let Some(array) = aliased
        && wanted.is_none_or(|w| w == array.get().dtype())
    {
        return Ok(array);
    }
    if copy == Some(false) {
        return Err(PyValueError::new_err("only a copy would do, and copy=False forbids one"));
    }
    if copy.is_none() && wanted.is_none() && has_memory(object)? && api::copies_forbidden()? {
        let text = format!(
            "this would copy ({} has elements or an order that cannot be shared), and the thread forbids copies; convert it \
             before, or ask for the copy: copy=True",
            object.get_type().name()?
        );
        return Err(crate::errors::with_text(py, TN_ERR_WOULD_COPY, &text, false));
    }
    let mut source = object.clone();
    if !object.hasattr("__array__")? && !object.is_instance_of::<Array>() && object.hasattr("__dlpack__")? {
        source = crate::dlpack::from_dlpack(py, object, None, None)?.into_any();
    }
    let dtype = wanted.map(|w| dtype_object(py, w)).transpose()?;
    create::array(py, &source, dtype.as_ref(), None, None, None)
}

/// Whether the object has elements in memory, as a list of numbers has not: then a copy is one that could have been an alias.
fn has_memory(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    // SAFETY: attached, a live object.
    let buffer = unsafe { ffi::PyObject_CheckBuffer(object.as_ptr()) } != 0;
    Ok(buffer || object.hasattr("__array_interface__")? || object.hasattr("__dlpack__")?)
}

/// An array on the object's own bytes, or None where it has none that can be shared.
fn alias<'py>(py: Python<'py>, object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, Array>>> {
    if let Ok(array) = object.cast::<Array>() {
        return Ok(Some(array.clone()));
    }
    if let Some(value) = crate::expr::value(object)? {
        return Ok(Some(value));
    }
    // SAFETY: attached, a live object.
    if unsafe { ffi::PyObject_CheckBuffer(object.as_ptr()) } != 0 {
        return match from_buffer(py, object, None, None) {
            Ok(array) => Ok(Some(array)),
            // Formats that have no element type here: NumPy may know how to convert them.
            Err(error) if error.is_instance_of::<PyTypeError>(py) || error.is_instance_of::<PyValueError>(py) => {
                Ok(None)
            }
            // What a buffer cannot say DLPack may: JAX has bfloat16 there only.
            Err(error) if error.is_instance_of::<PyBufferError>(py) && object.hasattr("__dlpack__")? => {
                drop(error);
                crate::dlpack::from_dlpack(py, object, None, None).map(Some)
            }
            Err(error) => Err(error),
        };
    }
    // Before DLPack, which Arrow's arrays have too, but for one axis only.
    if object.hasattr("__arrow_c_array__")? {
        return match crate::arrow::from_arrow(py, object, None) {
            Ok(array) => Ok(Some(array)),
            // Nulls, packed bits, texts: NumPy may know how to convert them.
            Err(error)
                if error.is_instance_of::<PyTypeError>(py) || error.is_instance_of::<PyNotImplementedError>(py) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        };
    }
    if object.hasattr("__dlpack__")? {
        return crate::dlpack::from_dlpack(py, object, None, None).map(Some);
    }
    if object.hasattr("__array_interface__")? {
        let options = PyDict::new(py);
        options.set_item("copy", false)?;
        let array = tables(py)?.asarray.bind(py).call((object,), Some(&options));
        return array.ok().map(|array| from_buffer(py, &array, None, None)).transpose();
    }
    Ok(None)
}
