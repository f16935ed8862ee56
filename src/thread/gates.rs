//! The gates of all records: where they lead, and when they are closed.
//!
//! Contract: [`lead`] says what the gate of a thread leads to. While [`FORKING`] is not 0, it leads to something that
//! has nothing, so that a short call finds nothing there, and tests neither whether it may run nor whether the thread
//! has a record. Either a short call finds the gate closed, or the thread that closed it finds the short call; a fork
//! puts a barrier of all threads in between.

use super::critical::{CriticalSection, FORKING};
use super::gate::BehindGate;
use super::record::Thread;
use super::records::{closed_gate, current_if_registered, each_record};
#[cfg(not(loom))]
use crate::sys::lock::RawLock;
use core::sync::atomic::Ordering;

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
    // SAFETY: NULL, or from a reference in `lead`.
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
