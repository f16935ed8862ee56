//! Borrows without a view: the bytes of an array for code that moves them itself, such as an MPI library.
//!
//! Contract: the guard is open when the object is made. It ends once, by `end` or with the object, on any thread. The
//! object is a buffer, of bytes from element (0, .., 0) on, so that C code can get the address. Whoever keeps that
//! buffer beyond the guard must not touch it.

use crate::api::{self, Id};
use crate::base::interpreter::{SameThread, wait_without_gil};
use crate::base::site;
use crate::elements::device_view::entries;
use crate::handles::array::Array;
use crate::sys::*;
use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicU64, Ordering};
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;

/// An open guard and where the elements are.
#[pyclass(frozen, module = "tenure", name = "RawBorrow")]
pub struct RawBorrow {
    guard: AtomicU64,
    /// The address of element (0, .., 0).
    #[pyo3(get)]
    address: usize,
    /// Bytes of all elements.
    #[pyo3(get)]
    nbytes: u64,
    /// Whether the elements are contiguous in order C.
    #[pyo3(get)]
    is_c_contiguous: bool,
    /// Whether the bytes are on a GPU, where the host cannot reach them.
    #[pyo3(get)]
    is_remote: bool,
    writes: bool,
}

impl RawBorrow {
    fn finish(&self, flags: u32) {
        let guard = self.guard.swap(0, Ordering::AcqRel);
        if guard != 0 {
            // An open guard always ends. A failure means that C code ended it before.
            let _ = api::borrow_end(Id(guard), flags);
        }
    }
}

#[pymethods]
impl RawBorrow {
    /// Ends the guard. `failed`: what was written is incomplete, so the bytes become poisoned.
    #[pyo3(signature = (failed=false))]
    fn end(&self, failed: bool) {
        self.finish(if failed { TN_END_FAILED } else { 0 });
    }

    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let bytes = slf.get();
        if bytes.is_remote || bytes.guard.load(Ordering::Acquire) == 0 {
            // SAFETY: Python passes a buffer to fill; one without an owner counts as not filled.
            unsafe { (*view).obj = core::ptr::null_mut() };
            return Err(PyBufferError::new_err("the host cannot reach the bytes, or this borrow ended"));
        }
        let (data, length) = (bytes.address as *mut c_void, bytes.nbytes as ffi::Py_ssize_t);
        // SAFETY: Python passes a buffer to fill, and the buffer refers to its owner.
        match unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), data, length, c_int::from(!bytes.writes), flags) } {
            0 => Ok(()),
            _ => Err(PyErr::fetch(slf.py())),
        }
    }
}

impl Drop for RawBorrow {
    fn drop(&mut self) {
        self.finish(0);
    }
}

/// Opens a guard for reading or writing. It waits for device work, with the interpreter released.
#[pyfunction]
pub fn _borrow<'py>(py: Python<'py>, array: &Bound<'py, Array>, writes: bool) -> PyResult<Bound<'py, RawBorrow>> {
    let _site = site::here(py);
    let id = array.get().id()?;
    let take = |flags| if writes { api::borrow_write(id, flags) } else { api::borrow_read(id, flags) };
    let (guard, view) = wait_without_gil(py, TN_WAIT, |flags| take(flags).map(SameThread))?.0;
    let is_remote = view.device.r#type == TN_CUDA;
    let mut expected = i64::from(view.dtype >> 8 & 0xff) / 8;
    let mut is_c_contiguous = true;
    for (&length, &stride) in entries(&view, view.shape).iter().zip(entries(&view, view.strides).iter()).rev() {
        is_c_contiguous &= length == 1 || stride == expected;
        expected *= length;
    }
    Bound::new(
        py,
        RawBorrow {
            guard: AtomicU64::new(guard.0),
            address: if is_remote { view.device_data as usize } else { view.data as usize },
            nbytes: view.bytes,
            is_c_contiguous: is_c_contiguous || view.bytes == 0,
            is_remote,
            writes,
        },
    )
}
