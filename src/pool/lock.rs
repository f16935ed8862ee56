//! The library's small lock, with the data that it guards.
//!
//! Contract: a thread that has the lock counts as inside the library. No fork happens meanwhile, so a child never
//! inherits a closed lock. The lock is held for nanoseconds; nothing waits, allocates or calls the system under it.

#[cfg(not(loom))]
pub(super) use crate::thread::{QuickGuard as Locked, QuickLock as Lock};
#[cfg(loom)]
pub(super) use model::{Lock, Locked};

/// The lock under the model checker. Loom's own locks cannot stand in statics, and pools are not part of what loom
/// explores. Threads of a model take turns, and no thread yields while it has this lock. So no thread ever finds it
/// closed.
#[cfg(loom)]
mod model {
    use crate::thread::{self, CriticalSection};
    use core::cell::UnsafeCell;
    use core::ops::{Deref, DerefMut};

    struct Raw(core::sync::atomic::AtomicBool);

    impl Raw {
        const fn new() -> Raw {
            Raw(core::sync::atomic::AtomicBool::new(false))
        }
        fn lock(&self) {
            let closed = self.0.swap(true, core::sync::atomic::Ordering::Acquire);
            assert!(!closed, "a thread of the model yielded while it had a pool's lock");
        }
        fn unlock(&self) {
            self.0.store(false, core::sync::atomic::Ordering::Release);
        }
    }

    /// Data that only the holder of the lock reaches.
    pub struct Lock<T> {
        raw: Raw,
        data: UnsafeCell<T>,
    }

    // SAFETY: the data is reached through a `Locked` only, and the raw lock lets one exist at a time.
    unsafe impl<T: Send> Sync for Lock<T> {}

    impl<T> Lock<T> {
        pub const fn new(data: T) -> Lock<T> {
            Lock { raw: Raw::new(), data: UnsafeCell::new(data) }
        }

        #[inline]
        pub fn lock(&self) -> Locked<'_, T> {
            let inside = CriticalSection::enter(thread::current());
            self.raw.lock();
            Locked { lock: self, _inside: inside }
        }
    }

    /// Access to the data; unlocks when dropped.
    pub struct Locked<'a, T> {
        lock: &'a Lock<T>,
        // Dropped after `drop` below has unlocked.
        _inside: CriticalSection,
    }

    impl<T> Deref for Locked<'_, T> {
        type Target = T;
        #[inline]
        fn deref(&self) -> &T {
            // SAFETY: this guard holds the lock, so no other reference to the data exists.
            unsafe { &*self.lock.data.get() }
        }
    }

    impl<T> DerefMut for Locked<'_, T> {
        #[inline]
        fn deref_mut(&mut self) -> &mut T {
            // SAFETY: as in `deref`, and `&mut self` says that this guard gave out no other reference.
            unsafe { &mut *self.lock.data.get() }
        }
    }

    impl<T> Drop for Locked<'_, T> {
        #[inline]
        fn drop(&mut self) {
            self.lock.raw.unlock();
        }
    }
}
