//! `tenure.Expr`: the object that owns one expression, and its value (PY-10). `operations::lazy` has the operators.
//!
//! Contract: the end of the object releases its handle, so a temporary part of a larger expression holds nothing once
//! the next operation is built. Nothing is decided here: the library chooses what is overwritten, and whether
//! operands fit.

use crate::api::expr as api;
use crate::api::{Failure, Id, form, set_form};
use crate::base::{errors, site};
use crate::handles::array::Array;
use crate::sys::*;
use crate::values::convert::{as_numpy, dtype_object};
use core::sync::atomic::{AtomicU64, Ordering};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// A lazy expression, which begins with `tenure.lazy(a)`. Operators and methods build a larger one. Nothing is
/// computed until `compute()` or a conversion (`numpy.asarray(e)`, `tenure.asarray(e)`, `e.tolist()`, `float(e)`)
/// needs the value.
///
/// `+`, `-`: operands of one shape; a diagonal fits a square matrix. `*`, `@`: the product of matrices, or of a
/// matrix and a vector. `*` with a number scales, `/` by its reciprocal. `/`, `times`: element by element. Operands
/// are expressions, arrays (of Tenure, NumPy, or any library that shares its bytes) and promises, which are taken.
///
/// >>> A, u = tenure.array([[4.0, 2.0], [2.0, 5.0]]), tenure.ones(2)
/// >>> D = tenure.diagonal(tenure.zeros(2))
/// >>> v = (tenure.lazy(A) + D).cholesky() * u
/// >>> del A, D                        # nothing else needs these bytes: the result takes them
/// >>> v.tolist()
/// [2.0, 3.0]
#[pyclass(frozen, weakref, module = "tenure", name = "Expr")]
pub struct Expr {
    /// The handle's bits; 0: released.
    id: AtomicU64,
    /// It was built of matrices by their operators, not by `tenure.lazy`: products with vectors are computed at once.
    of_matrices: bool,
}

impl Drop for Expr {
    fn drop(&mut self) {
        let id = *self.id.get_mut();
        if id != 0 {
            // A finalizer cannot report a failure.
            let _ = api::release(Id(id));
        }
    }
}

impl Expr {
    pub fn wrap(py: Python<'_>, id: Id, of_matrices: bool) -> PyResult<Bound<'_, Expr>> {
        // Where no object can be made the value is dropped, which releases the handle.
        Bound::new(py, Expr { id: AtomicU64::new(id.0), of_matrices })
    }

    /// Whether it was built of matrices by their operators.
    pub fn is_of_matrices(&self) -> bool {
        self.of_matrices
    }

    pub fn id(&self) -> PyResult<Id> {
        match self.id.load(Ordering::Relaxed) {
            0 => {
                let text = "this expression was released; only its repr works";
                Err(Python::attach(|py| errors::with_text(py, TN_ERR_STALE, text, false)))
            }
            id => Ok(Id(id)),
        }
    }

    /// Takes the handle, which belongs to the library from now on, out of the object.
    pub fn surrender(&self) {
        self.id.store(0, Ordering::Relaxed);
    }

    /// The value. That of matrices is a matrix, if it has two axes and no other form.
    pub fn computed<'py>(&self, py: Python<'py>, flags: u32) -> PyResult<Bound<'py, Array>> {
        let id = self.id()?;
        let _site = site::here(py);
        // Other threads may run. The release callbacks of foreign memory attach by themselves.
        let array = py.detach(|| api::compute(id, flags).map_err(PyErr::from))?;
        let array = Array::adopt(py, array)?;
        if self.of_matrices && array.get().ndim() == 2 && form(array.get().id()?)? == TN_FORM_FULL {
            set_form(array.get().id()?, TN_FORM_MATRIX)?;
        }
        Ok(array)
    }
}

/// The value of an expression, computed if necessary. None: the object is no expression.
pub fn value<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, Array>>> {
    object.cast::<Expr>().ok().map(|expr| expr.get().computed(object.py(), 0)).transpose()
}

#[pymethods]
impl Expr {
    /// The value, as an array. It is computed once and kept as long as this object exists.
    ///
    /// An operation overwrites an operand whose bytes nothing else needs; `explain` shows where. A failure (a matrix
    /// that is not positive definite) poisons the expression and releases its operands. keep_on_fail=True leaves
    /// everything unchanged, at the cost of a copy.
    #[pyo3(signature = (*, keep_on_fail=false))]
    fn compute<'py>(&self, py: Python<'py>, keep_on_fail: bool) -> PyResult<Bound<'py, Array>> {
        self.computed(py, if keep_on_fail { TN_KEEP_ON_FAIL } else { 0 })
    }

    /// Explains what `compute()` would do now: one line for each operation, whether it overwrites an operand, and if
    /// not, why. format: "text", or "dot" for Graphviz.
    #[pyo3(signature = (format="text"))]
    fn explain(&self, format: &str) -> PyResult<String> {
        let format = match format {
            "text" => TN_EXPLAIN_TEXT,
            "dot" => TN_EXPLAIN_DOT,
            other => return Err(PyValueError::new_err(format!("format must be \"text\" or \"dot\", not {other:?}"))),
        };
        Ok(api::explain(self.id()?, format)?)
    }

    /// Releases the expression; expressions built on it stay valid. Calling it twice is allowed.
    fn release(&self) -> PyResult<()> {
        match self.id.swap(0, Ordering::Relaxed) {
            0 => Ok(()),
            id => Ok(api::release(Id(id))?),
        }
    }

    /// The lengths of the axes of the array that `compute()` makes. A diagonal matrix has the shape of its n values.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let info = api::query(self.id()?)?;
        PyTuple::new(py, &info.shape[..info.ndim as usize])
    }

    /// The number of axes of that array.
    #[getter]
    fn ndim(&self) -> PyResult<i32> {
        Ok(api::query(self.id()?)?.ndim)
    }

    /// The element type of that array, as a NumPy dtype.
    #[getter]
    fn dtype<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        dtype_object(py, api::query(self.id()?)?.dtype)
    }

    /// The handle as an integer, valid while this object exists.
    #[getter]
    fn handle(&self) -> PyResult<u64> {
        Ok(self.id()?.0)
    }

    /// The value as nested lists.
    fn tolist<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.computed(py, 0)?.call_method0("tolist")
    }

    /// The value's only element, as a Python scalar.
    fn item<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.computed(py, 0)?.call_method0("item")
    }

    fn __float__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.computed(py, 0)?.call_method0("__float__")
    }

    /// For NumPy: the value, without a copy.
    #[pyo3(signature = (dtype=None, copy=None))]
    fn __array__<'py>(
        &self,
        py: Python<'py>,
        dtype: Option<&Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        // The kept expression may be needed again, so an array that shares its bytes is read-only.
        as_numpy(self.computed(py, 0)?.into_any(), dtype, copy)
    }

    /// The value, for an expression of matrices; else as `repr`.
    fn __str__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.of_matrices {
            true => Ok(as_numpy(self.computed(py, 0)?.into_any(), None, None)?.str()?.into_any()),
            false => Ok(self.__repr__().into_pyobject(py)?.into_any()),
        }
    }

    /// Never raises and computes nothing.
    fn __repr__(&self) -> String {
        let Ok(id) = self.id() else { return "<released expression>".to_owned() };
        match api::explain(id, TN_EXPLAIN_TEXT) {
            Ok(text) => {
                let lines: Vec<String> = text.lines().map(|line| format!("\n  {line}")).collect();
                format!("<tenure expression{}>", lines.concat())
            }
            Err(Failure(TN_ERR_IN_EXPRESSION)) => "<tenure expression, being computed>".to_owned(),
            Err(_) => "<tenure expression>".to_owned(),
        }
    }
}
