//! UMF, the unified memory framework: its two tables of operations, so that a UMF pool is one of ours over any UMF provider, and a UMF
//! provider takes its memory from one of our pools.
//!
//! Contract: tables are static, one for each version of UMF's layouts. libumf is not linked: what a pool needs of it is found in the
//! process when a pool is made. Behind a handle of UMF lies a record of ours, which is never unmapped. Nothing here counts on UMF's
//! checks: a wrong pointer or size is a result, and changes nothing.

mod pool;

mod provider;

mod provider_upstream;

mod tables;

use super::Target;
use crate::error::fail;
use crate::sys::os;
use crate::thread::ColdLock;
use crate::types::*;
use core::ptr::{NonNull, null_mut};
use provider_upstream::Source;
pub use tables::{PoolOps, ProviderOps};

/// UMF's results that we use.
const SUCCESS: tables::Result = 0;
const OUT_OF_HOST_MEMORY: tables::Result = 1;
const PROVIDER_SPECIFIC: tables::Result = 2;
const INVALID_ARGUMENT: tables::Result = 3;
const INVALID_ALIGNMENT: tables::Result = 4;
const NOT_SUPPORTED: tables::Result = 5;
const USER_SPECIFIC: tables::Result = 6;
const DEPENDENCY_UNAVAILABLE: tables::Result = 7;
const OUT_OF_RESOURCES: tables::Result = 8;
const INVALID_CTL_PATH: tables::Result = 9;
const UNKNOWN: tables::Result = 0x7fff_fffe;

/// What both call themselves.
const NAME: &core::ffi::CStr = c"tenure";

/// The result that says what a status does (AL-80).
fn result_of(status: tn_status) -> tables::Result {
    match status {
        TN_OK => SUCCESS,
        TN_ERR_NO_HOST_MEMORY => OUT_OF_HOST_MEMORY,
        TN_ERR_DRIVER => PROVIDER_SPECIFIC,
        TN_ERR_NULL | TN_ERR_INVALID | TN_ERR_RANGE | TN_ERR_STALE | TN_ERR_KIND | TN_ERR_FOREIGN | TN_ERR_SHARED => {
            INVALID_ARGUMENT
        }
        TN_ERR_LAYOUT => INVALID_ALIGNMENT,
        TN_ERR_UNSUPPORTED => NOT_SUPPORTED,
        TN_ERR_FAILED => USER_SPECIFIC,
        TN_ERR_NO_DEVICE_MEMORY | TN_ERR_POOL_LIMIT => OUT_OF_RESOURCES,
        _ => UNKNOWN,
    }
}

/// The other way (AL-82).
fn status_of(result: tables::Result) -> tn_status {
    match result {
        SUCCESS => TN_OK,
        OUT_OF_HOST_MEMORY => TN_ERR_NO_HOST_MEMORY,
        PROVIDER_SPECIFIC => TN_ERR_DRIVER,
        INVALID_ARGUMENT => TN_ERR_INVALID,
        INVALID_ALIGNMENT => TN_ERR_LAYOUT,
        NOT_SUPPORTED => TN_ERR_UNSUPPORTED,
        OUT_OF_RESOURCES => TN_ERR_NO_DEVICE_MEMORY,
        _ => TN_ERR_FAILED,
    }
}

/// The minor version to give for one that is asked for: the newest that we have, if the caller knows it. TN_ERR_UNSUPPORTED for another
/// major version.
fn minor_of(version: u32, newest: u32) -> crate::error::Result<usize> {
    if version >> 16 != 1 {
        return Err(fail(
            TN_ERR_UNSUPPORTED,
            format_args!(
                "version {version:#x} is of major version {}; there are tables of 0x10000 and up",
                version >> 16
            ),
        ));
    }
    Ok((version & 0xffff).min(newest) as usize)
}

/// UMF's table of operations of a pool, for a version of its layout.
pub fn pool_ops(version: u32) -> crate::error::Result<*const PoolOps> {
    let minor = minor_of(version, pool::TABLES.len() as u32 - 1)?;
    os::pin_library();
    Ok(&raw const pool::TABLES[minor])
}

/// UMF's table of operations of a provider, likewise.
pub fn provider_ops(version: u32) -> crate::error::Result<*const ProviderOps> {
    let minor = minor_of(version, provider::TABLES.len() as u32 - 1)?;
    os::pin_library();
    Ok(&raw const provider::TABLES[minor])
}

/// What stands behind a handle of UMF.
struct Record {
    /// The pool that it allocates from, once that is there.
    target: Option<Target>,
    /// A pool's: where its memory comes from.
    source: Option<Source>,
    next: *mut Record,
}

/// Records that nobody uses, and room for more.
struct Places {
    free: *mut Record,
    next: usize,
    left: usize,
}

// SAFETY: the pointers lead to records that nobody else has.
unsafe impl Send for Places {}

static PLACES: ColdLock<Places> = ColdLock::new(Places { free: null_mut(), next: 0, left: 0 });

impl Record {
    /// A new one. None: no memory.
    fn make(record: Record) -> Option<NonNull<Record>> {
        let mut places = PLACES.lock();
        let place = match NonNull::new(places.free) {
            Some(place) => {
                // SAFETY: a record that was put back, with the link that `put` wrote.
                places.free = unsafe { place.read() }.next;
                place
            }
            None => {
                if places.left < size_of::<Record>() {
                    let page = os::page_bytes();
                    (places.next, places.left) = (os::arena(page)?.as_ptr() as usize, page);
                }
                let place = NonNull::new(places.next as *mut Record)?;
                (places.next, places.left) = (places.next + size_of::<Record>(), places.left - size_of::<Record>());
                place
            }
        };
        // SAFETY: memory for a record, aligned, that is this call's alone.
        unsafe { place.write(record) };
        Some(place)
    }

    /// Back to the others.
    fn put(place: NonNull<Record>) {
        let mut places = PLACES.lock();
        // SAFETY: the caller was the last who had it.
        unsafe { place.write(Record { target: None, source: None, next: places.free }) };
        places.free = place.as_ptr();
    }

    /// That of a handle that UMF passes.
    fn of<'a>(handle: *mut core::ffi::c_void) -> Option<&'a Record> {
        // SAFETY: NULL, or what `initialize` of one of the tables gave, and records are never unmapped.
        unsafe { handle.cast::<Record>().as_ref() }
    }
}

/// The pool of a handle that UMF passes.
fn target(handle: *mut core::ffi::c_void) -> crate::error::Result<&'static Target> {
    let target = Record::of(handle).and_then(|record| record.target.as_ref());
    target.ok_or_else(|| fail(TN_ERR_INVALID, format_args!("{handle:p} is no handle that initialize gave")))
}

/// Writes an output of UMF's.
fn write<T>(out: *mut T, value: T) -> crate::error::Result<()> {
    if out.is_null() {
        return Err(fail(TN_ERR_NULL, format_args!("an output is NULL")));
    }
    // SAFETY: not NULL, and UMF's own variable.
    unsafe { out.write(value) };
    Ok(())
}

/// A figure of a pool by the path that UMF's control functions take: "stats.used". None: no such path.
fn figure(stats: &tn_pool_stats, path: &[u8]) -> Option<u64> {
    let name = path.strip_prefix(b"stats.")?;
    match name {
        b"used" | b"used_memory" | b"allocated_memory" => Some(stats.in_use_bytes),
        b"reserved" | b"reserved_memory" => Some(stats.reserved_bytes),
        b"peak" | b"peak_memory" => Some(stats.peak_in_use_bytes),
        b"alloc_count" => Some(stats.live_blocks),
        _ => None,
    }
}

/// Reading a figure is the only control that there is.
extern "C" fn control(
    of: *mut core::ffi::c_void,
    _source: i32,
    name: *const core::ffi::c_char,
    arg: *mut core::ffi::c_void,
    size: usize,
    query: i32,
    _more: *mut core::ffi::c_void,
) -> tables::Result {
    const READ: i32 = 0;
    let mut result = INVALID_CTL_PATH;
    crate::boundary::enter("tn_umf ext_ctl", || {
        if name.is_null() {
            result = INVALID_ARGUMENT;
            return Ok(());
        }
        // SAFETY: a text of UMF's.
        let path = unsafe { core::ffi::CStr::from_ptr(name) }.to_bytes();
        let stats = target(of)?.pool().map(crate::pool::Pool::query).unwrap_or_default();
        if let Some(value) = figure(&stats, path) {
            result = SUCCESS;
            if query != READ || arg.is_null() || size != size_of::<u64>() {
                result = INVALID_ARGUMENT;
                return Ok(());
            }
            // SAFETY: so many bytes, by the size that was passed.
            unsafe { arg.cast::<u64>().write_unaligned(value) };
        }
        Ok(())
    });
    result
}
