//! `tenure_sim_*`: how tests observe and control the driver. Documented in include/tenure_sim.h; none counts as a call
//! of the driver.

use super::module::inside_kernel;
use crate::base::args::{get, get_text, put, put_optional, put_text};
use crate::base::call_counts::{self, base_name};
use crate::base::config::{self, MAX_DEVICES, Pace};
use crate::base::status::*;
use crate::base::thread::current_context;
use crate::base::types::{Address, Handle, PER_THREAD};
use crate::engine::start;
use crate::memory::region::MemoryKind;
use crate::state::event::BLOCKING_SYNC;
use crate::state::fault::Fault;
use crate::state::machine::{Machine, Statistics};
use crate::state::module::{Kernel, Registered, Run};
use crate::state::signals::{PROGRESS, wake_worker};
use crate::state::stream::Stream;
use crate::state::world::{self, World};
use std::ffi::{c_char, c_int, c_uint, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Runs the body of a control function with the world; a panic becomes CUDA_ERROR_UNKNOWN.
fn control(body: impl FnOnce(&mut World) -> Answer) -> u32 {
    if world::has_ended() || world::is_forked() {
        return DEINITIALIZED;
    }
    match catch_unwind(AssertUnwindSafe(|| body(&mut world::lock()))) {
        Ok(Ok(())) => SUCCESS,
        Ok(Err(code)) => code,
        Err(_) => UNKNOWN,
    }
}

fn text<'a>(name: *const c_char) -> Answer<&'a str> {
    get_text(name)?.to_str().map_err(|_| INVALID_VALUE)
}

fn set_number(world: &mut World, name: &str, value: u64) -> Answer {
    match name {
        "seed" => world.reseed(value),
        "pace" => world.config.pace = Pace::from_code(value as u32).ok_or(INVALID_VALUE)?,
        "idle_us" => {
            world.config.idle = Duration::from_micros(value);
            wake_worker();
        }
        "trace" => config::set_tracing(value != 0),
        "junk" => world.config.junk = value != 0,
        "reuse" => world.space.reuses = value != 0,
        "askew" => {
            world.config.askew = Some(value.min(256) as u32);
            world.space.askew = world.config.askew();
        }
        "free_waits" => world.config.free_waits = value != 0,
        "abort" => world.config.aborts = value != 0,
        "same_context" => world.config.same_context = Some(value != 0),
        "ptx" => world.config.ptx = Some(i32::try_from(value).map_err(|_| INVALID_VALUE)?),
        "load_waits" => world.config.load_waits = value != 0,
        "lost_peer_writes" => world.config.lost_peer_writes = value != 0,
        "green" => world.config.green = value != 0,
        "peers" => world.config.peers = value != 0,
        "version" => world.config.version = i32::try_from(value).map_err(|_| INVALID_VALUE)?,
        // cuInit creates the devices from these.
        "devices" | "memory" if world.initialised => return Err(ILLEGAL_STATE),
        "devices" if value <= MAX_DEVICES as u64 => world.config.devices = value as usize,
        "memory" => world.config.memory = value,
        _ => return Err(INVALID_VALUE),
    }
    Ok(())
}

fn get_number(world: &World, name: &str) -> Answer<u64> {
    Ok(match name {
        "seed" => world.config.seed,
        "device_synchronizes" => world.statistics.device_synchronizes,
        "implicit_synchronizes" => world.statistics.implicit_synchronizes,
        "executed" => world.statistics.executed,
        "pending" => world.streams.values().map(|stream| stream.queue.len() as u64 + u64::from(stream.running)).sum(),
        "copied_to_device" => world.statistics.copied[0],
        "copied_from_device" => world.statistics.copied[1],
        "copied_on_device" => world.statistics.copied[2],
        "direct_peer_copies" => world.statistics.peer_copies[0],
        "staged_peer_copies" => world.statistics.peer_copies[1],
        "launch_attributes" => world.statistics.launch_attributes,
        "host_alloc_flags" => world.statistics.host_alloc_flags.into(),
        "host_register_flags" => world.statistics.host_register_flags.into(),
        "host_alloc_node" => world.statistics.host_alloc_node,
        "allocations" => world.space.count(MemoryKind::Device),
        "imported" => world.space.count(MemoryKind::Imported),
        "pooled" => world.space.count(MemoryKind::Pooled),
        "managed" => world.space.count(MemoryKind::Managed),
        "reserved" => world.space.count(MemoryKind::Reserved),
        "physical" => world.physical.len() as u64,
        "pinned" => world.pinned.count() as u64,
        "faults" => world.faults.len() as u64,
        "streams" => world.streams.values().filter(|stream| !stream.destroyed).count() as u64,
        "events" => world.events.len() as u64,
        "blocking_events" => world.events.values().filter(|event| event.flags & BLOCKING_SYNC != 0).count() as u64,
        "contexts" => world.contexts.len() as u64,
        _ => return Err(INVALID_VALUE),
    })
}

#[unsafe(no_mangle)]
extern "C" fn tenure_sim_reset() -> u32 {
    call_counts::reset();
    control(|world| {
        start::reset(world);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn tenure_sim_set(name: *const c_char, value: u64) -> u32 {
    control(|world| set_number(world, text(name)?, value))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn tenure_sim_get(name: *const c_char, value: *mut u64) -> u32 {
    control(|world| put(value, get_number(world, text(name)?)?))
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
        world.closed.insert(base_name(text(name)?).to_owned());
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn tenure_sim_open(name: *const c_char) -> u32 {
    control(|world| {
        match base_name(text(name)?) {
            "" => world.closed.clear(),
            name => drop(world.closed.remove(name)),
        }
        PROGRESS.notify_all();
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn tenure_sim_break_device(device: c_int, code: u32) -> u32 {
    control(|world| {
        let device = usize::try_from(device).map_err(|_| INVALID_DEVICE)?;
        let affected: Vec<Handle> = world
            .contexts
            .iter()
            .filter(|(_, context)| context.device == device)
            .map(|(context, _)| *context)
            .collect();
        for context in affected {
            world.lose_context(context, code);
        }
        Ok(())
    })
}

/// Changes one stream, also a destroyed one whose work is not done; 0, 1 and 2 mean those of the current context.
fn with_stream(stream: Handle, change: impl FnOnce(&mut Stream)) -> u32 {
    control(|world| {
        let stream = match stream {
            0..=PER_THREAD => world.stream_of(stream, current_context(), false)?,
            other => other,
        };
        change(world.streams.get_mut(&stream).ok_or(INVALID_HANDLE)?);
        PROGRESS.notify_all();
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
        // The stream has ended with its work, so it is not held.
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
        PROGRESS.notify_all();
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
    text(name).map_or(0, call_counts::calls)
}

#[unsafe(no_mangle)]
extern "C" fn tenure_sim_reset_calls() -> u32 {
    call_counts::reset();
    control(|world| {
        let Statistics { device_synchronizes, implicit_synchronizes, executed, copied, peer_copies, .. } =
            &mut world.statistics;
        (*device_synchronizes, *implicit_synchronizes, *executed, *copied, *peer_copies) = (0, 0, 0, [0; 3], [0; 2]);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn tenure_sim_list_calls(
    visit: Option<unsafe extern "C" fn(*const c_char, u64, *mut c_void)>,
    data: *mut c_void,
) {
    let Some(visit) = visit else { return };
    for (name, calls) in call_counts::list() {
        if let Ok(name) = std::ffi::CString::new(name) {
            // SAFETY: the caller's function with the caller's data.
            unsafe { visit(name.as_ptr(), calls, data) };
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn tenure_sim_last_failure(place: *mut c_char, length: usize) -> u32 {
    control(|world| put_text(place, length, world.statistics.last_failure.as_bytes()))
}

/// Where the bytes of device memory really are, for tests and for kernels.
#[unsafe(no_mangle)]
extern "C" fn tenure_sim_bytes(address: Address, size: usize, device: c_int) -> *mut c_void {
    let mut found = std::ptr::null_mut();
    let Some(device) = usize::try_from(device).ok().filter(|device| *device < MAX_DEVICES) else { return found };
    let resolve = |machine: &Machine| machine.space.resolve(address, size as u64, device, true).map(<*mut u8>::cast);
    if let Some(answer) = inside_kernel(resolve) {
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
        let kernel = Registered { run: Run::Registered(run), sizes, waits: waits != 0, attributes: Default::default() };
        world.modules.kernels.insert(name, kernel);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn tenure_sim_set_kernel_attribute(name: *const c_char, attribute: c_int, value: c_int) -> u32 {
    control(|world| {
        let kernel = world.modules.kernels.get_mut(text(name)?).ok_or(NOT_FOUND)?;
        kernel.attributes.insert(attribute, value);
        Ok(())
    })
}

/// Programs look this symbol up to find out whether the driver is the simulator.
#[unsafe(no_mangle)]
extern "C" fn tenure_sim_version(version: *mut c_uint) -> u32 {
    put_optional(version, 1);
    SUCCESS
}
