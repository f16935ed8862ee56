//! Pools whose memory comes from the driver's own pools (PD-17). Counts of driver calls, stalled streams and captures
//! need the simulator.

use crate::driver_call;
use crate::support;
use std::ffi::c_void;
use std::ptr::null_mut;
use support::cuda::{Device, device, last_error, with_context, without_blocking};
use support::device_pools::*;
use tenure::ffi::allocators::{tn_cupy_free, tn_cupy_malloc};
use tenure::ffi::array::*;
use tenure::ffi::device::tn_device_synchronize;
use tenure::ffi::pool::*;
use tenure::ffi::transfer::*;
use tenure::ffi::view::tn_array_slice;
use tenure::types::*;
use tenure_harness::test;

/// CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED.
const MEMORY_POOLS: i32 = 115;
const SECOND: tn_device = tn_device { r#type: TN_CUDA, id: 1 };

fn driver_pool(change: impl FnOnce(&mut tn_pool_options)) -> Status<Pool> {
    pool_on(GPU, |options| {
        options.backend = TN_BACKEND_DRIVER_POOL;
        change(options);
    })
}

fn fill(stream: &Stream, block: usize, bytes: usize, value: u8) -> u32 {
    let native = stream.native() as usize;
    with_context(0, || driver_call!(cuMemsetD8Async(block as u64 => u64, value => u8, bytes => usize, native => usize)))
}

/// The free memory of the GPU, by the driver.
fn free_memory() -> usize {
    let (mut free, mut total) = (0usize, 0usize);
    let code = with_context(0, || driver_call!(cuMemGetInfo_v2(&mut free => *mut usize, &mut total => *mut usize)));
    assert_eq!(code, 0);
    free
}

/// How many calls of the driver's stream-ordered allocator `work` makes: allocations, and frees.
fn calls(gpu: &Device, work: impl FnOnce()) -> (u64, u64) {
    let sim = gpu.simulated();
    let (allocations, (frees, ())) = sim.calls_of("cuMemAllocFromPoolAsync", || sim.calls_of("cuMemFreeAsync", work));
    (allocations, frees)
}

/// PD-17: a large block is one allocation of the driver, and goes back to it on the stream that frees it. No other
/// allocator is called.
#[test]
fn pd_17_large_blocks_come_from_the_driver_and_go_back_at_once() {
    let gpu = device();
    let sim = gpu.simulated();
    sim.set("askew", 0);
    let (pool, s) = (driver_pool(|_| ()).unwrap(), stream());
    // The first one may show how the driver aligns.
    let first = pool.take(3 * MIB, &s).unwrap();
    pool.give(first, &s);
    let mut block = 0;
    assert_eq!(calls(&gpu, || block = pool.take(5 * MIB, &s).unwrap()), (1, 0));
    assert_eq!((block % (64 << 10), usable(block), fill(&s, block, 5 * MIB, 1)), (0, 5 * MIB, 0));
    let stats = pool.stats();
    assert_eq!((stats.in_use_bytes, stats.live_blocks), (5 * MIB as u64, 1));
    assert_eq!(calls(&gpu, || pool.give(block, &s)), (0, 1));
    let stats = pool.stats();
    assert_eq!((stats.in_use_bytes, stats.pending_bytes, stats.largest_free_bytes), (0, 0, 0));
    assert!(stats.cached_bytes >= 5 * MIB as u64, "the driver keeps it: {stats:?}");
    let (plain, block) = sim.calls_of("cuMemAlloc_v2", || pool.take(5 * MIB, &s).unwrap());
    assert_eq!((plain, pool.stats().reserved_bytes), (0, stats.reserved_bytes), "from what the driver kept");
    pool.give(block, &s);
}

/// PD-17: small blocks are cut from larger allocations, and the stream that freed one gets it again without a call
/// (PD-1).
#[test]
fn pd_17_small_blocks_are_cut_from_one_allocation() {
    let gpu = device();
    let (pool, s) = (driver_pool(|_| ()).unwrap(), stream());
    let kept = pool.take(100, &s).unwrap();
    let counts = calls(&gpu, || {
        let block = pool.take(1000, &s).unwrap();
        assert_eq!((fill(&s, block, 1000, 1), fill(&s, kept, 100, 1)), (0, 0));
        pool.give(block, &s);
        assert_eq!(pool.take(1000, &s), Ok(block));
        pool.give(block, &s);
    });
    assert_eq!(counts, (0, 0));
    pool.give(kept, &s);
}

/// PD-17: memory that comes in the order of one stream is another stream's only behind that point. The host does not
/// wait for it.
#[test]
fn pd_2_small_memory_of_a_stalled_stream_is_no_other_streams() {
    let gpu = device();
    let (pool, s, t) = (driver_pool(|_| ()).unwrap(), stream(), stream());
    let first = pool.take(100, &s).unwrap();
    let stall = gpu.stall(s.native());
    let pending = pool.take(5 * MIB, &s).unwrap();
    let (more, other) =
        without_blocking(&gpu, "a request", || (pool.take(MIB, &s).unwrap(), pool.take(5 * MIB, &t).unwrap()));
    // The simulator faults where work comes before the allocation.
    assert_eq!((fill(&t, other, 5 * MIB, 1), fill(&s, pending, 5 * MIB, 2)), (0, 0));
    t.finish();
    let small = without_blocking(&gpu, "a small request", || pool.take(MIB / 2, &t).unwrap());
    assert_eq!(fill(&t, small, MIB / 2, 3), 0);
    t.finish();
    drop(stall);
    for (block, stream) in [(first, &s), (pending, &s), (more, &s), (other, &t), (small, &t)] {
        pool.give(block, stream);
    }
    s.finish();
}

/// PD-17, PD-6: a block that several streams used goes back behind all of them, without a wait of the host.
#[test]
fn pd_6_a_block_of_several_streams_goes_back_behind_all() {
    let gpu = device();
    let (pool, s, t) = (driver_pool(|_| ()).unwrap(), stream(), stream());
    let block = pool.take(5 * MIB, &s).unwrap();
    s.finish();
    let stall = gpu.stall(t.native());
    assert_eq!(fill(&t, block, 5 * MIB, 1), 0);
    pool.record_use(block, &t);
    without_blocking(&gpu, "a free", || pool.give(block, &s));
    assert_eq!(pool.stats().in_use_bytes, 0);
    // Everything runs that does not wait for `t`. The simulator faults if the free is part of that.
    gpu.simulated().step(1000);
    drop(stall);
    t.finish();
    s.finish();
}

/// PD-17: `max_size` bounds what the driver hands out; what was freed on the stream counts no more.
#[test]
fn pd_17_the_limit_and_the_peaks_hold() {
    let _gpu = device();
    let (pool, s) = (driver_pool(|o| o.max_size = 12 * MIB as u64).unwrap(), stream());
    let blocks = [pool.take(6 * MIB, &s).unwrap(), pool.take(6 * MIB, &s).unwrap()];
    assert_eq!(pool.take(2 * MIB, &s), Err(TN_ERR_POOL_LIMIT));
    pool.give(blocks[0], &s);
    let again = pool.take(6 * MIB, &s).unwrap();
    pool.give(again, &s);
    pool.give(blocks[1], &s);
    let stats = pool.stats();
    assert_eq!((stats.peak_in_use_bytes, stats.in_use_bytes), (12 * MIB as u64, 0));
    assert!(stats.peak_reserved_bytes >= 12 * MIB as u64);
    s.finish();
    pool.trim();
    assert_eq!(tn_pool_reset_peak(pool.0), TN_OK);
    let stats = pool.stats();
    assert_eq!((stats.peak_in_use_bytes, stats.peak_reserved_bytes, stats.reserved_bytes), (0, 0, 0));
}

/// PD-17, PD-12: a trim returns what the driver kept, and says how much; `initial_size` stays.
#[test]
fn pd_12_a_trim_returns_what_the_driver_kept() {
    let gpu = device();
    gpu.simulated().set("askew", 0);
    let s = stream();
    for initial in [0, 4 * MIB] {
        let pool = driver_pool(|o| o.initial_size = initial as u64).unwrap();
        let before = free_memory();
        let blocks = [pool.take(5 * MIB, &s).unwrap(), pool.take(9 * MIB, &s).unwrap(), pool.take(700, &s).unwrap()];
        blocks.into_iter().for_each(|block| pool.give(block, &s));
        s.finish();
        assert!(before - free_memory() >= 14 * MIB, "the driver keeps it, also after a wait");
        let reserved = pool.stats().reserved_bytes as usize;
        let kept = free_memory();
        let released = pool.trim();
        assert_eq!((free_memory() - kept, pool.stats().reserved_bytes as usize), (released, reserved - released));
        assert_eq!((pool.stats().reserved_bytes as usize, pool.trim()), (initial, 0));
    }
}

/// PD-17: the driver keeps what is freed up to `release_threshold`, and all of it by default.
#[test]
fn pd_17_the_threshold_is_the_drivers() {
    let _gpu = device();
    let s = stream();
    for (threshold, keeps) in [(0, true), (TN_POOL_NONE, true), (1 << 20, false)] {
        let pool = driver_pool(|o| o.release_threshold = threshold).unwrap();
        let block = pool.take(32 * MIB, &s).unwrap();
        pool.give(block, &s);
        s.finish();
        assert_eq!(pool.stats().reserved_bytes >= 32 * MIB as u64, keeps, "{threshold}");
    }
}

/// PD-17, PD-15: a stream that captures a graph gets finished small blocks; a large request is refused, and the capture
/// stays valid. What is freed within the capture goes back later.
#[test]
fn pd_15_a_capture_takes_nothing_from_the_driver() {
    let gpu = device();
    let (pool, s) = (driver_pool(|_| ()).unwrap(), stream());
    let (small, large) = (pool.take(100, &s).unwrap(), pool.take(5 * MIB, &s).unwrap());
    s.finish();
    let counts = calls(&gpu, || {
        let capture = Capture::begin(&s);
        assert_eq!(pool.take(5 * MIB, &s), Err(TN_ERR_UNSUPPORTED));
        assert!(last_error().contains("graph"), "{}", last_error());
        let inside = pool.take(100, &s).unwrap();
        assert_eq!(fill(&s, inside, 100, 4), 0);
        pool.give(inside, &s);
        pool.give(large, &s);
        let graph = capture.end();
        launch(graph, &s);
    });
    assert_eq!(counts, (0, 0));
    assert_eq!(pool.stats().pending_bytes as usize / (5 * MIB), 1);
    pool.give(small, &s);
    s.finish();
    pool.trim();
    assert_eq!(pool.stats().reserved_bytes, 0);
}

/// PD-17, PD-19: peers can access the driver's pool.
#[test]
fn pd_19_peers_access_the_drivers_pool() {
    let gpu = device();
    gpu.require_two();
    let (pool, s, other) = (driver_pool(|o| o.peers = 2).unwrap(), stream(), stream_on(SECOND, 0));
    let block = pool.take(5 * MIB, &s).unwrap();
    s.finish();
    let native = other.native() as usize;
    let filled = with_context(
        1,
        || driver_call!(cuMemsetD8Async(block as u64 => u64, 7u8 => u8, 5 * MIB => usize, native => usize)),
    );
    assert_eq!(filled, 0);
    other.finish();
    pool.give(block, &s);
    assert_eq!(driver_pool(|o| o.peers = 1 << 5).err(), Some(TN_ERR_DEVICE), "there is no GPU 5");
}

/// PD-19, TR-7: a copy from another GPU into memory that this GPU was given access to is written, also by a driver that
/// loses peer copies into its pools then (590).
#[test]
fn pd_19_copies_into_a_pool_with_peers_are_written() {
    let gpu = device();
    gpu.require_two();
    let sim = gpu.simulated();
    sim.set("lost_peer_writes", 1);
    let pools = [driver_pool(|o| o.peers = 2).unwrap(), pool_on(SECOND, |_| ()).unwrap()];
    for (on, shape) in [(GPU, [1 << 20, 1]), (SECOND, [1 << 20, 1]), (GPU, [1000, 300]), (SECOND, [1000, 300])] {
        let array = |at: usize| {
            let mut array = null_mut();
            // SAFETY: the shape and the pointer are ours.
            let made = unsafe { tn_array_zeros(pools[at].0, TN_F32, 2, shape.as_ptr(), std::ptr::null(), &mut array) };
            assert_eq!(made, TN_OK);
            array
        };
        let (to, from, value) = (array(0), array(1), 3.0f32);
        // SAFETY: a value of the array's type.
        assert_eq!(unsafe { tn_array_fill(from, (&raw const value).cast(), 0, null_mut()) }, TN_OK);
        let (mut rows, mut source) = (to, from);
        if shape[1] > 1 {
            // Rows with gaps between them.
            let specs =
                [TN_NONE, 200].map(|stop| tn_slice_spec { start: TN_NONE, stop, step: TN_NONE, reserved: [0; 4] });
            for (whole, part_of) in [(to, &mut rows), (from, &mut source)] {
                // SAFETY: the slice and the pointer are ours.
                assert_eq!(unsafe { tn_array_slice(whole, 2, specs.as_ptr(), part_of) }, TN_OK);
            }
        }
        let s = stream_on(on, 0);
        assert_eq!(tn_array_copy_into(source, rows, 0, s.0), TN_OK, "{}", last_error());
        s.finish();
        let mut got = vec![0f32; (shape[0] * shape[1].min(200)) as usize];
        // SAFETY: room for all elements.
        let read = unsafe { tn_array_copy_to_host(rows, got.as_mut_ptr().cast(), std::ptr::null(), null_mut()) };
        assert_eq!(read, TN_OK, "{}", last_error());
        assert!(got.iter().all(|element| *element == value), "{on:?} {shape:?}");
        for array in [to, from].into_iter().chain([rows, source].into_iter().filter(|_| shape[1] > 1)) {
            assert_eq!(tn_array_release(array), TN_OK);
        }
    }
}

/// PD-17: without support in the GPU or the driver the pool is refused, with a text that says what to use. Other
/// devices have none.
#[test]
fn pd_17_without_support() {
    let gpu = device();
    let sim = gpu.simulated();
    sim.set_attribute(0, MEMORY_POOLS, 0);
    assert_eq!(driver_pool(|_| ()).err(), Some(TN_ERR_UNSUPPORTED));
    assert!(last_error().contains("TN_BACKEND_AUTO"), "{}", last_error());
    sim.set_attribute(0, MEMORY_POOLS, 1);
    assert!(driver_pool(|_| ()).is_ok());
    for device in [PINNED, MANAGED] {
        assert_eq!(pool_on(device, |o| o.backend = TN_BACKEND_DRIVER_POOL).err(), Some(TN_ERR_UNSUPPORTED));
    }
}

/// PD-17: where the driver aligns its allocations less than a pool needs, they are padded.
#[test]
fn pd_17_misaligned_allocations_are_padded() {
    let gpu = device();
    gpu.simulated().set("askew", 256);
    let (pool, s) = (driver_pool(|_| ()).unwrap(), stream());
    let blocks: Vec<usize> = [3, 5, 9].iter().map(|n| pool.take(n * MIB, &s).unwrap()).collect();
    for (block, n) in blocks.into_iter().zip([3, 5, 9]) {
        assert_eq!((block % (64 << 10), fill(&s, block, n * MIB, 1)), (0, 0));
        pool.give(block, &s);
    }
    s.finish();
    gpu.simulated().set("askew", 0);
}

/// PD-17: where the driver refuses a request, or a free, the pool says so and stays consistent.
#[test]
fn pd_17_a_driver_that_refuses() {
    let gpu = device();
    let sim = gpu.simulated();
    let (pool, s) = (driver_pool(|_| ()).unwrap(), stream());
    const OUT_OF_MEMORY: u32 = 2;
    const NOT_SUPPORTED: u32 = 801;
    sim.fail("cuMemAllocFromPoolAsync", 1, 100, OUT_OF_MEMORY);
    assert_eq!(pool.take(5 * MIB, &s), Err(TN_ERR_NO_DEVICE_MEMORY));
    sim.clear_faults();
    let block = pool.take(5 * MIB, &s).unwrap();
    sim.fail("cuMemFreeAsync", 1, 1, NOT_SUPPORTED);
    pool.give(block, &s);
    sim.clear_faults();
    assert_eq!(pool.stats().in_use_bytes, 0);
    for name in ["cuMemPoolCreate", "cuMemPoolSetAttribute"] {
        sim.fail(name, 1, 1, NOT_SUPPORTED);
        assert!(driver_pool(|_| ()).is_err(), "{name}");
        sim.clear_faults();
    }
}

/// PD-17, PD-20: after a reset the memory of before is never handed out, and the pool works on the new context.
#[test]
fn pd_20_after_a_reset() {
    let gpu = device();
    let _sim = gpu.simulated();
    let (pool, s) = (driver_pool(|_| ()).unwrap(), stream());
    let (small, large) = (pool.take(100, &s).unwrap(), pool.take(5 * MIB, &s).unwrap());
    assert_eq!(driver_call!(cuDevicePrimaryCtxReset_v2(0i32 => i32)), 0);
    pool.try_give(small, NOW.0);
    pool.try_give(large, NOW.0);
    let t = stream();
    let block = pool.take(5 * MIB, &t).unwrap();
    assert_eq!(fill(&t, block, 5 * MIB, 1), 0);
    pool.give(block, &t);
    t.finish();
}

/// PD-17: memory that is cleared when it is freed goes back behind the clearing.
#[test]
fn pd_17_cleared_memory_goes_back_behind_the_clearing() {
    let gpu = device();
    let sim = gpu.simulated();
    let (pool, s) = (driver_pool(|o| o.flags = TN_POOL_ZERO_ON_FREE).unwrap(), stream());
    let block = pool.take(5 * MIB, &s).unwrap();
    assert_eq!(fill(&s, block, 5 * MIB, 9), 0);
    let (clears, ()) = sim.calls_of("cuMemsetD8Async", || pool.give(block, &s));
    assert_eq!((clears, pool.stats().in_use_bytes), (1, 0));
    s.finish();
}

/// A descriptor of memory that went back to the driver behind unfinished work does not carry that work into another
/// pool.
#[test]
fn pd_17_other_pools_do_not_inherit_unfinished_work() {
    let gpu = device();
    let (pool, s, t) = (driver_pool(|_| ()).unwrap(), stream(), stream());
    let blocks: Vec<usize> = (0..8).map(|_| pool.take(8 * MIB, &s).unwrap()).collect();
    s.finish();
    let stall = gpu.stall(s.native());
    blocks.into_iter().for_each(|block| pool.give(block, &s));
    let plain = pool_on(GPU, |o| (o.backend, o.flags) = (TN_BACKEND_PLAIN, TN_POOL_STRICT)).unwrap();
    let others: Vec<usize> = (0..8).map(|_| plain.take(8 * MIB, &t).unwrap()).collect();
    assert!(others.iter().all(|&block| fill(&t, block, 8 * MIB, 1) == 0));
    t.finish();
    drop(stall);
    others.into_iter().for_each(|block| plain.give(block, &t));
}

/// PD-17, AL-7: a block whose last stream is not known does not go back to the driver before a wait for the whole
/// device.
#[test]
fn pd_17_a_free_that_names_no_stream() {
    let gpu = device();
    let (pool, s) = (driver_pool(|_| ()).unwrap(), stream());
    let block = tn_cupy_malloc(pool.0.cast(), 8 * MIB, 0) as usize;
    // The block comes in the order of the legacy stream.
    assert_eq!(tn_device_synchronize(GPU), TN_OK);
    let stall = gpu.stall(s.native());
    assert_eq!(fill(&s, block, 8 * MIB, 1), 0);
    assert_eq!(calls(&gpu, || tn_cupy_free(pool.0.cast(), block as *mut c_void, 0)), (0, 0));
    assert_eq!(pool.stats().pending_bytes, 8 * MIB as u64);
    drop(stall);
    s.finish();
}

/// PD-12: a trim that keeps everything returns nothing.
#[test]
fn pd_12_a_trim_that_keeps_all() {
    let _gpu = device();
    let (pool, s) = (driver_pool(|_| ()).unwrap(), stream());
    let block = pool.take(8 * MIB, &s).unwrap();
    pool.give(block, &s);
    s.finish();
    let (before, mut released) = (pool.stats().reserved_bytes, 1);
    // SAFETY: the number is ours.
    assert_eq!(unsafe { tn_pool_trim(pool.0, usize::MAX, &mut released) }, TN_OK);
    assert_eq!((released, pool.stats().reserved_bytes), (0, before));
}
