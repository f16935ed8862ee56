//! snmalloc, as a table of its functions.

include!("../../peer.rs");

use snmalloc_sys::{sn_calloc, sn_free, sn_malloc, sn_realloc, sn_rust_alloc};

unsafe extern "C" fn version() -> c_int {
    0
}

unsafe extern "C" fn posix_memalign(block: *mut *mut c_void, alignment: usize, size: usize) -> c_int {
    // SAFETY: the alignment is a power of two.
    let made = unsafe { sn_rust_alloc(alignment, size) };
    // SAFETY: the caller's pointer to write to.
    unsafe { block.write(made) };
    c_int::from(made.is_null())
}

#[unsafe(no_mangle)]
pub static PEER: Peer = Peer {
    version,
    package: c"snmalloc-sys 0.7.6".as_ptr(),
    malloc: sn_malloc,
    free: sn_free,
    calloc: sn_calloc,
    trim: None,
    enter: None,
    leave: None,
    realloc: sn_realloc,
    posix_memalign,
};
