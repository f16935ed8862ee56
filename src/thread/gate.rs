//! The gate of a record: a pointer by which short calls reach what the layers above keep for the thread.
//!
//! Contract: a short call enters before it reads the gate. `gates` says where it leads, and when it is closed.

use crate::sys::tls;
use core::sync::atomic::{AtomicPtr, Ordering};

/// What the gates of all records lead to.
///
/// # Safety
/// - Only one type has this trait, also for the record of no thread.
pub unsafe trait BehindGate: Sized + 'static {}

/// The gate of a record.
#[derive(Debug)]
pub struct Gate {
    /// Where it leads now.
    pub(super) now: AtomicPtr<()>,
    /// Where it leads while it is open.
    pub(super) open: AtomicPtr<()>,
}

impl Gate {
    /// A gate that leads to one place for ever, or to nothing yet.
    pub(super) const fn new(to: *mut ()) -> Gate {
        Gate { now: AtomicPtr::new(to), open: AtomicPtr::new(to) }
    }

    /// What it leads to. None: the system's thread-locals may be NULL, and it was not led anywhere.
    #[inline(always)]
    pub(super) fn get<T: BehindGate>(&self) -> Option<&'static T> {
        // Acquire pairs with the Release in `gates`.
        let to = self.now.load(Ordering::Acquire).cast::<T>();
        if tls::IS_NEVER_NULL {
            // SAFETY: the gate of a record, and that of no thread, leads to a static value of the type.
            return Some(unsafe { &*to });
        }
        // SAFETY: NULL, or from a reference in `gates::lead`.
        unsafe { to.as_ref() }
    }

    pub(super) fn now(&self) -> *mut () {
        self.now.load(Ordering::Relaxed)
    }
}
