//! Fills: memsets of elements of 1, 2 and 4 bytes, in lines and rectangles. The call waits only if the memory is on the
//! host.

use super::transfer::MAX_PITCH_BYTES;
use crate::base::status::*;
use crate::base::types::{Address, DEFAULT_STREAM, Handle};
use crate::entry::call::Call;
use crate::entry::enter::driver;
use crate::state::machine::Machine;
use crate::state::work::Work;
use std::ffi::{c_uchar, c_uint, c_ushort};
use std::sync::Arc;

#[derive(Clone, Copy)]
struct Fill {
    to: Address,
    pitch: u64,
    value: [u8; 4],
    /// Bytes of an element.
    item: u64,
    /// Elements of a row.
    width: u64,
    height: u64,
}

fn run(machine: &mut Machine, context: Handle, fill: &Fill) -> Answer {
    for y in 0..fill.height {
        let bytes = fill.width * fill.item;
        let row = machine.resolve_directly(context, fill.to + y * fill.pitch, bytes)?;
        // Writes the first element, then doubles the part that is filled.
        let (mut done, bytes) = (fill.item as usize, bytes as usize);
        // SAFETY: the row was just checked; its first half is never longer than its second.
        unsafe {
            std::ptr::copy_nonoverlapping(fill.value.as_ptr(), row, done);
            while done < bytes {
                let part = done.min(bytes - done);
                std::ptr::copy_nonoverlapping(row, row.add(done), part);
                done += part;
            }
        }
    }
    Ok(())
}

fn fill(call: &mut Call, fill: Fill, stream: Handle, later: bool) -> Answer {
    if !later {
        call.refuse_in_capture()?;
    }
    let stream = call.stream(stream)?;
    if fill.width == 0 || fill.height == 0 {
        return Ok(());
    }
    let row = fill.width.checked_mul(fill.item).ok_or(INVALID_VALUE)?;
    let is_pitch = (row..=MAX_PITCH_BYTES).contains(&fill.pitch) && fill.pitch.is_multiple_of(fill.item);
    if !fill.to.is_multiple_of(fill.item) || (fill.height > 1 && !is_pitch) {
        return Err(INVALID_VALUE);
    }
    if call.space.find(fill.to).is_none() {
        return Err(INVALID_VALUE);
    }
    let on_host = call.space.find(fill.to).is_some_and(|region| region.kind.is_on_host());
    let work = Work::Inside(Arc::new(move |machine, context| run(machine, context, &fill)));
    let point = call.enqueue(stream, "fill", Vec::new(), work)?;
    if !later && on_host { call.wait_for_point(point) } else { Ok(()) }
}

fn line(to: Address, value: u32, item: u64, count: usize) -> Fill {
    Fill { to, pitch: 0, value: value.to_le_bytes(), item, width: count as u64, height: 1 }
}

fn rectangle(to: Address, pitch: usize, value: u32, item: u64, width: usize, height: usize) -> Fill {
    Fill { to, pitch: pitch as u64, value: value.to_le_bytes(), item, width: width as u64, height: height as u64 }
}

driver! {
    fn cuMemsetD8_v2(to: Address, value: c_uchar, count: usize) | cuMemsetD8_v2_ptds in Context => |call| {
        fill(call, line(to, value.into(), 1, count), DEFAULT_STREAM, false)
    }

    fn cuMemsetD16_v2(to: Address, value: c_ushort, count: usize) | cuMemsetD16_v2_ptds in Context => |call| {
        fill(call, line(to, value.into(), 2, count), DEFAULT_STREAM, false)
    }

    fn cuMemsetD32_v2(to: Address, value: c_uint, count: usize) | cuMemsetD32_v2_ptds in Context => |call| {
        fill(call, line(to, value, 4, count), DEFAULT_STREAM, false)
    }

    fn cuMemsetD8Async(to: Address, value: c_uchar, count: usize, stream: Handle) | cuMemsetD8Async_ptsz in Context => |call| {
        fill(call, line(to, value.into(), 1, count), stream, true)
    }

    fn cuMemsetD16Async(to: Address, value: c_ushort, count: usize, stream: Handle) | cuMemsetD16Async_ptsz in Context => |call| {
        fill(call, line(to, value.into(), 2, count), stream, true)
    }

    fn cuMemsetD32Async(to: Address, value: c_uint, count: usize, stream: Handle) | cuMemsetD32Async_ptsz in Context => |call| {
        fill(call, line(to, value, 4, count), stream, true)
    }

    fn cuMemsetD2D8_v2(
        to: Address, pitch: usize, value: c_uchar, width: usize, height: usize
    ) | cuMemsetD2D8_v2_ptds in Context => |call| {
        fill(call, rectangle(to, pitch, value.into(), 1, width, height), DEFAULT_STREAM, false)
    }

    fn cuMemsetD2D16_v2(
        to: Address, pitch: usize, value: c_ushort, width: usize, height: usize
    ) | cuMemsetD2D16_v2_ptds in Context => |call| {
        fill(call, rectangle(to, pitch, value.into(), 2, width, height), DEFAULT_STREAM, false)
    }

    fn cuMemsetD2D32_v2(
        to: Address, pitch: usize, value: c_uint, width: usize, height: usize
    ) | cuMemsetD2D32_v2_ptds in Context => |call| {
        fill(call, rectangle(to, pitch, value, 4, width, height), DEFAULT_STREAM, false)
    }

    fn cuMemsetD2D8Async(
        to: Address, pitch: usize, value: c_uchar, width: usize, height: usize, stream: Handle
    ) | cuMemsetD2D8Async_ptsz in Context => |call| {
        fill(call, rectangle(to, pitch, value.into(), 1, width, height), stream, true)
    }

    fn cuMemsetD2D16Async(
        to: Address, pitch: usize, value: c_ushort, width: usize, height: usize, stream: Handle
    ) | cuMemsetD2D16Async_ptsz in Context => |call| {
        fill(call, rectangle(to, pitch, value.into(), 2, width, height), stream, true)
    }

    fn cuMemsetD2D32Async(
        to: Address, pitch: usize, value: c_uint, width: usize, height: usize, stream: Handle
    ) | cuMemsetD2D32Async_ptsz in Context => |call| {
        fill(call, rectangle(to, pitch, value, 4, width, height), stream, true)
    }
}
