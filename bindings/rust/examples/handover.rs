//! A library for C programs. C gives an array, Rust takes it and writes in place, and C's handle is destructed.
//! `handover.c` is the program.

use std::ffi::c_void;
use tenure_rs::{Mode, Promise, Result, enter, sys};

/// Takes the array of a promise, multiplies its elements by `factor` in place, and returns the caller's new handle in
/// `out`. The promise is used up, also by a failure.
///
/// # Safety
/// - `promise` is one that the caller releases no more, and `out` is a place for a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn handover_scale(
    promise: *mut sys::tn_promise,
    factor: f64,
    out: *mut *mut sys::tn_array,
) -> sys::tn_status {
    status(|| {
        // SAFETY: the caller's promise.
        let mut array = unsafe { Promise::<f64>::from_raw(promise)? }.take()?;
        // The giver's claim moved here, so nobody else holds the bytes: in place, or an error.
        array.write_as(Mode::Unique)?.as_mut_slice()?.iter_mut().for_each(|x| *x *= factor);
        // SAFETY: a place for a handle, by this function's contract.
        unsafe { out.write(array.into_raw()) };
        Ok(())
    })
}

/// Adds 1 to every element of an array or promise, and returns the caller's new handle in `out`: in place for a given
/// array, in a copy for a lent one. The caller keeps `param`, and releases it.
///
/// # Safety
/// - `param` is a `tn_array *` or a `tn_promise *`, and `out` is a place for a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn handover_plus_one(param: *mut c_void, out: *mut *mut sys::tn_array) -> sys::tn_status {
    status(|| {
        // SAFETY: a handle of the caller.
        let [mut array] = unsafe { enter::<f64, 1>([param])? };
        array.write_as(Mode::CopyOnWrite)?.iter_mut().for_each(|x| *x += 1.0);
        // SAFETY: a place for a handle, by this function's contract.
        unsafe { out.write(array.into_raw()) };
        Ok(())
    })
}

/// Shows that a refusal of the borrow rules reaches C as the status that it would get itself.
///
/// # Safety
/// - `array` is a `tn_array *` of the caller, which keeps it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn handover_overwrite(array: *mut c_void) -> sys::tn_status {
    status(|| {
        // SAFETY: a handle of the caller, of which `enter` makes a clone.
        let [mut array] = unsafe { enter::<f64, 1>([array])? };
        array.fill_(0.0)
    })
}

/// C's status of a result.
fn status(body: impl FnOnce() -> Result<()>) -> sys::tn_status {
    match body() {
        Ok(()) => sys::TN_OK,
        Err(error) => error.status().code(),
    }
}
