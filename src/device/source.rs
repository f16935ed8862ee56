//! Which device a pool takes its memory from.

#[cfg(not(preload))]
use super::checked;
#[cfg(not(preload))]
use super::cuda;
#[cfg(not(preload))]
use super::driver_pool::DriverPool;
#[cfg(not(preload))]
use super::exported;
use super::host;
use super::interface::Device;
#[cfg(not(preload))]
use super::mapped;
use super::query::known_type;
#[cfg(not(preload))]
use super::shareable;
#[cfg(not(preload))]
use crate::error::quietly;
use crate::error::{Result, fail};
#[cfg(not(preload))]
use crate::gpu::{GPUS, gpu};
#[cfg(preload)]
use crate::names::device_type_name;
#[cfg(not(preload))]
use crate::stream;
use crate::types::*;

/// Bits of a source: mapped memory, a pool of the driver. Records are aligned to more.
#[cfg(not(preload))]
const MAPPED: usize = 1;
#[cfg(not(preload))]
const DRIVER_POOL: usize = 2;

/// The source of memory that other processes can map, and that which they only read. No record has such addresses.
#[cfg(not(preload))]
const SHAREABLE: usize = 4;
#[cfg(not(preload))]
const SHAREABLE_READONLY: usize = 32;

/// The source of memory whose accesses are checked. No record has such an address.
const CHECKED: usize = 16;

/// The sources of memory of GPUs that other processes can open: this number, and the GPU's ordinal times 16. No record
/// has such an address.
#[cfg(not(preload))]
const EXPORTED: usize = 8;
#[cfg(not(preload))]
const EXPORTED_STEP: usize = 16;

/// The device of a pool, as a number that fits an atomic; 0: the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Source(usize);

impl Source {
    /// Host memory.
    pub const HOST: Source = Source(0);

    /// Host memory that other processes can map, or that they only read. None: this library shares none.
    #[cfg(not(preload))]
    pub fn shareable(readonly: bool) -> Option<Source> {
        Some(Source(if readonly { SHAREABLE_READONLY } else { SHAREABLE }))
    }

    /// This library shares nothing.
    #[cfg(preload)]
    pub fn shareable(_readonly: bool) -> Option<Source> {
        None
    }

    /// Host memory whose accesses are checked, if the option `check` asks for it.
    #[cfg(not(preload))]
    pub fn checked() -> Option<Source> {
        checked::is_wanted().then(|| {
            checked::begin();
            Source(CHECKED)
        })
    }

    /// This library checks nothing.
    #[cfg(preload)]
    pub fn checked() -> Option<Source> {
        None
    }

    /// Whether accesses of the memory are checked.
    pub fn is_checked(self) -> bool {
        self.0 == CHECKED
    }

    /// Memory of a GPU that other processes can open. TN_ERR_UNSUPPORTED: this GPU shares none, or this library.
    #[cfg(not(preload))]
    pub fn exported(device: tn_device) -> Result<Source> {
        exported::of_gpu(gpu(device.id)?.id()).check()?;
        Ok(Source(EXPORTED + EXPORTED_STEP * device.id as usize))
    }

    /// TN_ERR_UNSUPPORTED: this library has no GPU.
    #[cfg(preload)]
    pub fn exported(device: tn_device) -> Result<Source> {
        Source::cuda(device, 0)
    }

    #[cfg(not(preload))]
    fn as_exported(self) -> Option<&'static exported::Exported> {
        let is_one = self.0 % EXPORTED_STEP == EXPORTED && self.0 < EXPORTED_STEP * GPUS;
        is_one.then(|| exported::of_gpu((self.0 / EXPORTED_STEP) as i32))
    }

    /// The source for the device and flags in the options of a pool. TN_ERR_DEVICE: no such device; TN_ERR_UNSUPPORTED:
    /// this build or this machine does not support its type.
    pub fn of(device: tn_device, host_flags: u32) -> Result<Source> {
        known_type(device.r#type)?;
        match (device.r#type, device.id) {
            (TN_CPU, 0) => Ok(Source::HOST),
            (TN_CPU, id) => {
                Err(fail(TN_ERR_DEVICE, format_args!("device {{cpu, {id}}} does not exist; the host is {{TN_CPU, 0}}")))
            }
            _ => Source::cuda(device, host_flags),
        }
    }

    #[cfg(not(preload))]
    fn cuda(device: tn_device, host_flags: u32) -> Result<Source> {
        cuda::memory(device, host_flags).map(|memory| Source(core::ptr::from_ref(memory) as usize))
    }

    #[cfg(preload)]
    fn cuda(device: tn_device, _host_flags: u32) -> Result<Source> {
        let name = device_type_name(device.r#type);
        Err(fail(TN_ERR_UNSUPPORTED, format_args!("this build does not support devices of type {name}")))
    }

    /// Mapped memory of a GPU for one pool (PD-10), which [`Source::end`] returns. `peers`: GPUs that may access it
    /// too. None: the driver, the GPU or the system has no support for that.
    #[cfg(not(preload))]
    pub fn mapped(device: tn_device, peers: u64) -> Result<Option<Source>> {
        let owner = gpu(device.id)?;
        // The trial unmaps memory, which may break a capture.
        let is_usable = || quietly(|| stream::refuse_captures(owner)).is_err() || owner.can_map();
        if !owner.maps_granules() || !is_usable() {
            return Ok(None);
        }
        let mapped = mapped::Mapped::create(owner, peers)?;
        Ok(Some(Source(core::ptr::from_ref(mapped) as usize | MAPPED)))
    }

    /// This library has no GPU.
    #[cfg(preload)]
    pub fn mapped(_device: tn_device, _peers: u64) -> Result<Option<Source>> {
        Ok(None)
    }

    /// A pool of the driver, for one pool (PD-17), which [`Source::end`] ends. `threshold`: free bytes that the driver
    /// keeps when the program synchronises. `waits`: the driver may make a stream wait for another one's free. `peers`:
    /// as for `mapped`. TN_ERR_UNSUPPORTED: the driver or the GPU has no memory pools.
    #[cfg(not(preload))]
    pub fn driver_pool(device: tn_device, threshold: u64, waits: bool, peers: u64) -> Result<Source> {
        let made = DriverPool::create(gpu(device.id)?, threshold, waits, peers)?;
        Ok(Source(core::ptr::from_ref(made) as usize | DRIVER_POOL))
    }

    /// TN_ERR_UNSUPPORTED: this library has no GPU.
    #[cfg(preload)]
    pub fn driver_pool(device: tn_device, _threshold: u64, _waits: bool, _peers: u64) -> Result<Source> {
        Source::cuda(device, 0)
    }

    /// Ends the source of a pool that has ended.
    pub fn end(self) {
        #[cfg(not(preload))]
        if let Some(mapped) = self.as_mapped() {
            mapped.end();
        } else if let Some(driver_pool) = self.as_driver_pool() {
            driver_pool.end();
        } else if let Some(exported) = self.as_exported() {
            exported.free_left_over();
        }
    }

    #[cfg(not(preload))]
    fn as_driver_pool(self) -> Option<&'static DriverPool> {
        // SAFETY: set by `driver_pool` from a static reference.
        (self.0 & DRIVER_POOL != 0).then(|| unsafe { &*((self.0 & !DRIVER_POOL) as *const DriverPool) })
    }

    #[cfg(not(preload))]
    fn as_mapped(self) -> Option<&'static mapped::Mapped> {
        // SAFETY: set by `mapped` from a static reference.
        (self.0 & MAPPED != 0).then(|| unsafe { &*((self.0 & !MAPPED) as *const mapped::Mapped) })
    }

    /// The source as a number.
    pub fn bits(self) -> usize {
        self.0
    }

    /// # Safety
    /// - `bits` came from [`Source::bits`].
    pub unsafe fn from_bits(bits: usize) -> Source {
        Source(bits)
    }

    /// The device that the source stands for.
    pub fn device(self) -> &'static dyn Device {
        #[cfg(not(preload))]
        if let Some(mapped) = self.as_mapped() {
            return mapped;
        }
        #[cfg(not(preload))]
        if let Some(driver_pool) = self.as_driver_pool() {
            return driver_pool;
        }
        #[cfg(not(preload))]
        if let Some(exported) = self.as_exported() {
            return exported;
        }
        match self.0 {
            0 => &host::HOST,
            #[cfg(not(preload))]
            SHAREABLE => &shareable::SHAREABLE,
            #[cfg(not(preload))]
            SHAREABLE_READONLY => &shareable::READONLY,
            #[cfg(not(preload))]
            CHECKED => &checked::CHECKED,
            // SAFETY: set by `cuda` from a static reference.
            #[cfg(not(preload))]
            at => unsafe { &*(at as *const cuda::Memory) },
            #[cfg(preload)]
            _ => &host::HOST,
        }
    }
}
