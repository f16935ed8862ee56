//! Import and export of raw memory. All other formats are built on these: for consumers on devices by way of `device`.
//!
//! An import whose bytes belong to a store already becomes one more claim of that store. A second store on the same
//! range would make the counts of both wrong.

use crate::address_index;
use crate::array::{self, Checked, HOST, Refusal};
use crate::blit::HostView;
use crate::borrow::{Use, would_copy};
use crate::copy_stats::{self, Key};
use crate::device_copy::{Memory, MemoryView};
use crate::error::{Result, Status, fail};
use crate::flags;
use crate::gpu::page_lock;
use crate::layout::{Form, Layout, Order};
use crate::ledger::{
    self, Backing, Claim, Class, Found, Guard, InternalGuard, Lease, Ledger, Locked, Points, Release, Root, SpareClaim,
    SpareGuard, SpareLease, StoreParams, StoreSource, UseTime,
};
use crate::names::Name;
use crate::pool::{self, Pool};
use crate::sites::Site;
use crate::slots::Id;
use crate::stream::{Point, StreamArg};
use crate::sys::os;
use crate::thread::{self, Thread};
use crate::transfer;
use crate::types::*;
use core::ffi::CStr;

/// The flags that [`import`] accepts.
pub const IMPORT_FLAGS: u32 =
    TN_BORROW | TN_REQUIRE_BORROW | TN_MAY_OVERWRITE | TN_TAKE_OWNERSHIP | TN_RELEASE_QUEUED | TN_IMPORT_READONLY;

/// The flags that an export accepts. A format may accept fewer.
pub const EXPORT_FLAGS: u32 = TN_BORROW
    | TN_REQUIRE_BORROW
    | TN_EXPORT_WRITABLE
    | TN_EXPORT_EXCLUSIVE
    | TN_EXPORT_CONSUMER_READS
    | TN_EXPORT_NONNEGATIVE
    | TN_EXPORT_C_CONTIGUOUS
    | TN_UNORDERED
    | TN_WAIT;

/// Fails with TN_ERR_INVALID, and a text that names the bits, unless all flags are known to the call.
pub fn check_flags(flags: u32, known: u32) -> Result<()> {
    flags::check("flags", flags, known, &flags::CROSSING)
}

/// An import of foreign bytes.
pub struct Import<'a> {
    /// The C function, for the copy book.
    pub function: &'static CStr,
    /// The device whose memory the bytes are.
    pub device: tn_device,
    /// The layout of the elements. Its offset is an absolute address.
    pub layout: &'a Layout,
    /// Borrow flags, checked.
    pub flags: u32,
    /// The release of the bytes. It runs when all that descends from the import has ended, or at once after a copy.
    pub release: Release,
    /// The point of the producer's unfinished work on the bytes, after which all uses come. None: there is none, as on
    /// the host.
    pub after: Option<Point>,
}

/// The result of an import.
pub struct Imported {
    /// The new handle.
    pub id: Id,
    /// TN_ALIASED or TN_COPIED.
    pub how: tn_how,
}

enum ImportPlan {
    Alias(Id),
    /// An alias is impossible, for these TN_WHY_ reasons.
    Copy(u32),
}

/// Makes an array of foreign bytes. On failure no release runs and nothing has changed.
///
/// # Safety
/// - The elements of the layout lie in memory of the device that may be read during the call.
/// - If the import aliases them: they may be read until the release has run.
pub unsafe fn import(import: Import<'_>) -> Result<Imported> {
    let thread = thread::current();
    let Import { function, device, layout, flags, release, after } = import;
    let wants_alias = flags & (TN_BORROW | TN_REQUIRE_BORROW | TN_MAY_OVERWRITE | TN_TAKE_OWNERSHIP) != 0;
    let range = layout.extent().unwrap_or((0, 0));
    if range.1 > 0 && device == HOST {
        check_is_of_the_host(range)?;
    }
    let queued = flags & TN_RELEASE_QUEUED != 0;
    let lease = Lease::spare(thread, release, queued, flags & TN_MAY_OVERWRITE != 0, range)?;
    if !wants_alias || flags & TN_TAKE_OWNERSHIP != 0 || after.is_some() {
        // SAFETY: the caller's obligation.
        return unsafe { import_slow(thread, function, device, layout, flags, range, (lease, after)) };
    }
    match alias_fast(thread, device, layout, flags, range, lease)? {
        Ok(id) => Ok(Imported { id, how: TN_ALIASED }),
        // SAFETY: the caller's obligation.
        Err(lease) => unsafe { import_slow(thread, function, device, layout, flags, range, (lease, None)) },
    }
}

/// TN_ERR_RANGE: no process has memory there; TN_ERR_DEVICE: it is a GPU's.
#[inline]
fn check_is_of_the_host((start, end): (i64, i64)) -> Result<()> {
    if start < os::LOWEST_ADDRESS || end > os::ADDRESS_LIMIT {
        return Err(fail(
            TN_ERR_RANGE,
            format_args!(
                "no process has memory at {start:#x} to {end:#x}, where the elements would be; correct the address, the shape or the strides"
            ),
        ));
    }
    if page_lock::is_device(start as usize) {
        return Err(fail(
            TN_ERR_DEVICE,
            format_args!(
                "{start:#x} is memory of a GPU, and this function imports host memory; copy it to the host first"
            ),
        ));
    }
    Ok(())
}

/// The fast path of an aliasing import: it makes a new store if no store has any of the bytes. In all other cases it
/// returns the lease.
#[inline(always)]
fn alias_fast(
    thread: &'static Thread,
    device: tn_device,
    layout: &Layout,
    flags: u32,
    (start, end): (i64, i64),
    lease: SpareLease,
) -> Result<core::result::Result<Id, SpareLease>> {
    let mut claim = SpareClaim::take(thread)?;
    let store = Ledger::spare(thread)?;
    if end == start || !layout.is_aligned() || !claim.layout().set(layout) {
        return Ok(Err(lease));
    }
    let Some(mut index) = address_index::lock_with_room(thread).filter(|index| index.is_free(start, end)) else {
        return Ok(Err(lease));
    };
    claim.set_readonly(flags & TN_IMPORT_READONLY != 0 || layout.self_overlaps());
    claim.set_origin(ledger::Origin::by(thread));
    let (ledger, id) = ledger::lend(store, device, (start, end), lease, claim);
    index.insert(start, end, ledger.tag());
    Ok(Ok(id))
}

/// The slow path of an import, for all cases and with every status.
///
/// # Safety
/// - As for [`import`].
#[inline(never)]
unsafe fn import_slow(
    thread: &'static Thread,
    function: &'static CStr,
    device: tn_device,
    layout: &Layout,
    flags: u32,
    range: (i64, i64),
    (lease, after): (SpareLease, Option<Point>),
) -> Result<Imported> {
    let wants_alias = flags & (TN_BORROW | TN_REQUIRE_BORROW | TN_MAY_OVERWRITE | TN_TAKE_OWNERSHIP) != 0;
    let mut why = 0;
    let lease = if wants_alias {
        match alias_slow(thread, device, layout, flags, range, (lease, after))? {
            (ImportPlan::Alias(id), _) => return Ok(Imported { id, how: TN_ALIASED }),
            (ImportPlan::Copy(reasons), lease) => {
                why = reasons;
                lease.expect("kept for a copy")
            }
        }
    } else {
        lease
    };
    if wants_alias && thread.forbids() > 0 {
        return Err(would_copy(why));
    }
    let readonly = flags & TN_IMPORT_READONLY != 0;
    let id = if device == HOST {
        // SAFETY: the caller's obligation; the bytes are read during this call.
        let source = unsafe { HostView::new(layout) };
        transfer::duplicate_raw(&source, pool::current(HOST)?, readonly)?
    } else {
        // SAFETY: as above; the copy is done on return.
        let source = unsafe { MemoryView::new(layout, Memory::of(device, layout)?) };
        transfer::duplicate_memory(&source, device, after, readonly)?
    };
    record_copy(function, why, wants_alias, layout.bytes() as u64);
    lease.end_now();
    Ok(Imported { id, how: TN_COPIED })
}

/// Records a copy of an import or export in the copy book.
pub fn record_copy(function: &'static CStr, why: u32, forced: bool, bytes: u64) {
    let site = Site::from_number(thread::current().site());
    copy_stats::note_copy(Key { function: Some(function), site, why, forced }, bytes);
}

#[cold]
fn overlaps_others(what: &str) -> Status {
    fail(TN_ERR_ALIASED, format_args!("the bytes overlap memory of an existing array: {what}"))
}

fn alias_slow(
    thread: &'static Thread,
    device: tn_device,
    layout: &Layout,
    flags: u32,
    (start, end): (i64, i64),
    (lease, after): (SpareLease, Option<Point>),
) -> Result<(ImportPlan, Option<SpareLease>)> {
    let requires = flags & TN_REQUIRE_BORROW != 0;
    let owns = flags & (TN_TAKE_OWNERSHIP | TN_MAY_OVERWRITE) != 0;
    let mut claim = SpareClaim::take(thread)?;
    *claim.layout() = layout.try_clone()?;
    claim.set_readonly(flags & TN_IMPORT_READONLY != 0 || layout.self_overlaps());
    claim.set_origin(ledger::Origin::by(thread));
    let store = Ledger::spare(thread)?;
    let work = after.map(|point| Ok((SpareGuard::take(thread)?, point))).transpose()?;
    // For the layout of an earlier import of which this one is a part.
    let mut root = Some(Root::spare(thread, Layout::INLINE_NDIM)?);
    let mut index = address_index::lock()?;
    let mut existing = None;
    match ledger::find_by_address(&mut index, start, end) {
        Found::Nothing => {}
        Found::One(locked, ledger) => {
            let state = locked.state(ledger);
            let inside = state.start <= start && end <= state.start + state.bytes;
            if owns {
                return Err(overlaps_others(
                    "TN_TAKE_OWNERSHIP and TN_MAY_OVERWRITE need bytes that no other store has; use TN_BORROW",
                ));
            }
            if !inside && !matches!(state.backing, Backing::Lent) {
                if requires {
                    return Err(overlaps_others("they extend beyond the store that has some of them; use TN_BORROW"));
                }
                return Ok((ImportPlan::Copy(TN_WHY_NOT_ALIASABLE), Some(lease)));
            }
            existing = Some((locked, ledger));
        }
        Found::Several => {
            if owns || requires {
                return Err(overlaps_others("more than one store has some of them; use TN_BORROW"));
            }
            return Ok((ImportPlan::Copy(TN_WHY_NOT_ALIASABLE), Some(lease)));
        }
    }
    if !layout.is_aligned() {
        if requires {
            let (dtype, address) = (layout.dtype(), layout.offset());
            return Err(fail(
                TN_ERR_WOULD_COPY,
                format_args!(
                    "address {address:#x} or strides {:?} are not multiples of {} bytes, the alignment of {}; only a copy would do",
                    layout.strides(),
                    dtype.align(),
                    dtype.name()
                ),
            ));
        }
        return Ok((ImportPlan::Copy(TN_WHY_LAYOUT), Some(lease)));
    }
    if let Some((mut locked, ledger)) = existing {
        if let Some(whole) = locked.claim_with_box(ledger, layout)
            && locked.make_root(whole, &mut root)
        {
            locked.share_root(whole, &mut claim);
        }
        let id = locked.join(ledger, lease, claim);
        locked.begin_after(id, work);
        let state = locked.state(ledger);
        if matches!(state.backing, Backing::Lent) {
            index.resize(state.start, state.start + state.bytes, ledger.tag());
        }
        return Ok((ImportPlan::Alias(id), None));
    }
    let from = if flags & TN_TAKE_OWNERSHIP != 0 { StoreSource::Taken(lease) } else { StoreSource::Lent(lease) };
    let params = StoreParams { device, start, bytes: end - start, readonly: false, mapped: false, from };
    let (mut locked, ledger, id) = ledger::create(store, params, claim);
    locked.begin_after(id, work);
    if end > start {
        index.insert(start, end, ledger.tag());
    }
    drop(locked);
    Ok((ImportPlan::Alias(id), None))
}

/// What [`join`] found.
pub enum Joined {
    /// The store, and a new handle on it.
    Handle(Id),
    /// Stores that have some of the bytes, or none that has all.
    Part,
    /// No store.
    Nothing,
}

/// Another handle on the store that has all bytes of a layout, if `holds` while that store is locked. `owns`: the
/// handle does not make the store FOREIGN.
pub fn join(layout: Layout, readonly: bool, owns: bool, holds: impl FnOnce() -> bool) -> Result<Joined> {
    let thread = thread::current();
    let (start, end) = layout.extent().unwrap_or((0, 0));
    let lease = Lease::spare(thread, Release::None, false, owns, (start, end))?;
    let mut claim = SpareClaim::take(thread)?;
    claim.set_readonly(readonly || layout.self_overlaps());
    *claim.layout() = layout;
    claim.set_origin(ledger::Origin::by(thread));
    let mut index = address_index::lock()?;
    let (mut locked, ledger) = match ledger::find_by_address(&mut index, start, end) {
        Found::Nothing => return Ok(Joined::Nothing),
        Found::Several => return Ok(Joined::Part),
        Found::One(locked, ledger) => (locked, ledger),
    };
    if !holds() {
        return Ok(Joined::Nothing);
    }
    let state = locked.state(ledger);
    let is_inside = state.start <= start && end <= state.start + state.bytes;
    Ok(if is_inside { Joined::Handle(locked.join(ledger, lease, claim)) } else { Joined::Part })
}

/// Lets the bytes of a store be written that was made read-only. Its other handles stay read-only.
pub fn make_store_writable(id: Id) -> Result<()> {
    array::with(id, |locked, claim| {
        let ledger = locked.ledger_of(claim);
        locked.state_mut(ledger).readonly = false;
        Ok(())
    })
}

/// The parameters of an export.
pub struct Export {
    /// The C function, for the copy book.
    pub function: &'static CStr,
    /// Borrow flags, checked by [`check_flags`] and [`class`].
    pub flags: u32,
    /// The class of an aliasing export: read, shared or exclusive.
    pub class: Class,
    /// The class of an export of a copy. Exclusive: only the consumer uses the copy. Read: the format's data never
    /// change, so the copy can be imported again, and both sides may read it. Shared: the copy can be imported again,
    /// because the format has no mark by which its import would be recognised.
    pub copy: Class,
    /// Whether the mode is TN_WRITE_UNIQUE.
    pub unique: bool,
}

/// The class of an export, and whether its mode is UNIQUE, from its flags and mode. TN_ERR_INVALID: these contradict
/// each other. `says_readonly`: the format can tell the consumer that the bytes are read-only.
pub fn class(flags: u32, mode: u32, says_readonly: bool) -> Result<(Class, bool)> {
    let invalid = |why: &str| Err(fail(TN_ERR_INVALID, format_args!("flags {flags:#x}, mode {mode:#x}: {why}")));
    let writable = flags & TN_EXPORT_WRITABLE != 0;
    let exclusive = flags & TN_EXPORT_EXCLUSIVE != 0;
    let reads = flags & TN_EXPORT_CONSUMER_READS != 0;
    if exclusive && !writable {
        return invalid("TN_EXPORT_EXCLUSIVE requires TN_EXPORT_WRITABLE");
    }
    if reads && writable {
        return invalid("TN_EXPORT_CONSUMER_READS contradicts TN_EXPORT_WRITABLE");
    }
    let class = match (writable, exclusive) {
        (_, true) => Class::ExportExclusive,
        (true, false) => Class::ExportShared,
        (false, false) if reads || says_readonly => Class::ExportRead,
        (false, false) => Class::ExportShared,
    };
    match mode & !TN_WAIT {
        0 => Ok((class, false)),
        TN_WRITE_UNIQUE if writable => Ok((class, true)),
        TN_WRITE_UNIQUE => invalid("a read-only export takes no mode"),
        _ => invalid("an export takes TN_WRITE_ALIASED or TN_WRITE_UNIQUE"),
    }
}

/// The reason why the caller's flags forbid to export a layout without a copy. None: they do not.
#[inline(always)]
pub fn unwanted(flags: u32, layout: &Layout) -> Option<&'static str> {
    if flags & TN_EXPORT_C_CONTIGUOUS != 0 && !layout.is_c() {
        return Some("the elements are not C-contiguous, which TN_EXPORT_C_CONTIGUOUS requires");
    }
    let negative = layout.axes().any(|(length, stride)| length > 1 && stride < 0);
    (negative && flags & TN_EXPORT_NONNEGATIVE != 0)
        .then_some("a stride is negative, and TN_EXPORT_NONNEGATIVE forbids negative strides")
}

/// The order of a copy that an export with these flags makes.
pub fn copy_order(flags: u32) -> Order {
    if flags & TN_EXPORT_C_CONTIGUOUS != 0 { Order::C } else { Order::A }
}

/// An open export, and whether its bytes were copied for it.
pub struct Exported {
    /// The guard that holds the bytes.
    pub guard: InternalGuard,
    /// TN_ALIASED or TN_COPIED.
    pub how: tn_how,
}

/// Opens an export of an array to the host. `why_not` returns the reason why the format cannot express a layout, or
/// None. With TN_BORROW such a layout is copied, for TN_WHY_LAYOUT. With TN_REQUIRE_BORROW the export fails with
/// TN_ERR_LAYOUT.
pub fn export(id: Id, request: &Export, stream: Result<StreamArg>, why_not: &WhyNot) -> Result<Exported> {
    export_ordered(id, request, stream, why_not, copy_order(request.flags))
}

/// [`export`] for a format that requires copies in a certain order.
pub fn export_ordered(
    id: Id,
    request: &Export,
    stream: Result<StreamArg>,
    why_not: &WhyNot,
    order: Order,
) -> Result<Exported> {
    ledger::find::<Claim>(id)?;
    let (stream, unordered) = (stream?, request.flags & TN_UNORDERED != 0);
    let when = UseTime { unordered, ..crate::borrow::when(id, &stream, request.flags & TN_WAIT != 0)? };
    if !request.wants_alias() {
        return export_copy(id, request, 0, order);
    }
    match open_alias(id, request, when, &array::check_reach, why_not)? {
        Some(guard) => Ok(Exported { guard, how: TN_ALIASED }),
        None => export_copy(id, request, TN_WHY_LAYOUT, order),
    }
}

/// The reason why a format cannot express a layout. None: it can.
pub type WhyNot<'a> = dyn Fn(&Layout) -> Option<&'static str> + 'a;

impl Export {
    /// Whether the export shall share the array's bytes.
    pub fn wants_alias(&self) -> bool {
        self.flags & (TN_BORROW | TN_REQUIRE_BORROW) != 0
    }
}

/// Opens an export on the array's own bytes. None: the format cannot express their layout, and the flags allow a copy.
/// `reach` refuses memory that the consumer cannot access.
pub fn open_alias(
    id: Id,
    request: &Export,
    when: UseTime,
    reach: &dyn Fn(&Locked, &'static Claim) -> Checked<()>,
    why_not: &WhyNot,
) -> Result<Option<InternalGuard>> {
    let thread = thread::current();
    let requires = request.flags & TN_REQUIRE_BORROW != 0;
    let mut spare = SpareClaim::take(thread)?;
    let spare_guard = SpareGuard::take(thread)?;
    let wanted = Use::Export { class: request.class, unique: request.unique };
    let mut points = Points::default();
    loop {
        let (mut locked, claim) = ledger::lock::<Claim>(id)?;
        let ledger = locked.ledger_of(claim);
        locked.drop_passed_work(ledger);
        let layout = &locked.get(claim).layout;
        let ndim = layout.ndim();
        let reached = |()| reach(&locked, claim);
        let outcome = array::check_live(&locked, claim).and_then(reached).and_then(|()| match why_not(layout) {
            Some(why) if requires => {
                Err(Refusal::Reported(fail(TN_ERR_LAYOUT, format_args!("{why}; only a copy would do"))))
            }
            Some(_) => Ok(false),
            None => crate::borrow::check(&locked, claim, wanted, when, &mut points).map(|()| true),
        });
        if outcome.is_err() || !points.is_empty() {
            crate::borrow::wait_or_refuse(locked, outcome.map(drop), &mut points)?;
            continue;
        }
        match outcome {
            Err(refusal) => {
                drop(locked);
                return Err(refusal.into_status());
            }
            Ok(false) => return Ok(None),
            Ok(true) if spare.layout().set(&locked.get(claim).layout) => {
                let params = crate::borrow::guard_params(wanted);
                spare.set_readonly(locked.get(claim).readonly);
                return Ok(Some(locked.add_export(spare, spare_guard, params, claim)));
            }
            Ok(true) => {
                drop(locked);
                *spare.layout() = Layout::room(ndim)?;
            }
        }
    }
}

/// Copies an array to the thread's current pool, and opens an export of the copy, which has no other claim.
fn export_copy(id: Id, request: &Export, why: u32, order: Order) -> Result<Exported> {
    export_copy_into(id, request, why, order, || pool::current(HOST), |_| Ok(())).map(|(exported, ())| exported)
}

/// [`export_copy`] into a pool of the host. What `then` returns is returned too; if it fails, there was no copy.
pub fn export_copy_into<R>(
    id: Id,
    request: &Export,
    why: u32,
    order: Order,
    pool: impl FnOnce() -> Result<&'static Pool>,
    then: impl FnOnce(&InternalGuard) -> Result<R>,
) -> Result<(Exported, R)> {
    let thread = thread::current();
    let call = crate::borrow::BorrowContext::by_host(request.function);
    let when = UseTime::HOST.waiting(request.flags & TN_WAIT != 0);
    let source = transfer::acquire_one(call, id, Use::Read { frozen: false }, when)?;
    if request.wants_alias() && thread.forbids() > 0 {
        source.end(false);
        return Err(would_copy(why));
    }
    let spare_guard = SpareGuard::take(thread)?;
    let mut spare = SpareClaim::take(thread)?;
    let mut copy_layout = Layout::room(source.layout().ndim())?;
    let bytes = source.layout().bytes() as u64;
    let copy = pool().and_then(|pool| transfer::duplicate(&source, pool, order, (Name::NONE, Form::Full)));
    source.end(false);
    let copy = copy?;
    let (mut locked, claim) = ledger::lock::<Claim>(copy)?;
    let has_capacity = copy_layout.set(&locked.get(claim).layout);
    debug_assert!(has_capacity);
    *spare.layout() = copy_layout;
    let params = crate::borrow::guard_params(Use::Export { class: request.copy, unique: false });
    let guard = locked.add_export(spare, spare_guard, params, claim);
    locked.release(claim);
    drop(locked);
    match then(&guard) {
        Ok(result) => {
            record_copy(request.function, why, request.wants_alias(), bytes);
            Ok((Exported { guard, how: TN_COPIED }, result))
        }
        Err(status) => {
            guard.end(false);
            Err(status)
        }
    }
}

/// Turns an export into a handle again: the export ends, and a claim on the exported view takes its place. All uses
/// come after `point`.
pub fn reclaim(guard: &'static Guard, readonly: bool, point: Option<Point>) -> Result<Id> {
    let thread = thread::current();
    let mut spare = SpareClaim::take(thread)?;
    loop {
        let mut locked = guard.lock();
        let layout = locked.layout_of(guard);
        let ndim = layout.ndim();
        if spare.layout().set(layout) {
            return Ok(locked.end_export_as_claim(guard, spare, readonly, point));
        }
        drop(locked);
        *spare.layout() = Layout::room(ndim)?;
    }
}
