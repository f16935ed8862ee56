//! New stores: slots and bytes are reserved first, then they become a store with one claim.

use super::claim::SpareClaim;
use super::class::{Class, GuardParams};
use super::fast_path::{LockedSlot, SlotInLedger};
use super::guard::{SpareGuard, StartPoint};
use super::lease::SpareLease;
use super::locked::{self, Locked};
use super::origin::Origin;
use super::reach::reach;
use super::state::{Backing, Claim, GuardedSlot, Lease, Ledger};
use crate::blit::HostView;
use crate::device_copy::{Memory, MemoryView};
use crate::error::Result;
use crate::layout::Layout;
use crate::names::{Name, Site};
use crate::pool::{self, Pool};
use crate::slots::{Id, Slot, State, Table};
use crate::stream;
use crate::thread::{self, CriticalSection, Thread};
use crate::types::tn_device;
use core::sync::atomic::{AtomicBool, Ordering};

/// What a new store is like.
pub struct StoreParams {
    /// Where the bytes live.
    pub(crate) device: tn_device,
    /// First byte, 0 for none.
    pub(crate) start: i64,
    /// How many.
    pub(crate) bytes: i64,
    /// The memory must not be written.
    pub(crate) readonly: bool,
    /// A mapped file.
    pub(crate) mapped: bool,
    /// Where they come from.
    pub(crate) from: StoreSource,
}

/// Where a new store's bytes come from.
pub enum StoreSource {
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
    pub(crate) fn tag(&self) -> u64 {
        self.ledger.tag()
    }
}

static NAMES_KNOWN: AtomicBool = AtomicBool::new(false);

/// The name that a user gave to an array on the store with that tag, and where the oldest of its arrays was made; none if the store
/// is gone.
fn name_of(tag: u64) -> (Name, Site) {
    let (mut name, mut made) = (Name::NONE, Origin::default());
    if let Some((locked, ledger)) = locked::lock_tag(tag) {
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
    claim: SpareClaim,
    pool: &'static Pool,
    start: i64,
    bytes: i64,
    /// What others than the queue that it was made for have to wait for before they touch the bytes.
    ready: Option<StartPoint>,
}

impl NewStore {
    /// Takes memory for an array of that layout, which is dense and whose offset is 0; no call of the pool for no bytes.
    ///
    /// Whatever fails, nothing is left behind.
    /// What `layout` is afterwards, nobody may ask.
    #[inline(always)]
    pub(crate) fn allocate(
        thread: &'static Thread,
        pool: &'static Pool,
        layout: &mut Layout,
        zeroed: bool,
    ) -> Result<NewStore> {
        if pool.is_ordered() {
            return NewStore::allocate_on(thread, None, pool, layout, zeroed);
        }
        let ledger = SpareLedger::take(thread)?;
        let mut claim = SpareClaim::take(thread)?;
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
    pub(crate) fn allocate_on(
        thread: &'static Thread,
        queue: Option<&'static stream::Queue>,
        pool: &'static Pool,
        layout: &mut Layout,
        zeroed: bool,
    ) -> Result<NewStore> {
        let ledger = SpareLedger::take(thread)?;
        let mut claim = SpareClaim::take(thread)?;
        let guard = SpareGuard::take(thread)?;
        let (bytes, mut start, mut ready) = (layout.bytes(), 0, None);
        if bytes > 0 {
            let tag = ledger.tag();
            let (block, point) = pool.allocate_store_on(queue, bytes as usize, ARRAY_ALIGNMENT, zeroed, tag)?;
            start = block.as_ptr() as i64;
            ready = point.map(|point| StartPoint::at(guard, point));
        }
        claim.lay_out(thread, layout, bytes, start);
        Ok(NewStore { ledger, claim, pool, start, bytes, ready })
    }

    /// The bytes for the host; DEVICE if it cannot reach them.
    pub(crate) fn host_view(&mut self) -> Result<HostView<'_>> {
        let layout = self.claim.layout();
        reach(self.pool.device())?;
        // SAFETY: a block of our own of that many bytes, which nobody else knows; the layout is dense in it, and the host reaches it.
        Ok(unsafe { HostView::new(layout) })
    }

    /// The bytes for `ferry`, wherever they are.
    pub(crate) fn memory_view(&mut self) -> Result<MemoryView<'_>> {
        let device = self.pool.device();
        let layout: &Layout = self.claim.layout();
        // SAFETY: as for `place`; who copies on a queue waits for that, or makes it a store whose work is recorded.
        Ok(unsafe { MemoryView::new(layout, Memory::of(device, layout)?) })
    }

    /// Where the bytes are.
    pub(crate) fn device(&self) -> tn_device {
        self.pool.device()
    }

    /// The claim to be.
    pub(crate) fn claim(&mut self) -> &mut SpareClaim {
        &mut self.claim
    }

    /// Makes it a store with one claim, and returns its handle.
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

    /// The same, in the general way: the store is still locked.
    pub(super) fn finish_locked(self) -> (Locked, Id) {
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
        if let Some(ready) = ready
            && let Ok(claim) = locked::find::<Claim>(id)
        {
            locked.begin_after(claim, ready);
        }
        (locked, id)
    }
}

/// Who touches a new store is after the work that its memory still has.
#[cold]
fn begin_after(id: Id, ready: StartPoint) {
    if let Ok((mut locked, claim)) = locked::lock::<Claim>(id) {
        locked.begin_after(claim, ready);
    }
}

impl Locked {
    fn begin_after(&mut self, claim: &'static Claim, ready: StartPoint) {
        let (spare, point) = ready.take(self.thread());
        let params = GuardParams { class: Class::Write, frozen: false, discard: true, time_ns: 0 };
        let guard = self.add_guard(spare, params, claim, claim, None);
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
pub fn create(spare: SpareLedger, what: StoreParams, claim: SpareClaim) -> (Locked, &'static Ledger, Id) {
    let thread = spare.thread;
    let ledger = spare.into_ledger();
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

/// Makes a store of lent bytes that nobody has, with one claim, whose layout lies in [start, end) and is set: the short way of
/// [`create`], for whoever has locked the atlas and enters the ledger there.
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

/// Where a store's bytes are.
pub(super) struct Bytes {
    pub(super) device: tn_device,
    pub(super) start: i64,
    pub(super) bytes: i64,
}

/// Makes a store of nobody's bytes, of a pool's, or of lent ones with their lease, with one claim that has a handle. Its ledger is there
/// to be entered in the atlas.
#[inline(always)]
pub(super) fn create_fast(
    spare: SpareLedger,
    claim: SpareClaim,
    Bytes { device, start, bytes }: Bytes,
    backing: Backing,
    lease: Option<&'static Lease>,
) -> (&'static Ledger, Id) {
    let claim = claim.into_claim();
    let thread = spare.thread();
    let ledger = spare.into_ledger();
    claim.guarded().set_ledger(ledger);
    // Locked although nobody knows it: a weak handle that outlived the ledger's last store may be looking at the books.
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
