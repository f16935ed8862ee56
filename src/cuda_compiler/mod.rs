//! NVRTC, the compiler of CUDA C++, loaded when it is first needed.
//!
//! Contract: thin. [`Compiler::load`] looks for the library in each call, so it finds one that was installed or loaded
//! meanwhile. The library stays loaded. Any thread may compile; NVRTC has locks of its own. The log is the compiler's
//! text, of a success too.
//!
//! | file | contents |
//! |---|---|
//! | `mod` | what a program of CUDA C++ becomes |
//! | `library` | the functions of NVRTC |

mod library;

use crate::error::{Result, Status, Text, fail};
use crate::lists;
use crate::names::readable;
use crate::types::*;
use core::ffi::{CStr, c_char, c_int};
use library::{Functions, Program, code};

/// The compiler.
pub struct Compiler {
    functions: Functions,
}

/// A program of CUDA C++.
pub struct Source<'a> {
    /// The text.
    pub text: &'a CStr,
    /// What the log calls it.
    pub name: &'a CStr,
    /// Files that it can include, by their names.
    pub headers: &'a [(&'static CStr, &'static CStr)],
    /// Options of NVRTC.
    pub options: &'a [&'a CStr],
}

/// A program, which ends with the value.
struct Compilation<'a> {
    functions: &'a Functions,
    program: Program,
}

impl Compiler {
    /// The compiler. TN_ERR_UNSUPPORTED: there is none; the message says how to install it.
    pub fn load() -> Result<Compiler> {
        let mut why = Text::new();
        let found = library::find(&mut why);
        found.map(|functions| Compiler { functions }).ok_or_else(|| {
            fail(
                TN_ERR_UNSUPPORTED,
                format_args!(
                    "this call needs NVRTC, CUDA's compiler library, which could not be loaded; install it with the CUDA toolkit, or by \
                     `pip install nvidia-cuda-nvrtc-cu12` (for a driver of CUDA 13: nvidia-cuda-nvrtc), and put its folder into \
                     LD_LIBRARY_PATH ({})",
                    why.as_str()
                ),
            )
        })
    }

    /// The newest compute capability, as 10 major + minor, that it can compile for and that is not newer than
    /// `at_most`. None: `at_most` is older than all. A compiler that cannot tell is believed to know `at_most`.
    pub fn newest_capability(&self, at_most: i32) -> Option<i32> {
        const MOST: usize = 256;
        let (mut count, mut known): (c_int, [c_int; MOST]) = (0, [0; MOST]);
        let (Some(count_of), Some(list)) =
            (self.functions.nvrtcGetNumSupportedArchs, self.functions.nvrtcGetSupportedArchs)
        else {
            return Some(at_most);
        };
        // SAFETY: the number is ours; the list has room for that many.
        let told = unsafe {
            count_of(&mut count) == code::SUCCESS
                && (1..=MOST as c_int).contains(&count)
                && list(known.as_mut_ptr()) == code::SUCCESS
        };
        if !told {
            return Some(at_most);
        }
        known[..count as usize].iter().copied().filter(|capability| *capability <= at_most).max()
    }

    /// Whether it makes code for an architecture, and not only PTX: since 11.1.
    pub fn makes_code(&self) -> bool {
        self.functions.nvrtcGetCUBIN.is_some() && self.functions.nvrtcGetCUBINSize.is_some()
    }

    /// Compiles a program to a cubin if the options ask for that of one architecture, else to PTX. The image ends with
    /// a NUL. The log is written also where the program has errors.
    ///
    /// TN_ERR_FAILED: the program has errors; TN_ERR_INVALID for an option that NVRTC does not know;
    /// TN_ERR_UNSUPPORTED: NVRTC is too old, or lacks a file of its own; TN_ERR_NO_HOST_MEMORY.
    pub fn compile(&self, source: &Source<'_>, log: &mut Vec<u8>) -> Result<Vec<u8>> {
        let compilation = Compilation::begin(&self.functions, source)?;
        let mut options = lists::vector::<*const c_char>(source.options.len(), "options of a compilation")?;
        options.extend(source.options.iter().map(|option| option.as_ptr()));
        // SAFETY: the program exists, and the options are texts that live during the call.
        let outcome = unsafe {
            self.functions.nvrtcCompileProgram(compilation.program, options.len() as c_int, options.as_ptr())
        };
        compilation.read_log(log)?;
        if outcome != code::SUCCESS {
            return Err(self.failed(outcome, source.name, log));
        }
        compilation.image()
    }

    /// The status of a compilation that failed, with as much of the log as fits.
    #[cold]
    fn failed(&self, number: u32, name: &CStr, log: &[u8]) -> Status {
        let status = match number {
            code::COMPILATION => TN_ERR_FAILED,
            _ => library::status(number),
        };
        let name = name.to_str().unwrap_or("the source");
        let what = Reason { functions: &self.functions, number, log: readable(log) };
        fail(status, format_args!("NVRTC cannot compile {name}: {what}"))
    }
}

/// The log, or without one what NVRTC calls the error.
struct Reason<'a> {
    functions: &'a Functions,
    number: u32,
    log: &'a str,
}

impl core::fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.log.trim() {
            "" => f.write_str(self.functions.name_of(self.number)),
            log => f.write_str(log),
        }
    }
}

impl<'a> Compilation<'a> {
    fn begin(functions: &'a Functions, source: &Source<'_>) -> Result<Compilation<'a>> {
        let mut names = lists::vector::<*const c_char>(source.headers.len(), "headers of a compilation")?;
        let mut texts = lists::vector::<*const c_char>(source.headers.len(), "headers of a compilation")?;
        names.extend(source.headers.iter().map(|(name, _)| name.as_ptr()));
        texts.extend(source.headers.iter().map(|(_, text)| text.as_ptr()));
        let mut program = core::ptr::null_mut();
        // SAFETY: the pointer is ours, and all texts live during the call.
        let number = unsafe {
            functions.nvrtcCreateProgram(
                &mut program,
                source.text.as_ptr(),
                source.name.as_ptr(),
                names.len() as c_int,
                texts.as_ptr(),
                names.as_ptr(),
            )
        };
        functions.check(number, "nvrtcCreateProgram").map(|()| Compilation { functions, program })
    }

    fn read_log(&self, log: &mut Vec<u8>) -> Result<()> {
        // SAFETY: the program exists. `read` gives a number and a buffer of that length.
        unsafe {
            let size = |bytes: *mut usize| self.functions.nvrtcGetProgramLogSize(self.program, bytes);
            let text = |to: *mut c_char| self.functions.nvrtcGetProgramLog(self.program, to);
            *log = self.read("nvrtcGetProgramLog", size, text)?;
        }
        while log.last() == Some(&0) {
            log.pop();
        }
        Ok(())
    }

    /// The cubin if there is one, else the PTX.
    fn image(&self) -> Result<Vec<u8>> {
        if let (Some(size_of), Some(bytes_of)) = (self.functions.nvrtcGetCUBINSize, self.functions.nvrtcGetCUBIN) {
            // SAFETY: as in `read_log`.
            let cubin = unsafe {
                let size = |bytes: *mut usize| size_of(self.program, bytes);
                self.read("nvrtcGetCUBIN", size, |to: *mut c_char| bytes_of(self.program, to))?
            };
            if !cubin.is_empty() {
                return Ok(cubin);
            }
        }
        // SAFETY: as in `read_log`.
        let ptx = unsafe {
            let size = |bytes: *mut usize| self.functions.nvrtcGetPTXSize(self.program, bytes);
            let text = |to: *mut c_char| self.functions.nvrtcGetPTX(self.program, to);
            self.read("nvrtcGetPTX", size, text)?
        };
        if ptx.len() > 1 {
            return Ok(ptx);
        }
        let text = "with these options NVRTC makes neither PTX nor a cubin; leave out those for link-time optimisation";
        Err(fail(TN_ERR_INVALID, format_args!("{text}")))
    }

    /// Bytes of the program.
    ///
    /// # Safety
    /// - `size` writes the number of bytes that `read` writes.
    unsafe fn read(
        &self,
        call: &'static str,
        size: impl FnOnce(*mut usize) -> u32,
        read: impl FnOnce(*mut c_char) -> u32,
    ) -> Result<Vec<u8>> {
        let mut bytes = 0;
        self.functions.check(size(&mut bytes), call)?;
        let mut out = lists::vector::<u8>(bytes, "bytes of a compilation")?;
        out.resize(bytes, 0);
        if bytes > 0 {
            self.functions.check(read(out.as_mut_ptr().cast()), call)?;
        }
        Ok(out)
    }
}

impl Drop for Compilation<'_> {
    fn drop(&mut self) {
        // SAFETY: created by `begin`, and not used again.
        unsafe { self.functions.nvrtcDestroyProgram(&mut self.program) };
    }
}
