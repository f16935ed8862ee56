//! The fast path of ufuncs: one result, and operands that are arrays of Tenure or NumPy and Python's numbers.
//!
//! Contract: `call` either does all that `tenure._ufunc` would do, or nothing: None leaves the call to that module,
//! which also raises the errors. So a refused guard and shapes that do not fit are None here. No Python code runs but
//! NumPy's, and a warning of NumPy's names the caller's line.

use crate::api::{self, Content, Id};
use crate::base::site;
use crate::elements::lent::{Lent, open_guard};
use crate::handles::array::{Array, RECORD_SITE_FROM_ELEMENTS, records_site};
use crate::sys::*;
use crate::values::convert::{Dims, cached_objects, dims_of, dtype_object, dtype_of, known_dtype_of};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyComplex, PyFloat, PyInt, PyTuple, PyType};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The element type of a number of Python, whose value does not matter (NEP 50), in place of a `tn_dtype`.
const INT: u32 = 1;
const FLOAT: u32 = 2;
const COMPLEX: u32 = 3;
/// No second operand; as a result: left to `tenure._ufunc`.
const NOTHING: u32 = 0;

/// The most combinations of a ufunc and element types whose result is remembered.
const MOST_KNOWN: usize = 4096;

/// The result's element type for a ufunc, by address, and the types of its operands. The reference keeps the address.
type Known = HashMap<(usize, [u32; 2]), (u32, Py<PyAny>)>;

static KNOWN: Mutex<Option<Known>> = Mutex::new(None);

/// Axes by number.
type Axes = SmallVec<[usize; 8]>;

/// An operand: where its elements are, and the object that the ufunc gets.
struct Operand<'py> {
    shape: Dims,
    strides: Dims,
    /// The number, the NumPy array, or the Tenure array, which `lent` replaces.
    object: Bound<'py, PyAny>,
    lent: Option<Lent<'py>>,
}

/// A number of Python or an array. None: something else.
fn code_of(object: &Bound<'_, PyAny>) -> PyResult<Option<u32>> {
    if let Ok(array) = object.cast::<Array>() {
        return Ok(Some(array.get().dtype()).filter(|dtype| *dtype != TN_BF16));
    }
    if object.is_exact_instance_of::<PyFloat>() {
        return Ok(Some(FLOAT));
    }
    if object.is_exact_instance_of::<PyInt>() {
        return Ok(Some(INT));
    }
    if object.is_exact_instance_of::<PyComplex>() {
        return Ok(Some(COMPLEX));
    }
    if object.get_type().is(&cached_objects(object.py())?.ndarray) {
        return known_dtype_of(&object.getattr(pyo3::intern!(object.py(), "dtype"))?);
    }
    Ok(None)
}

/// The object that means an element type to `tenure._ufunc`.
fn type_of<'py>(py: Python<'py>, code: u32) -> PyResult<Bound<'py, PyAny>> {
    let number = |class: Bound<'py, PyType>| Ok(class.into_any());
    match code {
        INT => number(py.get_type::<PyInt>()),
        FLOAT => number(py.get_type::<PyFloat>()),
        COMPLEX => number(py.get_type::<PyComplex>()),
        dtype => dtype_object(py, dtype),
    }
}

/// The element type of the result; NOTHING: left to `tenure._ufunc`.
fn result_type(ufunc: &Bound<'_, PyAny>, codes: [u32; 2]) -> PyResult<u32> {
    let key = (ufunc.as_ptr() as usize, codes);
    if let Some((found, _)) = KNOWN.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(|k| k.get(&key)) {
        return Ok(*found);
    }
    let py = ufunc.py();
    let types: SmallVec<[_; 2]> =
        codes.iter().filter(|code| **code != NOTHING).map(|code| type_of(py, *code)).collect::<PyResult<_>>()?;
    let found = helper(py)?.call1((ufunc, PyTuple::new(py, types)?))?;
    let found = if found.is_none() { NOTHING } else { known_dtype_of(&found)?.unwrap_or(NOTHING) };
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known_now = known.get_or_insert_default();
    let full = if known_now.len() >= MOST_KNOWN { core::mem::take(known_now) } else { Known::new() };
    known_now.insert(key, (found, ufunc.clone().unbind()));
    // The end of a ufunc may run other code, which must not find the lock taken.
    drop(known);
    drop(full);
    Ok(found)
}

fn helper(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static HELPER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let found =
        HELPER.get_or_try_init(py, || Ok::<_, PyErr>(py.import("tenure._ufunc")?.getattr("_simple_type")?.unbind()));
    Ok(found?.bind(py))
}

/// The operand's elements. None: a guard is refused, or the host cannot access the bytes.
fn operand_of<'py>(object: &Bound<'py, PyAny>, code: u32) -> PyResult<Option<Operand<'py>>> {
    let mut operand = Operand { shape: Dims::new(), strides: Dims::new(), object: object.clone(), lent: None };
    if let Ok(array) = object.cast::<Array>() {
        return lend(array, false);
    }
    if !matches!(code, INT | FLOAT | COMPLEX) {
        operand.shape = dims_of(&object.getattr(pyo3::intern!(object.py(), "shape"))?)?;
        operand.strides = dims_of(&object.getattr(pyo3::intern!(object.py(), "strides"))?)?;
    }
    Ok(Some(operand))
}

fn lend<'py>(array: &Bound<'py, Array>, writes: bool) -> PyResult<Option<Operand<'py>>> {
    let Ok((guard, view)) = open_guard(array, writes)? else { return Ok(None) };
    let ndim = view.ndim as usize;
    // SAFETY: ndim entries each, valid until the guard ends.
    let [shape, strides] =
        [view.shape, view.strides].map(|at| Dims::from_slice(unsafe { core::slice::from_raw_parts(at, ndim) }));
    let Ok(lent) = Lent::new(array, guard, &view, writes) else { return Ok(None) };
    Ok(Some(Operand { shape, strides, object: array.clone().into_any(), lent: Some(lent) }))
}

impl<'py> Operand<'py> {
    fn shown(&self) -> Bound<'py, PyAny> {
        self.lent.as_ref().map_or(&self.object, Lent::view).clone()
    }

    /// The strides over the axes of a result; 0 where the operand is broadcast.
    fn strides_over(&self, ndim: usize) -> Dims {
        let own = self.shape.iter().zip(&self.strides).map(|(length, stride)| if *length == 1 { 0 } else { *stride });
        core::iter::repeat_n(0, ndim - self.shape.len()).chain(own).collect()
    }
}

/// The shape of a result. None: the operands do not fit.
fn broadcast(operands: &[Operand<'_>]) -> Option<Dims> {
    let ndim = operands.iter().map(|operand| operand.shape.len()).max().unwrap_or(0);
    let mut shape: Dims = core::iter::repeat_n(1, ndim).collect();
    for operand in operands {
        let first = ndim - operand.shape.len();
        for (length, own) in shape[first..].iter_mut().zip(&operand.shape) {
            match (*length, *own) {
                (length, own) if length == own || own == 1 => {}
                (1, own) => *length = own,
                _ => return None,
            }
        }
    }
    Some(shape)
}

/// The shape of a product of two matrices or vectors. None: others, or they do not fit.
fn product(operands: &[Operand<'_>]) -> Option<Dims> {
    let [x, y] = operands else { return None };
    match (&x.shape[..], &y.shape[..]) {
        (&[rows, inner], &[length, columns]) if inner == length => Some(Dims::from_slice(&[rows, columns])),
        (&[rows, inner], &[length]) if inner == length => Some(Dims::from_slice(&[rows])),
        (&[inner], &[length, columns]) if inner == length => Some(Dims::from_slice(&[columns])),
        (&[inner], &[length]) if inner == length => Some(Dims::new()),
        _ => None,
    }
}

/// The axes of a result from the innermost in memory to the outermost, as NumPy's iterator orders them for operands
/// with these strides over them. A stride of 0 has no say.
fn axes_in_memory(ndim: usize, strides: &[Dims]) -> Axes {
    let mut axes: Axes = (0..ndim).rev().collect();
    for at in 1..ndim {
        let mut place = at;
        for other in (0..at).rev() {
            let mut inside = None;
            for strides in strides {
                match [axes[at], axes[other]].map(|axis| strides[axis].unsigned_abs()) {
                    [0, _] | [_, 0] => {}
                    // Where operands differ, the order C wins.
                    [mine, theirs] if theirs <= mine => inside = Some(false),
                    _ => inside = inside.or(Some(true)),
                }
            }
            match inside {
                Some(false) => break,
                Some(true) => place = other,
                None => {}
            }
        }
        axes[place..=at].rotate_right(1);
    }
    axes
}

/// A new array in the order K: its axes lie in memory as those of operands with these strides, and further axes inside.
#[pyfunction]
pub fn _new_like<'py>(
    shape: &Bound<'py, PyAny>,
    dtype: &Bound<'py, PyAny>,
    strides: Vec<Vec<i64>>,
) -> PyResult<Bound<'py, Array>> {
    let shape = dims_of(shape)?;
    let outer = strides.first().map_or(0, Vec::len).min(shape.len());
    let strides: Vec<Dims> = strides.into_iter().map(Dims::from_vec).collect();
    if strides.iter().any(|strides| strides.len() != outer) {
        return Err(PyValueError::new_err("the operands have different numbers of strides"));
    }
    let mut inside: Axes = (outer..shape.len()).rev().collect();
    inside.extend(axes_in_memory(outer, &strides));
    fresh(dtype.py(), dtype_of(dtype)?, &shape, &inside)
}

/// A new array whose axes lie in memory from the last of `inside` to the first.
fn fresh<'py>(py: Python<'py>, dtype: tn_dtype, shape: &[i64], inside: &[usize]) -> PyResult<Bound<'py, Array>> {
    let count = shape.iter().fold(1i64, |n, length| n.saturating_mul(*length));
    let _site = records_site(count).then(|| site::here(py));
    let make = |shape: &[i64]| api::array_new(Id::NULL, dtype, shape, Content::Empty, None);
    let id = if inside.iter().rev().copied().eq(0..shape.len()) {
        make(shape)?
    } else {
        let lengths: Dims = inside.iter().rev().map(|axis| shape[*axis]).collect();
        let mut axes: SmallVec<[i32; 8]> = core::iter::repeat_n(0, shape.len()).collect();
        for (at, axis) in inside.iter().rev().enumerate() {
            axes[*axis] = at as i32;
        }
        let made = make(&lengths)?;
        let turned = api::permute(made, &axes);
        let _ = api::release(made);
        turned?
    };
    let made = Array::wrap(py, id, dtype, shape.len() as i32)?;
    if count < RECORD_SITE_FROM_ELEMENTS {
        made.get().set_plain();
    }
    Ok(made)
}

/// Calls a ufunc with one or two operands, of which one is an array of Tenure. `out`: the array that is written; None
/// makes a new one. None: the call was left to `tenure._ufunc`.
pub fn call<'py>(
    ufunc: &Bound<'py, PyAny>,
    inputs: &[&Bound<'py, PyAny>],
    out: Option<&Bound<'py, Array>>,
    is_matmul: bool,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = ufunc.py();
    let mut codes = [NOTHING; 2];
    for (code, input) in codes.iter_mut().zip(inputs) {
        let Some(found) = code_of(input)? else { return Ok(None) };
        *code = found;
    }
    let dtype = result_type(ufunc, codes)?;
    if dtype == NOTHING || out.is_some_and(|out| out.get().dtype() == TN_BF16) {
        return Ok(None);
    }
    let site = site::here(py);
    let mut written = None;
    if let Some(out) = out {
        let Some(operand) = lend(out, true)? else { return Ok(None) };
        written = Some(operand);
    }
    let mut operands = SmallVec::<[Operand<'py>; 2]>::new();
    for (input, code) in inputs.iter().zip(codes) {
        let operand = match &written {
            // One guard for both.
            Some(written) if written.object.is(*input) => Operand {
                shape: written.shape.clone(),
                strides: written.strides.clone(),
                object: written.shown(),
                lent: None,
            },
            _ => match operand_of(input, code)? {
                Some(operand) => operand,
                None => return Ok(None),
            },
        };
        operands.push(operand);
    }
    let mut result = out.cloned();
    if result.is_none() {
        let shape = if is_matmul { product(&operands) } else { broadcast(&operands) };
        let Some(shape) = shape else { return Ok(None) };
        if !shape.is_empty() {
            let inside = match shape.len() {
                0 | 1 => core::iter::once(0).collect(),
                ndim if is_matmul => (0..ndim).rev().collect(),
                ndim => {
                    let strides: SmallVec<[Dims; 2]> =
                        operands.iter().map(|operand| operand.strides_over(ndim)).collect();
                    axes_in_memory(ndim, &strides)
                }
            };
            let made = fresh(py, dtype, &shape, &inside)?;
            written = lend(&made, true)?;
            result = Some(made);
        }
    }
    drop(site);
    let mut arguments: SmallVec<[Bound<'py, PyAny>; 3]> = operands.iter().map(Operand::shown).collect();
    arguments.extend(written.as_ref().map(Operand::shown));
    let returned = ufunc.call1(PyTuple::new(py, arguments)?)?;
    Ok(Some(result.map_or(returned, Bound::into_any)))
}
