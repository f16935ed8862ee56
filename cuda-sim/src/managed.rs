//! Managed memory: one address for both sides. Advice is remembered, prefetches take their place in the stream; neither moves a byte.

use crate::context::located;
use crate::engine::Work;
use crate::entry::{Call, put};
use crate::space::{PAGE, What, host_pages, scribble, unmap};
use crate::status::*;
use crate::types::{Address, Handle, LOCATION_DEVICE, LOCATION_HOST, Location};
use crate::world::World;
use std::collections::BTreeSet;
use std::ffi::{c_int, c_uint, c_void};

const GLOBAL: c_uint = 1;
const HOST: c_uint = 2;
const CPU: c_int = -1;
const NOWHERE: c_int = -2;

/// What a program said about a managed allocation.
pub struct Advice {
    read_mostly: bool,
    preferred: c_int,
    accessed_by: BTreeSet<c_int>,
    prefetched: c_int,
}

impl World {
    pub fn release_managed(&mut self, base: Address) {
        self.advice.remove(&base);
        if let Some(region) = self.space.remove(base) {
            unmap(base, region.size.next_multiple_of(PAGE));
            let device = &mut self.devices[region.device];
            device.used = device.used.saturating_sub(crate::memory::charged(region.size));
        }
    }

    /// The managed allocation in which the range lies.
    fn managed(&self, address: Address, size: usize) -> Answer<Address> {
        let region = self.space.find(address).filter(|region| region.what == What::Managed).ok_or(INVALID_VALUE)?;
        // Whole pages: the end of the range may lie in the allocation's last page.
        let end = region.base + region.size.next_multiple_of(PAGE);
        if size == 0 || size as u64 > end - address { Err(INVALID_VALUE) } else { Ok(region.base) }
    }
}

fn place(call: &Call, location: Location) -> Answer<c_int> {
    Ok(located(call, location)?.map_or(CPU, |device| device as c_int))
}

fn old_location(device: c_int) -> Location {
    if device == CPU { Location { kind: LOCATION_HOST, id: 0 } } else { Location { kind: LOCATION_DEVICE, id: device } }
}

fn concurrent(call: &Call, location: c_int) -> Answer {
    match usize::try_from(location) {
        Ok(device) if call.devices[device].attribute(89)? == 0 => Err(INVALID_DEVICE),
        _ => Ok(()),
    }
}

fn advise(call: &mut Call, address: Address, size: usize, advice: c_uint, location: Location) -> Answer {
    let base = call.managed(address, size)?;
    // The location of UNSET_PREFERRED and of the READ_MOSTLY pair is ignored.
    let location = if matches!(advice, 3 | 5 | 6) { place(call, location)? } else { CPU };
    concurrent(call, location)?;
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
    let base = call.managed(address, size)?;
    let location = place(call, location)?;
    concurrent(call, location)?;
    let stream = call.stream(stream)?;
    let work = Work::Inside(std::sync::Arc::new(move |world, _| {
        let known = world.advice.get_mut(&base).ok_or(ILLEGAL_ADDRESS)?;
        known.prefetched = location;
        Ok(())
    }));
    call.enqueue(stream, "prefetch", Vec::new(), work).map(|_| ())
}

driver! {
    fn cuMemAllocManaged(out: *mut Address, size: usize, flags: c_uint) in Context => |call| {
        if size == 0 || !matches!(flags, GLOBAL | HOST) {
            return Err(INVALID_VALUE);
        }
        call.uncaptured()?;
        let (context, device) = (call.context, call.device());
        if call.devices[device].attribute(83)? == 0 {
            return Err(NOT_SUPPORTED);
        }
        call.devices[device].charge(crate::memory::charged(size as u64))?;
        let base = host_pages((size as u64).checked_next_multiple_of(PAGE).ok_or(OUT_OF_MEMORY)?)?;
        if call.config.junk {
            scribble(base, size as u64, &mut call.world.random);
        }
        call.space.insert(base as u64, size as u64, What::Managed, device, context, base);
        let advice = Advice { read_mostly: false, preferred: NOWHERE, accessed_by: BTreeSet::new(), prefetched: NOWHERE };
        call.world.advice.insert(base as u64, advice);
        put(out, base as u64)
    }

    fn cuMemAdvise(address: Address, size: usize, advice: c_uint, device: c_int) in Context => |call| {
        advise(call, address, size, advice, old_location(device))
    }

    fn cuMemAdvise_v2(address: Address, size: usize, advice: c_uint, location: Location) in Context => |call| {
        advise(call, address, size, advice, location)
    }

    fn cuMemPrefetchAsync(address: Address, size: usize, device: c_int, stream: Handle) | cuMemPrefetchAsync_ptsz in Context => |call| {
        prefetch(call, address, size, old_location(device), stream)
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
        let base = call.managed(address, size)?;
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
