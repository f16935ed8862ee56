//! What the body of a function left in the places of outputs and updates.
//!
//! Contract: every array there is the library's from now on, also if the call fails; the drop of [`Places`] releases what was not handed out
//! or stored. After [`Places::settle`] each place has a handle of its own.

use super::declaration::Declared;
use super::input::check_declared;
use super::slot::Function;
use crate::array;
use crate::borrow::{self, List, Use};
use crate::error::{Result, about, fail, recode};
use crate::ledger::{self, Claim, ClaimBody, LedgerState, LockedSlot};
use crate::slots::Id;
use crate::thread;
use crate::types::*;

/// The places of a call: the outputs, and then the updates.
pub struct Places {
    /// The arrays; none in an empty place.
    pub arrays: List<Id>,
    n_out: usize,
}

/// An array that the body left, as it is after the body.
#[derive(Clone, Copy)]
pub struct Left {
    /// Its handle.
    pub array: Id,
    /// The tag of its store.
    pub store: u64,
    /// The device of its bytes.
    pub device: tn_device,
    /// Claims and expressions on its store, without its own and those of other places.
    pub holders: u32,
    /// The bytes were imported.
    pub is_foreign: bool,
    /// A guard or an export through which the bytes can be written is open.
    pub is_open: bool,
    /// Number of axes.
    pub ndim: usize,
}

impl Places {
    /// The places of a function, all empty.
    pub fn create(function: &Function) -> Result<Places> {
        let (n_out, n_update) = (function.outputs.len(), function.updates.len());
        Ok(Places { arrays: borrow::filled(n_out + n_update, Id::NONE)?, n_out })
    }

    /// The places of the outputs, and those of the updates.
    pub fn split(&mut self) -> (&mut [Id], &mut [Id]) {
        self.arrays.split_at_mut(self.n_out)
    }

    /// The number of the place of an update.
    pub fn of_update(&self, update: usize) -> usize {
        self.n_out + update
    }

    /// Takes an array out of its place. The caller owns it.
    pub fn take(&mut self, place: usize) -> Id {
        core::mem::replace(&mut self.arrays[place], Id::NONE)
    }

    /// Whether the body left this handle in a place.
    pub fn have(&self, handle: Id) -> bool {
        self.arrays.contains(&handle)
    }

    /// Gives each place a handle of its own, and checks the arrays. Returns what is in each place.
    pub fn settle(&mut self, function: &Function) -> Result<List<Option<Left>>> {
        for place in 1..self.arrays.len() {
            let array = self.arrays[place];
            if array != Id::NONE && self.arrays[..place].contains(&array) {
                // Until the clone is made, the handle belongs to its first place only.
                self.arrays[place] = Id::NONE;
                self.arrays[place] = named(array::clone(array), function, place)?;
            }
        }
        let mut all = borrow::list(self.arrays.len())?;
        for (place, array) in self.arrays.iter().enumerate() {
            if *array != Id::NONE {
                all.push(Some(named(look(*array, declared(function, place)), function, place)?));
            } else if place < self.n_out {
                return Err(fail(TN_ERR_FAILED, format_args!("the body left NULL in {}", function.at(place))));
            } else {
                all.push(None);
            }
        }
        for place in 0..all.len() {
            let Some(left) = all[place] else { continue };
            let beside = all.iter().flatten().filter(|other| other.store == left.store).count() as u32 - 1;
            if let Some(left) = &mut all[place] {
                left.holders = left.holders.saturating_sub(beside);
            }
        }
        Ok(all)
    }

    /// Releases what is left in the places.
    pub fn end(&mut self) {
        for place in 0..self.arrays.len() {
            let array = self.take(place);
            if array != Id::NONE && !self.have(array) {
                array::release_if_open(array);
            }
        }
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        self.end();
    }
}

fn declared(function: &Function, place: usize) -> Declared {
    match place.checked_sub(function.outputs.len()) {
        None => Declared { device: None, ..function.outputs[place].declared },
        Some(index) => {
            let fixed = function.updates[index].variable.fixed();
            Declared { dtype: Some(fixed.dtype), device: None, ndim: Some(fixed.ndim) }
        }
    }
}

/// What the body did wrong is TN_ERR_FAILED. Missing memory keeps its status.
fn named<T>(outcome: Result<T>, function: &Function, place: usize) -> Result<T> {
    outcome.map_err(|status| {
        let code = match status.code() {
            memory @ (TN_ERR_NO_HOST_MEMORY | TN_ERR_LIMIT) => memory,
            _ => TN_ERR_FAILED,
        };
        about(recode(status, code), format_args!("the body left in {}", function.at(place)))
    })
}

fn look(array: Id, declared: Declared) -> Result<Left> {
    // The fast path: an array that is live and fits, and whose bytes nobody uses.
    if let Some(one) = LockedSlot::<Claim>::live(thread::current(), array)
        && one.body().given == 0
        && declared.fits(&one.body().layout)
        && borrow::is_free(one.body(), one.state(), Use::Read { frozen: false })
    {
        return Ok(Left::new(array, one.tag(), one.body(), one.state(), one.state().claims - 1));
    }
    array::with(array, |locked, claim| {
        array::check_live(locked, claim)?;
        check_declared(locked, claim, &declared, 0)?;
        let holders = borrow::check_left(locked, claim)?;
        let ledger = locked.ledger_of(claim);
        Ok(Left::new(array, ledger.tag(), locked.get(claim), locked.state(ledger), holders))
    })
}

impl Left {
    fn new(array: Id, store: u64, body: &ClaimBody, state: &LedgerState, holders: u32) -> Left {
        Left {
            array,
            store,
            device: state.device,
            holders,
            is_foreign: state.leases > 0 || !state.is_own_memory(),
            is_open: state.writers + state.exports_shared + state.exports_exclusive > 0,
            ndim: body.layout.ndim(),
        }
    }
}

/// Lets the bytes be written through an array that the body made from a handle for reading.
pub fn make_writable(array: Id) {
    if let Ok((mut locked, claim)) = ledger::lock::<Claim>(array)
        && !locked.get(claim).layout.self_overlaps()
    {
        locked.get_mut(claim).readonly = false;
    }
}

/// Prevents writes through an array.
pub fn make_readonly(array: Id) {
    if let Ok((mut locked, claim)) = ledger::lock::<Claim>(array) {
        locked.get_mut(claim).readonly = true;
    }
}
