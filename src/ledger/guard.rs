//! Guards and exports: who may touch which bytes of a store.
//!
//! A guard's region is the layout of a claim slot, which it pins: the handle may be released meanwhile. Ending one allocates
//! nothing: what a guard leaves behind, a poisoned region or device work, it becomes itself; see `record`.

use super::{Claim, Guarded, GuardedSlot, Ledger, Locked, One, Origin, record};
use crate::blit::HostView;
use crate::device_copy::{Memory, MemoryView};
use crate::error::{Result, Status, fail};
use crate::layout::Layout;
use crate::region::Region;
use crate::slots::{Head, Id, Kind, Slot, State, Table};
use crate::stream::Point;
use crate::sys::cpu;
use crate::thread::Thread;
use crate::types::*;

/// What a guard is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// R
    Read,
    /// W
    Write,
    /// XR
    ExportRead,
    /// XS
    ExportShared,
    /// XW
    ExportExclusive,
    /// What a failed writer left.
    Poison,
    /// Device work that reads.
    WorkRead,
    /// Device work that writes.
    WorkWrite,
    /// No region: ties the guards of one borrow_all, or the chunks of one chunks_write, together.
    Group,
}

impl Class {
    /// Whether it is an export.
    pub fn is_export(self) -> bool {
        matches!(self, Class::ExportRead | Class::ExportShared | Class::ExportExclusive)
    }

    /// Whether it is what an ended guard left.
    pub fn is_record(self) -> bool {
        matches!(self, Class::Poison | Class::WorkRead | Class::WorkWrite)
    }
}

/// A guard, in a slot of two cache lines: a neighbour in the ledger's list writes the first.
#[repr(C, align(64))]
pub struct Guard {
    head: Head,
    guarded: Guarded<GuardBody>,
}

/// What a guard's ledger guards.
#[repr(C)]
pub struct GuardBody {
    pub(super) next: Option<&'static Guard>,
    pub(super) previous: Option<&'static Guard>,
    pub(super) owner: Option<&'static Claim>,
    pub(super) region: Option<&'static Claim>,
    /// What it is.
    pub class: Class,
    /// A reader whose bytes must not change.
    pub frozen: bool,
    /// A writer that does not need the old contents.
    pub discard: bool,
    /// Ended without having been used.
    pub(super) abandoned: bool,
    /// An entry of a borrow_all that was taken with a queue.
    pub(super) streamed: bool,
    pub(super) group: Option<Group>,
    /// Next entry of the same borrow_all; of a chunk group's record: unused.
    pub(super) entry: Option<&'static Guard>,
    /// The head of that borrow_all, whose handle the caller has.
    head: Option<&'static Guard>,
    /// Chunks still open, and whether one failed: of a chunk group's record.
    pub(super) open: u32,
    pub(super) failed: bool,
    /// Where it was made.
    pub made: Origin,
    /// When, ns since the epoch; 0: not kept.
    pub time_ns: u64,
    /// Of a record: after this its device work is done.
    pub(super) point: Option<Point>,
}

const _: () = assert!(size_of::<Guard>() == 128 || cfg!(loom));

/// The record that the chunks of one chunks_write share.
#[derive(Clone, Copy)]
pub struct Group(&'static Guard);

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
    pub fn region(&self) -> &'static Claim {
        self.region.expect("guards in a list have a region")
    }

    /// The guard whose handle the caller has: itself, or the head of its borrow_all.
    pub fn shown_as(&self, this: &'static Guard) -> &'static Guard {
        self.head.unwrap_or(this)
    }

    /// The handle through which it was made.
    pub fn owner(&self) -> &'static Claim {
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

impl Guard {
    /// Whether it is the head of a borrow_all, which no ledger guards.
    pub fn is_head(&'static self) -> bool {
        self.guarded.ledger().is_none()
    }

    /// The bits of its handle while one is out.
    pub fn id(&'static self) -> Id {
        Slot::id(self)
    }

    /// Gives the slot back; nobody knows it any more.
    pub(super) fn reset(&'static self, thread: &'static Thread) {
        // SAFETY: in no list of a ledger: ours alone.
        *unsafe { self.guarded.own() } = GuardBody::NEW;
        Table::free(thread, self);
    }

    /// Locks the ledger of a guard that the caller owns, and so cannot end meanwhile.
    pub fn lock(&'static self) -> Locked {
        let ledger = self.guarded.ledger().expect("not a head");
        Locked::one(crate::thread::current(), ledger)
    }
}

/// A taken guard slot that is nobody's yet.
pub struct SpareGuard {
    guard: &'static Guard,
    thread: &'static Thread,
}

impl SpareGuard {
    /// Takes a slot; outside of locks.
    #[inline]
    pub fn take(thread: &'static Thread) -> Result<SpareGuard> {
        Ok(SpareGuard { guard: Table::take(thread)?, thread })
    }

    #[inline]
    pub(super) fn into_guard(self) -> &'static Guard {
        let guard = self.guard;
        core::mem::forget(self);
        guard
    }
}

impl Drop for SpareGuard {
    #[inline]
    fn drop(&mut self) {
        Table::free(self.thread, self.guard);
    }
}

/// A taken slot that remembers a point: what a new store begins after. As small as it can be, because what is made moves about.
pub(super) struct Ready(&'static Guard);

impl Ready {
    /// Puts a point into a slot.
    pub(super) fn at(spare: SpareGuard, point: Point) -> Ready {
        let guard = spare.into_guard();
        // SAFETY: taken, in no list: ours alone.
        unsafe { guard.guarded.own() }.point = Some(point);
        Ready(guard)
    }

    /// Both again.
    pub(super) fn take(self, thread: &'static Thread) -> (SpareGuard, Option<Point>) {
        let guard = self.0;
        core::mem::forget(self);
        // SAFETY: as above.
        let point = unsafe { guard.guarded.own() }.point.take();
        (SpareGuard { guard, thread }, point)
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { self.0.guarded.own() }.point = None;
        Table::free(crate::thread::current(), self.0);
    }
}

/// What a new guard is like.
#[derive(Clone, Copy)]
pub struct GuardParams {
    /// Its class.
    pub class: Class,
    /// See [`GuardBody::frozen`].
    pub frozen: bool,
    /// See [`GuardBody::discard`].
    pub discard: bool,
    /// When it was made; 0: not kept.
    pub time_ns: u64,
}

impl Locked {
    /// Opens a guard on the layout of `region`, made through the handle `owner` (the same one but for chunks). It has no handle yet.
    #[inline]
    pub fn add_guard(
        &mut self,
        spare: SpareGuard,
        terms: GuardParams,
        owner: &'static Claim,
        region: &'static Claim,
        group: Option<Group>,
    ) -> &'static Guard {
        let guard = spare.into_guard();
        let ledger = self.ledger_of(region);
        self.check(owner.guarded());
        guard.guarded.set_ledger(ledger);
        let made = self.made();
        // SAFETY: `books_mut` says that the ledger is locked by us; it guards the region and, with it, the owner; the guard is new.
        unsafe { self.books_mut(ledger).link_guard(guard, owner, terms, made) };
        let body = self.get_mut(guard);
        body.region = Some(region);
        body.group = group;
        if !core::ptr::eq(owner, region) {
            self.get_mut(region).pins += 1;
        }
        if let Some(Group(group)) = group {
            self.get_mut(group).open += 1;
        }
        guard.head.set_state(State::Kept);
        guard
    }

    /// Gives an open guard its handle.
    #[inline]
    pub fn publish_guard(&mut self, guard: &'static Guard) -> Id {
        Table::publish(guard)
    }

    /// Closes a guard under which nothing was touched: no version moves and no poison heals.
    pub fn abandon_guard(&mut self, guard: &'static Guard) {
        self.get_mut(guard).abandoned = true;
        self.end_guard(guard, false);
    }

    /// Closes a guard or export; `failed`: what a writer wrote is undefined. The id, if any, is stale from now on.
    #[inline]
    pub fn end_guard(&mut self, guard: &'static Guard, failed: bool) {
        self.end_guard_at(guard, failed, None);
    }

    /// The same; `point`: work of a device goes on until then.
    pub fn end_guard_at(&mut self, guard: &'static Guard, failed: bool, point: Option<Point>) {
        let ledger = self.ledger_of(guard);
        let body = self.get(guard);
        let (class, discard, abandoned) = (body.class, body.discard, body.abandoned);
        let (owner, region, group) = (body.owner(), body.region(), body.group);
        // The device may be lost since the point was taken, or was when it was to be: then no record is left that would say so later.
        let device = self.books(ledger).device;
        let lost = point.is_some_and(|point| record::leaves_unknown(device, point));
        let failed = failed || lost && !self.get(region).layout.is_empty();
        // SAFETY: `books_mut` says that the ledger is locked by us; it guards the guard, and with it the owner.
        unsafe { self.books_mut(ledger).unlink_guard(guard) };
        let (whole, counted) = (core::ptr::eq(owner, region), self.get(owner).counted);
        let (mut poisons, mut heals) = (false, false);
        if class == Class::Write {
            let books = self.books_mut(ledger);
            let written = !failed && !abandoned;
            books.version += u64::from(written);
            poisons = failed;
            heals = written && discard && books.poisoned > 0;
        }
        let point = point.filter(|point| !point.is_passed() && !self.get(region).layout.is_empty());
        if whole && counted && group.is_none() && !poisons && !heals && point.is_none() {
            // The usual end: the owner is still a claim, so nothing else ends with the guard.
            self.get_mut(owner).pins -= 1;
            self.free_guard(guard);
            return;
        }
        if heals {
            self.heal(region);
        }
        let records = poisons || point.is_some();
        if records {
            self.record(guard, poisons, point);
        } else {
            self.free_guard(guard);
        }
        // A record keeps the pin of its region.
        self.relax(owner);
        if !whole {
            if records {
                self.relax(region);
            } else {
                self.unpin(region);
            }
        }
        if let Some(group) = group {
            self.end_member(group, failed);
        }
        if !(whole && records) {
            self.unpin(owner);
        }
        self.settle(ledger);
    }

    /// Gives a guard's slot back, as [`GuardBody::NEW`]: a new guard sets only what it has.
    pub(super) fn free_guard(&mut self, guard: &'static Guard) {
        *self.get_mut(guard) = GuardBody::NEW;
        Table::free(self.thread(), guard);
    }

    /// The record for the chunks of one write over `owner`.
    pub fn add_group(&mut self, spare: SpareGuard, owner: &'static Claim, discard: bool) -> Group {
        let guard = spare.into_guard();
        guard.guarded.set_ledger(self.ledger_of(owner));
        *self.get_mut(guard) =
            GuardBody { class: Class::Group, discard, region: Some(owner), owner: Some(owner), ..GuardBody::NEW };
        guard.head.set_state(State::Kept);
        self.pin(owner);
        Group(guard)
    }

    /// A write guard over a part of `owner`, whose layout is `spare`'s; of one root with it.
    pub fn add_part(
        &mut self,
        mut spare: super::Spare,
        guard: SpareGuard,
        terms: GuardParams,
        owner: &'static Claim,
        group: Group,
    ) -> &'static Guard {
        self.share_root(owner, &mut spare);
        let (ledger, lease) = (self.ledger_of(owner), self.lease(owner));
        let part = self.add_hidden(ledger, spare, lease);
        self.add_guard(guard, terms, owner, part, Some(group))
    }

    fn end_member(&mut self, Group(group): Group, failed: bool) {
        let body = self.get_mut(group);
        body.open -= 1;
        body.failed |= failed;
        if body.open > 0 {
            return;
        }
        let (whole, heals) = (body.region(), body.discard && !body.failed);
        if heals {
            self.heal(whole);
        }
        self.free_guard(group);
        self.unpin(whole);
    }

    /// Guards and records of the store that refer to a claim which left it refer to the one that stays behind.
    pub(super) fn rename_claim(&mut self, ledger: &'static Ledger, from: &'static Claim, to: &'static Claim) {
        let books = self.books(ledger);
        for list in [books.guard_list, books.record_list] {
            let mut at = list;
            while let Some(guard) = at {
                let body = self.get_mut(guard);
                if body.region.is_some_and(|region| core::ptr::eq(region, from)) {
                    body.region = Some(to);
                }
                if body.owner.is_some_and(|owner| core::ptr::eq(owner, from)) {
                    body.owner = Some(to);
                }
                at = body.next;
            }
        }
    }

    /// An export through `owner`. Its region is a layout of its own: the consumer may look at it until the export ends, while the
    /// handle may move to a copy. `spare`'s layout is a copy of the owner's.
    pub fn add_export(
        &mut self,
        mut spare: super::Spare,
        guard: SpareGuard,
        terms: GuardParams,
        owner: &'static Claim,
    ) -> InternalGuard {
        self.share_root(owner, &mut spare);
        let (ledger, lease) = (self.ledger_of(owner), self.lease(owner));
        let region = self.add_hidden(ledger, spare, lease);
        InternalGuard { guard: self.add_guard(guard, terms, owner, region, None) }
    }

    /// The export comes back into this library: it ends, and `spare`, whose layout is a copy of its region's, becomes a claim with
    /// what the exporting handle had, or with less where it shall be read-only.
    pub fn end_export_as_claim(&mut self, guard: &'static Guard, mut spare: super::Spare, readonly: bool) -> Id {
        let region = self.get(guard).region();
        let reads = self.get(guard).class == Class::ExportRead;
        let ledger = self.ledger_of(guard);
        self.share_root(region, &mut spare);
        let owner = self.get(guard).owner();
        spare.set_name(self.get(owner).name);
        spare.set_readonly(readonly || reads || self.get(region).readonly);
        spare.set_made(self.made());
        let lease = self.lease(region);
        let id = self.add_claim(ledger, spare, lease);
        self.end_guard(guard, false);
        id
    }

    /// The region of a claim's layout.
    #[inline]
    pub fn region<'a>(&'a self, claim: &'static Claim) -> Region<'a> {
        Region { layout: &self.get(claim).layout, root: self.root(claim) }
    }

    /// The layout of the guard's region: at this address as long as the guard is open.
    pub fn layout_of<'a>(&'a self, guard: &'static Guard) -> &'a Layout {
        &self.get(self.get(guard).region()).layout
    }
}

/// The head of a borrow_all: a handle over several guards, which no ledger guards.
pub struct Entries {
    head: SpareGuard,
    first: Option<&'static Guard>,
}

impl Entries {
    /// Takes the head's slot; outside of locks.
    pub fn take(thread: &'static Thread) -> Result<Entries> {
        Ok(Entries { head: SpareGuard::take(thread)?, first: None })
    }

    /// Adds an entry. The end walks them one by one, each under its own lock.
    /// `streamed`: it was taken with a queue.
    pub fn push(&mut self, locked: &mut Locked, guard: &'static Guard, streamed: bool) {
        let body = locked.get_mut(guard);
        body.streamed = streamed;
        body.entry = self.first;
        body.head = Some(self.head.guard);
        self.first = Some(guard);
    }

    /// Gives the handle out.
    pub fn publish(self, made: Origin) -> Id {
        let head = self.head.into_guard();
        head.guarded.ledger.store(core::ptr::null_mut(), crate::sys::sync::atomic::Ordering::Release);
        // SAFETY: not published yet: ours alone.
        *unsafe { head.guarded.own() } = GuardBody { class: Class::Group, entry: self.first, made, ..GuardBody::NEW };
        Table::publish(head)
    }
}

/// An open guard that the library itself uses: ended by [`InternalGuard::end`], or by its drop as one that failed.
pub struct InternalGuard {
    guard: &'static Guard,
}

impl Locked {
    /// Opens a guard on a claim for the library's own use.
    pub fn hold(&mut self, spare: SpareGuard, terms: GuardParams, claim: &'static Claim) -> InternalGuard {
        InternalGuard { guard: self.add_guard(spare, terms, claim, claim, None) }
    }

    /// Ends it while its ledger is locked already.
    pub fn end_hold(&mut self, hold: InternalGuard, failed: bool) {
        self.end_hold_at(hold, failed, None);
    }

    /// The same; `point`: work of a device goes on until then.
    pub fn end_hold_at(&mut self, hold: InternalGuard, failed: bool, point: Option<Point>) {
        self.end_guard_at(hold.guard, failed, point);
        core::mem::forget(hold);
    }
}

impl InternalGuard {
    /// Of a guard that is open and has no handle.
    pub(super) fn of(guard: &'static Guard) -> InternalGuard {
        InternalGuard { guard }
    }

    /// Its bytes for the host, which stay as long as it is open; DEVICE if the host cannot reach them.
    pub fn place(&self) -> Result<HostView<'_>> {
        let layout = self.layout();
        reach(self.device())?;
        // SAFETY: the guard is open and ours: the claim that it pins keeps its layout, the store its bytes, and whoever would touch
        // them in a conflicting way is refused. Its offset is an absolute address, of memory that the host can reach.
        Ok(unsafe { HostView::new(layout) })
    }

    /// The same; None if the host cannot reach them, and nothing is said.
    #[inline]
    pub fn place_in_reach(&self) -> Option<HostView<'_>> {
        // SAFETY: as in `place`.
        is_reachable(self.device()).then(|| unsafe { HostView::new(self.layout()) })
    }

    /// Its bytes for `ferry`, wherever they are.
    pub fn memory_view(&self) -> Result<MemoryView<'_>> {
        let memory = Memory::of(self.device(), self.layout())?;
        // SAFETY: as for `place`; work of a queue keeps the store's bytes by the point that the guard's end records.
        Ok(unsafe { MemoryView::new(self.layout(), memory) })
    }

    /// Where its bytes are.
    #[inline]
    pub fn device(&self) -> tn_device {
        let ledger = self.guard.guarded.ledger().expect("not a head");
        // SAFETY: written before the store had a handle, and not again as long as this guard keeps it.
        unsafe { (&raw const (*ledger.books.get()).device).read() }
    }

    /// The layout of its region.
    #[inline]
    pub fn layout(&self) -> &Layout {
        // SAFETY: the open guard pins the claim, and the layout of a claim with an open guard does not change.
        unsafe { &(*(*self.guard.guarded.body.get()).region().guarded().body.get()).layout }
    }

    /// Makes it the caller's: a handle that `end_guard` will end.
    pub fn publish(self) -> Id {
        let id = Table::publish(self.guard);
        core::mem::forget(self);
        id
    }

    /// Hands the open guard over to whoever ends it with [`Guard::lock`] and [`Locked::end_guard`].
    pub fn into_guard(self) -> &'static Guard {
        let guard = self.guard;
        core::mem::forget(self);
        guard
    }

    /// The guard.
    pub fn guard(&self) -> &'static Guard {
        self.guard
    }

    /// Ends it where work on the bytes was put into a queue: that goes on until the point, and who comes next is ordered after it.
    pub fn end_at(self, failed: bool, point: Point) {
        let guard = self.into_guard();
        guard.lock().end_guard_at(guard, failed, Some(point));
    }

    /// Asks for the lines that its end looks at.
    #[inline(always)]
    pub fn fetch(&self) {
        // SAFETY: as in `layout`; only the address of the claim is taken.
        let claim = unsafe { (*self.guard.guarded.body.get()).region() };
        cpu::prefetch(core::ptr::from_ref(claim));
        self.guard.guarded.ledger().inspect(|ledger| cpu::prefetch(core::ptr::from_ref(*ledger)));
    }

    /// Ends it; `failed`: what was written is undefined.
    pub fn end(self, failed: bool) {
        self.end_by(crate::thread::current(), failed);
    }

    /// The same by a thread that is known.
    pub fn end_by(self, thread: &'static Thread, failed: bool) {
        let guard = self.into_guard();
        if !One::held(thread, guard).end_guard(failed) {
            guard.lock().end_guard(guard, failed);
        }
    }
}

impl Drop for InternalGuard {
    fn drop(&mut self) {
        self.guard.lock().end_guard(self.guard, true);
    }
}

/// Whether the host can touch memory of that device.
#[inline]
pub fn is_reachable(device: tn_device) -> bool {
    matches!(device.r#type, TN_CPU | TN_CUDA_HOST | TN_CUDA_MANAGED)
}

/// DEVICE for memory that the host cannot touch.
#[inline]
pub(super) fn reach(device: tn_device) -> Result<()> {
    if is_reachable(device) { Ok(()) } else { Err(out_of_reach(device)) }
}

#[cold]
fn out_of_reach(device: tn_device) -> Status {
    fail(
        TN_ERR_DEVICE,
        format_args!(
            "the bytes are on device {}, which the host cannot reach; copy them with tn_array_to_device first",
            crate::names::DeviceName(device)
        ),
    )
}

/// Ends the borrow_all with that handle, if this caller is the one who does. `point_of` says until when work on the bytes of a device goes on
/// that were taken with a queue: it is asked for all entries before the first one ends, and if it fails, everything stays open.
pub fn end_entries(
    id: Id,
    head: &'static Guard,
    failed: bool,
    point_of: &mut dyn FnMut(tn_device) -> Result<Option<Point>>,
) -> Result<bool> {
    if !head.head.end(id) {
        return Ok(false);
    }
    // SAFETY: the compare-exchange made it ours alone until it is ended or resumed.
    let first = unsafe { head.guarded.own() }.entry;
    let mut at = first;
    while let Some(guard) = at {
        let (next, taken_on) = {
            let locked = guard.lock();
            let body = locked.get(guard);
            (body.entry, body.streamed.then(|| locked.books(locked.ledger_of(guard)).device))
        };
        at = next;
        // Once more below: what it answers is the same then.
        if let Some(device) = taken_on
            && let Err(status) = point_of(device)
        {
            head.head.resume(id);
            return Err(status);
        }
    }
    // SAFETY: as above.
    *unsafe { head.guarded.own() } = GuardBody::NEW;
    let mut at = first;
    while let Some(guard) = at {
        let mut locked = guard.lock();
        let body = locked.get(guard);
        at = body.entry;
        let taken_on = body.streamed.then(|| locked.books(locked.ledger_of(guard)).device);
        let point = taken_on.and_then(|device| point_of(device).ok().flatten());
        locked.end_guard_at(guard, failed, point);
    }
    Table::free(crate::thread::current(), head);
    Ok(true)
}

/// Calls `visit` with the layout of every entry of an open borrow_all, in the order they were given.
pub fn made_of_head(head: &'static Guard) -> Origin {
    // SAFETY: written before the handle was published, and not changed until it is freed; for reports only.
    unsafe { &*head.guarded.body.get() }.made
}
