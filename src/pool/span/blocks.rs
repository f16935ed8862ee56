//! The blocks of a span: what is known of each, handed out, taken back and collected.
//!
//! Contract: that of spans. What says "the owner" is called by the span's owner, or with the pool's lock where it has none.

use super::{Span, block_state};
use crate::pool::remote_free::protocol;
use crate::pool::remote_free::protocol::Collected;
use crate::pool::span::block_state::{Block, BlockCell, BlockState};
use core::sync::atomic::{AtomicU16, Ordering};

/// A block that is about to be handed out.
pub(in crate::pool) struct Popped {
    pub index: usize,
    /// It never was.
    pub first: bool,
}

impl Span {
    /// What is known of a block. Without the lock: inside `read`, with fields that an earlier `read` found to belong
    /// together.
    pub fn block(&self, index: usize) -> Block {
        let Some(metadata) = self.metadata() else {
            let word = self.cell.get();
            let requested = self.large_requested();
            return Block { state: word.state(), alignment: word.alignment(), requested, tag: word.tag() };
        };
        let columns = metadata.columns();
        let word = columns.cell(index).get();
        let slack = match word.state() {
            BlockState::Store => columns.slack(index).load(Ordering::Relaxed) as usize,
            _ => word.slack(),
        };
        let requested = self.block_bytes.get().saturating_sub(slack);
        Block { state: word.state(), alignment: word.alignment(), requested, tag: word.tag() }
    }

    /// Writes what is known of a block. The owner does, or who has the block.
    pub fn set_block(&self, index: usize, block: Block) {
        let Some(metadata) = self.metadata() else {
            self.set_large_requested(block.requested);
            self.cell.set(block_state::BlockBits::of(block, 0));
            return;
        };
        let (columns, slack) = (metadata.columns(), self.block_bytes.get() - block.requested);
        columns.slack(index).store(slack as u16, Ordering::Relaxed);
        columns.cell(index).set(block_state::BlockBits::of(block, slack));
    }

    /// The word of a block.
    pub fn cell_of(&self, index: usize) -> &BlockCell {
        self.metadata().map_or(&self.cell, |metadata| metadata.columns().cell(index))
    }

    /// Changes the state of a block from one to another; false if it is not in the first.
    pub fn exchange(&self, index: usize, from: BlockState, to: BlockState) -> bool {
        self.cell_of(index).exchange(from, to)
    }

    /// The word of a block, for a thread that does not own the span; None: it has no such block.
    #[inline]
    pub fn shared_cell(&self, index: usize) -> Option<&'static BlockCell> {
        let metadata = self.metadata()?;
        // 0 blocks: they lost their pages meanwhile.
        (index < metadata.blocks.get()).then(|| metadata.columns().cell(index))
    }

    /// Changes the state of a live block, of which `cell` said `word`, without the lock. `version`: of the span when the block was found in it.
    #[inline]
    pub fn claim(&self, version: u32, cell: &BlockCell, word: block_state::BlockBits, to: BlockState) -> bool {
        if !cell.change(word, to) {
            return false;
        }
        // A span with a live block stays what it is. It did not: then the address had been given back before, and that state was another
        // block's, which gets it back.
        let same = self.version() == version;
        if !same {
            cell.exchange(to, word.state());
        }
        same
    }

    /// Small: no block was ever handed out.
    pub fn start_over(&self) {
        self.bump.set(0);
        self.top.set(0);
    }

    /// Small: blocks that are live, in limbo or wait for being collected.
    pub fn taken(&self) -> usize {
        self.bump.get() - self.top.get()
    }

    /// Small: there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bump.get() == self.top.get()
    }

    /// Small: blocks that were given back and can be had.
    pub fn free_count(&self) -> usize {
        self.top.get()
    }

    /// Small: no block can be had.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.top.get() == 0 && self.bump.get() == self.count.get()
    }

    /// Small: a block that can be had, the one given back last first; None: it is full. The owner calls.
    #[inline(always)]
    pub fn pop(&self) -> Option<Popped> {
        let top = self.top.get();
        let index = if top == 0 {
            let index = self.bump.get();
            if index == self.count.get() {
                return None;
            }
            self.bump.set(index + 1);
            index
        } else {
            self.top.set(top - 1);
            self.stack(top - 1).load(Ordering::Relaxed).into()
        };
        Some(Popped { index, first: top == 0 })
    }

    /// Small: where a block begins.
    #[inline(always)]
    pub fn address_of(&self, index: usize, block_bytes: usize) -> usize {
        self.start.get().wrapping_add(index.wrapping_mul(block_bytes))
    }

    /// Small: the owner puts a block on the stack of those that can be had. How many there are now.
    #[inline(always)]
    pub fn push(&self, index: usize) -> usize {
        let top = self.top.get();
        self.stack(top).store(index as u16, Ordering::Relaxed);
        self.top.set(top + 1);
        top + 1
    }

    /// Small: the owner hands a block out, which has `block_bytes` bytes.
    #[inline(always)]
    pub fn begin_block(&self, index: usize, block_bytes: usize, block: Block) {
        let slack = block_bytes.wrapping_sub(block.requested);
        if block.state == BlockState::Store {
            self.own_slack(index).store(slack as u16, Ordering::Relaxed);
        }
        self.own_cell(index).set(block_state::BlockBits::of(block, slack));
    }

    /// Small: the owner ends a live block, with a plain store; what it was, and how many of its usable bytes nobody had asked for. None: it
    /// is not so.
    #[inline(always)]
    pub fn end_block(
        &self,
        index: usize,
        is_right: impl FnOnce(block_state::BlockBits) -> bool,
    ) -> Option<(block_state::BlockBits, usize)> {
        let cell = self.own_cell(index);
        let word = cell.get();
        if !is_right(word) {
            return None;
        }
        cell.set_state(word, BlockState::Freed);
        let slack = match word.state() {
            BlockState::Store => self.own_slack(index).load(Ordering::Relaxed) as usize,
            _ => word.slack(),
        };
        Some((word, slack))
    }

    #[inline(always)]
    fn own_cell(&self, index: usize) -> &'static BlockCell {
        // SAFETY: the owner's index is below `count`, for so many cells have the metadata that `set_metadata` took this from; they are never
        // unmapped.
        unsafe { &*(self.cells.get() as *const BlockCell).add(index) }
    }
    #[inline(always)]
    fn own_slack(&self, index: usize) -> &'static AtomicU16 {
        // SAFETY: as in `own_cell`.
        unsafe { &*(self.slacks.get() as *const AtomicU16).add(index) }
    }
    #[inline(always)]
    fn stack(&self, place: usize) -> &'static AtomicU16 {
        // SAFETY: as in `own_cell`: no more indices lie on the stack than there are blocks.
        unsafe { &*(self.stack.get() as *const AtomicU16).add(place) }
    }

    /// Small: lets the owner know of a block in limbo; see `returns`.
    pub fn publish(&self, index: usize, queue_up: impl FnOnce()) {
        let Some(metadata) = self.metadata() else { return };
        let columns = metadata.columns();
        protocol::publish(columns.returned(index / 64), index % 64, columns.cell(index), queue_up);
    }

    /// Small: takes the returned blocks back, as their owner.
    pub fn collect(&self) -> Collected {
        let mut all = Collected::default();
        let Some(metadata) = self.metadata() else { return all };
        let columns = metadata.columns();
        for word in 0..self.count.get().div_ceil(64) {
            let first = word * 64;
            let push = |bit| {
                self.push(first + bit);
            };
            protocol::collect(columns.returned(word), |bit| columns.cell(first + bit), push, &mut all);
        }
        all
    }
}
