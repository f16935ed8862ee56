//! The function behind a handle of C: its declaration, the count of references, and the spare buffers.
//!
//! Contract: what was declared never changes. The handle and each running call have a reference. The last one ends the
//! function, under no lock, so a call may release its own function.

use super::declaration::{At, Code, Declared};
use super::spare::Spares;
use crate::array::{self, HOST};
use crate::borrow::HolderInfo;
use crate::error::{Result, Status, fail};
use crate::layout::Form;
use crate::ledger::Origin;
use crate::names::Name;
use crate::slots::{Head, Id, Kind, Slot, State, Table};
use crate::thread;
use crate::types::*;
use crate::variable::VariableRef;
use core::sync::atomic::{AtomicU32, Ordering};
use parking_lot::{MappedRwLockReadGuard, RwLock, RwLockReadGuard};

/// An input.
pub struct Input {
    /// Its name.
    pub name: Name,
    /// TN_BORROW and the like.
    pub flags: u32,
    /// What an argument has to be.
    pub declared: Declared,
    /// Where the bytes come from.
    pub from: From,
}

impl Input {
    /// Whether it has a place among the arguments.
    pub fn is_argument(&self) -> bool {
        matches!(self.from, From::Argument(_))
    }
}

/// Where the bytes of an input come from.
pub enum From {
    /// An argument of the call. The array is the value of one that is missing; none: the argument is required.
    Argument(Option<array::Owned>),
    /// A variable.
    Variable(VariableRef),
}

/// An output.
pub struct Output {
    /// Its name.
    pub name: Name,
    /// TN_BORROW and the like.
    pub flags: u32,
    /// What the array has to be.
    pub declared: Declared,
}

/// An update.
pub struct Update {
    /// The variable.
    pub variable: VariableRef,
    /// 0, TN_MAY_OVERWRITE or TN_REUSE.
    pub flags: u32,
}

/// A function.
pub struct Function {
    /// Its name.
    pub name: Name,
    /// Where it was made.
    pub origin: Origin,
    /// Its body.
    pub code: Code,
    /// The inputs.
    pub inputs: Vec<Input>,
    /// The outputs.
    pub outputs: Vec<Output>,
    /// The updates.
    pub updates: Vec<Update>,
    /// Number of inputs without the implicit ones.
    pub n_arguments: usize,
    /// An input has TN_TAKE_OWNERSHIP.
    pub takes: bool,
    /// The buffers kept for the outputs and then for the updates.
    pub spares: Spares,
}

impl Function {
    /// The inputs, and their names in messages.
    pub fn inputs(&self) -> impl Iterator<Item = (At<'_>, &Input)> {
        self.inputs.iter().enumerate().map(|(index, input)| (At { what: "in", index, name: &input.name }, input))
    }

    /// The inputs that have a place among the arguments, and their names in messages.
    pub fn arguments(&self) -> impl Iterator<Item = (At<'_>, &Input)> {
        self.inputs().filter(|(_, input)| input.is_argument())
    }

    /// Whether an input has the value of a variable.
    pub fn has_implicit(&self) -> bool {
        self.n_arguments < self.inputs.len()
    }

    /// What messages call a place. The outputs come first, and then the updates.
    pub fn at(&self, place: usize) -> At<'_> {
        match place.checked_sub(self.outputs.len()) {
            None => At { what: "out", index: place, name: &self.outputs[place].name },
            Some(index) => At { what: "update", index, name: &self.updates[index].variable.fixed().name },
        }
    }
}

/// A slot; its contents are None while it has no function.
struct FunctionSlot {
    head: Head,
    /// The handle, and each [`FunctionRef`].
    refs: AtomicU32,
    /// Written before the first reference and after the last one, so no call waits for it.
    contents: RwLock<Option<Function>>,
}

impl Slot for FunctionSlot {
    const KIND: Kind = Kind::Function;
    fn new(head: Head) -> FunctionSlot {
        FunctionSlot { head, refs: AtomicU32::new(0), contents: RwLock::new(None) }
    }
    fn head(&self) -> &Head {
        &self.head
    }
}

impl FunctionSlot {
    /// Adds a reference. None: there is no function. It may be another one than the caller's handle names.
    fn add_ref(&'static self) -> Option<FunctionRef> {
        let add = |refs: u32| refs.checked_add(1).filter(|_| refs > 0);
        self.refs.fetch_update(Ordering::Acquire, Ordering::Relaxed, add).ok()?;
        Some(FunctionRef { slot: self })
    }

    fn drop_ref(&'static self) {
        if self.refs.fetch_sub(1, Ordering::AcqRel) == 1 {
            let ended = self.contents.write().take();
            Table::free(thread::current(), self);
            if let Some(function) = ended {
                let code = function.code;
                drop(function);
                (code.end)(code);
            }
        }
    }
}

/// Gives a function its handle.
pub fn publish(function: Function) -> Result<Id> {
    let slot: &'static FunctionSlot = Table::take(thread::current())?;
    *slot.contents.write() = Some(function);
    slot.refs.store(1, Ordering::Release);
    slot.head.set_state(State::Kept);
    Ok(Table::publish(slot))
}

#[cold]
fn stale(id: Id) -> Status {
    fail(TN_ERR_STALE, format_args!("the {} {id} was released already", Kind::Function.name()))
}

/// Ends the caller's handle. TN_ERR_STALE, TN_ERR_KIND.
pub fn release(id: Id) -> Result<()> {
    let slot = Table::<FunctionSlot>::find(id)?;
    if !slot.head.end(id) {
        return Err(stale(id));
    }
    slot.drop_ref();
    Ok(())
}

/// Calls `visit` with each function.
pub fn each(mut visit: impl FnMut(&Function)) {
    Table::<FunctionSlot>::each(|slot| {
        if let Some(reference) = slot.add_ref() {
            visit(&reference.function());
        }
    });
}

/// Calls `visit` with each function whose handle is not released.
pub fn each_open(visit: &mut dyn FnMut(HolderInfo)) {
    Table::<FunctionSlot>::each(|slot| {
        // Without a reference, because the end of the last one would run the release callback here.
        let contents = slot.contents.read();
        let id = slot.id();
        let Some(function) = contents.as_ref().filter(|_| slot.head.is_live(id)) else { return };
        visit(HolderInfo {
            kind: TN_HOLDER_FUNCTION,
            device: HOST,
            id: id.bits(),
            bytes: 0,
            origin: function.origin,
            time_ns: 0,
            name: function.name,
            form: Form::Full,
            ..HolderInfo::NONE
        });
    });
}

/// A reference on a function.
pub struct FunctionRef {
    slot: &'static FunctionSlot,
}

impl FunctionRef {
    /// The function of a handle. TN_ERR_STALE, TN_ERR_KIND.
    pub fn find(id: Id) -> Result<FunctionRef> {
        let slot = Table::<FunctionSlot>::find(id)?;
        // A reference that was added to another function is dropped again.
        slot.add_ref().filter(|_| slot.head.is(id)).ok_or_else(|| stale(id))
    }

    /// The function.
    pub fn function(&self) -> MappedRwLockReadGuard<'_, Function> {
        RwLockReadGuard::map(self.slot.contents.read(), |contents| {
            contents.as_ref().expect("a referenced function has contents")
        })
    }
}

impl Drop for FunctionRef {
    fn drop(&mut self) {
        self.slot.drop_ref();
    }
}
