//! Records of pressure callbacks.
//!
//! Contract: type-stable. A record is read and written under the lock of its pool, and by the thread that releases it.

use crate::pool::recycler::{Recycled, Recycler};
use crate::pool::relaxed::RelaxedUsize;
use crate::types::*;
use core::ffi::c_void;
use core::sync::atomic::{AtomicPtr, Ordering};

/// A pressure callback. Returns an estimate of the bytes that it freed.
pub type Callback = unsafe extern "C" fn(context: *mut c_void, needed: usize, reason: tn_pressure) -> usize;
/// Called when a registration ends.
pub type Release = unsafe extern "C" fn(context: *mut c_void);

/// A registration. Read and written under the lock of its pool, and by the thread that releases it.
#[derive(Debug, Default)]
pub(in crate::pool) struct Listener {
    pub callback: RelaxedUsize,
    pub context: RelaxedUsize,
    /// Function pointer; 0: none.
    pub release: RelaxedUsize,
    /// Number of the registration within the pool.
    pub order: RelaxedUsize,
    /// Threads in the callback.
    pub users: RelaxedUsize,
    /// 1: the registration ended.
    pub ended: RelaxedUsize,
    next: AtomicPtr<Listener>,
    recycled: AtomicPtr<Listener>,
}

// SAFETY: zero is valid for every field, and `recycled` serves the list only.
unsafe impl Recycled for Listener {
    fn link(&self) -> &AtomicPtr<Listener> {
        &self.recycled
    }
}

static LISTENERS: Recycler<Listener> = Recycler::new();

impl Listener {
    /// A record. None: no memory.
    pub fn create() -> Option<&'static Listener> {
        LISTENERS.get()
    }

    /// Returns a record that was not used.
    pub fn release(&'static self) {
        LISTENERS.put(self);
    }

    pub fn next(&self) -> Option<&'static Listener> {
        // SAFETY: NULL or a listener, and those are never unmapped.
        unsafe { self.next.load(Ordering::Relaxed).as_ref() }
    }

    pub fn set_next(&self, next: Option<&'static Listener>) {
        let next = next.map_or(core::ptr::null_mut(), |next| core::ptr::from_ref(next).cast_mut());
        self.next.store(next, Ordering::Relaxed);
    }

    pub fn is(&self, callback: Callback, context: *mut c_void) -> bool {
        self.callback.get() == callback as usize && self.context.get() == context as usize
    }

    /// Releases a registration that ended and is in no list. Called under no lock.
    pub fn finish_release(&'static self) {
        let (release, context) = (self.release.get(), self.context.get());
        LISTENERS.put(self);
        if release != 0 {
            // SAFETY: only `on_pressure` stores here, and only such functions.
            let release = unsafe { core::mem::transmute::<usize, Release>(release) };
            // SAFETY: the program promised that it may run once, on any thread.
            unsafe { release(context as *mut c_void) };
        }
    }
}
