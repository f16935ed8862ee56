//! CUDA arrays: creating them, and copying to and from them. Layered arrays and cubemaps are planes like the third
//! axis. Textures and surfaces are not supported, so only copies reach an array.

use super::transfer::{Memory, Shape, Side, When, copy};
use crate::base::args::{get, put};
use crate::base::status::*;
use crate::base::types::{Address, DEFAULT_STREAM, Handle};
use crate::entry::call::Call;
use crate::entry::enter::driver;
use crate::memory::region::MemoryKind;
use crate::state::array::{Array, Descriptor2D, Descriptor3D};
use crate::state::machine::{HandleKind, Machine};
use std::ffi::{c_uint, c_void};

/// The values of CUarray_format.
mod format {
    use std::ffi::c_uint;
    pub const UNSIGNED_INT8: c_uint = 0x01;
    pub const UNSIGNED_INT16: c_uint = 0x02;
    pub const UNSIGNED_INT32: c_uint = 0x03;
    pub const SIGNED_INT8: c_uint = 0x08;
    pub const SIGNED_INT16: c_uint = 0x09;
    pub const SIGNED_INT32: c_uint = 0x0a;
    pub const HALF: c_uint = 0x10;
    pub const FLOAT: c_uint = 0x20;
}

/// CUDA_ARRAY3D_LAYERED: the third axis counts layers.
const LAYERED: c_uint = 1;

/// Bytes of one channel of a CUarray_format.
fn channel_bytes(format: c_uint) -> Answer<u64> {
    Ok(match format {
        format::UNSIGNED_INT8 | format::SIGNED_INT8 => 1,
        format::UNSIGNED_INT16 | format::SIGNED_INT16 | format::HALF => 2,
        format::UNSIGNED_INT32 | format::SIGNED_INT32 | format::FLOAT => 4,
        _ => return Err(INVALID_VALUE),
    })
}

impl Machine {
    fn array(&self, handle: Handle) -> Answer<&Array> {
        self.arrays.get(&handle).ok_or(INVALID_HANDLE)
    }

    /// An array as one side of a copy that begins `x` bytes, `y` rows and `z` planes into it, and lies within it.
    pub fn side_of_array(&self, handle: Handle, (x, y, z): (u64, u64, u64), shape: &Shape) -> Answer<Side> {
        let array = self.array(handle)?;
        let (rows, planes) = (array.rows_per_plane(), array.planes());
        let inside = |start: u64, length: u64, size: u64| start.checked_add(length).is_some_and(|end| end <= size);
        if !(inside(x, shape.width, array.pitch) && inside(y, shape.height, rows) && inside(z, shape.depth, planes)) {
            return Err(INVALID_VALUE);
        }
        let plane = array.pitch * rows;
        Ok(Side::new(Memory::Device, array.memory + z * plane + y * array.pitch + x, array.pitch, plane))
    }

    /// The bytes `offset` to `offset + size` of an array, as one side of a copy. Rows and planes have no gaps between
    /// them.
    fn byte_range_of_array(&self, handle: Handle, offset: usize, size: usize) -> Answer<Side> {
        let array = self.array(handle)?;
        let all = array.pitch * array.rows_per_plane() * array.planes();
        if (offset as u64).checked_add(size as u64).is_none_or(|end| end > all) {
            return Err(INVALID_VALUE);
        }
        Ok(Side::flat(Memory::Device, array.memory + offset as u64))
    }
}

fn create(call: &mut Call, out: *mut Handle, descriptor: Descriptor3D) -> Answer {
    // Only a layered array of lines has a third axis, which counts its layers, without a second one.
    let misses_height = descriptor.height == 0 && descriptor.depth != 0 && descriptor.flags & LAYERED == 0;
    let has_channels = matches!(descriptor.channels, 1 | 2 | 4);
    if descriptor.width == 0 || misses_height || !has_channels {
        return Err(INVALID_VALUE);
    }
    call.refuse_in_capture()?;
    let pitch = (descriptor.width as u64)
        .checked_mul(channel_bytes(descriptor.format)? * u64::from(descriptor.channels))
        .ok_or(INVALID_VALUE)?;
    let total_rows =
        (descriptor.height.max(1) as u64).checked_mul(descriptor.depth.max(1) as u64).ok_or(INVALID_VALUE)?;
    let context = call.context;
    let memory = call.allocate(MemoryKind::Array, context, pitch.checked_mul(total_rows).ok_or(INVALID_VALUE)?)?;
    let handle = call.new_handle(HandleKind::Array);
    call.arrays.insert(handle, Array { memory, descriptor, pitch, context });
    put(out, handle)
}

fn flat_copy(call: &mut Call, to: Side, from: Side, size: usize, stream: Handle, when: When) -> Answer {
    copy(call, to, from, Shape { width: size as u64, height: 1, depth: 1 }, stream, when)
}

fn at_host(pointer: *const c_void) -> Side {
    Side::flat(Memory::Host, pointer as u64)
}

fn at_device(address: Address) -> Side {
    Side::flat(Memory::Device, address)
}

driver! {
    fn cuArrayCreate_v2(out: *mut Handle, descriptor: *const Descriptor2D) in Context => |call| {
        let Descriptor2D { width, height, format, channels } = get(descriptor)?;
        create(call, out, Descriptor3D { width, height, depth: 0, format, channels, flags: 0 })
    }

    fn cuArray3DCreate_v2(out: *mut Handle, descriptor: *const Descriptor3D) in Context => |call| {
        let descriptor = get(descriptor)?;
        create(call, out, descriptor)
    }

    fn cuArrayGetDescriptor_v2(out: *mut Descriptor2D, array: Handle) in Context => |call| {
        let Descriptor3D { width, height, format, channels, .. } = call.array(array)?.descriptor;
        put(out, Descriptor2D { width, height, format, channels })
    }

    fn cuArray3DGetDescriptor_v2(out: *mut Descriptor3D, array: Handle) in Context => |call| { put(out, call.array(array)?.descriptor) }

    fn cuArrayDestroy(handle: Handle) in Context => |call| {
        let memory = call.array(handle)?.memory;
        let device = call.device();
        call.wait_before_free(device)?;
        call.arrays.remove(&handle);
        call.free_memory(memory);
        Ok(())
    }

    fn cuMemcpyHtoA_v2(to: Handle, offset: usize, from: *const c_void, size: usize) | cuMemcpyHtoA_v2_ptds in Context => |call| {
        let to = call.byte_range_of_array(to, offset, size)?;
        flat_copy(call, to, at_host(from), size, DEFAULT_STREAM, When::Now)
    }

    fn cuMemcpyAtoH_v2(to: *mut c_void, from: Handle, offset: usize, size: usize) | cuMemcpyAtoH_v2_ptds in Context => |call| {
        let from = call.byte_range_of_array(from, offset, size)?;
        flat_copy(call, at_host(to), from, size, DEFAULT_STREAM, When::Now)
    }

    fn cuMemcpyHtoAAsync_v2(
        to: Handle, offset: usize, from: *const c_void, size: usize, stream: Handle
    ) | cuMemcpyHtoAAsync_v2_ptsz in Context => |call| {
        let to = call.byte_range_of_array(to, offset, size)?;
        flat_copy(call, to, at_host(from), size, stream, When::Later)
    }

    fn cuMemcpyAtoHAsync_v2(
        to: *mut c_void, from: Handle, offset: usize, size: usize, stream: Handle
    ) | cuMemcpyAtoHAsync_v2_ptsz in Context => |call| {
        let from = call.byte_range_of_array(from, offset, size)?;
        flat_copy(call, at_host(to), from, size, stream, When::Later)
    }

    fn cuMemcpyDtoA_v2(to: Handle, offset: usize, from: Address, size: usize) | cuMemcpyDtoA_v2_ptds in Context => |call| {
        let to = call.byte_range_of_array(to, offset, size)?;
        flat_copy(call, to, at_device(from), size, DEFAULT_STREAM, When::Now)
    }

    fn cuMemcpyAtoD_v2(to: Address, from: Handle, offset: usize, size: usize) | cuMemcpyAtoD_v2_ptds in Context => |call| {
        let from = call.byte_range_of_array(from, offset, size)?;
        flat_copy(call, at_device(to), from, size, DEFAULT_STREAM, When::Now)
    }

    fn cuMemcpyAtoA_v2(
        to: Handle, to_offset: usize, from: Handle, from_offset: usize, size: usize
    ) | cuMemcpyAtoA_v2_ptds in Context => |call| {
        let (to, from) = (call.byte_range_of_array(to, to_offset, size)?, call.byte_range_of_array(from, from_offset, size)?);
        flat_copy(call, to, from, size, DEFAULT_STREAM, When::Now)
    }
}
