//! `tenure.Kernel`: a kernel of a GPU or of the host, with its parameters.

use crate::base::errors;
use crate::handles::module::Module;
use crate::operations::parameter::{Parameter, parameters_of};
use crate::sys::*;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBool;

/// What a kernel runs.
pub enum Code {
    /// A CUfunction.
    Device(usize),
    /// The address of a `tn_host_kernel`.
    Host(usize),
    /// A kernel of a module, which a launch finds on its GPU.
    Module { module: Py<Module>, name: String },
}

/// A kernel of a GPU or of the host, with its parameters. A launch borrows its arguments as they say.
///
/// function: a function of `ctypes`, which is a kernel of the host (`TN_HOST_KERNEL` makes it); or the CUfunction of a
/// kernel as an integer. `tenure.cuda.Module.kernel` makes kernels of modules. host: which of the two an integer is.
/// parameters: a text with commas, or a sequence. Each is
///
/// - a type: a value, "f8" for double, "i4" for int; in a sequence also a structured dtype of NumPy;
/// - "in", "out" or "inout" and an array's type, "in f8[:,:]" for `tn_view<const double, 2>`, or "out f4*" for the
///   address of a C-contiguous array. "out" overwrites every element. Words before it: "alias", the argument may
///   overlap one that is written; "unique" and "cow", the modes of a write; "frozen".
///
/// >>> axpy = tenure.Kernel(ctypes.CDLL("./kernels.so").axpy_host, "inout f8[:], in f8[:], f8")    # doctest: +SKIP
/// >>> axpy[4, 256](y, x, 10.0)                                                                   # doctest: +SKIP
///
/// `kernel[grid, block, stream, block_bytes](*args)` is `tenure.launch`.
#[pyclass(frozen, weakref, module = "tenure", name = "Kernel")]
pub struct Kernel {
    code: Code,
    name: Option<String>,
    parameters: Vec<Parameter>,
    /// The function of `ctypes`, which keeps its library loaded.
    _owner: Option<Py<PyAny>>,
}

impl Kernel {
    pub fn code(&self) -> &Code {
        &self.code
    }

    /// The parameters, if there are as many as arguments.
    pub fn parameters_for(&self, py: Python<'_>, arguments: usize) -> PyResult<&[Parameter]> {
        if arguments == self.parameters.len() {
            return Ok(&self.parameters);
        }
        let text = format!("{} has {} parameters, and got {arguments} arguments", self.text(), self.parameters.len());
        Err(errors::with_text(py, TN_ERR_COUNT, &text, false))
    }

    fn text(&self) -> String {
        let parameters: Vec<&str> = self.parameters.iter().map(|parameter| parameter.text()).collect();
        format!("{}({})", self.name.as_deref().unwrap_or("kernel"), parameters.join(", "))
    }
}

/// The address of a function of `ctypes`.
fn ctypes_address(object: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    let ctypes = object.py().import("ctypes")?;
    if !object.is_instance(&ctypes.getattr("_CFuncPtr")?)? {
        return Ok(None);
    }
    let pointer = ctypes.call_method1("cast", (object, ctypes.getattr("c_void_p")?))?;
    pointer.getattr("value")?.extract()
}

#[pymethods]
impl Kernel {
    #[new]
    #[pyo3(signature = (function, parameters, *, host=None, name=None))]
    fn make(
        function: &Bound<'_, PyAny>,
        parameters: &Bound<'_, PyAny>,
        host: Option<bool>,
        name: Option<String>,
    ) -> PyResult<Kernel> {
        let parameters = parameters_of(parameters)?;
        if let Some(address) = ctypes_address(function)? {
            if host == Some(false) {
                return Err(PyValueError::new_err("a function of ctypes is a kernel of the host; leave host out"));
            }
            let own_name = || function.getattr("__name__").ok()?.extract().ok();
            let name = name.or_else(own_name);
            return Ok(Kernel { code: Code::Host(address), name, parameters, _owner: Some(function.clone().unbind()) });
        }
        let number = if function.is_instance_of::<PyBool>() || !function.hasattr("__int__")? {
            0
        } else {
            function.call_method0("__int__")?.extract::<usize>()?
        };
        if number == 0 {
            return Err(PyTypeError::new_err(format!(
                "function must be a function of ctypes, or the CUfunction of a kernel as an integer, not {}; Module.kernel makes kernels of modules",
                function.repr()?
            )));
        }
        let code = if host == Some(true) { Code::Host(number) } else { Code::Device(number) };
        Ok(Kernel { code, name, parameters, _owner: Some(function.clone().unbind()) })
    }

    /// The name of the kernel, or None.
    #[getter]
    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether it is a kernel of the host.
    #[getter]
    fn is_host(&self) -> bool {
        matches!(self.code, Code::Host(_))
    }

    fn __repr__(&self) -> String {
        format!("<kernel {}>", self.text())
    }
}

#[pymethods]
impl Module {
    /// A kernel of the module: see `tenure.Kernel` for `parameters`. The launch finds the kernel on its GPU.
    ///
    /// name: of the kernel; in C++ the mangled name, unless the kernel is declared `extern "C"`.
    fn kernel(slf: Bound<'_, Self>, name: String, parameters: &Bound<'_, PyAny>) -> PyResult<Kernel> {
        let parameters = parameters_of(parameters)?;
        let code = Code::Module { module: slf.unbind(), name: name.clone() };
        Ok(Kernel { code, name: Some(name), parameters, _owner: None })
    }
}
