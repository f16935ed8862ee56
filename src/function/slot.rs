//! The function behind a handle of C: its declaration, and the spare buffers.
//!
//! Contract: what was declared never changes. Each running call has a reference, so it may release its own function.

use super::declaration::{At, Code, Declared};
use super::spare::Spares;
use crate::array;
use crate::borrow::HolderInfo;
use crate::counted::{self, Last, Object};
use crate::ledger::Origin;
use crate::names::Name;
use crate::slots::Kind;
use crate::types::*;
use crate::variable::VariableRef;

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

impl Object for Function {
    const KIND: Kind = Kind::Function;
    type Beside = ();
    fn end(last: Last<Function>) {
        let function = last.into_inner();
        let code = function.code;
        drop(function);
        (code.end)(code);
    }
}

/// Calls `visit` with each function whose handle is not released.
pub fn each_open(visit: &mut dyn FnMut(HolderInfo)) {
    counted::each_open(|id, function: &Function| {
        visit(HolderInfo {
            kind: TN_HOLDER_FUNCTION,
            id: id.bits(),
            origin: function.origin,
            name: function.name,
            ..HolderInfo::NONE
        });
    });
}
