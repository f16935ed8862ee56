//! The CUDA array interface, in both directions: `x.__cuda_array_interface__` for Numba and the like, and
//! `tenure.from_cuda_array_interface(obj)` (CA-1 to CA-13).
//!
//! Contract: only arrays in memory that devices can access have the attribute. The interface has no release, so the
//! first read opens a shared view, which ends when the handle is released or at `end_exports`. An import keeps the
//! object alive until nothing uses its memory any more.

use crate::api::{self, Failure, Id, cuda};
use crate::base::{errors, site};
use crate::exchange::array_interface::{Described, axes_of, interface, keep, typestr};
use crate::exchange::buffer::Proxy;
use crate::exchange::export_class::{Class, open_by};
use crate::handles::array::Array;
use crate::sys::*;
use crate::values::convert::{crossing, kind};
use crate::values::owner::keep_owner;
use pyo3::exceptions::{PyAttributeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

fn absent(why: &str) -> PyErr {
    PyAttributeError::new_err(format!("'__cuda_array_interface__' is not offered: {why}"))
}

/// The typestr of an array, if the interface has its element type and devices may be able to access its memory.
fn check(array: &Array) -> PyResult<String> {
    let device = api::query(array.id()?).map_err(errors::exporting)?.device;
    if device.r#type == TN_CPU {
        return Err(absent("the array is in memory of the host; tenure.cuda.to_device copies it"));
    }
    typestr(array.dtype()).ok_or_else(|| absent("it does not have this element type; use x.view(\"uint16\")"))
}

/// An open export: its guard and its description.
type Opened = (Id, tn_cuda_array_interface);

/// Opens an export of a class, a read-only one where a shared view is refused.
fn open(array: &Array, class: Class) -> PyResult<(Opened, bool)> {
    let id = array.id()?;
    open_by(class, true, |flags| api::export_cuda_array_interface(id, flags, None)).map_err(|failure| {
        if failure.0 == TN_ERR_DEVICE { absent(&api::last_error()) } else { errors::exporting(failure) }
    })
}

fn dict<'py>(
    py: Python<'py>,
    array: &Array,
    typestr: &str,
    is: &tn_cuda_array_interface,
    readonly: bool,
) -> PyResult<Bound<'py, PyDict>> {
    // SAFETY: the lists have ndim numbers while the guard is open.
    let axes = unsafe { axes_of(is.ndim, is.shape, is.strides) };
    let item_bytes = kind(array.dtype()).item_bytes as i64;
    let interface = interface(py, Described { typestr, data: is.data, readonly, axes, item_bytes })?;
    interface.set_item("stream", (is.has_stream != 0).then_some(is.stream))?;
    Ok(interface)
}

/// The interface of an array, which stays exported.
fn exported<'py>(py: Python<'py>, array: &Array, reads: bool) -> PyResult<Bound<'py, PyDict>> {
    let typestr = check(array)?;
    let _site = site::here(py);
    let ((guard, is), readonly) = open(array, Class::Default)?;
    let interface = dict(py, array, &typestr, &is, reads || readonly);
    keep(array, is.data, guard, interface.is_ok());
    interface
}

#[pymethods]
impl Array {
    #[getter(__cuda_array_interface__)]
    fn cuda_array_interface<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        exported(py, self, false)
    }
}

#[pymethods]
impl Proxy {
    #[getter(__cuda_array_interface__)]
    fn cuda_array_interface<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let array = self.array();
        if self.class() == Class::ReadOnly {
            return exported(py, array, true);
        }
        let typestr = check(array)?;
        let _site = site::here(py);
        // As in `__array_interface__`: a second read would conflict with the first one's export.
        self.end_interface_export();
        let ((guard, is), _) = open(array, Class::Exclusive)?;
        self.set_interface_export(guard);
        dict(py, array, &typestr, &is, false)
    }
}

/// An export that ends with this object. The consumer's work on the legacy stream may be unfinished then.
#[pyclass(frozen, module = "tenure", name = "_Lent")]
pub struct Lent(Id);

impl Lent {
    /// Takes over an open export.
    pub fn new(guard: Id) -> Lent {
        Lent(guard)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        cuda::end_export(self.0);
    }
}

/// Exports an array to a library that works on the legacy stream and has no release: the export, which ends with its
/// object, and the interface. reads: the library only reads. copies: of bytes that are not C-contiguous it is a copy in
/// C order.
#[pyfunction]
#[pyo3(signature = (array, reads, copies = false))]
pub fn _lend<'py>(
    py: Python<'py>,
    array: &Bound<'py, Array>,
    reads: bool,
    copies: bool,
) -> PyResult<(Lent, Bound<'py, PyDict>)> {
    let array = array.get();
    let typestr = check(array)?;
    let class = if reads { Class::ConsumerReads } else { Class::Default };
    let _site = site::here(py);
    let id = array.id()?;
    let open = |flags| api::export_cuda_array_interface(id, flags, Some(cuda::LEGACY));
    let opened = match copies {
        false => open_by(class, false, open),
        true => open(TN_BORROW | TN_EXPORT_C_CONTIGUOUS | class.flags()).map(|export| (export, false)),
    };
    let ((guard, is), readonly) = opened.map_err(errors::exporting)?;
    let lent = Lent::new(guard);
    let interface = dict(py, array, &typestr, &is, readonly)?;
    Ok((lent, interface))
}

/// The fields of an object's interface, read once.
struct Source {
    shape: Vec<i64>,
    strides: Option<Vec<i64>>,
    data: u64,
    readonly: bool,
    typestr: String,
    stream: Option<u64>,
    version: i32,
}

impl Source {
    fn of(object: &Bound<'_, PyAny>) -> PyResult<Source> {
        let py = object.py();
        let interface = object.getattr(pyo3::intern!(py, "__cuda_array_interface__")).map_err(|error| {
            match error.is_instance_of::<PyAttributeError>(py) {
                true => PyTypeError::new_err(format!("the object has no CUDA array interface: {}", error.value(py))),
                false => error,
            }
        })?;
        let interface =
            interface.cast_into::<PyDict>().map_err(|_| PyTypeError::new_err("__cuda_array_interface__ is no dict"))?;
        let entry = |name: &str| interface.get_item(name).map(|found| found.filter(|value| !value.is_none()));
        let required = |name: &str| {
            entry(name)?.ok_or_else(|| PyValueError::new_err(format!("__cuda_array_interface__ has no {name}")))
        };
        if entry("mask")?.is_some() {
            let text = "the object has a mask, which an array cannot represent; fill the masked elements in first";
            return Err(errors::with_text(py, TN_ERR_UNSUPPORTED, text, false));
        }
        if entry("descr")?.map_or(Ok(0), |fields| fields.len())? > 1 {
            let text = "the elements have several fields; pass an array of one of them";
            return Err(errors::with_text(py, TN_ERR_DTYPE, text, false));
        }
        let (data, readonly) = required("data")?.extract::<(Option<u64>, bool)>()?;
        Ok(Source {
            shape: required("shape")?.extract()?,
            strides: entry("strides")?.map(|strides| strides.extract()).transpose()?,
            data: data.unwrap_or(0),
            readonly,
            typestr: required("typestr")?.extract()?,
            stream: entry("stream")?.map(|stream| stream.extract()).transpose()?,
            version: required("version")?.extract()?,
        })
    }

    /// The struct of the C API; valid as long as `self`.
    fn raw(&self, py: Python<'_>) -> PyResult<tn_cuda_array_interface> {
        let (ndim, text) = (self.shape.len(), self.typestr.as_bytes());
        if self.strides.as_ref().is_some_and(|strides| strides.len() != ndim) {
            return Err(PyValueError::new_err(format!("shape has {ndim} entries, and strides another number of them")));
        }
        let mut typestr = [0; 8];
        if text.len() >= typestr.len() {
            let text = format!("typestr {:?} is none of the supported element types", self.typestr);
            return Err(errors::with_text(py, TN_ERR_DTYPE, &text, false));
        }
        typestr.iter_mut().zip(text).for_each(|(to, from)| *to = *from as _);
        Ok(tn_cuda_array_interface {
            size: size_of::<tn_cuda_array_interface>(),
            data: self.data,
            shape: self.shape.as_ptr(),
            strides: self.strides.as_ref().map_or(core::ptr::null(), |strides| strides.as_ptr()),
            ndim: i32::try_from(ndim).unwrap_or(i32::MAX),
            readonly: i32::from(self.readonly),
            c_contiguous: 0,
            version: self.version,
            typestr,
            stream: self.stream.unwrap_or(0),
            has_stream: i32::from(self.stream.is_some()),
            reserved: 0,
        })
    }
}

/// An array on the memory of an object with the CUDA array interface (`__cuda_array_interface__`): arrays of Numba,
/// CuPy, PyTorch, PyCUDA and others.
///
/// copy: None aliases where possible, False aliases or raises, True copies. sync: the thread's current stream waits for
/// the stream that the object names; False leaves that to the caller. The object is kept until the library's work on
/// its memory is done.
///
///     d = numba.cuda.to_device(numpy.arange(3.0))
///     x = tenure.from_cuda_array_interface(d)      # on 'cuda:0', the memory of d
#[pyfunction]
#[pyo3(signature = (object, *, copy=None, sync=true))]
pub fn from_cuda_array_interface<'py>(
    py: Python<'py>,
    object: &Bound<'py, PyAny>,
    copy: Option<bool>,
    sync: bool,
) -> PyResult<Bound<'py, Array>> {
    let source = Source::of(object)?;
    let raw = source.raw(py)?;
    let flags = crossing(copy) | if sync { 0 } else { TN_UNORDERED };
    let _site = site::here(py);
    let imported = keep_owner(object, |release, context| {
        // SAFETY: the lists are those of `source`; the object keeps the memory until the release drops it.
        unsafe { api::import_cuda_array_interface(&raw, flags, release, context) }
    });
    match imported {
        Ok(id) => Array::adopt(py, id),
        Err(Failure(TN_ERR_INVALID)) => Err(PyValueError::new_err(api::last_error())),
        Err(failure) => Err(failure.into()),
    }
}
