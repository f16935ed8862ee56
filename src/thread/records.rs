//! The list of all records, and how a thread finds its own.
//!
//! Contract: a record is never unmapped, and never leaves the list. A thread that ends leaves its record to a later
//! one (`leave`).

#[cfg(loom)]
pub use super::model::{closed_gate, current_fast, current_if_registered, each_record};
#[cfg(not(loom))]
use super::record::Thread;
#[cfg(not(loom))]
use crate::sys::tls;
#[cfg(not(loom))]
pub use listed::{
    Absent, add, closed_gate, current_fast, current_if_registered, each_record, forget, has_left, know_absent, records,
    reuse,
};

#[cfg(not(loom))]
mod listed {
    use super::{Thread, tls};
    use crate::thread::record::{UNUSED, USED};
    use core::ptr::NonNull;
    use core::sync::atomic::{AtomicPtr, Ordering};

    /// The records of no thread, which the layer `pool` has: of one that has none yet, and of one that has left its own.
    /// NULL before the first thread has a record, and where the pointer of such a thread is NULL.
    static NO_THREAD: AtomicPtr<Thread> = AtomicPtr::new(core::ptr::null_mut());

    /// A thread without a record.
    #[derive(Clone, Copy)]
    pub enum Absent {
        /// It may get one, and keeps it.
        Yet = 0,
        /// A thread of the preload library that has left its record for good.
        ForGood = 1,
    }

    /// The thread-local pointer of such a thread. Without records of no thread: NULL, or an address that no record has.
    fn pointer_of(absent: Absent) -> *const Thread {
        let first = NO_THREAD.load(Ordering::Relaxed);
        if tls::IS_NEVER_NULL {
            first.wrapping_add(absent as usize)
        } else {
            core::ptr::without_provenance(absent as usize)
        }
    }

    /// Notes the records of no thread. Called by a thread before it gets a record.
    pub fn know_absent() {
        if tls::IS_NEVER_NULL && NO_THREAD.load(Ordering::Relaxed).is_null() {
            NO_THREAD.store(tls::get().cast_mut().cast(), Ordering::Relaxed);
        }
    }

    /// Whether the calling thread has left its record for good.
    pub fn has_left() -> bool {
        cfg!(preload) && core::ptr::eq(tls::get().cast(), pointer_of(Absent::ForGood))
    }

    /// The calling thread has no record from now on. `record`: the one before.
    pub fn forget(record: &Thread, absent: Absent) {
        tls::set(pointer_of(absent).cast(), Some(&record.tls));
    }

    /// Where a closed gate leads; NULL if there are no records of no thread.
    pub fn closed_gate() -> *mut () {
        // SAFETY: NULL, or a record that is never freed.
        unsafe { NO_THREAD.load(Ordering::Relaxed).as_ref() }.map_or(core::ptr::null_mut(), |record| record.gate.now())
    }

    /// The calling thread's record, if it has one.
    #[inline(always)]
    pub fn current_if_registered() -> Option<&'static Thread> {
        let found = if cfg!(preload) { None } else { current_fast() };
        let slow =
            || of(NonNull::new(tls::get().cast_mut())?).filter(|record| !tls::IS_NEVER_NULL || record.is_taken());
        found.or_else(slow)
    }

    /// The calling thread's record, or that of no thread, if a short call may have it. After None the thread may still
    /// have a record.
    #[inline(always)]
    pub fn current_fast() -> Option<&'static Thread> {
        of(tls::get_from_table()?)
    }

    #[inline(always)]
    fn of(pointer: NonNull<()>) -> Option<&'static Thread> {
        if !tls::IS_NEVER_NULL && cfg!(preload) && pointer.addr().get() == Absent::ForGood as usize {
            return None;
        }
        // SAFETY: what `register` stored, or a record of no thread. None is ever freed.
        Some(unsafe { pointer.cast::<Thread>().as_ref() })
    }

    /// All records, newest first.
    static RECORDS: AtomicPtr<Thread> = AtomicPtr::new(core::ptr::null_mut());

    pub fn records() -> impl Iterator<Item = &'static Thread> {
        let mut at = RECORDS.load(Ordering::Acquire);
        core::iter::from_fn(move || {
            // SAFETY: records are never freed.
            let record = unsafe { at.as_ref() }?;
            at = record.next.load(Ordering::Relaxed);
            Some(record)
        })
    }

    /// Calls `visit` with the record of every thread, also of those that ended.
    pub fn each_record(visit: impl FnMut(&'static Thread)) {
        records().for_each(visit);
    }

    /// Adds a record that only the caller uses.
    pub fn add(record: &'static Thread) {
        let this = core::ptr::from_ref(record).cast_mut();
        let mut head = RECORDS.load(Ordering::Relaxed);
        loop {
            record.next.store(head, Ordering::Relaxed);
            // Release pairs with the Acquire in `records`.
            match RECORDS.compare_exchange_weak(head, this, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// A record that a thread has left, which only the caller uses from now on.
    pub fn reuse() -> Option<&'static Thread> {
        // Acquire pairs with the Release in `leave`: the former owner's writes are seen.
        records().find(|r| {
            r.used.load(Ordering::Relaxed) == UNUSED
                && r.used.compare_exchange(UNUSED, USED, Ordering::Acquire, Ordering::Relaxed).is_ok()
        })
    }
}
