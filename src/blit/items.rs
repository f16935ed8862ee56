//! The inner loops: runs of bytes, single items by size, transposed pairs of axes in tiles.
//!
//! Contract: called by `blit` with loops whose elements may all be touched. Items are read and written unaligned: an
//! element's address need not be a multiple of its size. Every item is read before anything is written in its place.

use super::loops::{Axis, Loops, Order};
use crate::types::TN_MAX_NDIM;

/// Elements of a tile's edge: the lines of 8 rows stay cached while they are used up, also where a power of two as
/// stride puts all of them into the same cache set. Measured for items of 1 to 16 bytes; 16 and 32 are slower for
/// 8-byte items.
const TILE_EDGE: usize = 8;

/// Runs the loops of a copy.
///
/// # Safety
/// - Every source element of `loops` may be read, every destination element written.
/// - `order` is one that the overlap allows: Any, Forward or Backward.
pub(super) unsafe fn copy(loops: &mut Loops, order: Order) {
    let run = loops.take_run();
    if order == Order::Backward {
        loops.turn_round();
    }
    let any = order == Order::Any;
    // SAFETY: the caller's promise; a run is copied as memmove does, so it needs no order inside. A short one is an
    // item.
    unsafe {
        match run {
            1 => copy_items::<u8>(loops, any),
            2 => copy_items::<u16>(loops, any),
            4 => copy_items::<u32>(loops, any),
            8 => copy_items::<u64>(loops, any),
            16 => copy_items::<u128>(loops, any),
            _ => walk(loops.axes(), loops.dst, loops.src, |dst, src| core::ptr::copy(src, dst, run)),
        }
    }
}

/// # Safety
/// As `copy`, for items of the size of T; `any`: in any order.
unsafe fn copy_items<T: Copy>(loops: &mut Loops, any: bool) {
    let (dst, src) = (loops.dst, loops.src);
    if any && loops.pair_transposed() {
        let (pair, outer) = loops.axes().split_at(2);
        // SAFETY: the caller's promise, on two of the axes.
        walk(outer, dst, src, |dst, src| unsafe { copy_transposed::<T>(pair[0], pair[1], dst, src) });
    } else if let [inner, outer @ ..] = loops.axes() {
        // SAFETY: as above.
        walk(outer, dst, src, |dst, src| unsafe { copy_row::<T>(*inner, dst, src) });
    } else {
        // SAFETY: as above; one element.
        unsafe { copy_row::<T>(Axis { length: 1, dst: 0, src: 0 }, dst, src) };
    }
}

/// # Safety
/// - `axis.length` items of T may be read from `src` and written to `dst`, a stride apart each.
unsafe fn copy_row<T: Copy>(axis: Axis, mut dst: *mut u8, mut src: *const u8) {
    if axis.src == 0 {
        // SAFETY: the caller's promise.
        return unsafe { fill_row(axis, dst, src.cast::<T>().read_unaligned()) };
    }
    for _ in 0..axis.length {
        // SAFETY: the caller's promise.
        unsafe { dst.cast::<T>().write_unaligned(src.cast::<T>().read_unaligned()) };
        dst = dst.wrapping_offset(axis.dst);
        src = src.wrapping_offset(axis.src);
    }
}

/// # Safety
/// - `axis.length` items of T may be written to `dst`, a stride apart each.
unsafe fn fill_row<T: Copy>(axis: Axis, mut dst: *mut u8, value: T) {
    if axis.dst == size_of::<T>() as isize {
        for at in 0..axis.length {
            // SAFETY: the caller's promise. The constant stride lets the compiler use vectors.
            unsafe { dst.cast::<T>().add(at).write_unaligned(value) };
        }
        return;
    }
    for _ in 0..axis.length {
        // SAFETY: the caller's promise.
        unsafe { dst.cast::<T>().write_unaligned(value) };
        dst = dst.wrapping_offset(axis.dst);
    }
}

/// Copies the plane of two axes in tiles, so that both the destination's lines (along `inner`) and the source's (along
/// `outer`) are used while they are cached.
///
/// # Safety
/// As `copy_row`, for all pairs of indices of the two axes.
unsafe fn copy_transposed<T: Copy>(inner: Axis, outer: Axis, dst: *mut u8, src: *const u8) {
    let at = |row: usize, column: usize, of: fn(&Axis) -> isize| {
        (row as isize).wrapping_mul(of(&outer)).wrapping_add((column as isize).wrapping_mul(of(&inner)))
    };
    for row in (0..outer.length).step_by(TILE_EDGE) {
        let rows = TILE_EDGE.min(outer.length - row);
        for column in (0..inner.length).step_by(TILE_EDGE) {
            let part = Axis { length: TILE_EDGE.min(inner.length - column), ..inner };
            for row in row..row + rows {
                let dst = dst.wrapping_offset(at(row, column, |axis| axis.dst));
                let src = src.wrapping_offset(at(row, column, |axis| axis.src));
                // SAFETY: part of one row of the plane.
                unsafe { copy_row::<T>(part, dst, src) };
            }
        }
    }
}

/// Runs the loops of a fill.
///
/// # Safety
/// - Every destination element of `loops` may be written.
pub(super) unsafe fn fill(loops: &mut Loops, value: &[u8]) {
    let mut bytes = [0; 16];
    bytes[..value.len()].copy_from_slice(value);
    let inner = loops.axes().first().copied();
    if let Some(inner) =
        inner.filter(|axis| axis.dst == loops.item as isize && value.iter().all(|&byte| byte == bytes[0]))
    {
        let run = inner.length * loops.item;
        // SAFETY: the caller's promise; the innermost axis is one run of bytes.
        walk(&loops.axes()[1..], loops.dst, loops.src, |dst, _| unsafe { dst.write_bytes(bytes[0], run) });
        return;
    }
    // A source of stride 0 on every axis: the loops of a copy are those of a fill.
    loops.src = bytes.as_ptr();
    // SAFETY: the caller's promise; the value is read by itself.
    unsafe { copy(loops, Order::Forward) };
}

/// Calls `body` for every index of `axes`, the first one fastest, with the addresses there.
fn walk(axes: &[Axis], mut dst: *mut u8, mut src: *const u8, mut body: impl FnMut(*mut u8, *const u8)) {
    let Some((first, slow)) = axes.split_first() else { return body(dst, src) };
    let mut index = [0usize; TN_MAX_NDIM];
    loop {
        let (mut to, mut from) = (dst, src);
        for _ in 0..first.length {
            body(to, from);
            to = to.wrapping_offset(first.dst);
            from = from.wrapping_offset(first.src);
        }
        let mut carry = 0;
        loop {
            let Some(axis) = slow.get(carry) else { return };
            dst = dst.wrapping_offset(axis.dst);
            src = src.wrapping_offset(axis.src);
            index[carry] += 1;
            if index[carry] < axis.length {
                break;
            }
            index[carry] = 0;
            dst = dst.wrapping_offset((axis.length as isize).wrapping_mul(axis.dst).wrapping_neg());
            src = src.wrapping_offset((axis.length as isize).wrapping_mul(axis.src).wrapping_neg());
            carry += 1;
        }
    }
}
