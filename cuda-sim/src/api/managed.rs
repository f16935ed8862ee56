//! Managed memory: one address for host and device. Advice is remembered and prefetches keep their place in the stream;
//! neither moves a byte.

use crate::base::args::put;
use crate::base::status::*;
use crate::base::types::{Address, Handle, LOCATION_DEVICE, LOCATION_HOST, Location};
use crate::entry::call::Call;
use crate::entry::enter::driver;
use crate::memory::pages::{PAGE_BYTES, fill_with_junk, map_host, unmap};
use crate::memory::region::{MemoryKind, Region};
use crate::state::device::{CONCURRENT_MANAGED_ACCESS, MANAGED_MEMORY, charged_bytes};
use crate::state::machine::Machine;
use crate::state::managed::{Advice, CPU, NOWHERE};
use crate::state::work::Work;
use std::ffi::{c_int, c_uint, c_void};

const ATTACH_GLOBAL: c_uint = 1;
const ATTACH_HOST: c_uint = 2;

impl Machine {
    pub fn free_managed(&mut self, base: Address) {
        self.advice.remove(&base);
        if let Some(region) = self.space.remove(base) {
            unmap(base, region.size.next_multiple_of(PAGE_BYTES));
            self.devices[region.device].refund(charged_bytes(region.size));
        }
    }

    /// The base of the managed allocation that contains a range.
    fn managed_base(&self, address: Address, size: usize) -> Answer<Address> {
        let region =
            self.space.find(address).filter(|region| region.kind == MemoryKind::Managed).ok_or(INVALID_VALUE)?;
        // The range may end behind the allocation, in its last page.
        let end = region.base + region.size.next_multiple_of(PAGE_BYTES);
        if size == 0 || size as u64 > end - address { Err(INVALID_VALUE) } else { Ok(region.base) }
    }
}

/// A location as attributes report it: a device, or CPU.
fn device_or_cpu(call: &Call, location: Location) -> Answer<c_int> {
    Ok(call.device_at(location)?.map_or(CPU, |device| device as c_int))
}

/// The location that the functions without `_v2` mean.
fn location_of(device: c_int) -> Location {
    if device == CPU { Location { kind: LOCATION_HOST, id: 0 } } else { Location { kind: LOCATION_DEVICE, id: device } }
}

/// Refuses a device that cannot share managed memory with the host.
fn check_concurrent(call: &Call, location: c_int) -> Answer {
    match usize::try_from(location) {
        Ok(device) if call.devices[device].attribute(CONCURRENT_MANAGED_ACCESS)? == 0 => Err(INVALID_DEVICE),
        _ => Ok(()),
    }
}

fn advise(call: &mut Call, address: Address, size: usize, advice: c_uint, location: Location) -> Answer {
    let base = call.managed_base(address, size)?;
    // Only SET_PREFERRED and the ACCESSED_BY pair use the location.
    let location = if matches!(advice, 3 | 5 | 6) { device_or_cpu(call, location)? } else { CPU };
    check_concurrent(call, location)?;
    let known = call.world.advice.get_mut(&base).ok_or(INVALID_VALUE)?;
    match advice {
        1 | 2 => known.read_mostly = advice == 1,
        3 => known.preferred = location,
        4 => known.preferred = NOWHERE,
        5 => {
            known.accessed_by.insert(location);
        }
        6 => {
            known.accessed_by.remove(&location);
        }
        _ => return Err(INVALID_VALUE),
    }
    Ok(())
}

fn prefetch(call: &mut Call, address: Address, size: usize, location: Location, stream: Handle) -> Answer {
    let base = call.managed_base(address, size)?;
    let location = device_or_cpu(call, location)?;
    check_concurrent(call, location)?;
    let stream = call.stream(stream)?;
    let work = Work::Inside(std::sync::Arc::new(move |machine, _| {
        let known = machine.advice.get_mut(&base).ok_or(ILLEGAL_ADDRESS)?;
        known.prefetched = location;
        Ok(())
    }));
    call.enqueue(stream, "prefetch", Vec::new(), work).map(|_| ())
}

driver! {
    fn cuMemAllocManaged(out: *mut Address, size: usize, flags: c_uint) in Context => |call| {
        if size == 0 || !matches!(flags, ATTACH_GLOBAL | ATTACH_HOST) {
            return Err(INVALID_VALUE);
        }
        call.refuse_in_capture()?;
        let (context, device) = (call.context, call.device());
        if call.devices[device].attribute(MANAGED_MEMORY)? == 0 {
            return Err(NOT_SUPPORTED);
        }
        call.devices[device].charge(charged_bytes(size as u64))?;
        let base = map_host((size as u64).checked_next_multiple_of(PAGE_BYTES).ok_or(OUT_OF_MEMORY)?)?;
        if call.config.junk {
            fill_with_junk(base, size as u64, &mut call.world.random);
        }
        call.space.insert(Region::new(MemoryKind::Managed, base as u64, size as u64, device, context, base));
        call.advice.insert(base as u64, Advice::default());
        put(out, base as u64)
    }

    fn cuMemAdvise(address: Address, size: usize, advice: c_uint, device: c_int) in Context => |call| {
        advise(call, address, size, advice, location_of(device))
    }

    fn cuMemAdvise_v2(address: Address, size: usize, advice: c_uint, location: Location) in Context => |call| {
        advise(call, address, size, advice, location)
    }

    fn cuMemPrefetchAsync(address: Address, size: usize, device: c_int, stream: Handle) | cuMemPrefetchAsync_ptsz in Context => |call| {
        prefetch(call, address, size, location_of(device), stream)
    }

    fn cuMemPrefetchAsync_v2(
        address: Address, size: usize, location: Location, flags: c_uint, stream: Handle
    ) | cuMemPrefetchAsync_v2_ptsz in Context => |call| {
        if flags != 0 {
            return Err(INVALID_VALUE);
        }
        prefetch(call, address, size, location, stream)
    }

    fn cuMemRangeGetAttribute(data: *mut c_void, bytes: usize, attribute: c_uint, address: Address, size: usize) in Context => |call| {
        let base = call.managed_base(address, size)?;
        let known = call.world.advice.get(&base).ok_or(INVALID_VALUE)?;
        let data = data.cast::<c_int>();
        let single = match attribute {
            1 => c_int::from(known.read_mostly),
            2 => known.preferred,
            4 => known.prefetched,
            3 => {
                let devices = known.accessed_by.iter().copied().chain(std::iter::repeat(NOWHERE));
                return devices.take(bytes / 4).enumerate().try_for_each(|(at, device)| put(data.wrapping_add(at), device));
            }
            _ => return Err(INVALID_VALUE),
        };
        if bytes < 4 {
            return Err(INVALID_VALUE);
        }
        put(data, single)
    }
}
