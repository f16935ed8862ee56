//! The short way: what nearly every call is, done with loads and stores of what the thread has.
//!
//! Contract: that of `blocks`. What is not done is left as it was, for the long way: a handle that the thread does not know yet, a class
//! without room, what another thread owns, a call from inside, a fork that waits. The machine code matters here: no call but at the end,
//! nothing that could unwind.

use super::Heap;
use super::blocks::give_large;
use crate::pool::cell::{Block, State, Word};
use crate::pool::client::PLAIN;
use crate::pool::options::LARGEST_ALIGNMENT;
use crate::pool::span::Span;
use crate::pool::{Pool, class, foreign, handle, table};
use crate::thread::{self, Thread, Visit};

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

/// What is known of a raw block that the thread asks for through a function of C.
#[inline(always)]
fn plain(thread: &'static Thread, requested: usize, alignment: usize) -> Block {
    Block { state: State::Raw, alignment, requested, tag: PLAIN.tag(thread.stamp()) }
}

/// Hands out a small raw block that the thread's heap of a pool has, by the handle (0: of the host's current pool): what nearly every request
/// is. None, and nothing is changed: the heap has none, the thread does not know the handle, or would have to wait.
#[inline(always)]
pub fn allocate_quickly(pool: u64, bytes: usize, alignment: usize) -> Option<Quick> {
    let thread = thread::known()?;
    let inside = Visit::begin(thread)?;
    let heap = handle::heap(thread, pool)?;
    let alignment = heap.alignment_of(alignment);
    let class = class::of_request(bytes, alignment)?;
    // SAFETY: what a request has is a class, and there is a list for each.
    let span = unsafe { heap.room.get_unchecked(class) }.first()?;
    let taken = heap.take(class, span, plain(thread, bytes, alignment));
    Some(Quick { heap, span, inside, rare: taken.rare, address: taken.address })
}

/// The same for a large block.
pub fn allocate_large_quickly(pool: u64, bytes: usize, alignment: usize) -> Option<usize> {
    let thread = thread::known()?;
    let _inside = Visit::begin(thread)?;
    let heap = handle::heap(thread, pool)?;
    let alignment = heap.alignment_of(alignment);
    if !alignment.is_power_of_two() || alignment > LARGEST_ALIGNMENT {
        return None;
    }
    heap.take_large(plain(thread, bytes, alignment))
}

/// The same for a store's block, of a pool that is known: where it is. `bytes`: at least 1.
#[inline(always)]
pub fn allocate_store_quickly(
    thread: &'static Thread,
    pool: &'static Pool,
    bytes: usize,
    alignment: usize,
    tag: u64,
) -> Option<usize> {
    let inside = Visit::begin(thread)?;
    let heap = Heap::at_hand(thread, pool)?;
    let class = class::of_request(bytes, alignment)?;
    // SAFETY: as in `allocate_quickly`.
    let span = unsafe { heap.room.get_unchecked(class) }.first()?;
    let taken = heap.take(class, span, Block { state: State::Store, alignment, requested: bytes, tag });
    if taken.rare {
        heap.after_taking(span, inside);
    }
    Some(taken.address)
}

/// Gives a small raw block back that the thread's heap of that pool owns (0: of any pool). False, and nothing is changed: it is not that.
#[inline(always)]
pub fn deallocate_quickly(pool: u64, address: usize) -> bool {
    let Some(thread) = thread::known() else { return false };
    let Some(inside) = Visit::begin(thread) else { return false };
    let Some(heap) = handle::heap(thread, pool) else { return false };
    heap.give_own(pool == 0, thread, inside, address, Word::is_plain)
}

/// The same for a store's block, of a pool that is known.
#[inline(always)]
pub fn deallocate_store_quickly(thread: &'static Thread, pool: &'static Pool, address: usize) -> bool {
    let Some(inside) = Visit::begin(thread) else { return false };
    let Some(heap) = Heap::at_hand(thread, pool) else { return false };
    heap.give_own(false, thread, inside, address, |word| word.is(State::Store))
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

impl Heap {
    /// The alignment that a request means: 0 is the pool's.
    #[inline(always)]
    fn alignment_of(&self, asked: usize) -> usize {
        if asked == 0 { self.alignment.get() } else { asked }
    }

    /// Takes a block back of a span of this heap, or with `any` of another one of the thread; the end of the call. False, and nothing is
    /// changed: it is not that, or not the right block.
    #[inline(always)]
    fn give_own(
        &'static self,
        any: bool,
        thread: &'static Thread,
        inside: Visit,
        address: usize,
        is_right: impl FnOnce(Word) -> bool,
    ) -> bool {
        let offset = address.wrapping_sub(self.recent.start.get());
        // Nearly always right for what is given back in order, and then nothing waits for a look into the table.
        let found = if offset < self.recent.bytes.get() {
            // SAFETY: some bytes, and so a span (see `Recent`).
            Some((self, unsafe { self.recent.span.get().unwrap_unchecked() }, offset))
        } else {
            self.find_owned(any, thread, address)
        };
        let Some((heap, span, offset)) = found else { return false };
        let Some(given) = heap.give(span, offset, is_right) else { return false };
        if given.rare {
            heap.after_giving(span, inside);
        }
        true
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

    /// PO-12: an alignment that no pool has is refused also where the kept block happens to lie at a multiple of it.
    #[test]
    fn po_12_a_kept_block_serves_no_wrong_alignment() {
        const MIB: usize = 1 << 20;
        let handle = create();
        let allocate = |alignment| {
            let mut block = null_mut();
            // SAFETY: a place for the result.
            let status = unsafe { tn_pool_allocate(handle as *mut tn_pool, MIB, alignment, null_mut(), &mut block) };
            (status, block as usize)
        };
        let mut blocks: Vec<usize> = (0..32).map(|_| allocate(4 * MIB).1).collect();
        blocks.sort_by_key(|block| block.trailing_zeros());
        assert!(blocks.last().unwrap().is_multiple_of(8 * MIB), "of many at 4 MiB some are");
        // Given back last, and so kept.
        blocks.into_iter().for_each(|block| give(handle, block));
        assert_eq!(allocate(8 * MIB), (TN_ERR_INVALID, 0));
        assert_eq!(allocate(3 * MIB), (TN_ERR_INVALID, 0));
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
