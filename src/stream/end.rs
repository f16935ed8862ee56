//! The end of a queue: its last reference is gone, its CUstream ends, and its work goes on.
//!
//! Contract: never waits. An event is recorded behind points that have none, as long as the driver knows the stream. A stream that this
//! library created is destroyed, which does not affect its work; another library's stream is not used again. The queue itself stays until
//! all of its points have passed. Where no event could be recorded, that is after the next wait for the whole device.

use super::queue::{Origin, Queue};
use crate::error::quietly;
use crate::thread::QuickLock;
use core::sync::atomic::Ordering;

/// The queues that ended with unfinished work.
static ENDED: QuickLock<Ended> = QuickLock::new(Ended(core::ptr::null_mut()));

struct Ended(*mut Queue);

// SAFETY: queues may be reached from any thread.
unsafe impl Send for Ended {}

/// Ends a queue. The error message of a failing call, in which this may happen, is kept.
pub(super) fn end(queue: &'static Queue) {
    quietly(|| {
        end_stream(queue);
        add(queue);
        reap();
    });
}

fn end_stream(queue: &'static Queue) {
    queue.close_uses();
    if queue.gpu().alive().is_ok() {
        if queue.has_unrecorded() {
            // Fails if the stream captures or is gone: its points stay pending.
            let _ = queue.record_held(false);
        }
        if queue.origin() == Origin::Created
            && let Ok(inside) = queue.gpu().enter()
        {
            // SAFETY: created by this library, and without references.
            let _ = unsafe { inside.cuStreamDestroy_v2(queue.raw()) };
        }
    }
}

fn add(queue: &'static Queue) {
    let mut ended = ENDED.lock();
    queue.next.store(ended.0, Ordering::Relaxed);
    ended.0 = core::ptr::from_ref(queue).cast_mut();
}

/// Recycles the queues that ended and whose work is done.
pub(super) fn reap() {
    let mut at = core::mem::replace(&mut ENDED.lock().0, core::ptr::null_mut());
    // SAFETY: NULL or queues, which are never unmapped; the list belongs to this call.
    while let Some(queue) = unsafe { at.as_ref() } {
        at = queue.next.load(Ordering::Relaxed);
        queue.poll_last_event();
        if queue.is_idle() { queue.recycle() } else { add(queue) }
    }
}
