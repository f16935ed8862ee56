//! Pools over a caller's upstream: failing internal memory, and many threads on stacked pools. The single rows are in
//! c-tests/upstream.c. In a file of its own, because failing memory makes pools trim each other.

use crate::support;
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::pools::*;
use support::random::Random;
use tenure::pool::{self, Pool, PoolOptions};
use tenure::sys::os;
use tenure::types::*;
use tenure_harness::test;

/// An upstream that maps memory, and tracks which of its blocks are in use.
#[derive(Default)]
struct Source {
    out: Mutex<HashMap<usize, usize>>,
    wrong: AtomicUsize,
    released: AtomicUsize,
}

impl Source {
    fn table(&self, flags: u32) -> tn_upstream {
        tn_upstream {
            size: size_of::<tn_upstream>(),
            context: std::ptr::from_ref(self).cast_mut().cast(),
            granularity: 0,
            alignment: 0,
            flags,
            reserved: 0,
            allocate: Some(allocate),
            deallocate: Some(deallocate),
            purge: None,
            release: Some(release),
        }
    }

    fn bytes(&self) -> u64 {
        self.out.lock().unwrap().values().sum::<usize>() as u64
    }
}

fn source<'a>(context: *mut c_void) -> &'a Source {
    // SAFETY: the context that `table` passed, which outlives its pool.
    unsafe { &*context.cast::<Source>() }
}

unsafe extern "C" fn allocate(
    context: *mut c_void,
    bytes: usize,
    alignment: usize,
    _stream: u64,
    out: *mut *mut c_void,
) -> tn_status {
    let Some(start) = os::map(bytes, alignment) else { return TN_ERR_NO_HOST_MEMORY };
    source(context).out.lock().unwrap().insert(start, bytes);
    // SAFETY: the pool's own variable.
    unsafe { out.write(start as *mut c_void) };
    TN_OK
}

unsafe extern "C" fn deallocate(context: *mut c_void, ptr: *mut c_void, bytes: usize, _stream: u64) -> tn_status {
    let source = source(context);
    if source.out.lock().unwrap().remove(&(ptr as usize)) != Some(bytes) {
        source.wrong.fetch_add(1, Ordering::Relaxed);
        return TN_ERR_INVALID;
    }
    // SAFETY: mapped by `allocate`, and no longer used.
    unsafe { os::unmap(ptr as usize, bytes) };
    TN_OK
}

unsafe extern "C" fn release(context: *mut c_void) {
    source(context).released.fetch_add(1, Ordering::Relaxed);
}

/// A pool over another: memory that the upper one frees goes back to the lower one.
fn over(pool: &'static Pool) -> tn_upstream {
    unsafe extern "C" fn allocate(
        context: *mut c_void,
        bytes: usize,
        alignment: usize,
        _stream: u64,
        out: *mut *mut c_void,
    ) -> tn_status {
        // SAFETY: pools are never unmapped.
        let pool = unsafe { &*context.cast::<Pool>() };
        match pool.allocate(bytes, alignment, false, 0) {
            Ok(block) => {
                // SAFETY: the upper pool's own variable.
                unsafe { out.write(block.as_ptr().cast()) };
                TN_OK
            }
            Err(status) => status.code(),
        }
    }
    unsafe extern "C" fn deallocate(context: *mut c_void, ptr: *mut c_void, _bytes: usize, _stream: u64) -> tn_status {
        // SAFETY: pools are never unmapped.
        let pool = unsafe { &*context.cast::<Pool>() };
        pool::deallocate(Some(pool), ptr as usize).map_or_else(|status| status.code(), |()| TN_OK)
    }
    tn_upstream {
        size: size_of::<tn_upstream>(),
        context: std::ptr::from_ref(pool).cast_mut().cast(),
        granularity: 0,
        alignment: 0,
        flags: TN_UPSTREAM_THREAD_SAFE,
        reserved: 0,
        allocate: Some(allocate),
        deallocate: Some(deallocate),
        purge: None,
        release: None,
    }
}

/// PO-47, PO-49: each request for memory, of the upstream and of the bookkeeping, fails once, or fails from there on.
#[test]
fn po_47_49_each_allocation_that_fails_ends_in_a_status() {
    tenure::thread::current();
    let mut failed = 0;
    for succeed in 0..12 {
        for fail in [1, u64::MAX] {
            let source = Source::default();
            let options = PoolOptions { initial_size: 1 << 16, ..PoolOptions::default() };
            os::fail_calls(succeed, fail);
            let made = pool::import(HOST, &source.table(0), &options);
            let mut live = Vec::new();
            if let Ok(pool) = made {
                pool.accept();
                for (at, bytes) in [100, 70_000, 1 << 20, 5000, 3 << 20, 0].into_iter().enumerate() {
                    match pool.allocate(bytes, 0, at.is_multiple_of(2), 0) {
                        Ok(block) => live.push(block.as_ptr() as usize),
                        Err(status) => {
                            assert_eq!(status.code(), TN_ERR_NO_HOST_MEMORY);
                            failed += 1;
                        }
                    }
                    let s = checked(pool);
                    assert_eq!((s.live_blocks, s.reserved_bytes), (live.len() as u64, source.bytes()));
                }
                os::fail_calls(0, 0);
                live.iter().for_each(|&at| pool::deallocate(Some(pool), at).unwrap());
                pool.trim(0);
                assert_eq!(source.bytes(), 1 << 16);
                pool.drop_ref();
            }
            os::fail_calls(0, 0);
            failed += made.is_err() as u32;
            assert_eq!((source.bytes(), source.wrong.load(Ordering::Relaxed)), (0, 0));
            assert_eq!(source.released.load(Ordering::Relaxed), made.is_ok() as usize);
        }
    }
    assert!(failed > 12, "failures were ordered and came: {failed}");
}

/// PO-50, PO-54: three stacked pools, each used by all threads at the same time.
#[test]
fn po_50_54_pools_over_each_other_under_threads() {
    let source = Source::default();
    let growing = PoolOptions { growth_factor: 2.0, max_growth: 4 << 20, ..PoolOptions::default() };
    let import = |table: &tn_upstream, options: &PoolOptions| {
        let pool = pool::import(HOST, table, options).unwrap();
        pool.accept();
        pool
    };
    let bottom = import(&source.table(0), &growing);
    let middle = import(&over(bottom), &PoolOptions { release_threshold: 1 << 20, ..PoolOptions::default() });
    let top = import(&over(middle), &PoolOptions { max_size: 24 << 20, ..PoolOptions::default() });
    let pools = [bottom, middle, top];
    std::thread::scope(|scope| {
        let start = |thread: u64| {
            scope.spawn(move || {
                let mut random = Random::new(77 + thread);
                let mut live: Vec<(usize, usize, usize, u8)> = Vec::new();
                for round in 0..3000usize {
                    let pick = random.below(1 << 31);
                    if live.len() > 40 || pick.is_multiple_of(3) && !live.is_empty() {
                        let (of, at, bytes, value) = live.swap_remove(pick % live.len());
                        assert!(is_painted(at, bytes, value));
                        pool::deallocate(Some(pools[of]), at).unwrap();
                        continue;
                    }
                    let bytes = if pick.is_multiple_of(11) { 50_000 + pick % 900_000 } else { pick % 3000 + 1 };
                    let Ok(block) = pools[pick % 3].allocate(bytes, 0, false, 0) else { continue };
                    let at = block.as_ptr() as usize;
                    paint(at, bytes, round as u8);
                    live.push((pick % 3, at, bytes, round as u8));
                    if round.is_multiple_of(97) {
                        pools[pick % 3].trim(pick % (1 << 20));
                        pools.iter().for_each(|pool| assert!(pool.query().reserved_bytes < 1 << 40));
                    }
                }
                for (of, at, bytes, value) in live {
                    assert!(is_painted(at, bytes, value));
                    pool::deallocate(Some(pools[of]), at).unwrap();
                }
            })
        };
        // The scope itself does not wait for what threads do as they exit: their heaps go back to the pools then.
        (0..4).map(start).collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
    });
    let (above, below) = (checked(top), checked(middle));
    assert!(above.peak_reserved_bytes <= 24 << 20 && above.live_blocks == 0);
    assert_eq!(below.requested_bytes, above.reserved_bytes, "what the lower one handed out is what the upper one has");
    assert_eq!(checked(bottom).requested_bytes, below.reserved_bytes);
    top.trim(0);
    middle.trim(0);
    bottom.trim(0);
    assert_eq!(source.bytes(), 0);
    pools.iter().rev().for_each(|pool| pool.drop_ref());
    assert_eq!((source.wrong.load(Ordering::Relaxed), source.released.load(Ordering::Relaxed)), (0, 1));
}
