//! The operations of a UMF provider, which allocates coarse blocks from a pool.
//!
//! Contract: blocks begin and end at multiples of [`PAGE_BYTES`], the resolution of the pool's address table. So each
//! block can be split, and two neighbours can be merged. UMF must pass a block's exact size. The pool's handle may be
//! released while a provider uses the pool. The provider then allocates nothing, but still frees all blocks.

use super::common::{INVALID_ALIGNMENT, INVALID_ARGUMENT, NAME, SUCCESS, control, write};
use super::provider_call::{check_block, enter, last_status};
use super::provider_ipc;
use super::record::{Record, target};
use super::tables::{self, ProviderOps};
use crate::device::host::GRANULE;
use crate::error::{self, Result, fail};
use crate::plugin::Target;
use crate::pool::{self, Client, LARGEST_ALIGNMENT, Pool};
use crate::slots::Id;
use crate::sys::os;
use crate::types::*;
use core::ffi::{c_char, c_void};
use core::ptr::NonNull;

/// The page of UMF's interface: block sizes are multiples of it.
const PAGE_BYTES: usize = GRANULE;
/// The page size that is recommended for large allocations.
const HUGE_PAGE_BYTES: usize = 2 << 20;
/// The cache line of every supported processor.
const CACHE_LINE_BYTES: usize = 64;

/// The tables, by minor version.
pub(super) static TABLES: [ProviderOps; 3] = [table(0x10000), table(0x10001), table(0x10002)];

const fn table(version: u32) -> ProviderOps {
    ProviderOps {
        version,
        initialize,
        finalize,
        alloc,
        free,
        get_last_native_error,
        get_recommended_page_size,
        get_min_page_size,
        get_name,
        ext_purge_lazy,
        ext_purge_force,
        ext_allocation_merge,
        ext_allocation_split,
        ext_get_ipc_handle_size: provider_ipc::get_ipc_handle_size,
        ext_get_ipc_handle: provider_ipc::get_ipc_handle,
        ext_put_ipc_handle: provider_ipc::put_ipc_handle,
        ext_open_ipc_handle: provider_ipc::open_ipc_handle,
        ext_close_ipc_handle: provider_ipc::close_ipc_handle,
        ext_ctl: control,
        properties: [0; 2],
        get_cache_line_size,
    }
}

extern "C" fn initialize(params: *const c_void, out: *mut *mut c_void) -> tables::Result {
    enter(|| {
        if out.is_null() {
            return Err(fail(TN_ERR_NULL, format_args!("provider is NULL")));
        }
        // UMF's parameters are the pool's handle itself.
        let pool = match params as u64 {
            0 => crate::plugin::host()?,
            bits => pool::of_handle(Id::from_bits(bits))?,
        };
        match Record::make(Some(Target::new(pool, Client::UMF)), None) {
            Some(record) => write(out, record.handle()),
            None => Err(fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for the record of a provider; free some"))),
        }
    })
}

extern "C" fn finalize(provider: *mut c_void) -> tables::Result {
    enter(|| {
        target(provider)?;
        if let Some(record) = Record::of(provider) {
            // SAFETY: UMF no longer uses a provider that it finalizes.
            unsafe { record.put() };
        }
        Ok(())
    })
}

extern "C" fn alloc(provider: *mut c_void, bytes: usize, alignment: usize, out: *mut *mut c_void) -> tables::Result {
    // As UMF's own providers: a multiple or a divisor of the page size.
    let direct = alignment == 0 || alignment.is_power_of_two() && alignment <= LARGEST_ALIGNMENT;
    if !direct && !alignment.is_multiple_of(PAGE_BYTES) {
        return INVALID_ALIGNMENT;
    }
    enter(|| {
        if bytes == 0 || out.is_null() {
            return Err(fail(TN_ERR_INVALID, format_args!("{bytes} bytes, or an output that is NULL")));
        }
        let target = target(provider)?;
        let block = if direct {
            target.allocate(bytes, alignment.max(PAGE_BYTES), false)?
        } else {
            allocate_at_multiple(&target, bytes, alignment)?
        };
        write(out, block.as_ptr().cast())
    })
}

/// Allocates at a multiple of an alignment that pools do not have: a multiple of [`PAGE_BYTES`]. Cuts the block out of
/// a larger one.
fn allocate_at_multiple(target: &Target, bytes: usize, alignment: usize) -> Result<NonNull<u8>> {
    let pool = target.live()?;
    let whole = bytes.checked_next_multiple_of(PAGE_BYTES);
    let total = whole.and_then(|whole| whole.checked_add(alignment - PAGE_BYTES));
    let (Some(whole), Some(total)) = (whole, total.filter(|&total| isize::try_from(total).is_ok())) else {
        return Err(fail(TN_ERR_RANGE, format_args!("{bytes} bytes at a multiple of {alignment} cannot be addressed")));
    };
    let start = target.allocate(total, PAGE_BYTES, false)?.as_ptr() as usize;
    let mut part = Part { start, bytes: total };
    let cut = part.cut_to(target, pool, start.next_multiple_of(alignment), whole);
    // In place: UMF frees the block with the size that it requested.
    let made = cut.and_then(|()| pool.reallocate_for(Client::UMF, part.start, bytes));
    if made.is_err() {
        let freed = target.deallocate(part.start, None);
        debug_assert!(freed.is_ok(), "the block is this call's alone");
    }
    made
}

/// A block that is being cut.
struct Part {
    start: usize,
    bytes: usize,
}

impl Part {
    /// Cuts the block to `bytes` bytes at `start`, and frees the rest.
    fn cut_to(&mut self, target: &Target, pool: &'static Pool, start: usize, bytes: usize) -> Result<()> {
        let head = start - self.start;
        if head > 0 {
            pool.split(Client::UMF, self.start, self.bytes, head)?;
            let freed = target.deallocate(self.start, None);
            debug_assert!(freed.is_ok(), "the block is this call's alone");
            *self = Part { start, bytes: self.bytes - head };
        }
        if self.bytes > bytes {
            pool.split(Client::UMF, start, self.bytes, bytes)?;
            self.bytes = bytes;
            target.deallocate(start + bytes, None)?;
        }
        Ok(())
    }
}

extern "C" fn free(provider: *mut c_void, ptr: *mut c_void, bytes: usize) -> tables::Result {
    enter(|| {
        let target = target(provider)?;
        if ptr.is_null() {
            return Ok(());
        }
        check_block(&target, ptr, bytes)?;
        target.deallocate(ptr as usize, Some(bytes))
    })
}

extern "C" fn get_last_native_error(
    _provider: *mut c_void,
    text: *mut *const c_char,
    code: *mut i32,
) -> tables::Result {
    if text.is_null() || code.is_null() {
        return INVALID_ARGUMENT;
    }
    // SAFETY: both are variables of UMF.
    unsafe {
        text.write(error::published());
        code.write(last_status() as i32);
    }
    SUCCESS
}

extern "C" fn get_recommended_page_size(_provider: *mut c_void, bytes: usize, out: *mut usize) -> tables::Result {
    enter(|| write(out, if bytes >= HUGE_PAGE_BYTES { HUGE_PAGE_BYTES } else { PAGE_BYTES }))
}

extern "C" fn get_min_page_size(_provider: *mut c_void, _ptr: *const c_void, out: *mut usize) -> tables::Result {
    enter(|| write(out, PAGE_BYTES))
}

extern "C" fn get_name(_provider: *mut c_void, out: *mut *const c_char) -> tables::Result {
    enter(|| write(out, NAME.as_ptr()))
}

extern "C" fn get_cache_line_size(_provider: *mut c_void, out: *mut usize) -> tables::Result {
    enter(|| write(out, CACHE_LINE_BYTES))
}

fn purge(provider: *mut c_void, ptr: *mut c_void, bytes: usize, zero: bool) -> tables::Result {
    let page = os::page_bytes();
    if !(ptr as usize).is_multiple_of(page) || !bytes.is_multiple_of(page) {
        return INVALID_ALIGNMENT;
    }
    enter(|| target(provider)?.live()?.discard(ptr as usize, bytes, zero))
}

extern "C" fn ext_purge_lazy(provider: *mut c_void, ptr: *mut c_void, bytes: usize) -> tables::Result {
    purge(provider, ptr, bytes, false)
}

extern "C" fn ext_purge_force(provider: *mut c_void, ptr: *mut c_void, bytes: usize) -> tables::Result {
    purge(provider, ptr, bytes, true)
}

extern "C" fn ext_allocation_merge(
    provider: *mut c_void,
    low: *mut c_void,
    high: *mut c_void,
    total: usize,
) -> tables::Result {
    enter(|| target(provider)?.live()?.merge(Client::UMF, low as usize, high as usize, total))
}

extern "C" fn ext_allocation_split(
    provider: *mut c_void,
    ptr: *mut c_void,
    total: usize,
    first: usize,
) -> tables::Result {
    enter(|| target(provider)?.live()?.split(Client::UMF, ptr as usize, total, first))
}
