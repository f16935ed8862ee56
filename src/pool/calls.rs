//! The upstream callbacks that are running on a thread.
//!
//! Contract: a callback may call the library, but not the pool that runs it. Such a call returns a status code.

use crate::pool::Pool;
use crate::thread::{self, Area, PerThread, Thread, area};
use core::cell::Cell;
use core::ptr::null;

/// A running callback. Lies on the stack of its thread.
struct Frame {
    pool: &'static Pool,
    /// The callback in which this one was made; NULL: none.
    outer: *const Frame,
}

/// A thread's innermost callback; NULL: none.
struct Calls(Cell<*const Frame>);

// SAFETY: zeros are valid and mean no callback. Only the thread, or its exit hook, touches it. The area is for this
// type.
unsafe impl PerThread for Calls {
    const AREA: Area = area::POOL_CALLS;
}

/// Runs a callback of a pool's upstream on the calling thread.
pub(super) fn run<R>(thread: &'static Thread, pool: &'static Pool, callback: impl FnOnce() -> R) -> R {
    thread::on_exit(forget);
    let innermost = &Calls::of(thread).0;
    let frame = Frame { pool, outer: innermost.get() };
    innermost.set(&raw const frame);
    let result = callback();
    innermost.set(frame.outer);
    result
}

/// Exit hook. In the child of a fork it also runs for the other threads, whose stacks are gone.
fn forget(thread: &'static Thread) {
    Calls::of(thread).0.set(null());
}

/// Whether a callback is running on the calling thread.
#[inline(always)]
pub(super) fn is_any(thread: &'static Thread) -> bool {
    !Calls::of(thread).0.get().is_null()
}

/// Whether a callback of this pool's upstream is running on the calling thread.
#[inline]
pub(super) fn is_of(thread: &'static Thread, pool: &Pool) -> bool {
    is_any(thread) && finds(thread, pool)
}

#[cold]
fn finds(thread: &'static Thread, pool: &Pool) -> bool {
    let mut at = Calls::of(thread).0.get();
    // SAFETY: NULL, or a frame of this thread's stack, which lives until `run` has taken it off.
    while let Some(frame) = unsafe { at.as_ref() } {
        if core::ptr::eq(frame.pool, pool) {
            return true;
        }
        at = frame.outer;
    }
    false
}
