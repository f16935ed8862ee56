//! `tenure.cuda.Module`: the object that owns a module of device code.
//!
//! Contract: the end of the object releases the module. What compiles, or loads code into a GPU,
//! releases the GIL.

use crate::api::{Id, kernel as c};
use crate::base::errors;
use crate::sys::*;
use crate::values::convert::{device_of, text_of};
use core::sync::atomic::{AtomicU64, Ordering};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use std::ffi::CString;

/// Device code with kernels, which each GPU loads when it first needs it.
///
/// image: PTX as a text; or PTX, a cubin or a fatbin as bytes. `Module.compile` makes one from CUDA C++. name: for
/// messages and reports.
///
/// >>> kernels = cuda.Module(open("kernels.ptx").read())                   # doctest: +SKIP
/// >>> axpy = kernels.kernel("axpy", "inout f8[:], in f8[:], f8")          # doctest: +SKIP
/// >>> axpy[4, 256](y, x, 10.0)                                            # doctest: +SKIP
#[pyclass(frozen, weakref, module = "tenure.cuda", name = "Module")]
pub struct Module {
    id: AtomicU64,
    name: Option<String>,
    log: String,
}

impl Module {
    /// The handle, if the object still has one.
    pub fn id(&self) -> PyResult<Id> {
        match self.id.load(Ordering::Relaxed) {
            0 => Err(Python::attach(|py| {
                errors::with_text(py, TN_ERR_STALE, "this module was released; only its repr works", false)
            })),
            id => Ok(Id(id)),
        }
    }

    /// A kernel of the module on a GPU: a CUfunction.
    pub fn function_on(&self, py: Python<'_>, name: &str, device: tn_device) -> PyResult<usize> {
        let (id, name) = (self.id()?, text_of(name)?);
        py.detach(|| c::module_function(id, &name, device).map_err(PyErr::from))
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        let id = *self.id.get_mut();
        if id != 0 {
            let _ = c::module_release(Id(id));
        }
    }
}

/// The bytes of an image: those of a text, or of an object with contiguous bytes.
fn bytes_of(image: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(text) = image.cast::<PyString>() {
        return Ok(text.to_str()?.into());
    }
    if let Ok(bytes) = image.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().into());
    }
    match PyBuffer::<u8>::get(image) {
        Ok(buffer) => buffer.to_vec(image.py()),
        Err(_) => Err(PyTypeError::new_err(format!(
            "an image is a text or bytes, not {}; pass open(path, \"rb\").read()",
            image.get_type().name()?
        ))),
    }
}

#[pymethods]
impl Module {
    #[new]
    #[pyo3(signature = (image, *, name=None))]
    fn load(py: Python<'_>, image: &Bound<'_, PyAny>, name: Option<String>) -> PyResult<Module> {
        let image = bytes_of(image)?;
        let c_name = name.as_deref().map(text_of).transpose()?;
        let id = py.detach(|| c::module_load(&image, c_name.as_deref()).map_err(PyErr::from))?;
        Ok(Module { id: AtomicU64::new(id.0), name, log: String::new() })
    }

    /// Compiles CUDA C++ with NVRTC, CUDA's compiler library. The program can include `tenure_kernel.cuh`.
    ///
    /// arch: "compute_80" makes PTX, which newer GPUs run too, "sm_80" a cubin; None: PTX for the oldest GPU of the
    /// process. options: of NVRTC, such as ["-DTILE=16", "--use_fast_math"]. A program with errors raises
    /// `FailedError`, whose `log` is the compiler's; the `log` of the module has its warnings. Without NVRTC:
    /// `UnsupportedError`.
    #[staticmethod]
    #[pyo3(signature = (source, *, name=None, arch=None, options=Vec::new()))]
    fn compile(
        py: Python<'_>,
        source: &str,
        name: Option<String>,
        arch: Option<&str>,
        options: Vec<String>,
    ) -> PyResult<Module> {
        let source = text_of(source)?;
        let c_name = name.as_deref().map(text_of).transpose()?;
        let arch = arch.map(text_of).transpose()?;
        let options = options.iter().map(|option| text_of(option)).collect::<PyResult<Vec<CString>>>()?;
        let (made, log) = py.detach(|| {
            let options: Vec<_> = options.iter().map(CString::as_c_str).collect();
            let (made, log) = c::module_compile(&source, c_name.as_deref(), arch.as_deref(), &options);
            (made.map_err(PyErr::from), log)
        });
        match made {
            Ok(id) => Ok(Module { id: AtomicU64::new(id.0), name, log }),
            Err(error) => {
                error.value(py).setattr("log", log)?;
                Err(error)
            }
        }
    }

    /// A kernel of the module on a GPU such as "cuda:0": a CUfunction as an integer, for other libraries. It is valid
    /// while the module is.
    #[pyo3(signature = (name, device="cuda:0"))]
    fn function(&self, py: Python<'_>, name: &str, device: &str) -> PyResult<usize> {
        self.function_on(py, name, device_of(device)?)
    }

    /// What the compiler said; empty for a module that was not compiled here.
    #[getter]
    fn log(&self) -> &str {
        &self.log
    }

    /// The name, or None.
    #[getter]
    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Releases the module, also while its kernels run. A second call does nothing.
    fn release(&self) -> PyResult<()> {
        match self.id.swap(0, Ordering::Relaxed) {
            0 => Ok(()),
            id => Ok(c::module_release(Id(id))?),
        }
    }

    fn __repr__(&self) -> String {
        let state = if self.id.load(Ordering::Relaxed) == 0 { "released module" } else { "module" };
        match &self.name {
            Some(name) => format!("<{state} {name:?}>"),
            None => format!("<{state}>"),
        }
    }
}
