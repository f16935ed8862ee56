//! Array values as Python and NumPy objects: single elements, lists, `numpy.asarray`.

use crate::api;
use crate::elements::borrow::read_view;
use crate::elements::create;
use crate::elements::element::read_one;
use crate::handles::array::Array;
use crate::sys::*;
use crate::values::convert::{self, Dims, cached_objects, dims_of_args, kind};
use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

impl Array {
    /// The only element, as a Python scalar. what: the method, for the message.
    fn only(&self, py: Python<'_>, what: &str) -> PyResult<Py<PyAny>> {
        match read_one(py, self.id()?, kind(self.dtype()).item_bytes)? {
            Some(element) => convert::decode(py, &element, self.dtype()),
            None => {
                let shape = PyTuple::new(py, self.dims()?)?;
                Err(PyValueError::new_err(format!("{what} needs one element; this array has the shape {shape}")))
            }
        }
    }
}

/// The index of an element with this number in C order. A negative number counts from the end.
fn place_of(number: i64, dims: &Dims) -> PyResult<Dims> {
    let count = dims.iter().product::<i64>();
    let mut rest = if number < 0 { number + count } else { number };
    if !(0..count).contains(&rest) {
        return Err(PyIndexError::new_err(format!("index {number} is outside an array of {count} elements")));
    }
    let mut index = dims.clone();
    for place in index.iter_mut().rev() {
        (rest, *place) = (rest / *place, rest % *place);
    }
    Ok(index)
}

#[pymethods]
impl Array {
    /// A new array with the elements converted, as NumPy's `astype`.
    fn astype<'py>(slf: &Bound<'py, Self>, dtype: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let dtype = convert::dtype_of(dtype)?;
        if dtype == TN_BF16 {
            let dtype = convert::dtype_object(py, dtype)?;
            return Ok(create::array(py, slf.as_any(), Some(&dtype), None, None, None)?.into_any());
        }
        let converted = read_view(slf)?.call_method1("astype", (convert::dtype_object(py, dtype)?,))?;
        let made = create::array(py, &converted, None, None, None, None)?;
        api::set_form(made.get().id()?, slf.get().info()?.form)?;
        Ok(made.into_any())
    }

    /// An element as a Python scalar: the only one, or `x.item(i, j)`, or `x.item(i)` of the array as if it had one
    /// axis, in C order.
    #[pyo3(signature = (*args))]
    fn item<'py>(slf: &Bound<'py, Self>, args: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        let this = slf.get();
        if args.is_empty() {
            return Ok(this.only(slf.py(), "item()")?.into_bound(slf.py()));
        }
        let mut index = dims_of_args(args)?;
        let dims = this.dims()?;
        if index.len() == 1 && dims.len() != 1 {
            index = place_of(index[0], &dims)?;
        }
        if index.len() != dims.len() {
            let text =
                format!("item() needs one index or {}, one for each axis; {} were given", dims.len(), index.len());
            return Err(PyValueError::new_err(text));
        }
        slf.as_any().get_item(PyTuple::new(slf.py(), &index)?)
    }

    /// The elements as nested lists.
    fn tolist<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        if slf.get().ndim() == 0 {
            return Ok(slf.get().only(slf.py(), "tolist()")?.into_bound(slf.py()));
        }
        read_view(slf)?.call_method0("tolist")
    }

    fn __bool__(&self, py: Python<'_>) -> PyResult<bool> {
        self.only(py, "the truth value of an array is ambiguous; use numpy.any or numpy.all: bool()")?.is_truthy(py)
    }

    fn __float__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let only = self.only(py, "float()")?;
        py.import("builtins")?.getattr("float")?.call1((only,))
    }

    fn __int__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let only = self.only(py, "int()")?;
        py.import("builtins")?.getattr("int")?.call1((only,))
    }

    fn __complex__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let only = self.only(py, "complex()")?;
        py.import("builtins")?.getattr("complex")?.call1((only,))
    }

    fn __index__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let code = self.dtype() & 0xff;
        if self.ndim() != 0 || (code != TN_CODE_INT && code != TN_CODE_UINT) {
            return Err(PyTypeError::new_err("only an integer array without axes can be used as an index"));
        }
        self.only(py, "index()")
    }

    fn __contains__(slf: &Bound<'_, Self>, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        read_view(slf)?.contains(value)
    }

    /// A NumPy array on the same bytes, as `numpy.asarray`. Plotting libraries and data frames call this before they
    /// read element by element.
    ///
    /// >>> x = tenure.zeros(3)
    /// >>> x.to_numpy()
    /// array([0., 0., 0.])
    fn to_numpy<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        cached_objects(py)?.asarray.bind(py).call1((slf,))
    }
}
