//! A queue of the library's own for each GPU: for work that no stream of the program's can take, because it captures a graph, or cannot wait.
//!
//! Contract: nobody else knows the stream, so nobody captures it, and it comes after nothing but what it was made to wait for. Made when it is
//! first asked for, with no harm to captures of others; it stays.

use super::api::create_native;
use super::current::gpu_of;
use super::queue::Queue;
use crate::error::Result;
use crate::gpu::GPUS;
use crate::types::*;
use core::sync::atomic::{AtomicUsize, Ordering};

static QUEUES: [AtomicUsize; GPUS] = [const { AtomicUsize::new(0) }; GPUS];

/// The library's own queue of the GPU whose streams order work on a device's memory.
pub fn internal_stream(device: tn_device) -> Result<&'static Queue> {
    let gpu = gpu_of(device)?;
    let place = &QUEUES[gpu.id() as usize];
    // SAFETY: 0 or a queue that is held for ever.
    if let Some(queue) = unsafe { (place.load(Ordering::Acquire) as *const Queue).as_ref() } {
        return Ok(queue);
    }
    let inside = gpu.enter()?;
    let _relaxed = inside.relaxed();
    let held = create_native(&inside, false, 0)?;
    let queue = held.queue();
    let bits = core::ptr::from_ref(queue) as usize;
    // AcqRel: who finds it finds all of it.
    if place.compare_exchange(0, bits, Ordering::AcqRel, Ordering::Acquire).is_ok() {
        core::mem::forget(held);
        return Ok(queue);
    }
    // Another thread was faster; ours ends unused.
    drop(held);
    internal_stream(device)
}
