// The table of functions that each of these libraries exports, so that the measuring program calls the allocator directly.
// `benches/pool/allocator.c` has the struct in C.

use std::ffi::{c_char, c_int, c_void};

#[repr(C)]
pub struct Peer {
    pub version: unsafe extern "C" fn() -> c_int,
    pub package: *const c_char,
    pub malloc: unsafe extern "C" fn(usize) -> *mut c_void,
    pub free: unsafe extern "C" fn(*mut c_void),
    pub calloc: unsafe extern "C" fn(usize, usize) -> *mut c_void,
    /// Returns unused memory to the system; absent if the allocator has no such call.
    pub trim: Option<unsafe extern "C" fn()>,
    /// Called by each thread at its start and end, if the allocator needs that.
    pub enter: Option<unsafe extern "C" fn()>,
    pub leave: Option<unsafe extern "C" fn()>,
    pub realloc: unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void,
    pub posix_memalign: unsafe extern "C" fn(*mut *mut c_void, usize, usize) -> c_int,
}

// SAFETY: a table of functions and of a literal, never written.
unsafe impl Sync for Peer {}
