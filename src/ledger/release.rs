//! How foreign bytes are returned to their owner.

use crate::device::shareable;
use crate::device_copy::registered;
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
    /// A mapping of another process's shareable memory, to be forgotten and unmapped.
    Forget(Mapping),
    /// A registration of page-locked host memory, which begins at this address.
    Unlock(i64),
}

impl Release {
    /// Runs it, under no lock. `in_child`: the bytes were imported before a fork; the program's callback then belongs
    /// to the parent.
    ///
    /// # Safety
    /// - It runs once, and no use of the bytes is left.
    pub unsafe fn run(self, in_child: bool) {
        match self {
            Release::None => {}
            Release::Call(callback, context) => {
                if !in_child {
                    // SAFETY: the caller of the import ensures that the callback may run once, on any thread.
                    unsafe { callback(context as *mut c_void) };
                }
            }
            // SAFETY: the mapping was made for this import; the caller's obligation.
            Release::Unmap(mapping) => unsafe { mapping.unmap() },
            Release::Forget(mapping) => {
                shareable::forget(mapping.address as usize);
                // SAFETY: as above.
                unsafe { mapping.unmap() };
            }
            Release::Unlock(start) => {
                if !in_child {
                    registered::unlock(start);
                }
            }
        }
    }
}
