//! Counts the variables that refer to an array, for `tenure.give`.
//!
//! Contract: the count is CPython's reference count without the references of the call itself, of open buffers and of
//! proxies.

use crate::handles::array::Array;
use core::sync::atomic::{AtomicU32, Ordering};
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;

/// References that a call of `give` itself makes to its argument. The number depends on the interpreter and is measured
/// at import.
static OF_THE_CALL: AtomicU32 = AtomicU32::new(1);

fn references(object: &Bound<'_, PyAny>) -> u32 {
    // SAFETY: a live object, attached. The low half is the count in every interpreter that loads this module; from 3.12
    // on the upper half may have flags.
    unsafe { ffi::Py_REFCNT(object.as_ptr()) as u32 }
}

/// The number of variables, attributes and containers that refer to the argument of `give`. Views of other libraries
/// and proxies are not counted: `why_not` lists what they hold.
pub fn variables(array: &Bound<'_, Array>) -> u32 {
    let others = OF_THE_CALL.load(Ordering::Relaxed) + array.get().protocol_refs();
    references(array.as_any()).saturating_sub(others).max(1)
}

/// Measures a call of `give`, with an object that has exactly one variable. Called at import; `required` only makes the
/// call look like one of `give`. The largest result of several calls counts.
#[pyfunction]
#[pyo3(signature = (array, required=None))]
pub fn _calibrate(array: &Bound<'_, PyAny>, required: Option<i64>) -> PyResult<u32> {
    if required.is_some() {
        return Err(PyValueError::new_err("the call of give without required is measured"));
    }
    let found = references(array).saturating_sub(1);
    static MEASURED: AtomicU32 = AtomicU32::new(0);
    let most = MEASURED.fetch_max(found, Ordering::Relaxed).max(found);
    OF_THE_CALL.store(most, Ordering::Relaxed);
    Ok(most)
}
