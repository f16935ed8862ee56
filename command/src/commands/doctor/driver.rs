//! The CUDA driver and its devices, as the library itself sees them.

use super::{Finding, State};
use crate::text::{count, size};
use std::ffi::CStr;
use tenure::types::{TN_CUDA, TN_FEATURE_IPC, TN_FEATURE_MANAGED, TN_QUERY_MEMORY, tn_device};

pub fn check() -> Vec<Finding> {
    let devices = match tenure::device::count(TN_CUDA) {
        Ok(0) => return vec![without_devices()],
        Ok(devices) => devices,
        Err(_) => return vec![Finding::new(State::Broken, "CUDA driver", tenure::error::drafted().as_str())],
    };
    let mut found = Vec::new();
    for id in 0..devices {
        let subject = format!("cuda:{id}");
        let Ok(info) = tenure::device::query(tn_device { r#type: TN_CUDA, id }, TN_QUERY_MEMORY) else {
            found.push(Finding::new(State::Broken, subject, tenure::error::drafted().as_str()));
            continue;
        };
        if found.is_empty() {
            let (major, minor) = (info.driver_version / 1000, info.driver_version % 1000 / 10);
            found.push(Finding::new(
                State::Works,
                "CUDA driver",
                format!("supports CUDA {major}.{minor}, has {}", count(devices as u64, "device")),
            ));
        }
        let bytes: Vec<u8> = info.name.iter().map(|byte| *byte as u8).collect();
        let name = CStr::from_bytes_until_nul(&bytes).map(CStr::to_string_lossy).unwrap_or_default();
        let mut text = format!(
            "{name}, compute capability {}.{}, {} free of {}",
            info.compute_major,
            info.compute_minor,
            size(info.free_bytes),
            size(info.total_bytes)
        );
        for (feature, lack) in
            [(TN_FEATURE_MANAGED, "no managed memory"), (TN_FEATURE_IPC, "not shared with other processes")]
        {
            if info.features & feature == 0 {
                text += &format!("; {lack}");
            }
        }
        found.push(Finding::new(State::Works, subject, text));
    }
    found
}

/// The library counts no device: without a driver, or with one that has none.
fn without_devices() -> Finding {
    let driver = tenure::cuda_driver::if_there().ok().flatten();
    let text = match driver {
        Some(_) => "found, and has no device: CUDA_VISIBLE_DEVICES may hide them",
        None => "libcuda.so.1 is not found: arrays are on the host only",
    };
    Finding::new(State::Absent, "CUDA driver", text)
}
