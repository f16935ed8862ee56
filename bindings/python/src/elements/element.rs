//! Reads and overwrites the only element of an array, under a guard that ends before the call returns.
//!
//! Contract: one element is at most 16 bytes, so it is copied by value. The host copies if it can access the memory;
//! the device does it otherwise. Work of a device that is in the way is waited for with the interpreter released.

use crate::api::{self, Id, cuda};
use crate::base::interpreter::{SameThread, wait_without_gil};
use crate::sys::*;
use crate::values::convert::{Element, is_remote};
use core::ptr::copy_nonoverlapping;
use pyo3::prelude::*;

/// The element of an array, `bytes` long. None: the array has not exactly one element.
#[inline]
pub fn read_one(py: Python<'_>, array: Id, bytes: usize) -> PyResult<Option<Element>> {
    let (guard, view) = wait_without_gil(py, TN_WAIT, |flags| api::borrow_read(array, flags).map(SameThread))?.0;
    let mut element = Element::default();
    let one = is_one(&view, bytes);
    let remote = is_remote(view.device);
    if one && !remote {
        // SAFETY: the open guard lends `bytes` bytes at `data`, which the host can access; `is_one` checked the room in
        // `element`.
        unsafe { copy_nonoverlapping(view.data.cast::<u8>(), element.as_mut_ptr(), bytes) };
    }
    api::borrow_end(guard, 0)?;
    if one && remote {
        let to = SameThread(element.as_mut_ptr());
        // SAFETY: `is_one` checked that `element` has room for all bytes of the array.
        py.detach(|| unsafe { cuda::copy_to_host(array, to.all().cast()) }.map_err(PyErr::from))?;
    }
    Ok(one.then_some(element))
}

/// Overwrites the element of an array, `bytes` long. False: the array has not exactly one element.
#[inline]
pub fn write_one(py: Python<'_>, array: Id, element: &Element, bytes: usize) -> PyResult<bool> {
    let (guard, view) =
        wait_without_gil(py, TN_WRITE_DISCARD | TN_WAIT, |flags| api::borrow_write(array, flags).map(SameThread))?.0;
    let one = is_one(&view, bytes);
    let remote = is_remote(view.device);
    if one && !remote {
        // SAFETY: the open guard lends `bytes` bytes at `data` to the host alone; `is_one` checked the length of
        // `element`.
        unsafe { copy_nonoverlapping(element.as_ptr(), view.data.cast::<u8>(), bytes) };
    }
    api::borrow_end(guard, 0)?;
    if one && remote {
        py.detach(|| api::fill(array, element, TN_WAIT, Id::NULL).map_err(PyErr::from))?;
    }
    Ok(one)
}

/// Whether a view has exactly one element, of `bytes` bytes.
fn is_one(view: &tn_view_info, bytes: usize) -> bool {
    view.bytes == bytes as u64 && bytes <= size_of::<Element>()
}
