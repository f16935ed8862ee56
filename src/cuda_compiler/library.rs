//! The functions of NVRTC, by their own names.
//!
//! Contract: a library that the process has loaded already comes before others. One without a required function is
//! passed over.

use crate::error::{Result, Text, fail};
use crate::sys::os::Library;
use crate::types::*;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::fmt::Write;

/// nvrtcProgram.
pub type Program = *mut c_void;

/// The names of the library, in the order of the search. The first one is a link to the version that a program of the
/// toolkit would use.
const NAMES: [&CStr; 6] = [
    c"libnvrtc.so",
    c"libnvrtc.so.13",
    c"libnvrtc.so.12",
    c"libnvrtc.so.11.2",
    c"libnvrtc.so.11.1",
    c"libnvrtc.so.11.0",
];

/// nvrtcResult.
pub mod code {
    pub const SUCCESS: u32 = 0;
    pub const OUT_OF_MEMORY: u32 = 1;
    pub const INVALID_INPUT: u32 = 3;
    pub const INVALID_OPTION: u32 = 5;
    pub const COMPILATION: u32 = 6;
    /// For example, its file libnvrtc-builtins.so is missing.
    pub const BUILTIN_OPERATION_FAILURE: u32 = 7;
}

/// The status of a code other than SUCCESS and COMPILATION.
pub fn status(number: u32) -> tn_status {
    match number {
        code::OUT_OF_MEMORY => TN_ERR_NO_HOST_MEMORY,
        code::INVALID_INPUT | code::INVALID_OPTION => TN_ERR_INVALID,
        code::BUILTIN_OPERATION_FAILURE => TN_ERR_UNSUPPORTED,
        _ => TN_ERR_FAILED,
    }
}

/// Declares the table, with a method for each function that every version has, and a field for each other one.
macro_rules! functions {
    (
        required { $($name:ident($($argument:ident: $type:ty),* $(,)?);)* }
        optional { $($other:ident($($other_type:ty),* $(,)?);)* }
    ) => {
        /// The functions.
        #[allow(non_snake_case)]
        pub struct Functions {
            table: Table,
            $(pub $other: Option<unsafe extern "C" fn($($other_type),*) -> u32>,)*
            nvrtcGetErrorString: Option<unsafe extern "C" fn(u32) -> *const c_char>,
        }

        #[allow(non_snake_case)]
        struct Table {
            $($name: unsafe extern "C" fn($($type),*) -> u32,)*
        }

        impl Functions {
            /// The functions of a library. Err: the name of one that it lacks.
            fn of(library: &Library) -> core::result::Result<Functions, &'static str> {
                // SAFETY: by NVRTC's header, the functions of these names have these parameters, and return a
                // nvrtcResult or a text.
                unsafe {
                    Ok(Functions {
                        table: Table { $($name: address(library, concat!(stringify!($name), "\0")).map(|address| {
                            core::mem::transmute::<*mut c_void, unsafe extern "C" fn($($type),*) -> u32>(address)
                        }).ok_or(stringify!($name))?,)* },
                        $($other: address(library, concat!(stringify!($other), "\0")).map(|address| {
                            core::mem::transmute::<*mut c_void, unsafe extern "C" fn($($other_type),*) -> u32>(address)
                        }),)*
                        nvrtcGetErrorString: address(library, "nvrtcGetErrorString\0").map(|address| {
                            core::mem::transmute::<*mut c_void, unsafe extern "C" fn(u32) -> *const c_char>(address)
                        }),
                    })
                }
            }

            $(
                #[doc = concat!("`", stringify!($name), "`, with the obligations of NVRTC's documentation.")]
                #[allow(non_snake_case, clippy::missing_safety_doc, clippy::too_many_arguments)]
                pub unsafe fn $name(&self, $($argument: $type),*) -> u32 {
                    // SAFETY: the caller's obligation.
                    unsafe { (self.table.$name)($($argument),*) }
                }
            )*
        }
    };
}

functions! {
    required {
        nvrtcCreateProgram(
            program: *mut Program, source: *const c_char, name: *const c_char, headers: c_int,
            texts: *const *const c_char, names: *const *const c_char,
        );
        nvrtcCompileProgram(program: Program, count: c_int, options: *const *const c_char);
        nvrtcDestroyProgram(program: *mut Program);
        nvrtcGetPTXSize(program: Program, bytes: *mut usize);
        nvrtcGetPTX(program: Program, text: *mut c_char);
        nvrtcGetProgramLogSize(program: Program, bytes: *mut usize);
        nvrtcGetProgramLog(program: Program, text: *mut c_char);
    }
    optional {
        nvrtcGetCUBINSize(Program, *mut usize);
        nvrtcGetCUBIN(Program, *mut c_char);
        nvrtcGetNumSupportedArchs(*mut c_int);
        nvrtcGetSupportedArchs(*mut c_int);
    }
}

/// The address of a function by its name, which ends with a NUL.
fn address(library: &Library, name: &'static str) -> Option<*mut c_void> {
    let name = CStr::from_bytes_with_nul(name.as_bytes()).ok()?;
    library.symbol(name).map(|address| address.as_ptr())
}

/// The first library that has the functions. None: `why` says what is wrong with a library that exists, or else that
/// there is none.
pub fn find(why: &mut Text) -> Option<Functions> {
    let loaded = NAMES.iter().find_map(|name| Functions::of(&Library::find_loaded(name)?).ok());
    loaded.or_else(|| {
        NAMES.iter().find_map(|name| {
            let mut reason = Text::new();
            let found = Library::open(name, &mut reason).and_then(|library| {
                let lacks = |function| write!(reason, "{} has no {function}", name.to_str().unwrap_or_default());
                Functions::of(&library).map_err(lacks).ok()
            });
            let is_absent = reason.as_str().contains("No such file");
            if found.is_none() && (why.as_str().is_empty() || !is_absent) {
                *why = reason;
            }
            found
        })
    })
}

impl Functions {
    /// Turns the result of the function `call` into a status.
    pub fn check(&self, number: u32, call: &'static str) -> Result<()> {
        if number == code::SUCCESS {
            return Ok(());
        }
        Err(fail(status(number), format_args!("{call} failed with {} ({number})", self.name_of(number))))
    }

    /// What NVRTC calls an error.
    pub fn name_of(&self, number: u32) -> &'static str {
        let Some(name_of) = self.nvrtcGetErrorString else { return "an error" };
        // SAFETY: the function returns a static text for any number.
        let text = unsafe { name_of(number).as_ref().map(|text| CStr::from_ptr(text)) };
        text.and_then(|text| text.to_str().ok()).unwrap_or("an error")
    }
}
