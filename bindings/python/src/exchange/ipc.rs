//! Arrays in other processes: what `tenure._processes` sends and receives.

use crate::api::{Id, ipc as c};
use crate::base::site;
use crate::handles::array::Array;
use crate::sys::*;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// The descriptor of an array for other processes, and a file descriptor that the caller closes. The memory is never
/// used for another array, so nothing has to hold it. copy: of the bytes; without it, they are shared or the call
/// raises.
#[pyfunction]
pub fn _export_ipc<'py>(
    py: Python<'py>,
    array: &Bound<'py, Array>,
    writable: bool,
    copy: bool,
) -> PyResult<(Bound<'py, PyBytes>, i32)> {
    let id = array.get().id()?;
    let crossing = if copy { 0 } else { TN_REQUIRE_BORROW };
    let flags = crossing | TN_WAIT | if writable { TN_IPC_WRITABLE } else { 0 };
    let _site = site::here(py);
    let sent = py.detach(|| c::export(id, flags).map_err(PyErr::from))?;
    c::end(sent.hold)?;
    Ok((PyBytes::new(py, &sent.descriptor), sent.fd))
}

/// Offers an array to another process: the descriptor, a file descriptor that the caller closes, and the handle of the
/// export, which `_end_offer` ends.
#[pyfunction]
pub fn _offer_ipc<'py>(py: Python<'py>, array: &Bound<'py, Array>) -> PyResult<(Bound<'py, PyBytes>, i32, u64)> {
    let id = array.get().id()?;
    let _site = site::here(py);
    let sent = py.detach(|| c::export(id, TN_IPC_GIVE | TN_WAIT).map_err(PyErr::from))?;
    Ok((PyBytes::new(py, &sent.descriptor), sent.fd, sent.hold.0))
}

/// Ends an offer.
#[pyfunction]
pub fn _end_offer(py: Python<'_>, hold: u64) -> PyResult<()> {
    let _site = site::here(py);
    Ok(c::end(Id(hold))?)
}

/// The array that a descriptor describes, for "read", "write" or "take". `fd` stays the caller's.
#[pyfunction]
pub fn _import_ipc<'py>(py: Python<'py>, descriptor: &[u8], fd: i32, to: &str) -> PyResult<Bound<'py, Array>> {
    let flags = match to {
        "read" => 0,
        "write" => TN_IPC_WRITABLE,
        _ => TN_IPC_GIVE,
    };
    let _site = site::here(py);
    let id = c::import(descriptor, fd, flags)?;
    Array::adopt(py, id)
}
