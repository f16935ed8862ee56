//! `tn_module_compile`: which NVRTC is used, what it is asked for, and what the caller learns. A stand-in
//! (support/nvrtc.c) tells what it was asked for in its log. The last test runs NVIDIA's library, if `cargo xtask ptx`
//! has installed it.
//!
//! The loader reads LD_LIBRARY_PATH when a process starts, so each test runs in another one.

use crate::support;
use std::ffi::{CStr, CString, c_char, c_void};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr::{null, null_mut};
use support::cuda::{alone, last_error, path_without_driver, require_simulator};
use support::tools::{files, output, read, root};
use tenure::ffi::device::tn_device_count;
use tenure::ffi::module::{tn_module_compile, tn_module_function, tn_module_load, tn_module_release};
use tenure::ffi::report::tn_leaks;
use tenure::types::*;
use tenure_harness::{require, skip, test};

/// The names under which the library looks for NVRTC, in this order.
const NAMES: [&str; 6] =
    ["libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2", "libnvrtc.so.11.1", "libnvrtc.so.11.0"];

/// Set to the folder of the stand-ins, in the process that a test starts.
const FOLDER: &str = "TENURE_TEST_NVRTC";

/// A file in the folder: the stand-in with these macros, or None: no library.
type File<'a> = (&'a str, Option<&'a [&'a str]>);

/// Runs `body` in a process that finds these files first. The other names of NVRTC are files that are no libraries.
fn with_files(test: &str, driver: bool, of_nvrtc: &[File], body: impl FnOnce(&Path)) {
    if let Ok(folder) = std::env::var(FOLDER) {
        return body(Path::new(&folder));
    }
    let folder = std::env::temp_dir().join(format!("tenure-nvrtc-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for name in NAMES {
        std::fs::write(folder.join(name), "no library\n").unwrap();
    }
    for (name, macros) in of_nvrtc {
        match macros {
            Some(macros) => build(macros, &folder.join(name)),
            None => std::fs::write(folder.join(name), "").unwrap(),
        }
    }
    let before = if driver { std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default() } else { path_without_driver() };
    let path = std::env::join_paths(std::iter::once(folder.clone()).chain(std::env::split_paths(&before))).unwrap();
    let environment = [("LD_LIBRARY_PATH", path.to_str().unwrap()), (FOLDER, folder.to_str().unwrap())];
    alone(test, &environment, || unreachable!("the variable is set there"));
    std::fs::remove_dir_all(&folder).unwrap();
}

fn build(macros: &[&str], to: &Path) {
    require(&["gcc"]);
    let mut compile = Command::new("gcc");
    compile.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]);
    compile.arg(format!("-Wl,-soname,{}", to.file_name().unwrap().to_str().unwrap()));
    compile.args(macros.iter().map(|text| format!("-D{text}")));
    output(compile.arg(root().join("tests/support/nvrtc.c")).arg("-o").arg(to)).unwrap_or_else(|text| panic!("{text}"));
}

/// A compilation: the status, and the log.
struct Compiled {
    status: tn_status,
    log: String,
}

/// Compiles, and releases the module.
fn compile(source: &str, name: Option<&str>, arch: Option<&str>, options: &[&str]) -> Compiled {
    let text = |text: &str| CString::new(text).unwrap();
    let (source, name, arch) = (text(source), name.map(text), arch.map(text));
    let options: Vec<CString> = options.iter().map(|option| text(option)).collect();
    let pointers: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
    let (mut log, mut length) = (vec![b'?'; 8192], usize::MAX);
    let given = tn_module_options {
        size: size_of::<tn_module_options>(),
        name: name.as_ref().map_or(null(), |name| name.as_ptr()),
        arch: arch.as_ref().map_or(null(), |arch| arch.as_ptr()),
        options: pointers.as_ptr(),
        n_options: pointers.len(),
        log: log.as_mut_ptr().cast(),
        log_capacity: log.len(),
        log_length: &mut length,
    };
    let mut module = null_mut();
    // SAFETY: texts and lists of ours, and room for the log.
    let status = unsafe { tn_module_compile(source.as_ptr(), &given, &mut module) };
    assert_eq!(status == TN_OK, !module.is_null());
    if status == TN_OK {
        assert_eq!(tn_module_release(module), TN_OK);
    }
    let log = CStr::from_bytes_until_nul(&log).expect("the log ends with a NUL").to_str().unwrap().to_owned();
    assert_eq!(length, log.len());
    assert_eq!(programs(), 0, "a program is left in the compiler");
    Compiled { status, log }
}

/// The log of a compilation that succeeds.
fn compiled(source: &str, name: Option<&str>, arch: Option<&str>, options: &[&str]) -> String {
    let Compiled { status, log } = compile(source, name, arch, options);
    assert_eq!(status, TN_OK, "{}", last_error());
    log
}

/// The options in a log of the stand-in.
fn options_in(log: &str) -> Vec<&str> {
    log.lines().filter_map(|line| line.strip_prefix("option ")).collect()
}

/// The stand-in of this name, if it is loaded.
fn loaded(name: &str) -> *mut c_void {
    let name = CString::new(name).unwrap();
    // SAFETY: a text; nothing is loaded.
    unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_NOLOAD) }
}

/// How many programs exist in the stand-ins that are loaded.
fn programs() -> i32 {
    let in_one = |name: &&str| {
        let library = loaded(name);
        if library.is_null() {
            return 0;
        }
        // SAFETY: a library that stays open, and the number in it; NVIDIA's has none.
        unsafe { libc::dlsym(library, c"nvrtc_programs".as_ptr()).cast::<i32>().as_ref().map_or(0, |count| *count) }
    };
    NAMES.iter().map(in_one).sum()
}

#[test]
fn without_a_compiler_the_message_says_how_to_get_it() {
    with_files("without_a_compiler_the_message_says_how_to_get_it", false, &[], |folder| {
        let Compiled { status, log } = compile("void f() {}", None, None, &[]);
        assert_eq!((status, log.as_str()), (TN_ERR_UNSUPPORTED, ""));
        let text = last_error();
        assert!(text.contains("pip install nvidia-cuda-nvrtc-cu12") && text.contains("LD_LIBRARY_PATH"), "{text}");
        assert!(text.contains(folder.to_str().unwrap()), "what the loader says about a file that exists: {text}");
        // What is wrong with the arguments comes first.
        assert_eq!(compile("", None, Some("ampere"), &[]).status, TN_ERR_INVALID);
    });
}

#[test]
fn only_a_compilation_looks_for_the_compiler() {
    with_files("only_a_compilation_looks_for_the_compiler", false, &[("libnvrtc.so", Some(&[]))], |_| {
        let (mut module, mut function) = (null_mut(), null_mut());
        let image = ".version 8.0";
        // SAFETY: bytes, a text, and outputs of ours.
        unsafe {
            assert_eq!(tn_module_load(image.as_ptr().cast(), image.len(), null(), &mut module), TN_OK);
            let gpu = tn_device { r#type: TN_CUDA, id: 0 };
            assert_eq!(tn_module_function(module, c"f".as_ptr(), gpu, &mut function), TN_ERR_UNSUPPORTED);
        }
        assert_eq!(tn_module_release(module), TN_OK);
        assert!(loaded("libnvrtc.so").is_null());
        compiled("void f() {}", None, None, &[]);
        assert!(!loaded("libnvrtc.so").is_null());
    });
}

#[test]
fn the_compiler_gets_what_the_caller_says() {
    with_files("the_compiler_gets_what_the_caller_says", false, &[("libnvrtc.so.12", Some(&[]))], |_| {
        let log = compiled("void f() {}", None, None, &[]);
        assert!(log.starts_with("stand-in compiles module.cu\n"), "{log}");
        let header = format!("header tenure_kernel.cuh of {} bytes\n", read("include/tenure_kernel.cuh").len());
        assert!(log.contains(&header), "{log}");
        assert_eq!(options_in(&log), ["--std=c++17"]);
        let log = compiled("void f() {}", Some("scale"), Some("compute_80"), &["-DN=4", "--use_fast_math"]);
        assert!(log.starts_with("stand-in compiles scale\n"), "{log}");
        let expected = ["--std=c++17", "--gpu-architecture=compute_80", "-DN=4", "--use_fast_math"];
        assert_eq!(options_in(&log), expected);
        for standard in [&["-std=c++14"][..], &["--std=c++20"], &["-std", "c++14"]] {
            assert_eq!(options_in(&compiled("", None, None, standard)), standard);
        }
        assert_eq!(options_in(&compiled("", None, Some("sm_90a"), &[])), ["--std=c++17", "--gpu-architecture=sm_90a"]);
    });
}

/// Plain data of which zero is a value.
fn zero<T>() -> T {
    // SAFETY: used for C structs only.
    unsafe { std::mem::zeroed() }
}

/// The bytes of the only module that is open.
fn image_bytes() -> u64 {
    let (mut holders, mut count) = ([0; 4].map(|_| zero::<tn_holder>()), 0);
    // SAFETY: room for that many.
    assert_eq!(unsafe { tn_leaks(size_of::<tn_holder>(), 4, holders.as_mut_ptr(), &mut count) }, TN_OK);
    let modules: Vec<u64> =
        holders[..count].iter().filter(|h| h.kind == TN_HOLDER_MODULE).map(|holder| holder.bytes).collect();
    assert_eq!(modules.len(), 1);
    modules[0]
}

#[test]
fn a_real_architecture_makes_a_cubin_and_a_virtual_one_ptx() {
    let test = "a_real_architecture_makes_a_cubin_and_a_virtual_one_ptx";
    with_files(test, false, &[("libnvrtc.so.12", Some(&[]))], |_| {
        for (arch, bytes) in [(c"sm_80", 64 + 1), (c"compute_80", ".version 8.0\n.target sm_70\n\0".len() as u64)] {
            let mut options: tn_module_options = zero();
            (options.size, options.arch) = (size_of::<tn_module_options>(), arch.as_ptr());
            let mut module = null_mut();
            // SAFETY: texts, and an output of ours.
            assert_eq!(unsafe { tn_module_compile(c"".as_ptr(), &options, &mut module) }, TN_OK, "{}", last_error());
            assert_eq!(image_bytes(), bytes, "{arch:?}");
            assert_eq!(tn_module_release(module), TN_OK);
        }
    });
}

#[test]
fn failures_have_a_status_and_the_log() {
    with_files("failures_have_a_status_and_the_log", false, &[("libnvrtc.so", Some(&[]))], |_| {
        let Compiled { status, log } = compile("an error", Some("scale"), None, &[]);
        assert_eq!(status, TN_ERR_FAILED);
        assert!(log.contains("line 1: error"), "{log}");
        assert!(last_error().contains("cannot compile scale") && last_error().contains("compiles scale"));
        for (source, options, status, said) in [
            ("", &["--unknown"][..], TN_ERR_INVALID, "option --unknown"),
            ("exhausted", &[], TN_ERR_NO_HOST_MEMORY, "NVRTC_ERROR_OUT_OF_MEMORY"),
            ("no builtins", &[], TN_ERR_UNSUPPORTED, "NVRTC_ERROR_BUILTIN_OPERATION_FAILURE"),
            ("internal", &[], TN_ERR_FAILED, "NVRTC_ERROR_OTHER"),
            ("refused", &[], TN_ERR_FAILED, "nvrtcCreateProgram"),
            ("intermediate", &[], TN_ERR_INVALID, "link-time optimisation"),
        ] {
            let got = compile(source, None, None, options).status;
            assert_eq!(got, status, "{source} {options:?}: {}", last_error());
            assert!(last_error().contains(said), "{source} {options:?}: {}", last_error());
        }
        assert_eq!(compiled("quiet", None, None, &[]), "");
    });
}

#[test]
fn a_log_is_cut_to_its_buffer() {
    with_files("a_log_is_cut_to_its_buffer", false, &[("libnvrtc.so", Some(&[]))], |_| {
        let whole = compiled("", None, None, &[]);
        for capacity in [0, 1, 5, whole.len(), whole.len() + 1] {
            let (mut log, mut length, mut module) = (vec![b'?'; capacity + 1], 0, null_mut());
            let mut options: tn_module_options = zero();
            options.size = size_of::<tn_module_options>();
            (options.log, options.log_capacity) =
                (if capacity > 0 { log.as_mut_ptr().cast() } else { null_mut() }, capacity);
            options.log_length = &mut length;
            // SAFETY: a text, and room for the log.
            assert_eq!(unsafe { tn_module_compile(c"".as_ptr(), &options, &mut module) }, TN_OK, "{}", last_error());
            assert_eq!(tn_module_release(module), TN_OK);
            assert_eq!(length, whole.len());
            assert_eq!(log[capacity], b'?', "nothing is written behind the buffer");
            if capacity > 0 {
                let text = CStr::from_bytes_until_nul(&log).unwrap().to_str().unwrap();
                assert_eq!(text, &whole[..whole.len().min(capacity - 1)]);
            }
        }
    });
}

#[test]
fn a_library_without_a_function_is_passed_over() {
    let test = "a_library_without_a_function_is_passed_over";
    let good: &[&str] = &["VARIANT=\"good\"", "OLD"];
    with_files(test, false, &[("libnvrtc.so", Some(&["BROKEN"])), ("libnvrtc.so.11.2", Some(good))], |_| {
        assert!(compiled("", None, None, &[]).starts_with("good "));
        // An old one cannot make cubins; what it makes of "sm_" is PTX or an error.
        assert_eq!(compile("", None, Some("sm_80"), &[]).status, TN_ERR_INVALID);
    });
}

#[test]
fn the_message_names_the_function_that_is_missing() {
    let test = "the_message_names_the_function_that_is_missing";
    with_files(test, false, &[("libnvrtc.so.11.0", Some(&["BROKEN"]))], |_| {
        assert_eq!(compile("", None, None, &[]).status, TN_ERR_UNSUPPORTED);
        assert!(last_error().contains("libnvrtc.so.11.0 has no nvrtcGetPTX"), "{}", last_error());
    });
}

#[test]
fn a_library_that_is_loaded_comes_first() {
    let test = "a_library_that_is_loaded_comes_first";
    let (first, own): (&[&str], &[&str]) = (&["VARIANT=\"first\""], &["VARIANT=\"own\""]);
    with_files(test, false, &[("libnvrtc.so", Some(first)), ("libnvrtc.so.13", Some(own))], |folder| {
        let path = CString::new(folder.join("libnvrtc.so.13").to_str().unwrap()).unwrap();
        // SAFETY: a library without constructors.
        assert!(!unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) }.is_null());
        assert!(compiled("", None, None, &[]).starts_with("own "));
    });
}

/// The attributes of a device.
const MAJOR: i32 = 75;
const MINOR: i32 = 76;

#[test]
fn cuda_the_oldest_gpu_decides_the_ptx() {
    require_simulator();
    with_files("cuda_the_oldest_gpu_decides_the_ptx", true, &[("libnvrtc.so", Some(&[]))], |_| {
        let gpu = support::cuda::device();
        let sim = gpu.simulated();
        let set = |device, capability: i32| {
            sim.set_attribute(device, MAJOR, capability / 10);
            sim.set_attribute(device, MINOR, capability % 10);
        };
        let mut count = 0;
        // SAFETY: the number is ours.
        assert_eq!(unsafe { tn_device_count(TN_CUDA, &mut count) }, TN_OK);
        let count = count as i32;
        // Where all GPUs are alike, the driver compiles nothing, and need not be as new as NVRTC.
        for (capability, architecture) in [(90, "sm_90"), (86, "compute_80"), (50, "sm_50"), (120, "compute_90")] {
            (0..count).for_each(|device| set(device, capability));
            let expected = format!("--gpu-architecture={architecture}");
            assert_eq!(options_in(&compiled("", None, None, &[])), ["--std=c++17", &expected]);
        }
        assert!(count > 1, "two GPUs that differ");
        for (capability, newest) in [(90, 90), (86, 80), (72, 70), (50, 50), (120, 90)] {
            (0..count).for_each(|device| set(device, if device == count - 1 { capability } else { 121 }));
            let expected = format!("--gpu-architecture=compute_{newest}");
            assert_eq!(options_in(&compiled("", None, None, &[])), ["--std=c++17", &expected]);
        }
        assert_eq!(options_in(&compiled("", None, None, &["-arch=sm_80"])), ["--std=c++17", "-arch=sm_80"]);
        set(count - 1, 35);
        assert_eq!(compile("", None, None, &[]).status, TN_ERR_UNSUPPORTED);
        assert!(last_error().contains("3.5"), "{}", last_error());
        compiled("", None, Some("compute_80"), &[]);
    });
}

/// What a compiler that is newer than the driver makes can be loaded, where it makes code and no PTX.
#[test]
fn cuda_a_compiler_that_is_newer_than_the_driver() {
    require_simulator();
    let test = "cuda_a_compiler_that_is_newer_than_the_driver";
    with_files(test, true, &[("libnvrtc.so", Some(&["PTX=\"8.5\""]))], |_| {
        support::cuda::device().simulated().set("ptx", 84);
        let load = |arch: Option<&CStr>| {
            let (mut options, mut module, mut function): (tn_module_options, _, _) = (zero(), null_mut(), null_mut());
            (options.size, options.arch) = (size_of::<tn_module_options>(), arch.map_or(null(), CStr::as_ptr));
            let gpu = tn_device { r#type: TN_CUDA, id: 0 };
            // SAFETY: texts, and outputs of ours.
            let status = unsafe {
                assert_eq!(tn_module_compile(c"".as_ptr(), &options, &mut module), TN_OK, "{}", last_error());
                tn_module_function(module, c"f".as_ptr(), gpu, &mut function)
            };
            let said = last_error();
            assert_eq!(tn_module_release(module), TN_OK);
            (status, said)
        };
        let (status, said) = load(Some(c"compute_80"));
        assert!(status == TN_ERR_UNSUPPORTED && said.contains("newer than the driver"), "{said}");
        // It is loaded, and the simulator knows no such kernel.
        let (status, said) = load(None);
        assert!(status == TN_ERR_INVALID && said.contains("no kernel has the name"), "{said}");
    });
}

/// The folder of NVIDIA's library.
fn real() -> PathBuf {
    let found = files("target/venv-ptx/lib", "/libnvrtc.so.12");
    let path = found.first().unwrap_or_else(|| skip("NVRTC is not installed; cargo xtask ptx installs it"));
    root().join(path).parent().unwrap().to_owned()
}

#[test]
fn nvidias_library_compiles_kernels_of_the_header() {
    let test = "nvidias_library_compiles_kernels_of_the_header";
    let folder = real();
    alone(test, &[("LD_LIBRARY_PATH", folder.to_str().unwrap())], || {
        const SOURCE: &str = "#include <tenure_kernel.cuh>\n\
            extern \"C\" __global__ void scale(tn_view<double, 1> x, double factor)\n\
            {\n    if (threadIdx.x < x.shape[0])\n        x(threadIdx.x) *= factor * TILE;\n}\n";
        for arch in [None, Some("compute_70"), Some("sm_80")] {
            assert_eq!(compiled(SOURCE, Some("scale"), arch, &["-DTILE=16"]), "", "{arch:?}");
        }
        let Compiled { status, log } = compile(SOURCE, Some("scale"), None, &[]);
        assert_eq!(status, TN_ERR_FAILED);
        assert!(log.contains("scale(5): error") && log.contains("\"TILE\" is undefined"), "{log}");
        assert!(last_error().contains("\"TILE\" is undefined"), "{}", last_error());
        assert_eq!(compile(SOURCE, None, None, &["--no-such-option"]).status, TN_ERR_INVALID);
        assert!(last_error().contains("no-such-option"), "{}", last_error());
    });
}
