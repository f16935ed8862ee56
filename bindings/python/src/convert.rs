//! Python's values and ours: element types, shapes, single elements, orders, write modes, texts.
//!
//! Contract: pure conversions; what does not fit raises what NumPy raises (TypeError, ValueError, OverflowError) and
//! makes nothing. Where NumPy's rules are rich (an element from any object) NumPy itself is asked; the usual cases do
//! not reach it.

use crate::api::Id;
use crate::types::*;
use core::ffi::{CStr, c_int};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyComplex, PyFloat, PyInt, PyList, PyString, PyTuple};
use smallvec::SmallVec;
use std::ffi::CString;

/// Lengths, strides or axes.
pub type Dims = SmallVec<[i64; 8]>;
/// One element, of at most 16 bytes; the first ones count.
pub type Element = [u8; 16];

/// Element type, NumPy's name, code of PEP 3118, bytes.
pub struct Kind(pub tn_dtype, pub &'static str, pub Option<&'static CStr>, pub usize);

/// The fifteen element types; bfloat16 last, which NumPy and PEP 3118 do not know. Of the two codes with 64 bits here
/// NumPy calls `l` int64; `q` would give arrays of another type number, which compiled code does not expect.
pub static KINDS: [Kind; 15] = [
    Kind(TN_F64, "float64", Some(c"d"), 8),
    Kind(TN_F32, "float32", Some(c"f"), 4),
    Kind(TN_I64, "int64", Some(c"l"), 8),
    Kind(TN_I32, "int32", Some(c"i"), 4),
    Kind(TN_U8, "uint8", Some(c"B"), 1),
    Kind(TN_BOOL, "bool", Some(c"?"), 1),
    Kind(TN_I8, "int8", Some(c"b"), 1),
    Kind(TN_I16, "int16", Some(c"h"), 2),
    Kind(TN_U16, "uint16", Some(c"H"), 2),
    Kind(TN_U32, "uint32", Some(c"I"), 4),
    Kind(TN_U64, "uint64", Some(c"L"), 8),
    Kind(TN_F16, "float16", Some(c"e"), 2),
    Kind(TN_C64, "complex64", Some(c"Zf"), 8),
    Kind(TN_C128, "complex128", Some(c"Zd"), 16),
    Kind(TN_BF16, "bfloat16", None, 2),
];

/// The entry of an element type.
pub fn kind(dtype: tn_dtype) -> &'static Kind {
    KINDS.iter().find(|k| k.0 == dtype).unwrap_or(&KINDS[14])
}

/// What is looked up in NumPy and in our own Python modules once.
pub struct Tables {
    /// NumPy's dtype of each entry of `KINDS`; `tenure.bfloat16` for the last.
    dtypes: Vec<Py<PyAny>>,
    /// Objects that mean an element type, by identity; `keep` holds them.
    known: Vec<(usize, tn_dtype)>,
    _keep: Vec<Py<PyAny>>,
    /// numpy.dtype
    pub dtype: Py<PyAny>,
    /// numpy.asarray
    pub asarray: Py<PyAny>,
    /// numpy.empty
    pub empty: Py<PyAny>,
    /// numpy
    pub numpy: Py<PyAny>,
    /// tenure._types, where the plain result types are.
    pub plain: Py<PyAny>,
}

static TABLES: PyOnceLock<Tables> = PyOnceLock::new();

/// The tables; made at the first use.
pub fn tables(py: Python<'_>) -> PyResult<&'static Tables> {
    TABLES.get_or_try_init(py, || {
        let numpy = py.import("numpy")?;
        let plain = py.import("tenure._types")?;
        let dtype = numpy.getattr("dtype")?;
        let (mut dtypes, mut known, mut keep) = (Vec::new(), Vec::new(), Vec::new());
        let builtins = py.import("builtins")?;
        let mut know = |object: Bound<'_, PyAny>, raw| {
            known.push((object.as_ptr() as usize, raw));
            keep.push(object.unbind());
        };
        for &Kind(raw, name, code, _) in &KINDS {
            let object = if code.is_some() { dtype.call1((name,))? } else { plain.getattr(name)? };
            dtypes.push(object.clone().unbind());
            know(object, raw);
            know(PyString::intern(py, name).into_any(), raw);
            if code.is_some() {
                know(numpy.getattr(if name == "bool" { "bool_" } else { name })?, raw);
            }
        }
        for (name, raw) in [("float", TN_F64), ("int", TN_I64), ("bool", TN_BOOL), ("complex", TN_C128)] {
            know(builtins.getattr(name)?, raw);
        }
        Ok(Tables {
            dtypes,
            known,
            _keep: keep,
            dtype: dtype.unbind(),
            asarray: numpy.getattr("asarray")?.unbind(),
            empty: numpy.getattr("empty")?.unbind(),
            numpy: numpy.into_any().unbind(),
            plain: plain.into_any().unbind(),
        })
    })
}

/// NumPy's dtype object of an element type.
pub fn dtype_object(py: Python<'_>, raw: tn_dtype) -> PyResult<Bound<'_, PyAny>> {
    let at = KINDS.iter().position(|k| k.0 == raw).unwrap_or(14);
    Ok(tables(py)?.dtypes[at].bind(py).clone())
}

/// The element type that an object means: what `numpy.dtype` takes, and `tenure.bfloat16`.
#[inline]
pub fn dtype_of(object: &Bound<'_, PyAny>) -> PyResult<tn_dtype> {
    let address = object.as_ptr() as usize;
    if let Some((_, raw)) = tables(object.py())?.known.iter().find(|(known, _)| *known == address) {
        return Ok(*raw);
    }
    dtype_slow(object)
}

#[cold]
fn dtype_slow(object: &Bound<'_, PyAny>) -> PyResult<tn_dtype> {
    let py = object.py();
    if object.cast::<PyString>().is_ok_and(|s| s == "bfloat16") {
        return Ok(TN_BF16);
    }
    let dtype = tables(py)?.dtype.bind(py).call1((object,))?;
    let letter: String = dtype.getattr("kind")?.extract()?;
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
    if code == u32::MAX || !native || !KINDS.iter().any(|k| k.0 == raw) {
        let text = dtype.str()?;
        return Err(PyTypeError::new_err(format!(
            "element type {text} is none of those that cross borders: bool, int8 to int64, uint8 to uint64, float16, \
             float32, float64, bfloat16, complex64, complex128, in native byte order"
        )));
    }
    Ok(raw)
}

/// An integer, or what has `__index__`; a float is a TypeError.
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

/// Calls `body` with the integers of [`dims_of`]; those of a short tuple are not moved once they are written.
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

/// `f(2, 3)` and `f((2, 3))` mean the same.
pub fn dims_of_args(args: &Bound<'_, PyTuple>) -> PyResult<Dims> {
    if args.len() == 1 { dims_of(&args.get_item(0)?) } else { dims_of(args.as_any()) }
}

/// Axes as the C API takes them; too large ones stay out of range.
pub fn axes_of(dims: &[i64]) -> SmallVec<[i32; 8]> {
    dims.iter().map(|&d| d.clamp(i32::MIN.into(), i32::MAX.into()) as i32).collect()
}

/// "C", "F", "A", "K".
pub fn order_of(text: Option<&str>) -> PyResult<tn_order> {
    match text {
        None | Some("C" | "c") => Ok(TN_ORDER_C),
        Some("F" | "f") => Ok(TN_ORDER_F),
        Some("A" | "a") => Ok(TN_ORDER_A),
        Some("K" | "k") => Ok(TN_ORDER_K),
        Some(other) => Err(PyValueError::new_err(format!("order must be \"C\", \"F\", \"A\" or \"K\", not {other:?}"))),
    }
}

/// A write mode: the constants, or "aliased", "unique", "cow", "discard" and such words joined by "|".
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

/// A handle as ctypes passes it to C: a pointer.
pub fn parameter_of(py: Python<'_>, id: Id) -> PyResult<Bound<'_, PyAny>> {
    py.import("ctypes")?.getattr("c_void_p")?.call1((id.0,))
}

/// A text for the library; one with a NUL is a ValueError.
pub fn text_of(text: &str) -> PyResult<CString> {
    CString::new(text).map_err(|_| PyValueError::new_err(format!("{text:?} has a NUL character")))
}

/// A path: text, bytes or what has `__fspath__`.
pub fn path_of(object: &Bound<'_, PyAny>) -> PyResult<CString> {
    let bytes: Vec<u8> = object.py().import("os")?.getattr("fsencode")?.call1((object,))?.extract()?;
    CString::new(bytes).map_err(|_| PyValueError::new_err("embedded null byte in the path"))
}

/// What the C side wrote into a fixed text.
pub fn fixed_text(text: &[core::ffi::c_char]) -> String {
    let bytes: Vec<u8> = text.iter().map(|&c| c as u8).take_while(|&b| b != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// "cpu", "cuda:0", "cuda_host", "cuda_managed:0".
pub fn device_text(device: tn_device) -> String {
    match device.r#type {
        TN_CPU => "cpu".to_owned(),
        TN_CUDA => format!("cuda:{}", device.id),
        TN_CUDA_HOST => "cuda_host".to_owned(),
        TN_CUDA_MANAGED => format!("cuda_managed:{}", device.id),
        other => format!("device {other}:{}", device.id),
    }
}

/// The other way; a device that is not there is the library's answer.
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
            "{text:?} is no device; there are \"cpu\", \"cuda:0\", \"cuda_host\", \"cuda_managed:0\""
        ))),
    }
}

fn out_of_bounds(value: &Bound<'_, PyAny>, dtype: tn_dtype) -> PyErr {
    let text = value.str().map(|t| t.to_string()).unwrap_or_default();
    PyOverflowError::new_err(format!("{text} is out of bounds for {}", kind(dtype).1))
}

fn bytes_of(bytes: &[u8]) -> Element {
    let mut element = [0; 16];
    element[..bytes.len()].copy_from_slice(bytes);
    element
}

/// The bytes of one element of that type; what does not fit is an OverflowError (PA-5), the rest follows NumPy.
pub fn encode(value: &Bound<'_, PyAny>, dtype: tn_dtype) -> PyResult<Element> {
    let float = value.is_exact_instance_of::<PyFloat>();
    let int = value.is_instance_of::<PyInt>();
    if float || int {
        match dtype {
            TN_F64 | TN_F32 | TN_F16 | TN_BF16 => return encode_float(value, value.extract()?, dtype),
            _ if int => {
                let mut overflow: c_int = 0;
                // SAFETY: attached, an int; overflow says which way.
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

/// The same of what a whole array is filled with; several elements are refused in words that say what there is instead.
pub fn encode_one(value: &Bound<'_, PyAny>, dtype: tn_dtype) -> PyResult<Element> {
    let several = || {
        value.len().is_ok()
            && !value.is_instance_of::<PyString>()
            && !value.getattr("shape").is_ok_and(|s| s.len().is_ok_and(|n| n == 0))
    };
    encode(value, dtype).map_err(|error| match several() {
        true => PyTypeError::new_err("one value fills all elements; x[...] = values stretches several over them"),
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
            // To nearest, ties to even; a NaN stays one.
            let bits = if single.is_nan() { bits >> 16 | 0x40 } else { (bits + 0x7fff + (bits >> 16 & 1)) >> 16 };
            if number.is_finite() && bits & 0x7fff == 0x7f80 {
                return Err(out_of_bounds(value, dtype));
            }
            Ok(bytes_of(&(bits as u16).to_ne_bytes()))
        }
        // 65520 is halfway between the largest half and what would follow it.
        _ if number.is_finite() && number.abs() >= 65520.0 => Err(out_of_bounds(value, dtype)),
        _ => encode_slow(value, dtype),
    }
}

/// None: no integer type.
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

/// As NumPy stores it into an element.
fn encode_slow(value: &Bound<'_, PyAny>, dtype: tn_dtype) -> PyResult<Element> {
    let py = value.py();
    if dtype == TN_BF16 {
        let number: f64 = value.call_method0("__float__")?.extract()?;
        return encode_float(value, number, dtype);
    }
    let place = tables(py)?.empty.bind(py).call1((PyTuple::empty(py), dtype_object(py, dtype)?))?;
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

/// IEEE half precision, exactly.
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
