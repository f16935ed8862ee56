//! The driver's own pools: memory that comes and goes in the order of a stream.
//!
//! An allocation has its address at once, but can be used only from the moment that its stream gets to it until the stream gets to its
//! free: whoever is not ordered behind the one and before the other faults. What a pool keeps for reuse is an account here, not an
//! address: a free counts at once, and what exceeds the release threshold goes back to the device when somebody synchronises.

use crate::context::located;
use crate::engine::Work;
use crate::entry::{Call, get, put};
use crate::memory::charged;
use crate::space::What;
use crate::status::*;
use crate::types::*;
use crate::world::{Kind, World};
use std::collections::BTreeMap;
use std::ffi::{c_int, c_uint, c_void};
use std::sync::Arc;

const REUSE_ATTRIBUTES: std::ops::RangeInclusive<c_uint> = 1..=3;
const RELEASE_THRESHOLD: c_uint = 4;
const RESERVED: c_uint = 5;
const RESERVED_HIGH: c_uint = 6;
const USED: c_uint = 7;
const USED_HIGH: c_uint = 8;

#[derive(Default)]
pub struct Pools {
    pools: BTreeMap<Handle, Pool>,
    /// By device: the one that is always there, and the one that cuMemAllocAsync takes from.
    default: BTreeMap<usize, Handle>,
    current: BTreeMap<usize, Handle>,
}

struct Pool {
    device: usize,
    most: u64,
    reuse: [c_int; 3],
    threshold: u64,
    reserved: u64,
    reserved_high: u64,
    used: u64,
    used_high: u64,
    access: BTreeMap<usize, c_uint>,
}

impl World {
    fn pool(&mut self, device: usize, most: u64) -> Answer<Handle> {
        if self.devices[device].attribute(115)? == 0 {
            return Err(NOT_SUPPORTED);
        }
        let handle = self.handle(Kind::Pool);
        let access = BTreeMap::from([(device, 3)]);
        let most = if most == 0 { u64::MAX } else { most };
        let pool = Pool {
            device,
            most,
            reuse: [1; 3],
            threshold: 0,
            reserved: 0,
            reserved_high: 0,
            used: 0,
            used_high: 0,
            access,
        };
        self.pools.pools.insert(handle, pool);
        Ok(handle)
    }

    pub fn pool_reaches(&self, pool: Handle, device: usize) -> bool {
        self.pools.pools.get(&pool).is_some_and(|pool| pool.access.get(&device).is_some_and(|access| *access == 3))
    }

    fn default_pool(&mut self, device: usize) -> Answer<Handle> {
        if let Some(pool) = self.pools.default.get(&device) {
            return Ok(*pool);
        }
        let pool = self.pool(device, 0)?;
        self.pools.default.insert(device, pool);
        Ok(pool)
    }

    fn current_pool(&mut self, device: usize) -> Answer<Handle> {
        match self.pools.current.get(&device) {
            Some(pool) => Ok(*pool),
            None => self.default_pool(device),
        }
    }

    /// Gives back what a pool keeps beyond `keep`.
    fn trim(&mut self, handle: Handle, keep: u64) {
        if let Some(pool) = self.pools.pools.get_mut(&handle) {
            let kept = pool.reserved.min(pool.used.max(keep));
            let device = &mut self.devices[pool.device];
            device.used = device.used.saturating_sub(pool.reserved - kept);
            pool.reserved = kept;
        }
    }

    /// Somebody synchronised: pools give back what is above their thresholds.
    pub fn release_unused(&mut self) {
        let all: Vec<(Handle, u64)> = self.pools.pools.iter().map(|(handle, pool)| (*handle, pool.threshold)).collect();
        for (pool, threshold) in all {
            self.trim(pool, threshold);
        }
    }

    /// An allocation of a pool no longer counts as used.
    fn give_back(&mut self, handle: Handle, size: u64) {
        if let Some(pool) = self.pools.pools.get_mut(&handle) {
            pool.used = pool.used.saturating_sub(charged(size));
        }
    }

    /// Frees pooled memory at once.
    pub fn release_pooled(&mut self, base: Address) {
        if let Some(region) = self.space.remove(base)
            && !region.freed
        {
            self.give_back(region.pool, region.size);
        }
    }
}

fn allocate(call: &mut Call, out: *mut Address, size: usize, pool: Handle, stream: Handle) -> Answer {
    if size == 0 {
        return Err(INVALID_VALUE);
    }
    let (size, cost) = (size as u64, charged(size as u64));
    let context = call.streams.get(&stream).ok_or(INVALID_HANDLE)?.context;
    call.sound(context)?;
    let world = &mut *call.world;
    let known = world.pools.pools.get_mut(&pool).ok_or(INVALID_VALUE)?;
    let (device, unused) = (known.device, known.reserved - known.used);
    let more = cost.saturating_sub(unused);
    if known.reserved.checked_add(more).is_none_or(|all| all > known.most) {
        return Err(OUT_OF_MEMORY);
    }
    world.devices[device].charge(more)?;
    known.reserved += more;
    known.used += cost;
    known.reserved_high = known.reserved_high.max(known.reserved);
    known.used_high = known.used_high.max(known.used);
    let made = world.space.allocate(What::Pooled, device, context, size, world.config.junk);
    if made.is_err() {
        world.give_back(pool, size);
    }
    let base = made?;
    if let Some(region) = call.space.at_mut(base) {
        (region.pool, region.ready) = (pool, false);
    }
    let work = Work::Inside(Arc::new(move |world, _| {
        world.space.at_mut(base).ok_or(ILLEGAL_ADDRESS)?.ready = true;
        Ok(())
    }));
    call.enqueue(stream, "allocation", Vec::new(), work)?;
    put(out, base)
}

fn free(call: &mut Call, address: Address, stream: Handle) -> Answer {
    let region = call.space.at(address).filter(|region| !region.freed).ok_or(INVALID_VALUE)?;
    let (pool, size, what) = (region.pool, region.size, region.what);
    if !matches!(what, What::Pooled | What::Device) {
        return Err(INVALID_VALUE);
    }
    // A graph that is captured may be launched again: its memory is only taken out of use.
    let captured = call.streams.get(&stream).is_some_and(|stream| stream.capture.is_some());
    let work = Work::Inside(Arc::new(move |world, _| {
        match world.space.at_mut(address) {
            Some(region) if captured => region.ready = false,
            Some(_) if what == What::Device => world.release_memory(address),
            Some(_) => drop(world.space.remove(address)),
            None => return Err(ILLEGAL_ADDRESS),
        }
        Ok(())
    }));
    call.enqueue(stream, "free", Vec::new(), work)?;
    if !captured {
        if let Some(region) = call.space.at_mut(address) {
            region.freed = true;
        }
        call.give_back(pool, size);
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
        let device = located(call, props.location)?.ok_or(NOT_SUPPORTED)?;
        if props.kind != 1 {
            return Err(INVALID_VALUE);
        }
        put(out, call.pool(device, props.max_size as u64)?)
    }

    fn cuMemPoolDestroy(pool: Handle) in Init => |call| {
        let known = call.pools.pools.get(&pool).ok_or(INVALID_VALUE)?;
        let (device, used) = (known.device, known.used);
        if call.pools.default.get(&device) == Some(&pool) {
            return Err(INVALID_VALUE);
        }
        call.trim(pool, 0);
        call.pools.current.retain(|_, current| *current != pool);
        // What is still allocated lives until it is freed; then nobody keeps it.
        if used == 0 {
            call.pools.pools.remove(&pool);
        }
        Ok(())
    }

    fn cuMemPoolTrimTo(pool: Handle, keep: usize) in Init => |call| {
        call.pools.pools.get(&pool).ok_or(INVALID_VALUE)?;
        call.trim(pool, keep as u64);
        Ok(())
    }

    fn cuMemPoolSetAttribute(pool: Handle, attribute: c_uint, value: *mut c_void) in Init => |call| {
        let pool = call.world.pools.pools.get_mut(&pool).ok_or(INVALID_VALUE)?;
        match attribute {
            reuse if REUSE_ATTRIBUTES.contains(&reuse) => pool.reuse[reuse as usize - 1] = get(value.cast())?,
            RELEASE_THRESHOLD => pool.threshold = get(value.cast())?,
            // The peaks can only be set back.
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
            RELEASE_THRESHOLD => pool.threshold,
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
            let device = located(call, location)?.ok_or(INVALID_VALUE)?;
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
        let device = located(call, get(location)?)?.ok_or(INVALID_VALUE)?;
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
