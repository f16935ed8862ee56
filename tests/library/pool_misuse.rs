//! Random misuse by several threads at the same time: each is reported, is counted, and damages nothing.

use crate::support;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use support::pools::{Ends, Parcel, TestPool, checked, code, is_painted, paint};
use support::random::Random;
use tenure::pool;
use tenure::types::*;
use tenure_harness::test;

const THREADS: usize = 4;
const ROUNDS: usize = 60;
const STEPS: usize = 150;

impl Random {
    fn bytes(&mut self) -> usize {
        let most = [300_000, 60_000, 3000, 64][self.below(40).min(3)];
        1 + self.below(most)
    }
}

/// The shared state of the threads.
struct Scene {
    pool: TestPool,
    /// A second pool, which owns none of the first one's blocks.
    other: TestPool,
    meet: Barrier,
    /// A live block of each thread that others are about to free at the same moment.
    victims: [AtomicUsize; THREADS],
    /// Which threads freed each block.
    wins: [AtomicUsize; THREADS],
    /// The expected misuse count of each pool.
    wrong: AtomicU64,
    wrong_other: AtomicU64,
    /// The live blocks of all threads.
    live: Mutex<Vec<Parcel>>,
}

impl Scene {
    fn new() -> Scene {
        Scene {
            pool: TestPool::plain(),
            other: TestPool::plain(),
            meet: Barrier::new(THREADS),
            victims: Default::default(),
            wins: Default::default(),
            wrong: AtomicU64::new(0),
            wrong_other: AtomicU64::new(0),
            live: Mutex::new(Vec::new()),
        }
    }

    /// Makes a free that must be refused, with one of these statuses.
    fn refused(&self, at: usize, statuses: &[tn_status]) {
        let status = code(pool::deallocate(Some(self.pool.0), at));
        assert!(statuses.contains(&status), "{status} for {at:#x}");
        self.wrong.fetch_add(1, Ordering::Relaxed);
    }

    /// One mistake with a live block, or with an address of no block.
    fn mistake(&self, random: &mut Random, own: &[Parcel]) {
        let Some(&(at, bytes, _)) = own.get(random.below(own.len().max(1))) else { return };
        match random.below(4) {
            0 if bytes > 1 => self.refused(at + 1 + random.below(bytes - 1), &[TN_ERR_INVALID]),
            1 => {
                assert_eq!(code(pool::deallocate(Some(self.other.0), at)), TN_ERR_FOREIGN);
                self.wrong_other.fetch_add(1, Ordering::Relaxed);
            }
            2 => self.refused(&raw const bytes as usize, &[TN_ERR_FOREIGN]),
            _ => self.refused([1, 4097, usize::MAX, 1 << 47][random.below(4)], &[TN_ERR_FOREIGN]),
        }
    }

    /// Random steps of a program with mistakes.
    fn steps(&self, random: &mut Random, own: &mut Vec<Parcel>) {
        for _ in 0..STEPS {
            if own.len() < 40 || random.below(2) == 0 && own.len() < 120 {
                let bytes = random.bytes();
                let parcel = (self.pool.get_at(bytes, 8 << random.below(5)), bytes, random.below(256) as u8);
                paint(parcel.0, bytes, parcel.2);
                own.push(parcel);
            } else {
                let (at, bytes, value) = own.swap_remove(random.below(own.len()));
                assert!(is_painted(at, bytes, value), "{bytes} bytes at {at:#x}");
                self.pool.give(at);
            }
            if random.below(3) == 0 {
                self.mistake(random, own);
            }
        }
    }

    /// Two threads free a third one's block at the same moment, and then all threads free it again; no thread allocates
    /// meanwhile.
    fn race(&self, me: usize) {
        self.meet.wait();
        for victim in [(me + 1) % THREADS, (me + 2) % THREADS] {
            let at = self.victims[victim].load(Ordering::Relaxed);
            match code(pool::deallocate(Some(self.pool.0), at)) {
                TN_OK => drop(self.wins[victim].fetch_add(1, Ordering::Relaxed)),
                status => {
                    // A large block may have gone back to the system with its addresses.
                    assert!([TN_ERR_STALE, TN_ERR_FOREIGN].contains(&status), "{status}");
                    self.wrong.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        self.meet.wait();
        assert_eq!(self.wins[me].swap(0, Ordering::Relaxed), 1);
        self.refused(self.victims[me].load(Ordering::Relaxed), &[TN_ERR_STALE, TN_ERR_FOREIGN]);
        self.meet.wait();
    }

    /// No two live blocks overlap, all have their contents, and the statistics are those of exactly these blocks.
    fn look(&self, me: usize, own: &[Parcel]) {
        self.live.lock().unwrap().extend(own);
        if self.meet.wait().is_leader() {
            let mut live = self.live.lock().unwrap();
            live.sort_unstable();
            assert!(live.windows(2).all(|two| two[0].0 + two[0].1 <= two[1].0), "two blocks share bytes");
            let s = checked(self.pool.0);
            let requested = live.iter().map(|parcel| parcel.1 as u64).sum::<u64>();
            assert_eq!((s.live_blocks, s.requested_bytes), (live.len() as u64, requested));
            assert_eq!(s.misuse_count, self.wrong.load(Ordering::Relaxed));
            assert_eq!(checked(self.other.0).misuse_count, self.wrong_other.load(Ordering::Relaxed));
            live.clear();
        }
        assert!(own.iter().all(|&(at, bytes, value)| is_painted(at, bytes, value)), "thread {me}");
        self.meet.wait();
    }

    fn thread(&self, me: usize, seed: u64) {
        let _ends = Ends;
        let (mut random, mut own) = (Random::new(seed * 97 + me as u64), Vec::new());
        for _ in 0..ROUNDS {
            self.steps(&mut random, &mut own);
            let victim = own.swap_remove(random.below(own.len()));
            self.victims[me].store(victim.0, Ordering::Relaxed);
            self.race(me);
            self.look(me, &own);
        }
        own.into_iter().for_each(|(at, ..)| self.pool.give(at));
    }
}

/// PO-25, PO-26, PO-27, PO-28, PO-29: double frees, in sequence and at the same moment, addresses inside blocks, the
/// wrong pool, and unknown addresses, among valid calls of four threads.
#[test]
fn po_28_misuse_at_random_damages_nothing() {
    for seed in 1..=4 {
        let scene = Scene::new();
        std::thread::scope(|scope| {
            (0..THREADS).for_each(|me| {
                drop(scope.spawn({
                    let scene = &scene;
                    move || scene.thread(me, seed)
                }))
            });
        });
        assert!(scene.wrong.load(Ordering::Relaxed) > (THREADS * ROUNDS * 3) as u64);
        assert_eq!(scene.pool.stats().live_blocks, 0);
        scene.pool.trim(0);
        assert_eq!(scene.pool.stats().reserved_bytes, 0);
    }
}
