//! Points: how far a queue has come, as others see it.
//!
//! A point is a queue and a tick of the clock (see `queue`), so it can be kept as two numbers for as long as one likes. It has passed when all
//! work that was issued there before that tick is done, or when its device is lost.

use super::event_pool::EventRef;
use super::queue::Queue;
use crate::cuda_driver::code;
use crate::error::{Result, quietly};

/// All work that was issued on a queue before some tick.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Point {
    queue: &'static Queue,
    tick: u64,
}

impl Point {
    /// What an event is behind.
    pub(super) fn of(queue: &'static Queue, pin: &EventRef) -> Point {
        Point { queue, tick: pin.tick() }
    }

    /// The point of a queue with that tick, which another point of it has or had: ticks are how points are kept.
    pub fn new(queue: &'static Queue, tick: u64) -> Point {
        Point { queue, tick }
    }

    /// Its queue.
    pub fn queue(self) -> &'static Queue {
        self.queue
    }

    /// Of two points of one queue the one with the higher tick comes later.
    pub fn tick(self) -> u64 {
        self.tick
    }

    /// Whether its work is known to be done, or its device is lost. Looks at memory only.
    #[inline]
    pub fn is_passed(self) -> bool {
        self.queue.has_passed(self.tick) || self.queue.gpu().is_lost()
    }

    /// Whether its work was not known to be done when its device was lost. Looks at memory only.
    pub fn is_lost(self) -> bool {
        self.queue.gpu().is_lost() && !self.queue.has_passed(self.tick)
    }

    /// Whether its work is done: asks the driver, and records an event if none is behind it. Never waits; under no lock. What cannot be
    /// known counts as not done.
    pub fn poll(self) -> bool {
        if self.is_passed() {
            return true;
        }
        let gpu = self.queue.gpu();
        if let (Ok(pin), Ok(inside)) = (self.pin(), gpu.enter()) {
            let _relaxed = inside.relaxed();
            // SAFETY: an event of ours, pinned.
            match unsafe { inside.cuEventQuery(pin.event()) } {
                Ok(code::SUCCESS) => self.queue.pass(pin.tick()),
                Ok(code::NOT_READY) | Err(_) => {}
                Ok(number) => drop(gpu.check(number, "cuEventQuery")),
            }
        }
        self.is_passed()
    }

    /// The host waits for its work, where no event can be had for all of its queue's; under no lock. TN_ERR_DRIVER: its device is lost.
    pub fn wait(self) -> Result<()> {
        let gpu = self.queue.gpu();
        if self.queue.has_passed(self.tick) {
            return Ok(());
        }
        let pin = match self.pin() {
            Ok(pin) => pin,
            // There is none, and no memory for one, perhaps.
            Err(status) => return if quietly(|| self.queue.drain()).is_ok() { Ok(()) } else { Err(status) },
        };
        let inside = gpu.enter()?;
        let _relaxed = inside.relaxed();
        // SAFETY: an event of ours, pinned.
        gpu.check(unsafe { inside.cuEventSynchronize(pin.event())? }, "cuEventSynchronize")?;
        self.queue.pass(pin.tick());
        Ok(())
    }

    /// The host waits until nothing of it goes on; under no lock. False: nobody can say when that is.
    pub fn outlast(self) -> bool {
        quietly(|| self.wait()).is_ok() || self.is_passed()
    }

    /// The first event behind it, recorded now if there is none.
    pub(super) fn pin(self) -> Result<EventRef> {
        let there = self.queue.behind(self.tick);
        match there {
            Some(pin) => Ok(pin),
            None => self.queue.record(false),
        }
    }
}
