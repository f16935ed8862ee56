//! The view of an ended `with` block: an object whose every use raises.
//!
//! Contract: `invalidate_view` takes a NumPy array to which only one variable refers. Its content is replaced, so that
//! nothing refers to the bytes of the borrow any more, and its class becomes `EndedView`: a subclass of `numpy.ndarray`
//! that refuses everything but `repr`, also to give out a buffer. NumPy's own functions that make an array of any array
//! (`numpy.asarray`) do not ask the class. They get the new content: elements that raise, in a layout that no
//! buffer can describe, so that files, sockets and `numpy.frombuffer` refuse it.

use crate::base::errors;
use crate::sys::TN_ERR_STALE;
use crate::values::convert::cached_objects;
use core::ffi::{c_int, c_void};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};

/// What ended views become.
struct Ended {
    class: Py<PyType>,
    /// The argument of `ndarray.__setstate__`.
    state: Py<PyTuple>,
}

/// Refuses a buffer of an `EndedView`: the slot `bf_getbuffer`.
///
/// # Safety
/// - Called by Python, attached, with a buffer to fill.
unsafe extern "C" fn refuse_buffer(_view: *mut ffi::PyObject, buffer: *mut ffi::Py_buffer, _flags: c_int) -> c_int {
    // SAFETY: as above; a buffer without an owner counts as not filled.
    unsafe { (*buffer).obj = core::ptr::null_mut() };
    // SAFETY: as above.
    let py = unsafe { Python::assume_attached() };
    let text = cached_objects(py).and_then(|known| known.types_module.bind(py).getattr("ended")?.getattr("text"));
    match text.and_then(|text| text.extract::<String>()) {
        Ok(text) => errors::buffer_error(py, TN_ERR_STALE, &text).restore(py),
        Err(error) => error.restore(py),
    }
    -1
}

/// The class `EndedView`. It is made here and not by a `class` statement, whose classes have room for the garbage
/// collector before each object: an array without that room could not become one.
fn make_class(py: Python<'_>) -> PyResult<Py<PyType>> {
    let mut slots = [
        ffi::PyType_Slot { slot: ffi::Py_bf_getbuffer, pfunc: refuse_buffer as *mut c_void },
        ffi::PyType_Slot { slot: 0, pfunc: core::ptr::null_mut() },
    ];
    let mut spec = ffi::PyType_Spec {
        name: c"tenure.EndedView".as_ptr(),
        basicsize: 0, // that of ndarray
        itemsize: 0,
        flags: ffi::Py_TPFLAGS_DEFAULT as u32,
        slots: slots.as_mut_ptr(),
    };
    let bases = PyTuple::new(py, [&cached_objects(py)?.ndarray])?;
    // SAFETY: attached; Python copies the description, and the name is static. A new reference or NULL with an error.
    let class = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyType_FromSpecWithBases(&mut spec, bases.as_ptr()))? };
    cached_objects(py)?.types_module.bind(py).call_method1("_refuse_all_uses", (&class,))?;
    Ok(class.cast_into::<PyType>()?.unbind())
}

fn ended(py: Python<'_>) -> PyResult<&'static Ended> {
    static ENDED: PyOnceLock<Ended> = PyOnceLock::new();
    ENDED.get_or_try_init(py, || {
        let content = cached_objects(py)?.types_module.bind(py).getattr("_ended_content")?;
        Ok(Ended { class: make_class(py)?, state: content.cast_into::<PyTuple>()?.unbind() })
    })
}

/// Invalidates a view to which nothing but a variable refers.
pub fn invalidate_view(view: Bound<'_, PyAny>) {
    let py = view.py();
    let invalidate = || -> PyResult<()> {
        let Ended { class, state } = ended(py)?;
        // `__setstate__` is NumPy's own way to replace the contents of an array: it drops the base, and with it the
        // buffer.
        view.getattr(pyo3::intern!(py, "__setstate__"))?.call1((state,))?;
        // Without this, code that does not ask the class would overwrite the new content.
        view.call_method1(pyo3::intern!(py, "setflags"), (false,))?;
        if view.get_type().is(&cached_objects(py)?.ndarray) {
            // SAFETY: attached. This is what `view.__class__ = EndedView` does. Python refuses that for objects of static
            // classes, of which it may have constants; this is an ndarray on the heap. `EndedView` has its size, no room
            // for the garbage collector either (`make_class`), and leaves the end of the object to ndarray. An object of
            // a class on the heap has a reference on it, which that end drops.
            unsafe { (*view.as_ptr()).ob_type = class.clone_ref(py).into_ptr().cast() };
        }
        Ok(())
    };
    // A view that cannot be invalidated is treated as one with other references.
    let _ = invalidate();
}
