//! CUDA arrays: device memory without an address, of elements with up to three axes.

use crate::base::types::{Address, Handle};
use std::ffi::c_uint;

/// CUDA_ARRAY_DESCRIPTOR.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Descriptor2D {
    pub width: usize,
    pub height: usize,
    pub format: c_uint,
    pub channels: c_uint,
}

/// CUDA_ARRAY3D_DESCRIPTOR.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Descriptor3D {
    pub width: usize,
    pub height: usize,
    pub depth: usize,
    pub format: c_uint,
    pub channels: c_uint,
    pub flags: c_uint,
}

pub struct Array {
    pub memory: Address,
    pub descriptor: Descriptor3D,
    /// Bytes of a row; rows and planes follow one another without gaps.
    pub pitch: u64,
    pub context: Handle,
}

impl Array {
    /// Rows of a plane; 1 for an array with one axis.
    pub fn rows_per_plane(&self) -> u64 {
        self.descriptor.height.max(1) as u64
    }

    /// Planes, or layers; 1 for an array with fewer axes.
    pub fn planes(&self) -> u64 {
        self.descriptor.depth.max(1) as u64
    }
}
