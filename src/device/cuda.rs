//! Memory of the CUDA driver: of a GPU, page-locked host memory, and managed memory.
//!
//! Contract: that of every [`Device`]. Each range is one allocation of the driver and is freed whole. On a lost device,
//! in the child of a fork and at the end of the process, a free makes no driver call: the memory is gone already.
//!
//! The driver aligns large allocations as pools need it, but does not guarantee it. A misaligned allocation is repeated
//! with padding. Later allocations of the kind and size are padded at once, until one comes aligned. The misaligned
//! allocation is freed with the next range, or when memory runs out, because a free may wait for the device.
//!
//! The address that the driver knows is recorded for its free, with the GPU and its context: memory goes with a context
//! that is reset. While dead blocks are not freed yet, new memory is taken at other addresses.
//!
//! A free may or may not wait for the device's work (the driver's reference says "may"; Kokkos issue 9307). So nothing
//! relies on it, and the caller frees only memory whose work is done. During exit the driver returns 4 (DEINITIALIZED),
//! also to thread-local destructors.

use super::host::HOST;
use super::interface::{Device, GRANULE, Terms};
use super::page_locked;
use crate::cuda_driver::{CUdeviceptr, Driver, code};
use crate::error::{Result, Status, fail};
use crate::gpu::{self, GPUS, Gpu, gpu, managed};
use crate::grow_unlocked;
use crate::names::device_type_name;
use crate::stream::Stream;
use crate::thread::QuickLock;
use crate::types::*;
use core::ffi::c_void;
use core::sync::atomic::{AtomicBool, Ordering};

/// Blocks up to 1 MiB are rounded up to this (PO-16).
pub(super) const PAGE_BYTES: usize = 512;

/// The kind of memory, with the driver's flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Device,
    Pinned(u32),
    Managed(u32),
}

/// A kind of memory: of a GPU, or of the host. Page-locked memory is allocated in the context of [`gpu::home`], managed
/// memory in that of [`managed::gpu`].
#[derive(Debug)]
pub struct Memory {
    /// The GPU of device memory; else 0.
    gpu: i32,
    kind: Kind,
    /// Whether the last allocation came misaligned: of those below [`LARGE_BYTES`], and of the others.
    askew: [AtomicBool; 2],
}

/// The driver is known to align allocations of at least this size to it.
const LARGE_BYTES: usize = 2 << 20;

impl Memory {
    const fn new(kind: Kind) -> Memory {
        Memory { gpu: 0, kind, askew: [const { AtomicBool::new(false) }; 2] }
    }
}

/// The memory of a GPU.
pub(super) fn of_gpu(id: i32) -> &'static Memory {
    &DEVICES[id as usize]
}

static DEVICES: [Memory; GPUS] = {
    let mut all = [const { Memory::new(Kind::Device) }; GPUS];
    let mut id = 0;
    while id < GPUS {
        all[id].gpu = id as i32;
        id += 1;
    }
    all
};

/// These have the values of cuMemHostAlloc's flags.
const HOST_FLAGS: u32 = TN_HOST_PORTABLE | TN_HOST_MAPPED | TN_HOST_WRITE_COMBINED;
const _: () = assert!(HOST_FLAGS == 7, "CU_MEMHOSTALLOC_PORTABLE, _DEVICEMAP and _WRITECOMBINED are 1, 2 and 4");

static PINNED: [Memory; 8] = {
    let mut all = [const { Memory::new(Kind::Pinned(0)) }; 8];
    let mut flags = 0;
    while flags < 8 {
        all[flags].kind = Kind::Pinned(flags as u32);
        flags += 1;
    }
    all
};

/// CU_MEM_ATTACH_GLOBAL and CU_MEM_ATTACH_HOST of cuMemAllocManaged.
const ATTACH_GLOBAL: u32 = 1;
const ATTACH_HOST: u32 = 2;

static MANAGED: [Memory; 2] = [Memory::new(Kind::Managed(ATTACH_GLOBAL)), Memory::new(Kind::Managed(ATTACH_HOST))];

/// The memory of a CUDA device with the TN_HOST_ or TN_MANAGED_ flags given. TN_ERR_DEVICE: no such device;
/// TN_ERR_UNSUPPORTED: no driver.
pub fn memory(device: tn_device, host_flags: u32) -> Result<&'static Memory> {
    gpu(device.id)?;
    if device.r#type == TN_CUDA {
        return Ok(&DEVICES[device.id as usize]);
    }
    if device.id != 0 {
        let name = device_type_name(device.r#type);
        return Err(fail(
            TN_ERR_DEVICE,
            format_args!("device {{{name}, {}}} does not exist; there is {{{name}, 0}}", device.id),
        ));
    }
    if device.r#type == TN_CUDA_MANAGED {
        return Ok(&MANAGED[usize::from(host_flags & TN_MANAGED_HOST != 0)]);
    }
    Ok(&PINNED[(host_flags & HOST_FLAGS) as usize])
}

/// An allocation of the driver.
#[derive(Clone, Copy)]
pub(super) struct Allocation {
    /// The aligned start of the range.
    pub start: usize,
    /// Bytes of the range.
    pub bytes: usize,
    /// The address that the driver knows.
    pub at: usize,
    pub gpu: &'static Gpu,
    /// Which of the GPU's contexts has it.
    pub epoch: u32,
    /// Bytes that the library mapped and page-locked itself; 0: the driver allocated it.
    pub mapped_bytes: usize,
}

impl Allocation {
    /// What a GPU's present context has at an address.
    pub fn of(gpu: &'static Gpu, start: usize, bytes: usize) -> Allocation {
        Allocation { start, bytes, at: start, gpu, epoch: gpu.epoch(), mapped_bytes: 0 }
    }

    /// Whether it went with a context that was reset.
    pub fn is_dead(&self) -> bool {
        self.epoch != self.gpu.epoch()
    }
}

/// All allocations, sorted by `start`.
static ALLOCATIONS: QuickLock<Vec<Allocation>> = QuickLock::new(Vec::new());

/// Records an allocation. False: no memory for the record.
fn note(allocation: Allocation) -> bool {
    grow_unlocked::insert_sorted(&ALLOCATIONS, 64, allocation, |other| other.start).is_ok()
}

/// Records reserved addresses of a GPU's present context. False: no memory for the record.
pub(super) fn note_addresses(gpu: &'static Gpu, start: usize, bytes: usize) -> bool {
    note(Allocation::of(gpu, start, bytes))
}

/// Forgets addresses that are released.
pub(super) fn forget_addresses(start: usize) {
    take_allocation(start);
}

/// Takes the record of a range that is being freed.
pub(super) fn take_allocation(start: usize) -> Option<Allocation> {
    grow_unlocked::remove_sorted(&ALLOCATIONS, start, |allocation| allocation.start)
}

/// Whether an allocation that went with a context has bytes in a range.
fn has_dead(start: usize, bytes: usize) -> bool {
    if !gpu::any_reset() {
        return false;
    }
    let all = ALLOCATIONS.lock();
    // The allocations of one context do not overlap, and those of an earlier one are kept apart by `reserve`.
    let end = all.partition_point(|other| other.start < start.saturating_add(bytes));
    all[..end].iter().rev().take_while(|other| other.start + other.bytes > start).any(Allocation::is_dead)
}

/// An allocation that `get` makes, noted, at addresses where no dead memory is. What lies there is set aside, and freed
/// at the end. None: the driver has no memory left, or there is none for the record.
pub(super) fn take_noted(
    get: impl Fn() -> Result<Option<Allocation>>,
    free: impl Fn(Allocation),
) -> Result<Option<usize>> {
    /// Allocations that one call sets aside.
    const MOST_ASIDE: usize = 16;
    let (mut aside, mut found) = ([None; MOST_ASIDE], Ok(None));
    for overlapping in &mut aside {
        found = get();
        match found {
            Ok(Some(given)) if has_dead(given.start, given.bytes) => *overlapping = Some(given),
            _ => break,
        }
        found = Ok(None);
    }
    aside.into_iter().flatten().for_each(&free);
    let Some(given) = found? else { return Ok(None) };
    if note(given) {
        return Ok(Some(given.start));
    }
    free(given);
    Ok(None)
}

/// Whether the memory at an address went with a context that was reset, and was not freed yet.
pub(super) fn is_dead(address: usize) -> bool {
    has_dead(address, 1)
}

/// TN_ERR_DRIVER if the memory at an address went with a context that was reset.
pub(super) fn refuse_dead(address: usize) -> Result<()> {
    if is_dead(address) { Err(dead_error()) } else { Ok(()) }
}

/// TN_ERR_DRIVER, for memory that went with a context.
#[cold]
fn dead_error() -> Status {
    fail(
        TN_ERR_DRIVER,
        format_args!(
            "this memory went with a GPU's primary context, which the program or another library reset; release it and make new arrays"
        ),
    )
}

/// Misaligned allocations that no pool has.
static LEFT_OVER: QuickLock<Vec<(Kind, Allocation)>> = QuickLock::new(Vec::new());

impl Memory {
    /// Keeps a misaligned allocation until `free_left_over`. Without memory for the record it is freed now.
    fn leave_over(&self, allocation: Allocation) {
        match grow_unlocked::lock(&LEFT_OVER, 8) {
            Ok(mut all) => all.push((self.kind, allocation)),
            Err(_) => _ = self.free_allocation(allocation),
        }
    }

    /// As [`Memory::allocate`], at an aligned address.
    fn allocate_aligned(
        &self,
        gpu: &'static Gpu,
        bytes: usize,
        alignment: usize,
        node: u32,
    ) -> Result<Option<Allocation>> {
        // A larger alignment than the driver's is a matter of luck, from which nothing can be learnt.
        let usual = alignment <= LARGE_BYTES;
        let askew = &self.askew[usize::from(bytes >= LARGE_BYTES)];
        if usual && !askew.load(Ordering::Relaxed) {
            let Some(first) = self.allocate(gpu, bytes, node)? else { return Ok(None) };
            if first.at.is_multiple_of(alignment) {
                return Ok(Some(first));
            }
            askew.store(true, Ordering::Relaxed);
            self.leave_over(first);
        }
        let Some(more) = bytes.checked_add(alignment) else { return Ok(None) };
        let Some(padded) = self.allocate(gpu, more, node)? else { return Ok(None) };
        let start = padded.at.next_multiple_of(alignment);
        if usual {
            askew.store(start != padded.at, Ordering::Relaxed);
        }
        Ok(Some(Allocation { start, bytes, ..padded }))
    }

    /// The GPU in whose context new memory is allocated.
    fn gpu(&self) -> Result<&'static Gpu> {
        match self.kind {
            Kind::Device => gpu(self.gpu),
            Kind::Pinned(_) => gpu::home(),
            Kind::Managed(_) => managed::gpu(),
        }
    }

    /// The status where the driver has no memory left.
    fn no_memory(&self) -> tn_status {
        if matches!(self.kind, Kind::Pinned(_)) { TN_ERR_NO_HOST_MEMORY } else { TN_ERR_NO_DEVICE_MEMORY }
    }

    /// Makes one allocation of the driver. None: the driver has no memory left. Page-locked memory comes from NUMA node
    /// `node` - 1 while that has room; 0: from the node of the GPU.
    fn allocate(&self, gpu: &'static Gpu, bytes: usize, node: u32) -> Result<Option<Allocation>> {
        let inside = gpu.enter()?;
        let mut at: CUdeviceptr = 0;
        let (number, call) = match self.kind {
            // SAFETY: the pointer is ours.
            Kind::Device => (unsafe { inside.cuMemAlloc_v2(&mut at, bytes)? }, "cuMemAlloc"),
            Kind::Pinned(flags) => {
                if flags & TN_HOST_WRITE_COMBINED == 0
                    && let Some(at) = page_locked::allocate(gpu, bytes, LARGE_BYTES, flags, node.checked_sub(1))
                {
                    return Ok(Some(Allocation { mapped_bytes: bytes, ..Allocation::of(gpu, at, bytes) }));
                }
                let mut pointer: *mut c_void = core::ptr::null_mut();
                let _preferred = gpu.prefer_node(node.checked_sub(1));
                // SAFETY: the pointer is ours.
                let mut number = unsafe { inside.cuMemHostAlloc(&mut pointer, bytes, flags)? };
                if number == code::INVALID_VALUE && flags & TN_HOST_WRITE_COMBINED != 0 {
                    // GB200 refuses large sizes with that flag, which is a hint (ai-dynamo/dynamo#5328).
                    // SAFETY: as above.
                    number = unsafe { inside.cuMemHostAlloc(&mut pointer, bytes, flags & !TN_HOST_WRITE_COMBINED)? };
                }
                at = pointer as CUdeviceptr;
                (number, "cuMemHostAlloc")
            }
            // SAFETY: the pointer is ours.
            Kind::Managed(flags) => (unsafe { inside.cuMemAllocManaged(&mut at, bytes, flags)? }, "cuMemAllocManaged"),
        };
        if number == code::OUT_OF_MEMORY {
            return Ok(None);
        }
        gpu.check_as(number, call, self.no_memory())?;
        let at = at as usize;
        Ok((at != 0).then(|| Allocation::of(gpu, at, bytes)))
    }

    /// Frees an allocation. False: the driver refuses it.
    fn free_allocation(&self, allocation: Allocation) -> bool {
        let gpu = allocation.gpu;
        if allocation.mapped_bytes > 0 {
            // Entering finds out about a reset.
            let is_locked = gpu.enter().is_ok() && !allocation.is_dead();
            // SAFETY: from `allocate`, and not used again.
            return unsafe { page_locked::free(gpu, allocation.at, allocation.mapped_bytes, is_locked) };
        }
        if allocation.is_dead() {
            return true;
        }
        let Ok(inside) = gpu.enter() else { return true };
        // Entering finds out about a reset.
        if allocation.is_dead() {
            return true;
        }
        // SAFETY: from `allocate`, and not used again.
        let (number, call) = unsafe {
            match self.kind {
                Kind::Pinned(_) => (inside.cuMemFreeHost(allocation.at as *mut c_void), "cuMemFreeHost"),
                _ => (inside.cuMemFree_v2(allocation.at as CUdeviceptr), "cuMemFree"),
            }
        };
        match number {
            Ok(code::DEINITIALIZED) => true,
            Ok(number) => gpu.check(number, call).is_ok() || gpu.is_lost(),
            Err(_) => false,
        }
    }
}

/// Makes the driver call `call` in the context of the stream's GPU.
fn call_on(stream: &'static Stream, call: &'static str, work: impl FnOnce(&Driver) -> Result<u32>) -> Result<()> {
    let inside = stream.enter()?;
    stream.gpu().check(work(&inside)?, call)
}

/// As [`Device::fill_on`], for memory of any kind.
///
/// # Safety
/// - that of [`Device::fill_on`].
pub(super) unsafe fn fill_on(stream: &'static Stream, start: usize, bytes: usize, value: u8) -> Result<()> {
    refuse_dead(start)?;
    // SAFETY: the caller's obligation.
    call_on(stream, "cuMemsetD8Async", |driver| unsafe {
        driver.cuMemsetD8Async(start as CUdeviceptr, value, bytes, stream.raw())
    })
}

/// As [`Device::copy_on`], for memory of any kind.
///
/// # Safety
/// - that of [`Device::copy_on`].
pub(super) unsafe fn copy_on(stream: &'static Stream, to: usize, from: usize, bytes: usize) -> Result<()> {
    refuse_dead(from)?;
    // SAFETY: the caller's obligation; host and devices share one address space.
    call_on(stream, "cuMemcpyAsync", |driver| unsafe {
        driver.cuMemcpyAsync(to as CUdeviceptr, from as CUdeviceptr, bytes, stream.raw())
    })
}

/// The methods of a [`Device`] whose memory the streams of a GPU reach.
macro_rules! on_streams {
    () => {
        unsafe fn fill_on(&self, stream: &'static Stream, start: usize, bytes: usize, value: u8) -> Result<()> {
            // SAFETY: the caller's obligation.
            unsafe { $crate::device::cuda::fill_on(stream, start, bytes, value) }
        }

        unsafe fn copy_on(&self, stream: &'static Stream, to: usize, from: usize, bytes: usize) -> Result<()> {
            // SAFETY: the caller's obligation.
            unsafe { $crate::device::cuda::copy_on(stream, to, from, bytes) }
        }

        fn is_dead(&self, start: usize) -> bool {
            $crate::device::cuda::is_dead(start)
        }
    };
}
pub(super) use on_streams;

impl Device for Memory {
    fn host_flags(&self) -> u32 {
        match self.kind {
            Kind::Pinned(flags) => flags,
            _ => 0,
        }
    }

    fn terms(&self) -> Terms {
        Terms {
            granule: GRANULE,
            page: PAGE_BYTES,
            refusal: self.no_memory(),
            joins: false,
            splits: false,
            moves: false,
            keeps: false,
            whole: false,
            zeroed: false,
            touch: self.kind != Kind::Device,
            ordered: true,
            in_order: false,
        }
    }

    fn reserve(&self, bytes: usize, alignment: usize, node: u32) -> Result<Option<usize>> {
        let gpu = self.gpu()?;
        let get = || self.allocate_aligned(gpu, bytes, alignment.max(GRANULE), node);
        take_noted(get, |given| {
            self.free_allocation(given);
        })
    }

    unsafe fn free(&self, start: usize, _bytes: usize) -> bool {
        let freed = take_allocation(start).is_none_or(|allocation| self.free_allocation(allocation));
        self.free_left_over();
        freed
    }

    fn free_left_over(&self) -> bool {
        let is_ours = |(kind, allocation): &(Kind, Allocation)| {
            *kind == self.kind && (self.kind != Kind::Device || allocation.gpu.id() == self.gpu)
        };
        let mut any = false;
        loop {
            let mut all = LEFT_OVER.lock();
            let Some(index) = all.iter().position(is_ours) else { return any };
            let (_, allocation) = all.swap_remove(index);
            drop(all);
            self.free_allocation(allocation);
            any = true;
        }
    }

    on_streams!();

    fn is_gone(&self) -> bool {
        let is_lost = |id: i32| gpu(id).map_or(true, Gpu::is_lost);
        match self.kind {
            Kind::Device => is_lost(self.gpu),
            Kind::Managed(_) => is_lost(managed::gpu_id().unwrap_or(0)),
            // The host reaches it as long as any context exists.
            Kind::Pinned(_) => gpu::used().next().is_some() && gpu::used().all(Gpu::is_lost) || gpu(0).is_err(),
        }
    }

    fn memory(&self) -> Option<(u64, u64)> {
        if matches!(self.kind, Kind::Pinned(_)) {
            return HOST.memory();
        }
        let gpu = self.gpu().ok()?;
        let inside = gpu.enter().ok()?;
        let (mut free, mut total) = (0, 0);
        // SAFETY: the pointers are ours.
        let number = unsafe { inside.cuMemGetInfo_v2(&mut free, &mut total) }.ok()?;
        gpu.check(number, "cuMemGetInfo").ok()?;
        Some((total as u64, free as u64))
    }
}
