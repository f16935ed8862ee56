//! The state of one block, packed into a 64-bit word.
//!
//! | bits | raw block | block of a store |
//! |---|---|---|
//! | 0 to 2 | state | |
//! | 3 to 6 | tag: client | log2 of the requested alignment |
//! | 7 | the top bit of the log2 of the requested alignment: 0 for a block of a class | the same |
//! | 8 to 11 | its other bits | tag |
//! | 12 to 49 | tag: stamp of the allocating thread | tag |
//! | 50 to 63 | slack: usable bytes that were not requested (0 for a block in a span of its own) | tag |
//!
//! So one comparison of a byte tells whether a block of a class is live, raw, and a client's.
//!
//! Contract: only a thread that may change the block writes the word, and a reader gets all of one moment. The word
//! of a block that is not live does not say whether it was raw. It is then read as a raw block's, which is right only
//! if it was one.

use super::atomic::{AtomicU64, Ordering};
use crate::pool::client::{self, Client, PLAIN};
use crate::sys::instructions;
use crate::thread;
use core::num::NonZero;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(in crate::pool) enum BlockState {
    /// Never allocated since the span was cut.
    Never = 0,
    /// Live, raw.
    Raw = 1,
    /// Live, backs an array's store.
    Store = 2,
    /// Freed; can be allocated.
    Freed = 3,
    /// Freed; cannot be allocated yet.
    Limbo = 4,
    /// Freed by a thread that does not own the span; can be allocated after the owner collected it.
    Returned = 5,
}

const STATE: u64 = 7;
/// A store's alignment.
const ALIGNMENT_SHIFT: u32 = 3;
const ALIGNMENT: u64 = 31;
/// A raw block's: the top bit, and the others.
const TOP_SHIFT: u32 = 7;
const REST_SHIFT: u32 = 8;
const REST_BITS: u32 = 4;
/// At the top, so that one shift extracts it. 14 bits suffice: the slack is at most an eighth of 64 KiB plus an
/// alignment of at most 4 KiB.
const SLACK_SHIFT: u32 = 50;
const _: () = assert!(thread::STAMP_SHIFT == REST_SHIFT + REST_BITS && thread::STAMP_END == SLACK_SHIFT);
/// A store's tag.
const TAG_SHIFT: u32 = 8;

/// What is known of a block, unpacked.
#[derive(Clone, Copy, Debug)]
pub(in crate::pool) struct Block {
    pub state: BlockState,
    /// As requested.
    pub alignment: usize,
    /// Requested bytes.
    pub requested: usize,
    /// Raw block: `Client::tag`. Block of a store: the ledger's tag.
    pub tag: u64,
}

impl Block {
    /// The client of a live block.
    #[inline]
    pub fn client(&self) -> Client {
        if self.state == BlockState::Store { Client::ARRAYS } else { Client::of_tag(self.tag) }
    }
}

/// The word of a block, shared between threads.
#[derive(Debug, Default)]
pub(in crate::pool) struct BlockCell(AtomicU64);

/// A value of the word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::pool) struct BlockBits(u64);

impl BlockBits {
    /// For a block with that many usable bytes more than requested.
    #[inline]
    pub fn of(block: Block, slack: usize) -> BlockBits {
        // SAFETY: a power of two.
        let alignment = unsafe { NonZero::new_unchecked(block.alignment) };
        let (state, log2) = (block.state as u64, u64::from(alignment.trailing_zeros()));
        BlockBits(match block.state {
            BlockState::Store => state | log2 << ALIGNMENT_SHIFT | block.tag << TAG_SHIFT,
            _ => {
                let (top, rest) = (log2 >> REST_BITS, log2 & ((1 << REST_BITS) - 1));
                debug_assert!(block.tag & !client::TAG == 0);
                state | top << TOP_SHIFT | rest << REST_SHIFT | block.tag | (slack as u64) << SLACK_SHIFT
            }
        })
    }
    /// The same word, which the compiler computes no part of from another one.
    #[inline(always)]
    pub fn again(self) -> BlockBits {
        BlockBits(instructions::same(self.0))
    }
    #[inline]
    pub fn is(self, state: BlockState) -> bool {
        self.0 & STATE == state as u64
    }
    /// Whether it is a live raw block of a class, of the C functions' client.
    #[inline(always)]
    pub fn is_plain(self) -> bool {
        self.0 as u8 == PLAIN.tag(0) as u8 | BlockState::Raw as u8
    }
    #[inline]
    pub fn state(self) -> BlockState {
        match self.0 & STATE {
            1 => BlockState::Raw,
            2 => BlockState::Store,
            3 => BlockState::Freed,
            4 => BlockState::Limbo,
            5 => BlockState::Returned,
            _ => BlockState::Never,
        }
    }
    #[inline]
    fn with(self, state: BlockState) -> BlockBits {
        BlockBits(self.0 & !STATE | state as u64)
    }
    #[inline]
    pub fn alignment(self) -> usize {
        1 << match self.state() {
            BlockState::Store => self.0 >> ALIGNMENT_SHIFT & ALIGNMENT,
            _ => (self.0 >> TOP_SHIFT & 1) << REST_BITS | self.0 >> REST_SHIFT & ((1 << REST_BITS) - 1),
        }
    }
    /// The client of a live block.
    #[inline]
    pub fn client(self) -> Client {
        if self.is(BlockState::Store) { Client::ARRAYS } else { Client::of_tag(self.tag()) }
    }
    /// Usable bytes that were not requested. Not for a store's block.
    #[inline]
    pub fn slack(self) -> usize {
        (self.0 >> SLACK_SHIFT) as usize
    }
    #[inline]
    pub fn tag(self) -> u64 {
        if self.is(BlockState::Store) { self.0 >> TAG_SHIFT } else { self.0 & client::TAG }
    }
}

impl BlockCell {
    #[inline]
    pub fn get(&self) -> BlockBits {
        // Acquire pairs with the Release in `set`.
        BlockBits(self.0.load(Ordering::Acquire))
    }
    /// Written last: a reader that sees the block live sees the rest of it.
    #[inline]
    pub fn set(&self, bits: BlockBits) {
        self.0.store(bits.0, Ordering::Release);
    }
    /// Resets the block to "never allocated".
    pub fn clear(&self) {
        self.0.store(BlockState::Never as u64, Ordering::Relaxed);
    }
    /// Changes the state with a plain store, and returns the new word. Only the owner may.
    #[inline]
    pub fn set_state(&self, was: BlockBits, state: BlockState) -> BlockBits {
        let now = was.with(state);
        self.0.store(now.0, Ordering::Release);
        now
    }
    /// Changes the state if the word is still `was`. False: it is not.
    #[inline]
    pub fn change(&self, was: BlockBits, to: BlockState) -> bool {
        self.0.compare_exchange(was.0, was.with(to).0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
    /// Changes the state if it is `from`. False: it is not, or another thread changes it now.
    pub fn exchange(&self, from: BlockState, to: BlockState) -> bool {
        let was = BlockBits(self.0.load(Ordering::Relaxed));
        was.is(from) && self.change(was, to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::span::class;

    const SLACK: u64 = u64::MAX >> SLACK_SHIFT;

    #[test]
    fn a_word_keeps_all_of_a_block() {
        let tag = Client::RUST.tag(thread::stamp((1 << 22) - 1, u16::MAX.into()));
        for (state, tag) in
            [(BlockState::Raw, tag), (BlockState::Raw, 0), (BlockState::Store, (1 << 56) - 1), (BlockState::Store, 1)]
        {
            for alignment in [8, 4096, 4 << 20] {
                let block = Block { state, alignment, requested: 0, tag };
                let word = BlockBits::of(block, SLACK as usize);
                assert_eq!((word.state(), word.alignment(), word.tag()), (state, alignment, tag));
                if state == BlockState::Raw {
                    assert_eq!(word.slack(), SLACK as usize);
                }
            }
        }
    }

    #[test]
    fn what_a_class_leaves_over_fits() {
        for alignment in (3..=12).map(|shift| 1 << shift) {
            for bytes in 0..=class::LARGEST_BYTES {
                if let Some(class) = class::fitting(bytes, alignment) {
                    assert!(class::bytes(class) - bytes <= SLACK as usize, "{bytes} at {alignment}");
                }
            }
        }
    }

    #[test]
    fn an_exchange_is_won_once() {
        let cell = BlockCell::default();
        let tag = Client::NUMPY.tag(0);
        cell.set(BlockBits::of(Block { state: BlockState::Raw, alignment: 16, requested: 5, tag }, 11));
        assert!(
            cell.exchange(BlockState::Raw, BlockState::Limbo) && !cell.exchange(BlockState::Raw, BlockState::Limbo)
        );
        assert_eq!((cell.get().slack(), cell.get().tag()), (11, tag));
    }
}
