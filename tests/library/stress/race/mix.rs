//! Six threads that make all kinds of calls on two dozen shared arrays.

use super::{Pool, QUEUE};
use crate::support::capi::*;
use crate::support::random::Random;
use std::ffi::c_void;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use tenure::types::*;
use tenure_harness::test;

/// Handles that all threads use at the same time; each may be released at any moment.
struct Shared {
    pool: Handle,
    arrays: [AtomicUsize; 24],
    promises: [AtomicUsize; 8],
    weaks: [AtomicUsize; 8],
    /// The value of the next write.
    value: AtomicI64,
    /// How often each kind of step succeeded.
    worked: [AtomicUsize; KINDS],
}

const KINDS: usize = 17;

/// A random item of a list.
fn one<T: Copy, const N: usize>(random: &mut Random, list: [T; N]) -> T {
    list[random.below(N)]
}

static IMPORTED: AtomicUsize = AtomicUsize::new(0);
static RETURNED: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn give_back(context: *mut c_void) {
    RETURNED.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the box that the import leaked, freed once.
    drop(unsafe { Box::from_raw(context.cast::<[i64; 16]>()) });
}

fn import_one(random: &mut Random) -> Handle {
    let bytes: *mut [i64; 16] = Box::into_raw(Box::new([5; 16]));
    let flags = one(random, [TN_BORROW, TN_TAKE_OWNERSHIP, TN_TAKE_OWNERSHIP | TN_RELEASE_QUEUED]);
    IMPORTED.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the box lasts until the callback drops it.
    unsafe { import(bytes.cast(), &[2, 8], flags, Some(give_back), bytes.cast()) }.unwrap()
}

/// The result, or None for a status that a race may cause; any other status is a bug.
#[track_caller]
fn may<T>(made: Result<T, tn_status>, statuses: &[tn_status]) -> Option<T> {
    // A shared handle may be released, given or taken at any moment.
    const ALWAYS: [tn_status; 3] = [TN_ERR_STALE, TN_ERR_DESTRUCTED, TN_ERR_GIVEN];
    match made {
        Ok(made) => Some(made),
        Err(status) if ALWAYS.contains(&status) || statuses.contains(&status) => None,
        Err(status) => panic!("{}: {}", name(status), text()),
    }
}

const IN_THE_WAY: [tn_status; 6] =
    [TN_ERR_BORROWED_WRITE, TN_ERR_BORROWED, TN_ERR_EXPORTED, TN_ERR_SHARED, TN_ERR_READONLY, TN_ERR_FOREIGN];

impl Shared {
    /// Replaces a handle by another one, and releases the old one.
    fn put(&self, list: &[AtomicUsize], random: &mut Random, handle: Handle, give_back: fn(Handle) -> Done) {
        let old = list[random.below(list.len())].swap(handle, Ordering::AcqRel);
        if old != 0 {
            may(give_back(old), &[]);
        }
    }

    fn put_array(&self, random: &mut Random, array: Handle) -> Option<()> {
        self.put(&self.arrays, random, array, release);
        Some(())
    }

    fn some(&self, list: &[AtomicUsize], random: &mut Random) -> Option<Handle> {
        Some(list[random.below(list.len())].load(Ordering::Acquire)).filter(|handle| *handle != 0)
    }

    /// One call, or a few related ones. None if there was nothing to do it with, or another thread was in the way.
    fn step(&self, kind: usize, random: &mut Random) -> Option<()> {
        if kind == 0 {
            let array = if random.below(3) == 0 { import_one(random) } else { zeros(self.pool, &[2, 8]).unwrap() };
            return self.put_array(random, array);
        }
        let a = self.some(&self.arrays, random)?;
        match kind {
            1 => self.put_array(random, may(clone(a), &[])?),
            // A row. A row itself has a view of no elements, or no view at all.
            2 => {
                let row = may(index(a, 0, random.below(2) as i64), &[TN_ERR_RANGE])?;
                self.put_array(random, row)
            }
            3 => may(release(a), &[]),
            4 => {
                let weak = may(weaken(a), &[])?;
                self.put(&self.weaks, random, weak, weak_release);
                Some(())
            }
            5 => {
                let weak = self.some(&self.weaks, random)?;
                self.put_array(random, may(upgrade(weak), &[])?)
            }
            6 => self.read(a, random),
            7 | 8 => self.write(a, random),
            9 => {
                let promise = may(give(a, 1), &IN_THE_WAY)?;
                self.put(&self.promises, random, promise, promise_release);
                Some(())
            }
            10 => may(cancel(self.some(&self.promises, random)?), &[]),
            11 | 12 => {
                let promises = [self.some(&self.promises, random)?, self.some(&self.promises, random)?];
                let taken = may(take(&promises[kind - 11..]), &[TN_ERR_DUPLICATE])?;
                taken.into_iter().try_for_each(|array| self.put_array(random, array))
            }
            13 => {
                let b = self.some(&self.arrays, random)?;
                let access = [TN_READ, TN_READ_WRITE, TN_READ_WRITE | TN_WRITE_COW];
                let wanted = [(a, one(random, access)), (b, one(random, access))];
                let guard = may(borrow_all(&wanted), &[&IN_THE_WAY[..], &[TN_ERR_ALIASED]].concat())?;
                may(end(guard, 0), &[])
            }
            14 => {
                let tensor =
                    may(export_dlpack(a, one(random, [TN_BORROW, TN_BORROW | TN_EXPORT_WRITABLE])), &IN_THE_WAY)?;
                if random.below(2) == 0 {
                    delete_dlpack(tensor);
                    Some(())
                } else {
                    self.put_array(random, import_dlpack(tensor, TN_BORROW).unwrap())
                }
            }
            15 => {
                let b = self.some(&self.arrays, random)?;
                may(copy_into(a, b, 0), &[&IN_THE_WAY[..], &[TN_ERR_SHAPE, TN_ERR_ALIASED]].concat())?;
                may(try_unique(a), &[]).map(drop)
            }
            _ => (random.below(16) == 0 && run_releases() > 0).then_some(()),
        }
    }

    /// Checks that nothing writes what a reader sees.
    fn read(&self, a: Handle, random: &mut Random) -> Option<()> {
        let guard = may(read(a, 0), &IN_THE_WAY)?;
        let before = read_all(guard);
        (0..random.below(100)).for_each(|_| std::hint::spin_loop());
        assert_eq!(before, read_all(guard), "a write under a read guard");
        may(end(guard.id, 0), &[])
    }

    /// Checks that nothing else writes a writer's region.
    fn write(&self, a: Handle, random: &mut Random) -> Option<()> {
        let mode = one(random, [0, TN_WRITE_UNIQUE, TN_WRITE_COW, TN_WRITE_COW | TN_WRITE_DISCARD]);
        let guard = may(write(a, mode), &IN_THE_WAY)?;
        let value = self.value.fetch_add(1, Ordering::Relaxed);
        for i in 0..length_of(guard) {
            // SAFETY: inside the guard's region, which no other thread may touch; volatile, so that each access
            // happens.
            unsafe { (guard.data as *mut i64).add(i).write_volatile(value) };
        }
        assert!(read_all(guard).iter().all(|seen| *seen == value), "another write under a write guard");
        may(end(guard.id, 0), &[])
    }
}

/// Elements of a guard's region, which is contiguous here; the guard is still open.
fn length_of(guard: Guard) -> usize {
    let mut info =
        tn_borrow_info { size: size_of::<tn_borrow_info>(), data: std::ptr::null_mut(), device_data: 0, bytes: 0 };
    // SAFETY: a struct of its size.
    let status = unsafe { tenure::ffi::borrow::tn_borrow_query(guard.id as *mut _, &mut info) };
    assert_eq!((status, info.data as usize), (TN_OK, guard.data));
    info.bytes as usize / size_of::<i64>()
}

fn read_all(guard: Guard) -> Vec<i64> {
    // SAFETY: inside the guard's region; volatile, so that each access happens.
    (0..length_of(guard)).map(|i| unsafe { (guard.data as *const i64).add(i).read_volatile() }).collect()
}

/// All kinds of calls over handles that all threads share. TENURE_STRESS_STEPS is the number of steps of each of the
/// six threads, TENURE_STRESS_SEED the seed.
#[test]
fn six_threads_mix_everything() {
    let _alone = QUEUE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    let steps = number("TENURE_STRESS_STEPS").unwrap_or(40_000);
    // Not 0 for any thread.
    let seed = number("TENURE_STRESS_SEED").unwrap_or(0x9e37_79b9_7f4a_7c15) | 1;
    println!("seed {seed}");
    let pool = Pool::new();
    let shared = Shared {
        pool: pool.0,
        arrays: [const { AtomicUsize::new(0) }; 24],
        promises: [const { AtomicUsize::new(0) }; 8],
        weaks: [const { AtomicUsize::new(0) }; 8],
        value: AtomicI64::new(1),
        worked: [const { AtomicUsize::new(0) }; KINDS],
    };
    std::thread::scope(|scope| {
        for thread in 0..6u64 {
            let shared = &shared;
            scope.spawn(move || {
                here(c"mix.c", thread as i32);
                let mut random = Random::new(seed ^ (thread << 20));
                // Copies of imported bytes go there.
                set_current(shared.pool).unwrap();
                for _ in 0..steps {
                    let kind = random.below(KINDS);
                    if shared.step(kind, &mut random).is_some() {
                        shared.worked[kind].fetch_add(1, Ordering::Relaxed);
                    }
                }
                set_current(0).unwrap();
            });
        }
    });
    let worked = shared.worked.each_ref().map(|count| count.load(Ordering::Relaxed));
    println!("{steps} steps of each thread; of each kind worked {worked:?}");
    assert!(worked.iter().all(|count| *count > 10), "a kind of step that never works tests nothing: {worked:?}");
    let lists = [
        (&shared.arrays[..], release as fn(Handle) -> Done),
        (&shared.promises[..], promise_release as fn(Handle) -> Done),
        (&shared.weaks[..], weak_release as fn(Handle) -> Done),
    ];
    for (list, give_back) in lists {
        for handle in list.iter().map(|place| place.load(Ordering::Relaxed)).filter(|handle| *handle != 0) {
            may(give_back(handle), &[]);
        }
    }
    run_releases();
    assert_eq!(RETURNED.load(Ordering::Relaxed), IMPORTED.load(Ordering::Relaxed), "each callback runs once");
    let left: Vec<_> = leaks().into_iter().filter(|(_, site)| site.starts_with("mix.c")).collect();
    assert_eq!(left, []);
}
