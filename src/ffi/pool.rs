//! Section "pool": making and choosing them, raw memory, figures.

use crate::boundary::enter;
use crate::device::upstream::NO_UPSTREAM;
use crate::error::Result;
use crate::ffi::convert::{self, Out};
use crate::pool::{self, Pool, PoolOptions, raw};
use crate::transfer;
use crate::types::*;
use core::ffi::{CStr, c_void};

impl convert::VersionedStruct for tn_pool_options {
    const FIRST: usize = size_of::<tn_pool_options>();
    const NAME: &'static str = "tn_pool_options";
    fn defaults() -> tn_pool_options {
        tn_pool_options::default()
    }
}

impl convert::VersionedStruct for tn_pool_stats {
    const FIRST: usize = size_of::<tn_pool_stats>();
    const NAME: &'static str = "tn_pool_stats";
    fn defaults() -> tn_pool_stats {
        tn_pool_stats::default()
    }
}

impl convert::VersionedStruct for tn_upstream {
    const FIRST: usize = size_of::<tn_upstream>();
    const NAME: &'static str = "tn_upstream";
    fn defaults() -> tn_upstream {
        NO_UPSTREAM
    }
}

/// NULL: the thread's current pool of the host.
fn find(pool: *mut tn_pool) -> Result<&'static Pool> {
    raw::of_handle_outside(pool as u64)
}

/// # Safety
/// - NULL or a struct of the `size` in front, whose name is NULL or a NUL-terminated text.
unsafe fn options(from: *const tn_pool_options) -> Result<PoolOptions> {
    // SAFETY: the caller's promise.
    let Some(raw) = (unsafe { convert::sized(from)? }) else { return Ok(PoolOptions::default()) };
    // SAFETY: the caller's promise.
    let name = (!raw.name.is_null()).then(|| unsafe { CStr::from_ptr(raw.name) }.to_bytes());
    PoolOptions::of(&raw, name)
}

fn address<T>(pointer: *const T) -> usize {
    pointer as usize
}

/// Makes a pool of its own on a device. It takes nothing from the device before its first use, unless `initial_size`
/// says so.
///
/// @param device   The device that its memory is on. TN_CUDA_HOST with the host flag TN_HOST_BEST_EFFORT is plain host memory, labelled
///                 TN_CPU, where there is no driver.
/// @param options  NULL: all defaults. Copied.
/// @param[out] out The pool. Released by `tn_pool_release`; its blocks outlive that. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID with the field's name for an option out of range, an unknown flag, a size
///         of 0; TN_ERR_RANGE for a NUMA node that is not there; TN_ERR_DEVICE for a device that does not exist;
///         TN_ERR_UNSUPPORTED for a device or option that this build has no code for; TN_ERR_NO_HOST_MEMORY or
///         TN_ERR_NO_DEVICE_MEMORY if `initial_size` is not to be had; TN_ERR_LIMIT when no more handles can be made.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping, and `initial_size`.
/// @since 0.1
/// @ingroup pool
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_pool_create(
    device: tn_device,
    options: *const tn_pool_options,
    out: *mut *mut tn_pool,
) -> tn_status {
    enter("tn_pool_create", || {
        let out = Out::new(out, "out")?;
        // SAFETY: NULL or a struct of its size, by the function's documentation.
        let options = unsafe { self::options(options)? };
        let id = pool::open(pool::create(device, &options)?)?;
        // SAFETY: writable by the function's documentation.
        unsafe { out.write(convert::handle(id)) };
        Ok(())
    })
}

/// Makes a pool whose memory comes from the caller's callbacks, and goes back to them. Its bookkeeping lies elsewhere, so the memory may
/// be such that the host cannot touch.
///
/// Blocks are cut from what `allocate` gives; a pool asks for what it needs, or for more if `growth_factor` says so (its default here is 1).
/// Each piece goes back with the same address and bytes when all of it is free and the pool is trimmed or released, or earlier if
/// `release_threshold` or `release_delay_ms` say so (their defaults here are: never); at the latest with the last block of a released pool.
/// Then `release` is called.
///
/// Callbacks run under no lock of the library, on any thread that uses the pool, and never two at once unless TN_UPSTREAM_THREAD_SAFE says
/// that they may. In one of them a call of the same pool is TN_ERR_INVALID.
///
/// On memory of TN_CUDA the host clears and copies nothing: there tn_pool_allocate_zeroed works where memory is known to be 0, and
/// tn_pool_reallocate in place, and arrays are TN_ERR_UNSUPPORTED.
///
/// @param device   The device that the memory is said to be on: {TN_CPU, 0}, or any device of another type, with or without a driver.
/// @param upstream The upstream; it is copied, and its callbacks and context are used until `release`.
/// @param options  NULL: all defaults. Copied. `initial_size` is asked from the upstream at once.
/// @param[out] out The pool. Released by `tn_pool_release`; its blocks outlive that. On failure: untouched, `release` is not called, and
///                 what came for `initial_size` went back.
/// @return TN_OK; TN_ERR_NULL, also for `allocate` and `deallocate`; TN_ERR_INVALID with the field's name for what is out of range, an
///         unknown flag, a size of 0; TN_ERR_DEVICE for a device that does not exist; TN_ERR_UNSUPPORTED for options that only the
///         system's own memory can have; TN_ERR_FAILED if the upstream gave wrong memory for `initial_size`; TN_ERR_NO_HOST_MEMORY or
///         TN_ERR_NO_DEVICE_MEMORY if it gave none; TN_ERR_LIMIT when no more handles can be made.
/// @note Threads: any. Blocks: as the callbacks do. Allocates: bookkeeping, and `initial_size`.
/// @since 0.1
/// @ingroup pool
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_pool_import(
    device: tn_device,
    upstream: *const tn_upstream,
    options: *const tn_pool_options,
    out: *mut *mut tn_pool,
) -> tn_status {
    enter("tn_pool_import", || {
        let given = Out::new(upstream.cast_mut(), "upstream")?.pointer();
        let out = Out::new(out, "out")?;
        // SAFETY: a struct of its size, by the function's documentation.
        let upstream = unsafe { convert::sized(given) }.map(|raw| raw.unwrap_or(NO_UPSTREAM));
        convert::callback(&upstream, |upstream| upstream.allocate.is_some(), "upstream.allocate")?;
        convert::callback(&upstream, |upstream| upstream.deallocate.is_some(), "upstream.deallocate")?;
        // SAFETY: NULL or a struct of its size, by the function's documentation.
        let options = unsafe { self::options(options)? };
        let pool = pool::import(device, &upstream?, &options)?;
        let id = pool::open(pool)?;
        pool.accept();
        // SAFETY: writable by the function's documentation.
        unsafe { out.write(convert::handle(id)) };
        Ok(())
    })
}

/// Gives a new handle on the process-wide pool of a device, which is made at the first use and never goes.
///
/// Its options come from `tn_option_set` before the first use.
///
/// @param device   The device whose pool is meant.
/// @param[out] out The handle. Released by `tn_pool_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID if an option that was set is out of range; TN_ERR_DEVICE for a device
///         that does not exist; TN_ERR_UNSUPPORTED for a type that this build has no code for; TN_ERR_NO_HOST_MEMORY;
///         TN_ERR_LIMIT when no more handles can be made.
/// @note Threads: any; those that race get the same pool. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup pool
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_pool_default(device: tn_device, out: *mut *mut tn_pool) -> tn_status {
    enter("tn_pool_default", || {
        let out = Out::new(out, "out")?;
        let id = pool::new_handle(pool::default(device)?)?;
        // SAFETY: writable by the function's documentation.
        unsafe { out.write(convert::handle(id)) };
        Ok(())
    })
}

/// Sets what pool NULL means on this thread, for the pool's device.
///
/// The thread holds the pool until it sets another or ends, also when the caller releases every handle on it.
///
/// @param pool     The pool; NULL: the default pools again, of all devices.
/// @return TN_OK; TN_ERR_STALE, TN_ERR_KIND, and then the current pool stays.
/// @note Threads: any; other threads keep theirs. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup pool
#[unsafe(no_mangle)]
pub extern "C" fn tn_pool_set_current(pool: *mut tn_pool) -> tn_status {
    enter("tn_pool_set_current", || {
        let pool = convert::pool(pool)?;
        pool.map_or(Ok(()), Pool::check_callable)?;
        pool::set_current(pool);
        Ok(())
    })
}

/// Gives a new handle on what pool NULL means on this thread; at first the default pool.
///
/// @param device   The device whose current pool is meant.
/// @param[out] out The handle. Released by `tn_pool_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID if an option of the default pool is out of range; TN_ERR_DEVICE for a
///         device that does not exist; TN_ERR_UNSUPPORTED for a type that this build has no code for;
///         TN_ERR_NO_HOST_MEMORY; TN_ERR_LIMIT when no more handles can be made.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup pool
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_pool_current(device: tn_device, out: *mut *mut tn_pool) -> tn_status {
    enter("tn_pool_current", || {
        let out = Out::new(out, "out")?;
        let id = pool::new_handle(pool::current(device)?)?;
        // SAFETY: writable by the function's documentation.
        unsafe { out.write(convert::handle(id)) };
        Ok(())
    })
}

/// Gives a handle back; it is stale at once. With the last one (and no thread whose current pool it is) cached memory
/// goes back to the device now, live blocks and arrays stay valid, and the rest goes back with the last of them.
///
/// @param pool     The handle.
/// @return TN_OK, also while blocks are live; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND.
/// @note Threads: any; of two that release one handle, one gets TN_ERR_STALE. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup pool
#[unsafe(no_mangle)]
pub extern "C" fn tn_pool_release(pool: *mut tn_pool) -> tn_status {
    enter("tn_pool_release", || pool::close(convert::id(pool, "pool")?))
}

/// Allocates a raw block. Its contents are unspecified.
///
/// @param pool      NULL: the thread's current pool of the host.
/// @param bytes     The least number of bytes; 0 gives a block of its own too. `tn_pool_usable_size` tells how many may be used.
/// @param alignment The alignment of the address in bytes: a power of two up to 4 MiB; 0: the pool's.
/// @param stream    The stream that uses the block first: on a device it may be handed out while other work on that stream still uses it.
///                  NULL on TN_CUDA: the thread's current stream; on memory that the host can touch: the host, now, as a stream constant on
///                  TN_CPU.
/// @param[out] out  The block. Given back by `tn_pool_deallocate` or `tn_pool_reallocate`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an alignment that cannot be; TN_ERR_DEVICE for a stream of
///         another device, or in the child of a process that made a pool of a device;
///         TN_ERR_NO_HOST_MEMORY or TN_ERR_NO_DEVICE_MEMORY when the device has no more, TN_ERR_POOL_LIMIT when
///         `max_size` would be broken, both after cached memory was given back; the text has the figures and the
///         largest named holders; TN_ERR_UNSUPPORTED where a graph is being captured on the stream and nothing fits; TN_ERR_DRIVER.
/// @note Threads: any. Blocks: never. Allocates: the block.
/// @since 0.1
/// @ingroup pool
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_pool_allocate(
    pool: *mut tn_pool,
    bytes: usize,
    alignment: usize,
    stream: *mut tn_stream,
    out: *mut *mut c_void,
) -> tn_status {
    if alignment == 0 {
        // SAFETY: by the function's documentation.
        return unsafe { allocate_as_aligned(pool, bytes, alignment, stream, out) };
    }
    // SAFETY: by the function's documentation.
    if let Some(done) = unsafe { allocate(pool, bytes, alignment, stream, out) } {
        return done;
    }
    // SAFETY: by the function's documentation.
    unsafe { allocate_slow(pool, bytes, alignment, stream, out) }
}

/// A block with the pool's alignment: the same once more, so that neither of the two looks which it is.
///
/// # Safety
/// - NULL or writable, `out`.
#[inline(never)]
unsafe extern "C" fn allocate_as_aligned(
    pool: *mut tn_pool,
    bytes: usize,
    _: usize,
    stream: *mut tn_stream,
    out: *mut *mut c_void,
) -> tn_status {
    // SAFETY: the caller's promise.
    if let Some(done) = unsafe { allocate(pool, bytes, 0, stream, out) } {
        return done;
    }
    // SAFETY: the caller's promise.
    unsafe { allocate_slow(pool, bytes, 0, stream, out) }
}

/// A block the quick way; None, and nothing is changed: that does not do.
///
/// # Safety
/// - NULL or writable, `out`.
#[inline(always)]
unsafe fn allocate(
    pool: *mut tn_pool,
    bytes: usize,
    alignment: usize,
    stream: *mut tn_stream,
    out: *mut *mut c_void,
) -> Option<tn_status> {
    if out.is_null() || !convert::is_now(stream) {
        return None;
    }
    let block = pool::allocate_fast(pool as u64, bytes, alignment)?;
    // SAFETY: not NULL, and writable by the caller's promise.
    unsafe { out.write(block.address() as *mut c_void) };
    Some(block.finish(TN_OK))
}

/// What the quick way does not do. Of C's kind, which never unwinds: so it can be jumped to.
///
/// # Safety
/// - NULL or writable, `out`.
#[cold]
#[inline(never)]
unsafe extern "C" fn allocate_slow(
    pool: *mut tn_pool,
    bytes: usize,
    alignment: usize,
    stream: *mut tn_stream,
    out: *mut *mut c_void,
) -> tn_status {
    enter("tn_pool_allocate", || {
        let out = Out::new(out, "out")?;
        let block = raw::allocate_slow(pool as u64, bytes, alignment, stream as u64)?;
        // SAFETY: writable by the caller's promise.
        unsafe { out.write(block.as_ptr().cast()) };
        Ok(())
    })
}

/// Allocates a raw block whose first `bytes` bytes are 0. Memory that is fresh from the system is not cleared again; from 32 MiB on neither
/// is what was handed out before and never written.
///
/// @param pool      NULL: the thread's current pool of the host.
/// @param bytes     The least number of bytes; 0 gives a block of its own too.
/// @param alignment The alignment of the address in bytes: a power of two up to 4 MiB; 0: the pool's.
/// @param stream    The stream that uses the block first: on a device it may be handed out while other work on that stream still uses it.
///                  NULL on TN_CUDA: the thread's current stream; on memory that the host can touch: the host, now, as a stream constant on
///                  TN_CPU.
/// @param[out] out  The block. Given back by `tn_pool_deallocate` or `tn_pool_reallocate`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an alignment that cannot be; TN_ERR_DEVICE for a stream of
///         another device, or in the child of a process that made a pool of a device;
///         TN_ERR_NO_HOST_MEMORY or TN_ERR_NO_DEVICE_MEMORY when the device has no more, TN_ERR_POOL_LIMIT when
///         `max_size` would be broken, both after cached memory was given back; the text has the figures and the
///         largest named holders; TN_ERR_UNSUPPORTED where a graph is being captured on the stream and nothing fits; TN_ERR_DRIVER.
/// @note Threads: any. Blocks: never. Allocates: the block.
/// @since 0.1
/// @ingroup pool
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_pool_allocate_zeroed(
    pool: *mut tn_pool,
    bytes: usize,
    alignment: usize,
    stream: *mut tn_stream,
    out: *mut *mut c_void,
) -> tn_status {
    enter("tn_pool_allocate_zeroed", || {
        let out = Out::new(out, "out")?;
        let block = raw::allocate_zeroed(pool as u64, bytes, alignment, stream as u64)?;
        // SAFETY: writable by the function's documentation.
        unsafe { out.write(block.as_ptr().cast()) };
        Ok(())
    })
}

/// Changes the size of a raw block: in place where there is room, else its pages are moved or its bytes copied.
///
/// The first min(old, new) bytes and the alignment asked for at first are kept. Counts as a reallocation; with `ptr`
/// NULL as an allocation, with 0 bytes as a deallocation.
///
/// @param pool     The block's pool. NULL: the pool that has the block; without a block the thread's current pool of the host.
/// @param ptr      A live raw block; its address is not valid any more if `*out` differs. NULL: a new block with the pool's alignment.
/// @param bytes    The new size; 0: the block is given back and `*out` becomes NULL.
/// @param stream   The stream on which a device copies and the old block is given back. NULL and the constants: as for `tn_pool_allocate`.
/// @param[out] out The block. Given back by `tn_pool_deallocate`. On failure: untouched, and the old block is live and unchanged.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_STALE for a handle or a block that was given back, TN_ERR_KIND; TN_ERR_INVALID
///         for an address inside a block; TN_ERR_SHARED for a block that backs an array; TN_ERR_FOREIGN for a block of
///         another pool or of none; TN_ERR_DEVICE for a stream of another device; TN_ERR_NO_HOST_MEMORY, TN_ERR_NO_DEVICE_MEMORY,
///         TN_ERR_POOL_LIMIT, TN_ERR_DRIVER.
/// @note Threads: any, but nobody may use the block during the call. Blocks: never. Allocates: the new block.
/// @since 0.1
/// @ingroup pool
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_pool_reallocate(
    pool: *mut tn_pool,
    ptr: *mut c_void,
    bytes: usize,
    stream: *mut tn_stream,
    out: *mut *mut c_void,
) -> tn_status {
    if !out.is_null()
        && convert::is_now(stream)
        && let Some(block) = pool::reallocate_fast(pool as u64, address(ptr), bytes)
    {
        // SAFETY: not NULL, and writable by the function's documentation.
        unsafe { out.write(block as *mut c_void) };
        return TN_OK;
    }
    // SAFETY: by the function's documentation.
    unsafe { reallocate_slow(pool, ptr, bytes, stream, out) }
}

/// As `allocate_slow`.
///
/// # Safety
/// - NULL or writable, `out`.
#[cold]
#[inline(never)]
unsafe extern "C" fn reallocate_slow(
    pool: *mut tn_pool,
    ptr: *mut c_void,
    bytes: usize,
    stream: *mut tn_stream,
    out: *mut *mut c_void,
) -> tn_status {
    enter("tn_pool_reallocate", || {
        let out = Out::new(out, "out")?;
        let block = raw::reallocate_slow(pool as u64, address(ptr), bytes, stream as u64)?;
        // SAFETY: writable by the caller's promise.
        unsafe { out.write(block.map_or(core::ptr::null_mut(), |block| block.as_ptr().cast())) };
        Ok(())
    })
}

/// Gives a raw block back. A wrong address is a status and changes nothing; it is never read.
///
/// @param pool     The block's pool; NULL: whichever pool has the address.
/// @param ptr      The block. NULL: nothing happens.
/// @param stream   The stream whose work so far may still use the block: it can be handed out there at once, and elsewhere when that work
///                 is done. NULL and the constants: as for `tn_pool_allocate`. Asks no driver.
/// @return TN_OK; TN_ERR_STALE for a handle or a block that was given back, TN_ERR_KIND; TN_ERR_INVALID for an address
///         inside a block, the text has its start; TN_ERR_SHARED for a block that backs an array; TN_ERR_FOREIGN for a
///         block of another pool, or an address in no block at all; TN_ERR_NO_HOST_MEMORY where neither the stream's work can be
///         noted nor waited for: then the block stays live.
/// @note Threads: any; of two that give one block back, one gets TN_ERR_STALE. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup pool
#[unsafe(no_mangle)]
pub extern "C" fn tn_pool_deallocate(pool: *mut tn_pool, ptr: *mut c_void, stream: *mut tn_stream) -> tn_status {
    if convert::is_now(stream) {
        return pool::deallocate_fast::<Deallocate>(pool as u64, address(ptr), stream as u64);
    }
    deallocate_slow(pool as u64, address(ptr), stream as u64)
}

/// Notes that a raw block is used on a stream too, besides the one that it is given back on: nobody gets its bytes before what was queued
/// there up to the moment when it is given back is done. Uses on any number of streams add up.
///
/// @param pool     The block's pool; NULL: whichever pool has the address.
/// @param ptr      The block.
/// @param stream   The stream. NULL and the constants: as for `tn_pool_allocate`, so NULL on memory that the host can touch notes nothing.
/// @return TN_OK; TN_ERR_STALE for a handle or a block that was given back, TN_ERR_KIND; TN_ERR_INVALID for an address inside a block;
///         TN_ERR_SHARED for a block that backs an array; TN_ERR_FOREIGN for a block of another pool, or an address in no block at all;
///         TN_ERR_DEVICE for a stream of another device; TN_ERR_NO_HOST_MEMORY.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only. Asks no driver.
/// @since 0.1
/// @ingroup pool
#[unsafe(no_mangle)]
pub extern "C" fn tn_pool_record_use(pool: *mut tn_pool, ptr: *mut c_void, stream: *mut tn_stream) -> tn_status {
    enter("tn_pool_record_use", || raw::record_use(pool as u64, address(ptr), stream as u64))
}

/// `tn_pool_deallocate`.
struct Deallocate;

impl pool::Deallocate for Deallocate {
    type Status = tn_status;
    const DONE: tn_status = TN_OK;

    #[inline(always)]
    extern "C" fn slow(pool: u64, address: usize, stream: u64) -> tn_status {
        deallocate_slow(pool, address, stream)
    }
}

/// What the quick way does not do. Of C's kind, which never unwinds: so it can be jumped to.
#[cold]
#[inline(never)]
extern "C" fn deallocate_slow(pool: u64, address: usize, stream: u64) -> tn_status {
    enter("tn_pool_deallocate", || raw::deallocate_slow(pool, address, stream))
}

/// Gives a new handle on the pool whose live block, raw or an array's, contains an address. Reads nothing there.
///
/// @param ptr      Any address.
/// @param[out] out The handle. Released by `tn_pool_release`. If the pool was released, it still answers and hands out nothing. On failure:
///                 untouched.
/// @return TN_OK; TN_ERR_NULL for `out`; TN_ERR_FOREIGN for an address in no live block; TN_ERR_NO_HOST_MEMORY,
///         TN_ERR_LIMIT when no more handles can be made.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup pool
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_pool_of(ptr: *const c_void, out: *mut *mut tn_pool) -> tn_status {
    enter("tn_pool_of", || {
        let out = Out::new(out, "out")?;
        let id = pool::open(pool::of(address(ptr))?)?;
        // SAFETY: writable by the function's documentation.
        unsafe { out.write(convert::handle(id)) };
        Ok(())
    })
}

/// Tells how many bytes of a live block may be used: at least as many as were asked for.
///
/// @param ptr      The start of a live block, raw or an array's.
/// @param[out] out The number. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL for `out`; TN_ERR_STALE for a block that was given back; TN_ERR_INVALID for an address
///         inside a block; TN_ERR_FOREIGN for an address in no block, NULL too.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup pool
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_pool_usable_size(ptr: *const c_void, out: *mut usize) -> tn_status {
    enter("tn_pool_usable_size", || {
        let out = Out::new(out, "out")?;
        let usable = pool::usable_size(address(ptr))?;
        // SAFETY: writable by the function's documentation.
        unsafe { out.write(usable) };
        Ok(())
    })
}

/// Tells what a pool holds and did, all of one moment.
///
/// reserved_bytes = in_use_bytes + cached_bytes + pending_bytes + overhead_bytes, in every answer.
///
/// @param pool     NULL: the thread's current pool of the host.
/// @param[out] stats The struct to fill; its `size` is set by the caller; as much as fits is filled in. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL for `stats`; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a size of 0.
/// @note Threads: any. Blocks: never. Allocates: nothing; no device call.
/// @since 0.1
/// @ingroup pool
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_pool_query(pool: *mut tn_pool, stats: *mut tn_pool_stats) -> tn_status {
    enter("tn_pool_query", || {
        // SAFETY: a struct that starts with its size, by the function's documentation.
        let out = unsafe { convert::fill(stats, "stats")? };
        let pool = find(pool)?;
        // SAFETY: writable up to its size, by the function's documentation.
        unsafe { out?.write(&pool.query(), size_of::<tn_pool_stats>()) };
        Ok(())
    })
}

/// Lets the peaks start again at the current values; counts stay.
///
/// @param pool     NULL: the thread's current pool of the host.
/// @return TN_OK; TN_ERR_STALE, TN_ERR_KIND.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup pool
#[unsafe(no_mangle)]
pub extern "C" fn tn_pool_reset_peak(pool: *mut tn_pool) -> tn_status {
    enter("tn_pool_reset_peak", || {
        find(pool)?.reset_peak();
        Ok(())
    })
}

/// Gives cached memory back to the device, longest unused first, until at most `keep_bytes` are cached or nothing whole
/// is left. Live blocks stay where they are, and so does what `initial_size` committed. If more stays cached, between live small blocks, its
/// pages go back all the same; they count as committed and cached still.
///
/// @param pool     NULL: the thread's current pool of the host.
/// @param keep_bytes The number of cached bytes that may stay.
/// @param[out] released_bytes Optional: the number of bytes by which reserved_bytes fell. On failure: untouched.
/// @return TN_OK; TN_ERR_STALE, TN_ERR_KIND.
/// @note Threads: any; others go on using the pool meanwhile. Blocks: while the system takes the memory. Allocates:
///         nothing.
/// @since 0.1
/// @ingroup pool
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_pool_trim(pool: *mut tn_pool, keep_bytes: usize, released_bytes: *mut usize) -> tn_status {
    enter("tn_pool_trim", || {
        let released = transfer::trim(find(pool)?, keep_bytes)?;
        // SAFETY: NULL or writable, by the function's documentation.
        unsafe { convert::write_opt(released_bytes, released) };
        Ok(())
    })
}

/// Lists the size classes of a pool's blocks that were ever used. The sums of live_blocks, allocation_count and hit_count are those of
/// `tn_pool_query`.
///
/// @param pool         NULL: the thread's current pool of the host.
/// @param item_size    The size of an item in the caller's program: sizeof(tn_pool_class_stats).
/// @param capacity     The number of items at classes.
/// @param[out] classes The first `capacity` of them: large blocks first, with block_bytes 0, then the others by size; NULL only with
///                     capacity 0.
/// @param[out] n_classes The number of classes in all.
/// @return TN_OK, also where not all fit; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an item_size that is too small.
/// @note Threads: any; while others use the pool, each span is of some moment of the call. Blocks: never. Allocates: nothing. It looks at
///       each block of the pool.
/// @since 0.1
/// @ingroup pool
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_pool_query_classes(
    pool: *mut tn_pool,
    item_size: usize,
    capacity: usize,
    classes: *mut tn_pool_class_stats,
    n_classes: *mut usize,
) -> tn_status {
    enter("tn_pool_query_classes", || {
        let list = convert::list(item_size, capacity, classes, "classes")?;
        let n_classes = Out::new(n_classes, "n_classes")?;
        let pool = find(pool)?;
        let mut list = list?;
        // SAFETY: `capacity` items, by this function's documentation.
        pool.each_class(|class| unsafe { list.add(class) });
        // SAFETY: writable by this function's documentation.
        unsafe { n_classes.write(list.count()) };
        Ok(())
    })
}

/// Lists who holds and did what in a pool: arrays, raw blocks, and each library that allocates from it. The sum of live_bytes is the pool's
/// in_use_bytes.
///
/// @param pool         NULL: the thread's current pool of the host.
/// @param item_size    The size of an item in the caller's program: sizeof(tn_pool_client).
/// @param capacity     The number of items at clients.
/// @param[out] clients The first `capacity` of them, those that ever asked for something, by TN_CLIENT_; NULL only with capacity 0.
/// @param[out] n_clients The number of clients in all.
/// @return TN_OK, also where not all fit; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an item_size that is too small.
/// @note Threads: any; all of one moment. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup pool
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_pool_query_clients(
    pool: *mut tn_pool,
    item_size: usize,
    capacity: usize,
    clients: *mut tn_pool_client,
    n_clients: *mut usize,
) -> tn_status {
    enter("tn_pool_query_clients", || {
        let list = convert::list(item_size, capacity, clients, "clients")?;
        let n_clients = Out::new(n_clients, "n_clients")?;
        let pool = find(pool)?;
        let mut list = list?;
        // SAFETY: `capacity` items, by this function's documentation.
        pool.each_client(|client| unsafe { list.add(&client) });
        // SAFETY: writable by this function's documentation.
        unsafe { n_clients.write(list.count()) };
        Ok(())
    })
}

/// Registers a callback for when the pool runs out of memory: after what it and the device's other pools had cached was given back, and
/// before the request fails. All that are registered are called in order until the request succeeds, each at most once for a request.
///
/// @param pool     NULL: the thread's current pool of the host.
/// @param callback The callback; it gives the number of bytes that it thinks it freed; 0: the next one is called without another try.
/// @param context  The argument of callback and release.
/// @param release  Optional: it is called once when the registration ended: by `tn_pool_off_pressure` or with the pool, and nobody is in
///                 the callback any more. On failure: not called.
/// @return TN_OK; TN_ERR_NULL for `callback`; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DUPLICATE for the same callback and context;
///         TN_ERR_NO_HOST_MEMORY.
/// @note Threads: any; the callback runs on the thread that is short of memory, under no lock. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup pool
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_pool_on_pressure(
    pool: *mut tn_pool,
    callback: tn_pressure_callback,
    context: *mut c_void,
    release: tn_release_callback,
) -> tn_status {
    enter("tn_pool_on_pressure", || {
        let callback = callback.ok_or_else(|| convert::null("callback"))?;
        find(pool)?.on_pressure(callback, context, release)
    })
}

/// Ends a registration. A callback that is running goes on; it is not called again.
///
/// @param pool     NULL: the thread's current pool of the host.
/// @param callback The callback of the registration.
/// @param context  The context of the registration.
/// @return TN_OK; TN_ERR_NULL for `callback`; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_RANGE if the two are not registered.
/// @note Threads: any, the callback itself too. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup pool
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_pool_off_pressure(
    pool: *mut tn_pool,
    callback: tn_pressure_callback,
    context: *mut c_void,
) -> tn_status {
    enter("tn_pool_off_pressure", || {
        let callback = callback.ok_or_else(|| convert::null("callback"))?;
        find(pool)?.off_pressure(callback, context)
    })
}
