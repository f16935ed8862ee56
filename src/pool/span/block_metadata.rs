//! Metadata of the blocks of a small span, in columns outside the span's memory.
//!
//! Contract: type-stable for each size class. A record stays mapped; without a user it may read 0.

use super::class;
use crate::pool::recycler::{Recycled, Recycler};
use crate::pool::relaxed::RelaxedUsize;
use crate::pool::span::block_state::BlockCell;
use core::sync::atomic::{AtomicPtr, AtomicU16, AtomicU64, Ordering};

/// Head of the metadata of a small span. Behind it lie the columns, with one entry for each block that a span of the
/// class can have, and one more.
#[derive(Debug)]
#[repr(C)]
pub(in crate::pool) struct BlockMetadata {
    recycled: AtomicPtr<BlockMetadata>,
    /// Entries of each column. Never changes after creation.
    pub(super) blocks: RelaxedUsize,
}

// SAFETY: zero is valid, and `recycled` serves the list only.
unsafe impl Recycled for BlockMetadata {
    fn link(&self) -> &AtomicPtr<BlockMetadata> {
        &self.recycled
    }
}

pub(super) static METADATA: [Recycler<BlockMetadata>; class::COUNT] = [const { Recycler::new() }; class::COUNT];

/// Bytes of a block's entries: cell, index on the stack, slack. Behind the cells lies a bit for each block. The stack's
/// lowest entry takes the place of the one for the bytes behind the last block.
const ENTRY_BYTES: usize = 8 + 2 + 2;

impl BlockMetadata {
    /// Metadata for a span of a class. None: no memory.
    pub fn create(class: usize) -> Option<&'static BlockMetadata> {
        let metadata = METADATA[class].get_sized(BlockMetadata::bytes(class))?;
        metadata.blocks.set(BlockMetadata::entries(class));
        Some(metadata)
    }
    pub fn release(&'static self, class: usize) {
        METADATA[class].put(self);
    }
    /// Bytes of one record for a class.
    pub fn bytes(class: usize) -> usize {
        size_of::<BlockMetadata>()
            + BlockMetadata::entries(class).div_ceil(64) * 8
            + BlockMetadata::entries(class) * ENTRY_BYTES
    }
    /// One for each block, and one for the bytes behind the last block.
    fn entries(class: usize) -> usize {
        class::blocks(class) + 1
    }
    #[inline]
    pub(super) fn columns(&'static self) -> Columns {
        let (cells, blocks) = (core::ptr::from_ref(self).wrapping_add(1) as usize, self.blocks.get());
        let bits = cells + blocks * size_of::<BlockCell>();
        let stack = bits + blocks.div_ceil(64) * size_of::<u64>();
        Columns { cells, bits, stack, slacks: stack + blocks * size_of::<u16>(), blocks }
    }
    /// Resets all blocks to "never allocated".
    pub fn clear(&'static self) {
        let columns = self.columns();
        for index in 0..columns.blocks {
            columns.cell(index).clear();
        }
        for word in 0..columns.blocks.div_ceil(64) {
            columns.returned(word).store(0, Ordering::Relaxed);
        }
    }
}

/// Addresses of the columns, one behind the other.
#[derive(Clone, Copy, Default)]
pub(super) struct Columns {
    pub cells: usize,
    bits: usize,
    pub stack: usize,
    pub slacks: usize,
    blocks: usize,
}

impl Columns {
    /// Limits an index to the columns. A reader without the lock may have the index of other metadata; it discards
    /// its result later, but must not read outside.
    #[inline]
    fn cut(&self, index: usize) -> usize {
        // 0 entries: the record lost its pages meanwhile.
        index.min(self.blocks.saturating_sub(1))
    }
    pub fn cell(&self, index: usize) -> &'static BlockCell {
        // SAFETY: `BlockMetadata::columns` laid them out in memory that is never unmapped. The index is limited to
        // their length. Columns of wider entries come first, so each is aligned. They have atomics only.
        unsafe { &*(self.cells as *const BlockCell).add(self.cut(index)) }
    }
    pub fn slack(&self, index: usize) -> &'static AtomicU16 {
        // SAFETY: as in `cell`.
        unsafe { &*(self.slacks as *const AtomicU16).add(self.cut(index)) }
    }
    /// A word of the bits of remote frees.
    pub fn returned(&self, word: usize) -> &'static AtomicU64 {
        let word = word.min(self.blocks.div_ceil(64).saturating_sub(1));
        // SAFETY: as in `cell`.
        unsafe { &*(self.bits as *const AtomicU64).add(word) }
    }
}
