//! Operators of arrays that have a form: they build expressions, which know what a diagonal or a triangle is.
//!
//! Contract: where an operand of `+ - * / @` is an array of a form other than "full", the result is an expression of
//! matrices (`operations::lazy`). Arrays of form "full" are left to others. NumPy's functions see the stored elements,
//! those of a diagonal as a vector; with a second operand that would broadcast where a matrix is meant, so such calls
//! are refused.

use crate::api;
use crate::handles::array::Array;
use crate::operations::lazy::{OPERATORS, of_matrices};
use crate::sys::*;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

/// Whether an object is an array of a form other than "full".
pub fn has_form(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    match object.cast::<Array>() {
        Ok(array) => Ok(api::form(array.get().id()?)? != TN_FORM_FULL),
        Err(_) => Ok(false),
    }
}

/// Whether an object is an array of a form that does not store all its elements.
pub fn stores_fewer(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    match object.cast::<Array>() {
        Ok(array) => Ok(!matches!(api::form(array.get().id()?)?, TN_FORM_FULL | TN_FORM_MATRIX)),
        Err(_) => Ok(false),
    }
}

/// The error of a function for which an array of a form is its stored elements.
pub fn refusal(function: &str) -> PyErr {
    PyTypeError::new_err(format!(
        "{function} takes an array of a form for its stored elements; build an expression with + - * / @ and tenure.lazy(x), or pass \
         x.dense() or numpy.asarray(x)"
    ))
}

/// `x op y` as an expression. None: neither operand is an array with a form.
pub fn binary<'py>(ufunc: &str, x: &Bound<'py, PyAny>, y: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    if !has_form(x)? && !has_form(y)? {
        return Ok(None);
    }
    let Some((_, operator, turned)) = OPERATORS.iter().find(|(name, ..)| *name == ufunc) else {
        return Err(refusal(&format!("numpy.{ufunc}")));
    };
    let (operand, operator, other) = if x.is_instance_of::<Array>() { (x, operator, y) } else { (y, turned, x) };
    operator(of_matrices(operand)?.get(), other).map(Some)
}

/// `-x` as an expression. None: the array has no form.
pub fn negative<'py>(x: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    if has_form(x)? { of_matrices(x)?.call_method0("__neg__").map(Some) } else { Ok(None) }
}

/// Refuses `x op= y` with an array of a form.
pub fn check_in_place(ufunc: &str, x: &Bound<'_, PyAny>, y: &Bound<'_, PyAny>) -> PyResult<()> {
    if has_form(x)? || has_form(y)? { Err(refusal(&format!("numpy.{ufunc} in place"))) } else { Ok(()) }
}
