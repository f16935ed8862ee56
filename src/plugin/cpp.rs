//! C++ containers: `tenure::memory_resource` and `tenure::allocator` of tenure_memory.hpp are made of these two.
//!
//! Contract: blocks remember where the thread was (TN_HERE). A handle that was released hands out nothing; blocks are
//! given back through it all the same, by their address.
#![forbid(unsafe_code)]

use crate::error::Result;
use crate::pool::{self, Client, Pool};
use crate::slots::Id;
use crate::types::*;
use crate::{sys::os, thread};
use core::ptr::NonNull;

/// Alignment below which none is given: that of C++'s operator new.
const ALIGNMENT: usize = 16;

/// A block of the pool; None: of the host's default pool.
pub fn allocate(pool: Option<&'static Pool>, bytes: usize, alignment: usize) -> Result<NonNull<u8>> {
    let pool = match pool {
        Some(pool) => pool,
        None => super::host()?,
    };
    os::pin_library();
    let thread = thread::current();
    pool.allocate_for(Client::CPP, bytes, alignment.max(ALIGNMENT), false, thread.stamp())
}

/// Gives a block back. `pool`: the bits of the handle that it came from; 0: of whichever pool has it.
pub fn deallocate(handle: u64, address: usize) -> Result<()> {
    let through = match handle {
        0 => None,
        bits => match pool::of_handle(Id::from_bits(bits)) {
            Ok(pool) => Some(pool),
            Err(status) if status.code() == TN_ERR_STALE => None,
            Err(status) => return Err(status),
        },
    };
    pool::deallocate_for(Client::CPP, through, address, None)
}
