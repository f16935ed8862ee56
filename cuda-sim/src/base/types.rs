//! The driver's types as its C interface has them: handles are integers here, structs have the driver's layout.

use std::ffi::c_void;

/// A context, stream, event, graph, module or pool. Never dereferenced, and never reused.
pub type Handle = u64;
/// An address on the device.
pub type Address = u64;

/// The handle 0: the context's legacy stream, or the thread's per-thread stream in the `_ptsz` and `_ptds` variants of
/// a function.
pub const DEFAULT_STREAM: Handle = 0;
/// The handle that means the context's legacy stream.
pub const LEGACY: Handle = 1;
/// The handle that means the calling thread's default stream.
pub const PER_THREAD: Handle = 2;

pub const MEMORY_HOST: u32 = 1;
pub const MEMORY_DEVICE: u32 = 2;
pub const MEMORY_ARRAY: u32 = 3;
pub const MEMORY_UNIFIED: u32 = 4;

/// CUDA_MEMCPY2D.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Copy2D {
    pub src_x: usize,
    pub src_y: usize,
    pub src_memory: u32,
    pub src_host: *const c_void,
    pub src_device: Address,
    pub src_array: Handle,
    pub src_pitch: usize,
    pub dst_x: usize,
    pub dst_y: usize,
    pub dst_memory: u32,
    pub dst_host: *mut c_void,
    pub dst_device: Address,
    pub dst_array: Handle,
    pub dst_pitch: usize,
    pub width: usize,
    pub height: usize,
}

/// CUDA_MEMCPY3D and CUDA_MEMCPY3D_PEER, which have one layout: `src_owner` and `dst_owner` are reserved in the first
/// and contexts in the second.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Copy3D {
    pub src_x: usize,
    pub src_y: usize,
    pub src_z: usize,
    pub src_lod: usize,
    pub src_memory: u32,
    pub src_host: *const c_void,
    pub src_device: Address,
    pub src_array: Handle,
    pub src_owner: Handle,
    pub src_pitch: usize,
    pub src_height: usize,
    pub dst_x: usize,
    pub dst_y: usize,
    pub dst_z: usize,
    pub dst_lod: usize,
    pub dst_memory: u32,
    pub dst_host: *mut c_void,
    pub dst_device: Address,
    pub dst_array: Handle,
    pub dst_owner: Handle,
    pub dst_pitch: usize,
    pub dst_height: usize,
    pub width: usize,
    pub height: usize,
    pub depth: usize,
}

pub const LOCATION_DEVICE: u32 = 1;
pub const LOCATION_HOST: u32 = 2;

/// CUmemLocation.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Location {
    pub kind: u32,
    pub id: i32,
}

/// CUmemAllocationProp.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct AllocationProp {
    pub kind: u32,
    pub handle_types: u32,
    pub location: Location,
    pub win32: *mut c_void,
    pub compression: u8,
    pub rdma: u8,
    pub usage: u16,
    pub reserved: [u8; 4],
}

/// CUmemAccessDesc.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct AccessDesc {
    pub location: Location,
    pub flags: u32,
}

/// CUmemPoolProps.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PoolProps {
    pub kind: u32,
    pub handle_types: u32,
    pub location: Location,
    pub win32: *mut c_void,
    pub max_size: usize,
    pub usage: u16,
    pub reserved: [u8; 54],
}

/// CUuuid.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Uuid(pub [u8; 16]);

/// CUhostFn.
pub type HostFn = Option<unsafe extern "C" fn(*mut c_void)>;
/// CUstreamCallback.
pub type StreamCallback = Option<unsafe extern "C" fn(Handle, u32, *mut c_void)>;
