//! TN_POOL_ZERO_ON_FREE on devices: no block ever shows another owner's bytes, even if it could not be cleared when it
//! was freed. Needs the simulator: a GPU's memory cannot be read behind the pool's back.

use crate::driver_call;
use crate::support;
use std::ptr::null_mut;
use support::cuda::{Sim, alone, device, with_context};
use support::device_pools::*;
use tenure::ffi::array::{tn_array_full, tn_array_release};
use tenure::ffi::device::tn_device_synchronize;
use tenure::ffi::stream::*;
use tenure::types::*;
use tenure_harness::test;

/// A size of which this pool has one block.
const LARGE: usize = 2 * MIB;

fn clearing(change: impl FnOnce(&mut tn_pool_options)) -> Pool {
    pool_on(GPU, |o| {
        (o.flags, o.max_size) = (TN_POOL_ZERO_ON_FREE, LARGE as u64);
        change(o);
    })
    .unwrap()
}

fn fill(stream: &Stream, block: usize, bytes: usize, value: u8) {
    let (block, native) = (block as u64, stream.native() as usize);
    let status =
        with_context(0, || driver_call!(cuMemsetD8Async(block => u64, value => u8, bytes => usize, native => usize)));
    assert_eq!(status, 0);
}

/// Whether all bytes are 0 now, read behind the driver's back. Call it while no work runs on them.
fn is_zero(sim: Sim, block: usize, bytes: usize) -> bool {
    let at = sim.bytes(block as u64, bytes, 0);
    // SAFETY: the simulator's memory is host memory.
    unsafe { std::slice::from_raw_parts(at, bytes) }.iter().all(|&byte| byte == 0)
}

fn set_current(stream: *mut tn_stream) {
    assert_eq!(tn_stream_set_current(GPU, stream), TN_OK);
}

/// PD-15: while the thread's current stream captures, a block is cleared on another stream, and the graph has no part
/// of it.
#[test]
fn pd_15_a_capture_clears_nothing_later() {
    let gpu = device();
    let sim = gpu.simulated();
    let (pool, s, t) = (clearing(|_| ()), stream(), stream());
    for idle in [false, true] {
        let block = pool.take(LARGE, &t).unwrap();
        fill(&t, block, LARGE, 0x77);
        if idle {
            t.finish();
        }
        set_current(s.0);
        let capture = Capture::begin(&s);
        pool.give(block, &t);
        let graph = capture.end();
        assert_eq!(tn_device_synchronize(GPU), TN_OK);
        assert!(is_zero(sim, block, LARGE), "idle {idle}");
        set_current(null_mut());
        // Allocated by another owner by now.
        assert_eq!(pool.take(LARGE, &t), Ok(block), "idle {idle}");
        fill(&t, block, LARGE, 0x55);
        t.finish();
        launch(graph, &s);
        assert!(!is_zero(sim, block, LARGE), "the graph is another's work: idle {idle}");
        pool.give(block, &t);
        assert_eq!(tn_device_synchronize(GPU), TN_OK);
    }
}

/// PD-15: a block freed within the capture cannot be cleared before the capture ends; until then it is not reused.
#[test]
fn pd_15_given_back_within_a_capture() {
    let gpu = device();
    let sim = gpu.simulated();
    for current in [false, true] {
        let (pool, s, t) = (clearing(|_| ()), stream(), stream());
        let block = pool.take(LARGE, &s).unwrap();
        fill(&s, block, LARGE, 0x77);
        s.finish();
        set_current(if current { s.0 } else { null_mut() });
        let capture = Capture::begin(&s);
        pool.give(block, &s);
        assert_eq!(pool.stats().pending_bytes, LARGE as u64);
        assert_eq!(pool.take(LARGE, &s), Err(TN_ERR_UNSUPPORTED), "not even that stream, at once");
        assert_eq!(pool.take(LARGE, &t), Err(TN_ERR_POOL_LIMIT));
        assert_eq!(pool.trim(), 0, "it does not leave either");
        assert!(!is_zero(sim, block, LARGE));
        let graph = capture.end();
        assert_eq!(pool.take(LARGE, &t), Ok(block));
        t.finish();
        assert!(is_zero(sim, block, LARGE), "cleared before t has it");
        pool.give(block, &t);
        launch(graph, &s);
        set_current(null_mut());
    }
}

/// PO-47: a block whose clearing fails is not reused. It is cleared once the driver works again, by the next call of
/// any kind.
#[test]
fn po_47_clearing_fails() {
    let gpu = device();
    let sim = gpu.simulated();
    let functions = ["cuMemsetD8Async", "cuStreamWaitEvent", "cuEventRecord", "cuStreamIsCapturing", "cuCtxGetCurrent"];
    for (number, function) in functions.into_iter().enumerate() {
        for next in 0..4 {
            let (pool, s, t) =
                (clearing(|o| (o.max_size, o.backend) = (4 * LARGE as u64, TN_BACKEND_PLAIN)), stream(), stream());
            let (block, other) = (pool.take(LARGE, &s).unwrap(), pool.take(LARGE, &s).unwrap());
            fill(&s, block, LARGE, 0x77);
            // What one stream alone used is cleared there, without a wait.
            let u = stream();
            pool.record_use(block, &u);
            fill(&u, block, LARGE, 0x77);
            sim.fail(function, 1, 0, 999);
            pool.give(block, &s);
            let stats = pool.stats();
            assert_eq!((stats.pending_bytes, stats.live_blocks), (LARGE as u64, 1), "{function}");
            // It would be the first choice.
            let another = pool.take(LARGE, &s);
            assert_ne!(another, Ok(block), "{function}");
            assert_eq!(pool.trim(), 0, "{function}");
            sim.clear_faults();
            let allocations = sim.get("allocations");
            match next {
                // The next block that is freed.
                0 => pool.give(other, &s),
                // The next request that finds no free block.
                1 => assert!(pool.take(4 * LARGE, &t).is_err()),
                2 => drop(pool.trim()),
                _ => assert_eq!(tn_device_synchronize(GPU), TN_OK),
            }
            assert_eq!(tn_device_synchronize(GPU), TN_OK);
            if sim.get("allocations") == allocations {
                assert!(is_zero(sim, block, LARGE), "{function}, {next}");
            }
            another.into_iter().for_each(|block| pool.give(block, &s));
            if next != 0 {
                pool.give(other, &t);
            }
            assert_eq!(tn_device_synchronize(GPU), TN_OK);
            pool.trim();
            assert_eq!(pool.stats().reserved_bytes, 0, "{function}, {number}, {next}");
        }
    }
}

/// PD-15: a capture that another thread begins during the clearing may include it. Then the block is never reused, and
/// stays where it is.
#[test]
fn pd_15_a_capture_begins_while_a_block_is_cleared() {
    let gpu = device();
    let sim = gpu.simulated();
    let (pool, s, t) = (clearing(|o| o.max_size = 2 * LARGE as u64), stream(), stream());
    set_current(s.0);
    let block = pool.take(LARGE, &s).unwrap();
    // The second query comes after the memset: CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, the answer while another thread
    // captures.
    let give = |block: usize, stream: &Stream| {
        sim.fail("cuStreamIsCapturing", 2, 1, 906);
        pool.give(block, stream);
        sim.clear_faults();
    };
    // No graph contains work of the legacy stream.
    const LEGACY: Stream = Stream(std::ptr::without_provenance_mut(1));
    set_current(LEGACY.0);
    let other = pool.take(LARGE, &LEGACY).unwrap();
    give(other, &LEGACY);
    assert_eq!(pool.take(LARGE, &LEGACY), Ok(other));
    pool.give(other, &LEGACY);
    set_current(s.0);
    give(block, &s);
    for _ in 0..2 {
        assert_eq!(tn_device_synchronize(GPU), TN_OK);
        pool.trim();
        assert_eq!(pool.stats().pending_bytes, LARGE as u64);
        for stream in [&s, &t] {
            let other = pool.take(LARGE, stream).unwrap();
            assert_ne!(other, block);
            assert_eq!(pool.take(LARGE, stream), Err(TN_ERR_POOL_LIMIT));
            pool.give(other, stream);
        }
    }
    set_current(null_mut());
}

/// PO-6: a released pool with such a block frees it only after it was cleared.
#[test]
fn po_6_released_before_it_was_cleared() {
    let gpu = device();
    let sim = gpu.simulated();
    // Allocations are counted, and one askew makes a second one.
    sim.set("askew", 0);
    let before = sim.get("allocations");
    let (pool, s) = (clearing(|o| o.backend = TN_BACKEND_PLAIN), stream());
    let block = pool.take(LARGE, &s).unwrap();
    fill(&s, block, LARGE, 0x77);
    let capture = Capture::begin(&s);
    pool.give(block, &s);
    drop(pool);
    assert_eq!(sim.get("allocations"), before + 1);
    assert!(!is_zero(sim, block, LARGE), "it was not cleared yet");
    let graph = capture.end();
    let (cleared, ()) = sim.calls_of("cuMemsetD8Async", || {
        // Cleared, and then done.
        assert_eq!(tn_device_synchronize(GPU), TN_OK);
        assert_eq!(tn_device_synchronize(GPU), TN_OK);
    });
    assert_eq!((cleared, sim.get("allocations")), (1, before));
    launch(graph, &s);
}

/// PD-20: memory of a lost device is not read any more; its pools end without the driver.
#[test]
fn pd_20_lost_before_it_was_cleared() {
    alone("pd_20_lost_before_it_was_cleared", &[], || {
        let gpu = device();
        let sim = gpu.simulated();
        let (pool, s) = (clearing(|_| ()), stream());
        let block = pool.take(LARGE, &s).unwrap();
        let _never_ended = Capture::begin(&s);
        pool.give(block, &s);
        sim.break_device(0, 700);
        assert_eq!(tn_device_synchronize(GPU), TN_ERR_DRIVER);
        let (calls, ()) = sim.calls_of("", || {
            assert_eq!(pool.stats().pending_bytes, LARGE as u64);
            assert_eq!(pool.trim(), LARGE);
            drop(pool);
        });
        assert_eq!(calls, 0);
    });
}

/// PO-20: the tail of a block that is shrunk is cleared too, after its owner's work on the stream.
#[test]
fn po_20_the_rest_of_a_block_that_shrinks() {
    let gpu = device();
    let sim = gpu.simulated();
    // The driver's free waits for all work, so this process would wait for itself.
    sim.set("free_waits", 0);
    for flags in [0, TN_POOL_ZERO_ON_FREE] {
        let (pool, s, t) = (pool_on(GPU, |o| o.flags = flags).unwrap(), stream(), stream());
        let work = support::device_pools::pool();
        let own = work.take(64, &s).unwrap();
        for (large, small) in [(40 * MIB, 10 * MIB), (MIB, 512)] {
            let block = pool.take(large, &s).unwrap();
            sim.hold(s.native());
            fill(&s, own, 64, 1);
            fill(&s, block, large, 0x77);
            assert_eq!(pool.resize(block, small, &s), Ok(block));
            let taken: Vec<usize> = (0..4).map(|_| pool.take(large - small, &t).unwrap()).collect();
            sim.release(s.native());
            s.finish();
            let apart = |&at: &usize| at + (large - small) <= block || at >= block + large;
            assert!(taken.iter().all(apart), "{flags}: s still wrote there: {block:#x}, {taken:#x?}");
            if flags != 0 {
                assert_eq!(tn_device_synchronize(GPU), TN_OK);
                assert!(is_zero(sim, block + small, large - small));
            }
            taken.into_iter().chain([block]).for_each(|block| pool.give(block, &t));
            assert_eq!(tn_device_synchronize(GPU), TN_OK);
            pool.stats();
        }
    }
    sim.set("free_waits", 1);
}

/// Host memory that devices use: cleared at allocation and when it goes back to the driver.
#[test]
fn page_locked_memory_leaves_cleared() {
    let gpu = device();
    let sim = gpu.simulated();
    let (s, work) = (stream(), support::device_pools::pool());
    let pool = pool_on(PINNED, |o| o.flags = TN_POOL_ZERO_ON_FREE).unwrap();
    let block = pool.take(LARGE, &s).unwrap();
    // SAFETY: the host's block.
    unsafe { (block as *mut u8).write_bytes(0x77, LARGE) };
    // Pending when it is freed, so that it cannot be cleared then.
    fill(&s, work.take(64, &s).unwrap(), 64, 1);
    sim.set("pace", 2);
    pool.give(block, &s);
    s.finish();
    sim.set("pace", 0);
    // The driver refuses to free it, so that the test can look at it.
    sim.fail("cuMemFreeHost", 1, 1, 999);
    assert!(pool.trim() >= LARGE);
    // SAFETY: it is still mapped.
    assert!((0..LARGE).all(|at| unsafe { *(block as *const u8).add(at) } == 0));
}

/// Arrays free as raw blocks do.
#[test]
fn arrays_leave_nothing_either() {
    let gpu = device();
    let sim = gpu.simulated();
    let (pool, s) = (clearing(|_| ()), stream());
    let (mut array, shape, value) = (null_mut(), [LARGE as i64 / 8], 3.25f64);
    let at = (&raw const value).cast();
    set_current(s.0);
    // SAFETY: all of it is ours.
    let status = unsafe { tn_array_full(pool.0, TN_F64, 1, shape.as_ptr(), at, std::ptr::null(), &mut array) };
    assert_eq!(status, TN_OK);
    let capture = Capture::begin(&s);
    assert_eq!(tn_array_release(array), TN_OK);
    let graph = capture.end();
    let block = pool.take(LARGE, &s).unwrap();
    s.finish();
    assert!(is_zero(sim, block, LARGE));
    launch(graph, &s);
    set_current(null_mut());
    pool.give(block, &s);
}
