//! The variable behind a handle of C: what stays the same, and its value.
//!
//! Contract: the lock is held for a few instructions, and no call into the ledger is made under it. A reader therefore
//! copies the value's handle and uses it unlocked. If the value was replaced meanwhile, the handle is stale, and the
//! reader tries again.

use super::lent::Update;
use crate::array;
use crate::counted::{self, Counted, Last, Object, Ref};
use crate::dtype::Dtype;
use crate::error::{Result, Status, fail};
use crate::ledger::{self, Claim};
use crate::names::Name;
use crate::pool::Pool;
use crate::slots::{Id, Kind, Slot, Table};
use crate::thread::{self, QuickLock};
use crate::types::*;

/// What stays the same during the life of a variable.
#[derive(Clone, Copy)]
pub struct Fixed {
    /// The device that keeps the value.
    pub device: tn_device,
    /// The device of the value at creation.
    pub home: tn_device,
    /// Element type.
    pub dtype: Dtype,
    /// Number of axes.
    pub ndim: usize,
    /// The pool for copies of values. The variable has a reference on it.
    pub pool: &'static Pool,
    /// The name.
    pub name: Name,
}

/// The value.
#[derive(Clone, Copy, Default)]
pub struct Value {
    /// The array; none before the first value.
    pub array: Id,
    /// The tag of its store.
    pub store: u64,
    /// Number of the value, from 1.
    pub version: u64,
    /// Number of values that took another buffer because of a holder.
    pub detach_count: u64,
    /// An update in place failed.
    pub is_poisoned: bool,
    /// The checksum of its bytes, with the option check_managed.
    pub checksum: Option<u64>,
}

/// What changes during the life of a variable.
#[derive(Default)]
pub struct Contents {
    value: Value,
    /// The number of forks when a call began to change the value; None: no call does. A call of the parent does not go
    /// on in a child.
    busy: Option<u32>,
    /// The update that is in progress.
    update: Option<Update>,
}

impl Object for Fixed {
    const KIND: Kind = Kind::Variable;
    type Beside = QuickLock<Contents>;
    fn end(variable: Last<Fixed>) {
        let contents = core::mem::take(&mut *variable.beside().lock());
        abandon(contents.update, contents.value.array);
        end_value(contents.value.array);
        variable.pool.drop_ref();
    }
}

/// Ends the caller's handle. TN_ERR_STALE, TN_ERR_KIND.
pub fn release(id: Id) -> Result<()> {
    counted::release::<Fixed>(id)
}

/// The fast path of another handle on a value's bytes, without a reference on the variable. If the variable or its
/// value ends meanwhile, the array is stale. None: only the slow path knows why.
pub fn clone_value_fast(id: Id) -> Option<Id> {
    let slot = Table::<Counted<Fixed>>::guess(id)?;
    let contents = slot.beside().lock();
    // The end of the variable takes the value under the lock, after the release of the handle.
    let value = slot.head().is(id).then_some(contents.value)?;
    drop(contents);
    if value.is_poisoned { None } else { array::clone(value.array).ok() }
}

/// A reference on a variable.
pub struct VariableRef {
    variable: Ref<Fixed>,
    id: Id,
}

impl VariableRef {
    /// A new variable without a value. [`VariableRef::publish`] gives it a handle.
    pub fn create(fixed: Fixed) -> Result<VariableRef> {
        let pool = fixed.pool;
        pool.keep()?;
        let variable = Ref::create(fixed).inspect_err(|_| pool.drop_ref())?;
        Ok(VariableRef { id: variable.id(), variable })
    }

    /// The variable of a handle. TN_ERR_STALE, TN_ERR_KIND.
    pub fn find(id: Id) -> Result<VariableRef> {
        Ok(VariableRef { variable: Ref::find(id)?, id })
    }

    /// Runs `work` on the contents, under the lock.
    fn with<R>(&self, work: impl FnOnce(&mut Contents) -> R) -> R {
        work(&mut self.variable.beside().lock())
    }

    /// Gives a new variable its handle, which the caller owns.
    pub fn publish(&self) -> Id {
        self.variable.publish()
    }

    /// The bits of the handle.
    pub fn id(&self) -> Id {
        self.id
    }

    /// What stays the same.
    pub fn fixed(&self) -> &Fixed {
        &self.variable
    }

    /// The value now.
    pub fn value(&self) -> Value {
        self.with(|contents| contents.value)
    }

    /// The value now; TN_ERR_POISONED if an update in place failed.
    pub fn check_value(&self) -> Result<Value> {
        self.check(self.value())
    }

    /// TN_ERR_POISONED if an update in place failed.
    pub fn check(&self, value: Value) -> Result<Value> {
        if !value.is_poisoned {
            return Ok(value);
        }
        Err(fail(
            TN_ERR_POISONED,
            format_args!(
                "{} was left undefined by an update in place that failed; set a new value",
                Named(self.fixed())
            ),
        ))
    }

    /// Runs `work` on the value. If its array was replaced before `work` found it, `work` runs again.
    pub fn with_value<R>(&self, mut work: impl FnMut(Value) -> Result<R>) -> Result<R> {
        loop {
            let value = self.value();
            match work(value) {
                Err(status) if status.code() == TN_ERR_STALE && self.value().array != value.array => {}
                outcome => return outcome,
            }
        }
    }

    /// Another handle on the value's bytes. TN_ERR_BORROWED_WRITE while a call writes them.
    pub fn clone_value(&self) -> Result<Id> {
        loop {
            if let Some(clone) = self.clone_array(self.check_value()?.array)? {
                return Ok(clone);
            }
        }
    }

    /// Another handle on the bytes of an array that is or was the value. None: the value was replaced meanwhile.
    fn clone_array(&self, value: Id) -> Result<Option<Id>> {
        self.check_value()?;
        match array::clone(value) {
            Ok(clone) => Ok(Some(clone)),
            Err(_) if self.value().array != value => Ok(None),
            // The value rests: a call writes it through another handle.
            Err(status) if status.code() == TN_ERR_GIVEN => {
                self.poison_if_abandoned();
                self.check_value().and_then(|_| Err(self.busy()))
            }
            Err(status) => Err(status),
        }
    }

    /// TN_ERR_ALIASED: the bytes were changed by somebody whom the library does not see.
    #[cold]
    pub fn changed(&self) -> Status {
        fail(
            TN_ERR_ALIASED,
            format_args!(
                "the bytes of {} were changed from outside, through a raw pointer to memory that it borrows; the next call accepts them",
                Named(self.fixed())
            ),
        )
    }

    #[cold]
    fn busy(&self) -> Status {
        fail(
            TN_ERR_BORROWED_WRITE,
            format_args!("{} is being changed by another call; try again when that call is done", Named(self.fixed())),
        )
    }

    /// Begins to change the value, and returns the present one. TN_ERR_BORROWED_WRITE if another call changes it.
    pub fn begin(&self) -> Result<(Work<'_>, Value)> {
        self.begin_with(|value| *value)
    }

    /// As [`VariableRef::begin`], but returns what `see` takes from the present value.
    #[inline]
    pub fn begin_with<R>(&self, mut see: impl FnMut(&Value) -> R) -> Result<(Work<'_>, R)> {
        let now = thread::forks();
        loop {
            let busy = self.with(|contents| match contents.busy {
                None => {
                    contents.busy = Some(now);
                    Ok(see(&contents.value))
                }
                Some(forks) => Err(forks),
            });
            match busy {
                Ok(seen) => return Ok((Work(self), seen)),
                Err(forks) if forks == now => return Err(self.busy()),
                Err(_) => self.poison_if_abandoned(),
            }
        }
    }

    /// Continues the update that is in progress, to end it. TN_ERR_INVALID: there is none, or only a callback's return
    /// ends it.
    pub fn resume(&self, by_callback: bool) -> Result<(Work<'_>, Update)> {
        self.poison_if_abandoned();
        let update = self.with(|contents| contents.update.take_if(|update| update.by_callback == by_callback));
        let update = update.ok_or_else(|| {
            fail(TN_ERR_INVALID, format_args!("no update of {} was begun; begin one first", Named(self.fixed())))
        })?;
        Ok((Work(self), update))
    }

    /// In the child of a fork: if a thread of the parent was writing the value in place, the value is undefined.
    fn poison_if_abandoned(&self) {
        let now = thread::forks();
        let abandoned = self.with(|contents| {
            let is_abandoned = contents.busy.is_some_and(|forks| forks != now);
            if is_abandoned {
                contents.busy = None;
            }
            is_abandoned.then(|| (contents.update.take(), contents.value.array))
        });
        let Some((update, array)) = abandoned else { return };
        if rests(array) {
            self.poison();
        }
        abandon(update, array);
    }

    /// Makes an array the value, and ends the array of the value before. None: the value was written into the bytes
    /// that it had. `detached`: a holder of those made the library take another buffer.
    pub fn commit(&self, array: Option<Id>, detached: bool) {
        let array = array.map(|array| (array, tag_of(array)));
        if let Some(before) = self.exchange(array, detached, false) {
            end_value(before);
        }
    }

    /// As [`VariableRef::commit`], but returns the array of the value before, which the caller ends. The array comes
    /// with the tag of its store. `ends`: the call that changes the value does no more with it.
    fn exchange(&self, array: Option<(Id, u64)>, detached: bool, ends: bool) -> Option<Id> {
        self.with(|contents| {
            if ends {
                contents.busy = None;
            }
            let value = &mut contents.value;
            value.version += 1;
            value.is_poisoned = false;
            value.checksum = None;
            let (array, store) = array?;
            value.detach_count += u64::from(detached);
            value.store = store;
            Some(core::mem::replace(&mut value.array, array))
        })
    }

    /// Stores the checksum of the value; None: it is unknown.
    pub fn set_checksum(&self, checksum: Option<u64>) {
        self.with(|contents| contents.value.checksum = checksum);
    }

    /// Marks the value as undefined.
    pub fn poison(&self) {
        self.with(|contents| {
            contents.value.is_poisoned = true;
            contents.value.checksum = None;
        });
    }
}

/// Whether the array of a value rests. A set that a fork interrupted leaves it so for ever in the child.
pub(super) fn rests(array: Id) -> bool {
    array::snapshot(array).is_err_and(|status| status.code() == TN_ERR_GIVEN)
}

/// A new value of a variable.
#[derive(Default)]
pub struct Exchange {
    /// The array of the new value, and the tag of its store; None: the value was written into the bytes that it had.
    pub array: Option<(Id, u64)>,
    /// The call does no more with the variable: its [`Work`] is ended here, and the caller forgets it.
    pub ends: bool,
    /// A holder of the bytes made the library take others.
    pub detached: bool,
    /// Afterwards: the array of the value before, which the caller ends with [`end_value`].
    pub before: Option<Id>,
}

/// Held while the values of several variables are exchanged or looked up, so that a reader sees either all exchanges of
/// a call or none.
static SEVERAL: QuickLock<()> = QuickLock::new(());

/// Exchanges the values of variables, which the call is changing, at once. `several`: there may be more than one.
/// Cannot fail.
pub fn exchange_all<'a>(several: bool, exchanges: impl Iterator<Item = (&'a VariableRef, &'a mut Exchange)>) {
    let _together = several.then(|| SEVERAL.lock());
    for (variable, exchange) in exchanges {
        exchange.before = variable.exchange(exchange.array, exchange.detached, exchange.ends);
    }
}

/// Other handles on the values of several variables, all of one time, and the versions of those. A failure releases
/// what it made, and comes with the position of its variable.
pub fn clone_values(variables: &[&VariableRef], clones: &mut [(Id, u64)]) -> core::result::Result<(), (usize, Status)> {
    if let ([variable], [(handle, _)]) = (variables, &mut *clones) {
        *handle = variable.clone_value().map_err(|status| (0, status))?;
        return Ok(());
    }
    loop {
        let together = SEVERAL.lock();
        for (variable, clone) in variables.iter().zip(&mut *clones) {
            let value = variable.value();
            *clone = (value.array, value.version);
        }
        drop(together);
        let (made, outcome) = clone_all(variables, clones);
        if matches!(outcome, Ok(true)) {
            // A value that was changed in place still has the array of before.
            let _together = SEVERAL.lock();
            if variables.iter().zip(&*clones).all(|(variable, (_, version))| variable.value().version == *version) {
                return Ok(());
            }
        }
        clones[..made].iter().for_each(|(handle, _)| array::release_if_open(*handle));
        outcome.map_err(|status| (made, status))?;
    }
}

/// Replaces the arrays of values by clones. Returns how many it made, and whether none of the values was replaced
/// meanwhile.
fn clone_all(variables: &[&VariableRef], clones: &mut [(Id, u64)]) -> (usize, Result<bool>) {
    for (made, (variable, (handle, _))) in variables.iter().zip(clones).enumerate() {
        match variable.clone_array(*handle) {
            Ok(Some(clone)) => *handle = clone,
            Ok(None) => return (made, Ok(false)),
            Err(status) => return (made, Err(status)),
        }
    }
    (variables.len(), Ok(true))
}

/// The tag of the store of an array that the library owns.
pub fn tag_of(array: Id) -> u64 {
    ledger::lock::<Claim>(array).map_or(0, |(locked, claim)| locked.ledger_of(claim).tag())
}

/// Ends the array of a value, if there is one. Its store is constant no longer.
pub fn end_value(array: Id) {
    if array == Id::NONE {
        return;
    }
    if let Ok((mut locked, claim)) = ledger::lock::<Claim>(array) {
        locked.end_variable(claim);
        locked.release(claim);
    }
}

/// Ends an update that nobody will end. A copy is released.
fn abandon(update: Option<Update>, value: Id) {
    let Some(Update { lent, .. }) = update else { return };
    let array = lent.array();
    lent.end();
    if array != value {
        let _ = array::release_now(array);
    }
}

/// A call that is changing the value; its drop ends that.
pub struct Work<'a>(&'a VariableRef);

impl Work<'_> {
    /// Forgets a change that [`exchange_all`] ended.
    pub fn forget(self) {
        core::mem::forget(self);
    }

    /// Lets the change go on after this call, until [`VariableRef::resume`].
    pub fn suspend(self, update: Update) {
        let before = self.0.with(|contents| contents.update.replace(update));
        debug_assert!(before.is_none(), "one change at a time");
        core::mem::forget(self);
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.0.with(|contents| contents.busy = None);
    }
}

/// `the shared variable "w"`, or `the shared variable`.
struct Named<'a>(&'a Fixed);

impl core::fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the shared variable")?;
        if self.0.name.is_none() { Ok(()) } else { write!(f, " \"{}\"", self.0.name.as_str()) }
    }
}
