//! Pieces of an upstream or a device: memory that must go back in the units in which it came.
//!
//! Contract: each piece has a record, from before it enters the state until all of it went back. Everything here runs
//! under the pool's lock, except making and releasing records.
//!
//! A piece may lie in a live block of another pool. That block's span returns to the table when the piece goes.

use super::{Piece, PoolState};
use crate::device::host::GRANULE;
use crate::pool::Pool;
use crate::pool::span::block_state::BlockState;
use crate::pool::span::{Kind, Span, SpanSource, UpstreamPiece, table};

impl PoolState {
    /// Enters a piece, and returns the source of its spans. None: it overlaps memory that the pool has already.
    pub fn enter_source(&mut self, piece: &Piece) -> Option<SpanSource> {
        let Some(record) = piece.record else {
            self.reservations += 1;
            return Some(SpanSource::Reservation(self.reservations));
        };
        let under = table::uniform(piece.start, piece.bytes).ok()?;
        let same = match (under, record.under()) {
            (Some(now), Some(then)) => now.is(then),
            (now, then) => now.is_none() && then.is_none(),
        };
        if !same {
            return None;
        }
        let older = self.pieces.replace(record);
        record.older.set(older);
        record.newer.set(None);
        if let Some(older) = older {
            older.newer.set(Some(record));
        }
        Some(SpanSource::Piece(record))
    }

    /// Takes a whole piece out of the state, with everything in it, for a pool that ends with its live blocks. No
    /// thread allocates from it, and it has no heaps. None: no piece is left.
    pub fn abandon(&mut self, pool: &'static Pool) -> Option<Piece> {
        let record = self.pieces?;
        let (start, bytes) = (record.start.get(), record.left.get());
        let mut at = start;
        while at < start + bytes {
            let Some(span) = table::get(at).filter(|span| self.owns(pool, span)) else {
                at += GRANULE;
                continue;
            };
            at = span.end();
            self.forget(span);
        }
        table::put(start, bytes, record.under());
        self.count_part_returned(record, bytes);
        self.count_gone(bytes);
        self.figures.device_free_count += 1;
        Some(Piece { record: Some(record), ..Piece::new(start, bytes) })
    }

    /// Takes a span of any kind out of the state.
    fn forget(&mut self, span: &'static Span) {
        match span.kind() {
            Kind::Free => self.unlist_free(span),
            Kind::Large => self.figures.overhead_bytes -= (span.bytes.get() - span.block_bytes.get()) as u64,
            Kind::Small => {
                if !span.is_full() {
                    self.delist(span);
                }
                self.forget_small(span);
            }
            Kind::None | Kind::Range => {}
        }
        if span.kind() != Kind::Free {
            for index in 0..span.bump.get() {
                let block = span.block(index);
                if matches!(block.state, BlockState::Raw | BlockState::Store) {
                    let tally = &mut self.account(block).tally;
                    tally.freed = tally.freed.wrapping_add(1);
                    self.count_out(span.block_bytes.get(), block);
                }
            }
        }
        if let Some(metadata) = span.metadata() {
            span.change(|| span.set_metadata(None));
            metadata.release(span.class.get());
        }
        self.drop_span(span);
    }

    /// Counts a part of a piece that goes back. True: it was the last part.
    pub fn count_part_returned(&mut self, record: &'static UpstreamPiece, bytes: usize) -> bool {
        record.left.set(record.left.get() - bytes);
        if record.left.get() > 0 {
            return false;
        }
        let (newer, older) = (record.newer.get(), record.older.get());
        match newer {
            Some(newer) => newer.older.set(older),
            None => self.pieces = older,
        }
        if let Some(older) = older {
            older.newer.set(newer);
        }
        true
    }
}
