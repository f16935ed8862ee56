//! What the driver's numbers mean: its result codes as statuses of ours (DV-7).
//!
//! Contract: any number has a meaning, also one that is newer than this library: then it is a failure of the driver.

use crate::types::*;
use core::fmt;

/// All went well.
pub const SUCCESS: u32 = 0;
/// An argument that the driver does not take.
pub const INVALID_VALUE: u32 = 1;
/// No memory left, of whatever kind was asked for.
pub const OUT_OF_MEMORY: u32 = 2;
/// The process ends, and the driver is gone already.
pub const DEINITIALIZED: u32 = 4;
/// No device at all.
pub const NO_DEVICE: u32 = 100;
/// The work is not finished.
pub const NOT_READY: u32 = 600;
/// The range is page-locked already.
pub const HOST_MEMORY_ALREADY_REGISTERED: u32 = 712;
/// The range is not page-locked.
pub const HOST_MEMORY_NOT_REGISTERED: u32 = 713;

/// The status of a number that is not [`SUCCESS`]. `short`: the status where memory is short.
pub fn status(number: u32, short: tn_status) -> tn_status {
    match number {
        OUT_OF_MEMORY => short,
        NO_DEVICE | 101 => TN_ERR_DEVICE,
        NOT_READY => TN_ERR_PENDING,
        HOST_MEMORY_ALREADY_REGISTERED => TN_ERR_DUPLICATE,
        HOST_MEMORY_NOT_REGISTERED => TN_ERR_INVALID,
        801 | 900..=907 => TN_ERR_UNSUPPORTED,
        _ => TN_ERR_DRIVER,
    }
}

/// Whether the context is lost: nothing works on that device any more.
pub fn is_fatal(number: u32) -> bool {
    matches!(number, 214 | 220 | 226 | 700 | 702 | 709 | 710 | 714..=719 | 721)
}

/// What to do about a number, for the end of a text.
pub fn advice(number: u32) -> &'static str {
    match number {
        OUT_OF_MEMORY => "; free some memory, or trim the pools",
        DEINITIALIZED => "; the process is ending, and the driver is gone",
        HOST_MEMORY_ALREADY_REGISTERED => {
            "; another library page-locked some of these bytes: end that first, or go without"
        }
        801 => "; this device or driver cannot do that",
        900..=907 => "; a stream is capturing a graph, which this cannot be part of",
        _ if is_fatal(number) => "; the device is lost to this process, which has to be started anew",
        _ => "",
    }
}

/// A number with its name.
#[derive(Clone, Copy)]
pub struct Name {
    /// As the driver gave it.
    pub number: u32,
    /// As the driver calls it.
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
        assert_eq!(fatal, [214, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 721]);
    }
}
