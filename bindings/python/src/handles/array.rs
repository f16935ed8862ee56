//! `tenure.Array`: the object that owns one array handle, its properties, and what it does as a whole.
//!
//! Contract: `release` and `detach` take the handle out of the object. The end of the object releases the handle if it
//! still has one; that never raises and calls only the library. The object caches the handle's element type and number
//! of axes, which never change. All other properties are queried from the library. Other modules add methods: single
//! elements and borrows in `elements`, protocols in `exchange`, indexing and views in `operations`.

use crate::api::{self, Failure, Id, cuda};
use crate::base::interpreter::retry_after_wait;
use crate::base::{errors, site};
use crate::handles::array_extra::{ArrayExtra, Description};
use crate::handles::pool::Pool;
use crate::handles::stream::Stream;
use crate::sys::*;
use crate::values::convert::{self, Dims, cached_objects, fixed_text, kind, mode_and_wait, parameter_of};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use pyo3::PyTypeInfo;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};

/// An array: one claim on some bytes, with a shape. Views (`x[1:3]`, `x.T`) are arrays on the same bytes. A method
/// copies elements only if its description states it.
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
    /// The handle's bits, or `RELEASED`, or `DETACHED`.
    id: AtomicU64,
    /// Element type of the handle; set once, before other code sees the object.
    dtype: AtomicU32,
    /// Number of axes of the handle; set with the type.
    ndim: AtomicI32,
    /// The array is small and was made without a name, so its release records nothing.
    plain: AtomicBool,
    /// References to the object from open buffers and proxies. They count as Python references, but are not variables
    /// of the program, see `handles::references`.
    protocol_refs: AtomicI32,
    /// Data that few arrays have; NULL, or a box that this object owns.
    extra: AtomicPtr<ArrayExtra>,
}

/// From this number of elements on, an array records the call site of its creation and of its release.
pub const RECORD_SITE_FROM_ELEMENTS: i64 = 1 << 9;

/// Whether a new array of so many elements, without a name, records its call site. Finding it costs as much as making a
/// small array, and reports seldom need it.
#[inline]
pub fn records_site(count: i64) -> bool {
    count >= RECORD_SITE_FROM_ELEMENTS || site::are_of_small_arrays()
}

/// In place of a handle: the object was released.
const RELEASED: u64 = 0;
/// In place of a handle: `detach` handed it out.
const DETACHED: u64 = 1;

impl Drop for Array {
    fn drop(&mut self) {
        // The interface exports end first: strict mode refuses to release a handle with open exports.
        self.end_interface_exports();
        let id = *self.id.get_mut();
        if id > DETACHED {
            // A finalizer cannot report a failure (PY-9). In strict mode the library refuses the release while borrows
            // are open.
            let _ = api::release(Id(id));
        }
        let extra = *self.extra.get_mut();
        if !extra.is_null() {
            // SAFETY: made by `Box::into_raw` in `extra`; no other reference to this object exists.
            drop(unsafe { Box::from_raw(extra) });
        }
    }
}

impl Array {
    /// Makes the object that owns a handle. Where that fails the handle is released.
    #[inline]
    pub fn wrap(py: Python<'_>, id: Id, dtype: tn_dtype, ndim: i32) -> PyResult<Bound<'_, Array>> {
        // Fast, because hot loops make views: `Bound::new` reaches this call only by way of `object.__new__`, which it
        // looks up and calls with an empty tuple. All-zero fields are an `Array` that was released.
        // SAFETY: attached, the type of this class, no items. The memory comes zeroed, which is a valid value of every
        // field, and of what pyo3 keeps beside them for a frozen class that may cross threads.
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

    /// Notes that the array is small and has no name.
    pub fn set_plain(&self) {
        self.plain.store(true, Ordering::Relaxed);
    }

    /// Adds `more`, which may be negative, to the number of buffers and proxies that refer to the object.
    pub fn add_protocol_refs(&self, more: i32) {
        self.protocol_refs.fetch_add(more, Ordering::Relaxed);
    }

    /// Number of buffers and proxies that refer to the object.
    pub fn protocol_refs(&self) -> u32 {
        self.protocol_refs.load(Ordering::Relaxed).max(0) as u32
    }

    /// The data that few arrays have, made at the first use.
    pub fn extra(&self) -> &ArrayExtra {
        let mut extra = self.extra.load(Ordering::Acquire);
        if extra.is_null() {
            let fresh = Box::into_raw(Box::<ArrayExtra>::default());
            // Release: a thread that loads the pointer sees the finished box. The loser of a race uses the winner's
            // box.
            match self.extra.compare_exchange(null_mut(), fresh, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => extra = fresh,
                Err(other) => {
                    // SAFETY: made above; no other thread has seen it.
                    drop(unsafe { Box::from_raw(fresh) });
                    extra = other;
                }
            }
        }
        // SAFETY: made by `Box::into_raw`, and freed with this object.
        unsafe { &*extra }
    }

    /// Ends the exports that reading an array interface opened.
    pub fn end_interface_exports(&self) {
        if !self.extra.load(Ordering::Acquire).is_null() {
            self.extra().end_interface_exports();
        }
    }

    /// Element type of the handle.
    #[inline]
    pub fn dtype(&self) -> tn_dtype {
        self.dtype.load(Ordering::Relaxed)
    }

    /// The device of the bytes.
    pub fn device_code(&self) -> PyResult<tn_device> {
        Ok(self.info()?.device)
    }

    /// Number of axes of the handle.
    #[inline]
    pub fn ndim(&self) -> i32 {
        self.ndim.load(Ordering::Relaxed)
    }

    /// Makes the object for a handle whose type is not known yet.
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
            _ => Err(self.released_error()),
        }
    }

    #[cold]
    fn released_error(&self) -> PyErr {
        let how = self.fate().unwrap_or("released");
        let Description { name, place } = self.extra().last();
        let what = if name.is_empty() { "this array".to_owned() } else { format!("{name:?}") };
        let text = format!("{what} was {how}{place}; only its repr works");
        Python::attach(|py| errors::with_text(py, TN_ERR_STALE, &text, false))
    }

    /// How the object lost its handle, if it did.
    pub fn fate(&self) -> Option<&'static str> {
        match self.id.load(Ordering::Relaxed) {
            RELEASED => Some("released"),
            DETACHED => Some("detached"),
            _ => None,
        }
    }

    /// The library's description of the array.
    pub fn info(&self) -> PyResult<tn_array_info> {
        Ok(api::query(self.id()?)?)
    }

    /// The lengths of the axes.
    pub fn dims(&self) -> PyResult<Dims> {
        let info = self.info()?;
        Ok(info.shape[..info.ndim as usize].into())
    }

    /// The length of the first axis.
    pub fn length(&self) -> PyResult<i64> {
        if self.ndim() == 0 {
            return Err(PyTypeError::new_err("len() of unsized object: the array has no axes"));
        }
        Ok(self.info()?.shape[0])
    }

    /// Waits, with the interpreter released, for device work that writes an array in page-locked or managed memory. A
    /// call that follows then does not wait with the interpreter held. Does nothing for TN_CPU, where the call
    /// itself waits in the rare case that such work exists, and for TN_CUDA, whose memory the host cannot access.
    pub fn wait_for_device_writes(&self, py: Python<'_>) -> PyResult<()> {
        let id = self.id()?;
        match self.info()?.device.r#type {
            TN_CPU | TN_CUDA => Ok(()),
            _ => py.detach(|| cuda::wait(id, TN_READ).map_err(PyErr::from)),
        }
    }

    /// A copy with the axes in an order.
    fn copy_in_order(&self, py: Python<'_>, order: tn_order, pool: Id, stream: Id) -> PyResult<Id> {
        let id = self.id()?;
        let options = tn_array_options {
            size: size_of::<tn_array_options>(),
            order,
            flags: 0,
            stream: stream.0 as *mut tn_stream,
            name: core::ptr::null(),
        };
        let form = self.info()?.form;
        let made = api::array_like(pool, id, Some(&options))?;
        let copied = py.detach(|| api::copy_into(id, made, TN_WAIT, stream)).and_then(|()| api::set_form(made, form));
        copied.map_err(PyErr::from).inspect_err(|_| {
            let _ = api::release(made);
        })?;
        Ok(made)
    }

    /// The name, and the running line, for messages once the handle is gone. As for new arrays, finding the line would
    /// cost more than the call itself, so small arrays without a name have none.
    fn description(&self, py: Python<'_>) -> Option<Description> {
        if self.plain.load(Ordering::Relaxed) {
            return None;
        }
        let info = self.info().ok()?;
        if info.name[0] == 0 && info.count < RECORD_SITE_FROM_ELEMENTS as u64 {
            return None;
        }
        let name = convert::fixed_text(&info.name);
        let place = site::text(py).map(|place| format!(" at {place}")).unwrap_or_default();
        Some(Description { name, place })
    }

    /// Takes the handle, which belongs to the library from now on, out of the object. Messages of later uses have the
    /// description. None: the object has no handle.
    pub fn surrender(&self, description: impl FnOnce() -> Option<Description>) -> Option<Id> {
        self.end_interface_exports();
        let id = self.take_id(RELEASED)?;
        if let Some(description) = description() {
            self.extra().set_last(description);
        }
        Some(id)
    }

    /// Replaces the handle by `RELEASED` or `DETACHED`, and returns it; None: the object has no handle.
    fn take_id(&self, replacement: u64) -> Option<Id> {
        let replace = |id: u64| (id > DETACHED).then_some(replacement);
        self.id.fetch_update(Ordering::Relaxed, Ordering::Relaxed, replace).ok().map(Id)
    }
}

#[pymethods]
impl Array {
    /// `tenure.Array[tuple[int, int], numpy.dtype[numpy.float64]]` in annotations: the types of shape and elements.
    #[classmethod]
    fn __class_getitem__<'py>(class: &Bound<'py, PyType>, types: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        class.py().import("types")?.getattr("GenericAlias")?.call1((class, types))
    }

    /// The lengths of the axes.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let info = self.info()?;
        PyTuple::new(py, &info.shape[..info.ndim as usize])
    }

    /// The distance between neighbours on each axis, in bytes, as in NumPy.
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
        kind(self.dtype()).item_bytes
    }

    /// Bytes of all elements.
    #[getter]
    fn nbytes(&self) -> PyResult<u64> {
        Ok(self.info()?.bytes)
    }

    /// The device of the bytes: "cpu", "cuda:0", "cuda_host", "cuda_managed:0".
    #[getter]
    fn device(&self) -> PyResult<String> {
        Ok(convert::device_text(self.info()?.device))
    }

    /// The name in messages and reports; "" where the array has none. Assign None or "" to remove it. A view starts
    /// without a name.
    #[getter]
    fn name(&self) -> PyResult<String> {
        Ok(convert::fixed_text(&self.info()?.name))
    }

    #[setter]
    fn set_name(&self, name: Option<&str>) -> PyResult<()> {
        self.plain.store(false, Ordering::Relaxed);
        let name = name.filter(|n| !n.is_empty()).map(convert::text_of).transpose()?;
        Ok(api::set_name(self.id()?, name.as_deref())?)
    }

    /// Whether the bytes are in a file of the pool, see `Pool.set_spill`. The next use brings them back.
    #[getter]
    fn spilled(&self) -> PyResult<bool> {
        Ok(self.info()?.flags & TN_SPILLED != 0)
    }

    /// Sets whether the pool may spill the array, with all views of it. False brings its bytes back first.
    fn set_spillable(&self, py: Python<'_>, on: bool) -> PyResult<()> {
        let id = self.id()?;
        py.detach(|| api::array_set_spillable(id, i32::from(on)).map_err(PyErr::from))
    }

    /// The form of the matrix that expressions take this handle for: "full"; "diagonal": the array is a vector, the
    /// diagonal of a matrix that is 0 elsewhere; "lower" or "upper": the elements above or below the diagonal count as
    /// 0 and are not read; "matrix": all elements, and operators are those of matrices. Assigning changes no element, and other handles keep their form.
    #[getter]
    pub fn form(&self) -> PyResult<&'static str> {
        Ok(convert::form_name(self.info()?.form))
    }

    #[setter]
    fn set_form(&self, form: &str) -> PyResult<()> {
        Ok(api::set_form(self.id()?, convert::form_of(form)?)?)
    }

    /// The layout of the elements and the permitted uses: `x.flags.c_contiguous`, `x.flags.writeable`,
    /// `x.flags["F"]`.
    #[getter]
    fn flags<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        cached_objects(py)?.types_module.bind(py).getattr("Flags")?.call1((self.info()?.flags,))
    }

    /// Whether the elements lie in C order without gaps, as for Numba's device arrays.
    fn is_c_contiguous(&self) -> PyResult<bool> {
        Ok(self.info()?.flags & TN_C_CONTIGUOUS != 0)
    }

    /// Whether the elements lie in F order without gaps, as for Numba's device arrays.
    fn is_f_contiguous(&self) -> PyResult<bool> {
        Ok(self.info()?.flags & TN_F_CONTIGUOUS != 0)
    }

    /// The pool that allocated the bytes. None: the array was imported, also from another process, or has no elements.
    #[getter]
    fn pool<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, Pool>>> {
        match api::array_pool(self.id()?) {
            Ok(pool) => Pool::wrap(py, pool, self.info()?.device).map(Some),
            Err(Failure(TN_ERR_FOREIGN)) => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// The handle as an integer, for C code that uses it while this object exists.
    #[getter]
    fn handle(&self) -> PyResult<u64> {
        Ok(self.id()?.0)
    }

    /// The handle for ctypes: `lib.use(x)` passes it as a pointer.
    #[getter]
    fn _as_parameter_<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        parameter_of(py, self.id()?)
    }

    /// Returns the handle as an integer and empties this object. The receiver owns the handle and must call
    /// `tn_array_release`.
    fn detach(&self, py: Python<'_>) -> PyResult<u64> {
        let description = self.description(py);
        let id = self.take_id(DETACHED).ok_or_else(|| self.released_error())?;
        if let Some(description) = description {
            self.extra().set_last(description);
        }
        Ok(id.0)
    }

    /// Accepts the bytes as they are, after a writer that failed: no part of the array is poisoned afterwards. It is
    /// refused where a write would be.
    fn heal(&self) -> PyResult<()> {
        Ok(api::heal(self.id()?)?)
    }

    /// Releases this claim and empties the object. Open borrows and exports keep the bytes. Calling it twice is
    /// allowed.
    pub fn release(&self, py: Python<'_>) -> PyResult<()> {
        // Also after `detach`: the exports belong to the object.
        self.end_interface_exports();
        let description = self.description(py);
        let Some(id) = self.take_id(RELEASED) else { return Ok(()) };
        api::release(id).map_err(|failure| {
            // Strict mode refuses a release while borrows are open (RL-4). The object keeps its handle.
            self.id.store(id.0, Ordering::Relaxed);
            PyErr::from(failure)
        })?;
        // The calls above can run callbacks, during which another thread may have opened one.
        self.end_interface_exports();
        if let Some(description) = description {
            self.extra().set_last(description);
        }
        Ok(())
    }

    /// `with x:` releases the array at the end of the block.
    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        slf.get().id()?;
        Ok(slf)
    }

    #[pyo3(signature = (*exception))]
    fn __exit__(&self, exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.release(exception.py())
    }

    /// A new array with its own claim on the same bytes, released separately.
    fn clone<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Array>> {
        let _site = site::here(py);
        Self::wrap(py, api::clone(self.id()?)?, self.dtype(), self.ndim())
    }

    /// A copy on the same device, from `pool` or the current one. order: "C", "F", "A" or "K" as in NumPy; None is C
    /// order, or F order if this array is only F-contiguous, unlike `numpy.ndarray.copy`. stream: the copy becomes work
    /// of that stream; without one it is complete on return.
    #[pyo3(signature = (order=None, *, pool=None, name=None, stream=None))]
    pub fn copy<'py>(
        &self,
        py: Python<'py>,
        order: Option<&str>,
        pool: Option<&Bound<'py, Pool>>,
        name: Option<&str>,
        stream: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Array>> {
        let _site = site::here(py);
        let (id, pool, stream) = (self.id()?, Pool::id_of(pool)?, Stream::id_of(stream)?);
        let copied = match order {
            // Other threads may run while a large array is copied.
            None => py.detach(|| retry_after_wait(id, || api::copy(id, pool, stream)).map_err(PyErr::from))?,
            Some(_) => self.copy_in_order(py, convert::order_of(order)?, pool, stream)?,
        };
        let copied = Self::wrap(py, copied, self.dtype(), self.ndim())?;
        if name.is_some() {
            copied.get().set_name(name)?;
        }
        Ok(copied)
    }

    /// `copy.copy(x)` copies the elements, as for NumPy's arrays; `x.clone()` shares them.
    fn __copy__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Array>> {
        self.copy(py, None, None, None, None)
    }

    fn __deepcopy__<'py>(&self, py: Python<'py>, _memo: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Array>> {
        self.copy(py, None, None, None, None)
    }

    /// Sets every element to `value`. mode: "aliased" (the default: other handles see the change), "unique" (refused
    /// while others exist) or "cow" (copies if others exist). "|discard" can be added, as in "cow|discard": the old
    /// contents are not needed. stream: the fill becomes work of that stream; without one it is complete on return.
    /// wait: whether a write by the host waits for unfinished device work. With False, such work raises `PendingError`.
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

    /// Sets every element to 0. mode, stream, wait: as in `fill`.
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

    /// Whether this array has the only claim on its bytes, without a borrow or export.
    #[getter]
    fn is_unique(&self) -> PyResult<bool> {
        Ok(api::is_unique(self.id()?)?)
    }

    fn __len__(&self) -> PyResult<usize> {
        Ok(self.length()? as usize)
    }
}

/// Type, shape and name of an array, without its elements: `array float64 (2, 3) "K"`.
pub fn brief(array: &Bound<'_, Array>) -> String {
    let array = array.get();
    let name = kind(array.dtype()).name;
    let info = array.id().ok().and_then(|id| api::query(id).ok());
    let Some(info) = info else { return format!("array {name}") };
    let lengths: Vec<_> = info.shape[..info.ndim as usize].iter().map(i64::to_string).collect();
    let comma = if lengths.len() == 1 { "," } else { "" };
    let mut text = format!("array {name} ({}{comma})", lengths.join(", "));
    if info.form != TN_FORM_FULL {
        text += &format!(" {}", convert::form_name(info.form));
    }
    let label = fixed_text(&info.name);
    if !label.is_empty() {
        text += &format!(" {label:?}");
    }
    text
}
