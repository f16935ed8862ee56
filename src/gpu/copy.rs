//! Raw copies and memsets of the driver, on a queue.
//!
//! Contract: one function call here is one call of the driver, and it does not wait. What a call copies is a [`Block`], the most that a
//! driver understands: runs of bytes, rows of runs at a pitch, planes of rows. The plainest call that does it is taken: a run goes by
//! `cuMemcpy*Async`, rows by the 2-D call, planes by the 3-D one. Addresses are not checked; whose they are and who else touches them was
//! settled by the caller, who is [`Inside`] the context of the queue's device.
//!
//! The reference lets the 2-D call refuse pitches within a device that `cuMemAllocPitch` did not choose, though none is known to do so; of
//! the 3-D call it says no such thing. So rows that are refused there are tried once more as one plane.

use super::context::Inside;
use crate::cuda_driver::sys::{CUDA_MEMCPY2D, CUDA_MEMCPY3D, CUDA_MEMCPY3D_PEER, CUmemorytype};
use crate::cuda_driver::{CUcontext, CUdeviceptr, CUstream, code};
use crate::error::Result;
use core::ffi::c_void;
use core::ptr::{null, null_mut};

/// One side of a [`Block`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Side {
    /// Address of the first byte.
    pub at: i64,
    /// Bytes from one row to the next.
    pub pitch: i64,
    /// Bytes from one plane to the next: a whole number of pitches.
    pub plane: i64,
}

/// What one call of the driver copies: `planes` times `rows` runs of `width` bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block {
    /// Where to.
    pub dst: Side,
    /// Where from.
    pub src: Side,
    /// Bytes of a run.
    pub width: i64,
    /// Runs of a plane.
    pub rows: i64,
    /// Planes.
    pub planes: i64,
}

impl Block {
    /// Bytes of all runs.
    pub fn bytes(&self) -> i64 {
        self.width * self.rows * self.planes
    }
}

/// From where to where.
#[derive(Clone, Copy)]
pub enum CopyKind {
    /// From host memory to a device's, or to managed memory.
    ToDevice,
    /// From a device's memory, or managed memory, to the host's.
    ToHost,
    /// Within one device, or between it and managed memory.
    Within,
    /// Between two devices, by their contexts.
    Peer {
        /// Where to.
        dst: CUcontext,
        /// Where from.
        src: CUcontext,
    },
}

impl CopyKind {
    /// Within the memory that this way leads to.
    pub fn onwards(self) -> CopyKind {
        match self {
            CopyKind::Peer { dst, .. } => CopyKind::Peer { dst, src: dst },
            way => way,
        }
    }

    /// The kinds of the two memories: destination, source.
    fn kinds(self) -> (CUmemorytype, CUmemorytype) {
        use CUmemorytype::{CU_MEMORYTYPE_DEVICE as DEVICE, CU_MEMORYTYPE_HOST as HOST};
        match self {
            CopyKind::ToDevice => (DEVICE, HOST),
            CopyKind::ToHost => (HOST, DEVICE),
            CopyKind::Within | CopyKind::Peer { .. } => (DEVICE, DEVICE),
        }
    }
}

/// Copies a block.
///
/// # Safety
/// - `inside` is the context of the queue's device.
/// - Both sides are memory of the kinds that `way` says, which stays until the queue has passed the copy; nobody whom the library can stop
///   touches it in a conflicting way meanwhile, and the two sides share no byte.
pub unsafe fn copy(inside: &Inside, stream: CUstream, way: CopyKind, block: &Block) -> Result<()> {
    let (to, from) = (block.dst.at as CUdeviceptr, block.src.at as CUdeviceptr);
    let bytes = block.width as usize;
    if block.rows == 1 {
        // SAFETY: the caller's promise.
        let (number, call) = unsafe {
            match way {
                CopyKind::ToDevice => {
                    (inside.cuMemcpyHtoDAsync_v2(to, from as *const c_void, bytes, stream), "cuMemcpyHtoDAsync")
                }
                CopyKind::ToHost => {
                    (inside.cuMemcpyDtoHAsync_v2(to as *mut c_void, from, bytes, stream), "cuMemcpyDtoHAsync")
                }
                CopyKind::Within => (inside.cuMemcpyDtoDAsync_v2(to, from, bytes, stream), "cuMemcpyDtoDAsync"),
                CopyKind::Peer { dst, src } => {
                    (inside.cuMemcpyPeerAsync(to, dst, from, src, bytes, stream), "cuMemcpyPeerAsync")
                }
            }
        };
        return inside.gpu().check(number?, call);
    }
    // SAFETY: the caller's promise; the structs live during the calls.
    let (number, call) = unsafe {
        match way {
            CopyKind::Peer { dst, src } => {
                let mut peer = peer_of(block);
                (peer.dstContext, peer.srcContext) = (dst, src);
                (inside.cuMemcpy3DPeerAsync(&peer, stream), "cuMemcpy3DPeerAsync")
            }
            _ if block.planes == 1 => match (inside.cuMemcpy2DAsync_v2(&rows_of(way, block), stream), way) {
                (Ok(code::INVALID_VALUE), CopyKind::Within) => {
                    (inside.cuMemcpy3DAsync_v2(&planes_of(way, block), stream), "cuMemcpy3DAsync")
                }
                (number, _) => (number, "cuMemcpy2DAsync"),
            },
            _ => (inside.cuMemcpy3DAsync_v2(&planes_of(way, block), stream), "cuMemcpy3DAsync"),
        }
    };
    inside.gpu().check(number?, call)
}

/// Sets `rows` runs of `count` units of 1, 2 or 4 bytes, `pitch` bytes apart, to the low bytes of `value`.
///
/// # Safety
/// - `inside` is the context of the queue's device.
/// - The runs are device or managed memory, which stays until the queue has passed the call, and which nobody whom the library can stop
///   touches meanwhile. Address and pitch are multiples of the unit.
pub unsafe fn set(inside: &Inside, stream: CUstream, strip: Strip) -> Result<()> {
    let Strip { at, pitch, unit, value, count, rows } = strip;
    let (at, pitch, count, rows) = (at as CUdeviceptr, pitch as usize, count as usize, rows as usize);
    let (byte, half) = (value as u8, value as u16);
    // SAFETY: the caller's promise.
    let (number, call) = unsafe {
        match (unit, rows) {
            (1, 1) => (inside.cuMemsetD8Async(at, byte, count, stream), "cuMemsetD8Async"),
            (2, 1) => (inside.cuMemsetD16Async(at, half, count, stream), "cuMemsetD16Async"),
            (_, 1) => (inside.cuMemsetD32Async(at, value, count, stream), "cuMemsetD32Async"),
            (1, _) => (inside.cuMemsetD2D8Async(at, pitch, byte, count, rows, stream), "cuMemsetD2D8Async"),
            (2, _) => (inside.cuMemsetD2D16Async(at, pitch, half, count, rows, stream), "cuMemsetD2D16Async"),
            _ => (inside.cuMemsetD2D32Async(at, pitch, value, count, rows, stream), "cuMemsetD2D32Async"),
        }
    };
    inside.gpu().check(number?, call)
}

/// What one memset sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Strip {
    /// Address of the first byte.
    pub at: i64,
    /// Bytes from one row to the next.
    pub pitch: i64,
    /// Bytes of a unit: 1, 2 or 4.
    pub unit: i64,
    /// The unit's bytes, the lowest first.
    pub value: u32,
    /// Units of a row.
    pub count: i64,
    /// Rows.
    pub rows: i64,
}

/// Rows from the start of one plane to that of the next; without planes nobody looks at it.
fn height(side: Side) -> usize {
    if side.plane == 0 { 0 } else { (side.plane / side.pitch) as usize }
}

fn rows_of(way: CopyKind, block: &Block) -> CUDA_MEMCPY2D {
    let (dst_kind, src_kind) = way.kinds();
    // Which of the two addresses counts, the kind says.
    CUDA_MEMCPY2D {
        srcXInBytes: 0,
        srcY: 0,
        srcMemoryType: src_kind,
        srcHost: block.src.at as *const c_void,
        srcDevice: block.src.at as CUdeviceptr,
        srcArray: null_mut(),
        srcPitch: block.src.pitch as usize,
        dstXInBytes: 0,
        dstY: 0,
        dstMemoryType: dst_kind,
        dstHost: block.dst.at as *mut c_void,
        dstDevice: block.dst.at as CUdeviceptr,
        dstArray: null_mut(),
        dstPitch: block.dst.pitch as usize,
        WidthInBytes: block.width as usize,
        Height: block.rows as usize,
    }
}

fn planes_of(way: CopyKind, block: &Block) -> CUDA_MEMCPY3D {
    let (dst_kind, src_kind) = way.kinds();
    CUDA_MEMCPY3D {
        srcXInBytes: 0,
        srcY: 0,
        srcZ: 0,
        srcLOD: 0,
        srcMemoryType: src_kind,
        srcHost: block.src.at as *const c_void,
        srcDevice: block.src.at as CUdeviceptr,
        srcArray: null_mut(),
        reserved0: null_mut(),
        srcPitch: block.src.pitch as usize,
        srcHeight: height(block.src),
        dstXInBytes: 0,
        dstY: 0,
        dstZ: 0,
        dstLOD: 0,
        dstMemoryType: dst_kind,
        dstHost: block.dst.at as *mut c_void,
        dstDevice: block.dst.at as CUdeviceptr,
        dstArray: null_mut(),
        reserved1: null_mut(),
        dstPitch: block.dst.pitch as usize,
        dstHeight: height(block.dst),
        WidthInBytes: block.width as usize,
        Height: block.rows as usize,
        Depth: block.planes as usize,
    }
}

fn peer_of(block: &Block) -> CUDA_MEMCPY3D_PEER {
    CUDA_MEMCPY3D_PEER {
        srcXInBytes: 0,
        srcY: 0,
        srcZ: 0,
        srcLOD: 0,
        srcMemoryType: CUmemorytype::CU_MEMORYTYPE_DEVICE,
        srcHost: null(),
        srcDevice: block.src.at as CUdeviceptr,
        srcArray: null_mut(),
        srcContext: null_mut(),
        srcPitch: block.src.pitch as usize,
        srcHeight: height(block.src).max(block.rows as usize),
        dstXInBytes: 0,
        dstY: 0,
        dstZ: 0,
        dstLOD: 0,
        dstMemoryType: CUmemorytype::CU_MEMORYTYPE_DEVICE,
        dstHost: null_mut(),
        dstDevice: block.dst.at as CUdeviceptr,
        dstArray: null_mut(),
        dstContext: null_mut(),
        dstPitch: block.dst.pitch as usize,
        dstHeight: height(block.dst).max(block.rows as usize),
        WidthInBytes: block.width as usize,
        Height: block.rows as usize,
        Depth: block.planes as usize,
    }
}
