//! What the body of a function left in the places of outputs and updates.
//!
//! Contract: every array there is the library's from now on, also if the call fails; the drop of [`Places`] releases
//! what was not handed out or stored. After [`Places::collect`] each place has a handle of its own.

use super::declaration::Declared;
use super::input::{PassedInput, check_declared};
use super::reserved::{New, Reserved};
use super::slot::Function;
use super::spare;
use crate::array;
use crate::borrow::{self, List, Use};
use crate::error::{Result, about, fail, quietly, recode};
use crate::ledger::{self, Claim, ClaimBody, LedgerState, LockedSlot};
use crate::lists;
use crate::slots::Id;
use crate::thread::Thread;
use crate::types::*;

/// The places of a call: the outputs, and then the updates.
pub struct Places {
    /// The arrays; none in an empty place.
    pub arrays: List<Id>,
    n_out: usize,
    /// The calling thread.
    pub thread: &'static Thread,
}

/// An array that the body left, as it is after the body.
#[derive(Clone, Copy)]
pub struct Produced {
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
    /// An input, an updated variable or an earlier place may have the store too.
    pub is_known: bool,
    /// Number of axes.
    pub ndim: u8,
    /// The function's claim on the buffer, for later calls, if it has one already.
    pub kept: Option<&'static Claim>,
}

/// What is in each place. Its drop ends the claims of the function.
#[derive(Default)]
pub struct AllProduced(List<Option<Produced>>);

impl Places {
    /// No places yet; see [`Places::fill`].
    pub fn new(thread: &'static Thread, function: &Function) -> Places {
        Places { arrays: List::new(), n_out: function.outputs.len(), thread }
    }

    /// Makes the places of the function, all empty.
    pub fn fill(&mut self, function: &Function) -> Result<()> {
        borrow::fill(&mut self.arrays, self.n_out + function.updates.len(), Id::NONE)
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

    /// Gives each place a handle of its own, and checks the arrays. `all`, which has room, receives what is in each
    /// place.
    ///
    /// Two things are done under the lock of the check, where nothing prevents them. An update's array that nothing
    /// else in the call has becomes the new value. The buffer of an output with TN_REUSE that the caller wants gets a
    /// claim of the function.
    pub fn collect(
        &mut self,
        function: &Function,
        n_wanted: usize,
        inputs: &[PassedInput],
        updates: &mut [Reserved<'_>],
        AllProduced(all): &mut AllProduced,
    ) -> Result<()> {
        for place in 1..self.arrays.len() {
            let array = self.arrays[place];
            if array != Id::NONE && self.arrays[..place].contains(&array) {
                // Until the clone is made, the handle belongs to its first place only.
                self.arrays[place] = Id::NONE;
                self.arrays[place] = named(array::clone(array), function, place)?;
            }
        }
        for (place, array) in self.arrays.iter_mut().enumerate() {
            let index = place.checked_sub(self.n_out);
            if *array == Id::NONE {
                if index.is_none() {
                    return Err(fail(TN_ERR_FAILED, format_args!("the body left NULL in {}", function.at(place))));
                }
                all.push(None);
                continue;
            }
            let Some(mut one) = inspect_fast(self.thread, *array, function, place) else {
                all.push(Some(named(inspect_slow(*array, declared(function, place)), function, place)?));
                continue;
            };
            let store = one.tag();
            let has = |other: u64| other == store;
            let is_known = inputs.iter().any(|input| has(input.store))
                || updates.iter().any(|update| has(update.store))
                || all.iter().flatten().any(|other| has(other.store));
            all.push(Some(Produced::new(*array, store, one.body(), one.state(), one.state().claims - 1)));
            let produced = all.last_mut().and_then(Option::as_mut).expect("pushed");
            produced.is_known = is_known;
            if is_known {
                continue;
            }
            match index {
                None if place < n_wanted && function.outputs[place].flags & TN_REUSE != 0 => {
                    produced.kept = one.add_resting_spare();
                }
                None => {}
                Some(index) => {
                    let fixed = updates[index].variable.fixed();
                    if borrow::may_adopt(one.body(), one.state(), fixed.device) {
                        let value = one.become_variable(updates[index].variable.id(), fixed.name);
                        updates[index].new = New::Array(value, store);
                        *array = Id::NONE;
                    }
                }
            }
        }
        // The arrays of other places on a store are no holders.
        for place in 1..all.len() {
            let (before, at) = all.split_at_mut(place);
            let Some(produced) = &mut at[0] else { continue };
            for other in before.iter_mut().flatten().filter(|other| other.store == produced.store) {
                other.holders = other.holders.saturating_sub(1);
                produced.holders = produced.holders.saturating_sub(1);
            }
        }
        Ok(())
    }

    /// Releases what is left in the places.
    pub fn end(&mut self) {
        while let Some(array) = self.arrays.pop() {
            if array != Id::NONE && !self.have(array) {
                array::release_if_open(array);
            }
        }
    }
}

impl AllProduced {
    /// Makes room for `n` places.
    pub fn reserve(&mut self, n: usize) -> Result<()> {
        lists::reserve(&mut self.0, n)
    }
}

impl core::ops::Deref for AllProduced {
    type Target = [Option<Produced>];
    fn deref(&self) -> &[Option<Produced>] {
        &self.0
    }
}

impl core::ops::DerefMut for AllProduced {
    fn deref_mut(&mut self) -> &mut [Option<Produced>] {
        &mut self.0
    }
}

impl Drop for AllProduced {
    fn drop(&mut self) {
        for produced in self.0.iter_mut().flatten() {
            if let Some(kept) = produced.kept.take() {
                quietly(|| spare::end(kept));
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

/// The fast path of [`inspect_slow`]: an array that is live and fits, and whose bytes nobody uses. Its store stays locked.
#[inline]
fn inspect_fast(thread: &'static Thread, array: Id, function: &Function, place: usize) -> Option<LockedSlot<Claim>> {
    let one = LockedSlot::<Claim>::live(thread, array)?;
    let (body, state) = (one.body(), one.state());
    let layout = &body.layout;
    let fits = match place.checked_sub(function.outputs.len()) {
        None => function.outputs[place].declared.fits(layout),
        Some(index) => {
            let fixed = function.updates[index].variable.fixed();
            fixed.dtype == layout.dtype() && fixed.ndim == layout.ndim()
        }
    };
    let may_begin = body.given == 0 && borrow::may_begin(body, state, Use::Read { frozen: false });
    (fits && may_begin).then_some(one)
}

#[cold]
fn inspect_slow(array: Id, declared: Declared) -> Result<Produced> {
    array::with(array, |locked, claim| {
        array::check_live(locked, claim)?;
        check_declared(locked, claim, &declared, 0)?;
        let holders = borrow::check_left(locked, claim)?;
        let ledger = locked.ledger_of(claim);
        Ok(Produced::new(array, ledger.tag(), locked.get(claim), locked.state(ledger), holders))
    })
}

impl Produced {
    #[inline]
    fn new(array: Id, store: u64, body: &ClaimBody, state: &LedgerState, holders: u32) -> Produced {
        Produced {
            array,
            store,
            device: state.device,
            holders,
            is_foreign: state.leases > 0 || !state.is_own_memory(),
            is_open: state.writers + state.exports_shared + state.exports_exclusive > 0,
            is_known: true,
            ndim: body.layout.ndim() as u8,
            kept: None,
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
