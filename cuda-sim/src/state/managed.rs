//! The advice that a program gave about managed allocations.

use std::collections::BTreeSet;
use std::ffi::c_int;

/// CU_DEVICE_CPU, in place of a device.
pub const CPU: c_int = -1;
/// CU_DEVICE_INVALID: no location was advised.
pub const NOWHERE: c_int = -2;

pub struct Advice {
    pub read_mostly: bool,
    pub preferred: c_int,
    pub accessed_by: BTreeSet<c_int>,
    /// The location of the last prefetch that ran.
    pub prefetched: c_int,
}

impl Default for Advice {
    fn default() -> Advice {
        Advice { read_mostly: false, preferred: NOWHERE, accessed_by: BTreeSet::new(), prefetched: NOWHERE }
    }
}
