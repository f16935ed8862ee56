//! The copy functions: each describes two sides and a shape for `transfer`.

use super::transfer::{MAX_PITCH_BYTES, Memory, Shape, Side, When, copy};
use crate::base::args::get;
use crate::base::status::*;
use crate::base::types::*;
use crate::entry::call::Call;
use crate::entry::enter::driver;
use crate::state::world::World;
use std::ffi::c_void;

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

fn side(world: &World, part: Part, shape: &Shape, max_pitch: u64) -> Answer<Side> {
    if part.memory == MEMORY_ARRAY {
        return world.side_of_array(part.array, (part.x as u64, part.y as u64, part.z as u64), shape);
    }
    let (memory, base) = match part.memory {
        MEMORY_HOST => (Memory::Host, part.host),
        MEMORY_DEVICE => (Memory::Device, part.device),
        MEMORY_UNIFIED => (Memory::Unified, part.device),
        _ => return Err(INVALID_VALUE),
    };
    // Without a pitch the rows follow one another.
    let pitch = if part.pitch == 0 { shape.width + part.x as u64 } else { part.pitch as u64 };
    if pitch < shape.width + part.x as u64 || part.pitch as u64 > max_pitch {
        return Err(INVALID_VALUE);
    }
    let height = if part.height == 0 { shape.height + part.y as u64 } else { part.height as u64 };
    if height < shape.height + part.y as u64 {
        return Err(INVALID_VALUE);
    }
    let plane = pitch * height;
    Ok(Side::new(memory, base + part.z as u64 * plane + part.y as u64 * pitch + part.x as u64, pitch, plane))
}

fn copy_2d(call: &mut Call, description: *const Copy2D, stream: Handle, when: When, max_pitch: u64) -> Answer {
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
    let (to, from) = (side(&call.world, to, &shape, max_pitch)?, side(&call.world, from, &shape, max_pitch)?);
    copy(call, to, from, shape, stream, when)
}

fn copy_3d(call: &mut Call, description: *const Copy3D, stream: Handle, when: When) -> Answer {
    copy_3d_of(call, description, stream, when, (0, 0))
}

/// `owners`: the contexts of destination and source; 0: the stream's.
fn copy_3d_of(
    call: &mut Call,
    description: *const Copy3D,
    stream: Handle,
    when: When,
    owners: (Handle, Handle),
) -> Answer {
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
    let (mut to, mut from) =
        (side(&call.world, to, &shape, MAX_PITCH_BYTES)?, side(&call.world, from, &shape, MAX_PITCH_BYTES)?);
    (to.owner, from.owner) = owners;
    copy(call, to, from, shape, stream, when)
}

fn copy_3d_peer(call: &mut Call, description: *const Copy3D, stream: Handle, when: When) -> Answer {
    let it = get(description)?;
    call.check_exists(it.src_owner).and(call.check_exists(it.dst_owner)).map_err(|_| INVALID_CONTEXT)?;
    copy_3d_of(call, description, stream, when, (it.dst_owner, it.src_owner))
}

fn copy_peer(
    call: &mut Call,
    to: Address,
    to_context: Handle,
    from: Address,
    from_context: Handle,
    size: usize,
    stream: Handle,
    when: When,
) -> Answer {
    call.check_exists(to_context).and(call.check_exists(from_context)).map_err(|_| INVALID_CONTEXT)?;
    let (mut to, mut from) = (Side::flat(Memory::Unified, to), Side::flat(Memory::Unified, from));
    (to.owner, from.owner) = (to_context, from_context);
    copy(call, to, from, line(size), stream, when)
}

/// For the functions that refuse a pitch above MAX_PITCH_BYTES.
fn copy_2d_pitched(call: &mut Call, description: *const Copy2D, stream: Handle, when: When) -> Answer {
    copy_2d(call, description, stream, when, MAX_PITCH_BYTES)
}

driver! {
    fn cuMemcpyHtoD_v2(to: Address, from: *const c_void, size: usize) | cuMemcpyHtoD_v2_ptds in Context => |call| {
        copy(call, Side::flat(Memory::Device, to), Side::flat(Memory::Host, from as u64), line(size), DEFAULT_STREAM, When::Now)
    }

    fn cuMemcpyDtoH_v2(to: *mut c_void, from: Address, size: usize) | cuMemcpyDtoH_v2_ptds in Context => |call| {
        copy(call, Side::flat(Memory::Host, to as u64), Side::flat(Memory::Device, from), line(size), DEFAULT_STREAM, When::Now)
    }

    fn cuMemcpyDtoD_v2(to: Address, from: Address, size: usize) | cuMemcpyDtoD_v2_ptds in Context => |call| {
        copy(call, Side::flat(Memory::Device, to), Side::flat(Memory::Device, from), line(size), DEFAULT_STREAM, When::Now)
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
        copy(call, Side::flat(Memory::Unified, to), Side::flat(Memory::Unified, from), line(size), DEFAULT_STREAM, When::Now)
    }

    fn cuMemcpyAsync(to: Address, from: Address, size: usize, stream: Handle) | cuMemcpyAsync_ptsz in Context => |call| {
        copy(call, Side::flat(Memory::Unified, to), Side::flat(Memory::Unified, from), line(size), stream, When::Later)
    }

    fn cuMemcpyPeer(
        to: Address, to_context: Handle, from: Address, from_context: Handle, size: usize
    ) | cuMemcpyPeer_ptds in Context => |call| {
        copy_peer(call, to, to_context, from, from_context, size, DEFAULT_STREAM, When::Now)
    }

    fn cuMemcpyPeerAsync(
        to: Address, to_context: Handle, from: Address, from_context: Handle, size: usize, stream: Handle
    ) | cuMemcpyPeerAsync_ptsz in Context => |call| {
        copy_peer(call, to, to_context, from, from_context, size, stream, When::Later)
    }

    fn cuMemcpy2D_v2(it: *const Copy2D) | cuMemcpy2D_v2_ptds in Context => |call| {
        copy_2d_pitched(call, it, DEFAULT_STREAM, When::Now)
    }

    fn cuMemcpy2DUnaligned_v2(it: *const Copy2D) | cuMemcpy2DUnaligned_v2_ptds in Context => |call| {
        // This one accepts any pitch.
        copy_2d(call, it, DEFAULT_STREAM, When::Now, u64::MAX)
    }

    fn cuMemcpy2DAsync_v2(it: *const Copy2D, stream: Handle) | cuMemcpy2DAsync_v2_ptsz in Context => |call| {
        copy_2d_pitched(call, it, stream, When::Later)
    }

    fn cuMemcpy3D_v2(it: *const Copy3D) | cuMemcpy3D_v2_ptds in Context => |call| { copy_3d(call, it, DEFAULT_STREAM, When::Now) }

    fn cuMemcpy3DAsync_v2(it: *const Copy3D, stream: Handle) | cuMemcpy3DAsync_v2_ptsz in Context => |call| {
        copy_3d(call, it, stream, When::Later)
    }

    fn cuMemcpy3DPeer(it: *const Copy3D) | cuMemcpy3DPeer_ptds in Context => |call| {
        copy_3d_peer(call, it, DEFAULT_STREAM, When::Now)
    }

    fn cuMemcpy3DPeerAsync(it: *const Copy3D, stream: Handle) | cuMemcpy3DPeerAsync_ptsz in Context => |call| {
        copy_3d_peer(call, it, stream, When::Later)
    }
}
