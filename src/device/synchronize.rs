//! Waits for all work on a device.

use super::query::query;
use crate::error::{Result, quietly};
use crate::types::*;
use crate::{gpu, stream};

/// Waits for all work on a device, also of other libraries (ST-14, PD-8). Host memory is never in use asynchronously;
/// page-locked and managed memory may be in use by every GPU.
pub fn synchronize(device: tn_device) -> Result<()> {
    if device.r#type == TN_CUDA {
        return stream::synchronize_gpu(gpu::gpu(device.id)?);
    }
    // A status if there is no such device.
    query(device, 0)?;
    if device.r#type == TN_CPU { Ok(()) } else { gpu::used().try_for_each(stream::synchronize_gpu) }
}

/// Waits on the host for the work of the known streams that may use a device's memory. Breaks no capture.
pub fn outlast_streams(device: tn_device) {
    each_gpu_of(device, &mut |gpu| {
        stream::outlast_streams(gpu);
        true
    });
}

/// Whether a stream captures a graph on a GPU whose work may use a device's memory, as far as the library may ask.
pub fn captures(device: tn_device) -> bool {
    !each_gpu_of(device, &mut |gpu| quietly(|| stream::refuse_captures(gpu)).is_ok())
}

/// Calls `visit` with the GPU of a device, or with each one in use for page-locked and managed memory, while it returns
/// true. Returns its last answer.
fn each_gpu_of(device: tn_device, visit: &mut dyn FnMut(&'static gpu::Gpu) -> bool) -> bool {
    let is_of = |gpu: &&gpu::Gpu| device.r#type != TN_CUDA || gpu.id() == device.id;
    gpu::used().filter(is_of).all(visit)
}
