//! A record is left: by its thread at its end, or for a thread that no longer exists.
//!
//! Contract: the exit hooks of the layers above run before another thread may take the record.

#[cfg(not(loom))]
use super::gates;
use super::record::Thread;
#[cfg(not(loom))]
use super::record::{LATE, UNUSED, USED};
#[cfg(not(loom))]
use super::records::records;
#[cfg(not(loom))]
use crate::sys::os;
use core::sync::atomic::{AtomicUsize, Ordering};

/// What a layer above does when a thread ended: `hook(record)`.
pub type ExitHook = fn(&'static Thread);

/// Exit hooks: one for each kind of slots, and some for others.
static HOOKS: [AtomicUsize; 32] = [const { AtomicUsize::new(0) }; 32];

/// Registers a hook, once however often it is called. Hooks run on the ending thread, or in the child of a fork for a
/// thread that no longer exists.
pub fn on_exit(hook: ExitHook) {
    register_once(&HOOKS, hook as usize);
}

/// Enters a hook in the first free entry, unless it is there already.
pub(super) fn register_once(hooks: &[AtomicUsize], hook: usize) {
    for entry in hooks {
        match entry.compare_exchange(0, hook, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return,
            Err(registered) if registered == hook => return,
            Err(_) => {}
        }
    }
    unreachable!("more hooks than entries");
}

/// The number of records marked [`LATE`].
#[cfg(not(loom))]
static LATE_RECORDS: AtomicUsize = AtomicUsize::new(0);

/// Marks the calling thread's record as one that the thread cannot leave.
#[cfg(not(loom))]
pub fn mark_late(record: &'static Thread) {
    LATE_RECORDS.fetch_add(1, Ordering::Relaxed);
    // Release pairs with the Acquire in `take_back_late`.
    record.used.store(LATE, Ordering::Release);
}

/// Leaves the late records of threads that no longer exist. The calling thread has a record, because the exit hooks
/// take locks.
#[cfg(not(loom))]
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
#[cfg(not(loom))]
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
    gates::shut(record);
    forget();
    // Last: another thread may take the record at once.
    record.used.store(UNUSED, Ordering::Release);
}
