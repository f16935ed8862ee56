//! Ledgers: all books of one store. Who claims it, who touches its bytes, who was promised it, what is poisoned, whose the bytes
//! are, and what happens when the last of them is gone.
//!
//! Contract: everything here is guarded by the ledger's lock, taken by [`lock`] (one handle) or [`lock_all`] (several, ascending,
//! so that there is no deadlock), and reached through [`Locked`]. What may not happen under the lock (callbacks, frees) is noted in
//! `Locked` and done by its drop, after unlocking. A slot names the ledger whose lock guards it; ledgers are type-stable, so locking
//! one that was recycled meanwhile is harmless: the lookup checks again under the lock and retries.
//!
//! It knows the counts and lists and keeps them whole. What they allow is the business of `array`, `borrow` and `promise`; it
//! hands them no pointer to bytes but [`crate::blit::HostView`]. Any thread.
//!
//! | file | what |
//! |---|---|
//! | `mod` | the ledger, its lock, the lookup of handles |
//! | `by_address` | the store that has given addresses |
//! | `claim` | claims: array handles and what promises and guards keep of them; roots of views |
//! | `few` | the short way of entering a scope with a few handles |
//! | `guard` | guards and exports: who may touch which region |
//! | `lists` | the lists that run through their slots |
//! | `one` | the short way for the usual case of one handle |
//! | `node` | claims of expression nodes |
//! | `promise` | promises and weak handles |
//! | `record` | what ended guards leave: poisoned regions and unfinished device work |
//! | `scope` | lists of handles that end together |
//! | `store` | where bytes come from and how they go back; leases and release callbacks |
//! | `waiting` | stores whose bytes go back only when device work has passed |

mod by_address;

mod claim;

mod fast_enter;

mod guard;

mod lists;

mod node;

mod fast_path;

mod promise;

mod record;

mod scope;

mod store;

mod deferred_release;

pub use by_address::{Found, find_by_address};
pub use claim::{Claim, ClaimBody, Origin, Root, Spare, SpareRoot};
pub use deferred_release::{FEW, look_again};
pub use fast_enter::enter_few;
pub use fast_path::One;
pub use guard::{
    Class, Entries, Group, Guard, GuardBody, GuardParams, InternalGuard, SpareGuard, end_entries, is_reachable,
    made_of_head,
};
pub use node::{NodeTag, Operation, ledger_of_claim, lock_claims};
pub use promise::{Promise, PromiseBody, SparePromise, SpareWeak, Weak, WeakBody};
pub use record::{Order, Points, point_behind};
pub use scope::{LockedScope, Scope, SpareScope, each_scope, lock_scope};
pub use store::{
    Backing, Create, From, Lease, NewStore, Release, SpareLease, SpareLedger, create, each_lingering, each_queued,
    each_store, lend, queued, run_releases,
};

use crate::error::{Result, fail, rank};
use crate::slots::{self, Head, Id, Kind, Slot, State, Table};
use crate::sys::lock::RawLock;
use crate::sys::sync::Watch;
use crate::sys::sync::atomic::{AtomicPtr, Ordering};
use crate::thread::{self, CriticalSection, Thread};
use crate::types::*;
use core::cell::UnsafeCell;
use smallvec::SmallVec;

/// The books of one store. In this order, and on cache lines of its own: what a reader's borrow and its end touch is the first line,
/// which two threads that share a store pass to and fro.
#[repr(C, align(64))]
pub struct Ledger {
    head: Head,
    lock: RawLock,
    books: UnsafeCell<LedgerState>,
    watch: Watch,
    waiting: deferred_release::Link,
}

// SAFETY: `books` is reached through `Locked` only.
unsafe impl Sync for Ledger {}

impl Slot for Ledger {
    const KIND: Kind = Kind::Ledger;
    fn new(head: Head) -> Ledger {
        Ledger {
            head,
            lock: RawLock::new(),
            books: UnsafeCell::new(LedgerState::EMPTY),
            watch: Watch::new(),
            waiting: deferred_release::Link::new(),
        }
    }
    fn head(&self) -> &Head {
        &self.head
    }
}

impl Ledger {
    /// A number below 2^56 that names this store for ever; never 0. Blocks of pools carry it as their owner.
    pub fn tag(&self) -> u64 {
        ((u64::from(self.head.epoch()) << slots::NUMBER_BITS) | u64::from(self.head.number())) + 1
    }

    /// The ledger with that tag, if the store may still be there; to be checked under its lock.
    pub fn of_tag(tag: u64) -> Option<&'static Ledger> {
        let number = tag.checked_sub(1)? & ((1 << slots::NUMBER_BITS) - 1);
        let ledger = Table::<Ledger>::slot(number as u32)?;
        (ledger.tag() == tag).then_some(ledger)
    }
}

/// What a ledger's lock guards. What every borrow touches comes first, see [`Ledger`].
#[repr(C)]
pub struct LedgerState {
    guard_list: Option<&'static Guard>,
    claim_list: Option<&'static Claim>,
    /// R: open read guards.
    pub readers: u32,
    /// W: open write guards.
    pub writers: u32,
    /// XR: read-only exports.
    pub exports_read: u32,
    /// XS: shared views.
    pub exports_shared: u32,
    /// XW: exclusive exports.
    pub exports_exclusive: u32,
    /// What ended guards left: poisoned regions and unfinished device work. One number, so that most calls look at one.
    pub records: u32,
    /// H: handles that are live or given, claims that promises keep, expression nodes.
    pub claims: u32,
    /// P: those of H that are expression nodes.
    pub nodes: u32,
    /// Those of R that are frozen.
    pub frozen: u32,
    /// COW writes that copy the bytes now, each from a claim whose handle may be released meanwhile.
    moves: u32,
    /// Open leases.
    pub leases: u32,
    /// Those of them without TN_MAY_OVERWRITE: the store is FOREIGN.
    pub lent: u32,
    /// The memory must not be written.
    pub readonly: bool,
    /// A file is mapped here: foreign, but nobody's to lend.
    pub mapped: bool,
    /// The buffer of a shared variable: no other handle may write.
    pub managed: bool,
    /// Where the bytes live.
    pub device: tn_device,
    /// First byte; 0 for a store of no bytes.
    pub start: i64,
    /// All of it.
    pub bytes: i64,
    /// Grows with each finished write.
    pub version: u64,
    /// Grows when the last claim ends: what weak handles compare.
    pub epoch: u64,
    /// Records of device work that was unfinished when last looked at.
    pub works: u32,
    /// Records of poisoned regions; such a one may have its device work too.
    pub poisoned: u32,
    /// Where the bytes come from.
    pub backing: Backing,
    record_list: Option<&'static Guard>,
    lease_list: Option<&'static Lease>,
    /// Next of a chain of dead ones.
    next_dead: Option<&'static Ledger>,
    /// Work that was unfinished when the store ended, for the pool to wait for.
    due: Option<&'static Guard>,
    /// The next of several that are locked together.
    next_locked: Option<&'static Ledger>,
    /// What the statistics of the pool count as held without a claim.
    held: i64,
}

impl LedgerState {
    const EMPTY: LedgerState = LedgerState {
        guard_list: None,
        claim_list: None,
        readers: 0,
        writers: 0,
        exports_read: 0,
        exports_shared: 0,
        exports_exclusive: 0,
        records: 0,
        claims: 0,
        nodes: 0,
        frozen: 0,
        moves: 0,
        leases: 0,
        lent: 0,
        readonly: false,
        mapped: false,
        managed: false,
        device: tn_device { r#type: TN_CPU, id: 0 },
        start: 0,
        bytes: 0,
        version: 0,
        epoch: 0,
        works: 0,
        poisoned: 0,
        backing: Backing::None,
        record_list: None,
        lease_list: None,
        next_dead: None,
        due: None,
        next_locked: None,
        held: 0,
    };

    /// Open exports of any class.
    #[inline]
    pub fn exports(&self) -> u32 {
        self.exports_read + self.exports_shared + self.exports_exclusive
    }

    /// Whether the bytes belong to somebody who may still use them.
    #[inline]
    pub fn foreign(&self) -> bool {
        self.lent > 0 || self.mapped
    }

    /// Whether nothing holds the bytes any more.
    #[inline]
    fn is_free(&self) -> bool {
        self.is_held_by_nobody() && self.leases == 0 && (self.works == 0 || self.passes_work_on())
    }

    /// Whether neither claim nor guard nor export is left.
    #[inline]
    fn is_held_by_nobody(&self) -> bool {
        self.claims == 0 && self.readers == 0 && self.writers == 0 && self.exports() == 0 && self.moves == 0
    }

    /// Whether who gets the bytes waits for what is unfinished: a pool does; the owner of foreign bytes is not asked.
    #[inline]
    fn passes_work_on(&self) -> bool {
        matches!(self.backing, Backing::None | Backing::Pool(..))
    }

    /// Whether nothing but claims has to do with the bytes.
    #[inline(always)]
    fn is_untouched(&self) -> bool {
        self.readers | self.writers | self.exports_read | self.exports_shared | self.exports_exclusive == 0
            && self.records | self.moves == 0
            && self.held == 0
    }

    /// Whether nothing ends with the last claim but the store itself, and its bytes are nobody's or a pool's.
    #[inline]
    fn ends_alone(&self) -> bool {
        self.is_untouched() && matches!(self.backing, Backing::None | Backing::Pool(..))
    }

    /// What must hold between any two calls.
    pub fn is_valid(&self) -> bool {
        self.nodes <= self.claims
            && self.frozen <= self.readers
            && self.lent <= self.leases
            && (self.claims == 0) == self.claim_list.is_none()
            && (self.readers + self.writers + self.exports() == 0) == self.guard_list.is_none()
            && (self.records == 0) == self.record_list.is_none()
            && self.works.max(self.poisoned) <= self.records
            && self.records <= self.works + self.poisoned
    }
}

/// Something in a slot that a ledger's lock guards. Which ledger may change while the slot lives (a COW write moves its handle), and
/// stays set when the slot is given back.
#[repr(C)]
pub struct Guarded<T> {
    ledger: AtomicPtr<Ledger>,
    body: UnsafeCell<T>,
    watch: Watch,
}

// SAFETY: the body is reached under the lock of the ledger that the slot names, or by the only one who knows the slot.
unsafe impl<T> Sync for Guarded<T> {}

impl<T> Guarded<T> {
    fn new(body: T) -> Guarded<T> {
        Guarded { ledger: AtomicPtr::new(core::ptr::null_mut()), body: UnsafeCell::new(body), watch: Watch::new() }
    }

    /// The ledger whose lock guards it. Never NULL once the slot was published.
    #[inline]
    fn ledger(&self) -> Option<&'static Ledger> {
        // SAFETY: ledgers are type-stable; Acquire pairs with the Release in `set_ledger`.
        unsafe { self.ledger.load(Ordering::Acquire).as_ref() }
    }

    #[inline]
    fn set_ledger(&self, ledger: &'static Ledger) {
        self.ledger.store(core::ptr::from_ref(ledger).cast_mut(), Ordering::Release);
    }

    /// The body, without a check: of a slot that nobody else knows yet, or any more, or of one whose ledger is locked.
    ///
    /// # Safety
    /// - The slot is not published and in no list, or its ledger is locked by the caller; no other reference to the body is out.
    #[allow(clippy::mut_from_ref)]
    #[inline]
    unsafe fn own(&self) -> &mut T {
        self.watch.write();
        // SAFETY: the caller's promise.
        unsafe { &mut *self.body.get() }
    }
}

/// A slot with a [`Guarded`].
pub trait GuardedSlot: Slot {
    /// What the lock guards.
    type Body;
    /// The place.
    fn guarded(&self) -> &Guarded<Self::Body>;
}

/// One or several ledgers, locked. Its drop unlocks them and then does what must not be done under a lock.
pub struct Locked {
    // They drop in this order.
    held: LockedSet,
    inside: CriticalSection,
    after: store::DeferredWork,
}

/// Which ledgers are locked. Nearly always it is one, and then no list is looked at.
struct LockedSet {
    first: Option<&'static Ledger>,
    /// The others, through `next_locked` of their books.
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
                // SAFETY: locked just now, and no reference into the books is out.
                unsafe { (*ledger.books.get()).next_locked = held.more };
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

    // Takes what it needs by value, as the cold parts of the drops do: then a `Locked` can live in registers.
    #[inline(never)]
    fn has_more(more: &'static Ledger, ledger: *const Ledger) -> bool {
        let mut at = Some(more);
        while let Some(other) = at {
            if core::ptr::eq(other, ledger) {
                return true;
            }
            // SAFETY: locked by us; the link is written before and after only.
            at = unsafe { (&raw const (*other.books.get()).next_locked).read() };
        }
        false
    }

    #[cold]
    #[inline(never)]
    fn unlock_more(more: &'static Ledger) {
        let mut at = Some(more);
        while let Some(other) = at {
            // SAFETY: locked by us until the next line, and no reference into the books is out any more.
            at = unsafe { (*other.books.get()).next_locked.take() };
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
    fn one(thread: &'static Thread, ledger: &'static Ledger) -> Locked {
        let inside = CriticalSection::enter(thread);
        ledger.lock.lock();
        Locked::of(inside, ledger)
    }

    /// The ledger was locked by the caller.
    #[inline(always)]
    fn of(inside: CriticalSection, ledger: &'static Ledger) -> Locked {
        let after = store::DeferredWork::new(inside.thread());
        Locked { held: LockedSet { first: Some(ledger), more: None }, inside, after }
    }

    /// Unlocks, and says how many imports ended for good with that.
    fn finish(self) -> usize {
        let Locked { held, inside, after } = self;
        drop(held);
        drop(inside);
        after.finish()
    }

    /// The calling thread.
    #[inline]
    pub fn thread(&self) -> &'static Thread {
        self.inside.thread()
    }

    #[inline]
    fn has(&self, ledger: &'static Ledger) -> bool {
        self.held.has(ledger)
    }

    /// Asserts that `slot` is guarded by what is locked here: the one check on which the safety of the upper layers rests.
    #[inline(always)]
    fn check<T>(&self, place: &Guarded<T>) {
        assert!(self.held.has(place.ledger.load(Ordering::Relaxed)), "a slot of another ledger");
    }

    /// What the slot holds.
    #[inline]
    pub fn get<S: GuardedSlot>(&self, slot: &'static S) -> &S::Body {
        self.check(slot.guarded());
        slot.guarded().watch.read();
        // SAFETY: its ledger is locked by us, and `&self` lets no `get_mut` happen meanwhile.
        unsafe { &*slot.guarded().body.get() }
    }

    /// The same, to be changed.
    #[inline]
    pub fn get_mut<S: GuardedSlot>(&mut self, slot: &'static S) -> &mut S::Body {
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

    /// The books of a ledger that is locked here.
    #[inline]
    pub fn books(&self, ledger: &'static Ledger) -> &LedgerState {
        assert!(self.has(ledger), "a ledger that is not locked");
        ledger.watch.read();
        // SAFETY: locked by us, and `&self` lets no `books_mut` happen meanwhile.
        unsafe { &*ledger.books.get() }
    }

    /// The same, to be changed.
    #[inline]
    pub fn books_mut(&mut self, ledger: &'static Ledger) -> &mut LedgerState {
        assert!(self.has(ledger), "a ledger that is not locked");
        ledger.watch.write();
        // SAFETY: locked by us, and `&mut self` lets no other reference be.
        unsafe { &mut *ledger.books.get() }
    }

    /// Where a thing made now is made: the thread and its TN_HERE.
    #[inline]
    pub fn made(&self) -> Origin {
        Origin::by(self.thread())
    }

    /// Marks the store as on its way back if nothing holds it.
    #[inline]
    fn settle(&mut self, ledger: &'static Ledger) {
        let books = self.books(ledger);
        debug_assert!(books.is_valid());
        // A spent handle may outlive its store, and then names a ledger that is free or another's by now.
        if books.is_held_by_nobody() && ledger.is_alive() {
            if books.is_free() {
                self.mark_dead(ledger);
            } else {
                deferred_release::add(ledger);
            }
        }
    }
}

/// Locks the ledger of the handle `id` and gives its slot: of an array handle, a guard, a promise, a weak handle.
#[inline]
pub fn lock<S: GuardedSlot>(id: Id) -> Result<(Locked, &'static S)> {
    let thread = thread::current();
    loop {
        let slot = Table::<S>::find(id)?;
        // Published slots name a ledger; a slot that is recycled at this moment may name any, and is refused below.
        let Some(ledger) = slot.guarded().ledger() else { continue };
        let inside = CriticalSection::enter(thread);
        ledger.lock.lock();
        if slot.head().is(id) && slot.guarded().ledger().is_some_and(|now| core::ptr::eq(now, ledger)) {
            return Ok((Locked::of(inside, ledger), slot));
        }
        ledger.lock.unlock();
    }
}

/// The ledger that guards the handle `id` of type `S` now, or STALE or KIND.
pub fn ledger_of<S: GuardedSlot>(id: Id) -> Result<&'static Ledger> {
    loop {
        if let Some(ledger) = Table::<S>::find(id)?.guarded().ledger() {
            return Ok(ledger);
        }
    }
}

/// Locks the ledgers of `n` handles; `ledger_of(i)` names that of the i-th. All, or the status that comes first in the order of
/// checks, then by position.
pub fn lock_all(n: usize, ledger_of: &dyn Fn(usize) -> Result<&'static Ledger>) -> Result<Locked> {
    loop {
        let mut set: SmallVec<[&'static Ledger; 4]> = SmallVec::new();
        reserve(&mut set, n)?;
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
            // Asked once more for its text; only another thread could make it differ.
            ledger_of(position)?;
            continue;
        }
        set.sort_unstable_by_key(|ledger| core::ptr::from_ref(*ledger) as usize);
        set.dedup_by_key(|ledger| core::ptr::from_ref(*ledger));
        let thread = thread::current();
        let inside = CriticalSection::enter(thread);
        let locked = Locked { held: LockedSet::several(&set), inside, after: store::DeferredWork::new(thread) };
        if (0..n).all(|position| ledger_of(position).is_ok_and(|ledger| locked.has(ledger))) {
            return Ok(locked);
        }
    }
}

/// Locks a ledger found by an address; None if its store is gone.
pub fn lock_tag(tag: u64) -> Option<(Locked, &'static Ledger)> {
    let ledger = Ledger::of_tag(tag)?;
    let locked = Locked::one(thread::current(), ledger);
    let there = ledger.tag() == tag && ledger.is_alive();
    there.then_some((locked, ledger))
}

/// Room for `more` elements, or TN_ERR_NO_HOST_MEMORY.
pub fn reserve<A: smallvec::Array>(vector: &mut SmallVec<A>, more: usize) -> Result<()> {
    vector
        .try_reserve(more)
        .map_err(|_| fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for {more} entries of bookkeeping")))
}

/// The slot of a handle, without a lock: for checks that come before those of its state.
pub fn find<S: Slot>(id: Id) -> Result<&'static S> {
    Table::<S>::find(id)
}

/// Shows a guard or export that is open now, with or without a handle; None for one that is not, and for the library's own.
pub fn look<T>(guard: &'static Guard, visit: impl FnOnce(&Locked) -> T) -> Option<T> {
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

/// Whether the handle is out but spent: a destructed array, a used-up promise.
pub fn is_spent<S: Slot>(slot: &'static S) -> bool {
    slot.head().state() == State::Spent
}
