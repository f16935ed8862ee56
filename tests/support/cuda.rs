//! Helpers of the GPU tests: the device of the run, the simulator's control functions, the driver's own functions,
//! separate processes.
//!
//! A test begins with `let gpu = device();`. Without a driver it is ignored, unless TENURE_TEST_DEVICE=sim|gpu is set:
//! then it fails.

#![allow(dead_code)] // each test program uses a part

use std::ffi::{CStr, CString, OsString, c_char, c_int, c_uint, c_void};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tenure_harness::{Outcome, skip};

/// The device of a test.
pub struct Device {
    /// The simulator's controls, if the driver is the simulator.
    pub sim: Option<Sim>,
}

/// The simulator's control functions, see cuda-sim/include/tenure_sim.h.
#[derive(Clone, Copy)]
pub struct Sim(());

/// Stalls streams: by the simulator, or on a GPU by a wait for a word in host memory.
#[derive(Clone, Copy)]
pub struct Hands(Option<Sim>);

/// Set to the name of the test in a process that [`alone`] started.
const CHILD: &str = "TENURE_TEST_ALONE";

/// The kind of device that this run requires, if it requires one.
pub fn wanted() -> Option<String> {
    std::env::var("TENURE_TEST_DEVICE").ok().filter(|kind| !kind.is_empty())
}

/// An LD_LIBRARY_PATH for programs that must find no driver, even if the machine has one. The files in its first folder
/// have the driver's names and are no libraries, so the loader fails on them.
pub fn path_without_driver() -> OsString {
    // Beside the test program, which may run on a machine without the build folder (cargo xtask gpu-bundle).
    let test = std::env::current_exe().expect("a test knows its own path");
    let folder = test.parent().expect("it lies in a folder").join("no-driver");
    std::fs::create_dir_all(&folder).expect("the target folder is writable");
    for name in ["libcuda.so.1", "libcuda.so"] {
        std::fs::write(folder.join(name), "no library\n").expect("the target folder is writable");
    }
    let before = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let folders = std::iter::once(folder).chain(std::env::split_paths(&before));
    std::env::join_paths(folders).expect("no colon in a path of ours")
}

/// libcuda, as programs find it.
fn library() -> Option<usize> {
    static LIBRARY: OnceLock<usize> = OnceLock::new();
    // SAFETY: the loader's function, with a text that lives during the call.
    let handle = *LIBRARY.get_or_init(|| unsafe { libc::dlopen(c"libcuda.so.1".as_ptr(), libc::RTLD_NOW) } as usize);
    (handle != 0).then_some(handle)
}

/// One of libcuda's functions by its name, as a function pointer of type `F`.
///
/// # Safety
/// - `F` is the type of the function with that name.
pub unsafe fn symbol<F: Copy>(name: &str) -> Option<F> {
    assert_eq!(size_of::<F>(), size_of::<usize>());
    let name = CString::new(name).unwrap();
    // SAFETY: the library stays loaded.
    let found = unsafe { libc::dlsym(library()? as *mut c_void, name.as_ptr()) };
    // SAFETY: a pointer as large as it; the caller's obligation.
    (!found.is_null()).then(|| unsafe { std::mem::transmute_copy::<*mut c_void, F>(&found) })
}

/// Calls one of libcuda's functions, which must be there, with arguments of the types in its header.
#[macro_export]
macro_rules! driver_call {
    ($name:ident($($argument:expr => $type:ty),* $(,)?)) => {
        $crate::support::cuda::Arguments::pass(($({ let argument: $type = $argument; argument },)*), stringify!($name))
    };
}

/// Arguments of a function of the driver.
pub trait Arguments {
    /// Calls the function with them; the types are those of its header.
    fn pass(self, name: &str) -> u32;
}

macro_rules! arguments {
    ($(($($name:ident: $type:ident),*))*) => {
        $(impl<$($type),*> Arguments for ($($type,)*) {
            fn pass(self, name: &str) -> u32 {
                let ($($name,)*) = self;
                // SAFETY: the types are those of the driver's header, and pointers are valid.
                unsafe {
                    let function: unsafe extern "C" fn($($type),*) -> u32 = symbol(name).expect(name);
                    function($($name),*)
                }
            }
        })*
    };
}

arguments! {
    (a: A)
    (a: A, b: B)
    (a: A, b: B, c: C)
    (a: A, b: B, c: C, d: D)
    (a: A, b: B, c: C, d: D, e: E)
}

/// Runs something with a GPU's primary context current, then restores the previous one. The context stays retained.
pub fn with_context<R>(gpu: i32, work: impl FnOnce() -> R) -> R {
    let (mut own, mut before) = (std::ptr::null_mut::<c_void>(), std::ptr::null_mut::<c_void>());
    assert_eq!(driver_call!(cuDevicePrimaryCtxRetain(&mut own => *mut *mut c_void, gpu => i32)), 0);
    assert_eq!(driver_call!(cuCtxGetCurrent(&mut before => *mut *mut c_void)), 0);
    assert_eq!(driver_call!(cuCtxSetCurrent(own => *mut c_void)), 0);
    let result = work();
    assert_eq!(driver_call!(cuCtxSetCurrent(before => *mut c_void)), 0);
    result
}

/// Memory of a GPU for work, allocated by the driver.
pub struct Memory {
    gpu: i32,
    /// Its address.
    pub at: u64,
    bytes: usize,
}

impl Memory {
    /// Allocates.
    pub fn new(gpu: i32, bytes: usize) -> Memory {
        let mut at = 0;
        assert_eq!(with_context(gpu, || driver_call!(cuMemAlloc_v2(&mut at => *mut u64, bytes => usize))), 0);
        Memory { gpu, at, bytes }
    }

    /// Enqueues work on a stream, by its native value: a fill of the memory.
    pub fn fill(&self, value: u8, stream: u64) {
        let code = with_context(
            self.gpu,
            || driver_call!(cuMemsetD8Async(self.at => u64, value => u8, self.bytes => usize, stream => u64)),
        );
        assert_eq!(code, 0);
    }

    /// Its bytes, after all work that was issued on the stream so far.
    pub fn read(&self, stream: u64) -> Vec<u8> {
        let mut bytes = vec![0u8; self.bytes];
        with_context(self.gpu, || {
            let at = bytes.as_mut_ptr();
            let code =
                driver_call!(cuMemcpyDtoHAsync_v2(at => *mut u8, self.at => u64, self.bytes => usize, stream => u64));
            assert_eq!(code, 0);
            assert_eq!(driver_call!(cuStreamSynchronize(stream => u64)), 0);
        });
        bytes
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // A lost device frees nothing.
        let _ = with_context(self.gpu, || driver_call!(cuMemFree_v2(self.at => u64)));
    }
}

/// The simulator, if libcuda is the simulator; does not start the driver.
pub fn simulator() -> Option<Sim> {
    // SAFETY: the type in its header.
    let version = unsafe { symbol::<unsafe extern "C" fn(*mut c_uint) -> c_int>("tenure_sim_version") }?;
    let mut number = 0;
    // SAFETY: the number is ours.
    assert_eq!(unsafe { version(&mut number) }, 0);
    assert_eq!(number, 1, "these tests know version 1 of the simulator's controls");
    Some(Sim(()))
}

/// The simulator, for a test that needs it; ignores the test elsewhere.
pub fn require_simulator() -> Sim {
    simulator().unwrap_or_else(|| skip("this needs the simulator; cargo xtask test --sim runs it there"))
}

/// The device of this run; ignores the test without one. The simulator has two GPUs.
pub fn device() -> Device {
    let sim = simulator();
    if let Some(sim) = sim {
        static TWO: OnceLock<()> = OnceLock::new();
        TWO.get_or_init(|| {
            if std::env::var_os("TENURE_SIM_DEVICES").is_none() {
                sim.set("devices", 2);
            }
        });
        println!("the simulator's seed is {}", sim.get("seed"));
    }
    let mut count = 0;
    // SAFETY: the number is ours.
    let status = unsafe { tenure::ffi::device::tn_device_count(tenure::types::TN_CUDA, &mut count) };
    let kind = if sim.is_some() { "sim" } else { "gpu" };
    if let Some(wanted) = wanted() {
        assert_eq!(wanted, kind, "TENURE_TEST_DEVICE names another device than libcuda.so.1 is");
        assert!(status == 0 && count > 0, "TENURE_TEST_DEVICE={wanted}, and there is no device: status {status}");
    }
    if status != 0 || count == 0 {
        skip("no GPU here; cargo xtask test --sim runs it on the simulated driver");
    }
    Device { sim }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.hands().release_all();
        if let Some(sim) = self.sim {
            sim.clear_faults();
        }
    }
}

/// The condition that a GPU's stream waits for.
enum Gate {
    /// The address of a word that becomes 1.
    Word(usize),
    /// A flag that a host function polls.
    Flag(Arc<AtomicBool>),
}

impl Gate {
    fn open(self) {
        match self {
            // SAFETY: a word of a page that is never unmapped.
            Gate::Word(at) => unsafe { &*(at as *const AtomicU32) }.store(1, Ordering::Release),
            Gate::Flag(go) => go.store(true, Ordering::Release),
        }
    }
}

/// Closed gates, by the streams that wait for them.
static GATES: Mutex<Vec<(u64, Gate)>> = Mutex::new(Vec::new());

/// A word, 0 at first, that devices can read.
fn fresh_word() -> usize {
    const PAGE: usize = 4096;
    static WORDS: Mutex<(usize, usize)> = Mutex::new((0, PAGE));
    let mut words = WORDS.lock().unwrap();
    if words.1 == PAGE {
        let mut page = std::ptr::null_mut::<c_void>();
        let code =
            with_context(0, || driver_call!(cuMemHostAlloc(&mut page => *mut *mut c_void, PAGE => usize, 3 => c_uint)));
        assert_eq!(code, 0);
        // SAFETY: just allocated, and used by nothing else.
        unsafe { page.cast::<u8>().write_bytes(0, PAGE) };
        *words = (page as usize, 0);
    }
    words.1 += 4;
    words.0 + words.1 - 4
}

/// Makes a GPU's stream wait from now on: for a word if the driver can do that, because host functions may run one
/// after the other.
fn close_gate(stream: u64) -> Gate {
    let word = fresh_word();
    type WaitValue = unsafe extern "C" fn(u64, u64, c_uint, c_uint) -> u32;
    // SAFETY: the type in the driver's header.
    let wait = unsafe { symbol::<WaitValue>("cuStreamWaitValue32_v2") };
    // SAFETY: a stream of the driver, and a word that devices see at the same address; 0: until it is at least 1.
    if wait.is_some_and(|wait| with_context(0, || unsafe { wait(stream, word as u64, 1, 0) }) == 0) {
        return Gate::Word(word);
    }
    let go = Arc::new(AtomicBool::new(false));
    let data = Arc::into_raw(go.clone()).cast_mut().cast::<c_void>();
    let code = with_context(
        0,
        || driver_call!(cuLaunchHostFunc(stream => u64, wait_for_go => extern "C" fn(*mut c_void), data => *mut c_void)),
    );
    assert_eq!(code, 0);
    Gate::Flag(go)
}

impl Hands {
    /// The simulator, for functions that only it has.
    pub fn sim(self) -> Option<Sim> {
        self.0
    }

    /// Stalls a stream, by its native value: later work waits.
    pub fn hold(self, stream: u64) {
        match self.0 {
            Some(sim) => sim.hold(stream),
            None => {
                let gate = close_gate(stream);
                GATES.lock().unwrap().push((stream, gate));
            }
        }
    }

    /// Resumes it.
    pub fn release(self, stream: u64) {
        match self.0 {
            Some(sim) => sim.release(stream),
            None => Hands::open(|held| held == stream),
        }
    }

    /// Resumes all.
    pub fn release_all(self) {
        match self.0 {
            Some(sim) => sim.release_all(),
            None => Hands::open(|_| true),
        }
    }

    fn open(which: impl Fn(u64) -> bool) {
        let mut gates = GATES.lock().unwrap_or_else(PoisonError::into_inner);
        gates.extract_if(.., |(held, _)| which(*held)).for_each(|(_, gate)| gate.open());
    }

    /// Runs some of the pending work.
    pub fn step(self, most: u64) {
        match self.0 {
            Some(sim) => drop(sim.step(most)),
            None => std::thread::yield_now(),
        }
    }
}

/// A stalled stream.
pub struct Stall {
    hands: Hands,
    stream: u64,
}

/// The host function, which the driver's thread runs as work of the stream.
extern "C" fn wait_for_go(data: *mut c_void) {
    // SAFETY: from `Arc::into_raw` in `close_gate`, once.
    let go = unsafe { Arc::from_raw(data.cast_const().cast::<AtomicBool>()) };
    while !go.load(Ordering::Acquire) {
        std::thread::yield_now();
    }
}

impl Drop for Stall {
    fn drop(&mut self) {
        self.hands.release(self.stream);
    }
}

impl Device {
    /// Stalls a stream by its native value: later work waits until the value is dropped.
    pub fn stall(&self, stream: u64) -> Stall {
        let hands = self.hands();
        hands.hold(stream);
        Stall { hands, stream }
    }

    /// The means of stalling streams in this run.
    pub fn hands(&self) -> Hands {
        Hands(self.sim)
    }

    /// For a test of two GPUs; ignores the test if there is one.
    pub fn require_two(&self) {
        if !self.has_two() {
            skip("one GPU only");
        }
    }

    /// Whether there is a second GPU; if not, prints that a part of the test is left out.
    pub fn has_two(&self) -> bool {
        let mut count = 0;
        // SAFETY: the number is ours.
        unsafe { tenure::ffi::device::tn_device_count(tenure::types::TN_CUDA, &mut count) };
        if count < 2 {
            println!("left out: what needs a second GPU");
        }
        count >= 2
    }

    /// The simulator, for a test that needs it; ignores the test elsewhere.
    pub fn simulated(&self) -> Sim {
        self.sim.unwrap_or_else(|| skip("this needs the simulator"))
    }
}

/// The text as C wants it.
fn c(name: &str) -> CString {
    CString::new(name).unwrap()
}

/// One of the simulator's control functions.
macro_rules! control {
    ($name:literal, fn($($type:ty),*) $(-> $result:ty)?) => {
        // SAFETY: the type in its header.
        unsafe { symbol::<unsafe extern "C" fn($($type),*) $(-> $result)?>($name) }.expect($name)
    };
}

impl Sim {
    /// Changes a setting.
    pub fn set(self, name: &str, value: u64) {
        let set = control!("tenure_sim_set", fn(*const c_char, u64) -> c_int);
        // SAFETY: a text.
        assert_eq!(unsafe { set(c(name).as_ptr(), value) }, 0, "{name} = {value}");
    }

    /// Reads a number.
    pub fn get(self, name: &str) -> u64 {
        let get = control!("tenure_sim_get", fn(*const c_char, *mut u64) -> c_int);
        let mut value = 0;
        // SAFETY: a text, and the number is ours.
        assert_eq!(unsafe { get(c(name).as_ptr(), &mut value) }, 0, "{name}");
        value
    }

    /// Sets the value of a device attribute.
    pub fn set_attribute(self, device: i32, attribute: i32, value: i32) {
        let set = control!("tenure_sim_set_attribute", fn(c_int, c_int, c_int) -> c_int);
        // SAFETY: numbers.
        assert_eq!(unsafe { set(device, attribute, value) }, 0);
    }

    /// Makes the nth call of a function from now on fail with a code, `times` times.
    pub fn fail(self, name: &str, nth: u64, times: u64, code: u32) {
        let fail = control!("tenure_sim_fail", fn(*const c_char, u64, u64, c_uint) -> c_int);
        // SAFETY: a text.
        assert_eq!(unsafe { fail(c(name).as_ptr(), nth, times, code) }, 0, "{name}");
    }

    /// Removes the injected faults that did not occur.
    pub fn clear_faults(self) {
        let clear = control!("tenure_sim_clear_faults", fn() -> c_int);
        // SAFETY: no arguments.
        assert_eq!(unsafe { clear() }, 0);
    }

    /// Loses the contexts of a device.
    pub fn break_device(self, device: i32, code: u32) {
        let break_device = control!("tenure_sim_break_device", fn(c_int, c_uint) -> c_int);
        // SAFETY: numbers.
        assert_eq!(unsafe { break_device(device, code) }, 0);
    }

    /// Stalls a stream, by its native value.
    pub fn hold(self, stream: u64) {
        let hold = control!("tenure_sim_hold", fn(u64) -> c_int);
        // SAFETY: a stream of the driver.
        assert_eq!(with_context(0, || unsafe { hold(stream) }), 0);
    }

    /// Resumes it.
    pub fn release(self, stream: u64) {
        let release = control!("tenure_sim_release", fn(u64) -> c_int);
        // SAFETY: a stream of the driver.
        assert_eq!(with_context(0, || unsafe { release(stream) }), 0);
    }

    /// Resumes all streams.
    pub fn release_all(self) {
        let release = control!("tenure_sim_release_all", fn() -> c_int);
        // SAFETY: no arguments.
        assert_eq!(unsafe { release() }, 0);
    }

    /// Runs this many pieces of work.
    pub fn step(self, most: u64) -> u64 {
        let step = control!("tenure_sim_step", fn(u64) -> u64);
        // SAFETY: a number.
        unsafe { step(most) }
    }

    /// The number of calls of a function so far; of all functions for "".
    pub fn calls(self, name: &str) -> u64 {
        let calls = control!("tenure_sim_calls", fn(*const c_char) -> u64);
        // SAFETY: a text.
        unsafe { calls(c(name).as_ptr()) }
    }

    /// The number of calls of a function during `work`; of all functions for "".
    pub fn calls_of<R>(self, name: &str, work: impl FnOnce() -> R) -> (u64, R) {
        let before = self.calls(name);
        let result = work();
        (self.calls(name) - before, result)
    }

    /// The host address of device memory.
    pub fn bytes(self, address: u64, bytes: usize, device: i32) -> *mut u8 {
        let at = control!("tenure_sim_bytes", fn(u64, usize, c_int) -> *mut c_void);
        // SAFETY: numbers.
        let found = unsafe { at(address, bytes, device) };
        assert!(!found.is_null(), "device {device} may not use {bytes} bytes at {address:#x}");
        found.cast()
    }
}

/// A variable for [`alone`]: the process finds no driver.
pub const NO_DRIVER: (&str, &str) = ("no driver", "");

/// Runs a test in another process with these environment variables: `alone("name", &[..], || body)` starts its own test
/// there. The loader reads LD_LIBRARY_PATH only when a process starts.
pub fn alone(test: &str, environment: &[(&str, &str)], body: impl FnOnce()) {
    // The test already runs in a process of its own.
    if environment.is_empty() || std::env::var(CHILD).is_ok_and(|name| name == test) {
        return body();
    }
    let mut command = tenure_harness::again(test);
    command.env(CHILD, test);
    for (name, value) in environment {
        if *name == NO_DRIVER.0 {
            command.env("LD_LIBRARY_PATH", path_without_driver()).env_remove("TENURE_TEST_DEVICE");
        } else {
            command.env(name, value);
        }
    }
    match tenure_harness::run_one(&mut command, test).0 {
        Outcome::Passed => {}
        Outcome::Ignored(why) => skip(why),
        Outcome::Failed(text) => panic!("{test} in a process of its own, with {environment:?}: {text}"),
    }
}

/// The name and message of a status.
pub fn last_error() -> String {
    // SAFETY: the library's text, valid until this thread's next failure.
    unsafe { CStr::from_ptr(tenure::ffi::library::tn_last_error()) }.to_string_lossy().into_owned()
}

/// Runs something that must return although streams are stalled. If it does not, the streams go on after 20 s, and the
/// test fails.
pub fn without_blocking<R>(device: &Device, what: &str, work: impl FnOnce() -> R) -> R {
    let (hands, (done, is_done)) = (device.hands(), std::sync::mpsc::channel::<()>());
    std::thread::scope(|scope| {
        let watch = scope.spawn(move || {
            let late = is_done.recv_timeout(std::time::Duration::from_secs(20)).is_err();
            if late {
                hands.release_all();
            }
            late
        });
        let result = work();
        let _ = done.send(());
        assert!(!watch.join().unwrap(), "{what}: the host waited for a stalled stream");
        result
    })
}
