//! Streams and events (ST rows), and the order of points that pools and arrays rely on (PD-8, PD-9, PD-15). On the
//! simulator or a GPU; see support/cuda.rs.

use crate::driver_call;
use crate::support;
use std::ffi::c_void;
use std::ptr::null_mut;
use support::cuda::{Memory, alone, device, last_error, require_simulator, simulator, with_context};
use tenure::ffi::device::*;
use tenure::ffi::library::*;
use tenure::ffi::promise::*;
use tenure::ffi::stream::*;
use tenure::stream::{Point, Stream, StreamArg, StreamRef};
use tenure::types::*;
use tenure_harness::test;

const LEGACY: *mut tn_stream = std::ptr::without_provenance_mut(1);
const PER_THREAD: *mut tn_stream = std::ptr::without_provenance_mut(2);
const CURRENT: *mut tn_stream = std::ptr::without_provenance_mut(3);

fn gpu(id: i32) -> tn_device {
    tn_device { r#type: TN_CUDA, id }
}

/// A function's output, or its status; the output is untouched then.
fn out<T>(call: impl FnOnce(*mut *mut T) -> tn_status) -> Result<*mut T, tn_status> {
    let mut written = null_mut();
    match call(&mut written) {
        TN_OK => Ok(written),
        status => {
            assert!(written.is_null(), "untouched");
            Err(status)
        }
    }
}

fn create(id: i32, flags: u32) -> *mut tn_stream {
    // SAFETY: the pointer is ours.
    out(|out| unsafe { tn_stream_create(gpu(id), flags, 0, out) }).unwrap()
}

fn import(id: i32, native: u64) -> Result<*mut tn_stream, tn_status> {
    // SAFETY: the pointer is ours.
    out(|out| unsafe { tn_stream_import(gpu(id), native, out) })
}

fn release(stream: *mut tn_stream) {
    assert_eq!(tn_stream_release(stream), TN_OK);
    assert_eq!(tn_stream_release(stream), TN_ERR_STALE, "once");
}

fn native(stream: *mut tn_stream) -> u64 {
    let mut native = 0;
    // SAFETY: the number is ours.
    assert_eq!(unsafe { tn_stream_native(stream, &mut native) }, TN_OK);
    native
}

fn current(id: i32) -> u64 {
    // SAFETY: the pointer is ours.
    let handle = out(|out| unsafe { tn_stream_current(gpu(id), out) }).unwrap();
    let native = native(handle);
    release(handle);
    native
}

fn event(id: i32, flags: u32) -> *mut tn_event {
    // SAFETY: the pointer is ours.
    out(|out| unsafe { tn_event_create(gpu(id), flags, out) }).unwrap()
}

fn is_done(event: *mut tn_event) -> bool {
    let mut done = -1;
    // SAFETY: the number is ours.
    assert_eq!(unsafe { tn_event_query(event, &mut done) }, TN_OK);
    assert!(done == 0 || done == 1);
    done == 1
}

fn elapsed(start: *mut tn_event, end: *mut tn_event) -> Result<i64, tn_status> {
    let mut ns = i64::MIN;
    // SAFETY: the number is ours.
    match unsafe { tn_event_elapsed(start, end, &mut ns) } {
        TN_OK => Ok(ns),
        status => Err(status),
    }
}

/// A reference to the stream of a handle.
fn stream_ref(stream: *mut tn_stream, id: i32) -> StreamRef {
    StreamArg::of(stream as u64).unwrap().on(gpu(id)).unwrap().unwrap().new_ref()
}

/// Polls until a point has passed; after ten minutes it never will.
fn passes(point: Point) {
    let start = std::time::Instant::now();
    while !point.poll() {
        assert!(start.elapsed().as_secs() < 600, "{point:?} does not pass: {}", tenure::error::drafted().as_str());
        std::thread::yield_now();
    }
    assert!(point.is_passed());
}

#[test]
fn st_1_streams_run_in_order_with_flags_and_priorities() {
    let _gpu = device();
    let (mut least, mut greatest) = (0, 0);
    with_context(0, || {
        let code = driver_call!(cuCtxGetStreamPriorityRange(&mut least => *mut i32, &mut greatest => *mut i32));
        assert_eq!(code, 0);
    });
    let memory = Memory::new(0, 1 << 16);
    for (flags, driver_flags) in [(0, 1), (TN_STREAM_BLOCKING, 0)] {
        for (asked, got) in [(0, 0), (i32::MIN, greatest), (i32::MAX, least), (greatest, greatest)] {
            // SAFETY: the pointer is ours.
            let stream = out(|out| unsafe { tn_stream_create(gpu(0), flags, asked, out) }).unwrap();
            let (mut priority, mut found) = (99, 99);
            with_context(0, || {
                driver_call!(cuStreamGetPriority(native(stream) => u64, &mut priority => *mut i32));
                driver_call!(cuStreamGetFlags(native(stream) => u64, &mut found => *mut u32));
            });
            assert_eq!((priority, found), (got, driver_flags));
            (0..20).for_each(|value| memory.fill(value, native(stream)));
            assert!(memory.read(native(stream)).iter().all(|byte| *byte == 19));
            release(stream);
        }
    }
    let mut untouched = null_mut();
    // SAFETY: the pointer is ours.
    assert_eq!(unsafe { tn_stream_create(gpu(0), 2, 0, &mut untouched) }, TN_ERR_INVALID);
}

#[test]
fn st_2_st_3_each_thread_has_current_streams_of_its_own() {
    let gpu_there = device();
    assert_eq!(current(0), 1, "the legacy stream to begin with");
    let set_option = |value: &std::ffi::CStr| {
        // SAFETY: texts.
        unsafe { tn_option_set(c"stream.default".as_ptr(), value.as_ptr()) }
    };
    assert_eq!(set_option(c"per-thread"), TN_OK);
    assert_eq!(current(0), 2);
    assert_eq!(set_option(c"mine"), TN_ERR_INVALID);
    assert_eq!(set_option(c"legacy"), TN_OK);
    let (a, b) = (create(0, 0), create(0, 0));
    let (a_native, b_native) = (native(a), native(b));
    assert_eq!(tn_stream_set_current(gpu(0), a), TN_OK);
    assert_eq!(current(0), a_native);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(current(0), 1, "another thread has its own");
            assert_eq!(tn_stream_set_current(gpu(0), PER_THREAD), TN_OK);
            assert_eq!(current(0), 2);
        });
    });
    assert_eq!(current(0), a_native);
    // The thread holds a reference.
    release(a);
    assert_eq!(current(0), a_native);
    assert_eq!(tn_stream_synchronize(CURRENT), TN_OK);
    let streams = gpu_there.sim.map(|sim| sim.get("streams"));
    assert_eq!(tn_stream_set_current(gpu(0), b), TN_OK);
    assert_eq!(gpu_there.sim.map(|sim| sim.get("streams") + 1), streams, "it was the last that held it");
    assert_eq!(tn_stream_set_current(gpu(0), CURRENT), TN_OK);
    assert_eq!(current(0), b_native);
    if gpu_there.has_two() {
        assert_eq!(current(1), 1, "of another device");
        assert_eq!(tn_stream_set_current(gpu(1), b), TN_ERR_DEVICE);
        let other = create(1, 0);
        assert_eq!(tn_stream_set_current(gpu(1), other), TN_OK);
        assert_eq!((current(0), current(1)), (b_native, native(other)));
        assert_eq!(tn_stream_set_current(gpu(1), null_mut()), TN_OK);
        release(other);
    }
    assert_eq!(tn_stream_set_current(gpu(0), null_mut()), TN_OK);
    assert_eq!(current(0), 1);
    assert_eq!(tn_stream_set_current(gpu(0), b), TN_OK);
    assert_eq!(tn_stream_set_current(gpu(0), LEGACY), TN_OK);
    assert_eq!(current(0), 1);
    release(b);
    assert_eq!(tn_stream_set_current(gpu(0), b), TN_ERR_STALE);
    // A thread that ends drops its reference.
    let streams = gpu_there.sim.map(|sim| sim.get("streams"));
    std::thread::spawn(|| {
        let own = create(0, 0);
        assert_eq!(tn_stream_set_current(gpu(0), own), TN_OK);
        release(own);
    })
    .join()
    .unwrap();
    assert_eq!(gpu_there.sim.map(|sim| sim.get("streams")), streams);
}

/// A stream of another library.
fn foreign(id: i32) -> u64 {
    let mut stream = 0;
    let code = with_context(id, || driver_call!(cuStreamCreate(&mut stream => *mut u64, 1 => u32)));
    assert_eq!(code, 0);
    stream
}

fn destroy(id: i32, stream: u64) {
    assert_eq!(with_context(id, || driver_call!(cuStreamDestroy_v2(stream => u64))), 0);
}

#[test]
fn st_4_st_5_imported_streams_stay_their_owners() {
    let gpu_there = device();
    for (given, known) in [(0, 1), (1, 1), (2, 2)] {
        let handle = import(0, given).unwrap();
        assert_eq!(native(handle), known);
        assert_eq!(tn_stream_synchronize(handle), TN_OK);
        release(handle);
    }
    let own = foreign(0);
    let (a, b) = (import(0, own).unwrap(), import(0, own).unwrap());
    assert_eq!((native(a), native(b)), (own, own));
    assert!(stream_ref(a, 0) == stream_ref(b, 0), "one order");
    release(a);
    let memory = Memory::new(0, 4096);
    let stall = gpu_there.stall(own);
    memory.fill(1, own);
    let held = stream_ref(b, 0);
    let end_use = || held.stream().end_of_use();
    let point = match gpu_there.sim {
        Some(sim) => {
            let (records, point) = sim.calls_of("cuEventRecord", end_use);
            assert_eq!(records, 1, "while the caller vouches for the stream");
            point
        }
        None => end_use(),
    };
    drop(held);
    // From here on the owner may destroy it: the simulator ends the process if the library touches it.
    destroy(0, own);
    release(b);
    assert!(!point.poll() && !point.is_passed());
    drop(stall);
    if let Some(sim) = gpu_there.sim {
        sim.release_all();
    }
    let touched = gpu_there.sim.map(|sim| sim.calls("cuStreamDestroy"));
    passes(point);
    assert_eq!(gpu_there.sim.map(|sim| sim.calls("cuStreamDestroy")), touched);
    // Nothing open: nothing recorded.
    let own = foreign(0);
    let handle = import(0, own).unwrap();
    if let Some(sim) = gpu_there.sim {
        assert_eq!(sim.calls_of("cuEventRecord", || release(handle)).0, 0);
    } else {
        release(handle);
    }
    destroy(0, own);
    assert_eq!(tn_stream_release(LEGACY), TN_ERR_KIND);
    let mut none = 0;
    // SAFETY: the number is ours.
    assert_eq!(unsafe { tn_stream_native(CURRENT, &mut none) }, TN_ERR_KIND);
    if gpu_there.has_two() {
        let other = foreign(1);
        assert_eq!(import(0, other).unwrap_err(), TN_ERR_DEVICE);
        destroy(1, other);
    }
}

#[test]
fn pd_8_open_work_of_a_destroyed_stream_is_pending_until_a_device_wait() {
    let gpu_there = device();
    gpu_there.simulated();
    let own = foreign(0);
    let handle = import(0, own).unwrap();
    // A point without an event, as in a graph capture.
    let point = stream_ref(handle, 0).stream().now();
    destroy(0, own);
    // The simulator ends the process if the library touches the stream.
    assert!(!point.poll(), "no guess");
    assert_eq!(point.wait().unwrap_err().code(), TN_ERR_DRIVER);
    release(handle);
    assert!(!point.poll() && !point.is_passed());
    assert_eq!(point.wait().unwrap_err().code(), TN_ERR_DRIVER);
    assert_eq!(tn_device_synchronize(gpu(0)), TN_OK);
    assert!(point.is_passed());
    point.wait().unwrap();
}

#[test]
fn st_6_synchronizing_waits_for_one_stream() {
    let gpu_there = device();
    let (a, b) = (create(0, 0), create(0, 0));
    let (x, y) = (Memory::new(0, 4096), Memory::new(0, 4096));
    let stall = gpu_there.stall(native(b));
    y.fill(2, native(b));
    let open = stream_ref(b, 0).stream().record_point().unwrap();
    x.fill(1, native(a));
    let own = stream_ref(a, 0).stream().now();
    assert_eq!(tn_stream_synchronize(a), TN_OK);
    assert!(own.is_passed(), "no driver call is needed afterwards");
    assert!(!open.is_passed() && !open.poll());
    drop(stall);
    assert_eq!(tn_stream_synchronize(b), TN_OK);
    assert!(open.is_passed());
    for constant in [LEGACY, PER_THREAD, CURRENT] {
        assert_eq!(tn_stream_synchronize(constant), TN_OK);
    }
    assert_eq!(tn_stream_synchronize(null_mut()), TN_ERR_NULL);
    release(a);
    release(b);
    assert_eq!(tn_stream_synchronize(a), TN_ERR_STALE);
}

#[test]
fn st_6_an_asynchronous_error_comes_out() {
    require_simulator();
    alone("st_6_an_asynchronous_error_comes_out", &[], || {
        let sim = simulator().unwrap();
        let stream = create(0, 0);
        let memory = Memory::new(0, 4096);
        let point = stream_ref(stream, 0).stream().now();
        sim.fail("*work", 1, 1, 719);
        memory.fill(1, native(stream));
        assert_eq!(tn_stream_synchronize(stream), TN_ERR_DRIVER);
        assert!(last_error().contains("(719)"), "{}", last_error());
        assert!(point.is_passed(), "nothing runs on a lost device any more");
        release(stream);
    });
}

#[test]
fn st_7_scopes_nest_and_belong_to_their_thread() {
    let gpu_there = device();
    // SAFETY: the pointers are ours.
    let enter = |stream, flags| out(|out| unsafe { tn_stream_enter(gpu(0), stream, flags, out) });
    let (a, b) = (create(0, 0), create(0, 0));
    let outer = enter(a, 0).unwrap();
    assert_eq!(current(0), native(a));
    let inner = enter(b, TN_AUTO_SYNCHRONIZE).unwrap();
    assert_eq!(current(0), native(b));
    assert_eq!(tn_stream_leave(outer), TN_ERR_INVALID);
    let (inner_bits, last) = (inner as usize, inner);
    let elsewhere = std::thread::spawn(move || tn_stream_leave(inner_bits as *mut tn_stream_scope)).join().unwrap();
    assert_eq!((elsewhere, current(0)), (TN_ERR_INVALID, native(b)));
    // Whatever was set meanwhile; the call waits for the scope's stream, not that one.
    assert_eq!(tn_stream_set_current(gpu(0), LEGACY), TN_OK);
    let memory = Memory::new(0, 4096);
    memory.fill(3, native(b));
    let point = stream_ref(b, 0).stream().now();
    assert_eq!(tn_stream_leave(inner), TN_OK);
    assert!(point.is_passed());
    assert_eq!(current(0), native(a));
    assert_eq!(tn_stream_leave(last), TN_ERR_STALE);
    // The stream lives as long as a scope has it.
    let a_native = native(a);
    release(a);
    let (again, same) = (enter(CURRENT, 0).unwrap(), current(0));
    assert_eq!((same, tn_stream_leave(again)), (a_native, TN_OK));
    assert_eq!(tn_stream_leave(outer), TN_OK);
    assert_eq!(current(0), 1);
    // Kinds.
    // SAFETY: the pointers are ours; no parameters.
    let callee = out(|scope| unsafe { tn_enter(0, std::ptr::null(), null_mut(), scope) }).unwrap();
    assert_eq!(tn_stream_leave(callee.cast()), TN_ERR_KIND);
    let scope = enter(b, 0).unwrap();
    // SAFETY: nothing is kept.
    assert_eq!(unsafe { tn_leave(scope.cast(), 0, std::ptr::null()) }, TN_ERR_KIND);
    // SAFETY: as above.
    assert_eq!((unsafe { tn_leave(callee, 0, std::ptr::null()) }, tn_stream_leave(scope)), (TN_OK, TN_OK));
    assert_eq!(enter(b, 2).unwrap_err(), TN_ERR_INVALID);
    assert_eq!(enter(null_mut(), 0).unwrap_err(), TN_ERR_NULL);
    if gpu_there.has_two() {
        let other = create(1, 0);
        assert_eq!(enter(other, 0).unwrap_err(), TN_ERR_DEVICE);
        release(other);
    }
    // The wait fails; the scope is left all the same.
    if let Some(sim) = gpu_there.sim {
        let scope = enter(b, TN_AUTO_SYNCHRONIZE).unwrap();
        sim.fail("cuStreamSynchronize", 1, 1, 1);
        assert_eq!((tn_stream_leave(scope), tn_stream_leave(scope)), (TN_ERR_DRIVER, TN_ERR_STALE));
        assert_eq!(current(0), 1);
    }
    // A thread that ends inside scopes leaves them.
    let b_bits = b as usize;
    let left = std::thread::spawn(move || {
        // SAFETY: the pointers are ours.
        let enter = |stream| out(|out| unsafe { tn_stream_enter(gpu(0), stream, 0, out) });
        enter(b_bits as *mut tn_stream).unwrap();
        enter(PER_THREAD).unwrap() as usize
    });
    assert_eq!(tn_stream_leave(left.join().unwrap() as *mut tn_stream_scope), TN_ERR_STALE);
    release(b);
}

#[test]
fn st_8_a_stream_is_released_with_work_under_way() {
    let gpu_there = device();
    let memory = Memory::new(0, 1 << 16);
    let stream = create(0, 0);
    let name = native(stream);
    let stall = gpu_there.stall(name);
    memory.fill(9, name);
    let point = stream_ref(stream, 0).stream().now();
    if let Some(sim) = gpu_there.sim {
        let (synchronizes, ()) = sim.calls_of("cuStreamSynchronize", || release(stream));
        assert_eq!(synchronizes, 0);
        // The reference goes with the stream's released handle; its work must go on.
        sim.release_all();
        std::mem::forget(stall);
    } else {
        release(stream);
        drop(stall);
    }
    passes(point);
    assert!(memory.read(1).iter().all(|byte| *byte == 9));
}

#[test]
fn st_11_events() {
    let gpu_there = device();
    let (s, t) = (create(0, 0), create(0, 0));
    let e = event(0, 0);
    assert!(is_done(e), "never recorded");
    assert_eq!((tn_event_synchronize(e), tn_stream_wait_event(t, e)), (TN_OK, TN_OK));
    let (x, y) = (Memory::new(0, 4096), Memory::new(0, 4096));
    let stall = gpu_there.stall(native(s));
    x.fill(1, native(s));
    assert_eq!(tn_event_record(e, s), TN_OK);
    assert!(!is_done(e));
    assert_eq!(tn_stream_wait_event(t, e), TN_OK, "returns at once");
    y.fill(2, native(t));
    let after = stream_ref(t, 0).stream().record_point().unwrap();
    assert!(!after.poll(), "t waits for s");
    // Recorded again elsewhere: earlier waits keep the old point.
    assert_eq!(tn_event_record(e, LEGACY), TN_OK);
    assert_eq!(tn_event_synchronize(e), TN_OK);
    assert!(is_done(e) && !after.poll());
    drop(stall);
    after.wait().unwrap();
    assert_eq!(tn_event_synchronize(e), TN_OK);
    // A wait for a point does not wait for work that was queued after the point.
    assert_eq!(tn_event_record(e, s), TN_OK);
    assert_eq!(tn_event_synchronize(e), TN_OK);
    let stall = gpu_there.stall(native(s));
    x.fill(3, native(s));
    assert_eq!(tn_stream_wait_event(t, e), TN_OK);
    y.fill(4, native(t));
    assert_eq!(tn_stream_synchronize(t), TN_OK);
    drop(stall);
    assert_eq!(tn_event_record(e, null_mut()), TN_ERR_NULL);
    assert_eq!(tn_event_record(s.cast(), s), TN_ERR_KIND);
    assert_eq!(tn_event_record(e, e.cast()), TN_ERR_KIND);
    let mut untouched = null_mut();
    // SAFETY: the pointer is ours.
    assert_eq!(unsafe { tn_event_create(gpu(0), 4, &mut untouched) }, TN_ERR_INVALID);
    assert_eq!((tn_event_release(e), tn_event_release(e)), (TN_OK, TN_ERR_STALE));
    release(s);
    release(t);
}

#[test]
fn st_12_elapsed_time() {
    let gpu_there = device();
    let s = create(0, 0);
    let memory = Memory::new(0, 1 << 20);
    let (plain, a, b) = (event(0, 0), event(0, TN_EVENT_TIMING), event(0, TN_EVENT_TIMING));
    assert_eq!(elapsed(a, b), Err(TN_ERR_INVALID), "not recorded");
    assert_eq!(tn_event_record(plain, s), TN_OK);
    assert_eq!(tn_event_record(a, s), TN_OK);
    assert_eq!(elapsed(a, plain), Err(TN_ERR_INVALID), "no timing");
    (0..50).for_each(|value| memory.fill(value, native(s)));
    let stall = gpu_there.stall(native(s));
    memory.fill(1, native(s));
    assert_eq!(tn_event_record(b, s), TN_OK);
    assert_eq!(elapsed(a, b), Err(TN_ERR_PENDING));
    drop(stall);
    assert_eq!(tn_event_synchronize(b), TN_OK);
    let ns = elapsed(a, b).unwrap();
    assert!(ns >= 0 && elapsed(b, a).unwrap() == -ns && elapsed(a, a) == Ok(0), "{ns}");
    if gpu_there.has_two() {
        let other = event(1, TN_EVENT_TIMING);
        assert_eq!(tn_event_record(other, LEGACY), TN_OK);
        assert_eq!(elapsed(a, other), Err(TN_ERR_DEVICE));
        assert_eq!(tn_event_release(other), TN_OK);
    }
    for event in [plain, a, b] {
        assert_eq!(tn_event_release(event), TN_OK);
    }
    release(s);
}

#[test]
fn st_13_events_across_devices() {
    let gpu_there = device();
    gpu_there.require_two();
    let (s, t) = (create(0, 0), create(1, 0));
    let e = event(0, 0);
    let (x, y) = (Memory::new(0, 4096), Memory::new(1, 4096));
    assert_eq!(tn_event_record(e, t), TN_ERR_DEVICE);
    let stall = gpu_there.stall(native(s));
    x.fill(1, native(s));
    assert_eq!(tn_event_record(e, s), TN_OK);
    assert_eq!(tn_stream_wait_event(t, e), TN_OK);
    y.fill(2, native(t));
    let after = stream_ref(t, 1).stream().record_point().unwrap();
    assert!(!after.poll());
    drop(stall);
    assert_eq!(tn_stream_synchronize(t), TN_OK);
    assert!(is_done(e) && after.is_passed());
    assert_eq!(tn_event_release(e), TN_OK);
    release(s);
    release(t);
}

#[test]
fn st_14_waiting_for_a_device() {
    let gpu_there = device();
    let (a, b) = (create(0, 0), create(0, 0));
    let memory = Memory::new(0, 4096);
    let points: Vec<Point> = [a, b]
        .map(|stream| {
            memory.fill(1, native(stream));
            stream_ref(stream, 0).stream().now()
        })
        .into();
    assert_eq!(tn_device_synchronize(gpu(0)), TN_OK);
    assert!(points.iter().all(|point| point.is_passed()));
    assert_eq!(tn_device_synchronize(tn_device { r#type: TN_CPU, id: 0 }), TN_OK);
    assert_eq!(tn_device_synchronize(tn_device { r#type: TN_CUDA_HOST, id: 0 }), TN_OK);
    release(a);
    release(b);
    drop(gpu_there);
}

#[test]
fn st_15_after_a_fork() {
    drop(device());
    alone("st_15_after_a_fork", &[], || {
        let (stream, e) = (create(0, 0), event(0, 0));
        let point = stream_ref(stream, 0).stream().now();
        assert_eq!(tn_event_record(e, PER_THREAD), TN_OK);
        // SAFETY: the child calls the library, which is made for it, and ends.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let in_child = || {
                let calls = simulator().map(|sim| sim.calls(""));
                let (mut count, mut done) = (0, 0);
                let mut refused = vec![
                    tn_stream_synchronize(stream),
                    tn_stream_synchronize(LEGACY),
                    tn_stream_set_current(gpu(0), stream),
                    tn_event_record(e, stream),
                    tn_stream_wait_event(stream, e),
                    tn_event_synchronize(e),
                    tn_device_synchronize(gpu(0)),
                ];
                let mut native = 0;
                // SAFETY: the places are ours.
                unsafe {
                    refused.push(tn_event_query(e, &mut done));
                    refused.push(tn_stream_native(stream, &mut native));
                    refused.push(tn_device_count(TN_CUDA, &mut count));
                }
                assert!(refused.iter().all(|status| *status == TN_ERR_DEVICE), "{refused:?}");
                assert!(last_error().contains("fork"), "{}", last_error());
                assert!(!point.poll());
                assert_eq!((tn_stream_release(stream), tn_event_release(e)), (TN_OK, TN_OK));
                assert_eq!(simulator().map(|sim| sim.calls("")), calls, "the driver is not called");
                // SAFETY: the place is ours.
                assert_eq!(unsafe { tn_device_count(TN_CPU, &mut count) }, TN_OK);
            };
            let fine = std::panic::catch_unwind(std::panic::AssertUnwindSafe(in_child)).is_ok();
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(!fine as i32) };
        }
        let mut status = 0;
        // SAFETY: our child, and the number is ours.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!(status, 0, "the child's assertions hold");
        assert_eq!(tn_stream_synchronize(stream), TN_OK);
        passes(point);
        assert_eq!(tn_event_release(e), TN_OK);
        release(stream);
    });
}

/// The order that is known without the driver: one stream, passed points, earlier waits, the legacy stream beside
/// blocking ones.
#[test]
fn pd_2_pd_9_the_order_that_is_known() {
    let gpu_there = device();
    let handles = [create(0, 0), create(0, 0), create(0, TN_STREAM_BLOCKING), create(0, TN_STREAM_BLOCKING)];
    let [free, other, blocking, second] = handles.map(|handle| stream_ref(handle, 0));
    let (free, other, blocking, second) = (free.stream(), other.stream(), blocking.stream(), second.stream());
    let legacy = StreamArg::Legacy.on(gpu(0)).unwrap().unwrap();
    let own = StreamArg::PerThread.on(gpu(0)).unwrap().unwrap();
    let memory: Vec<_> = handles.iter().map(|_| Memory::new(0, 256)).collect();
    let stalls: Vec<_> = handles.iter().map(|handle| gpu_there.stall(native(*handle))).collect();
    handles.iter().zip(&memory).for_each(|(handle, memory)| memory.fill(1, native(*handle)));
    let no_calls = gpu_there.sim.map(|sim| sim.calls(""));
    let points = [free, other, blocking, second].map(Stream::now);
    assert!(free.follows(points[0]) && !free.follows(points[1]) && !blocking.follows(points[3]));
    assert!(legacy.follows(points[2]) && legacy.follows(points[3]) && !legacy.follows(points[0]));
    assert!(blocking.follows(legacy.now()) && own.follows(legacy.now()) && legacy.follows(own.now()));
    assert!(!free.follows(legacy.now()) && !own.follows(points[2]));
    assert_eq!(gpu_there.sim.map(|sim| sim.calls("")), no_calls, "the driver was not called");
    // Waited for on the device.
    free.wait_for(points[1]).unwrap();
    assert!(free.follows(points[1]) && !other.follows(points[0]));
    if let Some(sim) = gpu_there.sim {
        assert_eq!(sim.calls_of("", || free.wait_for(points[1]).unwrap()).0, 0, "known already");
        assert_eq!(sim.calls_of("", || legacy.wait_for(points[2]).unwrap()).0, 0);
    }
    drop(stalls);
    points.iter().for_each(|point| passes(*point));
    assert!(second.follows(points[0]) && other.follows(points[0]));
    handles.into_iter().for_each(release);
}

/// TR-21, BR-63: which device a stream argument is for.
#[test]
fn tr_21_a_stream_means_its_device() {
    let gpu_there = device();
    let stream = create(0, 0);
    let host = tn_device { r#type: TN_CPU, id: 0 };
    let on = |bits: u64, device| {
        StreamArg::of(bits).unwrap().on(device).map(|stream| stream.map(Stream::native)).map_err(|status| status.code())
    };
    for constant in 0..=3 {
        assert_eq!(on(constant, host), Ok(None));
    }
    assert_eq!(
        (on(0, gpu(0)), on(1, gpu(0)), on(2, gpu(0)), on(3, gpu(0))),
        (Ok(None), Ok(Some(1)), Ok(Some(2)), Ok(Some(1)))
    );
    assert_eq!(on(stream as u64, host), Err(TN_ERR_DEVICE));
    assert_eq!(on(stream as u64, gpu(0)), Ok(Some(native(stream))));
    for shared in [TN_CUDA_HOST, TN_CUDA_MANAGED] {
        assert_eq!(on(stream as u64, tn_device { r#type: shared, id: 0 }), Ok(Some(native(stream))));
    }
    if gpu_there.has_two() {
        assert_eq!(on(stream as u64, gpu(1)), Err(TN_ERR_DEVICE));
        assert_eq!(on(1, gpu(1)), Ok(Some(1)));
    }
    assert_eq!(StreamArg::of(0x0100_0000_0000_0001).unwrap_err().code(), TN_ERR_STALE);
    assert_eq!(StreamArg::of(4096).unwrap_err().code(), TN_ERR_KIND);
    release(stream);
}

/// ST-4: a stream of a green context belongs to the primary context.
#[test]
fn st_4_a_stream_of_a_green_context_is_taken() {
    let gpu_there = device();
    let sim = gpu_there.simulated();
    sim.set("green", 1);
    let own = foreign(0);
    sim.set("green", 0);
    let handle = import(0, own).unwrap_or_else(|status| panic!("{status}: {}", last_error()));
    let memory = Memory::new(0, 4096);
    memory.fill(7, own);
    assert_eq!(tn_stream_synchronize(handle), TN_OK);
    release(handle);
    destroy(0, own);
}

/// ST-6, ST-11: with the option "stream.wait" = block, threads that wait sleep.
#[test]
fn st_6_waits_block_by_an_option() {
    require_simulator();
    alone("st_6_waits_block_by_an_option", &[], || {
        let sim = device().simulated();
        let set_option = |value: &std::ffi::CStr| {
            // SAFETY: texts.
            unsafe { tn_option_set(c"stream.wait".as_ptr(), value.as_ptr()) }
        };
        let (s, e) = (create(0, 0), event(0, 0));
        let wait = || {
            assert_eq!(tn_event_record(e, s), TN_OK);
            assert_eq!((tn_stream_synchronize(s), tn_event_synchronize(e)), (TN_OK, TN_OK));
        };
        assert_eq!((sim.calls_of("cuStreamSynchronize", wait).0, sim.get("blocking_events")), (1, 0));
        assert_eq!((set_option(c"sleep"), set_option(c"block")), (TN_ERR_INVALID, TN_OK));
        assert_eq!(sim.calls_of("cuStreamSynchronize", wait).0, 0);
        assert!(sim.get("blocking_events") > 0);
        let events = sim.get("events");
        (0..20).for_each(|_| wait());
        assert_eq!(sim.get("events"), events, "reused");
        assert_eq!(set_option(c"spin"), TN_OK);
        assert_eq!(sim.calls_of("cuStreamSynchronize", wait).0, 1);
        assert_eq!(tn_event_release(e), TN_OK);
        release(s);
    });
}

/// PD-15: no call of the library breaks another thread's capture in global mode: creating, waiting for and releasing
/// streams, events, and copies of pageable memory.
#[test]
fn pd_15_calls_of_other_threads_break_no_capture() {
    let _gpu = device();
    let s = create(0, 0);
    let captured = native(s);
    const GLOBAL: u32 = 0;
    assert_eq!(with_context(0, || driver_call!(cuStreamBeginCapture_v2(captured => u64, GLOBAL => u32))), 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (t, e) = (create(0, 0), event(0, TN_EVENT_TIMING));
            assert_eq!((tn_event_record(e, t), tn_stream_synchronize(t)), (TN_OK, TN_OK));
            assert!(is_done(e));
            assert_eq!(tn_event_synchronize(e), TN_OK);
            // A wait for the whole device would break the capture, and is refused.
            assert_eq!(tn_device_synchronize(gpu(0)), TN_ERR_UNSUPPORTED);
            assert_eq!(tn_event_release(e), TN_OK);
            release(t);
        });
    });
    let mut graph = 0u64;
    let ended = with_context(0, || driver_call!(cuStreamEndCapture(captured => u64, &mut graph => *mut u64)));
    assert!(ended == 0 && graph != 0, "the capture is sound: {ended}");
    assert_eq!(with_context(0, || driver_call!(cuGraphDestroy(graph => u64))), 0);
    release(s);
}

/// PD-15: a capture goes on, whatever the library asks of its stream.
#[test]
fn pd_15_a_capture_is_not_disturbed() {
    let _gpu = device();
    let (s, t) = (create(0, 0), create(0, 0));
    let memory = Memory::new(0, 4096);
    let e = event(0, 0);
    let held = stream_ref(s, 0);
    let captured = native(s);
    const GLOBAL: u32 = 0;
    assert_eq!(with_context(0, || driver_call!(cuStreamBeginCapture_v2(captured => u64, GLOBAL => u32))), 0);
    assert!(held.stream().is_capturing().unwrap());
    memory.fill(1, captured);
    let point = held.stream().now();
    assert!(!point.poll());
    assert_eq!(tn_event_record(e, s), TN_ERR_UNSUPPORTED);
    assert_eq!(tn_stream_synchronize(s), TN_ERR_UNSUPPORTED);
    assert_eq!(stream_ref(t, 0).stream().wait_for(point).unwrap_err().code(), TN_ERR_UNSUPPORTED);
    // Another stream, and from another thread, which otherwise breaks a capture in global mode.
    let t_bits = t as usize;
    std::thread::spawn(move || passes(stream_ref(t_bits as *mut tn_stream, 0).stream().record_point().unwrap()))
        .join()
        .unwrap();
    let mut graph = null_mut::<c_void>();
    let ended = with_context(0, || driver_call!(cuStreamEndCapture(captured => u64, &mut graph => *mut *mut c_void)));
    assert!(ended == 0 && !graph.is_null(), "the capture is whole: {ended}");
    assert_eq!(driver_call!(cuGraphDestroy(graph => *mut c_void)), 0);
    assert!(!held.stream().is_capturing().unwrap());
    passes(point);
    assert_eq!(tn_event_record(e, s), TN_OK);
    drop(held);
    assert_eq!(tn_event_release(e), TN_OK);
    release(s);
    release(t);
}

/// The per-thread stream of another thread cannot be named here. Its work is tracked all the same, also after the
/// thread has ended.
#[test]
fn points_of_another_threads_own_stream() {
    let _gpu = device();
    let memory = Memory::new(0, 4096);
    let (tell, told) = std::sync::mpsc::channel();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let memory = &memory;
        let owner = scope.spawn(move || {
            let own = StreamArg::PerThread.on(gpu(0)).unwrap().unwrap();
            memory.fill(5, 2);
            tell.send(own.now()).unwrap();
            ended.recv().unwrap();
            memory.fill(6, 2);
            own.now()
        });
        let point: Point = told.recv().unwrap();
        let here = create(0, 0);
        stream_ref(here, 0).stream().wait_for(point).unwrap();
        assert!(memory.read(native(here)).iter().all(|byte| *byte == 5));
        passes(point);
        end.send(()).unwrap();
        let last = owner.join().unwrap();
        passes(last);
        last.wait().unwrap();
        release(here);
    });
    assert!(memory.read(1).iter().all(|byte| *byte == 6));
}

/// Threads mark, poll and wait for one stream at the same time. Events are reused, and points of released streams stay
/// valid.
#[test]
fn streams_and_events_are_used_again() {
    let gpu_there = device();
    let shared = create(0, 0);
    let bits = shared as usize;
    let rounds = if gpu_there.sim.is_some() { 60 } else { 400 };
    let work = |thread: usize| {
        let shared = stream_ref(bits as *mut tn_stream, 0);
        let mut old = Vec::new();
        for round in 0..rounds {
            let point = shared.stream().record_point().unwrap();
            let stream = create(0, 0);
            let own = stream_ref(stream, 0);
            own.stream().wait_for(point).unwrap();
            let later = own.stream().now();
            drop(own);
            release(stream);
            if (round + thread).is_multiple_of(3) {
                point.wait().unwrap();
            }
            old.push(later);
        }
        old
    };
    let old: Vec<Point> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|thread| scope.spawn(move || work(thread))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    old.iter().for_each(|point| passes(*point));
    assert_eq!(tn_device_synchronize(gpu(0)), TN_OK);
    assert!(old.iter().all(|point| point.is_passed()), "passed points stay passed");
    if let Some(sim) = gpu_there.sim {
        let before = sim.get("events");
        work(0);
        assert_eq!(tn_device_synchronize(gpu(0)), TN_OK);
        work(0);
        let grown = sim.get("events") - before;
        assert!(grown <= 2 * rounds as u64, "{grown} more events");
    }
    release(shared);
}

/// Driver calls in steady state, if the thread has no current context: entering and leaving a GPU takes six. Two each
/// are for the context and the capture mode, and one each asks which context is current and whether it was reset.
#[test]
fn driver_calls_of_streams_and_events() {
    let gpu_there = device();
    let sim = gpu_there.simulated();
    const ENTER: u64 = 6;
    let (s, t, e) = (create(0, 0), create(0, 0), event(0, 0));
    let memory = Memory::new(0, 256);
    // As many events as are in use at a time.
    for _ in 0..40 {
        assert_eq!(tn_event_record(e, s), TN_OK);
        assert_eq!(tn_event_synchronize(e), TN_OK);
    }
    let calls = |work: &dyn Fn()| sim.calls_of("", work).0;
    let stall = gpu_there.stall(native(s));
    memory.fill(1, native(s));
    assert_eq!(calls(&|| assert_eq!(tn_event_record(e, s), TN_OK)), ENTER + 2, "is it capturing, record");
    assert_eq!(calls(&|| assert_eq!(tn_stream_wait_event(t, e), TN_OK)), ENTER + 2, "is it capturing, wait");
    assert_eq!(calls(&|| assert_eq!(tn_stream_wait_event(t, e), TN_OK)), 0, "known");
    assert_eq!(calls(&|| assert_eq!(tn_stream_wait_event(s, e), TN_OK)), 0, "the same stream");
    assert_eq!(calls(&|| assert!(!is_done(e))), ENTER + 1, "query");
    drop(stall);
    assert_eq!(tn_event_synchronize(e), TN_OK);
    let held = stream_ref(s, 0);
    let nothing = || {
        assert!(is_done(e));
        assert_eq!((tn_event_synchronize(e), tn_stream_wait_event(t, e)), (TN_OK, TN_OK));
        assert!(held.stream().follows(held.stream().now()));
        assert_eq!(tn_stream_set_current(gpu(0), s), TN_OK);
        assert_eq!((current(0), tn_stream_set_current(gpu(0), null_mut())), (native(s), TN_OK));
    };
    assert_eq!(calls(&nothing), 0);
    drop(held);
    assert_eq!(tn_event_release(e), TN_OK);
    release(s);
    release(t);
}
