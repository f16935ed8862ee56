//! Copies the items of one axis, with any stride on either side.
//!
//! Contract: an item's address need not be a multiple of its size. Items are copied in the axis's order. An item is
//! written only after it and all items before it were read, as an overlapping copy in a safe order needs. The vector
//! loops may read the bytes between two source items, but they write items only. `bytes::fence` orders streaming stores
//! before later stores.

use crate::layout::loops::Axis;
use crate::sys::cpu::{self, Vectors};

/// The loop that copies a row, chosen once for all rows of a copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RowKernel {
    /// Item by item.
    Items,
    /// Vectors: contiguous destination, source in descending order.
    Reversed,
    /// Vectors: contiguous destination, every second item of the source.
    EverySecond,
    /// Vectors and streaming stores: contiguous destination, any source stride, items of 16 or 32 bytes.
    Lanes,
}

/// Shorter rows are not worth a call of a vector loop.
const LEAST_ITEMS: usize = 32;

impl RowKernel {
    /// The fastest kernel for rows like this one. `far`: the destination shall bypass the caches where possible.
    pub fn of(axis: &Axis, item: usize, far: bool) -> RowKernel {
        let step = item as isize;
        if !has_vectors() || axis.dst != step || axis.length < LEAST_ITEMS {
            RowKernel::Items
        } else if axis.src == -step && item <= 16 {
            RowKernel::Reversed
        } else if axis.src == 2 * step && item < 16 {
            RowKernel::EverySecond
        } else if far && (item == 16 || item == 32) {
            RowKernel::Lanes
        } else {
            RowKernel::Items
        }
    }
}

/// Copies a row of items of T. `far`: the destination bypasses the caches where possible.
///
/// # Safety
/// - `axis.length` items may be read from `src` and written to `dst`, at the axis's strides.
/// - `kernel` is one that [`RowKernel::of`] returned for this axis.
/// - `far`: the two sides share no byte.
#[inline]
pub(super) unsafe fn copy<T: Copy>(kernel: RowKernel, axis: Axis, dst: *mut u8, src: *const u8, far: bool) {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    if kernel != RowKernel::Items {
        // SAFETY: the caller's obligation; `RowKernel::of` has checked that the processor has the vectors.
        return unsafe { vectors::copy(kernel, size_of::<T>(), axis, dst, src, far) };
    }
    let _ = (kernel, far);
    // SAFETY: the caller's obligation.
    unsafe { copy_items::<T>(axis, dst, src) }
}

/// # Safety
/// - `axis.length` items of T may be read from `src` and written to `dst`, at the axis's strides.
unsafe fn copy_items<T: Copy>(axis: Axis, mut dst: *mut u8, mut src: *const u8) {
    if axis.src == 0 {
        // SAFETY: the caller's obligation.
        return unsafe { fill::<T>(axis, dst, src.cast::<T>().read_unaligned()) };
    }
    for _ in 0..axis.length {
        // SAFETY: the caller's obligation.
        unsafe { dst.cast::<T>().write_unaligned(src.cast::<T>().read_unaligned()) };
        dst = dst.wrapping_offset(axis.dst);
        src = src.wrapping_offset(axis.src);
    }
}

/// # Safety
/// - `axis.length` items of T may be written to `dst`, at the axis's stride.
unsafe fn fill<T: Copy>(axis: Axis, mut dst: *mut u8, value: T) {
    if axis.dst == size_of::<T>() as isize {
        for at in 0..axis.length {
            // SAFETY: the caller's obligation. The constant stride lets the compiler use vectors.
            unsafe { dst.cast::<T>().add(at).write_unaligned(value) };
        }
        return;
    }
    for _ in 0..axis.length {
        // SAFETY: the caller's obligation.
        unsafe { dst.cast::<T>().write_unaligned(value) };
        dst = dst.wrapping_offset(axis.dst);
    }
}

fn has_vectors() -> bool {
    cpu::vectors() != Vectors::Portable
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod vectors {
    use super::{RowKernel, copy_items};
    use crate::blit::vector::Wide;
    use crate::blit::walk::step_to;
    use crate::layout::loops::Axis;
    #[cfg(target_arch = "aarch64")]
    use core::arch::aarch64::uint8x16x2_t;
    #[cfg(target_arch = "x86_64")]
    use {
        crate::sys::cpu::{self, Vectors},
        core::arch::x86_64::{__m256i, __m512i},
    };

    /// # Safety
    /// As `super::copy`; `kernel` has vectors.
    #[cfg(target_arch = "aarch64")]
    pub unsafe fn copy(kernel: RowKernel, item: usize, axis: Axis, dst: *mut u8, src: *const u8, far: bool) {
        // SAFETY: the caller's obligation.
        unsafe {
            match item {
                1 => row::<uint8x16x2_t, 1>(kernel, axis, dst, src, far),
                2 => row::<uint8x16x2_t, 2>(kernel, axis, dst, src, far),
                4 => row::<uint8x16x2_t, 4>(kernel, axis, dst, src, far),
                8 => row::<uint8x16x2_t, 8>(kernel, axis, dst, src, far),
                16 => row::<uint8x16x2_t, 16>(kernel, axis, dst, src, far),
                _ => row::<uint8x16x2_t, 32>(kernel, axis, dst, src, far),
            }
        }
    }

    /// # Safety
    /// As `super::copy`; `kernel` has vectors.
    #[cfg(target_arch = "x86_64")]
    pub unsafe fn copy(kernel: RowKernel, item: usize, axis: Axis, dst: *mut u8, src: *const u8, far: bool) {
        let wide = cpu::vectors() == Vectors::Avx512;
        // SAFETY: the caller's obligation.
        unsafe {
            match (wide, item) {
                (true, 1) => avx512::<1>(kernel, axis, dst, src, far),
                (true, 2) => avx512::<2>(kernel, axis, dst, src, far),
                (true, 4) => avx512::<4>(kernel, axis, dst, src, far),
                (true, 8) => avx512::<8>(kernel, axis, dst, src, far),
                (true, 16) => avx512::<16>(kernel, axis, dst, src, far),
                (true, _) => avx512::<32>(kernel, axis, dst, src, far),
                (false, 1) => avx2::<1>(kernel, axis, dst, src, far),
                (false, 2) => avx2::<2>(kernel, axis, dst, src, far),
                (false, 4) => avx2::<4>(kernel, axis, dst, src, far),
                (false, 8) => avx2::<8>(kernel, axis, dst, src, far),
                (false, 16) => avx2::<16>(kernel, axis, dst, src, far),
                (false, _) => avx2::<32>(kernel, axis, dst, src, far),
            }
        }
    }

    /// # Safety
    /// As `copy`; the processor has AVX-512.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn avx512<const ITEM: usize>(kernel: RowKernel, axis: Axis, dst: *mut u8, src: *const u8, far: bool) {
        // SAFETY: the caller's obligation.
        unsafe { row::<__m512i, ITEM>(kernel, axis, dst, src, far) }
    }

    /// # Safety
    /// As `copy`; the processor has AVX2.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    unsafe fn avx2<const ITEM: usize>(kernel: RowKernel, axis: Axis, dst: *mut u8, src: *const u8, far: bool) {
        // SAFETY: the caller's obligation.
        unsafe { row::<__m256i, ITEM>(kernel, axis, dst, src, far) }
    }

    /// Copies single items up to the first address that a vector is aligned to, then vectors, then the remaining items.
    ///
    /// # Safety
    /// As `copy`; the processor has the vector.
    #[inline(always)]
    unsafe fn row<V: Wide, const ITEM: usize>(kernel: RowKernel, axis: Axis, dst: *mut u8, src: *const u8, far: bool) {
        let length = axis.length;
        let items = V::BYTES / ITEM;
        let head = (dst as usize).wrapping_neg() % V::BYTES;
        let head = if head.is_multiple_of(ITEM) { (head / ITEM).min(length) } else { 0 };
        let far = far && (dst as usize).wrapping_add(head * ITEM).is_multiple_of(V::BYTES);
        // SAFETY: the caller's obligation, here and below on parts of the row. `EverySecond` would read beyond the last
        // item with the last vectors, so these items belong to the rest.
        unsafe { rest::<ITEM>(axis, 0, head, dst, src) };
        let mut at = head;
        while at + items < length {
            let (to, from) = step_to(&axis, at, dst, src);
            // SAFETY: as above.
            unsafe {
                let vector = match kernel {
                    RowKernel::Reversed => V::load(from.wrapping_sub(V::BYTES - ITEM)).reversed::<ITEM>(),
                    RowKernel::Lanes if ITEM == 16 => V::gather(from, axis.src),
                    RowKernel::Lanes => V::gather_pairs(from, axis.src),
                    _ => V::every_second::<ITEM>(V::load(from), V::load(from.wrapping_add(V::BYTES))),
                };
                if far { vector.stream(to) } else { vector.store(to) }
            }
            at += items;
        }
        // SAFETY: as above.
        unsafe { rest::<ITEM>(axis, at, length, dst, src) };
    }

    /// Copies items `from..to` of the row one by one.
    ///
    /// # Safety
    /// As `copy`.
    #[inline(always)]
    unsafe fn rest<const ITEM: usize>(axis: Axis, from: usize, to: usize, dst: *mut u8, src: *const u8) {
        let part = Axis { length: to - from, ..axis };
        let (dst, src) = step_to(&axis, from, dst, src);
        // SAFETY: the caller's obligation.
        unsafe {
            match ITEM {
                1 => copy_items::<u8>(part, dst, src),
                2 => copy_items::<u16>(part, dst, src),
                4 => copy_items::<u32>(part, dst, src),
                8 => copy_items::<u64>(part, dst, src),
                16 => copy_items::<u128>(part, dst, src),
                _ => copy_items::<[u128; 2]>(part, dst, src),
            }
        }
    }
}
