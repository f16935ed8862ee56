//! Raw copies and memsets of the driver, on a stream.
//!
//! Contract: each function makes one call of the driver, and does not wait. A call copies a [`Block`], the most general
//! shape that the driver supports: runs of bytes, rows of runs at a pitch, planes of rows. The simplest call is used:
//! `cuMemcpy*Async` for a run, the 2-D call for rows, the 3-D call for planes. Addresses are not checked: the caller
//! ensures that they are valid and not used in a conflicting way, and is [`Inside`] the context of the stream's device.
//!
//! By the driver's reference, the 2-D call may refuse pitches within a device that `cuMemAllocPitch` did not choose,
//! although no driver is known to. The 3-D call has no such restriction. So refused rows are copied as one plane.

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

/// The bytes that one call of the driver copies: `planes` times `rows` runs of `width` bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block {
    /// The destination.
    pub dst: Side,
    /// The source.
    pub src: Side,
    /// Bytes per run.
    pub width: i64,
    /// Runs per plane.
    pub rows: i64,
    /// Number of planes.
    pub planes: i64,
}

impl Block {
    /// Bytes of all runs.
    pub fn bytes(&self) -> i64 {
        self.width * self.rows * self.planes
    }
}

/// The kinds of memory of a copy.
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
        /// The context of the destination.
        dst: CUcontext,
        /// The context of the source.
        src: CUcontext,
    },
}

impl CopyKind {
    /// The kind of a copy from one part of the destination to another.
    pub fn within_destination(self) -> CopyKind {
        match self {
            CopyKind::Peer { dst, .. } => CopyKind::Peer { dst, src: dst },
            kind => kind,
        }
    }

    /// The memory types of destination and source.
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
/// - `stream` is one of the device of `inside`, and exists.
/// - Both sides are memory of the kinds that `kind` states, which stays valid until the copy is done, and share no
///   byte.
/// - Until then no other access conflicts with the copy.
pub unsafe fn copy(inside: &Inside, stream: CUstream, kind: CopyKind, block: &Block) -> Result<()> {
    let (to, from) = (block.dst.at as CUdeviceptr, block.src.at as CUdeviceptr);
    let bytes = block.width as usize;
    if block.rows == 1 {
        // SAFETY: the caller's obligation.
        let (number, call) = unsafe {
            match kind {
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
    // SAFETY: the caller's obligation; the structs live during the calls.
    let (number, call) = unsafe {
        match kind {
            CopyKind::Peer { dst, src } => {
                let mut peer = peer_of(block);
                (peer.dstContext, peer.srcContext) = (dst, src);
                (inside.cuMemcpy3DPeerAsync(&peer, stream), "cuMemcpy3DPeerAsync")
            }
            _ if block.planes == 1 => match (inside.cuMemcpy2DAsync_v2(&rows_of(kind, block), stream), kind) {
                (Ok(code::INVALID_VALUE), CopyKind::Within) => {
                    (inside.cuMemcpy3DAsync_v2(&planes_of(kind, block), stream), "cuMemcpy3DAsync")
                }
                (number, _) => (number, "cuMemcpy2DAsync"),
            },
            _ => (inside.cuMemcpy3DAsync_v2(&planes_of(kind, block), stream), "cuMemcpy3DAsync"),
        }
    };
    inside.gpu().check(number?, call)
}

/// Sets `rows` runs of `count` units of 1, 2 or 4 bytes, `pitch` bytes apart, to the low bytes of `value`.
///
/// # Safety
/// - `stream` is one of the device of `inside`, and exists.
/// - The runs are device or managed memory, which stays valid until the call is done, and is not used by others until
///   then.
/// - Address and pitch are multiples of the unit.
pub unsafe fn set(inside: &Inside, stream: CUstream, strip: Strip) -> Result<()> {
    let Strip { at, pitch, unit, value, count, rows } = strip;
    let (at, pitch, count, rows) = (at as CUdeviceptr, pitch as usize, count as usize, rows as usize);
    let (byte, half) = (value as u8, value as u16);
    // SAFETY: the caller's obligation.
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

/// The bytes that one memset sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Strip {
    /// Address of the first byte.
    pub at: i64,
    /// Bytes from one row to the next.
    pub pitch: i64,
    /// Bytes per unit: 1, 2 or 4.
    pub unit: i64,
    /// The unit's bytes, the lowest first.
    pub value: u32,
    /// Units per row.
    pub count: i64,
    /// Number of rows.
    pub rows: i64,
}

/// Rows from the start of one plane to that of the next; 0 with a single plane, where the driver ignores it.
fn height(side: Side) -> usize {
    if side.plane == 0 { 0 } else { (side.plane / side.pitch) as usize }
}

fn rows_of(kind: CopyKind, block: &Block) -> CUDA_MEMCPY2D {
    let (dst_kind, src_kind) = kind.kinds();
    // The memory type decides which of the two addresses is used.
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

fn planes_of(kind: CopyKind, block: &Block) -> CUDA_MEMCPY3D {
    let (dst_kind, src_kind) = kind.kinds();
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
