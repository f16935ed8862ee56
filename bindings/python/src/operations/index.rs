//! `x[...]` and `x[...] = v`: views by integers, slices, ellipsis and None; single elements by a full index;
//! assignment.
//!
//! Contract: indexing copies only single elements. The library computes the views; here is the order of its calls: the
//! integers from the last axis to the first, one slice for the remaining axes, then the new axes. Intermediate handles
//! are released on every path. Lists, masks and other fancy indices would copy and are refused.

use crate::api::{self, Id};
use crate::elements::borrow::read_view;
use crate::elements::element;
use crate::handles::array::Array;
use crate::sys::*;
use crate::values::checked::{self, checked};
use crate::values::convert::{self, cached_objects, int_of};
use crate::values::foreign_buffer::ForeignBuffer;
use core::sync::atomic::{AtomicI64, Ordering};
use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyEllipsis, PyInt, PySlice, PyTuple};
use smallvec::SmallVec;

/// A handle that is released unless it is kept.
struct OwnedHandle(Id);

impl Drop for OwnedHandle {
    fn drop(&mut self) {
        let _ = api::release(self.0);
    }
}

impl OwnedHandle {
    fn keep(self) -> Id {
        let id = self.0;
        core::mem::forget(self);
        id
    }
}

/// One part of an index.
enum Part {
    Int(i64),
    Slice(tn_slice_spec),
    Rest,
    New,
}

/// An index, and how many integers and slices it has.
struct Index {
    parts: SmallVec<[Part; 4]>,
    ints: usize,
    slices: usize,
}

const WHOLE: tn_slice_spec = tn_slice_spec { start: 0, stop: i64::MAX, step: 1, reserved: [0; 4] };

fn slice_of(slice: &Bound<'_, PyAny>) -> PyResult<tn_slice_spec> {
    let mut spec = tn_slice_spec { start: 0, stop: 0, step: 0, reserved: [0; 4] };
    // SAFETY: attached, a slice; Py_ssize_t has 64 bits here. Absent bounds become 0 and the largest or smallest
    // number.
    let status = unsafe {
        ffi::PySlice_Unpack(
            slice.as_ptr(),
            (&raw mut spec.start).cast(),
            (&raw mut spec.stop).cast(),
            (&raw mut spec.step).cast(),
        )
    };
    if status < 0 {
        return Err(PyErr::fetch(slice.py()));
    }
    // So small a number means "absent" to the library; as one that the caller wrote, the next larger one means what it
    // does. An absent stop of a negative step is left.
    spec.start = spec.start.max(api::NONE + 1);
    spec.step = spec.step.max(api::NONE + 1);
    if spec.step > 0 {
        spec.stop = spec.stop.max(api::NONE + 1);
    }
    Ok(spec)
}

fn part_of(item: &Bound<'_, PyAny>) -> PyResult<Part> {
    if item.is_exact_instance_of::<PyInt>() {
        return Ok(Part::Int(int_of(item)?));
    }
    if item.is_instance_of::<PySlice>() {
        return Ok(Part::Slice(slice_of(item)?));
    }
    if item.is_none() {
        return Ok(Part::New);
    }
    if item.is_instance_of::<PyEllipsis>() {
        return Ok(Part::Rest);
    }
    if !item.is_instance_of::<pyo3::types::PyBool>()
        && let Ok(index) = int_of(item)
    {
        return Ok(Part::Int(index));
    }
    Err(PyTypeError::new_err(format!(
        "an index is an integer, a slice, ... or None, not {}; lists and masks copy: use numpy.asarray(x)[...]",
        item.get_type().name()?
    )))
}

impl Index {
    fn read(key: &Bound<'_, PyAny>, ndim: i32) -> PyResult<Index> {
        let mut parts = SmallVec::new();
        if let Ok(tuple) = key.cast::<PyTuple>() {
            for item in tuple.iter_borrowed() {
                parts.push(part_of(&item)?);
            }
        } else {
            parts.push(part_of(key)?);
        }
        let count = |what: fn(&Part) -> bool| parts.iter().filter(|p| what(p)).count();
        let ints = count(|p| matches!(p, Part::Int(_)));
        let slices = count(|p| matches!(p, Part::Slice(_)));
        if count(|p| matches!(p, Part::Rest)) > 1 {
            return Err(PyIndexError::new_err("an index can have only one ellipsis (...)"));
        }
        if ints + slices > ndim as usize {
            return Err(PyIndexError::new_err(format!(
                "too many indices: the array has {ndim} axes, {} were given",
                ints + slices
            )));
        }
        Ok(Index { parts, ints, slices })
    }

    /// Whether the index selects one element.
    fn is_full(&self, ndim: i32) -> bool {
        self.ints == ndim as usize && self.parts.len() == self.ints
    }

    /// The view and its number of axes. At least one call is made, so the handle is new.
    fn view(&self, array: Id, ndim: i32) -> PyResult<(Id, i32)> {
        let mut held: Option<OwnedHandle> = None;
        let mut step = |call: &dyn Fn(Id) -> api::Result<Id>| -> PyResult<()> {
            held = Some(OwnedHandle(call(held.as_ref().map_or(array, |h| h.0))?));
            Ok(())
        };
        let named = self.ints + self.slices;
        let rest = ndim as usize - named;
        // The integers, from the last axis on, so that the axes before keep their numbers.
        let has_rest = self.parts.iter().any(|p| matches!(p, Part::Rest));
        let mut axis = if has_rest { ndim as usize } else { named };
        for part in self.parts.iter().rev() {
            match part {
                Part::Int(at) => {
                    axis -= 1;
                    step(&|id| api::index(id, axis as i32, *at))?;
                }
                Part::Slice(_) => axis -= 1,
                Part::Rest => axis -= rest,
                Part::New => {}
            }
        }
        let left = ndim - self.ints as i32;
        if self.slices > 0 {
            let mut specs: SmallVec<[tn_slice_spec; 4]> = SmallVec::new();
            for part in &self.parts {
                match part {
                    Part::Slice(spec) => specs.push(*spec),
                    Part::Rest => specs.extend(core::iter::repeat_n(WHOLE, rest)),
                    _ => {}
                }
            }
            step(&|id| api::slice(id, &specs))?;
        }
        let mut axis = 0;
        for part in &self.parts {
            match part {
                Part::New => {
                    step(&|id| api::expand(id, axis))?;
                    axis += 1;
                }
                Part::Slice(_) => axis += 1,
                Part::Rest => axis += rest as i32,
                Part::Int(_) => {}
            }
        }
        let new = self.parts.iter().filter(|p| matches!(p, Part::New)).count() as i32;
        match held {
            Some(held) => Ok((held.keep(), left + new)),
            None => Ok((api::clone(array)?, ndim)),
        }
    }
}

/// The view of one element, without axes.
fn element(array: Id, index: &Index, ndim: i32) -> PyResult<OwnedHandle> {
    Ok(OwnedHandle(index.view(array, ndim)?.0))
}

fn read_element(py: Python<'_>, array: &Array, view: &OwnedHandle) -> PyResult<Py<PyAny>> {
    let element = element::read_one(py, view.0, convert::kind(array.dtype()).item_bytes)?.unwrap_or_default();
    convert::decode(py, &element, array.dtype())
}

/// `x[i]`: an element of a vector, otherwise a view.
pub fn at<'py>(py: Python<'py>, array: &Array, i: i64) -> PyResult<Py<PyAny>> {
    let view = api::index(array.id()?, 0, i)?;
    if array.ndim() == 1 {
        return read_element(py, array, &OwnedHandle(view));
    }
    Ok(Array::wrap(py, view, array.dtype(), array.ndim() - 1)?.into_any().unbind())
}

#[pymethods]
impl Array {
    fn __getitem__(&self, key: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = key.py();
        let id = self.id()?;
        if key.is_exact_instance_of::<PySlice>() && self.ndim() > 0 {
            let view = api::slice(id, &[slice_of(key)?])?;
            return Ok(Array::wrap(py, view, self.dtype(), self.ndim())?.into_any().unbind());
        }
        if key.is_exact_instance_of::<PyInt>() && self.ndim() > 0 {
            return at(py, self, int_of(key)?);
        }
        let index = Index::read(key, self.ndim())?;
        if index.is_full(self.ndim()) {
            return read_element(py, self, &element(id, &index, self.ndim())?);
        }
        let (view, ndim) = index.view(id, self.ndim())?;
        Ok(Array::wrap(py, view, self.dtype(), ndim)?.into_any().unbind())
    }

    fn __setitem__(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = key.py();
        let id = self.id()?;
        let index = Index::read(key, self.ndim())?;
        let (view, ndim) = index.view(id, self.ndim())?;
        let view = OwnedHandle(view);
        if index.is_full(self.ndim()) {
            let element = convert::encode(value, self.dtype())?;
            element::write_one(py, view.0, &element, convert::kind(self.dtype()).item_bytes)?;
            return Ok(());
        }
        if is_scalar(value)? {
            let element = convert::encode(value, self.dtype())?;
            return py.detach(|| api::fill(view.0, &element, TN_WAIT, Id::NULL).map_err(PyErr::from));
        }
        let view = Array::wrap(py, view.keep(), self.dtype(), ndim)?;
        assign(&view, value)
    }

    fn __delitem__(&self, _key: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(PyValueError::new_err("elements of an array cannot be deleted"))
    }

    /// Iterates over views along the first axis, or over the elements of a vector.
    fn __iter__(slf: Bound<'_, Self>) -> PyResult<Items> {
        let length = slf.get().length()?;
        Ok(Items { array: slf.unbind(), done: 0.into(), length, backwards: false })
    }

    fn __reversed__(slf: Bound<'_, Self>) -> PyResult<Items> {
        let length = slf.get().length()?;
        Ok(Items { array: slf.unbind(), done: 0.into(), length, backwards: true })
    }
}

/// The iterator over the first axis.
#[pyclass(frozen, module = "tenure", name = "ArrayIterator")]
pub struct Items {
    array: Py<Array>,
    done: AtomicI64,
    length: i64,
    backwards: bool,
}

#[pymethods]
impl Items {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let i = self.done.fetch_add(1, Ordering::Relaxed);
        if i >= self.length {
            self.done.store(self.length, Ordering::Relaxed);
            return Ok(None);
        }
        at(py, self.array.get(), if self.backwards { self.length - 1 - i } else { i }).map(Some)
    }

    fn __length_hint__(&self) -> i64 {
        (self.length - self.done.load(Ordering::Relaxed)).max(0)
    }
}

/// Whether the value is a number of Python or NumPy.
fn is_scalar(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    use pyo3::types::{PyComplex, PyFloat};
    if value.is_instance_of::<PyFloat>() || value.is_instance_of::<PyInt>() || value.is_instance_of::<PyComplex>() {
        return Ok(true);
    }
    // NumPy's scalars.
    cached_objects(value.py())?.numpy.bind(value.py()).getattr("generic").and_then(|g| value.is_instance(&g))
}

/// Sets all elements of `target` from `value`, broadcast and converted as NumPy does.
fn assign<'py>(target: &Bound<'py, Array>, value: &Bound<'py, PyAny>) -> PyResult<()> {
    let py = target.py();
    let (to, dims) = (target.get(), target.get().dims()?);
    if let Ok(from) = value.cast::<Array>() {
        let from = from.get();
        if from.dtype() == to.dtype() && from.ndim() <= to.ndim() {
            let (source, destination) = (from.id()?, to.id()?);
            if from.dims()? == dims {
                return py.detach(|| api::copy_into(source, destination, TN_WAIT, Id::NULL).map_err(PyErr::from));
            }
            let stretched = OwnedHandle(api::broadcast(source, &dims)?);
            return py.detach(|| api::copy_into(stretched.0, destination, TN_WAIT, Id::NULL).map_err(PyErr::from));
        }
    }
    let numpy = cached_objects(py)?.numpy.bind(py);
    let options = PyDict::new(py);
    let source = match value.cast::<Array>() {
        // NumPy has no such type.
        Ok(from) if to.dtype() == TN_BF16 => convert::narrowed(&read_view(from)?)?,
        Err(_) if to.dtype() == TN_BF16 => convert::narrowed(&checked(value)?)?,
        // Another element type: read under a guard, converted by NumPy.
        Ok(from) => read_view(from)?.call_method1("astype", (convert::dtype_object(py, to.dtype())?,))?,
        Err(_) => {
            options.set_item("dtype", convert::dtype_object(py, to.dtype())?)?;
            checked::asarray(value, Some(&options))?
        }
    };
    let shape = PyTuple::new(py, &dims)?;
    // NumPy drops leading axes of length 1.
    let extra = source.getattr("ndim")?.extract::<usize>()?.saturating_sub(dims.len());
    let mut source = source;
    for _ in 0..extra {
        if source.len()? != 1 {
            break;
        }
        source = source.get_item(0)?;
    }
    let from = source.getattr("shape")?;
    let stretched = numpy.getattr("broadcast_to")?.call1((source, &shape));
    let source = stretched.map_err(|error| match error.is_instance_of::<PyValueError>(py) {
        true => PyValueError::new_err(format!("elements of shape {from} do not go into a part of shape {shape}")),
        false => error,
    })?;
    let memory = ForeignBuffer::read(&source)?;
    memory.copy_into(py, to.id()?, to.dtype())
}
