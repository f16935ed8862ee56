//! Uses: work on a queue that others issue and say the end of later.
//!
//! Contract: asks no driver. A use holds nothing: one that is open when its queue ends is closed there, behind an event.

use super::Queue;
use crate::stream::point::Point;
use core::sync::atomic::Ordering;

impl Queue {
    /// Opens a use: work that others issue on it until [`Queue::close_use`] is told the number that this gives. The caller holds the queue,
    /// the use does not: it is closed when the queue ends, behind an event.
    pub fn open_use(&self) -> u64 {
        self.opened.store(true, Ordering::Relaxed);
        self.born.load(Ordering::Relaxed)
    }

    /// Whether it still is what it was when that use was opened.
    pub fn has_use(&self, opened: u64) -> bool {
        self.born.load(Ordering::Relaxed) == opened
    }

    /// Closes a use: a point behind its work. The queue may have ended meanwhile, and be another one by now, which it was not before that work
    /// was done.
    pub fn close_use(&'static self, opened: u64) -> Point {
        if !self.has_use(opened) {
            return Point::new(self, 0);
        }
        let ended = || Some(self.ended.load(Ordering::SeqCst)).filter(|tick| *tick > 0);
        // Not asked of one that has ended: nothing comes behind it any more. Where it ends in between, either this finds so, or the end finds
        // what was asked.
        let tick = ended().unwrap_or_else(|| {
            let now = self.now().tick();
            ended().unwrap_or(now)
        });
        Point::new(self, tick)
    }

    /// It ends, and with it the uses that are open; before an event is recorded behind what was asked.
    pub(in crate::stream) fn close_uses(&'static self) {
        if self.opened.load(Ordering::Relaxed) {
            self.ended.store(self.now().tick(), Ordering::SeqCst);
        }
    }
}
