//! Two threads at the same time, in every order of their steps: the rows TH-* on the real slots and ledgers, with
//! loom's atomics and locks. loom also fails if two threads access data under a lock without holding it.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --profile loom --target-dir target/loom --test loom`; other builds have no test
//! here. LOOM_MAX_PREEMPTIONS raises the bound on preemptions in a run: 4 by default, 2 with three threads.
#![cfg(loom)]

mod support {
    pub mod loom;
}

use support::loom::{
    Bytes, address_and_claims, both, code, end, end_view, enter, explore, explore_with, open_view, read, share, take,
    word, words, write,
};
use tenure::array::Cut;
use tenure::borrow;
use tenure::names::Name;
use tenure::pool::loom_model::{BLOCKS, Stage};
use tenure::promise;
use tenure::slots::Id;
use tenure::types::*;
use tenure::variable::{Exchange, Options, VariableRef};
use tenure::{array, ledger, variable};

fn drop_all(handles: impl IntoIterator<Item = Id>) {
    handles.into_iter().for_each(|id| array::release(id).unwrap());
}

/// TH-1
#[test]
fn loom_two_releases_free_once() {
    explore(&["ok stale", "stale ok"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP);
        let (x, y) = both(|| code(array::release(a)), move || code(array::release(a)));
        assert_eq!(bytes.released(), 1);
        words(x, y)
    });
}

/// TH-2
#[test]
fn loom_a_clone_beside_the_release_lives_on_or_is_stale() {
    explore(&["ok ok", "ok stale"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP);
        let (released, cloned) = both(|| code(array::release(a)), move || array::clone(a));
        if let Ok(b) = cloned {
            assert_eq!(bytes.released(), 0);
            assert_eq!(address_and_claims(b), (bytes.address(), 1));
            array::release(b).unwrap();
        }
        assert_eq!(bytes.released(), 1);
        words(released, code(cloned))
    });
}

/// I14: released slots are reused at once, and the old id never means the new array.
#[test]
fn loom_an_id_that_was_released_never_finds_the_next_user_of_its_slot() {
    explore(&["old", "stale"], || {
        let (old, new) = (Bytes::new(), Bytes::new());
        let a = old.import(TN_TAKE_OWNERSHIP);
        let (next, cloned) = both(
            move || {
                array::release(a).unwrap();
                new.import(TN_TAKE_OWNERSHIP)
            },
            move || array::clone(a),
        );
        let outcome = match cloned {
            Ok(b) => {
                assert_eq!(address_and_claims(b), (old.address(), 1));
                array::release(b).unwrap();
                "old".to_owned()
            }
            Err(status) => word(status.code()),
        };
        assert_eq!(address_and_claims(next), (new.address(), 1));
        array::release(next).unwrap();
        assert_eq!((old.released(), new.released()), (1, 1));
        outcome
    });
}

/// TH-3
#[test]
fn loom_two_takes_of_one_promise() {
    explore(&["ok destructed", "destructed ok"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP);
        let p = promise::give(a, 1).unwrap();
        let (x, y) = both(|| take(&[p]), move || take(&[p]));
        let outcome = words(code(x.as_ref().map_err(|s| *s)), code(y.as_ref().map_err(|s| *s)));
        let taken = x.or(y).unwrap();
        assert_eq!(address_and_claims(taken[0]), (bytes.address(), 1));
        assert_eq!(code(array::clone(a)), TN_ERR_DESTRUCTED);
        promise::release(p).unwrap();
        drop_all([taken[0], a]);
        assert_eq!(bytes.released(), 1);
        outcome
    });
}

/// TH-4
#[test]
fn loom_take_and_cancel() {
    explore(&["ok destructed", "destructed ok"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP);
        let p = promise::give(a, 1).unwrap();
        let (taken, cancelled) = both(|| take(&[p]), move || code(promise::cancel(p)));
        let after = code(array::clone(a).and_then(array::release));
        assert_eq!(after, if taken.is_ok() { TN_ERR_DESTRUCTED } else { TN_OK });
        let outcome = words(code(taken.as_ref().map_err(|s| *s)), cancelled);
        promise::release(p).unwrap();
        drop_all(taken.into_iter().flatten().chain([a]));
        assert_eq!(bytes.released(), 1);
        outcome
    });
}

/// TH-5
#[test]
fn loom_two_takes_of_two_promises_in_opposite_orders() {
    explore(&["ok destructed", "destructed ok"], || {
        let (left, right) = (Bytes::new(), Bytes::new());
        let (a, b) = (left.import(TN_TAKE_OWNERSHIP), right.import(TN_TAKE_OWNERSHIP));
        let (p, q) = (promise::give(a, 1).unwrap(), promise::give(b, 1).unwrap());
        let (x, y) = both(|| take(&[p, q]), move || take(&[q, p]));
        let outcome = words(code(x.as_ref().map_err(|s| *s)), code(y.as_ref().map_err(|s| *s)));
        promise::release(p).unwrap();
        promise::release(q).unwrap();
        drop_all(x.into_iter().chain(y).flatten().chain([a, b]));
        assert_eq!((left.released(), right.released()), (1, 1));
        outcome
    });
}

/// TH-6
#[test]
fn loom_take_and_release_of_the_givers_handle() {
    explore(&["ok ok"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP);
        let p = promise::give(a, 1).unwrap();
        let (taken, released) = both(|| take(&[p]), move || code(array::release(a)));
        let taken = taken.unwrap();
        assert_eq!(address_and_claims(taken[0]), (bytes.address(), 1));
        assert_eq!(bytes.released(), 0);
        promise::release(p).unwrap();
        drop_all(taken);
        assert_eq!(bytes.released(), 1);
        words(TN_OK, released)
    });
}

/// I14 of promises: the slot is reused at once, and the old id never cancels the new promise.
#[test]
fn loom_a_promise_that_was_released_never_cancels_the_next() {
    explore(&["ok", "stale"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP);
        let p = promise::give(a, 1).unwrap();
        let (q, cancelled) = both(
            move || {
                promise::release(p).unwrap();
                promise::give(a, 1).unwrap()
            },
            move || code(promise::cancel(p)),
        );
        assert_eq!(code(array::clone(a)), TN_ERR_GIVEN);
        promise::release(q).unwrap();
        drop_all([a]);
        assert_eq!(bytes.released(), 1);
        word(cancelled)
    });
}

/// TH-7
#[test]
fn loom_two_gives() {
    explore(&["ok given", "given ok"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP);
        let (x, y) = both(|| promise::give(a, 1), move || promise::give(a, 1));
        for p in [x, y].into_iter().flatten() {
            promise::release(p).unwrap();
        }
        drop_all([a]);
        words(code(x), code(y))
    });
}

/// TH-8
#[test]
fn loom_give_and_borrow() {
    explore(&["ok given", "borrowed ok"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP);
        let (given, guard) = both(|| promise::give(a, 1), move || read(a));
        if let Ok(p) = given {
            promise::release(p).unwrap();
        }
        if let Ok(guard) = guard {
            end(guard).unwrap();
        }
        drop_all([a]);
        words(code(given), code(guard))
    });
}

/// TH-9
#[test]
fn loom_two_writers_one_wins() {
    explore(&["ok borrowed_write", "borrowed_write ok"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP);
        let (x, y) = both(|| write(a, 0), move || write(a, 0));
        for guard in [x, y].into_iter().flatten() {
            end(guard).unwrap();
        }
        drop_all([a]);
        words(code(x), code(y))
    });
}

/// TH-9, with ends: one borrow after the other is possible too.
#[test]
fn loom_two_writers_that_end_exclude_each_other() {
    explore(&["ok ok", "ok borrowed_write", "borrowed_write ok"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP);
        let write_and_end = move || {
            let guard = write(a, 0)?;
            end(guard)
        };
        let (x, y) = both(write_and_end, write_and_end);
        drop_all([a]);
        words(code(x), code(y))
    });
}

/// TH-9, TH-10 on the fast path of borrows, which a thread takes once a guard's slot is in its cache.
#[test]
fn loom_writers_and_readers_in_the_short_way() {
    for mode in [None, Some(0)] {
        let refused = if mode.is_some() {
            ["ok borrowed_write", "borrowed_write ok"]
        } else {
            ["ok borrowed", "borrowed_write ok"]
        };
        explore(&["ok ok", refused[0], refused[1]], move || {
            let (bytes, others) = (Bytes::new(), [Bytes::new(), Bytes::new()]);
            let a = bytes.import(TN_TAKE_OWNERSHIP);
            let private = others.map(|bytes| bytes.import(TN_TAKE_OWNERSHIP));
            let use_it = move |other: Id, mode: Option<u32>| {
                end(read(other).unwrap()).unwrap();
                let guard = match mode {
                    Some(mode) => write(a, mode),
                    None => read(a),
                };
                guard.and_then(end)
            };
            let (x, y) = both(move || use_it(private[0], mode), move || use_it(private[1], Some(0)));
            end(write(a, TN_WRITE_UNIQUE).unwrap()).unwrap();
            drop_all(private.into_iter().chain([a]));
            assert_eq!(bytes.released(), 1);
            words(code(x), code(y))
        });
    }
}

/// TH-14 on the fast path, and TH-15: two ends and the release of the handle.
#[test]
fn loom_two_ends_and_the_release_in_the_short_way() {
    explore_with(3, Some(&["ok stale", "stale ok"]), || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP);
        let guard = read(a).unwrap();
        let other = loom::thread::spawn(move || code(end(guard)));
        let third = loom::thread::spawn(move || array::release(a).unwrap());
        let (x, y) = (code(end(guard)), other.join().unwrap());
        third.join().unwrap();
        assert_eq!(bytes.released(), 1);
        words(x, y)
    });
}

/// TH-10
#[test]
fn loom_a_reader_and_a_writer() {
    explore(&["ok borrowed", "borrowed_write ok"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP);
        let (x, y) = both(|| read(a), move || write(a, 0));
        for guard in [x, y].into_iter().flatten() {
            end(guard).unwrap();
        }
        drop_all([a]);
        words(code(x), code(y))
    });
}

/// TH-11
#[test]
fn loom_a_unique_writer_and_a_clone() {
    explore(&["ok ok", "shared ok"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP);
        let (guard, clone) = both(|| write(a, TN_WRITE_UNIQUE), move || array::clone(a));
        if let Ok(guard) = guard {
            end(guard).unwrap();
        }
        drop_all([a, clone.unwrap()]);
        words(code(guard), TN_OK)
    });
}

/// TH-12
#[test]
fn loom_a_unique_writer_and_an_upgrade() {
    explore(&["ok ok", "shared ok"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP);
        let weak = array::weaken(a).unwrap();
        let (guard, upgraded) = both(|| write(a, TN_WRITE_UNIQUE), move || array::upgrade(weak));
        if let Ok(guard) = guard {
            end(guard).unwrap();
        }
        drop_all([a, upgraded.unwrap()]);
        array::release_weak(weak).unwrap();
        words(code(guard), TN_OK)
    });
}

/// TH-13
#[test]
fn loom_cow_and_the_release_of_the_clone() {
    explore(&["in place", "copied"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP);
        let b = array::clone(a).unwrap();
        let (guard, released) = both(|| write(a, TN_WRITE_COW), move || code(array::release(b)));
        end(guard.unwrap()).unwrap();
        assert_eq!(released, TN_OK);
        let (address, claims) = address_and_claims(a);
        assert_eq!(claims, 1);
        let in_place = address == bytes.address();
        assert_eq!(bytes.released(), usize::from(!in_place));
        drop_all([a]);
        assert_eq!(bytes.released(), 1);
        if in_place { "in place" } else { "copied" }.to_owned()
    });
}

/// TH-14
#[test]
fn loom_two_ends_of_one_guard() {
    explore(&["ok stale", "stale ok"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP);
        let guard = write(a, 0).unwrap();
        let (x, y) = both(|| code(end(guard)), move || code(end(guard)));
        drop_all([a]);
        words(x, y)
    });
}

/// TH-14 of the guard of a borrow_all, which no single ledger guards.
#[test]
fn loom_two_ends_of_a_borrow_all() {
    explore(&["ok stale", "stale ok"], || {
        let (left, right) = (Bytes::new(), Bytes::new());
        let (a, b) = (left.import(TN_TAKE_OWNERSHIP), right.import(TN_TAKE_OWNERSHIP));
        let guard = write_all(&[a, b]).unwrap();
        let (x, y) = both(|| code(end(guard)), move || code(end(guard)));
        end(write_all(&[a, b]).unwrap()).unwrap();
        drop_all([a, b]);
        words(x, y)
    });
}

/// TH-15: the bytes are released once, after the later of the two.
#[test]
fn loom_the_end_of_a_guard_and_the_release() {
    explore(&["ok ok"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP);
        let guard = read(a).unwrap();
        let (x, y) = both(|| code(end(guard)), move || code(array::release(a)));
        assert_eq!(bytes.released(), 1);
        words(x, y)
    });
}

/// TH-16
#[test]
fn loom_an_upgrade_and_the_last_release() {
    explore(&["ok ok", "destructed ok"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP);
        let weak = array::weaken(a).unwrap();
        let (upgraded, released) = both(|| array::upgrade(weak), move || code(array::release(a)));
        if let Ok(b) = upgraded {
            assert_eq!(bytes.released(), 0);
            assert_eq!(address_and_claims(b), (bytes.address(), 1));
            drop_all([b]);
        }
        assert_eq!(bytes.released(), 1);
        assert_eq!(code(array::upgrade(weak)), TN_ERR_DESTRUCTED);
        array::release_weak(weak).unwrap();
        words(code(upgraded), released)
    });
}

/// TH-16, with the ledger reused at once: a weak handle is never upgraded to the next store.
#[test]
fn loom_an_upgrade_never_reaches_the_next_store() {
    explore(&["old", "destructed"], || {
        let (old, new) = (Bytes::new(), Bytes::new());
        let a = old.import(TN_TAKE_OWNERSHIP);
        let weak = array::weaken(a).unwrap();
        let (next, upgraded) = both(
            move || {
                array::release(a).unwrap();
                new.import(TN_TAKE_OWNERSHIP)
            },
            move || array::upgrade(weak),
        );
        let outcome = match upgraded {
            Ok(b) => {
                assert_eq!(address_and_claims(b), (old.address(), 1));
                drop_all([b]);
                "old".to_owned()
            }
            Err(status) => word(status.code()),
        };
        assert_eq!(address_and_claims(next), (new.address(), 1));
        drop_all([next]);
        array::release_weak(weak).unwrap();
        assert_eq!((old.released(), new.released()), (1, 1));
        outcome
    });
}

/// TH-20
#[test]
fn loom_a_clone_that_comes_and_goes_beside_is_unique() {
    explore(&["false", "true"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP);
        let (unique, ()) = both(
            || borrow::is_unique(a).unwrap(),
            move || {
                let b = array::clone(a).unwrap();
                array::release(b).unwrap();
            },
        );
        assert!(borrow::is_unique(a).unwrap());
        drop_all([a]);
        unique.to_string()
    });
}

fn cow_beside(expected: &[&str], flags: u32, mode: u32, other: fn(Id) -> String) {
    explore(expected, move || {
        let bytes = Bytes::new();
        // COW never writes borrowed foreign bytes in place.
        let a = bytes.import(flags);
        let (guard, other) = both(|| write(a, TN_WRITE_COW | mode), move || other(a));
        if let Ok(guard) = guard {
            // In every order, the guard is on the copy.
            let mut address = 0;
            borrow::query(guard, |layout, _| address = layout.offset()).unwrap();
            assert_ne!(address, bytes.address());
            end(guard).unwrap();
        }
        let left = code(array::release(a));
        assert!(matches!(left, TN_OK | TN_ERR_STALE));
        assert_eq!(bytes.released(), 1);
        format!("{} {other}", word(code(guard)))
    });
}

/// TH-21: release while the bytes are copied.
#[test]
fn loom_cow_and_the_release_of_its_handle() {
    cow_beside(&["ok ok", "stale ok"], TN_BORROW, 0, |a| word(code(array::release(a))));
}

/// TH-21, where the old bytes are not even read: only the move itself holds the store.
#[test]
fn loom_cow_with_discard_and_the_release_of_its_handle() {
    cow_beside(&["ok ok", "stale ok"], TN_BORROW, TN_WRITE_DISCARD, |a| word(code(array::release(a))));
}

/// TH-21, where the next store begins at once: the store that the handle moves from must still be there, so that the
/// end of its lease never ends the next store's.
#[test]
fn loom_cow_with_discard_and_the_release_of_its_handle_and_a_new_import() {
    explore(&["ok ok", "stale ok"], || {
        let (old, new) = (Bytes::new(), Bytes::new());
        let a = old.import(TN_BORROW);
        let (guard, next) = both(
            || write(a, TN_WRITE_COW | TN_WRITE_DISCARD),
            move || {
                array::release(a).unwrap();
                new.import(TN_BORROW)
            },
        );
        if let Ok(guard) = guard {
            end(guard).unwrap();
        }
        assert_eq!((old.released(), new.released()), (1, 0));
        assert_eq!(code(write(next, TN_WRITE_UNIQUE)), TN_ERR_FOREIGN);
        drop_all([next]);
        assert_eq!(new.released(), 1);
        words(code(guard), TN_OK)
    });
}

/// TH-21: a clone is of the old store, or of the new one once the handle has moved.
#[test]
fn loom_cow_and_a_clone() {
    cow_beside(&["ok ok"], TN_BORROW, 0, |a| {
        let b = array::clone(a).unwrap();
        word(code(array::release(b)))
    });
}

/// TH-21: a borrow that conflicts with the write is refused, as after it.
#[test]
fn loom_cow_and_another_borrow() {
    cow_beside(&["ok ok", "borrowed ok", "ok borrowed_write"], TN_BORROW, 0, |a| word(code(read(a).and_then(end))));
}

fn write_all(ids: &[Id]) -> tenure::error::Result<Id> {
    let spec = |id: &Id| tn_borrow_spec {
        array: id.bits() as *mut tn_array,
        stream: core::ptr::null_mut(),
        access: TN_READ_WRITE,
        reserved: [0; 9],
    };
    let specs: Vec<tn_borrow_spec> = ids.iter().map(spec).collect();
    borrow::all(support::loom::call(), &specs, |_, _| ())
}

/// TH-22
#[test]
fn loom_borrow_all_in_opposite_orders() {
    explore(&["ok ok", "ok borrowed_write", "borrowed_write ok"], || {
        let (left, right) = (Bytes::new(), Bytes::new());
        let (a, b) = (left.import(TN_TAKE_OWNERSHIP), right.import(TN_TAKE_OWNERSHIP));
        let (x, y) = both(|| write_all(&[a, b]).and_then(end), move || write_all(&[b, a]).and_then(end));
        drop_all([a, b]);
        assert_eq!((left.released(), right.released()), (1, 1));
        words(code(x), code(y))
    });
}

/// TH-22, BA-1: all or nothing, also when one of the arrays is released meanwhile.
#[test]
fn loom_borrow_all_and_the_release_of_one_array() {
    explore(&["ok ok", "stale ok"], || {
        let (left, right) = (Bytes::new(), Bytes::new());
        let (a, b) = (left.import(TN_TAKE_OWNERSHIP), right.import(TN_TAKE_OWNERSHIP));
        let (guard, released) = both(|| write_all(&[a, b]), move || code(array::release(b)));
        assert_eq!(right.released(), usize::from(guard.is_err()));
        if let Ok(guard) = guard {
            end(guard).unwrap();
        }
        end(write(a, TN_WRITE_UNIQUE).unwrap()).unwrap();
        drop_all([a]);
        assert_eq!((left.released(), right.released()), (1, 1));
        words(code(guard), released)
    });
}

/// TH-22 with three threads: no deadlock.
#[test]
fn loom_three_borrow_alls_in_a_ring() {
    explore_with(2, None, || {
        let all = [Bytes::new(), Bytes::new(), Bytes::new()];
        let ids = all.map(|bytes| bytes.import(TN_TAKE_OWNERSHIP));
        let pair = move |first: usize| write_all(&[ids[first], ids[(first + 1) % 3]]).and_then(end);
        let second = loom::thread::spawn(move || code(pair(1)));
        let third = loom::thread::spawn(move || code(pair(2)));
        let statuses = [code(pair(0)), second.join().unwrap(), third.join().unwrap()];
        assert!(statuses.iter().all(|s| matches!(*s, TN_OK | TN_ERR_BORROWED_WRITE)) && statuses.contains(&TN_OK));
        drop_all(ids);
        assert!(all.iter().all(|bytes| bytes.released() == 1));
        statuses.map(word).join(" ")
    });
}

/// TH-2, TH-1 with three threads: two clones during the release.
#[test]
fn loom_two_clones_beside_the_release() {
    explore_with(2, Some(&["ok ok", "ok stale", "stale ok", "stale stale"]), || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP);
        let clone_and_release = move || array::clone(a).and_then(array::release);
        let other = loom::thread::spawn(clone_and_release);
        let third = loom::thread::spawn(move || array::release(a).unwrap());
        let (x, y) = (clone_and_release(), other.join().unwrap());
        third.join().unwrap();
        assert_eq!(bytes.released(), 1);
        words(code(x), code(y))
    });
}

/// Views of one array, made and released at the same time, share the root that the first of them makes.
#[test]
fn loom_two_views_and_the_release() {
    explore(&["ok", "stale"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP);
        let half = move |start: i64| {
            array::view(a, tenure::array::Axes::NoMore, Cut::Within, |from, to| from.part_to(0, start, 2, to))
        };
        let left = half(0).unwrap();
        let (right, ()) = both(move || half(2), move || array::release(a).unwrap());
        if let Ok(right) = right {
            // Disjoint, which only their common root proves.
            let guards = [write(left, 0).unwrap(), write(right, 0).unwrap()];
            guards.into_iter().for_each(|guard| end(guard).unwrap());
            drop_all([right]);
        }
        drop_all([left]);
        assert_eq!(bytes.released(), 1);
        word(code(right))
    });
}

/// TH-12, I14 of weak handles.
#[test]
fn loom_an_upgrade_and_the_release_of_the_weak_handle() {
    explore(&["ok", "stale"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP);
        let weak = array::weaken(a).unwrap();
        let (upgraded, ()) = both(|| array::upgrade(weak), move || array::release_weak(weak).unwrap());
        drop_all(upgraded.into_iter().chain([a]));
        assert_eq!(bytes.released(), 1);
        word(code(upgraded))
    });
}

/// TH-19, BR-33: the parts of one write end on different threads.
#[test]
fn loom_two_chunks_end() {
    explore(&["ok ok"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP);
        let mut parts = Vec::new();
        let wanted = borrow::mode(TN_WRITE_DISCARD, 0);
        borrow::split(
            support::loom::call(),
            a,
            (0, 2),
            support::loom::host_stream(),
            wanted,
            false,
            |_, id, _, _, _| parts.push(id),
        )
        .unwrap();
        let (first, second) = (parts[0], parts[1]);
        let (x, y) = both(|| code(end(first)), move || code(end(second)));
        end(read(a).unwrap()).unwrap();
        drop_all([a]);
        assert_eq!(bytes.released(), 1);
        words(x, y)
    });
}

/// TH-23: an earlier shared view does not block the writer, a later one is refused.
#[test]
fn loom_a_writer_and_a_shared_export() {
    explore(&["ok ok", "ok borrowed_write"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP);
        let (written, exported) = both(|| write(a, 0), move || code(share(a)));
        end(*written.as_ref().unwrap()).unwrap();
        drop_all([a]);
        assert_eq!(bytes.released(), 1);
        words(code(written), exported)
    });
}

/// TH-15 of exports: the release of the array during the end of its shared view.
#[test]
fn loom_a_shared_export_and_the_release() {
    explore(&["ok ok", "ok stale"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP);
        let (released, exported) = both(|| code(array::release(a)), move || code(share(a)));
        assert_eq!(bytes.released(), 1);
        words(released, exported)
    });
}

/// TH-23 on the fast path, which a thread takes once a guard's slot is in its cache: shared views coexist with one
/// another and with a later writer.
#[test]
fn loom_shared_exports_in_the_short_way() {
    for writes in [false, true] {
        explore(if writes { &["ok ok", "ok borrowed_write"] } else { &["ok ok"] }, move || {
            let (bytes, others) = (Bytes::new(), [Bytes::new(), Bytes::new()]);
            let a = bytes.import(TN_TAKE_OWNERSHIP);
            let private = others.map(|bytes| bytes.import(TN_TAKE_OWNERSHIP));
            let (x, y) = both(
                move || {
                    end(read(private[0]).unwrap()).unwrap();
                    if writes { write(a, 0).and_then(end) } else { share(a) }
                },
                move || {
                    end(read(private[1]).unwrap()).unwrap();
                    share(a)
                },
            );
            end(write(a, TN_WRITE_UNIQUE).unwrap()).unwrap();
            drop_all(private.into_iter().chain([a]));
            assert_eq!(bytes.released(), 1);
            words(code(x), code(y))
        });
    }
}

/// TH-15 of exports on the fast path: the view ends during the release of the array, whose slot has the layout.
#[test]
fn loom_the_end_of_a_shared_export_and_the_release_in_the_short_way() {
    explore(&["ok ok"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP);
        end(read(a).unwrap()).unwrap();
        let view = open_view(a).unwrap();
        let (released, ()) = both(|| code(array::release(a)), move || end_view(view));
        assert_eq!(bytes.released(), 1);
        words(released, TN_OK)
    });
}

/// The view ends during a COW write, which moves the handle away from the slot's layout; the view keeps the layout.
#[test]
fn loom_the_end_of_a_shared_export_and_a_cow_write_in_the_short_way() {
    explore(&["in place", "copied"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP);
        end(read(a).unwrap()).unwrap();
        let view = open_view(a).unwrap();
        let (guard, ()) = both(|| write(a, TN_WRITE_COW), move || end_view(view));
        end(guard.unwrap()).unwrap();
        let in_place = address_and_claims(a).0 == bytes.address();
        assert_eq!(bytes.released(), usize::from(!in_place));
        drop_all([a]);
        assert_eq!(bytes.released(), 1);
        if in_place { "in place" } else { "copied" }.to_owned()
    });
}

/// AR-23 on the fast path: two imports of equal bytes are two claims on one store, whichever comes first.
#[test]
fn loom_two_imports_of_the_same_bytes_in_the_short_way() {
    explore(&["ok ok"], || {
        let bytes = Bytes::new();
        let (a, b) = both(move || bytes.import(TN_BORROW), move || bytes.import(TN_BORROW));
        assert_eq!(address_and_claims(a), (bytes.address(), 2));
        assert_eq!(address_and_claims(b), (bytes.address(), 2));
        drop_all([a]);
        assert_eq!(bytes.released(), 1);
        drop_all([b]);
        assert_eq!(bytes.released(), 2);
        words(TN_OK, TN_OK)
    });
}

/// TH-24 on the fast path: an import is released during the next import of its bytes, which joins it or follows it.
#[test]
fn loom_the_release_of_an_import_and_the_next_one_in_the_short_way() {
    explore(&["ok ok"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_BORROW);
        let (released, b) = both(|| code(array::release(a)), move || bytes.import(TN_BORROW));
        assert_eq!(bytes.released(), 1);
        assert_eq!(address_and_claims(b), (bytes.address(), 1));
        drop_all([b]);
        assert_eq!(bytes.released(), 2);
        words(released, TN_OK)
    });
}

/// TH-24
#[test]
fn loom_the_last_two_of_a_lease() {
    explore(&["ok ok"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_BORROW);
        let b = array::clone(a).unwrap();
        let (x, y) = both(|| code(array::release(a)), move || code(array::release(b)));
        assert_eq!(bytes.released(), 1);
        words(x, y)
    });
}

/// TH-25
#[test]
fn loom_queued_releases_run_once() {
    explore(&["0 2", "1 1", "2 0"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP | TN_RELEASE_QUEUED);
        let (other, b) = (Bytes::new(), Bytes::new());
        array::release(other.import(TN_TAKE_OWNERSHIP | TN_RELEASE_QUEUED)).unwrap();
        let (x, y) = both(
            || {
                array::release(a).unwrap();
                ledger::run_releases()
            },
            ledger::run_releases,
        );
        assert_eq!((bytes.released(), other.released(), b.released()), (1, 1, 0));
        assert_eq!(ledger::queued(), (0, 0));
        format!("{x} {y}")
    });
}

/// XI-16: an import during the end of the store that has its bytes joins the store or makes one of its own; never both.
#[test]
fn loom_an_import_joins_a_store_that_ends() {
    explore(&["joined", "alone"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_BORROW);
        // An earlier write leaves a trace in the store.
        end(write(a, 0).unwrap()).unwrap();
        let (b, ()) = both(|| bytes.try_import(1, 2, TN_REQUIRE_BORROW).unwrap(), move || array::release(a).unwrap());
        assert_eq!(bytes.released(), 1, "the first lease ended with its handle");
        let (mut start, mut version) = (0, 0);
        array::with(b, |locked, claim| {
            let state = locked.state(locked.ledger_of(claim));
            (start, version) = (state.start, state.version);
            Ok(())
        })
        .unwrap();
        assert_eq!(start, bytes.address() + 8, "a lent store is the span of its open leases");
        // The address index knows it: a third import finds the second's store.
        let c = bytes.try_import(1, 1, TN_REQUIRE_BORROW).unwrap();
        assert_eq!(address_and_claims(c).1, 2);
        drop_all([b, c]);
        assert_eq!(bytes.released(), 3);
        if version == 1 { "joined" } else { "alone" }.to_owned()
    });
}

/// TH-17: leave during the release of one of its handles.
#[test]
fn loom_leave_beside_a_release() {
    explore(&["ok ok", "ok stale"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP);
        let (handles, scope) = enter(&[a]).unwrap();
        let x = handles[0];
        let (left, released) = both(|| code(promise::leave(scope, &[])), move || code(array::release(x)));
        assert_eq!(address_and_claims(a), (bytes.address(), 1));
        assert_eq!(code(array::clone(x)), TN_ERR_STALE);
        array::release(a).unwrap();
        assert_eq!(bytes.released(), 1);
        words(left, released)
    });
}

/// TH-17, OO-35: one of two threads leaves; the other's call may keep a handle.
#[test]
fn loom_two_leaves_of_one_scope() {
    explore(&["ok stale", "stale ok"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP);
        let (handles, scope) = enter(&[a]).unwrap();
        let x = handles[0];
        let (left, kept) = both(|| code(promise::leave(scope, &[])), move || code(promise::leave(scope, &[x])));
        if kept == TN_OK {
            array::release(x).unwrap();
        }
        assert_eq!(address_and_claims(a), (bytes.address(), 1));
        array::release(a).unwrap();
        assert_eq!(bytes.released(), 1);
        words(left, kept)
    });
}

/// TH-5 for enter, with an array beside the promise: all or nothing, and no deadlock.
#[test]
fn loom_enter_beside_take() {
    explore(&["ok destructed", "destructed ok"], || {
        let (left, right) = (Bytes::new(), Bytes::new());
        let (a, b) = (left.import(TN_TAKE_OWNERSHIP), right.import(TN_TAKE_OWNERSHIP));
        let p = promise::give(a, 1).unwrap();
        let (entered, taken) = both(|| enter(&[b, p]), move || take(&[p]));
        assert_eq!(address_and_claims(b).1, if entered.is_ok() { 2 } else { 1 });
        let outcome = words(code(entered.as_ref().map_err(|s| *s)), code(taken.as_ref().map_err(|s| *s)));
        promise::release(p).unwrap();
        if let Ok((_, scope)) = entered {
            promise::leave(scope, &[]).unwrap();
        }
        drop_all(taken.into_iter().flatten().chain([a, b]));
        assert_eq!((left.released(), right.released()), (1, 1));
        outcome
    });
}

/// OO-13 on the fast path of scopes, which a thread takes once claims' slots are in its cache. Both threads lock two
/// ledgers, named in opposite orders, and one of them gets the promise.
#[test]
fn loom_two_enters_in_opposite_orders_in_the_short_way() {
    explore(&["ok destructed", "destructed ok"], || {
        let bytes = [Bytes::new(), Bytes::new(), Bytes::new()];
        let [a, b, private] = [&bytes[0], &bytes[1], &bytes[2]].map(|bytes| bytes.import(TN_TAKE_OWNERSHIP));
        let warm = move || drop_all([array::clone(private).unwrap()]);
        let p = promise::give(b, 1).unwrap();
        warm();
        let (first, second) = both(
            || enter(&[a, p]),
            move || {
                warm();
                enter(&[p, a])
            },
        );
        let outcome = [&first, &second].map(|entered| code(entered.as_ref().map_err(|s| *s)));
        let mut ended = 0;
        for (handles, scope) in [first, second].into_iter().flatten() {
            assert_eq!(handles.len(), 2);
            promise::leave(scope, &[]).unwrap();
            ended += 1;
        }
        assert_eq!(ended, 1, "one promise, one taker");
        promise::release(p).unwrap();
        drop_all([a, b, private]);
        assert_eq!(bytes.each_ref().map(|bytes| bytes.released()), [1; 3]);
        words(outcome[0], outcome[1])
    });
}

/// OO-13, TH-2: a lent parameter during the release of its handle.
#[test]
fn loom_enter_during_the_release_of_a_lent_array() {
    explore(&["ok ok", "stale ok"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP);
        let (entered, released) = both(|| enter(&[a]), move || code(array::release(a)));
        let outcome = words(code(entered.as_ref().map_err(|s| *s)), released);
        if let Ok((handles, scope)) = entered {
            assert_eq!(address_and_claims(handles[0]), (bytes.address(), 1));
            promise::leave(scope, &[]).unwrap();
        }
        assert_eq!(bytes.released(), 1);
        outcome
    });
}

/// The list of leaks during the end of a scope and the next use of its slot.
#[test]
fn loom_leaks_beside_leave() {
    explore(&["1", "0"], || {
        let bytes = Bytes::new();
        let a = bytes.import(TN_TAKE_OWNERSHIP);
        let (_, scope) = enter(&[a]).unwrap();
        let (seen, left) = both(
            || {
                let mut seen = 0;
                ledger::each_scope(|_, _| seen += 1);
                seen
            },
            move || code(promise::leave(scope, &[])),
        );
        assert_eq!(left, TN_OK);
        array::release(a).unwrap();
        assert_eq!(bytes.released(), 1);
        seen.to_string()
    });
}

// ---- shared variables ----

/// A variable whose value has these bytes.
fn variable_of(bytes: Bytes) -> Id {
    let options = Options { device: None, pool: None, name: Name::NONE };
    let value = bytes.import(TN_TAKE_OWNERSHIP);
    let (created, _) = variable::create(c"model", value, TN_TAKE_OWNERSHIP | TN_REQUIRE_BORROW, Ok(options)).unwrap();
    array::release(value).unwrap();
    created
}

/// FN-30: a thread that looks up two variables, while another one exchanges the values of both, gets two old values or
/// two new ones.
#[test]
fn loom_values_that_are_exchanged_together_are_seen_together() {
    explore_with(3, Some(&["new", "old"]), || {
        let (old, new) = ([Bytes::new(), Bytes::new()], [Bytes::new(), Bytes::new()]);
        let variables = old.map(variable_of);
        let references = variables.map(|variable| VariableRef::find(variable).unwrap());
        let mut exchanges = [0, 1].map(|k| {
            let array = new[k].import(TN_TAKE_OWNERSHIP);
            variable::mark(&references[k], array).unwrap();
            let array = Some((array, variable::tag_of(array)));
            Exchange { array, ..Exchange::default() }
        });
        let (before, seen) = both(
            || {
                variable::exchange_all(true, references.iter().zip(&mut exchanges));
                exchanges.map(|exchange| exchange.before.unwrap())
            },
            move || {
                let references = variables.map(|variable| VariableRef::find(variable).unwrap());
                let mut clones = [(Id::NONE, 0); 2];
                variable::clone_values(&[&references[0], &references[1]], &mut clones)
                    .map_err(|(_, status)| status)
                    .unwrap();
                let seen = clones.map(|(clone, _)| address_and_claims(clone).0);
                drop_all(clones.map(|(clone, _)| clone));
                seen
            },
        );
        before.into_iter().for_each(variable::end_value);
        drop(references);
        variables.into_iter().for_each(|variable| variable::release(variable).unwrap());
        assert!(old.into_iter().chain(new).all(|bytes| bytes.released() == 1));
        match seen {
            _ if seen == old.map(Bytes::address) => "old",
            _ if seen == new.map(Bytes::address) => "new",
            _ => "mixed",
        }
        .to_owned()
    });
}

// ---- remote frees ----

/// Collects remote frees after all other threads ended, until none waits. Returns each block exactly once.
fn all_is_there(stage: &Stage, heap: usize, wrong: usize) {
    let mut late = 0;
    for _ in 0..3 {
        late += stage.collect(heap).wrong;
    }
    assert_eq!((stage.free_count(), late), (BLOCKS, wrong), "{}", stage.describe());
    assert!(stage.dissolve(), "the span is still in use");
}

/// PH-3, PO-55: two threads free the blocks of one span while its owner collects them, and frees the span if it has
/// them all. After that no thread touches the span.
#[test]
fn loom_two_foreign_frees_and_the_owner() {
    explore_with(4, Some(&["0", "1", "2"]), || {
        let stage = Stage::new();
        let first = loom::thread::spawn(|| assert!(stage.free(0)));
        let second = loom::thread::spawn(|| assert!(stage.free(1)));
        let owner = loom::thread::spawn(|| {
            let found = stage.collect(1);
            assert_eq!((found.blocks, found.wrong), (stage.free_count(), 0));
            let whole = stage.dissolve();
            assert!(!whole || found.blocks == BLOCKS);
            (found, whole)
        });
        let (found, whole) = owner.join().unwrap();
        first.join().unwrap();
        second.join().unwrap();
        if !whole {
            all_is_there(stage, 1, 0);
        }
        found.blocks.to_string()
    });
}

/// PO-28: two foreign threads free one block; exactly one of them succeeds.
#[test]
fn loom_two_foreign_frees_of_one_block() {
    explore_with(3, Some(&["first", "second"]), || {
        let stage = Stage::new();
        assert!(stage.free_own(1));
        let other = loom::thread::spawn(|| stage.free(0));
        let third = loom::thread::spawn(|| stage.free(0));
        let found = stage.collect(1);
        assert_eq!(found.wrong, 0);
        let (first, second) = (other.join().unwrap(), third.join().unwrap());
        assert!(first != second);
        all_is_there(stage, 1, 0);
        if first { "first" } else { "second" }.to_owned()
    });
}

/// PO-28: the owner frees a block with plain loads and stores while another thread frees it too. It is allocated only
/// once. Either one of them gets an error, or both succeed and the owner finds out.
#[test]
fn loom_the_owners_free_and_a_foreign_one_of_one_block() {
    explore_with(3, Some(&["owner", "other", "both"]), || {
        let stage = Stage::new();
        assert!(stage.free_own(1));
        let other = loom::thread::spawn(|| stage.free(0));
        let owner = loom::thread::spawn(|| (stage.free_own(0), stage.collect(1)));
        let other = other.join().unwrap();
        let (own, found) = owner.join().unwrap();
        let late = [stage.collect(1), stage.collect(1)];
        let wrong = found.wrong + late.iter().map(|late| late.wrong).sum::<usize>();
        assert_eq!(
            (stage.free_count(), wrong),
            (BLOCKS, usize::from(own && other)),
            "{own} {other} {}",
            stage.describe()
        );
        match (own, other) {
            (true, true) => "both",
            (true, false) => "owner",
            (false, true) => "other",
            (false, false) => panic!("no free succeeded"),
        }
        .to_owned()
    });
}

/// PO-56: the owner's thread ends and another one adopts the span, while a third one frees a block.
#[test]
fn loom_a_foreign_free_and_the_end_of_the_owner() {
    explore(&["adopted", "left"], || {
        let stage = Stage::new();
        let freer = loom::thread::spawn(|| assert!(stage.free(0)));
        let heir = loom::thread::spawn(|| {
            let found = stage.adopt(2)?;
            // It goes on as any owner.
            let more = stage.collect(2);
            assert!(found.blocks + more.blocks <= 1);
            Some(found)
        });
        let found = stage.end(1);
        assert_eq!(found.wrong, 0);
        freer.join().unwrap();
        let adopted = heir.join().unwrap().is_some();
        if !adopted {
            assert!(stage.adopt(2).is_some());
        }
        stage.collect(2);
        assert!(stage.free_own(1));
        all_is_there(stage, 2, 0);
        if adopted { "adopted" } else { "left" }.to_owned()
    });
}
