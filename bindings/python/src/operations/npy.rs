//! `.npy` files: opening one as an array, and writing an array as one.

use crate::api::{self, Id};
use crate::base::interpreter::retry_after_wait;
use crate::base::site;
use crate::handles::array::Array;
use crate::handles::pool::Pool;
use crate::sys::*;
use crate::values::convert::text_of;
use crate::values::file::{FileArgument, Source};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Opens a `.npy` file. mode: "r" maps it read-only; with "c" writes stay in this process; with "r+" writes reach the
/// file; None reads it into the pool.
///
/// path: a path, or an open binary file. The array of an open file begins at its position, and afterwards the file
/// stands behind the array, as after `numpy.load`. Several arrays of one file are opened in turn.
///
/// If a mapped file is truncated, the next access ends the process (SIGBUS), as with every mapping.
#[pyfunction]
#[pyo3(
    signature = (path, mode=Some("r"), *, pool=None, max_header_bytes=0, name=None),
    text_signature = "(path, mode='r', *, pool=None, max_header_bytes=0, name=None)"
)]
pub fn open_npy<'py>(
    py: Python<'py>,
    path: &Bound<'py, PyAny>,
    mode: Option<&str>,
    pool: Option<&Bound<'py, Pool>>,
    max_header_bytes: u64,
    name: Option<&str>,
) -> PyResult<Bound<'py, Array>> {
    let mode = match mode {
        Some("r") => TN_NPY_READ,
        Some("c") => TN_NPY_COW,
        Some("r+") => TN_NPY_WRITE,
        None => TN_NPY_COPY,
        Some(other) => {
            return Err(PyValueError::new_err(format!("mode must be \"r\", \"c\", \"r+\" or None, not {other:?}")));
        }
    };
    let (file, pool) = (FileArgument::to_read(path)?, Pool::id_of(pool)?);
    let _site = site::here(py);
    let source = file.source();
    let (id, end) = py.detach(|| {
        let options = tn_npy_options {
            size: size_of::<tn_npy_options>(),
            mode,
            fd: -1,
            pool: pool.0 as *mut tn_pool,
            max_header_bytes,
        };
        match source {
            Source::Path(path) => api::open_npy(path, &options).map(|id| (id, 0)),
            Source::Open(fd, at) => api::open_npy_fd(fd, at, &options),
        }
        .map_err(PyErr::from)
    })?;
    let made = Array::adopt(py, id)?;
    file.move_to(end)?;
    if let Some(name) = name {
        api::set_name(id, Some(&text_of(name)?))?;
    }
    Ok(made)
}

/// Writes an array as a `.npy` file.
pub fn save(array: &Bound<'_, Array>, path: &Bound<'_, PyAny>, sync: bool, exclusive: bool) -> PyResult<()> {
    let py = array.py();
    let id: Id = array.get().id()?;
    let file = FileArgument::to_write(path)?;
    if exclusive && matches!(file, FileArgument::Open(_)) {
        return Err(PyValueError::new_err("exclusive goes with a path; open the file with mode \"xb\" instead"));
    }
    let flags = if sync { TN_IO_SYNC } else { 0 } | if exclusive { TN_IO_EXCLUSIVE } else { 0 };
    let _site = site::here(py);
    let source = file.source();
    let saved = py.detach(|| {
        let save = || match source {
            Source::Path(path) => api::save_npy(id, path, flags),
            Source::Open(fd, _) => api::save_npy_fd(id, fd, flags),
        };
        retry_after_wait(id, save).map_err(PyErr::from)
    });
    // Also after a failure: a part may have been written.
    saved.and(file.follow_descriptor())
}

/// Writes an array as a `.npy` file, beside the target, and then renames it. sync: returns when the data is on disk.
/// exclusive: an existing file is an error.
///
/// path: a path, or an open binary file, pipe or socket, which is written at its position, as `numpy.save` does. It
/// stands behind the array afterwards.
#[pyfunction]
#[pyo3(signature = (path, array, *, sync=false, exclusive=false))]
pub fn save_npy(path: &Bound<'_, PyAny>, array: &Bound<'_, Array>, sync: bool, exclusive: bool) -> PyResult<()> {
    save(array, path, sync, exclusive)
}

#[pymethods]
impl Array {
    /// Writes the array as a `.npy` file: `tenure.save_npy(path, x)`.
    #[pyo3(signature = (path, *, sync=false, exclusive=false))]
    fn save_npy(slf: &Bound<'_, Self>, path: &Bound<'_, PyAny>, sync: bool, exclusive: bool) -> PyResult<()> {
        save(slf, path, sync, exclusive)
    }
}
