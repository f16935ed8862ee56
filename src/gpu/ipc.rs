//! Memory and events of a GPU that cross to other processes, by handles of 64 bytes.
//!
//! Contract: thin; keeps no list of what crosses. The caller is [`Inside`] the GPU's context. Only whole allocations of
//! cuMemAlloc cross. The driver keeps none of them alive for the process that opened it, and refuses to open one in the
//! process that has it.
//!
//! The driver places allocations of less than 2 MiB side by side, and shares all of them with one. So the caller
//! exports allocations of at least that size.
//!
//! Source: "Memory Management" in the CUDA driver's reference, and "Interprocess Communication" in the programming
//! guide.

use super::context::Inside;
use super::table::{self, Gpu};
use crate::cuda_driver::sys::{CUipcEventHandle, CUipcMemHandle};
use crate::cuda_driver::{self, Attribute, CUdeviceptr, CUevent, CUstream};
use crate::error::{Result, fail};
use crate::types::*;
use core::ffi::{c_char, c_uint};

/// The bytes of a handle, which may travel anywhere.
pub type Handle = [u8; 64];

/// CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS, which the driver requires.
const LAZY_ENABLE_PEER_ACCESS: c_uint = 1;
/// CU_EVENT_DISABLE_TIMING and CU_EVENT_INTERPROCESS, which requires the former.
const EVENT_FLAGS: c_uint = 2 | 4;

impl Gpu {
    /// TN_ERR_UNSUPPORTED: memory of this GPU cannot cross to other processes.
    pub fn check_shares_memory(&'static self) -> Result<()> {
        // Drivers before 12 do not know the first attribute. They share the memory of GPUs with unified addressing.
        let supported = match self.attribute_if_known(Attribute::CU_DEVICE_ATTRIBUTE_IPC_EVENT_SUPPORTED)? {
            Some(value) => value,
            None => self.attribute(Attribute::CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING)?,
        };
        if supported != 0 {
            return Ok(());
        }
        Err(fail(
            TN_ERR_UNSUPPORTED,
            format_args!(
                "GPU {} shares no memory with other processes; copy the array to the host with tn_array_to_device and export that",
                self.id()
            ),
        ))
    }
}

/// The GPU with a UUID. TN_ERR_DEVICE: this process has none.
pub fn by_uuid(uuid: &[u8; 16]) -> Result<&'static Gpu> {
    let driver = cuda_driver::if_there()?;
    for id in 0..table::count()? {
        let gpu = table::gpu(id)?;
        if let Some(driver) = driver
            && gpu.uuid(driver)? == *uuid
        {
            return Ok(gpu);
        }
    }
    Err(fail(
        TN_ERR_DEVICE,
        format_args!(
            "the array is on the GPU with the UUID {:032x}, which this process does not have; see CUDA_VISIBLE_DEVICES",
            u128::from_be_bytes(*uuid)
        ),
    ))
}

/// The allocation that has an address: its first address, and its bytes.
pub fn allocation_of(inside: &Inside, address: usize) -> Result<(usize, usize)> {
    let (mut base, mut bytes): (CUdeviceptr, usize) = (0, 0);
    // SAFETY: the numbers are ours.
    let number = unsafe { inside.cuMemGetAddressRange_v2(&mut base, &mut bytes, address as CUdeviceptr)? };
    inside.gpu().check(number, "cuMemGetAddressRange")?;
    Ok((base as usize, bytes))
}

/// The handle of the allocation that begins at an address.
pub fn memory_handle(inside: &Inside, address: usize) -> Result<Handle> {
    let mut handle = CUipcMemHandle { reserved: [0; 64] };
    // SAFETY: the handle is ours.
    let number = unsafe { inside.cuIpcGetMemHandle(&mut handle, address as CUdeviceptr)? };
    inside.gpu().check(number, "cuIpcGetMemHandle")?;
    Ok(handle.reserved.map(|byte| byte as u8))
}

/// Opens another process's allocation; returns its first address. The caller closes it.
pub fn open_memory(inside: &Inside, handle: &Handle) -> Result<usize> {
    let handle = CUipcMemHandle { reserved: handle.map(|byte| byte as c_char) };
    let mut address: CUdeviceptr = 0;
    // SAFETY: the number is ours. The driver checks the handle.
    let number = unsafe { inside.cuIpcOpenMemHandle_v2(&mut address, handle, LAZY_ENABLE_PEER_ACCESS)? };
    inside.gpu().check(number, "cuIpcOpenMemHandle")?;
    Ok(address as usize)
}

/// Closes an allocation, whose exporter may have ended.
///
/// # Safety
/// - [`open_memory`] returned the address, and no work uses the memory.
pub unsafe fn close_memory(inside: &Inside, address: usize) {
    // SAFETY: the caller's obligation. A failure leaves nothing to do.
    let _ = unsafe { inside.cuIpcCloseMemHandle(address as CUdeviceptr) };
}

/// An event that two processes share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SharedEvent(usize);

impl SharedEvent {
    /// Creates an event for other processes, with its handle.
    pub fn create(inside: &Inside) -> Result<(SharedEvent, Handle)> {
        let gpu = inside.gpu();
        let mut event: CUevent = core::ptr::null_mut();
        // SAFETY: the pointer is ours.
        gpu.check(unsafe { inside.cuEventCreate(&mut event, EVENT_FLAGS)? }, "cuEventCreate")?;
        let mut handle = CUipcEventHandle { reserved: [0; 64] };
        // SAFETY: just created; the handle is ours.
        let got = unsafe { inside.cuIpcGetEventHandle(&mut handle, event) };
        let got = got.and_then(|number| gpu.check(number, "cuIpcGetEventHandle"));
        let made = SharedEvent(event as usize);
        if let Err(status) = got {
            // SAFETY: just created.
            unsafe { made.destroy(inside) };
            return Err(status);
        }
        Ok((made, handle.reserved.map(|byte| byte as u8)))
    }

    /// Opens another process's event. Its `destroy` closes it.
    pub fn open(inside: &Inside, handle: &Handle) -> Result<SharedEvent> {
        let handle = CUipcEventHandle { reserved: handle.map(|byte| byte as c_char) };
        let mut event: CUevent = core::ptr::null_mut();
        // SAFETY: the pointer is ours. The driver checks the handle.
        let number = unsafe { inside.cuIpcOpenEventHandle(&mut event, handle)? };
        inside.gpu().check(number, "cuIpcOpenEventHandle")?;
        Ok(SharedEvent(event as usize))
    }

    /// Records the event behind all work of a stream.
    ///
    /// # Safety
    /// - The event and the stream exist, and are of the GPU's present context.
    pub unsafe fn record(self, inside: &Inside, stream: CUstream) -> Result<()> {
        // SAFETY: the caller's obligation.
        inside.gpu().check(unsafe { inside.cuEventRecord(self.raw(), stream)? }, "cuEventRecord")
    }

    /// The driver's event.
    pub fn raw(self) -> CUevent {
        self.0 as CUevent
    }

    /// Destroys the event in this process.
    ///
    /// # Safety
    /// - It exists, is of the GPU's present context, and is not used again.
    pub unsafe fn destroy(self, inside: &Inside) {
        // SAFETY: the caller's obligation. A failure leaves nothing to do.
        let _ = unsafe { inside.cuEventDestroy_v2(self.raw()) };
    }
}
