//! What waits for what: a queue for a point, the host for a queue; and captures, which neither may be part of.
//!
//! Contract: no lock is held while the driver is called.

use super::{Origin, Queue, tick};
use crate::cuda_driver::CUstream;
use crate::error::{Result, Status, fail};
use crate::gpu::{Gpu, Inside};
use crate::stream::point::Point;
use crate::stream::queue_ref::QueueRef;
use crate::types::*;
use core::sync::atomic::Ordering;

impl Queue {
    /// Makes what is issued on this queue from now on wait for a point; the host does not. Nothing to do where that is so already.
    /// TN_ERR_UNSUPPORTED: one of the two is capturing a graph; TN_ERR_DRIVER: the point's stream ended with no event behind the point, or
    /// this one ended, or is another thread's own, of which the driver would take this thread's.
    pub fn wait_for(&'static self, point: Point) -> Result<()> {
        if self.follows(point) {
            return Ok(());
        }
        let Some(_held) = self.hold().filter(|_| self.is_nameable()) else { return Err(self.out_of_reach()) };
        let pin = point.pin()?;
        let gpu = self.gpu();
        let inside = gpu.enter()?;
        if is_capturing(gpu, &inside, self.raw())? {
            return if point.poll() { Ok(()) } else { Err(capturing(gpu)) };
        }
        // The driver waits for the record that the event has now, whatever is recorded on it later (cuEventRecord's reference).
        // SAFETY: an event that is pinned, of whatever GPU, and a stream that is held.
        gpu.check(unsafe { inside.cuStreamWaitEvent(self.raw(), pin.event(), 0)? }, "cuStreamWaitEvent")?;
        self.order.lock().learn(point.queue().head.number(), pin.tick());
        Ok(())
    }

    /// Whether what is issued on this queue from now on comes after a point for certain. Asks no driver.
    pub fn follows(&'static self, point: Point) -> bool {
        self == point.queue()
            || point.is_passed()
            || self.is_ordered_with(point.queue())
            || self.order.lock().has(point.queue().head.number(), point.tick())
    }

    /// The legacy stream waits for what was issued on the blocking ones of its GPU, and they for it (PD-9).
    fn is_ordered_with(&self, other: &Queue) -> bool {
        let legacy = self.origin() == Origin::Legacy || other.origin() == Origin::Legacy;
        let blocking = self.blocking.load(Ordering::Relaxed) && other.blocking.load(Ordering::Relaxed);
        legacy && blocking && core::ptr::eq(self.gpu(), other.gpu())
    }

    /// Waits for all that was issued on it so far (ST-6), under no lock. TN_ERR_UNSUPPORTED: it is capturing a graph, which goes on.
    pub fn synchronize(&'static self) -> Result<()> {
        let gpu = self.gpu();
        let inside = gpu.enter()?;
        if is_capturing(gpu, &inside, self.raw())? {
            return Err(capturing(gpu));
        }
        let tick = tick();
        // SAFETY: a stream that the caller holds.
        gpu.check(unsafe { inside.cuStreamSynchronize(self.raw())? }, "cuStreamSynchronize")?;
        self.pass(tick);
        Ok(())
    }

    /// The same for one that perhaps nobody holds, with no event, and no harm to captures of others. TN_ERR_DRIVER: it ended, or is another
    /// thread's own.
    pub(in crate::stream) fn drain(&'static self) -> Result<()> {
        let reached = |_: &QueueRef| self.is_nameable() && !self.gone.load(Ordering::Relaxed);
        let Some(_held) = self.hold().filter(reached) else { return Err(self.out_of_reach()) };
        let inside = self.gpu().enter()?;
        let _relaxed = inside.relaxed();
        self.synchronize()
    }

    /// Whether one ever can be: the legacy stream's work is in no graph.
    pub fn can_be_captured(&self) -> bool {
        self.origin() != Origin::Legacy
    }

    /// Whether a graph is being captured on it.
    pub fn is_capturing(&'static self) -> Result<bool> {
        let gpu = self.gpu();
        is_capturing(gpu, &gpu.enter()?, self.raw())
    }

    #[cold]
    fn out_of_reach(&self) -> Status {
        fail(
            TN_ERR_DRIVER,
            format_args!(
                "a stream of GPU {} ended, or is another thread's own, and cannot be made to wait",
                self.gpu().id()
            ),
        )
    }
}

/// Whether a graph is being captured on a stream that the caller holds.
/// Asked before anything that would break a capture: the reference promises that asking breaks none, also where the answer is IMPLICIT.
pub(super) fn is_capturing(gpu: &'static Gpu, inside: &Inside, stream: CUstream) -> Result<bool> {
    const NONE: u32 = 0;
    /// Another thread captures a graph, and the legacy stream would become part of it.
    const IMPLICIT: u32 = 906;
    let mut status = NONE;
    // SAFETY: a stream that the caller holds; the number is ours.
    match unsafe { inside.cuStreamIsCapturing(stream, &mut status)? } {
        IMPLICIT => Ok(true),
        number => gpu.check(number, "cuStreamIsCapturing").map(|()| status != NONE),
    }
}

#[cold]
pub(super) fn capturing(gpu: &Gpu) -> Status {
    fail(
        TN_ERR_UNSUPPORTED,
        format_args!("a graph is being captured on this stream of GPU {}, and this cannot be part of it", gpu.id()),
    )
}
