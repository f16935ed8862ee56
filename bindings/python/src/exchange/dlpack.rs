//! DLPack's capsules: `x.__dlpack__()` for `numpy.from_dlpack(x)` and the like, and `tenure.from_dlpack(obj)` (DL-40 to
//! DL-43).
//!
//! Contract: `dlpack_tensor` has the structs; here are the capsules around them and the negotiation between the two
//! sides. A capsule that was not used calls its struct's deleter. One that was used is renamed and does nothing.

use crate::api::{self, Id};
use crate::base::{errors, site};
use crate::exchange::buffer::Proxy;
use crate::exchange::dlpack_table;
use crate::exchange::dlpack_tensor::{
    ANYWHERE, ASK_FOR_VERSION, ExportRequest, OwnedTensor, delete, label_of, tensor, tensor_of,
};
use crate::exchange::export_class::Class;
use crate::exchange::ndarray::from_ndarray;
use crate::handles::array::Array;
use crate::sys::*;
use crate::values::convert::crossing;
use crate::values::foreign_ndarray::ForeignNdarray;
use core::ffi::{CStr, c_void};
use core::ptr::null_mut;
use pyo3::exceptions::{PyBufferError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyTuple};

const LEGACY: &CStr = c"dltensor";
const LEGACY_USED: &CStr = c"used_dltensor";
const VERSIONED: &CStr = c"dltensor_versioned";
const VERSIONED_USED: &CStr = c"used_dltensor_versioned";

/// Calls the struct's deleter if the capsule was never used.
///
/// # Safety
/// - Called by Python, for a capsule that `export` made.
unsafe extern "C" fn destroy_capsule(capsule: *mut ffi::PyObject) {
    // SAFETY: a capsule. Its name, NULL or a text, states which struct it holds, and whether it still does. "used_..."
    // is by far the most frequent name.
    unsafe {
        let name = ffi::PyCapsule_GetName(capsule);
        if !name.is_null() && *name == LEGACY_USED.as_ptr().read() {
            return;
        }
        for (name, versioned) in [(VERSIONED, true), (LEGACY, false)] {
            if ffi::PyCapsule_IsValid(capsule, name.as_ptr()) != 0 {
                delete(ffi::PyCapsule_GetPointer(capsule, name.as_ptr()), versioned);
                return;
            }
        }
    }
}

/// The result of `__dlpack_device__`: the device under which the array is exported.
pub fn device(array: &Array) -> PyResult<(i32, i32)> {
    let device = api::query(array.id()?).map_err(errors::exporting)?.device;
    Ok(match label_of(device) {
        TN_CPU => (TN_CPU as i32, 0),
        0 => (device.r#type as i32, device.id),
        label => (label as i32, device.id),
    })
}

/// A consumer's stream, imported for one call.
struct Consumer(Id);

impl Drop for Consumer {
    fn drop(&mut self) {
        if self.0.0 > LAST_CONSTANT {
            // An open handle can always be released.
            let _ = api::cuda::stream_release(self.0);
        }
    }
}

/// The stream constants of C: legacy, per-thread, current.
const LAST_CONSTANT: u64 = 3;

/// The stream of a consumer on a GPU, and whether it wants no order at all (the table of DL-17).
fn consumer_of(stream: &Bound<'_, PyAny>, device: tn_device) -> PyResult<(Consumer, bool)> {
    let wrong =
        || PyBufferError::new_err("stream must be None, -1, 1, 2 or the address of a CUstream, for an array on a GPU");
    match stream.extract::<i64>().map_err(|_| wrong())? {
        -1 => Ok((Consumer(Id::NULL), true)),
        0 => Err(PyValueError::new_err(
            "stream 0 is ambiguous on a GPU; 1 is the legacy default stream, 2 the per-thread one, -1 asks for no order",
        )),
        constant @ (1 | 2) => Ok((Consumer(Id(constant as u64)), false)),
        native if native > 0 => {
            let device = tn_device { r#type: TN_CUDA, id: device.id };
            let imported = api::cuda::stream_import(device, native as u64).map_err(errors::exporting)?;
            Ok((Consumer(imported), false))
        }
        _ => Err(wrong()),
    }
}

/// A tuple of two integers, such as a version or a device.
pub struct Pair(i32, i32);

impl<'a, 'py> FromPyObject<'a, 'py> for Pair {
    type Error = PyErr;

    /// As `(i32, i32)`, with fewer calls for an exact tuple of exact integers.
    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Pair> {
        let fast = |tuple: &Borrowed<'a, 'py, PyTuple>| {
            let int = |at: isize| {
                // SAFETY: attached, a tuple. The result is NULL or a reference that the tuple keeps.
                let item = unsafe { ffi::PyTuple_GetItem(tuple.as_ptr(), at) };
                let mut overflow = 0;
                // SAFETY: attached, an int.
                let exact = !item.is_null() && unsafe { ffi::PyLong_CheckExact(item) } != 0;
                // SAFETY: as above.
                let value = exact.then(|| unsafe { ffi::PyLong_AsLongLongAndOverflow(item, &mut overflow) })?;
                i32::try_from(value).ok().filter(|_| overflow == 0)
            };
            if tuple.len() == 2 { int(0).zip(int(1)) } else { None }
        };
        if let Ok(tuple) = object.cast_exact::<PyTuple>()
            && let Some((first, second)) = fast(&tuple)
        {
            return Ok(Pair(first, second));
        }
        object.extract::<(i32, i32)>().map(|(first, second)| Pair(first, second))
    }
}

/// Exports an array as a capsule, with every argument of `__dlpack__`.
pub fn export<'py>(
    py: Python<'py>,
    array: &Array,
    class: Class,
    stream: Option<&Bound<'py, PyAny>>,
    max_version: Option<Pair>,
    dl_device: Option<Pair>,
    copy: Option<bool>,
) -> PyResult<Bound<'py, PyAny>> {
    let own = api::query(array.id()?).map_err(errors::exporting)?.device;
    let target = dl_device.map_or(ANYWHERE, |Pair(kind, id)| tn_device { r#type: kind as u32, id });
    let label = label_of(own);
    let labelled = if label == 0 { own.r#type } else { label };
    let (consumer, unordered) = match (target.r#type, stream) {
        (_, None) => (Consumer(Id::NULL), false),
        (TN_CUDA, Some(stream)) => consumer_of(stream, target)?,
        (0, Some(stream)) if labelled != TN_CPU => consumer_of(stream, own)?,
        (_, Some(stream)) if stream.extract::<i64>().is_ok_and(|s| s == -1) => (Consumer(Id::NULL), true),
        (_, Some(_)) => {
            return Err(PyBufferError::new_err("stream must be None or -1, because the array is on the host"));
        }
    };
    let versioned = max_version.is_some_and(|Pair(major, _)| major >= 1);
    if class == Class::ReadOnly && !versioned && copy != Some(true) {
        // Without a flag the consumer would get a shared view, which was not requested (DL-11).
        array.id()?;
        let text = format!("a read-only view was requested{ASK_FOR_VERSION}");
        return Err(errors::buffer_error(py, TN_ERR_READONLY, &text));
    }
    let how = ExportRequest {
        flags: crossing(copy) | if unordered { TN_UNORDERED } else { TN_WAIT },
        label,
        target,
        consumer: consumer.0,
    };
    let tensor = tensor(py, array, class, &how, versioned)?;
    capsule(py, tensor, versioned)
}

/// Exports an array in the usual case: an alias, a shared view, on its own device. None if that fails; nothing has
/// changed then, and no exception is set.
#[inline]
pub fn export_fast(py: Python<'_>, array: &Array, versioned: bool) -> Option<*mut ffi::PyObject> {
    if array.fate().is_some() {
        return None;
    }
    let options = tn_dlpack_options {
        size: size_of::<tn_dlpack_options>(),
        // Without TN_WAIT: an export that must wait for a device takes the slow path.
        flags: TN_BORROW | Class::Default.flags(),
        mode: 0,
        // Memory of GPUs takes the slow path too.
        label: TN_CPU,
        reserved: 0,
        target: ANYWHERE,
        consumer: null_mut(),
    };
    let id = array.id().ok()?;
    let tensor = {
        let _site = site::here(py);
        tensor_of(id, &options, versioned).ok()?
    };
    capsule(py, tensor, versioned).ok().map(Bound::into_ptr)
}

/// Puts a struct into a capsule. Where that fails the struct is deleted.
#[inline]
fn capsule(py: Python<'_>, tensor: *mut c_void, versioned: bool) -> PyResult<Bound<'_, PyAny>> {
    let name = if versioned { VERSIONED } else { LEGACY };
    // SAFETY: attached; a non-NULL pointer, a static name, a destructor for this kind of capsule.
    let capsule = unsafe { ffi::PyCapsule_New(tensor, name.as_ptr(), Some(destroy_capsule)) };
    if capsule.is_null() {
        // SAFETY: no capsule owns the struct, so it is ours.
        unsafe { delete(tensor, versioned) };
        return Err(PyErr::fetch(py));
    }
    // SAFETY: a new reference.
    Ok(unsafe { Bound::from_owned_ptr(py, capsule) })
}

#[pymethods]
impl Array {
    fn __dlpack_device__(&self) -> PyResult<(i32, i32)> {
        device(self)
    }
}

/// `__dlpack__` for a consumer that is known to read only, whichever struct it requests.
#[pyfunction]
#[pyo3(signature = (array, *, stream=None, max_version=None, dl_device=None, copy=None))]
pub fn _reads<'py>(
    py: Python<'py>,
    array: &Bound<'py, Array>,
    stream: Option<&Bound<'py, PyAny>>,
    max_version: Option<Pair>,
    dl_device: Option<Pair>,
    copy: Option<bool>,
) -> PyResult<Bound<'py, PyAny>> {
    export(py, array.get(), Class::ConsumerReads, stream, max_version, dl_device, copy)
}

/// The CUstream that a producer on a GPU has to make wait: the thread's current stream. None: not a GPU of this
/// process.
fn own_stream((kind, id): (i32, i32)) -> PyResult<Option<u64>> {
    if !matches!(kind as u32, TN_CUDA | TN_CUDA_MANAGED) || api::cuda::device_count(TN_CUDA).unwrap_or(0) == 0 {
        return Ok(None);
    }
    let current = Consumer(api::cuda::stream_current(tn_device { r#type: TN_CUDA, id })?);
    Ok(Some(api::cuda::stream_native(current.0)?))
}

/// Calls the object's `__dlpack__`; once more without the newer arguments where it does not know them.
fn capsule_of<'py>(
    object: &Bound<'py, PyAny>,
    device: Option<(i32, i32)>,
    copy: Option<bool>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = object.py();
    let Pair(kind, id) = object.call_method0(pyo3::intern!(py, "__dlpack_device__"))?.extract()?;
    let options = PyDict::new(py);
    let goes_to = device.unwrap_or((kind, id));
    if let Some(stream) = own_stream(goes_to)? {
        options.set_item(pyo3::intern!(py, "stream"), stream)?;
    }
    options.set_item(pyo3::intern!(py, "max_version"), (1, 1))?;
    if let Some(device) = device {
        options.set_item(pyo3::intern!(py, "dl_device"), device)?;
    }
    if let Some(copy) = copy {
        options.set_item(pyo3::intern!(py, "copy"), copy)?;
    }
    let name = pyo3::intern!(py, "__dlpack__");
    match object.call_method(name, (), Some(&options)) {
        // Exactly this class: a subclass, as pyarrow raises one, is no complaint about an argument.
        Err(error) if error.get_type(py).is(py.get_type::<PyTypeError>()) => match own_stream(goes_to)? {
            None => object.call_method0(name),
            Some(stream) => {
                let options = PyDict::new(py);
                options.set_item(pyo3::intern!(py, "stream"), stream)?;
                object.call_method(name, (), Some(&options))
            }
        },
        answer => answer,
    }
}

/// An array on the memory of an object with DLPack (`__dlpack__`), or of a DLPack capsule.
///
/// copy: None aliases where possible, False aliases or raises, True copies. device: a pair of DLPack's numbers; (1, 0)
/// is the host.
///
/// >>> n = numpy.arange(3.0)
/// >>> x = tenure.from_dlpack(n)
/// >>> x[1] = 7.0
/// >>> n[1]
/// np.float64(7.0)
#[pyfunction]
#[pyo3(signature = (object, *, device=None, copy=None))]
pub fn from_dlpack<'py>(
    py: Python<'py>,
    object: &Bound<'py, PyAny>,
    device: Option<(i32, i32)>,
    copy: Option<bool>,
) -> PyResult<Bound<'py, Array>> {
    let capsule = match object.cast::<PyCapsule>() {
        Ok(_) => object.clone(),
        Err(_) => {
            if device.is_none()
                && copy != Some(true)
                && let Some(array) = ForeignNdarray::of(object).filter(ForeignNdarray::counts_in_elements)
            {
                return from_ndarray(py, &array, false, copy, errors::exporting);
            }
            if device.is_none()
                && let Some(tensor) = dlpack_table::struct_of(object)?
            {
                return tensor.import(py, copy);
            }
            capsule_of(object, device, copy)?
        }
    };
    let capsule = capsule.cast::<PyCapsule>().map_err(|_| PyTypeError::new_err("__dlpack__ gave no capsule"))?;
    let raw = capsule.as_ptr();
    let is = |name: &CStr| {
        // SAFETY: attached, a capsule, a terminated name.
        unsafe { ffi::PyCapsule_IsValid(raw, name.as_ptr()) != 0 }
    };
    let versioned = is(VERSIONED);
    if !versioned && !is(LEGACY) {
        let text = if is(LEGACY_USED) || is(VERSIONED_USED) {
            "this DLPack capsule was already used; request another one from its producer"
        } else {
            "this capsule holds no DLPack tensor; pass one named dltensor or dltensor_versioned"
        };
        return Err(PyValueError::new_err(text));
    }
    let (fresh, used) = if versioned { (VERSIONED, VERSIONED_USED) } else { (LEGACY, LEGACY_USED) };
    // SAFETY: attached, a capsule of that name. The struct is ours once the capsule is renamed; the names are static.
    let tensor = unsafe {
        let tensor = ffi::PyCapsule_GetPointer(raw, fresh.as_ptr());
        ffi::PyCapsule_SetName(raw, used.as_ptr());
        OwnedTensor::own(tensor, versioned)
    };
    tensor.import_or(py, copy, |tensor| {
        // SAFETY: attached, the capsule that was renamed above and owns its struct again; the name is static.
        unsafe { ffi::PyCapsule_SetName(raw, fresh.as_ptr()) };
        core::mem::forget(tensor);
    })
}

#[pymethods]
impl Proxy {
    #[pyo3(signature = (*, stream=None, max_version=None, dl_device=None, copy=None))]
    fn __dlpack__<'py>(
        &self,
        py: Python<'py>,
        stream: Option<&Bound<'py, PyAny>>,
        max_version: Option<Pair>,
        dl_device: Option<Pair>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        export(py, self.array(), self.class(), stream, max_version, dl_device, copy)
    }

    fn __dlpack_device__(&self) -> PyResult<(i32, i32)> {
        device(self.array())
    }
}
