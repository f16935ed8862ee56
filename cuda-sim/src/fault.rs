//! Faults on demand: a result code at the n-th call of a function, or at the n-th piece of queued work.
#![forbid(unsafe_code)]

use crate::counters::plain;
use crate::status::{Answer, NOT_SUPPORTED, is_sticky};
use crate::world::World;

/// The name that stands for every function that allocates.
pub const ALLOCATION: &str = "*alloc";
/// The name that stands for every function.
pub const ANY: &str = "*";
/// The name that stands for each piece of work that runs on a stream.
pub const WORK: &str = "*work";

pub struct Fault {
    /// As `counters::plain` gives it.
    name: String,
    /// Calls until it strikes; 1 is the next one.
    left: u64,
    /// How many calls in a row fail then; 0: every one from there on.
    times: u64,
    code: u32,
}

impl Fault {
    pub fn new(name: &str, nth: u64, times: u64, code: u32) -> Fault {
        Fault { name: plain(name).to_owned(), left: nth.max(1), times, code }
    }
}

fn allocates(name: &str) -> bool {
    const ALLOCATORS: [&str; 11] = [
        "cuMemAlloc",
        "cuMemAllocPitch",
        "cuMemAllocHost",
        "cuMemHostAlloc",
        "cuMemHostRegister",
        "cuMemAllocManaged",
        "cuMemCreate",
        "cuMemAddressReserve",
        "cuMemAllocAsync",
        "cuMemAllocFromPoolAsync",
        "cuMemPoolCreate",
    ];
    ALLOCATORS.contains(&name)
}

/// A call of an exported function: the fault that is due is its answer, and loses the current context if it is of that kind.
pub fn strike(world: &mut World, name: &str) -> Answer {
    if crate::missing::is_missing(name) {
        return Err(NOT_SUPPORTED);
    }
    let struck = count(world, plain(name));
    if let Err(code) = struck
        && is_sticky(code)
    {
        world.lose(crate::context::current(), code);
    }
    struck
}

/// A piece of work on a stream: the fault loses the context whatever its code.
pub fn strike_work(world: &mut World) -> Answer {
    count(world, WORK)
}

/// Counts `name` against every fault that waits for it; the first that is due answers.
fn count(world: &mut World, name: &str) -> Answer {
    if world.faults.is_empty() {
        return Ok(());
    }
    let mut due = None;
    for fault in &mut world.faults {
        let meant = match fault.name.as_str() {
            ANY => name != WORK,
            ALLOCATION => allocates(name),
            exact => exact == name,
        };
        if !meant {
            continue;
        }
        fault.left = fault.left.saturating_sub(1);
        if fault.left == 0 && due.is_none() {
            due = Some(fault.code);
            match fault.times {
                0 => fault.left = 1,
                1 => fault.times = u64::MAX,
                _ => (fault.left, fault.times) = (1, fault.times - 1),
            }
        }
    }
    world.faults.retain(|fault| fault.times != u64::MAX);
    due.map_or(Ok(()), Err)
}
