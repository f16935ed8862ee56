//! Trim: returns cached memory to the device on request.

use crate::pool::registry::each_pool;
use crate::pool::state::Prealloc;
use crate::pool::{Pool, span, thread_heap};
use crate::sys::os;
use crate::thread;
use crate::types::*;

/// Trims all pools of a device, for other layers that need its memory. Memory of an upstream is not the device's.
pub(in crate::pool) fn trim_all(device: tn_device) {
    each_pool(|pool| {
        if pool.device() == device && !pool.is_imported() {
            pool.trim(0);
        }
    });
}

/// Trims the host's pools before the library is unloaded. Live blocks stay mapped. An upstream's callbacks may be gone.
#[cfg(not(any(loom, preload)))]
pub fn trim_at_unload() {
    each_pool(|pool| {
        if pool.device().r#type == TN_CPU && !pool.is_imported() {
            pool.trim(0);
        }
    });
}

impl Pool {
    /// Returns cached memory to the device, longest unused first, until at most `keep` bytes are cached or no whole
    /// piece is left. Never goes below what was committed at creation. Purges what stays cached. Returns the bytes by
    /// which reserved memory fell (PO-40, PO-41). A pool of a device returns nothing during a capture (PD-15).
    pub fn trim(&'static self, keep: usize) -> usize {
        if self.is_calling(thread::current()) {
            return 0;
        }
        self.free_ring();
        self.poll_all();
        if self.waits_for_captures() {
            return 0;
        }
        // What other processes had, and have no more.
        self.ops().free_left_over();
        if self.has_heaps() {
            thread_heap::reclaim_from_threads(self, keep == 0);
        }
        let mut released = 0;
        let mut prealloc = Prealloc::for_request(None);
        let mut state = self.state.lock();
        state.sort_returned(self);
        state.dissolve_empty(os::coarse_ms());
        state.merge_recent();
        // Other threads may free more meanwhile, and that stays.
        let at_first = state.stats().cached_bytes as usize;
        while released < at_first {
            let cached = state.stats().cached_bytes as usize;
            let most = state.spare();
            if most == 0 {
                break;
            }
            let Some(piece) = state.evict(cached.saturating_sub(keep), most, prealloc.as_mut()) else { break };
            released += piece.bytes;
            state = self.give_back(state, piece);
            if state.settings.terms.keeps {
                // Each piece may leave two spans behind.
                let more = || prealloc = Prealloc::for_request(None);
                state = self.unlocked(state, more).0;
            }
        }
        if state.settings.terms.in_order {
            let (floor, cached) = (state.settings.floor, state.stats().cached_bytes as usize);
            let in_use = state.figures.reserved_bytes as usize - cached;
            let stays = in_use.saturating_add(keep.max(cached)).max(floor);
            (state, released) = self.unlocked(state, || self.ops().trim(stays));
        }
        while let Some(piece) = state.drop_reserved() {
            state = self.give_back(state, piece);
        }
        state = self.purge_upstream(state);
        if state.stats().cached_bytes as usize > keep {
            state = self.unlocked(state, || self.purge_partial_spans()).0;
        }
        if keep == 0 && released > 0 {
            let vacate = || {
                drop(prealloc);
                span::vacate();
            };
            state = self.unlocked(state, vacate).0;
        }
        state.figures.trim_count += (released > 0) as u64;
        if state.retired {
            self.enforce_threshold(state, 0);
        } else {
            self.note_decay(&mut state, os::coarse_ms());
        }
        released
    }
}
