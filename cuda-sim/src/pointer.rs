//! What the driver says about an address.

use crate::entry::{Call, get, put};
use crate::space::What;
use crate::status::*;
use crate::types::{Address, Handle};
use std::ffi::{c_int, c_uint, c_void};

/// What is known about an address of any kind; None: plain host memory, or nothing.
struct Known {
    what: What,
    context: Handle,
    device: usize,
    base: u64,
    size: u64,
    id: u64,
    device_pointer: Address,
    host_pointer: Option<u64>,
    pool: Handle,
}

fn known(call: &Call, address: Address) -> Option<Known> {
    if let Some(region) = call.space.find(address) {
        let offset = address - region.base;
        let host_pointer = region.what.on_host().then(|| region.bytes as u64 + offset);
        let base = if region.what == What::Alias { region.bytes as u64 } else { region.base };
        let mut context = region.context;
        let mut device = region.device;
        if region.what == What::Reserved {
            let (start, mapping) =
                region.mapped.range(..=offset).next_back().filter(|(start, mapping)| offset < *start + mapping.size)?;
            device = mapping.device;
            context = call.devices[device].primary;
            return Some(Known {
                what: region.what,
                context,
                device,
                base: region.base + start,
                size: mapping.size,
                id: region.id,
                device_pointer: address,
                host_pointer,
                pool: 0,
            });
        }
        if region.what == What::Pooled {
            context = 0;
        }
        if region.what == What::Managed {
            device = region.device;
        }
        return Some(Known {
            what: region.what,
            context,
            device,
            base,
            size: region.size,
            id: region.id,
            device_pointer: address,
            host_pointer,
            pool: region.pool,
        });
    }
    let (base, range) = call.pinned.covering(address as usize, 1)?;
    let offset = address - base as u64;
    Some(Known {
        what: What::Alias,
        context: range.context,
        device: range.device,
        base: base as u64,
        size: range.size,
        id: call.space.at(range.alias).map_or(0, |region| region.id),
        device_pointer: range.alias + offset,
        host_pointer: Some(address),
        pool: 0,
    })
}

/// One attribute into `data`; Err(NOT_FOUND-like) where it does not apply.
fn attribute(call: &Call, data: *mut c_void, attribute: c_uint, address: Address) -> Answer {
    let known = known(call, address);
    if attribute == 13 {
        return put(data.cast(), known.is_some());
    }
    let known = known.ok_or(INVALID_VALUE)?;
    match attribute {
        1 => put(data.cast(), known.context),
        2 => put::<c_uint>(
            data.cast(),
            if known.what == What::Alias { crate::types::MEMORY_HOST } else { crate::types::MEMORY_DEVICE },
        ),
        3 => put(data.cast(), known.device_pointer),
        4 => put(data.cast(), known.host_pointer.ok_or(INVALID_VALUE)?),
        6 => put::<c_uint>(data.cast(), 0),
        7 => put(data.cast(), known.id),
        8 => put::<c_uint>(data.cast(), c_uint::from(known.what == What::Managed)),
        9 => put(data.cast(), known.device as c_int),
        10 => put(data.cast(), known.what == What::Device),
        11 => put(data.cast(), known.base),
        12 => put(data.cast(), known.size as usize),
        14 => put::<u64>(data.cast(), 0),
        15 => put(data.cast(), false),
        16 => put::<c_uint>(data.cast(), 3),
        17 => put(data.cast(), known.pool),
        _ => Err(INVALID_VALUE),
    }
}

/// What `cuPointerGetAttributes` gives where an attribute does not apply: all zero.
fn nothing(data: *mut c_void, attribute: c_uint) -> Answer {
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
                nothing(data, which)?;
            }
        }
        Ok(())
    }

    fn cuPointerSetAttribute(value: *const c_void, which: c_uint, address: Address) in Context => |call| {
        // CU_POINTER_ATTRIBUTE_SYNC_MEMOPS is the only one that can be set; synchronous calls are synchronous enough here.
        if value.is_null() || which != 6 || known(call, address).is_none() {
            return Err(INVALID_VALUE);
        }
        Ok(())
    }
}
