//! Plug-ins: allocators for other libraries and languages, with the signatures that these require.
//!
//! | client | entry point | freed through |
//! |---|---|---|
//! | NumPy (NEP 49) | [`numpy`]: a handler struct per pool | the handler |
//! | C++ containers | [`cpp`]: allocate and deallocate by pool handle | the pool's handle, or the address alone |
//! | UMF | [`umf`]: tables of operations of a pool over UMF's providers, and of a provider over a pool | the handle that UMF passes |
//! | PyTorch, CuPy, Numba, RMM | [`gpu`]: allocate and deallocate on a GPU, in the order of a stream | the pool's handle, or the address alone |
//! | Rust programs | [`rust`]: a global allocator over the host's default pool | the allocator |
//!
//! Contract: any thread may call a plug-in at any time. This includes the first and the last call of a process, exit
//! handlers, and the child of a fork. A plug-in calls no foreign code, holds no lock when it returns, and does not use
//! Rust's heap. A failed call returns the failure value of its signature, with the text in `tn_last_error`. An invalid
//! free is counted for its client and changes nothing (AL-4). Once a plug-in is used, the library stays loaded (AL-10).

pub mod cpp;

pub mod gpu;

pub mod numpy;

pub mod rust;

pub mod umf;

use crate::array::HOST;
use crate::error::{Result, fail};
use crate::pool::{self, Client, Pool};
use crate::slots::Id;
use crate::thread;
use crate::types::*;
use core::ptr::NonNull;

/// A plug-in's reference to a pool. Pool records are never unmapped, so the reference stays valid after the pool has
/// ended. The serial number tells whether the record is still this pool's.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pool: &'static Pool,
    serial: u64,
    client: Client,
}

impl Target {
    fn new(pool: &'static Pool, client: Client) -> Target {
        Target { pool, serial: pool.serial(), client }
    }

    /// Whether the reference is to this pool.
    fn is(&self, pool: &'static Pool) -> bool {
        self.pool().is_some_and(|own| core::ptr::eq(own, pool))
    }

    /// The pool. TN_ERR_STALE: it has ended.
    fn live(&self) -> Result<&'static Pool> {
        self.pool().ok_or_else(|| fail(TN_ERR_STALE, format_args!("the pool was released, and no block of it is live")))
    }

    /// The pool. None: it has ended.
    fn pool(&self) -> Option<&'static Pool> {
        (self.pool.serial() == self.serial).then_some(self.pool)
    }

    /// Allocates a block. TN_ERR_STALE: the pool was released (AL-2).
    fn allocate(&self, bytes: usize, alignment: usize, zeroed: bool) -> Result<NonNull<u8>> {
        let Some(pool) = self.pool() else {
            return Err(fail(TN_ERR_STALE, format_args!("the pool was released and allocates no more blocks")));
        };
        // No call site: the thread's recorded site belongs to its last call of this library, not to this allocation.
        pool.allocate_for(self.client, bytes, alignment, zeroed, thread::stamp(thread::current().number(), 0))
    }

    fn reallocate(&self, address: usize, bytes: usize) -> Result<NonNull<u8>> {
        match self.pool() {
            Some(pool) => pool.reallocate_for(self.client, address, bytes.max(1)),
            None => Err(self.freed_already(address)),
        }
    }

    fn deallocate(&self, address: usize, bytes: Option<usize>) -> Result<()> {
        match self.pool() {
            Some(pool) => pool::deallocate_for(self.client, Some(pool), address, bytes),
            None => Err(self.freed_already(address)),
        }
    }

    /// The error for a block of a pool that has ended. A pool ends only after all its blocks were freed, so this free
    /// is the second one.
    #[cold]
    fn freed_already(&self, address: usize) -> crate::error::Status {
        fail(TN_ERR_STALE, format_args!("the block at {address:#x} was freed already, and its pool has ended"))
    }
}

/// The pool that a free names by its handle. None for 0 and for a handle that was released: then the block's owner is
/// found by its address.
fn of_free(handle: u64) -> Result<Option<&'static Pool>> {
    if handle == 0 {
        return Ok(None);
    }
    match pool::of_handle(Id::from_bits(handle)) {
        Err(status) if status.code() == TN_ERR_STALE => Ok(None),
        found => found.map(Some),
    }
}

/// The pool of a plug-in call that names none: the host's initial default pool, which never ends, not the thread's
/// current one (AL-2).
fn host() -> Result<&'static Pool> {
    pool::initial(HOST)
}
