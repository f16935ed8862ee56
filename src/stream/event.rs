//! Events: what `tn_event` is, a point in a stream that the program chose (ST-11 to ST-13).
//!
//! Contract: recording makes a mark of the queue and remembers its point; waiting, querying and synchronizing are the point's. One with
//! timing keeps its mark, whose event has the time, until it is recorded again or released.

use super::argument::Stream;
use super::current::gpu_with_streams;
use super::event_pool::EventRef;
use super::point::Point;
use super::slot;
use crate::error::{Result, fail, rank};
use crate::gpu::Gpu;
use crate::slots::{Id, Kind};
use crate::types::*;

/// What a handle is on.
#[derive(Clone)]
struct Event {
    gpu: &'static Gpu,
    timing: bool,
    /// None: never recorded.
    recorded: Option<(Point, Option<EventRef>)>,
}

impl slot::Body for Event {
    const KIND: Kind = Kind::Event;
}

/// What it is now. TN_ERR_STALE, TN_ERR_KIND.
fn find(id: Id) -> Result<Event> {
    slot::with(id, |event: &mut Event| event.clone())
}

/// The same where the driver has to work (DV-8, ST-15).
fn living(id: Id) -> Result<Event> {
    let event = find(id)?;
    event.gpu.alive()?;
    Ok(event)
}

/// A new event, not recorded.
pub fn create(device: tn_device, flags: u32) -> Result<Id> {
    if flags & !TN_EVENT_TIMING != 0 {
        return Err(fail(
            TN_ERR_INVALID,
            format_args!("flag bits {:#x} are unknown; use 0 or TN_EVENT_TIMING", flags & !TN_EVENT_TIMING),
        ));
    }
    let gpu = gpu_with_streams(device)?;
    gpu.alive()?;
    slot::make(Event { gpu, timing: flags & TN_EVENT_TIMING != 0, recorded: None })
}

/// Moves it behind all that was issued on a stream of its device so far.
pub fn record(id: Id, stream: Result<Stream>) -> Result<()> {
    let event = find(id)?;
    let stream = stream?;
    event.gpu.alive()?;
    let queue = stream.queue_of(event.gpu)?;
    let pin = queue.record(event.timing)?;
    let recorded = Some((Point::of(queue, &pin), event.timing.then_some(pin)));
    // What it was before goes when the lock is free again.
    slot::with(id, |event: &mut Event| core::mem::replace(&mut event.recorded, recorded)).map(drop)
}

/// Makes a stream, of whatever device, wait for it; returns at once.
pub fn wait(id: Id, stream: Result<Stream>) -> Result<()> {
    let event = find(id)?;
    let stream = stream?;
    event.gpu.alive()?;
    let queue = stream.queue_on(event.gpu)?;
    queue.gpu().alive()?;
    event.recorded.map_or(Ok(()), |(point, _)| queue.wait_for(point))
}

/// The host waits for it.
pub fn synchronize(id: Id) -> Result<()> {
    living(id)?.recorded.map_or(Ok(()), |(point, _)| point.wait())
}

/// Whether it is done: one that was never recorded is.
pub fn query(id: Id) -> Result<bool> {
    let event = living(id)?;
    let done = event.recorded.is_none_or(|(point, _)| point.poll());
    // What the driver said may have been that the device is lost.
    event.gpu.alive().map(|_| done)
}

/// Nanoseconds from one to the other.
pub fn elapsed(start: Id, end: Id) -> Result<i64> {
    // Of two wrong handles the one whose status comes first.
    let wrong = |id| find(id).err().map(|status| rank(status.code()));
    if let (Some(first), Some(second)) = (wrong(start), wrong(end))
        && second < first
    {
        find(end)?;
    }
    let (start, end) = (find(start)?, find(end)?);
    let timed = |event: &Event, name: &str| match &event.recorded {
        Some((point, Some(pin))) => Ok((*point, pin.clone())),
        Some(_) | None if !event.timing => {
            Err(fail(TN_ERR_INVALID, format_args!("{name} was made without TN_EVENT_TIMING, and has no time")))
        }
        _ => Err(fail(TN_ERR_INVALID, format_args!("{name} was never recorded"))),
    };
    let (start, end, gpus) = (timed(&start, "start")?, timed(&end, "end")?, (start.gpu, end.gpu));
    if !core::ptr::eq(gpus.0, gpus.1) {
        return Err(fail(
            TN_ERR_DEVICE,
            format_args!("start is of GPU {} and end of GPU {}; their clocks differ", gpus.0.id(), gpus.1.id()),
        ));
    }
    let gpu = gpus.0;
    let inside = gpu.enter()?;
    if !(start.0.poll() && end.0.poll()) {
        return Err(fail(TN_ERR_PENDING, format_args!("the work before the two events is not finished")));
    }
    let mut milliseconds = 0.0;
    // SAFETY: events with timing that are recorded, done and pinned; the number is ours.
    let number = unsafe { inside.cuEventElapsedTime(&mut milliseconds, start.1.event(), end.1.event())? };
    gpu.check(number, "cuEventElapsedTime")?;
    Ok((f64::from(milliseconds) * 1e6).round() as i64)
}

/// Releases it; what waits for it goes on waiting.
pub fn release(id: Id) -> Result<()> {
    slot::release::<Event>(id)
}
