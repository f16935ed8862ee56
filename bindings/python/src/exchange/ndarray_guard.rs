//! Guards on the memory of any NumPy array (NB-1 to NB-5).
//!
//! Contract: the memory is imported for the time of the guard, without a copy. Where it is already that of an array
//! here, the guard is one on that array, so it conflicts with all other uses of the bytes. The import covers all memory
//! of which the NumPy array is a view, so that guards on other views of it find the same store. A guard keeps the NumPy
//! array alive, and ends with the value, on any thread.

use crate::api::{self, Failure, Id};
use crate::base::errors;
use crate::base::site::Site;
use crate::sys::*;
use crate::values::convert::Dims;
use crate::values::foreign_buffer::{ForeignBuffer, Layout};
use crate::values::foreign_ndarray::NdarrayBytes;
use crate::values::owner::keep_owner;
use core::ffi::{CStr, c_void};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyMemoryView;

/// An open guard, and the handle that it was opened with.
pub struct NdarrayGuard {
    guard: Id,
    handle: Id,
    failed: bool,
}

impl NdarrayGuard {
    /// Opens a guard for reading or writing. `name`: what messages call the memory. `site` sets the call site.
    pub fn open(
        array: &Bound<'_, PyAny>,
        writes: bool,
        name: Option<&CStr>,
        site: impl FnOnce() -> Site,
    ) -> PyResult<NdarrayGuard> {
        let Some(bytes) = NdarrayBytes::of(array)? else {
            let class = array.get_type().name()?;
            return Err(PyTypeError::new_err(format!("a numpy.ndarray is needed, not {class}")));
        };
        // Held until the end of this function: the store is that of the whole memory from the start.
        let _whole = whole_memory(&bytes);
        // After that, whose buffers may come from code that sets a site of its own.
        let _site = site();
        let (data, layout) = bytes.layout();
        let handle = Handle(import(array, data, &layout, bytes.readonly())?);
        if let Some(name) = name {
            api::set_name(handle.0, Some(name))?;
        }
        let opened = if writes { api::borrow_write(handle.0, 0) } else { api::borrow_read(handle.0, 0) };
        let (guard, _view) = opened.map_err(|Failure(status)| {
            // A NumPy array cannot move to a copy.
            let text = api::last_error().replace(", or use TN_WRITE_COW", "");
            errors::with_text(array.py(), status, &text, false)
        })?;
        Ok(NdarrayGuard { guard, handle: handle.keep(), failed: false })
    }

    /// Ends the guard. `failed`: what was written is incomplete.
    pub fn end(mut self, failed: bool) {
        self.failed = failed;
    }
}

impl Drop for NdarrayGuard {
    fn drop(&mut self) {
        // Neither fails for an open handle, and there is no caller to report to.
        let _ = api::borrow_end(self.guard, if self.failed { TN_END_FAILED } else { 0 });
        drop(Handle(self.handle));
    }
}

/// A handle of this file.
struct Handle(Id);

impl Handle {
    fn keep(self) -> Id {
        let id = self.0;
        core::mem::forget(self);
        id
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let _ = api::release(self.0);
    }
}

/// Imports memory that an object keeps.
fn import(owner: &Bound<'_, PyAny>, data: *mut c_void, layout: &Layout, readonly: bool) -> Result<Id, Failure> {
    let flags = TN_BORROW | TN_REQUIRE_BORROW | if readonly { TN_IMPORT_READONLY } else { 0 };
    let layout = layout.raw();
    keep_owner(owner, |release, context| {
        // SAFETY: the reference keeps the memory until the release runs; the lists live during the call.
        unsafe { api::import_host(data, &layout, flags, release, context) }.map(|(id, _how)| id)
    })
}

/// Handles on the memory of which an array is a view: on that of another object, and on the NumPy array that all views
/// come from. What cannot be imported as one is left out.
fn whole_memory(bytes: &NdarrayBytes<'_, '_>) -> [Option<Handle>; 2] {
    let import = |owner: &Bound<'_, PyAny>, data, layout: &Layout| import(owner, data, layout, true).ok().map(Handle);
    let mut handles = [None, None];
    let Some(mut owner) = bytes.base() else { return handles };
    let mut root = None;
    while let Ok(Some(array)) = NdarrayBytes::of(&owner) {
        root = Some((owner.clone(), array.layout()));
        let Some(base) = array.base() else { break };
        owner = base;
    }
    // A memoryview may show a part of its object only.
    if let Ok(view) = owner.cast::<PyMemoryView>()
        && let Ok(object) = view.getattr("obj")
        && !is_of_tenure(&object)
        && let Ok(buffer) = ForeignBuffer::of(&object, None)
    {
        let (address, length) = buffer.address_range();
        let layout =
            Layout { dtype: TN_U8, shape: Dims::from_slice(&[length as i64]), strides: Dims::from_slice(&[1]) };
        handles[0] = import(&object, address as *mut c_void, &layout);
    }
    if let Some((root, (data, layout))) = root {
        handles[1] = import(&root, data, &layout);
    }
    handles
}

/// Whether an object shows memory that the library knows whole.
fn is_of_tenure(object: &Bound<'_, PyAny>) -> bool {
    object.get_type().module().is_ok_and(|module| module == "tenure")
}
