//! The device's own thread, which runs work while no calls come.

use crate::base::config::Pace;
use crate::base::thread::spawn;
use crate::state::signals::{PROGRESS, WORKER};
use crate::state::world::{self, World};
use parking_lot::MutexGuard;
use std::time::Duration;

/// After this time without new work the thread sleeps until it is woken.
const LONG_QUIET: Duration = Duration::from_millis(200);

pub fn start() {
    spawn(run);
}

fn run() {
    let mut world = world::lock();
    while !world::has_ended() {
        let idle = world.config.idle;
        let quiet = world.last_call.elapsed();
        if world.busy.is_empty() {
            wait_for_work(&mut world, idle, quiet);
        } else if world.config.pace == Pace::Manual {
            WORKER.wait_for(&mut world, Duration::from_millis(50));
        } else if quiet < idle {
            WORKER.wait_for(&mut world, idle.saturating_sub(quiet).max(Duration::from_micros(100)));
        } else if !world.step() {
            let pause = world.pause();
            PROGRESS.wait_for(&mut world, pause);
        } else {
            MutexGuard::unlocked(&mut world, std::thread::yield_now);
        }
    }
}

fn wait_for_work(world: &mut MutexGuard<World>, idle: Duration, quiet: Duration) {
    if quiet < LONG_QUIET {
        WORKER.wait_for(world, idle.max(Duration::from_millis(1)));
    } else {
        world.jobs.worker_sleeps = true;
        WORKER.wait(world);
    }
}
