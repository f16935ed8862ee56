//! Section "device": how many there are, what they are, waiting for them.

use crate::boundary::enter;
use crate::ffi::convert::{self, Out};
use crate::types::*;
use crate::{device, pool};

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
/// @param[out] out The number: 1 for TN_CPU; the GPUs that the driver shows to this process; 1 for page-locked and for managed memory if it
///                 can be had. 0 where there is no driver or no GPU. On failure: untouched.
/// @return TN_OK, also for 0; TN_ERR_NULL; TN_ERR_DEVICE for an unknown type, and in a process that was forked from one which uses
///         CUDA; TN_ERR_DRIVER where the driver is broken, which is not the same as none.
/// @note Threads: any. Blocks: the first call loads the driver. Allocates: nothing.
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

/// Tells what a device is, and with TN_QUERY_MEMORY what memory it has left and how much of it our pools hold.
///
/// @param device   The device.
/// @param flags    0 or TN_QUERY_MEMORY: also free_bytes, used_bytes, pool_bytes and pool_free_bytes, as they are now.
///                 On the host total and free are those of the machine, cut to the limits of the process's control
///                 groups.
///                 Of a GPU they retain its primary context, which nothing else here does.
/// @param[out] info The struct to fill; its `size` is set by the caller; as much as fits is filled in. Of page-locked and of managed
///                  memory, of which there is one device each, {type, 0}, it tells the host's memory and what GPU 0 can do with it. On
///                  failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for another flag or a size of 0; TN_ERR_DEVICE for a device that does not
///         exist; TN_ERR_UNSUPPORTED without a driver; TN_ERR_DRIVER where it fails, or the device is lost.
/// @note Threads: any. Blocks: reads some small files of the system, or asks the driver. Allocates: nothing.
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

/// Waits for everything that runs on a device, by whomever it was issued; on the host nothing does, so it returns at once.
///
/// @param device   The device; of TN_CUDA_HOST and TN_CUDA_MANAGED all GPUs that this process uses.
/// @return TN_OK; TN_ERR_DEVICE for a device that does not exist; TN_ERR_UNSUPPORTED without a driver; TN_ERR_DRIVER where
///         work on it failed earlier: the device is lost to this process then.
/// @note Threads: any. Blocks: until the device's work is done; TN_CPU: never. Allocates: nothing.
/// @since 0.1
/// @ingroup device
#[unsafe(no_mangle)]
pub extern "C" fn tn_device_synchronize(device: tn_device) -> tn_status {
    enter("tn_device_synchronize", || {
        device::synchronize(device)?;
        // What was given back to pools that are gone is finished now.
        if device.r#type != TN_CPU {
            pool::collect();
        }
        Ok(())
    })
}
