//! Section "allocators": allocators in the form that NumPy, PyTorch, CuPy and RMM load. Declared in
//! include/tenure_bindings.h.

use crate::boundary::{answer, enter};
use crate::ffi::convert::{self, Out};
use crate::plugin;
use crate::plugin::gpu::{self, Call};
use crate::types::*;
use core::ffi::{c_int, c_void};
use core::ptr::null_mut;

/// Makes the struct with which NumPy allocates from a pool: a PyDataMem_Handler of version 1 (NEP 49), to be put into a
/// capsule named "mem_handler" for PyDataMem_SetHandler. Its blocks are aligned to at least 64 bytes and count for the
/// client "numpy".
///
/// After the pool's last handle was released, the handler still frees its blocks, but its allocations fail.
///
/// @param pool     A pool on the host; NULL: the host's default pool.
/// @param[out] out The handler, one for each pool, valid until the process ends. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DEVICE for a pool that is not on the host;
///         TN_ERR_NO_HOST_MEMORY.
/// @note Threads: any. Any thread may call the handler's functions too, with or without the interpreter lock. Blocks:
///       never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup allocators
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_numpy_handler(pool: *mut tn_pool, out: *mut *mut c_void) -> tn_status {
    enter("tn_numpy_handler", || {
        let out = Out::new(out, "out")?;
        let handler = plugin::numpy::handler(convert::pool(pool)?)?;
        // SAFETY: writable by the function's documentation.
        unsafe { out.write(handler.cast_mut().cast()) };
        Ok(())
    })
}

/// Allocates a block of a GPU for PyTorch, with the signature that its CUDAPluggableAllocator loads. The block comes
/// from the GPU's initial default pool, not from a thread's current one, is aligned to at least 256 bytes, and counts
/// for the client "torch".
///
/// PyTorch does not test the result. The Python package therefore loads a function that throws where this one returns
/// NULL.
///
/// @param bytes    The number of bytes; 0 gives NULL.
/// @param device   The ordinal of the GPU.
/// @param stream   The stream that uses the block first, a cudaStream_t of that GPU's primary context; NULL: the legacy
///                 stream. While it captures a graph, only free blocks serve the request.
/// @return The block, freed by `tn_torch_free`. NULL on failure, with the message in `tn_last_error`, after cached
///         memory was released.
/// @note Threads: any. Blocks: as `tn_pool_allocate`. Allocates: the block.
/// @since 0.1
/// @ingroup allocators
#[unsafe(no_mangle)]
pub extern "C" fn tn_torch_alloc(bytes: isize, device: c_int, stream: *mut CUstream_st) -> *mut c_void {
    answer("tn_torch_alloc", null_mut(), || Call::torch(device, stream as u64).allocate_or_exit(gpu::size(bytes)?))
}

/// Frees a block from `tn_torch_alloc`, in the order of a stream. The block's pool is found by its address. An invalid
/// address is counted and never dereferenced.
///
/// @param ptr      The block. NULL: nothing happens.
/// @param bytes    Its size for PyTorch. A difference from the recorded size is counted, and the recorded size holds.
/// @param device   The ordinal of the GPU.
/// @param stream   The stream that used the block last. The block is reused on it at once, on others after its work.
///                 NULL: the legacy stream. If it is not usable, the block is reused after a wait for the whole device.
/// @note Threads: any, also after the CUDA driver has shut down. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup allocators
#[unsafe(no_mangle)]
pub extern "C" fn tn_torch_free(ptr: *mut c_void, bytes: isize, device: c_int, stream: *mut CUstream_st) {
    answer("tn_torch_free", (), || {
        Call::torch(device, stream as u64).deallocate(ptr as usize, usize::try_from(bytes).ok())
    });
}

/// Records that a stream uses a block until it is freed. The block is then reused only after the work that the stream
/// has at the free. PyTorch calls it for `Tensor.record_stream`.
///
/// @param ptr      A block from `tn_torch_alloc`. NULL: nothing happens.
/// @param stream   A cudaStream_t of the GPU's primary context, which lives until the block is freed; NULL: the legacy
///                 stream.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only. Failures are counted, with the message in
///       `tn_last_error`.
/// @since 0.1
/// @ingroup allocators
#[unsafe(no_mangle)]
pub extern "C" fn tn_torch_record_stream(ptr: *mut c_void, stream: *mut CUstream_st) {
    answer("tn_torch_record_stream", (), || Call::torch_anywhere(stream as u64).record_use(ptr as usize));
}

/// Allocates a block of a GPU for CuPy's CFunctionAllocator, whose parameter is the pool's handle. The signature has no
/// stream: the block is used first on the thread's current stream (`tn_stream_set_current`), by default the legacy
/// stream. It is aligned to at least 256 bytes and counts for the client "cupy".
///
/// @param pool     A tn_pool on a GPU, or of managed or page-locked memory; NULL: the GPU's initial default pool.
/// @param bytes    The number of bytes; 0 gives NULL.
/// @param device   The ordinal of the GPU.
/// @return The block, freed by `tn_cupy_free`. NULL on failure, with the message in `tn_last_error`, after cached
///         memory was released. CuPy does not test it.
/// @note Threads: any. Blocks: as `tn_pool_allocate`. Allocates: the block.
/// @since 0.1
/// @ingroup allocators
#[unsafe(no_mangle)]
pub extern "C" fn tn_cupy_malloc(pool: *mut c_void, bytes: usize, device: c_int) -> *mut c_void {
    answer("tn_cupy_malloc", null_mut(), || Call::cupy(pool as u64, device).allocate(bytes))
}

/// Frees a block from `tn_cupy_malloc`. If the thread has set no current stream, the block is reused on the legacy
/// stream, and on others after a wait for the whole device. An invalid address is counted and never dereferenced.
///
/// @param pool     The pool of the block, also after its handle was released; NULL: the pool that the block belongs to.
/// @param ptr      The block. NULL: nothing happens.
/// @param device   The ordinal of the GPU.
/// @note Threads: any, also after the CUDA driver has shut down. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup allocators
#[unsafe(no_mangle)]
pub extern "C" fn tn_cupy_free(pool: *mut c_void, ptr: *mut c_void, device: c_int) {
    answer("tn_cupy_free", (), || Call::cupy(pool as u64, device).deallocate(ptr as usize, None));
}

/// Allocates a block of a GPU for a memory resource of RMM. The block is aligned to at least 256 bytes and counts for
/// the client "rmm".
///
/// @param bytes    The number of bytes; 0 gives NULL.
/// @param stream   The stream that uses the block first, a cudaStream_t of the GPU's primary context; NULL: the legacy
///                 stream. While it captures a graph, only free blocks serve the request.
/// @param pool     A tn_pool on a GPU, or of managed or page-locked memory; NULL: the initial default pool of the GPU
///                 of the thread's current context.
/// @return The block, freed by `tn_rmm_deallocate`. NULL on failure, with the message in `tn_last_error`, after cached
///         memory was released.
/// @note Threads: any. Blocks: as `tn_pool_allocate`. Allocates: the block.
/// @since 0.1
/// @ingroup allocators
#[unsafe(no_mangle)]
pub extern "C" fn tn_rmm_allocate(bytes: usize, stream: *mut CUstream_st, pool: *mut c_void) -> *mut c_void {
    answer("tn_rmm_allocate", null_mut(), || Call::rmm(pool as u64, stream as u64).allocate(bytes))
}

/// Frees a block from `tn_rmm_allocate`, in the order of a stream. An invalid address is counted and never
/// dereferenced.
///
/// @param ptr      The block. NULL: nothing happens.
/// @param bytes    Its size for RMM. A difference from the recorded size is counted, and the recorded size holds.
/// @param stream   The stream that used the block last. The block is reused on it at once, on others after its work.
///                 NULL: the legacy stream. If it is not usable, the block is reused after a wait for the whole device.
/// @param pool     The pool of the block, also after its handle was released; NULL: the pool that the block belongs to.
/// @note Threads: any, also after the CUDA driver has shut down. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup allocators
#[unsafe(no_mangle)]
pub extern "C" fn tn_rmm_deallocate(ptr: *mut c_void, bytes: usize, stream: *mut CUstream_st, pool: *mut c_void) {
    answer("tn_rmm_deallocate", (), || Call::rmm(pool as u64, stream as u64).deallocate(ptr as usize, Some(bytes)));
}
