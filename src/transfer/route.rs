//! Routes: whether the host or a queue moves the bytes of a call, and what is outstanding when the call returns.
//!
//! Contract: this module implements the table "When a call returns" of docs/copies.md. The host copies between host memories of any kind
//! itself, before the call returns. A queue does the work if an operand is memory of a GPU, after all work that is pending on the operands.
//! With stream NULL this is the thread's current stream, and the call waits for that stream only.
#![forbid(unsafe_code)]

use crate::blit;
use crate::borrow;
use crate::device_copy::{self, Failed, MemoryView, Outstanding};
use crate::error::{Result, Status, Text, drafted, fail};
use crate::ledger::{InternalGuard, UseTime};
use crate::stream::{self, Queue, Stream};
use crate::types::*;

/// The way in which the bytes of a call are moved.
#[derive(Clone, Copy)]
pub struct Route {
    /// The queue that moves them. None: the host does.
    queue: Option<&'static Queue>,
    /// Whether the call waits until all work is complete.
    is_synchronous: bool,
    /// Staging is forbidden (TN_REQUIRE_ASYNC).
    strict: bool,
}

/// The failure to find a route. The call reports it after the faults of its arguments, which come first in the order of checks.
pub struct NoRoute {
    status: Status,
    text: Text,
}

impl NoRoute {
    /// The status of the failure. Its text becomes the draft again.
    pub fn report(&self) -> Status {
        fail(self.status.code(), format_args!("{}", self.text.as_str()))
    }
}

impl Route {
    /// As [`Route::of`], for a call that reports a failure later. Arrays without elements need no stream: the route is the host.
    pub fn find(
        stream: &Stream,
        memories: &[tn_device],
        strict: bool,
        is_empty: bool,
    ) -> core::result::Result<Route, NoRoute> {
        let route = if is_empty { Ok(Route::HOST) } else { Route::of(stream, memories, strict) };
        route.map_err(|status| NoRoute { status, text: drafted() })
    }

    /// The host moves the bytes before the call returns.
    pub const HOST: Route = Route { queue: None, is_synchronous: true, strict: false };

    /// The route of a copy between memories, the destination first. TN_ERR_DEVICE: the stream belongs to none of their devices.
    pub fn of(stream: &Stream, memories: &[tn_device], strict: bool) -> Result<Route> {
        let mut gpus = memories.iter().copied().filter(|device| device.r#type == TN_CUDA);
        let Some(first) = gpus.next() else {
            // No work is enqueued. The stream must still be valid for one of the memories.
            let fits = memories.iter().any(|device| stream.on(*device).is_ok());
            return if fits { Ok(Route::HOST) } else { stream.on(memories[0]).map(|_| Route::HOST) };
        };
        let queue = match (stream.on(first), gpus.next()) {
            (Err(_), Some(second)) => stream.on(second)?,
            (queue, _) => queue?,
        };
        Route { queue: None, is_synchronous: queue.is_none(), strict }.on(queue, first)
    }

    /// The route of a fill. Managed memory is filled on the stream that the caller gave.
    pub fn of_fill(stream: &Stream, memory: tn_device) -> Result<Route> {
        match memory.r#type {
            TN_CUDA_MANAGED => Ok(Route { queue: stream.on(memory)?, is_synchronous: false, strict: false }),
            _ => Route::of(stream, &[memory], false),
        }
    }

    /// This route on a queue. None: on the thread's current stream of a GPU.
    fn on(self, queue: Option<&'static Queue>, gpu: tn_device) -> Result<Route> {
        let queue = match queue {
            Some(queue) => queue,
            None => stream::current(gpu)?,
        };
        if self.is_synchronous && queue.is_capturing()? {
            return Err(fail(
                TN_ERR_UNSUPPORTED,
                format_args!(
                    "the thread's current stream is capturing a graph, and stream NULL waits; pass that stream"
                ),
            ));
        }
        Ok(Route { queue: Some(queue), ..self })
    }

    /// Whether the host moves the bytes.
    pub fn is_host(&self) -> bool {
        self.queue.is_none()
    }

    /// The queue that moves the bytes. None: the host does.
    pub fn queue(&self) -> Option<&'static Queue> {
        self.queue
    }

    /// The time at which the bytes are used. `wait`: the host waits for conflicting device work.
    pub fn when(&self, wait: bool) -> UseTime {
        UseTime { queue: self.queue, wait }
    }

    /// Copies every element, or enqueues the copy. Returns what is outstanding.
    pub fn copy(&self, dst: Result<MemoryView>, src: Result<MemoryView>) -> core::result::Result<Outstanding, Failed> {
        let nothing = |status| Failed { status, wrote: false };
        let (dst, src) = (dst.map_err(nothing)?, src.map_err(nothing)?);
        if dst.layout().is_empty() {
            return Ok(Outstanding::Nothing);
        }
        match (self.queue, dst.host_view(), src.host_view()) {
            (Some(queue), ..) => self.wait_if_synchronous(device_copy::copy(queue, &dst, &src, self.strict)),
            (None, Some(to), Some(from)) => blit::copy(&to, &from).map(|()| Outstanding::Nothing).map_err(nothing),
            _ => unreachable!("the host's route has host memory only"),
        }
    }

    /// Sets every element, or enqueues the fill. Returns what is outstanding.
    pub fn fill(&self, dst: Result<MemoryView>, value: &[u8]) -> core::result::Result<Outstanding, Failed> {
        let dst = dst.map_err(|status| Failed { status, wrote: false })?;
        if dst.layout().is_empty() {
            return Ok(Outstanding::Nothing);
        }
        match (self.queue, dst.host_view()) {
            (Some(queue), _) => self.wait_if_synchronous(device_copy::fill(queue, &dst, value)),
            (None, Some(to)) => {
                blit::fill(&to, value);
                Ok(Outstanding::Nothing)
            }
            _ => unreachable!("the host's route has host memory only"),
        }
    }

    /// Waits for outstanding work if the route is synchronous.
    fn wait_if_synchronous(
        &self,
        outcome: core::result::Result<Outstanding, Failed>,
    ) -> core::result::Result<Outstanding, Failed> {
        match (outcome, self.queue) {
            (Ok(Outstanding::Writing | Outstanding::Both), Some(queue)) if self.is_synchronous => {
                match queue.synchronize() {
                    Ok(()) => Ok(Outstanding::Nothing),
                    Err(status) => Err(Failed { status, wrote: true }),
                }
            }
            (outcome, _) => outcome,
        }
    }

    /// Ends the guards of a copy or fill. The stores record outstanding work. A destination that was written in part is poisoned.
    pub fn end(
        &self,
        dst: Option<InternalGuard>,
        src: Option<InternalGuard>,
        outcome: core::result::Result<Outstanding, Failed>,
    ) -> Result<()> {
        let Some(queue) = self.queue else {
            src.into_iter().for_each(|src| src.end(false));
            return match outcome {
                Ok(_) => {
                    dst.into_iter().for_each(|dst| dst.end(false));
                    Ok(())
                }
                Err(failed) => Err(end_failed(dst, failed, None)),
            };
        };
        match outcome {
            Ok(Outstanding::Nothing) => [src, dst].into_iter().flatten().for_each(|guard| guard.end(false)),
            Ok(left) => {
                // A queue that captures records no events. Then its next point stands for the work.
                let point = queue.record_point().unwrap_or_else(|_| queue.now());
                if let Some(src) = src {
                    if left == Outstanding::Both { src.end_at(false, point) } else { src.end(false) }
                }
                dst.into_iter().for_each(|dst| dst.end_at(false, point));
            }
            Err(failed) => {
                // A part of the copy may be enqueued already.
                src.into_iter().for_each(|src| src.end_at(false, queue.now()));
                return Err(end_failed(dst, failed, Some(queue)));
            }
        }
        Ok(())
    }
}

/// Ends the guard of a destination whose copy or fill failed. The text of that failure stays the draft.
fn end_failed(dst: Option<InternalGuard>, failed: Failed, queue: Option<&'static Queue>) -> Status {
    let text = drafted();
    match (dst, queue) {
        (Some(dst), Some(queue)) if failed.wrote => dst.end_at(true, queue.now()),
        (Some(dst), None) if failed.wrote => dst.end(true),
        (Some(dst), _) => borrow::abandon(dst),
        (None, _) => {}
    }
    fail(failed.status.code(), format_args!("{}", text.as_str()))
}
