//! Inputs: how the arguments of a call reach the body.
//!
//! Contract: the body gets handles of its own. One that it may only read cannot write the bytes. While the body may
//! write an argument's own bytes, or takes them, the argument's handle cannot be used. The end of a [`PassedInput`] undoes
//! all that; after a call that succeeded, [`PassedInput::finish`] destructs what was taken.

use super::copies::Copies;
use super::declaration::{At, Declared};
use super::slot::Input;
use crate::array::{self, Checked, Owned, Refusal};
use crate::borrow::{self, Argument, List, Use};
use crate::error::{Result, about, fail};
use crate::layout::{Layout, Order};
use crate::ledger::{self, Claim, Locked, LockedSlot, SpareClaim};
use crate::names::DeviceName;
use crate::pool;
use crate::region;
use crate::slots::Id;
use crate::thread::{self, Thread};
use crate::types::*;
use crate::variable::{self, ALIASED, Crossing, Resting};

/// An input of a call.
pub struct PassedInput {
    /// The handle that the body has; none if it passed to somebody else.
    pub handle: Id,
    /// Whether the body has the bytes themselves, or a copy.
    pub how: Crossing,
    /// TN_BORROW and the like.
    pub flags: u32,
    /// The tag of the store whose bytes the body has.
    pub store: u64,
    /// Whose bytes they are.
    pub bytes: Bytes,
    /// The bytes can be written through the argument.
    pub is_writable: bool,
    argument: Id,
    /// The claim of an argument that the call writes or takes.
    resting: Option<Resting>,
}

/// Whose bytes the body has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Bytes {
    /// A copy's.
    Copy,
    /// The argument's.
    Argument,
    /// The default value's.
    Default,
    /// A variable's.
    Variable,
}

impl PassedInput {
    /// Nothing is passed yet.
    const NONE: PassedInput = PassedInput {
        handle: Id::NONE,
        how: ALIASED,
        flags: 0,
        store: 0,
        bytes: Bytes::Copy,
        is_writable: false,
        argument: Id::NONE,
        resting: None,
    };

    #[inline]
    fn new(handle: Id, flags: u32) -> PassedInput {
        let mut passed = PassedInput::NONE;
        (passed.handle, passed.flags) = (handle, flags);
        passed
    }

    /// Whether the body may write the bytes of the argument itself.
    fn is_written(&self) -> bool {
        self.bytes == Bytes::Argument && self.resting.is_some()
    }

    /// Ends the body's handle, if the body left it.
    pub fn end_handle(&mut self, thread: &'static Thread) {
        let handle = core::mem::replace(&mut self.handle, Id::NONE);
        if handle != Id::NONE {
            array::release_if_open_as(thread, handle);
        }
    }

    /// Ends the input of a call that succeeded, whose handle has ended. Allocates nothing, and cannot fail.
    pub fn finish(&mut self) {
        if let Some(resting) = self.resting.take() {
            resting.end();
        }
    }
}

impl Drop for PassedInput {
    fn drop(&mut self) {
        if self.handle != Id::NONE {
            self.end_handle(thread::current());
        }
    }
}

/// Passes an argument, and adds it to the inputs `before` it. `arguments`: all arguments of the call.
pub fn pass_argument(
    (thread, copies): (&'static Thread, &mut Copies),
    (at, input): (At<'_>, &Input),
    argument: Id,
    before: &mut List<PassedInput>,
    arguments: &[Id],
) -> Result<()> {
    // Filled where it stays: a copy of what was just written would wait for that.
    before.push(PassedInput::NONE);
    let (passed, before) = before.split_last_mut().expect("pushed");
    if !passed.try_to_read(thread, input, argument, before) {
        *passed = pass_slow(copies, input, argument, before, arguments).map_err(|status| about(status, at))?;
    }
    Ok(())
}

/// Passes an argument that the body may write, or that only the slow path can pass or refuse.
#[inline(never)]
fn pass_slow(
    copies: &mut Copies,
    input: &Input,
    argument: Id,
    before: &mut [PassedInput],
    arguments: &[Id],
) -> Result<PassedInput> {
    let thread = thread::current();
    let mut passed = PassedInput::new(Id::NONE, input.flags);
    passed.argument = argument;
    // An argument that an earlier input made unusable is copied through the handle of that one.
    let position = before.iter().position(|passed| passed.argument == argument && passed.resting.is_some());
    let earlier = position.map(|at| &before[at]);
    let source = earlier.map_or(argument, |passed| passed.handle);
    let (takes, writes) =
        (input.flags & TN_TAKE_OWNERSHIP != 0, input.flags & (TN_MAY_OVERWRITE | TN_TAKE_OWNERSHIP) != 0);
    let mut taken = if takes { Some(SpareClaim::take(thread)?) } else { None };
    if let Some(taken) = &mut taken {
        *taken.layout() = Layout::room(array::snapshot(source)?.ndim())?;
    }
    let mut spare = SpareClaim::take(thread)?;
    let copied = earlier.filter(|earlier| earlier.bytes == Bytes::Copy).and_then(|earlier| earlier.resting.as_ref());
    let (mut locked, claim) = match copied {
        Some(resting) => {
            *spare.layout() = Layout::room(array::snapshot(source)?.ndim())?;
            (resting.claim().lock_moving(), resting.claim())
        }
        None => array::lock_with_layout(source, spare.layout())?,
    };
    let outcome = check_declared(&locked, claim, &input.declared, input.flags).and_then(|()| {
        let (claims, overlaps) = beside(&locked, claim, input.flags, before, (argument, arguments));
        let overlaps = overlaps || earlier.is_some() && (writes || copied.is_none());
        let (device, rests) = (input.declared.device, copied.is_some());
        borrow::pass(&locked, claim, Argument { flags: input.flags, device, claims, overlaps, rests })
    });
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(refusal) => {
            drop(locked);
            return Err(refusal.into_status());
        }
    };
    passed.is_writable = !locked.get(claim).readonly && !locked.state(locked.ledger_of(claim)).readonly;
    (passed.store, passed.bytes) = (locked.ledger_of(claim).tag(), Bytes::Argument);
    match outcome {
        borrow::Passed::Read => passed.handle = lend_to_read(&mut locked, claim, spare, input),
        borrow::Passed::Written => {
            passed.handle = locked.copy_claim(claim, spare);
            passed.resting = Some(Resting::begin(&mut locked, claim));
        }
        borrow::Passed::Copied(why) if takes && earlier.is_none() => {
            let reader = Owned::new(locked.copy_claim(claim, spare));
            // It still is a holder of the bytes: if the call fails, the caller has the argument back as it was.
            passed.resting = Some(Resting::begin_counted(&mut locked, claim));
            drop(locked);
            passed.copy(copies, reader.id(), input, why)?;
        }
        borrow::Passed::Copied(why) => {
            drop(locked);
            passed.copy(copies, source, input, why)?;
        }
    }
    // The input that made the handle unusable destructs it.
    let resting = position.map_or(&mut passed.resting, |at| &mut before[at].resting);
    if let (Some(taken), Some(resting)) = (taken, resting) {
        resting.take(taken);
    }
    Ok(passed)
}

/// A handle on the bytes, through which they cannot be written. It has the array's name, or else that of the input.
fn lend_to_read(locked: &mut Locked, claim: &'static Claim, spare: SpareClaim, input: &Input) -> Id {
    let handle = locked.copy_claim(claim, spare);
    let claim = ledger::find::<Claim>(handle).expect("only this function knows it");
    make_readonly(locked, claim, input);
    handle
}

fn make_readonly(locked: &mut Locked, claim: &'static Claim, input: &Input) {
    let body = locked.get_mut(claim);
    body.readonly = true;
    body.grants = false;
    if body.name.is_none() {
        body.name = input.name;
    }
}

impl PassedInput {
    /// The fast path of an argument that is only read, as most are: it is live, and nothing conflicts.
    #[inline]
    fn try_to_read(&mut self, thread: &'static Thread, input: &Input, argument: Id, before: &[PassedInput]) -> bool {
        let writes = input.flags & (TN_MAY_OVERWRITE | TN_TAKE_OWNERSHIP | TN_STRICT) != 0;
        if writes || before.iter().any(PassedInput::is_written) {
            return false;
        }
        let Some(mut one) = LockedSlot::<Claim>::live(thread, argument) else { return false };
        let (body, state) = (one.body(), one.state());
        let is_there = input.flags & TN_RAW != 0 || input.declared.device.is_none_or(|device| device == state.device);
        let fits = is_there && input.declared.fits(&body.layout);
        if !fits || body.given > 0 || !borrow::may_begin(body, state, Use::Read { frozen: false }) {
            return false;
        }
        let is_writable = !body.readonly && !state.readonly;
        let handle = one.add_claim(|from, to| {
            let fits = to.copy_layout_and_name_from(from);
            to.readonly = true;
            to.grants = false;
            if to.name.is_none() && !input.name.is_none() {
                to.name = input.name;
            }
            fits.then_some(true)
        });
        let Some(handle) = handle else { return false };
        self.store = one.tag();
        (self.argument, self.handle, self.flags) = (argument, handle, input.flags);
        (self.bytes, self.is_writable) = (Bytes::Argument, is_writable);
        true
    }

    /// Gives the body a copy, on the input's device. It is read-only unless the body may write the argument.
    fn copy(&mut self, copies: &mut Copies, source: Id, input: &Input, why: u32) -> Result<()> {
        variable::check_forbidden(why)?;
        let device = match input.declared.device {
            Some(device) if input.flags & TN_RAW == 0 => device,
            _ => array::device(source)?,
        };
        let copy = copies.make(source, pool::current(device)?, Order::A, why)?;
        // The handle that the body has had so far, if it has one, is the source.
        self.end_handle(thread::current());
        (self.handle, self.how, self.bytes) = (copy, Crossing { how: TN_COPIED, why }, Bytes::Copy);
        let writes = input.flags & (TN_MAY_OVERWRITE | TN_TAKE_OWNERSHIP) != 0 && input.is_argument();
        self.store = array::with(copy, |locked, claim| {
            if !writes {
                make_readonly(locked, claim, input);
            }
            Ok(locked.ledger_of(claim).tag())
        })?;
        Ok(())
    }
}

/// TN_ERR_DTYPE, TN_ERR_SHAPE, with TN_STRICT also TN_ERR_LAYOUT and TN_ERR_DEVICE, for an array that is not what was
/// declared.
pub fn check_declared(locked: &Locked, claim: &'static Claim, declared: &Declared, flags: u32) -> Checked<()> {
    let (layout, device) = (&locked.get(claim).layout, locked.state(locked.ledger_of(claim)).device);
    let refuse = |status, text: core::fmt::Arguments<'_>| Err(Refusal::from(fail(status, text)));
    if let Some(dtype) = declared.dtype.filter(|dtype| *dtype != layout.dtype()) {
        let text = format_args!("elements of {} are declared, not {}", dtype.name(), layout.dtype().name());
        return refuse(TN_ERR_DTYPE, text);
    }
    if let Some(ndim) = declared.ndim.filter(|ndim| *ndim != layout.ndim()) {
        return refuse(TN_ERR_SHAPE, format_args!("{ndim} axes are declared, not {}", layout.ndim()));
    }
    if flags & TN_STRICT == 0 {
        return Ok(());
    }
    if !layout.is_c() {
        return refuse(TN_ERR_LAYOUT, format_args!("the array is not C-contiguous, and TN_STRICT allows no packing"));
    }
    match declared.device.filter(|declared| *declared != device) {
        None => Ok(()),
        Some(declared) => refuse(
            TN_ERR_DEVICE,
            format_args!(
                "the array is on device {}, {} is declared, and TN_STRICT allows no transfer",
                DeviceName(device),
                DeviceName(declared)
            ),
        ),
    }
}

/// What else the call has on the store of an argument: the number of claims, and whether an earlier input that was not
/// copied shares a byte, where one of the two may be written.
pub fn beside(
    locked: &Locked,
    claim: &'static Claim,
    flags: u32,
    before: &[PassedInput],
    (argument, arguments): (Id, &[Id]),
) -> (u32, bool) {
    let writes = flags & (TN_MAY_OVERWRITE | TN_TAKE_OWNERSHIP) != 0;
    if !writes && !before.iter().any(PassedInput::is_written) {
        return (0, false);
    }
    let ledger = locked.ledger_of(claim);
    let here = |id: Id| {
        let found = ledger::find::<Claim>(id).ok()?;
        core::ptr::eq(locked.ledger_of(found), ledger).then_some(found)
    };
    let (mut claims, mut overlaps) = (0, false);
    for passed in before.iter().filter(|passed| passed.bytes != Bytes::Copy && passed.store == ledger.tag()) {
        let Some(other) = here(passed.handle) else { continue };
        claims += 1;
        overlaps |= (writes || passed.is_written()) && !region::disjoint(locked.region(other), locked.region(claim));
    }
    for (position, other) in arguments.iter().enumerate() {
        let is_new = *other != argument && !arguments[..position].contains(other);
        if is_new && here(*other).is_some_and(|other| locked.get(other).counted) {
            claims += 1;
        }
    }
    (claims, overlaps)
}

/// Passes a default value, which the body may only read.
pub fn pass_default((at, input): (At<'_>, &Input), default: Id) -> Result<PassedInput> {
    let pass = || {
        let mut passed = PassedInput::new(Id::NONE, input.flags);
        let mut spare = SpareClaim::take(thread::current())?;
        let (mut locked, claim) = array::lock_with_layout(default, spare.layout())?;
        passed.handle = lend_to_read(&mut locked, claim, spare, input);
        (passed.store, passed.bytes) = (locked.ledger_of(claim).tag(), Bytes::Default);
        Ok(passed)
    };
    pass().map_err(|status| about(status, at))
}

/// A new read-only handle on a default value, with the name of the input if that has none.
pub fn share_default(input: &Input, default: Id) -> Result<Id> {
    let mut spare = SpareClaim::take(thread::current())?;
    let (mut locked, claim) = array::lock_with_layout(default, spare.layout())?;
    Ok(lend_to_read(&mut locked, claim, spare, input))
}

/// Passes the value of a variable, which the body may only read. `value`: a handle on it, which is used up.
/// `is_written`: the call updates the value in place, so the body gets a copy.
pub fn pass_value(
    copies: &mut Copies,
    (at, input): (At<'_>, &Input),
    value: Id,
    is_written: bool,
) -> Result<PassedInput> {
    let mut passed = PassedInput::new(value, input.flags);
    let outcome = array::with(value, |locked, claim| {
        check_declared(locked, claim, &input.declared, input.flags)?;
        let flags = input.flags & !(TN_MAY_OVERWRITE | TN_TAKE_OWNERSHIP);
        let device = input.declared.device;
        let argument = Argument { flags, device, claims: 0, overlaps: is_written, rests: false };
        let outcome = borrow::pass(locked, claim, argument)?;
        make_readonly(locked, claim, input);
        Ok((outcome, locked.ledger_of(claim).tag()))
    });
    let mut pass = || match outcome? {
        (borrow::Passed::Copied(why), _) => passed.copy(copies, value, input, why),
        (_, store) => {
            (passed.store, passed.bytes) = (store, Bytes::Variable);
            Ok(())
        }
    };
    let outcome = pass();
    outcome.map(|()| passed).map_err(|status| about(status, at))
}
