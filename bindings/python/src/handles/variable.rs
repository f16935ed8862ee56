//! `tenure.SharedVariable`: the object that owns a shared variable. `tenure._variable` has what converts other objects.
//!
//! Contract: the end of the object releases the variable. Calls that may wait for a device release the GIL.

use crate::api::{Id, variable as c};
use crate::base::{errors, site};
use crate::handles::array::Array;
use crate::handles::pool::Pool;
use crate::sys::*;
use crate::values::convert::{device_of, device_text, dtype_object, fixed_text, text_of};
use core::sync::atomic::{AtomicU64, Ordering};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// A variable that keeps one array value inside the library: the result of `tenure.shared(value)`.
#[pyclass(frozen, weakref, module = "tenure", name = "SharedVariable")]
pub struct SharedVariable {
    id: AtomicU64,
    /// What became of the last value that crossed: `how`, and `why` in the upper half.
    crossing: AtomicU64,
}

impl SharedVariable {
    /// The handle, if the object still has one.
    pub fn id(&self) -> PyResult<Id> {
        match self.id.load(Ordering::Relaxed) {
            0 => Err(Python::attach(|py| {
                errors::with_text(py, TN_ERR_STALE, "this shared variable was released; only its repr works", false)
            })),
            id => Ok(Id(id)),
        }
    }

    fn note(&self, crossing: tn_crossing) {
        self.crossing.store(u64::from(crossing.how) | u64::from(crossing.why) << 32, Ordering::Relaxed);
    }

    fn info(&self) -> PyResult<tn_shared_info> {
        Ok(c::query(self.id()?)?)
    }
}

impl Drop for SharedVariable {
    fn drop(&mut self) {
        let id = *self.id.get_mut();
        if id != 0 {
            let _ = c::release(Id(id));
        }
    }
}

/// Creates a variable from an array.
#[pyfunction]
pub fn _shared<'py>(
    value: &Bound<'py, Array>,
    flags: u32,
    name: Option<&str>,
    device: Option<&str>,
    pool: Option<&Bound<'py, Pool>>,
) -> PyResult<Bound<'py, SharedVariable>> {
    let py = value.py();
    let name = name.map(text_of).transpose()?;
    let pool = pool.map(|pool| Pool::id_of(Some(pool))).transpose()?;
    let place = c::Place { device: device.map(device_of).transpose()?, pool };
    let array = value.get().id()?;
    let _site = site::here(py);
    let (id, crossing) = py.detach(|| c::create(array, flags, &place, name.as_deref()).map_err(PyErr::from))?;
    let variable = SharedVariable { id: AtomicU64::new(id.0), crossing: AtomicU64::new(0) };
    variable.note(crossing);
    Bound::new(py, variable)
}

#[pymethods]
impl SharedVariable {
    fn _get<'py>(&self, py: Python<'py>, flags: u32) -> PyResult<Bound<'py, Array>> {
        let id = self.id()?;
        let _site = site::here(py);
        let (array, crossing) = py.detach(|| c::get(id, flags).map_err(PyErr::from))?;
        self.note(crossing);
        Array::adopt(py, array)
    }

    fn _set(&self, value: &Bound<'_, Array>, flags: u32) -> PyResult<()> {
        let (id, array) = (self.id()?, value.get().id()?);
        let _site = site::here(value.py());
        self.note(value.py().detach(|| c::set(id, array, flags).map_err(PyErr::from))?);
        Ok(())
    }

    fn _begin<'py>(&self, py: Python<'py>, flags: u32) -> PyResult<Bound<'py, Array>> {
        let id = self.id()?;
        let _site = site::here(py);
        let (array, crossing) = py.detach(|| c::begin_update(id, flags).map_err(PyErr::from))?;
        self.note(crossing);
        Array::adopt(py, array).inspect_err(|_| {
            let _ = c::end_update(id, TN_END_FAILED);
        })
    }

    fn _end(&self, py: Python<'_>, failed: bool) -> PyResult<()> {
        let id = self.id()?;
        let flags = if failed { TN_END_FAILED } else { 0 };
        py.detach(|| c::end_update(id, flags).map_err(PyErr::from))
    }

    #[getter]
    fn _crossing(&self) -> (u32, u32) {
        let crossing = self.crossing.load(Ordering::Relaxed);
        (crossing as u32, (crossing >> 32) as u32)
    }

    /// The name in messages and reports; None without one.
    #[getter]
    fn name(&self) -> PyResult<Option<String>> {
        Ok(Some(fixed_text(&self.info()?.name)).filter(|name| !name.is_empty()))
    }

    /// 1 at first; incremented by each successful set and update.
    #[getter]
    fn version(&self) -> PyResult<u64> {
        Ok(self.info()?.version)
    }

    /// The lengths of the value's axes.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let info = self.info()?;
        PyTuple::new(py, &info.shape[..info.ndim as usize])
    }

    /// The number of axes, which stays.
    #[getter]
    fn ndim(&self) -> PyResult<i32> {
        Ok(self.info()?.ndim)
    }

    /// The element type, which stays.
    #[getter]
    fn dtype<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        dtype_object(py, self.info()?.dtype)
    }

    /// The bytes of the value's elements.
    #[getter]
    fn nbytes(&self) -> PyResult<u64> {
        Ok(self.info()?.bytes)
    }

    /// The device that keeps the value.
    #[getter]
    fn device(&self) -> PyResult<String> {
        Ok(device_text(self.info()?.device))
    }

    /// The device of the value at creation, to which `get_value` copies.
    #[getter]
    fn home(&self) -> PyResult<String> {
        Ok(device_text(self.info()?.home))
    }

    /// Whether an update in place failed. Then a set makes the variable usable again.
    #[getter]
    fn is_poisoned(&self) -> PyResult<bool> {
        Ok(self.info()?.is_poisoned != 0)
    }

    /// How often a set or update took another buffer because somebody keeps the old value.
    #[getter]
    fn detach_count(&self) -> PyResult<u64> {
        Ok(self.info()?.detach_count)
    }

    /// Releases the variable. Calling it twice is allowed. Values that were read stay valid.
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

    fn __repr__(&self, py: Python<'_>) -> String {
        let Ok(info) = self.info() else { return "<released shared variable>".to_owned() };
        let lengths: Vec<_> = info.shape[..info.ndim as usize].iter().map(i64::to_string).collect();
        let comma = if lengths.len() == 1 { "," } else { "" };
        let name = fixed_text(&info.name);
        let name = if name.is_empty() { String::new() } else { format!(" {name:?}") };
        let dtype = dtype_object(py, info.dtype).map_or_else(|_| String::new(), |dtype| dtype.to_string());
        let poisoned = if info.is_poisoned != 0 { ", undefined: set a new value" } else { "" };
        format!("<shared variable{name} {dtype} ({}{comma}), version {}{poisoned}>", lengths.join(", "), info.version)
    }
}
