// What each of these libraries exports, included by all: a table, so that the measuring program calls the allocator itself and no
// shim of ours. `benches/pool/door.c` has the same struct in C.

use std::ffi::{c_char, c_int, c_void};

#[repr(C)]
pub struct Peer {
    pub version: unsafe extern "C" fn() -> c_int,
    pub package: *const c_char,
    pub malloc: unsafe extern "C" fn(usize) -> *mut c_void,
    pub free: unsafe extern "C" fn(*mut c_void),
    pub calloc: unsafe extern "C" fn(usize, usize) -> *mut c_void,
    /// Give everything back that is not in use; absent where the allocator has no such call.
    pub trim: Option<unsafe extern "C" fn()>,
    /// Where each thread must say that it begins and ends.
    pub enter: Option<unsafe extern "C" fn()>,
    pub leave: Option<unsafe extern "C" fn()>,
}

// SAFETY: a table of functions and of a literal, never written.
unsafe impl Sync for Peer {}
