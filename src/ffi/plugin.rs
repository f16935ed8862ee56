//! Section "plugin": allocators for UMF and for C++.

use crate::boundary::enter;
use crate::ffi::convert::{self, Out};
use crate::plugin;
use crate::types::*;
use core::ffi::c_void;

/// Gets the table of operations with which UMF makes Tenure pools over its providers (umfPoolCreate). Such a pool takes
/// memory only from its provider, and returns all of it when it is destroyed, even if blocks are live. `params` of
/// umfPoolCreate is NULL or a tn_pool_options of this library's size. Blocks count for the client "umf". libumf must be
/// loaded in the process.
///
/// @param version  The version of the table: UMF_POOL_OPS_VERSION_CURRENT of the caller's headers, 0x10000 or 0x10001;
///                 a higher minor version gets the newest known one.
/// @param[out] out The table, valid until the process ends. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_UNSUPPORTED for another major version.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup plugin
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_umf_pool_ops(version: u32, out: *mut *const umf_memory_pool_ops_t) -> tn_status {
    enter("tn_umf_pool_ops", || {
        let out = Out::new(out, "out")?;
        let table = plugin::umf::pool_ops(version)?;
        // SAFETY: writable by the function's documentation.
        unsafe { out.write(table.cast()) };
        Ok(())
    })
}

/// Gets the table of operations with which UMF makes providers over Tenure pools (umfMemoryProviderCreate). `params`
/// there is the tn_pool itself, or NULL for the host's default pool. Memory counts for the client "umf". It comes in
/// multiples of 64 KiB, at which UMF can split and merge it. After the pool's last handle was released, the provider
/// still frees its memory, but its allocations fail.
///
/// @param version  The version of the table: UMF_PROVIDER_OPS_VERSION_CURRENT of the caller's headers, 0x10000 to
///                 0x10002; a higher minor version gets the newest known one.
/// @param[out] out The table, valid until the process ends. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_UNSUPPORTED for another major version.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup plugin
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_umf_provider_ops(version: u32, out: *mut *const umf_memory_provider_ops_t) -> tn_status {
    enter("tn_umf_provider_ops", || {
        let out = Out::new(out, "out")?;
        let table = plugin::umf::provider_ops(version)?;
        // SAFETY: writable by the function's documentation.
        unsafe { out.write(table.cast()) };
        Ok(())
    })
}

/// Allocates a block for a C++ container; tenure_memory.hpp uses it. The block counts for the client "cpp".
///
/// @param pool      The pool; NULL: the host's default pool, not the thread's current one.
/// @param bytes     The number of bytes; with 0 the call returns a block too.
/// @param alignment The alignment of the address in bytes, a power of two up to 4 MiB; values below 16 mean 16.
/// @param[out] out  The block. Freed by `tn_cpp_deallocate`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an invalid alignment;
///         TN_ERR_NO_HOST_MEMORY or TN_ERR_NO_DEVICE_MEMORY, TN_ERR_POOL_LIMIT.
/// @note Threads: any. Blocks: never. Allocates: the block.
/// @since 0.1
/// @ingroup plugin
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_cpp_allocate(
    pool: *mut tn_pool,
    bytes: usize,
    alignment: usize,
    out: *mut *mut c_void,
) -> tn_status {
    enter("tn_cpp_allocate", || {
        let out = Out::new(out, "out")?;
        let block = plugin::cpp::allocate(convert::pool(pool)?, bytes, alignment)?;
        // SAFETY: writable by the function's documentation.
        unsafe { out.write(block.as_ptr().cast()) };
        Ok(())
    })
}

/// Frees a block from `tn_cpp_allocate`. An invalid address is counted and never dereferenced.
///
/// @param pool     The pool of the block, also after its handle was released; NULL: the pool that the block belongs to.
/// @param ptr      The block. NULL: nothing happens.
/// @return TN_OK; TN_ERR_STALE for a block that was freed already; TN_ERR_KIND for a handle of another kind;
///         TN_ERR_INVALID for an address inside a block; TN_ERR_SHARED for a block that backs an array; TN_ERR_FOREIGN
///         for a block of another pool, or an address in no block at all.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup plugin
#[unsafe(no_mangle)]
pub extern "C" fn tn_cpp_deallocate(pool: *mut tn_pool, ptr: *mut c_void) -> tn_status {
    enter("tn_cpp_deallocate", || plugin::cpp::deallocate(pool as u64, ptr as usize))
}
