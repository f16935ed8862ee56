//! Runs the loops of a copy or fill: as runs of bytes, as single items by size, or as transposed pairs of axes.
//!
//! Contract: `blit` calls this with loops whose elements may all be touched. Items are read and written unaligned: an
//! element's address need not be a multiple of its size. Every item is read before anything is written in its place.

use super::plane::Plane;
use super::row::{self, RowKernel};
use super::run;
use super::walk::{addresses, walk};
use crate::layout::loops::{Axis, Loops, OverlapDirection};
use crate::sys::bytes::{self, Pattern};
use crate::sys::cpu;

/// A copy bypasses the caches if its destination exceeds one of this many parts of the last-level cache. It would evict
/// more useful lines.
const FAR_PART: usize = 4;
/// It also does from this size on: a virtual machine reports a cache that it shares with many others. Measured where
/// 480 MiB are reported: a transposition of 64 MiB takes 9 ms in place of 34, one of 16 MiB 3.0 in place of 1.9.
const FAR_BYTES: usize = 32 << 20;

/// A run of a fill of at least this size is worth a call of its own.
const LONG_FILL_BYTES: usize = 64;

/// Runs the loops of a copy. `whole` is the number of bytes of the whole copy, of which these loops may be a part.
///
/// # Safety
/// - Every source element of `loops` may be read, every destination element written.
/// - The overlap allows `order`: Any, Forward or Backward.
pub(super) unsafe fn copy(loops: &mut Loops, order: OverlapDirection, whole: usize) {
    let any = order == OverlapDirection::Any;
    let far = any && whole >= (cpu::cache_bytes() / FAR_PART).min(FAR_BYTES);
    let run = loops.take_run();
    if order == OverlapDirection::Backward {
        loops.reverse();
    }
    // SAFETY: the caller's obligation. A run is copied as memmove does, so it needs no order inside. A short run is an
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

/// Copies items of the size of T. `any`: every order is safe; `far`: bypass the caches where possible.
///
/// # Safety
/// As for [`copy`].
unsafe fn copy_items<T: Copy>(loops: &mut Loops, any: bool, far: bool) {
    let (dst, src) = addresses(loops);
    if any && loops.pair_transposed() {
        let (pair, outer) = loops.axes().split_at(2);
        let plane = Plane { inner: pair[0], outer: pair[1] };
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        if let Some(transposer) = super::plane::Transposer::new(plane, size_of::<T>(), far) {
            // SAFETY: the caller's obligation, on two of the axes.
            return walk(outer, dst, src, |dst, src| unsafe { transposer.copy(dst, src) });
        }
        walk(outer, dst, src, |dst, src| {
            // SAFETY: the caller's obligation, on parts of two of the axes.
            plane.copy_by_rows(dst, src, |axis, dst, src| unsafe {
                row::copy::<T>(RowKernel::Items, axis, dst, src, false)
            });
        });
    } else if let [inner, outer @ ..] = loops.axes() {
        let kernel = RowKernel::of(inner, size_of::<T>(), far);
        // SAFETY: as above.
        walk(outer, dst, src, |dst, src| unsafe { row::copy::<T>(kernel, *inner, dst, src, far) });
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
    if let Some(run) = inner.map(|inner| inner.length * loops.item).filter(|run| *run >= LONG_FILL_BYTES) {
        let pattern = Pattern::of(value);
        let (dst, src) = addresses(loops);
        // SAFETY: the caller's obligation; the innermost axis is one run of bytes.
        walk(&loops.axes()[1..], dst, src, |dst, _| unsafe { bytes::set(dst, &pattern, run) });
        return;
    }
    let mut bytes = [0; 16];
    bytes[..value.len()].copy_from_slice(value);
    // The loops of a fill are those of a copy whose source strides are all 0.
    loops.src = bytes.as_ptr().expose_provenance() as isize;
    // SAFETY: the caller's obligation; the value does not overlap the destination.
    unsafe { copy(loops, OverlapDirection::Forward, 0) };
}
