//! Section "module": device code with kernels, compiled from CUDA C++ or given, and loaded into each GPU that needs it.

use crate::boundary::enter;
use crate::error::{Result, fail};
use crate::ffi::convert::{self, Out, TextOut};
use crate::lists;
use crate::module::{self, Options};
use crate::names::{Name, readable};
use crate::types::*;
use core::ffi::{CStr, c_char, c_void};
use smallvec::SmallVec;

/// Makes a module of an image: PTX, a cubin or a fatbin.
///
/// A GPU loads the module when `tn_module_function` first needs it there. The driver then compiles PTX, which may take
/// seconds, and keeps the result in a cache of its own. So errors in the image are found there.
///
/// @param image    PTX as text, with or without a NUL at its end; or a whole cubin or fatbin. It is copied. The driver
///                 trusts a cubin.
/// @param bytes    Its size.
/// @param options  `name`; the other fields are of `tn_module_compile`. May be NULL.
/// @param[out] out The module. Released by `tn_module_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for what is no image or only a part of one, and for options of
///         `tn_module_compile`; TN_ERR_NO_HOST_MEMORY, TN_ERR_LIMIT.
/// @note Threads: any. Blocks: no. Allocates: the copy. Needs no driver.
/// @since 0.1
/// @ingroup module
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_module_load(
    image: *const c_void,
    bytes: usize,
    options: *const tn_module_options,
    out: *mut *mut tn_module,
) -> tn_status {
    enter("tn_module_load", || {
        if image.is_null() {
            return Err(convert::null("image"));
        }
        let out = Out::new(out, "out")?;
        // SAFETY: by this function's documentation.
        let (options, image) = unsafe { (Given::of(options)?, convert::slice(bytes, image.cast::<u8>(), "image")?) };
        let options = options.for_load()?;
        let made = module::load(image, options.name)?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(convert::handle(made)) };
        Ok(())
    })
}

/// Compiles CUDA C++ with NVRTC, CUDA's compiler library, and makes a module of the result.
///
/// The library is looked for in each call: one that the process has loaded, else `libnvrtc.so`, `libnvrtc.so.13`,
/// `libnvrtc.so.12`, `libnvrtc.so.11.2` and older. No other call needs it. The program can include `tenure_kernel.cuh`,
/// and else what the options of NVRTC allow (`-I`). It is compiled as C++17 unless the options say otherwise. Kernels
/// that are declared `extern "C"` keep their names.
///
/// @param source   The program, a text with a NUL.
/// @param options  How to compile, and where the compiler's log goes. May be NULL.
/// @param[out] out The module. Released by `tn_module_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for an arch that is none, and for options that NVRTC does not know;
///         TN_ERR_UNSUPPORTED without NVRTC, and for GPUs that it does not know; TN_ERR_FAILED if the program has
///         errors: the message has as much of the log as fits; TN_ERR_NO_HOST_MEMORY, TN_ERR_LIMIT.
/// @note Threads: any. Blocks: while the compiler works, often for a second. Allocates: the image; what the compiler
///       needs. Needs no driver.
/// @since 0.1
/// @ingroup module
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_module_compile(
    source: *const c_char,
    options: *const tn_module_options,
    out: *mut *mut tn_module,
) -> tn_status {
    enter("tn_module_compile", || {
        // SAFETY: a text, by this function's documentation.
        let source = unsafe { convert::text(source, "source")? };
        let out = Out::new(out, "out")?;
        // SAFETY: by this function's documentation.
        let options = unsafe { Given::of(options)? };
        let mut log = Vec::new();
        let made = module::compile(source, &options.for_compile()?, &mut log);
        // SAFETY: writable by this function's documentation.
        unsafe {
            options.write_log(readable(&log));
            out.write(convert::handle(made?));
        }
        Ok(())
    })
}

/// Finds a kernel of a module on a GPU, for `tn_launch`. The first call for a GPU loads the module there.
///
/// The result belongs to the module, and is valid until the module is released. After a reset of the GPU's primary
/// context it is not: call again. A load does not disturb streams that capture a graph.
///
/// @param module        A module.
/// @param name          The name of the kernel; in C++ the mangled name, unless the kernel is declared `extern "C"`.
/// @param device        A GPU: TN_CUDA and its number.
/// @param[out] function The kernel, a CUfunction of the GPU's primary context. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an empty name, a kernel that the module
///         does not have, and an image that is damaged or has errors, with the driver's log; TN_ERR_DEVICE for a device
///         that is no GPU or does not exist; TN_ERR_UNSUPPORTED without a driver, and for an image without code for the
///         GPU or newer than the driver; TN_ERR_NO_HOST_MEMORY, TN_ERR_NO_DEVICE_MEMORY, TN_ERR_DRIVER.
/// @note Threads: any. Blocks: while the driver loads the module, also for other threads that need this module.
///       Allocates: bookkeeping; device memory for the module's code and variables.
/// @since 0.1
/// @ingroup module
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_module_function(
    module: *mut tn_module,
    name: *const c_char,
    device: tn_device,
    function: *mut *mut c_void,
) -> tn_status {
    enter("tn_module_function", || {
        let id = convert::id(module, "module")?;
        // SAFETY: a text, by this function's documentation.
        let name = unsafe { convert::text(name, "name")? };
        let function = Out::new(function, "function")?;
        let found = module::function(id, name, device)?;
        // SAFETY: writable by this function's documentation.
        unsafe { function.write(found) };
        Ok(())
    })
}

/// Releases a module, also while its kernels run.
///
/// Each GPU unloads the module once the work is done that the library issued there before this call; later work may
/// delay that. This call finds it out, or a later one of this section. What the library does not see must be over
/// before: launches by other means, and graphs that contain its kernels.
///
/// @param module  A module. No thread may use its kernels in later launches.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND.
/// @note Threads: any. Blocks: no; the driver may wait where it unloads. Allocates: no.
/// @since 0.1
/// @ingroup module
#[unsafe(no_mangle)]
pub extern "C" fn tn_module_release(module: *mut tn_module) -> tn_status {
    enter("tn_module_release", || module::release(convert::id(module, "module")?))
}

/// The options of C.
struct Given<'a> {
    options: Result<tn_module_options>,
    texts: SmallVec<[&'a CStr; 8]>,
}

impl<'a> Given<'a> {
    /// Reports what is NULL.
    ///
    /// # Safety
    /// - The obligations of the functions above on `options`, whose texts live for 'a.
    unsafe fn of(options: *const tn_module_options) -> Result<Given<'a>> {
        // SAFETY: the caller's obligation.
        let options = unsafe { convert::sized(options) }
            .map(|options| options.unwrap_or_else(<tn_module_options as convert::VersionedStruct>::defaults));
        let mut texts = SmallVec::new();
        if let Ok(given) = &options {
            TextOut::new(given.log_capacity, given.log, "log")?;
            // SAFETY: the caller's obligation.
            let pointers = unsafe { convert::slice(given.n_options, given.options, "options")? };
            lists::reserve(&mut texts, pointers.len())?;
            for (at, pointer) in pointers.iter().enumerate() {
                if pointer.is_null() {
                    return Err(fail(TN_ERR_NULL, format_args!("options[{at}] is NULL")));
                }
                // SAFETY: a text, by the caller's obligation.
                texts.push(unsafe { CStr::from_ptr(*pointer) });
            }
        }
        Ok(Given { options, texts })
    }

    fn name(given: &tn_module_options) -> Result<Name> {
        // SAFETY: a text or NULL, by the obligation of `of`.
        unsafe { convert::name(given.name) }
    }

    /// TN_ERR_INVALID for options of the compiler.
    fn for_load(&self) -> Result<Options<'_>> {
        let given = self.options?;
        if !given.arch.is_null() || given.n_options > 0 {
            let text = "arch and options are for the compiler: leave them out, or call tn_module_compile";
            return Err(fail(TN_ERR_INVALID, format_args!("{text}")));
        }
        Ok(Options { name: Self::name(&given)?, arch: None, options: &[] })
    }

    fn for_compile(&self) -> Result<Options<'_>> {
        let given = self.options?;
        // SAFETY: a text or NULL, by the obligation of `of`.
        let arch = (!given.arch.is_null()).then(|| unsafe { CStr::from_ptr(given.arch) });
        Ok(Options { name: Self::name(&given)?, arch, options: &self.texts })
    }

    /// # Safety
    /// - The obligations of the functions above on the log.
    unsafe fn write_log(&self, log: &str) {
        let Ok(given) = &self.options else { return };
        let Ok(mut text) = TextOut::new(given.log_capacity, given.log, "log") else { return };
        // SAFETY: the caller's obligation.
        unsafe {
            text.add(log);
            convert::write_opt(given.log_length, text.length());
        }
    }
}
