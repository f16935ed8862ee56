//! Copying writes during another call: TH-13 and TH-21.

use super::{INTACT, Pool, ROUNDS, each, guard, one_each, race};
use crate::support::capi::*;
use std::ffi::c_void;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use tenure::types::*;
use tenure_harness::test;

#[test]
fn th_13_cow_and_the_release_of_the_clone() {
    let pool = Pool::new();
    let setup = |_| {
        let a = pool.numbers();
        (a, clone(a).unwrap())
    };
    let (mut in_place, mut copied) = (0, 0);
    race(
        ROUNDS,
        setup,
        |(a, _)| write(a, TN_WRITE_COW),
        |(_, b)| release(b),
        |(a, _), x, y| {
            y.unwrap();
            end(x.unwrap().id, 0).unwrap();
            assert!(elements(a) == INTACT && why_not(a) == (0, 0));
            let stats = stats(pool.0);
            assert_eq!(stats.requested_bytes, 32);
            if stats.allocation_count - (in_place + 2 * copied) == 2 {
                copied += 1
            } else {
                in_place += 1
            }
            release(a).unwrap();
            pool.is_empty();
        },
    );
    assert_eq!((in_place + copied) as usize, ROUNDS);
}

/// TH-21: a copying write that takes long enough for the other call to meet it.
fn beside_cow<B: Send>(
    rounds: usize,
    other: impl Fn(Handle, Handle) -> B + Sync,
    mut check: impl FnMut(Handle, Result<Guard, tn_status>, B),
) {
    let pool = Pool::new();
    let n = 40_000;
    let setup = |_| {
        let a = full(pool.0, &[n], 7).unwrap();
        (a, clone(a).unwrap())
    };
    race(
        rounds,
        setup,
        |(a, _)| write(a, TN_WRITE_COW),
        |(a, twin)| other(a, twin),
        |(a, twin), x, y| {
            check(a, x, y);
            // Wherever the handle is by now, its bytes are complete.
            if let Ok(last) = index(a, 0, n - 1) {
                assert_eq!(elements(last), [7]);
                release(last).unwrap();
                release(a).unwrap();
            }
            assert_eq!(why_not(twin), (0, 0));
            release(twin).unwrap();
            pool.is_empty();
        },
    );
}

#[test]
fn th_21_cow_and_a_clone_a_view_a_weak_handle() {
    beside_cow(
        100,
        |a, _| (clone(a), transpose(a), weaken(a)),
        |_, x, (clone, view, weak)| {
            end(x.unwrap().id, 0).unwrap();
            each([clone.unwrap(), view.unwrap()], release);
            weak_release(weak.unwrap()).unwrap();
        },
    );
}

#[test]
fn th_21_cow_and_conflicting_calls() {
    beside_cow(
        100,
        |a, _| guard(read(a, 0)),
        |_, x, y| match (x, y) {
            (Ok(writer), Err(status)) => {
                assert_eq!(status, TN_ERR_BORROWED_WRITE);
                end(writer.id, 0).unwrap();
            }
            (Err(status), Ok(reader)) => {
                assert_eq!(status, TN_ERR_BORROWED);
                end(reader, 0).unwrap();
            }
            other => panic!("{other:?}"),
        },
    );
    beside_cow(
        100,
        |a, _| give(a, 1),
        |_, x, y| match (x, y) {
            (Ok(writer), Err(status)) => {
                assert_eq!(status, TN_ERR_BORROWED_WRITE);
                end(writer.id, 0).unwrap();
            }
            (Err(status), Ok(promise)) => {
                assert_eq!(status, TN_ERR_GIVEN);
                promise_release(promise).unwrap();
            }
            other => panic!("{other:?}"),
        },
    );
    beside_cow(
        100,
        |a, _| export(a, TN_BORROW | TN_EXPORT_WRITABLE, 0),
        |_, x, y| {
            end(x.unwrap().id, 0).unwrap();
            match y {
                Ok(export) => end(export, 0).unwrap(),
                Err(status) => assert_eq!(status, TN_ERR_BORROWED_WRITE),
            }
        },
    );
}

#[test]
fn th_21_cow_and_the_release_of_its_handle() {
    beside_cow(
        150,
        |a, _| release(a),
        |_, x, y| {
            y.unwrap();
            match x {
                Ok(writer) => end(writer.id, 0).unwrap(),
                Err(status) => assert_eq!(status, TN_ERR_STALE),
            }
        },
    );
}

#[test]
fn th_21_cow_and_a_writer_of_the_old_bytes() {
    beside_cow(
        100,
        |_, twin| guard(write(twin, 0)),
        |_, x, y| match (x, y) {
            (Ok(a), Ok(b)) => each([a.id, b], |guard| end(guard, 0)),
            (Ok(writer), Err(status)) => {
                assert_eq!(status, TN_ERR_BORROWED);
                end(writer.id, 0).unwrap();
            }
            (Err(status), Ok(writer)) => {
                assert_eq!(status, TN_ERR_BORROWED_WRITE);
                end(writer, 0).unwrap();
            }
            other => panic!("{other:?}"),
        },
    );
}

/// TH-21, where only the move itself holds the store: imported bytes of one handle, overwritten.
#[test]
fn th_21_cow_with_discard_and_the_release_of_its_handle() {
    static RAN: AtomicUsize = AtomicUsize::new(0);
    unsafe extern "C" fn ran(_: *mut c_void) {
        RAN.fetch_add(1, Ordering::Relaxed);
    }
    static BYTES: [AtomicI64; 8] = [const { AtomicI64::new(0) }; 8];
    let lend = |first: usize| {
        // SAFETY: bytes of a static.
        unsafe { import(BYTES[first].as_ptr(), &[4], TN_BORROW, Some(ran), std::ptr::null_mut()) }.unwrap()
    };
    let mut released = 0;
    race(
        ROUNDS,
        |_| lend(0),
        |a| guard(write(a, TN_WRITE_COW | TN_WRITE_DISCARD)),
        |a| {
            let first = release(a);
            (first, lend(4))
        },
        |_, x, (y, next)| {
            y.unwrap();
            match x {
                Ok(writer) => end(writer, 0).unwrap(),
                Err(status) => assert_eq!(status, TN_ERR_STALE),
            }
            released += 1;
            assert_eq!(RAN.load(Ordering::Relaxed), released);
            assert_eq!(why_not(next).0, TN_WHY_FOREIGN);
            release(next).unwrap();
            released += 1;
            assert_eq!(RAN.load(Ordering::Relaxed), released);
        },
    );
}

/// TH-21: an earlier leaf is another user of the old bytes; a later one meets the writer.
#[test]
fn th_21_cow_and_a_leaf() {
    let pool = Pool::new();
    let n = 40_000;
    let setup = |_| {
        let a = floats(pool.0, &[n], &[7.0; 40_000]);
        (a, clone(a).unwrap())
    };
    race(
        100,
        setup,
        |(a, _)| guard(write(a, TN_WRITE_COW)),
        |(a, _)| leaf(a, TN_FORM_FULL),
        |(a, twin), x, y| {
            let writer = x.unwrap();
            match y {
                Ok(e) => {
                    assert_eq!(why_not(twin).0 & TN_WHY_IN_EXPRESSION, TN_WHY_IN_EXPRESSION);
                    expr_release(e).unwrap();
                }
                Err(status) => assert_eq!(status, TN_ERR_BORROWED_WRITE),
            }
            end(writer, 0).unwrap();
            assert!(why_not(a) == (0, 0) && why_not(twin) == (0, 0));
            each([a, twin], release);
            pool.is_empty();
        },
    );
}

/// TH-21: two copying writes exclude each other, and so do a plain writer and a borrow_all.
#[test]
fn th_21_cow_and_another_writer_of_the_handle() {
    let others: [fn(Handle) -> Made; 3] =
        [|a| guard(write(a, TN_WRITE_COW)), |a| guard(write(a, 0)), |a| borrow_all(&[(a, TN_READ_WRITE)])];
    for other in others {
        beside_cow(
            60,
            |a, _| other(a),
            |_, x, y| {
                let x = guard(x);
                one_each(&x, &y, TN_ERR_BORROWED_WRITE);
                end(x.or(y).unwrap(), 0).unwrap();
            },
        );
    }
}

/// TH-21: without memory for the copy the handle is unchanged, whatever else happened.
#[test]
fn th_21_cow_without_memory() {
    let pool = Pool(pool_of(|options| options.max_size = 1 << 20).unwrap());
    let n = 100_000;
    let setup = |_| {
        let a = full(pool.0, &[n], 7).unwrap();
        (a, clone(a).unwrap())
    };
    race(
        200,
        setup,
        |(a, _)| guard(write(a, TN_WRITE_COW)),
        |(a, _)| (clone(a), weaken(a)),
        |(a, twin), x, (view, weak)| {
            assert_eq!(x, Err(TN_ERR_POOL_LIMIT));
            assert_eq!(stats(pool.0).live_blocks, 1);
            let more = [view.unwrap(), upgrade(weak.unwrap()).unwrap()];
            each(more, release);
            weak_release(weak.unwrap()).unwrap();
            assert_eq!(why_not(a), (TN_WHY_SHARED, 1));
            let last = index(a, 0, n - 1).unwrap();
            assert_eq!(elements(last), [7]);
            each([last, twin], release);
            end(write(a, TN_WRITE_COW).unwrap().id, 0).unwrap();
            release(a).unwrap();
            pool.is_empty();
        },
    );
}
