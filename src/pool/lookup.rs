//! From any address to its live block, and all live blocks.
//!
//! Contract: never reads the address itself, so any number may be passed. Takes no lock, except once after many
//! collisions with a writer. An answer was true at some moment of the call. A block is live from its allocation to
//! its free.

use crate::device::host::GRANULE;
use crate::pool::Pool;
use crate::pool::client::Client;
use crate::pool::span::block_state::{Block, BlockState};
use crate::pool::span::{Kind, Span, table};
use core::sync::atomic::Ordering;

/// A live block.
#[derive(Clone, Copy)]
pub struct Located {
    /// First byte.
    pub start: usize,
    /// Requested bytes.
    pub requested: usize,
    /// Usable bytes.
    pub usable: usize,
    /// Requested alignment.
    pub alignment: usize,
    /// Its pool.
    pub pool: &'static Pool,
    /// The tag of the store's ledger; 0: a raw block.
    pub owner: u64,
    /// Which client allocated it.
    pub client: Client,
    /// Raw block: the operating system's number of the allocating thread.
    pub thread: u32,
    /// Raw block: the call site that was passed.
    pub site: u32,
}

/// Attempts to read without the lock before it is taken.
const ATTEMPTS: u32 = 100;

/// Fields of a span that must be read together.
#[derive(Clone, Copy)]
struct Shape {
    kind: Kind,
    start: usize,
    bytes: usize,
    block_bytes: usize,
    /// Blocks that may be live.
    blocks: usize,
    pool: Option<&'static Pool>,
}

fn shape(span: &Span) -> Shape {
    Shape {
        kind: span.kind(),
        start: span.start.get(),
        bytes: span.bytes.get(),
        block_bytes: span.block_bytes.get(),
        blocks: span.bump.get(),
        pool: span.pool(),
    }
}

impl Shape {
    fn contains(&self, address: usize) -> bool {
        address.wrapping_sub(self.start) < self.bytes
    }
    fn has_blocks(&self) -> bool {
        matches!(self.kind, Kind::Small | Kind::Large) && self.block_bytes > 0
    }
    fn located(&self, index: usize, block: Block) -> Option<Located> {
        let ((thread, site), owner) = match block.state {
            BlockState::Raw => (Client::origin(block.tag), 0),
            BlockState::Store => ((0, 0), block.tag),
            _ => return None,
        };
        Some(Located {
            start: self.start + index * self.block_bytes,
            requested: block.requested,
            usable: self.block_bytes,
            alignment: block.alignment,
            pool: self.pool?,
            owner,
            client: block.client(),
            thread,
            site,
        })
    }
}

/// A consistent shape of a span.
fn shape_of(span: &'static Span) -> Shape {
    steady(span, || span.read(|| shape(span)), || shape(span))
}

/// Runs `read` until it succeeds. After [`ATTEMPTS`] runs `locked` under the lock of the span's pool.
fn steady<R>(span: &'static Span, mut read: impl FnMut() -> Option<R>, locked: impl FnOnce() -> R) -> R {
    for _ in 0..ATTEMPTS {
        if let Some(result) = read() {
            return result;
        }
        core::hint::spin_loop();
    }
    // A writer was stopped in the middle. A writer holds the lock of the span's pool. If the span went to another
    // pool meanwhile, the loop runs once more.
    loop {
        let pool = span.pool();
        let guard = pool.map(|pool| pool.state.lock());
        let same = match (pool, span.pool()) {
            (Some(a), Some(b)) => core::ptr::eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        if same {
            let result = locked();
            drop(guard);
            return result;
        }
    }
}

/// One block of a span that still has the shape. Err: the span has changed.
fn block_of(span: &'static Span, of: &Shape, index: usize) -> Result<Option<Located>, ()> {
    let look = || {
        let now = shape(span);
        let same = (now.kind, now.start, now.block_bytes) == (of.kind, of.start, of.block_bytes);
        same.then(|| span.block(index))
    };
    match steady(span, || span.read(look), look) {
        Some(block) => Ok(of.located(index, block)),
        None => Err(()),
    }
}

/// Whether the address lies in memory of any pool, in a live block or not.
pub fn is_in_pool(address: usize) -> bool {
    table::find(address).and_then(Span::pool).is_some()
}

/// Lets another GPU, by its ordinal, access the memory of a GPU at an address, as far as its pool can.
#[cfg(not(preload))]
pub fn open_to(address: usize, peer: i32) -> crate::device::PeerAccess {
    let owner = table::find(address).and_then(Span::pool).filter(|pool| !pool.is_imported());
    owner.map_or(crate::device::PeerAccess::ByContext, |pool| pool.ops().open_to(peer))
}

/// The live block that contains the address.
pub fn locate(address: usize) -> Option<Located> {
    loop {
        let span = table::find(address)?;
        let shape = shape_of(span);
        if !shape.contains(address) {
            // The span changed between the two reads; the table is newer.
            core::hint::spin_loop();
            continue;
        }
        if !shape.has_blocks() {
            return None;
        }
        let index = (address - shape.start) / shape.block_bytes;
        if index >= shape.blocks {
            return None;
        }
        if let Ok(found) = block_of(span, &shape, index) {
            return found;
        }
    }
}

/// The lowest live block of which at least one byte lies in [start, end).
pub fn first_in(start: usize, end: usize) -> Option<Located> {
    let mut from = start;
    while from < end {
        let (address, span) = table::next(from, end)?;
        let shape = shape_of(span);
        if !shape.contains(address) {
            core::hint::spin_loop();
            from = address;
            continue;
        }
        if shape.has_blocks() {
            let first = (address.max(from) - shape.start) / shape.block_bytes;
            for index in first..shape.blocks {
                if shape.start + index * shape.block_bytes >= end {
                    return None;
                }
                if let Ok(Some(found)) = block_of(span, &shape, index) {
                    return Some(found);
                }
            }
        }
        from = table::end_of(span, address, shape.start + shape.bytes);
    }
    None
}

/// Calls `f` with every live block, by address, under no lock.
pub fn each_block(mut f: impl FnMut(&Located)) {
    let mut from = 0;
    while let Some((address, span)) = table::next(from, usize::MAX) {
        let shape = shape_of(span);
        if !shape.contains(address) {
            from = address + GRANULE;
            continue;
        }
        let end = table::end_of(span, address, shape.start + shape.bytes);
        if shape.has_blocks() {
            // A pool may lie in a block of another pool. That block's span is met again behind it.
            let first = (address - shape.start).div_ceil(shape.block_bytes);
            for index in first..shape.blocks.min((end - shape.start).div_ceil(shape.block_bytes)) {
                if let Ok(Some(found)) = block_of(span, &shape, index) {
                    f(&found);
                }
            }
        }
        from = end;
    }
}

/// A span of a pool, at some moment of the call.
#[derive(Clone, Copy, Debug)]
pub struct SpanInfo {
    /// First byte.
    pub start: usize,
    /// Length in bytes.
    pub bytes: usize,
    /// Usable bytes of one block; 0: the span is free.
    pub block_bytes: usize,
    /// Most blocks that it can hold.
    pub blocks: usize,
    /// Live blocks.
    pub live: usize,
    /// The class of its blocks; None: it is free, or one large block.
    pub(super) class: Option<usize>,
}

/// The blocks of a span.
#[derive(Clone, Copy)]
pub(super) struct SpanBlocks {
    span: &'static Span,
    shape: Shape,
}

impl SpanBlocks {
    /// Calls `f` with each live block and its index in the span. Nothing is called if the span has changed.
    pub fn each(&self, mut f: impl FnMut(usize, &Located)) {
        for index in 0..if self.shape.has_blocks() { self.shape.blocks } else { 0 } {
            if let Ok(Some(found)) = block_of(self.span, &self.shape, index) {
                f(index, &found);
            }
        }
    }
}

/// Calls `f` with every span of the pool, by address, under no lock.
pub(super) fn each_span(pool: &'static Pool, mut f: impl FnMut(&SpanInfo)) {
    each_span_with_blocks(pool, |info, blocks| {
        let mut info = *info;
        blocks.each(|_, _| info.live += 1);
        f(&info);
    });
}

/// As [`each_span`], with the span's blocks; they are not counted.
pub(super) fn each_span_with_blocks(pool: &'static Pool, mut f: impl FnMut(&SpanInfo, &SpanBlocks)) {
    let mut from = pool.lowest_address.load(Ordering::Relaxed);
    let end = pool.end_address.load(Ordering::Relaxed);
    while let Some((address, span)) = table::next(from, end) {
        let look = || (shape(span), span.count.get(), span.class.get());
        let (shape, count, class) = steady(span, || span.read(look), look);
        if !shape.contains(address) {
            from = address + GRANULE;
            continue;
        }
        from = table::end_of(span, address, shape.start + shape.bytes);
        let own = shape.pool.is_some_and(|owner| core::ptr::eq(owner, pool));
        // The span may be met again behind a pool that lies in one of its blocks.
        let again = table::has(span, shape.start, address);
        if !own || shape.kind == Kind::None || again {
            continue;
        }
        let mut info =
            SpanInfo { start: shape.start, bytes: shape.bytes, block_bytes: 0, blocks: 0, live: 0, class: None };
        if shape.has_blocks() {
            (info.block_bytes, info.blocks) = (shape.block_bytes, count);
            info.class = (shape.kind == Kind::Small).then_some(class);
        }
        f(&info, &SpanBlocks { span, shape });
    }
}
