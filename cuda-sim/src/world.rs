//! The whole state of the simulated machine, behind one lock, and the process around it: load, exit, fork.

use crate::array::Array;
use crate::config::Config;
use crate::context::Context;
use crate::device::Device;
use crate::engine::Jobs;
use crate::event::Event;
use crate::fault::Fault;
use crate::graph::Graphs;
use crate::host::PinnedRanges;
use crate::managed::Advice;
use crate::mempool::Pools;
use crate::module::Modules;
use crate::object::Objects;
use crate::random::Random;
use crate::space::Space;
use crate::status::*;
use crate::stream::Stream;
use crate::types::{Address, Handle};
use crate::vmm::Physical;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

pub struct World {
    pub config: Config,
    pub initialised: bool,
    pub random: Random,
    pub devices: Vec<Device>,
    pub contexts: BTreeMap<Handle, Context>,
    pub space: Space,
    pub streams: BTreeMap<Handle, Stream>,
    /// Streams with work that has not been started.
    pub busy: BTreeSet<Handle>,
    pub events: BTreeMap<Handle, Event>,
    pub objects: Objects,
    pub arrays: BTreeMap<Handle, Array>,
    pub graphs: Graphs,
    pub physical: BTreeMap<Handle, Physical>,
    pub pools: Pools,
    pub modules: Modules,
    pub pinned: PinnedRanges,
    /// By the base of a managed allocation.
    pub advice: BTreeMap<Address, Advice>,
    pub jobs: Jobs,
    pub faults: Vec<Fault>,
    /// Functions whose calls wait at the door until a test lets them in.
    pub closed: BTreeSet<String>,
    pub notes: Notes,
    /// Chances in 256 that a call lets one piece of work run; drawn from the seed.
    pub pace: u32,
    pub last_call: Instant,
    /// The process is watched, and the device's thread runs.
    started: bool,
    next_handle: u64,
}

/// What tests ask for afterwards.
#[derive(Default)]
pub struct Notes {
    pub host_alloc_flags: u32,
    pub host_register_flags: u32,
    /// Waits for a whole device that a caller asked for.
    pub device_synchronizes: u64,
    /// Calls that free memory and found work unfinished on the device.
    pub implicit_synchronizes: u64,
    /// Pieces of work that ran on streams.
    pub executed: u64,
    /// Bytes moved by copies that ran, by direction: to the device, from it, on or between devices.
    pub copied: [u64; 3],
    /// What the last piece of work that failed was.
    pub last_failure: &'static str,
}

/// What a handle is, in its upper half: a stream is never taken for an event.
#[derive(Clone, Copy)]
pub enum Kind {
    Context = 0xC0,
    Stream = 0x57,
    Event = 0xE7,
    Object = 0x0B,
    Array = 0xAA,
    Graph = 0x64,
    GraphExec = 0x65,
    Node = 0x66,
    Physical = 0x9A,
    Pool = 0x90,
    Module = 0x30,
    Function = 0xF0,
}

static WORLD: OnceLock<Mutex<World>> = OnceLock::new();
/// Notified when a piece of work ended outside the lock, or something else may let a waiting call go on.
pub static WAKE: Condvar = Condvar::new();
static ENDED: AtomicBool = AtomicBool::new(false);
static FORKED: AtomicBool = AtomicBool::new(false);

/// The process is leaving: its statics may be gone, no call does anything any more.
pub fn ended() -> bool {
    ENDED.load(Ordering::Relaxed)
}

/// This is a child whose parent had initialised the driver: nothing of it came along.
pub fn forked() -> bool {
    FORKED.load(Ordering::Relaxed)
}

pub fn lock() -> MutexGuard<'static, World> {
    WORLD.get_or_init(|| Mutex::new(World::new(Config::from_environment()))).lock()
}

extern "C" fn at_exit() {
    ENDED.store(true, Ordering::Relaxed);
}

extern "C" fn in_child() {
    FORKED.store(true, Ordering::Relaxed);
}

impl World {
    fn new(config: Config) -> World {
        let mut random = Random::new(config.seed);
        let pace = draw_pace(&mut random);
        World {
            initialised: false,
            random,
            devices: Vec::new(),
            contexts: BTreeMap::new(),
            space: Space::new(config.reuses),
            streams: BTreeMap::new(),
            busy: BTreeSet::new(),
            events: BTreeMap::new(),
            objects: Objects::new(),
            arrays: BTreeMap::new(),
            graphs: Graphs::default(),
            physical: BTreeMap::new(),
            pools: Pools::default(),
            modules: Modules::default(),
            pinned: PinnedRanges::default(),
            advice: BTreeMap::new(),
            jobs: Jobs::default(),
            faults: Vec::new(),
            closed: BTreeSet::new(),
            notes: Notes::default(),
            pace,
            last_call: Instant::now(),
            started: false,
            next_handle: 1,
            config,
        }
    }

    /// `cuInit`: the devices come to life and the process is watched.
    pub fn initialise(&mut self) -> Answer {
        if self.initialised {
            return Ok(());
        }
        let there = self.config.devices;
        let visible = self.config.visible.clone().unwrap_or_else(|| (0..there).collect());
        // As the real driver: one that is not there hides all behind it.
        let visible = visible.into_iter().take_while(|ordinal| *ordinal < there);
        self.devices = visible.map(|ordinal| Device::new(ordinal, self.config.memory)).collect();
        if self.devices.is_empty() {
            return Err(NO_DEVICE);
        }
        self.initialised = true;
        if std::mem::replace(&mut self.started, true) {
            return Ok(());
        }
        // SAFETY: both handlers only store to a static; registering them touches nothing of ours.
        unsafe {
            libc::atexit(at_exit);
            libc::pthread_atfork(None, None, Some(in_child));
        }
        crate::engine::start();
        Ok(())
    }

    /// As after the process started: devices, memory, streams, faults and settings are those of the environment again. Threads that
    /// the device has stay; what they still run ends in a world that knows nothing of it.
    pub fn reset(&mut self) {
        let mut fresh = World::new(Config::from_environment());
        // Never the same handle twice, so that old ones stay wrong.
        (fresh.next_handle, fresh.started) = (self.next_handle, self.started);
        fresh.space.follow(&mut self.space);
        fresh.jobs = self.jobs.keep_threads();
        *self = fresh;
        crate::engine::stir();
        WAKE.notify_all();
    }

    /// The run starts over from another seed: what is queued stays.
    pub fn reseed(&mut self, seed: u64) {
        self.config.seed = seed;
        self.random = Random::new(seed);
        self.pace = draw_pace(&mut self.random);
    }

    /// A handle that was never given before.
    pub fn handle(&mut self, kind: Kind) -> Handle {
        let number = self.next_handle;
        self.next_handle += 1;
        // Above what a process can map, so that a handle taken for a pointer crashes; positive as a signed number.
        0x0100_0000_0000_0000 | (kind as u64) << 48 | number << 4
    }

    /// There is such a context and it was not destroyed.
    pub fn living(&self, context: Handle) -> Answer {
        match self.contexts.get(&context) {
            Some(_) => Ok(()),
            None if context == 0 => Err(INVALID_CONTEXT),
            None => Err(CONTEXT_IS_DESTROYED),
        }
    }

    /// As `living`, and no sticky error.
    pub fn sound(&self, context: Handle) -> Answer {
        self.living(context)?;
        match self.contexts.get(&context).and_then(|context| context.lost) {
            Some(code) => Err(code),
            None => Ok(()),
        }
    }

    /// The context is lost: what is queued in it is dropped, every later call in it fails with `code`.
    pub fn lose(&mut self, context: Handle, code: u32) {
        if let Some(context) = self.contexts.get_mut(&context) {
            context.lost.get_or_insert(code);
        }
        WAKE.notify_all();
    }
}

/// From hardly any work before it must to nearly at once: seeds differ in this too.
fn draw_pace(random: &mut Random) -> u32 {
    [0, 16, 64, 160, 240][random.below(5)]
}
