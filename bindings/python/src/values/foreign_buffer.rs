//! Buffers of other Python objects (PEP 3118): their layout, and arrays on their bytes.
//!
//! Contract: an import keeps the buffer open until the library reports that nothing uses the bytes any more, on any
//! thread. The buffer is then released with the interpreter attached, or left alone where the interpreter is gone
//! (CA-27, XC-8). A format is one element code in native byte order (CA-28); any other is refused before a byte is
//! touched.

use crate::api;
use crate::base::interpreter::while_alive;
use crate::types::*;
use crate::values::convert::{Dims, KINDS};
use core::ffi::{CStr, c_int, c_void};
use pyo3::exceptions::{PyBufferError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;

/// An open buffer of another object. It is on the heap, because its shape may point into itself.
pub struct ForeignBuffer(Box<ffi::Py_buffer>);

// SAFETY: a `Py_buffer` may be used and released from any thread that is attached, and `Drop` attaches.
unsafe impl Send for ForeignBuffer {}

// SAFETY: shared use only reads its fields.
unsafe impl Sync for ForeignBuffer {}

impl Drop for ForeignBuffer {
    fn drop(&mut self) {
        // Without an interpreter the buffer's owner is gone as well.
        while_alive(|_| {
            // SAFETY: attached; filled by PyObject_GetBuffer and released once.
            unsafe { ffi::PyBuffer_Release(&mut *self.0) }
        });
    }
}

impl ForeignBuffer {
    fn open(object: &Bound<'_, PyAny>, flags: c_int) -> PyResult<ForeignBuffer> {
        let mut buffer = Box::new(ffi::Py_buffer::new());
        // SAFETY: attached; a failing call fills nothing, and the box is dropped as it was made.
        if unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), &mut *buffer, flags) } != 0 {
            return Err(PyErr::fetch(object.py()));
        }
        Ok(ForeignBuffer(buffer))
    }

    /// Opens the object's buffer for reading, with its layout.
    pub fn read(object: &Bound<'_, PyAny>) -> PyResult<ForeignBuffer> {
        Self::open(object, ffi::PyBUF_FULL_RO)
    }

    /// Opens the object's buffer. writable None: whichever the object offers.
    pub fn of(object: &Bound<'_, PyAny>, writable: Option<bool>) -> PyResult<ForeignBuffer> {
        match writable {
            Some(true) => Self::open(object, ffi::PyBUF_FULL),
            Some(false) => Self::read(object),
            // Read-only and writable exporters both accept this request, and the buffer shows which it is.
            None => Self::read(object),
        }
    }

    pub fn readonly(&self) -> bool {
        self.0.readonly != 0
    }

    /// Element type, shape and strides. Checks what the library cannot check.
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
                    return Err(PyBufferError::new_err(
                        "buffers with suboffsets are not supported; copy the object to one without",
                    ));
                }
            }
        }
        let shape = list(view.shape, "shape")?;
        // A buffer without strides, as those of ctypes, is in C order.
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

    /// The element type that the format string means.
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
        let known = KINDS.iter().any(|k| k.dtype == dtype && k.item_bytes as isize == size);
        if !known || swapped {
            return Err(PyTypeError::new_err(format!(
                "a buffer of format {:?} with {size} bytes each is none of the supported element types in native \
                 byte order",
                format.to_string_lossy()
            )));
        }
        Ok(dtype)
    }

    /// The lowest address of an element, and the number of bytes from it to the end of the last element.
    pub fn address_range(&self) -> (u64, usize) {
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

    /// Makes an array on the bytes. It keeps the buffer open until nothing uses them any more.
    pub fn import(self, layout: &Layout, flags: u32) -> PyResult<api::Id> {
        let pointer = self.0.buf;
        let context = Box::into_raw(Box::new(self));
        // SAFETY: the buffer keeps the memory and its description valid until `release_buffer` gets the box, on any thread.
        match unsafe { api::import_host(pointer, &layout.raw(), flags, Some(release_buffer), context.cast()) } {
            Ok((id, _how)) => Ok(id),
            Err(failure) => {
                // The library's text is read first: releasing the buffer may run Python code.
                let error = failure.into();
                // SAFETY: an import that fails does not call the release, so the box is still ours.
                drop(unsafe { Box::from_raw(context) });
                Err(error)
            }
        }
    }

    /// Copies the elements into an array of the same shape and of `dtype`. The buffer has that type, or uint16 with the
    /// bits of bfloat16, which buffers have no code for.
    pub fn copy_into(&self, py: Python<'_>, array: api::Id, dtype: tn_dtype) -> PyResult<()> {
        let mut layout = self.layout()?;
        if dtype == TN_BF16 && layout.dtype == TN_U16 {
            layout.dtype = TN_BF16;
        }
        // The closure captures the whole buffer, which may cross threads; its pointer alone may not.
        py.detach(|| {
            let this = self;
            let raw = layout.raw();
            // SAFETY: the buffer is open as long as `self`.
            unsafe { api::copy_from_host(array, this.0.buf, &raw, TN_WAIT) }.map_err(PyErr::from)
        })
    }
}

/// Element type, shape, and strides in bytes.
pub struct Layout {
    pub dtype: tn_dtype,
    pub shape: Dims,
    pub strides: Dims,
}

impl Layout {
    /// The struct of the C API; valid as long as `self`.
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

/// Called by the library when nothing uses the bytes any more.
///
/// # Safety
/// - `context` comes from `Box::into_raw` of a `ForeignBuffer` and is passed once.
unsafe extern "C" fn release_buffer(context: *mut c_void) {
    // Nothing may unwind into the library. A buffer whose release panics is left alone.
    let _ = std::panic::catch_unwind(|| {
        // SAFETY: by this function's list.
        drop(unsafe { Box::from_raw(context.cast::<ForeignBuffer>()) });
    });
}
