//! Faults that tests ordered: a result code at the n-th call of a function, or at the n-th piece of queued work.

use crate::base::call_counts::base_name;

/// The name that stands for every function that allocates.
const ANY_ALLOCATION: &str = "*alloc";
/// The name that stands for every function.
const ANY_CALL: &str = "*";
/// The name that stands for every piece of work that runs on a stream.
pub const ANY_WORK: &str = "*work";

pub struct Fault {
    /// As `base_name` gives it, or one of the names above.
    name: String,
    /// Calls until it is due; 1 is the next one.
    left: u64,
    /// How many calls fail from then on; 0: all of them.
    times: u64,
    code: u32,
}

impl Fault {
    pub fn new(name: &str, nth: u64, times: u64, code: u32) -> Fault {
        Fault { name: base_name(name).to_owned(), left: nth.max(1), times, code }
    }

    fn applies_to(&self, name: &str) -> bool {
        match self.name.as_str() {
            ANY_CALL => name != ANY_WORK,
            ANY_ALLOCATION => allocates(name),
            exact => exact == name,
        }
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

/// Counts a call, or a piece of work, against every fault that applies to it. The first fault that is due gives the
/// code.
pub fn next_fault(faults: &mut Vec<Fault>, name: &str) -> Option<u32> {
    if faults.is_empty() {
        return None;
    }
    let mut due = None;
    for fault in faults.iter_mut().filter(|fault| fault.applies_to(name)) {
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
    faults.retain(|fault| fault.times != u64::MAX);
    due
}
