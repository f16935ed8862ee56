//! The steps of a pool before it returns out of memory: PO-43, PO-44. Through the C functions, as programs use them.

use crate::support;
use std::ffi::c_void;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::pools::*;
use support::random::Random;
use tenure::ffi::pool::*;
use tenure::pool::{self, Pool, PoolOptions};
use tenure::sys::os;
use tenure::types::*;
use tenure_harness::test;

/// Keeps the tests apart, because pools trim each other.
static ALONE: Mutex<()> = Mutex::new(());

const MIB: usize = 1 << 20;

/// A pool with a limit in MiB, and a handle on it.
fn limited(mib: usize) -> (&'static Pool, *mut tn_pool) {
    let options = PoolOptions { max_size: (mib * MIB) as u64, ..PoolOptions::default() };
    let pool = pool::create(HOST, &options).unwrap();
    (pool, pool::new_handle(pool).unwrap().bits() as *mut tn_pool)
}

fn get(pool: *mut tn_pool, bytes: usize) -> Result<*mut c_void, tn_status> {
    let mut out = std::ptr::null_mut();
    // SAFETY: the place is ours.
    match unsafe { tn_pool_allocate(pool, bytes, 0, std::ptr::null_mut(), &mut out) } {
        TN_OK => Ok(out),
        status => Err(status),
    }
}

fn give(at: *mut c_void) {
    assert_eq!(tn_pool_deallocate(std::ptr::null_mut(), at, std::ptr::null_mut()), TN_OK);
}

fn release(pool: *mut tn_pool) {
    assert_eq!(tn_pool_release(pool), TN_OK);
}

/// The plan of a callback, and what it observed.
struct Plan {
    pool: *mut tn_pool,
    /// Blocks that it frees, one per call.
    blocks: Mutex<Vec<usize>>,
    /// The order of calls over several plans.
    log: &'static Mutex<Vec<(u32, usize, tn_pressure)>>,
    number: u32,
    released: AtomicUsize,
    during: fn(&Plan),
}

impl Plan {
    fn new(pool: *mut tn_pool, number: u32, log: &'static Mutex<Vec<(u32, usize, tn_pressure)>>) -> Plan {
        Plan { pool, blocks: Mutex::default(), log, number, released: AtomicUsize::new(0), during: |_| () }
    }
    fn context(&self) -> *mut c_void {
        std::ptr::from_ref(self).cast_mut().cast()
    }
    fn on(&self) -> tn_status {
        // SAFETY: the plan outlives its registration.
        unsafe { tn_pool_on_pressure(self.pool, Some(called), self.context(), Some(ended)) }
    }
    fn off(&self) -> tn_status {
        // SAFETY: no pointer is read.
        unsafe { tn_pool_off_pressure(self.pool, Some(called), self.context()) }
    }
    fn ends(&self) -> usize {
        self.released.load(Ordering::Relaxed)
    }
}

unsafe extern "C" fn called(context: *mut c_void, needed: usize, reason: tn_pressure) -> usize {
    // SAFETY: a plan that is alive.
    let plan = unsafe { &*context.cast::<Plan>() };
    plan.log.lock().unwrap().push((plan.number, needed, reason));
    (plan.during)(plan);
    let block = plan.blocks.lock().unwrap().pop();
    block.map_or(0, |at| {
        let at = at as *mut c_void;
        let mut usable = 0;
        // SAFETY: the place is ours.
        assert_eq!(unsafe { tn_pool_usable_size(at, &mut usable) }, TN_OK);
        give(at);
        usable
    })
}

unsafe extern "C" fn ended(context: *mut c_void) {
    // SAFETY: as above.
    unsafe { &*context.cast::<Plan>() }.released.fetch_add(1, Ordering::Relaxed);
}

fn log() -> &'static Mutex<Vec<(u32, usize, tn_pressure)>> {
    Box::leak(Box::default())
}

/// PO-43
#[test]
fn po_43_callbacks_run_in_order_until_a_retry_succeeds() {
    let _alone = ALONE.lock();
    let (pool, handle) = limited(4);
    let seen = log();
    let plans = [1, 2, 3].map(|n| Plan::new(handle, n, seen));
    assert!(plans.iter().all(|plan| plan.on() == TN_OK));
    assert_eq!(plans[1].on(), TN_ERR_DUPLICATE);
    let held: Vec<_> = (0..4).map(|_| get(handle, MIB).unwrap()).collect();
    assert!(seen.lock().unwrap().is_empty(), "no callback while there is memory");
    // The first frees nothing: no retry. The second does: the third is not called.
    plans[1].blocks.lock().unwrap().push(held[0] as usize);
    let at = get(handle, MIB).unwrap();
    assert_eq!(*seen.lock().unwrap(), [(1, MIB, TN_PRESSURE_LIMIT), (2, MIB, TN_PRESSURE_LIMIT)]);
    let s = checked(pool);
    assert_eq!((s.pressure_count, s.oom_count, s.failure_count), (2, 0, 0), "succeeding late is no error");
    // Two freed too little: the third is called as well, each of them once.
    seen.lock().unwrap().clear();
    plans[0].blocks.lock().unwrap().push(held[1] as usize);
    plans[2].blocks.lock().unwrap().push(held[2] as usize);
    let large = get(handle, 2 * MIB).unwrap();
    assert_eq!(seen.lock().unwrap().iter().map(|call| call.0).collect::<Vec<_>>(), [1, 2, 3]);
    // All blocks are freed: the status, after each callback was called once.
    seen.lock().unwrap().clear();
    assert_eq!(get(handle, MIB), Err(TN_ERR_POOL_LIMIT));
    assert_eq!(seen.lock().unwrap().len(), 3);
    assert_eq!(checked(pool).oom_count, 1);
    // PO-46: a failure leaves no state.
    give(large);
    give(get(handle, 2 * MIB).unwrap());
    // No callback is called for a size that no machine has (PO-15).
    seen.lock().unwrap().clear();
    assert_eq!(get(handle, usize::MAX), Err(TN_ERR_NO_HOST_MEMORY));
    assert!(seen.lock().unwrap().is_empty());
    assert_eq!(plans[0].off(), TN_OK);
    assert_eq!((plans[0].ends(), plans[0].off()), (1, TN_ERR_RANGE));
    let _ = get(handle, 8 * MIB);
    assert_eq!(seen.lock().unwrap().iter().map(|call| call.0).collect::<Vec<_>>(), [2, 3]);
    [at, held[3]].into_iter().for_each(give);
    // The other registrations end with the pool; its last block may be freed later.
    let last = get(handle, 100).unwrap();
    release(handle);
    pool.drop_ref();
    assert_eq!(plans.each_ref().map(Plan::ends), [1, 1, 1]);
    give(last);
}

/// PO-43: a callback may call any function, and is not called for its own requests.
#[test]
fn po_43_a_callback_may_use_the_pool_and_end_itself() {
    let _alone = ALONE.lock();
    let (pool, handle) = limited(2);
    let seen = log();
    let mut plan = Plan::new(handle, 1, seen);
    plan.during = |plan| {
        assert_eq!(get(plan.pool, 64 * MIB), Err(TN_ERR_POOL_LIMIT), "fails without a callback");
        let small = get(plan.pool, 16).unwrap();
        give(small);
        // SAFETY: no pointer is read.
        assert_eq!(unsafe { tn_pool_trim(plan.pool, 0, std::ptr::null_mut()) }, TN_OK);
        assert_eq!(plan.off(), TN_OK);
        assert_eq!(plan.ends(), 0, "it is running still");
    };
    let (small, large) = (get(handle, 16).unwrap(), get(handle, MIB).unwrap());
    plan.blocks.lock().unwrap().push(large as usize);
    assert_eq!(plan.on(), TN_OK);
    let at = get(handle, MIB + 65536).unwrap();
    assert_eq!((seen.lock().unwrap().len(), plan.ends()), (1, 1), "let go of when it had ended");
    assert_eq!(get(handle, MIB), Err(TN_ERR_POOL_LIMIT));
    assert_eq!(seen.lock().unwrap().len(), 1);
    [small, at].into_iter().for_each(give);
    // Releasing the pool from inside ends the request, and everything else.
    let (mut last, other) = (Plan::new(handle, 2, seen), Plan::new(handle, 3, seen));
    last.during = |plan| release(plan.pool);
    assert_eq!((last.on(), other.on()), (TN_OK, TN_OK));
    pool.drop_ref();
    assert_eq!(get(handle, 64 * MIB), Err(TN_ERR_POOL_LIMIT));
    assert_eq!((last.ends(), other.ends()), (1, 1));
    assert_eq!(seen.lock().unwrap().len(), 2, "the third was gone before its turn");
    assert!(pool.is_retired());
}

/// PO-43: many threads in one callback, which another thread unregisters meanwhile.
#[test]
fn po_43_ending_never_waits_and_releases_once() {
    let _alone = ALONE.lock();
    let (pool, handle) = limited(1);
    let seen = log();
    let held = get(handle, MIB).unwrap();
    for _ in 0..10 {
        let plan = Plan::new(handle, 1, seen);
        assert_eq!(plan.on(), TN_OK);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                let handle = handle as usize;
                scope.spawn(move || {
                    for _ in 0..20 {
                        assert_eq!(get(handle as *mut tn_pool, 5000), Err(TN_ERR_POOL_LIMIT));
                    }
                });
            }
            std::thread::yield_now();
            assert_eq!(plan.off(), TN_OK);
        });
        assert_eq!(plan.ends(), 1);
    }
    give(held);
    release(handle);
    pool.drop_ref();
}

/// PO-44: the device refuses. First this pool's cache goes, then the other pools', then the callbacks are called.
#[test]
fn po_44_the_steps_come_in_order() {
    let _alone = ALONE.lock();
    let (pool, handle) = limited(100);
    let rich = TestPool::plain();
    let seen = log();
    let plan = Plan::new(handle, 1, seen);
    assert_eq!(plan.on(), TN_OK);
    let first = get(handle, 16).unwrap();
    let held = get(handle, MIB).unwrap();
    let mut steps = Vec::new();
    for refusals in 1..=4u64 {
        rich.give(rich.get(8 * MIB));
        give(get(handle, 100_000).unwrap());
        plan.blocks.lock().unwrap().clear();
        seen.lock().unwrap().clear();
        if refusals == 3 {
            plan.blocks.lock().unwrap().push(held as usize);
        }
        os::fail_calls(0, refusals);
        let result = get(handle, 40 * MIB);
        os::fail_calls(0, 0);
        let own = checked(pool).cached_bytes >= 131_072;
        let others = rich.stats().cached_bytes >= 8 * MIB as u64;
        steps.push((result.map(give), own, others, seen.lock().unwrap().len()));
        pool.trim(0);
        rich.trim(0);
    }
    let reason = TN_ERR_NO_HOST_MEMORY;
    let wanted =
        [(Ok(()), false, true, 0), (Ok(()), false, false, 0), (Ok(()), true, false, 1), (Err(reason), false, false, 1)];
    assert_eq!(steps, wanted);
    assert_eq!(seen.lock().unwrap()[0], (1, 40 * MIB, TN_PRESSURE_DEVICE));
    assert_eq!(plan.off(), TN_OK);
    give(first);
    release(handle);
    pool.drop_ref();
}

#[test]
fn po_43_wrong_arguments_are_statuses() {
    let _alone = ALONE.lock();
    let (pool, handle) = limited(1);
    let plan = Plan::new(handle, 1, log());
    // SAFETY: nothing is registered.
    unsafe {
        assert_eq!(tn_pool_on_pressure(handle, None, std::ptr::null_mut(), None), TN_ERR_NULL);
        assert_eq!(tn_pool_off_pressure(handle, None, std::ptr::null_mut()), TN_ERR_NULL);
    }
    assert_eq!(plan.off(), TN_ERR_RANGE);
    // PO-47: no memory for the registration. All cached memory is used up first.
    release(handle);
    assert_eq!(plan.on(), TN_ERR_STALE);
    pool.drop_ref();
    assert_eq!(plan.ends(), 0, "a failure calls no callback");
}

/// PO-35
#[test]
fn po_35_classes_add_up_to_the_pool() {
    let _alone = ALONE.lock();
    for keeps in [0, TN_POOL_NONE] {
        let pool = TestPool::new(|o| o.thread_cache_size = keeps);
        let handle = pool::new_handle(pool.0).unwrap().bits() as *mut tn_pool;
        let classes = || {
            let mut count = 0;
            // SAFETY: no places.
            assert_eq!(
                // SAFETY: as many places as said, and a writable number.
                unsafe {
                    tn_pool_query_classes(handle, size_of::<tn_pool_class_stats>(), 0, std::ptr::null_mut(), &mut count)
                },
                TN_OK
            );
            let mut all = vec![tn_pool_class_stats::default(); count];
            // SAFETY: as many places.
            assert_eq!(
                // SAFETY: as many places as said, and a writable number.
                unsafe {
                    tn_pool_query_classes(handle, size_of::<tn_pool_class_stats>(), count, all.as_mut_ptr(), &mut count)
                },
                TN_OK
            );
            assert_eq!(count, all.len());
            // Too small a capacity: the items that fit, and the full count all the same.
            if count > 1 {
                let mut fewer = vec![tn_pool_class_stats { reserved: 7, ..Default::default() }; count];
                // SAFETY: one place less.
                unsafe {
                    tn_pool_query_classes(
                        handle,
                        size_of::<tn_pool_class_stats>(),
                        count - 1,
                        fewer.as_mut_ptr(),
                        &mut count,
                    )
                };
                assert_eq!((count, &fewer[..count - 1], fewer[count - 1].reserved), (all.len(), &all[..count - 1], 7));
            }
            all
        };
        assert!(classes().is_empty(), "nothing was used");
        let mut blocks = Vec::new();
        let mut numbers = Random::new(7);
        for step in 0..3000 {
            let random = numbers.below(1 << 31);
            if random % 3 < 2 || blocks.is_empty() {
                blocks.push(pool.get([100, 1000, 70_000, 300_000][random % 4] + random % 500));
            } else {
                let at = blocks.swap_remove(random % blocks.len());
                if random.is_multiple_of(7) {
                    blocks.push(pool.reallocate(at, 1 + random % 200_000, 0).unwrap().unwrap().as_ptr() as usize);
                } else {
                    pool.give(at);
                }
            }
            if step % 100 != 0 {
                continue;
            }
            let (s, all) = (pool.stats(), classes());
            let sum = |of: fn(&tn_pool_class_stats) -> u64| all.iter().map(of).sum::<u64>();
            assert_eq!(sum(|c| c.live_blocks), s.live_blocks);
            assert_eq!(sum(|c| c.allocation_count), s.allocation_count);
            assert_eq!(sum(|c| c.hit_count), s.hit_count);
            let small = &all[1..];
            assert!(all[0].block_bytes == 0 && small.is_sorted_by_key(|c| c.block_bytes));
            let spans: u64 = small.iter().map(|c| c.span_bytes * c.span_count).sum();
            let used: u64 = small.iter().map(|c| c.block_bytes * (c.live_blocks + c.cached_blocks)).sum();
            assert!(spans <= s.reserved_bytes && used <= spans);
            // The segments count all of it, too.
            let (mut bytes, mut live, mut end) = (0, (0, 0), 0);
            pool.each_segment(|segment| {
                assert!(segment.start > end, "runs do not touch");
                end = segment.start + segment.bytes;
                bytes += segment.bytes as u64;
                live = (live.0 + segment.live_blocks as u64, live.1 + segment.live_bytes as u64);
            });
            assert_eq!((bytes, live), (s.reserved_bytes, (s.live_blocks, s.in_use_bytes)));
        }
        blocks.iter().for_each(|&at| pool.give(at));
        pool.trim(0);
        let all = classes();
        assert!(all.iter().all(|c| c.live_blocks + c.cached_blocks + c.span_count == 0 && c.allocation_count > 0));
        // SAFETY: NULL is refused.
        unsafe {
            assert_eq!(
                tn_pool_query_classes(handle, size_of::<tn_pool_class_stats>(), 1, std::ptr::null_mut(), &mut 0),
                TN_ERR_NULL
            );
            assert_eq!(
                tn_pool_query_classes(
                    handle,
                    size_of::<tn_pool_class_stats>(),
                    0,
                    std::ptr::null_mut(),
                    std::ptr::null_mut()
                ),
                TN_ERR_NULL
            );
        }
        release(handle);
    }
}
