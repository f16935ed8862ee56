//! Random calls on the host side of mirrors by four threads, without a GPU (MI-1, MI-8 to MI-11): borrows that one
//! thread begins and another ends, failed writes, handles that outlive their mirror, releases that race.
//!
//! Each write gives all elements one value, and each reader finds the value of the last writer in all of them. Of a
//! mirror that several threads release, one succeeds. At the end nothing is left.
//!
//! TENURE_STRESS_SEED (1) sets the draws, TENURE_STRESS_STEPS (200000) the number of calls of each thread.

use crate::support;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use support::capi::*;
use support::random::Random;
use tenure::ffi::mirror;
use tenure::types::*;
use tenure_harness::test;

const THREADS: u64 = 4;
const MIRRORS: usize = 5;
const ELEMENTS: usize = 16;
/// Guards that wait for a thread to end them, at most.
const OPEN: usize = 6;
/// What stands in the way of a call that is right by itself.
const IN_THE_WAY: [tn_status; 4] = [TN_ERR_BORROWED, TN_ERR_BORROWED_WRITE, TN_ERR_POISONED, TN_ERR_STALE];

/// A mirror and what its bytes hold.
struct Subject {
    mirror: Handle,
    /// The value of the last write, set by the writer while its guard is open.
    value: AtomicI64,
    /// How many releases succeeded.
    released: AtomicUsize,
}

/// An open guard.
struct Open {
    guard: Handle,
    of: Arc<Subject>,
}

struct Scene {
    pool: Handle,
    subjects: [Mutex<Arc<Subject>>; MIRRORS],
    open: Mutex<Vec<Open>>,
    next: AtomicI64,
    /// How often each kind of step succeeded.
    worked: [AtomicUsize; KINDS],
}

const KINDS: usize = 7;

/// None: something stood in the way.
fn may<T>(result: Result<T, tn_status>) -> Option<T> {
    result.map_err(|status| assert!(IN_THE_WAY.contains(&status), "{}: {}", name(status), text())).ok()
}

fn acquire(subject: &Subject, access: u32) -> Option<Guard> {
    let (mut data, mut guard) = (UNTOUCHED as *mut _, UNTOUCHED as *mut tn_borrow);
    // SAFETY: writable outputs.
    let status = inside(|| unsafe {
        let at = subject.mirror as *mut _;
        mirror::tn_mirror_acquire(at, TN_SIDE_HOST, access, null_mut(), &mut data, null_mut(), &mut guard)
    });
    assert_eq!(status == TN_OK, guard as usize != UNTOUCHED && data as usize != UNTOUCHED);
    may(if status == TN_OK { Ok(Guard { id: guard as usize, data: data as usize }) } else { Err(status) })
}

/// Writes a new value into all elements of an open guard.
fn overwrite(scene: &Scene, subject: &Subject, guard: &Guard) {
    let value = scene.next.fetch_add(1, Ordering::Relaxed);
    for i in 0..ELEMENTS {
        // SAFETY: inside the guard's bytes, which no other thread may touch; volatile, so that each write happens.
        unsafe { (guard.data as *mut i64).add(i).write_volatile(value) };
    }
    subject.value.store(value, Ordering::Relaxed);
}

fn check(subject: &Subject, guard: &Guard) {
    let value = subject.value.load(Ordering::Relaxed);
    for i in 0..ELEMENTS {
        // SAFETY: inside the guard's bytes, which no thread may write; volatile, so that each read happens.
        let found = unsafe { (guard.data as *const i64).add(i).read_volatile() };
        assert_eq!(found, value, "element {i} of mirror {:#x}", subject.mirror);
    }
}

impl Scene {
    /// A mirror of a copy of an array, or one that adopts it.
    fn subject(&self, random: &mut Random) -> Arc<Subject> {
        let value = self.next.fetch_add(1, Ordering::Relaxed);
        let object = full(self.pool, &[ELEMENTS as i64], value).unwrap();
        let flags = [0, TN_BORROW, TN_REQUIRE_BORROW][random.below(3)];
        let mirror = mirror_create(object, flags).unwrap();
        release(object).unwrap();
        Arc::new(Subject { mirror, value: AtomicI64::new(value), released: AtomicUsize::new(0) })
    }

    /// Leaves a guard to any thread, or ends it. A failed write is one of everything, so that accepted bytes are known.
    fn leave(&self, random: &mut Random, guard: Handle, of: &Arc<Subject>, failed: bool) {
        let mut open = self.open.lock().unwrap();
        if !failed && open.len() < OPEN && random.chance(30) {
            return open.push(Open { guard, of: of.clone() });
        }
        drop(open);
        end(guard, if failed { TN_END_FAILED } else { 0 }).unwrap();
        assert_eq!(end(guard, 0), Err(TN_ERR_STALE));
    }

    /// A handle on the side, which is used for a while and may outlive the mirror.
    fn get(&self, random: &mut Random, subject: &Arc<Subject>) -> Option<()> {
        let array = may(mirror_get(subject.mirror))?;
        if random.chance(50)
            && let Some(guard) = may(read(array, 0))
        {
            check(subject, &guard);
            self.leave(random, guard.id, subject, false);
        }
        if random.chance(50)
            && let Some(guard) = may(write(array, TN_WRITE_ALIASED))
        {
            overwrite(self, subject, &guard);
            self.leave(random, guard.id, subject, random.clone().chance(20));
        }
        if random.chance(10) {
            self.release(subject);
        }
        release(array).unwrap();
        assert_eq!(release(array), Err(TN_ERR_STALE));
        Some(())
    }

    fn release(&self, subject: &Subject) -> Option<()> {
        may(mirror_release(subject.mirror))?;
        assert_eq!(subject.released.fetch_add(1, Ordering::Relaxed), 0, "one mirror was released twice");
        assert_eq!(mirror_release(subject.mirror), Err(TN_ERR_STALE));
        Some(())
    }

    fn step(&self, kind: usize, random: &mut Random) -> Option<()> {
        let place = &self.subjects[random.below(MIRRORS)];
        let subject = place.lock().unwrap().clone();
        match kind {
            0 => {
                let guard = acquire(&subject, TN_READ)?;
                check(&subject, &guard);
                self.leave(random, guard.id, &subject, false);
            }
            1 => {
                let guard = acquire(&subject, [TN_WRITE, TN_READ_WRITE][random.below(2)])?;
                overwrite(self, &subject, &guard);
                self.leave(random, guard.id, &subject, random.clone().chance(20));
            }
            2 => self.get(random, &subject)?,
            3 => may(done(|| mirror::tn_mirror_mark_changed(subject.mirror as *mut _, TN_SIDE_HOST)))?,
            4 => {
                // SAFETY: plain data, for which 0 is valid.
                let mut info: tn_mirror_info = unsafe { std::mem::zeroed() };
                info.size = size_of::<tn_mirror_info>();
                // SAFETY: a struct of its size.
                may(done(|| unsafe { mirror::tn_mirror_query(subject.mirror as *mut _, &mut info) }))?;
                assert_eq!((info.valid, info.allocated), (TN_SIDE_HOST, TN_SIDE_HOST));
                assert_eq!((info.transfers_to_device, info.transfers_to_host), (0, 0));
            }
            5 => {
                let mut open = self.open.lock().unwrap();
                let at = random.below(open.len().max(1));
                let ended = (at < open.len()).then(|| open.swap_remove(at))?;
                drop(open);
                check_open(&ended);
                end(ended.guard, 0).unwrap();
            }
            _ if random.chance(20) => {
                let new = self.subject(random);
                let old = std::mem::replace(&mut *place.lock().unwrap(), new);
                self.release(&old)?;
            }
            _ => self.release(&subject)?,
        }
        Some(())
    }
}

/// While a guard is open, whatever became of its mirror, the bytes keep the last value.
fn check_open(open: &Open) {
    let mut info = tn_borrow_info { size: size_of::<tn_borrow_info>(), data: null_mut(), device_data: 0, bytes: 0 };
    // SAFETY: a struct of its size.
    let status = unsafe { tenure::ffi::borrow::tn_borrow_query(open.guard as *mut _, &mut info) };
    assert_eq!((status, info.bytes), (TN_OK, (ELEMENTS * size_of::<i64>()) as _));
    check(&open.of, &Guard { id: open.guard, data: info.data as usize });
}

#[test]
fn mi_11_threads_share_the_host_sides_of_mirrors() {
    let number = |name: &str, usual: u64| std::env::var(name).map_or(usual, |text| text.parse().expect(name));
    let (seed, steps) = (number("TENURE_STRESS_SEED", 1), number("TENURE_STRESS_STEPS", 200_000));
    println!("TENURE_STRESS_SEED={seed}");
    let mut scene = Scene {
        pool: new_pool(),
        subjects: std::array::from_fn(|_| {
            Mutex::new(Arc::new(Subject { mirror: 0, value: AtomicI64::new(0), released: AtomicUsize::new(0) }))
        }),
        open: Mutex::new(Vec::new()),
        next: AtomicI64::new(1),
        worked: Default::default(),
    };
    for at in 0..MIRRORS {
        scene.subjects[at] = Mutex::new(scene.subject(&mut Random::new(seed)));
    }
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let scene = &scene;
            scope.spawn(move || {
                let mut random = Random::new(seed.wrapping_mul(THREADS).wrapping_add(thread));
                for _ in 0..steps {
                    // A release leaves its place without a mirror for a while, so it is drawn seldom.
                    let kind = if random.one_in(60) { KINDS - 1 } else { random.below(KINDS - 1) };
                    if scene.step(kind, &mut random).is_some() {
                        scene.worked[kind].fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let worked = scene.worked.map(AtomicUsize::into_inner);
    println!("{worked:?}");
    assert!(worked.iter().all(|count| *count > 0), "{worked:?}");
    for open in scene.open.into_inner().unwrap() {
        end(open.guard, 0).unwrap();
    }
    for subject in scene.subjects {
        let subject = subject.into_inner().unwrap();
        let again = mirror_release(subject.mirror);
        assert_eq!(again.is_ok(), subject.released.load(Ordering::Relaxed) == 0);
    }
    let left = stats(scene.pool);
    assert_eq!((left.live_blocks, left.requested_bytes, left.held_bytes, left.misuse_count), (0, 0, 0, 0));
    pool_release(scene.pool).unwrap();
    assert_eq!(leak_count(), 0, "{:?}", leaks());
}
