//! Uses: work that others issue on a stream until they close the use.
//!
//! Contract: calls no driver. A use has no reference on its stream. A use that is open when its stream ends is closed
//! then, behind an event. So the owner of an imported stream keeps it until its open uses are closed, or the last
//! handle on it is released.

use super::Stream;
use crate::stream::point::Point;
use core::sync::atomic::Ordering;

impl Stream {
    /// Opens a use, which ends when [`Stream::close_use`] is called with the returned number. The caller has a
    /// reference on the stream.
    pub fn open_use(&self) -> u64 {
        self.open_uses.fetch_add(1, Ordering::Relaxed);
        self.life()
    }

    /// Whether a use is open.
    pub(in crate::stream) fn has_open_uses(&self) -> bool {
        self.open_uses.load(Ordering::Relaxed) > 0
    }

    /// The number of the stream's life: its record serves another CUstream later.
    pub fn life(&self) -> u64 {
        self.born.load(Ordering::Relaxed)
    }

    /// Whether the stream has been bound to one CUstream since the use was opened.
    pub fn has_use(&self, opened: u64) -> bool {
        self.born.load(Ordering::Relaxed) == opened
    }

    /// Closes a use, and returns a point behind its work. If the stream is bound to another CUstream by now, that work
    /// is done. Where the stream needs early events, the point has none unless the caller replaces it by one of
    /// [`Stream::end_of_use`].
    pub fn close_use(&'static self, opened: u64) -> Point {
        if !self.has_use(opened) {
            return Point::new(self, 0);
        }
        let _ = self.open_uses.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| open.checked_sub(1));
        let ended = || Some(self.ended.load(Ordering::SeqCst)).filter(|tick| *tick > 0);
        // No new point of a stream that has ended. If it ends now, either this thread sees that, or the end sees the
        // point of this thread.
        let tick = ended().unwrap_or_else(|| {
            let now = self.now().tick();
            ended().unwrap_or(now)
        });
        Point::new(self, tick)
    }

    /// Whether the stream ended while it had open uses.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst) > 0
    }

    /// Closes the open uses of a stream that ends, before its last event is recorded.
    pub(in crate::stream) fn close_uses(&'static self) {
        if self.has_open_uses() {
            self.ended.store(self.now().tick(), Ordering::SeqCst);
        }
    }
}
