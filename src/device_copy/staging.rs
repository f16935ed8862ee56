//! Staging: page-locked chunks through which memory passes that a device cannot reach by itself.
//!
//! Two chunks for each device and direction, of `transfer.chunk` bytes, made at the first use and given back by [`trim`]: while the device
//! copies one, the host copies the other. A chunk remembers the [`Point`] after which the device has done with it; whoever takes it again
//! waits for that alone. Where no chunk can be had (no page-locked memory left, or others have both), plain memory does the same work
//! through the driver's own path, slower and as right.
//!
//! Contract: a [`ChunkRing`] is one copy's; nothing is allocated, waited for or asked of a driver under the lock here.

use crate::blit::Scratch;
use crate::error::Result;
use crate::gpu::{self, GPUS, Gpu, page_lock};
use crate::options;
use crate::reclaim;
use crate::stream::Point;
use crate::thread::ColdLock;
use crate::types::*;

/// Where a chunk's bytes are on their way to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// To the device.
    ToDevice,
    /// To the host.
    ToHost,
}

/// Chunks per direction and device.
const CHUNKS: usize = 2;

/// A page-locked chunk in its place.
#[derive(Clone, Copy)]
struct Slot {
    /// 0: not made.
    address: usize,
    bytes: usize,
    /// A copy has it.
    taken: bool,
    /// After this the device has done with it.
    after: Option<Point>,
}

const NO_SLOT: Slot = Slot { address: 0, bytes: 0, taken: false, after: None };

static SLOTS: [[ColdLock<[Slot; CHUNKS]>; 2]; GPUS] = [const { [const { ColdLock::new([NO_SLOT; CHUNKS]) }; 2] }; GPUS];

/// The chunks of a device and direction, in turns, as far as this copy gets them.
pub struct ChunkRing {
    gpu: &'static Gpu,
    direction: Direction,
    bytes: usize,
    chunks: [Option<Chunk>; CHUNKS],
    next: usize,
}

/// What a copy has of a chunk.
struct Chunk {
    address: usize,
    after: Option<Point>,
    home: Location,
}

/// Page-locked chunks stand in a slot of the ring; plain ones are the copy's own.
enum Location {
    Slot(usize),
    Own(Scratch),
}

impl ChunkRing {
    /// For one copy.
    pub fn new(gpu: &'static Gpu, direction: Direction) -> ChunkRing {
        let bytes = options::transfer_chunk() as usize;
        ChunkRing { gpu, direction, bytes, chunks: [const { None }; CHUNKS], next: 0 }
    }

    /// Bytes of a chunk.
    pub fn chunk_bytes(&self) -> i64 {
        self.bytes as i64
    }

    /// The next chunk in turn, which the device has done with: which one, and its address. It may be the same again.
    pub fn next(&mut self) -> Result<(usize, i64)> {
        let mut turn = self.next;
        if self.chunks[turn].is_none() {
            match self.take(turn > 0)? {
                Some(chunk) => self.chunks[turn] = Some(chunk),
                None => turn = 0,
            }
        }
        self.next = (turn + 1) % CHUNKS;
        self.wait(turn)?;
        Ok((turn, self.chunks[turn].as_ref().map_or(0, |chunk| chunk.address as i64)))
    }

    /// The device has done with a chunk after `point`.
    pub fn busy_until(&mut self, turn: usize, point: Point) {
        if let Some(chunk) = &mut self.chunks[turn] {
            chunk.after = Some(point);
        }
    }

    /// Waits until the device has done with a chunk. If that fails, nobody else takes it too early.
    pub fn wait(&mut self, turn: usize) -> Result<()> {
        let Some(chunk) = &mut self.chunks[turn] else { return Ok(()) };
        chunk.after.map_or(Ok(()), Point::wait)?;
        chunk.after = None;
        Ok(())
    }

    /// A chunk of the ring, made where it is not there; else plain memory. None: `optional`, and the ring has none left.
    fn take(&self, optional: bool) -> Result<Option<Chunk>> {
        match self.claim() {
            Some((place, slot)) => {
                let home = Location::Slot(place);
                if slot.bytes == self.bytes {
                    return Ok(Some(Chunk { address: slot.address, after: slot.after, home }));
                }
                // Not made, or made when the option said otherwise.
                let gone = slot.address == 0 || self.discard(&slot);
                match if gone { page_lock::allocate(self.gpu, self.bytes).ok() } else { None } {
                    Some(address) => return Ok(Some(Chunk { address, after: None, home })),
                    None => self.give(place, if gone { NO_SLOT } else { slot }),
                }
            }
            None if optional => return Ok(None),
            None => {}
        }
        let own = Scratch::new(self.bytes)?;
        Ok(Some(Chunk { address: own.address() as usize, after: None, home: Location::Own(own) }))
    }

    fn slots(&self) -> &'static ColdLock<[Slot; CHUNKS]> {
        &SLOTS[self.gpu.id() as usize][self.direction as usize]
    }

    /// Takes a slot that nobody has, of two the one that the device has done with.
    fn claim(&self) -> Option<(usize, Slot)> {
        reclaim::register(trim);
        let mut slots = self.slots().lock();
        let free = slots.iter().enumerate().filter(|(_, slot)| !slot.taken);
        let (place, _) = free.min_by_key(|(_, slot)| slot.after.is_some_and(|point| !point.is_passed()))?;
        slots[place].taken = true;
        Some((place, slots[place]))
    }

    fn give(&self, place: usize, slot: Slot) {
        self.slots().lock()[place] = Slot { taken: false, ..slot };
    }

    /// Gives a chunk's memory back once the device has done with it.
    fn discard(&self, slot: &Slot) -> bool {
        if slot.after.is_some_and(|point| point.wait().is_err()) {
            return false;
        }
        // SAFETY: the chunk is ours alone, and the device has done with it.
        unsafe { page_lock::free(self.gpu, slot.address) }.is_ok()
    }
}

impl Drop for ChunkRing {
    fn drop(&mut self) {
        for turn in 0..CHUNKS {
            let Some(chunk) = self.chunks[turn].take() else { continue };
            match chunk.home {
                Location::Slot(place) => {
                    self.give(
                        place,
                        Slot { address: chunk.address, bytes: self.bytes, taken: false, after: chunk.after },
                    );
                }
                Location::Own(own) => {
                    // A driver that fails has stopped reading too.
                    let _ = chunk.after.map(|point| point.wait());
                    drop(own);
                }
            }
        }
    }
}

/// Gives back the chunks that nobody has and no device uses: those of a GPU, or all when page-locked memory is short.
pub fn trim(device: tn_device) {
    for gpu in gpu::used() {
        if device.r#type == TN_CUDA_HOST || device.r#type == TN_CUDA && device.id == gpu.id() {
            for direction in [Direction::ToDevice, Direction::ToHost] {
                trim_ring(&ChunkRing::new(gpu, direction));
            }
        }
    }
}

fn trim_ring(relay: &ChunkRing) {
    for place in 0..CHUNKS {
        let slot = {
            let mut slots = relay.slots().lock();
            let slot = &mut slots[place];
            if slot.taken || slot.address == 0 {
                continue;
            }
            slot.taken = true;
            *slot
        };
        let done = slot.after.is_none_or(|point| point.poll());
        let gone = done && relay.discard(&slot);
        relay.give(place, if gone { NO_SLOT } else { slot });
    }
}
