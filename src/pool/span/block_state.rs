//! The state of one block, packed into a 64-bit word.
//!
//! | bits | raw block | block of a store |
//! |---|---|---|
//! | 0 to 2 | state | |
//! | 3 to 7 | log2 of the requested alignment | |
//! | 8 to 49 | tag: client and stamp of the allocating thread | tag |
//! | 50 to 63 | slack: usable bytes that were not requested (0 for a block in a span of its own) | tag |
//!
//! Contract: only a thread that may change the block writes the word, and a reader gets all of one moment. The word
//! of a block that is not live does not say whether it was raw. It is then read as a raw block's, which is right only
//! if it was one.

use super::atomic::{AtomicU64, Ordering};
use crate::pool::client::{CLIENT_CODES, Client, PLAIN};
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
const ALIGNMENT_SHIFT: u32 = 3;
const ALIGNMENT: u64 = 31;
/// At the top, so that one shift extracts it. 14 bits suffice: the slack is at most an eighth of 64 KiB plus an
/// alignment of at most 4 KiB.
const SLACK_SHIFT: u32 = 50;
const TAG_SHIFT: u32 = 8;
const RAW_TAG: u64 = (1 << (SLACK_SHIFT - TAG_SHIFT)) - 1;

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
        let low = block.state as u64 | u64::from(alignment.trailing_zeros()) << ALIGNMENT_SHIFT;
        BlockBits(match block.state {
            BlockState::Store => low | block.tag << TAG_SHIFT,
            _ => low | block.tag << TAG_SHIFT | (slack as u64) << SLACK_SHIFT,
        })
    }
    #[inline]
    pub fn is(self, state: BlockState) -> bool {
        self.0 & STATE == state as u64
    }
    /// Whether it is a live raw block of the C functions' client.
    #[inline(always)]
    pub fn is_plain(self) -> bool {
        const CLIENT: u64 = (CLIENT_CODES as u64 - 1) << TAG_SHIFT;
        self.0 & (CLIENT | STATE) == (PLAIN.index() as u64) << TAG_SHIFT | BlockState::Raw as u64
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
        1 << (self.0 >> ALIGNMENT_SHIFT & ALIGNMENT)
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
        let tag = self.0 >> TAG_SHIFT;
        if self.is(BlockState::Store) { tag } else { tag & RAW_TAG }
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
    /// Changes the state with a plain store. Only the owner may.
    #[inline]
    pub fn set_state(&self, was: BlockBits, state: BlockState) {
        self.0.store(was.with(state).0, Ordering::Release);
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
    use crate::thread;

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
        cell.set(BlockBits::of(Block { state: BlockState::Raw, alignment: 16, requested: 5, tag: 7 }, 11));
        assert!(
            cell.exchange(BlockState::Raw, BlockState::Limbo) && !cell.exchange(BlockState::Raw, BlockState::Limbo)
        );
        assert_eq!((cell.get().slack(), cell.get().tag()), (11, 7));
    }
}
