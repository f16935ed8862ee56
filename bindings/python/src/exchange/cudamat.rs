//! CUDAMat's matrices, for `tenure.compat`: the structs are those of its ctypes objects (CM-1 to CM-7).
//!
//! Contract: the library fills and reads the structs. The caller passes the address of a struct of 40 bytes.

use crate::api;
use crate::base::{errors, site};
use crate::exchange::cuda_array_interface::Lent;
use crate::handles::array::Array;
use crate::sys::*;
use crate::values::owner::keep_owner;
use pyo3::prelude::*;

/// Fills the struct at an address with a matrix on the array's bytes, and returns the export, which ends with its
/// object.
#[pyfunction]
pub fn _lend_cudamat(
    py: Python<'_>,
    array: &Bound<'_, Array>,
    address: usize,
    transposed: bool,
    reads: bool,
) -> PyResult<Lent> {
    let class = if reads { TN_EXPORT_CONSUMER_READS } else { TN_EXPORT_WRITABLE };
    let flags = TN_REQUIRE_BORROW | class | if transposed { TN_CUDAMAT_TRANSPOSED } else { 0 };
    let _site = site::here(py);
    // SAFETY: the package passes the address of a ctypes struct of this layout.
    let guard = unsafe { api::export_cudamat(array.get().id()?, flags, address as *mut tn_cudamat) };
    guard.map(Lent::new).map_err(errors::exporting)
}

/// An array on the elements of the matrix whose struct is at an address. It keeps `owner`.
#[pyfunction]
pub fn _from_cudamat<'py>(py: Python<'py>, address: usize, owner: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Array>> {
    let _site = site::here(py);
    let imported = keep_owner(owner, |release, context| {
        // SAFETY: as in `_lend_cudamat`; the owner keeps the elements until the release drops it.
        unsafe { api::import_cudamat(address as *const tn_cudamat, TN_REQUIRE_BORROW, release, context) }
    });
    Array::adopt(py, imported?)
}
