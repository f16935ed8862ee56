//! Holds on queues: as long as one lives, the CUstream does.
//!
//! Handles, scopes, the threads whose current stream it is, and calls under way hold a queue. The last hold ends it.

use super::end;
use super::queue::Queue;
use core::sync::atomic::Ordering;

/// A hold on a queue: its CUstream stays while this lives.
#[derive(Debug, PartialEq)]
pub struct QueueRef(pub(super) &'static Queue);

impl QueueRef {
    /// The queue.
    pub fn queue(&self) -> &'static Queue {
        self.0
    }

    /// The hold as a number, for a place that keeps it; not 0.
    pub fn into_bits(self) -> usize {
        let bits = core::ptr::from_ref(self.0) as usize;
        core::mem::forget(self);
        bits
    }

    /// Back from [`QueueRef::into_bits`], which is then nobody's any more; None for 0.
    ///
    /// # Safety
    /// - `bits` is 0, or came from `into_bits` and was not turned back yet.
    pub unsafe fn from_bits(bits: usize) -> Option<QueueRef> {
        // SAFETY: queues are never unmapped; the caller's promise.
        unsafe { (bits as *const Queue).as_ref().map(QueueRef) }
    }
}

impl Clone for QueueRef {
    fn clone(&self) -> QueueRef {
        self.0.held()
    }
}

impl Drop for QueueRef {
    fn drop(&mut self) {
        // AcqRel: who ends it comes after all who used it.
        if self.0.holds.fetch_sub(1, Ordering::AcqRel) == 1 {
            end::end(self.0);
        }
    }
}
