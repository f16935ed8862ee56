//! The driver's memory pools, as accounts: how much each has reserved of its device, and how much of that is used.

use crate::base::types::Handle;
use std::collections::BTreeMap;
use std::ffi::{c_int, c_uint};

#[derive(Default)]
pub struct Pools {
    pub pools: BTreeMap<Handle, Pool>,
    /// By device: the pool that always exists, and the one that cuMemAllocAsync takes from.
    pub default: BTreeMap<usize, Handle>,
    pub current: BTreeMap<usize, Handle>,
}

pub struct Pool {
    pub device: usize,
    pub max_bytes: u64,
    /// The three reuse attributes, which change nothing here.
    pub reuse: [c_int; 3],
    pub release_threshold: u64,
    pub reserved: u64,
    pub reserved_high: u64,
    pub used: u64,
    pub used_high: u64,
    /// The access of each device: 0, 1 (read), 3 (read and write).
    pub access: BTreeMap<usize, c_uint>,
}

impl Pool {
    pub fn new(device: usize, max_bytes: u64) -> Pool {
        Pool {
            device,
            max_bytes,
            reuse: [1; 3],
            release_threshold: 0,
            reserved: 0,
            reserved_high: 0,
            used: 0,
            used_high: 0,
            access: BTreeMap::from([(device, 3)]),
        }
    }
}

impl Pools {
    /// Whether a device may read and write the memory of a pool.
    pub fn allows(&self, pool: Handle, device: usize) -> bool {
        self.pools.get(&pool).is_some_and(|pool| pool.access.get(&device).is_some_and(|access| *access == 3))
    }
}
