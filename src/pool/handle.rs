//! Handles of pools: what C holds.
//!
//! Contract: each handle is one reference on its pool. Opening a handle takes the reference over, and closing it
//! drops the reference, exactly once. A closed handle is stale at once, also for a thread that is looking it up at
//! that moment. Such a call finds the pool retired, or does its work if another reference is left.

use crate::error::{Result, fail};
use crate::names::Site;
use crate::pool::thread_heap::{self, Heap};
use crate::pool::{Pool, current};
use crate::slots::{Head, Id, Kind, Slot, State, Table};
use crate::sys::os;
use crate::thread::{self, Area, CriticalSection, PerThread, Thread, area};
use crate::types::*;
use core::cell::Cell;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};

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
fn forget_handle(handle: u64) {
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
pub(super) fn forget(thread: &'static Thread, heap: &'static Heap) {
    let has_heap = |known: &&KnownHandle| known.heap.get().is_some_and(|known| core::ptr::eq(known, heap));
    for known in KnownHandles::of(thread).0.iter().filter(has_heap) {
        known.handle.store(0, Ordering::Relaxed);
    }
}

/// The slot behind a `tn_pool`.
struct PoolSlot {
    head: Head,
    pool: AtomicPtr<Pool>,
    thread: AtomicU32,
    site: AtomicU32,
    time_ns: AtomicU64,
    /// A thread may have a cache entry for the handle.
    is_known: AtomicBool,
}

impl Slot for PoolSlot {
    const KIND: Kind = Kind::Pool;
    fn new(head: Head) -> PoolSlot {
        PoolSlot {
            head,
            pool: AtomicPtr::new(core::ptr::null_mut()),
            thread: AtomicU32::new(0),
            site: AtomicU32::new(0),
            time_ns: AtomicU64::new(0),
            is_known: AtomicBool::new(false),
        }
    }
    fn head(&self) -> &Head {
        &self.head
    }
}

/// An open handle, for reports.
#[derive(Clone, Copy)]
pub struct Opened {
    /// Its bits.
    pub id: Id,
    /// Its pool.
    pub pool: &'static Pool,
    /// The operating system's number of the thread that opened it.
    pub thread: u32,
    /// The call site.
    pub site: Site,
    /// When it was opened, ns since the epoch.
    pub time_ns: u64,
}

fn pool_of(slot: &PoolSlot) -> Option<&'static Pool> {
    // SAFETY: NULL or what `open` stored: a pool, and pools are never unmapped.
    unsafe { slot.pool.load(Ordering::Relaxed).as_ref() }
}

/// Opens a handle, which takes a reference of the caller's over. If no handle can be made, the reference is dropped.
pub fn open(pool: &'static Pool) -> Result<Id> {
    let thread = thread::current();
    let slot = match Table::<PoolSlot>::take(thread) {
        Ok(slot) => slot,
        Err(status) => {
            pool.drop_ref();
            return Err(status);
        }
    };
    slot.pool.store(core::ptr::from_ref(pool).cast_mut(), Ordering::Relaxed);
    slot.thread.store(thread.number(), Ordering::Relaxed);
    slot.site.store(thread.site(), Ordering::Relaxed);
    slot.time_ns.store(os::coarse_time_ns(), Ordering::Relaxed);
    Ok(Table::publish(slot))
}

/// Opens a handle with a reference of its own. TN_ERR_STALE for a pool that was released.
pub fn new_handle(pool: &'static Pool) -> Result<Id> {
    if !pool.try_ref() {
        let name = pool.name();
        return Err(fail(TN_ERR_STALE, format_args!("pool \"{}\" was released already", name.as_str())));
    }
    open(pool)
}

/// The pool of a handle. TN_ERR_STALE, TN_ERR_KIND.
pub fn of_handle(id: Id) -> Result<&'static Pool> {
    let slot = Table::<PoolSlot>::find(id)?;
    match pool_of(slot) {
        // Checked again: what was read belongs to this use of the slot.
        Some(pool) if slot.head.is(id) => Ok(pool),
        _ => Err(released(id)),
    }
}

/// The calling thread's heap for the pool of a handle; for handle 0, of the host's current pool. None: the thread has
/// no cache entry (see [`remember`]), or the handle was released. The thread must be inside the library, so that the
/// heap does not end meanwhile.
#[inline(always)]
pub(super) fn heap(thread: &'static Thread, handle: u64) -> Option<&'static Heap> {
    if handle == 0 {
        // A heap ends with its thread, or with the last reference on its pool. Then no thread has it as its current one.
        return thread_heap::current(thread);
    }
    let entry = KnownHandles::of(thread).entry(handle);
    let heap = entry.heap.get();
    // After the handle is closed, no entry has it: `close` removes it from all of them.
    // SAFETY: `remember` stored a heap of this thread. After the last reference on its pool was dropped, no entry
    // has a handle of it.
    (entry.handle.load(Ordering::Relaxed) == handle).then(|| unsafe { heap.unwrap_unchecked() })
}

/// Caches the calling thread's heap, if it has one, for its next calls with that handle. None: for the host's current
/// pool.
pub fn remember(id: Option<Id>, pool: &'static Pool) {
    let thread = thread::current();
    let _inside = CriticalSection::enter(thread);
    let Some(heap) = Heap::of(thread, pool) else { return };
    let Some(id) = id else {
        // A callback may have set another pool meanwhile.
        if current::is_current_of_host(thread, pool) {
            thread_heap::set_current(thread, Some(heap));
        }
        return;
    };
    if let Ok(slot) = Table::<PoolSlot>::find(id)
        && pool_of(slot).is_some_and(|now| core::ptr::eq(now, pool))
    {
        let entry = KnownHandles::of(thread).entry(id.bits());
        entry.heap.set(Some(heap));
        // Tells `close` that threads have entries.
        slot.is_known.store(true, Ordering::Relaxed);
        entry.handle.store(id.bits(), Ordering::Relaxed);
        // Pairs with the fence in `forget_handle`: either that function finds the entry, or this thread sees that the
        // handle was closed.
        fence(Ordering::SeqCst);
        if !slot.head.is_live(id) {
            entry.handle.store(0, Ordering::Relaxed);
        }
    }
}

/// Closes a handle and drops its reference (PO-6). TN_ERR_STALE, TN_ERR_KIND.
pub fn close(id: Id) -> Result<()> {
    let slot = Table::<PoolSlot>::find(id)?;
    pool_of(slot).map_or(Ok(()), Pool::check_callable)?;
    if !slot.head.end(id) {
        return Err(released(id));
    }
    fence(Ordering::SeqCst);
    if slot.is_known.swap(false, Ordering::Relaxed) {
        forget_handle(id.bits());
    }
    let pool = pool_of(slot);
    debug_assert!(slot.head.state() == State::Kept);
    Table::free(thread::current(), slot);
    if let Some(pool) = pool {
        pool.drop_ref();
    }
    Ok(())
}

/// Calls `f` with every open handle.
pub fn each_open(mut f: impl FnMut(&Opened)) {
    Table::<PoolSlot>::each(|slot| {
        let opened = Opened {
            id: slot.id(),
            pool: match pool_of(slot) {
                Some(pool) => pool,
                None => return,
            },
            thread: slot.thread.load(Ordering::Relaxed),
            site: Site::from_number(slot.site.load(Ordering::Relaxed)),
            time_ns: slot.time_ns.load(Ordering::Relaxed),
        };
        if slot.head.state() == State::Live && slot.head.is(opened.id) {
            f(&opened);
        }
    });
}

#[cold]
fn released(id: Id) -> crate::error::Status {
    fail(TN_ERR_STALE, format_args!("the tn_pool {id} was released already"))
}
