//! Borrows as context managers: `x.read()`, `x.write()`, `x.chunks_write(n)`, `tenure.access(...)` (PY-7, PY-16).
//!
//! Contract: `with` opens the guards and gives NumPy arrays over the bytes. Each array keeps its guard open, through
//! a buffer. At the end of the block a view to which only the block's own variable refers is invalidated: it becomes
//! an object that raises when it is used, and its guard ends. Any other view stays usable, and its guard ends when
//! the view does: bytes stay valid while Python can reach them. After an exception the guards of writers end with
//! TN_END_FAILED.
//!
//! For memory that the host cannot access the views are `DeviceView`s, which have the address and layout of the bytes
//! and no elements.

use crate::api::{self, Id, cuda};
use crate::base::guard::Guard;
use crate::base::interpreter::{SameThread, wait_without_gil};
use crate::base::{errors, site};
use crate::elements::device_view::{DeviceView, entries};
use crate::handles::array::{Array, brief};
use crate::types::*;
use crate::values::buffer_fields::BufferFields;
use crate::values::convert::{Dims, HOST, cached_objects, is_remote, mode_of};
use core::ffi::{c_int, c_void};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use std::sync::{Arc, Mutex, PoisonError};

/// The bytes of one array under a guard, as a buffer. It is the base of a NumPy view.
#[pyclass(frozen, module = "tenure", name = "BorrowedBuffer")]
pub struct BorrowedBuffer {
    guard: Arc<Guard>,
    data: usize,
    dtype: tn_dtype,
    shape: Dims,
    strides: Dims,
    readonly: bool,
}

impl BorrowedBuffer {
    fn of(guard: &Arc<Guard>, view: &tn_view_info, readonly: bool) -> BorrowedBuffer {
        BorrowedBuffer {
            guard: guard.clone(),
            data: view.data as usize,
            dtype: view.dtype,
            shape: entries(view, view.shape),
            strides: entries(view, view.strides),
            readonly,
        }
    }

    /// A NumPy array over the bytes.
    fn numpy(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        cached_objects(py)?.asarray.bind(py).call1((Bound::new(py, self)?,))
    }
}

#[pymethods]
impl BorrowedBuffer {
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let bytes = slf.clone();
        let bytes = bytes.get();
        if !bytes.guard.is_open() {
            // SAFETY: Python passes a buffer to fill; one without an owner counts as not filled.
            unsafe { (*view).obj = core::ptr::null_mut() };
            return Err(errors::buffer_error(slf.py(), TN_ERR_STALE, "this borrow ended"));
        }
        let fields = BufferFields {
            data: bytes.data as *mut c_void,
            dtype: bytes.dtype,
            ndim: bytes.shape.len(),
            shape: bytes.shape.as_ptr(),
            strides: bytes.strides.as_ptr(),
            readonly: bytes.readonly,
        };
        // SAFETY: Python passes a buffer to fill. The lists live in the owner, and the bytes as long as the guard,
        // which the view that is counted below keeps open.
        unsafe {
            (*view).obj = core::ptr::null_mut();
            fields.fill(slf.into_any(), view, flags, core::ptr::null_mut())?;
        }
        bytes.guard.view_made();
        Ok(())
    }

    unsafe fn __releasebuffer__(&self, _view: *mut ffi::Py_buffer) {
        self.guard.view_gone();
    }
}

/// The view that a block gets.
fn shown<'py>(py: Python<'py>, guard: &Arc<Guard>, view: &tn_view_info, readonly: bool) -> PyResult<Py<PyAny>> {
    if is_remote(view.device) {
        return Ok(Bound::new(py, DeviceView::of(view, readonly))?.into_any().unbind());
    }
    Ok(BorrowedBuffer::of(guard, view, readonly).numpy(py)?.unbind())
}

/// A copy on the host of an array that it cannot access.
pub fn on_host<'py>(py: Python<'py>, array: &Array) -> PyResult<Bound<'py, Array>> {
    let id = array.id()?;
    let copied = py.detach(|| cuda::to_device(id, HOST, Id::NULL, Id::NULL).map_err(PyErr::from))?;
    Array::wrap(py, copied, array.dtype(), array.ndim())
}

/// A NumPy array for reading, whose guard ends with it. Device memory is copied first. For this package's own use of
/// NumPy.
pub fn read_view<'py>(array: &Bound<'py, Array>) -> PyResult<Bound<'py, PyAny>> {
    let py = array.py();
    let id = array.get().id()?;
    let (id, view) = wait_without_gil(py, TN_WAIT, |flags| api::borrow_read(id, flags).map(SameThread))?.0;
    if is_remote(view.device) {
        api::borrow_end(id, 0)?;
        return read_view(&on_host(py, array.get())?);
    }
    let guard = Guard::new(id, true);
    BorrowedBuffer::of(&guard, &view, true).numpy(py)
}

/// The borrow that a `with` block makes.
enum Request {
    /// One array: TN_READ or TN_READ_WRITE, with modes and flags.
    One(Py<Array>, u32),
    /// Several arrays, by one call of `borrow_all`.
    All(Vec<(Py<Array>, u32)>),
    /// Parts of one array: number, axis, mode.
    Chunks(Py<Array>, usize, i32, u32),
}

/// The guards and views of an open block.
struct Open {
    guards: Vec<Arc<Guard>>,
    views: Vec<Py<PyAny>>,
}

/// A borrow for a `with` block: the result of `x.read()`, `x.write()`, `x.chunks_write()` and `tenure.access()`. The
/// beginning of the block opens the guard.
#[pyclass(frozen, module = "tenure", name = "Borrow")]
pub struct Borrow {
    request: Request,
    open: Mutex<Option<Open>>,
}

impl Borrow {
    fn new(py: Python<'_>, request: Request) -> PyResult<Bound<'_, Borrow>> {
        Bound::new(py, Borrow { request, open: Mutex::new(None) })
    }

    /// A borrow of one array.
    pub fn one(array: Bound<'_, Array>, access: u32) -> PyResult<Bound<'_, Borrow>> {
        let py = array.py();
        Self::new(py, Request::One(array.unbind(), access))
    }

    /// A borrow of consecutive parts of one array.
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
                let (id, view) = wait_without_gil(py, flags, |flags| take(flags).map(SameThread))?.0;
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
                let take = |mode| api::chunks_write(id, *axis, *n, mode).map(SameThread);
                let chunks = wait_without_gil(py, *mode, take)?.0;
                // Guards first: if anything below fails, they end with `open`.
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
            return Err(PyRuntimeError::new_err("this borrow is already open; make another one for another block"));
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
            guard.mark_failed(failed);
        }
        for view in views {
            invalidate_view(view.into_bound(py));
        }
        let mut lingering = 0;
        for guard in guards {
            lingering += usize::from(guard.close(failed));
        }
        if lingering > 0 && !failed && strict() {
            let text = format!(
                "{lingering} borrow(s) cannot end with the block (strict mode): some code still refers to a view; delete it \
                 to end the borrow"
            );
            return Err(errors::buffer_error(py, TN_ERR_BORROWED, &text));
        }
        Ok(())
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let brief = |a: &Py<Array>| brief(a.bind(py));
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

#[pymethods]
impl Array {
    /// `with x.read() as view:` a NumPy array for reading. Nothing can write these bytes meanwhile.
    ///
    /// The view holds the borrow. If only the block's own variable refers to it at the end of the block, the borrow
    /// ends there and the view is invalid. A view that is kept elsewhere keeps the array borrowed until it is
    /// deleted.
    ///
    /// frozen: refuse also where a shared view could change the bytes. wait: wait for device work on the array.
    #[pyo3(signature = (frozen=false, *, wait=true))]
    fn read(slf: Bound<'_, Self>, frozen: bool, wait: bool) -> PyResult<Bound<'_, Borrow>> {
        let frozen = if frozen { TN_FROZEN } else { 0 };
        Borrow::one(slf, TN_READ | frozen | if wait { TN_WAIT } else { 0 })
    }

    /// `with x.write() as view:` a NumPy array for reading and writing. Nothing else reads or writes these bytes
    /// meanwhile.
    ///
    /// mode: "aliased" (other handles to the bytes see the change), "unique" (refused while others exist), "cow"
    /// (this array moves to a copy if others exist). Add "|discard" where the old contents are not needed. An
    /// exception that leaves the block poisons the array: reading it raises until it is rewritten. The view behaves
    /// as in `read`.
    #[pyo3(signature = (mode=None, *, wait=true))]
    fn write<'py>(slf: Bound<'py, Self>, mode: Option<&Bound<'py, PyAny>>, wait: bool) -> PyResult<Bound<'py, Borrow>> {
        Borrow::one(slf, TN_READ_WRITE | mode_of(mode)? | if wait { TN_WAIT } else { 0 })
    }

    /// `with x.chunks_write(4) as parts:` n NumPy views of consecutive parts of an axis; each may be written by its
    /// own thread.
    #[pyo3(signature = (n, axis=0, mode=None))]
    fn chunks_write<'py>(
        slf: Bound<'py, Self>,
        n: usize,
        axis: i32,
        mode: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Borrow>> {
        Borrow::chunks(slf, n, axis, mode_of(mode)? | TN_WAIT)
    }
}

fn strict() -> bool {
    api::option_get(c"strict").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "off" | "false"))
}

/// Invalidates a view to which only the block's variable and this reference refer.
fn invalidate_view(view: Bound<'_, PyAny>) {
    // SAFETY: attached. One reference is `view`, the other the variable's; no other code can add one while this
    // thread is attached.
    if unsafe { ffi::Py_REFCNT(view.as_ptr()) } > 2 {
        return;
    }
    let py = view.py();
    // `__setstate__` is NumPy's own way to replace the contents of an array: it drops the base, and with it the
    // buffer. The new content is one object that raises when it is used.
    let dead = || -> PyResult<()> {
        let types_module = cached_objects(py)?.types_module.bind(py);
        let object = cached_objects(py)?.dtype.bind(py).call1(("O",))?;
        let ended = PyList::new(py, [types_module.getattr("ended")?])?;
        let state = (1, PyTuple::empty(py), object, false, ended);
        view.call_method1(pyo3::intern!(py, "__setstate__"), (state,))?;
        Ok(())
    };
    // A view that cannot be invalidated keeps its guard, as a view with other references does.
    let _ = dead();
}

/// The arrays of an argument: one array, or a sequence of them.
fn arrays_of<'py>(object: Option<&Bound<'py, PyAny>>) -> PyResult<Vec<Bound<'py, Array>>> {
    let Some(object) = object else { return Ok(Vec::new()) };
    if let Ok(array) = object.cast::<Array>() {
        return Ok(vec![array.clone()]);
    }
    let wrong = |object: &Bound<'_, PyAny>| match object.get_type().name() {
        Ok(what) => PyTypeError::new_err(format!("a tenure.Array or several are needed, not {what}")),
        Err(error) => error,
    };
    // For a NumPy array the message would be about its elements.
    if object.hasattr("dtype")? {
        return Err(wrong(object));
    }
    let items = object.try_iter().map_err(|_| wrong(object))?;
    items.map(|item| item?.cast_into::<Array>().map_err(|error| wrong(&error.into_inner()))).collect()
}

/// `with tenure.access(read=(a, b), write=c) as (va, vb, vc):` borrows several arrays at once, all or none, without
/// deadlock.
///
/// read, write: one array or several. The views come in the order read, write. mode: as in `Array.write`. An
/// exception that leaves the block poisons the written arrays.
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
    let writes = TN_READ_WRITE | wait | mode_of(mode)?;
    let mut entries = Vec::new();
    for (arrays, access) in [(arrays_of(read)?, reads), (arrays_of(write)?, writes)] {
        entries.extend(arrays.into_iter().map(|array| (array.unbind(), access)));
    }
    Borrow::new(py, Request::All(entries))
}
