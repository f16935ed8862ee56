//! Reservations: the variables that a call changes, until its commit.
//!
//! Contract: a call reserves all its variables or none. Until the commit each variable has its old value, except for
//! one that the body writes in place. The drop of a [`Reserved`] undoes everything, and poisons a value that the body
//! may have written in place.

use super::copies::Copies;
use super::slot::Update;
use crate::error::{Result, fail, quietly};
use crate::layout::Order;
use crate::slots::Id;
use crate::types::*;
use crate::variable::{self, Crossing, Exchange, Lent, VariableRef, Work};

/// A variable that a call changes.
pub struct Reserved<'a> {
    /// The variable.
    pub variable: &'a VariableRef,
    /// 0, TN_MAY_OVERWRITE or TN_REUSE.
    pub flags: u32,
    /// The array of the value.
    array: Id,
    /// The tag of the store that has the value.
    pub store: u64,
    /// What the body found in the place, with TN_MAY_OVERWRITE; else none.
    pub offered: Id,
    /// The value is lent to the body.
    pub lent: Option<Lent>,
    /// The body ran. Before that, a write that ends on other bytes of the store is no change of the value.
    pub body_ran: bool,
    /// Why the value was not lent: TN_WHY_ bits.
    pub why: u32,
    /// The tag of the store of the copy that the body found in its place; 0 without one.
    pub copy: u64,
    /// What became of the new value.
    pub how: Crossing,
    /// What becomes of it.
    pub new: New,
    /// The change at the commit.
    pub exchange: Exchange,
    /// Its drop ends the reservation, after that of the fields above.
    pub work: Option<Work<'a>>,
}

/// The new value.
pub enum New {
    /// The variable stays as it is.
    None,
    /// The value was written in place.
    InPlace,
    /// An array that is marked as the variable's, and the tag of its store.
    Array(Id, u64),
}

impl<'a> Reserved<'a> {
    /// Nothing is reserved yet.
    #[inline]
    pub fn new(update: &'a Update) -> Reserved<'a> {
        let (variable, flags) = (&update.variable, update.flags);
        let (array, store, offered, lent, why, new) = (Id::NONE, 0, Id::NONE, None, 0, New::None);
        let (body_ran, copy, how, exchange, work) = (false, 0, Crossing::default(), Exchange::default(), None);
        Reserved { variable, flags, array, store, offered, lent, body_ran, why, copy, how, new, exchange, work }
    }

    /// Reserves the variable. TN_ERR_BORROWED_WRITE if another call changes it, TN_ERR_POISONED.
    pub fn reserve(&mut self) -> Result<()> {
        let (work, (array, store, is_plain)) = self
            .variable
            .begin_with(|value| (value.array, value.store, !value.is_poisoned && value.checksum.is_none()))?;
        (self.work, self.array, self.store) = (Some(work), array, store);
        if !is_plain {
            let present = self.variable.value();
            variable::verify(self.variable, present)?;
            self.variable.check(present)?;
        }
        Ok(())
    }

    /// Prepares what the body finds in the place. With TN_MAY_OVERWRITE that is the value itself, if nobody else holds
    /// it, or a copy.
    pub fn offer(&mut self, copies: &mut Copies) -> Result<Id> {
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
                    self.offered = copies.make(self.array, self.variable.fixed().pool, Order::A, why)?;
                    self.copy = variable::tag_of(self.offered);
                }
            }
        }
        Ok(self.offered)
    }

    /// Whether the value is lent to the body.
    pub fn is_lent(&self) -> bool {
        self.lent.is_some()
    }

    /// The body left NULL.
    pub fn stay(&self) -> Result<New> {
        if self.lent.as_ref().is_some_and(|lent| lent.left().is_changed) {
            return Err(fail(
                TN_ERR_FAILED,
                format_args!("the body wrote the value in place, and left NULL; leave the array in its place"),
            ));
        }
        Ok(New::None)
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
            if self.body_ran && lent.left().is_changed {
                self.variable.poison();
            }
            // Also a handle that the call had taken out of its place.
            lent.end();
        }
    }
}
