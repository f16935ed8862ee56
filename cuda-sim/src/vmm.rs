//! Virtual memory management: addresses without memory, memory without addresses, and the one mapped into the other.
//!
//! A mapping appears in the shadow of its reservation, so ranges over several mappings are contiguous there too. Access is per device
//! and per mapping, and none until it is given. Unmapping does not wait: work that still uses the range faults.

use crate::context::located;
use crate::entry::{Call, get, put};
use crate::space::{Mapping, Region, What, scribble, unmap_shadow};
use crate::status::*;
use crate::types::*;
use crate::world::{Kind, World};
use std::ffi::{c_int, c_uint, c_ulonglong, c_void};

pub const GRANULE: u64 = 2 << 20;
const PINNED: u32 = 1;
/// CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR.
const FILE_DESCRIPTOR: u32 = 1;
const NO_ACCESS: u32 = 0;
const READ: u32 = 1;
const READ_WRITE: u32 = 3;

/// Memory by cuMemCreate: part of the store.
pub struct Physical {
    pub size: u64,
    pub device: usize,
    pub offset: u64,
    pub handle_types: u32,
    /// Handles that the program holds, and places where it is mapped: it ends with the last of both.
    handles: u32,
    mappings: u32,
    /// Nothing was written yet: the first mapping fills it with junk.
    fresh: bool,
    /// The store of the process that it comes from; None: ours.
    foreign: Option<i32>,
}

impl Physical {
    pub fn imported(file: i32, offset: u64, size: u64, device: usize) -> Physical {
        let handle_types = FILE_DESCRIPTOR;
        Physical { size, device, offset, handle_types, handles: 1, mappings: 0, fresh: false, foreign: Some(file) }
    }
}

impl World {
    fn drop_physical(&mut self, handle: Handle) {
        if self.physical.get(&handle).is_none_or(|known| known.handles + known.mappings > 0) {
            return;
        }
        let Some(gone) = self.physical.remove(&handle) else { return };
        match gone.foreign {
            // SAFETY: a descriptor that was opened for this memory alone.
            Some(file) => drop(unsafe { libc::close(file) }),
            None => {
                self.space.drop_stored(gone.offset, gone.size);
                let device = &mut self.devices[gone.device];
                device.used = device.used.saturating_sub(gone.size);
            }
        }
    }

    fn reservation(&self, address: Address, size: u64) -> Answer<&Region> {
        let region = self.space.find(address).filter(|region| region.what == What::Reserved).ok_or(INVALID_VALUE)?;
        if size == 0 || size > region.size - (address - region.base) { Err(INVALID_VALUE) } else { Ok(region) }
    }

    /// The offsets of the mappings that make up exactly the range; every byte of it must be mapped.
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

fn described(call: &Call, prop: *const AllocationProp) -> Answer<(AllocationProp, Option<usize>)> {
    let prop = get(prop)?;
    if prop.kind != PINNED || prop.handle_types & !FILE_DESCRIPTOR != 0 {
        return Err(INVALID_VALUE);
    }
    let device = located(call, prop.location)?;
    match device {
        Some(device) if call.devices[device].attribute(102)? == 0 => Err(NOT_SUPPORTED),
        _ => Ok((prop, device)),
    }
}

driver! {
    fn cuMemGetAllocationGranularity(out: *mut usize, prop: *const AllocationProp, option: c_uint) in Init => |call| {
        if option > 1 {
            return Err(INVALID_VALUE);
        }
        described(call, prop)?;
        put(out, GRANULE as usize)
    }

    fn cuMemAddressReserve(out: *mut Address, size: usize, alignment: usize, wanted: Address, flags: c_ulonglong) in Init => |call| {
        let alignment = if alignment == 0 { GRANULE } else { alignment as u64 };
        if size == 0 || !(size as u64).is_multiple_of(GRANULE) || !alignment.is_power_of_two() || flags != 0 {
            return Err(INVALID_VALUE);
        }
        let wanted = if wanted.is_multiple_of(alignment.max(GRANULE)) { wanted } else { 0 };
        let (base, shadow) = call.space.reserve(size as u64, alignment.max(GRANULE), wanted)?;
        call.space.insert(base, size as u64, What::Reserved, 0, 0, shadow);
        put(out, base)
    }

    fn cuMemAddressFree(address: Address, size: usize) in Init => |call| {
        let region = call.space.at(address).filter(|region| region.what == What::Reserved).ok_or(INVALID_VALUE)?;
        if region.size != size as u64 || !region.mapped.is_empty() {
            return Err(INVALID_VALUE);
        }
        if let Some(region) = call.space.remove(address) {
            call.space.unreserve(region.base, region.bytes, region.size);
        }
        Ok(())
    }

    fn cuMemCreate(out: *mut Handle, size: usize, prop: *const AllocationProp, flags: c_ulonglong) in Init => |call| {
        let (prop, device) = described(call, prop)?;
        let (size, device) = (size as u64, device.ok_or(NOT_SUPPORTED)?);
        if size == 0 || !size.is_multiple_of(GRANULE) || flags != 0 {
            return Err(INVALID_VALUE);
        }
        call.devices[device].charge(size)?;
        let offset = match call.space.take(size) {
            Ok(offset) => offset,
            Err(code) => {
                call.devices[device].used -= size;
                return Err(code);
            }
        };
        let handle_types = prop.handle_types;
        let made = Physical { size, device, offset, handle_types, handles: 1, mappings: 0, fresh: true, foreign: None };
        let handle = call.handle(Kind::Physical);
        call.physical.insert(handle, made);
        put(out, handle)
    }

    fn cuMemRelease(handle: Handle) in Init => |call| {
        let known = call.physical.get_mut(&handle).filter(|known| known.handles > 0).ok_or(INVALID_VALUE)?;
        known.handles -= 1;
        call.drop_physical(handle);
        Ok(())
    }

    fn cuMemRetainAllocationHandle(out: *mut Handle, address: *mut c_void) in Init => |call| {
        let region = call.reservation(address as Address, 1)?;
        let offset = address as Address - region.base;
        let (_, mapping) = region.mapped.range(..=offset).next_back().filter(|(at, mapping)| offset < **at + mapping.size).ok_or(INVALID_VALUE)?;
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
        if flags != 0 || offset != 0 || size != known.size || !address.is_multiple_of(GRANULE) {
            return Err(INVALID_VALUE);
        }
        let region = call.reservation(address, size)?;
        let start = address - region.base;
        let touched = region.mapped.range(..start + size).next_back().is_some_and(|(at, mapping)| at + mapping.size > start);
        if touched {
            return Err(ALREADY_MAPPED);
        }
        let (base, place) = (region.base, region.bytes + start as usize);
        let (stored, device, fresh, foreign) = (known.offset, known.device, known.fresh, known.foreign);
        call.space.map_stored(foreign, stored, size, Some(place))?;
        if fresh && call.config.junk {
            scribble(place, size, &mut call.world.random);
        }
        if let Some(known) = call.physical.get_mut(&handle) {
            (known.fresh, known.mappings) = (false, known.mappings + 1);
        }
        let mapping = Mapping { size, physical: handle, device, access: [0; crate::config::MOST_DEVICES] };
        call.space.at_mut(base).ok_or(INVALID_VALUE)?.mapped.insert(start, mapping);
        Ok(())
    }

    fn cuMemUnmap(address: Address, size: usize) in Init => |call| {
        let (base, offsets) = call.mappings(address, size as u64)?;
        for offset in offsets {
            let region = call.world.space.at_mut(base).ok_or(INVALID_VALUE)?;
            let place = region.bytes + offset as usize;
            let Some(mapping) = region.mapped.remove(&offset) else { continue };
            unmap_shadow(place, mapping.size)?;
            if let Some(known) = call.physical.get_mut(&mapping.physical) {
                known.mappings -= 1;
            }
            call.drop_physical(mapping.physical);
        }
        Ok(())
    }

    fn cuMemSetAccess(address: Address, size: usize, descriptions: *const AccessDesc, count: usize) in Init => |call| {
        let (base, offsets) = call.mappings(address, size as u64)?;
        for at in 0..count {
            let AccessDesc { location, flags } = get(descriptions.wrapping_add(at))?;
            let device = located(call, location)?.ok_or(NOT_SUPPORTED)?;
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
        let device = located(call, get(location)?)?.ok_or(INVALID_VALUE)?;
        let region = call.reservation(address, 1)?;
        let offset = address - region.base;
        let (_, mapping) = region.mapped.range(..=offset).next_back().filter(|(at, mapping)| offset < **at + mapping.size).ok_or(INVALID_VALUE)?;
        put(flags, mapping.access[device].into())
    }

    fn cuMemExportToShareableHandle(out: *mut c_void, handle: Handle, kind: c_uint, flags: c_ulonglong) in Init => |call| {
        let known = call.physical.get(&handle).ok_or(INVALID_VALUE)?;
        if kind != FILE_DESCRIPTOR || known.handle_types & FILE_DESCRIPTOR == 0 || flags != 0 {
            return Err(INVALID_VALUE);
        }
        let shared = crate::ipc::Shared { offset: known.offset, size: known.size, device: known.device as u64, ..call.space.shared()? };
        put(out.cast(), crate::ipc::into_file(&shared)?)
    }

    fn cuMemImportFromShareableHandle(out: *mut Handle, handle: *mut c_void, kind: c_uint) in Init => |call| {
        if kind != FILE_DESCRIPTOR {
            return Err(INVALID_VALUE);
        }
        // The descriptor itself travels in the pointer.
        let shared = crate::ipc::from_file(handle as usize as c_int)?;
        let device = call.ordinal(shared.device as c_int)?;
        let ours = |known: &Physical| known.foreign.is_none() && known.offset == shared.offset;
        let same = call.physical.iter().find(|(_, known)| shared.is_ours() && ours(known)).map(|(handle, _)| *handle);
        if let Some(same) = same {
            if let Some(known) = call.physical.get_mut(&same) {
                known.handles += 1;
            }
            return put(out, same);
        }
        let imported = Physical::imported(shared.open()?, shared.offset, shared.size, device);
        let handle = call.handle(Kind::Physical);
        call.physical.insert(handle, imported);
        put(out, handle)
    }
}
