//! What the layers above keep in each thread's record, by type.
//!
//! Contract: the record reserves an [`Area`] of bytes for each user below, and knows none of their types. The user implements [`PerThread`]
//! for its type, once per area. Reaching the value costs an addition to the record's address.

use super::record::Thread;

/// Bytes of the record that one type of a layer above has.
#[derive(Clone, Copy, Debug)]
pub struct Area {
    start: usize,
    bytes: usize,
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
pub const POOL_HEAPS: Area = Area::after(POOL_CALLS, 2 + 64);
/// Heaps by the handles of their pools (`pool`).
pub const POOL_HANDLES: Area = Area::after(POOL_HEAPS, 2 * 128);
/// Current pools: of the host, of page-locked and managed memory, and of each GPU (`pool`).
pub const POOL_CURRENT: Area = Area::after(POOL_HANDLES, 3 + GPUS);
/// Caches of free slots (`slots`): one for each kind, of a length and 32 entries; in models of 2, so that slots move between threads.
pub const SLOTS: Area = Area::after(POOL_CURRENT, SLOT_KINDS * (1 + if cfg!(loom) { 2 } else { 32 }));
/// Streams (`stream`).
pub const STREAMS: Area = Area::after(SLOTS, 2 * GPUS);
/// The innermost scope of a stream (`stream`).
pub const STREAM_SCOPE: Area = Area::after(STREAMS, 1);
/// Quarantined exports (`exchange`).
pub const EXPORTS: Area = Area::after(STREAM_SCOPE, 3);

/// The preload library has no arrays, streams and expressions.
const SLOT_KINDS: usize = if cfg!(preload) { 12 } else { 17 };
pub(super) const WORDS: usize = (EXPORTS.start + EXPORTS.bytes) / 8;

/// A type whose value is kept in each thread's record.
///
/// # Safety
/// - All-zero bytes are a valid value, which a new thread begins with. A value is never dropped, and outlives the thread.
/// - A value is touched by its thread only, or by one that knows the owner to be gone; other threads may use its atomics.
/// - No other type has the same area.
pub unsafe trait PerThread: Sized + 'static {
    /// The area of this type: exactly its size.
    const AREA: Area;

    /// The value of a thread.
    #[inline(always)]
    fn of(thread: &Thread) -> &Self {
        const { assert!(size_of::<Self>() == Self::AREA.bytes && align_of::<Self>() <= 8) };
        // SAFETY: the area lies in the record, has the size and alignment of the type, and holds zeros or what its users left: a valid value.
        unsafe { &*thread.areas().byte_add(Self::AREA.start).cast::<Self>() }
    }
}
