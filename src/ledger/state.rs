//! The state of a store, and the slots that a ledger's lock guards: claims, roots, guards, promises, leases.
//!
//! These types refer to each other, so they share one file. Their transitions are in the other files of this module.

use super::class::{Class, Completion};
use super::operation::NodeTag;
use super::origin::Origin;
use super::release::Release;
use super::residence::Residence;
use crate::layout::{Form, Layout};
use crate::names::Name;
use crate::pool::Pool;
use crate::slots::{self, Head, Id, Kind, Past, Slot, State, Table};
use crate::stream::Point;
use crate::sys::lock::RawLock;
use crate::sys::sync::Watch;
use crate::sys::sync::atomic::{AtomicPtr, Ordering};
use crate::thread::Thread;
use crate::types::{TN_CPU, tn_device};
use core::cell::UnsafeCell;

/// The ledger of one store. It has cache lines of its own. A reader's borrow and its end use only the first one, which
/// moves between the processors of threads that share a store.
#[repr(C, align(64))]
pub struct Ledger {
    pub(super) head: Head,
    pub(super) lock: RawLock,
    pub(super) state: UnsafeCell<LedgerState>,
    pub(super) watch: Watch,
    pub(super) waiting: DeferredLink,
}

// SAFETY: `state` is reached under the lock only.
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
    /// A number below 2^56 that is never reused and never 0. Pools store it with a block as the block's owner.
    pub fn tag(&self) -> u64 {
        ((u64::from(self.head.epoch()) << slots::NUMBER_BITS) | u64::from(self.head.number())) + 1
    }

    /// The ledger with that tag. Whether its store still exists must be checked under its lock.
    pub(crate) fn of_tag(tag: u64) -> Option<&'static Ledger> {
        let number = tag.checked_sub(1)? & ((1 << slots::NUMBER_BITS) - 1);
        let ledger = Table::<Ledger>::slot(number as u32)?;
        (ledger.tag() == tag).then_some(ledger)
    }
}

impl Ledger {
    /// Whether the store exists: it is not dead, and the ledger is in use.
    pub(crate) fn is_alive(&self) -> bool {
        self.head.state() == State::Kept
    }
}

/// The state that a ledger's lock guards. The fields that every borrow uses come first, see [`Ledger`].
#[repr(C)]
pub struct LedgerState {
    pub(super) guard_list: Option<&'static Guard>,
    pub(super) claim_list: Option<&'static Claim>,
    /// Open read guards. R in the specification.
    pub(crate) readers: u32,
    /// Open write guards. W in the specification.
    pub(crate) writers: u32,
    /// Read-only exports. XR in the specification.
    pub(crate) exports_read: u32,
    /// Shared views. XS in the specification.
    pub(crate) exports_shared: u32,
    /// Exclusive exports. XW in the specification.
    pub(crate) exports_exclusive: u32,
    /// Records of ended guards: poisoned regions and unfinished device work; and one more for a store that its pool may
    /// spill. One count, so that most calls check one number.
    pub(crate) records: u32,
    /// Live and given handles, claims that promises keep, and expression nodes. H in the specification.
    pub claims: u32,
    /// The expression nodes among `claims`. P in the specification.
    pub(crate) nodes: u32,
    /// The frozen guards among `readers`.
    pub(crate) frozen: u32,
    /// COW writes that are copying the bytes. The handle of each may be released meanwhile.
    pub(super) moves: u32,
    /// Of `moves`: claims of functions on buffers that they keep for later calls.
    pub(super) spares: u32,
    pub(crate) leases: u32,
    /// Open leases without TN_MAY_OVERWRITE, which make the store FOREIGN.
    pub(crate) foreign_leases: u32,
    /// The memory must not be written.
    pub(crate) readonly: bool,
    /// A mapped file: the store is FOREIGN without a lease.
    pub(crate) mapped: bool,
    /// An export through which the bytes could be written has ended since they were lent to a callback.
    pub(crate) was_exported: bool,
    /// Claims of shared variables. Only they and the claims with `grants` may write the value.
    pub(crate) managed: u32,
    pub(crate) device: tn_device,
    /// Address of the first byte; 0 for an empty store.
    pub start: i64,
    pub(crate) bytes: i64,
    /// Number of finished writes.
    pub version: u64,
    /// When the store was made: time since the epoch; 0: a small store, whose time is not recorded.
    pub(crate) time_ns: u64,
    /// Incremented when the last claim ends. Weak handles compare it.
    pub(crate) epoch: u64,
    /// Records of device work that was unfinished at the last check.
    pub(crate) works: u32,
    /// Records of poisoned regions. One record can count in both.
    pub(crate) poisoned: u32,
    pub(crate) backing: Backing,
    pub(super) record_list: Option<&'static Guard>,
    pub(super) lease_list: Option<&'static Lease>,
    /// Next in a chain of dead slots.
    pub(super) next_dead: Option<&'static Ledger>,
    /// Device work that was unfinished when the store ended. The pool waits for it.
    pub(super) due: Option<&'static Guard>,
    /// Next of the ledgers that one [`super::Locked`] has locked.
    pub(super) next_locked: Option<&'static Ledger>,
    /// Bytes that the pool's statistics count as held without a claim.
    pub(super) held: i64,
    /// Where the bytes are.
    pub(crate) residence: Residence,
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
        spares: 0,
        leases: 0,
        foreign_leases: 0,
        readonly: false,
        mapped: false,
        was_exported: false,
        managed: 0,
        device: tn_device { r#type: TN_CPU, id: 0 },
        start: 0,
        bytes: 0,
        version: 0,
        time_ns: 0,
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
        residence: Residence::Fixed,
    };

    #[inline]
    pub(crate) fn exports(&self) -> u32 {
        self.exports_read + self.exports_shared + self.exports_exclusive
    }

    /// Whether the bytes have an owner outside of this library, who may still use them.
    #[inline]
    pub(crate) fn foreign(&self) -> bool {
        self.foreign_leases > 0 || self.mapped
    }

    /// The invariants that hold between any two calls.
    pub(crate) fn is_valid(&self) -> bool {
        let records = self.records - self.residence.tracked();
        self.nodes <= self.claims
            && self.frozen <= self.readers
            && self.foreign_leases <= self.leases
            && (self.claims == 0) == self.claim_list.is_none()
            && (self.readers + self.writers + self.exports() == 0) == self.guard_list.is_none()
            && (records == 0) == self.record_list.is_none()
            && self.works.max(self.poisoned) <= records
            && records <= self.works + self.poisoned
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

/// A slot's contents, guarded by a ledger's lock. The ledger can change while the slot is in use, because a COW write
/// moves its handle. A freed slot still names its last ledger.
#[repr(C)]
pub struct Guarded<T> {
    pub(super) ledger: AtomicPtr<Ledger>,
    pub(super) body: UnsafeCell<T>,
    pub(super) watch: Watch,
}

// SAFETY: the body is reached under the lock of the ledger that the slot names, or by the only thread that knows the
// slot.
unsafe impl<T> Sync for Guarded<T> {}

impl<T> Guarded<T> {
    pub(super) fn new(body: T) -> Guarded<T> {
        Guarded { ledger: AtomicPtr::new(core::ptr::null_mut()), body: UnsafeCell::new(body), watch: Watch::new() }
    }

    /// The ledger whose lock guards the contents. Never NULL once the slot was published.
    #[inline]
    pub(super) fn ledger(&self) -> Option<&'static Ledger> {
        // SAFETY: ledgers are type-stable; Acquire pairs with the Release in `set_ledger`.
        unsafe { self.ledger.load(Ordering::Acquire).as_ref() }
    }

    #[inline]
    pub(super) fn set_ledger(&self, ledger: &'static Ledger) {
        self.ledger.store(core::ptr::from_ref(ledger).cast_mut(), Ordering::Release);
    }

    /// The contents, without a check.
    ///
    /// # Safety
    /// - The slot is unpublished and in no list, or its ledger is locked by the caller.
    /// - No other reference to the contents exists.
    #[allow(clippy::mut_from_ref)]
    #[inline]
    pub(super) unsafe fn own(&self) -> &mut T {
        self.watch.write();
        // SAFETY: the caller's obligation.
        unsafe { &mut *self.body.get() }
    }
}

/// A slot whose contents a ledger guards.
pub trait GuardedSlot: Slot {
    /// The guarded contents.
    type Body;
    /// The cell with the contents.
    fn guarded(&self) -> &Guarded<Self::Body>;
}

/// How an array was taken from a handle that is destructed now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TakenBy {
    /// By `take`.
    Take,
    /// By `enter`.
    Enter,
    /// By an import of another process.
    Process,
}

/// A claim on a store, in a slot of five cache lines: counts that borrows write, links, layout, name, and the tag of
/// expression nodes.
#[repr(C, align(64))]
pub struct Claim {
    pub(super) head: Head,
    pub(super) guarded: Guarded<ClaimBody>,
}

/// The contents of a claim. Borrows write only the cache line of the slot's head. The layout, which they read, is on
/// other lines, which several processors can share.
#[repr(C)]
pub struct ClaimBody {
    /// Open read guards of this handle.
    pub(crate) readers: u32,
    /// Open write guards of this handle.
    pub(crate) writers: u32,
    /// Exports made through this handle.
    pub(crate) exports: u32,
    /// References of guards, exports and records on this slot's layout.
    pub(super) layout_refs: u32,
    /// Number of outstanding promises; g in the specification.
    pub(crate) given: u32,
    /// The largest `required` of a give since the handle was last live; r in the specification.
    pub(crate) required: u32,
    /// Writes through this handle are refused.
    pub(crate) readonly: bool,
    /// The form of the handle's matrix.
    pub(crate) form: Form,
    /// Of a destructed handle: who took the array.
    pub(crate) taken_by: TakenBy,
    /// A shared variable lends its value to a callback, which may write it through this handle.
    pub(crate) grants: bool,
    /// The callback's own handle, or the one that it was passed to. A COW write does not move it, because its bytes
    /// become the value.
    pub(crate) lent: bool,
    /// A COW write is copying the bytes, or a call lends them through another handle. Uses of this handle are refused
    /// meanwhile.
    pub(crate) moving: bool,
    /// In the ledger's list of claims, and counted in `claims`. A claim that rests is not, if its bytes are lent.
    pub(crate) counted: bool,
    /// Only unfinished device work still needs the lease.
    pub(super) lingers: bool,
    /// Where the handle was made; of a destructed handle: where it was taken.
    pub(crate) origin: Origin,
    /// Next of the ledger's claims, or in a chain of dead slots.
    pub(super) next: Option<&'static Claim>,
    pub(super) previous: Option<&'static Claim>,
    pub(super) promises: Option<&'static Promise>,
    /// The layout of the array that this view was made from; None: the claim's own layout.
    pub(super) root: Option<&'static Root>,
    /// The lease of the import from which the claim descends, and which it keeps open.
    pub(super) lease: Option<&'static Lease>,
    /// Addresses are absolute; 0 for arrays of no elements.
    pub layout: Layout,
    /// The name that the program gave. A free slot keeps the name of its last handle, see [`Name::ended`].
    pub(crate) name: Name,
    /// The generation of the slot while it is free and keeps the name of its last handle.
    pub(super) named: u32,
    /// The expression node that owns the claim; such a claim has no handle.
    pub(crate) node: Option<NodeTag>,
    /// The shared variable or mirror that owns the claim, whose handle no caller knows; else none.
    pub(crate) keeper: Id,
}

const _: () = assert!(size_of::<Claim>() == 320 || cfg!(loom));

impl ClaimBody {
    /// Whether only its handle needs the slot, and the layout is inline.
    #[inline(always)]
    pub(super) fn is_unused(&self) -> bool {
        self.given | self.layout_refs == 0 && !self.moving && self.layout.is_inline()
    }

    /// Whether a root exists that views can share.
    #[inline(always)]
    pub(crate) fn has_root(&self) -> bool {
        self.root.is_some()
    }

    /// Whether a shared variable owns the claim.
    #[inline(always)]
    pub(crate) fn is_of_variable(&self) -> bool {
        self.keeper.is_of(Kind::Variable)
    }

    /// Copies layout, form, READONLY, the grant to write a lent value, and the name into a slot that has no name yet.
    /// False if the slot's layout has no room for it.
    #[inline(always)]
    pub(crate) fn copy_layout_and_name_from(&mut self, from: &ClaimBody) -> bool {
        self.readonly = from.readonly;
        self.grants = from.grants;
        self.form = from.form;
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
            form: Form::Full,
            taken_by: TakenBy::Take,
            grants: false,
            lent: false,
            moving: false,
            counted: false,
            lingers: false,
            origin: Origin::default(),
            next: None,
            previous: None,
            promises: None,
            root: None,
            lease: None,
            layout: Layout::EMPTY,
            name: Name::NONE,
            named: 0,
            node: None,
            keeper: Id::NONE,
        };
        Claim { head, guarded: Guarded::new(body) }
    }
    fn head(&self) -> &Head {
        &self.head
    }
    #[inline]
    fn discard(&'static self, thread: &'static Thread) {
        self.reset(thread);
    }
    unsafe fn past(&'static self) -> Past {
        // SAFETY: free and of this thread alone, which the caller ensures.
        let body = unsafe { self.guarded.own() };
        let name = if body.named == self.head.epoch() { body.name.ended() } else { Name::NONE };
        Past { name, site: body.origin.site().name() }
    }
}

impl GuardedSlot for Claim {
    type Body = ClaimBody;
    fn guarded(&self) -> &Guarded<ClaimBody> {
        &self.guarded
    }
}

/// The layout of an array from which views were made. The views share it by a reference count.
pub struct Root {
    pub(super) head: Head,
    pub(super) guarded: Guarded<RootBody>,
}

/// The contents of a root.
pub struct RootBody {
    pub(super) users: u32,
    /// Next in a chain of dead slots.
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
    fn discard(&'static self, thread: &'static Thread) {
        self.reset(thread);
    }
}

impl GuardedSlot for Root {
    type Body = RootBody;
    fn guarded(&self) -> &Guarded<RootBody> {
        &self.guarded
    }
}

/// A guard, in a slot of two cache lines. Neighbours in the ledger's list write only the first.
#[repr(C, align(64))]
pub struct Guard {
    pub(super) head: Head,
    pub(super) guarded: Guarded<GuardBody>,
}

/// The contents of a guard.
#[repr(C)]
pub struct GuardBody {
    pub(super) next: Option<&'static Guard>,
    pub(super) previous: Option<&'static Guard>,
    pub(super) owner: Option<&'static Claim>,
    pub(super) region: Option<&'static Claim>,
    pub(crate) class: Class,
    /// A reader whose bytes must not change.
    pub(crate) frozen: bool,
    /// A writer that does not need the old contents.
    pub(crate) discard: bool,
    /// Ended without a use of the bytes.
    pub(super) abandoned: bool,
    /// An entry of a borrow_all, opened with a stream.
    pub(super) streamed: bool,
    /// The event log was told of its begin.
    pub(super) logged: bool,
    /// Who completes its end.
    pub(crate) completion: Completion,
    pub(super) group: Option<Group>,
    /// Next entry of the borrow_all.
    pub(super) entry: Option<&'static Guard>,
    /// The head of the borrow_all, whose handle the caller has.
    pub(super) head: Option<&'static Guard>,
    /// Of a chunk group: the number of open chunks.
    pub(super) open: u32,
    pub(super) failed: bool,
    pub(crate) origin: Origin,
    /// Time since the epoch; 0: not recorded.
    pub(crate) time_ns: u64,
    /// Of a record: the point at which its device work is done.
    pub(super) point: Option<Point>,
}

const _: () = assert!(size_of::<Guard>() == 128 || cfg!(loom));

/// The group of the chunks of one split_write.
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
        logged: false,
        completion: Completion::Ledger,
        group: None,
        entry: None,
        head: None,
        open: 0,
        failed: false,
        origin: Origin { site: 0, thread: 0 },
        time_ns: 0,
        point: None,
    };

    /// The claim whose layout is the guard's region.
    pub(crate) fn region(&self) -> &'static Claim {
        self.region.expect("guards in a list have a region")
    }

    /// The guard whose handle the caller has: this one, or the head of its borrow_all.
    pub(crate) fn shown_as(&self, this: &'static Guard) -> &'static Guard {
        self.head.unwrap_or(this)
    }

    /// The claim through which the guard was opened.
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
    unsafe fn past(&'static self) -> Past {
        // SAFETY: free and of this thread alone, which the caller ensures.
        Past { name: Name::NONE, site: unsafe { self.guarded.own() }.origin.site().name() }
    }
}

impl GuardedSlot for Guard {
    type Body = GuardBody;
    fn guarded(&self) -> &Guarded<GuardBody> {
        &self.guarded
    }
}

/// A promise. Its slot is Live while it is outstanding, and Spent once it was taken or cancelled.
pub struct Promise {
    pub(super) head: Head,
    pub(super) guarded: Guarded<PromiseBody>,
}

/// The contents of a promise. Its ledger is that of its claim, which cannot move while the promise is outstanding.
pub struct PromiseBody {
    pub(super) next: Option<&'static Promise>,
    /// None once the promise is spent.
    pub(super) claim: Option<&'static Claim>,
    pub(crate) origin: Origin,
}

impl Slot for Promise {
    const KIND: Kind = Kind::Promise;
    fn new(head: Head) -> Promise {
        Promise { head, guarded: Guarded::new(PromiseBody { next: None, claim: None, origin: Origin::default() }) }
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
    /// A block of a pool, and its requested bytes.
    Pool(&'static Pool, i64),
    /// Foreign memory that was taken over, or a mapped file. It is released when the store ends.
    Taken(&'static Lease),
    /// Foreign memory that is lent. Its leases have the releases.
    Lent,
}

/// A release that has not run yet. The claims that descend from a TN_BORROW import keep it open; of a taken store, the
/// store does.
pub struct Lease {
    pub(super) head: Head,
    pub(super) guarded: Guarded<LeaseBody>,
}

/// The contents of a lease.
pub struct LeaseBody {
    /// Next of the ledger's leases, in a chain of ended ones, or in the queue of releases.
    pub(super) next: Option<&'static Lease>,
    pub(super) previous: Option<&'static Lease>,
    pub(super) release: Release,
    /// The release is queued for `run_releases` instead of run at the end of the lease.
    pub(super) queued: bool,
    /// TN_MAY_OVERWRITE: the lease does not make the store FOREIGN.
    pub(super) may_overwrite: bool,
    /// Number of claims that descend from the import.
    pub(super) users: u32,
    /// Number of those that only unfinished device work keeps.
    pub(super) lingering: u32,
    /// The end of the import waits for device work, because the owner of the memory is about to use it.
    pub(super) waits: bool,
    /// One of `users` is a thread that waits for that work.
    pub(super) has_urgent_wait: bool,
    /// Next of the leases for whose device work a thread waits after unlocking.
    pub(super) next_urgent: Option<&'static Lease>,
    /// Address of the first byte of the import.
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) origin: Origin,
    /// Number of forks before the import. A child does not run releases of its parent.
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
            origin: Origin::default(),
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
    /// Whether the release runs as soon as the only claim that descends from the import ends.
    #[inline(always)]
    pub(super) fn ends_at_once(&self) -> bool {
        self.users == 1 && !self.queued
    }
}
