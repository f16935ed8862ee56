//! Device memory: allocating and freeing it, asking how much is left.

use crate::base::args::{put, put_optional};
use crate::base::status::*;
use crate::base::types::Address;
use crate::entry::enter::driver;
use crate::memory::region::MemoryKind;
use std::ffi::c_uint;

/// Rows of pitched memory begin at multiples of this.
const PITCH_BYTES: usize = 512;

driver! {
    fn cuMemAlloc_v2(out: *mut Address, size: usize) in Context => |call| {
        call.refuse_in_capture()?;
        let context = call.context;
        put(out, call.allocate(MemoryKind::Device, context, size as u64)?)
    }

    fn cuMemAllocPitch_v2(out: *mut Address, pitch: *mut usize, width: usize, height: usize, element: c_uint) in Context => |call| {
        if width == 0 || height == 0 || !matches!(element, 4 | 8 | 16) {
            return Err(INVALID_VALUE);
        }
        call.refuse_in_capture()?;
        let row = width.checked_next_multiple_of(PITCH_BYTES).ok_or(INVALID_VALUE)?;
        let size = row.checked_mul(height).ok_or(INVALID_VALUE)?;
        let context = call.context;
        put(out, call.allocate(MemoryKind::Device, context, size as u64)?)?;
        put(pitch, row)
    }

    fn cuMemFree_v2(address: Address) in Context => |call| {
        if address == 0 {
            return Ok(());
        }
        let region = call.space.at(address).ok_or(INVALID_VALUE)?;
        let (kind, device) = (region.kind, region.device);
        match kind {
            MemoryKind::Device | MemoryKind::Managed | MemoryKind::Pooled => {}
            _ => return Err(INVALID_VALUE),
        }
        call.refuse_in_capture()?;
        // The driver does not wait for pooled memory: the caller ensures that all work on it is done.
        if kind != MemoryKind::Pooled {
            call.wait_before_free(device)?;
        }
        match kind {
            MemoryKind::Managed => call.free_managed(address),
            MemoryKind::Pooled => call.free_pooled(address),
            _ => call.free_memory(address),
        }
        Ok(())
    }

    fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) in Context => |call| {
        let device = &call.devices[call.device()];
        put_optional(free, (device.memory - device.used) as usize);
        put_optional(total, device.memory as usize);
        Ok(())
    }

    fn cuMemGetAddressRange_v2(base: *mut Address, size: *mut usize, address: Address) in Context => |call| {
        let region = call.space.find(address).ok_or(NOT_FOUND)?;
        put_optional(base, region.base);
        put_optional(size, region.size as usize);
        Ok(())
    }
}
