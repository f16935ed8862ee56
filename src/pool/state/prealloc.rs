//! Descriptors that work under the lock may need, allocated before the lock is taken.

use crate::pool::span::range_map::RangeMap;
use crate::pool::span::{BlockMetadata, Span};

/// Descriptors that are not used go back when this is dropped.
#[derive(Default)]
pub(in crate::pool) struct Prealloc {
    spans: [Option<&'static Span>; 6],
    pub(super) metadata: Option<(usize, &'static BlockMetadata)>,
    /// For a new range.
    pub map: Option<&'static RangeMap<Span>>,
}

impl Prealloc {
    /// Enough for one request of a host pool: two cuts and a new span. None: no memory.
    pub fn for_request(want: Option<usize>) -> Option<Prealloc> {
        let mut prealloc = Prealloc::default();
        for span in &mut prealloc.spans[..3] {
            *span = Some(Span::create()?);
        }
        if let Some(class) = want {
            prealloc.metadata = Some((class, BlockMetadata::create(class)?));
        }
        Some(prealloc)
    }
    /// Enough for one request of a stream-ordered pool: a new piece, a range in it, and two cuts in the range. None:
    /// no memory.
    pub fn for_stream_ordered() -> Option<Prealloc> {
        let mut prealloc = Prealloc { map: Some(RangeMap::create()?), ..Prealloc::default() };
        for span in &mut prealloc.spans {
            *span = Some(Span::create()?);
        }
        Some(prealloc)
    }
    pub(super) fn span(&mut self) -> Option<&'static Span> {
        self.spans.iter_mut().find_map(Option::take)
    }
}

impl Drop for Prealloc {
    fn drop(&mut self) {
        for span in self.spans.iter_mut().filter_map(Option::take) {
            span.release();
        }
        if let Some((class, metadata)) = self.metadata.take() {
            metadata.release(class);
        }
        if let Some(map) = self.map.take() {
            map.release();
        }
    }
}
