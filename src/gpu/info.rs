//! A GPU's attributes, features and description.
//!
//! Contract: retains no context unless memory figures are requested, which need one. An attribute that the driver does
//! not know is 0, so the feature counts as absent.

use super::limits::Limits;
use super::table::Gpu;
use crate::cuda_driver::{self, Attribute, CUdevice, Driver, code};
use crate::error::Result;
use crate::types::*;
use core::ffi::c_char;

const FEATURES: [(u32, Attribute); 9] = [
    (TN_FEATURE_MEMORY_POOLS, Attribute::CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED),
    (TN_FEATURE_MANAGED, Attribute::CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY),
    (TN_FEATURE_CONCURRENT_MANAGED, Attribute::CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS),
    (TN_FEATURE_MAP_HOST, Attribute::CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY),
    (TN_FEATURE_HOST_REGISTER, Attribute::CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED),
    (TN_FEATURE_REGISTER_READ_ONLY, Attribute::CU_DEVICE_ATTRIBUTE_READ_ONLY_HOST_REGISTER_SUPPORTED),
    (TN_FEATURE_UNIFIED_ADDRESSING, Attribute::CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING),
    (TN_FEATURE_INTEGRATED, Attribute::CU_DEVICE_ATTRIBUTE_INTEGRATED),
    (TN_FEATURE_IPC, Attribute::CU_DEVICE_ATTRIBUTE_IPC_EVENT_SUPPORTED),
];

impl Gpu {
    /// Whether the GPU has a TN_FEATURE_; false where the driver fails.
    pub fn has(&self, feature: u32) -> bool {
        self.alive().and_then(|driver| self.features(driver)).is_ok_and(|features| features & feature != 0)
    }

    /// The value of an attribute; 0 where the driver does not know the attribute.
    pub fn attribute(&self, attribute: Attribute) -> Result<i32> {
        let driver = self.alive()?;
        let device = self.ordinal(driver)?;
        self.attribute_of(driver, device, attribute)
    }

    fn ordinal(&self, driver: &Driver) -> Result<CUdevice> {
        let mut device = 0;
        // SAFETY: the number is ours.
        self.check(unsafe { driver.cuDeviceGet(&mut device, self.id())? }, "cuDeviceGet")?;
        Ok(device)
    }

    fn attribute_of(&self, driver: &Driver, device: CUdevice, attribute: Attribute) -> Result<i32> {
        self.known_attribute_of(driver, device, attribute).map(|value| value.unwrap_or(0))
    }

    /// The value of an attribute. None: the driver does not know the attribute.
    pub fn attribute_if_known(&self, attribute: Attribute) -> Result<Option<i32>> {
        let driver = self.alive()?;
        let device = self.ordinal(driver)?;
        self.known_attribute_of(driver, device, attribute)
    }

    fn known_attribute_of(&self, driver: &Driver, device: CUdevice, attribute: Attribute) -> Result<Option<i32>> {
        let mut value = 0;
        // SAFETY: the number is ours.
        match unsafe { driver.cuDeviceGetAttribute(&mut value, attribute, device)? } {
            code::SUCCESS => Ok(Some(value)),
            code::INVALID_VALUE => Ok(None),
            number => self.check(number, "cuDeviceGetAttribute").map(|()| None),
        }
    }

    /// The compute capability, as 10 major + minor.
    pub fn compute_capability(&self) -> Result<i32> {
        let major = self.attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
        let minor = self.attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
        Ok(10 * major + minor)
    }

    /// The limits of launches. Only the first call queries the driver.
    pub fn limits(&self) -> Result<Limits> {
        match self.limits.get() {
            Some(limits) => Ok(*limits),
            None => self.query_limits(),
        }
    }

    #[cold]
    fn query_limits(&self) -> Result<Limits> {
        let driver = self.alive()?;
        let device = self.ordinal(driver)?;
        let limit = |attribute| Ok(self.attribute_of(driver, device, attribute)?.max(0) as u32);
        let block = limit(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK)?;
        let limits = Limits {
            grid: [
                limit(Attribute::CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X)?,
                limit(Attribute::CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y)?,
                limit(Attribute::CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z)?,
            ],
            block: [
                limit(Attribute::CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X)?,
                limit(Attribute::CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y)?,
                limit(Attribute::CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z)?,
            ],
            block_bytes: limit(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?.max(block),
        };
        Ok(*self.limits.get_or_init(|| limits))
    }

    /// The TN_FEATURE_ bits.
    pub fn features(&self, driver: &Driver) -> Result<u32> {
        let device = self.ordinal(driver)?;
        FEATURES.iter().try_fold(0, |features, &(feature, attribute)| {
            let there = self.attribute_of(driver, device, attribute)? != 0;
            Ok(features | if there { feature } else { 0 })
        })
    }

    /// Fills what describes the GPU; the memory figures too if `with_memory`, which retains the context.
    pub fn describe(&'static self, with_memory: bool, info: &mut tn_device_info) -> Result<()> {
        let driver = self.alive()?;
        let device = self.ordinal(driver)?;
        let attribute = |attribute| self.attribute_of(driver, device, attribute);
        let (name, capacity) = (info.name.as_mut_ptr(), info.name.len() as i32);
        // SAFETY: the buffer has `capacity` bytes.
        self.check(unsafe { driver.cuDeviceGetName(name, capacity, device)? }, "cuDeviceGetName")?;
        info.uuid = self.uuid(driver)?;
        let (id, capacity) = (info.pci_bus_id.as_mut_ptr(), info.pci_bus_id.len() as i32);
        // SAFETY: the buffer has `capacity` bytes.
        self.check(unsafe { driver.cuDeviceGetPCIBusId(id, capacity, device)? }, "cuDeviceGetPCIBusId")?;
        info.pci_bus_id.iter_mut().for_each(|letter| *letter = (*letter as u8).to_ascii_lowercase() as c_char);
        info.compute_major = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
        info.compute_minor = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
        info.driver_version = driver.version();
        info.multiprocessors = attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?;
        info.warp_size = attribute(Attribute::CU_DEVICE_ATTRIBUTE_WARP_SIZE)?;
        info.features = self.features(driver)?;
        let block = attribute(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK)?;
        let optin = attribute(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?;
        info.block_memory_bytes = block.max(0) as u64;
        info.block_memory_optin_bytes = optin.max(block).max(0) as u64;
        let mut total = 0;
        // SAFETY: the number is ours.
        self.check(unsafe { driver.cuDeviceTotalMem_v2(&mut total, device)? }, "cuDeviceTotalMem")?;
        info.total_bytes = total as u64;
        if with_memory {
            let free = self.memory()?.0.min(info.total_bytes);
            (info.free_bytes, info.used_bytes) = (free, info.total_bytes - free);
        }
        self.traffic.describe(info);
        Ok(())
    }

    /// The number by which all processes of the machine know the GPU.
    pub fn uuid(&self, driver: &Driver) -> Result<[u8; 16]> {
        let device = self.ordinal(driver)?;
        let mut uuid = cuda_driver::sys::CUuuid { bytes: [0; 16] };
        // SAFETY: the struct is ours. The second version distinguishes the instances of a MIG GPU; old drivers have
        // only the first.
        let number = unsafe {
            match driver.cuDeviceGetUuid_v2(&mut uuid, device) {
                Ok(number) => number,
                Err(_) => driver.cuDeviceGetUuid(&mut uuid, device)?,
            }
        };
        self.check(number, "cuDeviceGetUuid")?;
        Ok(uuid.bytes.map(|byte| byte as u8))
    }

    /// Bytes of memory: free now, and in all. Retains the context.
    pub fn memory(&'static self) -> Result<(u64, u64)> {
        let inside = self.enter()?;
        let (mut free, mut total) = (0, 0);
        // SAFETY: the numbers are ours.
        self.check(unsafe { inside.cuMemGetInfo_v2(&mut free, &mut total)? }, "cuMemGetInfo")?;
        Ok((free.min(total) as u64, total as u64))
    }
}
