//! The process-wide default pool, which a program can change after its first use (AR-61).

use crate::support;
use std::ffi::c_void;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use support::capi::*;
use tenure::ffi::pool::{tn_pool_import, tn_pool_of};
use tenure::sys::os;
use tenure::types::*;
use tenure_harness::test;

/// Live blocks of a pool.
fn blocks(pool: Handle) -> u64 {
    stats(pool).live_blocks
}

/// A raw block and an array, without a pool.
fn two() -> (usize, Handle) {
    (allocate(0, 100).unwrap(), zeros(0, &[10]).unwrap())
}

fn drop_two((block, array): (usize, Handle)) {
    deallocate(block).unwrap();
    release(array).unwrap();
}

#[test]
fn ar_61_the_default_changes_after_its_first_use() {
    let initial = default_pool(HOST).unwrap();
    let (own, next) = (new_pool(), new_pool());
    let before = two();
    assert_eq!(blocks(initial), 2);
    let (turn, over) = (Barrier::new(2), Barrier::new(2));
    std::thread::scope(|scope| {
        // This thread has cached its heap of the initial pool, and the other one has its own pool.
        scope.spawn(|| {
            drop_two(two());
            turn.wait();
            over.wait();
            let from_next = two();
            assert_eq!((blocks(next), blocks(initial)), (2, 2), "from the new default");
            drop_two(from_next);
            turn.wait();
            over.wait();
            let from_initial = two();
            assert_eq!((blocks(next), blocks(initial)), (0, 4));
            drop_two(from_initial);
        });
        turn.wait();
        set_default(next).unwrap();
        over.wait();
        turn.wait();
        let here = two();
        assert_eq!((blocks(next), blocks(initial)), (2, 2), "the old blocks stay");
        drop_two(here);
        // A handle on the default is one on the new pool.
        let again = default_pool(HOST).unwrap();
        let one = allocate(again, 10).unwrap();
        assert_eq!((blocks(next), stats(again).serial), (1, stats(next).serial));
        deallocate(one).unwrap();
        pool_release(again).unwrap();
        // The pool of a thread is unaffected.
        set_current(own).unwrap();
        let here = two();
        assert_eq!((blocks(own), blocks(next)), (2, 0));
        drop_two(here);
        set_current(0).unwrap();
        let here = two();
        assert_eq!((blocks(own), blocks(next)), (0, 2));
        drop_two(here);
        // So is the thread after a scope that restores what was current before it.
        let before = default_pool(HOST).unwrap();
        set_current(own).unwrap();
        set_current(before).unwrap();
        pool_release(before).unwrap();
        set_default(own).unwrap();
        let here = two();
        assert_eq!((blocks(own), blocks(next)), (2, 0));
        drop_two(here);
        set_default(next).unwrap();
        set_default(0).unwrap();
        over.wait();
    });
    drop_two(before);
    assert_eq!((blocks(initial), blocks(next)), (0, 0));
    // The previous default of one device is restored by its handle, which may be the initial one.
    set_default(next).unwrap();
    set_default(own).unwrap();
    set_default(initial).unwrap();
    drop_two(two());
    let one = allocate(0, 10).unwrap();
    assert_eq!(blocks(initial), 1);
    deallocate(one).unwrap();
    let stats = stats(next);
    assert_eq!((stats.device.r#type, stats.device.id), (TN_CPU, 0), "tn_pool_query tells the device");
    pool_release(own).unwrap();
    pool_release(next).unwrap();
    assert_eq!(set_default(next), Err(TN_ERR_STALE));
    assert_eq!(set_default(64), Err(TN_ERR_KIND));
    drop_two(two());
    pool_release(initial).unwrap();
    assert_eq!(leak_count(), 0);
}

#[test]
fn ar_61_a_default_before_the_first_use() {
    let first = new_pool();
    set_default(first).unwrap();
    let here = two();
    assert_eq!(blocks(first), 2);
    let default = default_pool(HOST).unwrap();
    assert_eq!(stats(default).serial, stats(first).serial);
    drop_two(here);
    set_default(0).unwrap();
    let here = two();
    assert_eq!(blocks(first), 0, "the initial pool is made now");
    drop_two(here);
    pool_release(default).unwrap();
    pool_release(first).unwrap();
}

static ENDED: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn map(_: *mut c_void, bytes: usize, align: usize, _: u64, out: *mut *mut c_void) -> tn_status {
    let Some(start) = os::map(bytes, align) else { return TN_ERR_NO_HOST_MEMORY };
    // SAFETY: the pool's own variable.
    unsafe { out.write(start as *mut c_void) };
    // A callback cannot set the default pool.
    assert_eq!(set_default(0), Err(TN_ERR_INVALID));
    TN_OK
}

unsafe extern "C" fn unmap(_: *mut c_void, at: *mut c_void, bytes: usize, _: u64) -> tn_status {
    // SAFETY: mapped above, and no longer used.
    unsafe { os::unmap(at as usize, bytes) };
    TN_OK
}

unsafe extern "C" fn ended(_: *mut c_void) {
    ENDED.fetch_add(1, Ordering::SeqCst);
}

fn over_upstream() -> Handle {
    over(map)
}

type Map = unsafe extern "C" fn(*mut c_void, usize, usize, u64, *mut *mut c_void) -> tn_status;

fn over(map: Map) -> Handle {
    let upstream = tn_upstream {
        size: size_of::<tn_upstream>(),
        context: std::ptr::null_mut(),
        granularity: 0,
        alignment: 0,
        flags: 0,
        reserved: 0,
        allocate: Some(map),
        deallocate: Some(unmap),
        purge: None,
        release: Some(ended),
    };
    let mut pool = std::ptr::null_mut();
    // SAFETY: a struct of its size, a writable output.
    let made = done(|| unsafe { tn_pool_import(HOST, &upstream, std::ptr::null(), &mut pool) });
    made.unwrap_or_else(|status| panic!("{}: {}", name(status), text()));
    pool as Handle
}

#[test]
fn ar_61_the_default_keeps_its_pool_until_it_changes() {
    let pool = over_upstream();
    set_default(pool).unwrap();
    pool_release(pool).unwrap();
    let here = two();
    std::thread::spawn(|| drop_two(two())).join().unwrap();
    drop_two(here);
    assert_eq!(ENDED.load(Ordering::SeqCst), 0, "the default is a reference");
    set_default(0).unwrap();
    // This thread used it last, until it looks again.
    drop_two(two());
    assert_eq!(ENDED.load(Ordering::SeqCst), 1);
    // Setting the default again adds no reference.
    let pool = over_upstream();
    set_default(pool).unwrap();
    set_default(pool).unwrap();
    drop_two(two());
    set_default(0).unwrap();
    pool_release(pool).unwrap();
    drop_two(two());
    assert_eq!(ENDED.load(Ordering::SeqCst), 2);
    // A thread that ends drops its reference.
    let pool = over_upstream();
    set_default(pool).unwrap();
    pool_release(pool).unwrap();
    let (turn, over) = (Barrier::new(2), Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            drop_two(two());
            turn.wait();
            over.wait();
        });
        turn.wait();
        set_default(0).unwrap();
        drop_two(two());
        assert_eq!(ENDED.load(Ordering::SeqCst), 2, "the other thread has used it");
        over.wait();
    });
    for _ in 0..1000 {
        // The exit hooks of a thread may run after its join.
        if ENDED.load(Ordering::SeqCst) < 3 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
    assert_eq!(ENDED.load(Ordering::SeqCst), 3);
}

#[test]
fn ar_61_no_request_fails_while_the_default_changes() {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for seed in 0..3usize {
            let over = &over;
            scope.spawn(move || {
                let mut step = seed;
                while !over.load(Ordering::Relaxed) {
                    step += 1;
                    let bytes = [16, 300, 5000, 200_000][step % 4];
                    let block = allocate(0, bytes).unwrap_or_else(|_| panic!("{}", text()));
                    let array = zeros(0, &[(step % 2000) as i64]).unwrap_or_else(|_| panic!("{}", text()));
                    let copied = copy(array, 0).unwrap_or_else(|_| panic!("{}", text()));
                    deallocate(block).unwrap();
                    release(array).unwrap();
                    release(copied).unwrap();
                    if step % 64 == 0 {
                        pool_release(default_pool(HOST).unwrap_or_else(|_| panic!("{}", text()))).unwrap();
                    }
                }
            });
        }
        for round in 0..600 {
            let pool = new_pool();
            set_default(pool).unwrap();
            if round % 2 == 0 {
                std::thread::yield_now();
            }
            let one = allocate(0, 64).unwrap();
            deallocate(one).unwrap();
            pool_release(pool).unwrap();
            if round % 3 == 0 {
                set_default(0).unwrap();
            }
        }
        set_default(0).unwrap();
        over.store(true, Ordering::Relaxed);
    });
    drop_two(two());
    assert_eq!(leak_count(), 0, "{:?}", leaks());
}

#[test]
fn ar_61_the_default_after_a_fork() {
    let over = AtomicBool::new(false);
    let (a, b) = (new_pool(), new_pool());
    std::thread::scope(|scope| {
        for pool in [a, b] {
            let over = &over;
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    set_default(pool).unwrap();
                    drop_two(two());
                }
            });
        }
        for round in 0..100 {
            // SAFETY: the child calls the library only, then ends without running anything of the parent's.
            let child = unsafe { libc::fork() };
            if child == 0 {
                let works = set_default(a).is_ok()
                    && allocate(0, 100).and_then(deallocate).is_ok()
                    && set_default(0).is_ok()
                    && zeros(0, &[100]).and_then(release).is_ok()
                    && pool_release(b).is_ok();
                // SAFETY: ends the process.
                unsafe { libc::_exit(i32::from(!works)) };
            }
            let mut status = 0;
            // SAFETY: our child.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert_eq!(status, 0, "round {round}");
        }
        over.store(true, Ordering::Relaxed);
    });
    set_default(0).unwrap();
    pool_release(a).unwrap();
    pool_release(b).unwrap();
}

/// One thread releases handles while others set their pools: each of these calls works or finds the handle stale.
#[test]
fn ar_61_a_pool_is_released_while_others_set_it() {
    let (over, current) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let pool = current.load(Ordering::Relaxed) as Handle;
                assert!(matches!(set_default(pool), Ok(()) | Err(TN_ERR_STALE)), "{}", text());
                drop_two(two());
                assert!(matches!(set_current(pool), Ok(()) | Err(TN_ERR_STALE)), "{}", text());
                drop_two(two());
            }
            set_current(0).unwrap();
        });
        for _ in 0..20_000 {
            let pool = new_pool();
            current.store(pool as usize, Ordering::Relaxed);
            pool_release(pool).unwrap();
        }
        over.store(true, Ordering::Relaxed);
    });
    set_default(0).unwrap();
    drop_two(two());
    assert_eq!(leak_count(), 0, "{:?}", leaks());
}

/// A live block still leads to its pool after the last handle is released, and that pool allocates nothing more.
#[test]
fn ar_61_a_released_pool_becomes_no_default() {
    let pool = new_pool();
    let block = allocate(pool, 100).unwrap();
    pool_release(pool).unwrap();
    let mut released = std::ptr::null_mut();
    // SAFETY: a live block, and a writable output.
    done(|| unsafe { tn_pool_of(block as *const c_void, &mut released) }).unwrap();
    let released = released as Handle;
    assert_eq!(set_default(released), Err(TN_ERR_STALE));
    assert_eq!(set_current(released), Err(TN_ERR_STALE));
    drop_two(two());
    pool_release(released).unwrap();
    deallocate(block).unwrap();
    assert_eq!(leak_count(), 0, "{:?}", leaks());
}

static IN_CALLBACK: AtomicUsize = AtomicUsize::new(0);

/// Uses the default pool for a while.
unsafe extern "C" fn map_slowly(
    context: *mut c_void,
    bytes: usize,
    align: usize,
    _: u64,
    out: *mut *mut c_void,
) -> tn_status {
    while IN_CALLBACK.fetch_add(1, Ordering::Relaxed) < CALLS_IN_CALLBACK {
        match allocate(0, 200_000).and_then(deallocate) {
            Ok(()) => {}
            Err(status) => panic!("{}: {}", name(status), text()),
        }
    }
    // SAFETY: the arguments of this call.
    unsafe { map(context, bytes, align, 0, out) }
}

const CALLS_IN_CALLBACK: usize = 20_000;

#[test]
fn ar_61_a_callback_uses_the_default_while_it_changes() {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let pool = over(map_slowly);
            deallocate(allocate(pool, 100).unwrap()).unwrap();
            pool_release(pool).unwrap();
        });
        while IN_CALLBACK.load(Ordering::Relaxed) < CALLS_IN_CALLBACK {
            let pool = new_pool();
            set_default(pool).unwrap();
            std::thread::yield_now();
            pool_release(pool).unwrap();
            set_default(0).unwrap();
        }
    });
    drop_two(two());
    assert_eq!(leak_count(), 0, "{:?}", leaks());
}
