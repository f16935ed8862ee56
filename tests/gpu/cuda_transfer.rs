//! Copies between host, page-locked, managed and device arrays through the C functions: TR rows. On the simulator or a
//! GPU; see support/cuda.rs. TENURE_TEST_ROUNDS: number of random cases, each named by its seed.

use crate::driver_call;
use crate::support;
use std::ffi::c_void;
use std::ptr::{null, null_mut};
use support::cuda::{Device, device, with_context, without_blocking};
use support::random::Random;
use support::shadowed_arrays::*;
use tenure::ffi::array::{tn_array_empty, tn_array_full, tn_array_import_host, tn_array_set_name};
use tenure::ffi::borrow::{tn_array_borrow_read, tn_borrow_end};
use tenure::ffi::pool::{
    tn_pool_allocate, tn_pool_create, tn_pool_deallocate, tn_pool_query, tn_pool_release, tn_pool_trim,
};
use tenure::ffi::promise::{tn_array_give, tn_promise_cancel, tn_promise_release};
use tenure::ffi::transfer::{tn_array_copy_from_host, tn_array_to_device, tn_promise_to_device};
use tenure::types::*;
use tenure_harness::{skip, test};

const NOW: *mut tn_stream = null_mut();

fn rounds() -> u64 {
    std::env::var("TENURE_TEST_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(400)
}

/// Memory for arrays: each kind, and a second GPU if there is one.
fn memories(device: &Device) -> Vec<tn_device> {
    let mut all = vec![HOST, PINNED, MANAGED, GPU];
    all.extend(device.has_two().then_some(GPU1));
    all
}

fn shape(random: &mut Random) -> Vec<i64> {
    let ndim = random.below_i64(4);
    (0..ndim).map(|_| if random.one_in(30) { 0 } else { 1 + random.below_i64(7) }).collect()
}

#[test]
fn tr_2_tr_3_tr_6_tr_7_tr_13_any_layouts_between_any_memories() {
    let device = device();
    let memories = memories(&device);
    let streams = [Stream::new(GPU), Stream::new(GPU)];
    for seed in 1..=rounds() {
        let random = &mut Random::new(seed * 0x9E37_79B9);
        let kind = DTYPES[random.below_i64(5) as usize];
        let shape = shape(random);
        let mut place = || memories[random.below_i64(memories.len() as i64) as usize];
        let (to, from) = (place(), place());
        let (mut target, dst) = Store::with_view(random, to, kind, &shape);
        let (source, mut src) = Store::with_view(random, from, kind, &shape);
        if !shape.is_empty() && random.one_in(5) {
            // The first axis repeats.
            let first = src.array.slice(&[tn_slice_spec { start: 0, stop: 1, step: 1, reserved: [0; 4] }]);
            if shape[0] > 0 {
                src = View::of(first.broadcast(&shape));
            }
        }
        let on_gpu = [to, from].contains(&GPU);
        let stream = if on_gpu && random.one_in(2) { streams[random.below_i64(2) as usize].0 } else { NOW };
        let why = format!("seed {seed}: {} <- {}", dst.text, src.text);
        src.array.copy_into(&dst.array, TN_WAIT, stream).unwrap_or_else(|status| panic!("{why}: {status} {}", text()));
        target.put(&dst, &source.get(&src));
        drop((dst, src));
        source.array.wait(TN_READ_WRITE).unwrap();
        target.array.wait(TN_READ).unwrap();
        target.check(&why);
        source.check(&why);
    }
}

#[test]
fn tr_9_raw_memory_of_any_layout() {
    let device = device();
    let memories = memories(&device);
    for seed in 1..=rounds() {
        let random = &mut Random::new(seed * 0xC2B2_AE35);
        let kind = DTYPES[random.below_i64(5) as usize];
        let shape = shape(random);
        let place = memories[random.below_i64(memories.len() as i64) as usize];
        let (mut store, view) = Store::with_view(random, place, kind, &shape);
        let why = format!("seed {seed}: {}", view.text);
        assert!(view.array.read() == store.get(&view), "{why}");
        let elements: Vec<u8> = (0..store.get(&view).len()).map(|_| random.next() as u8).collect();
        view.array.write(&elements, NOW).unwrap();
        store.put(&view, &elements);
        store.check(&why);
    }
}

#[test]
fn tr_4_tr_5_overlap_within_one_store() {
    let _device = device();
    let spec = |start, stop, step| [tn_slice_spec { start, stop, step, reserved: [0; 4] }];
    let n = 257;
    for (to, from) in [
        (spec(1, n, 1), spec(0, n - 1, 1)),
        (spec(0, n - 1, 1), spec(1, n, 1)),
        (spec(0, 128, 1), spec(0, 256, 2)),
        (spec(TN_NONE, TN_NONE, 1), spec(TN_NONE, TN_NONE, -1)),
        (spec(64, 192, 1), spec(0, 128, 1)),
        (spec(0, 256, 2), spec(1, 257, 2)),
    ] {
        let mut store = Store::new(&mut Random::new(5), GPU, (TN_F64, 8), &[n]);
        let (dst, src) = (View::of(store.array.slice(&to)), View::of(store.array.slice(&from)));
        src.array.copy_into(&dst.array, 0, LEGACY).unwrap();
        let read = store.get(&src);
        store.put(&dst, &read);
        store.check(&format!("{} <- {}", dst.text, src.text));
    }
    // Identical elements: nothing to do, in any mode.
    let store = Store::new(&mut Random::new(5), GPU, (TN_F64, 8), &[n]);
    store.array.copy_into(&store.array, TN_WRITE_UNIQUE, NOW).unwrap();
    store.array.copy_into(&store.array.clone(), TN_WRITE_UNIQUE, NOW).unwrap();
    store.check("the same");
}

#[test]
fn tr_8_ar_22_new_arrays_and_their_labels() {
    let device = device();
    let stream = Stream::new(GPU);
    let (store, view) = Store::with_view(&mut Random::new(3), HOST, (TN_F64, 8), &[4, 5]);
    let turned = view.array.permute(&[1, 0]);
    let lies = |array: &Array| (array.info().device.r#type, array.info().device.id);
    for place in memories(&device) {
        let there = view.array.to_device(place, NOW).unwrap();
        assert_eq!(lies(&there), (place.r#type, place.id));
        assert!(there.info().flags & TN_C_CONTIGUOUS != 0 && there.read() == store.get(&view));
        let again = there.to_device(place, NOW).unwrap();
        again.zero(0, NOW).unwrap();
        assert!(there.read() == store.get(&view), "a copy, no alias");
        let back = there.permute(&[1, 0]).copy(NOW).unwrap();
        assert_eq!(lies(&back), (place.r#type, place.id));
        assert!(back.info().flags & TN_F_CONTIGUOUS != 0 && back.read() == turned.read());
    }
    let there = view.array.to_device(GPU, stream.0).unwrap();
    // With a stream, the host's side is page-locked, so that the device can write it.
    let back = there.to_device(HOST, stream.0).unwrap();
    assert_eq!(lies(&back), (TN_CUDA_HOST, 0));
    back.wait(TN_READ).unwrap();
    assert!(back.read() == store.get(&view));
    assert_eq!(lies(&there.to_device(HOST, NOW).unwrap()), (TN_CPU, 0));
    // Repeated elements are transferred once.
    let row = Store::new(&mut Random::new(4), HOST, (TN_F64, 8), &[1000]);
    let tall = row.array.broadcast(&[300, 1000]);
    let before = describe(GPU).to_device_bytes;
    let there = tall.to_device(GPU, NOW).unwrap();
    assert_eq!(describe(GPU).to_device_bytes - before, 8000);
    assert!(there.read() == row.bytes.repeat(300));
    // A pool of another device, and a device that does not exist.
    let mut out = null_mut();
    // SAFETY: a writable output.
    let status =
        unsafe { tenure::ffi::transfer::tn_array_to_device(view.array.0, GPU, pool_of(PINNED), NOW, &mut out) };
    assert_eq!(status, TN_ERR_DEVICE);
    assert_eq!(view.array.to_device(tn_device { id: 9, ..GPU }, NOW).unwrap_err(), TN_ERR_DEVICE);
}

#[test]
fn ar_2_ar_4_ar_7_arrays_like_others_and_their_alignment() {
    let device = device();
    for place in memories(&device) {
        for bytes in [1i64, 3, 500, 5000, 3 << 20] {
            let array = Array::empty(place, TN_U8, &[bytes]);
            let at = borrowed(&array, if place.r#type == TN_CUDA { LEGACY } else { NOW });
            assert_eq!(at as usize % 256, 0, "{place:?}, {bytes} bytes");
        }
        let turned = Array::empty(place, TN_F64, &[3, 4, 2]).permute(&[2, 0, 1]);
        let like = turned.like(3);
        let (is, was) = (like.info(), turned.info());
        assert_eq!((is.device.r#type, is.device.id, is.dtype), (place.r#type, place.id, TN_F64));
        assert_eq!((&is.shape[..3], &is.strides[..3]), (&was.shape[..3], &was.strides[..3]));
        assert!(turned.like(0).info().flags & TN_C_CONTIGUOUS != 0);
    }
}

#[test]
fn tr_10_the_source_of_an_asynchronous_copy_is_kept_and_left_alone() {
    let device = device();
    let hands = device.hands();
    let (s, t) = (Stream::new(GPU), Stream::new(GPU));
    let x = Store::new(&mut Random::new(1), PINNED, (TN_F64, 8), &[5000]);
    let y = Store::new(&mut Random::new(2), GPU, (TN_F64, 8), &[5000]);
    let bytes = x.bytes.clone();
    hands.hold(s.native());
    x.array.copy_into(&y.array, 0, s.0).unwrap();
    assert_eq!(x.array.zero(0, NOW), Err(TN_ERR_PENDING), "{}", text());
    assert_eq!(x.array.look(0, NOW), Ok(()), "reading beside a reader");
    // Other streams wait on the device; the host does not.
    let other = Array::empty(GPU, TN_F64, &[5000]);
    y.array.copy_into(&other, 0, t.0).unwrap();
    // A released handle leaves the bytes to the copy.
    drop(x.array);
    let same: Vec<Array> = (0..4).map(|_| Array::try_full(PINNED, TN_F64, &[5000], &[0xAB; 8]).unwrap()).collect();
    hands.release(s.native());
    assert!(y.array.read() == bytes && other.read() == bytes);
    drop(same);
    // TN_WAIT waits for the copy.
    let x = Store::new(&mut Random::new(3), PINNED, (TN_F64, 8), &[50]);
    let y = Array::empty(GPU, TN_F64, &[50]);
    x.array.copy_into(&y, 0, s.0).unwrap();
    x.array.zero(TN_WAIT, NOW).unwrap();
    assert!(y.read() == x.bytes);
}

#[test]
fn tr_11_tr_22_tr_23_a_host_array_is_never_stale() {
    let device = device();
    let s = Stream::new(GPU);
    let x = Store::new(&mut Random::new(1), GPU, (TN_I32, 4), &[3000]);
    let y = Array::try_full(PINNED, TN_I32, &[3000], &[7; 4]).unwrap();
    let hands = device.hands();
    hands.hold(s.native());
    x.array.copy_into(&y, 0, s.0).unwrap();
    assert_eq!(y.look(0, NOW), Err(TN_ERR_PENDING), "{}", text());
    assert_eq!(y.copy(NOW).map(drop), Err(TN_ERR_PENDING));
    let host = Array::empty(HOST, TN_I32, &[3000]);
    assert_eq!(y.copy_into(&host, 0, NOW), Err(TN_ERR_PENDING));
    // Any other conflict is returned at once (TR-23).
    let clone = y.clone();
    assert_eq!(y.zero(TN_WRITE_UNIQUE | TN_WAIT, NOW), Err(TN_ERR_SHARED), "{}", text());
    drop(clone);
    hands.release(s.native());
    s.synchronize().unwrap();
    y.look(0, NOW).unwrap();
    assert!(y.read() == x.bytes);
    for turn in 0..20 {
        y.fill(&[turn; 4], TN_WAIT, NOW).unwrap();
        x.array.copy_into(&y, 0, s.0).unwrap();
        match turn % 3 {
            0 => y.look(TN_WAIT, NOW).unwrap(),
            1 => y.wait(TN_READ).unwrap(),
            _ => s.synchronize().unwrap(),
        }
        assert!(y.read() == x.bytes, "turn {turn}");
    }
    // A copy into pageable memory is done on return.
    let plain = Array::empty(HOST, TN_I32, &[3000]);
    x.array.copy_into(&plain, 0, s.0).unwrap();
    plain.look(0, NOW).unwrap();
    assert!(plain.read() == x.bytes);
}

#[test]
fn tr_12_random_orders_of_copies_and_fills_on_several_streams() {
    let device = device();
    for seed in 1..=rounds() / 8 {
        if let Some(sim) = device.sim {
            sim.set("seed", seed);
        }
        let random = &mut Random::new(seed * 0x51_7CC1);
        let streams = [Stream::new(GPU), Stream::new(GPU), Stream::new(GPU)];
        let n = 24 + random.below_i64(100);
        let places = [GPU, GPU, GPU, PINNED, MANAGED, HOST];
        let mut stores: Vec<Store> = places.iter().map(|place| Store::new(random, *place, (TN_I32, 4), &[n])).collect();
        for step in 0..40 {
            let (a, b) = (random.below_i64(6) as usize, random.below_i64(6) as usize);
            let stream = if random.one_in(6) { NOW } else { streams[random.below_i64(3) as usize].0 };
            let (start, step_by) = (random.below_i64(3), 1 + random.below_i64(2));
            let length = 1 + random.below_i64((n - 3) / 2);
            let part = |store: &Store, start: i64, step: i64| {
                View::of(store.array.slice(&[tn_slice_spec {
                    start,
                    stop: start + length * step,
                    step,
                    reserved: [0; 4],
                }]))
            };
            let why = format!("seed {seed}, step {step}: {a} -> {b}");
            let count = |view: &View| view.at.len();
            if random.one_in(4) {
                let (dst, value) = (part(&stores[b], start, step_by), [random.next() as u8; 4]);
                // A stream orders nothing on pageable memory.
                let stream = if b == 5 { NOW } else { stream };
                dst.array.fill(&value, TN_WAIT, stream).unwrap_or_else(|status| panic!("{why}: {status} {}", text()));
                let elements = value.repeat(count(&dst));
                stores[b].put(&dst, &elements);
                continue;
            }
            let (src, dst) =
                (part(&stores[a], random.below_i64(3), 1 + random.below_i64(2)), part(&stores[b], start, step_by));
            if count(&src) != count(&dst) {
                continue;
            }
            let stream = if a == 5 && b == 5 { NOW } else { stream };
            src.array
                .copy_into(&dst.array, TN_WAIT, stream)
                .unwrap_or_else(|status| panic!("{why}: {status} {}", text()));
            let elements = stores[a].get(&src);
            stores[b].put(&dst, &elements);
            if random.one_in(10) {
                // Its store continues in a new array; the old array is released with pending work.
                let copy = stores[b].array.to_device(places[b], if b == 5 { NOW } else { stream });
                match copy {
                    Ok(copy) => stores[b].array = copy,
                    Err(status) => assert_eq!(status, TN_ERR_PENDING, "{why}: {}", text()),
                }
            }
        }
        for (at, store) in stores.iter().enumerate() {
            store.array.wait(TN_READ_WRITE).unwrap();
            store.check(&format!("seed {seed}, store {at}"));
        }
    }
}

#[test]
fn tr_13_null_waits_for_its_own_work_only() {
    let device = device();
    let hands = device.hands();
    let stalled = Stream::new(GPU);
    let (a, b) = (Array::empty(GPU, TN_F64, &[100]), Store::new(&mut Random::new(1), GPU, (TN_F64, 8), &[100]));
    hands.hold(stalled.native());
    a.zero(0, stalled.0).unwrap();
    let synchronizes = || device.sim.map(|sim| sim.get("device_synchronizes"));
    let before = synchronizes();
    let c = Array::empty(GPU, TN_F64, &[100]);
    b.array.copy_into(&c, 0, NOW).unwrap();
    assert!(c.read() == b.bytes);
    assert_eq!(b.array.to_device(HOST, NOW).unwrap().read(), b.bytes);
    assert_eq!(synchronizes(), before, "no device was waited for");
    hands.release(stalled.native());
    // After pending work on its operands.
    let long = Array::try_full(GPU, TN_F64, &[100], &[9; 8]).unwrap();
    long.copy_into(&a, 0, stalled.0).unwrap();
    assert!(a.read() == [9u8; 800]);
}

#[test]
fn tr_14_statistics() {
    let _device = device();
    let n = 1 << 20;
    let (plain, locked) =
        (Store::new(&mut Random::new(1), HOST, (TN_F64, 8), &[n]), Array::empty(PINNED, TN_F64, &[n]));
    let there = Array::empty(GPU, TN_F64, &[n]);
    let bytes = 8 * n as u64;
    let begin = describe(GPU);
    plain.array.copy_into(&there, 0, NOW).unwrap();
    let staged = describe(GPU);
    assert_eq!(
        (staged.to_device_count - begin.to_device_count, staged.to_device_bytes - begin.to_device_bytes),
        (1, bytes)
    );
    assert_eq!((staged.staged_bytes - begin.staged_bytes, staged.to_host_count), (bytes, begin.to_host_count));
    there.copy_into(&locked, 0, NOW).unwrap();
    locked.copy_into(&there, 0, NOW).unwrap();
    let direct = describe(GPU);
    assert_eq!(direct.staged_bytes, staged.staged_bytes, "PN-1: page-locked memory needs no staging");
    assert_eq!((direct.to_host_count - staged.to_host_count, direct.to_host_bytes - staged.to_host_bytes), (1, bytes));
    assert!(locked.read() == plain.bytes);
}

#[test]
fn tr_16_tr_17_ar_5_ar_6_fills_of_device_arrays() {
    let device = device();
    for place in memories(&device) {
        for (dtype, item) in DTYPES {
            let value: Vec<u8> = (1..=item as u8).collect();
            let full = Array::try_full(place, dtype, &[5, 3], &value).unwrap();
            assert!(full.read() == value.repeat(15), "{place:?} {dtype:#x}");
            let zeros = Array::try_zeros(place, dtype, &[7], NOW).unwrap();
            assert!(zeros.read() == vec![0; 7 * item]);
            let clone = full.clone();
            full.zero(0, NOW).unwrap();
            assert!(clone.read() == vec![0; 15 * item], "the clone sees it");
            assert_eq!(full.fill(&value, TN_WRITE_UNIQUE, NOW), Err(TN_ERR_SHARED));
            full.fill(&value, TN_WRITE_COW, NOW).unwrap();
            assert!(full.read() == value.repeat(15) && clone.read() == vec![0; 15 * item], "COW moved the handle");
        }
    }
}

#[test]
fn tr_18_ar_3_no_elements_no_driver() {
    let device = device();
    for place in memories(&device) {
        let (a, b) = (Array::empty(place, TN_F64, &[0, 3]), Array::empty(HOST, TN_F64, &[0, 3]));
        let move_all = || {
            a.copy_into(&b, 0, NOW).unwrap();
            b.copy_into(&a, 0, NOW).unwrap();
            a.zero(0, NOW).unwrap();
            a.fill(&[1; 8], 0, NOW).unwrap();
            assert!(a.read().is_empty());
            a.write(&[], NOW).unwrap();
        };
        match device.sim {
            Some(sim) => assert_eq!(sim.calls_of("", move_all).0, 0, "{place:?}"),
            None => move_all(),
        }
    }
}

#[test]
fn tr_1_tr_21_arguments_that_do_not_fit() {
    let device = device();
    let (a, b) = (Array::empty(GPU, TN_F64, &[3]), Array::empty(GPU, TN_F32, &[3]));
    let (c, host) = (Array::empty(GPU, TN_F64, &[3, 1]), Array::empty(HOST, TN_F64, &[3]));
    assert_eq!(a.copy_into(&b, 0, NOW), Err(TN_ERR_DTYPE));
    assert_eq!(a.copy_into(&c, 0, NOW), Err(TN_ERR_SHAPE));
    assert_eq!(a.copy_into(&host.broadcast(&[3]), 1 << 30, NOW), Err(TN_ERR_INVALID));
    let s = Stream::new(GPU);
    assert_eq!(host.copy_into(&host.copy(NOW).unwrap(), 0, s.0), Err(TN_ERR_DEVICE));
    assert_eq!(host.zero(0, s.0), Err(TN_ERR_DEVICE));
    if device.has_two() {
        let t = Stream::new(GPU1);
        assert_eq!(a.copy_into(&host, 0, t.0), Err(TN_ERR_DEVICE), "{}", text());
        // A wrong shape is checked before a wrong device.
        assert_eq!(a.copy_into(&b, 0, t.0), Err(TN_ERR_DTYPE));
        let far = Array::empty(GPU1, TN_F64, &[3]);
        a.copy_into(&far, 0, s.0).unwrap();
        a.copy_into(&far, 0, t.0).unwrap();
    }
    // Staging is no asynchronous copy.
    let (large, there) = (Array::empty(HOST, TN_F64, &[1 << 16]), Array::empty(GPU, TN_F64, &[1 << 16]));
    assert_eq!(large.copy_into(&there, TN_REQUIRE_ASYNC, s.0), Err(TN_ERR_WOULD_COPY), "{}", text());
    large.copy_into(&there, 0, s.0).unwrap();
    let locked = Array::empty(PINNED, TN_F64, &[1 << 16]);
    locked.copy_into(&there, TN_REQUIRE_ASYNC | TN_WAIT, s.0).unwrap();
}

#[test]
fn tr_21_calls_that_a_capture_allows() {
    /// CU_STREAM_CAPTURE_MODE_THREAD_LOCAL.
    const THREAD_LOCAL: u32 = 1;
    let _device = device();
    let s = Stream::new(GPU);
    let n = 1 << 15;
    let (locked, plain) = (Array::empty(PINNED, TN_F64, &[n]), Array::empty(HOST, TN_F64, &[n]));
    let (a, b) = (Array::empty(GPU, TN_F64, &[n]), Array::empty(GPU, TN_F64, &[n]));
    [&a, &b].iter().for_each(|array| array.zero(0, NOW).unwrap());
    let native = s.native() as usize;
    let begun = with_context(0, || driver_call!(cuStreamBeginCapture_v2(native => usize, THREAD_LOCAL => u32)));
    assert_eq!(begun, 0);
    locked.copy_into(&a, 0, s.0).unwrap_or_else(|status| panic!("{status}: {}", text()));
    a.copy_into(&b, 0, s.0).unwrap_or_else(|status| panic!("{status}: {}", text()));
    b.fill(&[3; 8], 0, s.0).unwrap_or_else(|status| panic!("{status}: {}", text()));
    assert_eq!(plain.copy_into(&a, 0, s.0), Err(TN_ERR_UNSUPPORTED), "{}", text());
    assert_eq!(b.copy_into(&plain, 0, s.0), Err(TN_ERR_UNSUPPORTED), "{}", text());
    // Also a copy that the driver would do itself.
    let few = [tn_slice_spec { start: 0, stop: 9, step: 1, reserved: [0; 4] }];
    assert_eq!(plain.slice(&few).copy_into(&a.slice(&few), 0, s.0), Err(TN_ERR_UNSUPPORTED), "{}", text());
    assert_eq!(b.slice(&few).copy_into(&plain.slice(&few), 0, s.0), Err(TN_ERR_UNSUPPORTED), "{}", text());
    let mut graph = null_mut::<c_void>();
    let ended = with_context(0, || driver_call!(cuStreamEndCapture(native => usize, &mut graph => *mut *mut c_void)));
    assert!(ended == 0 && !graph.is_null(), "the capture is whole: {ended}");
    s.synchronize().unwrap();
    let bytes = 8 * n as usize;
    assert!(a.read() == vec![0; bytes] && b.read() == vec![0; bytes], "captured, and not done");
    // The graph copies the current bytes at each launch.
    let mut launchable = null_mut::<c_void>();
    let made = with_context(
        0,
        || driver_call!(cuGraphInstantiateWithFlags(&mut launchable => *mut *mut c_void, graph => *mut c_void, 0 => u64)),
    );
    assert!(made == 0 && !launchable.is_null(), "{made}");
    for value in [5_u8, 6] {
        locked.fill(&[value; 8], 0, NOW).unwrap();
        b.zero(0, NOW).unwrap();
        let launched = with_context(0, || driver_call!(cuGraphLaunch(launchable => *mut c_void, native => usize)));
        assert_eq!(launched, 0);
        s.synchronize().unwrap();
        assert!(a.read() == vec![value; bytes], "the copy happened");
        assert!(b.read() == vec![3; bytes], "and the fill after the copy");
    }
    assert_eq!(with_context(0, || driver_call!(cuGraphExecDestroy(launchable => *mut c_void))), 0);
    assert_eq!(with_context(0, || driver_call!(cuGraphDestroy(graph => *mut c_void))), 0);
    plain.copy_into(&a, TN_WAIT, s.0).unwrap();
}

#[test]
fn tr_9_pd_18_raw_page_locked_memory_goes_back_after_the_copy() {
    let device = device();
    let hands = device.hands();
    let s = Stream::new(GPU);
    let (pool, bytes) = (pool_of(PINNED), 1 << 20);
    let there = Array::empty(GPU, TN_U8, &[bytes as i64]);
    there.zero(0, NOW).unwrap();
    let take = || {
        let mut block = null_mut();
        // SAFETY: a writable output.
        done(unsafe { tn_pool_allocate(pool, bytes, 0, NOW, &mut block) }).unwrap();
        block
    };
    let block = take();
    // SAFETY: the block has this many bytes.
    unsafe { block.cast::<u8>().write_bytes(0x77, bytes) };
    hands.hold(s.native());
    // SAFETY: the block stays until the pool gets it back; the pool knows of the copy.
    done(unsafe { tn_array_copy_from_host(there.0, block, null(), 0, s.0) }).unwrap();
    done(tn_pool_deallocate(pool, block, NOW)).unwrap();
    let next = take();
    // SAFETY: as above.
    unsafe { next.cast::<u8>().write_bytes(0x11, bytes) };
    hands.release(s.native());
    assert!(there.read() == vec![0x77; bytes]);
    done(tn_pool_deallocate(pool, next, NOW)).unwrap();
}

#[test]
fn tr_14_trim_gives_the_chunks_back() {
    let device = device();
    let sim = device.simulated();
    let there = Array::empty(GPU, TN_F64, &[1 << 18]);
    let plain = Array::empty(HOST, TN_F64, &[1 << 18]);
    plain.copy_into(&there, 0, NOW).unwrap();
    there.copy_into(&plain, 0, NOW).unwrap();
    let before = sim.get("pinned");
    let mut released = 0;
    // SAFETY: a writable output.
    done(unsafe { tn_pool_trim(pool_of(GPU), usize::MAX, &mut released) }).unwrap();
    assert!(before - sim.get("pinned") >= 1, "a chunk at least");
    plain.copy_into(&there, 0, NOW).unwrap();
}

#[test]
fn ar_21_device_memory_is_no_host_memory() {
    let _device = device();
    let there = Array::empty(GPU, TN_F64, &[100]);
    let address = borrowed(&there, LEGACY);
    let shape = [100i64];
    let layout = tn_layout {
        size: size_of::<tn_layout>(),
        dtype: TN_F64,
        ndim: 1,
        shape: shape.as_ptr(),
        strides: null(),
        offset: 0,
    };
    for flags in [0, TN_BORROW] {
        let (mut out, mut how) = (null_mut(), 0);
        // SAFETY: writable outputs; nothing is read at the address.
        let status = unsafe { tn_array_import_host(address, &layout, flags, None, null_mut(), &mut out, &mut how) };
        assert_eq!(status, TN_ERR_DEVICE, "{}", text());
    }
    let managed = Array::empty(MANAGED, TN_F64, &[100]);
    let address = borrowed(&managed, NOW);
    let (mut out, mut how) = (null_mut(), 0);
    // SAFETY: writable outputs; the host may read managed memory.
    done(unsafe { tn_array_import_host(address, &layout, 0, None, null_mut(), &mut out, &mut how) }).unwrap();
    drop(Array(out));
}

/// The address that a guard shows.
fn borrowed(array: &Array, stream: *mut tn_stream) -> *mut c_void {
    let (mut data, mut guard) = (null(), null_mut());
    // SAFETY: writable outputs.
    done(unsafe { tn_array_borrow_read(array.0, 0, stream, &mut data, null_mut(), &mut guard) }).unwrap();
    done(tn_borrow_end(guard, 0, stream)).unwrap();
    data.cast_mut()
}

/// Whether or not the device reaches pageable memory, which CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS (88) tells.
fn small_copies_on_a_stalled_stream(reaches_pageable: bool) {
    let device = device();
    if let Some(sim) = device.sim {
        sim.set_attribute(0, 88, i32::from(reaches_pageable));
    }
    let (s, t) = (Stream::new(GPU), Stream::new(GPU));
    let random = &mut Random::new(1);
    let sizes = [16, 1, 512, 8192, 16, 4096, 100, 8192, 1000, 16];
    let stores: Vec<Store> = sizes.iter().map(|n| Store::new(random, HOST, (TN_F64, 8), &[*n])).collect();
    let there: Vec<Array> = sizes.iter().map(|n| Array::empty(GPU, TN_F64, &[*n])).collect();
    let (kernel, back) = (Array::empty(GPU, TN_F64, &[1000]), Array::empty(HOST, TN_F64, &[1000]));
    kernel.zero(0, NOW).unwrap();
    // A driver may wait for the device when the first page-locked memory is allocated.
    stores[0].array.copy_into(&there[0], 0, NOW).unwrap();
    let stall = device.stall(s.native());
    without_blocking(&device, "ten small copies", || {
        for (store, there) in stores.iter().zip(&there) {
            store.array.copy_into(there, 0, s.0).unwrap();
            // The source was read, and may change.
            store.array.fill(&[0xEE; 8], 0, NOW).unwrap();
        }
        // Another stream has nothing to wait for, in either direction.
        kernel.copy_into(&back, 0, t.0).unwrap();
        back.copy_into(&kernel, 0, t.0).unwrap();
    });
    drop(stall);
    for (store, there) in stores.iter().zip(&there) {
        assert!(there.read() == store.bytes);
    }
    assert!(back.read() == [0; 8000]);
}

#[test]
fn tr_14_small_copies_on_a_stalled_stream_return_at_once() {
    small_copies_on_a_stalled_stream(false);
}

#[test]
fn tr_14_small_copies_return_at_once_where_the_device_reaches_pageable_memory() {
    small_copies_on_a_stalled_stream(true);
}

/// Blocks of small copies take no more than 32 MiB, and a little for each stream beyond that.
#[test]
fn tr_14_very_many_small_copies_wait_for_their_own_stream() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    const ONE: usize = 64 << 10;
    let device = device();
    let (s, hands) = (Stream::new(GPU), device.hands());
    let there = Array::empty(GPU, TN_U8, &[ONE as i64]);
    let store = Store::new(&mut Random::new(6), HOST, (TN_U8, 1), &[ONE as i64]);
    let stall = device.stall(s.native());
    let copied = AtomicUsize::new(0);
    let at_stop = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut last = 0;
            loop {
                std::thread::sleep(std::time::Duration::from_secs(1));
                let now = copied.load(Ordering::Relaxed);
                if now == last && now > 0 {
                    // Another stream goes on, although the bound is reached.
                    let t = Stream::new(GPU);
                    let theirs = Store::new(&mut Random::new(7), HOST, (TN_U8, 1), &[ONE as i64]);
                    let other = Array::empty(GPU, TN_U8, &[ONE as i64]);
                    theirs.array.copy_into(&other, 0, t.0).unwrap();
                    t.synchronize().unwrap();
                    hands.release_all();
                    assert!(other.read() == theirs.bytes);
                    return now;
                }
                last = now;
            }
        });
        for _ in 0..600 {
            store.array.copy_into(&there, 0, s.0).unwrap();
            copied.fetch_add(1, Ordering::Relaxed);
        }
        watch.join().unwrap()
    });
    drop(stall);
    assert!((500..=530).contains(&at_stop), "{at_stop} copies of 64 KiB were enqueued on a stalled stream");
    assert!(there.read() == store.bytes);
}

#[test]
fn tr_14_three_streams_stage_large_copies_at_once() {
    let device = device();
    tenure::options::set("transfer.chunk", "64KiB").unwrap();
    let n = 2 * (64 << 10) / 8;
    let streams = [(); 3].map(|()| Stream::new(GPU));
    let random = &mut Random::new(3);
    let stores = [(); 3].map(|()| Store::new(random, HOST, (TN_F64, 8), &[n]));
    let there = [(); 3].map(|()| Array::empty(GPU, TN_F64, &[n]));
    let stalls: Vec<_> = streams.iter().map(|stream| device.stall(stream.native())).collect();
    without_blocking(&device, "two chunks on each of three streams", || {
        for ((store, there), stream) in stores.iter().zip(&there).zip(&streams) {
            store.array.copy_into(there, 0, stream.0).unwrap();
        }
    });
    drop(stalls);
    for (store, there) in stores.iter().zip(&there) {
        assert!(there.read() == store.bytes);
    }
    tenure::options::set("transfer.chunk", "4MiB").unwrap();
}

#[test]
fn tr_14_a_copy_waits_for_no_other_stream_that_has_chunks() {
    let device = device();
    tenure::options::set("transfer.chunk", "64KiB").unwrap();
    let random = &mut Random::new(4);
    let (a, b) = (Stream::new(GPU), Stream::new(GPU));
    let n = 10 * (64 << 10) / 8;
    let (x, y) = (Store::new(random, HOST, (TN_F64, 8), &[n]), Store::new(random, HOST, (TN_F64, 8), &[n / 5]));
    let (x_there, y_there) = (Array::empty(GPU, TN_F64, &[n]), Array::empty(GPU, TN_F64, &[n / 5]));
    let back = Array::empty(HOST, TN_F64, &[n]);
    // With all chunks on the stalled stream, and with chunks left.
    for most in ["2", "8"] {
        tenure::options::set("transfer.chunks", most).unwrap();
        y_there.zero(0, NOW).unwrap();
        let stall = device.stall(a.native());
        without_blocking(&device, most, || {
            y.array.copy_into(&y_there, 0, a.0).unwrap();
            x.array.copy_into(&x_there, 0, b.0).unwrap();
            x_there.copy_into(&back, 0, b.0).unwrap();
        });
        assert!(back.read() == x.bytes);
        drop(stall);
        assert!(y_there.read() == y.bytes);
    }
    tenure::options::set("transfer.chunk", "4MiB").unwrap();
}

#[test]
fn tr_14_a_device_has_no_more_chunks_than_the_option_says() {
    let device = device();
    let sim = device.simulated();
    tenure::options::set("transfer.chunk", "64KiB").unwrap();
    tenure::options::set("transfer.chunks", "5").unwrap();
    let n = 3 * (64 << 10) / 8;
    let streams = [(); 6].map(|()| Stream::new(GPU));
    let stores = [(); 6].map(|()| Store::new(&mut Random::new(5), HOST, (TN_F64, 8), &[n]));
    let there = [(); 6].map(|()| Array::empty(GPU, TN_F64, &[n]));
    let before = sim.get("pinned");
    for turn in 0..20 {
        let at = turn % 6;
        stores[at].array.copy_into(&there[at], 0, streams[at].0).unwrap();
    }
    assert!((1..=5).contains(&(sim.get("pinned") - before)), "{} chunks", sim.get("pinned") - before);
    for (store, there) in stores.iter().zip(&there) {
        assert!(there.read() == store.bytes);
    }
    tenure::options::set("transfer.chunk", "4MiB").unwrap();
    tenure::options::set("transfer.chunks", "8").unwrap();
}

#[test]
fn tr_14_threads_share_the_chunks() {
    let _device = device();
    tenure::options::set("transfer.chunk", "16KiB").unwrap();
    std::thread::scope(|scope| {
        for seed in 1..=8 {
            scope.spawn(move || {
                let random = &mut Random::new(seed);
                let s = Stream::new(GPU);
                for turn in 0..12 {
                    let n = 1000 + random.below_i64(9000);
                    let x = Store::new(random, HOST, (TN_F64, 8), &[n]);
                    let (there, back) = (Array::empty(GPU, TN_F64, &[n]), Array::empty(HOST, TN_F64, &[n]));
                    let stream = if random.one_in(3) { NOW } else { s.0 };
                    x.array.copy_into(&there, 0, stream).unwrap_or_else(|status| panic!("{status}: {}", text()));
                    x.array.zero(0, NOW).unwrap();
                    there.copy_into(&back, 0, stream).unwrap_or_else(|status| panic!("{status}: {}", text()));
                    assert!(back.read() == x.bytes, "thread {seed}, turn {turn}");
                }
            });
        }
    });
    tenure::options::set("transfer.chunk", "4MiB").unwrap();
}

#[test]
fn tr_12_tr_13_counts_of_driver_calls() {
    let device = device();
    let sim = device.simulated();
    let s = Stream::new(GPU);
    let (a, b) = (Array::empty(GPU, TN_F64, &[1000]), Array::empty(GPU, TN_F64, &[1000]));
    let locked = Array::empty(PINNED, TN_F64, &[1000]);
    [&a, &b, &locked].iter().for_each(|array| array.zero(TN_WAIT, NOW).unwrap());
    let names =
        ["cuEventRecord", "cuStreamWaitEvent", "cuStreamSynchronize", "cuEventSynchronize", "cuEventCreate", ""];
    let count = |work: &dyn Fn()| -> Vec<u64> {
        let before = names.map(|name| sim.calls(name));
        work();
        names.iter().zip(before).map(|(name, before)| sim.calls(name) - before).collect()
    };
    // The first round creates what is kept: events, and known orders of streams.
    for turn in 0..3 {
        let enqueued = count(&|| locked.copy_into(&a, TN_WAIT, s.0).unwrap());
        let again = count(&|| a.copy_into(&b, 0, s.0).unwrap());
        let filled = count(&|| b.zero(0, s.0).unwrap());
        s.synchronize().unwrap();
        let now = count(&|| a.copy_into(&b, 0, NOW).unwrap());
        if turn > 0 {
            for (counts, what) in [(&enqueued, "from the host"), (&again, "on the device"), (&filled, "fill")] {
                assert_eq!(counts[..5], [1, 0, 0, 0, 0], "{what}: one event, and the host does not wait");
                assert!(counts[5] <= 15 + 3, "{what}: {counts:?}");
            }
            assert_eq!(now[..5], [0, 0, 1, 0, 0], "NULL waits for its stream, and records nothing");
            assert!(now[5] <= 23 + 3, "{now:?}");
        }
    }
}

#[test]
fn tr_20_a_large_copy_goes_at_the_rate_of_the_bus() {
    let device = device();
    if device.sim.is_some() || std::env::var_os("TENURE_TEST_TIMES").is_some_and(|value| value == "0") {
        skip("times need a GPU");
    }
    let s = Stream::new(GPU);
    let bytes = 1usize << 30;
    let (locked, there) = (Array::empty(PINNED, TN_U8, &[bytes as i64]), Array::empty(GPU, TN_U8, &[bytes as i64]));
    locked.zero(0, NOW).unwrap();
    let (from, to) = (borrowed(&locked, NOW), borrowed(&there, LEGACY));
    let native = s.native() as usize;
    s.synchronize().unwrap();
    let (mut ours, mut bare, mut call) = (f64::MAX, f64::MAX, f64::MAX);
    for _ in 0..5 {
        let start = std::time::Instant::now();
        locked.copy_into(&there, 0, s.0).unwrap();
        call = call.min(start.elapsed().as_secs_f64());
        s.synchronize().unwrap();
        ours = ours.min(start.elapsed().as_secs_f64());
        let start = std::time::Instant::now();
        let copied = with_context(
            0,
            || driver_call!(cuMemcpyHtoDAsync_v2(to as u64 => u64, from => *const c_void, bytes => usize, native => usize)),
        );
        assert_eq!(copied, 0);
        s.synchronize().unwrap();
        bare = bare.min(start.elapsed().as_secs_f64());
    }
    println!("1 GiB: {ours:.4} s, the bare driver {bare:.4} s, the call {call:.6} s");
    assert!(ours * 0.8 <= bare && call < 100e-6);
}

#[test]
fn tr_19_a_failing_driver_call_poisons_the_target() {
    let device = device();
    let sim = device.simulated();
    let n = 6000;
    tenure::options::set("transfer.chunk", "4KiB").unwrap();
    let calls = [
        "cuMemcpyHtoDAsync",
        "cuMemcpyDtoHAsync",
        "cuMemcpyDtoDAsync",
        "cuMemcpy2DAsync",
        "cuMemsetD32Async",
        "cuEventRecord",
        "cuEventSynchronize",
        "cuStreamSynchronize",
        "cuStreamWaitEvent",
        "cuCtxSetCurrent",
    ];
    let (mut poisoned, mut untouched) = (0, 0);
    let s = Stream::new(GPU);
    for (to, from) in [(GPU, HOST), (HOST, GPU), (GPU, PINNED), (PINNED, GPU), (GPU, GPU)] {
        for name in calls {
            for nth in 1..=6 {
                let source = Store::new(&mut Random::new(nth), from, (TN_I32, 4), &[n]);
                let target = Store::new(&mut Random::new(nth + 1), to, (TN_I32, 4), &[n]);
                let step = [tn_slice_spec { start: 0, stop: n, step: 1 + (nth as i64 & 1), reserved: [0; 4] }];
                let (dst, src) = (View::of(target.array.slice(&step)), View::of(source.array.slice(&step)));
                let stream = if nth > 3 { s.0 } else { NOW };
                sim.fail(name, nth, 1, 1);
                let outcome = src.array.copy_into(&dst.array, 0, stream);
                sim.clear_faults();
                dst.array.wait(TN_READ_WRITE).unwrap();
                let why = format!("{name} {nth}: {} <- {}: {}", dst.text, src.text, text());
                source.check(&why);
                let Err(status) = outcome else {
                    let (is, wanted) = (dst.array.read(), source.get(&src));
                    let wrong = is.iter().zip(&wanted).filter(|(a, b)| a != b).count();
                    assert!(
                        is == wanted,
                        "{why}: {wrong} bytes, the first {:?}",
                        is.iter().zip(&wanted).position(|(a, b)| a != b)
                    );
                    continue;
                };
                assert_eq!(status, TN_ERR_DRIVER, "{why}");
                match target.array.try_read(NOW) {
                    Ok(bytes) => {
                        assert!(bytes == target.bytes, "{why}");
                        untouched += 1;
                    }
                    Err(status) => {
                        assert_eq!(status, TN_ERR_POISONED, "{why}: {}", text());
                        poisoned += 1;
                        dst.array.zero(0, NOW).unwrap();
                        target.array.read();
                    }
                }
            }
        }
    }
    tenure::options::set("transfer.chunk", "4MiB").unwrap();
    assert!(poisoned > 3 && untouched > 3, "{poisoned} poisoned, {untouched} untouched");
}

#[test]
fn tr_19_a_new_array_that_could_not_be_written_leaves_nothing() {
    let device = device();
    let sim = device.simulated();
    let s = Stream::new(GPU);
    let here = new_pool(PINNED);
    let all = Array::empty(GPU, TN_U8, &[4, 128, 256]);
    let spec = |stop, step| tn_slice_spec { start: TN_NONE, stop, step, reserved: [0; 4] };
    // A reversed axis takes a driver call for each index.
    let source = all.slice(&[spec(TN_NONE, -1), spec(TN_NONE, 1), spec(128, 1)]);
    let n = 4 * 128 * 128;
    let at = borrowed(&in_pool(here, n, 1), NOW) as usize;
    sim.hold(s.native());
    sim.fail("cuMemcpy2DAsync", 2, 1, 1);
    let mut out = null_mut();
    // SAFETY: a writable output.
    let copied = unsafe { tn_array_to_device(source.0, PINNED, here, s.0, &mut out) };
    sim.clear_faults();
    assert_eq!(copied, TN_ERR_DRIVER, "{}", text());
    assert!(out.is_null());
    let other = in_pool(here, n, 2);
    assert!(borrowed(&other, NOW) as usize != at, "the stream still writes the bytes");
    sim.release_all();
    s.synchronize().unwrap();
    assert!(other.read() == vec![2; n as usize]);
    drop(other);
    assert_eq!(live(here), (0, 0));
    done(tn_pool_release(here)).unwrap();
    let pool = new_pool(GPU);
    sim.fail("cuMemsetD8Async", 1, 1, 1);
    // SAFETY: one axis, a value of one byte, a writable output.
    let filled = unsafe { tn_array_full(pool, TN_U8, 1, [n].as_ptr(), [7u8].as_ptr().cast(), null(), &mut out) };
    sim.clear_faults();
    assert_eq!(filled, TN_ERR_DRIVER, "{}", text());
    assert!(out.is_null());
    assert_eq!(live(pool), (0, 0));
    done(tn_pool_release(pool)).unwrap();
}

/// A promise, released when it drops.
struct Promise(*mut tn_promise);

impl Promise {
    fn of(array: &Array, required: usize) -> Promise {
        let mut out = null_mut();
        // SAFETY: a writable output.
        done(unsafe { tn_array_give(array.0, required, &mut out) })
            .unwrap_or_else(|status| panic!("{status}: {}", text()));
        Promise(out)
    }

    fn to_device(&self, device: tn_device, pool: *mut tn_pool, stream: *mut tn_stream) -> Result<Array, tn_status> {
        let mut out = 0x5e5e_usize as *mut tn_array;
        // SAFETY: a writable output.
        let moved = done(unsafe { tn_promise_to_device(self.0, device, pool, stream, &mut out) });
        assert!(moved.is_ok() || out as usize == 0x5e5e, "untouched");
        moved.map(|()| Array(out))
    }

    fn cancel(&self) -> Result<(), tn_status> {
        done(tn_promise_cancel(self.0))
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        assert_eq!(tn_promise_release(self.0), TN_OK);
    }
}

fn new_pool(device: tn_device) -> *mut tn_pool {
    let mut pool = null_mut();
    // SAFETY: a writable output.
    done(unsafe { tn_pool_create(device, null(), &mut pool) }).unwrap_or_else(|status| panic!("{status}: {}", text()));
    pool
}

/// The live bytes of a pool, including those that wait for a stream: requested, in use.
fn live(pool: *mut tn_pool) -> (u64, u64) {
    // SAFETY: plain data.
    let mut stats: tn_pool_stats = unsafe { std::mem::zeroed() };
    stats.size = size_of::<tn_pool_stats>();
    // SAFETY: a struct of its size.
    done(unsafe { tn_pool_query(pool, &mut stats) }).unwrap();
    (stats.requested_bytes, stats.live_blocks)
}

fn in_pool(pool: *mut tn_pool, n: i64, value: u8) -> Array {
    let mut out = null_mut();
    // SAFETY: one axis, a writable output.
    done(unsafe { tn_array_empty(pool, TN_U8, 1, [n].as_ptr(), null(), &mut out) }).unwrap();
    let array = Array(out);
    array.fill(&[value], 0, NOW).unwrap();
    array
}

#[test]
fn tr_30_a_given_array_moves_to_any_memory() {
    let device = device();
    let s = Stream::new(GPU);
    for from in memories(&device) {
        for to in memories(&device) {
            let (there, here) = (new_pool(to), new_pool(from));
            let on_gpu = [to, from].contains(&GPU);
            for stream in [NOW, s.0].into_iter().take(1 + usize::from(on_gpu)) {
                let why = format!("{from:?} -> {to:?}, {stream:?}");
                let source = in_pool(here, 5000, 7);
                // SAFETY: a C string.
                done(unsafe { tn_array_set_name(source.0, c"moving".as_ptr()) }).unwrap();
                let promise = Promise::of(&source, 1);
                let moved = promise.to_device(to, there, stream).unwrap_or_else(|e| panic!("{why}: {e} {}", text()));
                assert_eq!(source.look(0, NOW), Err(TN_ERR_DESTRUCTED), "{why}");
                assert_eq!(promise.cancel(), Err(TN_ERR_DESTRUCTED), "{why}");
                assert_eq!(promise.to_device(to, there, stream).err(), Some(TN_ERR_DESTRUCTED), "{why}");
                drop((promise, source));
                s.synchronize().unwrap();
                assert_eq!(live(here), (0, 0), "{why}: the old bytes went back");
                assert_eq!((live(there).0, live(there).1), (5000, 1), "{why}");
                let info = moved.info();
                // SAFETY: the name of a live array.
                let name = unsafe { std::ffi::CStr::from_ptr(info.name.as_ptr()) };
                assert_eq!((info.device.r#type, info.device.id, name), (to.r#type, to.id, c"moving"), "{why}");
                assert!(info.flags & TN_READONLY == 0 && moved.read() == vec![7; 5000], "{why}");
            }
            done(tn_pool_release(there)).unwrap();
            done(tn_pool_release(here)).unwrap();
        }
    }
    // The layout is that of a copy, and its statistics count it.
    let source = Array::empty(HOST, TN_F64, &[4, 5]);
    source.fill(&1.5f64.to_ne_bytes(), 0, NOW).unwrap();
    let turned = source.permute(&[1, 0]).slice(&[tn_slice_spec { start: 1, stop: 4, step: 1, reserved: [0; 4] }]);
    let expected = turned.to_device(GPU, NOW).unwrap();
    let before = describe(GPU);
    let moved = Promise::of(&turned, 1).to_device(GPU, null_mut(), NOW).unwrap();
    let after = describe(GPU);
    assert_eq!(
        (after.to_device_count - before.to_device_count, after.to_device_bytes - before.to_device_bytes),
        (1, 3 * 4 * 8)
    );
    assert_eq!(moved.info().flags, expected.info().flags);
    assert!(moved.read() == expected.read());
    source.look(0, NOW).unwrap();
}

#[test]
fn tr_30_an_array_that_is_there_already_is_taken() {
    let device = device();
    let s = Stream::new(GPU);
    for place in memories(&device) {
        let (pool, other) = (new_pool(place), new_pool(place));
        let address = |array: &Array| borrowed(array, NOW) as usize;
        for asked in [null_mut(), pool] {
            let source = in_pool(pool, 3000, 9);
            let at = address(&source);
            let promise = Promise::of(&source, 1);
            let count = live(pool);
            let moved = promise.to_device(place, asked, if place == GPU { s.0 } else { NOW }).unwrap();
            assert_eq!((address(&moved), live(pool)), (at, count), "{place:?}: no copy");
            assert_eq!(source.look(0, NOW), Err(TN_ERR_DESTRUCTED));
            assert!(moved.read() == vec![9; 3000]);
        }
        // Another pool of the device gets the bytes.
        let source = in_pool(pool, 3000, 8);
        let promise = Promise::of(&source, 1);
        let moved = promise.to_device(place, other, NOW).unwrap();
        assert_eq!((live(pool), live(other)), ((0, 0), (3000, 1)), "{place:?}");
        assert!(moved.read() == vec![8; 3000]);
        drop((moved, promise, source));
        // Arrays without elements have no bytes to move.
        let none = Array::empty(place, TN_U8, &[0, 3]);
        let moved = Promise::of(&none, 1).to_device(GPU, null_mut(), s.0).unwrap();
        assert_eq!((moved.info().device.r#type, moved.info().count), (TN_CUDA, 0));
        // Arguments that do not fit leave the promise.
        let source = in_pool(pool, 10, 1);
        let promise = Promise::of(&source, 1);
        let nowhere = tn_device { r#type: TN_CUDA, id: 40 };
        assert_eq!(promise.to_device(nowhere, null_mut(), NOW).err(), Some(TN_ERR_DEVICE));
        let wrong = if place == HOST { GPU } else { HOST };
        assert_eq!(
            promise.to_device(wrong, pool_of(if place == HOST { HOST } else { GPU }), NOW).err(),
            Some(TN_ERR_DEVICE)
        );
        assert_eq!(source.look(0, NOW), Err(TN_ERR_GIVEN));
        promise.cancel().unwrap();
        assert!(source.read() == vec![1; 10]);
        drop((promise, source));
        done(tn_pool_release(pool)).unwrap();
        done(tn_pool_release(other)).unwrap();
    }
    // A giver that required two promises keeps its bytes after one.
    let source = Array::empty(HOST, TN_U8, &[100]);
    source.fill(&[3], 0, NOW).unwrap();
    let (first, second) = (Promise::of(&source, 2), Promise::of(&source, 2));
    let moved = first.to_device(GPU, null_mut(), NOW).unwrap();
    assert_eq!(source.look(0, NOW), Err(TN_ERR_GIVEN), "the second promise");
    second.cancel().unwrap();
    assert!(source.read() == vec![3; 100] && moved.read() == vec![3; 100]);
    // A poisoned array does not move.
    let mut guard = null_mut();
    // SAFETY: writable outputs.
    done(unsafe { tenure::ffi::borrow::tn_array_borrow_write(source.0, 0, NOW, null_mut(), null_mut(), &mut guard) })
        .unwrap();
    done(tn_borrow_end(guard, TN_END_FAILED, NOW)).unwrap();
    let promise = Promise::of(&source, 1);
    assert_eq!(promise.to_device(GPU, null_mut(), NOW).err(), Some(TN_ERR_POISONED));
    promise.cancel().unwrap();
}

#[test]
fn tr_30_the_bytes_are_not_reused_before_the_copy_is_done() {
    let device = device();
    let sim = device.simulated();
    let (s, t) = (Stream::new(GPU), Stream::new(GPU));
    for (from, to) in [(GPU, PINNED), (GPU, HOST), (PINNED, GPU), (MANAGED, GPU), (GPU, MANAGED), (GPU, GPU)] {
        let why = format!("{from:?} -> {to:?}");
        let (here, there) = (new_pool(from), new_pool(to));
        let n = 1 << 16;
        let source = in_pool(here, n, 0x5a);
        let at = borrowed(&source, NOW) as usize;
        s.synchronize().unwrap();
        sim.hold(s.native());
        let asked = if to == HOST { null_mut() } else { there };
        let promise = Promise::of(&source, 1);
        let (waits, moved) = sim.calls_of("cuStreamSynchronize", || promise.to_device(to, asked, s.0).unwrap());
        drop((promise, source));
        assert_eq!(waits, 0, "{why}: the host did not wait");
        assert!(sim.get("pending") > 0, "{why}");
        // Whoever gets the old bytes overwrites them after the copy: another stream, or the host.
        let mut blocks = Vec::new();
        for _ in 0..4 {
            let (stream, mut block) = (if from == GPU { t.0 } else { NOW }, null_mut());
            // SAFETY: a writable output.
            done(unsafe { tn_pool_allocate(here, n as usize, 0, stream, &mut block) }).unwrap();
            let is_host = matches!(from.r#type, TN_CUDA_HOST | TN_CUDA_MANAGED);
            assert!(!is_host || block as usize != at, "{why}: the host may not have the bytes yet");
            blocks.push((block, stream));
        }
        let other = in_pool_on(here, n, 0x11, &t, from);
        sim.release_all();
        s.synchronize().unwrap();
        t.synchronize().unwrap();
        moved.wait(TN_READ).unwrap();
        assert!(moved.read() == vec![0x5a; n as usize], "{why}");
        drop(other);
        blocks.into_iter().for_each(|(block, stream)| done(tn_pool_deallocate(here, block, stream)).unwrap());
        s.synchronize().unwrap();
        drop(moved);
        assert_eq!(live(here), (0, 0), "{why}");
        done(tn_pool_release(here)).unwrap();
        done(tn_pool_release(there)).unwrap();
    }
}

/// An array that a stream fills, where the memory is a GPU's.
fn in_pool_on(pool: *mut tn_pool, n: i64, value: u8, stream: &Stream, device: tn_device) -> Array {
    let mut out = null_mut();
    let options =
        tn_array_options { size: size_of::<tn_array_options>(), order: 0, flags: 0, stream: null_mut(), name: null() };
    // SAFETY: one axis, a writable output.
    done(unsafe { tn_array_empty(pool, TN_U8, 1, [n].as_ptr(), &options, &mut out) }).unwrap();
    let array = Array(out);
    array.fill(&[value], 0, if device == GPU { stream.0 } else { NOW }).unwrap();
    array
}

#[test]
fn tr_30_a_failure_leaves_the_promise() {
    let device = device();
    let sim = device.simulated();
    let calls = [
        "cuMemAlloc_v2",
        "cuMemAllocManaged",
        "cuMemHostAlloc",
        "cuMemcpyHtoDAsync",
        "cuMemcpyDtoHAsync",
        "cuMemcpyDtoDAsync",
        "cuEventCreate",
        "cuEventRecord",
        "cuStreamSynchronize",
        "cuStreamWaitEvent",
        "cuCtxSetCurrent",
    ];
    let s = Stream::new(GPU);
    let (mut failed, mut moved) = (0, 0);
    for (from, to) in
        [(HOST, GPU), (GPU, HOST), (PINNED, GPU), (GPU, PINNED), (MANAGED, GPU), (GPU, MANAGED), (GPU, GPU)]
    {
        for name in calls {
            for nth in 1..=4 {
                for stream in [NOW, s.0] {
                    let why = format!("{name} {nth}, {from:?} -> {to:?}, {stream:?}");
                    let (here, there) = (new_pool(from), new_pool(to));
                    let source = in_pool(here, 6000, nth as u8);
                    let promise = Promise::of(&source, 1);
                    sim.fail(name, nth, 1, 2);
                    let outcome = promise.to_device(to, there, stream);
                    sim.clear_faults();
                    match outcome {
                        Ok(array) => {
                            moved += 1;
                            array.wait(TN_READ).unwrap();
                            assert!(array.read() == vec![nth as u8; 6000], "{why}");
                            s.synchronize().unwrap();
                            drop((promise, source));
                            assert_eq!(live(here), (0, 0), "{why}");
                        }
                        Err(_) => {
                            failed += 1;
                            assert_eq!(source.look(0, NOW), Err(TN_ERR_GIVEN), "{why}: {}", text());
                            s.synchronize().unwrap();
                            assert_eq!((live(here), live(there)), ((6000, 1), (0, 0)), "{why}");
                            if nth % 2 == 0 {
                                promise.cancel().unwrap();
                                source.wait(TN_READ_WRITE).unwrap();
                                assert!(source.read() == vec![nth as u8; 6000], "{why}");
                            } else {
                                let array = promise.to_device(to, there, stream).unwrap();
                                array.wait(TN_READ).unwrap();
                                assert!(array.read() == vec![nth as u8; 6000], "{why}");
                            }
                        }
                    }
                    s.synchronize().unwrap();
                    done(tn_pool_release(there)).unwrap();
                    done(tn_pool_release(here)).unwrap();
                }
            }
        }
    }
    assert!(failed > 20 && moved > 100, "{failed} failed, {moved} moved");
}

#[test]
fn tr_30_a_promise_moves_or_is_cancelled_once() {
    let _device = device();
    for round in 0..200 {
        let source = Array::empty(HOST, TN_U8, &[1000]);
        source.fill(&[round as u8], 0, NOW).unwrap();
        let promise = Promise::of(&source, 1);
        let gate = std::sync::Barrier::new(3);
        let bits = promise.0 as usize;
        let (moves, cancelled) = std::thread::scope(|scope| {
            let mover = || {
                scope.spawn(|| {
                    gate.wait();
                    let mut out = null_mut();
                    // SAFETY: a writable output.
                    let status =
                        unsafe { tn_promise_to_device(bits as *mut tn_promise, GPU, null_mut(), NOW, &mut out) };
                    done(status).map(|()| Array(out))
                })
            };
            let movers = [mover(), mover()];
            gate.wait();
            let cancelled = promise.cancel();
            (movers.map(|mover| mover.join().unwrap()), cancelled)
        });
        let winners = moves.iter().filter(|moved| moved.is_ok()).count() + usize::from(cancelled.is_ok());
        assert_eq!(winners, 1, "{moves:?} {cancelled:?}");
        for moved in moves {
            match moved {
                Ok(array) => assert!(array.read() == vec![round as u8; 1000]),
                Err(status) => assert_eq!(status, TN_ERR_DESTRUCTED),
            }
        }
        let expected = if cancelled.is_ok() { Ok(()) } else { Err(TN_ERR_DESTRUCTED) };
        assert_eq!(source.look(0, NOW), expected);
    }
}
