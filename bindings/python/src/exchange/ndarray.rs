//! Arrays on the memory of NumPy's own arrays, for `asarray`, `from_buffer` and `from_dlpack`.
//!
//! Contract: the result is that of NumPy's buffer or struct of DLPack: the same bytes and layout, read-only where
//! NumPy's array is.

use crate::api::Failure;
use crate::base::site;
use crate::handles::array::Array;
use crate::sys::*;
use crate::values::convert::crossing;
use crate::values::foreign_ndarray::ForeignNdarray;
use pyo3::prelude::*;

/// An array on the memory of a NumPy array. copy: None aliases where possible, False aliases or raises, True copies.
/// `refused` makes the exception of an import that failed.
pub fn from_ndarray<'py>(
    py: Python<'py>,
    array: &ForeignNdarray<'_, 'py>,
    as_readonly: bool,
    copy: Option<bool>,
    refused: fn(Failure) -> PyErr,
) -> PyResult<Bound<'py, Array>> {
    let mut flags = crossing(copy);
    if as_readonly || (array.readonly() && copy != Some(true)) {
        flags |= TN_IMPORT_READONLY;
    }
    let _site = site::here(py);
    Array::wrap(py, array.import(flags).map_err(refused)?, array.dtype(), array.ndim())
}
