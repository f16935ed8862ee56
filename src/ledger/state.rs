//! The state of a store, and the slots that a ledger's lock guards: claims, roots, guards, promises, leases.
//!
//! These types refer to each other, so they share one file. Their transitions are in the other files of this module.

use super::class::Class;
use super::operation::NodeTag;
use super::origin::Origin;
use super::release::Release;
use crate::layout::Layout;
use crate::names::Name;
use crate::pool::Pool;
use crate::slots::{self, Head, Kind, Slot, State, Table};
use crate::stream::Point;
use crate::sys::lock::RawLock;
use crate::sys::sync::Watch;
use crate::sys::sync::atomic::{AtomicPtr, Ordering};
use crate::types::{TN_CPU, tn_device};
use core::cell::UnsafeCell;

/// The books of one store. In this order, and on cache lines of its own: what a reader's borrow and its end touch is the first line,
/// which two threads that share a store pass to and fro.
#[repr(C, align(64))]
pub struct Ledger {
    pub(super) head: Head,
    pub(super) lock: RawLock,
    pub(super) state: UnsafeCell<LedgerState>,
    pub(super) watch: Watch,
    pub(super) waiting: DeferredLink,
}

// SAFETY: `books` is reached through `Locked` only.
unsafe impl Sync for Ledger {}

impl Slot for Ledger {
    const KIND: Kind = Kind::Ledger;
    fn new(head: Head) -> Ledger {
        Ledger {
            head,
            lock: RawLock::new(),
            state: UnsafeCell::new(LedgerState::EMPTY),
            watch: Watch::new(),
            waiting: DeferredLink::new(),
        }
    }
    fn head(&self) -> &Head {
        &self.head
    }
}

impl Ledger {
    /// A number below 2^56 that names this store for ever; never 0. Blocks of pools carry it as their owner.
    pub(crate) fn tag(&self) -> u64 {
        ((u64::from(self.head.epoch()) << slots::NUMBER_BITS) | u64::from(self.head.number())) + 1
    }

    /// The ledger with that tag, if the store may still be there; to be checked under its lock.
    pub(crate) fn of_tag(tag: u64) -> Option<&'static Ledger> {
        let number = tag.checked_sub(1)? & ((1 << slots::NUMBER_BITS) - 1);
        let ledger = Table::<Ledger>::slot(number as u32)?;
        (ledger.tag() == tag).then_some(ledger)
    }
}

impl Ledger {
    /// Whether the store exists. A dead store has none, nor has a ledger that is free.
    pub(crate) fn is_alive(&self) -> bool {
        self.head.state() == State::Kept
    }
}

/// What a ledger's lock guards. What every borrow touches comes first, see [`Ledger`].
#[repr(C)]
pub struct LedgerState {
    pub(super) guard_list: Option<&'static Guard>,
    pub(super) claim_list: Option<&'static Claim>,
    /// R: open read guards.
    pub(crate) readers: u32,
    /// W: open write guards.
    pub(crate) writers: u32,
    /// XR: read-only exports.
    pub(crate) exports_read: u32,
    /// XS: shared views.
    pub(crate) exports_shared: u32,
    /// XW: exclusive exports.
    pub(crate) exports_exclusive: u32,
    /// What ended guards left: poisoned regions and unfinished device work. One number, so that most calls look at one.
    pub(crate) records: u32,
    /// H: handles that are live or given, claims that promises keep, expression nodes.
    pub claims: u32,
    /// P: those of H that are expression nodes.
    pub(crate) nodes: u32,
    /// Those of R that are frozen.
    pub(crate) frozen: u32,
    /// COW writes that copy the bytes now, each from a claim whose handle may be released meanwhile.
    pub(super) moves: u32,
    /// Open leases.
    pub(crate) leases: u32,
    /// Those of them without TN_MAY_OVERWRITE: the store is FOREIGN.
    pub(crate) lent: u32,
    /// The memory must not be written.
    pub(crate) readonly: bool,
    /// A file is mapped here: foreign, but nobody's to lend.
    pub(crate) mapped: bool,
    /// The buffer of a shared variable: no other handle may write.
    pub(crate) managed: bool,
    /// Where the bytes live.
    pub(crate) device: tn_device,
    /// First byte; 0 for a store of no bytes.
    pub start: i64,
    /// All of it.
    pub(crate) bytes: i64,
    /// Grows with each finished write.
    pub version: u64,
    /// Grows when the last claim ends: what weak handles compare.
    pub(crate) epoch: u64,
    /// Records of device work that was unfinished when last looked at.
    pub(crate) works: u32,
    /// Records of poisoned regions; such a one may have its device work too.
    pub(crate) poisoned: u32,
    /// Where the bytes come from.
    pub(crate) backing: Backing,
    pub(super) record_list: Option<&'static Guard>,
    pub(super) lease_list: Option<&'static Lease>,
    /// Next of a chain of dead ones.
    pub(super) next_dead: Option<&'static Ledger>,
    /// Work that was unfinished when the store ended, for the pool to wait for.
    pub(super) due: Option<&'static Guard>,
    /// The next of several that are locked together.
    pub(super) next_locked: Option<&'static Ledger>,
    /// What the statistics of the pool count as held without a claim.
    pub(super) held: i64,
}

impl LedgerState {
    pub(super) const EMPTY: LedgerState = LedgerState {
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
    pub(crate) fn exports(&self) -> u32 {
        self.exports_read + self.exports_shared + self.exports_exclusive
    }

    /// Whether the bytes belong to somebody who may still use them.
    #[inline]
    pub(crate) fn foreign(&self) -> bool {
        self.lent > 0 || self.mapped
    }

    /// What must hold between any two calls.
    pub(crate) fn is_valid(&self) -> bool {
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

/// A ledger's place in the list of stores that wait for device work, guarded by the list's lock.
pub(super) struct DeferredLink {
    pub(super) place: UnsafeCell<Place>,
    pub(super) watch: Watch,
}

#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) next: Option<&'static Ledger>,
    pub(super) queued: bool,
}

impl DeferredLink {
    fn new() -> DeferredLink {
        DeferredLink { place: UnsafeCell::new(Place { next: None, queued: false }), watch: Watch::new() }
    }
}

/// Something in a slot that a ledger's lock guards. Which ledger may change while the slot lives (a COW write moves its handle), and
/// stays set when the slot is given back.
#[repr(C)]
pub struct Guarded<T> {
    pub(super) ledger: AtomicPtr<Ledger>,
    pub(super) body: UnsafeCell<T>,
    pub(super) watch: Watch,
}

// SAFETY: the body is reached under the lock of the ledger that the slot names, or by the only one who knows the slot.
unsafe impl<T> Sync for Guarded<T> {}

impl<T> Guarded<T> {
    pub(super) fn new(body: T) -> Guarded<T> {
        Guarded { ledger: AtomicPtr::new(core::ptr::null_mut()), body: UnsafeCell::new(body), watch: Watch::new() }
    }

    /// The ledger whose lock guards it. Never NULL once the slot was published.
    #[inline]
    pub(super) fn ledger(&self) -> Option<&'static Ledger> {
        // SAFETY: ledgers are type-stable; Acquire pairs with the Release in `set_ledger`.
        unsafe { self.ledger.load(Ordering::Acquire).as_ref() }
    }

    #[inline]
    pub(super) fn set_ledger(&self, ledger: &'static Ledger) {
        self.ledger.store(core::ptr::from_ref(ledger).cast_mut(), Ordering::Release);
    }

    /// The body, without a check: of a slot that nobody else knows yet, or any more, or of one whose ledger is locked.
    ///
    /// # Safety
    /// - The slot is not published and in no list, or its ledger is locked by the caller; no other reference to the body is out.
    #[allow(clippy::mut_from_ref)]
    #[inline]
    pub(super) unsafe fn own(&self) -> &mut T {
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

/// A claim on a store, in a slot of five cache lines: what borrows write, links, layout, name, and one that only nodes of expressions
/// touch.
#[repr(C, align(64))]
pub struct Claim {
    pub(super) head: Head,
    pub(super) guarded: Guarded<ClaimBody>,
}

/// What a claim's ledger guards. In this order: what borrows write lies on the line of the slot's head, and the layout, which they
/// only read, on lines that several threads can have at the same time.
#[repr(C)]
pub struct ClaimBody {
    /// Open read guards of this handle.
    pub(crate) readers: u32,
    /// Open write guards of this handle.
    pub(crate) writers: u32,
    /// Exports made through this handle.
    pub(crate) exports: u32,
    /// Guards, exports and records that need this slot's layout.
    pub(super) layout_refs: u32,
    /// g: promises outstanding.
    pub(crate) given: u32,
    /// r: the largest number required since it was last live.
    pub(crate) required: u32,
    /// Writing through this handle is refused.
    pub(crate) readonly: bool,
    /// A COW write copies the bytes at this moment.
    pub(crate) moving: bool,
    /// Of a destructed handle: `enter` took it, not `take`.
    pub(crate) entered: bool,
    /// In the ledger's list, and so one of its H.
    pub(super) counted: bool,
    /// Nothing but unfinished device work keeps it from letting go of its import.
    pub(super) lingers: bool,
    /// Where it was made; of a destructed handle: where it was taken.
    pub(crate) made: Origin,
    /// Next of the ledger's claims, or of a chain of dead ones.
    pub(super) next: Option<&'static Claim>,
    pub(super) previous: Option<&'static Claim>,
    pub(super) promises: Option<&'static Promise>,
    /// The layout that this one was cut from; None: it is its own root.
    pub(super) root: Option<&'static Root>,
    /// The import it descends from, and so keeps from being released.
    pub(super) lease: Option<&'static Lease>,
    /// Addresses are absolute; 0 for arrays of no elements.
    pub layout: Layout,
    /// The name that the user gave.
    pub(crate) name: Name,
    /// Of an expression node, which has no handle on it.
    pub(crate) node: Option<NodeTag>,
}

const _: () = assert!(size_of::<Claim>() == 320 || cfg!(loom));

impl ClaimBody {
    /// Whether nothing but its handle needs the slot, which has all of its layout.
    #[inline(always)]
    pub(super) fn is_unused(&self) -> bool {
        self.given | self.layout_refs == 0 && !self.moving && self.layout.is_inline()
    }

    /// Whether views of it know already what they are cut from.
    #[inline(always)]
    pub(crate) fn has_root(&self) -> bool {
        self.root.is_some()
    }

    /// Gets layout, READONLY and name of another one, in a slot that has no name yet; false if the layout needs room outside.
    #[inline(always)]
    pub(crate) fn copy(&mut self, from: &ClaimBody) -> bool {
        self.readonly = from.readonly;
        if !from.name.is_none() {
            self.name = from.name;
        }
        self.layout.set(&from.layout)
    }
}

impl Slot for Claim {
    const KIND: Kind = Kind::Array;
    fn new(head: Head) -> Claim {
        let body = ClaimBody {
            readers: 0,
            writers: 0,
            exports: 0,
            layout_refs: 0,
            given: 0,
            required: 0,
            readonly: false,
            moving: false,
            entered: false,
            counted: false,
            lingers: false,
            made: Origin::default(),
            next: None,
            previous: None,
            promises: None,
            root: None,
            lease: None,
            layout: Layout::EMPTY,
            name: Name::NONE,
            node: None,
        };
        Claim { head, guarded: Guarded::new(body) }
    }
    fn head(&self) -> &Head {
        &self.head
    }
}

impl GuardedSlot for Claim {
    type Body = ClaimBody;
    fn guarded(&self) -> &Guarded<ClaimBody> {
        &self.guarded
    }
}

/// The layout of an array that views were cut from: shared by them, counted under the ledger's lock.
pub struct Root {
    pub(super) head: Head,
    pub(super) guarded: Guarded<RootBody>,
}

/// What the lock guards of a root.
pub struct RootBody {
    pub(super) users: u32,
    /// Next of a chain of dead ones.
    pub(super) next: Option<&'static Root>,
    pub(super) layout: Layout,
}

impl Slot for Root {
    const KIND: Kind = Kind::Root;
    fn new(head: Head) -> Root {
        Root { head, guarded: Guarded::new(RootBody { users: 0, next: None, layout: Layout::EMPTY }) }
    }
    fn head(&self) -> &Head {
        &self.head
    }
}

impl GuardedSlot for Root {
    type Body = RootBody;
    fn guarded(&self) -> &Guarded<RootBody> {
        &self.guarded
    }
}

/// A guard, in a slot of two cache lines: a neighbour in the ledger's list writes the first.
#[repr(C, align(64))]
pub struct Guard {
    pub(super) head: Head,
    pub(super) guarded: Guarded<GuardBody>,
}

/// What a guard's ledger guards.
#[repr(C)]
pub struct GuardBody {
    pub(super) next: Option<&'static Guard>,
    pub(super) previous: Option<&'static Guard>,
    pub(super) owner: Option<&'static Claim>,
    pub(super) region: Option<&'static Claim>,
    /// What it is.
    pub(crate) class: Class,
    /// A reader whose bytes must not change.
    pub(crate) frozen: bool,
    /// A writer that does not need the old contents.
    pub(crate) discard: bool,
    /// Ended without having been used.
    pub(super) abandoned: bool,
    /// An entry of a borrow_all that was taken with a queue.
    pub(super) streamed: bool,
    pub(super) group: Option<Group>,
    /// Next entry of the same borrow_all; of a chunk group's record: unused.
    pub(super) entry: Option<&'static Guard>,
    /// The head of that borrow_all, whose handle the caller has.
    pub(super) head: Option<&'static Guard>,
    /// Chunks still open, and whether one failed: of a chunk group's record.
    pub(super) open: u32,
    pub(super) failed: bool,
    /// Where it was made.
    pub(crate) made: Origin,
    /// UseTime, ns since the epoch; 0: not kept.
    pub(crate) time_ns: u64,
    /// Of a record: after this its device work is done.
    pub(super) point: Option<Point>,
}

const _: () = assert!(size_of::<Guard>() == 128 || cfg!(loom));

/// The record that the chunks of one chunks_write share.
#[derive(Clone, Copy)]
pub struct Group(pub(super) &'static Guard);

impl GuardBody {
    pub(super) const NEW: GuardBody = GuardBody {
        next: None,
        previous: None,
        owner: None,
        region: None,
        class: Class::Read,
        frozen: false,
        discard: false,
        abandoned: false,
        streamed: false,
        group: None,
        entry: None,
        head: None,
        open: 0,
        failed: false,
        made: Origin { site: 0, thread: 0 },
        time_ns: 0,
        point: None,
    };

    /// The claim whose layout is the region.
    pub(crate) fn region(&self) -> &'static Claim {
        self.region.expect("guards in a list have a region")
    }

    /// The guard whose handle the caller has: itself, or the head of its borrow_all.
    pub(crate) fn shown_as(&self, this: &'static Guard) -> &'static Guard {
        self.head.unwrap_or(this)
    }

    /// The handle through which it was made.
    pub(crate) fn owner(&self) -> &'static Claim {
        self.owner.expect("guards in a list have an owner")
    }
}

impl Slot for Guard {
    const KIND: Kind = Kind::Borrow;
    fn new(head: Head) -> Guard {
        Guard { head, guarded: Guarded::new(GuardBody::NEW) }
    }
    fn head(&self) -> &Head {
        &self.head
    }
}

impl GuardedSlot for Guard {
    type Body = GuardBody;
    fn guarded(&self) -> &Guarded<GuardBody> {
        &self.guarded
    }
}

/// A promise, in a slot: Live while outstanding, Spent once used up or cancelled.
pub struct Promise {
    pub(super) head: Head,
    pub(super) guarded: Guarded<PromiseBody>,
}

/// What a promise's ledger guards: the ledger of its claim, which cannot move while the promise is outstanding.
pub struct PromiseBody {
    pub(super) next: Option<&'static Promise>,
    /// None once it is used up.
    pub(super) claim: Option<&'static Claim>,
    /// Where it was made.
    pub(crate) made: Origin,
}

impl Slot for Promise {
    const KIND: Kind = Kind::Promise;
    fn new(head: Head) -> Promise {
        Promise { head, guarded: Guarded::new(PromiseBody { next: None, claim: None, made: Origin::default() }) }
    }
    fn head(&self) -> &Head {
        &self.head
    }
}

impl GuardedSlot for Promise {
    type Body = PromiseBody;
    fn guarded(&self) -> &Guarded<PromiseBody> {
        &self.guarded
    }
}

/// Where the bytes of a store come from.
pub enum Backing {
    /// A store of no bytes.
    None,
    /// A block of a pool, with the bytes that were asked for.
    Pool(&'static Pool, i64),
    /// Foreign memory that was taken, or a mapped file: goes back when the store ends.
    Taken(&'static Lease),
    /// Foreign memory that is lent: its leases have the callbacks.
    Lent,
}

/// A release with what keeps it from running, in a slot: of a TN_BORROW import the claims that descend from it, of a taken store the
/// store.
pub struct Lease {
    pub(super) head: Head,
    pub(super) guarded: Guarded<LeaseBody>,
}

/// What a lease's ledger guards.
pub struct LeaseBody {
    /// Next of the ledger's leases, of a chain of ended ones, or of the queue.
    pub(super) next: Option<&'static Lease>,
    pub(super) previous: Option<&'static Lease>,
    pub(super) release: Release,
    /// Waits for `run_releases` in place of running where it ends.
    pub(super) queued: bool,
    /// The bytes may be destroyed: the store is not FOREIGN for it.
    pub(super) may_overwrite: bool,
    /// Slots that descend from it.
    pub(super) users: u32,
    /// Those of them that only unfinished device work keeps.
    pub(super) lingering: u32,
    /// The last of them waits for that work: the owner of the memory is about to use it.
    pub(super) waits: bool,
    /// One of them is a section of some thread that waits for that work.
    pub(super) has_urgent_wait: bool,
    /// The next of those that a locked section leaves to be waited for.
    pub(super) next_urgent: Option<&'static Lease>,
    /// The range of the import.
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) made: Origin,
    /// Forks before it was made: a child does not call what its parent registered.
    pub(super) forks: u32,
}

impl Slot for Lease {
    const KIND: Kind = Kind::Lease;
    fn new(head: Head) -> Lease {
        let body = LeaseBody {
            next: None,
            previous: None,
            release: Release::None,
            queued: false,
            may_overwrite: false,
            users: 0,
            lingering: 0,
            waits: false,
            has_urgent_wait: false,
            next_urgent: None,
            start: 0,
            end: 0,
            made: Origin::default(),
            forks: 0,
        };
        Lease { head, guarded: Guarded::new(body) }
    }
    fn head(&self) -> &Head {
        &self.head
    }
}

impl GuardedSlot for Lease {
    type Body = LeaseBody;
    fn guarded(&self) -> &Guarded<LeaseBody> {
        &self.guarded
    }
}

impl LeaseBody {
    /// Whether its release runs when the only claim that descends from it ends.
    #[inline(always)]
    pub(super) fn ends_at_once(&self) -> bool {
        self.users == 1 && !self.queued
    }
}
