//! Page-locked ranges of host memory.

use crate::base::types::{Address, Handle};
use std::collections::BTreeMap;
use std::ffi::c_uint;

#[derive(Clone)]
pub struct Pinned {
    /// Unique for the run: a range that is pinned again has another id.
    pub id: u64,
    pub size: u64,
    pub flags: c_uint,
    /// The program's own memory, by cuMemHostRegister; else the driver allocated it.
    pub registered: bool,
    pub context: Handle,
    pub device: usize,
    pub device_address: Address,
}

/// The page-locked ranges by host address; they do not overlap.
#[derive(Default)]
pub struct PinnedRanges {
    ranges: BTreeMap<usize, Pinned>,
    last_id: u64,
}

impl PinnedRanges {
    pub fn count(&self) -> usize {
        self.ranges.len()
    }

    /// Adds a range and gives it its id.
    pub fn insert(&mut self, host: usize, mut range: Pinned) {
        self.last_id += 1;
        range.id = self.last_id;
        self.ranges.insert(host, range);
    }

    pub fn remove(&mut self, host: usize) -> Option<Pinned> {
        self.ranges.remove(&host)
    }

    /// The range that begins at `host`.
    pub fn at(&self, host: usize) -> Option<&Pinned> {
        self.ranges.get(&host)
    }

    /// The range that contains all of [address, address + size), with its host address.
    pub fn covering(&self, address: usize, size: u64) -> Option<(usize, &Pinned)> {
        let (base, range) = self.ranges.range(..=address).next_back()?;
        let end = (address as u64).checked_add(size.max(1))?;
        (end <= *base as u64 + range.size).then_some((*base, range))
    }

    /// Whether the address is pinned.
    pub fn contains(&self, address: usize) -> bool {
        self.covering(address, 1).is_some()
    }

    /// Whether the range with this id still pins the address.
    pub fn contains_by(&self, address: usize, id: u64) -> bool {
        self.covering(address, 1).is_some_and(|(_, range)| range.id == id)
    }

    /// A range that has a byte in common with [address, address + size). A page in common does no harm.
    pub fn overlapping(&self, address: usize, size: u64) -> Option<&Pinned> {
        let end = address as u64 + size;
        let shares =
            |(base, range): &(&usize, &Pinned)| (**base as u64) < end && (address as u64) < **base as u64 + range.size;
        self.ranges.iter().find(shares).map(|(_, range)| range)
    }

    /// The host addresses of a context's ranges.
    pub fn of_context(&self, context: Handle) -> Vec<usize> {
        self.ranges.iter().filter(|(_, range)| range.context == context).map(|(host, _)| *host).collect()
    }
}
