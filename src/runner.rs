//! Work on threads of the caller's: the library has none.
//!
//! Contract: a runner belongs to the thread that set it, and only that thread's work goes to it. [`each`] runs a body for every index
//! once, on whatever threads the runner brings and on its own, and returns when all are done, also if the runner did less than it should:
//! what no task took is done here, what a task has begun is waited for. Bodies run under no lock, call nothing back and do not panic.
//! Nothing is allocated. Unsafe: the callback of the caller's, and a pointer to the work, which stands on the stack of `each`.

use crate::types::*;
use core::cell::Cell;
use core::ffi::c_void;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Bytes from which on a copy is divided, where the runner says nothing: it takes tens of microseconds, a hand-over some.
const LEAST_BYTES: usize = 1 << 20;
/// Parts per task: a task that is held up leaves its share to the others.
const PARTS: usize = 4;
/// No part has fewer bytes.
const LEAST_PART: usize = 128 << 10;
/// Work on fewer bytes is never divided.
pub const LEAST: usize = 2 * LEAST_PART;

const NONE: tn_runner =
    tn_runner { size: size_of::<tn_runner>(), run: None, context: core::ptr::null_mut(), threads: 0, least_bytes: 0 };

thread_local! {
    // `const` and without Drop, so nothing is registered.
    static CURRENT: Cell<tn_runner> = const { Cell::new(NONE) };
}

/// The calling thread's runner; `run` is NULL where it has none.
pub fn current() -> tn_runner {
    CURRENT.get()
}

/// Sets the calling thread's runner.
pub fn set_current(runner: Option<tn_runner>) {
    CURRENT.set(tn_runner { size: NONE.size, ..runner.unwrap_or(NONE) });
}

/// Into how many parts the calling thread's runner divides work on so many bytes; 1: it does not.
#[inline]
pub fn parts(bytes: usize) -> usize {
    // Smaller work does not look: that would cost it more than it could gain.
    if bytes < LEAST { 1 } else { parts_by(&CURRENT.get(), bytes) }
}

fn parts_by(runner: &tn_runner, bytes: usize) -> usize {
    let least = if runner.least_bytes == 0 { LEAST_BYTES } else { runner.least_bytes };
    match runner.run {
        Some(_) if runner.threads > 1 && bytes >= least => {
            runner.threads.saturating_mul(PARTS).min(bytes / LEAST_PART).max(1)
        }
        _ => 1,
    }
}

/// Work that is going on.
struct Work<'a> {
    body: &'a (dyn Fn(usize) + Sync),
    count: usize,
    /// The first index that nobody has taken.
    next: AtomicUsize,
    /// How many are done.
    done: AtomicUsize,
}

impl Work<'_> {
    /// Takes one index after the other until none is left.
    fn take_all(&self) {
        loop {
            // Relaxed: it only deals out numbers.
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= self.count {
                return;
            }
            (self.body)(index);
            // Release: pairs with the Acquire in `each`.
            self.done.fetch_add(1, Ordering::Release);
        }
    }
}

/// # Safety
/// - `argument` is the work of an `each` that has not returned.
unsafe extern "C" fn task(argument: *mut c_void, _index: usize) {
    // SAFETY: the caller's promise, which `tn_run_callback` makes.
    unsafe { &*argument.cast::<Work<'_>>() }.take_all();
}

/// Runs `body` for every index below `count`, on the calling thread's runner if it has one.
pub fn each(count: usize, body: &(dyn Fn(usize) + Sync)) {
    let work = Work { body, count, next: AtomicUsize::new(0), done: AtomicUsize::new(0) };
    let runner = CURRENT.get();
    if let Some(run) = runner.run.filter(|_| count > 1) {
        let argument = (&raw const work).cast_mut().cast();
        // SAFETY: the caller of `tn_runner_set_current` vouches for both, and that no task is called after `run` has returned.
        unsafe { run(runner.context, Some(task), argument, runner.threads.min(count)) };
    }
    work.take_all();
    // Acquire: pairs with the Release in `take_all`, so that what other threads wrote is there.
    while work.done.load(Ordering::Acquire) < count {
        std::thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runner(run: tn_run_callback, threads: usize, least_bytes: usize) -> tn_runner {
        tn_runner { run, threads, least_bytes, ..NONE }
    }

    /// Calls only the tasks of even index.
    unsafe extern "C" fn half(_: *mut c_void, task: tn_task, argument: *mut c_void, count: usize) {
        for index in (0..count).step_by(2) {
            // SAFETY: before it returns.
            unsafe { task.unwrap()(argument, index) };
        }
    }

    unsafe extern "C" fn lazy(_: *mut c_void, _: tn_task, _: *mut c_void, _: usize) {}

    #[test]
    fn work_is_divided_from_the_runners_limit_on() {
        assert_eq!(parts_by(&NONE, 1 << 30), 1);
        assert_eq!(parts_by(&runner(Some(lazy), 1, 0), 1 << 30), 1);
        assert_eq!(parts_by(&runner(Some(lazy), 2, 0), LEAST_BYTES - 1), 1);
        assert_eq!(parts_by(&runner(Some(lazy), 2, 0), LEAST_BYTES), 8);
        assert_eq!(parts_by(&runner(Some(lazy), 2, 1 << 30), 1 << 29), 1);
        assert_eq!(parts_by(&runner(Some(lazy), usize::MAX, 0), 4 << 20), 32);
    }

    #[test]
    fn every_index_is_run_once_whatever_the_runner_does() {
        for run in [None, Some(half as unsafe extern "C" fn(_, _, _, _)), Some(lazy)] {
            set_current(Some(runner(run, 3, 0)));
            let seen: Vec<AtomicUsize> = (0..10).map(|_| AtomicUsize::new(0)).collect();
            each(seen.len(), &|index| {
                seen[index].fetch_add(1, Ordering::Relaxed);
            });
            assert!(seen.iter().all(|count| count.load(Ordering::Relaxed) == 1));
        }
        set_current(None);
        assert!(current().run.is_none());
    }
}
