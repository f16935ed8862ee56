//! Spans: ranges of a pool's memory, and what is known of the blocks in them.
//!
//! | word | meaning |
//! |---|---|
//! | span | whole granules that are one thing: free, cut into blocks of one class (small), one block (large), or cut into spans of their own (fine), which are free or one block |
//! | block | what a caller holds |
//! | limbo | a block that was given back and cannot be had yet: it is being cleared, moved or watched |
//! | owner | a thread's heap, which alone hands out and takes back blocks of a small span; without one: who has the pool's lock |
//!
//! Contract: everything lies outside the pool's memory, in arenas that never go, and every field is an atomic: a reader
//! without the lock may see a span change under its eyes, never something that is no span. What a span is changes under
//! the lock of its pool only, between `begin` and `end` of its version, so that such a reader can tell (a sequence lock).
//! What its blocks are changes without that, each by its word (`cell`).

use crate::pool::arena::{Recycled, Recycler};
use crate::pool::cell::{self, Block, Cell, State};
use crate::pool::fine::Fine;
use crate::pool::heap::Heap;
use crate::pool::returns::{self, Collected, Queued};
use crate::pool::uses::Uses;
use crate::pool::{Pool, class};
use core::sync::atomic::{AtomicPtr, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

/// What a span is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(super) enum Kind {
    /// In no pool.
    None = 0,
    /// Cached, whole.
    Free = 1,
    /// Blocks of one class.
    Small = 2,
    /// One block.
    Large = 3,
    /// Other spans, smaller than a granule, of which it has a map.
    Fine = 4,
}

/// A number that is read without the lock.
#[derive(Debug, Default)]
pub(super) struct Word(AtomicUsize);

impl Word {
    pub const fn new(value: usize) -> Word {
        Word(AtomicUsize::new(value))
    }
    #[inline]
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
    #[inline]
    pub fn set(&self, value: usize) {
        self.0.store(value, Ordering::Relaxed);
    }
    /// Only one thread writes it; modulo 2^64.
    #[inline(always)]
    pub fn add(&self, more: usize) {
        self.set(self.get().wrapping_add(more));
    }
    /// The same.
    #[inline(always)]
    pub fn subtract(&self, less: usize) {
        self.set(self.get().wrapping_sub(less));
    }
}

/// A link to a span, or none.
#[derive(Debug, Default)]
pub(super) struct Link(AtomicPtr<Span>);

impl Link {
    pub const fn new() -> Link {
        Link(AtomicPtr::new(core::ptr::null_mut()))
    }
    #[inline]
    pub fn get(&self) -> Option<&'static Span> {
        // SAFETY: set from a reference to a span, and spans are never unmapped.
        unsafe { self.0.load(Ordering::Relaxed).as_ref() }
    }
    #[inline]
    pub fn set(&self, span: Option<&'static Span>) {
        self.0
            .store(span.map_or(core::ptr::null_mut(), |span| core::ptr::from_ref(span).cast_mut()), Ordering::Relaxed);
    }
}

/// A list of spans through their `next` and `previous`, the one put in last first. All zero is an empty one.
#[derive(Debug, Default)]
pub(super) struct List(Link);

impl List {
    /// An empty one.
    pub const fn new() -> List {
        List(Link::new())
    }
    #[inline]
    pub fn first(&self) -> Option<&'static Span> {
        self.0.get()
    }
    /// Puts a span in front that is in no such list.
    pub fn push(&self, span: &'static Span) {
        let next = self.first();
        span.next.set(next);
        span.previous.set(None);
        if let Some(next) = next {
            next.previous.set(Some(span));
        }
        self.0.set(Some(span));
    }
    /// Takes out a span that is in it.
    pub fn remove(&self, span: &'static Span) {
        let (next, previous) = (span.next.get(), span.previous.get());
        match previous {
            Some(previous) => previous.next.set(next),
            None => self.0.set(next),
        }
        if let Some(next) = next {
            next.previous.set(previous);
        }
    }
}

/// A span. All zero is one of kind None. On the first line what all threads read, on the second what the owner writes.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(super) struct Span {
    version: AtomicU32,
    kind: AtomicU32,
    pool: AtomicPtr<Pool>,
    pub start: Word,
    /// Usable bytes of a block.
    pub unit: Word,
    /// Small: 2^64 / unit, rounded up: finds a block's number without a division.
    pub reciprocal: Word,
    /// Small: the owner.
    heap: AtomicPtr<Heap>,
    /// Small: where the columns of its notes begin, for the owner.
    cells: Word,
    /// Number of blocks.
    pub count: Word,
    stack: Word,
    slacks: Word,
    /// Small: blocks from here on were never handed out.
    pub bump: Word,
    /// Small: blocks that were given back, number of indices on the stack.
    top: Word,
    pub class: Word,
    /// Small, the owner's: as many blocks on the stack make a free a rare one; 0: none does. Large: bytes that were asked for.
    pub edge: Word,
    /// Small: in the list of those with room; free: in a bin.
    pub next: Link,
    pub previous: Link,
    /// Small: the others of its owner; free: by age.
    pub older: Link,
    pub newer: Link,
    pub bytes: Word,
    notes: AtomicPtr<Notes>,
    /// Small: 1: no byte from `bump` on was ever handed out, so that it reads 0. Free: 1: it lies among the mixed (`books::lanes`).
    pub fresh: Word,
    /// Free, large: bytes at the end that were never handed out since they came from the device, and so read 0.
    pub clean: Word,
    /// Large: the block's.
    cell: Cell,
    /// What all of it came from: the number of a reservation of the device, for moving its pages (0: more than one), or the address of the
    /// record of a caller's piece.
    pub origin: Word,
    /// Free: when it came, ms; on a queue's shelf: the tick of its use.
    pub since: Word,
    recycled: AtomicPtr<Span>,
    pub queued: Queued,
    pub queue: Link,
    /// Of a pool on whose blocks devices work: after what its bytes are free.
    pub uses: Uses,
    /// Fine: the map.
    map: AtomicPtr<Fine>,
}

const _: () = assert!(size_of::<Span>() == 4 * 64);

// SAFETY: zero is valid for every field, and `recycled` serves the list only.
unsafe impl Recycled for Span {
    fn link(&self) -> &AtomicPtr<Span> {
        &self.recycled
    }
}

static SPANS: Recycler<Span> = Recycler::new();

/// The version of a span that is new, or lost its pages: none that a reader of what it was before can have seen.
static EPOCH: AtomicU32 = AtomicU32::new(2);

/// What spans and notes took that are not used lose their pages. Under no lock.
pub(super) fn vacate() {
    EPOCH.fetch_add(1 << 12, Ordering::Relaxed);
    SPANS.vacate(size_of::<Span>());
    for (class, notes) in NOTES.iter().enumerate() {
        notes.vacate(Notes::bytes(class));
    }
}

impl Span {
    /// A span of kind None. None: no memory.
    pub fn create() -> Option<&'static Span> {
        let span = SPANS.get()?;
        if span.version.load(Ordering::Relaxed) == 0 {
            span.version.store(EPOCH.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        Some(span)
    }

    /// Back to the others. Nothing leads to it any more but stale reads.
    pub fn release(&'static self) {
        self.change(|| self.kind.store(Kind::None as u32, Ordering::Relaxed));
        SPANS.put(self);
    }

    /// Runs `work`, which changes fields, so that readers without the lock notice.
    #[inline]
    pub fn change<R>(&self, work: impl FnOnce() -> R) -> R {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        // Orders the odd version before the fields, for the Acquire fence in `read`.
        fence(Ordering::Release);
        let result = work();
        // Pairs with the Acquire in `read`.
        self.version.store(version.wrapping_add(2), Ordering::Release);
        result
    }

    /// Runs `look`, which reads fields without the lock; None if they changed meanwhile, and then the result means
    /// nothing.
    #[inline]
    pub fn read<R>(&self, look: impl FnOnce() -> R) -> Option<R> {
        let version = self.version.load(Ordering::Acquire);
        let result = look();
        fence(Ordering::Acquire);
        (version & 1 == 0 && self.version.load(Ordering::Relaxed) == version).then_some(result)
    }

    pub fn kind(&self) -> Kind {
        match self.kind.load(Ordering::Relaxed) {
            1 => Kind::Free,
            2 => Kind::Small,
            3 => Kind::Large,
            4 => Kind::Fine,
            _ => Kind::None,
        }
    }
    pub fn set_kind(&self, kind: Kind) {
        self.kind.store(kind as u32, Ordering::Relaxed);
    }
    pub fn pool(&self) -> Option<&'static Pool> {
        // SAFETY: set from a reference to a pool, and those are never unmapped.
        unsafe { self.pool.load(Ordering::Relaxed).as_ref() }
    }
    pub fn set_pool(&self, pool: &'static Pool) {
        self.pool.store(core::ptr::from_ref(pool).cast_mut(), Ordering::Relaxed);
    }
    pub fn heap(&self) -> Option<&'static Heap> {
        // SAFETY: set from a reference to a heap, and those are never unmapped.
        unsafe { self.heap.load(Ordering::Relaxed).as_ref() }
    }
    /// Whether the heap owns it.
    #[inline(always)]
    pub fn is_of(&self, heap: &'static Heap) -> bool {
        core::ptr::eq(self.heap.load(Ordering::Relaxed), heap)
    }
    /// Free: whether it lies among those with uses on several queues.
    pub fn is_mixed(&self) -> bool {
        self.fresh.get() == 1
    }
    pub fn set_mixed(&self, mixed: bool) {
        self.fresh.set(usize::from(mixed));
    }
    /// Large, of a pool on whose blocks devices work: whether strict mode's pattern is in a block that came back.
    pub fn is_spoilt(&self) -> bool {
        self.fresh.get() == 2
    }
    pub fn set_spoilt(&self, spoilt: bool) {
        self.fresh.set(if spoilt { 2 } else { 0 });
    }
    /// Large or free, of a pool on whose blocks devices work: whether it still has to be cleared before anybody may have it.
    pub fn is_uncleared(&self) -> bool {
        self.fresh.get() == 3
    }
    pub fn set_uncleared(&self, uncleared: bool) {
        self.fresh.set(if uncleared { 3 } else { 0 });
    }
    fn map(&self) -> Option<&'static Fine> {
        // SAFETY: NULL, or set from a reference to a map, and those are never unmapped.
        unsafe { self.map.load(Ordering::Relaxed).as_ref() }
    }
    /// Fine: gets a map; None: has it no more. What it had.
    pub fn set_map(&self, map: Option<&'static Fine>) -> Option<&'static Fine> {
        let old = self.map();
        let map = map.map_or(core::ptr::null_mut(), |map| core::ptr::from_ref(map).cast_mut());
        self.map.store(map, Ordering::Relaxed);
        old
    }
    /// Fine: the span of its map that contains the address.
    pub fn within(&self, address: usize) -> Option<&'static Span> {
        self.map()?.get(address.wrapping_sub(self.start.get()))
    }
    /// Fine: notes in its map where a span begins, and how long it is.
    pub fn note(&self, start: usize, bytes: usize, span: &'static Span) {
        if let Some(map) = self.map() {
            map.put(start - self.start.get(), bytes, span);
        }
    }
    pub fn set_heap(&self, heap: Option<&'static Heap>) {
        let heap = heap.map_or(core::ptr::null_mut(), |heap| core::ptr::from_ref(heap).cast_mut());
        self.heap.store(heap, Ordering::Relaxed);
    }
    /// A number that changes whenever what the span is does; odd: it changes now.
    pub fn version(&self) -> u32 {
        self.version.load(Ordering::Acquire)
    }
    pub fn is_queued(&self) -> bool {
        self.queued.is()
    }
    /// Small: the number of the block that starts so many bytes into the span; None if none does. At most `count`: behind the last block may
    /// lie bytes that make none; what is known of those is that they never were one. Offsets that do not lie in the span may give any number.
    #[inline(always)]
    pub fn index_at(&self, offset: usize) -> Option<usize> {
        let reciprocal = self.reciprocal.get();
        let product = offset as u128 * reciprocal as u128;
        ((product as usize) < reciprocal).then_some((product >> 64) as usize)
    }
    pub fn end(&self) -> usize {
        self.start.get() + self.bytes.get()
    }
    pub fn is(&self, other: &Span) -> bool {
        core::ptr::eq(self, other)
    }
    pub fn notes(&self) -> Option<&'static Notes> {
        // SAFETY: set from a reference to notes, and those are never unmapped.
        unsafe { self.notes.load(Ordering::Relaxed).as_ref() }
    }
    pub fn set_notes(&self, notes: Option<&'static Notes>) {
        self.notes.store(
            notes.map_or(core::ptr::null_mut(), |notes| core::ptr::from_ref(notes).cast_mut()),
            Ordering::Relaxed,
        );
        let columns = notes.map(Notes::columns).unwrap_or_default();
        self.cells.set(columns.cells);
        self.stack.set(columns.stack);
        self.slacks.set(columns.slacks);
    }

    // ---- blocks ----

    /// What is known of a block. Without the lock: inside `read`, with fields that an earlier `read` found to belong
    /// together.
    pub fn block(&self, index: usize) -> Block {
        let Some(notes) = self.notes() else {
            let word = self.cell.get();
            let requested = self.edge.get();
            return Block { state: word.state(), alignment: word.alignment(), requested, tag: word.tag() };
        };
        let columns = notes.columns();
        let word = columns.cell(index).get();
        let slack = match word.state() {
            State::Store => columns.slack(index).load(Ordering::Relaxed) as usize,
            _ => word.slack(),
        };
        let requested = self.unit.get().saturating_sub(slack);
        Block { state: word.state(), alignment: word.alignment(), requested, tag: word.tag() }
    }

    /// Writes what is known of a block. The owner does, or who has the block.
    pub fn set_block(&self, index: usize, block: Block) {
        let Some(notes) = self.notes() else {
            self.edge.set(block.requested);
            self.cell.set(cell::Word::of(block, 0));
            return;
        };
        let (columns, slack) = (notes.columns(), self.unit.get() - block.requested);
        columns.slack(index).store(slack as u16, Ordering::Relaxed);
        columns.cell(index).set(cell::Word::of(block, slack));
    }

    /// The word of a block.
    pub fn cell_of(&self, index: usize) -> &Cell {
        self.notes().map_or(&self.cell, |notes| notes.columns().cell(index))
    }

    /// Changes the state of a block from one to another; false if it is not in the first.
    pub fn exchange(&self, index: usize, from: State, to: State) -> bool {
        self.cell_of(index).exchange(from, to)
    }

    /// The word of a block, for a thread that does not own the span; None: it has no such block.
    #[inline]
    pub fn shared_cell(&self, index: usize) -> Option<&'static Cell> {
        let notes = self.notes()?;
        // 0 blocks: they lost their pages meanwhile.
        (index < notes.blocks.get()).then(|| notes.columns().cell(index))
    }

    /// Changes the state of a live block, of which `cell` said `word`, without the lock. `version`: of the span when the block was found in it.
    #[inline]
    pub fn claim(&self, version: u32, cell: &Cell, word: cell::Word, to: State) -> bool {
        if !cell.change(word, to) {
            return false;
        }
        // A span with a live block stays what it is. It did not: then the address had been given back before, and that state was another
        // block's, which gets it back.
        let same = self.version() == version;
        if !same {
            cell.exchange(to, word.state());
        }
        same
    }

    /// Small: no block was ever handed out.
    pub fn start_over(&self) {
        self.bump.set(0);
        self.top.set(0);
    }

    /// Small: blocks that are live, in limbo or wait for being collected.
    pub fn taken(&self) -> usize {
        self.bump.get() - self.top.get()
    }

    /// Small: there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bump.get() == self.top.get()
    }

    /// Small: blocks that were given back and can be had.
    pub fn room(&self) -> usize {
        self.top.get()
    }

    /// Small: no block can be had.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.top.get() == 0 && self.bump.get() == self.count.get()
    }

    /// Small: a block that can be had, the one given back last first; None: it is full. The owner calls.
    #[inline(always)]
    pub fn pop(&self) -> Option<Popped> {
        let top = self.top.get();
        let index = if top == 0 {
            let index = self.bump.get();
            if index == self.count.get() {
                return None;
            }
            self.bump.set(index + 1);
            index
        } else {
            self.top.set(top - 1);
            self.stack(top - 1).load(Ordering::Relaxed).into()
        };
        Some(Popped { index, first: top == 0 })
    }

    /// Small: where a block begins.
    #[inline(always)]
    pub fn address_of(&self, index: usize, unit: usize) -> usize {
        self.start.get().wrapping_add(index.wrapping_mul(unit))
    }

    /// Small: the owner puts a block on the stack of those that can be had. How many there are now.
    #[inline(always)]
    pub fn push(&self, index: usize) -> usize {
        let top = self.top.get();
        self.stack(top).store(index as u16, Ordering::Relaxed);
        self.top.set(top + 1);
        top + 1
    }

    /// Small: the owner hands a block out, which has `unit` bytes.
    #[inline(always)]
    pub fn begin_block(&self, index: usize, unit: usize, block: Block) {
        let slack = unit.wrapping_sub(block.requested);
        if block.state == State::Store {
            self.own_slack(index).store(slack as u16, Ordering::Relaxed);
        }
        self.own_cell(index).set(cell::Word::of(block, slack));
    }

    /// Small: the owner ends a live block, with a plain store; what it was, and how many of its usable bytes nobody had asked for. None: it
    /// is not so.
    #[inline(always)]
    pub fn end_block(&self, index: usize, is_right: impl FnOnce(cell::Word) -> bool) -> Option<(cell::Word, usize)> {
        let cell = self.own_cell(index);
        let word = cell.get();
        if !is_right(word) {
            return None;
        }
        cell.set_state(word, State::Freed);
        let slack = match word.state() {
            State::Store => self.own_slack(index).load(Ordering::Relaxed) as usize,
            _ => word.slack(),
        };
        Some((word, slack))
    }

    #[inline(always)]
    fn own_cell(&self, index: usize) -> &'static Cell {
        // SAFETY: the owner's index is below `count`, for so many cells have the notes that `set_notes` took this from; they are never
        // unmapped.
        unsafe { &*(self.cells.get() as *const Cell).add(index) }
    }
    #[inline(always)]
    fn own_slack(&self, index: usize) -> &'static AtomicU16 {
        // SAFETY: as in `own_cell`.
        unsafe { &*(self.slacks.get() as *const AtomicU16).add(index) }
    }
    #[inline(always)]
    fn stack(&self, place: usize) -> &'static AtomicU16 {
        // SAFETY: as in `own_cell`: no more indices lie on the stack than there are blocks.
        unsafe { &*(self.stack.get() as *const AtomicU16).add(place) }
    }

    /// Small: lets the owner know of a block in limbo; see `returns`.
    pub fn announce(&self, index: usize, queue_up: impl FnOnce()) {
        let Some(notes) = self.notes() else { return };
        let columns = notes.columns();
        returns::announce(columns.returned(index / 64), index % 64, columns.cell(index), queue_up);
    }

    /// Small: takes the returned blocks back, as their owner.
    pub fn collect(&self) -> Collected {
        let mut all = Collected::default();
        let Some(notes) = self.notes() else { return all };
        let columns = notes.columns();
        for word in 0..self.count.get().div_ceil(64) {
            let first = word * 64;
            let push = |bit| {
                self.push(first + bit);
            };
            returns::collect(columns.returned(word), |bit| columns.cell(first + bit), push, &mut all);
        }
        all
    }
}

/// A block that is about to be handed out.
pub(super) struct Popped {
    pub index: usize,
    /// It never was.
    pub first: bool,
}

/// What is known of the blocks of a small span; behind this head lie as many cells as a span of its class has blocks at
/// most, and one more.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Notes {
    recycled: AtomicPtr<Notes>,
    /// How many blocks they have cells for; never changes once they were made.
    blocks: Word,
}

// SAFETY: zero is valid, and `recycled` serves the list only.
unsafe impl Recycled for Notes {
    fn link(&self) -> &AtomicPtr<Notes> {
        &self.recycled
    }
}

static NOTES: [Recycler<Notes>; class::COUNT] = [const { Recycler::new() }; class::COUNT];

/// Bytes of a block's entries: cell, place on the stack, slack. Behind the cells a bit for each block.
const ENTRY_BYTES: usize = 8 + 2 + 2;

impl Notes {
    /// Notes for a span of a class. None: no memory.
    pub fn create(class: usize) -> Option<&'static Notes> {
        let notes = NOTES[class].get_sized(Notes::bytes(class))?;
        notes.blocks.set(Notes::places(class));
        Some(notes)
    }
    /// Back to the others of the class.
    pub fn release(&'static self, class: usize) {
        NOTES[class].put(self);
    }
    /// Bytes of the notes of a class.
    pub fn bytes(class: usize) -> usize {
        size_of::<Notes>() + Notes::places(class).div_ceil(64) * 8 + Notes::places(class) * ENTRY_BYTES
    }
    /// One for each block, and one for the bytes behind them.
    fn places(class: usize) -> usize {
        class::blocks(class) + 1
    }
    #[inline]
    fn columns(&'static self) -> Columns {
        let (cells, blocks) = (core::ptr::from_ref(self).wrapping_add(1) as usize, self.blocks.get());
        let bits = cells + blocks * size_of::<Cell>();
        let stack = bits + blocks.div_ceil(64) * size_of::<u64>();
        Columns { cells, bits, stack, slacks: stack + blocks * size_of::<u16>(), blocks }
    }
    /// As if no block had ever been handed out.
    pub fn clear(&'static self) {
        let columns = self.columns();
        for index in 0..columns.blocks {
            columns.cell(index).clear();
        }
        for word in 0..columns.blocks.div_ceil(64) {
            columns.returned(word).store(0, Ordering::Relaxed);
        }
    }
}

/// Where the columns of notes lie, one behind the other.
#[derive(Clone, Copy, Default)]
struct Columns {
    cells: usize,
    bits: usize,
    stack: usize,
    slacks: usize,
    blocks: usize,
}

impl Columns {
    /// A reader without the lock may come with an index of other notes; its result is then thrown away, but it must not lead out of these.
    #[inline]
    fn cut(&self, index: usize) -> usize {
        // 0 blocks: they lost their pages meanwhile.
        index.min(self.blocks.saturating_sub(1))
    }
    fn cell(&self, index: usize) -> &'static Cell {
        // SAFETY: `Notes::columns` laid them out in memory that is never unmapped, the index was cut to their length, and columns of wider
        // entries come first, so that each is aligned. They hold atomics only.
        unsafe { &*(self.cells as *const Cell).add(self.cut(index)) }
    }
    fn slack(&self, index: usize) -> &'static AtomicU16 {
        // SAFETY: as in `cell`.
        unsafe { &*(self.slacks as *const AtomicU16).add(self.cut(index)) }
    }
    /// A word of the bits of returned blocks.
    fn returned(&self, word: usize) -> &'static AtomicU64 {
        let word = word.min(self.blocks.div_ceil(64).saturating_sub(1));
        // SAFETY: as in `cell`.
        unsafe { &*(self.bits as *const AtomicU64).add(word) }
    }
}
