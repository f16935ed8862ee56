//! Pools of mapped granules: address ranges that grow in place, give granules back anywhere, and map free granules side
//! by side. Most tests need the simulator. TENURE_TEST_SEEDS (1) and TENURE_TRACE_OPERATIONS (100 000) set the amount
//! of the random ones.

use crate::driver_call;
use crate::support;
use support::cuda::{Device, device, simulator, with_context};
use support::device_pools::*;
use support::random::Random;
use tenure::ffi::array::*;
use tenure::ffi::transfer::tn_array_copy_into;
use tenure::types::*;
use tenure_harness::test;

const SECOND: tn_device = tn_device { r#type: TN_CUDA, id: 1 };
/// CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED.
const MAPS_MEMORY: i32 = 102;

/// The driver's access flags of an address for a GPU.
fn access(address: usize, gpu: i32) -> u64 {
    let (mut flags, location) = (0u64, [1i32, gpu]);
    let code = driver_call!(cuMemGetAccess(
        &mut flags => *mut u64, location.as_ptr() => *const i32, address as u64 => u64
    ));
    assert_eq!(code, 0);
    flags
}

/// The free memory of the GPU, by the driver.
fn free_memory() -> usize {
    let (mut free, mut total) = (0usize, 0usize);
    let code = with_context(0, || driver_call!(cuMemGetInfo_v2(&mut free => *mut usize, &mut total => *mut usize)));
    assert_eq!(code, 0);
    free
}

/// Settings under which work is done when a call returns, and nothing is filled with junk.
fn eager(gpu: &Device) {
    let sim = gpu.simulated();
    sim.set("pace", 1);
    sim.set("junk", 0);
}

fn fill(stream: &Stream, block: usize, bytes: usize, value: u8) {
    let native = stream.native() as usize;
    let code = with_context(
        0,
        || driver_call!(cuMemsetD8Async(block as u64 => u64, value => u8, bytes => usize, native => usize)),
    );
    assert_eq!(code, 0);
}

/// PD-10: memory is taken in granules of 2 MiB, side by side, and a free block grows in place.
#[test]
fn pd_10_segments_grow_in_place() {
    let gpu = device();
    eager(&gpu);
    let sim = gpu.simulated();
    let (pool, s) = (pool(), stream());
    let free = free_memory();
    let taken = || free - free_memory();
    // Small blocks come from elsewhere, so that large ones lie side by side.
    let small = pool.take(100, &s).unwrap();
    assert_eq!((taken(), pool.stats().reserved_bytes as usize), (2 * MIB, 2 * MIB));
    let (plain, first) = sim.calls_of("cuMemAlloc", || pool.take(5 * MIB, &s).unwrap());
    assert_eq!((plain, taken(), pool.stats().reserved_bytes as usize), (0, 8 * MIB, 8 * MIB));
    let second = pool.take(10 * MIB, &s).unwrap();
    assert_eq!(second, first + 5 * MIB, "the rest of the last granule is used");
    assert!(small.abs_diff(second) > 100 * MIB && taken() == 18 * MIB);
    pool.give(first, &s);
    pool.give(second, &s);
    s.finish();
    // One more granule for a block that needs it.
    let grown = pool.take(17 * MIB, &s).unwrap();
    assert_eq!((grown, taken()), (first, 20 * MIB));
    fill(&s, grown, 17 * MIB, 0x5a);
    s.finish();
    let stats = pool.stats();
    assert!(stats.address_bytes > stats.reserved_bytes, "addresses are reserved ahead");
    pool.give(grown, &s);
    pool.give(small, &s);
    s.finish();
    assert_eq!((pool.trim(), taken()), (20 * MIB, 0));
    drop(pool);
    assert_eq!((sim.get("physical"), sim.get("reserved")), (0, 0), "nothing is left behind");
}

/// PD-10: segments where the GPU or the driver maps nothing.
#[test]
fn pd_10_plain_segments_without_support() {
    let gpu = device();
    let sim = gpu.simulated();
    sim.set_attribute(0, MAPS_MEMORY, 0);
    let (pool, s) = (pool(), stream());
    let (created, block) = sim.calls_of("cuMemCreate", || pool.take(5 * MIB, &s).unwrap());
    assert_eq!((created, pool.stats().reserved_bytes as usize), (0, 20 * MIB));
    pool.give(block, &s);
    assert_eq!(pool_on(GPU, |o| o.peers = 2).err(), Some(TN_ERR_UNSUPPORTED));
    sim.set_attribute(0, MAPS_MEMORY, 1);
    let plain = pool_on(GPU, |o| o.backend = TN_BACKEND_PLAIN).unwrap();
    assert_eq!(sim.calls_of("cuMemCreate", || plain.take(5 * MIB, &s).unwrap()).0, 0);
    assert_eq!(pool_on(GPU, |o| (o.backend, o.peers) = (TN_BACKEND_PLAIN, 2)).err(), Some(TN_ERR_UNSUPPORTED));
}

/// PD-10: the driver says that it maps memory, and a system such as a container refuses one of the calls.
#[test]
fn pd_10_plain_segments_where_mapping_fails() {
    for (call, code) in [
        ("cuMemCreate", 801),
        ("cuMemCreate", 800),
        ("cuMemAddressReserve", 2),
        ("cuMemAddressReserve", 1),
        ("cuMemMap", 801),
        ("cuMemSetAccess", 800),
    ] {
        support::cuda::alone("pd_10_plain_segments_where_mapping_fails", &[("TENURE_TEST_CALL", call)], || {
            let call = std::env::var("TENURE_TEST_CALL").unwrap();
            let gpu = device();
            let sim = gpu.simulated();
            sim.fail(&call, 1, 0, code);
            let (pool, s) = (pool(), stream());
            let block = pool.take(5 * MIB, &s).unwrap();
            assert_eq!(pool.stats().reserved_bytes as usize, 20 * MIB, "{call}");
            pool.give(block, &s);
            assert_eq!(pool_on(GPU, |o| o.peers = 2).err(), Some(TN_ERR_UNSUPPORTED));
            sim.clear_faults();
            assert_eq!((sim.get("physical"), sim.get("reserved")), (0, 0), "nothing is left behind");
        });
    }
}

/// PD-10: how many calls of the driver it takes to map a GiB, and to give it back: large granules for large holes.
#[test]
fn pd_10_a_gib_takes_few_calls() {
    support::cuda::alone("pd_10_a_gib_takes_few_calls", &[("TENURE_SIM_MEMORY", "8G")], || {
        const GIB: usize = 1 << 30;
        let gpu = device();
        eager(&gpu);
        let sim = gpu.simulated();
        let names = ["cuMemAddressReserve", "cuMemCreate", "cuMemMap", "cuMemSetAccess", "cuMemUnmap", "cuMemRelease"];
        let counted = |work: &mut dyn FnMut()| {
            let before: u64 = names.iter().map(|name| sim.calls(name)).sum();
            work();
            names.iter().map(|name| sim.calls(name)).sum::<u64>() - before
        };
        let s = stream();
        // The trial of the first pool.
        drop(pool());
        let (pool, mut block) = (self::pool(), 0);
        let calls = counted(&mut || block = pool.take(GIB, &s).unwrap());
        assert!(calls <= 66, "one block: {calls}");
        fill(&s, block, GIB, 0x5a);
        pool.give(block, &s);
        s.finish();
        let calls = counted(&mut || assert_eq!(pool.trim(), GIB));
        assert!(calls <= 64, "back: {calls}");
        let mut made = None;
        let calls = counted(&mut || made = Some(pool_on(GPU, |o| o.initial_size = GIB as u64).unwrap()));
        assert!(calls <= 66, "initial_size: {calls}");
        drop(made);
        // Blocks of a model: the pool grows in larger steps the larger it is.
        let mut blocks = Vec::new();
        let calls = counted(&mut || blocks = (0..256).map(|_| pool.take(4 * MIB, &s).unwrap()).collect());
        assert!(calls <= 300, "256 blocks: {calls}");
        blocks.iter().for_each(|&block| pool.give(block, &s));
        s.finish();
        assert_eq!(pool.trim(), GIB);
        assert_eq!((pool.stats().reserved_bytes, sim.get("physical")), (0, 0));
    });
}

/// PD-11, PD-12: a large granule goes back as a whole, small ones beside it alone, and both are mapped elsewhere.
#[test]
fn pd_12_granules_of_two_sizes_go_back() {
    let gpu = device();
    eager(&gpu);
    let (pool, s) = (pool_on(GPU, |o| o.max_size = 100 * MIB as u64).unwrap(), stream());
    // Three large granules and two small ones.
    let whole = pool.take(100 * MIB, &s).unwrap();
    pool.give(whole, &s);
    s.finish();
    let first = pool.take(10 * MIB, &s).unwrap();
    assert_eq!(first, whole);
    assert_eq!(pool.trim(), 68 * MIB, "the first large granule is in use");
    let mut taken = vec![first];
    taken.extend((0..2).map(|_| pool.take(10 * MIB, &s).unwrap()));
    assert_eq!(pool.stats().reserved_bytes as usize, 32 * MIB, "its rest is used");
    // 36 MiB of small granules and a large one, of which 64 MiB are wanted side by side.
    taken.push(pool.take(64 * MIB, &s).unwrap());
    for (at, &block) in taken.iter().enumerate() {
        fill(&s, block, 10 * MIB, at as u8);
    }
    taken.iter().for_each(|&block| pool.give(block, &s));
    s.finish();
    let again = pool.take(100 * MIB, &s).unwrap();
    fill(&s, again, 100 * MIB, 0x77);
    pool.give(again, &s);
    s.finish();
    assert!(pool.trim() >= 96 * MIB);
    assert_eq!(pool.stats().reserved_bytes, 0);
}

/// TR-7: the default pools of two GPUs. The first copy between them gives each access to the other's memory, also to
/// what is mapped later, so that no copy is staged.
#[test]
fn tr_7_copies_between_the_default_pools_of_two_gpus_are_direct() {
    let gpu = device();
    gpu.require_two();
    eager(&gpu);
    let sim = gpu.simulated();
    let pools = [GPU, SECOND].map(|device| pool_on(device, |_| ()).unwrap());
    let array = |at: usize, elements: i64| {
        let mut array = std::ptr::null_mut();
        // SAFETY: the shape and the pointer are ours.
        let made = unsafe { tn_array_empty(pools[at].0, TN_F32, 1, &elements, std::ptr::null(), &mut array) };
        assert_eq!(made, TN_OK);
        array
    };
    let first = [array(0, 1 << 20), array(1, 1 << 20)];
    let (set, ()) = sim.calls_of("cuMemSetAccess", || {
        for on in [GPU, SECOND] {
            let s = stream_on(on, 0);
            for (to, from) in [(first[0], first[1]), (first[1], first[0])] {
                assert_eq!(tn_array_copy_into(from, to, 0, s.0), TN_OK);
            }
            s.finish();
        }
    });
    assert_eq!(set, 2, "once for each of the pools");
    let later = [array(0, 1 << 21), array(1, 1 << 21)];
    let s = stream();
    assert_eq!(tn_array_copy_into(later[0], later[1], 0, s.0), TN_OK);
    s.finish();
    assert_eq!(sim.get("staged_peer_copies"), 0);
    assert!(sim.get("direct_peer_copies") >= 5);
    first.into_iter().chain(later).for_each(|array| assert_eq!(tn_array_release(array), TN_OK));
}

/// PD-11: free granules that do not lie side by side serve a large request, and no new memory is taken.
#[test]
fn pd_11_free_granules_are_mapped_side_by_side() {
    let gpu = device();
    eager(&gpu);
    let sim = gpu.simulated();
    let (pool, s) = (pool_on(GPU, |o| o.max_size = 80 * MIB as u64).unwrap(), stream());
    let blocks: Vec<usize> = (0..8).map(|_| pool.take(10 * MIB, &s).unwrap()).collect();
    for (at, &block) in blocks.iter().enumerate() {
        fill(&s, block, 10 * MIB, at as u8);
    }
    blocks.iter().step_by(2).for_each(|&block| pool.give(block, &s));
    s.finish();
    let before = pool.stats();
    let (created, large) = sim.calls_of("cuMemCreate", || pool.take(40 * MIB, &s).unwrap());
    assert_eq!(created, 0, "no new memory");
    let after = pool.stats();
    assert_eq!((after.reserved_bytes, after.device_bytes_total), (before.reserved_bytes, before.device_bytes_total));
    fill(&s, large, 40 * MIB, 0xff);
    s.finish();
    // The others have their bytes.
    for (at, &block) in blocks.iter().enumerate().skip(1).step_by(2) {
        for place in [block, block + 10 * MIB - 1] {
            // SAFETY: a byte of the block, on which no work runs.
            assert_eq!(unsafe { *sim.bytes(place as u64, 1, 0) }, at as u8);
        }
    }
    // Full by the byte: one more granule exceeds the limit.
    assert_eq!(pool.take(2 * MIB, &s), Err(TN_ERR_POOL_LIMIT));
}

/// PD-11: what is not finished is not moved.
#[test]
fn pd_11_pending_granules_stay() {
    let gpu = device();
    let sim = gpu.simulated();
    sim.set("junk", 0);
    let (pool, s, t) = (pool(), stream(), stream());
    let blocks: Vec<usize> = (0..4).map(|_| pool.take(10 * MIB, &s).unwrap()).collect();
    sim.hold(s.native());
    fill(&s, blocks[0], 10 * MIB, 1);
    blocks.iter().step_by(2).for_each(|&block| pool.give(block, &s));
    let (unmapped, _) = sim.calls_of("cuMemUnmap", || pool.take(20 * MIB, &t).unwrap());
    assert_eq!(unmapped, 0);
    assert_eq!(pool.stats().pending_bytes as usize, 20 * MIB);
    sim.release(s.native());
    s.finish();
}

/// PD-12: a trim gives back every granule without a live block, also between live blocks.
#[test]
fn pd_12_a_trim_gives_granules_back_anywhere() {
    let gpu = device();
    eager(&gpu);
    let sim = gpu.simulated();
    let (pool, s) = (pool(), stream());
    let free = free_memory();
    let blocks: Vec<usize> = (0..40).map(|_| pool.take(3 * MIB, &s).unwrap()).collect();
    for (at, &block) in blocks.iter().enumerate() {
        fill(&s, block, 3 * MIB, at as u8);
    }
    for (at, &block) in blocks.iter().enumerate() {
        if at % 4 != 1 {
            pool.give(block, &s);
        }
    }
    s.finish();
    let before = pool.stats().reserved_bytes as usize;
    let released = pool.trim();
    // 9 MiB between two live blocks have four whole granules, or three.
    assert!(released >= 9 * 6 * MIB, "{released}");
    assert_eq!((before - released, free - free_memory()), (pool.stats().reserved_bytes as usize, before - released));
    for (at, &block) in blocks.iter().enumerate().skip(1).step_by(4) {
        // SAFETY: a byte of the block, on which no work runs.
        assert_eq!(unsafe { *sim.bytes((block + 2 * MIB) as u64, 1, 0) }, at as u8);
        pool.give(block, &s);
    }
    s.finish();
    pool.trim();
    assert_eq!((pool.stats().reserved_bytes, free - free_memory()), (0, 0));
}

/// PD-12: the same after blocks that two streams used became free and merged. The records of such spans are used again
/// for parts of others.
#[test]
fn pd_12_a_trim_after_uses_of_two_streams() {
    let gpu = device();
    eager(&gpu);
    let (pool, s, t) = (pool(), stream(), stream());
    for _ in 0..4 {
        let blocks: Vec<usize> = (0..12).map(|_| pool.take(3 * MIB, &s).unwrap()).collect();
        gpu.simulated().hold(s.native());
        gpu.simulated().hold(t.native());
        for &block in &blocks {
            fill(&s, block, 64, 1);
            fill(&t, block, 64, 1);
            pool.record_use(block, &t);
            pool.give(block, &s);
        }
        gpu.simulated().release_all();
        s.finish();
        t.finish();
        assert_eq!(pool.stats().pending_bytes, 0);
        let live: Vec<usize> = [3, 9, 3].into_iter().map(|mib| pool.take(mib * MIB, &s).unwrap()).collect();
        pool.give(live[1], &s);
        s.finish();
        // What is left lies on both sides of the granules that go back.
        assert!(pool.trim() >= 6 * MIB);
        pool.give(live[0], &s);
        pool.give(live[2], &s);
        s.finish();
        pool.trim();
        assert_eq!(pool.stats().reserved_bytes, 0);
    }
}

/// PD-19: peers can access every granule, also after growth and after granules were mapped elsewhere.
#[test]
fn pd_19_peers_access_every_granule() {
    let gpu = device();
    gpu.require_two();
    eager(&gpu);
    let sim = gpu.simulated();
    let (pool, alone, s) = (pool_on(GPU, |o| o.peers = 2).unwrap(), pool(), stream());
    const READ_WRITE: u64 = 3;
    let all = |block: usize, bytes: usize| (block..block + bytes).step_by(MIB).all(|at| access(at, 1) == READ_WRITE);
    let blocks: Vec<usize> = (0..4).map(|_| pool.take(6 * MIB, &s).unwrap()).collect();
    assert!(blocks.iter().all(|&block| all(block, 6 * MIB)));
    let small = pool.take(100, &s).unwrap();
    assert!(all(small, 1));
    pool.give(blocks[0], &s);
    pool.give(blocks[2], &s);
    s.finish();
    let large = pool.take(13 * MIB, &s).unwrap();
    assert!(all(large, 13 * MIB) && access(large, 0) == READ_WRITE);
    // The other GPU works on it.
    let other = stream_on(SECOND, 0);
    let native = other.native() as usize;
    let filled = with_context(
        1,
        || driver_call!(cuMemsetD8Async(large as u64 => u64, 7u8 => u8, 13 * MIB => usize, native => usize)),
    );
    assert_eq!(filled, 0);
    other.finish();
    let own = alone.take(6 * MIB, &s).unwrap();
    assert_eq!((access(own, 0), access(own, 1)), (READ_WRITE, 0), "without the option nobody else");
    for (peers, why) in [(1 << 5, "there is no GPU 5"), (1 << 63, "nor 63")] {
        assert_eq!(pool_on(GPU, |o| o.peers = peers).err(), Some(TN_ERR_DEVICE), "{why}");
    }
    sim.set("peers", 0);
    assert_eq!(pool_on(GPU, |o| o.peers = 2).err(), Some(TN_ERR_DEVICE), "it cannot reach the memory");
    assert!(pool_on(GPU, |o| o.peers = 1).is_ok(), "the GPU itself");
    sim.set("peers", 1);
}

/// PD-16: every driver call of a growth may fail, and nothing is left behind.
#[test]
fn pd_16_a_growth_that_fails_leaves_nothing() {
    let gpu = device();
    eager(&gpu);
    let sim = gpu.simulated();
    const MEMORY: u32 = 2;
    const FAILED: u32 = 999;
    let calls = ["cuMemAddressReserve", "cuMemCreate", "cuMemMap", "cuMemSetAccess"];
    for (name, nth) in calls.into_iter().flat_map(|name| [(name, 1), (name, 3)]) {
        for code in [MEMORY, FAILED] {
            let (pool, s) = (pool(), stream());
            let free = free_memory();
            sim.fail(name, nth, 20, code);
            let refused = pool.take(12 * MIB, &s);
            let due = matches!(name, "cuMemAddressReserve" | "cuMemSetAccess") && nth > 1;
            let status = if code == MEMORY { TN_ERR_NO_DEVICE_MEMORY } else { TN_ERR_DRIVER };
            assert_eq!(refused.err(), (!due).then_some(status), "{name} {nth} {code}");
            sim.clear_faults();
            if let Ok(block) = refused {
                pool.give(block, &s);
            }
            if !due {
                assert_eq!((free_memory(), pool.stats().reserved_bytes), (free, 0), "{name} {nth} {code}");
            }
            let block = pool.take(12 * MIB, &s).unwrap();
            pool.give(block, &s);
            s.finish();
            pool.trim();
            assert_eq!(free_memory(), free);
        }
    }
    assert_eq!((sim.get("physical"), sim.get("reserved")), (0, 0));
}

/// PD-20: after the GPU was lost nothing is unmapped, and every release succeeds.
#[test]
fn pd_20_a_lost_gpu_keeps_its_granules() {
    let gpu = device();
    let sim = gpu.simulated();
    let (pool, s) = (pool(), stream());
    let block = pool.take(12 * MIB, &s).unwrap();
    sim.break_device(0, 700);
    assert_eq!(pool.take(50 * MIB, &s), Err(TN_ERR_DRIVER));
    let (calls, ()) = sim.calls_of("", || pool.give(block, &s));
    assert_eq!(calls, 0);
    drop(pool);
}

fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// PD-21: random sizes from 4 KiB to 256 MiB, log-uniform, at 80 % of the limit. No request fails, and little more is
/// reserved than is in use.
#[test]
fn pd_21_random_sizes_at_80_percent_of_the_limit() {
    const LIMIT: usize = 4 << 30;
    if let Some(sim) = simulator() {
        sim.set("memory", 8 << 30);
    }
    let gpu = device();
    eager(&gpu);
    for seed in 1..=number("TENURE_TEST_SEEDS", 1) as u64 {
        let (pool, s, mut random) = (pool_on(GPU, |o| o.max_size = LIMIT as u64).unwrap(), stream(), Random::new(seed));
        let (mut live, mut bytes) = (Vec::<(usize, usize)>::new(), 0);
        for _ in 0..number("TENURE_TRACE_OPERATIONS", 100_000) {
            // 2^12 to 2^28, each size equally likely on a logarithmic scale.
            let exponent = 12.0 + 16.0 * (random.below(1 << 20) as f64 / (1 << 20) as f64);
            let size = exponent.exp2() as usize;
            while bytes + size > LIMIT / 10 * 8 {
                let (block, size) = live.swap_remove(random.below(live.len()));
                pool.give(block, &s);
                bytes -= size;
            }
            let block = pool.take(size, &s).unwrap_or_else(|status| panic!("seed {seed}: {size} bytes: {status}"));
            live.push((block, size));
            bytes += size;
        }
        let stats = pool.stats();
        let ratio = stats.peak_reserved_bytes as f64 / stats.peak_in_use_bytes as f64;
        println!("seed {seed}: reserved is {ratio:.3} x in use at the peak");
        assert!(ratio <= 1.10, "{stats:?}");
        live.into_iter().for_each(|(block, _)| pool.give(block, &s));
    }
}
