//! Copy and fill against a model that copies element by element: TR-2 to TR-5, TR-16.

mod support {
    pub mod random;
    pub mod strided_cases;
}

use std::alloc::{GlobalAlloc, Layout as Request, System};
use std::cell::Cell;
use support::strided_cases::*;
use tenure::blit::{self, HostView};
use tenure::dtype::Dtype;
use tenure::types::*;

thread_local! {
    /// While set, allocations of this thread fail.
    static NO_MEMORY: Cell<bool> = const { Cell::new(false) };
}

struct Starved;

// SAFETY: passes on to the system's allocator, or fails.
unsafe impl GlobalAlloc for Starved {
    unsafe fn alloc(&self, request: Request) -> *mut u8 {
        if NO_MEMORY.get() {
            return core::ptr::null_mut();
        }
        // SAFETY: the caller's obligation.
        unsafe { System.alloc(request) }
    }
    unsafe fn dealloc(&self, address: *mut u8, request: Request) {
        // SAFETY: the caller's obligation.
        unsafe { System.dealloc(address, request) }
    }
}

#[global_allocator]
static ALLOCATOR: Starved = Starved;

/// Returns the copy's status while this thread's allocations fail.
fn copy_starved(dst: &HostView, src: &HostView) -> tn_status {
    NO_MEMORY.set(true);
    let status = blit::copy(dst, src).map_or_else(|status| status.code(), |()| TN_OK);
    NO_MEMORY.set(false);
    status
}

#[test]
fn tr_2_tr_3_any_strides_and_untouched_gaps() {
    for seed in 1..=10_000 {
        let mut random = Random::new(seed * 0x9E37_79B9);
        let raw = DTYPES[random.below_i64(5) as usize];
        let item = Dtype::of(raw).unwrap().item();
        let shape = random_shape(&mut random);
        let to = random_target(&mut random, &shape, item);
        let from = random_source(&mut random, &shape, item);
        // One buffer: the target first, at an odd distance from the source, because elements need not be aligned.
        let (dst_at, margin) = (3 + random.below_i64(16), random.below_i64(9));
        let src_at = dst_at + to.end + margin;
        let mut bytes = noise(&mut random, src_at + from.end + 5);
        let dst_offset = dst_at + to.offset;
        let src_offset = src_at + from.offset;
        let wanted = model_of(&bytes, item, &shape, (&to.strides, dst_offset), (&from.strides, src_offset));
        let base = bytes.as_mut_ptr();
        let dst = layout(raw, &shape, &to.strides, base, dst_offset);
        let src = layout(raw, &shape, &from.strides, base, src_offset);
        // TR-5: they do not overlap, so no memory is needed.
        assert_eq!(copy_starved(&host_view(&dst), &host_view(&src)), TN_OK, "seed {seed}");
        assert!(bytes == wanted, "seed {seed}: {shape:?} {:?} <- {:?}, item {item}", to.strides, from.strides);
    }
}

#[test]
fn tr_4_overlap_is_as_if_the_source_had_been_read_first() {
    let mut refused = 0;
    for seed in 1..=10_000 {
        let mut random = Random::new(seed * 0xC2B2_AE35);
        let raw = DTYPES[random.below_i64(5) as usize];
        let item = Dtype::of(raw).unwrap().item();
        let shape = random_shape(&mut random);
        let to = random_target(&mut random, &shape, item);
        let from = if random.one_in(3) {
            Shape { strides: to.strides.clone(), ..to }
        } else {
            random_source(&mut random, &shape, item)
        };
        let dst_at = random.below_i64(from.end + 1);
        let src_at = random.below_i64(to.end + 1);
        let mut bytes = noise(&mut random, (dst_at + to.end).max(src_at + from.end));
        let before = bytes.clone();
        let (dst_offset, src_offset) = (dst_at + to.offset, src_at + from.offset);
        let wanted = model_of(&bytes, item, &shape, (&to.strides, dst_offset), (&from.strides, src_offset));
        let base = bytes.as_mut_ptr();
        let dst = layout(raw, &shape, &to.strides, base, dst_offset);
        let src = layout(raw, &shape, &from.strides, base, src_offset);
        let status = copy_starved(&host_view(&dst), &host_view(&src));
        if status == TN_ERR_NO_HOST_MEMORY {
            // TR-5: a temporary was needed; without one nothing changed. Equal strides never need one.
            refused += 1;
            assert!(bytes == before, "seed {seed}");
            assert!(to.strides != from.strides, "seed {seed}: equal strides needed a temporary");
            blit::copy(&host_view(&dst), &host_view(&src)).unwrap();
        } else {
            assert_eq!(status, TN_OK);
        }
        assert!(bytes == wanted, "seed {seed}: {shape:?} {:?} <- {:?}, item {item}", to.strides, from.strides);
    }
    assert!((1_000..9_000).contains(&refused), "both ways are tried: {refused} of 10000 took a temporary");
}

/// Copies inside one vector of f64 0, 1, 2, ...: (length, stride, offset) in elements. Returns the status while
/// allocations fail, then the bytes after the copy.
fn shifted(n: usize, shape: &[i64], dst: (&[i64], i64), src: (&[i64], i64)) -> (tn_status, Vec<f64>) {
    let mut values: Vec<f64> = (0..n).map(|at| at as f64).collect();
    let base = values.as_mut_ptr().cast::<u8>();
    let bytes = |strides: &[i64]| strides.iter().map(|stride| stride * 8).collect::<Vec<_>>();
    let dst = layout(TN_F64, shape, &bytes(dst.0), base, dst.1 * 8);
    let src = layout(TN_F64, shape, &bytes(src.0), base, src.1 * 8);
    let status = copy_starved(&host_view(&dst), &host_view(&src));
    if status != TN_OK {
        blit::copy(&host_view(&dst), &host_view(&src)).unwrap();
    }
    (status, values)
}

#[test]
fn tr_4_tr_5_the_cases_of_the_row() {
    // dst = x[1:], src = x[:-1], and reversed: no temporary.
    assert_eq!(shifted(5, &[4], (&[1], 1), (&[1], 0)), (TN_OK, vec![0., 0., 1., 2., 3.]));
    assert_eq!(shifted(5, &[4], (&[1], 0), (&[1], 1)), (TN_OK, vec![1., 2., 3., 4., 4.]));
    // Strided by 2: shifted by 2 elements.
    assert_eq!(shifted(7, &[3], (&[2], 2), (&[2], 0)), (TN_OK, vec![0., 1., 0., 3., 2., 5., 4.]));
    // Rows of a matrix shifted down by one.
    let rows = (TN_OK, vec![0., 1., 2., 0., 1., 2., 3., 4., 5.]);
    assert_eq!(shifted(9, &[2, 3], (&[3, 1], 3), (&[3, 1], 0)), rows);
    // Columns shifted right by one; a gap separates the last column.
    let columns = (TN_OK, vec![0., 0., 1., 3., 3., 4.]);
    assert_eq!(shifted(6, &[2, 2], (&[3, 1], 1), (&[3, 1], 0)), columns);
    // Every other element compacted: a forward copy is safe, so no temporary.
    assert_eq!(shifted(6, &[3], (&[1], 0), (&[2], 0)), (TN_OK, vec![0., 2., 4., 3., 4., 5.]));
    assert_eq!(shifted(6, &[3], (&[2], 0), (&[1], 0)), (TN_OK, vec![0., 1., 1., 3., 2., 5.]));
    // Even columns to odd columns lie between each other.
    assert_eq!(shifted(6, &[3], (&[2], 1), (&[2], 0)), (TN_OK, vec![0., 0., 2., 2., 4., 4.]));
    // d[::-1] -> d and a square's transposition: through a temporary.
    assert_eq!(shifted(4, &[4], (&[1], 0), (&[-1], 3)), (TN_ERR_NO_HOST_MEMORY, vec![3., 2., 1., 0.]));
    let turned = (TN_ERR_NO_HOST_MEMORY, vec![0., 2., 1., 3.]);
    assert_eq!(shifted(4, &[2, 2], (&[2, 1], 0), (&[1, 2], 0)), turned);
    // One element to all of them, including itself.
    let (status, values) = shifted(4, &[4], (&[1], 0), (&[0], 2));
    assert_eq!((status, values), (TN_ERR_NO_HOST_MEMORY, vec![2., 2., 2., 2.]));
}

#[test]
fn tr_4_exact_overlap_writes_nothing() {
    // Memory that must not be written: a static, and its elements described in another order.
    static VALUES: [f64; 6] = [0., 1., 2., 3., 4., 5.];
    let base = VALUES.as_ptr().cast::<u8>();
    let x = layout(TN_F64, &[2, 3], &[24, 8], base, 0);
    blit::copy(&host_view(&x), &host_view(&x)).unwrap();
    let reversed = layout(TN_F64, &[6], &[-8], base, 40);
    blit::copy(&host_view(&reversed), &host_view(&reversed)).unwrap();
}

#[test]
fn tr_4_a_repeated_source_is_packed_once() {
    // A row of 8 elements broadcast 2^16 times, overlapping itself: the temporary holds the row and not its 2^16
    // copies.
    const ROWS: usize = 1 << 16;
    let mut values: Vec<f64> = (0..8 * ROWS).map(|at| at as f64).collect();
    let base = values.as_mut_ptr().cast::<u8>();
    let dst = layout(TN_F64, &[ROWS as i64, 8], &[64, 8], base, 0);
    let src = layout(TN_F64, &[ROWS as i64, 8], &[0, -8], base, 8 * (8 * ROWS as i64 - 1));
    blit::copy(&host_view(&dst), &host_view(&src)).unwrap();
    let last: Vec<f64> = (0..8).map(|at| (8 * ROWS - 1 - at) as f64).collect();
    assert!(values.chunks(8).all(|row| row == last));
}

#[test]
fn tr_16_fill_and_zero_any_layout_and_item() {
    for seed in 1..=4_000 {
        let mut random = Random::new(seed * 0x85EB_CA6B);
        let raw = DTYPES[random.below_i64(5) as usize];
        let item = Dtype::of(raw).unwrap().item();
        let shape = random_shape(&mut random);
        let to = random_target(&mut random, &shape, item);
        let at = random.below_i64(16);
        let mut bytes = noise(&mut random, at + to.end + 5);
        let mut value = noise(&mut random, item);
        let zero = random.one_in(3);
        if zero {
            value.fill(0);
        } else if random.one_in(3) {
            value.fill(7);
        }
        let mut wanted = bytes.clone();
        for start in elements(&shape, &to.strides, at + to.offset) {
            wanted[start as usize..(start + item) as usize].copy_from_slice(&value);
        }
        let dst = layout(raw, &shape, &to.strides, bytes.as_mut_ptr(), at + to.offset);
        match zero {
            true => blit::zero(&host_view(&dst)),
            false => blit::fill(&host_view(&dst), &value),
        }
        assert!(bytes == wanted, "seed {seed}: {shape:?} {:?}, item {item}", to.strides);
    }
}

#[test]
fn tr_18_no_element_at_all() {
    let nowhere = layout(TN_F64, &[0, 3], &[24, 8], core::ptr::null(), 0);
    let elsewhere = layout(TN_F64, &[0, 3], &[8, 8], core::ptr::null(), 8);
    blit::copy(&host_view(&nowhere), &host_view(&elsewhere)).unwrap();
    blit::fill(&host_view(&nowhere), &[1; 8]);
}

#[test]
fn many_axes_are_walked() {
    // 64 axes, of which every other has length 1, with strides of which no two merge.
    let shape: Vec<i64> = (0..64).map(|axis| if axis % 8 == 0 { 2 } else { 1 }).collect();
    let strides: Vec<i64> = (0..64).map(|axis| if axis % 8 == 0 { 3 << (axis / 8) } else { -5 }).collect();
    let reversed: Vec<i64> = (0..64).map(|axis| if axis % 8 == 0 { 3 << (7 - axis / 8) } else { 0 }).collect();
    let source: Vec<u8> = (0..=255).cycle().take(3 * 256).collect();
    let mut bytes = vec![0xAA; 3 * 256];
    let wanted: Vec<u8> = {
        let mut wanted = bytes.clone();
        for (to, from) in elements(&shape, &strides, 0).into_iter().zip(elements(&shape, &reversed, 0)) {
            wanted[to as usize] = source[from as usize];
        }
        wanted
    };
    let dst = layout(TN_U8, &shape, &strides, bytes.as_mut_ptr(), 0);
    let src = layout(TN_U8, &shape, &reversed, source.as_ptr(), 0);
    blit::copy(&host_view(&dst), &host_view(&src)).unwrap();
    assert_eq!(bytes, wanted);
}

#[test]
fn plain_bytes_may_overlap() {
    let mut bytes = [1u8, 2, 3, 4, 5];
    let base = bytes.as_mut_ptr();
    // SAFETY: inside the array.
    unsafe { blit::copy_bytes(base.add(1), base, 4) };
    assert_eq!(bytes, [1, 1, 2, 3, 4]);
    // SAFETY: nothing is touched.
    unsafe { blit::copy_bytes(core::ptr::null_mut(), core::ptr::null(), 0) };
}
