//! Streams: creating, destroying, asking and waiting for them; waiting for events; host functions and callbacks.

use crate::base::args::put;
use crate::base::status::*;
use crate::base::types::{Handle, HostFn, StreamCallback};
use crate::entry::call::Call;
use crate::entry::enter::driver;
use crate::state::stream::NON_BLOCKING;
use crate::state::work::Work;
use std::ffi::{c_int, c_uint, c_void};
use std::sync::Arc;

impl Call<'_> {
    /// Refuses to ask or wait for a stream while it captures.
    fn refuse_if_capturing(&mut self, handle: Handle) -> Answer {
        if !self.is_capturing(handle) {
            return Ok(());
        }
        self.invalidate_capture_of(handle);
        Err(STREAM_CAPTURE_UNSUPPORTED)
    }
}

driver! {
    fn cuStreamCreate(out: *mut Handle, flags: c_uint) in Context => |call| {
        if flags & !NON_BLOCKING != 0 {
            return Err(INVALID_VALUE);
        }
        call.refuse_in_capture()?;
        let context = call.context;
        put(out, call.create_stream(context, flags, 0))
    }

    fn cuStreamCreateWithPriority(out: *mut Handle, flags: c_uint, priority: c_int) in Context => |call| {
        if flags & !NON_BLOCKING != 0 {
            return Err(INVALID_VALUE);
        }
        call.refuse_in_capture()?;
        let context = call.context;
        put(out, call.create_stream(context, flags, priority))
    }

    fn cuStreamDestroy_v2(stream: Handle) in Init => |call| {
        call.refuse_in_capture()?;
        let Some(known) = call.world.streams.get_mut(&stream).filter(|stream| !stream.destroyed) else {
            call.abort_for_stream(stream);
            return Err(INVALID_HANDLE);
        };
        known.destroyed = true;
        if known.is_idle() {
            call.world.remove_stream(stream);
        }
        Ok(())
    }

    fn cuStreamSynchronize(stream: Handle) | cuStreamSynchronize_ptsz in Context => |call| {
        let stream = call.stream(stream)?;
        call.refuse_if_capturing(stream)?;
        if stream == call.legacy_stream(call.context) {
            let context = call.context;
            call.refuse_blocking_capture(context)?;
        }
        call.refuse_in_capture()?;
        call.wait_for_stream(stream)?;
        call.trim_pools();
        Ok(())
    }

    fn cuStreamQuery(stream: Handle) | cuStreamQuery_ptsz in Poll => |call| {
        let stream = call.stream(stream)?;
        call.refuse_if_capturing(stream)?;
        match call.streams.get(&stream) {
            Some(stream) if !stream.is_idle() => Err(NOT_READY),
            _ => Ok(()),
        }
    }

    fn cuStreamWaitEvent(stream: Handle, event: Handle, flags: c_uint) | cuStreamWaitEvent_ptsz in Context => |call| {
        if flags > 1 {
            return Err(INVALID_VALUE);
        }
        let stream = call.stream(stream)?;
        let known = call.events.get(&event).ok_or(INVALID_HANDLE)?;
        if let Some((capture, nodes)) = known.captured.clone() {
            return call.join_capture(stream, capture, nodes);
        }
        let Some(dependency) = known.dependency() else { return Ok(()) };
        if call.is_capturing(stream) {
            call.invalidate_capture_of(stream);
            return Err(STREAM_CAPTURE_ISOLATION);
        }
        call.enqueue(stream, "wait for an event", vec![dependency], Work::Nothing).map(|_| ())
    }

    fn cuStreamGetPriority(stream: Handle, priority: *mut c_int) | cuStreamGetPriority_ptsz in Context => |call| {
        let stream = call.stream(stream)?;
        put(priority, call.streams.get(&stream).ok_or(INVALID_HANDLE)?.priority)
    }

    fn cuStreamGetFlags(stream: Handle, flags: *mut c_uint) | cuStreamGetFlags_ptsz in Context => |call| {
        let stream = call.stream(stream)?;
        put(flags, call.streams.get(&stream).ok_or(INVALID_HANDLE)?.flags)
    }

    fn cuStreamGetId(stream: Handle, id: *mut u64) | cuStreamGetId_ptsz in Context => |call| {
        let stream = call.stream(stream)?;
        put(id, call.streams.get(&stream).ok_or(INVALID_HANDLE)?.id)
    }

    fn cuStreamGetCtx(stream: Handle, context: *mut Handle) | cuStreamGetCtx_ptsz in Context => |call| {
        let stream = call.stream(stream)?;
        let known = call.streams.get(&stream).ok_or(INVALID_HANDLE)?;
        put(context, if known.green != 0 { known.green } else { known.context })
    }

    fn cuStreamGetCtx_v2(stream: Handle, context: *mut Handle, green: *mut Handle) | cuStreamGetCtx_v2_ptsz in Context => |call| {
        let stream = call.stream(stream)?;
        let known = call.streams.get(&stream).ok_or(INVALID_HANDLE)?;
        put(context, known.context)?;
        put(green, known.green)
    }

    fn cuStreamGetDevice(stream: Handle, device: *mut c_int) | cuStreamGetDevice_ptsz in Context => |call| {
        let stream = call.stream(stream)?;
        let context = call.streams.get(&stream).ok_or(INVALID_HANDLE)?.context;
        put(device, call.contexts.get(&context).ok_or(INVALID_CONTEXT)?.device as c_int)
    }

    fn cuStreamCopyAttributes(to: Handle, from: Handle) | cuStreamCopyAttributes_ptsz in Context => |call| {
        call.stream(to)?;
        call.stream(from).map(|_| ())
    }

    fn cuStreamAttachMemAsync(stream: Handle, address: u64, _size: usize, _flags: c_uint) | cuStreamAttachMemAsync_ptsz in Context => |call| {
        let stream = call.stream(stream)?;
        if call.space.find(address).is_none() {
            return Err(INVALID_VALUE);
        }
        call.enqueue(stream, "attach memory", Vec::new(), Work::Nothing).map(|_| ())
    }

    fn cuLaunchHostFunc(stream: Handle, function: HostFn, data: *mut c_void) | cuLaunchHostFunc_ptsz in Context => |call| {
        let function = function.ok_or(INVALID_VALUE)?;
        let (stream, data) = (call.stream(stream)?, data as usize);
        let work = Work::Outside(Arc::new(move |status| {
            if status == SUCCESS {
                // SAFETY: the caller's function with the caller's data, as the driver's interface calls it.
                unsafe { function(data as *mut c_void) };
            }
            Ok(())
        }));
        call.enqueue(stream, "host function", Vec::new(), work).map(|_| ())
    }

    fn cuStreamAddCallback(stream: Handle, function: StreamCallback, data: *mut c_void, flags: c_uint) | cuStreamAddCallback_ptsz in Context => |call| {
        let function = function.filter(|_| flags == 0).ok_or(INVALID_VALUE)?;
        let (asked, stream, data) = (stream, call.stream(stream)?, data as usize);
        call.refuse_if_capturing(stream)?;
        let work = Work::Outside(Arc::new(move |status| {
            // SAFETY: as above; a callback is called on a lost context too, with its code.
            unsafe { function(asked, status, data as *mut c_void) };
            Ok(())
        }));
        call.enqueue(stream, "callback", Vec::new(), work).map(|_| ())
    }
}
