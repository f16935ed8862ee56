//! Copies as work: every form of copy becomes rows of planes between two sides, and runs when its stream reaches it.
//!
//! An asynchronous copy reads and writes when it runs. Pinned memory that was freed or unregistered by then, and device
//! memory that is not allocated then, is an illegal address. Pageable memory differs, as with the real driver: a source
//! is read before the call returns, and a destination makes the call wait, unless attribute 88 says that the device
//! reaches pageable memory. In a capture, each launch reads or writes the pageable memory.
//!
//! A synchronous copy of pageable memory to a device has read it on return, and no more: the bytes may still be on
//! their way, so a stream that is not ordered behind the legacy one finds the old ones. NVIDIA's page on
//! synchronisation says so, for any size.
//!
//! A copy between two devices always works. It is direct if the device of its stream may access both sides: memory of
//! cuMemAlloc once peer access is enabled in the context of the stream, mapped and pooled memory once access to it was
//! set. Otherwise a driver stages it through host memory, which `staged_peer_copies` counts.

use crate::base::status::*;
use crate::base::types::Handle;
use crate::entry::call::Call;
use crate::memory::region::MemoryKind;
use crate::state::device::PAGEABLE_MEMORY_ACCESS;
use crate::state::machine::Machine;
use crate::state::work::Work;
use std::sync::Arc;

/// Overlapping sides are copied in pieces of this size, in a random direction, so that the result is wrong about every
/// other time.
const PIECE_BYTES: usize = 64;

/// CU_DEVICE_ATTRIBUTE_MAX_PITCH.
pub const MAX_PITCH_BYTES: u64 = 0x7fff_ffff;

/// The kind of memory that the caller names for a side.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    Host,
    Device,
    /// Host or device, decided by the address.
    Unified,
}

#[derive(Clone)]
pub struct Side {
    pub memory: Memory,
    pub address: u64,
    pub pitch: u64,
    pub plane: u64,
    /// The context whose device reads or writes it, where that is not the stream's; 0: the stream's. Peer copies name
    /// one for each side.
    pub owner: Handle,
    /// The id of the pinned range that contains it; 0: none.
    pinned: u64,
    /// The bytes of a pageable source, read when the copy was queued.
    staged: Option<Arc<[u8]>>,
}

#[derive(Clone)]
pub struct Shape {
    pub width: u64,
    pub height: u64,
    pub depth: u64,
}

impl Side {
    pub fn new(memory: Memory, address: u64, pitch: u64, plane: u64) -> Side {
        Side { memory, address, pitch, plane, owner: 0, pinned: 0, staged: None }
    }

    /// A side without rows and planes.
    pub fn flat(memory: Memory, address: u64) -> Side {
        Side::new(memory, address, 0, 0)
    }

    /// The bytes from the first row's beginning to the last row's end.
    fn span(&self, shape: &Shape) -> u64 {
        self.row(shape.height - 1, shape.depth - 1) + shape.width
    }

    /// Where a row begins.
    fn row(&self, y: u64, z: u64) -> u64 {
        z * self.plane + y * self.pitch
    }

    /// Replaces `Unified` by the kind of memory that the address has. Returns whether it is pageable.
    fn resolve_kind(&mut self, machine: &Machine, span: u64) -> bool {
        if self.memory == Memory::Device {
            return false;
        }
        // Before the address space: the device address of pinned memory may be its host address.
        if let Some((_, range)) = machine.pinned.covering(self.address as usize, span) {
            self.memory = Memory::Host;
            self.pinned = range.id;
            return false;
        }
        if machine.space.owns(self.address) && !machine.pinned.contains(self.address as usize) {
            self.memory = Memory::Device;
            return false;
        }
        self.memory = Memory::Host;
        true
    }

    /// Where the bytes of a row are now.
    fn bytes(&self, machine: &Machine, offset: u64, width: u64, device: usize, write: bool) -> Answer<*mut u8> {
        if let Some(staged) = &self.staged {
            return Ok(staged.as_ptr().wrapping_add(offset as usize).cast_mut());
        }
        if self.memory == Memory::Device {
            let device = machine.contexts.get(&self.owner).map_or(device, |context| context.device);
            return machine.space.resolve(self.address + offset, width, device, write);
        }
        if self.pinned != 0 && !machine.pinned.contains_by(self.address as usize, self.pinned) {
            return Err(ILLEGAL_ADDRESS);
        }
        Ok((self.address + offset) as *mut u8)
    }
}

fn run(machine: &mut Machine, context: Handle, from: &Side, to: &Side, shape: &Shape) -> Answer {
    let device = machine.contexts.get(&context).map_or(0, |context| context.device);
    if loses_writes(machine, from, to) {
        return Ok(());
    }
    for z in 0..shape.depth {
        for y in 0..shape.height {
            let source = from.bytes(machine, from.row(y, z), shape.width, device, false)?;
            let target = to.bytes(machine, to.row(y, z), shape.width, device, true)?;
            let width = shape.width as usize;
            let apart = (source as usize).abs_diff(target as usize);
            if apart >= width {
                // SAFETY: both rows were just checked, or are the caller's host memory, and do not overlap.
                unsafe { std::ptr::copy_nonoverlapping(source, target, width) };
            } else if apart > 0 {
                copy_overlapping(source, target, width, machine.random.chance(128));
            }
        }
    }
    let direction = match (from.memory, to.memory) {
        (Memory::Host, Memory::Device) => 0,
        (Memory::Device, Memory::Host) => 1,
        _ => 2,
    };
    machine.statistics.copied[direction] += shape.width * shape.height * shape.depth;
    if let Some(is_direct) = peer_access(machine, context, from, to) {
        machine.statistics.peer_copies[usize::from(!is_direct)] += 1;
    }
    Ok(())
}

/// For a copy between the memories of two devices: whether the device of the context may access both. None: any other
/// copy.
fn peer_access(machine: &Machine, context: Handle, from: &Side, to: &Side) -> Option<bool> {
    let context = machine.contexts.get(&context)?;
    // The device that has the memory of a side, and whether that of the context may access it.
    let device_of = |side: &Side| {
        let region = machine.space.find(side.address).filter(|_| side.memory == Memory::Device)?;
        let (device, is_allowed) = match region.kind {
            MemoryKind::Device | MemoryKind::Array => (region.device, context.peers.contains(&region.device)),
            MemoryKind::Pooled => (region.device, machine.pools.allows(region.pool, context.device)),
            MemoryKind::Reserved => {
                let (_, mapping) = region.mapping_at(side.address - region.base)?;
                (mapping.device, mapping.access[context.device] == 3)
            }
            _ => return None,
        };
        Some((device, is_allowed || device == context.device))
    };
    let ((from, reads), (to, writes)) = (device_of(from)?, device_of(to)?);
    (from != to).then_some(reads && writes)
}

/// Whether a driver with the fault that JuliaGPU/CUDA.jl#3112 reports loses what a copy writes: a peer copy into memory
/// of a pool that the other device was given access to.
fn loses_writes(machine: &Machine, from: &Side, to: &Side) -> bool {
    let device_of = |side: &Side| machine.contexts.get(&side.owner).map(|context| context.device);
    let (Some(from), Some(owner), true) = (device_of(from), device_of(to), machine.config.lost_peer_writes) else {
        return false;
    };
    let target = machine.space.find(to.address).filter(|region| region.kind == MemoryKind::Pooled);
    from != owner && target.is_some_and(|region| machine.pools.allows(region.pool, from))
}

/// Copies between overlapping rows, with a result that no program can rely on.
fn copy_overlapping(source: *const u8, target: *mut u8, width: usize, backwards: bool) {
    let pieces = width.div_ceil(PIECE_BYTES);
    for step in 0..pieces {
        let at = if backwards { pieces - 1 - step } else { step } * PIECE_BYTES;
        // SAFETY: inside the two rows; a piece may overlap its target.
        unsafe { std::ptr::copy(source.add(at), target.add(at), PIECE_BYTES.min(width - at)) };
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The call returns when the bytes are in place, as far as the host can tell.
    Now,
    Later,
}

/// Checks, stages and queues a copy, and waits if the driver would.
pub fn copy(call: &mut Call, mut to: Side, mut from: Side, shape: Shape, stream: Handle, when: When) -> Answer {
    if when == When::Now {
        call.refuse_in_capture()?;
    }
    let stream = call.stream(stream)?;
    if shape.width == 0 || shape.height == 0 || shape.depth == 0 {
        return Ok(());
    }
    shape.width.checked_mul(shape.height).and_then(|area| area.checked_mul(shape.depth)).ok_or(INVALID_VALUE)?;
    if from.address == 0 || to.address == 0 {
        return Err(INVALID_VALUE);
    }
    let pageable_source = from.resolve_kind(&call.world, from.span(&shape));
    let pageable_target = to.resolve_kind(&call.world, to.span(&shape));
    let capturing = call.is_capturing(stream);
    // A device that reaches pageable memory needs no staging; when it reads or writes the bytes is then not defined.
    let direct = call.devices[call.device()].attribute(PAGEABLE_MEMORY_ACCESS)? != 0;
    let host_target =
        to.memory == Memory::Host || call.space.find(to.address).is_some_and(|there| there.kind.is_on_host());
    let host_source = from.memory == Memory::Host;
    let waits = match when {
        When::Now => host_target || (host_source && !pageable_source),
        When::Later => pageable_target && !capturing && !direct,
    };
    if when == When::Now && pageable_source && !waits {
        // Before such a copy the driver waits for its stream.
        call.wait_for_stream(stream)?;
    }
    let staged = !waits && !capturing && (when == When::Now || !direct);
    if pageable_source && staged {
        let span = from.span(&shape) as usize;
        let mut bytes: Vec<u8> = Vec::new();
        bytes.try_reserve_exact(span).map_err(|_| OUT_OF_MEMORY)?;
        for z in 0..shape.depth {
            for y in 0..shape.height {
                let start = from.row(y, z) as usize;
                bytes.resize(start.max(bytes.len()), 0);
                // SAFETY: the caller's rows, readable by the driver's interface; the reservation spans them.
                unsafe {
                    let row =
                        std::slice::from_raw_parts((from.address as usize + start) as *const u8, shape.width as usize);
                    bytes.truncate(start);
                    bytes.extend_from_slice(row);
                }
            }
        }
        from.staged = Some(bytes.into());
    }
    let work = {
        let (from, to, shape) = (from, to, shape);
        Work::Inside(Arc::new(move |machine, context| run(machine, context, &from, &to, &shape)))
    };
    let point = call.enqueue(stream, "copy", Vec::new(), work)?;
    if waits { call.wait_for_point(point) } else { Ok(()) }
}
