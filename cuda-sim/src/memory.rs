//! Device memory: allocating and freeing it, asking how much there is.

use crate::entry::{Call, put, put_if};
use crate::space::What;
use crate::status::*;
use crate::types::{Address, Handle};
use crate::world::World;
use std::ffi::c_uint;

/// What an allocation costs of the device's memory: whole units of this size.
const UNIT: u64 = 512;

pub fn charged(size: u64) -> u64 {
    size.next_multiple_of(UNIT)
}

impl World {
    /// New memory of the context's device with junk in it.
    pub fn allocate(&mut self, what: What, context: Handle, size: u64) -> Answer<Address> {
        if size == 0 {
            return Err(INVALID_VALUE);
        }
        let device = self.contexts.get(&context).ok_or(INVALID_CONTEXT)?.device;
        if size > self.devices[device].memory {
            return Err(OUT_OF_MEMORY);
        }
        self.devices[device].charge(charged(size))?;
        let made = self.space.allocate(what, device, context, size, self.config.junk);
        if made.is_err() {
            self.devices[device].used -= charged(size);
        }
        made
    }

    /// Frees what begins at `base`; nobody uses it any more, or faults.
    pub fn release_memory(&mut self, base: Address) {
        if let Some(region) = self.space.remove(base) {
            let device = &mut self.devices[region.device];
            device.used = device.used.saturating_sub(charged(region.size));
        }
    }
}

impl World {
    /// As `Space::resolve`, for work that runs on the context's device itself (fills, kernels): it reaches another device's memory only
    /// if that was enabled. Copies need no such thing.
    pub fn resolve_directly(&self, context: Handle, address: Address, size: u64) -> Answer<*mut u8> {
        let known = self.contexts.get(&context).ok_or(CONTEXT_IS_DESTROYED)?;
        if let Some(region) = self.space.find(address)
            && region.device != known.device
            && match region.what {
                What::Device => !known.peers.contains(&region.device),
                What::Pooled => !self.pool_reaches(region.pool, known.device),
                _ => false,
            }
        {
            return Err(ILLEGAL_ADDRESS);
        }
        self.space.resolve(address, size, known.device, true)
    }
}

impl Call<'_> {
    /// As the real driver does before it gives memory back: waits for the device, if there is something to wait for.
    pub fn settle(&mut self, device: usize) -> Answer {
        let pending = |world: &World| {
            world.streams.values().any(|stream| {
                !stream.is_idle() && world.contexts.get(&stream.context).is_some_and(|context| context.device == device)
            })
        };
        if !pending(&self.world) {
            return Ok(());
        }
        self.notes.implicit_synchronizes += 1;
        if self.config.free_waits { self.wait(move |world| !pending(world)) } else { Ok(()) }
    }
}

driver! {
    fn cuMemAlloc_v2(out: *mut Address, size: usize) in Context => |call| {
        call.uncaptured()?;
        let context = call.context;
        put(out, call.allocate(What::Device, context, size as u64)?)
    }

    fn cuMemAllocPitch_v2(out: *mut Address, pitch: *mut usize, width: usize, height: usize, element: c_uint) in Context => |call| {
        if width == 0 || height == 0 || !matches!(element, 4 | 8 | 16) {
            return Err(INVALID_VALUE);
        }
        call.uncaptured()?;
        let row = width.checked_next_multiple_of(512).ok_or(INVALID_VALUE)?;
        let size = row.checked_mul(height).ok_or(INVALID_VALUE)?;
        let context = call.context;
        put(out, call.allocate(What::Device, context, size as u64)?)?;
        put(pitch, row)
    }

    fn cuMemFree_v2(address: Address) in Context => |call| {
        if address == 0 {
            return Ok(());
        }
        let region = call.space.at(address).ok_or(INVALID_VALUE)?;
        let (what, device) = (region.what, region.device);
        match what {
            What::Device | What::Managed | What::Pooled => {}
            _ => return Err(INVALID_VALUE),
        }
        call.uncaptured()?;
        // For memory of a pool the driver does not wait: whoever frees it so says that all work on it is done.
        if what != What::Pooled {
            call.settle(device)?;
        }
        match what {
            What::Managed => call.release_managed(address),
            What::Pooled => call.release_pooled(address),
            _ => call.release_memory(address),
        }
        Ok(())
    }

    fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) in Context => |call| {
        let device = &call.devices[call.device()];
        put_if(free, (device.memory - device.used) as usize);
        put_if(total, device.memory as usize);
        Ok(())
    }

    fn cuMemGetAddressRange_v2(base: *mut Address, size: *mut usize, address: Address) in Context => |call| {
        let region = call.space.find(address).ok_or(NOT_FOUND)?;
        put_if(base, region.base);
        put_if(size, region.size as usize);
        Ok(())
    }

}
