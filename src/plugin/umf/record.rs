//! The records that UMF's handles point to.
//!
//! Contract: a record is never unmapped, so a stale handle is harmless. A retired record is reused at once.

use super::tables;
use crate::arena::{Arena, Link, Linked, Quarantine};
use crate::error::{Result, fail};
use crate::plugin::Target;
use crate::sys::{checker, os};
use crate::thread::ColdLock;
use crate::types::*;
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::sync::atomic::{AtomicU32, Ordering};

/// A UMF provider, and the functions of libumf that call it.
#[derive(Clone, Copy)]
pub(super) struct Source {
    pub provider: *mut c_void,
    pub functions: Functions,
}

/// The functions of libumf with which a pool calls its provider.
#[derive(Clone, Copy)]
pub(super) struct Functions {
    pub alloc: unsafe extern "C" fn(*mut c_void, usize, usize, *mut *mut c_void) -> tables::Result,
    pub free: unsafe extern "C" fn(*mut c_void, *mut c_void, usize) -> tables::Result,
    pub min_page: unsafe extern "C" fn(*mut c_void, *const c_void, *mut usize) -> tables::Result,
    pub purge: unsafe extern "C" fn(*mut c_void, *mut c_void, usize) -> tables::Result,
}

/// The record of a handle: of a pool over a provider, or of a provider over a pool.
pub(super) struct Record {
    link: Link<Record>,
    body: UnsafeCell<Body>,
    /// Whether the host can access the provider's memory.
    access: AtomicU32,
}

/// No memory has come yet, so it is unknown whether the host can access it.
const UNKNOWN: u32 = 0;
const ACCESSIBLE: u32 = 1;
const INACCESSIBLE: u32 = 2;

#[derive(Clone, Copy)]
struct Body {
    /// The pool that the handle allocates from. None: it does not exist yet.
    target: Option<Target>,
    /// The provider of that pool's memory. None: the record is that of a provider.
    source: Option<Source>,
}

// SAFETY: the body changes only while the record is not shared: before a table returns it, and when UMF ends its use.
unsafe impl Sync for Record {}

impl Linked for Record {
    fn link(&self) -> &Link<Record> {
        &self.link
    }
}

static RECORDS: Arena<Record> = Arena::new();
static FREE: ColdLock<Quarantine<Record>> = ColdLock::new(Quarantine::new());

impl Record {
    /// Makes a record that is not shared yet. None: there is no memory.
    pub fn make(target: Option<Target>, source: Option<Source>) -> Option<&'static Record> {
        let body = Body { target, source };
        let free = FREE.lock().take_beyond(0);
        match free {
            Some(record) => {
                // SAFETY: this call took the record, so nothing else uses it.
                unsafe { *record.body.get() = body };
                record.access.store(UNKNOWN, Ordering::Relaxed);
                Some(record)
            }
            None => RECORDS.get(|| Record {
                link: Link::new(),
                body: UnsafeCell::new(body),
                access: AtomicU32::new(UNKNOWN),
            }),
        }
    }

    /// Retires a record.
    ///
    /// # Safety
    /// - The caller is the last user.
    pub unsafe fn put(&'static self) {
        // SAFETY: the caller's obligation.
        unsafe { *self.body.get() = Body { target: None, source: None } };
        FREE.lock().put(self);
    }

    /// Sets the pool of a record that is not shared yet.
    ///
    /// # Safety
    /// - Only the caller uses the record.
    pub unsafe fn set_target(&self, target: Target) {
        // SAFETY: the caller's obligation.
        unsafe { (*self.body.get()).target = Some(target) };
        self.tell_access();
    }

    /// Finds out, once, whether the host can access the provider's memory, and tells the pool. UMF has no call for
    /// this.
    ///
    /// # Safety
    /// - `new` is memory that just came from the provider, and that only the caller uses.
    pub unsafe fn check_access(&self, new: usize) {
        if self.access.load(Ordering::Relaxed) == UNKNOWN {
            // SAFETY: the caller's obligation; the contents of new memory are unspecified.
            let accessible = checker::without_reports(|| unsafe { os::overwrites(new) });
            self.access.store(if accessible { ACCESSIBLE } else { INACCESSIBLE }, Ordering::Relaxed);
            self.tell_access();
        }
    }

    /// Tells the pool that the host cannot access its memory. Without a pool yet, `set_target` does this.
    fn tell_access(&self) {
        if self.access.load(Ordering::Relaxed) == INACCESSIBLE
            && let Some(pool) = self.body().target.and_then(|target| target.pool())
        {
            pool.set_untouchable();
        }
    }

    /// The record of a handle that UMF passes.
    pub fn of(handle: *mut c_void) -> Option<&'static Record> {
        // SAFETY: NULL, or what a table returned: a record, which is never unmapped.
        unsafe { handle.cast::<Record>().as_ref() }
    }

    /// The record as a handle.
    pub fn handle(&'static self) -> *mut c_void {
        core::ptr::from_ref(self).cast_mut().cast()
    }

    fn body(&self) -> Body {
        // SAFETY: changes only while nothing else uses the record.
        unsafe { *self.body.get() }
    }

    /// The provider of a pool's memory.
    pub fn source(&self) -> Option<Source> {
        self.body().source
    }
}

/// The pool of a handle that UMF passes.
pub(super) fn target(handle: *mut c_void) -> Result<Target> {
    let target = Record::of(handle).and_then(|record| record.body().target);
    target.ok_or_else(|| fail(TN_ERR_INVALID, format_args!("{handle:p} is not a handle that initialize returned")))
}
