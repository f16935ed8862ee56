//! The fields of a Python buffer, from memory with a layout.
//!
//! Contract: fills a `Py_buffer`, or refuses a request that the layout does not meet with a BufferError. Nothing is
//! copied. The caller keeps data, shape and strides valid until the buffer is released.

use crate::base::errors;
use crate::sys::*;
use crate::values::convert::kind;
use core::ffi::{c_int, c_void};
use pyo3::ffi;
use pyo3::prelude::*;

/// The target of a buffer without elements, because a consumer may not get NULL (CA-23). Aligned for every element
/// type.
#[repr(align(64))]
pub struct Nowhere(#[allow(dead_code)] [u8; 64]);

pub static NOWHERE: Nowhere = Nowhere([0; 64]);

/// The address of `NOWHERE`.
pub fn nowhere() -> *mut c_void {
    (&raw const NOWHERE).cast_mut().cast()
}

/// Memory with a layout. The pointers outlive the buffer.
pub struct BufferFields {
    pub data: *mut c_void,
    pub dtype: tn_dtype,
    pub ndim: usize,
    pub shape: *const i64,
    pub strides: *const i64,
    pub readonly: bool,
}

impl BufferFields {
    /// The fields for the view of a guard.
    pub fn of(view: &tn_view_info, readonly: bool) -> BufferFields {
        let (ndim, dtype) = (view.ndim as usize, view.dtype);
        BufferFields { data: view.data, dtype, ndim, shape: view.shape, strides: view.strides, readonly }
    }

    fn axis(&self, i: usize) -> (i64, i64) {
        // SAFETY: both have ndim entries, and i is below it.
        unsafe { (*self.shape.add(i), *self.strides.add(i)) }
    }

    fn count(&self) -> i64 {
        (0..self.ndim).map(|i| self.axis(i).0).product()
    }

    /// Whether the axes, in the order given, are packed from the last to the first.
    fn packed(&self, axes: impl Iterator<Item = usize>) -> bool {
        let mut step = kind(self.dtype).item_bytes as i64;
        for i in axes {
            let (length, stride) = self.axis(i);
            if length > 1 && stride != step {
                return false;
            }
            step *= length;
        }
        true
    }

    /// Whether the elements are C-contiguous, and whether they are F-contiguous.
    fn contiguous(&self) -> (bool, bool) {
        if self.count() == 0 {
            return (true, true);
        }
        (self.packed((0..self.ndim).rev()), self.packed(0..self.ndim))
    }

    /// The reason to refuse a request: a status and a message. None: it can be met.
    fn refuses(&self, flags: c_int) -> Option<(tn_status, String)> {
        let asks = |bits: c_int| flags & bits == bits;
        let name = kind(self.dtype).name;
        if kind(self.dtype).format.is_none() {
            let text = format!("the buffer protocol has no code for {name}; use x.view(\"uint16\")");
            return Some((TN_ERR_DTYPE, text));
        }
        if self.readonly && asks(ffi::PyBUF_WRITABLE) {
            return Some((
                TN_ERR_READONLY,
                "the array is read-only and the consumer requests a writable buffer".into(),
            ));
        }
        let (c, f) = self.contiguous();
        let wanted = [
            (asks(ffi::PyBUF_C_CONTIGUOUS), c, "C-contiguous", "C"),
            (asks(ffi::PyBUF_F_CONTIGUOUS), f, "F-contiguous", "F"),
            (asks(ffi::PyBUF_ANY_CONTIGUOUS), c || f, "contiguous", "C"),
            (!asks(ffi::PyBUF_STRIDES), c, "C-contiguous (it takes no strides)", "C"),
        ];
        let (_, _, missed, order) = wanted.into_iter().find(|(asked, is, ..)| *asked && !is)?;
        Some((
            TN_ERR_LAYOUT,
            format!("the consumer requests {missed} elements, which these are not; pass x.copy({order:?})"),
        ))
    }

    /// Fills a buffer that belongs to `owner`.
    ///
    /// # Safety
    /// - `view` may be written; on failure its `obj` is NULL.
    /// - data, shape and strides stay valid until the buffer is released.
    pub unsafe fn fill(
        &self,
        owner: Bound<'_, PyAny>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
        internal: *mut c_void,
    ) -> PyResult<()> {
        if let Some((status, text)) = self.refuses(flags) {
            return Err(errors::buffer_error(owner.py(), status, &text));
        }
        let &BufferFields { data, dtype, ndim, shape, strides, readonly } = self;
        let entry = kind(dtype);
        let asks = |bits: c_int| flags & bits == bits;
        let format =
            entry.format.filter(|_| asks(ffi::PyBUF_FORMAT)).map_or(core::ptr::null_mut(), |f| f.as_ptr().cast_mut());
        // SAFETY: `view` is writable; every field is set.
        unsafe {
            *view = ffi::Py_buffer {
                buf: if data.is_null() { nowhere() } else { data },
                obj: owner.into_ptr(),
                len: self.count() as isize * entry.item_bytes as isize,
                itemsize: entry.item_bytes as isize,
                readonly: readonly.into(),
                // A consumer that takes no shape sees one axis of bytes, as with memoryview and NumPy; hashlib depends
                // on that.
                ndim: if asks(ffi::PyBUF_ND) { ndim } else { ndim.min(1) } as c_int,
                format,
                shape: if ndim > 0 && asks(ffi::PyBUF_ND) { shape.cast_mut().cast() } else { core::ptr::null_mut() },
                strides: if ndim > 0 && asks(ffi::PyBUF_STRIDES) {
                    strides.cast_mut().cast()
                } else {
                    core::ptr::null_mut()
                },
                suboffsets: core::ptr::null_mut(),
                internal,
            };
        }
        Ok(())
    }
}
