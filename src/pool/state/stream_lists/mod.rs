//! The free memory of a stream-ordered pool: which stream may have which part of it, and when.
//!
//! | term | meaning |
//! |---|---|
//! | use | a point on a stream that must pass before a span's bytes can be reused (`span::stream_uses`) |
//! | finished | a free span without pending uses: every request may have it |
//! | stream list | the free spans that only one stream uses; that stream may have them at once |
//! | multi-stream | a free span with uses on several streams |
//! | needs clearing | a free span that must be cleared before it is allocated again, in pools with TN_POOL_ZERO_ON_FREE |
//! | range | granules cut into spans of multiples of 512 bytes, for blocks up to 1 MiB; it has a map (`span::range_map`) |
//!
//! A freed span goes to its stream's list without a question to the driver, so a loop on one stream never asks it
//! (PD-1). A request looks at its own stream's list, then at finished spans, then at spans that its stream is known to
//! come after (PD-2). Only then the caller asks the driver, under no lock: once for each list with a span that fits.
//! The question is about a point that covers all spans of the list at that time (PD-3, [`PoolState::points`]). Spans
//! whose uses have passed become finished and merge ([`PoolState::collect_passed`]). A span whose uses have not
//! passed can be waited for on the device ([`PoolState::take_pending`], PD-4); the rest of its list stays.
//!
//! Neighbours merge if both are finished, or in one stream list, and lie in one piece of the device (PD-5). Bins find
//! a span in a bounded number of steps. There is one stream list for each stream that was ever used.
//!
//! Comparison: PyTorch's caching allocator also keeps blocks by stream, and records an event on each other stream at
//! a free; Tenure records none until a request needs it. RMM's coalescing lists are per stream too; a stream that
//! finds nothing waits for another stream's event and takes one block. CUDA's pools follow dependencies that the
//! driver sees; `Stream::follows` does so for those that Tenure sees.
//!
//! | file | what |
//! |---|---|
//! | `merge` | free spans enter the lists, leave them, and merge |
//! | `requests` | free spans are found, cut and allocated |
//! | `ranges` | granules become ranges, and granules again |
//! | `pending` | which uses have passed |
//! | `tick_heap` | multi-stream spans by the tick of their first use |
//! | `withheld` | free spans whose memory is gone |
//!
//! Contract: that of `state`, under the same lock. Nothing here asks a driver.

mod merge;

pub(in crate::pool) mod pending;

mod ranges;

mod requests;

mod tick_heap;

mod withheld;

use crate::device::host::GRANULE;
use crate::pool::recycler::{Recycled, Recycler};
use crate::pool::relaxed::RelaxedUsize;
use crate::pool::span::range_map::MIN_PIECE_BYTES;
use crate::pool::span::stream_uses::{Point, Stream};
use crate::pool::span::{Link, List, Span};
use crate::pool::state::free_bins::FreeBins;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use tick_heap::TickHeap;

/// Largest block that is cut from a range. Rests in a range are kept down to [`MIN_PIECE_BYTES`].
pub(in crate::pool) const LARGEST_IN_RANGE_BYTES: usize = 1 << 20;
/// Smallest rest that is cut off a larger block.
const LEAST_REST_BYTES: usize = 2 << 20;
/// Multi-stream spans that a bounded search looks at.
const MULTI_STREAM_LOOKS: usize = 32;
/// Points that one poll asks the driver about.
pub(in crate::pool) const POINTS: usize = 64;

/// Chains of lists by the numbers of their streams. With 512 streams a chain has two lists.
const CHAINS: usize = 256;

pub(in crate::pool) type Points = [Option<Point>; POINTS];

/// Free spans beside the pool's own bins, which have the finished spans of whole granules.
#[derive(Debug)]
pub(in crate::pool) struct StreamLists {
    /// Finished spans in ranges.
    in_range: FreeBins,
    lists: AtomicPtr<StreamList>,
    /// The lists by the number of their stream.
    chains: [AtomicPtr<StreamList>; CHAINS],
    /// All multi-stream spans, the newest first. Each is also in the heap of the stream of its first use.
    multi_stream: List,
    /// Multi-stream spans whose first use is on a stream without a list.
    unlisted: TickHeap,
    /// The progress of all streams (`stream::progress`) when passed uses were collected last. No use that was recorded
    /// before has passed since unless the progress has changed.
    collected_at: AtomicU64,
    needs_clearing: ClearingQueue,
    /// How many poll rounds began.
    rounds: RelaxedUsize,
    recycled: AtomicPtr<StreamLists>,
}

/// Spans that must be cleared, linked by `next`, the oldest first.
#[derive(Debug)]
struct ClearingQueue {
    first: Link,
    last: Link,
    count: RelaxedUsize,
}

// SAFETY: zero is valid for every field, and `recycled` serves the list only.
unsafe impl Recycled for StreamLists {
    fn link(&self) -> &AtomicPtr<StreamLists> {
        &self.recycled
    }
}

/// The free spans of one stream.
#[derive(Debug)]
pub(in crate::pool) struct StreamList {
    stream: AtomicPtr<Stream>,
    /// Spans in ranges.
    in_range: FreeBins,
    /// Spans of whole granules.
    whole: FreeBins,
    /// The newest span. It is not merged yet, because the next request is likely to want it as it is.
    recent: Link,
    /// Multi-stream spans whose first use is on this stream.
    multi_stream: TickHeap,
    /// The tick that the driver is asked about until it has passed; 0: none.
    watched: AtomicU64,
    next: AtomicPtr<StreamList>,
    /// The next in its chain.
    chained: AtomicPtr<StreamList>,
    recycled: AtomicPtr<StreamList>,
}

// SAFETY: zero is valid for every field, and `recycled` serves the list only.
unsafe impl Recycled for StreamList {
    fn link(&self) -> &AtomicPtr<StreamList> {
        &self.recycled
    }
}

static STREAM_LISTS: Recycler<StreamLists> = Recycler::new();
static LISTS: Recycler<StreamList> = Recycler::new();

impl StreamLists {
    /// Empty lists. None: no memory.
    pub fn create() -> Option<&'static StreamLists> {
        let lists = STREAM_LISTS.get()?;
        lists.in_range.set_unit(MIN_PIECE_BYTES);
        lists.collected_at.store(0, Ordering::Relaxed);
        Some(lists)
    }

    /// Returns the record and its lists, which are empty, to the free lists.
    pub fn release(&'static self) {
        let mut next = self.lists.swap(core::ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: NULL, or a list, and those are never unmapped.
        while let Some(list) = unsafe { next.as_ref() } {
            next = list.next.load(Ordering::Relaxed);
            LISTS.put(list);
        }
        self.chains.iter().for_each(|chain| chain.store(core::ptr::null_mut(), Ordering::Relaxed));
        STREAM_LISTS.put(self);
    }

    fn all(&self) -> impl Iterator<Item = &'static StreamList> {
        let at = |link: &AtomicPtr<StreamList>| {
            // SAFETY: NULL, or a list, and those are never unmapped.
            unsafe { link.load(Ordering::Relaxed).as_ref() }
        };
        core::iter::successors(at(&self.lists), move |list: &&'static StreamList| at(&list.next))
    }

    fn chain(&self, stream: &'static Stream) -> &AtomicPtr<StreamList> {
        &self.chains[stream.number() as usize % CHAINS]
    }

    fn of(&self, stream: &'static Stream) -> Option<&'static StreamList> {
        let mut next = self.chain(stream).load(Ordering::Relaxed);
        // SAFETY: NULL, or a list, and those are never unmapped.
        while let Some(list) = unsafe { next.as_ref::<'static>() } {
            if list.is_of(stream) {
                return Some(list);
            }
            next = list.chained.load(Ordering::Relaxed);
        }
        None
    }

    fn add(&self, stream: &'static Stream, list: &'static StreamList) {
        let at = core::ptr::from_ref(list).cast_mut();
        for (head, link) in [(&self.lists, &list.next), (self.chain(stream), &list.chained)] {
            link.store(head.load(Ordering::Relaxed), Ordering::Relaxed);
            head.store(at, Ordering::Relaxed);
        }
    }

    /// The heap that a multi-stream span belongs in.
    fn heap_of(&self, span: &'static Span) -> &TickHeap {
        let list = span.uses.first_stream().and_then(|stream| self.of(stream));
        list.map_or(&self.unlisted, |list| &list.multi_stream)
    }
}

impl StreamList {
    /// A list for a stream. None: no memory.
    pub fn create(stream: &'static Stream) -> Option<&'static StreamList> {
        let list = LISTS.get()?;
        list.in_range.set_unit(MIN_PIECE_BYTES);
        list.whole.set_unit(GRANULE);
        list.stream.store(core::ptr::from_ref(stream).cast_mut(), Ordering::Relaxed);
        list.watched.store(0, Ordering::Relaxed);
        list.recent.set(None);
        Some(list)
    }

    /// Returns a list that was not needed.
    pub fn release(&'static self) {
        LISTS.put(self);
    }

    fn is_of(&self, stream: &'static Stream) -> bool {
        core::ptr::eq(self.stream.load(Ordering::Relaxed), stream)
    }

    fn free_bins(&self, in_range: bool) -> &FreeBins {
        if in_range { &self.in_range } else { &self.whole }
    }

    fn point(&self, tick: u64) -> Option<Point> {
        // SAFETY: set from a reference to a stream, and those are never unmapped.
        let stream = unsafe { self.stream.load(Ordering::Relaxed).as_ref() };
        stream.map(|stream| Point::new(stream, tick))
    }

    /// The point to ask about. It covers all spans that were here when it was chosen, and stays until it has passed.
    fn watch(&self) -> Option<Point> {
        let watched = self.point(self.watched.load(Ordering::Relaxed));
        if let Some(point) = watched.filter(|point| point.tick() > 0 && !point.is_passed()) {
            return Some(point);
        }
        let newest = |free_bins: &FreeBins| free_bins.newest().map_or(0, |span| span.use_tick());
        let tick = newest(&self.in_range).max(newest(&self.whole));
        self.watched.store(tick, Ordering::Relaxed);
        self.point(tick).filter(|_| tick > 0)
    }
}
