//! Pools: where arrays come from.

use crate::array::Array;
use crate::device::Device;
use crate::element::Element;
use crate::error::{Error, Result, Status, check};
use crate::handle::{Handle, site};
use crate::sys;
use std::ffi::CString;
use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::path::Path;
use std::ptr;

/// An allocator of memory on one device. Arrays stay valid after their pool is dropped.
pub struct Pool {
    handle: Handle<sys::tn_pool>,
}

impl Pool {
    /// Begins the description of a pool: `Pool::configure().initial_size(1 << 20).enable()`.
    pub fn configure() -> PoolOptions {
        PoolOptions::default()
    }

    /// The thread's current pool of a device, which at first is the default pool of the process.
    pub fn current(device: Device) -> Result<Pool> {
        // SAFETY: a place for the handle.
        let handle = Handle::make(|out| unsafe { sys::tn_pool_current(device.into_raw(), out) })?;
        Ok(Pool { handle })
    }

    /// An array of zeros, of this pool.
    #[track_caller]
    pub fn zeros<T: Element>(&self, shape: impl AsRef<[usize]>) -> Result<Array<T>> {
        site(Location::caller());
        Array::zeros_in(self.handle.get(), shape.as_ref())
    }

    /// Makes it the default pool of its device: for all threads, in every language, that set no current pool.
    pub fn enable(&self) -> Result<()> {
        // SAFETY: a call on a handle.
        check(unsafe { sys::tn_pool_set_default(self.handle.get()) })
    }

    /// Makes the initial default pools the default pools again, of all devices.
    pub fn disable_all() -> Result<()> {
        // SAFETY: NULL means the initial pools.
        check(unsafe { sys::tn_pool_set_default(ptr::null_mut()) })
    }

    /// Makes it this thread's current pool of its device, until the value that is returned ends.
    pub fn make_current(&self) -> Result<CurrentPool> {
        let device = self.query()?.device;
        // SAFETY: a place for the handle.
        let before = Handle::make(|out| unsafe { sys::tn_pool_current(device, out) })?;
        // SAFETY: a call on a handle.
        check(unsafe { sys::tn_pool_set_current(self.handle.get()) })?;
        Ok(CurrentPool { before, thread: PhantomData })
    }

    /// The device whose memory it allocates.
    pub fn device(&self) -> Result<Device> {
        Ok(Device::from_raw(self.query()?.device))
    }

    #[cfg(feature = "allocator-api2")]
    pub(crate) fn raw(&self) -> *mut sys::tn_pool {
        self.handle.get()
    }

    /// What it has allocated.
    pub fn stats(&self) -> Result<PoolStats> {
        let stats = self.query()?;
        Ok(PoolStats {
            in_use: stats.in_use_bytes,
            reserved: stats.reserved_bytes,
            peak_in_use: stats.peak_in_use_bytes,
            limit: stats.limit_bytes,
            live_blocks: stats.live_blocks,
            allocations: stats.allocation_count,
            spilled: stats.spilled_bytes,
        })
    }

    /// Returns free memory to the system, except the first `keep` bytes. Returns how many bytes were returned.
    pub fn trim(&self, keep: usize) -> Result<usize> {
        let mut released = 0;
        // SAFETY: a place for the number.
        check(unsafe { sys::tn_pool_trim(self.handle.get(), keep, &mut released) })?;
        Ok(released)
    }

    /// At its limit, the pool writes arrays that nobody uses to nameless files in this folder, and frees their memory; the
    /// next use brings an array back. This concerns arrays of at least 64 KiB that are made from now on. `max_bytes`: in
    /// files; 0: no bound.
    pub fn spill_to(&self, folder: impl AsRef<Path>, max_bytes: u64) -> Result<()> {
        let folder = CString::new(folder.as_ref().as_os_str().as_encoded_bytes())
            .map_err(|_| Error::new(Status::INVALID, "the folder's name contains a NUL"))?;
        let options = sys::tn_spill_options {
            size: size_of::<sys::tn_spill_options>(),
            folder: folder.as_ptr(),
            max_bytes,
            min_array_bytes: 0,
        };
        // SAFETY: a struct of that size, whose text ends with a NUL.
        check(unsafe { sys::tn_pool_set_spill(self.handle.get(), &options) })
    }

    /// Spills arrays that nobody uses until `bytes` bytes of memory are free. Returns how many were spilled.
    pub fn spill(&self, bytes: usize) -> Result<usize> {
        let mut spilled = 0;
        // SAFETY: a place for the number.
        check(unsafe { sys::tn_pool_spill(self.handle.get(), bytes, &mut spilled) })?;
        Ok(spilled)
    }

    fn query(&self) -> Result<sys::tn_pool_stats> {
        // SAFETY: plain numbers, for which zero is a value.
        let mut stats: sys::tn_pool_stats = unsafe { std::mem::zeroed() };
        stats.size = size_of::<sys::tn_pool_stats>();
        // SAFETY: a struct of that size.
        check(unsafe { sys::tn_pool_query(self.handle.get(), &mut stats) })?;
        Ok(stats)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("stats", &self.stats()).finish()
    }
}

/// What a pool has allocated, in bytes and blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PoolStats {
    /// Bytes of live blocks.
    pub in_use: u64,
    /// Bytes that the pool has from the system.
    pub reserved: u64,
    /// The largest `in_use` since creation.
    pub peak_in_use: u64,
    /// The limit of `reserved`; 0: none.
    pub limit: u64,
    /// Live blocks.
    pub live_blocks: u64,
    /// Allocations that succeeded.
    pub allocations: u64,
    /// Of `in_use`: in files, see [`Pool::spill_to`].
    pub spilled: u64,
}

/// The description of a pool. What is not set has the library's default.
#[derive(Clone, Debug, Default)]
#[must_use = "a description makes no pool: call build or enable"]
pub struct PoolOptions {
    device: Device,
    name: Option<String>,
    initial_size: u64,
    max_size: u64,
    max_growth: u64,
    growth_factor: f64,
}

impl PoolOptions {
    /// The device of the memory; without this, the host.
    pub fn device(mut self, device: Device) -> PoolOptions {
        self.device = device;
        self
    }

    /// The name in messages and reports.
    pub fn name(mut self, name: impl Into<String>) -> PoolOptions {
        self.name = Some(name.into());
        self
    }

    /// Bytes that the pool has from the start, and keeps.
    pub fn initial_size(mut self, bytes: u64) -> PoolOptions {
        self.initial_size = bytes;
        self
    }

    /// Upper bound of the bytes that it has; more are refused with [`Status::POOL_LIMIT`].
    pub fn max_size(mut self, bytes: u64) -> PoolOptions {
        self.max_size = bytes;
        self
    }

    /// Upper bound of one step of growth, in bytes.
    pub fn max_growth(mut self, bytes: u64) -> PoolOptions {
        self.max_growth = bytes;
        self
    }

    /// By which factor it grows, at least 1.
    pub fn growth_factor(mut self, factor: f64) -> PoolOptions {
        self.growth_factor = factor;
        self
    }

    /// Makes the pool.
    #[track_caller]
    pub fn build(&self) -> Result<Pool> {
        site(Location::caller());
        let name = self.name.as_deref().map(CString::new).transpose();
        let name = name.map_err(|_| Error::new(Status::INVALID, "tenure_rs: a name with a zero byte"))?;
        // SAFETY: plain numbers and pointers, for which zero is a value: the default.
        let mut options: sys::tn_pool_options = unsafe { std::mem::zeroed() };
        options.size = size_of::<sys::tn_pool_options>();
        options.name = name.as_ref().map_or(ptr::null(), |name| name.as_ptr());
        options.initial_size = self.initial_size;
        options.max_size = self.max_size;
        options.max_growth = self.max_growth;
        options.growth_factor = self.growth_factor;
        // SAFETY: a struct of its size with a text that outlives the call, and a place for the handle.
        let handle = Handle::make(|out| unsafe { sys::tn_pool_create(self.device.into_raw(), &options, out) })?;
        Ok(Pool { handle })
    }

    /// Makes the pool, and makes it the default pool of its device: see [`Pool::enable`].
    #[track_caller]
    pub fn enable(&self) -> Result<Pool> {
        let pool = self.build()?;
        pool.enable()?;
        Ok(pool)
    }
}

/// A [`Pool`] by the name that libraries of tensors use.
pub type MemoryPool = Pool;

/// Pools of GPUs.
#[derive(Debug)]
pub enum CudaMemoryPool {}

impl CudaMemoryPool {
    /// The description of a pool of the first GPU; `device` chooses another.
    pub fn configure() -> PoolOptions {
        Pool::configure().device(Device::Cuda(0))
    }
}

/// A pool is the current one of a thread until this value ends. Then the one before is again.
#[must_use = "the pool is current until this value ends"]
pub struct CurrentPool {
    before: Handle<sys::tn_pool>,
    // Ended on the thread whose pool it set.
    thread: PhantomData<*const ()>,
}

impl Drop for CurrentPool {
    fn drop(&mut self) {
        // SAFETY: a call on a handle.
        let _ = unsafe { sys::tn_pool_set_current(self.before.get()) };
    }
}

impl fmt::Debug for CurrentPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentPool").finish_non_exhaustive()
    }
}
