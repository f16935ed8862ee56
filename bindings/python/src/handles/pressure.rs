//! Python callables that a pool calls when it runs out of memory.
//!
//! Contract: the library owns a reference to the callable from its registration until the registration ends. An
//! exception of the callable goes to `sys.unraisablehook` and counts as no bytes freed. A pool may call on any thread;
//! no callable runs once the interpreter is ending.

use crate::api::{self, Id};
use crate::base::interpreter::while_alive;
use crate::sys::*;
use core::ffi::c_void;
use pyo3::prelude::*;
use std::sync::{Mutex, PoisonError};

/// The registrations of one `Pool` object: the addresses of their boxes.
#[derive(Default)]
pub struct Listeners(Mutex<Vec<usize>>);

/// The context of a registration: a callable.
struct Listener(Py<PyAny>);

/// # Safety
/// - Called by the library, with a box whose registration has not ended.
unsafe extern "C" fn called(context: *mut c_void, needed: usize, reason: tn_pressure) -> usize {
    // SAFETY: a `Listener` that lives until `release`.
    let listener = unsafe { &*context.cast::<Listener>() };
    while_alive(|py| {
        let pending = PyErr::take(py);
        let why = if reason == TN_PRESSURE_LIMIT { "limit" } else { "device" };
        let freed = listener
            .0
            .bind(py)
            .call1((needed, why))
            .and_then(|freed| if freed.is_none() { Ok(0) } else { freed.extract::<usize>() });
        let freed = freed.unwrap_or_else(|error| {
            error.write_unraisable(py, Some(listener.0.bind(py)));
            0
        });
        if let Some(pending) = pending {
            pending.restore(py);
        }
        freed
    })
    .unwrap_or(0)
}

/// # Safety
/// - Called by the library, once for each box.
unsafe extern "C" fn release(context: *mut c_void) {
    // SAFETY: made by `Box::into_raw`.
    let listener = unsafe { Box::from_raw(context.cast::<Listener>()) };
    // The reference is dropped with the interpreter attached, or leaked where the interpreter is ending.
    let mut listener = Some(listener);
    while_alive(|_| drop(listener.take()));
    std::mem::forget(listener);
}

impl Listeners {
    /// The box of a registered callable.
    fn find(&self, callback: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for at in known {
            // SAFETY: a box in the list is registered; it leaves the list before it is freed.
            let listener = unsafe { &*(at as *const Listener) };
            if listener.0.bind(callback.py()).eq(callback)? {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// Registers a callable.
    pub fn on(&self, pool: Id, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Some(at) = self.find(callback)? {
            // The library refuses it as a duplicate, unless the pool ended the registration.
            // SAFETY: a live box.
            return Ok(unsafe { api::pool_on_pressure(pool, called, at as *mut c_void, release) }?);
        }
        let at = Box::into_raw(Box::new(Listener(callback.clone().unbind())));
        // SAFETY: a live box, which the library owns until the registration ends.
        if let Err(failure) = unsafe { api::pool_on_pressure(pool, called, at.cast(), release) } {
            // SAFETY: the registration was refused, so the box is still ours.
            drop(unsafe { Box::from_raw(at) });
            return Err(failure.into());
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(at as usize);
        Ok(())
    }

    /// Ends the registration of a callable.
    pub fn off(&self, pool: Id, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        let at = self.find(callback)?;
        if let Some(at) = at {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|&known| known != at);
        }
        Ok(api::pool_off_pressure(pool, called, at.unwrap_or(0) as *mut c_void)?)
    }

    /// Forgets all registrations, because the pool's handle is released. The library ends them with the pool.
    pub fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
