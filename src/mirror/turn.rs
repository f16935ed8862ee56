//! The turn of a call on a mirror: one call at a time works on it, and the others wait.
//!
//! Contract: a turn may last as long as a transfer, so it is no lock of `thread`: it is held across driver calls and
//! callbacks, and a fork does not wait for it. A thread that has the turn already, because a callback of its call uses
//! the mirror again, is refused. In the child of a fork, the turn of a thread of the parent has ended.
#![forbid(unsafe_code)]

use crate::sys::os;
use crate::thread;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Whose turn it is.
pub struct Turns {
    /// The number of forks in the high half, the number of the thread plus one in the low one; 0: nobody's.
    owner: AtomicU64,
    /// Incremented when a turn ends. Waiting threads sleep on it.
    ended: AtomicU32,
}

/// A turn; its drop ends it.
pub struct Turn<'a>(&'a Turns);

impl Turns {
    /// Nobody's turn.
    pub const fn new() -> Turns {
        Turns { owner: AtomicU64::new(0), ended: AtomicU32::new(0) }
    }

    /// Waits for the turn. None: the calling thread has it already.
    pub fn wait(&self) -> Option<Turn<'_>> {
        let forks = u64::from(thread::forks());
        let own = forks << 32 | (u64::from(thread::current().number()) + 1);
        loop {
            // Read first: if the turn ends after the exchange below failed, the number differs, and the thread does not
            // sleep.
            let ended = self.ended.load(Ordering::Acquire);
            // Acquire pairs with the Release in `drop`.
            let Err(owner) = self.owner.compare_exchange(0, own, Ordering::Acquire, Ordering::Relaxed) else {
                return Some(Turn(self));
            };
            if owner == own {
                return None;
            }
            if owner >> 32 == forks {
                os::futex_wait(&self.ended, ended, MAX_SLEEP_US);
            } else if self.owner.compare_exchange(owner, own, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                return Some(Turn(self));
            }
        }
    }
}

/// A waiting thread looks again after this time, so that one that overslept, because another took its wake, goes on.
const MAX_SLEEP_US: u32 = 1000;

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.owner.store(0, Ordering::Release);
        self.0.ended.fetch_add(1, Ordering::Release);
        os::futex_wake(&self.0.ended);
    }
}
