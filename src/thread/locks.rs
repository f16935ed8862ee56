//! Locks of the library: data behind a lock whose holder is in a critical section, so that no child of a fork inherits
//! the lock held.
//!
//! Contract: [`ColdLock`] for registries and reports, [`QuickLock`] for data that is locked for nanoseconds. Neither is
//! held across a callback or a free. In the model checker both are the same lock.

#[cfg(not(loom))]
use super::critical::CriticalSection;
#[cfg(loom)]
use super::model::lock_of;
use super::record::Thread;
#[cfg(not(loom))]
use super::register::current;
#[cfg(not(loom))]
use crate::sys::lock::Mutex;
use crate::sys::lock::RawLock;
use core::cell::UnsafeCell;
#[cfg(not(loom))]
use parking_lot::lock_api::MutexGuard;

/// A lock for registries and reports.
#[cfg(not(loom))]
pub struct ColdLock<T>(Mutex<T>);

/// A held lock.
#[cfg(not(loom))]
pub struct ColdGuard<'a, T> {
    // In this order: the lock is released before the critical section ends.
    guard: MutexGuard<'a, RawLock, T>,
    _inside: CriticalSection,
}

#[cfg(not(loom))]
impl<T> ColdLock<T> {
    /// A lock around `value`, not held.
    pub const fn new(value: T) -> ColdLock<T> {
        ColdLock(Mutex::new(value))
    }
    /// Takes the lock.
    pub fn lock(&self) -> ColdGuard<'_, T> {
        self.lock_as(current())
    }
    /// Takes the lock; `thread` is the calling thread.
    #[inline]
    pub fn lock_as(&self, thread: &'static Thread) -> ColdGuard<'_, T> {
        let inside = CriticalSection::enter(thread);
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

/// A lock for data that is locked for nanoseconds. It costs one atomic exchange less than [`ColdLock`]; `sys::lock`
/// lists what may not happen under it.
#[cfg(not(loom))]
pub struct QuickLock<T> {
    lock: RawLock,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached through a `QuickGuard` only, and the lock lets one exist at a time.
#[cfg(not(loom))]
unsafe impl<T: Send> Sync for QuickLock<T> {}

/// A held lock.
#[cfg(not(loom))]
pub struct QuickGuard<'a, T> {
    of: &'a QuickLock<T>,
    /// Dropped after the lock was released.
    _inside: CriticalSection,
}

#[cfg(not(loom))]
impl<T> QuickLock<T> {
    /// A lock around `value`, not held.
    pub const fn new(value: T) -> QuickLock<T> {
        QuickLock { lock: RawLock::new(), value: UnsafeCell::new(value) }
    }
    /// Takes the lock.
    #[inline]
    pub fn lock(&self) -> QuickGuard<'_, T> {
        self.lock_as(current())
    }
    /// Passes the value if the lock becomes free soon; false if it does not. For signal handlers: it neither waits nor
    /// needs a thread's record.
    pub fn peek(&self, read: impl FnOnce(&T)) -> bool {
        const TRIES: usize = 10_000;
        let taken = (0..TRIES).any(|_| {
            core::hint::spin_loop();
            self.lock.try_lock()
        });
        if taken {
            // SAFETY: this call has the lock.
            read(unsafe { &*self.value.get() });
            self.lock.unlock();
        }
        taken
    }
    /// Takes the lock; `thread` is the calling thread.
    #[inline]
    pub fn lock_as(&self, thread: &'static Thread) -> QuickGuard<'_, T> {
        let inside = CriticalSection::enter(thread);
        self.lock.lock();
        QuickGuard { of: self, _inside: inside }
    }
}

impl<T: Default> Default for QuickLock<T> {
    fn default() -> QuickLock<T> {
        QuickLock::new(T::default())
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
        // SAFETY: this guard has the lock, and `&mut self` excludes other references.
        unsafe { &mut *self.of.value.get() }
    }
}

#[cfg(loom)]
pub use self::{ColdGuard as QuickGuard, ColdLock as QuickLock};

/// Both locks in the model checker. A new lock is made in each iteration of a model, while the data stay.
#[cfg(loom)]
pub struct ColdLock<T>(UnsafeCell<T>);

// SAFETY: the value is reached through a `ColdGuard` only, and the lock lets one exist at a time.
#[cfg(loom)]
unsafe impl<T: Send> Sync for ColdLock<T> {}

/// A held lock.
#[cfg(loom)]
pub struct ColdGuard<'a, T> {
    cell: &'a UnsafeCell<T>,
    lock: &'static RawLock,
}

#[cfg(loom)]
impl<T> ColdLock<T> {
    /// A lock around `value`, not held.
    pub const fn new(value: T) -> ColdLock<T> {
        ColdLock(UnsafeCell::new(value))
    }
    /// Models have no signal handlers.
    pub fn peek(&self, _read: impl FnOnce(&T)) -> bool {
        false
    }
    /// Takes the lock; `thread` is the calling thread.
    pub fn lock_as(&self, _thread: &'static Thread) -> ColdGuard<'_, T> {
        self.lock()
    }
    /// Takes the lock.
    pub fn lock(&self) -> ColdGuard<'_, T> {
        let lock = lock_of(core::ptr::from_ref(self) as usize);
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
        // SAFETY: this guard has the lock, and `&mut self` excludes other references.
        unsafe { &mut *self.cell.get() }
    }
}
