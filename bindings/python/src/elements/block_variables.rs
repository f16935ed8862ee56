//! Finds the variables that refer to the views of a `with` block.
//!
//! Contract: a reference count of one does not say whether a variable or C code refers to a view: a memoryview or a
//! tensor refers to it too, and uses its bytes. So a view is invalidated only if a variable of a running function, or
//! a tuple in one, is known to refer to it.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// The flag of code whose variables are not in a dictionary: functions.
const CO_OPTIMIZED: u32 = 1;

/// The most functions that are looked at: the block's own, and those that called `contextlib.ExitStack`.
const MOST_FRAMES: usize = 16;

/// Which of the views has one reference besides the caller's, and that is a variable of the running functions, or a
/// tuple of all views in one.
pub fn bound_to_one_variable(py: Python<'_>, views: &[&Py<PyAny>]) -> PyResult<Vec<bool>> {
    // SAFETY: live objects, attached.
    let one: Vec<_> = views.iter().map(|view| unsafe { ffi::Py_REFCNT(view.as_ptr()) } == 2).collect();
    let mut found: Vec<_> = one.iter().map(|one| !one).collect();
    // SAFETY: attached, by `py`; a borrowed reference or NULL.
    let mut frame = unsafe { Bound::from_borrowed_ptr_or_opt(py, ffi::PyEval_GetFrame().cast()) };
    for _ in 0..MOST_FRAMES {
        let Some(now) = frame.filter(|_| found.contains(&false)) else { break };
        look(&now, views, &mut found)?;
        frame = Some(now.getattr(pyo3::intern!(py, "f_back"))?).filter(|back| !back.is_none());
    }
    Ok(one.iter().zip(found).map(|(one, found)| *one && found).collect())
}

/// Looks through the variables of one frame.
fn look(frame: &Bound<'_, PyAny>, views: &[&Py<PyAny>], found: &mut [bool]) -> PyResult<()> {
    let py = frame.py();
    let variables = frame.getattr(pyo3::intern!(py, "f_locals"))?;
    let mut note = |value: &Bound<'_, PyAny>| {
        if let Some(at) = views.iter().position(|view| view.is(value)) {
            found[at] = true;
        }
    };
    let mut note_all = |value: &Bound<'_, PyAny>| match value.cast_exact::<PyTuple>() {
        Ok(tuple) if tuple.len() == views.len() => tuple.iter_borrowed().for_each(|item| note(&item)),
        _ => note(value),
    };
    let Ok(variables) = variables.cast_exact::<PyDict>() else {
        // From CPython 3.13 on, a view of the variables of a function.
        for value in variables.call_method0(pyo3::intern!(py, "values"))?.try_iter()? {
            note_all(&value?);
        }
        return Ok(());
    };
    variables.iter().for_each(|(_, value)| note_all(&value));
    // Up to 3.12 the frame of a function keeps the dictionary that was made here, and with it references to the
    // function's variables. It is emptied, unless the program itself has it from `locals()`.
    // SAFETY: a live object, attached.
    let ours = unsafe { ffi::Py_REFCNT(variables.as_ptr()) } == 2;
    let code = frame.getattr(pyo3::intern!(py, "f_code"))?;
    if ours && code.getattr(pyo3::intern!(py, "co_flags"))?.extract::<u32>()? & CO_OPTIMIZED != 0 {
        variables.clear();
    }
    Ok(())
}
