//! What the driver tells about an address.

use crate::base::args::{get, put};
use crate::base::status::*;
use crate::base::types::{Address, Handle, MEMORY_DEVICE, MEMORY_HOST};
use crate::entry::call::Call;
use crate::entry::enter::driver;
use crate::memory::region::{MemoryKind, Region};
use std::ffi::{c_int, c_uint, c_void};

/// An address of any kind of memory that the driver knows.
struct PointerInfo {
    kind: MemoryKind,
    context: Handle,
    device: usize,
    base: u64,
    size: u64,
    id: u64,
    device_pointer: Address,
    host_pointer: Option<u64>,
    pool: Handle,
}

/// None: plain host memory, or nothing at all.
fn pointer_info(call: &Call, address: Address) -> Option<PointerInfo> {
    match call.space.find(address) {
        Some(region) if region.kind == MemoryKind::Reserved => info_of_mapping(call, region, address),
        Some(region) => Some(info_of_region(region, address)),
        None => info_of_host_address(call, address),
    }
}

fn info_of_region(region: &Region, address: Address) -> PointerInfo {
    let offset = address - region.base;
    PointerInfo {
        kind: region.kind,
        context: if region.kind == MemoryKind::Pooled { 0 } else { region.context },
        device: region.device,
        base: if region.kind == MemoryKind::Pinned { region.bytes as u64 } else { region.base },
        size: region.size,
        id: region.id,
        device_pointer: address,
        host_pointer: region.kind.is_on_host().then(|| region.bytes as u64 + offset),
        pool: region.pool,
    }
}

fn info_of_mapping(call: &Call, region: &Region, address: Address) -> Option<PointerInfo> {
    let (start, mapping) = region.mapping_at(address - region.base)?;
    Some(PointerInfo {
        kind: region.kind,
        context: call.devices[mapping.device].primary,
        device: mapping.device,
        base: region.base + start,
        size: mapping.size,
        id: region.id,
        device_pointer: address,
        host_pointer: None,
        pool: 0,
    })
}

/// The host address of pinned memory whose device address is another one.
fn info_of_host_address(call: &Call, address: Address) -> Option<PointerInfo> {
    let (base, range) = call.pinned.covering(address as usize, 1)?;
    Some(PointerInfo {
        kind: MemoryKind::Pinned,
        context: range.context,
        device: range.device,
        base: base as u64,
        size: range.size,
        id: call.space.at(range.device_address).map_or(0, |region| region.id),
        device_pointer: range.device_address + (address - base as u64),
        host_pointer: Some(address),
        pool: 0,
    })
}

/// Writes one attribute; an error where it does not apply to the address.
fn attribute(call: &Call, data: *mut c_void, attribute: c_uint, address: Address) -> Answer {
    let known = pointer_info(call, address);
    if attribute == 13 {
        return put(data.cast(), known.is_some());
    }
    let known = known.ok_or(INVALID_VALUE)?;
    match attribute {
        1 => put(data.cast(), known.context),
        2 => put(data.cast(), if known.kind == MemoryKind::Pinned { MEMORY_HOST } else { MEMORY_DEVICE }),
        3 => put(data.cast(), known.device_pointer),
        4 => put(data.cast(), known.host_pointer.ok_or(INVALID_VALUE)?),
        6 => put::<c_uint>(data.cast(), 0),
        7 => put(data.cast(), known.id),
        8 => put::<c_uint>(data.cast(), c_uint::from(known.kind == MemoryKind::Managed)),
        9 => put(data.cast(), known.device as c_int),
        10 => put(data.cast(), known.kind == MemoryKind::Device),
        11 => put(data.cast(), known.base),
        12 => put(data.cast(), known.size as usize),
        14 => put::<u64>(data.cast(), 0),
        15 => put(data.cast(), false),
        16 => put::<c_uint>(data.cast(), 3),
        17 => put(data.cast(), known.pool),
        _ => Err(INVALID_VALUE),
    }
}

/// Writes what `cuPointerGetAttributes` gives for an attribute that does not apply.
fn put_default(data: *mut c_void, attribute: c_uint) -> Answer {
    match attribute {
        9 => put::<c_int>(data.cast(), -2),
        2 | 6 | 8 | 16 => put::<c_uint>(data.cast(), 0),
        10 | 13 | 15 => put(data.cast(), false),
        1 | 3 | 4 | 7 | 11 | 12 | 14 | 17 => put::<u64>(data.cast(), 0),
        _ => Err(INVALID_VALUE),
    }
}

driver! {
    fn cuPointerGetAttribute(data: *mut c_void, which: c_uint, address: Address) in Context => |call| {
        attribute(call, data, which, address)
    }

    fn cuPointerGetAttributes(count: c_uint, which: *const c_uint, data: *const *mut c_void, address: Address) in Context => |call| {
        for at in 0..count as usize {
            let (which, data) = (get(which.wrapping_add(at))?, get(data.wrapping_add(at))?);
            if attribute(call, data, which, address).is_err() {
                put_default(data, which)?;
            }
        }
        Ok(())
    }

    fn cuPointerSetAttribute(value: *const c_void, which: c_uint, address: Address) in Context => |call| {
        // Only CU_POINTER_ATTRIBUTE_SYNC_MEMOPS can be set. It changes nothing here.
        if value.is_null() || which != 6 || pointer_info(call, address).is_none() {
            return Err(INVALID_VALUE);
        }
        Ok(())
    }
}
