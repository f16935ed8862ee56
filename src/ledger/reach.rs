//! Which memory the host can access.

use crate::error::{Result, Status, fail};
use crate::names::DeviceName;
use crate::types::{TN_CPU, TN_CUDA_HOST, TN_CUDA_MANAGED, TN_ERR_DEVICE, tn_device};

/// Whether the host can access memory of that device.
#[inline]
pub fn is_reachable(device: tn_device) -> bool {
    matches!(device.r#type, TN_CPU | TN_CUDA_HOST | TN_CUDA_MANAGED)
}

/// TN_ERR_DEVICE for memory that the host cannot access.
#[inline]
pub(super) fn check_reachable(device: tn_device) -> Result<()> {
    if is_reachable(device) { Ok(()) } else { Err(out_of_reach(device)) }
}

#[cold]
fn out_of_reach(device: tn_device) -> Status {
    fail(
        TN_ERR_DEVICE,
        format_args!(
            "the bytes are on device {}, which the host cannot reach; copy them with tn_array_to_device first",
            DeviceName(device)
        ),
    )
}
