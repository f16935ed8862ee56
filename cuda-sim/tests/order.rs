//! When work runs: in order within a stream, as the seed decides between streams, except for events and the legacy
//! stream.

mod driver;
use driver::*;
use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering};

const NOT_READY: u32 = 600;

/// Copies from device memory on one stream while another stream writes it, with or without an event between. Returns
/// the byte that arrives.
fn race(ordered: bool) -> u8 {
    let (writer, reader, written) = (stream(1), stream(1), event(2));
    let (memory, host) = (device_memory(8), pinned(8));
    host.fill(1);
    assert_eq!(cuMemcpyHtoD_v2(memory, host.as_ptr(), 8), 0);
    assert_eq!(cuMemsetD8Async(memory, 2, 8, writer), 0);
    if ordered {
        assert_eq!(cuEventRecord(written, writer), 0);
        assert_eq!(cuStreamWaitEvent(reader, written, 0), 0);
    }
    assert_eq!(cuMemcpyDtoHAsync_v2(host.as_mut_ptr(), memory, 8, reader), 0);
    assert_eq!(cuStreamSynchronize(reader), 0);
    host[7]
}

/// Keeps the device from running work by itself: on a busy machine the time between two calls may exceed its idle time.
fn stay_idle() {
    set("idle_us", 3_600_000_000);
}

#[test]
fn some_seeds_show_a_missing_event_and_none_breaks_a_present_one() {
    let _driver = fresh(1, RANDOM);
    stay_idle();
    let mut old = 0;
    for seed in 0..300 {
        set("seed", seed);
        old += usize::from(race(false) == 1);
        set("seed", seed);
        assert_eq!(race(true), 2, "seed {seed}: the reader did not wait for the event");
    }
    assert!((15..=285).contains(&old), "{old} of 300 seeds show the race");
}

#[test]
fn equal_seeds_give_equal_orders() {
    let run = |seed| {
        let _driver = fresh(1, RANDOM);
        stay_idle();
        set("seed", seed);
        (0..40).map(|_| race(false)).collect::<Vec<_>>()
    };
    for seed in 0..10 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
    assert_ne!(run(1), run(2));
}

#[test]
fn a_stream_keeps_its_order() {
    let _driver = fresh(1, RANDOM);
    let (memory, host, on) = (device_memory(64), pinned(64), stream(1));
    for value in 0..100 {
        assert_eq!(cuMemsetD8Async(memory, value, 64, on), 0);
    }
    assert_eq!(cuMemcpyDtoHAsync_v2(host.as_mut_ptr(), memory, 64, on), 0);
    assert_eq!(cuStreamSynchronize(on), 0);
    assert!(host.iter().all(|byte| *byte == 99));
}

#[test]
fn polling_alone_makes_progress() {
    for pace in [RANDOM, EAGER, 2] {
        let _driver = fresh(1, pace);
        let (memory, on, done) = (device_memory(8), stream(1), event(2));
        assert_eq!(cuMemsetD8Async(memory, 2, 8, on), 0);
        assert_eq!(cuEventRecord(done, on), 0);
        let polls = (0..100_000).take_while(|_| cuEventQuery(done) == NOT_READY).count();
        assert!(polls < 1000, "{polls} polls");
        assert_eq!(cuStreamQuery(on), 0);
    }
}

#[test]
fn work_completes_without_further_calls() {
    let _driver = fresh(1, RANDOM);
    let (host, on, memory) = (pinned(4096), stream(1), device_memory(4096));
    host.fill(0);
    assert_eq!(cuMemsetD8Async(memory, 7, 4096, on), 0);
    assert_eq!(cuMemcpyDtoHAsync_v2(host.as_mut_ptr(), memory, 4096, on), 0);
    let watched = &raw const host[4095];
    let since = std::time::Instant::now();
    // SAFETY: pinned memory that the device writes; a byte is read whole.
    while unsafe { watched.read_volatile() } != 7 {
        assert!(since.elapsed().as_secs() < 600, "no work runs by itself");
        std::thread::yield_now();
    }
}

#[test]
fn manual_work_waits_for_steps() {
    let _driver = fresh(1, MANUAL);
    let (memory, on) = (device_memory(8), stream(1));
    assert_eq!(cuMemsetD8Async(memory, 7, 8, on), 0);
    assert_eq!(cuMemsetD8Async(memory, 8, 8, on), 0);
    assert!((0..1000).all(|_| cuStreamQuery(on) == NOT_READY));
    assert_eq!((step(1), ask("pending"), step(5), cuStreamQuery(on)), (1, 1, 1, 0));
}

#[test]
fn a_held_stream_stalls_no_other() {
    let _driver = fresh(1, RANDOM);
    let (memory, held, free) = (device_memory(8), stream(1), stream(1));
    assert_eq!(tenure_sim_hold(held), 0);
    assert_eq!(cuMemsetD8Async(memory, 7, 8, held), 0);
    assert_eq!(cuMemsetD8Async(memory, 8, 8, free), 0);
    assert_eq!(cuStreamSynchronize(free), 0);
    assert!((0..200).all(|_| cuStreamQuery(held) == NOT_READY));
    assert_eq!(tenure_sim_release(held), 0);
    assert_eq!(cuStreamSynchronize(held), 0);
}

#[test]
fn a_held_stream_may_be_destroyed_and_released() {
    let _driver = fresh(1, RANDOM);
    let (memory, held, point) = (device_memory(8), stream(1), event(2));
    assert_eq!(tenure_sim_hold(held), 0);
    assert_eq!((cuMemsetD8Async(memory, 7, 8, held), cuEventRecord(point, held), cuStreamDestroy_v2(held)), (0, 0, 0));
    assert!((0..200).all(|_| cuEventQuery(point) == NOT_READY));
    assert_eq!((cuCtxSetCurrent(0), tenure_sim_release(held)), (0, 0), "releasing a stream needs no context");
    assert_eq!((cuCtxSetCurrent(_driver.context), cuEventSynchronize(point), tenure_sim_release(held)), (0, 0, 0));
}

#[test]
fn work_of_a_slow_stream_takes_the_time_that_was_set() {
    let _driver = fresh(1, RANDOM);
    let (memory, on) = (device_memory(8), stream(1));
    assert_eq!(tenure_sim_slow(on, 10_000), 0);
    let since = std::time::Instant::now();
    assert_eq!((cuMemsetD8Async(memory, 7, 8, on), cuMemsetD8Async(memory, 8, 8, on)), (0, 0));
    // The work can only be done if its time has passed.
    let answer = cuStreamQuery(on);
    assert!(answer == NOT_READY || answer == 0 && since.elapsed().as_millis() >= 20);
    assert_eq!(cuStreamSynchronize(on), 0);
    assert!(since.elapsed().as_millis() >= 20);
}

/// Random programs over four streams and four buffers, with an event for every dependency.
#[test]
fn programs_with_every_event_give_the_results_of_serial_execution() {
    const BUFFERS: usize = 4;
    const BYTES: usize = 16;
    for seed in 0..60 {
        let _driver = fresh(1, RANDOM);
        set("seed", seed);
        let mut state = seed * 2 + 1;
        let mut draw = |bound: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % bound
        };
        let streams: Vec<Handle> = (0..4).map(|at| stream(at % 2)).collect();
        let device: Vec<Address> = (0..BUFFERS).map(|_| device_memory(BYTES)).collect();
        let host = pinned(BUFFERS * BYTES);
        host.fill(0);
        let mut model = [[0_u8; BYTES]; 2 * BUFFERS];
        // The event of the last use of each buffer, read or write.
        let mut last: Vec<Vec<Handle>> = vec![Vec::new(); 2 * BUFFERS];
        for buffer in &device {
            assert_eq!(cuMemsetD8Async(*buffer, 0, BYTES, 0), 0);
        }
        assert_eq!(cuCtxSynchronize(), 0);
        for step in 0..100 {
            let on = streams[draw(4)];
            let (from, to, value) = (draw(BUFFERS), draw(BUFFERS), step as u8);
            let kind = draw(4);
            let place = host[to * BYTES..].as_mut_ptr();
            let used: &[usize] = match kind {
                0 => &[to],
                1 => &[from, to],
                _ => &[from, BUFFERS + to],
            };
            for buffer in used {
                for before in &last[*buffer] {
                    assert_eq!(cuStreamWaitEvent(on, *before, 0), 0);
                }
            }
            match kind {
                0 => {
                    assert_eq!(cuMemsetD8Async(device[to], value, BYTES, on), 0);
                    model[to] = [value; BYTES];
                }
                1 if from != to => {
                    assert_eq!(cuMemcpyDtoDAsync_v2(device[to], device[from], BYTES, on), 0);
                    model[to] = model[from];
                }
                1 => {}
                2 => {
                    assert_eq!(cuMemcpyDtoHAsync_v2(place, device[from], BYTES, on), 0);
                    model[BUFFERS + to] = model[from];
                }
                _ => {
                    assert_eq!(cuMemcpyHtoDAsync_v2(device[from], place, BYTES, on), 0);
                    model[from] = model[BUFFERS + to];
                }
            }
            let done = event(2);
            assert_eq!(cuEventRecord(done, on), 0);
            for buffer in used {
                last[*buffer] = vec![done];
            }
        }
        assert_eq!(cuCtxSynchronize(), 0);
        for (at, expected) in model.iter().enumerate() {
            let mut got = [0; BYTES];
            if at < BUFFERS {
                assert_eq!(cuMemcpyDtoH_v2(got.as_mut_ptr(), device[at], BYTES), 0);
            } else {
                got.copy_from_slice(&host[(at - BUFFERS) * BYTES..][..BYTES]);
            }
            assert_eq!(&got, expected, "seed {seed}, buffer {at}");
        }
    }
}

#[test]
fn a_waiting_thread_does_not_block_others() {
    let driver = fresh(1, RANDOM);
    let (memory, held) = (device_memory(8), stream(1));
    assert_eq!(tenure_sim_hold(held), 0);
    assert_eq!(cuMemsetD8Async(memory, 7, 8, held), 0);
    std::thread::scope(|threads| {
        let waiting = threads.spawn(|| {
            assert_eq!(cuCtxSetCurrent(driver.context), 0);
            cuStreamSynchronize(held)
        });
        for _ in 0..50 {
            let other = device_memory(100);
            assert_eq!(cuMemsetD32_v2(other, 1, 25), 0);
        }
        assert!(!waiting.is_finished());
        assert_eq!(tenure_sim_release(held), 0);
        assert_eq!(waiting.join().expect("no panic"), 0);
    });
}

#[test]
fn calls_of_a_closed_function_block() {
    let driver = fresh(1, RANDOM);
    assert_eq!(tenure_sim_close(c"cuMemAlloc_v2".as_ptr()), 0);
    std::thread::scope(|threads| {
        let waiting = threads.spawn(|| {
            assert_eq!(cuCtxSetCurrent(driver.context), 0);
            device_memory(8)
        });
        while calls("cuMemAlloc") == 0 {
            std::thread::yield_now();
        }
        assert_eq!(cuStreamSynchronize(stream(1)), 0);
        assert!(!waiting.is_finished());
        assert_eq!(tenure_sim_open(c"".as_ptr()), 0);
        assert_ne!(waiting.join().expect("no panic"), 0);
    });
}

#[test]
fn the_legacy_stream_is_ordered_with_blocking_streams_only() {
    let _driver = fresh(1, MANUAL);
    let (memory, blocking, free) = (device_memory(8), stream(0), stream(1));
    assert_eq!(tenure_sim_hold(blocking), 0);
    assert_eq!(cuMemsetD8Async(memory, 1, 8, blocking), 0);
    assert_eq!(cuMemsetD8Async(memory, 2, 8, 0), 0);
    assert_eq!(cuMemsetD8Async(memory, 3, 8, free), 0);
    assert_eq!(step(10), 1, "only the free stream runs");
    let after = stream(0);
    assert_eq!(cuMemsetD8Async(memory, 4, 8, after), 0);
    assert_eq!(step(10), 0, "a blocking stream waits for the legacy stream");
    assert_eq!(tenure_sim_release(blocking), 0);
    assert_eq!(step(10), 3);
    let mut seen = [0; 8];
    assert_eq!(cuMemcpyDtoH_v2(seen.as_mut_ptr(), memory, 8), 0);
    assert_eq!(seen, [4; 8]);
    // Handle 1 means stream 0. Handle 2 means another stream, which waits for it too.
    assert_eq!(tenure_sim_hold(1), 0);
    assert_eq!((cuMemsetD8Async(memory, 5, 8, 1), cuMemsetD8Async(memory, 6, 8, 2)), (0, 0));
    assert_eq!((step(10), cuStreamQuery(0)), (0, NOT_READY));
    assert_eq!((tenure_sim_release(0), step(10)), (0, 2));
}

#[test]
fn each_thread_has_a_per_thread_stream() {
    let driver = fresh(1, MANUAL);
    let memory = device_memory(8);
    assert_eq!(tenure_sim_hold(2), 0);
    assert_eq!(cuMemsetD8Async(memory, 1, 8, 2), 0);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            assert_eq!(cuCtxSetCurrent(driver.context), 0);
            assert_eq!(cuMemsetD8Async(memory, 2, 8, 2), 0);
            assert_eq!(cuStreamSynchronize(2), 0);
        });
    });
    assert_eq!(cuStreamQuery(2), NOT_READY);
    assert_eq!(tenure_sim_release(2), 0);
}

#[test]
fn an_event_stands_for_its_last_record() {
    let _driver = fresh(1, MANUAL);
    let (memory, first, second, point) = (device_memory(8), stream(1), stream(1), event(0));
    assert_eq!(
        (cuEventQuery(point), cuEventSynchronize(point)),
        (0, 0),
        "an event that was never recorded counts as done"
    );
    assert_eq!(cuMemsetD8Async(memory, 1, 8, first), 0);
    assert_eq!(cuEventRecord(point, first), 0);
    assert_eq!(cuStreamWaitEvent(second, point, 0), 0);
    assert_eq!(tenure_sim_hold(first), 0);
    assert_eq!((step(9), cuEventQuery(point)), (0, NOT_READY));
    assert_eq!((tenure_sim_release(first), step(9)), (0, 3));
    assert_eq!(cuEventQuery(point), 0);
    // The event is destroyed while a stream waits for it: the stream still waits.
    assert_eq!((cuMemsetD8Async(memory, 1, 8, first), cuEventRecord(point, first)), (0, 0));
    assert_eq!((cuStreamWaitEvent(second, point, 0), cuEventDestroy_v2(point)), (0, 0));
    assert_eq!(tenure_sim_hold(first), 0);
    assert_eq!((step(9), cuStreamQuery(second)), (0, NOT_READY));
    assert_eq!((tenure_sim_release(first), cuStreamSynchronize(second)), (0, 0));
}

#[test]
fn elapsed_time_needs_two_passed_events_with_timing() {
    let _driver = fresh(1, MANUAL);
    let (on, from, to, untimed, mut time) = (stream(1), event(0), event(0), event(2), 0.0);
    assert_eq!((cuEventRecord(from, on), cuEventRecord(to, on), cuEventRecord(untimed, on)), (0, 0, 0));
    assert_eq!(cuEventElapsedTime(&mut time, from, to), NOT_READY);
    assert_eq!(cuStreamSynchronize(on), 0);
    assert_eq!(cuEventElapsedTime(&mut time, from, to), 0);
    assert!(time >= 0.0);
    assert_eq!(cuEventElapsedTime(&mut time, to, from), 0);
    assert!(time <= 0.0);
    assert_eq!(cuEventElapsedTime(&mut time, untimed, to), 400);
}

#[test]
fn a_destroyed_stream_finishes_its_work() {
    let _driver = fresh(1, MANUAL);
    let (memory, on, other, point) = (device_memory(8), stream(1), stream(1), event(2));
    assert_eq!((cuMemsetD8Async(memory, 5, 8, on), cuEventRecord(point, on)), (0, 0));
    assert_eq!(cuStreamDestroy_v2(on), 0);
    assert_eq!(cuStreamWaitEvent(other, point, 0), 0);
    assert_eq!((ask("streams"), step(9), cuEventQuery(point)), (1, 3, 0));
    // SAFETY: eight bytes of device memory on which nothing runs.
    assert_eq!(unsafe { *bytes(memory, 8, 0) }, 5);
}

#[test]
fn a_stream_that_does_not_exist_ends_the_process() {
    const CHILD: &str = "TENURE_SIM_TEST_DEAD_STREAM";
    let name = "a_stream_that_does_not_exist_ends_the_process";
    if let Ok(which) = std::env::var(CHILD) {
        let _driver = fresh(1, MANUAL);
        let dead = stream(1);
        assert_eq!(cuStreamDestroy_v2(dead), 0);
        let mut status = 0;
        match which.as_str() {
            "query" => cuStreamQuery(dead),
            "capturing" => cuStreamIsCapturing(dead, &mut status),
            "record" => cuEventRecord(event(2), dead),
            "destroy" => cuStreamDestroy_v2(dead),
            "foreign" => cuStreamQuery(0xdead_beef),
            _ => {
                set("abort", 0);
                assert_eq!(
                    (cuStreamQuery(dead), cuStreamDestroy_v2(dead), cuStreamQuery(0xdead_beef)),
                    (400, 400, 400)
                );
                0
            }
        };
        return;
    }
    for which in ["query", "capturing", "record", "destroy", "foreign", "without"] {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        let done = child.args(["--exact", name, "--nocapture"]).env(CHILD, which).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        if which == "without" {
            assert!(done.status.success(), "{said}");
            continue;
        }
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&done.status), Some(libc::SIGABRT), "{which}: {said}");
        let what = if which == "foreign" { "is no stream of this driver" } else { "does not exist any more" };
        assert!(said.contains("A driver may crash here") && said.contains(what), "{which}: {said}");
    }
}

#[test]
fn host_functions_run_in_order_and_may_not_call_the_driver() {
    static SEEN: AtomicU64 = AtomicU64::new(0);
    unsafe extern "C" fn note(data: *mut c_void) {
        let mut free = 0;
        let refused = cuMemGetInfo_v2(&mut free, std::ptr::null_mut()) == 800;
        let before = SEEN.load(Ordering::Relaxed);
        SEEN.store(if refused { before * 10 + data as u64 } else { 0 }, Ordering::Relaxed);
    }
    let _driver = fresh(1, RANDOM);
    let on = stream(1);
    for data in 1..=5_usize {
        assert_eq!(cuLaunchHostFunc(on, note, data as *mut c_void), 0);
    }
    assert_eq!(cuStreamSynchronize(on), 0);
    assert_eq!(SEEN.load(Ordering::Relaxed), 12345);
}

#[test]
fn a_blocked_host_function_stalls_its_own_stream_only() {
    static GO: AtomicU64 = AtomicU64::new(0);
    unsafe extern "C" fn block(_: *mut c_void) {
        while GO.load(Ordering::Relaxed) == 0 {
            std::thread::yield_now();
        }
    }
    let _driver = fresh(1, RANDOM);
    let (memory, blocked, other) = (device_memory(8), stream(1), stream(1));
    assert_eq!(cuLaunchHostFunc(blocked, block, std::ptr::null_mut()), 0);
    assert_eq!((cuMemsetD8Async(memory, 1, 8, other), cuStreamSynchronize(other)), (0, 0));
    assert_eq!(cuStreamQuery(blocked), NOT_READY);
    GO.store(1, Ordering::Relaxed);
    assert_eq!(cuStreamSynchronize(blocked), 0);
}
