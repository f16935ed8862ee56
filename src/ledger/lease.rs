//! Leases: imports of foreign bytes, and when their releases run.

use super::claim::SpareClaim;
use super::deferred_release;
use super::locked::Locked;
use super::log::log_import;
use super::origin::Origin;
use super::release::Release;
use super::release_queue;
use super::state::{Backing, Claim, Lease, LeaseBody, Ledger};
use crate::error::Result;
use crate::events::{ENDED, READ};
use crate::slots::{Id, Spare, State, Table};
use crate::thread::{self, Thread};

impl Lease {
    /// Changes when the slot is reused; weak handles compare it.
    pub(crate) fn epoch(&self) -> u32 {
        self.head.epoch()
    }

    /// Runs the release of a lease that ended, or queues it and returns false. Under no lock.
    pub(super) fn end(&'static self, thread: &'static Thread) -> bool {
        // SAFETY: ended and in no list: ours alone.
        let body = unsafe { self.guarded.own() };
        if body.queued {
            release_queue::add(self);
            return false;
        }
        self.run(thread);
        true
    }

    /// Runs the release and frees the slot.
    pub(super) fn run(&'static self, thread: &'static Thread) {
        // SAFETY: ended and in no list: ours alone.
        let body = unsafe { self.guarded.own() };
        log_import(body, ENDED);
        let (release, forks) = (body.release, body.forks);
        body.release = Release::None;
        Table::free(thread, self);
        // SAFETY: the lease has ended, so no use of the bytes is left, and this is its only run.
        unsafe { release.run(forks != thread::forks()) };
    }
}

/// A lease slot that is in no ledger yet. Its drop, after a failed import, does not run the release.
pub type SpareLease = Spare<Lease>;

impl Lease {
    /// Takes a slot and stores the release; outside of locks.
    pub fn spare(
        thread: &'static Thread,
        release: Release,
        queued: bool,
        may_overwrite: bool,
        range: (i64, i64),
    ) -> Result<SpareLease> {
        // Without a callback there is nothing to queue.
        let queued = queued && !matches!(release, Release::None);
        let spare = SpareLease::take(thread)?;
        // SAFETY: taken, in no list: ours alone.
        *unsafe { spare.slot().guarded.own() } = LeaseBody {
            next: None,
            previous: None,
            release,
            queued,
            may_overwrite,
            users: 0,
            lingering: 0,
            waits: false,
            has_urgent_wait: false,
            next_urgent: None,
            start: range.0,
            end: range.1,
            origin: Origin::by(thread),
            forks: thread::forks(),
        };
        Ok(spare)
    }
}

impl SpareLease {
    /// Makes the end of the import wait for the device work on its bytes. Otherwise a later call releases it after that
    /// work.
    pub fn set_waits(&mut self) {
        // SAFETY: taken, in no list: ours alone.
        unsafe { self.slot().guarded.own() }.waits = true;
    }

    /// Runs or queues the release at once, because the bytes were copied. Under no lock.
    pub(crate) fn end_now(self) {
        let thread = self.thread();
        let _ = self.into_lease().end(thread);
    }

    pub(super) fn into_lease(self) -> &'static Lease {
        let lease = self.into_slot();
        lease.head.set_state(State::Kept);
        // SAFETY: not in a ledger yet: ours alone.
        log_import(unsafe { lease.guarded.own() }, READ);
        lease
    }
}

impl Locked {
    /// Bytes that were page-locked by the registration from which the claim descends; 0 for any other claim.
    pub(crate) fn registered_bytes(&self, claim: &'static Claim) -> u64 {
        let Some(lease) = self.get(claim).lease else { return 0 };
        let body = self.get(lease);
        if matches!(body.release, Release::Unlock(_)) { (body.end - body.start) as u64 } else { 0 }
    }

    pub(super) fn open_lease(&mut self, ledger: &'static Ledger, lease: &'static Lease) {
        lease.guarded.set_ledger(ledger);
        // SAFETY: `state_mut` checks that the ledger is locked by us; the lease is unpublished.
        unsafe { self.state_mut(ledger).link_lease(lease) };
    }

    /// Adds an import of bytes of this store: a claim with a lease. A lent store grows to the lease's range.
    pub(crate) fn join(&mut self, ledger: &'static Ledger, lease: SpareLease, claim: SpareClaim) -> Id {
        let lease = lease.into_lease();
        self.open_lease(ledger, lease);
        let (start, end) = {
            let body = self.get(lease);
            (body.start, body.end)
        };
        let state = self.state_mut(ledger);
        if matches!(state.backing, Backing::Lent) {
            let last = end.max(state.start + state.bytes);
            state.start = state.start.min(start);
            state.bytes = last - state.start;
        }
        self.add_claim(ledger, claim, Some(lease))
    }

    /// Adds a claim that descends from the import.
    #[inline]
    pub(super) fn hold_lease(&mut self, lease: &'static Lease) {
        self.get_mut(lease).users += 1;
    }

    /// Drops the lease of an unused claim, now or once the device work on it has passed.
    pub(super) fn drop_lease_after_work(&mut self, claim: &'static Claim) {
        let Some(lease) = self.get(claim).lease else { return };
        if !self.has_work(claim) {
            return self.drop_lease(claim);
        }
        if !core::mem::replace(&mut self.get_mut(claim).lingers, true) {
            self.get_mut(lease).lingering += 1;
        }
        deferred_release::add(self.ledger_of(claim));
        self.add_urgent_wait_if_last(lease);
    }

    /// Whether only unfinished device work keeps an import, so that no further claim may descend from it.
    pub(super) fn is_over(&self, lease: &'static Lease) -> bool {
        let body = self.get(lease);
        body.users == body.lingering + u32::from(body.has_urgent_wait)
    }

    /// Adds a wait for device work, made by this thread after unlocking, if only that work keeps the import and its end
    /// has to wait for it.
    fn add_urgent_wait_if_last(&mut self, lease: &'static Lease) {
        let urgent = self.after.urgent;
        let body = self.get_mut(lease);
        if body.waits && body.lingering == body.users {
            body.waits = false;
            body.has_urgent_wait = true;
            body.users += 1;
            body.next_urgent = urgent;
            self.after.urgent = Some(lease);
        }
    }

    /// Ends the use that a wait for device work added, and returns the next import to wait for.
    pub(super) fn end_urgent_wait(&mut self, lease: &'static Lease) -> Option<&'static Lease> {
        let body = self.get_mut(lease);
        body.has_urgent_wait = false;
        let next = body.next_urgent.take();
        let ledger = self.ledger_of(lease);
        self.drop_lease_use(lease);
        self.mark_dead_if_unused(ledger);
        next
    }

    /// Drops the lease of a claim. The last claim ends the lease.
    pub(super) fn drop_lease(&mut self, claim: &'static Claim) {
        let Some(lease) = self.get_mut(claim).lease.take() else { return };
        let lingered = core::mem::take(&mut self.get_mut(claim).lingers);
        self.get_mut(lease).lingering -= u32::from(lingered);
        self.drop_lease_use(lease);
    }

    fn drop_lease_use(&mut self, lease: &'static Lease) {
        let body = self.get_mut(lease);
        body.users -= 1;
        if body.users > 0 {
            self.add_urgent_wait_if_last(lease);
            return;
        }
        let ledger = self.ledger_of(lease);
        let state = self.state_mut(ledger);
        // SAFETY: `state_mut` checks that the ledger is locked by us; it guards the lease, which is in the list.
        unsafe { state.unlink_lease(lease) };
        if matches!(state.backing, Backing::Lent) {
            self.shrink(ledger);
        }
        lease.head.make_stale(State::Kept);
        self.after.add_lease(lease);
    }

    /// Shrinks a lent store to the span of its open leases.
    fn shrink(&mut self, ledger: &'static Ledger) {
        let mut at = self.state(ledger).lease_list;
        let mut span: Option<(i64, i64)> = None;
        while let Some(lease) = at {
            let body = self.get(lease);
            let (start, end) = span.unwrap_or((body.start, body.end));
            span = Some((start.min(body.start), end.max(body.end)));
            at = body.next;
        }
        if let Some((start, end)) = span {
            let state = self.state_mut(ledger);
            state.start = start;
            state.bytes = end - start;
        }
    }
}
