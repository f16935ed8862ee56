//! Routes: whether the host or a stream moves the bytes of a call, and what is outstanding when the call returns.
//!
//! Contract: this module implements the table in section "Between host and devices" of docs/copies.md. If all operands
//! of a copy are host memory, of whatever kind, the host moves the bytes before the call returns. If an operand is
//! memory of a GPU, a stream moves them, after all work that is pending on the operands. With stream NULL, this is the
//! thread's current stream, and the call waits for it alone.
#![forbid(unsafe_code)]

use crate::blit::{self, HostView};
use crate::borrow;
use crate::device_copy::{self, Failed, MemoryView, Outstanding};
use crate::error::{Kept, Result, Status, fail, quietly};
use crate::events::{self, Event, Kind};
use crate::layout::Layout;
use crate::ledger::{InternalGuard, NewStore, UseTime};
use crate::slots::Id;
use crate::stream::{self, Point, Stream, StreamArg};
use crate::types::*;

/// The result of a copy or fill.
pub type Outcome = core::result::Result<Outstanding, Failed>;

/// The way in which the bytes of a call are moved.
#[derive(Clone, Copy)]
pub struct Route {
    /// The stream that moves them. None: the host does.
    stream: Option<&'static Stream>,
    /// Whether the call waits until all work is complete.
    is_synchronous: bool,
    /// Whether a copy fails instead of using staging memory (TN_REQUIRE_ASYNC).
    strict: bool,
}

impl Route {
    /// The host moves the bytes before the call returns.
    pub const HOST: Route = Route { stream: None, is_synchronous: true, strict: false };

    /// As [`Route::of`], for a call that reports a failure later, because some errors precede it in the order of
    /// checks. If the arrays are empty, the stream is not checked, and the route is [`Route::HOST`].
    pub fn find(
        stream: &StreamArg,
        memories: &[tn_device],
        strict: bool,
        is_empty: bool,
    ) -> core::result::Result<Route, Kept> {
        let route = if is_empty { Ok(Route::HOST) } else { Route::of(stream, memories, strict) };
        route.map_err(Kept::new)
    }

    /// The route of a copy between memories, the destination first. TN_ERR_DEVICE: the stream belongs to none of their
    /// devices.
    pub fn of(stream: &StreamArg, memories: &[tn_device], strict: bool) -> Result<Route> {
        let mut gpus = memories.iter().copied().filter(|device| device.r#type == TN_CUDA);
        let Some(first) = gpus.next() else {
            // The host needs no stream, but the argument must be valid for one of the memories. The error names the
            // destination.
            if memories.iter().all(|device| stream.on(*device).is_err()) {
                stream.on(memories[0])?;
            }
            return Ok(Route::HOST);
        };
        // A stream of either GPU can order a copy between two.
        let stream = match (stream.on(first), gpus.next()) {
            (Err(_), Some(second)) => stream.on(second)?,
            (stream, _) => stream?,
        };
        match stream {
            Some(stream) => Ok(Route { stream: Some(stream), is_synchronous: false, strict }),
            None => Route::on_current_stream(first, strict),
        }
    }

    /// The route for stream NULL: the thread's current stream of a GPU, for which the call waits.
    fn on_current_stream(gpu: tn_device, strict: bool) -> Result<Route> {
        let stream = stream::current(gpu)?;
        if stream.is_capturing()? {
            return Err(fail(
                TN_ERR_UNSUPPORTED,
                format_args!(
                    "the thread's current stream is capturing a graph, and stream NULL waits; pass that stream"
                ),
            ));
        }
        Ok(Route { stream: Some(stream), is_synchronous: true, strict })
    }

    /// The route of a fill. Managed memory is filled on the stream that the caller gave, and by the host for stream
    /// NULL.
    pub fn of_fill(stream: &StreamArg, memory: tn_device) -> Result<Route> {
        match memory.r#type {
            TN_CUDA_MANAGED => Ok(Route { stream: stream.on(memory)?, is_synchronous: false, strict: false }),
            _ => Route::of(stream, &[memory], false),
        }
    }

    /// Whether the host moves the bytes.
    pub fn is_host(&self) -> bool {
        self.stream.is_none()
    }

    /// The stream that moves the bytes. None: the host does.
    pub fn stream(&self) -> Option<&'static Stream> {
        self.stream
    }

    /// The time at which the bytes are used. `wait`: the host waits for conflicting device work.
    pub fn when(&self, wait: bool) -> UseTime {
        UseTime { stream: self.stream, ..UseTime::HOST.waiting(wait) }
    }

    /// Copies every element, or enqueues the copy. If a view could not be made, that error is the outcome, so that
    /// [`Route::end`] can end the guards.
    pub fn copy(&self, dst: Result<MemoryView>, src: Result<MemoryView>) -> Outcome {
        let (dst, src) = (dst.map_err(wrote_nothing)?, src.map_err(wrote_nothing)?);
        if dst.layout().is_empty() {
            return Ok(Outstanding::Nothing);
        }
        log_transfer(&dst, &src, self.stream);
        match (self.stream, dst.host_view(), src.host_view()) {
            (Some(stream), ..) => self.wait_if_synchronous(device_copy::copy(stream, &dst, &src, self.strict)),
            (None, Some(to), Some(from)) => {
                blit::copy(&to, &from).map(|()| Outstanding::Nothing).map_err(wrote_nothing)
            }
            _ => unreachable!("the host's route has host memory only"),
        }
    }

    /// Sets every element, or enqueues the fill. If the view could not be made, that error is the outcome.
    pub fn fill(&self, dst: Result<MemoryView>, value: &[u8]) -> Outcome {
        let dst = dst.map_err(wrote_nothing)?;
        if dst.layout().is_empty() {
            return Ok(Outstanding::Nothing);
        }
        match (self.stream, dst.host_view()) {
            (Some(stream), _) => self.wait_if_synchronous(device_copy::fill(stream, &dst, value)),
            (None, Some(to)) => {
                blit::fill(&to, value);
                Ok(Outstanding::Nothing)
            }
            _ => unreachable!("the host's route has host memory only"),
        }
    }

    /// Waits for outstanding work if the route is synchronous.
    fn wait_if_synchronous(&self, outcome: Outcome) -> Outcome {
        match (outcome, self.stream) {
            (Ok(Outstanding::Writing | Outstanding::Both), Some(stream)) if self.is_synchronous => {
                match stream.synchronize() {
                    Ok(()) => {
                        device_copy::load_wanted(stream.gpu());
                        Ok(Outstanding::Nothing)
                    }
                    Err(status) => Err(Failed { status, wrote: true }),
                }
            }
            (outcome, _) => outcome,
        }
    }

    /// Ends the guards of a copy or fill. The stores record outstanding work. A destination that was written in part is
    /// poisoned.
    pub fn end(&self, dst: Option<InternalGuard>, src: Option<InternalGuard>, outcome: Outcome) -> Result<()> {
        let until = self.end_source(src, outcome);
        match (dst, outcome) {
            (None, _) => {}
            (Some(dst), Ok(_)) => end_guard(dst, false, until),
            (Some(dst), Err(failed)) if failed.wrote => quietly(|| end_guard(dst, true, until)),
            (Some(dst), Err(_)) => quietly(|| borrow::abandon(dst)),
        }
        outcome.map(drop).map_err(|failed| failed.status)
    }

    /// Makes an array of a new store that a copy or fill has written, and ends the guard of the source. If that failed,
    /// the bytes are freed after the work that is enqueued on them.
    pub fn publish(&self, mut new_store: NewStore, src: Option<InternalGuard>, outcome: Outcome) -> Result<Id> {
        if let Some(point) = self.end_source(src, outcome) {
            new_store.set_ready(point);
        }
        match outcome {
            Ok(_) => Ok(new_store.finish_locked().1),
            Err(failed) => {
                quietly(|| drop(new_store));
                Err(failed.status)
            }
        }
    }

    /// Ends the guard of a source, and returns the point until which the stream writes the destination.
    fn end_source(&self, src: Option<InternalGuard>, outcome: Outcome) -> Option<Point> {
        let until = self.stream.and_then(|stream| match outcome {
            Ok(Outstanding::Nothing) => None,
            // No event can be recorded on a stream that captures a graph. Then a point without an event stands for the
            // work.
            Ok(_) => Some(stream.record_point().unwrap_or_else(|_| stream.now())),
            // The stream may use the bytes already, for a part of the copy.
            Err(_) => Some(stream.end_of_use()),
        });
        let read_until = until.filter(|_| !matches!(outcome, Ok(Outstanding::Writing)));
        src.into_iter().for_each(|src| end_guard(src, false, read_until));
        until.filter(|_| !matches!(outcome, Err(Failed { wrote: false, .. })))
    }
}

/// Ends a guard. Work of a stream continues until the point, if there is one.
fn end_guard(guard: InternalGuard, failed: bool, until: Option<Point>) {
    match until {
        Some(point) => guard.end_at(failed, point),
        None => guard.end(failed),
    }
}

/// Tells the event log of a copy that begins.
fn log_transfer(dst: &MemoryView, src: &MemoryView, stream: Option<&'static Stream>) {
    log_copy(dst.layout(), src.layout(), |event| {
        event.detail = 2 * u8::from(!src.memory().is_host()) + u8::from(!dst.memory().is_host());
        event.stream = stream.map_or(0, |stream| u64::from(stream.number()));
    });
}

/// Tells the event log of a copy by the host.
pub fn log_host_copy(dst: &HostView, src: &HostView) {
    log_copy(dst.layout(), src.layout(), |_| ());
}

fn log_copy(dst: &Layout, src: &Layout, more: impl FnOnce(&mut Event)) {
    events::record(Kind::Transfer, |event| {
        (event.address, event.other, event.bytes) = (src.offset() as u64, dst.offset() as u64, dst.bytes() as u64);
        more(event);
    });
}

/// An error before the first byte of the destination was written.
fn wrote_nothing(status: Status) -> Failed {
    Failed { status, wrote: false }
}
