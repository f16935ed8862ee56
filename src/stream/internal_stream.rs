//! The library's own streams of each GPU, for work that none of the program's streams can take: it captures a graph, or
//! must not be waited for.
//!
//! Contract: other code issues no work on the streams, so they are never captured, and they are ordered only after what
//! they were made to wait for. Each is created at its first use, without harm to captures of other threads, and never
//! destroyed.

use super::api::create_native;
use super::current::gpu_of;
use super::state::Stream;
use crate::error::Result;
use crate::gpu::GPUS;
use crate::types::*;
use core::sync::atomic::{AtomicPtr, Ordering};

/// One stream for each GPU; each keeps a reference.
type Streams = [AtomicPtr<Stream>; GPUS];

static STREAMS: Streams = [const { AtomicPtr::new(core::ptr::null_mut()) }; GPUS];
static EXPORT_STREAMS: Streams = [const { AtomicPtr::new(core::ptr::null_mut()) }; GPUS];
static UNDELAYED_STREAMS: Streams = [const { AtomicPtr::new(core::ptr::null_mut()) }; GPUS];

/// The library's own stream of the GPU whose streams order work on a device's memory.
pub fn internal_stream(device: tn_device) -> Result<&'static Stream> {
    find_or_create(&STREAMS, device)
}

/// Another stream, which the library makes wait for nothing. Work on it depends on finished work only, so it is never
/// delayed for long.
pub fn undelayed_stream(device: tn_device) -> Result<&'static Stream> {
    find_or_create(&UNDELAYED_STREAMS, device)
}

/// A third stream, which waits for unfinished work on arrays that are exported, so that a consumer has one stream to
/// wait for. Consumers get its CUstream, which never ends.
pub fn export_stream(device: tn_device) -> Result<&'static Stream> {
    find_or_create(&EXPORT_STREAMS, device)
}

fn find_or_create(streams: &'static Streams, device: tn_device) -> Result<&'static Stream> {
    let gpu = gpu_of(device)?;
    let entry = &streams[gpu.id() as usize];
    // SAFETY: NULL, or a stream; streams are never unmapped.
    let known = unsafe { entry.load(Ordering::Acquire).as_ref() };
    let inside = match known {
        Some(stream) if !stream.is_gone() => return Ok(stream),
        _ => gpu.enter()?,
    };
    let stream_ref = create_native(&inside, false, 0)?;
    let stream = stream_ref.stream();
    let pointer = core::ptr::from_ref(stream).cast_mut();
    // AcqRel: a thread that finds the stream sees its fields.
    let known = known.map_or(core::ptr::null_mut(), |known| core::ptr::from_ref(known).cast_mut());
    if entry.compare_exchange(known, pointer, Ordering::AcqRel, Ordering::Acquire).is_ok() {
        core::mem::forget(stream_ref);
        return Ok(stream);
    }
    // Another thread was first; this stream ends unused.
    drop(stream_ref);
    find_or_create(streams, device)
}
