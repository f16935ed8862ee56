//! Events: recording, asking and waiting for them, and the time between two.

use crate::base::args::put;
use crate::base::status::*;
use crate::base::types::Handle;
use crate::entry::call::Call;
use crate::entry::enter::driver;
use crate::memory::shared::EventSlot;
use crate::state::event::{DISABLE_TIMING, Event, INTERPROCESS};
use crate::state::machine::HandleKind;
use crate::state::point::Dependency;
use crate::state::work::Work;
use std::ffi::c_uint;
use std::sync::Arc;
use std::time::Instant;

const KNOWN_FLAGS: c_uint = 7;

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
    let shared = known.slot.map(|slot| (slot, EventSlot::at(slot).record()));
    let work = Work::Inside(Arc::new(move |machine, _| {
        if let Some((slot, record)) = shared {
            EventSlot::at(slot).pass(record);
        }
        if let Some(event) = machine.events.get_mut(&event).filter(|event| event.version == version) {
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

/// The dependency that a query of an event checks, or a wait waits for.
fn awaited(call: &Call, event: Handle) -> Answer<Option<Dependency>> {
    let known = call.events.get(&event).ok_or(INVALID_HANDLE)?;
    if known.captured.is_some() {
        return Err(CAPTURED_EVENT);
    }
    // The event of another process, which destroyed it.
    if known.slot.is_some_and(|slot| EventSlot::at(slot).is_destroyed()) {
        return Err(INVALID_HANDLE);
    }
    Ok(known.dependency())
}

/// Milliseconds between two events; negative if `to` was passed first.
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
        let shared_with_timing = flags & INTERPROCESS != 0 && flags & DISABLE_TIMING == 0;
        if flags & !KNOWN_FLAGS != 0 || shared_with_timing {
            return Err(INVALID_VALUE);
        }
        let handle = call.new_handle(HandleKind::Event);
        let slot = if flags & INTERPROCESS != 0 { Some(call.space.store.add_event_slot()?) } else { None };
        let event = Event::new(call.context, flags, slot);
        call.world.events.insert(handle, event);
        put(out, handle)
    }

    fn cuEventDestroy_v2(event: Handle) in Init => |call| {
        let event = call.world.events.remove(&event).ok_or(INVALID_HANDLE)?;
        if let Some(slot) = event.slot {
            EventSlot::at(slot).destroy();
        }
        Ok(())
    }

    fn cuEventRecord(event: Handle, stream: Handle) | cuEventRecord_ptsz in Context => |call| { record(call, event, stream, 0) }

    fn cuEventRecordWithFlags(event: Handle, stream: Handle, flags: c_uint) | cuEventRecordWithFlags_ptsz in Context => |call| {
        record(call, event, stream, flags)
    }

    fn cuEventQuery(event: Handle) in Poll => |call| {
        call.refuse_in_capture()?;
        match awaited(call, event)? {
            Some(dependency) if !call.is_met(&dependency) => Err(NOT_READY),
            _ => Ok(()),
        }
    }

    fn cuEventSynchronize(event: Handle) in Context => |call| {
        call.refuse_in_capture()?;
        match awaited(call, event)? {
            Some(Dependency::Point(point)) => call.wait_for_point(point),
            Some(shared) => call.wait(|world| world.is_met(&shared)),
            None => Ok(()),
        }?;
        call.trim_pools();
        Ok(())
    }

    fn cuEventElapsedTime(out: *mut f32, from: Handle, to: Handle) in Poll => |call| { elapsed(call, out, from, to) }

    fn cuEventElapsedTime_v2(out: *mut f32, from: Handle, to: Handle) in Poll => |call| { elapsed(call, out, from, to) }
}
