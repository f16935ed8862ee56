//! The native half of `@tenure.takes` (PY-1 to PY-4): the arguments of a call become the callee's own arrays.
//!
//! Contract: `_enter` replaces every array and promise among the arguments by a new array, all or none. It leaves its
//! scope at once and keeps every handle, so the Python objects own them: `del`, a return and an exception release each
//! claim exactly when its object ends. The values come as a reversed list. Its `pop` hands over each value without
//! keeping a reference, so a value that the callee drops is gone.

use crate::api::{self, Id};
use crate::base::site;
use crate::handles::array::Array;
use crate::handles::promise::Promise;
use crate::values::convert;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

/// An argument for which the callee gets its own handle.
enum Param<'a, 'py> {
    Array(&'a Bound<'py, Array>),
    Promise(&'a Bound<'py, Promise>),
}

/// The arguments of a call as the callee gets them, positional ones first: a reversed list.
///
/// place: the file and name of the function, as its call site; "" for the caller's.
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
        // Every handle gets an object before an error is reported, so that none is lost.
        let arrays: Vec<PyResult<Bound<'_, Array>>> = entered.into_iter().map(|id| Array::adopt(py, id)).collect();
        for (position, array) in positions.into_iter().zip(arrays) {
            values[position] = array?.into_any();
        }
    }
    values.reverse();
    PyList::new(py, values)
}

/// `f(A, give(A))`: when `give` counted, A was already among the arguments, which is no variable. Such promises are
/// made again without it, if as many came as are required then.
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
                // The call that follows reports a promise that was taken or cancelled before.
                let _ = api::promise_cancel(promise.id());
            }
            for promise in promises {
                promise.renew(api::give(giver, needed)?);
            }
        }
    }
    Ok(())
}
