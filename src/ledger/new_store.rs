//! New stores: slots and bytes are reserved first, then they become a store with one claim.

use super::claim::SpareClaim;
use super::class::{Class, GuardParams};
use super::fast_path::{LockedSlot, SlotInLedger};
use super::guard::{SpareGuard, StartPoint};
use super::lease::SpareLease;
use super::locked::{self, Locked};
use super::origin::Origin;
use super::reach::check_reachable;
use super::state::{Backing, Claim, GuardedSlot, Lease, Ledger};
use crate::blit::HostView;
use crate::device_copy::{Memory, MemoryView};
use crate::error::Result;
use crate::layout::Layout;
use crate::names::Name;
use crate::pool::{self, Pool};
use crate::sites::Site;
use crate::slots::{Id, Slot, Spare, State, Table};
use crate::stream::{self, Point};
use crate::thread::{self, CriticalSection, Thread};
use crate::types::tn_device;
use core::sync::atomic::{AtomicBool, Ordering};

/// The parameters of a new store.
pub struct StoreParams {
    pub(crate) device: tn_device,
    /// Address of the first byte; 0 for an empty store.
    pub(crate) start: i64,
    pub(crate) bytes: i64,
    pub(crate) readonly: bool,
    pub(crate) mapped: bool,
    pub(crate) from: StoreSource,
}

/// The source of a new store's bytes.
pub enum StoreSource {
    /// A store of no bytes.
    Nothing,
    /// A pool's block, and its requested bytes.
    Pool(&'static Pool, i64),
    /// Foreign memory that the store takes over.
    Taken(SpareLease),
    /// Foreign memory that is lent.
    Lent(SpareLease),
}

/// A ledger slot that has no store yet.
pub type SpareLedger = Spare<Ledger>;

impl Ledger {
    /// Takes a slot; outside of locks.
    #[inline]
    pub fn spare(thread: &'static Thread) -> Result<SpareLedger> {
        if !NAMES_KNOWN.load(Ordering::Relaxed) {
            // Pools name the largest holders when memory runs out. They know stores only by their tags.
            pool::name_holders(name_of);
            NAMES_KNOWN.store(true, Ordering::Relaxed);
        }
        SpareLedger::take(thread)
    }
}

impl SpareLedger {
    /// The tag that a pool stores with the block as its owner.
    #[inline]
    pub(crate) fn tag(&self) -> u64 {
        self.slot().tag()
    }
}

static NAMES_KNOWN: AtomicBool = AtomicBool::new(false);

/// As [`Locked::name_and_origin`], by a store's tag; none if the store has ended.
fn name_of(tag: u64) -> (Name, Site) {
    let found = locked::lock_tag(tag).map(|(locked, ledger)| locked.name_and_origin(ledger));
    let (name, origin) = found.unwrap_or((Name::NONE, Origin::default()));
    (name, origin.site())
}

/// A block of a pool that will become a store. Its bytes can be written first, before any handle exists.
pub struct NewStore {
    ledger: SpareLedger,
    claim: SpareClaim,
    pool: &'static Pool,
    start: i64,
    bytes: i64,
    /// The point that other streams and the host have to wait for before they use the bytes. None: the bytes are
    /// ordinary memory of the host, or there are none.
    ready: Option<StartPoint>,
}

impl NewStore {
    /// Allocates memory for an array of that layout, which is dense and whose offset is 0. An empty array needs no call
    /// of the pool. A call that fails frees what it took. `layout` is left unspecified.
    #[inline(always)]
    pub(crate) fn allocate(
        thread: &'static Thread,
        pool: &'static Pool,
        layout: &mut Layout,
        zeroed: bool,
    ) -> Result<NewStore> {
        if pool.is_special() {
            return NewStore::allocate_on(thread, None, pool, layout, zeroed);
        }
        let ledger = Ledger::spare(thread)?;
        let mut claim = SpareClaim::take(thread)?;
        let bytes = layout.bytes();
        let mut start = 0;
        if bytes > 0 {
            start = pool.allocate_store(thread, bytes as usize, ARRAY_ALIGNMENT, zeroed, ledger.tag())? as i64;
        }
        // After the allocation: vector loads of fields that were just stored one by one are slow, measured 5 ns for
        // each move.
        claim.lay_out(thread, layout, bytes, start);
        Ok(NewStore { ledger, claim, pool, start, bytes, ready: None })
    }

    /// Allocates from any pool, for a use in the order of a stream. None: for the host, now, or on the thread's current
    /// stream of a device that the host cannot reach.
    #[cold]
    #[inline(never)]
    pub(crate) fn allocate_on(
        thread: &'static Thread,
        stream: Option<&'static stream::Stream>,
        pool: &'static Pool,
        layout: &mut Layout,
        zeroed: bool,
    ) -> Result<NewStore> {
        let pool = pool.serving(stream);
        let ledger = Ledger::spare(thread)?;
        let mut claim = SpareClaim::take(thread)?;
        let guard = SpareGuard::take(thread)?;
        let (bytes, mut start, mut ready) = (layout.bytes(), 0, None);
        if bytes > 0 {
            let tag = ledger.tag();
            let (block, point) = pool.allocate_store_on(stream, bytes as usize, ARRAY_ALIGNMENT, zeroed, tag)?;
            start = block.as_ptr() as i64;
            ready = Some(StartPoint::of(guard, point));
        }
        claim.lay_out(thread, layout, bytes, start);
        Ok(NewStore { ledger, claim, pool, start, bytes, ready })
    }

    /// The bytes for the host; TN_ERR_DEVICE if it cannot access them.
    pub(crate) fn host_view(&mut self) -> Result<HostView<'_>> {
        let layout = self.claim.layout();
        check_reachable(self.pool.device())?;
        // SAFETY: a block of our own of that many bytes, to which nothing else refers; the layout is dense in it, and
        // the host reaches it.
        Ok(unsafe { HostView::new(layout) })
    }

    /// The bytes for `device_copy`, on any device.
    pub(crate) fn memory_view(&mut self) -> Result<MemoryView<'_>> {
        let device = self.pool.device();
        let layout: &Layout = self.claim.layout();
        // SAFETY: as in `host_view`. A caller that copies on a stream waits for the copy, or calls `set_ready`.
        Ok(unsafe { MemoryView::new(layout, Memory::of(device, layout)?) })
    }

    /// Orders all uses of the bytes, and their reuse after a failure, after a point. The stream of that point comes
    /// after all earlier work on the bytes.
    pub(crate) fn set_ready(&mut self, point: Point) {
        self.ready.iter().for_each(|ready| ready.set(Some(point)));
    }

    pub(crate) fn device(&self) -> tn_device {
        self.pool.device()
    }

    /// The unpublished claim of the store.
    pub(crate) fn claim(&mut self) -> &mut SpareClaim {
        &mut self.claim
    }

    /// Makes the store with one claim, and returns its handle.
    #[inline(always)]
    pub(crate) fn finish(self) -> Id {
        let this = core::mem::ManuallyDrop::new(self);
        // SAFETY: each field is moved out once, and `this` is not dropped.
        let (ledger, claim) = unsafe { (core::ptr::read(&this.ledger), core::ptr::read(&this.claim)) };
        let backing = if this.bytes > 0 { Backing::Pool(this.pool, this.bytes) } else { Backing::None };
        let bytes = Bytes { device: this.pool.device(), start: this.start, bytes: this.bytes };
        // SAFETY: as above.
        let ready = unsafe { core::ptr::read(&this.ready) };
        let id = create_fast(ledger, claim, bytes, backing, None).1;
        if let Some(ready) = ready {
            begin_after(id, ready);
        }
        id
    }

    /// As [`NewStore::finish`], but the store stays locked.
    pub(crate) fn finish_locked(self) -> (Locked, Id) {
        let this = core::mem::ManuallyDrop::new(self);
        // SAFETY: each field is moved out once, and `this` is not dropped.
        let (ledger, claim) = unsafe { (core::ptr::read(&this.ledger), core::ptr::read(&this.claim)) };
        let from = if this.bytes > 0 { StoreSource::Pool(this.pool, this.bytes) } else { StoreSource::Nothing };
        let what = StoreParams {
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
        locked.begin_access(id);
        locked.begin_residence(id);
        locked.begin_after(id, ready.and_then(|ready| ready.take(thread::current())));
        (locked, id)
    }
}

/// Completes a new store of a special pool: orders all uses after the device work that its memory still has, closes its
/// bytes if accesses are checked, and lets a pool that spills have it.
#[cold]
fn begin_after(id: Id, ready: StartPoint) {
    let work = ready.take(thread::current());
    if let Ok((mut locked, _)) = locked::lock::<Claim>(id) {
        locked.begin_access(id);
        locked.begin_residence(id);
        locked.begin_after(id, work);
    }
}

impl Locked {
    /// Orders all uses of a new claim's bytes after a point; `spare` becomes the record of that work.
    pub(crate) fn begin_after(&mut self, id: Id, work: Option<(SpareGuard, Point)>) {
        let Some((spare, point)) = work else { return };
        let Ok(claim) = locked::find::<Claim>(id) else { return };
        let params = GuardParams { class: Class::Write, frozen: false, discard: true, time_ns: 0 };
        let guard = self.add_guard(spare, params, claim, claim, None);
        self.get_mut(guard).abandoned = true;
        self.end_guard_at(guard, false, Some(point));
    }
}

impl Drop for NewStore {
    fn drop(&mut self) {
        let point = self.ready.as_ref().and_then(StartPoint::point);
        // A block is never reused if the end of the device's use is unknown.
        if self.bytes > 0 && point.is_none_or(|point| self.pool.record_use(self.start as usize, point)) {
            self.pool.free_store(thread::current(), self.start as usize);
        }
    }
}

/// Alignment of array stores: vector kernels and JAX's imports need it.
const ARRAY_ALIGNMENT: usize = 256;

/// Makes a store with one claim, whose layout has its addresses already. The handle is published, and the store is
/// still locked for callers that need more than the handle.
#[inline]
pub fn create(spare: SpareLedger, what: StoreParams, claim: SpareClaim) -> (Locked, &'static Ledger, Id) {
    let thread = spare.thread();
    let ledger = spare.into_slot();
    let mut locked = Locked::one(thread, ledger);
    let (backing, lease) = match what.from {
        StoreSource::Nothing => (Backing::None, None),
        StoreSource::Pool(pool, requested) => (Backing::Pool(pool, requested), None),
        StoreSource::Taken(lease) => (Backing::Taken(lease.into_lease()), None),
        StoreSource::Lent(lease) => (Backing::Lent, Some(lease.into_lease())),
    };
    let state = locked.state_mut(ledger);
    state.begin(what.device, what.start, what.bytes, backing);
    state.readonly = what.readonly;
    state.mapped = what.mapped;
    if let Some(lease) = lease {
        locked.open_lease(ledger, lease);
    }
    ledger.head.set_state(State::Kept);
    let id = locked.add_claim(ledger, claim, lease);
    (locked, ledger, id)
}

/// Makes a store of lent bytes with one claim, whose layout lies in [start, end). The fast path of [`create`]: the
/// caller has locked the address index, found no store in this range and inserts the returned ledger.
#[inline(always)]
pub fn lend(
    spare: SpareLedger,
    device: tn_device,
    (start, end): (i64, i64),
    lease: SpareLease,
    claim: SpareClaim,
) -> (&'static Ledger, Id) {
    create_fast(spare, claim, Bytes { device, start, bytes: end - start }, Backing::Lent, Some(lease.into_lease()))
}

/// A store's device and addresses.
pub(super) struct Bytes {
    pub(super) device: tn_device,
    pub(super) start: i64,
    pub(super) bytes: i64,
}

/// Makes a store that is empty, of a pool's bytes, or of lent bytes with their lease. It has one claim with a handle.
#[inline(always)]
pub(super) fn create_fast(
    spare: SpareLedger,
    claim: SpareClaim,
    Bytes { device, start, bytes }: Bytes,
    backing: Backing,
    lease: Option<&'static Lease>,
) -> (&'static Ledger, Id) {
    let claim = claim.into_slot();
    let thread = spare.thread();
    let ledger = spare.into_slot();
    claim.guarded().set_ledger(ledger);
    // Locked, because a weak handle that outlived the ledger's last store may be reading the state.
    let inside = CriticalSection::enter(thread);
    ledger.lock.lock();
    let mut one = LockedSlot { at: SlotInLedger { slot: claim, ledger }, inside };
    let state = one.state_mut();
    state.begin(device, start, bytes, backing);
    // SAFETY: the ledger is locked by us; the claim is new.
    unsafe { state.link_claim(claim) };
    if let Some(lease) = lease {
        lease.guarded().set_ledger(ledger);
        // SAFETY: the ledger is locked by us and guards both, which are new.
        unsafe {
            lease.guarded().own().users = 1;
            claim.guarded().own().lease = Some(lease);
            state.link_lease(lease);
        }
    }
    ledger.head().set_state(State::Kept);
    (ledger, Table::publish(claim))
}
