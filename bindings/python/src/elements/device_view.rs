//! `tenure.DeviceView`: the address and layout of an array's bytes, for work on a device.

use crate::base::errors;
use crate::sys::*;
use crate::values::convert::{Dims, device_text, dtype_object};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// The place of an array's bytes, for device work that a block issues: what a `with` block gives for device memory.
///
/// pointer: the address for kernels, an integer. host_pointer: the address on the host, for copies by the driver.
/// shape, strides (bytes), dtype, nbytes, readonly: as in NumPy.
#[pyclass(frozen, module = "tenure", name = "DeviceView")]
pub struct DeviceView {
    /// The address of the first element for kernels; 0: no device reaches it.
    at_device: u64,
    at_host: u64,
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
            at_device: view.device_data,
            at_host: if view.device.r#type == TN_CUDA { 0 } else { view.data as u64 },
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
    /// The address of the first element for kernels; 0 for an array without elements. Raises where no device reaches
    /// the bytes: the host's address is no substitute.
    #[getter]
    fn pointer(&self, py: Python<'_>) -> PyResult<u64> {
        if self.at_device == 0 && self.nbytes > 0 {
            let text = format!(
                "kernels cannot access the array: its memory on {} is not mapped for devices. Use \
                 tenure.cuda.mapped_array, or copy it with to_device; host_pointer is the address for copies",
                self.device()
            );
            return Err(errors::with_text(py, TN_ERR_UNSUPPORTED, &text, false));
        }
        Ok(self.at_device)
    }

    /// The address of the first element on the host, as a copy by the driver needs it. Raises for memory that only a
    /// device reaches.
    #[getter]
    fn host_pointer(&self, py: Python<'_>) -> PyResult<u64> {
        if self.at_host == 0 && self.nbytes > 0 {
            let text = format!("the host cannot access memory on {}; pointer is the device's address", self.device());
            return Err(errors::with_text(py, TN_ERR_UNSUPPORTED, &text, false));
        }
        Ok(self.at_host)
    }

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
        let at = if self.at_device == 0 { self.at_host } else { self.at_device };
        format!("<{} bytes at {at:#x} of {}>", self.nbytes, self.device())
    }
}

/// The entries of a view's shape or strides.
pub fn entries(view: &tn_view_info, at: *const i64) -> Dims {
    let n = if at.is_null() { 0 } else { view.ndim as usize };
    // SAFETY: ndim entries, valid while the guard is open; the caller keeps it open.
    (0..n).map(|i| unsafe { *at.add(i) }).collect()
}
