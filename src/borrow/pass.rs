//! How the bytes of an argument reach the body of a function: as they are, or as a copy.
//!
//! It implements the table "inputs" of docs/spec/shared-variables.md. A body that only reads gets the bytes themselves.
//! A body that may write them gets them if no other holder needs them.
#![forbid(unsafe_code)]

use super::adopt::would_copy;
use super::rules::{Facts, by_claims, by_guard, by_variable, check_moves, refuse_by_state};
use crate::array::{self, Checked, Refusal};
use crate::error::rank;
use crate::ledger::{Claim, Locked};
use crate::types::*;

/// How the bytes reach the body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Passed {
    /// The body reads the bytes themselves.
    Read,
    /// The body may write them.
    Written,
    /// The body has a copy. TN_WHY_ bits.
    Copied(u32),
}

/// An argument, and what else the call has on its store.
#[derive(Clone, Copy)]
pub struct Argument {
    /// TN_REQUIRE_BORROW, TN_MAY_OVERWRITE, TN_TAKE_OWNERSHIP, TN_RAW.
    pub flags: u32,
    /// The device on which the body wants the bytes; None: where they are.
    pub device: Option<tn_device>,
    /// Other claims on the store that belong to arguments of the call, or to the body.
    pub claims: u32,
    /// An earlier argument, which was not copied, shares a byte, and one of the two may be written.
    pub overlaps: bool,
    /// The array rests for the call, because an earlier input is a copy of it that was taken.
    pub rests: bool,
}

/// Decides about one argument, which is live.
pub fn pass(locked: &Locked, claim: &'static Claim, argument: Argument) -> Checked<Passed> {
    let (body, state) = (locked.get(claim), locked.state(locked.ledger_of(claim)));
    let (required, takes) = (argument.flags & TN_REQUIRE_BORROW != 0, argument.flags & TN_TAKE_OWNERSHIP != 0);
    let writes = takes || argument.flags & TN_MAY_OVERWRITE != 0;
    let facts = Facts::of(locked, claim);
    let refuse = |status, open| Err(by_guard(locked, claim, status, open));
    facts.check_poison(locked, claim)?;
    // A stretched view is READONLY because its elements share bytes, so the layout is the reason that helps.
    let is_stretched = writes && body.layout.self_overlaps();
    if required && writes && facts.readonly && !is_stretched {
        return Err(refuse_by_state(locked, claim, TN_ERR_READONLY));
    }
    // An argument that rests moves in this call.
    if !argument.rests {
        check_moves(locked, claim)?;
    }
    facts.check_write_guards(locked, claim)?;
    // The rule of give: also a guard on no bytes.
    if takes && !argument.rests {
        array::check_guards(locked, claim)?;
    }
    if facts.export_exclusive.any() {
        return refuse(TN_ERR_EXPORTED, facts.export_exclusive);
    }
    let moves = argument.flags & TN_RAW == 0 && argument.device.is_some_and(|device| device != state.device);
    let others = facts.shared.saturating_sub(argument.claims);
    let reasons = [
        (TN_WHY_DEVICE, TN_ERR_WOULD_COPY, moves),
        (TN_WHY_LAYOUT, TN_ERR_WOULD_COPY, is_stretched),
        (TN_WHY_READONLY, TN_ERR_READONLY, writes && !is_stretched && facts.readonly),
        (TN_WHY_SHARED, TN_ERR_SHARED, argument.overlaps || writes && (others > 0 || facts.managed)),
        (TN_WHY_IN_EXPRESSION, TN_ERR_IN_EXPRESSION, writes && facts.nodes > 0),
        (TN_WHY_FOREIGN, TN_ERR_FOREIGN, writes && facts.foreign),
        (TN_WHY_BORROWED, TN_ERR_BORROWED, writes && facts.read.any()),
        (TN_WHY_EXPORTED, TN_ERR_EXPORTED, writes && facts.any_export.any()),
    ];
    let found = || reasons.iter().filter(|(.., is_so)| *is_so);
    match found().fold(0, |bits, (bit, ..)| bits | bit) {
        0 if writes => return Ok(Passed::Written),
        0 => return Ok(Passed::Read),
        why if !required => return Ok(Passed::Copied(why)),
        _ => {}
    }
    let (why, status, _) = found().min_by_key(|(_, status, _)| rank(*status)).expect("there is one");
    Err(match *status {
        TN_ERR_SHARED if facts.managed => by_variable(locked, claim, TN_ERR_SHARED),
        TN_ERR_SHARED => by_claims(locked, claim, TN_ERR_SHARED, facts.shared),
        TN_ERR_IN_EXPRESSION => by_claims(locked, claim, TN_ERR_IN_EXPRESSION, facts.nodes),
        TN_ERR_BORROWED => by_guard(locked, claim, TN_ERR_BORROWED, facts.read),
        TN_ERR_EXPORTED => by_guard(locked, claim, TN_ERR_EXPORTED, facts.any_export),
        TN_ERR_WOULD_COPY => Refusal::from(would_copy(*why)),
        status => refuse_by_state(locked, claim, status),
    })
}

/// Checks an array that the body of a function left in a place: nobody may be writing it. Returns the number of other
/// claims on its store, those of expressions included.
pub fn check_left(locked: &Locked, claim: &'static Claim) -> Checked<u32> {
    let facts = Facts::of(locked, claim);
    let refuse = |status, open| Err(by_guard(locked, claim, status, open));
    facts.check_poison(locked, claim)?;
    facts.check_writers(locked, claim)?;
    if facts.export_exclusive.any() {
        return refuse(TN_ERR_EXPORTED, facts.export_exclusive);
    }
    Ok(facts.shared + facts.nodes)
}
