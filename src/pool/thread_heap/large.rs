//! The large blocks that a heap keeps, in front of the pool's lock.
//!
//! Contract: as for `blocks`. Only the heap's thread, or one that runs alone, reaches a kept block. The oldest go back
//! to the pool first.

use crate::pool::relaxed::RelaxedUsize;
use crate::pool::span::{Link, Span};

/// The most blocks that a heap keeps. Each allocation of a large block looks at all of them.
const MOST_BLOCKS: usize = 8;

/// The kept blocks, each the only one of its span.
#[derive(Debug, Default)]
pub(super) struct KeptBlocks {
    /// The oldest first.
    spans: [Link; MOST_BLOCKS],
    count: RelaxedUsize,
    /// Bytes of their spans.
    bytes: RelaxedUsize,
}

impl KeptBlocks {
    /// Takes the youngest block that suits a request.
    #[inline]
    pub fn take(&self, suits: impl Fn(&'static Span) -> bool) -> Option<&'static Span> {
        let at = (0..self.count.get()).rev().find(|at| self.spans[*at].get().is_some_and(&suits))?;
        self.remove(at)
    }

    /// Takes the oldest block if one more is too many, or `bytes` more are over `limit`. A block alone may be larger.
    pub fn make_room(&self, bytes: usize, limit: usize) -> Option<&'static Span> {
        let is_full = self.count.get() == MOST_BLOCKS || self.bytes.get() + bytes > limit;
        (is_full && self.count.get() > 0).then(|| self.remove(0)).flatten()
    }

    pub fn is_empty(&self) -> bool {
        self.count.get() == 0
    }

    /// Keeps a block, for which there is room.
    pub fn add(&self, span: &'static Span) {
        self.spans[self.count.get()].set(Some(span));
        self.count.add(1);
        self.bytes.add(span.bytes.get());
    }

    fn remove(&self, at: usize) -> Option<&'static Span> {
        let span = self.spans[at].get()?;
        let last = self.count.get() - 1;
        (at..last).for_each(|at| self.spans[at].set(self.spans[at + 1].get()));
        self.spans[last].set(None);
        self.count.set(last);
        self.bytes.subtract(span.bytes.get());
        Some(span)
    }
}
