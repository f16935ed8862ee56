//! A Python extension as users of rust-numpy write them. It knows nothing of Tenure.

use numpy::{PyReadonlyArrayDyn, PyReadwriteArrayDyn};
use pyo3::prelude::*;

/// Borrows the array for reading while it calls `f`.
#[pyfunction]
fn read_while<'py>(array: PyReadonlyArrayDyn<'py, f64>, f: &Bound<'py, PyAny>) -> PyResult<f64> {
    f.call0()?;
    Ok(array.as_array().sum())
}

/// Borrows the array for writing while it calls `f`, and adds one.
#[pyfunction]
fn write_while<'py>(mut array: PyReadwriteArrayDyn<'py, f64>, f: &Bound<'py, PyAny>) -> PyResult<()> {
    f.call0()?;
    array.as_array_mut().mapv_inplace(|x| x + 1.0);
    Ok(())
}

#[pymodule]
fn rust_numpy_extension(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(read_while, module)?)?;
    module.add_function(wrap_pyfunction!(write_while, module)?)
}
