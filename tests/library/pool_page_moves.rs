//! Free huge pages that move to where a large block fits (PH-24). Each test runs alone in a process, because resident
//! memory, page faults and the next failures of the system belong to the whole process.

use crate::support;
use support::pools::*;
use support::random::Random;
use tenure::pool;
use tenure::sys::os;
use tenure_harness::test;

const MIB: usize = 1 << 20;
const UNIT: usize = 2 * MIB;

fn page_faults() -> i64 {
    // SAFETY: plain data, which the call writes.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    assert_eq!(unsafe { libc::getrusage(libc::RUSAGE_THREAD, &mut usage) }, 0);
    usage.ru_minflt + usage.ru_majflt
}

fn touch(at: usize, bytes: usize) {
    (at..at + bytes).step_by(4096).for_each(|page| paint(page, 1, 1));
}

/// A pool with free memory in holes of 4 MiB, written, between blocks of as many bytes. It grows in huge pages from its
/// first 32 MiB on.
fn with_holes() -> (TestPool, Vec<usize>, usize) {
    let pool = TestPool::plain();
    let first: Vec<_> = (0..16).map(|_| pool.get(2 * UNIT)).collect();
    let rest: Vec<_> = (0..32).map(|_| pool.get(2 * UNIT)).collect();
    rest.iter().for_each(|&at| paint(at, 2 * UNIT, 7));
    let (mut live, mut holes) = (first, 0);
    for (n, at) in rest.into_iter().enumerate() {
        if n % 2 == 0 {
            pool.give(at);
            holes += 2 * UNIT;
        } else {
            live.push(at);
        }
    }
    (pool, live, holes)
}

/// Whether the system can give huge pages; else none are marked, and none move.
fn moves(pool: &TestPool) -> bool {
    pool.stats().huge_bytes > 0
}

#[test]
fn ph_24_a_block_that_fits_nowhere_gets_the_pages_of_free_ones() {
    let _turn = one_at_a_time();
    let (pool, live, holes) = with_holes();
    if !moves(&pool) {
        return;
    }
    let before = pool.stats();
    let at = pool.get(holes / 2);
    let faults = page_faults();
    touch(at, holes / 2);
    // Fresh memory would have at least one for each huge page. The system itself may take a few: code, the stack.
    let (faults, pages) = (page_faults() - faults, holes / 2 / UNIT);
    assert!(faults < pages as i64 / 2, "{faults} page faults in {pages} huge pages that were there");
    assert!(is_painted(at + 1, 4095, 7), "the pages kept their contents");
    let after = pool.stats();
    assert!(after.reserved_bytes <= before.reserved_bytes, "{} after {}", after.reserved_bytes, before.reserved_bytes);
    assert_eq!(after.huge_bytes, before.huge_bytes);
    assert_eq!(after.device_free_count, before.device_free_count, "nothing went back");
    assert!(live[16..].iter().all(|&at| is_painted(at, 2 * UNIT, 7)), "live blocks stay as they are");
    pool.give(at);
    // Zeros of them are cleared, and a block that grows elsewhere takes its contents along.
    let zeros = pool.allocate(holes / 2, 0, true, 0).unwrap().as_ptr() as usize;
    assert!(is_painted(zeros, holes / 2, 0));
    paint(zeros, holes / 2, 9);
    let grown = pool.reallocate(zeros, 2 * holes, 0).unwrap().unwrap().as_ptr() as usize;
    assert!(is_painted(grown, holes / 2, 9));
    live.into_iter().chain([grown]).for_each(|at| pool.give(at));
    pool.trim(0);
    let s = pool.stats();
    assert_eq!((s.reserved_bytes, s.huge_bytes), (0, 0));
}

#[test]
fn ph_24_zeros_come_from_fresh_memory() {
    let _turn = one_at_a_time();
    let (pool, live, holes) = with_holes();
    let before = resident();
    let zeros = pool.allocate(holes / 2, 0, true, 0).unwrap().as_ptr() as usize;
    assert!(resident() < before + MIB, "{} bytes more", resident() - before);
    assert!(is_painted(zeros, holes / 2, 0));
    live.into_iter().chain([zeros]).for_each(|at| pool.give(at));
}

#[test]
fn ph_24_a_system_that_moves_no_page_costs_the_addresses_of_one() {
    let _turn = one_at_a_time();
    let (pool, live, holes) = with_holes();
    if !moves(&pool) {
        return;
    }
    // The calls of one request, in which each fails once: to get addresses, and to move the first, or a later page.
    for succeed in 0..6 {
        let before = pool.stats();
        os::fail_calls(succeed, 1);
        let at = pool.get(holes / 2 + succeed as usize * UNIT);
        os::fail_calls(0, 0);
        touch(at, holes / 2);
        assert!(live[16..].iter().all(|&at| is_painted(at, 2 * UNIT, 7)));
        pool.give(at);
        let after = pool.stats();
        assert_eq!(after.live_blocks, before.live_blocks);
    }
    live.into_iter().for_each(|at| pool.give(at));
    pool.trim(0);
    let s = pool.stats();
    assert_eq!((s.reserved_bytes, s.huge_bytes), (0, 0));
}

#[test]
fn ph_24_blocks_keep_what_was_written_while_pages_move() {
    let _turn = one_at_a_time();
    let pool = TestPool::plain();
    let mut random = Random::new(24);
    let mut live: Vec<(usize, usize, u8)> = Vec::new();
    let mut total = 0;
    for step in 0..600 {
        let bytes = 4096 * (1 + random.below(if step % 3 == 0 { 6000 } else { 800 }));
        while total + bytes > 160 * MIB {
            let (at, bytes, value) = live.swap_remove(random.below(live.len()));
            assert!(is_painted(at, bytes, value), "{bytes} bytes at {at:#x} in step {step}");
            pool.give(at);
            total -= bytes;
        }
        let value = (step % 250) as u8 + 1;
        let at = match random.below(4) {
            0 => {
                let at = pool.allocate(bytes, 0, true, 0).unwrap().as_ptr() as usize;
                assert!(is_painted(at, bytes, 0), "{bytes} bytes of zeros in step {step}");
                at
            }
            1 => {
                let at = pool.get(bytes / 2);
                paint(at, bytes / 2, value);
                let at = pool.reallocate(at, bytes, 0).unwrap().unwrap().as_ptr() as usize;
                assert!(is_painted(at, bytes / 2, value), "{bytes} bytes that grew in step {step}");
                at
            }
            _ => pool.get(bytes),
        };
        paint(at, bytes, value);
        live.push((at, bytes, value));
        total += bytes;
        pool.stats();
    }
    for (at, bytes, value) in live {
        assert!(is_painted(at, bytes, value));
        pool::deallocate(None, at).unwrap();
    }
    pool.trim(0);
    let s = pool.stats();
    assert_eq!((s.reserved_bytes, s.huge_bytes), (0, 0));
}
