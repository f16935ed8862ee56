//! Freed blocks that strict mode holds back before they can be allocated again, oldest first.

use crate::pool::relaxed::RelaxedUsize;

/// Blocks held back at a time.
const HELD_BACK_BLOCKS: usize = 1024;

/// Only read and written under the lock.
pub(in crate::pool) struct Ring {
    first: RelaxedUsize,
    count: RelaxedUsize,
    blocks: [RelaxedUsize; HELD_BACK_BLOCKS],
}

impl Ring {
    pub fn count(&self) -> usize {
        self.count.get()
    }
    pub fn is_full(&self) -> bool {
        self.count() == HELD_BACK_BLOCKS
    }
    pub fn push(&self, address: usize) {
        debug_assert!(!self.is_full());
        self.blocks[(self.first.get() + self.count()) % HELD_BACK_BLOCKS].set(address);
        self.count.set(self.count() + 1);
    }
    pub fn pop(&self) -> Option<usize> {
        let left = self.count().checked_sub(1)?;
        let address = self.blocks[self.first.get()].get();
        self.first.set((self.first.get() + 1) % HELD_BACK_BLOCKS);
        self.count.set(left);
        Some(address)
    }
}
