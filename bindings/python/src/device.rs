//! Arrays and devices: crossing from one to another, page-locked and managed memory, waiting for device work.
//!
//! Contract: what other objects bring (NumPy arrays, buffers) becomes an array of the library first, with no copy, so that the library knows
//! whose bytes an asynchronous copy uses and keeps them. Everything that may wait runs with the interpreter released.

use crate::api::{self, Failure, Id, cuda};
use crate::array::Array;
use crate::borrow;
use crate::convert::{self, device_of, fixed_text, int_of, mode_of};
use crate::import::{Memory, asarray};
use crate::pool::Pool;
use crate::site;
use crate::stream::Stream;
use crate::types::*;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// The host.
pub const HOST: tn_device = tn_device { r#type: TN_CPU, id: 0 };

/// Whether the host cannot touch memory of that device.
pub fn is_remote(device: tn_device) -> bool {
    device.r#type == TN_CUDA
}

/// Calls with TN_WAIT in its flags such that nobody else waits too: asks first, and waits with the interpreter released.
pub fn patiently<T: Send>(
    py: Python<'_>,
    flags: u32,
    call: impl Fn(u32) -> api::Result<T> + Send + Sync,
) -> api::Result<T> {
    match call(flags & !TN_WAIT) {
        Err(Failure(TN_ERR_PENDING)) if flags & TN_WAIT != 0 => py.detach(|| call(flags)),
        done => done,
    }
}

/// Calls what reads an array and has no TN_WAIT: where device work that writes it is in the way, once more after waiting for that. With
/// the interpreter released.
pub fn after_work<T>(array: Id, call: impl Fn() -> api::Result<T>) -> api::Result<T> {
    match call() {
        Err(Failure(TN_ERR_PENDING)) => {
            cuda::wait(array, TN_READ)?;
            call()
        }
        done => done,
    }
}

/// A copy on the host of what it cannot touch.
pub fn on_host<'py>(py: Python<'py>, array: &Array) -> PyResult<Bound<'py, Array>> {
    let id = array.id()?;
    let copied = py.detach(|| cuda::to_device(id, HOST, Id::NULL, Id::NULL).map_err(PyErr::from))?;
    Array::wrap(py, copied, array.dtype(), array.ndim())
}

/// The bytes of an array's only element; None: it has another number of elements.
#[inline]
pub fn read_one(py: Python<'_>, array: Id, bytes: usize) -> PyResult<Option<convert::Element>> {
    let (guard, view) = patiently(py, TN_WAIT, |flags| api::borrow_read(array, flags).map(Shown))?.0;
    if !is_remote(view.device) {
        // SAFETY: the guard lends the bytes to the host.
        return Ok(unsafe { api::read_one(guard, &view, bytes)? });
    }
    api::borrow_end(guard, 0)?;
    let mut element = convert::Element::default();
    if view.bytes != bytes as u64 || bytes > element.len() {
        return Ok(None);
    }
    let to = Shown(element.as_mut_ptr());
    // SAFETY: one element of at most as many bytes as there is room for.
    py.detach(|| unsafe { cuda::copy_to_host(array, to.all().cast()) }.map_err(PyErr::from))?;
    Ok(Some(element))
}

/// Overwrites an array's only element; false: it has another number of elements.
#[inline]
pub fn write_one(py: Python<'_>, array: Id, element: &convert::Element, bytes: usize) -> PyResult<bool> {
    let (guard, view) =
        patiently(py, TN_WRITE_DISCARD | TN_WAIT, |flags| api::borrow_write(array, flags).map(Shown))?.0;
    if !is_remote(view.device) {
        // SAFETY: the guard lends the bytes to the host, alone.
        return Ok(unsafe { api::write_one(guard, &view, element, bytes)? });
    }
    api::borrow_end(guard, 0)?;
    if view.bytes != bytes as u64 {
        return Ok(false);
    }
    py.detach(|| api::fill(array, element, TN_WAIT, Id::NULL).map_err(PyErr::from))?;
    Ok(true)
}

/// What passes from the thread that waits to itself.
pub struct Shown<T>(pub T);

impl<T: Copy> Shown<T> {
    /// All of it, so that a closure takes the whole and not a field.
    fn all(&self) -> T {
        self.0
    }
}

// SAFETY: `detach` runs the closure on the same thread; the pointers in it are to memory that a guard or a local keeps.
unsafe impl<T> Send for Shown<T> {}
// SAFETY: the same.
unsafe impl<T> Sync for Shown<T> {}

/// A mode with what `wait=` says.
pub fn mode_and_wait(mode: Option<&Bound<'_, PyAny>>, wait: bool) -> PyResult<u32> {
    Ok(mode_of(mode)? | if wait { TN_WAIT } else { 0 })
}

/// All elements of one array into another of the same shape and type, on a stream where one is given.
fn copy_into(py: Python<'_>, from: &Array, to: &Array, mode: u32, stream: Id) -> PyResult<()> {
    let (from, to) = (from.id()?, to.id()?);
    let _site = site::here(py);
    py.detach(|| api::copy_into(from, to, mode, stream).map_err(PyErr::from))
}

#[pymethods]
impl Array {
    /// The elements on the host: a new array, or `ary`, an array or a NumPy array of the same shape and type, with any strides.
    ///
    /// stream: the copy is work of that stream, and the result is page-locked memory whose first use waits for it (`wait=False` where a call
    /// has it: `PendingError` meanwhile). NumPy's own view of page-locked memory waits for nobody: before it is read there,
    /// `stream.synchronize()`. mode, wait: as `fill`.
    #[pyo3(signature = (ary=None, stream=None, *, mode=None, wait=true, pool=None, name=None))]
    #[allow(clippy::too_many_arguments)]
    fn copy_to_host<'py>(
        &self,
        py: Python<'py>,
        ary: Option<&Bound<'py, PyAny>>,
        stream: Option<&Bound<'py, PyAny>>,
        mode: Option<&Bound<'py, PyAny>>,
        wait: bool,
        pool: Option<&Bound<'py, Pool>>,
        name: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let stream = Stream::id_of(stream)?;
        let Some(ary) = ary else {
            return Ok(self.crossed(py, HOST, Pool::id_of(pool)?, stream, name)?.into_any());
        };
        let to = match ary.cast::<Array>() {
            Ok(to) => to.clone(),
            Err(_) => crate::import::from_buffer(py, ary, Some(true), Some(false))?,
        };
        copy_into(py, self, to.get(), mode_and_wait(mode, wait)?, stream)?;
        Ok(ary.clone())
    }

    /// All elements become those of `ary`: an array on any device or whatever NumPy takes, of the same shape and type. stream, mode, wait: as
    /// `copy_to_host`; what is read is kept until the stream has read it.
    #[pyo3(signature = (ary, stream=None, *, mode=None, wait=true))]
    fn copy_to_device(
        &self,
        py: Python<'_>,
        ary: &Bound<'_, PyAny>,
        stream: Option<&Bound<'_, PyAny>>,
        mode: Option<&Bound<'_, PyAny>>,
        wait: bool,
    ) -> PyResult<()> {
        let stream = Stream::id_of(stream)?;
        let from = asarray(py, ary, None, None)?;
        copy_into(py, from.get(), self, mode_and_wait(mode, wait)?, stream)
    }

    /// A new array on another device with the same elements, also if this is there already: "cuda:0", "cpu".
    #[pyo3(signature = (device, stream=None, *, pool=None, name=None))]
    fn to_device<'py>(
        &self,
        py: Python<'py>,
        device: &str,
        stream: Option<&Bound<'py, PyAny>>,
        pool: Option<&Bound<'py, Pool>>,
        name: Option<&str>,
    ) -> PyResult<Bound<'py, Array>> {
        self.crossed(py, device_of(device)?, Pool::id_of(pool)?, Stream::id_of(stream)?, name)
    }

    /// Waits for unfinished device work: with "read" for what writes the array, with "write" for what reads it too.
    #[pyo3(signature = (access="read"))]
    fn wait(&self, py: Python<'_>, access: &str) -> PyResult<()> {
        let access = match access {
            "read" => TN_READ,
            "write" => TN_WRITE,
            _ => return Err(PyValueError::new_err(format!("access must be \"read\" or \"write\", not {access:?}"))),
        };
        let id = self.id()?;
        py.detach(|| cuda::wait(id, access).map_err(PyErr::from))
    }

    /// Views of `section` elements each along the first axis, the last one shorter, as Numba's `split`: `chunks(section)`.
    fn split<'py>(&self, py: Python<'py>, section: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        crate::views::chunks(py, self, 0, int_of(section)?)
    }

    /// For managed memory: how it will be used. advice: "read_mostly", "preferred" or "accessed_by", with "unset_" in front to take it back.
    #[pyo3(signature = (advice, device="cuda:0"))]
    fn advise(&self, py: Python<'_>, advice: &str, device: &str) -> PyResult<()> {
        let number = match advice {
            "read_mostly" => TN_ADVISE_READ_MOSTLY,
            "unset_read_mostly" => TN_ADVISE_UNSET_READ_MOSTLY,
            "preferred" => TN_ADVISE_PREFERRED,
            "unset_preferred" => TN_ADVISE_UNSET_PREFERRED,
            "accessed_by" => TN_ADVISE_ACCESSED_BY,
            "unset_accessed_by" => TN_ADVISE_UNSET_ACCESSED_BY,
            _ => {
                return Err(PyValueError::new_err(format!(
                    "advice must be \"read_mostly\", \"preferred\" or \"accessed_by\", or that with \"unset_\" in front, not \
                     {advice:?}"
                )));
            }
        };
        let (id, device) = (self.id()?, device_of(device)?);
        py.detach(|| cuda::advise(id, number, device).map_err(PyErr::from))
    }

    /// For managed memory: moves its pages to a device, or "cpu", as work of `stream`, or at once.
    #[pyo3(signature = (device="cuda:0", stream=None))]
    fn prefetch(&self, py: Python<'_>, device: &str, stream: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let (id, device, stream) = (self.id()?, device_of(device)?, Stream::id_of(stream)?);
        py.detach(|| cuda::prefetch(id, device, stream).map_err(PyErr::from))
    }

    /// `with x.on(stream) as view:` lends the array to work on a stream: the block says where the bytes are and issues the work, and until
    /// that is done nobody who asks the library touches them. The stream waits for what other streams do with them.
    ///
    /// view: a `DeviceView` with `pointer`, `shape`, `strides`, `dtype`. write: the work writes; mode: as `fill`.
    #[pyo3(signature = (stream, *, write=false, mode=None))]
    fn on<'py>(
        slf: Bound<'py, Self>,
        stream: &Bound<'py, Stream>,
        write: bool,
        mode: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, borrow::OnStream>> {
        let access = if write { TN_READ_WRITE | mode_of(mode)? } else { TN_READ };
        borrow::OnStream::new(slf, access, stream)
    }
}

impl Array {
    /// Waits for the device work that writes memory which the host can touch: before a call that has no TN_WAIT, or would wait with the
    /// interpreter held.
    pub fn finish(&self, py: Python<'_>) -> PyResult<()> {
        let id = self.id()?;
        match self.info()?.device.r#type {
            TN_CPU | TN_CUDA => Ok(()),
            _ => py.detach(|| cuda::wait(id, TN_READ).map_err(PyErr::from)),
        }
    }

    /// A new array on that device.
    fn crossed<'py>(
        &self,
        py: Python<'py>,
        device: tn_device,
        pool: Id,
        stream: Id,
        name: Option<&str>,
    ) -> PyResult<Bound<'py, Array>> {
        let id = self.id()?;
        let name = name.map(convert::text_of).transpose()?;
        let _site = site::here(py);
        let made = py.detach(|| after_work(id, || cuda::to_device(id, device, pool, stream)).map_err(PyErr::from))?;
        let made = Array::wrap(py, made, self.dtype(), self.ndim())?;
        if name.is_some() {
            api::set_name(made.get().id()?, name.as_deref())?;
        }
        Ok(made)
    }
}

/// The object's elements in a new array on a device.
#[pyfunction]
#[pyo3(signature = (object, device, stream=None, pool=None, name=None))]
pub fn _to_device<'py>(
    py: Python<'py>,
    object: &Bound<'py, PyAny>,
    device: &str,
    stream: Option<&Bound<'py, PyAny>>,
    pool: Option<&Bound<'py, Pool>>,
    name: Option<&str>,
) -> PyResult<Bound<'py, Array>> {
    let (device, stream) = (device_of(device)?, Stream::id_of(stream)?);
    asarray(py, object, None, None)?.get().crossed(py, device, Pool::id_of(pool)?, stream, name)
}

/// Page-locks the memory of an object; an array of its bytes that keeps it locked. The object must outlive it.
#[pyfunction]
pub fn _register<'py>(py: Python<'py>, object: &Bound<'py, PyAny>, flags: u32) -> PyResult<Bound<'py, Array>> {
    let (address, bytes) = Memory::read(object)?.extent();
    // SAFETY: `tenure.cuda`, the only caller, holds the object as long as the array.
    let id = py.detach(|| unsafe { cuda::host_register(address as *mut _, bytes, flags) }.map_err(PyErr::from))?;
    Array::adopt(py, id)
}

/// Waits for everything on a device.
#[pyfunction]
pub fn _synchronize(py: Python<'_>, device: &str) -> PyResult<()> {
    let device = device_of(device)?;
    py.detach(|| cuda::device_synchronize(device).map_err(PyErr::from))
}

/// How many devices of a kind there are: "cuda", "cuda_host".
#[pyfunction]
pub fn _device_count(py: Python<'_>, kind: &str) -> PyResult<usize> {
    let device = device_of(kind)?;
    py.detach(|| cuda::device_count(device.r#type).map_err(PyErr::from))
}

/// What a device is; memory: with what it has left, which may need a context.
#[pyfunction]
pub fn _device_info<'py>(py: Python<'py>, device: &str, memory: bool) -> PyResult<Bound<'py, PyDict>> {
    let device = device_of(device)?;
    let info =
        py.detach(|| cuda::device_query(device, if memory { TN_QUERY_MEMORY } else { 0 }).map_err(PyErr::from))?;
    let fields = PyDict::new(py);
    fields.set_item("name", fixed_text(&info.name))?;
    fields.set_item("uuid", &info.uuid[..])?;
    fields.set_item("pci_bus_id", fixed_text(&info.pci_bus_id))?;
    fields.set_item("compute_capability", (info.compute_major, info.compute_minor))?;
    macro_rules! set {
        ($($name:ident)*) => { $(fields.set_item(stringify!($name), info.$name)?;)* };
    }
    set!(driver_version multiprocessors warp_size features block_memory_bytes block_memory_optin_bytes total_bytes);
    set!(to_device_count to_device_bytes to_host_count to_host_bytes staged_bytes registered_bytes);
    if memory {
        set!(free_bytes used_bytes pool_bytes pool_free_bytes);
    }
    Ok(fields)
}
