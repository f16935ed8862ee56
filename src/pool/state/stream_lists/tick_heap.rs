//! Free spans with uses on several streams, by the tick at which the first of their uses ends: a pairing heap.
//!
//! Contract: that of `stream_lists`. A span is in one heap at most, that of the stream of its first use, and its first
//! use does not change meanwhile. Insertion takes constant time, removal logarithmic time on average, and neither
//! allocates.
//!
//! The links: `older` is the first child, `newer` the next sibling, `queue` the previous sibling, or the parent of a
//! first child.

use crate::pool::span::{Link, Span};

/// All zero is empty.
#[derive(Debug, Default)]
pub(super) struct TickHeap {
    root: Link,
}

impl TickHeap {
    /// A span with the smallest tick.
    pub fn first(&self) -> Option<&'static Span> {
        self.root.get()
    }

    /// Moves all spans into another heap.
    pub fn take_all(&self) -> TickHeap {
        let all = TickHeap::default();
        all.root.set(self.root.get());
        self.root.set(None);
        all
    }

    pub fn insert(&self, span: &'static Span) {
        span.older.set(None);
        span.newer.set(None);
        span.queue.set(None);
        self.root.set(Some(self.root.get().map_or(span, |root| meld(root, span))));
    }

    /// Removes a span of this heap.
    pub fn remove(&self, span: &'static Span) {
        let below = meld_siblings(span.older.get());
        let Some(before) = span.queue.get() else {
            self.root.set(below);
            return;
        };
        let next = span.newer.get();
        match before.older.get() {
            Some(child) if child.is(span) => before.older.set(next),
            _ => before.newer.set(next),
        }
        if let Some(next) = next {
            next.queue.set(Some(before));
        }
        if let (Some(root), Some(below)) = (self.root.get(), below) {
            self.root.set(Some(meld(root, below)));
        }
    }
}

/// Makes one tree of two roots.
fn meld(a: &'static Span, b: &'static Span) -> &'static Span {
    let (root, child) = if b.uses.first_tick() < a.uses.first_tick() { (b, a) } else { (a, b) };
    let next = root.older.get();
    child.newer.set(next);
    child.queue.set(Some(root));
    if let Some(next) = next {
        next.queue.set(Some(child));
    }
    root.older.set(Some(child));
    root.newer.set(None);
    root.queue.set(None);
    root
}

/// Makes one tree of siblings: of pairs from the first to the last, then of the results from the last to the first.
fn meld_siblings(first: Option<&'static Span>) -> Option<&'static Span> {
    let (mut next, mut pairs) = (first, None::<&'static Span>);
    while let Some(a) = next {
        let b = a.newer.get();
        next = b.and_then(|b| b.newer.get());
        let pair = b.map_or(a, |b| meld(a, b));
        pair.newer.set(pairs);
        pairs = Some(pair);
    }
    let mut root = pairs?;
    let mut next = root.newer.get();
    while let Some(pair) = next {
        next = pair.newer.get();
        root = meld(root, pair);
    }
    root.newer.set(None);
    root.queue.set(None);
    Some(root)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::span::stream_uses::Point;

    #[test]
    fn the_smallest_tick_is_first_after_every_change() {
        let heap = TickHeap::default();
        let spans: Vec<&'static Span> = (0..200).map(|_| Span::create().unwrap()).collect();
        let (mut inside, mut random) = (Vec::<usize>::new(), 7u64);
        // SAFETY: never dereferenced: only its address is stored.
        let stream = unsafe { &*core::ptr::dangling::<crate::pool::span::stream_uses::Stream>() };
        for turn in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (random >> 33) as usize % spans.len();
            match inside.iter().position(|&other| other == at) {
                Some(place) => {
                    // The first one as often as any other.
                    let first = heap.first().unwrap();
                    let gone = if turn % 2 == 0 { first } else { spans[at] };
                    let place = inside.iter().position(|&other| spans[other].is(gone)).unwrap_or(place);
                    heap.remove(spans[inside.swap_remove(place)]);
                }
                None => {
                    spans[at].uses.set(Point::new(stream, (random >> 20) % 50 + 1));
                    heap.insert(spans[at]);
                    inside.push(at);
                }
            }
            let least = inside.iter().map(|&at| spans[at].uses.first_tick()).min();
            assert_eq!(heap.first().map(|span| span.uses.first_tick()), least);
        }
        let all = heap.take_all();
        assert!(heap.first().is_none());
        let sorted: Vec<u64> = core::iter::from_fn(|| {
            let first = all.first()?;
            all.remove(first);
            Some(first.uses.first_tick())
        })
        .collect();
        assert!(sorted.len() == inside.len() && sorted.is_sorted());
        for span in spans {
            span.uses.clear();
            span.release();
        }
    }
}
