//! Helpers of the tests of expressions: the C interface with a pool of the test's own, and reference computations on
//! matrices.
#![allow(dead_code)]
// each file uses some of it

use crate::support::random::Random;
use std::ffi::CStr;
use std::ptr::{null, null_mut};
use tenure::ffi::{
    array::*, borrow::*, exchange::*, expr::*, library::*, pool::*, promise::*, report::*, transfer::*, view::*,
};
use tenure::types::*;

pub type Array = *mut tn_array;
pub type Expr = *mut tn_expr;

/// Side of the matrices of the figures.
pub const N: i64 = 48;
/// Bytes of one of their rows.
pub const ROW: i64 = 8 * N;
/// Bytes of one matrix.
pub const BLOCK: i64 = ROW * N;

#[track_caller]
pub fn ok(status: tn_status) {
    assert_eq!(status, TN_OK, "{}", last_error());
}

pub fn last_error() -> String {
    // SAFETY: always a NUL-terminated text.
    unsafe { CStr::from_ptr(tn_last_error()) }.to_string_lossy().into_owned()
}

/// Calls a function with an output, and returns the output.
#[macro_export]
macro_rules! out {
    ($function:ident($($argument:expr),*)) => {{
        let mut out = std::ptr::null_mut();
        #[allow(unused_unsafe)]
        // SAFETY: the output is writable, and the other pointers are as the function requires.
        $crate::support::expr::ok(unsafe { $function($($argument,)* &mut out) });
        out
    }};
}

/// The status of such a call; if it failed, the output must be untouched.
#[macro_export]
macro_rules! status {
    ($function:ident($($argument:expr),*)) => {{
        let mut out = std::ptr::dangling_mut();
        #[allow(unused_unsafe)]
        // SAFETY: as above.
        let status = unsafe { $function($($argument,)* &mut out) };
        assert!(status == TN_OK || out == std::ptr::dangling_mut(), "an output was touched");
        status
    }};
}

/// A pool without thread caches, so that its peaks are exact (PO-33).
pub fn pool() -> *mut tn_pool {
    let host = tn_device { r#type: TN_CPU, id: 0 };
    let options = tn_pool_options {
        size: size_of::<tn_pool_options>(),
        thread_cache_size: TN_POOL_NONE,
        ..tn_pool_options::default()
    };
    out!(tn_pool_create(host, &options))
}

pub fn stats(pool: *mut tn_pool) -> tn_pool_stats {
    let mut stats = tn_pool_stats { size: size_of::<tn_pool_stats>(), ..Default::default() };
    // SAFETY: a struct of that size.
    ok(unsafe { tn_pool_query(pool, &mut stats) });
    stats
}

/// The cost of a scenario: allocations, peak beyond the live bytes before, change of the live bytes.
#[derive(Debug, PartialEq, Clone, Copy)]
pub struct Figures {
    pub allocations: i64,
    pub peak: i64,
    pub live: i64,
}

pub fn measure<T>(pool: *mut tn_pool, work: impl FnOnce() -> T) -> (Figures, T) {
    let before = stats(pool);
    ok(tn_pool_reset_peak(pool));
    let done = work();
    let after = stats(pool);
    let figures = Figures {
        allocations: (after.allocation_count - before.allocation_count) as i64,
        peak: after.peak_requested_bytes as i64 - before.requested_bytes as i64,
        live: after.requested_bytes as i64 - before.requested_bytes as i64,
    };
    (figures, done)
}

/// An array of the test's pool, in C or F order.
pub fn array(pool: *mut tn_pool, shape: &[i64], order: u32, values: &[f64]) -> Array {
    let options =
        tn_array_options { size: size_of::<tn_array_options>(), order, flags: 0, stream: null_mut(), name: null() };
    let array: Array = out!(tn_array_empty(pool, TN_F64, shape.len() as i32, shape.as_ptr(), &options));
    write(array, values);
    array
}

pub fn array_f32(pool: *mut tn_pool, shape: &[i64], values: &[f32]) -> Array {
    let array: Array = out!(tn_array_empty(pool, TN_F32, shape.len() as i32, shape.as_ptr(), null()));
    // SAFETY: as many values as the array has elements, in C order.
    ok(unsafe { tn_array_copy_from_host(array, values.as_ptr().cast(), null(), 0, null_mut()) });
    array
}

/// Values in C order.
pub fn write(array: Array, values: &[f64]) {
    // SAFETY: as many values as the array has elements.
    ok(unsafe { tn_array_copy_from_host(array, values.as_ptr().cast(), null(), 0, null_mut()) });
}

pub fn count(array: Array) -> usize {
    info(array).count as usize
}

pub fn info(array: Array) -> tn_array_info {
    // SAFETY: plain data.
    let mut info: tn_array_info = unsafe { std::mem::zeroed() };
    info.size = size_of::<tn_array_info>();
    // SAFETY: a struct of that size.
    ok(unsafe { tn_array_query(array, &mut info) });
    info
}

/// Values in C order.
pub fn read(array: Array) -> Vec<f64> {
    let mut values = vec![0.0; count(array)];
    // SAFETY: the buffer has all elements.
    ok(unsafe { tn_array_copy_to_host(array, values.as_mut_ptr().cast(), null(), null_mut()) });
    values
}

pub fn read_f32(array: Array) -> Vec<f32> {
    let mut values = vec![0.0; count(array)];
    // SAFETY: the buffer has all elements.
    ok(unsafe { tn_array_copy_to_host(array, values.as_mut_ptr().cast(), null(), null_mut()) });
    values
}

pub fn address(array: Array) -> usize {
    let (mut data, mut guard) = (null(), null_mut());
    // SAFETY: both outputs are writable.
    ok(unsafe { tn_array_borrow_read(array, 0, null_mut(), &mut data, null_mut(), &mut guard) });
    ok(tn_borrow_end(guard, 0, null_mut()));
    data as usize
}

pub fn why(array: Array) -> u32 {
    let (mut bits, mut n) = (u32::MAX, 0);
    // SAFETY: both outputs are writable.
    ok(unsafe { tn_array_why_not(array, null(), size_of::<tn_holder>(), 0, &mut bits, null_mut(), &mut n) });
    bits
}

pub fn drop_array(array: Array) {
    ok(tn_array_release(array));
}

pub fn drop_expr(expr: Expr) {
    // SAFETY: the handle is one that a test made.
    ok(unsafe { tn_expr_release(expr) });
}

pub fn leaf(array: Array) -> Expr {
    out!(tn_expr_leaf(array, TN_FORM_FULL))
}

pub fn diagonal(array: Array) -> Expr {
    out!(tn_expr_leaf(array, TN_FORM_DIAGONAL))
}

pub fn lower(array: Array) -> Expr {
    out!(tn_expr_leaf(array, TN_FORM_LOWER))
}

pub fn compute(expr: Expr) -> Array {
    out!(tn_expr_compute(expr, 0))
}

/// Computes the value and releases the expression.
pub fn finish(expr: Expr) -> Array {
    let array = compute(expr);
    drop_expr(expr);
    array
}

pub fn clone(array: Array) -> Array {
    out!(tn_array_clone(array))
}

pub fn give(array: Array) -> *mut tn_promise {
    out!(tn_array_give(array, 1))
}

/// Takes a promise, which is used up.
pub fn take(promise: *mut tn_promise) -> Array {
    let mut array = null_mut();
    // SAFETY: one promise, one output.
    ok(unsafe { tn_take(1, &promise, &mut array) });
    ok(tn_promise_release(promise));
    array
}

/// Releases the pool, in which nothing may be left.
pub fn end(pool: *mut tn_pool) {
    assert_eq!(stats(pool).live_blocks, 0, "a test left blocks");
    ok(tn_pool_release(pool));
}

/// Pseudo-random numbers of a seed.
pub struct Numbers(Random);

impl Numbers {
    pub fn new(seed: u64) -> Numbers {
        Numbers(Random::new(seed))
    }
    pub fn next(&mut self) -> u64 {
        self.0.next()
    }
    pub fn below(&mut self, n: usize) -> usize {
        self.0.below(n)
    }
    /// Between -1 and 1.
    pub fn unit(&mut self) -> f64 {
        2.0 * self.0.part() - 1.0
    }
    pub fn vector(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.unit()).collect()
    }
    /// A symmetric matrix whose eigenvalues lie well above 0.
    pub fn positive(&mut self, n: usize) -> Vec<f64> {
        let mut matrix = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..i {
                let value = self.unit();
                matrix[i * n + j] = value;
                matrix[j * n + i] = value;
            }
            matrix[i * n + i] = n as f64 + self.unit();
        }
        matrix
    }
}

/// Reference results by scalar loops; matrices in C order.
pub mod naive {
    pub fn matmul(a: &[f64], b: &[f64], rows: usize, inner: usize, columns: usize) -> Vec<f64> {
        let mut c = vec![0.0; rows * columns];
        for i in 0..rows {
            for k in 0..inner {
                for j in 0..columns {
                    c[i * columns + j] += a[i * inner + k] * b[k * columns + j];
                }
            }
        }
        c
    }

    pub fn cholesky(a: &[f64], n: usize) -> Vec<f64> {
        let mut l = vec![0.0; n * n];
        for j in 0..n {
            for i in j..n {
                let dot: f64 = (0..j).map(|k| l[i * n + k] * l[j * n + k]).sum();
                let rest = a[i * n + j] - dot;
                l[i * n + j] = if i == j { rest.sqrt() } else { rest / l[j * n + j] };
            }
        }
        l
    }

    pub fn transpose(a: &[f64], rows: usize, columns: usize) -> Vec<f64> {
        (0..rows * columns).map(|at| a[at % rows * columns + at / rows]).collect()
    }

    pub fn with_diagonal(a: &[f64], d: &[f64], sign: f64) -> Vec<f64> {
        let n = d.len();
        let mut sum = a.to_vec();
        (0..n).for_each(|i| sum[i * n + i] += sign * d[i]);
        sum
    }
}

/// Equal to within rounding of sums of a few hundred terms.
#[track_caller]
pub fn assert_near(got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len());
    for (at, (got, expected)) in got.iter().zip(expected).enumerate() {
        let near = (got - expected).abs() <= 1e-9 * (1.0 + expected.abs());
        assert!(
            near || got == expected || (got.is_nan() && expected.is_nan()),
            "element {at}: {got}, expected {expected}"
        );
    }
}

/// Equal bit by bit.
#[track_caller]
pub fn assert_same(got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len());
    for (at, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert_eq!(got.to_bits(), expected.to_bits(), "element {at}: {got}, expected {expected}");
    }
}

pub fn export(array: Array, class: u32) -> *mut tn_borrow {
    // SAFETY: plain data, written by the call.
    let mut view: tn_view_info = unsafe { std::mem::zeroed() };
    let (mut guard, mut how) = (null_mut(), 0);
    // SAFETY: all outputs are writable.
    ok(unsafe { tn_array_export_host(array, TN_BORROW | class, 0, null_mut(), &mut view, &mut guard, &mut how) });
    assert_eq!(how, TN_ALIASED);
    guard
}

pub fn reading(array: Array) -> *mut tn_borrow {
    let mut guard = null_mut();
    // SAFETY: the output is there.
    ok(unsafe { tn_array_borrow_read(array, 0, null_mut(), null_mut(), null_mut(), &mut guard) });
    guard
}

pub fn row(array: Array, index: i64) -> Array {
    out!(tn_array_index(array, 0, index))
}

pub fn holders(array: Array) -> Vec<tn_holder> {
    let (mut bits, mut n) = (0, 0);
    // SAFETY: plain data.
    let mut list: Vec<tn_holder> = (0..16).map(|_| unsafe { std::mem::zeroed() }).collect();
    // SAFETY: as many places as it says.
    ok(unsafe {
        tn_array_why_not(array, null(), size_of::<tn_holder>(), list.len(), &mut bits, list.as_mut_ptr(), &mut n)
    });
    list.truncate(n);
    list
}

/// The size of a slice of an axis.
pub fn part(array: Array, start: i64, stop: i64) -> Array {
    let spec = tn_slice_spec { start, stop, step: 1, reserved: [0; 4] };
    out!(tn_array_slice(array, 1, &spec))
}

pub fn leaks() -> usize {
    let mut count = 0;
    // SAFETY: capacity 0, one output.
    ok(unsafe { tn_leaks(size_of::<tn_holder>(), 0, null_mut(), &mut count) });
    count
}
