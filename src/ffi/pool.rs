//! Section "pool": creating and choosing pools, raw memory, statistics.

use crate::boundary::enter;
use crate::device::upstream::NO_UPSTREAM;
use crate::error::Result;
use crate::ffi::convert::{self, Out};
#[cfg(feature = "managed")]
use crate::function;
use crate::pool::{self, Pool, PoolOptions, raw};
use crate::stream::StreamArg;
use crate::transfer;
use crate::types::*;
use core::ffi::{CStr, c_void};
use core::ptr::{NonNull, null_mut};

impl convert::VersionedStruct for tn_pool_options {
    const FIRST: usize = size_of::<tn_pool_options>();
    const NAME: &'static str = "tn_pool_options";
    fn defaults() -> tn_pool_options {
        tn_pool_options::default()
    }
}

impl convert::VersionedStruct for tn_pool_stats {
    const FIRST: usize = core::mem::offset_of!(tn_pool_stats, spilled_bytes);
    const NAME: &'static str = "tn_pool_stats";
    fn defaults() -> tn_pool_stats {
        tn_pool_stats::default()
    }
}

impl convert::VersionedStruct for tn_spill_options {
    const FIRST: usize = size_of::<tn_spill_options>();
    const NAME: &'static str = "tn_spill_options";
    fn defaults() -> tn_spill_options {
        tn_spill_options { size: 0, folder: core::ptr::null(), max_bytes: 0, min_array_bytes: 0 }
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
    // SAFETY: the caller's obligation.
    let Some(raw) = (unsafe { convert::sized(from)? }) else { return Ok(PoolOptions::default()) };
    // SAFETY: the caller's obligation.
    let name = (!raw.name.is_null()).then(|| unsafe { CStr::from_ptr(raw.name) }.to_bytes());
    PoolOptions::of(&raw, name)
}

fn address<T>(pointer: *const T) -> usize {
    pointer as usize
}

/// Creates a pool on a device. The pool takes no memory from the device before its first use, except `initial_size`.
///
/// @param device   The device of the memory. Without a driver, TN_CUDA_HOST with the host flag TN_HOST_BEST_EFFORT
///                 gives ordinary host memory, labelled TN_CPU.
/// @param options  The options, copied; NULL: all defaults.
/// @param[out] out The pool. Released by `tn_pool_release`; live blocks stay valid after that. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for an option out of range, an unknown flag or a size of 0, with the
///         field's name in the message; TN_ERR_RANGE for a NUMA node that does not exist; TN_ERR_DEVICE for a device
///         that does not exist; TN_ERR_UNSUPPORTED for a device or option that this build has no code for;
///         TN_ERR_NO_HOST_MEMORY or TN_ERR_NO_DEVICE_MEMORY if there is no memory for `initial_size`; TN_ERR_LIMIT if
///         no more handles can be made.
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

/// Creates a pool that allocates and deallocates its memory through the caller's callbacks. Its bookkeeping is kept
/// elsewhere, so the host need not be able to access the memory.
///
/// Blocks are cut from the pieces that `allocate` returns. The pool requests what it needs, or more if `growth_factor`
/// is above 1; the default here is 1. A piece is deallocated, with the same address and bytes, when all of it is free
/// and the pool is trimmed or released. `release_threshold` and `release_delay_ms` can make that earlier; here they are
/// off by default. After the last block of a released pool was freed, all pieces are deallocated, and `release` is
/// called.
///
/// Callbacks run on any thread that uses the pool, under no lock of the library. Two callbacks never run at once unless
/// TN_UPSTREAM_THREAD_SAFE is set. A callback that calls the same pool gets TN_ERR_INVALID.
///
/// The host does not clear or copy memory on TN_CUDA. There, `tn_pool_allocate_zeroed` works only on memory that is
/// known to be 0, `tn_pool_reallocate` works only in place, and arrays are TN_ERR_UNSUPPORTED.
///
/// @param device   The device of the memory, as a label: {TN_CPU, 0}, or any device of another type, with or without a
///                 driver.
/// @param upstream The upstream, copied. Its callbacks and context are used until `release` is called.
/// @param options  The options, copied; NULL: all defaults. `initial_size` is allocated from the upstream at once.
/// @param[out] out The pool. Released by `tn_pool_release`; live blocks stay valid after that. On failure: untouched;
///                 `release` is not called, and memory for `initial_size` is deallocated.
/// @return TN_OK; TN_ERR_NULL, also for `allocate` and `deallocate`; TN_ERR_INVALID for a field out of range, an
///         unknown flag or a size of 0, with the field's name in the message; TN_ERR_DEVICE for a device that does not
///         exist; TN_ERR_UNSUPPORTED for options that need the system's own memory; TN_ERR_FAILED if the upstream
///         returned invalid memory for `initial_size`; TN_ERR_NO_HOST_MEMORY or TN_ERR_NO_DEVICE_MEMORY if it returned
///         none; TN_ERR_LIMIT if no more handles can be made.
/// @note Threads: any. Blocks: if the callbacks do. Allocates: bookkeeping, and `initial_size`.
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

/// Makes a new handle on the process-wide default pool of a device: the pool that `tn_pool_set_default` set, else the
/// initial default pool, which is created at its first use and lives until the process ends.
///
/// `tn_option_set` can set the options of the initial pool before its first use.
///
/// @param device   The device of the pool.
/// @param[out] out The handle. Released by `tn_pool_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID if an option is out of range; TN_ERR_DEVICE for a device that does not
///         exist; TN_ERR_UNSUPPORTED for a type that this build has no code for; TN_ERR_NO_HOST_MEMORY; TN_ERR_LIMIT if
///         no more handles can be made.
/// @note Threads: any; threads that race get the same pool. Blocks: never. Allocates: bookkeeping only.
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

/// Sets the process-wide default pool of the pool's device: the meaning of NULL as a pool on all threads that set no
/// current pool.
///
/// Existing arrays and blocks stay in their pools. A request of another thread that runs meanwhile comes from either
/// pool; each later one from the new pool. The default keeps the pool alive as a handle does, also if every handle on
/// it is released. After another pool is set, a thread that used the previous default may keep it alive until its next
/// such request or its end. Plug-ins for other libraries that are called without a pool use the initial default pool.
///
/// @param pool     The pool; NULL: the initial default pools again, for all devices. To restore the previous default of
///                 one device, pass the handle that `tn_pool_default` returned before.
/// @return TN_OK; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID in a callback of a pool's upstream.
/// @note Threads: any. Blocks: a few microseconds, until no other thread is inside the library. Allocates: nothing. May
///       end the previous default pool, as `tn_pool_release` does.
/// @since 0.1
/// @ingroup pool
#[unsafe(no_mangle)]
pub extern "C" fn tn_pool_set_default(pool: *mut tn_pool) -> tn_status {
    enter("tn_pool_set_default", || {
        let pool = convert::pool(pool)?;
        pool.map_or(Ok(()), Pool::check_callable)?;
        pool::set_default(pool)
    })
}

/// Sets the thread's current pool of the pool's device: the meaning of NULL as a pool on this thread.
///
/// The thread keeps the pool alive until it sets another or ends, even if every handle on it is released. A thread that
/// sets the default pool follows later changes of the default.
///
/// @param pool     The pool; NULL: the default pools again, for all devices.
/// @return TN_OK; TN_ERR_STALE, TN_ERR_KIND.
/// @note Threads: any; other threads keep their current pools. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup pool
#[unsafe(no_mangle)]
pub extern "C" fn tn_pool_set_current(pool: *mut tn_pool) -> tn_status {
    enter("tn_pool_set_current", || {
        let pool = convert::pool(pool)?;
        pool.map_or(Ok(()), Pool::check_callable)?;
        pool::set_current(pool)
    })
}

/// Makes a new handle on the thread's current pool of a device, which at first is the default pool.
///
/// @param device   The device of the pool.
/// @param[out] out The handle. Released by `tn_pool_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID if an option of the default pool is out of range; TN_ERR_DEVICE for a
///         device that does not exist; TN_ERR_UNSUPPORTED for a type that this build has no code for;
///         TN_ERR_NO_HOST_MEMORY; TN_ERR_LIMIT if no more handles can be made.
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

/// Releases a handle on a pool. When the last handle is released and the pool is no thread's current one, cached memory
/// is returned to the device. Live blocks and arrays stay valid; the rest of the memory is returned with the last of
/// them.
///
/// @param pool     The handle. It is released exactly once.
/// @return TN_OK, also if blocks are live; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND.
/// @note Threads: any; of two threads that release one handle, one gets TN_ERR_STALE. Blocks: never. Allocates:
///       nothing.
/// @since 0.1
/// @ingroup pool
#[unsafe(no_mangle)]
pub extern "C" fn tn_pool_release(pool: *mut tn_pool) -> tn_status {
    enter("tn_pool_release", || pool::close(convert::id(pool, "pool")?))
}

/// Allocates a raw block with undefined contents.
///
/// @param pool      The pool; NULL: the thread's current pool of the host.
/// @param bytes     The number of bytes; with 0 the call returns a block too. The block may be larger: see
///                  `tn_pool_usable_size`.
/// @param alignment The alignment of the address in bytes, a power of two up to 4 MiB; 0: the pool's alignment.
/// @param stream    The stream that uses the block first. On TN_CUDA the block may be memory that earlier work on this
///                  stream still uses, and NULL means the thread's current stream. On memory that the host can access,
///                  NULL means the host, now. On TN_CPU the stream constants mean that too.
/// @param[out] out  The block. Freed by `tn_pool_deallocate` or `tn_pool_reallocate`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an invalid alignment; TN_ERR_DEVICE for a
///         stream of another device, or in the child of a process that made a device pool before the fork;
///         TN_ERR_NO_HOST_MEMORY or TN_ERR_NO_DEVICE_MEMORY if the device is out of memory, TN_ERR_POOL_LIMIT if the
///         pool would exceed `max_size`, both after cached memory was released: the message has the pool's statistics
///         and its largest named holders; TN_ERR_UNSUPPORTED if the stream captures a graph and no cached block fits;
///         TN_ERR_DRIVER.
/// @note Threads: any. Blocks: on memory of devices, where the request would fail otherwise, until work on freed
///       blocks is done. Allocates: the block.
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
    // Copies, so that none tests what another one must, nor saves registers for it.
    // SAFETY: by the function's documentation.
    unsafe {
        if is_usual(alignment) && stream.is_null() {
            return match allocate(pool, bytes, LARGEST_USUAL, null_mut(), out) {
                Some(done) => done,
                None => allocate_otherwise(pool, bytes, alignment, null_mut(), out),
            };
        }
        match alignment {
            0 => allocate_from::<true>(pool, bytes, alignment, stream, out),
            _ => allocate_from::<false>(pool, bytes, alignment, stream, out),
        }
    }
}

/// Every block has an alignment of so many bytes.
const LARGEST_USUAL: usize = 16;

/// Whether it is one of the alignments that compilers give to types, 8 and 16. Every block has both.
#[inline(always)]
fn is_usual(alignment: usize) -> bool {
    alignment.wrapping_sub(LARGEST_USUAL / 2) & !(LARGEST_USUAL / 2) == 0
}

/// Allocates with the pool's alignment, or with one of the caller's.
///
/// # Safety
/// - `out` is NULL or writable.
#[inline(never)]
unsafe extern "C" fn allocate_from<const OF_POOL: bool>(
    pool: *mut tn_pool,
    bytes: usize,
    alignment: usize,
    stream: *mut tn_stream,
    out: *mut *mut c_void,
) -> tn_status {
    // No closure: it would keep the arguments in memory.
    // SAFETY: the caller's obligation.
    unsafe {
        match allocate(pool, bytes, if OF_POOL { 0 } else { alignment }, stream, out) {
            Some(done) => done,
            None => allocate_otherwise(pool, bytes, alignment, stream, out),
        }
    }
}

/// Allocates on the fast path. None: the fast path does not apply, and nothing changed.
///
/// # Safety
/// - `out` is NULL or writable.
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
    // SAFETY: not NULL, and writable by the caller's obligation.
    unsafe { out.write(block.address() as *mut c_void) };
    Some(block.finish(TN_OK))
}

/// What the fast path does not do. `extern "C"` never unwinds, so that path can end in a jump to it.
///
/// # Safety
/// - `out` is NULL or writable.
#[inline(never)]
unsafe extern "C" fn allocate_otherwise(
    pool: *mut tn_pool,
    bytes: usize,
    alignment: usize,
    stream: *mut tn_stream,
    out: *mut *mut c_void,
) -> tn_status {
    // A large block that the thread keeps needs no more than a small one.
    if !out.is_null()
        && convert::is_now(stream)
        && let Some(block) = pool::allocate_kept(pool as u64, bytes, alignment)
    {
        // SAFETY: not NULL, and writable by the caller's obligation.
        unsafe { out.write(block.as_ptr().cast()) };
        return TN_OK;
    }
    // SAFETY: the caller's obligation.
    unsafe { allocate_slow(pool, bytes, alignment, stream, out) }
}

/// The slow path.
///
/// # Safety
/// - `out` is NULL or writable.
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
        // SAFETY: writable by the caller's obligation.
        unsafe { out.write(block.as_ptr().cast()) };
        Ok(())
    })
}

/// Allocates a raw block whose first `bytes` bytes are 0. Memory that is new from the system is not cleared again. Nor
/// are pages of blocks of 32 MiB and more that were allocated before and never written.
///
/// @param pool      The pool; NULL: the thread's current pool of the host.
/// @param bytes     The number of bytes; with 0 the call returns a block too.
/// @param alignment The alignment of the address in bytes, a power of two up to 4 MiB; 0: the pool's alignment.
/// @param stream    The stream that uses the block first. On TN_CUDA the block may be memory that earlier work on this
///                  stream still uses, and NULL means the thread's current stream. On memory that the host can access,
///                  NULL means the host, now. On TN_CPU the stream constants mean that too.
/// @param[out] out  The block. Freed by `tn_pool_deallocate` or `tn_pool_reallocate`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an invalid alignment; TN_ERR_DEVICE for a
///         stream of another device, or in the child of a process that made a device pool before the fork;
///         TN_ERR_NO_HOST_MEMORY or TN_ERR_NO_DEVICE_MEMORY if the device is out of memory, TN_ERR_POOL_LIMIT if the
///         pool would exceed `max_size`, both after cached memory was released: the message has the pool's statistics
///         and its largest named holders; TN_ERR_UNSUPPORTED if the stream captures a graph and no cached block fits;
///         TN_ERR_DRIVER.
/// @note Threads: any. Blocks: on memory of devices, where the request would fail otherwise, until work on freed
///       blocks is done. Allocates: the block.
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

/// Resizes a raw block: in place if there is room, else by moving its pages or copying its bytes.
///
/// The first min(old, new) bytes and the originally requested alignment are kept. The call counts as a reallocation;
/// with `ptr` NULL as an allocation, with 0 bytes as a deallocation.
///
/// @param pool     The block's pool. NULL: the pool that the block belongs to, or without a block the thread's current
///                 pool of the host.
/// @param ptr      A live raw block. If `*out` differs, this address is no longer valid. NULL: allocate a new block
///                 with the pool's alignment.
/// @param bytes    The new size in bytes; 0: free the block and write NULL to `*out`.
/// @param stream   The stream on which a device copies, and on which the old block is freed. NULL and the constants: as
///                 for `tn_pool_allocate`.
/// @param[out] out The block. Freed by `tn_pool_deallocate`. On failure: untouched, and the old block is live and
///                 unchanged.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_STALE for a released handle or a freed block, TN_ERR_KIND; TN_ERR_INVALID for an
///         address inside a block; TN_ERR_SHARED for a block that backs an array; TN_ERR_FOREIGN for a block of another
///         pool or of none; TN_ERR_DEVICE for a stream of another device; TN_ERR_NO_HOST_MEMORY,
///         TN_ERR_NO_DEVICE_MEMORY, TN_ERR_POOL_LIMIT, TN_ERR_DRIVER.
/// @note Threads: any; no other thread may use the block during the call. Blocks: as `tn_pool_allocate`. Allocates: the
///       new block.
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

/// The slow path, as `allocate_slow`.
///
/// # Safety
/// - `out` is NULL or writable.
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
        // SAFETY: writable by the caller's obligation.
        unsafe { out.write(block.map_or(core::ptr::null_mut(), |block| block.as_ptr().cast())) };
        Ok(())
    })
}

/// Frees a raw block. An invalid address is never dereferenced: it returns a status and changes nothing.
///
/// @param pool     The block's pool; NULL: the pool that the block belongs to.
/// @param ptr      The block; NULL: the call does nothing.
/// @param stream   The stream whose work so far may still use the block. Its bytes can be reused on that stream at
///                 once, and elsewhere when that work is done. NULL and the constants: as for `tn_pool_allocate`. The
///                 call does not call the driver.
/// @return TN_OK; TN_ERR_STALE for a released handle or a freed block, TN_ERR_KIND; TN_ERR_INVALID for an address
///         inside a block, whose start is in the message; TN_ERR_SHARED for a block that backs an array; TN_ERR_FOREIGN
///         for a block of another pool, or an address in no block; TN_ERR_NO_HOST_MEMORY if the stream's work can
///         neither be recorded nor waited for: the block then stays live.
/// @note Threads: any; of two threads that free one block, one gets TN_ERR_STALE. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup pool
#[unsafe(no_mangle)]
pub extern "C" fn tn_pool_deallocate(pool: *mut tn_pool, ptr: *mut c_void, stream: *mut tn_stream) -> tn_status {
    if stream.is_null() {
        return pool::deallocate_fast::<Deallocate>(pool as u64, address(ptr), 0);
    }
    deallocate_otherwise(pool as u64, address(ptr), stream as u64)
}

/// A copy for streams, so that the function above keeps none in a register.
#[inline(never)]
extern "C" fn deallocate_otherwise(pool: u64, address: usize, stream: u64) -> tn_status {
    if StreamArg::is_now(stream) {
        return pool::deallocate_fast::<Deallocate>(pool, address, stream);
    }
    deallocate_slow(pool, address, stream)
}

/// Records that a raw block is also used on another stream than the one on which it will be freed. Its bytes are reused
/// only after the work that was issued on all recorded streams before the free. A block can have any number of such
/// streams.
///
/// @param pool     The block's pool; NULL: the pool that the block belongs to.
/// @param ptr      The block.
/// @param stream   The stream. NULL and the constants: as for `tn_pool_allocate`, so NULL on memory that the host can
///                 access records nothing. An imported stream must exist until the block is freed, or the last handle
///                 on the stream is released.
/// @return TN_OK; TN_ERR_STALE for a released handle or a freed block, TN_ERR_KIND; TN_ERR_INVALID for an address
///         inside a block; TN_ERR_SHARED for a block that backs an array; TN_ERR_FOREIGN for a block of another pool,
///         or an address in no block; TN_ERR_DEVICE for a stream of another device; TN_ERR_NO_HOST_MEMORY.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only. Does not call the driver.
/// @since 0.1
/// @ingroup pool
#[unsafe(no_mangle)]
pub extern "C" fn tn_pool_record_use(pool: *mut tn_pool, ptr: *mut c_void, stream: *mut tn_stream) -> tn_status {
    enter("tn_pool_record_use", || raw::record_use(pool as u64, address(ptr), stream as u64))
}

/// Lets another pool serve the requests for a pool's memory on a stream, until `tn_pool_private_end`:
/// `tn_pool_allocate`, `tn_pool_allocate_zeroed` and new arrays. For a stream that captures a graph: a launch of the
/// graph uses its blocks again, so blocks that were freed within the capture must not go to others while the graph
/// lives. They stay in the private pool, which serves further captures of that graph's group. Blocks of it can be freed
/// and resized with either pool. Release the private pool after the last launch, to return its memory.
///
/// @param pool         A pool of TN_CUDA, TN_CUDA_HOST or TN_CUDA_MANAGED.
/// @param private_pool Another pool of that device, by `tn_pool_create`. It serves one pool, on any number of streams,
///                     and lives on at least until `tn_pool_private_end`. Its limits and statistics are its own.
/// @param stream       The stream. NULL and the constants: as for `tn_pool_allocate`, but NULL is refused for memory
///                     that the host can access.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DEVICE for pools of different devices, of the host, or
///         in the child of a fork; TN_ERR_INVALID for one pool twice, and for a private pool that has served another
///         one; TN_ERR_DUPLICATE for a stream that a private pool serves already; TN_ERR_LIMIT for more than 16 streams
///         of a pool.
/// @note Threads: any. Blocks: never. Allocates: nothing. Does not call the driver.
/// @since 0.1
/// @ingroup pool
#[unsafe(no_mangle)]
pub extern "C" fn tn_pool_private_begin(
    pool: *mut tn_pool,
    private_pool: *mut tn_pool,
    stream: *mut tn_stream,
) -> tn_status {
    enter("tn_pool_private_begin", || {
        let (pool, private) = (convert::id(pool, "pool")?, convert::id(private_pool, "private_pool")?);
        raw::private_begin(pool, private, stream as u64)
    })
}

/// Ends what `tn_pool_private_begin` began: the pool serves its requests on the stream itself. Blocks of the private
/// pool stay that pool's.
///
/// @param pool     The pool.
/// @param stream   The stream that was passed there.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID if no private pool serves the stream.
/// @note Threads: any. Blocks: never. Allocates: nothing. Does not call the driver.
/// @since 0.1
/// @ingroup pool
#[unsafe(no_mangle)]
pub extern "C" fn tn_pool_private_end(pool: *mut tn_pool, stream: *mut tn_stream) -> tn_status {
    enter("tn_pool_private_end", || raw::private_end(convert::id(pool, "pool")?, stream as u64))
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

/// The slow path. `extern "C"` never unwinds, so the fast path can tail-call it.
#[cold]
#[inline(never)]
extern "C" fn deallocate_slow(pool: u64, address: usize, stream: u64) -> tn_status {
    enter("tn_pool_deallocate", || raw::deallocate_slow(pool, address, stream))
}

/// Makes a new handle on the pool whose live block, raw or of an array, contains an address. The address is not
/// dereferenced.
///
/// @param ptr      Any address.
/// @param[out] out The handle. Released by `tn_pool_release`. If the pool was released before, queries work and
///                 allocations fail. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL for `out`; TN_ERR_FOREIGN for an address in no live block; TN_ERR_NO_HOST_MEMORY,
///         TN_ERR_LIMIT if no more handles can be made.
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

/// Writes the usable size of a live block: at least the requested size. Under AddressSanitizer or valgrind it is
/// exactly that.
///
/// @param ptr      The start of a live block, raw or of an array.
/// @param[out] out The number of bytes. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL for `out`; TN_ERR_STALE for a freed block; TN_ERR_INVALID for an address inside a block;
///         TN_ERR_FOREIGN for an address in no block, and for NULL.
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

/// Writes the statistics of a pool, a snapshot of one moment.
///
/// In every snapshot, reserved_bytes = in_use_bytes + cached_bytes + pending_bytes + overhead_bytes.
///
/// @param pool     The pool; NULL: the thread's current pool of the host.
/// @param[out] stats The struct to fill, with `size` set by the caller; as much as fits is filled. On failure:
///                   untouched.
/// @return TN_OK; TN_ERR_NULL for `stats`; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a size of 0.
/// @note Threads: any. Blocks: never. Allocates: nothing; no device call, but for the counts of a pool of the driver.
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

/// Resets the peaks of a pool to the current values. Counts are kept.
///
/// @param pool     The pool; NULL: the thread's current pool of the host.
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

/// Returns cached memory to the device, longest unused first, until at most `keep_bytes` are cached or no whole segment
/// is free. Live blocks and the memory of `initial_size` stay. If more is still cached between live small blocks, its
/// pages are returned too; they keep counting as committed and cached.
///
/// @param pool     The pool; NULL: the thread's current pool of the host.
/// @param keep_bytes The number of cached bytes to keep.
/// @param[out] released_bytes The number of bytes by which reserved_bytes fell; may be NULL. On failure: untouched.
/// @return TN_OK; TN_ERR_STALE, TN_ERR_KIND.
/// @note Threads: any; other threads can use the pool meanwhile. Blocks: while the system takes the memory. Allocates:
///       nothing.
/// @since 0.1
/// @ingroup pool
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_pool_trim(pool: *mut tn_pool, keep_bytes: usize, released_bytes: *mut usize) -> tn_status {
    enter("tn_pool_trim", || {
        let pool = find(pool)?;
        #[cfg(feature = "managed")]
        function::drop_spares(|of| core::ptr::eq(of, pool));
        let released = transfer::trim(pool, keep_bytes)?;
        // SAFETY: NULL or writable, by the function's documentation.
        unsafe { convert::write_opt(released_bytes, released) };
        Ok(())
    })
}

/// Lets a pool of ordinary host memory spill: at its limit, it writes arrays that nobody uses to files, and frees their
/// memory, before a request fails with TN_ERR_POOL_LIMIT. max_size then bounds the bytes in memory.
///
/// The array that was used longest ago goes first. An array is in use while it has a guard, export, expression, import,
/// poisoned region or pending device work, or while a call moves or lends it. Otherwise its handles, views, promises and
/// weak handles stay valid, and its address stays the same. The next use brings the bytes back: a borrow, export, copy or
/// computation waits for the file to be read, and for other arrays of the pool that are written or read at the moment.
/// It fails with TN_ERR_POOL_LIMIT if what is in use leaves no room, and with TN_ERR_IO if the file cannot be read;
/// nothing has changed then. A write that fails, as on a full disk, leaves the array in memory. A spilled array then comes
/// back in exchange for another one, and the pool is above max_size by one array meanwhile.
///
/// This concerns arrays that are made from now on, of more than 65536 bytes, see also `tn_array_set_spillable`. Raw blocks
/// and foreign memory are never spilled. Each borrow of such an array takes some 100 ns longer, because its time is noted.
/// Forks, and calls that stop all threads for a moment, wait until the array that is being written or read is done.
///
/// Files have no names and mode 0600. They end with the last process that has them open: this one, and children of forks.
/// Use a folder on a local disk: one on tmpfs is memory itself, and a network file system may report a failed write too
/// late. Spilled bytes are part of in_use_bytes, and `tn_pool_query` counts them in spilled_bytes.
///
/// @param pool     The pool; NULL: the thread's current pool of the host.
/// @param options  The folder and bounds, copied; NULL: nothing more is spilled. What is in files comes back when it is
///                 used.
/// @return TN_OK; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_NULL if `folder` is NULL; TN_ERR_INVALID for a size of 0;
///         TN_ERR_UNSUPPORTED for a pool whose memory is shareable, page-locked, a device's or an upstream's, and with
///         the option `check`; TN_ERR_IO if no file can be made in the folder, or none of 4 TiB (sparse);
///         TN_ERR_NO_HOST_MEMORY.
/// @note Threads: any. Blocks: until other threads have finished reading or writing an array of the pool. Allocates:
///       bookkeeping.
/// @since 0.1
/// @ingroup pool
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_pool_set_spill(pool: *mut tn_pool, options: *const tn_spill_options) -> tn_status {
    enter("tn_pool_set_spill", || {
        let pool = find(pool)?;
        // SAFETY: NULL or a struct of its size, by the function's documentation.
        let Some(options) = (unsafe { convert::sized(options)? }) else { return pool.set_spill(None, 0, 0) };
        let folder = NonNull::new(options.folder.cast_mut()).ok_or_else(|| convert::null("options->folder"))?;
        // SAFETY: a text by the function's documentation.
        let folder = unsafe { CStr::from_ptr(folder.as_ptr()) };
        let most = if options.max_bytes == 0 { u64::MAX } else { options.max_bytes };
        let least = usize::try_from(options.min_array_bytes).unwrap_or(usize::MAX);
        // The pool must not end, and its record not serve another one, before the folder is set.
        pool.keep()?;
        let outcome = pool.set_spill(Some(folder), most, least);
        pool.drop_ref();
        outcome
    })
}

/// Spills arrays that nobody uses now, the one that was used longest ago first, until at least `bytes` bytes of memory
/// are free or none is left.
///
/// @param pool     The pool; NULL: the thread's current pool of the host.
/// @param bytes    The number of bytes; SIZE_MAX: all that can be spilled.
/// @param[out] spilled_bytes The bytes of memory that became free; may be NULL. On failure: untouched.
/// @return TN_OK, also if nothing was spilled or the pool does not spill; TN_ERR_STALE, TN_ERR_KIND.
/// @note Threads: any. Blocks: while files are written. Allocates: bookkeeping of files.
/// @since 0.1
/// @ingroup pool
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_pool_spill(pool: *mut tn_pool, bytes: usize, spilled_bytes: *mut usize) -> tn_status {
    enter("tn_pool_spill", || {
        let spilled = find(pool)?.spill(bytes);
        // SAFETY: NULL or writable, by the function's documentation.
        unsafe { convert::write_opt(spilled_bytes, spilled) };
        Ok(())
    })
}

/// Lists the size classes of a pool that were ever used. The sums of live_blocks, allocation_count and hit_count equal
/// those of `tn_pool_query`.
///
/// @param pool         The pool; NULL: the thread's current pool of the host.
/// @param item_size    The size of an item in the caller's program: sizeof(tn_pool_class_stats).
/// @param capacity     The number of items at classes.
/// @param[out] classes The first `capacity` classes: large blocks first, with block_bytes 0, then the others by size.
///                     NULL only with capacity 0.
/// @param[out] n_classes The total number of classes.
/// @return TN_OK, also if not all fit; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an item_size that is
///         too small.
/// @note Threads: any; while other threads use the pool, each span is read at another moment. Blocks: never. Allocates:
///       nothing. Takes time in proportion to the pool's blocks.
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

/// Lists the clients of a pool with their statistics: arrays, raw blocks, and each library that allocates from it. The
/// sum of live_bytes is the pool's in_use_bytes.
///
/// @param pool         The pool; NULL: the thread's current pool of the host.
/// @param item_size    The size of an item in the caller's program: sizeof(tn_pool_client).
/// @param capacity     The number of items at clients.
/// @param[out] clients The first `capacity` clients that ever allocated, ordered by TN_CLIENT_. NULL only with capacity
///                     0.
/// @param[out] n_clients The total number of clients.
/// @return TN_OK, also if not all fit; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an item_size that is
///         too small.
/// @note Threads: any; a snapshot of one moment. Blocks: never. Allocates: nothing.
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

/// Registers a callback for when the pool is out of memory: after the cached memory of all pools of the device was
/// released, and before the request fails. The registered callbacks are called in order until the request succeeds,
/// each at most once per request.
///
/// @param pool     The pool; NULL: the thread's current pool of the host.
/// @param callback The callback. It returns its estimate of the bytes that it freed; 0: the request is not tried again
///                 before the next callback.
/// @param context  The first argument of callback, and the argument of release.
/// @param release  Called once after the registration ended, by `tn_pool_off_pressure` or with the pool, and the last
///                 call of the callback returned. May be NULL. On failure: not called.
/// @return TN_OK; TN_ERR_NULL for `callback`; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DUPLICATE if this callback is
///         registered with this context; TN_ERR_NO_HOST_MEMORY.
/// @note Threads: any; the callback runs on the allocating thread, under no lock. Blocks: never. Allocates: bookkeeping
///       only.
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

/// Ends a registration. A running call of the callback continues; the callback is not called again.
///
/// @param pool     The pool; NULL: the thread's current pool of the host.
/// @param callback The callback of the registration.
/// @param context  The context of the registration.
/// @return TN_OK; TN_ERR_NULL for `callback`; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_RANGE if there is no such registration.
/// @note Threads: any, also within the callback. Blocks: never. Allocates: nothing.
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
