//! Blocks of a heap: handed out and taken back.
//!
//! Contract: called by the heap's thread, inside the library. Nothing here takes a lock, calls the system or allocates, but for the cold
//! functions; nothing panics.

use super::{Heap, NONE};
use crate::device::host::GRANULE;
use crate::pool::books::Placed;
use crate::pool::cell::{Block, State, Word};
use crate::pool::client::PLAIN;
use crate::pool::span::{Kind, List, Popped, Span};
use crate::pool::{Pool, class, foreign, table};
use crate::sys::os;
use crate::thread::{self, Critical, Thread};
use core::sync::atomic::Ordering;

/// Large blocks given back between two looks at what the pool should give back to the device.
const UPKEEP: usize = 64;

/// A block from the calling thread's heap, for a request of a class. None: it has none, and the pool must be asked.
#[inline]
pub fn allocate(pool: &'static Pool, class: usize, block: Block, zeroed: bool) -> Option<Placed> {
    let thread = thread::current();
    let inside = Critical::enter(thread);
    Heap::of(thread, pool)?.take_of(class, block, zeroed, inside)
}

/// A large block from the calling thread's heap. None: it keeps none of that size.
pub fn allocate_large(pool: &'static Pool, block: Block) -> Option<Placed> {
    let thread = thread::current();
    let _inside = Critical::enter(thread);
    let address = Heap::of(thread, pool)?.take_large(block)?;
    Some(Placed::new(address, false))
}

/// A small block once those that other threads gave back have been collected; and the heap, for a span of its own.
#[cold]
#[inline(never)]
pub fn allocate_collected(
    pool: &'static Pool,
    class: usize,
    block: Block,
    zeroed: bool,
) -> (Option<Placed>, Option<&'static Heap>) {
    let thread = thread::current();
    let inside = Critical::enter(thread);
    let Some(heap) = Heap::of_or_new(thread, pool) else { return (None, None) };
    heap.collect(pool);
    if heap.roomy(class).is_none() {
        heap.shed(pool);
    }
    // What was shed may have gone back to an upstream, whose callbacks run outside, where a heap may end.
    let Some(heap) = Heap::of(thread, pool) else { return (None, None) };
    (heap.take_of(class, block, zeroed, inside), Some(heap))
}

/// Gives a block back that a heap takes: a small one of a span that some heap owns, or a large one that the thread's may keep. The bytes
/// that were asked for; None, and nothing is changed: it is no such block, or anything about it is unusual. `through`: the pool that was
/// passed.
#[inline]
pub fn deallocate(through: Option<&'static Pool>, address: usize, state: State) -> Option<usize> {
    let thread = thread::current();
    let inside = Critical::enter(thread);
    let span = table::get(address)?;
    let Some(heap) = span.heap() else { return give_large(thread, through, span, address, state) };
    if through.is_some_and(|pool| !heap.is_in(pool)) {
        return None;
    }
    if !heap.is_of(thread) {
        return foreign::give(thread, span, address, state);
    }
    let given = heap.give(span, address.wrapping_sub(span.start.get()), |word| word.is(state))?;
    if given.rare {
        heap.after_giving(span, inside);
    }
    Some(given.block.requested)
}

/// Gives a large block to the thread's heap, and the one that this kept before to the pool. As `deallocate`.
#[inline(never)]
pub(super) fn give_large(
    thread: &'static Thread,
    through: Option<&'static Pool>,
    span: &'static Span,
    address: usize,
    state: State,
) -> Option<usize> {
    let version = span.version();
    let pool = span.pool()?;
    let large = version & 1 == 0 && span.kind() == Kind::Large && span.start.get() == address;
    if !large || through.is_some_and(|through| !core::ptr::eq(through, pool)) {
        return None;
    }
    let heap = Heap::of_or_new(thread, pool)?;
    let (unit, block) = (span.unit.get(), span.block(0));
    let fits = span.bytes.get() <= heap.keep.get() && span.version() == version;
    if !fits || !span.claim(version, 0, state, State::Freed) {
        return None;
    }
    heap.count_elsewhere(unit, block);
    let before = heap.keep_large(span);
    // Now and then also where the thread lives on what it keeps: what the pool does not need goes back in time.
    if before.is_some() || heap.kept.get() % UPKEEP == 0 {
        let mut books = pool.books.lock();
        let just = before.map_or(usize::MAX, |before| books.end_free(before, 0, os::coarse_ms()));
        pool.settle(books, just);
    }
    Some(block.requested)
}

/// A block that was just handed out.
pub(super) struct Taken {
    pub address: usize,
    /// It never was before.
    pub first: bool,
    /// [`Heap::after_taking`] must follow before the thread leaves.
    pub rare: bool,
}

/// A block that just came back.
pub(super) struct Given {
    /// What it was.
    pub block: Block,
    /// [`Heap::after_giving`] must follow before the thread leaves.
    pub rare: bool,
}

impl Heap {
    /// A block of a class, if there is room; with it whether its bytes are known to read 0.
    #[inline]
    fn take_of(&self, class: usize, block: Block, zeroed: bool, inside: Critical) -> Option<Placed> {
        let span = self.roomy(class)?;
        let taken = self.take(class, span, block)?;
        let zero = zeroed && taken.first && span.fresh.get() == 1;
        if zero {
            self.zero_skipped.add(block.requested);
        }
        if taken.rare {
            self.after_taking(inside);
        }
        Some(Placed::new(taken.address, zero))
    }

    /// A block of a span of this heap. None: it is full.
    #[inline(always)]
    pub(super) fn take(&self, class: usize, span: &'static Span, block: Block) -> Option<Taken> {
        let popped = span.pop()?;
        self.count_allocation(class, block);
        Some(self.place(span, popped, block))
    }

    /// The same, which is no allocation, of one that is off the stack.
    #[inline(always)]
    pub(super) fn place(&self, span: &'static Span, popped: Popped, block: Block) -> Taken {
        let unit = span.unit.get();
        span.begin_block(popped.index, unit, block);
        let address = span.start.get().wrapping_add(popped.offset);
        let rare = self.count_out(unit, block);
        Taken { address, first: popped.first, rare }
    }

    /// The peaks may be higher than ever.
    // Of C's kind, which never unwinds: so the short way need not prepare for that.
    #[cold]
    #[inline(never)]
    pub(super) extern "C" fn after_taking<Inside>(&self, inside: Inside) {
        self.look_at_peaks();
        drop(inside);
    }

    /// The large block that it keeps, if that is what a request would get from the pool.
    #[inline(never)]
    pub(super) fn take_large(&self, block: Block) -> Option<usize> {
        let span = self.large.get()?;
        let (unit, start) = (span.unit.get(), span.start.get());
        // A span of its own has less than a page and a granule more than was asked for.
        let fits =
            block.requested <= unit && unit - block.requested < self.page.get() && span.bytes.get() - unit < GRANULE;
        if !fits || start & (block.alignment - 1) != 0 {
            return None;
        }
        self.large.set(None);
        span.set_block(0, block);
        self.count_allocation(class::COUNT, block);
        if self.count_out(unit, block) {
            self.look_at_peaks();
        }
        Some(start)
    }

    /// Keeps a large block, which is free for nobody else; the one that it kept before.
    fn keep_large(&self, span: &'static Span) -> Option<&'static Span> {
        let before = self.large.get();
        self.large.set(Some(span));
        self.kept.add(1);
        before
    }

    /// Takes back a block of a span of this heap, so many bytes into it. None, and nothing is changed: it is not the start of a block of which the right thing is known.
    #[inline(always)]
    pub(super) fn give(
        &self,
        span: &'static Span,
        offset: usize,
        is_right: impl FnOnce(Word) -> bool,
    ) -> Option<Given> {
        let given = self.displace(span, offset, is_right)?;
        self.count_free(given.block);
        Some(given)
    }

    /// The same, which is no free.
    #[inline(always)]
    pub(super) fn displace(
        &self,
        span: &'static Span,
        offset: usize,
        is_right: impl FnOnce(Word) -> bool,
    ) -> Option<Given> {
        let (index, unit) = span.index_at(offset)?;
        let block = span.end_block(index, unit, is_right)?;
        let room = span.push(offset);
        let moved = self.count_back(unit, block);
        let bump = span.bump.get();
        let edge = room == bump || room == 1 && bump == span.count.get();
        // What comes first in its list was not full, and may stay there as it is.
        let at_edge = edge && !self.is_first(span, span.class.get());
        Some(Given { block, rare: at_edge | moved })
    }

    /// The span may have been full, or be empty now.
    // As above.
    #[cold]
    #[inline(never)]
    pub(super) extern "C" fn after_giving<Inside>(&self, span: &'static Span, inside: Inside) {
        if self.has_moved() {
            self.look_again();
        }
        // Last: callbacks of an upstream run outside, where a heap may end.
        self.at_edge(span);
        drop(inside);
    }

    /// Whether a span is the first of those with room.
    #[inline(always)]
    pub(super) fn is_first(&self, span: &'static Span, class: usize) -> bool {
        self.room.get(class).and_then(List::first).is_some_and(|first| first.is(span))
    }

    /// Counts a block that is handed out, of a class or large.
    #[inline(always)]
    fn count_allocation(&self, class: usize, block: Block) {
        // SAFETY: a class, or their number; there is a count for each.
        unsafe { self.handed.get_unchecked(class) }.add(1);
        if block.client() != PLAIN {
            self.clients[block.client().index()].allocated.add(1);
        }
    }

    /// Counts the bytes of a block that is out from now on. True: the peaks must be looked at.
    #[inline(always)]
    fn count_out(&self, unit: usize, block: Block) -> bool {
        self.slack.add(unit.wrapping_sub(block.requested));
        if block.client() != PLAIN {
            let part = &self.clients[block.client().index()];
            part.requested.add(block.requested);
            part.in_use.add(unit);
        }
        let in_use = self.in_use.get().wrapping_add(unit);
        self.in_use.set(in_use);
        in_use > self.high.get()
    }

    /// Counts a block that this thread gave back, also to a span of another heap.
    #[inline(always)]
    fn count_free(&self, block: Block) {
        self.freed.add(1);
        if block.client() != PLAIN {
            self.clients[block.client().index()].freed.add(1);
        }
    }

    /// Counts the bytes of a block that is not out any more; as `count_out`.
    #[inline(always)]
    fn count_back(&self, unit: usize, block: Block) -> bool {
        self.slack.subtract(unit.wrapping_sub(block.requested));
        if block.client() != PLAIN {
            let part = &self.clients[block.client().index()];
            part.requested.subtract(block.requested);
            part.in_use.subtract(unit);
        }
        let in_use = self.in_use.get().wrapping_sub(unit);
        self.in_use.set(in_use);
        in_use < self.low.get()
    }

    /// Counts that so many bytes more (modulo 2^64: less) are asked for of a block of [`PLAIN`] that stays where it is.
    pub(super) fn count_resized(&self, more: usize) {
        self.slack.subtract(more);
        // What is asked for has a peak too, which moves without what is in use: the next look comes sooner by as much.
        let bound = if (more as isize) < 0 { &self.low } else { &self.high };
        bound.subtract(more);
        if self.has_moved() {
            self.seen.set(0);
            self.look_at_peaks();
        }
    }

    /// Counts a block that went back elsewhere.
    pub fn count_elsewhere(&self, unit: usize, block: Block) {
        self.count_free(block);
        if self.count_back(unit, block) {
            self.look_again();
        }
    }

    /// Whether what is in use moved so far that the peaks must be looked at.
    fn has_moved(&self) -> bool {
        !(self.low.get()..=self.high.get()).contains(&self.in_use.get())
    }

    /// More is in use than when the peaks were looked at, or as much as then and others may have more.
    fn look_at_peaks(&self) {
        let Some(pool) = self.pool() else { return };
        self.look_again();
        let in_use = self.in_use.get();
        if in_use > self.seen.get() || self.looks.get() != pool.looks.load(Ordering::Relaxed) {
            pool.books.lock().peak();
            self.seen.set(in_use);
            self.looks.set(pool.looks.load(Ordering::Relaxed));
        }
    }

    /// The peaks have been looked at, or are higher than what is now.
    pub fn look_again(&self) {
        let (in_use, half) = (self.in_use.get(), (self.keep.get() / 2).min(NONE / 2));
        self.low.set(in_use - half);
        self.high.set(in_use + half);
    }
}
