//! The bytes of an array as a NumPy array, for one call of a function.
//!
//! Contract: the guard ends with the value, unless something still refers to the NumPy array, such as a variable of a
//! function that the call made: then the guard ends with that array.

use crate::api::{self, Id};
use crate::base::interpreter::{SameThread, wait_without_gil};
use crate::handles::array::{Array, brief};
use crate::sys::*;
use crate::values::convert::{device_text, is_remote};
use crate::values::numpy_api::{array_over, set_base};
use core::mem::ManuallyDrop;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;

/// An open guard, which ends with it.
pub struct CallGuard(Id);

impl Drop for CallGuard {
    fn drop(&mut self) {
        // An open guard always ends.
        let _ = api::borrow_end(self.0, 0);
    }
}

/// The base of a NumPy array that outlives its call.
#[pyclass(frozen, module = "tenure", name = "CallGuard")]
struct Base(#[allow(dead_code, reason = "held for its end")] CallGuard);

/// A NumPy array over the bytes of an array, and the guard.
pub struct Lent<'py> {
    view: ManuallyDrop<Bound<'py, PyAny>>,
    guard: Option<CallGuard>,
}

/// Opens a guard for one call. It waits for device work, with the interpreter released.
#[inline]
pub fn open_guard(array: &Bound<'_, Array>, writes: bool) -> PyResult<api::Result<(CallGuard, tn_view_info)>> {
    let id = array.get().id()?;
    let take = |flags| if writes { api::borrow_write(id, flags) } else { api::borrow_read(id, flags) };
    let taken = wait_without_gil(array.py(), TN_WAIT, |flags| take(flags).map(SameThread));
    Ok(taken.map(|SameThread((guard, view))| (CallGuard(guard), view)))
}

impl<'py> Lent<'py> {
    /// The NumPy array for a guard that was opened. Raises for memory that the host cannot access.
    #[inline]
    pub fn new(array: &Bound<'py, Array>, guard: CallGuard, view: &tn_view_info, writes: bool) -> PyResult<Lent<'py>> {
        if is_remote(view.device) {
            return Err(PyTypeError::new_err(format!(
                "{} is on {}, and NumPy computes on the host only; x.copy_to_host() makes a copy there",
                brief(array),
                device_text(view.device)
            )));
        }
        // SAFETY: the guard lends these bytes to the host, also for writing if it writes; `drop` keeps it as long as
        // the array.
        let view = unsafe { array_over(array.py(), view, writes)? };
        Ok(Lent { view: ManuallyDrop::new(view), guard: Some(guard) })
    }

    /// The NumPy array.
    pub fn view(&self) -> &Bound<'py, PyAny> {
        &self.view
    }
}

impl Drop for Lent<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: taken once, here.
        let view = unsafe { ManuallyDrop::take(&mut self.view) };
        // SAFETY: a live object, attached.
        if unsafe { ffi::Py_REFCNT(view.as_ptr()) } > 1
            && let Some(guard) = self.guard.take()
        {
            keep(&view, guard);
        }
        // First the array, then the guard.
        drop(view);
        self.guard = None;
    }
}

#[cold]
fn keep(view: &Bound<'_, PyAny>, guard: CallGuard) {
    let kept = Bound::new(view.py(), Base(guard)).and_then(|base| set_base(view, base.into_any()));
    if let Err(error) = kept {
        // Without a base, the array may refer to bytes that are freed or reused. There is no caller to report to.
        error.write_unraisable(view.py(), None);
    }
}
