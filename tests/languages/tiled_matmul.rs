//! KN-15 on the host: the kernels of examples/tiled_matmul, compiled as C++ and launched by `tn_launch`. The example
//! itself, and its PTX.

use crate::support;
use std::ffi::{CString, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr::null_mut;
use support::matmul::{self, Code, KERNELS, Matrix, last_error};
use support::simulated::Library;
use support::tools::{compiler, hash, library, library_folder, output, read, root};
use support::{cuda, runner};
use tenure::ffi;
use tenure::types::*;
use tenure_harness::{require, test};

const FOLDER: &str = "examples/tiled_matmul";

/// A file of the tests.
fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tiled_matmul_{name}"))
}

/// The kernels for the host, compiled with these options.
fn compile_kernels(options: &[&str], to: &Path) {
    require(&["g++"]);
    let mut compile = compiler("c++17");
    compile.args(options).args(["-x", "c++"]).arg(root().join(FOLDER).join("tiled_matmul.cu")).arg("-o").arg(to);
    output(&mut compile).unwrap_or_else(|text| panic!("{text}"));
}

/// The program of the example, built as its README says.
fn example() -> PathBuf {
    require(&["gcc"]);
    let [kernels, main, program] =
        ["kernels.o", "main.o", "example"].map(|name| scratch(&format!("{}_{name}", std::process::id())));
    compile_kernels(&["-O2", "-c"], &kernels);
    let mut compile = compiler("c11");
    output(compile.args(["-O2", "-c"]).arg(root().join(FOLDER).join("tiled_matmul.c")).arg("-o").arg(&main)).unwrap();
    let mut link = compiler("c++17");
    link.args([&kernels, &main]).arg(library()).arg("-ldl").arg(format!("-Wl,-rpath,{}", library_folder().display()));
    output(link.arg("-o").arg(&program)).unwrap();
    for object in [kernels, main] {
        std::fs::remove_file(object).unwrap();
    }
    program
}

/// The functions of the kernels, in the order of [`KERNELS`].
fn kernels(options: &[&str]) -> [Code; 3] {
    let file = scratch(&format!("{}.so", std::process::id()));
    compile_kernels(&[options, &["-shared", "-fPIC"]].concat(), &file);
    let path = CString::new(file.as_os_str().as_bytes()).unwrap();
    // SAFETY: a library without constructors.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
    assert!(!handle.is_null());
    std::fs::remove_file(&file).unwrap();
    KERNELS.each_ref().map(|kernel| {
        let name = CString::new(format!("{}_host", kernel.name)).unwrap();
        // SAFETY: the library stays open.
        let function = unsafe { libc::dlsym(handle, name.as_ptr()) };
        assert!(!function.is_null(), "{name:?}");
        // SAFETY: the type that TN_HOST_KERNEL gives it.
        Code::Host(unsafe { std::mem::transmute::<*mut c_void, tn_host_kernel>(function) })
    })
}

/// An array on the matrix.
fn borrowed(matrix: &mut Matrix, dtype: tn_dtype) -> *mut tn_array {
    let (shape, mut out) = (matrix.shape(), null_mut());
    let layout = tn_layout {
        size: size_of::<tn_layout>(),
        dtype,
        ndim: 2,
        shape: shape.as_ptr(),
        strides: matrix.strides.as_ptr(),
        offset: matrix.first as i64,
    };
    let at = matrix.bytes().as_mut_ptr().cast();
    // SAFETY: the layout lies in the buffer, which outlives the array.
    let status = unsafe {
        ffi::array::tn_array_import_host(at, &layout, TN_REQUIRE_BORROW, None, null_mut(), &mut out, null_mut())
    };
    assert_eq!(status, TN_OK, "{}", last_error());
    out
}

fn check(codes: &[Code; 3], sizes: &[[usize; 3]]) {
    let runner = tn_runner {
        size: size_of::<tn_runner>(),
        run: Some(runner::on_threads),
        context: null_mut(),
        threads: 2,
        least_bytes: 0,
    };
    // SAFETY: a runner without a context.
    assert_eq!(unsafe { ffi::runner::tn_runner_set_current(&runner) }, TN_OK);
    for (kernel, code) in KERNELS.iter().zip(codes) {
        for sizes in sizes {
            matmul::check(kernel, *sizes, |all| {
                let arrays = all.map(|matrix| borrowed(matrix, kernel.dtype));
                kernel.launch(*code, arrays, *sizes);
                matmul::release(arrays);
            });
        }
    }
}

/// The largest size of the row takes seconds on the host, so it is smaller here. tests/gpu/cuda_kernel_header.rs has
/// it.
const SIZES: [[usize; 3]; 5] = [[1, 1, 1], [16, 16, 16], [100, 70, 50], [17, 1, 33], [130, 250, 140]];

#[test]
fn kn_15_products_on_the_host() {
    check(&kernels(&["-O2"]), &SIZES);
}

#[test]
fn kn_15_no_index_is_out_of_range() {
    check(&kernels(&["-O1", "-DTN_KERNEL_CHECK"]), &SIZES[..4]);
}

#[test]
fn kn_15_tiles_lie_where_the_layout_says() {
    let tiles = KERNELS.each_ref().map(|kernel| kernel.tiles());
    assert_eq!(tiles, [([0, 0], 0), ([0, 1024], 2048), ([0, 32768], 65536)]);
}

#[test]
fn the_example_prints_what_it_says() {
    let program = example();
    let mut run = Command::new(&program);
    run.current_dir(root().join(FOLDER)).env("LD_LIBRARY_PATH", cuda::path_without_driver());
    let source = read(format!("{FOLDER}/tiled_matmul.c"));
    let (_, said) = source.rsplit_once("/* It prints:\n").expect("it ends with what it prints");
    assert_eq!(output(&mut run).unwrap().trim(), said.trim_end().trim_end_matches("*/").trim());
    std::fs::remove_file(program).unwrap();
}

/// With a GPU, or the simulated driver, the example uses it.
#[test]
fn kn_15_the_example_on_cuda() {
    let device = cuda::device();
    let (program, kernels) = (example(), device.sim.map(|_| Library::compile()));
    let mut run = Command::new(&program);
    if let Some(kernels) = &kernels {
        run.env("LD_PRELOAD", kernels.path());
    }
    let printed = output(run.current_dir(root().join(FOLDER))).unwrap();
    let expected: String = KERNELS.iter().map(|kernel| format!("{} on a GPU: right\n", kernel.name)).collect();
    assert_eq!(printed, expected);
    std::fs::remove_file(program).unwrap();
}

#[test]
fn the_ptx_is_that_of_its_source() {
    let ptx = read(format!("{FOLDER}/tiled_matmul.ptx"));
    let text = read(format!("{FOLDER}/tiled_matmul.cu")) + &read("include/tenure_kernel.cuh");
    let source = format!("// source {:016x}", hash(&text));
    assert!(
        ptx.lines().take(3).any(|line| line == source),
        "tiled_matmul.cu or tenure_kernel.cuh has changed: run `cargo xtask ptx`"
    );
    assert_eq!(ptx.matches(".visible .entry ").count(), 3);
    for (name, parameters) in [("matmul_static", 3), ("matmul_dynamic", 5), ("matmul_f64", 5)] {
        let (_, rest) = ptx.split_once(&format!(".visible .entry {name}(")).unwrap_or_else(|| panic!("no {name}"));
        let (list, _) = rest.split_once(')').unwrap();
        assert_eq!(list.matches(".param").count(), parameters, "{name}");
        assert_eq!(list.matches(".param .align 8 .b8").count(), 3, "{name}: three views");
        assert_eq!(list.matches("[40]").count(), 3, "{name}: the bytes of a view with two axes");
    }
    assert_eq!(ptx.matches(".extern .shared .align 128 .b8 tn_block_memory[]").count(), 1);
    assert!(
        ptx.contains(".target sm_70") && !ptx.contains(".local"),
        "for all GPUs from Volta on, without memory of threads"
    );
}
