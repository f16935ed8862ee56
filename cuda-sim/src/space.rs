//! The address space that programs see, and the bytes behind it.
//!
//! Contract: a device address lies in a reservation that nobody may touch (PROT_NONE); its bytes lie in a second mapping, at the
//! same distance everywhere in one reservation (the shadow), which only the simulator knows. Regions never overlap. The store of all
//! device bytes is one memory file, so that mapped physical memory can appear in several places and in other processes.

use crate::ipc::Shared;
use crate::random::Random;
use crate::status::*;
use crate::types::{Address, Handle};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::ptr::NonNull;

/// Addresses of allocations are multiples of it, and no more than that on purpose.
pub const ALIGNMENT: u64 = 512;
pub const PAGE: u64 = 4096;
/// What one arena of small allocations spans; larger ones get their own.
const ARENA: u64 = 2 << 30;
/// What is used of it at first.
const SPAN: u64 = 64 << 20;
/// What freed memory holds until its pages are gone.
const POISON: u8 = 0xDD;
/// What is filled with junk at once, when it is touched first: what nobody touches takes no memory.
const CHUNK: u64 = 64 << 10;
/// Where the host may touch memory by itself, junk is there from the start; beyond this only at both ends.
const MOST_JUNK: u64 = 2 << 20;
/// Freed memory of at least so many bytes goes back to the system; less is not worth the call.
const WORTH_RETURNING: u64 = 256 << 10;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// Memory of a device, by cuMemAlloc.
    Device,
    /// A CUDA array, by cuArrayCreate.
    Array,
    /// From a memory pool.
    Pooled,
    /// The device's view of pinned host memory.
    Alias,
    /// One address for both sides.
    Managed,
    /// A range of addresses into which physical memory is mapped.
    Reserved,
    /// Another process's allocation.
    Imported,
}

#[derive(Clone, Debug)]
pub struct Region {
    pub base: Address,
    pub size: u64,
    pub what: What,
    pub device: usize,
    pub context: Handle,
    /// Where the byte at `base` really is.
    pub bytes: usize,
    /// Unique for the run: CU_POINTER_ATTRIBUTE_BUFFER_ID.
    pub id: u64,
    /// Of a reservation: what is mapped, by offset.
    pub mapped: BTreeMap<u64, Mapping>,
    /// Of pooled memory: its pool.
    pub pool: Handle,
    /// It can be used: pooled memory only from the moment that its stream gets to the allocation.
    pub ready: bool,
    /// Its free is queued.
    pub freed: bool,
    /// Which chunks were not touched yet, so that they still lack their junk. Empty: none.
    fresh: Vec<Cell<bool>>,
}

impl Region {
    /// Somebody is about to use part of it.
    fn touch(&self, offset: u64, size: u64) {
        let chunks = self.fresh.iter().enumerate().skip((offset / CHUNK) as usize);
        for (at, fresh) in chunks.take_while(|(at, _)| *at as u64 * CHUNK < offset + size) {
            if fresh.replace(false) {
                let start = at as u64 * CHUNK;
                let mut random = Random::new(self.id << 32 | at as u64);
                scribble(self.bytes + start as usize, CHUNK.min(self.size - start), &mut random);
            }
        }
    }

    /// All of it is about to be seen without us.
    pub fn touch_all(&self) {
        self.touch(0, self.size);
    }
}

#[derive(Clone, Debug)]
pub struct Mapping {
    pub size: u64,
    pub physical: Handle,
    pub device: usize,
    /// What each device may do: 0, 1 (read), 3 (read and write).
    pub access: [u8; crate::config::MOST_DEVICES],
}

struct Arena {
    base: Address,
    shadow: usize,
    size: u64,
    /// How much of it is used so far: where it is touched, it takes memory.
    span: u64,
    /// Where the last allocation ended; addresses come back only after the span was passed once.
    cursor: u64,
    /// Where its bytes begin in the store.
    offset: u64,
}

#[derive(Default)]
pub struct Space {
    regions: BTreeMap<Address, Region>,
    arenas: Vec<Arena>,
    store: Option<i32>,
    /// The end of what was given out of the store. Offsets are never used twice; the file is sparse.
    stored: u64,
    next_id: u64,
    /// Freed addresses are given out again as soon as possible.
    pub reuses: bool,
    /// Events that other processes may see: where they are mapped, and where they lie in the store.
    slots: BTreeMap<usize, u64>,
}

impl Space {
    pub fn new(reuses: bool) -> Space {
        Space { reuses, ..Space::default() }
    }

    /// Takes over what a former space reserved, with none of its regions.
    pub fn follow(&mut self, former: &mut Space) {
        self.arenas = std::mem::take(&mut former.arenas);
        (self.store, self.stored, self.next_id) = (former.store.take(), former.stored, former.next_id);
        for at in 0..self.arenas.len() {
            let Arena { offset, size, .. } = self.arenas[at];
            self.drop_stored(offset, size);
            self.arenas[at].span = size.min(SPAN);
        }
    }

    fn store(&mut self) -> Answer<i32> {
        if let Some(file) = self.store {
            return Ok(file);
        }
        const NAME: &CStr = c"cuda-sim";
        // SAFETY: a name with its NUL; the result is checked.
        let file = unsafe { libc::memfd_create(NAME.as_ptr(), libc::MFD_CLOEXEC) };
        if file < 0 {
            return Err(OPERATING_SYSTEM);
        }
        self.store = Some(file);
        Ok(file)
    }

    /// Takes `size` bytes of the store; they are zero and cost nothing until written.
    pub fn take(&mut self, size: u64) -> Answer<u64> {
        let file = self.store()?;
        let offset = self.stored;
        let end = offset + size.next_multiple_of(PAGE);
        // SAFETY: a file of ours, only ever made longer.
        if unsafe { libc::ftruncate(file, end as i64) } != 0 {
            return Err(OPERATING_SYSTEM);
        }
        self.stored = end;
        Ok(offset)
    }

    /// Gives the memory behind part of the store back to the system.
    pub fn drop_stored(&mut self, offset: u64, size: u64) {
        if let Some(file) = self.store {
            let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
            // SAFETY: a file of ours; failing leaves the pages, which is a waste and no more.
            unsafe { libc::fallocate(file, mode, offset as i64, size as i64) };
        }
    }

    /// Where the bytes of `region` lie in the store.
    pub fn stored_at(&self, region: &Region) -> Option<u64> {
        let arena = self.arenas.iter().find(|arena| (arena.base..arena.base + arena.size).contains(&region.base))?;
        Some(arena.offset + (region.base - arena.base))
    }

    /// The part of a handle for other processes that says where our store is.
    pub fn shared(&mut self) -> Answer<Shared> {
        let (process, file) = (u64::from(std::process::id()), self.store()? as u64);
        Ok(Shared { magic: crate::ipc::MAGIC, process, file, offset: 0, size: 0, device: 0, reserved: [0; 2] })
    }

    /// Room for an event that other processes see.
    pub fn slot(&mut self) -> Answer<usize> {
        let offset = self.take(PAGE)?;
        let place = self.map_stored(None, offset, PAGE, None)?;
        self.slots.insert(place, offset);
        Ok(place)
    }

    pub fn slot_offset(&self, place: usize) -> Option<u64> {
        self.slots.get(&place).copied()
    }

    /// Maps part of a store, ours or another process's, at `place`, replacing what is mapped there; None: anywhere.
    pub fn map_stored(&mut self, foreign: Option<i32>, offset: u64, size: u64, place: Option<usize>) -> Answer<usize> {
        let file = foreign.map_or_else(|| self.store(), Ok)?;
        map(place, size, libc::PROT_READ | libc::PROT_WRITE, Backing::File(file, offset))
    }

    /// A reservation that nobody can touch, with a shadow of the same size: (address, shadow).
    pub fn reserve(&mut self, size: u64, alignment: u64, wanted: Address) -> Answer<(Address, usize)> {
        let size = size.next_multiple_of(PAGE);
        let span = size.checked_add(alignment).ok_or(INVALID_VALUE)?;
        let taken = match wanted {
            0 => None,
            at => map_new(at as usize, size).filter(|got| *got == at as usize),
        };
        let base = match taken {
            Some(base) => base as u64,
            None => {
                let raw = map(None, span, libc::PROT_NONE, Backing::Nothing)? as u64;
                let base = raw.next_multiple_of(alignment.max(PAGE));
                unmap(raw, base - raw);
                unmap(base + size, raw + span - (base + size));
                base
            }
        };
        let shadow = map(None, size, libc::PROT_NONE, Backing::Nothing)?;
        Ok((base, shadow))
    }

    pub fn unreserve(&mut self, base: Address, shadow: usize, size: u64) {
        unmap(base, size.next_multiple_of(PAGE));
        unmap(shadow as u64, size.next_multiple_of(PAGE));
    }

    fn free_place(&mut self, size: u64) -> Answer<(Address, usize)> {
        if self.reuses {
            // From the start: the first place that is free.
            self.arenas.iter_mut().for_each(|arena| arena.cursor = arena.base);
        }
        let step = size.next_multiple_of(ALIGNMENT) + ALIGNMENT;
        for index in 0..self.arenas.len() {
            let arena = &self.arenas[index];
            let (base, shadow, most, mut span) = (arena.base, arena.shadow, arena.size, arena.span);
            loop {
                let found = self.gap(arena.cursor, base + span, step).or_else(|| self.gap(base, base + span, step));
                if let Some(at) = found {
                    let arena = &mut self.arenas[index];
                    (arena.cursor, arena.span) = (at + step, span);
                    return Ok((at, shadow + (at - base) as usize));
                }
                if span == most {
                    break;
                }
                span = (2 * span).min(most);
            }
        }
        let size = step.max(ARENA).next_multiple_of(PAGE);
        let (base, shadow) = self.reserve(size, PAGE, 0)?;
        let offset = self.take(size)?;
        self.map_stored(None, offset, size, Some(shadow))?;
        let span = size.min(step.max(SPAN));
        self.arenas.push(Arena { base, shadow, size, span, cursor: base + step, offset });
        Ok((base, shadow))
    }

    /// The first free place of `size` bytes in [from, end).
    fn gap(&self, from: Address, end: Address, size: u64) -> Option<Address> {
        if from > end {
            // Where the last run was, which used more than this one has yet.
            return None;
        }
        let mut at = from;
        if let Some((_, before)) = self.regions.range(..from).next_back() {
            at = at.max((before.base + before.size).next_multiple_of(ALIGNMENT) + ALIGNMENT);
        }
        for (_, region) in self.regions.range(from..end) {
            if region.base >= at && region.base - at >= size {
                return Some(at);
            }
            at = at.max((region.base + region.size).next_multiple_of(ALIGNMENT) + ALIGNMENT);
        }
        (at <= end && end - at >= size).then_some(at)
    }

    /// New device memory, with junk in it if that is asked for.
    pub fn allocate(&mut self, what: What, device: usize, context: Handle, size: u64, junk: bool) -> Answer<Address> {
        let (base, bytes) = self.free_place(size)?;
        self.insert(base, size, what, device, context, bytes);
        if let Some(region) = self.regions.get_mut(&base).filter(|_| junk) {
            region.fresh = vec![Cell::new(true); size.div_ceil(CHUNK) as usize];
        }
        Ok(base)
    }

    /// Device addresses for host memory: `distance` is where in its first page the memory begins.
    pub fn alias(&mut self, device: usize, context: Handle, host: usize, size: u64) -> Answer<Address> {
        let distance = host as u64 % ALIGNMENT;
        let (place, _) = self.free_place(size + ALIGNMENT)?;
        self.insert(place + distance, size, What::Alias, device, context, host);
        Ok(place + distance)
    }

    pub fn insert(&mut self, base: Address, size: u64, what: What, device: usize, context: Handle, bytes: usize) {
        self.next_id += 1;
        let (id, mapped) = (self.next_id, BTreeMap::new());
        self.regions.insert(
            base,
            Region {
                base,
                size,
                what,
                device,
                context,
                bytes,
                id,
                mapped,
                pool: 0,
                ready: true,
                freed: false,
                fresh: Vec::new(),
            },
        );
    }

    /// Takes the region that begins at `base` away. Memory of an arena is poisoned and given back.
    pub fn remove(&mut self, base: Address) -> Option<Region> {
        let region = self.regions.remove(&base)?;
        if matches!(region.what, What::Device | What::Array | What::Pooled) {
            self.poison(&region);
        }
        Some(region)
    }

    fn poison(&mut self, region: &Region) {
        let (start, end) = (region.bytes as u64, region.bytes as u64 + region.size);
        let (first, last) = (start.next_multiple_of(PAGE).min(end), (end / PAGE * PAGE).max(start));
        let (head, tail) = if first + WORTH_RETURNING <= last { (first, last) } else { (end, end) };
        for (from, to) in [(start, head), (tail, end)] {
            // SAFETY: the shadow of a region of an arena, mapped readable and writable for good.
            unsafe { std::ptr::write_bytes(from as *mut u8, POISON, (to - from) as usize) };
        }
        if let Some(offset) = self.stored_at(region)
            && head < tail
        {
            self.drop_stored(offset + (head - start), tail - head);
        }
    }

    pub fn at(&self, base: Address) -> Option<&Region> {
        self.regions.get(&base)
    }

    pub fn at_mut(&mut self, base: Address) -> Option<&mut Region> {
        self.regions.get_mut(&base)
    }

    /// The region in which an address lies.
    pub fn find(&self, address: Address) -> Option<&Region> {
        let (_, region) = self.regions.range(..=address).next_back()?;
        (address - region.base < region.size.max(1)).then_some(region)
    }

    /// Whether an address is one that devices use, be anything there or not: host memory is never found there.
    pub fn owns(&self, address: Address) -> bool {
        let in_arena = |arena: &Arena| (arena.base..arena.base + arena.size).contains(&address);
        self.arenas.iter().any(in_arena) || self.find(address).is_some()
    }

    pub fn regions(&self) -> impl Iterator<Item = &Region> {
        self.regions.values()
    }

    pub fn count(&self, what: What) -> u64 {
        self.regions.values().filter(|region| region.what == what).count() as u64
    }

    /// Where the bytes [address, address + size) really are, if `device` may use all of them now.
    pub fn resolve(&self, address: Address, size: u64, device: usize, write: bool) -> Answer<*mut u8> {
        if size == 0 {
            return Ok(NonNull::dangling().as_ptr());
        }
        let region = self.find(address).ok_or(ILLEGAL_ADDRESS)?;
        let offset = address - region.base;
        if size > region.size - offset || !region.ready {
            return Err(ILLEGAL_ADDRESS);
        }
        if region.what == What::Reserved {
            let needed = if write { 3 } else { 1 };
            let mut at = offset;
            while at < offset + size {
                let (start, mapping) = region.mapped.range(..=at).next_back().ok_or(ILLEGAL_ADDRESS)?;
                if at >= start + mapping.size || mapping.access[device] & needed != needed {
                    return Err(ILLEGAL_ADDRESS);
                }
                at = start + mapping.size;
            }
        }
        region.touch(offset, size);
        Ok((region.bytes + offset as usize) as *mut u8)
    }
}

enum Backing {
    Nothing,
    File(i32, u64),
}

fn map(place: Option<usize>, size: u64, protection: i32, backing: Backing) -> Answer<usize> {
    let fixed = if place.is_some() { libc::MAP_FIXED } else { 0 };
    let (kind, file, offset) = match backing {
        Backing::Nothing => (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE, -1, 0),
        Backing::File(file, offset) => (libc::MAP_SHARED | libc::MAP_NORESERVE, file, offset),
    };
    let at = place.unwrap_or(0) as *mut libc::c_void;
    // SAFETY: a new mapping, or one in place of part of a reservation of ours.
    let got = unsafe { libc::mmap(at, size as usize, protection, kind | fixed, file, offset as i64) };
    if got == libc::MAP_FAILED { Err(OUT_OF_MEMORY) } else { Ok(got as usize) }
}

/// A reservation at exactly `place`, if nothing is there.
fn map_new(place: usize, size: u64) -> Option<usize> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: replaces nothing.
    let got = unsafe { libc::mmap(place as *mut libc::c_void, size as usize, libc::PROT_NONE, flags, -1, 0) };
    (got != libc::MAP_FAILED).then_some(got as usize)
}

/// Host memory of our own: pinned or managed.
pub fn host_pages(size: u64) -> Answer<usize> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping.
    let got =
        unsafe { libc::mmap(std::ptr::null_mut(), size as usize, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    if got == libc::MAP_FAILED { Err(OUT_OF_MEMORY) } else { Ok(got as usize) }
}

/// Puts a reservation back where memory was mapped.
pub fn unmap_shadow(place: usize, size: u64) -> Answer {
    map(Some(place), size, libc::PROT_NONE, Backing::Nothing).map(|_| ())
}

pub fn unmap(place: u64, size: u64) {
    if size > 0 {
        // SAFETY: a mapping of ours that no region refers to any more.
        unsafe { libc::munmap(place as *mut libc::c_void, size as usize) };
    }
}

/// Junk in fresh memory, so that nobody relies on zeros.
pub fn scribble(bytes: usize, size: u64, random: &mut Random) {
    let edge = size.min(MOST_JUNK);
    let parts = if size > MOST_JUNK { [(0, edge / 2), (size - edge / 2, edge / 2)] } else { [(0, size), (0, 0)] };
    let mut junk = [0_u64; 128];
    junk.iter_mut().for_each(|word| *word = random.next());
    for (start, length) in parts {
        for at in (0..length).step_by(size_of_val(&junk)) {
            let part = (length - at).min(size_of_val(&junk) as u64) as usize;
            // SAFETY: inside the allocation whose bytes these are.
            unsafe {
                let to = (bytes as u64 + start + at) as *mut u8;
                std::ptr::copy_nonoverlapping(junk.as_ptr().cast(), to, part);
            }
        }
    }
}
