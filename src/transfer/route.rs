//! Routes: who moves the bytes of a call, in which order, and what is left when it returns.
//!
//! Contract: the table "When a call returns" of docs/copies.md, once. Host memory of any kind is the host's, at once: no queue has part in
//! it. Where a GPU's memory takes part, its queue does the work, after all that is pending on the operands; with stream NULL that is the
//! thread's current one, which the call then waits for, and for no other.
#![forbid(unsafe_code)]

use crate::blit;
use crate::borrow;
use crate::device_copy::{self, Failed, MemoryView, Outstanding};
use crate::error::{Result, Status, Text, drafted, fail};
use crate::ledger::{InternalGuard, UseTime};
use crate::stream::{self, Queue, Stream};
use crate::types::*;

/// How the bytes of a call are moved.
#[derive(Clone, Copy)]
pub struct Route {
    /// None: by the host.
    queue: Option<&'static Queue>,
    /// All is done on return.
    now: bool,
    /// Nothing may be staged (TN_REQUIRE_ASYNC).
    strict: bool,
}

/// A route that cannot be: said after what the arguments are against the arrays.
pub struct NoRoute {
    status: Status,
    text: Text,
}

impl NoRoute {
    /// Says so.
    pub fn say(&self) -> Status {
        fail(self.status.code(), format_args!("{}", self.text.as_str()))
    }
}

impl Route {
    /// As [`Route::of`], for a call that says what is wrong later. Without elements nobody is asked.
    pub fn find(
        stream: &Stream,
        memories: &[tn_device],
        strict: bool,
        is_empty: bool,
    ) -> core::result::Result<Route, NoRoute> {
        let route = if is_empty { Ok(Route::HOST) } else { Route::of(stream, memories, strict) };
        route.map_err(|status| NoRoute { status, text: drafted() })
    }

    /// The host, now.
    pub const HOST: Route = Route { queue: None, now: true, strict: false };

    /// For a copy between memories, the destination first. TN_ERR_DEVICE: the stream is of none of their devices.
    pub fn of(stream: &Stream, memories: &[tn_device], strict: bool) -> Result<Route> {
        let mut gpus = memories.iter().copied().filter(|device| device.r#type == TN_CUDA);
        let Some(first) = gpus.next() else {
            // Nothing is put into a stream, but it has to be one that some of them could have.
            let fits = memories.iter().any(|device| stream.on(*device).is_ok());
            return if fits { Ok(Route::HOST) } else { stream.on(memories[0]).map(|_| Route::HOST) };
        };
        let queue = match (stream.on(first), gpus.next()) {
            (Err(_), Some(second)) => stream.on(second)?,
            (queue, _) => queue?,
        };
        Route { queue: None, now: queue.is_none(), strict }.through(queue, first)
    }

    /// For a fill: managed memory is filled on the stream that was given.
    pub fn of_fill(stream: &Stream, memory: tn_device) -> Result<Route> {
        match memory.r#type {
            TN_CUDA_MANAGED => Ok(Route { queue: stream.on(memory)?, now: false, strict: false }),
            _ => Route::of(stream, &[memory], false),
        }
    }

    fn through(self, queue: Option<&'static Queue>, gpu: tn_device) -> Result<Route> {
        let queue = match queue {
            Some(queue) => queue,
            None => stream::current(gpu)?,
        };
        if self.now && queue.is_capturing()? {
            return Err(fail(
                TN_ERR_UNSUPPORTED,
                format_args!(
                    "the thread's current stream is capturing a graph, and stream NULL waits; pass that stream"
                ),
            ));
        }
        Ok(Route { queue: Some(queue), ..self })
    }

    /// Whether the host moves them.
    pub fn is_host(&self) -> bool {
        self.queue.is_none()
    }

    /// The queue that moves them; None: the host does.
    pub fn queue(&self) -> Option<&'static Queue> {
        self.queue
    }

    /// When the bytes are touched; `wait`: the host waits for device work that is in its way.
    pub fn when(&self, wait: bool) -> UseTime {
        UseTime { queue: self.queue, wait }
    }

    /// Copies, as far as the route does before its call returns.
    pub fn copy(&self, dst: Result<MemoryView>, src: Result<MemoryView>) -> core::result::Result<Outstanding, Failed> {
        let nothing = |status| Failed { status, wrote: false };
        let (dst, src) = (dst.map_err(nothing)?, src.map_err(nothing)?);
        if dst.layout().is_empty() {
            return Ok(Outstanding::Nothing);
        }
        match (self.queue, dst.place(), src.place()) {
            (Some(queue), ..) => self.landed(device_copy::copy(queue, &dst, &src, self.strict)),
            (None, Some(to), Some(from)) => blit::copy(&to, &from).map(|()| Outstanding::Nothing).map_err(nothing),
            _ => unreachable!("a route of the host has host memory"),
        }
    }

    /// Sets every element.
    pub fn fill(&self, dst: Result<MemoryView>, value: &[u8]) -> core::result::Result<Outstanding, Failed> {
        let dst = dst.map_err(|status| Failed { status, wrote: false })?;
        if dst.layout().is_empty() {
            return Ok(Outstanding::Nothing);
        }
        match (self.queue, dst.place()) {
            (Some(queue), _) => self.landed(device_copy::fill(queue, &dst, value)),
            (None, Some(to)) => {
                blit::fill(&to, value);
                Ok(Outstanding::Nothing)
            }
            _ => unreachable!("a route of the host has host memory"),
        }
    }

    /// With stream NULL: waits for what is left.
    fn landed(&self, outcome: core::result::Result<Outstanding, Failed>) -> core::result::Result<Outstanding, Failed> {
        match (outcome, self.queue) {
            (Ok(Outstanding::Writing | Outstanding::Both), Some(queue)) if self.now => match queue.synchronize() {
                Ok(()) => Ok(Outstanding::Nothing),
                Err(status) => Err(Failed { status, wrote: true }),
            },
            (outcome, _) => outcome,
        }
    }

    /// Ends the guards of a copy or fill: what is left is recorded, and what failed in the middle is undefined.
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
                Err(failed) => Err(undone(dst, failed, None)),
            };
        };
        match outcome {
            Ok(Outstanding::Nothing) => [src, dst].into_iter().flatten().for_each(|hold| hold.end(false)),
            Ok(left) => {
                // A capture has no events: then what comes next on this queue says when it is done.
                let point = queue.record_point().unwrap_or_else(|_| queue.now());
                if let Some(src) = src {
                    if left == Outstanding::Both { src.end_at(false, point) } else { src.end(false) }
                }
                dst.into_iter().for_each(|dst| dst.end_at(false, point));
            }
            Err(failed) => {
                // Some of it may be on its way.
                src.into_iter().for_each(|src| src.end_at(false, queue.now()));
                return Err(undone(dst, failed, Some(queue)));
            }
        }
        Ok(())
    }
}

/// Ends the guard on a destination that did not get what it should; the first error's text stays.
fn undone(dst: Option<InternalGuard>, failed: Failed, queue: Option<&'static Queue>) -> Status {
    let text = drafted();
    match (dst, queue) {
        (Some(dst), Some(queue)) if failed.wrote => dst.end_at(true, queue.now()),
        (Some(dst), None) if failed.wrote => dst.end(true),
        (Some(dst), _) => borrow::abandon(dst),
        (None, _) => {}
    }
    fail(failed.status.code(), format_args!("{}", text.as_str()))
}
