//! snmalloc, as a table of its functions.

include!("../../peer.rs");

use snmalloc_sys::{sn_calloc, sn_free, sn_malloc};

unsafe extern "C" fn version() -> c_int {
    0
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
};
