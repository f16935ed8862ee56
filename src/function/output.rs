//! Outputs: which array the caller gets for each.
//!
//! It implements the table "outputs" of docs/spec/shared-variables.md. Nothing is handed out before the call can no
//! longer fail.

use super::copies::Copies;
use super::input::{Bytes, PassedInput};
use super::outcome::Outcome;
use super::places::{self, Produced};
use super::spare::Returned;
use crate::array;
use crate::borrow;
use crate::error::{Result, about, quietly};
use crate::layout::{Layout, Order};
use crate::ledger::{Locked, SpareClaim};
use crate::pool;
use crate::slots::Id;
use crate::thread::Thread;
use crate::types::*;
use crate::variable::{self, ALIASED, Crossing};

/// An array for the caller. Its drop releases the array.
pub struct Output {
    /// The array.
    pub array: Id,
    /// What became of the array that the body left.
    pub how: Crossing,
    /// With TN_REUSE: the slot for the function's own claim on the buffer.
    pub kept: Option<SpareClaim>,
    /// The caller gets the array that the body left, of which the function may have a claim already.
    pub is_left: bool,
    /// The array is the former value of a variable, for the caller alone.
    was_value: bool,
}

impl Output {
    /// None yet.
    pub const NONE: Output = Output { array: Id::NONE, how: ALIASED, kept: None, is_left: false, was_value: false };

    /// Makes the caller the only holder of a former value, after the commit: until then, other threads may have
    /// borrowed it from the variable. The caller then gets a copy; without memory for that, an array through which the
    /// bytes cannot be written. Cannot fail.
    pub fn leave_readers(&mut self, copies: &mut Copies) {
        let is_shared = |locked: &mut Locked, claim| {
            let state = locked.state(locked.ledger_of(claim));
            Ok(state.claims > 1 || state.readers + state.exports() > 0)
        };
        if !self.was_value || !array::with(self.array, is_shared).unwrap_or(false) {
            return;
        }
        let copied = quietly(|| {
            let pool = pool::current(array::device(self.array)?)?;
            copies.make(self.array, pool, Order::C, TN_WHY_SHARED)
        });
        match copied {
            Ok(copy) => {
                let shared = core::mem::replace(&mut self.array, copy);
                self.how = Crossing { how: TN_COPIED, why: TN_WHY_SHARED };
                array::release_if_open(shared);
            }
            Err(_) => places::make_readonly(self.array),
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let array = core::mem::replace(&mut self.array, Id::NONE);
        if array != Id::NONE {
            array::release_if_open(array);
        }
    }
}

/// What becomes of an array that the body left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Disposition {
    /// The caller is its only holder.
    HandedOut,
    /// The caller has another handle on bytes that somebody else has.
    Aliased,
    Copied(u32),
}

impl Outcome<'_, '_> {
    /// Decides about an output, and makes the copy that is needed. `output`, which is none yet, becomes it.
    pub fn output(&mut self, place: usize, output: &mut Output) -> Result<()> {
        self.try_output(place, output).map_err(|status| about(status, self.function.at(place)))
    }

    fn try_output(&mut self, place: usize, output: &mut Output) -> Result<()> {
        let declared = &self.function.outputs[place];
        let flags = declared.flags;
        let borrows = flags & (TN_BORROW | TN_REQUIRE_BORROW) != 0;
        let produced = self.produced[place].as_ref().expect("checked by `settle`");
        let wanted = declared.declared.device.filter(|_| flags & TN_RAW == 0).unwrap_or(produced.device);
        let is_in_place = wanted == produced.device;
        if is_in_place && produced.holders == 0 && !produced.is_known && !self.taken.contains(&produced.store) {
            // The usual case: an array that the body made or found.
            output.array = self.places.take(place);
            output.is_left = true;
            self.handed.push(place);
            if flags & TN_REUSE != 0 && produced.kept.is_none() && !produced.is_foreign {
                output.kept = Some(room_for(self.places.thread, produced.ndim)?);
            }
            return Ok(());
        }
        let produced = *produced;
        let disposition =
            if is_in_place { self.disposition(place, produced) } else { Disposition::Copied(TN_WHY_DEVICE) };
        let Disposition::Copied(why) = disposition else {
            output.array = self.places.take(place);
            self.handed.push(place);
            output.was_value =
                disposition == Disposition::HandedOut && !borrows && self.update_on(produced.store).is_some();
            if disposition == Disposition::HandedOut && flags & TN_REUSE != 0 && self.may_keep(produced) {
                output.kept = Some(room_for(self.places.thread, produced.ndim)?);
            }
            return Ok(());
        };
        if flags & TN_REQUIRE_BORROW != 0 {
            return Err(borrow::alias_required(why));
        }
        if borrows {
            variable::check_forbidden(why)?;
        }
        output.array = self.copies.make(produced.array, pool::current(wanted)?, Order::C, why)?;
        output.how = Crossing { how: TN_COPIED, why };
        if flags & TN_REUSE != 0 {
            output.kept = Some(room_for(self.places.thread, produced.ndim)?);
        }
        Ok(())
    }

    fn disposition(&self, place: usize, produced: Produced) -> Disposition {
        const MAY_ALIAS: u32 = TN_BORROW | TN_REQUIRE_BORROW | TN_MAY_OVERWRITE | TN_TAKE_OWNERSHIP;
        let borrows = |output: usize| self.function.outputs[output].flags & (TN_BORROW | TN_REQUIRE_BORROW) != 0;
        let shared = Disposition::Copied(TN_WHY_SHARED);
        let aliased_if = |may: bool| if may { Disposition::Aliased } else { shared };
        let has_bytes = |place: &usize| self.produced[*place].is_some_and(|other| other.store == produced.store);
        let mut earlier = self.handed.iter().copied().filter(has_bytes).peekable();
        let is_new = earlier.peek().is_none() && !self.taken.contains(&produced.store);
        let may_alias = borrows(place) && earlier.all(borrows);
        let from_caller = |input: &&PassedInput| matches!(input.bytes, Bytes::Argument | Bytes::Default);
        let mut from = self.inputs.iter().filter(|input| input.store == produced.store).filter(from_caller).peekable();
        if from.peek().is_some() {
            if from.clone().any(|input| input.bytes == Bytes::Default || input.flags & MAY_ALIAS == 0) {
                return shared;
            }
            let is_taken = from.clone().all(|input| input.flags & TN_TAKE_OWNERSHIP != 0);
            if is_taken && produced.holders == 0 && is_new {
                return Disposition::HandedOut;
            }
            if from.all(|input| input.is_writable) {
                places::make_writable(produced.array);
            }
            return aliased_if(may_alias);
        }
        let own = self.update_on(produced.store);
        let is_let_go = own.is_some_and(|own| self.lets_go(own) && !self.taken.contains(&produced.store));
        if own.is_some() || self.is_of_input(produced.store) {
            places::make_writable(produced.array);
        }
        // A variable that lets its value go still has its claim; one that is lent is not counted.
        let own_claims = own.filter(|own| is_let_go && !self.updates[*own].is_lent()).map_or(0, |_| 1);
        let is_alone = (own.is_none() || is_let_go) && produced.holders == own_claims;
        if is_alone && is_new { Disposition::HandedOut } else { aliased_if(may_alias) }
    }

    /// Whether the function may keep the buffer of an output: it is neither a variable's, nor an argument's, nor
    /// foreign memory.
    fn may_keep(&self, produced: Produced) -> bool {
        let has_other = |input: &PassedInput| input.store == produced.store && input.bytes != Bytes::Copy;
        self.update_on(produced.store).is_none() && !produced.is_foreign && !self.inputs.iter().any(has_other)
    }

    /// Keeps the buffers of outputs that the caller does not take.
    pub fn keep_unwanted(&mut self, n_out: usize, returned: &mut Returned<'_>) {
        for (place, output) in self.function.outputs.iter().enumerate().skip(n_out) {
            let Some(produced) = self.produced[place].filter(|_| output.flags & TN_REUSE != 0) else { continue };
            let is_shared = self.produced.iter().flatten().filter(|other| other.store == produced.store).count() > 1;
            if !is_shared && produced.holders == 0 && self.may_keep(produced) {
                returned.keep(place, self.places.take(place));
            }
        }
    }
}

fn room_for(thread: &'static Thread, ndim: u8) -> Result<SpareClaim> {
    let mut spare = SpareClaim::take(thread)?;
    if usize::from(ndim) > Layout::INLINE_NDIM {
        *spare.layout() = Layout::room(ndim.into())?;
    }
    Ok(spare)
}
