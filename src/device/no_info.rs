//! An empty device description.

use crate::types::tn_device_info;

/// All fields zero but `size`.
pub const NO_INFO: tn_device_info = tn_device_info {
    size: size_of::<tn_device_info>(),
    name: [0; 128],
    uuid: [0; 16],
    pci_bus_id: [0; 16],
    compute_major: 0,
    compute_minor: 0,
    driver_version: 0,
    multiprocessors: 0,
    warp_size: 0,
    features: 0,
    block_memory_bytes: 0,
    block_memory_optin_bytes: 0,
    total_bytes: 0,
    free_bytes: 0,
    used_bytes: 0,
    pool_bytes: 0,
    pool_free_bytes: 0,
    to_device_count: 0,
    to_device_bytes: 0,
    to_host_count: 0,
    to_host_bytes: 0,
    staged_bytes: 0,
    registered_bytes: 0,
    queued_releases: 0,
    queued_bytes: 0,
    kernel_count: 0,
    kernel_error: 0,
};
