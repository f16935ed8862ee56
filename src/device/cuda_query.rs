//! Describes and counts CUDA devices: GPUs, page-locked host memory and managed memory.

use super::host;
use super::no_info::NO_INFO;
use crate::cuda_driver;
use crate::error::{Result, fail};
use crate::gpu::{self, REGISTERED_BYTES};
use crate::types::*;
use core::sync::atomic::Ordering;

/// The number of devices of type TN_CUDA, TN_CUDA_HOST or TN_CUDA_MANAGED (DV-1).
pub fn count_of(device_type: tn_device_type) -> Result<i32> {
    let gpus = gpu::count()?;
    match device_type {
        TN_CUDA => Ok(gpus),
        TN_CUDA_HOST => Ok((gpus > 0) as i32),
        _ => Ok((0..gpus).any(|id| gpu::gpu(id).is_ok_and(|gpu| gpu.has(TN_FEATURE_MANAGED))) as i32),
    }
}

/// Describes a device of one of these types (DV-2, DV-3).
pub fn query(device: tn_device, with_memory: bool) -> Result<tn_device_info> {
    let mut info = NO_INFO;
    match device.r#type {
        TN_CUDA => gpu::gpu(device.id)?.describe(with_memory, &mut info)?,
        _ => describe_shared(device, with_memory, &mut info)?,
    }
    Ok(info)
}

/// Describes page-locked or managed memory: one device of each type, with id 0.
fn describe_shared(device: tn_device, with_memory: bool, info: &mut tn_device_info) -> Result<()> {
    let driver = cuda_driver::driver()?;
    let (name, count) = match device.r#type {
        TN_CUDA_HOST => ("page-locked host memory", count_of(TN_CUDA_HOST)?),
        _ => ("CUDA managed memory", count_of(TN_CUDA_MANAGED)?),
    };
    if device.id != 0 || count == 0 {
        return Err(fail(
            TN_ERR_DEVICE,
            format_args!("there is no device {} of {name}; there are {count}, counted from 0", device.id),
        ));
    }
    host::HOST.describe(with_memory, info);
    info.name = [0; 128];
    for (to, &from) in info.name.iter_mut().zip(name.as_bytes()) {
        *to = from as _;
    }
    (info.multiprocessors, info.warp_size) = (0, 0);
    info.driver_version = driver.version();
    info.features = gpu::gpu(0)?.features(driver)?;
    if device.r#type == TN_CUDA_HOST {
        info.registered_bytes = REGISTERED_BYTES.load(Ordering::Relaxed);
    }
    Ok(())
}
