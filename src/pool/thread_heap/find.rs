//! The heap of a thread for a pool: found in the thread's cache, or in its list, or made.

use super::end::end_of_thread;
use super::{HEAPS, Heap, ThreadHeaps, pointer};
use crate::pool::Pool;
use crate::pool::span::class;
use crate::thread::{self, PerThread, Thread};
use core::sync::atomic::Ordering;

impl Heap {
    /// The heap of a thread for a pool, if there is one.
    #[inline]
    pub fn of(thread: &'static Thread, pool: &'static Pool) -> Option<&'static Heap> {
        Heap::cached(thread, pool).or_else(|| Heap::find(thread, pool))
    }

    /// The heap, if it is in the thread's cache.
    #[inline(always)]
    pub fn cached(thread: &'static Thread, pool: &'static Pool) -> Option<&'static Heap> {
        let heap = ThreadHeaps::of(thread).by_number(pool.number()).get();
        // It may be another thread's by now, or of another pool with the same cache entry.
        heap.filter(|heap| heap.is_of(thread) && heap.is_in(pool))
    }

    #[cold]
    #[inline(never)]
    fn find(thread: &'static Thread, pool: &'static Pool) -> Option<&'static Heap> {
        let heaps = ThreadHeaps::of(thread);
        let mut at = heaps.first.get();
        while let Some(heap) = at {
            if heap.is_of(thread) && heap.is_in(pool) {
                heaps.by_number(pool.number()).set(Some(heap));
                return Some(heap);
            }
            at = heap.sibling();
        }
        None
    }

    /// Calls `visit` with the heaps that a thread may use now. The thread must be inside the library.
    pub fn each_of(thread: &'static Thread, visit: impl Fn(&'static Heap)) {
        let first = ThreadHeaps::of(thread).first.get();
        core::iter::successors(first, |heap| heap.sibling()).filter(|heap| heap.is_of(thread)).for_each(visit);
    }

    /// The heap of a thread for a pool, made if there is none. None: no memory, the pool was released, or it has no
    /// heaps.
    #[cold]
    #[inline(never)]
    pub fn of_or_new(thread: &'static Thread, pool: &'static Pool) -> Option<&'static Heap> {
        if !pool.has_heaps() || pool.is_calling(thread) {
            return None;
        }
        if let Some(heap) = Heap::of(thread, pool) {
            return Some(heap);
        }
        let heap = HEAPS.get()?;
        thread::on_exit(end_of_thread);
        let mut state = pool.state.lock();
        if state.retired {
            drop(state);
            HEAPS.put(heap);
            return None;
        }
        heap.pool.set(Some(pool));
        heap.keep.set(state.settings.thread_cache);
        heap.alignment.set(state.settings.alignment);
        heap.class_mask.set(class::mask(state.settings.alignment));
        heap.page.set(pool.page.load(Ordering::Relaxed));
        heap.set_up_ready();
        heap.out.allow(heap.step());
        // Not idle before it was seen twice.
        heap.activity.set(usize::MAX);
        heap.next.store(pointer(state.heaps.replace(heap)), Ordering::Relaxed);
        state.figures.metadata_bytes += size_of::<Heap>() as u64;
        drop(state);
        let heaps = ThreadHeaps::of(thread);
        heap.sibling.store(pointer(heaps.first.replace(Some(heap))), Ordering::Relaxed);
        heap.owner_thread.store(core::ptr::from_ref(thread).cast_mut(), Ordering::Relaxed);
        heap.thread.store(core::ptr::from_ref(thread).cast_mut(), Ordering::Release);
        heaps.by_number(pool.number()).set(Some(heap));
        Some(heap)
    }

    #[inline]
    pub fn is_in(&self, pool: &'static Pool) -> bool {
        self.pool.is(pool)
    }

    pub(super) fn pool(&self) -> Option<&'static Pool> {
        self.pool.get()
    }
}
