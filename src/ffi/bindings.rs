//! Section "bindings": functions for Tenure's own language bindings, not for programs. Declared in
//! include/tenure_bindings.h.

use crate::boundary::enter;
use crate::exchange::dlpack;
use crate::ffi::convert::{self, Out};
use crate::plugin::gpu::Call;
use crate::types::*;
use core::ffi::{c_int, c_void};

/// Completes the table of `tn_dlpack_exchange_api` with the Python package's functions that take Python objects.
///
/// @param slots        A table with the three functions that convert from, convert to and view Python objects. They
///                     stay callable; the other entries are not read.
/// @return TN_OK, also if these functions are set already; TN_ERR_NULL; TN_ERR_INVALID if other functions are set
///         already.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup bindings
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_dlpack_register_python(slots: *const DLPackExchangeAPI) -> tn_status {
    enter("tn_dlpack_register_python", || {
        convert::id(slots, "slots")?;
        // SAFETY: a table, by this function's documentation.
        unsafe { dlpack::register_python(slots.cast()) }
    })
}

/// Allocates a block of a GPU for another library whose plug-in is written in the binding's language. The block is
/// aligned to at least 256 bytes.
///
/// @param client   TN_CLIENT_TORCH, TN_CLIENT_CUPY, TN_CLIENT_NUMBA, TN_CLIENT_RMM or TN_CLIENT_OTHER.
/// @param pool     A pool on a GPU, or of managed or page-locked memory; NULL: the GPU's initial default pool.
/// @param bytes    The number of bytes; 0 gives NULL.
/// @param device   The ordinal of the GPU; -1: that of the thread's current context.
/// @param stream   The stream that uses the block first, a cudaStream_t of the GPU's primary context; NULL: the legacy
///                 stream. The bits of TN_STREAM_CURRENT: the library names no stream, and the thread's current one is
///                 meant.
/// @param[out] out The block. Freed by `tn_plugin_deallocate`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for another client; TN_ERR_DEVICE for a pool
///         of another device, or a stream of another GPU or context; TN_ERR_NO_DEVICE_MEMORY, TN_ERR_NO_HOST_MEMORY,
///         TN_ERR_POOL_LIMIT; TN_ERR_UNSUPPORTED without a driver, and if the stream captures a graph and no free block
///         fits; TN_ERR_LIMIT; TN_ERR_DRIVER.
/// @note Threads: any. Blocks: as `tn_pool_allocate`. Allocates: the block.
/// @since 0.1
/// @ingroup bindings
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_plugin_allocate(
    client: tn_client,
    pool: *mut tn_pool,
    bytes: usize,
    device: c_int,
    stream: *mut CUstream_st,
    out: *mut *mut c_void,
) -> tn_status {
    enter("tn_plugin_allocate", || {
        let out = Out::new(out, "out")?;
        let block = Call::of(client, pool as u64, device, stream as u64)?.allocate(bytes)?;
        // SAFETY: writable by the function's documentation.
        unsafe { out.write(block) };
        Ok(())
    })
}

/// Frees a block from `tn_plugin_allocate`, in the order of a stream. An invalid address is counted and never
/// dereferenced.
///
/// @param client   The client that it was allocated for.
/// @param pool     The pool of the block, also after its handle was released; NULL: the pool that the block belongs to.
/// @param ptr      The block. NULL: nothing happens.
/// @param device   The ordinal of the GPU; -1: that of the thread's current context.
/// @param stream   The stream that used the block last. The block is reused on it at once, on others after its work.
///                 NULL: the legacy stream. The bits of TN_STREAM_CURRENT: the thread's current one. If that is the
///                 default, or the stream is not usable, the block is reused on the legacy stream, and on others after
///                 a wait for the whole device. All bits set: no stream uses the block any more.
/// @return TN_OK; TN_ERR_STALE for a block that was freed already; TN_ERR_KIND for a handle of another kind;
///         TN_ERR_INVALID for an address inside a block, and for another client; TN_ERR_SHARED for a block that backs
///         an array; TN_ERR_FOREIGN for a block of another pool, or an address in no block at all.
/// @note Threads: any, also after the CUDA driver has shut down. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup bindings
#[unsafe(no_mangle)]
pub extern "C" fn tn_plugin_deallocate(
    client: tn_client,
    pool: *mut tn_pool,
    ptr: *mut c_void,
    device: c_int,
    stream: *mut CUstream_st,
) -> tn_status {
    enter("tn_plugin_deallocate", || {
        Call::of(client, pool as u64, device, stream as u64)?.deallocate(ptr as usize, None)
    })
}
