//! The gate of each record: a pointer by which short calls reach what the layers above keep for the thread.
//!
//! Contract: [`lead`] says what the gate of a thread leads to. While [`FORKING`] is not 0, it leads to something that
//! has nothing, so that a short call finds nothing there, and tests neither whether it may run nor whether the thread
//! has a record. A short call enters before it reads the gate. So either it finds the gate closed, or the thread that
//! closed it finds the short call; a fork puts a barrier of all threads in between.

use super::critical::{CriticalSection, FORKING};
use super::record::Thread;
use super::records::{closed_gate, current_if_registered, each_record};
#[cfg(not(loom))]
use crate::sys::lock::RawLock;
use crate::sys::tls;
use core::sync::atomic::{AtomicPtr, Ordering};

/// What the gates of all records lead to.
///
/// # Safety
/// - Only one type has this trait, also for the record of no thread.
pub unsafe trait BehindGate: Sized + 'static {}

/// The gate of a record.
#[derive(Debug)]
pub struct Gate {
    /// Where it leads now.
    now: AtomicPtr<()>,
    /// Where it leads while it is open.
    open: AtomicPtr<()>,
}

impl Gate {
    /// A gate that leads to one place for ever, or to nothing yet.
    pub(super) const fn new(to: *mut ()) -> Gate {
        Gate { now: AtomicPtr::new(to), open: AtomicPtr::new(to) }
    }

    /// What it leads to. None: the system's thread-locals may be NULL, and it was not led anywhere.
    #[inline(always)]
    pub(super) fn get<T: BehindGate>(&self) -> Option<&'static T> {
        // Acquire pairs with the Release in `turn`.
        let to = self.now.load(Ordering::Acquire).cast::<T>();
        if tls::IS_NEVER_NULL {
            // SAFETY: the gate of a record, and that of no thread, leads to a static value of the type.
            return Some(unsafe { &*to });
        }
        // SAFETY: NULL, or from a reference in `lead`.
        unsafe { to.as_ref() }
    }

    pub(super) fn now(&self) -> *mut () {
        self.now.load(Ordering::Relaxed)
    }
}

/// Held while gates are turned. Its holder is in a critical section, or is the thread that forks.
#[cfg(not(loom))]
static TURNING: RawLock = RawLock::new();

#[cfg(not(loom))]
fn turn<R>(work: impl FnOnce() -> R) -> R {
    TURNING.lock();
    let result = work();
    TURNING.unlock();
    result
}

/// The gates of a model are always open.
#[cfg(loom)]
fn turn<R>(work: impl FnOnce() -> R) -> R {
    work()
}

/// As `turn`, on any thread.
fn turn_inside<R>(work: impl FnOnce() -> R) -> R {
    let _inside = current_if_registered().map(CriticalSection::enter);
    turn(work)
}

/// Leads the gate of a thread to a value; None: to nothing. Called by that thread, or while it is in no short call.
pub fn lead<T: BehindGate>(thread: &Thread, to: Option<&'static T>) {
    let to = to.map_or(closed_gate(), |to| core::ptr::from_ref(to).cast_mut().cast());
    turn_inside(|| {
        thread.gate.open.store(to, Ordering::Relaxed);
        if FORKING.load(Ordering::Relaxed) == 0 {
            thread.gate.now.store(to, Ordering::Release);
        }
    });
}

/// What the gate of a thread leads to while it is open, also while it is closed. None: nothing was led there.
#[inline]
pub fn leads_to<T: BehindGate>(thread: &Thread) -> Option<&'static T> {
    let to = thread.gate.open.load(Ordering::Relaxed);
    // SAFETY: as in `Gate::get`.
    if to == closed_gate() { None } else { unsafe { to.cast::<T>().as_ref() } }
}

/// Closes all gates for one more reason. Called by a thread that forks, or as `turn_inside`.
pub(super) fn close(reason: u32) {
    turn(|| {
        if FORKING.fetch_or(reason, Ordering::SeqCst) == 0 {
            each_record(|thread| thread.gate.now.store(closed_gate(), Ordering::Relaxed));
        }
    });
}

/// Opens all gates if there was no other reason.
pub(super) fn open(reason: u32) {
    turn(|| {
        if FORKING.fetch_and(!reason, Ordering::AcqRel) & !reason == 0 {
            each_record(|thread| {
                // Release: a short call sees what was done meanwhile.
                thread.gate.now.store(thread.gate.open.load(Ordering::Relaxed), Ordering::Release);
            });
        }
    });
}

/// As `close` or `open`, on any thread.
pub(super) fn set(reason: u32, on: bool) {
    let _inside = current_if_registered().map(CriticalSection::enter);
    // Whoever closes after another thread has opened sees what that thread did before.
    if on { close(reason) } else { open(reason) }
}

/// Closes the gate of a record until it is led somewhere again: its thread has ended.
#[cfg(not(loom))]
pub(super) fn shut(thread: &Thread) {
    turn_inside(|| {
        thread.gate.open.store(closed_gate(), Ordering::Relaxed);
        thread.gate.now.store(closed_gate(), Ordering::Relaxed);
    });
}
