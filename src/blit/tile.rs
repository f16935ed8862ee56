//! Tiles: the vector loops of a transposition, on x86-64 and aarch64.
//!
//! Contract: [`kernel`] returns only a [`Kernel`] that the processor supports. `bytes::fence` orders streaming stores
//! before later stores.
//!
//! A vector has 1, 2 or 4 lanes of 16 bytes, and a lane has `columns` = 16 / item items. A tile has `rows` = lanes *
//! columns source rows.
//!
//! 1. Lane l of vector m is loaded with 16 bytes of source row m + l * columns.
//! 2. The vectors i and i + columns / 2 are interleaved, for all i. After log2(columns) such rounds the square in each
//!    lane is transposed.
//! 3. Then vector c holds column c of all rows in their order. With four lanes it is one whole line of the destination.

use super::vector::Lanes;

#[cfg(target_arch = "aarch64")]
use aarch64::all;
#[cfg(target_arch = "x86_64")]
use x86_64::all;

/// A part of a transposition: source rows, whose items lie side by side, become columns of the destination.
#[derive(Clone, Copy)]
pub(super) struct Panel {
    pub dst: *mut u8,
    /// From one source column to the next.
    pub dst_stride: isize,
    pub src: *const u8,
    /// From one source row to the next.
    pub src_stride: isize,
    pub rows: usize,
    pub columns: usize,
}

/// Tiles of one item size.
pub(super) struct Kernel {
    /// Rows of a tile: as many as fill a vector.
    pub rows: usize,
    /// Columns of a tile: as many as fill a lane.
    pub columns: usize,
    /// Transposes a panel. The last tiles in each direction may overlap their neighbours.
    ///
    /// # Safety
    /// - The panel's elements may be read and written, and the two sides share no byte.
    /// - The panel is no smaller than a tile.
    pub panel: unsafe fn(&Panel),
    /// Transposes a panel with streaming stores.
    ///
    /// # Safety
    /// - As for `panel`.
    /// - The rows are a multiple of a tile's, and every destination row starts at a multiple of the vector's size.
    pub streamed: unsafe fn(&Panel),
}

/// The kernel with the most rows that fits in a plane of `rows` and `columns`. None: the plane is too small, or the
/// processor too old.
pub(super) fn kernel(item: usize, rows: usize, columns: usize) -> Option<&'static Kernel> {
    let sizes = all().iter().filter_map(|kernels| kernels.get(item.trailing_zeros() as usize));
    sizes.into_iter().find(|kernel| rows >= kernel.rows && columns >= kernel.columns)
}

/// # Safety
/// As for `Kernel::panel`, or `Kernel::streamed` if STREAMED; the processor has the vector.
#[inline(always)]
unsafe fn tiles<V: Lanes, const ITEM: usize, const STREAMED: bool>(panel: &Panel) {
    let (rows, columns) = (V::BYTES / ITEM, 16 / ITEM);
    let Panel { dst, dst_stride, src, src_stride, .. } = *panel;
    for column in (0..panel.columns).step_by(columns) {
        let column = column.min(panel.columns - columns) as isize;
        let dst = dst.wrapping_offset(column.wrapping_mul(dst_stride));
        let src = src.wrapping_offset(column * ITEM as isize);
        for row in (0..panel.rows).step_by(rows) {
            let row = row.min(panel.rows - rows) as isize;
            let dst = dst.wrapping_offset(row * ITEM as isize);
            let src = src.wrapping_offset(row.wrapping_mul(src_stride));
            // SAFETY: a tile of the panel.
            unsafe {
                match ITEM {
                    1 => tile_of_1::<V, STREAMED>(dst, dst_stride, src, src_stride),
                    2 => tile_of_2::<V, STREAMED>(dst, dst_stride, src, src_stride),
                    4 => tile_of_4::<V, STREAMED>(dst, dst_stride, src, src_stride),
                    8 => tile_of_8::<V, STREAMED>(dst, dst_stride, src, src_stride),
                    _ => put::<V, STREAMED>(V::gather(src, src_stride), dst),
                }
            }
        }
    }
}

/// # Safety
/// As `Lanes::store` or `Lanes::stream`.
#[inline(always)]
unsafe fn put<V: Lanes, const STREAMED: bool>(vector: V, at: *mut u8) {
    // SAFETY: the caller's obligation.
    unsafe { if STREAMED { vector.stream(at) } else { vector.store(at) } }
}

/// Defines the transposition of one tile. It is unrolled, so that its vectors stay in registers; a loop's index would
/// force them into memory.
macro_rules! tile {
    ($tile:ident, $item:literal, $columns:literal, $rounds:literal, [$($m:literal)*], [$($i:literal $j:literal)*]) => {
        /// # Safety
        /// As `tiles`, for one tile.
        #[inline(always)]
        unsafe fn $tile<V: Lanes, const STREAMED: bool>(
            dst: *mut u8,
            dst_stride: isize,
            src: *const u8,
            src_stride: isize,
        ) {
            // SAFETY: rows and columns of the tile, by the caller's obligation.
            unsafe {
                let lane = src_stride.wrapping_mul($columns);
                let mut v = [$(V::gather(src.wrapping_offset(src_stride.wrapping_mul($m)), lane)),*];
                v = [$(V::low::<$item>(v[$i], v[$j]), V::high::<$item>(v[$i], v[$j])),*];
                if $rounds >= 2 {
                    v = [$(V::low::<$item>(v[$i], v[$j]), V::high::<$item>(v[$i], v[$j])),*];
                }
                if $rounds >= 3 {
                    v = [$(V::low::<$item>(v[$i], v[$j]), V::high::<$item>(v[$i], v[$j])),*];
                }
                if $rounds >= 4 {
                    v = [$(V::low::<$item>(v[$i], v[$j]), V::high::<$item>(v[$i], v[$j])),*];
                }
                $(put::<V, STREAMED>(v[$m], dst.wrapping_offset(dst_stride.wrapping_mul($m)));)*
            }
        }
    };
}

tile!(tile_of_1, 1, 16, 4, [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15], [0 8 1 9 2 10 3 11 4 12 5 13 6 14 7 15]);
tile!(tile_of_2, 2, 8, 3, [0 1 2 3 4 5 6 7], [0 4 1 5 2 6 3 7]);
tile!(tile_of_4, 4, 4, 2, [0 1 2 3], [0 2 1 3]);
tile!(tile_of_8, 8, 2, 1, [0 1], [0 1]);

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::{Kernel, Panel, tiles};
    use crate::sys::cpu::{self, Vectors};
    use core::arch::x86_64::{__m128i, __m256i, __m512i};

    /// The kernels that the processor supports, widest first.
    pub fn all() -> &'static [&'static [Kernel; 5]] {
        match cpu::vectors() {
            Vectors::Portable => &[],
            Vectors::Avx2 => &WIDEST_FIRST[1..],
            Vectors::Avx512 => &WIDEST_FIRST,
        }
    }

    static WIDEST_FIRST: [&[Kernel; 5]; 3] = [&AVX512, &AVX2, &SSE2];

    static AVX512: [Kernel; 5] = [
        Kernel { rows: 64, columns: 16, panel: avx512::<1, false>, streamed: avx512::<1, true> },
        Kernel { rows: 32, columns: 8, panel: avx512::<2, false>, streamed: avx512::<2, true> },
        Kernel { rows: 16, columns: 4, panel: avx512::<4, false>, streamed: avx512::<4, true> },
        Kernel { rows: 8, columns: 2, panel: avx512::<8, false>, streamed: avx512::<8, true> },
        Kernel { rows: 4, columns: 1, panel: avx512::<16, false>, streamed: avx512::<16, true> },
    ];
    static AVX2: [Kernel; 5] = [
        Kernel { rows: 32, columns: 16, panel: avx2::<1, false>, streamed: avx2::<1, true> },
        Kernel { rows: 16, columns: 8, panel: avx2::<2, false>, streamed: avx2::<2, true> },
        Kernel { rows: 8, columns: 4, panel: avx2::<4, false>, streamed: avx2::<4, true> },
        Kernel { rows: 4, columns: 2, panel: avx2::<8, false>, streamed: avx2::<8, true> },
        Kernel { rows: 2, columns: 1, panel: avx2::<16, false>, streamed: avx2::<16, true> },
    ];
    static SSE2: [Kernel; 5] = [
        Kernel { rows: 16, columns: 16, panel: sse2::<1, false>, streamed: sse2::<1, true> },
        Kernel { rows: 8, columns: 8, panel: sse2::<2, false>, streamed: sse2::<2, true> },
        Kernel { rows: 4, columns: 4, panel: sse2::<4, false>, streamed: sse2::<4, true> },
        Kernel { rows: 2, columns: 2, panel: sse2::<8, false>, streamed: sse2::<8, true> },
        Kernel { rows: 1, columns: 1, panel: sse2::<16, false>, streamed: sse2::<16, true> },
    ];

    /// # Safety
    /// As for `Kernel::panel`, or `Kernel::streamed` if STREAMED; the processor has AVX-512.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn avx512<const ITEM: usize, const STREAMED: bool>(panel: &Panel) {
        // SAFETY: the caller's obligation.
        unsafe { tiles::<__m512i, ITEM, STREAMED>(panel) }
    }

    /// # Safety
    /// As `avx512`; the processor has AVX2.
    #[target_feature(enable = "avx2")]
    unsafe fn avx2<const ITEM: usize, const STREAMED: bool>(panel: &Panel) {
        // SAFETY: the caller's obligation.
        unsafe { tiles::<__m256i, ITEM, STREAMED>(panel) }
    }

    /// # Safety
    /// As `avx512`, on any processor.
    unsafe fn sse2<const ITEM: usize, const STREAMED: bool>(panel: &Panel) {
        // SAFETY: the caller's obligation.
        unsafe { tiles::<__m128i, ITEM, STREAMED>(panel) }
    }
}

#[cfg(target_arch = "aarch64")]
mod aarch64 {
    use super::{Kernel, Panel, tiles};
    use crate::blit::vector::Lanes;
    use crate::sys::cpu::{self, Vectors};
    use core::arch::aarch64::{uint8x16_t, uint8x16x2_t};

    /// The kernels that the processor supports, widest first.
    pub fn all() -> &'static [&'static [Kernel; 5]] {
        match cpu::vectors() {
            Vectors::Portable => &[],
            Vectors::Neon => &WIDEST_FIRST,
        }
    }

    static WIDEST_FIRST: [&[Kernel; 5]; 2] = [&PAIRS, &SINGLE];

    static PAIRS: [Kernel; 5] = [
        // A tile of pairs would need all 32 registers, and some of its vectors would go to memory.
        Kernel { rows: 16, columns: 16, panel: neon::<uint8x16_t, 1>, streamed: neon::<uint8x16_t, 1> },
        Kernel { rows: 16, columns: 8, panel: neon::<uint8x16x2_t, 2>, streamed: neon::<uint8x16x2_t, 2> },
        Kernel { rows: 8, columns: 4, panel: neon::<uint8x16x2_t, 4>, streamed: neon::<uint8x16x2_t, 4> },
        Kernel { rows: 4, columns: 2, panel: neon::<uint8x16x2_t, 8>, streamed: neon::<uint8x16x2_t, 8> },
        Kernel { rows: 2, columns: 1, panel: neon::<uint8x16x2_t, 16>, streamed: neon::<uint8x16x2_t, 16> },
    ];
    static SINGLE: [Kernel; 5] = [
        Kernel { rows: 16, columns: 16, panel: neon::<uint8x16_t, 1>, streamed: neon::<uint8x16_t, 1> },
        Kernel { rows: 8, columns: 8, panel: neon::<uint8x16_t, 2>, streamed: neon::<uint8x16_t, 2> },
        Kernel { rows: 4, columns: 4, panel: neon::<uint8x16_t, 4>, streamed: neon::<uint8x16_t, 4> },
        Kernel { rows: 2, columns: 2, panel: neon::<uint8x16_t, 8>, streamed: neon::<uint8x16_t, 8> },
        Kernel { rows: 1, columns: 1, panel: neon::<uint8x16_t, 16>, streamed: neon::<uint8x16_t, 16> },
    ];

    /// # Safety
    /// As for `Kernel::panel`.
    unsafe fn neon<V: Lanes, const ITEM: usize>(panel: &Panel) {
        // SAFETY: the caller's obligation. There are no streaming stores.
        unsafe { tiles::<V, ITEM, false>(panel) }
    }
}
