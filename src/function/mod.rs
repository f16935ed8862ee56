//! Functions: code of the program with declared inputs, outputs and updates of shared variables.
//!
//! Contract: the body gets arrays, and leaves arrays. For each of them the library decides whether the bytes cross or a
//! copy. All updates of a call become visible together; a call that fails changes nothing, except bytes that the body
//! was given to write. Several calls of one function may run at once, unless they update a variable. Any thread may
//! call.
//!
//! | file | contents |
//! |---|---|
//! | `mod` | the creation of a function |
//! | `declaration` | what a function declares |
//! | `slot` | the function behind a handle, and references on it |
//! | `call` | a call, step by step |
//! | `copies` | the copies of a call, for the copy book |
//! | `input` | how arguments, default values and values of variables reach the body |
//! | `body` | runs the body, on arrays or on expressions |
//! | `reserved` | the variables that a call changes |
//! | `places` | what the body left |
//! | `outcome` | what a call has between its body and its commit |
//! | `update` | the new values of variables, and their commit |
//! | `output` | what the caller gets |
//! | `spare` | buffers kept for later calls |
#![forbid(unsafe_code)]

mod body;

mod call;

mod copies;

mod declaration;

mod input;

mod places;

mod outcome;

mod output;

mod reserved;

mod slot;

mod spare;

mod update;

pub use call::call;
pub use declaration::{Code, Declared, Description, HandedOut, InputSpec, OutputSpec, UpdateSpec};
pub use slot::each_open;

use crate::array;
use crate::borrow;
use crate::counted::{self, Ref};
use crate::error::{FirstError, Result, about, fail};
use crate::flags;
use crate::layout::Order;
use crate::ledger::{self, Claim, Locked, Origin};
use crate::lists;
use crate::pool::{self, Pool};
use crate::reclaim;
use crate::slots::Id;
use crate::thread;
use crate::types::*;
use crate::variable::{self, Copied, VariableRef};
use core::ffi::CStr;
use declaration::At;
use slot::{From, Function, Input, Output, Update};
use spare::Spares;

/// The flags of inputs.
const IN: u32 = TN_BORROW | TN_REQUIRE_BORROW | TN_RAW | TN_MAY_OVERWRITE | TN_TAKE_OWNERSHIP | TN_STRICT;
/// The flags of outputs.
const OUT: u32 = TN_BORROW | TN_REQUIRE_BORROW | TN_RAW | TN_REUSE;
/// The flags of updates.
const UPDATE: u32 = TN_MAY_OVERWRITE | TN_REUSE;

/// Creates a function.
pub fn create(caller: &'static CStr, description: Description) -> Result<Id> {
    let variables = find_all(&description)?;
    let (implicit, updated) = variables.split_at(variables.len() - description.updates.len());
    check_flags(&description)?;
    check_implicit(&description, implicit)?;
    check_updated_once(updated)?;
    check_defaults(&description)?;
    check_devices(&description)?;
    let mut variables = variables.into_iter();
    let mut inputs: Vec<Input> = lists::vector(description.inputs.len(), "items")?;
    let mut copied: borrow::List<Copied> = lists::list(description.inputs.len())?;
    for (at, spec) in description.inputs() {
        let from = match spec.variable {
            Id::NONE => {
                let default = default_of(caller, spec).map_err(|status| about(status, at))?;
                From::Argument(default.map(|(default, copy)| {
                    copied.push(copy);
                    default
                }))
            }
            _ => From::Variable(variables.next().expect("one for each implicit input")),
        };
        inputs.push(Input { name: spec.name, flags: spec.flags, declared: spec.declared, from });
    }
    let mut outputs = lists::vector(description.outputs.len(), "items")?;
    outputs.extend(description.outputs.iter().map(|spec| Output {
        name: spec.name,
        flags: spec.flags,
        declared: spec.declared,
    }));
    let mut updates = lists::vector(description.updates.len(), "items")?;
    updates.extend(
        description.updates.iter().zip(variables).map(|(spec, variable)| Update { variable, flags: spec.flags }),
    );
    let reuses = |flags: u32| flags & TN_REUSE != 0;
    let are_kept = outputs.iter().any(|output: &Output| reuses(output.flags))
        || updates.iter().any(|update: &Update| reuses(update.flags));
    let spares = Spares::create(outputs.len() + updates.len(), are_kept)?;
    pool::on_missing_memory(|pool| drop_spares(|other| core::ptr::eq(other, pool)));
    reclaim::register(|device| _ = drop_spares(|pool| pool.device() == device));
    let Description { name, code, .. } = description;
    let n_arguments = inputs.iter().filter(|input| input.is_argument()).count();
    let takes = inputs.iter().any(|input| input.flags & TN_TAKE_OWNERSHIP != 0);
    let origin = Origin::by(thread::current());
    let function = Function { name, origin, code, inputs, outputs, updates, n_arguments, takes, spares };
    let id = Ref::create(function)?.publish();
    // Only now, because a failure drops the copies.
    copied.iter().for_each(Copied::count);
    Ok(id)
}

/// The variables of the implicit inputs, and then those of the updates. TN_ERR_STALE, TN_ERR_KIND, also for default
/// values.
fn find_all(description: &Description) -> Result<Vec<VariableRef>> {
    let mut variables = lists::vector(description.inputs.len() + description.updates.len(), "items")?;
    let mut first = FirstError::default();
    let mut note = |at: At<'_>, found: Result<Option<VariableRef>>| match found {
        Ok(found) => variables.extend(found),
        Err(status) => first.see(about(status, at)),
    };
    for (at, input) in description.inputs() {
        if input.default != Id::NONE {
            note(at, ledger::find::<Claim>(input.default).map(|_| None));
        }
        if input.variable != Id::NONE {
            note(at, VariableRef::find(input.variable).map(Some));
        }
    }
    for (at, update) in description.updates() {
        note(at, VariableRef::find(update.variable).map(Some));
    }
    first.into_status().map_or(Ok(variables), Err)
}

fn check_flags(description: &Description) -> Result<()> {
    for (at, input) in description.inputs() {
        flags::check("flags", input.flags, IN, &flags::CROSSING).map_err(|status| about(status, at))?;
        let is_implicit = input.variable != Id::NONE;
        if is_implicit && (input.flags & TN_TAKE_OWNERSHIP != 0 || input.default != Id::NONE) {
            return Err(fail(
                TN_ERR_INVALID,
                format_args!("{at} is the value of a variable, so it has no TN_TAKE_OWNERSHIP and no default value"),
            ));
        }
    }
    for (at, output) in description.outputs() {
        flags::check("flags", output.flags, OUT, &flags::CROSSING).map_err(|status| about(status, at))?;
    }
    for (at, update) in description.updates() {
        flags::check("flags", update.flags, UPDATE, &flags::CROSSING).map_err(|status| about(status, at))?;
        if update.flags == UPDATE {
            return Err(fail(
                TN_ERR_INVALID,
                format_args!("{at} has TN_MAY_OVERWRITE and TN_REUSE, and the body finds one array only; choose one"),
            ));
        }
    }
    Ok(())
}

/// TN_ERR_INVALID for an implicit input whose variable has another element type or number of axes.
fn check_implicit(description: &Description, variables: &[VariableRef]) -> Result<()> {
    let implicit = description.inputs().filter(|(_, spec)| spec.variable != Id::NONE);
    for ((at, InputSpec { declared, .. }), variable) in implicit.zip(variables) {
        let fixed = variable.fixed();
        if let Some(dtype) = declared.dtype.filter(|dtype| *dtype != fixed.dtype) {
            let (declared, found) = (dtype.name(), fixed.dtype.name());
            let text = format_args!("{at}: elements of {declared} are declared, and the variable has {found}");
            return Err(fail(TN_ERR_INVALID, text));
        }
        if let Some(ndim) = declared.ndim.filter(|ndim| *ndim != fixed.ndim) {
            let text = format_args!("{at}: {ndim} axes are declared, and the variable has {}", fixed.ndim);
            return Err(fail(TN_ERR_INVALID, text));
        }
    }
    Ok(())
}

/// TN_ERR_DUPLICATE for two updates of one variable.
fn check_updated_once(variables: &[VariableRef]) -> Result<()> {
    for (index, variable) in variables.iter().enumerate() {
        if let Some(first) = variables[..index].iter().position(|other| other.id() == variable.id()) {
            let at = At { what: "update", index, name: &variable.fixed().name };
            return Err(fail(
                TN_ERR_DUPLICATE,
                format_args!("{at} has the variable of update[{first}], and a call gives it one new value"),
            ));
        }
    }
    Ok(())
}

/// The state, element type and number of axes of default values.
fn check_defaults(description: &Description) -> Result<()> {
    for (at, spec) in description.inputs().filter(|(_, spec)| spec.default != Id::NONE) {
        array::with(spec.default, |locked, claim| {
            array::check_live(locked, claim)?;
            input::check_declared(locked, claim, &spec.declared, 0)
        })
        .map_err(|status| about(status, at))?;
    }
    Ok(())
}

/// TN_ERR_DEVICE for a declared device that does not exist.
fn check_devices(description: &Description) -> Result<()> {
    let inputs = description.inputs().map(|(at, spec)| (at, spec.declared.device));
    let outputs = description.outputs().map(|(at, spec)| (at, spec.declared.device));
    for (at, device) in inputs.chain(outputs) {
        device.map_or(Ok(()), |device| pool::current(device).map(drop)).map_err(|status| about(status, at))?;
    }
    Ok(())
}

/// A copy of the default value of an input, on the declared device. The caller counts it.
fn default_of(caller: &'static CStr, spec: &InputSpec) -> Result<Option<(array::Owned, Copied)>> {
    if spec.default == Id::NONE {
        return Ok(None);
    }
    let device = match spec.declared.device {
        Some(device) if spec.flags & TN_RAW == 0 => device,
        _ => array::device(spec.default)?,
    };
    let order = if spec.flags & TN_STRICT == 0 { Order::A } else { Order::C };
    let (copy, copied) = variable::copy_uncounted(caller, spec.default, pool::current(device)?, order, 0)?;
    Ok(Some((array::Owned::new(copy), copied)))
}

/// A new read-only handle on the default value of an input.
pub fn default(id: Id, index: usize) -> Result<Id> {
    let function = Ref::<Function>::find(id)?;
    let n_inputs = function.inputs.len();
    let Some((at, input)) = function.inputs().nth(index) else {
        return Err(fail(TN_ERR_RANGE, format_args!("index is {index}, and the function has {n_inputs} inputs")));
    };
    match &input.from {
        From::Argument(Some(default)) => input::share_default(input, default.id()),
        From::Argument(None) => Err(fail(TN_ERR_INVALID, format_args!("{at} has no default value"))),
        From::Variable(_) => Err(fail(TN_ERR_INVALID, format_args!("{at} is the value of a variable"))),
    }
}

/// Releases a function.
pub fn release(id: Id) -> Result<()> {
    counted::release::<Function>(id)
}

/// Drops the spare buffers of all functions that nobody else has, in the pools that `is_meant` accepts. True: there
/// were some.
pub fn drop_spares(is_meant: impl Fn(&Pool) -> bool) -> bool {
    let mut dropped = 0;
    counted::each(|function: &Function| {
        let in_pool = |locked: &Locked, claim| locked.pool(locked.ledger_of(claim)).is_some_and(&is_meant);
        dropped += function.spares.drop_free(in_pool);
    });
    dropped > 0
}
