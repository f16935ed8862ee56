//! Where a store's bytes come from, how they go back, and the release callbacks of imports.
//!
//! Nothing here calls back or frees under a lock: what ends is chained through its own slots into [`DeferredWork`], which `Locked` works
//! off when it has unlocked. So no end of anything needs memory.

use super::claim::{Claim, Root};
use super::fast_path::{Bytes, found};
use super::guard::{Class, GuardParams, Ready, SpareGuard};
use super::promise::Weak;
use super::{Guarded, GuardedSlot, Ledger, LedgerState, Locked, Origin, Spare};
use crate::blit::HostView;
use crate::device_copy::{Memory, MemoryView, registered};
use crate::error::Result;
use crate::layout::Layout;
use crate::names::{Name, Site};
use crate::pool::{self, Pool};
use crate::slots::{Head, Id, Kind, Slot, State, Table};
use crate::stream;
use crate::sys::file::Mapping;
use crate::thread::{self, ColdLock, Thread};
use crate::types::*;
use core::ffi::c_void;
use core::sync::atomic::{AtomicBool, Ordering};

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

/// How foreign bytes go back.
#[derive(Clone, Copy)]
pub enum Release {
    /// Nothing to do.
    None,
    /// The caller's callback.
    Call(unsafe extern "C" fn(*mut c_void), usize),
    /// A mapping of this library's.
    Unmap(Mapping),
    /// A registration of host memory: where it begins.
    Unlock(i64),
}

/// A release with what keeps it from running, in a slot: of a TN_BORROW import the claims that descend from it, of a taken store the
/// store.
pub struct Lease {
    head: Head,
    guarded: Guarded<LeaseBody>,
}

/// What a lease's ledger guards.
pub struct LeaseBody {
    /// Next of the ledger's leases, of a chain of ended ones, or of the queue.
    next: Option<&'static Lease>,
    previous: Option<&'static Lease>,
    release: Release,
    /// Waits for `run_releases` in place of running where it ends.
    queued: bool,
    /// The bytes may be destroyed: the store is not FOREIGN for it.
    may_overwrite: bool,
    /// Slots that descend from it.
    users: u32,
    /// Those of them that only unfinished device work keeps.
    lingering: u32,
    /// The last of them waits for that work: the owner of the memory is about to use it.
    waits: bool,
    /// One of them is a section of some thread that waits for that work.
    hurried: bool,
    /// The next of those that a locked section leaves to be waited for.
    next_urgent: Option<&'static Lease>,
    /// The range of the import.
    start: i64,
    end: i64,
    made: Origin,
    /// Forks before it was made: a child does not call what its parent registered.
    forks: u32,
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
            hurried: false,
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
    /// The first claim that descends from it; what it adds to the store's count of leases that lend.
    #[inline(always)]
    pub(super) fn hold_first(&mut self) -> u32 {
        self.users = 1;
        u32::from(!self.may_overwrite)
    }

    /// Whether its release runs when the only claim that descends from it ends.
    #[inline(always)]
    pub(super) fn ends_at_once(&self) -> bool {
        self.users == 1 && !self.queued
    }
}

impl Lease {
    /// Names this use of the slot: a weak handle compares it.
    pub fn epoch(&self) -> u32 {
        self.head.epoch()
    }

    /// Runs the release, or queues it and says false; the lease is in no list any more. Under no lock.
    fn end(&'static self, thread: &'static Thread) -> bool {
        // SAFETY: ended and in no list: ours alone.
        let body = unsafe { self.guarded.own() };
        if body.queued {
            let mut queue = QUEUE.lock();
            body.next = None;
            match queue.last.replace(self) {
                // SAFETY: queued leases are the queue's, which we have locked.
                Some(last) => unsafe { last.guarded.own() }.next = Some(self),
                None => queue.first = Some(self),
            }
            queue.count += 1;
            queue.bytes += (body.end - body.start) as u64;
            return false;
        }
        self.run(thread);
        true
    }

    /// Runs the release and gives the slot back.
    pub(super) fn run(&'static self, thread: &'static Thread) {
        // SAFETY: ended and in no list: ours alone.
        let body = unsafe { self.guarded.own() };
        let (release, forks) = (body.release, body.forks);
        body.release = Release::None;
        Table::free(thread, self);
        match release {
            Release::None => {}
            Release::Call(callback, context) => {
                if forks == thread::forks() {
                    // SAFETY: the caller of the import promised that the callback may run once, on any thread.
                    unsafe { callback(context as *mut c_void) };
                }
            }
            // SAFETY: the mapping was made for this store, and nothing holds its bytes any more.
            Release::Unmap(mapping) => unsafe { mapping.unmap() },
            Release::Unlock(start) => {
                if forks == thread::forks() {
                    registered::unlock(start);
                }
            }
        }
    }
}

/// A taken lease slot that is nobody's yet.
pub struct SpareLease {
    lease: &'static Lease,
    thread: &'static Thread,
}

impl SpareLease {
    /// Takes a slot and sets what its release will be; outside of locks.
    pub fn take(
        thread: &'static Thread,
        release: Release,
        queued: bool,
        may_overwrite: bool,
        range: (i64, i64),
    ) -> Result<SpareLease> {
        // Without a callback there is nothing to wait for.
        let queued = queued && !matches!(release, Release::None);
        let lease: &'static Lease = Table::take(thread)?;
        // SAFETY: taken, in no list: ours alone.
        *unsafe { lease.guarded.own() } = LeaseBody {
            next: None,
            previous: None,
            release,
            queued,
            may_overwrite,
            users: 0,
            lingering: 0,
            waits: false,
            hurried: false,
            next_urgent: None,
            start: range.0,
            end: range.1,
            made: Origin::by(thread),
            forks: thread::forks(),
        };
        Ok(SpareLease { lease, thread })
    }

    /// The end of the import waits for the device work on its bytes, in place of leaving that to a later call: its owner takes the end for the
    /// end of all use.
    pub fn set_waits(&mut self) {
        // SAFETY: taken, in no list: ours alone.
        unsafe { self.lease.guarded.own() }.waits = true;
    }

    /// The bytes were copied: the release runs, or is queued, now. Under no lock.
    pub fn end_now(self) {
        let thread = self.thread;
        let _ = self.into_lease().end(thread);
    }

    fn into_lease(self) -> &'static Lease {
        let lease = self.lease;
        core::mem::forget(self);
        lease.head.set_state(State::Kept);
        lease
    }
}

impl Drop for SpareLease {
    /// An import that failed: nothing is called.
    fn drop(&mut self) {
        Table::free(self.thread, self.lease);
    }
}

/// What a new store is like.
pub struct Create {
    /// Where the bytes live.
    pub device: tn_device,
    /// First byte, 0 for none.
    pub start: i64,
    /// How many.
    pub bytes: i64,
    /// The memory must not be written.
    pub readonly: bool,
    /// A mapped file.
    pub mapped: bool,
    /// Where they come from.
    pub from: From,
}

/// Where a new store's bytes come from.
pub enum From {
    /// A store of no bytes.
    Nothing,
    /// A pool's block, with the bytes asked for.
    Pool(&'static Pool, i64),
    /// Foreign memory that is the store's own.
    Taken(SpareLease),
    /// Foreign memory that is lent.
    Lent(SpareLease),
}

/// A taken ledger slot that is nobody's yet.
pub struct SpareLedger {
    ledger: &'static Ledger,
    thread: &'static Thread,
}

impl SpareLedger {
    /// Takes a slot; outside of locks.
    #[inline]
    pub fn take(thread: &'static Thread) -> Result<SpareLedger> {
        if !NAMES_KNOWN.load(Ordering::Relaxed) {
            // Pools name the largest holders when memory runs out, and know stores by their tags only.
            pool::name_holders(name_of);
            NAMES_KNOWN.store(true, Ordering::Relaxed);
        }
        Ok(SpareLedger { ledger: Table::take(thread)?, thread })
    }
    #[inline]
    pub(super) fn thread(&self) -> &'static Thread {
        self.thread
    }

    #[inline]
    pub(super) fn into_ledger(self) -> &'static Ledger {
        let ledger = self.ledger;
        core::mem::forget(self);
        ledger
    }

    /// What the pool's block will carry as its owner.
    #[inline]
    pub fn tag(&self) -> u64 {
        self.ledger.tag()
    }
}

static NAMES_KNOWN: AtomicBool = AtomicBool::new(false);

/// The name that a user gave to an array on the store with that tag, and where the oldest of its arrays was made; none if the store
/// is gone.
fn name_of(tag: u64) -> (Name, Site) {
    let (mut name, mut made) = (Name::NONE, Origin::default());
    if let Some((locked, ledger)) = super::lock_tag(tag) {
        locked.each_claim(ledger, |claim| {
            let body = locked.get(claim);
            // The newest claim comes first.
            made = body.made;
            if !body.name.is_none() {
                name = body.name;
            }
        });
    }
    (name, made.site())
}

impl Drop for SpareLedger {
    fn drop(&mut self) {
        Table::free(self.thread, self.ledger);
    }
}

/// A block of a pool that is about to become a store: its bytes are written before anybody can see them.
pub struct NewStore {
    ledger: SpareLedger,
    claim: Spare,
    pool: &'static Pool,
    start: i64,
    bytes: i64,
    /// What others than the queue that it was made for have to wait for before they touch the bytes.
    ready: Option<Ready>,
}

impl NewStore {
    /// Takes memory for an array of that layout, which is dense and whose offset is 0; no call of the pool for no bytes.
    ///
    /// Whatever fails, nothing is left behind.
    /// What `layout` is afterwards, nobody may ask.
    #[inline(always)]
    pub fn allocate(
        thread: &'static Thread,
        pool: &'static Pool,
        layout: &mut Layout,
        zeroed: bool,
    ) -> Result<NewStore> {
        if pool.is_stream_ordered() {
            return NewStore::allocate_on(thread, None, pool, layout, zeroed);
        }
        let ledger = SpareLedger::take(thread)?;
        let mut claim = Spare::take(thread)?;
        let bytes = layout.bytes();
        let mut start = 0;
        if bytes > 0 {
            start = pool.allocate_store(thread, bytes as usize, ARRAY_ALIGNMENT, zeroed, ledger.tag())? as i64;
        }
        // Not before: what was just written number by number is slow to read in larger pieces, measured 5 ns each time it is moved.
        claim.lay_out(thread, layout, bytes, start);
        Ok(NewStore { ledger, claim, pool, start, bytes, ready: None })
    }

    /// The same from any pool, for use in the order of a queue; None: by the host, now, or where the host cannot, on the thread's current one.
    #[cold]
    #[inline(never)]
    pub fn allocate_on(
        thread: &'static Thread,
        queue: Option<&'static stream::Queue>,
        pool: &'static Pool,
        layout: &mut Layout,
        zeroed: bool,
    ) -> Result<NewStore> {
        let ledger = SpareLedger::take(thread)?;
        let mut claim = Spare::take(thread)?;
        let guard = SpareGuard::take(thread)?;
        let (bytes, mut start, mut ready) = (layout.bytes(), 0, None);
        if bytes > 0 {
            let tag = ledger.tag();
            let (block, point) = pool.allocate_store_on(queue, bytes as usize, ARRAY_ALIGNMENT, zeroed, tag)?;
            start = block.as_ptr() as i64;
            ready = point.map(|point| Ready::at(guard, point));
        }
        claim.lay_out(thread, layout, bytes, start);
        Ok(NewStore { ledger, claim, pool, start, bytes, ready })
    }

    /// The bytes for the host; DEVICE if it cannot reach them.
    pub fn place(&mut self) -> Result<HostView<'_>> {
        let layout = self.claim.layout();
        super::guard::reach(self.pool.device())?;
        // SAFETY: a block of our own of that many bytes, which nobody else knows; the layout is dense in it, and the host reaches it.
        Ok(unsafe { HostView::new(layout) })
    }

    /// The bytes for `ferry`, wherever they are.
    pub fn memory_view(&mut self) -> Result<MemoryView<'_>> {
        let device = self.pool.device();
        let layout: &Layout = self.claim.layout();
        // SAFETY: as for `place`; who copies on a queue waits for that, or makes it a store whose work is recorded.
        Ok(unsafe { MemoryView::new(layout, Memory::of(device, layout)?) })
    }

    /// The layout, with the address of the bytes.
    pub fn layout(&mut self) -> &Layout {
        self.claim.layout()
    }

    /// Where the bytes are.
    pub fn device(&self) -> tn_device {
        self.pool.device()
    }

    /// The claim to be.
    pub fn claim(&mut self) -> &mut Spare {
        &mut self.claim
    }

    /// Makes it a store with one claim, and returns its handle.
    #[inline(always)]
    pub fn finish(self) -> Id {
        let this = core::mem::ManuallyDrop::new(self);
        // SAFETY: each field is moved out once, and `this` is not dropped.
        let (ledger, claim) = unsafe { (core::ptr::read(&this.ledger), core::ptr::read(&this.claim)) };
        let backing = if this.bytes > 0 { Backing::Pool(this.pool, this.bytes) } else { Backing::None };
        let bytes = Bytes { device: this.pool.device(), start: this.start, bytes: this.bytes };
        // SAFETY: as above.
        let ready = unsafe { core::ptr::read(&this.ready) };
        let id = found(ledger, claim, bytes, backing, None).1;
        if let Some(ready) = ready {
            begin_after(id, ready);
        }
        id
    }

    /// The same, in the general way: the store is still locked.
    pub(super) fn finish_locked(self) -> (Locked, Id) {
        let this = core::mem::ManuallyDrop::new(self);
        // SAFETY: each field is moved out once, and `this` is not dropped.
        let (ledger, claim) = unsafe { (core::ptr::read(&this.ledger), core::ptr::read(&this.claim)) };
        let from = if this.bytes > 0 { From::Pool(this.pool, this.bytes) } else { From::Nothing };
        let what = Create {
            device: this.pool.device(),
            start: this.start,
            bytes: this.bytes,
            readonly: false,
            mapped: false,
            from,
        };
        // SAFETY: as above.
        let ready = unsafe { core::ptr::read(&this.ready) };
        let (mut locked, _, id) = create(ledger, what, claim);
        if let Some(ready) = ready
            && let Ok(claim) = super::find::<Claim>(id)
        {
            locked.begin_after(claim, ready);
        }
        (locked, id)
    }
}

/// Who touches a new store is after the work that its memory still has.
#[cold]
fn begin_after(id: Id, ready: Ready) {
    if let Ok((mut locked, claim)) = super::lock::<Claim>(id) {
        locked.begin_after(claim, ready);
    }
}

impl Locked {
    /// The bytes that a registration of host memory page-locked, from which the claim descends; 0: it does not.
    pub fn registered_bytes(&self, claim: &'static Claim) -> u64 {
        let Some(lease) = self.get(claim).lease else { return 0 };
        let body = self.get(lease);
        if matches!(body.release, Release::Unlock(_)) { (body.end - body.start) as u64 } else { 0 }
    }

    fn begin_after(&mut self, claim: &'static Claim, ready: Ready) {
        let (spare, point) = ready.take(self.thread());
        let terms = GuardParams { class: Class::Write, frozen: false, discard: true, time_ns: 0 };
        let guard = self.add_guard(spare, terms, claim, claim, None);
        self.get_mut(guard).abandoned = true;
        self.end_guard_at(guard, false, point);
    }
}

impl Drop for NewStore {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.pool.free_store(thread::current(), self.start as usize);
        }
    }
}

/// Alignment of array stores in bytes: what vector kernels and JAX's imports need.
const ARRAY_ALIGNMENT: usize = 256;

/// Makes a store with one claim. Its layout's addresses are set already. Returns it still locked, so that whoever needs more than the
/// handle can go on; the handle is out.
#[inline]
pub fn create(spare: SpareLedger, what: Create, claim: Spare) -> (Locked, &'static Ledger, Id) {
    let thread = spare.thread;
    let ledger = spare.into_ledger();
    let mut locked = Locked::one(thread, ledger);
    let (backing, lease) = match what.from {
        From::Nothing => (Backing::None, None),
        From::Pool(pool, requested) => (Backing::Pool(pool, requested), None),
        From::Taken(lease) => (Backing::Taken(lease.into_lease()), None),
        From::Lent(lease) => (Backing::Lent, Some(lease.into_lease())),
    };
    let epoch = locked.books(ledger).epoch;
    *locked.books_mut(ledger) = LedgerState {
        device: what.device,
        start: what.start,
        bytes: what.bytes,
        readonly: what.readonly,
        mapped: what.mapped,
        backing,
        epoch,
        ..LedgerState::EMPTY
    };
    if let Some(lease) = lease {
        locked.open_lease(ledger, lease);
    }
    ledger.head.set_state(State::Kept);
    let id = locked.add_claim(ledger, claim, lease);
    (locked, ledger, id)
}

/// Makes a store of lent bytes that nobody has, with one claim, whose layout lies in [start, end) and is set: the short way of
/// [`create`], for whoever has locked the atlas and enters the ledger there.
#[inline(always)]
pub fn lend(
    spare: SpareLedger,
    device: tn_device,
    (start, end): (i64, i64),
    lease: SpareLease,
    claim: Spare,
) -> (&'static Ledger, Id) {
    found(spare, claim, Bytes { device, start, bytes: end - start }, Backing::Lent, Some(lease.into_lease()))
}

impl Locked {
    fn open_lease(&mut self, ledger: &'static Ledger, lease: &'static Lease) {
        lease.guarded.set_ledger(ledger);
        let first = self.books(ledger).lease_list;
        let body = self.get_mut(lease);
        body.next = first;
        body.previous = None;
        let lent = !body.may_overwrite;
        if let Some(first) = first {
            self.get_mut(first).previous = Some(lease);
        }
        let books = self.books_mut(ledger);
        books.lease_list = Some(lease);
        books.leases += 1;
        books.lent += u32::from(lent);
    }

    /// An import of bytes of this store: one more claim on it, which holds the lease. A lent store grows to the lease's range.
    pub fn join(&mut self, ledger: &'static Ledger, lease: SpareLease, claim: Spare) -> Id {
        let lease = lease.into_lease();
        self.open_lease(ledger, lease);
        let (start, end) = {
            let body = self.get(lease);
            (body.start, body.end)
        };
        let books = self.books_mut(ledger);
        if matches!(books.backing, Backing::Lent) {
            let last = end.max(books.start + books.bytes);
            books.start = books.start.min(start);
            books.bytes = last - books.start;
        }
        self.add_claim(ledger, claim, Some(lease))
    }

    #[inline]
    pub(super) fn hold_lease(&mut self, lease: &'static Lease) {
        self.get_mut(lease).users += 1;
    }

    /// A claim that nothing holds any more lets go of its import, or lingers until the device work on it has passed.
    pub(super) fn let_go(&mut self, claim: &'static Claim) {
        let Some(lease) = self.get(claim).lease else { return };
        if !self.has_work(claim) {
            return self.drop_lease(claim);
        }
        if !core::mem::replace(&mut self.get_mut(claim).lingers, true) {
            self.get_mut(lease).lingering += 1;
        }
        super::deferred_release::add(self.ledger_of(claim));
        self.hurry(lease);
    }

    /// Whether nothing but unfinished work keeps an import: nobody may descend from it any more.
    pub(super) fn is_over(&self, lease: &'static Lease) -> bool {
        let body = self.get(lease);
        body.users == body.lingering + u32::from(body.hurried)
    }

    /// If only unfinished work keeps an import whose end waits for that, this section is who waits: nobody else ends it then.
    fn hurry(&mut self, lease: &'static Lease) {
        let urgent = self.after.urgent;
        let body = self.get_mut(lease);
        if body.waits && body.lingering == body.users {
            body.waits = false;
            body.hurried = true;
            body.users += 1;
            body.next_urgent = urgent;
            self.after.urgent = Some(lease);
        }
    }

    /// Who waited for the work on an import lets go of it, and says which one is next.
    pub(super) fn end_hurry(&mut self, lease: &'static Lease) -> Option<&'static Lease> {
        let body = self.get_mut(lease);
        body.hurried = false;
        let next = body.next_urgent.take();
        let ledger = self.ledger_of(lease);
        self.drop_lease_use(lease);
        self.settle(ledger);
        next
    }

    /// The claim does not descend from its import any more; the last one ends the lease.
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
            self.hurry(lease);
            return;
        }
        let (previous, next, lent) = (body.previous, body.next, !body.may_overwrite);
        let ledger = self.ledger_of(lease);
        match previous {
            Some(previous) => self.get_mut(previous).next = next,
            None => self.books_mut(ledger).lease_list = next,
        }
        if let Some(next) = next {
            self.get_mut(next).previous = previous;
        }
        let books = self.books_mut(ledger);
        books.leases -= 1;
        books.lent -= u32::from(lent);
        if matches!(books.backing, Backing::Lent) {
            self.shrink(ledger);
        }
        lease.head.make_stale(State::Kept);
        self.after.add_lease(lease);
    }

    /// A lent store is the span of its open leases.
    fn shrink(&mut self, ledger: &'static Ledger) {
        let mut at = self.books(ledger).lease_list;
        let mut span: Option<(i64, i64)> = None;
        while let Some(lease) = at {
            let body = self.get(lease);
            let (start, end) = span.unwrap_or((body.start, body.end));
            span = Some((start.min(body.start), end.max(body.end)));
            at = body.next;
        }
        if let Some((start, end)) = span {
            let books = self.books_mut(ledger);
            books.start = start;
            books.bytes = end - start;
        }
    }

    /// The store is free: notes that its bytes go back once nothing is locked.
    pub(super) fn mark_dead(&mut self, ledger: &'static Ledger) {
        self.note_held(ledger, false);
        self.bury_records(ledger);
        ledger.head.set_state(State::Spent);
        self.books_mut(ledger).next_dead = self.after.dead;
        self.after.dead = Some(ledger);
    }

    /// Whether the pool's statistics count the store as held without a claim.
    pub(super) fn note_held(&mut self, ledger: &'static Ledger, held: bool) {
        let books = self.books_mut(ledger);
        let Backing::Pool(pool, requested) = books.backing else { return };
        let now = if held { requested } else { 0 };
        if books.held != now {
            pool.add_held(now - books.held);
            books.held = now;
        }
    }

    /// Unlocks and locks again nothing: the pool whose block the store is, if it is one.
    pub fn pool(&self, ledger: &'static Ledger) -> Option<&'static Pool> {
        match self.books(ledger).backing {
            Backing::Pool(pool, _) => Some(pool),
            _ => None,
        }
    }
}

/// What a locked section leaves to be done after unlocking, chained through the slots that it is about. Its drop does it.
pub(super) struct DeferredWork {
    thread: &'static Thread,
    pub(super) claims: Option<&'static Claim>,
    pub(super) roots: Option<&'static Root>,
    pub(super) weaks: Option<&'static Weak>,
    pub(super) dead: Option<&'static Ledger>,
    /// Imports whose end waits for device work, and that nothing else keeps.
    urgent: Option<&'static Lease>,
    first_lease: Option<&'static Lease>,
    last_lease: Option<&'static Lease>,
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

    fn add_lease(&mut self, lease: &'static Lease) {
        // SAFETY: just unlinked from its ledger, whose lock we still hold: ours alone.
        unsafe { lease.guarded.own() }.next = None;
        match self.last_lease.replace(lease) {
            // SAFETY: in our own chain.
            Some(last) => unsafe { last.guarded.own() }.next = Some(lease),
            None => self.first_lease = Some(lease),
        }
    }

    /// Callbacks come last, so that what they see is whole. Returns how many imports ended for good.
    #[inline(never)]
    fn run(self) -> usize {
        let this = core::mem::ManuallyDrop::new(self);
        let thread = this.thread;
        let mut at = this.claims;
        while let Some(claim) = at {
            // SAFETY: collected: no handle, in no list of a ledger.
            at = unsafe { claim.guarded().own() }.next.take();
            claim.reset(thread);
        }
        let mut at = this.roots;
        while let Some(root) = at {
            // SAFETY: no claim uses it any more.
            at = unsafe { root.guarded().own() }.next.take();
            root.reset(thread);
        }
        let mut at = this.weaks;
        while let Some(weak) = at {
            at = weak.reset(thread);
        }
        let mut taken: Option<&'static Lease> = None;
        let mut at = this.dead;
        while let Some(ledger) = at {
            // The lock, not ownership: a stale weak handle may be looking at the books at this moment.
            let mut locked = Locked::one(thread, ledger);
            let books = locked.books_mut(ledger);
            at = books.next_dead.take();
            let backing = core::mem::replace(&mut books.backing, Backing::None);
            let (start, mut due) = (books.start, books.due.take());
            drop(locked);
            let mut noted = true;
            while let Some(record) = due {
                // SAFETY: in the chain of a store that is gone.
                let body = unsafe { record.guarded().own() };
                due = body.next;
                if let (Backing::Pool(pool, _), Some(point)) = (&backing, body.point) {
                    // A block that a device still uses is not handed out.
                    noted &= pool.record_use(start as usize, point);
                }
                record.reset(thread);
            }
            match backing {
                Backing::None => {}
                Backing::Pool(pool, _) if noted => pool.free_store(thread, start as usize),
                // A device may use the block until nobody knows when: it stays, and nobody has it.
                Backing::Pool(..) => {}
                Backing::Taken(lease) => {
                    crate::address_index::forget(thread, start, ledger);
                    // SAFETY: the store's alone, which is gone.
                    unsafe { lease.guarded.own() }.next = taken.replace(lease);
                }
                Backing::Lent => crate::address_index::forget(thread, start, ledger),
            }
            Table::free(thread, ledger);
        }
        let mut ran = 0;
        let mut at = this.first_lease;
        while let Some(lease) = at {
            // SAFETY: in our own chain.
            at = unsafe { lease.guarded.own() }.next.take();
            ran += usize::from(lease.end(thread));
        }
        while let Some(lease) = taken {
            // SAFETY: in our own chain.
            taken = unsafe { lease.guarded.own() }.next.take();
            ran += usize::from(lease.end(thread));
        }
        let mut at = this.urgent;
        while let Some(lease) = at {
            let (next, ended) = super::deferred_release::finish(thread, lease);
            at = next;
            ran += ended;
        }
        ran
    }
}

impl DeferredWork {
    /// Does all of it now; how many imports ended for good.
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

/// Calls `visit` with the tag of each store that is there, under no lock.
pub fn each_store(mut visit: impl FnMut(u64)) {
    Table::<Ledger>::each(|ledger| {
        if ledger.is_alive() {
            visit(ledger.tag());
        }
    });
}

/// Releases that wait for [`run_releases`], in the order of their ends.
struct Queue {
    first: Option<&'static Lease>,
    last: Option<&'static Lease>,
    count: u64,
    bytes: u64,
}

static QUEUE: ColdLock<Queue> = ColdLock::new(Queue { first: None, last: None, count: 0, bytes: 0 });

/// Number and bytes of the imports whose release waits: in the queue, or for device work that nothing else holds.
pub fn queued() -> (u64, u64) {
    let (mut count, mut bytes) = {
        let queue = QUEUE.lock();
        (queue.count, queue.bytes)
    };
    // All stores are looked at only where one of them may have such an import.
    if !super::deferred_release::is_empty() {
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
        visit((body.end - body.start) as u64, body.made);
        at = body.next;
    }
}

/// Calls `visit` with bytes and origin of each import that nothing holds but unfinished device work, under its store's lock.
pub fn each_lingering(mut visit: impl FnMut(u64, Origin)) {
    each_store(|tag| {
        let Some((locked, ledger)) = super::lock_tag(tag) else { return };
        let books = locked.books(ledger);
        if books.works == 0 {
            return;
        }
        let mut show = |lease: &'static Lease| {
            // SAFETY: of a store that is locked; a taken one's lease is its own, and changes when it is gone.
            let body = unsafe { &*lease.guarded.body.get() };
            visit((body.end - body.start) as u64, body.made);
        };
        if let Backing::Taken(lease) = books.backing
            && books.is_held_by_nobody()
        {
            show(lease);
        }
        let mut at = books.lease_list;
        while let Some(lease) = at {
            if locked.is_over(lease) {
                show(lease);
            }
            at = locked.get(lease).next;
        }
    });
}

/// Runs the releases that are queued now, on this thread, in their order; what they queue in turn waits for the next call. What waited for
/// device work that has passed ends here too.
pub fn run_releases() -> usize {
    let thread = thread::current();
    let mut ran = super::deferred_release::look_again(usize::MAX);
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
