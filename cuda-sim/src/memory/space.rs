//! The address space that programs see: which regions there are, and where their bytes lie.
//!
//! Contract: a device address lies in a reservation that the host cannot touch (PROT_NONE). Its bytes lie in a second
//! mapping, the shadow, which only the simulator knows; within one reservation the distance between the two is
//! constant. Regions never overlap.

use super::pages::{self, PAGE_BYTES, unmap};
use super::region::{MemoryKind, Region};
use super::shared::LIFE_BYTES;
use super::store::Store;
use crate::base::random::Random;
use crate::base::status::*;
use crate::base::types::{Address, Handle};
use std::collections::BTreeMap;
use std::ptr::NonNull;

/// Small allocations have this alignment, and on purpose no larger one.
const ALIGNMENT_BYTES: u64 = 512;
/// Allocations of at least this size have this alignment, except for those that come askew.
const LARGE_BYTES: u64 = 2 << 20;
/// The size of an arena of small allocations. A larger allocation gets an arena of its own.
const ARENA_BYTES: u64 = 2 << 30;
/// The part of an arena that is used at first.
const FIRST_SPAN_BYTES: u64 = 64 << 20;
/// The value of freed memory until its pages are gone.
const POISON: u8 = 0xDD;
/// Freed memory of at least this size is returned to the system; less is not worth the call.
const MIN_RETURNED_BYTES: u64 = 256 << 10;

struct Arena {
    base: Address,
    shadow: usize,
    size: u64,
    /// The part that has been used so far, and so takes memory.
    span: u64,
    /// The end of the last allocation. Freed addresses are used again only after the cursor has passed the whole span.
    cursor: u64,
    /// Where its bytes begin in the store.
    offset: u64,
}

pub struct Space {
    regions: BTreeMap<Address, Region>,
    arenas: Vec<Arena>,
    pub store: Store,
    next_id: u64,
    /// Freed addresses are given out again at once.
    pub reuses: bool,
    /// The part of large allocations, of 256, that are only aligned as small ones are.
    pub askew: u32,
    /// Decides which.
    pub random: Random,
}

impl Space {
    pub fn new(reuses: bool, askew: u32, seed: u64) -> Space {
        let random = Random::new(seed);
        Space {
            regions: BTreeMap::new(),
            arenas: Vec::new(),
            store: Store::default(),
            next_id: 0,
            reuses,
            askew,
            random,
        }
    }

    /// Takes over the reservations of a former space, with none of its regions.
    pub fn take_over(&mut self, former: &mut Space) {
        self.arenas = std::mem::take(&mut former.arenas);
        (self.store, self.next_id) = (former.store.take_over(), former.next_id);
        for arena in &mut self.arenas {
            self.store.punch_hole(arena.offset, arena.size);
            arena.span = arena.size.min(FIRST_SPAN_BYTES);
        }
    }

    /// Allocates device memory; `junk`: it holds junk, not zeros.
    pub fn allocate(
        &mut self,
        kind: MemoryKind,
        device: usize,
        context: Handle,
        size: u64,
        junk: bool,
    ) -> Answer<Address> {
        let (base, bytes) = self.find_room(size)?;
        let mut region = Region::new(kind, base, size, device, context, bytes);
        if junk {
            region.fill_on_first_use();
        }
        self.insert(region);
        Ok(base)
    }

    /// Gives host memory a device address other than its host address, at the same distance from an aligned one.
    pub fn map_pinned(&mut self, device: usize, context: Handle, host: usize, size: u64) -> Answer<Address> {
        let distance = host as u64 % ALIGNMENT_BYTES;
        let (place, _) = self.find_room(size + ALIGNMENT_BYTES)?;
        self.insert(Region::new(MemoryKind::Pinned, place + distance, size, device, context, host));
        Ok(place + distance)
    }

    /// Adds a region and gives it its id.
    pub fn insert(&mut self, mut region: Region) {
        self.next_id += 1;
        region.id = self.next_id;
        self.regions.insert(region.base, region);
    }

    /// Removes the region that begins at `base`. Memory of an arena is poisoned, or returned to the system.
    pub fn remove(&mut self, base: Address) -> Option<Region> {
        let region = self.regions.remove(&base)?;
        if let Some((_, life)) = region.shared {
            if region.kind != MemoryKind::Imported {
                life.end();
            }
            unmap(life.place() as u64, LIFE_BYTES);
        }
        if matches!(region.kind, MemoryKind::Device | MemoryKind::Array | MemoryKind::Pooled) {
            self.poison(&region);
        }
        Some(region)
    }

    fn poison(&mut self, region: &Region) {
        let (start, end) = (region.bytes as u64, region.bytes as u64 + region.size);
        let (first, last) = (start.next_multiple_of(PAGE_BYTES).min(end), (end / PAGE_BYTES * PAGE_BYTES).max(start));
        let (head, tail) = if first + MIN_RETURNED_BYTES <= last { (first, last) } else { (end, end) };
        for (from, to) in [(start, head), (tail, end)] {
            // SAFETY: the shadow of a region of an arena, mapped readable and writable for good.
            unsafe { std::ptr::write_bytes(from as *mut u8, POISON, (to - from) as usize) };
        }
        if let Some(offset) = self.store_offset(region)
            && head < tail
        {
            self.store.punch_hole(offset + (head - start), tail - head);
        }
    }

    /// The region that begins at `base`.
    pub fn at(&self, base: Address) -> Option<&Region> {
        self.regions.get(&base)
    }

    /// The region that begins at `base`.
    pub fn at_mut(&mut self, base: Address) -> Option<&mut Region> {
        self.regions.get_mut(&base)
    }

    /// The region that contains an address.
    pub fn find(&self, address: Address) -> Option<&Region> {
        let (_, region) = self.regions.range(..=address).next_back()?;
        (address - region.base < region.size.max(1)).then_some(region)
    }

    /// Whether an address belongs to devices, allocated or not. Host memory never has such an address.
    pub fn owns(&self, address: Address) -> bool {
        let in_arena = |arena: &Arena| (arena.base..arena.base + arena.size).contains(&address);
        self.arenas.iter().any(in_arena) || self.find(address).is_some()
    }

    pub fn regions(&self) -> impl Iterator<Item = &Region> {
        self.regions.values()
    }

    pub fn count(&self, kind: MemoryKind) -> u64 {
        self.regions.values().filter(|region| region.kind == kind).count() as u64
    }

    /// Where the bytes [address, address + size) really are; ILLEGAL_ADDRESS unless `device` may use all of them now.
    pub fn resolve(&self, address: Address, size: u64, device: usize, write: bool) -> Answer<*mut u8> {
        if size == 0 {
            return Ok(NonNull::dangling().as_ptr());
        }
        let region = self.find(address).ok_or(ILLEGAL_ADDRESS)?;
        let offset = address - region.base;
        if size > region.size - offset || !region.ready || region.is_gone() {
            return Err(ILLEGAL_ADDRESS);
        }
        if region.kind == MemoryKind::Reserved && !region.allows(offset, size, device, write) {
            return Err(ILLEGAL_ADDRESS);
        }
        region.prepare(offset, size);
        Ok((region.bytes + offset as usize) as *mut u8)
    }

    /// Where the bytes of a region of an arena lie in the store.
    pub fn store_offset(&self, region: &Region) -> Option<u64> {
        let arena = self.arenas.iter().find(|arena| (arena.base..arena.base + arena.size).contains(&region.base))?;
        Some(arena.offset + (region.base - arena.base))
    }

    /// Reserves addresses that the host cannot access, and a shadow of the same size: (address, shadow). `wanted`: the
    /// address to try first; 0: any.
    pub fn reserve(&mut self, size: u64, alignment: u64, wanted: Address) -> Answer<(Address, usize)> {
        let size = size.next_multiple_of(PAGE_BYTES);
        let span = size.checked_add(alignment).ok_or(INVALID_VALUE)?;
        let taken = match wanted {
            0 => None,
            at => pages::reserve_at(at as usize, size).filter(|got| *got == at as usize),
        };
        let base = match taken {
            Some(base) => base as u64,
            None => {
                let raw = pages::reserve(span)? as u64;
                let base = raw.next_multiple_of(alignment.max(PAGE_BYTES));
                unmap(raw, base - raw);
                unmap(base + size, raw + span - (base + size));
                base
            }
        };
        Ok((base, pages::reserve(size)?))
    }

    pub fn unreserve(&mut self, base: Address, shadow: usize, size: u64) {
        unmap(base, size.next_multiple_of(PAGE_BYTES));
        unmap(shadow as u64, size.next_multiple_of(PAGE_BYTES));
    }

    /// Finds unused addresses, in a new arena if need be: (address, where its bytes are).
    fn find_room(&mut self, size: u64) -> Answer<(Address, usize)> {
        if self.reuses {
            // The search begins at the lowest address.
            self.arenas.iter_mut().for_each(|arena| arena.cursor = arena.base);
        }
        let alignment = if size >= LARGE_BYTES { LARGE_BYTES } else { ALIGNMENT_BYTES };
        // An address that is a multiple of 512 and of nothing larger.
        let skew = if size >= LARGE_BYTES && self.random.chance(self.askew) { ALIGNMENT_BYTES } else { 0 };
        let step = skew + size.next_multiple_of(ALIGNMENT_BYTES) + ALIGNMENT_BYTES;
        for index in 0..self.arenas.len() {
            let arena = &self.arenas[index];
            let (base, shadow, most, mut span) = (arena.base, arena.shadow, arena.size, arena.span);
            loop {
                let end = base + span;
                let found =
                    self.gap(arena.cursor, end, step, alignment).or_else(|| self.gap(base, end, step, alignment));
                if let Some(at) = found {
                    let arena = &mut self.arenas[index];
                    (arena.cursor, arena.span) = (at + step, span);
                    return Ok((at + skew, shadow + (at + skew - base) as usize));
                }
                if span == most {
                    break;
                }
                span = (2 * span).min(most);
            }
        }
        let size = step.max(ARENA_BYTES).next_multiple_of(PAGE_BYTES);
        let (base, shadow) = self.reserve(size, LARGE_BYTES, 0)?;
        let offset = self.store.take(size)?;
        self.store.map(offset, size, Some(shadow))?;
        let span = size.min(step.max(FIRST_SPAN_BYTES));
        self.arenas.push(Arena { base, shadow, size, span, cursor: base + step, offset });
        Ok((base + skew, shadow + skew as usize))
    }

    /// The first gap of `size` bytes in [from, end) that begins at a multiple of the alignment.
    fn gap(&self, from: Address, end: Address, size: u64, alignment: u64) -> Option<Address> {
        let behind = |region: &Region| {
            let end = (region.base + region.size).next_multiple_of(ALIGNMENT_BYTES) + ALIGNMENT_BYTES;
            end.next_multiple_of(alignment)
        };
        if from > end {
            // The cursor is still where a former run left it, beyond this run's span.
            return None;
        }
        let mut at = from.next_multiple_of(alignment);
        if let Some((_, before)) = self.regions.range(..from).next_back() {
            at = at.max(behind(before));
        }
        for (_, region) in self.regions.range(from..end) {
            if region.base >= at && region.base - at >= size {
                return Some(at);
            }
            at = at.max(behind(region));
        }
        (at <= end && end - at >= size).then_some(at)
    }
}
