//! The whole state of the driver, behind one lock, and the end of the process around it: exit and fork.

use super::fault::Fault;
use super::graph::Graphs;
use super::machine::Machine;
use super::stream::Stream;
use super::user_object::UserObjects;
use super::work::Jobs;
use crate::base::config::Config;
use crate::base::random::Random;
use crate::base::types::Handle;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

pub struct World {
    pub machine: Machine,
    /// `cuInit` has succeeded.
    pub initialised: bool,
    pub streams: BTreeMap<Handle, Stream>,
    /// The streams that have work in their queues.
    pub busy: BTreeSet<Handle>,
    pub graphs: Graphs,
    pub objects: UserObjects,
    pub jobs: Jobs,
    pub faults: Vec<Fault>,
    /// The functions whose calls block until a test opens them, by their base names.
    pub closed: BTreeSet<String>,
    /// The chance, in 256, that a call lets one piece of work run; drawn from the seed.
    pub progress_chance: u32,
    pub last_call: Instant,
    /// The handlers of exit and fork are installed, and the device's own thread runs.
    pub started: bool,
}

impl Deref for World {
    type Target = Machine;
    fn deref(&self) -> &Machine {
        &self.machine
    }
}

impl DerefMut for World {
    fn deref_mut(&mut self) -> &mut Machine {
        &mut self.machine
    }
}

impl World {
    pub fn new(config: Config) -> World {
        let mut machine = Machine::new(config);
        let progress_chance = draw_progress_chance(&mut machine.random);
        World {
            machine,
            initialised: false,
            streams: BTreeMap::new(),
            busy: BTreeSet::new(),
            graphs: Graphs::default(),
            objects: UserObjects::new(),
            jobs: Jobs::default(),
            faults: Vec::new(),
            closed: BTreeSet::new(),
            progress_chance,
            last_call: Instant::now(),
            started: false,
        }
    }

    /// Starts the random choices over from another seed; queued work stays.
    pub fn reseed(&mut self, seed: u64) {
        self.config.seed = seed;
        self.random = Random::new(seed);
        (self.space.random, self.space.askew) = (Random::new(seed), self.config.askew());
        self.progress_chance = draw_progress_chance(&mut self.random);
    }
}

/// From hardly any work before it must run to nearly all at once: seeds differ in this too.
fn draw_progress_chance(random: &mut Random) -> u32 {
    [0, 16, 64, 160, 240][random.below(5)]
}

static WORLD: OnceLock<Mutex<World>> = OnceLock::new();
static ENDED: AtomicBool = AtomicBool::new(false);
static FORKED: AtomicBool = AtomicBool::new(false);

pub fn lock() -> MutexGuard<'static, World> {
    WORLD.get_or_init(|| Mutex::new(World::new(Config::from_environment()))).lock()
}

/// Whether the process is exiting: its statics may be gone, so no call does anything any more.
pub fn has_ended() -> bool {
    ENDED.load(Ordering::Relaxed)
}

/// Whether this is the child of a process that had initialised the driver: a child inherits no driver.
pub fn is_forked() -> bool {
    FORKED.load(Ordering::Relaxed)
}

extern "C" fn at_exit() {
    ENDED.store(true, Ordering::Relaxed);
}

extern "C" fn in_child() {
    FORKED.store(true, Ordering::Relaxed);
}

/// Installs the handlers of exit and fork.
pub fn watch_process() {
    // SAFETY: both handlers only store to a static; registering them touches nothing of ours.
    unsafe {
        libc::atexit(at_exit);
        libc::pthread_atfork(None, None, Some(in_child));
    }
}
