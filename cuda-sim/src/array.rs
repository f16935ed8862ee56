//! CUDA arrays: device memory without an address, of elements with up to three axes, that only copies reach here.
//!
//! Contract: the rows of an array follow one another without gaps in device memory of its own; the other entry points do not take its
//! address. Layered arrays and cubemaps are planes like the third axis. Textures and surfaces of them are not supported.

use crate::copy::{Memory, Shape, Side, When, copy};
use crate::entry::{Call, get, put};
use crate::space::What;
use crate::status::*;
use crate::types::{Address, Handle};
use crate::world::{Kind, World};
use std::ffi::{c_uint, c_void};

/// CUDA_ARRAY_DESCRIPTOR.
#[repr(C)]
#[derive(Clone, Copy)]
struct Flat {
    width: usize,
    height: usize,
    format: c_uint,
    channels: c_uint,
}

/// CUDA_ARRAY3D_DESCRIPTOR.
#[repr(C)]
#[derive(Clone, Copy)]
struct Deep {
    width: usize,
    height: usize,
    depth: usize,
    format: c_uint,
    channels: c_uint,
    flags: c_uint,
}

pub struct Array {
    memory: Address,
    is: Deep,
    /// Bytes of a row.
    pitch: u64,
    pub context: Handle,
}

/// Bytes of one channel of a CUarray_format.
fn bytes_of(format: c_uint) -> Answer<u64> {
    Ok(match format {
        0x01 | 0x08 => 1,
        0x02 | 0x09 | 0x10 => 2,
        0x03 | 0x0a | 0x20 => 4,
        _ => return Err(INVALID_VALUE),
    })
}

impl World {
    fn array(&self, handle: Handle) -> Answer<&Array> {
        self.arrays.get(&handle).ok_or(INVALID_HANDLE)
    }

    /// An array as one side of a copy that begins `x` bytes, `y` rows and `z` planes into it, and lies within it.
    pub fn side_of_array(&self, handle: Handle, (x, y, z): (u64, u64, u64), shape: &Shape) -> Answer<Side> {
        let array = self.array(handle)?;
        let (rows, planes) = (array.is.height.max(1) as u64, array.is.depth.max(1) as u64);
        let inside = |start: u64, length: u64, size: u64| start.checked_add(length).is_some_and(|end| end <= size);
        if !(inside(x, shape.width, array.pitch) && inside(y, shape.height, rows) && inside(z, shape.depth, planes)) {
            return Err(INVALID_VALUE);
        }
        let plane = array.pitch * rows;
        Ok(Side::new(Memory::Device, array.memory + z * plane + y * array.pitch + x, array.pitch, plane))
    }

    /// A piece of an array, counted in bytes from its first.
    fn line_of_array(&self, handle: Handle, offset: usize, size: usize) -> Answer<Side> {
        let array = self.array(handle)?;
        let all = array.pitch * array.is.height.max(1) as u64 * array.is.depth.max(1) as u64;
        if (offset as u64).checked_add(size as u64).is_none_or(|end| end > all) {
            return Err(INVALID_VALUE);
        }
        Ok(Side::new(Memory::Device, array.memory + offset as u64, 0, 0))
    }
}

fn create(call: &mut Call, out: *mut Handle, is: Deep) -> Answer {
    if is.width == 0 || is.height == 0 && is.depth != 0 && is.flags & 1 == 0 || !matches!(is.channels, 1 | 2 | 4) {
        return Err(INVALID_VALUE);
    }
    call.uncaptured()?;
    let pitch = (is.width as u64).checked_mul(bytes_of(is.format)? * u64::from(is.channels)).ok_or(INVALID_VALUE)?;
    let rows = (is.height.max(1) as u64).checked_mul(is.depth.max(1) as u64).ok_or(INVALID_VALUE)?;
    let context = call.context;
    let memory = call.allocate(What::Array, context, pitch.checked_mul(rows).ok_or(INVALID_VALUE)?)?;
    let handle = call.handle(Kind::Array);
    call.arrays.insert(handle, Array { memory, is, pitch, context });
    put(out, handle)
}

fn flat_copy(call: &mut Call, to: Side, from: Side, size: usize, stream: Handle, when: When) -> Answer {
    copy(call, to, from, Shape { width: size as u64, height: 1, depth: 1 }, stream, when)
}

fn at_host(pointer: *const c_void) -> Side {
    Side::new(Memory::Host, pointer as u64, 0, 0)
}

fn at_device(address: Address) -> Side {
    Side::new(Memory::Device, address, 0, 0)
}

driver! {
    fn cuArrayCreate_v2(out: *mut Handle, is: *const Flat) in Context => |call| {
        let Flat { width, height, format, channels } = get(is)?;
        create(call, out, Deep { width, height, depth: 0, format, channels, flags: 0 })
    }

    fn cuArray3DCreate_v2(out: *mut Handle, is: *const Deep) in Context => |call| {
        let is = get(is)?;
        create(call, out, is)
    }

    fn cuArrayGetDescriptor_v2(out: *mut Flat, array: Handle) in Context => |call| {
        let Deep { width, height, format, channels, .. } = call.array(array)?.is;
        put(out, Flat { width, height, format, channels })
    }

    fn cuArray3DGetDescriptor_v2(out: *mut Deep, array: Handle) in Context => |call| { put(out, call.array(array)?.is) }

    fn cuArrayDestroy(handle: Handle) in Context => |call| {
        let memory = call.array(handle)?.memory;
        let device = call.device();
        call.settle(device)?;
        call.arrays.remove(&handle);
        call.release_memory(memory);
        Ok(())
    }

    fn cuMemcpyHtoA_v2(to: Handle, offset: usize, from: *const c_void, size: usize) | cuMemcpyHtoA_v2_ptds in Context => |call| {
        let to = call.line_of_array(to, offset, size)?;
        flat_copy(call, to, at_host(from), size, 0, When::Now)
    }

    fn cuMemcpyAtoH_v2(to: *mut c_void, from: Handle, offset: usize, size: usize) | cuMemcpyAtoH_v2_ptds in Context => |call| {
        let from = call.line_of_array(from, offset, size)?;
        flat_copy(call, at_host(to), from, size, 0, When::Now)
    }

    fn cuMemcpyHtoAAsync_v2(
        to: Handle, offset: usize, from: *const c_void, size: usize, stream: Handle
    ) | cuMemcpyHtoAAsync_v2_ptsz in Context => |call| {
        let to = call.line_of_array(to, offset, size)?;
        flat_copy(call, to, at_host(from), size, stream, When::Later)
    }

    fn cuMemcpyAtoHAsync_v2(
        to: *mut c_void, from: Handle, offset: usize, size: usize, stream: Handle
    ) | cuMemcpyAtoHAsync_v2_ptsz in Context => |call| {
        let from = call.line_of_array(from, offset, size)?;
        flat_copy(call, at_host(to), from, size, stream, When::Later)
    }

    fn cuMemcpyDtoA_v2(to: Handle, offset: usize, from: Address, size: usize) | cuMemcpyDtoA_v2_ptds in Context => |call| {
        let to = call.line_of_array(to, offset, size)?;
        flat_copy(call, to, at_device(from), size, 0, When::Now)
    }

    fn cuMemcpyAtoD_v2(to: Address, from: Handle, offset: usize, size: usize) | cuMemcpyAtoD_v2_ptds in Context => |call| {
        let from = call.line_of_array(from, offset, size)?;
        flat_copy(call, at_device(to), from, size, 0, When::Now)
    }

    fn cuMemcpyAtoA_v2(
        to: Handle, to_offset: usize, from: Handle, from_offset: usize, size: usize
    ) | cuMemcpyAtoA_v2_ptds in Context => |call| {
        let (to, from) = (call.line_of_array(to, to_offset, size)?, call.line_of_array(from, from_offset, size)?);
        flat_copy(call, to, from, size, 0, When::Now)
    }
}
