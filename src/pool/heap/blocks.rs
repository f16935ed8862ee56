//! Blocks of a heap: handed out and taken back.
//!
//! Contract: called by the heap's thread, inside the library. Nothing here takes a lock, calls the system or allocates, but for the cold
//! functions; nothing panics.

use super::{Heap, NONE};
use crate::device::host::GRANULE;
use crate::pool::books::Placed;
use crate::pool::cell::{Block, State, Word};
use crate::pool::client::PLAIN;
use crate::pool::span::{Kind, List, Span};
use crate::pool::{Pool, class, foreign, handle, table};
use crate::sys::os;
use crate::thread::{self, Critical, Thread, Visit};
use core::sync::atomic::Ordering;

/// Large blocks given back between two looks at what the pool should give back to the device.
const UPKEEP: usize = 64;

/// A block that was handed out the quick way; what is rare is left to be done.
pub struct Quick {
    heap: &'static Heap,
    span: &'static Span,
    inside: Visit,
    rare: bool,
    address: usize,
}

impl Quick {
    /// Where it is.
    #[inline(always)]
    pub fn address(&self) -> usize {
        self.address
    }
    /// The end of the call. Last, so that no register must be saved for what is rare.
    #[inline(always)]
    pub fn finish(self) {
        if self.rare {
            self.heap.after_taking(self.span, self.inside);
        }
    }
}

/// Hands out a small raw block that the thread's heap of a pool has, by the handle (0: of the host's current pool): what nearly every request
/// is. None, and nothing is changed: the heap has none, the thread does not know the handle, or would have to wait.
#[inline(always)]
pub fn allocate_quickly(pool: u64, bytes: usize, alignment: usize) -> Option<Quick> {
    let thread = thread::known()?;
    let inside = Visit::begin(thread)?;
    let heap = handle::heap(thread, pool)?;
    let alignment = if alignment == 0 { heap.alignment.get() } else { alignment };
    let class = class::of_request(bytes, alignment)?;
    // SAFETY: what a request has is a class, and there is a list for each.
    let span = unsafe { heap.room.get_unchecked(class) }.first()?;
    let tag = PLAIN.tag(thread.stamp());
    let taken = heap.take(class, span, Block { state: State::Raw, alignment, requested: bytes, tag });
    Some(Quick { heap, span, inside, rare: taken.rare, address: taken.address })
}

/// The same for a large block.
pub fn allocate_large_quickly(pool: u64, bytes: usize, alignment: usize) -> Option<usize> {
    let thread = thread::known()?;
    let _inside = Visit::begin(thread)?;
    let heap = handle::heap(thread, pool)?;
    let alignment = if alignment == 0 { heap.alignment.get() } else { alignment };
    if !alignment.is_power_of_two() {
        return None;
    }
    heap.take_large(State::Raw, bytes, alignment, PLAIN.tag(thread.stamp()))
}

/// Gives a small raw block back that the thread's heap of that pool owns (0: of any pool). False, and nothing is changed: it is not that.
#[inline(always)]
pub fn deallocate_quickly(pool: u64, address: usize) -> bool {
    let Some(thread) = thread::known() else { return false };
    let Some(inside) = Visit::begin(thread) else { return false };
    let Some(heap) = handle::heap(thread, pool) else { return false };
    let offset = address.wrapping_sub(heap.recent.start.get());
    // Nearly always right for what is given back in order, and then nothing waits for a look into the table.
    let found = if offset < heap.recent.bytes.get() {
        // SAFETY: some bytes, and so a span (see `Recent`).
        Some((heap, unsafe { heap.recent.span.get().unwrap_unchecked() }, offset))
    } else {
        heap.find_owned(pool == 0, thread, address)
    };
    let Some((heap, span, offset)) = found else { return false };
    let Some(given) = heap.give(span, offset, Word::is_plain) else { return false };
    if given.rare {
        heap.after_giving(span, inside);
    }
    true
}

/// The same for a large block that the thread may keep, and for a small one that another thread's heap owns.
pub fn deallocate_otherwise(pool: u64, address: usize) -> bool {
    let (Some(thread), Some(span)) = (thread::known(), table::get(address)) else { return false };
    let Some(_inside) = Visit::begin(thread) else { return false };
    let through = match pool {
        0 => None,
        pool => match handle::heap(thread, pool).and_then(Heap::pool) {
            None => return false,
            pool => pool,
        },
    };
    let given = match span.heap() {
        None => give_large(thread, through, span, address, State::Raw),
        Some(heap) if heap.is_of(thread) || through.is_some_and(|pool| !heap.is_in(pool)) => None,
        Some(_) => foreign::give(thread, span, address, State::Raw),
    };
    given.is_some()
}

/// A block from the calling thread's heap, for a request of a class. None: it has none, and the pool must be asked.
#[inline]
pub fn allocate(pool: &'static Pool, class: usize, block: Block, zeroed: bool) -> Option<Placed> {
    let thread = thread::current();
    let inside = Critical::enter(thread);
    Heap::of(thread, pool)?.take_of(class, block, zeroed, inside)
}

/// A large block from the calling thread's heap. None: it keeps none of that size.
pub fn allocate_large(pool: &'static Pool, block: Block) -> Option<Placed> {
    let thread = thread::current();
    let _inside = Critical::enter(thread);
    let Block { state, alignment, requested, tag } = block;
    let address = Heap::of(thread, pool)?.take_large(state, requested, alignment, tag)?;
    Some(Placed::new(address, false))
}

/// A small block once those that other threads gave back have been collected; and the heap, for a span of its own.
#[cold]
#[inline(never)]
pub fn allocate_collected(
    pool: &'static Pool,
    class: usize,
    block: Block,
    zeroed: bool,
) -> (Option<Placed>, Option<&'static Heap>) {
    let thread = thread::current();
    let inside = Critical::enter(thread);
    let Some(heap) = Heap::of_or_new(thread, pool) else { return (None, None) };
    heap.collect(pool);
    if !heap.has_room(class) {
        heap.shed(pool);
    }
    // What was shed may have gone back to an upstream, whose callbacks run outside, where a heap may end.
    let Some(heap) = Heap::of(thread, pool) else { return (None, None) };
    (heap.take_of(class, block, zeroed, inside), Some(heap))
}

/// Gives a block back that a heap takes: a small one of a span that some heap owns, or a large one that the thread's may keep. The bytes
/// that were asked for; None, and nothing is changed: it is no such block, or anything about it is unusual. `through`: the pool that was
/// passed.
#[inline]
pub fn deallocate(through: Option<&'static Pool>, address: usize, state: State) -> Option<usize> {
    let thread = thread::current();
    let inside = Critical::enter(thread);
    let span = table::get(address)?;
    let Some(heap) = span.heap() else { return give_large(thread, through, span, address, state) };
    if through.is_some_and(|pool| !heap.is_in(pool)) {
        return None;
    }
    if !heap.is_of(thread) {
        return foreign::give(thread, span, address, state);
    }
    let given = heap.give(span, address.wrapping_sub(span.start.get()), |word| word.is(state))?;
    if given.rare {
        heap.after_giving(span, inside);
    }
    Some(given.requested)
}

/// Gives a large block to the thread's heap, and the one that this kept before to the pool. As `deallocate`.
#[inline(never)]
fn give_large(
    thread: &'static Thread,
    through: Option<&'static Pool>,
    span: &'static Span,
    address: usize,
    state: State,
) -> Option<usize> {
    let version = span.version();
    let pool = span.pool()?;
    let large = version & 1 == 0 && span.kind() == Kind::Large && span.start.get() == address;
    if !large || through.is_some_and(|through| !core::ptr::eq(through, pool)) {
        return None;
    }
    let heap = Heap::of_or_new(thread, pool)?;
    let (unit, block) = (span.unit.get(), span.block(0));
    let fits = span.bytes.get() <= heap.keep.get() && span.version() == version;
    if !fits || !span.claim(version, 0, state, State::Freed) {
        return None;
    }
    heap.count_elsewhere(unit, block);
    let before = heap.keep_large(span);
    // Now and then also where the thread lives on what it keeps: what the pool does not need goes back in time.
    if before.is_some() || heap.kept.get() % UPKEEP == 0 {
        let mut books = pool.books.lock();
        let just = before.map_or(usize::MAX, |before| books.end_free(before, 0, os::coarse_ms()));
        pool.settle(books, just);
    }
    Some(block.requested)
}

/// A block that was just handed out.
struct Taken {
    address: usize,
    /// It never was before.
    first: bool,
    /// [`Heap::after_taking`] must follow before the thread leaves.
    rare: bool,
}

/// A block that just came back.
struct Given {
    requested: usize,
    /// [`Heap::after_giving`] must follow before the thread leaves.
    rare: bool,
}

impl Heap {
    /// A block of a class, if there is room; with it whether its bytes are known to read 0.
    #[inline]
    fn take_of(&self, class: usize, block: Block, zeroed: bool, inside: Critical) -> Option<Placed> {
        let span = self.room.get(class)?.first()?;
        let taken = self.take(class, span, block);
        let zero = zeroed && taken.first && span.fresh.get() == 1;
        if zero {
            self.zero_skipped.set(self.zero_skipped.get().wrapping_add(block.requested));
        }
        if taken.rare {
            self.after_taking(span, inside);
        }
        Some(Placed::new(taken.address, zero))
    }

    /// A block of a span of this heap that has room.
    #[inline(always)]
    fn take(&self, class: usize, span: &'static Span, block: Block) -> Taken {
        let popped = span.pop();
        let unit = span.unit.get();
        span.begin_block(popped.index, unit, block);
        let address = span.start.get().wrapping_add(popped.offset);
        let moved = self.count_taken(class, unit, block);
        Taken { address, first: popped.first, rare: popped.last | moved }
    }

    /// The span may be full now, and the peaks higher than ever.
    // Of C's kind, which never unwinds: so the short way need not prepare for that.
    #[cold]
    #[inline(never)]
    extern "C" fn after_taking<Inside>(&self, span: &'static Span, inside: Inside) {
        if span.is_full() {
            self.leave_room(span, span.class.get());
        }
        if self.has_moved() {
            self.look_at_peaks();
        }
        drop(inside);
    }

    /// The large block that it keeps, if that is what a request would get from the pool.
    #[inline(never)]
    fn take_large(&self, state: State, bytes: usize, alignment: usize, tag: u64) -> Option<usize> {
        let span = self.large.get()?;
        let (unit, start) = (span.unit.get(), span.start.get());
        // A span of its own has less than a page and a granule more than was asked for.
        let fits = bytes <= unit && unit - bytes < self.page.get() && span.bytes.get() - unit < GRANULE;
        if !fits || start & (alignment - 1) != 0 {
            return None;
        }
        self.large.set(None);
        let block = Block { state, alignment, requested: bytes, tag };
        span.set_block(0, block);
        if self.count_taken(class::COUNT, unit, block) {
            self.look_at_peaks();
        }
        Some(start)
    }

    /// Keeps a large block, which is free for nobody else; the one that it kept before.
    fn keep_large(&self, span: &'static Span) -> Option<&'static Span> {
        let before = self.large.get();
        self.large.set(Some(span));
        self.kept.set(self.kept.get().wrapping_add(1));
        before
    }

    /// The span of this heap, or with `any` of another one of the thread, that has the address, and the offset in it.
    #[inline(always)]
    fn find_owned(
        &'static self,
        any: bool,
        thread: &'static Thread,
        address: usize,
    ) -> Option<(&'static Heap, &'static Span, usize)> {
        let span = table::get(address)?;
        let heap = if span.is_of(self) { self } else { span.heap().filter(|heap| any && heap.is_of(thread))? };
        let offset = address.wrapping_sub(span.start.get());
        heap.recent.start.set(span.start.get());
        heap.recent.bytes.set(span.bytes.get());
        heap.recent.span.set(Some(span));
        Some((heap, span, offset))
    }

    /// Takes back a block of a span of this heap, so many bytes into it. None, and nothing is changed: it is not the start of a block of which the right thing is known.
    #[inline(always)]
    fn give(&self, span: &'static Span, offset: usize, is_right: impl FnOnce(Word) -> bool) -> Option<Given> {
        let index = span.index_at(offset)?;
        let unit = span.unit.get();
        let block = span.end_block(index, unit, is_right)?;
        let room = span.push(offset);
        let moved = self.count_returned(unit, block);
        let edge = room == span.bump.get() || room == 1 && span.bump.get() == span.count.get();
        // What comes first in its list was not full, and may stay there as it is.
        let at_edge = edge && !self.is_first(span, span.class.get());
        Some(Given { requested: block.requested, rare: at_edge | moved })
    }

    /// The span may have been full, or be empty now.
    // As above.
    #[cold]
    #[inline(never)]
    extern "C" fn after_giving<Inside>(&self, span: &'static Span, inside: Inside) {
        if self.has_moved() {
            self.look_again();
        }
        // Last: callbacks of an upstream run outside, where a heap may end.
        self.at_edge(span);
        drop(inside);
    }

    /// Whether a span is the first of those with room.
    #[inline(always)]
    pub(super) fn is_first(&self, span: &'static Span, class: usize) -> bool {
        self.room.get(class).and_then(List::first).is_some_and(|first| first.is(span))
    }

    /// True: the peaks must be looked at.
    #[inline(always)]
    fn count_taken(&self, class: usize, unit: usize, block: Block) -> bool {
        // SAFETY: a class, or their number; there is a count for each.
        unsafe { self.handed.get_unchecked(class) }.add(1);
        self.slack.add(unit.wrapping_sub(block.requested));
        if block.client() != PLAIN {
            let part = &self.clients[block.client().index()];
            part.allocated.add(1);
            part.requested.add(block.requested);
            part.in_use.add(unit);
        }
        let in_use = self.in_use.get().wrapping_add(unit);
        self.in_use.set(in_use);
        in_use > self.high.get()
    }

    /// Counts a block that this thread gave back, also to a span of another heap; the same.
    #[inline(always)]
    fn count_returned(&self, unit: usize, block: Block) -> bool {
        self.freed.add(1);
        self.slack.subtract(unit.wrapping_sub(block.requested));
        if block.client() != PLAIN {
            let part = &self.clients[block.client().index()];
            part.freed.add(1);
            part.requested.subtract(block.requested);
            part.in_use.subtract(unit);
        }
        let in_use = self.in_use.get().wrapping_sub(unit);
        self.in_use.set(in_use);
        in_use < self.low.get()
    }

    /// Counts that a block is now asked for with so many bytes.
    pub(super) fn count_resized(&self, bytes: usize, block: Block) {
        let more = bytes.wrapping_sub(block.requested);
        self.slack.subtract(more);
        if block.client() != PLAIN {
            self.clients[block.client().index()].requested.add(more);
        }
    }

    /// Counts a block that went back elsewhere.
    pub fn count_elsewhere(&self, unit: usize, block: Block) {
        if self.count_returned(unit, block) {
            self.look_again();
        }
    }

    /// Whether what is in use moved so far that the peaks must be looked at.
    fn has_moved(&self) -> bool {
        !(self.low.get()..=self.high.get()).contains(&self.in_use.get())
    }

    /// More is in use than when the peaks were looked at, or as much as then and others may have more.
    fn look_at_peaks(&self) {
        let Some(pool) = self.pool() else { return };
        self.look_again();
        let in_use = self.in_use.get();
        if in_use > self.seen.get() || self.looks.get() != pool.looks.load(Ordering::Relaxed) {
            pool.books.lock().peak();
            self.seen.set(in_use);
            self.looks.set(pool.looks.load(Ordering::Relaxed));
        }
    }

    /// The peaks have been looked at, or are higher than what is now.
    pub fn look_again(&self) {
        let (in_use, half) = (self.in_use.get(), (self.keep.get() / 2).min(NONE / 2));
        self.low.set(in_use - half);
        self.high.set(in_use + half);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use crate::ffi::pool::{tn_pool_allocate, tn_pool_create, tn_pool_deallocate, tn_pool_release};
    use crate::pool;
    use crate::slots::Id;
    use crate::types::*;
    use core::ptr::{null, null_mut};
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    const HOST: tn_device = tn_device { r#type: TN_CPU, id: 0 };

    /// A pool's handle, as a number that threads may share.
    fn create() -> usize {
        let mut made = null_mut();
        // SAFETY: NULL options, and a place for the result.
        assert_eq!(unsafe { tn_pool_create(HOST, null(), &mut made) }, TN_OK);
        made as usize
    }

    fn take(handle: usize, bytes: usize) -> usize {
        let mut block = null_mut();
        // SAFETY: a place for the result.
        assert_eq!(unsafe { tn_pool_allocate(handle as *mut tn_pool, bytes, 16, null_mut(), &mut block) }, TN_OK);
        block as usize
    }

    fn give(handle: usize, block: usize) {
        assert_eq!(tn_pool_deallocate(handle as *mut tn_pool, block as *mut _, null_mut()), TN_OK);
    }

    /// Whether a thread that has done `prepare` does `work` while this one has the pool's lock.
    fn needs_no_lock<T: Send + 'static>(
        handle: usize,
        prepare: impl FnOnce() -> T + Send + 'static,
        work: impl FnOnce(&T) + Send + 'static,
    ) -> (bool, T) {
        let pool = pool::of_handle(Id::from_bits(handle as u64)).unwrap();
        let (ready, is_ready) = mpsc::channel();
        let (go, may_go) = mpsc::channel();
        let (done, is_done) = mpsc::channel();
        let (end, may_end) = mpsc::channel::<()>();
        let worker = thread::spawn(move || {
            let prepared = prepare();
            ready.send(()).unwrap();
            may_go.recv().unwrap();
            work(&prepared);
            done.send(()).unwrap();
            // The end of a thread does need the lock.
            let _ = may_end.recv();
            prepared
        });
        is_ready.recv().unwrap();
        let books = pool.books.lock();
        go.send(()).unwrap();
        let ran = is_done.recv_timeout(Duration::from_secs(20)).is_ok();
        drop(books);
        drop(end);
        (ran, worker.join().unwrap())
    }

    const SIZES: [usize; 3] = [16, 100, 4096];

    /// PH-1, PH-2: the owner takes and gives back without the pool's lock. PH-5: it gets the same block again.
    #[test]
    fn ph_1_ph_2_ph_5_the_owner_waits_for_nobody() {
        let handle = create();
        // The first of each class asks the pool.
        let prepare = move || SIZES.map(|bytes| take(handle, bytes));
        let work = move |_: &[usize; 3]| {
            for bytes in SIZES {
                let first = take(handle, bytes);
                give(handle, first);
                for _ in 0..1000 {
                    let again = take(handle, bytes);
                    assert_eq!(again, first);
                    give(handle, again);
                }
            }
        };
        let (ran, kept) = needs_no_lock(handle, prepare, work);
        assert!(ran);
        kept.into_iter().for_each(|block| give(handle, block));
        assert_eq!(tn_pool_release(handle as *mut tn_pool), TN_OK);
    }

    /// PH-3: who gives back what another thread's heap owns waits for nobody either, and a second one is told so.
    #[test]
    fn ph_3_a_free_by_another_thread_waits_for_nobody() {
        let handle = create();
        let blocks: Vec<usize> = (0..200).map(|k| take(handle, SIZES[k % 3])).collect();
        let last = *blocks.last().unwrap();
        // Its first one makes a heap.
        let prepare = move || give(handle, blocks[0]);
        let rest: Vec<usize> = (0..100).map(|k| take(handle, SIZES[k % 3])).collect();
        let work = move |_: &()| rest.iter().for_each(|&block| give(handle, block));
        let (ran, _) = needs_no_lock(handle, prepare, work);
        assert!(ran);
        let twice = move || tn_pool_deallocate(handle as *mut tn_pool, last as *mut _, null_mut());
        assert_eq!(thread::spawn(twice).join().unwrap(), TN_OK);
        assert_eq!(thread::spawn(twice).join().unwrap(), TN_ERR_STALE);
        assert_eq!(tn_pool_release(handle as *mut tn_pool), TN_OK);
    }

    /// PH-8, PH-9: a thread knows its heap by the handle, of each of 64 pools and of the current one.
    #[test]
    fn ph_8_ph_9_each_pool_has_the_short_way() {
        let handles: Vec<usize> = (0..64).map(|_| create()).chain([0]).collect();
        let kept: Vec<usize> = handles.iter().map(|&handle| take(handle, 64)).collect();
        for _ in 0..2 {
            let quick = handles.iter().filter(|&&handle| {
                let block = super::allocate_quickly(handle as u64, 64, 16);
                let block = block.map(|block| {
                    let address = block.address();
                    block.finish();
                    address
                });
                block.is_some_and(|block| super::deallocate_quickly(handle as u64, block))
            });
            // Two may share a place, where other tests make pools in between.
            assert!(quick.count() >= handles.len() - 4);
        }
        for (&handle, block) in handles.iter().zip(kept) {
            give(handle, block);
        }
        for &handle in &handles[..64] {
            assert_eq!(tn_pool_release(handle as *mut tn_pool), TN_OK);
            assert!(super::allocate_quickly(handle as u64, 64, 16).is_none(), "a released handle is stale at once");
        }
    }
}
