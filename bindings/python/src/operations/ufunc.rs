//! Calls of NumPy's functions on the bytes of arrays, each under a guard (PY-7). `tenure._ufunc` decides what is
//! called, and makes the arrays for the results.
//!
//! Contract: a function gets a NumPy array in place of each Tenure array among its arguments. Each array has one guard,
//! whatever the number of arguments that it is, so that `numpy.add(x, y, out=x)` does not conflict with itself. If a
//! guard is refused the function is not called, and nothing changes. The guards end with the call; only a view that the
//! function keeps has its guard longer. An exception of the function ends them as a return does, and the bytes are as
//! NumPy left them: they do not count as poisoned, because nearly all exceptions of NumPy come before it writes.

use crate::api;
use crate::base::{errors, site};
use crate::elements::lent::{Lent, open_guard};
use crate::exchange::asarray::from_buffer;
use crate::handles::array::Array;
use crate::sys::*;
use crate::values::checked::checked;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use smallvec::SmallVec;

/// An array among the arguments, and the NumPy array in its place.
struct Operand<'py> {
    array: Bound<'py, Array>,
    view: Bound<'py, PyAny>,
    writes: bool,
}

/// The arrays of a call.
#[derive(Default)]
struct Operands<'py> {
    // Dropped in this order, so that the last reference to an array of NumPy is that of its guard.
    each: SmallVec<[Operand<'py>; 4]>,
    lent: SmallVec<[Lent<'py>; 4]>,
}

/// What came of the attempt to open all guards.
enum Opening<'py> {
    Done(Operands<'py>),
    /// This array is read, and a part of it is written by the same call.
    Overlaps(Bound<'py, Array>),
}

/// How an array that is read relates to those that the same call writes.
enum Relation {
    /// It shares no byte with them.
    Apart,
    /// It has the elements of this one, in the same layout.
    Equal(usize),
    Overlapping,
}

type Arrays<'py> = SmallVec<[Bound<'py, Array>; 4]>;

impl<'py> Operands<'py> {
    /// Opens a write guard on each array of `written`, and then a read guard on each other one. `copies`: arrays to
    /// read in place of others.
    fn open(
        arrays: &Arrays<'py>,
        written: &Bound<'py, PyTuple>,
        copies: &[(Bound<'py, Array>, Bound<'py, Array>)],
    ) -> PyResult<Opening<'py>> {
        let _site = site::here(written.py());
        let mut open = Operands::default();
        for array in written.iter() {
            let array = array.cast_into::<Array>()?;
            if open.view_of(&array).is_none() {
                let (guard, view) = open_guard(&array, true)??;
                let lent = Lent::new(&array, guard, &view, true)?;
                open.add(array, lent, true);
            }
        }
        for array in arrays {
            if open.view_of(array).is_some() {
                continue;
            }
            let copy = copies.iter().find(|(copied, _)| copied.is(array)).map(|(_, copy)| copy);
            let source = copy.unwrap_or(array);
            match open_guard(source, false)? {
                Ok((guard, view)) => open.add(array.clone(), Lent::new(source, guard, &view, false)?, false),
                Err(failure) => {
                    // The next call replaces the message.
                    let refused = PyErr::from(failure);
                    // An array that is not live has none, and the refusal names the reason.
                    match open.relation(array).unwrap_or(Relation::Apart) {
                        Relation::Equal(at) => {
                            let view = open.each[at].view.clone();
                            open.each.push(Operand { array: array.clone(), view, writes: false });
                        }
                        Relation::Overlapping if copy.is_none() => return Ok(Opening::Overlaps(array.clone())),
                        _ => return Err(refused),
                    }
                }
            }
        }
        Ok(Opening::Done(open))
    }

    fn add(&mut self, array: Bound<'py, Array>, lent: Lent<'py>, writes: bool) {
        self.each.push(Operand { array, view: lent.view().clone(), writes });
        self.lent.push(lent);
    }

    fn relation(&self, array: &Bound<'py, Array>) -> PyResult<Relation> {
        let this = array.get();
        for (at, operand) in self.each.iter().enumerate().filter(|(_, operand)| operand.writes) {
            let other = operand.array.get();
            match api::overlap(this.id()?, other.id()?)? {
                TN_OVERLAP_NONE => {}
                TN_OVERLAP_EXACT if this.dtype() == other.dtype() && this.dims()? == other.dims()? => {
                    return Ok(Relation::Equal(at));
                }
                _ => return Ok(Relation::Overlapping),
            }
        }
        Ok(Relation::Apart)
    }

    fn view_of(&self, array: &Bound<'py, Array>) -> Option<&Bound<'py, PyAny>> {
        self.each.iter().find(|operand| operand.array.is(array)).map(|operand| &operand.view)
    }

    /// The argument with views in place of arrays.
    fn shown(&self, argument: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if let Ok(array) = argument.cast::<Array>() {
            let view = self.view_of(array).cloned();
            return Ok(view.unwrap_or(argument));
        }
        match argument.cast_exact::<PyTuple>() {
            Ok(tuple) => Ok(self.all_shown(tuple)?.into_any()),
            Err(_) => Ok(argument),
        }
    }

    fn all_shown(&self, arguments: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyTuple>> {
        let shown: SmallVec<[_; 4]> = arguments.iter().map(|argument| self.shown(argument)).collect::<PyResult<_>>()?;
        PyTuple::new(arguments.py(), shown)
    }

    /// The result with arrays in place of their views, where a function returns what it wrote.
    fn restored(&self, result: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if let Ok(tuple) = result.cast_exact::<PyTuple>() {
            let all: SmallVec<[_; 4]> = tuple.iter().map(|item| self.restored(item)).collect::<PyResult<_>>()?;
            return Ok(PyTuple::new(result.py(), all)?.into_any());
        }
        let written = self.each.iter().find(|operand| operand.writes && operand.view.is(&result));
        Ok(written.map_or(result, |operand| operand.array.clone().into_any()))
    }
}

/// Adds the arrays of an argument, each once.
fn collect<'py>(argument: &Bound<'py, PyAny>, arrays: &mut Arrays<'py>) {
    if let Ok(array) = argument.cast::<Array>() {
        if !arrays.iter().any(|known| known.is(array)) {
            arrays.push(array.clone());
        }
    } else if let Ok(tuple) = argument.cast_exact::<PyTuple>() {
        tuple.iter_borrowed().for_each(|item| collect(&item, arrays));
    }
}

/// Calls `function` with NumPy arrays in place of the arrays among its arguments, and in tuples there. Those in
/// `written` are written, the others read. Returns what it returns; an array that it wrote and returns is the Tenure
/// array.
#[pyfunction]
pub fn _run<'py>(
    function: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
    kwargs: &Bound<'py, PyDict>,
    written: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = function.py();
    let mut arrays = Arrays::new();
    collect(args.as_any(), &mut arrays);
    kwargs.iter().for_each(|(_, value)| collect(&value, &mut arrays));
    let mut copies = Vec::new();
    let operands = loop {
        match Operands::open(&arrays, written, &copies)? {
            Opening::Done(operands) => break operands,
            // NumPy would copy these elements too, before it writes.
            Opening::Overlaps(array) => {
                let (guard, view) = open_guard(&array, false)??;
                let copy = _copied(Lent::new(&array, guard, &view, false)?.view())?;
                copies.push((array, copy));
            }
        }
    };
    let options = PyDict::new(py);
    for (name, value) in kwargs.iter() {
        options.set_item(name, operands.shown(value)?)?;
    }
    let shown = operands.all_shown(args)?;
    let result = if options.is_empty() { function.call1(shown) } else { function.call(shown, Some(&options)) };
    operands.restored(result.map_err(|error| without_variables(py, error))?)
}

/// The error of a function, whose variables are cleared: a caller that keeps the error would keep the views, and with
/// them the guards.
fn without_variables(py: Python<'_>, error: PyErr) -> PyErr {
    let clear = |error: &PyErr| py.import("traceback")?.getattr("clear_frames")?.call1((error.traceback(py),));
    // The error that happened is worth more than one in here.
    let _ = clear(&error);
    if let Some(context) = error.context(py) {
        let _ = clear(&context);
    }
    error
}

/// The object, or a NumPy array in its place, for `numpy.asarray`. Raises where its buffer or array interface cannot be
/// right.
#[pyfunction]
pub fn _checked<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    checked(object)
}

/// A new array with the elements of a NumPy array. The copy book has it; a thread that forbids copies gets an error.
#[pyfunction]
pub fn _copied<'py>(values: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Array>> {
    let py = values.py();
    if api::copies_forbidden()? {
        let text = "this would copy, because NumPy cannot write its result into the memory of the new array, or reads elements \
                    that it also writes; the thread forbids copies";
        return Err(errors::with_text(py, TN_ERR_WOULD_COPY, text, false));
    }
    from_buffer(py, values, None, Some(true))
}
