//! The operators of arrays: `x + y`, `y + x`, `x += y`, `-x`, `x == y`, `x ** 2`, each a ufunc of NumPy; and
//! `__array_ufunc__`.
//!
//! Contract: an operator gives what NumPy's operator gives, as an array of Tenure. `elementwise` calls the ufunc where
//! the operands are simple, `tenure._ufunc` where they are not.

use crate::handles::array::Array;
use crate::operations::elementwise::call;
use crate::operations::forms;
use crate::sys::*;
use crate::values::convert::kind;
use pyo3::basic::CompareOp;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyFloat, PyInt, PyString, PyTuple};

/// The result of an operator.
type Made<'py> = PyResult<Bound<'py, PyAny>>;

/// The ufuncs of operators, in the order of `UFUNCS`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ufunc {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Remainder,
    Divmod,
    Power,
    Matmul,
    LeftShift,
    RightShift,
    And,
    Or,
    Xor,
    Negative,
    Positive,
    Absolute,
    Invert,
    Less,
    LessEqual,
    Equal,
    NotEqual,
    Greater,
    GreaterEqual,
    Square,
    Sqrt,
    Reciprocal,
}

const UFUNCS: [&str; 27] = [
    "add",
    "subtract",
    "multiply",
    "true_divide",
    "floor_divide",
    "remainder",
    "divmod",
    "power",
    "matmul",
    "left_shift",
    "right_shift",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "negative",
    "positive",
    "absolute",
    "invert",
    "less",
    "less_equal",
    "equal",
    "not_equal",
    "greater",
    "greater_equal",
    "square",
    "sqrt",
    "reciprocal",
];

/// NumPy's ufuncs, and the functions of `tenure._ufunc` for operands that are not simple.
struct Functions {
    ufuncs: Vec<Py<PyAny>>,
    operator: Py<PyAny>,
    in_place: Py<PyAny>,
    compared: Py<PyAny>,
    array_ufunc: Py<PyAny>,
}

fn functions(py: Python<'_>) -> PyResult<&'static Functions> {
    static FOUND: PyOnceLock<Functions> = PyOnceLock::new();
    FOUND.get_or_try_init(py, || {
        let (numpy, module) = (py.import("numpy")?, py.import("tenure._ufunc")?);
        let function = |name: &str| module.getattr(name).map(Bound::unbind);
        Ok(Functions {
            ufuncs: UFUNCS.iter().map(|name| numpy.getattr(*name).map(Bound::unbind)).collect::<PyResult<_>>()?,
            operator: function("_operator")?,
            in_place: function("_in_place")?,
            compared: function("_compared")?,
            array_ufunc: function("_array_ufunc")?,
        })
    })
}

/// The right operand of `x += y`. A type that refuses ufuncs, such as an expression, is none: Python then tries `x +
/// y`.
struct Right<'py>(Bound<'py, PyAny>);

impl<'py> FromPyObject<'_, 'py> for Right<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Right<'py>> {
        let refuses =
            object.get_type().getattr(pyo3::intern!(object.py(), "__array_ufunc__")).is_ok_and(|own| own.is_none());
        if refuses { Err(PyTypeError::new_err("this type refuses ufuncs")) } else { Ok(Right(object.to_owned())) }
    }
}

/// Raises TypeError for a ufunc of several operands, of which one has a form. Comparisons compare the stored elements.
fn check_forms(functions: &Functions, ufunc: &Bound<'_, PyAny>, operands: &[Bound<'_, PyAny>]) -> PyResult<()> {
    let mut stores_fewer = false;
    for operand in operands {
        stores_fewer |= forms::stores_fewer(operand)?;
    }
    let compares = || (Ufunc::Less as usize..=Ufunc::GreaterEqual as usize).any(|at| functions.ufuncs[at].is(ufunc));
    if stores_fewer && !compares() && ufunc.getattr("nin")?.extract::<usize>()? > 1 {
        return Err(forms::refusal(&format!("numpy.{}", ufunc.getattr("__name__")?.extract::<String>()?)));
    }
    Ok(())
}

fn unary<'py>(array: &Bound<'py, Array>, ufunc: Ufunc) -> Made<'py> {
    let functions = functions(array.py())?;
    if ufunc == Ufunc::Negative
        && let Some(expression) = forms::negative(array.as_any())?
    {
        return Ok(expression);
    }
    let ufunc = functions.ufuncs[ufunc as usize].bind(array.py());
    match call(ufunc, &[array.as_any()], None, false)? {
        Some(result) => Ok(result),
        None => ufunc.call1((array,)),
    }
}

/// `x op y`. turned: the array is the right operand, for the decision which of the two is asked.
fn binary<'py>(x: &Bound<'py, PyAny>, y: &Bound<'py, PyAny>, ufunc: Ufunc, turned: bool) -> Made<'py> {
    let functions = functions(x.py())?;
    if let Some(expression) = forms::binary(UFUNCS[ufunc as usize], x, y)? {
        return Ok(expression);
    }
    let is_matmul = ufunc == Ufunc::Matmul;
    let ufunc = functions.ufuncs[ufunc as usize].bind(x.py());
    match call(ufunc, &[x, y], None, is_matmul)? {
        Some(result) => Ok(result),
        None => functions.operator.bind(x.py()).call1((ufunc, x, y, turned)),
    }
}

fn in_place(array: &Bound<'_, Array>, other: &Right<'_>, ufunc: Ufunc) -> PyResult<()> {
    let functions = functions(array.py())?;
    let of_axes = ufunc == Ufunc::Matmul;
    forms::check_in_place(UFUNCS[ufunc as usize], array.as_any(), &other.0)?;
    let ufunc = functions.ufuncs[ufunc as usize].bind(array.py());
    let done = if of_axes { None } else { call(ufunc, &[array.as_any(), &other.0], Some(array), false)? };
    if done.is_none() {
        functions.in_place.bind(array.py()).call1((ufunc, array, &other.0))?;
    }
    Ok(())
}

/// The ufunc that NumPy's own `**` calls for some exponents: its result may differ from that of `power` in the last bit
/// or in the type.
fn power_of(array: &Array, exponent: &Bound<'_, PyAny>) -> PyResult<Option<Ufunc>> {
    let is_float = matches!(kind(array.dtype()).name.as_bytes(), [b'f' | b'c', ..]);
    if exponent.is_exact_instance_of::<PyInt>() && array.dtype() != TN_BF16 {
        return Ok(match exponent.extract::<i64>() {
            Ok(2) => Some(Ufunc::Square),
            Ok(-1) if is_float => Some(Ufunc::Reciprocal),
            _ => None,
        });
    }
    let root = is_float && exponent.is_exact_instance_of::<PyFloat>() && exponent.extract::<f64>()? == 0.5;
    Ok(root.then_some(Ufunc::Sqrt))
}

#[pymethods]
impl Array {
    fn __add__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        binary(slf.as_any(), other, Ufunc::Add, false)
    }

    fn __radd__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        binary(other, slf.as_any(), Ufunc::Add, true)
    }

    fn __iadd__(slf: &Bound<'_, Self>, other: Right<'_>) -> PyResult<()> {
        in_place(slf, &other, Ufunc::Add)
    }

    fn __sub__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        binary(slf.as_any(), other, Ufunc::Subtract, false)
    }

    fn __rsub__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        binary(other, slf.as_any(), Ufunc::Subtract, true)
    }

    fn __isub__(slf: &Bound<'_, Self>, other: Right<'_>) -> PyResult<()> {
        in_place(slf, &other, Ufunc::Subtract)
    }

    fn __mul__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        binary(slf.as_any(), other, Ufunc::Multiply, false)
    }

    fn __rmul__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        binary(other, slf.as_any(), Ufunc::Multiply, true)
    }

    fn __imul__(slf: &Bound<'_, Self>, other: Right<'_>) -> PyResult<()> {
        in_place(slf, &other, Ufunc::Multiply)
    }

    fn __truediv__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        binary(slf.as_any(), other, Ufunc::Divide, false)
    }

    fn __rtruediv__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        binary(other, slf.as_any(), Ufunc::Divide, true)
    }

    fn __itruediv__(slf: &Bound<'_, Self>, other: Right<'_>) -> PyResult<()> {
        in_place(slf, &other, Ufunc::Divide)
    }

    fn __floordiv__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        binary(slf.as_any(), other, Ufunc::FloorDivide, false)
    }

    fn __rfloordiv__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        binary(other, slf.as_any(), Ufunc::FloorDivide, true)
    }

    fn __ifloordiv__(slf: &Bound<'_, Self>, other: Right<'_>) -> PyResult<()> {
        in_place(slf, &other, Ufunc::FloorDivide)
    }

    fn __mod__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        binary(slf.as_any(), other, Ufunc::Remainder, false)
    }

    fn __rmod__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        binary(other, slf.as_any(), Ufunc::Remainder, true)
    }

    fn __imod__(slf: &Bound<'_, Self>, other: Right<'_>) -> PyResult<()> {
        in_place(slf, &other, Ufunc::Remainder)
    }

    fn __matmul__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        binary(slf.as_any(), other, Ufunc::Matmul, false)
    }

    fn __rmatmul__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        binary(other, slf.as_any(), Ufunc::Matmul, true)
    }

    fn __imatmul__(slf: &Bound<'_, Self>, other: Right<'_>) -> PyResult<()> {
        in_place(slf, &other, Ufunc::Matmul)
    }

    fn __lshift__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        binary(slf.as_any(), other, Ufunc::LeftShift, false)
    }

    fn __rlshift__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        binary(other, slf.as_any(), Ufunc::LeftShift, true)
    }

    fn __ilshift__(slf: &Bound<'_, Self>, other: Right<'_>) -> PyResult<()> {
        in_place(slf, &other, Ufunc::LeftShift)
    }

    fn __rshift__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        binary(slf.as_any(), other, Ufunc::RightShift, false)
    }

    fn __rrshift__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        binary(other, slf.as_any(), Ufunc::RightShift, true)
    }

    fn __irshift__(slf: &Bound<'_, Self>, other: Right<'_>) -> PyResult<()> {
        in_place(slf, &other, Ufunc::RightShift)
    }

    fn __and__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        binary(slf.as_any(), other, Ufunc::And, false)
    }

    fn __rand__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        binary(other, slf.as_any(), Ufunc::And, true)
    }

    fn __iand__(slf: &Bound<'_, Self>, other: Right<'_>) -> PyResult<()> {
        in_place(slf, &other, Ufunc::And)
    }

    fn __or__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        binary(slf.as_any(), other, Ufunc::Or, false)
    }

    fn __ror__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        binary(other, slf.as_any(), Ufunc::Or, true)
    }

    fn __ior__(slf: &Bound<'_, Self>, other: Right<'_>) -> PyResult<()> {
        in_place(slf, &other, Ufunc::Or)
    }

    fn __xor__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        binary(slf.as_any(), other, Ufunc::Xor, false)
    }

    fn __rxor__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        binary(other, slf.as_any(), Ufunc::Xor, true)
    }

    fn __ixor__(slf: &Bound<'_, Self>, other: Right<'_>) -> PyResult<()> {
        in_place(slf, &other, Ufunc::Xor)
    }

    fn __divmod__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        binary(slf.as_any(), other, Ufunc::Divmod, false)
    }

    fn __rdivmod__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Made<'py> {
        binary(other, slf.as_any(), Ufunc::Divmod, true)
    }

    fn __pow__<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, PyAny>,
        modulo: Option<&Bound<'py, PyAny>>,
    ) -> Made<'py> {
        if modulo.is_some() {
            return Ok(slf.py().NotImplemented().into_bound(slf.py()));
        }
        match power_of(slf.get(), other)?.filter(|_| !forms::has_form(slf.as_any()).unwrap_or(false)) {
            Some(ufunc) => unary(slf, ufunc),
            None => binary(slf.as_any(), other, Ufunc::Power, false),
        }
    }

    fn __rpow__<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, PyAny>,
        modulo: Option<&Bound<'py, PyAny>>,
    ) -> Made<'py> {
        match modulo {
            Some(_) => Ok(slf.py().NotImplemented().into_bound(slf.py())),
            None => binary(other, slf.as_any(), Ufunc::Power, true),
        }
    }

    fn __ipow__(slf: &Bound<'_, Self>, other: Right<'_>, _modulo: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let Some(ufunc) = power_of(slf.get(), &other.0)?.filter(|_| !forms::has_form(slf.as_any()).unwrap_or(false))
        else {
            return in_place(slf, &other, Ufunc::Power);
        };
        let ufunc = functions(slf.py())?.ufuncs[ufunc as usize].bind(slf.py());
        if call(ufunc, &[slf.as_any()], Some(slf), false)?.is_none() {
            ufunc.call1((slf, slf))?;
        }
        Ok(())
    }

    fn __neg__<'py>(slf: &Bound<'py, Self>) -> Made<'py> {
        unary(slf, Ufunc::Negative)
    }

    fn __pos__<'py>(slf: &Bound<'py, Self>) -> Made<'py> {
        unary(slf, Ufunc::Positive)
    }

    fn __abs__<'py>(slf: &Bound<'py, Self>) -> Made<'py> {
        unary(slf, Ufunc::Absolute)
    }

    fn __invert__<'py>(slf: &Bound<'py, Self>) -> Made<'py> {
        unary(slf, Ufunc::Invert)
    }

    /// Compares element by element, as NumPy does.
    fn __richcmp__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>, op: CompareOp) -> Made<'py> {
        let (ufunc, name) = match op {
            CompareOp::Lt => (Ufunc::Less, "lt"),
            CompareOp::Le => (Ufunc::LessEqual, "le"),
            CompareOp::Eq => (Ufunc::Equal, "eq"),
            CompareOp::Ne => (Ufunc::NotEqual, "ne"),
            CompareOp::Gt => (Ufunc::Greater, "gt"),
            CompareOp::Ge => (Ufunc::GreaterEqual, "ge"),
        };
        let functions = functions(slf.py())?;
        let ufunc = functions.ufuncs[ufunc as usize].bind(slf.py());
        match call(ufunc, &[slf.as_any(), other], None, false)? {
            Some(result) => Ok(result),
            None => functions.compared.bind(slf.py()).call1((ufunc, PyString::intern(slf.py(), name), slf, other)),
        }
    }

    /// NumPy calls it for `numpy.add(x, y)` and the like.
    #[pyo3(signature = (ufunc, method, *inputs, **kwargs))]
    fn __array_ufunc__<'py>(
        slf: &Bound<'py, Self>,
        ufunc: &Bound<'py, PyAny>,
        method: &Bound<'py, PyString>,
        inputs: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> Made<'py> {
        let functions = functions(slf.py())?;
        let mut operands: Vec<_> = inputs.iter().collect();
        if let Some(out) = kwargs.map(|kwargs| kwargs.get_item("out")).transpose()?.flatten() {
            match out.cast_into::<PyTuple>() {
                Ok(outs) => operands.extend(outs.iter()),
                Err(other) => operands.push(other.into_inner()),
            }
        }
        check_forms(functions, ufunc, &operands)?;
        if matches!(inputs.len(), 1 | 2)
            && method.to_str()? == "__call__"
            && let Some(out) = only_out(kwargs)?
        {
            let is_matmul = ufunc.is(&functions.ufuncs[Ufunc::Matmul as usize]);
            let operands: [_; 2] = [inputs.get_item(0)?, inputs.get_item(inputs.len() - 1)?];
            let operands: [&Bound<'py, PyAny>; 2] = [&operands[0], &operands[1]];
            if let Some(result) = call(ufunc, &operands[..inputs.len()], out.as_ref(), is_matmul)? {
                return Ok(result);
            }
        }
        let mut arguments = vec![slf.as_any().clone(), ufunc.clone(), method.as_any().clone()];
        arguments.extend(inputs.iter());
        functions.array_ufunc.bind(slf.py()).call(PyTuple::new(slf.py(), arguments)?, kwargs)
    }
}

/// The array that is written, if any, where the keywords of a call have nothing else. None: they have.
fn only_out<'py>(kwargs: Option<&Bound<'py, PyDict>>) -> PyResult<Option<Option<Bound<'py, Array>>>> {
    let Some(kwargs) = kwargs.filter(|kwargs| !kwargs.is_empty()) else { return Ok(Some(None)) };
    let Some(out) = kwargs.get_item(pyo3::intern!(kwargs.py(), "out"))?.filter(|_| kwargs.len() == 1) else {
        return Ok(None);
    };
    match out.cast_exact::<PyTuple>() {
        Ok(outs) if outs.len() == 1 => Ok(outs.get_item(0)?.cast_into::<Array>().ok().map(Some)),
        _ => Ok(None),
    }
}
