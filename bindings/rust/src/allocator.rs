//! Collections on a pool: the `Allocator` of the crate `allocator-api2`, which its own `Vec` and `Box`, hashbrown and others take.

use crate::device::Device;
use crate::error::{Error, Result, Status};
use crate::pool::Pool;
use crate::sys;
use allocator_api2::alloc::{AllocError, Allocator, Layout};
use std::ffi::c_void;
use std::ptr::{self, NonNull};

/// Allocates the memory of collections from a [`Pool`]: its limit, statistics and reports include them.
///
/// ```
/// # fn main() -> tenure_rs::Result<()> {
/// use allocator_api2::vec::Vec;
/// let pool = tenure_rs::Pool::configure().name("step").max_size(1 << 20).build()?;
/// let mut rows = Vec::new_in(pool.allocator()?);
/// rows.extend([1.0, 2.0]);
/// assert_eq!(pool.stats()?.live_blocks, 1);
/// assert!(rows.try_reserve(1 << 20).is_err()); // the pool is full, not the machine
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PoolAllocator<'pool> {
    pool: &'pool Pool,
}

impl Pool {
    /// An allocator for collections.
    ///
    /// # Errors
    /// [`Status::DEVICE`] for a pool of memory that is not the host's alone.
    pub fn allocator(&self) -> Result<PoolAllocator<'_>> {
        match self.device()? {
            Device::Host | Device::PageLocked => Ok(PoolAllocator { pool: self }),
            device => {
                let text = format!("tenure_rs: collections need a pool of host memory, and this one is of {device:?}");
                Err(Error::new(Status::DEVICE, text))
            }
        }
    }
}

/// What an allocation gives.
type Block = std::result::Result<NonNull<[u8]>, AllocError>;
type Allocate =
    unsafe extern "C" fn(*mut sys::tn_pool, usize, usize, *mut sys::tn_stream, *mut *mut c_void) -> sys::tn_status;

/// A block of `layout`; one without bytes needs no memory.
fn block(layout: Layout, allocate: impl FnOnce(*mut *mut c_void) -> sys::tn_status) -> Block {
    if layout.size() == 0 {
        return Ok(NonNull::slice_from_raw_parts(
            NonNull::without_provenance(layout.align().try_into().map_err(|_| AllocError)?),
            0,
        ));
    }
    let mut out = ptr::null_mut();
    if allocate(&mut out) != sys::TN_OK {
        return Err(AllocError);
    }
    let start = NonNull::new(out.cast::<u8>()).ok_or(AllocError)?;
    Ok(NonNull::slice_from_raw_parts(start, layout.size()))
}

impl PoolAllocator<'_> {
    fn make(&self, call: Allocate, layout: Layout) -> Block {
        // SAFETY: a handle that the pool keeps, and a place for the address.
        block(layout, |out| unsafe { call(self.pool.raw(), layout.size(), layout.align(), ptr::null_mut(), out) })
    }

    /// Another size for a block. The library keeps the alignment that the block was allocated with.
    ///
    /// # Safety
    /// - As for `grow` and `shrink`.
    unsafe fn resize(&self, old: NonNull<u8>, from: Layout, to: Layout) -> Block {
        if from.size() == 0 || to.size() == 0 || to.align() > from.align() {
            let new = self.allocate(to)?;
            let bytes = from.size().min(to.size());
            // SAFETY: both blocks have that many bytes, and they are different ones.
            unsafe { ptr::copy_nonoverlapping(old.as_ptr(), new.cast::<u8>().as_ptr(), bytes) };
            // SAFETY: the caller's promise.
            unsafe { self.deallocate(old, from) };
            return Ok(new);
        }
        // SAFETY: a live block of this pool, by the caller's promise, and a place for the address.
        block(to, |out| unsafe {
            sys::tn_pool_reallocate(self.pool.raw(), old.as_ptr().cast(), to.size(), ptr::null_mut(), out)
        })
    }
}

// SAFETY: blocks have the size and alignment of their layout and stay where they are until they are deallocated or resized,
// also when the allocator is moved or copied: copies are the same pool.
unsafe impl Allocator for PoolAllocator<'_> {
    fn allocate(&self, layout: Layout) -> Block {
        self.make(sys::tn_pool_allocate, layout)
    }

    fn allocate_zeroed(&self, layout: Layout) -> Block {
        self.make(sys::tn_pool_allocate_zeroed, layout)
    }

    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        if layout.size() > 0 {
            // SAFETY: a handle; the library refuses an address that is no live block.
            let _ = unsafe { sys::tn_pool_deallocate(self.pool.raw(), start.as_ptr().cast(), ptr::null_mut()) };
        }
    }

    unsafe fn grow(&self, start: NonNull<u8>, old: Layout, new: Layout) -> Block {
        // SAFETY: the caller's promise.
        unsafe { self.resize(start, old, new) }
    }

    unsafe fn shrink(&self, start: NonNull<u8>, old: Layout, new: Layout) -> Block {
        // SAFETY: the caller's promise.
        unsafe { self.resize(start, old, new) }
    }
}
