//! Page-locked host memory: allocated for staging, or the caller's, locked where it lies.
//!
//! Contract: thin; each function is one call of the driver, but for entering and leaving the context. None disturbs a capture that another
//! thread makes. What is allocated is seen by all devices (portable), what is locked where the caller wants that. Keeps no list.

use super::context::Inside;
use super::table::{self, Gpu};
use crate::cuda_driver::sys::CUpointer_attribute as Attribute;
use crate::cuda_driver::{SUCCESS, code};
use crate::error::Result;
use crate::types::*;
use core::ffi::c_void;
use core::ptr::null_mut;

/// The flags of cuMemHostRegister have the numbers of ours.
const FLAGS: u32 = TN_HOST_PORTABLE | TN_HOST_MAPPED | TN_HOST_READ_ONLY;
const _: () = assert!(FLAGS == 11, "CU_MEMHOSTREGISTER_PORTABLE, _DEVICEMAP and _READ_ONLY are 1, 2 and 8");

/// Page-locked memory; goes back with [`free`].
pub fn allocate(gpu: &'static Gpu, bytes: usize) -> Result<usize> {
    let inside = gpu.enter()?;
    let _relaxed = inside.relaxed();
    let mut address = null_mut();
    // SAFETY: the number is ours.
    let number = unsafe { inside.cuMemHostAlloc(&mut address, bytes, TN_HOST_PORTABLE) }?;
    gpu.check_as(number, "cuMemHostAlloc", TN_ERR_NO_HOST_MEMORY)?;
    Ok(address as usize)
}

/// Gives memory of [`allocate`] back.
///
/// # Safety
/// - It came from there, nobody uses it any more, and all work on it is done.
pub unsafe fn free(gpu: &'static Gpu, address: usize) -> Result<()> {
    let inside = gpu.enter()?;
    let _relaxed = inside.relaxed();
    // SAFETY: the caller's promise.
    let number = unsafe { inside.cuMemFreeHost(address as *mut c_void) }?;
    gpu.check(number, "cuMemFreeHost")
}

/// Page-locks a range of host memory; `flags`: TN_HOST_PORTABLE, TN_HOST_MAPPED, TN_HOST_READ_ONLY. Ranges that share a page and no byte
/// are locked one by one (seen on driver 590). TN_ERR_DUPLICATE: some byte is locked already.
///
/// # Safety
/// - It is the caller's of the library, and stays mapped until it is unlocked.
pub unsafe fn lock(gpu: &'static Gpu, address: usize, bytes: usize, flags: u32) -> Result<()> {
    let flags = flags & FLAGS;
    let inside = gpu.enter()?;
    let _relaxed = inside.relaxed();
    // SAFETY: the caller's promise.
    let number = unsafe { inside.cuMemHostRegister_v2(address as *mut c_void, bytes, flags) }?;
    // Of memory that the driver allocated it says no more than that it is wrong (libgdsync's issue 25), though it was locked from the start.
    let allocated = number == code::INVALID_VALUE && kind_of(&inside, address) == Some(MEMORY_HOST);
    let number = if allocated { code::HOST_MEMORY_ALREADY_REGISTERED } else { number };
    gpu.check_as(number, "cuMemHostRegister", TN_ERR_NO_HOST_MEMORY)
}

/// Unlocks a range of [`lock`].
///
/// # Safety
/// - It was locked there, and all work on it is done: whether the driver waits for that is not documented.
pub unsafe fn unlock(gpu: &'static Gpu, address: usize) -> Result<()> {
    let inside = gpu.enter()?;
    let _relaxed = inside.relaxed();
    // SAFETY: the caller's promise.
    let number = unsafe { inside.cuMemHostUnregister(address as *mut c_void) }?;
    gpu.check(number, "cuMemHostUnregister")
}

/// Where the device sees locked and mapped memory; the address may lie in its middle. It is the host's only where the driver promises that,
/// so it is always asked for.
pub fn seen_at(gpu: &'static Gpu, address: usize) -> Result<u64> {
    let inside = gpu.enter()?;
    let mut seen = 0;
    // SAFETY: the number is ours; an address that is not mapped is refused.
    let number = unsafe { inside.cuMemHostGetDevicePointer_v2(&mut seen, address as *mut c_void, 0) }?;
    gpu.check(number, "cuMemHostGetDevicePointer")?;
    Ok(seen)
}

/// Whether an address is a GPU's memory, which the host cannot touch, as far as the driver knows. Nothing is asked before a GPU was used.
#[inline]
pub fn is_device(address: usize) -> bool {
    table::any_used() && is_known_as_device(address)
}

/// CU_MEMORYTYPE_HOST: page-locked.
const MEMORY_HOST: u32 = 1;
/// CU_MEMORYTYPE_DEVICE; managed memory is that, too.
const MEMORY_DEVICE: u32 = 2;

/// What the driver says of an address; None: it does not know it.
fn ask(inside: &Inside, address: usize, attribute: Attribute) -> Option<u32> {
    let mut value = 0_u32;
    let place = core::ptr::from_mut(&mut value).cast();
    // SAFETY: the number is ours, as large as the attributes that are asked for here; an address that the driver does not know is refused.
    let number = unsafe { inside.cuPointerGetAttribute(place, attribute, address as u64) };
    matches!(number, Ok(SUCCESS)).then_some(value)
}

fn kind_of(inside: &Inside, address: usize) -> Option<u32> {
    ask(inside, address, Attribute::CU_POINTER_ATTRIBUTE_MEMORY_TYPE)
}

fn is_known_as_device(address: usize) -> bool {
    let Some(inside) = table::used().next().and_then(|gpu| gpu.enter().ok()) else { return false };
    // A byte of the number is the answer.
    let managed = || ask(&inside, address, Attribute::CU_POINTER_ATTRIBUTE_IS_MANAGED).unwrap_or(0) & 0xff != 0;
    kind_of(&inside, address) == Some(MEMORY_DEVICE) && !managed()
}
