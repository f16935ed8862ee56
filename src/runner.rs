//! Runs parts of large copies, and kernels of the host, on the caller's threads. The library starts none.
//!
//! Contract: a runner belongs to the thread that set it, and runs only that thread's work. [`each`] runs a body once
//! for every index, on the runner's threads and the calling thread. It returns when all indices are done, also if the
//! runner calls too few tasks. Indices that no task took run on the calling thread. Bodies run under no lock and do not
//! panic; only kernels of the host call functions of the caller. Nothing is allocated. Unsafe: calling the caller's
//! callback, and the pointer to the `Work` on the stack of `each`.

use crate::types::*;
use core::cell::Cell;
use core::ffi::c_void;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Smaller copies are not divided, unless the runner has its own limit. Such a copy takes tens of microseconds; handing
/// work to another thread takes several.
const DEFAULT_MIN_BYTES: usize = 1 << 20;
/// With several parts per task, other tasks take over the parts of a delayed task.
const PARTS_PER_TASK: usize = 4;
/// The least size of a part.
const MIN_PART_BYTES: usize = 128 << 10;
/// Work on fewer bytes is never divided.
pub const MIN_DIVIDED_BYTES: usize = 2 * MIN_PART_BYTES;

const NONE: tn_runner =
    tn_runner { size: size_of::<tn_runner>(), run: None, context: core::ptr::null_mut(), threads: 0, least_bytes: 0 };

thread_local! {
    // `const` and without Drop, so nothing is registered.
    static CURRENT: Cell<tn_runner> = const { Cell::new(NONE) };
}

/// The calling thread's runner; `run` is None if it has none.
pub fn current() -> tn_runner {
    CURRENT.get()
}

/// Sets the calling thread's runner.
pub fn set_current(runner: Option<tn_runner>) {
    CURRENT.set(tn_runner { size: NONE.size, ..runner.unwrap_or(NONE) });
}

/// The number of threads on which the calling thread's runner runs tasks; 1: there is no runner.
pub fn threads() -> usize {
    let runner = CURRENT.get();
    if runner.run.is_some() { runner.threads.max(1) } else { 1 }
}

/// The number of parts into which the calling thread's runner divides work on `bytes` bytes; 1: not divided.
#[inline]
pub fn parts(bytes: usize) -> usize {
    // Small work does not read the runner, which would cost more than it could gain.
    if bytes < MIN_DIVIDED_BYTES { 1 } else { parts_by(&CURRENT.get(), bytes) }
}

fn parts_by(runner: &tn_runner, bytes: usize) -> usize {
    let least = if runner.least_bytes == 0 { DEFAULT_MIN_BYTES } else { runner.least_bytes };
    match runner.run {
        Some(_) if runner.threads > 1 && bytes >= least => {
            runner.threads.saturating_mul(PARTS_PER_TASK).min(bytes / MIN_PART_BYTES).max(1)
        }
        _ => 1,
    }
}

/// One call of [`each`], shared with its tasks.
struct Work<'a> {
    body: &'a (dyn Fn(usize) + Sync),
    count: usize,
    /// The first index that no thread has taken.
    next: AtomicUsize,
    /// The number of indices that are done.
    done: AtomicUsize,
}

impl Work<'_> {
    /// Takes indices and runs them until none is left.
    fn take_all(&self) {
        loop {
            // Relaxed: it only hands out numbers.
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
/// - `argument` points to the [`Work`] of an [`each`] that has not returned.
unsafe extern "C" fn task(argument: *mut c_void, _index: usize) {
    // SAFETY: the caller's obligation, which `tn_run_callback` makes.
    unsafe { &*argument.cast::<Work<'_>>() }.take_all();
}

/// Runs `body` for every index below `count`, on the calling thread's runner if it has one.
pub fn each(count: usize, body: &(dyn Fn(usize) + Sync)) {
    let work = Work { body, count, next: AtomicUsize::new(0), done: AtomicUsize::new(0) };
    let runner = CURRENT.get();
    if let Some(run) = runner.run.filter(|_| count > 1) {
        let argument = (&raw const work).cast_mut().cast();
        // SAFETY: the caller of `tn_runner_set_current` guarantees that `run` and `context` are valid, and that `run`
        // calls no task after it returned.
        unsafe { run(runner.context, Some(task), argument, runner.threads.min(count)) };
    }
    work.take_all();
    // Acquire: pairs with the Release in `take_all`, so that the writes of other threads are visible.
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
        assert_eq!(parts_by(&runner(Some(lazy), 2, 0), DEFAULT_MIN_BYTES - 1), 1);
        assert_eq!(parts_by(&runner(Some(lazy), 2, 0), DEFAULT_MIN_BYTES), 8);
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
