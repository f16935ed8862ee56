//! The blocks of a span: read, allocated, freed and collected.
//!
//! Contract: that of spans. Functions for the owner are called by the heap that owns the span, or under the pool's
//! lock if no heap does.

use super::free_protocol::{self, Collected};
use super::{BOTTOM, BlockMetadata, Span, block_state};
use crate::pool::span::block_state::{Block, BlockCell, BlockState};
use core::sync::atomic::{AtomicPtr, AtomicU16, Ordering};

/// The most blocks that go onto the stack of free ones at once.
const STACKED_AT_ONCE: usize = 64;

impl Span {
    /// What is known of a block. Without the lock: inside `read`, with an index from an earlier consistent `read`.
    pub fn block(&self, index: usize) -> Block {
        let Some(metadata) = self.metadata() else {
            let word = self.cell.get();
            let requested = self.large_requested.get();
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

    /// Writes what is known of a block. Called by the owner, or by the thread that has the block in limbo.
    pub fn set_block(&self, index: usize, block: Block) {
        let Some(metadata) = self.metadata() else {
            self.large_requested.set(block.requested);
            self.cell.set(block_state::BlockBits::of(block, 0));
            return;
        };
        let (columns, slack) = (metadata.columns(), self.block_bytes.get() - block.requested);
        columns.slack(index).store(slack as u16, Ordering::Relaxed);
        columns.cell(index).set(block_state::BlockBits::of(block, slack));
    }

    pub fn cell_of(&self, index: usize) -> &BlockCell {
        self.metadata().map_or(&self.cell, |metadata| metadata.columns().cell(index))
    }

    /// Large: the word of its block, and the requested bytes. As `block` without the lock.
    #[inline]
    pub fn large_block(&self) -> (&BlockCell, usize) {
        (&self.cell, self.large_requested.get())
    }

    /// Changes the state of a block if it is `from`. False: it is not.
    pub fn exchange(&self, index: usize, from: BlockState, to: BlockState) -> bool {
        self.cell_of(index).exchange(from, to)
    }

    /// The word of a block, for a thread that does not own the span. None: there is no such block.
    #[inline]
    pub fn shared_cell(&self, index: usize) -> Option<&'static BlockCell> {
        let metadata = self.metadata()?;
        // 0 entries: the record lost its pages meanwhile.
        (index < metadata.blocks.get()).then(|| metadata.columns().cell(index))
    }

    /// Changes the state of a live block without the lock. `word`: what `cell` said. `version`: the span's when the
    /// block was found in it.
    #[inline]
    pub fn change_block(&self, version: u32, cell: &BlockCell, word: block_state::BlockBits, to: BlockState) -> bool {
        if !cell.change(word, to) {
            return false;
        }
        // A span with a live block does not change. If it changed, the block had been freed before, and this state
        // was another block's, which gets it back.
        let same = self.version() == version;
        if !same {
            cell.exchange(to, word.state());
        }
        same
    }

    /// Small: begins with "no block was ever allocated", after the rest was set.
    pub fn start_over(&self) {
        let columns = self.metadata().map(BlockMetadata::columns).unwrap_or_default();
        let front = &self.front;
        front.start.set(self.start.get());
        front.block_bytes.set(self.block_bytes.get());
        front.reciprocal.set(self.reciprocal.get());
        front.cells.set(columns.cells);
        front.slacks.set(columns.slacks);
        self.stack.set(columns.stack);
        self.bump.set(0);
        self.set_free_count(0);
        // SAFETY: the stack has room for all blocks and its lowest entry, and only the owner reads or writes it.
        unsafe { self.entry(0).write(BOTTOM) };
    }

    /// A span with an empty stack.
    pub const fn without_blocks(mut span: Span) -> Span {
        static LOWEST: AtomicU16 = AtomicU16::new(BOTTOM);
        span.tip = AtomicPtr::new(LOWEST.as_ptr());
        span
    }

    /// Small: blocks that are live, in limbo, or returned and not collected.
    pub fn taken(&self) -> usize {
        self.bump.get() - self.free_count()
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bump.get() == self.free_count()
    }

    /// Small: freed blocks that can be allocated.
    #[inline]
    pub fn free_count(&self) -> usize {
        (self.tip().addr() - self.stack.get()) / size_of::<u16>()
    }

    fn set_free_count(&self, count: usize) {
        self.tip.store(self.entry(count), Ordering::Relaxed);
    }

    /// Small: no block can be allocated.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.free_count() == 0 && self.bump.get() == self.count.get()
    }

    /// Small: takes a free block off the span, the last freed one first. None: it is full. Only the owner may.
    pub fn pop(&self) -> Option<usize> {
        self.pop_stacked().or_else(|| {
            self.stack_more();
            self.pop_stacked()
        })
    }

    /// As `pop`, of blocks that lie on the stack.
    #[inline(always)]
    pub fn pop_stacked(&self) -> Option<usize> {
        // SAFETY: an entry of the stack, at least the lowest one. Only the owner reads or writes it.
        let index = unsafe { self.tip().read() };
        if index as i16 == BOTTOM as i16 {
            return None;
        }
        // Read again, so that the machine subtracts in memory.
        self.tip.store(self.tip().wrapping_sub(1), Ordering::Relaxed);
        Some(index.into())
    }

    /// Puts blocks that were never on the empty stack onto it, the first on top.
    fn stack_more(&self) {
        let bump = self.bump.get();
        let end = self.count.get().min(bump + STACKED_AT_ONCE);
        for (depth, index) in (bump..end).rev().enumerate() {
            // SAFETY: as in `start_over`.
            unsafe { self.entry(depth + 1).write(index as u16) };
        }
        self.set_free_count(end - bump);
        self.bump.set(end);
    }

    /// Small: whether a block was never allocated.
    pub fn is_untouched(&self, index: usize) -> bool {
        self.cell_of(index).get().is(BlockState::Never)
    }

    /// Small: no block from this index on was ever allocated.
    pub fn touched(&self) -> usize {
        // Blocks come off the stack in their order at first.
        (0..self.bump.get()).rev().find(|&index| !self.is_untouched(index)).map_or(0, |last| last + 1)
    }

    /// Small, for the owner: usable bytes of a block.
    #[inline(always)]
    pub fn own_block_bytes(&self) -> usize {
        self.front.block_bytes.get()
    }

    /// Small, for the owner.
    #[inline(always)]
    pub fn address_of(&self, index: usize, block_bytes: usize) -> usize {
        self.front.start.get().wrapping_add(index.wrapping_mul(block_bytes))
    }

    /// Small: puts a block on the stack of free ones. Returns the uppermost entry, for `is_edge`. Only the owner may.
    #[inline(always)]
    pub fn push(&self, index: usize) -> *const u16 {
        let tip = self.tip().wrapping_add(1);
        // SAFETY: as in `start_over`.
        unsafe { tip.write(index as u16) };
        self.tip.store(tip, Ordering::Relaxed);
        tip
    }

    /// Small: makes a block of `block_bytes` bytes live. Only the owner may.
    #[inline(always)]
    pub fn begin_block(&self, index: usize, block_bytes: usize, block: Block) {
        let slack = block_bytes.wrapping_sub(block.requested);
        if block.state == BlockState::Store {
            self.own_slack(index).store(slack as u16, Ordering::Relaxed);
        }
        self.own_cell(index).set(block_state::BlockBits::of(block, slack));
    }

    /// Small: ends a live block with a plain store. Returns its word, and its slack. None: `is_right` refused. Only
    /// the owner may.
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
        // The slack is read from the new word, so that no register keeps the old one.
        let freed = cell.set_state(word, BlockState::Freed).again();
        let slack = match word.state() {
            BlockState::Store => self.own_slack(index).load(Ordering::Relaxed) as usize,
            _ => freed.slack(),
        };
        Some((word, slack))
    }

    #[inline(always)]
    fn own_cell(&self, index: usize) -> &'static BlockCell {
        // SAFETY: the owner's index is at most `count`. The metadata from which `start_over` took the address has one
        // cell more than that, and is never unmapped.
        unsafe { &*(self.front.cells.get() as *const BlockCell).add(index) }
    }
    #[inline(always)]
    fn own_slack(&self, index: usize) -> &'static AtomicU16 {
        // SAFETY: as in `own_cell`.
        unsafe { &*(self.front.slacks.get() as *const AtomicU16).add(index) }
    }
    /// An entry of the stack; 0: the lowest one.
    fn entry(&self, depth: usize) -> *mut u16 {
        (self.stack.get() as *mut u16).wrapping_add(depth)
    }
    #[inline(always)]
    fn tip(&self) -> *mut u16 {
        self.tip.load(Ordering::Relaxed)
    }

    /// Small: publishes a block in limbo to the owner, see `free_protocol`.
    pub fn publish(&self, index: usize, queue_up: impl FnOnce()) {
        let Some(metadata) = self.metadata() else { return };
        let columns = metadata.columns();
        free_protocol::publish(columns.returned(index / 64), index % 64, columns.cell(index), queue_up);
    }

    /// Small: collects remote frees. Only the owner may.
    pub fn collect(&self) -> Collected {
        let mut all = Collected::default();
        let Some(metadata) = self.metadata() else { return all };
        let columns = metadata.columns();
        for word in 0..self.count.get().div_ceil(64) {
            let first = word * 64;
            let push = |bit| {
                self.push(first + bit);
            };
            free_protocol::collect(columns.returned(word), |bit| columns.cell(first + bit), push, &mut all);
        }
        all
    }
}
