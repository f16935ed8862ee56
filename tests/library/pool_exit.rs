//! Ends of threads, of the process, and of all threads but one in the child of a fork. One test at a time, because a
//! fork copies all threads' state.

use crate::support;
use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use support::pools::*;
use tenure::pool::{self, Pool};
use tenure::types::*;
use tenure_harness::test;

static ALONE: Mutex<()> = Mutex::new(());

/// Runs `work` in a child, which ends with status 0 if it returns true, without the parent's exit handlers.
fn in_child(work: impl FnOnce() -> bool) -> i32 {
    // SAFETY: the child only uses the library, and leaves by _exit.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let ok = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or(false);
        // SAFETY: ends the child.
        unsafe { libc::_exit(i32::from(!ok)) };
    }
    wait(child)
}

fn wait(child: i32) -> i32 {
    let mut status = 0;
    // SAFETY: waits for our own child.
    unsafe { libc::waitpid(child, &mut status, 0) };
    status
}

/// A thread-local that frees a block when the thread ends.
struct Late {
    pool: &'static Pool,
    blocks: Vec<usize>,
    freed: &'static AtomicUsize,
}

impl Drop for Late {
    fn drop(&mut self) {
        for at in self.blocks.drain(..) {
            if is_painted(at, 100, 3) && pool::deallocate(Some(self.pool), at).is_ok() {
                self.freed.fetch_add(1, Ordering::Relaxed);
            }
            // It may allocate, too, as a destructor that appends to a log does.
            let more = self.pool.allocate(50_000, 0, true, 0).unwrap().as_ptr() as usize;
            assert!(is_painted(more, 50_000, 0));
            pool::deallocate(None, more).unwrap();
        }
    }
}

thread_local! {
    static LATE: RefCell<Option<Late>> = const { RefCell::new(None) };
}

/// PO-57: thread-exit handlers of other libraries that run after ours, and before.
#[test]
fn po_57_frees_at_thread_exit_work_when_our_thread_data_is_gone() {
    let _alone = ALONE.lock();
    static FREED: AtomicUsize = AtomicUsize::new(0);
    let pool = TestPool::plain();
    for first in [true, false] {
        FREED.store(0, Ordering::Relaxed);
        let it = pool.0;
        let own = pool.get(100);
        paint(own, 100, 3);
        std::thread::spawn(move || {
            let late = || LATE.set(Some(Late { pool: it, blocks: vec![own], freed: &FREED }));
            if first {
                // Registered before the library's own end of the thread, it runs after that.
                late();
            }
            let blocks: Vec<_> = (0..500).map(|_| it.allocate(100, 0, false, 0).unwrap().as_ptr() as usize).collect();
            blocks.iter().for_each(|&at| paint(at, 100, 3));
            if !first {
                late();
            }
            LATE.with_borrow_mut(|late| late.as_mut().unwrap().blocks.extend(blocks));
        })
        .join()
        .unwrap();
        assert_eq!(FREED.load(Ordering::Relaxed), 501);
        let s = pool.stats();
        assert_eq!((s.live_blocks, s.misuse_count), (0, 0));
        // PO-56: the ended thread keeps nothing, not even blocks that it allocated after its end.
        pool.trim(0);
        assert_eq!(pool.stats().reserved_bytes, 0);
    }
}

static AT_EXIT: Mutex<Vec<usize>> = Mutex::new(Vec::new());

extern "C" fn at_exit() {
    let blocks = core::mem::take(&mut *AT_EXIT.lock().unwrap());
    let ok = blocks.len() == 300
        && blocks.iter().all(|&at| is_painted(at, 2000, 9) && pool::deallocate(None, at).is_ok())
        && pool::default(HOST).is_ok_and(|pool| pool.trim(0) > 0 && pool.query().live_blocks == 0);
    // SAFETY: ends the child with the result.
    unsafe { libc::_exit(if ok { 42 } else { 1 }) };
}

/// PO-57: process-exit handlers.
#[test]
fn po_57_frees_at_process_exit_work() {
    let _alone = ALONE.lock();
    // SAFETY: the child uses the library, and ends by exit.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: a function of this program; before the library's first use, so that it runs after whatever that
        // registers.
        unsafe { libc::atexit(at_exit) };
        let pool = pool::default(HOST).unwrap();
        for _ in 0..300 {
            let at = pool.allocate(2000, 0, false, 0).unwrap().as_ptr() as usize;
            paint(at, 2000, 9);
            AT_EXIT.lock().unwrap().push(at);
        }
        // SAFETY: runs the handlers and ends the child.
        unsafe { libc::exit(0) };
    }
    let status = wait(child);
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 42, "{status:#x}");
}

/// PO-58: the child adopts the heaps of threads that it does not have; PO-64: it keeps the current pool.
#[test]
fn po_58_64_a_child_adopts_the_caches_of_threads_that_are_gone() {
    let _alone = ALONE.lock();
    let pool = TestPool::new(|o| o.set_name(b"parent").unwrap());
    let it = pool.0;
    pool::set_current(Some(it)).unwrap();
    let (ready, done) = (Barrier::new(2), Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let blocks: Vec<_> = (0..2000).map(|_| it.allocate(1000, 0, false, 0).unwrap().as_ptr() as usize).collect();
            blocks.iter().for_each(|&at| paint(at, 1000, 5));
            blocks.iter().enumerate().filter(|(i, _)| i % 20 > 0).for_each(|(_, &at)| {
                pool::deallocate(None, at).unwrap();
            });
            AT_EXIT.lock().unwrap().extend(blocks.iter().step_by(20));
            ready.wait();
            done.wait();
        });
        ready.wait();
        let kept = core::mem::take(&mut *AT_EXIT.lock().unwrap());
        let before = pool.stats();
        assert_eq!((before.live_blocks, before.thread_count), (100, 1));
        let status = in_child(|| {
            let s = checked(it);
            assert_eq!((s.live_blocks, s.thread_count), (100, 0), "the thread's heap has no owner any more");
            assert!(kept.iter().all(|&at| is_painted(at, 1000, 5)));
            let blocks: Vec<_> = (0..1500).map(|_| it.allocate(1000, 0, false, 0).unwrap().as_ptr() as usize).collect();
            assert_eq!(checked(it).device_allocate_count, s.device_allocate_count, "its spans serve the child");
            assert!(kept.iter().all(|at| !blocks.contains(at)));
            blocks.iter().chain(&kept).for_each(|&at| pool::deallocate(Some(it), at).unwrap());
            it.trim(0);
            assert_eq!(checked(it).reserved_bytes, 0);
            std::ptr::eq(pool::current(HOST).unwrap(), it)
        });
        assert_eq!(status, 0);
        let after = pool.stats();
        assert_eq!((after.live_blocks, after.reserved_bytes), (before.live_blocks, before.reserved_bytes));
        assert!(kept.iter().all(|&at| is_painted(at, 1000, 5)), "the parent notices nothing");
        kept.iter().for_each(|&at| pool.give(at));
        done.wait();
    });
    pool::set_current(None).unwrap();
}

/// PO-56: thousands of short threads leave nothing.
#[test]
fn po_56_short_threads_leave_reserved_as_it_is() {
    let _alone = ALONE.lock();
    let pool = TestPool::plain();
    let it = pool.0;
    let run = |n: usize| {
        for i in 0..n {
            std::thread::spawn(move || {
                let blocks: Vec<_> =
                    (1..50).map(|k| it.allocate(k * 37 + i % 7, 0, false, 0).unwrap().as_ptr() as usize).collect();
                blocks.iter().for_each(|&at| pool::deallocate(None, at).unwrap());
            })
            .join()
            .unwrap();
        }
    };
    run(20);
    let before = pool.stats();
    run(1500);
    let after = pool.stats();
    assert_eq!((after.thread_count, after.live_blocks), (0, 0));
    assert_eq!(after.reserved_bytes, before.reserved_bytes);
    assert_eq!(after.metadata_bytes, before.metadata_bytes);
    assert_eq!(after.device_allocate_count, before.device_allocate_count);
    assert_eq!(TN_OK, code(pool::deallocate(None, 0)));
}
