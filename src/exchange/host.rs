//! Raw host memory in and out: what every other format is made of.
//!
//! Bytes that are known already join their store as one more claim, because two stores on one range would make every count a lie.

use crate::address_index;
use crate::array::{self, HOST, Refusal};
use crate::blit::HostView;
use crate::borrow::{Use, would_copy};
use crate::copy_stats::{self, Key};
use crate::error::{Result, Status, fail};
use crate::flags;
use crate::gpu::page_lock;
use crate::layout::{Layout, Order};
use crate::ledger::{
    self, Backing, Claim, Class, Found, Guard, InternalGuard, Points, Release, SpareClaim, SpareGuard, SpareLease,
    SpareLedger, StoreParams, StoreSource, UseTime,
};
use crate::names::Site;
use crate::pool;
use crate::slots::Id;
use crate::stream::Stream;
use crate::thread::{self, Thread};
use crate::transfer;
use crate::types::*;
use core::ffi::CStr;

/// Flags of [`import`].
pub const IMPORT_FLAGS: u32 =
    TN_BORROW | TN_REQUIRE_BORROW | TN_MAY_OVERWRITE | TN_TAKE | TN_RELEASE_QUEUED | TN_IMPORT_READONLY;

/// Crossing flags of an export.
pub const EXPORT_FLAGS: u32 = TN_BORROW
    | TN_REQUIRE_BORROW
    | TN_EXPORT_WRITABLE
    | TN_EXPORT_EXCLUSIVE
    | TN_EXPORT_CONSUMER_READS
    | TN_EXPORT_NONNEGATIVE
    | TN_UNORDERED
    | TN_WAIT;

/// INVALID names the bits that a call does not take.
pub fn check_flags(flags: u32, known: u32) -> Result<()> {
    flags::check("flags", flags, known, &flags::CROSSING)
}

/// Foreign bytes that come in.
pub struct Import<'a> {
    /// The tn_ function, for the copy book.
    pub function: &'static CStr,
    /// Where the elements lie; absolute addresses.
    pub layout: &'a Layout,
    /// Crossing flags, checked.
    pub flags: u32,
    /// What runs when the last that descends from the import ended, or at once if it was copied.
    pub release: Release,
}

/// What became of an import.
pub struct Imported {
    /// The new handle.
    pub id: Id,
    /// TN_ALIASED or TN_COPIED.
    pub how: tn_how,
}

enum ImportPlan {
    Alias(Id),
    /// Aliasing is impossible for these reasons.
    Copy(u32),
}

/// Makes an array of foreign host bytes. On failure nothing is called and nothing has changed.
///
/// # Safety
/// - The elements of the layout lie in host memory that may be read now, and, where the import aliases, as long as its release has
///   not run.
pub unsafe fn import(import: Import<'_>) -> Result<Imported> {
    let thread = thread::current();
    let Import { function, layout, flags, release } = import;
    let wants_alias = flags & (TN_BORROW | TN_REQUIRE_BORROW | TN_MAY_OVERWRITE | TN_TAKE) != 0;
    let range = layout.extent().unwrap_or((0, 0));
    if range.1 > 0 && page_lock::is_device(range.0 as usize) {
        return Err(fail(
            TN_ERR_DEVICE,
            format_args!(
                "{:#x} is memory of a GPU, and this imports host memory; import it with its own format",
                range.0
            ),
        ));
    }
    let queued = flags & TN_RELEASE_QUEUED != 0;
    let lease = SpareLease::take(thread, release, queued, flags & TN_MAY_OVERWRITE != 0, range)?;
    if !wants_alias || flags & TN_TAKE != 0 {
        // SAFETY: the caller's promise.
        return unsafe { import_slow(thread, function, layout, flags, range, lease) };
    }
    match lend(thread, layout, flags, range, lease)? {
        Ok(id) => Ok(Imported { id, how: TN_ALIASED }),
        // SAFETY: the caller's promise.
        Err(lease) => unsafe { import_slow(thread, function, layout, flags, range, lease) },
    }
}

/// Bytes that nobody has, nor any part of them, become a store of their own; else the lease comes back.
#[inline(always)]
fn lend(
    thread: &'static Thread,
    layout: &Layout,
    flags: u32,
    (start, end): (i64, i64),
    lease: SpareLease,
) -> Result<core::result::Result<Id, SpareLease>> {
    let mut claim = SpareClaim::take(thread)?;
    let store = SpareLedger::take(thread)?;
    if end == start || !layout.is_aligned() || !claim.layout().set(layout) {
        return Ok(Err(lease));
    }
    let Some(mut index) = address_index::lock_with_room(thread).filter(|index| index.is_free(start, end)) else {
        return Ok(Err(lease));
    };
    claim.set_readonly(flags & TN_IMPORT_READONLY != 0 || layout.self_overlaps());
    claim.set_made(ledger::Origin::by(thread));
    let (ledger, id) = ledger::lend(store, HOST, (start, end), lease, claim);
    index.insert(start, end, ledger.tag());
    Ok(Ok(id))
}

/// The same for all cases and with every status.
///
/// # Safety
/// - As for [`import`].
#[inline(never)]
unsafe fn import_slow(
    thread: &'static Thread,
    function: &'static CStr,
    layout: &Layout,
    flags: u32,
    range: (i64, i64),
    lease: SpareLease,
) -> Result<Imported> {
    let wants_alias = flags & (TN_BORROW | TN_REQUIRE_BORROW | TN_MAY_OVERWRITE | TN_TAKE) != 0;
    let mut why = 0;
    let lease = if wants_alias {
        match alias(thread, layout, flags, range, lease)? {
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
    // SAFETY: the caller's promise; without an alias the bytes are read now.
    let source = unsafe { HostView::new(layout) };
    let id = transfer::duplicate_raw(&source, pool::current(HOST)?, flags & TN_IMPORT_READONLY != 0)?;
    note(function, why, wants_alias, layout.bytes() as u64);
    lease.end_now();
    Ok(Imported { id, how: TN_COPIED })
}

/// A copy at a border, for the copy book.
pub fn note(function: &'static CStr, why: u32, forced: bool, bytes: u64) {
    let site = Site::from_number(thread::current().site());
    copy_stats::note_copy(Key { function: Some(function), site, why, forced }, bytes);
}

#[cold]
fn overlaps_others(what: &str) -> Status {
    fail(TN_ERR_ALIASED, format_args!("the bytes overlap memory that this library knows already: {what}"))
}

fn alias(
    thread: &'static Thread,
    layout: &Layout,
    flags: u32,
    (start, end): (i64, i64),
    lease: SpareLease,
) -> Result<(ImportPlan, Option<SpareLease>)> {
    let requires = flags & TN_REQUIRE_BORROW != 0;
    let owns = flags & (TN_TAKE | TN_MAY_OVERWRITE) != 0;
    let mut claim = SpareClaim::take(thread)?;
    *claim.layout() = layout.try_clone()?;
    claim.set_readonly(flags & TN_IMPORT_READONLY != 0 || layout.self_overlaps());
    claim.set_made(ledger::Origin::by(thread));
    let store = SpareLedger::take(thread)?;
    let mut index = address_index::lock()?;
    let mut joins = None;
    match ledger::find_by_address(&mut index, start, end) {
        Found::Nothing => {}
        Found::One(locked, ledger) => {
            let state = locked.state(ledger);
            let inside = state.start <= start && end <= state.start + state.bytes;
            if owns {
                return Err(overlaps_others("TN_TAKE and TN_MAY_OVERWRITE need bytes of their own; use TN_BORROW"));
            }
            if !inside && !matches!(state.backing, Backing::Lent) {
                if requires {
                    return Err(overlaps_others("they reach beyond the store that has some of them; use TN_BORROW"));
                }
                return Ok((ImportPlan::Copy(TN_WHY_NOT_ALIASABLE), Some(lease)));
            }
            joins = Some((locked, ledger));
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
    if let Some((mut locked, ledger)) = joins {
        let id = locked.join(ledger, lease, claim);
        let state = locked.state(ledger);
        if matches!(state.backing, Backing::Lent) {
            index.resize(state.start, state.start + state.bytes, ledger.tag());
        }
        return Ok((ImportPlan::Alias(id), None));
    }
    let from = if flags & TN_TAKE != 0 { StoreSource::Taken(lease) } else { StoreSource::Lent(lease) };
    let what = StoreParams { device: HOST, start, bytes: end - start, readonly: false, mapped: false, from };
    let (locked, ledger, id) = ledger::create(store, what, claim);
    if end > start {
        index.insert(start, end, ledger.tag());
    }
    drop(locked);
    Ok((ImportPlan::Alias(id), None))
}

/// How an array leaves.
pub struct Export {
    /// The tn_ function, for the copy book.
    pub function: &'static CStr,
    /// Crossing flags, as [`check_flags`] and [`class`] let them through.
    pub flags: u32,
    /// XR, XS or XW.
    pub class: Class,
    /// The same of a copy: XW, which its consumer alone uses, or XR of a format whose data never change. Such a copy can come back as an
    /// array, which is read beside it.
    pub copy: Class,
    /// Mode UNIQUE.
    pub unique: bool,
}

/// Class and mode of an export from its flags, or INVALID. `says_readonly`: whether the format can tell the consumer.
pub fn class(flags: u32, mode: u32, says_readonly: bool) -> Result<(Class, bool)> {
    let invalid = |why: &str| Err(fail(TN_ERR_INVALID, format_args!("flags {flags:#x}, mode {mode:#x}: {why}")));
    let writable = flags & TN_EXPORT_WRITABLE != 0;
    let exclusive = flags & TN_EXPORT_EXCLUSIVE != 0;
    let reads = flags & TN_EXPORT_CONSUMER_READS != 0;
    if exclusive && !writable {
        return invalid("TN_EXPORT_EXCLUSIVE goes with TN_EXPORT_WRITABLE");
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

/// With TN_EXPORT_NONNEGATIVE: why a layout cannot leave as it is.
pub fn nonnegative(flags: u32, layout: &Layout) -> Option<&'static str> {
    let negative = layout.axes().any(|(length, stride)| length > 1 && stride < 0);
    (negative && flags & TN_EXPORT_NONNEGATIVE != 0)
        .then_some("a stride is negative, and TN_EXPORT_NONNEGATIVE asks for none")
}

/// An export that is open, and whether its bytes were copied for it.
pub struct Exported {
    /// Holds the bytes until it ends.
    pub hold: InternalGuard,
    /// TN_ALIASED or TN_COPIED.
    pub how: tn_how,
}

/// Opens an export of an array. `fits` says what of the layout the format cannot express: None, or TN_WHY_LAYOUT with its reason, which
/// with TN_BORROW makes a copy and with TN_REQUIRE_BORROW TN_ERR_LAYOUT.
pub fn export(
    id: Id,
    how: &Export,
    stream: Result<Stream>,
    fits: &dyn Fn(&Layout) -> Option<&'static str>,
) -> Result<Exported> {
    export_ordered(id, how, stream, fits, Order::A)
}

/// The same for a format that demands an order of what is copied.
pub fn export_ordered(
    id: Id,
    how: &Export,
    stream: Result<Stream>,
    fits: &dyn Fn(&Layout) -> Option<&'static str>,
    order: Order,
) -> Result<Exported> {
    let thread = thread::current();
    ledger::find::<Claim>(id)?;
    stream?;
    let requires = how.flags & TN_REQUIRE_BORROW != 0;
    let wants_alias = requires || how.flags & TN_BORROW != 0;
    if !wants_alias {
        return copied(id, how, 0, false, order);
    }
    let mut spare = SpareClaim::take(thread)?;
    let guard = SpareGuard::take(thread)?;
    let wanted = Use::Export { class: how.class, unique: how.unique };
    let when = UseTime::HOST.waiting(how.flags & TN_WAIT != 0);
    let mut points = Points::default();
    loop {
        let (mut locked, claim) = ledger::lock::<Claim>(id)?;
        let ledger = locked.ledger_of(claim);
        locked.drop_passed_work(ledger);
        let layout = &locked.get(claim).layout;
        let ndim = layout.ndim();
        let reached = |()| array::check_reach(&locked, claim);
        let outcome = array::check_live(&locked, claim).and_then(reached).and_then(|()| match fits(layout) {
            Some(why) if requires => {
                Err(Refusal::Said(fail(TN_ERR_LAYOUT, format_args!("{why}; only a copy would do"))))
            }
            Some(_) => Ok(false),
            None => crate::borrow::check(&locked, claim, wanted, when, &mut points).map(|()| true),
        });
        if outcome.is_err() || !points.is_empty() {
            drop(locked);
            crate::borrow::resolve(outcome.map(drop), &mut points)?;
            continue;
        }
        match outcome {
            Err(refusal) => {
                drop(locked);
                return Err(refusal.say());
            }
            Ok(false) => {
                drop(locked);
                return copied(id, how, TN_WHY_LAYOUT, true, order);
            }
            Ok(true) if spare.layout().set(&locked.get(claim).layout) => {
                let terms = crate::borrow::guard_params(wanted);
                spare.set_readonly(locked.get(claim).readonly);
                let hold = locked.add_export(spare, guard, terms, claim);
                return Ok(Exported { hold, how: TN_ALIASED });
            }
            Ok(true) => {
                drop(locked);
                *spare.layout() = Layout::room(ndim)?;
            }
        }
    }
}

/// An export of a copy, which nobody else claims.
fn copied(id: Id, how: &Export, why: u32, forced: bool, order: Order) -> Result<Exported> {
    let thread = thread::current();
    let call = crate::borrow::BorrowContext::by_host(how.function);
    let when = UseTime::HOST.waiting(how.flags & TN_WAIT != 0);
    let source = transfer::one(call, id, Use::Read { frozen: false }, when)?;
    if forced && thread.forbids() > 0 {
        source.end(false);
        return Err(would_copy(why));
    }
    let guard = SpareGuard::take(thread)?;
    let spare = SpareClaim::take(thread)?;
    let mut room = Layout::room(source.layout().ndim())?;
    let bytes = source.layout().bytes() as u64;
    let copy = transfer::duplicate(&source, pool::current(HOST)?, order, crate::names::Name::NONE);
    source.end(false);
    let copy = copy?;
    let (mut locked, claim) = ledger::lock::<Claim>(copy)?;
    let fits = room.set(&locked.get(claim).layout);
    debug_assert!(fits);
    let mut spare = spare;
    *spare.layout() = room;
    let terms = crate::borrow::guard_params(Use::Export { class: how.copy, unique: false });
    let hold = locked.add_export(spare, guard, terms, claim);
    locked.release(claim);
    drop(locked);
    note(how.function, why, forced, bytes);
    Ok(Exported { hold, how: TN_COPIED })
}

/// An export of this library that comes back unwrapped: the export ends, and a clone of its handle takes its place.
pub fn reclaim(guard: &'static Guard, readonly: bool) -> Result<Id> {
    let thread = thread::current();
    let mut spare = SpareClaim::take(thread)?;
    loop {
        let mut locked = guard.lock();
        let layout = locked.layout_of(guard);
        let ndim = layout.ndim();
        if spare.layout().set(layout) {
            return Ok(locked.end_export_as_claim(guard, spare, readonly));
        }
        drop(locked);
        *spare.layout() = Layout::room(ndim)?;
    }
}
