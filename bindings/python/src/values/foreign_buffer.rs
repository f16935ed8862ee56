//! Buffers of other Python objects (PEP 3118): their layout, and arrays on their bytes.
//!
//! Contract: an import keeps the buffer open until the library reports that nothing uses the bytes any more, on any
//! thread. The buffer is then released with the interpreter attached, or left alone where the interpreter is gone
//! (CA-27, XC-8). A format is one element code in native byte order (CA-28); any other is refused before a byte is
//! touched. Fields that contradict each other are refused when the buffer is opened (CA-37), so shape and strides are
//! read once.

use crate::api;
use crate::base::interpreter::while_alive;
use crate::sys::*;
use crate::values::convert::{Dims, KINDS};
use core::ffi::{CStr, c_int, c_void};
use pyo3::exceptions::{PyBufferError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;

/// Axes that a buffer may have: `PyBUF_MAX_NDIM`.
pub const MAX_AXES: usize = 64;

/// An open buffer of another object, whose fields were checked.
pub struct ForeignBuffer {
    raw: RawBuffer,
    shape: Dims,
    /// In bytes.
    strides: Dims,
    /// The lowest byte of an element, from the buffer's address, and the bytes from there to the end of the last
    /// element.
    range: (i64, usize),
}

/// What `PyObject_GetBuffer` filled. It is on the heap, because its shape may point into itself.
struct RawBuffer(Box<ffi::Py_buffer>);

// SAFETY: a `Py_buffer` may be used and released from any thread that is attached, and `Drop` attaches.
unsafe impl Send for RawBuffer {}

// SAFETY: shared use only reads its fields.
unsafe impl Sync for RawBuffer {}

impl Drop for RawBuffer {
    fn drop(&mut self) {
        // Without an interpreter the buffer's owner is gone as well.
        while_alive(|_| {
            // SAFETY: attached; filled by PyObject_GetBuffer and released once.
            unsafe { ffi::PyBuffer_Release(&mut *self.0) }
        });
    }
}

impl RawBuffer {
    /// Asks the object for its buffer.
    fn open(object: &Bound<'_, PyAny>, flags: c_int) -> PyResult<RawBuffer> {
        let mut buffer = Box::new(ffi::Py_buffer::new());
        // SAFETY: attached; a failing call fills nothing, and the box is dropped as it was made.
        if unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), &mut *buffer, flags) } != 0 {
            return Err(
                PyErr::take(object.py()).unwrap_or_else(|| wrong(object, "it was refused without an exception"))
            );
        }
        Ok(RawBuffer(buffer))
    }

    /// Reads shape and strides, and compares all fields with each other. The error says which of them contradict.
    fn described(self) -> Result<ForeignBuffer, String> {
        let view = &self.0;
        let (len, item) = (view.len as i64, view.itemsize as i64);
        // First: nothing says how long the lists are otherwise.
        let ndim = usize::try_from(view.ndim).ok().filter(|ndim| *ndim <= MAX_AXES);
        let ndim = ndim.ok_or_else(|| format!("ndim is {}, which is not in 0 to {MAX_AXES}", view.ndim))?;
        if len < 0 || item < 0 {
            return Err(format!("len is {len} and itemsize is {item}, and neither may be negative"));
        }
        let list = |at: *mut isize, what: &str| -> Result<Dims, String> {
            if at.is_null() && ndim > 0 {
                return Err(format!("it has {ndim} axes and no {what}"));
            }
            // SAFETY: not NULL, ndim entries by the buffer protocol.
            Ok((0..ndim).map(|axis| unsafe { *at.add(axis) } as i64).collect())
        };
        if !view.suboffsets.is_null() && list(view.suboffsets, "suboffsets")?.iter().any(|offset| *offset >= 0) {
            return Err("suboffsets are not supported; copy the object to one without".to_owned());
        }
        let shape = list(view.shape, "shape")?;
        if let Some(length) = shape.iter().find(|length| **length < 0) {
            return Err(format!("an axis has length {length}"));
        }
        let is_empty = shape.contains(&0);
        let bytes =
            if is_empty { Some(0) } else { shape.iter().try_fold(item, |bytes, length| bytes.checked_mul(*length)) };
        // Of a buffer with gaps, `len` counts the elements only: where its strides lead cannot be compared with
        // anything.
        if bytes.is_none_or(|bytes| bytes > len) {
            return Err(format!("shape {shape:?} with {item} bytes an element does not fit into len, which is {len}"));
        }
        if view.buf.is_null() && bytes != Some(0) {
            return Err(format!("its address is NULL, and shape {shape:?} has elements"));
        }
        // A buffer without strides, as those of ctypes, is in C order.
        let strides = if view.strides.is_null() { dense(item, &shape) } else { list(view.strides, "strides")? };
        let range = if is_empty { Some((0, 0)) } else { reach(item, &shape, &strides) };
        let start = |low: i64| (view.buf as i64).checked_add(low).filter(|first| *first >= 0);
        let fits =
            |&(low, bytes): &(i64, usize)| start(low).and_then(|first| first.checked_add(bytes as i64)).is_some();
        let Some(range) = range.filter(fits) else {
            return Err(format!("shape {shape:?} with strides {strides:?} reaches beyond the address space"));
        };
        Ok(ForeignBuffer { raw: self, shape, strides, range })
    }
}

/// The exception for a buffer that cannot be right. asarray raises it too: NumPy would read the buffer as it is.
fn wrong(object: &Bound<'_, PyAny>, why: &str) -> PyErr {
    let kind = object.get_type();
    let kind = kind.name().map_or_else(|_| "object".to_owned(), |name| name.to_string());
    PyBufferError::new_err(format!("the buffer of this {kind} cannot be used: {why}"))
}

/// Strides in C order without gaps. What overflows does not matter: such a shape has no elements, or is refused.
pub fn dense(item: i64, shape: &[i64]) -> Dims {
    let mut strides: Dims = shape.into();
    let mut next = item;
    for length in strides.iter_mut().rev() {
        next = next.saturating_mul(core::mem::replace(length, next));
    }
    strides
}

/// The lowest byte of an element from the first one's address, and the bytes from there to the end of the last element.
/// None: the numbers overflow, or a length is not positive.
pub fn reach(item: i64, shape: &[i64], strides: &[i64]) -> Option<(i64, usize)> {
    let (mut low, mut high) = (0i64, item);
    for (length, stride) in shape.iter().zip(strides) {
        let reach = length.checked_sub(1).filter(|steps| *steps >= 0)?.checked_mul(*stride)?;
        let end = if reach < 0 { &mut low } else { &mut high };
        *end = end.checked_add(reach)?;
    }
    Some((low, usize::try_from(high.checked_sub(low)?).ok()?))
}

impl ForeignBuffer {
    fn open(object: &Bound<'_, PyAny>, flags: c_int) -> PyResult<ForeignBuffer> {
        RawBuffer::open(object, flags)?.described().map_err(|why| wrong(object, &why))
    }

    /// Opens the object's buffer for reading, with its layout.
    pub fn read(object: &Bound<'_, PyAny>) -> PyResult<ForeignBuffer> {
        Self::open(object, ffi::PyBUF_FULL_RO)
    }

    /// Opens the object's buffer. writable None: whichever the object offers.
    pub fn of(object: &Bound<'_, PyAny>, writable: Option<bool>) -> PyResult<ForeignBuffer> {
        if writable != Some(true) {
            // Read-only and writable exporters both accept this request, and the buffer shows which it is.
            return Self::read(object);
        }
        let buffer = Self::open(object, ffi::PyBUF_FULL)?;
        if buffer.readonly() {
            return Err(wrong(object, "it is read-only, though a writable one was requested"));
        }
        Ok(buffer)
    }

    /// Raises for a buffer whose fields contradict each other. An object that refuses to open one is left to its other
    /// protocols.
    pub fn check(object: &Bound<'_, PyAny>) -> PyResult<()> {
        match RawBuffer::open(object, ffi::PyBUF_FULL_RO) {
            Ok(buffer) => buffer.described().map(|_| ()).map_err(|why| wrong(object, &why)),
            Err(_) => Ok(()),
        }
    }

    pub fn readonly(&self) -> bool {
        self.raw.0.readonly != 0
    }

    /// Element type, shape and strides.
    pub fn layout(&self) -> PyResult<Layout> {
        Ok(Layout { dtype: self.dtype()?, shape: self.shape.clone(), strides: self.strides.clone() })
    }

    /// The element type that the format string means.
    fn dtype(&self) -> PyResult<tn_dtype> {
        let format = if self.raw.0.format.is_null() {
            c"B"
        } else {
            // SAFETY: terminated, valid while the buffer is open.
            unsafe { CStr::from_ptr(self.raw.0.format) }
        };
        let bytes = format.to_bytes();
        let size = self.raw.0.itemsize;
        let (order, code) = match bytes {
            [first @ (b'@' | b'=' | b'<' | b'|' | b'>' | b'!'), rest @ ..] => (*first, rest),
            _ => (b'@', bytes),
        };
        let swapped = matches!(order, b'>' | b'!') && size > 1;
        let number = |code: u32| code | ((size as u32) * 8) << 8 | 1 << 16;
        // ctypes writes "<l" for 8 bytes, where struct has 4: the size of a long is that of itemsize.
        let (dtype, sizes): (_, &[isize]) = match code {
            b"?" => (TN_BOOL, &[1]),
            b"b" => (number(TN_CODE_INT), &[1]),
            b"B" => (number(TN_CODE_UINT), &[1]),
            b"h" => (number(TN_CODE_INT), &[2]),
            b"H" => (number(TN_CODE_UINT), &[2]),
            b"i" => (number(TN_CODE_INT), &[4]),
            b"I" => (number(TN_CODE_UINT), &[4]),
            b"l" | b"q" | b"n" => (number(TN_CODE_INT), &[4, 8]),
            b"L" | b"Q" | b"N" => (number(TN_CODE_UINT), &[4, 8]),
            b"e" => (number(TN_CODE_FLOAT), &[2]),
            b"f" => (number(TN_CODE_FLOAT), &[4]),
            b"d" => (number(TN_CODE_FLOAT), &[8]),
            b"Zf" => (number(TN_CODE_COMPLEX), &[8]),
            b"Zd" => (number(TN_CODE_COMPLEX), &[16]),
            _ => (0, &[]),
        };
        if dtype != 0 && !sizes.contains(&size) {
            return Err(PyBufferError::new_err(format!(
                "this buffer cannot be used: itemsize is {size}, and an element of its format {:?} has {} bytes",
                format.to_string_lossy(),
                sizes[sizes.len() - 1]
            )));
        }
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
        let (low, bytes) = self.range;
        ((self.raw.0.buf as u64).wrapping_add_signed(low), bytes)
    }

    /// Makes an array on the bytes. It keeps the buffer open until nothing uses them any more.
    pub fn import(self, layout: &Layout, flags: u32) -> PyResult<api::Id> {
        let pointer = self.raw.0.buf;
        let context = Box::into_raw(Box::new(self));
        // SAFETY: the buffer keeps the memory and its description valid until `release_buffer` gets the box, on any
        // thread.
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
            unsafe { api::copy_from_host(array, this.raw.0.buf, &raw, TN_WAIT) }.map_err(PyErr::from)
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
