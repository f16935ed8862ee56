//! The list of all records, how a thread finds its own, and what runs when a thread ends.
//!
//! Contract: a record is never unmapped, and never leaves the list. A thread that ends leaves its record to a later
//! one, after the exit hooks of the layers above have run.

#[cfg(loom)]
pub use super::model::{closed_gate, current_fast, current_if_registered, each_record};
use super::record::Thread;
#[cfg(not(loom))]
use crate::sys::tls;
use core::sync::atomic::{AtomicUsize, Ordering};
#[cfg(not(loom))]
pub use listed::{
    Absent, add, closed_gate, current_fast, current_if_registered, each_record, forget, has_left, know_absent, leave,
    mark_late, records, reuse, take_back_late,
};

/// What a layer above does when a thread ended: `hook(record)`.
pub type ExitHook = fn(&'static Thread);

/// Exit hooks: one for each kind of slots, and some for others.
static HOOKS: [AtomicUsize; 32] = [const { AtomicUsize::new(0) }; 32];

/// Registers a hook, once however often it is called. Hooks run on the ending thread, or in the child of a fork for a
/// thread that no longer exists.
pub fn on_exit(hook: ExitHook) {
    let value = hook as usize;
    for entry in &HOOKS {
        match entry.compare_exchange(0, value, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return,
            Err(registered) if registered == value => return,
            Err(_) => {}
        }
    }
    unreachable!("more exit hooks than entries");
}

#[cfg(not(loom))]
mod listed {
    use super::{ExitHook, HOOKS, Thread, tls};
    use crate::sys::os;
    use crate::thread::gate;
    use crate::thread::record::{LATE, UNUSED, USED};
    use core::ptr::NonNull;
    use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

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

    /// The number of records marked [`LATE`].
    static LATE_RECORDS: AtomicUsize = AtomicUsize::new(0);

    /// Marks the calling thread's record as one that the thread cannot leave.
    pub fn mark_late(record: &'static Thread) {
        LATE_RECORDS.fetch_add(1, Ordering::Relaxed);
        // Release pairs with the Acquire in `take_back_late`.
        record.used.store(LATE, Ordering::Release);
    }

    /// Leaves the late records of threads that no longer exist. The calling thread has a record, because the exit hooks
    /// take locks.
    pub fn take_back_late(own: &'static Thread) {
        if LATE_RECORDS.load(Ordering::Relaxed) == 0 {
            return;
        }
        for record in records().filter(|record| !core::ptr::eq(*record, own)) {
            let is_late = record.used.load(Ordering::Relaxed) == LATE;
            // Acquire pairs with the Release in `mark_late`: the number is that of the thread that has the record now.
            if !is_late || record.used.compare_exchange(LATE, USED, Ordering::Acquire, Ordering::Relaxed).is_err() {
                continue;
            }
            // A thread with the calling thread's number has ended: the system has reused the number.
            if record.number() != own.number() && os::thread_exists(record.number()) {
                record.used.store(LATE, Ordering::Release);
                continue;
            }
            LATE_RECORDS.fetch_sub(1, Ordering::Relaxed);
            // Pairs with the Release at the end of the thread's last critical section.
            record.is_inside();
            leave(record, || ());
        }
    }

    /// Runs the exit hooks, and then ends the use of a record. The thread, if it still exists, finds its record until
    /// the hooks have run, because a lock that they take would otherwise register it again. `forget` then makes the
    /// thread forget its record.
    pub fn leave(record: &'static Thread, forget: impl FnOnce()) {
        for entry in &HOOKS {
            let value = entry.load(Ordering::Acquire);
            if value != 0 {
                // SAFETY: only `on_exit` stores here, and only hooks.
                let hook: ExitHook = unsafe { core::mem::transmute::<usize, ExitHook>(value) };
                hook(record);
            }
        }
        record.reset();
        gate::shut(record);
        forget();
        // Last: another thread may take the record at once.
        record.used.store(UNUSED, Ordering::Release);
    }
}
