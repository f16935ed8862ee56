//! Layouts and views: the worked examples X1-X43, the rows LA and the layout part of the rows AR.
//!
//! The random chains of views (LA-21) are in tests/library/layout_model.rs.

use tenure::dtype::Dtype;
use tenure::error::Result;
use tenure::layout::*;
use tenure::region::{Overlap, Region, overlap};
use tenure::types::*;
use tenure_harness::test;

const F64: Dtype = Dtype::F64;
const U8: Dtype = Dtype::U8;

fn dtype(raw: tn_dtype) -> Dtype {
    Dtype::of(raw).unwrap()
}

fn c_order(dtype: Dtype, shape: &[i64]) -> Layout {
    Layout::contiguous(dtype, shape, Order::C, 0).unwrap()
}

/// The (3,4) in order C of the examples.
fn c() -> Layout {
    c_order(F64, &[3, 4])
}

/// The (3,4) in order F.
fn f() -> Layout {
    Layout::contiguous(F64, &[3, 4], Order::F, 0).unwrap()
}

/// The (4,6) in order C.
fn d() -> Layout {
    c_order(F64, &[4, 6])
}

/// The (2,3,4) in order C.
fn c3() -> Layout {
    c_order(F64, &[2, 3, 4])
}

/// The i16 (4,8).
fn i16s() -> Layout {
    c_order(dtype(TN_I16), &[4, 8])
}

fn spec(start: i64, stop: i64, step: i64) -> tn_slice_spec {
    tn_slice_spec { start, stop, step, reserved: [0; 4] }
}

const ALL: tn_slice_spec = tn_slice_spec { start: NONE, stop: NONE, step: NONE, reserved: [0; 4] };

fn every(step: i64) -> tn_slice_spec {
    spec(NONE, NONE, step)
}

fn sliced(layout: &Layout, specs: &[tn_slice_spec]) -> Layout {
    layout.slice(specs).unwrap()
}

#[track_caller]
fn expect(layout: Result<Layout>, shape: &[i64], strides: &[i64], offset: i64, c: bool, f: bool) -> Layout {
    let layout = layout.unwrap();
    assert!(layout.is_valid());
    assert_eq!((layout.shape(), layout.strides(), layout.offset()), (shape, strides, offset));
    assert_eq!((layout.is_c(), layout.is_f()), (c, f), "C, F");
    layout
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T>, status: tn_status) {
    assert_eq!(result.unwrap_err().code(), status);
}

#[track_caller]
fn lies(a: &Layout, b: &Layout, root: &Layout) -> Overlap {
    let (a, b) = (Region { layout: a, root }, Region { layout: b, root });
    assert_eq!(overlap(a, b), overlap(b, a));
    overlap(a, b)
}

#[test]
fn x1_x2_orders() {
    expect(Ok(c()), &[3, 4], &[32, 8], 0, true, false);
    expect(Ok(f()), &[3, 4], &[8, 24], 0, false, true);
}

#[test]
fn x3_to_x10_reshape() {
    expect(c().reshape(&[12], Order::C), &[12], &[8], 0, true, true);
    expect(c().reshape(&[2, 6], Order::C), &[2, 6], &[48, 8], 0, true, false);
    expect(c().reshape(&[3, 2, 2], Order::C), &[3, 2, 2], &[32, 16, 8], 0, true, false);
    expect(c().reshape(&[3, 2, 2], Order::F), &[3, 2, 2], &[32, 8, 16], 0, false, false);
    expect(f().reshape(&[2, 6], Order::F), &[2, 6], &[8, 16], 0, false, true);
    expect(f().reshape(&[3, 2, 2], Order::C), &[3, 2, 2], &[8, 48, 24], 0, false, false);
    expect(f().reshape(&[3, 2, 2], Order::F), &[3, 2, 2], &[8, 24, 48], 0, false, true);
    expect(c3().reshape(&[6, 4], Order::C), &[6, 4], &[32, 8], 0, true, false);
}

#[test]
fn x11_to_x15_reshape_of_slices() {
    let s = expect(d().slice(&[ALL, every(2)]), &[4, 3], &[48, 16], 0, false, false);
    expect(s.reshape(&[12], Order::C), &[12], &[16], 0, false, false);
    expect(s.reshape(&[2, 2, 3], Order::C), &[2, 2, 3], &[96, 48, 16], 0, false, false);
    expect(s.reshape(&[4, 1, 3], Order::C), &[4, 1, 3], &[48, 48, 16], 0, false, false);
    expect(sliced(&d(), &[every(2)]).reshape(&[2, 2, 3], Order::C), &[2, 2, 3], &[96, 24, 8], 0, false, false);
}

#[test]
fn x16_to_x22_slices() {
    expect(d().slice(&[every(-1)]), &[4, 6], &[-48, 8], 144, false, false);
    let turned = expect(d().slice(&[every(-1), every(-1)]), &[4, 6], &[-48, -8], 184, false, false);
    expect(turned.reshape(&[24], Order::C), &[24], &[-8], 184, false, false);
    expect(d().slice(&[spec(3, 0, -2), spec(1, 5, 3)]), &[2, 2], &[-96, 24], 152, false, false);
    expect(d().slice(&[spec(1, 3, NONE), spec(-2, NONE, NONE)]), &[2, 2], &[48, 8], 80, false, false);
    expect(d().slice(&[spec(2, 2, NONE)]), &[0, 6], &[48, 8], 0, true, true);
    expect(d().slice(&[spec(5, 10, NONE)]), &[0, 6], &[48, 8], 0, true, true);
    expect(d().slice(&[spec(1, NONE, 100)]), &[1, 6], &[48, 8], 48, true, true);
}

#[test]
fn x23_to_x26_index_transpose_permute() {
    expect(d().index(0, -1), &[6], &[8], 144, true, true);
    expect(d().index(1, 4), &[4], &[48], 32, false, false);
    expect(d().transpose(), &[6, 4], &[8, 48], 0, false, true);
    expect(c3().permute(&[2, 0, 1]), &[4, 2, 3], &[8, 96, 32], 0, false, false);
}

#[test]
fn x27_to_x29_squeeze_expand() {
    let units = c_order(F64, &[1, 3, 1]);
    expect(units.squeeze(None), &[3], &[8], 0, true, true);
    expect(units.squeeze(Some(&[-1])), &[1, 3], &[24, 8], 0, true, true);
    expect(d().expand(0), &[1, 4, 6], &[192, 48, 8], 0, true, false);
    expect(d().expand(1), &[4, 1, 6], &[48, 48, 8], 0, true, false);
    expect(d().expand(2), &[4, 6, 1], &[48, 8, 8], 0, true, false);
}

#[test]
fn x30_to_x34_broadcast() {
    let read_only = |layout: &Layout| assert!(layout.stretched() && layout.self_overlaps());
    read_only(&expect(c_order(F64, &[3, 1]).broadcast(&[3, 4]), &[3, 4], &[8, 0], 0, false, false));
    read_only(&expect(c_order(F64, &[4]).broadcast(&[3, 4]), &[3, 4], &[0, 8], 0, false, false));
    read_only(&expect(c_order(F64, &[]).broadcast(&[2, 2]), &[2, 2], &[0, 0], 0, false, false));
    let kept = expect(c_order(F64, &[3, 1]).broadcast(&[1, 3, 1]), &[1, 3, 1], &[24, 8, 8], 0, true, true);
    assert!(!kept.stretched() && !kept.self_overlaps());
    let all = c_order(F64, &[]).broadcast(&[2, 3]).unwrap();
    read_only(&expect(all.reshape(&[6], Order::C), &[6], &[0], 0, false, false));
}

#[test]
fn x35_to_x37_view_dtype() {
    expect(i16s().view_dtype(dtype(TN_I32)), &[4, 4], &[16, 4], 0, true, false);
    expect(i16s().view_dtype(dtype(TN_I64)), &[4, 2], &[16, 8], 0, true, false);
    expect(i16s().view_dtype(U8), &[4, 16], &[16, 1], 0, true, false);
    expect(sliced(&i16s(), &[ALL, every(2)]).view_dtype(dtype(TN_U16)), &[4, 4], &[16, 4], 0, false, false);
    let middle = sliced(&i16s(), &[ALL, spec(2, 6, NONE)]);
    expect(middle.view_dtype(dtype(TN_I32)), &[4, 2], &[16, 4], 4, false, false);
}

fn cut<const N: usize>(layout: &Layout, axis: usize, parts: Parts) -> [Layout; N] {
    let parts: Vec<Layout> = parts.map(|(start, length)| layout.part(axis, start, length).unwrap()).collect();
    parts.try_into().unwrap()
}

#[test]
fn x38_to_x40_parts() {
    let [a, b, last] = cut(&c_order(dtype(TN_I16), &[10]), 0, pieces(10, 4));
    expect(Ok(a), &[4], &[2], 0, true, true);
    expect(Ok(b), &[4], &[2], 8, true, true);
    expect(Ok(last), &[2], &[2], 16, true, true);
    let [a, b] = cut(&d(), 1, pieces(6, 4));
    expect(Ok(a), &[4, 4], &[48, 8], 0, false, false);
    expect(Ok(b), &[4, 2], &[48, 8], 32, false, false);
    let [a, b, last] = cut(&d(), 0, even_parts(4, 3));
    expect(Ok(a), &[2, 6], &[48, 8], 0, true, false);
    expect(Ok(b), &[1, 6], &[48, 8], 96, true, true);
    expect(Ok(last), &[1, 6], &[48, 8], 144, true, true);
}

#[test]
fn x41_reshapes_that_need_a_copy() {
    for shape in [&[12][..], &[2, 6], &[4, 3]] {
        refused(c().reshape(shape, Order::F), TN_ERR_LAYOUT);
        refused(f().reshape(shape, Order::C), TN_ERR_LAYOUT);
    }
    refused(sliced(&d(), &[ALL, spec(NONE, 3, NONE)]).reshape(&[12], Order::C), TN_ERR_LAYOUT);
    refused(sliced(&d(), &[every(2)]).reshape(&[12], Order::C), TN_ERR_LAYOUT);
    refused(sliced(&d(), &[every(-1)]).reshape(&[24], Order::C), TN_ERR_LAYOUT);
    refused(c_order(F64, &[2, 1]).broadcast(&[2, 3]).unwrap().reshape(&[6], Order::C), TN_ERR_LAYOUT);
    let i32s = dtype(TN_I32);
    refused(sliced(&i16s(), &[ALL, every(2)]).view_dtype(i32s), TN_ERR_LAYOUT);
    refused(i16s().transpose().unwrap().view_dtype(i32s), TN_ERR_LAYOUT);
    refused(sliced(&i16s(), &[ALL, spec(1, 3, NONE)]).view_dtype(i32s), TN_ERR_LAYOUT);
}

#[test]
fn x42_shapes_that_do_not_fit() {
    refused(c_order(dtype(TN_I16), &[4, 3]).view_dtype(dtype(TN_I32)), TN_ERR_SHAPE);
    for shape in [&[5, -1][..], &[-1, -1], &[13]] {
        refused(c().reshape(shape, Order::C), TN_ERR_SHAPE);
    }
}

#[test]
fn x43_overlaps() {
    let d = d();
    let cut = |rows, columns| sliced(&d, &[rows, columns]);
    assert_eq!(lies(&cut(every(2), ALL), &cut(spec(1, NONE, 2), ALL), &d), Overlap::None);
    assert_eq!(lies(&cut(ALL, spec(NONE, 3, NONE)), &cut(ALL, spec(3, NONE, NONE)), &d), Overlap::None);
    assert_eq!(lies(&cut(every(2), ALL), &cut(every(3), ALL), &d), Overlap::Some);
    let (corner, other) = (spec(NONE, 3, NONE), spec(2, NONE, NONE));
    assert_eq!(lies(&cut(corner, corner), &cut(other, other), &d), Overlap::Some);
    assert_eq!(lies(&d, &cut(every(-1), ALL), &d), Overlap::Some);
    assert_eq!(lies(&d, &d, &d), Overlap::Exact);
}

// ------------------------------------------------------------------------------------------------- AR: constructors

#[test]
fn ar_2_no_axes_is_one_element() {
    let scalar = expect(Layout::contiguous(F64, &[], Order::F, 16), &[], &[], 16, true, true);
    assert_eq!((scalar.count(), scalar.bytes(), scalar.extent()), (1, 8, Some((16, 24))));
    expect(Layout::contiguous(F64, &[5], Order::F, 0), &[5], &[8], 0, true, true);
}

#[test]
fn ar_3_zero_counts_as_one_in_strides() {
    let a = expect(Layout::contiguous(F64, &[0, 3], Order::C, 0), &[0, 3], &[24, 8], 0, true, true);
    assert_eq!((a.count(), a.bytes(), a.extent()), (0, 0, None));
    assert!(a.is_empty() && a.is_aligned() && !a.self_overlaps() && !a.is_gapless());
    expect(Layout::contiguous(F64, &[2, 0, 3], Order::C, 0), &[2, 0, 3], &[24, 24, 8], 0, true, true);
    expect(Layout::contiguous(F64, &[2, 0, 3], Order::F, 0), &[2, 0, 3], &[8, 16, 16], 0, true, true);
}

#[test]
fn ar_7_like_follows_the_prototype() {
    let p = Layout::strided(F64, &[3, 4, 2], &[32, 8, 96], 40).unwrap();
    expect(p.like(Order::K), &[3, 4, 2], &[32, 8, 96], 0, false, false);
    expect(p.like(Order::C), &[3, 4, 2], &[64, 16, 8], 0, true, false);
    expect(p.like(Order::F), &[3, 4, 2], &[8, 24, 96], 0, false, true);
    let gaps = Layout::strided(F64, &[4, 3], &[48, 16], 0).unwrap();
    expect(gaps.like(Order::K), &[4, 3], &[24, 8], 0, true, false);
    let turned = d().transpose().unwrap().slice(&[every(-1)]).unwrap();
    expect(turned.like(Order::K), &[6, 4], &[8, 48], 0, false, true);
    let stretched = c_order(F64, &[3, 1]).transpose().unwrap().broadcast(&[4, 3]).unwrap();
    expect(stretched.like(Order::K), &[4, 3], &[24, 8], 0, true, false);
    expect(f().like(Order::A), &[3, 4], &[8, 24], 0, false, true);
    expect(gaps.like(Order::A), &[4, 3], &[24, 8], 0, true, false);
    expect(sliced(&f(), &[spec(0, 0, 1)]).like(Order::K), &[0, 4], &[8, 8], 0, true, true);
}

#[test]
fn ar_9_bad_input() {
    refused(check_ndim(-1), TN_ERR_SHAPE);
    refused(check_ndim(65), TN_ERR_OVERFLOW);
    assert_eq!(check_ndim(64), Ok(64));
    refused(Layout::contiguous(F64, &[1; 65], Order::C, 0), TN_ERR_OVERFLOW);
    refused(Layout::contiguous(F64, &[3, -1], Order::C, 0), TN_ERR_SHAPE);
    refused(Layout::strided(F64, &[3, -1], &[8, 8], 0), TN_ERR_SHAPE);
    refused(Layout::strided(F64, &[3], &[8, 8], 0), TN_ERR_SHAPE);
    refused(Order::of(7), TN_ERR_INVALID);
    refused(Order::of(u32::MAX), TN_ERR_INVALID);
    refused(Order::of(TN_ORDER_K), TN_ERR_INVALID);
    refused(Order::of_like(7), TN_ERR_INVALID);
    assert_eq!(Order::of_like(TN_ORDER_K), Ok(Order::K));
    assert_eq!([TN_ORDER_C, TN_ORDER_F, TN_ORDER_A].map(|o| Order::of(o).unwrap()), [Order::C, Order::F, Order::A]);
    let many = expect(Layout::contiguous(F64, &[1; 64], Order::C, 0), &[1; 64], &[8; 64], 0, true, true);
    assert_eq!(many.try_clone().unwrap(), many);
}

#[test]
fn ar_10_sizes_that_overflow() {
    refused(Layout::contiguous(U8, &[1 << 40, 1 << 40], Order::C, 0), TN_ERR_OVERFLOW);
    refused(Layout::contiguous(U8, &[0, 1 << 62, 1 << 62], Order::F, 0), TN_ERR_OVERFLOW);
    refused(Layout::contiguous(dtype(TN_C128), &[1 << 59], Order::C, 0), TN_ERR_OVERFLOW);
    refused(Layout::contiguous(F64, &[i64::MAX], Order::C, 0), TN_ERR_OVERFLOW);
    refused(Layout::strided(U8, &[0, 1 << 62, 1 << 62], &[1, 1, 1], 0), TN_ERR_OVERFLOW);
    // The order of the checks: OVERFLOW before SHAPE.
    refused(Layout::contiguous(U8, &[-1, 1 << 62, 1 << 62], Order::C, 0), TN_ERR_OVERFLOW);
    // AR-11: no layout error.
    let huge = c_order(U8, &[i64::MAX]);
    assert_eq!((huge.bytes(), huge.extent()), (i64::MAX, Some((0, i64::MAX))));
    refused(Layout::contiguous(U8, &[i64::MAX], Order::C, 1), TN_ERR_RANGE);
}

#[test]
fn ar_19_elements_that_share_bytes() {
    let overlaps =
        |shape: &[i64], strides: &[i64]| Layout::strided(F64, shape, strides, 1 << 20).unwrap().self_overlaps();
    assert!(overlaps(&[3, 3], &[8, 8]));
    assert!(overlaps(&[3], &[0]));
    assert!(overlaps(&[3], &[7])); // unaligned neighbours
    assert!(!overlaps(&[1, 3], &[0, 8]));
    assert!(!overlaps(&[0, 3], &[0, 0]));
    assert!(!overlaps(&[3], &[-8]));
    assert!(!overlaps(&[4, 6], &[8, -32]));
    // Not nested, but disjoint: 40 i + 24 j meets itself at (3, -5) only.
    assert!(!overlaps(&[3, 5], &[40, 24]));
    assert!(!overlaps(&[4, 3], &[40, 24]));
    assert!(overlaps(&[6, 4], &[24, 40]));
    assert!(!overlaps(&[5, 4], &[24, 40]));
    // 64 axes that nest, and 64 that do not.
    assert!(!c_order(U8, &[2; 62]).self_overlaps());
    assert!(c_order(U8, &[2; 62]).transpose().unwrap().like(Order::K).unwrap().is_f());
    let mixed: Vec<i64> = (0..62).map(|axis| 1 << (axis * 7 % 62)).collect();
    assert!(!Layout::strided(U8, &[2; 62], &mixed, 0).unwrap().self_overlaps());
    assert!(Layout::strided(U8, &[2; 62], &[1 << 50; 62], 0).unwrap().self_overlaps());
}

#[test]
fn ar_19_sliding_windows_are_found_at_once_whatever_their_size() {
    let window = Layout::strided(F64, &[1 << 40, 1 << 10], &[8, 8], 0).unwrap();
    assert!(window.self_overlaps() && !window.stretched() && window.is_gapless());
    let skewed = Layout::strided(U8, &[100_000, 100_000, 7], &[1_000_003, 999_983, 5], 0).unwrap();
    assert!(skewed.self_overlaps());
    // Undecided counts as overlap: these would meet at (999983, -1000003) only, which is beyond the limit of the
    // search.
    let strides = [1_000_003, 999_983];
    assert!(Layout::strided(U8, &[100_000, 100_000], &strides, 0).unwrap().self_overlaps());
    assert!(!Layout::strided(U8, &[1_000, 1_000], &strides, 0).unwrap().self_overlaps());
}

#[test]
fn ar_20_addresses_that_wrap() {
    let mut a = Layout::strided(F64, &[4], &[-8], 24).unwrap();
    assert_eq!(a.extent(), Some((0, 32)));
    a.rebase(4096).unwrap();
    assert_eq!(a.extent(), Some((4096, 4128)));
    let mut below = Layout::strided(F64, &[4], &[-8], 16).unwrap();
    refused(below.rebase(7), TN_ERR_RANGE);
    assert_eq!(below.offset(), 16);
    below.rebase(8).unwrap();
    let mut above = c_order(F64, &[4]);
    refused(above.rebase(u64::MAX - 16), TN_ERR_RANGE);
    refused(above.rebase(i64::MAX as u64 - 31), TN_ERR_RANGE);
    above.rebase(i64::MAX as u64 - 32).unwrap();
    // Strides that reach too far are OVERFLOW; an offset that moves them out of i64 is RANGE.
    refused(Layout::strided(F64, &[3], &[i64::MAX], 0), TN_ERR_OVERFLOW);
    refused(Layout::strided(F64, &[2], &[i64::MIN], 0), TN_ERR_OVERFLOW);
    refused(Layout::strided(F64, &[2, 2], &[i64::MAX - 100, 200], 0), TN_ERR_OVERFLOW);
    refused(Layout::strided(F64, &[2], &[1 << 62], 1 << 62), TN_ERR_RANGE);
    refused(Layout::strided(F64, &[2], &[-(1 << 62)], -(1 << 62) - 1), TN_ERR_RANGE);
    refused(Layout::strided(F64, &[2, 2], &[1 << 62, -(1 << 62)], 0), TN_ERR_OVERFLOW); // further apart than i64
    // An axis of length 1 reaches nothing, nor does any axis beside a length 0.
    expect(Layout::strided(F64, &[1], &[i64::MIN], 0), &[1], &[i64::MIN], 0, true, true);
    expect(Layout::strided(F64, &[0, 9], &[1, i64::MAX], 3), &[0, 9], &[1, i64::MAX], 3, true, true);
}

// --------------------------------------------------------------------------------------------------------- LA: views

#[test]
fn la_2_contiguity() {
    let flags = |shape: &[i64], strides: &[i64]| {
        let layout = Layout::strided(F64, shape, strides, 0).unwrap();
        (layout.is_c(), layout.is_f())
    };
    assert_eq!(flags(&[1, 10], &[800, 8]), (true, true));
    assert_eq!(flags(&[10, 1], &[8, -3]), (true, true));
    assert_eq!(flags(&[3, 0], &[5, 7]), (true, true));
    assert_eq!(flags(&[0, 3], &[0, 0]), (true, true));
    assert_eq!(flags(&[2, 3], &[0, 8]), (false, false));
    assert_eq!(flags(&[2], &[-8]), (false, false));
    assert_eq!(flags(&[], &[]), (true, true));
}

#[test]
fn la_3_same_shape_is_a_clone_and_unit_axes_follow_their_neighbour() {
    let odd = Layout::strided(F64, &[4, 1, 3], &[-48, 5, 16], 200).unwrap();
    for order in [Order::C, Order::F, Order::A] {
        assert_eq!(odd.reshape(&[4, 1, 3], order).unwrap(), odd);
        assert_eq!(odd.reshape(&[4, -1, 3], order).unwrap(), odd);
    }
    let s = sliced(&d(), &[ALL, every(2)]); // (4,3) with (48,16)
    expect(s.reshape(&[1, 4, 1, 1, 3, 1], Order::C), &[1, 4, 1, 1, 3, 1], &[192, 48, 48, 48, 16, 8], 0, false, false);
    expect(s.reshape(&[1, 4, 1, 1, 3, 1], Order::F), &[1, 4, 1, 1, 3, 1], &[8, 48, 192, 192, 16, 48], 0, false, false);
    let dense = Layout::strided(F64, &[4, 1, 3], &[48, 5, 16], 200).unwrap();
    expect(dense.reshape(&[12], Order::C), &[12], &[16], 200, false, false);
    refused(dense.reshape(&[12], Order::F), TN_ERR_LAYOUT);
}

#[test]
fn la_3_order_a_is_f_for_f_only() {
    expect(f().reshape(&[2, 6], Order::A), &[2, 6], &[8, 16], 0, false, true);
    expect(c().reshape(&[2, 6], Order::A), &[2, 6], &[48, 8], 0, true, false);
    expect(c_order(F64, &[6]).reshape(&[2, 3], Order::A), &[2, 3], &[24, 8], 0, true, false);
    refused(c().reshape(&[2, 6], Order::K), TN_ERR_INVALID);
}

#[test]
fn la_4_open_lengths_and_empty_arrays() {
    expect(c().reshape(&[-1, 6], Order::C), &[2, 6], &[48, 8], 0, true, false);
    expect(c_order(F64, &[]).reshape(&[-1, 1], Order::C), &[1, 1], &[8, 8], 0, true, true);
    let empty = Layout::contiguous(F64, &[0, 6], Order::C, 72).unwrap();
    expect(empty.reshape(&[3, 0, 2], Order::C), &[3, 0, 2], &[16, 16, 8], 72, true, true);
    expect(empty.reshape(&[3, -1], Order::C), &[3, 0], &[8, 8], 72, true, true);
    expect(empty.reshape(&[0, 2], Order::F), &[0, 2], &[8, 8], 72, true, true);
    refused(empty.reshape(&[-1, 0], Order::C), TN_ERR_SHAPE);
    refused(c().reshape(&[-1, 0], Order::C), TN_ERR_SHAPE);
    refused(empty.reshape(&[1], Order::C), TN_ERR_SHAPE);
    refused(c().reshape(&[], Order::C), TN_ERR_SHAPE);
    refused(c().reshape(&[-2, -6], Order::C), TN_ERR_SHAPE);
    refused(c().reshape(&[-3, 4], Order::C), TN_ERR_SHAPE);
    refused(empty.reshape(&[0, 1 << 62, 1 << 62], Order::C), TN_ERR_OVERFLOW);
    refused(c().reshape(&[1 << 62, -1, 1 << 62], Order::C), TN_ERR_OVERFLOW);
    refused(c().reshape(&[1; 65], Order::C), TN_ERR_OVERFLOW);
}

#[test]
fn la_5_ravel() {
    expect(c().ravel(Order::C), &[12], &[8], 0, true, true);
    expect(f().ravel(Order::A), &[12], &[8], 0, true, true);
    expect(c_order(F64, &[]).ravel(Order::C), &[1], &[8], 0, true, true);
    expect(c_order(F64, &[2, 0]).ravel(Order::F), &[0], &[8], 0, true, true);
    refused(f().ravel(Order::C), TN_ERR_LAYOUT);
}

#[test]
fn la_6_permute_and_transpose() {
    expect(c3().permute(&[-1, 0, -2]), &[4, 2, 3], &[8, 96, 32], 0, false, false);
    refused(c3().permute(&[0, 1]), TN_ERR_COUNT);
    refused(c3().permute(&[0, 1, 2, 2]), TN_ERR_COUNT);
    refused(c3().permute(&[0, 1, 3]), TN_ERR_RANGE);
    refused(c3().permute(&[0, 1, -4]), TN_ERR_RANGE);
    refused(c3().permute(&[0, 1, 1]), TN_ERR_DUPLICATE);
    refused(c3().permute(&[0, 2, -1]), TN_ERR_DUPLICATE);
    refused(c3().permute(&[9, 2, -1]), TN_ERR_DUPLICATE);
    refused(c3().permute(&[0, 9, 9]), TN_ERR_DUPLICATE);
    refused(c3().permute(&[0, i32::MIN, i32::MAX]), TN_ERR_RANGE);
    expect(c_order(F64, &[]).transpose(), &[], &[], 0, true, true);
    expect(c_order(F64, &[3]).transpose(), &[3], &[8], 0, true, true);
    expect(c_order(F64, &[]).permute(&[]), &[], &[], 0, true, true);
    let deep = c_order(U8, &[2; 62]);
    assert!(deep.transpose().unwrap().is_f());
    assert_eq!(deep.transpose().unwrap().transpose().unwrap(), deep);
}

#[test]
fn la_7_slice_bounds() {
    refused(check_slices(&[ALL, spec(0, 1, 0)]), TN_ERR_INVALID);
    refused(d().slice(&[spec(0, 1, 0)]), TN_ERR_INVALID);
    refused(check_count(-1), TN_ERR_INVALID);
    refused(d().slice(&[ALL; 3]), TN_ERR_COUNT);
    assert_eq!(d().slice(&[]).unwrap(), d());
    let ten = c_order(U8, &[10]);
    let far = [NONE, i64::MIN + 2, -11, -10, -9, -1, 0, 1, 9, 10, 11, i64::MAX];
    let steps = [NONE, i64::MIN + 2, -11, -3, -1, 1, 3, 10, i64::MAX];
    for (start, stop, step) in far.iter().flat_map(|a| far.iter().flat_map(move |b| steps.map(|s| (*a, *b, s)))) {
        // As in Python: walk from the clamped start towards the clamped stop.
        let by = if step == NONE { 1 } else { step as i128 };
        let clamp = |bound: i64, absent: i128| match bound {
            NONE => absent,
            b => {
                (b as i128 + if b < 0 { 10 } else { 0 }).clamp(if by < 0 { -1 } else { 0 }, if by < 0 { 9 } else { 10 })
            }
        };
        let from = clamp(start, if by < 0 { 9 } else { 0 });
        let to = clamp(stop, if by < 0 { -1 } else { 10 });
        let mut walked = Vec::new();
        let mut at = from;
        while if by < 0 { at > to } else { at < to } {
            walked.push(at as i64);
            at += by;
        }
        let view = ten.slice(&[spec(start, stop, step)]).unwrap();
        let elements: Vec<i64> = (0..view.count()).map(|i| view.offset() + i * view.strides()[0]).collect();
        assert_eq!(elements, walked, "{start}:{stop}:{step}");
    }
}

#[test]
fn la_8_empty_and_single_slices_keep_offset_and_stride() {
    expect(d().slice(&[spec(4, NONE, NONE), spec(2, NONE, 2)]), &[0, 2], &[48, 16], 16, true, true);
    expect(d().slice(&[spec(NONE, NONE, -7), spec(-1, NONE, i64::MAX)]), &[1, 1], &[48, 8], 184, true, true);
    expect(d().part(0, 4, 0), &[0, 6], &[48, 8], 0, true, true);
    refused(d().part(0, 4, 1), TN_ERR_RANGE);
    refused(d().part(0, 5, 0), TN_ERR_RANGE);
    refused(d().part(0, -1, 1), TN_ERR_RANGE);
    refused(d().part(0, 1, -1), TN_ERR_RANGE);
    refused(d().part(2, 0, 0), TN_ERR_RANGE);
    refused(d().part(0, 1, i64::MAX), TN_ERR_RANGE);
}

#[test]
fn la_9_index() {
    expect(c_order(F64, &[3]).index(-1, 2), &[], &[], 16, true, true);
    expect(d().index(-2, -4), &[6], &[8], 0, true, true);
    for (axis, index) in [(0, 4), (0, -5), (2, 0), (-3, 0), (0, i64::MAX), (0, i64::MIN), (i32::MIN, 0)] {
        refused(d().index(axis, index), TN_ERR_RANGE);
    }
    refused(c_order(F64, &[]).index(0, 0), TN_ERR_RANGE);
    refused(c_order(F64, &[0]).index(0, 0), TN_ERR_RANGE);
}

#[test]
fn la_10_squeeze() {
    let units = c_order(F64, &[1, 3, 1]);
    refused(units.squeeze(Some(&[1])), TN_ERR_SHAPE);
    refused(units.squeeze(Some(&[0, -3])), TN_ERR_DUPLICATE);
    refused(units.squeeze(Some(&[3])), TN_ERR_RANGE);
    refused(units.squeeze(Some(&[-4])), TN_ERR_RANGE);
    // The order of the checks, not of the axes: DUPLICATE, SHAPE, RANGE.
    refused(units.squeeze(Some(&[9, 1, 1])), TN_ERR_DUPLICATE);
    refused(units.squeeze(Some(&[9, 1])), TN_ERR_SHAPE);
    assert_eq!(units.squeeze(Some(&[])).unwrap(), units);
    expect(units.squeeze(Some(&[2, 0])), &[3], &[8], 0, true, true);
    expect(c_order(F64, &[1, 1]).squeeze(None), &[], &[], 0, true, true);
    expect(c_order(F64, &[0]).squeeze(None), &[0], &[8], 0, true, true);
}

#[test]
fn la_11_expand() {
    expect(d().expand(-1), &[4, 6, 1], &[48, 8, 8], 0, true, false);
    expect(d().expand(-3), &[1, 4, 6], &[192, 48, 8], 0, true, false);
    expect(c_order(F64, &[]).expand(0), &[1], &[8], 0, true, true);
    expect(c_order(F64, &[0]).expand(0), &[1, 0], &[8, 8], 0, true, true);
    refused(d().expand(3), TN_ERR_RANGE);
    refused(d().expand(-4), TN_ERR_RANGE);
    refused(c_order(F64, &[1; 64]).expand(0), TN_ERR_OVERFLOW);
    refused(c_order(F64, &[1; 64]).expand(99), TN_ERR_OVERFLOW);
    assert_eq!(c_order(F64, &[1; 63]).expand(5).unwrap().ndim(), 64);
    // From inline to outside and back.
    let deep = c_order(F64, &[2, 3, 4, 5]).expand(2).unwrap();
    assert_eq!((deep.shape(), deep.strides()), (&[2, 3, 1, 4, 5][..], &[480, 160, 160, 40, 8][..]));
    assert_eq!(deep.squeeze(None).unwrap(), c_order(F64, &[2, 3, 4, 5]));
}

#[test]
fn la_12_broadcast() {
    let row = c_order(F64, &[1, 4]);
    expect(row.broadcast(&[3, 4]), &[3, 4], &[0, 8], 0, false, false);
    expect(row.broadcast(&[1, 4]), &[1, 4], &[32, 8], 0, true, true);
    expect(c_order(F64, &[3, 1]).broadcast(&[3, 0]), &[3, 0], &[8, 0], 0, true, true);
    // A new axis of length 1 has expand's stride, whatever is stretched after it.
    expect(c_order(F64, &[4]).broadcast(&[1, 3, 4]), &[1, 3, 4], &[32, 0, 8], 0, false, false);
    expect(c_order(F64, &[]).broadcast(&[1]), &[1], &[8], 0, true, true);
    refused(row.broadcast(&[4]), TN_ERR_SHAPE);
    refused(row.broadcast(&[3, 5]), TN_ERR_SHAPE);
    refused(row.broadcast(&[3, 1]), TN_ERR_SHAPE);
    refused(row.broadcast(&[-1, 4]), TN_ERR_SHAPE);
    refused(c_order(F64, &[0]).broadcast(&[1]), TN_ERR_SHAPE);
    refused(row.broadcast(&[1; 65]), TN_ERR_OVERFLOW);
    refused(row.broadcast(&[1 << 62, 4]), TN_ERR_OVERFLOW);
}

#[test]
fn la_13_read_only_exactly_where_something_is_stretched() {
    assert!(!c_order(F64, &[1, 4]).broadcast(&[1, 1, 4]).unwrap().stretched());
    assert!(!c_order(F64, &[1, 4]).broadcast(&[0, 4]).unwrap().stretched());
    assert!(c_order(F64, &[1, 4]).broadcast(&[2, 4]).unwrap().stretched());
    // Cut back to one row, no axis is stretched any more.
    let one = c_order(F64, &[1, 4]).broadcast(&[2, 4]).unwrap().index(0, 1).unwrap();
    assert!(!one.stretched() && one.is_c());
}

#[test]
fn la_15_la_16_parts() {
    let lengths = |parts: Parts| parts.map(|(_, length)| length).collect::<Vec<_>>();
    assert_eq!(lengths(pieces(6, 4)), [4, 2]);
    assert_eq!(lengths(pieces(6, 7)), [6]);
    assert_eq!(lengths(pieces(0, 7)), [0i64; 0]);
    assert_eq!(lengths(even_parts(10, 4)), [3, 3, 2, 2]);
    assert_eq!(lengths(even_parts(2, 3)), [1, 1, 0]);
    refused(check_parts(0), TN_ERR_INVALID);
    assert_eq!(check_parts(usize::MAX), Ok(i64::MAX));
    for wrong in [0, -1, i64::MIN] {
        refused(check_length(wrong), TN_ERR_INVALID);
    }
    assert!(check_parts(1).is_ok() && check_length(i64::MAX).is_ok());
    // LA-17: the parts of one array never overlap.
    let d = d();
    let parts: [Layout; 5] = cut(&d, 1, even_parts(6, 5));
    for (i, a) in parts.iter().enumerate() {
        for b in &parts[..i] {
            assert_eq!(lies(a, b, &d), Overlap::None);
        }
    }
}

#[test]
fn la_18_view_dtype() {
    let scalar = c_order(F64, &[]);
    expect(scalar.view_dtype(dtype(TN_I64)), &[], &[], 0, true, true);
    refused(scalar.view_dtype(U8), TN_ERR_LAYOUT);
    let column = Layout::strided(F64, &[3, 1], &[8, 1000], 0).unwrap();
    expect(column.view_dtype(dtype(TN_F32)), &[3, 2], &[8, 4], 0, true, false);
    refused(column.view_dtype(dtype(TN_C128)), TN_ERR_SHAPE);
    expect(c_order(F64, &[3, 0]).view_dtype(dtype(TN_C128)), &[3, 0], &[8, 16], 0, true, true);
    refused(c_order(U8, &[1 << 62, 0]).view_dtype(dtype(TN_C128)), TN_ERR_OVERFLOW);
    let turned = sliced(&c_order(F64, &[4]), &[every(-1)]);
    expect(turned.view_dtype(dtype(TN_I64)), &[4], &[-8], 24, false, false);
    refused(turned.view_dtype(dtype(TN_F32)), TN_ERR_LAYOUT);
    // Real parts of complex numbers: view them as f64 pairs first.
    expect(c_order(dtype(TN_C128), &[3]).view_dtype(F64), &[6], &[8], 0, true, true);
}

#[test]
fn la_19_alignment_and_bool() {
    let bools = c_order(Dtype::BOOL, &[8]);
    expect(bools.view_dtype(U8), &[8], &[1], 0, true, true);
    expect(bools.view_dtype(dtype(TN_I8)), &[8], &[1], 0, true, true);
    expect(bools.view_dtype(Dtype::BOOL), &[8], &[1], 0, true, true);
    refused(c_order(U8, &[8]).view_dtype(Dtype::BOOL), TN_ERR_DTYPE);
    refused(c_order(F64, &[]).view_dtype(Dtype::BOOL), TN_ERR_DTYPE);
    let complex = dtype(TN_C64); // 8 bytes, aligned to 4
    let odd = Layout::contiguous(complex, &[2], Order::C, 4).unwrap();
    assert!(odd.is_aligned());
    refused(odd.view_dtype(F64), TN_ERR_LAYOUT);
    let gap = Layout::strided(complex, &[2], &[12], 0).unwrap();
    refused(gap.view_dtype(dtype(TN_I64)), TN_ERR_LAYOUT);
    // The stride of an axis of length 1 does not matter.
    let single = Layout::strided(complex, &[1], &[12], 0).unwrap();
    expect(single.view_dtype(dtype(TN_I64)), &[1], &[12], 0, true, true);
    assert!(!Layout::contiguous(F64, &[2], Order::C, 4).unwrap().is_aligned());
    assert!(!Layout::strided(F64, &[2], &[4], 0).unwrap().is_aligned());
    assert!(Layout::strided(F64, &[2, 0], &[4, 3], 1).unwrap().is_aligned());
}

#[test]
fn la_20_overflowing_views_are_refused() {
    let empty = Layout::strided(U8, &[9, 0], &[i64::MAX / 2, 1], 0).unwrap();
    refused(empty.index(0, 3), TN_ERR_OVERFLOW);
    refused(empty.slice(&[every(4)]), TN_ERR_OVERFLOW);
    refused(empty.slice(&[spec(3, NONE, NONE)]), TN_ERR_OVERFLOW);
    refused(empty.part(0, 3, 1), TN_ERR_OVERFLOW);
    refused(empty.expand(0), TN_ERR_OVERFLOW);
    let single = Layout::strided(U8, &[1, 2], &[i64::MIN, i64::MAX - 1], 0).unwrap();
    refused(single.expand(1), TN_ERR_OVERFLOW);
    refused(single.reshape(&[1, 1, 2], Order::C), TN_ERR_OVERFLOW);
    assert_eq!(single.index(0, 0).unwrap().strides(), [i64::MAX - 1]);
    // An axis of length 1 that is kept takes no part in the arithmetic.
    assert_eq!(single.slice(&[every(i64::MAX), every(-1)]).unwrap().strides(), [i64::MIN, -(i64::MAX - 1)]);
}

#[test]
fn la_22_overlap() {
    let all = c_order(dtype(TN_C128), &[10]);
    let parts = all.view_dtype(F64).unwrap();
    let (real, imag) = (sliced(&parts, &[every(2)]), sliced(&parts, &[spec(1, NONE, 2)]));
    assert_eq!(lies(&real, &imag, &parts), Overlap::None);
    // As above, without the common root of both.
    let apart = overlap(Region { layout: &real, root: &real }, Region { layout: &imag, root: &imag });
    assert_eq!(apart, Overlap::None);
    let empty = sliced(&d(), &[spec(0, 0, 1)]);
    assert_eq!(lies(&empty, &empty, &d()), Overlap::None);
    let flat = d().reshape(&[24], Order::C).unwrap();
    let exact = overlap(Region { layout: &flat, root: &flat }, Region { layout: &d(), root: &d() });
    assert_eq!(exact, Overlap::Exact); // the same list of elements
    let columns = d().transpose().unwrap();
    assert_eq!(lies(&d(), &columns, &d()), Overlap::Some); // another order
    let unit = d().expand(1).unwrap();
    assert_eq!(lies(&d(), &unit, &d()), Overlap::Exact);
}

#[test]
fn a_place_with_room_takes_layouts_without_asking_for_memory() {
    let (small, large) = (d(), c_order(F64, &[2, 3, 4, 5, 6]));
    let mut inline = Layout::EMPTY;
    assert_eq!((inline.ndim(), inline.bytes(), Layout::INLINE_NDIM), (0, 1, 4));
    assert!(inline.set(&small) && inline == small && inline.is_inline());
    assert!(!inline.set(&large) && inline == small);
    let mut roomy = Layout::room(5).unwrap();
    assert!(roomy == Layout::EMPTY && roomy.is_valid() && !roomy.is_inline());
    assert!(roomy.set(&large) && roomy == large);
    assert!(!roomy.set(&c_order(U8, &[1; 40])) && roomy == large);
    // A small layout in a large one's storage behaves like any other: in views, in clones, in other storage.
    assert!(roomy.set(&small) && roomy == small && !roomy.is_inline());
    assert_eq!(roomy.slice(&[every(2)]).unwrap(), small.slice(&[every(2)]).unwrap());
    assert!(roomy.try_clone().unwrap().is_inline());
    assert!(inline.set(&c()) && inline.set(&roomy) && inline == small && inline.is_inline());
    assert_eq!((inline.shape(), inline.strides()), (roomy.shape(), roomy.strides()));
    assert!(Layout::room(4).unwrap().is_inline());
    assert!(roomy.set(&large) && roomy == large);
}

#[test]
fn xc_7_strides_of_an_empty_layout_may_be_anything() {
    for (shape, strides) in [([7, 0], [i64::MAX, i64::MIN]), ([0, 7], [i64::MIN, i64::MAX]), ([i64::MAX, 0], [-1, 1])] {
        let mut empty = Layout::strided(U8, &shape, &strides, i64::MAX).unwrap();
        assert!(empty.is_valid() && empty.extent().is_none() && empty.bytes() == 0);
        assert!(empty.rebase(5).is_err() && empty.try_clone().unwrap() == empty);
    }
}
