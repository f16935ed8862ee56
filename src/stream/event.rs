//! Events: what `tn_event` is, a point in a stream that the program chose (ST-11 to ST-13).
//!
//! Contract: recording makes a mark of the queue and remembers its point; waiting, querying and synchronizing are the point's. One with
//! timing keeps its mark, whose event has the time, until it is recorded again or released.

use super::argument::Stream;
use super::current::gpu_with_streams;
use super::mark::Pin;
use super::point::Point;
use crate::device::cuda::Gpu;
use crate::error::{Result, fail, rank};
use crate::slots::{Head, Id, Kind, Slot, State, Table};
use crate::sys::lock::RawLock;
use crate::thread::{self, Critical};
use crate::types::*;
use core::cell::UnsafeCell;

/// An event, in a slot.
pub struct Event {
    head: Head,
    lock: RawLock,
    body: UnsafeCell<Option<Body>>,
}

#[derive(Clone)]
struct Body {
    gpu: &'static Gpu,
    timing: bool,
    /// None: never recorded.
    recorded: Option<(Point, Option<Pin>)>,
}

// SAFETY: the body is reached under the lock, or by the only one who knows the slot.
unsafe impl Sync for Event {}

impl Slot for Event {
    const KIND: Kind = Kind::Event;
    fn new(head: Head) -> Event {
        Event { head, lock: RawLock::new(), body: UnsafeCell::new(None) }
    }
    fn head(&self) -> &Head {
        &self.head
    }
}

/// Runs `work` on what an event is, under its lock: a few words are read or moved. TN_ERR_STALE, TN_ERR_KIND.
fn with<R>(id: Id, work: impl FnOnce(&Event, &mut Option<Body>) -> R) -> Result<R> {
    let event = Table::<Event>::find(id)?;
    let inside = Critical::enter(thread::current());
    event.lock.lock();
    let result = event.head.is(id).then(|| {
        // SAFETY: under the lock.
        work(event, unsafe { &mut *event.body.get() })
    });
    event.lock.unlock();
    drop(inside);
    result.ok_or_else(|| fail(TN_ERR_STALE, format_args!("the tn_event {id} was released already")))
}

/// What it is now.
fn body(id: Id) -> Result<Body> {
    with(id, |_, body| body.clone())?
        .ok_or_else(|| fail(TN_ERR_STALE, format_args!("the tn_event {id} was released already")))
}

/// The same where the driver has to work (DV-8, ST-15).
fn living(id: Id) -> Result<Body> {
    let body = body(id)?;
    body.gpu.alive()?;
    Ok(body)
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
    let event = Table::<Event>::take(thread::current())?;
    // SAFETY: not published: the slot is ours alone.
    unsafe { *event.body.get() = Some(Body { gpu, timing: flags & TN_EVENT_TIMING != 0, recorded: None }) };
    Ok(Table::publish(event))
}

/// Moves it behind all that was issued on a stream of its device so far.
pub fn record(id: Id, stream: Result<Stream>) -> Result<()> {
    let body = body(id)?;
    let stream = stream?;
    body.gpu.alive()?;
    let queue = stream.queue_of(body.gpu)?;
    let pin = queue.record(body.timing)?;
    let recorded = Some((Point::of(queue, &pin), body.timing.then_some(pin)));
    // What it was before goes when the lock is free again.
    with(id, |_, body| body.as_mut().map(|body| core::mem::replace(&mut body.recorded, recorded))).map(drop)
}

/// Makes a stream, of whatever device, wait for it; returns at once.
pub fn wait(id: Id, stream: Result<Stream>) -> Result<()> {
    let body = body(id)?;
    let stream = stream?;
    body.gpu.alive()?;
    let queue = stream.queue_on(body.gpu)?;
    queue.gpu().alive()?;
    body.recorded.map_or(Ok(()), |(point, _)| queue.wait_for(point))
}

/// The host waits for it.
pub fn synchronize(id: Id) -> Result<()> {
    living(id)?.recorded.map_or(Ok(()), |(point, _)| point.wait())
}

/// Whether it is done: one that was never recorded is.
pub fn query(id: Id) -> Result<bool> {
    let body = living(id)?;
    let done = body.recorded.is_none_or(|(point, _)| point.poll());
    // What the driver said may have been that the device is lost.
    body.gpu.alive().map(|_| done)
}

/// Nanoseconds from one to the other.
pub fn elapsed(start: Id, end: Id) -> Result<i64> {
    // Of two wrong handles the one whose status comes first.
    let wrong = |id| with(id, |_, _| ()).err().map(|status| rank(status.code()));
    if let (Some(first), Some(second)) = (wrong(start), wrong(end))
        && second < first
    {
        body(end)?;
    }
    let (start, end) = (body(start)?, body(end)?);
    let timed = |body: &Body, name: &str| match &body.recorded {
        Some((point, Some(pin))) => Ok((*point, pin.clone())),
        Some(_) | None if !body.timing => {
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
    let (event, body) = with(id, |event, body| {
        event.head.make_stale(State::Kept);
        // The slot's address, as it is for ever.
        (core::ptr::from_ref(event), body.take())
    })?;
    // SAFETY: slots are never unmapped.
    Table::free(thread::current(), unsafe { &*event });
    drop(body);
    Ok(())
}
