//! The borrow flags that extensions built with rust-numpy share: a struct of C functions in the capsule
//! `numpy._core.multiarray._RUST_NUMPY_BORROW_CHECKING_API` (rust-numpy, `src/borrow/shared.rs`, version 1).
//!
//! Contract: whoever comes first puts the struct there, and all extensions call that one. [`publish`] puts ours there
//! if there is none: then each borrow of such an extension is a guard here, with the Python line that called the
//! extension (NB-6). If an extension was first, guards on NumPy arrays are registered with it as well (NB-8). All
//! functions are called with the interpreter attached. A struct once found or put there is never freed.

use crate::base::site;
use crate::exchange::ndarray_guard::NdarrayGuard;
use crate::sys::*;
use core::cell::RefCell;
use core::ffi::{CStr, c_int, c_void};
use core::ptr::null_mut;
use pyo3::exceptions::PyImportError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

const CAPSULE: &CStr = c"_RUST_NUMPY_BORROW_CHECKING_API";

/// What an acquisition returns.
const ACQUIRED: c_int = 0;
const ALREADY_BORROWED: c_int = -1;
const NOT_WRITEABLE: c_int = -2;

/// The struct in the capsule.
#[repr(C)]
pub struct Shared {
    version: u64,
    flags: *mut c_void,
    acquire: unsafe extern "C" fn(*mut c_void, *mut ffi::PyObject) -> c_int,
    acquire_mut: unsafe extern "C" fn(*mut c_void, *mut ffi::PyObject) -> c_int,
    release: unsafe extern "C" fn(*mut c_void, *mut ffi::PyObject),
    release_mut: unsafe extern "C" fn(*mut c_void, *mut ffi::PyObject),
}

// SAFETY: plain data; its functions are called attached.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

static OURS: Shared = Shared { version: 1, flags: null_mut(), acquire, acquire_mut, release, release_mut };

/// The guards of extensions, by array and whether they write. An extension names the array to release one.
static OPEN: Mutex<BTreeMap<(usize, bool), Vec<NdarrayGuard>>> = Mutex::new(BTreeMap::new());

thread_local! {
    /// Why this thread's last acquisition was refused: rust-numpy's own exception has no room for it.
    static REFUSAL: RefCell<Option<String>> = const { RefCell::new(None) };
}

fn open() -> MutexGuard<'static, BTreeMap<(usize, bool), Vec<NdarrayGuard>>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The struct that extensions use. It is put there if there is none.
fn shared(py: Python<'_>) -> PyResult<&'static Shared> {
    static FOUND: PyOnceLock<&'static Shared> = PyOnceLock::new();
    FOUND
        .get_or_try_init(py, || {
            let module = py.import("numpy._core.multiarray")?;
            let name = CAPSULE.to_str().expect("ASCII");
            let Ok(found) = module.getattr(name) else {
                // SAFETY: the struct and its name are static.
                let capsule = unsafe {
                    let pointer = (&raw const OURS).cast_mut().cast();
                    Bound::from_owned_ptr_or_err(py, ffi::PyCapsule_New(pointer, CAPSULE.as_ptr(), None))?
                };
                module.setattr(name, capsule)?;
                return Ok(&OURS);
            };
            // SAFETY: any object may be asked; an error is fetched.
            let pointer = unsafe { ffi::PyCapsule_GetPointer(found.as_ptr(), CAPSULE.as_ptr()) }.cast::<Shared>();
            if pointer.is_null() {
                return Err(PyErr::fetch(py));
            }
            // SAFETY: every version of the struct begins with its version.
            let version = unsafe { (*pointer).version };
            if version < 1 {
                return Err(PyImportError::new_err(format!(
                    "an extension has borrow flags of version {version}; 1 or newer is needed, so use a newer rust-numpy"
                )));
            }
            // The struct must outlive its capsule.
            core::mem::forget(found);
            // SAFETY: by that version; later ones only add fields. The reference above keeps it.
            Ok(unsafe { &*pointer })
        })
        .copied()
}

fn is_ours(shared: &Shared) -> bool {
    core::ptr::eq(shared, &OURS)
}

/// Lets extensions that are built with rust-numpy check their borrows against Tenure's guards. Returns "tenure"; or
/// "rust-numpy" if such an extension has borrowed an array before: then its own flags stay in use, and only the guards
/// of `tenure.numpy` are registered there.
#[pyfunction]
pub fn _publish_borrows(py: Python<'_>) -> PyResult<&'static str> {
    Ok(if is_ours(shared(py)?) { "tenure" } else { "rust-numpy" })
}

/// Why the last borrow of an extension on this thread was refused; None: none was.
#[pyfunction]
pub fn _last_refusal() -> Option<String> {
    REFUSAL.with_borrow(Clone::clone)
}

fn enter(array: *mut ffi::PyObject, writes: bool) -> c_int {
    // Nothing may unwind into C.
    let entered = std::panic::catch_unwind(|| {
        Python::attach(|py| {
            // SAFETY: attached; the caller passes a live array.
            let array = unsafe { Bound::from_borrowed_ptr(py, array) };
            match NdarrayGuard::open(&array, writes, None, || site::here(py)) {
                Ok(guard) => {
                    open().entry((array.as_ptr() as usize, writes)).or_default().push(guard);
                    ACQUIRED
                }
                Err(error) => {
                    let error = error.value(py);
                    REFUSAL.set(Some(error.to_string()));
                    let status = error.getattr("status").and_then(|status| status.extract::<u32>());
                    if matches!(status, Ok(TN_ERR_READONLY)) { NOT_WRITEABLE } else { ALREADY_BORROWED }
                }
            }
        })
    });
    entered.unwrap_or(ALREADY_BORROWED)
}

fn leave(array: *mut ffi::PyObject, writes: bool) {
    let _ = std::panic::catch_unwind(|| {
        let ended = {
            let mut open = open();
            let guards = open.get_mut(&(array as usize, writes));
            let ended = guards.and_then(Vec::pop);
            if open.get(&(array as usize, writes)).is_some_and(Vec::is_empty) {
                open.remove(&(array as usize, writes));
            }
            ended
        };
        // Ending it may run Python code, which must not find the lock taken.
        drop(ended);
    });
}

unsafe extern "C" fn acquire(_: *mut c_void, array: *mut ffi::PyObject) -> c_int {
    enter(array, false)
}

unsafe extern "C" fn acquire_mut(_: *mut c_void, array: *mut ffi::PyObject) -> c_int {
    enter(array, true)
}

unsafe extern "C" fn release(_: *mut c_void, array: *mut ffi::PyObject) {
    leave(array, false);
}

unsafe extern "C" fn release_mut(_: *mut c_void, array: *mut ffi::PyObject) {
    leave(array, true);
}

/// A borrow in the flags of an extension that came first. It ends with the value.
pub struct Registered {
    shared: &'static Shared,
    array: Py<PyAny>,
    writes: bool,
}

impl Registered {
    /// None: Tenure's guards are the flags. The error says that an extension has borrowed the array.
    pub fn acquire(array: &Bound<'_, PyAny>, writes: bool) -> PyResult<Option<Registered>> {
        let py = array.py();
        let shared = shared(py)?;
        if is_ours(shared) {
            return Ok(None);
        }
        let call = if writes { shared.acquire_mut } else { shared.acquire };
        // SAFETY: attached; the extension's functions with its flags, and a live array.
        match unsafe { call(shared.flags, array.as_ptr()) } {
            ACQUIRED => Ok(Some(Registered { shared, array: array.clone().unbind(), writes })),
            code => {
                let status = match (code, writes) {
                    (NOT_WRITEABLE, _) => TN_ERR_READONLY,
                    (_, true) => TN_ERR_BORROWED,
                    (_, false) => TN_ERR_BORROWED_WRITE,
                };
                let text = "an extension that was built with rust-numpy has borrowed the array, and its flags do not say \
                            where; end that borrow, or call tenure.numpy.publish() before the extension's first borrow";
                Err(crate::base::errors::with_text(py, status, text, false))
            }
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        Python::attach(|py| {
            let end = if self.writes { self.shared.release_mut } else { self.shared.release };
            // SAFETY: as acquired, once.
            unsafe { end(self.shared.flags, self.array.bind(py).as_ptr()) };
        });
    }
}
