//! Page-locked host memory: allocated for staging, or the caller's memory, locked in place.
//!
//! Contract: each function makes one call of the driver, besides those that enter and leave the context. None disturbs
//! a graph capture of another thread. Allocated memory is portable: all devices can access it. This module keeps no
//! list of ranges.

use super::context::Inside;
use super::pointer::{Attribute, MEMORY_DEVICE, MEMORY_HOST, attribute, is_managed};
use super::table::{self, Gpu};
use crate::cuda_driver::code;
use crate::error::Result;
use crate::types::*;
use core::ffi::c_void;
use core::ptr::null_mut;

/// These have the values of cuMemHostRegister's flags.
const FLAGS: u32 = TN_HOST_PORTABLE | TN_HOST_MAPPED | TN_HOST_READ_ONLY;
const _: () = assert!(FLAGS == 11, "CU_MEMHOSTREGISTER_PORTABLE, _DEVICEMAP and _READ_ONLY are 1, 2 and 8");

/// Allocates page-locked memory, which is freed by [`free`], on the GPU's NUMA node if that is known.
pub fn allocate(gpu: &'static Gpu, bytes: usize) -> Result<usize> {
    let inside = gpu.enter()?;
    let _preferred = gpu.prefer_node(None);
    let mut address = null_mut();
    // SAFETY: the number is ours.
    let number = unsafe { inside.cuMemHostAlloc(&mut address, bytes, TN_HOST_PORTABLE) }?;
    gpu.check_as(number, "cuMemHostAlloc", TN_ERR_NO_HOST_MEMORY)?;
    Ok(address as usize)
}

/// Frees memory of [`allocate`].
///
/// # Safety
/// - The memory came from there, is not used again, and all work on it is done.
pub unsafe fn free(gpu: &'static Gpu, address: usize) -> Result<()> {
    let inside = gpu.enter()?;
    // SAFETY: the caller's obligation.
    let number = unsafe { inside.cuMemFreeHost(address as *mut c_void) }?;
    gpu.check(number, "cuMemFreeHost")
}

/// Page-locks a range of host memory; `flags`: TN_HOST_PORTABLE, TN_HOST_MAPPED, TN_HOST_READ_ONLY. Ranges that share a
/// page but no byte can be locked separately (observed with driver 590). TN_ERR_DUPLICATE: some byte is locked already.
///
/// # Safety
/// - The range belongs to the library's caller, and stays mapped until it is unlocked.
pub unsafe fn lock(gpu: &'static Gpu, address: usize, bytes: usize, flags: u32) -> Result<()> {
    let flags = flags & FLAGS;
    let inside = gpu.enter()?;
    // SAFETY: the caller's obligation.
    let number = unsafe { inside.cuMemHostRegister_v2(address as *mut c_void, bytes, flags) }?;
    // For memory that it has allocated itself, and which is page-locked, the driver returns only INVALID_VALUE
    // (libgdsync issue 25).
    let allocated = number == code::INVALID_VALUE && kind_of(&inside, address) == Some(MEMORY_HOST);
    let number = if allocated { code::HOST_MEMORY_ALREADY_REGISTERED } else { number };
    gpu.check_as(number, "cuMemHostRegister", TN_ERR_NO_HOST_MEMORY)
}

/// Unlocks a range of [`lock`].
///
/// # Safety
/// - The range was locked there, and all work on it is done: whether the driver waits for work is not documented.
pub unsafe fn unlock(gpu: &'static Gpu, address: usize) -> Result<()> {
    let inside = gpu.enter()?;
    // SAFETY: the caller's obligation.
    let number = unsafe { inside.cuMemHostUnregister(address as *mut c_void) }?;
    gpu.check(number, "cuMemHostUnregister")
}

/// The device's address of page-locked and mapped memory, for any host address in it. The two addresses are equal only
/// on some systems, so the driver is always queried.
pub fn device_address(gpu: &'static Gpu, address: usize) -> Result<u64> {
    let inside = gpu.enter()?;
    let mut at_device = 0;
    // SAFETY: the number is ours; an address that is not mapped is refused.
    let number = unsafe { inside.cuMemHostGetDevicePointer_v2(&mut at_device, address as *mut c_void, 0) }?;
    gpu.check(number, "cuMemHostGetDevicePointer")?;
    Ok(at_device)
}

/// Whether an address is memory of a GPU, which the host cannot access, as far as the driver knows. False before a GPU
/// was used.
#[inline]
pub fn is_device(address: usize) -> bool {
    table::any_used() && is_known_as_device(address)
}

/// Whether another library of the process page-locked [start, end): the driver knows its first and its last byte as
/// host memory. In between there may be pageable memory; the driver refuses to copy such a range.
pub fn is_page_locked(gpu: &'static Gpu, (start, end): (i64, i64)) -> bool {
    let Ok(inside) = gpu.enter() else { return false };
    [start, end - 1].into_iter().all(|address| kind_of(&inside, address as usize) == Some(MEMORY_HOST))
}

/// Whether an address is memory of this GPU, as far as the driver knows.
pub fn is_memory_of(inside: &Inside, address: usize) -> bool {
    attribute(inside, Attribute::CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, address as u64) == Some(inside.gpu().id())
}

fn kind_of(inside: &Inside, address: usize) -> Option<u32> {
    attribute(inside, Attribute::CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address as u64)
}

fn is_known_as_device(address: usize) -> bool {
    let Some(inside) = table::used().next().and_then(|gpu| gpu.enter().ok()) else { return false };
    kind_of(&inside, address) == Some(MEMORY_DEVICE) && !is_managed(&inside, address as u64)
}
