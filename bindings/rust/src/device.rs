//! Devices.

use crate::error::{Result, check};
use crate::sys;

/// Where bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum Device {
    /// Ordinary host memory.
    #[default]
    Host,
    /// Page-locked host memory.
    PageLocked,
    /// Memory of the GPU with this number.
    Cuda(i32),
    /// Memory that moves between the host and the GPU with this number.
    Managed(i32),
    /// Any other: the numbers of `tn_device`.
    Other(u32, i32),
}

impl Device {
    /// Ordinary host memory.
    pub fn cpu() -> Device {
        Device::Host
    }

    /// The GPU with this number.
    ///
    /// # Errors
    /// [`Status::UNSUPPORTED`](crate::Status::UNSUPPORTED) without a driver, [`Status::DEVICE`](crate::Status::DEVICE) for a GPU that does
    /// not exist.
    pub fn cuda(id: i32) -> Result<Device> {
        let device = Device::Cuda(id);
        memory_info(device).map(|_| device)
    }

    pub(crate) fn from_raw(device: sys::tn_device) -> Device {
        match device.r#type {
            sys::TN_CPU => Device::Host,
            sys::TN_CUDA_HOST => Device::PageLocked,
            sys::TN_CUDA => Device::Cuda(device.id),
            sys::TN_CUDA_MANAGED => Device::Managed(device.id),
            other => Device::Other(other, device.id),
        }
    }

    pub(crate) fn into_raw(self) -> sys::tn_device {
        let (r#type, id) = match self {
            Device::Host => (sys::TN_CPU, 0),
            Device::PageLocked => (sys::TN_CUDA_HOST, 0),
            Device::Cuda(id) => (sys::TN_CUDA, id),
            Device::Managed(id) => (sys::TN_CUDA_MANAGED, id),
            Device::Other(other, id) => (other, id),
        };
        sys::tn_device { r#type, id }
    }
}

/// Memory of a device, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct MemoryInfo {
    /// Physical memory; on the host, at most the control group's limit.
    pub total: u64,
    /// Free memory, as the system reports it.
    pub free: u64,
    /// Memory in use, by anybody.
    pub used: u64,
    /// Memory that the library's pools hold.
    pub pools: u64,
    /// Of these, what the pools can reuse.
    pub pools_free: u64,
}

/// The memory of a device, now.
pub fn memory_info(device: Device) -> Result<MemoryInfo> {
    // SAFETY: plain numbers and texts, for which zero is a value.
    let mut info: sys::tn_device_info = unsafe { std::mem::zeroed() };
    info.size = size_of::<sys::tn_device_info>();
    // SAFETY: a struct of that size.
    check(unsafe { sys::tn_device_query(device.into_raw(), sys::TN_QUERY_MEMORY, &mut info) })?;
    Ok(MemoryInfo {
        total: info.total_bytes,
        free: info.free_bytes,
        used: info.used_bytes,
        pools: info.pool_bytes,
        pools_free: info.pool_free_bytes,
    })
}
