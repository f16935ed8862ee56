//! The option `expr.blas` (EX-50 to EX-53): which library computes a product, and what OpenBLAS is called with. A
//! stand-in (support/openblas.c) tells its calls. The last test runs the system's library, if it is installed.
//!
//! Each test is a process of its own. The loader reads LD_LIBRARY_PATH when a process starts, so some start another
//! one.

use crate::out;
use crate::support;
use std::ffi::{CStr, CString, c_char, c_void};
use std::path::{Path, PathBuf};
use std::process::Command;
use support::expr::*;
use support::tools::{output, root};
use tenure::ffi::{expr::*, library::*, view::*};
use tenure::types::*;
use tenure_harness::{require, skip, test};

fn set(value: &CStr) -> tn_status {
    // SAFETY: two texts.
    unsafe { tn_option_set(c"expr.blas".as_ptr(), value.as_ptr()) }
}

fn value() -> String {
    let (mut text, mut length) = ([0u8; 16], 0);
    // SAFETY: a text, and room for another.
    ok(unsafe { tn_option_get(c"expr.blas".as_ptr(), text.len(), text.as_mut_ptr().cast(), &mut length) });
    String::from_utf8(text[..length].to_vec()).unwrap()
}

/// A folder of this process for libraries.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let folder = std::env::temp_dir().join(format!("tenure-openblas-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    /// Builds the stand-in with these macros.
    fn build(&self, name: &str, macros: &[&str]) -> PathBuf {
        require(&["gcc"]);
        let to = self.0.join(name);
        let mut compile = Command::new("gcc");
        compile.args(["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]);
        compile.args(macros.iter().map(|text| format!("-D{text}")));
        compile.arg(root().join("tests/support/openblas.c")).arg("-o").arg(&to);
        output(&mut compile).unwrap_or_else(|text| panic!("{text}"));
        to
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A loaded stand-in.
struct Loaded(*mut c_void);

impl Loaded {
    fn load(path: &Path) -> Loaded {
        Loaded::open(path, libc::RTLD_NOW)
    }

    fn open(path: &Path, flags: i32) -> Loaded {
        let path = CString::new(path.to_str().unwrap()).unwrap();
        // SAFETY: a text; the library is ours.
        let handle = unsafe { libc::dlopen(path.as_ptr(), flags) };
        assert!(!handle.is_null(), "{path:?}");
        Loaded(handle)
    }

    /// The calls so far, one on each line.
    fn calls(&self) -> String {
        // SAFETY: the library is loaded, and the function has this type.
        unsafe {
            let calls = libc::dlsym(self.0, c"test_calls".as_ptr());
            let calls = std::mem::transmute::<*mut c_void, extern "C" fn() -> *const c_char>(calls);
            CStr::from_ptr(calls()).to_str().unwrap().to_owned()
        }
    }
}

/// A layout of a matrix: contiguous in one of the orders, the transpose of such, columns or rows of a larger matrix, or
/// every other element.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Lie {
    C,
    F,
    Turned,
    Columns,
    Rows,
    Strided,
    Reversed,
}

const LIES: [Lie; 7] = [Lie::C, Lie::F, Lie::Turned, Lie::Columns, Lie::Rows, Lie::Strided, Lie::Reversed];

fn part(array: Array, specs: [(i64, i64, i64); 2]) -> Array {
    let specs = specs.map(|(start, stop, step)| tn_slice_spec { start, stop, step, reserved: [0; 4] });
    let view: Array = out!(tn_array_slice(array, 2, specs.as_ptr()));
    drop_array(array);
    view
}

/// A matrix with these values (in C order) in that layout.
fn lying(pool: *mut tn_pool, lie: Lie, [rows, columns]: [i64; 2], values: &[f64]) -> Array {
    let zeros = |shape: [i64; 2], order: u32| array(pool, &shape, order, &vec![0.0; (shape[0] * shape[1]) as usize]);
    let matrix = match lie {
        Lie::C => zeros([rows, columns], TN_ORDER_C),
        Lie::F => zeros([rows, columns], TN_ORDER_F),
        Lie::Turned => {
            let matrix = zeros([columns, rows], TN_ORDER_C);
            let turned: Array = out!(tn_array_transpose(matrix));
            drop_array(matrix);
            turned
        }
        Lie::Columns => part(zeros([rows, columns + 3], TN_ORDER_C), [(0, rows, 1), (1, columns + 1, 1)]),
        Lie::Rows => part(zeros([2 * rows, columns], TN_ORDER_F), [(0, rows, 1), (0, columns, 1)]),
        Lie::Strided => part(zeros([2 * rows, 2 * columns], TN_ORDER_C), [(0, 2 * rows, 2), (0, 2 * columns, 2)]),
        Lie::Reversed => part(zeros([rows, columns], TN_ORDER_C), [(-1, TN_NONE, -1), (0, columns, 1)]),
    };
    write(matrix, values);
    matrix
}

fn product(x: Array, y: Array) -> Array {
    let (a, b) = (leaf(x), leaf(y));
    let product: Expr = out!(tn_expr_multiply(a, b));
    drop_expr(a);
    drop_expr(b);
    finish(product)
}

/// Whether an explanation says that OpenBLAS would compute the product.
fn is_explained(x: Array, y: Array) -> bool {
    let (a, b) = (leaf(x), leaf(y));
    let product: Expr = out!(tn_expr_multiply(a, b));
    let (mut text, mut length) = ([0u8; 1000], 0);
    // SAFETY: room for a text.
    ok(unsafe { tn_expr_explain(product, TN_EXPLAIN_TEXT, text.len(), text.as_mut_ptr().cast(), &mut length) });
    [a, b, product].into_iter().for_each(drop_expr);
    let text = String::from_utf8(text[..length].to_vec()).unwrap();
    assert!(text.contains("a new array"), "{text}");
    text.contains("a new array, by OpenBLAS")
}

/// Two matrices whose product `auto` calls large.
fn large(pool: *mut tn_pool) -> [Array; 2] {
    let side = 1024;
    [(); 2].map(|()| array(pool, &[side, side], TN_ORDER_C, &vec![1.0; (side * side) as usize]))
}

/// Products of all layouts, by faer and by the library that `openblas` finds.
fn compare_all_layouts() {
    let pool = pool();
    for [rows, inner, columns] in [[2, 1, 2], [3, 5, 7], [17, 33, 65], [130, 31, 64]] {
        let left = Numbers::new(1).vector((rows * inner) as usize);
        let right = Numbers::new(2).vector((inner * columns) as usize);
        for left_lie in LIES {
            for right_lie in LIES {
                let x = lying(pool, left_lie, [rows, inner], &left);
                let y = lying(pool, right_lie, [inner, columns], &right);
                ok(set(c"faer"));
                let expected = product(x, y);
                ok(set(c"openblas"));
                let found = product(x, y);
                println!("{rows} {inner} {columns} {left_lie:?} {right_lie:?}");
                assert_near(&read(found), &read(expected));
                [x, y, expected, found].into_iter().for_each(drop_array);
            }
        }
    }
    let numbers: Vec<f32> = (0..35).map(|at| at as f32).collect();
    let (x, y) = (array_f32(pool, &[5, 7], &numbers), array_f32(pool, &[7, 5], &numbers));
    ok(set(c"faer"));
    let expected = product(x, y);
    ok(set(c"openblas"));
    assert_eq!(read_f32(product(x, y)), read_f32(expected));
}

#[test]
fn ex_50_large_products_go_to_a_library_that_is_loaded() {
    let (pool, folder) = (pool(), Folder::new());
    let [x, y] = large(pool);
    assert_eq!(value(), "auto");
    assert!(!is_explained(x, y), "nothing is loaded");
    let before = product(x, y);
    assert_eq!(read(before)[0], 1024.0);
    // A library without threads is passed over, and one of the search's names that is no OpenBLAS.
    Loaded::load(&folder.build("libopenblas-serial.so", &["PARALLEL=0"]));
    Loaded::load(&folder.build("libopenblas-other.so", &["PREFIX=no_"]));
    assert!(!is_explained(x, y));
    let library = Loaded::load(&folder.build("libopenblas-test.so", &[]));
    assert!(is_explained(x, y), "it was loaded after the last search");
    let found = product(x, y);
    assert_eq!((read(found)[0], read(found)[(1 << 20) - 1]), (42.0, 42.0));
    assert_eq!(library.calls(), "cblas_dgemm 101 111 111 1024 1024 1024 1 1024 1024 0 1024\n");
    // A smaller one is faer's, and so is each with that value.
    let small = part(clone(x), [(0, 1023, 1), (0, 1024, 1)]);
    assert!(!is_explained(small, y));
    assert_eq!(read(product(small, y))[0], 1024.0);
    let narrow: [Array; 2] =
        [[4096, 127], [127, 4096]].map(|shape| array(pool, &shape, TN_ORDER_C, &vec![1.0; 127 << 12]));
    assert!(!is_explained(narrow[0], narrow[1]));
    ok(set(c"faer"));
    assert!(!is_explained(x, y));
    assert_eq!(read(product(x, y))[0], 1024.0);
    assert_eq!(library.calls().lines().count(), 1);
}

#[test]
fn ex_51_layouts_become_orders_and_transposes() {
    let (pool, folder) = (pool(), Folder::new());
    let library = Loaded::load(&folder.build("libopenblas-test.so", &[]));
    ok(set(c"openblas"));
    let mut values = Numbers::new(3);
    let mut call = |left: Lie, right: Lie| {
        let x = lying(pool, left, [3, 5], &values.vector(15));
        let y = lying(pool, right, [5, 7], &values.vector(35));
        let before = library.calls();
        let explained = is_explained(x, y);
        drop_array(product(x, y));
        let calls = library.calls()[before.len()..].trim_end().to_owned();
        assert_eq!(explained, !calls.is_empty(), "{left:?} {right:?}");
        calls
    };
    for (left, right, expected) in [
        (Lie::C, Lie::C, "101 111 111 3 7 5 1 5 7 0 7"),
        (Lie::C, Lie::F, "101 111 112 3 7 5 1 5 5 0 7"),
        (Lie::F, Lie::F, "102 111 111 3 7 5 1 3 5 0 3"),
        (Lie::F, Lie::C, "102 111 112 3 7 5 1 3 7 0 3"),
        (Lie::Columns, Lie::Columns, "101 111 111 3 7 5 1 8 10 0 7"),
        (Lie::C, Lie::Rows, "101 111 112 3 7 5 1 5 10 0 7"),
    ] {
        assert_eq!(call(left, right), format!("cblas_dgemm {expected}"), "{left:?} {right:?}");
    }
    for refused in [Lie::Strided, Lie::Reversed] {
        assert_eq!((call(refused, Lie::C), call(Lie::C, refused)), (String::new(), String::new()), "{refused:?}");
    }
    // Rows that are all one row have no distance.
    let row = array(pool, &[1, 5], TN_ORDER_C, &values.vector(5));
    let same: Array = out!(tn_array_broadcast(row, 2, [3i64, 5].as_ptr()));
    let y = lying(pool, Lie::C, [5, 7], &values.vector(35));
    let before = library.calls();
    drop_array(product(same, y));
    // Vectors are faer's.
    let vector = array(pool, &[5], TN_ORDER_C, &values.vector(5));
    drop_array(product(same, vector));
    drop_array(product(row, y));
    assert_eq!(library.calls(), before);
}

#[test]
fn ex_51_all_layouts_give_the_values_of_faer() {
    let folder = Folder::new();
    let library = Loaded::load(&folder.build("libopenblas-test.so", &[]));
    compare_all_layouts();
    assert!(library.calls().contains("cblas_dgemm"));
}

/// Loads a build with these names and integers, and checks a product of each type.
fn check_build(name: &str, macros: &[&str]) {
    let folder = Folder::new();
    let library = Loaded::load(&folder.build(name, macros));
    let numbers: Vec<f32> = (0..6).map(|at| at as f32).collect();
    let pool = pool();
    let (x, y) = (array_f32(pool, &[2, 3], &numbers), array_f32(pool, &[3, 2], &numbers));
    ok(set(c"openblas"));
    assert_eq!(read_f32(product(x, y)), [10.0, 13.0, 28.0, 40.0]);
    assert_eq!(library.calls(), "cblas_sgemm 101 111 111 2 2 3 1 3 2 0 2\n");
    compare_all_layouts();
}

#[test]
fn ex_52_numpys_build() {
    check_build("libscipy_openblas64_-test.so", &["PREFIX=scipy_", "SUFFIX=64_", "INTEGER=int64_t"]);
}

#[test]
fn ex_52_scipys_build() {
    check_build("libscipy_openblas-test.so", &["PREFIX=scipy_"]);
}

#[test]
fn ex_52_a_build_with_large_integers() {
    check_build("libopenblas64-test.so", &["INTEGER=int64_t", "CONFIG=\"OpenBLAS 0.3.30 USE64BITINT DYNAMIC_ARCH\""]);
}

#[test]
fn ex_52_a_build_with_large_integers_and_a_suffix() {
    check_build("libopenblas64_-test.so", &["SUFFIX=64_", "INTEGER=int64_t"]);
}

/// Starts this test again, with a folder that `prepare` fills in front of the loader's path. False: this is that
/// process.
fn again(test: &str, prepare: impl FnOnce(&Folder)) -> bool {
    const PART: &str = "TENURE_TEST_PART";
    if std::env::var_os(PART).is_some() {
        return false;
    }
    let folder = Folder::new();
    prepare(&folder);
    let mut part = tenure_harness::again(test);
    let part = part.env(PART, "1").env("LD_LIBRARY_PATH", &folder.0).output().unwrap();
    assert!(
        part.status.success(),
        "{}{}",
        String::from_utf8_lossy(&part.stdout),
        String::from_utf8_lossy(&part.stderr)
    );
    true
}

#[test]
fn ex_53_without_a_library_the_option_is_refused() {
    let no_library = |folder: &Folder| std::fs::write(folder.0.join("libopenblas.so.0"), "no library\n").unwrap();
    if again("ex_53_without_a_library_the_option_is_refused", no_library) {
        return;
    }
    ok(set(c"faer"));
    assert_eq!(set(c"openblas"), TN_ERR_UNSUPPORTED);
    assert!(last_error().contains("apt-get install libopenblas0-pthread"), "{}", last_error());
    assert_eq!(value(), "faer");
    assert_eq!(set(c"mkl"), TN_ERR_INVALID);
    assert_eq!(value(), "faer");
}

#[test]
fn ex_53_the_option_loads_the_library() {
    let build = |folder: &Folder| drop(folder.build("libopenblas.so.0", &[]));
    if again("ex_53_the_option_loads_the_library", build) {
        return;
    }
    let (pool, mut numbers) = (pool(), Numbers::new(4));
    let (x, y) = (lying(pool, Lie::C, [2, 2], &numbers.vector(4)), lying(pool, Lie::C, [2, 2], &numbers.vector(4)));
    drop_array(product(x, y));
    ok(set(c"openblas"));
    assert!(is_explained(x, y));
    drop_array(product(x, y));
    let library = Loaded::open(Path::new("libopenblas.so.0"), libc::RTLD_NOW | libc::RTLD_NOLOAD);
    assert_eq!(library.calls().lines().count(), 1);
}

#[test]
fn ex_51_the_library_of_the_system_gives_the_values_of_faer() {
    if set(c"openblas") != TN_OK {
        skip(last_error());
    }
    compare_all_layouts();
}
