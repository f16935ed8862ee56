//! Managed memory: advice on its location, and prefetches.
//!
//! Contract: neither changes the contents, so no guard is needed. An address that is not managed memory is a status.
//! The functions are called with their signatures from before CUDA 12.2, which drivers keep for the plain names
//! (headers of CUDA 13 map these to `_v2`).

use super::context::Inside;
use super::home::home;
use super::table::{self, Gpu};
use crate::cuda_driver::sys::CUmem_advise;
use crate::cuda_driver::{Attribute, CUdevice, CUstream};
use crate::error::{Result, fail};
use crate::types::*;
use core::sync::atomic::{AtomicU32, Ordering};

/// CU_DEVICE_CPU: the host, where the driver expects a device.
const HOST: CUdevice = -1;

/// The location of managed memory: a GPU, or None for the host. TN_ERR_DEVICE: no such device.
pub fn check_location(device: tn_device) -> Result<Option<&'static Gpu>> {
    match device.r#type {
        TN_CPU if device.id == 0 => Ok(None),
        TN_CUDA => table::gpu(device.id).map(Some),
        _ => Err(fail(
            TN_ERR_DEVICE,
            format_args!(
                "device {} is neither the host nor a GPU; use {{TN_CPU, 0}} or {{TN_CUDA, id}}",
                crate::names::DeviceName(device)
            ),
        )),
    }
}

/// The driver's number of a location. TN_ERR_UNSUPPORTED: the GPU has no concurrent access to managed memory.
fn location(device: tn_device) -> Result<CUdevice> {
    let Some(gpu) = check_location(device)? else { return Ok(HOST) };
    if shares(gpu)? { Ok(gpu.id()) } else { Err(not_concurrent(gpu)) }
}

/// The GPU whose context has the managed memory of this library, plus one; 0: there is none yet.
static GPU_PLUS_1: AtomicU32 = AtomicU32::new(0);

/// The GPU whose context has the managed memory of this library. The first call chooses it.
pub fn gpu() -> Result<&'static Gpu> {
    if let Some(id) = gpu_id() {
        return table::gpu(id);
    }
    let chosen = home()?.id() as u32 + 1;
    let id = match GPU_PLUS_1.compare_exchange(0, chosen, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => chosen - 1,
        Err(other) => other - 1,
    };
    table::gpu(id as i32)
}

/// The ordinal of that GPU, with which managed memory is lost. None: none is chosen yet.
pub fn gpu_id() -> Option<i32> {
    GPU_PLUS_1.load(Ordering::Relaxed).checked_sub(1).map(|id| id as i32)
}

/// The ordinal of the GPU with which a managed array is lost: the one that an import names, or that of this library's
/// memory.
pub fn gpu_of(device: tn_device) -> i32 {
    if device.id == 0 { gpu_id().unwrap_or(0) } else { device.id }
}

/// Whether the host may access managed memory while its GPU works.
pub fn is_concurrent() -> Result<bool> {
    shares(gpu()?)
}

fn shares(gpu: &Gpu) -> Result<bool> {
    Ok(gpu.attribute(Attribute::CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS)? != 0)
}

#[cold]
fn not_concurrent(gpu: &Gpu) -> crate::error::Status {
    fail(
        TN_ERR_UNSUPPORTED,
        format_args!(
            "GPU {} has no concurrent access to managed memory, so it takes neither advice nor prefetches",
            gpu.id()
        ),
    )
}

/// Advises the driver on a range of managed memory; `advice`: TN_ADVISE_.
pub fn advise(inside: &Inside, start: u64, bytes: usize, advice: tn_advice, device: tn_device) -> Result<()> {
    let known = match advice {
        TN_ADVISE_READ_MOSTLY => CUmem_advise::CU_MEM_ADVISE_SET_READ_MOSTLY,
        TN_ADVISE_UNSET_READ_MOSTLY => CUmem_advise::CU_MEM_ADVISE_UNSET_READ_MOSTLY,
        TN_ADVISE_PREFERRED => CUmem_advise::CU_MEM_ADVISE_SET_PREFERRED_LOCATION,
        TN_ADVISE_UNSET_PREFERRED => CUmem_advise::CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION,
        TN_ADVISE_ACCESSED_BY => CUmem_advise::CU_MEM_ADVISE_SET_ACCESSED_BY,
        _ => CUmem_advise::CU_MEM_ADVISE_UNSET_ACCESSED_BY,
    };
    let location = location(device)?;
    // SAFETY: advice changes no byte, and a range that is not managed is refused.
    let number = unsafe { inside.cuMemAdvise(start, bytes, known, location) }?;
    inside.gpu().check(number, "cuMemAdvise")
}

/// Prefetches a range of managed memory to a device, on a stream.
///
/// # Safety
/// - `stream` is one of the device of `inside`, and exists.
pub unsafe fn prefetch(inside: &Inside, stream: CUstream, start: u64, bytes: usize, device: tn_device) -> Result<()> {
    let location = location(device)?;
    // SAFETY: a prefetch changes no byte, and a range that is not managed is refused; the stream exists, by the
    // caller's obligation.
    let number = unsafe { inside.cuMemPrefetchAsync(start, bytes, location, stream) }?;
    inside.gpu().check(number, "cuMemPrefetchAsync")
}
