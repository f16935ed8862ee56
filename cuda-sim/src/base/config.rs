//! The settings of a run: read from the environment, changed by `tenure_sim_set`.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, Ordering};

/// When queued work runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Each call lets none, some or much of it run, as the seed decides.
    Random,
    /// All work that can run has run when the call that queued it returns.
    Eager,
    /// Only polls, waiting calls and idle time run work.
    Lazy,
    /// Only waiting calls and `tenure_sim_step` run work.
    Manual,
}

impl Pace {
    pub fn from_code(code: u32) -> Option<Pace> {
        [Pace::Random, Pace::Eager, Pace::Lazy, Pace::Manual].get(code as usize).copied()
    }

    fn named(name: &str) -> Option<Pace> {
        Some(match name {
            "random" => Pace::Random,
            "eager" => Pace::Eager,
            "lazy" => Pace::Lazy,
            "manual" => Pace::Manual,
            _ => return None,
        })
    }
}

#[derive(Clone)]
pub struct Config {
    pub seed: u64,
    pub devices: usize,
    pub memory: u64,
    pub peers: bool,
    pub version: i32,
    /// The devices that the program sees, in its order; None: all.
    pub visible: Option<Vec<usize>>,
    pub pace: Pace,
    /// The device's own thread runs work after this time without a call.
    pub idle: std::time::Duration,
    /// A call that waits longer prints what it waits for, so that a test that hangs explains itself.
    pub patience: std::time::Duration,
    /// Fresh device memory holds junk, not zeros.
    pub junk: bool,
    /// Freed device addresses are given out again at once, as a real driver does; else as late as possible.
    pub reuses: bool,
    /// The part of large allocations, of 256, whose addresses are not aligned to 2 MiB; None: the seed decides.
    pub askew: Option<u32>,
    /// Freeing waits for the device, as the real driver does; without, work that still uses the memory faults.
    pub free_waits: bool,
    /// A call with a stream that does not exist ends the process, as a driver may; else it returns 400.
    pub aborts: bool,
    /// Whether the primary context after a reset has the handle of the one before; None: as the seed decides.
    pub same_context: Option<bool>,
    /// The newest version of PTX that the driver accepts, times ten; None: that of the driver's version.
    pub ptx: Option<i32>,
    /// A peer copy into memory of a pool that the source's device was given access to writes nothing, as with driver
    /// 590.
    pub lost_peer_writes: bool,
    /// Loading a module waits for all work of its context.
    pub load_waits: bool,
    /// Streams that are created now belong to a green context.
    pub green: bool,
}

pub const MAX_DEVICES: usize = 8;

impl Config {
    pub fn from_environment() -> Config {
        set_tracing(number("TENURE_SIM_TRACE").is_some_and(|flag| flag != 0));
        Config {
            seed: number("TENURE_SIM_SEED").unwrap_or(1),
            devices: number("TENURE_SIM_DEVICES").map_or(1, |count| (count as usize).min(MAX_DEVICES)),
            memory: number("TENURE_SIM_MEMORY").unwrap_or(1 << 30),
            peers: number("TENURE_SIM_PEERS").is_none_or(|flag| flag != 0),
            version: number("TENURE_SIM_VERSION").map_or(13000, |version| version as i32),
            visible: text("CUDA_VISIBLE_DEVICES").map(|list| visible(&list)),
            pace: text("TENURE_SIM_PACE").and_then(|name| Pace::named(&name)).unwrap_or(Pace::Random),
            idle: std::time::Duration::from_micros(number("TENURE_SIM_IDLE_US").unwrap_or(5000)),
            patience: std::time::Duration::from_millis(number("TENURE_SIM_PATIENCE_MS").unwrap_or(10_000)),
            junk: number("TENURE_SIM_JUNK").is_none_or(|flag| flag != 0),
            reuses: number("TENURE_SIM_REUSE").is_some_and(|flag| flag != 0),
            askew: number("TENURE_SIM_ASKEW").map(|part| part.min(256) as u32),
            free_waits: number("TENURE_SIM_FREE_WAITS").is_none_or(|flag| flag != 0),
            aborts: number("TENURE_SIM_ABORT").is_none_or(|flag| flag != 0),
            same_context: None,
            ptx: None,
            lost_peer_writes: false,
            load_waits: false,
            green: false,
        }
    }
}

/// The part of large allocations, of 256, that come askew with every fourth seed.
const ASKEW_PART: u32 = 64;

impl Config {
    /// The newest version of PTX that the driver accepts, times ten. By the release notes of PTX 6.3 came with CUDA
    /// 10.0, 7.0 with 11.0, 8.0 with 12.0, 9.0 with 13.0.
    pub fn newest_ptx(&self) -> i32 {
        let (major, minor) = (self.version / 1000, self.version % 1000 / 10);
        self.ptx.unwrap_or(if major <= 10 { 63 + minor } else { 10 * (major - 4) + minor })
    }

    /// See the field of that name.
    pub fn askew(&self) -> u32 {
        self.askew.unwrap_or(if self.seed.is_multiple_of(4) { ASKEW_PART } else { 0 })
    }
}

static TRACE: AtomicBool = AtomicBool::new(false);

/// Whether each call and each piece of work that runs is printed to stderr.
pub fn is_tracing() -> bool {
    TRACE.load(Ordering::Relaxed)
}

pub fn set_tracing(on: bool) {
    TRACE.store(on, Ordering::Relaxed);
}

/// The value of an environment variable; None when it is absent or not UTF-8.
pub fn text(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Parses CUDA_VISIBLE_DEVICES: ordinals up to the first entry that is none.
fn visible(list: &str) -> Vec<usize> {
    list.split(',').map_while(|ordinal| ordinal.trim().parse().ok()).collect()
}

/// A number from the environment; a suffix K, M or G stands for a power of 1024.
fn number(name: &str) -> Option<u64> {
    let text = text(name)?;
    let text = text.trim();
    let (digits, unit) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 1 << 10),
        b'M' => (&text[..text.len() - 1], 1 << 20),
        b'G' => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}
