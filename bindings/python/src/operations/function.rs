//! `tenure.Function`: the object that owns a function, and its calls. `tenure._function` has the declarations;
//! `function_body` runs the body.
//!
//! Contract: the end of the object releases the function. The garbage collector sees the callables, so a function whose
//! body refers to it is collected. A call releases the GIL, and the body takes it. A call that fails raises the
//! exception of the body unchanged, and leaves the caller's arrays as they were.

use crate::api::function::{self as c, Declared, Input, Update};
use crate::api::{self, Failure, Id, cuda};
use crate::base::{errors, site};
use crate::elements::create;
use crate::exchange::asarray::asarray;
use crate::handles::array::Array;
use crate::handles::expr::Expr;
use crate::handles::promise::Promise;
use crate::handles::variable::SharedVariable;
use crate::operations::function_body::{
    Code, Context, OutputCode, UpdateCode, begin_call, callback, end_call, has_memory, noted, release,
};
use crate::sys::*;
use crate::values::convert::{device_of, dtype_object, dtype_of, text_of};
use crate::values::foreign_buffer::ForeignBuffer;
use core::sync::atomic::{AtomicU64, Ordering};
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use smallvec::{SmallVec, smallvec};
use std::ffi::CString;
use std::sync::{Arc, Mutex, PoisonError};

/// Code of the program with declared inputs, outputs and updates: the result of `tenure.function(body, ...)`. Call it
/// with its arguments by position or by name.
#[pyclass(frozen, weakref, module = "tenure", name = "Function")]
pub struct Function {
    /// The handle's bits; 0: released.
    id: AtomicU64,
    context: Arc<Context>,
    name: Option<String>,
    arguments: Vec<Argument>,
    /// For each input of the library: the index of its argument; None: a variable.
    inputs: Vec<Option<usize>>,
    n_outputs: usize,
    n_updates: usize,
    /// The declarations; None: the function is not complete, or the garbage collector has cleared them.
    declared: Mutex<Option<Py<PyTuple>>>,
    /// `threading.local()`: what became of the values of the thread's last call.
    last: Py<PyAny>,
}

/// An input that is no variable.
struct Argument {
    name: String,
    flags: u32,
    /// The element type for a list; None: that of its elements.
    dtype: Option<tn_dtype>,
    has_default: bool,
    /// `givens` has its value: the caller passes none.
    is_given: bool,
}

impl Argument {
    fn takes(&self) -> bool {
        self.flags & TN_TAKE_OWNERSHIP != 0
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.end();
    }
}

/// What became of each argument, by its name, of each variable that is an input, of each output and of each update:
/// (how, why).
type Crossings = (Vec<(String, (u32, u32))>, Vec<(u32, u32)>, Vec<(u32, u32)>, Vec<(u32, u32)>);

/// The value for each argument of a call; None: the default.
type Values<'py> = SmallVec<[Option<Bound<'py, PyAny>>; 8]>;

/// The arguments of a call, as they are passed.
#[derive(Default)]
struct Passed<'py> {
    ids: SmallVec<[Id; 8]>,
    /// Arrays that are made for the call.
    made: Vec<Bound<'py, Array>>,
    /// Promises that cannot be undone, with the positions of their arrays.
    promises: Vec<(usize, Id)>,
}

impl<'py> Passed<'py> {
    fn make(&mut self, array: Bound<'py, Array>) -> PyResult<Id> {
        let id = array.get().id()?;
        self.made.push(array);
        Ok(id)
    }
}

impl Function {
    fn id(&self) -> PyResult<Id> {
        match self.id.load(Ordering::Relaxed) {
            0 => Err(Python::attach(|py| {
                errors::with_text(py, TN_ERR_STALE, "this function was released; only its repr works", false)
            })),
            id => Ok(Id(id)),
        }
    }

    fn end(&self) {
        let id = self.id.swap(0, Ordering::Relaxed);
        if id != 0 {
            // An open function always ends. A failure means that C code released it.
            let _ = c::release(Id(id));
        }
    }

    /// The arguments that a caller passes.
    fn expected(&self) -> impl Iterator<Item = (usize, &Argument)> {
        self.arguments.iter().enumerate().filter(|(_, argument)| !argument.is_given)
    }

    /// The value for each argument, by position or name; None: the default.
    fn bind<'py>(&self, args: &Bound<'py, PyTuple>, named: Option<&Bound<'py, PyDict>>) -> PyResult<Values<'py>> {
        let title = self.context.title();
        let mut values: Values<'py> = smallvec![None; self.arguments.len()];
        let expected = self.expected().count();
        if args.len() > expected {
            let names: Vec<_> = self.expected().map(|(_, argument)| argument.name.as_str()).collect();
            let got = args.len();
            let names = names.join(", ");
            let text = format!("{title} takes {expected} inputs ({names}), and the call passes {got} by position");
            return Err(PyTypeError::new_err(text));
        }
        for ((at, _), value) in self.expected().zip(args.iter()) {
            values[at] = Some(value);
        }
        for (name, value) in named.into_iter().flat_map(|named| named.iter()) {
            let name: String = name.extract()?;
            let Some((at, _)) = self.expected().find(|(_, argument)| argument.name == name) else {
                let is_given = self.arguments.iter().any(|argument| argument.name == name);
                let why = if is_given { "; givens has its value" } else { "" };
                return Err(PyTypeError::new_err(format!("{title} has no input {name:?}{why}")));
            };
            if values[at].replace(value).is_some() {
                return Err(PyTypeError::new_err(format!("{title} got two values for the input {name:?}")));
            }
        }
        match self.expected().find(|(at, argument)| values[*at].is_none() && !argument.has_default) {
            None => Ok(values),
            Some((_, argument)) => {
                let name = &argument.name;
                Err(PyTypeError::new_err(format!("{title} needs a value for the input {name:?}, which has no default")))
            }
        }
    }

    /// The handles to pass for the values.
    fn pass<'py>(&self, py: Python<'py>, values: Values<'py>) -> PyResult<Passed<'py>> {
        let mut passed = Passed::default();
        for (argument, value) in self.arguments.iter().zip(values) {
            let id = match value {
                None => Id::NULL,
                Some(value) => self.pass_one(py, argument, &value, &mut passed)?,
            };
            passed.ids.push(id);
        }
        if !passed.promises.is_empty() {
            let ids: Vec<Id> = passed.promises.iter().map(|(_, id)| *id).collect();
            let taken = api::take(&ids)?;
            // Every handle gets an object before an error is reported, so that none is lost.
            let arrays: Vec<_> = taken.into_iter().map(|id| Array::adopt(py, id)).collect();
            for ((at, _), array) in core::mem::take(&mut passed.promises).into_iter().zip(arrays) {
                passed.ids[at] = passed.make(array?)?;
            }
        }
        Ok(passed)
    }

    fn pass_one<'py>(
        &self,
        py: Python<'py>,
        argument: &Argument,
        value: &Bound<'py, PyAny>,
        passed: &mut Passed<'py>,
    ) -> PyResult<Id> {
        if let Ok(array) = value.cast::<Array>() {
            let array = array.get();
            let id = array.id()?;
            if !argument.takes() {
                return Ok(id);
            }
            // Without a promise the caller keeps the array. The function takes another claim on its bytes.
            return passed.make(Array::wrap(py, api::clone(id)?, array.dtype(), array.ndim())?);
        }
        if let Ok(promise) = value.cast::<Promise>() {
            return self.promised(argument, promise.get(), passed);
        }
        if value.is_instance_of::<SharedVariable>() {
            let (name, title) = (&argument.name, self.context.title());
            return Err(PyTypeError::new_err(format!(
                "the input {name:?} of {title} takes no variable; pass its get_value(borrow=True), or list the variable in shared"
            )));
        }
        let converted = || match argument.flags & TN_MAY_OVERWRITE != 0 && !argument.takes() {
            // The caller permits the function to overwrite it.
            true => writable(value)?.map_or_else(|| converted(argument, value), Ok),
            false => converted(argument, value),
        };
        let what = || format!("the input {:?} of {}", argument.name, self.context.title());
        converted().map_err(|error| noted(py, error, what)).and_then(|array| passed.make(array))
    }

    /// The handle of a given array. A promise that is enough to move the array is cancelled, and the call itself takes
    /// the array. So the array is usable again if the call fails.
    fn promised(&self, argument: &Argument, promise: &Promise, passed: &mut Passed<'_>) -> PyResult<Id> {
        if !argument.takes() {
            let (name, title) = (&argument.name, self.context.title());
            return Err(PyTypeError::new_err(format!(
                "the input {name:?} of {title} takes no promise; declare it as tenure.In({name:?}, take=True), or pass the array"
            )));
        }
        if let Some(giver) = promise.giver().filter(|_| promise.required() == 1)
            && api::query(giver).is_ok()
            && api::promise_cancel(promise.id()).is_ok()
        {
            return Ok(giver);
        }
        passed.promises.push((passed.ids.len(), promise.id()));
        Ok(Id::NULL)
    }

    /// Calls the function, and once more after a wait if an argument has unfinished device work.
    fn run(&self, function: Id, ids: &[Id], outputs: &mut [Id], how: &mut [tn_crossing]) -> PyResult<()> {
        let attempt = |outputs: &mut [Id], how: &mut [tn_crossing]| {
            begin_call(&self.context);
            // SAFETY: `__call__` makes the list from the numbers of the function's creation.
            let outcome = unsafe { c::call(function, ids, outputs, self.inputs.len(), how) };
            let (entered, error) = end_call();
            match (outcome, error) {
                (Err(_), Some(error)) => Err(error),
                (Err(Failure(TN_ERR_PENDING)), None) if !entered => Ok(false),
                (outcome, _) => Ok(outcome.map(|()| true)?),
            }
        };
        if attempt(outputs, how)? {
            return Ok(());
        }
        for id in ids.iter().filter(|id| **id != Id::NULL) {
            cuda::wait(*id, TN_READ)?;
        }
        match attempt(outputs, how)? {
            true => Ok(()),
            false => Err(Failure(TN_ERR_PENDING).into()),
        }
    }

    /// Keeps what became of the values, for the thread.
    fn note(&self, py: Python<'_>, how: &[tn_crossing]) -> PyResult<()> {
        // One object; few callers read it.
        let mut bytes: SmallVec<[u8; 64]> = SmallVec::new();
        for how in how {
            bytes.extend(how.how.to_ne_bytes());
            bytes.extend(how.why.to_ne_bytes());
        }
        self.last.bind(py).setattr(pyo3::intern!(py, "crossings"), PyBytes::new(py, &bytes))
    }
}

/// An array on the value's own memory that may be overwritten. None: it has none that may be shared so.
fn writable<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, Array>>> {
    // SAFETY: attached, a live object.
    if unsafe { ffi::PyObject_CheckBuffer(value.as_ptr()) } == 0 {
        return Ok(None);
    }
    let Ok(memory) = ForeignBuffer::of(value, Some(true)) else { return Ok(None) };
    let Ok(layout) = memory.layout() else { return Ok(None) };
    let Ok(id) = memory.import(&layout, TN_BORROW | TN_MAY_OVERWRITE) else { return Ok(None) };
    Array::wrap(value.py(), id, layout.dtype, layout.shape.len() as i32).map(Some)
}

/// A new array on the value's own memory, or on a copy where it has none.
fn converted<'py>(argument: &Argument, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Array>> {
    let py = value.py();
    if value.is_instance_of::<Expr>() || has_memory(value)? {
        return asarray(py, value, None, None);
    }
    let dtype = argument.dtype.map(|dtype| dtype_object(py, dtype)).transpose()?;
    create::array(py, value, dtype.as_ref(), None, None, None)
}

/// What `tenure._function` passes for each input: name, flags, element type, device, axes, default, variable, and
/// whether it is given.
type InputSpec<'py> = (
    Option<String>,
    u32,
    Option<Bound<'py, PyAny>>,
    Option<String>,
    i32,
    Option<Bound<'py, Array>>,
    Option<Bound<'py, SharedVariable>>,
    bool,
);

/// For each output: name, flags, element type, device, axes.
type OutputSpec<'py> = (Option<String>, u32, Option<Bound<'py, PyAny>>, Option<String>, i32);

/// For each update: variable, flags, callable, parameter that is the value itself.
type UpdateSpec<'py> = (Bound<'py, SharedVariable>, u32, Option<Bound<'py, PyAny>>, Option<usize>);

/// The texts that C gets stay alive in `names`.
fn declared<'a>(
    name: &'a Option<CString>,
    flags: u32,
    dtype: &Option<Bound<'_, PyAny>>,
    device: &Option<String>,
    ndim: i32,
) -> PyResult<Declared<'a>> {
    let dtype = dtype.as_ref().map(dtype_of).transpose()?.unwrap_or(0);
    let device = device.as_deref().map(device_of).transpose()?;
    Ok(Declared { name: name.as_deref(), flags, dtype, device, ndim })
}

fn names_of<'a>(names: impl Iterator<Item = &'a Option<String>>) -> PyResult<Vec<Option<CString>>> {
    names.map(|name| name.as_deref().map(text_of).transpose()).collect()
}

/// `input 0 "x"`: an item for messages.
fn what(kind: &str, at: usize, name: Option<&str>) -> String {
    name.map_or_else(|| format!("{kind} {at}"), |name| format!("{kind} {at} {name:?}"))
}

/// The name of a function, its body, and whether its code is on expressions.
type BodySpec<'py> = (Option<String>, Bound<'py, PyAny>, bool);

/// Creates a function. `parameters` has an input for each parameter of the callables.
#[pyfunction]
pub fn _function<'py>(
    body: BodySpec<'py>,
    parameters: Vec<Option<usize>>,
    inputs: Vec<InputSpec<'py>>,
    outputs: Vec<OutputSpec<'py>>,
    updates: Vec<UpdateSpec<'py>>,
) -> PyResult<Bound<'py, Function>> {
    let (name, body, is_lazy) = body;
    let py = body.py();
    let own_name = name.as_deref().map(text_of).transpose()?;
    let in_names = names_of(inputs.iter().map(|input| &input.0))?;
    let out_names = names_of(outputs.iter().map(|output| &output.0))?;
    let mut in_specs = Vec::new();
    let mut arguments = Vec::new();
    let mut in_arguments = Vec::new();
    for ((input_name, flags, dtype, device, ndim, default, variable, is_given), text) in inputs.iter().zip(&in_names) {
        let declared = declared(text, *flags, dtype, device, *ndim)?;
        in_arguments.push(variable.is_none().then_some(arguments.len()));
        if variable.is_none() {
            arguments.push(Argument {
                name: input_name.clone().unwrap_or_default(),
                flags: *flags,
                dtype: (declared.dtype != 0).then_some(declared.dtype),
                has_default: default.is_some(),
                is_given: *is_given,
            });
        }
        in_specs.push(Input {
            declared,
            default: default.as_ref().map_or(Ok(Id::NULL), |array| array.get().id())?,
            variable: variable.as_ref().map_or(Ok(Id::NULL), |variable| variable.get().id())?,
        });
    }
    let mut out_specs = Vec::new();
    for ((_, flags, dtype, device, ndim), text) in outputs.iter().zip(&out_names) {
        out_specs.push(declared(text, *flags, dtype, device, *ndim)?);
    }
    let mut update_specs = Vec::new();
    let mut update_codes = Vec::new();
    for (at, (variable, flags, callable, own_parameter)) in updates.iter().enumerate() {
        update_specs.push(Update { variable: variable.get().id()?, flags: *flags });
        let variable_name: Option<String> = variable.getattr("name")?.extract()?;
        update_codes.push(UpdateCode {
            what: what("the update", at, variable_name.as_deref()),
            callable: callable.clone().map(Bound::unbind),
            own_parameter: *own_parameter,
            reuse: flags & TN_REUSE != 0,
        });
    }
    let code = Code {
        body: (!body.is_none()).then(|| body.unbind()),
        parameters,
        inputs: inputs.iter().enumerate().map(|(at, input)| what("input", at, input.0.as_deref())).collect(),
        outputs: outputs
            .iter()
            .enumerate()
            .map(|(at, output)| OutputCode {
                what: what("output", at, output.0.as_deref()),
                borrow: output.1 & (TN_BORROW | TN_REQUIRE_BORROW) != 0,
                reuse: output.1 & TN_REUSE != 0,
            })
            .collect(),
        updates: update_codes,
        is_lazy,
    };
    let title = name.as_ref().map_or_else(|| "the function".to_owned(), |name| format!("{name:?}"));
    let context = Context::new(title, code);
    let last = py.import("threading")?.getattr("local")?.call0()?.unbind();
    let function = Function {
        id: AtomicU64::new(0),
        context: context.clone(),
        name,
        arguments,
        inputs: in_arguments,
        n_outputs: outputs.len(),
        n_updates: updates.len(),
        declared: Mutex::new(None),
        last,
    };
    let _site = site::here(py);
    let address = Context::address(&context);
    let code = c::Code {
        body: if is_lazy { None } else { Some(callback::<tn_array>) },
        expr_body: if is_lazy { Some(callback::<tn_expr>) } else { None },
        release: Some(release),
        context: address,
    };
    // SAFETY: the context lives until `release`; its code has as many inputs, outputs and updates as the lists.
    match unsafe { c::create(own_name.as_deref(), code, &in_specs, &out_specs, &update_specs) } {
        Ok(id) => function.id.store(id.0, Ordering::Relaxed),
        Err(failure) => {
            let error = failure.into();
            // SAFETY: a function that is not created does not call the release callback.
            unsafe { Context::forget(address) };
            return Err(error);
        }
    }
    Bound::new(py, function)
}

#[pymethods]
impl Function {
    #[pyo3(signature = (*args, **named))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        named: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let function = self.id()?;
        let passed = self.pass(py, self.bind(args, named)?)?;
        let mut outputs: SmallVec<[Id; 4]> = smallvec![Id::NULL; self.n_outputs];
        let mut how: SmallVec<[tn_crossing; 8]> =
            smallvec![tn_crossing { how: 0, why: 0 }; self.inputs.len() + self.n_outputs + self.n_updates];
        let _site = site::here(py);
        py.detach(|| self.run(function, &passed.ids, &mut outputs, &mut how))?;
        // Every handle gets an object before an error is reported, so that none is lost.
        let arrays: Vec<_> = outputs.into_iter().map(|id| Array::adopt(py, id)).collect();
        let mut arrays = arrays.into_iter().collect::<PyResult<Vec<_>>>()?;
        self.note(py, &how)?;
        match arrays.len() {
            0 => Ok(py.None().into_bound(py)),
            1 => Ok(arrays.remove(0).into_any()),
            _ => arrays.into_pyobject(py),
        }
    }

    /// Of this thread's last call, (name, (how, why)) for each argument, and (how, why) for each variable that is an
    /// input, for each output and for each update; None: no call has succeeded.
    #[getter]
    fn _crossings(&self, py: Python<'_>) -> PyResult<Option<Crossings>> {
        let Some(noted) = self.last.bind(py).getattr_opt(pyo3::intern!(py, "crossings"))? else { return Ok(None) };
        let number = |bytes: &[u8]| bytes.try_into().map_or(0, u32::from_ne_bytes);
        let pairs = noted.cast::<PyBytes>()?.as_bytes().chunks_exact(8);
        let all: Vec<(u32, u32)> = pairs.map(|pair| (number(&pair[..4]), number(&pair[4..]))).collect();
        let (inputs, all) = all.split_at(self.inputs.len());
        let (outputs, updates) = all.split_at(self.n_outputs);
        let (mut arguments, mut variables) = (Vec::new(), Vec::new());
        for (argument, how) in self.inputs.iter().zip(inputs) {
            match argument.map(|at| &self.arguments[at]) {
                None => variables.push(*how),
                Some(argument) if argument.is_given => {}
                Some(argument) => arguments.push((argument.name.clone(), *how)),
            }
        }
        Ok(Some((arguments, variables, outputs.to_vec(), updates.to_vec())))
    }

    /// What `tenure._function` keeps: inputs, outputs, updates, and what a copy needs.
    #[getter]
    fn _declared<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyTuple>> {
        let declared = self.declared.lock().unwrap_or_else(PoisonError::into_inner);
        declared.as_ref().map(|declared| declared.bind(py).clone())
    }

    /// Sets what `tenure._function` keeps.
    #[setter(_declared)]
    fn set_declared(&self, declared: Bound<'_, PyTuple>) {
        *self.declared.lock().unwrap_or_else(PoisonError::into_inner) = Some(declared.unbind());
    }

    /// A read-only array on the default value that the library has for an input.
    fn _default<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, Array>> {
        Array::adopt(py, c::default(self.id()?, index)?)
    }

    /// The name in messages; None without one.
    #[getter]
    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Releases the function. Calling it twice is allowed. Calls that are running end first.
    fn release(&self) {
        self.end();
    }

    /// The handle as an integer, valid while this object exists.
    #[getter]
    fn handle(&self) -> u64 {
        self.id.load(Ordering::Relaxed)
    }

    #[getter]
    fn _is_released(&self) -> bool {
        self.id.load(Ordering::Relaxed) == 0
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Ok(declared) = self.declared.try_lock() {
            visit.call(&*declared)?;
        }
        visit.call(&self.last)?;
        self.context.traverse(&visit)
    }

    fn __clear__(&self) {
        self.end();
        self.context.clear();
        let declared = self.declared.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(declared);
    }
}
