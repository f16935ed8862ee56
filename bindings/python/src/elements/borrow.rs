//! Borrows as context managers: `x.read()`, `x.write()`, `x.split_write(n)`, `tenure.access(...)` (PY-7, PY-16).
//!
//! Contract: `with` opens the guards and gives NumPy arrays over the bytes. Each array refers to its guard, through a
//! buffer. All guards end with the block; those of writers with TN_END_FAILED after an exception. A view to which only
//! the block's own variable refers is invalidated: it becomes an object that raises when it is used. Any other view,
//! and any part of a view, stays usable and becomes what `numpy.asarray(x)` is: a shared view of the array, read-only
//! after a read block. So bytes stay valid while Python can reach them, and are free again when it cannot.
//!
//! For memory that the host cannot access the views are `DeviceView`s, which have the address and layout of the bytes
//! and no elements.

use crate::api::{self, Id, cuda};
use crate::base::guard::{self, Guard, Kept};
use crate::base::interpreter::{SameThread, wait_without_gil};
use crate::base::{errors, site};
use crate::elements::block_variables;
use crate::elements::device_view::{DeviceView, entries};
use crate::elements::ended_view::invalidate_view;
use crate::handles::array::{Array, brief};
use crate::sys::*;
use crate::values::buffer_fields::BufferFields;
use crate::values::convert::{Dims, HOST, cached_objects, is_remote, mode_of, numpy_bfloat16, widened};
use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicIsize, Ordering};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The bytes of one array under a guard, as a buffer. It is the base of a NumPy view.
#[pyclass(frozen, module = "tenure", name = "BorrowedBuffer")]
pub struct BorrowedBuffer {
    guard: Arc<Guard>,
    data: usize,
    dtype: tn_dtype,
    shape: Dims,
    strides: Dims,
    readonly: bool,
    /// Address of the first element of the borrowed array, of which this may be a part.
    origin: usize,
    /// Number of open buffers, which are NumPy views.
    views: AtomicIsize,
    /// Keeps the bytes of the views after the block.
    kept: Mutex<Option<Kept>>,
}

impl BorrowedBuffer {
    fn of(guard: &Arc<Guard>, view: &tn_view_info, readonly: bool, origin: usize) -> BorrowedBuffer {
        BorrowedBuffer {
            guard: guard.clone(),
            data: view.data as usize,
            // Buffers have no code for bfloat16, so they show its bits.
            dtype: if view.dtype == TN_BF16 { TN_U16 } else { view.dtype },
            shape: entries(view, view.shape),
            strides: entries(view, view.strides),
            readonly,
            origin,
            views: AtomicIsize::new(0),
            kept: Mutex::new(None),
        }
    }

    pub fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn has_views(&self) -> bool {
        self.views.load(Ordering::Acquire) > 0
    }

    /// The export that `numpy.asarray(x)` would open, of the array that was borrowed. None: it is refused, or the array
    /// has moved to other bytes.
    pub fn shared(&self, array: Id) -> Option<Kept> {
        let access = if self.readonly { 0 } else { TN_EXPORT_WRITABLE };
        let (guard, view) = api::export_host(array, TN_BORROW | TN_REQUIRE_BORROW | access, 0).ok()?;
        let export = Kept::export(guard);
        (view.data as usize == self.origin).then_some(export)
    }
}

#[pymethods]
impl BorrowedBuffer {
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let bytes = slf.clone();
        let bytes = bytes.get();
        if !bytes.guard.is_open() && bytes.kept().is_none() {
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
        bytes.views.fetch_add(1, Ordering::AcqRel);
        bytes.guard.view_made();
        Ok(())
    }

    unsafe fn __releasebuffer__(&self, _view: *mut ffi::Py_buffer) {
        if self.views.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Ending it may run other Python code, which must not find the lock taken.
            let kept = self.kept().take();
            drop(kept);
        }
        self.guard.view_gone();
    }
}

/// A view that a block gets.
pub struct Shown {
    pub view: Py<PyAny>,
    /// The buffer below a NumPy view; None for memory that the host cannot touch.
    pub buffer: Option<Py<BorrowedBuffer>>,
}

/// Makes the view of an array, or of a part of one, for a block.
pub fn shown(
    py: Python<'_>,
    guard: &Arc<Guard>,
    view: &tn_view_info,
    readonly: bool,
    origin: usize,
) -> PyResult<Shown> {
    if is_remote(view.device) {
        let view = Bound::new(py, DeviceView::of(view, readonly))?.into_any().unbind();
        return Ok(Shown { view, buffer: None });
    }
    let buffer = Bound::new(py, BorrowedBuffer::of(guard, view, readonly, origin))?;
    // The block gets a view of this array, and NumPy's views of that view refer to this array, not to that view. So the
    // end of the block can invalidate it while parts of it are in use, and the export of the bytes ends with them.
    let bytes = cached_objects(py)?.asarray.bind(py).call1((&buffer,))?;
    let method = pyo3::intern!(py, "view");
    let shown = match view.dtype {
        TN_BF16 => bytes.call_method1(method, (numpy_bfloat16(py)?,))?,
        _ => bytes.call_method0(method)?,
    };
    Ok(Shown { view: shown.unbind(), buffer: Some(buffer.unbind()) })
}

/// A copy on the host of an array that it cannot access.
pub fn on_host<'py>(py: Python<'py>, array: &Array) -> PyResult<Bound<'py, Array>> {
    let id = array.id()?;
    let copied = py.detach(|| cuda::to_device(id, HOST, Id::NULL, Id::NULL).map_err(PyErr::from))?;
    Array::wrap(py, copied, array.dtype(), array.ndim())
}

/// A NumPy array for reading, whose guard ends with it. Device memory is copied first, and bfloat16 converted to
/// float32. For this package's own use of NumPy.
pub fn read_view<'py>(array: &Bound<'py, Array>) -> PyResult<Bound<'py, PyAny>> {
    let py = array.py();
    let id = array.get().id()?;
    let (id, view) = wait_without_gil(py, TN_WAIT, |flags| api::borrow_read(id, flags).map(SameThread))?.0;
    if is_remote(view.device) {
        api::borrow_end(id, 0)?;
        return read_view(&on_host(py, array.get())?);
    }
    let guard = Guard::new(id, true);
    let buffer = BorrowedBuffer::of(&guard, &view, true, view.data as usize);
    let shown = cached_objects(py)?.asarray.bind(py).call1((Bound::new(py, buffer)?,))?;
    if view.dtype == TN_BF16 { widened(&shown) } else { Ok(shown) }
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
    views: Vec<Shown>,
}

/// A borrow for a `with` block: the result of `x.read()`, `x.write()`, `x.split_write()` and `tenure.access()`. The
/// beginning of the block opens the guard.
#[pyclass(frozen, module = "tenure", name = "Borrow")]
pub struct Borrow {
    request: Request,
    /// Whether a view that outlives the block is an error; None: the option `strict` decides.
    strict: Option<bool>,
    open: Mutex<Option<Open>>,
}

impl Borrow {
    fn new(py: Python<'_>, request: Request, strict: Option<bool>) -> PyResult<Bound<'_, Borrow>> {
        Bound::new(py, Borrow { request, strict, open: Mutex::new(None) })
    }

    /// The array of a view.
    fn array(&self, view: usize) -> &Py<Array> {
        match &self.request {
            Request::One(array, _) | Request::Chunks(array, ..) => array,
            Request::All(entries) => &entries[view].0,
        }
    }

    fn writes(&self) -> bool {
        match &self.request {
            Request::One(_, access) => access & TN_WRITE != 0,
            Request::All(entries) => entries.iter().any(|(_, access)| access & TN_WRITE != 0),
            Request::Chunks(..) => true,
        }
    }

    /// Ends the guards of a block, to whose views some code still refers. The views become shared views of their
    /// arrays. Where an array has no handle any more, its guard ends with the last view.
    fn outlived(&self, py: Python<'_>, guards: &[Arc<Guard>], views: &[(usize, Py<BorrowedBuffer>)], failed: bool) {
        let _site = site::here(py);
        // The claims keep the bytes between the end of a guard and the export.
        let claim = |view: usize| {
            let id = self.array(view).get().id().ok()?;
            Some((id, Kept::Claim(api::clone(id).ok()?)))
        };
        let claims: Option<Vec<_>> = views.iter().map(|(view, _)| claim(*view)).collect();
        let Some(claims) = claims else {
            guards.iter().for_each(|guard| guard.close(failed));
            return;
        };
        guards.iter().for_each(|guard| guard.finish(failed));
        for ((_, buffer), (id, claim)) in views.iter().zip(claims) {
            let buffer = buffer.get();
            // An export of poisoned bytes would be refused.
            let shared = if failed { None } else { buffer.shared(id) };
            *buffer.kept() = Some(shared.unwrap_or(claim));
        }
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
                open.views.push(shown(py, &open.guards[0], &view, !writes, view.data as usize)?);
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
                    open.views.push(shown(py, &open.guards[0], view, access & TN_WRITE == 0, view.data as usize)?);
                }
            }
            Request::Chunks(array, n, axis, mode) => {
                let (id, dtype) = (array.get().id()?, array.get().dtype());
                let take = |mode| api::split_write(id, *axis, *n, mode).map(SameThread);
                let chunks = wait_without_gil(py, *mode, take)?.0;
                // Guards first: if anything below fails, they end with `open`.
                open.guards.extend(chunks.iter().map(|c| Guard::new(Id(c.guard as u64), false)));
                let info = api::query(id)?;
                let ndim = info.ndim as usize;
                let axis = if *axis < 0 { *axis + info.ndim } else { *axis } as usize;
                for (chunk, guard) in chunks.iter().zip(&open.guards) {
                    let remote = is_remote(info.device).then(|| api::borrow_device_data(Id(chunk.guard as u64)));
                    let mut shape = Dims::from(&info.shape[..ndim]);
                    shape[axis] = chunk.length;
                    let view = tn_view_info {
                        data: chunk.data,
                        device: info.device,
                        ndim: info.ndim,
                        dtype,
                        shape: shape.as_ptr(),
                        strides: info.strides.as_ptr(),
                        device_data: remote.transpose()?.unwrap_or(0),
                        bytes: info.bytes / (info.shape[axis].max(1) as u64) * chunk.length as u64,
                        reserved: [0; 4],
                    };
                    open.views.push(shown(py, guard, &view, false, chunks[0].data as usize)?);
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
            Request::One(..) => open.views[0].view.bind(py).clone(),
            _ => PyTuple::new(py, open.views.iter().map(|v| v.view.bind(py)))?.into_any(),
        };
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some(open);
        if self.writes() {
            guard::count_write_block(1);
        }
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
        if self.writes() {
            guard::count_write_block(-1);
        }
        let failed = exception.is_some();
        for guard in &guards {
            guard.mark_failed(failed);
        }
        let known =
            block_variables::bound_to_one_variable(py, &views.iter().map(|shown| &shown.view).collect::<Vec<_>>());
        let mut outlived = Vec::new();
        for (at, Shown { view, buffer }) in views.into_iter().enumerate() {
            if known.as_ref().is_ok_and(|known| known[at]) {
                invalidate_view(view.into_bound(py));
            } else {
                drop(view);
            }
            outlived.extend(buffer.filter(|buffer| buffer.get().has_views()).map(|buffer| (at, buffer)));
        }
        if outlived.is_empty() {
            guards.iter().for_each(|guard| guard.close(failed));
            return Ok(());
        }
        self.outlived(py, &guards, &outlived, failed);
        if !failed && self.strict.unwrap_or_else(strict) {
            let text = format!(
                "code outside this `with` block still refers to views of {} array(s) (strict mode); del the views, or \
                 copy what is needed later",
                outlived.len()
            );
            return Err(errors::buffer_error(py, TN_ERR_EXPORTED, &text));
        }
        Ok(())
    }

    /// `tenure.Borrow[numpy.ndarray]` in annotations: the type of the view.
    #[classmethod]
    fn __class_getitem__<'py>(class: &Bound<'py, PyType>, view: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        class.py().import("types")?.getattr("GenericAlias")?.call1((class, view))
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
    /// The borrow ends with the block. A view to which only the block's own variable refers is invalid then. A view
    /// that is kept elsewhere, or a part of one (`row` after `for row in view`), becomes a read-only view like
    /// `numpy.asarray(x.readonly)`: until it is deleted the array cannot be written, and `why_not` names it.
    ///
    /// frozen: refuse also where a shared view could change the bytes. wait: wait for device work on the array. strict:
    /// whether a kept view is an error at the end of the block; None: if the option `strict` is on. interprocess: for
    /// an array that processes share; refused while another process writes it in such a block, and excludes writers
    /// there.
    #[pyo3(signature = (frozen=false, *, wait=true, strict=None, interprocess=false))]
    fn read(
        slf: Bound<'_, Self>,
        frozen: bool,
        wait: bool,
        strict: Option<bool>,
        interprocess: bool,
    ) -> PyResult<Bound<'_, Borrow>> {
        let frozen = if frozen { TN_FROZEN } else { 0 };
        let access = TN_READ | frozen | if wait { TN_WAIT } else { 0 } | interprocess_flag(interprocess);
        Borrow::new(slf.py(), Request::One(slf.unbind(), access), strict)
    }

    /// `with x.write() as view:` a NumPy array for reading and writing. Nothing else reads or writes these bytes
    /// meanwhile.
    ///
    /// mode: "aliased" (other handles to the bytes see the change), "unique" (refused while others exist), "cow"
    /// (this array moves to a copy if others exist). Add "|discard" where the old contents are not needed. An
    /// exception that leaves the block poisons the array: reading it raises until it is rewritten.
    ///
    /// The borrow ends with the block. A view to which only the block's own variable refers is invalid then: every use
    /// raises `OwnershipError`. A view that is kept elsewhere, or a part of one (`row` after `for row in view`), is a
    /// shared view then, like `numpy.asarray(x)`, which `why_not` names. wait, strict: as in `read`. interprocess:
    /// excludes such readers in other processes too. It goes with every mode but "cow".
    #[pyo3(signature = (mode=None, *, wait=true, strict=None, interprocess=false))]
    fn write<'py>(
        slf: Bound<'py, Self>,
        mode: Option<&Bound<'py, PyAny>>,
        wait: bool,
        strict: Option<bool>,
        interprocess: bool,
    ) -> PyResult<Bound<'py, Borrow>> {
        let wait = if wait { TN_WAIT } else { 0 };
        let access = TN_READ_WRITE | mode_of(mode)? | wait | interprocess_flag(interprocess);
        Borrow::new(slf.py(), Request::One(slf.unbind(), access), strict)
    }

    /// `with x.split_write(4) as parts:` n NumPy views of consecutive parts of an axis; each may be written by its
    /// own thread. strict: as in `read`.
    #[pyo3(signature = (n, axis=0, mode=None, *, strict=None))]
    fn split_write<'py>(
        slf: Bound<'py, Self>,
        n: usize,
        axis: i32,
        mode: Option<&Bound<'py, PyAny>>,
        strict: Option<bool>,
    ) -> PyResult<Bound<'py, Borrow>> {
        let mode = mode_of(mode)? | TN_WAIT;
        Borrow::new(slf.py(), Request::Chunks(slf.unbind(), n, axis, mode), strict)
    }
}

fn interprocess_flag(is_on: bool) -> u32 {
    if is_on { TN_INTERPROCESS } else { 0 }
}

fn strict() -> bool {
    api::option_get(c"strict").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "off" | "false"))
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
/// exception that leaves the block poisons the written arrays. frozen, wait, strict: as in `Array.read`.
#[pyfunction]
#[pyo3(signature = (read=None, write=None, *, mode=None, frozen=false, wait=true, strict=None))]
pub fn access<'py>(
    py: Python<'py>,
    read: Option<&Bound<'py, PyAny>>,
    write: Option<&Bound<'py, PyAny>>,
    mode: Option<&Bound<'py, PyAny>>,
    frozen: bool,
    wait: bool,
    strict: Option<bool>,
) -> PyResult<Bound<'py, Borrow>> {
    let wait = if wait { TN_WAIT } else { 0 };
    let reads = TN_READ | wait | if frozen { TN_FROZEN } else { 0 };
    let writes = TN_READ_WRITE | wait | mode_of(mode)?;
    let mut entries = Vec::new();
    for (arrays, access) in [(arrays_of(read)?, reads), (arrays_of(write)?, writes)] {
        entries.extend(arrays.into_iter().map(|array| (array.unbind(), access)));
    }
    Borrow::new(py, Request::All(entries), strict)
}
