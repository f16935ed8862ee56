//! What the driver knows about an address that another library passes.
//!
//! Contract: the memory's GPU and kind come from the driver, whatever context is current. Memory that this library
//! could not use is refused: memory of the host alone, and memory of a context other than the GPU's primary one.

use super::context::Inside;
use super::home::home;
use super::ipc;
use super::table;
use crate::cuda_driver::SUCCESS;
pub(super) use crate::cuda_driver::sys::CUpointer_attribute as Attribute;
use crate::error::{Result, Status, fail, quietly};
use crate::types::*;
use core::ptr::from_mut;

/// Memory that devices can access.
#[derive(Clone, Copy, Debug)]
pub struct DeviceMemory {
    /// TN_CUDA, TN_CUDA_HOST or TN_CUDA_MANAGED.
    pub device: tn_device,
    /// The address as this library uses it: the host's for page-locked memory.
    pub address: u64,
}

/// The memory of an address. TN_ERR_DEVICE: no device can access it, or it belongs to a context that this library does
/// not use.
pub fn locate(address: u64) -> Result<DeviceMemory> {
    let inside = home()?.enter()?;
    let Some(kind) = attribute::<u32>(&inside, Attribute::CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address) else {
        return Err(not_of_a_device(address));
    };
    let gpu = attribute::<i32>(&inside, Attribute::CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, address).filter(|id| *id >= 0);
    match (kind, gpu) {
        // A driver may name no GPU for managed memory, which all of them reach.
        (_, gpu) if is_managed(&inside, address) => {
            let id = gpu.unwrap_or(inside.gpu().id());
            Ok(DeviceMemory { device: tn_device { r#type: TN_CUDA_MANAGED, id }, address })
        }
        (MEMORY_DEVICE, Some(id)) => {
            check_context(&inside, address, id)?;
            Ok(DeviceMemory { device: tn_device { r#type: TN_CUDA, id }, address })
        }
        (MEMORY_HOST, _) => {
            let at_host = attribute::<u64>(&inside, Attribute::CU_POINTER_ATTRIBUTE_HOST_POINTER, address);
            let at_host = at_host.filter(|at_host| *at_host != 0).unwrap_or(address);
            Ok(DeviceMemory { device: tn_device { r#type: TN_CUDA_HOST, id: 0 }, address: at_host })
        }
        _ => Err(not_of_a_device(address)),
    }
}

/// TN_ERR_RANGE: the bytes from `start` to `end`, of which the first is memory of this GPU, leave the allocations that
/// lie there. A use of the bytes behind them would end the context, and with it all that the process has on the GPU.
pub fn check_range(gpu: i32, start: u64, end: u64) -> Result<()> {
    // The driver knows the ranges of the current context.
    let inside = table::gpu(gpu)?.enter()?;
    let mut at = start;
    // Memory that is mapped in pieces is several allocations, one behind the other.
    while at < end {
        let next = quietly(|| ipc::allocation_of(&inside, at as usize)).map(|(base, bytes)| base as u64 + bytes as u64);
        at = match next {
            Ok(next) if next > at => next,
            // The driver tells the range of no address of this kind.
            _ if at == start => return Ok(()),
            _ => return Err(leaves(start, end, at)),
        };
    }
    Ok(())
}

#[cold]
fn leaves(start: u64, end: u64, at: u64) -> Status {
    fail(
        TN_ERR_RANGE,
        format_args!(
            "the elements are in bytes {start:#x} to {end:#x}, but the allocation there ends at {at:#x}; correct the shape or the strides"
        ),
    )
}

/// CU_MEMORYTYPE_HOST: page-locked.
pub(super) const MEMORY_HOST: u32 = 1;
/// CU_MEMORYTYPE_DEVICE: memory of a device, or managed memory.
pub(super) const MEMORY_DEVICE: u32 = 2;

/// An attribute of an address. None: the driver does not know the address, or the attribute does not apply to it.
pub(super) fn attribute<T: Default>(inside: &Inside, attribute: Attribute, address: u64) -> Option<T> {
    let mut value = T::default();
    // SAFETY: the value is ours, and as large as the attributes that are queried here; an unknown address is refused.
    let number = unsafe { inside.cuPointerGetAttribute(from_mut(&mut value).cast(), attribute, address) };
    matches!(number, Ok(SUCCESS)).then_some(value)
}

/// Whether an address is managed memory.
pub(super) fn is_managed(inside: &Inside, address: u64) -> bool {
    // The attribute is one byte of the number.
    attribute::<u32>(inside, Attribute::CU_POINTER_ATTRIBUTE_IS_MANAGED, address).unwrap_or(0) & 0xff != 0
}

/// TN_ERR_DEVICE for memory of a context other than the primary one of its GPU. Memory of a driver's pool belongs to no
/// context.
fn check_context(inside: &Inside, address: u64, id: i32) -> Result<()> {
    let context = attribute::<usize>(inside, Attribute::CU_POINTER_ATTRIBUTE_CONTEXT, address).unwrap_or(0);
    if context == 0 || context == table::gpu(id)?.enter()?.context() as usize {
        return Ok(());
    }
    Err(fail(
        TN_ERR_DEVICE,
        format_args!(
            "{address:#x} is memory of another context of GPU {id}, and this library uses the primary one; allocate it there"
        ),
    ))
}

#[cold]
fn not_of_a_device(address: u64) -> Status {
    fail(
        TN_ERR_DEVICE,
        format_args!("{address:#x} is no address that the CUDA driver knows; pass one of device memory"),
    )
}
