//! A call of a function, step by step.
//!
//! Contract: until the last step, every failure undoes what was done, by the drops of what the call has so far. The
//! last step cannot fail. The body runs under no lock.

use super::body;
use super::copies::Copies;
use super::declaration::{At, HandedOut};
use super::input::{self, PassedInput};
use super::outcome::Outcome;
use super::output::Output;
use super::places::{AllProduced, Places};
use super::reserved::Reserved;
use super::slot::{From, Function, Input};
use super::spare::{Returned, Spares};
use super::update;
use crate::array::{self, Owned};
use crate::borrow::{self, Argument, List};
use crate::counted::Ref;
use crate::error::{FirstError, Result, Status, about, fail, quietly};
use crate::ledger::{self, Claim};
use crate::lists;
use crate::slots::Id;
use crate::thread;
use crate::types::*;
use crate::variable::{self, VariableRef};
use core::ffi::CStr;

/// A call in progress. The fields are dropped in this order.
struct Call<'a> {
    places: Places,
    offered: OfferedSpares<'a>,
    inputs: List<PassedInput>,
    updates: List<Reserved<'a>>,
}

/// Calls a function. `hand_out` gets the outputs, and owns them afterwards. `call_alone`: whether the call is valid apart
/// from its handles.
pub fn call(
    caller: &'static CStr,
    id: Id,
    call_alone: Result<()>,
    arguments: &[Id],
    n_out: usize,
    hand_out: &mut dyn FnMut(HandedOut),
) -> Result<()> {
    let function = &*Ref::<Function>::find(id)?;
    call_alone?;
    run(caller, function, arguments, n_out, hand_out).map_err(|status| match function.name.is_none() {
        true => status,
        false => about(status, format_args!("\"{}\"", function.name.as_str())),
    })
}

fn run(
    caller: &'static CStr,
    function: &Function,
    arguments: &[Id],
    n_out: usize,
    hand_out: &mut dyn FnMut(HandedOut),
) -> Result<()> {
    let thread = thread::current();
    let offered = OfferedSpares { spares: &function.spares, handles: List::new() };
    let mut call = Call { places: Places::new(thread, function), offered, inputs: List::new(), updates: List::new() };
    let mut copies = Copies::new(caller);
    if let Err(status) = prepare(&mut copies, function, arguments, n_out, &mut call) {
        drop(call);
        return Err(first_error(function, arguments, n_out, status));
    }
    call.updates.iter_mut().for_each(|update| update.body_ran = true);
    let outcome = body::run(function, &mut call.inputs, &mut call.places);
    call.assign_owners();
    outcome?;
    finish(copies, function, &mut call, n_out, hand_out)
}

/// Everything before the body: checks, reservations, and the way of each input to the body.
fn prepare<'a>(
    copies: &mut Copies,
    function: &'a Function,
    arguments: &[Id],
    n_out: usize,
    call: &mut Call<'a>,
) -> Result<()> {
    check_counts(function, arguments, n_out)?;
    call.places.fill(function)?;
    borrow::fill(&mut call.offered.handles, call.places.arrays.len(), Id::NONE)?;
    lists::reserve(&mut call.updates, function.updates.len())?;
    lists::reserve(&mut call.inputs, function.inputs.len())?;
    for (index, update) in function.updates.iter().enumerate() {
        call.updates.push(Reserved::new(update));
        let place = call.places.of_update(index);
        call.updates[index].reserve().map_err(|status| about(status, function.at(place)))?;
    }
    for (index, update) in call.updates.iter_mut().enumerate() {
        let place = call.places.of_update(index);
        call.places.arrays[place] = update.offer(copies).map_err(|status| about(status, function.at(place)))?;
    }
    let mut values = if function.has_implicit() { Some(values(function, &call.updates)?.into_iter()) } else { None };
    let mut arguments_left = arguments.iter();
    for (at, input) in function.inputs() {
        let passed = match &input.from {
            From::Variable(variable) => {
                let value = values.as_mut().and_then(Iterator::next).expect("one for each implicit input");
                let is_written = call.updates.iter().any(|update| update.lends(variable));
                input::pass_value(copies, (at, input), value.into_id(), is_written)?
            }
            From::Argument(default) => match arguments_left.next() {
                Some(argument) if *argument != Id::NONE => {
                    input::pass_argument(
                        (call.places.thread, copies),
                        (at, input),
                        *argument,
                        &mut call.inputs,
                        arguments,
                    )?;
                    continue;
                }
                _ => input::pass_default((at, input), default.as_ref().expect("checked").id())?,
            },
        };
        call.inputs.push(passed);
    }
    call.offer(function);
    Ok(())
}

/// Handles on the values of the implicit inputs, all of one time. For a value that is lent to the body, that is a
/// handle on the lent bytes.
fn values(function: &Function, updates: &[Reserved<'_>]) -> Result<List<Owned>> {
    let implicit = || {
        function.inputs().filter_map(|(at, input)| match &input.from {
            From::Variable(variable) => Some((at, variable)),
            From::Argument(_) => None,
        })
    };
    let count = implicit().count();
    let lent =
        |variable: &VariableRef| updates.iter().find(|update| update.lends(variable)).map(|update| update.offered);
    let mut variables: List<&VariableRef> = lists::list(count)?;
    let mut handles: List<Owned> = lists::list(count)?;
    for (at, variable) in implicit() {
        if lent(variable).is_none() {
            variable::verify(variable, variable.value()).map_err(|status| about(status, at))?;
            variables.push(variable);
        }
    }
    let mut clones: List<(Id, u64)> = borrow::filled(variables.len(), (Id::NONE, 0))?;
    variable::clone_values(&variables, &mut clones).map_err(|(position, status)| {
        let mut cloned = implicit().filter(|(_, variable)| lent(variable).is_none());
        about(status, cloned.nth(position).expect("one for each").0)
    })?;
    let mut clones = clones.into_iter().map(|(handle, _)| handle);
    handles.extend(implicit().map(|(_, variable)| match lent(variable) {
        Some(_) => Owned::new(Id::NONE),
        None => Owned::new(clones.next().expect("one for each")),
    }));
    for (handle, (at, variable)) in handles.iter_mut().zip(implicit()) {
        if let Some(lent) = lent(variable) {
            *handle = Owned::new(array::clone(lent).map_err(|status| about(status, at))?);
        }
    }
    Ok(handles)
}

impl Call<'_> {
    /// Puts spare buffers into the places that are empty.
    fn offer(&mut self, function: &Function) {
        if function.code.expr_body.is_some() {
            return;
        }
        function.spares.take(self.places.thread, &mut self.offered.handles);
        for (array, spare) in self.places.arrays.iter_mut().zip(&self.offered.handles) {
            if *spare != Id::NONE {
                *array = *spare;
            }
        }
    }

    /// After the body: each handle has one owner, the places or the call. Ends the handles of the inputs.
    fn assign_owners(&mut self) {
        let produced = &self.places.arrays[..];
        for input in &mut self.inputs {
            if produced.contains(&input.handle) {
                input.handle = Id::NONE;
            }
            input.end_handle(self.places.thread);
        }
        for handle in &mut self.offered.handles {
            if produced.contains(handle) {
                *handle = Id::NONE;
            }
        }
        for update in &self.updates {
            if update.offered != Id::NONE && !produced.contains(&update.offered) {
                array::release_if_open(update.offered);
            }
        }
    }
}

/// The spare buffers that the body found, by place. Its drop keeps those that the body left there unused.
struct OfferedSpares<'a> {
    spares: &'a Spares,
    handles: List<Id>,
}

impl OfferedSpares<'_> {
    /// Keeps the buffers that the body left unused.
    fn end(&mut self, returned: &mut Returned<'_>) {
        for (place, handle) in self.handles.drain(..).enumerate() {
            if handle != Id::NONE {
                quietly(|| returned.keep(place, handle));
            }
        }
    }
}

impl Drop for OfferedSpares<'_> {
    fn drop(&mut self) {
        if !self.handles.is_empty() {
            self.end(&mut Returned::new(thread::current(), self.spares));
        }
    }
}

/// Everything after the body: checks, copies, and the commit.
fn finish(
    mut copies: Copies,
    function: &Function,
    call: &mut Call<'_>,
    n_out: usize,
    hand_out: &mut dyn FnMut(HandedOut),
) -> Result<()> {
    let mut produced = AllProduced::default();
    let mut outputs: List<Output> = List::new();
    produced.reserve(call.places.arrays.len())?;
    lists::reserve(&mut outputs, n_out)?;
    call.places.collect(function, n_out, &call.inputs, &mut call.updates, &mut produced)?;
    let mut outcome =
        Outcome::new((&mut copies, function), &call.inputs, &mut call.places, &mut produced, &mut call.updates)?;
    outcome.decide_updates()?;
    for place in 0..n_out {
        outputs.push(Output::NONE);
        outcome.output(place, &mut outputs[place])?;
    }
    // From here on nothing can fail. Buffers that were offered are kept first, so that newer ones, of this call,
    // replace them.
    let mut returned = Returned::new(outcome.places.thread, &function.spares);
    call.offered.end(&mut returned);
    outcome.keep_unwanted(n_out, &mut returned);
    update::commit(&mut call.updates, &mut returned, function.outputs.len());
    call.places.end();
    let mut arguments = 0..;
    for (index, (input, passed)) in function.inputs.iter().zip(&mut call.inputs).enumerate() {
        let argument = if input.is_argument() { arguments.next() } else { None };
        hand_out(HandedOut::Input(index, argument, passed.how));
        passed.finish();
    }
    for (index, update) in call.updates.iter().enumerate() {
        hand_out(HandedOut::Update(index, update.how));
    }
    for (place, output) in outputs.iter_mut().enumerate() {
        output.leave_readers(&mut copies);
        let kept = produced[place].as_mut().and_then(|produced| produced.kept.take_if(|_| output.is_left));
        if let Some(claim) = kept {
            returned.push(place, claim);
        } else if let Some(spare) = output.kept.take() {
            returned.keep_handed_out(place, output.array, spare);
        }
        hand_out(HandedOut::Output(place, core::mem::replace(&mut output.array, Id::NONE), output.how));
    }
    copies.count();
    Ok(())
}

/// TN_ERR_COUNT, TN_ERR_NULL for a missing argument, TN_ERR_DUPLICATE.
fn check_counts(function: &Function, arguments: &[Id], n_out: usize) -> Result<()> {
    if arguments.len() != function.n_arguments {
        let text = format_args!("{} arguments, and {} are declared", arguments.len(), function.n_arguments);
        return Err(fail(TN_ERR_COUNT, text));
    }
    if arguments.contains(&Id::NONE) {
        for ((at, input), argument) in function.arguments().zip(arguments) {
            if *argument == Id::NONE && matches!(input.from, From::Argument(None)) {
                return Err(fail(TN_ERR_NULL, format_args!("{at} is NULL, and has no default value")));
            }
        }
    }
    if n_out > function.outputs.len() {
        return Err(fail(TN_ERR_COUNT, format_args!("{n_out} outputs, and {} are declared", function.outputs.len())));
    }
    if function.takes { check_taken_once(function, arguments) } else { Ok(()) }
}

/// TN_ERR_DUPLICATE for an array that is taken twice.
fn check_taken_once(function: &Function, arguments: &[Id]) -> Result<()> {
    for (position, ((at, input), argument)) in function.arguments().zip(arguments).enumerate() {
        if *argument == Id::NONE || input.flags & TN_TAKE_OWNERSHIP == 0 {
            continue;
        }
        let mut before = function.arguments().zip(&arguments[..position]);
        let is_taken =
            |((_, input), other): ((At<'_>, &Input), &Id)| other == argument && input.flags & TN_TAKE_OWNERSHIP != 0;
        if let Some(other) = before.position(is_taken) {
            return Err(fail(
                TN_ERR_DUPLICATE,
                format_args!("{at} is also argument {other}, and an array can be taken once; clone it"),
            ));
        }
    }
    Ok(())
}

/// Of all errors of the arguments and `found`, the first in the order of checks.
#[cold]
fn first_error(function: &Function, arguments: &[Id], n_out: usize, found: Status) -> Status {
    let mut first = FirstError::default();
    first.see(found);
    let mut see = |outcome: Result<()>| {
        if let Err(status) = outcome {
            first.see(status);
        }
    };
    see(check_counts(function, arguments, n_out));
    for ((at, input), argument) in function.arguments().zip(arguments).filter(|(_, argument)| **argument != Id::NONE) {
        let outcome = ledger::find::<Claim>(*argument).and_then(|_| {
            array::with(*argument, |locked, claim| {
                array::check_live(locked, claim)?;
                input::check_declared(locked, claim, &input.declared, input.flags)?;
                let (claims, overlaps) = input::beside(locked, claim, input.flags, &[], (*argument, arguments));
                let device = input.declared.device;
                let passed = Argument { flags: input.flags, device, claims, overlaps, rests: false };
                borrow::pass(locked, claim, passed).map(drop)
            })
        });
        see(outcome.map_err(|status| about(status, at)));
    }
    first.into_status().unwrap_or(found)
}
