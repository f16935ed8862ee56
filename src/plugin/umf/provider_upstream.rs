//! A UMF provider as the upstream of one of our pools.
//!
//! Contract: the functions of libumf are those that the process has loaded, found when they are needed. What the provider answered last
//! on this thread is remembered, because UMF asks the pool for it (AL-75).

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
    static ANSWER: Cell<tables::Result> = const { Cell::new(SUCCESS) };
}

/// What a provider answered on this thread since the last call with `forget`, if it refused; SUCCESS: it did not.
pub(super) fn refused() -> tables::Result {
    ANSWER.get()
}

/// A request begins, for which no provider was asked yet.
pub(super) fn forget() {
    ANSWER.set(SUCCESS);
}

impl Source {
    /// The upstream of a provider's. None: the process has no libumf.
    pub fn find(provider: *mut c_void) -> Option<Source> {
        let symbol = |name| os::symbol(c"libumf.so.1", name);
        let (alloc, free) = (symbol(c"umfMemoryProviderAlloc")?, symbol(c"umfMemoryProviderFree")?);
        let (min_page, purge) = (symbol(c"umfMemoryProviderGetMinPageSize")?, symbol(c"umfMemoryProviderPurgeLazy")?);
        type Pointer = NonNull<c_void>;
        // SAFETY: libumf's functions of these names have these signatures, in all versions with the tables that we know.
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

    /// The upstream; `record` has this source and is put back when the pool is gone.
    pub fn upstream(&self, record: &'static Record) -> tn_upstream {
        let mut page = 0;
        // SAFETY: libumf's function, with the provider that it passed; the output is ours.
        let known = unsafe { (self.functions.min_page)(self.provider, null(), &raw mut page) } == SUCCESS;
        tn_upstream {
            size: size_of::<tn_upstream>(),
            context: record.handle(),
            granularity: if known { page } else { 0 },
            alignment: 0,
            // UMF asks of every provider that it can be called by several threads.
            flags: TN_UPSTREAM_THREAD_SAFE,
            reserved: 0,
            allocate: Some(allocate),
            deallocate: Some(deallocate),
            purge: Some(purge),
            release: Some(release),
        }
    }
}

/// The source behind a context.
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
    // SAFETY: libumf's function, with the provider that it passed; `out` is the pool's.
    let answer = source(context)
        .map_or(INVALID_ARGUMENT, |source| unsafe { (source.functions.alloc)(source.provider, bytes, alignment, out) });
    ANSWER.set(answer);
    status_of(answer)
}

unsafe extern "C" fn deallocate(
    context: *mut c_void,
    ptr: *mut c_void,
    bytes: usize,
    _native_stream: u64,
) -> tn_status {
    // SAFETY: as in `allocate`, and what came from there.
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
        // SAFETY: the last callback of the pool.
        unsafe { record.put() };
    }
}
