//! The table of a UMF pool: one of our pools over the provider that UMF passes.
//!
//! Contract: memory comes from that provider alone and goes back to it as it came; with `finalize` all of it, also with blocks that are
//! live. Until then, unless the options say otherwise, memory goes back when UMF trims the pool or the provider has no more. Blocks count
//! for the client "umf", are aligned to 16 at least, and are checked as all of ours when they come back. After a NULL the thread can ask
//! why.

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

/// What the texts of these functions begin with.
const DOOR: &str = "tn_umf_pool_ops";
/// What UMF asks of `malloc`.
const ALIGNMENT: usize = 16;

/// By minor version.
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
    static WHY: Cell<tables::Result> = const { Cell::new(SUCCESS) };
}

/// Options that UMF passes on: NULL, or a `tn_pool_options` of this library's size.
fn options(params: *const c_void) -> Result<PoolOptions> {
    let mut options = PoolOptions::default();
    if !params.is_null() {
        let raw = params.cast::<tn_pool_options>();
        // SAFETY: the program's struct, which starts with its size.
        let size = unsafe { raw.cast::<usize>().read_unaligned() };
        if size != size_of::<tn_pool_options>() {
            let known = size_of::<tn_pool_options>();
            return Err(fail(
                TN_ERR_INVALID,
                format_args!("params is NULL or a tn_pool_options, whose size is {known}, not {size}"),
            ));
        }
        // SAFETY: so many bytes are there.
        let raw = unsafe { raw.read_unaligned() };
        // SAFETY: NULL or a NUL-terminated text of the program's.
        let name = (!raw.name.is_null()).then(|| unsafe { CStr::from_ptr(raw.name) }.to_bytes());
        options = PoolOptions::of(&raw, name)?;
    }
    Ok(options)
}

extern "C" fn initialize(provider: *mut c_void, params: *const c_void, out: *mut *mut c_void) -> tables::Result {
    let mut found = true;
    let status = boundary::enter(DOOR, || {
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
                // SAFETY: made above, and not shared.
                unsafe { record.put() };
                return Err(status);
            }
        };
        made.accept();
        // SAFETY: the record is this call's, and `release` of the pool's upstream puts it back.
        unsafe { record.set_target(Target::new(made, Client::UMF)) };
        write(out, record.handle())
    });
    if found { result_of(status) } else { DEPENDENCY_UNAVAILABLE }
}

extern "C" fn finalize(pool: *mut c_void) -> tables::Result {
    result_of(boundary::enter(DOOR, || {
        if let Some(pool) = target(pool)?.pool() {
            pool.abandon();
        }
        Ok(())
    }))
}

/// Runs a request and keeps why it failed.
fn request(body: impl FnOnce() -> Result<*mut c_void>) -> *mut c_void {
    provider_upstream::forget();
    let mut block = null_mut();
    let status = boundary::enter(DOOR, || {
        block = body()?;
        Ok(())
    });
    if status != TN_OK {
        let refused = provider_upstream::refused();
        WHY.set(if refused == SUCCESS { result_of(status) } else { refused });
    }
    block
}

/// A size that cannot be is the caller's mistake, not a lack of memory.
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
    request(|| allocate(pool, bytes, ALIGNMENT, false))
}

extern "C" fn calloc(pool: *mut c_void, count: usize, item: usize) -> *mut c_void {
    request(|| match count.checked_mul(item) {
        Some(bytes) => allocate(pool, bytes, ALIGNMENT, true),
        None => {
            Err(fail(TN_ERR_RANGE, format_args!("{count} elements of {item} bytes are more than can be addressed")))
        }
    })
}

extern "C" fn realloc(pool: *mut c_void, ptr: *mut c_void, bytes: usize) -> *mut c_void {
    request(|| {
        if ptr.is_null() {
            return allocate(pool, bytes, ALIGNMENT, false);
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
        if !alignment.is_power_of_two() || alignment > LARGEST_ALIGNMENT {
            return Err(fail(
                TN_ERR_LAYOUT,
                format_args!("alignment {alignment} is not a power of two up to {LARGEST_ALIGNMENT}"),
            ));
        }
        allocate(pool, bytes, alignment.max(ALIGNMENT), false)
    })
}

extern "C" fn malloc_usable_size(pool: *mut c_void, ptr: *const c_void, out: *mut usize) -> tables::Result {
    result_of(boundary::enter(DOOR, || {
        let target = target(pool)?;
        if ptr.is_null() {
            return write(out, 0);
        }
        let own = pool::locate(ptr as usize).is_some_and(|block| target.is(block.pool));
        let usable = pool::usable_size(ptr as usize)?;
        if !own {
            return Err(fail(TN_ERR_FOREIGN, format_args!("the block at {ptr:p} is of another pool")));
        }
        write(out, usable)
    }))
}

extern "C" fn free(pool: *mut c_void, ptr: *mut c_void) -> tables::Result {
    if ptr.is_null() {
        return SUCCESS;
    }
    result_of(boundary::enter(DOOR, || target(pool)?.deallocate(ptr as usize, None)))
}

extern "C" fn get_last_allocation_error(_pool: *mut c_void) -> tables::Result {
    WHY.get()
}

extern "C" fn get_name(_pool: *mut c_void, out: *mut *const c_char) -> tables::Result {
    result_of(boundary::enter(DOOR, || write(out, NAME.as_ptr())))
}

extern "C" fn ext_trim_memory(pool: *mut c_void, keep: usize) -> tables::Result {
    result_of(boundary::enter(DOOR, || {
        if let Some(pool) = target(pool)?.pool() {
            // UMF means by it what the pool has in all, we what is cached.
            let stats = pool.query();
            let live = (stats.in_use_bytes + stats.overhead_bytes) as usize;
            pool.trim(keep.saturating_sub(live));
        }
        Ok(())
    }))
}

// What UMF's header says of the two that are named by number here.
const _: () = assert!(INVALID_ARGUMENT == 3 && INVALID_ALIGNMENT == 4);
