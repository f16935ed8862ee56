//! The kernels of strided.cu, compiled as C++ and run on the host, against models that copy and fill element by
//! element: TR-2, TR-3, TR-6 and TR-16 without a device. The committed PTX is that of this source.

use crate::support;
use std::ffi::{CString, c_uint, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;
use support::strided_cases::*;
use support::tools::{hash, output, read, root};
use tenure::device_copy::kernels::launch::{self, KernelPlan, Launch, MAX_UNITS, Operation};
use tenure::device_copy::plan::Plan;
use tenure::dtype::Dtype;
use tenure::layout::Layout;
use tenure::types::*;
use tenure_harness::{require, test};

const SOURCE: &str = "src/device_copy/kernels/strided.cu";

type RunKernel = unsafe extern "C" fn(c_uint, c_uint, *const c_void, c_uint);

/// Compiles the kernels, and returns the function that runs one.
fn kernels() -> RunKernel {
    require(&["g++"]);
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kernels-{}.so", std::process::id()));
    let mut compile = Command::new("g++");
    compile.args(["-std=c++17", "-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"]);
    compile.args(["-Wno-unknown-pragmas", "-Wno-maybe-uninitialized"]);
    compile.arg(format!("-DSTRIDED_CU=\"{}\"", root().join(SOURCE).display()));
    compile.arg(root().join("tests/support/kernels.cpp")).arg("-o").arg(&library);
    output(&mut compile).unwrap_or_else(|text| panic!("{text}"));
    let path = CString::new(library.as_os_str().as_bytes()).unwrap();
    // SAFETY: a library with neither constructors nor destructors.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
    assert!(!handle.is_null());
    std::fs::remove_file(&library).unwrap();
    // SAFETY: the library stays open.
    let run = unsafe { libc::dlsym(handle, c"run_kernel".as_ptr()) };
    assert!(!run.is_null());
    // SAFETY: the type in kernels.cpp.
    unsafe { std::mem::transmute::<*mut c_void, RunKernel>(run) }
}

/// What a plan did.
#[derive(Default, PartialEq, Debug)]
struct Done {
    launches: u64,
    transposed: u64,
}

fn execute(run: RunKernel, kernels: &KernelPlan, max_units: u64, seed: u64) -> Done {
    let mut done = Done::default();
    kernels
        .each(max_units, |call| {
            assert!(call.launch.units > 0 && u64::from(call.launch.units) <= max_units && call.launch.n_axes > 0);
            done.launches += 1;
            done.transposed += u64::from(call.kernel.operation == Operation::Transpose);
            let parameter: *const Launch = call.launch;
            // SAFETY: both sides lie inside live vectors of the test.
            unsafe {
                run(call.kernel.index() as c_uint, call.blocks, parameter.cast(), (seed + done.launches) as c_uint)
            };
            Ok::<(), ()>(())
        })
        .unwrap();
    done
}

/// Launches are often cut into several.
fn draw_max_units(random: &mut Random) -> u64 {
    if random.one_in(3) { 16 + random.below_i64(300) as u64 } else { MAX_UNITS }
}

#[test]
fn tr_2_tr_3_tr_6_a_copy_makes_every_element_and_touches_no_gap() {
    let run = kernels();
    let (mut transposed, mut units) = (0, [0; 5]);
    for seed in 1..=3000u64 {
        let mut random = Random::new(seed * 0x9E37_79B9);
        let raw = DTYPES[random.below_i64(5) as usize];
        let item = Dtype::of(raw).unwrap().item();
        let mut shape = random_shape(&mut random);
        if random.one_in(4) {
            shape = [70, 45, 3].iter().map(|most| 1 + random.below_i64(*most)).collect();
        }
        let (to, from) = (random_target(&mut random, &shape, item), random_source(&mut random, &shape, item));
        let shift = |random: &mut Random| if random.one_in(2) { 16 } else { random.below_i64(17) };
        let (dst_at, gap) = (shift(&mut random), shift(&mut random));
        let src_at = dst_at + to.end + gap;
        let bytes = noise(&mut random, src_at + from.end);
        let dst = layout(raw, &shape, &to.strides, bytes.as_ptr(), dst_at + to.offset);
        let src = layout(raw, &shape, &from.strides, bytes.as_ptr(), src_at + from.offset);
        let pairs =
            (elements(&shape, &to.strides, dst_at + to.offset), elements(&shape, &from.strides, src_at + from.offset));
        let wanted = model(&bytes, item, &pairs.0, &pairs.1);
        let Some(plan) = Plan::copy(&dst, &src) else { continue };
        let kernels = KernelPlan::copy(&plan);
        assert_eq!(kernels.units() * kernels.kernel().unit_bytes, plan.bytes());
        units[kernels.kernel().unit_bytes.trailing_zeros() as usize] += 1;
        let max_units = draw_max_units(&mut random);
        let done = execute(run, &kernels, max_units, seed);
        transposed += done.transposed;
        assert!(bytes == wanted, "seed {seed}: {shape:?}: {:?} <- {:?}, {max_units}", to.strides, from.strides);
    }
    assert!(transposed > 50 && units.iter().all(|count| *count > 50), "{transposed} transposed, {units:?}");
}

#[test]
fn tr_3_tr_16_a_fill_sets_every_element_and_no_other_byte() {
    let run = kernels();
    for seed in 1..=3000u64 {
        let mut random = Random::new(seed * 0x2545_F491);
        let raw = DTYPES[random.below_i64(5) as usize];
        let item = Dtype::of(raw).unwrap().item();
        let shape = random_shape(&mut random);
        let to = random_target(&mut random, &shape, item);
        let shift = if random.one_in(2) { random.below_i64(17) } else { 0 };
        let bytes = noise(&mut random, to.end + shift);
        let value = noise(&mut random, item);
        let dst = layout(raw, &shape, &to.strides, bytes.as_ptr(), shift + to.offset);
        let mut wanted = bytes.clone();
        for at in elements(&shape, &to.strides, to.offset + shift) {
            wanted[at as usize..(at + item) as usize].copy_from_slice(&value);
        }
        let Some(plan) = Plan::copy(&dst, &dst) else { continue };
        execute(run, &KernelPlan::fill(&plan, &value), draw_max_units(&mut random), seed);
        assert!(bytes == wanted, "seed {seed}: {shape:?} {:?}, {value:?}, shifted by {shift}", to.strides);
    }
}

/// The kernels of a copy between two layouts of one shape, far apart.
fn planned(raw: u32, shape: &[i64], dst: &[i64], src: &[i64]) -> KernelPlan {
    let dtype = Dtype::of(raw).unwrap();
    let to = Layout::strided(dtype, shape, dst, 1 << 40).unwrap();
    let from = Layout::strided(dtype, shape, src, 1 << 50).unwrap();
    KernelPlan::copy(&Plan::copy(&to, &from).unwrap())
}

#[test]
fn tr_6_units_are_as_wide_as_the_alignment_allows() {
    let kernel = |raw, shape: &[i64], dst: &[i64], src: &[i64]| {
        let kernel = planned(raw, shape, dst, src).kernel();
        (kernel.operation, kernel.unit_bytes)
    };
    // Rows of 64, 24 and 6 bytes; single elements; a transposition, also of rows of two elements.
    assert_eq!(kernel(TN_F32, &[10, 16], &[128, 4], &[256, 4]), (Operation::Copy, 16));
    assert_eq!(kernel(TN_F32, &[10, 6], &[32, 4], &[40, 4]), (Operation::Copy, 8));
    assert_eq!(kernel(TN_U8, &[10, 6], &[8, 1], &[10, 1]), (Operation::Copy, 2));
    assert_eq!(kernel(TN_F64, &[10], &[8], &[16]), (Operation::Copy, 8));
    assert_eq!(kernel(TN_F32, &[8192, 8192], &[4 * 8192, 4], &[4, 4 * 8192]), (Operation::Transpose, 4));
    assert_eq!(kernel(TN_F32, &[64, 64, 2], &[512, 8, 4], &[8, 512, 4]), (Operation::Transpose, 8));
    assert_eq!(kernel(TN_F32, &[3, 3], &[12, 4], &[4, 12]), (Operation::Copy, 4));
}

#[test]
fn tr_6_large_copies_take_several_launches() {
    let launches = |plan: &KernelPlan| {
        let (mut calls, mut units) = (0, 0);
        plan.each(MAX_UNITS, |call| {
            calls += 1;
            units += u64::from(call.launch.units);
            Ok::<(), ()>(())
        })
        .unwrap();
        assert_eq!((plan.launches(), plan.units()), (calls, units));
        calls
    };
    assert_eq!(launches(&planned(TN_F32, &[8192, 8192], &[4 * 8192, 4], &[4, 4 * 8192])), 1);
    assert_eq!(launches(&planned(TN_U8, &[5 << 30], &[1], &[2])), 3);
    assert_eq!(launches(&planned(TN_U8, &[70_000, 70_000], &[70_000, 1], &[1, 70_000])), 3);
    assert_eq!(launches(&planned(TN_U8, &[3, (1 << 30) + 1], &[4 << 30, 2], &[4 << 30, 1])), 3);
    assert_eq!(launches(&planned(TN_U8, &[3, 3 << 30], &[8 << 30, 2], &[8 << 30, 1])), 6);
}

#[test]
fn the_ptx_of_the_tests_is_that_of_its_source() {
    let ptx = read("c-tests/launch_kernels.h");
    let source = format!("// source {:016x}", hash(&read("c-tests/launch_kernels.cu")));
    assert!(ptx.lines().take(3).any(|line| line == source), "launch_kernels.cu has changed: run `cargo xtask ptx`");
}

#[test]
fn the_ptx_is_that_of_its_source() {
    let ptx = read("src/device_copy/kernels/strided.ptx");
    let source = format!("// source {:016x}\n", hash(&read(SOURCE)));
    assert!(ptx.lines().take(3).any(|line| line == source.trim_end()), "strided.cu has changed: run `cargo xtask ptx`");
    for name in launch::NAMES {
        let entry = format!(".visible .entry {}(", name.to_str().unwrap());
        let parameter = ptx.split_once(&entry).unwrap_or_else(|| panic!("no {name:?}")).1;
        assert!(parameter.trim_start().starts_with(".param .align 8 .b8 "));
        assert!(parameter.split_once('[').unwrap().1.starts_with(&format!("{}]", size_of::<Launch>())), "{name:?}");
    }
    assert_eq!(ptx.matches(".entry ").count(), launch::NAMES.len());
    assert!(
        !ptx.contains(".local") && ptx.contains(".target sm_70"),
        "no memory of threads, for all GPUs from Volta on"
    );
}
