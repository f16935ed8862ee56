//! Bookkeeping memory that a step under the lock may need, got before the lock is taken.

use crate::pool::span::range_map::Fine;
use crate::pool::span::{Notes, Span};

/// What a step may need; what is left over goes back when it is dropped.
#[derive(Default)]
pub(in crate::pool) struct Kit {
    spans: [Option<&'static Span>; 6],
    pub(super) notes: Option<(usize, &'static Notes)>,
    /// For a range.
    pub map: Option<&'static Fine>,
}

impl Kit {
    /// Enough for one request: two cuts and a new span. None: no memory.
    pub fn gather(want: Option<usize>) -> Option<Kit> {
        let mut kit = Kit::default();
        for span in &mut kit.spans[..3] {
            *span = Some(Span::create()?);
        }
        if let Some(class) = want {
            kit.notes = Some((class, Notes::create(class)?));
        }
        Some(kit)
    }
    /// Enough for one request of a pool on whose blocks devices work: a new piece, a range cut from it, and two cuts in that.
    pub fn gather_ordered() -> Option<Kit> {
        let mut kit = Kit { map: Some(Fine::create()?), ..Kit::default() };
        for span in &mut kit.spans {
            *span = Some(Span::create()?);
        }
        Some(kit)
    }
    pub(super) fn span(&mut self) -> Option<&'static Span> {
        self.spans.iter_mut().find_map(Option::take)
    }
}

impl Drop for Kit {
    fn drop(&mut self) {
        for span in self.spans.iter_mut().filter_map(Option::take) {
            span.release();
        }
        if let Some((class, notes)) = self.notes.take() {
            notes.release(class);
        }
        if let Some(map) = self.map.take() {
            map.release();
        }
    }
}
