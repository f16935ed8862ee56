//! Plug-ins: what other libraries and languages allocate with, in the signatures that they ask for.
//!
//! | client | door | given back through |
//! |---|---|---|
//! | NumPy (NEP 49) | [`numpy`]: a handler struct per pool | the same struct |
//! | C++ containers | [`cpp`]: allocate and deallocate by pool handle | the pool's handle, or the address alone |
//! | UMF | [`umf`]: tables of operations of a pool over UMF's providers, and of a provider over a pool | the same |
//! | Rust programs | [`rust`]: a global allocator over the host's default pool | the same |
//!
//! Contract: callable from any thread, also as the first and the last call of a process, in its exit handlers and in the
//! child of a fork; calls nothing foreign, holds no lock when it returns, and makes no call to Rust's heap. A failure is
//! the failure value of the signature, with the text in `tn_last_error`; a wrong free is counted for its client and
//! changes nothing (AL-4). From the first plug-in on the library stays loaded (AL-10).

pub mod cpp;

pub mod numpy;

pub mod rust;

pub mod umf;

use crate::array::HOST;
use crate::error::{Result, fail};
use crate::pool::{self, Client, Pool};
use crate::thread;
use crate::types::*;
use core::ptr::NonNull;

/// A pool as a plug-in keeps it: which one, and that it is still this one. Type-stable pools make the reference safe
/// when the pool is over; the serial tells whether it is.
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

    /// Whether it is this pool.
    fn is(&self, pool: &'static Pool) -> bool {
        self.pool().is_some_and(|own| core::ptr::eq(own, pool))
    }

    /// The pool; TN_ERR_STALE when it is over.
    fn live(&self) -> Result<&'static Pool> {
        self.pool().ok_or_else(|| fail(TN_ERR_STALE, format_args!("the pool was released, and no block of it is live")))
    }

    /// The pool, if it is not over.
    fn pool(&self) -> Option<&'static Pool> {
        (self.pool.serial() == self.serial).then_some(self.pool)
    }

    /// TN_ERR_STALE when the pool was released (AL-2).
    fn allocate(&self, bytes: usize, alignment: usize, zeroed: bool) -> Result<NonNull<u8>> {
        let Some(pool) = self.pool() else {
            return Err(fail(TN_ERR_STALE, format_args!("the pool was released and hands out nothing any more")));
        };
        // Where the thread is means its last call of ours, and these calls come from elsewhere: no site.
        pool.allocate_for(self.client, bytes, alignment, zeroed, thread::stamp(thread::current().number(), 0))
    }

    fn reallocate(&self, address: usize, bytes: usize) -> Result<NonNull<u8>> {
        match self.pool() {
            Some(pool) => pool.reallocate_for(self.client, address, bytes.max(1)),
            None => Err(self.over(address)),
        }
    }

    fn deallocate(&self, address: usize, bytes: Option<usize>) -> Result<()> {
        match self.pool() {
            Some(pool) => pool::deallocate_for(self.client, Some(pool), address, bytes),
            None => Err(self.over(address)),
        }
    }

    /// A block is given back of a pool that is over: all of its blocks came back before.
    #[cold]
    fn over(&self, address: usize) -> crate::error::Status {
        fail(TN_ERR_STALE, format_args!("the block at {address:#x} was already given back, and its pool is over"))
    }
}

/// The pool of a plug-in call without one: the host's default pool, not the thread's current one (AL-2).
fn host() -> Result<&'static Pool> {
    pool::default(HOST)
}
