//! The event log: what `tenure/_events.py` calls.
//!
//! Contract: calls that stop all threads of the library, or wait for a file, release the interpreter's lock, because a
//! thread inside of the library may be waiting for it. While a log runs that began here, or with the library, each new
//! array records its call site.

use crate::api::{self, Failure};
use crate::base::site;
use crate::sys::*;
use crate::values::convert::cached_objects;
use crate::values::file;
use pyo3::prelude::*;

/// Looks for a log that began with the library.
pub fn find() {
    site::record_of_small_arrays(api::events::query().is_ok_and(|stats| stats.kinds != 0));
}

/// Begins a log.
#[pyfunction]
pub fn _events_start(py: Python<'_>, path: Option<&Bound<'_, PyAny>>, kinds: u32, capacity: u64) -> PyResult<()> {
    let path = path.map(file::path_of).transpose()?;
    py.detach(|| api::events::start(path.as_deref(), kinds, capacity).map_err(PyErr::from))?;
    site::record_of_small_arrays(true);
    Ok(())
}

/// Ends the log. Nothing happens if there is none.
#[pyfunction]
pub fn _events_stop(py: Python<'_>) -> PyResult<()> {
    site::record_of_small_arrays(false);
    py.detach(|| match api::events::stop() {
        Err(Failure(TN_ERR_INVALID)) => Ok(()),
        ended => ended.map_err(PyErr::from),
    })
}

/// Saves the log that is in memory.
#[pyfunction]
pub fn _events_save(py: Python<'_>, path: &Bound<'_, PyAny>) -> PyResult<()> {
    let path = file::path_of(path)?;
    py.detach(|| api::events::save(&path).map_err(PyErr::from))
}

/// What the log has, as a `tenure.EventStats`.
#[pyfunction]
pub fn _events_query(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let stats = py.detach(|| api::events::query().map_err(PyErr::from))?;
    cached_objects(py)?.types_module.bind(py).getattr("EventStats")?.call1((
        stats.kinds,
        stats.is_file != 0,
        stats.events,
        stats.overwritten,
        stats.dropped,
        stats.capacity,
    ))
}
