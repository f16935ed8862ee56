//! A UMF provider as the upstream of a pool.
//!
//! Contract: the functions of libumf are looked up in the libumf that the process has loaded. Each thread records the
//! last result of a provider, because UMF asks the pool for it (AL-75). A provider that cannot align an allocation gets
//! a request for more bytes, and the pool gets the aligned part.

use super::common::{INVALID_ALIGNMENT, INVALID_ARGUMENT, NOT_SUPPORTED, OUT_OF_HOST_MEMORY, SUCCESS, status_of};
use super::padded;
use super::record::{Functions, Record, Source};
use super::tables;
use crate::sys::os;
use crate::types::*;
use core::cell::Cell;
use core::ffi::c_void;
use core::ptr::{NonNull, null, null_mut};

thread_local! {
    // `const` and without Drop, as those of `error`.
    static LAST_RESULT: Cell<tables::Result> = const { Cell::new(SUCCESS) };
}

/// The last result of a provider on this thread. SUCCESS: no provider was called since [`reset_last_result`], or the
/// last call succeeded.
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

    /// Allocates from the provider.
    fn allocate(&self, bytes: usize, alignment: usize, out: &mut *mut c_void) -> tables::Result {
        // SAFETY: libumf's function, with the provider that it passed.
        unsafe { (self.functions.alloc)(self.provider, bytes, alignment, out) }
    }

    /// The unit of the provider's allocations in bytes; 0: unknown.
    fn page_bytes(&self) -> usize {
        let mut page = 0;
        // SAFETY: libumf's function, with the provider that it passed; `page` is a local variable.
        let is_known = unsafe { (self.functions.min_page)(self.provider, null(), &raw mut page) } == SUCCESS;
        if is_known { page } else { 0 }
    }

    /// Allocates memory that contains an aligned part of `bytes` bytes, from a provider that cannot align as requested.
    #[cold]
    fn allocate_padded(&self, bytes: usize, alignment: usize, out: &mut *mut c_void) -> tables::Result {
        let padding = alignment.checked_next_multiple_of(self.page_bytes().max(1));
        let Some(total) = padding.and_then(|padding| bytes.checked_add(padding)) else { return INVALID_ARGUMENT };
        let mut start = null_mut();
        // 0: the provider's own alignment.
        let result = self.allocate(total, 0, &mut start);
        if result != SUCCESS {
            return result;
        }
        let aligned = (start as usize).next_multiple_of(alignment);
        if !padded::add(aligned, start as usize, total) {
            // SAFETY: libumf's function, with memory that just came from the provider.
            unsafe { (self.functions.free)(self.provider, start, total) };
            return OUT_OF_HOST_MEMORY;
        }
        *out = aligned as *mut c_void;
        SUCCESS
    }

    /// The upstream of a pool. `record` has this source; the end of the pool retires it.
    pub fn upstream(&self, record: &'static Record) -> tn_upstream {
        tn_upstream {
            size: size_of::<tn_upstream>(),
            context: record.handle(),
            granularity: self.page_bytes(),
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
    let Some((record, source)) = Record::of(context).and_then(|record| Some((record, record.source()?))) else {
        LAST_RESULT.set(INVALID_ARGUMENT);
        return status_of(INVALID_ARGUMENT);
    };
    let mut start = null_mut();
    let mut result = source.allocate(bytes, alignment, &mut start);
    if matches!(result, INVALID_ALIGNMENT | NOT_SUPPORTED) {
        result = source.allocate_padded(bytes, alignment, &mut start);
    }
    LAST_RESULT.set(result);
    if result == SUCCESS {
        // SAFETY: new memory of at least a page, if the provider is right, which no other thread knows yet.
        unsafe { record.check_access(start as usize) };
        // SAFETY: a variable of the pool.
        unsafe { out.write(start) };
    }
    status_of(result)
}

unsafe extern "C" fn deallocate(
    context: *mut c_void,
    ptr: *mut c_void,
    bytes: usize,
    _native_stream: u64,
) -> tn_status {
    let Some(source) = source(context) else { return status_of(INVALID_ARGUMENT) };
    let (start, bytes) = padded::take(ptr as usize).unwrap_or((ptr as usize, bytes));
    // SAFETY: libumf's function, with the provider that it passed; the memory came from there.
    status_of(unsafe { (source.functions.free)(source.provider, start as *mut c_void, bytes) })
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
