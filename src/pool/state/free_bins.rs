//! Free spans that can serve the same requests, found by size and by age.
//!
//! Contract: only read and written under the pool's lock. The steps of an operation do not depend on the number of
//! spans, with two exceptions: inserting by age a span that is not the newest, and an exhaustive search. A span is in
//! one `FreeBins` at most.
//!
//! There are eight bins to a doubling, as with size classes. A search takes the smallest of the spans that fit in the
//! request's own bin, else one of the next bin that has any.

use crate::pool::relaxed::RelaxedUsize;
use crate::pool::span::{Link, List, Span};

/// Bins by number of units: one for each number below 8, then eight to a doubling, up to 2^32 units.
pub(super) const BINS: usize = 8 + 8 * 29;
/// Spans of one bin that a bounded search looks at.
pub(super) const LOOKS_PER_BIN: usize = 32;

/// All zero is empty, with units of one byte.
#[derive(Debug)]
pub(in crate::pool) struct FreeBins {
    bins: [List; BINS],
    full: [RelaxedUsize; BINS.div_ceil(64)],
    oldest: Link,
    newest: Link,
    bytes: RelaxedUsize,
    /// log2 of the bytes of a unit.
    unit: RelaxedUsize,
}

impl FreeBins {
    /// `unit`: the granularity of the spans in bytes, a power of two.
    pub const fn new(unit: usize) -> FreeBins {
        FreeBins {
            bins: [const { List::new() }; BINS],
            full: [const { RelaxedUsize::new(0) }; BINS.div_ceil(64)],
            oldest: Link::new(),
            newest: Link::new(),
            bytes: RelaxedUsize::new(0),
            unit: RelaxedUsize::new(unit.trailing_zeros() as usize),
        }
    }

    /// Sets the unit. The bins must be empty.
    pub fn set_unit(&self, unit: usize) {
        debug_assert!(self.bytes.get() == 0);
        self.unit.set(unit.trailing_zeros() as usize);
    }

    /// Bytes of all spans here.
    pub fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// The span with the smallest key, of those inserted as `aged`.
    pub fn oldest(&self) -> Option<&'static Span> {
        self.oldest.get()
    }

    /// The span with the largest key, of those inserted as `aged`.
    pub fn newest(&self) -> Option<&'static Span> {
        self.newest.get()
    }

    fn bin_of(&self, bytes: usize) -> usize {
        let units = bytes >> self.unit.get();
        if units < 8 {
            return units;
        }
        let exponent = units.ilog2() as usize;
        (8 * (exponent - 2) + (units >> (exponent - 3) & 7)).min(BINS - 1)
    }

    /// Inserts a span that is in no list. `aged`: also in the list by age, by its `list_key`.
    pub fn put(&self, span: &'static Span, aged: bool) {
        let bin = self.bin_of(span.bytes.get());
        self.bins[bin].push(span);
        self.full[bin / 64].set(self.full[bin / 64].get() | 1 << (bin % 64));
        self.bytes.add(span.bytes.get());
        if !aged {
            return;
        }
        // Nearly always the newest of all, also where many have the time of one tick: the rest of what the pool has just
        // got must not be the first to go back. A rest that was cut off keeps its age.
        let newest = self.newest.get();
        let is_newest = newest.is_none_or(|newest| newest.list_key() <= span.list_key());
        let is_oldest = self.oldest.get().is_none_or(|oldest| oldest.list_key() >= span.list_key());
        let mut older = if is_oldest && !is_newest { None } else { newest };
        while let Some(newer) = older.filter(|older| older.list_key() > span.list_key()) {
            older = newer.older.get();
        }
        let newer = older.map_or(self.oldest.get(), |older| older.newer.get());
        span.older.set(older);
        span.newer.set(newer);
        match older {
            Some(older) => older.newer.set(Some(span)),
            None => self.oldest.set(Some(span)),
        }
        match newer {
            Some(newer) => newer.older.set(Some(span)),
            None => self.newest.set(Some(span)),
        }
    }

    /// Removes a span; `aged` as it was inserted.
    pub fn take(&self, span: &'static Span, aged: bool) {
        let bin = self.bin_of(span.bytes.get());
        self.bins[bin].remove(span);
        if self.bins[bin].first().is_none() {
            self.full[bin / 64].set(self.full[bin / 64].get() & !(1 << (bin % 64)));
        }
        self.bytes.subtract(span.bytes.get());
        if !aged {
            return;
        }
        let (older, newer) = (span.older.get(), span.newer.get());
        match older {
            Some(older) => older.newer.set(newer),
            None => self.oldest.set(newer),
        }
        match newer {
            Some(newer) => newer.older.set(older),
            None => self.newest.set(older),
        }
    }

    /// A span of that many bytes at a multiple of the alignment.
    pub fn find(&self, bytes: usize, alignment: usize) -> Option<&'static Span> {
        self.find_within(bytes, alignment, LOOKS_PER_BIN)
    }

    /// As `find`, with at most `looks` spans of each bin. usize::MAX: finds one if there is one, however long that
    /// takes.
    pub fn find_within(&self, bytes: usize, alignment: usize, looks: usize) -> Option<&'static Span> {
        let fits = |span: &Span| {
            let pad = span.start.get().next_multiple_of(alignment) - span.start.get();
            span.bytes.get() >= bytes + pad
        };
        let mut bin = self.bin_of(bytes);
        loop {
            bin = self.next_full(bin)?;
            let mut best: Option<&'static Span> = None;
            let mut next = self.bins[bin].first();
            for _ in 0..looks {
                let Some(span) = next else { break };
                if fits(span) && best.is_none_or(|best| span.bytes.get() < best.bytes.get()) {
                    best = Some(span);
                }
                next = span.next.get();
            }
            if best.is_some() {
                return best;
            }
            bin += 1;
        }
    }

    /// A span of exactly that many bytes at a multiple of the alignment, of those that `serves` accepts: the one that
    /// was freed last. Looks at [`LOOKS_PER_BIN`] spans.
    pub fn find_exactly(
        &self,
        bytes: usize,
        alignment: usize,
        serves: impl Fn(&'static Span) -> bool,
    ) -> Option<&'static Span> {
        let first = self.bins[self.bin_of(bytes)].first();
        let spans = core::iter::successors(first, |span| span.next.get()).take(LOOKS_PER_BIN);
        let fits = |span: &&'static Span| span.bytes.get() == bytes && span.start.get().is_multiple_of(alignment);
        spans.filter(fits).find(|span| serves(span))
    }

    fn next_full(&self, from: usize) -> Option<usize> {
        let mut word = from / 64;
        let mut bits = self.full.get(word)?.get() & (usize::MAX << (from % 64));
        while bits == 0 {
            word += 1;
            bits = self.full.get(word)?.get();
        }
        Some(word * 64 + bits.trailing_zeros() as usize)
    }

    /// The first result of `look`, which is asked about spans of the largest bins first: at most [`LOOKS_PER_BIN`] in
    /// all.
    pub fn find_from_largest<R>(&self, mut look: impl FnMut(&'static Span) -> Option<R>) -> Option<R> {
        let mut looks = LOOKS_PER_BIN;
        for (word, bits) in self.full.iter().enumerate().rev() {
            let mut bits = bits.get();
            while bits != 0 {
                let bin = bits.ilog2() as usize;
                bits &= !(1 << bin);
                let mut next = self.bins[word * 64 + bin].first();
                while let Some(span) = next {
                    looks = looks.checked_sub(1)?;
                    if let Some(found) = look(span) {
                        return Some(found);
                    }
                    next = span.next.get();
                }
            }
        }
        None
    }

    /// Bytes of the largest span.
    pub fn largest(&self) -> usize {
        let top = self.full.iter().enumerate().rev().find(|(_, word)| word.get() != 0);
        let Some((word, bits)) = top else { return 0 };
        let mut span = self.bins[word * 64 + bits.get().ilog2() as usize].first();
        let mut largest = 0;
        while let Some(free) = span {
            largest = largest.max(free.bytes.get());
            span = free.next.get();
        }
        largest
    }

    /// Visits all spans. A visited span may be removed.
    pub fn each(&self, mut visit: impl FnMut(&'static Span)) {
        for bin in &self.bins {
            let mut next = bin.first();
            while let Some(span) = next {
                next = span.next.get();
                visit(span);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PH-11: what a pool has just got is not the first to go back, however many spans were freed in the same tick.
    #[test]
    fn of_spans_of_one_tick_the_last_is_the_newest() {
        let bins = FreeBins::new(1);
        let put = |freed_ms: u64| {
            let span = Span::create().unwrap();
            span.bytes.set(64);
            span.set_freed_ms(freed_ms);
            bins.put(span, true);
            span
        };
        let all = [put(5), put(5), put(5)];
        let rest = put(3);
        let later = [put(5), put(7)];
        let by_age = core::iter::successors(bins.oldest(), |span| span.newer.get()).collect::<Vec<_>>();
        let expected = [rest, all[0], all[1], all[2], later[0], later[1]];
        assert!(by_age.len() == expected.len() && by_age.iter().zip(expected).all(|(at, span)| at.is(span)));
        for span in expected {
            bins.take(span, true);
            span.release();
        }
    }
}
