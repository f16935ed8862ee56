//! Pages of 16 and 64 KiB. The library is told that the system has them: pretended pages are whole real ones, so every call for pages is
//! valid here too, and `sys::os` asserts that each begins and ends at a pretended page.

mod support {
    pub mod pools;
    pub mod random;
}

use std::sync::Mutex;
use support::pools::*;
use support::random::Random;
use tenure::events::{self, Destination};
use tenure::pool;
use tenure::sys::os;
use tenure::types::*;
use tenure_harness::test;

fn main() -> std::process::ExitCode {
    tenure_harness::main()
}

#[test]
fn pages_of_16_kib() {
    works_with(16 << 10);
}

#[test]
fn pages_of_64_kib() {
    works_with(64 << 10);
}

fn works_with(page: usize) {
    os::pretend_page(page);
    assert_eq!(os::page_bytes(), page);
    events::start(Destination::Memory, TN_REPORT_ALL, 1 << 20).unwrap();
    let pool = TestPool::plain();
    blocks_of_three_threads(&pool);
    pages_between_live_blocks_go_back(&pool);
    pool.trim(0);
    let s = pool.stats();
    assert_eq!((s.in_use_bytes, s.reserved_bytes), (0, 0), "trim returns every page");
    drop(events::copy(|_| ()).unwrap());
    events::stop().unwrap();
}

/// Threads allocate, also zeroed memory, and free blocks of each other. Blocks keep their contents.
fn blocks_of_three_threads(pool: &TestPool) {
    let shared: Mutex<Vec<(usize, usize, u8)>> = Mutex::default();
    let free = |(at, bytes, value): (usize, usize, u8)| {
        assert!(is_painted(at, bytes, value), "a block of {bytes} bytes changed");
        pool::deallocate(Some(pool.0), at).unwrap();
    };
    std::thread::scope(|scope| {
        for seed in 1..=3 {
            let (shared, free) = (&shared, &free);
            scope.spawn(move || {
                let mut random = Random::new(seed);
                for round in 0..600usize {
                    let bytes = match random.below(3) {
                        0 => 1 + random.below(1 << 10),
                        1 => 1 + random.below(100 << 10),
                        _ => 1 + random.below(3 << 20),
                    };
                    let zeroed = random.one_in(2);
                    let at = pool.0.allocate(bytes, 0, zeroed, 0).unwrap().as_ptr() as usize;
                    assert!(!zeroed || is_painted(at, bytes, 0), "{bytes} bytes are not zero");
                    paint(at, bytes, seed as u8);
                    let mut live = shared.lock().unwrap();
                    live.push((at, bytes, seed as u8));
                    let other = random.below(live.len());
                    let freed = random.one_in(2).then(|| live.swap_remove(other));
                    drop(live);
                    freed.into_iter().for_each(free);
                    if round % 200 == 199 {
                        pool.trim(0);
                    }
                }
            });
        }
    });
    shared.into_inner().unwrap().into_iter().for_each(free);
}

/// A trim returns the pages between live blocks of a span, and nothing of the blocks.
fn pages_between_live_blocks_go_back(pool: &TestPool) {
    for bytes in [1 << 10, 5 << 10, 24 << 10] {
        let blocks: Vec<usize> = (0..1000).map(|_| pool.get(bytes)).collect();
        blocks.iter().for_each(|&at| paint(at, bytes, 9));
        let is_kept = |index: usize| index % 100 == 0;
        (0..1000).filter(|index| !is_kept(*index)).for_each(|index| pool.give(blocks[index]));
        assert!(pool.trim(0) > 0);
        for at in (0..1000).filter(|index| is_kept(*index)).map(|index| blocks[index]) {
            assert!(is_painted(at, bytes, 9), "a trim took a part of a live block of {bytes} bytes");
            pool.give(at);
        }
    }
}
