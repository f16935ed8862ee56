//! A UMF provider as the upstream of a pool.
//!
//! Contract: the functions of libumf are looked up in the libumf that the process has loaded. Each thread records the last result of a
//! provider, because UMF asks the pool for it (AL-75).

use super::common::{INVALID_ARGUMENT, SUCCESS, status_of};
use super::record::{Functions, Record, Source};
use super::tables;
use crate::sys::os;
use crate::types::*;
use core::cell::Cell;
use core::ffi::c_void;
use core::ptr::{NonNull, null};

thread_local! {
    // `const` and without Drop, as those of `error`.
    static LAST_RESULT: Cell<tables::Result> = const { Cell::new(SUCCESS) };
}

/// The last result of a provider on this thread. SUCCESS: no provider was called since [`reset_last_result`], or the last call succeeded.
pub(super) fn last_result() -> tables::Result {
    LAST_RESULT.get()
}

/// Resets [`last_result`] at the start of a request.
pub(super) fn reset_last_result() {
    LAST_RESULT.set(SUCCESS);
}

impl Source {
    /// The source for a provider. None: the process has not loaded libumf.
    pub fn find(provider: *mut c_void) -> Option<Source> {
        let symbol = |name| os::symbol(c"libumf.so.1", name);
        let (alloc, free) = (symbol(c"umfMemoryProviderAlloc")?, symbol(c"umfMemoryProviderFree")?);
        let (min_page, purge) = (symbol(c"umfMemoryProviderGetMinPageSize")?, symbol(c"umfMemoryProviderPurgeLazy")?);
        type Pointer = NonNull<c_void>;
        // SAFETY: libumf's functions of these names have these signatures in every version of major version 1.
        let functions = unsafe {
            Functions {
                alloc: core::mem::transmute::<Pointer, unsafe extern "C" fn(_, _, _, _) -> _>(alloc),
                free: core::mem::transmute::<Pointer, unsafe extern "C" fn(_, _, _) -> _>(free),
                min_page: core::mem::transmute::<Pointer, unsafe extern "C" fn(_, _, _) -> _>(min_page),
                purge: core::mem::transmute::<Pointer, unsafe extern "C" fn(_, _, _) -> _>(purge),
            }
        };
        Some(Source { provider, functions })
    }

    /// The upstream of a pool. `record` has this source; the end of the pool retires it.
    pub fn upstream(&self, record: &'static Record) -> tn_upstream {
        let mut page = 0;
        // SAFETY: libumf's function, with the provider that it passed; `page` is a local variable.
        let is_known = unsafe { (self.functions.min_page)(self.provider, null(), &raw mut page) } == SUCCESS;
        tn_upstream {
            size: size_of::<tn_upstream>(),
            context: record.handle(),
            granularity: if is_known { page } else { 0 },
            alignment: 0,
            // UMF requires every provider to be thread-safe.
            flags: TN_UPSTREAM_THREAD_SAFE,
            reserved: 0,
            allocate: Some(allocate),
            deallocate: Some(deallocate),
            purge: Some(purge),
            release: Some(release),
        }
    }
}

/// The source of a context.
fn source(context: *mut c_void) -> Option<Source> {
    Record::of(context).and_then(Record::source)
}

unsafe extern "C" fn allocate(
    context: *mut c_void,
    bytes: usize,
    alignment: usize,
    _native_stream: u64,
    out: *mut *mut c_void,
) -> tn_status {
    // SAFETY: libumf's function, with the provider that it passed; `out` is a variable of the pool.
    let result = source(context)
        .map_or(INVALID_ARGUMENT, |source| unsafe { (source.functions.alloc)(source.provider, bytes, alignment, out) });
    LAST_RESULT.set(result);
    status_of(result)
}

unsafe extern "C" fn deallocate(
    context: *mut c_void,
    ptr: *mut c_void,
    bytes: usize,
    _native_stream: u64,
) -> tn_status {
    // SAFETY: as in `allocate`; the memory came from there.
    status_of(
        source(context)
            .map_or(INVALID_ARGUMENT, |source| unsafe { (source.functions.free)(source.provider, ptr, bytes) }),
    )
}

unsafe extern "C" fn purge(context: *mut c_void, ptr: *mut c_void, bytes: usize) -> tn_status {
    // SAFETY: as in `deallocate`.
    status_of(
        source(context)
            .map_or(INVALID_ARGUMENT, |source| unsafe { (source.functions.purge)(source.provider, ptr, bytes) }),
    )
}

unsafe extern "C" fn release(context: *mut c_void) {
    if let Some(record) = Record::of(context) {
        // SAFETY: this is the pool's last callback.
        unsafe { record.put() };
    }
}
