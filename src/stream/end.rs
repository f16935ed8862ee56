//! The end of a queue: nobody holds it any more, its CUstream goes, and its work goes on.
//!
//! Contract: never waits. An event is recorded behind points that have none, as long as the stream has a name; a stream that we made is
//! destroyed, which leaves its work alone, and another library's is not touched from then on. The queue itself stays until all of its
//! points have passed; where no event could be recorded, that is after the next wait for the whole device.

use super::queue::{Origin, Queue};
use crate::error::quietly;
use crate::thread::QuickLock;
use core::sync::atomic::Ordering;

/// The queues that ended with work under way.
static ENDED: QuickLock<Ended> = QuickLock::new(Ended(core::ptr::null_mut()));

struct Ended(*mut Queue);

// SAFETY: queues may be reached from any thread.
unsafe impl Send for Ended {}

/// Ends it; called by who gave the last hold back, perhaps on the way out of a failure, whose text stays.
pub(super) fn end(queue: &'static Queue) {
    quietly(|| {
        let_go(queue);
        put_back(queue);
        reap();
    });
}

fn let_go(queue: &'static Queue) {
    queue.close_uses();
    if queue.gpu().alive().is_ok() {
        if queue.is_unmarked() {
            // A stream that captures, or is gone already: its points stay pending.
            let _ = queue.record_held(false);
        }
        if queue.origin() == Origin::Created
            && let Ok(inside) = queue.gpu().enter()
        {
            // SAFETY: made by us, and held by nobody.
            let _ = unsafe { inside.cuStreamDestroy_v2(queue.raw()) };
        }
    }
}

fn put_back(queue: &'static Queue) {
    let mut ended = ENDED.lock();
    queue.next.store(ended.0, Ordering::Relaxed);
    ended.0 = core::ptr::from_ref(queue).cast_mut();
}

/// Recycles the queues whose work is done by now.
pub(super) fn reap() {
    let mut at = core::mem::replace(&mut ENDED.lock().0, core::ptr::null_mut());
    // SAFETY: NULL or queues, which are never unmapped; the list is ours now.
    while let Some(queue) = unsafe { at.as_ref() } {
        at = queue.next.load(Ordering::Relaxed);
        queue.poll_marks();
        if queue.is_idle() { queue.recycle() } else { put_back(queue) }
    }
}
