//! Real threads: the rows TH-* as races, thousands of rounds each (TH-13 and TH-21 in stress/race/cow.rs), and one long
//! mixed run over shared handles (stress/race/mix.rs). The models of loom.rs explore such races step by step; here they
//! run on the real atomics, locks and pools.

mod race;

use crate::support;
use race::{INTACT, Pool, ROUNDS, each, guard, one_each, race};
use std::ffi::c_void;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use support::capi::*;
use tenure::types::*;
use tenure_harness::test;

#[test]
fn th_1_two_releases() {
    let pool = Pool::new();
    race(
        ROUNDS,
        |_| pool.numbers(),
        release,
        release,
        |_, x, y| {
            one_each(&x, &y, TN_ERR_STALE);
            pool.is_empty();
        },
    );
}

#[test]
fn th_2_release_and_clone() {
    let pool = Pool::new();
    race(
        ROUNDS,
        |_| pool.numbers(),
        release,
        clone,
        |_, x, y| {
            x.unwrap();
            match y {
                Ok(twin) => {
                    assert!(elements(twin) == INTACT && unique(twin));
                    release(twin).unwrap();
                }
                Err(status) => assert_eq!(status, TN_ERR_STALE),
            }
            pool.is_empty();
        },
    );
}

#[test]
fn th_3_two_takes() {
    let pool = Pool::new();
    let setup = |_| {
        let a = pool.numbers();
        (a, give(a, 1).unwrap())
    };
    let take = |(_, p): (Handle, Handle)| take(&[p]);
    race(ROUNDS, setup, take, take, |(a, p), x, y| {
        one_each(&x, &y, TN_ERR_DESTRUCTED);
        assert_eq!(clone(a), Err(TN_ERR_DESTRUCTED));
        let taker = x.or(y).unwrap()[0];
        assert!(unique(taker) && elements(taker) == INTACT);
        each([taker, a], release);
        promise_release(p).unwrap();
        pool.is_empty();
    });
}

#[test]
fn th_4_take_and_cancel() {
    let pool = Pool::new();
    let setup = |_| {
        let a = pool.numbers();
        (a, give(a, 1).unwrap())
    };
    race(
        ROUNDS,
        setup,
        |(_, p)| take(&[p]),
        |(_, p)| cancel(p),
        |(a, p), x, y| {
            one_each(&x, &y, TN_ERR_DESTRUCTED);
            assert_eq!(clone(a).and_then(release), if x.is_ok() { Err(TN_ERR_DESTRUCTED) } else { Ok(()) });
            x.into_iter().flatten().for_each(|taker| release(taker).unwrap());
            promise_release(p).unwrap();
            release(a).unwrap();
            pool.is_empty();
        },
    );
}

#[test]
fn th_5_two_takes_in_opposite_orders() {
    let pool = Pool::new();
    let setup = |_| {
        let arrays = [pool.numbers(), pool.numbers()];
        (arrays, arrays.map(|a| give(a, 1).unwrap()))
    };
    type Both = ([Handle; 2], [Handle; 2]);
    race(
        ROUNDS,
        setup,
        |(_, [p, q]): Both| take(&[p, q]),
        |(_, [p, q]): Both| take(&[q, p]),
        |(arrays, promises), x, y| {
            one_each(&x, &y, TN_ERR_DESTRUCTED);
            for taker in x.or(y).unwrap() {
                assert!(unique(taker));
                release(taker).unwrap();
            }
            each(arrays, release);
            each(promises, promise_release);
            pool.is_empty();
        },
    );
}

#[test]
fn th_6_take_and_release_of_the_giver() {
    let pool = Pool::new();
    let setup = |_| {
        let a = pool.numbers();
        (a, give(a, 1).unwrap())
    };
    race(
        ROUNDS,
        setup,
        |(_, p)| take(&[p]),
        |(a, _)| release(a),
        |(_, p), x, y| {
            y.unwrap();
            let taker = x.unwrap()[0];
            assert!(why_not(taker) == (0, 0) && elements(taker) == INTACT);
            release(taker).unwrap();
            promise_release(p).unwrap();
            pool.is_empty();
        },
    );
}

#[test]
fn th_7_two_gives() {
    let pool = Pool::new();
    let a = pool.numbers();
    race(
        ROUNDS,
        |_| a,
        |a| give(a, 1),
        |a| give(a, 1),
        |a, x, y| {
            one_each(&x, &y, TN_ERR_GIVEN);
            promise_release(x.or(y).unwrap()).unwrap();
            assert_eq!(why_not(a), (0, 0));
        },
    );
    release(a).unwrap();
}

#[test]
fn th_8_give_and_read() {
    let pool = Pool::new();
    let a = pool.numbers();
    race(
        ROUNDS,
        |_| a,
        |a| give(a, 1),
        |a| read(a, 0).map(|guard| guard.id),
        |a, x, y| {
            match (x, y) {
                (Ok(p), Err(status)) => {
                    assert_eq!(status, TN_ERR_GIVEN);
                    promise_release(p).unwrap();
                }
                (Err(status), Ok(guard)) => {
                    assert_eq!(status, TN_ERR_BORROWED);
                    end(guard, 0).unwrap();
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(why_not(a), (0, 0));
        },
    );
    release(a).unwrap();
}

#[test]
fn th_9_two_writers() {
    let pool = Pool::new();
    let a = pool.numbers();
    race(
        ROUNDS,
        |_| a,
        |a| guard(write(a, 0)),
        |a| guard(write(a, 0)),
        |a, x, y| {
            one_each(&x, &y, TN_ERR_BORROWED_WRITE);
            end(x.or(y).unwrap(), 0).unwrap();
            assert_eq!(why_not(a), (0, 0));
        },
    );
    release(a).unwrap();
}

#[test]
fn th_10_a_reader_and_a_writer() {
    let pool = Pool::new();
    let a = pool.numbers();
    let twin = clone(a).unwrap();
    race(
        ROUNDS,
        |_| (),
        |()| guard(read(a, 0)),
        |()| guard(write(twin, 0)),
        |(), x, y| match (x, y) {
            (Ok(reader), Err(status)) => {
                assert_eq!(status, TN_ERR_BORROWED);
                end(reader, 0).unwrap();
            }
            (Err(status), Ok(writer)) => {
                assert_eq!(status, TN_ERR_BORROWED_WRITE);
                end(writer, 0).unwrap();
            }
            other => panic!("{other:?}"),
        },
    );
    each([a, twin], release);
}

#[test]
fn th_11_th_12_a_unique_writer_and_one_more_claim() {
    let pool = Pool::new();
    let setup = |round: usize| {
        let a = pool.numbers();
        (a, weaken(a).unwrap(), round)
    };
    let other =
        |(a, weak, round): (Handle, Handle, usize)| if round.is_multiple_of(2) { clone(a) } else { upgrade(weak) };
    race(
        ROUNDS,
        setup,
        |(a, ..)| guard(write(a, TN_WRITE_UNIQUE)),
        other,
        |(a, weak, _), x, y| {
            match x {
                Ok(writer) => end(writer, 0).unwrap(),
                Err(status) => assert_eq!(status, TN_ERR_SHARED),
            }
            assert_eq!(why_not(a), (TN_WHY_SHARED, 1));
            each([a, y.unwrap()], release);
            weak_release(weak).unwrap();
            pool.is_empty();
        },
    );
}

#[test]
fn th_14_two_ends() {
    let pool = Pool::new();
    let a = pool.numbers();
    let setup = |round: usize| match round % 3 {
        0 => read(a, 0).unwrap().id,
        1 => write(a, TN_WRITE_DISCARD).unwrap().id,
        _ => borrow_all(&[(a, TN_READ_WRITE)]).unwrap(),
    };
    race(
        ROUNDS,
        setup,
        |guard| end(guard, 0),
        |guard| end(guard, 0),
        |_, x, y| {
            one_each(&x, &y, TN_ERR_STALE);
            assert_eq!(why_not(a), (0, 0));
        },
    );
    release(a).unwrap();
}

#[test]
fn th_15_the_end_of_a_guard_and_the_release() {
    let pool = Pool::new();
    let setup = |round: usize| {
        let a = pool.numbers();
        let flags = [TN_BORROW, TN_BORROW | TN_EXPORT_WRITABLE][round % 2];
        (a, if round.is_multiple_of(4) { read(a, 0).unwrap().id } else { export(a, flags, 0).unwrap() })
    };
    race(
        ROUNDS,
        setup,
        |(a, _)| release(a),
        |(_, guard)| end(guard, 0),
        |_, x, y| {
            assert_eq!((x, y), (Ok(()), Ok(())));
            pool.is_empty();
        },
    );
}

#[test]
fn th_16_an_upgrade_and_the_last_release() {
    let pool = Pool::new();
    let setup = |_| {
        let a = pool.numbers();
        (a, weaken(a).unwrap())
    };
    race(
        ROUNDS,
        setup,
        |(_, weak)| upgrade(weak),
        |(a, _)| release(a),
        |(_, weak), x, y| {
            y.unwrap();
            match x {
                Ok(a) => {
                    assert!(unique(a) && elements(a) == INTACT);
                    release(a).unwrap();
                }
                Err(status) => assert_eq!(status, TN_ERR_DESTRUCTED),
            }
            pool.is_empty();
            weak_release(weak).unwrap();
        },
    );
}

#[test]
fn th_17_leave_and_the_release_of_a_parameter() {
    let pool = Pool::new();
    // Given, the parameter has the only claim; lent, it is a clone.
    let setup = |round: usize| {
        let a = pool.numbers();
        let given = round.is_multiple_of(2);
        let param = if given { give(a, 1).unwrap() } else { a };
        let (made, scope) = enter(&[param, a]).unwrap();
        (a, if given { param } else { 0 }, made[0], scope)
    };
    let (mut by_release, mut by_leave) = (0, 0);
    race(
        ROUNDS,
        setup,
        |(.., scope)| leave(scope),
        |(_, _, x, _)| release(x),
        |(a, promise, x, scope), left, released| {
            left.unwrap();
            match released {
                Ok(()) => by_release += 1,
                Err(status) => {
                    assert_eq!(status, TN_ERR_STALE);
                    by_leave += 1;
                }
            }
            assert_eq!((release(x), leave(scope)), (Err(TN_ERR_STALE), Err(TN_ERR_STALE)));
            if promise == 0 {
                assert_eq!(why_not(a), (0, 0));
            } else {
                assert_eq!(clone(a), Err(TN_ERR_DESTRUCTED));
                promise_release(promise).unwrap();
            }
            release(a).unwrap();
            pool.is_empty();
        },
    );
    assert_eq!(by_release + by_leave, ROUNDS);
}

#[test]
fn th_18_compute_and_a_clone() {
    let pool = Pool::new();
    let bits = |value: f64| value.to_bits() as i64;
    let setup = |_| {
        let a = floats(pool.0, &[64], &[2.0; 64]);
        let x = leaf(a, TN_FORM_FULL).unwrap();
        let e = add(x, x).unwrap();
        expr_release(x).unwrap();
        (a, e)
    };
    let (mut in_place, mut beside) = (0, 0);
    race(
        ROUNDS,
        setup,
        // The bytes may be overwritten only once the last array on them is gone.
        |(a, e)| {
            release(a).unwrap();
            compute(e, 0)
        },
        |(a, _)| clone(a),
        |(_, e), computed, cloned| {
            let value = computed.unwrap();
            assert_eq!(elements(value), [bits(4.0); 64]);
            match cloned {
                Ok(old) => {
                    assert_eq!(elements(old), [bits(2.0); 64]);
                    release(old).unwrap();
                    beside += 1;
                }
                Err(status) => {
                    assert_eq!(status, TN_ERR_STALE);
                    in_place += 1;
                }
            }
            expr_release(e).unwrap();
            release(value).unwrap();
            pool.is_empty();
        },
    );
    assert_eq!(in_place + beside, ROUNDS);
    // Every round made one array, and one more if the bytes were not free.
    assert_eq!(stats(pool.0).allocation_count as usize, ROUNDS + beside);
}

#[test]
fn th_19_parts_written_by_as_many_threads() {
    let pool = Pool::new();
    for _ in 0..50 {
        let a = zeros(pool.0, &[1001]).unwrap();
        let parts = split_write(a, 4, TN_WRITE_UNIQUE | TN_WRITE_DISCARD).unwrap();
        let outcomes: Vec<Done> = std::thread::scope(|scope| {
            let threads: Vec<_> = parts
                .iter()
                .enumerate()
                .map(|(number, (guard, length))| {
                    scope.spawn(move || {
                        // SAFETY: this part belongs to the guard alone.
                        let part = unsafe { std::slice::from_raw_parts_mut(guard.data as *mut i64, *length as usize) };
                        part.iter_mut().zip(0..).for_each(|(value, i)| *value = 1000 * number as i64 + i);
                        end(guard.id, 0)
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(outcomes, [Ok(()); 4]);
        let values = elements(a);
        let wanted: Vec<i64> = parts
            .iter()
            .zip(0..)
            .flat_map(|((_, length), number)| (0..*length).map(move |i| 1000 * number + i))
            .collect();
        assert_eq!(values, wanted);
        assert_eq!(why_not(a), (0, 0));
        release(a).unwrap();
    }
}

#[test]
fn th_20_clones_that_come_and_go() {
    let pool = Pool::new();
    let a = pool.numbers();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| (0..20_000).for_each(|_| release(clone(a).unwrap()).unwrap()));
        }
        scope.spawn(|| {
            for _ in 0..20_000 {
                let _either = unique(a);
                assert_eq!(why_not(a).0 & !TN_WHY_SHARED, 0);
            }
        });
    });
    assert!(unique(a) && why_not(a) == (0, 0));
    release(a).unwrap();
}

#[test]
fn th_22_borrow_all_in_opposite_orders() {
    let pool = Pool::new();
    let (a, b) = (pool.numbers(), pool.numbers());
    let forth = |()| borrow_all(&[(a, TN_READ_WRITE), (b, TN_READ_WRITE)]);
    let back = |()| borrow_all(&[(b, TN_READ_WRITE), (a, TN_READ_WRITE)]);
    race(
        ROUNDS,
        |_| (),
        forth,
        back,
        |(), x, y| {
            one_each(&x, &y, TN_ERR_BORROWED_WRITE);
            end(x.or(y).unwrap(), 0).unwrap();
            assert!(why_not(a) == (0, 0) && why_not(b) == (0, 0));
        },
    );
    each([a, b], release);
}

#[test]
fn th_23_a_writer_and_a_shared_export() {
    let pool = Pool::new();
    let a = pool.numbers();
    race(
        ROUNDS,
        |_| a,
        |a| guard(write(a, 0)),
        |a| export(a, TN_BORROW | TN_EXPORT_WRITABLE, 0),
        |a, x, y| {
            end(x.unwrap(), 0).unwrap();
            match y {
                Ok(export) => end(export, 0).unwrap(),
                Err(status) => assert_eq!(status, TN_ERR_BORROWED_WRITE),
            }
            assert_eq!(why_not(a), (0, 0));
        },
    );
    release(a).unwrap();
}

#[test]
fn th_24_the_last_two_of_a_lease() {
    static RAN: AtomicUsize = AtomicUsize::new(0);
    unsafe extern "C" fn ran(_: *mut c_void) {
        RAN.fetch_add(1, Ordering::Relaxed);
    }
    static BYTES: [AtomicI64; 4] = [const { AtomicI64::new(0) }; 4];
    let setup = |_| {
        // SAFETY: bytes of a static.
        let a = unsafe { import(BYTES[0].as_ptr(), &[4], TN_BORROW, Some(ran), std::ptr::null_mut()) }.unwrap();
        (a, clone(a).unwrap())
    };
    let mut rounds = 0;
    race(
        ROUNDS,
        setup,
        |(a, _)| release(a),
        |(_, b)| release(b),
        |_, x, y| {
            assert_eq!((x, y), (Ok(()), Ok(())));
            rounds += 1;
            assert_eq!(RAN.load(Ordering::Relaxed), rounds);
        },
    );
}

#[test]
fn th_25_queued_releases_run_once() {
    // The process has one queue of releases.
    let _alone = race::QUEUE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    static RAN: AtomicUsize = AtomicUsize::new(0);
    unsafe extern "C" fn ran(_: *mut c_void) {
        RAN.fetch_add(1, Ordering::Relaxed);
    }
    static BYTES: [AtomicI64; 4] = [const { AtomicI64::new(0) }; 4];
    let setup = |_| {
        for byte in &BYTES {
            // SAFETY: bytes of a static.
            let a = unsafe {
                import(byte.as_ptr(), &[1], TN_TAKE_OWNERSHIP | TN_RELEASE_QUEUED, Some(ran), std::ptr::null_mut())
            };
            release(a.unwrap()).unwrap();
        }
    };
    let mut rounds = 0;
    race(
        ROUNDS,
        setup,
        |()| run_releases(),
        |()| run_releases(),
        |(), x, y| {
            rounds += 1;
            assert_eq!((x + y, RAN.load(Ordering::Relaxed)), (4, 4 * rounds));
        },
    );
}
