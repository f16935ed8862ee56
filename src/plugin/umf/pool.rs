//! The operations of a UMF pool: a pool of this library over the provider that UMF passes.
//!
//! Contract: all memory comes from that provider, and returns to it in the pieces in which it came. `finalize` returns
//! all of it, even if blocks are live. Before that, and unless the options say otherwise, memory returns when UMF trims
//! the pool or the provider has no more. The first memory from the provider shows whether the host can access it. If
//! not, `calloc` and a `realloc` that would copy fail with NOT_SUPPORTED, as in UMF's own pools. Blocks count for the
//! client "umf" and are aligned to 16 bytes at least. A free is checked as in every pool. After a NULL,
//! `get_last_allocation_error` returns the reason to the thread.

use super::common::{
    DEPENDENCY_UNAVAILABLE, INVALID_ALIGNMENT, INVALID_ARGUMENT, NAME, SUCCESS, control, result_of, write,
};
use super::provider_upstream;
use super::record::{Record, Source, target};
use super::tables::{self, PoolOps};
use crate::array::HOST;
use crate::boundary;
use crate::error::{Result, fail};
use crate::plugin::Target;
use crate::pool::{self, Client, LARGEST_ALIGNMENT, PoolOptions};
use crate::types::*;
use core::cell::Cell;
use core::ffi::{CStr, c_char, c_void};
use core::ptr::null_mut;

/// The function that error texts name: the one that returned the table.
const FUNCTION: &str = "tn_umf_pool_ops";
/// The alignment that UMF requires of `malloc`.
const ALIGNMENT_BYTES: usize = 16;

/// The tables, by minor version.
pub(super) static TABLES: [PoolOps; 2] = [table(0x10000), table(0x10001)];

const fn table(version: u32) -> PoolOps {
    PoolOps {
        version,
        initialize,
        finalize,
        malloc,
        calloc,
        realloc,
        aligned_malloc,
        malloc_usable_size,
        free,
        get_last_allocation_error,
        get_name,
        ext_ctl: control,
        ext_trim_memory,
    }
}

thread_local! {
    // `const` and without Drop, as those of `error`.
    static LAST_RESULT: Cell<tables::Result> = const { Cell::new(SUCCESS) };
}

/// The pool's options: NULL, or a `tn_pool_options` of this library's size.
fn options(params: *const c_void) -> Result<PoolOptions> {
    let mut options = PoolOptions::default();
    if !params.is_null() {
        let raw = params.cast::<tn_pool_options>();
        // SAFETY: the program passed a struct that starts with its size.
        let size = unsafe { raw.cast::<usize>().read_unaligned() };
        if size != size_of::<tn_pool_options>() {
            let known = size_of::<tn_pool_options>();
            return Err(fail(
                TN_ERR_INVALID,
                format_args!("params is NULL or a tn_pool_options, whose size is {known}, not {size}"),
            ));
        }
        // SAFETY: the size was checked above.
        let raw = unsafe { raw.read_unaligned() };
        // SAFETY: not NULL; the program's text ends with a NUL.
        let name = (!raw.name.is_null()).then(|| unsafe { CStr::from_ptr(raw.name) }.to_bytes());
        options = PoolOptions::of(&raw, name)?;
    }
    Ok(options)
}

extern "C" fn initialize(provider: *mut c_void, params: *const c_void, out: *mut *mut c_void) -> tables::Result {
    let mut found = true;
    let status = boundary::enter(FUNCTION, || {
        if provider.is_null() || out.is_null() {
            return Err(fail(TN_ERR_NULL, format_args!("provider or pool is NULL")));
        }
        let options = options(params)?;
        let Some(source) = Source::find(provider) else {
            found = false;
            return Err(fail(TN_ERR_UNSUPPORTED, format_args!("libumf.so.1 is not loaded in this process")));
        };
        let Some(record) = Record::make(None, Some(source)) else {
            return Err(fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for the record of a pool; free some")));
        };
        let made = match pool::import(HOST, &source.upstream(record), &options) {
            Ok(made) => made,
            Err(status) => {
                // SAFETY: made above, and not shared yet.
                unsafe { record.put() };
                return Err(status);
            }
        };
        made.accept();
        // SAFETY: the record is not shared yet. `release` of the pool's upstream retires it.
        unsafe { record.set_target(Target::new(made, Client::UMF)) };
        write(out, record.handle())
    });
    if found { result_of(status) } else { DEPENDENCY_UNAVAILABLE }
}

extern "C" fn finalize(pool: *mut c_void) -> tables::Result {
    result_of(boundary::enter(FUNCTION, || {
        if let Some(pool) = target(pool)?.pool() {
            pool.abandon();
        }
        Ok(())
    }))
}

/// Runs a request, and records the reason of its failure. If the provider failed, the reason is the provider's result.
fn request(body: impl FnOnce() -> Result<*mut c_void>) -> *mut c_void {
    provider_upstream::reset_last_result();
    let mut block = null_mut();
    let status = boundary::enter(FUNCTION, || {
        block = body()?;
        Ok(())
    });
    if status != TN_OK {
        let of_provider = provider_upstream::last_result();
        LAST_RESULT.set(if of_provider == SUCCESS { result_of(status) } else { of_provider });
    }
    block
}

/// Fails with TN_ERR_RANGE if no block can have that size: an error of the caller, not a lack of memory.
fn check_size(bytes: usize) -> Result<()> {
    match isize::try_from(bytes) {
        Ok(_) => Ok(()),
        Err(_) => Err(fail(TN_ERR_RANGE, format_args!("{bytes} bytes are more than can be addressed"))),
    }
}

fn allocate(pool: *mut c_void, bytes: usize, alignment: usize, zeroed: bool) -> Result<*mut c_void> {
    check_size(bytes)?;
    Ok(target(pool)?.allocate(bytes, alignment, zeroed)?.as_ptr().cast())
}

extern "C" fn malloc(pool: *mut c_void, bytes: usize) -> *mut c_void {
    request(|| allocate(pool, bytes, ALIGNMENT_BYTES, false))
}

extern "C" fn calloc(pool: *mut c_void, count: usize, item: usize) -> *mut c_void {
    request(|| match count.checked_mul(item) {
        Some(bytes) => allocate(pool, bytes, ALIGNMENT_BYTES, true),
        None => {
            Err(fail(TN_ERR_RANGE, format_args!("{count} elements of {item} bytes are more than can be addressed")))
        }
    })
}

extern "C" fn realloc(pool: *mut c_void, ptr: *mut c_void, bytes: usize) -> *mut c_void {
    request(|| {
        if ptr.is_null() {
            return allocate(pool, bytes, ALIGNMENT_BYTES, false);
        }
        if bytes == 0 {
            target(pool)?.deallocate(ptr as usize, None)?;
            return Ok(null_mut());
        }
        check_size(bytes)?;
        Ok(target(pool)?.reallocate(ptr as usize, bytes)?.as_ptr().cast())
    })
}

extern "C" fn aligned_malloc(pool: *mut c_void, bytes: usize, alignment: usize) -> *mut c_void {
    request(|| {
        // 0 is the default alignment, as in UMF's own pools.
        if alignment != 0 && !alignment.is_power_of_two() || alignment > LARGEST_ALIGNMENT {
            return Err(fail(
                TN_ERR_LAYOUT,
                format_args!("alignment {alignment} is not 0, or a power of two up to {LARGEST_ALIGNMENT}"),
            ));
        }
        allocate(pool, bytes, alignment.max(ALIGNMENT_BYTES), false)
    })
}

extern "C" fn malloc_usable_size(pool: *mut c_void, ptr: *const c_void, out: *mut usize) -> tables::Result {
    result_of(boundary::enter(FUNCTION, || {
        let target = target(pool)?;
        if ptr.is_null() {
            return write(out, 0);
        }
        let own = pool::locate(ptr as usize).is_some_and(|block| target.is(block.pool));
        let usable = pool::usable_size(ptr as usize)?;
        if !own {
            return Err(fail(TN_ERR_FOREIGN, format_args!("the block at {ptr:p} belongs to another pool")));
        }
        write(out, usable)
    }))
}

extern "C" fn free(pool: *mut c_void, ptr: *mut c_void) -> tables::Result {
    if ptr.is_null() {
        return SUCCESS;
    }
    result_of(boundary::enter(FUNCTION, || target(pool)?.deallocate(ptr as usize, None)))
}

extern "C" fn get_last_allocation_error(_pool: *mut c_void) -> tables::Result {
    LAST_RESULT.get()
}

extern "C" fn get_name(_pool: *mut c_void, out: *mut *const c_char) -> tables::Result {
    result_of(boundary::enter(FUNCTION, || write(out, NAME.as_ptr())))
}

extern "C" fn ext_trim_memory(pool: *mut c_void, keep: usize) -> tables::Result {
    result_of(boundary::enter(FUNCTION, || {
        if let Some(pool) = target(pool)?.pool() {
            // In UMF, `keep` includes the live blocks; `trim` takes the size of the cache alone.
            let stats = pool.query();
            let live = (stats.in_use_bytes + stats.overhead_bytes) as usize;
            pool.trim(keep.saturating_sub(live));
        }
        Ok(())
    }))
}

// The values of UMF's header.
const _: () = assert!(INVALID_ARGUMENT == 3 && INVALID_ALIGNMENT == 4);
