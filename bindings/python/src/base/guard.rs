//! HEAD

use crate::api::{self, Id};
use crate::types::*;
use core::sync::atomic::{AtomicBool, AtomicIsize, AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;

/// Guards whose block ended while a view of theirs is still alive.
static LINGERING: AtomicUsize = AtomicUsize::new(0);

/// What to add to the text of a conflict: the reason that is hardest to see.
pub fn hint() -> &'static str {
    match LINGERING.load(Ordering::Relaxed) {
        0 => "",
        _ => " (a view that a `with` block of a borrow handed out is still referred to; the borrow ends when it goes)",
    }
}

/// One guard of the library, ended once: when its block is over and no view is left.
pub struct Guard {
    id: AtomicU64,
    views: AtomicIsize,
    /// The block is over, or there never was one.
    over: AtomicBool,
    failed: AtomicBool,
    lingers: AtomicBool,
}

impl Guard {
    pub fn new(id: Id, over: bool) -> Arc<Guard> {
        Arc::new(Guard {
            id: AtomicU64::new(id.0),
            views: AtomicIsize::new(0),
            over: AtomicBool::new(over),
            failed: AtomicBool::new(false),
            lingers: AtomicBool::new(false),
        })
    }

    fn end(&self) {
        let id = self.id.swap(0, Ordering::AcqRel);
        if id == 0 {
            return;
        }
        if self.lingers.load(Ordering::Relaxed) {
            LINGERING.fetch_sub(1, Ordering::Relaxed);
        }
        let failed = if self.failed.load(Ordering::Relaxed) { TN_END_FAILED } else { 0 };
        // An open guard ends; a status here would mean that C code ended it, and then it is ended.
        let _ = api::borrow_end(Id(id), failed);
    }

    /// Whether the library's guard has not ended.
    pub fn is_open(&self) -> bool {
        self.id.load(Ordering::Acquire) != 0
    }

    /// One more view keeps the guard open.
    pub fn view_made(&self) {
        self.views.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether an exception left the block.
    pub fn mark_failed(&self, failed: bool) {
        self.failed.store(failed, Ordering::Relaxed);
    }

    pub fn view_gone(&self) {
        if self.views.fetch_sub(1, Ordering::AcqRel) == 1 && self.over.load(Ordering::Acquire) {
            self.end();
        }
    }

    /// The block is over. True: a view keeps the guard.
    pub fn close(&self, failed: bool) -> bool {
        self.failed.store(failed, Ordering::Relaxed);
        self.over.store(true, Ordering::Release);
        if self.views.load(Ordering::Acquire) == 0 {
            self.end();
            return false;
        }
        self.lingers.store(true, Ordering::Relaxed);
        LINGERING.fetch_add(1, Ordering::Relaxed);
        true
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.end();
    }
}
