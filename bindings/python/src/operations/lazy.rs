//! Lazy operators (PY-10): `tenure.lazy` and its like begin an expression, operators and methods build a larger one.
//!
//! Contract: an operand that is no expression becomes a leaf, whose handle is released as soon as the operation is
//! built. So the operation alone holds the operand.

use crate::api::expr::{self as api, Binary, Unary};
use crate::api::{Id, clone, set_form, take};
use crate::base::interpreter::{retry_after_wait, wait_without_gil};
use crate::base::site;
use crate::exchange::asarray::asarray;
use crate::handles::array::Array;
use crate::handles::expr::Expr;
use crate::handles::promise::Promise;
use crate::sys::*;
use crate::values::convert::{cached_objects, form_of};
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt};

/// An operand: the handle of an expression, or a leaf that is released once the operation is built.
struct Operand {
    id: Id,
    temporary: bool,
    kind: Kind,
}

/// What an operand is to the operators of matrices.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// An expression of `tenure.lazy`.
    Lazy,
    /// A matrix: an array of a form, or an expression of such arrays.
    Matrix,
    /// Numbers: a vector, or vectors side by side.
    Vectors,
}

impl Drop for Operand {
    fn drop(&mut self) {
        if self.temporary {
            let _ = api::release(self.id);
        }
    }
}

impl Expr {
    fn unary<'py>(&self, py: Python<'py>, operation: Unary) -> PyResult<Bound<'py, Expr>> {
        let id = self.id()?;
        let _site = site::here(py);
        Self::wrap(py, api::unary(operation, id)?, self.is_of_matrices())
    }

    /// `self op other`, or `other op self` if turned. A product of a matrix with vectors, and a solution for them, is
    /// computed. NotImplemented: `other` is no operand.
    fn binary<'py>(&self, other: &Bound<'py, PyAny>, operation: Binary, turned: bool) -> PyResult<Bound<'py, PyAny>> {
        let py = other.py();
        let id = self.id()?;
        let Some(operand) = operand(other)? else { return Ok(py.NotImplemented().into_bound(py)) };
        let _site = site::here(py);
        let (x, y) = if turned { (operand.id, id) } else { (id, operand.id) };
        let made = api::binary(operation, x, y)?;
        let kind = operand.kind;
        drop(operand);
        if !self.is_of_matrices() || kind == Kind::Lazy {
            return Ok(Self::wrap(py, made, false)?.into_any());
        }
        match operation {
            Binary::Multiply | Binary::Solve if kind == Kind::Vectors => {
                Ok(Self::wrap(py, made, false)?.get().computed(py, 0)?.into_any())
            }
            _ => Ok(Self::wrap(py, made, true)?.into_any()),
        }
    }

    /// A method with an operand, which has no reflected method to try.
    fn method<'py>(&self, other: &Bound<'py, PyAny>, operation: Binary) -> PyResult<Bound<'py, PyAny>> {
        let built = self.binary(other, operation, false)?;
        if built.is(other.py().NotImplemented()) { Err(no_operand(other)) } else { Ok(built) }
    }
}

#[pymethods]
impl Array {
    /// The array itself, so that code can call `compute()` on an expression and on an array alike.
    #[pyo3(signature = (*, keep_on_fail=false))]
    fn compute<'py>(slf: Bound<'py, Self>, keep_on_fail: bool) -> PyResult<Bound<'py, Self>> {
        let _ = keep_on_fail;
        slf.get().id()?;
        Ok(slf)
    }
}

fn no_operand(object: &Bound<'_, PyAny>) -> PyErr {
    let kind = object.get_type().name().map_or_else(|_| "this".to_owned(), |name| name.to_string());
    PyTypeError::new_err(format!("operands of expressions are arrays, promises of arrays and expressions, not {kind}"))
}

/// A real number of Python or NumPy.
fn number(object: &Bound<'_, PyAny>) -> PyResult<Option<f64>> {
    let plain = object.is_instance_of::<PyFloat>() || object.is_instance_of::<PyInt>();
    let of_numpy =
        |kind: &str| object.is_instance(&cached_objects(object.py())?.numpy.bind(object.py()).getattr(kind)?);
    // Complex numbers are no factors; as operands they are refused by type.
    Ok(if plain || of_numpy("floating")? || of_numpy("integer")? { Some(object.extract()?) } else { None })
}

/// The operand that an object is. None: it is none.
fn operand(object: &Bound<'_, PyAny>) -> PyResult<Option<Operand>> {
    if let Ok(expr) = object.cast::<Expr>() {
        let kind = if expr.get().is_of_matrices() { Kind::Matrix } else { Kind::Lazy };
        return Ok(Some(Operand { id: expr.get().id()?, temporary: false, kind }));
    }
    // SAFETY: attached, a live object.
    let buffer = unsafe { ffi::PyObject_CheckBuffer(object.as_ptr()) } != 0;
    let known = object.is_instance_of::<Array>()
        || object.is_instance_of::<Promise>()
        || buffer
        || object.hasattr("__array__")?
        || object.hasattr("__dlpack__")?;
    if known { leaf_of(object, TN_FORM_OF_HANDLE).map(Some) } else { Ok(None) }
}

fn leaf_of(object: &Bound<'_, PyAny>, form: u32) -> PyResult<Operand> {
    let py = object.py();
    // An array that is made here ends here: the leaf has the only claim.
    let array = match object.cast::<Promise>() {
        Ok(promise) => {
            let _site = site::here(py);
            let taken = take(&[promise.get().id()])?;
            Array::adopt(py, taken[0])?
        }
        Err(_) => asarray(py, object, None, None)?,
    };
    let id = array.get().id()?;
    let kind = if crate::api::form(id)? == TN_FORM_FULL { Kind::Vectors } else { Kind::Matrix };
    let _site = site::here(py);
    let leaf = wait_without_gil(py, TN_WAIT, |flags| match flags & TN_WAIT {
        0 => api::leaf(id, form),
        _ => retry_after_wait(id, || api::leaf(id, form)),
    })?;
    Ok(Operand { id: leaf, temporary: true, kind })
}

fn refuse_expression(object: &Bound<'_, PyAny>) -> PyResult<()> {
    if object.is_instance_of::<Expr>() {
        return Err(PyTypeError::new_err("this is already an expression; the form of an expression cannot be changed"));
    }
    Ok(())
}

/// An array of its own for an object, with a form: another claim on the bytes of an array, the taken array of a
/// promise, or an import.
fn with_form<'py>(object: &Bound<'py, PyAny>, form: u32) -> PyResult<Bound<'py, Array>> {
    let py = object.py();
    refuse_expression(object)?;
    let array = match (object.cast::<Promise>(), object.cast::<Array>()) {
        (Ok(promise), _) => {
            let _site = site::here(py);
            Array::adopt(py, take(&[promise.get().id()])?[0])?
        }
        (_, Ok(array)) => {
            let _site = site::here(py);
            Array::wrap(py, clone(array.get().id()?)?, array.get().dtype(), array.get().ndim())?
        }
        _ => asarray(py, object, None, None)?,
    };
    set_form(array.get().id()?, form)?;
    Ok(array)
}

fn leaf<'py>(object: &Bound<'py, PyAny>, form: u32, of_matrices: bool) -> PyResult<Bound<'py, Expr>> {
    let py = object.py();
    refuse_expression(object)?;
    let leaf = leaf_of(object, form)?;
    let id = leaf.id;
    core::mem::forget(leaf);
    Expr::wrap(py, id, of_matrices)
}

/// A method of expressions for an operator.
type Operator = for<'py> fn(&Expr, &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>;

/// The operator of expressions that an operator of arrays is: the name of NumPy's ufunc, the method, and the method if
/// the expression is the right operand.
pub const OPERATORS: [(&str, Operator, Operator); 5] = [
    ("add", Expr::__add__, Expr::__radd__),
    ("subtract", Expr::__sub__, Expr::__rsub__),
    ("multiply", Expr::__mul__, Expr::__rmul__),
    ("true_divide", Expr::__truediv__, Expr::__rtruediv__),
    ("matmul", Expr::__matmul__, Expr::__rmatmul__),
];

/// A matrix as the beginning of an expression by operators.
pub fn of_matrices<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Expr>> {
    leaf(object, TN_FORM_OF_HANDLE, true)
}

/// An array as an expression: of matrices if it has a form.
fn of_array<'py>(array: &Bound<'py, Array>) -> PyResult<Bound<'py, Expr>> {
    let is_matrix = crate::api::form(array.get().id()?)? != TN_FORM_FULL;
    leaf(array.as_any(), TN_FORM_OF_HANDLE, is_matrix)
}

/// An array as an expression: the beginning of `(tenure.lazy(A) + D).cholesky() * u`.
///
/// x: float32 or float64; a promise is taken. form: in place of `x.form`, the form in which x is read: "full";
/// "diagonal": a vector is the diagonal of a matrix that is 0 elsewhere; "lower", "upper": the diagonal of a square
/// matrix and the elements below or above it. The expression has its own claim: `del x` once x is not needed any more,
/// and a result may take its bytes.
///
/// >>> e = tenure.lazy(x) + numpy.ones((2, 3))
/// >>> e.sum(0).tolist()
/// [2.0, 2.0, 2.0]
#[pyfunction]
#[pyo3(signature = (x, form=None))]
pub fn lazy<'py>(x: &Bound<'py, PyAny>, form: Option<&str>) -> PyResult<Bound<'py, Expr>> {
    leaf(x, form.map_or(Ok(TN_FORM_OF_HANDLE), form_of)?, false)
}

/// `tenure.matrix(a)`.
#[pyfunction]
pub fn _matrix<'py>(a: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Array>> {
    with_form(a, TN_FORM_MATRIX)
}

/// A diagonal matrix, stored as its n values: one more array on the bytes of v, with the form "diagonal".
///
/// >>> d = tenure.diagonal([1.0, 2.0])
/// >>> (tenure.lazy(numpy.ones((2, 2))) + d).tolist()
/// [[2.0, 1.0], [1.0, 3.0]]
#[pyfunction]
pub fn diagonal<'py>(v: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Array>> {
    with_form(v, TN_FORM_DIAGONAL)
}

/// The lower triangle of a square matrix, with zeros above: one more array on the bytes of x, with the form "lower".
#[pyfunction]
pub fn lower<'py>(x: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Array>> {
    with_form(x, TN_FORM_LOWER)
}

/// The upper triangle of a square matrix, with zeros below: one more array on the bytes of x, with the form "upper".
#[pyfunction]
pub fn upper<'py>(x: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Array>> {
    with_form(x, TN_FORM_UPPER)
}

#[pymethods]
impl Array {
    /// The lower Cholesky factor, as an expression.
    fn cholesky<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Expr>> {
        of_array(slf)?.get().unary(slf.py(), Unary::Cholesky)
    }

    /// The LU factors, as an expression: `f = x.lu()`, then `f.solve(b)` for each b, which factors once.
    fn lu<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Expr>> {
        of_array(slf)?.get().unary(slf.py(), Unary::Lu)
    }

    /// The solution y of x * y = b: an expression, or if x is a matrix and b has no form, the array.
    fn solve<'py>(slf: &Bound<'py, Self>, b: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        of_array(slf)?.get().method(b, Binary::Solve)
    }

    /// The conjugate transpose; of real numbers, `x.T`.
    #[getter]
    fn h<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        transpose_of_reals(slf.as_any())
    }

    /// The inverse, for products: `x.i * b` is `x.solve(b)`.
    #[getter]
    fn i(slf: &Bound<'_, Self>) -> PyResult<Inverse> {
        Ok(Inverse { of: of_array(slf)?.unbind() })
    }

    /// A copy with all elements of the matrix, also the zeros of a diagonal or a triangle, in form "full". float32 or
    /// float64.
    fn dense<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Array>> {
        let py = slf.py();
        let expr = leaf(slf.as_any(), TN_FORM_OF_HANDLE, false)?.get().unary(py, Unary::Dense)?;
        expr.call_method0("compute")?.cast_into::<Array>().map_err(PyErr::from)
    }
}

#[pymethods]
impl Expr {
    /// Makes NumPy leave operators to expressions: `n + e` is an expression.
    #[classattr]
    fn __array_ufunc__(py: Python<'_>) -> Py<PyAny> {
        py.None()
    }

    fn __add__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.binary(other, Binary::Add, false)
    }

    fn __radd__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.binary(other, Binary::Add, true)
    }

    fn __sub__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.binary(other, Binary::Subtract, false)
    }

    fn __rsub__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.binary(other, Binary::Subtract, true)
    }

    fn __mul__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match number(other)? {
            Some(factor) => Ok(self.unary(other.py(), Unary::Scale(factor))?.into_any()),
            None => self.binary(other, Binary::Multiply, false),
        }
    }

    fn __rmul__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match number(other)? {
            Some(factor) => Ok(self.unary(other.py(), Unary::Scale(factor))?.into_any()),
            None => self.binary(other, Binary::Multiply, true),
        }
    }

    fn __matmul__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.binary(other, Binary::Multiply, false)
    }

    fn __rmatmul__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.binary(other, Binary::Multiply, true)
    }

    fn __truediv__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match number(other)? {
            Some(divisor) => Ok(self.unary(other.py(), Unary::Scale(divisor.recip()))?.into_any()),
            None => self.binary(other, Binary::Elementwise(TN_EXPR_DIVIDE), false),
        }
    }

    fn __rtruediv__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.binary(other, Binary::Elementwise(TN_EXPR_DIVIDE), true)
    }

    fn __neg__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Expr>> {
        self.unary(py, Unary::Elementwise(TN_EXPR_NEGATE))
    }

    /// The lower Cholesky factor of a symmetric positive definite matrix, whose lower triangle is read.
    fn cholesky<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Expr>> {
        self.unary(py, Unary::Cholesky)
    }

    /// The LU factors of a square matrix, with partial pivoting: `f = e.lu()`, then `f.solve(b)` for each b, which factors
    /// once. `f * x` is the product with the matrix, `f.T` has the factors of the transpose, and `f.P`, `f.L`, `f.U` are
    /// the parts. Factors have no value of their own. A diagonal or a triangle is its own factor.
    fn lu<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Expr>> {
        self.unary(py, Unary::Lu)
    }

    /// The permutation of `f = e.lu()`: the matrix is `f.P * f.L * f.U`.
    #[getter(P)]
    fn lu_p<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Expr>> {
        self.unary(py, Unary::LuPart(TN_LU_P))
    }

    /// The lower factor of `f = e.lu()`, with a diagonal of ones.
    #[getter(L)]
    fn lu_l<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Expr>> {
        self.unary(py, Unary::LuPart(TN_LU_L))
    }

    /// The upper factor of `f = e.lu()`.
    #[getter(U)]
    fn lu_u<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Expr>> {
        self.unary(py, Unary::LuPart(TN_LU_U))
    }

    /// The solution x of self * x = b: by substitution for a lower factor or its transpose, by division for a
    /// diagonal matrix, with the factors of `lu()` for a full one.
    fn solve<'py>(&self, b: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.method(b, Binary::Solve)
    }

    /// The product element by element; `*` is the matrix product.
    fn times<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.method(other, Binary::Elementwise(TN_EXPR_MULTIPLY))
    }

    /// The transpose, which moves no elements.
    #[getter(T)]
    fn t<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Expr>> {
        self.unary(py, Unary::Transpose)
    }

    /// The conjugate transpose; of real numbers, `e.T`.
    #[getter]
    fn h<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        transpose_of_reals(slf.as_any())
    }

    /// The inverse, for products: `e.i * b` is `e.solve(b)`.
    #[getter]
    fn i(slf: &Bound<'_, Self>) -> Inverse {
        Inverse { of: slf.clone().unbind() }
    }

    /// The matrix with all elements, also the zeros of a diagonal or a triangle. A copy of them is counted in
    /// `tenure.copies()`.
    fn dense<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Expr>> {
        self.unary(py, Unary::Dense)
    }

    /// The sum over one axis, which is removed; without an axis, over all of them. A negative axis counts from the
    /// last.
    #[pyo3(signature = (axis=None))]
    fn sum<'py>(&self, py: Python<'py>, axis: Option<i32>) -> PyResult<Bound<'py, Expr>> {
        self.unary(py, Unary::Sum(axis.unwrap_or(TN_ALL_AXES)))
    }

    /// The square root of each element.
    fn sqrt<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Expr>> {
        self.unary(py, Unary::Elementwise(TN_EXPR_SQRT))
    }

    /// e to the power of each element.
    fn exp<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Expr>> {
        self.unary(py, Unary::Elementwise(TN_EXPR_EXP))
    }

    /// The natural logarithm of each element.
    fn log<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Expr>> {
        self.unary(py, Unary::Elementwise(TN_EXPR_LOG))
    }
}

/// `x.T` of a matrix of real numbers.
fn transpose_of_reals<'py>(x: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    if x.getattr("dtype")?.getattr("kind")?.extract::<String>()? == "c" {
        return Err(PyTypeError::new_err("x.h of complex numbers is not supported; take numpy.conjugate(x).T"));
    }
    x.getattr("T")
}

/// The inverse of a matrix, which is never computed: a product with it is a solution.
#[pyclass(frozen, module = "tenure", name = "Inverse")]
pub struct Inverse {
    of: Py<Expr>,
}

#[pymethods]
impl Inverse {
    /// Makes NumPy leave operators to this class.
    #[classattr]
    fn __array_ufunc__(py: Python<'_>) -> Py<PyAny> {
        py.None()
    }

    fn __mul__<'py>(&self, b: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.of.get().binary(b, Binary::Solve, false)
    }

    fn __matmul__<'py>(&self, b: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.__mul__(b)
    }

    fn __repr__(&self) -> String {
        "<inverse of a matrix; x.i * b solves x * y = b>".to_owned()
    }
}
