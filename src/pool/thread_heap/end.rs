//! The end of heaps, and the memory that heaps return earlier on request.

use super::handle_cache;
use super::{Counts, HEAPS, Heap, ThreadHeaps, pointer};
use crate::pool::Pool;
use crate::pool::state::PoolState;
use crate::thread::{self, CriticalSection, PerThread, Thread};
use core::sync::atomic::Ordering;

impl Heap {
    /// Ends a heap: the pool takes its spans and counts. Under the pool's lock; the caller is the heap's thread, or
    /// runs alone.
    fn end(&'static self, pool: &'static Pool, state: &mut PoolState) {
        self.flush(pool, state, true);
        let mut counts = Counts::default();
        self.add_to(&mut counts);
        state.add_counts(&counts);
        for (class, handed) in self.handed.iter().enumerate() {
            state.classes[class].add(handed.get() as u64, handed.get() as u64);
            handed.set(0);
        }
        self.clients.iter().for_each(super::Counter::clear);
        self.out.clear();
        self.watermarks.iter().for_each(super::Watermark::clear);
        [&self.freed, &self.reallocated, &self.grown, &self.users].into_iter().for_each(|word| word.set(0));
        self.zero_skipped.set(0);
        debug_assert!(self.idle.get() == 0 && self.owned.get().is_none() && self.large.is_empty());
        let mut at = state.heaps;
        if at.is_some_and(|first| core::ptr::eq(first, self)) {
            state.heaps = self.next();
        } else {
            while let Some(heap) = at {
                at = heap.next();
                if at.is_some_and(|next| core::ptr::eq(next, self)) {
                    heap.next.store(pointer(self.next()), Ordering::Relaxed);
                    break;
                }
            }
        }
        state.figures.metadata_bytes -= size_of::<Heap>() as u64;
        self.pool.set(None);
    }

    /// Removes the heap from its thread's list. The caller is that thread, or runs alone.
    fn forget(&'static self) {
        // SAFETY: NULL or a record, and those are never freed.
        let Some(thread) = (unsafe { self.owner_thread.load(Ordering::Relaxed).as_ref() }) else { return };
        let first = &ThreadHeaps::of(thread).first;
        let is_this = |heap: Option<&'static Heap>| heap.is_some_and(|heap| core::ptr::eq(heap, self));
        if is_this(first.get()) {
            first.set(self.sibling());
        } else {
            let mut at = first.get();
            while let Some(heap) = at {
                at = heap.sibling();
                if is_this(at) {
                    heap.sibling.store(pointer(self.sibling()), Ordering::Relaxed);
                    break;
                }
            }
        }
        handle_cache::forget_heap(thread, self);
        self.thread.store(core::ptr::null_mut(), Ordering::Relaxed);
        self.owner_thread.store(core::ptr::null_mut(), Ordering::Relaxed);
        HEAPS.put(self);
    }
}

/// Hides the thread's heap of a pool while a callback of the pool's upstream runs. The heap takes and gives no block
/// meanwhile, without a check on the fast path. Called under no lock.
#[cold]
pub fn hide(thread: &'static Thread, pool: &'static Pool) {
    let _inside = CriticalSection::enter(thread);
    if let Some(heap) = of_thread_or_hidden(thread, pool) {
        heap.thread.store(core::ptr::null_mut(), Ordering::Relaxed);
        handle_cache::forget_heap(thread, heap);
    }
}

/// Ends the hiding, if the heap still exists.
#[cold]
pub fn show(thread: &'static Thread, pool: &'static Pool) {
    let _inside = CriticalSection::enter(thread);
    if let Some(heap) = of_thread_or_hidden(thread, pool) {
        heap.thread.store(core::ptr::from_ref(thread).cast_mut(), Ordering::Relaxed);
    }
}

/// The thread's heap of a pool, hidden or not. The thread must be inside the library, so that no other thread ends
/// the heap.
fn of_thread_or_hidden(thread: &'static Thread, pool: &'static Pool) -> Option<&'static Heap> {
    let mut at = ThreadHeaps::of(thread).first.get();
    while let Some(heap) = at {
        if heap.is_in(pool) {
            return Some(heap);
        }
        at = heap.sibling();
    }
    None
}

/// At the end of a thread: its heaps' spans go to the pools.
pub(super) fn end_of_thread(thread: &'static Thread) {
    loop {
        // A thread that ends all heaps of a pool at this moment waits until this one is consistent again.
        let inside = CriticalSection::enter(thread::current());
        let Some(heap) = ThreadHeaps::of(thread).first.get() else { return };
        let pool = heap.pool();
        if let Some(pool) = pool {
            heap.end(pool, &mut pool.state.lock());
        }
        heap.forget();
        drop(inside);
        if let Some(pool) = pool {
            pool.enforce_threshold(pool.state.lock(), 0);
        }
    }
}

/// All heaps of a pool give up their empty spans, or all spans. True: one did. Called under no lock of the pool's.
/// Waits until no other thread is inside the library; a caller that is inside itself leaves other threads' heaps
/// alone.
#[cold]
pub fn reclaim_from_threads(pool: &'static Pool, all: bool) -> bool {
    with_all(pool, |state| {
        let mut any = false;
        let mut at = state.heaps;
        while let Some(heap) = at {
            at = heap.next();
            any |= heap.flush(pool, state, all);
        }
        any
    })
    .unwrap_or(false)
}

/// Fewer idle heaps cost less than ending them.
const MANY_IDLE_HEAPS: usize = 8;

/// Ends the heaps of threads that have not used them for a while, if there are many. A thread that comes back gets a
/// new one. Called as `reclaim_from_threads`.
#[cold]
pub fn end_idle(pool: &'static Pool, now: u64) {
    if pool.state.lock().idle_heaps(now) < MANY_IDLE_HEAPS {
        return;
    }
    let own = thread::current();
    let ended = with_all(pool, |state| {
        let mut at = state.heaps;
        while let Some(heap) = at {
            at = heap.next();
            let thread = heap.thread.load(Ordering::Relaxed).cast_const();
            let is_hidden = thread.is_null();
            if !is_hidden && !core::ptr::eq(thread, own) && heap.is_idle(now) {
                heap.end(pool, state);
                heap.forget();
            }
        }
    });
    if ended.is_some() {
        pool.enforce_threshold(pool.state.lock(), 0);
    }
}

/// Ends all heaps of a released pool. Called as `reclaim_from_threads`.
#[cold]
pub fn end_all(pool: &'static Pool) {
    let ended = with_all(pool, |state| {
        while let Some(heap) = state.heaps {
            heap.end(pool, state);
            heap.forget();
        }
    });
    debug_assert!(ended.is_some(), "the last reference of a pool is dropped outside the library");
}

/// Runs `work` on the state while no other thread uses a heap of the pool.
fn with_all<R>(pool: &'static Pool, work: impl FnOnce(&mut PoolState) -> R) -> Option<R> {
    let thread = thread::current();
    {
        let mut state = pool.state.lock();
        let mut at = state.heaps;
        while let Some(heap) = at.filter(|heap| core::ptr::eq(heap.owner_thread.load(Ordering::Relaxed), thread)) {
            at = heap.next();
        }
        if at.is_none() {
            return Some(work(&mut state));
        }
    }
    // A library that allocates from this pool may be inside here already. It must not wait for other threads.
    (!thread.is_inside()).then(|| thread::stop_the_world(|| work(&mut pool.state.lock())))
}
