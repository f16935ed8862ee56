//! Forks while other threads work: the child has consistent state, no lock that stays locked, and runs none of its
//! parent's callbacks.
//!
//! Each test forks many times, because a fork copies what the other threads happen to hold at that moment.

use crate::support;
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::capi::*;
use tenure::types::*;
use tenure_harness::test;

/// Release callbacks that ran in this process.
static RAN: AtomicUsize = AtomicUsize::new(0);
/// Imports whose callback is to run.
static IMPORTED: AtomicUsize = AtomicUsize::new(0);
static BYTES: [AtomicI64; 64] = [const { AtomicI64::new(7) }; 64];

unsafe extern "C" fn count_release(_: *mut c_void) {
    RAN.fetch_add(1, Ordering::Relaxed);
}

fn import_some(first: usize, flags: u32) -> Handle {
    let at = BYTES[first].as_ptr();
    // SAFETY: bytes of a static, which only the library writes.
    let a = unsafe { import(at, &[4], flags, Some(count_release), std::ptr::null_mut()) }.unwrap();
    IMPORTED.fetch_add(1, Ordering::Relaxed);
    a
}

/// Runs all kinds of calls, so that a fork interrupts any of them.
fn work(round: i64, own_bytes: usize) {
    let pool = new_pool();
    set_current(pool).unwrap();
    here(c"work.c", (round % 50) as i32);
    let a = numbers(pool, &[3, 5]);
    let row = index(a, 0, 1).unwrap();
    let many = reshape(a, &[1, 1, 3, 1, 5, 1]).unwrap();
    end(write(row, 0).unwrap().id, 0).unwrap();
    end(read(a, 0).unwrap().id, 0).unwrap();
    end(write(a, TN_WRITE_COW).unwrap().id, 0).unwrap();
    let b = copy(row, 0).unwrap();
    let p = give(a, 1).unwrap();
    let taken = take(&[p]).unwrap();
    promise_release(p).unwrap();
    let weak = weaken(taken[0]).unwrap();
    release(upgrade(weak).unwrap()).unwrap();
    let variable = shared_create(b, TN_BORROW).unwrap();
    shared_set(variable, b, 0).unwrap();
    release(shared_get(variable, TN_BORROW).unwrap()).unwrap();
    shared_release(variable).unwrap();
    weak_release(weak).unwrap();
    end(borrow_all(&[(row, TN_READ), (b, TN_READ_WRITE)]).unwrap(), 0).unwrap();
    let tensor = export_dlpack(b, TN_BORROW).unwrap();
    delete_dlpack(tensor);
    let lent = import_some(own_bytes, TN_BORROW);
    end(write(lent, TN_WRITE_COW).unwrap().id, 0).unwrap();
    let big = allocate(pool, 1 << 20).unwrap();
    let big = reallocate(pool, big, 3 << 20).unwrap();
    deallocate(big).unwrap();
    assert_eq!(read(a, 0).unwrap_err(), TN_ERR_DESTRUCTED);
    for array in [a, row, many, b, taken[0], lent] {
        release(array).unwrap();
    }
    assert_eq!(live_bytes(pool), 0);
    set_current(0).unwrap();
    pool_release(pool).unwrap();
}

/// The child's calls. Err names the step that failed. It must not panic, because the message needs locks of the
/// process.
fn child(shared: Handle, guard: Handle, lent: [Handle; 3], variable: Handle) -> Result<(), i32> {
    let step = |number: i32, ok: bool| if ok { Ok(()) } else { Err(number) };
    let before = RAN.load(Ordering::Relaxed);
    let pool = pool_of(|_| ()).map_err(|_| 2)?;
    let a = zeros(pool, &[100]).map_err(|_| 3)?;
    let twin = clone(a).map_err(|_| 4)?;
    step(5, end(write(twin, TN_WRITE_COW).map_err(|_| 6)?.id, 0).is_ok())?;
    step(7, release(a).is_ok() && release(twin).is_ok() && live_bytes(pool) == 0)?;
    // The child has the parent's arrays too: the guard excludes writers, and ends.
    step(8, write(shared, 0).err() == Some(TN_ERR_BORROWED))?;
    step(9, end(guard, 0).is_ok() && fill(shared, 9, TN_WRITE_UNIQUE).is_ok() && release(shared).is_ok())?;
    // The parent's imports end without their callbacks; queued ones as well.
    for a in lent {
        step(10, release(a).is_ok())?;
    }
    run_releases();
    step(11, RAN.load(Ordering::Relaxed) == before)?;
    // Callbacks of the child's own imports run.
    let own = import_some(60, TN_TAKE_OWNERSHIP);
    step(12, release(own).is_ok() && RAN.load(Ordering::Relaxed) == before + 1)?;
    // The child can make threads, which reuse what the parent's threads left behind.
    let thread = std::thread::Builder::new().spawn(|| work(1, 56)).map_err(|_| 13)?;
    step(14, thread.join().is_ok())?;
    // A child may fork in turn.
    step(15, in_child(|| step(16, zeros(pool, &[8]).and_then(release).is_ok())) == 0)?;
    // SV-38: a variable has its value, or is poisoned if a thread of the parent was writing it. It takes a new one in
    // either case.
    match shared_get(variable, TN_BORROW) {
        Ok(value) => {
            let read = elements(value);
            step(18, read.iter().all(|element| *element == read[0]) && release(value).is_ok())?;
        }
        Err(status) => step(19, status == TN_ERR_POISONED)?,
    }
    let value = numbers(0, &[64]);
    step(20, shared_set(variable, value, 0).is_ok())?;
    step(21, shared_get(variable, TN_BORROW).is_ok_and(|now| elements(now)[63] == 63))?;
    step(22, pool_release(pool).is_ok())
}

/// Runs `body` in a child and returns its exit status: 0, a step, or -1 if it hung and was killed. It may hang in the
/// fork itself, so the parent watches it.
fn in_child(body: impl FnOnce() -> Result<(), i32>) -> i32 {
    // SAFETY: the child calls the library and functions that it needs itself, then ends without running anything of the
    // parent's.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let code = body().err().unwrap_or(0);
        // SAFETY: ends the process.
        unsafe { libc::_exit(code) };
    }
    assert!(child > 0, "fork failed");
    let start = Instant::now();
    let mut status = 0;
    // SAFETY: waits for our own child.
    while unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) } == 0 {
        if start.elapsed() > Duration::from_secs(60) {
            // SAFETY: as above; the next round sees its end.
            unsafe { libc::kill(child, libc::SIGKILL) };
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -1 }
}

#[test]
fn forks_while_threads_work() {
    let stop = AtomicBool::new(false);
    let rounds = AtomicUsize::new(0);
    let before = leak_count();
    let first = zeros(0, &[64]).unwrap();
    let variable = shared_create(first, 0).unwrap();
    release(first).unwrap();
    std::thread::scope(|scope| {
        let setter_stop = &stop;
        scope.spawn(move || {
            for round in (0..).take_while(|_| !setter_stop.load(Ordering::Relaxed)) {
                let value = zeros(0, &[64]).unwrap();
                fill(value, round, 0).unwrap();
                shared_set(variable, value, 0).unwrap();
                release(value).unwrap();
            }
        });
        for number in 0..4 {
            let (stop, rounds) = (&stop, &rounds);
            scope.spawn(move || {
                for round in 0.. {
                    work(round, 8 * number);
                    rounds.fetch_add(1, Ordering::Relaxed);
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        let outcome = std::panic::catch_unwind(|| {
            for fork in 0..50 {
                let shared = numbers(0, &[6]);
                let guard = read(shared, 0).unwrap().id;
                let flags = [TN_BORROW, TN_TAKE_OWNERSHIP, TN_TAKE_OWNERSHIP | TN_RELEASE_QUEUED];
                let lent = [0, 1, 2].map(|i| import_some(32 + 4 * i, flags[i]));
                // Lets the threads be anywhere.
                std::thread::yield_now();
                let code = in_child(|| child(shared, guard, lent, variable));
                assert_eq!(code, 0, "fork {fork}: the child ended with that step; -1: it hung");
                // The parent is unaffected.
                assert_eq!(elements(shared), [0, 1, 2, 3, 4, 5]);
                assert_eq!(write(shared, 0).unwrap_err(), TN_ERR_BORROWED);
                end(guard, 0).unwrap();
                release(shared).unwrap();
                lent.into_iter().for_each(|a| release(a).unwrap());
            }
        });
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
    shared_release(variable).unwrap();
    run_releases();
    assert_eq!(RAN.load(Ordering::Relaxed), IMPORTED.load(Ordering::Relaxed));
    assert_eq!(leak_count(), before, "{:?}", leaks());
    println!("{} rounds of work beside the forks", rounds.load(Ordering::Relaxed));
}

/// Interning a new call site must not leave a lock held in the child.
#[test]
fn forks_while_threads_set_new_call_sites() {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for number in 0..3 {
            let stop = &stop;
            scope.spawn(move || {
                // Few names, so that the table never fills, and each thread forgets its recent ones between two uses.
                for line in (0..5000).cycle().take_while(|_| !stop.load(Ordering::Relaxed)) {
                    here([c"a.c", c"b.c", c"c.c"][number], line);
                }
            });
        }
        let failed = (0..1500).find_map(|fork| {
            let code = in_child(|| {
                here(c"child.c", fork);
                zeros(0, &[4]).and_then(release).map_err(|_| 1)
            });
            (code != 0).then_some((fork, code))
        });
        stop.store(true, Ordering::Relaxed);
        assert_eq!(failed, None, "the fork, and the status of the child; -1: it hung");
    });
}

/// A fork during another thread's first call, which starts the library, must not leave the child waiting for that
/// start.
#[test]
fn forks_during_the_first_call() {
    for attempt in 0..300 {
        // The library is not in use in this process, so each child starts it anew.
        let code = in_child(|| {
            let called = || zeros(0, &[4]).and_then(release).map_err(|_| 1);
            let first = std::thread::Builder::new().spawn(called).map_err(|_| 2)?;
            (0..attempt * 20).for_each(|_| std::hint::spin_loop());
            let code = in_child(called);
            if code != 0 {
                return Err(3);
            }
            first.join().map_err(|_| 4)?
        });
        assert_eq!(code, 0, "attempt {attempt}: 3: the child of the fork hung or failed");
    }
}
