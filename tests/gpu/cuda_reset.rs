//! A GPU's primary context that is reset by another library (PD-20, DV-8): memory that went with it is never handed
//! out, and pools and streams work on the new context. The new context may have the old one's handle. On the simulator,
//! each test in a process of its own.

use crate::driver_call;
use crate::support;
use std::ffi::c_void;
use std::ptr::null_mut;
use support::cuda::{Device, Sim, alone, device, last_error, require_simulator, with_context};
use support::device_pools::*;
use tenure::ffi::array::{tn_array_release, tn_array_zeros};
use tenure::ffi::device::tn_device_synchronize;
use tenure::ffi::stream::*;
use tenure::ffi::transfer::{tn_array_copy_into, tn_array_fill};
use tenure::types::*;
use tenure_harness::test;

/// Another library resets a GPU; `same`: the next context has the handle of this one.
fn reset(sim: Sim, same: bool) {
    sim.set("same_context", u64::from(same));
    // The driver gives out the old addresses first.
    sim.set("reuse", 1);
    assert_eq!(driver_call!(cuDevicePrimaryCtxReset_v2(0 => i32)), 0);
}

/// Runs a test with a new handle, and with the same one.
fn both(name: &str, test: impl Fn(Device, Sim, bool)) {
    require_simulator();
    alone(name, &[], || {
        for same in [false, true, true, false] {
            let gpu = device();
            let sim = gpu.simulated();
            test(gpu, sim, same);
        }
    });
}

/// Finds out about the reset: the first call that needs a stream may fail, and says why.
fn find_out() {
    assert_eq!(tn_device_synchronize(GPU), TN_OK, "{}", last_error());
}

fn zeros(pool: &Pool, elements: i64) -> *mut tn_array {
    let mut array = null_mut();
    // SAFETY: the shape and the pointer are ours.
    assert_eq!(unsafe { tn_array_zeros(pool.0, TN_F32, 1, &elements, null_mut(), &mut array) }, TN_OK);
    array
}

fn fill(array: *mut tn_array) -> tn_status {
    let value = 3.0f32;
    // SAFETY: a value of the array's type.
    unsafe { tn_array_fill(array, (&raw const value).cast::<c_void>(), TN_WAIT, null_mut()) }
}

#[test]
fn pd_20_pools_work_again_after_a_reset() {
    both("pd_20_pools_work_again_after_a_reset", |_gpu, sim, same| {
        let (pool, s) = (pool(), stream());
        let cached: Vec<usize> = (0..3).map(|_| pool.take(12 * MIB, &s).unwrap()).collect();
        let (live, beside) = (pool.take(100_000, &s).unwrap(), pool.take(200_000, &s).unwrap());
        cached.iter().for_each(|&block| pool.give(block, &s));
        pool.give(beside, &s);
        reset(sim, same);
        find_out();
        let stats = pool.stats();
        assert_eq!(stats.cached_bytes, 0, "nothing of the old context can be had");
        assert_eq!(sim.get("allocations"), 0);
        // Its stream went with the context.
        assert_eq!(tn_stream_synchronize(s.0), TN_ERR_DRIVER);
        assert!(last_error().contains("does not exist any more"), "{}", last_error());
        let t = stream();
        let new: Vec<usize> = (0..4).map(|_| pool.take(150_000, &t).unwrap()).collect();
        let apart = |block: &usize| block.abs_diff(live) >= 150_000;
        assert!(new.iter().all(apart), "no block lies on the live one of before");
        for &block in &new {
            let code = with_context(
                0,
                || driver_call!(cuMemsetD8Async(block as u64 => u64, 1u8 => u8, 150_000 => usize, t.native() => u64)),
            );
            assert_eq!(code, 0);
        }
        t.finish();
        // The dead block can be freed, without the driver, and is not handed out again.
        let frees = sim.calls("cuMemFree");
        pool.give(live, &t);
        assert_eq!(sim.calls("cuMemFree"), frees);
        assert!((0..40).map(|_| pool.take(100_000, &t).unwrap()).all(|block| block != live));
        new.iter().for_each(|&block| pool.give(block, &t));
        t.finish();
    });
}

/// DV-8: another library begins the new context before this one finds out, and the old one is current on the thread. The
/// driver is asked about neither: it may crash for a context that ended.
#[test]
fn dv_8_a_reset_behind_which_another_library_goes_on() {
    both("dv_8_a_reset_behind_which_another_library_goes_on", |_gpu, sim, same| {
        let pool = pool();
        let array = zeros(&pool, 1 << 20);
        assert_eq!(fill(array), TN_OK);
        let mut before = 0u64;
        assert_eq!(driver_call!(cuDevicePrimaryCtxRetain(&mut before => *mut u64, 0 => i32)), 0);
        assert_eq!(driver_call!(cuCtxSetCurrent(before => u64)), 0);
        reset(sim, same);
        let mut after = 0u64;
        assert_eq!(driver_call!(cuDevicePrimaryCtxRetain(&mut after => *mut u64, 0 => i32)), 0);
        assert_eq!(before == after, same);
        // The context is compared once in each tick of the coarse clock.
        std::thread::sleep(std::time::Duration::from_millis(20));
        find_out();
        assert_eq!(fill(array), TN_ERR_DRIVER);
        assert!(last_error().contains("went with"), "{}", last_error());
        let after = zeros(&pool, 1000);
        assert_eq!((fill(after), tn_array_release(after), tn_array_release(array)), (TN_OK, TN_OK, TN_OK));
        assert_eq!(driver_call!(cuCtxSetCurrent(0 => u64)), 0);
    });
}

#[test]
fn pd_20_arrays_of_before_a_reset_are_refused() {
    both("pd_20_arrays_of_before_a_reset_are_refused", |_gpu, sim, same| {
        let pool = pool();
        let (before, small) = (zeros(&pool, 1 << 20), zeros(&pool, 100));
        assert_eq!((fill(before), fill(small)), (TN_OK, TN_OK));
        reset(sim, same);
        // The first call finds out about it.
        assert_eq!(fill(before), TN_ERR_DRIVER);
        assert!(last_error().contains("reset"), "{}", last_error());
        for array in [before, small] {
            assert_eq!(fill(array), TN_ERR_DRIVER);
            assert!(last_error().contains("went with"), "{}", last_error());
        }
        let after = zeros(&pool, 1 << 20);
        assert_eq!(fill(after), TN_OK, "{}", last_error());
        assert_eq!(tn_array_copy_into(after, before, TN_WAIT, null_mut()), TN_ERR_DRIVER);
        let frees = sim.calls("cuMemFree");
        assert_eq!((tn_array_release(before), tn_array_release(small)), (TN_OK, TN_OK));
        assert_eq!(sim.calls("cuMemFree"), frees);
        assert_eq!((fill(after), tn_array_release(after)), (TN_OK, TN_OK));
    });
}

#[test]
fn st_8_streams_and_events_of_before_a_reset_are_refused() {
    both("st_8_streams_and_events_of_before_a_reset_are_refused", |_gpu, sim, same| {
        let s = stream();
        let (mut first, mut second) = (null_mut(), null_mut());
        // SAFETY: the pointers are ours.
        let made = unsafe {
            (tn_event_create(GPU, TN_EVENT_TIMING, &mut first), tn_event_create(GPU, TN_EVENT_TIMING, &mut second))
        };
        assert_eq!(made, (TN_OK, TN_OK));
        assert_eq!((tn_event_record(first, s.0), tn_event_record(second, s.0)), (TN_OK, TN_OK));
        reset(sim, same);
        find_out();
        // The work before the events runs no longer.
        let mut done = 0;
        // SAFETY: the number is ours.
        assert_eq!((unsafe { tn_event_query(first, &mut done) }, done), (TN_OK, 1));
        assert_eq!(tn_event_synchronize(second), TN_OK);
        let mut ns = 0;
        // SAFETY: as above.
        assert_eq!(unsafe { tn_event_elapsed(first, second, &mut ns) }, TN_ERR_DRIVER);
        assert_eq!(tn_event_record(first, s.0), TN_ERR_DRIVER);
        let t = stream();
        assert_eq!(tn_stream_wait_event(t.0, first), TN_OK, "it has passed");
        assert_eq!((tn_event_record(first, t.0), tn_event_record(second, t.0)), (TN_OK, TN_OK));
        t.finish();
        // SAFETY: as above.
        assert_eq!(unsafe { tn_event_elapsed(first, second, &mut ns) }, TN_OK);
        assert_eq!((tn_event_release(first), tn_event_release(second)), (TN_OK, TN_OK));
        // The legacy stream goes on.
        assert_eq!(tn_stream_synchronize(std::ptr::without_provenance_mut(1)), TN_OK);
    });
}
