/* Written by `cargo xtask header` from src/ffi: edit that. */
/**
 * @file tenure_bindings.h
 * Functions that other libraries load as their allocator, and functions of Tenure's language bindings. Most programs do
 * not need this header.
 */

#ifndef TENURE_BINDINGS_H
#define TENURE_BINDINGS_H

#include "tenure.h"

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/* =================================================== allocators =================================================== */
/**
 * @defgroup allocators allocators in the form that NumPy, PyTorch, CuPy and RMM load
 * Declared in include/tenure_bindings.h.
 */

/**
 * Makes the struct with which NumPy allocates from a pool: a PyDataMem_Handler of version 1 (NEP 49), to be put into a
 * capsule named "mem_handler" for PyDataMem_SetHandler. Its blocks are aligned to at least 64 bytes and count for the
 * client "numpy".
 *
 * After the pool's last handle was released, the handler still frees its blocks, but its allocations fail.
 *
 * @param pool     A pool on the host; NULL: the host's default pool.
 * @param[out] out The handler, one for each pool, valid until the process ends. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DEVICE for a pool that is not on the host;
 *         TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Any thread may call the handler's functions too, with or without the interpreter lock. Blocks:
 *       never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup allocators
 */
tn_status tn_numpy_handler(tn_pool *pool, void **out) TN_MUST_CHECK;

/**
 * Allocates a block of a GPU for PyTorch, with the signature that its CUDAPluggableAllocator loads. The block comes
 * from the GPU's initial default pool, not from a thread's current one, is aligned to at least 256 bytes, and counts
 * for the client "torch".
 *
 * PyTorch does not test the result. The Python package therefore loads a function that throws where this one returns
 * NULL.
 *
 * @param bytes    The number of bytes; 0 gives NULL.
 * @param device   The ordinal of the GPU.
 * @param stream   The stream that uses the block first, a cudaStream_t of that GPU's primary context; NULL: the legacy
 *                 stream. While it captures a graph, only free blocks serve the request.
 * @return The block, freed by `tn_torch_free`. NULL on failure, with the message in `tn_last_error`, after cached
 *         memory was released.
 * @note Threads: any. Blocks: as `tn_pool_allocate`. Allocates: the block.
 * @since 0.1
 * @ingroup allocators
 */
void *tn_torch_alloc(ptrdiff_t bytes, int device, struct CUstream_st *stream);

/**
 * Frees a block from `tn_torch_alloc`, in the order of a stream. The block's pool is found by its address. An invalid
 * address is counted and never dereferenced.
 *
 * @param ptr      The block. NULL: nothing happens.
 * @param bytes    Its size for PyTorch. A difference from the recorded size is counted, and the recorded size holds.
 * @param device   The ordinal of the GPU.
 * @param stream   The stream that used the block last. The block is reused on it at once, on others after its work.
 *                 NULL: the legacy stream. If it is not usable, the block is reused after a wait for the whole device.
 * @note Threads: any, also after the CUDA driver has shut down. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup allocators
 */
void tn_torch_free(void *ptr, ptrdiff_t bytes, int device, struct CUstream_st *stream);

/**
 * Records that a stream uses a block until it is freed. The block is then reused only after the work that the stream
 * has at the free. PyTorch calls it for `Tensor.record_stream`.
 *
 * @param ptr      A block from `tn_torch_alloc`. NULL: nothing happens.
 * @param stream   A cudaStream_t of the GPU's primary context, which lives until the block is freed; NULL: the legacy
 *                 stream.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only. Failures are counted, with the message in
 *       `tn_last_error`.
 * @since 0.1
 * @ingroup allocators
 */
void tn_torch_record_stream(void *ptr, struct CUstream_st *stream);

/**
 * Allocates a block of a GPU for CuPy's CFunctionAllocator, whose parameter is the pool's handle. The signature has no
 * stream: the block is used first on the thread's current stream (`tn_stream_set_current`), by default the legacy
 * stream. It is aligned to at least 256 bytes and counts for the client "cupy".
 *
 * @param pool     A tn_pool on a GPU, or of managed or page-locked memory; NULL: the GPU's initial default pool.
 * @param bytes    The number of bytes; 0 gives NULL.
 * @param device   The ordinal of the GPU.
 * @return The block, freed by `tn_cupy_free`. NULL on failure, with the message in `tn_last_error`, after cached
 *         memory was released. CuPy does not test it.
 * @note Threads: any. Blocks: as `tn_pool_allocate`. Allocates: the block.
 * @since 0.1
 * @ingroup allocators
 */
void *tn_cupy_malloc(void *pool, size_t bytes, int device);

/**
 * Frees a block from `tn_cupy_malloc`. If the thread has set no current stream, the block is reused on the legacy
 * stream, and on others after a wait for the whole device. An invalid address is counted and never dereferenced.
 *
 * @param pool     The pool of the block, also after its handle was released; NULL: the pool that the block belongs to.
 * @param ptr      The block. NULL: nothing happens.
 * @param device   The ordinal of the GPU.
 * @note Threads: any, also after the CUDA driver has shut down. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup allocators
 */
void tn_cupy_free(void *pool, void *ptr, int device);

/**
 * Allocates a block of a GPU for a memory resource of RMM. The block is aligned to at least 256 bytes and counts for
 * the client "rmm".
 *
 * @param bytes    The number of bytes; 0 gives NULL.
 * @param stream   The stream that uses the block first, a cudaStream_t of the GPU's primary context; NULL: the legacy
 *                 stream. While it captures a graph, only free blocks serve the request.
 * @param pool     A tn_pool on a GPU, or of managed or page-locked memory; NULL: the initial default pool of the GPU
 *                 of the thread's current context.
 * @return The block, freed by `tn_rmm_deallocate`. NULL on failure, with the message in `tn_last_error`, after cached
 *         memory was released.
 * @note Threads: any. Blocks: as `tn_pool_allocate`. Allocates: the block.
 * @since 0.1
 * @ingroup allocators
 */
void *tn_rmm_allocate(size_t bytes, struct CUstream_st *stream, void *pool);

/**
 * Frees a block from `tn_rmm_allocate`, in the order of a stream. An invalid address is counted and never
 * dereferenced.
 *
 * @param ptr      The block. NULL: nothing happens.
 * @param bytes    Its size for RMM. A difference from the recorded size is counted, and the recorded size holds.
 * @param stream   The stream that used the block last. The block is reused on it at once, on others after its work.
 *                 NULL: the legacy stream. If it is not usable, the block is reused after a wait for the whole device.
 * @param pool     The pool of the block, also after its handle was released; NULL: the pool that the block belongs to.
 * @note Threads: any, also after the CUDA driver has shut down. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup allocators
 */
void tn_rmm_deallocate(void *ptr, size_t bytes, struct CUstream_st *stream, void *pool);

/* ==================================================== bindings ==================================================== */
/**
 * @defgroup bindings functions for Tenure's own language bindings, not for programs
 * Declared in include/tenure_bindings.h.
 */

/**
 * Completes the table of `tn_dlpack_exchange_api` with the Python package's functions that take Python objects.
 *
 * @param slots        A table with the three functions that convert from, convert to and view Python objects. They
 *                     stay callable; the other entries are not read.
 * @return TN_OK, also if these functions are set already; TN_ERR_NULL; TN_ERR_INVALID if other functions are set
 *         already.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup bindings
 */
tn_status tn_dlpack_register_python(const struct DLPackExchangeAPI *slots) TN_MUST_CHECK;

/**
 * Allocates a block of a GPU for another library whose plug-in is written in the binding's language. The block is
 * aligned to at least 256 bytes.
 *
 * @param client   TN_CLIENT_TORCH, TN_CLIENT_CUPY, TN_CLIENT_NUMBA, TN_CLIENT_RMM or TN_CLIENT_OTHER.
 * @param pool     A pool on a GPU, or of managed or page-locked memory; NULL: the GPU's initial default pool.
 * @param bytes    The number of bytes; 0 gives NULL.
 * @param device   The ordinal of the GPU; -1: that of the thread's current context.
 * @param stream   The stream that uses the block first, a cudaStream_t of the GPU's primary context; NULL: the legacy
 *                 stream. The bits of TN_STREAM_CURRENT: the library names no stream, and the thread's current one is
 *                 meant.
 * @param[out] out The block. Freed by `tn_plugin_deallocate`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for another client; TN_ERR_DEVICE for a pool
 *         of another device, or a stream of another GPU or context; TN_ERR_NO_DEVICE_MEMORY, TN_ERR_NO_HOST_MEMORY,
 *         TN_ERR_POOL_LIMIT; TN_ERR_UNSUPPORTED without a driver, and if the stream captures a graph and no free block
 *         fits; TN_ERR_LIMIT; TN_ERR_DRIVER.
 * @note Threads: any. Blocks: as `tn_pool_allocate`. Allocates: the block.
 * @since 0.1
 * @ingroup bindings
 */
tn_status tn_plugin_allocate(tn_client client,
                             tn_pool *pool,
                             size_t bytes,
                             int device,
                             struct CUstream_st *stream,
                             void **out) TN_MUST_CHECK;

/**
 * Frees a block from `tn_plugin_allocate`, in the order of a stream. An invalid address is counted and never
 * dereferenced.
 *
 * @param client   The client that it was allocated for.
 * @param pool     The pool of the block, also after its handle was released; NULL: the pool that the block belongs to.
 * @param ptr      The block. NULL: nothing happens.
 * @param device   The ordinal of the GPU; -1: that of the thread's current context.
 * @param stream   The stream that used the block last. The block is reused on it at once, on others after its work.
 *                 NULL: the legacy stream. The bits of TN_STREAM_CURRENT: the thread's current one. If that is the
 *                 default, or the stream is not usable, the block is reused on the legacy stream, and on others after
 *                 a wait for the whole device. All bits set: no stream uses the block any more.
 * @return TN_OK; TN_ERR_STALE for a block that was freed already; TN_ERR_KIND for a handle of another kind;
 *         TN_ERR_INVALID for an address inside a block, and for another client; TN_ERR_SHARED for a block that backs
 *         an array; TN_ERR_FOREIGN for a block of another pool, or an address in no block at all.
 * @note Threads: any, also after the CUDA driver has shut down. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup bindings
 */
tn_status tn_plugin_deallocate(tn_client client,
                               tn_pool *pool,
                               void *ptr,
                               int device,
                               struct CUstream_st *stream);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* TENURE_BINDINGS_H */
