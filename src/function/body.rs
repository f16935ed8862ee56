//! Runs the body of a function, on arrays or on expressions.

use super::input::PassedInput;
use super::places::Places;
use super::slot::Function;
use crate::array;
use crate::borrow::{self, List};
use crate::error::{Result, about, quietly, recode};
use crate::expr;
use crate::layout::Form;
use crate::lists;
use crate::slots::Id;
use crate::types::*;
use crate::variable;

/// Runs the body. Afterwards the places have arrays, also on failure.
pub fn run(function: &Function, inputs: &mut [PassedInput], places: &mut Places) -> Result<()> {
    let mut handles = lists::list(inputs.len())?;
    if function.code.expr_body.is_some() {
        return run_on_expressions(function, inputs, handles, places);
    }
    handles.extend(inputs.iter().map(|input| input.handle));
    let (out, update) = places.split();
    checked((function.code.run)(function.code, &handles, out, update))
}

fn checked(status: tn_status) -> Result<()> {
    if status == TN_OK { Ok(()) } else { Err(variable::status_of("the body", status)) }
}

/// Builds expressions from the inputs and the places, lets the body build on, and computes what it left.
fn run_on_expressions(
    function: &Function,
    inputs: &mut [PassedInput],
    leaves: List<Id>,
    places: &mut Places,
) -> Result<()> {
    let mut leaves = Expressions(leaves);
    for (input, (at, _)) in inputs.iter_mut().zip(function.inputs()) {
        leaves.0.push(expr::leaf(input.handle, TN_FORM_OF_HANDLE).map_err(|status| about(status, at))?);
        // Then the leaf is the only holder of bytes that may be overwritten.
        input.end_handle(places.thread);
    }
    let mut nodes = Expressions(borrow::filled(places.arrays.len(), Id::NONE)?);
    let mut are_matrices = borrow::filled(places.arrays.len(), false)?;
    for (index, update) in function.updates.iter().enumerate() {
        let place = places.of_update(index);
        let offered = places.arrays[place];
        let value = if offered == Id::NONE { update.variable.value().array } else { offered };
        are_matrices[place] = array::with(value, |locked, claim| Ok(locked.get(claim).form == Form::Matrix))?;
    }
    for (place, (node, array)) in nodes.0.iter_mut().zip(&mut places.arrays).enumerate() {
        if *array != Id::NONE {
            *node = expr::leaf(*array, TN_FORM_OF_HANDLE).map_err(|status| about(status, function.at(place)))?;
            array::release_if_open(core::mem::replace(array, Id::NONE));
        }
    }
    let mut offered = Expressions(lists::list(nodes.0.len())?);
    offered.0.extend(nodes.0.iter().copied());
    let (out, update) = nodes.0.split_at_mut(function.outputs.len());
    let status = (function.code.run)(function.code, &leaves.0, out, update);
    // A handle that the body left in a place belongs to that place.
    for handle in leaves.0.iter_mut().chain(&mut offered.0) {
        if nodes.0.contains(handle) {
            *handle = Id::NONE;
        }
    }
    drop((leaves, offered));
    checked(status)?;
    for place in 0..nodes.0.len() {
        let node = nodes.0[place];
        if node == Id::NONE {
            continue;
        }
        places.arrays[place] = expr::compute(node, 0).map_err(|status| {
            // A handle that the body should not have left is its mistake.
            let code = if matches!(status.code(), TN_ERR_STALE | TN_ERR_KIND) { TN_ERR_FAILED } else { status.code() };
            about(recode(status, code), function.at(place))
        })?;
        if are_matrices[place] {
            keep_matrix(places.arrays[place])?;
        }
        if !nodes.0[place + 1..].contains(&node) {
            let _ = quietly(|| expr::release(node));
        }
        nodes.0[place] = Id::NONE;
    }
    Ok(())
}

/// Expressions compute with all elements of a matrix, so the form of the result does not say that it is one.
fn keep_matrix(array: Id) -> Result<()> {
    array::with(array, |locked, claim| {
        let body = locked.get_mut(claim);
        if body.form == Form::Full && body.layout.ndim() == 2 {
            body.form = Form::Matrix;
        }
        Ok(())
    })
}

/// Handles of expressions. Its drop releases them.
struct Expressions(List<Id>);

impl Drop for Expressions {
    fn drop(&mut self) {
        for index in 0..self.0.len() {
            let node = core::mem::replace(&mut self.0[index], Id::NONE);
            if node != Id::NONE && !self.0.contains(&node) {
                let _ = quietly(|| expr::release(node));
            }
        }
    }
}
