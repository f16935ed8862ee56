//! Heaps: what one thread has of one pool. It hands out and takes back small blocks of the spans that it owns with plain loads and
//! stores: no lock, no atomic read-modify-write.
//!
//! | who | may change |
//! |---|---|
//! | the heap's thread, inside the library | the heap, and what its spans know of their blocks |
//! | a thread that is alone (`thread::alone`), or the child of a fork | the same, of any heap |
//! | who has the pool's lock | `next`, `pending`, `pool`, and spans without an owner |
//!
//! Besides, a heap keeps the large block that its thread gave back last, for the next request of the same size.
//!
//! A block that another thread gives back is marked, in its state and as a bit of its span, and collected by the owner when it runs out of
//! blocks: see `foreign`. What is counted here is summed up when somebody asks; peaks are looked at whenever the heap has moved by half of
//! what a thread may keep. Ideas: pages owned by threads and upkeep when a list is dry from mimalloc, bookkeeping outside the memory from
//! jemalloc and snmalloc.

use crate::pool::arena::{Recycled, Recycler};
use crate::pool::books::{Books, Placed, Want};
use crate::pool::client::{CLIENTS, Tally};
use crate::pool::span::{Block, Kind, Link, List, Span, State, Word};
use crate::pool::{Pool, class, foreign, table};
use crate::sys::os;
use crate::thread::{self, Critical, Thread};
use core::sync::atomic::{AtomicPtr, Ordering};

/// What a thread has of a pool. All zero is one of no thread.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Heap {
    // What other threads read, and hardly anybody writes.
    pool: AtomicPtr<Pool>,
    thread: AtomicPtr<Thread>,
    /// The pool's other heaps.
    next: AtomicPtr<Heap>,
    /// The thread's other heaps.
    sibling: AtomicPtr<Heap>,
    /// Spans with blocks to be collected, that came by the pool.
    pub pending: Link,
    recycled: AtomicPtr<Heap>,
    /// Bytes of empty spans that it keeps at most, and by how much it moves between two looks at the peaks.
    keep: Word,
    apart: Line,
    // What the thread writes.
    /// Blocks handed out here, and given back here, also those of spans of other heaps, by client.
    clients: [Counter; CLIENTS],
    zero_skipped: Word,
    /// Usable bytes that all clients have of it, modulo 2^64.
    in_use: Word,
    /// The peaks were looked at when `in_use` was so much more than this, modulo 2^64.
    low: Word,
    /// Bytes of empty spans that were ever handed out.
    empty_bytes: Word,
    /// A large block that was given back here, in a span of its own; and how often one was.
    large: Link,
    kept: Word,
    owned: Link,
    /// Spans with room, the one to take from first.
    room: [List; class::COUNT],
    /// Empty spans among them.
    empty: [Word; class::COUNT],
    /// Blocks handed out by class, large ones last.
    handed: [Word; class::COUNT + 1],
}

/// A [`Tally`] that others may read.
#[derive(Debug, Default)]
struct Counter {
    in_use: Word,
    requested: Word,
    allocated: Word,
    freed: Word,
}

impl Counter {
    fn read(&self) -> Tally {
        let word = |word: &Word| word.get() as u64;
        Tally {
            in_use: word(&self.in_use),
            requested: word(&self.requested),
            allocated: word(&self.allocated),
            freed: word(&self.freed),
        }
    }

    fn clear(&self) {
        for word in [&self.in_use, &self.requested, &self.allocated, &self.freed] {
            word.set(0);
        }
    }
}

/// Large blocks given back between two looks at what the pool should give back to the device.
const UPKEEP: usize = 64;

/// Keeps what lies behind it off the line of what lies before it.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Line;

// SAFETY: zero is valid for every field, and `recycled` serves the list only.
unsafe impl Recycled for Heap {
    fn link(&self) -> &AtomicPtr<Heap> {
        &self.recycled
    }
}

static HEAPS: Recycler<Heap> = Recycler::new();

/// What a pool and its heaps counted.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    pub clients: [Tally; CLIENTS],
    pub zero_skipped: u64,
    /// Blocks that heaps handed out.
    pub hits: u64,
    pub heaps: u64,
}

impl Counts {
    /// Of all clients.
    pub fn all(&self) -> Tally {
        let mut all = Tally::default();
        self.clients.iter().for_each(|tally| all.add(tally));
        all
    }
}

fn pointer<T>(object: Option<&'static T>) -> *mut T {
    object.map_or(core::ptr::null_mut(), |object| core::ptr::from_ref(object).cast_mut())
}

impl Heap {
    /// The heap of a thread for a pool, if it has one.
    #[inline]
    fn of(thread: &'static Thread, pool: &'static Pool) -> Option<&'static Heap> {
        let at = thread.heap(pool.number());
        // SAFETY: 0, or what `adopt` stored: a heap, and those are never unmapped.
        let heap = unsafe { (at as *const Heap).as_ref() };
        // It may be another thread's by now, or of another pool with the same remainder.
        match heap {
            Some(heap) if heap.is_of(thread) && core::ptr::eq(heap.pool.load(Ordering::Relaxed), pool) => Some(heap),
            _ => Heap::find(thread, pool),
        }
    }

    #[cold]
    #[inline(never)]
    fn find(thread: &'static Thread, pool: &'static Pool) -> Option<&'static Heap> {
        let mut at = thread.first_heap() as *const Heap;
        // SAFETY: as in `of`; the links lead to heaps of this thread.
        while let Some(heap) = unsafe { at.as_ref() } {
            if core::ptr::eq(heap.pool.load(Ordering::Relaxed), pool) {
                thread.set_heap(pool.number(), at as usize);
                return Some(heap);
            }
            at = heap.sibling.load(Ordering::Relaxed);
        }
        None
    }

    /// The same, made if need be. None: there is no memory for it, the pool was released, or it has none.
    #[cold]
    #[inline(never)]
    pub fn of_or_new(thread: &'static Thread, pool: &'static Pool) -> Option<&'static Heap> {
        if !pool.has_heaps() {
            return None;
        }
        if let Some(heap) = Heap::of(thread, pool) {
            return Some(heap);
        }
        let heap = HEAPS.get()?;
        thread::on_exit(end_of_thread);
        let mut books = pool.books.lock();
        if books.retired {
            drop(books);
            HEAPS.put(heap);
            return None;
        }
        heap.pool.store(core::ptr::from_ref(pool).cast_mut(), Ordering::Relaxed);
        heap.keep.set(books.settings.thread_cache);
        heap.low.set(0usize.wrapping_sub(books.settings.thread_cache / 2));
        heap.next.store(pointer(books.heaps.replace(heap)), Ordering::Relaxed);
        books.figures.metadata_bytes += size_of::<Heap>() as u64;
        drop(books);
        heap.sibling.store(thread.first_heap() as *mut Heap, Ordering::Relaxed);
        heap.thread.store(core::ptr::from_ref(thread).cast_mut(), Ordering::Release);
        thread.set_first_heap(core::ptr::from_ref(heap) as usize);
        thread.set_heap(pool.number(), core::ptr::from_ref(heap) as usize);
        Some(heap)
    }

    /// Whether it is the thread's.
    #[inline]
    pub fn is_of(&self, thread: &'static Thread) -> bool {
        core::ptr::eq(self.thread.load(Ordering::Relaxed), thread)
    }

    /// Whether it is of the pool.
    #[inline]
    pub fn is_in(&self, pool: &'static Pool) -> bool {
        core::ptr::eq(self.pool.load(Ordering::Relaxed), pool)
    }

    fn pool(&self) -> Option<&'static Pool> {
        // SAFETY: NULL or a pool, and those are never unmapped.
        unsafe { self.pool.load(Ordering::Relaxed).as_ref() }
    }

    /// The next heap of its pool. Under the pool's lock.
    pub fn next(&self) -> Option<&'static Heap> {
        // SAFETY: NULL or a heap.
        unsafe { self.next.load(Ordering::Relaxed).as_ref() }
    }

    /// Adds what it counted. Another thread's counts are of some moment of the call.
    pub fn add_to(&self, counts: &mut Counts) {
        for (sum, counter) in counts.clients.iter_mut().zip(&self.clients) {
            let tally = counter.read();
            sum.add(&tally);
            counts.hits += tally.allocated;
        }
        counts.zero_skipped += self.zero_skipped.get() as u64;
        counts.heaps += 1;
    }

    /// Blocks that it handed out, of a class, or large ones.
    pub fn handed(&self, class: usize) -> u64 {
        self.handed[class].get() as u64
    }

    /// Whether it has room in a span of the class.
    pub fn has_room(&self, class: usize) -> bool {
        self.room[class].first().is_some()
    }

    // ---- blocks ----

    /// A block of a class, from a span that has room; with it whether its bytes are known to read 0.
    #[inline]
    fn take(&self, class: usize, block: Block, zeroed: bool) -> Option<Placed> {
        let span = self.room[class].first()?;
        // Spans in the list have room.
        let (index, first) = span.pop()?;
        let taken = span.taken.get();
        if taken == 0 {
            self.forget_empty(span, class, first);
        }
        span.begin_block(index, block);
        span.taken.set(taken + 1);
        if taken + 1 == span.count.get() {
            self.room[class].remove(span);
        }
        self.handed[class].set(self.handed[class].get() + 1);
        let unit = span.unit.get();
        self.count_taken(unit, block);
        let zero = first && span.fresh.get() == 1;
        if zeroed && zero {
            self.zero_skipped.set(self.zero_skipped.get() + block.requested);
        }
        Some(Placed::new(span.start.get() + index * unit, zero))
    }

    /// The large block that it keeps, if it has the size that is wanted.
    fn take_large(&self, want: &Want) -> Option<Placed> {
        let span = self.large.get()?;
        let fits = span.unit.get() == want.unit && span.bytes.get() == want.span_bytes;
        if !fits || !span.start.get().is_multiple_of(want.span_alignment) {
            return None;
        }
        self.large.set(None);
        span.set_block(0, want.block);
        self.handed[class::COUNT].set(self.handed[class::COUNT].get() + 1);
        self.count_taken(want.unit, want.block);
        Some(Placed::new(span.start.get(), false))
    }

    /// Keeps a large block, which is free for nobody else; the one that it kept before.
    fn keep_large(&self, span: &'static Span) -> Option<&'static Span> {
        let before = self.large.get();
        self.large.set(Some(span));
        self.kept.set(self.kept.get().wrapping_add(1));
        before
    }

    /// Whether it has moved so far that the peaks must be looked at.
    #[inline]
    fn has_moved(&self) -> bool {
        self.in_use.get().wrapping_sub(self.low.get()) > self.keep.get()
    }

    /// Looks at the peaks if it has moved so far.
    #[inline]
    fn follow(&self, pool: &'static Pool) {
        if self.has_moved() {
            self.look_at_peaks(pool);
        }
    }

    #[cold]
    #[inline(never)]
    fn look_at_peaks(&self, pool: &'static Pool) {
        self.settle_at();
        pool.books.lock().peak();
    }

    /// The peaks were looked at.
    fn settle_at(&self) {
        self.low.set(self.in_use.get().wrapping_sub(self.keep.get() / 2));
    }

    /// Takes back a block of a span of this heap; the bytes that were asked for. None, and nothing is changed: it is not the start of a live
    /// block of that kind.
    #[inline]
    fn give(&self, span: &'static Span, address: usize, state: State) -> Option<usize> {
        let index = span.index_at(address - span.start.get())?;
        let block = span.end_block(index, state)?;
        let taken = span.taken.get();
        span.push(index);
        span.taken.set(taken - 1);
        self.count_returned(span.unit.get(), block);
        if taken == span.count.get() || taken == 1 {
            self.edge(span);
        }
        Some(block.requested)
    }

    #[inline]
    fn count_taken(&self, unit: usize, block: Block) {
        let counter = &self.clients[block.client().index()];
        counter.allocated.set(counter.allocated.get() + 1);
        counter.requested.set(counter.requested.get().wrapping_add(block.requested));
        counter.in_use.set(counter.in_use.get().wrapping_add(unit));
        self.in_use.set(self.in_use.get().wrapping_add(unit));
    }

    /// Counts a block that this thread gave back, also to a span of another heap.
    #[inline]
    pub fn count_returned(&self, unit: usize, block: Block) {
        let counter = &self.clients[block.client().index()];
        counter.freed.set(counter.freed.get() + 1);
        counter.requested.set(counter.requested.get().wrapping_sub(block.requested));
        counter.in_use.set(counter.in_use.get().wrapping_sub(unit));
        self.in_use.set(self.in_use.get().wrapping_sub(unit));
        if self.has_moved() {
            self.settle_at();
        }
    }

    /// A span that was full has room, or has no block left.
    fn edge(&self, span: &'static Span) {
        let class = span.class.get();
        // Before it had one block more at least; a span of one block is both.
        if span.taken.get() + 1 == span.count.get() {
            self.room[class].push(span);
        }
        if span.taken.get() == 0 {
            self.note_empty(span, class);
            if self.empty[class].get() > 1 || self.empty_bytes.get() > self.keep.get() {
                self.give_back_empty(span);
            }
        }
    }

    /// A span has no block left.
    fn note_empty(&self, span: &'static Span, class: usize) {
        self.empty[class].set(self.empty[class].get() + 1);
        self.empty_bytes.set(self.empty_bytes.get() + used_bytes(span, false));
    }

    /// A span is empty no more, or not this heap's. `first`: see [`used_bytes`].
    #[inline]
    fn forget_empty(&self, span: &'static Span, class: usize, first: bool) {
        self.empty[class].set(self.empty[class].get() - 1);
        self.empty_bytes.set(self.empty_bytes.get() - used_bytes(span, first));
    }

    /// Gives empty spans to the pool: those of the class but `keep`, and all others if they are too much together.
    #[cold]
    #[inline(never)]
    fn give_back_empty(&self, keep: &'static Span) {
        let Some(pool) = self.pool() else { return };
        let mut books = pool.books.lock();
        let much = self.empty_bytes.get() > self.keep.get();
        for class in 0..class::COUNT {
            if class != keep.class.get() && !much {
                continue;
            }
            self.each_empty(class, |span| {
                // One that waits for being collected may be in the list of this heap.
                if !span.is(keep) && !span.is_queued() {
                    self.disown(&mut books, span);
                }
            });
        }
        pool.settle(books, usize::MAX);
    }

    fn each_empty(&self, class: usize, mut visit: impl FnMut(&'static Span)) {
        let mut next = if self.empty[class].get() > 0 { self.room[class].first() } else { None };
        while let Some(span) = next {
            next = span.next.get();
            if span.taken.get() == 0 {
                visit(span);
            }
        }
    }

    // ---- spans ----

    /// Owns a span without an owner, which is in no list, from now on. Under the pool's lock.
    pub fn own(&'static self, span: &'static Span) {
        let class = span.class.get();
        span.older.set(None);
        let newer = self.owned.get();
        span.newer.set(newer);
        if let Some(newer) = newer {
            newer.older.set(Some(span));
        }
        self.owned.set(Some(span));
        if span.taken.get() < span.count.get() {
            self.room[class].push(span);
        }
        debug_assert!(span.taken.get() > 0, "it is owned for the sake of a block");
        span.set_heap(Some(self));
    }

    /// Gives a span up. Under the pool's lock.
    fn disown(&self, books: &mut Books, span: &'static Span) {
        let class = span.class.get();
        if span.taken.get() < span.count.get() {
            self.room[class].remove(span);
        }
        if span.taken.get() == 0 {
            self.forget_empty(span, class, false);
        }
        match span.older.get() {
            Some(older) => older.newer.set(span.newer.get()),
            None => self.owned.set(span.newer.get()),
        }
        if let Some(newer) = span.newer.get() {
            newer.older.set(span.older.get());
        }
        span.set_heap(None);
        books.receive(span);
    }

    /// Collects the blocks of its spans that other threads gave back. Its thread's, under no lock.
    fn collect(&self, pool: &'static Pool) {
        if pool.returned.is_empty() && self.pending.get().is_none() {
            return;
        }
        let mut books = pool.books.lock();
        let pending = self.take_pending(pool, &mut books);
        drop(books);
        let wrong = self.collect_all(pool, pending);
        if wrong > 0 {
            pool.books.lock().figures.misuse_count += wrong as u64;
        }
    }

    /// The list of its spans with blocks to be collected. Under the pool's lock.
    fn take_pending(&self, pool: &'static Pool, books: &mut Books) -> Option<&'static Span> {
        books.sort_returned(pool);
        let first = self.pending.get();
        self.pending.set(None);
        first
    }

    /// Collects the spans of such a list; how many blocks were given back twice.
    fn collect_all(&self, pool: &'static Pool, mut next: Option<&'static Span>) -> usize {
        let mut wrong = 0;
        while let Some(span) = next {
            next = span.queue.get();
            wrong += self.collect_one(pool, span);
        }
        wrong
    }

    fn collect_one(&self, pool: &'static Pool, span: &'static Span) -> usize {
        let was_full = span.taken.get() == span.count.get();
        let was_empty = span.taken.get() == 0;
        let (blocks, wrong) = foreign::collect(pool, span);
        if blocks > 0 {
            let class = span.class.get();
            if was_full {
                self.room[class].push(span);
            }
            if span.taken.get() == 0 && !was_empty {
                self.note_empty(span, class);
            }
        }
        wrong
    }

    /// Gives up all its spans, or those that are empty; true if there were any. Under the pool's lock; the caller is its thread, or alone.
    fn flush(&self, pool: &'static Pool, books: &mut Books, all: bool) -> bool {
        let pending = self.take_pending(pool, books);
        books.figures.misuse_count += self.collect_all(pool, pending) as u64;
        let mut any = false;
        if let Some(span) = self.large.get() {
            self.large.set(None);
            books.end_free(span, 0, os::coarse_ms());
            any = true;
        }
        let mut next = self.owned.get();
        while let Some(span) = next {
            next = span.newer.get();
            if all || span.taken.get() == 0 && !span.is_queued() {
                self.disown(books, span);
                any = true;
            }
        }
        any
    }

    /// The end of a heap: its spans and counts are the pool's. Under the pool's lock; the caller is its thread, or alone.
    fn end(&'static self, pool: &'static Pool, books: &mut Books) {
        self.flush(pool, books, true);
        let mut counts = Counts::default();
        self.add_to(&mut counts);
        books.add_counts(&counts);
        for (class, handed) in self.handed.iter().enumerate() {
            books.classes[class].add(handed.get() as u64, handed.get() as u64);
            handed.set(0);
        }
        self.clients.iter().for_each(Counter::clear);
        self.in_use.set(0);
        self.zero_skipped.set(0);
        debug_assert!(self.empty_bytes.get() == 0 && self.owned.get().is_none() && self.large.get().is_none());
        let mut at = books.heaps;
        if at.is_some_and(|first| core::ptr::eq(first, self)) {
            books.heaps = self.next();
        } else {
            while let Some(heap) = at {
                at = heap.next();
                if at.is_some_and(|next| core::ptr::eq(next, self)) {
                    heap.next.store(pointer(self.next()), Ordering::Relaxed);
                    break;
                }
            }
        }
        books.figures.metadata_bytes -= size_of::<Heap>() as u64;
        self.pool.store(core::ptr::null_mut(), Ordering::Relaxed);
    }

    /// Its thread forgets it. The caller is that thread, or alone.
    fn forget(&'static self) {
        // SAFETY: NULL or a record, and those are never freed.
        let Some(thread) = (unsafe { self.thread.load(Ordering::Relaxed).as_ref() }) else { return };
        let this = core::ptr::from_ref(self) as usize;
        let sibling = self.sibling.load(Ordering::Relaxed) as usize;
        if thread.first_heap() == this {
            thread.set_first_heap(sibling);
        } else {
            let mut at = thread.first_heap() as *const Heap;
            // SAFETY: as in `of`.
            while let Some(heap) = unsafe { at.as_ref() } {
                at = heap.sibling.load(Ordering::Relaxed);
                if at as usize == this {
                    heap.sibling.store(sibling as *mut Heap, Ordering::Relaxed);
                    break;
                }
            }
        }
        self.thread.store(core::ptr::null_mut(), Ordering::Relaxed);
        HEAPS.put(self);
    }
}

/// Bytes of an empty span that were ever handed out: what keeping it may cost. `first`: one block is to be left out, that was handed out
/// first just now.
#[inline]
fn used_bytes(span: &'static Span, first: bool) -> usize {
    (span.bump.get() - usize::from(first)) * span.unit.get()
}

/// A block from the calling thread's heap, for a request of a class. None: it has none, and the pool must be asked.
#[inline]
pub(super) fn allocate(pool: &'static Pool, class: usize, block: Block, zeroed: bool) -> Option<Placed> {
    let thread = thread::current();
    let _inside = Critical::enter(thread);
    let heap = Heap::of(thread, pool)?;
    let placed = heap.take(class, block, zeroed)?;
    heap.follow(pool);
    Some(placed)
}

/// A large block from the calling thread's heap. None: it keeps none of that size.
pub(super) fn allocate_large(pool: &'static Pool, want: &Want) -> Option<Placed> {
    let thread = thread::current();
    let _inside = Critical::enter(thread);
    let heap = Heap::of(thread, pool)?;
    let placed = heap.take_large(want)?;
    heap.follow(pool);
    Some(placed)
}

/// The same once blocks that other threads gave back have been collected; and the heap, for a span of its own.
#[cold]
#[inline(never)]
pub(super) fn allocate_collected(
    pool: &'static Pool,
    class: usize,
    block: Block,
    zeroed: bool,
) -> (Option<Placed>, Option<&'static Heap>) {
    let thread = thread::current();
    let _inside = Critical::enter(thread);
    let Some(heap) = Heap::of_or_new(thread, pool) else { return (None, None) };
    heap.collect(pool);
    let placed = heap.take(class, block, zeroed);
    heap.follow(pool);
    (placed, Some(heap))
}

/// Gives a block back that a heap takes: a small one of a span that some heap owns, or a large one that the thread's may keep. The bytes
/// that were asked for; None, and nothing is changed: it is no such block, or anything about it is unusual. `through`: the pool that was
/// passed.
#[inline]
pub(super) fn deallocate(through: Option<&'static Pool>, address: usize, state: State) -> Option<usize> {
    let thread = thread::current();
    let _inside = Critical::enter(thread);
    let span = table::get(address)?;
    let Some(heap) = span.heap() else { return give_large(thread, through, span, address, state) };
    if through.is_some_and(|pool| !heap.is_in(pool)) {
        return None;
    }
    if heap.is_of(thread) {
        return heap.give(span, address, state);
    }
    foreign::give(thread, span, address, state)
}

/// Gives a large block to the thread's heap, and the one that this kept before to the pool. As `deallocate`.
fn give_large(
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
    heap.count_returned(unit, block);
    let before = heap.keep_large(span);
    // Now and then also where the thread lives on what it keeps: what the pool does not need goes back in time.
    if before.is_some() || heap.kept.get() % UPKEEP == 0 {
        let mut books = pool.books.lock();
        let just = before.map_or(usize::MAX, |before| books.end_free(before, 0, os::coarse_ms()));
        pool.settle(books, just);
    }
    Some(block.requested)
}

/// The end of a thread: its spans are everybody's.
fn end_of_thread(thread: &'static Thread) {
    loop {
        // Whoever ends all heaps of a pool at this moment waits until this one is whole again.
        let inside = Critical::enter(thread::current());
        // SAFETY: as in `Heap::of`.
        let Some(heap) = (unsafe { (thread.first_heap() as *const Heap).as_ref() }) else { return };
        let pool = heap.pool();
        if let Some(pool) = pool {
            heap.end(pool, &mut pool.books.lock());
        }
        heap.forget();
        drop(inside);
        if let Some(pool) = pool {
            pool.settle(pool.books.lock(), usize::MAX);
        }
    }
}

/// All heaps of a pool give up their empty spans, or all spans, so that they can go back to the device or serve others. True: one did.
/// Called under no lock of the pool's: it waits until no other thread is inside the library, or, from inside, leaves them what they have.
#[cold]
pub(super) fn recall(pool: &'static Pool, all: bool) -> bool {
    with_all(pool, |books| {
        let mut any = false;
        let mut at = books.heaps;
        while let Some(heap) = at {
            at = heap.next();
            any |= heap.flush(pool, books, all);
        }
        any
    })
    .unwrap_or(false)
}

/// Ends all heaps of a pool that was released. Called as `recall`.
#[cold]
pub(super) fn end_all(pool: &'static Pool) {
    let ended = with_all(pool, |books| {
        while let Some(heap) = books.heaps {
            heap.end(pool, books);
            heap.forget();
        }
    });
    debug_assert!(ended.is_some(), "the last hold of a pool ends outside");
}

/// Runs `work` on the books while no other thread uses a heap of the pool.
fn with_all<R>(pool: &'static Pool, work: impl FnOnce(&mut Books) -> R) -> Option<R> {
    let thread = thread::current();
    {
        let mut books = pool.books.lock();
        let mut at = books.heaps;
        while let Some(heap) = at.filter(|heap| heap.is_of(thread)) {
            at = heap.next();
        }
        if at.is_none() {
            return Some(work(&mut books));
        }
    }
    // Where the library itself allocates from us, as a program's global allocator, it may be inside, and must not wait for others.
    (!thread.is_inside()).then(|| thread::alone(|| work(&mut pool.books.lock())))
}
