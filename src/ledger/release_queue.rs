//! Releases that wait until the program runs them.

use super::deferred_release;
use super::locked::{each_store, lock_tag};
use super::origin::Origin;
use super::state::{Backing, Lease};
use crate::thread::{self, ColdLock};

/// Releases that wait for [`run_releases`], in the order in which their leases ended.
struct Queue {
    first: Option<&'static Lease>,
    last: Option<&'static Lease>,
    count: u64,
    bytes: u64,
}

static QUEUE: ColdLock<Queue> = ColdLock::new(Queue { first: None, last: None, count: 0, bytes: 0 });

/// Adds the release of a lease that ended.
pub(super) fn add(lease: &'static Lease) {
    let mut queue = QUEUE.lock();
    // SAFETY: ended and in no list: the queue's from here on.
    let body = unsafe { lease.guarded.own() };
    body.next = None;
    queue.count += 1;
    queue.bytes += (body.end - body.start) as u64;
    match queue.last.replace(lease) {
        // SAFETY: the queue owns the leases in it and is locked.
        Some(last) => unsafe { last.guarded.own() }.next = Some(lease),
        None => queue.first = Some(lease),
    }
}

/// Number and bytes of the imports whose release waits, in the queue or for device work.
pub fn queued() -> (u64, u64) {
    let (mut count, mut bytes) = {
        let queue = QUEUE.lock();
        (queue.count, queue.bytes)
    };
    // Stores are searched only if one of them may have such an import.
    if !deferred_release::is_empty() {
        each_lingering(|lingering, _| {
            count += 1;
            bytes += lingering;
        });
    }
    (count, bytes)
}

/// Calls `visit` with bytes and origin of each queued release, under the queue's lock.
pub fn each_queued(mut visit: impl FnMut(u64, Origin)) {
    let queue = QUEUE.lock();
    let mut at = queue.first;
    while let Some(lease) = at {
        // SAFETY: queued leases are the queue's, which we have locked.
        let body = unsafe { lease.guarded.own() };
        visit((body.end - body.start) as u64, body.origin);
        at = body.next;
    }
}

/// Calls `visit` with bytes and origin of each import that only unfinished device work keeps, under its store's lock.
pub fn each_lingering(mut visit: impl FnMut(u64, Origin)) {
    each_store(|tag| {
        let Some((locked, ledger)) = lock_tag(tag) else { return };
        let state = locked.state(ledger);
        if state.works == 0 {
            return;
        }
        let mut show = |lease: &'static Lease| {
            // SAFETY: of a store that is locked; the lease of taken bytes belongs to the store, and does not change
            // while that exists.
            let body = unsafe { &*lease.guarded.body.get() };
            visit((body.end - body.start) as u64, body.origin);
        };
        if let Backing::Taken(lease) = state.backing
            && state.is_unused()
        {
            show(lease);
        }
        let mut at = state.lease_list;
        while let Some(lease) = at {
            if locked.is_over(lease) {
                show(lease);
            }
            at = locked.get(lease).next;
        }
    });
}

/// Runs the queued releases in their order, on this thread; releases that these queue wait for the next call. Imports
/// whose device work has passed are released too.
pub fn run_releases() -> usize {
    let thread = thread::current();
    let mut ran = deferred_release::poll_deferred(usize::MAX);
    let mut at = {
        let mut queue = QUEUE.lock();
        queue.count = 0;
        queue.bytes = 0;
        queue.last = None;
        queue.first.take()
    };
    while let Some(lease) = at {
        // SAFETY: taken off the queue: ours alone.
        at = unsafe { lease.guarded.own() }.next.take();
        lease.run(thread);
        ran += 1;
    }
    ran
}
