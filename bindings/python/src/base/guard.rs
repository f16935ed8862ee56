//! One guard of the library that a `with` block and the views from it share, and what keeps the bytes of views that
//! outlive the block.
//!
//! Contract: the guard ends exactly once, when its block is over and no view is left. Ending needs no interpreter.

use crate::api::{self, Id};
use crate::sys::*;
use core::cell::Cell;
use core::sync::atomic::{AtomicBool, AtomicIsize, AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;

/// Number of guards that outlive their block, because code still refers to a view.
static LINGERING: AtomicUsize = AtomicUsize::new(0);

/// Number of exports that keep the bytes of such views: [`Kept::Export`].
static KEPT_EXPORTS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Number of `with` blocks with a write borrow that this thread entered and did not leave. It only chooses a hint,
    /// so a block that another thread leaves does no harm.
    static WRITE_BLOCKS: Cell<i32> = const { Cell::new(0) };
}

/// Counts a `with` block with a write borrow that this thread enters (1) or leaves (-1).
pub fn count_write_block(more: i32) {
    WRITE_BLOCKS.set((WRITE_BLOCKS.get() + more).max(0));
}

/// The addition to the message of a conflict with a borrow or an export, for causes that are hard to see: the program
/// is inside the block itself, or views outlive their block.
pub fn hint(status: tn_status) -> &'static str {
    if status == TN_ERR_EXPORTED {
        return match KEPT_EXPORTS.load(Ordering::Relaxed) {
            0 => "",
            _ => " (perhaps a view from an ended `with` block or a part of one, such as a loop variable: del it)",
        };
    }
    if status == TN_ERR_BORROWED_WRITE && WRITE_BLOCKS.get() > 0 {
        return "; inside the block of that borrow, use the view: v in `with x.write() as v:`";
    }
    match LINGERING.load(Ordering::Relaxed) {
        0 => "",
        _ => {
            " (some code still refers to a view from an ended `with` block; that borrow ends when the view is deleted)"
        }
    }
}

/// What keeps the bytes of views that outlive their block, in place of the guard. Dropping it ends that.
pub enum Kept {
    /// A shared or read-only view, as `numpy.asarray(x)` opens one. Made by [`Kept::export`], which counts it.
    Export(Id),
    /// A claim, where an export was refused: the bytes are poisoned, or an expression needs them.
    Claim(Id),
}

impl Kept {
    /// Takes over an open export.
    pub fn export(guard: Id) -> Kept {
        KEPT_EXPORTS.fetch_add(1, Ordering::Relaxed);
        Kept::Export(guard)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Kept::Export(_) = self {
            KEPT_EXPORTS.fetch_sub(1, Ordering::Relaxed);
        }
        // Neither fails for an open handle, and there is no caller to report to.
        let _ = match *self {
            Kept::Export(guard) => api::borrow_end(guard, 0),
            Kept::Claim(array) => api::release(array),
        };
    }
}

/// A guard with the count of views that keep it open.
pub struct Guard {
    id: AtomicU64,
    views: AtomicIsize,
    /// The block has ended, or there never was one.
    over: AtomicBool,
    failed: AtomicBool,
    lingers: AtomicBool,
}

impl Guard {
    /// `over`: there is no block; the guard ends with its last view.
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
        // An open guard always ends. A failure means that C code ended it before.
        let _ = api::borrow_end(Id(id), failed);
    }

    /// Whether the guard has not ended yet.
    pub fn is_open(&self) -> bool {
        self.id.load(Ordering::Acquire) != 0
    }

    /// Counts a view, which keeps the guard open.
    pub fn view_made(&self) {
        self.views.fetch_add(1, Ordering::AcqRel);
    }

    /// Notes whether an exception left the block.
    pub fn mark_failed(&self, failed: bool) {
        self.failed.store(failed, Ordering::Relaxed);
    }

    /// Counts a view less; the last one after the block ends the guard.
    pub fn view_gone(&self) {
        if self.views.fetch_sub(1, Ordering::AcqRel) == 1 && self.over.load(Ordering::Acquire) {
            self.end();
        }
    }

    /// Ends the block and the guard, whatever refers to its views. Something else keeps their bytes.
    pub fn finish(&self, failed: bool) {
        self.failed.store(failed, Ordering::Relaxed);
        self.over.store(true, Ordering::Release);
        self.end();
    }

    /// As [`Guard::finish`], by `end`, which gets the guard and TN_END_FAILED or 0.
    pub fn finish_by<E>(&self, end: impl FnOnce(Id, u32) -> Result<(), E>) -> Result<(), E> {
        self.over.store(true, Ordering::Release);
        let flags = if self.failed.load(Ordering::Relaxed) { TN_END_FAILED } else { 0 };
        match self.id.swap(0, Ordering::AcqRel) {
            0 => Ok(()),
            // A guard that could not end is still ours.
            id => end(Id(id), flags).inspect_err(|_| self.id.store(id, Ordering::Release)),
        }
    }

    /// Ends the block, and the guard unless a view keeps it open.
    pub fn close(&self, failed: bool) {
        self.failed.store(failed, Ordering::Relaxed);
        self.over.store(true, Ordering::Release);
        if self.views.load(Ordering::Acquire) == 0 {
            self.end();
            return;
        }
        self.lingers.store(true, Ordering::Relaxed);
        LINGERING.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.end();
    }
}
