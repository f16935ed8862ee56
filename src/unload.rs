//! The end of the library in a process that goes on, after the last `dlclose`.
//!
//! Contract: unmaps the free memory of the host's pools and the library's own records. The C library removes the
//! handlers of forks itself. Blocks that are live, with the pools' memory around them, and the memory of devices stay:
//! the program may still use them. Runs nothing when the process exits, and nothing if a device driver is loaded,
//! because the driver may still call the library. The C library does not unload while a thread that called the library
//! lives.

use crate::sys::{instances, os};
use crate::{pool, thread};

/// A termination function of the shared library. It runs before the functions of `atexit` and the destructors of C++
/// objects in the object that contains the library.
#[used]
#[unsafe(link_section = ".fini_array")]
static AT_BEGIN: extern "C" fn() = begin;

/// Runs last: those destructors may still call the library, if it is linked statically.
#[used]
#[unsafe(link_section = ".fini_array.00000")]
static AT_END: extern "C" fn() = end;

extern "C" fn begin() {
    os::begin_unloading();
}

extern "C" fn end() {
    if !os::is_unloading() || thread::is_driver_loaded() {
        return;
    }
    if thread::visit_at_unload(pool::trim_at_unload).is_some() {
        instances::stop();
        // SAFETY: the library is being unloaded, so no thread is in it, and none has a record. No other copy asks it
        // any more.
        unsafe { os::unmap_kept() };
    }
}
