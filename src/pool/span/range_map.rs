//! The map of a range: from an address to a span smaller than a granule.
//!
//! Contract: a lookup takes no lock and a bounded number of steps. During a change it may return a span of before or
//! after, so the caller checks whether the span contains the address. Changes happen under the lock of the pool that
//! owns the range. A span is entered only where it begins, so a change touches little.

use crate::device::host::GRANULE;
use crate::pool::recycler::Recycled;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// Granularity of spans in a range.
pub(in crate::pool) const MIN_PIECE_BYTES: usize = 512;
/// Bytes of the largest range.
pub(in crate::pool) const RANGE_BYTES: usize = 2 << 20;
const PIECES: usize = RANGE_BYTES / MIN_PIECE_BYTES;
const _: () = assert!(RANGE_BYTES.is_multiple_of(GRANULE) && PIECES.is_multiple_of(64));

/// A map. All zero: no span.
#[derive(Debug)]
pub(in crate::pool) struct RangeMap<T> {
    recycled: AtomicPtr<RangeMap<T>>,
    /// One bit for each piece of [`MIN_PIECE_BYTES`]: a span begins here.
    starts: [AtomicU64; PIECES / 64],
    spans: [AtomicPtr<T>; PIECES],
}

// SAFETY: zero is valid for every field, and `recycled` serves the list only.
unsafe impl<T: Sync + 'static> Recycled for RangeMap<T> {
    fn link(&self) -> &AtomicPtr<RangeMap<T>> {
        &self.recycled
    }
}

impl<T: Sync + 'static> RangeMap<T> {
    /// Makes it a map without spans.
    pub fn clear(&self) {
        self.starts.iter().for_each(|word| word.store(0, Ordering::Relaxed));
    }

    /// The last span that begins at or before an offset.
    pub fn get(&self, offset: usize) -> Option<&'static T> {
        let piece = (offset / MIN_PIECE_BYTES).min(PIECES - 1);
        let mut word = piece / 64;
        // Acquire pairs with the Release in `put`: the span that was entered before its bit is seen.
        let mut bits = self.starts[word].load(Ordering::Acquire) & (u64::MAX >> (63 - piece % 64));
        while bits == 0 {
            word = word.checked_sub(1)?;
            bits = self.starts[word].load(Ordering::Acquire);
        }
        let at = word * 64 + bits.ilog2() as usize;
        // SAFETY: NULL, or set from a reference to a span, and those are never unmapped.
        unsafe { self.spans[at].load(Ordering::Acquire).as_ref() }
    }

    /// Enters a span of `bytes` at an offset, and removes all that begin within it.
    pub fn put(&self, offset: usize, bytes: usize, span: &'static T) {
        let (first, end) = (offset / MIN_PIECE_BYTES, ((offset + bytes) / MIN_PIECE_BYTES).min(PIECES));
        self.spans[first].store(core::ptr::from_ref(span).cast_mut(), Ordering::Release);
        self.starts[first / 64].fetch_or(1 << (first % 64), Ordering::Release);
        let mut at = first + 1;
        while at < end {
            let (word, bit) = (at / 64, at % 64);
            let bits = (end - at).min(64 - bit);
            let mask = (u64::MAX >> (64 - bits)) << bit;
            if self.starts[word].load(Ordering::Relaxed) & mask != 0 {
                self.starts[word].fetch_and(!mask, Ordering::Release);
            }
            at += bits;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::span::Span;

    #[test]
    fn a_span_is_found_from_its_first_byte_to_the_next_one() {
        let (map, spans) = (RangeMap::create().unwrap(), [(); 3].map(|()| Span::create().unwrap()));
        assert!(map.get(0).is_none() && map.get(RANGE_BYTES - 1).is_none());
        map.put(0, RANGE_BYTES, spans[0]);
        assert!(map.get(0).unwrap().is(spans[0]) && map.get(RANGE_BYTES - 1).unwrap().is(spans[0]));
        map.put(100 * MIN_PIECE_BYTES, 300 * MIN_PIECE_BYTES, spans[1]);
        map.put(400 * MIN_PIECE_BYTES, RANGE_BYTES - 400 * MIN_PIECE_BYTES, spans[2]);
        for (piece, span) in [(0, 0), (99, 0), (100, 1), (127, 1), (128, 1), (399, 1), (400, 2), (PIECES - 1, 2)] {
            assert!(map.get(piece * MIN_PIECE_BYTES + 3).unwrap().is(spans[span]), "{piece}");
        }
        // Merged: the first span replaces those behind it.
        map.put(0, RANGE_BYTES, spans[0]);
        for piece in [0, 100, 400, PIECES - 1] {
            assert!(map.get(piece * MIN_PIECE_BYTES).unwrap().is(spans[0]), "{piece}");
        }
        spans.into_iter().for_each(Span::release);
        map.release();
    }
}
