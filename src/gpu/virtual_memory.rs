//! Mapped memory of a GPU: addresses that are reserved ahead, and granules of physical memory that are mapped there.
//!
//! Contract: thin; keeps no list of what it made. The caller is [`Inside`] the GPU's context, and made its calls
//! relaxed. Unmapping does not wait for work, so the caller unmaps only memory whose work is done.

use super::context::Inside;
use super::table::{GPUS, Gpu, gpu};
use crate::cuda_driver::sys::{
    CUmemAccess_flags, CUmemAccessDesc, CUmemAllocationHandleType, CUmemAllocationProp, CUmemAllocationType,
    CUmemLocation, CUmemLocationType,
};
use crate::cuda_driver::{Attribute, CUdeviceptr, SUCCESS, code};
use crate::error::{Result, fail, quietly};
use crate::types::{TN_ERR_DEVICE, TN_ERR_DRIVER};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU64, Ordering};

/// Physical memory is made and mapped in multiples of this size.
pub const GRANULE_BYTES: usize = 2 << 20;

/// The size of a granule where much memory is wanted at once.
pub const LARGE_GRANULE_BYTES: usize = 32 << 20;

/// Alignment of reserved addresses.
const ALIGNMENT_BYTES: usize = 2 * GRANULE_BYTES;

/// A granule of physical memory: the driver's handle.
pub type Granule = u64;

pub(super) fn location(id: i32) -> CUmemLocation {
    CUmemLocation { type_: CUmemLocationType::CU_MEM_LOCATION_TYPE_DEVICE, id }
}

impl Gpu {
    /// Whether the driver maps memory of this GPU in granules of [`GRANULE_BYTES`].
    pub fn maps_granules(&'static self) -> bool {
        let Ok(driver) = self.alive() else { return false };
        let managed = self.attribute(Attribute::CU_DEVICE_ATTRIBUTE_VIRTUAL_ADDRESS_MANAGEMENT_SUPPORTED);
        if !driver.can_map_memory() || managed.unwrap_or(0) == 0 {
            return false;
        }
        let mut granularity = 0;
        const MINIMUM: u32 = 0;
        // SAFETY: the number and the struct are ours.
        let number = unsafe { driver.cuMemGetAllocationGranularity(&mut granularity, &self.properties(), MINIMUM) };
        matches!(number, Ok(SUCCESS)) && granularity > 0 && GRANULE_BYTES.is_multiple_of(granularity)
    }

    /// Whether mapping works on this system. A container or a virtual GPU may refuse it although the driver says that it
    /// can, and a limit of the process's addresses may forbid to reserve as many as the GPU has memory. Tries it once for
    /// each context, with one granule. What a lack of memory leaves open counts as yes, and is tried again.
    pub fn can_map(&'static self) -> bool {
        const UNKNOWN: u64 = 0;
        const WORKS: u64 = 1;
        const REFUSED: u64 = 2;
        static TRIED: [AtomicU64; GPUS] = [const { AtomicU64::new(UNKNOWN) }; GPUS];
        let answer = &TRIED[self.id() as usize];
        let key = u64::from(self.epoch()) << 2;
        let known = answer.load(Ordering::Relaxed);
        if known != UNKNOWN && known & !3 == key {
            return known & 3 == WORKS;
        }
        let (works, is_known) = match quietly(|| self.try_mapping()) {
            Ok(Some(())) => (true, true),
            Ok(None) => (true, false),
            Err(_) => (false, !self.is_lost()),
        };
        if is_known {
            answer.store(key | if works { WORKS } else { REFUSED }, Ordering::Relaxed);
        }
        works
    }

    /// Maps a granule at the beginning of addresses of the GPU's total size, and takes all of it back. None: the GPU has
    /// no memory for it now.
    fn try_mapping(&'static self) -> Result<Option<()>> {
        let inside = self.enter()?;
        let (_, total) = self.memory()?;
        let bytes = (total as usize).next_multiple_of(ALIGNMENT_BYTES);
        let Some(start) = reserve(&inside, bytes)? else {
            return Err(fail(TN_ERR_DRIVER, format_args!("the driver reserves no {bytes} bytes of addresses")));
        };
        let granule = Maker::new(self).create(&inside, GRANULE_BYTES);
        let tried = granule.and_then(|granule| {
            let Some(granule) = granule else { return Ok(None) };
            // SAFETY: just reserved, and the granule has that size.
            let mapped = unsafe { map(&inside, start, GRANULE_BYTES, granule) };
            let allowed = match mapped {
                Ok(true) => allow(&inside, start, GRANULE_BYTES, 0),
                other => other,
            };
            // SAFETY: nothing uses the granule.
            unsafe {
                if mapped == Ok(true) && !unmap(&inside, start, GRANULE_BYTES) {
                    return Err(fail(TN_ERR_DRIVER, format_args!("the driver does not unmap memory")));
                }
                release(&inside, granule);
            }
            allowed.map(|done| done.then_some(()))
        });
        // SAFETY: nothing is mapped there.
        unsafe { release_addresses(&inside, start, bytes)? };
        tried
    }

    /// The properties of its granules. Other devices than GPUs may access them too, where the GPU supports that.
    fn properties(&self) -> CUmemAllocationProp {
        // SAFETY: all zero is a valid value: no handle type, no compression, no usage.
        let mut properties: CUmemAllocationProp = unsafe { MaybeUninit::zeroed().assume_init() };
        properties.type_ = CUmemAllocationType::CU_MEM_ALLOCATION_TYPE_PINNED;
        properties.requestedHandleTypes = CUmemAllocationHandleType::CU_MEM_HANDLE_TYPE_NONE;
        properties.location = location(self.id());
        let direct = self.attribute(Attribute::CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_WITH_CUDA_VMM_SUPPORTED);
        properties.allocFlags.gpuDirectRDMACapable = u8::from(direct.unwrap_or(0) != 0);
        properties
    }
}

/// Reserves addresses. None: there are none of that size.
pub fn reserve(inside: &Inside, bytes: usize) -> Result<Option<usize>> {
    let mut start: CUdeviceptr = 0;
    // SAFETY: the number is ours.
    let number = unsafe { inside.cuMemAddressReserve(&mut start, bytes, ALIGNMENT_BYTES, 0, 0)? };
    if number == code::OUT_OF_MEMORY {
        return Ok(None);
    }
    inside.gpu().check(number, "cuMemAddressReserve")?;
    Ok((start != 0).then_some(start as usize))
}

/// Frees reserved addresses.
///
/// # Safety
/// - [`reserve`] returned them, nothing is mapped there, and they are not used again.
pub unsafe fn release_addresses(inside: &Inside, start: usize, bytes: usize) -> Result<()> {
    // SAFETY: the caller's obligation.
    let number = unsafe { inside.cuMemAddressFree(start as CUdeviceptr, bytes)? };
    inside.gpu().check(number, "cuMemAddressFree")
}

/// Makes granules of one kind.
pub struct Maker(CUmemAllocationProp);

impl Maker {
    /// For granules of the GPU.
    pub fn new(gpu: &'static Gpu) -> Maker {
        Maker(gpu.properties())
    }

    /// Makes a granule. None: the GPU has no memory left.
    pub fn create(&self, inside: &Inside, bytes: usize) -> Result<Option<Granule>> {
        let mut granule = 0;
        // SAFETY: the number and the struct are ours.
        let number = unsafe { inside.cuMemCreate(&mut granule, bytes, &self.0, 0)? };
        if number == code::OUT_OF_MEMORY {
            return Ok(None);
        }
        inside.gpu().check(number, "cuMemCreate")?;
        Ok(Some(granule))
    }
}

/// Frees a granule, which keeps its memory while it is mapped.
///
/// # Safety
/// - The granule is not used again, except where it is mapped.
pub unsafe fn release(inside: &Inside, granule: Granule) {
    // SAFETY: the caller's obligation. Nothing can be done about a refusal.
    let _ = unsafe { inside.cuMemRelease(granule) };
}

/// Maps a granule at reserved addresses, where no device can access it yet. False: the driver has no memory for that.
///
/// # Safety
/// - Nothing is mapped at the addresses, which are reserved. The granule has that size.
pub unsafe fn map(inside: &Inside, start: usize, bytes: usize, granule: Granule) -> Result<bool> {
    // SAFETY: the caller's obligation.
    let number = unsafe { inside.cuMemMap(start as CUdeviceptr, bytes, 0, granule, 0)? };
    done(inside, number, "cuMemMap")
}

/// Whether a call succeeded; false: the driver has no memory left. PyTorch's users saw that from the call that sets the
/// access, when all else had succeeded (pytorch/pytorch#188008).
fn done(inside: &Inside, number: u32, call: &'static str) -> Result<bool> {
    if number == code::OUT_OF_MEMORY {
        return Ok(false);
    }
    inside.gpu().check(number, call).map(|()| true)
}

/// Lets a GPU, and the `peers` by the bits of their ordinals, read and write what is mapped in a range. False: the
/// driver has no memory for that.
pub fn allow(inside: &Inside, start: usize, bytes: usize, peers: u64) -> Result<bool> {
    let list = AccessList::of(peers | 1 << inside.gpu().id());
    // SAFETY: the list has that many entries.
    let number = unsafe { inside.cuMemSetAccess(start as CUdeviceptr, bytes, list.first(), list.count())? };
    done(inside, number, "cuMemSetAccess")
}

/// The right to read and write memory, for some GPUs.
pub(super) struct AccessList {
    entries: [MaybeUninit<CUmemAccessDesc>; u64::BITS as usize],
    count: usize,
}

impl AccessList {
    /// For the GPUs with these bits.
    pub fn of(gpus: u64) -> AccessList {
        let flags = CUmemAccess_flags::CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
        let mut list = AccessList { entries: [const { MaybeUninit::uninit() }; u64::BITS as usize], count: 0 };
        for id in (0..u64::BITS as i32).filter(|id| gpus & 1 << id != 0) {
            list.entries[list.count].write(CUmemAccessDesc { location: location(id), flags });
            list.count += 1;
        }
        list
    }

    /// The first of `count` entries.
    pub fn first(&self) -> *const CUmemAccessDesc {
        self.entries.as_ptr().cast()
    }

    pub fn count(&self) -> usize {
        self.count
    }
}

/// Unmaps all granules in a range. False: the driver refused.
///
/// # Safety
/// - The range consists of whole granules that are mapped, all work on it is done, and it is not used again.
pub unsafe fn unmap(inside: &Inside, start: usize, bytes: usize) -> bool {
    // SAFETY: the caller's obligation.
    match unsafe { inside.cuMemUnmap(start as CUdeviceptr, bytes) } {
        Ok(code::DEINITIALIZED) => true,
        Ok(number) => inside.gpu().check(number, "cuMemUnmap").is_ok() || inside.gpu().is_lost(),
        Err(_) => false,
    }
}

/// TN_ERR_DEVICE: one of the `peers`, by the bits of their ordinals, does not exist or cannot access the memory of a
/// GPU.
pub fn check_peers(owner: &'static Gpu, peers: u64) -> Result<()> {
    let reaches = |id: i32| gpu(id).is_ok_and(|peer| id == owner.id() || peer.can_access(owner).unwrap_or(false));
    let unreachable = (0..u64::BITS as i32).filter(|id| peers & 1 << id != 0).find(|&id| !reaches(id));
    let Some(peer) = unreachable else { return Ok(()) };
    Err(fail(
        TN_ERR_DEVICE,
        format_args!(
            "option peers is {peers:#x}: there is no GPU {peer} that can access the memory of GPU {}",
            owner.id()
        ),
    ))
}
