//! Thread heaps: the front of a pool. A heap is what one thread keeps of one pool. It allocates and frees small
//! blocks of the spans that it owns with plain loads and stores: no lock, no atomic read-modify-write.
//!
//! | thread | may change |
//! |---|---|
//! | the heap's thread, inside the library | the heap, and the blocks of its spans |
//! | a thread that runs alone (`thread::stop_the_world`), or the child of a fork | the same, of any heap |
//! | the holder of the pool's lock | `next`, `pending`, `pool`, `activity`, `idle_since_ms`, and spans without an owner |
//!
//! A heap also keeps the large blocks that its thread freed last, for later requests of their sizes. If many threads
//! have not used their heaps for a while, another thread ends these heaps: they hold memory, and every update of the
//! peaks would read them.
//!
//! A block freed by another thread is marked, in its state and as a bit of its span. The owner collects it when it
//! runs out of blocks: see `remote_free`. A heap's counts are summed up when statistics are read. Peaks are checked
//! before more can be allocated than a thread may keep. Ideas: pages owned by threads, and upkeep when a list is
//! empty, from mimalloc; descriptors outside the memory from jemalloc and snmalloc.

mod blocks;

mod end;

mod fast_path;

mod find;

#[cfg(not(preload))]
pub(super) mod handle_cache;

#[cfg(preload)]
#[path = "current_heap.rs"]
pub(super) mod handle_cache;

mod large;

#[cfg(all(target_arch = "x86_64", target_os = "linux", not(loom)))]
mod no_thread;

mod outstanding;

mod resize;

mod spans;

#[cfg(all(test, not(loom)))]
mod tests;

pub(super) use blocks::{allocate, allocate_collected, allocate_large, deallocate, give_up_large, shorten_allowances};
pub(super) use end::{end_all, end_idle, hide, reclaim_from_threads, show};
pub use fast_path::{Deallocate, allocate_cached, allocate_fast, allocate_kept, deallocate_anywhere, deallocate_fast};
pub(super) use fast_path::{allocate_in_fast, allocate_kept_fast, deallocate_in_fast};
pub(super) use handle_cache::forget_current;
pub use resize::reallocate_fast;

use crate::pool::client::{CLIENT_CODES, CLIENTS, Client, PLAIN, Tally};
use crate::pool::recycler::{Recycled, Recycler};
use crate::pool::relaxed::RelaxedUsize;
use crate::pool::span::owner::{HeapRole, OwnerLink, PoolRole, Role};
use crate::pool::span::{Link, List, Span, class};
use crate::thread::{Area, PerThread, Thread, area};
use core::cell::Cell;
use core::sync::atomic::{AtomicPtr, Ordering};
use large::KeptBlocks;
use outstanding::Outstanding;

/// All zero: a heap of no thread.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Heap {
    // Read by other threads, and rarely written.
    pool: OwnerLink<PoolRole>,
    /// The thread that may use it now; NULL while it is hidden.
    thread: AtomicPtr<Thread>,
    /// The pool's next heap.
    next: AtomicPtr<Heap>,
    /// The thread's next heap.
    sibling: AtomicPtr<Heap>,
    /// Spans that wait for being collected, handed over by the pool.
    pub pending: Link,
    recycled: AtomicPtr<Heap>,
    /// Most bytes of empty spans that it keeps, and the most by which peaks may be too low.
    keep: RelaxedUsize,
    /// The pool's, and its [`class::mask`].
    alignment: RelaxedUsize,
    class_mask: RelaxedUsize,
    page: RelaxedUsize,
    /// The thread that it belongs to, also while it is hidden.
    owner_thread: AtomicPtr<Thread>,
    /// [`Heap::activity`] when it last differed from the time before, and that time.
    activity: RelaxedUsize,
    idle_since_ms: RelaxedUsize,
    apart: Line,
    // Written by the thread.
    recent: Recent,
    /// Usable bytes of live blocks.
    out: Outstanding,
    /// The number of frees.
    freed: RelaxedUsize,
    /// Of usable bytes, of requested bytes, and of the usable bytes of [`PLAIN`].
    watermarks: [Watermark; 3],
    /// Bytes by which blocks grew in place since the peaks were checked.
    grown: RelaxedUsize,
    /// The pool's count of peak updates at that time.
    looks: RelaxedUsize,
    /// A bit for each client other than [`PLAIN`] that has, or had, blocks.
    users: RelaxedUsize,
    /// The counts of each client. Those of [`PLAIN`] are the remainder.
    clients: [Counter; CLIENT_CODES],
    zero_skipped: RelaxedUsize,
    /// Blocks of [`PLAIN`] that were resized here.
    reallocated: RelaxedUsize,
    /// Bytes that were ever allocated in empty spans that are not the first of their class.
    idle: RelaxedUsize,
    /// The large blocks that the heap keeps; and how often it kept one.
    large: KeptBlocks,
    kept: RelaxedUsize,
    owned: Link,
    /// Spans with free blocks. Blocks are taken from the first, which may be full by now.
    with_free: [List; class::COUNT],
    /// The first of each list; [`NO_BLOCKS`] if that is empty.
    ready: [Link; class::COUNT],
    /// Empty spans in the list that are not the first.
    empty: [RelaxedUsize; class::COUNT],
    /// Allocations by class, large ones last.
    handed: [RelaxedUsize; class::COUNT + 1],
}

/// The place of the span that the thread freed a block to last. 0 bytes: none. Cells, which a comparison reads in
/// place.
#[derive(Debug, Default)]
struct Recent {
    start: Cell<usize>,
    bytes: Cell<usize>,
    span: Cell<Option<&'static Span>>,
}

// SAFETY: only the heap's thread, or one that runs alone, reads or writes it: see the table above.
unsafe impl Sync for Recent {}

/// The span of a class of which a heap has none.
// SAFETY: all zero is a span, of kind None.
static NO_BLOCKS: Span = Span::without_blocks(unsafe { core::mem::MaybeUninit::zeroed().assume_init() });

/// A [`Tally`] that other threads may read.
#[derive(Debug, Default)]
struct Counter {
    in_use: RelaxedUsize,
    requested: RelaxedUsize,
    allocated: RelaxedUsize,
    freed: RelaxedUsize,
    watermark: Watermark,
}

/// Bounds for a value that has a peak. Only the heap's thread reads and writes it.
#[derive(Debug, Default)]
struct Watermark {
    /// The least that the value can have been since the last check.
    low: RelaxedUsize,
    /// The value at the last update of the peaks.
    seen: RelaxedUsize,
}

impl Watermark {
    /// The value is `now`, and may have been lower by `less` since the last step. Returns by how much it may have
    /// risen.
    fn rise(&self, now: isize, less: isize) -> isize {
        let low = (self.low.get() as isize).min(now - less);
        self.low.set(low as usize);
        now - low
    }
    /// Checks the value. True: it is higher than the peaks know.
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

/// Puts the next field on another cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Line;

// SAFETY: zero is valid for every field, and `recycled` serves the list only.
unsafe impl Recycled for Heap {
    fn link(&self) -> &AtomicPtr<Heap> {
        &self.recycled
    }
}

impl Role for HeapRole {
    type Record = Heap;
}

static HEAPS: Recycler<Heap> = Recycler::new();

/// A heap that has not been used for so long is idle.
const IDLE_MS: u64 = 200;

/// The heaps of one thread.
#[repr(C)]
struct ThreadHeaps {
    /// Head of the list that `Heap::sibling` links.
    first: Cell<Option<&'static Heap>>,
    /// The heap used last among those of pools whose numbers have this remainder. It may have ended since.
    by_number: [Cell<Option<&'static Heap>>; 64],
}

// SAFETY: zeros are valid and mean no heaps. Only the thread, its exit hook, or a thread that has stopped the world
// touches them. The area is for this type.
unsafe impl PerThread for ThreadHeaps {
    const AREA: Area = area::POOL_HEAPS;
}

impl ThreadHeaps {
    #[inline(always)]
    fn by_number(&self, pool_number: usize) -> &Cell<Option<&'static Heap>> {
        &self.by_number[pool_number % self.by_number.len()]
    }
}

/// What a pool and its heaps counted.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    pub clients: [Tally; CLIENTS],
    pub zero_skipped: u64,
    /// Allocations by heaps.
    pub hits: u64,
    pub heaps: u64,
}

impl Counts {
    /// The sum of all clients.
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
    /// Whether the thread may use it now.
    #[inline]
    pub fn is_of(&self, thread: &'static Thread) -> bool {
        core::ptr::eq(self.thread.load(Ordering::Relaxed), thread)
    }

    /// The next heap of its thread.
    fn sibling(&self) -> Option<&'static Heap> {
        // SAFETY: NULL or a heap, and those are never unmapped.
        unsafe { self.sibling.load(Ordering::Relaxed).as_ref() }
    }

    /// The next heap of its pool. Under the pool's lock.
    pub fn next(&self) -> Option<&'static Heap> {
        // SAFETY: NULL or a heap.
        unsafe { self.next.load(Ordering::Relaxed).as_ref() }
    }

    /// Adds its counts. Those of another thread's heap are of some moment of the call.
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

    /// Adds the usable bytes of each client. Returns the usable and the requested bytes of all; modulo 2^64.
    pub fn add_in_use(&self, clients: &mut [u64; CLIENTS]) -> (u64, u64) {
        let all = self.in_use();
        let mut plain = all;
        if self.users.get() != 0 {
            for (sum, counter) in clients.iter_mut().zip(&self.clients) {
                let in_use = counter.in_use.get() as u64;
                *sum = sum.wrapping_add(in_use);
                plain = plain.wrapping_sub(in_use);
            }
        }
        let sum = &mut clients[PLAIN.index()];
        *sum = sum.wrapping_add(plain);
        (all, self.requested())
    }

    /// Usable bytes of a client's live blocks, modulo 2^64.
    pub fn in_use_of(&self, client: Client) -> u64 {
        if self.users.get() == 0 {
            return if client == PLAIN { self.in_use() } else { 0 };
        }
        let of = |counter: &Counter| counter.in_use.get() as u64;
        if client != PLAIN {
            return of(&self.clients[client.index()]);
        }
        self.clients.iter().fold(self.in_use(), |rest, counter| rest.wrapping_sub(of(counter)))
    }

    /// Requested bytes of live blocks, modulo 2^64.
    pub fn requested(&self) -> u64 {
        self.out.requested() as u64
    }

    /// Usable bytes of live blocks, modulo 2^64.
    pub fn in_use(&self) -> u64 {
        self.out.get() as u64
    }

    /// Allocations of a class, or large ones.
    pub fn handed(&self, class: usize) -> u64 {
        self.handed[class].get() as u64
    }

    /// A value that changes with nearly every allocation and every free.
    fn activity(&self) -> usize {
        self.out.activity().wrapping_mul(31).wrapping_add(self.freed.get())
    }

    /// Notes whether the thread has used the heap since the last call. Returns whether it has not for a while. Under
    /// the pool's lock.
    pub fn note_idle(&self, now: u64) -> bool {
        let activity = self.activity();
        if self.activity.get() != activity {
            self.activity.set(activity);
            self.idle_since_ms.set(now as usize);
        }
        self.is_idle(now)
    }

    /// Whether the thread has not used the heap for a while before the last `note_idle`, nor since.
    fn is_idle(&self, now: u64) -> bool {
        self.activity.get() == self.activity() && now.saturating_sub(self.idle_since_ms.get() as u64) >= IDLE_MS
    }

    /// Whether a span of the class has a free block.
    pub fn has_free_block(&self, class: usize) -> bool {
        // Only the first in the list can be full.
        self.with_free[class].first().is_some_and(|first| !first.is_full() || first.next.get().is_some())
    }
}
