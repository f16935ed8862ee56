//! The bytes of each thread's record that the layers above use.
//!
//! Contract: the record reserves an [`Area`] for each use below, and knows none of their types; see `per_thread`.

/// Bytes of the record that one type of a layer above has.
#[derive(Clone, Copy, Debug)]
pub struct Area {
    pub(super) start: usize,
    pub(super) bytes: usize,
}

impl Area {
    const fn first(words: usize) -> Area {
        Area { start: 0, bytes: 8 * words }
    }

    const fn after(before: Area, words: usize) -> Area {
        Area { start: before.start + before.bytes, bytes: 8 * words }
    }
}

/// GPUs whose streams a thread can track. The preload library has no GPU.
pub const GPUS: usize = if cfg!(preload) { 0 } else { 32 };

// The areas, in the order of the record. The first ones share a cache line with the fields that every call reads.

/// Callbacks that are running (`pool`).
pub const POOL_CALLS: Area = Area::first(1);
/// The thread's heaps (`pool`).
pub const POOL_HEAPS: Area = Area::after(POOL_CALLS, 1 + 64);
/// Heaps by the handles of their pools (`pool`).
pub const POOL_HANDLES: Area = Area::after(POOL_HEAPS, 2 * 256);
/// Current pools: of the host, of page-locked and managed memory, and of each GPU, two words each (`pool`).
pub const POOL_CURRENT: Area = Area::after(POOL_HANDLES, 2 * (3 + GPUS));
/// Caches of free slots (`slots`): one for each kind, of a length and 32 entries; in models of 2, so that slots move
/// between threads.
pub const SLOTS: Area = Area::after(POOL_CURRENT, SLOT_KINDS * (1 + if cfg!(loom) { 2 } else { 32 }));
/// Streams (`stream`).
pub const STREAMS: Area = Area::after(SLOTS, 2 * GPUS + 2);
/// The innermost scope of a stream (`stream`).
pub const STREAM_SCOPE: Area = Area::after(STREAMS, 1);
/// Quarantined exports (`exchange`).
pub const EXPORTS: Area = Area::after(STREAM_SCOPE, 3);
/// Where the thread writes events (`events`).
pub const EVENTS: Area = Area::after(EXPORTS, 4);
/// The GPU whose context the thread is inside of (`gpu`).
pub const ENTERED: Area = Area::after(EVENTS, 1);

/// The preload library has no arrays, streams and expressions.
const SLOT_KINDS: usize = if cfg!(preload) { 12 } else { 21 };
pub(super) const WORDS: usize = (ENTERED.start + ENTERED.bytes) / 8;
