//! A thread's cache from handles of pools to its heaps.
//!
//! Contract: an entry leads to a heap of the thread, and only while the handle is open. A thread that closes a handle
//! removes it from the caches of all threads.

use super::Heap;
use crate::thread::{self, Area, PerThread, Thread, area};
use core::cell::Cell;
use core::hint::assert_unchecked;
use core::sync::atomic::{AtomicU64, Ordering, fence};

/// A cache entry: a handle of a pool, and the thread's heap of that pool.
struct KnownHandle {
    /// The handle's bits; 0: none. Other threads clear it when they close the handle.
    handle: AtomicU64,
    heap: Cell<Option<&'static Heap>>,
}

/// A thread's cache of handles, indexed by the remainder of the handle's bits. A later handle replaces an earlier one.
struct KnownHandles([KnownHandle; 128]);

// SAFETY: zeros are valid and mean no handles. Other threads touch only the atomic `handle`, unless the owner is gone.
// The area is for this type.
unsafe impl PerThread for KnownHandles {
    const AREA: Area = area::POOL_HANDLES;
}

impl KnownHandles {
    #[inline(always)]
    fn entry(&self, handle: u64) -> &KnownHandle {
        &self.0[handle as usize % self.0.len()]
    }
}

/// Removes a closed handle from the cache entries of all threads. Its fence pairs with the one in `remember`: either
/// this function finds the entry, or the thread that added it sees that the handle was closed.
pub(in crate::pool) fn forget_handle(handle: u64) {
    fence(Ordering::SeqCst);
    thread::each_record(|thread| {
        let known = &KnownHandles::of(thread).entry(handle).handle;
        if known.load(Ordering::Relaxed) == handle {
            // Fails if the thread has replaced the handle meanwhile.
            let _ = known.compare_exchange(handle, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    });
}

/// Removes a heap from its thread's cache entries.
pub(super) fn forget_heap(thread: &'static Thread, heap: &'static Heap) {
    let has_heap = |known: &&KnownHandle| known.heap.get().is_some_and(|known| core::ptr::eq(known, heap));
    for known in KnownHandles::of(thread).0.iter().filter(has_heap) {
        known.handle.store(0, Ordering::Relaxed);
    }
}

/// Caches a heap of the thread for calls with a handle, unless the handle is closed meanwhile.
pub(in crate::pool) fn remember(
    thread: &'static Thread,
    handle: u64,
    heap: &'static Heap,
    is_open: impl FnOnce() -> bool,
) {
    let entry = KnownHandles::of(thread).entry(handle);
    entry.heap.set(Some(heap));
    entry.handle.store(handle, Ordering::Relaxed);
    // Pairs with the fence in `forget_handle`: either that function finds the entry, or this thread sees that the
    // handle was closed.
    fence(Ordering::SeqCst);
    if !is_open() {
        entry.handle.store(0, Ordering::Relaxed);
    }
}

/// The calling thread's heap for the pool of a handle; for handle 0, of the host's current pool. None: the thread has
/// no cache entry (see [`remember`]), or the handle was released. The thread must be inside the library, so that the
/// heap does not end meanwhile.
#[inline(always)]
pub(super) fn heap(thread: &'static Thread, handle: u64) -> Option<&'static Heap> {
    if handle == 0 {
        // A heap that ends leaves this cache first.
        return super::current(thread);
    }
    let entry = KnownHandles::of(thread).entry(handle);
    if entry.handle.load(Ordering::Relaxed) != handle {
        return None;
    }
    // After the handle is closed, no entry has it: `forget_handle` removes it from all of them.
    let heap = entry.heap.get();
    // SAFETY: `remember` stored a heap of this thread before the handle. When the heap ends, `forget_heap` removes the
    // handles of its entries.
    unsafe { assert_unchecked(heap.is_some()) };
    heap
}
