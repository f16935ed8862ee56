//! Pending device work on arrays: BR-60 to BR-67, BA-8, ER-8, TR-10 to TR-12, TR-22, TR-23, PN-6, PN-9, ST-8. On the
//! simulator, whose streams stall on command; see support/cuda.rs. The tests import their own bytes, so that only the
//! bookkeeping is tested.

use crate::driver_call;
use crate::support;
use std::ptr::null_mut;
use std::time::{Duration, Instant};
use support::cuda::{Device, Hands, Sim, alone, device, last_error, with_context};
use support::device_arrays::*;
use tenure::borrow::{BorrowContext, Use};
use tenure::ffi::array::*;
use tenure::ffi::borrow::*;
use tenure::ffi::device::*;
use tenure::ffi::exchange::*;
use tenure::ffi::expr::*;
use tenure::ffi::pool::*;
use tenure::ffi::promise::*;
use tenure::ffi::report::*;
use tenure::ffi::stream::*;
use tenure::ffi::transfer::*;
use tenure::ffi::view::*;
use tenure::ledger::UseTime;
use tenure::slots::Id;
use tenure::transfer;
use tenure::types::*;
use tenure_harness::test;

const SEEDS: u64 = 5;

/// Runs a test's body on the simulator from several seeds, or on a GPU once, with no stream stalled at first.
fn with_seeds(body: impl Fn(&Device, Hands)) {
    let gpu = device();
    for seed in 1..=if gpu.sim.is_some() { SEEDS } else { 1 } {
        if let Some(sim) = gpu.sim {
            sim.set("seed", seed);
        }
        body(&gpu, gpu.hands());
        gpu.hands().release_all();
    }
}

/// As above on the simulator alone, which counts calls and does not wait where a GPU would.
fn counted(body: impl Fn(&Device, Hands, Sim)) {
    let sim = device().simulated();
    with_seeds(|gpu, hands| body(gpu, hands, sim));
}

/// A stream whose work waits until [`go`].
fn stalled(hands: Hands) -> Stream {
    let stream = stream(0);
    hands.hold(native(stream));
    stream
}

/// The work of a stalled stream, up to here, is done.
fn go(hands: Hands, stream: Stream) {
    hands.release(native(stream));
    assert_eq!(tn_stream_synchronize(stream), TN_OK);
}

/// Runs something while another thread resumes a stalled stream a little later.
fn while_stalled<R>(hands: Hands, stream: Stream, work: impl FnOnce() -> R) -> R {
    let name = native(stream);
    let started = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(STALL);
            hands.release(name);
        });
        let result = work();
        assert!(started.elapsed() >= STALL, "it waited");
        result
    })
}

const STALL: Duration = Duration::from_millis(10);

fn drop_stream(stream: Stream) {
    assert_eq!(tn_stream_release(stream), TN_OK);
}

#[test]
fn br_61_62_pn_9_the_host_finds_pending_until_the_work_is_done() {
    with_seeds(|_, hands| {
        for device in [gpu(0), PINNED, MANAGED] {
            let memory = Memory::new(100);
            let a = memory.lend(device, true, false);
            let s = stalled(hands);
            // BR-62: the end of a guard does not wait; the region is free for work that is ordered after it (BR-65).
            reads_on(a, s);
            assert_eq!(host(a), (TN_OK, TN_ERR_PENDING), "a read looks at writers only");
            writes_on(a, s);
            assert_eq!(host(a), (TN_ERR_PENDING, TN_ERR_PENDING));
            assert!(last_error().contains("TN_WAIT"), "{}", last_error());
            // Another region is unaffected.
            let (left, right) = (part(a, 0, 50), part(a, 50, 100));
            assert_eq!(host(left), (TN_ERR_PENDING, TN_ERR_PENDING));
            go(hands, s);
            assert_eq!(host(a), (TN_OK, TN_OK));
            hands.hold(native(s));
            writes_on(left, s);
            assert_eq!((host(left), host(right)), ((TN_ERR_PENDING, TN_ERR_PENDING), (TN_OK, TN_OK)));
            assert_eq!(host(a), (TN_ERR_PENDING, TN_ERR_PENDING));
            // The work may also be done by now, which a query finds out.
            hands.release(native(s));
            while host(a) != (TN_OK, TN_OK) {
                hands.step(1);
            }
            // NULL records nothing: the caller is done.
            end(write(a, 0, s).unwrap(), null_mut());
            assert_eq!(host(a), (TN_OK, TN_OK));
            [left, right, a].into_iter().for_each(release);
            drop_stream(s);
            run_releases();
            assert_eq!(memory.released(), 1);
        }
    });
}

/// Two readers on one stream whose ends arrive in the ledger in another order than in the stream: the later work
/// counts.
#[test]
fn br_62_the_ends_of_two_readers_change_places() {
    with_seeds(|_, hands| {
        let memory = Memory::new(100);
        let a = memory.lend(gpu(0), true, false);
        let s = stream(0);
        let taken = tenure::stream::StreamArg::of(s.addr() as u64).unwrap();
        let stream = taken.on(gpu(0)).unwrap().unwrap();
        let open = || {
            let wanted = Use::Read { frozen: false };
            transfer::acquire_one(
                BorrowContext::new(c"reader"),
                Id::from_bits(a.addr() as u64),
                wanted,
                UseTime::on(stream),
            )
            .unwrap()
        };
        let (first, second) = (open(), open());
        let early = stream.record_point().unwrap();
        // The work is done, but the library does not know it yet.
        let name = native(s);
        assert_eq!(with_context(0, || driver_call!(cuStreamSynchronize(name => u64))), 0);
        hands.hold(name);
        let late = stream.record_point().unwrap();
        second.end_at(false, late);
        first.end_at(false, early);
        assert_eq!(host(a), (TN_OK, TN_ERR_PENDING), "the second reader is at work");
        go(hands, s);
        assert_eq!(host(a), (TN_OK, TN_OK));
        release(a);
        drop(taken);
        drop_stream(s);
        run_releases();
    });
}

#[test]
fn br_60_65_tr_12_streams_wait_for_one_another_and_the_host_for_none() {
    counted(|_, hands, sim| {
        let memory = Memory::new(100);
        let a = memory.lend(gpu(0), true, false);
        let (s, t) = (stalled(hands), stream(0));
        let waits = |work: &dyn Fn()| sim.calls_of("cuStreamWaitEvent", work).0;
        let (host_waits, _) = sim.calls_of("Synchronize", || {
            // The stream itself needs no event.
            assert_eq!(waits(&|| writes_on(a, s)), 0);
            assert_eq!(waits(&|| writes_on(a, s)), 0);
            assert_eq!(waits(&|| reads_on(a, s)), 0);
            // Another stream is made to wait, once.
            assert_eq!(waits(&|| reads_on(a, t)), 1);
            assert_eq!(waits(&|| reads_on(a, t)), 0);
        });
        assert_eq!(host_waits, 0);
        // Work on t now comes after s, which stalls. So t's work is stuck although t itself does not stall.
        let (mut event, mut done) = (null_mut(), 7);
        // SAFETY: the pointers are ours.
        unsafe {
            assert_eq!(tn_event_create(gpu(0), 0, &mut event), TN_OK);
            assert_eq!(tn_event_record(event, t), TN_OK);
            hands.step(1000);
            assert_eq!(tn_event_query(event, &mut done), TN_OK);
            assert_eq!(done, 0);
            go(hands, s);
            assert_eq!(tn_event_synchronize(event), TN_OK);
        }
        assert_eq!(host(a), (TN_OK, TN_OK));
        // Two readers have no order between them: neither waits.
        hands.hold(native(s));
        reads_on(a, s);
        assert_eq!(waits(&|| reads_on(a, t)), 0);
        assert_eq!(tn_stream_synchronize(t), TN_OK);
        // A writer comes after all readers.
        assert_eq!(waits(&|| writes_on(a, t)), 1);
        assert_eq!(host(a), (TN_ERR_PENDING, TN_ERR_PENDING));
        go(hands, s);
        assert_eq!(tn_stream_synchronize(t), TN_OK);
        assert_eq!(host(a), (TN_OK, TN_OK));
        assert_eq!(tn_event_release(event), TN_OK);
        release(a);
        [s, t].into_iter().for_each(drop_stream);
        assert_eq!(memory.released(), 1);
    });
}

#[test]
fn br_60_more_streams_than_a_region_remembers() {
    counted(|_, hands, sim| {
        let memory = Memory::new(10);
        let a = memory.lend(gpu(0), true, false);
        let many: Vec<Stream> = (0..40).map(|_| stalled(hands)).collect();
        many.iter().for_each(|s| reads_on(a, *s));
        let t = stream(0);
        let (waits, _) = sim.calls_of("cuStreamWaitEvent", || writes_on(a, t));
        assert_eq!(waits, 40, "one for each reader");
        assert_eq!(host(a), (TN_ERR_PENDING, TN_ERR_PENDING));
        hands.release_all();
        assert_eq!(tn_array_wait(a, TN_WRITE), TN_OK);
        assert_eq!(host(a), (TN_OK, TN_OK));
        release(a);
        many.into_iter().chain([t]).for_each(drop_stream);
    });
}

#[test]
fn br_63_a_stream_of_another_device() {
    with_seeds(|device, _| {
        let (memory, other) = (Memory::new(10), Memory::new(10));
        let (a, h) = (memory.lend(gpu(0), true, false), other.lend(HOST, true, false));
        let s = stream(0);
        let constants = [1_usize, 2, 3].map(|bits| bits as Stream);
        // On host memory the constants mean the host, and a stream orders nothing.
        for constant in constants {
            end(write(h, 0, constant).unwrap(), constant);
            writes_on(a, constant);
        }
        assert_eq!(host(h), (TN_OK, TN_OK));
        assert_eq!(read(h, 0, s), Err(TN_ERR_DEVICE));
        assert_eq!(write(h, TN_WRITE_COW | TN_WAIT, s), Err(TN_ERR_DEVICE));
        let guard = write(h, 0, null_mut()).unwrap();
        assert_eq!(tn_borrow_end(guard, 0, s), TN_ERR_DEVICE);
        assert_eq!(read(h, 0, null_mut()), Err(TN_ERR_BORROWED_WRITE), "it is still open");
        end(guard, null_mut());
        if device.has_two() {
            let t = stream(1);
            assert_eq!(read(a, 0, t), Err(TN_ERR_DEVICE));
            let guard = read(a, 0, s).unwrap();
            assert_eq!(tn_borrow_end(guard, 0, t), TN_ERR_DEVICE);
            assert_eq!(write(a, 0, s), Err(TN_ERR_BORROWED), "it is still open");
            end(guard, s);
            // Pinned and managed memory belongs to any device.
            let shared = Memory::new(10);
            let m = shared.lend(MANAGED, true, false);
            writes_on(m, t);
            reads_on(m, s);
            release(m);
            drop_stream(t);
        }
        assert_eq!(tn_array_wait(a, TN_WRITE), TN_OK);
        [a, h].into_iter().for_each(release);
        drop_stream(s);
    });
}

#[test]
fn br_66_tr_23_wait_is_the_last_thing_that_a_borrow_does() {
    with_seeds(|_, hands| {
        let memory = Memory::new(100);
        let a = memory.lend(MANAGED, false, false);
        let s = stalled(hands);
        writes_on(a, s);
        // While the stream stalls, a call with another obstacle must not wait.
        let b = clone(a);
        assert_eq!(write(a, TN_WRITE_UNIQUE | TN_WAIT, null_mut()), Err(TN_ERR_SHARED));
        release(b);
        assert_eq!(write(a, TN_WRITE_UNIQUE, null_mut()), Err(TN_ERR_PENDING), "before FOREIGN");
        assert_eq!(write(a, TN_WRITE_UNIQUE | TN_WAIT, null_mut()), Err(TN_ERR_FOREIGN), "ER-5");
        let reader = read(a, 0, s).unwrap();
        assert_eq!(write(a, TN_WAIT, null_mut()), Err(TN_ERR_BORROWED));
        end(reader, s);
        // If pending work is the only obstacle, the call waits and holds nothing meanwhile.
        let handle = a as usize;
        let asking = std::thread::spawn(move || {
            std::thread::sleep(STALL / 2);
            // The waiting call holds no lock: the array can be queried.
            let mut unique = 7;
            // SAFETY: the number is ours.
            assert_eq!(unsafe { tn_array_is_unique(handle as Array, &mut unique) }, TN_OK);
            unique
        });
        while_stalled(hands, s, || end(write(a, TN_WAIT, null_mut()).unwrap(), null_mut()));
        assert_eq!(asking.join().unwrap(), 1, "unfinished work is no holder");
        assert_eq!(host(a), (TN_OK, TN_OK));
        // After the wait everything is checked again: the handle was given away meanwhile.
        hands.hold(native(s));
        writes_on(a, s);
        let waiting =
            std::thread::spawn(move || read(handle as Array, TN_WAIT, null_mut()).map(|guard| guard as usize));
        std::thread::sleep(STALL);
        let mut promise = null_mut();
        // SAFETY: the pointer is ours.
        assert_eq!(unsafe { tn_array_give(a, 1, &mut promise) }, TN_OK, "a wait holds nothing");
        // The other thread may begin after the handle was given away, so no wait is needed.
        go(hands, s);
        assert_eq!(waiting.join().unwrap(), Err(TN_ERR_GIVEN));
        assert_eq!(tn_promise_cancel(promise), TN_OK);
        assert_eq!(tn_promise_release(promise), TN_OK);
        release(a);
        drop_stream(s);
        run_releases();
        assert_eq!(memory.released(), 1);
    });
}

#[test]
fn br_67_tr_22_waiting_for_an_array() {
    counted(|_, hands, sim| {
        let memory = Memory::new(100);
        let a = memory.lend(gpu(0), true, false);
        let s = stalled(hands);
        for access in [0, 4, TN_READ | 16] {
            assert_eq!(tn_array_wait(a, access), TN_ERR_INVALID);
        }
        // Nothing is pending: the driver is not called.
        let (calls, _) = sim.calls_of("", || assert_eq!(tn_array_wait(a, TN_READ_WRITE), TN_OK));
        assert_eq!(calls, 0);
        reads_on(a, s);
        assert_eq!(tn_array_wait(a, TN_READ), TN_OK, "readers are in the way of writers only");
        // It checks no guard.
        let guard = write(a, 0, s).unwrap();
        assert_eq!(tn_array_wait(a, TN_READ), TN_OK);
        end(guard, s);
        let right = part(a, 50, 100);
        while_stalled(hands, s, || assert_eq!(tn_array_wait(right, TN_READ), TN_OK));
        assert_eq!(host(right), (TN_OK, TN_OK), "BR-61 does not fail afterwards");
        [right, a].into_iter().for_each(release);
        drop_stream(s);
    });
}

#[test]
fn er_8_er_5_where_streams_and_work_stand_among_the_errors() {
    with_seeds(|_, hands| {
        let memory = Memory::new(10);
        let a = memory.lend(gpu(0), true, false);
        let (s, gone) = (stalled(hands), stream(0));
        drop_stream(gone);
        assert_eq!(read(a, 0, gone), Err(TN_ERR_STALE));
        let mut promise = null_mut();
        let mut taken = null_mut();
        // SAFETY: the pointers are ours.
        unsafe {
            assert_eq!(tn_array_give(a, 1, &mut promise), TN_OK);
            assert_eq!(read(a, 0, s), Err(TN_ERR_GIVEN));
            assert_eq!(tn_take(1, &promise, &mut taken), TN_OK);
        }
        assert_eq!(tn_promise_release(promise), TN_OK);
        assert_eq!(read(a, 0, gone), Err(TN_ERR_STALE), "ER-8: also where the array is destructed");
        assert_eq!(read(a, 0, s), Err(TN_ERR_DESTRUCTED));
        assert_eq!(read(a, TN_END_FAILED << 9, s), Err(TN_ERR_INVALID));
        let guard = read(taken, 0, s).unwrap();
        assert_eq!(tn_borrow_end(guard, 0, gone), TN_ERR_STALE);
        end(guard, s);
        // The array is poisoned, and the stream with the failed writer's work goes on.
        let guard = write(taken, 0, s).unwrap();
        assert_eq!(tn_borrow_end(guard, TN_END_FAILED, s), TN_OK);
        assert_eq!(host(taken), (TN_ERR_POISONED, TN_ERR_POISONED));
        assert_eq!(write(taken, TN_WRITE_DISCARD, null_mut()), Err(TN_ERR_PENDING));
        end(write(taken, TN_WRITE_DISCARD, s).unwrap(), s);
        assert_eq!(host(taken), (TN_ERR_PENDING, TN_ERR_PENDING), "healed");
        go(hands, s);
        assert_eq!(host(taken), (TN_OK, TN_OK));
        // A failed writer whose work is done leaves its poison.
        let guard = write(taken, 0, s).unwrap();
        assert_eq!(tn_borrow_end(guard, TN_END_FAILED, s), TN_OK);
        assert_eq!(tn_array_wait(taken, TN_WRITE), TN_OK);
        assert_eq!(host(taken), (TN_ERR_POISONED, TN_ERR_POISONED));
        end(write(taken, TN_WRITE_DISCARD, null_mut()).unwrap(), null_mut());
        assert_eq!(host(taken), (TN_OK, TN_OK));
        [a, taken].into_iter().for_each(release);
        drop_stream(s);
        run_releases();
        assert_eq!(memory.released(), 1);
    });
}

/// How many holders of a kind tn_leaks lists.
fn leaks(kind: tn_holder_kind) -> usize {
    let mut n = 0;
    // SAFETY: the number is ours.
    assert_eq!(unsafe { tn_leaks(size_of::<tn_holder>(), 0, null_mut(), &mut n) }, TN_OK);
    let mut holders: Vec<tn_holder> = Vec::with_capacity(n);
    // SAFETY: as many places as holders, which are filled.
    unsafe {
        assert_eq!(tn_leaks(size_of::<tn_holder>(), n, holders.as_mut_ptr(), &mut n), TN_OK);
        holders.set_len(n.min(holders.capacity()));
    }
    holders.iter().filter(|holder| holder.kind == kind).count()
}

fn spec(array: Array, stream: Stream, access: u32) -> tn_borrow_spec {
    tn_borrow_spec { array, stream, access, reserved: [0; 9] }
}

fn all(specs: &[tn_borrow_spec]) -> Result<Guard, tn_status> {
    let mut guard = null_mut();
    // SAFETY: an array of that length; the pointer is ours.
    match unsafe { tn_borrow_all(specs.len(), specs.as_ptr(), null_mut(), &mut guard) } {
        TN_OK => Ok(guard),
        status => Err(status),
    }
}

#[test]
fn ba_8_streams_of_entries() {
    with_seeds(|device, hands| {
        let (one, two, three) = (Memory::new(10), Memory::new(10), Memory::new(10));
        let (a, b) = (one.lend(gpu(0), true, false), two.lend(MANAGED, true, false));
        let h = three.lend(HOST, true, false);
        let s = stalled(hands);
        // Entries with a stream are recorded; for the others the work has ended on the host.
        let guard =
            all(&[spec(a, s, TN_READ_WRITE), spec(b, null_mut(), TN_READ_WRITE), spec(h, 1 as Stream, TN_READ)])
                .unwrap();
        end(guard, s);
        assert_eq!((host(a), host(b), host(h)), ((TN_ERR_PENDING, TN_ERR_PENDING), (TN_OK, TN_OK), (TN_OK, TN_OK)));
        // One PENDING entry makes the call PENDING, and nothing changes.
        let mixed = [spec(b, s, TN_READ_WRITE), spec(a, null_mut(), TN_READ)];
        assert_eq!(all(&mixed), Err(TN_ERR_PENDING));
        assert_eq!(host(b), (TN_OK, TN_OK));
        // An entry on host memory with a stream is always wrong, but states are checked first.
        assert_eq!(all(&[spec(a, null_mut(), TN_READ), spec(h, s, TN_READ)]), Err(TN_ERR_DEVICE));
        let mut promise = null_mut();
        // SAFETY: the pointer is ours.
        assert_eq!(unsafe { tn_array_give(b, 1, &mut promise) }, TN_OK);
        assert_eq!(all(&[spec(h, s, TN_READ), spec(b, s, TN_READ)]), Err(TN_ERR_GIVEN));
        assert_eq!(tn_promise_cancel(promise), TN_OK);
        assert_eq!(tn_promise_release(promise), TN_OK);
        if device.has_two() {
            let t = stream(1);
            let guard = all(&[spec(a, s, TN_READ), spec(b, s, TN_READ)]).unwrap();
            assert_eq!(tn_borrow_end(guard, 0, t), TN_ERR_DEVICE);
            assert_eq!(write(b, 0, s), Err(TN_ERR_BORROWED), "all of it is still open");
            end(guard, s);
            drop_stream(t);
        }
        // TN_WAIT waits for the entries after all of them are checked.
        let other = clone(b);
        let waiting = [spec(a, null_mut(), TN_READ | TN_WAIT), spec(b, null_mut(), TN_READ_WRITE | TN_WRITE_UNIQUE)];
        assert_eq!(all(&waiting), Err(TN_ERR_SHARED), "at once");
        release(other);
        let waiting = [spec(a, null_mut(), TN_READ | TN_WAIT), spec(b, null_mut(), TN_READ_WRITE | TN_WAIT)];
        while_stalled(hands, s, || end(all(&waiting).unwrap(), null_mut()));
        [a, b, h].into_iter().for_each(release);
        drop_stream(s);
    });
}

#[test]
fn br_62_chunks_end_on_streams_of_their_own() {
    with_seeds(|_, hands| {
        let memory = Memory::new(40);
        let a = memory.lend(gpu(0), true, false);
        let (s, t) = (stalled(hands), stream(0));
        let none = tn_part { guard: null_mut(), data: null_mut(), start: 0, length: 0, reserved: [0; 4] };
        let mut chunks = [none; 4];
        // SAFETY: as many places as chunks.
        assert_eq!(unsafe { tn_array_split_write(a, 0, 4, 0, s, chunks.as_mut_ptr()) }, TN_OK);
        for (place, chunk) in chunks.iter().enumerate() {
            end(chunk.guard, [s, s, t, null_mut()][place]);
        }
        assert_eq!(tn_stream_synchronize(t), TN_OK);
        let parts = [0, 10, 20, 30].map(|start| part(a, start, start + 10));
        assert_eq!(host(parts[0]), (TN_ERR_PENDING, TN_ERR_PENDING));
        assert_eq!(host(parts[1]), (TN_ERR_PENDING, TN_ERR_PENDING));
        assert_eq!((host(parts[2]), host(parts[3])), ((TN_OK, TN_OK), (TN_OK, TN_OK)));
        let mut more = [none; 2];
        // SAFETY: as above.
        assert_eq!(unsafe { tn_array_split_write(a, 0, 2, 0, null_mut(), more.as_mut_ptr()) }, TN_ERR_PENDING);
        assert!(more.iter().all(|chunk| chunk.guard.is_null()));
        go(hands, s);
        // SAFETY: as above.
        assert_eq!(unsafe { tn_array_split_write(a, 0, 2, TN_WAIT, null_mut(), more.as_mut_ptr()) }, TN_OK);
        more.iter().for_each(|chunk| end(chunk.guard, null_mut()));
        parts.into_iter().chain([a]).for_each(release);
        [s, t].into_iter().for_each(drop_stream);
    });
}

/// Number and bytes of the deferred releases, from a query of the host.
fn queued() -> (u64, u64) {
    // SAFETY: plain data, for which zero is valid.
    let mut info: tn_device_info = unsafe { std::mem::zeroed() };
    info.size = size_of::<tn_device_info>();
    // SAFETY: the struct is ours, and says its size.
    assert_eq!(unsafe { tn_device_query(HOST, 0, &mut info) }, TN_OK);
    (info.queued_releases, info.queued_bytes)
}

#[test]
fn tr_10_st_8_stores_and_streams_outlive_their_handles_until_the_work_is_done() {
    with_seeds(|_, hands| {
        let memory = Memory::new(10);
        let a = memory.lend(gpu(0), true, false);
        let s = stalled(hands);
        reads_on(a, s);
        // No handle is left, but the lender is told only after the work has passed.
        release(a);
        assert_eq!((memory.released(), run_releases()), (0, 0));
        assert_eq!(leaks(TN_HOLDER_QUEUED_RELEASE), 1, "what waits is shown");
        assert_eq!(queued(), (1, 40));
        // ST-8: the stream's handle is released, and its work goes on.
        drop_stream(s);
        assert_eq!((memory.released(), run_releases()), (0, 0));
        hands.release_all();
        let mut ran = 0;
        while ran == 0 {
            hands.step(1);
            ran = run_releases();
        }
        assert_eq!((memory.released(), ran), (1, 1));
        assert_eq!(queued(), (0, 0));

        // XI-18: only the device still uses the import, so a weak handle finds nothing.
        let memory = Memory::new(10);
        let a = memory.lend(gpu(0), true, false);
        let s = stalled(hands);
        let (mut weak, mut again) = (null_mut(), null_mut());
        // SAFETY: the pointers are ours.
        assert_eq!(unsafe { tn_array_weaken(a, &mut weak) }, TN_OK);
        writes_on(a, s);
        release(a);
        // SAFETY: as above.
        assert_eq!(unsafe { tn_weak_upgrade(weak, &mut again) }, TN_ERR_DESTRUCTED);
        assert_eq!(tn_weak_release(weak), TN_OK);
        go(hands, s);
        drop_stream(s);
        assert_eq!((run_releases(), memory.released()), (1, 1));

        // The import ends before the store. Its own work counts, through whatever handle it was issued.
        let memory = Memory::new(10);
        let a = memory.lend(gpu(0), true, false);
        let s = stalled(hands);
        let view = part(a, 0, 5);
        writes_on(view, s);
        [view, a].into_iter().for_each(release);
        assert_eq!(memory.released(), 0);
        go(hands, s);
        // A later call of another user ends it.
        let other = Memory::new(1);
        let b = other.lend(gpu(0), true, false);
        reads_on(b, s);
        assert_eq!(memory.released(), 1);
        assert_eq!(tn_stream_synchronize(s), TN_OK);
        release(b);
        drop_stream(s);
        run_releases();
        assert_eq!(other.released(), 1);
    });
}

#[test]
fn pn_6_the_end_of_registered_memory_waits() {
    with_seeds(|_, hands| {
        let memory = Memory::new(10);
        let a = memory.lend(PINNED, true, true);
        let (s, b) = (stalled(hands), clone(a));
        writes_on(a, s);
        release(a);
        assert_eq!(memory.released(), 0, "not the last");
        while_stalled(hands, s, || release(b));
        assert_eq!(memory.released(), 1);
        drop_stream(s);
    });
}

#[test]
fn cow_and_unique_beside_unfinished_work() {
    with_seeds(|_, hands| {
        let memory = Memory::new(10);
        let a = memory.lend(MANAGED, true, false);
        let s = stalled(hands);
        reads_on(a, s);
        // Only the pending work is an obstacle, which is no reason for a copy.
        assert_eq!(write(a, TN_WRITE_COW, null_mut()), Err(TN_ERR_PENDING));
        assert_eq!(write(a, TN_WRITE_UNIQUE, null_mut()), Err(TN_ERR_PENDING));
        end(write(a, TN_WRITE_UNIQUE, s).unwrap(), s);
        go(hands, s);
        release(a);
        drop_stream(s);
        run_releases();
        assert_eq!(memory.released(), 1);
    });
}

#[test]
fn tr_11_xc_10_everything_that_the_host_reads_is_pending() {
    with_seeds(|_, hands| {
        let memory = Memory::new(9);
        let a = memory.lend(MANAGED, true, false);
        let s = stalled(hands);
        writes_on(a, s);
        let export = |flags: u32| {
            let (mut view, mut guard) = (std::mem::MaybeUninit::<tn_view_info>::uninit(), null_mut());
            // SAFETY: the places are ours.
            match unsafe { tn_array_export_host(a, flags, 0, null_mut(), view.as_mut_ptr(), &mut guard, null_mut()) } {
                TN_OK => Ok(guard),
                status => Err(status),
            }
        };
        assert_eq!(export(TN_BORROW), Err(TN_ERR_PENDING));
        // The caller has ordered its use, so the bytes are passed on as they are.
        end(export(TN_BORROW | TN_UNORDERED).unwrap(), null_mut());
        assert_eq!(export(TN_BORROW), Err(TN_ERR_PENDING));
        let mut leaf = null_mut();
        // SAFETY: the pointer is ours.
        assert_eq!(unsafe { tn_expr_leaf(a, TN_FORM_DIAGONAL, &mut leaf) }, TN_ERR_PENDING);
        while_stalled(hands, s, || end(export(TN_BORROW | TN_WAIT).unwrap(), null_mut()));
        // A leaf is a read: the device's pending reads do not hinder it, but they hinder overwriting the array.
        // SAFETY: the pointer is ours.
        unsafe {
            assert_eq!(tn_expr_leaf(a, TN_FORM_DIAGONAL, &mut leaf), TN_OK);
            assert_eq!(tn_expr_release(leaf), TN_OK);
        }
        release(a);
        drop_stream(s);
        run_releases();
        assert_eq!(memory.released(), 1);
    });
}

/// The host may read an operand that a device still reads, but must not overwrite it yet. The result is right in both
/// cases.
#[test]
fn br_61_an_expression_overwrites_operands_that_a_device_has_read() {
    with_seeds(|_, hands| {
        let memory = Memory::new(9);
        let a = memory.lend(MANAGED, true, false);
        let s = stalled(hands);
        let (mut leaf, mut scaled, mut result) = (null_mut(), null_mut(), null_mut());
        // SAFETY: the pointers are ours.
        unsafe {
            assert_eq!(tn_expr_leaf(a, TN_FORM_FULL, &mut leaf), TN_OK);
            reads_on(a, s);
            assert_eq!(tn_expr_scale(leaf, 2.0, &mut scaled), TN_OK);
            assert_eq!(tn_expr_release(leaf), TN_OK);
            release(a);
            assert_eq!(tn_expr_compute(scaled, 0, &mut result), TN_ERR_PENDING);
            assert!(result.is_null(), "untouched");
            go(hands, s);
            assert_eq!(tn_expr_compute(scaled, 0, &mut result), TN_OK);
            assert_eq!(tn_expr_release(scaled), TN_OK);
        }
        let mut data = std::ptr::null();
        let mut guard = null_mut();
        // SAFETY: the places are ours, and the data nine elements.
        unsafe {
            assert_eq!(tn_array_borrow_read(result, 0, null_mut(), &mut data, null_mut(), &mut guard), TN_OK);
            assert_eq!(data as u64, memory.address(), "in place");
            let values = std::slice::from_raw_parts(data.cast::<f32>(), 9);
            assert!(values.iter().enumerate().all(|(i, value)| *value == 2.0 * i as f32));
        }
        end(guard, null_mut());
        release(result);
        drop_stream(s);
    });
}

#[test]
fn the_host_does_not_touch_unreachable_memory() {
    with_seeds(|_, _| {
        let memory = Memory::new(9);
        let a = memory.lend(gpu(0), true, false);
        // A guard on a device tells the address, but the host must not use it.
        let (mut data, mut guard) = (null_mut(), null_mut());
        let mut view = std::mem::MaybeUninit::<tn_view_info>::uninit();
        // SAFETY: the places are ours, and filled if the call succeeds.
        let view = unsafe {
            assert_eq!(tn_array_borrow_write(a, 0, null_mut(), &mut data, view.as_mut_ptr(), &mut guard), TN_OK);
            view.assume_init()
        };
        assert_eq!((view.device.r#type, view.device.id), (TN_CUDA, 0));
        assert_eq!((data as u64, view.device_data), (memory.address(), memory.address()));
        end(guard, null_mut());
        let mut leaf = null_mut();
        // SAFETY: the pointers are ours.
        unsafe {
            assert_eq!(tn_expr_leaf(a, TN_FORM_DIAGONAL, &mut leaf), TN_ERR_DEVICE);
            let path = c"/nonexistent/array.npy".as_ptr();
            assert_eq!(tn_array_save_npy(a, path, 0), TN_ERR_DEVICE);
        }
        release(a);
        assert_eq!(memory.released(), 1);
    });
}

#[test]
fn br_64_a_pool_gets_the_bytes_with_their_pending_work() {
    counted(|_, hands, sim| {
        let mut pool = null_mut();
        let options = std::ptr::null();
        let (s, t) = (stalled(hands), stream(0));
        let shape = [1 << 18];
        let mut a = null_mut();
        // SAFETY: the pointers are ours.
        unsafe {
            assert_eq!(tn_pool_create(gpu(0), options, &mut pool), TN_OK);
            assert_eq!(tn_array_empty(pool, TN_F32, 1, shape.as_ptr(), std::ptr::null(), &mut a), TN_OK);
        }
        let block = |stream: Stream| {
            let mut block = null_mut();
            // SAFETY: the pointer is ours.
            assert_eq!(unsafe { tn_pool_allocate(pool, 4 << 18, 0, stream, &mut block) }, TN_OK);
            block
        };
        let mut data = std::ptr::null();
        let mut guard = null_mut();
        // SAFETY: the places are ours.
        assert_eq!(unsafe { tn_array_borrow_read(a, 0, s, &mut data, null_mut(), &mut guard) }, TN_OK);
        end(guard, s);
        writes_on(a, s);
        // Nothing waits on the host here.
        let (host_waits, _) = sim.calls_of("cuEventSynchronize", || {
            release(a);
            // Another stream gets other bytes, or waits for these on the device. A stream ordered after this one may
            // have them at once.
            let (waits, other) = sim.calls_of("cuStreamWaitEvent", || block(t));
            assert!(other.cast_const() != data || waits > 0);
            let same = block(s);
            assert!(same.cast_const() == data || other.cast_const() == data);
            assert_eq!(tn_pool_deallocate(pool, same, s), TN_OK);
            assert_eq!(tn_pool_deallocate(pool, other, t), TN_OK);
        });
        assert_eq!(host_waits, 0);
        go(hands, s);
        assert_eq!(tn_stream_synchronize(t), TN_OK);
        [s, t].into_iter().for_each(drop_stream);
        assert_eq!(tn_pool_release(pool), TN_OK);
    });
}

/// The block of the copy comes from an array that was released while a device still wrote it.
#[test]
fn br_8_60_a_copy_on_write_into_memory_with_unfinished_work() {
    const N: i64 = (2 << 20) / 4;
    counted(|_, hands, _| {
        // Not where the host copies page-locked bytes: it gets no block that a device still uses.
        let discard = TN_WRITE_DISCARD;
        for (device, discard) in [(MANAGED, 0), (gpu(0), 0), (MANAGED, discard), (PINNED, discard), (gpu(0), discard)] {
            let (mut pool, mut leaks) = (null_mut(), [0; 2]);
            // SAFETY: the pointers are ours.
            unsafe {
                assert_eq!(tn_leaks(size_of::<tn_holder>(), 0, null_mut(), &mut leaks[0]), TN_OK);
                // Room for two arrays: the third one gets the block of a former one.
                let options =
                    tn_pool_options { size: size_of::<tn_pool_options>(), max_size: 4 << 20, ..std::mem::zeroed() };
                assert_eq!(tn_pool_create(device, &options, &mut pool), TN_OK);
            }
            let full = |value: f32, stream: Stream| {
                let mut array = null_mut();
                // SAFETY: the pointers are ours, and the value has the array's type.
                unsafe {
                    assert_eq!(tn_array_empty(pool, TN_F32, 1, [N].as_ptr(), std::ptr::null(), &mut array), TN_OK);
                    assert_eq!(tn_array_fill(array, std::ptr::from_ref(&value).cast(), 0, stream), TN_OK);
                }
                array
            };
            let a = full(5.0, null_mut());
            assert_eq!(tn_array_wait(a, TN_READ_WRITE), TN_OK);
            let (s, t) = (stalled(hands), stream(0));
            let former = full(3.0, null_mut());
            assert_eq!(tn_array_wait(former, TN_READ_WRITE), TN_OK);
            writes_on(former, s);
            release(former);
            let b = clone(a);
            let guard = write(b, TN_WRITE_COW | discard, t).unwrap();
            end(guard, t);
            // The next uses of the moved handle find its own records.
            end(read(b, 0, t).unwrap(), t);
            end(write(b, 0, t).unwrap(), t);
            assert_eq!(host(b).0, TN_ERR_PENDING, "the former work is in the way of the host");
            go(hands, s);
            assert_eq!(tn_array_wait(b, TN_READ_WRITE), TN_OK);
            if discard == 0 {
                let mut seen = vec![0_f32; N as usize];
                let bytes = seen.as_mut_ptr().cast();
                // SAFETY: as many elements as the array has.
                assert_eq!(unsafe { tn_array_copy_to_host(b, bytes, std::ptr::null(), null_mut()) }, TN_OK);
                assert!(seen.iter().all(|value| *value == 5.0));
            }
            [a, b].into_iter().for_each(release);
            [s, t].into_iter().for_each(drop_stream);
            assert_eq!(tn_pool_release(pool), TN_OK);
            // SAFETY: the pointer is ours.
            assert_eq!(unsafe { tn_leaks(size_of::<tn_holder>(), 0, null_mut(), &mut leaks[1]) }, TN_OK);
            assert_eq!(leaks[1], leaks[0]);
        }
    });
}

#[test]
fn br_8_60_a_copy_on_write_comes_after_the_work_on_the_old_bytes() {
    // Not on a GPU: a growing pool may have to free memory, for which the driver may wait for all work.
    counted(|_, hands, _| {
        for device in [MANAGED, PINNED, gpu(0)] {
            let (s, t) = (stalled(hands), stream(0));
            let (mut pool, mut a) = (null_mut(), null_mut());
            let (five, seven): (f32, f32) = (5.0, 7.0);
            let fill = |array: Array, value: &f32, mode: u32, stream: Stream| {
                // SAFETY: a value of the array's type.
                unsafe { tn_array_fill(array, std::ptr::from_ref(value).cast(), mode, stream) }
            };
            // SAFETY: the pointers are ours.
            unsafe {
                assert_eq!(tn_pool_default(device, &mut pool), TN_OK);
                assert_eq!(tn_array_empty(pool, TN_F32, 1, [16].as_ptr(), std::ptr::null(), &mut a), TN_OK);
            }
            assert_eq!(fill(a, &seven, 0, null_mut()), TN_OK);
            // The host fills pinned memory; then there is work of its own.
            assert_eq!(fill(a, &five, 0, s), TN_OK);
            writes_on(a, s);
            let b = clone(a);
            // A copy by the host would be too early. The host copies without a stream, and page-locked bytes also with
            // one.
            let by_device = device.r#type != TN_CUDA_HOST;
            if device.r#type != TN_CUDA {
                assert_eq!(write(b, TN_WRITE_COW, null_mut()), Err(TN_ERR_PENDING));
            }
            let guard = if by_device {
                write(b, TN_WRITE_COW, t).unwrap()
            } else {
                assert_eq!(write(b, TN_WRITE_COW, t), Err(TN_ERR_PENDING));
                while_stalled(hands, s, || write(b, TN_WRITE_COW | TN_WAIT, t).unwrap())
            };
            // The copy counts as work that writes the new bytes and reads the old ones, whatever the caller says.
            end(guard, null_mut());
            if by_device {
                assert_eq!((host(b).0, host(a).0), (TN_ERR_PENDING, TN_ERR_PENDING));
                go(hands, s);
            }
            assert_eq!(tn_array_wait(a, TN_READ_WRITE), TN_OK);
            assert_eq!(fill(a, &seven, 0, null_mut()), TN_OK);
            for (array, value) in [(b, five), (a, seven)] {
                let mut seen = [0_f32; 16];
                let place = std::ptr::from_mut(&mut seen).cast();
                // SAFETY: as many elements as the array has.
                assert_eq!(unsafe { tn_array_copy_to_host(array, place, std::ptr::null(), null_mut()) }, TN_OK);
                assert_eq!(seen, [value; 16], "{}", device.r#type);
            }
            [a, b].into_iter().for_each(release);
            [s, t].into_iter().for_each(drop_stream);
            assert_eq!(tn_pool_release(pool), TN_OK);
        }
    });
}

/// TR-22, DV-8: work on a lost device is over, and a caller that waits for it gets the status.
#[test]
fn tr_22_work_on_a_lost_device() {
    alone("tr_22_work_on_a_lost_device", &[], || {
        let device = device();
        let sim = device.simulated();
        let memory = Memory::new(9);
        let a = memory.lend(gpu(0), true, false);
        let s = stalled(device.hands());
        writes_on(a, s);
        assert_eq!(host(a).0, TN_ERR_PENDING);
        sim.break_device(0, 700);
        assert_eq!(tn_array_wait(a, TN_READ), TN_ERR_DRIVER);
        assert_eq!(tn_array_wait(a, TN_READ), TN_ERR_DRIVER, "and again");
        assert_eq!(read(a, 0, s), Err(TN_ERR_DRIVER));
        release(a);
        run_releases();
        assert_eq!(memory.released(), 1, "the memory goes back all the same");
        drop_stream(s);
    });
}

/// Runs something in a child of this process, which ends there. Returns whether it succeeded.
fn holds_in_a_child(body: impl FnOnce()) -> bool {
    // SAFETY: the child calls the library, which is made for it, and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let fine = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).is_ok();
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(!fine as i32) };
    }
    let mut status = 0;
    // SAFETY: our child, and the number is ours.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    status == 0
}

/// ST-15: in the child of a fork every call on a device array is refused, also without a stream; its release succeeds.
/// Host arrays work.
#[test]
fn st_15_arrays_after_a_fork() {
    alone("st_15_arrays_after_a_fork", &[], || {
        let device = device();
        let calls = || device.sim.map(|sim| sim.calls(""));
        for place in [gpu(0), MANAGED, PINNED] {
            let (mut pool, mut a, mut host_array) = (null_mut(), null_mut(), null_mut());
            // SAFETY: the pointers are ours; a NULL pool is the host's current one.
            unsafe {
                assert_eq!(tn_pool_default(place, &mut pool), TN_OK);
                assert_eq!(tn_array_zeros(pool, TN_F32, 1, [16].as_ptr(), std::ptr::null(), &mut a), TN_OK);
                assert_eq!(
                    tn_array_zeros(null_mut(), TN_F32, 1, [16].as_ptr(), std::ptr::null(), &mut host_array),
                    TN_OK
                );
            }
            let s = stream(0);
            let (b, guard) = (clone(a), read(a, 0, s).unwrap());
            let (mut remembered, mut given) = (null_mut(), null_mut());
            let c = clone(a);
            // SAFETY: the pointers are ours.
            unsafe {
                assert_eq!(tn_array_weaken(a, &mut remembered), TN_OK);
                assert_eq!(tn_array_give(c, 1, &mut given), TN_OK);
            }
            assert_eq!(tn_array_wait(a, TN_READ_WRITE), TN_OK);
            let in_child = || {
                let before = calls();
                let value = 1.0_f32;
                let element = std::ptr::from_ref(&value).cast();
                // SAFETY: plain data, for which zero is valid.
                let mut info: tn_array_info = unsafe { std::mem::zeroed() };
                info.size = size_of::<tn_array_info>();
                let (mut view, mut promise, mut weak) = (null_mut(), null_mut(), null_mut());
                let (mut overlap, mut unique, mut bits, mut n, mut how) = (0, 0, 0, 0, 0);
                let mut tensor = null_mut();
                let mut seen = [0_f32; 16];
                let bytes: *mut f32 = seen.as_mut_ptr();
                let whole = tn_slice_spec { start: 0, stop: 2, step: 1, reserved: [0; 4] };
                // SAFETY: the places are ours, and long enough.
                let refused = unsafe {
                    [
                        read(b, 0, null_mut()).unwrap_err(),
                        write(b, 0, null_mut()).unwrap_err(),
                        write(b, TN_WRITE_COW, null_mut()).unwrap_err(),
                        read(b, 0, s).unwrap_err(),
                        tn_array_wait(b, TN_READ),
                        tn_array_query(b, &mut info),
                        tn_array_set_name(b, c"b".as_ptr()),
                        tn_array_clone(b, &mut view),
                        tn_array_slice(b, 1, &whole, &mut view),
                        tn_array_overlap(a, b, &mut overlap),
                        tn_array_weaken(b, &mut weak),
                        tn_array_give(b, 1, &mut promise),
                        tn_take(1, &given, &mut view),
                        tn_promise_cancel(given),
                        tn_weak_upgrade(remembered, &mut view),
                        tn_array_is_unique(b, &mut unique),
                        tn_array_why_not(b, std::ptr::null(), size_of::<tn_holder>(), 0, &mut bits, null_mut(), &mut n),
                        tn_array_export_dlpack_versioned(b, std::ptr::null(), &mut tensor, &mut how),
                        tn_array_fill(b, element, 0, null_mut()),
                        tn_array_copy(b, null_mut(), null_mut(), &mut view),
                        tn_array_to_device(b, HOST, null_mut(), null_mut(), &mut view),
                        tn_array_copy_into(b, host_array, 0, null_mut()),
                        tn_array_copy_into(host_array, b, 0, null_mut()),
                        tn_array_copy_to_host(b, bytes.cast(), std::ptr::null(), null_mut()),
                    ]
                };
                assert_eq!(refused, [TN_ERR_DEVICE; 24]);
                assert!(last_error().contains("fork"), "{}", last_error());
                assert!(view.is_null() && promise.is_null() && weak.is_null() && tensor.is_null(), "untouched");
                // Host arrays work; the child releases the parent's arrays without a driver call.
                assert_eq!(host(host_array), (TN_OK, TN_OK));
                // SAFETY: a value of the array's type.
                assert_eq!(unsafe { tn_array_fill(host_array, element, 0, null_mut()) }, TN_OK);
                let copies = [clone(host_array), part(host_array, 0, 3)];
                end(guard, null_mut());
                assert_eq!((tn_promise_release(given), tn_weak_release(remembered)), (TN_OK, TN_OK));
                [copies[0], copies[1], host_array, a, b, c].into_iter().for_each(release);
                run_releases();
                drop_stream(s);
                assert_eq!(calls(), before, "the driver is not called");
            };
            assert!(holds_in_a_child(in_child), "the child's assertions hold on {}", place.r#type);
            end(guard, s);
            assert_eq!((tn_array_wait(a, TN_READ_WRITE), host(host_array)), (TN_OK, (TN_OK, TN_OK)));
            assert_eq!((tn_promise_release(given), tn_weak_release(remembered)), (TN_OK, TN_OK));
            [a, b, c, host_array].into_iter().for_each(release);
            drop_stream(s);
            assert_eq!(tn_pool_release(pool), TN_OK);
        }
    });
}

/// DV-8, TR-11: a lost GPU poisons its unfinished results, wherever they lie, and its own memory. Managed arrays of
/// another GPU and that GPU's memory are unaffected. another GPU's own.
#[test]
fn dv_8_arrays_of_other_devices_than_the_lost_one() {
    alone("dv_8_arrays_of_other_devices_than_the_lost_one", &[], || {
        let device = device();
        let sim = device.simulated();
        device.require_two();
        let second = |kind| tn_device { r#type: kind, id: 1 };
        let memories: Vec<Memory> = (0..5).map(|_| Memory::new(9)).collect();
        let [managed, again, finished, idle] = [0, 1, 2, 3].map(|n| memories[n].lend(MANAGED, true, false));
        let theirs = memories[4].lend(second(TN_CUDA_MANAGED), true, false);
        let [own, source] = [0, 1].map(|id| {
            let (mut pool, mut array) = (null_mut(), null_mut());
            // SAFETY: the pointers are ours.
            unsafe {
                assert_eq!(tn_pool_default(gpu(id), &mut pool), TN_OK);
                assert_eq!(tn_array_zeros(pool, TN_F32, 1, [9].as_ptr(), std::ptr::null(), &mut array), TN_OK);
            }
            assert_eq!((tn_array_wait(array, TN_READ_WRITE), tn_pool_release(pool)), (TN_OK, TN_OK));
            array
        });
        let (s, t) = (stream(0), stream(1));
        writes_on(finished, t);
        assert_eq!((tn_stream_synchronize(t), host(finished)), (TN_OK, (TN_OK, TN_OK)));
        sim.set("pace", 3);
        writes_on(managed, t);
        writes_on(again, t);
        // Later work on another GPU does not repair it.
        writes_on(again, s);
        assert_eq!(tn_array_copy_into(source, own, 0, t), TN_OK);
        sim.break_device(1, 700);
        assert_eq!(tn_stream_synchronize(t), TN_ERR_DRIVER);
        sim.set("pace", 0);
        assert_eq!((host(idle), host(finished)), ((TN_OK, TN_OK), (TN_OK, TN_OK)), "the first GPU's memory is there");
        assert_eq!(host(theirs), (TN_ERR_DRIVER, TN_ERR_DRIVER), "its own is not");
        for _ in 0..2 {
            assert_eq!(host(managed), (TN_ERR_POISONED, TN_ERR_POISONED), "never stale bytes");
            assert_eq!(host(again), (TN_ERR_POISONED, TN_ERR_POISONED), "{}", last_error());
            assert_eq!(read(managed, 0, s), Err(TN_ERR_POISONED));
            assert_eq!(read(own, 0, s), Err(TN_ERR_POISONED));
        }
        let value = 5.0_f32;
        // SAFETY: a value of the array's type.
        assert_eq!(unsafe { tn_array_fill(managed, std::ptr::from_ref(&value).cast(), TN_WAIT, null_mut()) }, TN_OK);
        assert_eq!(host(managed), (TN_OK, TN_OK), "overwritten");
        assert_eq!(tn_stream_synchronize(s), TN_OK);
        [managed, own, source, idle, theirs, again, finished].into_iter().for_each(release);
        [s, t].into_iter().for_each(drop_stream);
        run_releases();
        assert!(memories.iter().all(|memory| memory.released() == 1));
    });
}

/// DV-8: a GPU that is found lost when its work on other memory is recorded has not finished that work either.
#[test]
fn dv_8_lost_before_its_work_was_noted() {
    alone("dv_8_lost_before_its_work_was_noted", &[], || {
        let device = device();
        let sim = device.simulated();
        let zeros = |place| {
            let (mut pool, mut array) = (null_mut(), null_mut());
            // SAFETY: the pointers are ours.
            unsafe {
                assert_eq!(tn_pool_default(place, &mut pool), TN_OK);
                assert_eq!(tn_array_zeros(pool, TN_F32, 1, [9].as_ptr(), std::ptr::null(), &mut array), TN_OK);
            }
            assert_eq!((tn_array_wait(array, TN_READ_WRITE), tn_pool_release(pool)), (TN_OK, TN_OK));
            array
        };
        let (source, target, idle) = (zeros(gpu(0)), zeros(PINNED), zeros(PINNED));
        let s = stream(0);
        sim.hold(native(s));
        sim.fail("cuEventRecord", 1, 1, 700);
        // The work before the copy broke the GPU, which reports it when an event is recorded behind both.
        let status = tn_array_copy_into(source, target, 0, s);
        assert!([TN_OK, TN_ERR_DRIVER].contains(&status), "{status}");
        assert_eq!(host(target), (TN_ERR_POISONED, TN_ERR_POISONED), "never stale bytes");
        assert_eq!(host(idle), (TN_OK, TN_OK));
        [source, target, idle].into_iter().for_each(release);
        drop_stream(s);
    });
}

/// ST-15: in the child of a fork, page-locked memory of the program is still its own.
#[test]
fn st_15_registered_memory_after_a_fork() {
    alone("st_15_registered_memory_after_a_fork", &[], || {
        let device = device();
        let mut memory = vec![7u8; 8192];
        let mut a = null_mut();
        // SAFETY: the memory stays until the array is released.
        assert_eq!(unsafe { tn_host_register(memory.as_mut_ptr().cast(), memory.len(), 0, &mut a) }, TN_OK);
        let in_child = || {
            let before = device.sim.map(|sim| sim.calls(""));
            assert_eq!(host(a), (TN_OK, TN_OK));
            let value = 9u8;
            // SAFETY: a value of the array's type.
            assert_eq!(unsafe { tn_array_fill(a, (&raw const value).cast(), 0, null_mut()) }, TN_OK);
            assert!(memory.iter().all(|&byte| byte == 9));
            release(a);
            assert_eq!(device.sim.map(|sim| sim.calls("")), before, "the driver is not called");
        };
        assert!(holds_in_a_child(in_child));
        assert!(memory.iter().all(|&byte| byte == 7), "the parent's are as they were");
        release(a);
    });
}

/// DV-8: the library does not read managed arrays from a lost device, with or without work on them. Page-locked arrays
/// are the host's; a copy to them that did not finish is poisoned until it is overwritten (TR-11: never stale bytes).
#[test]
fn dv_8_arrays_that_the_host_shares_with_a_lost_device() {
    alone("dv_8_arrays_that_the_host_shares_with_a_lost_device", &[], || {
        let device = device();
        let sim = device.simulated();
        let memories: Vec<Memory> = (0..4).map(|_| Memory::new(9)).collect();
        let pending = memories[0].lend(MANAGED, true, false);
        let idle = memories[1].lend(MANAGED, true, false);
        let pinned = memories[2].lend(PINNED, true, false);
        let read_only = memories[3].lend(PINNED, true, false);
        let s = stalled(device.hands());
        reads_on(read_only, s);
        [pending, pinned].into_iter().for_each(|array| writes_on(array, s));
        assert_eq!((host(pending).0, host(idle).0, host(pinned).0), (TN_ERR_PENDING, TN_OK, TN_ERR_PENDING));
        sim.break_device(0, 700);
        assert_eq!(tn_stream_synchronize(s), TN_ERR_DRIVER);
        let (calls, ()) = sim.calls_of("", || {
            assert_eq!(tn_array_wait(pinned, TN_READ), TN_ERR_DRIVER, "its bytes never came");
            for _ in 0..2 {
                for array in [pending, idle] {
                    let view = clone(array);
                    assert_eq!(host(array), (TN_ERR_DRIVER, TN_ERR_DRIVER));
                    assert!(last_error().contains("CUDA_ERROR_ILLEGAL_ADDRESS (700)"), "{}", last_error());
                    assert_eq!(read(array, TN_WAIT, null_mut()), Err(TN_ERR_DRIVER));
                    assert_eq!(tn_array_wait(array, TN_READ_WRITE), TN_ERR_DRIVER);
                    assert!(last_error().contains("CUDA_ERROR_ILLEGAL_ADDRESS (700)"), "{}", last_error());
                    release(view);
                }
                assert_eq!(host(read_only), (TN_OK, TN_OK), "bytes of the host, which are as they were");
                assert_eq!(host(pinned), (TN_ERR_POISONED, TN_ERR_POISONED));
            }
            let value = 5.0_f32;
            // SAFETY: a value of the array's type.
            assert_eq!(unsafe { tn_array_fill(pinned, std::ptr::from_ref(&value).cast(), 0, null_mut()) }, TN_OK);
            assert_eq!(host(pinned), (TN_OK, TN_OK), "overwritten");
            assert_eq!(tn_array_wait(pinned, TN_READ_WRITE), TN_OK);
            [pending, idle, pinned, read_only].into_iter().for_each(release);
            drop_stream(s);
            run_releases();
        });
        assert_eq!(calls, 0, "no call of the driver about a lost device");
        assert!(memories.iter().all(|memory| memory.released() == 1));
    });
}
