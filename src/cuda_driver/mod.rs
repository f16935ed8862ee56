//! The CUDA driver, loaded when it is first needed.
//!
//! Contract: thin, without policy. [`driver`] loads `libcuda.so.1` once for the process, and remembers the result, also
//! that there is no driver. A failure that passes (802 to 809) is not remembered. [`Driver`] has a method for each
//! function of the driver. The method returns the driver's result as a number, which [`code`] interprets: an enum would
//! be undefined for a newer driver's codes. A function that the driver lacks is TN_ERR_UNSUPPORTED with its name. The
//! types are those of `cudarc`; functions are called through a table of this module. Nothing here makes a context
//! current.

use crate::error::{Result, Status, Text, fail};
use crate::sys::lock::Mutex;
use crate::sys::os::Library;
use crate::thread::{self, CriticalSection};
use crate::types::*;
use core::ffi::{CStr, c_char, c_int, c_uint, c_ulonglong, c_void};
use core::fmt::Write;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU32, Ordering};
pub use cudarc::driver::sys::{
    self, CUcontext, CUdevice, CUdevice_attribute as Attribute, CUdeviceptr, CUevent, CUfunction, CUkernel, CUmodule,
    CUstream,
};
use cudarc::driver::sys::{
    CUDA_MEMCPY2D, CUDA_MEMCPY3D, CUDA_MEMCPY3D_PEER, CUipcEventHandle, CUipcMemHandle, CUlaunchConfig, CUmem_advise,
    CUmemAccessDesc, CUmemAllocationProp, CUmemPoolProps, CUmemoryPool, CUpointer_attribute, CUuuid,
};
use std::sync::OnceLock;

pub mod code;

pub use code::SUCCESS;

/// The driver's library, in the order of the search. A program that links the driver refers to the first name.
const NAMES: [&CStr; 2] = [c"libcuda.so.1", c"libcuda.so"];

/// Declares the table, with a field and a method for each function.
macro_rules! functions {
    ($($name:ident($($argument:ident: $type:ty),* $(,)?);)*) => {
        #[allow(non_snake_case)]
        struct Table {
            $($name: Option<unsafe extern "C" fn($($type),*) -> u32>,)*
        }

        impl Table {
            fn of(library: &Library) -> Table {
                Table {
                    $($name: {
                        const NAME: &CStr = match CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                            Ok(name) => name,
                            Err(_) => panic!("a name contains a NUL"),
                        };
                        library.symbol(NAME).map(|function| {
                            // SAFETY: by the driver's header, the function of this name has these parameters and
                            // returns a CUresult.
                            unsafe {
                                core::mem::transmute::<*mut c_void, unsafe extern "C" fn($($type),*) -> u32>(
                                    function.as_ptr(),
                                )
                            }
                        })
                    },)*
                }
            }
        }

        /// The driver's functions by their own names. Each returns the driver's result; Err: the driver lacks the
        /// function.
        #[allow(non_snake_case, clippy::missing_safety_doc, clippy::too_many_arguments)]
        impl Driver {
            $(
                #[doc = concat!("`", stringify!($name), "`, with the obligations of the driver's documentation.")]
                pub unsafe fn $name(&self, $($argument: $type),*) -> Result<u32> {
                    match self.table.$name {
                        // SAFETY: the caller's obligation.
                        Some(function) => Ok(unsafe { function($($argument),*) }),
                        None => Err(missing(stringify!($name))),
                    }
                }
            )*
        }
    };
}

// A driver keeps the first signature of each name, although newer headers may map the name to a later one. For example,
// cuMemAdvise takes a device in a driver of CUDA 13, too, whose header maps that name to cuMemAdvise_v2.
functions! {
    cuInit(flags: c_uint);
    cuDriverGetVersion(version: *mut c_int);
    cuGetErrorName(error: u32, text: *mut *const c_char);

    cuDeviceGetCount(count: *mut c_int);
    cuDeviceGet(device: *mut CUdevice, ordinal: c_int);
    cuDeviceGetName(name: *mut c_char, length: c_int, device: CUdevice);
    cuDeviceGetUuid(uuid: *mut CUuuid, device: CUdevice);
    cuDeviceGetUuid_v2(uuid: *mut CUuuid, device: CUdevice);
    cuDeviceGetPCIBusId(id: *mut c_char, length: c_int, device: CUdevice);
    cuDeviceTotalMem_v2(bytes: *mut usize, device: CUdevice);
    cuDeviceGetAttribute(value: *mut c_int, attribute: Attribute, device: CUdevice);
    cuDeviceCanAccessPeer(can: *mut c_int, device: CUdevice, peer: CUdevice);

    cuDevicePrimaryCtxRetain(context: *mut CUcontext, device: CUdevice);
    cuDevicePrimaryCtxRelease_v2(device: CUdevice);
    cuDevicePrimaryCtxGetState(device: CUdevice, flags: *mut c_uint, active: *mut c_int);
    cuCtxGetCurrent(context: *mut CUcontext);
    cuCtxGetDevice(device: *mut CUdevice);
    cuCtxGetId(context: CUcontext, id: *mut c_ulonglong);
    cuCtxSetCurrent(context: CUcontext);
    cuCtxSynchronize();
    cuCtxEnablePeerAccess(peer: CUcontext, flags: c_uint);
    cuCtxGetStreamPriorityRange(least: *mut c_int, greatest: *mut c_int);

    cuMemGetInfo_v2(free: *mut usize, total: *mut usize);
    cuMemAlloc_v2(address: *mut CUdeviceptr, bytes: usize);
    cuMemFree_v2(address: CUdeviceptr);
    cuMemHostAlloc(address: *mut *mut c_void, bytes: usize, flags: c_uint);
    cuMemFreeHost(address: *mut c_void);
    cuMemHostRegister_v2(address: *mut c_void, bytes: usize, flags: c_uint);
    cuMemHostUnregister(address: *mut c_void);
    cuMemHostGetDevicePointer_v2(seen: *mut CUdeviceptr, address: *mut c_void, flags: c_uint);
    cuMemAllocManaged(address: *mut CUdeviceptr, bytes: usize, flags: c_uint);
    cuMemAdvise(address: CUdeviceptr, bytes: usize, advice: CUmem_advise, device: CUdevice);
    cuMemGetAllocationGranularity(bytes: *mut usize, properties: *const CUmemAllocationProp, option: c_uint);
    cuMemAddressReserve(
        address: *mut CUdeviceptr, bytes: usize, alignment: usize, wanted: CUdeviceptr, flags: c_ulonglong,
    );
    cuMemAddressFree(address: CUdeviceptr, bytes: usize);
    cuMemCreate(handle: *mut c_ulonglong, bytes: usize, properties: *const CUmemAllocationProp, flags: c_ulonglong);
    cuMemRelease(handle: c_ulonglong);
    cuMemMap(address: CUdeviceptr, bytes: usize, offset: usize, handle: c_ulonglong, flags: c_ulonglong);
    cuMemUnmap(address: CUdeviceptr, bytes: usize);
    cuMemSetAccess(address: CUdeviceptr, bytes: usize, access: *const CUmemAccessDesc, count: usize);
    cuMemPrefetchAsync(address: CUdeviceptr, bytes: usize, device: CUdevice, stream: CUstream);
    cuMemPoolCreate(pool: *mut CUmemoryPool, properties: *const CUmemPoolProps);
    cuMemPoolDestroy(pool: CUmemoryPool);
    cuMemPoolSetAttribute(pool: CUmemoryPool, attribute: c_uint, value: *mut c_void);
    cuMemPoolGetAttribute(pool: CUmemoryPool, attribute: c_uint, value: *mut c_void);
    cuMemPoolSetAccess(pool: CUmemoryPool, access: *const CUmemAccessDesc, count: usize);
    cuMemPoolTrimTo(pool: CUmemoryPool, keep: usize);
    cuMemAllocFromPoolAsync(address: *mut CUdeviceptr, bytes: usize, pool: CUmemoryPool, stream: CUstream);
    cuMemFreeAsync(address: CUdeviceptr, stream: CUstream);
    cuPointerGetAttribute(value: *mut c_void, attribute: CUpointer_attribute, address: CUdeviceptr);

    cuMemcpyAsync(to: CUdeviceptr, from: CUdeviceptr, bytes: usize, stream: CUstream);
    cuMemcpyHtoDAsync_v2(to: CUdeviceptr, from: *const c_void, bytes: usize, stream: CUstream);
    cuMemcpyDtoHAsync_v2(to: *mut c_void, from: CUdeviceptr, bytes: usize, stream: CUstream);
    cuMemcpyDtoDAsync_v2(to: CUdeviceptr, from: CUdeviceptr, bytes: usize, stream: CUstream);
    cuMemcpyPeerAsync(
        to: CUdeviceptr, to_context: CUcontext, from: CUdeviceptr, from_context: CUcontext, bytes: usize, stream: CUstream,
    );
    cuMemcpy2DAsync_v2(copy: *const CUDA_MEMCPY2D, stream: CUstream);
    cuMemcpy3DAsync_v2(copy: *const CUDA_MEMCPY3D, stream: CUstream);
    cuMemcpy3DPeerAsync(copy: *const CUDA_MEMCPY3D_PEER, stream: CUstream);
    cuMemsetD8Async(to: CUdeviceptr, value: u8, count: usize, stream: CUstream);
    cuMemsetD16Async(to: CUdeviceptr, value: u16, count: usize, stream: CUstream);
    cuMemsetD32Async(to: CUdeviceptr, value: c_uint, count: usize, stream: CUstream);
    cuMemsetD2D8Async(to: CUdeviceptr, pitch: usize, value: u8, width: usize, height: usize, stream: CUstream);
    cuMemsetD2D16Async(to: CUdeviceptr, pitch: usize, value: u16, width: usize, height: usize, stream: CUstream);
    cuMemsetD2D32Async(to: CUdeviceptr, pitch: usize, value: c_uint, width: usize, height: usize, stream: CUstream);

    cuModuleLoadData(module: *mut CUmodule, image: *const c_void);
    cuModuleLoadDataEx(
        module: *mut CUmodule, image: *const c_void, count: c_uint, options: *mut c_uint, values: *mut *mut c_void,
    );
    cuModuleUnload(module: CUmodule);
    cuModuleGetFunction(function: *mut CUfunction, module: CUmodule, name: *const c_char);
    cuFuncGetAttribute(value: *mut c_int, attribute: c_int, function: CUfunction);
    cuFuncSetAttribute(function: CUfunction, attribute: c_int, value: c_int);
    cuFuncGetParamInfo(function: CUfunction, index: usize, offset: *mut usize, bytes: *mut usize);
    cuKernelGetFunction(function: *mut CUfunction, kernel: CUkernel);
    cuFuncGetName(name: *mut *const c_char, function: CUfunction);
    cuLaunchKernel(
        function: CUfunction,
        grid_x: c_uint, grid_y: c_uint, grid_z: c_uint,
        block_x: c_uint, block_y: c_uint, block_z: c_uint,
        shared_bytes: c_uint, stream: CUstream, parameters: *mut *mut c_void, extra: *mut *mut c_void,
    );

    cuLaunchKernelEx(
        config: *const CUlaunchConfig, function: CUfunction, parameters: *mut *mut c_void, extra: *mut *mut c_void,
    );

    cuStreamCreateWithPriority(stream: *mut CUstream, flags: c_uint, priority: c_int);
    cuStreamDestroy_v2(stream: CUstream);
    cuStreamSynchronize(stream: CUstream);
    cuStreamWaitEvent(stream: CUstream, event: CUevent, flags: c_uint);
    cuStreamGetFlags(stream: CUstream, flags: *mut c_uint);
    cuStreamGetCtx(stream: CUstream, context: *mut CUcontext);
    cuStreamGetCtx_v2(stream: CUstream, context: *mut CUcontext, green: *mut *mut c_void);
    cuStreamGetId(stream: CUstream, id: *mut c_ulonglong);
    cuStreamIsCapturing(stream: CUstream, status: *mut u32);
    cuThreadExchangeStreamCaptureMode(mode: *mut u32);

    cuEventCreate(event: *mut CUevent, flags: c_uint);
    cuEventRecord(event: CUevent, stream: CUstream);
    cuEventQuery(event: CUevent);
    cuEventSynchronize(event: CUevent);
    cuEventElapsedTime(milliseconds: *mut f32, start: CUevent, end: CUevent);
    cuEventDestroy_v2(event: CUevent);

    cuIpcGetMemHandle(handle: *mut CUipcMemHandle, address: CUdeviceptr);
    cuIpcOpenMemHandle_v2(address: *mut CUdeviceptr, handle: CUipcMemHandle, flags: c_uint);
    cuIpcCloseMemHandle(address: CUdeviceptr);
    cuIpcGetEventHandle(handle: *mut CUipcEventHandle, event: CUevent);
    cuIpcOpenEventHandle(event: *mut CUevent, handle: CUipcEventHandle);
    cuMemGetAddressRange_v2(base: *mut CUdeviceptr, bytes: *mut usize, address: CUdeviceptr);
}

/// The loaded driver.
pub struct Driver {
    table: Table,
    /// The number of GPUs that the driver shows to this process; constant.
    count: i32,
    /// 1000 major + 10 minor.
    version: i32,
    /// `thread::forks()` in the process that loaded it; its children cannot use it.
    forks: u32,
}

/// Why the driver cannot be used: TN_ERR_UNSUPPORTED or TN_ERR_DRIVER, with the message of the calls that need it.
struct Failure {
    status: tn_status,
    text: Text,
    /// The next call tries again.
    passes: bool,
}

impl Failure {
    fn new(status: tn_status, text: Text) -> Failure {
        Failure { status, text, passes: false }
    }

    /// The status of a call that needs the driver, with the message.
    fn status(&self) -> Status {
        fail(self.status, format_args!("{}", self.text.as_str()))
    }

    fn of(other: &Failure) -> Failure {
        let mut text = Text::new();
        let _ = text.write_str(other.text.as_str());
        Failure { text, ..*other }
    }
}

/// The loaded driver, or the failure of every later call.
type Outcome = core::result::Result<Driver, Failure>;

static OUTCOME: OnceLock<Outcome> = OnceLock::new();

/// Guards loading the driver.
static LOADING: Mutex<()> = Mutex::new(());

static STARTS: AtomicU32 = AtomicU32::new(0);

/// For tests: how often the driver was initialised, 0 or 1.
pub fn starts() -> u32 {
    STARTS.load(Ordering::Relaxed)
}

/// The driver. The first call loads and initialises it, and other threads wait. TN_ERR_UNSUPPORTED: no driver;
/// TN_ERR_DRIVER: its initialisation failed; TN_ERR_DEVICE: it was loaded by a parent of this process.
pub fn driver() -> Result<&'static Driver> {
    match outcome() {
        Ok(driver) => driver.of_this_process(),
        Err(failure) => Err(failure.status()),
    }
}

/// As [`driver`], but None without a driver: counting devices is no error then.
pub fn if_there() -> Result<Option<&'static Driver>> {
    match outcome() {
        Ok(driver) => driver.of_this_process().map(Some),
        Err(Failure { status: TN_ERR_UNSUPPORTED, .. }) => Ok(None),
        Err(failure) => Err(failure.status()),
    }
}

/// The remembered outcome, or that of another attempt. An outcome that may change is not remembered.
fn outcome() -> core::result::Result<&'static Driver, Failure> {
    if let Some(outcome) = OUTCOME.get() {
        return outcome.as_ref().map_err(Failure::of);
    }
    // A fork waits until the driver is loaded.
    let _inside = CriticalSection::enter(thread::current());
    let _alone = LOADING.lock();
    if OUTCOME.get().is_none() {
        match load() {
            Err(failure) if failure.passes => return Err(failure),
            outcome => drop(OUTCOME.set(outcome)),
        }
    }
    outcome()
}

#[cold]
fn load() -> Outcome {
    let mut why = Text::new();
    let _ = write!(
        why,
        "this call needs the CUDA driver, and {} could not be loaded; arrays on TN_CPU work without it (",
        NAMES[0].to_str().unwrap_or_default()
    );
    let mut names = NAMES.into_iter();
    let found = names.find_map(|name| Library::open(name, &mut why).or_else(|| why.write_str("; ").err().and(None)));
    let Some(library) = found else {
        let _ = why.write_str("no other name to try)");
        return Err(Failure::new(TN_ERR_UNSUPPORTED, why));
    };
    let mut driver = Driver { table: Table::of(&library), count: 0, version: 0, forks: thread::forks() };
    STARTS.fetch_add(1, Ordering::Relaxed);
    driver.start()?;
    thread::set_driver_loaded();
    Ok(driver)
}

impl Driver {
    /// Initialises the driver. A driver without devices is no error.
    fn start(&mut self) -> core::result::Result<(), Failure> {
        let refused = |status: Result<u32>, call: &str, driver: &Driver| match status {
            Ok(SUCCESS) => Ok(()),
            Ok(number) => {
                let mut text = Text::new();
                let advice = match code::advice(number) {
                    "" => "; its installation is broken, or older than this library",
                    advice => advice,
                };
                let _ = write!(text, "the CUDA driver's {call} failed with {}{advice}", driver.name(number));
                Err(Failure { passes: code::is_passing(number), ..Failure::new(TN_ERR_DRIVER, text) })
            }
            Err(status) => Err(Failure::new(status.code(), crate::error::drafted())),
        };
        // SAFETY: the driver's first call.
        match unsafe { self.cuInit(0) } {
            Ok(code::NO_DEVICE) => return Ok(()),
            status => refused(status, "cuInit", self)?,
        }
        let mut count = 0;
        // SAFETY: the number is ours.
        match unsafe { self.cuDeviceGetCount(&mut count) } {
            Ok(code::NO_DEVICE) => return Ok(()),
            status => refused(status, "cuDeviceGetCount", self)?,
        }
        self.count = count;
        let mut version = 0;
        // SAFETY: the number is ours. A failure leaves the version 0.
        let _ = unsafe { self.cuDriverGetVersion(&mut version) };
        self.version = version;
        Ok(())
    }

    /// The driver, if this process has loaded it. TN_ERR_DEVICE in the child of a fork.
    pub fn of_this_process(&'static self) -> Result<&'static Driver> {
        if thread::forks() == self.forks {
            return Ok(self);
        }
        Err(fail(
            TN_ERR_DEVICE,
            format_args!(
                "this process was forked from one that uses CUDA, which the driver does not allow; \
                 use the GPU in a process that was started by exec (host arrays work here)"
            ),
        ))
    }

    /// Whether it has all functions of mapped memory.
    pub fn can_map_memory(&self) -> bool {
        let table = &self.table;
        table.cuMemGetAllocationGranularity.is_some()
            && table.cuMemAddressReserve.is_some()
            && table.cuMemAddressFree.is_some()
            && table.cuMemCreate.is_some()
            && table.cuMemRelease.is_some()
            && table.cuMemMap.is_some()
            && table.cuMemUnmap.is_some()
            && table.cuMemSetAccess.is_some()
    }

    /// Whether it has all functions of memory pools.
    pub fn has_memory_pools(&self) -> bool {
        let table = &self.table;
        table.cuMemPoolCreate.is_some()
            && table.cuMemPoolDestroy.is_some()
            && table.cuMemPoolSetAttribute.is_some()
            && table.cuMemPoolGetAttribute.is_some()
            && table.cuMemPoolSetAccess.is_some()
            && table.cuMemPoolTrimTo.is_some()
            && table.cuMemAllocFromPoolAsync.is_some()
            && table.cuMemFreeAsync.is_some()
    }

    /// The number of GPUs.
    pub fn count(&self) -> i32 {
        self.count
    }

    /// The version: 1000 major + 10 minor; 0: unknown.
    pub fn version(&self) -> i32 {
        self.version
    }

    /// A result code with the driver's name for it.
    pub fn name(&self, number: u32) -> code::Name {
        let mut name = MaybeUninit::<*const c_char>::new(core::ptr::null());
        // SAFETY: the pointer is ours; the driver refuses unknown codes.
        let known = unsafe { self.cuGetErrorName(number, name.as_mut_ptr()) };
        // SAFETY: initialised to NULL; the driver writes a static string.
        let text = unsafe { name.assume_init().as_ref().map(|text| CStr::from_ptr(text)) };
        let text = text.filter(|_| matches!(known, Ok(SUCCESS))).and_then(|text| text.to_str().ok());
        code::Name { number, text: text.unwrap_or("unknown to this driver") }
    }
}

#[cold]
fn missing(function: &str) -> crate::error::Status {
    fail(
        TN_ERR_UNSUPPORTED,
        format_args!("the CUDA driver of this machine has no {function}; this call needs a newer driver"),
    )
}
