//! Copies: every form that the driver has, brought into one (rows of planes between two sides) and run when the stream gets there.
//!
//! An asynchronous copy reads and writes when it runs. Only pageable memory is different, as with the real driver: a source is taken
//! over before the call returns, a destination makes the call wait, unless attribute 88 says that the device reaches it. In a capture it is a node like any other: each launch reads or writes
//! what is at that address then. Pinned memory that was freed or unregistered meanwhile, and device memory that is not allocated at that
//! moment, is an illegal address.
//!
//! A synchronous copy of pageable memory to a device has read it on return, and no more: the bytes may still be on their way, so that a
//! stream which is not ordered behind the legacy one finds the old ones. NVIDIA's page on synchronisation says so, for any size.

use crate::engine::Work;
use crate::entry::{Call, get};
use crate::space::What;
use crate::status::*;
use crate::types::*;
use crate::world::World;
use std::ffi::{c_int, c_void};
use std::sync::Arc;

/// Overlapping sides are copied in pieces of this size, in either direction: the result is wrong about every other time.
const PIECE: usize = 64;

const PAGEABLE_MEMORY_ACCESS: c_int = 88;

/// CU_DEVICE_ATTRIBUTE_MAX_PITCH.
pub const LARGEST_PITCH: u64 = 0x7fff_ffff;

/// How the caller described one side.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    Host,
    Device,
    /// The address says it.
    Unified,
}

#[derive(Clone)]
pub struct Side {
    pub memory: Memory,
    pub address: u64,
    pub pitch: u64,
    pub plane: u64,
    /// The pinned range that it lies in, 0 for none.
    pinned: u64,
    /// The bytes of a pageable source, read when the copy was asked for.
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
        Side { memory, address, pitch, plane, pinned: 0, staged: None }
    }

    fn flat(memory: Memory, address: u64) -> Side {
        Side::new(memory, address, 0, 0)
    }

    fn span(&self, shape: &Shape) -> u64 {
        self.row(shape.height - 1, shape.depth - 1) + shape.width
    }

    fn row(&self, y: u64, z: u64) -> u64 {
        z * self.plane + y * self.pitch
    }

    /// Finds out what kind of memory the address means; true: pageable.
    fn settle(&mut self, world: &World, span: u64) -> bool {
        if self.memory == Memory::Device {
            return false;
        }
        // First: to devices, too, pinned memory may have its host address.
        if let Some((_, range)) = world.pinned.covering(self.address as usize, span) {
            self.memory = Memory::Host;
            self.pinned = range.id;
            return false;
        }
        if world.space.owns(self.address) && !world.pinned.is_at(self.address as usize) {
            self.memory = Memory::Device;
            return false;
        }
        self.memory = Memory::Host;
        true
    }

    /// Where one row of it is now.
    fn bytes(&self, world: &World, offset: u64, width: u64, device: usize, write: bool) -> Answer<*mut u8> {
        if let Some(staged) = &self.staged {
            return Ok(staged.as_ptr().wrapping_add(offset as usize).cast_mut());
        }
        if self.memory == Memory::Device {
            return world.space.resolve(self.address + offset, width, device, write);
        }
        if self.pinned != 0 && !world.pinned.holds(self.address as usize, self.pinned) {
            return Err(ILLEGAL_ADDRESS);
        }
        Ok((self.address + offset) as *mut u8)
    }
}

/// Moves the bytes, now.
fn run(world: &mut World, context: Handle, from: &Side, to: &Side, shape: &Shape) -> Answer {
    let device = world.contexts.get(&context).map_or(0, |context| context.device);
    for z in 0..shape.depth {
        for y in 0..shape.height {
            let source = from.bytes(world, from.row(y, z), shape.width, device, false)?;
            let target = to.bytes(world, to.row(y, z), shape.width, device, true)?;
            let width = shape.width as usize;
            let apart = (source as usize).abs_diff(target as usize);
            if apart >= width {
                // SAFETY: both rows were just checked, or are the caller's host memory, and do not overlap.
                unsafe { std::ptr::copy_nonoverlapping(source, target, width) };
            } else if apart > 0 {
                scrambled(source, target, width, world.random.chance(128));
            }
        }
    }
    let direction = match (from.memory, to.memory) {
        (Memory::Host, Memory::Device) => 0,
        (Memory::Device, Memory::Host) => 1,
        _ => 2,
    };
    world.notes.copied[direction] += shape.width * shape.height * shape.depth;
    Ok(())
}

/// What a copy between overlapping places gives: nothing to rely on.
fn scrambled(source: *const u8, target: *mut u8, width: usize, backwards: bool) {
    let pieces = width.div_ceil(PIECE);
    for step in 0..pieces {
        let at = if backwards { pieces - 1 - step } else { step } * PIECE;
        // SAFETY: inside the two rows; a piece may overlap its target.
        unsafe { std::ptr::copy(source.add(at), target.add(at), PIECE.min(width - at)) };
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The call does not return before the bytes are where they belong, if the host could tell.
    Now,
    Later,
}

/// Checks, stages and queues a copy, and waits if the driver would.
pub fn copy(call: &mut Call, mut to: Side, mut from: Side, shape: Shape, stream: Handle, when: When) -> Answer {
    if when == When::Now {
        call.uncaptured()?;
    }
    let stream = call.stream(stream)?;
    if shape.width == 0 || shape.height == 0 || shape.depth == 0 {
        return Ok(());
    }
    shape.width.checked_mul(shape.height).and_then(|area| area.checked_mul(shape.depth)).ok_or(INVALID_VALUE)?;
    if from.address == 0 || to.address == 0 {
        return Err(INVALID_VALUE);
    }
    let pageable_source = from.settle(&call.world, from.span(&shape));
    let pageable_target = to.settle(&call.world, to.span(&shape));
    let capturing = call.streams.get(&stream).is_some_and(|stream| stream.capture.is_some());
    // A device that reaches pageable memory needs no staging, and then nothing says when the bytes are read or written.
    let direct = call.devices[call.device()].attribute(PAGEABLE_MEMORY_ACCESS)? != 0;
    let host_target =
        to.memory == Memory::Host || call.space.find(to.address).is_some_and(|there| there.what.on_host());
    let host_source = from.memory == Memory::Host;
    let waits = match when {
        When::Now => host_target || host_source && !pageable_source,
        When::Later => pageable_target && !capturing && !direct,
    };
    if when == When::Now && pageable_source && !waits {
        // Before such a copy the driver waits for its stream.
        call.drain(stream)?;
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
        Work::Inside(Arc::new(move |world: &mut World, context| run(world, context, &from, &to, &shape)))
    };
    let point = call.enqueue(stream, "copy", Vec::new(), work)?;
    if waits { call.wait_for(point) } else { Ok(()) }
}

fn line(width: usize) -> Shape {
    Shape { width: width as u64, height: 1, depth: 1 }
}

/// A side of a 2-D or 3-D description.
struct Part {
    memory: u32,
    host: u64,
    device: Address,
    array: Handle,
    x: usize,
    y: usize,
    z: usize,
    pitch: usize,
    height: usize,
}

/// `most`: the largest pitch.
fn side(world: &World, part: Part, shape: &Shape, most: u64) -> Answer<Side> {
    if part.memory == MEMORY_ARRAY {
        return world.side_of_array(part.array, (part.x as u64, part.y as u64, part.z as u64), shape);
    }
    let (memory, base) = match part.memory {
        MEMORY_HOST => (Memory::Host, part.host),
        MEMORY_DEVICE => (Memory::Device, part.device),
        MEMORY_UNIFIED => (Memory::Unified, part.device),
        _ => return Err(INVALID_VALUE),
    };
    // No pitch: the rows follow one another.
    let pitch = if part.pitch == 0 { shape.width + part.x as u64 } else { part.pitch as u64 };
    if pitch < shape.width + part.x as u64 || part.pitch as u64 > most {
        return Err(INVALID_VALUE);
    }
    let height = if part.height == 0 { shape.height + part.y as u64 } else { part.height as u64 };
    if height < shape.height + part.y as u64 {
        return Err(INVALID_VALUE);
    }
    let plane = pitch * height;
    Ok(Side::new(memory, base + part.z as u64 * plane + part.y as u64 * pitch + part.x as u64, pitch, plane))
}

fn copy_2d(call: &mut Call, description: *const Copy2D, stream: Handle, when: When, most: u64) -> Answer {
    let it = get(description)?;
    let shape = Shape { width: it.width as u64, height: it.height as u64, depth: 1 };
    let from = Part {
        memory: it.src_memory,
        host: it.src_host as u64,
        device: it.src_device,
        array: it.src_array,
        x: it.src_x,
        y: it.src_y,
        z: 0,
        pitch: it.src_pitch,
        height: 0,
    };
    let to = Part {
        memory: it.dst_memory,
        host: it.dst_host as u64,
        device: it.dst_device,
        array: it.dst_array,
        x: it.dst_x,
        y: it.dst_y,
        z: 0,
        pitch: it.dst_pitch,
        height: 0,
    };
    let (to, from) = (side(&call.world, to, &shape, most)?, side(&call.world, from, &shape, most)?);
    copy(call, to, from, shape, stream, when)
}

fn copy_3d(call: &mut Call, description: *const Copy3D, stream: Handle, when: When) -> Answer {
    let it = get(description)?;
    let shape = Shape { width: it.width as u64, height: it.height as u64, depth: it.depth as u64 };
    let from = Part {
        memory: it.src_memory,
        host: it.src_host as u64,
        device: it.src_device,
        array: it.src_array,
        x: it.src_x,
        y: it.src_y,
        z: it.src_z,
        pitch: it.src_pitch,
        height: it.src_height,
    };
    let to = Part {
        memory: it.dst_memory,
        host: it.dst_host as u64,
        device: it.dst_device,
        array: it.dst_array,
        x: it.dst_x,
        y: it.dst_y,
        z: it.dst_z,
        pitch: it.dst_pitch,
        height: it.dst_height,
    };
    let (to, from) = (side(&call.world, to, &shape, LARGEST_PITCH)?, side(&call.world, from, &shape, LARGEST_PITCH)?);
    copy(call, to, from, shape, stream, when)
}

fn copy_3d_peer(call: &mut Call, description: *const Copy3D, stream: Handle, when: When) -> Answer {
    let it = get(description)?;
    call.living(it.src_owner).and(call.living(it.dst_owner)).map_err(|_| INVALID_CONTEXT)?;
    copy_3d(call, description, stream, when)
}

fn peer(
    call: &mut Call,
    to: Address,
    to_context: Handle,
    from: Address,
    from_context: Handle,
    size: usize,
    stream: Handle,
    when: When,
) -> Answer {
    call.living(to_context).and(call.living(from_context)).map_err(|_| INVALID_CONTEXT)?;
    copy(call, Side::flat(Memory::Unified, to), Side::flat(Memory::Unified, from), line(size), stream, when)
}

/// As copied by functions that know a largest pitch.
fn pitched(call: &mut Call, description: *const Copy2D, stream: Handle, when: When) -> Answer {
    copy_2d(call, description, stream, when, LARGEST_PITCH)
}

driver! {
    fn cuMemcpyHtoD_v2(to: Address, from: *const c_void, size: usize) | cuMemcpyHtoD_v2_ptds in Context => |call| {
        copy(call, Side::flat(Memory::Device, to), Side::flat(Memory::Host, from as u64), line(size), 0, When::Now)
    }

    fn cuMemcpyDtoH_v2(to: *mut c_void, from: Address, size: usize) | cuMemcpyDtoH_v2_ptds in Context => |call| {
        copy(call, Side::flat(Memory::Host, to as u64), Side::flat(Memory::Device, from), line(size), 0, When::Now)
    }

    fn cuMemcpyDtoD_v2(to: Address, from: Address, size: usize) | cuMemcpyDtoD_v2_ptds in Context => |call| {
        copy(call, Side::flat(Memory::Device, to), Side::flat(Memory::Device, from), line(size), 0, When::Now)
    }

    fn cuMemcpyHtoDAsync_v2(to: Address, from: *const c_void, size: usize, stream: Handle) | cuMemcpyHtoDAsync_v2_ptsz in Context => |call| {
        copy(call, Side::flat(Memory::Device, to), Side::flat(Memory::Host, from as u64), line(size), stream, When::Later)
    }

    fn cuMemcpyDtoHAsync_v2(to: *mut c_void, from: Address, size: usize, stream: Handle) | cuMemcpyDtoHAsync_v2_ptsz in Context => |call| {
        copy(call, Side::flat(Memory::Host, to as u64), Side::flat(Memory::Device, from), line(size), stream, When::Later)
    }

    fn cuMemcpyDtoDAsync_v2(to: Address, from: Address, size: usize, stream: Handle) | cuMemcpyDtoDAsync_v2_ptsz in Context => |call| {
        copy(call, Side::flat(Memory::Device, to), Side::flat(Memory::Device, from), line(size), stream, When::Later)
    }

    fn cuMemcpy(to: Address, from: Address, size: usize) | cuMemcpy_ptds in Context => |call| {
        copy(call, Side::flat(Memory::Unified, to), Side::flat(Memory::Unified, from), line(size), 0, When::Now)
    }

    fn cuMemcpyAsync(to: Address, from: Address, size: usize, stream: Handle) | cuMemcpyAsync_ptsz in Context => |call| {
        copy(call, Side::flat(Memory::Unified, to), Side::flat(Memory::Unified, from), line(size), stream, When::Later)
    }

    fn cuMemcpyPeer(
        to: Address, to_context: Handle, from: Address, from_context: Handle, size: usize
    ) | cuMemcpyPeer_ptds in Context => |call| {
        peer(call, to, to_context, from, from_context, size, 0, When::Now)
    }

    fn cuMemcpyPeerAsync(
        to: Address, to_context: Handle, from: Address, from_context: Handle, size: usize, stream: Handle
    ) | cuMemcpyPeerAsync_ptsz in Context => |call| {
        peer(call, to, to_context, from, from_context, size, stream, When::Later)
    }

    fn cuMemcpy2D_v2(it: *const Copy2D) | cuMemcpy2D_v2_ptds in Context => |call| { pitched(call, it, 0, When::Now) }

    fn cuMemcpy2DUnaligned_v2(it: *const Copy2D) | cuMemcpy2DUnaligned_v2_ptds in Context => |call| {
        // The one that takes any pitch.
        copy_2d(call, it, 0, When::Now, u64::MAX)
    }

    fn cuMemcpy2DAsync_v2(it: *const Copy2D, stream: Handle) | cuMemcpy2DAsync_v2_ptsz in Context => |call| {
        pitched(call, it, stream, When::Later)
    }

    fn cuMemcpy3D_v2(it: *const Copy3D) | cuMemcpy3D_v2_ptds in Context => |call| { copy_3d(call, it, 0, When::Now) }

    fn cuMemcpy3DAsync_v2(it: *const Copy3D, stream: Handle) | cuMemcpy3DAsync_v2_ptsz in Context => |call| {
        copy_3d(call, it, stream, When::Later)
    }

    fn cuMemcpy3DPeer(it: *const Copy3D) | cuMemcpy3DPeer_ptds in Context => |call| { copy_3d_peer(call, it, 0, When::Now) }

    fn cuMemcpy3DPeerAsync(it: *const Copy3D, stream: Handle) | cuMemcpy3DPeerAsync_ptsz in Context => |call| {
        copy_3d_peer(call, it, stream, When::Later)
    }
}

impl What {
    /// Whether the device address is host memory.
    pub fn on_host(self) -> bool {
        matches!(self, What::Alias | What::Managed)
    }
}
