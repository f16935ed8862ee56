//! The event log and the fast paths. What is recorded is tested by c-tests/events.c.

use tenure::events::{self, Destination};
use tenure::pool;
use tenure::types::*;
use tenure_harness::test;

fn allocate_and_free() -> bool {
    let Some(block) = pool::allocate_fast(0, 64, 0) else { return false };
    let address = block.address();
    block.finish(());
    pool::deallocate_anywhere(address)
}

/// A first call, after which the thread has a heap of its current pool.
fn warm_up() {
    let block = pool::raw::allocate_slow(0, 64, 0, 0).unwrap();
    pool::raw::deallocate_slow(0, block.as_ptr() as usize, 0).unwrap();
}

#[test]
fn ev_23_fast_paths_are_off_only_while_a_log_runs() {
    warm_up();
    for _ in 0..3 {
        assert!(allocate_and_free());
        events::start(Destination::Memory, TN_LOG_ALL, 1 << 20).unwrap();
        assert!(!allocate_and_free());
        warm_up();
        assert_eq!(events::stats().slots, 2);
        events::stop().unwrap();
        assert!(allocate_and_free());
    }
}
