//! Spans: ranges of a pool's memory, and what is known of the blocks in them.
//!
//! | word | meaning |
//! |---|---|
//! | span | whole granules that are one thing: free, cut into blocks of one class (small), or one block (large) |
//! | block | what a caller holds |
//! | limbo | a block that was given back and cannot be had yet: it is being cleared, moved or watched |
//! | owner | a thread's heap, which alone hands out and takes back blocks of a small span; without one: who has the pool's lock |
//!
//! Contract: everything lies outside the pool's memory, in arenas that never go, and every field is an atomic: a reader
//! without the lock may see a span change under its eyes, never something that is no span. What a span is changes under
//! the lock of its pool only, between `begin` and `end` of its version, so that such a reader can tell (a sequence lock).
//! What its blocks are changes without that: each by its state byte, which is written last.

use crate::pool::arena::{self, Recycled, Recycler};
use crate::pool::client::Client;
use crate::pool::heap::Heap;
use crate::pool::{Pool, class};
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

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
}

/// What a block is; the low bits of its state byte, above them log2 of the alignment that was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum State {
    /// Not handed out since the span was cut.
    Never = 0,
    /// Live, raw.
    Raw = 1,
    /// Live, backs an array's store.
    Store = 2,
    /// Given back, can be had.
    Freed = 3,
    /// Given back, cannot be had yet.
    Limbo = 4,
    /// Given back by a thread that does not own the span: to be had once the owner has collected it.
    Returned = 5,
}

const STATE_BITS: u32 = 3;
const STATE_MASK: u8 = (1 << STATE_BITS) - 1;

/// A number that is read without the lock.
#[derive(Debug, Default)]
pub(super) struct Word(AtomicUsize);

impl Word {
    #[inline]
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
    #[inline]
    pub fn set(&self, value: usize) {
        self.0.store(value, Ordering::Relaxed);
    }
}

/// A link to a span, or none.
#[derive(Debug, Default)]
pub(super) struct Link(AtomicPtr<Span>);

impl Link {
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
        List(Link(AtomicPtr::new(core::ptr::null_mut())))
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

/// A span. All zero is one of kind None. On the first line what all threads read, behind it what the owner writes.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(super) struct Span {
    version: AtomicU32,
    kind: AtomicU32,
    pool: AtomicPtr<Pool>,
    pub start: Word,
    /// Usable bytes of a block.
    pub unit: Word,
    /// Small: 2^40 / unit, rounded up: finds a block's number without a division.
    pub reciprocal: Word,
    notes: AtomicPtr<Notes>,
    /// The same for the owner, who alone can rely on the two to belong together: where the columns begin, and how long they are.
    first: Word,
    blocks: Word,
    /// Small: the owner.
    heap: AtomicPtr<Heap>,
    /// Number of blocks.
    pub count: Word,
    pub bytes: Word,
    pub class: Word,
    /// Small: blocks from here on were never handed out.
    pub bump: Word,
    /// Small: blocks that were given back, number of indices on the stack.
    pub top: Word,
    /// Small: live blocks, those in limbo and those that wait for being collected.
    pub taken: Word,
    /// Small: in the list of those with room; free: in a bin.
    pub next: Link,
    pub previous: Link,
    /// Small: the others of its owner; free: by age.
    pub older: Link,
    pub newer: Link,
    /// Small: 1: no byte from `bump` on was ever handed out, so that it reads 0.
    pub fresh: Word,
    /// Free, large: bytes at the end that were never handed out since they came from the device, and so read 0.
    pub clean: Word,
    /// Large: the block's.
    requested: Word,
    tag: AtomicU64,
    /// The reservation of the device that all of it came from, for moving its pages; 0: more than one.
    pub origin: Word,
    /// Free: when it came, ms.
    pub since: Word,
    recycled: AtomicPtr<Span>,
    /// 1: in a list of spans with blocks to be collected. Written by whoever returns a block.
    queued: AtomicU32,
    state: AtomicU8,
    pub queue: Link,
}

// SAFETY: zero is valid for every field, and `recycled` serves the list only.
unsafe impl Recycled for Span {
    fn link(&self) -> &AtomicPtr<Span> {
        &self.recycled
    }
}

static SPANS: Recycler<Span> = Recycler::new();

impl Span {
    /// A span of kind None. None: no memory.
    pub fn create() -> Option<&'static Span> {
        SPANS.get()
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
    pub fn set_heap(&self, heap: Option<&'static Heap>) {
        let heap = heap.map_or(core::ptr::null_mut(), |heap| core::ptr::from_ref(heap).cast_mut());
        self.heap.store(heap, Ordering::Relaxed);
    }
    /// A number that changes whenever what the span is does; odd: it changes now.
    pub fn version(&self) -> u32 {
        self.version.load(Ordering::Acquire)
    }
    /// Notes that there are blocks to be collected; true for the one who then has to put it into the list.
    pub fn queue_up(&self) -> bool {
        // Sequentially consistent, as the bit that was set before and the looks of the collector: one of the two sees the other.
        self.queued.load(Ordering::SeqCst) == 0 && self.queued.swap(1, Ordering::SeqCst) == 0
    }
    /// Is in no list any more; before its blocks are collected.
    pub fn leave_queue(&self) {
        self.queued.swap(0, Ordering::SeqCst);
    }
    pub fn is_queued(&self) -> bool {
        self.queued.load(Ordering::SeqCst) != 0
    }
    /// Small: the number of the block that starts so many bytes into the span; None if none does.
    #[inline]
    pub fn index_at(&self, offset: usize) -> Option<usize> {
        // Exact for every offset in the span: they are below 2^19 and units at most 2^16, so the error of the reciprocal stays below one
        // block. Another number gives some index, and is seen not to be its block's.
        let index = ((offset as u64).wrapping_mul(self.reciprocal.get() as u64) >> 40) as usize;
        (index < self.count.get() && index.wrapping_mul(self.unit.get()) == offset).then_some(index)
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
        if let Some(notes) = notes {
            let cells = notes.cells();
            self.first.set(cells.first);
            self.blocks.set(cells.blocks);
        }
    }

    /// The cells, for the owner.
    #[inline]
    fn own_cells(&self) -> Cells {
        Cells { bits: 0, first: self.first.get(), blocks: self.blocks.get() }
    }

    /// What is known of a block. Without the lock: inside `read`, with fields that an earlier `read` found to belong
    /// together.
    pub fn block(&self, index: usize) -> Block {
        let Some(notes) = self.notes() else {
            let (state, shift) = unpack(self.state.load(Ordering::Relaxed));
            let (requested, tag) = (self.requested.get(), self.tag.load(Ordering::Relaxed));
            return Block { state, alignment: 1 << shift, requested, tag };
        };
        let cells = notes.cells();
        // Acquire pairs with the Release in `set_block`.
        let (state, shift) = unpack(cells.state(index).load(Ordering::Acquire));
        let slack = cells.slack(index).load(Ordering::Relaxed) as usize;
        let requested = self.unit.get().saturating_sub(slack);
        Block { state, alignment: 1 << shift, requested, tag: cells.tag(index).load(Ordering::Relaxed) }
    }

    /// Writes what is known of a block. The owner does, or who has the block.
    #[inline]
    pub fn set_block(&self, index: usize, block: Block) {
        let packed = block.state as u8 | (block.alignment.ilog2() as u8) << STATE_BITS;
        let Some(notes) = self.notes() else {
            self.requested.set(block.requested);
            self.tag.store(block.tag, Ordering::Relaxed);
            self.state.store(packed, Ordering::Release);
            return;
        };
        let cells = notes.cells();
        // Fits: a class is at most an eighth larger than the size rounded up to an alignment of at most 4 KiB.
        cells.slack(index).store((self.unit.get() - block.requested) as u16, Ordering::Relaxed);
        cells.tag(index).store(block.tag, Ordering::Relaxed);
        // Release pairs with the Acquire in `block`: whoever sees it live sees the rest.
        cells.state(index).store(packed, Ordering::Release);
    }

    /// Small: the owner hands a block out.
    #[inline]
    pub fn begin_block(&self, index: usize, block: Block) {
        let cells = self.own_cells();
        cells.slack(index).store((self.unit.get() - block.requested) as u16, Ordering::Relaxed);
        cells.tag(index).store(block.tag, Ordering::Relaxed);
        let packed = block.state as u8 | (block.alignment.trailing_zeros() as u8) << STATE_BITS;
        // As in `set_block`.
        cells.state(index).store(packed, Ordering::Release);
    }

    /// Changes the state of a block from one to another; false if it is not in the first.
    pub fn exchange(&self, index: usize, from: State, to: State) -> bool {
        let place = match self.notes() {
            Some(notes) => notes.cells().state(index),
            None => &self.state,
        };
        let packed = place.load(Ordering::Relaxed);
        let changed = packed & !STATE_MASK | to as u8;
        unpack(packed).0 == from && place.compare_exchange(packed, changed, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Changes the state of a live block as `exchange` does, without the lock. `version`: of the span when the block was found in it.
    pub fn claim(&self, version: u32, index: usize, from: State, to: State) -> bool {
        if !self.exchange(index, from, to) {
            return false;
        }
        // A span with a live block stays what it is. It did not: then the address had been given back before, and that state was another
        // block's, which gets it back.
        let same = self.version() == version;
        if !same {
            self.exchange(index, to, from);
        }
        same
    }

    /// Small: the owner ends a live block, with a plain store; what it was. None: it is not so.
    #[inline]
    pub fn end_block(&self, index: usize, from: State) -> Option<Block> {
        let cells = self.own_cells();
        let place = cells.state(index);
        let packed = place.load(Ordering::Relaxed);
        let (state, shift) = unpack(packed);
        if state != from {
            return None;
        }
        place.store(packed & !STATE_MASK | State::Freed as u8, Ordering::Relaxed);
        let requested = self.unit.get() - cells.slack(index).load(Ordering::Relaxed) as usize;
        Some(Block { state, alignment: 1 << shift, requested, tag: cells.tag(index).load(Ordering::Relaxed) })
    }

    /// Small: notes that a block was returned.
    pub fn set_returned(&self, index: usize) {
        if let Some(notes) = self.notes() {
            notes.cells().returned(index / 64).fetch_or(1 << (index % 64), Ordering::SeqCst);
        }
    }

    /// Small: takes the returned blocks back, as their owner.
    pub fn collect(&self) -> Collected {
        let mut all = Collected::default();
        let Some(notes) = self.notes() else { return all };
        for word in 0..self.count.get().div_ceil(64) {
            let place = notes.cells().returned(word);
            if place.load(Ordering::SeqCst) == 0 {
                continue;
            }
            let mut bits = place.swap(0, Ordering::SeqCst);
            while bits != 0 {
                let index = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                // One look: what is in limbo now may be returned at the next.
                match self.block(index).state {
                    State::Returned if self.exchange(index, State::Returned, State::Freed) => {
                        self.push(index);
                        all.blocks += 1;
                    }
                    State::Limbo => {
                        // Who returns it has not let go of the span yet.
                        self.set_returned(index);
                        all.later = true;
                    }
                    _ => all.wrong += 1,
                }
            }
        }
        self.taken.set(self.taken.get() - all.blocks);
        all
    }

    /// Small: puts an index on the stack of blocks that can be had.
    #[inline]
    pub fn push(&self, index: usize) {
        self.own_cells().stack(self.top.get()).store(index as u16, Ordering::Relaxed);
        self.top.set(self.top.get() + 1);
    }

    /// Small: an index that can be had, the one given back last first; the second is true if it was never handed out.
    #[inline]
    pub fn pop(&self) -> Option<(usize, bool)> {
        if let Some(top) = self.top.get().checked_sub(1) {
            self.top.set(top);
            return Some((self.own_cells().stack(top).load(Ordering::Relaxed) as usize, false));
        }
        let index = self.bump.get();
        (index < self.count.get()).then(|| {
            self.bump.set(index + 1);
            (index, true)
        })
    }
}

/// What was found among the blocks of a span that others gave back.
#[derive(Default)]
pub(super) struct Collected {
    /// Blocks that can be had again.
    pub blocks: usize,
    /// Notes of blocks that are not returned: they were given back twice at the same moment.
    pub wrong: usize,
    /// Somebody is about to return one more.
    pub later: bool,
}

/// What is known of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub state: State,
    /// As asked for.
    pub alignment: usize,
    /// Bytes asked for.
    pub requested: usize,
    /// Raw: what `Client::tag` makes of client, thread and site; store: the ledger's tag.
    pub tag: u64,
}

impl Block {
    /// Who asked for it; of a live block.
    pub fn client(&self) -> Client {
        if self.state == State::Store { Client::ARRAYS } else { Client::of_tag(self.tag).0 }
    }
}

fn unpack(packed: u8) -> (State, u32) {
    let state = match packed & STATE_MASK {
        1 => State::Raw,
        2 => State::Store,
        3 => State::Freed,
        4 => State::Limbo,
        5 => State::Returned,
        _ => State::Never,
    };
    (state, (packed >> STATE_BITS) as u32)
}

/// What is known of the blocks of a small span; behind this head lie as many cells as a span of its class has blocks at
/// most.
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

/// Bytes of a block's cells: tag, slack, index on the stack, state. In front of them a bit for each block.
const CELL_BYTES: usize = 8 + 2 + 2 + 1;

impl Notes {
    /// Notes for a span of a class. None: no memory.
    pub fn create(class: usize) -> Option<&'static Notes> {
        if let Some(notes) = NOTES[class].pop() {
            return Some(notes);
        }
        let at = arena::take(Notes::bytes(class), align_of::<Notes>())?;
        // SAFETY: zeroed memory, large enough, aligned, mapped for ever; zero is valid.
        let notes: &'static Notes = unsafe { at.cast::<Notes>().as_ref() };
        notes.blocks.set(class::blocks(class));
        Some(notes)
    }
    /// Back to the others of the class.
    pub fn release(&'static self, class: usize) {
        NOTES[class].put(self);
    }
    /// Bytes of the notes of a class.
    pub fn bytes(class: usize) -> usize {
        size_of::<Notes>() + class::blocks(class).div_ceil(64) * 8 + class::blocks(class) * CELL_BYTES
    }
    #[inline]
    fn cells(&'static self) -> Cells {
        let (behind, blocks) = (core::ptr::from_ref(self).wrapping_add(1) as usize, self.blocks.get());
        Cells { bits: behind, first: behind + blocks.div_ceil(64) * 8, blocks }
    }
    /// As if no block had ever been handed out.
    pub fn clear(&'static self) {
        let cells = self.cells();
        for index in 0..cells.blocks {
            cells.state(index).store(State::Never as u8, Ordering::Relaxed);
        }
        for word in 0..cells.blocks.div_ceil(64) {
            cells.returned(word).store(0, Ordering::Relaxed);
        }
    }
}

/// The cells of notes, as columns.
struct Cells {
    bits: usize,
    first: usize,
    blocks: usize,
}

impl Cells {
    #[inline]
    fn at<T>(&self, column_bytes: usize, index: usize) -> &'static T {
        // A reader without the lock may come with an index of other notes; its result is then thrown away, but it must
        // not lead out of these.
        let index = index.min(self.blocks - 1);
        let address = self.first + column_bytes * self.blocks + index * size_of::<T>();
        // SAFETY: the columns lie behind each other in memory that is never unmapped, the index was cut to their
        // length, and columns of wider cells come first, so that each is aligned. They hold atomics only.
        unsafe { &*(address as *const T) }
    }
    fn tag(&self, index: usize) -> &'static AtomicU64 {
        self.at(0, index)
    }
    fn slack(&self, index: usize) -> &'static AtomicU16 {
        self.at(8, index)
    }
    fn stack(&self, index: usize) -> &'static AtomicU16 {
        self.at(10, index)
    }
    fn state(&self, index: usize) -> &'static AtomicU8 {
        self.at(12, index)
    }
    /// A word of the bits of returned blocks.
    fn returned(&self, word: usize) -> &'static AtomicU64 {
        let word = word.min(self.blocks.div_ceil(64) - 1);
        // SAFETY: as in `at`.
        unsafe { &*((self.bits + 8 * word) as *const AtomicU64) }
    }
}
