//! Blocks of pools for the allocators of GPU libraries, where the plug-in is written in Python: Numba, CuPy, RMM.
//!
//! Contract: a block is freed to the pool that it came from, whatever became of the pool's handles. The interpreter is
//! released during an allocation, which may wait for a device.

use crate::api;
use crate::handles::pool::Pool;
use crate::sys::*;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// The number of a library, as reports name it.
fn client_of(library: &str) -> PyResult<tn_client> {
    match library {
        "torch" => Ok(TN_CLIENT_TORCH),
        "cupy" => Ok(TN_CLIENT_CUPY),
        "numba" => Ok(TN_CLIENT_NUMBA),
        "rmm" => Ok(TN_CLIENT_RMM),
        "cuda.core" => Ok(TN_CLIENT_OTHER),
        _ => Err(PyValueError::new_err(format!("{library:?} is no library of GPUs that allocates from pools"))),
    }
}

/// Allocates a block and returns its address; 0 for 0 bytes. pool: None is the default pool of the device. device: -1
/// is the one of the thread's current context. stream: a CUstream's value; 3 is the thread's current stream, for a
/// library that names none.
#[pyfunction]
pub fn _gpu_allocate(
    py: Python<'_>,
    library: &str,
    pool: Option<&Bound<'_, Pool>>,
    bytes: usize,
    device: i32,
    stream: u64,
) -> PyResult<usize> {
    let (client, pool) = (client_of(library)?, Pool::id_of(pool)?);
    Ok(py.detach(|| api::cuda::plugin_allocate(client, pool, bytes, device, stream))?)
}

/// Frees a block. stream: as for `_gpu_allocate`; -1: no stream uses it any more.
#[pyfunction]
pub fn _gpu_deallocate(library: &str, address: usize, device: i32, stream: i64) -> PyResult<()> {
    Ok(api::cuda::plugin_deallocate(client_of(library)?, address, device, stream as u64)?)
}
