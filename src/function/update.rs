//! Updates: the new values of the variables that a call changes.
//!
//! Contract: all new values are decided, and the copies made, before the first one is committed. [`commit`] cannot
//! fail.

use super::input::{Bytes, PassedInput};
use super::outcome::Outcome;
use super::places::{self, Produced};
use super::reserved::{New, Reserved};
use super::spare::Returned;
use crate::error::{Result, about, recode};
use crate::layout::Order;
use crate::options;
use crate::slots::Id;
use crate::types::*;
use crate::variable::{self, ALIASED, Crossing, Work};

impl Outcome<'_, '_> {
    /// Decides what becomes the new value of each variable, and makes the copies that are needed.
    pub fn decide_updates(&mut self) -> Result<()> {
        for index in 0..self.updates.len() {
            if let New::Array(_, store) = self.updates[index].new {
                self.taken.push(store);
                self.updates[index].how = self.crossing(index, store, 0);
                continue;
            }
            let place = self.places.of_update(index);
            let new = match self.produced[place] {
                None => self.updates[index].stay(),
                Some(produced) => self.new_value(index, place, produced),
            };
            self.updates[index].new = new.map_err(|status| about(status, self.function.at(place)))?;
        }
        Ok(())
    }

    fn new_value(&mut self, index: usize, place: usize, produced: Produced) -> Result<New> {
        let variable = self.updates[index].variable;
        let why = match self.keep(index, produced)? {
            Ok(new) => {
                self.updates[index].how = self.crossing(index, produced.store, 0);
                self.taken.push(produced.store);
                self.places.take(place);
                return Ok(new);
            }
            Err(why) => why,
        };
        variable::check_forbidden(why)?;
        let copy = self.copies.make(produced.array, variable.fixed().pool, Order::C, why)?;
        variable::mark(variable, copy)?;
        self.updates[index].how = self.crossing(index, produced.store, why);
        Ok(New::Array(copy, variable::tag_of(copy)))
    }

    /// What became of a value that the body left on that store. `why`: it was copied from there, with TN_WHY_ bits.
    fn crossing(&self, index: usize, store: u64, why: u32) -> Crossing {
        let update = &self.updates[index];
        match why | if store == update.copy { update.why } else { 0 } {
            0 => ALIASED,
            why => Crossing { how: TN_COPIED, why },
        }
    }

    /// Makes what the body left the value without a copy, or says why that cannot be: TN_WHY_ bits.
    fn keep(&self, index: usize, produced: Produced) -> Result<core::result::Result<New, u32>> {
        let (update, store) = (&self.updates[index], produced.store);
        let variable = update.variable;
        if store == update.store && update.is_lent() {
            return if produced.is_open {
                Ok(Err(TN_WHY_EXPORTED))
            } else if produced.array == update.offered {
                Ok(Ok(New::InPlace))
            } else {
                Ok(variable::mark_left(variable, produced.array)?.map(|array| New::Array(array, store)))
            };
        }
        let own = self.update_on(store);
        let from = match own {
            _ if self.taken.contains(&store) => None,
            Some(own) if own == index => Some(Id::NONE),
            Some(other) if self.lets_go(other) => Some(self.updates[other].variable.id()),
            Some(_) => None,
            None if self.inputs.iter().any(|input| keeps_bytes(input, store)) => None,
            None => Some(Id::NONE),
        };
        let Some(from) = from else { return Ok(Err(TN_WHY_SHARED)) };
        if own.is_some() || self.is_of_input(store) {
            places::make_writable(produced.array);
        }
        // A refusal is the body's mistake.
        let adopted =
            variable::adopt_left(variable, produced.array, from).map_err(|status| recode(status, TN_ERR_FAILED))?;
        Ok(adopted.map(|array| New::Array(array, store)))
    }
}

/// Whether an input has the bytes of somebody who goes on to use them.
fn keeps_bytes(input: &PassedInput, store: u64) -> bool {
    let keeps = match input.bytes {
        Bytes::Copy => false,
        Bytes::Argument => input.flags & TN_TAKE_OWNERSHIP == 0,
        Bytes::Default | Bytes::Variable => true,
    };
    keeps && input.store == store
}

/// Makes all new values those of their variables, at once. Cannot fail.
pub fn commit(updates: &mut [Reserved<'_>], returned: &mut Returned<'_>, first_place: usize) {
    for update in updates.iter_mut() {
        update.exchange.array = match update.new {
            New::None | New::InPlace => None,
            New::Array(array, store) => Some((array, store)),
        };
        // A checksum is noted at the end, and a value that is lent ends being so.
        update.exchange.ends = update.lent.is_none() && !options::check_managed();
        update.exchange.detached = update.why & variable::BY_HOLDER != 0;
    }
    let several = updates.len() > 1;
    let changed = updates.iter_mut().filter(|update| !matches!(update.new, New::None));
    variable::exchange_all(several, changed.map(|update| (update.variable, &mut update.exchange)));
    // All before the first reservation ends, because a value that was lent may have become that of another variable.
    for update in updates.iter_mut() {
        match (update.lent.take(), &update.new) {
            (None, _) => {}
            (Some(lent), New::InPlace) => lent.end_in_place(),
            (Some(lent), _) => _ = lent.keep_handle(),
        }
    }
    for (index, update) in updates.iter_mut().enumerate() {
        // Its drop ends the reservation of the variable.
        let work = update.work.take();
        if matches!(core::mem::replace(&mut update.new, New::None), New::None) {
            continue;
        }
        if update.exchange.ends {
            work.into_iter().for_each(Work::forget);
        }
        variable::note_checksum(update.variable);
        let Some(before) = update.exchange.before else { continue };
        let is_kept = update.flags & TN_REUSE != 0 && returned.keep_value(first_place + index, before);
        if !is_kept {
            variable::end_value(before);
        }
    }
}
