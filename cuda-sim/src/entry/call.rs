//! A call inside the driver: the locked world and the caller's context, with the ways to wait.

use crate::base::status::*;
use crate::base::types::{Handle, LOCATION_DEVICE, LOCATION_HOST, Location};
use crate::state::point::Point;
use crate::state::signals::PROGRESS;
use crate::state::world::{self, World};
use parking_lot::MutexGuard;
use std::ffi::c_int;
use std::ops::{Deref, DerefMut};
use std::time::Instant;

pub struct Call<'a> {
    /// The exported function's name.
    pub name: &'static str,
    pub world: MutexGuard<'a, World>,
    /// The current context; 0 where none is needed and none is set.
    pub context: Handle,
    /// Stream 0 means the per-thread stream (the `_ptsz` and `_ptds` functions).
    pub per_thread: bool,
}

impl Deref for Call<'_> {
    type Target = World;
    fn deref(&self) -> &World {
        &self.world
    }
}

impl DerefMut for Call<'_> {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.world
    }
}

impl Call<'_> {
    /// Lets the device work until `done`; other threads may enter the driver meanwhile. An error of the context ends
    /// the wait.
    pub fn wait(&mut self, done: impl Fn(&World) -> bool) -> Answer {
        let mut reported = None;
        while !done(&self.world) {
            if world::has_ended() {
                return Err(DEINITIALIZED);
            }
            let reported: &mut Instant = reported.get_or_insert_with(Instant::now);
            let patience = self.world.config.patience;
            if reported.elapsed() >= patience {
                *reported = Instant::now();
                eprintln!("cuda-sim: {} waits for {patience:?}: {}", self.name, self.world.describe_pending());
            }
            if !self.world.step() {
                let pause = self.world.pause();
                PROGRESS.wait_for(&mut self.world, pause);
            }
        }
        self.world.check_usable(self.context)
    }

    pub fn wait_for_point(&mut self, point: Point) -> Answer {
        let owner = self.streams.get(&point.stream).map(|stream| stream.context);
        self.wait(|world| world.is_reached(point))?;
        owner.map_or(Ok(()), |context| self.check_usable(context))
    }

    /// Waits for all that is in a stream now.
    pub fn wait_for_stream(&mut self, stream: Handle) -> Answer {
        let point = self.last_point(stream);
        if stream == self.legacy_stream(self.context) {
            // The legacy stream waits for these, and all their work was queued before.
            let before = self.unfinished_blocking_streams(self.context);
            self.wait(|world| before.iter().all(|point| world.is_reached(*point)))?;
        }
        self.wait_for_point(point)
    }

    /// Waits for the device before memory is freed, as the real driver does, unless `free_waits` is off.
    pub fn wait_before_free(&mut self, device: usize) -> Answer {
        let is_pending = |world: &World| {
            world.streams.values().any(|stream| {
                !stream.is_idle() && world.contexts.get(&stream.context).is_some_and(|context| context.device == device)
            })
        };
        if !is_pending(&self.world) {
            return Ok(());
        }
        self.statistics.implicit_synchronizes += 1;
        if self.config.free_waits { self.wait(move |world| !is_pending(world)) } else { Ok(()) }
    }

    /// The stream that a caller's handle means. A driver may dereference a handle that is none, so the process ends
    /// there.
    pub fn stream(&mut self, handle: Handle) -> Answer<Handle> {
        let (context, per_thread) = (self.context, self.per_thread);
        let stream = self.world.stream_of(handle, context, per_thread);
        if stream == Err(INVALID_HANDLE) {
            self.abort_for_stream(handle);
        }
        stream
    }

    /// Ends the process because a call named a stream that does not exist, unless the program turned that off.
    pub fn abort_for_stream(&self, handle: Handle) {
        if !self.config.aborts {
            return;
        }
        let what = if self.was_stream(handle) { "does not exist any more" } else { "is no stream of this driver" };
        eprintln!(
            "cuda-sim: {} was called with the stream {handle:#x}, which {what}. A driver may crash here, or use another \
             stream that got the same handle. The process ends (TENURE_SIM_ABORT=0: the call returns 400).",
            self.name
        );
        std::process::abort();
    }

    /// The code for a context that does not exist. A driver may crash where a call dereferences it, so the process ends
    /// there.
    pub fn check_context_or_abort(&self, context: Handle) -> Answer {
        let exists = self.check_exists(context);
        if exists.is_err() && self.config.aborts {
            eprintln!(
                "cuda-sim: {} was called with the context {context:#x}, which does not exist any more. A driver may crash \
                 here. The process ends (TENURE_SIM_ABORT=0: the call returns a code).",
                self.name
            );
            std::process::abort();
        }
        exists
    }

    /// The index of the current context's device.
    pub fn device(&self) -> usize {
        self.world.contexts.get(&self.context).map_or(0, |context| context.device)
    }

    /// The index of a device that a caller names.
    pub fn ordinal(&self, device: c_int) -> Answer<usize> {
        usize::try_from(device).ok().filter(|device| *device < self.world.devices.len()).ok_or(INVALID_DEVICE)
    }

    /// The index of the device at a location; None: a location on the host.
    pub fn device_at(&self, location: Location) -> Answer<Option<usize>> {
        /// CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT, the last of the types that mean the host.
        const LAST_HOST_KIND: u32 = 4;
        match location.kind {
            LOCATION_DEVICE => self.ordinal(location.id).map(Some),
            LOCATION_HOST..=LAST_HOST_KIND => Ok(None),
            _ => Err(INVALID_VALUE),
        }
    }
}
