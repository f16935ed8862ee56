//! Holds on pools, and the end: the last add_ref retires a pool, and with its last block it is over (PO-6).

use crate::pool::registry::retire;
use crate::pool::requests::Open;
use crate::pool::state::stream_lists::StreamLists;
use crate::pool::{Pool, thread_heap};
use crate::sys::os;
use crate::thread;

impl Pool {
    /// One more add_ref. The caller has one already, or knows of a live block.
    pub fn add_ref(&'static self) {
        self.state.lock().refs += 1;
    }

    /// One more add_ref, unless the last one went before.
    pub fn try_ref(&'static self) -> bool {
        let mut state = self.state.lock();
        state.refs += !state.retired as u64;
        !state.retired
    }

    /// Ends a add_ref. With the last one the pool is retired (PO-6).
    pub fn drop_ref(&'static self) {
        let mut state = self.state.lock();
        debug_assert!(state.refs > 0);
        state.refs -= 1;
        if state.refs == 0 {
            state.retired = true;
            if state.heaps.is_some() {
                state = self.unlocked(state, || thread_heap::end_all(self)).0;
            }
            state.sort_returned(self);
            if state.stream_lists.is_some() {
                state = self.unlocked(state, || self.poll_all()).0;
            }
            if state.listeners.is_some() {
                state = self.unlocked(state, || self.end_pressure()).0;
            }
            self.enforce_threshold(state, 0);
        }
    }

    /// Handles, threads and the library itself that add_ref it.
    pub fn refs(&self) -> u64 {
        self.state.lock().refs
    }

    /// Whether its last add_ref went: it has live blocks, or is over.
    pub fn is_retired(&self) -> bool {
        self.state.lock().retired
    }

    /// The end of every call that freed something: gives back what is due, and parks a pool to which nothing leads any
    /// more.
    pub(super) fn enforce_threshold(&'static self, mut state: Open, just: usize) {
        if state.retired && state.ring.is_some_and(|ring| ring.count() > 0) {
            state = self.unlocked(state, || self.free_ring()).0;
        }
        let now = os::coarse_ms();
        if !self.is_calling(thread::current()) {
            while let Some(piece) = state.evict_due(just, now) {
                state = self.give_back(state, piece);
            }
        }
        if state.is_over() && !core::mem::replace(&mut state.quarantined, true) {
            let ordered = state.stream_lists.take();
            drop(state);
            ordered.into_iter().for_each(StreamLists::release);
            self.call(|_| self.upstream.end());
            retire(self);
        }
    }

    /// Does something without the lock; the pool is not over before that is done.
    pub(super) fn unlocked<R>(&'static self, mut state: Open, work: impl FnOnce() -> R) -> (Open, R) {
        state.busy += 1;
        drop(state);
        let result = work();
        let mut state = self.state.lock();
        state.busy -= 1;
        (state, result)
    }
}
