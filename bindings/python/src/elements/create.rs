//! New arrays: `empty`, `zeros`, `ones`, `full`, the `_like` functions, and `array`, which copies any object that NumPy
//! takes.
//!
//! Contract: each function makes an array with its own bytes, in the thread's current host pool or in `pool`. An
//! object's elements are copied once; `exchange::asarray` shares them instead.

use crate::api::{self, Content, Id};
use crate::base::site;
use crate::elements::borrow::read_view;
use crate::handles::array::{Array, RECORD_SITE_FROM_ELEMENTS, records_site};
use crate::handles::pool::{Pool, PoolChoice};
use crate::sys::*;
use crate::values::checked;
use crate::values::convert::{self, Element, dims_of, dtype_object, dtype_of, narrowed, order_of, text_of, with_dims};
use crate::values::foreign_buffer::ForeignBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::ffi::CString;

/// From this number of elements on, filling takes long enough to let other threads run.
const RELEASE_GIL_FROM_ELEMENTS: i64 = 1 << 12;

/// Order and name for the C API. None: both are the default. `name` must outlive the options.
fn options(order: tn_order, name: Option<&CString>) -> Option<tn_array_options> {
    (order != TN_ORDER_C || name.is_some()).then(|| tn_array_options {
        size: size_of::<tn_array_options>(),
        order,
        flags: 0,
        stream: core::ptr::null_mut(),
        name: name.map_or(core::ptr::null(), |n| n.as_ptr()),
    })
}

/// The initial elements of a new array.
enum Initial {
    Empty,
    Zeros,
    Full(Element),
}

#[inline]
fn new<'py>(
    py: Python<'py>,
    shape: &[i64],
    dtype: tn_dtype,
    start: Initial,
    order: Option<&str>,
    name: Option<&str>,
    pool: &PoolChoice,
) -> PyResult<Bound<'py, Array>> {
    let order = order_of(order)?;
    if order != TN_ORDER_C && order != TN_ORDER_F {
        return Err(PyValueError::new_err("order must be \"C\" or \"F\""));
    }
    let name = name.map(text_of).transpose()?;
    let pool_id = pool.id();
    let count = elements(shape);
    let _site = (name.is_some() || records_site(count)).then(|| site::here(py));
    let make = |content| {
        let options = options(order, name.as_ref());
        api::array_new(pool_id, dtype, shape, content, options.as_ref()).map_err(PyErr::from)
    };
    let id = match &start {
        Initial::Empty => make(Content::Empty)?,
        _ if count < RELEASE_GIL_FROM_ELEMENTS && !pool.slow => match &start {
            Initial::Full(value) => make(Content::Full(value))?,
            _ => make(Content::Zeros)?,
        },
        Initial::Full(value) => py.detach(|| make(Content::Full(value)))?,
        Initial::Zeros => py.detach(|| make(Content::Zeros))?,
    };
    let made = Array::wrap(py, id, dtype, shape.len() as i32)?;
    if name.is_none() && count < RECORD_SITE_FROM_ELEMENTS {
        made.get().set_plain();
    }
    Ok(made)
}

#[inline]
fn elements(shape: &[i64]) -> i64 {
    shape.iter().fold(1, |n, d| n.saturating_mul(*d))
}

#[inline]
fn type_of(dtype: Option<&Bound<'_, PyAny>>) -> PyResult<tn_dtype> {
    dtype.map_or(Ok(TN_F64), dtype_of)
}

/// A new array whose contents are undefined.
///
/// shape: an integer or a tuple. dtype: whatever `numpy.dtype` takes, or `tenure.bfloat16`. order: "C" or "F". name:
/// for messages and reports. pool: where the bytes come from; otherwise the thread's current pool (`with pool:`) of
/// device: "cpu", "cuda:0", "cuda_host" (page-locked), "cuda_managed:0".
///
/// >>> tenure.empty((2, 3)).strides
/// (24, 8)
#[pyfunction]
#[pyo3(signature = (shape, dtype=None, order=None, *, name=None, pool=None, device=None))]
pub fn empty<'py>(
    py: Python<'py>,
    shape: &Bound<'py, PyAny>,
    dtype: Option<&Bound<'py, PyAny>>,
    order: Option<&str>,
    name: Option<&str>,
    pool: Option<&Bound<'py, Pool>>,
    device: Option<&str>,
) -> PyResult<Bound<'py, Array>> {
    with_dims(shape, |shape| {
        let dtype = type_of(dtype)?;
        // The usual call, without further checks on the way.
        if order.is_none() && name.is_none() && pool.is_none() && device.is_none() && !records_site(elements(shape)) {
            let id = api::array_new(Id::NULL, dtype, shape, Content::Empty, None)?;
            let made = Array::wrap(py, id, dtype, shape.len() as i32)?;
            made.get().set_plain();
            return Ok(made);
        }
        new(py, shape, dtype, Initial::Empty, order, name, &PoolChoice::of(pool, device)?)
    })
}

/// A new array of zeros; the arguments are those of `empty`.
#[pyfunction]
#[pyo3(signature = (shape, dtype=None, order=None, *, name=None, pool=None, device=None))]
pub fn zeros<'py>(
    py: Python<'py>,
    shape: &Bound<'py, PyAny>,
    dtype: Option<&Bound<'py, PyAny>>,
    order: Option<&str>,
    name: Option<&str>,
    pool: Option<&Bound<'py, Pool>>,
    device: Option<&str>,
) -> PyResult<Bound<'py, Array>> {
    with_dims(shape, |shape| {
        new(py, shape, type_of(dtype)?, Initial::Zeros, order, name, &PoolChoice::of(pool, device)?)
    })
}

/// A new array of ones; the arguments are those of `empty`.
#[pyfunction]
#[pyo3(signature = (shape, dtype=None, order=None, *, name=None, pool=None, device=None))]
pub fn ones<'py>(
    py: Python<'py>,
    shape: &Bound<'py, PyAny>,
    dtype: Option<&Bound<'py, PyAny>>,
    order: Option<&str>,
    name: Option<&str>,
    pool: Option<&Bound<'py, Pool>>,
    device: Option<&str>,
) -> PyResult<Bound<'py, Array>> {
    let dtype = type_of(dtype)?;
    let one = convert::encode(&1i32.into_pyobject(py)?.into_any(), dtype)?;
    new(py, &dims_of(shape)?, dtype, Initial::Full(one), order, name, &PoolChoice::of(pool, device)?)
}

/// A new array with every element `value`. Without a dtype it has the type that NumPy gives the value.
///
/// >>> tenure.full(3, 7)
/// tenure.array([7, 7, 7])
#[pyfunction]
#[pyo3(signature = (shape, value, dtype=None, order=None, *, name=None, pool=None, device=None))]
#[allow(clippy::too_many_arguments)]
pub fn full<'py>(
    py: Python<'py>,
    shape: &Bound<'py, PyAny>,
    value: &Bound<'py, PyAny>,
    dtype: Option<&Bound<'py, PyAny>>,
    order: Option<&str>,
    name: Option<&str>,
    pool: Option<&Bound<'py, Pool>>,
    device: Option<&str>,
) -> PyResult<Bound<'py, Array>> {
    let dtype = match dtype {
        Some(dtype) => dtype_of(dtype)?,
        None => dtype_of(&checked::asarray(value, None)?.getattr("dtype")?)?,
    };
    let value = convert::encode_one(value, dtype)?;
    new(py, &dims_of(shape)?, dtype, Initial::Full(value), order, name, &PoolChoice::of(pool, device)?)
}

/// Whether an object's flags state that it is F-contiguous and not C-contiguous.
fn is_fortran(object: &Bound<'_, PyAny>) -> bool {
    let says = |flag: &str| object.getattr("flags").and_then(|flags| flags.getattr(flag)?.is_truthy()).unwrap_or(false);
    says("f_contiguous") && !says("c_contiguous")
}

/// A new array with the shape and type of another. `start`: the value of every element; None: undefined.
fn like<'py>(
    prototype: &Bound<'py, PyAny>,
    start: Option<i32>,
    dtype: Option<&Bound<'py, PyAny>>,
    order: Option<&str>,
    name: Option<&str>,
    pool: Option<&Bound<'py, Pool>>,
    device: Option<&str>,
) -> PyResult<Bound<'py, Array>> {
    let py = prototype.py();
    // NumPy's default.
    let order = order.or(Some("K"));
    let mut choice = PoolChoice::of(pool, device)?;
    let made = match (prototype.cast::<Array>(), dtype) {
        (Ok(array), None) => {
            let prototype = array.get();
            let (order, text) = (order_of(order)?, name.map(text_of).transpose()?);
            let options = options(order, text.as_ref());
            let _site = site::here(py);
            let id = api::array_like(choice.id(), prototype.id()?, options.as_ref())?;
            Array::wrap(py, id, prototype.dtype(), prototype.ndim())?
        }
        _ => {
            let shape = dims_of(&prototype.getattr("shape")?)?;
            let dtype = match dtype {
                Some(dtype) => dtype_of(dtype)?,
                None => dtype_of(&prototype.getattr("dtype")?)?,
            };
            let kept = matches!(order, Some("K" | "A"));
            let order = if kept && is_fortran(prototype) { Some("F") } else { order.filter(|_| !kept) };
            if let Ok(array) = prototype.cast::<Array>()
                && pool.is_none()
                && device.is_none()
            {
                choice = PoolChoice::current_of(array.get().info()?.device)?;
            }
            new(py, &shape, dtype, Initial::Empty, order, name, &choice)?
        }
    };
    if let Some(start) = start {
        let value = convert::encode(&start.into_pyobject(py)?.into_any(), made.get().dtype())?;
        let id = made.get().id()?;
        py.detach(|| api::fill(id, &value, TN_WRITE_ALIASED, Id::NULL).map_err(PyErr::from))?;
    }
    Ok(made)
}

/// A new array with the shape and type of another; its contents are undefined. order: "K", NumPy's default, keeps the
/// order of the axes.
#[pyfunction]
#[pyo3(signature = (prototype, dtype=None, order=None, *, name=None, pool=None, device=None))]
pub fn empty_like<'py>(
    prototype: &Bound<'py, PyAny>,
    dtype: Option<&Bound<'py, PyAny>>,
    order: Option<&str>,
    name: Option<&str>,
    pool: Option<&Bound<'py, Pool>>,
    device: Option<&str>,
) -> PyResult<Bound<'py, Array>> {
    like(prototype, None, dtype, order, name, pool, device)
}

/// Zeros with the shape and type of another array.
#[pyfunction]
#[pyo3(signature = (prototype, dtype=None, order=None, *, name=None, pool=None, device=None))]
pub fn zeros_like<'py>(
    prototype: &Bound<'py, PyAny>,
    dtype: Option<&Bound<'py, PyAny>>,
    order: Option<&str>,
    name: Option<&str>,
    pool: Option<&Bound<'py, Pool>>,
    device: Option<&str>,
) -> PyResult<Bound<'py, Array>> {
    like(prototype, Some(0), dtype, order, name, pool, device)
}

/// Ones with the shape and type of another array.
#[pyfunction]
#[pyo3(signature = (prototype, dtype=None, order=None, *, name=None, pool=None, device=None))]
pub fn ones_like<'py>(
    prototype: &Bound<'py, PyAny>,
    dtype: Option<&Bound<'py, PyAny>>,
    order: Option<&str>,
    name: Option<&str>,
    pool: Option<&Bound<'py, Pool>>,
    device: Option<&str>,
) -> PyResult<Bound<'py, Array>> {
    like(prototype, Some(1), dtype, order, name, pool, device)
}

/// A new array with the elements of any object that NumPy takes: nested lists, numbers, arrays. It is always a copy, in
/// C order.
///
/// >>> tenure.array([[1, 2], [3, 4]])
/// tenure.array([[1, 2],
///               [3, 4]])
#[pyfunction]
#[pyo3(signature = (object, dtype=None, *, name=None, pool=None, device=None))]
pub fn array<'py>(
    py: Python<'py>,
    object: &Bound<'py, PyAny>,
    dtype: Option<&Bound<'py, PyAny>>,
    name: Option<&str>,
    pool: Option<&Bound<'py, Pool>>,
    device: Option<&str>,
) -> PyResult<Bound<'py, Array>> {
    let wanted = dtype.map(dtype_of).transpose()?;
    // A Tenure array is read under a guard, which only conflicts with writers.
    let source = match object.cast::<Array>() {
        Ok(array) => read_view(array)?,
        Err(_) => object.clone(),
    };
    let same = object.cast::<Array>().ok().map(|array| array.get().dtype());
    let mut raw = wanted.or(same.filter(|dtype| *dtype == TN_BF16));
    let options = PyDict::new(py);
    if let Some(wanted) = wanted.filter(|wanted| *wanted != TN_BF16) {
        options.set_item("dtype", dtype_object(py, wanted)?)?;
    }
    let mut source = checked::asarray(&source, Some(&options))?;
    let dtype = source.getattr("dtype")?;
    if !dtype.getattr("isnative")?.is_truthy()? {
        source = source.call_method1("astype", (dtype.call_method1("newbyteorder", ("=",))?,))?;
    }
    if raw != Some(TN_BF16) {
        raw = Some(dtype_of(&source.getattr("dtype")?)?);
    }
    let raw = raw.unwrap_or(TN_BF16);
    if raw == TN_BF16 {
        source = narrowed(&source)?;
    }
    let shape = dims_of(&source.getattr("shape")?)?;
    let made = new(py, &shape, raw, Initial::Empty, None, name, &PoolChoice::of(pool, device)?)?;
    let memory = ForeignBuffer::read(&source)?;
    memory.copy_into(py, made.get().id()?, raw)?;
    if let Ok(array) = object.cast::<Array>() {
        api::set_form(made.get().id()?, array.get().info()?.form)?;
    }
    Ok(made)
}
