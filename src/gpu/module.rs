//! Modules of the library's own device code, and launches of their kernels.
//!
//! Contract: a load makes a few driver calls and may take tens of milliseconds, because the driver compiles PTX. A
//! launch is one call and does not wait.

use super::context::Inside;
use crate::cuda_driver::{CUfunction, CUstream, SUCCESS, code};
use crate::error::{Result, quietly};
use core::ffi::{CStr, c_void};
use core::ptr::null_mut;

/// A kernel of a module that stays loaded for as long as its context exists.
#[derive(Clone, Copy)]
pub struct Function(CUfunction);

// SAFETY: the driver's functions belong to a context, not to a thread.
unsafe impl Send for Function {}

impl Function {
    /// No function.
    pub const NONE: Function = Function(null_mut());
}

/// A module that could not be loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused {
    /// The driver's result code; CUDA_ERROR_NOT_FOUND if the driver lacks a function for modules.
    pub code: u32,
}

impl Refused {
    /// Whether another attempt may succeed: device memory was short, or some stream captured a graph.
    pub fn is_temporary(self) -> bool {
        matches!(self.code, code::OUT_OF_MEMORY | 900..=908)
    }
}

/// Loads PTX, a text with a NUL at its end, and finds kernels by their names. Disturbs no graph capture of another
/// thread.
pub fn load<const N: usize>(
    inside: &Inside,
    ptx: &CStr,
    names: &[&CStr; N],
) -> core::result::Result<[Function; N], Refused> {
    let mut module = null_mut();
    // SAFETY: the pointer is ours, and the image a text with an end.
    check(inside, unsafe { inside.cuModuleLoadData(&mut module, ptx.as_ptr().cast()) }, "cuModuleLoadData")?;
    let mut functions = [Function::NONE; N];
    for (function, name) in functions.iter_mut().zip(names) {
        // SAFETY: the pointer is ours, and the module was just loaded.
        let found = unsafe { inside.cuModuleGetFunction(&mut function.0, module, name.as_ptr()) };
        if let Err(refused) = check(inside, found, "cuModuleGetFunction") {
            // SAFETY: loaded above, and none of its kernels was launched.
            let _ = unsafe { inside.cuModuleUnload(module) };
            return Err(refused);
        }
    }
    Ok(functions)
}

/// Marks the device as lost where the code says so.
fn check(inside: &Inside, answer: Result<u32>, call: &'static str) -> core::result::Result<(), Refused> {
    let code = answer.unwrap_or(code::NOT_FOUND);
    if code == SUCCESS {
        return Ok(());
    }
    let _ = quietly(|| inside.gpu().check(code, call));
    Err(Refused { code })
}

/// Launches a kernel with one parameter, which the driver copies.
///
/// # Safety
/// - `stream` is one of the device of `inside`, and exists.
/// - `function` belongs to the context of `inside`, and has one parameter of type `P`.
/// - The memory that the kernel uses stays valid until the launch is done, and no other access conflicts with it.
pub unsafe fn launch<P>(
    inside: &Inside,
    stream: CUstream,
    function: Function,
    blocks: u32,
    threads: u32,
    parameter: &P,
) -> Result<()> {
    let mut parameters = [core::ptr::from_ref(parameter).cast_mut().cast::<c_void>()];
    // SAFETY: the caller's obligation; the driver reads the parameter during the call.
    let number = unsafe {
        inside.cuLaunchKernel(function.0, blocks, 1, 1, threads, 1, 1, 0, stream, parameters.as_mut_ptr(), null_mut())
    };
    inside.gpu().check(number?, "cuLaunchKernel")
}
