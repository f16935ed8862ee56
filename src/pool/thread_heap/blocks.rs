//! Blocks of a heap: allocated and freed.
//!
//! Contract: called by the heap's thread, inside the library. Only the cold functions take a lock, call the system or
//! allocate. Nothing panics.

use super::outstanding::Outstanding;
use super::{Heap, Watermark};
use crate::device::host::GRANULE;
use crate::pool::backing::decayed::{give_back_decayed, is_decaying};
use crate::pool::client::{Client, PLAIN};
use crate::pool::span::block_state::{Block, BlockBits, BlockState};
use crate::pool::span::{Kind, Link, Span, class, table};
use crate::pool::state::NewBlock;
use crate::pool::{Pool, remote_free};
use crate::sys::os;
use crate::thread::{self, CriticalSection, Thread};
use core::hint;
use core::sync::atomic::Ordering;

/// Bytes that are allocated between two looks for memory that has decayed.
const DECAY_STEP_BYTES: usize = 8 << 10;

/// A thread keeps large blocks of as many bytes together as its empty spans may have. One block alone may be this many
/// times as large: 4 MiB by default, up to which the C library's allocator does not call the system either.
const LARGE_BLOCK_TIMES: usize = 4;

/// Large frees between two checks whether the pool should return memory to the device.
const LARGE_FREES_PER_UPKEEP: usize = 64;

/// A block of a class from the calling thread's heap. None: the heap has none.
#[inline]
pub fn allocate(pool: &'static Pool, class: usize, block: Block, zeroed: bool) -> Option<NewBlock> {
    let thread = thread::current();
    let inside = CriticalSection::enter(thread);
    Heap::of(thread, pool)?.take_of(class, block, zeroed, inside)
}

/// A large block from the calling thread's heap. None: it keeps none of that size.
pub fn allocate_large(pool: &'static Pool, block: Block) -> Option<NewBlock> {
    let thread = thread::current();
    let inside = CriticalSection::enter(thread);
    let address = Heap::of(thread, pool)?.take_cached_large(block, inside)?;
    Some(NewBlock::new(address, false))
}

/// Makes the large blocks free that the calling thread's heap keeps. True: there were any.
pub fn give_up_large(pool: &'static Pool) -> bool {
    let thread = thread::current();
    let _inside = CriticalSection::enter(thread);
    Heap::of(thread, pool).is_some_and(|heap| !heap.large.is_empty() && heap.give_up_large(&mut pool.state.lock()))
}

/// Checks the peaks of the thread's heaps, and with that gives them allowances of the present length. The thread holds
/// no lock.
pub fn shorten_allowances(thread: &'static Thread) {
    let _inside = CriticalSection::enter(thread);
    Heap::each_of(thread, |heap| heap.check_peaks(false));
}

/// A small block after remote frees were collected; and the heap, which will own a new span.
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
    // Shed memory may have gone back to an upstream. Its callbacks run outside the library, where a heap may end.
    let Some(heap) = Heap::of(thread, pool) else { return (None, None) };
    (heap.take_of(class, block, zeroed, inside), Some(heap))
}

/// Frees a block that a heap takes: a small block of a span that any heap owns, or a large one that the thread may
/// keep. Returns its requested bytes. None, and nothing is changed: it is no such block, or not in the usual state.
/// `through`: the pool that was passed.
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
    let freed = heap.free_block(span, address.wrapping_sub(span.start.get()), |bits| bits.is(state))?;
    if freed.rare {
        heap.after_free(span, inside, ());
    }
    Some(freed.requested)
}

/// Keeps a large block in the thread's heap, which frees the oldest ones to the pool for that. As `deallocate`.
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
    let heap = Heap::cached(thread, pool).or_else(|| Heap::of_or_new(thread, pool))?;
    let (block_bytes, (cell, requested)) = (span.block_bytes.get(), span.large_block());
    let (bytes, limit) = (span.bytes.get(), heap.keep.get());
    let bits = cell.get();
    let fits = bytes <= limit.saturating_mul(LARGE_BLOCK_TIMES) && span.version() == version;
    if !fits || !bits.is(state) || !span.change_block(version, cell, bits, BlockState::Freed) {
        return None;
    }
    heap.count_elsewhere(block_bytes, block_bytes - requested, bits.client());
    heap.kept.add(1);
    let oldest = heap.large.make_room(bytes, limit);
    // Checked now and then also in a loop that reuses its large blocks: the pool must return idle memory in time.
    if oldest.is_some() || heap.kept.get() % LARGE_FREES_PER_UPKEEP == 0 {
        let mut state = pool.state.lock();
        let mut just_freed = if oldest.is_some() { 0 } else { usize::MAX };
        let rest = core::iter::from_fn(|| heap.large.make_room(bytes, limit));
        for span in oldest.into_iter().chain(rest) {
            just_freed += state.end_free(span, 0, os::coarse_ms());
        }
        heap.large.add(span);
        pool.enforce_threshold(state, just_freed);
    } else {
        heap.large.add(span);
    }
    Some(requested)
}

pub(super) struct NewHeapBlock {
    pub address: usize,
    /// The caller must call [`Heap::after_allocation`] before it leaves the library.
    pub rare: bool,
}

pub(super) struct FreedBlock {
    pub requested: usize,
    /// The caller must call [`Heap::after_free`] before it leaves the library.
    pub rare: bool,
}

impl Heap {
    /// A block of a class, and whether its bytes are known to read 0. None: no free block.
    #[inline]
    fn take_of(&self, class: usize, block: Block, zeroed: bool, inside: CriticalSection) -> Option<NewBlock> {
        let span = self.span_with_free(class)?;
        let index = span.pop()?;
        let zero = zeroed && span.is_fresh() && span.is_untouched(index);
        let taken = self.take(class, span, index, block, block.client());
        if zero {
            self.zero_skipped.add(block.requested);
        }
        if taken.rare {
            self.after_allocation(inside, ());
        }
        Some(NewBlock::new(taken.address, zero))
    }

    /// Allocates a block of a client that is off its span's stack.
    #[inline(always)]
    pub(super) fn take(
        &self,
        class: usize,
        span: &'static Span,
        index: usize,
        block: Block,
        client: Client,
    ) -> NewHeapBlock {
        self.count_allocation(class, client);
        self.hand_out(span, index, block, client)
    }

    /// Makes a block live that is off the stack. Does not count as an allocation.
    #[inline(always)]
    pub(super) fn hand_out(&self, span: &'static Span, index: usize, block: Block, client: Client) -> NewHeapBlock {
        debug_assert_eq!(client, block.client());
        let block_bytes = span.own_block_bytes();
        span.begin_block(index, block_bytes, block);
        let rare = self.count_out(block_bytes, block.requested, client);
        NewHeapBlock { address: span.address_of(index, block_bytes), rare }
    }

    /// After an allocation that may have raised a peak.
    // `extern "C"` never unwinds, so the fast path needs no landing pad. It returns `result`, which the compiler
    // cannot know before, so that the fast path can end with a jump.
    #[cold]
    #[inline(never)]
    pub(super) extern "C" fn after_allocation<Inside, R>(&self, inside: Inside, result: R) -> R {
        self.check_peaks(false);
        drop(inside);
        // Callbacks of an upstream run outside the library, where a heap may end.
        give_back_decayed();
        hint::black_box(result)
    }

    /// A large block that the heap keeps and that suits the request.
    #[inline(never)]
    pub(super) fn take_cached_large<Inside>(&self, block: Block, inside: Inside) -> Option<usize> {
        let span = self.large.take(|span| {
            let block_bytes = span.block_bytes.get();
            // A span of its own exceeds the request by less than a page and a granule.
            block.requested <= block_bytes
                && block_bytes - block.requested < self.page.get()
                && span.bytes.get() - block_bytes < GRANULE
                && span.start.get() & (block.alignment - 1) == 0
        })?;
        let (block_bytes, start) = (span.block_bytes.get(), span.start.get());
        span.set_block(0, block);
        self.count_allocation(class::COUNT, block.client());
        let rare = self.count_out(block_bytes, block.requested, block.client());
        Some(if rare { self.after_allocation(inside, start) } else { start })
    }

    /// Frees the block at an offset of a span of this heap. None, and nothing is changed: no block begins there, or
    /// `is_right` refused its bits.
    #[inline(always)]
    pub(super) fn free_block(
        &self,
        span: &'static Span,
        offset: usize,
        is_right: impl FnOnce(BlockBits) -> bool,
    ) -> Option<FreedBlock> {
        self.end_block(span, offset, is_right, |client| self.count_free(client))
    }

    /// As `free_block`; `count` counts the free of a client.
    #[inline(always)]
    pub(super) fn end_block(
        &self,
        span: &'static Span,
        offset: usize,
        is_right: impl FnOnce(BlockBits) -> bool,
        count: impl FnOnce(Client),
    ) -> Option<FreedBlock> {
        let index = span.own_index_at(offset)?;
        let (bits, slack) = span.end_block(index, is_right)?;
        let (tip, block_bytes) = (span.push(index), span.own_block_bytes());
        self.count_back(block_bytes, slack, bits.client());
        count(bits.client());
        // Last, so that the machine compares in memory.
        let rare = span.is_edge(tip);
        debug_assert_eq!(rare, self.is_at_edge(span), "{} of {} blocks", span.free_count(), span.bump.get());
        Some(FreedBlock { requested: block_bytes.wrapping_sub(slack), rare })
    }

    /// After a free to a span that was full, or is empty now.
    // As `after_allocation`.
    #[cold]
    #[inline(never)]
    pub(super) extern "C" fn after_free<Inside, R>(&self, span: &'static Span, inside: Inside, result: R) -> R {
        // Callbacks of an upstream run outside the library, where a heap may end.
        self.at_edge(span);
        drop(inside);
        hint::black_box(result)
    }

    /// Whether a span is the first in its class's list.
    #[inline(always)]
    pub(super) fn is_first(&self, span: &'static Span, class: usize) -> bool {
        self.ready.get(class).and_then(Link::get).is_some_and(|first| first.is(span))
    }

    /// Counts an allocation; `class`: `class::COUNT` for a large block.
    #[inline(always)]
    pub(super) fn count_allocation(&self, class: usize, client: Client) {
        // SAFETY: a class, or their number; there is a count for each.
        unsafe { self.handed.get_unchecked(class) }.add(1);
        if client != PLAIN {
            self.clients[client.index()].allocated.add(1);
        }
    }

    /// Counts the bytes of an allocated block. True: the peaks must be checked.
    #[inline(always)]
    fn count_out(&self, block_bytes: usize, requested: usize, client: Client) -> bool {
        if client != PLAIN {
            let part = &self.clients[client.index()];
            part.requested.add(requested);
            part.in_use.add(block_bytes);
            self.used_by(client);
        }
        const LEFT: usize = core::mem::offset_of!(Heap, out) + Outstanding::LEFT;
        self.out.add::<_, LEFT>(self, block_bytes, requested)
    }

    /// Notes that a client other than [`PLAIN`] has, or had, blocks.
    #[inline(always)]
    fn used_by(&self, client: Client) {
        self.users.set(self.users.get() | 1 << client.index());
    }

    /// Counts a free by this thread, also to a span of another heap.
    #[inline(always)]
    fn count_free(&self, client: Client) {
        self.freed.add(1);
        if client != PLAIN {
            self.clients[client.index()].freed.add(1);
        }
    }

    /// Counts the bytes of a freed block.
    #[inline(always)]
    fn count_back(&self, block_bytes: usize, slack: usize, client: Client) {
        if client != PLAIN {
            let part = &self.clients[client.index()];
            part.requested.subtract(block_bytes.wrapping_sub(slack));
            part.in_use.subtract(block_bytes);
            self.used_by(client);
        }
        self.out.subtract(block_bytes, slack);
    }

    /// Counts `more` requested bytes (modulo 2^64: less) for a block of [`PLAIN`] that is resized in place.
    pub(super) fn count_resized(&self, more: usize) {
        self.out.request(more);
        // Requested bytes have a peak of their own, which can rise while usable bytes do not.
        if (more as isize) > 0 {
            self.grown.add(more);
            if self.grown.get() > 2 * self.step() {
                self.check_peaks(true);
            }
        }
    }

    /// Counts a free to a span that this heap does not own.
    pub fn count_elsewhere(&self, block_bytes: usize, slack: usize, client: Client) {
        self.count_free(client);
        self.count_back(block_bytes, slack, client);
    }

    /// The most bytes that are allocated between two checks of the peaks: an eighth of what the thread may keep.
    pub(super) fn step(&self) -> usize {
        self.keep.get() / 8
    }

    /// Checks the peaks after a step, and earlier while memory decays. `grown`: blocks were resized in place.
    pub(super) fn check_peaks(&self, grown: bool) {
        let step = if is_decaying() { self.step().min(DECAY_STEP_BYTES) } else { self.step() };
        let gone = self.out.allow(step) as isize;
        if !grown && self.is_below_peaks() {
            return;
        }
        let more = gone + self.grown.get() as isize;
        let mut rise = 0;
        // The least since the last check, as if all frees had come first, and for requested bytes as if all growth
        // had come last.
        self.each_watermark(|watermark, now, asked| {
            rise = rise.max(watermark.rise(now, if asked { more } else { gone }))
        });
        // So a peak is too low by at most four steps, the next step, and for requested bytes by two steps of growth.
        if !grown && rise <= 4 * self.step() as isize {
            return;
        }
        let mut higher = false;
        self.each_watermark(|watermark, now, _| higher |= watermark.pass(now));
        self.grown.set(0);
        let Some(pool) = self.pool() else { return };
        // The same values as then cannot be a new peak, unless the pool updated its peaks since: other heaps may
        // have had less then.
        let looks = pool.peak_updates.load(Ordering::Relaxed);
        if grown || higher || self.looks.get() != looks {
            pool.state.lock().peak();
            self.each_watermark(|watermark, now, _| watermark.seen.set(now as usize));
            self.looks.set(pool.peak_updates.load(Ordering::Relaxed));
        }
    }

    /// Whether the bytes are no more than the peaks know, which nobody updated since. Then the peaks are checked. For a
    /// heap of [`PLAIN`] only: it is the short way of a loop that reuses its large blocks.
    #[inline(always)]
    fn is_below_peaks(&self) -> bool {
        let Some(pool) = self.pool() else { return true };
        let [all, requested, _] = &self.watermarks;
        let now = self.out.get_own() as isize;
        let asked = self.out.requested_own() as isize;
        let below = self.users.get() == 0
            && self.looks.get() == pool.peak_updates.load(Ordering::Relaxed)
            && now <= all.seen.get() as isize
            && asked <= requested.seen.get() as isize;
        if below {
            all.low.set(now as usize);
            requested.low.set(asked as usize);
            self.grown.set(0);
        }
        below
    }

    /// Calls `visit` with each watermark, its current value, and whether it is one of requested bytes.
    fn each_watermark(&self, mut visit: impl FnMut(&Watermark, isize, bool)) {
        let out = self.out.get() as isize;
        let [all, requested, plain] = &self.watermarks;
        visit(all, out, false);
        visit(requested, self.out.requested_own() as isize, true);
        let mut users = self.users.get();
        if users == 0 {
            return;
        }
        let mut rest = out;
        while users != 0 {
            let part = &self.clients[users.trailing_zeros() as usize];
            users &= users - 1;
            let in_use = part.in_use.get() as isize;
            visit(&part.watermark, in_use, false);
            rest -= in_use;
        }
        visit(plain, rest, false);
    }
}
