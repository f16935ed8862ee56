//! GPUs by their number.

use crate::device::{Device, MemoryInfo, memory_info};
use crate::error::{Result, check};
use crate::sys;

/// The number of GPUs; 0 without a driver.
pub fn device_count() -> usize {
    let mut count = 0;
    // SAFETY: a place for the number.
    check(unsafe { sys::tn_device_count(sys::TN_CUDA, &mut count) }).map_or(0, |()| count)
}

/// The memory of the GPU with this number, now.
///
/// # Errors
/// [`Status::UNSUPPORTED`](crate::Status::UNSUPPORTED) without a driver, [`Status::DEVICE`](crate::Status::DEVICE) for a GPU that does not
/// exist.
pub fn get_memory_info(id: i32) -> Result<MemoryInfo> {
    memory_info(Device::Cuda(id))
}
