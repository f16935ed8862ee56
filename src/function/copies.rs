//! The copies of one call: made at once, and counted when the call has succeeded, because a call that fails has no
//! crossing.
#![forbid(unsafe_code)]

use crate::borrow::List;
use crate::error::Result;
use crate::layout::Order;
use crate::lists;
use crate::pool::Pool;
use crate::slots::Id;
use crate::variable::{self, Copied};
use core::ffi::CStr;

/// The copies that a call has made so far.
pub struct Copies {
    /// The C function, for the copy book.
    caller: &'static CStr,
    made: List<Copied>,
}

impl Copies {
    /// None yet.
    pub fn new(caller: &'static CStr) -> Copies {
        Copies { caller, made: List::new() }
    }

    /// Copies an array to a new one. `why`: TN_WHY_ bits, as for [`variable::copy`].
    pub fn make(&mut self, source: Id, pool: &'static Pool, order: Order, why: u32) -> Result<Id> {
        lists::reserve(&mut self.made, 1)?;
        let (copy, copied) = variable::copy_uncounted(self.caller, source, pool, order, why)?;
        self.made.push(copied);
        Ok(copy)
    }

    /// Counts them.
    pub fn count(self) {
        self.made.iter().for_each(Copied::count);
    }
}
