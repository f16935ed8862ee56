//! Events: points in streams that others wait for, with the time at which they were passed.

use crate::engine::{Dependency, Point, Work};
use crate::entry::{Call, put};
use crate::ipc::Slot;
use crate::status::*;
use crate::types::Handle;
use crate::world::Kind;
use std::ffi::c_uint;
use std::sync::Arc;
use std::time::Instant;

const DISABLE_TIMING: c_uint = 2;
const INTERPROCESS: c_uint = 4;
const KNOWN_FLAGS: c_uint = 7;

pub struct Event {
    pub context: Handle,
    pub flags: c_uint,
    /// The last record; None: never recorded, which counts as done.
    pub point: Option<Point>,
    /// When that record was passed.
    pub time: Option<Instant>,
    /// Counts records, so that an old one does not set the time of a new one.
    pub version: u64,
    /// The last record went to a capture: which, and the nodes it stands behind.
    pub captured: Option<(Handle, Vec<usize>)>,
    /// Where its records are counted, if other processes may see it.
    pub slot: Option<usize>,
}

impl Event {
    fn new(context: Handle, flags: c_uint, slot: Option<usize>) -> Event {
        Event { context, flags, point: None, time: None, version: 0, captured: None, slot }
    }

    /// An event that another process made.
    pub fn shared(context: Handle, slot: usize) -> Event {
        Event::new(context, DISABLE_TIMING | INTERPROCESS, Some(slot))
    }

    /// What waiting for it means; None: nothing to wait for.
    pub fn dependency(&self) -> Option<Dependency> {
        match self.slot {
            Some(slot) => Some(Dependency::Shared(slot, Slot::at(slot).recorded())),
            None => self.point.map(Dependency::Point),
        }
    }
}

fn record(call: &mut Call, event: Handle, stream: Handle, flags: c_uint) -> Answer {
    if flags > 1 {
        return Err(INVALID_VALUE);
    }
    let stream = call.stream(stream)?;
    let owner = call.streams.get(&stream).ok_or(INVALID_HANDLE)?.context;
    let capture = call.streams.get(&stream).and_then(|stream| stream.capture.clone());
    let known = call.world.events.get_mut(&event).ok_or(INVALID_HANDLE)?;
    if known.context != owner {
        return Err(INVALID_HANDLE);
    }
    known.version += 1;
    let version = known.version;
    if let Some((capture, nodes)) = capture {
        known.captured = Some((capture, nodes));
        return Ok(());
    }
    let shared = known.slot.map(|slot| (slot, Slot::at(slot).record()));
    let work = Work::Inside(Arc::new(move |world, _| {
        if let Some((slot, record)) = shared {
            Slot::at(slot).pass(record);
        }
        if let Some(event) = world.events.get_mut(&event).filter(|event| event.version == version) {
            event.time = Some(Instant::now());
        }
        Ok(())
    }));
    let point = call.enqueue(stream, "event", Vec::new(), work)?;
    if let Some(known) = call.world.events.get_mut(&event) {
        (known.point, known.time, known.captured) = (Some(point), None, None);
    }
    Ok(())
}

/// What an event that is asked about stands for.
fn awaited(call: &Call, event: Handle) -> Answer<Option<Dependency>> {
    let known = call.events.get(&event).ok_or(INVALID_HANDLE)?;
    if known.captured.is_some() {
        return Err(CAPTURED_EVENT);
    }
    Ok(known.dependency())
}

/// Milliseconds between two events, negative if they were passed the other way round.
fn elapsed(call: &mut Call, out: *mut f32, from: Handle, to: Handle) -> Answer {
    let mut times = [None; 2];
    for (time, event) in times.iter_mut().zip([from, to]) {
        let known = call.events.get(&event).ok_or(INVALID_HANDLE)?;
        if known.flags & DISABLE_TIMING != 0 || known.point.is_none() {
            return Err(INVALID_HANDLE);
        }
        *time = Some(known.time.ok_or(NOT_READY)?);
    }
    let (Some(from), Some(to)) = (times[0], times[1]) else { return Err(NOT_READY) };
    let milliseconds =
        if to >= from { to.duration_since(from).as_secs_f64() } else { -from.duration_since(to).as_secs_f64() };
    put(out, (milliseconds * 1e3) as f32)
}

driver! {
    fn cuEventCreate(out: *mut Handle, flags: c_uint) in Context => |call| {
        if flags & !KNOWN_FLAGS != 0 || flags & INTERPROCESS != 0 && flags & DISABLE_TIMING == 0 {
            return Err(INVALID_VALUE);
        }
        let handle = call.handle(Kind::Event);
        let slot = if flags & INTERPROCESS != 0 { Some(call.space.slot()?) } else { None };
        let event = Event::new(call.context, flags, slot);
        call.world.events.insert(handle, event);
        put(out, handle)
    }

    fn cuEventDestroy_v2(event: Handle) in Init => |call| {
        call.world.events.remove(&event).map(|_| ()).ok_or(INVALID_HANDLE)
    }

    fn cuEventRecord(event: Handle, stream: Handle) | cuEventRecord_ptsz in Context => |call| { record(call, event, stream, 0) }

    fn cuEventRecordWithFlags(event: Handle, stream: Handle, flags: c_uint) | cuEventRecordWithFlags_ptsz in Context => |call| {
        record(call, event, stream, flags)
    }

    fn cuEventQuery(event: Handle) in Poll => |call| {
        call.uncaptured()?;
        match awaited(call, event)? {
            Some(dependency) if !call.met(&dependency) => Err(NOT_READY),
            _ => Ok(()),
        }
    }

    fn cuEventSynchronize(event: Handle) in Context => |call| {
        call.uncaptured()?;
        match awaited(call, event)? {
            Some(Dependency::Point(point)) => call.wait_for(point),
            Some(shared) => call.wait(|world| world.met(&shared)),
            None => Ok(()),
        }?;
        call.release_unused();
        Ok(())
    }

    fn cuEventElapsedTime(out: *mut f32, from: Handle, to: Handle) in Poll => |call| { elapsed(call, out, from, to) }

    fn cuEventElapsedTime_v2(out: *mut f32, from: Handle, to: Handle) in Poll => |call| { elapsed(call, out, from, to) }
}
