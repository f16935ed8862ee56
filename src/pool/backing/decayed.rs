//! Memory that has decayed goes back while calls need no pool's lock.
//!
//! Contract: a pool that keeps more than may stay for ever says so with [`Pool::note_decay`]. While any does,
//! allocations on slow paths call [`give_back_decayed`]: one of them in each tick of the coarse clock gives back a
//! portion of one pool. Fast paths do so as well, each time that their heap has checked its peaks, which is often while
//! memory decays. Where more is due, and when the first pool begins to decay, fast paths leave the next call to a slow
//! path. A call from inside the library, where locks may be held, does nothing.

use crate::pool::registry::each_pool;
use crate::pool::state::PoolState;
use crate::pool::{Pool, thread_heap};
use crate::sys::os;
use crate::thread::{self, ColdLock};
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// The number of pools that keep memory which decays.
static DECAYING: ColdLock<usize> = ColdLock::new(0);
/// Whether there are any.
static ANY: AtomicBool = AtomicBool::new(false);
/// The time of the last search; 0: more was due then.
static SEARCHED_MS: AtomicU64 = AtomicU64::new(0);
/// The pools take turns.
static TURN: AtomicUsize = AtomicUsize::new(0);

/// Whether a pool keeps memory that decays.
#[inline(always)]
pub fn is_decaying() -> bool {
    ANY.load(Ordering::Relaxed)
}

/// Gives back what has decayed, if it is time to. For slow paths of allocations. True: more is due.
#[inline(always)]
pub fn give_back_decayed() -> bool {
    is_decaying() && look()
}

#[cold]
#[inline(never)]
fn look() -> bool {
    // The library's own allocations come here too where it replaces malloc.
    let Some(thread) = thread::current_if_registered().filter(|thread| !thread.is_inside()) else { return false };
    let (now, last) = (os::coarse_ms(), SEARCHED_MS.load(Ordering::Relaxed));
    if now == last || SEARCHED_MS.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_err() {
        return false;
    }
    thread::set_due(false);
    thread_heap::shorten_allowances(thread);
    let mut skip = TURN.fetch_add(1, Ordering::Relaxed) % (*DECAYING.lock()).max(1);
    let mut found = None;
    each_pool(|pool| {
        if found.is_none() && pool.decaying.load(Ordering::Relaxed) {
            match skip.checked_sub(1) {
                Some(less) => skip = less,
                None => found = Some(pool),
            }
        }
    });
    let more_is_due = found.is_some_and(|pool| pool.enforce_threshold(pool.state.lock(), usize::MAX));
    if more_is_due {
        SEARCHED_MS.store(0, Ordering::Relaxed);
        thread::set_due(true);
        // Another thread may have ended the decay since, and would not turn fast paths on again.
        if !is_decaying() {
            thread::set_due(false);
        }
    }
    more_is_due
}

impl Pool {
    /// Notes whether the pool keeps memory that decays. Under its lock.
    pub(in crate::pool) fn note_decay(&self, state: &mut PoolState, now: u64) {
        let decaying = state.keeps_for_later(now);
        if self.decaying.load(Ordering::Relaxed) == decaying {
            return;
        }
        self.decaying.store(decaying, Ordering::Relaxed);
        let mut pools = DECAYING.lock();
        *pools = if decaying { *pools + 1 } else { *pools - 1 };
        let any = *pools > 0;
        if ANY.swap(any, Ordering::Relaxed) != any {
            // Allowances may be long as yet.
            thread::set_due(any);
        }
    }
}
