//! Rows XI (exports, imports, joining, leases) and those of AR that are about imports.

use super::super::calls::Call;
use super::super::handle::Ref;
use super::super::store::Memory;
use super::*;

#[test]
fn xi_1_and_4_flags_and_modes() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    for (flags, mode) in [
        (TN_BORROW | TN_EXPORT_EXCLUSIVE, 0),
        (XS | TN_EXPORT_CONSUMER_READS, 0),
        (XR, UNIQUE),
        (XS, COW),
        (XS, DISCARD),
        (XR | TN_TAKE_OWNERSHIP, 0),
    ] {
        s.refuses(Call::Export { array: a, flags, mode }, TN_ERR_INVALID);
    }
    let b = s.clone(a);
    s.refuses(Call::Export { array: a, flags: XS, mode: UNIQUE }, TN_ERR_SHARED);
    s.release(b);
    s.ok(Call::Export { array: a, flags: XS, mode: UNIQUE });
    let r = s.import(0, 4, TN_BORROW | TN_IMPORT_READONLY);
    s.refuses(Call::Export { array: r, flags: XS, mode: 0 }, TN_ERR_READONLY);
    s.refuses(Call::Export { array: r, flags: XW, mode: 0 }, TN_ERR_READONLY);
    s.export(r, XR);
    s.done();
}

#[test]
fn xi_2_beside_a_read_only_export() {
    let mut s = Scene::new();
    let a = s.zeros(&[6]);
    let tail = s.slice(a, &[(3, 6, 1)]);
    let head = s.slice(a, &[(0, 3, 1)]);
    s.export(head, XR);
    let g = s.read(a);
    s.end(g);
    s.export(a, XR);
    s.export(a, XS);
    s.refuses(Call::BorrowWrite { array: head, mode: 0 }, TN_ERR_EXPORTED);
    s.refuses(Call::Export { array: head, flags: XW, mode: 0 }, TN_ERR_EXPORTED);
    s.refuses(Call::BorrowWrite { array: tail, mode: UNIQUE }, TN_ERR_EXPORTED);
    s.write(tail, COW);
    s.done();
}

#[test]
fn xi_3_beside_an_exclusive_export() {
    let mut s = Scene::new();
    let a = s.zeros(&[6]);
    let (head, tail) = (s.slice(a, &[(0, 3, 1)]), s.slice(a, &[(3, 6, 1)]));
    s.export(head, XW);
    s.refuses(Call::BorrowRead { array: a, flags: 0 }, TN_ERR_EXPORTED);
    s.refuses(Call::BorrowWrite { array: head, mode: 0 }, TN_ERR_EXPORTED);
    for flags in [XR, XS, XW] {
        s.refuses(Call::Export { array: head, flags, mode: 0 }, TN_ERR_EXPORTED);
    }
    let g = s.read(tail);
    s.end(g);
    s.write(tail, 0);
    s.done();
}

#[test]
fn xi_5_to_7_exports_and_guards() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let g = s.read(a);
    s.refuses(Call::Export { array: a, flags: XW, mode: 0 }, TN_ERR_BORROWED);
    s.end(g);
    let x = s.export(a, XR);
    let p = s.give(a, 1);
    let b = s.take(&[p])[0];
    assert_eq!(s.why(b), TN_WHY_EXPORTED, "XI-7");
    s.release(b);
    assert_eq!(s.live(), (32, 32), "XI-6");
    s.end(x);
    assert_eq!(s.live(), (0, 0));
    s.done();
}

#[test]
fn xi_8_beside_a_shared_view() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let x = s.export(a, XS);
    let g = s.write(a, 0);
    s.write_and_end(g);
    let Ref::Guard(k) = x else { unreachable!() };
    s.ok(Call::WriteThrough { guard: k });
    s.export(a, XR);
    s.export(a, XS);
    s.refuses(Call::Export { array: a, flags: XW, mode: 0 }, TN_ERR_EXPORTED);
    s.refuses(Call::BorrowWrite { array: a, mode: UNIQUE }, TN_ERR_EXPORTED);
    s.done();
}

#[test]
fn xi_10_an_import_without_flags_copies() {
    let mut s = Scene::new();
    let done = s.ok(foreign(0, 4, 0));
    assert_eq!((done.how, s.ran(), s.live()), (Some(TN_COPIED), 1, (32, 0)));
    assert_eq!(s.why(Ref::Array(done.arrays[0])), 0);
    s.done();
}

#[test]
fn xi_11_to_13_lent_bytes() {
    let mut s = Scene::new();
    let done = s.ok(foreign(0, 4, TN_BORROW));
    assert_eq!((done.how, s.live()), (Some(TN_ALIASED), (0, 0)));
    let a = Ref::Array(done.arrays[0]);
    s.refuses(Call::BorrowWrite { array: a, mode: UNIQUE }, TN_ERR_FOREIGN);
    let g = s.write(a, 0);
    s.write_and_end(g);
    s.ok(Call::WriteForeign { at: Memory::base(0), bytes: 16 });
    s.write(a, COW);
    assert_eq!((s.ran(), s.live()), (1, (32, 0)), "XI-18: the handle that moved does not count");
    let b = s.ok(foreign(1, 2, TN_BORROW));
    assert_eq!((b.how, s.ran()), (Some(TN_COPIED), 2), "AR-17");
    s.refuses(foreign(1, 2, TN_REQUIRE_BORROW), TN_ERR_WOULD_COPY);
    s.refuses(foreign(1, 2, TN_TAKE_OWNERSHIP | TN_REQUIRE_BORROW), TN_ERR_WOULD_COPY);
    assert_eq!(s.ran(), 2, "XI-17");
    s.done();
}

#[test]
fn xi_14_and_15_taken_and_read_only() {
    let mut s = Scene::new();
    let a = s.import(0, 4, TN_TAKE_OWNERSHIP);
    let m = s.import(64, 4, TN_MAY_OVERWRITE);
    assert_eq!((s.why(a), s.why(m)), (0, 0));
    let g = s.write(a, UNIQUE);
    s.release(a);
    assert_eq!(s.ran(), 0);
    s.end(g);
    assert_eq!(s.ran(), 1);
    let no_callback = Call::Import {
        ptr: Memory::base(1),
        offset: 0,
        dtype: TN_F64,
        shape: vec![4],
        strides: None,
        flags: TN_TAKE_OWNERSHIP,
        callback: false,
    };
    s.refuses(no_callback, TN_ERR_NULL);
    let r = s.import(128, 4, TN_BORROW | TN_IMPORT_READONLY);
    let v = s.slice(r, &[(0, 2, 1)]);
    let w = s.import(128, 4, TN_BORROW);
    assert_eq!((s.why(v) & TN_WHY_READONLY, s.why(w) & TN_WHY_READONLY), (TN_WHY_READONLY, 0));
    s.done();
}

#[test]
fn xi_16_joining_a_live_store() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let inside = s.at(a) + 8;
    let b = s.array(at_address(inside, 2, TN_BORROW));
    assert_eq!((s.store(b), s.h(a)), (s.store(a), 2));
    assert_eq!((s.why(a), s.why(b)), (TN_WHY_SHARED | TN_WHY_FOREIGN, TN_WHY_SHARED | TN_WHY_FOREIGN));
    s.write(a, 0);
    s.array(at_address(inside, 2, TN_REQUIRE_BORROW));
    s.release(b);
    assert_eq!(s.ran(), 1);
    s.done();
}

#[test]
fn xi_18_a_lease_ends_with_its_last_descendant() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let b = s.array(at_address(s.at(a), 4, TN_BORROW));
    let w = Ref::Weak(s.ok(Call::Weaken { array: b }).weak.unwrap());
    let c = s.clone(b);
    let x = s.export(c, XS);
    let p = s.give(c, 1);
    s.release(b);
    s.release(c);
    s.ok(Call::Cancel { promise: p });
    assert_eq!(s.ran(), 0);
    s.end(x);
    assert_eq!((s.ran(), s.why(a)), (1, 0));
    s.refuses(Call::Upgrade { weak: w }, TN_ERR_DESTRUCTED);
    s.done();
}

#[test]
fn xi_19_a_lent_store_widens_and_shrinks() {
    let mut s = Scene::new();
    let a = s.import(64, 4, TN_BORROW);
    let b = s.import(32, 12, TN_BORROW);
    let range = |s: &Scene| {
        let store = &s.model().stores[s.store(a)];
        (store.start - Memory::base(0), store.bytes())
    };
    assert_eq!((s.store(a), range(&s)), (s.store(b), (32, 96)));
    s.release(b);
    assert_eq!(range(&s), (64, 32));
    s.done();
}

#[test]
fn xi_20_ranges_that_cannot_be_one_store() {
    let mut s = Scene::new();
    let t = s.import(0, 4, TN_TAKE_OWNERSHIP);
    s.import(64, 4, TN_BORROW);
    for (offset, n) in [(16, 4), (24, 6)] {
        let done = s.ok(foreign(offset, n, TN_BORROW));
        assert_eq!(done.how, Some(TN_COPIED));
        s.refuses(foreign(offset, n, TN_REQUIRE_BORROW), TN_ERR_ALIASED);
        s.refuses(foreign(offset, n, TN_TAKE_OWNERSHIP), TN_ERR_ALIASED);
        s.refuses(foreign(offset, n, TN_MAY_OVERWRITE), TN_ERR_ALIASED);
    }
    let a = s.zeros(&[4]);
    let beyond = s.at(a) + 16;
    s.refuses(at_address(beyond, 4, TN_REQUIRE_BORROW), TN_ERR_ALIASED);
    s.ok(Call::Forbid { on: 1 });
    s.refuses(foreign(16, 4, TN_BORROW), TN_ERR_WOULD_COPY);
    s.ok(foreign(16, 4, 0));
    s.release(t);
    s.done();
}

#[test]
fn ar_19_and_20_odd_layouts() {
    let mut s = Scene::new();
    let import = |ptr, offset, shape: &[i64], strides: &[i64]| Call::Import {
        ptr,
        offset,
        dtype: TN_F64,
        shape: shape.to_vec(),
        strides: Some(strides.to_vec()),
        flags: TN_BORROW,
        callback: true,
    };
    let window = s.array(import(Memory::base(0), 0, &[3, 3], &[8, 8]));
    assert_eq!(s.why(window), TN_WHY_READONLY | TN_WHY_FOREIGN | TN_WHY_NOT_ALIASABLE);
    s.read(window);
    let back = s.array(import(Memory::base(1), 24, &[4], &[-8]));
    s.write(back, 0);
    s.refuses(import(0, 0, &[3], &[8]), TN_ERR_NULL);
    s.ok(import(0, 0, &[0], &[8]));
    s.done();
}

#[test]
fn tr_4_overlapping_copies() {
    let mut s = Scene::new();
    let a = s.array(Call::Make {
        pool: Ref::Null,
        dtype: TN_F64,
        shape: vec![6],
        order: TN_ORDER_C,
        contents: super::super::calls::Contents::Empty,
    });
    let before = s.bytes(a);
    let (front, back, reversed) = (s.slice(a, &[(0, 5, 1)]), s.slice(a, &[(1, 6, 1)]), s.slice(a, &[(NONE, NONE, -1)]));
    s.ok(Call::CopyInto { source: front, destination: back, mode: 0 });
    assert_eq!(s.bytes(back), before[..40]);
    s.ok(Call::CopyInto { source: reversed, destination: a, mode: 0 });
    s.ok(Call::CopyInto { source: a, destination: a, mode: UNIQUE });
    s.refuses(Call::CopyInto { source: front, destination: back, mode: UNIQUE }, TN_ERR_SHARED);
    s.done();
}
