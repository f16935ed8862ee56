//! Allocation for C++ containers: `tenure::memory_resource` and `tenure::allocator` of tenure_memory.hpp call these two
//! functions.
//!
//! Contract: a block records the thread's call site (TN_HERE). A released handle allocates nothing, but it still frees
//! blocks by their address.
#![forbid(unsafe_code)]

use crate::error::Result;
use crate::pool::{self, Client, Pool};
use crate::{sys::os, thread};
use core::ptr::NonNull;

/// The least alignment of a block: that of C++'s operator new.
const ALIGNMENT_BYTES: usize = 16;

/// Allocates a block from a pool. None: from the host's default pool.
pub fn allocate(pool: Option<&'static Pool>, bytes: usize, alignment: usize) -> Result<NonNull<u8>> {
    let pool = match pool {
        Some(pool) => pool,
        None => super::host()?,
    };
    os::pin_library();
    let thread = thread::current();
    pool.allocate_for(Client::CPP, bytes, alignment.max(ALIGNMENT_BYTES), false, thread.stamp())
}

/// Frees a block. `handle`: the bits of the handle that it was allocated through; 0: the block's owner is found by its
/// address.
pub fn deallocate(handle: u64, address: usize) -> Result<()> {
    pool::deallocate_for(Client::CPP, super::of_free(handle)?, address, None)
}
