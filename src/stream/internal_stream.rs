//! The library's own stream of each GPU, for work that none of the program's streams can take: it captures a graph, or must not be waited
//! for.
//!
//! Contract: the stream is not shared, so it is never captured, and it is ordered only after what it was made to wait for. It is created at
//! its first use, without harm to captures of other threads, and never destroyed.

use super::api::create_native;
use super::current::gpu_of;
use super::state::Stream;
use crate::error::Result;
use crate::gpu::GPUS;
use crate::types::*;
use core::sync::atomic::{AtomicPtr, Ordering};

/// By GPU; each keeps a reference.
static STREAMS: [AtomicPtr<Stream>; GPUS] = [const { AtomicPtr::new(core::ptr::null_mut()) }; GPUS];

/// The library's own stream of the GPU whose streams order work on a device's memory.
pub fn internal_stream(device: tn_device) -> Result<&'static Stream> {
    let gpu = gpu_of(device)?;
    let entry = &STREAMS[gpu.id() as usize];
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
    internal_stream(device)
}
