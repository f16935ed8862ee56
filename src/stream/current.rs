//! The streams of a thread: its per-thread stream and its current stream, of each GPU.
//!
//! Contract: the current stream stays until the thread sets another or ends. The per-thread stream ends with the
//! thread. Legacy streams never end.

use super::state::{LEGACY, Origin, PER_THREAD, Stream};
use super::stream_ref::StreamRef;
use crate::error::{Result, fail};
use crate::gpu::{self, GPUS, Gpu};
use crate::names::DeviceName;
use crate::options;
use crate::sys::os;
use crate::thread::{self, Area, PerThread, Thread, area};
use crate::types::*;
use core::cell::Cell;
use core::sync::atomic::{AtomicPtr, Ordering};

/// A thread's streams by GPU, each with a reference of the thread.
#[repr(C)]
struct ThreadStreams {
    /// The current stream; None: the default.
    current: [Cell<Option<StreamRef>>; GPUS],
    /// The stream that the driver calls per-thread.
    own: [Cell<Option<StreamRef>>; GPUS],
    /// The stream that a plug-in of another library named last, and how often its number was checked since more often
    /// than it was relied on.
    named: Cell<Option<StreamRef>>,
    checks: Cell<u32>,
}

// SAFETY: zeros are no streams; only the thread, or its exit hook, accesses them; the area is for this type.
unsafe impl PerThread for ThreadStreams {
    const AREA: Area = area::STREAMS;
}

/// The legacy streams, by GPU; each keeps a reference.
static LEGACY_STREAMS: [AtomicPtr<Stream>; GPUS] = [const { AtomicPtr::new(core::ptr::null_mut()) }; GPUS];

/// The GPU whose streams order work on a device's memory. TN_ERR_DEVICE: host memory.
pub(super) fn gpu_of(device: tn_device) -> Result<&'static Gpu> {
    match device.r#type {
        TN_CUDA_HOST | TN_CUDA_MANAGED if device.id == 0 => gpu::home(),
        TN_CUDA_HOST | TN_CUDA_MANAGED => gpu::gpu(device.id),
        _ => gpu_with_streams(device),
    }
}

/// The GPU of a new stream or event.
pub(super) fn gpu_with_streams(device: tn_device) -> Result<&'static Gpu> {
    match device.r#type {
        TN_CUDA => gpu::gpu(device.id),
        _ => Err(fail(
            TN_ERR_DEVICE,
            format_args!("device {} has no streams; they belong to {{TN_CUDA, id}}", DeviceName(device)),
        )),
    }
}

/// The calling thread's current stream of a device (ST-2).
pub fn current(device: tn_device) -> Result<&'static Stream> {
    current_of(gpu_of(device)?)
}

fn stream_in(entry: &Cell<Option<StreamRef>>) -> Option<&'static Stream> {
    let stream = entry.take();
    let found = stream.as_ref().map(StreamRef::stream);
    entry.set(stream);
    found
}

/// The stream that the calling thread set as its current one. None: it has the default.
pub(super) fn set_stream_of(gpu: &'static Gpu) -> Option<&'static Stream> {
    stream_in(&ThreadStreams::of(thread::current()).current[gpu.id() as usize])
}

pub(super) fn current_of(gpu: &'static Gpu) -> Result<&'static Stream> {
    match set_stream_of(gpu) {
        Some(stream) => Ok(stream),
        None if options::stream_per_thread() => own(gpu),
        None => legacy(gpu),
    }
}

/// The legacy stream of a GPU.
pub(super) fn legacy(gpu: &'static Gpu) -> Result<&'static Stream> {
    permanent(gpu, &LEGACY_STREAMS[gpu.id() as usize], Origin::Legacy)
}

/// A stream of a GPU that never ends, made at its first use.
pub(super) fn permanent(gpu: &'static Gpu, entry: &AtomicPtr<Stream>, origin: Origin) -> Result<&'static Stream> {
    // SAFETY: NULL, or a stream; streams are never unmapped.
    if let Some(stream) = unsafe { entry.load(Ordering::Acquire).as_ref() } {
        return Ok(stream);
    }
    let made = Stream::begin(gpu, LEGACY, origin, true)?;
    let stream = made.stream();
    let pointer = core::ptr::from_ref(stream).cast_mut();
    match entry.compare_exchange(core::ptr::null_mut(), pointer, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {
            core::mem::forget(made);
            Ok(stream)
        }
        // Another thread was first; this stream ends unused.
        Err(_) => permanent(gpu, entry, origin),
    }
}

/// The calling thread's own stream of a GPU, which the driver calls per-thread.
pub(super) fn own(gpu: &'static Gpu) -> Result<&'static Stream> {
    let entry = &ThreadStreams::of(thread::current()).own[gpu.id() as usize];
    if let Some(stream) = stream_in(entry) {
        return Ok(stream);
    }
    thread::on_exit(forget);
    let made = Stream::begin(gpu, PER_THREAD, Origin::PerThread, true)?;
    let stream = made.stream();
    entry.set(Some(made));
    Ok(stream)
}

/// Makes a stream the thread's current one of its GPU, or with None the default; returns the one before.
pub(super) fn replace_current(gpu: &'static Gpu, stream: Option<StreamRef>) -> Option<StreamRef> {
    thread::on_exit(forget);
    ThreadStreams::of(thread::current()).current[gpu.id() as usize].replace(stream)
}

/// The stream that a plug-in named last on this thread, if it is that of a CUstream; and how often its number may be
/// relied on without a check.
pub(super) fn last_named(gpu: &'static Gpu, native: u64) -> Option<(StreamRef, &'static Cell<u32>)> {
    let streams = ThreadStreams::of(thread::current());
    let last = streams.named.take();
    let found = last.as_ref().filter(|last| last.stream().is_of(gpu, native)).cloned();
    streams.named.set(last);
    found.map(|found| (found, &streams.checks))
}

/// Remembers the stream that a plug-in named.
pub(super) fn set_last_named(stream: StreamRef, checks: u32) {
    thread::on_exit(forget);
    let streams = ThreadStreams::of(thread::current());
    streams.checks.set(checks);
    drop(streams.named.replace(Some(stream)));
}

/// Whether a thread ends where its references must not call the driver: in the child of a fork, for a thread that is
/// gone, and at the end of the process, which is that of the main thread.
pub(super) fn ends_silently(record: &'static Thread) -> bool {
    !core::ptr::eq(record, thread::current()) || os::is_main_thread()
}

/// A thread ends: its references end.
fn forget(record: &'static Thread) {
    let silently = ends_silently(record);
    let streams = ThreadStreams::of(record);
    for entry in streams.current.iter().chain(&streams.own).chain([&streams.named]) {
        let stream = entry.take();
        if silently {
            core::mem::forget(stream);
        }
    }
}
