//! The computations of expressions, on memory for which the caller guarantees access ([`HostView`]).
//!
//! Contract: float32 and float64 in host memory. Operands may have any strides that are multiples of the element's
//! size; results are dense. A result may share memory with an operand only as each function says, and its bits do not
//! depend on that. Single-threaded, except that OpenBLAS computes products on its own threads. A [`Workspace`] of at
//! most a few numbers per row is allocated before anything is written. For a matrix that is too singular the error is a
//! [`Pivot`]; the caller makes a status from it. Tests: tests/library/expr.rs.
//!
//! | file | what |
//! |---|---|
//! | `elementwise` | element by element, sums over an axis |
//! | `diagonal` | what diagonals do to rows and columns, triangles |
//! | `linalg` | factors, triangular solves, products |
//! | `openblas` | products by OpenBLAS, if the option `expr.blas` gives them to it |
//! | `no_linalg` | the same names without the Cargo feature `linalg`, never called |

mod diagonal;

mod elementwise;

#[cfg(feature = "linalg")]
mod linalg;
#[cfg(feature = "linalg")]
mod openblas;
#[cfg(not(feature = "linalg"))]
#[path = "no_linalg.rs"]
mod linalg;

pub use diagonal::{
    Side, Triangle, add_diagonal, check_pivots, combine, divide_rows, scale_columns, scale_rows, set_diagonal,
    times_diagonals, write_diagonal, write_permutation, zero_above,
};
pub use elementwise::{ALL_AXES, Binary, Unary, binary, scale, sum, unary};
#[cfg(not(feature = "linalg"))]
pub use linalg::{look, would_multiply};
#[cfg(feature = "linalg")]
pub use openblas::{look, prepare_option, would_multiply};

pub use linalg::{
    cholesky, lu, matmul, solve_factors, solve_triangle, times_factors, times_triangle, times_triangle_from_right,
};

use crate::blit::{HostView, Scratch};
use crate::dtype::Dtype;
use crate::error::Result;
use crate::types::*;

/// The index of the first pivot with which a factorisation cannot continue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pivot(pub usize);

/// The LU factors of a matrix: P times the lower factor, whose diagonal is 1, times the upper one.
pub struct Factors<'a, 'b> {
    /// Both triangles in one matrix, in order F.
    pub packed: &'a HostView<'b>,
    /// The row of the matrix that each row of the product of the triangles is.
    pub rows: &'a [usize],
    /// They stand for the transpose of that matrix.
    pub turned: bool,
}

/// Temporary memory for one operation.
#[cfg_attr(not(feature = "linalg"), expect(dead_code, reason = "taken, and never used"))]
pub struct Workspace {
    scratch: Scratch,
    bytes: usize,
}

impl Workspace {
    /// Allocates memory for a factorisation of n x n elements: at most 32 bytes per row.
    pub fn take(n: usize, dtype: Dtype) -> Result<Workspace> {
        let item = dtype.item() as usize;
        let word = size_of::<usize>();
        // Two permutations, an index per row for faer's routines, and a number per row for reordering rows.
        let bytes = n.saturating_mul(3 * word + item).saturating_add(4 * LINE);
        Ok(Workspace { scratch: Scratch::new(bytes)?, bytes })
    }
}

/// Bytes for the alignment of each part of a workspace.
const LINE: usize = 64;

#[cfg(feature = "linalg")]
use faer::traits::RealField;

/// Stands in for faer's trait of element types where `linalg` is not built.
#[cfg(not(feature = "linalg"))]
pub trait RealField {}

#[cfg(not(feature = "linalg"))]
impl RealField for f32 {}

#[cfg(not(feature = "linalg"))]
impl RealField for f64 {}

/// An element type that expressions compute with.
pub trait Float: RealField + Copy + PartialOrd + 'static {
    /// 0
    const ZERO: Self;
    /// Larger than all finite numbers.
    const INFINITY: Self;
    /// The number, rounded to the type.
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
            const ZERO: $type = 0.0;
            const INFINITY: $type = <$type>::INFINITY;
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

/// Runs `$body` with `$float` as the type for a dtype for which [`computes`] is true.
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

/// The address of element (0,..,0).
fn address<T>(view: &HostView) -> *mut T {
    match view.layout().is_empty() {
        true => core::ptr::NonNull::dangling().as_ptr(),
        false => core::ptr::with_exposed_provenance_mut(view.layout().offset() as usize),
    }
}

/// The stride of an axis in elements.
fn step<T>(stride: i64) -> isize {
    debug_assert_eq!(stride % size_of::<T>() as i64, 0);
    (stride / size_of::<T>() as i64) as isize
}
