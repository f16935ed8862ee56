//! Stores and imports that nothing holds any more but unfinished device work. Their bytes are foreign, so no pool can wait in their
//! place, and no thread of this library does: they stand in one list, and whoever asks again ends what has passed.

use super::locked::Locked;
use super::state::{GuardedSlot, Lease, Ledger, Place};
use crate::thread::{self, QuickLock, Thread};

struct List {
    first: Option<&'static Ledger>,
    last: Option<&'static Ledger>,
    length: usize,
    /// Those that were taken off to be looked at, and may come back.
    looked_at: usize,
}

static LIST: QuickLock<List> = QuickLock::new(List { first: None, last: None, length: 0, looked_at: 0 });

/// Whether nothing waits for device work.
pub(super) fn is_empty() -> bool {
    let list = LIST.lock();
    list.length + list.looked_at == 0
}

/// The place of a ledger.
///
/// # Safety
/// - The list is locked by the caller, who has no other place.
#[allow(clippy::mut_from_ref)]
unsafe fn place(ledger: &'static Ledger) -> &'static mut Place {
    ledger.waiting.watch.write();
    // SAFETY: the caller's promise; ledgers are never unmapped.
    unsafe { &mut *ledger.waiting.place.get() }
}

/// Notes that something on the store waits for device work. A ledger may be locked by the caller: this lock comes after all of theirs.
pub(super) fn add(ledger: &'static Ledger) {
    let mut list = LIST.lock();
    // SAFETY: locked, and the only place that is out.
    let own = unsafe { place(ledger) };
    if core::mem::replace(&mut own.queued, true) {
        return;
    }
    own.next = None;
    match list.last.replace(ledger) {
        // SAFETY: locked; not the one above, which was in no list.
        Some(last) => unsafe { place(last) }.next = Some(ledger),
        None => list.first = Some(ledger),
    }
    list.length += 1;
}

fn take() -> Option<&'static Ledger> {
    let mut list = LIST.lock();
    let ledger = list.first?;
    // SAFETY: locked, and the only place that is out.
    let own = unsafe { place(ledger) };
    own.queued = false;
    list.first = own.next.take();
    if list.first.is_none() {
        list.last = None;
    }
    list.length -= 1;
    list.looked_at += 1;
    Some(ledger)
}

/// Stores that a call looks at in passing.
pub const POLLED_PER_CALL: usize = 4;

/// Looks at stores that wait for device work, and ends what waited for work that has passed by now. Asks the driver, never waits;
/// under no lock. SlotInLedger most so many stores, those that waited longest first. Returns how many imports ended for good: their releases ran here.
pub fn poll_deferred(most: usize) -> usize {
    let length = LIST.lock().length;
    let mut ran = 0;
    for _ in 0..length.min(most) {
        let Some(ledger) = take() else { break };
        ran += visit(ledger);
        LIST.lock().looked_at -= 1;
    }
    ran
}

/// The ledger may be another store's by now, which does no harm.
fn visit(ledger: &'static Ledger) -> usize {
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

/// Waits for the work that keeps an import, on which a locked section of this thread's has put a use of its own, and ends that. Under no lock.
/// Returns the next such import of that section, and how many ended.
pub(super) fn finish(thread: &'static Thread, lease: &'static Lease) -> (Option<&'static Lease>, usize) {
    loop {
        let ledger = lease.guarded().ledger().expect("open leases have a ledger");
        let mut locked = Locked::one(thread, ledger);
        let mut points = locked.unfinished_work(ledger, Some(lease));
        let done = points.is_empty();
        if !done {
            drop(locked);
            // A device that is lost does not touch the bytes any more: its work has passed. What cannot be waited for is left to later calls.
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
