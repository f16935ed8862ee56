//! Size classes: multiples of 16 up to 256 bytes, then eight to a doubling, up to 64 KiB.
//!
//! Contract: pure. A class wastes at most an eighth of the request, or 15 bytes (PO-16). If a size is a multiple of
//! an alignment up to 4 KiB, so is its class. So a block at `base + i * class` is aligned as requested whenever
//! `base` is.
#![forbid(unsafe_code)]

use crate::device::host::GRANULE;

/// Bytes of the largest class. A larger block has a span of its own.
pub(in crate::pool) const LARGEST_BYTES: usize = 64 << 10;
/// Largest alignment of a block of a class.
pub(in crate::pool) const LARGEST_ALIGNMENT: usize = 4096;
/// Number of classes: 16 of 16 bytes each, then eight for each doubling from 256 to 65536.
pub(in crate::pool) const COUNT: usize = 16 + 8 * 8;

/// The class of each size, in steps of 16 bytes; entry 0 is for 1 to 16 bytes.
static OF: [u8; LARGEST_BYTES / 16] = {
    let mut table = [0; LARGEST_BYTES / 16];
    let (mut class, mut entry) = (0, 0);
    while entry < table.len() {
        if 16 * (entry + 1) > bytes(class) {
            class += 1;
        }
        table[entry] = class as u8;
        entry += 1;
    }
    table
};

/// The class for a request; `alignment` is a power of two. 0 bytes count as 1. None: the block needs a span of its
/// own.
#[inline]
pub(in crate::pool) fn fitting(bytes: usize, alignment: usize) -> Option<usize> {
    of_request(bytes.max(1), alignment)
}

/// As `fitting`, for any alignment. None also for 0 bytes, and for an alignment that is no power of two.
#[inline(always)]
pub(in crate::pool) fn of_request(bytes: usize, alignment: usize) -> Option<usize> {
    let (less, below) = (bytes.wrapping_sub(1), alignment.wrapping_sub(1));
    if less >= LARGEST_BYTES || below >= LARGEST_ALIGNMENT || alignment & below != 0 {
        return None;
    }
    // A size rounded up to the alignment is at most the largest class, which is a multiple of every alignment.
    const { assert!(LARGEST_BYTES.is_multiple_of(LARGEST_ALIGNMENT) && LARGEST_BYTES.is_power_of_two()) };
    Some(OF[((less | below) / 16) & (OF.len() - 1)].into())
}

/// What [`of_default`] takes for an alignment, a power of two.
pub(in crate::pool) fn mask(alignment: usize) -> usize {
    if alignment <= LARGEST_ALIGNMENT { alignment - 1 } else { usize::MAX }
}

/// As `of_request`, for an alignment that was checked before: its [`mask`].
#[inline(always)]
pub(in crate::pool) fn of_default(bytes: usize, mask: usize) -> Option<usize> {
    let largest = bytes.wrapping_sub(1) | mask;
    // The largest class is a power of two, so this compares the larger one.
    if largest >= LARGEST_BYTES { None } else { Some(OF[(largest / 16) & (OF.len() - 1)].into()) }
}

/// Bytes of a block of a class.
pub(in crate::pool) const fn bytes(class: usize) -> usize {
    if class < 16 {
        return (class + 1) * 16;
    }
    let (exponent, step) = (8 + (class - 16) / 8, (class - 16) % 8 + 1);
    (1 << exponent) + (step << (exponent - 3))
}

/// 2^64 divided by the block's bytes, rounded up. Its product with an offset in the span has `offset / bytes` in the
/// high half. The low half is less than it exactly if the division leaves no remainder ("Faster remainders when the
/// divisor is a constant", Lemire, Kaser and Kurz).
pub(in crate::pool) fn reciprocal(class: usize) -> usize {
    (1u128 << 64).div_ceil(bytes(class) as u128) as usize
}

/// Bytes of a span of a class: whole granules for at least eight blocks.
pub(in crate::pool) fn span_bytes(class: usize) -> usize {
    (8 * bytes(class)).next_multiple_of(GRANULE)
}

/// Bytes of the smallest span of a class, for a limit that has no room for the usual one.
pub(in crate::pool) fn least_span_bytes(class: usize) -> usize {
    bytes(class).next_multiple_of(GRANULE)
}

/// Most blocks of a span of a class.
pub(in crate::pool) fn blocks(class: usize) -> usize {
    span_bytes(class) / bytes(class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_size_has_the_smallest_class_that_holds_it() {
        for size in 1..=LARGEST_BYTES {
            let class = fitting(size, 8).unwrap();
            assert!(bytes(class) >= size && (class == 0 || bytes(class - 1) < size), "{size}");
        }
        assert_eq!(fitting(LARGEST_BYTES, 8), Some(COUNT - 1));
        assert_eq!(bytes(COUNT - 1), LARGEST_BYTES);
    }

    #[test]
    fn po_16_waste_is_bounded_and_aligned_for_each_alignment() {
        for shift in 3..=12 {
            let alignment = 1usize << shift;
            for m in (alignment..=LARGEST_BYTES).step_by(alignment) {
                let size = bytes(fitting(m, 8).unwrap());
                assert!(
                    size <= (m + m / 8).max(m + 15) && size.is_multiple_of(alignment),
                    "{m} at {alignment}: {size}"
                );
            }
        }
    }

    #[test]
    fn reciprocals_divide_exactly() {
        for class in 0..COUNT {
            for offset in 0..span_bytes(class) {
                let (product, reciprocal) = (offset as u128 * reciprocal(class) as u128, reciprocal(class) as u64);
                assert_eq!((product >> 64) as usize, offset / bytes(class), "{offset} by {}", bytes(class));
                assert_eq!((product as u64) < reciprocal, offset % bytes(class) == 0, "{offset} by {}", bytes(class));
            }
        }
    }

    #[test]
    fn spans_hold_eight_blocks_and_waste_little() {
        for class in 0..COUNT {
            let span = span_bytes(class);
            assert!((1..=8).contains(&(span / GRANULE)) && blocks(class) >= 8 && blocks(class) <= u16::MAX as usize);
            assert!(span - blocks(class) * bytes(class) < bytes(class).max(1));
        }
    }
}
