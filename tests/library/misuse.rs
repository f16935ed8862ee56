//! Random misuse of pools that check more than usual: strict ones, and all pools with the option `check`. Each wrong
//! call by one of four threads is a status, is counted, and damages nothing (PO-25 to PO-29, CK-3).
//!
//! TENURE_STRESS_SEED (1) sets the draws, TENURE_TEST_ROUNDS (100) their number.

use crate::support;
use std::collections::HashSet;
use std::ptr::null_mut;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use support::capi::*;
use support::pools::{Ends, Parcel, is_painted, paint};
use support::random::Random;
use tenure::ffi::{library, pool};
use tenure::types::*;
use tenure_harness::test;

const THREADS: usize = 4;
const STEPS: usize = 80;
/// The status of a freed block: the second one where its memory went back to the system.
const FREED: [tn_status; 2] = [TN_ERR_STALE, TN_ERR_FOREIGN];

/// The shared state of the threads.
struct Scene {
    pool: Handle,
    /// A second pool, which owns none of the first one's blocks.
    other: Handle,
    meet: Barrier,
    /// A live block of each thread, which all threads are about to free at the same moment.
    victims: [AtomicUsize; THREADS],
    /// How many threads freed each block.
    wins: [AtomicUsize; THREADS],
    live: AtomicUsize,
    /// The expected misuse count of each pool.
    wrong: AtomicU64,
    wrong_other: AtomicU64,
}

/// A call that takes a block of a pool, which must be refused with one of these statuses.
fn refused(random: &mut Random, pool: Handle, at: usize, statuses: &[tn_status]) {
    let (pool, block) = (pool as *mut tn_pool, at as *mut _);
    let mut out = UNTOUCHED as *mut _;
    // SAFETY: the output is ours, and the library reads no refused block.
    let (call, status) = unsafe {
        match random.below(3) {
            0 => ("deallocate", pool::tn_pool_deallocate(pool, block, null_mut())),
            1 => ("reallocate", pool::tn_pool_reallocate(pool, block, random.below(9000), null_mut(), &mut out)),
            _ => ("record_use", pool::tn_pool_record_use(pool, block, null_mut())),
        }
    };
    assert!(statuses.contains(&status) && out as usize == UNTOUCHED, "{call} of {at:#x}: {}", name(status));
}

/// The status of `tn_pool_usable_size`, which counts no misuse.
fn usable_size(at: usize) -> tn_status {
    let mut out = UNTOUCHED;
    // SAFETY: the output is ours; the address is not read.
    let status = unsafe { pool::tn_pool_usable_size(at as *const _, &mut out) };
    assert!((status == TN_OK) != (out == UNTOUCHED));
    status
}

impl Scene {
    fn wrong(&self, random: &mut Random, at: usize, statuses: &[tn_status]) {
        refused(random, self.pool, at, statuses);
        self.wrong.fetch_add(1, Ordering::Relaxed);
    }

    fn allocate(&self, random: &mut Random) -> Parcel {
        // Each power of two equally often, up to 256 KiB.
        let most = 8 << random.below(16);
        let (bytes, value) = (1 + random.below(most), random.below(256) as u8);
        let at = allocate(self.pool, bytes).unwrap();
        paint(at, bytes, value);
        (at, bytes, value)
    }

    /// One mistake with a live block, with the block of an array, or with an address of no block.
    fn mistake(&self, random: &mut Random, (at, bytes, _): Parcel, array_at: usize) {
        match random.below(5) {
            0 if bytes > 1 => {
                let inside = at + 1 + random.below(bytes - 1);
                self.wrong(random, inside, &[TN_ERR_INVALID]);
                assert_eq!(usable_size(inside), TN_ERR_INVALID);
            }
            1 => {
                refused(random, self.other, at, &[TN_ERR_FOREIGN]);
                self.wrong_other.fetch_add(1, Ordering::Relaxed);
            }
            2 => self.wrong(random, array_at, &[TN_ERR_SHARED]),
            3 => self.wrong(random, &raw const bytes as usize, &[TN_ERR_FOREIGN]),
            _ => {
                let nowhere = [1, 4097, usize::MAX, 1 << 47][random.below(4)];
                self.wrong(random, nowhere, &[TN_ERR_FOREIGN]);
                assert_eq!(usable_size(nowhere), TN_ERR_FOREIGN);
            }
        }
    }

    /// Random steps of a program with mistakes, none of which concerns a freed block: its address may be another's.
    fn steps(&self, random: &mut Random, own: &mut Vec<Parcel>) {
        let array = zeros(self.pool, &[1 + random.below_i64(5000)]).unwrap();
        let guard = read(array, 0).unwrap();
        for _ in 0..STEPS {
            if own.len() < 20 || random.below(2) == 0 && own.len() < 60 {
                own.push(self.allocate(random));
                continue;
            }
            let place = random.below(own.len());
            let (at, bytes, value) = own[place];
            self.mistake(random, own[place], guard.data);
            assert!(is_painted(at, bytes, value), "{bytes} bytes at {at:#x}");
            if random.chance(70) {
                own.swap_remove(place);
                deallocate(at).unwrap();
            } else {
                let new = 1 + random.below(2 * bytes);
                let to = reallocate(self.pool, at, new).unwrap();
                assert!(is_painted(to, bytes.min(new), value), "{bytes} bytes at {at:#x}, now {new} at {to:#x}");
                paint(to, new, value);
                own[place] = (to, new, value);
            }
        }
        end(guard.id, 0).unwrap();
        assert_eq!(end(guard.id, 0), Err(TN_ERR_STALE));
        release(array).unwrap();
        assert_eq!(release(array), Err(TN_ERR_STALE));
        let gone = new_pool();
        pool_release(gone).unwrap();
        assert_eq!((pool_release(gone), allocate(gone, 8)), (Err(TN_ERR_STALE), Err(TN_ERR_STALE)));
    }

    /// Frees some blocks again and again, and one of each thread by all threads at once. No thread allocates meanwhile.
    fn frees(&self, me: usize, random: &mut Random, own: &mut Vec<Parcel>) {
        let victim = own.swap_remove(random.below(own.len()));
        self.victims[me].store(victim.0, Ordering::Relaxed);
        self.meet.wait();
        for _ in 0..5 {
            let (at, ..) = own.swap_remove(random.below(own.len()));
            deallocate(at).unwrap();
            for _ in 0..=random.below(3) {
                self.wrong(random, at, &FREED);
            }
            assert!(FREED.contains(&usable_size(at)));
        }
        // Its owner does not take part: it might learn late that another thread was first (PO-28).
        for victim in (0..THREADS).filter(|victim| *victim != me) {
            let at = self.victims[victim].load(Ordering::Relaxed);
            match pool::tn_pool_deallocate(self.pool as *mut _, at as *mut _, null_mut()) {
                TN_OK => drop(self.wins[victim].fetch_add(1, Ordering::Relaxed)),
                status => {
                    assert!(FREED.contains(&status), "{}", name(status));
                    self.wrong.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        self.meet.wait();
        assert_eq!(self.wins[me].swap(0, Ordering::Relaxed), 1);
        self.wrong(random, victim.0, &FREED);
        self.live.fetch_add(own.len(), Ordering::Relaxed);
        if self.meet.wait().is_leader() {
            let s = stats(self.pool);
            assert_eq!(s.live_blocks as usize, self.live.swap(0, Ordering::Relaxed));
            assert_eq!(s.misuse_count, self.wrong.load(Ordering::Relaxed));
            assert_eq!(stats(self.other).misuse_count, self.wrong_other.load(Ordering::Relaxed));
        }
        self.meet.wait();
    }

    fn thread(&self, me: usize, seed: u64, rounds: u64) {
        let _ends = Ends;
        let (mut random, mut own) = (Random::new(seed.wrapping_mul(97).wrapping_add(me as u64)), Vec::new());
        for _ in 0..rounds {
            self.steps(&mut random, &mut own);
            self.frees(me, &mut random, &mut own);
            let starts: HashSet<usize> = own.iter().map(|parcel| parcel.0).collect();
            assert_eq!(starts.len(), own.len(), "two live blocks have one address");
            assert!(own.iter().all(|&(at, bytes, value)| is_painted(at, bytes, value)), "thread {me}");
        }
        own.into_iter().for_each(|(at, ..)| deallocate(at).unwrap());
    }
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

fn misuse(flags: tn_pool_flags) {
    let (seed, rounds) = (number("TENURE_STRESS_SEED", 1), number("TENURE_TEST_ROUNDS", 100));
    println!("TENURE_STRESS_SEED={seed}");
    let scene = Scene {
        pool: pool_of(|options| options.flags = flags).unwrap(),
        other: pool_of(|options| options.flags = flags).unwrap(),
        meet: Barrier::new(THREADS),
        victims: Default::default(),
        wins: Default::default(),
        live: AtomicUsize::new(0),
        wrong: AtomicU64::new(0),
        wrong_other: AtomicU64::new(0),
    };
    std::thread::scope(|scope| {
        for me in 0..THREADS {
            let scene = &scene;
            scope.spawn(move || scene.thread(me, seed, rounds));
        }
    });
    let s = stats(scene.pool);
    assert!(s.misuse_count > rounds * 100 && scene.wrong_other.load(Ordering::Relaxed) > rounds);
    assert_eq!((s.live_blocks, s.requested_bytes, leak_count()), (0, 0, 2), "the two pools are the only handles left");
    pool_release(scene.pool).unwrap();
    pool_release(scene.other).unwrap();
    assert_eq!(leak_count(), 0);
}

fn with_checks() {
    // SAFETY: texts.
    assert_eq!(unsafe { library::tn_option_set(c"check".as_ptr(), c"1".as_ptr()) }, TN_OK);
}

#[test]
fn po_28_misuse_of_a_strict_pool() {
    misuse(TN_POOL_STRICT);
}

#[test]
fn po_28_misuse_of_a_strict_pool_that_clears() {
    misuse(TN_POOL_STRICT | TN_POOL_ZERO_ON_FREE);
}

#[test]
fn po_28_misuse_of_a_pool_without_a_cache() {
    misuse(TN_POOL_DIRECT);
}

#[test]
fn po_28_ck_3_misuse_of_a_pool_with_the_option_check() {
    with_checks();
    misuse(0);
}

#[test]
fn po_28_ck_3_misuse_of_a_strict_pool_with_the_option_check() {
    with_checks();
    misuse(TN_POOL_STRICT);
}

/// CK-3: the end that a block gives up serves no other block.
#[test]
fn ck_3_a_block_that_shrinks_shares_its_range_with_no_other() {
    const BYTES: usize = 200_000;
    with_checks();
    let pool = new_pool();
    let blocks: Vec<usize> = (0..8).map(|_| allocate(pool, BYTES).unwrap()).collect();
    let shrunk: Vec<usize> = blocks.iter().map(|at| reallocate(pool, *at, 100).unwrap()).collect();
    let others: Vec<usize> = (0..8).map(|_| allocate(pool, BYTES / 3).unwrap()).collect();
    for (at, other) in blocks.iter().flat_map(|at| others.iter().map(move |other| (at, other))) {
        assert!(other + BYTES / 3 <= *at || at + BYTES <= *other, "{other:#x} lies in the range of {at:#x}");
    }
    shrunk.iter().chain(&others).for_each(|at| deallocate(*at).unwrap());
    pool_release(pool).unwrap();
}
