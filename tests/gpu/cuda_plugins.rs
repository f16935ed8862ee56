//! The allocators for other libraries on GPUs: what a call costs in calls of the driver (AL-7). On the simulator.

use crate::driver_call;
use crate::support;
use std::ffi::c_void;
use std::ptr::null_mut;
use support::cuda::{Sim, device, with_context};
use support::device_pools::*;
use tenure::ffi::allocators::*;
use tenure::ffi::pool::tn_pool_default;
use tenure::types::*;
use tenure_harness::test;

/// A library's pair of functions, for blocks of 1 MiB.
struct Plugin {
    name: &'static str,
    /// On a stream, from a pool.
    allocate: fn(u64, *mut c_void) -> *mut c_void,
    free: fn(*mut c_void, u64, *mut c_void),
}

const PLUGINS: [Plugin; 2] = [
    Plugin {
        name: "torch",
        allocate: |stream, _| tn_torch_alloc(MIB as isize, 0, stream as *mut _),
        free: |block, stream, _| tn_torch_free(block, MIB as isize, 0, stream as *mut _),
    },
    Plugin {
        name: "rmm",
        allocate: |stream, pool| tn_rmm_allocate(MIB, stream as *mut _, pool),
        free: |block, stream, pool| tn_rmm_deallocate(block, MIB, stream as *mut _, pool),
    },
];

const CUPY: Plugin = Plugin {
    name: "cupy",
    allocate: |_, pool| tn_cupy_malloc(pool, MIB, 0),
    free: |block, _, pool| tn_cupy_free(pool, block, 0),
};

fn default_pool() -> Pool {
    let mut pool = null_mut();
    // SAFETY: the pointer is ours.
    assert_eq!(unsafe { tn_pool_default(GPU, &mut pool) }, TN_OK);
    Pool(pool)
}

/// The calls of the driver for `rounds` rounds of `blocks` allocations and as many frees.
fn calls(sim: Sim, plugin: &Plugin, stream: u64, rounds: usize, blocks: usize) -> u64 {
    let pool = default_pool();
    let handle = pool.0.cast();
    let turn = || {
        let taken: Vec<*mut c_void> = (0..blocks).map(|_| (plugin.allocate)(stream, handle)).collect();
        assert!(taken.iter().all(|block| !block.is_null()), "{}", plugin.name);
        taken.into_iter().for_each(|block| (plugin.free)(block, stream, handle));
    };
    // The pool's memory, events, and the thread's last stream.
    (0..200).for_each(|_| turn());
    sim.calls_of("", || (0..rounds).for_each(|_| turn())).0
}

/// AL-7: on the thread's last stream a pair takes three calls of the driver: the allocation compares the stream's number,
/// the free asks about a capture and records an event. On the legacy stream, and where no stream is named, none.
#[test]
fn al_7_a_pair_takes_few_calls() {
    let gpu = device();
    let sim = gpu.simulated();
    // A device that keeps up: else more and more events are made.
    sim.set("pace", 1);
    let mut native = 0u64;
    with_context(0, || {
        assert_eq!(driver_call!(cuStreamCreate(&mut native => *mut u64, 1 => u32)), 0);
        for plugin in &PLUGINS {
            for blocks in [1, 8] {
                let pairs = 1000 * blocks as u64;
                let made = calls(sim, plugin, native, 1000, blocks);
                // Now and then many events are queried at once.
                assert!(made <= 3 * pairs + pairs / 8, "{}, {blocks} blocks: {made} calls", plugin.name);
                assert_eq!(calls(sim, plugin, 0, 100, blocks), 0, "{}: the legacy stream", plugin.name);
            }
        }
        assert_eq!(calls(sim, &CUPY, 0, 100, 1), 0);
        assert_eq!(driver_call!(cuStreamDestroy_v2(native => u64)), 0);
    });
}

/// AL-7: a thread that only frees, and one whose context is another one or none, get the same results.
#[test]
fn al_7_threads_that_free_and_threads_without_a_context() {
    let gpu = device();
    let sim = gpu.simulated();
    let mut native = 0u64;
    assert_eq!(with_context(0, || driver_call!(cuStreamCreate(&mut native => *mut u64, 1 => u32))), 0);
    for plugin in &PLUGINS {
        for _ in 0..20 {
            let blocks: Vec<usize> = (0..4).map(|_| (plugin.allocate)(native, null_mut()) as usize).collect();
            sim.hold(native);
            let filled = with_context(
                0,
                || driver_call!(cuMemsetD8Async(blocks[0] as u64 => u64, 1 => u8, MIB => usize, native => u64)),
            );
            assert_eq!(filled, 0);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    with_context(1 % gpu_count(), || {
                        blocks.iter().for_each(|&block| (plugin.free)(block as *mut _, native, null_mut()))
                    });
                });
            });
            // Another stream gets none of them while the work runs, and the same stream all of them.
            let other = stream();
            let pool = default_pool();
            let apart: Vec<usize> = (0..4).map(|_| pool.take(MIB, &other).unwrap()).collect();
            assert!(apart.iter().all(|block| !blocks.contains(block)));
            let again: Vec<usize> = (0..4).map(|_| (plugin.allocate)(native, null_mut()) as usize).collect();
            assert!(again.iter().all(|block| blocks.contains(block)), "{}", plugin.name);
            sim.release(native);
            again.into_iter().for_each(|block| (plugin.free)(block as *mut _, native, null_mut()));
            apart.into_iter().for_each(|block| pool.give(block, &other));
        }
    }
    assert_eq!(with_context(0, || driver_call!(cuStreamDestroy_v2(native => u64))), 0);
}

/// AL-7: a stream that takes the place of one that its owner destroyed is another one.
#[test]
fn al_7_streams_that_come_and_go() {
    let gpu = device();
    let _sim = gpu.simulated();
    with_context(0, || {
        for plugin in &PLUGINS {
            for _ in 0..50 {
                let mut native = 0u64;
                assert_eq!(driver_call!(cuStreamCreate(&mut native => *mut u64, 1 => u32)), 0);
                let block = (plugin.allocate)(native, null_mut());
                assert!(!block.is_null());
                assert_eq!(driver_call!(cuMemsetD8Async(block as u64 => u64, 1 => u8, MIB => usize, native => u64)), 0);
                (plugin.free)(block, native, null_mut());
                assert_eq!(driver_call!(cuStreamDestroy_v2(native => u64)), 0);
            }
        }
    });
}

fn gpu_count() -> i32 {
    let mut count = 0;
    // SAFETY: the number is ours.
    unsafe { tenure::ffi::device::tn_device_count(TN_CUDA, &mut count) };
    count as i32
}
