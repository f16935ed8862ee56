//! Given arrays that move to another device (TR-30).
//!
//! Contract: the elements are copied first, and then the promise is taken, so that a failure leaves it as it was.
//! During the copy a claim of the library's own keeps the bytes. The store records the work that a stream has left, and
//! its end passes that on: the bytes go back to their pool in the order of the stream. An array that lies there already
//! is taken, without a copy.
#![forbid(unsafe_code)]

use super::operand::source_of;
use super::{Destination, new, pool_for};
use crate::array;
use crate::error::{Result, quietly};
use crate::ledger::{self, Promise};
use crate::names::Name;
use crate::pool::Pool;
use crate::promise;
use crate::slots::Id;
use crate::stream::StreamArg;
use crate::types::*;
use core::ffi::CStr;

/// Takes a promise, and moves its array to a device.
pub fn move_to_device(
    function: &'static CStr,
    id: Id,
    device: tn_device,
    pool: Option<&'static Pool>,
    stream: Result<StreamArg>,
) -> Result<Id> {
    ledger::find::<Promise>(id)?;
    let stream = stream?;
    let source = promise::clone(id)?;
    let moved = Place::of(source).and_then(|from| {
        if from.is_there(device, pool)? {
            return if stream.is_null() { Ok(None) } else { stream.on(from.device).map(|_| None) };
        }
        let to = Destination { name: from.name, waits: true, ..Destination::new(device, pool, &stream) };
        new(function, source, &source_of(source)?, &to.page_locked(from.device)).map(Some)
    });
    // Ends the claim. Work that reads the bytes keeps its record in the store.
    quietly(|| array::release_now(source))?;
    let moved = moved?;
    let taken = promise::take_one(id);
    match (moved, taken) {
        (None, taken) => taken,
        (Some(moved), Ok(taken)) => {
            array::release_now(taken)?;
            Ok(moved)
        }
        (Some(moved), Err(status)) => {
            // Another thread took or cancelled the promise meanwhile, or no slot is free.
            let _ = quietly(|| array::release_now(moved));
            Err(status)
        }
    }
}

/// Where a given array lies.
struct Place {
    device: tn_device,
    is_empty: bool,
    /// The pool of its bytes; None: they were imported, or there are none.
    pool: Option<&'static Pool>,
    name: Name,
}

impl Place {
    fn of(id: Id) -> Result<Place> {
        array::with(id, |locked, claim| {
            let (ledger, body) = (locked.ledger_of(claim), locked.get(claim));
            let (device, is_empty) = (locked.state(ledger).device, body.layout.is_empty());
            Ok(Place { device, is_empty, pool: locked.pool(ledger), name: body.name })
        })
    }

    /// Whether nothing has to be copied.
    fn is_there(&self, device: tn_device, pool: Option<&'static Pool>) -> Result<bool> {
        let Some(wanted) = pool else { return Ok(self.device == device) };
        pool_for(device, pool)?;
        Ok(match self.pool {
            Some(own) => core::ptr::eq(own, wanted),
            None => self.is_empty && self.device == wanted.device(),
        })
    }
}
