//! The library's own stream of each GPU, for work that none of the program's streams can take: it captures a graph, or must not be waited
//! for.
//!
//! Contract: the stream is not shared, so it is never captured, and it is ordered only after what it was made to wait for. It is created at
//! its first use, without harm to captures of other threads, and never destroyed.

use super::api::create_native;
use super::current::gpu_of;
use super::queue::Queue;
use crate::error::Result;
use crate::gpu::GPUS;
use crate::types::*;
use core::sync::atomic::{AtomicPtr, Ordering};

/// By GPU; each keeps a reference.
static QUEUES: [AtomicPtr<Queue>; GPUS] = [const { AtomicPtr::new(core::ptr::null_mut()) }; GPUS];

/// The library's own stream of the GPU whose streams order work on a device's memory.
pub fn internal_stream(device: tn_device) -> Result<&'static Queue> {
    let gpu = gpu_of(device)?;
    let entry = &QUEUES[gpu.id() as usize];
    // SAFETY: NULL, or a queue; queues are never unmapped.
    if let Some(queue) = unsafe { entry.load(Ordering::Acquire).as_ref() } {
        return Ok(queue);
    }
    let inside = gpu.enter()?;
    let _relaxed = inside.relaxed();
    let queue_ref = create_native(&inside, false, 0)?;
    let queue = queue_ref.queue();
    let pointer = core::ptr::from_ref(queue).cast_mut();
    // AcqRel: a thread that finds the queue sees its fields.
    if entry.compare_exchange(core::ptr::null_mut(), pointer, Ordering::AcqRel, Ordering::Acquire).is_ok() {
        core::mem::forget(queue_ref);
        return Ok(queue);
    }
    // Another thread was first; this queue ends unused.
    drop(queue_ref);
    internal_stream(device)
}
