//! Regions: the rows BR-20..26 and LA-22, the meaning of "contains" in BR-42, and the properties against exact byte
//! sets.

use crate::support;
use proptest::prelude::*;
use support::layout_oracle::{ALL_STEPS, KEEPING, Naive, cases, root, step};
use tenure::dtype::Dtype;
use tenure::layout::*;
use tenure::region::*;
use tenure::types::*;
use tenure_harness::test;

const U8: Dtype = Dtype::U8;

fn c_order(dtype: Dtype, shape: &[i64]) -> Layout {
    Layout::contiguous(dtype, shape, Order::C, 0).unwrap()
}

fn from_to(start: i64, stop: i64) -> tn_slice_spec {
    tn_slice_spec { start, stop, step: NONE, reserved: [0; 4] }
}

fn every(start: i64, step: i64) -> tn_slice_spec {
    tn_slice_spec { start, stop: NONE, step, reserved: [0; 4] }
}

const ALL: tn_slice_spec = tn_slice_spec { start: NONE, stop: NONE, step: NONE, reserved: [0; 4] };

fn sliced(layout: &Layout, specs: &[tn_slice_spec]) -> Layout {
    layout.slice(specs).unwrap()
}

fn own(layout: &Layout) -> Region<'_> {
    Region { layout, root: layout }
}

/// In both orders, because the result is symmetric.
#[track_caller]
fn apart(a: Region<'_>, b: Region<'_>) -> bool {
    assert_eq!(disjoint(a, b), disjoint(b, a));
    assert_eq!(overlap(a, b), overlap(b, a));
    assert_eq!(disjoint(a, b), overlap(a, b) == Overlap::None);
    disjoint(a, b)
}

/// Two views of one root.
#[track_caller]
fn within(root: &Layout, a: &Layout, b: &Layout) -> bool {
    apart(Region { layout: a, root }, Region { layout: b, root })
}

#[test]
fn br_20_extents_that_do_not_meet() {
    let a = c_order(Dtype::F64, &[10]);
    let (low, high) = (sliced(&a, &[from_to(0, 5)]), sliced(&a, &[from_to(5, 10)]));
    assert!(within(&a, &low, &high) && apart(own(&low), own(&high)));
    assert!(!within(&a, &sliced(&a, &[from_to(0, 6)]), &high));
    let m = c_order(Dtype::F64, &[4, 6]);
    assert!(within(&m, &sliced(&m, &[from_to(0, 2)]), &sliced(&m, &[from_to(2, 4)])));
}

#[test]
fn br_21_boxes_of_one_root() {
    let m = c_order(Dtype::F64, &[4, 6]);
    let part = |rows, columns| sliced(&m, &[rows, columns]);
    let (left, right) = (part(ALL, from_to(0, 2)), part(ALL, from_to(2, 6)));
    assert!(within(&m, &left, &right));
    assert!(!within(&m, &left, &part(ALL, from_to(1, 6))));
    let (near, far) = (part(from_to(0, 2), from_to(0, 3)), part(from_to(2, 4), from_to(3, 6)));
    assert!(within(&m, &near, &far));
    assert!(within(&m, &part(from_to(0, 2), from_to(3, 6)), &part(from_to(2, 4), from_to(0, 3))));
    // Also if one comes through a transposed view, an expanded one, or a single column.
    let turned = m.transpose().unwrap();
    assert!(within(&m, &left, &sliced(&turned, &[from_to(2, 6)])));
    assert!(!within(&m, &left, &sliced(&turned, &[from_to(1, 6)])));
    assert!(within(&m, &left.expand(1).unwrap(), &turned.index(0, 3).unwrap()));
    assert!(!within(&m, &left, &turned.index(0, 1).unwrap()));
    assert!(within(&m, &left, &right.broadcast(&[3, 4, 4]).unwrap()));
}

#[test]
fn br_22_progressions() {
    let a = c_order(U8, &[60]);
    let (two, three) = (every(0, 2), every(0, 3));
    for (x, y) in [(two, every(1, 2)), (three, every(1, 3)), (two, every(3, 4))] {
        assert!(within(&a, &sliced(&a, &[x]), &sliced(&a, &[y])), "{x:?} {y:?}");
    }
    for (x, y) in [(two, three), (every(1, 2), three)] {
        assert!(!within(&a, &sliced(&a, &[x]), &sliced(&a, &[y])), "{x:?} {y:?}");
    }
    // In equal residue classes, but the first common index is past the end of one: 0, 3, .. 12 and 1, 8 meet at 15.
    let short = tn_slice_spec { start: 1, stop: 13, step: 7, reserved: [0; 4] };
    assert!(within(
        &a,
        &sliced(&a, &[tn_slice_spec { start: 0, stop: 13, step: 3, reserved: [0; 4] }]),
        &sliced(&a, &[short])
    ));
    assert!(!within(&a, &sliced(&a, &[three]), &sliced(&a, &[every(1, 7)])));
    // As above, but the first common index lies before one of them: 3 and then 24.
    let (p, q) = (
        |stop| tn_slice_spec { start: 0, stop, step: 3, reserved: [0; 4] },
        tn_slice_spec { start: 10, stop: 60, step: 7, reserved: [0; 4] },
    );
    assert!(within(&a, &sliced(&a, &[p(24)]), &sliced(&a, &[q])));
    assert!(!within(&a, &sliced(&a, &[p(25)]), &sliced(&a, &[q])));
    assert!(!within(&a, &sliced(&a, &[from_to(1, 4)]), &sliced(&a, &[three])));
    assert!(within(&a, &sliced(&a, &[from_to(1, 3)]), &sliced(&a, &[three])));
    // This question on axes too long to walk.
    let long = c_order(U8, &[1 << 60]);
    let (p, q) = ((1 << 29) - 3, (1 << 29) - 33); // coprime: they meet once in 2^58
    let meets = sliced(&long, &[every(5, p)]);
    assert!(!within(&long, &meets, &sliced(&long, &[every(7, q)])));
    let stops = tn_slice_spec { start: 7, stop: 1 << 30, step: q, reserved: [0; 4] };
    assert!(within(&long, &meets, &sliced(&long, &[stops])));
}

#[test]
fn br_23_negative_steps() {
    let a = c_order(Dtype::F64, &[10]);
    let back = sliced(&a, &[every(8, -2)]);
    let forth = sliced(&a, &[tn_slice_spec { start: 0, stop: 9, step: 2, reserved: [0; 4] }]);
    for odd in [every(1, 2), every(9, -2)] {
        let odd = sliced(&a, &[odd]);
        assert!(within(&a, &back, &odd) && within(&a, &forth, &odd));
    }
    for other in [every(4, 5), every(0, 8), every(9, -3), ALL] {
        let other = sliced(&a, &[other]);
        assert!(!within(&a, &back, &other) && !within(&a, &forth, &other));
    }
    let (back, forth) = (Region { layout: &back, root: &a }, Region { layout: &forth, root: &a });
    assert!(contains(back, forth) && contains(forth, back));
    assert_eq!(overlap(back, forth), Overlap::Some); // another order
}

#[test]
fn br_24_residue_classes_of_other_roots() {
    let a = c_order(Dtype::F64, &[12]);
    let r = a.reshape(&[6, 2], Order::C).unwrap();
    let even = r.index(1, 0).unwrap();
    let even = Region { layout: &even, root: &r };
    let (a_even, a_odd) = (sliced(&a, &[every(0, 2)]), sliced(&a, &[every(1, 2)]));
    assert!(apart(even, Region { layout: &a_odd, root: &a }));
    assert!(!apart(even, Region { layout: &a_even, root: &a }));
    // Real and imaginary parts.
    let complex = c_order(Dtype::of(TN_C128).unwrap(), &[5]);
    let halves = complex.view_dtype(Dtype::F64).unwrap();
    let (real, imag) = (sliced(&halves, &[every(0, 2)]), sliced(&halves, &[every(1, 2)]));
    assert!(within(&halves, &real, &imag));
    assert!(apart(own(&real), own(&imag)));
    assert!(!apart(Region { layout: &real, root: &halves }, own(&complex)));
    // Unequal width.
    let bytes = c_order(U8, &[64]);
    let words = bytes.view_dtype(Dtype::of(TN_I32).unwrap()).unwrap();
    let thin = sliced(&bytes, &[every(2, 8)]);
    let thin = Region { layout: &thin, root: &bytes };
    for (start, expected) in [(1, true), (0, false)] {
        let wide = sliced(&words, &[every(start, 2)]);
        assert_eq!(apart(thin, Region { layout: &wide, root: &words }), expected);
    }
}

#[test]
fn br_25_undecided_is_overlap() {
    let m = c_order(U8, &[3, 4]);
    let r = m.reshape(&[12], Order::C).unwrap();
    let column = m.index(1, 0).unwrap();
    let sparse = sliced(&r, &[tn_slice_spec { start: 1, stop: 12, step: 6, reserved: [0; 4] }]);
    assert!(apart(Region { layout: &column, root: &m }, Region { layout: &sparse, root: &r }));
    let columns = sliced(&m, &[ALL, from_to(0, 2)]);
    let pair = sliced(&r, &[tn_slice_spec { start: 2, stop: 12, step: 8, reserved: [0; 4] }]);
    assert_eq!((pair.shape(), pair.strides(), pair.offset()), (&[2][..], &[8][..], 2));
    let (columns, pair) = (Region { layout: &columns, root: &m }, Region { layout: &pair, root: &r });
    assert!(!apart(columns, pair));
    assert_eq!(overlap(columns, pair), Overlap::Unknown);
}

#[test]
fn br_18_an_empty_region_meets_nothing() {
    let m = c_order(Dtype::F64, &[4, 6]);
    let none = sliced(&m, &[ALL, from_to(2, 2)]);
    assert!(within(&m, &none, &none) && within(&m, &none, &m) && apart(own(&none), own(&m)));
    let (none, all) = (Region { layout: &none, root: &m }, own(&m));
    assert!(contains(all, none) && contains(none, none) && !contains(none, all));
}

#[test]
fn a_root_whose_elements_share_bytes_has_no_boxes() {
    // A sliding window: its rows 0 and 1 share bytes, although their indices differ.
    let window = Layout::strided(U8, &[4, 3], &[1, 1], 0).unwrap();
    let (top, next) = (window.index(0, 0).unwrap(), window.index(0, 1).unwrap());
    assert!(!within(&window, &top, &next));
    // A root of another array has no box, so nothing is concluded from it.
    let m = c_order(U8, &[4, 4]);
    let (shifted, odd) = (Layout::strided(U8, &[3], &[3], 1).unwrap(), Layout::strided(U8, &[3], &[4], 2).unwrap());
    assert!(!within(&m, &shifted, &odd));
    let f = c_order(Dtype::F64, &[4]);
    let [between, second] = [4, 8].map(|at| Layout::contiguous(Dtype::F64, &[1], Order::C, at).unwrap());
    assert!(!within(&f, &between, &second));
    let outside = Layout::strided(U8, &[3], &[8], 2).unwrap();
    assert!(!within(&m, &outside, &sliced(&m, &[every(2, 2)])));
}

#[test]
fn la_22_codes_and_proofs_without_a_common_root() {
    let codes = [Overlap::None, Overlap::Exact, Overlap::Some, Overlap::Unknown].map(Overlap::code);
    assert_eq!(codes, [TN_OVERLAP_NONE, TN_OVERLAP_EXACT, TN_OVERLAP_SOME, TN_OVERLAP_UNKNOWN]);
    let m = c_order(U8, &[3, 4]);
    let r = m.reshape(&[12], Order::C).unwrap();
    let (rows, run) = (sliced(&m, &[from_to(1, 3)]), sliced(&r, &[from_to(2, 6)]));
    let (rows, run) = (Region { layout: &rows, root: &m }, Region { layout: &run, root: &r });
    assert_eq!(overlap(rows, run), Overlap::Some); // neither has gaps
    let (column, column_too) = (m.index(1, 2).unwrap(), sliced(&r, &[every(2, 2)]));
    let (column, column_too) = (Region { layout: &column, root: &m }, Region { layout: &column_too, root: &r });
    assert_eq!(overlap(column, column_too), Overlap::Some); // the same first element
    let corner = sliced(&m, &[every(0, 2), every(0, 3)]);
    assert_eq!(overlap(Region { layout: &corner, root: &m }, run), Overlap::Unknown);
}

#[test]
fn br_42_contains() {
    let m = c_order(Dtype::F64, &[4, 6]);
    let part = |rows, columns| sliced(&m, &[rows, columns]);
    let holds = |outer: &Layout, inner: &Layout| {
        contains(Region { layout: outer, root: &m }, Region { layout: inner, root: &m })
    };
    let (left, corner) = (part(ALL, from_to(0, 3)), part(from_to(1, 3), every(0, 2)));
    assert!(holds(&m, &left) && !holds(&left, &m));
    assert!(!holds(&left, &corner)); // its column 4 lies outside
    assert!(holds(&left, &part(from_to(1, 3), from_to(0, 2))));
    assert!(holds(&part(every(0, 2), every(1, 2)), &part(from_to(2, 3), every(5, -4))));
    assert!(!holds(&part(every(0, 2), every(1, 2)), &part(from_to(2, 3), every(1, 3))));
    // Without gaps it contains everything that it spans, whatever the other's root is.
    let bytes = m.view_dtype(U8).unwrap();
    let some = sliced(&bytes, &[from_to(1, 2), every(3, 5)]);
    let some = Region { layout: &some, root: &bytes };
    assert!(contains(own(&m), some) && contains(own(&m.transpose().unwrap()), some));
    let second = m.index(0, 1).unwrap();
    assert!(contains(Region { layout: &second, root: &m }, some));
    let (third, most) = (m.index(0, 2).unwrap(), part(ALL, from_to(0, 5)));
    assert!(!contains(Region { layout: &third, root: &m }, some));
    assert!(!contains(Region { layout: &most, root: &m }, some)); // with gaps, and another root
}

/// A chain of views: the layout, its list of elements, and its root.
struct Chain {
    layout: Layout,
    model: Naive,
    root: Layout,
}

impl Chain {
    fn new(base: &Layout, steps: &[u64], kinds: u64) -> Chain {
        let layout = base.try_clone().unwrap();
        let mut chain = Chain { model: Naive::of(&layout), root: base.try_clone().unwrap(), layout };
        for &seed in steps {
            let step = step(&chain.layout, &chain.model, seed, kinds);
            if let (Ok(layout), Ok(model)) = (step.ours, step.naive) {
                if step.new_root {
                    chain.root = layout.try_clone().unwrap();
                }
                (chain.layout, chain.model) = (layout, model);
            }
        }
        chain
    }

    fn region(&self) -> Region<'_> {
        Region { layout: &self.layout, root: &self.root }
    }
}

/// The relation of two chains; `exact`: they have a common root with boxes.
fn check_pair(a: &Chain, b: &Chain, exact: bool) {
    let (bytes_a, bytes_b) = (a.model.bytes(), b.model.bytes());
    let shared = bytes_a.iter().any(|byte| bytes_b.binary_search(byte).is_ok());
    let apart = apart(a.region(), b.region());
    assert!(!(apart && shared), "said to be apart");
    assert!(!exact || apart != shared, "boxes are decided");
    match overlap(a.region(), b.region()) {
        Overlap::None => {}
        Overlap::Exact => assert!(a.model.at == b.model.at && a.model.item == b.model.item && shared),
        Overlap::Some => assert!(shared && (a.model.at != b.model.at || a.model.item != b.model.item)),
        Overlap::Unknown => assert!(!exact && a.model.at != b.model.at),
    }
    let inside = bytes_b.iter().all(|byte| bytes_a.binary_search(byte).is_ok());
    let contains = contains(a.region(), b.region());
    assert!(!contains || inside, "said to contain");
    assert!(!exact || contains == inside, "containing boxes are decided");
}

fn chain() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(any::<u64>(), 0..5)
}

proptest! {
    #![proptest_config(cases(30_000))]

    #[test]
    fn br_26_never_apart_where_a_byte_is_shared(seed: u64, a in chain(), b in chain()) {
        let base = root(seed);
        let (a, b) = (Chain::new(&base, &a, ALL_STEPS), Chain::new(&base, &b, ALL_STEPS));
        check_pair(&a, &b, false);
    }

    #[test]
    fn br_26_boxes_of_one_root_are_decided_exactly(seed: u64, first in chain(), a in chain(), b in chain()) {
        // The root is any nested view, also one with gaps and negative strides.
        let base = Chain::new(&root(seed), &first, ALL_STEPS).layout;
        let exact = !base.is_empty() && Nest::new(&base).is_nested(&base);
        let (a, b) = (Chain::new(&base, &a, KEEPING), Chain::new(&base, &b, KEEPING));
        check_pair(&a, &b, exact);
    }

    #[test]
    fn br_26_any_two_progressions_of_a_long_axis(n in 1i64..90, a in progression(), b in progression()) {
        let base = c_order(U8, &[n]);
        let cut = |spec| {
            let layout = sliced(&base, &[spec]);
            Chain { model: Naive::of(&layout), root: base.try_clone().unwrap(), layout }
        };
        check_pair(&cut(a), &cut(b), true);
    }

    #[test]
    fn br_26_any_two_layouts(a in any_layout(), b in any_layout()) {
        let (a, b) = (Chain::new(&a, &[], 1), Chain::new(&b, &[], 1));
        check_pair(&a, &b, false);
    }
}

fn progression() -> impl Strategy<Value = tn_slice_spec> {
    (-90i64..90, -90i64..90, 1i64..16, any::<bool>()).prop_map(|(start, stop, step, back)| tn_slice_spec {
        start,
        stop,
        step: if back { -step } else { step },
        reserved: [0; 4],
    })
}

/// Any strides and offset, as imports may have them.
fn any_layout() -> impl Strategy<Value = Layout> {
    let axes = (0usize..3).prop_flat_map(|n| {
        (prop::collection::vec(1i64..6, n..=n), prop::collection::vec(-30i64..30, n..=n), 100i64..160, 0usize..15)
    });
    axes.prop_map(|(shape, strides, offset, dtype)| {
        Layout::strided(Dtype::ALL[dtype], &shape, &strides, offset).unwrap()
    })
}
