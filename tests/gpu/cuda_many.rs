//! Pools with more streams and spans than one step examines: the order of the search affects speed, never the result.
//! Needs the simulator.

use crate::driver_call;
use crate::support;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::cuda::{Sim, device, with_context};
use support::device_pools::*;
use tenure::ffi::device::tn_device_synchronize;
use tenure::ffi::stream::*;
use tenure::types::*;
use tenure_harness::test;

/// More streams than a step polls, and more multi-stream spans than it examines.
const MANY: usize = 70;

/// Work on each stream, on memory of its own, that ends when the simulator permits.
fn stall(sim: Sim, streams: &[Stream], block: usize) {
    for stream in streams {
        sim.hold(stream.native());
        let (block, native) = (block as u64, stream.native() as usize);
        let status = with_context(
            0,
            || driver_call!(cuMemsetD8Async(block => u64, 1u8 => u8, 64usize => usize, native => usize)),
        );
        assert_eq!(status, 0);
    }
}

/// Fills a block of 2 MiB in a stream's order.
fn fill(stream: &Stream, block: usize, value: u8) {
    let (block, native) = (block as u64, stream.native() as usize);
    let status =
        with_context(0, || driver_call!(cuMemsetD8Async(block => u64, value => u8, 2 * MIB => usize, native => usize)));
    assert_eq!(status, 0);
}

/// Waits for a stream by the driver's own call, unknown to the library.
fn finish_unseen(stream: &Stream) {
    let native = stream.native() as usize;
    assert_eq!(with_context(0, || driver_call!(cuStreamSynchronize(native => usize))), 0);
}

/// Fills the pool with that many blocks of 2 MiB.
fn all_of(device: tn_device, blocks: usize, flags: u32) -> (Pool, Vec<usize>) {
    let bytes = (blocks * 2 * MIB) as u64;
    let pool = pool_on(device, |o| (o.max_size, o.initial_size, o.flags) = (bytes, bytes, flags)).unwrap();
    let own = if device.r#type == TN_CUDA { stream() } else { NOW };
    let live = (0..blocks).map(|_| pool.take(2 * MIB, &own).unwrap()).collect();
    (pool, live)
}

/// Blocks of all sizes, until none is left.
fn all_that_is_left(pool: &Pool, stream: &Stream) -> Vec<usize> {
    let next = || [1 << 20, 1 << 16, 4096, 512].iter().find_map(|&bytes| pool.take(bytes, stream).ok());
    std::iter::from_fn(next).collect()
}

/// PD-3, PD-16: the one finished block is found behind many unfinished ones, each of another stream.
#[test]
fn pd_3_the_finished_one_of_many_streams() {
    let gpu = device();
    let sim = gpu.simulated();
    // Runnable work has run when a call returns: an event after finished work passes as soon as it is recorded.
    sim.set("pace", 1);
    sim.set("free_waits", 0);
    for (device, flags) in [(PINNED, 0), (GPU, TN_POOL_STRICT)] {
        for finished in [0, MANY / 2, MANY - 1] {
            let ((pool, live), work) = (all_of(device, MANY, flags), support::device_pools::pool());
            let (streams, t): (Vec<Stream>, _) = ((0..MANY).map(|_| stream()).collect(), stream());
            let own = work.take(64, &t).unwrap();
            stall(sim, &streams, own);
            sim.release(streams[finished].native());
            live.iter().zip(&streams).for_each(|(block, stream)| pool.give(*block, stream));
            finish_unseen(&streams[finished]);
            // The host cannot wait for the others, nor can a pool in strict mode.
            let asks = if device.r#type == TN_CUDA { &t } else { &NOW };
            let got = pool.take(2 * MIB, asks);
            sim.release_all();
            assert_eq!(got, Ok(live[finished]), "{device:?}, {finished}");
            assert_eq!(tn_device_synchronize(GPU), TN_OK);
            pool.give(live[finished], asks);
        }
    }
    sim.set("free_waits", 1);
    sim.set("pace", 0);
}

/// PD-4, PD-6: a finished block is also found behind many blocks of several streams. A request that may wait gets the
/// one that fits.
#[test]
fn pd_6_the_finished_one_of_many_mixed() {
    let gpu = device();
    let sim = gpu.simulated();
    // Runnable work has run when a call returns: an event after finished work passes as soon as it is recorded.
    sim.set("pace", 1);
    sim.set("free_waits", 0);
    for finished in [0, MANY - 1] {
        let ((pool, live), work) = (all_of(PINNED, MANY, 0), support::device_pools::pool());
        let [s, t, u, v] = [(); 4].map(|()| stream());
        let own = work.take(64, &u).unwrap();
        stall(sim, std::slice::from_ref(&s), own);
        for (at, block) in live.iter().enumerate() {
            let (first, second) = if at == finished { (&u, &v) } else { (&s, &t) };
            pool.record_use(*block, first);
            pool.give(*block, second);
        }
        [&u, &v].into_iter().for_each(finish_unseen);
        // Another request of the host would wait for the others.
        let got = pool.take(2 * MIB, &NOW);
        // A stream waits on the device.
        let others: Vec<_> = (1..MANY).map(|_| pool.take(2 * MIB, &u)).collect();
        sim.release_all();
        assert_eq!(got, Ok(live[finished]), "{finished}");
        assert!(others.iter().all(Result::is_ok), "{others:?}");
        assert_eq!(tn_device_synchronize(GPU), TN_OK);
        others.into_iter().chain([got]).flatten().for_each(|block| pool.give(block, &NOW));
    }
    sim.set("free_waits", 1);
    sim.set("pace", 0);
}

/// PD-4: the only block that is large enough lies behind many smaller multi-stream ones.
#[test]
fn pd_4_the_mixed_one_that_fits() {
    let gpu = device();
    let sim = gpu.simulated();
    // Runnable work has run when a call returns: an event after finished work passes as soon as it is recorded.
    sim.set("pace", 1);
    sim.set("free_waits", 0);
    let (pool, work) = (pool_on(GPU, |o| o.max_size = 2 * MIB as u64).unwrap(), support::device_pools::pool());
    let [s, t, u] = [(); 3].map(|()| stream());
    let own = work.take(64, &u).unwrap();
    let large = pool.take(8192, &s).unwrap();
    let small: Vec<_> = (0..MANY).map(|_| (pool.take(512, &s).unwrap(), pool.take(512, &s).unwrap())).collect();
    let rest = all_that_is_left(&pool, &s);
    let stalled = [s, t];
    stall(sim, &stalled, own);
    let [s, t] = &stalled;
    for block in [large].into_iter().chain(small.iter().map(|pair| pair.0)) {
        pool.record_use(block, t);
        pool.give(block, s);
    }
    let got = pool.take(8192, &u);
    sim.release_all();
    assert_eq!(got, Ok(large));
    assert_eq!(tn_device_synchronize(GPU), TN_OK);
    let live = rest.into_iter().chain(small.into_iter().map(|pair| pair.1)).chain([large]);
    live.for_each(|block| pool.give(block, &u));
    sim.set("free_waits", 1);
    sim.set("pace", 0);
}

/// PD-16: among many finished spans of similar sizes, the one that fits is found wherever it lies.
#[test]
fn pd_16_the_one_of_many_that_is_large_enough() {
    let _gpu = device();
    for last in [false, true] {
        let (pool, s) = (pool_on(GPU, |o| o.max_size = 2 * MIB as u64).unwrap(), stream());
        // Both sizes are of one bin.
        let (less, more) = (20 * 512, 21 * 512);
        let wanted = pool.take(more, &s).unwrap();
        let pairs: Vec<_> = (0..MANY).map(|_| (pool.take(512, &s).unwrap(), pool.take(less, &s).unwrap())).collect();
        let rest = all_that_is_left(&pool, &s);
        let mut order: Vec<usize> = pairs.iter().map(|pair| pair.1).collect();
        order.insert(if last { MANY } else { 0 }, wanted);
        order.into_iter().for_each(|block| pool.give(block, &s));
        s.finish();
        pool.stats();
        assert_eq!(pool.take(more, &s), Ok(wanted), "given last: {last}");
        let live = rest.into_iter().chain(pairs.into_iter().map(|pair| pair.0)).chain([wanted]);
        live.for_each(|block| pool.give(block, &s));
    }
}

/// PD-2, PD-4: an order that is forgotten, or unknown because it passes through a third stream, costs one redundant
/// wait on the device.
#[test]
fn pd_2_orders_that_are_not_known() {
    let gpu = device();
    let sim = gpu.simulated();
    sim.set("free_waits", 0);
    // More than a stream remembers.
    const STREAMS: usize = 20;
    for by_another in [false, true] {
        let ((pool, live), work) = (all_of(GPU, STREAMS, 0), support::device_pools::pool());
        let (streams, t, u): (Vec<Stream>, _, _) = ((0..STREAMS).map(|_| stream()).collect(), stream(), stream());
        let own = work.take(64, &t).unwrap();
        stall(sim, &streams, own);
        let after = |stream: &Stream, waits: &Stream| {
            let mut event = std::ptr::null_mut();
            // SAFETY: the pointer is ours.
            assert_eq!(unsafe { tn_event_create(GPU, 0, &mut event) }, TN_OK);
            assert_eq!((tn_event_record(event, stream.0), tn_stream_wait_event(waits.0, event)), (TN_OK, TN_OK));
            assert_eq!(tn_event_release(event), TN_OK);
        };
        for (block, stream) in live.iter().zip(&streams) {
            fill(stream, *block, 0x11);
            pool.give(*block, stream);
            after(stream, if by_another { &u } else { &t });
        }
        if by_another {
            after(&u, &t);
        }
        let taken: Vec<_> = (0..STREAMS).map(|_| pool.take(2 * MIB, &t)).collect();
        assert_eq!(pool.take(2 * MIB, &t), Err(TN_ERR_POOL_LIMIT));
        taken.iter().flatten().for_each(|block| fill(&t, *block, 0x22));
        sim.release_all();
        assert!(taken.iter().all(Result::is_ok), "{taken:?}");
        t.finish();
        for block in taken.into_iter().flatten() {
            let at = sim.bytes(block as u64, 2 * MIB, 0);
            // SAFETY: that is where its bytes are, and nothing runs on them.
            assert!(unsafe { std::slice::from_raw_parts(at, 2 * MIB) }.iter().all(|&byte| byte == 0x22));
            pool.give(block, &t);
        }
    }
    sim.set("free_waits", 1);
}

/// PD-3: threads that poll everything at the same time finish after polling each block once, while the work goes on.
#[test]
fn pd_3_several_ask_about_everything() {
    const THREADS: usize = 8;
    let gpu = device();
    let sim = gpu.simulated();
    sim.set("free_waits", 0);
    let ((pool, live), work) = (all_of(PINNED, 4 * MANY, 0), support::device_pools::pool());
    let (stalled, u) = ([stream(), stream()], stream());
    let own = work.take(64, &u).unwrap();
    stall(sim, &stalled, own);
    let [s, t] = &stalled;
    for block in &live {
        pool.record_use(*block, s);
        pool.give(*block, t);
    }
    let (ended, before) = (AtomicUsize::new(0), sim.calls("cuEventQuery"));
    let asked = std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                pool.trim();
                ended.fetch_add(1, Ordering::Relaxed);
            });
        }
        let begun = Instant::now();
        while ended.load(Ordering::Relaxed) < THREADS && begun.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let (all, asked) = (ended.load(Ordering::Relaxed) == THREADS, sim.calls("cuEventQuery") - before);
        sim.release_all();
        assert!(all, "they poll without end: {asked} times by now");
        asked
    });
    assert!(asked <= (THREADS * (2 * live.len() + 16)) as u64, "{asked}");
    assert_eq!(tn_device_synchronize(GPU), TN_OK);
    sim.set("free_waits", 1);
}
