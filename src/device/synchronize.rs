//! Waits for all work on a device.

use super::query::query;
use crate::error::Result;
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

/// As [`synchronize`] for a GPU's memory, page-locked or managed memory. TN_ERR_UNSUPPORTED: a stream captures a graph,
/// as far as the library knows; a capture in progress may not take a wait for the device.
pub fn synchronize_outside_captures(device: tn_device) -> Result<()> {
    if device.r#type == TN_CUDA {
        return stream::synchronize_gpu_outside_captures(gpu::gpu(device.id)?);
    }
    gpu::used().try_for_each(stream::synchronize_gpu_outside_captures)
}
