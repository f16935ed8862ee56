//! Pools on devices: PD rows and related ones, on the simulator or a GPU. Counts of driver calls and stalled streams
//! need the simulator.

use crate::driver_call;
use crate::support;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::cuda::{NO_DRIVER, Sim, alone, device, last_error, with_context};
use support::device_pools::*;
use support::random::Random;
use support::runner::on_threads;
use tenure::ffi::array::{tn_array_query, tn_array_release, tn_array_zeros};
use tenure::ffi::device::tn_device_synchronize;
use tenure::ffi::pool::*;
use tenure::ffi::report::tn_report_json;
use tenure::ffi::runner::tn_runner_set_current;
use tenure::ffi::stream::*;
use tenure::types::*;
use tenure_harness::{skip, test};

/// Work on a stream that runs until the simulator resumes it.
struct Stalled<'a> {
    sim: Sim,
    stream: &'a Stream,
}

impl<'a> Stalled<'a> {
    /// `block`: device memory for the work.
    fn begin(sim: Sim, stream: &'a Stream, block: usize) -> Stalled<'a> {
        // The driver's free waits for all work, so this process would wait for itself.
        sim.set("free_waits", 0);
        sim.hold(stream.native());
        fill(stream, block, 64, 0x11);
        Stalled { sim, stream }
    }
}

impl Drop for Stalled<'_> {
    fn drop(&mut self) {
        self.sim.release(self.stream.native());
        self.stream.finish();
        self.sim.set("free_waits", 1);
    }
}

/// A pool of plain allocations, whose sizes and driver calls these tests know. Those of mapped granules are in
/// cuda_mapped.rs, and cuda_pool_random.rs runs both.
fn pool() -> Pool {
    pool_on(GPU, |o| o.backend = TN_BACKEND_PLAIN).unwrap()
}

/// Sets bytes on a device, in a stream's order.
fn fill(stream: &Stream, block: usize, bytes: usize, value: u8) {
    let (block, native) = (block as u64, stream.native() as usize);
    let status =
        with_context(0, || driver_call!(cuMemsetD8Async(block => u64, value => u8, bytes => usize, native => usize)));
    assert_eq!(status, 0);
}

/// The bytes of a block, after all work that was queued on the stream.
fn read(stream: &Stream, block: usize, bytes: usize) -> Vec<u8> {
    stream.finish();
    let mut to = vec![0u8; bytes];
    let at = to.as_mut_ptr().cast::<c_void>();
    let status =
        with_context(0, || driver_call!(cuMemcpyDtoH_v2(at => *mut c_void, block as u64 => u64, bytes => usize)));
    assert_eq!(status, 0);
    to
}

/// Makes set_mempolicy fail with EPERM for this process, as container runtimes do by default. False: the system has no
/// such filters.
fn forbid_memory_policies() -> bool {
    const LOAD_SYSTEM_CALL: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jt, k| libc::sock_filter { code, jt, jf: 0, k };
    let mut steps = [
        step(LOAD_SYSTEM_CALL, 0, 0),
        libc::sock_filter { jf: 1, ..step(JUMP_IF_EQUAL, 0, libc::SYS_set_mempolicy as u32) },
        step(RETURN, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        step(RETURN, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: the filter lives during the calls, which concern this process only.
    unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) == 0
    }
}

/// Large page-locked memory is made resident by the threads of the caller's runner, and locked in place. Without a
/// runner, or where the driver refuses that, it comes from the driver.
#[test]
fn large_page_locked_memory_uses_the_runner() {
    const LARGE: usize = 256 * MIB;
    let gpu = device();
    let sim = gpu.simulated();
    let tasks = AtomicUsize::new(0);
    let context = (&raw const tasks).cast_mut().cast();
    let (size, threads) = (size_of::<tn_runner>(), 3);
    let runner = tn_runner { size, run: Some(on_threads), context, threads, least_bytes: 0 };
    let pinned = || pool_on(PINNED, |o| (o.flags, o.host_flags) = (TN_POOL_DIRECT, TN_HOST_MAPPED)).unwrap();
    let calls = |work: &mut dyn FnMut()| {
        let before = tasks.load(Ordering::Relaxed);
        let (allocated, (locked, ())) = sim.calls_of("cuMemHostAlloc", || sim.calls_of("cuMemHostRegister_v2", work));
        (allocated, locked, tasks.load(Ordering::Relaxed) - before)
    };
    let pool = pinned();
    assert_eq!(calls(&mut || pool.give(pool.take(LARGE, &NOW).unwrap(), &NOW)), (1, 0, 0), "no runner");
    // SAFETY: the runner and its context live until it is taken back below.
    assert_eq!(unsafe { tn_runner_set_current(&runner) }, TN_OK);
    assert_eq!(calls(&mut || pool.give(pool.take(LARGE / 2, &NOW).unwrap(), &NOW)), (1, 0, 0), "too small");
    let mut block = 0;
    assert_eq!(calls(&mut || block = pool.take(LARGE, &NOW).unwrap()), (0, 1, 3));
    // A copy from it is not staged: it is queued behind what stalls the stream.
    let (s, device) = (stream(), pool_on(GPU, |_| ()).unwrap());
    let to = device.take(LARGE, &s).unwrap();
    // SAFETY: the host's block.
    unsafe { ((block + LARGE - 1) as *mut u8).write(7) };
    let (native, from) = (s.native() as usize, block + LARGE - 100);
    with_context(0, || {
        let at = from as *const c_void;
        assert_eq!(
            driver_call!(cuMemcpyHtoDAsync_v2(to as u64 => u64, at => *const c_void, 100 => usize, native => usize)),
            0
        );
    });
    s.finish();
    let (unlocked, ()) = sim.calls_of("cuMemHostUnregister", || pool.give(block, &NOW));
    assert_eq!((unlocked, pool.stats().reserved_bytes), (1, 0));
    device.give(to, &s);
    const NOT_SUPPORTED: u32 = 801;
    sim.fail("cuMemHostRegister_v2", 1, 1, NOT_SUPPORTED);
    assert_eq!(calls(&mut || pool.give(pool.take(LARGE, &NOW).unwrap(), &NOW)), (1, 1, 3), "refused");
    sim.clear_faults();
    let combined = pool_on(PINNED, |o| o.host_flags = TN_HOST_WRITE_COMBINED).unwrap();
    assert_eq!(calls(&mut || combined.give(combined.take(LARGE, &NOW).unwrap(), &NOW)), (1, 0, 0));
    // SAFETY: NULL takes the runner back.
    assert_eq!(unsafe { tn_runner_set_current(null_mut()) }, TN_OK);
}

/// PO-3: the NUMA node of a page-locked pool. Memory of GPUs and managed memory have none.
#[test]
fn po_3_page_locked_pools_take_a_numa_node() {
    let gpu = device();
    let sim = gpu.simulated();
    if tenure::sys::os::NodePreference::set(0).is_none() {
        skip("the system does not let this process choose a NUMA node");
    }
    let of_node = |device, node| pool_on(device, |options| options.numa_node = node);
    let near = of_node(PINNED, 1).unwrap();
    near.take_at(3 * MIB, 0, null_mut()).map(|block| assert_eq!(near.try_give(block, null_mut()), TN_OK)).unwrap();
    assert_eq!(sim.get("host_alloc_node"), 1);
    let any = of_node(PINNED, 0).unwrap();
    any.take_at(3 * MIB, 0, null_mut()).map(|block| assert_eq!(any.try_give(block, null_mut()), TN_OK)).unwrap();
    assert_eq!(sim.get("host_alloc_node"), 0, "the simulated GPU names no node");
    assert_eq!(of_node(PINNED, 4001).map(drop), Err(TN_ERR_RANGE));
    for device in [GPU, MANAGED] {
        assert_eq!(of_node(device, 1).map(drop), Err(TN_ERR_UNSUPPORTED), "{device:?}");
    }
    if forbid_memory_policies() {
        assert_eq!(of_node(PINNED, 1).map(drop), Err(TN_ERR_UNSUPPORTED));
        assert!(last_error().contains("numa_node") && last_error().contains("set_mempolicy"), "{}", last_error());
        any.take_at(30 * MIB, 0, null_mut()).map(|block| assert_eq!(any.try_give(block, null_mut()), TN_OK)).unwrap();
    }
}

/// PD-1, PO-37: a stream gets a block that it freed again at once, without a driver call.
#[test]
fn pd_1_one_stream_asks_no_driver() {
    let gpu = device();
    let (pool, s) = (pool(), stream());
    for bytes in [1, 512, 70_000, MIB, 3 * MIB, 30 * MIB] {
        // Freed blocks may merge with earlier ones; from then on addresses stay the same.
        let merged = pool.take(bytes, &s).unwrap();
        pool.give(merged, &s);
        let first = pool.take(bytes, &s).unwrap();
        fill(&s, first, bytes, 1);
        pool.give(first, &s);
        let turn = || {
            for _ in 0..100 {
                let block = pool.take(bytes, &s).unwrap();
                assert_eq!(block, first, "last in, first out");
                pool.give(block, &s);
            }
        };
        match gpu.sim {
            Some(sim) => assert_eq!(sim.calls_of("", turn).0, 0, "{bytes}"),
            None => turn(),
        }
    }
    let stats = pool.stats();
    assert_eq!(stats.hit_count, stats.allocation_count - stats.device_allocate_count);
}

/// PD-2, PD-3, ST-9: another stream gets it once an event after the free has passed. However often the pool polls,
/// there is one event.
#[test]
fn pd_2_and_3_another_stream_waits_for_one_event() {
    let gpu = device();
    let sim = gpu.simulated();
    // Each block is an allocation of its own, so that nothing else fits.
    let large = 12 * MIB;
    let (pool, s, t) = (pool(), stream(), stream());
    let blocks: Vec<usize> = (0..3).map(|_| pool.take(large, &s).unwrap()).collect();
    let stalled = Stalled::begin(sim, &s, blocks[0]);
    let (records, ()) = sim.calls_of("cuEventRecord", || blocks.iter().for_each(|&block| pool.give(block, &s)));
    assert_eq!(records, 0, "freeing records nothing");
    assert_eq!(pool.stats().pending_bytes, 3 * large as u64);
    let look = || (0..4).map(|_| pool.take(large, &t).unwrap()).collect::<Vec<_>>();
    let synchronizes = sim.get("device_synchronizes");
    let (records, (asked, taken)) = sim.calls_of("cuEventRecord", || sim.calls_of("cuEventQuery", look));
    assert_eq!((records, asked), (1, 4), "one event for all of them, one question for each request");
    assert!(blocks.iter().all(|block| !taken.contains(block)));
    assert_eq!(sim.get("device_synchronizes"), synchronizes);
    drop(stalled);
    // Now they are finished, and t gets them.
    let reserved = pool.stats().reserved_bytes;
    let all: Vec<usize> = (0..3).map(|_| pool.take(large, &t).unwrap()).collect();
    assert!(blocks.iter().all(|block| all.contains(block)));
    assert_eq!(pool.stats().reserved_bytes, reserved);
}

/// PD-2 (b): an order that the library knows is enough while the work goes on.
#[test]
fn pd_2_a_known_order_is_enough() {
    let gpu = device();
    let sim = gpu.simulated();
    let (pool, s, t) = (pool(), stream(), stream());
    let block = pool.take(12 * MIB, &s).unwrap();
    let stalled = Stalled::begin(sim, &s, block);
    pool.give(block, &s);
    let mut event = null_mut();
    // SAFETY: the pointer is ours.
    assert_eq!(unsafe { tn_event_create(GPU, 0, &mut event) }, TN_OK);
    assert_eq!(tn_event_record(event, s.0), TN_OK);
    assert_eq!(tn_stream_wait_event(t.0, event), TN_OK);
    let (calls, again) = sim.calls_of("", || pool.take(12 * MIB, &t).unwrap());
    assert_eq!((calls, again), (0, block));
    assert_eq!(tn_event_release(event), TN_OK);
    drop(stalled);
}

/// PD-4: if nothing else is left, the stream waits on the device for another stream's freed block; the host does not
/// wait.
#[test]
fn pd_4_under_pressure_the_stream_waits() {
    let gpu = device();
    let sim = gpu.simulated();
    for bytes in [MIB, 4 * MIB] {
        let limited =
            |flags: u32| pool_on(GPU, |o| (o.max_size, o.flags) = (bytes.max(2 * MIB) as u64, flags)).unwrap();
        let (pool, s, t) = (limited(0), stream(), stream());
        let block = pool.take(bytes, &s).unwrap();
        let rest = (bytes == MIB).then(|| pool.take(bytes, &s).unwrap());
        let stalled = Stalled::begin(sim, &s, block);
        fill(&s, block, bytes, 0x22);
        pool.give(block, &s);
        let (waits, again) = sim.calls_of("cuStreamWaitEvent", || pool.take(bytes, &t).unwrap());
        assert_eq!((waits, again), (1, block));
        fill(&t, again, bytes, 0x33);
        drop(stalled);
        assert!(read(&t, again, bytes).iter().all(|&byte| byte == 0x33), "t's bytes came after those of s");
        rest.into_iter().for_each(|block| pool.give(block, &s));
        // Strict mode does not wait, so the request is refused.
        let strict = limited(TN_POOL_STRICT);
        let block = strict.take(bytes, &s).unwrap();
        let rest = (bytes == MIB).then(|| strict.take(bytes, &s).unwrap());
        let stalled = Stalled::begin(sim, &s, block);
        strict.give(block, &s);
        assert_eq!(strict.take(bytes, &t), Err(TN_ERR_POOL_LIMIT));
        drop(stalled);
        assert_eq!(strict.take(bytes, &t), Ok(block), "PO-46");
        rest.into_iter().for_each(|block| strict.give(block, &s));
    }
}

/// PD-5, PO-16, PD-10's sizes: remainders, neighbours, pieces of the device.
#[test]
fn pd_5_splits_and_merges() {
    let gpu = device();
    let (pool, s) = (pool(), stream());
    let a = pool.take(1, &s).unwrap();
    assert_eq!((usable(a), pool.stats().reserved_bytes), (512, 2 * MIB as u64));
    let b = pool.take(513, &s).unwrap();
    assert_eq!((b, usable(b)), (a + 512, 1024), "512 bytes are enough of a rest");
    let large = pool.take(MIB + 1, &s).unwrap();
    assert_eq!(usable(large), MIB + (64 << 10), "PO-16");
    assert_eq!(pool.stats().reserved_bytes, 22 * MIB as u64);
    let own = pool.take(21 * MIB, &s).unwrap();
    assert_eq!(usable(own), 21 * MIB);
    assert_eq!(pool.stats().reserved_bytes, 44 * MIB as u64);
    assert_eq!(pool.stats().overhead_bytes, MIB as u64, "less than 2 MiB is not cut off");
    // Neighbours of one stream merge.
    let first = pool.take(8 * MIB, &s).unwrap();
    let second = pool.take(8 * MIB, &s).unwrap();
    pool.give(first, &s);
    pool.give(second, &s);
    assert_eq!(pool.take(16 * MIB, &s), Ok(first));
    // Neighbours of two streams merge only once both are finished.
    let sim = gpu.simulated();
    let t = stream();
    pool.give(first, &s);
    let (first, second) = (pool.take(8 * MIB, &s).unwrap(), pool.take(8 * MIB, &s).unwrap());
    let stalled = (Stalled::begin(sim, &s, first), Stalled::begin(sim, &t, second));
    pool.give(first, &s);
    pool.give(second, &t);
    let other = pool.take(16 * MIB, &s).unwrap();
    assert_ne!(other, first);
    drop(stalled);
    assert_eq!(pool.stats().pending_bytes, 0);
    assert_eq!(pool.take(16 * MIB, &stream()), Ok(first));
}

/// PD-6: uses accumulate, and count up to the moment of the free.
#[test]
fn pd_6_uses_on_other_streams_add_up() {
    let gpu = device();
    let sim = gpu.simulated();
    let (pool, s, t, u) = (pool(), stream(), stream(), stream());
    let block = pool.take(12 * MIB, &s).unwrap();
    pool.record_use(block, &t);
    pool.record_use(block, &u);
    // After the record, before the free.
    let late = Stalled::begin(sim, &t, block);
    pool.give(block, &s);
    let other = pool.take(12 * MIB, &s).unwrap();
    assert_ne!(other, block, "t still uses it");
    let another = pool.take(12 * MIB, &u).unwrap();
    assert_ne!(another, block);
    drop(late);
    u.finish();
    s.finish();
    assert_eq!(pool.take(12 * MIB, &s), Ok(block));
    // PO-24 to PO-27 for this function.
    let wrong = |pool: &Pool, block: usize| tn_pool_record_use(pool.0, block as *mut c_void, s.0);
    assert_eq!(wrong(&self::pool(), block), TN_ERR_FOREIGN);
    assert_eq!(wrong(&pool, block + 512), TN_ERR_INVALID);
    assert_eq!(wrong(&pool, 0x1000), TN_ERR_FOREIGN);
}

/// PD-6, PD-8: a noted use on a stream counts until its work is done. This holds also if the stream is released before
/// the block is freed, and its last event came before that work.
#[test]
fn pd_6_a_use_outlives_its_stream() {
    let gpu = device();
    let sim = gpu.simulated();
    for marked in [false, true] {
        let (pool, s, t, u) = (pool(), stream(), stream(), stream());
        let block = pool.take(12 * MIB, &s).unwrap();
        pool.record_use(block, &t);
        if marked {
            // All recorded work of t is done.
            t.finish();
        }
        sim.set("free_waits", 0);
        sim.hold(t.native());
        fill(&t, block, 64, 0x22);
        drop(t);
        // Other streams take the slot of the released stream.
        let others: Vec<Stream> = (0..3).map(|_| stream()).collect();
        others.iter().for_each(Stream::finish);
        pool.give(block, &s);
        others.iter().for_each(Stream::finish);
        s.finish();
        let other = pool.take(12 * MIB, &u).unwrap();
        assert_ne!(other, block, "the released stream's work goes on, {marked}");
        sim.release_all();
        sim.set("free_waits", 1);
        // The device finishes before the pool is asked.
        while sim.get("pending") > 0 {
            std::thread::yield_now();
        }
        assert_eq!(pool.take(12 * MIB, &u), Ok(block), "an event was left behind the work, {marked}");
    }
    // The stream in the reused slot counts for itself.
    for place in 0..2 {
        let (pool, s, t, u) = (pool(), stream(), stream(), stream());
        let block = pool.take(12 * MIB, &s).unwrap();
        pool.record_use(block, &t);
        drop(t);
        assert_eq!(tn_device_synchronize(GPU), TN_OK);
        let others: Vec<Stream> = (0..8).map(|_| stream()).collect();
        let stalled = Stalled::begin(sim, &others[place], block);
        pool.give(block, &others[place]);
        assert_ne!(pool.take(12 * MIB, &u).unwrap(), block, "{place}");
        drop(stalled);
    }
}

/// PD-8: a released stream leaves its blocks behind, which are free when its work is done.
#[test]
fn pd_8_a_stream_that_is_released() {
    let gpu = device();
    let sim = gpu.simulated();
    let (pool, s, t) = (pool(), stream(), stream());
    let block = pool.take(12 * MIB, &s).unwrap();
    sim.set("free_waits", 0);
    sim.hold(s.native());
    fill(&s, block, 64, 1);
    pool.give(block, &s);
    drop(s);
    let other = pool.take(12 * MIB, &t).unwrap();
    assert_ne!(other, block);
    sim.release_all();
    sim.set("pace", 1);
    assert_eq!(tn_device_synchronize(GPU), TN_OK);
    sim.set("pace", 0);
    sim.set("free_waits", 1);
    assert_eq!(pool.take(12 * MIB, &t), Ok(block));
}

/// A stream of another library, which destroys it on drop.
struct Foreign(u64);

impl Foreign {
    fn new() -> Foreign {
        let mut stream = 0u64;
        assert_eq!(with_context(0, || driver_call!(cuStreamCreate(&mut stream => *mut u64, 1 => u32))), 0);
        Foreign(stream)
    }

    /// A handle on it.
    fn import(&self) -> Stream {
        let mut handle = null_mut();
        // SAFETY: the pointer is ours.
        assert_eq!(unsafe { tn_stream_import(GPU, self.0, &mut handle) }, TN_OK);
        Stream(handle)
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        assert_eq!(with_context(0, || driver_call!(cuStreamDestroy_v2(self.0 => u64))), 0);
    }
}

/// PD-8, ST-4: the owner of an imported stream destroys it before its handle is released. What was freed on it has an
/// event, and no call touches the stream afterwards: the simulator ends a process that does.
#[test]
fn pd_8_the_owner_destroys_an_imported_stream_first() {
    let gpu = device();
    let sim = gpu.simulated();
    let (pool, t) = (pool(), stream());
    let foreign = Foreign::new();
    let s = foreign.import();
    let blocks: Vec<usize> = (0..3).map(|_| pool.take(12 * MIB, &s).unwrap()).collect();
    let kept = pool.take(12 * MIB, &t).unwrap();
    sim.set("free_waits", 0);
    sim.hold(foreign.0);
    fill(&s, blocks[0], 64, 0x11);
    pool.record_use(blocks[2], &s);
    pool.record_use(kept, &s);
    let (records, ()) = sim.calls_of("cuEventRecord", || blocks.iter().for_each(|&block| pool.give(block, &s)));
    assert!((3..=4).contains(&records), "one for each free, and at most one for the open use: {records}");
    // Freed by another stream while the caller still vouches for this one.
    pool.give(kept, &t);
    drop(foreign);
    assert_eq!(pool.stats().pending_bytes, 48 * MIB as u64);
    let other = pool.take(12 * MIB, &t).unwrap();
    assert!(!blocks.contains(&other) && other != kept);
    assert_eq!(tn_stream_synchronize(t.0), TN_OK);
    sim.release_all();
    sim.set("pace", 1);
    t.finish();
    sim.set("pace", 0);
    let mut again: Vec<usize> = (0..4).map(|_| pool.take(12 * MIB, &t).unwrap()).collect();
    again.retain(|block| blocks.contains(block) || *block == kept);
    assert_eq!(again.len(), 4, "all have passed, without a wait for the device");
    // The handle goes last.
    drop(s);
    sim.set("free_waits", 1);
}

/// PD-8: the library's own streams record nothing at a free, and an imported one that was released in time costs
/// nothing afterwards.
#[test]
fn pd_8_an_open_use_ends_with_the_handle() {
    let gpu = device();
    let sim = gpu.simulated();
    let (pool, t) = (pool(), stream());
    let foreign = Foreign::new();
    let s = foreign.import();
    let block = pool.take(12 * MIB, &t).unwrap();
    pool.record_use(block, &s);
    sim.set("free_waits", 0);
    sim.hold(foreign.0);
    fill(&s, block, 64, 0x11);
    let (records, ()) = sim.calls_of("cuEventRecord", || drop(s));
    assert_eq!(records, 1, "behind the open use");
    drop(foreign);
    pool.give(block, &t);
    assert_ne!(pool.take(12 * MIB, &t), Ok(block), "the other stream works on it");
    sim.release_all();
    sim.set("pace", 1);
    t.finish();
    sim.set("pace", 0);
    sim.set("free_waits", 1);
    let again = [pool.take(12 * MIB, &t), pool.take(12 * MIB, &t)];
    assert!(again.contains(&Ok(block)));
}

/// PD-9: the legacy stream (the constant 1) is ordered with blocking streams, and NULL is the thread's current one.
#[test]
fn pd_9_legacy_blocking_and_current_streams() {
    let gpu = device();
    let sim = gpu.simulated();
    let pool = pool();
    let (blocking, free) = (stream_on(GPU, TN_STREAM_BLOCKING), stream());
    let legacy = Stream(std::ptr::without_provenance_mut(1));
    let block = pool.take(12 * MIB, &blocking).unwrap();
    let stalled = Stalled::begin(sim, &blocking, block);
    pool.give(block, &blocking);
    assert_ne!(pool.take(12 * MIB, &free), Ok(block));
    let (calls, again) = sim.calls_of("", || pool.take(12 * MIB, &legacy));
    assert_eq!((calls, again), (0, Ok(block)), "it comes after");
    pool.give(block, &legacy);
    assert_eq!(pool.take(12 * MIB, &NOW), Ok(block), "NULL is the current stream, and that is the legacy one");
    assert_eq!(pool.try_give(block, null_mut()), TN_OK);
    assert_eq!(tn_stream_set_current(GPU, free.0), TN_OK);
    assert_ne!(pool.take(12 * MIB, &NOW), Ok(block));
    assert_eq!(tn_stream_set_current(GPU, null_mut()), TN_OK);
    drop(stalled);
}

/// PD-12, DV-10: trim waits for nothing; finished memory goes back whole, pending memory stays.
#[test]
fn pd_12_trim_leaves_pending_memory() {
    let gpu = device();
    let (pool, s, t) = (pool(), stream(), stream());
    let free_before = free_bytes();
    let pending = pool.take(3 * MIB, &s).unwrap();
    let done = pool.take(40 * MIB, &t).unwrap();
    let small: Vec<usize> = (0..100).map(|_| pool.take(10_000, &t).unwrap()).collect();
    let stalled = gpu.sim.map(|sim| Stalled::begin(sim, &s, pending));
    pool.give(pending, &s);
    pool.give(done, &t);
    small.into_iter().for_each(|block| pool.give(block, &t));
    t.finish();
    if gpu.sim.is_some() {
        assert_eq!(pool.trim(), 40 * MIB, "the only piece in which nothing is pending");
        let stats = pool.stats();
        assert_eq!((stats.cached_bytes, stats.reserved_bytes), (17 * MIB as u64, 20 * MIB as u64));
        assert_eq!(stats.pending_bytes, 3 * MIB as u64, "{stats:?}");
    }
    drop(stalled);
    s.finish();
    pool.trim();
    assert_eq!(pool.stats().reserved_bytes, 0);
    let free = free_bytes();
    // On a GPU other processes and the driver take memory, too.
    assert!(
        if gpu.sim.is_some() { free == free_before } else { free + 40 * MIB > free_before },
        "{free}, {free_before}"
    );
}

fn free_bytes() -> usize {
    let (mut free, mut total) = (0usize, 0usize);
    let status = with_context(0, || driver_call!(cuMemGetInfo_v2(&mut free => *mut usize, &mut total => *mut usize)));
    assert_eq!(status, 0);
    free
}

/// PD-13, PO-2, PO-39: the initial memory serves small and large blocks, and the limit holds.
#[test]
fn pd_13_initial_size_and_limit() {
    let gpu = device();
    for kind in [GPU, PINNED, MANAGED] {
        let pool = pool_on(kind, |o| (o.initial_size, o.max_size) = (6 * MIB as u64, 8 * MIB as u64)).unwrap();
        assert_eq!(pool.stats().reserved_bytes, 6 * MIB as u64, "PD-18: no more than that");
        let s = stream();
        let serve = || {
            let large = pool.take(4 * MIB, &s).unwrap();
            let small: Vec<usize> = (0..2).map(|_| pool.take(MIB, &s).unwrap()).collect();
            (large, small)
        };
        let (large, small) = match gpu.sim {
            Some(sim) => {
                let (calls, served) = sim.calls_of("*alloc", serve);
                assert_eq!(calls, 0, "PO-2");
                served
            }
            None => serve(),
        };
        assert_eq!(pool.stats().device_allocate_count, 1);
        let more = pool.take(2 * MIB, &s).unwrap();
        assert_eq!(pool.take(512, &s), Err(TN_ERR_POOL_LIMIT));
        assert!(last_error().contains("limit 8 MiB"), "{}", last_error());
        small.into_iter().chain([large, more]).for_each(|block| pool.give(block, &s));
        s.finish();
        pool.trim();
        assert_eq!(pool.stats().reserved_bytes, 6 * MIB as u64, "never below what it had at first");
    }
    let status = pool_on(GPU, |o| (o.initial_size, o.max_size) = (2 * MIB as u64, MIB as u64)).map(drop);
    assert_eq!(status, Err(TN_ERR_INVALID));
}

/// PO-19, PO-21: in place if it fits, else a copy on the stream, after which the old block is freed there.
#[test]
fn po_21_reallocate_copies_on_the_stream() {
    let _gpu = device();
    let (pool, s) = (pool(), stream());
    let block = pool.take(1000, &s).unwrap();
    fill(&s, block, 1000, 0x5a);
    assert_eq!(pool.resize(block, 1024, &s), Ok(block), "its own bytes");
    let moved = pool.resize(block, 5 * MIB, &s).unwrap();
    assert_ne!(moved, block);
    assert!(read(&s, moved, 1000).iter().all(|&byte| byte == 0x5a));
    assert_eq!(pool.take(1000, &s), Ok(block), "freed in that order");
    let stats = pool.stats();
    assert_eq!((stats.reallocation_count, stats.live_blocks), (2, 2));
    assert_eq!(pool.resize(moved, 2 * MIB, &s), Ok(moved), "the tail becomes free where it is");
    assert_eq!(usable(moved), 2 * MIB);
    assert_eq!(pool.resize(moved, 0, &s), Ok(0));
    assert_eq!(pool.try_give(moved, s.0), TN_ERR_STALE);
}

/// PO-23: zeros are visible to later work on the stream.
#[test]
fn po_23_zeros_in_the_stream_s_order() {
    let _gpu = device();
    let (pool, s) = (pool(), stream());
    for bytes in [100, MIB, 5 * MIB] {
        let dirty = pool.take(bytes, &s).unwrap();
        fill(&s, dirty, bytes, 0xff);
        pool.give(dirty, &s);
        let block = pool.take_zeroed(bytes, s.0).unwrap();
        assert!(read(&s, block, bytes).iter().all(|&byte| byte == 0));
        pool.give(block, &s);
    }
}

/// PD-16, PO-45, DV-10, PO-46: out of memory is reported with figures after all pools returned their cached memory; the
/// next request works.
#[test]
fn pd_16_out_of_memory() {
    let gpu = device();
    let sim = gpu.simulated();
    // An allocation that no piece was made of would be freed first.
    sim.set("askew", 0);
    let (pool, other, s) = (pool(), self::pool(), stream());
    let cached = other.take(30 * MIB, &s).unwrap();
    other.give(cached, &s);
    s.finish();
    let kept = pool.take(3 * MIB, &s).unwrap();
    // Fails once: the pool trims and tries again.
    sim.fail("cuMemAlloc", 1, 1, 2);
    let block = pool.take(50 * MIB, &s).unwrap();
    assert_eq!(other.stats().reserved_bytes, 0, "what another pool of the device had cached went back");
    pool.give(block, &s);
    s.finish();
    pool.trim();
    // Fails always: the status, and nothing changed.
    sim.fail("cuMemAlloc", 1, 0, 2);
    let before = pool.stats();
    assert_eq!(pool.take(60 * MIB, &s), Err(TN_ERR_NO_DEVICE_MEMORY));
    let text = last_error();
    for part in ["60 MiB asked", "3 MiB in use", "device has ", " free of "] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let after = pool.stats();
    assert_eq!((after.oom_count, after.failure_count), (before.oom_count + 1, before.failure_count + 1));
    assert_eq!(after.in_use_bytes, before.in_use_bytes);
    sim.clear_faults();
    let block = pool.take(60 * MIB, &s).unwrap();
    pool.give(block, &s);
    pool.give(kept, &s);
    // Page-locked memory is the host's.
    let pinned = pool_on(PINNED, |_| ()).unwrap();
    sim.fail("cuMemHostAlloc", 1, 0, 2);
    assert_eq!(pinned.take(MIB, &NOW), Err(TN_ERR_NO_HOST_MEMORY));
    let managed = pool_on(MANAGED, |_| ()).unwrap();
    sim.fail("cuMemAllocManaged", 1, 0, 2);
    assert_eq!(managed.take(MIB, &NOW), Err(TN_ERR_NO_DEVICE_MEMORY));
    // Another error number is the driver's failure, with its name.
    sim.clear_faults();
    sim.fail("cuMemAlloc", 1, 1, 999);
    assert_eq!(self::pool().take(MIB, &s), Err(TN_ERR_DRIVER));
    assert!(last_error().contains("999"), "{}", last_error());
}

/// PO-43, PO-44: a pressure callback is called once, after pending memory was polled.
#[test]
fn po_44_pressure_callbacks() {
    let _gpu = device();
    unsafe extern "C" fn give_back(context: *mut c_void, needed: usize, reason: tn_pressure) -> usize {
        assert_eq!((needed, reason), (3 * MIB, TN_PRESSURE_LIMIT));
        assert_eq!(tn_pool_deallocate(null_mut(), context, null_mut()), TN_OK);
        needed
    }
    let (pool, s) = (pool_on(GPU, |o| o.max_size = 4 * MIB as u64).unwrap(), stream());
    let block = pool.take(3 * MIB, &s).unwrap();
    // SAFETY: the function takes the context that is passed.
    let status = unsafe { tn_pool_on_pressure(pool.0, Some(give_back), block as *mut c_void, None) };
    assert_eq!(status, TN_OK);
    assert_eq!(pool.take(3 * MIB, &s), Ok(block));
    assert_eq!(pool.stats().pressure_count, 1);
    // SAFETY: as above.
    assert_eq!(unsafe { tn_pool_off_pressure(pool.0, Some(give_back), block as *mut c_void) }, TN_OK);
}

/// PD-15: during a capture a pool serves finished or fresh memory, records no event, and the capture stays valid.
#[test]
fn pd_15_during_a_capture() {
    let gpu = device();
    let (pool, s, t) = (pool_on(GPU, |o| o.max_size = 4 * MIB as u64).unwrap(), stream(), stream());
    let done = pool.take(2 * MIB, &t).unwrap();
    pool.give(done, &t);
    t.finish();
    let native = s.native() as usize;
    // Thread-local mode: calls of this thread that could wait are refused unless they are made in relaxed mode.
    assert_eq!(with_context(0, || driver_call!(cuStreamBeginCapture_v2(native => usize, 1u32 => u32))), 0);
    let finished = pool.take(2 * MIB, &s).unwrap();
    assert_eq!(finished, done);
    let fresh = pool.take(2 * MIB, &s).unwrap();
    fill(&s, fresh, MIB, 0x44);
    let (records, ()) = match gpu.sim {
        Some(sim) => sim.calls_of("cuEventRecord", || pool.give(finished, &s)),
        None => (0, pool.give(finished, &s)),
    };
    assert_eq!(records, 0);
    // Another stream gets a block that was freed within the capture only after the capture ended.
    assert_eq!(pool.take(2 * MIB, &t), Err(TN_ERR_POOL_LIMIT));
    assert_eq!(pool.take(4 * MIB, &s), Err(TN_ERR_UNSUPPORTED));
    assert!(last_error().contains("graph"), "{}", last_error());
    let mut graph = 0usize;
    assert_eq!(with_context(0, || driver_call!(cuStreamEndCapture(native => usize, &mut graph => *mut usize))), 0);
    assert_ne!(graph, 0, "the capture is sound");
    assert_eq!(pool.take(2 * MIB, &t), Ok(done), "it has ended");
    assert_eq!(with_context(0, || driver_call!(cuGraphDestroy(graph => usize))), 0);
    pool.give(fresh, &s);
}

/// PD-15: a private pool keeps the blocks of a captured graph: what was freed within the capture goes to no other
/// stream while the graph lives, and to the next capture that uses the private pool.
#[test]
fn pd_15_a_private_pool_keeps_a_graphs_blocks() {
    let _gpu = device();
    let (pool, private) = (pool(), pool_on(GPU, |o| o.growth_factor = 1.0).unwrap());
    let (s, t) = (stream(), stream());
    let begin = |stream: &Stream| tn_pool_private_begin(pool.0, private.0, stream.0);
    let end = |stream: &Stream| tn_pool_private_end(pool.0, stream.0);
    assert_eq!((begin(&s), begin(&s)), (TN_OK, TN_ERR_DUPLICATE));
    let capture = Capture::begin(&s);
    let temporary = pool.take(12 * MIB, &s).unwrap();
    fill(&s, temporary, 12 * MIB, 0x11);
    // The rest of its piece is too small for another block like the first one.
    let result = pool.take(10 * MIB, &s).unwrap();
    fill(&s, result, 10 * MIB, 0x22);
    pool.give(temporary, &s);
    let graph = capture.end();
    assert_eq!((end(&s), end(&s)), (TN_OK, TN_ERR_INVALID));
    assert_eq!((pool.stats().live_blocks, private.stats().live_blocks), (0, 1));
    s.finish();
    // The pool serves both streams itself, and none gets the graph's block, although no work is pending.
    let others = [pool.take(12 * MIB, &t).unwrap(), pool.take(12 * MIB, &s).unwrap()];
    assert!(!others.contains(&temporary));
    others.iter().for_each(|&block| fill(&t, block, 12 * MIB, 0x33));
    t.finish();
    launch(graph, &s);
    assert!(others.iter().all(|&block| read(&t, block, 12 * MIB).iter().all(|&byte| byte == 0x33)));
    s.finish();
    // Another capture of the group, on another stream: work on the first one is done. Arrays come from there too.
    assert_eq!(begin(&t), TN_OK);
    assert_eq!(pool.take(12 * MIB, &t), Ok(temporary));
    pool.give(temporary, &t);
    assert_eq!(pool.take(3 * MIB, &s).map(|block| pool.give(block, &s)), Ok(()), "the other stream is not redirected");
    assert_eq!(private.stats().live_blocks, 1);
    assert_eq!(tn_stream_set_current(GPU, t.0), TN_OK);
    let mut array = null_mut();
    // SAFETY: the shape and the pointer are ours.
    assert_eq!(unsafe { tn_array_zeros(pool.0, TN_F32, 1, &1000, std::ptr::null(), &mut array) }, TN_OK);
    assert_eq!(private.stats().live_blocks, 2);
    assert_eq!((tn_array_release(array), tn_stream_set_current(GPU, null_mut())), (TN_OK, TN_OK));
    // A block can be resized and freed with either pool.
    let moved = pool.resize(result, 30 * MIB, &t).unwrap();
    assert_eq!((private.stats().live_blocks, pool.try_give(moved, t.0)), (1, TN_OK));
    assert_eq!((private.stats().live_blocks, pool.stats().live_blocks), (0, 2));
    // The pool that is released ends it.
    others.iter().for_each(|&block| pool.give(block, &t));
    t.finish();
    drop(pool);
    assert!(private.trim() >= 15 * MIB);
    // Misuse.
    let (first, second) = (support::device_pools::pool(), support::device_pools::pool());
    assert_eq!(tn_pool_private_begin(first.0, first.0, s.0), TN_ERR_INVALID);
    assert_eq!(tn_pool_private_begin(first.0, private.0, s.0), TN_ERR_INVALID, "it has served another pool");
    assert_eq!(tn_pool_private_begin(first.0, null_mut(), s.0), TN_ERR_NULL);
    let host = pool_on(HOST, |_| ()).unwrap();
    assert_eq!(tn_pool_private_begin(first.0, host.0, s.0), TN_ERR_DEVICE);
    assert_eq!(tn_pool_private_begin(host.0, first.0, null_mut()), TN_ERR_DEVICE);
    let streams: Vec<Stream> = (0..17).map(|_| stream()).collect();
    let begun: Vec<tn_status> =
        streams.iter().map(|stream| tn_pool_private_begin(first.0, second.0, stream.0)).collect();
    assert!(begun[..16].iter().all(|&status| status == TN_OK) && begun[16] == TN_ERR_LIMIT, "{begun:?}");
}

/// PD-15: nothing goes back to the driver while the requesting stream captures, although it would make room.
#[test]
fn pd_15_a_capture_returns_no_memory() {
    let gpu = device();
    let sim = gpu.simulated();
    // Mapped granules side by side would serve the request.
    let limited = |o: &mut tn_pool_options| (o.max_size, o.backend) = (4 * MIB as u64, TN_BACKEND_PLAIN);
    let (pool, s) = (pool_on(GPU, limited).unwrap(), stream());
    let cached = [pool.take(2 * MIB, &s).unwrap(), pool.take(2 * MIB, &s).unwrap()];
    cached.iter().for_each(|&block| pool.give(block, &s));
    s.finish();
    let capture = Capture::begin(&s);
    let (frees, taken) = sim.calls_of("cuMemFree", || pool.take(4 * MIB, &s));
    assert_eq!((frees, taken), (0, Err(TN_ERR_UNSUPPORTED)));
    sim.fail("cuMemAlloc", 1, 0, 2);
    let other = self::pool();
    assert_eq!(sim.calls_of("cuMemFree", || other.take(4 * MIB, &s)), (0, Err(TN_ERR_UNSUPPORTED)));
    sim.clear_faults();
    let graph = capture.end();
    assert_eq!(with_context(0, || driver_call!(cuGraphDestroy(graph => usize))), 0);
    assert!(pool.take(4 * MIB, &s).is_ok(), "after the capture it does");
}

/// PO-44, PD-16: before a request fails, the host waits for memory that is only pending: for what fits, then for all
/// streams that are known.
#[test]
fn po_44_the_host_waits_for_pending_memory() {
    let gpu = device();
    let sim = gpu.simulated();
    let (device_pool, s) = (pool(), stream());
    let work = device_pool.take(64, &s).unwrap();
    // Work runs only in calls that wait.
    sim.set("pace", 3);
    sim.set("idle_us", 60_000_000);
    for flags in [0, TN_POOL_STRICT] {
        let pinned = pool_on(PINNED, |o| (o.max_size, o.flags) = (4 * MIB as u64, flags)).unwrap();
        let block = pinned.take(3 * MIB, &NOW).unwrap();
        fill(&s, work, 64, 1);
        pinned.give(block, &s);
        let (waits, taken) = sim.calls_of("cuEventSynchronize", || pinned.take(3 * MIB, &NOW));
        match flags {
            0 => assert_eq!((waits, taken), (1, Ok(block)), "the work of the stream is done now"),
            _ => assert_eq!((waits, taken), (0, Err(TN_ERR_POOL_LIMIT)), "tests in strict mode are deterministic"),
        }
        s.finish();
    }
    // What has no event: it was freed on an imported stream within a capture.
    let pool = pool_on(GPU, |o| {
        o.max_size = 4 * MIB as u64;
        o.backend = TN_BACKEND_PLAIN;
    })
    .unwrap();
    let foreign = Foreign::new();
    let t = foreign.import();
    let block = pool.take(3 * MIB, &t).unwrap();
    let capture = Capture::begin(&t);
    pool.give(block, &t);
    let graph = capture.end();
    assert_eq!(with_context(0, || driver_call!(cuGraphDestroy(graph => usize))), 0);
    drop(foreign);
    let before = sim.get("device_synchronizes");
    assert_eq!(pool.take(3 * MIB, &s), Err(TN_ERR_POOL_LIMIT));
    assert_eq!(sim.get("device_synchronizes"), before, "only the program waits for the whole device");
    assert_eq!(tn_device_synchronize(GPU), TN_OK);
    assert_eq!(pool.take(3 * MIB, &s), Ok(block), "{}", last_error());
    sim.set("idle_us", 5000);
    sim.set("pace", 0);
}

/// PD-9: a per-thread stream records an event at a free, so that other threads need none on the legacy stream, a
/// barrier for all.
#[test]
fn pd_9_per_thread_streams_record_their_own_events() {
    let gpu = device();
    let sim = gpu.simulated();
    let pool = pool();
    let own = || Stream(std::ptr::without_provenance_mut(2));
    let block = pool.take(12 * MIB, &own()).unwrap();
    let (records, ()) = sim.calls_of("cuEventRecord", || pool.give(block, &own()));
    assert_eq!(records, 1);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (records, taken) = sim.calls_of("cuEventRecord", || pool.take(12 * MIB, &own()));
            assert_eq!(records, 0, "none on the legacy stream");
            pool.give(taken.unwrap(), &own());
        });
    });
}

/// PD-1, PD-15: within the capture, the stream gets blocks that it freed before at once, without a poll. The graph is
/// ordered after that work if it is launched on that stream or on one that waits for it.
#[test]
fn pd_15_a_block_of_before_the_capture() {
    let gpu = device();
    for waits in [false, true] {
        let (pool, s, t) = (pool_on(GPU, |o| o.max_size = 2 * MIB as u64).unwrap(), stream(), stream());
        let block = pool.take(2 * MIB, &s).unwrap();
        fill(&s, block, 2 * MIB, 0x11);
        pool.give(block, &s);
        let capture = Capture::begin(&s);
        let take = || pool.take(2 * MIB, &s);
        let taken = match gpu.sim {
            Some(sim) => {
                let (calls, taken) = sim.calls_of("", take);
                assert_eq!(calls, 0);
                taken
            }
            None => take(),
        };
        assert_eq!(taken, Ok(block));
        fill(&s, block, 2 * MIB, 0x22);
        let graph = capture.end();
        if waits {
            let mut event = null_mut();
            // SAFETY: the pointer is ours.
            assert_eq!(unsafe { tn_event_create(GPU, 0, &mut event) }, TN_OK);
            assert_eq!((tn_event_record(event, s.0), tn_stream_wait_event(t.0, event)), (TN_OK, TN_OK));
            assert_eq!(tn_event_release(event), TN_OK);
        }
        let runs = if waits { &t } else { &s };
        launch(graph, runs);
        assert!(read(runs, block, 2 * MIB).iter().all(|&byte| byte == 0x22), "behind the work of before");
        pool.give(block, runs);
        runs.finish();
    }
}

/// PN-1, PN-12, PD-18, ST-9: page-locked memory gets its flags, is counted, and waits for asynchronous work before the
/// host gets it again.
#[test]
fn pn_1_pd_18_pinned_pools() {
    let gpu = device();
    let flags = [(0, 0), (TN_HOST_PORTABLE, 1), (TN_HOST_MAPPED, 2), (TN_HOST_WRITE_COMBINED, 4), (7, 7)];
    for (ours, theirs) in flags {
        let pool = pool_on(PINNED, |o| o.host_flags = ours | TN_HOST_BEST_EFFORT).unwrap();
        let block = pool.take(100_000, &NOW).unwrap();
        if let Some(sim) = gpu.sim {
            assert_eq!(sim.get("host_alloc_flags"), theirs);
        }
        // SAFETY: a block of the host's.
        unsafe { (block as *mut u8).write_bytes(1, 100_000) };
        assert_eq!(usable(block), 100_352);
        pool.give(block, &NOW);
        assert_eq!(pool.take(100_000, &NOW), Ok(block));
    }
    let managed = pool_on(MANAGED, |o| o.host_flags = TN_MANAGED_HOST).unwrap();
    let block = managed.take_zeroed(100_000, null_mut()).unwrap();
    // SAFETY: managed memory is the host's too.
    assert_eq!(unsafe { *(block as *const u8).add(99_999) }, 0);
    assert_eq!(pool_on(PINNED, |o| o.host_flags = TN_MANAGED_HOST).map(drop), Err(TN_ERR_INVALID));
    let sim = gpu.simulated();
    let (pool, work, s) = (pool_on(PINNED, |_| ()).unwrap(), self::pool(), stream());
    let on_device = work.take(64, &s).unwrap();
    let block = pool.take(100_000, &NOW).unwrap();
    let stalled = Stalled::begin(sim, &s, on_device);
    pool.give(block, &s);
    assert_ne!(pool.take(100_000, &NOW), Ok(block), "not while the stream may use it");
    assert_eq!(pool.take(100_000, &s), Ok(block), "the stream itself may");
    pool.give(block, &s);
    drop(stalled);
    assert_eq!(pool.stats().pending_bytes, 0);
    assert_eq!(pool.take(100_000, &NOW), Ok(block));
}

/// PD-20, DV-8: on a lost device frees succeed without a driver call.
#[test]
fn pd_20_a_lost_device() {
    alone("pd_20_a_lost_device", &[], || {
        let gpu = device();
        let sim = gpu.simulated();
        let (pool, s) = (pool(), stream());
        let (block, other) = (pool.take(MIB, &s).unwrap(), pool.take(3 * MIB, &s).unwrap());
        sim.break_device(0, 700);
        assert_eq!(tn_stream_synchronize(s.0), TN_ERR_DRIVER);
        let (calls, ()) = sim.calls_of("", || {
            pool.give(block, &s);
            assert_eq!(pool.take(100 * MIB, &s), Err(TN_ERR_DRIVER));
            assert_eq!(tn_pool_release(pool.0), TN_OK);
            assert_eq!(tn_pool_deallocate(null_mut(), other as *mut c_void, null_mut()), TN_OK);
        });
        assert_eq!(calls, 0);
        std::mem::forget(pool);
        assert_eq!(pool_on(GPU, |o| o.initial_size = 1).map(drop), Err(TN_ERR_DRIVER));
    });
}

/// PO-59: the child of a fork has no device; a free there makes no driver call.
#[test]
fn po_59_after_a_fork() {
    alone("po_59_after_a_fork", &[], || {
        let gpu = device();
        let (pool, s) = (pool(), stream());
        let pinned = pool_on(PINNED, |_| ()).unwrap();
        let (block, locked) = (pool.take(MIB, &s).unwrap(), pinned.take(MIB, &NOW).unwrap());
        // SAFETY: the child only makes calls of this library, and leaves at once.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let calls = gpu.sim.map(|sim| sim.calls(""));
            let mut right = pool.take(MIB, &NOW) == Err(TN_ERR_DEVICE) && pinned.take(MIB, &NOW) == Err(TN_ERR_DEVICE);
            // SAFETY: NULL is allowed.
            right &= unsafe { tn_pool_trim(pool.0, 0, null_mut()) } == TN_ERR_DEVICE;
            right &= pool.try_give(block, null_mut()) == TN_OK && pinned.try_give(locked, null_mut()) == TN_OK;
            right &= tn_pool_release(pool.0) == TN_OK && tn_pool_release(pinned.0) == TN_OK;
            right &= gpu.sim.map(|sim| sim.calls("")) == calls;
            // SAFETY: leaves without running the parent's exit handlers.
            unsafe { libc::_exit(if right { 0 } else { 1 }) };
        }
        let mut status = 0;
        // SAFETY: the number is ours.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!(status, 0);
        pool.give(block, &s);
        pinned.give(locked, &NOW);
    });
}

/// PO-6, PO-7 with pending work: a released pool's pending memory goes to the driver once the work is done; no call
/// waits for it.
#[test]
fn po_6_a_pool_goes_with_work_under_way() {
    let gpu = device();
    let sim = gpu.simulated();
    sim.set("free_waits", 0);
    // Each piece is one allocation.
    sim.set("askew", 0);
    let (pool, s) = (pool(), stream());
    // Memory of other tests goes first.
    assert_eq!(tn_device_synchronize(GPU), TN_OK);
    drop(self::pool());
    let before = sim.get("allocations");
    let (block, live) = (pool.take(30 * MIB, &s).unwrap(), pool.take(3 * MIB, &s).unwrap());
    let stalled = Stalled::begin(sim, &s, block);
    pool.give(block, &s);
    drop(pool);
    assert_eq!(sim.get("allocations"), before + 2, "one is used still, and one is live");
    drop(stalled);
    drop(self::pool());
    assert_eq!(sim.get("allocations"), before + 1, "the next call frees it");
    assert_eq!(tn_pool_deallocate(null_mut(), live as *mut c_void, s.0), TN_OK);
    s.finish();
    drop(self::pool());
    assert_eq!(sim.get("allocations"), before);
    sim.set("free_waits", 1);
}

/// ST-10: a stalled stream and a slow driver call delay no other call. DV-10: nothing synchronises.
#[test]
fn st_10_a_stalled_stream_delays_no_other() {
    let gpu = device();
    let sim = gpu.simulated();
    let (pool, s, t) = (pool(), stream(), stream());
    let block = pool.take(3 * MIB, &s).unwrap();
    let stalled = Stalled::begin(sim, &s, block);
    pool.give(block, &s);
    let before = (sim.calls("cuCtxSynchronize"), sim.calls("cuStreamSynchronize"), sim.calls("cuEventSynchronize"));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for round in 0..200 {
                    let bytes = 1000 * (1 + round % 50);
                    let block = pool.take(bytes, &t).unwrap();
                    pool.give(block, &t);
                }
            });
        }
    });
    let after = (sim.calls("cuCtxSynchronize"), sim.calls("cuStreamSynchronize"), sim.calls("cuEventSynchronize"));
    assert_eq!(before, after);
    drop(stalled);
}

/// PO-9, PO-11, PO-12, PO-14, PO-24 to PO-27 on device addresses, which the library never reads (PD-14: the simulator's
/// are unreadable).
#[test]
fn pd_14_addresses_are_only_numbers() {
    let _gpu = device();
    let (pool, s) = (pool(), stream());
    let mut blocks = Vec::new();
    for (shift, bytes) in (0..=22).map(|shift| (shift, 100 + 70_000 * shift)) {
        let block = pool.take_at(bytes, 1 << shift, s.0).unwrap();
        assert!(block.is_multiple_of((1 << shift).max(8)), "{shift}");
        assert!(usable(block) >= bytes);
        blocks.push((block, bytes));
    }
    blocks.push((pool.take(0, &s).unwrap(), 0));
    assert_eq!(pool.take_at(10, 3, s.0), Err(TN_ERR_INVALID));
    assert_eq!(pool.take_at(10, 8 << 20, s.0), Err(TN_ERR_INVALID));
    assert_eq!(pool.take(usize::MAX / 2 + 2, &s), Err(TN_ERR_NO_DEVICE_MEMORY));
    blocks.sort_unstable();
    assert!(blocks.windows(2).all(|pair| pair[0].0 + usable(pair[0].0) <= pair[1].0));
    let mut owner = null_mut();
    for &(block, bytes) in &blocks {
        for inside in [0, bytes / 2, bytes.saturating_sub(1)] {
            // SAFETY: the pointer is ours.
            assert_eq!(unsafe { tn_pool_of((block + inside) as *const c_void, &mut owner) }, TN_OK);
            assert_eq!(tn_pool_release(owner), TN_OK);
        }
        if bytes > 1 {
            assert_eq!(pool.try_give(block + 1, s.0), TN_ERR_INVALID);
        }
    }
    let other = self::pool();
    assert_eq!(other.try_give(blocks[0].0, s.0), TN_ERR_FOREIGN);
    for (block, _) in &blocks {
        pool.give(*block, &s);
        assert_eq!(pool.try_give(*block, s.0), TN_ERR_STALE);
    }
    assert_eq!(pool.stats().in_use_bytes, 0);
}

/// PO-62 to PO-65 for devices: each has a current pool of its own on a thread.
#[test]
fn po_62_current_pools_of_devices() {
    let gpu = device();
    let own = [pool_on(GPU, |_| ()).unwrap(), pool_on(PINNED, |_| ()).unwrap(), pool_on(MANAGED, |_| ()).unwrap()];
    let devices = [GPU, PINNED, MANAGED];
    let current = |device: tn_device| {
        let mut handle = null_mut();
        // SAFETY: the pointer is ours.
        assert_eq!(unsafe { tn_pool_current(device, &mut handle) }, TN_OK);
        Pool(handle).stats().serial
    };
    let defaults = devices.map(current);
    own.iter().for_each(|pool| assert_eq!(tn_pool_set_current(pool.0), TN_OK));
    for (pool, &device) in own.iter().zip(&devices) {
        assert_eq!(current(device), pool.stats().serial);
        assert_eq!(
            std::thread::scope(|s| s.spawn(|| current(device)).join().unwrap()),
            current_default(&defaults, device)
        );
    }
    if gpu.has_two() {
        let second = tn_device { r#type: TN_CUDA, id: 1 };
        let theirs = pool_on(second, |_| ()).unwrap();
        let before = current(second);
        assert_ne!(before, own[0].stats().serial);
        assert_eq!(tn_pool_set_current(theirs.0), TN_OK);
        assert_eq!((current(second), current(GPU)), (theirs.stats().serial, own[0].stats().serial));
    }
    assert_eq!(tn_pool_set_current(null_mut()), TN_OK);
    assert_eq!(devices.map(current), defaults);
}

fn current_default(defaults: &[u64; 3], device: tn_device) -> u64 {
    defaults[[TN_CUDA, TN_CUDA_HOST, TN_CUDA_MANAGED].iter().position(|&kind| kind == device.r#type).unwrap()]
}

/// BR-63 for pools: a stream of another GPU orders nothing here; pinned memory accepts any.
#[test]
fn streams_of_other_gpus() {
    let gpu = device();
    gpu.require_two();
    let second = tn_device { r#type: TN_CUDA, id: 1 };
    let (pool, pinned, s, t) = (pool(), pool_on(PINNED, |_| ()).unwrap(), stream(), stream_on(second, 0));
    assert_eq!(pool.take(10, &t), Err(TN_ERR_DEVICE));
    let block = pool.take(10, &s).unwrap();
    assert_eq!(pool.try_give(block, t.0), TN_ERR_DEVICE);
    pool.give(block, &s);
    let block = pinned.take(10, &t).unwrap();
    pinned.give(block, &t);
    let host = pool_on(HOST, |_| ()).unwrap();
    assert_eq!(host.take(10, &s), Err(TN_ERR_DEVICE));
}

/// PN-13: without a driver pinned memory is refused, or is plain host memory that says so.
#[test]
fn pn_13_pools_without_a_driver() {
    alone("pn_13_pools_without_a_driver", &[NO_DRIVER], || {
        assert_eq!(pool_on(GPU, |_| ()).map(drop), Err(TN_ERR_UNSUPPORTED));
        assert!(last_error().contains("libcuda.so.1"), "{}", last_error());
        assert_eq!(pool_on(MANAGED, |_| ()).map(drop), Err(TN_ERR_UNSUPPORTED));
        assert_eq!(pool_on(PINNED, |_| ()).map(drop), Err(TN_ERR_UNSUPPORTED));
        let pool = pool_on(PINNED, |o| o.host_flags = TN_HOST_BEST_EFFORT).unwrap();
        let block = pool.take(1000, &NOW).unwrap();
        // SAFETY: plain memory.
        unsafe { (block as *mut u8).write_bytes(1, 1000) };
        pool.give(block, &NOW);
    });
}

/// PN-1, PN-8, PN-12, PD-18: arrays and the report show the requested flags of page-locked memory, and warn of slow
/// ones.
#[test]
fn pn_8_pn_12_page_locked_memory_says_so() {
    let _gpu = device();
    let pool = pool_on(PINNED, |o| {
        o.name = c"crossing".as_ptr();
        o.host_flags = TN_HOST_WRITE_COMBINED | TN_HOST_MAPPED;
    })
    .unwrap();
    let (mut array, shape) = (null_mut(), [1000i64]);
    // SAFETY: all of it is ours.
    let status = unsafe { tn_array_zeros(pool.0, TN_F64, 1, shape.as_ptr(), std::ptr::null(), &mut array) };
    assert_eq!(status, TN_OK);
    // SAFETY: plain data, for which zero is valid.
    let mut info: tn_array_info = unsafe { std::mem::zeroed() };
    info.size = size_of::<tn_array_info>();
    // SAFETY: the struct is ours, and says its size.
    assert_eq!(unsafe { tn_array_query(array, &mut info) }, TN_OK);
    assert_eq!((info.device.r#type, info.device.id), (TN_CUDA_HOST, 0));
    let expected = TN_PINNED | TN_MAPPED | TN_WRITECOMBINED;
    assert_eq!(info.flags & expected, expected);
    let mut length = 0;
    // SAFETY: no text is wanted yet.
    assert_eq!(unsafe { tn_report_json(0, 0, null_mut(), &mut length) }, TN_OK);
    let mut text = vec![0u8; length + 4096];
    // SAFETY: the memory has this many bytes.
    assert_eq!(unsafe { tn_report_json(0, text.len(), text.as_mut_ptr().cast(), &mut length) }, TN_OK);
    let text = String::from_utf8_lossy(&text).into_owned();
    let own = text.split("\"name\":\"crossing\"").nth(1).expect("the pool stands there");
    for part in ["\"cuda_host:0\"", "[\"pinned\",\"mapped\",\"write_combined\"]", "slowly"] {
        let at = own.find(part).unwrap_or_else(|| panic!("{part}: {own}"));
        assert!(at < 400, "{part} at {at}");
    }
    assert_eq!(tn_array_release(array), TN_OK);
}

/// Strict mode quarantines blocks and detects writes to them; TN_POOL_ZERO_ON_FREE leaves no contents, on a device too.
#[test]
fn flags_for_tests_on_devices() {
    let _gpu = device();
    let (s, work) = (stream(), pool());
    let strict = pool_on(PINNED, |o| o.flags = TN_POOL_STRICT).unwrap();
    let block = strict.take(1000, &NOW).unwrap();
    strict.give(block, &NOW);
    assert_ne!(strict.take(1000, &NOW), Ok(block), "it is held back");
    // SAFETY: the memory is still mapped; this is the mistake that strict mode detects.
    unsafe { (block as *mut u8).write(1) };
    strict.trim();
    assert_eq!(strict.stats().misuse_count, 1);
    for kind in [GPU, PINNED, MANAGED] {
        let pool = pool_on(kind, |o| o.flags = TN_POOL_ZERO_ON_FREE).unwrap();
        let block = pool.take(100_000, &s).unwrap();
        if kind.r#type == TN_CUDA {
            fill(&s, block, 100_000, 0x77);
            pool.give(block, &s);
            assert_eq!(tn_stream_synchronize(std::ptr::without_provenance_mut(1)), TN_OK);
            pool.stats();
            assert_eq!(pool.take(100_000, &s), Ok(block));
            assert!(read(&s, block, 100_000).iter().all(|&byte| byte == 0));
            continue;
        }
        // SAFETY: the host's block.
        unsafe { (block as *mut u8).write_bytes(0x77, 100_000) };
        // Pending when it is freed, so that it cannot be cleared then.
        fill(&s, work.take(64, &s).unwrap(), 64, 1);
        pool.give(block, &s);
        s.finish();
        pool.stats();
        assert_eq!(pool.take(100_000, &s), Ok(block));
        // SAFETY: as above.
        assert!((0..100_000).all(|at| unsafe { *(block as *const u8).add(at) } == 0), "{kind:?}");
    }
}

/// PO-47: each failing driver call is a status or changes nothing, and nothing is lost.
#[test]
fn po_47_each_driver_call_that_fails() {
    let gpu = device();
    let sim = gpu.simulated();
    let before = sim.get("allocations");
    let (s, t) = (stream(), stream());
    let functions = [
        "cuMemAlloc",
        "cuMemFree",
        "cuEventCreate",
        "cuEventRecord",
        "cuEventQuery",
        "cuStreamWaitEvent",
        "cuMemsetD8Async",
        "cuMemcpyAsync",
        "cuCtxGetCurrent",
        "cuStreamIsCapturing",
        "cuMemGetInfo",
        "cuThreadExchangeStreamCaptureMode",
    ];
    for function in functions {
        for nth in 1..=3 {
            let pool = pool_on(GPU, |o| o.max_size = 8 * MIB as u64).unwrap();
            let mut live = Vec::new();
            sim.fail(function, nth, 1, 999);
            for round in 0..12 {
                let stream = if round % 3 == 0 { &t } else { &s };
                match pool.take_zeroed(1 + round * 250_000, stream.0) {
                    Ok(block) => live.push(block),
                    Err(status) => assert!(
                        [TN_ERR_DRIVER, TN_ERR_POOL_LIMIT, TN_ERR_NO_DEVICE_MEMORY].contains(&status),
                        "{function}, {nth}: {status}, {}",
                        last_error()
                    ),
                }
                if round % 4 == 3
                    && let Some(&block) = live.last()
                    && let Ok(moved) = pool.resize(block, 4 * MIB, &s)
                {
                    *live.last_mut().unwrap() = moved;
                }
                if round % 2 == 1
                    && let Some(block) = live.pop()
                {
                    pool.give(block, &s);
                }
                assert_eq!(pool.stats().live_blocks, live.len() as u64);
            }
            sim.clear_faults();
            live.into_iter().for_each(|block| pool.give(block, &t));
            s.finish();
            t.finish();
            pool.trim();
            assert_eq!(pool.stats().reserved_bytes, 0, "{function}, {nth}");
        }
    }
    // Memory whose free failed in the driver stays the driver's.
    assert!(sim.get("allocations") <= before + 4);
}

/// PD-15: a pool's driver calls do not disturb another thread's capture in global mode.
#[test]
fn pd_15_a_capture_on_another_thread() {
    let _gpu = device();
    let (pool, s, t, u) = (pool(), stream(), stream(), stream());
    let first = pool.take(12 * MIB, &t).unwrap();
    pool.give(first, &t);
    let native = s.native() as usize;
    assert_eq!(with_context(0, || driver_call!(cuStreamBeginCapture_v2(native => usize, 0u32 => u32))), 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Polls t's block, and gets a piece from the device.
            let blocks: Vec<usize> = (0..2).map(|_| pool.take(12 * MIB, &u).unwrap()).collect();
            blocks.into_iter().for_each(|block| pool.give(block, &u));
        });
    });
    let mut graph = 0usize;
    assert_eq!(with_context(0, || driver_call!(cuStreamEndCapture(native => usize, &mut graph => *mut usize))), 0);
    assert_ne!(graph, 0);
    assert_eq!(with_context(0, || driver_call!(cuGraphDestroy(graph => usize))), 0);
}

/// PO-9, PO-32 on devices: threads share a pool and its streams while others look up owners of addresses, query, report
/// and trim.
#[test]
fn po_32_threads_share_a_pool_of_a_device() {
    let _gpu = device();
    let pool = pool_on(GPU, |o| o.max_size = 32 * MIB as u64).unwrap();
    let streams = [stream(), stream(), stream_on(GPU, TN_STREAM_BLOCKING)];
    let done = std::sync::atomic::AtomicBool::new(false);
    let seen = std::sync::atomic::AtomicUsize::new(0);
    let (pool, streams, done, seen) = (&pool, &streams, &done, &seen);
    std::thread::scope(|scope| {
        let work = |thread: usize| {
            let mut live: Vec<usize> = Vec::new();
            let mut random = Random::new(thread as u64 + 1);
            for _ in 0..1500 {
                let pick = random.below(1 << 31);
                let stream = &streams[pick % 3];
                if pick % 5 < 3 && live.len() < 40 {
                    let Ok(block) = pool.take(1 + pick % [3000, 200_000, 2 * MIB][pick % 7 % 3], stream) else {
                        continue;
                    };
                    seen.store(block, std::sync::atomic::Ordering::Relaxed);
                    live.push(block);
                } else if !live.is_empty() {
                    let block = live.swap_remove(pick % live.len());
                    if pick.is_multiple_of(4) {
                        pool.record_use(block, &streams[(pick + 1) % 3]);
                    }
                    pool.give(block, stream);
                }
            }
            live.into_iter().for_each(|block| pool.give(block, &streams[0]));
        };
        scope.spawn(|| {
            let mut text = vec![0u8; 1 << 20];
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let (mut owner, mut length) = (null_mut(), 0);
                let at = seen.load(std::sync::atomic::Ordering::Relaxed) + 100;
                // SAFETY: the pointer is ours.
                if unsafe { tn_pool_of(at as *const c_void, &mut owner) } == TN_OK {
                    assert_eq!(tn_pool_release(owner), TN_OK);
                }
                // SAFETY: the memory has this many bytes.
                let status = unsafe { tn_report_json(0, text.len(), text.as_mut_ptr().cast(), &mut length) };
                assert_eq!(status, TN_OK);
                pool.stats();
                pool.trim();
            }
        });
        let workers: Vec<_> = (0..4).map(|thread| scope.spawn(move || work(thread))).collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    streams.iter().for_each(Stream::finish);
    let stats = pool.stats();
    assert_eq!((stats.in_use_bytes, stats.pending_bytes, stats.overhead_bytes), (0, 0, 0));
    pool.trim();
    assert_eq!(pool.stats().reserved_bytes, 0);
}

/// PD-10: memory at any address that the driver returns is usable, in any amount.
#[test]
fn pd_10_many_direct_pieces() {
    let _gpu = device();
    let s = stream();
    let pool = pool_on(GPU, |o| o.flags |= TN_POOL_DIRECT).unwrap();
    let mut live = Vec::new();
    for turn in 0..300usize {
        // A small allocation, so that the next one is not aligned.
        let mut other = 0u64;
        let got =
            with_context(0, || driver_call!(cuMemAlloc_v2(&mut other => *mut u64, 512 * (1 + turn % 3) => usize)));
        assert_eq!(got, 0);
        live.push((
            pool.take(64 << 10, &s).unwrap_or_else(|status| panic!("{turn}: {status}, {}", last_error())),
            other,
        ));
    }
    for (block, other) in live {
        pool.give(block, &s);
        assert_eq!(with_context(0, || driver_call!(cuMemFree_v2(other => u64))), 0);
    }
}

/// PD-10: an address that the driver did not align costs one more allocation once, and no free while work is under way,
/// which would wait for that work. Later pieces have room for the alignment, until an address comes aligned again.
#[test]
fn pd_10_an_address_askew_is_remembered() {
    let gpu = device();
    let sim = gpu.simulated();
    sim.set("askew", 0);
    let plain = || pool_on(GPU, |o| o.backend = TN_BACKEND_PLAIN).unwrap();
    let (pool, s, before) = (plain(), stream(), sim.get("allocations"));
    let first = pool.take(12 * MIB, &s).unwrap();
    let stalled = Stalled::begin(sim, &s, first);
    let grow = || {
        let (frees, (allocations, block)) =
            sim.calls_of("cuMemFree", || sim.calls_of("cuMemAlloc", || pool.take(12 * MIB, &s).unwrap()));
        assert!(frees == 0 && block.is_multiple_of(64 << 10));
        allocations
    };
    assert_eq!(grow(), 1, "aligned as the driver aligns");
    sim.set("askew", 256);
    assert_eq!([grow(), grow(), grow()], [2, 1, 1]);
    sim.set("askew", 0);
    assert_eq!([grow(), grow()], [1, 1]);
    drop(stalled);
    assert_eq!(sim.get("allocations") - before, 8, "seven pieces, and the allocation that none was made of");
    // That one goes with the first piece that goes.
    let other = plain();
    other.give(other.take(12 * MIB, &s).unwrap(), &s);
    s.finish();
    other.trim();
    assert_eq!(sim.get("allocations") - before, 7);
}
