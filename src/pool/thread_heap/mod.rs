//! Heaps: what one thread has of one pool. It hands out and takes back small blocks of the spans that it owns with plain loads and
//! stores: no lock, no atomic read-modify-write.
//!
//! | who | may change |
//! |---|---|
//! | the heap's thread, inside the library | the heap, and what its spans know of their blocks |
//! | a thread that is alone (`thread::stop_the_world`), or the child of a fork | the same, of any heap |
//! | who has the pool's lock | `next`, `pending`, `pool`, and spans without an owner |
//!
//! Besides, a heap keeps the large block that its thread gave back last, for the next request of the same size.
//!
//! A block that another thread gives back is marked, in its state and as a bit of its span, and collected by the owner when it runs out of
//! blocks: see `foreign`. What is counted here is summed up when somebody asks; peaks are looked at before more can be out than what a thread
//! may keep. Ideas: pages owned by threads and upkeep when a list is dry from mimalloc, bookkeeping outside the memory from
//! jemalloc and snmalloc.

mod blocks;

mod end;

mod fast_path;

mod outstanding;

mod resize;

mod spans;

#[cfg(all(test, not(loom)))]
mod tests;

pub(super) use blocks::{allocate, allocate_collected, allocate_large, deallocate};
pub(super) use end::{end_all, hide, reclaim_from_threads, show};
pub use fast_path::{Deallocate, allocate_cached, allocate_fast, deallocate_anywhere, deallocate_fast};
pub(super) use fast_path::{allocate_kept_fast, allocate_store_fast, deallocate_store_fast};
pub use resize::reallocate_fast;

use crate::pool::Pool;
use crate::pool::arena::{Recycled, Recycler};
use crate::pool::client::{CLIENTS, Client, PLACES, PLAIN, Tally};
use crate::pool::span::{Link, List, RelaxedUsize, class};
use crate::thread::{self, Thread};
use core::sync::atomic::{AtomicPtr, Ordering};
use outstanding::Outstanding;

/// What a thread has of a pool. All zero is one of no thread.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Heap {
    // What other threads read, and hardly anybody writes.
    pool: AtomicPtr<Pool>,
    /// Who may use it now.
    thread: AtomicPtr<Thread>,
    /// The pool's other heaps.
    next: AtomicPtr<Heap>,
    /// The thread's other heaps.
    sibling: AtomicPtr<Heap>,
    /// Spans with blocks to be collected, that came by the pool.
    pub pending: Link,
    recycled: AtomicPtr<Heap>,
    /// Bytes of empty spans that it keeps at most, and by how much the peaks may be too low.
    keep: RelaxedUsize,
    /// The pool's.
    alignment: RelaxedUsize,
    page: RelaxedUsize,
    /// Whose it is, also while it is hidden.
    owner_thread: AtomicPtr<Thread>,
    apart: Line,
    // What the thread writes.
    recent: Recent,
    /// Usable bytes that are out.
    out: Outstanding,
    /// Bytes among them that nobody asked for, modulo 2^64, and how many blocks were given back.
    slack: RelaxedUsize,
    freed: RelaxedUsize,
    /// Of what is out, of what was asked for of it, and of the part of [`PLAIN`].
    watermarks: [Watermark; 3],
    /// By how much blocks grew where they are since the peaks were looked at.
    grown: RelaxedUsize,
    /// The pool's count of such looks then.
    looks: RelaxedUsize,
    /// 1: others than [`PLAIN`] have a part.
    shared: RelaxedUsize,
    /// The part of each client; that of [`PLAIN`] is the rest.
    clients: [Counter; PLACES],
    zero_skipped: RelaxedUsize,
    /// Blocks of [`PLAIN`] that changed their size here.
    reallocated: RelaxedUsize,
    /// Bytes that were ever handed out of empty spans which are not the first of their class.
    idle: RelaxedUsize,
    /// A large block that was given back here, in a span of its own; and how often one was.
    large: Link,
    kept: RelaxedUsize,
    owned: Link,
    /// Spans with room, the one to take from first; that one may be full by now.
    with_free: [List; class::COUNT],
    /// Empty spans among them that are not the first.
    empty: [RelaxedUsize; class::COUNT],
    /// Blocks handed out by class, large ones last.
    handed: [RelaxedUsize; class::COUNT + 1],
}

/// A span that the heap owns, where it is: the one that a block went back to last. Of 0 bytes: none.
#[derive(Debug, Default)]
struct Recent {
    start: RelaxedUsize,
    bytes: RelaxedUsize,
    span: Link,
}

/// A [`Tally`] that others may read.
#[derive(Debug, Default)]
struct Counter {
    in_use: RelaxedUsize,
    requested: RelaxedUsize,
    allocated: RelaxedUsize,
    freed: RelaxedUsize,
    watermark: Watermark,
}

/// Of bytes that have a peak; the heap's thread writes and reads it.
#[derive(Debug, Default)]
struct Watermark {
    /// The least that they can have been since they were looked at.
    low: RelaxedUsize,
    /// What they were when the peaks were looked at last.
    seen: RelaxedUsize,
}

impl Watermark {
    /// They are so many now, and at least so many less since the last look. By how much they may have risen.
    fn rise(&self, now: isize, less: isize) -> isize {
        let low = (self.low.get() as isize).min(now - less);
        self.low.set(low as usize);
        now - low
    }
    /// They are looked at; whether they are more than the peaks know.
    fn pass(&self, now: isize) -> bool {
        self.low.set(now as usize);
        now > self.seen.get() as isize
    }
    fn clear(&self) {
        self.low.set(0);
        self.seen.set(0);
    }
}

impl Counter {
    fn read(&self) -> Tally {
        let word = |word: &RelaxedUsize| word.get() as u64;
        Tally {
            in_use: word(&self.in_use),
            requested: word(&self.requested),
            allocated: word(&self.allocated),
            freed: word(&self.freed),
            reallocated: 0,
        }
    }

    fn clear(&self) {
        for word in [&self.in_use, &self.requested, &self.allocated, &self.freed] {
            word.set(0);
        }
        self.watermark.clear();
    }
}

/// Keeps what lies behind it off the line of what lies before it.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Line;

// SAFETY: zero is valid for every field, and `recycled` serves the list only.
unsafe impl Recycled for Heap {
    fn link(&self) -> &AtomicPtr<Heap> {
        &self.recycled
    }
}

static HEAPS: Recycler<Heap> = Recycler::new();

/// What a pool and its heaps counted.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    pub clients: [Tally; CLIENTS],
    pub zero_skipped: u64,
    /// Blocks that heaps handed out.
    pub hits: u64,
    pub heaps: u64,
}

impl Counts {
    /// Of all clients.
    pub fn all(&self) -> Tally {
        let mut all = Tally::default();
        self.clients.iter().for_each(|tally| all.add(tally));
        all
    }
}

fn pointer<T>(object: Option<&'static T>) -> *mut T {
    object.map_or(core::ptr::null_mut(), |object| core::ptr::from_ref(object).cast_mut())
}

impl Heap {
    /// The heap of a thread for a pool, if it has one.
    #[inline]
    pub fn of(thread: &'static Thread, pool: &'static Pool) -> Option<&'static Heap> {
        Heap::cached(thread, pool).or_else(|| Heap::find(thread, pool))
    }

    /// The same, if it is where it is looked for first.
    #[inline(always)]
    pub fn cached(thread: &'static Thread, pool: &'static Pool) -> Option<&'static Heap> {
        let at = thread.heap(pool.number());
        // SAFETY: 0, or what `set_heap` was given: a heap, and those are never unmapped.
        let heap = unsafe { (at as *const Heap).as_ref() };
        // It may be another thread's by now, or of another pool with the same remainder.
        heap.filter(|heap| heap.is_of(thread) && heap.is_in(pool))
    }

    #[cold]
    #[inline(never)]
    fn find(thread: &'static Thread, pool: &'static Pool) -> Option<&'static Heap> {
        let mut at = thread.first_heap() as *const Heap;
        // SAFETY: as in `of`; the links lead to heaps of this thread.
        while let Some(heap) = unsafe { at.as_ref() } {
            if heap.is_of(thread) && core::ptr::eq(heap.pool.load(Ordering::Relaxed), pool) {
                thread.set_heap(pool.number(), at as usize);
                return Some(heap);
            }
            at = heap.sibling.load(Ordering::Relaxed);
        }
        None
    }

    /// The same, made if need be. None: there is no memory for it, the pool was released, or it has none.
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
        thread::on_exit(end::end_of_thread);
        let mut state = pool.state.lock();
        if state.retired {
            drop(state);
            HEAPS.put(heap);
            return None;
        }
        heap.pool.store(core::ptr::from_ref(pool).cast_mut(), Ordering::Relaxed);
        heap.keep.set(state.settings.thread_cache);
        heap.alignment.set(state.settings.alignment);
        heap.page.set(pool.page.load(Ordering::Relaxed));
        heap.out.allow(heap.step());
        heap.next.store(pointer(state.heaps.replace(heap)), Ordering::Relaxed);
        state.figures.metadata_bytes += size_of::<Heap>() as u64;
        drop(state);
        heap.sibling.store(thread.first_heap() as *mut Heap, Ordering::Relaxed);
        heap.owner_thread.store(core::ptr::from_ref(thread).cast_mut(), Ordering::Relaxed);
        heap.thread.store(core::ptr::from_ref(thread).cast_mut(), Ordering::Release);
        thread.set_first_heap(core::ptr::from_ref(heap) as usize);
        thread.set_heap(pool.number(), core::ptr::from_ref(heap) as usize);
        Some(heap)
    }

    /// Whether it is the thread's.
    #[inline]
    pub fn is_of(&self, thread: &'static Thread) -> bool {
        core::ptr::eq(self.thread.load(Ordering::Relaxed), thread)
    }

    /// Whether it is of the pool.
    #[inline]
    pub fn is_in(&self, pool: &'static Pool) -> bool {
        core::ptr::eq(self.pool.load(Ordering::Relaxed), pool)
    }

    fn pool(&self) -> Option<&'static Pool> {
        // SAFETY: NULL or a pool, and those are never unmapped.
        unsafe { self.pool.load(Ordering::Relaxed).as_ref() }
    }

    /// The next heap of its pool. Under the pool's lock.
    pub fn next(&self) -> Option<&'static Heap> {
        // SAFETY: NULL or a heap.
        unsafe { self.next.load(Ordering::Relaxed).as_ref() }
    }

    /// Adds what it counted. Another thread's counts are of some moment of the call.
    pub fn add_to(&self, counts: &mut Counts) {
        let handed = self.handed.iter().map(|word| word.get() as u64).sum::<u64>();
        let mut plain = self.total(handed);
        for (sum, counter) in counts.clients.iter_mut().zip(&self.clients) {
            let tally = counter.read();
            sum.add(&tally);
            plain.subtract(&tally);
        }
        counts.clients[PLAIN.index()].add(&plain);
        counts.hits += handed;
        counts.zero_skipped += self.zero_skipped.get() as u64;
        counts.heaps += 1;
    }

    fn total(&self, allocated: u64) -> Tally {
        let (in_use, requested) = (self.in_use(), self.requested());
        let (freed, reallocated) = (self.freed.get() as u64, self.reallocated.get() as u64);
        Tally { in_use, requested, allocated, freed, reallocated }
    }

    /// Adds the usable bytes that clients have of it, and gives the bytes that were asked for; modulo 2^64.
    pub fn add_in_use(&self, clients: &mut [u64; CLIENTS]) -> u64 {
        let mut plain = self.in_use();
        for (sum, counter) in clients.iter_mut().zip(&self.clients) {
            let in_use = counter.in_use.get() as u64;
            *sum = sum.wrapping_add(in_use);
            plain = plain.wrapping_sub(in_use);
        }
        let sum = &mut clients[PLAIN.index()];
        *sum = sum.wrapping_add(plain);
        self.requested()
    }

    /// Usable bytes that a client has of it, modulo 2^64.
    pub fn in_use_of(&self, client: Client) -> u64 {
        let of = |counter: &Counter| counter.in_use.get() as u64;
        if client != PLAIN {
            return of(&self.clients[client.index()]);
        }
        self.clients.iter().fold(self.in_use(), |rest, counter| rest.wrapping_sub(of(counter)))
    }

    /// Bytes that were asked for, modulo 2^64.
    pub fn requested(&self) -> u64 {
        self.in_use().wrapping_sub(self.slack.get() as u64)
    }

    /// Usable bytes that are out, modulo 2^64.
    pub fn in_use(&self) -> u64 {
        self.out.get() as u64
    }

    /// Blocks that it handed out, of a class, or large ones.
    pub fn handed(&self, class: usize) -> u64 {
        self.handed[class].get() as u64
    }

    /// Whether it has room in a span of the class.
    pub fn has_room(&self, class: usize) -> bool {
        // No other one in the list is full.
        self.with_free[class].first().is_some_and(|first| !first.is_full() || first.next.get().is_some())
    }
}
