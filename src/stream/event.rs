//! Events: a `tn_event` is a point in a stream that the program chose (ST-11 to ST-13).
//!
//! Contract: recording records an event of the driver and keeps its point, which can be waited for and queried. An
//! event with timing keeps the driver's event, which has the time, until it is recorded again or released.

use super::argument::StreamArg;
use super::current::gpu_with_streams;
use super::event_pool::EventRef;
use super::point::Point;
use super::slot;
use crate::error::{Result, fail, rank};
use crate::flags;
use crate::gpu::Gpu;
use crate::slots::{Id, Kind};
use crate::types::*;

/// The state behind a handle.
#[derive(Clone)]
struct Event {
    gpu: &'static Gpu,
    timing: bool,
    /// The point, and with timing the driver's event; None: never recorded.
    recorded: Option<(Point, Option<EventRef>)>,
}

impl slot::Body for Event {
    const KIND: Kind = Kind::Event;
}

/// A copy of the state. TN_ERR_STALE, TN_ERR_KIND.
fn find(id: Id) -> Result<Event> {
    slot::with(id, |event: &mut Event| event.clone())
}

/// As [`find`], for a call that needs the driver: TN_ERR_DRIVER on a lost device (DV-8, ST-15).
fn living(id: Id) -> Result<Event> {
    let event = find(id)?;
    event.gpu.alive()?;
    Ok(event)
}

/// Creates an event, not recorded.
pub fn create(device: tn_device, flags: u32) -> Result<Id> {
    flags::check("flags", flags, TN_EVENT_TIMING, &flags::EVENT)?;
    let gpu = gpu_with_streams(device)?;
    gpu.alive()?;
    slot::make(Event { gpu, timing: flags & TN_EVENT_TIMING != 0, recorded: None })
}

/// Records the event behind all work issued on a stream of its device so far.
pub fn record(id: Id, stream: Result<StreamArg>) -> Result<()> {
    let event = find(id)?;
    let stream = stream?;
    event.gpu.alive()?;
    let stream = stream.stream_of(event.gpu)?;
    let driver_event = stream.record(event.timing)?;
    let recorded = Some((Point::of(stream, &driver_event), event.timing.then_some(driver_event)));
    // The state before is dropped after the lock was released.
    slot::with(id, |event: &mut Event| core::mem::replace(&mut event.recorded, recorded)).map(drop)
}

/// Makes a stream of any device wait for the event; returns at once.
pub fn wait(id: Id, stream: Result<StreamArg>) -> Result<()> {
    let event = find(id)?;
    let stream = stream?;
    event.gpu.alive()?;
    let stream = stream.stream_on(event.gpu)?;
    stream.gpu().alive()?;
    event.recorded.map_or(Ok(()), |(point, _)| stream.wait_for(point))
}

/// Waits for the event on the host.
pub fn synchronize(id: Id) -> Result<()> {
    living(id)?.recorded.map_or(Ok(()), |(point, _)| point.wait())
}

/// Whether the work before the event is done; true for an event that was never recorded.
pub fn query(id: Id) -> Result<bool> {
    let event = living(id)?;
    let done = event.recorded.is_none_or(|(point, _)| point.poll());
    // The query may have found that the device is lost.
    event.gpu.alive().map(|_| done)
}

/// The time from one event to another in ns.
pub fn elapsed(start: Id, end: Id) -> Result<i64> {
    // Of two bad handles, report the one whose status comes first in the order of checks.
    let wrong = |id| find(id).err().map(|status| rank(status.code()));
    if let (Some(first), Some(second)) = (wrong(start), wrong(end))
        && second < first
    {
        find(end)?;
    }
    let (start, end) = (find(start)?, find(end)?);
    let timed = |event: &Event, name: &str| match &event.recorded {
        Some((point, Some(driver_event))) => Ok((*point, driver_event.clone())),
        Some(_) | None if !event.timing => {
            Err(fail(TN_ERR_INVALID, format_args!("{name} was created without TN_EVENT_TIMING, and has no time")))
        }
        _ => Err(fail(TN_ERR_INVALID, format_args!("{name} was never recorded"))),
    };
    let (start, end, gpus) = (timed(&start, "start")?, timed(&end, "end")?, (start.gpu, end.gpu));
    if !core::ptr::eq(gpus.0, gpus.1) {
        return Err(fail(
            TN_ERR_DEVICE,
            format_args!("start belongs to GPU {} and end to GPU {}, whose clocks differ", gpus.0.id(), gpus.1.id()),
        ));
    }
    let gpu = gpus.0;
    let inside = gpu.enter()?;
    if !(start.1.is_of(gpu) && end.1.is_of(gpu)) {
        return Err(fail(
            TN_ERR_DRIVER,
            format_args!("the primary context of GPU {} was reset, and the times of the two events are gone", gpu.id()),
        ));
    }
    if !(start.0.poll() && end.0.poll()) {
        return Err(fail(TN_ERR_PENDING, format_args!("the work before the two events is not finished")));
    }
    let mut milliseconds = 0.0;
    // SAFETY: events with timing that are recorded, done and referenced; the number is ours.
    let number = unsafe { inside.cuEventElapsedTime(&mut milliseconds, start.1.event(), end.1.event())? };
    gpu.check(number, "cuEventElapsedTime")?;
    Ok((f64::from(milliseconds) * 1e6).round() as i64)
}

/// Releases the event. Streams that wait for it go on waiting.
pub fn release(id: Id) -> Result<()> {
    slot::release::<Event>(id)
}
