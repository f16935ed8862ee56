//! Blocks that are freed, and the spans that become free with them.
//!
//! Contract: that of `state`, under the same lock. A small span is in its class's list while it has free blocks and
//! no owner. Each class keeps one span without a live block.

use super::{Found, PoolState};
use crate::pool::span::block_state::{Block, BlockState};
use crate::pool::span::{BlockMetadata, Kind, Span, class};
use crate::pool::{Pool, remote_free};
use crate::sys::os;

impl PoolState {
    /// What the address is, in a span of this pool.
    pub fn classify(&self, span: &'static Span, address: usize) -> Found {
        let offset = address - span.start.get();
        let never = match span.kind() {
            Kind::Small => span.is_fresh(),
            _ => offset >= span.bytes.get() - span.clean.get(),
        };
        let gone = if never { Found::Never } else { Found::Gone };
        match span.kind() {
            Kind::None | Kind::Range => Found::Gone,
            Kind::Free => gone,
            Kind::Small | Kind::Large => {
                let index = offset / span.block_bytes.get();
                if index >= span.count.get() {
                    return gone;
                }
                let (start, block) = (span.start.get() + index * span.block_bytes.get(), span.block(index));
                match block.state {
                    BlockState::Raw | BlockState::Store => Found::Block { index, start, block },
                    BlockState::Freed | BlockState::Limbo | BlockState::Returned if address == start => Found::Gone,
                    _ => gone,
                }
            }
        }
    }

    /// Makes a block in limbo live again, and counts it as in use.
    pub fn undo_free(&mut self, span: &'static Span, index: usize, state: BlockState) {
        let block = Block { state, ..span.block(index) };
        span.set_block(index, block);
        self.change(block, span.block_bytes.get() as u64, block.requested as u64);
    }

    /// Makes a block in limbo free. Returns the bytes of the span, if it became free.
    pub fn end_free(&mut self, span: &'static Span, index: usize, now: u64) -> usize {
        if span.kind() == Kind::Large {
            let bytes = span.bytes.get();
            self.figures.overhead_bytes -= (bytes - span.block_bytes.get()) as u64;
            if self.stream_lists.is_some() {
                self.set_free_ordered(span, now);
                return bytes;
            }
            self.set_free_recent(span, now);
            return bytes;
        }
        let was_full = span.is_full();
        span.exchange(index, BlockState::Limbo, BlockState::Freed);
        span.push(index);
        if was_full {
            self.enlist(span);
        }
        self.keep_or_dissolve(span, now)
    }

    /// Frees a small span in its class's list if it has no live block left, and returns its bytes. One such span of
    /// the class is kept, so that a loop that frees and allocates its last block is not slow.
    fn keep_or_dissolve(&mut self, span: &'static Span, now: u64) -> usize {
        let class = span.class.get();
        if !span.is_empty() {
            return 0;
        }
        // A span that is queued for collection stays as it is until the queue was read.
        if span.is_queued() || self.empty[class] == 0 && !self.retired {
            self.empty[class] += 1;
            return 0;
        }
        let bytes = span.bytes.get();
        self.dissolve(span, now);
        bytes
    }

    /// Takes over a small span that its owner gave up. It is in no list.
    pub fn receive(&mut self, span: &'static Span) {
        if !span.is_full() {
            self.enlist(span);
            self.keep_or_dissolve(span, os::coarse_ms());
        }
    }

    /// Collects remote frees of a span without an owner.
    pub fn collect_unowned(&mut self, pool: &'static Pool, span: &'static Span) {
        let (was_full, was_empty) = (span.is_full(), span.is_empty());
        let (blocks, wrong) = remote_free::collect(pool, span);
        self.figures.misuse_count += wrong as u64;
        if blocks > 0 && was_full {
            self.enlist(span);
        }
        if was_empty {
            self.empty[span.class.get()] -= 1;
        }
        self.keep_or_dissolve(span, os::coarse_ms());
    }

    /// Makes a small span without a live block free. It is in its class's list and not counted as empty.
    fn dissolve(&mut self, span: &'static Span, now: u64) {
        let class = span.class.get();
        self.delist(span);
        self.figures.overhead_bytes -= (span.bytes.get() - span.count.get() * span.block_bytes.get()) as u64;
        self.figures.metadata_bytes -= BlockMetadata::bytes(class) as u64;
        let used = span.touched() * span.block_bytes.get();
        if let Some(metadata) = span.metadata() {
            span.change(|| span.set_metadata(None));
            metadata.release(class);
        }
        let used = used.next_multiple_of(os::page_bytes()).min(span.bytes.get());
        span.clean.set(if span.is_fresh() { span.bytes.get() - used } else { 0 });
        self.set_free(span, now);
    }

    /// Subtracts a small span from the statistics.
    pub(super) fn forget_small(&mut self, span: &'static Span) {
        let class = span.class.get();
        self.empty[class] -= span.is_empty() as u32;
        self.figures.overhead_bytes -= (span.bytes.get() - span.count.get() * span.block_bytes.get()) as u64;
        self.figures.metadata_bytes -= BlockMetadata::bytes(class) as u64;
    }

    /// Makes the empty spans free that classes keep.
    pub fn dissolve_empty(&mut self, now: u64) {
        for class in 0..class::COUNT {
            let mut span = self.partial[class].first();
            while let Some(small) = span.filter(|_| self.empty[class] > 0) {
                span = small.next.get();
                if small.is_empty() && !small.is_queued() {
                    self.empty[class] -= 1;
                    self.dissolve(small, now);
                }
            }
        }
    }
}
