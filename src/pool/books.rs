//! The books of one pool: which spans it has, which are free, what its blocks are, and the figures.
//!
//! Contract: everything here runs under the pool's lock, takes time that is bounded by the range it relabels, and
//! neither allocates, waits, calls a device nor writes a text. What needs those is prepared by the caller ([`Kit`]) or
//! handed out to it ([`Piece`]). The identity reserved = in use + cached + pending + overhead holds after every
//! function.
//!
//! Free spans merge with their neighbours at once, but never across pieces that must go back as they came. They lie on a shelf (`shelf`); of
//! a pool on whose blocks devices work there are more of those (`lanes`).

mod free;

pub(super) mod lanes;

mod room;

mod segment;

mod shelf;

mod split;

use crate::device::host::GRANULE;
use crate::names::Name;
use crate::pool::cell::{Block, State};
use crate::pool::client::{Account, CLIENTS, Tally};
use crate::pool::fine::Fine;
use crate::pool::heap::{Counts, Heap};
use crate::pool::options::Settings;
use crate::pool::pressure::Listener;
use crate::pool::span::{Kind, List, Notes, Span};
use crate::pool::uses::{Point, Queue};
use crate::pool::{Pool, class, foreign, table};
use crate::sys::os;
use crate::thread;
use crate::types::*;
use core::sync::atomic::{AtomicUsize, Ordering};
use lanes::Ordered;
use room::{ROOMS, Room};
pub(super) use segment::Segment;
use shelf::Shelf;

/// What a request wants, already rounded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Want {
    /// Some: a block of that class; None: a span of its own.
    pub class: Option<usize>,
    /// Bytes of a block.
    pub unit: usize,
    /// Bytes of the span that is needed if there is no room in one.
    pub span_bytes: usize,
    /// Alignment of the span, at least a granule.
    pub span_alignment: usize,
    pub block: Block,
    /// The heap that owns the span of a block of a class from then on.
    pub heap: Option<&'static Heap>,
    /// Of a pool on whose blocks devices work: where the block will be used first; None: on the host, now.
    pub queue: Option<&'static Queue>,
    /// Of the same: everything is looked at, because nothing else is left but to refuse it.
    pub thorough: bool,
}

/// Bookkeeping memory that a step may need, got before the lock is taken; what is left over goes back when it is
/// dropped.
#[derive(Default)]
pub(super) struct Kit {
    spans: [Option<&'static Span>; 6],
    notes: Option<(usize, &'static Notes)>,
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
    fn span(&mut self) -> Option<&'static Span> {
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

/// A range on its way from the device into the books, or back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub start: usize,
    pub bytes: usize,
    /// Of a caller's upstream: its record; on the way back only of the last of it, with which the record is over.
    pub segment: Option<&'static Segment>,
}

/// A block that was handed out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub address: usize,
    /// The bytes asked for are known to read 0.
    pub zero: bool,
    /// Bytes at the beginning that are not known to read 0.
    pub dirty: usize,
    /// What other queues have to wait for before they touch it.
    pub ready: Option<Point>,
}

impl Placed {
    /// A block of which all is known to read 0, or nothing.
    #[inline]
    pub fn new(address: usize, zero: bool) -> Placed {
        Placed { address, zero, dirty: if zero { 0 } else { usize::MAX }, ready: None }
    }
}

/// What an address is, seen under the lock of the pool that has it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found {
    /// In a live block.
    Block { index: usize, start: usize, block: Block },
    /// In memory that was handed out before and is in no live block.
    Gone,
    /// In memory that never was.
    Never,
}

/// Allocations of a class, modulo 2^64.
#[derive(Clone, Copy, Default)]
pub(super) struct Handed {
    pub all: u64,
    /// Of those: with no device call.
    pub hits: u64,
}

impl Handed {
    pub fn add(&mut self, all: u64, hits: u64) {
        self.all = self.all.wrapping_add(all);
        self.hits = self.hits.wrapping_add(hits);
    }
}

/// All that a pool's lock protects. All zero: no pool.
pub(super) struct Books {
    pub settings: Settings,
    pub name: Name,
    /// How often the peaks were looked at; read without the lock.
    looks: Option<&'static AtomicUsize>,
    /// Handles, threads and the library itself; 0: released.
    pub holds: u64,
    /// Released: what is free goes back at once, and nothing can be had.
    pub retired: bool,
    /// Lies among the pools that are over.
    pub parked: bool,
    /// Calls that are between two sections of this lock.
    pub busy: u64,
    /// Number of the last range that came from the device.
    reservations: usize,
    /// What came from a caller's upstream and did not go back.
    segments: Option<&'static Segment>,
    /// Bytes that such calls are about to get from the device.
    pub coming: usize,
    /// Strict mode: blocks that wait, oldest first, from `first` on.
    pub ring: Option<&'static Ring>,
    /// Pending, reserved, peaks, counts. The rest of the fields is filled in by `stats`, from what clients and heaps have.
    pub figures: tn_pool_stats,
    /// What each client holds and did.
    pub clients: [Account; CLIENTS],
    /// The bytes of all of them.
    total: Tally,
    /// Allocations by class, large ones last; without heaps.
    pub classes: [Handed; class::COUNT + 1],
    /// The heaps of threads.
    pub heaps: Option<&'static Heap>,
    partial: [List; class::COUNT],
    /// Small spans without a live block; each class keeps one.
    empty: [u32; class::COUNT],
    /// Free spans that anybody may have.
    shelf: Shelf,
    /// What else is free, where devices work on blocks.
    pub ordered: Option<&'static Ordered>,
    /// A free span that does not merge yet: the large block that came back last.
    recent: Option<&'static Span>,
    /// Who wants to be called when memory runs out, in the order of their registration.
    pub listeners: Option<&'static Listener>,
    /// What growth reserved ahead.
    rooms: [Room; ROOMS],
}

/// Blocks that strict mode holds back before they can be had again.
pub(super) const HELD_BACK: usize = 1024;

/// The blocks that strict mode holds back; only read and written under the lock.
pub(super) struct Ring {
    first: super::span::Word,
    count: super::span::Word,
    blocks: [super::span::Word; HELD_BACK],
}

impl Ring {
    pub fn count(&self) -> usize {
        self.count.get()
    }
    pub fn is_full(&self) -> bool {
        self.count() == HELD_BACK
    }
    pub fn push(&self, address: usize) {
        debug_assert!(!self.is_full());
        self.blocks[(self.first.get() + self.count()) % HELD_BACK].set(address);
        self.count.set(self.count() + 1);
    }
    pub fn pop(&self) -> Option<usize> {
        let left = self.count().checked_sub(1)?;
        let address = self.blocks[self.first.get()].get();
        self.first.set((self.first.get() + 1) % HELD_BACK);
        self.count.set(left);
        Some(address)
    }
}

impl Books {
    /// Books of a new pool with one hold.
    pub fn new(
        settings: Settings,
        name: Name,
        ring: Option<&'static Ring>,
        looks: Option<&'static AtomicUsize>,
    ) -> Books {
        let mut figures = tn_pool_stats { size: size_of::<tn_pool_stats>(), ..tn_pool_stats::default() };
        figures.limit_bytes = settings.limit as u64;
        figures.metadata_bytes = (size_of::<Pool>() + ring.map_or(0, |_| size_of::<Ring>())) as u64;
        Books {
            settings,
            name,
            looks,
            holds: 1,
            retired: false,
            parked: false,
            busy: 0,
            reservations: 0,
            segments: None,
            coming: 0,
            ring,
            figures,
            clients: [Account::default(); CLIENTS],
            total: Tally::default(),
            classes: [Handed::default(); class::COUNT + 1],
            heaps: None,
            partial: [const { List::new() }; class::COUNT],
            empty: [0; class::COUNT],
            shelf: Shelf::new(GRANULE),
            ordered: None,
            recent: None,
            listeners: None,
            rooms: [Room::default(); ROOMS],
        }
    }

    /// The statistics as they are now.
    pub fn stats(&self) -> tn_pool_stats {
        let (mut stats, counts) = (self.figures, self.counts());
        let all = counts.all();
        (stats.in_use_bytes, stats.requested_bytes) = self.in_use(&all);
        stats.cached_bytes = stats.reserved_bytes - stats.overhead_bytes - stats.pending_bytes - stats.in_use_bytes;
        stats.peak_in_use_bytes = stats.peak_in_use_bytes.max(stats.in_use_bytes);
        stats.peak_requested_bytes = stats.peak_requested_bytes.max(stats.requested_bytes);
        stats.hit_count = stats.hit_count.wrapping_add(counts.hits);
        stats.thread_hit_count = stats.thread_hit_count.wrapping_add(counts.hits);
        stats.deallocation_count = all.freed;
        stats.reallocation_count = all.reallocated;
        stats.live_blocks = all.blocks();
        stats.allocation_count = stats.live_blocks + stats.deallocation_count;
        stats.zero_bytes_skipped += counts.zero_skipped;
        stats.thread_count = counts.heaps;
        stats.largest_free_bytes = self.largest_free() as u64;
        stats
    }

    /// What this and all heaps counted.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { clients: self.clients.map(|account| account.tally), ..Counts::default() };
        let mut at = self.heaps;
        while let Some(heap) = at {
            heap.add_to(&mut counts);
            at = heap.next();
        }
        counts
    }

    /// Allocations of a class, or large ones.
    pub fn handed(&self, class: usize) -> Handed {
        let mut sum = self.classes[class];
        let mut at = self.heaps;
        while let Some(heap) = at {
            let handed = heap.handed(class);
            sum.add(handed, handed);
            at = heap.next();
        }
        sum
    }

    /// Takes over what a heap counted that ends.
    pub fn add_counts(&mut self, counts: &Counts) {
        for (account, tally) in self.clients.iter_mut().zip(&counts.clients) {
            account.tally.add(tally);
            self.total.add(tally);
        }
        let f = &mut self.figures;
        f.zero_bytes_skipped += counts.zero_skipped;
        f.hit_count = f.hit_count.wrapping_add(counts.hits);
        f.thread_hit_count = f.thread_hit_count.wrapping_add(counts.hits);
    }

    fn largest_free(&self) -> usize {
        let largest = self.around_recent().max(self.shelf.largest()).max(self.largest_fine());
        if largest > 0 {
            return largest;
        }
        let has_room = |class: usize| {
            let mut at = self.heaps;
            while let Some(heap) = at {
                if heap.has_room(class) {
                    return true;
                }
                at = heap.next();
            }
            self.partial[class].first().is_some()
        };
        (0..class::COUNT).rev().find(|&class| has_room(class)).map_or(0, class::bytes)
    }

    /// Looks at the peaks.
    pub fn peak(&mut self) {
        if let Some(looks) = self.looks {
            looks.store(looks.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
        let mut clients = [0; CLIENTS];
        for (in_use, account) in clients.iter_mut().zip(&self.clients) {
            *in_use = account.tally.in_use;
        }
        let mut at = self.heaps;
        while let Some(heap) = at {
            heap.add_in_use(&mut clients);
            at = heap.next();
        }
        for (account, in_use) in self.clients.iter_mut().zip(clients) {
            account.peak = account.peak.max((in_use as i64).max(0) as u64);
        }
        self.peak_of_all();
    }

    fn peak_of_all(&mut self) {
        let (in_use, requested) = self.in_use(&self.now());
        let f = &mut self.figures;
        f.peak_in_use_bytes = f.peak_in_use_bytes.max(in_use);
        f.peak_requested_bytes = f.peak_requested_bytes.max(requested);
        f.peak_reserved_bytes = f.peak_reserved_bytes.max(f.reserved_bytes);
    }

    /// Usable and requested bytes that are out, of this and all heaps.
    fn now(&self) -> Tally {
        let mut all = self.total;
        let mut at = self.heaps;
        while let Some(heap) = at {
            all.change(heap.in_use(), heap.requested());
            at = heap.next();
        }
        all
    }

    /// The peaks are what is now.
    pub fn reset_peak(&mut self) {
        let f = &mut self.figures;
        (f.peak_in_use_bytes, f.peak_requested_bytes, f.peak_reserved_bytes) = (0, 0, 0);
        self.clients.iter_mut().for_each(|account| account.peak = 0);
        self.peak();
    }

    /// Usable and requested bytes of live blocks, cut to what the rest leaves room for: see [`Tally::blocks`].
    fn in_use(&self, all: &Tally) -> (u64, u64) {
        let f = &self.figures;
        let in_use = all.bytes().min(f.reserved_bytes - f.overhead_bytes - f.pending_bytes);
        (in_use, ((all.requested as i64).max(0) as u64).min(in_use))
    }

    /// Usable bytes of live blocks.
    pub fn in_use_now(&self) -> usize {
        self.in_use(&self.now()).0 as usize
    }

    /// Whether so many more bytes from the device would break the limit.
    pub fn over_limit(&self, more: usize) -> bool {
        let limit = self.settings.limit;
        limit != 0 && (self.figures.reserved_bytes as usize).saturating_add(self.coming).saturating_add(more) > limit
    }

    // ---- requests ----

    /// A block from what the pool has, if it has room and nothing must be cut for it.
    pub fn place(&mut self, pool: &'static Pool, want: &Want) -> Option<Placed> {
        let Some(class) = want.class else {
            let span = self.take_free(pool, want.span_bytes, want.span_alignment, None)?;
            return Some(self.make_large(span, want));
        };
        let span = self.partial[class].first()?;
        self.take_small(span, want)
    }

    /// A block from what the pool has, if it has room.
    pub fn place_cutting(&mut self, pool: &'static Pool, want: &Want, kit: &mut Kit) -> Option<Placed> {
        let small = want.class.and_then(|class| self.partial[class].first());
        if let Some(span) = small {
            return self.take_small(span, want);
        }
        let span = match self.take_free(pool, want.span_bytes, want.span_alignment, Some(kit)) {
            Some(span) => span,
            None if self.merge_recent() => self.take_free(pool, want.span_bytes, want.span_alignment, Some(kit))?,
            None => return None,
        };
        match want.class {
            None => Some(self.make_large(span, want)),
            Some(_) => self.make_small(span, want, kit),
        }
    }

    /// A block in memory that just came from the device, as much as is wanted or more. None: it is no new memory.
    pub fn place_in(&mut self, pool: &'static Pool, piece: Piece, want: &Want, kit: &mut Kit) -> Option<Placed> {
        let mut span = self.adopt(pool, piece, kit)?;
        if self.ordered.is_some() {
            return self.place_in_ordered(span, want, kit);
        }
        if span.bytes.get() > want.span_bytes {
            let (front, rest) = self.front_of(span, want.span_bytes, kit)?;
            self.set_free_apart(rest, os::coarse_ms());
            span = front;
        }
        match want.class {
            None => Some(self.make_large(span, want)),
            Some(_) => self.make_small(span, want, kit),
        }
    }

    /// Enters memory that just came from the device as a span that is in no list yet. None: it is no new memory.
    fn adopt(&mut self, pool: &'static Pool, piece: Piece, kit: &mut Kit) -> Option<&'static Span> {
        let (start, bytes) = (piece.start, piece.bytes);
        let origin = self.origin_of(&piece)?;
        let clean = if self.settings.terms.zeroed { bytes } else { 0 };
        let span = kit.span()?;
        span.change(|| {
            span.set_kind(Kind::None);
            span.set_pool(pool);
            span.start.set(start);
            span.bytes.set(bytes);
            span.clean.set(clean);
            span.origin.set(origin);
            span.set_notes(None);
        });
        table::put(start, bytes, Some(span));
        let f = &mut self.figures;
        f.reserved_bytes += bytes as u64;
        f.address_bytes += bytes as u64;
        f.device_bytes_total += bytes as u64;
        f.metadata_bytes += size_of::<Span>() as u64;
        self.peak();
        Some(span)
    }

    /// Enters memory that just came from the device as free.
    pub fn add_free(&mut self, pool: &'static Pool, piece: Piece, kit: &mut Kit, now: u64) -> bool {
        let Some(span) = self.adopt(pool, piece, kit) else { return false };
        if self.ordered.is_some() {
            self.set_free_ordered(span, now);
            return true;
        }
        self.set_free(span, now);
        true
    }

    fn make_large(&mut self, span: &'static Span, want: &Want) -> Placed {
        span.change(|| {
            span.set_notes(None);
            span.unit.set(want.unit);
            span.count.set(1);
            span.bump.set(1);
            span.set_block(0, want.block);
            span.set_kind(Kind::Large);
        });
        self.figures.overhead_bytes += (span.bytes.get() - want.unit) as u64;
        self.count_in(want.unit, want.block);
        let dirty = span.bytes.get() - span.clean.get();
        span.clean.set(span.clean.get().min(span.bytes.get() - want.unit));
        Placed { address: span.start.get(), zero: dirty == 0, dirty, ready: None }
    }

    fn make_small(&mut self, span: &'static Span, want: &Want, kit: &mut Kit) -> Option<Placed> {
        let (class, notes) = kit.notes.take()?;
        notes.clear();
        span.change(|| {
            span.set_notes(Some(notes));
            span.class.set(class);
            span.unit.set(want.unit);
            span.reciprocal.set(class::reciprocal(class));
            span.count.set(span.bytes.get() / want.unit);
            span.start_over();
            span.fresh.set(usize::from(span.clean.get() == span.bytes.get()));
            span.set_heap(None);
            span.set_kind(Kind::Small);
        });
        self.figures.overhead_bytes += (span.bytes.get() % want.unit) as u64;
        self.figures.metadata_bytes += Notes::bytes(class) as u64;
        self.empty[class] += 1;
        self.enlist(span);
        self.take_small(span, want)
    }

    fn take_small(&mut self, span: &'static Span, want: &Want) -> Option<Placed> {
        let (class, was_empty) = (span.class.get(), span.is_empty());
        let popped = span.pop()?;
        if was_empty {
            self.empty[class] -= 1;
        }
        span.set_block(popped.index, want.block);
        // The pool may have been released since the heap was found, and then it has none any more.
        let is_ours = |heap: &&'static Heap| {
            !self.retired && heap.is_of(thread::current()) && span.pool().is_some_and(|pool| heap.is_in(pool))
        };
        let heap = want.heap.filter(is_ours);
        if heap.is_some() || span.is_full() {
            self.delist(span);
        }
        if let Some(heap) = heap {
            heap.own(span);
        }
        self.count_in(want.unit, want.block);
        Some(Placed::new(span.start.get() + popped.offset, popped.first && span.fresh.get() == 1))
    }

    fn count_in(&mut self, usable: usize, block: Block) {
        self.change(block, usable as u64, block.requested as u64);
        let client = block.client();
        let mut in_use = self.account(block).tally.in_use;
        let mut at = self.heaps;
        while let Some(heap) = at {
            in_use = in_use.wrapping_add(heap.in_use_of(client));
            at = heap.next();
        }
        let account = self.account(block);
        account.peak = account.peak.max((in_use as i64).max(0) as u64);
        if let Some(looks) = self.looks {
            looks.store(looks.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
        self.peak_of_all();
    }

    /// A block is not out any more.
    pub fn count_out(&mut self, usable: usize, block: Block) {
        self.change(block, (usable as u64).wrapping_neg(), (block.requested as u64).wrapping_neg());
    }

    /// Changes what is out.
    pub fn change(&mut self, block: Block, usable: u64, requested: u64) {
        self.account(block).tally.change(usable, requested);
        self.total.change(usable, requested);
    }

    /// The account of a block's client.
    pub fn account(&mut self, block: Block) -> &mut Account {
        &mut self.clients[block.client().index()]
    }

    // ---- blocks that come back ----

    /// What the address is, in a span of this pool.
    pub fn look(&self, span: &'static Span, address: usize) -> Found {
        let offset = address - span.start.get();
        let never = match span.kind() {
            Kind::Small => span.fresh.get() == 1,
            _ => offset >= span.bytes.get() - span.clean.get(),
        };
        let gone = if never { Found::Never } else { Found::Gone };
        match span.kind() {
            Kind::None | Kind::Fine => Found::Gone,
            Kind::Free => gone,
            Kind::Small | Kind::Large => {
                let index = offset / span.unit.get();
                if index >= span.count.get() {
                    return gone;
                }
                let (start, block) = (span.start.get() + index * span.unit.get(), span.block(index));
                match block.state {
                    State::Raw | State::Store => Found::Block { index, start, block },
                    State::Freed | State::Limbo | State::Returned if address == start => Found::Gone,
                    _ => gone,
                }
            }
        }
    }

    /// A block in limbo is live again, and in use.
    pub fn undo_free(&mut self, span: &'static Span, index: usize, state: State) {
        let block = Block { state, ..span.block(index) };
        span.set_block(index, block);
        self.change(block, span.unit.get() as u64, block.requested as u64);
    }

    /// Makes a block in limbo free. The bytes of the span that became free with it, if one did.
    pub fn end_free(&mut self, span: &'static Span, index: usize, now: u64) -> usize {
        if span.kind() == Kind::Large {
            let bytes = span.bytes.get();
            self.figures.overhead_bytes -= (bytes - span.unit.get()) as u64;
            if self.ordered.is_some() {
                self.set_free_ordered(span, now);
                return bytes;
            }
            self.set_free_recent(span, now);
            return bytes;
        }
        let was_full = span.is_full();
        span.exchange(index, State::Limbo, State::Freed);
        span.push(index * span.unit.get());
        if was_full {
            self.enlist(span);
        }
        self.keep_or_dissolve(span, now)
    }

    /// A small span in its class's list has fewer blocks than before. If it has none left: one such span is kept, so that a loop at the edge
    /// of a span costs what any other costs. The bytes that became free.
    fn keep_or_dissolve(&mut self, span: &'static Span, now: u64) -> usize {
        let class = span.class.get();
        if !span.is_empty() {
            return 0;
        }
        // One that is in the list of those to be collected stays as it is until it has been seen there.
        if span.is_queued() || self.empty[class] == 0 && !self.retired {
            self.empty[class] += 1;
            return 0;
        }
        let bytes = span.bytes.get();
        self.dissolve(span, now);
        bytes
    }

    /// Takes a small span over that its owner gave up, which is in no list.
    pub fn receive(&mut self, span: &'static Span) {
        if !span.is_full() {
            self.enlist(span);
            self.keep_or_dissolve(span, os::coarse_ms());
        }
    }

    /// Collects the returned blocks of a span of this pool without an owner.
    pub fn collect_unowned(&mut self, pool: &'static Pool, span: &'static Span) {
        let (was_full, was_empty) = (span.is_full(), span.is_empty());
        let (blocks, wrong) = foreign::collect(pool, span);
        self.figures.misuse_count += wrong as u64;
        if blocks > 0 && was_full {
            self.enlist(span);
        }
        if was_empty {
            self.empty[span.class.get()] -= 1;
        }
        self.keep_or_dissolve(span, os::coarse_ms());
    }

    /// Makes a small span with no block free. It is in its class's list and not counted as empty.
    fn dissolve(&mut self, span: &'static Span, now: u64) {
        let class = span.class.get();
        self.delist(span);
        self.figures.overhead_bytes -= (span.bytes.get() - span.count.get() * span.unit.get()) as u64;
        self.figures.metadata_bytes -= Notes::bytes(class) as u64;
        if let Some(notes) = span.notes() {
            span.change(|| span.set_notes(None));
            notes.release(class);
        }
        let used = span.bump.get() * span.unit.get();
        let used = used.next_multiple_of(os::page_bytes()).min(span.bytes.get());
        span.clean.set(if span.fresh.get() == 1 { span.bytes.get() - used } else { 0 });
        self.set_free(span, now);
    }

    /// A small span leaves the figures.
    fn forget_small(&mut self, span: &'static Span) {
        let class = span.class.get();
        self.empty[class] -= span.is_empty() as u32;
        self.figures.overhead_bytes -= (span.bytes.get() - span.count.get() * span.unit.get()) as u64;
        self.figures.metadata_bytes -= Notes::bytes(class) as u64;
    }

    /// Makes the kept empty spans free.
    pub fn dissolve_empty(&mut self, now: u64) {
        for class in 0..class::COUNT {
            let mut span = self.partial[class].first();
            while let Some(small) = span.filter(|_| self.empty[class] > 0) {
                span = small.next.get();
                if small.is_empty() && !small.is_queued() {
                    self.empty[class] -= 1;
                    self.dissolve(small, now);
                }
            }
        }
    }

    // ---- blocks that change their size ----

    /// Notes another size asked for of a block in limbo.
    pub fn resize(&mut self, span: &'static Span, index: usize, block: Block, requested: usize) {
        span.set_block(index, Block { requested, state: State::Limbo, ..block });
        self.change(block, 0, (requested as u64).wrapping_sub(block.requested as u64));
        self.peak();
    }

    /// Changes the usable bytes of a large block within its span.
    pub fn set_usable(&mut self, span: &'static Span, usable: usize) {
        let old = span.unit.get();
        debug_assert!(usable <= span.bytes.get());
        span.change(|| {
            span.unit.set(usable);
            span.clean.set(span.clean.get().min(span.bytes.get() - usable));
        });
        self.figures.overhead_bytes = self.figures.overhead_bytes + old as u64 - usable as u64;
        self.change(span.block(0), (usable as u64).wrapping_sub(old as u64), 0);
        self.peak();
    }

    /// Makes a large block smaller where it is; whole granules that it does not use any more become free.
    pub fn shrink(&mut self, span: &'static Span, usable: usize, kit: &mut Kit, now: u64) {
        self.set_usable(span, usable);
        let keep = usable.next_multiple_of(GRANULE);
        if keep < span.bytes.get()
            && let Some(rest) = self.cut_off(span, keep, kit)
        {
            self.figures.overhead_bytes -= rest.bytes.get() as u64;
            self.set_free(rest, now);
        }
    }

    /// Makes a large block's span longer by the free span behind it.
    pub fn grow_in_place(&mut self, pool: &'static Pool, span: &'static Span, bytes: usize, kit: &mut Kit) -> bool {
        let Some(next) = table::get(span.end()) else { return false };
        let more = bytes - span.bytes.get();
        if !self.owns(pool, next)
            || next.kind() != Kind::Free
            || next.start.get() != span.end()
            || !self.may_join(span, next)
            || next.bytes.get() < more
        {
            return false;
        }
        self.unlist_free(next);
        if next.bytes.get() > more {
            let since = next.since.get() as u64;
            let Some(rest) = self.cut_off(next, more, kit) else {
                self.list_free(next);
                return false;
            };
            self.set_free_apart(rest, since);
        }
        span.change(|| {
            span.bytes.set(bytes);
            span.clean.set(next.clean.get().min(more));
        });
        if next.origin.get() != span.origin.get() {
            span.origin.set(0);
        }
        table::put(next.start.get(), more, Some(span));
        self.figures.overhead_bytes += more as u64;
        self.drop_span(next);
        true
    }

    /// Takes a large block's span off the table, to be moved to other addresses.
    pub fn lift(&mut self, span: &'static Span) {
        table::put(span.start.get(), span.bytes.get(), None);
    }

    /// Puts a lifted span back where it was.
    pub fn put_back(&mut self, span: &'static Span) {
        table::put(span.start.get(), span.bytes.get(), Some(span));
    }

    /// Puts a lifted span down where its pages went, and makes its block live as it is wanted now.
    pub fn put_down(&mut self, span: &'static Span, start: usize, want: &Want) {
        let (old_bytes, old_unit) = (span.bytes.get(), span.unit.get());
        self.reservations += 1;
        span.change(|| {
            span.start.set(start);
            span.origin.set(self.reservations);
            span.bytes.set(want.span_bytes);
            span.unit.set(want.unit);
            span.clean.set(0);
            span.set_block(0, want.block);
        });
        table::put(start, want.span_bytes, Some(span));
        let f = &mut self.figures;
        f.reserved_bytes = f.reserved_bytes + want.span_bytes as u64 - old_bytes as u64;
        f.address_bytes = f.address_bytes + want.span_bytes as u64 - old_bytes as u64;
        f.device_bytes_total += (want.span_bytes - old_bytes) as u64;
        f.overhead_bytes = f.overhead_bytes + (want.span_bytes - want.unit) as u64 - (old_bytes - old_unit) as u64;
        self.count_in(want.unit, want.block);
    }
}
