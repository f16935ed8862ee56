//! The streams of a thread: its own one and the current one, of each GPU.
//!
//! Contract: what a thread set stays until it sets another or ends. Its own (per-thread) queue ends with the thread. The legacy queues
//! belong to nobody and stay.

use super::queue::{LEGACY, Origin, PER_THREAD, Queue};
use super::queue_ref::QueueRef;
use super::scope;
use crate::error::{Result, fail};
use crate::gpu::{self, GPUS, Gpu};
use crate::options;
use crate::thread::{self, Thread};
use crate::types::*;
use core::cell::Cell;
use core::sync::atomic::{AtomicUsize, Ordering};

static LEGACIES: [AtomicUsize; GPUS] = [const { AtomicUsize::new(0) }; GPUS];

/// The GPU whose streams order work on a device's memory. TN_ERR_DEVICE: that is the host's.
pub(super) fn gpu_of(device: tn_device) -> Result<&'static Gpu> {
    match device.r#type {
        TN_CUDA_HOST | TN_CUDA_MANAGED => gpu::gpu(device.id),
        _ => gpu_with_streams(device),
    }
}

/// The GPU that a stream or an event is to be of.
pub(super) fn gpu_with_streams(device: tn_device) -> Result<&'static Gpu> {
    match device.r#type {
        TN_CUDA => gpu::gpu(device.id),
        _ => Err(fail(
            TN_ERR_DEVICE,
            format_args!("device {} has no streams; they belong to {{TN_CUDA, id}}", crate::names::DeviceName(device)),
        )),
    }
}

/// The thread's current stream of a device (ST-2).
pub fn current(device: tn_device) -> Result<&'static Queue> {
    current_of(gpu_of(device)?)
}

pub(super) fn current_of(gpu: &'static Gpu) -> Result<&'static Queue> {
    let set = thread::current().streams(gpu.id() as usize).current.get();
    // SAFETY: 0 or a held queue, see `set_current`; those are never unmapped.
    match unsafe { (set as *const Queue).as_ref() } {
        Some(queue) => Ok(queue),
        None if options::stream_per_thread() => own(gpu),
        None => legacy(gpu),
    }
}

/// The legacy stream of a GPU.
pub(super) fn legacy(gpu: &'static Gpu) -> Result<&'static Queue> {
    let place = &LEGACIES[gpu.id() as usize];
    // SAFETY: 0 or a queue that is held for ever.
    if let Some(queue) = unsafe { (place.load(Ordering::Acquire) as *const Queue).as_ref() } {
        return Ok(queue);
    }
    let held = Queue::begin(gpu, LEGACY, Origin::Legacy, true)?;
    let queue = held.queue();
    let bits = core::ptr::from_ref(queue) as usize;
    match place.compare_exchange(0, bits, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {
            core::mem::forget(held);
            Ok(queue)
        }
        // Another thread was faster; ours ends unused.
        Err(_) => legacy(gpu),
    }
}

/// The calling thread's own stream of a GPU, which the driver calls per-thread.
pub(super) fn own(gpu: &'static Gpu) -> Result<&'static Queue> {
    let place = &thread::current().streams(gpu.id() as usize).own;
    if place.get() == 0 {
        thread::on_exit(forget);
        place.set(Queue::begin(gpu, PER_THREAD, Origin::PerThread, true)?.into_bits());
    }
    // SAFETY: held by the thread.
    Ok(unsafe { &*(place.get() as *const Queue) })
}

/// Makes a queue the thread's current one of its GPU, or with None the default again; what was set before.
pub(super) fn replace_current(gpu: &'static Gpu, queue: Option<QueueRef>) -> Option<QueueRef> {
    thread::on_exit(forget);
    let place = &thread::current().streams(gpu.id() as usize).current;
    let before = place.replace(queue.map_or(0, QueueRef::into_bits));
    // SAFETY: only this function and `forget` touch the place.
    unsafe { QueueRef::from_bits(before) }
}

/// A thread ends: what it held goes.
fn forget(record: &'static Thread) {
    // Of a thread that is not there any more after a fork, nothing can be asked of the driver; nor at the end of the process, which the main
    // thread's is.
    let quietly = !core::ptr::eq(record, thread::current()) || crate::sys::os::is_main_thread();
    let let_go = |place: &Cell<usize>| {
        // SAFETY: only this module touches the place, and now nobody does.
        let held = unsafe { QueueRef::from_bits(place.replace(0)) };
        if quietly {
            core::mem::forget(held);
        }
    };
    scope::forget(record, quietly);
    for gpu in 0..GPUS {
        let streams = record.streams(gpu);
        let_go(&streams.current);
        let_go(&streams.own);
    }
}
