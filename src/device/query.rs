//! Which devices exist, and their description.
//!
//! Contract: a query of the host makes no driver call; a query of a CUDA device does. A CUDA context is made only if
//! memory figures are requested.

#[cfg(not(preload))]
use super::cuda_query;
use super::host;
use super::no_info::NO_INFO;
use crate::error::{Result, fail};
use crate::flags;
use crate::names::device_type_name;
use crate::types::*;

/// TN_ERR_DEVICE for a device type that does not exist.
pub(super) fn known_type(device_type: tn_device_type) -> Result<()> {
    match device_type {
        TN_CPU | TN_CUDA | TN_CUDA_HOST | TN_CUDA_MANAGED => Ok(()),
        _ => Err(fail(
            TN_ERR_DEVICE,
            format_args!(
                "device type {device_type} is unknown; use TN_CPU ({TN_CPU}), TN_CUDA ({TN_CUDA}), \
                 TN_CUDA_HOST ({TN_CUDA_HOST}) or TN_CUDA_MANAGED ({TN_CUDA_MANAGED})"
            ),
        )),
    }
}

/// Checks the device that a pool over an upstream states for its memory. The upstream manages the memory, so a device
/// that this build does not support is accepted with any number.
pub(super) fn check_label(device: tn_device) -> Result<()> {
    known_type(device.r#type)?;
    if device.r#type == TN_CPU || device.id < 0 { find(device).map(|_| ()) } else { Ok(()) }
}

/// The host, if `device` names it. TN_ERR_DEVICE: no such device; TN_ERR_UNSUPPORTED: another type.
pub fn find(device: tn_device) -> Result<&'static host::Host> {
    known_type(device.r#type)?;
    if device.r#type != TN_CPU {
        return Err(fail(
            TN_ERR_UNSUPPORTED,
            format_args!(
                "device {{{}, {}}} needs the CUDA driver (libcuda.so.1), which this build does not support; use TN_CPU",
                device_type_name(device.r#type),
                device.id
            ),
        ));
    }
    match device.id {
        0 => Ok(&host::HOST),
        id => Err(fail(TN_ERR_DEVICE, format_args!("device {{cpu, {id}}} does not exist; the host is {{TN_CPU, 0}}"))),
    }
}

/// The number of devices of a type.
pub fn count(device_type: tn_device_type) -> Result<i32> {
    known_type(device_type)?;
    match device_type {
        TN_CPU => Ok(1),
        #[cfg(not(preload))]
        cuda => cuda_query::count_of(cuda),
        #[cfg(preload)]
        _ => Ok(0),
    }
}

/// Describes a device; `flags` is 0 or TN_QUERY_MEMORY. The pools' own figures are filled in by `pool`.
pub fn query(device: tn_device, flags: u32) -> Result<tn_device_info> {
    flags::check("flags", flags, TN_QUERY_MEMORY, &flags::QUERY)?;
    let with_memory = flags & TN_QUERY_MEMORY != 0;
    known_type(device.r#type)?;
    #[cfg(not(preload))]
    if device.r#type != TN_CPU {
        return cuda_query::query(device, with_memory);
    }
    let device = find(device)?;
    let mut info = NO_INFO;
    device.describe(with_memory, &mut info);
    Ok(info)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dv_1_and_pn_13_counts() {
        assert_eq!(count(TN_CPU).unwrap(), 1);
        for cuda in [TN_CUDA, TN_CUDA_HOST, TN_CUDA_MANAGED] {
            // Most machines have none.
            let found = find(tn_device { r#type: cuda, id: 0 });
            match count(cuda) {
                Ok(0) => assert!([TN_ERR_UNSUPPORTED, TN_ERR_DEVICE].contains(&found.err().unwrap().code())),
                counted => assert_eq!(found.is_ok(), counted.is_ok()),
            }
        }
        assert_eq!(count(7).unwrap_err().code(), TN_ERR_DEVICE);
    }

    #[test]
    fn dv_2_3_4_the_host() {
        let host = tn_device { r#type: TN_CPU, id: 0 };
        let plain = query(host, 0).unwrap();
        assert!(plain.total_bytes > 0 && plain.multiprocessors > 0 && plain.warp_size == 1 && plain.name[0] != 0);
        assert_eq!((plain.free_bytes, plain.uuid, plain.pci_bus_id[0]), (0, [0; 16], 0));
        let memory = query(host, TN_QUERY_MEMORY).unwrap();
        assert!(memory.free_bytes > 0 && memory.free_bytes <= memory.total_bytes);
        assert_eq!(memory.used_bytes, memory.total_bytes - memory.free_bytes);
        assert_eq!(query(host, 1 << 1).unwrap_err().code(), TN_ERR_INVALID);
        for id in [-1, 1] {
            assert_eq!(query(tn_device { r#type: TN_CPU, id }, 0).unwrap_err().code(), TN_ERR_DEVICE);
        }
    }
}
