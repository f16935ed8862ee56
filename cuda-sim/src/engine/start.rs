//! The beginning of a run: `cuInit` and `tenure_sim_reset`.

use super::worker;
use crate::base::config::Config;
use crate::base::status::*;
use crate::state::device::Device;
use crate::state::signals::{PROGRESS, wake_worker};
use crate::state::world::{World, watch_process};

/// `cuInit`: creates the devices; the first time in a process, starts the device's own thread.
pub fn initialise(world: &mut World) -> Answer {
    if world.initialised {
        return Ok(());
    }
    let count = world.config.devices;
    let visible = world.config.visible.clone().unwrap_or_else(|| (0..count).collect());
    // As with the real driver, an ordinal that does not exist hides all behind it.
    let visible = visible.into_iter().take_while(|ordinal| *ordinal < count);
    world.devices = visible.map(|ordinal| Device::new(ordinal, world.config.memory)).collect();
    if world.devices.is_empty() {
        return Err(NO_DEVICE);
    }
    world.initialised = true;
    if !std::mem::replace(&mut world.started, true) {
        watch_process();
        worker::start();
    }
    Ok(())
}

/// Restores the state after the start of the process: devices, memory, streams, faults and settings are those of the
/// environment. The device's threads stay. Work that they still run ends in the new world, which ignores it.
pub fn reset(world: &mut World) {
    let mut fresh = World::new(Config::from_environment());
    fresh.machine.inherit(&mut world.machine);
    fresh.jobs = world.jobs.without_jobs();
    fresh.started = world.started;
    *world = fresh;
    wake_worker();
    PROGRESS.notify_all();
}
