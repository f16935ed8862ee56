//! References on pools, and the end of a pool. Dropping the last reference retires the pool. Its record is
//! quarantined after the last block was freed (PO-6).

use crate::error::{Result, fail, quietly};
use crate::pool::registry::retire;
use crate::pool::requests::LockedState;
use crate::pool::state::stream_lists::StreamLists;
use crate::pool::{Pool, thread_heap};
use crate::sys::os;
use crate::thread;
use crate::types::TN_ERR_STALE;
use core::sync::atomic::Ordering;

/// How long one call gives memory back that decays, roughly.
const GIVE_BACK_NS: u64 = 100_000;

impl Pool {
    /// Adds a reference. The caller has one already, or knows a live block.
    pub fn add_ref(&'static self) {
        self.state.lock().refs += 1;
    }

    /// Adds a reference, unless the pool is retired.
    pub fn try_ref(&'static self) -> bool {
        let mut state = self.state.lock();
        state.refs += !state.retired as u64;
        !state.retired
    }

    /// Adds a reference. TN_ERR_STALE if the pool is retired.
    pub fn keep(&'static self) -> Result<()> {
        if self.try_ref() {
            return Ok(());
        }
        Err(fail(TN_ERR_STALE, format_args!("pool \"{}\" was released already", self.name().as_str())))
    }

    /// Drops a reference. With the last one the pool is retired (PO-6).
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
            if self.redirection_count.load(Ordering::Relaxed) > 0 {
                state = self.unlocked(state, || self.end_redirections()).0;
            }
            self.enforce_threshold(state, 0);
        }
    }

    /// References of handles, threads and the library itself.
    pub fn refs(&self) -> u64 {
        self.state.lock().refs
    }

    /// Whether the last reference was dropped. Such a pool has live blocks, or is over.
    pub fn is_retired(&self) -> bool {
        self.state.lock().retired
    }

    /// Returns free memory above the threshold, or unused for too long, to the device. Every call that freed something
    /// ends here. A pool that nothing refers to any more ends here too. Pools of devices return nothing during a capture; a
    /// later call does. `just_freed`: bytes that this very call freed;
    /// usize::MAX: none. True: more is due, and is left to later calls.
    pub(super) fn enforce_threshold(&'static self, mut state: LockedState, just_freed: usize) -> bool {
        if state.retired && state.ring.is_some_and(|ring| ring.count() > 0) {
            state = self.unlocked(state, || self.free_ring()).0;
        }
        let now = os::coarse_ms();
        let mut more_is_due = false;
        let mut postponed = false;
        if self.is_stream_ordered() && state.is_due(just_freed, now) {
            (state, postponed) = self.unlocked(state, || quietly(|| self.waits_for_captures()));
        }
        if !postponed && !self.is_calling(thread::current()) {
            let mut start = None;
            while !more_is_due && let Some(piece) = state.evict_due(just_freed, now) {
                let start = *start.get_or_insert_with(os::time_ns);
                state = self.give_back(state, piece);
                more_is_due = state.decays() && os::time_ns() - start > GIVE_BACK_NS;
            }
            self.note_decay(&mut state, now);
        }
        if state.is_over() && !core::mem::replace(&mut state.quarantined, true) {
            let ordered = state.stream_lists.take();
            drop(state);
            ordered.into_iter().for_each(StreamLists::release);
            self.call(|_| self.upstream.end());
            self.end_source();
            #[cfg(not(preload))]
            self.end_spill();
            retire(self);
        }
        more_is_due
    }

    /// Runs `work` without the lock. The pool does not end before `work` has returned.
    pub(super) fn unlocked<R>(&'static self, mut state: LockedState, work: impl FnOnce() -> R) -> (LockedState, R) {
        state.busy += 1;
        drop(state);
        let result = work();
        let mut state = self.state.lock();
        state.busy -= 1;
        (state, result)
    }
}
