//! Section "stream": streams, a thread's current ones, events.

use crate::boundary::enter;
use crate::ffi::convert::{self, Out};
use crate::stream::{self, Stream, event, scope};
use crate::types::*;

/// Creates a stream: an order of work on a GPU, beside which the work of other streams goes on.
///
/// @param device   {TN_CUDA, id}; its primary context, which other libraries share, is retained.
/// @param flags    0: not ordered with the legacy stream; TN_STREAM_BLOCKING: ordered with it, as a plain cudaStreamCreate.
/// @param priority As CUDA's: lower is sooner, 0 the default; cut to what the device has.
/// @param[out] out The stream. Released by `tn_stream_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for another flag; TN_ERR_DEVICE for a device that does not exist or has no streams;
///         TN_ERR_UNSUPPORTED without a driver; TN_ERR_NO_HOST_MEMORY, TN_ERR_NO_DEVICE_MEMORY, TN_ERR_DRIVER, TN_ERR_LIMIT.
/// @note Threads: any. Blocks: the first use of a GPU makes its context. Allocates: bookkeeping, and what the driver needs.
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

/// Makes a handle on another library's stream. The library never destroys it. The release of the last handle on it records an event
/// behind what is still open there, and from then on it is not touched, so that its owner may destroy it; not before: drivers do not check
/// whether a stream is still there, and may crash.
///
/// @param device   {TN_CUDA, id}: the GPU that it is of.
/// @param native   A CUstream, or cudaStream_t, of the GPU's primary context, which must exist; 0 and 1 mean the legacy stream, 2 the
///                 per-thread stream of whichever thread uses the handle.
/// @param[out] out The stream. Released by `tn_stream_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_DEVICE for a device that does not exist or has no streams, or a stream of another context;
///         TN_ERR_UNSUPPORTED without a driver; TN_ERR_NO_HOST_MEMORY, TN_ERR_DRIVER, TN_ERR_LIMIT.
/// @note Threads: any. Blocks: the first use of a GPU makes its context. Allocates: bookkeeping only.
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

/// Tells the stream as other libraries name it.
///
/// @param stream   A stream, TN_STREAM_LEGACY or TN_STREAM_PER_THREAD.
/// @param[out] out The CUstream value: 1 of the legacy, 2 of the per-thread stream, never 0. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE; TN_ERR_KIND, also for TN_STREAM_CURRENT, which is another one on each device;
///         TN_ERR_DEVICE in the child of a fork.
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

/// Waits until all that was issued on a stream so far is done.
///
/// @param stream   A stream, or a constant: that stream of every GPU that this process uses.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DEVICE in the child of a fork; TN_ERR_UNSUPPORTED without a driver, and
///         while the stream captures a graph, which goes on; TN_ERR_DRIVER with the driver's number, also for work that failed earlier.
/// @note Threads: any. Blocks: until the stream's work is done; holds no lock meanwhile. Allocates: nothing.
/// @since 0.1
/// @ingroup stream
#[unsafe(no_mangle)]
pub extern "C" fn tn_stream_synchronize(stream: *mut tn_stream) -> tn_status {
    enter("tn_stream_synchronize", || stream::synchronize(&convert::some_stream(stream)??))
}

/// Makes a stream the calling thread's current one of a device: what TN_STREAM_CURRENT means there, and NULL in pools.
///
/// @param device   {TN_CUDA, id}.
/// @param stream   A stream of that device or a constant; the thread holds it until it sets another or ends. NULL: back to the default,
///                 which is TN_STREAM_LEGACY or what the option "stream.default" says.
/// @return TN_OK; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DEVICE for a device that does not exist or has no streams, or a stream of another
///         one; TN_ERR_UNSUPPORTED without a driver; TN_ERR_NO_HOST_MEMORY, TN_ERR_DRIVER.
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
/// @param[out] out A new handle, to be released by `tn_stream_release` whatever stream it is on. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_DEVICE for a device that does not exist or has no streams; TN_ERR_UNSUPPORTED without a driver;
///         TN_ERR_NO_HOST_MEMORY, TN_ERR_DRIVER, TN_ERR_LIMIT.
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

/// Makes a stream current until `tn_stream_leave`. Scopes belong to the thread that entered them and nest there.
///
/// @param device   {TN_CUDA, id}.
/// @param stream   A stream of that device, or a constant; the scope holds it.
/// @param flags    0, or TN_AUTO_SYNCHRONIZE: leaving waits for the stream.
/// @param[out] out The scope. Given back by `tn_stream_leave` on this thread; a thread that ends leaves its scopes. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for another flag; TN_ERR_DEVICE for a device that does not exist
///         or has no streams, or a stream of another one; TN_ERR_UNSUPPORTED without a driver; TN_ERR_NO_HOST_MEMORY, TN_ERR_DRIVER,
///         TN_ERR_LIMIT.
/// @note Threads: any; the scope is bound to this one. Blocks: never. Allocates: bookkeeping only.
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

/// Leaves a scope: what was the thread's current stream before is so again, whatever was set meanwhile.
///
/// @param scope    The innermost of this thread's scopes; exactly once.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE; TN_ERR_KIND, also for a scope of `tn_enter`; TN_ERR_INVALID, and nothing changes, for one that
///         was entered on another thread or is not the innermost. With TN_AUTO_SYNCHRONIZE what `tn_stream_synchronize` gives; the scope is
///         left all the same.
/// @note Threads: the one that entered. Blocks: with TN_AUTO_SYNCHRONIZE until the stream's work is done. Allocates: nothing.
/// @since 0.1
/// @ingroup stream
#[unsafe(no_mangle)]
pub extern "C" fn tn_stream_leave(scope: *mut tn_stream_scope) -> tn_status {
    enter("tn_stream_leave", || scope::leave(convert::id(scope, "scope")?))
}

/// Makes what is issued on a stream from now on wait for an event; the host does not wait.
///
/// @param stream   A stream of any device, or a constant: that stream of the event's device.
/// @param event    The event. One that was never recorded counts as done.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DEVICE in the child of a fork; TN_ERR_UNSUPPORTED while the stream
///         captures a graph, which goes on, unless the event is done; TN_ERR_DRIVER.
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

/// The legacy default stream: TN_STREAM_LEGACY as a function, for languages that take no pointer constants from a C header.
///
/// @return the constant; never released.
/// @note Threads: any. Never fails.
/// @since 0.1
/// @ingroup stream
#[unsafe(no_mangle)]
pub extern "C" fn tn_stream_legacy() -> *mut tn_stream {
    Stream::LEGACY as *mut tn_stream
}

/// The per-thread default stream: TN_STREAM_PER_THREAD as a function, for languages that take no pointer constants from a C header.
///
/// @return the constant; never released.
/// @note Threads: any. Never fails.
/// @since 0.1
/// @ingroup stream
#[unsafe(no_mangle)]
pub extern "C" fn tn_stream_per_thread() -> *mut tn_stream {
    Stream::PER_THREAD as *mut tn_stream
}

/// The calling thread's current stream, whichever that is when it is used: TN_STREAM_CURRENT as a function, for languages that take no
/// pointer constants from a C header. `tn_stream_current` makes a handle instead.
///
/// @return the constant; never released.
/// @note Threads: any. Never fails.
/// @since 0.1
/// @ingroup stream
#[unsafe(no_mangle)]
pub extern "C" fn tn_stream_of_thread() -> *mut tn_stream {
    Stream::CURRENT as *mut tn_stream
}

/// Releases a handle on a stream. Work that is under way goes on, and what it uses stays until it is done; a stream that is current or in a
/// scope lives until it is replaced there.
///
/// @param stream   A handle; exactly once. Not a constant.
/// @return TN_OK, also where the device is lost and in the child of a fork; TN_ERR_NULL, TN_ERR_STALE; TN_ERR_KIND, also for a constant.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup stream
#[unsafe(no_mangle)]
pub extern "C" fn tn_stream_release(stream: *mut tn_stream) -> tn_status {
    enter("tn_stream_release", || stream::release(convert::id(stream, "stream")?))
}

/// Creates an event: a point in a stream, once it is recorded there.
///
/// @param device   {TN_CUDA, id}.
/// @param flags    0, or TN_EVENT_TIMING: it has a time, for `tn_event_elapsed`.
/// @param[out] out The event; until it is recorded it counts as done. Released by `tn_event_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for another flag; TN_ERR_DEVICE for a device that does not exist or has no streams;
///         TN_ERR_UNSUPPORTED without a driver; TN_ERR_NO_HOST_MEMORY, TN_ERR_DRIVER, TN_ERR_LIMIT.
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

/// Moves an event behind all that was issued on a stream so far. Who waits for where it was before goes on waiting for that.
///
/// @param event    The event.
/// @param stream   A stream of the event's device, or a constant, of that device.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DEVICE for a stream of another device; TN_ERR_UNSUPPORTED while the stream
///         captures a graph, which goes on; TN_ERR_NO_HOST_MEMORY, TN_ERR_NO_DEVICE_MEMORY, TN_ERR_DRIVER.
/// @note Threads: any. Blocks: never. Allocates: what the driver needs for more events than ever before.
/// @since 0.1
/// @ingroup stream
#[unsafe(no_mangle)]
pub extern "C" fn tn_event_record(event: *mut tn_event, stream: *mut tn_stream) -> tn_status {
    enter("tn_event_record", || {
        let id = convert::id(event, "event")?;
        event::record(id, convert::some_stream(stream)?)
    })
}

/// Waits until all that is before an event is done.
///
/// @param event    The event; one that was never recorded is done.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DEVICE in the child of a fork; TN_ERR_DRIVER.
/// @note Threads: any. Blocks: until that work is done; holds no lock meanwhile. Allocates: nothing.
/// @since 0.1
/// @ingroup stream
#[unsafe(no_mangle)]
pub extern "C" fn tn_event_synchronize(event: *mut tn_event) -> tn_status {
    enter("tn_event_synchronize", || event::synchronize(convert::id(event, "event")?))
}

/// Tells whether all that is before an event is done.
///
/// @param event    The event; one that was never recorded is done.
/// @param[out] out 1 or 0. On failure: untouched.
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

/// Tells the time from one event to another, by the device's clock.
///
/// @param start            An event with TN_EVENT_TIMING, recorded.
/// @param end              Another event of the same device.
/// @param[out] elapsed_ns  The time in nanoseconds, at a resolution of about half a microsecond; negative if `end` was before `start`. On
///                         failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an event without timing or that was never recorded;
///         TN_ERR_DEVICE for events of two devices, and in the child of a fork; TN_ERR_PENDING while one of them is not done;
///         TN_ERR_DRIVER.
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

/// Releases an event. What waits for it goes on waiting.
///
/// @param event    The event; exactly once.
/// @return TN_OK, also where the device is lost and in the child of a fork; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup stream
#[unsafe(no_mangle)]
pub extern "C" fn tn_event_release(event: *mut tn_event) -> tn_status {
    enter("tn_event_release", || event::release(convert::id(event, "event")?))
}
