//! Points: positions in a stream.
//!
//! A point is a stream and a tick of the clock (see `state`), and so can be kept without limit. It has passed when all
//! work that was issued on the stream before that tick is done, or when the device is lost.

use super::event_pool::EventRef;
use super::state::Stream;
use crate::cuda_driver::code;
use crate::error::{Result, quietly};

/// All work that was issued on a stream before a tick.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Point {
    stream: &'static Stream,
    tick: u64,
}

impl Point {
    /// The point of an event.
    pub(super) fn of(stream: &'static Stream, event: &EventRef) -> Point {
        Point { stream, tick: event.tick() }
    }

    /// The point of a stream with a tick that came from another point of that stream.
    pub fn new(stream: &'static Stream, tick: u64) -> Point {
        Point { stream, tick }
    }

    /// The stream.
    pub fn stream(self) -> &'static Stream {
        self.stream
    }

    /// The tick. Of two points of one stream, the one with the higher tick comes later.
    pub fn tick(self) -> u64 {
        self.tick
    }

    /// Whether the work is known to be done, or the device is lost. Calls no driver.
    #[inline]
    pub fn is_passed(self) -> bool {
        self.stream.has_passed(self.tick) || self.stream.gpu().is_lost()
    }

    /// Whether the device was lost before the work was known to be done. Calls no driver.
    pub fn is_lost(self) -> bool {
        self.stream.gpu().is_lost() && !self.stream.has_passed(self.tick)
    }

    /// Whether the work is done: queries the driver, and records an event if there is none. Never waits; called under
    /// no lock. False where the driver cannot tell.
    pub fn poll(self) -> bool {
        if self.is_passed() {
            return true;
        }
        let gpu = self.stream.gpu();
        // Entering finds out about a reset, with which the work has passed.
        if let Ok(inside) = gpu.enter()
            && !self.is_passed()
            && let Ok(event) = self.event()
        {
            // SAFETY: an event of ours, with a reference.
            match unsafe { inside.cuEventQuery(event.event()) } {
                Ok(code::SUCCESS) => self.stream.pass(event.tick()),
                Ok(code::NOT_READY) | Err(_) => {}
                Ok(number) => drop(gpu.check(number, "cuEventQuery")),
            }
        }
        self.is_passed()
    }

    /// Waits for the work on the host; if no event can be recorded, for all work of the stream. Called under no lock.
    /// TN_ERR_DRIVER: the device is lost; or the stream is another library's and has no event, so that only the
    /// program's wait for the whole device shows the end.
    pub fn wait(self) -> Result<()> {
        if self.stream.has_passed(self.tick) {
            return Ok(());
        }
        match self.event() {
            Ok(event) => self.stream.wait_for_own(&event),
            // No event, and perhaps no memory for one.
            Err(_) if quietly(|| self.stream.drain()).is_ok() => Ok(()),
            Err(status) => Err(status),
        }
    }

    /// As [`Point::wait`], but TN_ERR_UNSUPPORTED or TN_ERR_DRIVER where no event can be recorded.
    pub fn wait_for_event(self) -> Result<()> {
        if self.stream.has_passed(self.tick) {
            return Ok(());
        }
        self.stream.wait_for_own(&self.event()?)
    }

    /// Waits on the host until the work no longer runs; called under no lock. False: it may still run, and the driver
    /// cannot tell when it ends.
    pub fn outlast(self) -> bool {
        quietly(|| self.wait()).is_ok() || self.is_passed()
    }

    /// The first event at or behind the point, recorded now if there is none. TN_ERR_DRIVER: there is none, and the
    /// stream is another library's, which may have destroyed it.
    pub(super) fn event(self) -> Result<EventRef> {
        let recorded = self.stream.behind(self.tick);
        match recorded {
            Some(event) => Ok(event),
            None if self.stream.is_foreign() => Err(self.stream.ended_error()),
            None => self.stream.record(false),
        }
    }
}
