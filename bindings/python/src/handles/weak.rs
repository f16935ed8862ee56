//! `tenure.Weak`: a handle without a claim, and `Array.weak` (PY-6).

use crate::api::{self, Id};
use crate::base::{errors, site};
use crate::handles::array::Array;
use crate::sys::*;
use core::sync::atomic::{AtomicU64, Ordering};
use pyo3::prelude::*;

/// A handle without a claim: the result of `x.weak()`.
#[pyclass(frozen, weakref, module = "tenure", name = "Weak")]
pub struct Weak {
    id: AtomicU64,
}

impl Weak {
    /// Makes the object that owns a weak handle.
    pub fn wrap(py: Python<'_>, id: Id) -> PyResult<Bound<'_, Weak>> {
        Bound::new(py, Weak { id: AtomicU64::new(id.0) })
    }
}

impl Drop for Weak {
    fn drop(&mut self) {
        let id = *self.id.get_mut();
        if id != 0 {
            let _ = api::weak_release(Id(id));
        }
    }
}

#[pymethods]
impl Weak {
    /// A new array on the bytes, while any claim on them exists; otherwise OwnershipError.
    fn upgrade<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Array>> {
        let id = self.id.load(Ordering::Relaxed);
        if id == 0 {
            return Err(errors::with_text(py, TN_ERR_STALE, "this weak handle was released", false));
        }
        let _site = site::here(py);
        Array::adopt(py, api::upgrade(Id(id))?)
    }

    /// Releases the weak handle. Calling it twice is allowed.
    fn release(&self) -> PyResult<()> {
        match self.id.swap(0, Ordering::Relaxed) {
            0 => Ok(()),
            id => Ok(api::weak_release(Id(id))?),
        }
    }

    /// The handle as an integer, valid while this object exists.
    #[getter]
    fn handle(&self) -> u64 {
        self.id.load(Ordering::Relaxed)
    }

    fn __repr__(&self) -> String {
        if self.id.load(Ordering::Relaxed) == 0 { "<released weak handle>" } else { "<tenure weak handle>" }.to_owned()
    }
}

#[pymethods]
impl Array {
    /// A handle that keeps nothing alive. `x.weak().upgrade()` works while some claim on the bytes exists.
    fn weak<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Weak>> {
        Weak::wrap(py, api::weaken(self.id()?)?)
    }
}
