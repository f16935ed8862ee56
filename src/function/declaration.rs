//! What a function declares, and how messages name its parts.

use crate::dtype::Dtype;
use crate::layout::Layout;
use crate::names::Name;
use crate::slots::Id;
use crate::types::*;
use core::fmt;

/// The program's code. Only `run` and `end` use the pointers.
#[derive(Clone, Copy)]
pub struct Code {
    /// Runs the body on the handles of arrays, or of expressions.
    pub run: fn(Code, &[Id], &mut [Id], &mut [Id]) -> tn_status,
    /// Runs the release callback.
    pub end: fn(Code),
    /// The body on arrays.
    pub body: tn_function_body,
    /// The body on expressions.
    pub expr_body: tn_function_expr_body,
    /// The address that is passed to both.
    pub context: usize,
    /// The release callback.
    pub release: tn_release_callback,
}

/// What an array that crosses has to be.
#[derive(Clone, Copy)]
pub struct Declared {
    /// None: any.
    pub dtype: Option<Dtype>,
    /// None: where it is.
    pub device: Option<tn_device>,
    /// None: any.
    pub ndim: Option<usize>,
}

impl Declared {
    /// Whether element type and number of axes are as declared.
    pub fn fits(&self, layout: &Layout) -> bool {
        self.dtype.is_none_or(|dtype| dtype == layout.dtype()) && self.ndim.is_none_or(|ndim| ndim == layout.ndim())
    }
}

/// An input.
pub struct InputSpec {
    /// Its name.
    pub name: Name,
    /// TN_BORROW and the like.
    pub flags: u32,
    /// What an argument has to be.
    pub declared: Declared,
    /// The array of the default value, or none.
    pub default: Id,
    /// The variable of an implicit input, or none.
    pub variable: Id,
}

/// An output.
pub struct OutputSpec {
    /// Its name.
    pub name: Name,
    /// TN_BORROW and the like.
    pub flags: u32,
    /// What the array has to be.
    pub declared: Declared,
}

/// An update.
pub struct UpdateSpec {
    /// The variable.
    pub variable: Id,
    /// 0, TN_MAY_OVERWRITE or TN_REUSE.
    pub flags: u32,
}

/// The description of a function.
pub struct Description {
    /// Its name.
    pub name: Name,
    /// Its body.
    pub code: Code,
    /// The inputs.
    pub inputs: Vec<InputSpec>,
    /// The outputs.
    pub outputs: Vec<OutputSpec>,
    /// The updates.
    pub updates: Vec<UpdateSpec>,
}

impl Description {
    /// The inputs, and their names in messages.
    pub fn inputs(&self) -> impl Iterator<Item = (At<'_>, &InputSpec)> {
        self.inputs.iter().enumerate().map(|(index, spec)| (At { what: "in", index, name: &spec.name }, spec))
    }

    /// The outputs, and their names in messages.
    pub fn outputs(&self) -> impl Iterator<Item = (At<'_>, &OutputSpec)> {
        self.outputs.iter().enumerate().map(|(index, spec)| (At { what: "out", index, name: &spec.name }, spec))
    }

    /// The updates, and their names in messages.
    pub fn updates(&self) -> impl Iterator<Item = (At<'_>, &UpdateSpec)> {
        self.updates.iter().enumerate().map(|(index, spec)| (At { what: "update", index, name: &Name::NONE }, spec))
    }
}

/// What a call that succeeded hands out, item by item.
pub enum HandedOut {
    /// The index of an input, the index of its argument if it has one, and what became of it.
    Input(usize, Option<usize>, tn_crossing),
    /// The index of an update, and what became of the new value.
    Update(usize, tn_crossing),
    /// The index of an output that the caller takes, the array, and what became of the one that the body left.
    Output(usize, Id, tn_crossing),
}

/// `in[2] "x"`: an input, output or update in a message.
#[derive(Clone, Copy)]
pub struct At<'a> {
    /// "in", "out" or "update".
    pub what: &'static str,
    /// Its index.
    pub index: usize,
    /// Its name, or none.
    pub name: &'a Name,
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.what, self.index)?;
        if self.name.is_none() { Ok(()) } else { write!(f, " \"{}\"", self.name.as_str()) }
    }
}
