//! How foreign bytes are returned to their owner.

use crate::sys::file::Mapping;
use core::ffi::c_void;

/// How foreign bytes go back.
#[derive(Clone, Copy)]
pub enum Release {
    /// Nothing to do.
    None,
    /// The caller's callback.
    Call(unsafe extern "C" fn(*mut c_void), usize),
    /// A mapping of this library's.
    Unmap(Mapping),
    /// A registration of host memory: where it begins.
    Unlock(i64),
}
