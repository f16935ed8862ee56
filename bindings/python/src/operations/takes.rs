//! The native half of `@tenure.takes` (PY-1 to PY-4): a call's arguments become the callee's own arrays.
//!
//! Contract: `_enter` replaces every array and promise among the arguments by a new array, all or none, and closes its
//! scope at once, keeping every handle: from then on the Python objects own them, so that `del`, a return and an
//! exception end each claim exactly when its object goes. The values come as a list in reverse, whose `pop` hands each
//! of them over without keeping a reference: what the callee drops is gone.

use crate::api::{self, Id};
use crate::base::site;
use crate::handles::array::Array;
use crate::handles::promise::Promise;
use crate::values::convert;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

/// An argument that the callee gets a handle of its own for.
enum Param<'a, 'py> {
    Array(&'a Bound<'py, Array>),
    Promise(&'a Bound<'py, Promise>),
}

/// The arguments of a call, positional ones first, as the callee gets them: a list, last one first.
///
/// place: the file and name of the function that takes them, its site in texts; "" for the caller's.
#[pyfunction]
pub fn _enter<'py>(
    py: Python<'py>,
    args: &Bound<'py, PyTuple>,
    kwargs: &Bound<'py, PyDict>,
    place: &str,
    line: i32,
) -> PyResult<Bound<'py, PyList>> {
    let mut values: Vec<Bound<'py, PyAny>> = args.iter().chain(kwargs.values()).collect();
    let mut params = Vec::new();
    for (position, value) in values.iter().enumerate() {
        if let Ok(array) = value.cast::<Array>() {
            params.push((position, Param::Array(array)));
        } else if let Ok(promise) = value.cast::<Promise>() {
            params.push((position, Param::Promise(promise)));
        }
    }
    if !params.is_empty() {
        let file = convert::text_of(place)?;
        let _site = site::at_place(py, &file, line);
        leave_out_arguments(&params)?;
        let mut ids = Vec::with_capacity(params.len());
        for (_, param) in &params {
            ids.push(match param {
                Param::Array(array) => array.get().id()?,
                Param::Promise(promise) => promise.get().id(),
            });
        }
        let positions: Vec<usize> = params.iter().map(|(position, _)| *position).collect();
        drop(params);
        let entered = api::enter_and_keep(&ids)?;
        // Each handle gets its object before an error of one of them is reported, so that none is lost.
        let arrays: Vec<PyResult<Bound<'_, Array>>> = entered.into_iter().map(|id| Array::adopt(py, id)).collect();
        for (position, array) in positions.into_iter().zip(arrays) {
            values[position] = array?.into_any();
        }
    }
    values.reverse();
    PyList::new(py, values)
}

/// `f(A, give(A))`: when `give` counted, A lay among the arguments already, which is no variable. Such promises are
/// given anew with what they require without it, if that is how many of them came.
fn leave_out_arguments(params: &[(usize, Param<'_, '_>)]) -> PyResult<()> {
    let mut seen: Vec<Id> = Vec::new();
    for (at, (_, param)) in params.iter().enumerate() {
        let Param::Promise(first) = param else { continue };
        let Some(giver) = first.get().counted() else { continue };
        if seen.contains(&giver) {
            continue;
        }
        seen.push(giver);
        let of_giver = |param: &Param<'_, '_>| matches!(param, Param::Array(a) if a.get().id().ok() == Some(giver));
        let mut promises = Vec::new();
        let mut needed = 1;
        for (place, (_, param)) in params.iter().enumerate().skip(at) {
            if let Param::Promise(promise) = param
                && promise.get().counted() == Some(giver)
            {
                let arguments = params[..place].iter().filter(|(_, p)| of_giver(p)).count() as u32;
                needed = promise.get().required().saturating_sub(arguments).max(needed);
                promises.push(promise.get());
            }
        }
        let before = promises.iter().map(|promise| promise.required()).max();
        if promises.len() as u32 == needed && before.is_some_and(|before| before > needed) {
            for promise in &promises {
                // One that was taken or cancelled already is reported by the call that comes.
                let _ = api::promise_cancel(promise.id());
            }
            for promise in promises {
                promise.renew(api::give(giver, needed)?);
            }
        }
    }
    Ok(())
}
