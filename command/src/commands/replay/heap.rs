//! The allocators of `tenure replay`, and blocks that are freed by the allocator that made them.
//!
//! Contract: the unsafe code of this program. A [`Block`] is the only user of its memory.
#![allow(unsafe_code)]

use super::round::{Figures, Measured};
use crate::Failure;
use libc::{c_int, c_void};
use std::ptr::{NonNull, null_mut};
use tenure::ffi::pool::{tn_pool_allocate, tn_pool_create, tn_pool_deallocate, tn_pool_reallocate, tn_pool_release};
use tenure::types::{TN_CPU, TN_OK, tn_device, tn_pool};

/// The allocators, in the order of the table. The others are compared with the first one.
pub const NAMES: [&str; 2] = ["tenure", "malloc"];

/// Alignment of blocks without one of their own, as malloc has it.
const USUAL_ALIGNMENT_LOG2: u8 = 4;

/// Calls that allocate and free.
///
/// # Safety
/// An implementation returns memory of at least so many bytes, which nothing else uses until it is freed or resized.
pub unsafe trait Heap {
    /// A new block, or NULL. `alignment` is a power of two of 16 and more.
    fn allocate(&self, bytes: usize, alignment: usize) -> *mut u8;

    /// Another size for a block, which may move; NULL: it is as before.
    ///
    /// # Safety
    /// - `block` is a live block of this heap, and not used after a success.
    unsafe fn reallocate(&self, block: *mut u8, bytes: usize) -> *mut u8;

    /// # Safety
    /// - `block` is a live block of this heap, and not used afterwards.
    unsafe fn free(&self, block: *mut u8);
}

/// Measures on the heap of this name.
pub fn measure(name: &str, measured: Measured) -> Result<Figures, Failure> {
    if name != NAMES[0] {
        // SAFETY: returns unused memory of this process to the system, so that the blocks do not find it resident.
        unsafe { libc::malloc_trim(0) };
        return measured.on(&Malloc);
    }
    let mut pool = null_mut();
    // SAFETY: no options, and a place for the handle.
    let status = unsafe { tn_pool_create(tn_device { r#type: TN_CPU, id: 0 }, std::ptr::null(), &mut pool) };
    if status != TN_OK {
        return Err(format!("tn_pool_create failed with status {}", status as c_int));
    }
    let figures = measured.on(&Pool(pool));
    let _ = tn_pool_release(pool);
    figures
}

/// A pool of Tenure, by the C functions.
struct Pool(*mut tn_pool);

// SAFETY: the pool's blocks never overlap.
unsafe impl Heap for Pool {
    fn allocate(&self, bytes: usize, alignment: usize) -> *mut u8 {
        let mut block: *mut c_void = null_mut();
        // SAFETY: a live handle, and a place for the block, which a failure leaves NULL.
        let _ = unsafe { tn_pool_allocate(self.0, bytes, alignment, null_mut(), &mut block) };
        block.cast()
    }

    unsafe fn reallocate(&self, block: *mut u8, bytes: usize) -> *mut u8 {
        let mut moved: *mut c_void = null_mut();
        // SAFETY: a live handle, the caller's block, and a place for the new one, which a failure leaves NULL.
        let _ = unsafe { tn_pool_reallocate(self.0, block.cast(), bytes, null_mut(), &mut moved) };
        moved.cast()
    }

    unsafe fn free(&self, block: *mut u8) {
        let status = tn_pool_deallocate(self.0, block.cast(), null_mut());
        debug_assert_eq!(status, TN_OK);
    }
}

/// The C library's allocator, or that of a library in LD_PRELOAD.
struct Malloc;

// SAFETY: malloc's blocks never overlap.
unsafe impl Heap for Malloc {
    fn allocate(&self, bytes: usize, alignment: usize) -> *mut u8 {
        if alignment == 1 << USUAL_ALIGNMENT_LOG2 {
            // SAFETY: any size may be requested.
            return unsafe { libc::malloc(bytes) }.cast();
        }
        let mut block: *mut c_void = null_mut();
        // SAFETY: a power of two that is a multiple of a pointer's size, and a place for the block.
        let status = unsafe { libc::posix_memalign(&mut block, alignment, bytes) };
        if status == 0 { block.cast() } else { null_mut() }
    }

    unsafe fn reallocate(&self, block: *mut u8, bytes: usize) -> *mut u8 {
        // SAFETY: the caller's block.
        unsafe { libc::realloc(block.cast(), bytes) }.cast()
    }

    unsafe fn free(&self, block: *mut u8) {
        // SAFETY: the caller's block.
        unsafe { libc::free(block.cast()) }
    }
}

/// A block, with the heap that made it.
pub struct Block<'a, H: Heap> {
    heap: &'a H,
    address: NonNull<u8>,
    bytes: usize,
}

impl<'a, H: Heap> Block<'a, H> {
    /// Allocates a block. `alignment_log2` 0: the usual one.
    pub fn allocate(heap: &'a H, bytes: usize, alignment_log2: u8) -> Result<Block<'a, H>, Failure> {
        let address = heap.allocate(bytes, 1 << alignment_log2.max(USUAL_ALIGNMENT_LOG2));
        NonNull::new(address).map(|address| Block { heap, address, bytes }).ok_or_else(|| no_memory(bytes))
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn reallocate(&mut self, bytes: usize) -> Result<(), Failure> {
        // SAFETY: a live block of this heap, whose old address is forgotten.
        let moved = unsafe { self.heap.reallocate(self.address.as_ptr(), bytes) };
        self.address = NonNull::new(moved).ok_or_else(|| no_memory(bytes))?;
        self.bytes = bytes;
        Ok(())
    }

    pub fn free(self) {
        // SAFETY: a live block of this heap, which ends here.
        unsafe { self.heap.free(self.address.as_ptr()) }
    }

    /// Writes the bytes behind the first `known` ones.
    pub fn write_from(&mut self, known: usize) {
        if known < self.bytes {
            // SAFETY: within the block, which nothing else uses.
            unsafe { self.address.as_ptr().add(known).write_bytes(1, self.bytes - known) }
        }
    }
}

fn no_memory(bytes: usize) -> Failure {
    format!("no memory for a block of {bytes} bytes")
}
