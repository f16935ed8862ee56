//! The slow paths of the C functions on raw blocks.
//!
//! Contract: finds the pool of the handle, or of the block if the handle is NULL; then the stream; then does the work.
//! Called by `ffi` on any thread.

use crate::error::Result;
use crate::pool::client::Client;
use crate::pool::span::{Span, table};
use crate::pool::{Pool, current, handle, requests, stream_ordered, thread_heap};
use crate::slots::Id;
use crate::stream::StreamArg;
use crate::thread;
use crate::types::*;
use core::ptr::NonNull;

const HOST: tn_device = tn_device { r#type: TN_CPU, id: 0 };

/// The pool of a handle; None for NULL.
fn given(pool: u64) -> Result<Option<&'static Pool>> {
    if pool == 0 { Ok(None) } else { handle::of_handle(Id::from_bits(pool)).map(Some) }
}

/// The pool of a handle; for NULL the thread's current pool of the host.
pub fn of_handle_or_current(pool: u64) -> Result<&'static Pool> {
    match given(pool)? {
        Some(pool) => Ok(pool),
        None => current::current(HOST),
    }
}

/// As [`of_handle_or_current`], for functions off the hot path. TN_ERR_INVALID in a callback of the pool's own
/// upstream.
pub fn of_handle_outside(pool: u64) -> Result<&'static Pool> {
    let pool = of_handle_or_current(pool)?;
    pool.check_callable()?;
    Ok(pool)
}

/// The pool of a handle. For NULL: the pool that owns the block, or the current pool if none does.
fn of_handle_or_owner(pool: u64, address: usize) -> Result<&'static Pool> {
    let owner = || if address == 0 { None } else { table::find(address).and_then(Span::pool) };
    match given(pool)?.or_else(owner) {
        // A block of a private pool may be passed with the pool that it serves.
        Some(pool) => Ok(owner().filter(|owner| owner.serves(pool)).unwrap_or(pool)),
        None => current::current(HOST),
    }
}

/// The handle to cache for the thread's later calls; None for NULL.
fn handle_of(pool: u64) -> Option<Id> {
    (pool != 0).then(|| Id::from_bits(pool))
}

/// Slow path of `tn_pool_allocate`.
pub fn allocate_slow(pool: u64, bytes: usize, alignment: usize, stream: u64) -> Result<NonNull<u8>> {
    let fast = || thread_heap::allocate_cached(pool, bytes, alignment);
    if let Some(block) = StreamArg::is_now(stream).then(fast).flatten().and_then(|block| NonNull::new(block as *mut u8))
    {
        return Ok(block);
    }
    let found = of_handle_or_current(pool)?;
    let block = allocate_on(found, bytes, alignment, false, stream)?;
    handle::remember(handle_of(pool), found);
    Ok(block)
}

/// Allocates a raw block whose bytes are 0.
pub fn allocate_zeroed(pool: u64, bytes: usize, alignment: usize, stream: u64) -> Result<NonNull<u8>> {
    allocate_on(of_handle_or_current(pool)?, bytes, alignment, true, stream)
}

fn allocate_on(pool: &'static Pool, bytes: usize, alignment: usize, zeroed: bool, stream: u64) -> Result<NonNull<u8>> {
    let stream = StreamArg::of(stream)?;
    let stream = stream.on(pool.stream_device())?;
    pool.serving(stream).allocate_raw_on(Client::RAW, stream, bytes, alignment, zeroed, thread::current().stamp())
}

/// Slow path of `tn_pool_reallocate`. None for 0 bytes.
pub fn reallocate_slow(pool: u64, address: usize, bytes: usize, stream: u64) -> Result<Option<NonNull<u8>>> {
    let found = of_handle_or_owner(pool, address)?;
    let stream = StreamArg::of(stream)?;
    let stream = stream.on(found.stream_device())?;
    let block = found.reallocate_on(stream, address, bytes, thread::current().stamp())?;
    handle::remember(handle_of(pool), found);
    Ok(block)
}

/// Slow path of `tn_pool_deallocate`.
pub fn deallocate_slow(pool: u64, address: usize, stream: u64) -> Result<()> {
    if pool == 0 && StreamArg::is_now(stream) && thread_heap::deallocate_anywhere(address) {
        return Ok(());
    }
    let through = given(pool)?;
    let stream = StreamArg::of(stream)?;
    requests::deallocate_on(Client::RAW, through, address, None, |device| stream.on(device))?;
    if let Some(through) = through {
        handle::remember(handle_of(pool), through);
    }
    Ok(())
}

/// Records that a stream uses a raw block.
pub fn record_use(pool: u64, address: usize, stream: u64) -> Result<()> {
    let through = given(pool)?;
    let stream = StreamArg::of(stream)?;
    stream_ordered::record_use_on(Client::RAW, through, address, |device| stream.on(device))
}

/// Lets a private pool serve a pool's requests on a stream.
pub fn private_begin(pool: Id, private: Id, stream: u64) -> Result<()> {
    let (pool, private) = (handle::of_handle(pool)?, handle::of_handle(private)?);
    let stream = StreamArg::of(stream)?;
    pool.private_begin(private, stream.on(pool.stream_device())?)
}

/// Ends it.
pub fn private_end(pool: Id, stream: u64) -> Result<()> {
    let pool = handle::of_handle(pool)?;
    let stream = StreamArg::of(stream)?;
    pool.private_end(stream.on(pool.stream_device())?)
}
