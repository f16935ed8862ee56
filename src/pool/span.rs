//! Spans: ranges of a pool's memory, and what is known of the blocks in them.
//!
//! | word | meaning |
//! |---|---|
//! | span | whole granules that are one thing: free, cut into blocks of one class (small), or one block (large) |
//! | block | what a caller holds |
//! | limbo | a block that was given back and cannot be had yet: it is being cleared, moved or watched |
//!
//! Contract: everything lies outside the pool's memory, in arenas that never go, and every field is an atomic: a reader
//! without the lock may see a span change under its eyes, never something that is no span. Fields change under the lock
//! of the span's pool only, between `begin` and `end` of its version, so that such a reader can tell (a sequence lock).

use crate::pool::arena::{self, Recycled, Recycler};
use crate::pool::client::Client;
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
}

const STATE_BITS: u32 = 3;

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

/// A span. All zero is one of kind None.
#[derive(Debug, Default)]
pub(super) struct Span {
    version: AtomicU32,
    kind: AtomicU32,
    pool: AtomicPtr<Pool>,
    pub start: Word,
    pub bytes: Word,
    /// Usable bytes of a block.
    pub unit: Word,
    /// Number of blocks.
    pub count: Word,
    /// Small: blocks from here on were never handed out.
    pub bump: Word,
    pub class: Word,
    notes: AtomicPtr<Notes>,
    /// Large: the block's.
    requested: Word,
    tag: AtomicU64,
    state: AtomicU8,
    // From here on of interest under the lock only.
    /// 1: no byte was ever handed out (small: from `bump` on), so that it reads 0.
    pub fresh: Word,
    /// The reservation of the device that all of it came from, for moving its pages; 0: more than one.
    pub origin: Word,
    /// Small: blocks that were given back, number of indices on the stack.
    pub top: Word,
    /// Small: live blocks and those in limbo.
    pub taken: Word,
    /// Free: when it came, ms.
    pub since: Word,
    pub next: Link,
    pub previous: Link,
    pub older: Link,
    pub newer: Link,
    recycled: AtomicPtr<Span>,
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
        let packed = if index < self.bump.get() { cells.state(index).load(Ordering::Relaxed) } else { 0 };
        let (state, shift) = unpack(packed);
        let slack = cells.slack(index).load(Ordering::Relaxed) as usize;
        let requested = self.unit.get().saturating_sub(slack);
        Block { state, alignment: 1 << shift, requested, tag: cells.tag(index).load(Ordering::Relaxed) }
    }

    /// Writes what is known of a block. Under the lock, inside `change`.
    pub fn set_block(&self, index: usize, block: Block) {
        let packed = block.state as u8 | (block.alignment.ilog2() as u8) << STATE_BITS;
        let Some(notes) = self.notes() else {
            self.requested.set(block.requested);
            self.tag.store(block.tag, Ordering::Relaxed);
            self.state.store(packed, Ordering::Relaxed);
            return;
        };
        let cells = notes.cells();
        // Fits: a class is at most an eighth larger than the size rounded up to an alignment of at most 4 KiB.
        cells.slack(index).store((self.unit.get() - block.requested) as u16, Ordering::Relaxed);
        cells.tag(index).store(block.tag, Ordering::Relaxed);
        cells.state(index).store(packed, Ordering::Relaxed);
    }

    /// Small: puts an index on the stack of blocks that can be had.
    pub fn push(&self, index: usize) {
        let Some(notes) = self.notes() else { return };
        notes.cells().stack(self.top.get()).store(index as u16, Ordering::Relaxed);
        self.top.set(self.top.get() + 1);
    }

    /// Small: an index that can be had, the one given back last first; the second is true if it was never handed out.
    pub fn pop(&self) -> Option<(usize, bool)> {
        let notes = self.notes()?;
        if let Some(top) = self.top.get().checked_sub(1) {
            self.top.set(top);
            return Some((notes.cells().stack(top).load(Ordering::Relaxed) as usize, false));
        }
        let index = self.bump.get();
        (index < self.count.get()).then(|| {
            self.bump.set(index + 1);
            (index, true)
        })
    }
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
    pub fn is_live(&self) -> bool {
        matches!(self.state, State::Raw | State::Store)
    }
    /// Who asked for it; of a live block.
    pub fn client(&self) -> Client {
        if self.state == State::Store { Client::ARRAYS } else { Client::of_tag(self.tag).0 }
    }
}

fn unpack(packed: u8) -> (State, u32) {
    let state = match packed & ((1 << STATE_BITS) - 1) {
        1 => State::Raw,
        2 => State::Store,
        3 => State::Freed,
        4 => State::Limbo,
        _ => State::Never,
    };
    (state, (packed >> STATE_BITS) as u32)
}

/// What is known of the blocks of a small span; behind this head lie as many cells as a span of its class has blocks at
/// most. States from the span's `bump` on are left over from an earlier use and mean nothing.
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

/// Bytes of a block's cells: tag, slack, index on the stack, state.
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
        size_of::<Notes>() + class::blocks(class) * CELL_BYTES
    }
    fn cells(&'static self) -> Cells {
        Cells { first: core::ptr::from_ref(self).wrapping_add(1) as usize, blocks: self.blocks.get() }
    }
}

/// The cells of notes, as four columns.
struct Cells {
    first: usize,
    blocks: usize,
}

impl Cells {
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
}
