//! The driver's memory pools: stream-ordered allocation.
//!
//! An allocation has its address at once. It can be used from the moment that its stream reaches the allocation until
//! the stream reaches the free; work that is not ordered between the two faults. What a pool keeps for reuse is an
//! account here, not an address: a free counts at once, and the excess over the release threshold returns to the device
//! at the next synchronising call.

use crate::base::args::{get, put};
use crate::base::status::*;
use crate::base::types::*;
use crate::entry::call::Call;
use crate::entry::enter::driver;
use crate::memory::region::MemoryKind;
use crate::state::device::{MEMORY_POOLS, charged_bytes};
use crate::state::machine::{HandleKind, Machine};
use crate::state::pool::Pool;
use crate::state::work::Work;
use std::ffi::{c_int, c_uint, c_void};
use std::sync::Arc;

// CUmemPool_attribute.
const REUSE_ATTRIBUTES: std::ops::RangeInclusive<c_uint> = 1..=3;
const RELEASE_THRESHOLD: c_uint = 4;
const RESERVED: c_uint = 5;
const RESERVED_HIGH: c_uint = 6;
const USED: c_uint = 7;
const USED_HIGH: c_uint = 8;

impl Machine {
    /// `max_bytes` 0: no limit.
    fn create_pool(&mut self, device: usize, max_bytes: u64) -> Answer<Handle> {
        if self.devices[device].attribute(MEMORY_POOLS)? == 0 {
            return Err(NOT_SUPPORTED);
        }
        let handle = self.new_handle(HandleKind::Pool);
        let max_bytes = if max_bytes == 0 { u64::MAX } else { max_bytes };
        self.pools.pools.insert(handle, Pool::new(device, max_bytes));
        Ok(handle)
    }

    fn default_pool(&mut self, device: usize) -> Answer<Handle> {
        if let Some(pool) = self.pools.default.get(&device) {
            return Ok(*pool);
        }
        let pool = self.create_pool(device, 0)?;
        self.pools.default.insert(device, pool);
        Ok(pool)
    }

    fn current_pool(&mut self, device: usize) -> Answer<Handle> {
        match self.pools.current.get(&device) {
            Some(pool) => Ok(*pool),
            None => self.default_pool(device),
        }
    }

    /// Returns unused memory of a pool beyond `keep` bytes to its device.
    fn trim_pool(&mut self, handle: Handle, keep: u64) {
        if let Some(pool) = self.pools.pools.get_mut(&handle) {
            let kept = pool.reserved.min(pool.used.max(keep));
            self.devices[pool.device].refund(pool.reserved - kept);
            pool.reserved = kept;
        }
    }

    /// After a synchronising call: pools return unused memory above their thresholds.
    pub fn trim_pools(&mut self) {
        let thresholds: Vec<(Handle, u64)> =
            self.pools.pools.iter().map(|(handle, pool)| (*handle, pool.release_threshold)).collect();
        for (pool, threshold) in thresholds {
            self.trim_pool(pool, threshold);
        }
    }

    /// An allocation of a pool no longer counts as used.
    fn count_as_free(&mut self, handle: Handle, size: u64) {
        if let Some(pool) = self.pools.pools.get_mut(&handle) {
            pool.used = pool.used.saturating_sub(charged_bytes(size));
        }
    }

    /// Frees pooled memory at once.
    pub fn free_pooled(&mut self, base: Address) {
        if let Some(region) = self.space.remove(base)
            && !region.freed
        {
            self.count_as_free(region.pool, region.size);
        }
    }
}

fn allocate(call: &mut Call, out: *mut Address, size: usize, pool: Handle, stream: Handle) -> Answer {
    if size == 0 {
        return Err(INVALID_VALUE);
    }
    let (size, cost) = (size as u64, charged_bytes(size as u64));
    let context = call.streams.get(&stream).ok_or(INVALID_HANDLE)?.context;
    call.check_usable(context)?;
    let machine = &mut call.world.machine;
    let known = machine.pools.pools.get_mut(&pool).ok_or(INVALID_VALUE)?;
    let (device, unused) = (known.device, known.reserved - known.used);
    let more = cost.saturating_sub(unused);
    if known.reserved.checked_add(more).is_none_or(|all| all > known.max_bytes) {
        return Err(OUT_OF_MEMORY);
    }
    machine.devices[device].charge(more)?;
    known.reserved += more;
    known.used += cost;
    known.reserved_high = known.reserved_high.max(known.reserved);
    known.used_high = known.used_high.max(known.used);
    let made = machine.space.allocate(MemoryKind::Pooled, device, context, size, machine.config.junk);
    if made.is_err() {
        machine.count_as_free(pool, size);
    }
    let base = made?;
    if let Some(region) = call.space.at_mut(base) {
        (region.pool, region.ready) = (pool, false);
    }
    let work = Work::Inside(Arc::new(move |machine, _| {
        machine.space.at_mut(base).ok_or(ILLEGAL_ADDRESS)?.ready = true;
        Ok(())
    }));
    call.enqueue(stream, "allocation", Vec::new(), work)?;
    put(out, base)
}

fn free(call: &mut Call, address: Address, stream: Handle) -> Answer {
    let region = call.space.at(address).filter(|region| !region.freed).ok_or(INVALID_VALUE)?;
    let (pool, size, kind) = (region.pool, region.size, region.kind);
    if !matches!(kind, MemoryKind::Pooled | MemoryKind::Device) {
        return Err(INVALID_VALUE);
    }
    // A captured graph may be launched again, so its memory only becomes unusable.
    let captured = call.is_capturing(stream);
    let work = Work::Inside(Arc::new(move |machine, _| {
        match machine.space.at_mut(address) {
            Some(region) if captured => region.ready = false,
            Some(_) if kind == MemoryKind::Device => machine.free_memory(address),
            Some(_) => drop(machine.space.remove(address)),
            None => return Err(ILLEGAL_ADDRESS),
        }
        Ok(())
    }));
    call.enqueue(stream, "free", Vec::new(), work)?;
    if !captured {
        if let Some(region) = call.space.at_mut(address) {
            region.freed = true;
        }
        call.count_as_free(pool, size);
    }
    Ok(())
}

driver! {
    fn cuDeviceGetDefaultMemPool(out: *mut Handle, device: c_int) in Init => |call| {
        let device = call.ordinal(device)?;
        put(out, call.default_pool(device)?)
    }

    fn cuDeviceGetMemPool(out: *mut Handle, device: c_int) in Init => |call| {
        let device = call.ordinal(device)?;
        put(out, call.current_pool(device)?)
    }

    fn cuDeviceSetMemPool(device: c_int, pool: Handle) in Init => |call| {
        let device = call.ordinal(device)?;
        if call.pools.pools.get(&pool).is_none_or(|pool| pool.device != device) {
            return Err(INVALID_VALUE);
        }
        call.pools.current.insert(device, pool);
        Ok(())
    }

    fn cuMemPoolCreate(out: *mut Handle, props: *const PoolProps) in Init => |call| {
        let props = get(props)?;
        let device = call.device_at(props.location)?.ok_or(NOT_SUPPORTED)?;
        if props.kind != 1 {
            return Err(INVALID_VALUE);
        }
        put(out, call.create_pool(device, props.max_size as u64)?)
    }

    fn cuMemPoolDestroy(pool: Handle) in Init => |call| {
        let known = call.pools.pools.get(&pool).ok_or(INVALID_VALUE)?;
        let (device, used) = (known.device, known.used);
        if call.pools.default.get(&device) == Some(&pool) {
            return Err(INVALID_VALUE);
        }
        call.trim_pool(pool, 0);
        call.pools.current.retain(|_, current| *current != pool);
        // Allocations that are left live until they are freed.
        if used == 0 {
            call.pools.pools.remove(&pool);
        }
        Ok(())
    }

    fn cuMemPoolTrimTo(pool: Handle, keep: usize) in Init => |call| {
        call.pools.pools.get(&pool).ok_or(INVALID_VALUE)?;
        call.trim_pool(pool, keep as u64);
        Ok(())
    }

    fn cuMemPoolSetAttribute(pool: Handle, attribute: c_uint, value: *mut c_void) in Init => |call| {
        let pool = call.world.pools.pools.get_mut(&pool).ok_or(INVALID_VALUE)?;
        match attribute {
            reuse if REUSE_ATTRIBUTES.contains(&reuse) => pool.reuse[reuse as usize - 1] = get(value.cast())?,
            RELEASE_THRESHOLD => pool.release_threshold = get(value.cast())?,
            // The peaks can only be reset.
            RESERVED_HIGH if get(value.cast::<u64>())? == 0 => pool.reserved_high = pool.reserved,
            USED_HIGH if get(value.cast::<u64>())? == 0 => pool.used_high = pool.used,
            _ => return Err(INVALID_VALUE),
        }
        Ok(())
    }

    fn cuMemPoolGetAttribute(pool: Handle, attribute: c_uint, value: *mut c_void) in Init => |call| {
        let pool = call.world.pools.pools.get(&pool).ok_or(INVALID_VALUE)?;
        let number = match attribute {
            reuse if REUSE_ATTRIBUTES.contains(&reuse) => return put(value.cast(), pool.reuse[reuse as usize - 1]),
            RELEASE_THRESHOLD => pool.release_threshold,
            RESERVED => pool.reserved,
            RESERVED_HIGH => pool.reserved_high,
            USED => pool.used,
            USED_HIGH => pool.used_high,
            _ => return Err(INVALID_VALUE),
        };
        put(value.cast(), number)
    }

    fn cuMemPoolSetAccess(pool: Handle, descriptions: *const AccessDesc, count: usize) in Init => |call| {
        for at in 0..count {
            let AccessDesc { location, flags } = get(descriptions.wrapping_add(at))?;
            let device = call.device_at(location)?.ok_or(INVALID_VALUE)?;
            let peers = call.config.peers;
            let pool = call.world.pools.pools.get_mut(&pool).ok_or(INVALID_VALUE)?;
            if device != pool.device && !peers {
                return Err(INVALID_DEVICE);
            }
            pool.access.insert(device, flags);
        }
        Ok(())
    }

    fn cuMemPoolGetAccess(flags: *mut c_uint, pool: Handle, location: *mut Location) in Init => |call| {
        let device = call.device_at(get(location)?)?.ok_or(INVALID_VALUE)?;
        let pool = call.pools.pools.get(&pool).ok_or(INVALID_VALUE)?;
        put(flags, pool.access.get(&device).copied().unwrap_or(0))
    }

    fn cuMemAllocAsync(out: *mut Address, size: usize, stream: Handle) | cuMemAllocAsync_ptsz in Context => |call| {
        let stream = call.stream(stream)?;
        let device = call.device();
        let pool = call.current_pool(device)?;
        allocate(call, out, size, pool, stream)
    }

    fn cuMemAllocFromPoolAsync(out: *mut Address, size: usize, pool: Handle, stream: Handle) | cuMemAllocFromPoolAsync_ptsz in Context => |call| {
        let stream = call.stream(stream)?;
        allocate(call, out, size, pool, stream)
    }

    fn cuMemFreeAsync(address: Address, stream: Handle) | cuMemFreeAsync_ptsz in Context => |call| {
        let stream = call.stream(stream)?;
        free(call, address, stream)
    }
}
