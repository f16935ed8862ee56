//! How an array becomes the value of a variable: by alias, by a copy into the present buffer, or by a copy into a new
//! one.
//!
//! Contract: the decision and an alias are one step under the lock of the array's ledger. A copy makes all allocations
//! before it writes the first byte, so a failure leaves the value as it was. With TN_TAKE_OWNERSHIP the caller's handle
//! is destructed on success, and untouched on failure.

use super::lent;
use super::resting::Resting;
use super::slot::{self, Value, VariableRef};
use crate::array::{self, Axes, Cut, Owned};
use crate::blit;
use crate::borrow::{self, Adopted, BorrowContext, Entry, Use, Wanted};
use crate::copy_stats;
use crate::error::Result;
use crate::layout::{Form, Layout, Order};
use crate::ledger::{self, Claim, Locked, Points, SpareClaim, TakenBy, UseTime};
use crate::names::Name;
use crate::options;
use crate::pool::Pool;
use crate::sites::Site;
use crate::slots::Id;
use crate::stream::StreamArg;
use crate::thread;
use crate::transfer;
use crate::types::*;
use core::ffi::CStr;

/// What became of a value that entered or left.
pub type Crossing = tn_crossing;

/// An alias.
pub const ALIASED: Crossing = tn_crossing { how: TN_ALIASED, why: 0 };

/// The reasons for another buffer that come from a holder of the present one.
pub const BY_HOLDER: u32 = TN_WHY_SHARED | TN_WHY_IN_EXPRESSION | TN_WHY_EXPORTED | TN_WHY_BORROWED;

/// An array that may become a value.
pub struct Source {
    /// Where its bytes are.
    pub device: tn_device,
    /// Its elements.
    pub layout: Layout,
    /// Its name.
    pub name: Name,
}

impl Source {
    /// The properties of a live array.
    pub fn of(id: Id) -> Result<Source> {
        let layout = array::snapshot(id)?;
        let (device, name) = array::with(id, |locked, claim| {
            array::check_live(locked, claim)?;
            Ok((locked.state(locked.ledger_of(claim)).device, locked.get(claim).name))
        })?;
        Ok(Source { device, layout, name })
    }
}

/// With TN_STRICT: TN_ERR_DEVICE or TN_ERR_LAYOUT for a value that would have to be moved or packed.
pub fn check_strict(value: Id, flags: u32, device: tn_device) -> Result<()> {
    if flags & TN_STRICT == 0 {
        return Ok(());
    }
    array::with(value, |locked, claim| borrow::check_strict(locked, claim, device))
}

/// A stored value.
pub struct Stored {
    /// The array of the value; None: the present array, whose bytes were overwritten.
    pub array: Option<Id>,
    /// Alias or copy.
    pub crossing: Crossing,
    /// A holder of the present buffer made the library take another one.
    pub is_detached: bool,
}

/// Makes an array the value-to-be of a variable, whose value now is `present`. The caller commits it.
pub fn store(
    function: &'static CStr,
    variable: &VariableRef,
    value: Id,
    flags: u32,
    present: Option<Value>,
) -> Result<Stored> {
    let why = match adopt(variable, value, flags)? {
        Ok(array) => return Ok(Stored { array: Some(array), crossing: ALIASED, is_detached: false }),
        Err(why) => why,
    };
    let taken = if flags & TN_TAKE_OWNERSHIP != 0 { Some(Taken::begin(value)?) } else { None };
    check_forbidden(why)?;
    let source = taken.as_ref().map_or(value, |taken| taken.source.id());
    let stored = store_copy(function, variable, source, why, present)?;
    if let Some(taken) = taken {
        taken.resting.end();
    }
    Ok(stored)
}

/// Makes an array that only the library knows the value-to-be of a variable, by an alias where that is possible. The
/// caller releases the array unless it became the value, and then commits that. An alias allocates nothing.
pub fn store_own(function: &'static CStr, variable: &VariableRef, own: Id, present: Value) -> Result<Stored> {
    let wanted = Wanted { is_own: true, ..wanted(variable, TN_TAKE_OWNERSHIP) };
    match check_alias(wanted, || ledger::lock::<Claim>(own))? {
        Ok((mut locked, claim)) => {
            locked.begin_variable(claim, variable.id(), variable.fixed().name);
            Ok(Stored { array: Some(own), crossing: ALIASED, is_detached: false })
        }
        Err(why) => {
            check_forbidden(why)?;
            store_copy(function, variable, own, why, Some(present))
        }
    }
}

/// Makes an array that the body of a function left the value-to-be of a variable, by an alias. `from`: another variable
/// that lets its value go; else none. Returns a new handle, because the body knows the old one. Err: only a copy is
/// possible, with TN_WHY_ bits.
pub fn adopt_left(variable: &VariableRef, left: Id, from: Id) -> Result<core::result::Result<Id, u32>> {
    let wanted = Wanted { from, is_own: true, ..wanted(variable, TN_TAKE_OWNERSHIP) };
    Ok(check_alias(wanted, || lock_live(left))?.map(|(mut locked, claim)| {
        locked.begin_variable(claim, variable.id(), variable.fixed().name);
        locked.renew_handle(claim)
    }))
}

/// Marks an array that the body of a function left, and that has the bytes of the variable's value. Returns a new
/// handle. Err: only a copy is possible, with TN_WHY_ bits.
pub fn mark_left(variable: &VariableRef, left: Id) -> Result<core::result::Result<Id, u32>> {
    let (mut locked, claim) = lock_live(left)?;
    if locked.get(claim).layout.self_overlaps() {
        return Ok(Err(TN_WHY_LAYOUT));
    }
    locked.begin_variable(claim, variable.id(), variable.fixed().name);
    Ok(Ok(locked.renew_handle(claim)))
}

/// Locks an array whose handle a body knows, and which another thread may therefore give away at any time.
fn lock_live(array: Id) -> Result<(Locked, &'static Claim)> {
    let (locked, claim) = ledger::lock::<Claim>(array)?;
    let live = array::check_live(&locked, claim);
    match live {
        Ok(()) => Ok((locked, claim)),
        Err(refusal) => {
            drop(locked);
            Err(refusal.into_status())
        }
    }
}

/// Makes another claim on the bytes of an array that of the variable, or with TN_TAKE_OWNERSHIP its own. Err: only a
/// copy is possible, with TN_WHY_ bits.
fn adopt(variable: &VariableRef, value: Id, flags: u32) -> Result<core::result::Result<Id, u32>> {
    let mut spare = SpareClaim::take(thread::current())?;
    let (mut locked, claim) =
        match check_alias(wanted(variable, flags), || array::lock_with_layout(value, spare.layout()))? {
            Ok(locked) => locked,
            Err(why) => return Ok(Err(why)),
        };
    let passes = flags & TN_TAKE_OWNERSHIP != 0;
    // A guard on no bytes conflicts with nothing, but its handle stays.
    if passes && let Err(refusal) = array::check_guards(&locked, claim) {
        drop(locked);
        return Err(refusal.into_status());
    }
    let array =
        if passes { locked.pass_claim(claim, spare, TakenBy::Take, Id::NONE) } else { locked.copy_claim(claim, spare) };
    let claim = ledger::find::<Claim>(array).expect("only this function knows it");
    locked.begin_variable(claim, variable.id(), variable.fixed().name);
    Ok(Ok(array))
}

fn wanted(variable: &VariableRef, flags: u32) -> Wanted {
    Wanted { flags, device: variable.fixed().device, variable: variable.id(), from: Id::NONE, is_own: false }
}

/// Locks an array whose bytes the variable may have. Err: only a copy is possible, with TN_WHY_ bits.
fn check_alias(
    wanted: Wanted,
    mut lock: impl FnMut() -> Result<(Locked, &'static Claim)>,
) -> Result<core::result::Result<(Locked, &'static Claim), u32>> {
    let mut points = Points::default();
    loop {
        let (locked, claim) = lock()?;
        match borrow::adopt(&locked, claim, wanted, &mut points) {
            Ok(Adopted::Alias) => return Ok(Ok((locked, claim))),
            Ok(Adopted::Copy(why)) => return Ok(Err(why)),
            Err(refusal) => borrow::wait_or_refuse(locked, Err(refusal), &mut points)?,
        }
    }
}

/// Copies an array into the present buffer, if nobody else holds that and the size is equal, or else into a new one.
fn store_copy(
    function: &'static CStr,
    variable: &VariableRef,
    source: Id,
    why: u32,
    present: Option<Value>,
) -> Result<Stored> {
    let crossing = Crossing { how: TN_COPIED, why };
    let mut is_detached = false;
    if let Some(present) = present {
        match overwrite(function, source, present, why)? {
            Ok(array) => {
                if let Some(array) = array {
                    mark(variable, array)?;
                }
                return Ok(Stored { array, crossing, is_detached });
            }
            Err(reasons) => is_detached = reasons & BY_HOLDER != 0,
        }
    }
    let array = copy(function, source, variable.fixed().pool, Order::C, why)?;
    mark(variable, array)?;
    Ok(Stored { array: Some(array), crossing, is_detached })
}

/// Copies an array over the present value. Ok: the array with the new shape and form, or None if both are unchanged.
/// Err: this is not possible, with TN_WHY_ bits.
fn overwrite(
    function: &'static CStr,
    source: Id,
    present: Value,
    why: u32,
) -> Result<core::result::Result<Option<Id>, u32>> {
    if present.is_poisoned && slot::rests(present.array) {
        return Ok(Err(TN_WHY_POISONED));
    }
    let ((from, form), (to, present_form)) = (layout_and_form(source)?, layout_and_form(present.array)?);
    if !to.is_c() || from.bytes() != to.bytes() {
        return Ok(Err(TN_WHY_LAYOUT));
    }
    let lent = match lent::lend_alone(present.array)? {
        Ok(lent) => lent,
        Err(reasons) => return Ok(Err(reasons)),
    };
    let reshaped = if from.shape() == to.shape() && form == present_form {
        Ok(None)
    } else {
        let shape = from.shape();
        let reshape = |layout: &Layout, view: &mut Layout| layout.reshape_to(shape, Order::C, view);
        array::view(lent.handle(), Axes::Known(shape.len()), Cut::Reshaped, reshape).map(Some)
    };
    let copied = reshaped.and_then(|reshaped| {
        let target = reshaped.unwrap_or(lent.handle());
        let copied = reshaped
            .map_or(Ok(()), |reshaped| array::set_form(reshaped, Ok(form)))
            .and_then(|()| write(function, source, target));
        if copied.is_err() {
            reshaped.map(array::release_now);
        }
        copied.map(|()| reshaped)
    });
    lent.end();
    let copied = copied?;
    Copied::new(function, why, to.bytes()).count();
    Ok(Ok(copied))
}

fn layout_and_form(array: Id) -> Result<(Layout, Form)> {
    let mut layout = Layout::EMPTY;
    let (locked, claim) = array::lock_with_layout(array, &mut layout)?;
    let form = locked.get(claim).form;
    drop(locked);
    Ok((layout, form))
}

/// Copies an array into one that is lent.
fn write(function: &'static CStr, source: Id, target: Id) -> Result<()> {
    if let Some(outcome) = transfer::copy_fast(source, target, TN_WRITE_ALIASED) {
        return outcome;
    }
    let stream = stream_to(array::device(target)?);
    transfer::copy_into(function, source, target, TN_WRITE_ALIASED, Ok(stream))
}

/// Marks a new array, which only the library knows, as the value of a variable.
pub fn mark(variable: &VariableRef, array: Id) -> Result<()> {
    array::with(array, |locked, claim| {
        locked.begin_variable(claim, variable.id(), variable.fixed().name);
        Ok(())
    })
}

/// Copies an array to a new one, and counts the copy.
pub fn copy(function: &'static CStr, source: Id, pool: &'static Pool, order: Order, why: u32) -> Result<Id> {
    let (array, copied) = copy_uncounted(function, source, pool, order, why)?;
    copied.count();
    Ok(array)
}

/// Copies an array to a new one. The caller counts the copy.
pub fn copy_uncounted(
    function: &'static CStr,
    source: Id,
    pool: &'static Pool,
    order: Order,
    why: u32,
) -> Result<(Id, Copied)> {
    let bytes = array::snapshot(source)?.bytes();
    let array = transfer::copy_to(function, source, order, pool, &stream_to(pool.device()))?;
    Ok((array, Copied::new(function, why, bytes)))
}

/// A copy that was made, as the copy book has it.
#[derive(Clone, Copy)]
pub struct Copied {
    key: copy_stats::Key,
    bytes: u64,
}

impl Copied {
    /// A copy of now. `why`: TN_WHY_ bits; 0: nobody asked for an alias.
    fn new(function: &'static CStr, why: u32, bytes: i64) -> Copied {
        let site = Site::from_number(thread::current().site());
        let key = copy_stats::Key { function: Some(function), site, why, forced: why != 0 };
        Copied { key, bytes: bytes as u64 }
    }

    /// Counts it.
    pub fn count(&self) {
        copy_stats::note_copy(self.key, self.bytes);
    }
}

/// The stream of a copy into or out of a variable: the current one. The host waits for its own ordinary memory alone.
pub fn stream_to(device: tn_device) -> StreamArg {
    if device.r#type == TN_CPU { StreamArg::Now } else { StreamArg::Current }
}

/// Compares the value with its checksum (option check_managed). TN_ERR_ALIASED, once for each change: it was changed
/// from outside.
pub fn verify(variable: &VariableRef, value: Value) -> Result<()> {
    let Some(expected) = value.checksum else { return Ok(()) };
    let found = checksum(value.array);
    if found.is_none_or(|found| found == expected) {
        return Ok(());
    }
    variable.set_checksum(found);
    Err(variable.changed())
}

/// Makes a stored array the value, as [`VariableRef::commit`], and notes its checksum (option check_managed).
pub fn commit(variable: &VariableRef, array: Option<Id>, detached: bool) {
    variable.commit(array, detached);
    note_checksum(variable);
}

/// Notes the checksum of the value (option check_managed).
pub fn note_checksum(variable: &VariableRef) {
    if options::check_managed() {
        variable.set_checksum(checksum(variable.value().array));
    }
}

/// The checksum of an array's bytes. None: the host cannot read them now.
fn checksum(array: Id) -> Option<u64> {
    let entry = Entry::new(array, Use::Read { frozen: false }, UseTime::HOST);
    let guard = borrow::acquire(BorrowContext::by_host(c"tn_shared"), &[entry]).ok()?.pop()?;
    let sum = guard.host_view().ok().map(|view| blit::checksum(&view));
    guard.end(false);
    sum
}

/// TN_ERR_WOULD_COPY for a copy instead of an alias, on a thread that forbids copies.
pub fn check_forbidden(why: u32) -> Result<()> {
    if why != 0 && thread::current().forbids() > 0 { Err(borrow::would_copy(why)) } else { Ok(()) }
}

/// An array that is taken with TN_TAKE_OWNERSHIP, until its copy is made. Its drop gives it back.
struct Taken {
    /// Another handle, through which the bytes are read.
    source: Owned,
    resting: Resting,
}

impl Taken {
    fn begin(value: Id) -> Result<Taken> {
        let source = Owned::new(array::clone(value)?);
        let mut spare = SpareClaim::take(thread::current())?;
        let (mut locked, claim) = array::lock_with_layout(value, spare.layout())?;
        if let Err(refusal) = array::check_guards(&locked, claim) {
            drop(locked);
            return Err(refusal.into_status());
        }
        let mut resting = Resting::begin(&mut locked, claim);
        resting.take(spare);
        Ok(Taken { source, resting })
    }
}
