//! The C functions for lazy expressions.

use super::{Id, Result, check, filled, made};
use crate::sys::*;
use core::ptr::null_mut;

/// An operation with one operand.
#[derive(Clone, Copy)]
pub enum Unary {
    Cholesky,
    Lu,
    /// A TN_LU_ part of factors.
    LuPart(u32),
    Transpose,
    /// Multiplies by a number.
    Scale(f64),
    /// Sums over this axis, or all.
    Sum(i32),
    /// Writes out the zeros of a form.
    Dense,
    /// A member of TN_EXPR_ with one operand.
    Elementwise(u32),
}

/// An operation with two operands.
#[derive(Clone, Copy)]
pub enum Binary {
    Add,
    Subtract,
    /// The matrix product.
    Multiply,
    Solve,
    /// A member of TN_EXPR_ with two operands.
    Elementwise(u32),
}

calls! {
    /// Makes an array an operand.
    fn leaf(array: Id, form: u32) -> Id = tn_expr_leaf;
    /// Computes an expression; the result is an array.
    fn compute(expr: Id, flags: u32) -> Id = tn_expr_compute;
    /// Releases an expression.
    fn release(expr: Id) = tn_expr_release;
}

/// Applies an operation to x.
pub fn unary(operation: Unary, x: Id) -> Result<Id> {
    // SAFETY: a checked id, `out` is writable; NULL stands for the missing second operand.
    made(|out| unsafe {
        match operation {
            Unary::Cholesky => tn_expr_cholesky(x.raw(), out),
            Unary::Lu => tn_expr_lu(x.raw(), out),
            Unary::LuPart(part) => tn_expr_lu_part(x.raw(), part, out),
            Unary::Transpose => tn_expr_transpose(x.raw(), out),
            Unary::Scale(factor) => tn_expr_scale(x.raw(), factor, out),
            Unary::Sum(axis) => tn_expr_sum(x.raw(), axis, out),
            Unary::Dense => tn_expr_dense(x.raw(), out),
            Unary::Elementwise(op) => tn_expr_elementwise(op, x.raw(), null_mut(), out),
        }
    })
}

/// Applies an operation to x and y.
pub fn binary(operation: Binary, x: Id, y: Id) -> Result<Id> {
    // SAFETY: checked ids, `out` is writable.
    made(|out| unsafe {
        match operation {
            Binary::Add => tn_expr_add(x.raw(), y.raw(), out),
            Binary::Subtract => tn_expr_subtract(x.raw(), y.raw(), out),
            Binary::Multiply => tn_expr_multiply(x.raw(), y.raw(), out),
            Binary::Solve => tn_expr_solve(x.raw(), y.raw(), out),
            Binary::Elementwise(op) => tn_expr_elementwise(op, x.raw(), y.raw(), out),
        }
    })
}

/// Element type and shape of the array that the expression makes.
pub fn query(expr: Id) -> Result<tn_expr_info> {
    // SAFETY: a checked id; `info` is writable, and says its size.
    filled(sized!(tn_expr_info), |info| unsafe { tn_expr_query(expr.raw(), info) })
}

/// Explains what computing the expression would do now.
pub fn explain(expr: Id, format: u32) -> Result<String> {
    let mut text = Vec::<u8>::new();
    loop {
        let mut length = 0;
        let at = if text.is_empty() { null_mut() } else { text.as_mut_ptr().cast() };
        // SAFETY: `text` has room for the bytes of its length; NULL only with none.
        check(unsafe { tn_expr_explain(expr.raw(), format, text.len(), at, &mut length) })?;
        // Other threads may have made the text longer in between.
        if length < text.len() {
            text.truncate(length);
            return Ok(String::from_utf8_lossy(&text).into_owned());
        }
        text.resize(length + 1, 0);
    }
}
