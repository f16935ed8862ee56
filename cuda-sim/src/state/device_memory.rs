//! Device memory as the machine has it: charged to a device, placed in the address space, checked when work uses it.

use super::device::charged_bytes;
use super::machine::Machine;
use crate::base::status::*;
use crate::base::types::{Address, Handle};
use crate::memory::region::MemoryKind;

impl Machine {
    /// Allocates memory of the context's device.
    pub fn allocate(&mut self, kind: MemoryKind, context: Handle, size: u64) -> Answer<Address> {
        if size == 0 {
            return Err(INVALID_VALUE);
        }
        let device = self.contexts.get(&context).ok_or(INVALID_CONTEXT)?.device;
        if size > self.devices[device].memory {
            return Err(OUT_OF_MEMORY);
        }
        self.devices[device].charge(charged_bytes(size))?;
        let made = self.space.allocate(kind, device, context, size, self.config.junk);
        if made.is_err() {
            self.devices[device].refund(charged_bytes(size));
        }
        made
    }

    /// Frees what begins at `base`, also while work still uses it: that work faults.
    pub fn free_memory(&mut self, base: Address) {
        if let Some(region) = self.space.remove(base) {
            self.devices[region.device].refund(charged_bytes(region.size));
        }
    }

    /// As `Space::resolve`, for fills, which run on the context's device itself: they reach another device's memory
    /// only with peer access. Copies need none.
    pub fn resolve_directly(&self, context: Handle, address: Address, size: u64) -> Answer<*mut u8> {
        let known = self.contexts.get(&context).ok_or(CONTEXT_IS_DESTROYED)?;
        if let Some(region) = self.space.find(address)
            && region.device != known.device
            && match region.kind {
                MemoryKind::Device => !known.peers.contains(&region.device),
                MemoryKind::Pooled => !self.pools.allows(region.pool, known.device),
                _ => false,
            }
        {
            return Err(ILLEGAL_ADDRESS);
        }
        self.space.resolve(address, size, known.device, true)
    }
}
