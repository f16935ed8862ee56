//! GPUs: which there are, what their driver says, and whether they still work.
//!
//! Contract: a [`Gpu`] lasts for ever and costs nothing until it is entered. Its primary context is retained at the first
//! [`Gpu::enter`] and never given up: other libraries share it, and what lives in it has to. Every driver call is made inside, and its
//! number goes through [`Gpu::check`], which knows a lost device: from then on nothing is asked of the driver about it any more.
//!
//! | file | what |
//! |---|---|
//! | `context` | a thread inside of a GPU: the context current, the caller's put back |
//! | `copy` | copies and memsets on a queue |
//! | `info` | what `tn_device_query` tells |
//! | `memory` | its memory and the host's, as pools ask for it |
//! | `peer` | which GPU reaches which |
//! | `managed` | advice and prefetches |
//! | `pin` | page-locked host memory |

use crate::error::{Result, Text, fail};
use crate::sys::cuda::{self, CUcontext, Driver, code};
use crate::thread::QuickLock;
use crate::types::*;
use core::fmt::Write;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};

mod context;

pub mod copy;

mod info;

mod memory;

pub mod managed;

mod peer;

pub mod page_lock;

pub use context::{Inside, Relaxed};
pub use info::{count_of, query};
pub use memory::{Memory, locked_bytes, memory};

/// GPUs that this library can number; the driver itself knows no more of one process.
pub const GPUS: usize = crate::thread::GPUS;

/// A GPU, by the driver's ordinal.
pub struct Gpu {
    id: i32,
    /// The primary context; NULL: not retained yet.
    context: AtomicPtr<cuda::sys::CUctx_st>,
    lost: AtomicBool,
    /// Whether it reads pageable memory: 0 nobody asked, 1 no, 2 yes.
    pageable: AtomicU32,
    /// The text of the error that lost it.
    why: QuickLock<Text>,
    /// What `transfer` counts.
    pub traffic: Traffic,
}

/// Bytes that crossed between the host and a GPU since the start (TR-14).
pub struct Traffic {
    /// Transfers to the GPU.
    pub to_device_count: AtomicU64,
    /// Their bytes.
    pub to_device_bytes: AtomicU64,
    /// Transfers from the GPU.
    pub to_host_count: AtomicU64,
    /// Their bytes.
    pub to_host_bytes: AtomicU64,
    /// Of both, the bytes that were copied through page-locked memory of ours.
    pub staged_bytes: AtomicU64,
}

impl Traffic {
    const fn none() -> Traffic {
        Traffic {
            to_device_count: AtomicU64::new(0),
            to_device_bytes: AtomicU64::new(0),
            to_host_count: AtomicU64::new(0),
            to_host_bytes: AtomicU64::new(0),
            staged_bytes: AtomicU64::new(0),
        }
    }

    fn describe(&self, info: &mut tn_device_info) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        info.to_device_count = read(&self.to_device_count);
        info.to_device_bytes = read(&self.to_device_bytes);
        info.to_host_count = read(&self.to_host_count);
        info.to_host_bytes = read(&self.to_host_bytes);
        info.staged_bytes = read(&self.staged_bytes);
    }
}

/// Bytes that `tn_host_register` has page-locked now.
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

/// The GPU with that ordinal. TN_ERR_DEVICE: there is none such; TN_ERR_UNSUPPORTED: there is no driver.
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
    let count = cuda::driver()?.count();
    let gpu = TABLE.get(id as usize).filter(|gpu| gpu.id < count);
    gpu.ok_or_else(|| none(count))
}

/// How many there are; 0 without a driver.
pub fn count() -> Result<i32> {
    Ok(cuda::if_there()?.map_or(0, |driver| driver.count().min(GPUS as i32)))
}

/// Whether a context was ever retained through us: until then no address is a GPU's by our doing.
#[inline]
pub fn any_used() -> bool {
    USED.load(Ordering::Relaxed)
}

static USED: AtomicBool = AtomicBool::new(false);

/// Those whose context this process has retained through us.
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
            why: QuickLock::new(Text::new()),
            traffic: Traffic::none(),
        }
    }

    /// Its ordinal.
    pub fn id(&self) -> i32 {
        self.id
    }

    /// As C names it.
    pub fn device(&self) -> tn_device {
        tn_device { r#type: TN_CUDA, id: self.id }
    }

    /// Whether its context was retained.
    pub fn is_used(&self) -> bool {
        !self.context.load(Ordering::Acquire).is_null()
    }

    /// The driver, if the device is not lost and this process may ask it.
    pub fn alive(&self) -> Result<&'static Driver> {
        let driver = cuda::driver()?;
        if self.is_lost() { Err(self.refusal()) } else { Ok(driver) }
    }

    /// Whether an earlier error made it useless for this process (DV-8).
    #[inline]
    pub fn is_lost(&self) -> bool {
        // Acquire pairs with the Release in `lose`.
        self.lost.load(Ordering::Acquire)
    }

    #[cold]
    fn refusal(&self) -> crate::error::Status {
        let mut text = Text::new();
        let _ = text.write_str(self.why.lock().as_str());
        fail(TN_ERR_DRIVER, format_args!("{}", text.as_str()))
    }

    /// Makes the primary context current until the value drops. TN_ERR_DRIVER: the device is lost, with the text of what lost it.
    pub fn enter(&'static self) -> Result<Inside> {
        Inside::new(self, self.alive()?)
    }

    /// What the driver's number means, for a call that it named: DV-7.
    #[inline]
    pub fn check(&self, number: u32, call: &'static str) -> Result<()> {
        self.check_as(number, call, TN_ERR_NO_DEVICE_MEMORY)
    }

    /// The same for a call that needs memory of the host: `short` is what it says where there is none.
    #[inline]
    pub fn check_as(&self, number: u32, call: &'static str, short: tn_status) -> Result<()> {
        if number == code::SUCCESS { Ok(()) } else { Err(self.failed(number, call, short)) }
    }

    #[cold]
    #[inline(never)]
    fn failed(&self, number: u32, call: &'static str, short: tn_status) -> crate::error::Status {
        let driver = match cuda::driver() {
            Ok(driver) => driver,
            Err(status) => return status,
        };
        if code::is_fatal(number) {
            self.lose(number, call, driver);
        }
        fail(
            code::status(number, short),
            format_args!("{call} on GPU {} failed with {}{}", self.id, driver.name(number), code::advice(number)),
        )
    }

    /// Nothing works on it any more; the first error's text stays.
    #[cold]
    fn lose(&self, number: u32, call: &'static str, driver: &Driver) {
        let name = driver.name(number);
        let mut why = self.why.lock();
        if !self.is_lost() {
            let _ = write!(why, "GPU {} was lost when {call} failed with {name}{}", self.id, code::advice(number));
            // Release pairs with the Acquire in `is_lost`.
            self.lost.store(true, Ordering::Release);
            crate::thread::doubt_devices();
        }
    }

    /// The context of this GPU, retained by the first call.
    fn context(&self, driver: &'static Driver) -> Result<CUcontext> {
        let there = self.context.load(Ordering::Acquire);
        if there.is_null() { self.retain(driver) } else { Ok(there) }
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
        // AcqRel: what the driver made is seen by whoever finds it.
        let first = core::ptr::null_mut();
        if self.context.compare_exchange(first, context, Ordering::AcqRel, Ordering::Acquire).is_err() {
            // Another thread was faster: once is enough.
            // SAFETY: gives back what was retained above.
            let _ = unsafe { driver.cuDevicePrimaryCtxRelease_v2(device) };
        }
        Ok(context)
    }
}
