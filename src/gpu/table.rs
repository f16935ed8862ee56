//! The table of GPUs by the driver's ordinal: their primary contexts, and which of them are lost.
//!
//! Contract: entries are static, and any thread may use them. The lost state of a GPU is final, and the first error's
//! message stays.

use super::limits::Limits;
use super::reset;
use crate::cuda_driver::{self, CUcontext, Driver, code};
use crate::error::{Result, Status, Text, fail, quietly};
use crate::sys::lock::Mutex;
use crate::sys::os;
use crate::thread::QuickLock;
use crate::types::*;
use core::fmt::Write;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::sync::OnceLock;

/// Most GPUs that this library tracks. The driver numbers no more for one process.
pub const GPUS: usize = crate::thread::GPUS;

/// A GPU, by the driver's ordinal.
pub struct Gpu {
    pub(super) id: i32,
    /// The primary context; NULL until it is retained.
    context: AtomicPtr<cuda_driver::sys::CUctx_st>,
    /// The driver's unique number of that context; 0: none yet, or the driver is older than 12.0.
    context_id: AtomicU64,
    /// When it was last compared with the GPU's present primary context.
    compared_ms: AtomicU64,
    /// How often the primary context was reset.
    epoch: AtomicU32,
    lost: AtomicBool,
    /// The message of the error that lost the GPU.
    why_lost: QuickLock<Text>,
    /// The limits of launches, once they are known.
    pub(super) limits: OnceLock<Limits>,
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

/// The only GPU. TN_ERR_DEVICE: there are several, or none.
#[inline]
pub fn only() -> Result<&'static Gpu> {
    match cuda_driver::driver()?.count() {
        1 => Ok(&TABLE[0]),
        count => Err(fail(TN_ERR_DEVICE, format_args!("there are {count} GPUs"))),
    }
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

/// How many GPUs were lost. Changes after the GPU counts as lost.
pub fn lost_count() -> u64 {
    LOST.load(Ordering::Acquire)
}

static LOST: AtomicU64 = AtomicU64::new(0);

/// Whether any GPU's primary context was reset while this library used it.
#[inline]
pub fn any_reset() -> bool {
    RESET.load(Ordering::Acquire)
}

static RESET: AtomicBool = AtomicBool::new(false);

/// Guards retaining contexts. A thread may wait for the driver under it.
static RETAINING: Mutex<()> = Mutex::new(());

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
            context_id: AtomicU64::new(0),
            compared_ms: AtomicU64::new(0),
            epoch: AtomicU32::new(0),
            lost: AtomicBool::new(false),
            why_lost: QuickLock::new(Text::new()),
            limits: OnceLock::new(),
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
        if code::is_of_context(number) && self.renew_if_reset(driver) {
            return fail(
                TN_ERR_DRIVER,
                format_args!(
                    "{call} on GPU {} failed with {}: the GPU's primary context was reset; what was in it is gone, and the next call uses the new one",
                    self.id,
                    driver.name(number)
                ),
            );
        }
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
            LOST.fetch_add(1, Ordering::Release);
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

    /// Which of the GPU's primary contexts is in use: a reset by the program, or by another library, begins a new one.
    /// What was made in an earlier one does not exist any more.
    #[inline]
    pub fn epoch(&self) -> u32 {
        // Acquire pairs with the Release in `renew`.
        self.epoch.load(Ordering::Acquire)
    }

    #[cold]
    fn retain(&self, driver: &'static Driver) -> Result<CUcontext> {
        let _alone = RETAINING.lock();
        if self.context().is_null() {
            self.retain_new(driver)?;
        }
        Ok(self.context())
    }

    /// Retains the primary context and records it. The caller has `RETAINING`.
    fn retain_new(&self, driver: &'static Driver) -> Result<()> {
        let mut device = 0;
        let mut context = core::ptr::null_mut();
        // SAFETY: the number is ours.
        self.check(unsafe { driver.cuDeviceGet(&mut device, self.id)? }, "cuDeviceGet")?;
        // SAFETY: the driver's own device, and the pointer is ours.
        let number = unsafe { driver.cuDevicePrimaryCtxRetain(&mut context, device)? };
        self.check(number, "cuDevicePrimaryCtxRetain")?;
        self.compared_ms.store(os::coarse_ms(), Ordering::Relaxed);
        // A context without a number, as a failure leaves it, is never found to be reset.
        self.context_id.store(quietly(|| id_of(driver, context)).unwrap_or(0), Ordering::Relaxed);
        USED.store(true, Ordering::Relaxed);
        // Release: a thread that reads the context sees what the driver made.
        self.context.store(context, Ordering::Release);
        Ok(())
    }

    /// Whether the recorded context is the one that was retained. A reset ends it: then the GPU has no active primary
    /// context, until another library retains the next one. So once in each tick of the coarse clock the present one is
    /// compared with it.
    #[inline]
    pub(super) fn is_retained(&self, driver: &'static Driver) -> bool {
        let now = os::coarse_ms();
        let is_due = self.compared_ms.load(Ordering::Relaxed) != now;
        if is_due {
            self.compared_ms.store(now, Ordering::Relaxed);
        }
        self.is_active(driver) && (!is_due || self.is_present(driver))
    }

    /// Whether the GPU has a primary context. A driver that cannot tell is believed to have one.
    #[inline]
    pub(super) fn is_active(&self, driver: &'static Driver) -> bool {
        let (mut flags, mut active) = (0, 0);
        // A GPU's ordinal is the driver's device.
        // SAFETY: the numbers are ours.
        let asked = unsafe { driver.cuDevicePrimaryCtxGetState(self.id, &mut flags, &mut active) };
        !matches!(asked, Ok(code::SUCCESS)) || active != 0
    }

    /// Whether the GPU's present primary context, which exists, is the recorded one. The recorded handle is not passed to
    /// the driver, which may crash for a context that ended (openucx/ucx#10852). Retaining gives the handle of the
    /// present one. It may be the old handle, so its number decides; drivers before 12.0 have no numbers.
    #[cold]
    fn is_present(&self, driver: &'static Driver) -> bool {
        let mut context = core::ptr::null_mut();
        // SAFETY: as above, and the pointer is ours.
        let retained = unsafe { driver.cuDevicePrimaryCtxRetain(&mut context, self.id) };
        if !matches!(retained, Ok(code::SUCCESS)) {
            return true;
        }
        let known = self.context_id.load(Ordering::Relaxed);
        let is_known = context == self.context()
            && match id_of(driver, context) {
                Ok(id) => known == 0 || id == known,
                // Any other failure says nothing about the context.
                Err(number) => !code::is_of_context(number),
            };
        // SAFETY: as above; retained a moment ago.
        let _ = unsafe { driver.cuDevicePrimaryCtxRelease_v2(self.id) };
        is_known
    }

    /// Retains the new primary context if the one in use was reset, and lets the layers above forget what was in it.
    /// False: it was not reset, or the driver gives no new one.
    #[cold]
    pub(super) fn renew_if_reset(&self, driver: &'static Driver) -> bool {
        let before = self.epoch();
        let alone = RETAINING.lock();
        if self.epoch() != before {
            return true;
        }
        if self.context().is_null() || self.is_active(driver) && self.is_present(driver) {
            return false;
        }
        let renewed = quietly(|| self.retain_new(driver)).is_ok();
        if renewed {
            self.epoch.fetch_add(1, Ordering::Release);
            RESET.store(true, Ordering::Release);
            crate::thread::set_devices_in_doubt();
        }
        drop(alone);
        if renewed {
            reset::tell(self.id);
        }
        renewed
    }
}

/// The driver's unique number of a context, or the result code of a failure; 0: the driver is too old.
fn id_of(driver: &'static Driver, context: CUcontext) -> core::result::Result<u64, u32> {
    let mut id = 0;
    // SAFETY: the number is ours, and the context exists.
    match unsafe { driver.cuCtxGetId(context, &mut id) } {
        Ok(code::SUCCESS) => Ok(id),
        Ok(number) => Err(number),
        Err(_) => Ok(0),
    }
}
