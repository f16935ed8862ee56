//! Host memory that the device knows: page-locked by the driver, or the program's own and registered.
//!
//! Where the driver does not promise that its device address is its host address, it is another one: a program that mixes them up faults
//! here, though on many machines it would not. It is promised for memory that the driver allocated, unless write-combined, where
//! addresses are unified (attribute 41), and for registered memory where attribute 91 says so; both attributes can be set.

use crate::entry::{Call, put};
use crate::space::{PAGE, host_pages, unmap};
use crate::status::*;
use crate::types::{Address, Handle};
use crate::world::World;
use std::collections::BTreeMap;
use std::ffi::{c_int, c_uint, c_void};

const ALLOC_FLAGS: c_uint = 7;
const PORTABLE: c_uint = 1;
const DEVICE_MAP: c_uint = 2;
const WRITE_COMBINED: c_uint = 4;
const UNIFIED_ADDRESSING: c_int = 41;
const HOST_POINTER_FOR_REGISTERED: c_int = 91;
const REGISTER_FLAGS: c_uint = 0xf;
const READ_ONLY: c_uint = 8;

/// A range of host memory that is page-locked.
#[derive(Clone)]
pub struct Pinned {
    /// Unique for the run: a range that is pinned again is another one.
    pub id: u64,
    pub size: u64,
    pub flags: c_uint,
    pub registered: bool,
    pub context: Handle,
    pub device: usize,
    /// What the device calls it.
    pub alias: Address,
}

#[derive(Default)]
pub struct PinnedRanges {
    ranges: BTreeMap<usize, Pinned>,
    next_id: u64,
}

impl PinnedRanges {
    pub fn count(&self) -> usize {
        self.ranges.len()
    }

    /// The range in which all of [address, address + size) lies, with its host address.
    pub fn covering(&self, address: usize, size: u64) -> Option<(usize, &Pinned)> {
        let (base, range) = self.ranges.range(..=address).next_back()?;
        let end = (address as u64).checked_add(size.max(1))?;
        (end <= *base as u64 + range.size).then_some((*base, range))
    }

    /// Whether something pinned begins at the address or before it, and ends behind it.
    pub fn is_at(&self, address: usize) -> bool {
        self.covering(address, 1).is_some()
    }

    /// Whether the range numbered `id` is still pinned where `address` lies.
    pub fn holds(&self, address: usize, id: u64) -> bool {
        self.covering(address, 1).is_some_and(|(_, range)| range.id == id)
    }

    /// What has pinned some byte of the range already. Ranges that share a page and no byte get on with each other.
    fn touched(&self, address: usize, size: u64) -> Option<&Pinned> {
        let end = address as u64 + size;
        let shares =
            |(base, range): &(&usize, &Pinned)| (**base as u64) < end && (address as u64) < **base as u64 + range.size;
        self.ranges.iter().find(shares).map(|(_, range)| range)
    }
}

impl World {
    fn pin(&mut self, host: usize, size: u64, flags: c_uint, registered: bool, context: Handle) -> Answer {
        let device = self.contexts.get(&context).ok_or(INVALID_CONTEXT)?.device;
        let same = match registered {
            true => self.devices[device].attribute(HOST_POINTER_FOR_REGISTERED)? != 0,
            false => flags & WRITE_COMBINED == 0 && self.devices[device].attribute(UNIFIED_ADDRESSING)? != 0,
        };
        let alias = if same {
            self.space.insert(host as u64, size, crate::space::What::Alias, device, context, host);
            host as u64
        } else {
            self.space.alias(device, context, host, size)?
        };
        self.pinned.next_id += 1;
        let id = self.pinned.next_id;
        self.pinned.ranges.insert(host, Pinned { id, size, flags, registered, context, device, alias });
        Ok(())
    }

    fn unpin(&mut self, host: usize) {
        if let Some(range) = self.pinned.ranges.remove(&host) {
            self.space.remove(range.alias);
            if !range.registered {
                unmap(host as u64, pages(range.size).unwrap_or(PAGE));
            }
        }
    }

    /// What a context pinned goes with it.
    pub fn release_host_of(&mut self, context: Handle) {
        let its: Vec<usize> =
            self.pinned.ranges.iter().filter(|(_, range)| range.context == context).map(|(host, _)| *host).collect();
        for host in its {
            self.unpin(host);
        }
    }
}

/// What an allocation takes of the host. No bytes are an allocation, too: the driver refuses them for device memory only.
fn pages(size: u64) -> Option<u64> {
    size.max(1).checked_next_multiple_of(PAGE)
}

fn allocate(call: &mut Call, out: *mut *mut c_void, size: usize, flags: c_uint) -> Answer {
    if flags & !ALLOC_FLAGS != 0 {
        return Err(INVALID_VALUE);
    }
    call.uncaptured()?;
    let host = host_pages(pages(size as u64).ok_or(OUT_OF_MEMORY)?)?;
    crate::space::scribble(host, size.min(1 << 16) as u64, &mut call.world.random);
    let context = call.context;
    call.pin(host, size as u64, flags, false, context)?;
    put(out, host as *mut c_void)
}

/// Whether every page of the range is mapped, and writable if that is asked. Read from the kernel's list of mappings.
fn accessible(host: usize, size: u64, write: bool) -> bool {
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else { return true };
    let (mut at, end) = (host as u64, host as u64 + size);
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else { continue };
        let Some((from, to)) = range.split_once('-') else { continue };
        let (Ok(from), Ok(to)) = (u64::from_str_radix(from, 16), u64::from_str_radix(to, 16)) else { continue };
        if from <= at && at < to && rights.starts_with('r') && (!write || rights.as_bytes().get(1) == Some(&b'w')) {
            at = to;
            if at >= end {
                return true;
            }
        }
    }
    false
}

driver! {
    fn cuMemHostAlloc(out: *mut *mut c_void, size: usize, flags: c_uint) in Context => |call| {
        call.notes.host_alloc_flags = flags;
        allocate(call, out, size, flags)
    }

    fn cuMemAllocHost_v2(out: *mut *mut c_void, size: usize) in Context => |call| { allocate(call, out, size, PORTABLE) }

    fn cuMemFreeHost(host: *mut c_void) in Context => |call| {
        let range = call.world.pinned.ranges.get(&(host as usize)).filter(|range| !range.registered).ok_or(INVALID_VALUE)?;
        let device = range.device;
        call.uncaptured()?;
        call.settle(device)?;
        call.unpin(host as usize);
        Ok(())
    }

    fn cuMemHostRegister_v2(host: *mut c_void, size: usize, flags: c_uint) in Context => |call| {
        call.notes.host_register_flags = flags;
        if host.is_null() || size == 0 || flags & !REGISTER_FLAGS != 0 || (host as usize).checked_add(size).is_none() {
            return Err(INVALID_VALUE);
        }
        call.uncaptured()?;
        if let Some(range) = call.pinned.touched(host as usize, size as u64) {
            return Err(if range.registered { HOST_MEMORY_ALREADY_REGISTERED } else { INVALID_VALUE });
        }
        if !accessible(host as usize, size as u64, flags & READ_ONLY == 0) {
            return Err(INVALID_VALUE);
        }
        let context = call.context;
        call.pin(host as usize, size as u64, flags, true, context)
    }

    // Also in another context, and in none.
    fn cuMemHostUnregister(host: *mut c_void) in Init => |call| {
        match call.pinned.covering(host as usize, 1) {
            Some((base, range)) if base == host as usize && range.registered => {}
            // Pinned by the driver, or not the start of what was registered.
            Some(_) => return Err(INVALID_VALUE),
            None => return Err(HOST_MEMORY_NOT_REGISTERED),
        }
        call.uncaptured()?;
        call.unpin(host as usize);
        Ok(())
    }

    fn cuMemHostGetDevicePointer_v2(out: *mut Address, host: *mut c_void, flags: c_uint) in Context => |call| {
        if flags != 0 {
            return Err(INVALID_VALUE);
        }
        let (base, range) = call.pinned.covering(host as usize, 1).ok_or(INVALID_VALUE)?;
        put(out, range.alias + (host as usize - base) as u64)
    }

    fn cuMemHostGetFlags(out: *mut c_uint, host: *mut c_void) in Context => |call| {
        let (_, range) = call.pinned.covering(host as usize, 1).ok_or(INVALID_VALUE)?;
        // With unified addresses all of it is mapped, whatever was asked.
        put(out, range.flags | DEVICE_MAP)
    }

}
