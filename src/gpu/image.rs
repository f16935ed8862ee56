//! Modules of the program: images that it gives, with errors that say what is wrong with them.
//!
//! Contract: a load may take seconds, because the driver compiles PTX. It holds no lock of the library. Graph captures
//! go on.

use super::context::Inside;
use crate::cuda_driver::{CUfunction, CUmodule, SUCCESS, code};
use crate::error::{Result, Status, fail, quietly};
use crate::names::readable;
use crate::types::*;
use core::ffi::{CStr, c_uint, c_void};
use core::fmt;
use core::ptr::null_mut;

/// CU_JIT_ERROR_LOG_BUFFER and CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES.
const ERROR_LOG: [c_uint; 2] = [5, 6];

/// Bytes of the driver's log that are kept: more than a message has.
const LOG_BYTES: usize = 1024;

/// An image that is loaded into the primary context of a GPU.
#[derive(Clone, Copy)]
pub struct LoadedImage(CUmodule);

// SAFETY: the driver's modules belong to a context, not to a thread.
unsafe impl Send for LoadedImage {}

/// A kernel of a loaded image, as the driver names it.
#[derive(Clone, Copy)]
pub struct ImageKernel(CUfunction);

// SAFETY: as for modules.
unsafe impl Send for ImageKernel {}

impl ImageKernel {
    /// The CUfunction.
    pub fn raw(self) -> *mut c_void {
        self.0.cast()
    }
}

impl LoadedImage {
    /// Loads an image. TN_ERR_INVALID: it is damaged, or PTX with errors. TN_ERR_UNSUPPORTED: it has no code for this
    /// GPU, or is newer than the driver. TN_ERR_NO_DEVICE_MEMORY, TN_ERR_DRIVER.
    ///
    /// # Safety
    /// - `image` is PTX with a NUL behind it, or begins with the header of a whole cubin or fatbin.
    pub unsafe fn load(inside: &Inside, image: &[u8]) -> Result<LoadedImage> {
        let mut module = null_mut();
        let mut log = [0_u8; LOG_BYTES];
        let (mut options, mut values) = (ERROR_LOG, [log.as_mut_ptr().cast(), LOG_BYTES as *mut c_void]);
        let (count, options, values) = (options.len() as c_uint, options.as_mut_ptr(), values.as_mut_ptr());
        // SAFETY: the caller's obligation; the pointers are ours, and the log has the size that the options give.
        let number = unsafe { inside.cuModuleLoadDataEx(&mut module, image.as_ptr().cast(), count, options, values)? };
        if number == SUCCESS {
            Ok(LoadedImage(module))
        } else {
            Err(refused(inside, "cuModuleLoadDataEx", number, &log))
        }
    }

    /// A kernel by its name. TN_ERR_INVALID: there is none. Another call finds the same kernel.
    pub fn kernel(self, inside: &Inside, name: &CStr) -> Result<ImageKernel> {
        let mut function = null_mut();
        // SAFETY: the pointer is ours, the name a text with an end. The module is loaded in this context.
        match unsafe { inside.cuModuleGetFunction(&mut function, self.0, name.as_ptr())? } {
            SUCCESS => Ok(ImageKernel(function)),
            code::NOT_FOUND => Err(fail(
                TN_ERR_INVALID,
                format_args!(
                    "no kernel has the name \"{}\"; declare it extern \"C\" __global__, or pass its mangled name",
                    name.to_str().unwrap_or("?")
                ),
            )),
            number => Err(refused(inside, "cuModuleGetFunction", number, &[])),
        }
    }

    /// Unloads the image.
    ///
    /// # Safety
    /// - It was loaded into the context of `inside`, no kernel of it runs or will run, and nothing of it is used again.
    pub unsafe fn unload(self, inside: &Inside) {
        // SAFETY: the caller's obligation. A failure leaves the module loaded, for which nothing can be done.
        let number = unsafe { inside.cuModuleUnload(self.0) };
        let _ = quietly(|| inside.gpu().check(number?, "cuModuleUnload"));
    }
}

/// The status of an image that cannot be loaded.
#[cold]
fn refused(inside: &Inside, call: &'static str, number: u32, log: &[u8]) -> Status {
    let status = match number {
        code::INVALID_IMAGE | code::INVALID_PTX => TN_ERR_INVALID,
        code::NO_BINARY_FOR_GPU
        | code::JIT_COMPILER_NOT_FOUND
        | code::UNSUPPORTED_PTX_VERSION
        | code::JIT_COMPILATION_DISABLED => TN_ERR_UNSUPPORTED,
        _ => {
            return match inside.gpu().check(number, call) {
                Err(status) => status,
                Ok(()) => fail(TN_ERR_DRIVER, format_args!("the driver cannot load the image")),
            };
        }
    };
    let gpu = inside.gpu();
    let capability = quietly(|| gpu.compute_capability()).unwrap_or_default();
    fail(
        status,
        format_args!(
            "GPU {} cannot load the image: {}{}{}",
            gpu.id(),
            inside.name(number),
            Advice { number, capability },
            Log(log)
        ),
    )
}

/// What to do about an error.
struct Advice {
    number: u32,
    capability: i32,
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let capability = self.capability;
        match self.number {
            code::NO_BINARY_FOR_GPU => {
                write!(f, "; it has no code for compute capability {}.{}", capability / 10, capability % 10)
            }
            code::UNSUPPORTED_PTX_VERSION => {
                write!(f, "; the PTX is newer than the driver: compile to \"sm_{capability}\", or update the driver")
            }
            code::JIT_COMPILER_NOT_FOUND | code::JIT_COMPILATION_DISABLED => {
                write!(f, "; the driver cannot compile PTX here: compile to \"sm_{capability}\"")
            }
            _ => Ok(()),
        }
    }
}

/// The driver's log, as far as it is text.
struct Log<'a>(&'a [u8]);

impl fmt::Display for Log<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = readable(self.0);
        if text.trim().is_empty() { Ok(()) } else { write!(f, "; {}", text.trim()) }
    }
}
