//! New arrays: empty, zeros, ones, full, the `_like` ones, from any object that NumPy takes; and files.
//!
//! Contract: each gives an array of its own in the current host pool of the thread, or in `pool`. What comes from an
//! object is copied, once; `asarray` (in `import`) is what aliases.

use crate::api::{self, Content, Id};
use crate::array::Array;
use crate::borrow::read_view;
use crate::convert::{self, Element, dims_of, dtype_object, dtype_of, order_of, path_of, tables, text_of, with_dims};
use crate::device::after_work;
use crate::import::Memory;
use crate::pool::{Place, Pool};
use crate::site;
use crate::types::*;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::ffi::CString;

/// From here on filling takes long enough that other threads may run meanwhile, elements.
const LONG: i64 = 1 << 12;
/// From here on a new array records the line that made it, elements: what a report of what is still held is read for.
const LOOKED_FOR: i64 = 1 << 9;

/// Order and name as the C API takes them; None where both are the default. `name` must outlive the options.
fn options(order: tn_order, name: Option<&CString>) -> Option<tn_array_options> {
    (order != TN_ORDER_C || name.is_some()).then(|| tn_array_options {
        size: size_of::<tn_array_options>(),
        order,
        flags: 0,
        stream: core::ptr::null_mut(),
        name: name.map_or(core::ptr::null(), |n| n.as_ptr()),
    })
}

/// How the elements of a new array begin.
enum Start {
    Empty,
    Zeros,
    Full(Element),
}

#[inline]
fn new<'py>(
    py: Python<'py>,
    shape: &[i64],
    dtype: tn_dtype,
    start: Start,
    order: Option<&str>,
    name: Option<&str>,
    place: &Place,
) -> PyResult<Bound<'py, Array>> {
    let order = order_of(order)?;
    if order != TN_ORDER_C && order != TN_ORDER_F {
        return Err(PyValueError::new_err("order must be \"C\" or \"F\""));
    }
    let name = name.map(text_of).transpose()?;
    let pool = place.id();
    let count = elements(shape);
    // Finding the line costs as much as making an array: small ones without a name, which nobody looks for, have none.
    let _site = (name.is_some() || count >= LOOKED_FOR).then(|| site::here(py));
    let make = |content| {
        let options = options(order, name.as_ref());
        api::array_new(pool, dtype, shape, content, options.as_ref()).map_err(PyErr::from)
    };
    let id = match &start {
        Start::Empty => make(Content::Empty)?,
        _ if count < LONG && !place.slow => match &start {
            Start::Full(value) => make(Content::Full(value))?,
            _ => make(Content::Zeros)?,
        },
        Start::Full(value) => py.detach(|| make(Content::Full(value)))?,
        Start::Zeros => py.detach(|| make(Content::Zeros))?,
    };
    Array::wrap(py, id, dtype, shape.len() as i32)
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
/// shape: an integer or a tuple. dtype: what `numpy.dtype` takes, or `tenure.bfloat16`. order: "C" or "F". name:
/// stands in messages and reports. pool: where the bytes come from, else the thread's current pool (`with pool:`) of
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
        // What nearly every caller asks for, with nothing to look at on the way.
        if order.is_none() && name.is_none() && pool.is_none() && device.is_none() && elements(shape) < LOOKED_FOR {
            let id = api::array_new(Id::NULL, dtype, shape, Content::Empty, None)?;
            return Array::wrap(py, id, dtype, shape.len() as i32);
        }
        new(py, shape, dtype, Start::Empty, order, name, &Place::of(pool, device)?)
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
    with_dims(shape, |shape| new(py, shape, type_of(dtype)?, Start::Zeros, order, name, &Place::of(pool, device)?))
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
    new(py, &dims_of(shape)?, dtype, Start::Full(one), order, name, &Place::of(pool, device)?)
}

/// A new array with every element `value`; without a dtype the one that NumPy gives the value.
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
        None => dtype_of(&tables(py)?.asarray.bind(py).call1((value,))?.getattr("dtype")?)?,
    };
    let value = convert::encode_one(value, dtype)?;
    new(py, &dims_of(shape)?, dtype, Start::Full(value), order, name, &Place::of(pool, device)?)
}

/// Whether an object lies in F order and not in C order, as far as it says.
fn is_fortran(object: &Bound<'_, PyAny>) -> bool {
    let says = |flag: &str| object.getattr("flags").and_then(|flags| flags.getattr(flag)?.is_truthy()).unwrap_or(false);
    says("f_contiguous") && !says("c_contiguous")
}

/// A new array like another one; `start` None: undefined.
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
    let mut place = Place::of(pool, device)?;
    let made = match (prototype.cast::<Array>(), dtype) {
        (Ok(array), None) => {
            let prototype = array.get();
            let (order, text) = (order_of(order)?, name.map(text_of).transpose()?);
            let options = options(order, text.as_ref());
            let _site = site::here(py);
            let id = api::array_like(place.id(), prototype.id()?, options.as_ref())?;
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
                place = Place::beside(array.get().info()?.device)?;
            }
            new(py, &shape, dtype, Start::Empty, order, name, &place)?
        }
    };
    if let Some(start) = start {
        let value = convert::encode(&start.into_pyobject(py)?.into_any(), made.get().dtype())?;
        let id = made.get().id()?;
        py.detach(|| api::fill(id, &value, TN_WRITE_ALIASED, Id::NULL).map_err(PyErr::from))?;
    }
    Ok(made)
}

/// A new array with the shape and type of another; its contents are undefined. order: "K", as with
/// NumPy the default, keeps the order of its axes.
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

/// A new array with the elements of any object that NumPy takes: nested lists, numbers, arrays. Always a copy, in C
/// order.
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
    // One of ours is read under a guard, which looks at nobody but writers.
    let source = match object.cast::<Array>() {
        Ok(array) => read_view(array)?,
        Err(_) => object.clone(),
    };
    let options = PyDict::new(py);
    if let Some(wanted) = wanted {
        options.set_item("dtype", dtype_object(py, wanted)?)?;
    }
    let mut source = tables(py)?.asarray.bind(py).call((source,), Some(&options))?;
    let dtype = source.getattr("dtype")?;
    if !dtype.getattr("isnative")?.is_truthy()? {
        source = source.call_method1("astype", (dtype.call_method1("newbyteorder", ("=",))?,))?;
    }
    let raw = dtype_of(&source.getattr("dtype")?)?;
    let shape = dims_of(&source.getattr("shape")?)?;
    let made = new(py, &shape, raw, Start::Empty, None, name, &Place::of(pool, device)?)?;
    let memory = Memory::read(&source)?;
    memory.copy_into(py, made.get().id()?)?;
    Ok(made)
}

/// Opens a `.npy` file. mode: "r" maps it read-only; "c" maps it so that writes stay in this process; "r+" so that
/// writes reach the file; None reads it into the pool.
///
/// A file that others cut short while it is mapped ends the process at the next touch (SIGBUS), as with every mapping.
#[pyfunction]
#[pyo3(
    signature = (path, mode=Some("r"), *, pool=None, max_header_bytes=0, name=None),
    text_signature = "(path, mode='r', *, pool=None, max_header_bytes=0, name=None)"
)]
pub fn open_npy<'py>(
    py: Python<'py>,
    path: &Bound<'py, PyAny>,
    mode: Option<&str>,
    pool: Option<&Bound<'py, Pool>>,
    max_header_bytes: u64,
    name: Option<&str>,
) -> PyResult<Bound<'py, Array>> {
    let mode = match mode {
        Some("r") => TN_NPY_READ,
        Some("c") => TN_NPY_COW,
        Some("r+") => TN_NPY_WRITE,
        None => TN_NPY_COPY,
        Some(other) => {
            return Err(PyValueError::new_err(format!("mode must be \"r\", \"c\", \"r+\" or None, not {other:?}")));
        }
    };
    let (path, pool) = (path_of(path)?, Pool::id_of(pool)?);
    let _site = site::here(py);
    let id = py.detach(|| {
        let options = tn_npy_options {
            size: size_of::<tn_npy_options>(),
            mode,
            fd: -1,
            pool: pool.0 as *mut tn_pool,
            max_header_bytes,
        };
        api::open_npy(&path, &options).map_err(PyErr::from)
    })?;
    let made = Array::adopt(py, id)?;
    if let Some(name) = name {
        api::set_name(id, Some(&text_of(name)?))?;
    }
    Ok(made)
}

/// What `save_npy` and `Array.save_npy` do.
pub fn save(array: &Bound<'_, Array>, path: &Bound<'_, PyAny>, sync: bool, exclusive: bool) -> PyResult<()> {
    let py = array.py();
    let (id, path): (Id, _) = (array.get().id()?, path_of(path)?);
    let flags = if sync { TN_IO_SYNC } else { 0 } | if exclusive { TN_IO_EXCLUSIVE } else { 0 };
    let _site = site::here(py);
    py.detach(|| after_work(id, || api::save_npy(id, &path, flags)).map_err(PyErr::from))
}

/// Writes an array as a `.npy` file, beside the target and then renamed. sync: returns when the disk has it.
/// exclusive: an existing file is an error.
#[pyfunction]
#[pyo3(signature = (path, array, *, sync=false, exclusive=false))]
pub fn save_npy(path: &Bound<'_, PyAny>, array: &Bound<'_, Array>, sync: bool, exclusive: bool) -> PyResult<()> {
    save(array, path, sync, exclusive)
}
