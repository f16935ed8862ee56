//! rpmalloc, as a table of its functions.

include!("../../peer.rs");

use rpmalloc_sys::{
    rpcalloc, rpfree, rpmalloc, rpmalloc_initialize, rpmalloc_thread_finalize, rpmalloc_thread_initialize, rpposix_memalign,
    rprealloc,
};

unsafe extern "C" fn version() -> c_int {
    0
}

unsafe extern "C" fn enter() {
    // SAFETY: both may be called again; the first thread initialises the process.
    unsafe {
        rpmalloc_initialize();
        rpmalloc_thread_initialize();
    }
}

#[unsafe(no_mangle)]
pub static PEER: Peer = Peer {
    version,
    package: c"rpmalloc-sys 0.2.3".as_ptr(),
    malloc: rpmalloc,
    free: rpfree,
    calloc: rpcalloc,
    trim: None,
    enter: Some(enter),
    leave: Some(rpmalloc_thread_finalize),
    realloc: rprealloc,
    posix_memalign: rpposix_memalign,
};
