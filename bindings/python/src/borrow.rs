//! Borrows as context managers: `x.read()`, `x.write()`, `x.chunks_write(n)`, `tenure.access(...)` (PY-7, PY-16).
//!
//! Contract: `with` takes the guards and gives NumPy arrays over the bytes; each such array keeps its guard, through
//! a buffer that it holds open. At the end of the block a view to which nothing but the block's own variable refers
//! is cut off from the bytes (it becomes a dead value that raises when it is used) and the guard ends there. A view
//! that somebody kept is left as it is, and the guard ends when the view does: the bytes never go while Python can
//! still reach them. An exception that passes ends the guards of writers with TN_END_FAILED, now or then.
//!
//! Of memory that the host cannot touch the views are `DeviceView`s: they say where the bytes are, and hold nothing.

use crate::api::{self, Id, cuda};
use crate::array::Array;
use crate::buffer::Lay;
use crate::convert::{Dims, device_text, dtype_object, tables};
use crate::device::{Shown, is_remote, on_host, patiently};
use crate::errors;
use crate::site;
use crate::stream::Stream;
use crate::types::*;
use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicBool, AtomicIsize, AtomicU64, AtomicUsize, Ordering};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use std::sync::{Arc, Mutex, PoisonError};

/// Guards whose block ended while a view of theirs is still alive.
static LINGERING: AtomicUsize = AtomicUsize::new(0);

/// What to add to the text of a conflict: the reason that is hardest to see.
pub fn hint() -> &'static str {
    match LINGERING.load(Ordering::Relaxed) {
        0 => "",
        _ => " (a view that a `with` block of a borrow handed out is still referred to; the borrow ends when it goes)",
    }
}

/// One guard of the library, ended once: when its block is over and no view is left.
struct Guard {
    id: AtomicU64,
    views: AtomicIsize,
    /// The block is over, or there never was one.
    over: AtomicBool,
    failed: AtomicBool,
    lingers: AtomicBool,
}

impl Guard {
    fn new(id: Id, over: bool) -> Arc<Guard> {
        Arc::new(Guard {
            id: AtomicU64::new(id.0),
            views: AtomicIsize::new(0),
            over: AtomicBool::new(over),
            failed: AtomicBool::new(false),
            lingers: AtomicBool::new(false),
        })
    }

    fn end(&self) {
        let id = self.id.swap(0, Ordering::AcqRel);
        if id == 0 {
            return;
        }
        if self.lingers.load(Ordering::Relaxed) {
            LINGERING.fetch_sub(1, Ordering::Relaxed);
        }
        let failed = if self.failed.load(Ordering::Relaxed) { TN_END_FAILED } else { 0 };
        // An open guard ends; a status here would mean that C code ended it, and then it is ended.
        let _ = api::borrow_end(Id(id), failed);
    }

    fn view_gone(&self) {
        if self.views.fetch_sub(1, Ordering::AcqRel) == 1 && self.over.load(Ordering::Acquire) {
            self.end();
        }
    }

    /// The block is over. True: a view keeps the guard.
    fn close(&self, failed: bool) -> bool {
        self.failed.store(failed, Ordering::Relaxed);
        self.over.store(true, Ordering::Release);
        if self.views.load(Ordering::Acquire) == 0 {
            self.end();
            return false;
        }
        self.lingers.store(true, Ordering::Relaxed);
        LINGERING.fetch_add(1, Ordering::Relaxed);
        true
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.end();
    }
}

/// The bytes of one array under a guard, as a buffer: what a NumPy view has as its base.
#[pyclass(frozen, module = "tenure", name = "Lent")]
pub struct Lent {
    guard: Arc<Guard>,
    data: usize,
    dtype: tn_dtype,
    shape: Dims,
    strides: Dims,
    readonly: bool,
}

impl Lent {
    fn of(guard: &Arc<Guard>, view: &tn_view_info, readonly: bool) -> Lent {
        Lent {
            guard: guard.clone(),
            data: view.data as usize,
            dtype: view.dtype,
            shape: list(view, view.shape),
            strides: list(view, view.strides),
            readonly,
        }
    }

    /// A NumPy array over it.
    fn numpy(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        tables(py)?.asarray.bind(py).call1((Bound::new(py, self)?,))
    }
}

#[pymethods]
impl Lent {
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let lent = slf.clone();
        let lent = lent.get();
        if lent.guard.id.load(Ordering::Acquire) == 0 {
            // SAFETY: Python passes a buffer to fill; without an owner it counts as not filled.
            unsafe { (*view).obj = core::ptr::null_mut() };
            return Err(errors::buffer_error(slf.py(), TN_ERR_STALE, "this borrow ended"));
        }
        let lay = Lay {
            data: lent.data as *mut c_void,
            dtype: lent.dtype,
            ndim: lent.shape.len(),
            shape: lent.shape.as_ptr(),
            strides: lent.strides.as_ptr(),
            readonly: lent.readonly,
        };
        // SAFETY: Python passes a buffer to fill; the lists live in the owner, the bytes as long as the guard, which
        // the count below keeps open.
        unsafe {
            (*view).obj = core::ptr::null_mut();
            lay.fill(slf.into_any(), view, flags, core::ptr::null_mut())?;
        }
        lent.guard.views.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    unsafe fn __releasebuffer__(&self, _view: *mut ffi::Py_buffer) {
        self.guard.view_gone();
    }
}

/// Where the bytes of an array are, for work of a device that a block issues: what a `with` block of a borrow gives of device memory.
///
/// pointer: the address as the device has it, an integer. shape, strides (bytes), dtype, nbytes, readonly: as NumPy's.
#[pyclass(frozen, module = "tenure", name = "DeviceView")]
pub struct DeviceView {
    /// Where the first element is, for work on the device.
    #[pyo3(get)]
    pointer: u64,
    /// Bytes of all elements.
    #[pyo3(get)]
    nbytes: u64,
    /// Whether the work may only read.
    #[pyo3(get)]
    readonly: bool,
    device: tn_device,
    dtype: tn_dtype,
    shape: Dims,
    strides: Dims,
}

impl DeviceView {
    fn of(view: &tn_view_info, readonly: bool) -> DeviceView {
        DeviceView {
            pointer: if view.device_data == 0 { view.data as u64 } else { view.device_data },
            nbytes: view.bytes,
            readonly,
            device: view.device,
            dtype: view.dtype,
            shape: list(view, view.shape),
            strides: list(view, view.strides),
        }
    }
}

#[pymethods]
impl DeviceView {
    /// The lengths of the axes.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.shape)
    }

    /// The distances between neighbours on each axis, in bytes.
    #[getter]
    fn strides<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.strides)
    }

    /// The element type.
    #[getter]
    fn dtype<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        dtype_object(py, self.dtype)
    }

    /// "cuda:0" and the like.
    #[getter]
    fn device(&self) -> String {
        device_text(self.device)
    }

    fn __repr__(&self) -> String {
        format!("<{} bytes at {:#x} of {}>", self.nbytes, self.pointer, self.device())
    }
}

/// A borrow for work on a stream: what `x.on(stream)` gives.
#[pyclass(frozen, module = "tenure", name = "OnStream")]
pub struct OnStream {
    array: Py<Array>,
    access: u32,
    stream: Py<Stream>,
    open: Mutex<Option<Lease>>,
}

/// A guard for work of a stream, with a handle of its own on that stream: whoever releases his in the block does not leave the guard open.
struct Lease {
    guard: Id,
    stream: Id,
}

impl Lease {
    fn end(self, flags: u32) -> api::Result<()> {
        let ended = cuda::borrow_end_on(self.guard, flags, self.stream);
        // Never refused for an open handle; the text of a failure above stays.
        let _ = cuda::stream_release(self.stream);
        ended
    }
}

impl OnStream {
    /// access: TN_READ, or TN_READ_WRITE with a mode.
    pub fn new<'py>(
        array: Bound<'py, Array>,
        access: u32,
        stream: &Bound<'py, Stream>,
    ) -> PyResult<Bound<'py, OnStream>> {
        let py = array.py();
        let stream = stream.clone().unbind();
        Bound::new(py, OnStream { array: array.unbind(), access, stream, open: Mutex::new(None) })
    }
}

#[pymethods]
impl OnStream {
    fn __enter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, DeviceView>> {
        let _site = site::here(py);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.is_some() {
            return Err(PyRuntimeError::new_err("this borrow is open already; make another one for another block"));
        }
        let (id, stream) = (self.array.get().id()?, self.stream.get().another()?);
        let (guard, view) = match cuda::borrow_on(id, self.access, stream) {
            Ok(taken) => taken,
            Err(failure) => {
                let error = failure.into();
                let _ = cuda::stream_release(stream);
                return Err(error);
            }
        };
        *open = Some(Lease { guard, stream });
        Bound::new(py, DeviceView::of(&view, self.access & TN_WRITE == 0))
    }

    #[pyo3(signature = (exception=None, *_rest))]
    fn __exit__(&self, exception: Option<&Bound<'_, PyAny>>, _rest: &Bound<'_, PyTuple>) -> PyResult<()> {
        let Some(lease) = self.open.lock().unwrap_or_else(PoisonError::into_inner).take() else { return Ok(()) };
        Ok(lease.end(if exception.is_some() { TN_END_FAILED } else { 0 })?)
    }
}

impl Drop for OnStream {
    fn drop(&mut self) {
        if let Some(lease) = self.open.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            // A block that never ended; there is nobody to tell.
            let _ = lease.end(0);
        }
    }
}

/// The entries of a view's shape or strides.
fn list(view: &tn_view_info, at: *const i64) -> Dims {
    let n = if at.is_null() { 0 } else { view.ndim as usize };
    // SAFETY: ndim entries, valid while the guard is open, which it is.
    (0..n).map(|i| unsafe { *at.add(i) }).collect()
}

/// What a block gets to see of the bytes.
fn shown<'py>(py: Python<'py>, guard: &Arc<Guard>, view: &tn_view_info, readonly: bool) -> PyResult<Py<PyAny>> {
    if is_remote(view.device) {
        return Ok(Bound::new(py, DeviceView::of(view, readonly))?.into_any().unbind());
    }
    Ok(Lent::of(guard, view, readonly).numpy(py)?.unbind())
}

/// A NumPy array to read, whose guard ends with it; of device memory, of a copy. For what the package itself does with NumPy.
pub fn read_view<'py>(array: &Bound<'py, Array>) -> PyResult<Bound<'py, PyAny>> {
    let py = array.py();
    let id = array.get().id()?;
    let (id, view) = patiently(py, TN_WAIT, |flags| api::borrow_read(id, flags).map(Shown))?.0;
    if is_remote(view.device) {
        api::borrow_end(id, 0)?;
        return read_view(&on_host(py, array.get())?);
    }
    let guard = Guard::new(id, true);
    Lent::of(&guard, &view, true).numpy(py)
}

/// What a `with` block asks for.
enum Request {
    /// One array: TN_READ or TN_READ_WRITE, with modes and flags.
    One(Py<Array>, u32),
    /// Several, by one borrow_all.
    All(Vec<(Py<Array>, u32)>),
    /// Parts of one array: number, axis, mode.
    Chunks(Py<Array>, usize, i32, u32),
}

/// The guards of a block and the views that it gave out.
struct Open {
    guards: Vec<Arc<Guard>>,
    views: Vec<Py<PyAny>>,
}

/// A borrow for a `with` block: what `x.read()`, `x.write()`, `x.chunks_write()` and `tenure.access()` give. The
/// guard is taken when the block begins.
#[pyclass(frozen, module = "tenure", name = "Borrow")]
pub struct Borrow {
    request: Request,
    open: Mutex<Option<Open>>,
}

impl Borrow {
    fn new(py: Python<'_>, request: Request) -> PyResult<Bound<'_, Borrow>> {
        Bound::new(py, Borrow { request, open: Mutex::new(None) })
    }

    /// Of one array.
    pub fn one(array: Bound<'_, Array>, access: u32) -> PyResult<Bound<'_, Borrow>> {
        let py = array.py();
        Self::new(py, Request::One(array.unbind(), access))
    }

    /// Of consecutive parts of one array.
    pub fn chunks(array: Bound<'_, Array>, n: usize, axis: i32, mode: u32) -> PyResult<Bound<'_, Borrow>> {
        let py = array.py();
        Self::new(py, Request::Chunks(array.unbind(), n, axis, mode))
    }

    fn take_guards(&self, py: Python<'_>) -> PyResult<Open> {
        let mut open = Open { guards: Vec::new(), views: Vec::new() };
        match &self.request {
            Request::One(array, access) => {
                let id = array.get().id()?;
                let writes = access & TN_WRITE != 0;
                let flags = access & !TN_READ_WRITE;
                let take = |flags| if writes { api::borrow_write(id, flags) } else { api::borrow_read(id, flags) };
                let (id, view) = patiently(py, flags, |flags| take(flags).map(Shown))?.0;
                open.guards.push(Guard::new(id, false));
                open.views.push(shown(py, &open.guards[0], &view, !writes)?);
            }
            Request::All(entries) => {
                let mut specs = Vec::with_capacity(entries.len());
                for (array, access) in entries {
                    specs.push(tn_borrow_spec {
                        array: array.get().id()?.0 as *mut tn_array,
                        stream: core::ptr::null_mut(),
                        access: *access,
                        reserved: [0; 9],
                    });
                }
                let (id, views) = api::borrow_all(&specs)?;
                open.guards.push(Guard::new(id, false));
                for (view, (_, access)) in views.iter().zip(entries) {
                    open.views.push(shown(py, &open.guards[0], view, access & TN_WRITE == 0)?);
                }
            }
            Request::Chunks(array, n, axis, mode) => {
                let (id, dtype) = (array.get().id()?, array.get().dtype());
                let take = |mode| api::chunks_write(id, *axis, *n, mode).map(Shown);
                let chunks = patiently(py, *mode, take)?.0;
                // Guards first: should anything below fail, they end with `open`.
                open.guards.extend(chunks.iter().map(|c| Guard::new(Id(c.guard as u64), false)));
                let info = api::query(id)?;
                let ndim = info.ndim as usize;
                let axis = if *axis < 0 { *axis + info.ndim } else { *axis } as usize;
                for (chunk, guard) in chunks.iter().zip(&open.guards) {
                    let mut shape = Dims::from(&info.shape[..ndim]);
                    shape[axis] = chunk.length;
                    let view = tn_view_info {
                        data: chunk.data,
                        device: info.device,
                        ndim: info.ndim,
                        dtype,
                        shape: shape.as_ptr(),
                        strides: info.strides.as_ptr(),
                        device_data: 0,
                        bytes: info.bytes / (info.shape[axis].max(1) as u64) * chunk.length as u64,
                        reserved: [0; 4],
                    };
                    open.views.push(shown(py, guard, &view, false)?);
                }
            }
        }
        Ok(open)
    }
}

#[pymethods]
impl Borrow {
    fn __enter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let _site = site::here(py);
        if self.open.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            return Err(PyRuntimeError::new_err("this borrow is open already; make another one for another block"));
        }
        let open = self.take_guards(py)?;
        let given = match &self.request {
            Request::One(..) => open.views[0].bind(py).clone(),
            _ => PyTuple::new(py, open.views.iter().map(|v| v.bind(py)))?.into_any(),
        };
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some(open);
        Ok(given)
    }

    #[pyo3(signature = (exception=None, *_rest))]
    fn __exit__(
        &self,
        py: Python<'_>,
        exception: Option<&Bound<'_, PyAny>>,
        _rest: &Bound<'_, PyTuple>,
    ) -> PyResult<()> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Open { guards, views }) = open else { return Ok(()) };
        let failed = exception.is_some();
        for guard in &guards {
            guard.failed.store(failed, Ordering::Relaxed);
        }
        for view in views {
            cut_off(view.into_bound(py));
        }
        let mut lingering = 0;
        for guard in guards {
            lingering += usize::from(guard.close(failed));
        }
        if lingering > 0 && !failed && strict() {
            let text = format!(
                "{lingering} borrow(s) cannot end with the block: a view is still referred to (strict mode); the array \
                 stays borrowed until it goes"
            );
            return Err(errors::buffer_error(py, TN_ERR_BORROWED, &text));
        }
        Ok(())
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let brief = |a: &Py<Array>| crate::text::brief(a.bind(py));
        let which = |access: &u32| if access & TN_WRITE != 0 { "write" } else { "read" };
        match &self.request {
            Request::One(array, access) => format!("<{} borrow of {}>", which(access), brief(array)),
            Request::All(entries) => {
                let list: Vec<_> =
                    entries.iter().map(|(a, access)| format!("{} {}", which(access), brief(a))).collect();
                format!("<borrow of {}>", list.join(", "))
            }
            Request::Chunks(array, n, axis, _) => {
                format!("<write borrow of {} in {n} parts of axis {axis}>", brief(array))
            }
        }
    }
}

fn strict() -> bool {
    api::option_get(c"strict").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "off" | "false"))
}

/// Takes the bytes away from a view to which only the block's variable refers besides us.
fn cut_off(view: Bound<'_, PyAny>) {
    // SAFETY: attached. Ours is one reference, the variable's the other; nobody can add one while we are attached here.
    if unsafe { ffi::Py_REFCNT(view.as_ptr()) } > 2 {
        return;
    }
    let py = view.py();
    // NumPy's own way to give an array other contents: it drops the base, and with it the buffer. What stays is one
    // object that says what happened to whoever uses it.
    let dead = || -> PyResult<()> {
        let plain = tables(py)?.plain.bind(py);
        let object = tables(py)?.dtype.bind(py).call1(("O",))?;
        let ended = PyList::new(py, [plain.getattr("ended")?])?;
        let state = (1, PyTuple::empty(py), object, false, ended);
        view.call_method1(pyo3::intern!(py, "__setstate__"), (state,))?;
        Ok(())
    };
    // A view that could not be cut off keeps its guard, as one that somebody else refers to.
    let _ = dead();
}

/// One array, or any sequence of them.
fn arrays_of<'py>(object: Option<&Bound<'py, PyAny>>) -> PyResult<Vec<Bound<'py, Array>>> {
    let Some(object) = object else { return Ok(Vec::new()) };
    if let Ok(array) = object.cast::<Array>() {
        return Ok(vec![array.clone()]);
    }
    let wrong = |object: &Bound<'_, PyAny>| match object.get_type().name() {
        Ok(what) => PyTypeError::new_err(format!("a tenure.Array or several are needed, not {what}")),
        Err(error) => error,
    };
    // Of NumPy's array the elements would be what is wrong.
    if object.hasattr("dtype")? {
        return Err(wrong(object));
    }
    let items = object.try_iter().map_err(|_| wrong(object))?;
    items.map(|item| item?.cast_into::<Array>().map_err(|error| wrong(&error.into_inner()))).collect()
}

/// `with tenure.access(read=(a, b), write=c) as (va, vb, vc):` borrows several arrays at once, all or none, with no
/// deadlock.
///
/// read, write: an array or several. The views come in the order read, write. mode: as `Array.write`. An exception
/// that passes the block poisons what was written.
#[pyfunction]
#[pyo3(signature = (read=None, write=None, *, mode=None, frozen=false, wait=true))]
pub fn access<'py>(
    py: Python<'py>,
    read: Option<&Bound<'py, PyAny>>,
    write: Option<&Bound<'py, PyAny>>,
    mode: Option<&Bound<'py, PyAny>>,
    frozen: bool,
    wait: bool,
) -> PyResult<Bound<'py, Borrow>> {
    let wait = if wait { TN_WAIT } else { 0 };
    let reads = TN_READ | wait | if frozen { TN_FROZEN } else { 0 };
    let writes = TN_READ_WRITE | wait | crate::convert::mode_of(mode)?;
    let mut entries = Vec::new();
    for (arrays, access) in [(arrays_of(read)?, reads), (arrays_of(write)?, writes)] {
        entries.extend(arrays.into_iter().map(|array| (array.unbind(), access)));
    }
    Borrow::new(py, Request::All(entries))
}
