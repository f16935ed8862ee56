//! The driver's result codes, as status codes of this library (DV-7).
//!
//! Contract: every code has a status, also one that is newer than this library: TN_ERR_DRIVER.

use crate::types::*;
use core::fmt;

/// CUDA_SUCCESS.
pub const SUCCESS: u32 = 0;
/// An invalid argument.
pub const INVALID_VALUE: u32 = 1;
/// No memory left, of the requested kind.
pub const OUT_OF_MEMORY: u32 = 2;
/// The process ends, and the driver has shut down.
pub const DEINITIALIZED: u32 = 4;
/// There is no device.
pub const NO_DEVICE: u32 = 100;
/// The hardware has no access between the two devices.
pub const PEER_ACCESS_UNSUPPORTED: u32 = 217;
/// The image of a module is damaged.
pub const INVALID_IMAGE: u32 = 200;
/// The image has no code for the GPU.
pub const NO_BINARY_FOR_GPU: u32 = 209;
/// The driver cannot compile the PTX.
pub const INVALID_PTX: u32 = 218;
/// The driver lacks its compiler of PTX.
pub const JIT_COMPILER_NOT_FOUND: u32 = 221;
/// The PTX is newer than the driver.
pub const UNSUPPORTED_PTX_VERSION: u32 = 222;
/// The driver may not compile PTX.
pub const JIT_COMPILATION_DISABLED: u32 = 223;
/// A handle is none of its kind.
pub const INVALID_HANDLE: u32 = 400;
/// There is no kernel, symbol or other object of this name.
pub const NOT_FOUND: u32 = 500;
/// The work is not finished.
pub const NOT_READY: u32 = 600;
/// This or another library of the process enabled the access.
pub const PEER_ACCESS_ALREADY_ENABLED: u32 = 704;
/// The device has as many peers as it can have.
pub const TOO_MANY_PEERS: u32 = 711;
/// A launch needs more registers or shared memory than there are, or has other arguments than the kernel.
pub const LAUNCH_OUT_OF_RESOURCES: u32 = 701;
/// The range is page-locked already.
pub const HOST_MEMORY_ALREADY_REGISTERED: u32 = 712;
/// The range is not page-locked.
pub const HOST_MEMORY_NOT_REGISTERED: u32 = 713;

/// The status of a code other than [`SUCCESS`]. `short`: the status where no memory is left.
pub fn status(number: u32, short: tn_status) -> tn_status {
    match number {
        OUT_OF_MEMORY => short,
        NO_DEVICE | 101 => TN_ERR_DEVICE,
        NOT_READY => TN_ERR_PENDING,
        HOST_MEMORY_ALREADY_REGISTERED => TN_ERR_DUPLICATE,
        HOST_MEMORY_NOT_REGISTERED => TN_ERR_INVALID,
        720 => TN_ERR_LIMIT,
        801 | 900..=907 => TN_ERR_UNSUPPORTED,
        _ => TN_ERR_DRIVER,
    }
}

/// Whether the code means that the context does not exist, or is none: after a reset a new one can be retained.
pub fn is_of_context(number: u32) -> bool {
    matches!(number, 201 | 709)
}

/// Whether the code means that the driver cannot start now, and may later: the machine, or the MPS server, is not
/// ready.
pub fn is_passing(number: u32) -> bool {
    matches!(number, 802..=809)
}

/// Whether the code means that the context is lost, and the device is unusable for this process.
pub fn is_fatal(number: u32) -> bool {
    matches!(number, 214 | 220 | 226 | 700 | 702 | 709 | 710 | 714..=719 | 721 | 810 | 911)
}

/// Advice on an error, for the end of a message.
pub fn advice(number: u32) -> &'static str {
    match number {
        OUT_OF_MEMORY => "; free memory, or trim the pools",
        DEINITIALIZED => "; the process is ending, and the driver is gone",
        HOST_MEMORY_ALREADY_REGISTERED => {
            "; another library page-locked some of these bytes: unlock them there first, or do not register them"
        }
        34 => {
            "; the library that was found is the CUDA toolkit's stub for linking, and no driver: install the driver, or take the folder \
             `stubs` out of the library path"
        }
        720 => "; a cooperative launch needs all blocks to run at the same time: launch fewer of them",
        801 => "; this device or driver does not support it",
        802 => {
            "; the system is not ready yet, as on a machine with several GPUs until its fabric manager has started: try again"
        }
        803 => {
            "; the kernel module and the driver library have different versions: restart the machine, or install one version"
        }
        804 => "; the driver's compatibility package does not support this GPU: remove it from the library path",
        805 => "; the connection to the MPS server failed: try again, or restart the server",
        806 => "; the MPS server did not answer: try again, or restart the server",
        807 => "; the MPS server is not ready for new clients, perhaps because it recovers from an error: try again",
        808 => "; the MPS server has no room for another client: try again when one has ended",
        809 => "; the MPS server has no connections left on this device: try again when a client has ended",
        810 => "; the MPS server ended this client, and the process must be restarted",
        900..=907 => "; a stream captures a graph, which this call cannot be part of",
        _ if is_fatal(number) => "; this process cannot use the device any more, and must be restarted",
        _ => "",
    }
}

/// A result code with its name.
#[derive(Clone, Copy)]
pub struct Name {
    /// The code.
    pub number: u32,
    /// The driver's name for it.
    pub text: &'static str,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dv_7_every_number_has_a_status() {
        let of = |number| status(number, TN_ERR_NO_DEVICE_MEMORY);
        assert_eq!(of(2), TN_ERR_NO_DEVICE_MEMORY);
        assert_eq!(status(2, TN_ERR_NO_HOST_MEMORY), TN_ERR_NO_HOST_MEMORY);
        assert_eq!((of(100), of(101)), (TN_ERR_DEVICE, TN_ERR_DEVICE));
        assert_eq!((of(600), of(712), of(713)), (TN_ERR_PENDING, TN_ERR_DUPLICATE, TN_ERR_INVALID));
        assert_eq!(
            (of(801), of(900), of(907), of(908)),
            (TN_ERR_UNSUPPORTED, TN_ERR_UNSUPPORTED, TN_ERR_UNSUPPORTED, TN_ERR_DRIVER)
        );
        for number in [1, 4, 214, 700, 719, 999, 123_456, u32::MAX] {
            assert_eq!(of(number), TN_ERR_DRIVER, "{number}");
        }
        let fatal: Vec<u32> = (0..2000).filter(|number| is_fatal(*number)).collect();
        assert_eq!(fatal, [214, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 721, 810, 911]);
    }
}
