//! Section "expr": lazy expressions, computed once, that overwrite what nobody else needs.

use crate::boundary::enter;
use crate::expr::{self, Arguments};
use crate::ffi::convert::{self, Out, TextOut};
use crate::ledger::Operation;
use crate::slots::Id;
use crate::types::*;
use core::ffi::c_char;

/// A leaf of an expression: the array as an operand. It is one more claim on the store and a read of it until the expression ends or needs it no
/// more; the array may be released at once. Meanwhile overlapping writers that others would see are TN_ERR_IN_EXPRESSION.
///
/// @param array    An array of float32 or float64, at multiples of the element's size.
/// @param form     TN_FORM_FULL: all elements. TN_FORM_DIAGONAL: a vector is the diagonal of a matrix that is 0 elsewhere. TN_FORM_LOWER:
///                 of a square matrix the diagonal and what is below it; the rest is taken as 0 and not read.
/// @param[out] out The expression. Released by `tn_expr_release`, at any time.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for another form; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DTYPE;
///         TN_ERR_SHAPE; TN_ERR_LAYOUT; TN_ERR_DEVICE for bytes that the host cannot reach; TN_ERR_POISONED, TN_ERR_BORROWED_WRITE,
///         TN_ERR_EXPORTED (an exclusive one), TN_ERR_PENDING (a device writes them) as any read of the host; TN_ERR_LIMIT,
///         TN_ERR_NO_HOST_MEMORY.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
/// @since 0.1
/// @ingroup expr
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_expr_leaf(array: *mut tn_array, form: tn_form, out: *mut *mut tn_expr) -> tn_status {
    enter("tn_expr_leaf", || {
        let id = convert::id(array, "array")?;
        let out = Out::new(out, "out")?;
        let leaf = expr::leaf(id, form)?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(convert::handle(leaf)) };
        Ok(())
    })
}

/// The sum. Full and full, diagonal and diagonal, lower and lower keep their form; with one of them diagonal the other is full, and so is the
/// sum. Overwritten may be: of full and diagonal the full one, else the left one, else the right one.
///
/// @param x        The left operand.
/// @param y        The right operand, of the same matrix shape and element type.
/// @param[out] out The expression. Released by `tn_expr_release`; the operands stay the caller's and may be released at any time.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DTYPE; TN_ERR_SHAPE; TN_ERR_UNSUPPORTED for forms that have no such
///         operation; TN_ERR_POISONED if an operand failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
/// @since 0.1
/// @ingroup expr
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_expr_add(x: *mut tn_expr, y: *mut tn_expr, out: *mut *mut tn_expr) -> tn_status {
    enter("tn_expr_add", || {
        let operands = [(convert::id(x, "x")?, "x"), (convert::id(y, "y")?, "y")];
        let out = Out::new(out, "out")?;
        let node = expr::operation(Ok(Operation::Add), &operands, Arguments::default())?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(convert::handle(node)) };
        Ok(())
    })
}

/// The difference x - y, with the forms of `tn_expr_add`.
///
/// @param x        The left operand.
/// @param y        The right operand, of the same matrix shape and element type.
/// @param[out] out The expression. Released by `tn_expr_release`; the operands stay the caller's and may be released at any time.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DTYPE; TN_ERR_SHAPE; TN_ERR_UNSUPPORTED for forms that have no such
///         operation; TN_ERR_POISONED if an operand failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
/// @since 0.1
/// @ingroup expr
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_expr_subtract(x: *mut tn_expr, y: *mut tn_expr, out: *mut *mut tn_expr) -> tn_status {
    enter("tn_expr_subtract", || {
        let operands = [(convert::id(x, "x")?, "x"), (convert::id(y, "y")?, "y")];
        let out = Out::new(out, "out")?;
        let node = expr::operation(Ok(Operation::Subtract), &operands, Arguments::default())?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(convert::handle(node)) };
        Ok(())
    })
}

/// The product of a matrix and a matrix or vector. Overwritten may be: with a diagonal or lower m the right-hand side, of a full one and a diagonal
/// the full one, of two diagonals the left or the right one; of two full ones nothing.
///
/// @param m        The matrix: full, diagonal or lower (or its transpose).
/// @param x        A full matrix or vector, or a diagonal to a full or diagonal m.
/// @param[out] out The expression. Released by `tn_expr_release`; the operands stay the caller's and may be released at any time.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DTYPE; TN_ERR_SHAPE; TN_ERR_UNSUPPORTED for forms that have no such
///         operation; TN_ERR_POISONED if an operand failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
/// @since 0.1
/// @ingroup expr
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_expr_multiply(m: *mut tn_expr, x: *mut tn_expr, out: *mut *mut tn_expr) -> tn_status {
    enter("tn_expr_multiply", || {
        let operands = [(convert::id(m, "m")?, "m"), (convert::id(x, "x")?, "x")];
        let out = Out::new(out, "out")?;
        let node = expr::operation(Ok(Operation::Multiply), &operands, Arguments::default())?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(convert::handle(node)) };
        Ok(())
    })
}

/// The lower Cholesky factor of a symmetric positive definite matrix, of which the lower triangle is read; what is above the diagonal is 0. Of a
/// diagonal matrix the square roots, a diagonal. The operand may be overwritten.
///
/// @param x        A full square matrix, or a diagonal one.
/// @param[out] out The expression. Released by `tn_expr_release`; the operands stay the caller's and may be released at any time.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_SHAPE; TN_ERR_UNSUPPORTED for forms that have no such operation;
///         TN_ERR_POISONED if an operand failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
/// @since 0.1
/// @ingroup expr
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_expr_cholesky(x: *mut tn_expr, out: *mut *mut tn_expr) -> tn_status {
    enter("tn_expr_cholesky", || {
        let operands = [(convert::id(x, "x")?, "x")];
        let out = Out::new(out, "out")?;
        let node = expr::operation(Ok(Operation::Cholesky), &operands, Arguments::default())?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(convert::handle(node)) };
        Ok(())
    })
}

/// The solution of m * x = b: forward substitution for a lower m (backward for its transpose), division for a diagonal one, LU with partial pivoting
/// for a full one. Overwritten may be b, and for LU m too.
///
/// @param m        A square matrix: full, diagonal or lower (or its transpose).
/// @param b        A full vector or matrix.
/// @param[out] out The expression. Released by `tn_expr_release`; the operands stay the caller's and may be released at any time.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DTYPE; TN_ERR_SHAPE; TN_ERR_UNSUPPORTED for forms that have no such
///         operation; TN_ERR_POISONED if an operand failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
/// @since 0.1
/// @ingroup expr
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_expr_solve(m: *mut tn_expr, b: *mut tn_expr, out: *mut *mut tn_expr) -> tn_status {
    enter("tn_expr_solve", || {
        let operands = [(convert::id(m, "m")?, "m"), (convert::id(b, "b")?, "b")];
        let out = Out::new(out, "out")?;
        let node = expr::operation(Ok(Operation::Solve), &operands, Arguments::default())?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(convert::handle(node)) };
        Ok(())
    })
}

/// A number times x, in the form of x. The operand may be overwritten.
///
/// @param x        Any expression.
/// @param factor   The number; rounded to the element type.
/// @param[out] out The expression. Released by `tn_expr_release`; the operands stay the caller's and may be released at any time.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_SHAPE; TN_ERR_UNSUPPORTED for forms that have no such operation;
///         TN_ERR_POISONED if an operand failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
/// @since 0.1
/// @ingroup expr
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_expr_scale(x: *mut tn_expr, factor: f64, out: *mut *mut tn_expr) -> tn_status {
    enter("tn_expr_scale", || {
        let operands = [(convert::id(x, "x")?, "x")];
        let out = Out::new(out, "out")?;
        let node = expr::operation(Ok(Operation::Scale), &operands, Arguments { factor, ..Arguments::default() })?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(convert::handle(node)) };
        Ok(())
    })
}

/// The transpose: the same bytes seen otherwise, nothing is moved.
///
/// @param x        A matrix.
/// @param[out] out The expression. Released by `tn_expr_release`; the operands stay the caller's and may be released at any time.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_SHAPE; TN_ERR_UNSUPPORTED for forms that have no such operation;
///         TN_ERR_POISONED if an operand failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
/// @since 0.1
/// @ingroup expr
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_expr_transpose(x: *mut tn_expr, out: *mut *mut tn_expr) -> tn_status {
    enter("tn_expr_transpose", || {
        let operands = [(convert::id(x, "x")?, "x")];
        let out = Out::new(out, "out")?;
        let node = expr::operation(Ok(Operation::Transpose), &operands, Arguments::default())?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(convert::handle(node)) };
        Ok(())
    })
}

/// The sum over one axis.
///
/// Along elements that lie side by side it is added in eight lanes, else one slice after the other.
///
/// @param x        A full expression.
/// @param axis     The axis that goes; from the end if negative.
/// @param[out] out The expression. Released by `tn_expr_release`; the operands stay the caller's and may be released at any time.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_RANGE; TN_ERR_SHAPE; TN_ERR_UNSUPPORTED for forms that have no such
///         operation; TN_ERR_POISONED if an operand failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
/// @since 0.1
/// @ingroup expr
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_expr_sum(x: *mut tn_expr, axis: i32, out: *mut *mut tn_expr) -> tn_status {
    enter("tn_expr_sum", || {
        let operands = [(convert::id(x, "x")?, "x")];
        let out = Out::new(out, "out")?;
        let node = expr::operation(Ok(Operation::Sum), &operands, Arguments { axis, ..Arguments::default() })?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(convert::handle(node)) };
        Ok(())
    })
}

/// Element by element, one of a closed list of operations. Operands are full (any shape, both the same) but for TN_EXPR_ADD, TN_EXPR_SUBTRACT and
/// TN_EXPR_NEGATE, which keep other forms as `tn_expr_add` does. Overwritten may be x, then y.
///
/// @param op       TN_EXPR_ADD, _SUBTRACT, _MULTIPLY, _DIVIDE with two operands; TN_EXPR_NEGATE, _SQRT, _EXP, _LOG with one.
/// @param x        The left or only operand.
/// @param y        The right operand; NULL with an operation that takes one.
/// @param[out] out The expression. Released by `tn_expr_release`; the operands stay the caller's and may be released at any time.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for another op, a missing y or one too many; TN_ERR_DTYPE;
///         TN_ERR_SHAPE; TN_ERR_UNSUPPORTED; TN_ERR_POISONED if an operand failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
/// @since 0.1
/// @ingroup expr
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_expr_elementwise(
    op: tn_expr_op,
    x: *mut tn_expr,
    y: *mut tn_expr,
    out: *mut *mut tn_expr,
) -> tn_status {
    enter("tn_expr_elementwise", || {
        let operands = [(convert::id(x, "x")?, "x"), (convert::id(y, "y").unwrap_or(Id::NONE), "y")];
        let count = 2 - usize::from(y.is_null());
        let out = Out::new(out, "out")?;
        let node = expr::operation(expr::elementwise(op), &operands[..count], Arguments::default())?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(convert::handle(node)) };
        Ok(())
    })
}

/// The value of an expression as an array. What has no value yet is evaluated, each part once, operands first and left before right, on the calling
/// thread. An operand takes the result of its operation, and no new array is made, where nobody else claims its bytes: `tn_expr_explain` says
/// which and why. Values are let go right after their last use; the value of an expression whose handle is out is kept.
///
/// @param expr     The expression.
/// @param flags    TN_KEEP_ON_FAIL: a failure leaves everything as it was; then nothing that was there before is overwritten.
/// @param[out] out The array, another claim on the expression's value.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_POISONED if the expression failed before;
///         TN_ERR_IN_EXPRESSION if another thread computes a part of it; TN_ERR_PENDING while a device is at work on bytes that are read or
///         would be overwritten, after which it can be tried again; TN_ERR_FAILED where a pivot is not positive (cholesky), or 0 (solve
///         with a full matrix): without TN_KEEP_ON_FAIL the expression and what is built on it is TN_ERR_POISONED from then on;
///         TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT, TN_ERR_LIMIT, after which it can be tried again.
/// @note Threads: any; an expression is evaluated once. Blocks: while it computes. Allocates: from the pool of the left operand, or the thread's
///       current one; work space of a few numbers a row.
/// @since 0.1
/// @ingroup expr
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_expr_compute(
    expr: *mut tn_expr,
    flags: tn_compute_flags,
    out: *mut *mut tn_array,
) -> tn_status {
    enter("tn_expr_compute", || {
        let id = convert::id(expr, "expr")?;
        let out = Out::new(out, "out")?;
        let array = expr::compute(id, flags)?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(convert::handle(array)) };
        Ok(())
    })
}

/// Gives an expression back. Expressions that are built on it, and arrays computed from it, live on.
///
/// @param expr     The expression, also one that failed.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup expr
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_expr_release(expr: *mut tn_expr) -> tn_status {
    enter("tn_expr_release", || expr::release(convert::id(expr, "expr")?))
}

/// Says what computing an expression would do now: for each operation whether its result takes the place of an operand, or why not. A line a
/// node, or a graph for Graphviz. What other threads do, and what is released until then, may change it.
///
/// @param expr     The expression.
/// @param format   TN_EXPLAIN_TEXT or TN_EXPLAIN_DOT.
/// @param capacity The number of bytes at text.
/// @param[out] text The explanation with its NUL; what does not fit is cut off. NULL only with capacity 0.
/// @param[out] length The number of bytes of the whole explanation without the NUL; all of it fits into a larger capacity.
/// @return TN_OK, also where it does not fit; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for another format;
///         TN_ERR_IN_EXPRESSION while another thread computes a part of it; TN_ERR_NO_HOST_MEMORY.
/// @note Threads: any. Blocks: never. Allocates: memory of the call. Computes nothing.
/// @since 0.1
/// @ingroup expr
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_expr_explain(
    expr: *mut tn_expr,
    format: tn_explain_format,
    capacity: usize,
    text: *mut c_char,
    length: *mut usize,
) -> tn_status {
    enter("tn_expr_explain", || {
        let id = convert::id(expr, "expr")?;
        let mut text = TextOut::new(capacity, text, "text")?;
        let length = Out::new(length, "length")?;
        expr::explain(id, expr::Format::of(format), &mut |explained| {
            // SAFETY: writable by this function's documentation.
            unsafe {
                text.add(explained);
                length.write(text.length());
            }
        })
    })
}
