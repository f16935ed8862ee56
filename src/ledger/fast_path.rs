//! The fast path for one handle: one locked ledger, slots from the thread's cache only, no deferred work.
//!
//! Each function either does all of its work or changes nothing and says so. It gives up if a check fails, if the
//! thread's cache is empty, or if something else would end too. The caller then takes the slow path through
//! [`super::Locked`], which knows every case and every status. Both paths share `transitions`.
//!
//! Measured, borrow + end through C: 30 ns on the slow path and 19 ns on this one, of which the lock's two exchanges
//! take 9.

use super::class::{Class, Completion, GuardParams};
use super::log;
use super::origin::Origin;
use super::state::{Backing, Claim, ClaimBody, Guard, GuardedSlot, Ledger, LedgerState, Promise, TakenBy};
use crate::device::checked;
use crate::events::{self, Kind};
use crate::layout::Layout;
use crate::slots::{Id, Slot, State, Table};
use crate::thread::{CriticalSection, Thread, are_devices_in_doubt};
use crate::types::{TN_CPU, tn_device};

/// A slot, and the ledger that guards it. [`LockedSlot`] and `fast_enter` lock the ledger and then use the slot.
///
/// Obligations of the caller of each unsafe function: it has locked the ledger, which guards the slot, and no reference
/// exists to anything that the lock guards.
pub(super) struct SlotInLedger<S: GuardedSlot> {
    pub(super) slot: &'static S,
    pub(super) ledger: &'static Ledger,
}

impl<S: GuardedSlot> Clone for SlotInLedger<S> {
    #[inline(always)]
    fn clone(&self) -> SlotInLedger<S> {
        *self
    }
}

impl<S: GuardedSlot> Copy for SlotInLedger<S> {}

impl<S: GuardedSlot> SlotInLedger<S> {
    /// The slot and ledger to which a handle leads. For a stale handle the ledger may be any one, which is harmless to
    /// lock; the checks under the lock decide.
    #[inline(always)]
    pub(super) fn guess(id: Id) -> Option<SlotInLedger<S>> {
        let slot: &'static S = Table::guess(id)?;
        Some(SlotInLedger { slot, ledger: slot.guarded().ledger()? })
    }

    /// Whether the ledger, now locked, guards the slot.
    #[inline(always)]
    pub(super) fn guards(&self) -> bool {
        self.slot.guarded().ledger().is_some_and(|now| core::ptr::eq(now, self.ledger))
    }

    /// The contents of the slot.
    ///
    /// # Safety
    /// - As above; no mutable reference is made while this one is out.
    #[inline(always)]
    pub(super) unsafe fn body<'a>(self) -> &'a S::Body {
        self.slot.guarded().watch.read();
        // SAFETY: the caller's obligation.
        unsafe { &*self.slot.guarded().body.get() }
    }

    /// The state of the ledger.
    ///
    /// # Safety
    /// - As above; no other reference is made while this one is out.
    #[inline(always)]
    unsafe fn state_mut<'a>(self) -> &'a mut LedgerState {
        self.ledger.watch.write();
        // SAFETY: the caller's obligation.
        unsafe { &mut *self.ledger.state.get() }
    }
}

impl SlotInLedger<Claim> {
    /// Adds a claim that derives from this one, see [`LockedSlot::add_claim`].
    ///
    /// # Safety
    /// - As above.
    #[inline(always)]
    pub(super) unsafe fn add_claim(
        self,
        thread: &'static Thread,
        fill: impl FnOnce(&ClaimBody, &mut ClaimBody) -> Option<bool>,
    ) -> Option<Id> {
        // SAFETY: the caller's obligation.
        let from = unsafe { self.body() };
        if from.lease.is_some() {
            return None;
        }
        let claim: &'static Claim = Table::take_cached(thread)?;
        claim.guarded().set_ledger(self.ledger);
        // SAFETY: taken, and not published yet: ours alone.
        let to = unsafe { claim.guarded().own() };
        let Some(keeps_root) = fill(from, to) else {
            Table::free(thread, claim);
            return None;
        };
        to.origin = Origin::by(thread);
        // SAFETY: the caller's obligation; the claim is new, and the references above are not used any more.
        unsafe {
            let state = self.state_mut();
            if keeps_root {
                state.share_root(self.slot, claim);
            }
            state.link_claim(claim);
        }
        Some(Table::publish(claim))
    }
}

impl SlotInLedger<Promise> {
    /// The claim that passes with this promise, if the fast path can pass it: its handle is live, the promise is its
    /// only one, and it has no guard, record, lease or layout outside of its slot.
    ///
    /// # Safety
    /// - As above.
    #[inline(always)]
    pub(super) unsafe fn passing_claim(self) -> Option<&'static Claim> {
        // SAFETY: the caller's obligation.
        let claim = unsafe { self.body() }.claim?; // None: the promise is spent
        // SAFETY: the claim of an outstanding promise is guarded by its ledger.
        let from = unsafe { claim.guarded().own() };
        let only = from.given == 1 && from.required == 1 && claim.head().state() == State::Live;
        (only && from.layout_refs == 0 && from.lease.is_none() && from.layout.is_inline()).then_some(claim)
    }

    /// Passes the claim to a new handle. The old one is destructed, and stores where it was taken, and how. None if
    /// the thread's cache is empty.
    ///
    /// # Safety
    /// - As above; `claim` is that of [`SlotInLedger::passing_claim`].
    #[inline(always)]
    pub(super) unsafe fn take(self, thread: &'static Thread, claim: &'static Claim, taken_by: TakenBy) -> Option<Id> {
        let new: &'static Claim = Table::take_cached(thread)?;
        let origin = Origin::by(thread);
        // SAFETY: the caller's obligation; the new claim is in no list, the old one is.
        unsafe {
            let state = self.state_mut();
            state.pass_claim(claim, new, origin, taken_by, false);
            state.spend_promise(self.slot, claim, true);
        }
        claim.head().set_state(State::Spent);
        new.guarded().set_ledger(self.ledger);
        // SAFETY: as above; not published yet.
        log::log_claim(Kind::Take, new, &unsafe { new.guarded().own() }.layout, Slot::id(self.slot));
        Some(Table::publish(new))
    }
}

/// The slot of an unreleased handle, whose ledger is locked. Its drop unlocks.
pub struct LockedSlot<S: GuardedSlot> {
    pub(super) at: SlotInLedger<S>,
    pub(super) inside: CriticalSection,
}

impl<S: GuardedSlot> Drop for LockedSlot<S> {
    #[inline(always)]
    fn drop(&mut self) {
        self.at.ledger.lock.unlock();
    }
}

impl<S: GuardedSlot> LockedSlot<S> {
    /// Locks the ledger of a handle, live or spent; None for any other.
    #[inline(always)]
    pub(crate) fn of(thread: &'static Thread, id: Id) -> Option<LockedSlot<S>> {
        LockedSlot::lock(thread, id, |slot: &S| slot.head().is(id))
    }

    /// Locks the ledger of a live handle; None for any other, and if its device may be out of reach.
    #[inline(always)]
    pub(crate) fn live(thread: &'static Thread, id: Id) -> Option<LockedSlot<S>> {
        let one = LockedSlot::lock(thread, id, |slot: &S| slot.head().is_live(id))?;
        // The slow path checks whether such a device can be used, and changes what the processor allows.
        (!are_devices_in_doubt() || one.state().device.r#type == TN_CPU && !checked::exists()).then_some(one)
    }

    /// Locks the ledger of a slot that only the caller can end, or of a claim that moves: it stays on its ledger.
    #[inline(always)]
    pub fn held(thread: &'static Thread, slot: &'static S) -> LockedSlot<S> {
        let ledger = slot.guarded().ledger().expect("not a head");
        let inside = CriticalSection::enter(thread);
        ledger.lock.lock();
        LockedSlot { at: SlotInLedger { slot, ledger }, inside }
    }

    #[inline(always)]
    fn lock(thread: &'static Thread, id: Id, is: impl FnOnce(&S) -> bool) -> Option<LockedSlot<S>> {
        let at = SlotInLedger::guess(id)?;
        let inside = CriticalSection::enter(thread);
        at.ledger.lock.lock();
        let one = LockedSlot { at, inside };
        (is(at.slot) && at.guards()).then_some(one)
    }

    /// The contents of the slot.
    #[inline(always)]
    pub(crate) fn body(&self) -> &S::Body {
        // SAFETY: its ledger is locked by us, and `&self` lets no mutable reference be.
        unsafe { self.at.body() }
    }

    /// The tag of its ledger.
    #[inline(always)]
    pub(crate) fn tag(&self) -> u64 {
        self.at.ledger.tag()
    }

    /// The state of its ledger.
    #[inline(always)]
    pub(crate) fn state(&self) -> &LedgerState {
        self.at.ledger.watch.read();
        // SAFETY: the ledger is locked by us, and `&self` lets no mutable reference be.
        unsafe { &*self.at.ledger.state.get() }
    }

    #[inline(always)]
    pub(super) fn state_mut(&mut self) -> &mut LedgerState {
        // SAFETY: the ledger is locked by us, and `&mut self` lets no other reference be.
        unsafe { self.at.state_mut() }
    }
}

impl LockedSlot<Claim> {
    /// Opens a guard on the claim, for a use without conflicts. It has no handle yet.
    #[inline(always)]
    pub(crate) fn add_guard(&mut self, params: GuardParams) -> Option<&'static Guard> {
        let thread = self.inside.thread();
        let guard: &'static Guard = Table::take_cached(thread)?;
        guard.guarded().set_ledger(self.at.ledger);
        let claim = self.at.slot;
        // SAFETY: the ledger is locked by us and guards the claim; the guard is unpublished.
        unsafe { self.state_mut().link_guard(guard, claim, params, Origin::by(thread)) };
        if events::records(log::kind_of(params.class)) {
            self.log_new_guard(guard, params.class);
        }
        Some(guard)
    }

    /// Opens an export without a layout of its own, because `copy_layout` copies the layout for the consumer. It is
    /// called under the lock after all other checks; None if it returns None.
    ///
    /// None also if the claim descends from an import: such an export needs a slot of its own for the lease, since the
    /// handle can pass on.
    #[inline(always)]
    pub(crate) fn add_export<T>(
        &mut self,
        params: GuardParams,
        copy_layout: impl FnOnce(&Layout, tn_device) -> Option<T>,
    ) -> Option<(&'static Guard, T)> {
        if self.body().lease.is_some() || Table::<Guard>::cached(self.inside.thread()) == 0 {
            return None;
        }
        let copied = copy_layout(&self.body().layout, self.state().device)?;
        let guard = self.add_guard(params).expect("there is one in the cache");
        guard.head().set_state(State::Kept);
        Some((guard, copied))
    }

    /// Publishes the guard's handle, and unlocks.
    #[inline(always)]
    pub(crate) fn publish(self, guard: &'static Guard) -> Id {
        Table::publish(guard)
    }
}

impl LockedSlot<Claim> {
    /// Adds a claim that derives from this one, and publishes its handle. `fill` sets layout, READONLY and name, and
    /// returns whether the root is shared. None if `fill` returns None, or if the claim descends from an import.
    #[inline(always)]
    pub(crate) fn add_claim(&mut self, fill: impl FnOnce(&ClaimBody, &mut ClaimBody) -> Option<bool>) -> Option<Id> {
        // SAFETY: its ledger is locked by us, and `&mut self` lets no other reference be.
        unsafe { self.at.add_claim(self.inside.thread(), fill) }
    }

    /// Releases a handle whose slot no promise, guard or moving write needs. The last claim of a pool's store ends the
    /// store here.
    #[inline(always)]
    pub(crate) fn release(mut self) -> bool {
        if self.body().lease.is_some() {
            return self.release_lent();
        }
        let (claim, ledger, thread) = (self.at.slot, self.at.ledger, self.inside.thread());
        let (body, state) = (self.body(), self.state());
        let unused = body.is_unused();
        let last = body.counted && state.claims == 1;
        let plain_root = body.root.is_none_or(|root| {
            // SAFETY: guarded by the locked ledger; no mutable reference is out.
            let root = unsafe { &*root.guarded().body.get() };
            root.users > 1 || root.layout.is_inline()
        });
        let (ends, rests) = (last && state.ends_with_last_claim(), state.rests());
        if !unused || !plain_root || (last && !ends && !rests) {
            return false;
        }
        if body.counted {
            // SAFETY: the ledger is locked by us; a counted claim is in the list.
            unsafe { self.state_mut().end_claim(claim, last) };
        }
        // SAFETY: the ledger is locked by us and guards the claim and its root.
        if let Some(root) = unsafe { self.state_mut().drop_root(claim) } {
            Table::free(thread, root);
        }
        claim.reset(thread);
        if ends {
            let state = self.state_mut();
            let start = state.start;
            let backing = core::mem::replace(&mut state.backing, Backing::None);
            ledger.head().set_state(State::Spent);
            drop(self);
            // Unlocked by the drop above.
            if let Backing::Pool(pool, _) = backing {
                pool.free_store(thread, start as usize);
            }
            Table::free(thread, ledger);
        }
        true
    }

    /// Releases the only handle on lent bytes, and with it the import, whose release runs here, last, under no lock.
    #[inline(never)]
    fn release_lent(mut self) -> bool {
        let (claim, ledger, thread) = (self.at.slot, self.at.ledger, self.inside.thread());
        let (body, state) = (self.body(), self.state());
        let Some(lease) = body.lease else { return false };
        let alone = body.is_unused() && body.counted && body.root.is_none() && state.claims == 1 && state.leases == 1;
        // SAFETY: guarded by the locked ledger; no mutable reference is out.
        let plain = unsafe { &*lease.guarded().body.get() }.ends_at_once();
        if !alone || !plain || !state.has_only_claims() || !matches!(state.backing, Backing::Lent) {
            return false;
        }
        let state = self.state_mut();
        // SAFETY: the ledger is locked by us; a counted claim is in the list, and so is its lease.
        unsafe {
            state.end_claim(claim, true);
            state.unlink_lease(lease);
        }
        state.backing = Backing::None;
        let start = state.start;
        // SAFETY: no other reference is out.
        unsafe { claim.guarded().own() }.lease = None;
        claim.reset(thread);
        lease.head().make_stale(State::Kept);
        ledger.head().set_state(State::Spent);
        drop(self);
        crate::address_index::remove(thread, start, ledger.tag());
        Table::free(thread, ledger);
        lease.run(thread);
        true
    }

    /// Makes a promise of a live claim that has no guards of its own.
    #[inline(always)]
    pub(crate) fn give(mut self, required: u32) -> Option<Id> {
        let (claim, thread) = (self.at.slot, self.inside.thread());
        // SAFETY: its ledger is locked by us, and no other reference is out.
        let body = unsafe { claim.guarded().own() };
        if body.readers | body.writers != 0 || body.moving {
            return None;
        }
        let promise: &'static Promise = Table::take_cached(thread)?;
        promise.guarded().set_ledger(self.at.ledger);
        // SAFETY: the ledger is locked by us and guards the claim; the promise is unpublished.
        unsafe { self.state_mut().add_promise(claim, promise, required, Origin::by(thread)) };
        let id = Table::publish(promise);
        log::log_claim(Kind::Give, claim, &self.body().layout, id);
        Some(id)
    }
}

impl LockedSlot<Promise> {
    /// Passes the claim to a new handle, see [`SlotInLedger::passing_claim`].
    #[inline(always)]
    pub(crate) fn take(self) -> Option<Id> {
        // SAFETY: the ledger is locked by us, and no reference is out.
        let claim = unsafe { self.at.passing_claim() }?;
        // SAFETY: as above.
        unsafe { self.at.take(self.inside.thread(), claim, TakenBy::Take) }
    }

    /// Releases a spent promise.
    #[inline(always)]
    pub(crate) fn release(self) -> bool {
        let spent = self.at.slot.head().state() == State::Spent;
        if spent {
            Table::free(self.inside.thread(), self.at.slot);
        }
        spent
    }
}

impl LockedSlot<Guard> {
    /// Ends a guard with which nothing else ends: a reader, an export without a layout of its own, or a writer that
    /// neither leaves nor clears poison, opened through a handle that is still a claim. A guard whose end somebody else
    /// completes takes the slow path.
    #[inline(always)]
    pub fn end_guard(mut self, failed: bool) -> bool {
        let (guard, thread) = (self.at.slot, self.inside.thread());
        let (body, state) = (self.body(), self.state());
        let owner = body.owner();
        // SAFETY: the claims of a guard are guarded by its ledger, which is locked; no mutable reference is out.
        let claim = unsafe { &*owner.guarded().body.get() };
        let class = body.class;
        let writes = class == Class::Write;
        let exports = class.is_export();
        let heals = body.discard && state.records > 0;
        let plain = !(writes && (failed || heals)) && body.completion == Completion::Ledger;
        let whole = body.region.is_some_and(|region| core::ptr::eq(region, owner)) && body.group.is_none();
        if !plain || !claim.counted || !whole {
            return body.completion == Completion::Logged && self.end_logged_guard(failed);
        }
        let state = self.state_mut();
        // SAFETY: the ledger is locked by us and guards the guard, which is in the list, and its owner.
        unsafe { state.unlink_guard(guard, writes) };
        // SAFETY: as above; no other reference is out.
        unsafe { owner.guarded().own() }.layout_refs -= 1;
        if exports {
            state.was_exported |= class.is_writable_export();
            // A free slot has no time, see `link_guard`.
            // SAFETY: as above.
            unsafe { guard.guarded().own() }.time_ns = 0;
        }
        Table::free(thread, guard);
        true
    }
}

impl LockedSlot<Claim> {
    /// Tells of a new guard on the claim.
    #[cold]
    #[inline(never)]
    fn log_new_guard(&mut self, guard: &'static Guard, class: Class) {
        log::log_guard(class, guard, self.at.slot, &self.body().layout, log::begin_of(class));
        // SAFETY: the ledger is locked by us and guards the guard, which is unpublished; no other reference is out.
        let body = unsafe { guard.guarded().own() };
        (body.completion, body.logged) = (Completion::Logged, true);
    }
}

impl LockedSlot<Guard> {
    /// As [`LockedSlot::end_guard`], for a guard whose begin was told.
    #[cold]
    #[inline(never)]
    fn end_logged_guard(self, failed: bool) -> bool {
        let guard = self.at.slot;
        let (class, owner, region) = (self.body().class, self.body().owner(), self.body().region());
        // SAFETY: the claims of a guard are guarded by its ledger, which is locked; no mutable reference is out.
        let region = unsafe { &*region.guarded().body.get() };
        log::log_guard(class, guard, owner, &region.layout, events::ENDED);
        // Told, whichever path ends it.
        // SAFETY: the ledger is locked by us and guards the guard; the references above are not used any more.
        let body = unsafe { guard.guarded().own() };
        (body.completion, body.logged) = (Completion::Ledger, false);
        self.end_guard(failed)
    }
}
