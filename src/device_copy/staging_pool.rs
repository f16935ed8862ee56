//! Page-locked blocks for small staged copies, from a pool of the library for each GPU.
//!
//! A block goes back to its pool in the order of the stream that reads it, so a copy waits for no block: while all
//! blocks are in use, the pool grows. Copies whose streams stand still would make it grow without bound. Once
//! [`MAX_PENDING_BYTES`] are in use, a copy first waits for its own stream.
//!
//! Contract: no copy waits for a stream other than its own. Called under no lock.

use crate::error::{Result, quietly};
use crate::gpu::{GPUS, Gpu};
use crate::names::Name;
use crate::pool::{self, Client, Pool, PoolOptions};
use crate::stream::{Point, Stream};
use crate::types::*;
use core::sync::atomic::{AtomicPtr, Ordering};

/// The most bytes that streams use at a time before copies wait for their own stream.
const MAX_PENDING_BYTES: u64 = 32 << 20;

/// By GPU. A pool is made at its first use and never ends.
static POOLS: [AtomicPtr<Pool>; GPUS] = [const { AtomicPtr::new(core::ptr::null_mut()) }; GPUS];

/// The pool of a GPU, if it was made.
fn existing(gpu: &'static Gpu) -> Option<&'static Pool> {
    // SAFETY: NULL, or a pool, and those are never unmapped. Acquire pairs with the AcqRel in `pool_of`.
    unsafe { POOLS[gpu.id() as usize].load(Ordering::Acquire).as_ref() }
}

/// The pool of a GPU, made by the first call.
fn pool_of(gpu: &'static Gpu) -> Result<&'static Pool> {
    if let Some(pool) = existing(gpu) {
        return Ok(pool);
    }
    let pool = create(gpu)?;
    let this = core::ptr::from_ref(pool).cast_mut();
    // AcqRel: a thread that finds the pool sees its fields.
    match POOLS[gpu.id() as usize].compare_exchange(core::ptr::null_mut(), this, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => Ok(pool),
        Err(first) => {
            pool.drop_ref();
            // SAFETY: set by the thread that was first.
            Ok(unsafe { &*first })
        }
    }
}

/// Makes a pool near a GPU, or without a preference where the system allows none.
fn create(gpu: &'static Gpu) -> Result<&'static Pool> {
    let options = PoolOptions { name: Name::head("staging"), host_flags: TN_HOST_PORTABLE, ..PoolOptions::default() };
    let host = tn_device { r#type: TN_CUDA_HOST, id: 0 };
    let near = gpu.numa_node().map(|node| PoolOptions { numa_node: node as i32 + 1, ..options });
    near.and_then(|near| pool::create(host, &near).ok()).map_or_else(|| pool::create(host, &options), Ok)
}

/// A block of page-locked memory that one copy has.
pub struct Piece {
    pool: &'static Pool,
    address: usize,
}

impl Piece {
    /// Takes a block that no stream uses, for a copy on `stream`. Fails if no page-locked memory can be had.
    pub fn take(stream: &'static Stream, bytes: usize) -> Result<Piece> {
        let pool = pool_of(stream.gpu())?;
        if pool.pending_bytes() > MAX_PENDING_BYTES {
            stream.now().outlast();
        }
        let address = pool.allocate_raw_on(Client::RAW, None, bytes, 0, false, 0)?.as_ptr() as usize;
        Ok(Piece { pool, address })
    }

    /// The address of the first byte.
    pub fn address(&self) -> usize {
        self.address
    }

    /// Gives the block back. The pool reuses it once `after` has passed; None: at once.
    pub fn give_back(self, after: Option<Point>) {
        let free = |stream| pool::deallocate_on(Client::RAW, Some(self.pool), self.address, None, |_| Ok(stream));
        let freed = quietly(|| free(after.map(Point::stream)));
        // Without memory to record the use, the block is given back once it has ended.
        if freed.is_err() && after.is_some_and(Point::outlast) {
            let freed = quietly(|| free(None));
            debug_assert!(freed.is_ok(), "the block belongs to this copy alone");
        }
    }
}

/// Frees the blocks of a GPU that neither copies nor devices use.
pub fn trim(gpu: &'static Gpu) {
    if let Some(pool) = existing(gpu) {
        pool.trim(0);
    }
}
