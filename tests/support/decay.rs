//! Pools that hold much memory for a moment.

use super::pools::TestPool;
use std::time::{Duration, Instant};

pub const MIB: u64 = 1 << 20;
/// `release_threshold` of a pool with little in use.
pub const MAY_STAY: u64 = 64 * MIB;

/// Allocates blocks of 32 MiB and frees them. Returns the time when the first was freed.
pub fn rise_and_fall(pool: &TestPool, blocks: usize) -> Instant {
    let blocks: Vec<_> = (0..blocks).map(|_| pool.get(32 << 20)).collect();
    let fell = Instant::now();
    blocks.into_iter().for_each(|block| pool.give(block));
    fell
}

/// Calls `call` until so little is reserved, for a minute at most.
pub fn calls_until(pool: &TestPool, most: u64, mut call: impl FnMut()) {
    let start = Instant::now();
    while pool.stats().reserved_bytes > most {
        assert!(start.elapsed() < Duration::from_secs(60), "{} bytes are still reserved", pool.stats().reserved_bytes);
        std::thread::sleep(Duration::from_millis(1));
        call();
    }
}
