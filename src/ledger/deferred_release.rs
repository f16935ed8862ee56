//! Stores and imports that only unfinished device work keeps. Their bytes are foreign, so no pool waits for that work,
//! and the library has no thread that could. They are kept in a list, which later calls poll.

use super::locked::Locked;
use super::state::{GuardedSlot, Lease, Ledger, Place};
use crate::thread::{self, QuickLock, Thread};
use core::sync::atomic::{AtomicUsize, Ordering};

struct List {
    first: Option<&'static Ledger>,
    last: Option<&'static Ledger>,
    /// Number of ledgers that a call has taken off the list to poll them, and may add again.
    being_polled: usize,
}

/// The number of ledgers in the list; changes under its lock.
static LENGTH: AtomicUsize = AtomicUsize::new(0);

static LIST: QuickLock<List> = QuickLock::new(List { first: None, last: None, being_polled: 0 });

pub(super) fn is_empty() -> bool {
    let list = LIST.lock();
    LENGTH.load(Ordering::Relaxed) + list.being_polled == 0
}

/// The list's link in a ledger.
///
/// # Safety
/// - The list is locked by the caller, who has no other link.
#[allow(clippy::mut_from_ref)]
unsafe fn link_of(ledger: &'static Ledger) -> &'static mut Place {
    ledger.waiting.watch.write();
    // SAFETY: the caller's obligation; ledgers are never unmapped.
    unsafe { &mut *ledger.waiting.place.get() }
}

/// Adds a store on which something waits for device work. The caller may have ledgers locked; the list's lock comes
/// after theirs.
pub(super) fn add(ledger: &'static Ledger) {
    let mut list = LIST.lock();
    // SAFETY: locked, and the only reference to a link.
    let own = unsafe { link_of(ledger) };
    if core::mem::replace(&mut own.queued, true) {
        return;
    }
    own.next = None;
    match list.last.replace(ledger) {
        // SAFETY: locked; another one than `own`, which was in no list.
        Some(last) => unsafe { link_of(last) }.next = Some(ledger),
        None => list.first = Some(ledger),
    }
    LENGTH.fetch_add(1, Ordering::Relaxed);
}

/// Takes the store that waited longest off the list.
fn take() -> Option<&'static Ledger> {
    let mut list = LIST.lock();
    let ledger = list.first?;
    // SAFETY: locked, and the only reference to a link.
    let own = unsafe { link_of(ledger) };
    own.queued = false;
    list.first = own.next.take();
    if list.first.is_none() {
        list.last = None;
    }
    LENGTH.fetch_sub(1, Ordering::Relaxed);
    list.being_polled += 1;
    Some(ledger)
}

/// Number of stores that a call with device work polls in passing.
pub const POLLED_PER_CALL: usize = 4;

/// Polls the stores that waited longest, at most `most` of them, and ends what waited for device work that has passed.
/// Queries the driver, but never waits; under no lock. Returns how many imports were released.
pub fn poll_deferred(most: usize) -> usize {
    let length = LENGTH.load(Ordering::Relaxed);
    let mut ran = 0;
    for _ in 0..length.min(most) {
        let Some(ledger) = take() else { break };
        ran += poll_store(ledger);
        LIST.lock().being_polled -= 1;
    }
    ran
}

/// Ends what waited for passed device work of one ledger, which may belong to another store by now; that does no harm.
/// Returns how many imports were released.
fn poll_store(ledger: &'static Ledger) -> usize {
    let thread = thread::current();
    let mut ran = 0;
    loop {
        let locked = Locked::one(thread, ledger);
        let mut points = locked.unfinished_work(ledger, None);
        ran += locked.finish();
        if points.is_empty() {
            return ran;
        }
        let passed = points.have_passed();
        points.clear();
        let mut locked = Locked::one(thread, ledger);
        locked.drop_passed_work(ledger);
        let left = locked.state(ledger).works;
        ran += locked.finish();
        if left > 0 && !passed {
            add(ledger);
            return ran;
        }
    }
}

/// Waits for the device work that keeps an import, and drops the use that a locked section of this thread added for the
/// wait. Under no lock. Returns the next such import of the section, and how many imports were released.
pub(super) fn wait_and_end_import(thread: &'static Thread, lease: &'static Lease) -> (Option<&'static Lease>, usize) {
    loop {
        let ledger = lease.guarded().ledger().expect("open leases have a ledger");
        let mut locked = Locked::one(thread, ledger);
        let mut points = locked.unfinished_work(ledger, Some(lease));
        let done = points.is_empty();
        if !done {
            drop(locked);
            // A lost device does not use the bytes any more, so its work has passed. If the wait fails, later calls
            // poll again.
            let waited = points.wait().is_ok();
            locked = Locked::one(thread, ledger);
            locked.drop_passed_work(ledger);
            if waited {
                continue;
            }
        }
        let next = locked.end_urgent_wait(lease);
        return (next, locked.finish());
    }
}
