//! `tenure.launch`: launches of kernels, which borrow their arguments; and the layout of block memory.
//!
//! Contract: an array of another library becomes an array without a copy, and stays until the kernel is done. The
//! launch releases the GIL.

use crate::api::kernel as c;
use crate::base::interpreter::SameThread;
use crate::base::site;
use crate::handles::stream::{_current_stream, Stream};
use crate::operations::kernel::{Code, Kernel};
use crate::operations::parameter::{Argument, Parameter};
use crate::sys::*;
use crate::values::convert::dtype_of;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyTuple};

/// A kernel with where and how often it runs: the result of `kernel[grid, block, stream, block_bytes]`.
#[pyclass(frozen, module = "tenure", name = "Configured")]
pub struct Configured {
    kernel: Py<Kernel>,
    grid: [u32; 3],
    block: [u32; 3],
    stream: Option<Py<PyAny>>,
    block_bytes: i64,
}

/// A size of a grid or a block: a number, or one to three.
fn extent(name: &str, object: &Bound<'_, PyAny>) -> PyResult<[u32; 3]> {
    let number = |object: &Bound<'_, PyAny>| -> PyResult<u32> {
        if object.is_instance_of::<PyBool>() || !object.hasattr("__index__")? {
            let text = format!("{name} is a number or up to three of them, not {}", object.repr()?);
            return Err(PyTypeError::new_err(text));
        }
        let number: i128 = object.call_method0("__index__")?.extract()?;
        let range = || PyValueError::new_err(format!("{name} has {number}; a size is between 1 and {}", u32::MAX));
        u32::try_from(number).ok().filter(|number| *number > 0).ok_or_else(range)
    };
    let mut sizes = [1; 3];
    let Ok(count) = object.len() else {
        sizes[0] = number(object)?;
        return Ok(sizes);
    };
    if !(1..=3).contains(&count) {
        return Err(PyValueError::new_err(format!("{name} has {count} sizes; a launch has one to three")));
    }
    for (size, item) in sizes.iter_mut().zip(object.try_iter()?) {
        *size = number(&item?)?;
    }
    Ok(sizes)
}

/// The kernel with its configuration, checked.
fn configured(
    kernel: Bound<'_, Kernel>,
    grid: &Bound<'_, PyAny>,
    block: &Bound<'_, PyAny>,
    stream: Option<Bound<'_, PyAny>>,
    block_bytes: i64,
) -> PyResult<Configured> {
    let stream = stream.filter(|stream| !stream.is_none());
    Stream::id_of(stream.as_ref())?;
    Ok(Configured {
        kernel: kernel.unbind(),
        grid: extent("grid", grid)?,
        block: extent("block", block)?,
        stream: stream.map(Bound::unbind),
        block_bytes,
    })
}

/// The GPU of a launch that names no stream: that of the first array, then of the first mirror.
fn device_of_arguments(arguments: &[Argument<'_>]) -> PyResult<Option<tn_device>> {
    for argument in arguments {
        if let Argument::Array(array) = argument {
            let device = array.get().device_code()?;
            if device.r#type == TN_CUDA {
                return Ok(Some(device));
            }
        }
    }
    for argument in arguments {
        if let Argument::Mirror(mirror) = argument {
            return mirror.get().device_code().map(Some);
        }
    }
    Ok(None)
}

#[pymethods]
impl Configured {
    /// Launches the kernel.
    #[pyo3(signature = (*args))]
    fn __call__<'py>(&self, py: Python<'py>, args: &Bound<'py, PyTuple>) -> PyResult<()> {
        let kernel = self.kernel.bind(py).get();
        let parameters = kernel.parameters_for(py, args.len())?;
        let arguments: Vec<Argument<'py>> = parameters
            .iter()
            .zip(args)
            .enumerate()
            .map(|(at, (parameter, object))| parameter.argument(at, &object))
            .collect::<PyResult<_>>()?;
        let mut raw: Vec<tn_arg> = Vec::with_capacity(arguments.len());
        for (parameter, argument) in parameters.iter().zip(&arguments) {
            raw.push(Parameter::raw(parameter, argument)?);
        }
        let stream = self.stream.as_ref().map(|stream| stream.bind(py));
        let mut config = c::Config {
            grid: self.grid,
            block: self.block,
            block_bytes: self.block_bytes,
            stream: Stream::id_of(stream)?,
        };
        let mut own = None;
        let code = match kernel.code() {
            Code::Device(function) => c::Code::Device(*function),
            Code::Host(address) => c::Code::Host(*address),
            Code::Module { module, name } => {
                module.bind(py).get().id()?;
                let named = stream.and_then(|stream| stream.cast::<Stream>().ok());
                let device = match (named, device_of_arguments(&arguments)?) {
                    (Some(stream), _) => stream.get().device_code(),
                    (None, Some(device)) => device,
                    (None, None) => {
                        // No argument says which GPU: the one of `with cuda.device(i):`.
                        let device: String = py.import("tenure.cuda")?.call_method0("_named")?.extract()?;
                        let current = own.insert(_current_stream(py, &device)?).get();
                        config.stream = current.id()?;
                        current.device_code()
                    }
                };
                c::Code::Device(module.bind(py).get().function_on(py, name, device)?)
            }
        };
        let _site = site::here(py);
        let raw = SameThread(raw.as_slice());
        py.detach(|| {
            // SAFETY: the kernel has these parameters, for which its maker vouched. `arguments` keeps the values.
            unsafe { c::launch(code, &config, raw.all()) }.map_err(PyErr::from)
        })?;
        // As without a stream.
        own.map_or(Ok(()), |current| current.get().synchronize(py))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let kernel = self.kernel.bind(py).repr()?;
        let [grid, block] = [self.grid, self.block].map(|[x, y, z]| format!("{x} x {y} x {z}"));
        Ok(format!("<{kernel}, grid {grid}, block {block}>"))
    }
}

#[pymethods]
impl Kernel {
    /// `kernel[grid, block, stream, block_bytes]`: the kernel with where and how often it runs. Calling that launches
    /// it.
    fn __getitem__(slf: Bound<'_, Self>, config: &Bound<'_, PyAny>) -> PyResult<Configured> {
        let Ok(items) = config.cast::<PyTuple>().map(|items| items.len()) else {
            return Err(PyTypeError::new_err(
                "a launch is kernel[grid, block](...), with two to four items in brackets",
            ));
        };
        let item = |at: usize| config.get_item(at);
        match items {
            2..=4 => configured(
                slf,
                &item(0)?,
                &item(1)?,
                if items > 2 { Some(item(2)?) } else { None },
                if items > 3 { item(3)?.extract()? } else { 0 },
            ),
            _ => Err(PyTypeError::new_err(format!(
                "kernel[grid, block, stream, block_bytes] has two to four items, not {items}"
            ))),
        }
    }

    #[pyo3(signature = (*_args, **_options))]
    fn __call__(&self, _args: &Bound<'_, PyTuple>, _options: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
        Err(PyTypeError::new_err(
            "a kernel is launched by kernel[grid, block](...) or tenure.launch(kernel, grid, block, ...)",
        ))
    }
}

/// Launches a kernel, which borrows its arguments as its parameters say. All checks come first; a launch that fails
/// leaves no borrow.
///
/// kernel: a `tenure.Kernel`. grid, block: blocks, and threads of a block: a number, or up to three. args: an array or
/// a mirror for each array parameter; memory of other libraries is shared, never copied. stream: the kernel is enqueued
/// there, and later users of the arrays wait as needed; None: the call returns when it is done. block_bytes: bytes of
/// dynamic block memory.
///
/// >>> tenure.launch(axpy, 4, 256, y, x, 10.0, stream=s)            # doctest: +SKIP
#[pyfunction]
#[pyo3(signature = (kernel, grid, block, *args, stream=None, block_bytes=0))]
pub fn launch<'py>(
    kernel: Bound<'py, Kernel>,
    grid: &Bound<'py, PyAny>,
    block: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
    stream: Option<Bound<'py, PyAny>>,
    block_bytes: i64,
) -> PyResult<()> {
    let py = kernel.py();
    configured(kernel, grid, block, stream, block_bytes)?.__call__(py, args)
}

/// Where several arrays lie in the dynamic block memory of a kernel: a tuple of their offsets, and the bytes of all.
/// Pass the offsets to the kernel, for `tn_block_at<T>(offset)`, and the bytes as `block_bytes`.
///
/// items: a (dtype, count) or (dtype, count, alignment) for each array; counts in elements, the rest in bytes.
///
/// >>> tenure.block_layout([("i1", 3), ("f8", 7), ("f4", 5)])
/// ((0, 8, 64), 84)
#[pyfunction]
pub fn block_layout<'py>(py: Python<'py>, items: &Bound<'py, PyAny>) -> PyResult<(Bound<'py, PyTuple>, i64)> {
    let item = |item: Bound<'py, PyAny>| -> PyResult<tn_block_item> {
        let fields = item.cast::<PyTuple>().ok().filter(|fields| matches!(fields.len(), 2 | 3));
        let Some(fields) = fields else {
            let text = format!("an item is (dtype, count) or (dtype, count, alignment), not {}", item.repr()?);
            return Err(PyTypeError::new_err(text));
        };
        let align = if fields.len() == 3 { fields.get_item(2)?.extract()? } else { 0 };
        let (dtype, count) = (dtype_of(&fields.get_item(0)?)?, fields.get_item(1)?.extract()?);
        Ok(tn_block_item { dtype, reserved: 0, count, align })
    };
    let items = items.try_iter()?.map(|found| item(found?)).collect::<PyResult<Vec<_>>>()?;
    let (offsets, bytes) = c::block_layout(&items)?;
    Ok((PyTuple::new(py, offsets)?, bytes))
}
