//! Arrays and devices: copies between devices, page-locked and managed memory, descriptions of devices.
//!
//! Contract: a source that is another object (a NumPy array, a buffer) first becomes an array without a copy. So the
//! library knows whose bytes an asynchronous copy uses, and keeps them. Every call that may wait runs with the
//! interpreter released.

use crate::api::{self, Id, cuda};
use crate::base::interpreter::retry_after_wait;
use crate::base::site;
use crate::exchange::asarray::{asarray, from_buffer};
use crate::handles::array::Array;
use crate::handles::pool::Pool;
use crate::handles::stream::Stream;
use crate::sys::*;
use crate::values::convert::{self, HOST, device_of, fixed_text, mode_and_wait};
use crate::values::foreign_buffer::ForeignBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Copies all elements of an array into another of the same shape and type, on a stream if one is given.
fn copy_into(py: Python<'_>, from: &Array, to: &Array, mode: u32, stream: Id) -> PyResult<()> {
    let (from, to) = (from.id()?, to.id()?);
    let _site = site::here(py);
    py.detach(|| api::copy_into(from, to, mode, stream).map_err(PyErr::from))
}

#[pymethods]
impl Array {
    /// Copies the elements to the host: to a new array, or to `ary`, an array or a NumPy array of the same shape and
    /// type, with any strides.
    ///
    /// stream: the copy becomes work of that stream, and the result is page-locked memory. Its first use waits for
    /// the copy, or raises `PendingError` where a call has `wait=False`. NumPy's own view of page-locked memory does
    /// not wait: call `stream.synchronize()` before reading it. mode, wait: as in `fill`.
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
            return Ok(self.copied_to(py, HOST, Pool::id_of(pool)?, stream, name)?.into_any());
        };
        let to = match ary.cast::<Array>() {
            Ok(to) => to.clone(),
            Err(_) => from_buffer(py, ary, Some(true), Some(false))?,
        };
        copy_into(py, self, to.get(), mode_and_wait(mode, wait)?, stream)?;
        Ok(ary.clone())
    }

    /// Copies all elements of `ary` into this array. `ary` is an array on any device or any object that NumPy takes,
    /// of the same shape and type. stream, mode, wait: as in `copy_to_host`. The source is kept until the stream has
    /// read it.
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

    /// A copy on a device, also where this array is there already: "cuda:0", "cpu".
    #[pyo3(signature = (device, stream=None, *, pool=None, name=None))]
    fn to_device<'py>(
        &self,
        py: Python<'py>,
        device: &str,
        stream: Option<&Bound<'py, PyAny>>,
        pool: Option<&Bound<'py, Pool>>,
        name: Option<&str>,
    ) -> PyResult<Bound<'py, Array>> {
        self.copied_to(py, device_of(device)?, Pool::id_of(pool)?, Stream::id_of(stream)?, name)
    }

    /// Waits for unfinished device work: "read" for work that writes the array, "write" also for work that reads it.
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

    /// Tells the driver how managed memory will be used. advice: "read_mostly", "preferred" or "accessed_by"; with
    /// "unset_" in front to withdraw it.
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
                    "advice must be \"read_mostly\", \"preferred\" or \"accessed_by\", or one of these with \"unset_\" in front, not \
                     {advice:?}"
                )));
            }
        };
        let (id, device) = (self.id()?, device_of(device)?);
        py.detach(|| cuda::advise(id, number, device).map_err(PyErr::from))
    }

    /// Moves the pages of managed memory to a device, or to "cpu", as work of `stream`, or at once.
    #[pyo3(signature = (device="cuda:0", stream=None))]
    fn prefetch(&self, py: Python<'_>, device: &str, stream: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let (id, device, stream) = (self.id()?, device_of(device)?, Stream::id_of(stream)?);
        py.detach(|| cuda::prefetch(id, device, stream).map_err(PyErr::from))
    }
}

impl Array {
    /// Copies the array to a device.
    fn copied_to<'py>(
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
        let made =
            py.detach(|| retry_after_wait(id, || cuda::to_device(id, device, pool, stream)).map_err(PyErr::from))?;
        let made = Array::wrap(py, made, self.dtype(), self.ndim())?;
        if name.is_some() {
            api::set_name(made.get().id()?, name.as_deref())?;
        }
        Ok(made)
    }
}

/// Copies an object's elements to a new array on a device.
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
    asarray(py, object, None, None)?.get().copied_to(py, device, Pool::id_of(pool)?, stream, name)
}

/// Page-locks the memory of an object. The result is an array of its bytes, which keeps it locked. The object must
/// outlive it.
#[pyfunction]
pub fn _register<'py>(py: Python<'py>, object: &Bound<'py, PyAny>, flags: u32) -> PyResult<Bound<'py, Array>> {
    let (address, bytes) = ForeignBuffer::read(object)?.address_range();
    // SAFETY: `tenure.cuda`, the only caller, holds the object as long as the array.
    let id = py.detach(|| unsafe { cuda::host_register(address as *mut _, bytes, flags) }.map_err(PyErr::from))?;
    Array::adopt(py, id)
}

/// Waits for all work on a device.
#[pyfunction]
pub fn _synchronize(py: Python<'_>, device: &str) -> PyResult<()> {
    let device = device_of(device)?;
    py.detach(|| cuda::device_synchronize(device).map_err(PyErr::from))
}

/// The number of devices of a kind: "cuda", "cuda_host".
#[pyfunction]
pub fn _device_count(py: Python<'_>, kind: &str) -> PyResult<usize> {
    let device = device_of(kind)?;
    py.detach(|| cuda::device_count(device.r#type).map_err(PyErr::from))
}

/// The description of a device. memory: also its free memory, which may need a context.
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
    set!(kernel_count kernel_error);
    if memory {
        set!(free_bytes used_bytes pool_bytes pool_free_bytes);
    }
    Ok(fields)
}
