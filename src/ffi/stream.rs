//! Section "stream": streams, current streams of threads, events.

use crate::boundary::enter;
use crate::ffi::convert::{self, Out};
use crate::stream::{self, StreamArg, event, scope};
use crate::types::*;
use crate::{device_copy, gpu};

/// Creates a stream: a queue of work on a GPU that is executed in order, concurrently with other streams.
///
/// @param device   {TN_CUDA, id}. The call retains its primary context, which other libraries share.
/// @param flags    0: not ordered with the legacy stream. TN_STREAM_BLOCKING: ordered with it, as a stream of
///                 cudaStreamCreate.
/// @param priority CUDA's stream priority: lower numbers run first, 0 is the default. It is clamped to the range of the
///                 device.
/// @param[out] out The stream. Released by `tn_stream_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for another flag; TN_ERR_DEVICE for a device that does not exist or has
///         no streams; TN_ERR_UNSUPPORTED without a driver; TN_ERR_NO_HOST_MEMORY, TN_ERR_NO_DEVICE_MEMORY,
///         TN_ERR_DRIVER, TN_ERR_LIMIT.
/// @note Threads: any. Blocks: while the first use of a GPU makes its context. Allocates: bookkeeping, and what the
///       driver needs.
/// @since 0.1
/// @ingroup stream
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_stream_create(
    device: tn_device,
    flags: tn_stream_flags,
    priority: i32,
    out: *mut *mut tn_stream,
) -> tn_status {
    enter("tn_stream_create", || {
        let out = Out::new(out, "out")?;
        let id = stream::create(device, flags, priority)?;
        // SAFETY: writable by the function's documentation.
        unsafe { out.write(convert::handle(id)) };
        Ok(())
    })
}

/// Makes a handle on another library's stream. Tenure never destroys that stream. Its owner may destroy it at any time
/// when no call has a handle on it, it is no thread's current stream, and no live block has it by `tn_pool_record_use`.
/// Handles on it can be released afterwards. The stream must exist whenever it is passed: drivers do not detect a
/// destroyed stream, and may crash.
///
/// @param device   {TN_CUDA, id}: the GPU of the stream.
/// @param native   A live CUstream, or cudaStream_t, of the GPU's primary context. 0 and 1 mean the legacy stream; 2
///                 means the per-thread stream of the thread that uses the handle.
/// @param[out] out The stream. Released by `tn_stream_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_DEVICE for a device that does not exist or has no streams, or a stream of another
///         context; TN_ERR_UNSUPPORTED without a driver; TN_ERR_NO_HOST_MEMORY, TN_ERR_DRIVER, TN_ERR_LIMIT.
/// @note Threads: any. Blocks: while the first use of a GPU makes its context. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup stream
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_stream_import(device: tn_device, native: u64, out: *mut *mut tn_stream) -> tn_status {
    enter("tn_stream_import", || {
        let out = Out::new(out, "out")?;
        let id = stream::import(device, native)?;
        // SAFETY: writable by the function's documentation.
        unsafe { out.write(convert::handle(id)) };
        Ok(())
    })
}

/// Writes the CUstream of a stream, for other libraries.
///
/// @param stream   A stream, TN_STREAM_LEGACY or TN_STREAM_PER_THREAD.
/// @param[out] out The CUstream value, never 0: 1 for the legacy stream, 2 for the per-thread stream. On failure:
///                 untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE; TN_ERR_KIND, also for TN_STREAM_CURRENT, which is a different stream on
///         each device; TN_ERR_DEVICE in the child of a fork.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup stream
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_stream_native(stream: *mut tn_stream, out: *mut u64) -> tn_status {
    enter("tn_stream_native", || {
        let stream = convert::some_stream(stream)?;
        let out = Out::new(out, "out")?;
        let native = stream::native(&stream?)?;
        // SAFETY: writable by the function's documentation.
        unsafe { out.write(native) };
        Ok(())
    })
}

/// Waits until all work issued on a stream so far is done.
///
/// @param stream   A stream. A constant means that stream of every GPU that this process uses.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DEVICE in the child of a fork; TN_ERR_UNSUPPORTED
///         without a driver, and while the stream captures a graph (the capture continues); TN_ERR_DRIVER with the
///         driver's number, also for work that failed earlier.
/// @note Threads: any. Blocks: until the stream's work is done, under no lock. Allocates: nothing.
/// @since 0.1
/// @ingroup stream
#[unsafe(no_mangle)]
pub extern "C" fn tn_stream_synchronize(stream: *mut tn_stream) -> tn_status {
    enter("tn_stream_synchronize", || {
        stream::synchronize(&convert::some_stream(stream)??)?;
        gpu::used().for_each(device_copy::load_wanted);
        Ok(())
    })
}

/// Sets the calling thread's current stream of a device: the meaning of TN_STREAM_CURRENT there, and of NULL as the
/// stream of a pool call.
///
/// @param device   {TN_CUDA, id}.
/// @param stream   A stream of that device, or a constant. The thread keeps it alive until it sets another or ends.
///                 NULL: the default again, which is TN_STREAM_LEGACY unless the option "stream.default" sets another.
/// @return TN_OK; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DEVICE for a device that does not exist or has no streams, or a
///         stream of another device; TN_ERR_UNSUPPORTED without a driver; TN_ERR_NO_HOST_MEMORY, TN_ERR_DRIVER.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup stream
#[unsafe(no_mangle)]
pub extern "C" fn tn_stream_set_current(device: tn_device, stream: *mut tn_stream) -> tn_status {
    enter("tn_stream_set_current", || stream::set_current(device, &convert::stream(stream)?))
}

/// Makes a handle on the calling thread's current stream of a device.
///
/// @param device   {TN_CUDA, id}.
/// @param[out] out A new handle. Released by `tn_stream_release`, even if it refers to a default stream. On failure:
///                 untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_DEVICE for a device that does not exist or has no streams; TN_ERR_UNSUPPORTED
///         without a driver; TN_ERR_NO_HOST_MEMORY, TN_ERR_DRIVER, TN_ERR_LIMIT.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup stream
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_stream_current(device: tn_device, out: *mut *mut tn_stream) -> tn_status {
    enter("tn_stream_current", || {
        let out = Out::new(out, "out")?;
        let id = stream::handle_on_current(device)?;
        // SAFETY: writable by the function's documentation.
        unsafe { out.write(convert::handle(id)) };
        Ok(())
    })
}

/// Makes a stream the thread's current one until `tn_stream_leave`. Scopes belong to the thread that entered them, and
/// nest.
///
/// @param device   {TN_CUDA, id}.
/// @param stream   A stream of that device, or a constant. The scope keeps it alive.
/// @param flags    0, or TN_AUTO_SYNCHRONIZE to wait for the stream when the scope is left.
/// @param[out] out The scope. Ended by `tn_stream_leave` on this thread; a thread that ends leaves its scopes. On
///                 failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for another flag; TN_ERR_DEVICE for a device
///         that does not exist or has no streams, or a stream of another device; TN_ERR_UNSUPPORTED without a driver;
///         TN_ERR_NO_HOST_MEMORY, TN_ERR_DRIVER, TN_ERR_LIMIT.
/// @note Threads: any; the scope belongs to the calling thread. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup stream
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_stream_enter(
    device: tn_device,
    stream: *mut tn_stream,
    flags: tn_stream_scope_flags,
    out: *mut *mut tn_stream_scope,
) -> tn_status {
    enter("tn_stream_enter", || {
        let stream = convert::some_stream(stream)?;
        let out = Out::new(out, "out")?;
        let id = scope::enter(device, stream, flags)?;
        // SAFETY: writable by the function's documentation.
        unsafe { out.write(convert::handle(id)) };
        Ok(())
    })
}

/// Leaves a scope: restores the current stream from before the scope, whatever was set inside it.
///
/// @param scope    The innermost scope of this thread. It is left exactly once.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE; TN_ERR_KIND, also for a scope of `tn_enter`; TN_ERR_INVALID, and nothing
///         changes, for a scope that was entered on another thread or is not the innermost. With TN_AUTO_SYNCHRONIZE
///         also the errors of `tn_stream_synchronize`; the scope is left nevertheless.
/// @note Threads: the thread that entered the scope. Blocks: with TN_AUTO_SYNCHRONIZE, until the stream's work is done.
///       Allocates: nothing.
/// @since 0.1
/// @ingroup stream
#[unsafe(no_mangle)]
pub extern "C" fn tn_stream_leave(scope: *mut tn_stream_scope) -> tn_status {
    enter("tn_stream_leave", || scope::leave(convert::id(scope, "scope")?))
}

/// Makes the work that is issued on a stream from now on wait for an event. The host does not wait.
///
/// @param stream   A stream of any device. A constant means that stream of the event's device.
/// @param event    The event. An event that was never recorded counts as done.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DEVICE in the child of a fork; TN_ERR_UNSUPPORTED
///         while the stream captures a graph and the event is not done (the capture continues); TN_ERR_DRIVER.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup stream
#[unsafe(no_mangle)]
pub extern "C" fn tn_stream_wait_event(stream: *mut tn_stream, event: *mut tn_event) -> tn_status {
    enter("tn_stream_wait_event", || {
        let stream = convert::some_stream(stream)?;
        let id = convert::id(event, "event")?;
        event::wait(id, stream)
    })
}

/// Returns TN_STREAM_LEGACY, for languages that cannot use pointer constants of a C header.
///
/// @return The constant. It is never released.
/// @note Threads: any. Never fails.
/// @since 0.1
/// @ingroup stream
#[unsafe(no_mangle)]
pub extern "C" fn tn_stream_legacy() -> *mut tn_stream {
    StreamArg::LEGACY as *mut tn_stream
}

/// Returns TN_STREAM_PER_THREAD, for languages that cannot use pointer constants of a C header.
///
/// @return The constant. It is never released.
/// @note Threads: any. Never fails.
/// @since 0.1
/// @ingroup stream
#[unsafe(no_mangle)]
pub extern "C" fn tn_stream_per_thread() -> *mut tn_stream {
    StreamArg::PER_THREAD as *mut tn_stream
}

/// Returns TN_STREAM_CURRENT, for languages that cannot use pointer constants of a C header. It means the stream that
/// is current when it is used. `tn_stream_current` makes a handle on the stream that is current now.
///
/// @return The constant. It is never released.
/// @note Threads: any. Never fails.
/// @since 0.1
/// @ingroup stream
#[unsafe(no_mangle)]
pub extern "C" fn tn_stream_of_thread() -> *mut tn_stream {
    StreamArg::CURRENT as *mut tn_stream
}

/// Releases a handle on a stream. Issued work continues, and the memory that it uses is kept until it is done. A stream
/// that is current or in a scope stays alive until it is replaced there.
///
/// @param stream   A handle, not a constant. It is released exactly once.
/// @return TN_OK, also if the device is lost and in the child of a fork; TN_ERR_NULL, TN_ERR_STALE; TN_ERR_KIND, also
///         for a constant.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup stream
#[unsafe(no_mangle)]
pub extern "C" fn tn_stream_release(stream: *mut tn_stream) -> tn_status {
    enter("tn_stream_release", || stream::release(convert::id(stream, "stream")?))
}

/// Creates an event. Once recorded, it marks a point in a stream's work.
///
/// @param device   {TN_CUDA, id}.
/// @param flags    0, or TN_EVENT_TIMING to record a time for `tn_event_elapsed`.
/// @param[out] out The event. Until it is recorded it counts as done. Released by `tn_event_release`. On failure:
///                 untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for another flag; TN_ERR_DEVICE for a device that does not exist or has
///         no streams; TN_ERR_UNSUPPORTED without a driver; TN_ERR_NO_HOST_MEMORY, TN_ERR_DRIVER, TN_ERR_LIMIT.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup stream
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_event_create(
    device: tn_device,
    flags: tn_event_flags,
    out: *mut *mut tn_event,
) -> tn_status {
    enter("tn_event_create", || {
        let out = Out::new(out, "out")?;
        let id = event::create(device, flags)?;
        // SAFETY: writable by the function's documentation.
        unsafe { out.write(convert::handle(id)) };
        Ok(())
    })
}

/// Records an event after all work issued on a stream so far. Waits for an earlier recording of the event are not
/// affected.
///
/// @param event    The event.
/// @param stream   A stream of the event's device. A constant means that stream of that device.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DEVICE for a stream of another device;
///         TN_ERR_UNSUPPORTED while the stream captures a graph (the capture continues); TN_ERR_NO_HOST_MEMORY,
///         TN_ERR_NO_DEVICE_MEMORY, TN_ERR_DRIVER.
/// @note Threads: any. Blocks: never. Allocates: driver memory, if more events are in use than ever before.
/// @since 0.1
/// @ingroup stream
#[unsafe(no_mangle)]
pub extern "C" fn tn_event_record(event: *mut tn_event, stream: *mut tn_stream) -> tn_status {
    enter("tn_event_record", || {
        let id = convert::id(event, "event")?;
        event::record(id, convert::some_stream(stream)?)
    })
}

/// Waits until the work before an event is done.
///
/// @param event    The event. An event that was never recorded counts as done.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DEVICE in the child of a fork; TN_ERR_DRIVER.
/// @note Threads: any. Blocks: until that work is done, under no lock. Allocates: nothing.
/// @since 0.1
/// @ingroup stream
#[unsafe(no_mangle)]
pub extern "C" fn tn_event_synchronize(event: *mut tn_event) -> tn_status {
    enter("tn_event_synchronize", || event::synchronize(convert::id(event, "event")?))
}

/// Tests whether the work before an event is done.
///
/// @param event    The event. An event that was never recorded counts as done.
/// @param[out] out 1 if it is done, else 0. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DEVICE in the child of a fork; TN_ERR_DRIVER.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup stream
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_event_query(event: *mut tn_event, out: *mut i32) -> tn_status {
    enter("tn_event_query", || {
        let id = convert::id(event, "event")?;
        let out = Out::new(out, "out")?;
        let done = event::query(id)?;
        // SAFETY: writable by the function's documentation.
        unsafe { out.write(done as i32) };
        Ok(())
    })
}

/// Computes the time between two events, by the device's clock.
///
/// @param start            A recorded event with TN_EVENT_TIMING.
/// @param end              Another recorded event with TN_EVENT_TIMING, of the same device.
/// @param[out] elapsed_ns  The time in nanoseconds, with a resolution of about 500 ns. Negative if `end` was before
///                         `start`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an event that has no timing or was never
///         recorded; TN_ERR_DEVICE for events of two devices, and in the child of a fork; TN_ERR_PENDING if one of them
///         is not done; TN_ERR_DRIVER.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup stream
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_event_elapsed(start: *mut tn_event, end: *mut tn_event, elapsed_ns: *mut i64) -> tn_status {
    enter("tn_event_elapsed", || {
        let (start, end) = (convert::id(start, "start")?, convert::id(end, "end")?);
        let out = Out::new(elapsed_ns, "elapsed_ns")?;
        let elapsed = event::elapsed(start, end)?;
        // SAFETY: writable by the function's documentation.
        unsafe { out.write(elapsed) };
        Ok(())
    })
}

/// Releases an event. Streams that wait for it keep waiting.
///
/// @param event    The event. It is released exactly once.
/// @return TN_OK, also if the device is lost and in the child of a fork; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup stream
#[unsafe(no_mangle)]
pub extern "C" fn tn_event_release(event: *mut tn_event) -> tn_status {
    enter("tn_event_release", || event::release(convert::id(event, "event")?))
}
