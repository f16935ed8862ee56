//! `tenure.Array`: the object around one array handle, what it is, and what it does as a whole.
//!
//! Contract: one object owns one handle; `release` and `detach` take it out, the end of the object releases what is
//! left, never raises and needs nothing but the library. Element type and number of axes of a handle never change, so
//! they are kept here; everything else is asked of the library. Indexing is in `index`, other views in `views`,
//! borrows in `borrow`, the protocols in `buffer` and `dlpack`.

use crate::api::{self, Id, cuda};
use crate::base::interpreter::retry_after_wait;
use crate::base::{errors, site};
use crate::handles::array_extra::ArrayExtra;
use crate::handles::pool::Pool;
use crate::handles::stream::Stream;
use crate::types::*;
use crate::values::convert::{self, Dims, fixed_text, kind, mode_and_wait, parameter_of, tables};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use pyo3::PyTypeInfo;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// An array: one claim on some bytes, with a shape. Views (`x[1:3]`, `x.T`) are arrays on the same bytes; nothing
/// copies unless it says so.
///
/// Made by `tenure.empty`, `zeros`, `array`, `asarray` and the like:
///
/// >>> import numpy, tenure
/// >>> x = tenure.array([[1.0, 2.0], [3.0, 4.0]], name="x")
/// >>> n = numpy.asarray(x)            # the same bytes
/// >>> n[0, 0] = 5.0
/// >>> x[0, 0]
/// 5.0
#[pyclass(frozen, weakref, module = "tenure", name = "Array")]
pub struct Array {
    /// The handle's bits, or one of the two below.
    id: AtomicU64,
    /// Element type of the handle; set once, before anybody else has the object.
    dtype: AtomicU32,
    /// Number of axes of the handle; the same.
    ndim: AtomicI32,
    /// References to the object that are no variables: those of buffers that are out and of proxies.
    referred: AtomicI32,
    /// What few arrays have; NULL, or a box of this object.
    extra: AtomicPtr<ArrayExtra>,
}

/// In place of the handle: the object was released.
const RELEASED: u64 = 0;
/// In place of the handle: it was handed out by `detach`.
const DETACHED: u64 = 1;

impl Drop for Array {
    fn drop(&mut self) {
        // First what is held through the handle: strict mode refuses to release it otherwise.
        self.end_marks();
        let id = *self.id.get_mut();
        if id > DETACHED {
            // A finaliser can do nothing about a failure (PY-9); strict mode refuses here what it refuses everywhere.
            let _ = api::release(Id(id));
        }
        let extra = *self.extra.get_mut();
        if !extra.is_null() {
            // SAFETY: made by `Box::into_raw` in `extra`, and nobody refers to this object any more.
            drop(unsafe { Box::from_raw(extra) });
        }
    }
}

impl Array {
    /// An object that owns the handle; where none can be made the handle is released.
    #[inline]
    pub fn wrap(py: Python<'_>, id: Id, dtype: tn_dtype, ndim: i32) -> PyResult<Bound<'_, Array>> {
        // Views are made by the million: `Bound::new` would look up and call `object.__new__` with an empty tuple. What
        // it does in the end is this call, and zeros are an `Array` that was released.
        // SAFETY: attached, the type of this class, no items; the memory comes zeroed, which is a value of every field
        // (here, and of what pyo3 keeps beside a frozen class that may cross threads: no list of weak references).
        let object = unsafe { ffi::PyType_GenericAlloc(Self::type_object_raw(py), 0) };
        if object.is_null() {
            let error = PyErr::fetch(py);
            let _ = api::release(id);
            return Err(error);
        }
        // SAFETY: a new reference to an object of this class.
        let array = unsafe { Bound::from_owned_ptr(py, object).cast_into_unchecked::<Array>() };
        let this = array.get();
        this.dtype.store(dtype, Ordering::Relaxed);
        this.ndim.store(ndim, Ordering::Relaxed);
        this.id.store(id.0, Ordering::Relaxed);
        Ok(array)
    }

    /// So many more buffers and proxies refer to the object.
    pub fn referred(&self, more: i32) {
        self.referred.fetch_add(more, Ordering::Relaxed);
    }

    /// How many buffers and proxies refer to the object.
    pub fn views(&self) -> u32 {
        self.referred.load(Ordering::Relaxed).max(0) as u32
    }

    /// What few arrays have, made at the first use.
    pub fn extra(&self) -> &ArrayExtra {
        let mut extra = self.extra.load(Ordering::Acquire);
        if extra.is_null() {
            let fresh = Box::into_raw(Box::<ArrayExtra>::default());
            // Release: whoever finds it finds it made. The loser of a race takes the winner's.
            match self.extra.compare_exchange(null_mut(), fresh, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => extra = fresh,
                Err(other) => {
                    // SAFETY: made above and seen by nobody.
                    drop(unsafe { Box::from_raw(fresh) });
                    extra = other;
                }
            }
        }
        // SAFETY: made by `Box::into_raw`, and freed with this object.
        unsafe { &*extra }
    }

    /// Ends the exports that `__array_interface__` opened.
    pub fn end_marks(&self) {
        if !self.extra.load(Ordering::Acquire).is_null() {
            self.extra().end_marks();
        }
    }

    /// Element type of the handle.
    #[inline]
    pub fn dtype(&self) -> tn_dtype {
        self.dtype.load(Ordering::Relaxed)
    }

    /// Number of axes of the handle.
    #[inline]
    pub fn ndim(&self) -> i32 {
        self.ndim.load(Ordering::Relaxed)
    }

    /// The same for a handle of which only the bits are known.
    pub fn adopt(py: Python<'_>, id: Id) -> PyResult<Bound<'_, Array>> {
        match api::query(id) {
            Ok(info) => Self::wrap(py, id, info.dtype, info.ndim),
            Err(failure) => {
                let error = failure.into();
                let _ = api::release(id);
                Err(error)
            }
        }
    }

    /// The handle, if the object still has one.
    #[inline]
    pub fn id(&self) -> PyResult<Id> {
        match self.id.load(Ordering::Relaxed) {
            id if id > DETACHED => Ok(Id(id)),
            _ => Err(self.gone()),
        }
    }

    #[cold]
    fn gone(&self) -> PyErr {
        let how = self.fate().unwrap_or("released");
        let text = format!("this array was {how}; only its repr works");
        Python::attach(|py| errors::with_text(py, TN_ERR_STALE, &text, false))
    }

    /// Whether the object gave its handle back or out.
    pub fn fate(&self) -> Option<&'static str> {
        match self.id.load(Ordering::Relaxed) {
            RELEASED => Some("released"),
            DETACHED => Some("detached"),
            _ => None,
        }
    }

    /// What the library says about it.
    pub fn info(&self) -> PyResult<tn_array_info> {
        Ok(api::query(self.id()?)?)
    }

    /// Its lengths.
    pub fn dims(&self) -> PyResult<Dims> {
        let info = self.info()?;
        Ok(info.shape[..info.ndim as usize].into())
    }

    /// The length of its first axis.
    pub fn length(&self) -> PyResult<i64> {
        if self.ndim() == 0 {
            return Err(PyTypeError::new_err("len() of unsized object: the array has no axes"));
        }
        Ok(self.info()?.shape[0])
    }

    /// Waits for the device work that writes memory which the host can touch: before a call that has no TN_WAIT, or would wait with the
    /// interpreter held.
    pub fn finish(&self, py: Python<'_>) -> PyResult<()> {
        let id = self.id()?;
        match self.info()?.device.r#type {
            TN_CPU | TN_CUDA => Ok(()),
            _ => py.detach(|| cuda::wait(id, TN_READ).map_err(PyErr::from)),
        }
    }

    fn take_id(&self, instead: u64) -> Option<Id> {
        let id = self.id.swap(instead, Ordering::Relaxed);
        if id > DETACHED {
            return Some(Id(id));
        }
        self.id.store(id, Ordering::Relaxed);
        None
    }
}

#[pymethods]
impl Array {
    /// The lengths of the axes.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let info = self.info()?;
        PyTuple::new(py, &info.shape[..info.ndim as usize])
    }

    /// The distances between neighbours on each axis, in bytes, as NumPy's.
    #[getter]
    fn strides<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let info = self.info()?;
        PyTuple::new(py, &info.strides[..info.ndim as usize])
    }

    /// The element type, as a NumPy dtype (`tenure.bfloat16` for what NumPy does not have).
    #[getter(dtype)]
    fn py_dtype<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::dtype_object(py, self.dtype())
    }

    /// The number of axes.
    #[getter(ndim)]
    fn py_ndim(&self) -> i32 {
        self.ndim()
    }

    /// The number of elements.
    #[getter]
    fn size(&self) -> PyResult<u64> {
        Ok(self.info()?.count)
    }

    /// Bytes of one element.
    #[getter]
    fn itemsize(&self) -> usize {
        kind(self.dtype()).3
    }

    /// Bytes of all elements.
    #[getter]
    fn nbytes(&self) -> PyResult<u64> {
        Ok(self.info()?.bytes)
    }

    /// Where the bytes are: "cpu", "cuda:0", "cuda_host", "cuda_managed:0".
    #[getter]
    fn device(&self) -> PyResult<String> {
        Ok(convert::device_text(self.info()?.device))
    }

    /// The name in messages and reports, "" without one; None or "" removes it.
    #[getter]
    fn name(&self) -> PyResult<String> {
        Ok(convert::fixed_text(&self.info()?.name))
    }

    #[setter]
    fn set_name(&self, name: Option<&str>) -> PyResult<()> {
        let name = name.filter(|n| !n.is_empty()).map(convert::text_of).transpose()?;
        Ok(api::set_name(self.id()?, name.as_deref())?)
    }

    /// How the elements lie and what may be done with them: `x.flags.c_contiguous`, `x.flags.writeable`,
    /// `x.flags["F"]`.
    #[getter]
    fn flags<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        tables(py)?.plain.bind(py).getattr("Flags")?.call1((self.info()?.flags,))
    }

    /// The pool that the bytes came from; imported bytes have none and raise.
    #[getter]
    fn pool<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Pool>> {
        Pool::wrap(py, api::array_pool(self.id()?)?, self.info()?.device)
    }

    /// The handle as an integer, lent: for C code that uses it while this object lives.
    #[getter]
    fn handle(&self) -> PyResult<u64> {
        Ok(self.id()?.0)
    }

    /// The lent handle for ctypes: `lib.use(x)` passes it as a pointer.
    #[getter]
    fn _as_parameter_<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        parameter_of(py, self.id()?)
    }

    /// Hands the handle out as an integer; whoever gets it releases it (`tn_array_release`). This object is empty
    /// afterwards.
    fn detach(&self) -> PyResult<u64> {
        self.take_id(DETACHED).map(|id| id.0).ok_or_else(|| self.gone())
    }

    /// Ends this claim. Guards and exports that are open keep the bytes; the object is empty afterwards. Twice is fine.
    fn release(&self) -> PyResult<()> {
        // Also of a handle that was handed out: the views are the object's.
        self.end_marks();
        let Some(id) = self.take_id(RELEASED) else { return Ok(()) };
        api::release(id).map_err(|failure| {
            // Strict mode refuses a release with guards open (RL-4): the object keeps its handle.
            self.id.store(id.0, Ordering::Relaxed);
            PyErr::from(failure)
        })?;
        self.end_marks();
        Ok(())
    }

    /// `with x:` releases it at the end.
    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        slf.get().id()?;
        Ok(slf)
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.release()
    }

    /// Another claim on the same bytes: an array of its own, released on its own.
    fn clone<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Array>> {
        let _site = site::here(py);
        Self::wrap(py, api::clone(self.id()?)?, self.dtype(), self.ndim())
    }

    /// New bytes with the same elements on the same device, from `pool` or the current one: C order, or F where this is only F-contiguous.
    /// stream: the copy is work of that stream; without one it is done on return.
    #[pyo3(signature = (*, pool=None, name=None, stream=None))]
    fn copy<'py>(
        &self,
        py: Python<'py>,
        pool: Option<&Bound<'py, Pool>>,
        name: Option<&str>,
        stream: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Array>> {
        let _site = site::here(py);
        let (id, pool, stream) = (self.id()?, Pool::id_of(pool)?, Stream::id_of(stream)?);
        // Copying takes as long as the array is large: other threads may run.
        let copied = py.detach(|| retry_after_wait(id, || api::copy(id, pool, stream)).map_err(PyErr::from))?;
        let copied = Self::wrap(py, copied, self.dtype(), self.ndim())?;
        if name.is_some() {
            copied.get().set_name(name)?;
        }
        Ok(copied)
    }

    fn __copy__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Array>> {
        self.clone(py)
    }

    fn __deepcopy__<'py>(&self, py: Python<'py>, _memo: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Array>> {
        self.copy(py, None, None, None)
    }

    /// Another process has other memory: what crosses there is a copy, which the caller writes.
    fn __reduce_ex__(&self, _protocol: i32) -> PyResult<()> {
        Err(PyTypeError::new_err(
            "a tenure.Array cannot be pickled, its memory is this process's; pickle numpy.asarray(x), which copies, or \
             write a file with x.save_npy(path) and open it there with tenure.open_npy(path, \"r+\")",
        ))
    }

    /// Every element becomes `value`. mode: "aliased" (other handles see it), "unique", "cow". stream: as work of that stream, without one it
    /// is done on return. wait: where the host writes, for unfinished device work; False: `PendingError`.
    #[pyo3(signature = (value, mode=None, *, stream=None, wait=true))]
    fn fill(
        &self,
        py: Python<'_>,
        value: &Bound<'_, PyAny>,
        mode: Option<&Bound<'_, PyAny>>,
        stream: Option<&Bound<'_, PyAny>>,
        wait: bool,
    ) -> PyResult<()> {
        let (id, mode, stream) = (self.id()?, mode_and_wait(mode, wait)?, Stream::id_of(stream)?);
        let element = convert::encode_one(value, self.dtype())?;
        py.detach(|| api::fill(id, &element, mode, stream).map_err(PyErr::from))
    }

    /// Every element becomes 0. mode, stream, wait: as `fill`.
    #[pyo3(signature = (mode=None, *, stream=None, wait=true))]
    fn zero(
        &self,
        py: Python<'_>,
        mode: Option<&Bound<'_, PyAny>>,
        stream: Option<&Bound<'_, PyAny>>,
        wait: bool,
    ) -> PyResult<()> {
        let (id, mode, stream) = (self.id()?, mode_and_wait(mode, wait)?, Stream::id_of(stream)?);
        py.detach(|| api::zero(id, mode, stream).map_err(PyErr::from))
    }

    /// Nothing else claims, borrows or exports the bytes.
    #[getter]
    fn is_unique(&self) -> PyResult<bool> {
        Ok(api::is_unique(self.id()?)?)
    }

    fn __len__(&self) -> PyResult<usize> {
        Ok(self.length()? as usize)
    }
}

/// "array float64 (2, 3) "K"": what the array is, without its elements.
pub fn brief(array: &Bound<'_, Array>) -> String {
    let array = array.get();
    let name = kind(array.dtype()).1;
    let info = array.id().ok().and_then(|id| api::query(id).ok());
    let Some(info) = info else { return format!("array {name}") };
    let lengths: Vec<_> = info.shape[..info.ndim as usize].iter().map(i64::to_string).collect();
    let comma = if lengths.len() == 1 { "," } else { "" };
    let mut text = format!("array {name} ({}{comma})", lengths.join(", "));
    let label = fixed_text(&info.name);
    if !label.is_empty() {
        text += &format!(" {label:?}");
    }
    text
}
