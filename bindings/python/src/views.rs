//! Views that are not made by indexing: other shapes, orders of axes, types, parts. None copies; where only a copy
//! would do the library says TN_ERR_LAYOUT, which is a ValueError here.

use crate::api;
use crate::array::Array;
use crate::convert::{axes_of, dims_of, dims_of_args, dtype_of, int_of, order_of};
use crate::device::mode_and_wait;
use crate::site;
use crate::stream::Stream;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

impl Array {
    /// A view with the same element type.
    fn viewed<'py>(&self, py: Python<'py>, id: api::Id, ndim: usize) -> PyResult<Bound<'py, Array>> {
        Array::wrap(py, id, self.dtype(), ndim as i32)
    }
}

/// `f()`, `f(None)`: all axes reversed.
fn no_axes(axes: &Bound<'_, PyTuple>) -> PyResult<bool> {
    Ok(axes.is_empty() || (axes.len() == 1 && axes.get_item(0)?.is_none()))
}

/// One array object per view, the rest released if one cannot be made.
fn listed<'py>(py: Python<'py>, array: &Array, ids: Vec<api::Id>) -> PyResult<Bound<'py, PyList>> {
    let mut views = Vec::with_capacity(ids.len());
    let mut failed = None;
    for id in ids {
        match Array::wrap(py, id, array.dtype(), array.ndim()) {
            Ok(view) => views.push(view),
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or_else(|| PyList::new(py, views), Err)
}

/// Views of `length` along an axis, the last one shorter.
pub fn chunks<'py>(py: Python<'py>, array: &Array, axis: i32, length: i64) -> PyResult<Bound<'py, PyList>> {
    listed(py, array, api::chunks(array.id()?, axis, length)?)
}

#[pymethods]
impl Array {
    /// The array with its axes reversed.
    #[getter(T)]
    fn t<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Array>> {
        self.viewed(py, api::transpose(self.id()?)?, self.ndim() as usize)
    }

    /// The array with its axes reversed, or in the order that is given: `x.transpose(1, 0, 2)`.
    #[pyo3(signature = (*axes))]
    fn transpose<'py>(&self, py: Python<'py>, axes: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, Array>> {
        if no_axes(axes)? { self.t(py) } else { self.permute(py, axes) }
    }

    /// The array with its axes in the order that is given, each once.
    #[pyo3(signature = (*axes))]
    fn permute<'py>(&self, py: Python<'py>, axes: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, Array>> {
        let axes = axes_of(&dims_of_args(axes)?);
        self.viewed(py, api::permute(self.id()?, &axes)?, self.ndim() as usize)
    }

    /// The same elements in another shape; one length may be -1. A copy is never made: where one would be needed,
    /// ValueError.
    #[pyo3(signature = (*shape, order=None))]
    fn reshape<'py>(
        &self,
        py: Python<'py>,
        shape: &Bound<'py, PyTuple>,
        order: Option<&str>,
    ) -> PyResult<Bound<'py, Array>> {
        let dims = dims_of_args(shape)?;
        self.viewed(py, api::reshape(self.id()?, &dims, order_of(order)?)?, dims.len())
    }

    /// The elements on one axis, as `reshape(-1)`.
    #[pyo3(signature = (order=None))]
    fn ravel<'py>(&self, py: Python<'py>, order: Option<&str>) -> PyResult<Bound<'py, Array>> {
        self.viewed(py, api::ravel(self.id()?, order_of(order)?)?, 1)
    }

    /// Without the axes of length 1, or without those that are named.
    #[pyo3(signature = (axis=None))]
    fn squeeze<'py>(&self, py: Python<'py>, axis: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, Array>> {
        let id = self.id()?;
        let Some(axis) = axis else { return Array::adopt(py, api::squeeze(id, &[])?) };
        let axes = axes_of(&dims_of(axis)?);
        // No axis named is not the same as none given: nothing goes.
        let view = if axes.is_empty() { api::clone(id)? } else { api::squeeze(id, &axes)? };
        self.viewed(py, view, self.ndim() as usize - axes.len())
    }

    /// With a new axis of length 1 before `axis`; -1: after the last.
    fn expand<'py>(&self, py: Python<'py>, axis: i32) -> PyResult<Bound<'py, Array>> {
        self.viewed(py, api::expand(self.id()?, axis)?, self.ndim() as usize + 1)
    }

    /// Stretched to a shape by NumPy's rules; read-only where something is repeated.
    #[pyo3(signature = (*shape))]
    fn broadcast_to<'py>(&self, py: Python<'py>, shape: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, Array>> {
        let dims = dims_of_args(shape)?;
        self.viewed(py, api::broadcast(self.id()?, &dims)?, dims.len())
    }

    /// Another array on the same bytes: with another element type, if one is given, else as `clone`.
    #[pyo3(signature = (dtype=None))]
    fn view<'py>(&self, py: Python<'py>, dtype: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, Array>> {
        let _site = site::here(py);
        let id = self.id()?;
        let Some(dtype) = dtype else { return self.viewed(py, api::clone(id)?, self.ndim() as usize) };
        let dtype = dtype_of(dtype)?;
        Array::wrap(py, api::view_dtype(id, dtype)?, dtype, self.ndim())
    }

    /// Views of `length` along an axis, the last one shorter.
    #[pyo3(signature = (length, axis=0))]
    fn chunks<'py>(&self, py: Python<'py>, length: &Bound<'py, PyAny>, axis: i32) -> PyResult<Bound<'py, PyList>> {
        chunks(py, self, axis, int_of(length)?)
    }

    /// That many views along an axis, their lengths differ by at most 1, as `numpy.array_split`.
    #[pyo3(signature = (parts, axis=0))]
    fn array_split<'py>(&self, py: Python<'py>, parts: &Bound<'py, PyAny>, axis: i32) -> PyResult<Bound<'py, PyList>> {
        listed(py, self, api::split(self.id()?, axis, int_of(parts)?.max(0) as usize)?)
    }

    /// How the elements of two arrays lie to one another: "none", "exact", "some" or "unknown" in common.
    fn overlap(&self, other: &Bound<'_, Array>) -> PyResult<&'static str> {
        use crate::types::*;
        Ok(match api::overlap(self.id()?, other.get().id()?)? {
            TN_OVERLAP_NONE => "none",
            TN_OVERLAP_EXACT => "exact",
            TN_OVERLAP_SOME => "some",
            _ => "unknown",
        })
    }

    /// Copies all elements of `source` (the same shape and type, on any device) into this array. mode, stream, wait: as `fill`.
    #[pyo3(signature = (source, mode=None, *, stream=None, wait=true))]
    fn copy_from(
        &self,
        py: Python<'_>,
        source: &Bound<'_, PyAny>,
        mode: Option<&Bound<'_, PyAny>>,
        stream: Option<&Bound<'_, PyAny>>,
        wait: bool,
    ) -> PyResult<()> {
        let Ok(source) = source.cast::<Array>() else {
            let what = source.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "copy_from takes a tenure.Array, not {what}; x[...] = source copies whatever NumPy can read"
            )));
        };
        let (to, from) = (self.id()?, source.get().id()?);
        let (mode, stream) = (mode_and_wait(mode, wait)?, Stream::id_of(stream)?);
        let _site = site::here(py);
        py.detach(|| api::copy_into(from, to, mode, stream).map_err(PyErr::from))
    }
}
