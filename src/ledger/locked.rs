//! Locked ledgers: the lock over one store or several, the lookup of handles under it, and the work deferred until it
//! is released.

use super::class::Class;
use super::origin::Origin;
use super::state::{Backing, Claim, Guard, Guarded, GuardedSlot, Lease, Ledger, LedgerState, Root};
use super::weak::Weak;
use crate::error::{Result, rank};
use crate::lists;
use crate::pool::Pool;
use crate::slots::{Id, Slot, State, Table};
use crate::sys::sync::atomic::Ordering;
use crate::thread::{self, CriticalSection, Thread};
use smallvec::SmallVec;

/// One or several locked ledgers. Its drop unlocks them and then runs the deferred work, which must not run under a
/// lock.
pub struct Locked {
    // The fields are dropped in this order.
    held: LockedSet,
    inside: CriticalSection,
    pub(super) after: DeferredWork,
}

/// The ledgers that are locked: usually one, for which no list is read.
struct LockedSet {
    first: Option<&'static Ledger>,
    /// The first of the others, which are chained through `next_locked` of their states.
    more: Option<&'static Ledger>,
}

impl LockedSet {
    /// Locks ledgers that are sorted and all different.
    fn several(set: &[&'static Ledger]) -> LockedSet {
        let mut held = LockedSet { first: None, more: None };
        for ledger in set {
            ledger.lock.lock();
        }
        if let [first, others @ ..] = set {
            held.first = Some(first);
            for ledger in others {
                // SAFETY: locked just now, and no reference to the state exists.
                unsafe { (*ledger.state.get()).next_locked = held.more };
                held.more = Some(ledger);
            }
        }
        held
    }

    #[inline(always)]
    fn has(&self, ledger: *const Ledger) -> bool {
        self.first.is_some_and(|first| core::ptr::eq(first, ledger))
            || self.more.is_some_and(|more| LockedSet::has_more(more, ledger))
    }

    // Its arguments are values, as in the cold parts of the drops, so that a `Locked` can live in registers.
    #[inline(never)]
    fn has_more(more: &'static Ledger, ledger: *const Ledger) -> bool {
        let mut at = Some(more);
        while let Some(other) = at {
            if core::ptr::eq(other, ledger) {
                return true;
            }
            // SAFETY: locked by us; the link is written before and after only.
            at = unsafe { (&raw const (*other.state.get()).next_locked).read() };
        }
        false
    }

    #[cold]
    #[inline(never)]
    fn unlock_more(more: &'static Ledger) {
        let mut at = Some(more);
        while let Some(other) = at {
            // SAFETY: locked by us until the next line, and no reference to the state exists any more.
            at = unsafe { (*other.state.get()).next_locked.take() };
            other.lock.unlock();
        }
    }
}

impl Drop for LockedSet {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(more) = self.more {
            LockedSet::unlock_more(more);
        }
        if let Some(first) = self.first {
            first.lock.unlock();
        }
    }
}

impl Locked {
    #[inline(always)]
    pub(super) fn one(thread: &'static Thread, ledger: &'static Ledger) -> Locked {
        let inside = CriticalSection::enter(thread);
        ledger.lock.lock();
        Locked::of(inside, ledger)
    }

    /// For a ledger that the caller has locked.
    #[inline(always)]
    fn of(inside: CriticalSection, ledger: &'static Ledger) -> Locked {
        let after = DeferredWork::new(inside.thread());
        Locked { held: LockedSet { first: Some(ledger), more: None }, inside, after }
    }

    /// Unlocks, runs the deferred work and returns how many imports were released by it.
    pub(crate) fn finish(self) -> usize {
        let Locked { held, inside, after } = self;
        drop(held);
        drop(inside);
        after.finish()
    }

    #[inline]
    pub(crate) fn thread(&self) -> &'static Thread {
        self.inside.thread()
    }

    #[inline]
    fn has(&self, ledger: &'static Ledger) -> bool {
        self.held.has(ledger)
    }

    /// Asserts that a ledger locked here guards the slot. The safety of the upper layers rests on this check.
    #[inline(always)]
    pub(super) fn check<T>(&self, place: &Guarded<T>) {
        assert!(self.held.has(place.ledger.load(Ordering::Relaxed)), "a slot of another ledger");
    }

    /// The contents of the slot.
    #[inline]
    pub fn get<S: GuardedSlot>(&self, slot: &'static S) -> &S::Body {
        self.check(slot.guarded());
        slot.guarded().watch.read();
        // SAFETY: its ledger is locked by us, and `&self` lets no `get_mut` happen meanwhile.
        unsafe { &*slot.guarded().body.get() }
    }

    /// The contents of the slot, to be changed.
    #[inline]
    pub(crate) fn get_mut<S: GuardedSlot>(&mut self, slot: &'static S) -> &mut S::Body {
        self.check(slot.guarded());
        slot.guarded().watch.write();
        // SAFETY: its ledger is locked by us, and `&mut self` lets no other reference be.
        unsafe { &mut *slot.guarded().body.get() }
    }

    /// The ledger that guards the slot.
    #[inline]
    pub fn ledger_of<S: GuardedSlot>(&self, slot: &'static S) -> &'static Ledger {
        slot.guarded().ledger().expect("published slots name a ledger")
    }

    /// The state of a ledger that is locked here.
    #[inline]
    pub fn state(&self, ledger: &'static Ledger) -> &LedgerState {
        assert!(self.has(ledger), "a ledger that is not locked");
        ledger.watch.read();
        // SAFETY: locked by us, and `&self` lets no `state_mut` happen meanwhile.
        unsafe { &*ledger.state.get() }
    }

    /// The state of a ledger that is locked here, to be changed.
    #[inline]
    pub(crate) fn state_mut(&mut self, ledger: &'static Ledger) -> &mut LedgerState {
        assert!(self.has(ledger), "a ledger that is not locked");
        ledger.watch.write();
        // SAFETY: locked by us, and `&mut self` lets no other reference be.
        unsafe { &mut *ledger.state.get() }
    }

    /// The origin of anything made now: the thread and its call site.
    #[inline]
    pub(crate) fn origin(&self) -> Origin {
        Origin::by(self.thread())
    }

    /// The pool whose block the store is, if it is one.
    pub(crate) fn pool(&self, ledger: &'static Ledger) -> Option<&'static Pool> {
        match self.state(ledger).backing {
            Backing::Pool(pool, _) => Some(pool),
            _ => None,
        }
    }
}

/// Locks the ledger of a handle, and returns the handle's slot: that of an array, a guard, a promise or a weak handle.
#[inline]
pub fn lock<S: GuardedSlot>(id: Id) -> Result<(Locked, &'static S)> {
    let thread = thread::current();
    loop {
        let slot = Table::<S>::find(id)?;
        // A published slot names a ledger. One that is recycled at this moment may name any ledger, and is refused
        // below.
        let Some(ledger) = slot.guarded().ledger() else { continue };
        let inside = CriticalSection::enter(thread);
        ledger.lock.lock();
        if slot.head().is(id) && slot.guarded().ledger().is_some_and(|now| core::ptr::eq(now, ledger)) {
            return Ok((Locked::of(inside, ledger), slot));
        }
        ledger.lock.unlock();
    }
}

/// The ledger that guards the handle now, or TN_ERR_STALE or TN_ERR_KIND.
pub fn ledger_of<S: GuardedSlot>(id: Id) -> Result<&'static Ledger> {
    loop {
        if let Some(ledger) = Table::<S>::find(id)?.guarded().ledger() {
            return Ok(ledger);
        }
    }
}

/// Locks the ledgers of `n` handles, where `ledger_of(i)` is that of the i-th, all or none. Of several errors it
/// returns the first in the order of checks, then by position.
pub fn lock_all(n: usize, ledger_of: &dyn Fn(usize) -> Result<&'static Ledger>) -> Result<Locked> {
    loop {
        let mut set: SmallVec<[&'static Ledger; 4]> = SmallVec::new();
        lists::reserve(&mut set, n)?;
        let mut worst: Option<(u8, usize)> = None;
        for position in 0..n {
            match ledger_of(position) {
                Ok(ledger) => set.push(ledger),
                Err(status) => {
                    let rank = rank(status.code());
                    if worst.is_none_or(|(least, _)| rank < least) {
                        worst = Some((rank, position));
                    }
                }
            }
        }
        if let Some((_, position)) = worst {
            // The second call writes the error message. Only another thread can change its outcome.
            ledger_of(position)?;
            continue;
        }
        set.sort_unstable_by_key(|ledger| core::ptr::from_ref(*ledger) as usize);
        set.dedup_by_key(|ledger| core::ptr::from_ref(*ledger));
        let thread = thread::current();
        let inside = CriticalSection::enter(thread);
        let locked = Locked { held: LockedSet::several(&set), inside, after: DeferredWork::new(thread) };
        if (0..n).all(|position| ledger_of(position).is_ok_and(|ledger| locked.has(ledger))) {
            return Ok(locked);
        }
    }
}

/// Locks the ledger with a tag that was found by an address; None if its store has ended.
pub fn lock_tag(tag: u64) -> Option<(Locked, &'static Ledger)> {
    let ledger = Ledger::of_tag(tag)?;
    let locked = Locked::one(thread::current(), ledger);
    let there = ledger.tag() == tag && ledger.is_alive();
    there.then_some((locked, ledger))
}

/// The slot of a handle, without a lock, for the checks before that of its state.
pub fn find<S: Slot>(id: Id) -> Result<&'static S> {
    Table::<S>::find(id)
}

/// Calls `visit` with an open guard that has a handle, or an open export. None for any other slot, such as an internal
/// guard.
pub fn visit_open_guard<T>(guard: &'static Guard, visit: impl FnOnce(&Locked) -> T) -> Option<T> {
    let open = |guard: &'static Guard| matches!(guard.head().state(), State::Live | State::Kept);
    if !open(guard) {
        return None;
    }
    let ledger = guard.guarded().ledger()?;
    let locked = Locked::one(thread::current(), ledger);
    let there = open(guard) && guard.guarded().ledger().is_some_and(|now| core::ptr::eq(now, ledger));
    if !there {
        return None;
    }
    let class = locked.get(guard).class;
    let shown = match guard.head().state() {
        State::Live => !class.is_record() && class != Class::Group,
        _ => class.is_export(),
    };
    shown.then(|| visit(&locked))
}

/// Whether the handle is unreleased but spent: a destructed array, or a promise that was taken or cancelled.
pub fn is_spent<S: Slot>(slot: &'static S) -> bool {
    slot.head().state() == State::Spent
}

/// Calls `visit` with the tag of each store, under no lock.
pub fn each_store(mut visit: impl FnMut(u64)) {
    Table::<Ledger>::each(|ledger| {
        if ledger.is_alive() {
            visit(ledger.tag());
        }
    });
}

/// Work that a locked section defers until it has unlocked, chained through the slots concerned. Its drop runs it.
pub(super) struct DeferredWork {
    pub(super) thread: &'static Thread,
    pub(super) claims: Option<&'static Claim>,
    pub(super) roots: Option<&'static Root>,
    pub(super) weaks: Option<&'static Weak>,
    pub(super) dead: Option<&'static Ledger>,
    /// Imports whose end waits for device work on this thread.
    pub(super) urgent: Option<&'static Lease>,
    pub(super) first_lease: Option<&'static Lease>,
    pub(super) last_lease: Option<&'static Lease>,
}

impl DeferredWork {
    #[inline(always)]
    pub(super) fn new(thread: &'static Thread) -> DeferredWork {
        DeferredWork {
            thread,
            claims: None,
            roots: None,
            weaks: None,
            dead: None,
            urgent: None,
            first_lease: None,
            last_lease: None,
        }
    }

    #[inline(always)]
    fn is_due(&self) -> bool {
        self.claims.is_some()
            || self.roots.is_some()
            || self.weaks.is_some()
            || self.dead.is_some()
            || self.urgent.is_some()
            || self.first_lease.is_some()
    }

    pub(super) fn add_lease(&mut self, lease: &'static Lease) {
        // SAFETY: just unlinked from its ledger, whose lock we still hold: ours alone.
        unsafe { lease.guarded.own() }.next = None;
        match self.last_lease.replace(lease) {
            // SAFETY: in our own chain.
            Some(last) => unsafe { last.guarded.own() }.next = Some(lease),
            None => self.first_lease = Some(lease),
        }
    }
}

impl DeferredWork {
    /// Runs all of it, and returns how many imports were released.
    pub(super) fn finish(mut self) -> usize {
        let thread = self.thread;
        if self.is_due() { core::mem::replace(&mut self, DeferredWork::new(thread)).run() } else { 0 }
    }
}

impl Drop for DeferredWork {
    #[inline(always)]
    fn drop(&mut self) {
        if self.is_due() {
            core::mem::replace(self, DeferredWork::new(self.thread)).run();
        }
    }
}
