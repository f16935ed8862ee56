//! Free memory that goes back by age (PH-21). In a file of its own: the pools of other tests would keep fast paths off,
//! or on.

use crate::support;
use std::ptr::null_mut;
use std::time::{Duration, Instant};
use support::decay::*;
use support::pools::*;
use tenure::ffi::pool::{tn_pool_allocate, tn_pool_deallocate, tn_pool_release};
use tenure::pool::{self, is_decaying};
use tenure::types::*;
use tenure_harness::test;

const HALF_LIFE: Duration = Duration::from_millis(250);

/// The tests of this file run one after another in one process: whether anything decays is a property of the process.
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The least that is left of a peak after a time: its half after each half-life, without what is left of the last.
fn at_least(peak: u64, since: Instant) -> u64 {
    let halves = since.elapsed().as_millis() / HALF_LIFE.as_millis() + 1;
    peak >> halves.min(63)
}

#[test]
fn ph_21_what_was_in_use_lately_stays() {
    let (_alone, _turn) = (alone(), one_at_a_time());
    let pool = TestPool::plain();
    let fell = rise_and_fall(&pool, 16);
    let stayed = pool.stats().reserved_bytes;
    assert!(stayed >= at_least(512 * MIB, fell), "{stayed}");
    // What stayed serves the next step.
    let from_device = pool.stats().device_bytes_total;
    let again = rise_and_fall(&pool, 8);
    let new = pool.stats().device_bytes_total - from_device;
    assert!(new <= (256 * MIB).saturating_sub(at_least(512 * MIB, fell)), "{new} of 256 MiB are new");
    assert!(pool.stats().reserved_bytes >= at_least(256 * MIB, again));
}

#[test]
fn ph_21_what_has_decayed_goes_back_in_any_call() {
    let (_alone, _turn) = (alone(), one_at_a_time());
    let small_calls: [fn(&TestPool, *mut tn_pool); 3] = [
        |_, handle| {
            // The C functions, with their fast path.
            let mut block = null_mut();
            // SAFETY: the place is ours, and the handle is live.
            assert_eq!(unsafe { tn_pool_allocate(handle, 64, 0, null_mut(), &mut block) }, TN_OK);
            assert_eq!(tn_pool_deallocate(handle, block, null_mut()), TN_OK);
        },
        // As arrays do.
        |pool, _| {
            let thread = tenure::thread::current();
            let store = pool.allocate_store(thread, 64, 64, false, 1).unwrap();
            pool.free_store(thread, store);
        },
        // A large block that the thread keeps.
        |pool, _| pool.give(pool.get(200_000)),
    ];
    for call in small_calls {
        let pool = TestPool::plain();
        let handle = pool::new_handle(pool.0).unwrap().bits() as *mut tn_pool;
        call(&pool, handle);
        assert!(!is_decaying());
        rise_and_fall(&pool, 16);
        let before = pool.stats().reserved_bytes;
        assert!(is_decaying() || before <= MAY_STAY + 32 * MIB, "{before}");
        calls_until(&pool, MAY_STAY, || call(&pool, handle));
        // A later call finds that no more has to go.
        calls_until(&pool, MAY_STAY, || ());
        let start = Instant::now();
        while is_decaying() {
            assert!(start.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(1));
            call(&pool, handle);
        }
        assert!(pool.stats().reserved_bytes >= MAY_STAY - 4 * MIB, "no more than has to go back does");
        assert_eq!(tn_pool_release(handle), TN_OK);
    }
}

#[test]
fn ph_21_the_peak_is_what_was_in_use_and_not_what_was_reserved() {
    let (_alone, _turn) = (alone(), one_at_a_time());
    let pool = TestPool::plain();
    // Free memory that does not fit is exchanged when the pool grows: blocks that grow by turns do not add up.
    let mut block = pool.get(64 << 20);
    for mib in 65..105_usize {
        let next = pool.get(mib << 20);
        pool.give(block);
        block = next;
    }
    pool.give(block);
    let peak = pool.stats().peak_in_use_bytes;
    let reserved = pool.stats().peak_reserved_bytes;
    assert!(reserved <= peak + peak / 8, "{reserved} were reserved for {peak}");
}

#[test]
fn ph_21_pools_that_end_leave_nothing_to_decay() {
    let (_alone, _turn) = (alone(), one_at_a_time());
    let (first, second) = (TestPool::plain(), TestPool::plain());
    rise_and_fall(&first, 16);
    rise_and_fall(&second, 16);
    drop(first);
    drop(second);
    assert!(!is_decaying());
    // What a caller sets has no age.
    let set = TestPool::new(|o| o.release_threshold = MAY_STAY);
    rise_and_fall(&set, 16);
    assert!(!is_decaying() && set.stats().reserved_bytes <= MAY_STAY + 32 * MIB);
    let all = TestPool::new(|o| o.release_threshold = TN_POOL_NONE);
    rise_and_fall(&all, 16);
    assert!(!is_decaying() && all.stats().reserved_bytes >= 512 * MIB);
    // A trim needs no age.
    let trimmed = TestPool::plain();
    rise_and_fall(&trimmed, 16);
    trimmed.trim(0);
    assert_eq!(trimmed.stats().reserved_bytes, 0);
    assert!(!is_decaying());
}

#[test]
fn ph_22_a_free_span_is_extended() {
    const MIB: usize = 1 << 20;
    let (_alone, _turn) = (alone(), one_at_a_time());
    // The system may give the addresses behind the span to somebody else: then another attempt is made.
    for attempt in 1.. {
        assert!(attempt <= 20, "the addresses behind the span were never free");
        let pool = TestPool::plain();
        let first = pool.get(40 * MIB);
        paint(first, 40 * MIB, 7);
        pool.give(first);
        // The end of the span goes back to the system.
        pool.trim(20 * MIB);
        let before = pool.stats();
        assert_eq!(before.reserved_bytes, 20 * MIB as u64);
        if (20 * MIB..40 * MIB).step_by(4096).any(|at| is_mapped(first + at)) {
            continue;
        }
        let again = pool.0.allocate(40 * MIB, 0, true, 0).unwrap().as_ptr() as usize;
        let after = pool.stats();
        assert_eq!(again, first, "it begins where the free span did");
        assert_eq!(after.device_bytes_total - before.device_bytes_total, 20 * MIB as u64);
        assert_eq!(after.hit_count, before.hit_count, "memory came from the device");
        assert!(is_painted(again, 40 * MIB, 0), "both parts read 0");
        pool.give(again);
        break;
    }
}

#[test]
fn ph_22_extended_spans_keep_to_the_limit() {
    const MIB: usize = 1 << 20;
    let (_alone, _turn) = (alone(), one_at_a_time());
    let pool = TestPool::new(|o| o.max_size = 64 << 20);
    let mut block = pool.get(20 * MIB);
    for mib in 21..=64 {
        pool.give(block);
        block = pool.get(mib * MIB);
        assert!(pool.stats().reserved_bytes <= 64 * MIB as u64);
    }
    pool.give(block);
}
