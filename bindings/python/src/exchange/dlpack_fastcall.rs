//! `Array.__dlpack__` by CPython's fast calling convention, because consumers call it in hot loops.
//!
//! Contract: the fast path compares no argument names. It serves calls for an alias, where all arguments but the
//! version are left out or None. A caller's tuple of names, and its version, are constants of the calling code, so they
//! are recognised by identity. Any other or failing call changes nothing on the fast path and goes to `dlpack::export`,
//! which handles every case.

use crate::base::interpreter::guarded;
use crate::exchange::dlpack;
use crate::exchange::export_class::Class;
use crate::handles::array::Array;
use core::cell::UnsafeCell;
use core::ffi::CStr;
use core::ptr::null_mut;
use pyo3::PyTypeInfo;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyString, PyTuple};
use std::panic::{AssertUnwindSafe, catch_unwind};

const NAME: &CStr = c"__dlpack__";

/// The positions of a caller's arguments.
#[derive(Clone, Copy)]
struct ArgumentPositions {
    /// The tuple of names. The cache owns a reference, so that no other tuple gets this address.
    names: *mut ffi::PyObject,
    /// Positions of `max_version`, and of the others, which must be None.
    version: usize,
    others: [usize; 3],
    count: usize,
}

/// The arguments of the last caller.
struct LastCall {
    positions: ArgumentPositions,
    /// A tuple that means major version 1 or above; owned.
    version: *mut ffi::PyObject,
}

/// The cache of one caller. An extension for the stable ABI of 3.11 loads only into interpreters where one thread at a
/// time is attached, and that serves as the lock: the cache is read and replaced without a call into the interpreter in
/// between.
struct CallCache(UnsafeCell<LastCall>);

// SAFETY: only code that is attached accesses it, and never across a call into the interpreter.
unsafe impl Sync for CallCache {}

const NO_POSITIONS: ArgumentPositions = ArgumentPositions { names: null_mut(), version: 0, others: [0; 3], count: 0 };

static CACHE: CallCache = CallCache(UnsafeCell::new(LastCall { positions: NO_POSITIONS, version: null_mut() }));

/// A definition that CPython keeps; it never changes.
struct Definition(UnsafeCell<ffi::PyMethodDef>);

// SAFETY: it is never written.
unsafe impl Sync for Definition {}

static DEFINITION: Definition = Definition(UnsafeCell::new(ffi::PyMethodDef {
    ml_name: NAME.as_ptr(),
    ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: dlpack_method },
    ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
    ml_doc: DOC.as_ptr(),
}));

const DOC: &CStr = c"__dlpack__($self, /, *, stream=None, max_version=None, dl_device=None, copy=None)\n--\n\n\
DLPack's export, for `numpy.from_dlpack(x)`, `torch.from_dlpack(x)` and the like.";

/// Adds the method to the class.
pub fn install(py: Python<'_>) -> PyResult<()> {
    // SAFETY: attached, a type of this crate, a static definition; a new reference or NULL.
    let method = unsafe {
        let method = ffi::PyDescr_NewMethod(Array::type_object_raw(py), DEFINITION.0.get());
        Bound::from_owned_ptr_or_err(py, method)?
    };
    py.get_type::<Array>().setattr(pyo3::intern!(py, "__dlpack__"), method)
}

unsafe extern "C" fn dlpack_method(
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    positional: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: by the calling convention: attached, an object of this class, the stated number of arguments.
    let fast = catch_unwind(AssertUnwindSafe(|| unsafe { call_fast(this, arguments, positional, names) }));
    if let Ok(Some(capsule)) = fast {
        return capsule;
    }
    let mut out = null_mut();
    guarded(|py| {
        // SAFETY: as above.
        out = unsafe { call_slow(py, this, arguments, positional, names)? }.into_ptr();
        Ok(())
    });
    out
}

/// # Safety
/// - As for a function of this calling convention.
unsafe fn call_fast(
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    positional: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> Option<*mut ffi::PyObject> {
    // SAFETY: the caller is attached.
    let py = unsafe { Python::assume_attached() };
    if positional != 0 {
        return None;
    }
    let mut versioned = false;
    if !names.is_null() {
        // SAFETY: attached; see `CallCache`.
        let (positions, version) = unsafe { ((*CACHE.0.get()).positions, (*CACHE.0.get()).version) };
        if positions.names != names || version.is_null() {
            return None;
        }
        // SAFETY: attached; a value has a place for each name.
        unsafe {
            let none = ffi::Py_None();
            if *arguments.add(positions.version) != version
                || positions.others[..positions.count].iter().any(|place| *arguments.add(*place) != none)
            {
                return None;
            }
        }
        versioned = true;
    }
    // SAFETY: CPython checked that it is of our type.
    let array = unsafe { Borrowed::from_ptr(py, this).cast_unchecked::<Array>() };
    dlpack::export_fast(py, array.get(), versioned)
}

/// An argument; None is none.
fn not_none<'py, T>(name: &str, value: &Bound<'py, PyAny>) -> PyResult<Option<T>>
where
    T: for<'a> FromPyObject<'a, 'py, Error = PyErr>,
{
    if value.is_none() {
        return Ok(None);
    }
    let py = value.py();
    value.extract::<T>().map(Some).map_err(|error| match error.is_instance_of::<PyTypeError>(py) {
        true => PyTypeError::new_err(format!("argument '{name}': {}", error.value(py))),
        false => error,
    })
}

/// Handles every case. A call that the fast path could serve is cached.
///
/// # Safety
/// - As for a function of this calling convention.
#[inline(never)]
unsafe fn call_slow<'py>(
    py: Python<'py>,
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    positional: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> PyResult<Bound<'py, PyAny>> {
    if positional != 0 {
        let text = format!("Array.__dlpack__() takes no positional arguments, but {positional} were given");
        return Err(PyTypeError::new_err(text));
    }
    // SAFETY: NULL or a tuple of texts.
    let names = unsafe { Bound::from_borrowed_ptr_or_opt(py, names) };
    // SAFETY: a value for each name.
    let value = |at: usize| -> Bound<'py, PyAny> { unsafe { Bound::from_borrowed_ptr(py, *arguments.add(at)) } };
    let (mut stream, mut version, mut device, mut copy) = (None, None, None, None);
    if let Some(names) = &names {
        for (at, name) in names.cast::<PyTuple>()?.iter_borrowed().enumerate() {
            match name.cast::<PyString>()?.to_str()? {
                "stream" => stream = Some(value(at)).filter(|stream| !stream.is_none()),
                "max_version" => version = not_none("max_version", &value(at))?,
                "dl_device" => device = not_none("dl_device", &value(at))?,
                "copy" => copy = not_none("copy", &value(at))?,
                other => {
                    let text = format!("Array.__dlpack__() got an unexpected keyword argument '{other}'");
                    return Err(PyTypeError::new_err(text));
                }
            }
        }
    }
    // SAFETY: CPython checked that it is of our type.
    let array = unsafe { Borrowed::from_ptr(py, this).cast_unchecked::<Array>() };
    let made = dlpack::export(py, array.get(), Class::Default, stream.as_ref(), version, device, copy)?;
    if let Some(names) = &names {
        cache(names, &value);
    }
    Ok(made)
}

/// Caches the names and version of a successful call, if its other arguments are None.
fn cache<'py>(names: &Bound<'py, PyAny>, value: &dyn Fn(usize) -> Bound<'py, PyAny>) {
    let Ok(names) = names.cast_exact::<PyTuple>() else { return };
    let mut positions = ArgumentPositions { names: names.as_ptr(), ..NO_POSITIONS };
    let mut version = None;
    for (place, name) in names.iter_borrowed().enumerate() {
        if name.eq("max_version").unwrap_or(false) {
            positions.version = place;
            version = Some(value(place));
        } else if positions.count < positions.others.len() {
            positions.others[positions.count] = place;
            positions.count += 1;
        }
    }
    // Exactly a tuple of exactly two integers: no object that could mean something else at the next call.
    let Some(version) = version.filter(|version| {
        version
            .cast_exact::<PyTuple>()
            .is_ok_and(|pair| pair.len() == 2 && pair.iter_borrowed().all(|item| item.is_exact_instance_of::<PyInt>()))
    }) else {
        return;
    };
    if !version.get_item(0).and_then(|major| major.extract::<u32>()).is_ok_and(|major| major >= 1) {
        return;
    }
    let py = names.py();
    positions.names = names.clone().into_any().into_ptr();
    let last = CACHE.0.get();
    // SAFETY: attached; see `CallCache`.
    let (old, before) = unsafe {
        let old = core::mem::replace(&mut (*last).positions, positions);
        (old.names, core::mem::replace(&mut (*last).version, version.into_ptr()))
    };
    for reference in [old, before] {
        // SAFETY: NULL, or the reference that the cache owned.
        drop(unsafe { Bound::<PyAny>::from_owned_ptr_or_opt(py, reference) });
    }
}
