//! Rows OO of enter and leave: the handles of parameters, handles that outlive a scope, and the order of errors.

use super::super::calls::Call;
use super::super::handle::{Ref, State};
use super::*;

fn state(s: &Scene, array: Ref) -> State {
    let Ref::Array(k) = array else { panic!("{array:?} is no array") };
    s.model().arrays[k].state
}

/// The scope and the new handles.
fn enter(s: &mut Scene, params: &[Ref]) -> (Ref, Vec<Ref>) {
    let done = s.ok(Call::Enter { params: params.to_vec() });
    (Ref::Scope(done.scope.expect("a scope")), done.arrays.into_iter().map(Ref::Array).collect())
}

fn leave(s: &mut Scene, scope: Ref, keep: &[Ref]) {
    s.ok(Call::Leave { scope, keep: keep.to_vec() });
}

#[test]
fn oo_1_to_6_case_i_and_case_ii() {
    let mut s = Scene::new();
    let a = s.zeros(&[3, 4]);
    let p = s.give(a, 1);
    let (scope, x) = enter(&mut s, &[p]);
    assert_eq!((state(&s, a), s.h(x[0]), s.why(x[0]), s.at(x[0])), (State::Destructed, 1, 0, s.at(a)), "OO-1");
    leave(&mut s, scope, &[]);
    assert_eq!(state(&s, a), State::Destructed, "OO-2");
    let b = s.zeros(&[4]);
    let p = s.give(b, 2);
    let (scope, x) = enter(&mut s, &[p]);
    assert_eq!((state(&s, b), s.h(b), s.why(x[0])), (State::Live, 2, TN_WHY_SHARED), "OO-4");
    leave(&mut s, scope, &[]);
    assert_eq!((s.h(b), s.why(b)), (1, 0), "OO-4");
    let (p, q) = (s.give(b, 2), s.give(b, 2));
    let (_, x) = enter(&mut s, &[p, q]);
    assert_eq!((state(&s, b), s.h(x[0])), (State::Destructed, 2), "OO-5");
    s.release(x[1]);
    assert_eq!(s.why(x[0]), 0, "OO-5");
    s.done();
}

#[test]
fn oo_11_and_12_all_or_nothing() {
    let mut s = Scene::new();
    let (a, b, c) = (s.zeros(&[4]), s.zeros(&[4]), s.zeros(&[4]));
    let p = s.give(a, 1);
    s.refuses(Call::Enter { params: vec![p, p] }, TN_ERR_DUPLICATE);
    let q = s.give(b, 1);
    s.ok(Call::Cancel { promise: q });
    let weak = Ref::Weak(s.ok(Call::Weaken { array: c }).weak.expect("a weak handle"));
    let gone = s.clone(c);
    s.release(gone);
    for (wrong, status) in [
        (q, TN_ERR_DESTRUCTED),
        (Ref::Null, TN_ERR_NULL),
        (gone, TN_ERR_STALE),
        (weak, TN_ERR_KIND),
        (Ref::Junk, TN_ERR_KIND),
    ] {
        for params in [[p, c, wrong], [wrong, p, c], [c, wrong, p]] {
            let before = (s.h(a), s.h(c), state(&s, a));
            s.refuses(Call::Enter { params: params.to_vec() }, status);
            assert_eq!((s.h(a), s.h(c), state(&s, a)), before);
        }
    }
    // ER-6
    s.refuses(Call::Enter { params: vec![a, q] }, TN_ERR_DESTRUCTED);
    s.refuses(Call::Enter { params: vec![q, q] }, TN_ERR_DESTRUCTED);
    s.refuses(Call::Enter { params: vec![a] }, TN_ERR_GIVEN);
    s.done();
}

#[test]
fn oo_13_to_17_arrays_beside_promises() {
    let mut s = Scene::new();
    for swapped in [false, true] {
        let a = s.zeros(&[4]);
        let p = s.give(a, 1);
        let (_, x) = enter(&mut s, &if swapped { [p, a] } else { [a, p] });
        let (clone, moved) = if swapped { (x[1], x[0]) } else { (x[0], x[1]) };
        assert_eq!((state(&s, a), s.h(moved)), (State::Destructed, 2), "OO-13");
        s.release(clone);
        assert_eq!(s.why(moved), 0, "OO-13");
    }
    let a = s.zeros(&[4]);
    let p = s.give(a, 1);
    let (_, x) = enter(&mut s, &[a, a, p]);
    assert_eq!(s.h(x[2]), 3, "OO-14");
    let a = s.zeros(&[4]);
    let b = s.clone(a);
    let p = s.give(b, 1);
    let (scope, _) = enter(&mut s, &[a, p]);
    assert_eq!((state(&s, a), state(&s, b), s.h(a)), (State::Live, State::Destructed, 3), "OO-16");
    leave(&mut s, scope, &[]);
    let b = s.clone(a);
    let (p, q) = (s.give(a, 1), s.give(b, 1));
    let (_, x) = enter(&mut s, &[p, q]);
    assert_eq!((s.h(x[0]), s.store(x[0])), (2, s.store(x[1])), "OO-17");
    s.release(x[0]);
    assert_eq!(s.why(x[1]), 0, "OO-17");
    s.done();
}

#[test]
fn oo_31_to_35_handles_that_outlive_a_scope() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let p = s.give(a, 1);
    let (scope, x) = enter(&mut s, &[p]);
    leave(&mut s, scope, &[x[0]]);
    assert_eq!((state(&s, x[0]), s.h(x[0])), (State::Live, 1), "OO-31");
    s.refuses(Call::Leave { scope, keep: vec![] }, TN_ERR_STALE);
    let (scope, y) = enter(&mut s, &[x[0], x[0]]);
    s.release(y[0]);
    for (keep, status) in [
        (vec![y[0], a], TN_ERR_STALE),
        (vec![x[0]], TN_ERR_INVALID),
        (vec![y[1], y[1]], TN_ERR_DUPLICATE),
        (vec![y[1], Ref::Null], TN_ERR_NULL),
        (vec![scope], TN_ERR_KIND),
        (vec![y[1], x[0], y[1]], TN_ERR_INVALID),
    ] {
        s.refuses(Call::Leave { scope, keep }, status);
    }
    s.refuses(Call::Leave { scope: x[0], keep: vec![] }, TN_ERR_KIND);
    let q = s.give(y[1], 1);
    leave(&mut s, scope, &[]);
    assert_eq!((state(&s, y[1]), s.h(x[0])), (State::Released, 2), "OO-34");
    let taken = s.take(&[q])[0];
    assert_eq!(s.store(taken), s.store(x[0]), "OO-34");
    let (scope, none) = enter(&mut s, &[]);
    assert!(none.is_empty());
    leave(&mut s, scope, &[]);
    s.done();
}

#[test]
fn oo_33_given_and_destructed_handles_may_be_kept() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let (scope, x) = enter(&mut s, &[a, a]);
    let (p, q) = (s.give(x[0], 1), s.give(x[1], 1));
    s.take(&[q]);
    leave(&mut s, scope, &x);
    assert_eq!((state(&s, x[0]), state(&s, x[1])), (State::Given, State::Destructed));
    s.ok(Call::Cancel { promise: p });
    assert_eq!(state(&s, x[0]), State::Live);
    s.done();
}

#[test]
fn oo_37_a_chain_of_gives_is_needed_from_top_to_bottom() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let (outer, x) = enter(&mut s, &[a]);
    let p = s.give(x[0], 1);
    let (inner, z) = enter(&mut s, &[p]);
    assert_eq!((state(&s, x[0]), s.why(z[0])), (State::Destructed, TN_WHY_SHARED));
    leave(&mut s, outer, &[]);
    assert_eq!(s.h(a), 2, "scopes know nothing of one another");
    leave(&mut s, inner, &[z[0]]);
    s.release(a);
    assert_eq!(s.why(z[0]), 0);
    s.done();
}

#[test]
fn rl_4_strict_mode_and_leave() {
    let mut s = Scene::strict();
    let a = s.zeros(&[4]);
    let (scope, x) = enter(&mut s, &[a, a]);
    let guard = s.read(x[0]);
    s.refuses(Call::Leave { scope, keep: vec![] }, TN_ERR_BORROWED);
    let p = s.give(x[1], 1);
    s.refuses(Call::Leave { scope, keep: vec![] }, TN_ERR_GIVEN);
    s.refuses(Call::Leave { scope, keep: vec![x[0], x[0]] }, TN_ERR_GIVEN);
    s.refuses(Call::Leave { scope, keep: vec![x[1]] }, TN_ERR_BORROWED);
    s.ok(Call::PromiseRelease { promise: p });
    leave(&mut s, scope, &[x[0]]);
    s.end(guard);
    s.release(x[0]);
    s.done();
}

#[test]
fn rl_4_strict_mode_and_leave_of_a_destructed_handle() {
    let mut s = Scene::strict();
    let a = s.zeros(&[4]);
    let (scope, x) = enter(&mut s, &[a]);
    let export = s.export(x[0], XR);
    let p = s.give(x[0], 1);
    let taken = s.array(Call::Take { promises: vec![p] });
    leave(&mut s, scope, &[]);
    assert_eq!((state(&s, x[0]), s.why(taken)), (State::Released, TN_WHY_SHARED | TN_WHY_EXPORTED));
    s.end(export);
    s.done();
}
