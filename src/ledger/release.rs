//! How foreign bytes are returned to their owner.

use crate::sys::file::Mapping;
use core::ffi::c_void;

/// How foreign bytes are released.
#[derive(Clone, Copy)]
pub enum Release {
    /// Nothing to do.
    None,
    /// A callback of the program, and its context.
    Call(unsafe extern "C" fn(*mut c_void), usize),
    /// A file mapping, to be unmapped.
    Unmap(Mapping),
    /// A registration of page-locked host memory, which begins at this address.
    Unlock(i64),
}
