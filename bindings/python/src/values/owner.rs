//! Python objects that keep the memory of imports.
//!
//! Contract: the library owns a reference to the object until it reports that nothing uses the memory any more, on any
//! thread. The reference is then dropped with the interpreter attached, or left alone where the interpreter is gone.

use crate::api;
use crate::base::interpreter::while_alive;
use crate::sys::tn_release_callback;
use core::ffi::c_void;
use pyo3::ffi;
use pyo3::prelude::*;

/// Calls `import` with a release and its context, which keep the object until the release runs.
pub fn keep_owner(
    object: &Bound<'_, PyAny>,
    import: impl FnOnce(tn_release_callback, *mut c_void) -> api::Result<api::Id>,
) -> api::Result<api::Id> {
    let context = object.clone().into_ptr();
    let imported = import(Some(release_owner), context.cast());
    if imported.is_err() {
        // SAFETY: attached. An import that fails does not call the release, so the reference is still ours. The caller
        // has another one.
        unsafe { ffi::Py_DecRef(context) };
    }
    imported
}

/// Called by the library when nothing uses the memory any more.
///
/// # Safety
/// - `context` is a reference to an object and is passed once.
unsafe extern "C" fn release_owner(context: *mut c_void) {
    // Nothing may unwind into the library.
    let _ = std::panic::catch_unwind(|| {
        // Without an interpreter the object is gone as well.
        while_alive(|_| {
            // SAFETY: attached; by this function's list.
            unsafe { ffi::Py_DecRef(context.cast()) }
        });
    });
}
