//! The driver's memory pools: memory of a GPU that is allocated and freed in the order of streams.
//!
//! Contract: thin; keeps no list of what was allocated. The caller is [`Inside`] the GPU's context, and made its calls
//! relaxed. The driver keeps what is freed, up to the pool's release threshold, and serves later requests from it.
//!
//! Source: "Stream Ordered Memory Allocator" in the CUDA driver's reference.

use super::context::Inside;
use super::table::Gpu;
use super::virtual_memory::{AccessList, location};
use crate::cuda_driver::sys::{CUmemAllocationHandleType, CUmemAllocationType, CUmemPoolProps, CUmemoryPool};
use crate::cuda_driver::{Attribute, CUdeviceptr, CUstream, SUCCESS, code};
use crate::error::Result;
use core::ffi::{c_int, c_uint};
use core::mem::MaybeUninit;

// CUmemPool_attribute.
const REUSE_WITH_NEW_WAITS: c_uint = 3;
const RELEASE_THRESHOLD: c_uint = 4;
const RESERVED_NOW: c_uint = 5;
const RESERVED_PEAK: c_uint = 6;
const USED_NOW: c_uint = 7;

/// A memory pool of the driver, by its handle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryPool(usize);

/// Bytes of a pool.
#[derive(Clone, Copy, Default, Debug)]
pub struct PoolBytes {
    /// Memory that the pool has of the GPU.
    pub reserved: u64,
    /// What of it is allocated.
    pub used: u64,
    /// The peak of `reserved`.
    pub reserved_peak: u64,
}

impl Gpu {
    /// Whether the driver has memory pools for this GPU.
    pub fn has_memory_pools(&'static self) -> bool {
        let pools = self.attribute(Attribute::CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED).unwrap_or(0) != 0;
        pools && self.alive().is_ok_and(|driver| driver.has_memory_pools())
    }
}

impl MemoryPool {
    /// Creates a pool that keeps up to `threshold` free bytes when the program synchronises. `waits`: the driver may
    /// make a stream wait for another one's free, to reuse its memory. `peers`: GPUs that may access the memory too, by
    /// the bits of their ordinals.
    pub fn create(inside: &Inside, threshold: u64, waits: bool, peers: u64) -> Result<MemoryPool> {
        let gpu = inside.gpu();
        // SAFETY: all zero is a valid value: no handle type, no limit, no usage.
        let mut properties: CUmemPoolProps = unsafe { MaybeUninit::zeroed().assume_init() };
        properties.allocType = CUmemAllocationType::CU_MEM_ALLOCATION_TYPE_PINNED;
        properties.handleTypes = CUmemAllocationHandleType::CU_MEM_HANDLE_TYPE_NONE;
        properties.location = location(gpu.id());
        let mut handle: CUmemoryPool = core::ptr::null_mut();
        // SAFETY: the pointer and the struct are ours.
        gpu.check(unsafe { inside.cuMemPoolCreate(&mut handle, &properties)? }, "cuMemPoolCreate")?;
        let pool = MemoryPool(handle as usize);
        let made = pool.configure(inside, threshold, waits, peers);
        if made.is_err() {
            // SAFETY: just created, and nothing was allocated.
            unsafe { pool.destroy(inside) };
        }
        made.map(|()| pool)
    }

    fn configure(self, inside: &Inside, threshold: u64, waits: bool, peers: u64) -> Result<()> {
        let gpu = inside.gpu();
        let (mut threshold, mut waits) = (threshold, c_int::from(waits));
        let threshold = (&raw mut threshold).cast();
        let waits = (&raw mut waits).cast();
        // SAFETY: a pool that exists; the attributes are a cuuint64_t and an int.
        unsafe {
            gpu.check(
                inside.cuMemPoolSetAttribute(self.raw(), RELEASE_THRESHOLD, threshold)?,
                "cuMemPoolSetAttribute",
            )?;
            gpu.check(inside.cuMemPoolSetAttribute(self.raw(), REUSE_WITH_NEW_WAITS, waits)?, "cuMemPoolSetAttribute")?;
        }
        let list = AccessList::of(peers & !(1 << gpu.id()));
        if list.count() == 0 {
            return Ok(());
        }
        // SAFETY: as above; the list has that many entries.
        gpu.check(unsafe { inside.cuMemPoolSetAccess(self.raw(), list.first(), list.count())? }, "cuMemPoolSetAccess")
    }

    fn raw(self) -> CUmemoryPool {
        self.0 as CUmemoryPool
    }

    /// Allocates memory that work behind the stream's present work may use. None: the GPU has no memory left.
    ///
    /// # Safety
    /// - The stream exists.
    pub unsafe fn allocate(self, inside: &Inside, bytes: usize, stream: CUstream) -> Result<Option<usize>> {
        let mut start: CUdeviceptr = 0;
        // SAFETY: the number is ours; the rest is the caller's obligation.
        let number = unsafe { inside.cuMemAllocFromPoolAsync(&mut start, bytes, self.raw(), stream)? };
        if number == code::OUT_OF_MEMORY {
            return Ok(None);
        }
        inside.gpu().check(number, "cuMemAllocFromPoolAsync")?;
        Ok((start != 0).then_some(start as usize))
    }

    /// Returns free memory to the GPU until the pool has at most `keep` bytes, or what is allocated. Does not wait.
    pub fn trim(self, inside: &Inside, keep: usize) -> Result<()> {
        // SAFETY: a pool that exists.
        inside.gpu().check(unsafe { inside.cuMemPoolTrimTo(self.raw(), keep)? }, "cuMemPoolTrimTo")
    }

    /// What the pool has now.
    pub fn bytes(self, inside: &Inside) -> PoolBytes {
        let get = |attribute| {
            let mut value = 0u64;
            // SAFETY: a pool that exists; the attributes are cuuint64_t.
            let number = unsafe { inside.cuMemPoolGetAttribute(self.raw(), attribute, (&raw mut value).cast()) };
            if matches!(number, Ok(SUCCESS)) { value } else { 0 }
        };
        PoolBytes { reserved: get(RESERVED_NOW), used: get(USED_NOW), reserved_peak: get(RESERVED_PEAK) }
    }

    /// Sets the peak of the reserved bytes to what they are now.
    pub fn reset_peak(self, inside: &Inside) {
        let mut zero = 0u64;
        // SAFETY: as in `bytes`. A driver that refuses keeps its peak.
        let _ = unsafe { inside.cuMemPoolSetAttribute(self.raw(), RESERVED_PEAK, (&raw mut zero).cast()) };
    }

    /// Ends the pool. The driver keeps what is allocated until it is freed.
    ///
    /// # Safety
    /// - The pool is not used again.
    pub unsafe fn destroy(self, inside: &Inside) {
        // SAFETY: the caller's obligation. Nothing can be done about a refusal.
        let _ = unsafe { inside.cuMemPoolDestroy(self.raw()) };
    }
}

/// Frees memory of a pool in the order of a stream.
///
/// # Safety
/// - The memory is used only by work that comes before the free. The stream exists.
pub unsafe fn free(inside: &Inside, start: usize, stream: CUstream) -> Result<()> {
    // SAFETY: the caller's obligation.
    inside.gpu().check(unsafe { inside.cuMemFreeAsync(start as CUdeviceptr, stream)? }, "cuMemFreeAsync")
}
