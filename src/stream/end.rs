//! The end of a stream: its last reference is gone, its CUstream ends, and its work goes on.
//!
//! Contract: never waits. An event is recorded behind points that have none, as long as the driver knows the stream. A
//! stream that this library created is destroyed, which does not affect its work; another library's stream is not used
//! again. The stream itself stays until all of its points have passed. Where no event could be recorded, that is after
//! the next wait for the whole device.

use super::state::{Origin, Stream};
use crate::error::quietly;
use crate::thread::QuickLock;
use core::sync::atomic::Ordering;

/// The streams that ended with unfinished work.
static ENDED: QuickLock<Ended> = QuickLock::new(Ended(core::ptr::null_mut()));

struct Ended(*mut Stream);

// SAFETY: streams may be reached from any thread.
unsafe impl Send for Ended {}

/// Ends a stream. The error message of a failing call, in which this may happen, is kept.
pub(super) fn end(stream: &'static Stream) {
    quietly(|| {
        end_stream(stream);
        add(stream);
        reap();
    });
}

fn end_stream(stream: &'static Stream) {
    stream.close_uses();
    if stream.gpu().alive().is_ok() {
        // The caller vouches for another library's stream only while uses are open.
        if stream.has_unrecorded() && (!stream.is_imported() || stream.has_ended()) {
            // Fails if the stream captures or is gone: its points stay pending.
            let _ = stream.record_held(false);
        }
        if stream.origin() == Origin::Created
            && let Ok(inside) = stream.enter()
        {
            // SAFETY: created by this library, and without references.
            let _ = unsafe { inside.cuStreamDestroy_v2(stream.raw()) };
        }
    }
}

fn add(stream: &'static Stream) {
    let mut ended = ENDED.lock();
    stream.next.store(ended.0, Ordering::Relaxed);
    ended.0 = core::ptr::from_ref(stream).cast_mut();
}

/// Recycles the streams that ended and whose work is done.
pub(super) fn reap() {
    let mut at = core::mem::replace(&mut ENDED.lock().0, core::ptr::null_mut());
    // SAFETY: NULL or streams, which are never unmapped; the list belongs to this call.
    while let Some(stream) = unsafe { at.as_ref() } {
        at = stream.next.load(Ordering::Relaxed);
        stream.poll_last_event();
        if stream.is_idle() { stream.recycle() } else { add(stream) }
    }
}
