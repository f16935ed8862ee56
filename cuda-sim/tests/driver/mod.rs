//! Opens the simulator as programs do, and calls it through its C symbols. One test at a time uses the driver of the
//! process.
#![allow(
    dead_code,
    non_snake_case,
    clippy::too_many_arguments,
    reason = "each test file uses a part of the driver's interface"
)]

use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, OnceLock};

#[path = "../../src/base/types.rs"]
mod types;

// `abi.rs` compares them with the driver's own header.
pub use types::{AccessDesc, Address, AllocationProp, Copy2D, Copy3D, Handle, Location};

/// The library of this build, which lies beside the test.
pub fn library() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    test.parent().expect("a file lies in a folder").join("libcuda_sim.so")
}

pub fn symbol(name: &str) -> *mut c_void {
    static LIBRARY: OnceLock<usize> = OnceLock::new();
    let library = *LIBRARY.get_or_init(|| {
        let path = CString::new(library().into_os_string().into_encoded_bytes()).expect("no NUL in a path");
        // SAFETY: a C text; the simulator's constructors touch nothing but itself.
        let opened = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
        assert!(!opened.is_null(), "{path:?} cannot be opened");
        opened as usize
    });
    let name = CString::new(name).expect("no NUL in a name");
    // SAFETY: an open library and a C text.
    unsafe { libc::dlsym(library as *mut c_void, name.as_ptr()) }
}

macro_rules! driver {
    ($(fn $name:ident($($argument:ident: $kind:ty),*);)*) => {
        $(pub fn $name($($argument: $kind),*) -> u32 {
            static FOUND: OnceLock<usize> = OnceLock::new();
            let found = *FOUND.get_or_init(|| symbol(stringify!($name)) as usize);
            assert_ne!(found, 0, "{} is not exported", stringify!($name));
            // SAFETY: the symbol's C signature; pointers come from the test.
            unsafe {
                let function: unsafe extern "C" fn($($kind),*) -> u32 = std::mem::transmute(found);
                function($($argument),*)
            }
        })*
    };
}

/// CUipcMemHandle, CUipcEventHandle.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct IpcHandle(pub [u8; 64]);

pub type HostFn = unsafe extern "C" fn(*mut c_void);

driver! {
    fn cuInit(flags: c_uint);
    fn cuDriverGetVersion(version: *mut c_int);
    fn cuGetErrorName(code: u32, text: *mut *const c_char);
    fn cuGetProcAddress_v2(name: *const c_char, function: *mut *mut c_void, version: c_int, flags: u64, status: *mut c_uint);
    fn cuDeviceGetCount(count: *mut c_int);
    fn cuDeviceGet(device: *mut c_int, ordinal: c_int);
    fn cuDeviceGetName(text: *mut c_char, length: c_int, device: c_int);
    fn cuDeviceGetAttribute(value: *mut c_int, attribute: c_int, device: c_int);
    fn cuDeviceCanAccessPeer(can: *mut c_int, device: c_int, peer: c_int);
    fn cuDevicePrimaryCtxRetain(context: *mut Handle, device: c_int);
    fn cuDevicePrimaryCtxRelease_v2(device: c_int);
    fn cuDevicePrimaryCtxReset_v2(device: c_int);
    fn cuCtxGetId(context: Handle, id: *mut u64);
    fn cuStreamGetCtx(stream: Handle, context: *mut Handle);
    fn cuStreamGetCtx_v2(stream: Handle, context: *mut Handle, green: *mut Handle);
    fn cuDevicePrimaryCtxGetState(device: c_int, flags: *mut c_uint, active: *mut c_int);
    fn cuCtxSetCurrent(context: Handle);
    fn cuCtxGetCurrent(context: *mut Handle);
    fn cuCtxPushCurrent_v2(context: Handle);
    fn cuCtxPopCurrent_v2(context: *mut Handle);
    fn cuCtxSynchronize();
    fn cuMemAlloc_v2(address: *mut Address, size: usize);
    fn cuMemFree_v2(address: Address);
    fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize);
    fn cuMemHostAlloc(host: *mut *mut u8, size: usize, flags: c_uint);
    fn cuMemFreeHost(host: *mut u8);
    fn cuMemHostGetDevicePointer_v2(address: *mut Address, host: *mut u8, flags: c_uint);
    fn cuMemHostRegister_v2(host: *mut u8, size: usize, flags: c_uint);
    fn cuMemHostUnregister(host: *mut u8);
    fn cuMemAllocManaged(address: *mut Address, size: usize, flags: c_uint);
    fn cuPointerGetAttribute(data: *mut c_void, attribute: c_uint, address: Address);
    fn cuMemcpyHtoD_v2(to: Address, from: *const u8, size: usize);
    fn cuMemcpyDtoH_v2(to: *mut u8, from: Address, size: usize);
    fn cuMemcpyDtoDAsync_v2(to: Address, from: Address, size: usize, stream: Handle);
    fn cuMemcpyHtoDAsync_v2(to: Address, from: *const u8, size: usize, stream: Handle);
    fn cuMemcpyDtoHAsync_v2(to: *mut u8, from: Address, size: usize, stream: Handle);
    fn cuMemcpyAsync(to: Address, from: Address, size: usize, stream: Handle);
    fn cuMemcpyPeerAsync(to: Address, to_context: Handle, from: Address, from_context: Handle, size: usize, stream: Handle);
    fn cuMemcpy2D_v2(it: *const Copy2D);
    fn cuMemcpy3DAsync_v2(it: *const Copy3D, stream: Handle);
    fn cuMemAdvise_v2(address: Address, size: usize, advice: c_uint, location: Location);
    fn cuMemPrefetchAsync_v2(address: Address, size: usize, location: Location, flags: c_uint, stream: Handle);
    fn cuMemRangeGetAttribute(data: *mut c_void, bytes: usize, attribute: c_uint, address: Address, size: usize);
    fn cuMemsetD8Async(to: Address, value: u8, count: usize, stream: Handle);
    fn cuMemsetD32_v2(to: Address, value: u32, count: usize);
    fn cuMemsetD2D16Async(to: Address, pitch: usize, value: u16, width: usize, height: usize, stream: Handle);
    fn cuStreamCreate(stream: *mut Handle, flags: c_uint);
    fn cuStreamDestroy_v2(stream: Handle);
    fn cuStreamSynchronize(stream: Handle);
    fn cuStreamQuery(stream: Handle);
    fn cuStreamWaitEvent(stream: Handle, event: Handle, flags: c_uint);
    fn cuStreamBeginCapture_v2(stream: Handle, mode: c_uint);
    fn cuStreamEndCapture(stream: Handle, graph: *mut Handle);
    fn cuStreamIsCapturing(stream: Handle, status: *mut c_uint);
    fn cuThreadExchangeStreamCaptureMode(mode: *mut c_uint);
    fn cuLaunchHostFunc(stream: Handle, function: HostFn, data: *mut c_void);
    fn cuEventCreate(event: *mut Handle, flags: c_uint);
    fn cuEventDestroy_v2(event: Handle);
    fn cuEventRecord(event: Handle, stream: Handle);
    fn cuEventQuery(event: Handle);
    fn cuEventSynchronize(event: Handle);
    fn cuEventElapsedTime(milliseconds: *mut f32, from: Handle, to: Handle);
    fn cuGraphInstantiateWithFlags(exec: *mut Handle, graph: Handle, flags: u64);
    fn cuGraphLaunch(exec: Handle, stream: Handle);
    fn cuGraphDestroy(graph: Handle);
    fn cuGraphExecDestroy(exec: Handle);
    fn cuMemAddressReserve(address: *mut Address, size: usize, alignment: usize, wanted: Address, flags: u64);
    fn cuMemAddressFree(address: Address, size: usize);
    fn cuMemCreate(handle: *mut Handle, size: usize, prop: *const AllocationProp, flags: u64);
    fn cuMemRelease(handle: Handle);
    fn cuMemMap(address: Address, size: usize, offset: usize, handle: Handle, flags: u64);
    fn cuMemUnmap(address: Address, size: usize);
    fn cuMemSetAccess(address: Address, size: usize, descriptions: *const AccessDesc, count: usize);
    fn cuMemAllocAsync(address: *mut Address, size: usize, stream: Handle);
    fn cuMemFreeAsync(address: Address, stream: Handle);
    fn cuDeviceGetDefaultMemPool(pool: *mut Handle, device: c_int);
    fn cuMemPoolGetAttribute(pool: Handle, attribute: c_uint, value: *mut u64);
    fn cuMemPoolSetAttribute(pool: Handle, attribute: c_uint, value: *mut u64);
    fn cuModuleLoadData(module: *mut Handle, image: *const c_void);
    fn cuModuleLoadDataEx(module: *mut Handle, image: *const c_void, count: c_uint, options: *mut c_uint, values: *mut *mut c_void);
    fn cuModuleUnload(module: Handle);
    fn cuModuleGetFunction(function: *mut Handle, module: Handle, name: *const c_char);
    fn cuLaunchKernel(function: Handle, gx: c_uint, gy: c_uint, gz: c_uint, bx: c_uint, by: c_uint, bz: c_uint, shared: c_uint,
        stream: Handle, pointers: *mut *mut c_void, extra: *mut *mut c_void);
    fn cuFuncGetAttribute(value: *mut c_int, attribute: c_int, function: Handle);
    fn cuFuncSetAttribute(function: Handle, attribute: c_int, value: c_int);
    fn cuIpcGetMemHandle(handle: *mut IpcHandle, address: Address);
    fn cuIpcOpenMemHandle_v2(address: *mut Address, handle: IpcHandle, flags: c_uint);
    fn cuIpcCloseMemHandle(address: Address);
    fn cuIpcGetEventHandle(handle: *mut IpcHandle, event: Handle);
    fn cuIpcOpenEventHandle(event: *mut Handle, handle: IpcHandle);
    fn tenure_sim_reset();
    fn tenure_sim_set(name: *const c_char, value: u64);
    fn tenure_sim_get(name: *const c_char, value: *mut u64);
    fn tenure_sim_set_attribute(device: c_int, attribute: c_int, value: c_int);
    fn tenure_sim_fail(name: *const c_char, nth: u64, times: u64, code: c_uint);
    fn tenure_sim_hold(stream: Handle);
    fn tenure_sim_release(stream: Handle);
    fn tenure_sim_close(name: *const c_char);
    fn tenure_sim_open(name: *const c_char);
    fn tenure_sim_slow(stream: Handle, microseconds: u64);
    fn tenure_sim_break_device(device: c_int, code: c_uint);
    fn cuCtxEnablePeerAccess(peer: Handle, flags: c_uint);
    fn cuDeviceGetPCIBusId(text: *mut c_char, length: c_int, device: c_int);
    fn tenure_sim_set_kernel_attribute(name: *const c_char, attribute: c_int, value: c_int);
    fn tenure_sim_register_kernel(name: *const c_char, kernel: Kernel, sizes: *const usize, count: usize, waits: c_int);
}

/// tenure_sim_launch.
#[repr(C)]
pub struct Launch {
    pub grid: [c_uint; 3],
    pub block: [c_uint; 3],
    pub shared_bytes: c_uint,
    pub device: c_int,
}

pub type Kernel = unsafe extern "C" fn(*const Launch, *mut *mut c_void) -> c_uint;

pub fn bytes(address: Address, size: usize, device: c_int) -> *mut u8 {
    // SAFETY: the symbol's C signature.
    unsafe {
        let function: unsafe extern "C" fn(Address, usize, c_int) -> *mut u8 =
            std::mem::transmute(symbol("tenure_sim_bytes"));
        function(address, size, device)
    }
}

pub fn calls(name: &str) -> u64 {
    let name = CString::new(name).expect("no NUL");
    // SAFETY: the symbol's C signature.
    unsafe {
        let function: unsafe extern "C" fn(*const c_char) -> u64 = std::mem::transmute(symbol("tenure_sim_calls"));
        function(name.as_ptr())
    }
}

pub fn step(most: u64) -> u64 {
    // SAFETY: the symbol's C signature.
    unsafe {
        let function: unsafe extern "C" fn(u64) -> u64 = std::mem::transmute(symbol("tenure_sim_step"));
        function(most)
    }
}

pub fn set(name: &str, value: u64) {
    let name = CString::new(name).expect("no NUL");
    assert_eq!(tenure_sim_set(name.as_ptr(), value), 0, "{name:?}");
}

pub fn ask(name: &str) -> u64 {
    let mut value = 0;
    let name = CString::new(name).expect("no NUL");
    assert_eq!(tenure_sim_get(name.as_ptr(), &mut value), 0, "{name:?}");
    value
}

pub fn fail(name: &str, nth: u64, code: u32) {
    let name = CString::new(name).expect("no NUL");
    assert_eq!(tenure_sim_fail(name.as_ptr(), nth, 1, code), 0);
}

pub const RANDOM: u64 = 0;
pub const EAGER: u64 = 1;
pub const MANUAL: u64 = 3;

/// Holds the driver for one test.
pub struct Driver {
    pub context: Handle,
    _alone: MutexGuard<'static, ()>,
}

/// Resets the driver, with this pace and these devices; the first device's primary context is current.
pub fn fresh(devices: u64, pace: u64) -> Driver {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    assert_eq!(tenure_sim_reset(), 0);
    set("devices", devices);
    set("pace", pace);
    assert_eq!(cuInit(0), 0);
    let driver = Driver { context: primary(0), _alone: alone };
    assert_eq!(cuCtxSetCurrent(driver.context), 0);
    driver
}

pub fn primary(device: c_int) -> Handle {
    let mut context = 0;
    assert_eq!(cuDevicePrimaryCtxRetain(&mut context, device), 0);
    context
}

pub fn stream(flags: c_uint) -> Handle {
    let mut stream = 0;
    assert_eq!(cuStreamCreate(&mut stream, flags), 0);
    stream
}

pub fn event(flags: c_uint) -> Handle {
    let mut event = 0;
    assert_eq!(cuEventCreate(&mut event, flags), 0);
    event
}

pub fn device_memory(size: usize) -> Address {
    let mut address = 0;
    assert_eq!(cuMemAlloc_v2(&mut address, size), 0);
    address
}

/// Pinned memory that is never freed.
pub fn pinned(size: usize) -> &'static mut [u8] {
    let mut host = std::ptr::null_mut();
    assert_eq!(cuMemHostAlloc(&mut host, size, 0), 0);
    // SAFETY: freshly allocated, `size` bytes; tests do not free what they still read.
    unsafe { std::slice::from_raw_parts_mut(host, size) }
}

/// Runs the ignored test `name` of this binary in its own process, with these environment variables.
pub fn child(name: &str, variables: &[(&str, &str)]) -> std::process::Output {
    let mut command = std::process::Command::new(std::env::current_exe().expect("a test knows its own path"));
    command.args(["--exact", name, "--ignored", "--nocapture", "--test-threads=1"]).envs(variables.iter().copied());
    command.output().expect("the test can be started again")
}
