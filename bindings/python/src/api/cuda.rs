//! The C functions for devices, streams and events, and the transfers that concern devices only.

use super::{Id, Result, blank, check, filled, made};
use crate::sys::*;
use core::ffi::c_void;
use core::ptr::null_mut;

calls! {
    /// The number of devices of a type.
    fn device_count(r#type: tn_device_type) -> usize = tn_device_count;
    /// Waits for all work on a device.
    fn device_synchronize(device: tn_device) = tn_device_synchronize;
}

/// The description of a device; with TN_QUERY_MEMORY also its free memory.
pub fn device_query(device: tn_device, flags: u32) -> Result<tn_device_info> {
    // SAFETY: `info` is writable, and says its size.
    filled(sized!(tn_device_info), |info| unsafe { tn_device_query(device, flags, info) })
}

/// Allocates a block for another library; 0 for 0 bytes. NULL as a pool is the default pool of the device.
pub fn plugin_allocate(client: tn_client, pool: Id, bytes: usize, device: i32, stream: u64) -> Result<usize> {
    let mut out = null_mut();
    // SAFETY: a checked id, `out` is writable; the driver checks the stream.
    check(unsafe { tn_plugin_allocate(client, pool.raw(), bytes, device, stream as *mut CUstream_st, &mut out) })?;
    Ok(out as usize)
}

/// Frees a block of another library, in the pool that has it.
pub fn plugin_deallocate(client: tn_client, address: usize, device: i32, stream: u64) -> Result<()> {
    let (ptr, stream) = (address as *mut c_void, stream as *mut CUstream_st);
    // SAFETY: the library checks the address, and the driver the stream.
    check(unsafe { tn_plugin_deallocate(client, null_mut(), ptr, device, stream) })
}

// ---- streams

calls! {
    /// Creates a stream.
    fn stream_create(device: tn_device, flags: u32, priority: i32) -> Id = tn_stream_create;
    /// A handle to a stream of another library. 0 and 1 are the legacy stream, 2 the per-thread one.
    fn stream_import(device: tn_device, native: u64) -> Id = tn_stream_import;
    /// The CUstream.
    fn stream_native(stream: Id) -> u64 = tn_stream_native;
    /// Waits for the work of a stream.
    fn stream_synchronize(stream: Id) = tn_stream_synchronize;
    /// A new handle to the thread's current stream.
    fn stream_current(device: tn_device) -> Id = tn_stream_current;
    /// Makes a stream current until `stream_leave`.
    fn stream_enter(device: tn_device, stream: Id, flags: u32) -> Id = tn_stream_enter;
    /// Makes the previous stream current again.
    fn stream_leave(scope: Id) = tn_stream_leave;
    /// Releases a stream handle; pending work continues.
    fn stream_release(stream: Id) = tn_stream_release;
}

// ---- events

calls! {
    /// Creates an event, not recorded yet.
    fn event_create(device: tn_device, flags: u32) -> Id = tn_event_create;
    /// Records an event behind the work that the stream has now.
    fn event_record(event: Id, stream: Id) = tn_event_record;
    /// Makes the host wait for an event.
    fn event_synchronize(event: Id) = tn_event_synchronize;
    /// The time between two events, in nanoseconds.
    fn event_elapsed(start: Id, end: Id) -> i64 = tn_event_elapsed;
    /// Releases an event.
    fn event_release(event: Id) = tn_event_release;
    /// Whether an event has passed.
    fn event_query(event: Id) -> bool = tn_event_query;
}

/// Makes the stream wait for an event. The host does not wait.
pub fn event_wait(event: Id, stream: Id) -> Result<()> {
    // SAFETY: checked ids.
    check(unsafe { tn_stream_wait_event(stream.raw(), event.raw()) })
}

// ---- arrays and devices

calls! {
    /// Makes the host wait for device work on an array.
    fn wait(array: Id, access: u32) = tn_array_wait;
    /// Takes a promise and moves its array to a device.
    fn promise_to_device(promise: Id, device: tn_device, pool: Id, stream: Id) -> Id = tn_promise_to_device;
    /// Copies an array to a device. `pool` NULL: the current pool there.
    fn to_device(array: Id, device: tn_device, pool: Id, stream: Id) -> Id = tn_array_to_device;
    /// Tells the driver how managed memory will be used.
    fn advise(array: Id, advice: tn_advice, device: tn_device) = tn_array_advise;
    /// Moves the pages of managed memory to a device.
    fn prefetch(array: Id, device: tn_device, stream: Id) = tn_array_prefetch;
    /// Ends a guard. `stream` has the last work on the bytes.
    fn borrow_end_on(guard: Id, flags: u32, stream: Id) = tn_borrow_end;
}

/// Copies the elements of an array to `to`, contiguous in C order.
///
/// # Safety
/// - `to` has room for all elements.
pub unsafe fn copy_to_host(array: Id, to: *mut c_void) -> Result<()> {
    // SAFETY: by this function's list.
    check(unsafe { tn_array_copy_to_host(array.raw(), to, core::ptr::null(), null_mut()) })
}

/// Page-locks memory of the caller and makes an array of its bytes. The memory is unlocked when that array and all
/// views of it are released.
///
/// # Safety
/// - The bytes stay valid until they are unlocked.
pub unsafe fn host_register(ptr: *mut c_void, bytes: usize, flags: u32) -> Result<Id> {
    // SAFETY: by this function's list.
    made(|out| unsafe { tn_host_register(ptr, bytes, flags, out) })
}

/// Opens a guard for work on a stream: TN_READ, or TN_READ_WRITE or TN_WRITE with a mode.
pub fn borrow_on(array: Id, access: u32, stream: Id) -> Result<(Id, tn_view_info)> {
    let (mut view, flags) = (blank::<tn_view_info>(), access & !TN_READ_WRITE);
    let id = if access & TN_WRITE != 0 {
        // SAFETY: checked ids, `view` and `out` are writable.
        made(|out| unsafe { tn_array_borrow_write(array.raw(), flags, stream.raw(), null_mut(), &mut view, out) })?
    } else {
        // SAFETY: as above.
        made(|out| unsafe { tn_array_borrow_read(array.raw(), flags, stream.raw(), null_mut(), &mut view, out) })?
    };
    Ok((id, view))
}

/// TN_STREAM_LEGACY, on which libraries without streams of their own work.
pub const LEGACY: Id = Id(1);

/// Ends an export whose consumer's work on the legacy stream may be unfinished. There is no caller to report to.
pub fn end_export(guard: Id) {
    // Where the driver fails, no work is left, and the export ends at once.
    if borrow_end_on(guard, 0, LEGACY).is_err() {
        let _ = super::borrow_end(guard, 0);
    }
}
