//! Section "device": how many there are, what they are, waiting for them.

use crate::boundary::enter;
use crate::ffi::convert::{self, Out};
use crate::types::*;
use crate::{device, pool};

impl convert::Sized for tn_device_info {
    const FIRST: usize = size_of::<tn_device_info>();
    const NAME: &'static str = "tn_device_info";
    fn defaults() -> tn_device_info {
        device::NO_INFO
    }
}

/// Counts the devices of a type.
///
/// @param type     TN_CPU, TN_CUDA, TN_CUDA_HOST or TN_CUDA_MANAGED.
/// @param[out] out the number: 1 for TN_CPU, 0 where there is no driver. On failure: untouched.
/// @return TN_OK, also for 0; TN_ERR_NULL; TN_ERR_DEVICE for an unknown type.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup device
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_device_count(r#type: i32, out: *mut i32) -> tn_status {
    enter("tn_device_count", || {
        let out = Out::new(out, "out")?;
        let count = device::count(r#type)?;
        // SAFETY: writable by the function's documentation.
        unsafe { out.write(count) };
        Ok(())
    })
}

/// Tells what a device is, and with TN_QUERY_MEMORY what memory it has left and how much of it our pools hold.
///
/// @param device   which one.
/// @param flags    0 or TN_QUERY_MEMORY: also free_bytes, used_bytes, pool_bytes and pool_free_bytes, as they are now.
///                 On the host total and free are those of the machine, cut to the limits of the process's control
///                 groups.
/// @param[out] info its `size` is set by the caller; as much as fits is filled in. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for another flag or a size of 0; TN_ERR_DEVICE for a device that does not
///         exist; TN_ERR_UNSUPPORTED for a type that this build has no code for.
/// @note Threads: any. Blocks: reads some small files of the system. Allocates: nothing.
/// @since 0.1
/// @ingroup device
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_device_query(device: tn_device, flags: u32, info: *mut tn_device_info) -> tn_status {
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

/// Waits for everything that runs on a device; on the host nothing does, so it returns at once.
///
/// @param device   which one.
/// @return TN_OK; TN_ERR_DEVICE for a device that does not exist; TN_ERR_UNSUPPORTED for a type that this build has no
///         code for.
/// @note Threads: any. Blocks: until the device's work is done; TN_CPU: never. Allocates: nothing.
/// @since 0.1
/// @ingroup device
#[unsafe(no_mangle)]
pub extern "C" fn tn_device_synchronize(device: tn_device) -> tn_status {
    enter("tn_device_synchronize", || device::synchronize(device))
}
