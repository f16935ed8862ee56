//! Pinned host memory: allocated page-locked by the driver, or the program's own and registered.
//!
//! Its device address differs from its host address wherever the driver does not guarantee that the two are equal. A
//! program that confuses them then faults here, though on many machines it would not. The driver guarantees equality
//! for memory that it allocated, unless write-combined, if addresses are unified (attribute 41), and for registered
//! memory if attribute 91 is set. A test can set both.

use crate::base::args::put;
use crate::base::status::*;
use crate::base::types::{Address, Handle};
use crate::entry::call::Call;
use crate::entry::enter::driver;
use crate::memory::pages::{PAGE_BYTES, fill_with_junk, map_host, preferred_numa_node, unmap};
use crate::memory::region::{MemoryKind, Region};
use crate::state::device::{HOST_POINTER_FOR_REGISTERED, UNIFIED_ADDRESSING};
use crate::state::machine::Machine;
use crate::state::pinned::Pinned;
use std::ffi::{c_uint, c_void};

const ALLOC_FLAGS: c_uint = 7;
const PORTABLE: c_uint = 1;
const DEVICE_MAP: c_uint = 2;
const WRITE_COMBINED: c_uint = 4;
const REGISTER_FLAGS: c_uint = 0xf;
const READ_ONLY: c_uint = 8;
/// More junk would make large allocations slow.
const MAX_JUNK_BYTES: usize = 1 << 16;

impl Machine {
    fn pin(&mut self, host: usize, size: u64, flags: c_uint, registered: bool, context: Handle) -> Answer {
        let device = self.contexts.get(&context).ok_or(INVALID_CONTEXT)?.device;
        let same_address = match registered {
            true => self.devices[device].attribute(HOST_POINTER_FOR_REGISTERED)? != 0,
            false => flags & WRITE_COMBINED == 0 && self.devices[device].attribute(UNIFIED_ADDRESSING)? != 0,
        };
        let device_address = if same_address {
            self.space.insert(Region::new(MemoryKind::Pinned, host as u64, size, device, context, host));
            host as u64
        } else {
            self.space.map_pinned(device, context, host, size)?
        };
        self.pinned.insert(host, Pinned { id: 0, size, flags, registered, context, device, device_address });
        Ok(())
    }

    fn unpin(&mut self, host: usize) {
        if let Some(range) = self.pinned.remove(host) {
            self.space.remove(range.device_address);
            if !range.registered {
                unmap(host as u64, whole_pages(range.size).unwrap_or(PAGE_BYTES));
            }
        }
    }

    /// Unpins everything that a context pinned.
    pub fn free_pinned_of(&mut self, context: Handle) {
        for host in self.pinned.of_context(context) {
            self.unpin(host);
        }
    }
}

/// The bytes of the host that an allocation takes. The driver accepts an allocation of 0 bytes here, unlike for device
/// memory.
fn whole_pages(size: u64) -> Option<u64> {
    size.max(1).checked_next_multiple_of(PAGE_BYTES)
}

fn allocate(call: &mut Call, out: *mut *mut c_void, size: usize, flags: c_uint) -> Answer {
    if flags & !ALLOC_FLAGS != 0 {
        return Err(INVALID_VALUE);
    }
    call.refuse_in_capture()?;
    call.statistics.host_alloc_node = preferred_numa_node().map_or(0, |node| u64::from(node) + 1);
    let host = map_host(whole_pages(size as u64).ok_or(OUT_OF_MEMORY)?)?;
    fill_with_junk(host, size.min(MAX_JUNK_BYTES) as u64, &mut call.world.random);
    let context = call.context;
    call.pin(host, size as u64, flags, false, context)?;
    put(out, host as *mut c_void)
}

/// Whether every page of the range is mapped readable, and with `write` also writable, by the kernel's list of
/// mappings.
fn is_accessible(host: usize, size: u64, write: bool) -> bool {
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else { return true };
    let (mut at, end) = (host as u64, host as u64 + size);
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else { continue };
        let Some((from, to)) = range.split_once('-') else { continue };
        let (Ok(from), Ok(to)) = (u64::from_str_radix(from, 16), u64::from_str_radix(to, 16)) else { continue };
        let readable = rights.starts_with('r');
        let writable = rights.as_bytes().get(1) == Some(&b'w');
        if (from..to).contains(&at) && readable && (writable || !write) {
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
        call.statistics.host_alloc_flags = flags;
        allocate(call, out, size, flags)
    }

    fn cuMemAllocHost_v2(out: *mut *mut c_void, size: usize) in Context => |call| { allocate(call, out, size, PORTABLE) }

    fn cuMemFreeHost(host: *mut c_void) in Context => |call| {
        let range = call.pinned.at(host as usize).filter(|range| !range.registered).ok_or(INVALID_VALUE)?;
        let device = range.device;
        call.refuse_in_capture()?;
        call.wait_before_free(device)?;
        call.unpin(host as usize);
        Ok(())
    }

    fn cuMemHostRegister_v2(host: *mut c_void, size: usize, flags: c_uint) in Context => |call| {
        call.statistics.host_register_flags = flags;
        if host.is_null() || size == 0 || flags & !REGISTER_FLAGS != 0 || (host as usize).checked_add(size).is_none() {
            return Err(INVALID_VALUE);
        }
        call.refuse_in_capture()?;
        if let Some(range) = call.pinned.overlapping(host as usize, size as u64) {
            return Err(if range.registered { HOST_MEMORY_ALREADY_REGISTERED } else { INVALID_VALUE });
        }
        if !is_accessible(host as usize, size as u64, flags & READ_ONLY == 0) {
            return Err(INVALID_VALUE);
        }
        let context = call.context;
        call.pin(host as usize, size as u64, flags, true, context)
    }

    // Works in another context too, and in none.
    fn cuMemHostUnregister(host: *mut c_void) in Init => |call| {
        match call.pinned.covering(host as usize, 1) {
            Some((base, range)) if base == host as usize && range.registered => {}
            // The driver allocated it, or the address is not the start of the registered range.
            Some(_) => return Err(INVALID_VALUE),
            None => return Err(HOST_MEMORY_NOT_REGISTERED),
        }
        call.refuse_in_capture()?;
        call.unpin(host as usize);
        Ok(())
    }

    fn cuMemHostGetDevicePointer_v2(out: *mut Address, host: *mut c_void, flags: c_uint) in Context => |call| {
        if flags != 0 {
            return Err(INVALID_VALUE);
        }
        let (base, range) = call.pinned.covering(host as usize, 1).ok_or(INVALID_VALUE)?;
        put(out, range.device_address + (host as usize - base) as u64)
    }

    fn cuMemHostGetFlags(out: *mut c_uint, host: *mut c_void) in Context => |call| {
        let (_, range) = call.pinned.covering(host as usize, 1).ok_or(INVALID_VALUE)?;
        // With unified addresses all pinned memory is mapped, whatever the flags request.
        put(out, range.flags | DEVICE_MAP)
    }
}
