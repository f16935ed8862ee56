//! The body of a function: the callables that compute its outputs and updates, run by one callback of the library.
//!
//! Contract: a call runs the body first, then the callables of the updates. They get array objects, or expressions, on
//! handles of the library, which end with the call. An exception goes to the Python call on this thread that runs the function. If C
//! code made the call, it goes to `sys.unraisablehook`.

use crate::api::{self, Id};
use crate::base::interpreter::while_alive;
use crate::base::site;
use crate::exchange::asarray::asarray;
use crate::handles::array::Array;
use crate::handles::array_extra::Description;
use crate::handles::expr::{Expr, value};
use crate::handles::promise::Promise;
use crate::operations::lazy::lazy;
use crate::sys::*;
use crate::values::convert::cached_objects;
use crate::values::foreign_buffer::ForeignBuffer;
use core::cell::RefCell;
use core::ffi::c_void;
use pyo3::exceptions::{PyRuntimeError, PySystemError, PyTypeError};
use pyo3::ffi;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// What makes the new value of a variable.
pub struct UpdateCode {
    /// For messages: the variable.
    pub what: String,
    /// None: the body makes it.
    pub callable: Option<Py<PyAny>>,
    /// The parameter that is the value itself, to be changed in place. None: the update is not in place.
    pub own_parameter: Option<usize>,
    /// A spare buffer is offered.
    pub reuse: bool,
}

impl UpdateCode {
    /// Whether the body returns the new value.
    fn is_returned(&self) -> bool {
        self.callable.is_none() && self.own_parameter.is_none()
    }
}

/// An output.
pub struct OutputCode {
    /// For messages: the output.
    pub what: String,
    /// It may share the memory of another object.
    pub borrow: bool,
    /// A spare buffer is offered.
    pub reuse: bool,
}

/// The callables of a function, and what they get.
pub struct Code {
    /// None: there are no outputs, and every update has a callable.
    pub body: Option<Py<PyAny>>,
    /// For each parameter its input. None: only the code of an update in place has it, as the value itself.
    pub parameters: Vec<Option<usize>>,
    /// For messages: the inputs.
    pub inputs: Vec<String>,
    pub outputs: Vec<OutputCode>,
    pub updates: Vec<UpdateCode>,
    /// The callables get and make expressions, which the library computes.
    pub is_lazy: bool,
}

impl Code {
    fn callables(&self) -> impl Iterator<Item = &Py<PyAny>> {
        self.body.iter().chain(self.updates.iter().filter_map(|update| update.callable.as_ref()))
    }

    /// What the body returns: the outputs, and updates by their position.
    fn returned_updates(&self) -> impl Iterator<Item = usize> {
        (0..self.updates.len()).filter(|k| self.updates[*k].is_returned())
    }
}

/// What the callback gets: the name of the function and its code.
pub struct Context {
    /// For messages.
    title: String,
    /// None: the garbage collector has cleared it.
    code: Mutex<Option<Arc<Code>>>,
}

impl Context {
    /// `title` names the function in messages.
    pub fn new(title: String, code: Code) -> Arc<Context> {
        Arc::new(Context { title, code: Mutex::new(Some(Arc::new(code))) })
    }

    /// The name of the function in messages.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The address for `callback` and `release`, which owns a reference.
    pub fn address(context: &Arc<Context>) -> *mut c_void {
        Arc::into_raw(context.clone()).cast_mut().cast()
    }

    /// Ends the reference of an address whose function was not created.
    ///
    /// # Safety
    /// - `address` comes from `address`, and `release` was not called with it.
    pub unsafe fn forget(address: *mut c_void) {
        // SAFETY: by this function's list.
        drop(unsafe { Arc::from_raw(address.cast::<Context>()) });
    }

    /// Visits the callables for the garbage collector.
    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        // The lock is held only by code that is attached and collects no garbage, so it is free here.
        let Ok(code) = self.code.try_lock() else { return Ok(()) };
        code.iter().flat_map(|code| code.callables()).try_for_each(|callable| visit.call(callable))
    }

    /// Drops the callables. A call that is running keeps its own references.
    pub fn clear(&self) {
        let code = self.code.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(code);
    }

    fn code(&self) -> PyResult<Arc<Code>> {
        let code = self.code.lock().unwrap_or_else(PoisonError::into_inner).clone();
        code.ok_or_else(|| PyRuntimeError::new_err("the garbage collector has ended this function"))
    }
}

/// A call that Python code makes.
struct PythonCall {
    context: *const Context,
    entered: bool,
    error: Option<PyErr>,
}

thread_local! {
    /// The calls that Python code makes on this thread, the innermost last.
    static CALLS: RefCell<Vec<PythonCall>> = const { RefCell::new(Vec::new()) };
}

/// Begins a call by Python code on this thread.
pub fn begin_call(context: &Arc<Context>) {
    let call = PythonCall { context: Arc::as_ptr(context), entered: false, error: None };
    CALLS.with_borrow_mut(|calls| calls.push(call));
}

/// Ends the innermost call. Returns whether its body began, and its exception.
pub fn end_call() -> (bool, Option<PyErr>) {
    let call = CALLS.with_borrow_mut(Vec::pop);
    call.map_or((false, None), |call| (call.entered, call.error))
}

/// Notes that the body begins, and returns the position of the call. None: C code makes it.
fn enter_call(context: *const Context) -> Option<usize> {
    CALLS.with_borrow_mut(|calls| {
        let last = calls.len().checked_sub(1)?;
        let call = &mut calls[last];
        if call.context != context || call.entered {
            return None;
        }
        call.entered = true;
        Some(last)
    })
}

/// Runs the body: the callback of the library. `T`: what the handles name, `tn_expr` for lazy code, else `tn_array`.
///
/// # Safety
/// - `context` comes from `Context::address`; the lists have as many items as its function has inputs, outputs and
///   updates.
pub unsafe extern "C" fn callback<T>(
    context: *mut c_void,
    inputs: *const *mut T,
    outputs: *mut *mut T,
    updates: *mut *mut T,
) -> tn_status {
    // SAFETY: alive until `release`, which the library calls after the last call.
    let context = unsafe { &*context.cast::<Context>() };
    let call = enter_call(context);
    let attached = while_alive(|py| {
        let pending = PyErr::take(py);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let code = context.code()?;
            // SAFETY: by this function's list; an `Id` of 64 bits has the bits of the handle.
            let (inputs, outputs, updates) = unsafe {
                (
                    items(inputs.cast_mut().cast::<Id>(), code.inputs.len()),
                    items(outputs.cast::<Id>(), code.outputs.len()),
                    items(updates.cast::<Id>(), code.updates.len()),
                )
            };
            Run { py, code: &code, title: &context.title }.run(inputs, outputs, updates)
        }));
        let outcome = outcome.unwrap_or_else(|_| Err(PySystemError::new_err("a bug in tenure, please report it")));
        let status = if outcome.is_ok() { TN_OK } else { TN_ERR_FAILED };
        match (outcome, call) {
            (Err(error), Some(call)) => CALLS.with_borrow_mut(|calls| calls[call].error = Some(error)),
            (Err(error), None) => error.write_unraisable(py, None),
            // Copies that follow belong to the line of the call. The calls of the body have set others.
            (Ok(()), Some(_)) => core::mem::forget(site::here(py)),
            (Ok(()), None) => {}
        }
        if let Some(pending) = pending {
            pending.restore(py);
        }
        status
    });
    attached.unwrap_or(TN_ERR_FAILED)
}

/// A list of the callback.
///
/// # Safety
/// - `at` has `n` items, and may be anything for none.
unsafe fn items<'a>(at: *mut Id, n: usize) -> &'a mut [Id] {
    if n == 0 {
        return &mut [];
    }
    // SAFETY: by this function's list.
    unsafe { core::slice::from_raw_parts_mut(at, n) }
}

/// Ends the library's reference on a context.
///
/// # Safety
/// - Called by the library, once for each function.
pub unsafe extern "C" fn release(context: *mut c_void) {
    // SAFETY: made by `Context::address`.
    let mut context = Some(unsafe { Arc::from_raw(context.cast::<Context>()) });
    // The callables are dropped attached, or leaked where the interpreter is ending.
    while_alive(|_| drop(context.take()));
    core::mem::forget(context);
}

/// References to an array object that this module holds while a callable runs: its own one and that of the tuple of
/// arguments. `give` does not count them as variables.
const OWN_REFS: i32 = 2;

/// Objects on handles of the library: arrays, or expressions. At the end they lose their handles, which the library
/// releases.
struct Lent<'py> {
    objects: Vec<(Bound<'py, PyAny>, Id)>,
    are_lazy: bool,
}

impl<'py> Lent<'py> {
    fn add(&mut self, py: Python<'py>, id: Id) -> PyResult<usize> {
        let object = if self.are_lazy {
            Expr::wrap(py, id, false)?.into_any()
        } else {
            let array = Array::adopt(py, id)?;
            array.get().add_protocol_refs(OWN_REFS);
            array.into_any()
        };
        self.objects.push((object, id));
        Ok(self.objects.len() - 1)
    }

    fn object(&self, at: usize) -> &Bound<'py, PyAny> {
        &self.objects[at].0
    }

    /// The handle of an object of this list.
    fn handle_of(&self, object: &Bound<'py, PyAny>) -> Option<Id> {
        self.objects.iter().find(|(lent, _)| lent.is(object)).map(|(_, id)| *id)
    }

    /// Takes the handles out of the objects.
    fn end(&mut self, title: &str) {
        for (object, _) in self.objects.drain(..) {
            if let Ok(expr) = object.cast::<Expr>() {
                expr.get().surrender();
            }
            let Ok(array) = object.cast::<Array>() else { continue };
            array.get().add_protocol_refs(-OWN_REFS);
            let name = (references(&object) > 1)
                .then(|| array.getattr("name").and_then(|name| name.extract()).unwrap_or_default());
            let place = || format!(" when the call of {title} ended; copy or return it");
            array.get().surrender(|| name.map(|name| Description { name, place: place() }));
        }
    }
}

/// How many references an object has.
fn references(object: &Bound<'_, PyAny>) -> u32 {
    // SAFETY: a live object, attached. The low half is the count, see `handles::references`.
    unsafe { ffi::Py_REFCNT(object.as_ptr()) as u32 }
}

/// What the callables made. It is released unless the library gets it.
#[derive(Default)]
struct Produced<'py> {
    arrays: Vec<Id>,
    expressions: Vec<Bound<'py, Expr>>,
}

impl Produced<'_> {
    /// The library has the handles.
    fn keep(mut self) {
        self.arrays.clear();
        self.expressions.drain(..).for_each(|expr| expr.get().surrender());
    }
}

impl Drop for Produced<'_> {
    fn drop(&mut self) {
        for id in self.arrays.drain(..) {
            let _ = api::release(id);
        }
    }
}

/// A call of the callback.
struct Run<'a, 'py> {
    py: Python<'py>,
    code: &'a Code,
    title: &'a str,
}

/// Where the objects of a call are in the list of lent ones.
struct Places {
    outputs: Vec<Option<usize>>,
    updates: Vec<Option<usize>>,
}

impl<'py> Run<'_, 'py> {
    fn run(&self, inputs: &[Id], outputs: &mut [Id], updates: &mut [Id]) -> PyResult<()> {
        // References of this call: the garbage collector may clear the function meanwhile, if only C code has it.
        let _callables: Vec<_> = self.code.callables().map(|callable| callable.clone_ref(self.py)).collect();
        let objects = Vec::with_capacity(inputs.len() + outputs.len() + updates.len());
        let mut lent = Lent { objects, are_lazy: self.code.is_lazy };
        let mut produced = Produced::default();
        let outcome = self.compute(inputs, outputs, updates, &mut lent, &mut produced);
        lent.end(self.title);
        let (new_outputs, new_updates) = outcome?;
        // The library ends what the callables found in the places and did not use.
        outputs.copy_from_slice(&new_outputs);
        updates.copy_from_slice(&new_updates);
        produced.keep();
        Ok(())
    }

    /// The handles of the outputs and of the new values.
    fn compute(
        &self,
        inputs: &[Id],
        outputs: &[Id],
        updates: &[Id],
        lent: &mut Lent<'py>,
        produced: &mut Produced<'py>,
    ) -> PyResult<(Vec<Id>, Vec<Id>)> {
        let code = self.code;
        for input in inputs {
            lent.add(self.py, *input)?;
        }
        let mut add = |places: &[Id]| -> PyResult<Vec<Option<usize>>> {
            let add = |id: &Id| (*id != Id::NULL).then(|| lent.add(self.py, *id)).transpose();
            places.iter().map(add).collect()
        };
        let places = Places { outputs: add(outputs)?, updates: add(updates)? };
        let mut new_outputs = Vec::with_capacity(outputs.len());
        let mut new_updates = vec![Id::NULL; updates.len()];
        if let Some(body) = &code.body {
            let own = code.updates.iter().enumerate().filter(|(_, update)| update.callable.is_none());
            let arguments = self.arguments(lent, &places, own.map(|(k, _)| k))?;
            let offers = code.outputs.iter().any(|output| output.reuse)
                || code.returned_updates().any(|k| code.updates[k].reuse);
            let spares = places.outputs.iter().copied().chain(code.returned_updates().map(|k| places.updates[k]));
            let spares: Vec<_> = spares.collect();
            let returned = self.call(body, arguments, lent, offers.then_some(&spares))?;
            let mut returned = self.split(returned)?.into_iter();
            for output in &code.outputs {
                let value = returned.next().filter(|value| !value.is_none()).ok_or_else(|| {
                    PyTypeError::new_err(format!(
                        "the body of {} returned None for {}; return an array, or pass outputs=[]",
                        self.title, output.what
                    ))
                })?;
                new_outputs.push(self.handle(value, &output.what, output.borrow, lent, produced)?);
            }
            for (k, value) in code.returned_updates().zip(returned) {
                if !value.is_none() {
                    new_updates[k] = self.handle(value, &code.updates[k].what, false, lent, produced)?;
                }
            }
        }
        // Changes in place come last: an exception before them leaves every value as it was.
        for in_place in [false, true] {
            let ready = code.updates.iter().enumerate().filter(|(_, u)| u.own_parameter.is_some() == in_place);
            for (k, update) in ready {
                let value = match &update.callable {
                    Some(callable) => {
                        let arguments = self.arguments(lent, &places, core::iter::once(k))?;
                        Some(self.call(callable, arguments, lent, update.reuse.then_some(&[places.updates[k]]))?)
                    }
                    None => None,
                };
                if let Some(value) = value.filter(|value| !value.is_none()) {
                    new_updates[k] = self.handle(value, &code.updates[k].what, false, lent, produced)?;
                } else if in_place {
                    new_updates[k] = updates[k];
                }
            }
        }
        Ok((new_outputs, new_updates))
    }

    /// The arguments of a callable that makes the updates `own`.
    fn arguments(
        &self,
        lent: &Lent<'py>,
        places: &Places,
        own: impl Iterator<Item = usize>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let mut at = self.code.parameters.clone();
        for k in own {
            if let Some(parameter) = self.code.updates[k].own_parameter {
                at[parameter] = places.updates[k];
            }
        }
        let none = || PyRuntimeError::new_err(format!("{} got no value to change in place", self.title));
        let objects = at.into_iter().map(|at| at.map(|at| lent.object(at)).ok_or_else(none));
        PyTuple::new(self.py, objects.collect::<PyResult<Vec<_>>>()?)
    }

    /// Calls a callable. `spares`: it gets `out`, one array or None, or a tuple of them.
    fn call(
        &self,
        callable: &Py<PyAny>,
        arguments: Bound<'py, PyTuple>,
        lent: &Lent<'py>,
        spares: Option<&[Option<usize>]>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let Some(spares) = spares else { return callable.bind(self.py).call1(arguments) };
        let spares: Vec<_> = spares.iter().map(|at| at.map(|at| lent.object(at).clone())).collect();
        let options = PyDict::new(self.py);
        match &spares[..] {
            [one] => options.set_item("out", one)?,
            several => options.set_item("out", PyTuple::new(self.py, several)?)?,
        }
        callable.bind(self.py).call(arguments, Some(&options))
    }

    /// The values that the body returned.
    fn split(&self, returned: Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let names: Vec<&str> = self
            .code
            .outputs
            .iter()
            .map(|output| &*output.what)
            .chain(self.code.returned_updates().map(|k| &*self.code.updates[k].what))
            .collect();
        if names.len() == 1 {
            return Ok(vec![returned]);
        }
        let mut values = Vec::new();
        if let Ok(tuple) = returned.cast::<PyTuple>() {
            values.extend(tuple.iter());
        } else if let Ok(list) = returned.cast::<PyList>() {
            values.extend(list.iter());
        } else if !(returned.is_none() && names.is_empty()) {
            values.push(returned.clone());
        }
        if values.len() == names.len() {
            return Ok(values);
        }
        let what = returned.get_type().name()?;
        let advice = match names.len() {
            0 => "it has no output; return None, or pass outputs=[tenure.Out()]".to_owned(),
            n => format!("return a tuple of {n}: {}", names.join(", ")),
        };
        Err(PyTypeError::new_err(format!("the body of {} returned {what}; {advice}", self.title)))
    }

    /// The handle of a value that a callable returned: the lent one, or a new one. Without `borrow` the memory of an
    /// object that others may refer to is copied.
    fn handle(
        &self,
        object: Bound<'py, PyAny>,
        what: &str,
        borrow: bool,
        lent: &Lent<'py>,
        produced: &mut Produced<'py>,
    ) -> PyResult<Id> {
        if self.code.is_lazy {
            let what = || format!("{what} of {}", self.title);
            return expression(object, lent, produced).map_err(|error| noted(self.py, error, what));
        }
        let id = match (object.cast::<Array>(), object.cast::<Promise>()) {
            (Ok(array), _) => {
                let id = array.get().id()?;
                if let Some(id) = lent.handle_of(&object) {
                    return Ok(id);
                }
                // The object ends here, unless others refer to it.
                api::clone(id)?
            }
            (_, Ok(promise)) => api::take(&[promise.get().id()])?[0],
            _ => {
                let array = match value(&object)? {
                    Some(array) => array,
                    None => {
                        let what = || format!("{what} of {}", self.title);
                        let outcome = self.converted(object, borrow, produced);
                        return outcome.map_err(|error| noted(self.py, error, what));
                    }
                };
                // A new object that nothing else refers to.
                array.get().surrender(|| None).unwrap_or(Id::NULL)
            }
        };
        produced.arrays.push(id);
        Ok(id)
    }

    fn converted(&self, object: Bound<'py, PyAny>, borrow: bool, produced: &mut Produced<'py>) -> PyResult<Id> {
        let id = match moved(&object)? {
            Some(id) => id,
            None => {
                let copy = has_memory(&object)? && (!borrow || is_scalar(&object)?);
                let array = asarray(self.py, &object, None, copy.then_some(true))?;
                array.get().surrender(|| None).unwrap_or(Id::NULL)
            }
        };
        produced.arrays.push(id);
        Ok(id)
    }
}

/// The handle of an expression that a callable returned: the lent one, a new one, or that of a leaf.
fn expression<'py>(object: Bound<'py, PyAny>, lent: &Lent<'py>, produced: &mut Produced<'py>) -> PyResult<Id> {
    if let Some(id) = lent.handle_of(&object) {
        return Ok(id);
    }
    let expr = match object.cast_into::<Expr>() {
        Ok(expr) if references(&expr) == 1 => expr,
        // Others refer to it, and keep it.
        Ok(expr) => lazy(expr.get().computed(expr.py(), 0)?.as_any(), None)?,
        Err(other) => lazy(&other.into_inner(), None)?,
    };
    let id = expr.get().id()?;
    produced.expressions.push(expr);
    Ok(id)
}

/// An error with a note on the value that it is about.
pub fn noted(py: Python<'_>, error: PyErr, what: impl FnOnce() -> String) -> PyErr {
    // A class of the program may refuse notes.
    let _ = error.value(py).call_method1("add_note", (format!("for {}", what()),));
    error
}

/// Whether the object has its elements in memory, unlike a list of numbers.
pub fn has_memory(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    // SAFETY: attached, a live object.
    if unsafe { ffi::PyObject_CheckBuffer(object.as_ptr()) } != 0 {
        return Ok(true);
    }
    for protocol in ["__array_interface__", "__dlpack__", "__arrow_c_array__"] {
        if object.get_type().hasattr(protocol)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the object is a single element of NumPy.
fn is_scalar(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    object.is_instance(&cached_objects(object.py())?.numpy.bind(object.py()).getattr("generic")?)
}

/// An array that owns the memory of a NumPy array to which nothing else refers. None: it is none.
fn moved(object: &Bound<'_, PyAny>) -> PyResult<Option<Id>> {
    let py = object.py();
    let ndarray = cached_objects(py)?.ndarray.bind(py);
    if !object.get_type().is(ndarray) || references(object) != 1 {
        return Ok(None);
    }
    let mut owner = object.clone();
    loop {
        let base = owner.getattr(pyo3::intern!(py, "base"))?;
        if base.is_none() {
            break;
        }
        // One reference of the view, and this one.
        if !base.get_type().is(ndarray) || references(&base) != 2 {
            return Ok(None);
        }
        owner = base;
    }
    if !owner.getattr(pyo3::intern!(py, "flags"))?.getattr(pyo3::intern!(py, "owndata"))?.is_truthy()? {
        return Ok(None);
    }
    drop(owner);
    let Ok(memory) = ForeignBuffer::of(object, Some(true)) else { return Ok(None) };
    let Ok(layout) = memory.layout() else { return Ok(None) };
    Ok(memory.import(&layout, TN_BORROW | TN_TAKE_OWNERSHIP).ok())
}
