//! Arrow's C data interface and, for host memory, its C device interface: <https://arrow.apache.org/docs/format/CDataInterface.html>.
//!
//! Contract: Arrow's data are immutable, so an array leaves as a read-only export and comes in as a READONLY handle. One axis is a
//! primitive array, each further one a list of fixed size around it; there are no nulls. Every struct that leaves has a release of its
//! own that may run after the struct was moved, on any thread; the bytes stay until the last of them ran. On import nothing in the
//! structs is believed but that pointers point to what they say: lengths, offsets and nesting are checked before a byte is touched.
//! What an export or an import keeps lies on the heap, asked for with a way to fail before anything is held.

mod abi;

mod export;

mod import;

pub use export::{export, export_device};
pub use import::{import, import_device};

use crate::error::{Result, fail};
use crate::types::TN_ERR_NO_HOST_MEMORY;

/// The value on the heap, or TN_ERR_NO_HOST_MEMORY; taken back by [`take`].
fn place<T>(value: T) -> Result<*mut T> {
    // SAFETY: no T here has size 0.
    let at = unsafe { std::alloc::alloc(core::alloc::Layout::new::<T>()) }.cast::<T>();
    if at.is_null() {
        return Err(fail(
            TN_ERR_NO_HOST_MEMORY,
            format_args!("no memory for the {} bytes that an Arrow struct needs", size_of::<T>()),
        ));
    }
    // SAFETY: fresh memory of T's size and alignment.
    unsafe { at.write(value) };
    Ok(at)
}

/// The value back, its memory freed.
///
/// # Safety
/// - `at` comes from [`place`], is taken once, and nobody else uses it.
unsafe fn take<T>(at: *mut T) -> T {
    // SAFETY: the caller's promise; a Box is what the global allocator gave for that layout.
    *unsafe { Box::from_raw(at) }
}
