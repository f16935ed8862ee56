//! Stores of the model: bytes at made-up addresses, holders other than claims, leases, poison, and the memory behind
//! them.
//!
//! Contract: plain data with small queries. The rules are in `rules`; claims are counted by scanning the handles, so no
//! count can go wrong. Addresses are the model's own; the driver knows the real address of each block.

use super::compute::bytes_of;
use super::layout::Layout;
use super::region::Region;
use super::rules::Class;
use crate::random::Random;
use tenure::types::{TN_BOOL, TN_F32, TN_F64};

/// The origin of a store's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// Allocated from the pool with this number.
    Pool(usize),
    /// Imported with TN_TAKE_OWNERSHIP; the callback with this number runs at the end of the store.
    Taken(usize),
    /// Imported to borrow; the range spans the open leases.
    Lent,
}

#[derive(Clone, Debug)]
pub struct Store {
    pub origin: Origin,
    pub start: i64,
    pub end: i64,
    pub poison: Vec<Region>,
    /// Number of writes that ended.
    pub writes: u32,
    pub alive: bool,
    /// It had a claim at the end of the last call.
    pub claimed: bool,
    /// How often its last claim ended: an older weak handle is dead (RL-7).
    pub epoch: u32,
    /// Bytes of a copying export: no array was ever on it.
    pub private: bool,
}

impl Store {
    pub fn bytes(&self) -> i64 {
        self.end - self.start
    }
}

/// An import with TN_BORROW and its descendants.
#[derive(Clone, Debug)]
pub struct Lease {
    pub store: usize,
    pub start: i64,
    pub end: i64,
    pub may_overwrite: bool,
    pub callback: Option<usize>,
    pub queued: bool,
    pub open: bool,
}

/// The access of an open guard or export.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HoldKind {
    Read {
        frozen: bool,
    },
    /// `group`: the split_write that it belongs to.
    Write {
        discard: bool,
        group: Option<usize>,
    },
    Export(Class),
    /// The bytes of a copying export.
    Keep,
}

impl HoldKind {
    pub fn is_reader(self) -> bool {
        matches!(self, HoldKind::Read { .. })
    }
    pub fn is_writer(self) -> bool {
        matches!(self, HoldKind::Write { .. })
    }
    pub fn is_guard(self) -> bool {
        self.is_reader() || self.is_writer()
    }
    pub fn class(self) -> Option<Class> {
        match self {
            HoldKind::Export(class) => Some(class),
            _ => None,
        }
    }
}

/// One region of a guard or export.
#[derive(Clone, Debug)]
pub struct Holding {
    pub kind: HoldKind,
    pub store: usize,
    pub region: Region,
    /// The array through which it was made.
    pub by: usize,
    pub lease: Option<usize>,
    /// It may overlap others of its guard, by TN_ALLOW_ALIAS.
    pub may_alias: bool,
}

/// A `tn_borrow`: of one array, of several (one region each), a chunk, or an export. Or the guards of a launch, which
/// have no handle.
#[derive(Clone, Debug)]
pub struct Guard {
    pub open: bool,
    pub of_launch: bool,
    pub holds: Vec<Holding>,
}

/// The guards of one split_write (BR-44).
#[derive(Clone, Debug)]
pub struct Group {
    pub region: Region,
    pub open: usize,
    pub failed: bool,
}

/// All bytes, in blocks one megabyte apart, so that an address identifies its block.
#[derive(Clone, Default, Debug)]
pub struct Memory {
    pub blocks: Vec<Block>,
}

#[derive(Clone, Debug)]
pub struct Block {
    pub bytes: Vec<u8>,
    /// False once the pool has it back; its contents are undefined then.
    pub alive: bool,
}

const BLOCK_SHIFT: u32 = 20;

impl Memory {
    /// The address of the first byte of a block.
    pub fn base(block: usize) -> i64 {
        (block as i64 + 1) << BLOCK_SHIFT
    }

    /// The block of an address, also one byte past the block's end.
    pub fn block_of(address: i64) -> usize {
        (address >> BLOCK_SHIFT) as usize - 1
    }

    /// The block whose first byte is nearest, if an address is near any.
    pub fn nearest(address: i64) -> Option<usize> {
        let block = (address + (1 << (BLOCK_SHIFT - 1))) >> BLOCK_SHIFT;
        (block >= 1).then(|| block as usize - 1)
    }

    pub fn add(&mut self, bytes: Vec<u8>) -> i64 {
        self.blocks.push(Block { bytes, alive: true });
        Memory::base(self.blocks.len() - 1)
    }

    /// Whether all of [start, end) is memory that exists.
    pub fn has(&self, start: i64, end: i64) -> bool {
        let block = start >> BLOCK_SHIFT;
        block >= 1
            && self
                .blocks
                .get(block as usize - 1)
                .is_some_and(|b| b.alive && end <= Memory::base(block as usize - 1) + b.bytes.len() as i64)
    }

    pub fn bytes(&self, address: i64, length: i64) -> &[u8] {
        let block = Memory::block_of(address);
        let from = (address - Memory::base(block)) as usize;
        &self.blocks[block].bytes[from..from + length as usize]
    }

    pub fn write(&mut self, address: i64, bytes: &[u8]) {
        let block = Memory::block_of(address);
        let from = (address - Memory::base(block)) as usize;
        self.blocks[block].bytes[from..from + bytes.len()].copy_from_slice(bytes);
    }

    /// All elements in order, read in full.
    pub fn read(&self, layout: &Layout) -> Vec<u8> {
        let item = layout.item();
        layout.addresses().into_iter().flat_map(|at| self.bytes(at, item)).copied().collect()
    }

    /// All elements in order.
    pub fn write_all(&mut self, layout: &Layout, bytes: &[u8]) {
        for (at, element) in layout.addresses().into_iter().zip(bytes.chunks(layout.item() as usize)) {
            self.write(at, element);
        }
    }
}

/// Recognisable bytes for all elements of a layout; bools are 0 or 1, floats have few digits.
pub fn pattern(layout: &Layout, seed: u32) -> Vec<u8> {
    if matches!(layout.dtype, TN_F32 | TN_F64) {
        return numbers(layout, seed);
    }
    let only = if layout.dtype == TN_BOOL { 1 } else { 0xff };
    let mut random = Random::new(u64::from(seed));
    (0..layout.bytes()).map(|_| random.next() as u8 & only).collect()
}

/// Multiples of 1/8 for expressions; in most square matrices the diagonal dominates its row.
fn numbers(layout: &Layout, seed: u32) -> Vec<u8> {
    let n = if layout.shape.len() == 2 && layout.shape[0] == layout.shape[1] { layout.shape[0] } else { 0 };
    let heavy = n > 0 && !seed.is_multiple_of(4);
    let mut random = Random::new(u64::from(seed));
    let mut element = |k: i64| match heavy {
        true if k / n == k % n => (8 * n + random.below_i64(32)) as f64 / 8.0,
        true => (random.below_i64(9) - 4) as f64 / 8.0,
        false => (random.below_i64(97) - 32) as f64 / 8.0,
    };
    (0..layout.count()).flat_map(|k| bytes_of(layout.dtype, element(k))).collect()
}
