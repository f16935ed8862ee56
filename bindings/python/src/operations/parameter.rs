//! The parameters of a `tenure.Kernel`: what the kernel does with each argument, and how it gets it.
//!
//! Contract: an argument of another element type is refused here; one of another number of axes by the launch. Memory
//! of other libraries is shared, never copied.

use crate::api::kernel::handle;
use crate::base::errors;
use crate::exchange::asarray::asarray;
use crate::handles::array::Array;
use crate::handles::mirror::Mirror;
use crate::sys::*;
use crate::values::checked::checked;
use crate::values::convert::{dtype_of, encode, kind};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;

/// How a kernel gets an argument.
#[derive(Clone, Copy, PartialEq)]
pub enum Passed {
    /// As `tn_view<T, N>`.
    View(i32),
    /// As the address of a C-contiguous array.
    Address,
    /// As a value of an element type.
    Value,
    /// As a value of a structured type.
    Struct,
}

/// A parameter of a kernel.
pub struct Parameter {
    text: String,
    passed: Passed,
    access: tn_access,
    dtype: tn_dtype,
    /// Of a `Struct`.
    structure: Option<Py<PyAny>>,
}

/// An argument, and what keeps it during the launch.
pub enum Argument<'py> {
    Array(Bound<'py, Array>),
    Mirror(Bound<'py, Mirror>),
    Value(Vec<u8>),
}

const GRAMMAR: &str = "a parameter is a type for a value, such as \"f8\", or \"in\", \"out\" or \"inout\" and an array's type, such as \
                       \"in f8[:,:]\" for a tn_view<const double, 2> or \"out f8*\" for a double *; \"alias\", \"frozen\", \"unique\" \
                       and \"cow\" may stand before it";

fn refused(text: &str, why: &str) -> PyErr {
    PyValueError::new_err(format!("{text:?} is no parameter of a kernel: {why}; {GRAMMAR}"))
}

/// The access that the words before a type give; 0 without any.
fn access_of(text: &str, words: &[&str]) -> PyResult<tn_access> {
    let (mut access, mut extra) = (0, 0);
    for word in words {
        let bit = match *word {
            "in" => TN_READ,
            "out" => TN_WRITE,
            "inout" => TN_READ_WRITE,
            _ => 0,
        };
        if bit != 0 && access != 0 {
            return Err(refused(text, "it has two accesses"));
        }
        access |= bit;
        extra |= match *word {
            "alias" => TN_ALLOW_ALIAS,
            "frozen" => TN_FROZEN,
            "unique" => TN_WRITE_UNIQUE,
            "cow" => TN_WRITE_COW,
            _ if bit != 0 => 0,
            _ => return Err(refused(text, &format!("{word:?} is unknown"))),
        };
    }
    if access == 0 && extra != 0 {
        return Err(refused(text, "\"in\", \"out\" or \"inout\" is missing"));
    }
    Ok(access | extra)
}

/// The number of axes that "[:,:]" gives.
fn axes_of(text: &str, brackets: &str) -> PyResult<i32> {
    let inside = brackets.strip_suffix(']').ok_or_else(|| refused(text, "a bracket is open"))?;
    let axes: Vec<&str> = inside.split(',').map(str::trim).collect();
    if axes.iter().any(|axis| *axis != ":") {
        return Err(refused(text, "each axis in the brackets is a colon"));
    }
    match axes.len() {
        1..=8 => Ok(axes.len() as i32),
        several => Err(refused(text, &format!("{several} axes are too many, a view has at most 8"))),
    }
}

/// The element type that a text means.
fn element_of(py: Python<'_>, text: &str, name: &str) -> PyResult<tn_dtype> {
    dtype_of(PyString::new(py, name).as_any()).map_err(|_| refused(text, &format!("{name:?} is no element type")))
}

impl Parameter {
    /// The parameter that a text means.
    fn of(py: Python<'_>, text: &str) -> PyResult<Parameter> {
        let text = text.trim();
        // The brackets may have blanks.
        let (front, brackets) = text.split_once('[').map_or((text, None), |(front, rest)| (front.trim(), Some(rest)));
        let mut words: Vec<&str> = front.split_whitespace().collect();
        let Some(last) = words.pop() else { return Err(refused(text, "it is empty")) };
        let access = access_of(text, &words)?;
        let (name, passed) = match (brackets, last.strip_suffix('*')) {
            (Some(brackets), None) => (last, Passed::View(axes_of(text, brackets)?)),
            (None, Some(name)) => (name, Passed::Address),
            (None, None) => (last, Passed::Value),
            (Some(_), Some(_)) => return Err(refused(text, "it has a star and brackets")),
        };
        let dtype = element_of(py, text, name)?;
        if passed == Passed::Value && access != 0 {
            return Err(refused(text, "a value has no access"));
        }
        if passed != Passed::Value && access == 0 {
            return Err(refused(text, "an array needs \"in\", \"out\" or \"inout\""));
        }
        Ok(Parameter { text: text.into(), passed, access, dtype, structure: None })
    }

    /// A value of a type that `numpy.dtype` takes.
    fn of_type(object: &Bound<'_, PyAny>) -> PyResult<Parameter> {
        let py = object.py();
        if let Ok(dtype) = dtype_of(object) {
            let text = kind(dtype).name.into();
            return Ok(Parameter { text, passed: Passed::Value, access: 0, dtype, structure: None });
        }
        let dtype = py.import("numpy")?.call_method1("dtype", (object,))?;
        let text = dtype.str()?.to_string();
        if dtype.getattr("fields")?.is_none() {
            return Err(refused(&text, "it is no type of numbers, nor a structured one"));
        }
        Ok(Parameter { text, passed: Passed::Struct, access: 0, dtype: 0, structure: Some(dtype.unbind()) })
    }

    fn is_array(&self) -> bool {
        matches!(self.passed, Passed::View(_) | Passed::Address)
    }

    /// An array or mirror of the parameter's element type. Other objects' memory is shared.
    fn shared<'py>(&self, at: usize, object: &Bound<'py, PyAny>) -> PyResult<Argument<'py>> {
        let py = object.py();
        let (argument, dtype) = if let Ok(mirror) = object.cast::<Mirror>() {
            if self.passed == Passed::Address {
                return Err(PyTypeError::new_err(format!(
                    "argument {at} ({}) is a mirror, and the kernel takes an address; pass m.gpu() or m.host()",
                    self.text
                )));
            }
            (Argument::Mirror(mirror.clone()), mirror.get().dtype_code()?)
        } else {
            let array = match object.cast::<Array>() {
                Ok(array) => array.clone(),
                Err(_) => asarray(py, object, None, Some(false)).map_err(|error| self.named(py, at, error))?,
            };
            let dtype = array.get().dtype();
            (Argument::Array(array), dtype)
        };
        if dtype != self.dtype {
            let text = format!("argument {at} ({}) has elements of {}", self.text, kind(dtype).name);
            return Err(errors::with_text(py, TN_ERR_DTYPE, &text, false));
        }
        Ok(argument)
    }

    /// The bytes of a value.
    fn value(&self, at: usize, object: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
        let py = object.py();
        if let Some(structure) = &self.structure {
            let value = py.import("numpy")?.call_method1("asarray", (checked(object)?, structure))?;
            if value.getattr("ndim")?.extract::<usize>()? != 0 {
                return Err(PyTypeError::new_err(format!("argument {at} ({}) is an array, not one value", self.text)));
            }
            return value.call_method0("tobytes")?.extract();
        }
        let is_integer = matches!(self.dtype & 0xff, TN_CODE_INT | TN_CODE_UINT);
        if is_integer && !object.hasattr("__index__")? {
            return Err(PyTypeError::new_err(format!(
                "argument {at} ({}) is a {}, which no conversion to an integer keeps; convert it before",
                self.text,
                object.get_type().name()?
            )));
        }
        let element = encode(object, self.dtype).map_err(|error| self.named(py, at, error))?;
        Ok(element[..kind(self.dtype).item_bytes].to_vec())
    }

    /// The error with the argument's position in front.
    fn named(&self, py: Python<'_>, at: usize, error: PyErr) -> PyErr {
        let text = format!("argument {at} ({}): {}", self.text, error.value(py));
        match error.get_type(py).call1((text,)) {
            Ok(named) => PyErr::from_value(named),
            Err(_) => error,
        }
    }

    /// As it was declared.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The argument that an object becomes.
    pub fn argument<'py>(&self, at: usize, object: &Bound<'py, PyAny>) -> PyResult<Argument<'py>> {
        if self.is_array() { self.shared(at, object) } else { Ok(Argument::Value(self.value(at, object)?)) }
    }

    /// The argument of C. `argument` outlives it.
    pub fn raw(&self, argument: &Argument<'_>) -> PyResult<tn_arg> {
        let (kind, what, bytes) = match argument {
            Argument::Array(array) => {
                let kind = if self.passed == Passed::Address { TN_ARG_POINTER } else { TN_ARG_ARRAY };
                (kind, handle(array.get().id()?), 0)
            }
            Argument::Mirror(mirror) => (TN_ARG_MIRROR, handle(mirror.get().id()?), 0),
            Argument::Value(bytes) => (TN_ARG_VALUE, bytes.as_ptr().cast(), bytes.len()),
        };
        // Python's calls wait for the device where the host needs the bytes.
        let access = if self.is_array() { self.access | TN_WAIT } else { 0 };
        let ndim = if let Passed::View(ndim) = self.passed { ndim } else { 0 };
        Ok(tn_arg { kind, access, ndim, reserved: 0, what, bytes })
    }
}

/// Splits at commas that no bracket encloses.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0;
    text.split(|c| {
        depth += (c == '[') as i32 - (c == ']') as i32;
        c == ',' && depth == 0
    })
    .collect()
}

/// The parameters that a text, or a sequence of texts and types, means.
pub fn parameters_of(object: &Bound<'_, PyAny>) -> PyResult<Vec<Parameter>> {
    let py = object.py();
    if let Ok(text) = object.cast::<PyString>() {
        let text = text.to_str()?;
        return if text.trim().is_empty() {
            Ok(Vec::new())
        } else {
            split(text).into_iter().map(|text| Parameter::of(py, text)).collect()
        };
    }
    object
        .try_iter()
        .map_err(|_| PyTypeError::new_err("parameters are a text, or a sequence of texts and types"))?
        .map(|item| {
            let item = item?;
            match item.cast::<PyString>() {
                Ok(text) => Parameter::of(py, text.to_str()?),
                Err(_) => Parameter::of_type(&item),
            }
        })
        .collect()
}
