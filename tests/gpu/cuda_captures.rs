//! Captures of other libraries go on, whatever this library does beside them (PD-15): waits of pools that run out of
//! memory, memory and modules that would go back to the driver, work on the legacy stream. On the simulator or a GPU;
//! see support/cuda.rs.

use crate::driver_call;
use crate::support;
use std::ptr::null_mut;
use support::cuda::{device, last_error, with_context};
use support::device_pools::*;
use tenure::ffi::array::*;
use tenure::ffi::device::tn_device_synchronize;
use tenure::ffi::pool::*;
use tenure::ffi::transfer::*;
use tenure::types::*;
use tenure_harness::test;

const BLOCKING: u32 = 0;
const NON_BLOCKING: u32 = 1;
const GLOBAL: u32 = 0;
const RELAXED: u32 = 2;

/// A capture of another library, on a stream that this library does not know.
struct Theirs(u64);

impl Theirs {
    fn begin(flags: u32, mode: u32) -> Theirs {
        let mut stream = 0u64;
        with_context(0, || {
            assert_eq!(driver_call!(cuStreamCreate(&mut stream => *mut u64, flags => u32)), 0);
            assert_eq!(driver_call!(cuStreamBeginCapture_v2(stream => u64, mode => u32)), 0);
        });
        Theirs(stream)
    }

    /// The capture must be valid.
    fn end(self) {
        let mut graph = 0u64;
        with_context(0, || {
            let ended = driver_call!(cuStreamEndCapture(self.0 => u64, &mut graph => *mut u64));
            assert!(ended == 0 && graph != 0, "the capture is sound: {ended}");
            assert_eq!(driver_call!(cuGraphDestroy(graph => u64)), 0);
            assert_eq!(driver_call!(cuStreamDestroy_v2(self.0 => u64)), 0);
        });
    }
}

/// Work on a stream that uses a block.
fn fill(stream: &Stream, block: usize) {
    let filled = with_context(
        0,
        || driver_call!(cuMemsetD8Async(block as u64 => u64, 1 => u8, 64 => usize, stream.native() => u64)),
    );
    assert_eq!(filled, 0);
}

/// A pool of plain segments with a limit.
fn limited(bytes: usize) -> Pool {
    pool_on(GPU, |o| (o.max_size, o.backend) = (bytes as u64, TN_BACKEND_PLAIN)).unwrap()
}

/// PO-44, PD-15: a pool at its limit waits for the streams that it knows, and never for the whole device, which would
/// break a capture of any mode. Several pending blocks make room together.
#[test]
fn po_44_a_pool_at_its_limit_breaks_no_capture() {
    let _gpu = device();
    for mode in [GLOBAL, 1, RELAXED] {
        let (s, t, pool) = (stream(), stream(), limited(4 * MIB));
        let blocks = [pool.take(2 * MIB, &s).unwrap(), pool.take(2 * MIB, &s).unwrap()];
        let theirs = Theirs::begin(NON_BLOCKING, mode);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                blocks.iter().for_each(|&block| {
                    fill(&s, block);
                    pool.give(block, &s);
                });
                assert!(pool.take(4 * MIB, &t).is_ok(), "{}", last_error());
            });
        });
        theirs.end();
    }
}

/// PO-44, PO-45: what no event ends stays pending, and the refusal says what ends it.
#[test]
fn po_45_a_refusal_names_pending_bytes_without_an_event() {
    let gpu = device();
    let (s, pool) = (stream(), limited(4 * MIB));
    let mut native = 0u64;
    assert_eq!(with_context(0, || driver_call!(cuStreamCreate(&mut native => *mut u64, NON_BLOCKING => u32))), 0);
    let t = imported(native);
    let block = pool.take(3 * MIB, &t).unwrap();
    let capture = Capture::begin(&t);
    pool.give(block, &t);
    let graph = capture.end();
    assert_eq!(with_context(0, || driver_call!(cuGraphDestroy(graph => usize))), 0);
    let theirs = Theirs::begin(NON_BLOCKING, RELAXED);
    let synchronizes = gpu.sim.map(|sim| sim.get("device_synchronizes"));
    assert_eq!(pool.take(3 * MIB, &s), Err(TN_ERR_POOL_LIMIT));
    assert_eq!(synchronizes, gpu.sim.map(|sim| sim.get("device_synchronizes")));
    let text = last_error();
    assert!(text.contains("3 MiB pending") && text.contains("tn_device_synchronize"), "{text}");
    theirs.end();
    assert_eq!(tn_device_synchronize(GPU), TN_OK);
    assert_eq!(pool.take(3 * MIB, &s), Ok(block));
    pool.give(block, &s);
    drop(t);
    assert_eq!(with_context(0, || driver_call!(cuStreamDestroy_v2(native => u64))), 0);
}

/// ST-14, PD-15: the program's own wait for the device is refused while a stream captures that may be asked: one of this
/// library, or a blocking one.
#[test]
fn st_14_a_wait_for_the_device_is_refused_during_a_capture() {
    let _gpu = device();
    let s = stream();
    let capture = Capture::begin(&s);
    assert_eq!(tn_device_synchronize(GPU), TN_ERR_UNSUPPORTED);
    let graph = capture.end();
    assert_eq!(with_context(0, || driver_call!(cuGraphDestroy(graph => usize))), 0);
    let theirs = Theirs::begin(BLOCKING, RELAXED);
    assert_eq!(tn_device_synchronize(GPU), TN_ERR_UNSUPPORTED);
    theirs.end();
    assert_eq!(tn_device_synchronize(GPU), TN_OK);
}

/// PD-15: memory does not go back to the driver while a stream captures: neither by a trim, nor by the end of a pool,
/// nor for another request. It does afterwards.
#[test]
fn pd_15_memory_goes_back_after_the_capture() {
    let gpu = device();
    let sim = gpu.simulated();
    let returns = ["cuMemUnmap", "cuMemRelease", "cuMemFree", "cuMemAddressFree", "cuMemPoolTrimTo"];
    let returned = || returns.map(|name| sim.calls(name));
    for backend in [TN_BACKEND_AUTO, TN_BACKEND_PLAIN, TN_BACKEND_DRIVER_POOL] {
        let made = |bytes: usize| pool_on(GPU, |o| (o.backend, o.max_size) = (backend, bytes as u64)).unwrap();
        let (s, t, pool, ending) = (stream(), stream(), made(16 * MIB), made(16 * MIB));
        for pool in [&pool, &ending] {
            let blocks = [pool.take(4 * MIB, &t).unwrap(), pool.take(4 * MIB, &t).unwrap()];
            blocks.iter().for_each(|&block| pool.give(block, &t));
        }
        t.finish();
        let capture = Capture::begin(&s);
        let before = returned();
        let handle = ending.0 as usize;
        std::mem::forget(ending);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                assert_eq!(pool.trim(), 0);
                assert_eq!(tn_pool_release(handle as *mut tn_pool), TN_OK);
                // There is room for it only if cached segments go back, or are mapped side by side.
                if backend != TN_BACKEND_DRIVER_POOL {
                    assert_eq!(pool.take(14 * MIB, &t), Err(TN_ERR_POOL_LIMIT));
                }
            });
        });
        assert_eq!(returned(), before, "{backend}");
        let graph = capture.end();
        assert_eq!(with_context(0, || driver_call!(cuGraphDestroy(graph => usize))), 0);
        assert!(pool.trim() >= 8 * MIB, "{backend}");
        assert_eq!(tn_device_synchronize(GPU), TN_OK);
        drop(pool);
        assert_eq!((sim.get("allocations"), sim.get("physical"), sim.get("pooled")), (0, 0, 0), "{backend}");
    }
}

/// TR-15, PD-15: copies, fills and zeros on the legacy stream are refused while a blocking stream captures, and the
/// capture goes on.
#[test]
fn pd_15_the_legacy_stream_beside_a_blocking_capture() {
    let _gpu = device();
    let legacy = || Stream(std::ptr::without_provenance_mut(1));
    let array = |pool: tn_device| {
        let (mut made, mut default) = (null_mut(), null_mut());
        // SAFETY: the shape and the pointers are ours.
        unsafe {
            assert_eq!(tn_pool_default(pool, &mut default), TN_OK);
            assert_eq!(tn_array_empty(default, TN_F32, 1, &1000, std::ptr::null(), &mut made), TN_OK);
        }
        assert_eq!(tn_pool_release(default), TN_OK);
        made
    };
    let (x, y, locked) = (array(GPU), array(GPU), array(PINNED));
    let pool = pool();
    let theirs = Theirs::begin(BLOCKING, RELAXED);
    let copies = [(x, y), (x, locked), (locked, x)];
    for (to, from) in copies {
        assert_eq!(tn_array_copy_into(from, to, 0, legacy().0), TN_ERR_UNSUPPORTED, "{}", last_error());
        assert!(last_error().contains("legacy"), "{}", last_error());
    }
    // SAFETY: the value has the type of the array.
    let filled = unsafe { tn_array_fill(x, (&raw const VALUE).cast(), 0, legacy().0) };
    assert_eq!(filled, TN_ERR_UNSUPPORTED, "{}", last_error());
    assert_eq!(pool.take_zeroed(4096, legacy().0), Err(TN_ERR_UNSUPPORTED));
    assert_eq!(pool.stats().live_blocks, 0);
    theirs.end();
    for (to, from) in copies {
        assert_eq!(tn_array_copy_into(from, to, 0, legacy().0), TN_OK, "{}", last_error());
    }
    assert_eq!(tn_device_synchronize(GPU), TN_OK);
    [x, y, locked].into_iter().for_each(|array| assert_eq!(tn_array_release(array), TN_OK));
}

static VALUE: f32 = 1.0;
