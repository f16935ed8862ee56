//! Updates: the variables that a call changes, and their new values.
//!
//! Contract: a call reserves all its variables or none. Until the commit each variable has its old value, except for one that the body writes
//! in place. The drop of a [`Reserved`] undoes everything, and poisons a value that was written in place. [`commit`] cannot fail.

use super::declaration::List;
use super::input::{Bytes, Passed};
use super::left::{self, Left, Places};
use super::slot::{Function, Update};
use super::spare::Spares;
use crate::error::{Result, about, drafted, fail, quietly};
use crate::layout::Order;
use crate::options;
use crate::slots::Id;
use crate::types::*;
use crate::variable::{self, Exchange, Lent, Value, VariableRef, Work};
use core::ffi::CStr;

/// A variable that a call changes.
pub struct Reserved<'a> {
    variable: &'a VariableRef,
    flags: u32,
    /// The array of the value.
    array: Id,
    /// The tag of the store that has the value.
    store: u64,
    /// What the body found in the place, with TN_MAY_OVERWRITE; else none.
    pub offered: Id,
    /// The value is lent to the body.
    lent: Option<Lent>,
    /// Why the value was not lent: TN_WHY_ bits.
    why: u32,
    new: New,
    /// Its drop ends the reservation, after that of the fields above.
    work: Option<Work<'a>>,
}

/// The new value.
enum New {
    /// The variable stays as it is.
    None,
    /// The value was written in place.
    InPlace,
    /// An array that is marked as the variable's, and the tag of its store.
    Array(Id, u64),
}

/// Reserves a variable. TN_ERR_BORROWED_WRITE if another call changes it, TN_ERR_POISONED.
pub fn reserve(update: &Update) -> Result<Reserved<'_>> {
    let variable = &update.variable;
    let (work, present) = variable.begin()?;
    variable::verify(variable, present)?;
    let Value { array, store, .. } = variable.check(present)?;
    let (flags, offered, lent, why, new) = (update.flags, Id::NONE, None, 0, New::None);
    Ok(Reserved { variable, flags, array, store, offered, lent, why, new, work: Some(work) })
}

impl Reserved<'_> {
    /// Prepares what the body finds in the place. With TN_MAY_OVERWRITE that is the value itself, if nobody else holds it, or a copy.
    pub fn offer(&mut self, function: &'static CStr) -> Result<Id> {
        if self.flags & TN_MAY_OVERWRITE != 0 {
            match variable::lend_alone(self.array)? {
                Ok(lent) => {
                    self.offered = lent.handle();
                    self.lent = Some(lent);
                    return Ok(self.offered);
                }
                Err(why) => {
                    self.why = why;
                    variable::check_forbidden(why)?;
                    self.offered = variable::copy(function, self.array, self.variable.fixed().pool, Order::A, why)?;
                }
            }
        }
        Ok(self.offered)
    }

    /// Whether the value is lent to the body.
    pub fn is_lent(&self) -> bool {
        self.lent.is_some()
    }

    /// Whether it is this variable, and its value is lent.
    pub fn lends(&self, variable: &VariableRef) -> bool {
        self.lent.is_some() && self.variable.id() == variable.id()
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        if let New::Array(array, _) = core::mem::replace(&mut self.new, New::None) {
            quietly(|| variable::end_value(array));
        }
        if let Some(lent) = self.lent.take() {
            if lent.left().is_changed {
                self.variable.poison();
            }
            // Also a handle that the call had taken out of its place.
            lent.end();
        }
    }
}

/// What all updates of a call need to know about each other.
pub struct Stores<'a, 'b> {
    /// The variables.
    pub updates: &'a mut [Reserved<'b>],
    /// The stores that are new values.
    pub taken: List<u64>,
}

impl Stores<'_, '_> {
    /// The update whose variable had its value on that store when the call began.
    pub fn of(&self, store: u64) -> Option<usize> {
        self.updates.iter().position(|update| update.store == store)
    }
}

/// Whether a variable gets a value on another store, so that its present one is free.
pub fn lets_go(update: &Reserved<'_>, left: Option<Left>) -> bool {
    left.is_some_and(|left| left.store != update.store)
}

/// Decides what becomes the new value of each variable, and makes the copies that are needed.
pub fn decide(
    function: &'static CStr,
    of: &Function,
    places: &mut Places,
    all: &[Option<Left>],
    inputs: &[Passed],
    stores: &mut Stores<'_, '_>,
) -> Result<()> {
    for index in 0..stores.updates.len() {
        let place = places.of_update(index);
        let new = match all[place] {
            None => nothing(&stores.updates[index]),
            Some(_) => value(function, place, places, all, inputs, stores, index),
        };
        stores.updates[index].new = new.map_err(|status| about(status, left::at(of, place)))?;
    }
    Ok(())
}

/// The body left NULL.
fn nothing(update: &Reserved<'_>) -> Result<New> {
    if update.lent.as_ref().is_some_and(|lent| lent.left().is_changed) {
        return Err(fail(
            TN_ERR_FAILED,
            format_args!("the body wrote the value in place, and left NULL; leave the array in its place"),
        ));
    }
    Ok(New::None)
}

fn value(
    function: &'static CStr,
    place: usize,
    places: &mut Places,
    all: &[Option<Left>],
    inputs: &[Passed],
    stores: &mut Stores<'_, '_>,
    index: usize,
) -> Result<New> {
    let left = all[place].expect("the caller has looked");
    let update = &stores.updates[index];
    let (variable, store) = (update.variable, left.store);
    let why = if store == update.store && update.lent.is_some() {
        let kept = if left.is_open {
            Err(TN_WHY_EXPORTED)
        } else if left.array == update.offered {
            Ok(New::InPlace)
        } else {
            variable::mark_left(variable, left.array)?.map(|array| New::Array(array, store))
        };
        match kept {
            Ok(new) => {
                stores.taken.push(store);
                places.take(place);
                return Ok(new);
            }
            Err(why) => why,
        }
    } else {
        let from = match stores.of(store) {
            _ if stores.taken.contains(&store) => None,
            Some(own) if own == index => Some(Id::NONE),
            Some(other) if lets_go(&stores.updates[other], all[places.of_update(other)]) => {
                Some(stores.updates[other].variable.id())
            }
            Some(_) => None,
            None if inputs.iter().any(|input| keeps_bytes(input, store)) => None,
            None => Some(Id::NONE),
        };
        match from {
            None => TN_WHY_SHARED,
            Some(from) => {
                if stores.of(store).is_some() || inputs.iter().any(|input| input.store == store) {
                    left::make_writable(left.array);
                }
                match adopt(variable, left.array, from)? {
                    Ok(array) => {
                        stores.taken.push(store);
                        places.take(place);
                        return Ok(New::Array(array, store));
                    }
                    Err(why) => why,
                }
            }
        }
    };
    variable::check_forbidden(why)?;
    let copy = variable::copy(function, left.array, variable.fixed().pool, Order::C, why)?;
    variable::mark(variable, copy)?;
    Ok(New::Array(copy, variable::tag_of(copy)))
}

/// Whether an input has the bytes of somebody who goes on to use them.
fn keeps_bytes(input: &Passed, store: u64) -> bool {
    let keeps = match input.bytes {
        Bytes::Copy => false,
        Bytes::Argument => input.flags & TN_TAKE == 0,
        Bytes::Default | Bytes::Variable => true,
    };
    keeps && input.store == store
}

/// [`variable::adopt_left`], where a refusal is the body's mistake.
fn adopt(variable: &VariableRef, array: Id, from: Id) -> Result<core::result::Result<Id, u32>> {
    variable::adopt_left(variable, array, from).map_err(|status| {
        let text = drafted();
        let _ = status;
        fail(TN_ERR_FAILED, format_args!("{}", text.as_str()))
    })
}

/// Makes all new values those of their variables, at once. `exchanges` has room for all. Cannot fail.
pub fn commit<'b>(
    updates: &mut [Reserved<'b>],
    exchanges: &mut List<Exchange<'b>>,
    spares: &Spares,
    first_place: usize,
) {
    for update in updates.iter() {
        let array = match update.new {
            New::None => continue,
            New::InPlace => None,
            New::Array(array, store) => Some((array, store)),
        };
        // A checksum is noted at the end, and a value that is lent ends being so.
        let ends = update.lent.is_none() && !options::check_managed();
        let detached = update.why & variable::BY_HOLDER != 0;
        exchanges.push(Exchange { variable: update.variable, array, ends, detached, before: None });
    }
    variable::exchange_all(exchanges);
    // All before the first reservation ends, because a value that was lent may have become that of another variable.
    for update in updates.iter_mut() {
        match (update.lent.take(), &update.new) {
            (None, _) => {}
            (Some(lent), New::InPlace) => lent.end_in_place(),
            (Some(lent), _) => _ = lent.keep_handle(),
        }
    }
    let mut exchanges = exchanges.iter();
    for (index, update) in updates.iter_mut().enumerate() {
        // Its drop ends the reservation of the variable.
        let work = update.work.take();
        let new = core::mem::replace(&mut update.new, New::None);
        if matches!(new, New::None) {
            continue;
        }
        let exchange = exchanges.next().expect("one for each change");
        if exchange.ends {
            work.into_iter().for_each(Work::forget);
        }
        variable::note_checksum(update.variable);
        let Some(before) = exchange.before else { continue };
        let is_kept = update.flags & TN_REUSE != 0 && spares.keep_value(first_place + index, before);
        if !is_kept {
            variable::end_value(before);
        }
    }
}
