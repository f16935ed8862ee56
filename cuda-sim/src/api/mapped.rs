//! Mapped memory (virtual memory management): reserved addresses, physical memory, and mapping the second into the
//! first.
//!
//! A mapping appears in the shadow of its reservation, so a range over several mappings is contiguous there too. Access
//! is set per device and per mapping; at first there is none. Unmapping does not wait: work that still uses the range
//! faults.

use crate::base::args::{get, put};
use crate::base::config::MAX_DEVICES;
use crate::base::status::*;
use crate::base::types::*;
use crate::entry::call::Call;
use crate::entry::enter::driver;
use crate::memory::pages::{fill_with_junk, map_file, reserve_again};
use crate::memory::region::{Mapping, MemoryKind, Region};
use crate::memory::shared::SharedHandle;
use crate::state::device::VIRTUAL_MEMORY_MANAGEMENT;
use crate::state::machine::{HandleKind, Machine};
use crate::state::physical::Physical;
use std::ffi::{c_int, c_uint, c_ulonglong, c_void};

/// The size of all reservations, physical memory and mappings is a multiple of this.
const GRANULE_BYTES: u64 = 2 << 20;
const PINNED: u32 = 1;
/// CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR.
const FILE_DESCRIPTOR: u32 = 1;
const NO_ACCESS: u32 = 0;
const READ: u32 = 1;
const READ_WRITE: u32 = 3;

impl Machine {
    /// Frees physical memory that has neither handles nor mappings.
    fn free_if_unreferenced(&mut self, handle: Handle) {
        if self.physical.get(&handle).is_none_or(|known| known.handles + known.mappings > 0) {
            return;
        }
        let Some(gone) = self.physical.remove(&handle) else { return };
        match gone.foreign {
            // SAFETY: a descriptor that was opened for this memory alone.
            Some(file) => drop(unsafe { libc::close(file) }),
            None => {
                self.space.store.punch_hole(gone.offset, gone.size);
                self.devices[gone.device].refund(gone.size);
            }
        }
    }

    /// The reservation that contains a range.
    fn reservation(&self, address: Address, size: u64) -> Answer<&Region> {
        let region =
            self.space.find(address).filter(|region| region.kind == MemoryKind::Reserved).ok_or(INVALID_VALUE)?;
        if size == 0 || size > region.size - (address - region.base) { Err(INVALID_VALUE) } else { Ok(region) }
    }

    /// The reservation's base, and the offsets of the mappings that make up exactly the range.
    fn mappings(&self, address: Address, size: u64) -> Answer<(Address, Vec<u64>)> {
        let region = self.reservation(address, size)?;
        let (mut at, end) = (address - region.base, address - region.base + size);
        let mut found = Vec::new();
        while at < end {
            let mapping = region.mapped.get(&at).ok_or(INVALID_VALUE)?;
            found.push(at);
            at += mapping.size;
        }
        if at == end { Ok((region.base, found)) } else { Err(INVALID_VALUE) }
    }
}

/// Reads and checks allocation properties; the device is None for host memory.
fn checked_prop(call: &Call, prop: *const AllocationProp) -> Answer<(AllocationProp, Option<usize>)> {
    let prop = get(prop)?;
    if prop.kind != PINNED || prop.handle_types & !FILE_DESCRIPTOR != 0 {
        return Err(INVALID_VALUE);
    }
    let device = call.device_at(prop.location)?;
    match device {
        Some(device) if call.devices[device].attribute(VIRTUAL_MEMORY_MANAGEMENT)? == 0 => Err(NOT_SUPPORTED),
        _ => Ok((prop, device)),
    }
}

driver! {
    fn cuMemGetAllocationGranularity(out: *mut usize, prop: *const AllocationProp, option: c_uint) in Init => |call| {
        if option > 1 {
            return Err(INVALID_VALUE);
        }
        checked_prop(call, prop)?;
        put(out, GRANULE_BYTES as usize)
    }

    fn cuMemAddressReserve(out: *mut Address, size: usize, alignment: usize, wanted: Address, flags: c_ulonglong) in Init => |call| {
        let alignment = if alignment == 0 { GRANULE_BYTES } else { alignment as u64 };
        if size == 0 || !(size as u64).is_multiple_of(GRANULE_BYTES) || !alignment.is_power_of_two() || flags != 0 {
            return Err(INVALID_VALUE);
        }
        let wanted = if wanted.is_multiple_of(alignment.max(GRANULE_BYTES)) { wanted } else { 0 };
        let (base, shadow) = call.space.reserve(size as u64, alignment.max(GRANULE_BYTES), wanted)?;
        call.space.insert(Region::new(MemoryKind::Reserved, base, size as u64, 0, 0, shadow));
        put(out, base)
    }

    fn cuMemAddressFree(address: Address, size: usize) in Init => |call| {
        let region = call.space.at(address).filter(|region| region.kind == MemoryKind::Reserved).ok_or(INVALID_VALUE)?;
        if region.size != size as u64 || !region.mapped.is_empty() {
            return Err(INVALID_VALUE);
        }
        if let Some(region) = call.space.remove(address) {
            call.space.unreserve(region.base, region.bytes, region.size);
        }
        Ok(())
    }

    fn cuMemCreate(out: *mut Handle, size: usize, prop: *const AllocationProp, flags: c_ulonglong) in Init => |call| {
        let (prop, device) = checked_prop(call, prop)?;
        let (size, device) = (size as u64, device.ok_or(NOT_SUPPORTED)?);
        if size == 0 || !size.is_multiple_of(GRANULE_BYTES) || flags != 0 {
            return Err(INVALID_VALUE);
        }
        call.devices[device].charge(size)?;
        let offset = match call.space.store.take(size) {
            Ok(offset) => offset,
            Err(code) => {
                call.devices[device].refund(size);
                return Err(code);
            }
        };
        let handle_types = prop.handle_types;
        let made = Physical { size, device, offset, handle_types, handles: 1, mappings: 0, fresh: true, foreign: None };
        let handle = call.new_handle(HandleKind::Physical);
        call.physical.insert(handle, made);
        put(out, handle)
    }

    fn cuMemRelease(handle: Handle) in Init => |call| {
        let known = call.physical.get_mut(&handle).filter(|known| known.handles > 0).ok_or(INVALID_VALUE)?;
        known.handles -= 1;
        call.free_if_unreferenced(handle);
        Ok(())
    }

    fn cuMemRetainAllocationHandle(out: *mut Handle, address: *mut c_void) in Init => |call| {
        let region = call.reservation(address as Address, 1)?;
        let offset = address as Address - region.base;
        let (_, mapping) = region.mapping_at(offset).ok_or(INVALID_VALUE)?;
        let handle = mapping.physical;
        call.physical.get_mut(&handle).ok_or(INVALID_VALUE)?.handles += 1;
        put(out, handle)
    }

    fn cuMemGetAllocationPropertiesFromHandle(prop: *mut AllocationProp, handle: Handle) in Init => |call| {
        let known = call.physical.get(&handle).ok_or(INVALID_VALUE)?;
        let location = Location { kind: LOCATION_DEVICE, id: known.device as c_int };
        let win32 = std::ptr::null_mut();
        put(prop, AllocationProp { kind: PINNED, handle_types: known.handle_types, location, win32, compression: 0, rdma: 0, usage: 0, reserved: [0; 4] })
    }

    fn cuMemMap(address: Address, size: usize, offset: usize, handle: Handle, flags: c_ulonglong) in Init => |call| {
        let size = size as u64;
        let known = call.physical.get(&handle).ok_or(INVALID_VALUE)?;
        if flags != 0 || offset != 0 || size != known.size || !address.is_multiple_of(GRANULE_BYTES) {
            return Err(INVALID_VALUE);
        }
        let region = call.reservation(address, size)?;
        let start = address - region.base;
        let overlaps = region.mapped.range(..start + size).next_back().is_some_and(|(at, mapping)| at + mapping.size > start);
        if overlaps {
            return Err(ALREADY_MAPPED);
        }
        let (base, place) = (region.base, region.bytes + start as usize);
        let (stored_at, device, fresh, foreign) = (known.offset, known.device, known.fresh, known.foreign);
        match foreign {
            Some(file) => map_file(file, stored_at, size, Some(place))?,
            None => call.space.store.map(stored_at, size, Some(place))?,
        };
        if fresh && call.config.junk {
            fill_with_junk(place, size, &mut call.world.random);
        }
        if let Some(known) = call.physical.get_mut(&handle) {
            (known.fresh, known.mappings) = (false, known.mappings + 1);
        }
        let mapping = Mapping { size, physical: handle, device, access: [0; MAX_DEVICES] };
        call.space.at_mut(base).ok_or(INVALID_VALUE)?.mapped.insert(start, mapping);
        Ok(())
    }

    fn cuMemUnmap(address: Address, size: usize) in Init => |call| {
        let (base, offsets) = call.mappings(address, size as u64)?;
        for offset in offsets {
            let region = call.world.space.at_mut(base).ok_or(INVALID_VALUE)?;
            let place = region.bytes + offset as usize;
            let Some(mapping) = region.mapped.remove(&offset) else { continue };
            reserve_again(place, mapping.size)?;
            if let Some(known) = call.physical.get_mut(&mapping.physical) {
                known.mappings -= 1;
            }
            call.free_if_unreferenced(mapping.physical);
        }
        Ok(())
    }

    fn cuMemSetAccess(address: Address, size: usize, descriptions: *const AccessDesc, count: usize) in Init => |call| {
        let (base, offsets) = call.mappings(address, size as u64)?;
        for at in 0..count {
            let AccessDesc { location, flags } = get(descriptions.wrapping_add(at))?;
            let device = call.device_at(location)?.ok_or(NOT_SUPPORTED)?;
            if !matches!(flags, NO_ACCESS | READ | READ_WRITE) {
                return Err(INVALID_VALUE);
            }
            let peers = call.config.peers;
            for offset in &offsets {
                let region = call.space.at_mut(base).ok_or(INVALID_VALUE)?;
                let mapping = region.mapped.get_mut(offset).ok_or(INVALID_VALUE)?;
                if mapping.device != device && !peers {
                    return Err(INVALID_DEVICE);
                }
                mapping.access[device] = flags as u8;
            }
        }
        Ok(())
    }

    fn cuMemGetAccess(flags: *mut c_ulonglong, location: *const Location, address: Address) in Init => |call| {
        let device = call.device_at(get(location)?)?.ok_or(INVALID_VALUE)?;
        let region = call.reservation(address, 1)?;
        let offset = address - region.base;
        let (_, mapping) = region.mapping_at(offset).ok_or(INVALID_VALUE)?;
        put(flags, mapping.access[device].into())
    }

    fn cuMemExportToShareableHandle(out: *mut c_void, handle: Handle, kind: c_uint, flags: c_ulonglong) in Init => |call| {
        let known = call.physical.get(&handle).ok_or(INVALID_VALUE)?;
        if kind != FILE_DESCRIPTOR || known.handle_types & FILE_DESCRIPTOR == 0 || flags != 0 {
            return Err(INVALID_VALUE);
        }
        let (offset, size, device) = (known.offset, known.size, known.device);
        put(out.cast(), call.space.store.shared_handle(offset, size, device, 0)?.into_file()?)
    }

    fn cuMemImportFromShareableHandle(out: *mut Handle, handle: *mut c_void, kind: c_uint) in Init => |call| {
        if kind != FILE_DESCRIPTOR {
            return Err(INVALID_VALUE);
        }
        // The pointer's value is the descriptor.
        let shared = SharedHandle::from_file(handle as usize as c_int)?;
        let device = call.ordinal(shared.device as c_int)?;
        let is_it = |known: &Physical| known.foreign.is_none() && known.offset == shared.offset;
        let same = call.physical.iter().find(|(_, known)| shared.is_ours() && is_it(known)).map(|(handle, _)| *handle);
        if let Some(same) = same {
            if let Some(known) = call.physical.get_mut(&same) {
                known.handles += 1;
            }
            return put(out, same);
        }
        let SharedHandle { offset, size, .. } = shared;
        let foreign = Some(shared.open()?);
        let handle_types = FILE_DESCRIPTOR;
        let imported = Physical { size, device, offset, handle_types, handles: 1, mappings: 0, fresh: false, foreign };
        let handle = call.new_handle(HandleKind::Physical);
        call.physical.insert(handle, imported);
        put(out, handle)
    }
}
