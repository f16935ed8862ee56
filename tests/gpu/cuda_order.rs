//! Random work on streams of every kind, ordered by points alone: work after a point sees all writes before it (PD-2,
//! PD-9). On the simulator or a GPU; see support/cuda.rs.

use crate::driver_call;
use crate::support;
use std::ptr::null_mut;
use support::cuda::{Device, Memory, device, with_context};
use support::random::Random;
use tenure::ffi::stream::*;
use tenure::stream::{Point, Stream, StreamArg};
use tenure::types::*;
use tenure_harness::test;

const GPU: tn_device = tn_device { r#type: TN_CUDA, id: 0 };
const BYTES: usize = 1 << 10;
const BUFFERS: usize = 6;
const STEPS: usize = 600;

/// Page-locked bytes of the driver's, which copies may reach late.
struct Pinned(*mut u8);

impl Pinned {
    fn new(bytes: usize) -> Pinned {
        let mut at = null_mut();
        let code = with_context(0, || driver_call!(cuMemHostAlloc(&mut at => *mut *mut u8, bytes => usize, 0 => u32)));
        assert_eq!(code, 0);
        Pinned(at)
    }

    /// Byte `at`, written by work that is done.
    fn byte(&self, at: usize) -> u8 {
        // SAFETY: within the memory; no work writes it any more.
        unsafe { self.0.add(at).read_volatile() }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        with_context(0, || driver_call!(cuMemFreeHost(self.0 => *mut u8)));
    }
}

/// Device memory, and the last work on it.
struct Buffer {
    memory: Memory,
    value: u8,
    written: Option<Point>,
    read: Vec<Point>,
}

/// The handles, released at the end, and the streams of all kinds.
fn streams() -> (Vec<*mut tn_stream>, Vec<&'static Stream>) {
    let create = |flags| {
        let mut stream = null_mut();
        // SAFETY: the pointer is ours.
        assert_eq!(unsafe { tn_stream_create(GPU, flags, 0, &mut stream) }, TN_OK);
        stream
    };
    let handles: Vec<_> = [0, 0, TN_STREAM_BLOCKING, TN_STREAM_BLOCKING].map(create).into();
    let on = |bits: u64| StreamArg::of(bits).unwrap().on(GPU).unwrap().unwrap();
    let streams = handles.iter().map(|handle| *handle as u64).chain([1, 2]).map(on).collect();
    (handles, streams)
}

/// Makes later work on a stream follow a point. Returns whether the order was known without the driver.
fn follow(stream: &'static Stream, point: Point) -> bool {
    let known = stream.follows(point);
    if !known {
        stream.wait_for(point).unwrap();
    }
    known
}

fn run(_gpu: &Device, seed: u64) {
    let mut random = Random::new(seed);
    let (handles, streams) = streams();
    let results = Pinned::new(STEPS);
    let mut buffers: Vec<Buffer> = (0..BUFFERS)
        .map(|_| Buffer { memory: Memory::new(0, BYTES), value: 0, written: None, read: Vec::new() })
        .collect();
    let mut expected = Vec::new();
    let mut known = 0;
    for step in 0..STEPS {
        let buffer = &mut buffers[random.below(BUFFERS)];
        let stream = streams[random.below(streams.len())];
        if buffer.written.is_none() || random.below(3) == 0 {
            for point in buffer.written.take().into_iter().chain(buffer.read.drain(..)) {
                known += usize::from(follow(stream, point));
            }
            buffer.value = 1 + random.below(250) as u8;
            buffer.memory.fill(buffer.value, stream.native());
            // With an event at once, or only when it is needed.
            buffer.written = Some(if random.below(2) == 0 { stream.now() } else { stream.record_point().unwrap() });
        }
        let reader = streams[random.below(streams.len())];
        known += usize::from(follow(reader, buffer.written.expect("written above or before")));
        let from = buffer.memory.at + random.below(BYTES) as u64;
        let to = results.0.wrapping_add(step);
        let code = with_context(
            0,
            || driver_call!(cuMemcpyDtoHAsync_v2(to => *mut u8, from => u64, 1 => usize, reader.native() => u64)),
        );
        assert_eq!(code, 0);
        buffer.read.push(reader.now());
        expected.push(buffer.value);
        if random.below(16) == 0 {
            // The host, too, sees the work that it waited for.
            let last = buffer.read.pop().expect("pushed above");
            last.wait().unwrap();
            assert_eq!(results.byte(step), buffer.value, "seed {seed}, step {step}, after the host waited");
        }
    }
    assert_eq!(tenure::ffi::device::tn_device_synchronize(GPU), TN_OK);
    for (step, value) in expected.iter().enumerate() {
        assert_eq!(results.byte(step), *value, "seed {seed}, step {step} of {STEPS}");
    }
    assert!(known > STEPS / 20, "some order is known without the driver: {known}");
    handles.into_iter().for_each(|handle| assert_eq!(tn_stream_release(handle), TN_OK));
}

#[test]
fn pd_2_pd_9_work_after_a_point_sees_earlier_writes() {
    let gpu = device();
    let first = gpu.sim.map_or(1, |sim| sim.get("seed"));
    for seed in first * 1000 + 1..first * 1000 + 6 {
        run(&gpu, seed);
    }
}
