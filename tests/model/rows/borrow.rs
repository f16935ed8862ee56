//! Rows BR (borrows, tiers, chunks, poison) and BA (several arrays at once).

use super::super::calls::Call;
use super::super::handle::Ref;
use super::*;

#[test]
fn br_1_to_3_many_readers_or_one_writer() {
    let mut s = Scene::new();
    let a = s.zeros(&[4, 6]);
    let (b, v) = (s.clone(a), s.row(a, 0));
    let guards = [s.read(a), s.read(a), s.read(b), s.read(v)];
    for mode in [0, UNIQUE] {
        s.refuses(Call::BorrowWrite { array: a, mode }, TN_ERR_BORROWED);
        s.refuses(Call::BorrowWrite { array: v, mode }, TN_ERR_BORROWED);
    }
    for g in guards {
        s.end(g);
    }
    s.write(a, 0);
    for array in [a, b, v] {
        s.refuses(Call::BorrowRead { array, flags: 0 }, TN_ERR_BORROWED_WRITE);
        s.refuses(Call::BorrowWrite { array, mode: 0 }, TN_ERR_BORROWED_WRITE);
        s.refuses(Call::Copy { array, pool: Ref::Null }, TN_ERR_BORROWED_WRITE);
        for flags in [XR, XS, XW] {
            s.refuses(Call::Export { array, flags, mode: 0 }, TN_ERR_BORROWED_WRITE);
        }
    }
    s.done();
}

#[test]
fn br_4_unique_with_a_clone_or_a_disjoint_view() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let (x, y) = (s.slice(a, &[(0, 2, 1)]), s.slice(a, &[(2, 4, 1)]));
    s.refuses(Call::BorrowWrite { array: x, mode: UNIQUE }, TN_ERR_SHARED);
    s.release(a);
    s.refuses(Call::BorrowWrite { array: x, mode: UNIQUE }, TN_ERR_SHARED);
    s.release(y);
    s.write(x, UNIQUE);
    s.done();
}

#[test]
fn br_5_and_6_aliased_is_the_default() {
    let mut s = Scene::new();
    let a = s.zeros(&[4, 6]);
    let (r, c) = (s.row(a, 1), s.clone(a));
    s.ok(Call::Fill { array: r, value: true, mode: 0 });
    assert_eq!(s.bytes(a), s.bytes(c));
    assert!(s.bytes(a)[48..96].iter().any(|&byte| byte != 0) && s.bytes(a)[..48].iter().all(|&byte| byte == 0));
    let (x, y) = (s.row(a, 0), s.row(a, 2));
    s.write(x, 0);
    s.write(y, 0);
    s.refuses(Call::BorrowWrite { array: c, mode: 0 }, TN_ERR_BORROWED_WRITE);
    s.done();
}

#[test]
fn br_7_to_9_copy_on_write() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let (at, live) = (s.at(a), s.live());
    let g = s.write(a, COW);
    assert_eq!((s.at(a), s.live()), (at, live), "BR-7");
    s.write_and_end(g);
    let b = s.clone(a);
    let before = s.bytes(b);
    let g = s.write(a, COW);
    assert!(s.at(a) != at && s.at(b) == at && s.h(a) == 1 && s.why(b) == 0, "BR-8");
    s.write_and_end(g);
    assert_eq!(s.bytes(b), before);
    let v = s.slice(b, &[(1, 3, 1)]);
    s.write(v, COW);
    assert!(s.store(v) != s.store(b) && s.h(b) == 1, "BR-9");
    let one = s.slice(b, &[(0, 1, 1)]);
    let wide = s.view(one, View::Broadcast { shape: vec![3] });
    assert_eq!(s.why(wide) & (TN_WHY_READONLY | TN_WHY_NOT_ALIASABLE), TN_WHY_READONLY | TN_WHY_NOT_ALIASABLE);
    s.refuses(Call::BorrowWrite { array: wide, mode: 0 }, TN_ERR_READONLY);
    s.write(wide, COW);
    assert_eq!(s.why(wide), TN_WHY_BORROWED, "BR-9: detached and writable, its own guard alone");
    s.done();
}

#[test]
fn br_10_and_11_copy_on_write_beside_guards() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let b = s.clone(a);
    let g = s.read(a);
    s.refuses(Call::BorrowWrite { array: a, mode: COW }, TN_ERR_BORROWED);
    s.write(b, COW);
    s.end(g);
    let c = s.clone(a);
    s.write(a, 0);
    s.refuses(Call::BorrowWrite { array: c, mode: COW }, TN_ERR_BORROWED_WRITE);
    let live = s.live().0;
    s.write(c, COW | DISCARD);
    assert_eq!(s.live().0, live + 32, "BR-11");
    s.done();
}

#[test]
fn br_13_to_17_small_rules() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let g = s.write(a, 0);
    s.clone(a);
    s.row(a, 0);
    let w = Ref::Weak(s.ok(Call::Weaken { array: a }).weak.unwrap());
    s.end(g);
    s.refuses(Call::End { guard: g, flags: 0 }, TN_ERR_STALE);
    s.refuses(Call::BorrowWrite { array: a, mode: UNIQUE | COW }, TN_ERR_INVALID);
    s.refuses(Call::BorrowWrite { array: a, mode: 1 << 31 }, TN_ERR_INVALID);
    let g = s.read(a);
    s.end_failed(g);
    assert_eq!(s.why(a) & TN_WHY_POISONED, 0, "BR-17");
    s.ok(Call::Upgrade { weak: w });
    s.done();
}

#[test]
fn br_18_zero_size_conflicts_with_nothing() {
    let mut s = Scene::new();
    let a = s.zeros(&[0, 3]);
    s.write(a, 0);
    s.write(a, 0);
    s.read(a);
    assert_eq!(s.why(a), 0);
    let b = s.zeros(&[4]);
    let none = s.slice(b, &[(2, 2, 1)]);
    s.write(b, 0);
    s.write(none, 0);
    s.done();
}

#[test]
fn br_20_to_25_disjoint_or_not() {
    let mut s = Scene::new();
    let a = s.zeros(&[12]);
    for (x, y, meet) in
        [((0, 2), (1, 2), false), ((0, 3), (1, 3), false), ((0, 2), (3, 4), false), ((0, 2), (0, 3), true)]
    {
        let (v, w) = (s.slice(a, &[(x.0, NONE, x.1)]), s.slice(a, &[(y.0, NONE, y.1)]));
        assert_eq!(s.ok(Call::Overlap { a: v, b: w }).number == Some(0), !meet, "BR-22");
        let g = s.write(v, 0);
        if meet {
            s.refuses(Call::BorrowWrite { array: w, mode: 0 }, TN_ERR_BORROWED_WRITE);
        } else {
            s.write(w, 0);
            let last = Ref::Guard(s.model().guards.len() - 1);
            s.end(last);
        }
        s.end(g);
    }
    let m = s.array(Call::zeros(TN_U8, &[3, 4]));
    let r = s.view(m, View::Reshape { shape: vec![12], order: TN_ORDER_C });
    let (m0, m2) = (s.slice(m, &[(NONE, NONE, 1), (0, 1, 1)]), s.slice(m, &[(NONE, NONE, 1), (0, 2, 1)]));
    let (r1, r2) = (s.slice(r, &[(1, 12, 6)]), s.slice(r, &[(2, 12, 8)]));
    let g = s.write(m0, 0);
    let h = s.write(r1, 0);
    s.end(g);
    s.end(h);
    s.write(m2, 0);
    s.refuses(Call::BorrowWrite { array: r2, mode: 0 }, TN_ERR_BORROWED_WRITE);
    s.done();
}

#[test]
fn br_30_to_34_chunks() {
    let mut s = Scene::new();
    let a = s.zeros(&[5]);
    let done = s.ok(Call::SplitWrite { array: a, axis: 0, n: 2, mode: 0 });
    assert_eq!(done.chunks, [(0, 3), (3, 2)], "BR-30");
    let guards: Vec<Ref> = done.guards.iter().map(|&k| Ref::Guard(k)).collect();
    s.refuses(Call::BorrowRead { array: a, flags: 0 }, TN_ERR_BORROWED_WRITE);
    s.end(guards[0]);
    let (front, back) = (s.slice(a, &[(0, 3, 1)]), s.slice(a, &[(3, 5, 1)]));
    s.read(front);
    s.refuses(Call::BorrowRead { array: back, flags: 0 }, TN_ERR_BORROWED_WRITE);
    s.end_failed(guards[1]);
    s.refuses(Call::BorrowRead { array: back, flags: 0 }, TN_ERR_POISONED);
    s.read(front);
    s.refuses(Call::SplitWrite { array: a, axis: 0, n: 0, mode: 0 }, TN_ERR_INVALID);
    s.refuses(Call::SplitWrite { array: a, axis: 1, n: 2, mode: 0 }, TN_ERR_RANGE);
    let b = s.zeros(&[2]);
    let done = s.ok(Call::SplitWrite { array: b, axis: -1, n: 4, mode: 0 });
    assert_eq!(done.chunks[2..], [(2, 0), (2, 0)], "BR-31");
    s.done();
}

#[test]
fn br_35_chunks_copy_on_write_once() {
    let mut s = Scene::new();
    let a = s.zeros(&[6]);
    let b = s.clone(a);
    let live = s.live().0;
    s.ok(Call::SplitWrite { array: a, axis: 0, n: 3, mode: COW });
    assert_eq!((s.live().0, s.why(b)), (live + 48, 0));
    s.done();
}

#[test]
fn br_40_to_43_poison_and_healing() {
    let mut s = Scene::new();
    let a = s.zeros(&[6]);
    let (head, tail) = (s.slice(a, &[(0, 3, 1)]), s.slice(a, &[(3, 6, 1)]));
    s.poison(head);
    for array in [a, head] {
        s.refuses(Call::BorrowRead { array, flags: 0 }, TN_ERR_POISONED);
        s.refuses(Call::BorrowWrite { array, mode: 0 }, TN_ERR_POISONED);
        s.refuses(Call::BorrowWrite { array, mode: COW }, TN_ERR_POISONED);
        s.refuses(Call::Export { array, flags: XS, mode: 0 }, TN_ERR_POISONED);
    }
    let g = s.read(tail);
    s.end(g);
    s.clone(head);
    let part = s.slice(a, &[(0, 2, 1)]);
    let g = s.write(part, DISCARD);
    s.write_and_end(g);
    s.refuses(Call::BorrowRead { array: part, flags: 0 }, TN_ERR_POISONED);
    let g = s.write(a, DISCARD);
    s.end_failed(g);
    assert_eq!(s.why(tail) & TN_WHY_POISONED, TN_WHY_POISONED, "BR-43");
    s.ok(Call::Fill { array: a, value: true, mode: 0 });
    s.read(a);
    s.done();
}

#[test]
fn br_42_contains_by_the_same_root() {
    let mut s = Scene::new();
    let a = s.zeros(&[12]);
    let (even, fourth) = (s.slice(a, &[(0, NONE, 2)]), s.slice(a, &[(8, NONE, -4)]));
    s.poison(fourth);
    s.ok(Call::Zero { array: even, mode: 0 });
    s.read(a);
    s.done();
}

#[test]
fn br_44_chunks_heal_together_or_alone() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let middle = s.slice(a, &[(1, 3, 1)]);
    s.poison(middle);
    let chunks = s.ok(Call::SplitWrite { array: a, axis: 0, n: 2, mode: DISCARD }).guards;
    s.end(Ref::Guard(chunks[0]));
    s.end_failed(Ref::Guard(chunks[1]));
    s.refuses(Call::BorrowRead { array: middle, flags: 0 }, TN_ERR_POISONED);
    let first = s.slice(a, &[(0, 2, 1)]);
    s.refuses(Call::BorrowRead { array: first, flags: 0 }, TN_ERR_POISONED);
    let chunks = s.ok(Call::SplitWrite { array: a, axis: 0, n: 2, mode: DISCARD }).guards;
    s.end(Ref::Guard(chunks[1]));
    s.end(Ref::Guard(chunks[0]));
    s.read(a);
    s.done();
}

#[test]
fn br_45_a_handle_that_moved_away_is_not_poisoned() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let b = s.clone(a);
    s.poison(a);
    let g = s.write(b, COW | DISCARD);
    s.write_and_end(g);
    s.read(b);
    s.refuses(Call::BorrowRead { array: a, flags: 0 }, TN_ERR_POISONED);
    s.done();
}

#[test]
fn br_50_frozen_readers() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let x = s.export(a, XS);
    s.refuses(Call::BorrowRead { array: a, flags: TN_FROZEN }, TN_ERR_EXPORTED);
    let g = s.read(a);
    s.end(g);
    s.end(x);
    s.ok(Call::BorrowRead { array: a, flags: TN_FROZEN });
    s.refuses(Call::Export { array: a, flags: XS, mode: 0 }, TN_ERR_BORROWED);
    s.export(a, XR);
    s.done();
}

#[test]
fn br_51_forbidden_copies() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let b = s.clone(a);
    s.ok(Call::Forbid { on: 1 });
    s.refuses(Call::BorrowWrite { array: a, mode: COW }, TN_ERR_WOULD_COPY);
    s.refuses(Call::Fill { array: a, value: true, mode: COW }, TN_ERR_WOULD_COPY);
    s.release(b);
    s.write(a, COW);
    s.ok(Call::Forbid { on: 0 });
    s.refuses(Call::Forbid { on: 0 }, TN_ERR_INVALID);
    s.done();
}

#[test]
fn ba_1_to_3_all_or_nothing() {
    let mut s = Scene::new();
    let (a, b) = (s.zeros(&[4]), s.zeros(&[4]));
    let c = s.clone(a);
    let (x, y) = (s.slice(a, &[(0, 2, 1)]), s.slice(a, &[(2, 4, 1)]));
    let all = |entries: &[(Ref, u32)]| Call::BorrowAll { entries: entries.to_vec() };
    s.poison(b);
    s.refuses(all(&[(a, TN_READ_WRITE), (b, TN_READ)]), TN_ERR_POISONED);
    s.ok(Call::Zero { array: b, mode: 0 });
    s.refuses(all(&[(a, TN_READ), (c, TN_READ_WRITE)]), TN_ERR_ALIASED);
    s.refuses(all(&[(a, TN_WRITE), (a, TN_WRITE)]), TN_ERR_ALIASED);
    let g = Ref::Guard(s.ok(all(&[(a, TN_READ), (a, TN_READ), (b, TN_WRITE)])).guards[0]);
    s.refuses(Call::BorrowRead { array: b, flags: 0 }, TN_ERR_BORROWED_WRITE);
    s.end(g);
    s.refuses(Call::End { guard: g, flags: 0 }, TN_ERR_STALE);
    let g = Ref::Guard(s.ok(all(&[(x, TN_WRITE), (y, TN_READ_WRITE)])).guards[0]);
    s.end_failed(g);
    s.refuses(Call::BorrowRead { array: x, flags: 0 }, TN_ERR_POISONED);
    s.refuses(Call::BorrowRead { array: y, flags: 0 }, TN_ERR_POISONED);
    s.done();
}

#[test]
fn ba_4_and_5_copy_on_write_and_unique_entries() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let c = s.clone(a);
    let all = |entries: &[(Ref, u32)]| Call::BorrowAll { entries: entries.to_vec() };
    s.refuses(all(&[(a, TN_READ_WRITE | UNIQUE), (c, TN_READ)]), TN_ERR_SHARED);
    s.refuses(all(&[(a, TN_READ_WRITE | COW), (c, TN_READ_WRITE)]), TN_ERR_ALIASED);
    s.refuses(all(&[(a, TN_READ_WRITE | COW), (a, TN_READ)]), TN_ERR_ALIASED);
    let g = Ref::Guard(s.ok(all(&[(a, TN_READ_WRITE | COW), (c, TN_READ)])).guards[0]);
    assert!(s.store(a) != s.store(c));
    s.end(g);
    let b = s.clone(a);
    s.ok(all(&[(a, TN_WRITE | COW), (b, TN_READ_WRITE)]));
    s.done();
}

#[test]
fn ba_7_and_9_none_and_wrong_access() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let g = Ref::Guard(s.ok(Call::BorrowAll { entries: vec![] }).guards[0]);
    s.end(g);
    for access in [0, TN_READ | COW, TN_READ | DISCARD, TN_READ_WRITE | TN_FROZEN, TN_READ | 1 << 7] {
        s.refuses(Call::BorrowAll { entries: vec![(a, access)] }, TN_ERR_INVALID);
    }
    s.done();
}
