//! References on queues. A CUstream lives as long as its queue has one.
//!
//! Handles, scopes, the threads whose current stream it is, and running calls have references. The last one ends the queue.

use super::end;
use super::queue::{Origin, Queue, each};
use crate::error::Result;
use crate::gpu::Gpu;
use core::sync::atomic::Ordering;

/// A reference on a queue.
#[derive(Debug, PartialEq)]
#[repr(transparent)]
pub struct QueueRef(&'static Queue);

impl QueueRef {
    /// The queue.
    pub fn queue(&self) -> &'static Queue {
        self.0
    }
}

impl Queue {
    /// A queue for a CUstream, with one reference.
    pub(super) fn begin(gpu: &'static Gpu, native: u64, origin: Origin, blocking: bool) -> Result<QueueRef> {
        Queue::start(gpu, native, origin, blocking).map(QueueRef)
    }

    /// One more reference on a queue that the caller knows to have one.
    pub fn new_ref(&'static self) -> QueueRef {
        let before = self.refs.fetch_add(1, Ordering::Relaxed);
        debug_assert!(before > 0, "the caller knows that the queue has a reference");
        QueueRef(self)
    }

    /// A reference, if the queue has one already.
    pub fn try_ref(&'static self) -> Option<QueueRef> {
        let more = |refs: u32| (refs > 0).then_some(refs + 1);
        self.refs.fetch_update(Ordering::Acquire, Ordering::Relaxed, more).ok().map(|_| QueueRef(self))
    }
}

impl Clone for QueueRef {
    fn clone(&self) -> QueueRef {
        self.0.new_ref()
    }
}

impl Drop for QueueRef {
    fn drop(&mut self) {
        // AcqRel: the end comes after all uses.
        if self.0.refs.fetch_sub(1, Ordering::AcqRel) == 1 {
            end::end(self.0);
        }
    }
}

/// The queue of a CUstream with a value of its own, if it is known.
pub(super) fn find(gpu: &'static Gpu, native: u64) -> Option<QueueRef> {
    let mut found = None;
    each(|queue| {
        if found.is_none() && queue.is_of(gpu, native) {
            // The queue may have ended a moment ago, and stand for another CUstream now.
            found = queue.try_ref().filter(|found| found.queue().is_of(gpu, native));
        }
    });
    found
}
