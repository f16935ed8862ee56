//! Stands in for `linalg` in a library that is built without that Cargo feature. `expr` refuses such expressions when
//! they are built (`rules::check_linalg`), so these functions are never called.
#![forbid(unsafe_code)]

use super::diagonal::Triangle;
use super::{Factors, Pivot, Workspace};
use crate::blit::HostView;
use crate::layout::Layout;

const REFUSED: &str = "refused when the expression is built";

/// See `linalg`.
pub fn cholesky(_: &HostView, _: &mut Workspace) -> Result<(), Pivot> {
    unreachable!("{REFUSED}")
}

/// See `linalg`.
pub fn lu(_: &HostView, _: &mut Vec<usize>, _: &mut Workspace) -> Result<(), Pivot> {
    unreachable!("{REFUSED}")
}

/// See `linalg`.
pub fn solve_factors(_: &Factors, _: &HostView, _: &mut Workspace) {
    unreachable!("{REFUSED}")
}

/// See `linalg`.
pub fn times_factors(_: &Factors, _: &HostView, _: &mut Workspace) {
    unreachable!("{REFUSED}")
}

/// See `linalg`.
pub fn matmul(_: &HostView, _: &HostView, _: &HostView) {
    unreachable!("{REFUSED}")
}

/// See `openblas`. There are no products.
pub fn look() {}

/// See `openblas`.
pub fn would_multiply(_: &Layout, _: &Layout) -> bool {
    false
}

/// See `linalg`.
pub fn solve_triangle(_: Triangle, _: &HostView, _: &HostView) {
    unreachable!("{REFUSED}")
}

/// See `linalg`.
pub fn times_triangle_from_right(_: Triangle, _: &HostView, _: &HostView) {
    unreachable!("{REFUSED}")
}

/// See `linalg`.
pub fn times_triangle(_: Triangle, _: &HostView, _: &HostView) {
    unreachable!("{REFUSED}")
}
