//! Python callables that a pool calls when its memory runs out.
//!
//! Contract: the library owns a reference to the callable from the registration until it lets go of it. What the callable raises goes where
//! such errors go (`sys.unraisablehook`) and counts as nothing freed. Called on any thread; once the interpreter ends nobody is.

use crate::api::{self, Id};
use crate::import::while_alive;
use crate::types::*;
use core::ffi::c_void;
use pyo3::prelude::*;
use std::sync::{Mutex, PoisonError};

/// The registrations that one `Pool` object made: the addresses of their boxes.
#[derive(Default)]
pub struct Listeners(Mutex<Vec<usize>>);

/// What the library has: a callable.
struct Listener(Py<PyAny>);

/// # Safety
/// - Called by the library, with a box of ours that it did not let go of.
unsafe extern "C" fn called(context: *mut c_void, needed: usize, reason: tn_pressure) -> usize {
    // SAFETY: a box of ours, alive until `let_go`.
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
/// - Called by the library, once for a box of ours.
unsafe extern "C" fn let_go(context: *mut c_void) {
    // SAFETY: made by `Box::into_raw`.
    let listener = unsafe { Box::from_raw(context.cast::<Listener>()) };
    // A reference is given back attached, or stays with an interpreter that is ending.
    let mut listener = Some(listener);
    while_alive(|_| drop(listener.take()));
    std::mem::forget(listener);
}

impl Listeners {
    /// The box of a callable that is registered.
    fn find(&self, callback: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for at in known {
            // SAFETY: a box that is in the list is registered; it leaves the list first.
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
            // The library says that it is a duplicate, unless the pool let go of it.
            // SAFETY: a box of ours.
            return Ok(unsafe { api::pool_on_pressure(pool, called, at as *mut c_void, let_go) }?);
        }
        let at = Box::into_raw(Box::new(Listener(callback.clone().unbind())));
        // SAFETY: a box of ours, which the library has until it lets go of it.
        if let Err(failure) = unsafe { api::pool_on_pressure(pool, called, at.cast(), let_go) } {
            // SAFETY: refused, so it is ours still.
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

    /// The pool's handle goes, and the pool perhaps: it lets go of them itself.
    pub fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
