//! The loops of a copy or fill, run: runs of bytes, single items by size, transposed pairs of axes.
//!
//! Contract: called by `blit` with loops whose elements may all be touched. Items are read and written unaligned: an
//! element's address need not be a multiple of its size. Every item is read before anything is written in its place.

use super::loops::{Axis, Loops, OverlapDirection};
use super::plane::Plane;
use super::row::{self, RowKernel};
use super::run;
use crate::sys::bytes::{self, Pattern};
use crate::sys::cpu;
use crate::types::TN_MAX_NDIM;

/// The part of the last cache that a destination has to exceed to be written past it: what was cached before is worth more then
/// than a part of the new.
const FAR_PART: usize = 4;

/// Runs of a fill from so many bytes on are worth a call of their own.
const LONG_FILL: usize = 64;

/// Runs the loops of a copy.
///
/// # Safety
/// - Every source element of `loops` may be read, every destination element written.
/// - `order` is one that the overlap allows: Any, Forward or Backward.
///
/// `whole`: the bytes of the whole copy, of which these loops are perhaps a part.
pub(super) unsafe fn copy(loops: &mut Loops, order: OverlapDirection, whole: usize) {
    let any = order == OverlapDirection::Any;
    let far = any && whole >= cpu::cache_bytes() / FAR_PART;
    let run = loops.take_run();
    if order == OverlapDirection::Backward {
        loops.turn_round();
    }
    // SAFETY: the caller's promise; a run is copied as memmove does, so it needs no order inside. A short one is an
    // item.
    unsafe {
        match run {
            1 => copy_items::<u8>(loops, any, far),
            2 => copy_items::<u16>(loops, any, far),
            4 => copy_items::<u32>(loops, any, far),
            8 => copy_items::<u64>(loops, any, far),
            16 => copy_items::<u128>(loops, any, far),
            32 if far => copy_items::<[u128; 2]>(loops, false, far),
            _ => run::copy(loops, run, far),
        }
    }
    if far {
        bytes::fence();
    }
}

/// # Safety
/// As `copy`, for items of the size of T; `any`: in any order; `far`: past the caches where that can be.
unsafe fn copy_items<T: Copy>(loops: &mut Loops, any: bool, far: bool) {
    let (dst, src) = (loops.dst, loops.src);
    if any && loops.pair_transposed() {
        let (pair, outer) = loops.axes().split_at(2);
        let plane = Plane { inner: pair[0], outer: pair[1] };
        #[cfg(target_arch = "x86_64")]
        if let Some(transposer) = super::plane::Transposer::new(plane, size_of::<T>(), far) {
            // SAFETY: the caller's promise, on two of the axes.
            return walk(outer, dst, src, |dst, src| unsafe { transposer.copy(dst, src) });
        }
        walk(outer, dst, src, |dst, src| {
            // SAFETY: the caller's promise, on parts of two of the axes.
            plane.copy_by_rows(dst, src, |axis, dst, src| unsafe {
                row::copy::<T>(RowKernel::Items, axis, dst, src, false)
            });
        });
    } else if let [inner, outer @ ..] = loops.axes() {
        let way = RowKernel::of(inner, size_of::<T>(), far);
        // SAFETY: as above.
        walk(outer, dst, src, |dst, src| unsafe { row::copy::<T>(way, *inner, dst, src, far) });
    } else {
        // SAFETY: as above; one element.
        unsafe { row::copy::<T>(RowKernel::Items, Axis { length: 1, dst: 0, src: 0 }, dst, src, false) };
    }
}

/// Runs the loops of a fill.
///
/// # Safety
/// - Every destination element of `loops` may be written.
pub(super) unsafe fn fill(loops: &mut Loops, value: &[u8]) {
    let inner = loops.axes().first().copied().filter(|axis| axis.dst == loops.item as isize);
    if let Some(run) = inner.map(|inner| inner.length * loops.item).filter(|run| *run >= LONG_FILL) {
        let pattern = Pattern::of(value);
        // SAFETY: the caller's promise; the innermost axis is one run of bytes.
        walk(&loops.axes()[1..], loops.dst, loops.src, |dst, _| unsafe { bytes::set(dst, &pattern, run) });
        return;
    }
    let mut bytes = [0; 16];
    bytes[..value.len()].copy_from_slice(value);
    // A source of stride 0 on every axis: the loops of a copy are those of a fill.
    loops.src = bytes.as_ptr();
    // SAFETY: the caller's promise; the value is read by itself.
    unsafe { copy(loops, OverlapDirection::Forward, 0) };
}

/// Calls `body` for every index of `axes`, the first one fastest, with the addresses there.
#[inline(always)]
pub(super) fn walk(axes: &[Axis], mut dst: *mut u8, mut src: *const u8, mut body: impl FnMut(*mut u8, *const u8)) {
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
