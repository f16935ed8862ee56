//! `Array.__dlpack__`, which consumers call by the million: a method that CPython calls with its arguments as they lie.
//!
//! Contract: in the usual case (an alias, everything but the version left out or None) no argument is looked at by its name. Which keywords
//! a caller's tuple of names has, and that its version is 1, is remembered by the identity of these tuples, which are constants of the
//! calling code. Whatever is unusual or fails changes nothing and goes through `dlpack::export`, which knows every case and complaint.

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

/// Where a caller's arguments stand.
#[derive(Clone, Copy)]
struct Shape {
    /// The names; the table owns a reference, so that no other tuple gets this address.
    names: *mut ffi::PyObject,
    /// Places of `max_version`, and of the others, which must be None.
    version: usize,
    others: [usize; 3],
    count: usize,
}

/// What the callers seen last pass.
struct Memo {
    shape: Shape,
    /// A tuple that means major version 1 or above; owned.
    version: *mut ffi::PyObject,
}

/// What is built for the stable ABI of 3.11 runs only where one thread at a time is attached, which is the lock: read and replaced with no
/// call into the interpreter in between.
struct Place(UnsafeCell<Memo>);

// SAFETY: only code that is attached touches it, and never across a call into the interpreter.
unsafe impl Sync for Place {}

const NO_SHAPE: Shape = Shape { names: null_mut(), version: 0, others: [0; 3], count: 0 };

static MEMO: Place = Place(UnsafeCell::new(Memo { shape: NO_SHAPE, version: null_mut() }));

/// A definition that CPython keeps; it never changes.
struct Definition(UnsafeCell<ffi::PyMethodDef>);

// SAFETY: nobody writes it.
unsafe impl Sync for Definition {}

static DEFINITION: Definition = Definition(UnsafeCell::new(ffi::PyMethodDef {
    ml_name: NAME.as_ptr(),
    ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: enter },
    ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
    ml_doc: DOC.as_ptr(),
}));

const DOC: &CStr = c"__dlpack__($self, /, *, stream=None, max_version=None, dl_device=None, copy=None)\n--\n\n\
DLPack's export, for `numpy.from_dlpack(x)`, `torch.from_dlpack(x)` and the like.";

/// Gives the class the method.
pub fn install(py: Python<'_>) -> PyResult<()> {
    // SAFETY: attached, a type of ours, a definition that lasts for ever; a new reference or NULL.
    let method = unsafe {
        let method = ffi::PyDescr_NewMethod(Array::type_object_raw(py), DEFINITION.0.get());
        Bound::from_owned_ptr_or_err(py, method)?
    };
    py.get_type::<Array>().setattr(pyo3::intern!(py, "__dlpack__"), method)
}

unsafe extern "C" fn enter(
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    positional: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: by the calling convention: attached, an object of our type, as many arguments as said.
    let short = catch_unwind(AssertUnwindSafe(|| unsafe { short(this, arguments, positional, names) }));
    if let Ok(Some(capsule)) = short {
        return capsule;
    }
    let mut out = null_mut();
    guarded(|py| {
        // SAFETY: as above.
        out = unsafe { whole(py, this, arguments, positional, names)? }.into_ptr();
        Ok(())
    });
    out
}

/// # Safety
/// - As for a function of this calling convention.
unsafe fn short(
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
        // SAFETY: attached; see `Place`.
        let (shape, version) = unsafe { ((*MEMO.0.get()).shape, (*MEMO.0.get()).version) };
        if shape.names != names || version.is_null() {
            return None;
        }
        // SAFETY: attached; a value has a place for each name.
        unsafe {
            let none = ffi::Py_None();
            if *arguments.add(shape.version) != version
                || shape.others[..shape.count].iter().any(|place| *arguments.add(*place) != none)
            {
                return None;
            }
        }
        versioned = true;
    }
    // SAFETY: CPython checked that it is of our type.
    let array = unsafe { Borrowed::from_ptr(py, this).cast_unchecked::<Array>() };
    dlpack::export_usual(py, array.get(), versioned)
}

/// An argument that is not None.
fn given<'py, T>(name: &str, value: &Bound<'py, PyAny>) -> PyResult<Option<T>>
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

/// Every case. What it was called with is remembered if the short way can do it next time.
///
/// # Safety
/// - As for a function of this calling convention.
#[inline(never)]
unsafe fn whole<'py>(
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
                "max_version" => version = given("max_version", &value(at))?,
                "dl_device" => device = given("dl_device", &value(at))?,
                "copy" => copy = given("copy", &value(at))?,
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
        remember(names, &value);
    }
    Ok(made)
}

/// Remembers the names of a call that was right, and its version, if the others are not asked for more than None.
fn remember<'py>(names: &Bound<'py, PyAny>, value: &dyn Fn(usize) -> Bound<'py, PyAny>) {
    let Ok(names) = names.cast_exact::<PyTuple>() else { return };
    let mut shape = Shape { names: names.as_ptr(), ..NO_SHAPE };
    let mut version = None;
    for (place, name) in names.iter_borrowed().enumerate() {
        if name.eq("max_version").unwrap_or(false) {
            shape.version = place;
            version = Some(value(place));
        } else if shape.count < shape.others.len() {
            shape.others[shape.count] = place;
            shape.count += 1;
        }
    }
    // Exactly a tuple of exactly two integers: nothing that could mean something else at the next call.
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
    shape.names = names.clone().into_any().into_ptr();
    let memo = MEMO.0.get();
    // SAFETY: attached; see `Place`.
    let (old, before) = unsafe {
        let old = core::mem::replace(&mut (*memo).shape, shape);
        (old.names, core::mem::replace(&mut (*memo).version, version.into_ptr()))
    };
    for reference in [old, before] {
        // SAFETY: NULL, or the reference that the table owned.
        drop(unsafe { Bound::<PyAny>::from_owned_ptr_or_opt(py, reference) });
    }
}
