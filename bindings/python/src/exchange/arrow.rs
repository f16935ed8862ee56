//! Arrow, in both directions: `x.__arrow_c_array__()` for `pyarrow.array(x)` and the like, and `tenure.from_arrow(obj)`
//! (CA-35).
//!
//! Contract: the library fills and reads the structs; here are their memory and the capsules around them. A capsule
//! that was not used releases its struct. One that was used finds it released. No release needs the interpreter.

use crate::api::{self, Id};
use crate::base::{errors, site};
use crate::exchange::buffer::Proxy;
use crate::exchange::export_class::Class;
use crate::handles::array::Array;
use crate::sys::*;
use crate::values::convert::crossing;
use core::ffi::{CStr, c_void};
use core::ptr::null_mut;
use pyo3::exceptions::{PyBufferError, PyNotImplementedError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyTuple};

/// A kind of struct: the name of its capsule, and the index of the word with its release function.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static CStr,
    release: usize,
}

/// Words of the largest struct, ArrowDeviceArray. The others use as much memory.
const WORDS: usize = 16;
type StructWords = [u64; WORDS];

static SCHEMA: Kind = Kind { name: c"arrow_schema", release: 7 };
static ARRAY: Kind = Kind { name: c"arrow_array", release: 8 };
static DEVICE_ARRAY: Kind = Kind { name: c"arrow_device_array", release: 8 };

impl Kind {
    /// Releases the struct, unless it was released or moved out before.
    ///
    /// # Safety
    /// - `at` is a struct of this kind.
    unsafe fn release(self, at: *mut StructWords) {
        type Release = unsafe extern "C" fn(*mut c_void);
        // SAFETY: Arrow's layout has the function there; it is NULL in a released struct.
        unsafe {
            let release = at.cast::<Option<Release>>().add(self.release).read();
            if let Some(release) = release {
                release(at.cast());
            }
        }
    }

    /// Makes a capsule that owns the struct.
    fn capsule(self, py: Python<'_>, mut made: Box<StructWords>) -> PyResult<Bound<'_, PyAny>> {
        let at: *mut StructWords = &mut *made;
        // SAFETY: attached; a non-NULL pointer, a static name, a destructor for this kind of capsule.
        let capsule = unsafe { ffi::PyCapsule_New(at.cast(), self.name.as_ptr(), Some(destroy_capsule)) };
        if capsule.is_null() {
            // SAFETY: no capsule owns the struct, so it is ours.
            unsafe { self.release(at) };
            return Err(PyErr::fetch(py));
        }
        let _the_capsules_now = Box::into_raw(made);
        // SAFETY: a new reference.
        Ok(unsafe { Bound::from_owned_ptr(py, capsule) })
    }

    /// The struct in a capsule. None: the capsule has another name.
    fn of(self, capsule: &Bound<'_, PyAny>) -> Option<*mut c_void> {
        let capsule = capsule.cast::<PyCapsule>().ok()?.as_ptr();
        // SAFETY: attached, a capsule, a terminated name.
        unsafe {
            (ffi::PyCapsule_IsValid(capsule, self.name.as_ptr()) != 0)
                .then(|| ffi::PyCapsule_GetPointer(capsule, self.name.as_ptr()))
        }
    }
}

/// # Safety
/// - Called by Python, for a capsule that `Kind::capsule` made.
unsafe extern "C" fn destroy_capsule(capsule: *mut ffi::PyObject) {
    for kind in [SCHEMA, ARRAY, DEVICE_ARRAY] {
        // SAFETY: a capsule. Its name states which struct it holds, in a box that `Kind::capsule` made.
        unsafe {
            if ffi::PyCapsule_IsValid(capsule, kind.name.as_ptr()) != 0 {
                let at = ffi::PyCapsule_GetPointer(capsule, kind.name.as_ptr()).cast::<StructWords>();
                kind.release(at);
                drop(Box::from_raw(at));
                return;
            }
        }
    }
}

/// Exports an array as two capsules.
fn export<'py>(py: Python<'py>, array: &Array, kind: Kind) -> PyResult<Bound<'py, PyTuple>> {
    let (mut schema, mut out): (Box<StructWords>, Box<StructWords>) = (Box::new([0; WORDS]), Box::new([0; WORDS]));
    array.wait_for_device_writes(py)?;
    let id = array.id()?.0 as *mut tn_array;
    let (flags, to) = (TN_BORROW | TN_WAIT, schema.as_mut_ptr().cast());
    let _site = site::here(py);
    // SAFETY: a checked id, room for the structs.
    let status = unsafe {
        match kind.name == DEVICE_ARRAY.name {
            true => tn_array_export_arrow_device(id, flags, to, out.as_mut_ptr().cast(), null_mut()),
            false => tn_array_export_arrow(id, flags, to, out.as_mut_ptr().cast(), null_mut()),
        }
    };
    if status != TN_OK {
        return Err(errors::exporting(api::Failure(status)));
    }
    let schema = SCHEMA.capsule(py, schema);
    // Also if the first capsule failed, the second struct gets one, which releases it.
    let out = kind.capsule(py, out);
    PyTuple::new(py, [schema?, out?])
}

#[pymethods]
impl Array {
    /// Arrow's export, for `pyarrow.array(x)` and the like: numbers as a primitive array, further axes as lists of a
    /// fixed size. Arrow data are immutable, so x cannot be written while they exist. Elements that are not
    /// C-contiguous are copied.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        // Arrow lets a producer ignore this request: the elements keep their type.
        let _ = requested_schema;
        export(py, self, ARRAY)
    }

    /// Arrow's export with the device of the bytes. On a GPU, and in managed memory, the struct has the event that the
    /// consumer waits for. Afterwards writes of x wait for all work of the device, because a consumer names no stream.
    #[pyo3(signature = (requested_schema=None, **kwargs))]
    fn __arrow_c_device_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let _ = requested_schema;
        for (name, value) in kwargs.into_iter().flatten() {
            // Arrow requires this for arguments that a producer does not know.
            if !value.is_none() {
                return Err(PyNotImplementedError::new_err(format!("argument {name} is not known; leave it out")));
            }
        }
        export(py, self, DEVICE_ARRAY)
    }
}

/// Arrow's export of `x.readonly` equals that of x. `x.exclusive` has none: Arrow data are immutable.
#[pymethods]
impl Proxy {
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let _ = requested_schema;
        if self.class() == Class::Exclusive {
            return Err(PyBufferError::new_err(
                "Arrow data are immutable, so an exclusive view has no export; export x or x.readonly",
            ));
        }
        export(py, self.array(), ARRAY)
    }
}

/// The two capsules of an object.
fn capsules<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
    let py = object.py();
    if let Ok(pair) = object.cast::<PyTuple>() {
        return Ok(pair.clone());
    }
    // In this order, because libraries of GPUs copy their arrays to the host for the second one.
    for name in [pyo3::intern!(py, "__arrow_c_device_array__"), pyo3::intern!(py, "__arrow_c_array__")] {
        if object.hasattr(name)? {
            // Until the nulls are counted, the struct states that there may be some. Not every library counts them on a
            // GPU.
            let _ = object.getattr(pyo3::intern!(py, "null_count"));
            return Ok(object.call_method0(name)?.cast_into::<PyTuple>()?);
        }
    }
    let kind = object.get_type().name()?;
    Err(PyTypeError::new_err(match object.hasattr(pyo3::intern!(py, "__arrow_c_stream__"))? {
        true => format!("{kind} is a stream of arrays; pass one of them, or combine them (combine_chunks)"),
        false => format!("{kind} has no __arrow_c_array__; tenure.asarray tries other protocols"),
    }))
}

/// An array on the memory of an Arrow array (`__arrow_c_device_array__`, `__arrow_c_array__`): numbers without nulls,
/// or lists of a fixed size of them, which become further axes. It is read-only, because Arrow data are immutable. From
/// a GPU the thread's current stream waits for the producer's work.
///
/// copy: None aliases where possible, False aliases or raises, True copies.
///
/// >>> x = tenure.from_arrow(tenure.zeros((2, 3)))
/// >>> x.shape
/// (2, 3)
#[pyfunction]
#[pyo3(signature = (object, *, copy=None))]
pub fn from_arrow<'py>(py: Python<'py>, object: &Bound<'py, PyAny>, copy: Option<bool>) -> PyResult<Bound<'py, Array>> {
    let pair = capsules(object)?;
    let wrong = || PyTypeError::new_err("the export is not a pair of capsules named arrow_schema and arrow_array");
    let (schema, array) = pair.extract::<(Bound<PyAny>, Bound<PyAny>)>().map_err(|_| wrong())?;
    let from = SCHEMA.of(&schema).ok_or_else(wrong)?;
    let (source, on_device) = match (ARRAY.of(&array), DEVICE_ARRAY.of(&array)) {
        (Some(source), _) => (source, false),
        (None, Some(source)) => (source, true),
        (None, None) => return Err(wrong()),
    };
    let _site = site::here(py);
    let mut out: *mut tn_array = null_mut();
    let flags = crossing(copy) | TN_WAIT;
    // SAFETY: structs of those kinds, by the capsules' names. The library marks a struct that it takes as released,
    // which the capsule sees.
    let status = unsafe {
        match on_device {
            true => tn_array_import_arrow_device(from.cast(), source.cast(), flags, &mut out, null_mut()),
            false => tn_array_import_arrow(from.cast(), source.cast(), flags, &mut out, null_mut()),
        }
    };
    match status {
        TN_OK => Array::adopt(py, Id(out as u64)),
        TN_ERR_STALE => {
            Err(PyValueError::new_err("these Arrow capsules were already used; request new ones from their producer"))
        }
        status => Err(api::Failure(status).into()),
    }
}
