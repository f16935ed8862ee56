//! How arrays print (PA-5, PY-6): as NumPy prints them, within `tenure.array(...)`. An array that cannot be read prints
//! its type and state.
//!
//! Contract: never raises, whatever the array's state and whatever other threads do meanwhile. Bytes are read under a
//! read guard only.

use crate::api;
use crate::base::guard;
use crate::base::interpreter::{SameThread, wait_without_gil};
use crate::elements::borrow::read_view;
use crate::handles::array::{Array, brief};
use crate::sys::*;
use crate::values::convert::{cached_objects, device_text, form_name, is_remote};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The text around the elements, NumPy's and Tenure's.
const NUMPY_PREFIX: &str = "array(";
const TENURE_PREFIX: &str = "tenure.array(";
/// Columns of a line, NumPy's default.
const WIDTH_COLUMNS: usize = 75;

/// Why the elements cannot be shown, as `<state array ...>`. None: they can.
fn state(array: &Bound<'_, Array>) -> Option<String> {
    let this = array.get();
    if let Some(fate) = this.fate() {
        return Some(format!("<{fate} array>"));
    }
    let id = this.id().ok()?;
    let failure = match api::query(id) {
        Err(failure) => failure,
        // The refusal that reading would get.
        Ok(_) => match wait_without_gil(array.py(), TN_WAIT, |flags| api::borrow_read(id, flags).map(SameThread)) {
            Ok(SameThread((guard, _))) => {
                let _ = api::borrow_end(guard, 0);
                return None;
            }
            Err(failure) => failure,
        },
    };
    let reason = reason(array.py());
    Some(match failure.0 {
        TN_ERR_DESTRUCTED => {
            // The library's sentence names the array, then has "given away" and where it was taken.
            let told = reason.find("given away").map_or(reason.as_str(), |at| &reason[at..]);
            let told = told.split("; ").next().unwrap_or(told);
            format!("<destructed array ({told})>")
        }
        TN_ERR_STALE => "<released array>".to_owned(),
        TN_ERR_GIVEN => format!("<given {} ({reason})>", brief(array)),
        TN_ERR_POISONED => format!("<poisoned {} ({reason})>", brief(array)),
        TN_ERR_BORROWED_WRITE => format!("<borrowed {} ({reason}{})>", brief(array), guard::hint(failure.0)),
        TN_ERR_EXPORTED => format!("<exported {} ({reason})>", brief(array)),
        other => format!("<{} ({}: {reason})>", brief(array), api::status_name(other)),
    })
}

/// The message of the last failure with Python's names, without the function's name.
fn reason(py: Python<'_>) -> String {
    let text = api::last_error();
    let reworded = || py.import("tenure._errors")?.getattr("reworded")?.call1((&text,))?.extract::<String>();
    let text = reworded().unwrap_or(text);
    match text.split_once(": ") {
        Some((function, rest)) if function.starts_with("tn_") => rest.to_owned(),
        _ => text,
    }
}

/// NumPy's text of the elements, by `array_repr` or `array_str`.
fn by_numpy(array: &Bound<'_, Array>, function: &str, width: usize) -> PyResult<String> {
    let py = array.py();
    if is_remote(array.get().info()?.device) && array.get().dtype() != TN_BF16 {
        return py.import("tenure._text")?.getattr("text_of")?.call1((array, function, width))?.extract();
    }
    let readable = read_view(array)?;
    let options = PyDict::new(py);
    options.set_item("max_line_width", width)?;
    cached_objects(py)?.numpy.bind(py).getattr(function)?.call((readable,), Some(&options))?.extract()
}

/// The text with a property, such as the device, before its last bracket. Where the line would be too long it is on its
/// own line, as NumPy does with types.
fn with_property(text: &str, property: &str, value: &str) -> String {
    let elements = text.strip_suffix(')').unwrap_or(text);
    let last = elements.rsplit('\n').next().unwrap_or(elements);
    let gap = if last.len() + property.len() + value.len() + ", ='')".len() > WIDTH_COLUMNS {
        format!("\n{}", " ".repeat(TENURE_PREFIX.len()))
    } else {
        " ".to_owned()
    };
    format!("{elements},{gap}{property}='{value}')")
}

/// The result of `repr(x)`.
pub fn repr(array: &Bound<'_, Array>) -> String {
    if let Some(state) = state(array) {
        return state;
    }
    match by_numpy(array, "array_repr", WIDTH_COLUMNS - TENURE_PREFIX.len() + NUMPY_PREFIX.len()) {
        Ok(text) => {
            let text = text.strip_prefix(NUMPY_PREFIX).unwrap_or(&text);
            // Lines between the blocks of further axes stay empty.
            let indent = format!("\n{}", " ".repeat(TENURE_PREFIX.len() - NUMPY_PREFIX.len()));
            let text = text.replace('\n', &indent).replace(&format!("{indent}\n"), "\n\n");
            let text = match array.get().dtype() {
                TN_BF16 => format!("{TENURE_PREFIX}{}", text.replace("dtype=float32", "dtype=bfloat16")),
                _ => format!("{TENURE_PREFIX}{text}"),
            };
            let Ok(info) = array.get().info() else { return text };
            let text = match info.form {
                TN_FORM_FULL => text,
                form => with_property(&text, "form", form_name(form)),
            };
            match info.device {
                device if device.r#type != TN_CPU => with_property(&text, "device", &device_text(device)),
                _ => text,
            }
        }
        Err(error) => format!("<{} ({error})>", brief(array)),
    }
}

/// The result of `str(x)`.
pub fn str(array: &Bound<'_, Array>) -> String {
    if let Some(state) = state(array) {
        return state;
    }
    by_numpy(array, "array_str", WIDTH_COLUMNS).unwrap_or_else(|error| format!("<{} ({error})>", brief(array)))
}

#[pymethods]
impl Array {
    fn __repr__(slf: &Bound<'_, Self>) -> String {
        repr(slf)
    }

    fn __str__(slf: &Bound<'_, Self>) -> String {
        str(slf)
    }
}
