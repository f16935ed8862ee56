//! Free spans that are withheld for good: their memory is gone.
//!
//! Contract: that of `stream_lists`. A withheld span is in no list and counts as pending.

use super::StreamList;
use crate::pool::span::{Span, StreamMark};
use crate::pool::state::PoolState;
use crate::sys::os;

impl PoolState {
    /// Withholds the free spans for which `is_gone` holds.
    pub fn withhold_free(&mut self, is_gone: impl Fn(&Span) -> bool) {
        while let Some(span) = self.free_span(&is_gone) {
            self.remove_free(span);
            self.withhold(span);
        }
        for _ in 0..self.needs_clearing_count() {
            let Some(span) = self.take_needs_clearing() else { return };
            if is_gone(span) { self.withhold(span) } else { self.set_free_ordered(span, os::coarse_ms()) }
        }
    }

    fn withhold(&mut self, span: &'static Span) {
        span.uses.clear();
        span.set_mark(StreamMark::Captured);
        self.set_free_ordered(span, os::coarse_ms());
    }

    /// A listed free span for which `is_gone` holds.
    fn free_span(&self, is_gone: &impl Fn(&Span) -> bool) -> Option<&'static Span> {
        let lists = self.stream_lists?;
        let mut found = None;
        let mut visit = |span: &'static Span| {
            if found.is_none() && is_gone(span) {
                found = Some(span);
            }
        };
        self.free_bins.each(&mut visit);
        lists.in_range.each(&mut visit);
        for list in lists.all() {
            let StreamList { in_range, whole, .. } = list;
            in_range.each(&mut visit);
            whole.each(&mut visit);
        }
        core::iter::successors(lists.multi_stream.first(), |span| span.next.get()).for_each(&mut visit);
        found
    }
}
