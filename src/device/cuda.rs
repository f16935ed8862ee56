//! Memory of the CUDA driver: of a GPU, page-locked host memory, and managed memory.
//!
//! Contract: that of every [`Device`]. Each range is one allocation of the driver and is freed whole. On a lost device, in the child of a
//! fork and at the end of the process, a free makes no driver call: the memory is gone already.
//!
//! The driver aligns large allocations as pools need it, but does not guarantee it. A misaligned allocation is repeated with padding, and
//! the address that the driver knows is kept for its free. Later allocations of the kind and size are padded at once, until one comes
//! aligned. The misaligned allocation is freed with the next range, or when memory runs out, because a free may wait for the device.
//!
//! A free may or may not wait for the device's work (the driver's reference says "may"; Kokkos issue 9307). So nothing relies on it, and
//! the caller frees only memory whose work is done. During exit the driver returns 4 (DEINITIALIZED), also to thread-local destructors.

use super::host::HOST;
use super::interface::{Device, GRANULE, Terms};
use crate::cuda_driver::{CUdeviceptr, Driver, code};
use crate::error::{Result, fail};
use crate::gpu::{GPUS, Gpu, gpu};
use crate::grow_unlocked;
use crate::names::device_type_name;
use crate::stream::Stream;
use crate::sys::bytes;
use crate::thread::QuickLock;
use crate::types::*;
use core::ffi::c_void;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Blocks up to 1 MiB are rounded up to this (PO-16).
pub(super) const PAGE_BYTES: usize = 512;

/// The kind of memory, with the driver's flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Device,
    Pinned(u32),
    Managed(u32),
}

/// A kind of memory of a GPU. Page-locked and managed memory belong to the context of GPU 0.
#[derive(Debug)]
pub struct Memory {
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

/// The memory of a CUDA device with the TN_HOST_ or TN_MANAGED_ flags given. TN_ERR_DEVICE: no such device; TN_ERR_UNSUPPORTED: no driver.
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

/// The allocation of the driver behind a range.
#[derive(Clone, Copy)]
struct Allocation {
    /// The aligned start of the range.
    start: usize,
    /// The address that the driver knows.
    at: usize,
}

/// The allocations whose address is not the start of their range, sorted by `start`.
static PADDED: QuickLock<Vec<Allocation>> = QuickLock::new(Vec::new());
/// Their number, usually 0, which is read without the lock.
static PADDED_COUNT: AtomicUsize = AtomicUsize::new(0);

/// Records a padded allocation. False: no memory for the record.
fn note_padded(allocation: Allocation) -> bool {
    loop {
        let mut all = PADDED.lock();
        if all.len() < all.capacity() {
            let index = all.partition_point(|other| other.start < allocation.start);
            all.insert(index, allocation);
            PADDED_COUNT.store(all.len(), Ordering::Relaxed);
            return true;
        }
        drop(all);
        if grow_unlocked::make(&PADDED, 64).is_err() {
            return false;
        }
    }
}

/// The driver's allocation behind a range that is being freed.
fn allocation_of(start: usize) -> Allocation {
    let unpadded = Allocation { start, at: start };
    // Relaxed: the caller got the range after the allocation was recorded.
    if PADDED_COUNT.load(Ordering::Relaxed) == 0 {
        return unpadded;
    }
    let mut all = PADDED.lock();
    match all.binary_search_by_key(&start, |allocation| allocation.start) {
        Ok(index) => {
            let allocation = all.remove(index);
            PADDED_COUNT.store(all.len(), Ordering::Relaxed);
            allocation
        }
        Err(_) => unpadded,
    }
}

/// A misaligned allocation that no pool has.
#[derive(Clone, Copy)]
struct LeftOver {
    gpu: i32,
    kind: Kind,
    at: usize,
}

static LEFT_OVER: QuickLock<Vec<LeftOver>> = QuickLock::new(Vec::new());

impl Memory {
    /// Keeps a misaligned allocation until `free_left_over`. Without memory for the record it is freed now.
    fn leave_over(&self, at: usize) {
        loop {
            let mut all = LEFT_OVER.lock();
            if all.len() < all.capacity() {
                all.push(LeftOver { gpu: self.gpu, kind: self.kind, at });
                return;
            }
            drop(all);
            if grow_unlocked::make(&LEFT_OVER, 8).is_err() {
                self.free_allocation(at);
                return;
            }
        }
    }

    /// Frees the misaligned allocations of this kind. False: there are none.
    fn free_left_over(&self) -> bool {
        let mut any = false;
        loop {
            let mut all = LEFT_OVER.lock();
            let Some(index) = all.iter().position(|other| (other.gpu, other.kind) == (self.gpu, self.kind)) else {
                return any;
            };
            let LeftOver { at, .. } = all.swap_remove(index);
            drop(all);
            self.free_allocation(at);
            any = true;
        }
    }

    /// As `allocate`; frees misaligned allocations if the driver has no memory left.
    fn allocate_or_tidy(&self, bytes: usize) -> Result<Option<usize>> {
        match self.allocate(bytes)? {
            None if self.free_left_over() => self.allocate(bytes),
            at => Ok(at),
        }
    }

    /// As [`Device::reserve`].
    fn reserve_aligned(&self, bytes: usize, alignment: usize) -> Result<Option<usize>> {
        // A larger alignment than the driver's is a matter of luck, from which nothing can be learnt.
        let usual = alignment <= LARGE_BYTES;
        let askew = &self.askew[usize::from(bytes >= LARGE_BYTES)];
        if usual && !askew.load(Ordering::Relaxed) {
            let Some(at) = self.allocate_or_tidy(bytes)? else { return Ok(None) };
            if at.is_multiple_of(alignment) {
                return Ok(Some(at));
            }
            askew.store(true, Ordering::Relaxed);
            self.leave_over(at);
        }
        let Some(more) = bytes.checked_add(alignment) else { return Ok(None) };
        let Some(given) = self.allocate_or_tidy(more)? else { return Ok(None) };
        let start = given.next_multiple_of(alignment);
        if usual {
            askew.store(start != given, Ordering::Relaxed);
        }
        if start == given || note_padded(Allocation { start, at: given }) {
            return Ok(Some(start));
        }
        self.free_allocation(given);
        Ok(None)
    }

    fn gpu(&self) -> Result<&'static Gpu> {
        gpu(self.gpu)
    }

    /// The status where the driver has no memory left.
    fn no_memory(&self) -> tn_status {
        if matches!(self.kind, Kind::Pinned(_)) { TN_ERR_NO_HOST_MEMORY } else { TN_ERR_NO_DEVICE_MEMORY }
    }

    /// Makes one allocation of the driver. None: the driver has no memory left.
    fn allocate(&self, bytes: usize) -> Result<Option<usize>> {
        let gpu = self.gpu()?;
        let inside = gpu.enter()?;
        let _relaxed = inside.relaxed();
        let mut at: CUdeviceptr = 0;
        let (number, call) = match self.kind {
            // SAFETY: the pointer is ours.
            Kind::Device => (unsafe { inside.cuMemAlloc_v2(&mut at, bytes)? }, "cuMemAlloc"),
            Kind::Pinned(flags) => {
                let mut pointer: *mut c_void = core::ptr::null_mut();
                // SAFETY: the pointer is ours.
                let number = unsafe { inside.cuMemHostAlloc(&mut pointer, bytes, flags)? };
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
        Ok((at != 0).then_some(at as usize))
    }

    /// Frees an allocation. False: the driver refuses it.
    fn free_allocation(&self, at: usize) -> bool {
        let Ok(gpu) = self.gpu() else { return true };
        let Ok(inside) = gpu.enter() else { return true };
        let _relaxed = inside.relaxed();
        // SAFETY: from `allocate`, and not used again.
        let (number, call) = unsafe {
            match self.kind {
                Kind::Pinned(_) => (inside.cuMemFreeHost(at as *mut c_void), "cuMemFreeHost"),
                _ => (inside.cuMemFree_v2(at as CUdeviceptr), "cuMemFree"),
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
    let gpu = stream.gpu();
    let inside = gpu.enter()?;
    gpu.check(work(&inside)?, call)
}

/// As [`Device::fill_on`], for memory of any kind.
///
/// # Safety
/// - that of [`Device::fill_on`].
pub(super) unsafe fn fill_on(stream: &'static Stream, start: usize, bytes: usize, value: u8) -> Result<()> {
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
    // SAFETY: the caller's obligation; host and devices share one address space.
    call_on(stream, "cuMemcpyAsync", |driver| unsafe {
        driver.cuMemcpyAsync(to as CUdeviceptr, from as CUdeviceptr, bytes, stream.raw())
    })
}

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
            zeroed: false,
            touch: self.kind != Kind::Device,
            ordered: true,
        }
    }

    fn reserve(&self, bytes: usize, alignment: usize, _node: u32) -> Result<Option<usize>> {
        self.reserve_aligned(bytes, alignment.max(GRANULE))
    }

    fn commit(&self, _start: usize, _bytes: usize) -> bool {
        true
    }

    unsafe fn free(&self, start: usize, _bytes: usize) -> bool {
        let freed = self.free_allocation(allocation_of(start).at);
        self.free_left_over();
        freed
    }

    unsafe fn discard(&self, _start: usize, _bytes: usize, _zero: bool) -> bool {
        false
    }

    unsafe fn prefault(&self, _start: usize, _bytes: usize) {}

    unsafe fn move_pages(&self, _old: usize, _old_bytes: usize, _to: usize, _new_bytes: usize) -> bool {
        false
    }

    unsafe fn fill(&self, start: usize, count: usize, value: u8) {
        debug_assert!(self.kind != Kind::Device, "PD-14");
        // SAFETY: the caller's obligation.
        unsafe { bytes::fill(start as *mut u8, value, count) };
    }

    unsafe fn copy(&self, to: usize, from: usize, count: usize) {
        debug_assert!(self.kind != Kind::Device, "PD-14");
        // SAFETY: the caller's obligation.
        unsafe { bytes::copy(to as *mut u8, from as *const u8, count) };
    }

    unsafe fn fill_on(&self, stream: &'static Stream, start: usize, bytes: usize, value: u8) -> Result<()> {
        // SAFETY: the caller's obligation.
        unsafe { fill_on(stream, start, bytes, value) }
    }

    unsafe fn copy_on(&self, stream: &'static Stream, to: usize, from: usize, bytes: usize) -> Result<()> {
        // SAFETY: the caller's obligation.
        unsafe { copy_on(stream, to, from, bytes) }
    }

    fn is_gone(&self) -> bool {
        self.gpu().map_or(true, Gpu::is_lost)
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
