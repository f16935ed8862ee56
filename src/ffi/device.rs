//! Section "device": counting, describing and synchronizing devices.

use crate::boundary::enter;
use crate::ffi::convert::{self, Out};
use crate::types::*;
use crate::{device, device_copy, gpu, pool};

impl convert::VersionedStruct for tn_device_info {
    const FIRST: usize = size_of::<tn_device_info>();
    const NAME: &'static str = "tn_device_info";
    fn defaults() -> tn_device_info {
        device::NO_INFO
    }
}

/// Counts the devices of a type.
///
/// @param type     TN_CPU, TN_CUDA, TN_CUDA_HOST or TN_CUDA_MANAGED.
/// @param[out] out The number. TN_CPU: 1. TN_CUDA: the GPUs that the driver shows to this process. TN_CUDA_HOST and
///                 TN_CUDA_MANAGED: 1 if such memory is available. 0 without a driver or GPU. On failure: untouched.
/// @return TN_OK, also if the number is 0; TN_ERR_NULL; TN_ERR_DEVICE for an unknown type, and in the child of a
///         process that used CUDA before the fork; TN_ERR_DRIVER if a driver is installed but fails.
/// @note Threads: any. Blocks: while the first call loads the driver. Allocates: nothing.
/// @since 0.1
/// @ingroup device
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_device_count(r#type: tn_device_type, out: *mut usize) -> tn_status {
    enter("tn_device_count", || {
        let out = Out::new(out, "out")?;
        let count = device::count(r#type)?;
        // SAFETY: writable by the function's documentation.
        unsafe { out.write(count as usize) };
        Ok(())
    })
}

/// Describes a device. With TN_QUERY_MEMORY, also its free memory and how much of it the library's pools hold.
///
/// @param device   The device.
/// @param flags    0, or TN_QUERY_MEMORY to also fill free_bytes, used_bytes, pool_bytes and pool_free_bytes. On the
///                 host, total and free are those of the machine, limited by the process's control groups. On a GPU
///                 this flag makes the call retain the primary context.
/// @param[out] info The struct to fill, with `size` set by the caller; as much as fits is filled. Page-locked and
///                  managed memory are one device each, {type, 0}; their info has the host's memory and the features of
///                  GPU 0. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for another flag or a size of 0; TN_ERR_DEVICE for a device that does not
///         exist; TN_ERR_UNSUPPORTED without a driver; TN_ERR_DRIVER if the driver fails or the device is lost.
/// @note Threads: any. Blocks: while it reads small system files, or calls the driver. Allocates: nothing.
/// @since 0.1
/// @ingroup device
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_device_query(
    device: tn_device,
    flags: tn_query_flags,
    info: *mut tn_device_info,
) -> tn_status {
    enter("tn_device_query", || {
        // SAFETY: a struct that starts with its size, by the function's documentation.
        let out = unsafe { convert::fill(info, "info")?? };
        let mut info = pool::describe(device, flags)?;
        (info.queued_releases, info.queued_bytes) = crate::ledger::queued();
        // SAFETY: writable up to its size, by the function's documentation.
        unsafe { out.write(&info, size_of::<tn_device_info>()) };
        Ok(())
    })
}

/// Waits for all work on a device, whoever issued it. For TN_CPU it returns at once.
///
/// @param device   The device. TN_CUDA_HOST and TN_CUDA_MANAGED mean all GPUs that this process uses.
/// A wait for a whole GPU breaks every graph capture there, whatever its mode and whoever captures. The call is refused
/// while a stream captures that the library may ask: one that it created, or one that is ordered with the legacy
/// stream. It cannot know of captures on other streams of other libraries.
///
/// @return TN_OK; TN_ERR_DEVICE for a device that does not exist; TN_ERR_UNSUPPORTED without a driver, and during a
///         capture; TN_ERR_DRIVER if work on it failed earlier; the device is then lost to this process.
/// @note Threads: any. Blocks: until the device's work is done; TN_CPU: never. Allocates: nothing.
/// @since 0.1
/// @ingroup device
#[unsafe(no_mangle)]
pub extern "C" fn tn_device_synchronize(device: tn_device) -> tn_status {
    enter("tn_device_synchronize", || {
        device::synchronize(device)?;
        gpu::used().for_each(device_copy::load_wanted);
        // Frees of pools that no longer exist can be completed now.
        if device.r#type != TN_CPU {
            pool::collect();
        }
        Ok(())
    })
}
