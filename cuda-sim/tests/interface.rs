//! The driver's interface: initialisation, contexts, faults, counts, hidden symbols, captures, other processes, exit
//! and fork.

mod driver;
use driver::*;
use std::ffi::{CStr, c_int, c_void};

#[test]
fn the_device_has_the_simulators_name() {
    let _driver = fresh(3, RANDOM);
    let (mut name, mut count, mut version) = ([0; 64], 0, 0);
    assert_eq!(cuDeviceGetName(name.as_mut_ptr(), 64, 2), 0);
    // SAFETY: the driver ends the text.
    assert_eq!(unsafe { CStr::from_ptr(name.as_ptr()) }, c"Tenure simulated device");
    assert_eq!((cuDeviceGetCount(&mut count), count), (0, 3));
    assert_eq!((cuDriverGetVersion(&mut version), version), (0, 13000));
    let mut device: c_int = 7;
    assert_eq!((cuDeviceGet(&mut device, 3), cuDeviceGet(&mut device, -1), device), (101, 101, 7));
}

#[test]
fn calls_need_cu_init_and_most_need_a_context() {
    let _driver = fresh(1, RANDOM);
    let (mut count, mut address, mut context) = (0, 0, 0);
    assert_eq!((cuCtxSetCurrent(0), cuMemAlloc_v2(&mut address, 8)), (0, 201));
    assert_eq!((cuCtxGetCurrent(&mut context), context), (0, 0));
    assert_eq!((tenure_sim_reset(), cuDeviceGetCount(&mut count)), (0, 3));
    set("devices", 0);
    assert_eq!((cuInit(0), cuDeviceGetCount(&mut count)), (100, 3));
}

#[test]
fn a_primary_context_lives_while_it_is_retained() {
    let driver = fresh(1, RANDOM);
    let (mut flags, mut active) = (0, 0);
    assert_eq!(primary(0), driver.context);
    device_memory(1000);
    assert_eq!(cuDevicePrimaryCtxRelease_v2(0), 0);
    assert_eq!((cuDevicePrimaryCtxGetState(0, &mut flags, &mut active), active), (0, 1));
    assert_eq!(cuDevicePrimaryCtxRelease_v2(0), 0);
    assert_eq!((cuDevicePrimaryCtxGetState(0, &mut flags, &mut active), active), (0, 0));
    assert_eq!((cuDevicePrimaryCtxRelease_v2(0), ask("allocations")), (201, 0));
}

#[test]
fn a_fault_is_injected_at_the_nth_call() {
    let driver = fresh(1, RANDOM);
    let mut address = 0;
    fail("cuMemAlloc", 3, 2);
    let answers: Vec<u32> = (0..5).map(|_| cuMemAlloc_v2(&mut address, 8)).collect();
    assert_eq!(answers, [0, 0, 2, 0, 0]);
    assert_eq!(tenure_sim_fail(c"cuMemAlloc_v2".as_ptr(), 1, 0, 12345), 0);
    assert!((0..5).all(|_| cuMemAlloc_v2(&mut address, 8) == 12345), "a code that does not exist");
    let mut name = std::ptr::null();
    assert_eq!(cuGetErrorName(12345, &mut name), 1);
    drop(driver);
    let _driver = fresh(1, RANDOM);
    let (mut host, mut free) = (std::ptr::null_mut(), 0);
    fail("*alloc", 2, 2);
    assert_eq!((cuMemAlloc_v2(&mut address, 8), cuMemHostAlloc(&mut host, 8, 0)), (0, 2));
    fail("*", 2, 802);
    assert_eq!((cuCtxSynchronize(), ask("faults")), (0, 1));
    assert_eq!((cuMemGetInfo_v2(&mut free, &mut free), cuCtxSynchronize(), ask("faults")), (802, 0, 0));
}

#[test]
fn a_sticky_fault_stays_and_a_fault_of_queued_work_shows_later() {
    let driver = fresh(1, MANUAL);
    let (on, memory) = (stream(1), device_memory(8));
    fail("*work", 2, 999);
    assert_eq!((cuMemsetD8Async(memory, 1, 8, on), cuMemsetD8Async(memory, 2, 8, on)), (0, 0));
    assert_eq!(cuStreamSynchronize(on), 999);
    assert_eq!(cuCtxSynchronize(), 999);
    drop(driver);
    let _driver = fresh(1, RANDOM);
    fail("cuStreamQuery", 1, 719);
    let on = stream(1);
    assert_eq!((cuStreamQuery(on), cuStreamQuery(on), cuCtxSynchronize()), (719, 719, 719));
}

#[test]
fn calls_are_counted_by_their_base_name() {
    let _driver = fresh(1, RANDOM);
    device_memory(8);
    device_memory(8);
    assert_eq!((calls("cuMemAlloc"), calls("cuMemAlloc_v2"), calls("cuMemFree")), (2, 2, 0));
    assert_eq!((cuCtxSynchronize(), ask("device_synchronizes"), calls("cuCtxSynchronize")), (0, 1, 1));
    assert!(calls("") > 5);
}

#[test]
fn proc_address_finds_names_without_version() {
    let _driver = fresh(1, RANDOM);
    let find = |name: &CStr, version, flags| {
        let (mut function, mut status) = (std::ptr::null_mut(), 9);
        assert_eq!(cuGetProcAddress_v2(name.as_ptr(), &mut function, version, flags, &mut status), 0);
        (function, status)
    };
    assert_eq!(find(c"cuMemAlloc", 13000, 0), (symbol("cuMemAlloc_v2"), 0));
    assert_eq!(find(c"cuMemcpyHtoDAsync", 13000, 2), (symbol("cuMemcpyHtoDAsync_v2_ptsz"), 0));
    assert_eq!(find(c"cuMemAdvise", 13000, 0), (symbol("cuMemAdvise_v2"), 0));
    assert_eq!(find(c"cuMemAdvise", 12000, 0), (symbol("cuMemAdvise"), 0));
    assert_eq!(find(c"cuNoSuchThing", 13000, 0), (std::ptr::null_mut(), 1));
}

#[test]
fn hidden_symbols_are_hidden_from_the_loader_too() {
    let ended = child("an_old_driver", &[("TENURE_SIM_MISSING", "cuMemCreate,cuMemAdvise_v2, cuStreamCreate")]);
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
}

#[test]
#[ignore = "a child of hidden_symbols_are_hidden_from_the_loader_too"]
fn an_old_driver() {
    for hidden in ["cuMemCreate", "cuMemAdvise_v2", "cuStreamCreate"] {
        assert!(symbol(hidden).is_null(), "{hidden}");
    }
    for present in ["cuMemAdvise", "cuStreamCreateWithPriority", "cuMemMap"] {
        assert!(!symbol(present).is_null(), "{present}");
    }
    let (mut function, mut status) = (std::ptr::null_mut(), 9);
    assert_eq!(cuGetProcAddress_v2(c"cuMemCreate".as_ptr(), &mut function, 13000, 0, &mut status), 0);
    assert_eq!((function.is_null(), status), (true, 1));
}

#[test]
fn the_environment_configures_the_driver() {
    let variables = [
        ("TENURE_SIM_DEVICES", "2"),
        ("TENURE_SIM_MEMORY", "3M"),
        ("TENURE_SIM_PEERS", "0"),
        ("TENURE_SIM_VERSION", "11040"),
    ];
    let ended = child("a_configured_driver", &variables);
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
}

#[test]
#[ignore = "a child of the_environment_configures_the_driver"]
fn a_configured_driver() {
    let (mut count, mut version, mut can, mut free, mut total) = (0, 0, 9, 0, 0);
    assert_eq!((cuInit(0), cuDeviceGetCount(&mut count), count), (0, 0, 2));
    assert_eq!((cuDriverGetVersion(&mut version), version), (0, 11040));
    assert_eq!((cuDeviceCanAccessPeer(&mut can, 0, 1), can), (0, 0));
    assert_eq!(cuCtxSetCurrent(primary(1)), 0);
    assert_eq!((cuMemGetInfo_v2(&mut free, &mut total), total), (0, 3 << 20));
}

#[test]
fn a_call_that_waits_long_prints_the_reason() {
    let ended = child("waits_for_a_held_stream", &[("TENURE_SIM_PATIENCE_MS", "0")]);
    let printed = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success() && printed.contains("cuMemFree_v2 waits"), "{printed}");
    assert!(printed.contains("1 queued, next is fill, a test holds it"), "{printed}");
}

#[test]
#[ignore = "a child of a_call_that_waits_long_prints_the_reason"]
fn waits_for_a_held_stream() {
    let _driver = fresh(1, RANDOM);
    let (memory, held) = (device_memory(8), stream(1));
    assert_eq!((tenure_sim_hold(held), cuMemsetD8Async(memory, 1, 8, held)), (0, 0));
    std::thread::scope(|threads| {
        threads.spawn(|| {
            // The waiting call counts this before it prints the reason and lets other threads in.
            while ask("implicit_synchronizes") == 0 {
                std::thread::yield_now();
            }
            assert_eq!(tenure_sim_release(held), 0);
        });
        assert_eq!(cuMemFree_v2(memory), 0);
    });
}

#[test]
fn visible_devices_are_selected_by_the_environment() {
    let variables = [("TENURE_SIM_DEVICES", "4"), ("CUDA_VISIBLE_DEVICES", "3,1,7,0")];
    let ended = child("sees_two_devices", &variables);
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
}

#[test]
#[ignore = "a child of visible_devices_are_selected_by_the_environment"]
fn sees_two_devices() {
    let (mut count, mut text) = (0, [0; 16]);
    assert_eq!((cuInit(0), cuDeviceGetCount(&mut count), count), (0, 0, 2));
    assert_eq!(cuDeviceGetPCIBusId(text.as_mut_ptr(), 16, 0), 0);
    // SAFETY: the driver ends the text.
    assert_eq!(unsafe { CStr::from_ptr(text.as_ptr()) }, c"0000:04:00.0");
}

#[test]
fn a_broken_device_loses_its_contexts() {
    let driver = fresh(2, RANDOM);
    let second = primary(1);
    let mut free = 0;
    assert_eq!(tenure_sim_break_device(0, 719), 0);
    assert_eq!((cuMemGetInfo_v2(&mut free, &mut free), cuCtxSynchronize()), (719, 719));
    assert_eq!((cuCtxSetCurrent(second), cuCtxSynchronize(), cuCtxSetCurrent(driver.context)), (0, 0, 0));
}

#[test]
fn a_reset_begins_a_new_context_perhaps_with_the_same_handle() {
    let driver = fresh(1, RANDOM);
    let mut before = driver.context;
    for same in [0, 1, 1, 0] {
        set("same_context", same);
        let (memory, mut id, mut new_id, mut active, mut flags) = (device_memory(8), 0, 0, 9, 0);
        assert_eq!(cuCtxGetId(before, &mut id), 0);
        assert_eq!(cuDevicePrimaryCtxReset_v2(0), 0);
        assert_eq!((cuDevicePrimaryCtxGetState(0, &mut flags, &mut active), active), (0, 0));
        // A driver may crash for this number; the simulator ends the process.
        set("abort", 0);
        assert_eq!((cuCtxGetId(before, &mut new_id), cuCtxSynchronize(), ask("allocations")), (709, 709, 0));
        set("abort", 1);
        let after = primary(0);
        assert_eq!((cuCtxGetId(after, &mut new_id), after == before, new_id == id), (0, same == 1, false));
        assert_eq!((cuCtxSetCurrent(after), cuMemFree_v2(memory)), (0, 1));
        before = after;
    }
}

#[test]
fn a_green_contexts_stream_has_two_contexts() {
    let driver = fresh(1, RANDOM);
    set("green", 1);
    let (on, mut context, mut green, mut old) = (stream(1), 0, 0, 0);
    set("green", 0);
    assert_eq!((cuStreamGetCtx(on, &mut old), cuStreamGetCtx_v2(on, &mut context, &mut green)), (0, 0));
    assert_eq!((context, green == old, green == context), (driver.context, true, false));
    let plain = stream(1);
    assert_eq!((cuStreamGetCtx(plain, &mut old), cuStreamGetCtx_v2(plain, &mut context, &mut green)), (0, 0));
    assert_eq!((old, context, green), (driver.context, driver.context, 0));
}

#[test]
fn captured_work_runs_when_the_graph_is_launched() {
    let _driver = fresh(1, RANDOM);
    let (first, second, fork, join) = (stream(1), stream(1), event(2), event(2));
    let (memory, host, mut graph, mut exec, mut status) = (device_memory(8), pinned(8), 0, 0, 9);
    host.fill(0);
    assert_eq!(cuStreamBeginCapture_v2(first, 0), 0);
    assert_eq!((cuStreamIsCapturing(first, &mut status), status), (0, 1));
    assert_eq!((cuMemsetD8Async(memory, 3, 8, first), cuEventRecord(fork, first)), (0, 0));
    assert_eq!(
        (cuStreamWaitEvent(second, fork, 0), cuMemcpyDtoHAsync_v2(host.as_mut_ptr(), memory, 8, second)),
        (0, 0)
    );
    assert_eq!((cuEventRecord(join, second), cuStreamWaitEvent(first, join, 0)), (0, 0));
    assert_eq!(cuEventQuery(join), 900, "a query may break a capture, and this one does");
    assert_eq!(cuStreamEndCapture(first, &mut graph), 901);
    // Again, without a query.
    assert_eq!(cuStreamBeginCapture_v2(first, 0), 0);
    assert_eq!((cuMemsetD8Async(memory, 3, 8, first), cuEventRecord(fork, first)), (0, 0));
    assert_eq!(
        (cuStreamWaitEvent(second, fork, 0), cuMemcpyDtoHAsync_v2(host.as_mut_ptr(), memory, 8, second)),
        (0, 0)
    );
    assert_eq!((cuEventRecord(join, second), cuStreamWaitEvent(first, join, 0)), (0, 0));
    let mut relaxed = 2;
    assert_eq!((cuThreadExchangeStreamCaptureMode(&mut relaxed), relaxed), (0, 0));
    device_memory(8);
    assert_eq!((cuThreadExchangeStreamCaptureMode(&mut relaxed), relaxed), (0, 2));
    assert_eq!(cuStreamEndCapture(first, &mut graph), 0);
    assert_eq!((ask("pending"), host[0]), (0, 0), "no work ran");
    assert_eq!(cuGraphInstantiateWithFlags(&mut exec, graph, 0), 0);
    for round in 0..20 {
        host.fill(0);
        assert_eq!((cuGraphLaunch(exec, first), cuStreamSynchronize(first)), (0, 0));
        assert_eq!(host[7], 3, "launch {round}");
    }
    // A launch can be captured too.
    let (mut outer, mut outer_exec) = (0, 0);
    assert_eq!((cuStreamBeginCapture_v2(second, 1), cuGraphLaunch(exec, second)), (0, 0));
    assert_eq!(
        (cuMemcpyHtoDAsync_v2(memory, host.as_ptr(), 8, second), cuStreamEndCapture(second, &mut outer)),
        (0, 0)
    );
    assert_eq!((cuGraphInstantiateWithFlags(&mut outer_exec, outer, 0), host.fill(0)), (0, ()));
    assert_eq!((cuGraphLaunch(outer_exec, first), cuStreamSynchronize(first), host[0]), (0, 0, 3));
    assert_eq!((cuGraphExecDestroy(exec), cuGraphDestroy(graph)), (0, 0));
}

#[test]
fn a_captured_copy_of_pageable_memory_reads_and_writes_it_at_each_launch() {
    let _driver = fresh(1, RANDOM);
    let (on, memory, mut graph, mut exec) = (stream(1), device_memory(8), 0, 0);
    let (source, mut target) = (Box::leak(Box::new([1_u8; 8])), Box::new([0_u8; 8]));
    assert_eq!((cuStreamBeginCapture_v2(on, 0), cuMemcpyHtoDAsync_v2(memory, source.as_ptr(), 8, on)), (0, 0));
    assert_eq!((cuMemcpyDtoHAsync_v2(target.as_mut_ptr(), memory, 8, on), cuStreamEndCapture(on, &mut graph)), (0, 0));
    assert_eq!((target[0], cuGraphInstantiateWithFlags(&mut exec, graph, 0)), (0, 0));
    for round in 2..6 {
        // The launch reads the current bytes, not those of the capture.
        source.fill(round);
        assert_eq!((cuGraphLaunch(exec, on), cuStreamSynchronize(on), target[7]), (0, 0, round));
    }
}

#[test]
fn a_capture_refuses_what_would_break_it() {
    let _driver = fresh(1, RANDOM);
    let (on, blocking, other, fork, mut graph) = (stream(1), stream(0), stream(1), event(2), 0);
    let memory = device_memory(8);
    assert_eq!(
        (cuStreamBeginCapture_v2(on, 2), cuStreamSynchronize(on), cuStreamEndCapture(on, &mut graph)),
        (0, 900, 901)
    );
    // The legacy stream cannot wait for a blocking stream that captures; a query does not break the capture.
    let mut status = 9;
    assert_eq!((cuStreamBeginCapture_v2(blocking, 2), cuStreamIsCapturing(0, &mut status)), (0, 906));
    assert_eq!((cuStreamIsCapturing(blocking, &mut status), status, cuMemsetD8Async(memory, 1, 8, 0)), (0, 1, 906));
    assert_eq!(cuStreamEndCapture(blocking, &mut graph), 901);
    // A stream that joined the capture was never joined back.
    assert_eq!((cuStreamBeginCapture_v2(on, 2), cuEventRecord(fork, on), cuStreamWaitEvent(other, fork, 0)), (0, 0, 0));
    assert_eq!((cuMemsetD8Async(memory, 1, 8, other), cuStreamEndCapture(on, &mut graph)), (0, 904));
}

#[test]
fn memory_and_events_are_shared_between_processes() {
    let _driver = fresh(1, RANDOM);
    let (memory, on, done) = (device_memory(1000), stream(1), event(6));
    let (mut memory_handle, mut event_handle) = (IpcHandle([0; 64]), IpcHandle([0; 64]));
    assert_eq!((cuIpcGetMemHandle(&mut memory_handle, memory), cuIpcGetEventHandle(&mut event_handle, done)), (0, 0));
    let mut own = 0;
    assert_eq!(cuIpcOpenMemHandle_v2(&mut own, memory_handle, 1), 201, "not in the process that exported it");
    assert_eq!((cuMemsetD8Async(memory, 6, 1000, on), cuEventRecord(done, on), cuStreamSynchronize(on)), (0, 0, 0));
    let text = |handle: &IpcHandle| handle.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let ended = child("another_process", &[("MEMORY", &text(&memory_handle)), ("EVENT", &text(&event_handle))]);
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
    let mut got = [0; 1000];
    assert_eq!(cuMemcpyDtoH_v2(got.as_mut_ptr(), memory, 1000), 0);
    assert_eq!((got[0], got[999]), (9, 9));
}

#[test]
#[ignore = "a child of memory_and_events_are_shared_between_processes"]
fn another_process() {
    let handle = |name| {
        let text = std::env::var(name).expect("set by the parent");
        let mut bytes = [0; 64];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hexadecimal");
        }
        IpcHandle(bytes)
    };
    let _driver = fresh(1, RANDOM);
    let (mut memory, mut done, on, mut got) = (0, 0, stream(1), [0; 1000]);
    assert_eq!(
        (cuIpcOpenMemHandle_v2(&mut memory, handle("MEMORY"), 1), cuIpcOpenEventHandle(&mut done, handle("EVENT"))),
        (0, 0)
    );
    assert_eq!((cuStreamWaitEvent(on, done, 0), cuStreamSynchronize(on), cuEventQuery(done)), (0, 0, 0));
    assert_eq!(cuMemcpyDtoH_v2(got.as_mut_ptr(), memory, 1000), 0);
    assert_eq!((got[0], got[999]), (6, 6));
    assert_eq!((cuMemsetD8Async(memory, 9, 1000, on), cuStreamSynchronize(on), cuIpcCloseMemHandle(memory)), (0, 0, 0));
}

#[test]
fn a_child_of_fork_has_no_driver() {
    let _driver = fresh(1, RANDOM);
    // SAFETY: the child calls the driver, which must not lock anything there, and exits at once.
    let status = unsafe {
        let process = libc::fork();
        if process == 0 {
            let mut address = 0;
            let mut name = std::ptr::null();
            let wrong = cuMemAlloc_v2(&mut address, 8) != 3 || cuInit(0) != 3 || cuGetErrorName(3, &mut name) != 0;
            libc::_exit(i32::from(wrong));
        }
        let mut status = 0;
        libc::waitpid(process, &mut status, 0);
        status
    };
    assert_eq!(status, 0);
}

#[test]
fn a_process_exits_with_work_pending() {
    let ended = child("exits_with_work_pending", &[]);
    assert_eq!((ended.status.code(), &ended.stderr[..]), (Some(7), &b"4\n"[..]), "{ended:?}");
}

#[test]
#[ignore = "a child of a_process_exits_with_work_pending"]
fn exits_with_work_pending() {
    extern "C" fn late() {
        let mut address = 0;
        eprintln!("{}", cuMemAlloc_v2(&mut address, 8));
    }
    unsafe extern "C" fn forever(_: *mut c_void) {
        loop {
            std::thread::park();
        }
    }
    // SAFETY: registered before the driver's own handler, so it runs after it.
    unsafe { libc::atexit(late) };
    let _driver = fresh(1, RANDOM);
    let (on, other, memory) = (stream(1), stream(1), device_memory(8));
    assert_eq!(cuLaunchHostFunc(on, forever, std::ptr::null_mut()), 0);
    assert_eq!((cuMemsetD8Async(memory, 1, 8, on), cuMemsetD8Async(memory, 1, 8, other)), (0, 0));
    std::process::exit(7);
}
