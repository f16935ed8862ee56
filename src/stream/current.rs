//! The streams of a thread: its per-thread stream and its current stream, of each GPU.
//!
//! Contract: the current stream stays until the thread sets another or ends. The queue of the per-thread stream ends with the thread. The
//! queues of legacy streams never end.

use super::queue::{LEGACY, Origin, PER_THREAD, Queue};
use super::queue_ref::QueueRef;
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
    current: [Cell<Option<QueueRef>>; GPUS],
    /// The stream that the driver calls per-thread.
    own: [Cell<Option<QueueRef>>; GPUS],
}

// SAFETY: zeros are no streams; only the thread, or its exit hook, accesses them; the area is for this type.
unsafe impl PerThread for ThreadStreams {
    const AREA: Area = area::STREAMS;
}

/// The queues of legacy streams, by GPU; each keeps a reference.
static LEGACY_QUEUES: [AtomicPtr<Queue>; GPUS] = [const { AtomicPtr::new(core::ptr::null_mut()) }; GPUS];

/// The GPU whose streams order work on a device's memory. TN_ERR_DEVICE: host memory.
pub(super) fn gpu_of(device: tn_device) -> Result<&'static Gpu> {
    match device.r#type {
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
pub fn current(device: tn_device) -> Result<&'static Queue> {
    current_of(gpu_of(device)?)
}

fn queue_in(entry: &Cell<Option<QueueRef>>) -> Option<&'static Queue> {
    let queue = entry.take();
    let found = queue.as_ref().map(QueueRef::queue);
    entry.set(queue);
    found
}

pub(super) fn current_of(gpu: &'static Gpu) -> Result<&'static Queue> {
    match queue_in(&ThreadStreams::of(thread::current()).current[gpu.id() as usize]) {
        Some(queue) => Ok(queue),
        None if options::stream_per_thread() => own(gpu),
        None => legacy(gpu),
    }
}

/// The legacy stream of a GPU.
pub(super) fn legacy(gpu: &'static Gpu) -> Result<&'static Queue> {
    let entry = &LEGACY_QUEUES[gpu.id() as usize];
    // SAFETY: NULL, or a queue; queues are never unmapped.
    if let Some(queue) = unsafe { entry.load(Ordering::Acquire).as_ref() } {
        return Ok(queue);
    }
    let made = Queue::begin(gpu, LEGACY, Origin::Legacy, true)?;
    let queue = made.queue();
    let pointer = core::ptr::from_ref(queue).cast_mut();
    match entry.compare_exchange(core::ptr::null_mut(), pointer, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {
            core::mem::forget(made);
            Ok(queue)
        }
        // Another thread was first; this queue ends unused.
        Err(_) => legacy(gpu),
    }
}

/// The calling thread's own stream of a GPU, which the driver calls per-thread.
pub(super) fn own(gpu: &'static Gpu) -> Result<&'static Queue> {
    let entry = &ThreadStreams::of(thread::current()).own[gpu.id() as usize];
    if let Some(queue) = queue_in(entry) {
        return Ok(queue);
    }
    thread::on_exit(forget);
    let made = Queue::begin(gpu, PER_THREAD, Origin::PerThread, true)?;
    let queue = made.queue();
    entry.set(Some(made));
    Ok(queue)
}

/// Makes a queue the thread's current one of its GPU, or with None the default; returns the one before.
pub(super) fn replace_current(gpu: &'static Gpu, queue: Option<QueueRef>) -> Option<QueueRef> {
    thread::on_exit(forget);
    ThreadStreams::of(thread::current()).current[gpu.id() as usize].replace(queue)
}

/// Whether a thread ends where its references must not call the driver: in the child of a fork, for a thread that is gone, and at the end
/// of the process, which is that of the main thread.
pub(super) fn ends_silently(record: &'static Thread) -> bool {
    !core::ptr::eq(record, thread::current()) || os::is_main_thread()
}

/// A thread ends: its references end.
fn forget(record: &'static Thread) {
    let silently = ends_silently(record);
    let streams = ThreadStreams::of(record);
    for entry in streams.current.iter().chain(&streams.own) {
        let queue = entry.take();
        if silently {
            core::mem::forget(queue);
        }
    }
}
