//! Under which device an array is exported, and who accesses it there (DL-14, DL-15).

use crate::array::HOST;
use crate::error::{Result, fail};
use crate::names::DeviceName;
use crate::types::*;

/// Where a consumer finds the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The device in the struct.
    pub label: tn_device,
    /// The bytes must be copied there first.
    pub copies: bool,
    /// The consumer's device accesses them, in the order of its stream; else the host.
    pub on_device: bool,
}

/// The device number that a label has in a struct.
fn labelled(label: tn_device_type, id: i32) -> tn_device {
    tn_device { r#type: label, id: if matches!(label, TN_CPU | TN_CUDA_HOST) { 0 } else { id } }
}

/// Whether consumers that trust the label can access memory of a device.
fn honours(device: tn_device, label: tn_device_type) -> bool {
    match device.r#type {
        TN_CPU => label == TN_CPU,
        TN_CUDA => label == TN_CUDA,
        own => matches!(label, TN_CPU | TN_CUDA) || label == own,
    }
}

/// The place of an export of memory of `device`. `label` 0: the device's own type. `target` {0, 0}: where the bytes
/// are. `has_stream`: the consumer named a stream. TN_ERR_DEVICE: the memory cannot honour the label, or there is no
/// such device; TN_ERR_UNSUPPORTED: a device of another kind.
pub fn place(device: tn_device, label: tn_device_type, target: tn_device, has_stream: bool) -> Result<Place> {
    let label = if label == 0 { device.r#type } else { label };
    if !honours(device, label) {
        return Err(fail(
            TN_ERR_DEVICE,
            format_args!(
                "device label {label}: the bytes are on device {}, which has another type",
                DeviceName(device)
            ),
        ));
    }
    let aliased = |label: tn_device| Place {
        label,
        copies: false,
        on_device: match label.r#type {
            TN_CPU => false,
            TN_CUDA => true,
            // The host and devices access it. A consumer with a stream is a device.
            _ => has_stream,
        },
    };
    match target.r#type {
        0 if target.id == 0 => Ok(aliased(labelled(label, device.id))),
        TN_CPU | TN_CUDA_HOST if target.id != 0 => Err(fail(
            TN_ERR_DEVICE,
            format_args!("target device ({}, {}): the host has number 0", target.r#type, target.id),
        )),
        wanted if honours(device, wanted) && target == labelled(wanted, device.id) => Ok(aliased(target)),
        TN_CPU | TN_CUDA | TN_CUDA_HOST | TN_CUDA_MANAGED => Ok(Place { copies: true, ..aliased(target) }),
        kind => Err(fail(
            TN_ERR_UNSUPPORTED,
            format_args!(
                "target device ({kind}, {}): exports go to (1, 0), the host, (2, n), GPU n, (3, 0) and (13, n)",
                target.id
            ),
        )),
    }
}

/// The label of an export that the host reads in place, in the usual cases. None: see [`place`].
#[inline(always)]
pub fn host_label(device: tn_device, label: tn_device_type, target: tn_device, has_stream: bool) -> Option<tn_device> {
    let is_there = matches!((target.r#type, target.id), (0, 0)) || target == HOST && label != 0;
    match (device.r#type, label) {
        (TN_CPU, 0 | TN_CPU) if matches!((target.r#type, target.id), (0 | TN_CPU, 0)) => Some(HOST),
        (TN_CUDA_HOST | TN_CUDA_MANAGED, TN_CPU) if is_there => Some(HOST),
        (own @ (TN_CUDA_HOST | TN_CUDA_MANAGED), 0) if is_there && !has_stream => Some(labelled(own, device.id)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn device(r#type: tn_device_type, id: i32) -> tn_device {
        tn_device { r#type, id }
    }

    const NONE: tn_device = device(0, 0);
    const PINNED: tn_device = device(TN_CUDA_HOST, 0);
    const MANAGED: tn_device = device(TN_CUDA_MANAGED, 1);
    const GPU: tn_device = device(TN_CUDA, 1);

    fn status(of: tn_device, label: tn_device_type, target: tn_device) -> tn_status {
        place(of, label, target, false).map_or_else(|status| status.code(), |_| TN_OK)
    }

    #[test]
    fn dl_14_labels() {
        let label = |of, label| place(of, label, NONE, true).unwrap().label;
        for of in [HOST, PINNED, MANAGED, GPU] {
            assert_eq!((label(of, 0), label(of, of.r#type)), (of, of));
        }
        assert_eq!((label(PINNED, TN_CPU), label(MANAGED, TN_CPU)), (HOST, HOST));
        assert_eq!((label(PINNED, TN_CUDA), label(MANAGED, TN_CUDA)), (device(TN_CUDA, 0), GPU));
        for (of, label) in
            [(GPU, TN_CPU), (HOST, TN_CUDA), (GPU, TN_CUDA_MANAGED), (PINNED, TN_CUDA_MANAGED), (HOST, 7)]
        {
            assert_eq!(status(of, label, NONE), TN_ERR_DEVICE, "{of:?} {label}");
        }
    }

    #[test]
    fn dl_15_targets() {
        let to =
            |of, target| place(of, 0, target, true).map(|place| (place.label, place.copies, place.on_device)).unwrap();
        assert_eq!(to(HOST, HOST), (HOST, false, false));
        assert_eq!(to(GPU, HOST), (HOST, true, false));
        assert_eq!(to(HOST, GPU), (GPU, true, true));
        assert_eq!(to(GPU, GPU), (GPU, false, true));
        assert_eq!(to(GPU, device(TN_CUDA, 0)), (device(TN_CUDA, 0), true, true));
        assert_eq!((to(PINNED, HOST), to(MANAGED, GPU)), ((HOST, false, false), (GPU, false, true)));
        assert_eq!(status(HOST, 0, device(TN_CPU, 1)), TN_ERR_DEVICE);
        assert_eq!(status(HOST, 0, device(7, 0)), TN_ERR_UNSUPPORTED);
    }

    #[test]
    fn the_fast_answer_is_the_same() {
        for of in [HOST, PINNED, MANAGED, GPU] {
            for label in [0, TN_CPU, TN_CUDA, TN_CUDA_HOST] {
                for target in [NONE, HOST, GPU, PINNED] {
                    for has_stream in [false, true] {
                        let Some(fast) = host_label(of, label, target, has_stream) else { continue };
                        let slow = place(of, label, target, has_stream).unwrap();
                        assert_eq!((slow.label, slow.copies, slow.on_device), (fast, false, false));
                    }
                }
            }
        }
    }
}
