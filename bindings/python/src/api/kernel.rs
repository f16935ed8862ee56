//! The C functions for modules of device code, and launches.

use super::{Id, Result, check, made};
use crate::sys::*;
use core::ffi::{CStr, c_char, c_void};
use core::ptr::{null, null_mut};

/// The longest log of the compiler that is kept, in bytes.
const LOG_BYTES: usize = 1 << 20;

fn options(name: Option<&CStr>) -> tn_module_options {
    tn_module_options {
        size: size_of::<tn_module_options>(),
        name: name.map_or(null(), CStr::as_ptr),
        arch: null(),
        options: null(),
        n_options: 0,
        log: null_mut(),
        log_capacity: 0,
        log_length: null_mut(),
    }
}

/// A module of an image, which is copied.
pub fn module_load(image: &[u8], name: Option<&CStr>) -> Result<Id> {
    // SAFETY: the image and the options are valid during the call; `out` is writable.
    made(|out| unsafe { tn_module_load(image.as_ptr().cast(), image.len(), &options(name), out) })
}

/// A module of a program, and the compiler's log, which there is after a failure too.
pub fn module_compile(
    source: &CStr,
    name: Option<&CStr>,
    arch: Option<&CStr>,
    flags: &[&CStr],
) -> (Result<Id>, String) {
    let flags: Vec<*const c_char> = flags.iter().map(|flag| flag.as_ptr()).collect();
    let mut log = vec![0u8; LOG_BYTES];
    let options = tn_module_options {
        arch: arch.map_or(null(), CStr::as_ptr),
        options: flags.as_ptr(),
        n_options: flags.len(),
        log: log.as_mut_ptr().cast(),
        log_capacity: log.len(),
        ..options(name)
    };
    // SAFETY: texts with a NUL, and the log, which is writable, are valid during the call; `out` is writable.
    let module = made(|out| unsafe { tn_module_compile(source.as_ptr(), &options, out) });
    let log = CStr::from_bytes_until_nul(&log).map_or_else(|_| String::new(), |log| log.to_string_lossy().into_owned());
    (module, log)
}

/// A kernel of a module on a GPU: a CUfunction.
pub fn module_function(module: Id, name: &CStr, device: tn_device) -> Result<usize> {
    let mut function = null_mut();
    // SAFETY: a checked id, a text with a NUL, and `function` is writable.
    check(unsafe { tn_module_function(module.raw(), name.as_ptr(), device, &mut function) })?;
    Ok(function as usize)
}

calls! {
    /// Releases a module.
    fn module_release(module: Id) = tn_module_release;
}

/// A handle as an argument of a launch.
pub fn handle(id: Id) -> *const c_void {
    id.raw::<c_void>()
}

/// What a launch runs.
#[derive(Clone, Copy)]
pub enum Code {
    /// A CUfunction.
    Device(usize),
    /// The address of a `tn_host_kernel`.
    Host(usize),
}

/// How often, and where.
#[derive(Clone, Copy)]
pub struct Config {
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub block_bytes: i64,
    pub stream: Id,
}

/// Launches a kernel.
///
/// # Safety
/// - The code takes arguments of these kinds, numbers of axes and sizes.
/// - Each value in `args` is valid during the call.
pub unsafe fn launch(code: Code, config: &Config, args: &[tn_arg]) -> Result<()> {
    let (function, host) = match code {
        Code::Device(function) => (function as *mut c_void, 0),
        Code::Host(address) => (null_mut(), address),
    };
    let config = tn_launch_config {
        size: size_of::<tn_launch_config>(),
        function,
        grid: config.grid,
        block: config.block,
        block_bytes: config.block_bytes,
        stream: config.stream.raw(),
        // SAFETY: the caller vouches for the address of a function of this type; 0 is None.
        host_function: unsafe { core::mem::transmute::<usize, tn_host_kernel>(host) },
        flags: 0,
        cluster: [0; 3],
    };
    // SAFETY: as above; the arguments are valid during the call.
    check(unsafe { tn_launch(&config, args.len(), args.as_ptr()) })
}

/// The offsets of arrays in the memory of a thread block, and the end of the last one.
pub fn block_layout(items: &[tn_block_item]) -> Result<(Vec<i64>, i64)> {
    let (mut offsets, mut bytes) = (vec![0; items.len()], 0);
    // SAFETY: as many offsets as items; the outputs are writable.
    check(unsafe { tn_block_layout(items.len(), items.as_ptr(), offsets.as_mut_ptr(), &mut bytes) })?;
    Ok((offsets, bytes))
}
