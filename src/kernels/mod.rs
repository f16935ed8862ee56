//! What expressions compute: numbers in, numbers out, on places that the caller vouches for.
//!
//! Contract: float32 and float64, host memory, any strides that are multiples of the element on what is read, dense results. A result
//! may lie on an operand only as each function says, and has the same bits there as elsewhere: the same loops run over the same layout.
//! Single-threaded. Memory for work is taken before anything is written ([`Workspace`]), fallibly, at most a few numbers per row. What
//! a matrix is too singular for is a [`Pivot`], not a status: the caller knows which operation it was.
//! Knows no store, no ledger and no expression. Tests: tests/expr.rs.
//!
//! | file | what |
//! |---|---|
//! | `elementwise` | element by element, sums over an axis |
//! | `diagonal` | what diagonals do to rows and columns, triangles |
//! | `linalg` | factors, triangular solves, products |
//! | `no_linalg` | the same names without the Cargo feature `linalg`, never called |

mod diagonal;

mod elementwise;

#[cfg(feature = "linalg")]
mod linalg;
#[cfg(not(feature = "linalg"))]
#[path = "no_linalg.rs"]
mod linalg;

pub use diagonal::{Side, Triangle, add_diagonal, all_positive, divide_rows, scale_columns, scale_rows, zero_above};
pub use elementwise::{Binary, Unary, binary, scale, sum, unary};
pub use linalg::{cholesky, lu_solve, matmul, solve_triangle, times_triangle};

use crate::blit::{HostView, Scratch};
use crate::dtype::Dtype;
use crate::error::Result;
use crate::types::*;

/// Index of the first pivot that a factorisation cannot go on with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pivot(pub usize);

/// Memory for one operation.
#[cfg_attr(not(feature = "linalg"), expect(dead_code, reason = "taken, and never used"))]
pub struct Workspace {
    scratch: Scratch,
    bytes: usize,
}

impl Workspace {
    /// For a factorisation of n x n elements of this type: at most 32 bytes a row.
    pub fn take(n: usize, dtype: Dtype) -> Result<Workspace> {
        let item = dtype.item() as usize;
        let word = size_of::<usize>();
        // Two permutations, and what faer's routines and the moves of rows want: a number or an index per row.
        let bytes = n.saturating_mul(3 * word + item).saturating_add(4 * LINE);
        Ok(Workspace { scratch: Scratch::new(bytes)?, bytes })
    }
}

/// Room for the alignment of each part of a workspace.
const LINE: usize = 64;

#[cfg(feature = "linalg")]
use faer::traits::RealField;

/// What the matrices of `linalg` ask of their elements, where it is built.
#[cfg(not(feature = "linalg"))]
pub trait RealField {}

#[cfg(not(feature = "linalg"))]
impl RealField for f32 {}

#[cfg(not(feature = "linalg"))]
impl RealField for f64 {}

/// An element type that expressions compute with.
pub trait Float: RealField + Copy + PartialOrd + 'static {
    /// 0
    const NOUGHT: Self;
    /// Rounded to the type.
    fn of(value: f64) -> Self;
    /// x + y
    fn plus(self, y: Self) -> Self;
    /// x - y
    fn minus(self, y: Self) -> Self;
    /// x * y
    fn times(self, y: Self) -> Self;
    /// x / y
    fn over(self, y: Self) -> Self;
    /// -x
    fn negative(self) -> Self;
    /// Square root.
    fn root(self) -> Self;
    /// e to the x.
    fn power_of_e(self) -> Self;
    /// Natural logarithm.
    fn logarithm(self) -> Self;
}

macro_rules! float {
    ($($type:ty),*) => {
        $(impl Float for $type {
            const NOUGHT: $type = 0.0;
            #[inline]
            fn of(value: f64) -> $type { value as $type }
            #[inline]
            fn plus(self, y: $type) -> $type { self + y }
            #[inline]
            fn minus(self, y: $type) -> $type { self - y }
            #[inline]
            fn times(self, y: $type) -> $type { self * y }
            #[inline]
            fn over(self, y: $type) -> $type { self / y }
            #[inline]
            fn negative(self) -> $type { -self }
            #[inline]
            fn root(self) -> $type { self.sqrt() }
            #[inline]
            fn power_of_e(self) -> $type { self.exp() }
            #[inline]
            fn logarithm(self) -> $type { self.ln() }
        })*
    };
}

float!(f32, f64);

/// Whether expressions compute with elements of this type.
pub fn computes(dtype: Dtype) -> bool {
    matches!(dtype.raw(), TN_F32 | TN_F64)
}

/// Runs `$body` with `$float` as the element type of a layout, which [`computes`].
macro_rules! with_float {
    ($dtype:expr, $float:ident => $body:expr) => {
        match $dtype.raw() {
            crate::types::TN_F32 => {
                type $float = f32;
                $body
            }
            crate::types::TN_F64 => {
                type $float = f64;
                $body
            }
            other => unreachable!("expressions do not compute with element type {other:#x}"),
        }
    };
}

pub(crate) use with_float;

/// Where element (0,..,0) lies.
fn address<T>(place: &HostView) -> *mut T {
    match place.layout().is_empty() {
        true => core::ptr::NonNull::dangling().as_ptr(),
        false => core::ptr::with_exposed_provenance_mut(place.layout().offset() as usize),
    }
}

/// The stride of an axis in elements.
fn step<T>(stride: i64) -> isize {
    debug_assert_eq!(stride % size_of::<T>() as i64, 0);
    (stride / size_of::<T>() as i64) as isize
}
