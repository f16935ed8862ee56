//! Staging: page-locked chunks for copies of memory that a device cannot access itself.
//!
//! Each device has two chunks per direction, of `transfer.chunk` bytes. They are allocated at their first use and freed by [`trim`]. While
//! the device copies one chunk, the host copies the other. A chunk records the [`Point`] at which the device has finished with it, and its
//! next user waits for that point only. If no chunk is available, pageable memory takes its place. The driver then copies more slowly, with
//! the same result.
//!
//! Contract: a [`ChunkRing`] belongs to one copy. No allocation, wait or driver call happens under the lock of this module.

use crate::blit::Scratch;
use crate::error::Result;
use crate::gpu::{self, GPUS, Gpu, page_lock};
use crate::options;
use crate::reclaim;
use crate::stream::Point;
use crate::thread::ColdLock;
use crate::types::*;

/// The direction of a chunk's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From the host to the device.
    ToDevice,
    /// From the device to the host.
    ToHost,
}

/// Chunks per direction and device.
const CHUNKS: usize = 2;

/// The slot of a page-locked chunk.
#[derive(Clone, Copy)]
struct Slot {
    /// 0: the chunk is not allocated.
    address: usize,
    bytes: usize,
    /// Whether a copy uses the chunk.
    taken: bool,
    /// The point at which the device has finished with the chunk.
    after: Option<Point>,
}

const NO_SLOT: Slot = Slot { address: 0, bytes: 0, taken: false, after: None };

static SLOTS: [[ColdLock<[Slot; CHUNKS]>; 2]; GPUS] = [const { [const { ColdLock::new([NO_SLOT; CHUNKS]) }; 2] }; GPUS];

/// The chunks that one copy uses in turn, for one device and direction.
pub struct ChunkRing {
    gpu: &'static Gpu,
    direction: Direction,
    bytes: usize,
    chunks: [Option<Chunk>; CHUNKS],
    next: usize,
}

/// A chunk that a copy uses.
struct Chunk {
    address: usize,
    after: Option<Point>,
    location: Location,
}

enum Location {
    /// Page-locked, in the slot of that index.
    Slot(usize),
    /// Pageable memory of the copy's own.
    Own(Scratch),
}

impl ChunkRing {
    /// A ring that has no chunks yet.
    pub fn new(gpu: &'static Gpu, direction: Direction) -> ChunkRing {
        let bytes = options::transfer_chunk() as usize;
        ChunkRing { gpu, direction, bytes, chunks: [const { None }; CHUNKS], next: 0 }
    }

    /// The size of a chunk.
    pub fn chunk_bytes(&self) -> i64 {
        self.bytes as i64
    }

    /// Waits until the device has finished with the next chunk. Returns the chunk's index and address. A ring that got only one chunk
    /// returns it every time.
    pub fn next(&mut self) -> Result<(usize, i64)> {
        let mut index = self.next;
        if self.chunks[index].is_none() {
            match self.take(index > 0)? {
                Some(chunk) => self.chunks[index] = Some(chunk),
                None => index = 0,
            }
        }
        self.next = (index + 1) % CHUNKS;
        self.wait(index)?;
        Ok((index, self.chunks[index].as_ref().map_or(0, |chunk| chunk.address as i64)))
    }

    /// Records that the device uses a chunk until `point`.
    pub fn busy_until(&mut self, index: usize, point: Point) {
        if let Some(chunk) = &mut self.chunks[index] {
            chunk.after = Some(point);
        }
    }

    /// Waits until the device has finished with a chunk. If that fails, the chunk stays busy, so that no other copy uses it too early.
    pub fn wait(&mut self, index: usize) -> Result<()> {
        let Some(chunk) = &mut self.chunks[index] else { return Ok(()) };
        chunk.after.map_or(Ok(()), Point::wait)?;
        chunk.after = None;
        Ok(())
    }

    /// Takes a page-locked chunk, which may have to be allocated, or else pageable memory. None: other copies use all page-locked chunks,
    /// and the caller can do without (`optional`).
    fn take(&self, optional: bool) -> Result<Option<Chunk>> {
        // Finds out about a reset, with which the chunks are gone.
        drop(self.gpu.enter()?);
        match self.claim() {
            Some((index, slot)) => {
                let location = Location::Slot(index);
                if slot.bytes == self.bytes {
                    return Ok(Some(Chunk { address: slot.address, after: slot.after, location }));
                }
                // The chunk is not allocated, or has the size of an earlier value of the option.
                let freed = slot.address == 0 || self.discard(&slot);
                match if freed { page_lock::allocate(self.gpu, self.bytes).ok() } else { None } {
                    Some(address) => return Ok(Some(Chunk { address, after: None, location })),
                    None => self.put_back(index, if freed { NO_SLOT } else { slot }),
                }
            }
            None if optional => return Ok(None),
            None => {}
        }
        let own = Scratch::new(self.bytes)?;
        Ok(Some(Chunk { address: own.address() as usize, after: None, location: Location::Own(own) }))
    }

    fn slots(&self) -> &'static ColdLock<[Slot; CHUNKS]> {
        &SLOTS[self.gpu.id() as usize][self.direction as usize]
    }

    /// Takes an unused slot. It prefers one that the device has finished with.
    fn claim(&self) -> Option<(usize, Slot)> {
        reclaim::register(trim);
        gpu::on_reset(gpu::Layer::Copies, forget_chunks);
        let mut slots = self.slots().lock();
        let free = slots.iter().enumerate().filter(|(_, slot)| !slot.taken);
        let (index, _) = free.min_by_key(|(_, slot)| slot.after.is_some_and(|point| !point.is_passed()))?;
        slots[index].taken = true;
        Some((index, slots[index]))
    }

    fn put_back(&self, index: usize, slot: Slot) {
        self.slots().lock()[index] = Slot { taken: false, ..slot };
    }

    /// Waits until the device has finished with a chunk, and frees it. Returns whether it was freed.
    fn discard(&self, slot: &Slot) -> bool {
        if slot.after.is_some_and(|point| point.wait().is_err()) {
            return false;
        }
        // SAFETY: this call has taken the chunk, and the device has finished with it.
        unsafe { page_lock::free(self.gpu, slot.address) }.is_ok()
    }
}

impl Drop for ChunkRing {
    fn drop(&mut self) {
        for index in 0..CHUNKS {
            let Some(chunk) = self.chunks[index].take() else { continue };
            match chunk.location {
                Location::Slot(index) => {
                    self.put_back(
                        index,
                        Slot { address: chunk.address, bytes: self.bytes, taken: false, after: chunk.after },
                    );
                }
                Location::Own(own) => {
                    // If the wait fails, the driver has stopped reading as well.
                    let _ = chunk.after.map(|point| point.wait());
                    drop(own);
                }
            }
        }
    }
}

/// A GPU's context was reset: its chunks are gone.
fn forget_chunks(gpu: i32) {
    let Ok(gpu) = gpu::gpu(gpu) else { return };
    for direction in [Direction::ToDevice, Direction::ToHost] {
        ChunkRing::new(gpu, direction)
            .slots()
            .lock()
            .iter_mut()
            .filter(|slot| !slot.taken)
            .for_each(|slot| *slot = NO_SLOT);
    }
}

/// Frees the chunks that no copy and no device uses: those of one GPU, or all of them if `device` is TN_CUDA_HOST.
pub fn trim(device: tn_device) {
    for gpu in gpu::used() {
        if device.r#type == TN_CUDA_HOST || device.r#type == TN_CUDA && device.id == gpu.id() {
            for direction in [Direction::ToDevice, Direction::ToHost] {
                trim_ring(&ChunkRing::new(gpu, direction));
            }
        }
    }
}

fn trim_ring(ring: &ChunkRing) {
    for index in 0..CHUNKS {
        let slot = {
            let mut slots = ring.slots().lock();
            let slot = &mut slots[index];
            if slot.taken || slot.address == 0 {
                continue;
            }
            slot.taken = true;
            *slot
        };
        let passed = slot.after.is_none_or(|point| point.poll());
        let freed = passed && ring.discard(&slot);
        ring.put_back(index, if freed { NO_SLOT } else { slot });
    }
}
