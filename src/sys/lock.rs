//! The one-word lock of ledgers, pools and registries.
//!
//! Contract: one atomic exchange in, one plain store out; 2 to 5 ns when nobody else wants it. What it guards is held for
//! nanoseconds: no allocation, no callback, no system call, no free happens under it. It does not know what it guards.
//!
//! It spins a little (two threads that share a store would otherwise put each other to sleep, which was 4 times slower), in growing
//! steps, so that whoever has the lock gets some turns done before the line with it travels; then it sleeps on a futex. The unlock is a
//! store followed by a look at whether somebody sleeps, with no fence between: a sleeper that arrives at that very moment may miss its
//! wake. Sleeping is therefore bounded by a short, growing timeout; what is lost is at most that time, in a case that takes a preempted
//! holder to happen at all. One wake per sleep: a running thread must not pay a system call per turn until the sleeper runs.

#[cfg(not(loom))]
use core::hint::spin_loop;
#[cfg(not(loom))]
use core::sync::atomic::{AtomicU32, Ordering};

/// A lock without its data: `ledger` and `slots` guard memory of their own with it.
#[cfg(not(loom))]
pub struct RawLock {
    word: AtomicU32,
    /// Not 0: somebody sleeps, or may.
    asleep: AtomicU32,
}

/// Pauses before the first look, most pauses between two, and of a whole wait: longer ones are those for a preempted holder. Measured
/// with two threads that borrow from one store: 46 to 70 ns a turn, with the first look after 4 pauses or steps up to 64 about 100,
/// because the lock's line then travels at every turn.
#[cfg(not(loom))]
const FIRST_STEP: u32 = 8;
#[cfg(not(loom))]
const LARGEST_STEP: u32 = 128;
#[cfg(not(loom))]
const SPINS: u32 = 1024;

#[cfg(not(loom))]
impl RawLock {
    /// A free lock.
    pub const fn new() -> RawLock {
        RawLock { word: AtomicU32::new(0), asleep: AtomicU32::new(0) }
    }

    /// Takes the lock; waits for whoever has it.
    #[inline]
    pub fn lock(&self) {
        // Acquire pairs with the Release in `unlock`.
        if self.word.swap(1, Ordering::Acquire) != 0 {
            self.lock_slow();
        }
    }

    /// Gives the lock back. Only its holder may call this.
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
            // The mark stays: there may be more sleepers, and the next unlock wakes one.
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

    /// Waits as long as a holder that runs may need; whether the lock was taken.
    fn spin(&self) -> bool {
        let (mut step, mut spent) = (FIRST_STEP, 0);
        while spent < SPINS {
            for _ in 0..step {
                spin_loop();
            }
            // Reading first keeps the line shared until the holder lets go.
            if self.word.load(Ordering::Relaxed) == 0 && self.word.swap(1, Ordering::Acquire) == 0 {
                return true;
            }
            spent += step;
            step = (2 * step).min(LARGEST_STEP);
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

/// The lock as a model explores it: a thread that waits is not run, so that a model ends, and a deadlock is found as one.
#[cfg(loom)]
pub struct RawLock {
    mutex: loom::sync::Mutex<()>,
    /// The holder's.
    guard: core::cell::UnsafeCell<Option<loom::sync::MutexGuard<'static, ()>>>,
}

// SAFETY: `guard` is touched by the holder of the mutex only.
#[cfg(loom)]
unsafe impl Sync for RawLock {}
// SAFETY: the threads of a model take turns.
#[cfg(loom)]
unsafe impl Send for RawLock {}

#[cfg(loom)]
impl RawLock {
    /// A free lock.
    #[allow(clippy::new_without_default)]
    pub fn new() -> RawLock {
        RawLock { mutex: loom::sync::Mutex::new(()), guard: core::cell::UnsafeCell::new(None) }
    }

    /// Takes the lock; waits for whoever has it.
    pub fn lock(&self) {
        // SAFETY: locks lie in slots and statics, which last as long as the threads of a model.
        let mutex: &'static loom::sync::Mutex<()> = unsafe { &*core::ptr::from_ref(&self.mutex) };
        let guard = mutex.lock().expect("a thread of the model panicked under the lock");
        // SAFETY: we have the mutex.
        unsafe { *self.guard.get() = Some(guard) };
    }

    /// Gives the lock back. Only its holder may call this.
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
    fn nobody_is_lost_and_nobody_is_inside_twice() {
        struct Shared(RawLock, UnsafeCell<u64>);
        // SAFETY: the number is touched under the lock only.
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
