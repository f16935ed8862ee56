//! Handles of pools, as C functions take and return them.
//!
//! Contract: each handle is one reference on its pool. Opening a handle takes the reference over, and closing it
//! drops the reference, exactly once. A closed handle is stale at once, also for a thread that is looking it up at
//! that moment. Such a call finds the pool retired, or does its work if another reference is left.

use crate::error::Result;
use crate::pool::thread_heap::{Heap, handle_cache};
use crate::pool::{Pool, current};
use crate::sites::Site;
use crate::slots::{self, Head, Id, Kind, Slot, State, Table};
use crate::sys::os;
use crate::thread::{self, CriticalSection};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};

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
    pool.keep()?;
    open(pool)
}

/// The pool of a handle. TN_ERR_STALE, TN_ERR_KIND.
pub fn of_handle(id: Id) -> Result<&'static Pool> {
    let slot = Table::<PoolSlot>::find(id)?;
    match pool_of(slot) {
        // Checked again: what was read belongs to this use of the slot.
        Some(pool) if slot.head.is(id) => Ok(pool),
        _ => Err(slots::stale(id, Kind::Pool)),
    }
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
            handle_cache::remember_current(thread, heap);
        }
        return;
    };
    if let Ok(slot) = Table::<PoolSlot>::find(id)
        && pool_of(slot).is_some_and(|now| core::ptr::eq(now, pool))
    {
        // Tells `close` that threads have entries.
        slot.is_known.store(true, Ordering::Relaxed);
        handle_cache::remember(thread, id.bits(), heap, || slot.head.is_live(id));
    }
}

/// Closes a handle and drops its reference (PO-6). TN_ERR_STALE, TN_ERR_KIND.
pub fn close(id: Id) -> Result<()> {
    let slot = Table::<PoolSlot>::find(id)?;
    pool_of(slot).map_or(Ok(()), Pool::check_callable)?;
    if !slot.head.end(id) {
        return Err(slots::stale(id, Kind::Pool));
    }
    fence(Ordering::SeqCst);
    if slot.is_known.swap(false, Ordering::Relaxed) {
        handle_cache::forget_handle(id.bits());
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
