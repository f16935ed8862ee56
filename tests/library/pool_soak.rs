//! A long random load on one pool: threads that come and go, blocks of all sizes that pass between them, and a sample
//! of the memory each second. Run by `cargo xtask soak pool`, which checks and plots the samples.

use crate::support;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::pools::{TestPool, checked, is_painted, paint};
use support::random::Random;
use tenure_harness::test;

const THREADS: usize = 4;
/// Bytes that a thread holds swing between this maximum and minimum.
const MOST: usize = 48 << 20;
const LEAST: usize = 4 << 20;

/// Each power of two equally often up to 64 KiB; one in five hundred up to 4 MiB.
fn bytes(random: &mut Random) -> usize {
    let most = if random.below(500) == 0 { 22 } else { 16 };
    let power = random.below(most + 1);
    (1 << power) + random.below(1 << power)
}

/// A block, its size, and the byte that fills its beginning and its end.
type Parcel = (usize, usize, u8);

/// Bytes that are filled and checked at both ends.
const PAINTED: usize = 64;

fn fill((at, bytes, value): Parcel) {
    let part = bytes.min(PAINTED);
    paint(at, part, value);
    paint(at + bytes - part, part, value);
    // Touches all pages of a large block, as a program would.
    (at..at + bytes).step_by(4096).for_each(|page| paint(page, 1, value));
}

fn end(pool: &TestPool, parcel: Parcel) {
    let (at, bytes, value) = parcel;
    let part = bytes.min(PAINTED);
    assert!(is_painted(at, part, value) && is_painted(at + bytes - part, part, value), "{bytes} bytes at {at:#x}");
    pool.give(at);
}

/// The life of one thread: its load swings up and down, and it leaves its blocks to the others.
fn live(pool: &TestPool, market: &Mutex<Vec<Parcel>>, count: &AtomicUsize, mut random: Random, over: &AtomicBool) {
    let (mut own, mut held) = (Vec::<Parcel>::new(), 0usize);
    for _ in 0..4 {
        for goal in [MOST - random.below(MOST / 2), LEAST] {
            while if goal == LEAST { held > goal } else { held < goal } && !over.load(Ordering::Relaxed) {
                count.fetch_add(1, Ordering::Relaxed);
                // Three of five steps follow the swing.
                if (random.below(5) < 3) == (goal != LEAST) || own.is_empty() {
                    let bytes = bytes(&mut random);
                    let parcel = (pool.get_at(bytes, 1 << (3 + random.below(5))), bytes, random.below(256) as u8);
                    fill(parcel);
                    own.push(parcel);
                    held += bytes;
                    continue;
                }
                let parcel = own.swap_remove(random.below(own.len()));
                held -= parcel.1;
                if random.below(8) > 0 {
                    end(pool, parcel);
                    continue;
                }
                let mut market = market.lock().unwrap();
                market.push(parcel);
                let other = (market.len() > 1000).then(|| {
                    let at = random.below(market.len());
                    market.swap_remove(at)
                });
                drop(market);
                other.into_iter().for_each(|parcel| end(pool, parcel));
            }
        }
    }
    own.into_iter().for_each(|parcel| end(pool, parcel));
}

fn resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
    let pages: usize = text.split(' ').nth(1).expect("the second word").parse().expect("a number");
    pages * tenure::sys::os::page_bytes()
}

/// Runs for TENURE_SOAK_SECONDS (default 10). Writes a line per second to the file TENURE_SOAK_FILE: seconds, resident,
/// reserved, in use, operations.
#[test]
#[ignore = "takes as long as it is told"]
fn soak() {
    let seconds = std::env::var("TENURE_SOAK_SECONDS").map_or(10, |text| text.parse().expect("a number of seconds"));
    let mut file = std::env::var("TENURE_SOAK_FILE").ok().map(|path| std::fs::File::create(path).expect("writable"));
    let (pool, market) = (TestPool::plain(), Mutex::new(Vec::<Parcel>::new()));
    let (over, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..THREADS as u64 {
            let (pool, market, over, count) = (&pool, &market, &over, &count);
            scope.spawn(move || {
                for life in 1.. {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    let random = Random::new((thread << 32 | life).wrapping_mul(0x9e37_79b9_7f4a_7c15));
                    std::thread::scope(|inner| inner.spawn(|| live(pool, market, count, random, over)).join())
                        .unwrap_or_else(|panic| {
                            over.store(true, Ordering::Relaxed);
                            std::panic::resume_unwind(panic)
                        });
                }
            });
        }
        let start = Instant::now();
        for second in 1..=seconds {
            std::thread::sleep((start + Duration::from_secs(second)).saturating_duration_since(Instant::now()));
            if over.load(Ordering::Relaxed) {
                break;
            }
            let s = checked(pool.0);
            let line = [
                second as usize,
                resident_bytes(),
                s.reserved_bytes as usize,
                s.in_use_bytes as usize,
                count.load(Ordering::Relaxed),
            ];
            if let Some(file) = &mut file {
                writeln!(file, "{}", line.map(|number| number.to_string()).join(" ")).unwrap();
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    market.into_inner().unwrap().into_iter().for_each(|parcel| end(&pool, parcel));
    let s = pool.stats();
    assert_eq!((s.live_blocks, s.in_use_bytes, s.misuse_count), (0, 0, 0));
    assert!(count.into_inner() > 0);
    pool.trim(0);
    assert_eq!(pool.stats().reserved_bytes, 0);
}
