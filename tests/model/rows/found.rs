//! Shrunk traces that random runs once found, so that each is tested in every run.

use super::super::calls::{Call, Parts};
use super::super::handle::Ref;
use super::super::store::Memory;
use super::*;

#[test]
fn a_slot_forgets_that_it_was_read_only() {
    let mut s = Scene::new();
    let a = s.import(0, 4, TN_BORROW | TN_IMPORT_READONLY);
    s.release(a);
    s.zeros(&[4]);
    s.done();
}

#[test]
fn a_holder_is_named_by_the_handle_of_its_guard() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let b = s.zeros(&[4]);
    s.ok(Call::BorrowAll { entries: vec![(a, TN_WRITE), (b, TN_READ)] });
    s.done();
}

#[test]
fn an_empty_array_copied_into_itself_leaves_no_guard() {
    for mode in [0, COW, COW | DISCARD] {
        let mut s = Scene::new();
        let a = s.zeros(&[4]);
        let none = s.slice(a, &[(2, 2, 1)]);
        s.ok(Call::CopyInto { source: none, destination: none, mode });
        s.done();
    }
}

#[test]
fn poison_outlives_the_move_of_the_handle_that_failed() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let guard = Ref::Guard(s.ok(Call::SplitWrite { array: a, axis: 0, n: 1, mode: UNIQUE }).guards[0]);
    s.end_failed(guard);
    let b = s.clone(a);
    s.ok(Call::CopyFromHost { array: b, host: None, mode: COW | DISCARD });
    let c = s.clone(a);
    s.ok(Call::CopyInto { source: b, destination: a, mode: COW | DISCARD });
    s.refuses(Call::Export { array: c, flags: TN_REQUIRE_BORROW | TN_EXPORT_NONNEGATIVE, mode: 0 }, TN_ERR_POISONED);
    s.refuses(Call::BorrowWrite { array: c, mode: 0 }, TN_ERR_POISONED);
    s.done();
}

#[test]
fn poison_outlives_the_release_of_the_handle_that_failed() {
    let mut s = Scene::new();
    let a = s.zeros(&[3, 1]);
    let chunks = s.ok(Call::SplitWrite { array: a, axis: 0, n: 2, mode: UNIQUE | DISCARD }).guards;
    s.end_failed(Ref::Guard(chunks[1]));
    let c = s.clone(a);
    let w = Ref::Weak(s.ok(Call::Weaken { array: a }).weak.unwrap());
    s.release(a);
    let b = s.zeros(&[5, 2]);
    s.end(Ref::Guard(chunks[0]));
    s.export(b, XS);
    let d = s.array(Call::Upgrade { weak: w });
    s.release(c);
    let e = s.zeros(&[4]);
    s.export(e, XS);
    s.refuses(Call::BorrowWrite { array: d, mode: 0 }, TN_ERR_POISONED);
    s.done();
}

#[test]
fn a_queued_release_without_a_callback_is_none() {
    let mut s = Scene::new();
    for flags in [TN_RELEASE_QUEUED, TN_BORROW | TN_RELEASE_QUEUED] {
        let done = s.ok(Call::Import {
            ptr: Memory::base(0),
            offset: 0,
            dtype: TN_F64,
            shape: vec![4],
            strides: None,
            flags,
            callback: false,
        });
        s.release(Ref::Array(done.arrays[0]));
        assert_eq!(s.ok(Call::RunReleases).number, Some(0));
    }
    s.done();
}

#[test]
fn poison_does_not_keep_a_lease_open() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let b = s.array(at_address(s.at(a), 4, TN_BORROW));
    s.poison(b);
    s.release(b);
    assert_eq!((s.ran(), s.why(a)), (1, TN_WHY_POISONED));
    s.done();
}

#[test]
fn parts_of_a_view_that_runs_backwards() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let back = s.slice(a, &[(NONE, NONE, -1)]);
    let done = s.ok(Call::Parts { array: back, axis: 0, parts: Parts::Chunks(2), capacity: Some(8) });
    let first = Ref::Array(done.arrays[0]);
    s.refuses(Call::Export { array: first, flags: TN_REQUIRE_BORROW | TN_EXPORT_NONNEGATIVE, mode: 0 }, TN_ERR_LAYOUT);
    let copied = s.ok(Call::Export { array: first, flags: TN_BORROW | TN_EXPORT_NONNEGATIVE, mode: 0 });
    assert_eq!(copied.how, Some(TN_COPIED));
    s.done();
}

#[test]
fn a_write_conflict_is_reported_before_a_forbidden_copy() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let back = s.slice(a, &[(NONE, NONE, -1)]);
    s.write(a, 0);
    s.ok(Call::Forbid { on: 1 });
    s.refuses(Call::Export { array: back, flags: TN_BORROW | TN_EXPORT_NONNEGATIVE, mode: 0 }, TN_ERR_BORROWED_WRITE);
    s.done();
}

#[test]
fn a_stale_pool_comes_before_a_handle_of_another_kind() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let w = Ref::Weak(s.ok(Call::Weaken { array: a }).weak.unwrap());
    let released = Ref::Pool(super::super::handle::RELEASED_POOL);
    s.refuses(Call::Copy { array: w, pool: released }, TN_ERR_STALE);
    s.done();
}

#[test]
fn view_dtype_begins_a_new_root_also_with_the_same_type() {
    let mut s = Scene::new();
    let a = s.zeros(&[4, 6]);
    let (left, right) = (s.slice(a, &[(NONE, NONE, 1), (0, 3, 1)]), s.slice(a, &[(NONE, NONE, 1), (3, 6, 1)]));
    let same = s.view(left, View::Dtype { dtype: TN_F64 });
    assert_eq!(s.ok(Call::Overlap { a: left, b: right }).number, Some(0), "tier 1");
    assert_eq!(s.ok(Call::Overlap { a: same, b: right }).number, Some(2), "no tier");
    s.read(right);
    assert_eq!(s.why(same), TN_WHY_SHARED | TN_WHY_BORROWED);
    s.done();
}
