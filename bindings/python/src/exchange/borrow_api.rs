//! Guards on NumPy arrays for Python code and for C: the class behind `tenure.numpy.read` and `write`, and the capsule
//! `tenure._borrow_api`, whose struct `tenure_numpy.h` declares (NB-9).
//!
//! Contract: C code gets a number for each guard, never an address, so that a wrong one is an error. The functions need
//! the interpreter attached.

use crate::base::site::{self, Site};
use crate::exchange::ndarray_guard::NdarrayGuard;
use crate::exchange::rust_numpy::Registered;
use core::ffi::{CStr, c_char, c_int};
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::sync::{Mutex, PoisonError};

/// A guard here, and the borrow in the flags of an extension that came first.
struct Held {
    // Ends first.
    _registered: Option<Registered>,
    guard: NdarrayGuard,
}

impl Held {
    fn open(
        array: &Bound<'_, PyAny>,
        writes: bool,
        name: Option<&CStr>,
        site: impl FnOnce() -> Site,
    ) -> PyResult<Held> {
        let guard = NdarrayGuard::open(array, writes, name, site)?;
        Ok(Held { _registered: Registered::acquire(array, writes)?, guard })
    }

    fn end(self, failed: bool) {
        self.guard.end(failed);
    }
}

/// An open guard on a NumPy array. It ends by `end`, or with the object.
#[pyclass(frozen, module = "tenure", name = "NdarrayGuard")]
pub struct OpenGuard(Mutex<Option<Held>>);

#[pymethods]
impl OpenGuard {
    /// Ends the guard. `failed`: what was written is incomplete.
    fn end(&self, failed: bool) {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(held) = held {
            held.end(failed);
        }
    }
}

/// Opens a guard on a NumPy array.
#[pyfunction]
pub fn _guard_ndarray<'py>(
    py: Python<'py>,
    array: &Bound<'py, PyAny>,
    writes: bool,
    name: Option<CString>,
) -> PyResult<Bound<'py, OpenGuard>> {
    let held = Held::open(array, writes, name.as_deref(), || site::here(py))?;
    Bound::new(py, OpenGuard(Mutex::new(Some(held))))
}

/// The struct of `tenure_numpy.h`.
#[repr(C)]
struct BorrowApi {
    size: usize,
    acquire: unsafe extern "C" fn(*mut ffi::PyObject, c_int, *const c_char, *const c_char, c_int) -> u64,
    release: unsafe extern "C" fn(u64, c_int) -> c_int,
}

static API: BorrowApi = BorrowApi { size: size_of::<BorrowApi>(), acquire, release };
const CAPSULE: &CStr = c"tenure._borrow_api";

struct Numbered {
    last: u64,
    open: BTreeMap<u64, Held>,
}

static NUMBERED: Mutex<Numbered> = Mutex::new(Numbered { last: 0, open: BTreeMap::new() });

/// A capsule of C functions that open and end guards on NumPy arrays.
pub fn capsule(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: the struct and its name are static.
    unsafe {
        let pointer = (&raw const API).cast_mut().cast();
        Bound::from_owned_ptr_or_err(py, ffi::PyCapsule_New(pointer, CAPSULE.as_ptr(), None))
    }
}

/// Runs the work of a C function. On failure the exception is set for the caller, which gets `failed`.
fn entered<T>(failed: T, work: impl FnOnce(Python<'_>) -> PyResult<T> + std::panic::UnwindSafe) -> T {
    // Nothing may unwind into C.
    let done = std::panic::catch_unwind(|| {
        Python::attach(|py| {
            work(py).map_err(|error| {
                error.restore(py);
            })
        })
    });
    done.unwrap_or(Err(())).unwrap_or(failed)
}

/// Opens a guard; 0: an exception is set.
///
/// # Safety
/// - `array` is a live object; the texts are NULL or terminated.
unsafe extern "C" fn acquire(
    array: *mut ffi::PyObject,
    writes: c_int,
    name: *const c_char,
    file: *const c_char,
    line: c_int,
) -> u64 {
    entered(0, |py| {
        // SAFETY: by this function's list.
        let text = |text: *const c_char| (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) });
        // SAFETY: as above.
        let array = unsafe { Bound::from_borrowed_ptr_or_opt(py, array) };
        let array = array.ok_or_else(|| PyValueError::new_err("the array is NULL"))?;
        let site = || site::at_place(py, text(file).unwrap_or(c""), line);
        let held = Held::open(&array, writes != 0, text(name), site)?;
        let mut numbered = NUMBERED.lock().unwrap_or_else(PoisonError::into_inner);
        numbered.last += 1;
        let number = numbered.last;
        numbered.open.insert(number, held);
        Ok(number)
    })
}

/// Ends a guard; -1: an exception is set.
unsafe extern "C" fn release(number: u64, failed: c_int) -> c_int {
    entered(-1, |_| {
        let held = NUMBERED.lock().unwrap_or_else(PoisonError::into_inner).open.remove(&number);
        let held = held.ok_or_else(|| {
            PyValueError::new_err(format!("no guard {number} is open; end each guard once, with its own number"))
        })?;
        held.end(failed != 0);
        Ok(0)
    })
}
