//! Transpositions: two axes, one of which is contiguous in the destination, the other in the source.
//!
//! Contract: source and destination share no byte. The plane is copied in blocks, and a block in tiles. So both sides
//! use whole cache lines while they are cached. Every element is written at least once; some at the end of a block are
//! written twice.
//!
//! **Packing.** Rows that are a large power of two apart fall into the same few cache sets and evict each other. So a
//! block's rows are first copied side by side into a small buffer on the stack. Meanwhile the lines of the next block
//! are prefetched. Small planes are not packed unless their stride is such a power of two.
//!
//! **Streaming.** A destination larger than a part of the last-level cache is written with streaming stores, if all its
//! rows have equal alignment. Then no line is read only to be overwritten.
//!
//! Throughput relative to memcpy, measured for 4096 x 4096 f64 on 4 KiB pages: 0.35 with tiles alone, and 0.4 with
//! packing. With packing and streaming it is 0.55, and with prefetching as well 0.85.

use super::walk::step_to;
use crate::layout::loops::Axis;

/// The two axes of a transposition.
#[derive(Clone, Copy)]
pub(super) struct Plane {
    /// The axis that is contiguous in the destination.
    pub inner: Axis,
    /// The axis that is contiguous in the source.
    pub outer: Axis,
}

/// The edge of a tile, in elements, without vectors. The lines of 8 rows fit in one cache set, to which a stride that
/// is a power of two may map them. So they stay cached until they are used up. Measured for items of 1 to 16 bytes;
/// edges of 16 and 32 are slower for 8-byte items.
const TILE_EDGE: usize = 8;
/// The long edge of a tile whose other edge is shorter than [`TILE_EDGE`], in elements.
const LONG_EDGE: usize = 512;

impl Plane {
    /// Copies the plane in tiles. `row` copies a part of one axis between two addresses.
    pub fn copy_by_rows(&self, dst: *mut u8, src: *const u8, row: impl Fn(Axis, *mut u8, *const u8)) {
        let Plane { mut inner, mut outer } = *self;
        if inner.length < TILE_EDGE {
            // Long rows gain more than contiguous stores.
            core::mem::swap(&mut inner, &mut outer);
        }
        let edge = if outer.length < TILE_EDGE { LONG_EDGE } else { TILE_EDGE };
        for inner_index in (0..inner.length).step_by(edge) {
            let part = Axis { length: edge.min(inner.length - inner_index), ..inner };
            for outer_index in 0..outer.length {
                let (dst, src) = step_to(&outer, outer_index, dst, src);
                let (dst, src) = step_to(&inner, inner_index, dst, src);
                row(part, dst, src);
            }
        }
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) use vectors::Transposer;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod vectors {
    use super::Plane;
    use crate::blit::tile::{self, Kernel, Panel};
    use crate::blit::walk::step_to;
    use crate::sys::cpu;
    use core::mem::MaybeUninit;

    const LINE_BYTES: usize = 64;
    /// The packing buffer stays in the first-level cache.
    const BUFFER_BYTES: usize = 32 << 10;
    /// Rows and columns of a packed block, by log2 of the item size. Its destination rows have 256 or 512 bytes, its
    /// source rows 128 to 1024.
    const PACKED_BLOCK: [(usize, usize); 5] = [(256, 128), (256, 64), (128, 64), (64, 32), (32, 64)];
    /// Rows and columns of a packed block of 8-byte items, if the copy is too large for the caches.
    const PACKED_FAR_BLOCK_OF_8: (usize, usize) = (32, 64);
    /// Length of the rows of a block that is not packed, on both sides.
    const UNPACKED_ROW_BYTES: usize = 256;
    /// Source rows at a multiple of this distance share few sets of a cache.
    const SET_CONFLICT_STRIDE_BYTES: usize = 2048;

    #[repr(align(64))]
    struct Buffer(MaybeUninit<[u8; BUFFER_BYTES]>);

    /// Transposes planes that differ in their addresses only.
    pub struct Transposer {
        plane: Plane,
        item: usize,
        kernel: &'static Kernel,
        far: bool,
    }

    /// Rows from..to of a plane, in blocks of one kind.
    struct Strip {
        from: usize,
        to: usize,
        streamed: bool,
    }

    impl Transposer {
        /// None if the plane is too small for vectors, or if a side is not contiguous along its axis. `far`: the whole
        /// copy is too large for the caches.
        pub fn new(plane: Plane, item: usize, far: bool) -> Option<Transposer> {
            if plane.inner.dst != item as isize || plane.outer.src != item as isize {
                return None;
            }
            let kernel = tile::kernel(item, plane.inner.length, plane.outer.length)?;
            Some(Transposer { plane, item, kernel, far })
        }

        /// Transposes the plane at these addresses. `bytes::fence` orders its streaming stores before later stores.
        ///
        /// # Safety
        /// - Every element of the plane may be read from `src` and written to `dst`, and the two sides share no byte.
        pub unsafe fn copy(&self, dst: *mut u8, src: *const u8) {
            let rows = self.plane.inner.length;
            let strip = |from, to, streamed| {
                // SAFETY: the caller's obligation.
                unsafe { self.strip(&Strip { from, to, streamed }, dst, src) }
            };
            let head = (dst as usize).wrapping_neg() % LINE_BYTES;
            let aligned = head.is_multiple_of(self.item) && (self.plane.outer.dst as usize).is_multiple_of(LINE_BYTES);
            let from = head / self.item;
            let tile = LINE_BYTES / self.item;
            if !(self.far && aligned && rows >= from + tile) {
                return strip(0, rows, false);
            }
            let to = rows - (rows - from) % tile;
            strip(from, to, true);
            // The rows before the first whole line and after the last one. Less than a tile of them is extended by rows
            // that are done.
            if from > 0 {
                strip(0, from.max(self.kernel.rows), false);
            }
            if to < rows {
                strip(to.min(rows - self.kernel.rows), rows, false);
            }
        }

        /// # Safety
        /// As `copy`; the strip has at least the rows of a tile. A streamed strip consists of whole lines.
        unsafe fn strip(&self, strip: &Strip, dst: *mut u8, src: *const u8) {
            if self.far || (self.plane.inner.src as usize).is_multiple_of(SET_CONFLICT_STRIDE_BYTES) {
                let mut buffer = Buffer(MaybeUninit::uninit());
                // SAFETY: the caller's obligation.
                unsafe { self.blocks(strip, dst, src, Some(&mut buffer)) };
            } else {
                // SAFETY: the caller's obligation.
                unsafe { self.blocks(strip, dst, src, None) };
            }
        }

        /// # Safety
        /// As `strip`.
        unsafe fn blocks(&self, strip: &Strip, dst: *mut u8, src: *const u8, mut buffer: Option<&mut Buffer>) {
            let (item, columns) = (self.item, self.plane.outer.length);
            let (block_rows, block_columns) = match &buffer {
                Some(_) if self.far && item == 8 => PACKED_FAR_BLOCK_OF_8,
                Some(_) => PACKED_BLOCK[item.trailing_zeros() as usize],
                None => ((UNPACKED_ROW_BYTES / item).max(self.kernel.rows), UNPACKED_ROW_BYTES / item),
            };
            let (row_blocks, column_blocks) =
                ((strip.to - strip.from).div_ceil(block_rows), columns.div_ceil(block_columns));
            // Blocks follow each other along the side whose rows are closer together, so that its pages and lines are
            // used up.
            let along_dst = self.plane.outer.dst.unsigned_abs() <= self.plane.inner.src.unsigned_abs();
            let start = |at: usize| match along_dst {
                true => (strip.from + at % row_blocks * block_rows, at / row_blocks * block_columns),
                false => (strip.from + at / column_blocks * block_rows, at % column_blocks * block_columns),
            };
            for at in 0..row_blocks * column_blocks {
                let (row, column) = start(at);
                let ahead = (self.far && at + 1 < row_blocks * column_blocks).then(|| {
                    let (row, column) = start(at + 1);
                    let (dst, src) = step_to(&self.plane.inner, row, dst, src);
                    let src = step_to(&self.plane.outer, column, dst, src).1;
                    Ahead {
                        src,
                        rows: block_rows.min(strip.to - row),
                        bytes: (columns - column).min(block_columns) * item,
                    }
                });
                let (row, rows) = piece(row, block_rows.min(strip.to - row), self.kernel.rows);
                let (column, columns) = piece(column, block_columns.min(columns - column), self.kernel.columns);
                let (dst, src) = step_to(&self.plane.inner, row, dst, src);
                let (dst, src) = step_to(&self.plane.outer, column, dst, src);
                let (dst_stride, src_stride) = (self.plane.outer.dst, self.plane.inner.src);
                let block = Panel { dst, dst_stride, src, src_stride, rows, columns };
                // SAFETY: a block of the strip, no smaller than a tile.
                unsafe { self.block(block, strip.streamed, buffer.as_deref_mut(), ahead) };
            }
        }

        /// # Safety
        /// As `strip`; the panel is a block.
        unsafe fn block(&self, mut block: Panel, streamed: bool, buffer: Option<&mut Buffer>, ahead: Option<Ahead>) {
            let item = self.item;
            if let Some(buffer) = buffer {
                let to = buffer.0.as_mut_ptr().cast::<u8>();
                let bytes = block.columns * item;
                // SAFETY: rows of the block; the largest block fits in the buffer.
                unsafe { pack(to, &block, bytes) };
                (block.src, block.src_stride) = (to, bytes as isize);
            }
            // One line of every row at a time.
            let step = (LINE_BYTES / item).max(self.kernel.columns);
            let mut ahead = ahead.map(|ahead| ahead.lines(block.columns.div_ceil(step)));
            let run = if streamed { self.kernel.streamed } else { self.kernel.panel };
            for column in (0..block.columns).step_by(step) {
                let (column, columns) = piece(column, step.min(block.columns - column), self.kernel.columns);
                let dst = block.dst.wrapping_offset((column as isize).wrapping_mul(block.dst_stride));
                let src = block.src.wrapping_add(column * item);
                // SAFETY: columns of the block, no fewer than a tile's.
                unsafe { run(&Panel { dst, src, columns, ..block }) };
                if let Some(ahead) = &mut ahead {
                    ahead.prefetch(self.plane.inner.src);
                }
            }
        }
    }

    /// `length` items from `start` on. If they are fewer than `least`: the `least` items that end at the same item.
    fn piece(start: usize, length: usize, least: usize) -> (usize, usize) {
        match length < least {
            true => (start + length - least, least),
            false => (start, length),
        }
    }

    /// Copies the rows of a block side by side.
    ///
    /// # Safety
    /// - `bytes` bytes of each row may be read, and `to` may be written for all of them.
    unsafe fn pack(to: *mut u8, block: &Panel, bytes: usize) {
        let mut src = block.src;
        for row in 0..block.rows {
            let to = to.wrapping_add(row * bytes);
            let mut at = 0;
            while at + LINE_BYTES <= bytes {
                // SAFETY: inside the row. The compiler copies the constant length by vectors.
                unsafe { core::ptr::copy_nonoverlapping(src.add(at), to.add(at), LINE_BYTES) };
                at += LINE_BYTES;
            }
            if at < bytes {
                // SAFETY: the rest of the row.
                unsafe { core::ptr::copy_nonoverlapping(src.add(at), to.add(at), bytes - at) };
            }
            src = src.wrapping_offset(block.src_stride);
        }
    }

    /// The source of the next block, to be prefetched.
    struct Ahead {
        src: *const u8,
        rows: usize,
        bytes: usize,
    }

    /// The lines of the next block that are not prefetched yet.
    struct Lines {
        row: *const u8,
        rows: usize,
        bytes: usize,
        rows_per_turn: usize,
    }

    impl Ahead {
        fn lines(self, turns: usize) -> Lines {
            Lines { row: self.src, rows: self.rows, bytes: self.bytes, rows_per_turn: self.rows.div_ceil(turns) }
        }
    }

    impl Lines {
        /// Prefetches the rows of one turn.
        fn prefetch(&mut self, stride: isize) {
            for _ in 0..self.rows_per_turn.min(self.rows) {
                for at in (0..self.bytes).step_by(LINE_BYTES) {
                    cpu::prefetch_far(self.row.wrapping_add(at));
                }
                self.row = self.row.wrapping_offset(stride);
                self.rows -= 1;
            }
        }
    }
}
