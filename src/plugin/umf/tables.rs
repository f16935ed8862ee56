//! UMF's two tables of operations, laid out as in UMF's headers. Later versions are longer.
//!
//! Contract: layouts only. Sizes and offsets are checked here. If UMF's headers are installed, c-tests/umf.c checks
//! them against these too.

use core::ffi::{c_char, c_void};
use core::mem::offset_of;

/// A `umf_result_t`.
pub type Result = i32;

/// `umf_memory_pool_ops_t` of version 1.1.
#[repr(C)]
pub struct PoolOps {
    pub(super) version: u32,
    pub(super) initialize: extern "C" fn(provider: *mut c_void, params: *const c_void, out: *mut *mut c_void) -> Result,
    pub(super) finalize: extern "C" fn(pool: *mut c_void) -> Result,
    pub(super) malloc: extern "C" fn(pool: *mut c_void, bytes: usize) -> *mut c_void,
    pub(super) calloc: extern "C" fn(pool: *mut c_void, count: usize, item: usize) -> *mut c_void,
    pub(super) realloc: extern "C" fn(pool: *mut c_void, ptr: *mut c_void, bytes: usize) -> *mut c_void,
    pub(super) aligned_malloc: extern "C" fn(pool: *mut c_void, bytes: usize, alignment: usize) -> *mut c_void,
    pub(super) malloc_usable_size: extern "C" fn(pool: *mut c_void, ptr: *const c_void, out: *mut usize) -> Result,
    pub(super) free: extern "C" fn(pool: *mut c_void, ptr: *mut c_void) -> Result,
    pub(super) get_last_allocation_error: extern "C" fn(pool: *mut c_void) -> Result,
    pub(super) get_name: extern "C" fn(pool: *mut c_void, out: *mut *const c_char) -> Result,
    pub(super) ext_ctl: Control,
    pub(super) ext_trim_memory: extern "C" fn(pool: *mut c_void, keep: usize) -> Result,
}

/// `umf_memory_provider_ops_t` of version 1.2.
#[repr(C)]
pub struct ProviderOps {
    pub(super) version: u32,
    pub(super) initialize: extern "C" fn(params: *const c_void, out: *mut *mut c_void) -> Result,
    pub(super) finalize: extern "C" fn(provider: *mut c_void) -> Result,
    pub(super) alloc:
        extern "C" fn(provider: *mut c_void, bytes: usize, alignment: usize, out: *mut *mut c_void) -> Result,
    pub(super) free: extern "C" fn(provider: *mut c_void, ptr: *mut c_void, bytes: usize) -> Result,
    pub(super) get_last_native_error:
        extern "C" fn(provider: *mut c_void, text: *mut *const c_char, code: *mut i32) -> Result,
    pub(super) get_recommended_page_size: extern "C" fn(provider: *mut c_void, bytes: usize, out: *mut usize) -> Result,
    pub(super) get_min_page_size: extern "C" fn(provider: *mut c_void, ptr: *const c_void, out: *mut usize) -> Result,
    pub(super) get_name: extern "C" fn(provider: *mut c_void, out: *mut *const c_char) -> Result,
    pub(super) ext_purge_lazy: extern "C" fn(provider: *mut c_void, ptr: *mut c_void, bytes: usize) -> Result,
    pub(super) ext_purge_force: extern "C" fn(provider: *mut c_void, ptr: *mut c_void, bytes: usize) -> Result,
    pub(super) ext_allocation_merge:
        extern "C" fn(provider: *mut c_void, low: *mut c_void, high: *mut c_void, total: usize) -> Result,
    pub(super) ext_allocation_split:
        extern "C" fn(provider: *mut c_void, ptr: *mut c_void, total: usize, first: usize) -> Result,
    /// Handles for other processes: either all five functions or none.
    pub(super) ext_get_ipc_handle_size: extern "C" fn(provider: *mut c_void, out: *mut usize) -> Result,
    pub(super) ext_get_ipc_handle:
        extern "C" fn(provider: *mut c_void, ptr: *const c_void, bytes: usize, handle: *mut c_void) -> Result,
    pub(super) ext_put_ipc_handle: extern "C" fn(provider: *mut c_void, handle: *mut c_void) -> Result,
    pub(super) ext_open_ipc_handle:
        extern "C" fn(provider: *mut c_void, handle: *mut c_void, out: *mut *mut c_void) -> Result,
    pub(super) ext_close_ipc_handle: extern "C" fn(provider: *mut c_void, ptr: *mut c_void, bytes: usize) -> Result,
    pub(super) ext_ctl: Control,
    /// Properties of an allocation: either both functions or none.
    pub(super) properties: [usize; 2],
    pub(super) get_cache_line_size: extern "C" fn(provider: *mut c_void, out: *mut usize) -> Result,
}

/// The control function of both tables. Every supported platform passes a `va_list` as a pointer.
pub type Control = extern "C" fn(
    of: *mut c_void,
    source: i32,
    name: *const c_char,
    arg: *mut c_void,
    size: usize,
    query: i32,
    more: *mut c_void,
) -> Result;

const _: () = {
    assert!(size_of::<PoolOps>() == 104 && offset_of!(PoolOps, initialize) == 8);
    assert!(offset_of!(PoolOps, free) == 64 && offset_of!(PoolOps, ext_ctl) == 88);
    assert!(offset_of!(PoolOps, ext_trim_memory) == 96);
    assert!(size_of::<ProviderOps>() == 176 && offset_of!(ProviderOps, alloc) == 24);
    assert!(offset_of!(ProviderOps, get_name) == 64 && offset_of!(ProviderOps, ext_allocation_split) == 96);
    assert!(offset_of!(ProviderOps, ext_get_ipc_handle_size) == 104 && offset_of!(ProviderOps, ext_ctl) == 144);
    assert!(offset_of!(ProviderOps, properties) == 152 && offset_of!(ProviderOps, get_cache_line_size) == 168);
};
