//! Rows OO (give and take), WN (why_not), RL (release, weak handles, strict mode).

use super::super::calls::{Call, Target};
use super::super::handle::{Ref, State};
use super::*;

fn state(s: &Scene, array: Ref) -> State {
    let Ref::Array(k) = array else { panic!("{array:?} is no array") };
    s.model().arrays[k].state
}

#[test]
fn oo_1_and_2_case_i_destructs_the_givers_handle() {
    let mut s = Scene::new();
    let a = s.zeros(&[3, 4]);
    let p = s.give(a, 1);
    let x = s.take(&[p])[0];
    assert_eq!((state(&s, a), s.h(x), s.why(x), s.at(x)), (State::Destructed, 1, 0, s.at(a)));
    let d = TN_ERR_DESTRUCTED;
    for call in [
        Call::Query { array: a },
        Call::Clone { array: a },
        Call::View { array: a, view: View::Transpose },
        Call::Copy { array: a, pool: Ref::Null },
        Call::Weaken { array: a },
        Call::BorrowRead { array: a, flags: 0 },
        Call::BorrowWrite { array: a, mode: 0 },
        Call::SplitWrite { array: a, axis: 0, n: 2, mode: 0 },
        Call::BorrowAll { entries: vec![(a, TN_READ)] },
        Call::Export { array: a, flags: XR, mode: 0 },
        Call::Give { array: a, required: 1 },
        Call::IsUnique { array: a },
        Call::WhyNot { array: a, target: None },
        Call::Fill { array: a, value: true, mode: 0 },
        Call::CopyInto { source: x, destination: a, mode: 0 },
    ] {
        s.refuses(call, d);
    }
    s.done();
}

#[test]
fn oo_3_a_destructed_handle_is_released_once() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let p = s.give(a, 1);
    s.take(&[p]);
    let live = s.live();
    s.release(a);
    s.refuses(Call::Release { array: a }, TN_ERR_STALE);
    assert_eq!(s.live(), live);
    s.done();
}

#[test]
fn oo_4_case_ii_leaves_the_giver_live() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let p = s.give(a, 2);
    let x = s.take(&[p])[0];
    assert_eq!((state(&s, a), s.h(a), s.why(x)), (State::Live, 2, TN_WHY_SHARED));
    s.release(x);
    assert_eq!(s.why(a), 0);
    s.done();
}

#[test]
fn oo_5_two_promises_for_two_variables() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let (p, q) = (s.give(a, 2), s.give(a, 2));
    let xs = s.take(&[p, q]);
    assert_eq!((state(&s, a), s.h(xs[0])), (State::Destructed, 2));
    s.release(xs[1]);
    assert_eq!(s.why(xs[0]), 0);
    s.done();
}

#[test]
fn oo_6_one_of_two_promises_alone_is_case_ii() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let (p, q) = (s.give(a, 2), s.give(a, 2));
    s.take(&[p]);
    assert_eq!(state(&s, a), State::Given);
    s.ok(Call::Cancel { promise: q });
    assert_eq!(state(&s, a), State::Live);
    s.done();
}

#[test]
fn oo_7_required_is_only_raised() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let (p, q) = (s.give(a, 1), s.give(a, 2));
    s.take(&[p, q]);
    assert_eq!(state(&s, a), State::Destructed);
    let b = s.zeros(&[4]);
    let (p, _) = (s.give(b, 2), s.give(b, 1));
    s.take(&[p]);
    assert_eq!(state(&s, b), State::Given, "r stays 2: Case II");
    s.done();
}

#[test]
fn oo_8_to_10_more_promises_than_required() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    s.give(a, 1);
    s.refuses(Call::Give { array: a, required: 1 }, TN_ERR_GIVEN);
    let b = s.zeros(&[4]);
    s.give(b, 2);
    s.give(b, 2);
    s.refuses(Call::Give { array: b, required: 2 }, TN_ERR_COUNT);
    s.refuses(Call::Give { array: b, required: 1 }, TN_ERR_COUNT);
    s.give(b, 3);
    s.refuses(Call::Give { array: b, required: 0 }, TN_ERR_INVALID);
    s.done();
}

#[test]
fn oo_11_the_same_promise_twice() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let p = s.give(a, 2);
    s.refuses(Call::Take { promises: vec![p, p] }, TN_ERR_DUPLICATE);
    s.take(&[p]);
    s.refuses(Call::Take { promises: vec![p, p] }, TN_ERR_DESTRUCTED);
    s.done();
}

#[test]
fn oo_12_take_is_all_or_nothing() {
    let mut s = Scene::new();
    let (a, b) = (s.zeros(&[4]), s.zeros(&[4]));
    let (p, q) = (s.give(a, 1), s.give(b, 1));
    s.ok(Call::Cancel { promise: q });
    s.refuses(Call::Take { promises: vec![p, q] }, TN_ERR_DESTRUCTED);
    s.refuses(Call::Take { promises: vec![p, Ref::Null] }, TN_ERR_NULL);
    s.refuses(Call::Take { promises: vec![a, p] }, TN_ERR_KIND);
    s.ok(Call::PromiseRelease { promise: q });
    s.refuses(Call::Take { promises: vec![p, q] }, TN_ERR_STALE);
    assert_eq!((state(&s, a), state(&s, b)), (State::Given, State::Live));
    assert_eq!(s.take(&[]).len(), 0, "n = 0 is TN_OK");
    s.done();
}

#[test]
fn oo_17_gives_of_two_clones() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let b = s.clone(a);
    let (p, q) = (s.give(a, 1), s.give(b, 1));
    let xs = s.take(&[p, q]);
    assert_eq!((state(&s, a), state(&s, b), s.h(xs[0])), (State::Destructed, State::Destructed, 2));
    s.release(xs[0]);
    assert_eq!(s.why(xs[1]), 0);
    s.done();
}

#[test]
fn oo_18_a_promise_keeps_the_claim_of_a_released_handle() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let b = s.clone(a);
    let p = s.give(a, 1);
    s.release(a);
    assert_eq!((s.why(b), s.h(b)), (TN_WHY_SHARED, 2));
    let x = s.take(&[p])[0];
    s.release(b);
    assert_eq!((s.why(x), s.h(x)), (0, 1));
    s.done();
}

#[test]
fn oo_19_to_22_promises_end() {
    let mut s = Scene::new();
    for cancel in [true, false] {
        let a = s.zeros(&[4]);
        let p = s.give(a, 1);
        s.release(a);
        assert_eq!(s.live(), (32, 0), "OO-18");
        s.ok(if cancel { Call::Cancel { promise: p } } else { Call::PromiseRelease { promise: p } });
        assert_eq!(s.live(), (0, 0), "OO-19");
    }
    let a = s.zeros(&[4]);
    let p = s.give(a, 1);
    s.ok(Call::PromiseRelease { promise: p });
    assert_eq!(state(&s, a), State::Live, "OO-20");
    let p = s.give(a, 1);
    s.ok(Call::Cancel { promise: p });
    s.refuses(Call::Cancel { promise: p }, TN_ERR_DESTRUCTED);
    s.refuses(Call::Take { promises: vec![p] }, TN_ERR_DESTRUCTED);
    s.ok(Call::PromiseRelease { promise: p });
    s.refuses(Call::PromiseRelease { promise: p }, TN_ERR_STALE);
    let p = s.give(a, 1);
    s.take(&[p]);
    s.refuses(Call::Cancel { promise: p }, TN_ERR_DESTRUCTED);
    s.ok(Call::PromiseRelease { promise: p });
    s.done();
}

#[test]
fn oo_24_and_25_promises_and_arrays_are_of_two_kinds() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let b = s.zeros(&[4]);
    let p = s.give(a, 1);
    s.refuses(Call::BorrowRead { array: p, flags: 0 }, TN_ERR_KIND);
    s.refuses(Call::Query { array: p }, TN_ERR_KIND);
    s.refuses(Call::Release { array: p }, TN_ERR_KIND);
    s.refuses(Call::Cancel { promise: b }, TN_ERR_KIND);
    s.refuses(Call::WhyNot { array: p, target: None }, TN_ERR_KIND);
    s.done();
}

#[test]
fn oo_26_give_with_own_guards() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let b = s.clone(a);
    let g = s.read(a);
    s.refuses(Call::Give { array: a, required: 1 }, TN_ERR_BORROWED);
    let p = s.give(b, 1);
    let x = s.take(&[p])[0];
    assert_eq!(s.why(x), TN_WHY_SHARED | TN_WHY_BORROWED);
    s.end(g);
    s.write(a, 0);
    s.refuses(Call::Give { array: a, required: 1 }, TN_ERR_BORROWED_WRITE);
    s.done();
}

#[test]
fn oo_27_and_28_checks_of_give_and_calls_refused_after_it() {
    let mut s = Scene::new();
    let a = s.import(0, 4, TN_BORROW | TN_IMPORT_READONLY);
    s.export(a, XR);
    let p = s.give(a, 1);
    let x = s.take(&[p])[0];
    assert_eq!(s.why(x), TN_WHY_EXPORTED | TN_WHY_READONLY | TN_WHY_FOREIGN);
    s.give(x, 1);
    for call in [
        Call::Clone { array: x },
        Call::Weaken { array: x },
        Call::BorrowRead { array: x, flags: 0 },
        Call::Export { array: x, flags: XR, mode: 0 },
        Call::Copy { array: x, pool: Ref::Null },
    ] {
        s.refuses(call, TN_ERR_GIVEN);
    }
    s.ok(Call::Query { array: x });
    s.release(x);
    s.done();
}

#[test]
fn oo_29_and_30_views_are_given_and_the_decision_is_made_at_use() {
    let mut s = Scene::new();
    let a = s.zeros(&[4, 6]);
    let v = s.slice(a, &[(NONE, NONE, 1), (0, 3, 1)]);
    let p = s.give(v, 1);
    let x = s.take(&[p])[0];
    assert_eq!((state(&s, v), state(&s, a), s.h(x), s.why(x)), (State::Destructed, State::Live, 2, TN_WHY_SHARED));
    s.refuses(Call::BorrowWrite { array: x, mode: UNIQUE }, TN_ERR_SHARED);
    s.release(a);
    s.write(x, UNIQUE);
    s.done();
}

#[test]
fn wn_1_to_5_bits_and_holders() {
    let mut s = Scene::new();
    let a = s.zeros(&[4, 6]);
    assert_eq!(s.why(a), 0);
    let b = s.clone(a);
    s.export(a, XR);
    s.read(b);
    assert_eq!(s.why(a), TN_WHY_SHARED | TN_WHY_EXPORTED | TN_WHY_BORROWED, "WN-3");
    let (left, right) = (s.slice(a, &[(0, 2, 1)]), s.slice(a, &[(2, 4, 1)]));
    let c = s.zeros(&[4, 6]);
    let (top, low) = (s.slice(c, &[(0, 2, 1)]), s.slice(c, &[(2, 4, 1)]));
    s.read(top);
    assert_eq!(s.why(low), TN_WHY_SHARED, "WN-4");
    s.give(left, 2);
    let done = s.ok(Call::WhyNot { array: right, target: None });
    let kinds: Vec<u32> = done.holders.unwrap().iter().map(|holder| holder.kind).collect();
    assert_eq!(kinds.iter().filter(|&&kind| kind == TN_HOLDER_HANDLE).count(), 3, "WN-5");
    assert!(
        kinds.contains(&TN_HOLDER_PROMISE)
            && kinds.contains(&TN_HOLDER_EXPORT_READ)
            && kinds.contains(&TN_HOLDER_GUARD_READ)
    );
    s.done();
}

#[test]
fn wn_target_bits() {
    let mut s = Scene::new();
    let a = s.zeros(&[4, 6]);
    let target = |dtype, shape: &[i64], kind| Some(Target { dtype, shape: shape.to_vec(), device: (kind, 0) });
    for (target, bits) in [
        (target(TN_F64, &[4, 6], TN_CPU), 0),
        (target(TN_F64, &[24], TN_CPU), 0),
        (target(TN_F64, &[25], TN_CPU), TN_WHY_LAYOUT),
        (target(TN_F32, &[4, 6], TN_CPU), TN_WHY_LAYOUT),
        (target(TN_F64, &[11], TN_CPU), TN_WHY_WASTE),
        (target(TN_F64, &[12], TN_CPU), 0),
        (target(TN_F64, &[4, 6], TN_CUDA), TN_WHY_DEVICE),
    ] {
        assert_eq!(s.ok(Call::WhyNot { array: a, target: target.clone() }).number, Some(i64::from(bits)), "{target:?}");
    }
    s.done();
}

#[test]
fn wn_10_whose_address_is_it() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let at = s.at(a);
    s.ok(Call::HoldersOf { at, bytes: 32 });
    s.refuses(Call::HoldersOf { at, bytes: 0 }, TN_ERR_INVALID);
    s.refuses(Call::HoldersOf { at: Model::scratch(), bytes: 8 }, TN_ERR_FOREIGN);
    s.import(0, 4, TN_BORROW);
    s.import(32, 4, TN_BORROW);
    let base = super::super::store::Memory::base(0);
    s.refuses(Call::HoldersOf { at: base, bytes: 64 }, TN_ERR_ALIASED);
    s.done();
}

#[test]
fn rl_1_and_2_bytes_live_until_the_last_holder_ends() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let x = s.export(a, XS);
    let g = s.read(a);
    s.release(a);
    assert_eq!(s.live(), (32, 32), "BR-14");
    s.end(x);
    assert_eq!(s.live(), (32, 32));
    s.end(g);
    assert_eq!(s.live(), (0, 0));
    s.done();
}

#[test]
fn rl_4_strict_mode_refuses_releases() {
    let mut s = Scene::strict();
    let a = s.zeros(&[4]);
    let g = s.read(a);
    s.refuses(Call::Release { array: a }, TN_ERR_BORROWED);
    s.end(g);
    let g = s.write(a, 0);
    s.refuses(Call::Release { array: a }, TN_ERR_BORROWED_WRITE);
    s.end(g);
    let g = s.export(a, XR);
    s.refuses(Call::Release { array: a }, TN_ERR_EXPORTED);
    s.end(g);
    let p = s.give(a, 1);
    s.refuses(Call::Release { array: a }, TN_ERR_GIVEN);
    s.ok(Call::Cancel { promise: p });
    s.release(a);
    s.done();
}

#[test]
fn rl_4_strict_mode_lets_a_destructed_handle_go_whose_claim_went_on_with_its_export() {
    let mut s = Scene::strict();
    let a = s.zeros(&[4]);
    let export = s.export(a, XR);
    let p = s.give(a, 1);
    let x = s.array(Call::Take { promises: vec![p] });
    assert_eq!(s.why(x), TN_WHY_EXPORTED, "OO-27, XI-7");
    s.release(a);
    s.refuses(Call::Release { array: a }, TN_ERR_STALE);
    s.end(export);
    s.done();
}

#[test]
fn rl_5_to_7_weak_handles() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let w = Ref::Weak(s.ok(Call::Weaken { array: a }).weak.unwrap());
    let b = s.array(Call::Upgrade { weak: w });
    assert_eq!(s.why(a), TN_WHY_SHARED, "RL-6");
    s.release(a);
    s.ok(Call::Upgrade { weak: w });
    let x = s.export(b, XS);
    s.release(b);
    s.release(Ref::Array(2));
    s.refuses(Call::Upgrade { weak: w }, TN_ERR_DESTRUCTED);
    let again = s.array(at_address(s.at(a), 4, TN_BORROW));
    assert_eq!(s.why(again), TN_WHY_EXPORTED | TN_WHY_FOREIGN, "XI-21");
    s.refuses(Call::Upgrade { weak: w }, TN_ERR_DESTRUCTED);
    s.end(x);
    s.done();
}

#[test]
fn rl_8_queued_releases() {
    let mut s = Scene::new();
    let a = s.import(0, 4, TN_BORROW | TN_RELEASE_QUEUED);
    let b = s.import(64, 4, TN_TAKE_OWNERSHIP | TN_RELEASE_QUEUED);
    s.import(128, 4, TN_RELEASE_QUEUED);
    assert_eq!(s.ran(), 0);
    assert_eq!(s.ok(Call::RunReleases).number, Some(1));
    s.release(b);
    s.release(a);
    assert_eq!(s.ran(), 1);
    assert_eq!(s.ok(Call::RunReleases).number, Some(2));
    assert_eq!(s.ok(Call::RunReleases).number, Some(0));
    s.done();
}
