//! The C functions for devices, streams and events, and the transfers that concern devices only.

use super::{Id, Result, check, made, no_view};
use crate::sys::*;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr::null_mut;

/// The number of devices of a type.
pub fn device_count(r#type: tn_device_type) -> Result<usize> {
    let mut count = 0;
    // SAFETY: `count` is writable.
    check(unsafe { tn_device_count(r#type, &mut count) })?;
    Ok(count)
}

/// The description of a device; with TN_QUERY_MEMORY also its free memory.
pub fn device_query(device: tn_device, flags: u32) -> Result<tn_device_info> {
    let mut info = MaybeUninit::<tn_device_info>::zeroed();
    // SAFETY: `info` is writable and `size` is its length; zeros are a value of this plain struct.
    unsafe {
        (*info.as_mut_ptr()).size = size_of::<tn_device_info>();
        check(tn_device_query(device, flags, info.as_mut_ptr()))?;
        Ok(info.assume_init())
    }
}

/// Waits for all work on a device.
pub fn device_synchronize(device: tn_device) -> Result<()> {
    // SAFETY: a plain value.
    check(unsafe { tn_device_synchronize(device) })
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

/// Creates a stream.
pub fn stream_create(device: tn_device, flags: u32, priority: i32) -> Result<Id> {
    // SAFETY: `out` is writable.
    made(|out| unsafe { tn_stream_create(device, flags, priority, out) })
}

/// A handle to a stream of another library. 0 and 1 are the legacy stream, 2 the per-thread one.
pub fn stream_import(device: tn_device, native: u64) -> Result<Id> {
    // SAFETY: `out` is writable; the driver checks the number.
    made(|out| unsafe { tn_stream_import(device, native, out) })
}

/// The CUstream.
pub fn stream_native(stream: Id) -> Result<u64> {
    let mut native = 0;
    // SAFETY: a checked id, `native` is writable.
    check(unsafe { tn_stream_native(stream.raw(), &mut native) })?;
    Ok(native)
}

/// Waits for the work of a stream.
pub fn stream_synchronize(stream: Id) -> Result<()> {
    // SAFETY: a checked id.
    check(unsafe { tn_stream_synchronize(stream.raw()) })
}

/// A new handle to the thread's current stream.
pub fn stream_current(device: tn_device) -> Result<Id> {
    // SAFETY: `out` is writable.
    made(|out| unsafe { tn_stream_current(device, out) })
}

/// Makes a stream current until `stream_leave`.
pub fn stream_enter(device: tn_device, stream: Id, flags: u32) -> Result<Id> {
    // SAFETY: a checked id, `out` is writable.
    made(|out| unsafe { tn_stream_enter(device, stream.raw(), flags, out) })
}

/// Makes the previous stream current again.
pub fn stream_leave(scope: Id) -> Result<()> {
    // SAFETY: a checked id.
    check(unsafe { tn_stream_leave(scope.raw()) })
}

/// Releases a stream handle; pending work continues.
pub fn stream_release(stream: Id) -> Result<()> {
    // SAFETY: a checked id.
    check(unsafe { tn_stream_release(stream.raw()) })
}

// ---- events

/// Creates an event, not recorded yet.
pub fn event_create(device: tn_device, flags: u32) -> Result<Id> {
    // SAFETY: `out` is writable.
    made(|out| unsafe { tn_event_create(device, flags, out) })
}

/// Records an event behind the work that the stream has now.
pub fn event_record(event: Id, stream: Id) -> Result<()> {
    // SAFETY: checked ids.
    check(unsafe { tn_event_record(event.raw(), stream.raw()) })
}

/// Makes the stream wait for an event. The host does not wait.
pub fn event_wait(event: Id, stream: Id) -> Result<()> {
    // SAFETY: checked ids.
    check(unsafe { tn_stream_wait_event(stream.raw(), event.raw()) })
}

/// Makes the host wait for an event.
pub fn event_synchronize(event: Id) -> Result<()> {
    // SAFETY: a checked id.
    check(unsafe { tn_event_synchronize(event.raw()) })
}

/// Whether an event has passed.
pub fn event_query(event: Id) -> Result<bool> {
    let mut done = 0;
    // SAFETY: a checked id, `done` is writable.
    check(unsafe { tn_event_query(event.raw(), &mut done) })?;
    Ok(done != 0)
}

/// The time between two events, in nanoseconds.
pub fn event_elapsed(start: Id, end: Id) -> Result<i64> {
    let mut elapsed = 0;
    // SAFETY: checked ids, `elapsed` is writable.
    check(unsafe { tn_event_elapsed(start.raw(), end.raw(), &mut elapsed) })?;
    Ok(elapsed)
}

/// Releases an event.
pub fn event_release(event: Id) -> Result<()> {
    // SAFETY: a checked id.
    check(unsafe { tn_event_release(event.raw()) })
}

// ---- arrays and devices

/// Makes the host wait for device work on an array.
pub fn wait(array: Id, access: u32) -> Result<()> {
    // SAFETY: a checked id.
    check(unsafe { tn_array_wait(array.raw(), access) })
}

/// Takes a promise and moves its array to a device.
pub fn promise_to_device(promise: Id, device: tn_device, pool: Id, stream: Id) -> Result<Id> {
    // SAFETY: checked ids, `out` is writable.
    made(|out| unsafe { tn_promise_to_device(promise.raw(), device, pool.raw(), stream.raw(), out) })
}

/// Copies an array to a device. `pool` NULL: the current pool there.
pub fn to_device(array: Id, device: tn_device, pool: Id, stream: Id) -> Result<Id> {
    // SAFETY: checked ids, `out` is writable.
    made(|out| unsafe { tn_array_to_device(array.raw(), device, pool.raw(), stream.raw(), out) })
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

/// Tells the driver how managed memory will be used.
pub fn advise(array: Id, advice: tn_advice, device: tn_device) -> Result<()> {
    // SAFETY: a checked id.
    check(unsafe { tn_array_advise(array.raw(), advice, device) })
}

/// Moves the pages of managed memory to a device.
pub fn prefetch(array: Id, device: tn_device, stream: Id) -> Result<()> {
    // SAFETY: checked ids.
    check(unsafe { tn_array_prefetch(array.raw(), device, stream.raw()) })
}

/// Opens a guard for work on a stream: TN_READ, or TN_READ_WRITE or TN_WRITE with a mode.
pub fn borrow_on(array: Id, access: u32, stream: Id) -> Result<(Id, tn_view_info)> {
    let (mut view, flags) = (no_view(), access & !TN_READ_WRITE);
    let id = if access & TN_WRITE != 0 {
        // SAFETY: checked ids, `view` and `out` are writable.
        made(|out| unsafe { tn_array_borrow_write(array.raw(), flags, stream.raw(), null_mut(), &mut view, out) })?
    } else {
        // SAFETY: as above.
        made(|out| unsafe { tn_array_borrow_read(array.raw(), flags, stream.raw(), null_mut(), &mut view, out) })?
    };
    Ok((id, view))
}

/// Ends a guard. `stream` has the last work on the bytes.
pub fn borrow_end_on(guard: Id, flags: u32, stream: Id) -> Result<()> {
    // SAFETY: checked ids.
    check(unsafe { tn_borrow_end(guard.raw(), flags, stream.raw()) })
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
