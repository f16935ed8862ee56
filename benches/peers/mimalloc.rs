//! mimalloc, as a table of its functions, in the version that the package selects.

include!("peer.rs");

unsafe extern "C" {
    fn mi_version() -> c_int;
    fn mi_calloc(count: usize, size: usize) -> *mut c_void;
    fn mi_free(block: *mut c_void);
    fn mi_collect(force: bool);
    fn mi_posix_memalign(block: *mut *mut c_void, alignment: usize, size: usize) -> c_int;
}

unsafe extern "C" fn trim() {
    // SAFETY: takes no pointer, may be called at any time.
    unsafe { mi_collect(true) }
}

#[unsafe(no_mangle)]
pub static PEER: Peer = Peer {
    version: mi_version,
    package: c"libmimalloc-sys 0.1.49".as_ptr(),
    malloc: libmimalloc_sys::mi_malloc,
    free: mi_free,
    calloc: mi_calloc,
    trim: Some(trim),
    enter: None,
    leave: None,
    realloc: libmimalloc_sys::mi_realloc,
    posix_memalign: mi_posix_memalign,
};
