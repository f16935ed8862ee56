//! `tenure_sim_*`: what tests ask and order. Documented in include/tenure_sim.h; none of it counts as a call of the driver.

use crate::config::{MOST_DEVICES, Pace};
use crate::counters;
use crate::engine;
use crate::entry::{get, put, put_if};
use crate::fault::Fault;
use crate::module::{Kernel, Registered};
use crate::space::What;
use crate::status::*;
use crate::stream::Stream;
use crate::types::{Address, Handle, PER_THREAD};
use crate::world::{self, World};
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// The world for a control function; a panic is CUDA_ERROR_UNKNOWN here too.
fn control(body: impl FnOnce(&mut World) -> Answer) -> u32 {
    if world::ended() || world::forked() {
        return DEINITIALIZED;
    }
    match catch_unwind(AssertUnwindSafe(|| body(&mut world::lock()))) {
        Ok(Ok(())) => SUCCESS,
        Ok(Err(code)) => code,
        Err(_) => UNKNOWN,
    }
}

fn text<'a>(name: *const c_char) -> Answer<&'a str> {
    if name.is_null() {
        return Err(INVALID_VALUE);
    }
    // SAFETY: the caller's C text, used during the call only.
    unsafe { CStr::from_ptr(name) }.to_str().map_err(|_| INVALID_VALUE)
}

/// A number by its name: settings can be changed one by one, without a function for each.
fn set(world: &mut World, name: &str, value: u64) -> Answer {
    match name {
        "seed" => world.reseed(value),
        "pace" => world.config.pace = Pace::of(value as u32).ok_or(INVALID_VALUE)?,
        "idle_us" => {
            world.config.idle = Duration::from_micros(value);
            engine::stir();
        }
        "trace" => crate::config::trace(value != 0),
        "junk" => world.config.junk = value != 0,
        "reuse" => world.space.reuses = value != 0,
        "free_waits" => world.config.free_waits = value != 0,
        "peers" => world.config.peers = value != 0,
        "version" => world.config.version = i32::try_from(value).map_err(|_| INVALID_VALUE)?,
        // These make the devices, so they come before cuInit.
        "devices" | "memory" if world.initialised => return Err(ILLEGAL_STATE),
        "devices" if value <= MOST_DEVICES as u64 => world.config.devices = value as usize,
        "memory" => world.config.memory = value,
        _ => return Err(INVALID_VALUE),
    }
    Ok(())
}

fn ask(world: &World, name: &str) -> Answer<u64> {
    Ok(match name {
        "seed" => world.config.seed,
        "device_synchronizes" => world.notes.device_synchronizes,
        "implicit_synchronizes" => world.notes.implicit_synchronizes,
        "executed" => world.notes.executed,
        "pending" => world.streams.values().map(|stream| stream.queue.len() as u64 + u64::from(stream.running)).sum(),
        "copied_to_device" => world.notes.copied[0],
        "copied_from_device" => world.notes.copied[1],
        "copied_on_device" => world.notes.copied[2],
        "host_alloc_flags" => world.notes.host_alloc_flags.into(),
        "host_register_flags" => world.notes.host_register_flags.into(),
        "allocations" => world.space.count(What::Device),
        "pooled" => world.space.count(What::Pooled),
        "managed" => world.space.count(What::Managed),
        "reserved" => world.space.count(What::Reserved),
        "physical" => world.physical.len() as u64,
        "pinned" => world.pinned.count() as u64,
        "faults" => world.faults.len() as u64,
        "streams" => world.streams.values().filter(|stream| !stream.destroyed).count() as u64,
        "events" => world.events.len() as u64,
        "contexts" => world.contexts.len() as u64,
        _ => return Err(INVALID_VALUE),
    })
}

#[unsafe(no_mangle)]
extern "C" fn tenure_sim_reset() -> u32 {
    counters::reset();
    control(|world| {
        world.reset();
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn tenure_sim_set(name: *const c_char, value: u64) -> u32 {
    control(|world| set(world, text(name)?, value))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn tenure_sim_get(name: *const c_char, value: *mut u64) -> u32 {
    control(|world| put(value, ask(world, text(name)?)?))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn tenure_sim_set_attribute(device: c_int, attribute: c_int, value: c_int) -> u32 {
    control(|world| {
        let device =
            usize::try_from(device).ok().and_then(|device| world.devices.get_mut(device)).ok_or(INVALID_DEVICE)?;
        device.attributes.insert(attribute, value);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn tenure_sim_fail(name: *const c_char, nth: u64, times: u64, code: u32) -> u32 {
    control(|world| {
        world.faults.push(Fault::new(text(name)?, nth, times, code));
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn tenure_sim_clear_faults() -> u32 {
    control(|world| {
        world.faults.clear();
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn tenure_sim_close(name: *const c_char) -> u32 {
    control(|world| {
        world.closed.insert(counters::plain(text(name)?).to_owned());
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn tenure_sim_open(name: *const c_char) -> u32 {
    control(|world| {
        match counters::plain(text(name)?) {
            "" => world.closed.clear(),
            name => drop(world.closed.remove(name)),
        }
        world::WAKE.notify_all();
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn tenure_sim_break_device(device: c_int, code: u32) -> u32 {
    control(|world| {
        let device = usize::try_from(device).map_err(|_| INVALID_DEVICE)?;
        let on_it: Vec<Handle> = world
            .contexts
            .iter()
            .filter(|(_, context)| context.device == device)
            .map(|(context, _)| *context)
            .collect();
        for context in on_it {
            world.lose(context, code);
        }
        Ok(())
    })
}

/// Changes one stream; 0, 1 and 2 mean those of the current context. One that was destroyed lives until its work is done.
fn with_stream(stream: Handle, change: impl FnOnce(&mut Stream)) -> u32 {
    control(|world| {
        let stream = match stream {
            0..=PER_THREAD => world.stream_of(stream, crate::context::current(), false)?,
            other => other,
        };
        change(world.streams.get_mut(&stream).ok_or(INVALID_HANDLE)?);
        world::WAKE.notify_all();
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn tenure_sim_hold(stream: Handle) -> u32 {
    with_stream(stream, |stream| stream.held = true)
}

#[unsafe(no_mangle)]
extern "C" fn tenure_sim_release(stream: Handle) -> u32 {
    match with_stream(stream, |stream| stream.held = false) {
        // Gone with its work: nothing holds it.
        INVALID_HANDLE => SUCCESS,
        code => code,
    }
}

#[unsafe(no_mangle)]
extern "C" fn tenure_sim_slow(stream: Handle, microseconds: u64) -> u32 {
    with_stream(stream, |stream| {
        stream.slow = Duration::from_micros(microseconds);
        stream.free_at = Instant::now() + stream.slow;
    })
}

#[unsafe(no_mangle)]
extern "C" fn tenure_sim_release_all() -> u32 {
    control(|world| {
        world.streams.values_mut().for_each(|stream| stream.held = false);
        world::WAKE.notify_all();
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn tenure_sim_step(most: u64) -> u64 {
    let mut taken = 0;
    control(|world| {
        while taken < most && world.step() {
            taken += 1;
        }
        Ok(())
    });
    taken
}

#[unsafe(no_mangle)]
unsafe extern "C" fn tenure_sim_calls(name: *const c_char) -> u64 {
    text(name).map_or(0, counters::calls)
}

#[unsafe(no_mangle)]
extern "C" fn tenure_sim_reset_calls() -> u32 {
    counters::reset();
    control(|world| {
        let notes = &mut world.notes;
        (notes.device_synchronizes, notes.implicit_synchronizes, notes.executed, notes.copied) = (0, 0, 0, [0; 3]);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn tenure_sim_list_calls(
    visit: Option<unsafe extern "C" fn(*const c_char, u64, *mut c_void)>,
    data: *mut c_void,
) {
    let Some(visit) = visit else { return };
    for (name, calls) in counters::list() {
        if let Ok(name) = std::ffi::CString::new(name) {
            // SAFETY: the caller's function with the caller's data.
            unsafe { visit(name.as_ptr(), calls, data) };
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn tenure_sim_last_failure(place: *mut c_char, length: usize) -> u32 {
    control(|world| {
        let failure = world.notes.last_failure.as_bytes();
        if place.is_null() || length == 0 {
            return Err(INVALID_VALUE);
        }
        let part = failure.len().min(length - 1);
        for (at, byte) in failure[..part].iter().chain([&0]).enumerate() {
            put(place.wrapping_add(at), *byte as c_char)?;
        }
        Ok(())
    })
}

/// The bytes behind device memory, whatever runs: for tests that look, and for kernels.
#[unsafe(no_mangle)]
extern "C" fn tenure_sim_bytes(address: Address, size: usize, device: c_int) -> *mut c_void {
    let mut found = std::ptr::null_mut();
    let Some(device) = usize::try_from(device).ok().filter(|device| *device < MOST_DEVICES) else { return found };
    let resolve = |world: &World| world.space.resolve(address, size as u64, device, true).map(<*mut u8>::cast);
    if let Some(answer) = crate::module::inside(resolve) {
        return answer.unwrap_or(found);
    }
    control(|world| {
        found = resolve(world)?;
        Ok(())
    });
    found
}

#[unsafe(no_mangle)]
unsafe extern "C" fn tenure_sim_register_kernel(
    name: *const c_char,
    kernel: Option<Kernel>,
    sizes: *const usize,
    count: usize,
    waits: c_int,
) -> u32 {
    control(|world| {
        let (name, run) = (text(name)?.to_owned(), kernel.ok_or(INVALID_VALUE)?);
        let sizes = (0..count).map(|at| get(sizes.wrapping_add(at))).collect::<Answer<Vec<usize>>>()?;
        world.modules.kernels.insert(name, Registered { run, sizes, waits: waits != 0 });
        Ok(())
    })
}

/// Whether this is the simulator at all: programs look this symbol up.
#[unsafe(no_mangle)]
extern "C" fn tenure_sim_version(version: *mut c_uint) -> u32 {
    put_if(version, 1);
    SUCCESS
}
