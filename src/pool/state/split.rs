//! Large raw blocks that become two, and two that become one. Under the pool's lock.

use super::{PoolState, Prealloc};
use crate::pool::Pool;
use crate::pool::span::block_state::{Block, BlockState};
use crate::pool::span::{Kind, Span, SpanSource, class, table};

impl PoolState {
    /// Splits a large raw block. False: it is not live any more, or there are no descriptors.
    pub fn split(&mut self, span: &'static Span, block: Block, first: usize, prealloc: &mut Prealloc) -> bool {
        // No thread can free a block in limbo, with or without the lock.
        if !span.exchange(0, BlockState::Raw, BlockState::Limbo) {
            return false;
        }
        let block_bytes = span.block_bytes.get();
        let Some(rest) = self.cut_off(span, first, prealloc) else {
            span.exchange(0, BlockState::Limbo, BlockState::Raw);
            return false;
        };
        span.change(|| {
            span.block_bytes.set(first);
            span.set_block(0, Block { requested: first, state: BlockState::Raw, ..block });
        });
        rest.change(|| {
            rest.block_bytes.set(block_bytes - first);
            rest.count.set(1);
            rest.bump.set(1);
            rest.set_block(0, Block { requested: block.requested - first, state: BlockState::Raw, ..block });
            rest.set_kind(Kind::Large);
        });
        let tally = &mut self.account(block).tally;
        tally.allocated = tally.allocated.wrapping_add(1);
        self.classes[class::COUNT].add(1, 0);
        true
    }

    /// Merges two raw blocks. False: they are not live, not mergeable neighbours, or have other sizes.
    pub fn put_together(
        &mut self,
        pool: &'static Pool,
        below: &'static Span,
        above: &'static Span,
        total: usize,
    ) -> bool {
        let (low, high) = (below.block(0), above.block(0));
        let meet = low.requested == below.bytes.get() && below.end() == above.start.get();
        let ours = self.owns(pool, below) && self.owns(pool, above) && self.may_join(below, above);
        if !meet || !ours || low.requested + high.requested != total || low.client() != high.client() {
            return false;
        }
        if !below.exchange(0, BlockState::Raw, BlockState::Limbo) {
            return false;
        }
        if !above.exchange(0, BlockState::Raw, BlockState::Limbo) {
            below.exchange(0, BlockState::Limbo, BlockState::Raw);
            return false;
        }
        let (start, bytes) = (above.start.get(), above.bytes.get());
        below.change(|| {
            below.bytes.set(below.bytes.get() + bytes);
            below.block_bytes.set(below.block_bytes.get() + above.block_bytes.get());
            below.clean.set(above.clean.get());
            below.set_block(0, Block { requested: total, state: BlockState::Raw, ..low });
            if !below.same_source(above) {
                below.set_source(SpanSource::Several);
            }
        });
        table::put(start, bytes, Some(below));
        self.drop_span(above);
        let tally = &mut self.account(low).tally;
        tally.freed = tally.freed.wrapping_add(1);
        true
    }
}
