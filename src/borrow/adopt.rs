//! Whether a shared variable may have the bytes of an array as its value, or needs a copy of them.
//!
//! It implements the table "creating and setting" of docs/spec/shared-variables.md. To store a value is to read it, so
//! a conflict with a reader is a refusal. Anything else that prevents an alias makes a copy, unless the caller requires
//! the alias.
#![forbid(unsafe_code)]

use super::rules::{Facts, by_guard, by_variable, check_work, refuse_by_state};
use crate::array::{Checked, Quoted, Why};
use crate::error::{Status, fail};
use crate::ledger::{self, Claim, ClaimBody, LedgerState, Locked, Points, UseTime};
use crate::names::DeviceName;
use crate::slots::Id;
use crate::types::*;

/// What becomes of an array's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Adopted {
    /// The variable has the bytes themselves.
    Alias,
    /// The variable has a copy. TN_WHY_ bits; 0: the caller wanted one.
    Copy(u32),
}

/// How a value enters a shared variable.
#[derive(Clone, Copy)]
pub struct Wanted {
    /// TN_BORROW, TN_REQUIRE_BORROW, TN_TAKE_OWNERSHIP.
    pub flags: u32,
    /// The device of the variable.
    pub device: tn_device,
    /// The variable.
    pub variable: Id,
    /// Another variable, which lets its value go in this call; else none.
    pub from: Id,
    /// Only the library knows the array. Its unfinished device work becomes that of the value.
    pub is_own: bool,
}

/// The fast path of [`adopt`]: nothing prevents that a variable on `device` takes the bytes of an array which its
/// caller owns. Stretched arrays are READONLY.
pub fn may_adopt(body: &ClaimBody, state: &LedgerState, device: tn_device) -> bool {
    let quiet = state.has_only_claims() && state.managed == 0 && body.given == 0;
    quiet
        && !body.readonly
        && !state.readonly
        && state.device == device
        && state.bytes <= body.layout.bytes().saturating_mul(2)
}

/// Decides about one array, which is live. `points` receives the device work to wait for, as in [`super::check`].
pub fn adopt(locked: &Locked, claim: &'static Claim, wanted: Wanted, points: &mut Points) -> Checked<Adopted> {
    let (body, state) = (locked.get(claim), locked.state(locked.ledger_of(claim)));
    let layout = &body.layout;
    let (required, takes) = (wanted.flags & TN_REQUIRE_BORROW != 0, wanted.flags & TN_TAKE_OWNERSHIP != 0);
    let may_alias = required || takes || wanted.flags & TN_BORROW != 0;
    let facts = Facts::of(locked, claim);
    let refuse = |status, open| Err(by_guard(locked, claim, status, open));
    facts.check_poison(locked, claim)?;
    // A stretched view is READONLY because its elements share bytes, so the layout is the reason that helps.
    let is_stretched = layout.self_overlaps();
    if required && facts.readonly && !is_stretched {
        return Err(refuse_by_state(locked, claim, TN_ERR_READONLY));
    }
    facts.check_writers(locked, claim)?;
    if facts.read.any() && (required || takes && body.readers > 0) {
        return refuse(TN_ERR_BORROWED, facts.read);
    }
    if facts.export_exclusive.any() {
        return refuse(TN_ERR_EXPORTED, facts.export_exclusive);
    }
    if required && facts.export_shared.any() {
        return refuse(TN_ERR_EXPORTED, facts.export_shared);
    }
    if ledger::is_reachable(state.device) && !wanted.is_own {
        check_work(locked, claim, false, UseTime::HOST, points)?;
    }
    if !may_alias {
        return Ok(Adopted::Copy(0));
    }
    let owner = locked.variable_beside(claim).map(|owner| locked.get(owner).keeper);
    let is_value = state.managed > 0 && owner == Some(wanted.variable);
    // The claim of a variable that lends its value to a callback rests, and is not found.
    let is_let_go = state.managed > 0 && wanted.from != Id::NONE && owner.is_none_or(|owner| owner == wanted.from);
    let of_another = state.managed > 0 && !is_value && !is_let_go;
    let is_wasteful = state.bytes > layout.bytes().saturating_mul(2);
    let reasons = [
        (TN_WHY_DEVICE, state.device != wanted.device),
        (TN_WHY_READONLY, facts.readonly && !is_stretched),
        (TN_WHY_SHARED, of_another),
        (TN_WHY_LAYOUT, is_stretched),
        (TN_WHY_EXPORTED, facts.export_shared.any()),
        (TN_WHY_BORROWED, facts.read.any()),
        (TN_WHY_WASTE, !required && is_wasteful),
    ];
    match reasons.iter().find(|(_, is_so)| *is_so) {
        None => Ok(Adopted::Alias),
        Some(_) if required && of_another => Err(by_variable(locked, claim, TN_ERR_ALIASED)),
        Some((why, _)) if required => Err(would_copy(*why).into()),
        Some((why, _)) => Ok(Adopted::Copy(*why)),
    }
}

/// TN_STRICT: TN_ERR_DEVICE or TN_ERR_LAYOUT for a value that would have to be moved or packed.
pub fn check_strict(locked: &Locked, claim: &'static Claim, device: tn_device) -> Checked<()> {
    let (body, state) = (locked.get(claim), locked.state(locked.ledger_of(claim)));
    if state.device != device {
        return Err(fail(
            TN_ERR_DEVICE,
            format_args!(
                "{} is on device {}, the value is to be on {}, and TN_STRICT allows no transfer",
                Quoted(&body.name),
                DeviceName(state.device),
                DeviceName(device)
            ),
        )
        .into());
    }
    if !body.layout.is_c() {
        return Err(fail(
            TN_ERR_LAYOUT,
            format_args!("{} is not C-contiguous, and TN_STRICT allows no packing", Quoted(&body.name)),
        )
        .into());
    }
    Ok(())
}

/// The status of a copy where the caller requires an alias.
#[cold]
pub fn would_copy(why: u32) -> Status {
    fail(
        TN_ERR_WOULD_COPY,
        format_args!("the value can only be copied ({}), and TN_REQUIRE_BORROW requires an alias", Why(why)),
    )
}
