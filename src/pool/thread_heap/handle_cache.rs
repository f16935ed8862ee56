//! A thread's cache from handles of pools to its heaps, behind the gate of its record.
//!
//! Contract: an entry leads to a heap of the thread, and only while the handle is open. A thread that closes a handle
//! removes it from the caches of all threads. Handle 0 is the host's current pool; the heap of its entry is the one for
//! the present current pool.

use super::Heap;
use crate::sys::instructions;
use crate::thread::{self, Area, BehindGate, FastEntry, PerThread, Thread, area};
use core::cell::Cell;
use core::hint::assert_unchecked;
use core::sync::atomic::{AtomicU64, Ordering, fence};

/// One for each value of a handle's low byte, which one instruction extracts.
const ENTRIES: usize = 256;

/// No handle has these bits: they have no kind.
const NONE: u64 = 1;

/// A thread's cache of handles, indexed by their low byte. A later handle replaces an earlier one.
/// Zeros lie behind no gate: they look like an entry of handle 0.
#[repr(C)]
pub(super) struct KnownHandles {
    /// The handles' bits, or [`NONE`]. Other threads clear them when they close the handle.
    handles: [AtomicU64; ENTRIES],
    /// The thread's heap of each of these pools.
    heaps: [Cell<Option<&'static Heap>>; ENTRIES],
}

// SAFETY: zeros are valid, and mean no handles before the gate leads here. Other threads touch only the atomics, unless
// the owner is gone. The area is for this type.
unsafe impl PerThread for KnownHandles {
    const AREA: Area = area::POOL_HANDLES;
}

// SAFETY: as above.
unsafe impl Sync for KnownHandles {}

// SAFETY: the only one in this library; `Heap` is that of the preload library.
unsafe impl BehindGate for KnownHandles {}

/// What lies behind a closed gate: it knows no handle.
pub(super) static CLOSED: KnownHandles =
    KnownHandles { handles: [const { AtomicU64::new(NONE) }; ENTRIES], heaps: [const { Cell::new(None) }; ENTRIES] };

impl KnownHandles {
    /// The thread's cache, before which the gate opens at its first use.
    fn opened(thread: &'static Thread) -> &'static KnownHandles {
        let known = KnownHandles::of(thread);
        if thread::leads_to::<KnownHandles>(thread).is_none() {
            known.handles.iter().for_each(|handle| handle.store(NONE, Ordering::Relaxed));
            thread::lead(thread, Some(known));
        }
        known
    }

    fn handle(&self, handle: u64) -> &AtomicU64 {
        &self.handles[handle as usize % ENTRIES]
    }

    #[inline(always)]
    fn heap(&self, handle: u64) -> Option<&'static Heap> {
        let at = usize::from(handle as u8);
        // SAFETY: there is an entry for each byte.
        if !unsafe { instructions::is_at(&self.handles, at, handle) } {
            return None;
        }
        // After the handle is closed, no entry has it: `forget_handle` removes it from all of them.
        let heap = self.heaps[at].get();
        // SAFETY: `remember` stored a heap of this thread before the handle. When the heap ends, `forget_heap` removes
        // the handles of its entries.
        unsafe { assert_unchecked(heap.is_some()) };
        heap
    }
}

/// Begins a short call with the calling thread's heap for the pool of a handle; for handle 0, of the host's current
/// pool. None: the thread has no cache entry (see [`remember`]), the handle was released, or fast paths are off.
#[inline(always)]
pub(super) fn enter(thread: &'static Thread, handle: u64) -> Option<(FastEntry, &'static Heap)> {
    let (inside, known) = FastEntry::through_gate::<KnownHandles>(thread)?;
    known.heap(handle).map(|heap| (inside, heap))
}

/// As [`enter`], for a thread inside the library that has its own record. Also where fast paths are off.
pub(super) fn heap(thread: &'static Thread, handle: u64) -> Option<&'static Heap> {
    thread::leads_to::<KnownHandles>(thread)?.heap(handle)
}

/// Removes a closed handle from the cache entries of all threads. Its fence pairs with the one in `remember`: either
/// this function finds the entry, or the thread that added it sees that the handle was closed.
pub(in crate::pool) fn forget_handle(handle: u64) {
    fence(Ordering::SeqCst);
    thread::each_record(|thread| {
        let known = KnownHandles::of(thread).handle(handle);
        if known.load(Ordering::Relaxed) == handle {
            // Fails if the thread has replaced the handle meanwhile.
            let _ = known.compare_exchange(handle, NONE, Ordering::Relaxed, Ordering::Relaxed);
        }
    });
}

/// Removes a heap from its thread's cache entries.
pub(super) fn forget_heap(thread: &'static Thread, heap: &'static Heap) {
    let known = KnownHandles::of(thread);
    for (handle, entry) in known.handles.iter().zip(&known.heaps) {
        if entry.get().is_some_and(|known| core::ptr::eq(known, heap)) {
            handle.store(NONE, Ordering::Relaxed);
        }
    }
}

/// Caches a heap of the thread for calls with a handle, unless the handle is closed meanwhile.
pub(in crate::pool) fn remember(
    thread: &'static Thread,
    handle: u64,
    heap: &'static Heap,
    is_open: impl FnOnce() -> bool,
) {
    let known = KnownHandles::opened(thread);
    known.heaps[handle as usize % ENTRIES].set(Some(heap));
    let entry = known.handle(handle);
    entry.store(handle, Ordering::Relaxed);
    // Pairs with the fence in `forget_handle`: either that function finds the entry, or this thread sees that the
    // handle was closed.
    fence(Ordering::SeqCst);
    if !is_open() {
        entry.store(NONE, Ordering::Relaxed);
    }
}

/// Caches the heap of the host's current pool.
pub(in crate::pool) fn remember_current(thread: &'static Thread, heap: &'static Heap) {
    remember(thread, 0, heap, || true);
}

/// The next request of a thread without a pool looks for the current pool again. Called by the thread, or while it is
/// in no short call.
pub(in crate::pool) fn forget_current(thread: &'static Thread) {
    let entry = KnownHandles::of(thread).handle(0);
    if entry.load(Ordering::Relaxed) == 0 {
        entry.store(NONE, Ordering::Relaxed);
    }
}
