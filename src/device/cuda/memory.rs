//! Memory that the driver gives: of a GPU, page-locked of the host, and managed.
//!
//! Contract: as every [`Device`]'s. Each range is one allocation of the driver and goes back whole. A lost device, the child of a fork and the
//! end of the process need no driver call to take memory back: it is gone already.
//!
//! The driver aligns large allocations as pools need it, but does not promise so. What comes askew is asked for again with room to spare, and
//! the address that the driver knows is kept for the way back.
//!
//! Giving back may wait for all that the device does, or may not (the reference says "may"; Kokkos' issue 9307): so nothing relies on it, and
//! what comes here is finished. After exit began the driver says 4 (DEINITIALIZED), also to destructors of thread-local objects.

use super::{Gpu, gpu};
use crate::device::host::{GRANULE, HOST};
use crate::device::{Device, Terms};
use crate::error::{Result, fail};
use crate::grow_unlocked;
use crate::stream::Queue;
use crate::sys::bytes;
use crate::sys::cuda::{CUdeviceptr, Driver, code};
use crate::thread::QuickLock;
use crate::types::*;
use core::ffi::c_void;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Units of blocks up to 1 MiB (PO-16).
const PAGE: usize = 512;

/// What kind of memory, with the flags that the driver is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Device,
    Pinned(u32),
    Managed(u32),
}

/// A kind of memory of a GPU; host memory belongs to the first one's context.
#[derive(Debug)]
pub struct Memory {
    gpu: i32,
    kind: Kind,
}

static DEVICES: [Memory; super::GPUS] = {
    let mut all = [const { Memory { gpu: 0, kind: Kind::Device } }; super::GPUS];
    let mut id = 0;
    while id < super::GPUS {
        all[id].gpu = id as i32;
        id += 1;
    }
    all
};

/// The flags of cuMemHostAlloc have the numbers of ours.
const HOST_FLAGS: u32 = TN_HOST_PORTABLE | TN_HOST_MAPPED | TN_HOST_WRITE_COMBINED;
const _: () = assert!(HOST_FLAGS == 7, "CU_MEMHOSTALLOC_PORTABLE, _DEVICEMAP and _WRITECOMBINED are 1, 2 and 4");

static PINNED: [Memory; 8] = {
    let mut all = [const { Memory { gpu: 0, kind: Kind::Pinned(0) } }; 8];
    let mut flags = 0;
    while flags < 8 {
        all[flags].kind = Kind::Pinned(flags as u32);
        flags += 1;
    }
    all
};

/// Flags of cuMemAllocManaged, as the driver numbers them.
const ATTACH_GLOBAL: u32 = 1;
const ATTACH_HOST: u32 = 2;

static MANAGED: [Memory; 2] =
    [Memory { gpu: 0, kind: Kind::Managed(ATTACH_GLOBAL) }, Memory { gpu: 0, kind: Kind::Managed(ATTACH_HOST) }];

/// Bytes that are page-locked by allocations of ours (PN-12).
static LOCKED_BYTES: AtomicU64 = AtomicU64::new(0);

/// Bytes that are page-locked by allocations of ours.
pub fn locked_bytes() -> u64 {
    LOCKED_BYTES.load(Ordering::Relaxed)
}

/// The memory of a device of a type of CUDA's, as `host_flags` ask for it. TN_ERR_DEVICE: there is none such; TN_ERR_UNSUPPORTED: there is no
/// driver.
pub fn memory(device: tn_device, host_flags: u32) -> Result<&'static Memory> {
    gpu(device.id)?;
    if device.r#type == TN_CUDA {
        return Ok(&DEVICES[device.id as usize]);
    }
    if device.id != 0 {
        let name = crate::device::type_name(device.r#type);
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

/// An allocation of the driver in which a range begins elsewhere.
#[derive(Clone, Copy)]
struct Askew {
    /// Where the range begins.
    start: usize,
    at: usize,
    bytes: usize,
}

/// By where the ranges begin.
static ASKEW: QuickLock<Vec<Askew>> = QuickLock::new(Vec::new());
/// How many there are: mostly none, and then nobody looks.
static ASKEW_COUNT: AtomicUsize = AtomicUsize::new(0);

/// Remembers one. False: there is no memory for that.
fn note_askew(askew: Askew) -> bool {
    loop {
        let mut all = ASKEW.lock();
        if all.len() < all.capacity() {
            let place = all.partition_point(|other| other.start < askew.start);
            all.insert(place, askew);
            ASKEW_COUNT.store(all.len(), Ordering::Relaxed);
            return true;
        }
        drop(all);
        if grow_unlocked::make(&ASKEW, 64).is_err() {
            return false;
        }
    }
}

/// What the driver gave for a range.
fn given_for(start: usize, bytes: usize) -> Askew {
    let as_asked = Askew { start, at: start, bytes };
    // Who gives a range back knows of it, and so of what was noted with it.
    if ASKEW_COUNT.load(Ordering::Relaxed) == 0 {
        return as_asked;
    }
    let mut all = ASKEW.lock();
    match all.binary_search_by_key(&start, |askew| askew.start) {
        Ok(place) => {
            let askew = all.remove(place);
            ASKEW_COUNT.store(all.len(), Ordering::Relaxed);
            askew
        }
        Err(_) => as_asked,
    }
}

impl Memory {
    fn gpu(&self) -> Result<&'static Gpu> {
        gpu(self.gpu)
    }

    fn short(&self) -> tn_status {
        if matches!(self.kind, Kind::Pinned(_)) { TN_ERR_NO_HOST_MEMORY } else { TN_ERR_NO_DEVICE_MEMORY }
    }

    /// One allocation of the driver. None: it has no memory left.
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
        gpu.check_as(number, call, self.short())?;
        if at != 0 && matches!(self.kind, Kind::Pinned(_)) {
            LOCKED_BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        Ok((at != 0).then_some(at as usize))
    }

    /// Gives one back. False: the driver does not want it.
    fn give_back(&self, at: usize, bytes: usize) -> bool {
        if matches!(self.kind, Kind::Pinned(_)) {
            LOCKED_BYTES.fetch_sub(bytes as u64, Ordering::Relaxed);
        }
        let Ok(gpu) = self.gpu() else { return true };
        let Ok(inside) = gpu.enter() else { return true };
        let _relaxed = inside.relaxed();
        // SAFETY: what `allocate` got, and nobody uses any more.
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

    /// Calls the driver for work on a queue, inside of the queue's GPU.
    fn on(&self, queue: &'static Queue, call: &'static str, work: impl FnOnce(&Driver) -> Result<u32>) -> Result<()> {
        let gpu = queue.gpu();
        let inside = gpu.enter()?;
        gpu.check(work(&inside)?, call)
    }
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
            page: PAGE,
            refusal: self.short(),
            joins: false,
            splits: false,
            moves: false,
            zeroed: false,
            touch: self.kind != Kind::Device,
            ordered: true,
        }
    }

    fn reserve(&self, bytes: usize, alignment: usize, _node: u32) -> Result<Option<usize>> {
        let alignment = alignment.max(GRANULE);
        let Some(at) = self.allocate(bytes)? else { return Ok(None) };
        if at.is_multiple_of(alignment) {
            return Ok(Some(at));
        }
        self.give_back(at, bytes);
        let Some(more) = bytes.checked_add(alignment) else { return Ok(None) };
        let Some(given) = self.allocate(more)? else { return Ok(None) };
        let start = given.next_multiple_of(alignment);
        if start == given && more == bytes || note_askew(Askew { start, at: given, bytes: more }) {
            return Ok(Some(start));
        }
        self.give_back(given, more);
        Ok(None)
    }

    fn commit(&self, _start: usize, _bytes: usize) -> bool {
        true
    }

    unsafe fn free(&self, start: usize, bytes: usize) -> bool {
        let given = given_for(start, bytes);
        self.give_back(given.at, given.bytes)
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
        // SAFETY: the caller's promise.
        unsafe { bytes::fill(start as *mut u8, value, count) };
    }

    unsafe fn copy(&self, to: usize, from: usize, count: usize) {
        debug_assert!(self.kind != Kind::Device, "PD-14");
        // SAFETY: the caller's promise.
        unsafe { bytes::copy(to as *mut u8, from as *const u8, count) };
    }

    unsafe fn fill_on(&self, queue: &'static Queue, start: usize, bytes: usize, value: u8) -> Result<()> {
        // SAFETY: the caller's promise.
        self.on(queue, "cuMemsetD8Async", |driver| unsafe {
            driver.cuMemsetD8Async(start as CUdeviceptr, value, bytes, queue.raw())
        })
    }

    unsafe fn copy_on(&self, queue: &'static Queue, to: usize, from: usize, bytes: usize) -> Result<()> {
        // SAFETY: the caller's promise; both are addresses of the one space that the driver and the host share.
        self.on(queue, "cuMemcpyAsync", |driver| unsafe {
            driver.cuMemcpyAsync(to as CUdeviceptr, from as CUdeviceptr, bytes, queue.raw())
        })
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
