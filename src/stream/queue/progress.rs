//! How far a queue's work is: the points that were given out, the events behind them, and what is known to be done.
//!
//! Contract: only what records an event or asks about one calls the driver, and no lock is held meanwhile.

use super::waits::{capturing, is_capturing};
use super::{CLOCK, LEGACY, Queue, tick};
use crate::cuda_driver::{CUstream, code};
use crate::error::{Result, Status, fail};
use crate::gpu::Inside;
use crate::stream::event_pool::EventRef;
use crate::stream::point::Point;
use crate::types::*;
use core::sync::atomic::Ordering;

impl Queue {
    /// All that was issued so far, and perhaps some of what comes next. Asks no driver.
    pub fn now(&'static self) -> Point {
        // SeqCst: not read before the driver let go of what it issued last, see the head of `queue`.
        let tick = CLOCK.load(Ordering::SeqCst);
        if self.asked.load(Ordering::Relaxed) < tick {
            self.asked.fetch_max(tick, Ordering::Relaxed);
        }
        Point::new(self, tick)
    }

    /// All that was issued so far, with an event behind it. TN_ERR_UNSUPPORTED: it is capturing a graph; TN_ERR_DRIVER.
    pub fn mark(&'static self) -> Result<Point> {
        self.record(false).map(|pin| Point::of(self, &pin))
    }

    /// The same, and its event, with timing or without.
    pub(in crate::stream) fn record(&'static self, timing: bool) -> Result<EventRef> {
        match self.hold() {
            Some(_held) => self.record_held(timing),
            None => Err(self.refusal()),
        }
    }

    /// The same for one whose CUstream is there for certain.
    pub(in crate::stream) fn record_held(&'static self, timing: bool) -> Result<EventRef> {
        let gpu = self.gpu();
        if self.gone.load(Ordering::Relaxed) {
            return Err(self.refusal());
        }
        let inside = gpu.enter()?;
        let stream = if self.is_nameable() { self.raw() } else { LEGACY as CUstream };
        if is_capturing(gpu, &inside, stream)? {
            return Err(capturing(gpu));
        }
        let pin = EventRef::take(gpu, &inside, timing)?;
        pin.set_tick(tick());
        // SAFETY: an event of this context that nobody else uses, and a stream that is held.
        gpu.check(unsafe { inside.cuEventRecord(pin.event(), stream)? }, "cuEventRecord")?;
        self.marked.fetch_max(pin.tick(), Ordering::Relaxed);
        let mut marks = self.marks.lock();
        marks.insert(&pin);
        let many = marks.are_many();
        drop(marks);
        if many {
            self.look_at_marks(&inside);
        }
        Ok(pin)
    }

    /// Finds how many of many marks have passed.
    #[cold]
    fn look_at_marks(&'static self, inside: &Inside) {
        let _relaxed = inside.relaxed();
        loop {
            let Some(pin) = self.behind(0) else { break };
            // SAFETY: an event of ours.
            match unsafe { inside.cuEventQuery(pin.event()) } {
                Ok(code::SUCCESS) => self.pass(pin.tick()),
                _ => break,
            }
        }
        self.marks.lock().looked_at();
    }

    /// Everything up to a tick is done.
    pub(in crate::stream) fn pass(&self, tick: u64) {
        // Release pairs with the Acquire in `has_passed`: what the work wrote is there for who asks.
        self.passed.fetch_max(tick, Ordering::AcqRel);
        loop {
            let passed = self.marks.lock().take_passed(tick);
            if passed.is_none() {
                break;
            }
        }
    }

    /// The first event that has a tick behind it.
    pub(in crate::stream) fn behind(&self, tick: u64) -> Option<EventRef> {
        self.marks.lock().behind(tick)
    }

    /// Whether everything up to a tick is known to be done.
    #[inline]
    pub(in crate::stream) fn has_passed(&self, tick: u64) -> bool {
        self.passed.load(Ordering::Acquire) >= tick
    }

    /// Whether everything that was ever asked of it is done.
    pub(in crate::stream) fn is_idle(&self) -> bool {
        self.has_passed(self.asked.load(Ordering::Relaxed).max(self.marked.load(Ordering::Relaxed)))
    }

    /// Whether a point was given out that no event is behind.
    pub(in crate::stream) fn is_unmarked(&self) -> bool {
        let asked = self.asked.load(Ordering::Relaxed);
        asked > self.marked.load(Ordering::Relaxed) && !self.has_passed(asked)
    }

    /// The last of its marks, for one that ended.
    pub(in crate::stream) fn poll_marks(&'static self) {
        let last = self.marked.load(Ordering::Relaxed);
        if !self.has_passed(last) {
            let _ = Point::new(self, last).poll();
        }
    }

    #[cold]
    fn refusal(&self) -> Status {
        fail(
            TN_ERR_DRIVER,
            format_args!(
                "a stream of GPU {} ended before an event could be recorded behind its last work; \
                 tn_device_synchronize makes sure of it",
                self.gpu().id()
            ),
        )
    }
}
