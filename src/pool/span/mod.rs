//! Spans: descriptors of ranges of a pool's memory and of the blocks in them.
//!
//! | term | meaning |
//! |---|---|
//! | span | whole granules that are one thing: free, blocks of one class (small), one block (large), or a range |
//! | range | granules cut into spans smaller than a granule, which are free or one block; it has a map of them |
//! | block | what a caller holds |
//! | limbo | state of a block that was freed and cannot be allocated yet: it is being cleared, moved or checked |
//! | owner | the thread heap that alone allocates and frees blocks of a small span; without one, the holder of the pool's lock |
//!
//! Contract: descriptors lie outside the pool's memory, in arenas that are never unmapped, and every field is atomic.
//! A reader without the lock may see a span change, but never something that is no span. A span changes only under
//! the lock of its pool, inside [`Span::change`], so that such a reader notices (a sequence lock). Its blocks change
//! without that, each by its own word (`block_state`).
//!
//! One record serves all kinds. Where kinds or lists share a word, the word is private and has an accessor for each
//! meaning.

mod atomic;

mod block_metadata;

pub(super) mod block_state;

mod blocks;

pub(super) mod class;

pub(super) mod free_protocol;

pub(super) mod owner;

mod piece;

pub(super) mod range_map;

pub(super) mod stream_uses;

pub(super) mod table;

pub(super) use block_metadata::BlockMetadata;
pub(super) use piece::{SpanSource, UpstreamPiece};

use crate::pool::recycler::{Recycled, Recycler};
use crate::pool::relaxed::RelaxedUsize;
use block_metadata::METADATA;
use block_state::BlockCell;
use core::cell::Cell;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering, fence};
use free_protocol::Queued;
use owner::{HeapRole, OwnerLink, PoolRole, Role};
use range_map::RangeMap;
use stream_uses::Uses;

/// What a span is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(super) enum Kind {
    /// In no pool.
    None = 0,
    /// Cached.
    Free = 1,
    /// Blocks of one class.
    Small = 2,
    /// One block.
    Large = 3,
    /// Spans smaller than a granule, with a map of them.
    Range = 4,
}

/// What must be known of the bytes of a large or free span in a stream-ordered pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(super) enum StreamMark {
    None = 0,
    /// Free: it is in the list of spans that several streams used.
    MultiStream = 1,
    /// Large: strict mode's pattern is in the freed block.
    Pattern = 2,
    /// It must be cleared before it is allocated again.
    NeedsClearing = 3,
    /// As `NeedsClearing`, but never cleared or allocated again: a captured graph may clear it at each launch.
    Captured = 4,
}

/// The lowest entry of a stack of free blocks, which no block has as its index.
pub(super) const BOTTOM: u16 = u16::MAX;

/// The byte that strict mode fills freed blocks with.
pub(super) const PATTERN: u8 = 0xdb;

/// Bit of `list_key`: the key is the number of a poll round, not a time in ms.
const POLL_ROUND: usize = 1 << 62;

/// A link to a span, or to none.
#[derive(Debug, Default)]
pub(super) struct Link(AtomicPtr<Span>);

impl Link {
    pub const fn new() -> Link {
        Link(AtomicPtr::new(core::ptr::null_mut()))
    }
    #[cfg_attr(not(preload), allow(dead_code))]
    pub const fn to(span: &'static Span) -> Link {
        Link(AtomicPtr::new(core::ptr::from_ref(span).cast_mut()))
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

/// A list of spans through `next` and `previous`, the newest first. All zero is an empty list.
#[derive(Debug, Default)]
pub(super) struct List(Link);

impl List {
    pub const fn new() -> List {
        List(Link::new())
    }
    #[inline]
    pub fn first(&self) -> Option<&'static Span> {
        self.0.get()
    }
    /// Puts a span in front. The span is in no such list.
    pub fn push(&self, span: &'static Span) {
        let next = self.first();
        span.next.set(next);
        span.previous.set(None);
        if let Some(next) = next {
            next.previous.set(Some(span));
        }
        self.0.set(Some(span));
    }
    /// Removes a span of this list.
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

/// A span. All zero is a span of kind None. The first cache line is what all threads read; the second what the owner's
/// calls read and write, and nothing else.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(super) struct Span {
    version: AtomicU32,
    kind: AtomicU32,
    pool: OwnerLink<PoolRole>,
    pub start: RelaxedUsize,
    /// Usable bytes of a block.
    pub block_bytes: RelaxedUsize,
    /// Small: 2^64 / block_bytes, rounded up, to find a block's index without a division.
    pub reciprocal: RelaxedUsize,
    /// Small: the owner.
    heap: OwnerLink<HeapRole>,
    /// Number of blocks.
    pub count: RelaxedUsize,
    pub class: RelaxedUsize,
    front: Front,
    /// Small: the uppermost entry of the stack of free blocks.
    tip: AtomicPtr<u16>,
    /// Small: blocks from this index on were never on the stack.
    pub bump: RelaxedUsize,
    /// Small: where the stack begins, with [`BOTTOM`].
    stack: RelaxedUsize,
    /// Small: list of spans with free blocks. Free: a bin.
    pub next: Link,
    pub previous: Link,
    /// Small: list of its owner's spans. Free: list by age.
    pub older: Link,
    pub newer: Link,
    pub bytes: RelaxedUsize,
    metadata: AtomicPtr<BlockMetadata>,
    /// Small: `is_fresh`.
    fresh: RelaxedUsize,
    /// Free, large: bytes at the end that were never allocated since they came from the device, and so read 0.
    pub clean: RelaxedUsize,
    /// Large: the block's state, and its requested bytes.
    cell: BlockCell,
    large_requested: RelaxedUsize,
    /// [`SpanSource`], encoded.
    source: RelaxedUsize,
    /// Free: `freed_ms`, `use_tick` or `poll_round`, by the list that has it.
    list_key: RelaxedUsize,
    recycled: AtomicPtr<Span>,
    pub queued: Queued,
    /// [`StreamMark`].
    mark: AtomicU32,
    pub queue: Link,
    /// Stream-ordered pools: the stream positions that must pass before its bytes can be reused.
    pub uses: Uses,
    /// Range: the map.
    map: AtomicPtr<RangeMap<Span>>,
}

const _: () = assert!(size_of::<Span>() == 5 * 64 && core::mem::offset_of!(Span, front) == 64);
const _: () = assert!(core::mem::offset_of!(Span, stack) == 128);

/// Small: what the owner's calls read, so that they touch one cache line of the span. Cells, which a call reads in
/// place.
#[derive(Debug, Default)]
#[repr(C)]
struct Front {
    /// As in the span.
    start: Cell<usize>,
    block_bytes: Cell<usize>,
    reciprocal: Cell<usize>,
    /// Addresses of columns of its metadata.
    cells: Cell<usize>,
    slacks: Cell<usize>,
    /// A free is rare if it makes the stack this high.
    edge: Cell<usize>,
}

// SAFETY: only the owner reads or writes it, or the holder of the pool's lock if there is none.
unsafe impl Sync for Front {}

// SAFETY: zero is valid for every field, and `recycled` serves the list only.
unsafe impl Recycled for Span {
    fn link(&self) -> &AtomicPtr<Span> {
        &self.recycled
    }
}

static SPANS: Recycler<Span> = Recycler::new();

static MAPS: Recycler<RangeMap<Span>> = Recycler::new();

/// Version of a new span, and of one that lost its pages. No reader has seen it on an earlier use.
static EPOCH: AtomicU32 = AtomicU32::new(2);

/// Gives the pages of unused spans and metadata back to the system. Called under no lock.
pub(super) fn vacate() {
    EPOCH.fetch_add(1 << 12, Ordering::Relaxed);
    SPANS.vacate(size_of::<Span>());
    for (class, metadata) in METADATA.iter().enumerate() {
        metadata.vacate(BlockMetadata::bytes(class));
    }
}

impl Span {
    /// Bytes from the start of a block on that no other block has.
    pub fn extent(&self) -> usize {
        if self.kind() == Kind::Large { self.bytes.get() } else { self.block_bytes.get() }
    }

    /// A span of kind None. None: no memory.
    pub fn create() -> Option<&'static Span> {
        let span = SPANS.get()?;
        if span.version.load(Ordering::Relaxed) == 0 {
            span.version.store(EPOCH.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        Some(span)
    }

    /// Returns the span to the free list. Only stale readers have it still.
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

    /// Runs `look`, which reads fields without the lock. None: they changed meanwhile, and the result was discarded.
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
            4 => Kind::Range,
            _ => Kind::None,
        }
    }
    pub fn set_kind(&self, kind: Kind) {
        self.kind.store(kind as u32, Ordering::Relaxed);
    }
    pub fn pool(&self) -> Option<&'static <PoolRole as Role>::Record> {
        self.pool.get()
    }
    pub fn set_pool(&self, pool: &'static <PoolRole as Role>::Record) {
        self.pool.set(Some(pool));
    }
    pub fn heap(&self) -> Option<&'static <HeapRole as Role>::Record> {
        self.heap.get()
    }
    pub fn set_heap(&self, heap: Option<&'static <HeapRole as Role>::Record>) {
        self.heap.set(heap);
    }
    /// Whether the heap owns it.
    #[inline(always)]
    pub fn is_of(&self, heap: &'static <HeapRole as Role>::Record) -> bool {
        self.heap.is(heap)
    }
    pub fn mark(&self) -> StreamMark {
        match self.mark.load(Ordering::Relaxed) {
            1 => StreamMark::MultiStream,
            2 => StreamMark::Pattern,
            3 => StreamMark::NeedsClearing,
            4 => StreamMark::Captured,
            _ => StreamMark::None,
        }
    }
    pub fn set_mark(&self, mark: StreamMark) {
        self.mark.store(mark as u32, Ordering::Relaxed);
    }
    /// Whether it must be cleared before it is allocated again.
    pub fn needs_clearing(&self) -> bool {
        matches!(self.mark(), StreamMark::NeedsClearing | StreamMark::Captured)
    }

    /// Small: whether a free is rare that made the stack this high.
    #[inline(always)]
    pub fn is_edge(&self, tip: *const u16) -> bool {
        debug_assert!(self.kind() == Kind::Small);
        self.front.edge.get() == tip.addr()
    }
    /// Small: a free is rare if it makes the stack so long; 0: none is.
    pub fn set_edge(&self, free_count: usize) {
        debug_assert!(self.kind() == Kind::Small);
        // A free never leaves the stack empty.
        self.front.edge.set(self.stack.get() + free_count * size_of::<u16>());
    }
    /// Small: no byte behind the blocks that were allocated before was ever written, so they read 0.
    #[inline]
    pub fn is_fresh(&self) -> bool {
        debug_assert!(self.kind() == Kind::Small);
        self.fresh.get() == 1
    }
    pub fn set_fresh(&self, fresh: bool) {
        self.fresh.set(usize::from(fresh));
    }

    // ---- the sort key of lists of free spans ----

    /// The key, whatever it means in the span's list.
    pub fn list_key(&self) -> usize {
        self.list_key.get()
    }
    /// Takes the key of another span, and with it the same place in a list.
    pub fn follow_list_key(&self, other: &Span) {
        self.list_key.set(other.list_key.get());
    }
    /// In the pool's bins: when it was freed, ms.
    pub fn freed_ms(&self) -> u64 {
        self.list_key.get() as u64
    }
    pub fn set_freed_ms(&self, ms: u64) {
        self.list_key.set(ms as usize);
    }
    /// In the list of one stream: the tick of its last use.
    pub fn use_tick(&self) -> u64 {
        self.list_key.get() as u64
    }
    pub fn set_use_tick(&self, tick: u64) {
        self.list_key.set(tick as usize);
    }
    /// In the list of spans that several streams used: the number of the last poll round that asked about it. None:
    /// no round did, and the key is `freed_ms`.
    pub fn poll_round(&self) -> Option<usize> {
        let key = self.list_key.get();
        (key & POLL_ROUND != 0).then_some(key & !POLL_ROUND)
    }
    pub fn set_poll_round(&self, number: usize) {
        self.list_key.set(POLL_ROUND | number);
    }

    fn map(&self) -> Option<&'static RangeMap<Span>> {
        // SAFETY: NULL, or set from a reference to a map, and those are never unmapped.
        unsafe { self.map.load(Ordering::Relaxed).as_ref() }
    }
    /// Range: sets the map. Returns the old one.
    pub fn set_map(&self, map: Option<&'static RangeMap<Span>>) -> Option<&'static RangeMap<Span>> {
        let old = self.map();
        let map = map.map_or(core::ptr::null_mut(), |map| core::ptr::from_ref(map).cast_mut());
        self.map.store(map, Ordering::Relaxed);
        old
    }
    /// Range: the span of its map that contains the address.
    pub fn within(&self, address: usize) -> Option<&'static Span> {
        self.map()?.get(address.wrapping_sub(self.start.get()))
    }
    /// Range: enters a span of `bytes` that begins at `start` in its map.
    #[inline(never)]
    pub fn map_span(&self, start: usize, bytes: usize, span: &'static Span) {
        if let Some(map) = self.map() {
            map.put(start - self.start.get(), bytes, span);
        }
    }
    /// Changes whenever the span changes; odd: the span is changing now.
    pub fn version(&self) -> u32 {
        self.version.load(Ordering::Acquire)
    }
    pub fn is_queued(&self) -> bool {
        self.queued.is()
    }
    /// Small: the index of the block that begins at this offset. None: no block does. At most `count`: bytes behind
    /// the last block look like one that was never allocated. An offset outside the span may return any number.
    #[inline(always)]
    pub fn index_at(&self, offset: usize) -> Option<usize> {
        Span::index(offset, self.reciprocal.get())
    }
    /// As `index_at`, for the owner.
    #[inline(always)]
    pub fn own_index_at(&self, offset: usize) -> Option<usize> {
        Span::index(offset, self.front.reciprocal.get())
    }
    #[inline(always)]
    fn index(offset: usize, reciprocal: usize) -> Option<usize> {
        let product = offset as u128 * reciprocal as u128;
        ((product as usize) < reciprocal).then_some((product >> 64) as usize)
    }
    pub fn end(&self) -> usize {
        self.start.get() + self.bytes.get()
    }
    pub fn is(&self, other: &Span) -> bool {
        core::ptr::eq(self, other)
    }
    pub fn metadata(&self) -> Option<&'static BlockMetadata> {
        // SAFETY: set from a reference to metadata, and those are never unmapped.
        unsafe { self.metadata.load(Ordering::Relaxed).as_ref() }
    }
    pub fn set_metadata(&self, metadata: Option<&'static BlockMetadata>) {
        self.metadata.store(
            metadata.map_or(core::ptr::null_mut(), |metadata| core::ptr::from_ref(metadata).cast_mut()),
            Ordering::Relaxed,
        );
    }
}

impl RangeMap<Span> {
    /// An empty map. None: no memory.
    pub fn create() -> Option<&'static RangeMap<Span>> {
        let map = MAPS.get()?;
        map.clear();
        Some(map)
    }
    /// Returns the map to the free list. Only stale readers have it still.
    pub fn release(&'static self) {
        MAPS.put(self);
    }
}
