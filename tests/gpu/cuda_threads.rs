//! Several threads borrow, end and release on several streams at the same time, while the device runs work in any order
//! (on the simulator by its seed). Every status must be possible in some order of the calls, nothing hangs, and each
//! import ends exactly once, after its work.

use crate::support;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU64, Ordering};
use support::cuda::device;
use support::device_arrays::*;
use support::random::Random;
use tenure::ffi::array::*;
use tenure::ffi::borrow::*;
use tenure::ffi::stream::*;
use tenure::types::*;
use tenure_harness::test;

const THREADS: u64 = 4;
const STEPS: usize = 6000;

/// Handles are shared as integers.
fn array(bits: usize) -> Array {
    bits as Array
}

/// BR-60, BR-61, BR-66, TR-10, PN-6 under several threads.
#[test]
fn threads_on_streams() {
    let device_of_test = device();
    let streams: Vec<usize> = (0..4).map(|_| stream(0) as usize).collect();
    let shared: Vec<Memory> = (0..3).map(|_| Memory::new(60)).collect();
    let arrays: Vec<usize> = shared
        .iter()
        .zip([gpu(0), MANAGED, PINNED])
        .map(|(memory, device)| memory.lend(device, true, false) as usize)
        .collect();
    let pending = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 1..=THREADS {
            let (streams, arrays, pending) = (&streams, &arrays, &pending);
            scope.spawn(move || {
                let mut random = Random::new(thread.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
                let mut own: Vec<Memory> = Vec::new();
                for _ in 0..STEPS {
                    let stream = match random.below(5) {
                        at @ 0..=3 => streams[at] as Stream,
                        _ => null_mut(),
                    };
                    let from = array(arrays[random.below(arrays.len())]);
                    let flags = if random.below(2) == 0 { TN_WAIT } else { 0 };
                    match random.below(8) {
                        0..=4 => {
                            let start = random.below(50) as i64;
                            let view = part(from, start, start + 1 + random.below(9) as i64);
                            let opened = if random.below(2) == 0 {
                                read(view, flags, stream)
                            } else {
                                write(view, flags, stream)
                            };
                            // Sometimes the handle is released first.
                            let early = random.below(2) == 0;
                            if early {
                                release(view);
                            }
                            match opened {
                                Ok(guard) => {
                                    let last = streams[random.below(streams.len())] as Stream;
                                    end(guard, if random.below(3) == 0 { stream } else { last });
                                }
                                Err(TN_ERR_PENDING) => {
                                    assert!(stream.is_null() && flags == 0);
                                    pending.fetch_add(1, Ordering::Relaxed);
                                }
                                Err(status) => assert!([TN_ERR_BORROWED, TN_ERR_BORROWED_WRITE].contains(&status)),
                            }
                            if !early {
                                release(view);
                            }
                        }
                        5 => assert_eq!(tn_array_wait(from, TN_READ_WRITE), TN_OK),
                        6 => {
                            run_releases();
                        }
                        _ => {
                            // An import of this thread's own, released with pending work; sometimes its end waits.
                            let memory = Memory::new(8);
                            let waits = random.below(3) == 0;
                            let lent = memory.lend(if waits { PINNED } else { gpu(0) }, true, waits);
                            writes_on(lent, streams[random.below(streams.len())] as Stream);
                            reads_on(lent, streams[random.below(streams.len())] as Stream);
                            release(lent);
                            if waits {
                                assert_eq!(memory.released(), 1);
                            }
                            own.push(memory);
                        }
                    }
                }
            });
        }
    });
    let executed = device_of_test.sim.map_or(0, |sim| sim.get("executed"));
    println!("{} times PENDING, {executed} pieces of work", pending.load(Ordering::Relaxed));
    for (memory, array) in shared.iter().zip(&arrays) {
        assert_eq!(tn_array_release(*array as Array), TN_OK);
        // Its drop checks how often it was released.
        assert!(memory.released() <= 1);
    }
    drop(shared);
    for stream in streams {
        assert_eq!(tn_stream_release(stream as Stream), TN_OK);
    }
    // The driver need not do all the waiting: no guard may be left.
    assert_eq!(run_releases(), 0);
    let mut guard = null_mut();
    let gone = arrays[0] as Array;
    // SAFETY: the pointer is ours.
    assert_eq!(unsafe { tn_array_borrow_read(gone, 0, null_mut(), null_mut(), null_mut(), &mut guard) }, TN_ERR_STALE);
}
