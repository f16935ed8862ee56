//! Section "plugin": what other libraries and languages allocate with.

use crate::boundary::enter;
use crate::ffi::convert::{self, Out};
use crate::plugin;
use crate::types::*;
use core::ffi::c_void;

/// Gives the struct with which NumPy allocates from a pool: a PyDataMem_Handler of version 1 (NEP 49), for a capsule named "mem_handler" and
/// PyDataMem_SetHandler. Its blocks are aligned to 64 bytes at least and count for the client "numpy".
///
/// After the pool's last handle was released the handler hands out nothing and takes back what it handed out.
///
/// @param pool     A pool on the host; NULL: the host's default pool.
/// @param[out] out The handler: the same for the same pool, valid until the process ends. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DEVICE for a pool that is not on the host; TN_ERR_NO_HOST_MEMORY.
/// @note Threads: any, and so for the handler's functions, with or without the interpreter. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup plugin
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

/// Gives UMF's table of operations with which it makes pools of ours over its providers (umfPoolCreate). Such a pool takes memory only from
/// the provider that it was made over, and gives all of it back when it is destroyed, also with live blocks. `params` of umfPoolCreate is
/// NULL or a tn_pool_options of this library's size. Blocks count for the client "umf". libumf must be loaded in the process.
///
/// @param version  The version of the table: UMF_POOL_OPS_VERSION_CURRENT of the caller's headers, 0x10000 or 0x10001; a higher minor
///                 version gets the newest that there is.
/// @param[out] out The table: static. On failure: untouched.
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

/// Gives UMF's table of operations with which it makes providers over our pools (umfMemoryProviderCreate). `params` there is the tn_pool
/// itself, or NULL for the host's default pool. Memory counts for the client "umf", and comes in units of 64 KiB, at which it can be split
/// and merged. After the pool's last handle was released such a provider hands out nothing and takes everything back.
///
/// @param version  The version of the table: UMF_PROVIDER_OPS_VERSION_CURRENT of the caller's headers, 0x10000 to 0x10002; a higher minor
///                 version gets the newest that there is.
/// @param[out] out The table: static. On failure: untouched.
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

/// Allocates for a C++ container; what tenure_memory.hpp is made of. The block counts for the client "cpp".
///
/// @param pool      NULL: the host's default pool, whichever is the thread's current one.
/// @param bytes     The least number of bytes; 0 gives a block of its own too.
/// @param alignment The alignment of the address in bytes: a power of two up to 4 MiB; below 16: 16.
/// @param[out] out  The block. Given back by `tn_cpp_deallocate`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID
///         for an alignment that cannot be; TN_ERR_NO_HOST_MEMORY or TN_ERR_NO_DEVICE_MEMORY, TN_ERR_POOL_LIMIT.
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

/// Gives back what `tn_cpp_allocate` handed out. A wrong address is left alone and counted; it is never read.
///
/// @param pool     The pool that handed it out, also after its handle was released; NULL: whichever pool has the address.
/// @param ptr      The block. NULL: nothing happens.
/// @return TN_OK; TN_ERR_STALE for a block that was given back; TN_ERR_KIND for a handle of another kind; TN_ERR_INVALID for an address
///         inside a block; TN_ERR_SHARED for a block that backs an array; TN_ERR_FOREIGN for a block of another pool, or an address in no
///         block at all.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup plugin
#[unsafe(no_mangle)]
pub extern "C" fn tn_cpp_deallocate(pool: *mut tn_pool, ptr: *mut c_void) -> tn_status {
    enter("tn_cpp_deallocate", || plugin::cpp::deallocate(pool as u64, ptr as usize))
}
