//! The GPU through which the library reaches memory that belongs to no GPU alone: page-locked, managed and registered
//! memory.
//!
//! Contract: a context costs half a GiB of a GPU's memory, so no context is created on a GPU that the program does not
//! use while it uses another one. PyTorch does so since its pull request 22229.

use super::table::{self, GPUS, Gpu};
use crate::cuda_driver::{self, Driver, SUCCESS};
use crate::error::Result;

/// The first of these: the GPU of the thread's current context, if its primary context is active; one that this library
/// uses; one whose primary context is active; GPU 0. A lost GPU comes last. TN_ERR_UNSUPPORTED: no driver;
/// TN_ERR_DEVICE: no GPU.
pub fn home() -> Result<&'static Gpu> {
    let first = table::gpu(0)?;
    let driver = cuda_driver::driver()?;
    if driver.count() == 1 {
        return Ok(first);
    }
    let current = of_current_context(driver).filter(|gpu| !gpu.is_lost());
    let used = || table::used().find(|gpu| !gpu.is_lost());
    let active = || {
        let visible = (0..driver.count().min(GPUS as i32)).filter_map(|id| table::gpu(id).ok());
        visible.into_iter().find(|gpu| !gpu.is_lost() && is_active(driver, gpu.id()))
    };
    Ok(current.or_else(used).or_else(active).unwrap_or(first))
}

/// The GPU of the thread's current context, if its primary context is active: then using that one creates none.
fn of_current_context(driver: &Driver) -> Option<&'static Gpu> {
    let mut context = core::ptr::null_mut();
    // SAFETY: the pointer is ours.
    let asked = unsafe { driver.cuCtxGetCurrent(&mut context) };
    if !matches!(asked, Ok(SUCCESS)) || context.is_null() {
        return None;
    }
    if let Some(known) = table::used().find(|gpu| gpu.context() == context) {
        return Some(known);
    }
    let mut device = 0;
    // SAFETY: the number is ours.
    let asked = unsafe { driver.cuCtxGetDevice(&mut device) };
    // A GPU's ordinal is the driver's device.
    let known = matches!(asked, Ok(SUCCESS)) && is_active(driver, device);
    if known { table::gpu(device).ok() } else { None }
}

/// Whether a GPU's primary context exists, which any library may have created.
fn is_active(driver: &Driver, device: i32) -> bool {
    let (mut flags, mut active) = (0, 0);
    // SAFETY: the numbers are ours.
    let asked = unsafe { driver.cuDevicePrimaryCtxGetState(device, &mut flags, &mut active) };
    matches!(asked, Ok(SUCCESS)) && active != 0
}
