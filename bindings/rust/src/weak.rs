//! Weak handles.

use crate::array::Array;
use crate::element::Element;
use crate::error::Result;
use crate::handle::{Handle, site};
use crate::sys;
use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;

/// An array's layout without a claim on its bytes.
pub struct Weak<T> {
    handle: Handle<sys::tn_weak>,
    elements: PhantomData<T>,
}

impl<T: Element> Weak<T> {
    pub(crate) fn new(handle: Handle<sys::tn_weak>) -> Weak<T> {
        Weak { handle, elements: PhantomData }
    }

    /// A handle with a claim.
    ///
    /// # Errors
    /// [`Status::DESTRUCTED`](crate::Status::DESTRUCTED) if there was a time without a claim on the bytes.
    #[track_caller]
    pub fn upgrade(&self) -> Result<Array<T>> {
        site(Location::caller());
        // SAFETY: a call on a handle, and a place for the array.
        Array::made(|out| unsafe { sys::tn_weak_upgrade(self.handle.get(), out) })
    }
}

impl<T> fmt::Debug for Weak<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Weak").finish_non_exhaustive()
    }
}
