//! The buffer protocol (PEP 3118): every buffer that is open is one export, which ends with it (CA-20 to CA-26).
//!
//! Contract: a writable array gives a shared view, a read-only one a read-only view; `x.readonly` and `x.exclusive`
//! are proxies that give those classes. A request that the layout does not meet, or that somebody's guard forbids, is
//! a BufferError; nothing is copied. Shape and strides of a buffer are the guard's, the guard's bits lie in the
//! buffer's `internal`.

use crate::api::{self, Failure, Id};
use crate::array::{Array, as_numpy};
use crate::convert::kind;
use crate::device::{Shown, patiently};
use crate::dlpack;
use crate::errors;
use crate::site;
use crate::types::*;
use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicU64, Ordering};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// How a consumer may use the bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Shared view of a writable array, read-only view of a read-only one.
    Default,
    /// XR.
    ReadOnly,
    /// XR also in the struct that cannot say so: the consumer is known to read only.
    Reads,
    /// XW.
    Exclusive,
}

impl Class {
    /// The flags of an export of this class.
    pub fn flags(self) -> u32 {
        match self {
            Class::Default => TN_EXPORT_WRITABLE,
            Class::ReadOnly => 0,
            Class::Reads => TN_EXPORT_CONSUMER_READS,
            Class::Exclusive => TN_EXPORT_WRITABLE | TN_EXPORT_EXCLUSIVE,
        }
    }
}

/// Refusals of a shared view after which a read-only one may do (XC-2).
pub fn may_read(failure: Failure) -> bool {
    matches!(failure.0, TN_ERR_READONLY | TN_ERR_IN_EXPRESSION | TN_ERR_SHARED)
}

/// Opens an export of this class on the array's own bytes; true: it is read-only. Where a shared view is refused a
/// read-only one does, if reading will do.
pub fn open(py: Python<'_>, id: Id, class: Class, reading_will_do: bool) -> api::Result<(Id, tn_view_info, bool)> {
    const ALIAS: u32 = TN_BORROW | TN_REQUIRE_BORROW | TN_WAIT;
    let opened = |flags| patiently(py, flags, |flags| api::export_host(id, flags, 0).map(Shown)).map(|shown| shown.0);
    match opened(ALIAS | class.flags()) {
        Ok((guard, info)) => Ok((guard, info, class == Class::ReadOnly)),
        Err(failure) if class == Class::Default && reading_will_do && may_read(failure) => {
            opened(ALIAS).map(|(guard, info)| (guard, info, true))
        }
        Err(failure) => Err(failure),
    }
}

/// Where a buffer without elements points: a consumer may not get NULL (CA-23). Aligned as the strictest element.
#[repr(align(64))]
pub struct Nowhere(#[allow(dead_code)] [u8; 64]);
pub static NOWHERE: Nowhere = Nowhere([0; 64]);

/// The address of it.
pub fn nowhere() -> *mut c_void {
    (&raw const NOWHERE).cast_mut().cast()
}

/// Memory with a layout, as a buffer hands it out; the pointers outlive the buffer.
pub struct Lay {
    pub data: *mut c_void,
    pub dtype: tn_dtype,
    pub ndim: usize,
    pub shape: *const i64,
    pub strides: *const i64,
    pub readonly: bool,
}

impl Lay {
    /// What a guard lets one touch.
    pub fn of(view: &tn_view_info, readonly: bool) -> Lay {
        let (ndim, dtype) = (view.ndim as usize, view.dtype);
        Lay { data: view.data, dtype, ndim, shape: view.shape, strides: view.strides, readonly }
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
        let mut step = kind(self.dtype).3 as i64;
        for i in axes {
            let (length, stride) = self.axis(i);
            if length > 1 && stride != step {
                return false;
            }
            step *= length;
        }
        true
    }

    /// C- and F-contiguous.
    fn contiguous(&self) -> (bool, bool) {
        if self.count() == 0 {
            return (true, true);
        }
        (self.packed((0..self.ndim).rev()), self.packed(0..self.ndim))
    }

    /// Why the request cannot be met.
    fn refuses(&self, flags: c_int) -> Option<(tn_status, String)> {
        let asks = |bits: c_int| flags & bits == bits;
        let name = kind(self.dtype).1;
        if kind(self.dtype).2.is_none() {
            let text = format!("the buffer protocol has no code for {name}; use x.view(\"uint16\")");
            return Some((TN_ERR_DTYPE, text));
        }
        if self.readonly && asks(ffi::PyBUF_WRITABLE) {
            return Some((
                TN_ERR_READONLY,
                "the array is read-only and the consumer asks for a writable buffer".into(),
            ));
        }
        let (c, f) = self.contiguous();
        let wanted = [
            (asks(ffi::PyBUF_C_CONTIGUOUS), c, "C-contiguous"),
            (asks(ffi::PyBUF_F_CONTIGUOUS), f, "F-contiguous"),
            (asks(ffi::PyBUF_ANY_CONTIGUOUS), c || f, "contiguous"),
            (!asks(ffi::PyBUF_STRIDES), c, "C-contiguous (it takes no strides)"),
        ];
        let missed = wanted.into_iter().find(|(asked, is, _)| *asked && !is)?;
        Some((TN_ERR_LAYOUT, format!("the consumer wants the elements {}, which they are not", missed.2)))
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
        let &Lay { data, dtype, ndim, shape, strides, readonly } = self;
        let entry = kind(dtype);
        let asks = |bits: c_int| flags & bits == bits;
        let format =
            entry.2.filter(|_| asks(ffi::PyBUF_FORMAT)).map_or(core::ptr::null_mut(), |f| f.as_ptr().cast_mut());
        // SAFETY: `view` is writable; every field is set.
        unsafe {
            *view = ffi::Py_buffer {
                buf: if data.is_null() { nowhere() } else { data },
                obj: owner.into_ptr(),
                len: self.count() as isize * entry.3 as isize,
                itemsize: entry.3 as isize,
                readonly: readonly.into(),
                // To a consumer that takes no shape it is a run of bytes, as memoryview and NumPy say; hashlib insists.
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

/// Opens an export of `array` and fills a buffer with it that belongs to `owner`.
///
/// # Safety
/// - `view` may be written.
unsafe fn export(
    owner: Bound<'_, PyAny>,
    array: &Array,
    class: Class,
    view: *mut ffi::Py_buffer,
    flags: c_int,
) -> PyResult<()> {
    // SAFETY: writable by this function's word; without an owner the buffer counts as not filled.
    unsafe { (*view).obj = core::ptr::null_mut() };
    let py = owner.py();
    let id = array.id()?;
    let _site = site::here(py);
    let reading_will_do = flags & ffi::PyBUF_WRITABLE != ffi::PyBUF_WRITABLE;
    let (guard, info, readonly) = open(py, id, class, reading_will_do).map_err(errors::exporting)?;
    // SAFETY: shape and strides are the guard's, which `release` ends; the array's bytes live as long.
    let filled = unsafe { Lay::of(&info, readonly).fill(owner, view, flags, guard.0 as *mut c_void) };
    if filled.is_err() {
        let _ = api::borrow_end(guard, 0);
    }
    filled
}

/// Ends the export of a buffer.
///
/// # Safety
/// - `view` was filled by `export`.
unsafe fn release(view: *mut ffi::Py_buffer) {
    // SAFETY: by this function's list.
    let guard = unsafe { (*view).internal } as u64;
    // Ending never fails for a guard that is open; there would be nobody to tell.
    let _ = api::borrow_end(Id(guard), 0);
}

#[pymethods]
impl Array {
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let array = slf.clone();
        // SAFETY: Python passes a buffer to fill.
        unsafe { export(slf.into_any(), array.get(), Class::Default, view, flags) }?;
        array.get().referred(1);
        Ok(())
    }

    unsafe fn __releasebuffer__(&self, view: *mut ffi::Py_buffer) {
        self.referred(-1);
        // SAFETY: Python passes a buffer that `__getbuffer__` filled.
        unsafe { release(view) }
    }

    /// A proxy whose views are read-only: while one lives the array is not written. The proxy itself holds nothing.
    ///
    /// >>> n = numpy.asarray(x.readonly)
    #[getter]
    fn readonly(slf: Bound<'_, Self>) -> Proxy {
        Proxy::of(slf, Class::ReadOnly)
    }

    /// A proxy whose view is alone: while it lives the array is neither read nor written by anybody else.
    #[getter]
    fn exclusive(slf: Bound<'_, Self>) -> Proxy {
        Proxy::of(slf, Class::Exclusive)
    }
}

/// What `x.readonly` and `x.exclusive` are: the array, for consumers of another class. Give it to `numpy.asarray`,
/// `memoryview`, `numpy.from_dlpack` and the like.
#[pyclass(frozen, module = "tenure", name = "Proxy")]
pub struct Proxy {
    array: Py<Array>,
    class: Class,
    /// The export that a look at `__array_interface__` opened; 0: none.
    mark: AtomicU64,
}

impl Proxy {
    fn of(array: Bound<'_, Array>, class: Class) -> Proxy {
        array.get().referred(1);
        Proxy { array: array.unbind(), class, mark: AtomicU64::new(0) }
    }

    /// Whose proxy it is.
    pub fn array(&self) -> &Array {
        self.array.get()
    }

    /// What it gives.
    pub fn class(&self) -> Class {
        self.class
    }

    /// Keeps an export open until `end_mark`.
    pub fn mark(&self, guard: Id) {
        self.mark.store(guard.0, Ordering::Relaxed);
    }

    /// Ends the export that is kept.
    pub fn end_mark(&self) {
        let guard = self.mark.swap(0, Ordering::Relaxed);
        if guard != 0 {
            // An export that is open can always be ended; there would be nobody to tell.
            let _ = api::borrow_end(Id(guard), 0);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.end_mark();
        self.array.get().referred(-1);
    }
}

#[pymethods]
impl Proxy {
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let proxy = slf.clone();
        let (array, class) = (proxy.get().array.get(), proxy.get().class);
        // SAFETY: Python passes a buffer to fill.
        unsafe { export(slf.into_any(), array, class, view, flags) }
    }

    unsafe fn __releasebuffer__(&self, view: *mut ffi::Py_buffer) {
        // SAFETY: Python passes a buffer that `__getbuffer__` filled.
        unsafe { release(view) }
    }

    #[pyo3(signature = (dtype=None, copy=None))]
    fn __array__<'py>(
        slf: Bound<'py, Self>,
        dtype: Option<&Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        as_numpy(slf.into_any(), dtype, copy)
    }

    #[pyo3(signature = (*, stream=None, max_version=None, dl_device=None, copy=None))]
    fn __dlpack__<'py>(
        &self,
        py: Python<'py>,
        stream: Option<&Bound<'py, PyAny>>,
        max_version: Option<dlpack::Pair>,
        dl_device: Option<dlpack::Pair>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        dlpack::export(py, self.array.get(), self.class, stream, max_version, dl_device, copy)
    }

    fn __dlpack_device__(&self) -> PyResult<(i32, i32)> {
        dlpack::device(self.array.get())
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let which = if self.class == Class::ReadOnly { "readonly" } else { "exclusive" };
        format!("<{which} view of {}>", crate::text::brief(self.array.bind(py)))
    }

    fn __reduce__(&self, py: Python<'_>) -> PyResult<Py<PyDict>> {
        Err(errors::with_text(py, TN_ERR_UNSUPPORTED, "a view of an array cannot be pickled", false))
    }
}
