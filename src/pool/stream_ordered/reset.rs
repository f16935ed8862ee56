//! A context that was reset: its memory is gone, also that of live blocks.
//!
//! Contract: memory of the old context is never handed out again. Free pieces leave the pool. A live block can still be
//! freed; its bytes then count as pending until the pool ends. No driver call is made for dead memory.

use crate::pool::Pool;
use crate::pool::span::{Span, StreamMark};
use crate::sys::os;
use core::sync::atomic::Ordering;

/// Lets pools forget memory of contexts that are reset from now on.
#[cfg(not(preload))]
pub(in crate::pool) fn watch_resets() {
    crate::gpu::on_reset(crate::gpu::Layer::Pools, |_| crate::pool::each_pool(Pool::drop_dead));
}

/// The library without devices has no stream-ordered pools.
#[cfg(preload)]
pub(in crate::pool) fn watch_resets() {}

impl Pool {
    /// Returns free pieces to the device, which frees none that is dead, and withholds the free parts of the others.
    #[cfg_attr(preload, allow(dead_code))]
    fn drop_dead(&'static self) {
        if !self.is_stream_ordered() {
            return;
        }
        self.has_dead.store(true, Ordering::Relaxed);
        self.free_ring();
        let mut state = self.state.lock();
        state.collect_passed(os::coarse_ms());
        state.merge_recents();
        state.dissolve_ranges();
        while let Some(piece) = state.evict(usize::MAX, usize::MAX / 2, None) {
            state = self.give_back(state, piece);
        }
        let ops = self.ops();
        state.withhold_free(|span| ops.is_dead(span.start.get()));
    }

    /// Whether a block lies in memory that went with a context.
    #[inline]
    pub(in crate::pool) fn is_dead(&'static self, address: usize) -> bool {
        self.has_dead.load(Ordering::Relaxed) && self.ops().is_dead(address)
    }

    /// Marks a span of dead memory, so that it is neither cleared nor handed out when it is freed.
    #[cold]
    pub(in crate::pool) fn mark_dead(&self, span: &'static Span) {
        span.set_mark(StreamMark::Captured);
    }
}
