//! Sources of a span's memory, and the records of pieces. A piece is memory of an upstream or a device that must go
//! back in the unit in which it came.
//!
//! Contract: each piece has a record, from before it enters a pool's state until all of it went back. Records are
//! type-stable, and read and written under the lock of the pool.

use super::{Link, Span};
use crate::pool::recycler::{Recycled, Recycler};
use crate::pool::relaxed::RelaxedUsize;
use core::sync::atomic::{AtomicPtr, Ordering};

/// What all bytes of a span came from.
#[derive(Clone, Copy)]
pub(in crate::pool) enum SpanSource {
    /// Several reservations.
    Several,
    /// One reservation of the system's memory, by its number: its pages can be moved.
    Reservation(usize),
    /// One piece of an upstream or a device, which goes back whole.
    Piece(&'static UpstreamPiece),
}

/// The record of a piece. All zero: of nothing.
#[derive(Debug, Default)]
pub(in crate::pool) struct UpstreamPiece {
    pub start: RelaxedUsize,
    bytes: RelaxedUsize,
    /// Bytes that did not go back yet.
    pub left: RelaxedUsize,
    /// 1: it came when the pool was made.
    first: RelaxedUsize,
    under: Link,
    /// Its neighbours in the list of the pool's pieces.
    pub newer: PieceLink,
    pub older: PieceLink,
    recycled: AtomicPtr<UpstreamPiece>,
}

// SAFETY: zero is valid for every field, and `recycled` serves the list only.
unsafe impl Recycled for UpstreamPiece {
    fn link(&self) -> &AtomicPtr<UpstreamPiece> {
        &self.recycled
    }
}

static PIECES: Recycler<UpstreamPiece> = Recycler::new();

/// A link to a record of a piece, or to none.
#[derive(Debug, Default)]
pub(in crate::pool) struct PieceLink(AtomicPtr<UpstreamPiece>);

impl PieceLink {
    pub fn get(&self) -> Option<&'static UpstreamPiece> {
        // SAFETY: NULL, or set from a reference to a record, and those are never unmapped.
        unsafe { self.0.load(Ordering::Relaxed).as_ref() }
    }
    pub fn set(&self, piece: Option<&'static UpstreamPiece>) {
        let piece = piece.map_or(core::ptr::null_mut(), |piece| core::ptr::from_ref(piece).cast_mut());
        self.0.store(piece, Ordering::Relaxed);
    }
}

impl UpstreamPiece {
    /// A record. None: no memory.
    pub fn create() -> Option<&'static UpstreamPiece> {
        PIECES.get()
    }

    /// Returns the record to the free list.
    pub fn release(&'static self) {
        PIECES.put(self);
    }

    /// Describes the piece. `under`: the span that the table had there before.
    pub fn set(&self, start: usize, bytes: usize, under: Option<&'static Span>) {
        self.start.set(start);
        self.bytes.set(bytes);
        self.left.set(bytes);
        self.first.set(0);
        self.under.set(under);
    }

    /// Marks it as the piece that came when the pool was made. It goes back last.
    pub fn keep(&self) {
        self.first.set(1);
    }

    /// Whether it came when the pool was made.
    pub fn is_kept(&self) -> bool {
        self.first.get() == 1
    }

    pub fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// The span that the table had there before.
    pub fn under(&self) -> Option<&'static Span> {
        self.under.get()
    }
}

impl Span {
    pub fn source(&self) -> SpanSource {
        match self.source.get() {
            0 => SpanSource::Several,
            number if number & 1 == 1 => SpanSource::Reservation(number >> 1),
            // SAFETY: `set_source` stored the address of a record, which is even; records are never unmapped.
            address => SpanSource::Piece(unsafe { &*(address as *const UpstreamPiece) }),
        }
    }
    pub fn set_source(&self, source: SpanSource) {
        self.source.set(match source {
            SpanSource::Several => 0,
            SpanSource::Reservation(number) => number << 1 | 1,
            SpanSource::Piece(piece) => core::ptr::from_ref(piece) as usize,
        });
    }
    /// Whether both came from one reservation or piece. True also if both came from several.
    pub fn same_source(&self, other: &Span) -> bool {
        self.source.get() == other.source.get()
    }
    /// The piece of an upstream or a device that contains it. None: system memory.
    pub fn piece(&self) -> Option<&'static UpstreamPiece> {
        match self.source() {
            SpanSource::Piece(piece) => Some(piece),
            SpanSource::Several | SpanSource::Reservation(_) => None,
        }
    }
}
