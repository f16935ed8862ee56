//! Views other than by indexing: shapes, orders of axes, element types, parts. None copies. Where only a copy would
//! work the library reports TN_ERR_LAYOUT, a ValueError here.

use crate::api;
use crate::base::site;
use crate::handles::array::Array;
use crate::handles::stream::Stream;
use crate::sys::*;
use crate::values::convert::{axes_of, dims_of, dims_of_args, dtype_of, int_of, mode_and_wait, order_of};
use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use smallvec::SmallVec;

impl Array {
    /// Makes the object for a view with this element type.
    fn viewed<'py>(&self, py: Python<'py>, id: api::Id, ndim: usize) -> PyResult<Bound<'py, Array>> {
        Array::wrap(py, id, self.dtype(), ndim as i32)
    }
}

/// `f()` and `f(None)` reverse all axes.
fn no_axes(axes: &Bound<'_, PyTuple>) -> PyResult<bool> {
    Ok(axes.is_empty() || (axes.len() == 1 && axes.get_item(0)?.is_none()))
}

/// Makes an array object for each view. If one fails all views are released.
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

    /// The array with two of its axes exchanged.
    fn swapaxes<'py>(&self, py: Python<'py>, axis1: i64, axis2: i64) -> PyResult<Bound<'py, Array>> {
        let ndim = i64::from(self.ndim());
        let mut axes: SmallVec<[i32; 8]> = (0..self.ndim()).collect();
        let place = |axis: i64| match if axis < 0 { axis + ndim } else { axis } {
            at if (0..ndim).contains(&at) => Ok(at as usize),
            _ => Err(PyIndexError::new_err(format!("axis {axis} does not exist; the array has {ndim}"))),
        };
        axes.swap(place(axis1)?, place(axis2)?);
        self.viewed(py, api::permute(self.id()?, &axes)?, ndim as usize)
    }

    /// A view with another shape; one length may be -1. It is never a copy: where one would be needed it raises
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

    /// A copy with one axis, as NumPy's `flatten`. order: "C", "F", or "A" for F where only that is contiguous.
    #[pyo3(signature = (order=None))]
    fn flatten<'py>(&self, py: Python<'py>, order: Option<&str>) -> PyResult<Bound<'py, Array>> {
        let flags = self.info()?.flags;
        let order = match order {
            Some("A" | "a") if flags & TN_F_CONTIGUOUS != 0 && flags & TN_C_CONTIGUOUS == 0 => "F",
            Some("F" | "f") => "F",
            None | Some("A" | "a" | "C" | "c") => "C",
            Some(other) => {
                return Err(PyValueError::new_err(format!("order must be \"C\", \"F\" or \"A\", not {other:?}")));
            }
        };
        let _site = site::here(py);
        self.copy(py, Some(order), None, None, None)?.get().ravel(py, Some(order), None)
    }

    /// A view with one axis, as `reshape(-1)`. It is never a copy: where one would be needed it raises ValueError;
    /// `flatten` copies. stream: accepted as by Numba's arrays; no work is started, so nothing is ordered by it.
    #[pyo3(signature = (order=None, stream=None))]
    fn ravel<'py>(
        &self,
        py: Python<'py>,
        order: Option<&str>,
        stream: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Array>> {
        let _ = stream;
        self.viewed(py, api::ravel(self.id()?, order_of(order)?)?, 1)
    }

    /// A view without the axes of length 1, or without the named ones. stream: as for `ravel`.
    #[pyo3(signature = (axis=None, stream=None))]
    fn squeeze<'py>(
        &self,
        py: Python<'py>,
        axis: Option<&Bound<'py, PyAny>>,
        stream: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Array>> {
        let _ = stream;
        let id = self.id()?;
        let Some(axis) = axis else { return Array::adopt(py, api::squeeze(id, &[])?) };
        let axes = axes_of(&dims_of(axis)?);
        // An empty list of axes removes none, unlike no list.
        let view = if axes.is_empty() { api::clone(id)? } else { api::squeeze(id, &axes)? };
        self.viewed(py, view, self.ndim() as usize - axes.len())
    }

    /// A view with a new axis of length 1 before `axis`; -1: after the last.
    fn expand<'py>(&self, py: Python<'py>, axis: i32) -> PyResult<Bound<'py, Array>> {
        self.viewed(py, api::expand(self.id()?, axis)?, self.ndim() as usize + 1)
    }

    /// A view broadcast to a shape by NumPy's rules; read-only where elements repeat.
    #[pyo3(signature = (*shape))]
    fn broadcast_to<'py>(&self, py: Python<'py>, shape: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, Array>> {
        let dims = dims_of_args(shape)?;
        self.viewed(py, api::broadcast(self.id()?, &dims)?, dims.len())
    }

    /// Another array on these bytes: with another element type if one is given, otherwise as `clone`.
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

    /// Views of `section` elements each along the first axis, the last one may be shorter, as Numba's `split`:
    /// `chunks(section)`. stream: as for `ravel`.
    #[pyo3(signature = (section, stream=None))]
    fn split<'py>(
        &self,
        py: Python<'py>,
        section: &Bound<'py, PyAny>,
        stream: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let _ = stream;
        chunks(py, self, 0, int_of(section)?)
    }

    /// `parts` views along an axis whose lengths differ by at most 1, as `numpy.array_split`.
    #[pyo3(signature = (parts, axis=0))]
    fn array_split<'py>(&self, py: Python<'py>, parts: &Bound<'py, PyAny>, axis: i32) -> PyResult<Bound<'py, PyList>> {
        listed(py, self, api::split(self.id()?, axis, int_of(parts)?.max(0) as usize)?)
    }

    /// The elements that two arrays have in common: "none", "exact", "some" or "unknown".
    fn overlap(&self, other: &Bound<'_, Array>) -> PyResult<&'static str> {
        Ok(match api::overlap(self.id()?, other.get().id()?)? {
            TN_OVERLAP_NONE => "none",
            TN_OVERLAP_EXACT => "exact",
            TN_OVERLAP_SOME => "some",
            _ => "unknown",
        })
    }

    /// Copies all elements of `source` into this array. Shape and type must be equal; the device may differ. mode,
    /// stream, wait: as in `fill`.
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
