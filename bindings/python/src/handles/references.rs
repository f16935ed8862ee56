//! HEAD

use crate::handles::array::Array;
use core::sync::atomic::{AtomicU32, Ordering};
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;

/// References that a call of `give` itself makes to its argument: a matter of the interpreter, measured at import.
static OF_THE_CALL: AtomicU32 = AtomicU32::new(1);

fn references(object: &Bound<'_, PyAny>) -> u32 {
    // SAFETY: a live object, attached. The low half is the count in every interpreter that this module loads in; from
    // 3.12 on the upper half may have marks.
    unsafe { ffi::Py_REFCNT(object.as_ptr()) as u32 }
}

/// How many variables, attributes and containers refer to the array that `give` was called with. Views of other
/// libraries and proxies refer to it too, and are none: what they hold, `why_not` says.
pub fn variables(array: &Bound<'_, Array>) -> u32 {
    let others = OF_THE_CALL.load(Ordering::Relaxed) + array.get().views();
    references(array.as_any()).saturating_sub(others).max(1)
}

/// Called once at import with an object that has exactly one variable, the way `give` is called; `required` is only
/// there to be called alike. What it finds holds for all later calls: the larger of what several such calls find.
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
