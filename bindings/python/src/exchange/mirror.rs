//! Mirrors and other libraries: what a mirror is made from, and what NumPy and CUDA libraries get of it.
//!
//! Contract: the host side for the buffer protocol, `__array__` and DLPack, the device side for
//! `__cuda_array_interface__` and for DLPack with a GPU in `dl_device`. Each request makes the side valid.

use crate::api::Id;
use crate::api::mirror as c;
use crate::base::site;
use crate::elements::create;
use crate::exchange::asarray::asarray;
use crate::handles::array::Array;
use crate::handles::mirror::{Mirror, side_of};
use crate::handles::pool::Pool;
use crate::sys::*;
use crate::values::convert::{crossing, device_of, dims_of, dtype_of, order_of, text_of};
use core::ffi::c_int;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

/// The array of an object, and the flags with which it enters. A list has no memory of its own, so it is converted once
/// and moves in.
fn entering<'py>(object: &Bound<'py, PyAny>, copy: Option<bool>) -> PyResult<(Bound<'py, Array>, u32)> {
    let py = object.py();
    let flags = crossing(copy);
    if let Ok(array) = object.cast::<Array>() {
        return Ok((array.clone(), flags));
    }
    let is_list =
        object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>() || !object.hasattr("dtype")?;
    if is_list && copy == Some(false) {
        return Err(PyValueError::new_err(
            "this object has no memory that could be shared, and copy=False forbids a copy",
        ));
    }
    if is_list {
        return Ok((create::array(py, object, None, None, None, None)?, TN_BORROW));
    }
    Ok((asarray(py, object, None, if copy == Some(false) { copy } else { None })?, flags))
}

#[pymethods]
impl Mirror {
    #[new]
    #[pyo3(signature = (
        obj=None, copy=Some(true), shape=None, dtype=None, order=None, r#where=None, *, device=None, name=None,
        host_pool=None, device_pool=None
    ))]
    #[allow(clippy::too_many_arguments)] // Those of Numba's SmartArray, and the options of C.
    fn make<'py>(
        py: Python<'py>,
        obj: Option<&Bound<'py, PyAny>>,
        copy: Option<bool>,
        shape: Option<&Bound<'py, PyAny>>,
        dtype: Option<&Bound<'py, PyAny>>,
        order: Option<&str>,
        r#where: Option<&str>,
        device: Option<&str>,
        name: Option<&str>,
        host_pool: Option<&Bound<'py, Pool>>,
        device_pool: Option<&Bound<'py, Pool>>,
    ) -> PyResult<Mirror> {
        if obj.is_none() && (shape.is_none() || dtype.is_none()) {
            return Err(PyTypeError::new_err(
                "a mirror is made from an object, or from shape and dtype; pass obj=, or both of the others",
            ));
        }
        let entered = obj.map(|obj| entering(obj, copy)).transpose()?;
        let (object, flags) = match &entered {
            Some((array, flags)) => (array.get().id()?, *flags),
            None => (Id::NULL, 0),
        };
        let shape = shape.map(dims_of).transpose()?;
        let order = if order.is_none() { TN_ORDER_A } else { order_of(order)? };
        let name = name.map(text_of).transpose()?;
        let options = c::Options {
            object,
            flags,
            dtype: dtype.map(dtype_of).transpose()?.unwrap_or(0),
            shape: shape.as_deref(),
            order,
            device: device.map(device_of).transpose()?,
            side: r#where.map(side_of).transpose()?.unwrap_or(0),
            host_pool: host_pool.map(|pool| Pool::id_of(Some(pool))).transpose()?.unwrap_or(Id::NULL),
            device_pool: device_pool.map(|pool| Pool::id_of(Some(pool))).transpose()?.unwrap_or(Id::NULL),
            name: name.as_deref(),
        };
        let _site = site::here(py);
        let (id, crossing) = py.detach(|| c::create(&options).map_err(PyErr::from))?;
        Ok(Mirror::new(id, crossing))
    }

    /// The buffer of the host side. It belongs to an array on that side, which the buffer keeps.
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let py = slf.py();
        // SAFETY: Python passes a buffer to fill; one without an owner counts as not filled.
        unsafe { (*view).obj = core::ptr::null_mut() };
        let array = slf.get().array_on(py, TN_SIDE_HOST)?;
        // SAFETY: a live object with the buffer protocol; Python releases the buffer through the owner that it names.
        match unsafe { ffi::PyObject_GetBuffer(array.as_ptr(), view, flags) } {
            0 => Ok(()),
            _ => Err(PyErr::fetch(py)),
        }
    }

    /// A NumPy array on the bytes of the host side.
    #[pyo3(signature = (dtype=None, copy=None))]
    fn __array__<'py>(
        &self,
        py: Python<'py>,
        dtype: Option<&Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.array_on(py, TN_SIDE_HOST)?.call_method1("__array__", (dtype, copy))
    }

    #[getter]
    fn __cuda_array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        // The mirror keeps the memory of the side, so a consumer that refers to it needs no array.
        self.array_on(py, TN_SIDE_DEVICE)?.getattr("__cuda_array_interface__")
    }

    #[pyo3(signature = (**options))]
    fn __dlpack__<'py>(&self, py: Python<'py>, options: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
        let device = options.map(|options| options.get_item("dl_device")).transpose()?.flatten();
        let r#type: Option<(i32, i32)> =
            device.filter(|device| !device.is_none()).map(|device| device.extract()).transpose()?;
        let wants_gpu = r#type.is_some_and(|(r#type, _)| r#type == TN_CUDA as i32);
        let side = if wants_gpu { TN_SIDE_DEVICE } else { TN_SIDE_HOST };
        self.array_on(py, side)?.call_method("__dlpack__", (), options)
    }

    fn __dlpack_device__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.array_on(py, TN_SIDE_HOST)?.call_method0("__dlpack_device__")
    }

    /// Elements of the host side.
    fn __getitem__<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.array_on(py, TN_SIDE_HOST)?.get_item(key)
    }

    /// Writes elements of the host side.
    fn __setitem__<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>, value: &Bound<'py, PyAny>) -> PyResult<()> {
        self.array_on(py, TN_SIDE_HOST)?.set_item(key, value)
    }
}
