//! Raw copies and fills between host and device memory, below stores and guards, against a model that copies element by
//! element: TR-2 to TR-8, TR-14 to TR-16. On the simulator or a GPU; see support/cuda.rs. TENURE_TEST_ROUNDS: number of
//! random pairs.

use crate::driver_call;
use crate::support;
use std::ffi::c_void;
use support::cuda::{Device, alone, device, with_context, without_blocking};
use support::strided_cases::*;
use tenure::device_copy::{self, Memory, MemoryView, Outstanding};
use tenure::dtype::Dtype;
use tenure::ffi::stream::{tn_stream_create, tn_stream_native, tn_stream_release, tn_stream_set_current};
use tenure::gpu::{self, Gpu, page_lock};
use tenure::layout::Layout;
use tenure::stream::{self, Stream};
use tenure::types::*;
use tenure_harness::{skip, test};

fn rounds() -> u64 {
    std::env::var("TENURE_TEST_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(1500)
}

/// Memory of some kind, freed on drop.
struct Block {
    memory: Memory,
    address: i64,
    bytes: usize,
    plain: Vec<u8>,
}

impl Block {
    fn new(memory: Memory, bytes: usize) -> Block {
        let mut plain = Vec::new();
        let address = match memory {
            Memory::Pageable => {
                plain = vec![0u8; bytes.max(1)];
                plain.as_mut_ptr().expose_provenance() as i64
            }
            Memory::PageLocked => page_lock::allocate(gpu::gpu(0).unwrap(), bytes.max(1)).unwrap() as i64,
            Memory::Managed => with_context(0, || {
                let mut at = 0u64;
                let number = driver_call!(cuMemAllocManaged(&mut at => *mut u64, bytes.max(1) => usize, 1 => u32));
                assert_eq!(number, 0);
                at as i64
            }),
            Memory::Device(gpu) => with_context(gpu.id(), || {
                let mut at = 0u64;
                assert_eq!(driver_call!(cuMemAlloc_v2(&mut at => *mut u64, bytes.max(1) => usize)), 0);
                at as i64
            }),
        };
        Block { memory, address, bytes, plain }
    }

    fn write(&self, bytes: &[u8]) {
        assert_eq!(bytes.len(), self.bytes);
        match self.memory {
            Memory::Device(gpu) => with_context(gpu.id(), || {
                let (to, from) = (self.address as u64, bytes.as_ptr().cast::<c_void>());
                if !bytes.is_empty() {
                    assert_eq!(
                        driver_call!(cuMemcpyHtoD_v2(to => u64, from => *const c_void, bytes.len() => usize)),
                        0
                    );
                    // A small copy returns once it was read; other devices' streams are not ordered after it.
                    assert_eq!(tenure::ffi::device::tn_device_synchronize(gpu.device()), TN_OK);
                }
            }),
            // SAFETY: host memory of that many bytes.
            _ => unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), self.address as *mut u8, bytes.len()) },
        }
    }

    fn read(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.bytes];
        match self.memory {
            Memory::Device(gpu) => with_context(gpu.id(), || {
                let (to, from) = (bytes.as_mut_ptr().cast::<c_void>(), self.address as u64);
                if !bytes.is_empty() {
                    assert_eq!(driver_call!(cuMemcpyDtoH_v2(to => *mut c_void, from => u64, bytes.len() => usize)), 0);
                }
            }),
            // SAFETY: host memory of that many bytes.
            _ => unsafe { core::ptr::copy_nonoverlapping(self.address as *const u8, bytes.as_mut_ptr(), bytes.len()) },
        }
        bytes
    }

    fn memory_view<'a>(&self, layout: &'a Layout) -> MemoryView<'a> {
        // SAFETY: every layout lies inside its block, which outlives the stream's work.
        unsafe { MemoryView::new(layout, self.memory) }
    }

    fn layout(&self, raw: u32, shape: &[i64], strides: &[i64], offset: i64) -> Layout {
        Layout::strided(Dtype::of(raw).unwrap(), shape, strides, self.address + offset).unwrap()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let _ = &self.plain;
        match self.memory {
            Memory::Pageable => {}
            // SAFETY: allocated above, and all work was waited for.
            Memory::PageLocked => unsafe { page_lock::free(gpu::gpu(0).unwrap(), self.address as usize) }.unwrap(),
            Memory::Managed => {
                with_context(0, || assert_eq!(driver_call!(cuMemFree_v2(self.address as u64 => u64)), 0))
            }
            Memory::Device(gpu) => {
                with_context(gpu.id(), || assert_eq!(driver_call!(cuMemFree_v2(self.address as u64 => u64)), 0))
            }
        }
    }
}

fn stream(gpu: i32) -> &'static Stream {
    stream::current(gpu::gpu(gpu).unwrap().device()).unwrap()
}

/// The device of this run, with contexts that are kept from the first use on.
fn start() -> Device {
    let device = device();
    (0..gpu::count().unwrap()).for_each(|id| drop(gpu::gpu(id).unwrap().enter().unwrap()));
    device
}

/// Lets the library's kernels do all copies and fills that they can, or none, or those for which they are faster.
fn draw_kernels(random: &mut Random) {
    let how = ["on", "on", "off", "auto"][random.below_i64(4) as usize];
    tenure::options::set("transfer.kernels", how).unwrap();
}

/// A pair of layouts in two blocks, with the expected result.
struct Pair {
    raw: u32,
    shape: Vec<i64>,
    to: Shape,
    from: Shape,
    before: Vec<u8>,
    source: Vec<u8>,
    wanted: Vec<u8>,
}

impl Pair {
    fn new(random: &mut Random) -> Pair {
        let raw = DTYPES[random.below_i64(5) as usize];
        let item = Dtype::of(raw).unwrap().item();
        let shape = random_shape(random);
        let (to, from) = (random_target(random, &shape, item), random_source(random, &shape, item));
        let (before, source) = (noise(random, to.end), noise(random, from.end));
        let mut wanted = before.clone();
        let pairs = elements(&shape, &to.strides, to.offset);
        for (at, read) in pairs.into_iter().zip(elements(&shape, &from.strides, from.offset)) {
            wanted[at as usize..(at + item) as usize].copy_from_slice(&source[read as usize..(read + item) as usize]);
        }
        Pair { raw, shape, to, from, before, source, wanted }
    }

    /// Copies on `stream` and checks. Returns the work that was outstanding on return.
    fn check(&self, seed: u64, stream: &'static Stream, to: Memory, from: Memory, strict: bool) -> Option<Outstanding> {
        let (dst, src) = (Block::new(to, self.before.len()), Block::new(from, self.source.len()));
        dst.write(&self.before);
        src.write(&self.source);
        let target = dst.layout(self.raw, &self.shape, &self.to.strides, self.to.offset);
        let source = src.layout(self.raw, &self.shape, &self.from.strides, self.from.offset);
        let left = match device_copy::copy(stream, &dst.memory_view(&target), &src.memory_view(&source), strict) {
            Ok(left) => left,
            Err(failed) if strict && failed.status.code() == TN_ERR_WOULD_COPY => {
                assert!(!failed.wrote);
                return None;
            }
            Err(failed) => panic!("seed {seed}: {:?}: {}", failed.status, tenure::error::drafted().as_str()),
        };
        match left {
            Outstanding::Nothing => {
                assert!(dst.read() == self.wanted || !matches!(to, Memory::Pageable), "seed {seed}")
            }
            // The source may change now.
            Outstanding::Writing if !matches!(from, Memory::Device(_)) => src.write(&vec![0xEE; self.source.len()]),
            _ => {}
        }
        stream.synchronize().unwrap();
        let text =
            || format!("seed {seed}: {:?} {:?} <- {:?}, {left:?}", self.shape, self.to.strides, self.from.strides);
        assert!(dst.read() == self.wanted, "{}", text());
        Some(left)
    }
}

/// All pairs of memory kinds that include this GPU.
fn kinds(gpu: &'static Gpu) -> [(Memory, Memory); 7] {
    let device = Memory::Device(gpu);
    [
        (device, Memory::Pageable),
        (Memory::Pageable, device),
        (device, Memory::PageLocked),
        (Memory::PageLocked, device),
        (device, device),
        (device, Memory::Managed),
        (Memory::Managed, device),
    ]
}

#[test]
fn tr_2_tr_3_tr_6_tr_7_any_strides_between_any_memories() {
    let _device = start();
    let gpu = gpu::gpu(0).unwrap();
    for seed in 1..=rounds() {
        let mut random = Random::new(seed * 0x9E37_79B9);
        draw_kernels(&mut random);
        let pair = Pair::new(&mut random);
        let (to, from) = kinds(gpu)[random.below_i64(7) as usize];
        pair.check(seed, stream(0), to, from, random.one_in(4));
    }
}

fn any_strides_between_two_devices() {
    let device = start();
    device.require_two();
    let (zero, one) = (Memory::Device(gpu::gpu(0).unwrap()), Memory::Device(gpu::gpu(1).unwrap()));
    for seed in 1..=rounds() / 3 {
        let mut random = Random::new(seed * 0xC2B2_AE35);
        if let Some(sim) = device.sim {
            sim.set("peers", u64::from(!random.one_in(2)));
        }
        draw_kernels(&mut random);
        let pair = Pair::new(&mut random);
        let (to, from) = if random.one_in(2) { (zero, one) } else { (one, zero) };
        pair.check(seed, stream(random.below_i64(2) as i32), to, from, false);
    }
}

#[test]
fn tr_7_two_devices_with_peer_access() {
    any_strides_between_two_devices();
}

#[test]
fn tr_7_two_devices_without_peer_access() {
    alone("tr_7_two_devices_without_peer_access", &[("TENURE_SIM_PEERS", "0")], any_strides_between_two_devices);
}

/// Copies `rows` runs of 1000 bytes from one GPU to another, rows 1000 or more bytes apart, on a stream of GPU `on`,
/// and checks the result.
fn copy_to_peer(rows: i64, pitch: i64, on: i32) {
    let (to, from) = (Memory::Device(gpu::gpu(1).unwrap()), Memory::Device(gpu::gpu(0).unwrap()));
    let bytes = (rows * pitch) as usize;
    let (dst, src) = (Block::new(to, bytes), Block::new(from, bytes));
    let data = noise(&mut Random::new(rows as u64), bytes as i64);
    src.write(&data);
    dst.write(&vec![0; bytes]);
    let (target, source) = (&[rows, 1000], &[pitch, 1]);
    let (target, source) = (dst.layout(TN_U8, target, source, 0), src.layout(TN_U8, target, source, 0));
    let left = device_copy::copy(stream(on), &dst.memory_view(&target), &src.memory_view(&source), false).unwrap();
    assert_ne!(left, Outstanding::Nothing);
    stream(on).synchronize().unwrap();
    let is = dst.read();
    for row in (0..bytes).step_by(pitch as usize) {
        assert!(is[row..row + 1000] == data[row..row + 1000]);
        assert!(is[row + 1000..row + pitch as usize].iter().all(|byte| *byte == 0));
    }
}

const PEER_CALLS: [&str; 4] = ["cuCtxEnablePeerAccess", "cuMemcpyPeerAsync", "cuMemcpy3DPeerAsync", "cuMemcpy2DAsync"];

/// The number of calls of each of [`PEER_CALLS`], and of copies that the driver staged.
fn peer_calls(device: &Device, work: impl FnOnce()) -> [u64; 5] {
    let sim = device.simulated();
    let now = || {
        let mut calls = [0; 5];
        calls.iter_mut().zip(PEER_CALLS).for_each(|(calls, name)| *calls = sim.calls(name));
        calls[4] = sim.get("staged_peer_copies");
        calls
    };
    let before = now();
    work();
    let mut calls = now();
    calls.iter_mut().zip(before).for_each(|(calls, before)| *calls -= before);
    calls
}

/// The contexts' access is enabled at the first copy, and no copy is staged by the driver.
#[test]
fn tr_7_access_between_two_devices_is_enabled_once_and_both_ways() {
    let device = start();
    device.require_two();
    device.simulated();
    assert_eq!(peer_calls(&device, || copy_to_peer(1, 1000, 0)), [2, 1, 0, 0, 0]);
    assert_eq!(peer_calls(&device, || copy_to_peer(1, 1000, 1)), [0, 1, 0, 0, 0], "both directions are enabled");
    assert_eq!(peer_calls(&device, || copy_to_peer(50, 1024, 1)), [0, 0, 1, 0, 0]);
}

/// PyTorch and NCCL enable the access of the primary contexts, too.
#[test]
fn tr_7_access_that_another_library_enabled_is_used() {
    let device = start();
    device.require_two();
    device.simulated();
    for (own, other) in [(0, 1), (1, 0)] {
        let mut context = std::ptr::null_mut::<c_void>();
        assert_eq!(driver_call!(cuDevicePrimaryCtxRetain(&mut context => *mut *mut c_void, other => i32)), 0);
        let code = with_context(own, || driver_call!(cuCtxEnablePeerAccess(context => *mut c_void, 0 => u32)));
        assert_eq!(code, 0);
    }
    assert_eq!(peer_calls(&device, || copy_to_peer(1, 1000, 0)), [2, 1, 0, 0, 0], "each returned 704");
}

/// The driver copies runs by itself, staged. For rows the library's staging is needed.
fn runs_without_access(code: u32) {
    let device = start();
    device.require_two();
    device.simulated().fail("cuCtxEnablePeerAccess", 1, 1, code);
    assert_eq!(peer_calls(&device, || copy_to_peer(1, 1000, 0)), [1, 1, 0, 0, 1]);
    assert_eq!(peer_calls(&device, || copy_to_peer(1, 1000, 1)), [0, 1, 0, 0, 1], "asked once");
    assert_eq!(peer_calls(&device, || copy_to_peer(50, 1024, 0)), [0, 0, 0, 2, 0]);
}

/// PEER_ACCESS_UNSUPPORTED.
#[test]
fn tr_7_between_two_devices_that_have_no_link_the_driver_copies_runs() {
    runs_without_access(217);
}

/// TOO_MANY_PEERS.
#[test]
fn tr_7_where_a_device_has_too_many_peers_the_driver_copies_runs() {
    runs_without_access(711);
}

/// The copy of rows needs streams of both devices. It must not wait for what the program does on the other one.
#[test]
fn tr_7_a_copy_through_the_host_waits_for_its_own_stream_only() {
    alone("tr_7_a_copy_through_the_host_waits_for_its_own_stream_only", &[("TENURE_SIM_PEERS", "0")], || {
        let device = start();
        device.require_two();
        device.simulated();
        for on in [0, 1] {
            let (mut theirs, mut native) = (std::ptr::null_mut(), 0);
            let other = gpu::gpu(1 - on).unwrap().device();
            // SAFETY: writable outputs.
            unsafe {
                assert_eq!(tn_stream_create(other, 0, 0, &mut theirs), TN_OK);
                assert_eq!(tn_stream_native(theirs, &mut native), TN_OK);
            }
            assert_eq!(tn_stream_set_current(other, theirs), TN_OK);
            let stall = device.stall(native);
            without_blocking(&device, &format!("a copy on GPU {on}"), || copy_to_peer(50, 1024, on));
            drop(stall);
            assert_eq!(tn_stream_set_current(other, std::ptr::null_mut()), TN_OK);
            assert_eq!(tn_stream_release(theirs), TN_OK);
        }
    });
}

/// Memory that another library page-locked: a part of it is allocated, and all of it labelled as plain memory.
struct Foreign(Block);

impl Foreign {
    fn view<'a>(&self, layout: &'a Layout) -> MemoryView<'a> {
        // SAFETY: every layout lies inside its block, which outlives the stream's work.
        unsafe { MemoryView::new(layout, Memory::Pageable) }
    }
}

/// PyTorch's pinned tensors and CuPy's pinned arrays reach the library as plain addresses.
#[test]
fn tr_9_pn_3_large_memory_that_another_library_page_locked_is_copied_directly() {
    let device = start();
    let gpu = gpu::gpu(0).unwrap();
    let staged = || gpu.traffic.staged_bytes.load(std::sync::atomic::Ordering::Relaxed);
    for (bytes, is_direct) in [((1 << 20) + 8, true), (5 << 20, true), (1 << 20, false)] {
        let (there, foreign) = (Block::new(Memory::Device(gpu), bytes), Foreign(Block::new(Memory::PageLocked, bytes)));
        let was = noise(&mut Random::new(bytes as u64), bytes as i64);
        foreign.0.write(&was);
        let (target, source) =
            (there.layout(TN_U8, &[bytes as i64], &[1], 0), foreign.0.layout(TN_U8, &[bytes as i64], &[1], 0));
        let before = staged();
        let left = device_copy::copy(stream(0), &there.memory_view(&target), &foreign.view(&source), false).unwrap();
        assert_eq!(left, if is_direct { Outstanding::Nothing } else { Outstanding::Writing }, "{bytes}");
        // The source was read.
        foreign.0.write(&vec![0xEE; bytes]);
        let left = device_copy::copy(stream(0), &foreign.view(&source), &there.memory_view(&target), false).unwrap();
        assert_eq!(left, Outstanding::Nothing);
        assert!(foreign.0.read() == was, "{bytes} bytes there and back");
        assert_eq!(staged() - before, if is_direct { 0 } else { 2 * bytes as u64 }, "{bytes}");
        // The library cannot promise that the call does not wait.
        let strict = device_copy::copy(stream(0), &there.memory_view(&target), &foreign.view(&source), true);
        assert_eq!(strict.map_err(|failed| failed.status.code()), Err(TN_ERR_WOULD_COPY));
    }
    let Some(sim) = device.sim else { return };
    // The driver refuses a range that is page-locked in part, though both ends are.
    let bytes = 2 << 20;
    let (there, foreign) = (Block::new(Memory::Device(gpu), bytes), Foreign(Block::new(Memory::PageLocked, bytes)));
    let was = noise(&mut Random::new(9), bytes as i64);
    foreign.0.write(&was);
    let (target, source) =
        (there.layout(TN_U8, &[bytes as i64], &[1], 0), foreign.0.layout(TN_U8, &[bytes as i64], &[1], 0));
    sim.fail("cuMemcpyHtoDAsync", 1, 1, 1);
    let left = device_copy::copy(stream(0), &there.memory_view(&target), &foreign.view(&source), false).unwrap();
    assert_eq!(left, Outstanding::Writing, "staged");
    stream(0).synchronize().unwrap();
    assert!(there.read() == was);
}

/// CU_DEVICE_ATTRIBUTE_HOST_NUMA_ID.
const HOST_NUMA_ID: i32 = 134;

#[test]
fn pn_1_page_locked_memory_comes_from_the_node_of_its_gpu() {
    alone("pn_1_page_locked_memory_comes_from_the_node_of_its_gpu", &[], || {
        let device = device();
        let sim = device.simulated();
        if tenure::sys::os::NodePreference::set(0).is_none() {
            skip("the system does not let this process choose a NUMA node");
        }
        sim.set_attribute(0, HOST_NUMA_ID, 0);
        assert_eq!(gpu::gpu(0).unwrap().numa_node(), Some(0));
        let block = Block::new(Memory::PageLocked, 4096);
        assert_eq!(sim.get("host_alloc_node"), 1, "staging memory");
        drop(block);
        with_context(0, || {
            let mut at = std::ptr::null_mut::<c_void>();
            assert_eq!(driver_call!(cuMemHostAlloc(&mut at => *mut *mut c_void, 4096 => usize, 1 => u32)), 0);
            assert_eq!(sim.get("host_alloc_node"), 0, "the thread has its own policy again");
            assert_eq!(driver_call!(cuMemFreeHost(at => *mut c_void)), 0);
        });
    });
}

#[test]
fn tr_4_tr_5_overlap_within_a_device() {
    let _device = start();
    let memory = Memory::Device(gpu::gpu(0).unwrap());
    for seed in 1..=rounds() {
        let mut random = Random::new(seed * 0x51_7CC1);
        draw_kernels(&mut random);
        let raw = DTYPES[random.below_i64(5) as usize];
        let item = Dtype::of(raw).unwrap().item();
        let shape = random_shape(&mut random);
        let to = random_target(&mut random, &shape, item);
        let from = if random.one_in(2) {
            Shape { strides: to.strides.clone(), ..to }
        } else {
            random_source(&mut random, &shape, item)
        };
        let (dst_at, src_at) = (random.below_i64(from.end + 1), random.below_i64(to.end + 1));
        let bytes = noise(&mut random, (dst_at + to.end).max(src_at + from.end));
        let (dst_offset, src_offset) = (dst_at + to.offset, src_at + from.offset);
        let wanted = model_of(&bytes, item, &shape, (&to.strides, dst_offset), (&from.strides, src_offset));
        let block = Block::new(memory, bytes.len());
        block.write(&bytes);
        let target = block.layout(raw, &shape, &to.strides, dst_offset);
        let source = block.layout(raw, &shape, &from.strides, src_offset);
        device_copy::copy(stream(0), &block.memory_view(&target), &block.memory_view(&source), false).unwrap();
        stream(0).synchronize().unwrap();
        assert!(block.read() == wanted, "seed {seed}: {shape:?} {:?} <- {:?}", to.strides, from.strides);
    }
}

#[test]
fn tr_3_tr_16_every_element_and_no_other_byte_is_filled() {
    let _device = start();
    let gpu = gpu::gpu(0).unwrap();
    for seed in 1..=rounds() {
        let mut random = Random::new(seed * 0x2545_F491);
        draw_kernels(&mut random);
        let raw = DTYPES[random.below_i64(5) as usize];
        let item = Dtype::of(raw).unwrap().item();
        let mut shape = random_shape(&mut random);
        if random.one_in(8) {
            shape = vec![70 + random.below_i64(200), 3 + random.below_i64(4)];
        }
        let to = random_target(&mut random, &shape, item);
        let period = [1, 2, 4, 8, 16][random.below_i64(5) as usize];
        let value: Vec<u8> = noise(&mut random, period).into_iter().cycle().take(item as usize).collect();
        let shift = if random.one_in(4) { random.below_i64(item) } else { 0 };
        let before = noise(&mut random, to.end + shift);
        let mut wanted = before.clone();
        for at in elements(&shape, &to.strides, to.offset + shift) {
            wanted[at as usize..(at + item) as usize].copy_from_slice(&value);
        }
        let memory = if random.one_in(4) { Memory::Managed } else { Memory::Device(gpu) };
        let block = Block::new(memory, before.len());
        block.write(&before);
        let target = block.layout(raw, &shape, &to.strides, to.offset + shift);
        device_copy::fill(stream(0), &block.memory_view(&target), &value).unwrap();
        stream(0).synchronize().unwrap();
        assert!(block.read() == wanted, "seed {seed}: {shape:?} {:?}, {value:?}, shifted by {shift}", to.strides);
    }
}

#[test]
fn tr_16_large_elements_are_doubled_without_kernels() {
    let device = start();
    tenure::options::set("transfer.kernels", "off").unwrap();
    let block = Block::new(Memory::Device(gpu::gpu(0).unwrap()), 3 << 20);
    let value: Vec<u8> = (1..=16).collect();
    for (count, least, most) in [(1000i64, 4, 4), (100_000, 20, 21)] {
        let before: Vec<u8> = (0..3 << 20).map(|at: i32| (at % 251) as u8).collect();
        block.write(&before);
        let target = block.layout(TN_C128, &[count], &[16], 32);
        let names = ["cuMemsetD32Async", "cuMemsetD2D32Async", "cuMemcpyDtoDAsync"];
        let calls = || device.sim.map_or(0, |sim| names.iter().map(|name| sim.calls(name)).sum::<u64>());
        let there = calls();
        device_copy::fill(stream(0), &block.memory_view(&target), &value).unwrap();
        if device.sim.is_some() {
            assert!((least..=most).contains(&(calls() - there)), "{count}: {} calls", calls() - there);
        }
        stream(0).synchronize().unwrap();
        let (is, end) = (block.read(), 32 + 16 * count as usize);
        assert!(is[..32] == before[..32] && is[end..] == before[end..] && is[32..end] == value.repeat(count as usize));
    }
}

/// Copies `count` f64 between two blocks. Returns its driver calls by name.
fn counted(device: &Device, to: Memory, from: Memory, count: usize, names: &[&str]) -> Vec<u64> {
    let sim = device.simulated();
    let (dst, src) = (Block::new(to, 8 * count), Block::new(from, 8 * count));
    let bytes = noise(&mut Random::new(7), 8 * count as i64);
    src.write(&bytes);
    let target = dst.layout(TN_F64, &[count as i64], &[8], 0);
    let source = src.layout(TN_F64, &[count as i64], &[8], 0);
    let before: Vec<u64> = names.iter().map(|name| sim.calls(name)).collect();
    device_copy::copy(stream(0), &dst.memory_view(&target), &src.memory_view(&source), false)
        .unwrap_or_else(|failed| panic!("{:?}: {}", failed.status, tenure::error::drafted().as_str()));
    let after = names.iter().zip(before).map(|(name, before)| sim.calls(name) - before).collect();
    stream(0).synchronize().unwrap();
    assert!(dst.read() == bytes);
    after
}

#[test]
fn tr_14_large_pageable_copies_go_by_two_chunks_that_are_kept_and_trimmed() {
    let device = start();
    let gpu = gpu::gpu(0).unwrap();
    device_copy::trim(gpu.device());
    tenure::options::set("transfer.chunk", "64KiB").unwrap();
    let staged = || gpu.traffic.staged_bytes.load(std::sync::atomic::Ordering::Relaxed);
    let (there, count) = (staged(), 100_000);
    for (to, from) in [(Memory::Device(gpu), Memory::Pageable), (Memory::Pageable, Memory::Device(gpu))] {
        for turn in 0..3 {
            let names = ["cuMemHostAlloc", "cuMemcpyHtoDAsync", "cuMemcpyDtoHAsync", "cuCtxSynchronize"];
            let calls = counted(&device, to, from, count, &names);
            let pieces = (8 * count as u64).div_ceil(64 << 10);
            let is_first = turn == 0 && matches!(from, Memory::Pageable);
            assert_eq!(calls[0], if is_first { 2 } else { 0 }, "chunks are made once, for both directions");
            assert_eq!((calls[1] + calls[2], calls[3]), (pieces, 0));
        }
    }
    if let Some(sim) = device.sim {
        assert_eq!(staged() - there, 6 * 8 * count as u64);
        let pinned = sim.get("pinned");
        device_copy::trim(gpu.device());
        assert_eq!(pinned - sim.get("pinned"), 2);
    }
    tenure::options::set("transfer.chunk", "4MiB").unwrap();
}

#[test]
fn tr_15_without_page_locked_memory_the_driver_copies() {
    let device = start();
    let sim = device.simulated();
    let gpu = gpu::gpu(0).unwrap();
    device_copy::trim(gpu.device());
    sim.fail("cuMemHostAlloc", 1, 0, 2);
    let memory = Memory::Device(gpu);
    for seed in 1..=200 {
        let mut random = Random::new(seed * 0x9E37_79B9);
        let (to, from) = if random.one_in(2) { (memory, Memory::Pageable) } else { (Memory::Pageable, memory) };
        Pair::new(&mut random).check(seed, stream(0), to, from, false);
    }
    sim.clear_faults();
}

#[test]
fn tr_6_counts_of_driver_calls() {
    let device = start();
    let gpu = Memory::Device(gpu::gpu(0).unwrap());
    let names =
        ["cuMemcpyHtoDAsync", "cuMemcpyDtoHAsync", "cuMemcpyDtoDAsync", "cuEventRecord", "cuStreamSynchronize", ""];
    for (to, from, at) in [(gpu, Memory::PageLocked, 0), (Memory::PageLocked, gpu, 1), (gpu, gpu, 2)] {
        let calls = counted(&device, to, from, 1 << 20, &names);
        assert_eq!((calls[at], calls[3], calls[4]), (1, 0, 0), "one copy, nothing recorded or waited for");
        // One copy, the legacy stream's capture, and the context and the capture mode there and back; now and then the
        // context is compared with the present one.
        assert!(calls[5] <= 8 + 3, "{calls:?}");
    }
    let calls = counted(&device, gpu, Memory::Pageable, 8 << 10, &names);
    assert_eq!(
        (calls[0], calls[3], calls[4]),
        (1, 0, 0),
        "64 KiB go through one block of page-locked memory, and nothing is waited for"
    );
}

/// A device with direct access to pageable memory may not have read it when the driver's call returns.
#[test]
fn tr_9_a_pageable_source_was_read_on_return_whatever_the_device_reaches() {
    alone("tr_9_a_pageable_source_was_read_on_return_whatever_the_device_reaches", &[], || {
        let device = start();
        if let Some(sim) = device.sim {
            // CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS; queried at the first copy.
            sim.set_attribute(0, 88, 1);
        }
        let gpu = gpu::gpu(0).unwrap();
        for bytes in [1, 64, 4096, 64 << 10, (64 << 10) + 1, 300_000] {
            let (dst, src) = (Block::new(Memory::Device(gpu), bytes), Block::new(Memory::Pageable, bytes));
            let was = noise(&mut Random::new(bytes as u64), bytes as i64);
            src.write(&was);
            let target = dst.layout(TN_U8, &[bytes as i64], &[1], 0);
            let source = src.layout(TN_U8, &[bytes as i64], &[1], 0);
            let stall = device.sim.map(|_| device.stall(stream(0).native()));
            let left =
                device_copy::copy(stream(0), &dst.memory_view(&target), &src.memory_view(&source), false).unwrap();
            assert_eq!(left, Outstanding::Writing, "{bytes}");
            src.write(&vec![0xEE; bytes]);
            drop(stall);
            stream(0).synchronize().unwrap();
            assert!(dst.read() == was, "{bytes} bytes were read after the call returned");
        }
    });
}

/// The reference allows the 2-D copy to refuse pitches within a device.
#[test]
fn tr_7_rows_that_the_2d_copy_refuses_go_by_the_3d_one() {
    let device = start();
    let sim = device.simulated();
    let memory = Memory::Device(gpu::gpu(0).unwrap());
    for (width, from, to) in [(5, 7, 13), (4, 12, 4), (1, 3, 2), (64, 100, 128)] {
        let (rows, bytes) = (9_i64, 2000);
        let (dst, src) = (Block::new(memory, bytes), Block::new(memory, bytes));
        let (before, data) = (noise(&mut Random::new(1), bytes as i64), noise(&mut Random::new(2), bytes as i64));
        dst.write(&before);
        src.write(&data);
        let target = dst.layout(TN_U8, &[rows, width], &[to, 1], 3);
        let source = src.layout(TN_U8, &[rows, width], &[from, 1], 1);
        let there = [sim.calls("cuMemcpy2DAsync"), sim.calls("cuMemcpy3DAsync")];
        sim.fail("cuMemcpy2DAsync", 1, 1, 1);
        assert_eq!(
            device_copy::copy(stream(0), &dst.memory_view(&target), &src.memory_view(&source), false).unwrap(),
            Outstanding::Both
        );
        assert_eq!([sim.calls("cuMemcpy2DAsync"), sim.calls("cuMemcpy3DAsync")], there.map(|calls| calls + 1));
        stream(0).synchronize().unwrap();
        let mut wanted = before;
        for row in 0..rows {
            let (to, from) = ((3 + row * to) as usize, (1 + row * from) as usize);
            wanted[to..to + width as usize].copy_from_slice(&data[from..from + width as usize]);
        }
        assert!(dst.read() == wanted, "{width} bytes, {from} and {to} apart");
    }
}
