//! Devices by the CUDA driver: DV rows, and the library without a driver (PN-13). On the simulator or a GPU; see
//! support/cuda.rs.

use crate::driver_call;
use crate::support;
use std::ffi::{CStr, c_void};
use std::ptr::null_mut;
use support::cuda::{NO_DRIVER, alone, device, last_error, require_simulator, simulator, with_context};
use tenure::ffi::device::*;
use tenure::ffi::stream::*;
use tenure::types::*;
use tenure_harness::test;

fn gpu(id: i32) -> tn_device {
    tn_device { r#type: TN_CUDA, id }
}
const HOST: tn_device = tn_device { r#type: TN_CPU, id: 0 };
const PINNED: tn_device = tn_device { r#type: TN_CUDA_HOST, id: 0 };
const MANAGED: tn_device = tn_device { r#type: TN_CUDA_MANAGED, id: 0 };

fn count(kind: tn_device_type) -> Result<usize, tn_status> {
    let mut count = 77;
    // SAFETY: the number is ours.
    match unsafe { tn_device_count(kind, &mut count) } {
        TN_OK => Ok(count),
        status => {
            assert_eq!(count, 77, "untouched");
            Err(status)
        }
    }
}

fn query(device: tn_device, flags: u32) -> Result<tn_device_info, tn_status> {
    let mut info = tenure::device::NO_INFO;
    // SAFETY: the struct is ours, and says its size.
    match unsafe { tn_device_query(device, flags, &mut info) } {
        TN_OK => Ok(info),
        status => Err(status),
    }
}

fn text(letters: &[std::ffi::c_char]) -> String {
    assert_eq!(letters.last(), Some(&0));
    // SAFETY: ends with 0.
    unsafe { CStr::from_ptr(letters.as_ptr()) }.to_str().unwrap().to_owned()
}

fn create(device: tn_device) -> Result<*mut tn_stream, tn_status> {
    let mut stream = null_mut();
    // SAFETY: the pointer is ours.
    match unsafe { tn_stream_create(device, 0, 0, &mut stream) } {
        TN_OK => Ok(stream),
        status => Err(status),
    }
}

/// PN-13, DV-1: everything that needs a driver returns a status and a message; everything else works.
#[test]
fn pn_13_dv_1_without_a_driver() {
    alone("pn_13_dv_1_without_a_driver", &[NO_DRIVER], || {
        assert_eq!((count(TN_CPU), count(TN_CUDA_HOST), count(TN_CUDA_MANAGED)), (Ok(1), Ok(0), Ok(0)));
        assert_eq!(count(99), Err(TN_ERR_DEVICE));
        for device in [gpu(0), PINNED, MANAGED] {
            assert_eq!(query(device, 0).unwrap_err(), TN_ERR_UNSUPPORTED);
            assert!(last_error().contains("libcuda.so.1"), "{}", last_error());
            assert_eq!(tn_device_synchronize(device), TN_ERR_UNSUPPORTED);
        }
        assert_eq!(tn_device_synchronize(HOST), TN_OK);
        assert_eq!(query(gpu(-1), 0).unwrap_err(), TN_ERR_DEVICE);
        let (mut stream, mut event, mut scope) = (null_mut(), null_mut(), null_mut());
        let legacy = std::ptr::without_provenance_mut(1);
        // SAFETY: the pointers are ours; constants are no pointers to the library.
        unsafe {
            assert_eq!(tn_stream_create(gpu(0), 0, 0, &mut stream), TN_ERR_UNSUPPORTED);
            assert_eq!(tn_stream_import(gpu(0), 0, &mut stream), TN_ERR_UNSUPPORTED);
            assert_eq!(tn_stream_current(gpu(0), &mut stream), TN_ERR_UNSUPPORTED);
            assert_eq!(tn_stream_enter(gpu(0), legacy, 0, &mut scope), TN_ERR_UNSUPPORTED);
            assert_eq!(tn_event_create(gpu(0), 0, &mut event), TN_ERR_UNSUPPORTED);
            assert_eq!(tn_stream_create(HOST, 0, 0, &mut stream), TN_ERR_DEVICE);
            assert_eq!(tn_stream_create(gpu(0), 8, 0, &mut stream), TN_ERR_INVALID);
            assert_eq!(tn_stream_create(gpu(0), 0, 0, null_mut()), TN_ERR_NULL);
            let mut native = 0;
            assert_eq!((tn_stream_native(legacy, &mut native), native), (TN_OK, 1));
        }
        assert_eq!(tn_stream_set_current(gpu(0), null_mut()), TN_ERR_UNSUPPORTED);
        assert_eq!(tn_stream_synchronize(legacy), TN_ERR_UNSUPPORTED);
        assert_eq!(tn_stream_release(legacy), TN_ERR_KIND);
        assert!(stream.is_null() && event.is_null() && scope.is_null());
        assert_eq!(tenure::cuda_driver::starts(), 0);
    });
}

/// DV-1: a driver without devices is no error.
#[test]
fn dv_1_no_device() {
    require_simulator();
    alone("dv_1_no_device", &[("TENURE_SIM_DEVICES", "0")], || {
        assert_eq!((count(TN_CUDA), count(TN_CUDA_HOST), count(TN_CUDA_MANAGED)), (Ok(0), Ok(0), Ok(0)));
        assert_eq!(create(gpu(0)).unwrap_err(), TN_ERR_DEVICE);
        assert_eq!(query(PINNED, 0).unwrap_err(), TN_ERR_DEVICE);
    });
}

/// DV-1, DV-5: a system that is not ready yet, or an MPS server, is tried again by the next call. The message says what
/// the code means.
#[test]
fn dv_5_a_failure_that_passes_is_tried_again() {
    let said = [
        (802, "fabric manager"),
        (803, "different versions"),
        (804, "compatibility package"),
        (805, "MPS server"),
        (807, "MPS server"),
        (809, "connections"),
    ];
    let sim = require_simulator();
    alone("dv_5_a_failure_that_passes_is_tried_again", &[], || {
        for (code, part) in said {
            sim.fail("cuInit", 1, 2, code);
            for _ in 0..2 {
                assert_eq!(count(TN_CUDA), Err(TN_ERR_DRIVER));
                assert!(last_error().contains(&format!("({code})")) && last_error().contains(part), "{}", last_error());
            }
        }
        assert!(count(TN_CUDA).unwrap() > 0, "at last it is ready");
    });
}

/// PN-1: page-locked and managed memory, and what the program locks, make no context on a GPU that the program does not
/// use.
#[test]
fn pn_1_memory_of_the_host_uses_a_gpu_in_use() {
    /// How the program uses GPU 1 before.
    const USES: [&str; 3] = ["its context is current", "the library has it", "another library has it"];
    const CASE: &str = "TENURE_TEST_CASE";
    require_simulator();
    for case in ["0", "1", "2"] {
        alone("pn_1_memory_of_the_host_uses_a_gpu_in_use", &[(CASE, case)], || {
            let at: usize = std::env::var(CASE).unwrap().parse().unwrap();
            let by = USES[at];
            let gpu_there = device();
            gpu_there.require_two();
            let is_active = |id: i32| {
                let (mut flags, mut active) = (0u32, 0i32);
                driver_call!(cuDevicePrimaryCtxGetState(id => i32, &mut flags => *mut u32, &mut active => *mut i32));
                active != 0
            };
            let mut context = null_mut::<c_void>();
            match at {
                1 => assert_eq!(tn_stream_release(create(gpu(1)).unwrap()), TN_OK),
                _ => {
                    assert_eq!(driver_call!(cuDevicePrimaryCtxRetain(&mut context => *mut *mut c_void, 1 => i32)), 0);
                    let current = if at == 0 { context } else { null_mut() };
                    assert_eq!(driver_call!(cuCtxSetCurrent(current => *mut c_void)), 0);
                }
            }
            let mut memory = vec![0u8; 1 << 16];
            let mut arrays = [null_mut(); 3];
            for (out, device) in arrays.iter_mut().zip([PINNED, MANAGED]) {
                let mut pool = null_mut();
                // SAFETY: the pointers are ours.
                unsafe {
                    assert_eq!(tenure::ffi::pool::tn_pool_default(device, &mut pool), TN_OK);
                    assert_eq!(
                        tenure::ffi::array::tn_array_zeros(pool, TN_F64, 1, &1000, std::ptr::null(), out),
                        TN_OK,
                        "{}",
                        last_error()
                    );
                }
                assert_eq!(tenure::ffi::pool::tn_pool_release(pool), TN_OK);
            }
            let at_memory = memory.as_mut_ptr().cast::<c_void>();
            // SAFETY: memory of ours, which lives on.
            let locked = unsafe { tenure::ffi::transfer::tn_host_register(at_memory, memory.len(), 0, &mut arrays[2]) };
            assert_eq!(locked, TN_OK, "{}", last_error());
            assert_eq!((is_active(0), is_active(1)), (false, true), "{by}");
            for array in arrays {
                assert_eq!(tenure::ffi::array::tn_array_release(array), TN_OK);
            }
            assert_eq!((is_active(0), is_active(1)), (false, true), "{by}");
        });
        if std::env::var_os(CASE).is_some() {
            return;
        }
    }
}

/// DV-1, DV-5: the result of the start is remembered.
#[test]
fn dv_1_a_broken_installation() {
    let sim = require_simulator();
    alone("dv_1_a_broken_installation", &[], || {
        sim.fail("cuInit", 1, 1, 999);
        for _ in 0..3 {
            assert_eq!(count(TN_CUDA), Err(TN_ERR_DRIVER));
            assert!(last_error().contains("CUDA_ERROR_UNKNOWN (999)"), "{}", last_error());
            assert_eq!(create(gpu(0)).unwrap_err(), TN_ERR_DRIVER);
        }
        assert_eq!((count(TN_CPU), sim.calls("cuInit")), (Ok(1), 1));
    });
}

/// DV-2: all of it, without making a context.
#[test]
fn dv_2_properties_of_a_gpu() {
    drop(device());
    alone("dv_2_properties_of_a_gpu", &[], || {
        let gpu_there = device();
        let info = query(gpu(0), 0).unwrap();
        println!("{} {} {}", text(&info.name), text(&info.pci_bus_id), info.driver_version);
        assert!(!text(&info.name).is_empty() && info.uuid != [0; 16]);
        let bus = text(&info.pci_bus_id);
        assert!(
            bus.len() == 12 && bus.is_char_boundary(10) && &bus[10..11] == "." && bus == bus.to_lowercase(),
            "{bus}"
        );
        assert!(info.compute_major >= 5 && info.driver_version >= 11000 && info.warp_size == 32);
        assert!(info.multiprocessors > 0 && info.total_bytes > 1 << 20);
        assert!(info.block_memory_bytes >= 48 << 10 && info.block_memory_optin_bytes >= info.block_memory_bytes);
        assert!(info.features & TN_FEATURE_UNIFIED_ADDRESSING != 0 && info.features & TN_FEATURE_MAP_HOST != 0);
        assert_eq!((info.free_bytes, info.used_bytes, info.pool_bytes), (0, 0, 0), "not requested");
        let pinned = query(PINNED, 0).unwrap();
        assert!(text(&pinned.name).contains("page-locked") && pinned.total_bytes > 0 && pinned.registered_bytes == 0);
        assert_eq!(count(TN_CUDA_HOST), Ok(1));
        assert_eq!(query(MANAGED, 0).is_ok(), count(TN_CUDA_MANAGED) == Ok(1));
        if let Some(sim) = gpu_there.sim {
            assert!(text(&info.name).contains("Tenure simulated device"));
            assert_eq!((sim.get("contexts"), sim.calls("cuDevicePrimaryCtxRetain")), (0, 0));
            // Attributes as the driver reports them: concurrent managed access.
            sim.set_attribute(0, 89, 0);
            assert_eq!(query(gpu(0), 0).unwrap().features & TN_FEATURE_CONCURRENT_MANAGED, 0);
            sim.set_attribute(0, 89, 1);
            assert_ne!(query(gpu(0), 0).unwrap().features & TN_FEATURE_CONCURRENT_MANAGED, 0);
        }
        query(gpu(0), TN_QUERY_MEMORY).unwrap();
        if let Some(sim) = gpu_there.sim {
            assert_eq!(sim.get("contexts"), 1, "the memory fields need one");
        }
    });
}

/// DV-3: free memory now.
#[test]
fn dv_3_memory() {
    let _gpu = device();
    let info = query(gpu(0), TN_QUERY_MEMORY).unwrap();
    assert!(info.free_bytes > 0 && info.free_bytes <= info.total_bytes);
    assert_eq!(info.used_bytes, info.total_bytes - info.free_bytes);
    assert_eq!(query(gpu(0), 2).unwrap_err(), TN_ERR_INVALID);
    let host = query(PINNED, TN_QUERY_MEMORY).unwrap();
    assert!(host.free_bytes > 0 && host.used_bytes == host.total_bytes - host.free_bytes);
}

/// DV-4: ids that do not exist.
#[test]
fn dv_4_ids() {
    let _gpu = device();
    let gpus = count(TN_CUDA).unwrap() as i32;
    for id in [-1, gpus, i32::MAX, i32::MIN] {
        assert_eq!(query(gpu(id), 0).unwrap_err(), TN_ERR_DEVICE);
        assert_eq!(create(gpu(id)).unwrap_err(), TN_ERR_DEVICE);
        assert_eq!(tn_device_synchronize(gpu(id)), TN_ERR_DEVICE);
    }
    assert_eq!(query(tn_device { id: 1, ..PINNED }, 0).unwrap_err(), TN_ERR_DEVICE);
    assert_eq!(query(tn_device { r#type: 7, id: 0 }, 0).unwrap_err(), TN_ERR_DEVICE);
    assert_eq!(create(PINNED).unwrap_err(), TN_ERR_DEVICE);
}

/// DV-5: threads that race for the driver find one, started once.
#[test]
fn dv_5_racing_threads_start_the_driver_once() {
    drop(device());
    alone("dv_5_racing_threads_start_the_driver_once", &[], || {
        let barrier = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    barrier.wait();
                    let stream = create(gpu(0)).unwrap();
                    assert_eq!(tn_stream_synchronize(stream), TN_OK);
                    assert_eq!(tn_stream_release(stream), TN_OK);
                });
            }
        });
        assert_eq!(tenure::cuda_driver::starts(), 1);
        if let Some(sim) = simulator() {
            assert_eq!((sim.calls("cuInit"), sim.get("contexts")), (1, 1));
        }
    });
}

/// DV-5: a function that the driver lacks disables only the functions that need it, and is named.
#[test]
fn dv_5_missing_functions() {
    require_simulator();
    const NEEDED: [&str; 8] = [
        "cuStreamCreateWithPriority",
        "cuCtxGetStreamPriorityRange",
        "cuCtxGetCurrent",
        "cuDevicePrimaryCtxRetain",
        "cuDeviceGetName",
        "cuEventRecord",
        "cuStreamWaitEvent",
        "cuInit",
    ];
    for function in NEEDED {
        alone("dv_5_missing_functions", &[("TENURE_SIM_MISSING", function), ("TENURE_SIM_DEVICES", "1")], || {
            let function = std::env::var("TENURE_SIM_MISSING").unwrap();
            let refused = |status: tn_status| {
                assert_eq!(status, TN_ERR_UNSUPPORTED);
                assert!(last_error().contains(&function), "{}", last_error());
            };
            let (mut event, one) = (null_mut(), gpu(0));
            match function.as_str() {
                "cuDeviceGetName" => {
                    refused(query(one, 0).unwrap_err());
                    assert_eq!(tn_stream_release(create(one).unwrap()), TN_OK);
                }
                "cuEventRecord" | "cuStreamWaitEvent" => {
                    let (s, t) = (create(one).unwrap(), create(one).unwrap());
                    // SAFETY: the pointer is ours.
                    assert_eq!(unsafe { tn_event_create(one, 0, &mut event) }, TN_OK);
                    if function == "cuEventRecord" {
                        refused(tn_event_record(event, s));
                        assert_eq!(tn_stream_wait_event(t, event), TN_OK, "never recorded");
                    } else {
                        simulator().unwrap().hold(native(s));
                        copy_something(s);
                        assert_eq!(tn_event_record(event, s), TN_OK);
                        refused(tn_stream_wait_event(t, event));
                        simulator().unwrap().release_all();
                    }
                    assert_eq!(tn_event_release(event), TN_OK);
                    assert_eq!((tn_stream_release(s), tn_stream_release(t)), (TN_OK, TN_OK));
                }
                "cuInit" => {
                    refused(count(TN_CUDA).err().unwrap_or(TN_ERR_UNSUPPORTED).max(create(one).unwrap_err()));
                }
                _ => {
                    refused(create(one).unwrap_err());
                    assert!(query(one, 0).is_ok());
                }
            }
            assert_eq!(count(TN_CPU), Ok(1));
        });
    }
}

fn native(stream: *mut tn_stream) -> u64 {
    let mut native = 0;
    // SAFETY: the number is ours.
    assert_eq!(unsafe { tn_stream_native(stream, &mut native) }, TN_OK);
    native
}

/// Puts work on a stream that uses memory which is never freed.
fn copy_something(stream: *mut tn_stream) {
    with_context(0, || {
        let mut at = 0u64;
        assert_eq!(driver_call!(cuMemAlloc_v2(&mut at => *mut u64, 4096 => usize)), 0);
        let code = driver_call!(cuMemsetD8Async(at => u64, 7 => u8, 4096 => usize, native(stream) => u64));
        assert_eq!(code, 0);
    });
}

fn current() -> *mut c_void {
    let mut context = null_mut();
    assert_eq!(driver_call!(cuCtxGetCurrent(&mut context => *mut *mut c_void)), 0);
    context
}

/// DV-6: the current context is restored, also after a failure.
#[test]
fn dv_6_the_current_context_is_left_as_found() {
    let gpu_there = device();
    // Retained for the whole test, so that it stays the same.
    let mut own = null_mut::<c_void>();
    assert_eq!(driver_call!(cuDevicePrimaryCtxRetain(&mut own => *mut *mut c_void, 0 => i32)), 0);
    let mut contexts = vec![null_mut(), own];
    if gpu_there.has_two() {
        let mut other = null_mut::<c_void>();
        assert_eq!(driver_call!(cuDevicePrimaryCtxRetain(&mut other => *mut *mut c_void, 1 => i32)), 0);
        contexts.push(other);
    }
    for context in contexts {
        assert_eq!(driver_call!(cuCtxSetCurrent(context => *mut c_void)), 0);
        let stream = create(gpu(0)).unwrap();
        assert_eq!(current(), context);
        assert_eq!(tn_stream_synchronize(stream), TN_OK);
        assert_eq!(tn_device_synchronize(gpu(0)), TN_OK);
        query(gpu(0), TN_QUERY_MEMORY).unwrap();
        assert_eq!(current(), context);
        if let Some(sim) = gpu_there.sim {
            for (function, code) in [("cuStreamCreateWithPriority", 2), ("cuCtxGetStreamPriorityRange", 999)] {
                sim.fail(function, 1, 1, code);
                create(gpu(0)).unwrap_err();
                assert_eq!(current(), context, "after {function} failed");
            }
            sim.fail("cuStreamSynchronize", 1, 1, 1);
            assert_eq!(tn_stream_synchronize(stream), TN_ERR_DRIVER);
        }
        // From a thread without a current context, with another context's stream.
        let (stream_bits, context_there) = (stream as usize, context as usize);
        std::thread::spawn(move || {
            assert_eq!(tn_stream_synchronize(stream_bits as *mut tn_stream), TN_OK);
            assert!(current().is_null());
        })
        .join()
        .unwrap();
        assert_eq!(tn_stream_release(stream), TN_OK);
        assert_eq!(current() as usize, context_there);
    }
    assert_eq!(driver_call!(cuCtxSetCurrent(null_mut() => *mut c_void)), 0);
}

/// DV-7: each error number of the driver has a status and its name; also an unknown one.
#[test]
fn dv_7_the_drivers_errors() {
    let gpu_there = device();
    let sim = gpu_there.simulated();
    let table = [
        (2, TN_ERR_NO_DEVICE_MEMORY, "OUT_OF_MEMORY"),
        (100, TN_ERR_DEVICE, "NO_DEVICE"),
        (101, TN_ERR_DEVICE, "INVALID_DEVICE"),
        (600, TN_ERR_PENDING, "NOT_READY"),
        (712, TN_ERR_DUPLICATE, "ALREADY_REGISTERED"),
        (713, TN_ERR_INVALID, "NOT_REGISTERED"),
        (801, TN_ERR_UNSUPPORTED, "NOT_SUPPORTED"),
        (900, TN_ERR_UNSUPPORTED, "CAPTURE"),
        (906, TN_ERR_UNSUPPORTED, "CAPTURE"),
        (4, TN_ERR_DRIVER, "DEINITIALIZED"),
        (1, TN_ERR_DRIVER, "INVALID_VALUE"),
        (400, TN_ERR_DRIVER, "INVALID_HANDLE"),
        (123_456, TN_ERR_DRIVER, "unknown to this driver"),
        (u32::MAX, TN_ERR_DRIVER, "unknown to this driver"),
    ];
    for (code, status, name) in table {
        sim.fail("cuStreamCreateWithPriority", 1, 1, code);
        assert_eq!(create(gpu(0)).unwrap_err(), status, "{code}");
        let text = last_error();
        let all = text.contains(name) && text.contains(&format!("({code})"));
        assert!(all && text.contains("cuStreamCreateWithPriority"), "{text}");
    }
    assert_eq!(tn_stream_release(create(gpu(0)).unwrap()), TN_OK, "nothing of it lasts");
}

/// DV-8: a lost device keeps its first error's message, is not called again, and its resources are dropped; the rest
/// works.
#[test]
fn dv_8_a_lost_device() {
    require_simulator();
    alone("dv_8_a_lost_device", &[("TENURE_SIM_DEVICES", "2")], || {
        let sim = simulator().unwrap();
        let (stream, other) = (create(gpu(0)).unwrap(), create(gpu(1)).unwrap());
        let mut event = null_mut();
        // SAFETY: the pointer is ours.
        assert_eq!(unsafe { tn_event_create(gpu(0), 0, &mut event) }, TN_OK);
        copy_something(stream);
        assert_eq!(tn_event_record(event, stream), TN_OK);
        sim.break_device(0, 700);
        assert_eq!(tn_stream_synchronize(stream), TN_ERR_DRIVER);
        let first = last_error();
        assert!(first.contains("CUDA_ERROR_ILLEGAL_ADDRESS (700)"), "{first}");
        let (calls, ()) = sim.calls_of("", || {
            for _ in 0..2 {
                let mut done = 0;
                let lost = [
                    tn_stream_synchronize(stream),
                    tn_device_synchronize(gpu(0)),
                    create(gpu(0)).unwrap_err(),
                    query(gpu(0), TN_QUERY_MEMORY).unwrap_err(),
                    tn_event_record(event, stream),
                    tn_event_synchronize(event),
                    // SAFETY: the number is ours.
                    unsafe { tn_event_query(event, &mut done) },
                ];
                assert_eq!(lost, [TN_ERR_DRIVER; 7]);
                assert!(
                    last_error().contains("CUDA_ERROR_ILLEGAL_ADDRESS (700)")
                        && last_error().contains("GPU 0 was lost")
                );
            }
            assert_eq!((tn_stream_release(stream), tn_event_release(event)), (TN_OK, TN_OK));
        });
        assert_eq!(calls, 0, "no call of the driver about a lost device");
        assert_eq!(tn_stream_synchronize(other), TN_OK);
        assert_eq!(tn_stream_release(other), TN_OK);
        assert!(query(gpu(1), TN_QUERY_MEMORY).is_ok() && query(HOST, TN_QUERY_MEMORY).is_ok());
    });
}

/// DV-9: a process that ends with everything open makes no call of the driver.
#[test]
fn dv_9_the_end_of_the_process() {
    require_simulator();
    alone("dv_9_the_end_of_the_process", &[], || {
        use std::sync::atomic::{AtomicU64, Ordering};
        static CALLS: AtomicU64 = AtomicU64::new(u64::MAX);
        extern "C" fn at_exit() {
            let now = simulator().unwrap().calls("");
            if now != CALLS.load(Ordering::Relaxed) {
                // SAFETY: ends the process with a status that the parent test counts as a failure.
                unsafe { libc::_exit(77) };
            }
        }
        // SAFETY: registered before the library does anything, so it runs after all of the library's handlers.
        unsafe { libc::atexit(at_exit) };
        // A thread that is still working when the process ends.
        let (ready, is_ready) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let stream = create(gpu(0)).unwrap();
            copy_something(stream);
            assert_eq!(tn_stream_set_current(gpu(0), stream), TN_OK);
            let (mut event, mut scope) = (null_mut(), null_mut());
            let own = std::ptr::without_provenance_mut(2);
            // SAFETY: the pointers are ours.
            unsafe {
                assert_eq!(tn_event_create(gpu(0), TN_EVENT_TIMING, &mut event), TN_OK);
                assert_eq!(tn_stream_enter(gpu(0), own, TN_AUTO_SYNCHRONIZE, &mut scope), TN_OK);
            }
            assert_eq!(tn_event_record(event, own), TN_OK);
            CALLS.store(simulator().unwrap().calls(""), Ordering::Relaxed);
            ready.send(()).unwrap();
            loop {
                std::thread::park();
            }
        });
        is_ready.recv().unwrap();
    });
}
