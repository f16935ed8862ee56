//! A region: one allocation or reservation in the address space, and where its bytes really are.

use super::pages::fill_with_junk;
use super::process::Process;
use super::shared::Life;
use crate::base::config::MAX_DEVICES;
use crate::base::random::Random;
use crate::base::types::{Address, Handle};
use std::cell::Cell;
use std::collections::BTreeMap;

/// Junk is written in chunks of this size, each when it is first used: memory that no program uses costs nothing.
const CHUNK_BYTES: u64 = 64 << 10;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MemoryKind {
    /// By cuMemAlloc.
    Device,
    /// By cuArrayCreate.
    Array,
    /// By cuMemAllocAsync, from a pool.
    Pooled,
    /// The device's address of pinned host memory.
    Pinned,
    /// One address for host and device.
    Managed,
    /// A range of addresses, into which physical memory is mapped.
    Reserved,
    /// Another process's allocation.
    Imported,
}

impl MemoryKind {
    /// Whether the bytes are host memory.
    pub fn is_on_host(self) -> bool {
        matches!(self, MemoryKind::Pinned | MemoryKind::Managed)
    }
}

#[derive(Clone, Debug)]
pub struct Region {
    pub base: Address,
    pub size: u64,
    pub kind: MemoryKind,
    pub device: usize,
    pub context: Handle,
    /// Where the byte at `base` really is.
    pub bytes: usize,
    /// Unique for the run: CU_POINTER_ATTRIBUTE_BUFFER_ID.
    pub id: u64,
    /// The mappings in a reservation, by offset.
    pub mapped: BTreeMap<u64, Mapping>,
    /// The pool of pooled memory.
    pub pool: Handle,
    /// Usable now. Pooled memory is usable from the moment that its stream reaches the allocation.
    pub ready: bool,
    /// A free of it is queued.
    pub freed: bool,
    /// Of an allocation that another process may use, or that is another process's: its `Life`, and that one's offset
    /// in the file.
    pub shared: Option<(u64, Life)>,
    /// Of an imported one: the process that has it, and the offset of its `Life` there, by which it is known.
    pub imported: Option<(Process, u64)>,
    /// How often an imported one was opened.
    pub opened: u32,
    /// For each chunk: it has not been used, so it still lacks its junk. Empty if no junk is wanted.
    unused_chunks: Vec<Cell<bool>>,
}

/// Physical memory that is mapped into a reservation.
#[derive(Clone, Debug)]
pub struct Mapping {
    pub size: u64,
    pub physical: Handle,
    pub device: usize,
    /// The access of each device: 0, 1 (read), 3 (read and write).
    pub access: [u8; MAX_DEVICES],
}

impl Region {
    pub fn new(kind: MemoryKind, base: Address, size: u64, device: usize, context: Handle, bytes: usize) -> Region {
        Region {
            base,
            size,
            kind,
            device,
            context,
            bytes,
            id: 0,
            mapped: BTreeMap::new(),
            pool: 0,
            ready: true,
            freed: false,
            shared: None,
            imported: None,
            opened: 0,
            unused_chunks: Vec::new(),
        }
    }

    /// The first use of each chunk fills it with junk.
    pub fn fill_on_first_use(&mut self) {
        self.unused_chunks = vec![Cell::new(true); self.size.div_ceil(CHUNK_BYTES) as usize];
    }

    /// A part of it is about to be used.
    pub fn prepare(&self, offset: u64, size: u64) {
        let chunks = self.unused_chunks.iter().enumerate().skip((offset / CHUNK_BYTES) as usize);
        for (at, unused) in chunks.take_while(|(at, _)| *at as u64 * CHUNK_BYTES < offset + size) {
            if unused.replace(false) {
                let start = at as u64 * CHUNK_BYTES;
                let mut random = Random::new(self.id << 32 | at as u64);
                fill_with_junk(self.bytes + start as usize, CHUNK_BYTES.min(self.size - start), &mut random);
            }
        }
    }

    /// Whether it is another process's memory, which that process has freed, or which went with it.
    pub fn is_gone(&self) -> bool {
        self.kind == MemoryKind::Imported && self.shared.is_some_and(|(_, life)| life.has_ended())
    }

    /// All of it is about to be used by another process.
    pub fn prepare_all(&self) {
        self.prepare(0, self.size);
    }

    /// The mapping in a reservation at `offset`, with its own offset.
    pub fn mapping_at(&self, offset: u64) -> Option<(u64, &Mapping)> {
        let (start, mapping) = self.mapped.range(..=offset).next_back()?;
        (offset < start + mapping.size).then_some((*start, mapping))
    }

    /// Whether a device may use [offset, offset + size) of a reservation.
    pub fn allows(&self, offset: u64, size: u64, device: usize, write: bool) -> bool {
        let needed = if write { 3 } else { 1 };
        let mut at = offset;
        while at < offset + size {
            match self.mapping_at(at) {
                Some((start, mapping)) if mapping.access[device] & needed == needed => at = start + mapping.size,
                _ => return false,
            }
        }
        true
    }
}
