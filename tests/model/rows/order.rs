//! Rows ER: which error wins.

use super::super::calls::{Call, Stream};
use super::super::handle::Ref;
use super::*;

#[test]
fn er_2_several_parameters() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let p = s.give(a, 2);
    let q = s.give(a, 2);
    s.take(&[p]);
    s.ok(Call::PromiseRelease { promise: q });
    s.refuses(Call::Take { promises: vec![p, q] }, TN_ERR_STALE);
    s.refuses(Call::Take { promises: vec![q, Ref::Null] }, TN_ERR_NULL);
    s.done();
}

#[test]
fn er_3_a_missing_output() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    s.release(a);
    for call in
        [Call::Clone { array: a }, Call::Give { array: a, required: 0 }, Call::BorrowWrite { array: a, mode: 1 << 31 }]
    {
        s.refuses_beside(call, true, Stream::Null, TN_ERR_NULL);
    }
    s.done();
}

#[test]
fn er_4_give() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    s.read(a);
    s.refuses(Call::Give { array: a, required: 0 }, TN_ERR_INVALID);
    let b = s.zeros(&[4]);
    let p = s.give(b, 1);
    s.take(&[p]);
    s.refuses(Call::Give { array: b, required: 0 }, TN_ERR_INVALID);
    s.done();
}

#[test]
fn er_5_borrow_write() {
    let mut s = Scene::new();
    let write = |array, mode| Call::BorrowWrite { array, mode };
    let a = s.zeros(&[4]);
    let b = s.clone(a);
    s.poison(a);
    let p = s.give(a, 1);
    s.refuses(write(a, 0), TN_ERR_GIVEN);
    s.refuses(write(a, 1 << 31), TN_ERR_INVALID);
    s.take(&[p]);
    s.refuses(write(a, UNIQUE | COW), TN_ERR_INVALID);
    let one = s.slice(b, &[(0, 1, 1)]);
    let wide = s.view(one, View::Broadcast { shape: vec![2] });
    s.refuses(write(wide, 0), TN_ERR_POISONED);
    s.ok(Call::Zero { array: b, mode: 0 });
    s.write(b, 0);
    s.refuses(write(wide, 0), TN_ERR_READONLY);
    s.done();
}

#[test]
fn er_5_two_things_in_the_way() {
    let mut s = Scene::new();
    let write = |array, mode| Call::BorrowWrite { array, mode };
    let a = s.zeros(&[6]);
    let (head, tail) = (s.slice(a, &[(0, 3, 1)]), s.slice(a, &[(3, 6, 1)]));
    let guards = [s.write(head, 0), s.read(tail)];
    s.refuses(write(a, 0), TN_ERR_BORROWED_WRITE);
    for g in guards {
        s.end(g);
    }
    let g = s.read(a);
    let x = s.export(a, XR);
    s.refuses(write(a, 0), TN_ERR_BORROWED);
    s.refuses(write(a, UNIQUE), TN_ERR_BORROWED);
    s.end(g);
    s.refuses(write(a, UNIQUE), TN_ERR_EXPORTED);
    s.end(x);
    s.refuses(write(a, UNIQUE), TN_ERR_SHARED);
    s.done();
}

#[test]
fn er_7_borrow_read() {
    let mut s = Scene::new();
    let a = s.zeros(&[6]);
    let (head, tail) = (s.slice(a, &[(0, 3, 1)]), s.slice(a, &[(3, 6, 1)]));
    s.poison(head);
    let g = s.write(tail, 0);
    s.refuses(Call::BorrowRead { array: a, flags: 0 }, TN_ERR_POISONED);
    s.end(g);
    s.ok(Call::Zero { array: a, mode: 0 });
    s.write(head, 0);
    s.export(tail, XW);
    s.refuses(Call::BorrowRead { array: a, flags: 0 }, TN_ERR_BORROWED_WRITE);
    s.done();
}

#[test]
fn er_8_a_stream_that_is_none() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let p = s.give(a, 1);
    let x = s.take(&[p])[0];
    s.refuses_beside(Call::BorrowRead { array: a, flags: 0 }, false, Stream::Junk, TN_ERR_KIND);
    let g = s.read(x);
    s.refuses_beside(Call::End { guard: g, flags: 0 }, false, Stream::Junk, TN_ERR_KIND);
    s.end(g);
    s.done();
}

#[test]
fn er_9_arguments_before_holders() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    s.clone(a);
    s.refuses(Call::SplitWrite { array: a, axis: 3, n: 2, mode: UNIQUE }, TN_ERR_RANGE);
    let b = s.zeros(&[4]);
    let p = s.give(b, 1);
    s.take(&[p]);
    s.refuses(Call::View { array: b, view: slice(&[(0, 1, 0)]) }, TN_ERR_INVALID);
    s.refuses(Call::View { array: b, view: View::Index { axis: 5, index: 9 } }, TN_ERR_DESTRUCTED);
    s.done();
}

#[test]
fn er_12_borrow_all_and_take() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let c = s.clone(a);
    let gone = s.zeros(&[4]);
    s.release(gone);
    s.poison(a);
    s.refuses(Call::BorrowAll { entries: vec![(a, TN_READ), (gone, TN_READ)] }, TN_ERR_STALE);
    s.ok(Call::Zero { array: a, mode: 0 });
    s.refuses(Call::BorrowAll { entries: vec![(a, TN_READ_WRITE | UNIQUE), (c, TN_READ)] }, TN_ERR_SHARED);
    s.import(0, 4, TN_BORROW);
    s.refuses(foreign(1, 2, TN_TAKE_OWNERSHIP), TN_ERR_ALIASED);
    s.done();
}
