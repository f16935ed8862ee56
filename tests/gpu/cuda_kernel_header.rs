//! Kernels that include tenure_kernel.cuh, launched on a device: KN-3, KN-4, KN-5, KN-6 with tests/kernels, and KN-15
//! with examples/tiled_matmul. A GPU runs the committed PTX. On the simulated driver, the kernels are those that g++
//! compiles for the host.

use crate::driver_call;
use crate::support;
use std::ffi::{CString, c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::ptr::null_mut;
use support::cuda::{Device, Memory, device, with_context};
use support::matmul::{self, Code, KERNELS, Matrix, last_error};
use support::simulated::Library;
use tenure::ffi;
use tenure::types::*;
use tenure_harness::{skip, test};

const KERNELS_PTX: &str = include_str!("../kernels/kernels.ptx");
const MATMUL_PTX: &str = include_str!("../../examples/tiled_matmul/tiled_matmul.ptx");

/// The kernels of a PTX.
struct Module {
    device: Device,
    module: *mut c_void,
}

impl Module {
    fn load(ptx: &str) -> Module {
        let device = device();
        if device.sim.is_some() {
            register();
        }
        let (image, mut module) = (CString::new(ptx).unwrap(), null_mut());
        let load = || driver_call!(cuModuleLoadData(&mut module => *mut *mut c_void, image.as_ptr() => *const c_char));
        assert_eq!(with_context(0, load), 0);
        Module { device, module }
    }

    fn function(&self, name: &str) -> Code {
        let (name, mut function) = (CString::new(name).unwrap(), null_mut());
        let code = with_context(
            0,
            || driver_call!(cuModuleGetFunction(&mut function => *mut *mut c_void, self.module => *mut c_void, name.as_ptr() => *const c_char)),
        );
        if code == 500 && self.device.sim.is_none() {
            skip(format!("this driver does not compile PTX: it has no {name:?}"));
        }
        assert_eq!(code, 0, "{name:?}");
        Code::Gpu(function)
    }
}

/// Gives the simulated driver the kernels, which run on the host.
fn register() {
    let library = Library::compile();
    let path = CString::new(library.path().as_os_str().as_bytes()).unwrap();
    // SAFETY: a library whose constructor registers the kernels; it stays open.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
    assert!(!handle.is_null());
}

/// Memory of the GPU with these bytes.
fn upload(bytes: &[u8]) -> Memory {
    let memory = Memory::new(0, bytes.len());
    let copy = || driver_call!(cuMemcpyHtoD_v2(memory.at => u64, bytes.as_ptr() => *const u8, bytes.len() => usize));
    assert_eq!(with_context(0, copy), 0);
    memory
}

/// An array on memory of the GPU.
fn borrowed(data: u64, typestr: &str, shape: &[i64], strides: &[i64]) -> *mut tn_array {
    let mut out = null_mut();
    let mut letters = [0; 8];
    typestr.bytes().zip(&mut letters).for_each(|(byte, letter)| *letter = byte as c_char);
    let interface = tn_cuda_array_interface {
        size: size_of::<tn_cuda_array_interface>(),
        data,
        shape: shape.as_ptr(),
        strides: strides.as_ptr(),
        ndim: shape.len() as i32,
        readonly: 0,
        c_contiguous: 0,
        version: 3,
        typestr: letters,
        stream: 0,
        has_stream: 0,
        reserved: 0,
    };
    // SAFETY: the memory outlives the array.
    let status = unsafe {
        ffi::exchange::tn_array_import_cuda_array_interface(
            &interface,
            TN_REQUIRE_BORROW,
            None,
            null_mut(),
            &mut out,
            null_mut(),
        )
    };
    assert_eq!(status, TN_OK, "{}", last_error());
    out
}

/// What a kernel of kernels.cu makes of an array, its first argument, with numbers behind it. The grid and the block
/// have one axis.
struct Launch<'a> {
    name: &'a str,
    shape: &'a [i64],
    numbers: &'a [i64],
    blocks: u32,
    threads: u32,
    block_bytes: i64,
}

impl Launch<'_> {
    /// The elements afterwards. `E` is an integer of 4 bytes, or an f64.
    fn of<E: Copy>(&self, module: &Module, typestr: &str, before: &[E]) -> Vec<E> {
        let Code::Gpu(function) = module.function(self.name) else { unreachable!("of a module") };
        // SAFETY: numbers are bytes.
        let bytes = unsafe { std::slice::from_raw_parts(before.as_ptr().cast::<u8>(), size_of_val(before)) };
        let memory = upload(bytes);
        let mut strides = vec![size_of::<E>() as i64; self.shape.len()];
        for axis in (1..self.shape.len()).rev() {
            strides[axis - 1] = strides[axis] * self.shape[axis];
        }
        let array = borrowed(memory.at, typestr, self.shape, &strides);
        let number = |number: &i64| tn_arg {
            kind: TN_ARG_VALUE,
            access: 0,
            ndim: 0,
            reserved: 0,
            what: (&raw const *number).cast(),
            bytes: 8,
        };
        let mut args = vec![tn_arg {
            kind: TN_ARG_ARRAY,
            access: TN_READ_WRITE,
            ndim: self.shape.len() as i32,
            reserved: 0,
            what: array.cast(),
            bytes: 0,
        }];
        args.extend(self.numbers.iter().map(number));
        let config = tn_launch_config {
            size: size_of::<tn_launch_config>(),
            function,
            grid: [self.blocks, 1, 1],
            block: [self.threads, 1, 1],
            block_bytes: self.block_bytes,
            stream: null_mut(),
            host_function: None,
            flags: 0,
            cluster: [0; 3],
        };
        // SAFETY: the arguments of the kernel, which has returned when the call returns.
        let status = unsafe { ffi::launch::tn_launch(&config, args.len(), args.as_ptr()) };
        assert_eq!(status, TN_OK, "{}: {}", self.name, last_error());
        assert_eq!(ffi::array::tn_array_release(array), TN_OK);
        let after = memory.read(0);
        // SAFETY: the bytes of a number.
        let number = |bytes: &[u8]| unsafe { bytes.as_ptr().cast::<E>().read_unaligned() };
        after.chunks_exact(size_of::<E>()).map(number).collect()
    }
}

/// A launch of one block.
fn one_block<'a>(name: &'a str, shape: &'a [i64], numbers: &'a [i64], threads: u32, block_bytes: i64) -> Launch<'a> {
    Launch { name, shape, numbers, blocks: 1, threads, block_bytes }
}

#[test]
fn kn_3_to_6_kernels_on_a_device() {
    let module = Module::load(KERNELS_PTX);
    one_memory_for_all_types(&module);
    block_arrays_and_thread_arrays(&module);
    ranges_of_a_block_array(&module);
    views_of_launches(&module);
}

/// KN-3.
fn one_memory_for_all_types(module: &Module) {
    for doubles in [256, 512] {
        let seen = one_block("two_types", &[32], &[0, doubles], 32, doubles + 256).of(module, "<f8", &[0f64; 32]);
        assert_eq!(seen, Vec::from_iter((0..32).map(|i| 1000.0 + 1.5 * f64::from((i + 1) % 32))));
    }
    for offset in [0, 64] {
        assert_eq!(one_block("alias", &[2], &[offset], 1, 128).of(module, "<u4", &[7u32; 2]), [0x3f80_0000, 0]);
    }
}

/// KN-4.
fn block_arrays_and_thread_arrays(module: &Module) {
    assert_eq!(one_block("all_types", &[32], &[], 32, 128 + 32 * 16).of(module, "<i4", &[-1i32; 32]), [0; 32]);
    assert_eq!(one_block("one_sum", &[64], &[], 64, 0).of(module, "<i4", &[-1i32; 64]), [65; 64]);
    let sums = Launch { name: "sums", shape: &[16, 64], numbers: &[], blocks: 16, threads: 64, block_bytes: 0 };
    let expected = (0..16).flat_map(|block| (0..64).map(move |i| (63 * 64 + 64 * block) * 100 + 63 - i));
    assert_eq!(sums.of(module, "<i4", &[-1i32; 16 * 64]), Vec::from_iter(expected));
}

/// KN-5.
fn ranges_of_a_block_array(module: &Module) {
    for (range, expected) in [
        ([4, -2, 3], [3, 99, 2, 99, 1, 99]),
        ([1, 2, 3], [99, 1, 99, 2, 99, 3]),
        ([5, -1, 6], [6, 5, 4, 3, 2, 1]),
        ([2, 1, 2], [99, 99, 1, 2, 99, 99]),
    ] {
        for threads in [1, 2, 32] {
            let seen = one_block("write_range", &[6], &range, threads, 24).of(module, "<i4", &[-1i32; 6]);
            assert_eq!(seen, expected, "{range:?}, {threads} threads");
        }
    }
    for by in [1, 3, 15] {
        let before = Vec::from_iter(0i32..16);
        let seen = one_block("shift", &[16], &[by], 16, 64).of(module, "<i4", &before);
        assert_eq!(seen, Vec::from_iter((0..16).map(|i| if i < by as i32 { i } else { i - by as i32 })));
    }
}

/// KN-6, also with arrays without axes.
fn views_of_launches(module: &Module) {
    let (to, from) =
        (upload(&[0xff; 8 * 24]), upload(&(0..24).flat_map(|i| (100.0 * i as f32).to_le_bytes()).collect::<Vec<u8>>()));
    let run = |name: &str, [to, from]: [*mut tn_array; 2], ndim: i32| {
        let Code::Gpu(function) = module.function(name) else { unreachable!("of a module") };
        let arg = |array: *mut tn_array, access| tn_arg {
            kind: TN_ARG_ARRAY,
            access,
            ndim,
            reserved: 0,
            what: array.cast(),
            bytes: 0,
        };
        let args = [arg(to, TN_WRITE), arg(from, TN_READ)];
        let config = tn_launch_config {
            size: size_of::<tn_launch_config>(),
            function,
            grid: [1; 3],
            block: [5, 1, 1],
            block_bytes: 0,
            stream: null_mut(),
            host_function: None,
            flags: 0,
            cluster: [0; 3],
        };
        // SAFETY: the arguments of the kernel, which has returned when the call returns.
        assert_eq!(unsafe { ffi::launch::tn_launch(&config, 2, args.as_ptr()) }, TN_OK, "{}", last_error());
        [to, from].into_iter().for_each(|array| assert_eq!(ffi::array::tn_array_release(array), TN_OK));
    };
    let turned = borrowed(from.at + 4, "<f4", &[2, 3, 4], &[-4, 8, 24]);
    run("add_index_3", [borrowed(to.at, "<f4", &[2, 3, 4], &[48, 16, 4]), turned], 3);
    let seen =
        Vec::from_iter(to.read(0).chunks_exact(4).take(24).map(|four| f32::from_le_bytes(four.try_into().unwrap())));
    assert_eq!(
        seen,
        Vec::from_iter((0..24).map(|i| 100.0 * (1 - i / 12 + i / 4 % 3 * 2 + i % 4 * 6) as f32 + i as f32))
    );
    let number = upload(&5f64.to_le_bytes());
    run("add_index_0", [borrowed(to.at, "<f8", &[], &[]), borrowed(number.at, "<f8", &[], &[])], 0);
    assert_eq!(to.read(0)[..8], 5f64.to_le_bytes());
}

/// The sizes of the row; without the largest on the simulator, where it takes a minute.
#[test]
fn kn_15_products_on_a_device() {
    let module = Module::load(MATMUL_PTX);
    let sizes = [[1, 1, 1], [16, 16, 16], [100, 70, 50], [1024, 1000, 1032]];
    let sizes = if module.device.sim.is_some() { &sizes[..3] } else { &sizes[..] };
    for kernel in &KERNELS {
        let code = module.function(kernel.name);
        let typestr = if kernel.dtype == TN_F32 { "<f4" } else { "<f8" };
        for sizes in sizes {
            matmul::check(kernel, *sizes, |mut all: [&mut Matrix; 3]| {
                let memory = all.each_mut().map(|matrix| upload(matrix.bytes()));
                let arrays = [0, 1, 2].map(|at| {
                    let matrix = &all[at];
                    borrowed(memory[at].at + matrix.first as u64, typestr, &matrix.shape(), &matrix.strides)
                });
                kernel.launch(code, arrays, *sizes);
                matmul::release(arrays);
                all[0].bytes().copy_from_slice(&memory[0].read(0));
            });
        }
    }
}
