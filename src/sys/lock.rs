//! The one-word lock of ledgers, pools and registries.
//!
//! Contract: locking costs one atomic exchange, unlocking one plain store; 2 to 5 ns without contention. A waiting
//! thread allocates nothing, so every call that promises a status where memory is short may wait. A [`RawLock`] alone
//! is held for nanoseconds: no allocation, callback, system call or free happens under it. A [`Mutex`] may be held for
//! longer.
//!
//! A waiter first spins, in growing steps. Without spinning, two threads that share a store put each other to sleep,
//! which was 4 times slower; the growing steps let the holder finish some work before the cache line moves. Then the
//! waiter sleeps on a futex. The unlock is a store and a check for sleepers, with no fence between them, so a thread
//! that goes to sleep at that moment may miss its wake. A short, growing timeout bounds the sleep; a missed wake costs
//! at most that time, and needs a preempted holder. A sleep causes one wake, so that a running thread does not pay a
//! system call per unlock until the sleeper runs.

#[cfg(not(loom))]
use core::hint::spin_loop;
#[cfg(not(loom))]
use core::sync::atomic::{AtomicU32, Ordering};
#[cfg(not(loom))]
use parking_lot::lock_api::{self, GuardNoSend};

/// A lock without data, for memory that `ledger` and `slots` manage.
#[cfg(not(loom))]
pub struct RawLock {
    word: AtomicU32,
    /// Not 0: a thread may be asleep.
    asleep: AtomicU32,
}

/// Pauses before the first check of the lock. Measured with two threads that borrow from one store: 46 to 70 ns per
/// borrow. With a first check after 4 pauses, or steps of at most 64, it is about 100 ns, because the lock's cache line
/// then moves with every borrow.
#[cfg(not(loom))]
const FIRST_PAUSES: u32 = 8;
/// Most pauses between two checks.
#[cfg(not(loom))]
const MAX_PAUSES: u32 = 128;
/// Pauses before a thread sleeps: a longer wait means that the holder was preempted.
#[cfg(not(loom))]
const SPIN_PAUSES: u32 = 1024;

#[cfg(not(loom))]
impl RawLock {
    /// A lock that is not held.
    pub const fn new() -> RawLock {
        RawLock { word: AtomicU32::new(0), asleep: AtomicU32::new(0) }
    }

    /// Takes the lock; waits for its holder.
    #[inline]
    pub fn lock(&self) {
        // Acquire pairs with the Release in `unlock`.
        if self.word.swap(1, Ordering::Acquire) != 0 {
            self.lock_slow();
        }
    }

    /// Takes the lock if it is free.
    pub fn try_lock(&self) -> bool {
        self.word.load(Ordering::Relaxed) == 0 && self.word.swap(1, Ordering::Acquire) == 0
    }

    /// Releases the lock. Called by its holder only.
    #[inline]
    pub fn unlock(&self) {
        // Release pairs with the Acquire in `lock` and `lock_slow`.
        self.word.store(0, Ordering::Release);
        if self.asleep.load(Ordering::Relaxed) != 0 {
            self.wake();
        }
    }

    #[cold]
    #[inline(never)]
    fn lock_slow(&self) {
        let mut timeout_us = 20;
        while !self.spin() {
            self.asleep.store(1, Ordering::Relaxed);
            // `asleep` stays set: there may be more sleepers, and the next unlock wakes one.
            if self.word.swap(1, Ordering::Acquire) == 0 {
                return;
            }
            super::os::futex_wait(&self.word, 1, timeout_us);
            timeout_us = (timeout_us * 2).min(1000);
        }
        if timeout_us > 20 {
            self.asleep.store(1, Ordering::Relaxed);
        }
    }

    /// Waits as long as a running holder may need. True: the lock was taken.
    fn spin(&self) -> bool {
        let (mut step, mut spent) = (FIRST_PAUSES, 0);
        while spent < SPIN_PAUSES {
            for _ in 0..step {
                spin_loop();
            }
            // Reading first keeps the cache line shared until the holder releases the lock.
            if self.word.load(Ordering::Relaxed) == 0 && self.word.swap(1, Ordering::Acquire) == 0 {
                return true;
            }
            spent += step;
            step = (2 * step).min(MAX_PAUSES);
        }
        false
    }

    #[cold]
    #[inline(never)]
    fn wake(&self) {
        self.asleep.store(0, Ordering::Relaxed);
        super::os::futex_wake(&self.word);
    }
}

/// A value behind the lock, for registries and the like. The mutexes of parking_lot allocate where threads wait, and
/// end the process without memory.
#[cfg(not(loom))]
pub type Mutex<T> = lock_api::Mutex<RawLock, T>;

/// As in other builds, for code that no model runs.
#[cfg(loom)]
pub use parking_lot::Mutex;

// SAFETY: the exchange lets one thread have the lock at a time, with Acquire and Release.
#[cfg(not(loom))]
unsafe impl lock_api::RawMutex for RawLock {
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: RawLock = RawLock::new();
    type Guard = GuardNoSend;
    fn lock(&self) -> GuardNoSend {
        RawLock::lock(self);
        GuardNoSend::new()
    }
    fn try_lock(&self) -> Option<GuardNoSend> {
        RawLock::try_lock(self).then_some(GuardNoSend::new())
    }
    unsafe fn unlock(&self, _: GuardNoSend) {
        RawLock::unlock(self);
    }
    fn is_locked(&self) -> bool {
        self.word.load(Ordering::Relaxed) != 0
    }
}

/// The lock in the model checker: a waiting thread is not run, so that a model ends, and a deadlock is found.
#[cfg(loom)]
pub struct RawLock {
    mutex: loom::sync::Mutex<()>,
    /// The holder's guard.
    guard: core::cell::UnsafeCell<Option<loom::sync::MutexGuard<'static, ()>>>,
}

// SAFETY: `guard` is accessed by the holder of the mutex only.
#[cfg(loom)]
unsafe impl Sync for RawLock {}
// SAFETY: the threads of a model take turns.
#[cfg(loom)]
unsafe impl Send for RawLock {}

#[cfg(loom)]
impl RawLock {
    /// A lock that is not held.
    #[allow(clippy::new_without_default)]
    pub fn new() -> RawLock {
        RawLock { mutex: loom::sync::Mutex::new(()), guard: core::cell::UnsafeCell::new(None) }
    }

    /// Takes the lock; waits for its holder.
    pub fn lock(&self) {
        // SAFETY: locks lie in slots and statics, which last as long as the threads of a model.
        let mutex: &'static loom::sync::Mutex<()> = unsafe { &*core::ptr::from_ref(&self.mutex) };
        let guard = mutex.lock().expect("a thread of the model panicked under the lock");
        // SAFETY: this thread has the mutex.
        unsafe { *self.guard.get() = Some(guard) };
    }

    /// Releases the lock. Called by its holder only.
    pub fn unlock(&self) {
        // SAFETY: the caller has the mutex.
        drop(unsafe { (*self.guard.get()).take() });
    }
}

#[cfg(not(loom))]
impl Default for RawLock {
    fn default() -> Self {
        RawLock::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::cell::UnsafeCell;

    #[test]
    fn every_count_under_the_lock_is_kept() {
        struct Shared(RawLock, UnsafeCell<u64>);
        // SAFETY: the number is accessed under the lock only.
        unsafe impl Sync for Shared {}
        impl Shared {
            fn count(&self) {
                self.0.lock();
                // SAFETY: under the lock.
                unsafe { *self.1.get() += 1 };
                self.0.unlock();
            }
        }
        let shared = Shared(RawLock::new(), UnsafeCell::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        shared.count();
                    }
                });
            }
        });
        assert_eq!(shared.1.into_inner(), 80_000);
    }
}
