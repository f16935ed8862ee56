//! Arrow's C data interface and C device interface: <https://arrow.apache.org/docs/format/CDataInterface.html>,
//! <https://arrow.apache.org/docs/format/CDeviceDataInterface.html>.
//!
//! Contract: Arrow's data are immutable, so an array is exported read-only and imported as a READONLY handle. An array
//! of one axis is a primitive array; each further axis is a fixed-size list around it. There are no nulls.
//!
//! Every exported struct has its own release function, which may run on any thread, also after the struct was moved.
//! The bytes stay until the last of them has run. On import every length, offset and nesting level is checked before
//! any byte is accessed; only the pointers themselves are trusted. On a device the event of the struct orders the
//! consumer's work after the producer's; the host does not wait.
//!
//! The records of exports and imports are on the heap. They are allocated, with a status on failure, before any guard
//! is open.

mod abi;

mod export;

mod import;

pub use export::{export, export_device};
pub use import::{import, import_device};

use crate::error::{Result, fail};
use crate::types::TN_ERR_NO_HOST_MEMORY;

/// Moves a value to the heap, or fails with TN_ERR_NO_HOST_MEMORY. [`from_heap`] takes it back.
fn to_heap<T>(value: T) -> Result<*mut T> {
    // SAFETY: no T here has size 0.
    let at = unsafe { std::alloc::alloc(core::alloc::Layout::new::<T>()) }.cast::<T>();
    if at.is_null() {
        return Err(fail(
            TN_ERR_NO_HOST_MEMORY,
            format_args!("no memory for the {} bytes that an Arrow struct needs", size_of::<T>()),
        ));
    }
    // SAFETY: new memory of T's size and alignment.
    unsafe { at.write(value) };
    Ok(at)
}

/// Takes a value from the heap and frees its memory.
///
/// # Safety
/// - `at` comes from [`to_heap`], is taken once, and is not used by other code.
unsafe fn from_heap<T>(at: *mut T) -> T {
    // SAFETY: the caller's obligation. A Box frees memory of that layout by the global allocator, which allocated it.
    *unsafe { Box::from_raw(at) }
}
