//! Products by the kernels of examples/tiled_matmul, compared with products in f64 element by element.
#![allow(dead_code)] // each test program uses a part

use super::random::Random;
use std::ffi::c_void;
use std::ptr::null_mut;
use tenure::ffi::{array, kernel, launch};
use tenure::types::*;

/// What a launch runs.
#[derive(Clone, Copy)]
pub enum Code {
    Host(tn_host_kernel),
    /// A CUfunction.
    Gpu(*mut c_void),
}

/// A kernel of tiled_matmul.cu, without its code.
pub struct Kernel {
    pub name: &'static str,
    pub dtype: tn_dtype,
    /// The side of a tile, and of a block of threads.
    tile: u32,
    threads: u32,
    /// Whether both tiles are in dynamic block memory.
    is_dynamic: bool,
}

pub const KERNELS: [Kernel; 3] = [
    Kernel { name: "matmul_static", dtype: TN_F32, tile: 16, threads: 16, is_dynamic: false },
    Kernel { name: "matmul_dynamic", dtype: TN_F32, tile: 16, threads: 16, is_dynamic: true },
    Kernel { name: "matmul_f64", dtype: TN_F64, tile: 64, threads: 32, is_dynamic: true },
];

impl Kernel {
    /// Where `tn_block_layout` places both tiles, and the bytes of block memory.
    pub fn tiles(&self) -> ([i64; 2], i64) {
        let count = i64::from(self.tile) * i64::from(self.tile);
        let items = [tn_block_item { dtype: self.dtype, reserved: 0, count, align: 0 }; 2];
        let (n_items, mut offsets, mut total) = (if self.is_dynamic { 2 } else { 0 }, [0; 2], 0);
        // SAFETY: arrays of that length.
        let status = unsafe { kernel::tn_block_layout(n_items, items.as_ptr(), offsets.as_mut_ptr(), &mut total) };
        assert_eq!(status, TN_OK);
        (offsets, total)
    }

    /// Launches it with arrays C, A and B, and waits for it.
    pub fn launch(&self, code: Code, arrays: [*mut tn_array; 3], [m, _, n]: [usize; 3]) {
        let (offsets, block_bytes) = self.tiles();
        let array = |at: usize| tn_arg {
            kind: TN_ARG_ARRAY,
            access: if at == 0 { TN_WRITE } else { TN_READ },
            ndim: 2,
            reserved: 0,
            what: arrays[at].cast(),
            bytes: 0,
        };
        let offset = |at: usize| tn_arg {
            kind: TN_ARG_VALUE,
            access: 0,
            ndim: 0,
            reserved: 0,
            what: (&raw const offsets[at]).cast(),
            bytes: 8,
        };
        let args = [array(0), array(1), array(2), offset(0), offset(1)];
        let (function, host_function) = match code {
            Code::Host(function) => (null_mut(), function),
            Code::Gpu(function) => (function, None),
        };
        let config = tn_launch_config {
            size: size_of::<tn_launch_config>(),
            function,
            grid: [(n as u32).div_ceil(self.tile), (m as u32).div_ceil(self.tile), 1],
            block: [self.threads, self.threads, 1],
            block_bytes,
            stream: null_mut(),
            host_function,
            flags: 0,
            cluster: [0; 3],
        };
        // SAFETY: the arguments of the kernel, which has returned when the call returns.
        let status = unsafe { launch::tn_launch(&config, if self.is_dynamic { 5 } else { 3 }, args.as_ptr()) };
        assert_eq!(status, TN_OK, "{}", last_error());
    }
}

pub fn last_error() -> String {
    // SAFETY: a text of the library.
    unsafe { std::ffi::CStr::from_ptr(tenure::ffi::library::tn_last_error()) }.to_string_lossy().into_owned()
}

/// A matrix somewhere in a larger buffer, with any strides.
pub struct Matrix {
    words: Vec<u64>,
    dtype: tn_dtype,
    shape: [usize; 2],
    /// Bytes from the start of the buffer to element (0, 0).
    pub first: usize,
    /// In bytes.
    pub strides: [i64; 2],
}

impl Matrix {
    /// Random numbers between -1 and 1 in the whole buffer. The first element and the steps count elements.
    fn new(random: &mut Random, dtype: tn_dtype, shape: [usize; 2], first: usize, steps: [isize; 2]) -> Matrix {
        let last = |axis: usize| (shape[axis] - 1) * steps[axis].max(0) as usize;
        let length = first + last(0) + last(1) + 1 + 5;
        let mut number = || random.below_i64(2001) as f64 / 1000.0 - 1.0;
        let single = |value: f64| u64::from((value as f32).to_bits());
        let words = match dtype {
            TN_F32 => (0..length.div_ceil(2)).map(|_| single(number()) | single(number()) << 32).collect(),
            _ => (0..length).map(|_| number().to_bits()).collect(),
        };
        let item = if dtype == TN_F32 { 4 } else { 8 };
        Matrix { words, dtype, shape, first: first * item, strides: steps.map(|step| step as i64 * item as i64) }
    }

    /// The whole buffer.
    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the bytes of the words; any bytes are words.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), 8 * self.words.len()) }
    }

    /// Bytes from the start of the buffer to an element.
    fn offset(&self, i: usize, j: usize) -> usize {
        (self.first as i64 + i as i64 * self.strides[0] + j as i64 * self.strides[1]) as usize
    }

    fn at(&self, i: usize, j: usize) -> f64 {
        let offset = self.offset(i, j);
        let word = self.words[offset / 8];
        match self.dtype {
            TN_F32 => f32::from_bits((word >> (8 * (offset % 8))) as u32).into(),
            _ => f64::from_bits(word),
        }
    }

    /// Takes an element of another matrix with this layout.
    fn take(&mut self, i: usize, j: usize, from: &Matrix) {
        let (at, mask) = (self.offset(i, j), if self.dtype == TN_F32 { u64::from(u32::MAX) } else { u64::MAX });
        let mask = mask << (8 * (at % 8));
        self.words[at / 8] = self.words[at / 8] & !mask | from.words[at / 8] & mask;
    }

    pub fn shape(&self) -> [i64; 2] {
        self.shape.map(|n| n as i64)
    }
}

/// Releases arrays.
pub fn release(arrays: [*mut tn_array; 3]) {
    arrays.into_iter().for_each(|handle| assert_eq!(array::tn_array_release(handle), TN_OK));
}

/// Compares products of A (m, k) and B (k, n) with one in f64: A is row-major or in order F, B a strided slice, also a
/// reversed one, C a slice with gaps. `multiply` writes the first matrix.
pub fn check(kernel: &Kernel, [m, k, n]: [usize; 3], mut multiply: impl FnMut([&mut Matrix; 3])) {
    // In f64 the product that it is compared with has an error as large.
    let epsilon = if kernel.dtype == TN_F32 { f64::from(f32::EPSILON) } else { 2.0 * f64::EPSILON };
    for (order_f, reversed) in [(false, false), (true, false), (false, true)] {
        let random = &mut Random::new((m * 31 + k * 7 + n) as u64);
        let steps = if order_f { [1, m as isize] } else { [k as isize, 1] };
        let mut a = Matrix::new(random, kernel.dtype, [m, k], 0, steps);
        let row = 3 * n as isize + 2;
        let (first, steps) = if reversed { ((k - 1) * row as usize + 3 * (n - 1), [-row, -3]) } else { (4, [row, 3]) };
        let mut b = Matrix::new(random, kernel.dtype, [k, n], first, steps);
        let mut c = Matrix::new(random, kernel.dtype, [m, n], 7, [2 * n as isize + 3, 2]);
        let mut expected = Matrix { words: c.words.clone(), ..c };
        multiply([&mut c, &mut a, &mut b]);
        for i in 0..m {
            for j in 0..n {
                let (mut exact, mut sizes) = (0.0, 0.0);
                for l in 0..k {
                    let product = a.at(i, l) * b.at(l, j);
                    exact += product;
                    sizes += product.abs();
                }
                let (error, bound) = ((c.at(i, j) - exact).abs(), k as f64 * epsilon * sizes);
                assert!(error <= bound, "{} ({m}, {k}, {n}) at ({i}, {j}): {error} > {bound}", kernel.name);
                expected.take(i, j, &c);
            }
        }
        assert!(expected.words == c.words, "{} ({m}, {k}, {n}): a gap of C was written", kernel.name);
    }
}
