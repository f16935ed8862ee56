//! Managed memory: advice on where it should be, and prefetches that bring it there.
//!
//! Contract: neither ever changes what the memory holds, so no guard is needed. An address that is no managed memory is a status.
//! The functions are called as they were before CUDA 12.2: by their plain names drivers keep that signature (headers of CUDA 13 mean `_v2`).

use super::context::Inside;
use super::table::{self, Gpu};
use crate::cuda_driver::sys::CUmem_advise;
use crate::cuda_driver::{Attribute, CUdevice, CUstream};
use crate::error::{Result, fail};
use crate::types::*;

/// What the driver calls the host where it wants a device.
const HOST: CUdevice = -1;

/// A place where managed memory can be: a GPU; None: the host. TN_ERR_DEVICE: there is none such.
pub fn check_place(device: tn_device) -> Result<Option<&'static Gpu>> {
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

/// The driver's name for a place. TN_ERR_UNSUPPORTED: that GPU does not share managed memory while it works.
fn place(device: tn_device) -> Result<CUdevice> {
    let Some(gpu) = check_place(device)? else { return Ok(HOST) };
    let shares = gpu.attribute(Attribute::CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS)? != 0;
    if shares { Ok(gpu.id()) } else { Err(refused(gpu)) }
}

#[cold]
fn refused(gpu: &Gpu) -> crate::error::Status {
    fail(
        TN_ERR_UNSUPPORTED,
        format_args!(
            "GPU {} has no concurrent access to managed memory, so it takes neither advice nor prefetches",
            gpu.id()
        ),
    )
}

/// Advises on a range of managed memory; `advice`: TN_ADVISE_, whose values are the driver's.
pub fn advise(inside: &Inside, start: u64, bytes: usize, advice: i32, device: tn_device) -> Result<()> {
    let known = match advice {
        TN_ADVISE_READ_MOSTLY => CUmem_advise::CU_MEM_ADVISE_SET_READ_MOSTLY,
        TN_ADVISE_UNSET_READ_MOSTLY => CUmem_advise::CU_MEM_ADVISE_UNSET_READ_MOSTLY,
        TN_ADVISE_PREFERRED => CUmem_advise::CU_MEM_ADVISE_SET_PREFERRED_LOCATION,
        TN_ADVISE_UNSET_PREFERRED => CUmem_advise::CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION,
        TN_ADVISE_ACCESSED_BY => CUmem_advise::CU_MEM_ADVISE_SET_ACCESSED_BY,
        _ => CUmem_advise::CU_MEM_ADVISE_UNSET_ACCESSED_BY,
    };
    let place = place(device)?;
    // SAFETY: advice changes no byte, and a range that is not managed is refused.
    let number = unsafe { inside.cuMemAdvise(start, bytes, known, place) }?;
    inside.gpu().check(number, "cuMemAdvise")
}

/// Brings a range of managed memory to a device, in the order of a queue.
pub fn prefetch(inside: &Inside, stream: CUstream, start: u64, bytes: usize, device: tn_device) -> Result<()> {
    let place = place(device)?;
    // SAFETY: a prefetch changes no byte, and a range that is not managed is refused; the caller holds the stream.
    let number = unsafe { inside.cuMemPrefetchAsync(start, bytes, place, stream) }?;
    inside.gpu().check(number, "cuMemPrefetchAsync")
}
