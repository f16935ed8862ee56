//! Staging: page-locked memory for copies of memory that a device cannot access itself.
//!
//! A small copy gets a block of exactly its size (`staging_pool`). A larger one is cut into pieces and goes through up
//! to [`CHUNKS_PER_COPY`] chunks of `transfer.chunk` bytes: while the device copies one, the host copies the other.
//! Each device has at most `transfer.chunks` chunks, for both directions. They are allocated at their first use and
//! freed by [`trim`]. A chunk records the [`Point`] at which its device has finished with it.
//!
//! A copy never waits for work of a stream other than its own. It takes a chunk that no stream uses, or one that its
//! own stream uses and waits for that stream. If there is none, pageable memory takes its place. The driver then copies
//! more slowly, with an equal result.
//!
//! Contract: a [`ChunkRing`] belongs to one copy. No allocation, wait or driver call happens under the lock of this
//! module.

use super::staging_pool::{self, Piece};
use crate::blit::Scratch;
use crate::error::Result;
use crate::gpu::{self, GPUS, Gpu, page_lock};
use crate::options;
use crate::reclaim;
use crate::stream::{Point, Stream};
use crate::thread::ColdLock;
use crate::types::*;

/// The most chunks that a copy uses, and that a stream keeps from other streams while its earlier copies run.
const CHUNKS_PER_COPY: usize = 2;

/// Copies up to this size are small: they wait for no chunk.
const SMALL_BYTES: i64 = 64 << 10;

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

impl Slot {
    /// Whether the chunk is allocated, and neither a copy nor the device uses it. Calls no driver.
    fn is_idle(&self) -> bool {
        self.address != 0 && !self.taken && self.after.is_none_or(Point::is_passed)
    }

    /// Whether only work that comes before new work on `stream` uses the chunk. Calls no driver.
    fn is_pending_on(&self, stream: &'static Stream) -> bool {
        self.address != 0 && !self.taken && self.after.is_some_and(|point| stream.follows(point))
    }
}

type Slots = [Slot; options::MAX_TRANSFER_CHUNKS];

static SLOTS: [ColdLock<Slots>; GPUS] = [const { ColdLock::new([NO_SLOT; options::MAX_TRANSFER_CHUNKS]) }; GPUS];

/// The memory through which one copy goes: chunks in turn, or one block.
pub struct ChunkRing {
    stream: &'static Stream,
    /// The size of a piece.
    bytes: usize,
    chunks: [Option<Chunk>; CHUNKS_PER_COPY],
    next: usize,
}

/// Memory that a copy uses.
struct Chunk {
    address: usize,
    /// The point at which the device has finished with it.
    after: Option<Point>,
    location: Location,
}

enum Location {
    /// Page-locked, in the slot of that index.
    Slot(usize),
    /// Page-locked, for a small copy.
    Piece(Piece),
    /// Pageable memory of the copy's own.
    Own(Scratch),
}

impl ChunkRing {
    /// The staging memory of a copy of `total_bytes` bytes on a stream.
    pub fn new(stream: &'static Stream, total_bytes: i64) -> Result<ChunkRing> {
        // Finds out about a reset, with which the chunks are gone.
        drop(stream.enter()?);
        let mut ring = ChunkRing {
            stream,
            bytes: options::transfer_chunk() as usize,
            chunks: [const { None }; CHUNKS_PER_COPY],
            next: 0,
        };
        if total_bytes <= SMALL_BYTES.min(ring.bytes as i64) {
            ring.bytes = total_bytes as usize;
            if let Ok(piece) = Piece::take(stream, ring.bytes) {
                let location = Location::Piece(piece);
                ring.chunks[0] = Some(Chunk { address: location.address(), after: None, location });
                return Ok(ring);
            }
        } else if let Some(chunk) = ring.take_chunk(true) {
            ring.chunks[0] = Some(chunk);
            return Ok(ring);
        }
        let location = Location::Own(Scratch::new(ring.bytes)?);
        ring.chunks[0] = Some(Chunk { address: location.address(), after: None, location });
        Ok(ring)
    }

    /// The size of a piece.
    pub fn piece_bytes(&self) -> i64 {
        self.bytes as i64
    }

    /// Waits until the device has finished with the next chunk. Returns the chunk's index and address. A ring that got
    /// only one chunk returns it every time.
    pub fn next(&mut self) -> Result<(usize, i64)> {
        let mut index = self.next;
        if self.chunks[index].is_none() {
            self.chunks[index] = self.take_chunk(false);
            if self.chunks[index].is_none() {
                index = 0;
            }
        }
        self.next = (index + 1) % CHUNKS_PER_COPY;
        self.wait(index)?;
        Ok((index, self.chunks[index].as_ref().map_or(0, |chunk| chunk.address as i64)))
    }

    /// Records that the device uses a chunk for all work that was issued on the stream so far.
    pub fn mark_used(&mut self, index: usize) {
        let stream = self.stream;
        let Some(chunk) = &mut self.chunks[index] else { return };
        chunk.after = Some(match chunk.location {
            // Nothing follows in this copy that a wait for the stream would include.
            Location::Piece(_) => stream.now(),
            _ => stream.record_point().unwrap_or_else(|_| stream.now()),
        });
    }

    /// Waits until the device has finished with a chunk. If that fails, the chunk stays busy, so that no other copy
    /// uses it too early.
    pub fn wait(&mut self, index: usize) -> Result<()> {
        let Some(chunk) = &mut self.chunks[index] else { return Ok(()) };
        chunk.after.map_or(Ok(()), Point::wait)?;
        chunk.after = None;
        Ok(())
    }

    fn gpu(&self) -> &'static Gpu {
        self.stream.gpu()
    }

    fn slots(&self) -> &'static ColdLock<Slots> {
        &SLOTS[self.gpu().id() as usize]
    }

    /// Takes a page-locked chunk, which may have to be allocated. None: there is none that no other stream uses.
    /// `first`: the size of the ring's pieces may still change.
    fn take_chunk(&mut self, first: bool) -> Option<Chunk> {
        reclaim::register(trim);
        gpu::on_reset(gpu::Layer::Copies, forget_chunks);
        self.poll_if_none_is_idle();
        let (index, slot) = self.take_slot(first)?;
        if slot.address != 0 {
            self.bytes = self.bytes.min(slot.bytes);
            return Some(Chunk { address: slot.address, after: slot.after, location: Location::Slot(index) });
        }
        match page_lock::allocate(self.gpu(), self.bytes) {
            Ok(address) => {
                self.slots().lock()[index] = Slot { address, bytes: self.bytes, taken: true, after: None };
                Some(Chunk { address, after: None, location: Location::Slot(index) })
            }
            Err(_) => {
                self.slots().lock()[index] = NO_SLOT;
                None
            }
        }
    }

    /// Asks the driver which chunks the device has finished with, if none is known to be idle.
    fn poll_if_none_is_idle(&self) {
        let mut points = [None; options::MAX_TRANSFER_CHUNKS];
        {
            let slots = self.slots().lock();
            if slots.iter().any(|slot| slot.is_idle() && slot.bytes >= self.bytes) {
                return;
            }
            for (point, slot) in points.iter_mut().zip(slots.iter()) {
                *point = slot.after.filter(|_| !slot.taken);
            }
        }
        for point in points.into_iter().flatten() {
            point.poll();
        }
    }

    /// Takes a slot whose chunk no other stream uses. An empty slot is taken if its chunk may be allocated.
    fn take_slot(&self, first: bool) -> Option<(usize, Slot)> {
        let mut slots = self.slots().lock();
        let serves = |slot: &Slot| slot.bytes >= self.bytes;
        let idle = slots.iter().position(|slot| slot.is_idle() && serves(slot));
        let pending = slots.iter().enumerate().filter(|(_, slot)| slot.is_pending_on(self.stream) && serves(slot));
        let n_own = pending.clone().count() + self.chunks.iter().flatten().count();
        let oldest_own = pending.min_by_key(|(_, slot)| slot.after.map(Point::tick)).map(|(index, _)| index);
        let n_parts = slots.iter().filter(|slot| slot.address != 0 || slot.taken).count();
        let empty = slots.iter().position(|slot| slot.address == 0 && !slot.taken);
        // A chunk that was allocated while `transfer.chunk` was smaller.
        let smaller = slots.iter().position(|slot| first && slot.is_idle());
        let index = idle
            .or(oldest_own.filter(|_| n_own >= CHUNKS_PER_COPY))
            .or(empty.filter(|_| n_parts < options::transfer_chunks()))
            .or(oldest_own)
            .or(smaller)?;
        slots[index].taken = true;
        Some((index, slots[index]))
    }
}

impl Location {
    fn address(&self) -> usize {
        match self {
            // The slot has it.
            Location::Slot(_) => 0,
            Location::Piece(piece) => piece.address(),
            Location::Own(own) => own.address() as usize,
        }
    }
}

impl Drop for ChunkRing {
    fn drop(&mut self) {
        for index in 0..CHUNKS_PER_COPY {
            let Some(chunk) = self.chunks[index].take() else { continue };
            match chunk.location {
                Location::Slot(index) => {
                    let slot = &mut self.slots().lock()[index];
                    (slot.taken, slot.after) = (false, chunk.after);
                }
                Location::Piece(piece) => piece.give_back(chunk.after),
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
    let mut slots = SLOTS[gpu as usize].lock();
    slots.iter_mut().filter(|slot| !slot.taken).for_each(|slot| *slot = NO_SLOT);
}

/// Frees the staging memory that no copy and no device uses: that of one GPU, or all of it if `device` is TN_CUDA_HOST.
pub fn trim(device: tn_device) {
    for gpu in gpu::used() {
        if device.r#type == TN_CUDA_HOST || device.r#type == TN_CUDA && device.id == gpu.id() {
            trim_chunks(gpu);
            staging_pool::trim(gpu);
        }
    }
}

fn trim_chunks(gpu: &'static Gpu) {
    let slots = &SLOTS[gpu.id() as usize];
    for index in 0..options::MAX_TRANSFER_CHUNKS {
        let slot = {
            let mut slots = slots.lock();
            let slot = &mut slots[index];
            if slot.taken || slot.address == 0 {
                continue;
            }
            slot.taken = true;
            *slot
        };
        // SAFETY: this call has taken the chunk, and the device has finished with it.
        let free = || unsafe { page_lock::free(gpu, slot.address) }.is_ok();
        let freed = slot.after.is_none_or(Point::poll) && free();
        slots.lock()[index] = if freed { NO_SLOT } else { Slot { taken: false, ..slot } };
    }
}
