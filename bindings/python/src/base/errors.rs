//! Converts a status into a Python exception that carries it.
//!
//! Contract: the message is read from the library's buffer for this thread. So a `Failure` is converted on the thread
//! of the call that failed, before the next call. The table in `tenure/_errors.py` chooses the exception class.

use crate::api::{self, Failure};
use crate::base::guard;
use crate::sys::*;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The exception for a status, with a message of this crate. exporting: the caller expects a BufferError.
pub fn with_text(py: Python<'_>, status: tn_status, text: &str, exporting: bool) -> PyErr {
    let made = MAKE
        .get_or_try_init(py, || Ok::<_, PyErr>(py.import("tenure._errors")?.getattr("make")?.unbind()))
        .and_then(|make| make.bind(py).call1((status, text, exporting)));
    match made {
        Ok(error) => PyErr::from_value(error),
        Err(error) => error,
    }
}

fn raised(failure: Failure, exporting: bool) -> PyErr {
    let mut text = api::last_error();
    let Failure(status) = failure;
    if text.is_empty() {
        text = api::status_name(status);
    }
    if matches!(status, TN_ERR_BORROWED | TN_ERR_BORROWED_WRITE | TN_ERR_EXPORTED) {
        text.push_str(guard::hint(status));
    }
    Python::attach(|py| with_text(py, status, &text, exporting))
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> PyErr {
        raised(failure, false)
    }
}

/// The exception of a refused export. NumPy and memoryview expect a BufferError (DL-42, CA-22).
pub fn exporting(failure: Failure) -> PyErr {
    raised(failure, true)
}

/// A BufferError with a status and a message of this crate.
pub fn buffer_error(py: Python<'_>, status: tn_status, text: &str) -> PyErr {
    with_text(py, status, text, true)
}
