//! DLPack, both ways: `x.__dlpack__()` for `numpy.from_dlpack(x)` and the like, `tenure.from_dlpack(obj)` (DL-40 to
//! DL-43).
//!
//! Contract: the library makes and reads the structs; here are the capsules around them and the conversation between
//! the two sides. A capsule that dies unused calls its struct's deleter; one that was used is renamed and does
//! nothing. The deleter needs no interpreter.

use crate::api::{self, Id};
use crate::array::Array;
use crate::buffer::{Class, may_read};
use crate::device::{Shown, patiently};
use crate::errors;
use crate::exchange;
use crate::ffi_generated as c;
use crate::import::crossing;
use crate::site;
use crate::types::*;
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

/// DLPack's flag: the producer copied the bytes for this export.
const IS_COPIED: u64 = 1 << 1;

/// The start of a DLManagedTensorVersioned, by DLPack's layout.
#[repr(C)]
struct VersionedHead {
    major: u32,
    minor: u32,
    manager_ctx: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut c_void)>,
    flags: u64,
}

/// The end of a DLManagedTensor, behind the tensor of 48 bytes.
#[repr(C)]
struct Legacy {
    tensor: [u64; 6],
    manager_ctx: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut c_void)>,
}

/// Calls the struct's deleter if the capsule was never used.
///
/// # Safety
/// - Called by Python, for a capsule that `export` made.
unsafe extern "C" fn unused(capsule: *mut ffi::PyObject) {
    // SAFETY: a capsule; its name says which struct it holds and whether it still does. It is NULL or a text, and "used_..." is by far
    // the most frequent one.
    unsafe {
        let name = ffi::PyCapsule_GetName(capsule);
        if !name.is_null() && *name == LEGACY_USED.as_ptr().read() {
            return;
        }
        if ffi::PyCapsule_IsValid(capsule, VERSIONED.as_ptr()) != 0 {
            let tensor = ffi::PyCapsule_GetPointer(capsule, VERSIONED.as_ptr());
            if let Some(deleter) = (*tensor.cast::<VersionedHead>()).deleter {
                deleter(tensor);
            }
        } else if ffi::PyCapsule_IsValid(capsule, LEGACY.as_ptr()) != 0 {
            let tensor = ffi::PyCapsule_GetPointer(capsule, LEGACY.as_ptr());
            if let Some(deleter) = (*tensor.cast::<Legacy>()).deleter {
                deleter(tensor);
            }
        }
    }
}

/// What `__dlpack_device__` says: the label under which the array leaves.
pub fn device(array: &Array) -> PyResult<(i32, i32)> {
    let device = api::query(array.id()?).map_err(errors::exporting)?.device;
    Ok(match device.r#type {
        TN_CUDA_HOST | TN_CUDA_MANAGED => (TN_CPU as i32, 0),
        other => (other as i32, device.id),
    })
}

/// What of an export its consumer chose.
pub struct How {
    flags: u32,
    target: tn_device,
}

const ANYWHERE: tn_device = tn_device { r#type: 0, id: 0 };

/// An alias where the bytes are, in no order with anybody's work.
pub fn alias() -> How {
    How { flags: TN_BORROW | TN_REQUIRE_BORROW | TN_UNORDERED, target: ANYWHERE }
}

/// The struct of an array, by class: a shared view gives way to a read-only one where the format can say so.
pub fn tensor(py: Python<'_>, array: &Array, class: Class, how: &How, versioned: bool) -> PyResult<*mut c_void> {
    let id = array.id()?;
    let copies = how.flags & (TN_BORROW | TN_REQUIRE_BORROW) == 0;
    let _site = site::here(py);
    let target = how.target;
    let made = |class: Class| {
        patiently(py, how.flags | if copies { 0 } else { class.flags() }, |flags| {
            let options = tn_dlpack_options {
                size: size_of::<tn_dlpack_options>(),
                flags,
                mode: 0,
                label: 0,
                reserved: 0,
                target,
                consumer: null_mut(),
            };
            struct_of(id, &options, versioned).map(Shown)
        })
        .map(|made| made.0)
    };
    let mut tensor = made(class);
    if let Err(failure) = tensor
        && class == Class::Default
        && versioned
        && may_read(failure)
    {
        tensor = made(Class::ReadOnly);
    }
    tensor.map_err(|failure| refusal(py, failure, versioned))
}

/// A tuple of two integers, as a version and a device are.
pub struct Pair(i32, i32);

impl<'a, 'py> FromPyObject<'a, 'py> for Pair {
    type Error = PyErr;

    /// As `(i32, i32)`, in fewer calls where it is what it should be.
    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Pair> {
        let fast = |tuple: &Borrowed<'a, 'py, PyTuple>| {
            let int = |at: isize| {
                // SAFETY: attached, a tuple; NULL, or a reference that it keeps.
                let item = unsafe { ffi::PyTuple_GetItem(tuple.as_ptr(), at) };
                let mut overflow = 0;
                // SAFETY: attached, an int.
                let exact = !item.is_null() && unsafe { ffi::PyLong_CheckExact(item) } != 0;
                // SAFETY: the same.
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

/// What `__dlpack__` does.
pub fn export<'py>(
    py: Python<'py>,
    array: &Array,
    class: Class,
    stream: Option<&Bound<'py, PyAny>>,
    max_version: Option<Pair>,
    dl_device: Option<Pair>,
    copy: Option<bool>,
) -> PyResult<Bound<'py, PyAny>> {
    let unordered = match stream {
        None => false,
        Some(stream) if stream.extract::<i64>().is_ok_and(|s| s == -1) => true,
        Some(_) => return Err(PyBufferError::new_err("stream must be None or -1: the array is on the host")),
    };
    let versioned = max_version.is_some_and(|Pair(major, _)| major >= 1);
    if class == Class::ReadOnly && !versioned && copy != Some(true) {
        // Without a flag it would leave as a shared view, which is not what was asked for (DL-11).
        array.id()?;
        let text = format!("a read-only view was asked for{ASK_FOR_VERSION}");
        return Err(errors::buffer_error(py, TN_ERR_READONLY, &text));
    }
    let how = How {
        flags: crossing(copy) | if unordered { TN_UNORDERED } else { TN_WAIT },
        target: dl_device.map_or(ANYWHERE, |Pair(kind, id)| tn_device { r#type: kind as u32, id }),
    };
    let tensor = tensor(py, array, class, &how, versioned)?;
    capsule(py, tensor, versioned)
}

/// The same in the usual case: an alias, a shared view, in no particular place. None, with nothing changed and no exception, if it fails.
#[inline]
pub fn export_usual(py: Python<'_>, array: &Array, versioned: bool) -> Option<*mut ffi::PyObject> {
    if array.fate().is_some() {
        return None;
    }
    let options = tn_dlpack_options {
        size: size_of::<tn_dlpack_options>(),
        // Whoever has to wait for a device goes the long way.
        flags: TN_BORROW | Class::Default.flags(),
        mode: 0,
        label: 0,
        reserved: 0,
        target: ANYWHERE,
        consumer: null_mut(),
    };
    let id = array.id().ok()?;
    let tensor = {
        let _site = site::here(py);
        struct_of(id, &options, versioned).ok()?
    };
    capsule(py, tensor, versioned).ok().map(Bound::into_ptr)
}

/// A struct in its capsule, or deleted.
#[inline]
fn capsule(py: Python<'_>, tensor: *mut c_void, versioned: bool) -> PyResult<Bound<'_, PyAny>> {
    let name = if versioned { VERSIONED } else { LEGACY };
    // SAFETY: attached; a non-NULL pointer, a static name, a destructor for this kind of capsule.
    let capsule = unsafe { ffi::PyCapsule_New(tensor, name.as_ptr(), Some(unused)) };
    if capsule.is_null() {
        // SAFETY: the struct is ours as long as no capsule has it.
        unsafe { delete(tensor, versioned) };
        return Err(PyErr::fetch(py));
    }
    // SAFETY: a new reference.
    Ok(unsafe { Bound::from_owned_ptr(py, capsule) })
}

fn struct_of(id: Id, options: &tn_dlpack_options, versioned: bool) -> api::Result<*mut c_void> {
    let array = id.0 as *mut tn_array;
    let mut how = 0;
    if versioned {
        let mut out: *mut DLManagedTensorVersioned = null_mut();
        // SAFETY: a checked id, whole options, writable outputs.
        match unsafe { c::tn_array_export_dlpack_versioned(array, options, &mut out, &mut how) } {
            TN_OK => Ok(out.cast()),
            status => Err(api::Failure(status)),
        }
    } else {
        let mut out: *mut DLManagedTensor = null_mut();
        // SAFETY: a checked id, whole options, writable outputs.
        match unsafe { c::tn_array_export_dlpack(array, options, &mut out, &mut how) } {
            TN_OK => Ok(out.cast()),
            status => Err(api::Failure(status)),
        }
    }
}

/// Calls the deleter.
///
/// # Safety
/// - `tensor` is a struct of that kind that nobody else will delete.
unsafe fn delete(tensor: *mut c_void, versioned: bool) {
    // SAFETY: by this function's list.
    unsafe {
        let deleter = match versioned {
            true => (*tensor.cast::<VersionedHead>()).deleter,
            false => (*tensor.cast::<Legacy>()).deleter,
        };
        if let Some(deleter) = deleter {
            deleter(tensor);
        }
    }
}

const ASK_FOR_VERSION: &str =
    "; ask for version 1 (max_version=(1, 0)), which can say read-only, or for a copy (copy=True)";

/// The exception of a refused export; where another request would work, it says which.
fn refusal(py: Python<'_>, failure: api::Failure, versioned: bool) -> PyErr {
    let mut text = api::last_error();
    match failure.0 {
        TN_ERR_READONLY if !versioned => {
            text += ASK_FOR_VERSION;
        }
        TN_ERR_BORROWED | TN_ERR_EXPORTED => text += "; x.readonly asks for a view that only reads",
        _ => {}
    }
    errors::with_text(py, failure.0, &text, true)
}

#[pymethods]
impl Array {
    fn __dlpack_device__(&self) -> PyResult<(i32, i32)> {
        device(self)
    }
}

/// `__dlpack__` for a consumer of which it is known that it only reads, whichever struct it asks for.
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
    export(py, array.get(), Class::Reads, stream, max_version, dl_device, copy)
}

/// Asks the object for a capsule; who does not know the newer arguments is asked once more without them.
fn capsule_of<'py>(
    object: &Bound<'py, PyAny>,
    device: Option<(i32, i32)>,
    copy: Option<bool>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = object.py();
    object.call_method0(pyo3::intern!(py, "__dlpack_device__"))?;
    let options = PyDict::new(py);
    options.set_item(pyo3::intern!(py, "max_version"), (1, 1))?;
    if let Some(device) = device {
        options.set_item(pyo3::intern!(py, "dl_device"), device)?;
    }
    if let Some(copy) = copy {
        options.set_item(pyo3::intern!(py, "copy"), copy)?;
    }
    let name = pyo3::intern!(py, "__dlpack__");
    match object.call_method(name, (), Some(&options)) {
        // Exactly this class: what a producer derives from it (pyarrow does) is no complaint about an argument.
        Err(error) if error.get_type(py).is(py.get_type::<PyTypeError>()) => object.call_method0(name),
        answer => answer,
    }
}

/// An array on the memory of an object with DLPack (`__dlpack__`), or of a DLPack capsule.
///
/// copy: None aliases where it can, False aliases or raises, True copies. device: a pair of DLPack's numbers, (1, 0)
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
                && let Some(tensor) = exchange::struct_of(object)?
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
            "this DLPack capsule was used already; ask its producer for another one"
        } else {
            "this capsule holds no DLPack tensor"
        };
        return Err(PyValueError::new_err(text));
    }
    let (fresh, used) = if versioned { (VERSIONED, VERSIONED_USED) } else { (LEGACY, LEGACY_USED) };
    // SAFETY: attached, a capsule of that name, whose struct is ours once it has the other; the names are static.
    let tensor = unsafe {
        let tensor = ffi::PyCapsule_GetPointer(raw, fresh.as_ptr());
        ffi::PyCapsule_SetName(raw, used.as_ptr());
        Struct::own(tensor, versioned)
    };
    tensor.import_or(py, copy, |tensor| {
        // SAFETY: attached, the capsule that was renamed above, which has its struct again; the name is static.
        unsafe { ffi::PyCapsule_SetName(raw, fresh.as_ptr()) };
        core::mem::forget(tensor);
    })
}

/// A struct that is ours: its deleter is called unless it is imported.
pub struct Struct {
    tensor: *mut c_void,
    versioned: bool,
}

impl Struct {
    /// # Safety
    /// - `tensor` is a struct of that kind that nobody else will delete.
    pub unsafe fn own(tensor: *mut c_void, versioned: bool) -> Struct {
        Struct { tensor, versioned }
    }

    /// An array on its bytes, or a copy of them (XC-1).
    pub fn import(self, py: Python<'_>, copy: Option<bool>) -> PyResult<Bound<'_, Array>> {
        self.import_or(py, copy, drop)
    }

    /// The same; `refused` gets the struct back if it was not consumed.
    fn import_or(self, py: Python<'_>, copy: Option<bool>, refused: impl FnOnce(Struct)) -> PyResult<Bound<'_, Array>> {
        let Struct { tensor, versioned } = self;
        let head = tensor.cast::<VersionedHead>();
        // SAFETY: a versioned struct starts so, whatever its major version is.
        let known = !versioned || unsafe { (*head).major } == 1;
        // A copy that the producer made for us is ours: copying it again would be one too many.
        // SAFETY: in major version 1 the flags stand here.
        let copied = versioned && known && unsafe { (*head).flags } & IS_COPIED != 0;
        let flags = if copied && copy == Some(true) { TN_BORROW } else { crossing(copy) };
        let _site = site::here(py);
        let imported = import(tensor, versioned, flags);
        if known && let Err(failure) = imported {
            let error = errors::exporting(failure);
            refused(self);
            return Err(error);
        }
        // The library has it, or gave it back to its producer: a struct of another major version is consumed by the
        // import that fails (DL-23).
        core::mem::forget(self);
        Array::adopt(py, imported.map_err(errors::exporting)?)
    }
}

impl Drop for Struct {
    fn drop(&mut self) {
        // SAFETY: by the list of `own`.
        unsafe { delete(self.tensor, self.versioned) }
    }
}

fn import(tensor: *mut c_void, versioned: bool, flags: u32) -> api::Result<Id> {
    let (mut out, mut how) = (null_mut::<tn_array>(), 0);
    // SAFETY: a struct of that kind by the capsule's name, which is ours now; writable outputs.
    let status = unsafe {
        match versioned {
            true => c::tn_array_import_dlpack_versioned(tensor.cast(), flags, &mut out, &mut how),
            false => c::tn_array_import_dlpack(tensor.cast(), flags, &mut out, &mut how),
        }
    };
    if status == TN_OK { Ok(Id(out as u64)) } else { Err(api::Failure(status)) }
}
