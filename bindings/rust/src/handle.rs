//! Handles: an owned handle of each kind, which is released once.
//!
//! Contract: the only place that releases. Handles are checked ids, so no call on one is undefined behaviour, whatever
//! foreign code did with it; a release that fails finds nothing to release.

use crate::error::{Result, check};
use crate::sys;
use std::panic::Location;
use std::ptr::{self, NonNull};

/// A kind of handle.
pub(crate) trait Kind {
    /// The C function that releases it.
    const RELEASE: unsafe extern "C" fn(*mut Self) -> sys::tn_status;
}

macro_rules! kinds {
    ($($kind:ident by $release:ident;)*) => {
        $(impl Kind for sys::$kind {
            const RELEASE: unsafe extern "C" fn(*mut Self) -> sys::tn_status = sys::$release;
        })*
    };
}

kinds! {
    tn_array by tn_array_release;
    tn_weak by tn_weak_release;
    tn_promise by tn_promise_release;
    tn_pool by tn_pool_release;
    tn_expr by tn_expr_release;
}

/// A handle that this value releases.
pub(crate) struct Handle<K: Kind>(NonNull<K>);

// SAFETY: any function of the library may be called from any thread at any time, on any handle (tenure.h, "Threads").
unsafe impl<K: Kind> Send for Handle<K> {}
// SAFETY: as above.
unsafe impl<K: Kind> Sync for Handle<K> {}

impl<K: Kind> Handle<K> {
    /// The handle that a C call writes.
    pub(crate) fn make(call: impl FnOnce(*mut *mut K) -> sys::tn_status) -> Result<Handle<K>> {
        let mut out = ptr::null_mut();
        check(call(&mut out))?;
        Ok(Handle(NonNull::new(out).expect("a call that succeeds writes a handle, never NULL")))
    }

    /// A handle of foreign code, which gives it up. None for NULL.
    pub(crate) fn adopt(handle: *mut K) -> Option<Handle<K>> {
        NonNull::new(handle).map(Handle)
    }

    /// The handle, which stays this value's.
    pub(crate) fn get(&self) -> *mut K {
        self.0.as_ptr()
    }

    /// The handle, which the caller releases.
    pub(crate) fn into_raw(self) -> *mut K {
        let handle = self.get();
        std::mem::forget(self);
        handle
    }
}

impl<K: Kind> Drop for Handle<K> {
    fn drop(&mut self) {
        // SAFETY: a release takes any handle; this one is not used afterwards.
        let _ = unsafe { K::RELEASE(self.get()) };
    }
}

/// Records the caller's line for what this thread makes next: messages and reports then name it as "step.rs:41".
pub(crate) fn site(caller: &'static Location<'static>) {
    let line = i32::try_from(caller.line()).unwrap_or(i32::MAX);
    // SAFETY: the text is NUL-terminated, and copied by the call.
    let _ = unsafe { sys::tn_here(caller.file_as_c_str().as_ptr(), line) };
}
