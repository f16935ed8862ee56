//! CUDA C++ that NVRTC compiles to the image of a module.
//!
//! Contract: needs no driver. Where all GPUs have one architecture that the compiler knows, the image is code for it,
//! which drivers older than the compiler load too. Otherwise it is PTX for the oldest of them, so that each can load it.
//! The standard is C++17, which tenure_kernel.cuh needs, unless the options name another one.

use super::image::Image;
use crate::cuda_compiler::{Compiler, Source};
use crate::error::{Result, Text, fail, quietly};
use crate::gpu;
use crate::lists;
use crate::names::{Name, readable};
use crate::slots::Id;
use crate::types::*;
use core::ffi::CStr;
use core::fmt::Write;
use smallvec::SmallVec;

/// What a program can include without a path.
const HEADERS: [(&CStr, &CStr); 1] = [(c"tenure_kernel.cuh", {
    const TEXT: &str = concat!(include_str!("../../include/tenure_kernel.cuh"), "\0");
    match CStr::from_bytes_with_nul(TEXT.as_bytes()) {
        Ok(text) => text,
        Err(_) => panic!("the header contains a NUL"),
    }
})];

/// How a program is compiled.
pub struct Options<'a> {
    /// The name of the module.
    pub name: Name,
    /// "compute_80" or "sm_80".
    pub arch: Option<&'a CStr>,
    /// Options of NVRTC.
    pub options: &'a [&'a CStr],
}

/// Compiles a program, and returns the handle of its module. The log is written also where the program has errors.
///
/// TN_ERR_INVALID for an unknown architecture or option; TN_ERR_UNSUPPORTED: there is no compiler, or none for these
/// GPUs; TN_ERR_FAILED: the program has errors; TN_ERR_NO_HOST_MEMORY.
pub fn compile(source: &CStr, how: &Options<'_>, log: &mut Vec<u8>) -> Result<Id> {
    check_arch(how.arch)?;
    let compiler = Compiler::load()?;
    let architecture = Argument::architecture(&compiler, how)?;
    let name = Argument::of(if how.name.is_none() { "module.cu" } else { how.name.as_str() })?;
    let mut options: SmallVec<[&CStr; 8]> = SmallVec::new();
    lists::reserve(&mut options, how.options.len() + 2)?;
    if !has(how.options, &["-std", "--std"]) {
        options.push(c"--std=c++17");
    }
    options.extend(architecture.as_ref().map(Argument::text));
    options.extend(how.options.iter().copied());
    let source = Source { text: source, name: name.text(), headers: &HEADERS, options: &options };
    super::create(Image::of(&compiler.compile(&source, log)?)?, how.name)
}

/// TN_ERR_INVALID for what is no architecture.
fn check_arch(arch: Option<&CStr>) -> Result<()> {
    let Some(arch) = arch else { return Ok(()) };
    let bytes = arch.to_bytes();
    let number = bytes.strip_prefix(b"compute_").or_else(|| bytes.strip_prefix(b"sm_")).unwrap_or_default();
    let is_known = number.first().is_some_and(u8::is_ascii_digit) && number.iter().all(u8::is_ascii_alphanumeric);
    if is_known && bytes.len() <= 24 {
        return Ok(());
    }
    Err(fail(
        TN_ERR_INVALID,
        format_args!("arch is \"{}\"; write it as \"compute_80\" or \"sm_80\"", Name::head(readable(bytes)).as_str()),
    ))
}

/// Whether the caller gives one of these options, as `name=value` or as `name` and `value`.
fn has(options: &[&CStr], names: &[&str]) -> bool {
    let is = |option: &[u8], name: &str| {
        option.strip_prefix(name.as_bytes()).is_some_and(|rest| matches!(rest, [] | [b'=', ..]))
    };
    options.iter().any(|option| names.iter().any(|name| is(option.to_bytes(), name)))
}

/// A short text with a NUL.
struct Argument([u8; Argument::BYTES]);

impl Argument {
    const BYTES: usize = 64;

    fn of(text: &str) -> Result<Argument> {
        let mut bytes = [0; Argument::BYTES];
        let length = text.len().min(Argument::BYTES - 1);
        bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
        Ok(Argument(bytes))
    }

    fn text(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }

    /// The option for the architecture; None: the caller gives it, or there is no GPU, and the compiler's default is
    /// used.
    fn architecture(compiler: &Compiler, how: &Options<'_>) -> Result<Option<Argument>> {
        let mut text = Text::new();
        if let Some(arch) = how.arch {
            let _ = write!(text, "--gpu-architecture={}", readable(arch.to_bytes()));
        } else {
            let given = has(how.options, &["-arch", "--gpu-architecture"]);
            let Some((oldest, latest)) = capabilities().filter(|_| !given) else { return Ok(None) };
            let Some(newest) = compiler.newest_capability(oldest) else {
                return Err(fail(
                    TN_ERR_UNSUPPORTED,
                    format_args!(
                        "NVRTC compiles only for newer GPUs than one with compute capability {}.{}; install an older NVRTC, or hide that GPU \
                         with CUDA_VISIBLE_DEVICES, or pass arch",
                        oldest / 10,
                        oldest % 10
                    ),
                ));
            };
            // PTX has no compatibility between minor versions: a driver refuses that of a newer compiler (222).
            let alike = oldest == latest && newest == oldest && compiler.makes_code();
            let kind = if alike { "sm" } else { "compute" };
            let _ = write!(text, "--gpu-architecture={kind}_{newest}");
        }
        Argument::of(text.as_str()).map(Some)
    }
}

/// The lowest and the highest compute capability of the GPUs that the process sees. None: there is no GPU, or the driver
/// fails.
fn capabilities() -> Option<(i32, i32)> {
    quietly(|| {
        let of = |id: i32| gpu::gpu(id).ok()?.compute_capability().ok().filter(|known| *known > 0);
        let mut known = (0..gpu::count().unwrap_or(0)).filter_map(of);
        let first = known.next()?;
        Some(known.fold((first, first), |(oldest, latest), next| (oldest.min(next), latest.max(next))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_architectures_are_accepted() {
        for arch in [c"compute_80", c"sm_90a", c"sm_120", c"compute_100f"] {
            check_arch(Some(arch)).unwrap();
        }
        for arch in [
            c"",
            c"80",
            c"sm_",
            c"compute_x",
            c"sm_80 --options-file=x",
            c"sm_8,0",
            c"lto_80",
            c"sm_800000000000000000000000",
        ] {
            assert_eq!(check_arch(Some(arch)).unwrap_err().code(), TN_ERR_INVALID, "{arch:?}");
        }
    }

    #[test]
    fn an_option_is_recognised_with_its_value_and_apart() {
        for options in [&[c"-std=c++14"][..], &[c"-DX", c"--std", c"c++20"], &[c"--std=c++17"]] {
            assert!(has(options, &["-std", "--std"]), "{options:?}");
        }
        assert!(!has(&[c"-stdpar", c"-DN=-std"], &["-std", "--std"]));
    }
}
