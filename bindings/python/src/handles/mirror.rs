//! `tenure.Mirror`: the object that owns a mirror.
//!
//! Contract: the end of the object releases the mirror. Calls that may move bytes, or wait for another thread's call on
//! the mirror, release the GIL.

use crate::api::{Id, mirror as c};
use crate::base::{errors, site};
use crate::handles::array::Array;
use crate::sys::*;
use crate::values::convert::{device_text, dtype_object, fixed_text};
use core::sync::atomic::{AtomicU64, Ordering};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// The side with this name.
pub fn side_of(name: &str) -> PyResult<tn_side> {
    match name {
        "host" | "cpu" => Ok(TN_SIDE_HOST),
        "device" | "gpu" => Ok(TN_SIDE_DEVICE),
        _ => {
            Err(PyValueError::new_err(format!("a side of a mirror is \"host\" or \"device\" (\"gpu\"), not {name:?}")))
        }
    }
}

/// One array with a side on the host and a side on a GPU, which moves only when needed. `tenure.cuda.SmartArray` is the
/// same class.
///
/// obj: anything `tenure.asarray` takes; it is copied. copy=None: its memory becomes a side if it can; copy=False: it
/// does, or the call raises. Without obj, shape and dtype give a mirror with undefined contents. where: the side with
/// the contents at first, "host" or "device" ("gpu"); None: where obj is. order: of the memory that the mirror
/// allocates, "C", "F" or "A" (that of obj, the default). device: the GPU. host_pool, device_pool: where the sides get
/// their memory.
///
/// >>> m = tenure.Mirror(numpy.arange(6.0))
/// >>> with m.write("device", stream) as d: launch(d.pointer)      # doctest: +SKIP
/// >>> numpy.asarray(m)                                            # doctest: +SKIP
///
/// NumPy gets the host side, and a library that reads `__cuda_array_interface__` the device side. A transfer happens
/// only when the side is not valid; `transfers` counts them. What a kernel wrote through that interface is not seen:
/// call `mark_changed("device")`.
#[pyclass(frozen, weakref, subclass, module = "tenure", name = "Mirror")]
pub struct Mirror {
    id: AtomicU64,
    crossing: tn_crossing,
}

impl Mirror {
    /// Takes over a new mirror.
    pub fn new(id: Id, crossing: tn_crossing) -> Mirror {
        Mirror { id: AtomicU64::new(id.0), crossing }
    }

    /// The handle, if the object still has one.
    pub fn id(&self) -> PyResult<Id> {
        match self.id.load(Ordering::Relaxed) {
            0 => Err(Python::attach(|py| {
                errors::with_text(py, TN_ERR_STALE, "this mirror was released; only its repr works", false)
            })),
            id => Ok(Id(id)),
        }
    }

    /// An array on a side.
    pub fn array_on<'py>(&self, py: Python<'py>, side: tn_side) -> PyResult<Bound<'py, Array>> {
        let id = self.id()?;
        let _site = site::here(py);
        let array = py.detach(|| c::get(id, side).map_err(PyErr::from))?;
        Array::adopt(py, array)
    }

    /// The GPU of the device side.
    pub fn device_code(&self) -> PyResult<tn_device> {
        Ok(self.info()?.device)
    }

    /// The element type.
    pub fn dtype_code(&self) -> PyResult<tn_dtype> {
        Ok(self.info()?.dtype)
    }

    fn info(&self) -> PyResult<tn_mirror_info> {
        Ok(c::query(self.id()?)?)
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        let id = *self.id.get_mut();
        if id != 0 {
            let _ = c::release(Id(id));
        }
    }
}

/// The names of the sides in a mask.
fn names(mask: u32) -> Vec<&'static str> {
    [(TN_SIDE_HOST, "host"), (TN_SIDE_DEVICE, "device")]
        .into_iter()
        .filter(|(bit, _)| mask & bit != 0)
        .map(|(_, name)| name)
        .collect()
}

#[pymethods]
impl Mirror {
    /// The side as an array, made valid first. While it, or anything that descends from it, lives, the side is
    /// refreshed whenever the other one changes. A write through it makes the side the valid one.
    #[pyo3(signature = (r#where="host"))]
    fn get<'py>(&self, py: Python<'py>, r#where: &str) -> PyResult<Bound<'py, Array>> {
        self.array_on(py, side_of(r#where)?)
    }

    /// The host side, as `get("host")`.
    fn host<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Array>> {
        self.array_on(py, TN_SIDE_HOST)
    }

    /// The device side, as `get("device")`.
    fn gpu<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Array>> {
        self.array_on(py, TN_SIDE_DEVICE)
    }

    /// Makes a side the only valid one, after a kernel or other code changed its bytes in a way that the library does
    /// not see.
    #[pyo3(signature = (r#where="host"))]
    fn mark_changed(&self, py: Python<'_>, r#where: &str) -> PyResult<()> {
        let (id, side) = (self.id()?, side_of(r#where)?);
        py.detach(|| c::mark_changed(id, side).map_err(PyErr::from))
    }

    /// The sides with the present contents: a tuple of "host" and "device".
    #[getter]
    fn valid<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, names(self.info()?.valid))
    }

    /// The sides that have memory.
    #[getter]
    fn allocated<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, names(self.info()?.allocated))
    }

    /// The sides that somebody else holds, by an array, a view or an export.
    #[getter]
    fn held<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, names(self.info()?.held))
    }

    /// Whether a write failed and left the contents undefined, until the mirror is overwritten.
    #[getter]
    fn is_poisoned(&self) -> PyResult<bool> {
        Ok(self.info()?.is_poisoned != 0)
    }

    #[getter]
    fn _transfers(&self) -> PyResult<(u64, u64, u64, u64)> {
        let info = self.info()?;
        Ok((info.transfers_to_device, info.transfers_to_host, info.bytes_to_device, info.bytes_to_host))
    }

    #[getter]
    fn _crossing(&self) -> (u32, u32) {
        (self.crossing.how, self.crossing.why)
    }

    /// The name in messages and reports; None without one.
    #[getter]
    fn name(&self) -> PyResult<Option<String>> {
        Ok(Some(fixed_text(&self.info()?.name)).filter(|name| !name.is_empty()))
    }

    /// The lengths of the axes.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let info = self.info()?;
        PyTuple::new(py, &info.shape[..info.ndim as usize])
    }

    /// The number of axes.
    #[getter]
    fn ndim(&self) -> PyResult<i32> {
        Ok(self.info()?.ndim)
    }

    /// The element type.
    #[getter]
    fn dtype<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        dtype_object(py, self.info()?.dtype)
    }

    /// The number of elements.
    #[getter]
    fn size(&self) -> PyResult<i64> {
        let info = self.info()?;
        Ok(info.shape[..info.ndim as usize].iter().product())
    }

    /// The bytes of the elements.
    #[getter]
    fn nbytes(&self) -> PyResult<u64> {
        Ok(self.info()?.bytes)
    }

    /// The GPU of the device side, such as "cuda:0".
    #[getter]
    fn device(&self) -> PyResult<String> {
        Ok(device_text(self.info()?.device))
    }

    /// Releases the mirror. Calling it twice is allowed. Arrays on its sides live on, and see no more changes.
    fn release(&self) -> PyResult<()> {
        match self.id.swap(0, Ordering::Relaxed) {
            0 => Ok(()),
            id => Ok(c::release(Id(id))?),
        }
    }

    /// The handle as an integer, valid while this object exists.
    #[getter]
    fn handle(&self) -> u64 {
        self.id.load(Ordering::Relaxed)
    }

    fn __len__(&self) -> PyResult<usize> {
        let info = self.info()?;
        if info.ndim == 0 {
            return Err(pyo3::exceptions::PyTypeError::new_err("len() of a mirror without axes"));
        }
        Ok(info.shape[0] as usize)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let Ok(info) = self.info() else { return "<released mirror>".to_owned() };
        let lengths: Vec<_> = info.shape[..info.ndim as usize].iter().map(i64::to_string).collect();
        let comma = if lengths.len() == 1 { "," } else { "" };
        let name = fixed_text(&info.name);
        let name = if name.is_empty() { String::new() } else { format!(" {name:?}") };
        let dtype = dtype_object(py, info.dtype).map_or_else(|_| String::new(), |dtype| dtype.to_string());
        let state = if info.is_poisoned != 0 { "undefined".to_owned() } else { names(info.valid).join(" and ") };
        format!(
            "<mirror{name} {dtype} ({}{comma}) of {}, valid: {state}>",
            lengths.join(", "),
            device_text(info.device)
        )
    }
}
