//! Blocks of a heap: handed out and taken back.
//!
//! Contract: called by the heap's thread, inside the library. Nothing here takes a lock, calls the system or allocates, but for the cold
//! functions; nothing panics.

use super::{Heap, Watermark};
use crate::device::host::GRANULE;
use crate::pool::client::{Client, PLAIN};
use crate::pool::span::block_state::{Block, BlockBits, BlockState};
use crate::pool::span::{Kind, List, Popped, Span, class, table};
use crate::pool::state::NewBlock;
use crate::pool::{Pool, remote_free};
use crate::sys::os;
use crate::thread::{self, CriticalSection, Thread};
use core::hint;
use core::sync::atomic::Ordering;

/// Large blocks given back between two looks at what the pool should give back to the device.
const UPKEEP: usize = 64;

/// A block from the calling thread's heap, for a request of a class. None: it has none, and the pool must be asked.
#[inline]
pub fn allocate(pool: &'static Pool, class: usize, block: Block, zeroed: bool) -> Option<NewBlock> {
    let thread = thread::current();
    let inside = CriticalSection::enter(thread);
    Heap::of(thread, pool)?.take_of(class, block, zeroed, inside)
}

/// A large block from the calling thread's heap. None: it keeps none of that size.
pub fn allocate_large(pool: &'static Pool, block: Block) -> Option<NewBlock> {
    let thread = thread::current();
    let _inside = CriticalSection::enter(thread);
    let address = Heap::of(thread, pool)?.take_cached_large(block)?;
    Some(NewBlock::new(address, false))
}

/// A small block once those that other threads gave back have been collected; and the heap, for a span of its own.
#[cold]
#[inline(never)]
pub fn allocate_collected(
    pool: &'static Pool,
    class: usize,
    block: Block,
    zeroed: bool,
) -> (Option<NewBlock>, Option<&'static Heap>) {
    let thread = thread::current();
    let inside = CriticalSection::enter(thread);
    let Some(heap) = Heap::of_or_new(thread, pool) else { return (None, None) };
    heap.collect(pool);
    if heap.span_with_free(class).is_none() {
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
pub fn deallocate(through: Option<&'static Pool>, address: usize, state: BlockState) -> Option<usize> {
    let thread = thread::current();
    let inside = CriticalSection::enter(thread);
    let span = table::get(address)?;
    let Some(heap) = span.heap() else { return free_large(thread, through, span, address, state) };
    if through.is_some_and(|pool| !heap.is_in(pool)) {
        return None;
    }
    if !heap.is_of(thread) {
        return remote_free::free_block(thread, through, span, address, state);
    }
    let given = heap.free_block(span, address.wrapping_sub(span.start.get()), |word| word.is(state))?;
    if given.rare {
        heap.after_free(span, inside, ());
    }
    Some(given.requested)
}

/// Gives a large block to the thread's heap, and the one that this kept before to the pool. As `deallocate`.
#[inline(never)]
pub(super) fn free_large(
    thread: &'static Thread,
    through: Option<&'static Pool>,
    span: &'static Span,
    address: usize,
    state: BlockState,
) -> Option<usize> {
    let version = span.version();
    let pool = span.pool()?;
    let large = version & 1 == 0 && span.kind() == Kind::Large && span.start.get() == address;
    if !large || through.is_some_and(|through| !core::ptr::eq(through, pool)) {
        return None;
    }
    let heap = Heap::of_or_new(thread, pool)?;
    let (block_bytes, block) = (span.block_bytes.get(), span.block(0));
    let fits = span.bytes.get() <= heap.keep.get() && span.version() == version;
    let word = span.cell_of(0).get();
    if !fits || !word.is(state) || !span.claim(version, span.cell_of(0), word, BlockState::Freed) {
        return None;
    }
    heap.count_elsewhere(block_bytes, block_bytes - block.requested, block.client());
    let before = heap.keep_large(span);
    // Now and then also where the thread lives on what it keeps: what the pool does not need goes back in time.
    if before.is_some() || heap.kept.get() % UPKEEP == 0 {
        let mut state = pool.state.lock();
        let just = before.map_or(usize::MAX, |before| state.end_free(before, 0, os::coarse_ms()));
        pool.enforce_threshold(state, just);
    }
    Some(block.requested)
}

/// A block that was just handed out.
pub(super) struct NewHeapBlock {
    pub address: usize,
    /// It never was before.
    pub first: bool,
    /// [`Heap::after_allocation`] must follow before the thread leaves.
    pub rare: bool,
}

/// A block that just came back.
pub(super) struct FreedBlock {
    /// Bytes that were asked for.
    pub requested: usize,
    /// [`Heap::after_free`] must follow before the thread leaves.
    pub rare: bool,
}

impl Heap {
    /// A block of a class, if there is room; with it whether its bytes are known to read 0.
    #[inline]
    fn take_of(&self, class: usize, block: Block, zeroed: bool, inside: CriticalSection) -> Option<NewBlock> {
        let span = self.span_with_free(class)?;
        let taken = self.take(class, span, || block)?;
        let zero = zeroed && taken.first && span.is_fresh();
        if zero {
            self.zero_skipped.add(block.requested);
        }
        if taken.rare {
            self.after_allocation(inside, ());
        }
        Some(NewBlock::new(taken.address, zero))
    }

    /// A block of a span of this heap. None: it is full.
    #[inline(always)]
    pub(super) fn take(
        &self,
        class: usize,
        span: &'static Span,
        block: impl FnOnce() -> Block,
    ) -> Option<NewHeapBlock> {
        let popped = span.pop()?;
        let block = block();
        self.count_allocation(class, block.client());
        Some(self.hand_out(span, popped, block))
    }

    /// The same, which is no allocation, of one that is off the stack.
    #[inline(always)]
    pub(super) fn hand_out(&self, span: &'static Span, popped: Popped, block: Block) -> NewHeapBlock {
        let block_bytes = span.block_bytes.get();
        span.begin_block(popped.index, block_bytes, block);
        let rare = self.count_out(block_bytes, block_bytes.wrapping_sub(block.requested), block.client());
        NewHeapBlock { address: span.address_of(popped.index, block_bytes), first: popped.first, rare }
    }

    /// The peaks may be higher than ever.
    // Of C's kind, which never unwinds: so the short way need not prepare for that, and with its result, which the compiler must not know
    // before: so it can end with a jump.
    #[cold]
    #[inline(never)]
    pub(super) extern "C" fn after_allocation<Inside, R>(&self, inside: Inside, result: R) -> R {
        self.look_at_peaks(false);
        drop(inside);
        hint::black_box(result)
    }

    /// The large block that it keeps, if that is what a request would get from the pool.
    #[inline(never)]
    pub(super) fn take_cached_large(&self, block: Block) -> Option<usize> {
        let span = self.large.get()?;
        let (block_bytes, start) = (span.block_bytes.get(), span.start.get());
        // A span of its own has less than a page and a granule more than was asked for.
        let fits = block.requested <= block_bytes
            && block_bytes - block.requested < self.page.get()
            && span.bytes.get() - block_bytes < GRANULE;
        if !fits || start & (block.alignment - 1) != 0 {
            return None;
        }
        self.large.set(None);
        span.set_block(0, block);
        self.count_allocation(class::COUNT, block.client());
        if self.count_out(block_bytes, block_bytes - block.requested, block.client()) {
            self.look_at_peaks(false);
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
    pub(super) fn free_block(
        &self,
        span: &'static Span,
        offset: usize,
        is_right: impl FnOnce(BlockBits) -> bool,
    ) -> Option<FreedBlock> {
        let (given, client) = self.end_block(span, offset, is_right)?;
        self.count_free(client);
        Some(given)
    }

    /// The same, which is no free; and who had asked for the block.
    #[inline(always)]
    pub(super) fn end_block(
        &self,
        span: &'static Span,
        offset: usize,
        is_right: impl FnOnce(BlockBits) -> bool,
    ) -> Option<(FreedBlock, Client)> {
        let index = span.index_at(offset)?;
        let (word, slack) = span.end_block(index, is_right)?;
        let (room, block_bytes) = (span.push(index), span.block_bytes.get());
        self.count_back(block_bytes, slack, word.client());
        let rare = room == span.edge();
        debug_assert_eq!(rare, self.is_at_edge(span), "{room} of {} blocks", span.bump.get());
        Some((FreedBlock { requested: block_bytes.wrapping_sub(slack), rare }, word.client()))
    }

    /// The span may have been full, or be empty now.
    // As above.
    #[cold]
    #[inline(never)]
    pub(super) extern "C" fn after_free<Inside, R>(&self, span: &'static Span, inside: Inside, result: R) -> R {
        // Callbacks of an upstream run outside, where a heap may end.
        self.at_edge(span);
        drop(inside);
        hint::black_box(result)
    }

    /// Whether a span is the first of those with room.
    #[inline(always)]
    pub(super) fn is_first(&self, span: &'static Span, class: usize) -> bool {
        self.with_free.get(class).and_then(List::first).is_some_and(|first| first.is(span))
    }

    /// Counts a block that is handed out, of a class or large.
    #[inline(always)]
    fn count_allocation(&self, class: usize, client: Client) {
        // SAFETY: a class, or their number; there is a count for each.
        unsafe { self.handed.get_unchecked(class) }.add(1);
        if client != PLAIN {
            self.clients[client.index()].allocated.add(1);
        }
    }

    /// Counts the bytes of a block that is out from now on. True: the peaks must be looked at.
    #[inline(always)]
    fn count_out(&self, block_bytes: usize, slack: usize, client: Client) -> bool {
        self.slack.add(slack);
        if client != PLAIN {
            let part = &self.clients[client.index()];
            part.requested.add(block_bytes.wrapping_sub(slack));
            part.in_use.add(block_bytes);
            self.shared.set(1);
        }
        self.out.add(block_bytes)
    }

    /// Counts a block that this thread gave back, also to a span of another heap.
    #[inline(always)]
    fn count_free(&self, client: Client) {
        self.freed.add(1);
        if client != PLAIN {
            self.clients[client.index()].freed.add(1);
        }
    }

    /// Counts the bytes of a block that is not out any more.
    #[inline(always)]
    fn count_back(&self, block_bytes: usize, slack: usize, client: Client) {
        self.slack.subtract(slack);
        if client != PLAIN {
            let part = &self.clients[client.index()];
            part.requested.subtract(block_bytes.wrapping_sub(slack));
            part.in_use.subtract(block_bytes);
            self.shared.set(1);
        }
        self.out.subtract(block_bytes);
    }

    /// Counts that so many bytes more (modulo 2^64: less) are asked for of a block of [`PLAIN`] that stays where it is.
    pub(super) fn count_resized(&self, more: usize) {
        self.slack.subtract(more);
        // What is asked for has a peak too, which moves without what is out.
        if (more as isize) > 0 {
            self.grown.add(more);
            if self.grown.get() > 2 * self.step() {
                self.look_at_peaks(true);
            }
        }
    }

    /// Counts a block that went back elsewhere.
    pub fn count_elsewhere(&self, block_bytes: usize, slack: usize, client: Client) {
        self.count_free(client);
        self.count_back(block_bytes, slack, client);
    }

    /// What goes out between two looks: an eighth of what a thread may keep.
    pub(super) fn step(&self) -> usize {
        self.keep.get() / 8
    }

    /// A step went out, and the peaks may be higher than ever. `grown`: blocks grew where they are.
    fn look_at_peaks(&self, grown: bool) {
        let gone = self.out.allow(self.step()) as isize;
        let more = gone + self.grown.get() as isize;
        let mut rise = 0;
        // The least since the last look: as if all had come back first, and of what was asked for as if blocks had grown last.
        self.each_watermark(|watermark, now, asked| {
            rise = rise.max(watermark.rise(now, if asked { more } else { gone }))
        });
        // So a peak is too low by four steps, by the next one and, of what was asked for, by what grew meanwhile, which is two.
        if !grown && rise <= 4 * self.step() as isize {
            return;
        }
        let mut higher = false;
        self.each_watermark(|watermark, now, _| higher |= watermark.pass(now));
        self.grown.set(0);
        let Some(pool) = self.pool() else { return };
        // As much as then is no more, if nobody else looked: others may have had less.
        let looks = pool.looks.load(Ordering::Relaxed);
        if grown || higher || self.looks.get() != looks {
            pool.state.lock().peak();
            self.each_watermark(|watermark, now, _| watermark.seen.set(now as usize));
            self.looks.set(pool.looks.load(Ordering::Relaxed));
        }
    }

    /// Calls `visit` with all that has a peak, what it is now, and whether it is what was asked for.
    fn each_watermark(&self, mut visit: impl FnMut(&Watermark, isize, bool)) {
        let out = self.out.get() as isize;
        let [all, requested, plain] = &self.watermarks;
        visit(all, out, false);
        visit(requested, out - self.slack.get() as isize, true);
        if self.shared.get() == 0 {
            return;
        }
        let mut rest = out;
        for part in &self.clients {
            let in_use = part.in_use.get() as isize;
            visit(&part.watermark, in_use, false);
            rest -= in_use;
        }
        visit(plain, rest, false);
    }
}
