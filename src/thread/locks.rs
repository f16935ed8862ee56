//! Locks of the library: data behind a lock whose holder counts as inside, so that no fork happens meanwhile and no child inherits it closed.
//!
//! Contract: [`ColdLock`] for registries and reports, [`QuickLock`] for what is guarded for nanoseconds. Neither is held across a callback or
//! a free. In a model the one is as quick as the other.

#[cfg(loom)]
use super::MODEL;
use super::Thread;
#[cfg(not(loom))]
use super::{CriticalSection, current};
use crate::sys::lock::RawLock;
use core::cell::UnsafeCell;

/// A cold lock (registries, reports) whose holder counts as inside the library. Never held across a callback or a free.
#[cfg(not(loom))]
pub struct ColdLock<T>(parking_lot::Mutex<T>);

/// The open lock.
#[cfg(not(loom))]
pub struct ColdGuard<'a, T> {
    // The order matters: fields drop in order, and the lock is given back before the thread leaves.
    guard: parking_lot::MutexGuard<'a, T>,
    _inside: CriticalSection,
}

#[cfg(not(loom))]
impl<T> ColdLock<T> {
    /// A free lock around `value`.
    pub const fn new(value: T) -> ColdLock<T> {
        ColdLock(parking_lot::Mutex::new(value))
    }
    /// Takes it.
    pub fn lock(&self) -> ColdGuard<'_, T> {
        let inside = CriticalSection::enter(current());
        ColdGuard { guard: self.0.lock(), _inside: inside }
    }
}

#[cfg(not(loom))]
impl<T> core::ops::Deref for ColdGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.guard
    }
}

#[cfg(not(loom))]
impl<T> core::ops::DerefMut for ColdGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

/// The same for what is guarded for nanoseconds: one exchange cheaper, see `sys::lock` for what may not happen under it.
#[cfg(not(loom))]
pub struct QuickLock<T> {
    lock: RawLock,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached through a `QuickGuard` only, and the lock lets one exist at a time.
#[cfg(not(loom))]
unsafe impl<T: Send> Sync for QuickLock<T> {}

/// The open lock.
#[cfg(not(loom))]
pub struct QuickGuard<'a, T> {
    of: &'a QuickLock<T>,
    /// Dropped after the lock was given back.
    _inside: CriticalSection,
}

#[cfg(not(loom))]
impl<T> QuickLock<T> {
    /// A free lock around `value`.
    pub const fn new(value: T) -> QuickLock<T> {
        QuickLock { lock: RawLock::new(), value: UnsafeCell::new(value) }
    }
    /// Takes it.
    #[inline]
    pub fn lock(&self) -> QuickGuard<'_, T> {
        self.lock_as(current())
    }
    /// Takes it, for the calling thread.
    #[inline]
    pub fn lock_as(&self, thread: &'static Thread) -> QuickGuard<'_, T> {
        let inside = CriticalSection::enter(thread);
        self.lock.lock();
        QuickGuard { of: self, _inside: inside }
    }
}

#[cfg(not(loom))]
impl<T> Drop for QuickGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.of.lock.unlock();
    }
}

#[cfg(not(loom))]
impl<T> core::ops::Deref for QuickGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this guard has the lock.
        unsafe { &*self.of.value.get() }
    }
}

#[cfg(not(loom))]
impl<T> core::ops::DerefMut for QuickGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard has the lock, and `&mut self` lets no other reference be.
        unsafe { &mut *self.of.value.get() }
    }
}

/// In a model the one is as quick as the other.
#[cfg(loom)]
pub use self::{ColdGuard as QuickGuard, ColdLock as QuickLock};

/// A cold lock as a model can explore it: the lock itself is made anew in each iteration, what it guards stays as in any static.
#[cfg(loom)]
pub struct ColdLock<T>(UnsafeCell<T>);

// SAFETY: the value is reached through a `ColdGuard` only, and the lock lets one exist at a time.
#[cfg(loom)]
unsafe impl<T: Send> Sync for ColdLock<T> {}

/// The open lock.
#[cfg(loom)]
pub struct ColdGuard<'a, T> {
    cell: &'a UnsafeCell<T>,
    lock: &'static RawLock,
}

#[cfg(loom)]
impl<T> ColdLock<T> {
    /// A free lock around `value`.
    pub const fn new(value: T) -> ColdLock<T> {
        ColdLock(UnsafeCell::new(value))
    }
    /// Takes it, for the calling thread.
    pub fn lock_as(&self, _thread: &'static Thread) -> ColdGuard<'_, T> {
        self.lock()
    }
    /// Takes it.
    pub fn lock(&self) -> ColdGuard<'_, T> {
        let at = {
            let mut model = MODEL.lock().unwrap();
            let lock =
                model.locks.entry(core::ptr::from_ref(self) as usize).or_insert_with(|| Box::new(RawLock::new()));
            core::ptr::from_ref(&**lock)
        };
        // SAFETY: lasts as long as the threads of this iteration.
        let lock: &'static RawLock = unsafe { &*at };
        lock.lock();
        ColdGuard { cell: &self.0, lock }
    }
}

#[cfg(loom)]
impl<T> Drop for ColdGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.unlock();
    }
}

#[cfg(loom)]
impl<T> core::ops::Deref for ColdGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: this guard has the lock.
        unsafe { &*self.cell.get() }
    }
}

#[cfg(loom)]
impl<T> core::ops::DerefMut for ColdGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard has the lock, and `&mut self` lets no other reference be.
        unsafe { &mut *self.cell.get() }
    }
}
