//! Links from a span or a heap to the record that owns it.
//!
//! A pool reaches its spans and heaps through its state, and each of them leads back to its pool. The types of the
//! owners lie in files above this one, so a link names a role here. The file that defines the owner implements [`Role`]
//! for it.
//!
//! Contract: a link is NULL, or was set from a reference to an owner. Owners are never unmapped.

use core::sync::atomic::{AtomicPtr, Ordering};

/// What an owner is to a span or a heap.
pub(in crate::pool) trait Role {
    /// The type of the owner.
    type Record: Sync + 'static;
}

/// The pool that has the memory.
pub(in crate::pool) enum PoolRole {}

/// The heap that alone allocates and frees blocks of a small span.
pub(in crate::pool) enum HeapRole {}

/// A link to an owner, or to none.
#[repr(transparent)]
pub(in crate::pool) struct OwnerLink<R: Role>(AtomicPtr<R::Record>);

impl<R: Role> Default for OwnerLink<R> {
    fn default() -> OwnerLink<R> {
        OwnerLink(AtomicPtr::new(core::ptr::null_mut()))
    }
}

impl<R: Role> core::fmt::Debug for OwnerLink<R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

impl<R: Role> OwnerLink<R> {
    #[inline(always)]
    pub fn get(&self) -> Option<&'static R::Record> {
        // SAFETY: NULL, or set from a reference to an owner, and those are never unmapped.
        unsafe { self.0.load(Ordering::Relaxed).as_ref() }
    }
    #[inline(always)]
    pub fn set(&self, owner: Option<&'static R::Record>) {
        let owner = owner.map_or(core::ptr::null_mut(), |owner| core::ptr::from_ref(owner).cast_mut());
        self.0.store(owner, Ordering::Relaxed);
    }
    /// Whether it leads to this owner.
    #[inline(always)]
    pub fn is(&self, owner: &'static R::Record) -> bool {
        core::ptr::eq(self.0.load(Ordering::Relaxed), owner)
    }
}
