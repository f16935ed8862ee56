//! Resident memory in proportion to live memory: T5, T6, T7 at a small scale. Blocks of random size replace random
//! ones, and every page is touched; the limit of live bytes alternates between 100 % and 40 %. In a file of its own,
//! because resident memory belongs to the whole process.

use crate::support;
use support::pools::*;
use support::random::Random;
use tenure_harness::test;

struct Workload {
    name: &'static str,
    live: usize,
    low: usize,
    high: usize,
    /// In the size, else in its logarithm.
    evenly: bool,
    phases: usize,
    /// Resident / live bytes at the limit, and at 40 % before and after a trim; bytes that are left at the end / those
    /// of the peak.
    most: [f64; 4],
}

// The bars have a tolerance of 2 % here, and 300 KiB for the memory that is left, because the test program has other
// threads.
const WORKLOADS: [Workload; 3] = [
    Workload {
        name: "small",
        live: 200 << 20,
        low: 8,
        high: 4096,
        evenly: true,
        phases: 4,
        most: [1.12, 2.30, 1.32, 0.001],
    },
    Workload {
        name: "mixed",
        live: 400 << 20,
        low: 16,
        high: 2 << 20,
        evenly: false,
        phases: 4,
        most: [1.17, 1.80, 1.22, 0.001],
    },
    Workload {
        name: "arrays",
        live: 1200 << 20,
        low: 64 << 10,
        high: 32 << 20,
        evenly: false,
        phases: 4,
        most: [1.10, 1.30, 1.07, 0.001],
    },
];

fn size(random: &mut Random, of: &Workload) -> usize {
    let part = random.part();
    let (low, high) = (of.low as f64, of.high as f64);
    (if of.evenly { low + part * (high - low) } else { low * (high / low).powf(part) }) as usize
}

fn phase(pool: &TestPool, of: &Workload, random: &mut Random, held: &mut Vec<(usize, usize)>, limit: usize) -> usize {
    let mut live: usize = held.iter().map(|block| block.1).sum();
    let mut made = 0;
    while made < of.live || live < limit - of.high {
        let size = size(random, of);
        while live + size > limit {
            let (at, size) = held.swap_remove(random.below(held.len()));
            pool.give(at);
            live -= size;
        }
        let at = pool.get_at(size, 16);
        (at..at + size).step_by(4096).for_each(|page| paint(page, 1, 1));
        held.push((at, size));
        live += size;
        made += size;
    }
    live
}

/// Small calls, so that what was kept for later goes back (PH-21).
fn go_on_for_a_second(pool: &TestPool) {
    for _ in 0..500 {
        std::thread::sleep(std::time::Duration::from_millis(2));
        pool.give(pool.get(64));
    }
}

#[test]
fn resident_memory_follows_live_memory() {
    let mut wrong = Vec::new();
    for of in &WORKLOADS {
        let pool = TestPool::plain();
        let (mut random, mut held) = (Random::new(7), Vec::with_capacity(400_000));
        // The table's own pages do not count.
        held.resize(400_000, (0, 0));
        held.clear();
        let base = resident();
        let (mut peak, mut most, mut live) = (0f64, 0, 0);
        let part = |bytes: usize, of: usize| bytes.saturating_sub(base) as f64 / of as f64;
        for n in 0..of.phases {
            let limit = if n % 2 == 0 { of.live } else { of.live / 10 * 4 };
            live = phase(&pool, of, &mut random, &mut held, limit);
            if n % 2 == 0 {
                peak = peak.max(part(resident(), live));
                most = most.max(resident() - base);
            }
        }
        go_on_for_a_second(&pool);
        let fall = part(resident(), live);
        pool.trim(0);
        let trimmed = part(resident(), live);
        held.drain(..).for_each(|(at, _)| pool.give(at));
        pool.trim(0);
        let left = resident().saturating_sub(base + (300 << 10)) as f64 / most as f64;
        let found = [peak, fall, trimmed, left];
        println!("{}: peak, fall, trimmed, left {found:.4?}, bars {:?}", of.name, of.most);
        for ((found, bar), what) in found.iter().zip(of.most).zip(["at the limit", "at 40 %", "trimmed", "left"]) {
            if *found > bar {
                wrong.push(format!("{}, {what}: {found:.4} where {bar} may be", of.name));
            }
        }
        assert_eq!(pool.stats().reserved_bytes, 0);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
