//! KN-15 on the host: the kernels of examples/tiled_matmul, compiled as C++, against a product in f64. The committed PTX is that of the source.

mod support {
    pub mod random;
    pub mod tools;
}

use std::ffi::{CString, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use support::random::Random;
use support::tools::{output, read, root};
use tenure::block_layout::BlockLayout;
use tenure::types::*;
use tenure_harness::{require, test};

fn main() -> std::process::ExitCode {
    tenure_harness::main()
}

const FOLDER: &str = "examples/tiled_matmul";

/// As in tenure_kernel.cuh.
#[repr(C)]
struct View {
    data: *mut c_void,
    shape: [i64; 2],
    strides: [i64; 2],
}

#[repr(C)]
struct HostBlock {
    size: usize,
    grid: [u32; 3],
    block: [u32; 3],
    index: [u32; 3],
    reserved: u32,
    memory: *mut c_void,
    memory_bytes: usize,
}

type HostKernel = unsafe extern "C" fn(*const HostBlock, *const *const c_void);

/// Memory of a block, aligned as that of a GPU.
#[repr(align(128))]
#[derive(Clone, Copy)]
struct Aligned {
    _bytes: [u8; 128],
}

/// One of the kernels.
#[derive(Clone, Copy)]
struct Kernel {
    call: HostKernel,
    /// The side of a tile, and of a block of threads.
    tile: u32,
    threads: u32,
    /// Where both tiles lie in the dynamic block memory.
    offsets: Option<[i64; 2]>,
    memory_bytes: usize,
}

impl Kernel {
    /// Runs all blocks on two threads at once.
    fn launch(&self, c: &View, a: &View, b: &View) {
        let grid = [c.shape[1], c.shape[0]].map(|n| (n as u32).div_ceil(self.tile));
        let offsets = self.offsets.unwrap_or_default();
        let mut arguments = vec![(&raw const *c).cast::<c_void>(), (&raw const *a).cast(), (&raw const *b).cast()];
        arguments.extend(offsets.iter().map(|offset| (&raw const *offset).cast::<c_void>()));
        let addresses: Vec<usize> = arguments.iter().map(|at| *at as usize).collect();
        let next = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let arguments: Vec<*const c_void> = addresses.iter().map(|at| *at as *const c_void).collect();
                    let mut memory = vec![Aligned { _bytes: [0xff; 128] }; self.memory_bytes.div_ceil(128)];
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        if at >= grid[0] * grid[1] {
                            break;
                        }
                        let block = HostBlock {
                            size: size_of::<HostBlock>(),
                            grid: [grid[0], grid[1], 1],
                            block: [self.threads, self.threads, 1],
                            index: [at % grid[0], at / grid[0], 0],
                            reserved: 0,
                            memory: memory.as_mut_ptr().cast(),
                            memory_bytes: self.memory_bytes,
                        };
                        // SAFETY: the arguments of the kernel, which outlive the scope.
                        unsafe { (self.call)(&block, arguments.as_ptr()) };
                    }
                });
            }
        });
    }
}

/// The kernels by their names, compiled with these options.
fn kernels(options: &[&str]) -> [Kernel; 3] {
    require(&["g++"]);
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tiled_matmul-{}.so", std::process::id()));
    let mut compile = Command::new("g++");
    compile.args(["-std=c++17", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-pedantic"]).args(options);
    compile.arg("-I").arg(root().join("include")).args(["-x", "c++"]);
    compile.arg(root().join(FOLDER).join("tiled_matmul.cu")).arg("-o").arg(&library);
    output(&mut compile).unwrap_or_else(|text| panic!("{text}"));
    let path = CString::new(library.as_os_str().as_bytes()).unwrap();
    // SAFETY: a library without constructors.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
    assert!(!handle.is_null());
    std::fs::remove_file(&library).unwrap();
    let find = |name: &str, tile, threads, dtype: Option<tn_dtype>| {
        let symbol = CString::new(format!("{name}_host")).unwrap();
        // SAFETY: the library stays open.
        let call = unsafe { libc::dlsym(handle, symbol.as_ptr()) };
        assert!(!call.is_null(), "{name}");
        // SAFETY: the type of a host kernel.
        let call = unsafe { std::mem::transmute::<*mut c_void, HostKernel>(call) };
        let count = i64::from(tile) * i64::from(tile);
        let items = dtype.map(|dtype| [tn_block_item { dtype, reserved: 0, count, align: 0 }; 2]);
        let layout = items.as_ref().map(|items| BlockLayout::of(items).unwrap());
        let offsets = layout.as_ref().map(|layout| {
            let mut offsets = layout.offsets();
            [offsets.next().unwrap(), offsets.next().unwrap()]
        });
        Kernel { call, tile, threads, offsets, memory_bytes: layout.map_or(0, |layout| layout.total() as usize) }
    };
    [
        find("matmul_static", 16, 16, None),
        find("matmul_dynamic", 16, 16, Some(TN_F32)),
        find("matmul_f64", 64, 32, Some(TN_F64)),
    ]
}

/// An element type of the kernels.
trait Number: Copy + PartialEq {
    const EPSILON: f64;
    fn of(value: f64) -> Self;
    fn to(self) -> f64;
}

impl Number for f32 {
    const EPSILON: f64 = f32::EPSILON as f64;
    fn of(value: f64) -> f32 {
        value as f32
    }
    fn to(self) -> f64 {
        self.into()
    }
}

impl Number for f64 {
    // The product that it is compared with has an error as large.
    const EPSILON: f64 = 2.0 * f64::EPSILON;
    fn of(value: f64) -> f64 {
        value
    }
    fn to(self) -> f64 {
        self
    }
}

/// A matrix somewhere in a larger buffer, with any strides.
struct Matrix<T> {
    values: Vec<T>,
    shape: [usize; 2],
    /// The index of element (0, 0), and steps in elements.
    first: usize,
    steps: [isize; 2],
}

impl<T: Number> Matrix<T> {
    fn new(random: &mut Random, shape: [usize; 2], first: usize, steps: [isize; 2]) -> Matrix<T> {
        let last = |axis: usize| (shape[axis] - 1) * steps[axis].max(0) as usize;
        let length = first + last(0) + last(1) + 1 + 5;
        let values = (0..length).map(|_| T::of(random.below_i64(2001) as f64 / 1000.0 - 1.0)).collect();
        Matrix { values, shape, first, steps }
    }

    fn dense(random: &mut Random, shape: [usize; 2]) -> Matrix<T> {
        Matrix::new(random, shape, 0, [shape[1] as isize, 1])
    }

    fn index(&self, i: usize, j: usize) -> usize {
        (self.first as isize + i as isize * self.steps[0] + j as isize * self.steps[1]) as usize
    }

    fn at(&self, i: usize, j: usize) -> f64 {
        self.values[self.index(i, j)].to()
    }

    fn view(&mut self) -> View {
        View {
            data: (&raw mut self.values[self.first]).cast(),
            shape: self.shape.map(|n| n as i64),
            strides: self.steps.map(|step| (step * size_of::<T>() as isize) as i64),
        }
    }
}

/// Compares a product with one in f64, element by element: A is row-major or in order F, B a strided slice, C a slice with gaps.
fn check<T: Number>(kernel: &Kernel, [m, k, n]: [usize; 3], order_f: bool, reversed: bool) {
    let mut random = Random::new((m * 31 + k * 7 + n) as u64);
    let random = &mut random;
    let mut a: Matrix<T> =
        if order_f { Matrix::new(random, [m, k], 0, [1, m as isize]) } else { Matrix::dense(random, [m, k]) };
    let row = 3 * n as isize + 2;
    let mut b: Matrix<T> = if reversed {
        Matrix::new(random, [k, n], (k - 1) * row as usize + 3 * (n - 1), [-row, -3])
    } else {
        Matrix::new(random, [k, n], 4, [row, 3])
    };
    let mut c: Matrix<T> = Matrix::new(random, [m, n], 7, [2 * n as isize + 3, 2]);
    let mut before = c.values.clone();
    kernel.launch(&c.view(), &a.view(), &b.view());
    for i in 0..m {
        for j in 0..n {
            let (mut exact, mut sizes) = (0.0, 0.0);
            for l in 0..k {
                let product = a.at(i, l) * b.at(l, j);
                exact += product;
                sizes += product.abs();
            }
            let (error, bound) = ((c.at(i, j) - exact).abs(), k as f64 * T::EPSILON * sizes);
            assert!(error <= bound, "({m}, {k}, {n}) at ({i}, {j}): {error} is above {bound}");
            before[c.index(i, j)] = c.values[c.index(i, j)];
        }
    }
    assert!(before == c.values, "({m}, {k}, {n}): a gap of C was written");
}

/// The largest size of the row takes seconds on the host, so it is smaller here.
const SIZES: [[usize; 3]; 5] = [[1, 1, 1], [16, 16, 16], [100, 70, 50], [17, 1, 33], [256, 250, 258]];

fn check_all(kernels: &[Kernel; 3], sizes: &[[usize; 3]]) {
    for size in sizes {
        for (order_f, reversed) in [(false, false), (true, false), (false, true)] {
            check::<f32>(&kernels[0], *size, order_f, reversed);
            check::<f32>(&kernels[1], *size, order_f, reversed);
            check::<f64>(&kernels[2], *size, order_f, reversed);
        }
    }
}

#[test]
fn kn_15_product_within_the_bound() {
    check_all(&kernels(&["-O2"]), &SIZES);
}

#[test]
fn kn_15_no_index_is_out_of_range() {
    check_all(&kernels(&["-O1", "-DTN_KERNEL_CHECK"]), &SIZES[..4]);
}

#[test]
fn kn_15_tiles_lie_where_the_layout_says() {
    let [on_stack, dynamic, wide] = kernels(&["-O1"]);
    assert_eq!((on_stack.offsets, on_stack.memory_bytes), (None, 0));
    assert_eq!((dynamic.offsets, dynamic.memory_bytes), (Some([0, 1024]), 2048));
    assert_eq!((wide.offsets, wide.memory_bytes), (Some([0, 32768]), 65536));
}

/// FNV-1a with 64 bits, as `cargo xtask ptx` computes it.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
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
        assert_eq!(list.matches(&format!("[{}]", size_of::<View>())).count(), 3, "{name}: the bytes of a view");
    }
    assert_eq!(ptx.matches(".extern .shared .align 128 .b8 tn_block_memory[]").count(), 1);
    assert!(
        ptx.contains(".target sm_70") && !ptx.contains(".local"),
        "for all GPUs from Volta on, without memory of threads"
    );
}
