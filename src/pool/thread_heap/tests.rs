//! Tests of the fast path, seen from inside.

use crate::ffi::array::{tn_array_empty, tn_array_release};
use crate::ffi::pool::{
    tn_pool_allocate, tn_pool_create, tn_pool_deallocate, tn_pool_import, tn_pool_reallocate, tn_pool_release,
    tn_pool_set_current,
};
use crate::pool::thread_heap::{Deallocate, allocate_fast, deallocate_fast};
use crate::pool::{self, Client, Pool};
use crate::slots::Id;
use crate::sys::os;
use crate::types::*;
use core::ffi::c_void;
use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

const HOST: tn_device = tn_device { r#type: TN_CPU, id: 0 };

/// A pool's handle, as a number that threads may share.
fn create() -> usize {
    create_with(null())
}

fn create_with(options: *const tn_pool_options) -> usize {
    let mut made = null_mut();
    // SAFETY: NULL or options, and a place for the result.
    assert_eq!(unsafe { tn_pool_create(HOST, options, &mut made) }, TN_OK);
    made as usize
}

/// Options of a pool whose threads keep that many bytes.
fn kept(bytes: usize) -> tn_pool_options {
    tn_pool_options { size: size_of::<tn_pool_options>(), thread_cache_size: bytes as u64, ..Default::default() }
}

const KEPT: usize = 64 << 10;

/// An upstream that gets its memory from a function of bytes and alignment. Memory that goes back is left alone.
fn upstream(get: fn(usize, usize) -> usize) -> tn_upstream {
    unsafe extern "C" fn allocate(
        context: *mut c_void,
        bytes: usize,
        alignment: usize,
        _: u64,
        out: *mut *mut c_void,
    ) -> tn_status {
        // SAFETY: the context is that function, and `out` the pool's own variable.
        unsafe {
            let get = core::mem::transmute::<*mut c_void, fn(usize, usize) -> usize>(context);
            out.write(get(bytes, alignment) as *mut c_void);
        }
        TN_OK
    }
    unsafe extern "C" fn deallocate(_: *mut c_void, _: *mut c_void, _: usize, _: u64) -> tn_status {
        TN_OK
    }
    tn_upstream {
        size: size_of::<tn_upstream>(),
        context: get as *mut c_void,
        granularity: 0,
        alignment: 0,
        flags: 0,
        reserved: 0,
        allocate: Some(allocate),
        deallocate: Some(deallocate),
        purge: None,
        release: None,
    }
}

fn import(upstream: &tn_upstream) -> usize {
    let mut made = null_mut();
    // SAFETY: an upstream, and a place for the result.
    assert_eq!(unsafe { tn_pool_import(HOST, upstream, null(), &mut made) }, TN_OK);
    made as usize
}

fn pool_of(handle: usize) -> &'static Pool {
    pool::of_handle(Id::from_bits(handle as u64)).unwrap()
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

fn resize(handle: usize, block: usize, bytes: usize) -> usize {
    let (pool, block, mut moved) = (handle as *mut tn_pool, block as *mut _, null_mut());
    // SAFETY: a place for the result.
    assert_eq!(unsafe { tn_pool_reallocate(pool, block, bytes, null_mut(), &mut moved) }, TN_OK);
    moved as usize
}

fn release(handle: usize) {
    assert_eq!(tn_pool_release(handle as *mut tn_pool), TN_OK);
}

/// Whether another thread does `work` after `prepare` while this thread has the pool's lock.
fn needs_no_lock<T: Send + 'static>(
    handle: usize,
    prepare: impl FnOnce() -> T + Send + 'static,
    work: impl FnOnce(&T) + Send + 'static,
) -> (bool, T) {
    let pool = pool_of(handle);
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
        // The end of a thread needs the lock.
        let _ = may_end.recv();
        prepared
    });
    is_ready.recv().unwrap();
    let state = pool.state.lock();
    go.send(()).unwrap();
    let ran = is_done.recv_timeout(Duration::from_secs(300)).is_ok();
    drop(state);
    drop(end);
    (ran, worker.join().unwrap())
}

const SIZES: [usize; 3] = [16, 100, 4096];

/// PH-1, PH-2: the owner allocates and frees without the pool's lock. PH-5: it gets the same block again.
#[test]
fn ph_1_ph_2_ph_5_the_owner_waits_for_nobody() {
    let handle = create();
    // The first allocation of each class takes the lock.
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
    release(handle);
}

/// PH-3: a remote free waits for no lock, and a second one is refused.
#[test]
fn ph_3_a_free_by_another_thread_waits_for_nobody() {
    let handle = create();
    let blocks: Vec<usize> = (0..200).map(|k| take(handle, SIZES[k % 3])).collect();
    let last = *blocks.last().unwrap();
    // The first free of the thread makes its heap.
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

/// PO-12: an alignment that no pool has is refused, also if the kept block happens to have it.
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
    // Freed last, and so kept.
    blocks.into_iter().for_each(|block| give(handle, block));
    assert_eq!(allocate(8 * MIB), (TN_ERR_INVALID, 0));
    assert_eq!(allocate(3 * MIB), (TN_ERR_INVALID, 0));
    assert_eq!(tn_pool_release(handle as *mut tn_pool), TN_OK);
}

/// Tells whether a free took the fast path.
struct Quickly;

impl Deallocate for Quickly {
    type Status = bool;
    const DONE: bool = true;
    extern "C" fn slow(_: u64, _: usize, _: u64) -> bool {
        false
    }
}

/// PH-8, PH-9: a thread finds its heap by the handle, for each of 64 pools and for the current one.
#[test]
fn ph_8_ph_9_each_pool_has_the_short_way() {
    let handles: Vec<usize> = (0..64).map(|_| create()).chain([0]).collect();
    let kept: Vec<usize> = handles.iter().map(|&handle| take(handle, 64)).collect();
    for _ in 0..2 {
        let quick = handles.iter().filter(|&&handle| {
            let block = allocate_fast(handle as u64, 64, 16);
            let block = block.map(|block| {
                let address = block.address();
                block.finish(address)
            });
            block.is_some_and(|block| deallocate_fast::<Quickly>(handle as u64, block, 0))
        });
        // Two may share a cache entry, if other tests make pools in between.
        assert!(quick.count() >= handles.len() - 4);
    }
    for (&handle, block) in handles.iter().zip(kept) {
        give(handle, block);
    }
    for &handle in &handles[..64] {
        assert_eq!(tn_pool_release(handle as *mut tn_pool), TN_OK);
        assert!(allocate_fast(handle as u64, 64, 16).is_none(), "a released handle is stale at once");
    }
}

/// PH-8, PO-6: a handle that another thread releases is stale at once, also for a thread that cached it; the pool
/// lives on by another handle.
#[test]
fn ph_8_a_released_handle_is_stale_in_every_thread() {
    let handle = create();
    let second = pool::new_handle(pool_of(handle)).unwrap().bits() as usize;
    let (ready, is_ready) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    let quick = move || allocate_fast(second as u64, 64, 16).map(|block| block.finish(()));
    let other = thread::spawn(move || {
        // The first calls take the slow path. Then the thread has cached its heap.
        let mut blocks = vec![take(second, 64), take(second, 64)];
        let known = quick().is_some();
        ready.send(known).unwrap();
        may_go.recv().unwrap();
        let mut block = null_mut();
        // SAFETY: a place for the result.
        let status = unsafe { tn_pool_allocate(second as *mut tn_pool, 64, 16, null_mut(), &mut block) };
        let refused = tn_pool_deallocate(second as *mut tn_pool, blocks[0] as *mut _, null_mut());
        let knows_no_more = quick().is_none();
        blocks.drain(..).for_each(|block| give(handle, block));
        (status, refused, knows_no_more)
    });
    assert!(is_ready.recv().unwrap(), "it knew the handle");
    release(second);
    go.send(()).unwrap();
    assert_eq!(other.join().unwrap(), (TN_ERR_STALE, TN_ERR_STALE, true));
    assert_eq!(pool_of(handle).query().live_blocks, 1, "the one that the quick way gave");
    release(handle);
}

/// PH-1: an array's block is allocated and freed as a raw one is, and counts for the arrays.
#[test]
fn ph_1_arrays_are_made_and_end_without_the_lock() {
    let handle = create();
    let shape = [8i64];
    let make = move || {
        let mut array = null_mut();
        // SAFETY: one axis, and a place for the result.
        let status = unsafe { tn_array_empty(handle as *mut tn_pool, TN_F64, 1, shape.as_ptr(), null(), &mut array) };
        assert_eq!(status, TN_OK);
        array as usize
    };
    let end = |array: usize| assert_eq!(tn_array_release(array as *mut tn_array), TN_OK);
    let (ran, kept) = needs_no_lock(handle, make, move |_| (0..1000).for_each(|_| end(make())));
    assert!(ran);
    let stats = pool_of(handle).query();
    assert_eq!((stats.allocation_count, stats.deallocation_count, stats.live_blocks), (1001, 1000, 1));
    assert_eq!((stats.requested_bytes, stats.in_use_bytes), (64, 256));
    let mut counted = Vec::new();
    pool_of(handle).each_client(|client| counted.push((Client::of(&client).name(), client.live_bytes)));
    assert_eq!(counted, [("arrays", 256)]);
    end(kept);
    assert_eq!(pool_of(handle).query().in_use_bytes, 0);
    release(handle);
}

/// PO-19, PH-1: a block is resized without the pool's lock, and its contents move with it.
#[test]
fn ph_1_a_small_block_changes_its_size_without_the_lock() {
    let handle = create();
    let prepare = move || [100, 5000].map(|bytes| take(handle, bytes));
    let work = move |kept: &[usize; 2]| {
        let mut block = take(handle, 100);
        // SAFETY: a block of 100 bytes.
        unsafe { (block as *mut u8).write_bytes(7, 100) };
        for _ in 0..1000 {
            assert_eq!(resize(handle, block, 110), block, "the class has room for it");
            let moved = resize(handle, block, 5000);
            assert!(moved != block && !kept.contains(&moved));
            block = resize(handle, moved, 100);
            // SAFETY: as above.
            assert!(unsafe { core::slice::from_raw_parts(block as *const u8, 100) }.iter().all(|&byte| byte == 7));
        }
        give(handle, block);
    };
    let (ran, kept) = needs_no_lock(handle, prepare, work);
    assert!(ran);
    let stats = pool_of(handle).query();
    assert_eq!((stats.allocation_count, stats.deallocation_count, stats.reallocation_count), (3, 1, 3000));
    kept.into_iter().for_each(|block| give(handle, block));
    release(handle);
}

/// PO-31: a resize counts the same on the fast path and on the slow path.
#[test]
fn po_31_both_ways_of_changing_a_size_count_alike() {
    let (short, long) = (create(), create());
    let mut blocks: Vec<[usize; 2]> = (0..64).map(|k| [short, long].map(|handle| take(handle, 1 + k * 50))).collect();
    let mut random = 1u64;
    for _ in 0..5000 {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let bytes = 1 + (random >> 33) as usize % 9000;
        let [a, b] = &mut blocks[(random >> 50) as usize % 64];
        *a = resize(short, *a, bytes);
        *b = pool_of(long).reallocate(*b, bytes, 0).unwrap().unwrap().as_ptr() as usize;
        let [a, b] = [short, long].map(|handle| {
            let s = pool_of(handle).query();
            let mut clients = Vec::new();
            pool_of(handle).each_client(|client| clients.push((client.live_blocks, client.allocation_count)));
            let counts = [s.allocation_count, s.deallocation_count, s.reallocation_count, s.live_blocks, s.hit_count];
            (counts, s.in_use_bytes, s.requested_bytes, clients)
        });
        assert_eq!(a, b);
    }
    assert_eq!(pool_of(short).query().reallocation_count, 5000);
    for (handle, which) in [(short, 0), (long, 1)] {
        blocks.iter().for_each(|pair| give(handle, pair[which]));
        release(handle);
    }
}

/// PO-33: the peak of requested bytes includes blocks that grow in place.
#[test]
fn po_33_blocks_that_grow_in_place_have_a_peak() {
    let handle = create_with(&kept(KEPT));
    let blocks: Vec<usize> = (0..2000).map(|_| take(handle, 1025)).collect();
    for bytes in [1150, 1025] {
        blocks.iter().for_each(|&block| assert_eq!(resize(handle, block, bytes), block));
    }
    let stats = pool_of(handle).query();
    assert_eq!(stats.requested_bytes, 2000 * 1025);
    let peak = stats.peak_requested_bytes as usize;
    assert!((2000 * 1150 - KEPT..=2000 * 1150).contains(&peak), "{peak}");
    blocks.into_iter().for_each(|block| give(handle, block));
    release(handle);
}

/// PO-33: the peak of requested bytes rises while usable bytes stay.
#[test]
fn po_33_blocks_that_are_used_better_have_a_peak() {
    let handle = create_with(&kept(KEPT));
    let mut blocks: Vec<usize> = (0..2000).map(|_| take(handle, 1025)).collect();
    blocks.iter_mut().for_each(|block| {
        give(handle, *block);
        *block = take(handle, 1152);
    });
    blocks.iter_mut().for_each(|block| {
        give(handle, *block);
        *block = take(handle, 1025);
    });
    let peak = pool_of(handle).query().peak_requested_bytes as usize;
    assert!((2000 * 1152 - KEPT..=2000 * 1152).contains(&peak), "one for one: {peak}");
    blocks.drain(..).for_each(|block| give(handle, block));
    pool_of(handle).reset_peak();
    for bytes in [1025, 1152] {
        let blocks: Vec<usize> = (0..2000).map(|_| take(handle, bytes)).collect();
        blocks.into_iter().for_each(|block| give(handle, block));
    }
    let peak = pool_of(handle).query().peak_requested_bytes as usize;
    assert!((2000 * 1152 - KEPT..=2000 * 1152).contains(&peak), "one after the other: {peak}");
    release(handle);
}

/// PO-33, PO-61: a client that takes another's place has a peak of its own.
#[test]
fn po_33_each_client_has_its_peak() {
    let handle = create_with(&kept(KEPT));
    let ask = |client| pool_of(handle).allocate_for(client, 1152, 16, false, 0).unwrap().as_ptr() as usize;
    let peak_of = |client: Client| {
        let mut peak = 0;
        pool_of(handle).each_client(|told| {
            if Client::of(&told) == client {
                peak = told.peak_bytes as usize;
            }
        });
        peak
    };
    let mut blocks: Vec<usize> = (0..2000).map(|_| ask(Client::RUST)).collect();
    for client in [Client::NUMPY, Client::RAW, Client::RUST] {
        for block in &mut blocks {
            pool::deallocate(None, *block).unwrap();
            *block = ask(client);
        }
    }
    blocks.into_iter().for_each(|block| pool::deallocate(None, block).unwrap());
    for client in [Client::NUMPY, Client::RAW, Client::RUST] {
        let peak = peak_of(client);
        assert!((2000 * 1152 - KEPT..=2000 * 1152).contains(&peak), "{}: {peak}", client.name());
    }
    release(handle);
}

/// PO-62: a callback of the pool's own upstream sets another pool as the thread's. The next call uses that one.
#[test]
fn po_62_a_pool_that_a_callback_sets_is_the_current_one() {
    static OTHER: AtomicUsize = AtomicUsize::new(0);
    let upstream = upstream(|bytes, alignment| {
        assert_eq!(tn_pool_set_current(OTHER.load(Ordering::Relaxed) as *mut tn_pool), TN_OK);
        os::map(bytes, alignment).unwrap()
    });
    let (first, other) = (import(&upstream), create());
    OTHER.store(other, Ordering::Relaxed);
    assert_eq!(tn_pool_set_current(first as *mut tn_pool), TN_OK);
    let blocks = [(); 3].map(|()| take(0, 64));
    let pools = blocks.map(|block| core::ptr::eq(pool::locate(block).unwrap().pool, pool_of(other)));
    assert_eq!(pools, [false, true, true]);
    blocks.into_iter().for_each(|block| give(0, block));
    assert_eq!(tn_pool_set_current(null_mut()), TN_OK);
    release(first);
    release(other);
}

/// PO-24: a pool over a small block of another one. A free means the block that the table shows.
#[test]
fn po_24_a_block_in_anothers_small_block_is_its_own() {
    static PIECE: AtomicUsize = AtomicUsize::new(0);
    let below = create();
    let blocks: Vec<usize> = (0..8)
        .map(|_| {
            let mut block = null_mut();
            // SAFETY: a place for the result.
            let status = unsafe { tn_pool_allocate(below as *mut tn_pool, 65536, 4096, null_mut(), &mut block) };
            assert_eq!(status, TN_OK);
            block as usize
        })
        .collect();
    PIECE.store(blocks[1], Ordering::Relaxed);
    let over = import(&upstream(|bytes, alignment| {
        let piece = PIECE.load(Ordering::Relaxed);
        assert!(bytes <= 65536 && piece.is_multiple_of(alignment));
        piece
    }));
    assert_eq!(tn_pool_set_current(below as *mut tn_pool), TN_OK);
    let mut block = null_mut();
    // SAFETY: a place for the result.
    let status = unsafe { tn_pool_allocate(over as *mut tn_pool, 64, 16, null_mut(), &mut block) };
    if status == TN_OK {
        // By the current pool, so that the thread guesses the span.
        give(0, take(0, 65536));
        give(0, blocks[0]);
        give(0, block as usize);
        assert_eq!((pool_of(over).query().live_blocks, pool_of(below).query().live_blocks), (0, 7));
    } else {
        assert_eq!(status, TN_ERR_FAILED, "blocks of a class are no memory for others");
        give(0, blocks[0]);
    }
    assert_eq!(tn_pool_set_current(null_mut()), TN_OK);
    release(over);
    blocks[1..].iter().for_each(|&block| give(below, block));
    release(below);
}

/// PH-17: 16 threads free their own and each other's blocks without contention: no lock, and no shared cache line
/// but the bits of the freed blocks.
#[test]
fn ph_17_many_threads_wait_for_nobody() {
    const THREADS: usize = 16;
    let handle = create();
    let pool = pool_of(handle);
    // Each thread's blocks, which its neighbour frees.
    let blocks: Vec<Mutex<Vec<usize>>> = (0..THREADS).map(|_| Mutex::new(Vec::new())).collect();
    let (ready, locked, left) = (Barrier::new(THREADS + 1), Barrier::new(THREADS + 1), Barrier::new(THREADS + 1));
    let done = AtomicUsize::new(0);
    thread::scope(|scope| {
        for k in 0..THREADS {
            let (blocks, ready, locked, left, done) = (&blocks, &ready, &locked, &left, &done);
            scope.spawn(move || {
                *blocks[k].lock().unwrap() = (0..200).map(|n| take(handle, SIZES[n % 2])).collect();
                ready.wait();
                locked.wait();
                let others = std::mem::take(&mut *blocks[(k + 1) % THREADS].lock().unwrap());
                others.into_iter().for_each(|block| give(handle, block));
                for n in 0..1000 {
                    give(handle, take(handle, SIZES[n % 2]));
                }
                done.fetch_add(1, Ordering::Release);
                left.wait();
            });
        }
        ready.wait();
        let state = pool.state.lock();
        locked.wait();
        let start = Instant::now();
        while done.load(Ordering::Acquire) < THREADS && start.elapsed() < Duration::from_secs(300) {
            thread::sleep(Duration::from_millis(1));
        }
        let ran = done.load(Ordering::Acquire);
        drop(state);
        left.wait();
        assert_eq!(ran, THREADS);
    });
    assert_eq!(pool.query().live_blocks, 0);
    release(handle);
}

#[test]
fn many_heaps_are_summed_once_in_a_tick() {
    const THREADS: usize = 20;
    let handle = create();
    let lately = |now| pool_of(handle).state.lock().in_use_lately(now);
    let (made, over) = (Barrier::new(THREADS + 1), Barrier::new(THREADS + 1));
    let hold = || {
        let block = take(handle, 1000);
        made.wait();
        over.wait();
        give(handle, block);
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(hold)).collect();
        // The pool counts the first block of a heap, and the heap counts the second one.
        let first = take(handle, 1000);
        made.wait();
        let before = lately(1);
        let second = take(handle, 1000);
        let with_second = (lately(1), lately(2));
        give(handle, second);
        let after = (lately(2), lately(3));
        over.wait();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let held = (THREADS + 1) * 1024;
        assert_eq!((before, with_second, after), (held, (held, held + 1024), (held + 1024, held)));
        give(handle, first);
    });
    // The heaps have ended with their threads, and few heaps are summed each time.
    assert_eq!(lately(3), 0);
    let blocks = [take(handle, 1000), take(handle, 1000)];
    assert_eq!(lately(3), 2048);
    blocks.into_iter().for_each(|block| give(handle, block));
    assert_eq!(lately(3), 0);
    release(handle);
}
