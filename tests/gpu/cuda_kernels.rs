//! Copies and fills by the library's kernels: when they are loaded and used, what happens where they cannot be loaded,
//! and captures. TR-2 to TR-6, TR-16 and TR-21. On the simulator or a GPU; see support/cuda.rs.
//! tests/gpu/cuda_device_copy.rs compares the results of random copies, with kernels and without.

use crate::driver_call;
use crate::support;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::Ordering;
use support::cuda::{Device, Sim, alone, device, with_context, without_blocking};
use support::strided_cases::*;
use tenure::device_copy::{self, Failed, Memory, MemoryView, Outstanding};
use tenure::dtype::Dtype;
use tenure::gpu::{self, Gpu, page_lock};
use tenure::layout::Layout;
use tenure::stream::{self, Stream};
use tenure::types::*;
use tenure_harness::test;

/// Memory of a GPU or page-locked memory, kept for good.
struct Block {
    memory: Memory,
    address: i64,
    bytes: usize,
}

impl Block {
    fn new(memory: Memory, bytes: usize) -> Block {
        let address = match memory {
            Memory::PageLocked => page_lock::allocate(gpu0(), bytes).unwrap() as i64,
            _ => with_context(0, || {
                let mut at = 0u64;
                assert_eq!(driver_call!(cuMemAlloc_v2(&mut at => *mut u64, bytes => usize)), 0);
                at as i64
            }),
        };
        Block { memory, address, bytes }
    }

    fn write(&self, bytes: &[u8]) {
        assert_eq!(bytes.len(), self.bytes);
        let (to, from) = (self.address as u64, bytes.as_ptr().cast::<c_void>());
        match self.memory {
            // SAFETY: host memory of that many bytes.
            Memory::PageLocked => unsafe { core::ptr::copy_nonoverlapping(from.cast(), to as *mut u8, bytes.len()) },
            _ => with_context(0, || {
                assert_eq!(driver_call!(cuMemcpyHtoD_v2(to => u64, from => *const c_void, bytes.len() => usize)), 0);
                assert_eq!(tenure::ffi::device::tn_device_synchronize(gpu0().device()), TN_OK);
            }),
        }
    }

    fn read(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.bytes];
        let (to, from) = (bytes.as_mut_ptr().cast::<c_void>(), self.address as u64);
        match self.memory {
            // SAFETY: host memory of that many bytes.
            Memory::PageLocked => unsafe { core::ptr::copy_nonoverlapping(from as *const u8, to.cast(), self.bytes) },
            _ => with_context(0, || {
                assert_eq!(driver_call!(cuMemcpyDtoH_v2(to => *mut c_void, from => u64, self.bytes => usize)), 0)
            }),
        }
        bytes
    }

    fn layout(&self, raw: u32, shape: &[i64], strides: &[i64]) -> Layout {
        Layout::strided(Dtype::of(raw).unwrap(), shape, strides, self.address).unwrap()
    }

    fn view<'a>(&self, layout: &'a Layout) -> MemoryView<'a> {
        // SAFETY: every layout lies inside its block, which is never freed.
        unsafe { MemoryView::new(layout, self.memory) }
    }
}

fn gpu0() -> &'static Gpu {
    gpu::gpu(0).unwrap()
}

fn on_gpu() -> Memory {
    Memory::Device(gpu0())
}

fn current() -> &'static Stream {
    stream::current(gpu0().device()).unwrap()
}

/// The copies and fills that kernels have done, and the reason why the kernels are not loaded.
fn kernels_used() -> (u64, u64) {
    let traffic = &gpu0().traffic;
    (traffic.kernel_count.load(Ordering::Relaxed), traffic.kernel_error.load(Ordering::Relaxed))
}

/// A transposition of a square matrix of f32.
struct Transposition {
    dst: Block,
    src: Block,
    side: i64,
    bytes: Vec<u8>,
}

impl Transposition {
    fn new(to: Memory, from: Memory, side: i64) -> Transposition {
        let bytes = (4 * side * side) as usize;
        let made = Transposition {
            dst: Block::new(to, bytes),
            src: Block::new(from, bytes),
            side,
            bytes: noise(&mut Random::new(side as u64), bytes as i64),
        };
        made.src.write(&made.bytes);
        made.dst.write(&vec![0xEE; bytes]);
        made
    }

    /// Enqueues it.
    fn enqueue(&self, stream: &'static Stream, strict: bool) -> Result<Outstanding, Failed> {
        let shape = [self.side, self.side];
        let dst = self.dst.layout(TN_F32, &shape, &[4 * self.side, 4]);
        let src = self.src.layout(TN_F32, &shape, &[4, 4 * self.side]);
        device_copy::copy(stream, &self.dst.view(&dst), &self.src.view(&src), strict)
    }

    fn is_done(&self) -> bool {
        let (is, side) = (self.dst.read(), self.side as usize);
        let at = |row: usize, column: usize| 4 * (row * side + column)..4 * (row * side + column) + 4;
        (0..side).all(|row| (0..side).all(|column| is[at(row, column)] == self.bytes[at(column, row)]))
    }

    fn run(&self) {
        self.enqueue(current(), false).unwrap();
        current().synchronize().unwrap();
        assert!(self.is_done());
    }
}

const NAMES: [&str; 6] = [
    "cuModuleLoadData",
    "cuLaunchKernel",
    "cuMemcpy2DAsync",
    "cuMemcpy3DAsync",
    "cuMemcpyHtoDAsync",
    "cuMemcpyDtoHAsync",
];

/// The driver's calls of `work`: loads, launches, and copies.
fn calls_of(sim: Sim, work: impl FnOnce()) -> (u64, u64, u64) {
    let count = || NAMES.map(|name| sim.calls(name));
    let before = count();
    work();
    let after = count();
    let calls: [u64; NAMES.len()] = std::array::from_fn(|at| after[at] - before[at]);
    let [loads, launches, copies @ ..] = calls;
    (loads, launches, copies.iter().sum())
}

/// Loads the kernels, as a program does by copies that want them and a wait.
fn load_kernels() {
    let large = Transposition::new(on_gpu(), on_gpu(), 2048);
    large.run();
    assert_eq!(tenure::ffi::device::tn_device_synchronize(gpu0().device()), TN_OK);
}

#[test]
fn tr_6_a_large_transposition_is_one_launch() {
    let device = device();
    let large = Transposition::new(on_gpu(), on_gpu(), 2048);
    load_kernels();
    let (before, _) = kernels_used();
    match device.sim {
        Some(sim) => {
            assert_eq!(calls_of(sim, || _ = large.enqueue(current(), false).unwrap()), (0, 1, 0));
            current().synchronize().unwrap();
            assert!(large.is_done());
            large.dst.write(&vec![0; large.bytes.len()]);
            assert_eq!(calls_of(sim, || _ = large.enqueue(current(), true).unwrap()), (0, 1, 0));
            current().synchronize().unwrap();
            assert!(large.is_done());
        }
        None => {
            large.run();
            large.run();
        }
    }
    assert_eq!(kernels_used(), (before + 2, 0));
}

#[test]
fn tr_6_page_locked_memory_is_transposed_by_a_launch() {
    let device = device();
    load_kernels();
    for (to, from) in [(on_gpu(), Memory::PageLocked), (Memory::PageLocked, on_gpu())] {
        let large = Transposition::new(to, from, 2048);
        let before = kernels_used();
        let stall = device.sim.map(|_| device.stall(current().native()));
        assert_eq!(large.enqueue(current(), true).unwrap(), Outstanding::Both, "the call does not wait");
        drop(stall);
        current().synchronize().unwrap();
        assert!(large.is_done());
        assert_eq!(kernels_used(), (before.0 + 1, 0));
    }
}

#[test]
fn tr_6_kernels_are_loaded_once_they_would_have_saved_the_time_of_a_load() {
    let device = device();
    let sim = device.simulated();
    let small = Transposition::new(on_gpu(), on_gpu(), 64);
    let (loads, launches, copies) = calls_of(sim, || small.run());
    assert!(loads == 0 && launches == 0 && copies > 0, "a load takes longer than what it would save");
    let wait = || assert_eq!(tenure::ffi::device::tn_device_synchronize(gpu0().device()), TN_OK);
    assert_eq!(calls_of(sim, wait).0, 0, "few copies do not want them");
    let (loads, launches, _) = calls_of(sim, || (0..100).for_each(|_| small.run()));
    assert_eq!((loads, launches), (0, 0), "no copy loads them");
    assert_eq!(calls_of(sim, wait).0, 1, "the next call that waits does");
    assert_eq!(calls_of(sim, || small.run()), (0, 1, 0));
    // One run, long rows, and few rows are left to the driver.
    let (dst, src) = (Block::new(on_gpu(), 1 << 20), Block::new(on_gpu(), 1 << 20));
    for (shape, to, from) in [
        ([1i64, 1 << 18], [0i64, 4i64], [0i64, 4i64]),
        ([8, 8192], [4 * 8192, 4], [8 * 8192, 4]),
        ([100, 1], [4, 4], [8, 4]),
    ] {
        let (to, from) = (dst.layout(TN_F32, &shape, &to), src.layout(TN_F32, &shape, &from));
        let copy = || _ = device_copy::copy(current(), &dst.view(&to), &src.view(&from), false).unwrap();
        assert_eq!(calls_of(sim, copy).1, 0, "{shape:?}");
    }
    current().synchronize().unwrap();
}

/// A load may wait for all work of the device, also on streams that wait for the program. So no copy loads the kernels.
#[test]
fn tr_6_a_copy_does_not_wait_for_a_load() {
    let device = device();
    let sim = device.simulated();
    sim.set("load_waits", 1);
    let (busy, small) = (support::cuda::Memory::new(0, 4096), Transposition::new(on_gpu(), on_gpu(), 64));
    let mut other = 0u64;
    assert_eq!(with_context(0, || driver_call!(cuStreamCreate(&mut other => *mut u64, 1 => u32))), 0);
    sim.hold(other);
    busy.fill(1, other);
    let copies = || (0..200).for_each(|_| small.run());
    let (loads, ()) =
        without_blocking(&device, "copies beside a busy stream", || sim.calls_of("cuModuleLoadData", copies));
    assert_eq!(loads, 0);
    sim.release(other);
    assert_eq!(tenure::ffi::device::tn_device_synchronize(gpu0().device()), TN_OK);
    assert_eq!(calls_of(sim, || small.run()), (0, 1, 0));
}

#[test]
fn tr_6_the_option_turns_kernels_off_and_on() {
    let device = device();
    let sim = device.simulated();
    let (large, tiny) = (Transposition::new(on_gpu(), on_gpu(), 256), Transposition::new(on_gpu(), on_gpu(), 2));
    assert_eq!(tenure::options::get("transfer.kernels").unwrap().as_str(), "auto");
    tenure::options::set("transfer.kernels", "off").unwrap();
    let (loads, launches, copies) = calls_of(sim, || large.run());
    assert!(loads == 0 && launches == 0 && copies > 0);
    tenure::options::set("transfer.kernels", "on").unwrap();
    assert_eq!(calls_of(sim, || tiny.run()), (1, 1, 0), "however little there is to copy");
    tenure::options::set("transfer.kernels", "auto").unwrap();
}

#[test]
fn tr_6_where_kernels_cannot_be_loaded_the_driver_copies() {
    // A PTX that the driver refuses; the names of kernels are missing; too little memory; some other capture.
    for (function, code, is_final) in [
        ("cuModuleLoadData", 218, true),
        ("cuModuleLoadData", 222, true),
        ("cuModuleGetFunction", 500, true),
        ("cuModuleLoadData", 2, false),
        ("cuModuleLoadData", 900, false),
    ] {
        let test = "tr_6_where_kernels_cannot_be_loaded_the_driver_copies";
        alone(test, &[("TENURE_TEST_CASE", &format!("{function} {code}"))], || {
            if std::env::var("TENURE_TEST_CASE").is_ok_and(|case| case != format!("{function} {code}")) {
                return;
            }
            let device = device();
            let sim = device.simulated();
            let large = Transposition::new(on_gpu(), on_gpu(), 256);
            tenure::options::set("transfer.kernels", "on").unwrap();
            sim.fail(function, 1, 0, code);
            let (loads, launches, copies) = calls_of(sim, || large.run());
            assert!((loads, launches) == (1, 0) && copies > 0, "{function} {code}");
            assert_eq!(kernels_used(), (0, u64::from(code)));
            assert_eq!(sim.calls("cuModuleUnload"), u64::from(function == "cuModuleGetFunction"));
            sim.clear_faults();
            // Whether it is tried again depends on the reason.
            large.dst.write(&vec![0; large.bytes.len()]);
            let (loads, launches, _) = calls_of(sim, || large.run());
            assert_eq!((loads, launches), if is_final { (0, 0) } else { (1, 1) }, "{function} {code}");
        });
    }
}

#[test]
fn tr_6_an_old_driver_does_without() {
    // PTX 8.0 came with CUDA 12.0.
    alone("tr_6_an_old_driver_does_without", &[("TENURE_SIM_VERSION", "11080")], || {
        let device = device();
        device.simulated();
        let large = Transposition::new(on_gpu(), on_gpu(), 128);
        tenure::options::set("transfer.kernels", "on").unwrap();
        large.run();
        assert_eq!(kernels_used(), (0, 222));
    });
}

#[test]
fn tr_6_an_old_gpu_does_without() {
    let device = device();
    // 75: CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR.
    device.simulated().set_attribute(0, 75, 6);
    let large = Transposition::new(on_gpu(), on_gpu(), 128);
    tenure::options::set("transfer.kernels", "on").unwrap();
    large.run();
    assert_eq!(kernels_used(), (0, 218));
}

/// Ends the capture of a stream. Returns a graph that can be launched.
fn end_capture(stream: &'static Stream) -> *mut c_void {
    let (mut graph, mut launchable) = (null_mut::<c_void>(), null_mut::<c_void>());
    with_context(0, || {
        let native = stream.native();
        assert_eq!(driver_call!(cuStreamEndCapture(native => u64, &mut graph => *mut *mut c_void)), 0);
        let made = driver_call!(
            cuGraphInstantiateWithFlags(&mut launchable => *mut *mut c_void, graph => *mut c_void, 0 => u64)
        );
        assert_eq!(made, 0);
    });
    launchable
}

#[test]
fn tr_21_nothing_is_loaded_during_a_capture_and_launches_are_captured() {
    let device: Device = device();
    for mode in [0_u32, 1, 2] {
        let stream = created();
        let small = Transposition::new(on_gpu(), on_gpu(), 96);
        let begin = || {
            let native = stream.native();
            let begun = with_context(0, || driver_call!(cuStreamBeginCapture_v2(native => u64, mode => u32)));
            assert_eq!(begun, 0);
        };
        if let Some(sim) = device.sim.filter(|_| mode == 0) {
            tenure::options::set("transfer.kernels", "on").unwrap();
            begin();
            let (loads, launches, copies) = calls_of(sim, || _ = small.enqueue(stream, false).unwrap());
            assert_eq!((loads, launches, copies), (0, 0, 96), "not loaded yet");
            let graph = end_capture(stream);
            launch(graph, stream);
            assert!(small.is_done());
            small.run();
            small.dst.write(&vec![0; small.bytes.len()]);
        }
        tenure::options::set("transfer.kernels", "on").unwrap();
        small.run();
        small.dst.write(&vec![0; small.bytes.len()]);
        begin();
        let (used, _) = kernels_used();
        small.enqueue(stream, false).unwrap();
        assert_eq!(kernels_used().0, used + 1);
        let graph = end_capture(stream);
        stream.synchronize().unwrap();
        assert!(!small.is_done(), "captured, and not done");
        launch(graph, stream);
        assert!(small.is_done());
    }
    tenure::options::set("transfer.kernels", "auto").unwrap();
}

fn launch(graph: *mut c_void, stream: &'static Stream) {
    with_context(0, || {
        assert_eq!(driver_call!(cuGraphLaunch(graph => *mut c_void, stream.native() => u64)), 0);
    });
    stream.synchronize().unwrap();
}

/// A stream of the library that is never destroyed.
fn created() -> &'static Stream {
    let (mut handle, mut native) = (null_mut(), 0);
    // SAFETY: the pointer is ours.
    assert_eq!(unsafe { tenure::ffi::stream::tn_stream_create(gpu0().device(), 0, 0, &mut handle) }, TN_OK);
    // SAFETY: the number is ours.
    assert_eq!(unsafe { tenure::ffi::stream::tn_stream_native(handle, &mut native) }, TN_OK);
    assert_eq!(tenure::ffi::stream::tn_stream_set_current(gpu0().device(), handle), TN_OK);
    let stream = current();
    assert_eq!(stream.native(), native);
    stream
}

#[test]
fn tr_19_a_failing_launch_writes_nothing() {
    let device = device();
    let sim = device.simulated();
    let small = Transposition::new(on_gpu(), on_gpu(), 40);
    tenure::options::set("transfer.kernels", "on").unwrap();
    sim.fail("cuLaunchKernel", 1, 1, 701);
    let failed = small.enqueue(current(), false).unwrap_err();
    assert_eq!((failed.status.code(), failed.wrote), (TN_ERR_DRIVER, false));
    assert!(small.dst.read().iter().all(|byte| *byte == 0xEE));
    small.run();
}

/// Threads that copy at once load the kernels once.
#[test]
fn tr_6_threads_load_the_kernels_once() {
    let device = device();
    tenure::options::set("transfer.kernels", "on").unwrap();
    let all: Vec<Transposition> = (0..6).map(|n| Transposition::new(on_gpu(), on_gpu(), 64 + n)).collect();
    std::thread::scope(|scope| {
        for one in &all {
            scope.spawn(|| (0..20).for_each(|_| one.run()));
        }
    });
    if let Some(sim) = device.sim {
        assert_eq!((sim.calls("cuModuleLoadData"), sim.calls("cuModuleUnload")), (1, 0));
    }
    tenure::options::set("transfer.kernels", "auto").unwrap();
}

/// Fills of wide elements, and of elements that are apart: one launch each.
#[test]
fn tr_16_wide_and_strided_fills_are_one_launch() {
    let device = device();
    let block = Block::new(on_gpu(), 8 << 20);
    let value: Vec<u8> = (1..=16).collect();
    tenure::options::set("transfer.kernels", "on").unwrap();
    for (raw, item, stride) in [(TN_C128, 16, 16), (TN_F64, 8, 8), (TN_F32, 4, 8), (TN_U8, 1, 3), (TN_F64, 8, -24)] {
        let count = 100_000i64;
        let before = noise(&mut Random::new(3), 8 << 20);
        block.write(&before);
        let first = if stride < 0 { -stride * (count - 1) } else { 0 };
        let target = Layout::strided(Dtype::of(raw).unwrap(), &[count], &[stride], block.address + first).unwrap();
        let fill = || _ = device_copy::fill(current(), &block.view(&target), &value[..item]).unwrap();
        match device.sim {
            Some(sim) => assert_eq!(calls_of(sim, fill).1, 1),
            None => fill(),
        }
        current().synchronize().unwrap();
        let mut wanted = before;
        for at in (0..count).map(|at| (first + at * stride) as usize) {
            wanted[at..at + item].copy_from_slice(&value[..item]);
        }
        assert!(block.read() == wanted, "{item} bytes, {stride} apart");
    }
    tenure::options::set("transfer.kernels", "auto").unwrap();
}

/// A broadcast source is one launch, too.
#[test]
fn tr_8_a_repeated_source_is_one_launch() {
    let device = device();
    let sim = device.simulated();
    let (dst, src) = (Block::new(on_gpu(), 4 * 300 * 7 * 50), Block::new(on_gpu(), 4 * 7));
    let bytes = noise(&mut Random::new(9), 28);
    src.write(&bytes);
    tenure::options::set("transfer.kernels", "on").unwrap();
    let target = dst.layout(TN_F32, &[300, 7, 50], &[4 * 350, 200, 4]);
    let source = src.layout(TN_F32, &[300, 7, 50], &[0, 4, 0]);
    let copy = || _ = device_copy::copy(current(), &dst.view(&target), &src.view(&source), false).unwrap();
    assert_eq!(calls_of(sim, copy).1, 1);
    current().synchronize().unwrap();
    let row: Vec<u8> = bytes.chunks(4).flat_map(|element| element.repeat(50)).collect();
    assert!(dst.read() == row.repeat(300));
    tenure::options::set("transfer.kernels", "auto").unwrap();
}
