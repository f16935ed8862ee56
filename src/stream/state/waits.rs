//! Waits: of a stream for a point, and of the host for a stream. Neither may become part of a graph capture.
//!
//! Contract: no lock is held while the driver is called.

use super::{Origin, Stream, advance_clock};
use crate::cuda_driver::{CUevent, CUstream};
use crate::error::{Result, Status, fail, quietly};
use crate::gpu::{Gpu, Inside};
use crate::options;
use crate::stream::point::Point;
use crate::stream::stream_ref::StreamRef;
use crate::types::*;
use core::sync::atomic::Ordering;

impl Stream {
    /// Makes new work on this stream wait for a point, without waiting on the host. TN_ERR_UNSUPPORTED: one of the two
    /// streams captures a graph. TN_ERR_DRIVER: the point's stream ended with no event behind the point; or this one
    /// ended, or is another thread's per-thread stream, whose value would mean the calling thread's.
    pub fn wait_for(&'static self, point: Point) -> Result<()> {
        if self.follows(point) {
            return Ok(());
        }
        let Some(_stream_ref) = self.try_ref().filter(|_| self.is_nameable()) else { return Err(self.unreachable()) };
        let (gpu, other) = (self.gpu(), point.stream().gpu());
        if !core::ptr::eq(gpu, other) {
            // Finds out about a reset of the other GPU, whose events are gone then.
            drop(other.enter()?);
        }
        let inside = self.enter()?;
        if point.is_passed() {
            return Ok(());
        }
        let event = point.event()?;
        if is_capturing(gpu, &inside, self.raw())? {
            return if point.poll() { Ok(()) } else { Err(capturing(gpu)) };
        }
        // The driver waits for the latest record of the event, also if the event is recorded again later (reference of
        // cuEventRecord).
        // SAFETY: an event with a reference, of any GPU, and a stream with a reference.
        gpu.check(unsafe { inside.cuStreamWaitEvent(self.raw(), event.event(), 0)? }, "cuStreamWaitEvent")?;
        self.known_waits.lock().learn(point.stream().head.number(), event.tick());
        Ok(())
    }

    /// Makes new work on this stream wait for an event of another library, which exists during the call.
    ///
    /// # Safety
    /// - `event` is an event of the driver.
    pub unsafe fn wait_for_foreign(&'static self, event: CUevent) -> Result<()> {
        let Some(_stream_ref) = self.try_ref().filter(|_| self.is_nameable()) else { return Err(self.unreachable()) };
        let gpu = self.gpu();
        let inside = self.enter()?;
        if is_capturing(gpu, &inside, self.raw())? {
            return Err(capturing(gpu));
        }
        // SAFETY: the caller's obligation, and a stream with a reference.
        gpu.check(unsafe { inside.cuStreamWaitEvent(self.raw(), event, 0)? }, "cuStreamWaitEvent")
    }

    /// Whether new work on this stream is known to come after a point. Calls no driver.
    pub fn follows(&'static self, point: Point) -> bool {
        self == point.stream()
            || point.is_passed()
            || self.is_ordered_with(point.stream())
            || self.known_waits.lock().has(point.stream().head.number(), point.tick())
    }

    /// Whether the driver orders the two: the legacy stream of a GPU with its blocking streams (PD-9).
    fn is_ordered_with(&self, other: &Stream) -> bool {
        let legacy = self.origin() == Origin::Legacy || other.origin() == Origin::Legacy;
        let blocking = self.blocking.load(Ordering::Relaxed) && other.blocking.load(Ordering::Relaxed);
        let known = self.origin() != Origin::Unknown && other.origin() != Origin::Unknown;
        known && legacy && blocking && core::ptr::eq(self.gpu(), other.gpu())
    }

    /// Waits on the host for all work issued so far (ST-6). TN_ERR_UNSUPPORTED: the stream captures a graph, which
    /// continues.
    pub fn synchronize(&'static self) -> Result<()> {
        let gpu = self.gpu();
        let inside = self.enter()?;
        if is_capturing(gpu, &inside, self.raw())? {
            return Err(capturing(gpu));
        }
        if options::stream_waits_block() {
            // The driver waits for a stream as the context's flags say, which belong to the program.
            return self.wait_for_own(&self.record(false)?);
        }
        let tick = advance_clock();
        // SAFETY: the caller has a reference on the stream.
        gpu.check(unsafe { inside.cuStreamSynchronize(self.raw())? }, "cuStreamSynchronize")?;
        self.pass(tick);
        Ok(())
    }

    /// As [`Stream::synchronize`], for a stream that may have no reference. TN_ERR_DRIVER: it ended, is another
    /// thread's per-thread stream, or another library's, which may have been destroyed.
    pub(in crate::stream) fn drain(&'static self) -> Result<()> {
        let reachable = |_: &StreamRef| self.is_nameable() && !self.is_foreign();
        let Some(_stream_ref) = self.try_ref().filter(reachable) else { return Err(self.unreachable()) };
        self.synchronize()
    }

    /// Whether the stream can capture: the legacy stream cannot.
    pub fn can_be_captured(&self) -> bool {
        self.origin() != Origin::Legacy
    }

    /// Whether the stream captures a graph.
    pub fn is_capturing(&'static self) -> Result<bool> {
        let gpu = self.gpu();
        is_capturing(gpu, &self.enter()?, self.raw())
    }

    /// TN_ERR_UNSUPPORTED: the stream captures a graph. A stream that ended, or that this thread cannot name, is not
    /// asked, and one whose context is gone captures nothing.
    pub(in crate::stream) fn refuse_capture(&'static self) -> Result<()> {
        match self.try_ref().filter(|_| self.is_nameable()) {
            Some(_stream_ref) if quietly(|| self.is_capturing()).unwrap_or(false) => Err(capturing(self.gpu())),
            _ => Ok(()),
        }
    }

    /// TN_ERR_UNSUPPORTED: the stream is the legacy one, and a blocking stream of the GPU captures a graph, which work on
    /// the legacy stream would break. Asks the driver for the legacy stream only, once for each call of the program that
    /// issues work there. Another thread may begin a capture behind the question.
    pub fn check_legacy(&'static self) -> Result<()> {
        if self.can_be_captured() || !self.is_capturing()? {
            return Ok(());
        }
        Err(fail(
            TN_ERR_UNSUPPORTED,
            format_args!(
                "a blocking stream of GPU {} captures a graph, and work on the legacy stream would break that; use another stream, or \
                 capture on a stream that does not block",
                self.gpu().id()
            ),
        ))
    }

    #[cold]
    fn unreachable(&self) -> Status {
        fail(
            TN_ERR_DRIVER,
            format_args!(
                "a stream of GPU {} ended, or is another thread's per-thread stream, and cannot be made to wait",
                self.gpu().id()
            ),
        )
    }
}

/// Whether a stream captures a graph. Queried before calls that would break a capture; the driver's reference
/// guarantees that the query breaks none, also where its result is IMPLICIT.
pub(super) fn is_capturing(gpu: &'static Gpu, inside: &Inside, stream: CUstream) -> Result<bool> {
    const NONE: u32 = 0;
    /// CUDA_ERROR_STREAM_CAPTURE_IMPLICIT: another thread captures a graph, and the legacy stream would become part of
    /// it.
    const IMPLICIT: u32 = 906;
    let mut status = NONE;
    // SAFETY: the caller has a reference on the stream; the number is ours.
    match unsafe { inside.cuStreamIsCapturing(stream, &mut status)? } {
        IMPLICIT => Ok(true),
        number => gpu.check(number, "cuStreamIsCapturing").map(|()| status != NONE),
    }
}

#[cold]
pub(super) fn capturing(gpu: &Gpu) -> Status {
    fail(
        TN_ERR_UNSUPPORTED,
        format_args!("this stream of GPU {} captures a graph, which this call cannot be part of", gpu.id()),
    )
}
