//! The table of GPUs by the driver's ordinal: their primary contexts, and which of them are lost.
//!
//! Contract: entries are static, and any thread may use them. The lost state of a GPU is final, and the first error's message stays.

use crate::cuda_driver::{self, CUcontext, Driver, code};
use crate::error::{Result, Status, Text, fail};
use crate::thread::QuickLock;
use crate::types::*;
use core::fmt::Write;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// Most GPUs that this library tracks. The driver numbers no more for one process.
pub const GPUS: usize = crate::thread::GPUS;

/// A GPU, by the driver's ordinal.
pub struct Gpu {
    pub(super) id: i32,
    /// The primary context; NULL until it is retained.
    context: AtomicPtr<cuda_driver::sys::CUctx_st>,
    lost: AtomicBool,
    /// Whether the GPU reads pageable memory: 0 unknown, 1 no, 2 yes.
    pub(super) pageable: AtomicU32,
    /// The message of the error that lost the GPU.
    why_lost: QuickLock<Text>,
    /// The counters of `transfer`.
    pub traffic: Traffic,
}

/// Bytes copied between the host and a GPU since the start of the process (TR-14).
pub struct Traffic {
    /// Transfers to the GPU.
    pub to_device_count: AtomicU64,
    /// Bytes of the transfers to the GPU.
    pub to_device_bytes: AtomicU64,
    /// Transfers from the GPU.
    pub to_host_count: AtomicU64,
    /// Bytes of the transfers from the GPU.
    pub to_host_bytes: AtomicU64,
    /// Bytes, of both directions, that went through the library's page-locked staging memory.
    pub staged_bytes: AtomicU64,
    /// Copies and fills that the library's kernels did.
    pub kernel_count: AtomicU64,
    /// The driver's latest reason for not loading these kernels; 0: none.
    pub kernel_error: AtomicU64,
}

impl Traffic {
    const fn none() -> Traffic {
        Traffic {
            to_device_count: AtomicU64::new(0),
            to_device_bytes: AtomicU64::new(0),
            to_host_count: AtomicU64::new(0),
            to_host_bytes: AtomicU64::new(0),
            staged_bytes: AtomicU64::new(0),
            kernel_count: AtomicU64::new(0),
            kernel_error: AtomicU64::new(0),
        }
    }

    pub(super) fn describe(&self, info: &mut tn_device_info) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        info.to_device_count = read(&self.to_device_count);
        info.to_device_bytes = read(&self.to_device_bytes);
        info.to_host_count = read(&self.to_host_count);
        info.to_host_bytes = read(&self.to_host_bytes);
        info.staged_bytes = read(&self.staged_bytes);
        info.kernel_count = read(&self.kernel_count);
        info.kernel_error = read(&self.kernel_error);
    }
}

/// Bytes that `tn_host_register` keeps page-locked.
pub static REGISTERED_BYTES: AtomicU64 = AtomicU64::new(0);

static TABLE: [Gpu; GPUS] = {
    let mut table = [const { Gpu::new() }; GPUS];
    let mut id = 0;
    while id < GPUS {
        table[id].id = id as i32;
        id += 1;
    }
    table
};

/// The GPU with an ordinal. TN_ERR_DEVICE: no such GPU; TN_ERR_UNSUPPORTED: no driver.
pub fn gpu(id: i32) -> Result<&'static Gpu> {
    let none = |count: i32| {
        fail(
            TN_ERR_DEVICE,
            format_args!("there is no GPU {id}; the driver shows {count} to this process, counted from 0"),
        )
    };
    if id < 0 {
        return Err(fail(TN_ERR_DEVICE, format_args!("there is no GPU {id}; they are counted from 0")));
    }
    let count = cuda_driver::driver()?.count();
    let gpu = TABLE.get(id as usize).filter(|gpu| gpu.id < count);
    gpu.ok_or_else(|| none(count))
}

/// The number of GPUs; 0 without a driver.
pub fn count() -> Result<i32> {
    Ok(cuda_driver::if_there()?.map_or(0, |driver| driver.count().min(GPUS as i32)))
}

/// Whether this library ever retained a context. Until then it has put nothing into a GPU's memory.
#[inline]
pub fn any_used() -> bool {
    USED.load(Ordering::Relaxed)
}

static USED: AtomicBool = AtomicBool::new(false);

/// The GPUs whose context this library has retained.
pub fn used() -> impl Iterator<Item = &'static Gpu> {
    TABLE.iter().filter(|gpu| gpu.is_used())
}

impl Gpu {
    const fn new() -> Gpu {
        Gpu {
            id: 0,
            context: AtomicPtr::new(core::ptr::null_mut()),
            lost: AtomicBool::new(false),
            pageable: AtomicU32::new(0),
            why_lost: QuickLock::new(Text::new()),
            traffic: Traffic::none(),
        }
    }

    /// The driver's ordinal.
    pub fn id(&self) -> i32 {
        self.id
    }

    /// The GPU as C names it.
    pub fn device(&self) -> tn_device {
        tn_device { r#type: TN_CUDA, id: self.id }
    }

    fn is_used(&self) -> bool {
        !self.context.load(Ordering::Acquire).is_null()
    }

    /// The driver, if the GPU is not lost and this process may use it.
    pub fn alive(&self) -> Result<&'static Driver> {
        let driver = cuda_driver::driver()?;
        if self.is_lost() { Err(self.lost_error()) } else { Ok(driver) }
    }

    /// Whether an earlier error made the GPU useless for this process (DV-8).
    #[inline]
    pub fn is_lost(&self) -> bool {
        // Acquire pairs with the Release in `mark_lost`.
        self.lost.load(Ordering::Acquire)
    }

    #[cold]
    fn lost_error(&self) -> Status {
        let mut text = Text::new();
        let _ = text.write_str(self.why_lost.lock().as_str());
        fail(TN_ERR_DRIVER, format_args!("{}", text.as_str()))
    }

    /// Turns the result of the driver's function `call` into a status (DV-7).
    #[inline]
    pub fn check(&self, number: u32, call: &'static str) -> Result<()> {
        self.check_as(number, call, TN_ERR_NO_DEVICE_MEMORY)
    }

    /// As [`Gpu::check`]; `out_of_memory` is the status where the driver has no memory left.
    #[inline]
    pub fn check_as(&self, number: u32, call: &'static str, out_of_memory: tn_status) -> Result<()> {
        if number == code::SUCCESS { Ok(()) } else { Err(self.call_failed(number, call, out_of_memory)) }
    }

    #[cold]
    #[inline(never)]
    fn call_failed(&self, number: u32, call: &'static str, out_of_memory: tn_status) -> Status {
        let driver = match cuda_driver::driver() {
            Ok(driver) => driver,
            Err(status) => return status,
        };
        if code::is_fatal(number) {
            self.mark_lost(number, call, driver);
        }
        fail(
            code::status(number, out_of_memory),
            format_args!("{call} on GPU {} failed with {}{}", self.id, driver.name(number), code::advice(number)),
        )
    }

    #[cold]
    fn mark_lost(&self, number: u32, call: &'static str, driver: &Driver) {
        let name = driver.name(number);
        let mut why = self.why_lost.lock();
        if !self.is_lost() {
            let _ = write!(why, "GPU {} was lost when {call} failed with {name}{}", self.id, code::advice(number));
            // Release pairs with the Acquire in `is_lost`.
            self.lost.store(true, Ordering::Release);
            crate::thread::set_devices_in_doubt();
        }
    }

    /// The primary context; NULL until [`Gpu::retained_context`] succeeded once.
    pub(super) fn context(&self) -> CUcontext {
        self.context.load(Ordering::Acquire)
    }

    /// The primary context, retained by the first call.
    pub(super) fn retained_context(&self, driver: &'static Driver) -> Result<CUcontext> {
        let context = self.context();
        if context.is_null() { self.retain(driver) } else { Ok(context) }
    }

    #[cold]
    fn retain(&self, driver: &'static Driver) -> Result<CUcontext> {
        let mut device = 0;
        let mut context = core::ptr::null_mut();
        // SAFETY: the number is ours.
        self.check(unsafe { driver.cuDeviceGet(&mut device, self.id)? }, "cuDeviceGet")?;
        // SAFETY: the driver's own device, and the pointer is ours.
        let number = unsafe { driver.cuDevicePrimaryCtxRetain(&mut context, device)? };
        self.check(number, "cuDevicePrimaryCtxRetain")?;
        USED.store(true, Ordering::Relaxed);
        // AcqRel: a thread that reads the context sees what the driver made.
        let first = core::ptr::null_mut();
        if self.context.compare_exchange(first, context, Ordering::AcqRel, Ordering::Acquire).is_err() {
            // Another thread retained it first, and one reference is enough.
            // SAFETY: releases what was retained above.
            let _ = unsafe { driver.cuDevicePrimaryCtxRelease_v2(device) };
        }
        Ok(context)
    }
}
