//! Converts Python's values to C's and back: element types, shapes, single elements, orders, write modes, devices,
//! texts.
//!
//! Contract: pure conversions. A value that does not fit raises the exception that NumPy raises (TypeError, ValueError,
//! OverflowError). NumPy itself converts where its rules are rich (an element from any object); the usual cases do not
//! reach it.

use crate::api::Id;
use crate::sys::*;
use core::ffi::{CStr, c_int};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyComplex, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use smallvec::SmallVec;
use std::ffi::CString;

/// Lengths, strides or axes.
pub type Dims = SmallVec<[i64; 8]>;
/// One element, at most 16 bytes; the first ones count.
pub type Element = [u8; 16];

/// An element type and its names.
pub struct Kind {
    pub dtype: tn_dtype,
    /// NumPy's name.
    pub name: &'static str,
    /// The format code of PEP 3118, if it has one.
    pub format: Option<&'static CStr>,
    pub item_bytes: usize,
}

impl Kind {
    const fn new(dtype: tn_dtype, name: &'static str, format: Option<&'static CStr>, item_bytes: usize) -> Kind {
        Kind { dtype, name, format, item_bytes }
    }
}

/// The fifteen element types. NumPy and PEP 3118 do not know the last one, bfloat16. NumPy calls the 64-bit code `l`
/// int64; with `q` arrays would get another type number, which compiled code does not expect.
pub static KINDS: [Kind; 15] = [
    Kind::new(TN_F64, "float64", Some(c"d"), 8),
    Kind::new(TN_F32, "float32", Some(c"f"), 4),
    Kind::new(TN_I64, "int64", Some(c"l"), 8),
    Kind::new(TN_I32, "int32", Some(c"i"), 4),
    Kind::new(TN_U8, "uint8", Some(c"B"), 1),
    Kind::new(TN_BOOL, "bool", Some(c"?"), 1),
    Kind::new(TN_I8, "int8", Some(c"b"), 1),
    Kind::new(TN_I16, "int16", Some(c"h"), 2),
    Kind::new(TN_U16, "uint16", Some(c"H"), 2),
    Kind::new(TN_U32, "uint32", Some(c"I"), 4),
    Kind::new(TN_U64, "uint64", Some(c"L"), 8),
    Kind::new(TN_F16, "float16", Some(c"e"), 2),
    Kind::new(TN_C64, "complex64", Some(c"Zf"), 8),
    Kind::new(TN_C128, "complex128", Some(c"Zd"), 16),
    Kind::new(TN_BF16, "bfloat16", None, 2),
];

/// The entry of an element type.
pub fn kind(dtype: tn_dtype) -> &'static Kind {
    KINDS.iter().find(|k| k.dtype == dtype).unwrap_or(&KINDS[14])
}

/// Objects of NumPy and of this package that are looked up once.
pub struct CachedObjects {
    /// NumPy's dtype of each entry of `KINDS`; `tenure.bfloat16` for the last.
    dtypes: Vec<Py<PyAny>>,
    /// Objects that mean an element type, by address. `_keep` has references on them, so that the addresses stay
    /// theirs.
    known: Vec<(usize, tn_dtype)>,
    _keep: Vec<Py<PyAny>>,
    /// `numpy.dtype`
    pub dtype: Py<PyAny>,
    /// `numpy.asarray`
    pub asarray: Py<PyAny>,
    /// `numpy.ndarray`
    pub ndarray: Py<PyAny>,
    /// `numpy.generic`
    pub generic: Py<PyAny>,
    /// `numpy.empty`
    pub empty: Py<PyAny>,
    /// numpy
    pub numpy: Py<PyAny>,
    /// `tenure._types`, the module of the result types.
    pub types_module: Py<PyAny>,
}

static CACHED_OBJECTS: PyOnceLock<CachedObjects> = PyOnceLock::new();

/// The cached_objects, made at the first use.
pub fn cached_objects(py: Python<'_>) -> PyResult<&'static CachedObjects> {
    CACHED_OBJECTS.get_or_try_init(py, || {
        let numpy = py.import("numpy")?;
        let types_module = py.import("tenure._types")?;
        let dtype = numpy.getattr("dtype")?;
        let (mut dtypes, mut known, mut keep) = (Vec::new(), Vec::new(), Vec::new());
        let builtins = py.import("builtins")?;
        let mut know = |object: Bound<'_, PyAny>, raw| {
            known.push((object.as_ptr() as usize, raw));
            keep.push(object.unbind());
        };
        for &Kind { dtype: raw, name, format, .. } in &KINDS {
            let object = if format.is_some() { dtype.call1((name,))? } else { types_module.getattr(name)? };
            dtypes.push(object.clone().unbind());
            know(object, raw);
            know(PyString::intern(py, name).into_any(), raw);
            if format.is_some() {
                know(numpy.getattr(if name == "bool" { "bool_" } else { name })?, raw);
            }
        }
        for (name, raw) in [("float", TN_F64), ("int", TN_I64), ("bool", TN_BOOL), ("complex", TN_C128)] {
            know(builtins.getattr(name)?, raw);
        }
        Ok(CachedObjects {
            dtypes,
            known,
            _keep: keep,
            dtype: dtype.unbind(),
            asarray: numpy.getattr("asarray")?.unbind(),
            ndarray: numpy.getattr("ndarray")?.unbind(),
            generic: numpy.getattr("generic")?.unbind(),
            empty: numpy.getattr("empty")?.unbind(),
            numpy: numpy.into_any().unbind(),
            types_module: types_module.into_any().unbind(),
        })
    })
}

/// NumPy's dtype object of an element type.
pub fn dtype_object(py: Python<'_>, raw: tn_dtype) -> PyResult<Bound<'_, PyAny>> {
    let at = KINDS.iter().position(|k| k.dtype == raw).unwrap_or(14);
    Ok(cached_objects(py)?.dtypes[at].bind(py).clone())
}

/// The element type that an object means: whatever `numpy.dtype` takes, and `tenure.bfloat16`.
#[inline]
pub fn dtype_of(object: &Bound<'_, PyAny>) -> PyResult<tn_dtype> {
    let address = object.as_ptr() as usize;
    if let Some((_, raw)) = cached_objects(object.py())?.known.iter().find(|(known, _)| *known == address) {
        return Ok(*raw);
    }
    dtype_slow(object)
}

/// The element type that an object means, if it is one of the usual objects for it.
#[inline]
pub fn known_dtype_of(object: &Bound<'_, PyAny>) -> PyResult<Option<tn_dtype>> {
    let address = object.as_ptr() as usize;
    let found = cached_objects(object.py())?.known.iter().find(|(known, _)| *known == address);
    Ok(found.map(|(_, raw)| *raw).filter(|raw| *raw != TN_BF16))
}

#[cold]
fn dtype_slow(object: &Bound<'_, PyAny>) -> PyResult<tn_dtype> {
    let py = object.py();
    if object.cast::<PyString>().is_ok_and(|s| s == "bfloat16") {
        return Ok(TN_BF16);
    }
    let dtype = cached_objects(py)?.dtype.bind(py).call1((object,))?;
    let letter: String = dtype.getattr("kind")?.extract()?;
    // The type of `ml_dtypes`.
    if letter == "V" && dtype.getattr("name")?.cast::<PyString>().is_ok_and(|name| name == "bfloat16") {
        return Ok(TN_BF16);
    }
    let bytes: u32 = dtype.getattr("itemsize")?.extract()?;
    let native: bool = dtype.getattr("isnative")?.extract()?;
    let code = match letter.as_str() {
        "b" => TN_CODE_BOOL,
        "i" => TN_CODE_INT,
        "u" => TN_CODE_UINT,
        "f" => TN_CODE_FLOAT,
        "c" => TN_CODE_COMPLEX,
        _ => u32::MAX,
    };
    let raw = code | (bytes * 8) << 8 | 1 << 16;
    if code == u32::MAX || !native || !KINDS.iter().any(|k| k.dtype == raw) {
        let text = dtype.str()?;
        return Err(PyTypeError::new_err(format!(
            "element type {text} is not supported; use bool, int8 to int64, uint8 to uint64, float16, float32, \
             float64, bfloat16, complex64 or complex128, in native byte order"
        )));
    }
    Ok(raw)
}

/// An integer, from an object with `__index__`; a float is a TypeError.
#[inline]
pub fn int_of(object: &Bound<'_, PyAny>) -> PyResult<i64> {
    // SAFETY: attached; -1 may be a value or an error.
    let value = unsafe { ffi::PyLong_AsLongLong(object.as_ptr()) };
    if value == -1
        && let Some(error) = PyErr::take(object.py())
    {
        return Err(error);
    }
    Ok(value)
}

/// An integer, or a sequence of them.
#[inline]
pub fn dims_of(object: &Bound<'_, PyAny>) -> PyResult<Dims> {
    let mut dims = Dims::new();
    if let Ok(tuple) = object.cast_exact::<PyTuple>() {
        for item in tuple.iter_borrowed() {
            dims.push(int_of(&item)?);
        }
    } else if object.is_exact_instance_of::<PyInt>() {
        dims.push(int_of(object)?);
    } else if let Ok(list) = object.cast::<PyList>() {
        for item in list.iter() {
            dims.push(int_of(&item)?);
        }
    } else if let Ok(one) = int_of(object) {
        dims.push(one);
    } else {
        let wrong = |_| match object.get_type().name() {
            Ok(what) => PyTypeError::new_err(format!("an integer or a sequence of integers is needed, not {what}")),
            Err(error) => error,
        };
        for item in object.try_iter().map_err(wrong)? {
            dims.push(int_of(&item?)?);
        }
    }
    Ok(dims)
}

/// Calls `body` with the integers of [`dims_of`]. A short tuple needs no heap allocation.
#[inline(always)]
pub fn with_dims<R>(object: &Bound<'_, PyAny>, body: impl FnOnce(&[i64]) -> PyResult<R>) -> PyResult<R> {
    let mut few = [0; 4];
    if let Ok(tuple) = object.cast_exact::<PyTuple>() {
        let n = tuple.len();
        if n <= few.len() {
            for (place, item) in few.iter_mut().zip(tuple.iter_borrowed()) {
                *place = int_of(&item)?;
            }
            return body(&few[..n]);
        }
    }
    body(&dims_of(object)?)
}

/// The integers of `f(2, 3)` or `f((2, 3))`.
pub fn dims_of_args(args: &Bound<'_, PyTuple>) -> PyResult<Dims> {
    if args.len() == 1 { dims_of(&args.get_item(0)?) } else { dims_of(args.as_any()) }
}

/// Axes for the C API. Axes that are too large stay out of range.
pub fn axes_of(dims: &[i64]) -> SmallVec<[i32; 8]> {
    dims.iter().map(|&d| d.clamp(i32::MIN.into(), i32::MAX.into()) as i32).collect()
}

/// The forms by name, in the order of TN_FORM_.
const FORMS: [&str; 5] = ["full", "diagonal", "lower", "upper", "matrix"];

/// The name of a form.
pub fn form_name(form: tn_form) -> &'static str {
    FORMS.get(form as usize).copied().unwrap_or("full")
}

/// The form with this name.
pub fn form_of(name: &str) -> PyResult<tn_form> {
    FORMS.iter().position(|form| *form == name).map(|form| form as tn_form).ok_or_else(|| {
        let known = FORMS.map(|form| format!("{form:?}")).join(", ");
        PyValueError::new_err(format!("form must be one of {known}, not {name:?}"))
    })
}

/// The constant of "C", "F", "A" or "K".
pub fn order_of(text: Option<&str>) -> PyResult<tn_order> {
    match text {
        None | Some("C" | "c") => Ok(TN_ORDER_C),
        Some("F" | "f") => Ok(TN_ORDER_F),
        Some("A" | "a") => Ok(TN_ORDER_A),
        Some("K" | "k") => Ok(TN_ORDER_K),
        Some(other) => Err(PyValueError::new_err(format!("order must be \"C\", \"F\", \"A\" or \"K\", not {other:?}"))),
    }
}

/// A write mode from its constants, or from "aliased", "unique", "cow", "discard" joined by "|".
pub fn mode_of(object: Option<&Bound<'_, PyAny>>) -> PyResult<u32> {
    let Some(object) = object else { return Ok(TN_WRITE_ALIASED) };
    let Ok(text) = object.cast::<PyString>() else {
        return object.extract::<u32>();
    };
    let mut mode = TN_WRITE_ALIASED;
    for word in text.to_str()?.split('|') {
        mode |= match word.trim() {
            "aliased" => TN_WRITE_ALIASED,
            "unique" => TN_WRITE_UNIQUE,
            "cow" => TN_WRITE_COW,
            "discard" => TN_WRITE_DISCARD,
            other => {
                return Err(PyValueError::new_err(format!(
                    "mode must be \"aliased\", \"unique\" or \"cow\", with \"|discard\", not {other:?}"
                )));
            }
        };
    }
    Ok(mode)
}

/// A handle as a ctypes pointer.
pub fn parameter_of(py: Python<'_>, id: Id) -> PyResult<Bound<'_, PyAny>> {
    py.import("ctypes")?.getattr("c_void_p")?.call1((id.0,))
}

/// A text for the library. One with a NUL is a ValueError.
pub fn text_of(text: &str) -> PyResult<CString> {
    CString::new(text).map_err(|error| {
        let at = error.nul_position();
        PyValueError::new_err(format!("{text:?} has a NUL character at byte {at}, where C ends a text; remove it"))
    })
}

/// The text in a fixed array of the C API.
pub fn fixed_text(text: &[core::ffi::c_char]) -> String {
    let bytes: Vec<u8> = text.iter().map(|&c| c as u8).take_while(|&b| b != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The name of a device: "cpu", "cuda:0", "cuda_host", "cuda_managed:0".
pub fn device_text(device: tn_device) -> String {
    match device.r#type {
        TN_CPU => "cpu".to_owned(),
        TN_CUDA => format!("cuda:{}", device.id),
        TN_CUDA_HOST => "cuda_host".to_owned(),
        TN_CUDA_MANAGED => format!("cuda_managed:{}", device.id),
        other => format!("device {other}:{}", device.id),
    }
}

/// The device of such a name. The library reports a device that does not exist.
pub fn device_of(text: &str) -> PyResult<tn_device> {
    let (name, id) = text.split_once(':').unwrap_or((text, "0"));
    let r#type = match name {
        "cpu" => TN_CPU,
        "cuda" => TN_CUDA,
        "cuda_host" => TN_CUDA_HOST,
        "cuda_managed" => TN_CUDA_MANAGED,
        _ => 0,
    };
    match (r#type, id.parse()) {
        (1.., Ok(id)) => Ok(tn_device { r#type, id }),
        _ => Err(PyValueError::new_err(format!(
            "{text:?} is not a device; use \"cpu\", \"cuda:0\", \"cuda_host\" or \"cuda_managed:0\""
        ))),
    }
}

fn out_of_bounds(value: &Bound<'_, PyAny>, dtype: tn_dtype) -> PyErr {
    let text = value.str().map(|t| t.to_string()).unwrap_or_default();
    PyOverflowError::new_err(format!("{text} is out of bounds for {}", kind(dtype).name))
}

fn bytes_of(bytes: &[u8]) -> Element {
    let mut element = [0; 16];
    element[..bytes.len()].copy_from_slice(bytes);
    element
}

/// The bytes of one element of a type. A value out of range is an OverflowError (PA-5); otherwise NumPy's rules hold.
pub fn encode(value: &Bound<'_, PyAny>, dtype: tn_dtype) -> PyResult<Element> {
    let float = value.is_exact_instance_of::<PyFloat>();
    let int = value.is_instance_of::<PyInt>();
    if float || int {
        match dtype {
            TN_F64 | TN_F32 | TN_F16 | TN_BF16 => return encode_float(value, value.extract()?, dtype),
            _ if int => {
                let mut overflow: c_int = 0;
                // SAFETY: attached, an int; `overflow` has the direction.
                let number = unsafe { ffi::PyLong_AsLongLongAndOverflow(value.as_ptr(), &mut overflow) };
                if let Some(element) = encode_int(number, overflow, value, dtype)? {
                    return Ok(element);
                }
            }
            _ => {}
        }
    }
    encode_slow(value, dtype)
}

/// The bytes of the element that fills a whole array. Several elements are refused with advice.
pub fn encode_one(value: &Bound<'_, PyAny>, dtype: tn_dtype) -> PyResult<Element> {
    let several = || {
        value.len().is_ok()
            && !value.is_instance_of::<PyString>()
            && !value.getattr("shape").is_ok_and(|s| s.len().is_ok_and(|n| n == 0))
    };
    encode(value, dtype).map_err(|error| match several() {
        true => PyTypeError::new_err("one value fills all elements; x[...] = values assigns several"),
        false => error,
    })
}

fn encode_float(value: &Bound<'_, PyAny>, number: f64, dtype: tn_dtype) -> PyResult<Element> {
    match dtype {
        TN_F64 => Ok(bytes_of(&number.to_ne_bytes())),
        TN_F32 if number.is_finite() && (number as f32).is_infinite() => Err(out_of_bounds(value, dtype)),
        TN_F32 => Ok(bytes_of(&(number as f32).to_ne_bytes())),
        TN_BF16 => {
            let single = number as f32;
            let bits = single.to_bits();
            // Round to nearest, ties to even; a NaN stays a NaN.
            let bits = if single.is_nan() { bits >> 16 | 0x40 } else { (bits + 0x7fff + (bits >> 16 & 1)) >> 16 };
            if number.is_finite() && bits & 0x7fff == 0x7f80 {
                return Err(out_of_bounds(value, dtype));
            }
            Ok(bytes_of(&(bits as u16).to_ne_bytes()))
        }
        // 65520 is halfway between the largest half-precision number and the next larger one.
        _ if number.is_finite() && number.abs() >= 65520.0 => Err(out_of_bounds(value, dtype)),
        _ => encode_slow(value, dtype),
    }
}

/// The bytes of an integer. None: `dtype` is no integer type.
fn encode_int(number: i64, overflow: c_int, value: &Bound<'_, PyAny>, dtype: tn_dtype) -> PyResult<Option<Element>> {
    macro_rules! fits {
        ($type:ty) => {
            match (overflow, <$type>::try_from(number)) {
                (0, Ok(v)) => bytes_of(&v.to_ne_bytes()),
                _ => return Err(out_of_bounds(value, dtype)),
            }
        };
    }
    Ok(Some(match dtype {
        TN_I64 => fits!(i64),
        TN_I32 => fits!(i32),
        TN_I16 => fits!(i16),
        TN_I8 => fits!(i8),
        TN_U8 => fits!(u8),
        TN_U16 => fits!(u16),
        TN_U32 => fits!(u32),
        TN_U64 if overflow == 0 => fits!(u64),
        TN_U64 => bytes_of(&value.extract::<u64>().map_err(|_| out_of_bounds(value, dtype))?.to_ne_bytes()),
        TN_BOOL => bytes_of(&[(overflow != 0 || number != 0) as u8]),
        _ => return Ok(None),
    }))
}

/// Lets NumPy store the value into an element.
fn encode_slow(value: &Bound<'_, PyAny>, dtype: tn_dtype) -> PyResult<Element> {
    let py = value.py();
    if dtype == TN_BF16 {
        let number: f64 = value.call_method0("__float__")?.extract()?;
        return encode_float(value, number, dtype);
    }
    let place = cached_objects(py)?.empty.bind(py).call1((PyTuple::empty(py), dtype_object(py, dtype)?))?;
    place.set_item(PyTuple::empty(py), value)?;
    let bytes: Vec<u8> = place.call_method0("tobytes")?.extract()?;
    Ok(bytes_of(&bytes))
}

/// One element as a Python scalar.
pub fn decode(py: Python<'_>, element: &Element, dtype: tn_dtype) -> PyResult<Py<PyAny>> {
    macro_rules! read {
        ($type:ty, $at:expr) => {{
            let mut bytes = [0u8; size_of::<$type>()];
            bytes.copy_from_slice(&element[$at..$at + size_of::<$type>()]);
            <$type>::from_ne_bytes(bytes)
        }};
    }
    let float = |v: f64| PyFloat::new(py, v).into_any();
    let complex = |re: f64, im: f64| PyComplex::from_doubles(py, re, im).into_any();
    let int = |v: i64| v.into_pyobject(py).map(Bound::into_any);
    Ok(match dtype {
        TN_F64 => float(read!(f64, 0)),
        TN_F32 => float(read!(f32, 0).into()),
        TN_F16 => float(half(read!(u16, 0))),
        TN_BF16 => float(f32::from_bits(u32::from(read!(u16, 0)) << 16).into()),
        TN_C64 => complex(read!(f32, 0).into(), read!(f32, 4).into()),
        TN_C128 => complex(read!(f64, 0), read!(f64, 8)),
        TN_BOOL => pyo3::types::PyBool::new(py, element[0] != 0).to_owned().into_any(),
        TN_I8 => int(read!(i8, 0).into())?,
        TN_I16 => int(read!(i16, 0).into())?,
        TN_I32 => int(read!(i32, 0).into())?,
        TN_I64 => int(read!(i64, 0))?,
        TN_U8 => int(read!(u8, 0).into())?,
        TN_U16 => int(read!(u16, 0).into())?,
        TN_U32 => int(read!(u32, 0).into())?,
        _ => read!(u64, 0).into_pyobject(py)?.into_any(),
    }
    .unbind())
}

/// The exact value of an IEEE half-precision number.
fn half(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    match exponent {
        0 => sign * fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => sign * f64::INFINITY,
        31 => f64::NAN,
        _ => sign * (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
    }
}

/// The host.
pub const HOST: tn_device = tn_device { r#type: TN_CPU, id: 0 };

/// Whether the host cannot access memory of a device.
pub fn is_remote(device: tn_device) -> bool {
    device.r#type == TN_CUDA
}

/// A write mode with the flag of `wait=`.
pub fn mode_and_wait(mode: Option<&Bound<'_, PyAny>>, wait: bool) -> PyResult<u32> {
    Ok(mode_of(mode)? | if wait { TN_WAIT } else { 0 })
}

/// The flags of an import or export for Python's `copy=` (XC-1).
pub fn crossing(copy: Option<bool>) -> u32 {
    match copy {
        None => TN_BORROW,
        Some(false) => TN_REQUIRE_BORROW,
        Some(true) => 0,
    }
}

/// NumPy's dtype for bfloat16, which `ml_dtypes` has. Raises where that is not installed.
pub fn numpy_bfloat16(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    py.import("tenure._bfloat16")?.getattr("numpy_dtype")?.call0()
}

/// bfloat16 values as float32, from a NumPy array of their bits.
pub fn widened<'py>(bits: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    bits.py().import("tenure._bfloat16")?.getattr("widened")?.call1((bits,))
}

/// The bits of any values as bfloat16, in a NumPy array of uint16.
pub fn narrowed<'py>(values: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    values.py().import("tenure._bfloat16")?.getattr("narrowed")?.call1((values,))
}

/// The result of `__array__`: a NumPy array over the object's buffer, or the exception of its refusal.
pub fn as_numpy<'py>(
    object: Bound<'py, PyAny>,
    dtype: Option<&Bound<'py, PyAny>>,
    copy: Option<bool>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = object.py();
    let memory = pyo3::types::PyMemoryView::from(&object)?;
    let options = PyDict::new(py);
    if let Some(dtype) = dtype {
        options.set_item("dtype", dtype)?;
    }
    options.set_item("copy", copy)?;
    cached_objects(py)?.asarray.bind(py).call((memory,), Some(&options))
}
