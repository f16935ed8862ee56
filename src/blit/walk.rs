//! Addresses along the axes of a copy or fill.
//!
//! Contract: address arithmetic only, which wraps; no memory is accessed.
#![forbid(unsafe_code)]

use crate::layout::loops::{Axis, Loops};
use crate::types::TN_MAX_NDIM;

/// The addresses of both sides at index 0.
pub(super) fn addresses(loops: &Loops) -> (*mut u8, *const u8) {
    let dst = core::ptr::with_exposed_provenance_mut(loops.dst as usize);
    (dst, core::ptr::with_exposed_provenance(loops.src as usize))
}

/// The addresses at an index of an axis, from those at index 0.
#[inline]
pub(super) fn step_to(axis: &Axis, index: usize, dst: *mut u8, src: *const u8) -> (*mut u8, *const u8) {
    let (dst_offset, src_offset) = axis.offsets(index);
    (dst.wrapping_offset(dst_offset), src.wrapping_offset(src_offset))
}

/// Calls `body` with both addresses at every index of `axes`, the first axis innermost.
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
