//! What a call of a device pool costs the host does not grow with what is pending, with the number of streams, or with
//! the size of blocks. Figures are minima of CPU time, compared with those of a small case of the same run. Needs the
//! simulator.

use crate::driver_call;
use crate::support;
use std::ptr::null_mut;
use support::cuda::{Sim, device, simulator, with_context};
use support::device_pools::*;
use tenure::ffi::device::tn_device_synchronize;
use tenure::ffi::stream::*;
use tenure::types::*;
use tenure_harness::test;

/// How many times the cost of the small case the large one may take.
const TIMES: f64 = 5.0;

/// CPU time of this thread, ns.
fn now_ns() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the struct is ours.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) }, 0);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// The least time of some runs, ns.
fn least(rounds: usize, mut work: impl FnMut()) -> f64 {
    let round = |_| {
        let start = now_ns();
        work();
        now_ns() - start
    };
    (0..rounds).map(round).fold(f64::INFINITY, f64::min)
}

fn compare(what: &str, small: f64, large: f64) {
    println!("{what}: {small:.0} ns, {large:.0} ns");
    assert!(large <= TIMES * small, "{what}: {large:.0} ns, and {small:.0} ns in the small case");
}

/// Stalls streams, with work on each.
fn stall(sim: Sim, streams: &[&Stream], block: usize) {
    for stream in streams {
        sim.hold(stream.native());
        let native = stream.native() as usize;
        let filled = with_context(
            0,
            || driver_call!(cuMemsetD8Async(block as u64 => u64, 0u8 => u8, 64usize => usize, native => usize)),
        );
        assert_eq!(filled, 0);
    }
}

/// Settings under which nothing runs by itself.
fn quiet(sim: Sim) {
    sim.set("pace", 2);
    sim.set("idle_us", 1_000_000_000);
    sim.set("junk", 0);
    sim.set("free_waits", 0);
}

/// PD-3, PH-20: a request that finds nothing does not look at every pending block.
#[test]
fn ph_20_a_miss_behind_many_pending_blocks_of_two_streams() {
    let gpu = device();
    let sim = gpu.simulated();
    quiet(sim);
    let cost = |n: usize| {
        let (pool, [s, t, work]) =
            (pool_on(GPU, |o| o.backend = TN_BACKEND_PLAIN).unwrap(), [(); 3].map(|()| stream()));
        let own = pool.take(64, &work).unwrap();
        stall(sim, &[&s, &t], own);
        let blocks: Vec<usize> = (0..n).map(|_| pool.take(512, &s).unwrap()).collect();
        for block in blocks {
            pool.record_use(block, &t);
            pool.give(block, &s);
        }
        let ns = least(10, || assert!(pool.take(12 * MIB, &work).is_ok()));
        sim.release_all();
        assert_eq!(tn_device_synchronize(GPU), TN_OK);
        ns
    };
    compare("a miss behind 20 and 20 000 blocks", cost(20), cost(20_000));
}

/// PD-3: when the streams go on, each block is looked at once for each of its streams, and all of them are free then.
#[test]
fn pd_3_blocks_of_two_streams_become_free_one_stream_after_the_other() {
    let gpu = device();
    let sim = gpu.simulated();
    quiet(sim);
    let (pool, [s, t, u]) = (pool(), [(); 3].map(|()| stream()));
    let own = pool.take(64, &u).unwrap();
    stall(sim, &[&s, &t], own);
    const BLOCKS: usize = 500;
    let blocks: Vec<usize> = (0..BLOCKS).map(|_| pool.take(4096, &s).unwrap()).collect();
    for (at, &block) in blocks.iter().enumerate() {
        // Some end first on one stream, some on the other.
        let (first, second) = if at % 2 == 0 { (&s, &t) } else { (&t, &s) };
        pool.record_use(block, first);
        pool.give(block, second);
    }
    let pending = (BLOCKS * 4096) as u64;
    assert_eq!(pool.stats().pending_bytes, pending);
    sim.release(s.native());
    s.finish();
    assert_eq!(pool.stats().pending_bytes, pending, "the other stream stands still");
    sim.release(t.native());
    t.finish();
    assert_eq!(pool.stats().pending_bytes, 0);
    pool.give(own, &u);
}

/// PH-18: an allocation that its own stream's list serves does not look at the lists of other streams.
#[test]
fn ph_18_a_hit_with_many_streams() {
    let gpu = device();
    let sim = gpu.simulated();
    quiet(sim);
    let cost = |n: usize| {
        let pool = pool();
        // The first one has the last list.
        let streams: Vec<Stream> = (0..n).map(|_| stream()).collect();
        for stream in &streams {
            pool.give(pool.take(4096, stream).unwrap(), stream);
        }
        let first = &streams[0];
        least(10, || (0..200).for_each(|_| pool.give(pool.take(4096, first).unwrap(), first))) / 200.0
    };
    compare("a hit with 1 and 1024 streams", cost(1), cost(1024));
}

/// PH-20: cutting and merging takes no time for each granule of a block.
#[test]
fn ph_20_cuts_and_merges_of_large_blocks() {
    const MOST: usize = 8 << 30;
    if let Some(sim) = simulator() {
        sim.set("memory", 2 * MOST as u64);
    }
    let gpu = device();
    let sim = gpu.simulated();
    quiet(sim);
    let cost = |bytes: usize| {
        let change = |o: &mut tn_pool_options| (o.initial_size, o.backend) = (bytes as u64, TN_BACKEND_PLAIN);
        let (pool, s) = (pool_on(GPU, change).unwrap(), stream());
        least(10, || {
            for _ in 0..4 {
                pool.give(pool.take(bytes, &s).unwrap(), &s);
                let halves = [(); 2].map(|()| pool.take(bytes / 2, &s).unwrap());
                halves.into_iter().for_each(|half| pool.give(half, &s));
            }
        })
    };
    compare("cuts of 64 MiB and 8 GiB", cost(64 * MIB), cost(MOST));
}

/// PD-3: recording an event does not look at the events that are outstanding.
#[test]
fn pd_3_recording_behind_many_events() {
    let gpu = device();
    let sim = gpu.simulated();
    quiet(sim);
    let cost = |n: usize| {
        let (pool, [s, work]) = (pool(), [(); 2].map(|()| stream()));
        let own = pool.take(64, &work).unwrap();
        stall(sim, &[&s], own);
        let mut events: Vec<*mut tn_event> = Vec::new();
        let mut record = || {
            let mut event = null_mut();
            // SAFETY: the pointer is ours.
            assert_eq!(unsafe { tn_event_create(GPU, 0, &mut event) }, TN_OK);
            assert_eq!(tn_event_record(event, s.0), TN_OK);
            events.push(event);
        };
        (0..n).for_each(|_| record());
        let ns = least(10, || (0..20).for_each(|_| record()));
        sim.release_all();
        for event in events {
            assert_eq!(tn_event_release(event), TN_OK);
        }
        assert_eq!(tn_device_synchronize(GPU), TN_OK);
        ns
    };
    compare("an event behind 1 and 20 000", cost(1), cost(20_000));
}
