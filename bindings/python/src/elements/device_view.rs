//! `tenure.DeviceView`: the address and layout of an array's bytes, for work on a device.

use crate::types::*;
use crate::values::convert::{Dims, device_text, dtype_object};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// The place of an array's bytes, for device work that a block issues: what a `with` block gives for device memory.
///
/// pointer: the address on the device, an integer. shape, strides (bytes), dtype, nbytes, readonly: as in NumPy.
#[pyclass(frozen, module = "tenure", name = "DeviceView")]
pub struct DeviceView {
    /// The address of the first element on the device.
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
    /// The view of an open guard.
    pub fn of(view: &tn_view_info, readonly: bool) -> DeviceView {
        DeviceView {
            pointer: if view.device_data == 0 { view.data as u64 } else { view.device_data },
            nbytes: view.bytes,
            readonly,
            device: view.device,
            dtype: view.dtype,
            shape: entries(view, view.shape),
            strides: entries(view, view.strides),
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

    /// The distance between neighbours on each axis, in bytes.
    #[getter]
    fn strides<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.strides)
    }

    /// The element type.
    #[getter]
    fn dtype<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        dtype_object(py, self.dtype)
    }

    /// The device, such as "cuda:0".
    #[getter]
    fn device(&self) -> String {
        device_text(self.device)
    }

    fn __repr__(&self) -> String {
        format!("<{} bytes at {:#x} of {}>", self.nbytes, self.pointer, self.device())
    }
}

/// The entries of a view's shape or strides.
pub fn entries(view: &tn_view_info, at: *const i64) -> Dims {
    let n = if at.is_null() { 0 } else { view.ndim as usize };
    // SAFETY: ndim entries, valid while the guard is open; the caller keeps it open.
    (0..n).map(|i| unsafe { *at.add(i) }).collect()
}
