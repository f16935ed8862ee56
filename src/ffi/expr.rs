//! Section "expr": lazy expressions, which are computed once and reuse the memory of operands that have no other user.

use crate::boundary::enter;
use crate::expr::{self, Arguments};
use crate::ffi::convert::{self, Out, TextOut};
use crate::ledger::Operation;
use crate::slots::Id;
use crate::types::*;
use core::ffi::c_char;

/// Makes a leaf of an expression from an array. The leaf is another claim on the store and reads it until it is no
/// longer needed; the array may be released at once. Meanwhile, a write that would change the leaf's elements is
/// TN_ERR_IN_EXPRESSION.
///
/// @param array    An array of float32 or float64 whose address and strides are multiples of the element's size.
/// @param form     TN_FORM_OF_HANDLE: the form that `tn_array_set_form` or a computation gave the array. Any other form
///                 takes the place of that one for this leaf. TN_FORM_FULL, TN_FORM_MATRIX: all elements.
///                 TN_FORM_DIAGONAL: the vector is the diagonal of a matrix that is 0 elsewhere. TN_FORM_LOWER,
///                 TN_FORM_UPPER: of a square matrix, the elements above, or below, the diagonal are not read and
///                 count as 0.
/// @param[out] out The expression. Released by `tn_expr_release`, at any time. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for another form; TN_ERR_DESTRUCTED,
///         TN_ERR_GIVEN; TN_ERR_DTYPE; TN_ERR_SHAPE; TN_ERR_LAYOUT; TN_ERR_DEVICE for bytes that the host cannot
///         access; as for a read by the host: TN_ERR_POISONED, TN_ERR_BORROWED_WRITE, TN_ERR_EXPORTED for an exclusive
///         export, TN_ERR_PENDING while a device writes the bytes; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
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

/// Makes the sum x + y. Two operands of one form give that form. A diagonal and another form give the other form. All
/// else gives full. The result may overwrite the left operand, else the right one; of a diagonal and another form, only
/// the other one.
///
/// @param x        The left operand.
/// @param y        The right operand, of the same matrix shape and element type.
/// @param[out] out The expression. Released by `tn_expr_release`. The operands stay the caller's, and may be released
///                 at any time. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DTYPE; TN_ERR_SHAPE; TN_ERR_POISONED if an operand
///         failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
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

/// Makes the difference x - y, with the forms of `tn_expr_add`.
///
/// @param x        The left operand.
/// @param y        The right operand, of the same matrix shape and element type.
/// @param[out] out The expression. Released by `tn_expr_release`. The operands stay the caller's, and may be released
///                 at any time. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DTYPE; TN_ERR_SHAPE; TN_ERR_POISONED if an operand
///         failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
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

/// Makes the product of a matrix and a matrix or vector. Two matrices give the form of their sum. The result may
/// overwrite either of two diagonals; of a diagonal and another operand, the other one; x if m is a triangle or factors,
/// and m if it is full and x is a triangle. The product of two full operands overwrites neither.
///
/// @param m        A matrix of any form, or factors that `tn_expr_lu` made.
/// @param x        A matrix of any form, or a vector.
/// @param[out] out The expression. Released by `tn_expr_release`. The operands stay the caller's, and may be released
///                 at any time. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DTYPE; TN_ERR_SHAPE; TN_ERR_UNSUPPORTED if the library
///         was built without the Cargo feature `linalg` and no operand is diagonal; TN_ERR_POISONED if an operand
///         failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
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

/// Makes the lower Cholesky factor of a symmetric positive definite matrix. Only the lower triangle is read, and
/// elements of the factor above the diagonal are 0. The factor of a diagonal matrix is diagonal: its square roots. The
/// result may overwrite x.
///
/// @param x        A full square matrix, or a diagonal one.
/// @param[out] out The expression. Released by `tn_expr_release`. The operands stay the caller's, and may be released
///                 at any time. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_SHAPE; TN_ERR_UNSUPPORTED for a triangle, and if the
///         library was built without the Cargo feature `linalg` and x is not diagonal; TN_ERR_POISONED if an operand
///         failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
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

/// Makes the LU factors of a square matrix, with partial pivoting, for several uses: `tn_expr_solve` with them as m
/// solves the equations of x, `tn_expr_multiply` with them as m multiplies by x, `tn_expr_transpose` makes them those of
/// the transpose, and `tn_expr_lu_part` shows them. None of these factors while their expression is kept. Other
/// operations and `tn_expr_compute` refuse them. A diagonal or a triangle solves as it is, so its factors are the matrix
/// itself. The factors of a full matrix may overwrite x.
///
/// @param x        A square matrix of any form.
/// @param[out] out The expression, of form TN_FORM_FACTORS for a full x. Released by `tn_expr_release`. The operands stay
///                 the caller's, and may be released at any time. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_SHAPE; TN_ERR_UNSUPPORTED for factors, and if the
///         library was built without the Cargo feature `linalg` and x is full; TN_ERR_POISONED if an operand failed;
///         TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
/// @since 0.1
/// @ingroup expr
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_expr_lu(x: *mut tn_expr, out: *mut *mut tn_expr) -> tn_status {
    enter("tn_expr_lu", || {
        let operands = [(convert::id(x, "x")?, "x")];
        let out = Out::new(out, "out")?;
        let node = expr::operation(Ok(Operation::Lu), &operands, Arguments::default())?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(convert::handle(node)) };
        Ok(())
    })
}

/// Makes a part of LU factors: with P, L and U, the matrix is P * L * U. L has ones on its diagonal. A lower triangle is
/// its own L, an upper one or a diagonal its own U, and their other parts are identities of diagonal form. L or U may
/// overwrite the factors, if nothing else needs them.
///
/// @param factors  Factors that `tn_expr_lu` made, or a square matrix, as whose factors those of `tn_expr_lu` count. Not
///                 the transpose of factors: transpose their parts.
/// @param part     TN_LU_P, TN_LU_L or TN_LU_U.
/// @param[out] out The expression: full, lower and upper. Released by `tn_expr_release`. The operands stay the caller's,
///                 and may be released at any time. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for another part; TN_ERR_SHAPE;
///         TN_ERR_UNSUPPORTED for transposed factors, and if the library was built without the Cargo feature `linalg`
///         and the matrix is full; TN_ERR_POISONED if an operand failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
/// @since 0.1
/// @ingroup expr
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_expr_lu_part(factors: *mut tn_expr, part: tn_lu_part, out: *mut *mut tn_expr) -> tn_status {
    enter("tn_expr_lu_part", || {
        let operands = [(convert::id(factors, "factors")?, "factors")];
        let out = Out::new(out, "out")?;
        let arguments = Arguments { axis: part as i32, ..Arguments::default() };
        let node = expr::operation(Ok(Operation::LuPart), &operands, arguments)?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(convert::handle(node)) };
        Ok(())
    })
}

/// Makes the solution x of m * x = b. It is computed by forward substitution for a lower m, backward substitution for
/// an upper one, division for a diagonal m, and with its factors for a full m, as by `tn_expr_lu`. Two matrices give the
/// form of their sum. The computation may overwrite b, unless b alone is diagonal, and the factorisation also m.
///
/// @param m        A square matrix of any form, or factors that `tn_expr_lu` made.
/// @param b        A vector, or a matrix of any form.
/// @param[out] out The expression. Released by `tn_expr_release`. The operands stay the caller's, and may be released
///                 at any time. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DTYPE; TN_ERR_SHAPE; TN_ERR_UNSUPPORTED if b are
///         factors, and if the library was built without the Cargo feature `linalg` and m is not diagonal;
///         TN_ERR_POISONED if an operand failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
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

/// Makes the product of x and a number, in the form of x. The result may overwrite x.
///
/// @param x        Any expression.
/// @param factor   The number, which is rounded to the element type.
/// @param[out] out The expression. Released by `tn_expr_release`. The operands stay the caller's, and may be released
///                 at any time. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_SHAPE; TN_ERR_POISONED if an operand
///         failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
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

/// Makes the transpose of x: another view of its bytes, which moves no element.
///
/// @param x        A matrix, or factors that `tn_expr_lu` made: the result are those of the transpose.
/// @param[out] out The expression. Released by `tn_expr_release`. The operands stay the caller's, and may be released
///                 at any time. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_SHAPE; TN_ERR_POISONED if an operand
///         failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
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

/// Makes the sum over one axis or over all axes, of a diagonal matrix too. The zeros of a triangle are written out
/// first, as by `tn_expr_dense`.
///
/// The order of the additions, and so the rounding, depends on the layout. Adjacent elements are added in eight
/// interleaved partial sums; otherwise slices are added one after the other.
///
/// @param x        Any expression; a diagonal has two axes.
/// @param axis     The axis to sum over; a negative one counts from the end. TN_ALL_AXES: the result has one element
///                 and no axes.
/// @param[out] out The expression. Released by `tn_expr_release`. The operands stay the caller's, and may be released
///                 at any time. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_RANGE; TN_ERR_SHAPE; TN_ERR_POISONED if an operand
///         failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
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

/// Makes an operation that is applied element by element to operands of any shape; two operands have equal shapes.
/// Matrices may have any form. A sum or difference has the form of `tn_expr_add`. A product has the elements that both
/// operands have: a diagonal times a full matrix is a diagonal. TN_EXPR_NEGATE and TN_EXPR_SQRT keep the form. For the
/// others the zeros of an operand are written out first, as by `tn_expr_dense`. The result may overwrite x, else y, if
/// it has that operand's number of elements.
///
/// @param op       With two operands TN_EXPR_ADD, TN_EXPR_SUBTRACT, TN_EXPR_MULTIPLY or TN_EXPR_DIVIDE; with one
///                 TN_EXPR_NEGATE, TN_EXPR_SQRT, TN_EXPR_EXP or TN_EXPR_LOG.
/// @param x        The left or only operand.
/// @param y        The right operand. NULL only for an operation with one operand.
/// @param[out] out The expression. Released by `tn_expr_release`. The operands stay the caller's, and may be released
///                 at any time. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an unknown op, a missing y or a
///         superfluous y; TN_ERR_DTYPE; TN_ERR_SHAPE; TN_ERR_POISONED if an operand failed; TN_ERR_LIMIT,
///         TN_ERR_NO_HOST_MEMORY.
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

/// Makes the matrix of x with all its elements, also the zeros of a diagonal or a triangle, in full form. The result
/// may overwrite x, unless x is a diagonal. A copy to new bytes is counted in the statistics of copies
/// (`tn_copies_query`).
///
/// Operations that read the zeros of a form (division, exp, log, and the sum of a triangle) do this to their operand
/// themselves. That is a copy that the caller did not ask for: with `tn_copies_forbid`, computing it is
/// TN_ERR_WOULD_COPY.
///
/// @param x        Any expression.
/// @param[out] out The expression. Released by `tn_expr_release`. The operands stay the caller's, and may be released
///                 at any time. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_POISONED if the operand failed; TN_ERR_LIMIT,
///         TN_ERR_NO_HOST_MEMORY.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
/// @since 0.1
/// @ingroup expr
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_expr_dense(x: *mut tn_expr, out: *mut *mut tn_expr) -> tn_status {
    enter("tn_expr_dense", || {
        let operands = [(convert::id(x, "x")?, "x")];
        let out = Out::new(out, "out")?;
        let node = expr::operation(Ok(Operation::Dense), &operands, Arguments::default())?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(convert::handle(node)) };
        Ok(())
    })
}

/// Describes the array that an expression makes: its type, its form and its shape. Computes nothing.
///
/// @param expr         An expression, also one that failed.
/// @param[out] info    The struct to fill, with `size` set by the caller. As much as fits is filled; of shape, only the
///                     first ndim entries. A diagonal matrix of n rows has the shape of its n values. On failure:
///                     untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a wrong size.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup expr
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_expr_query(expr: *mut tn_expr, info: *mut tn_expr_info) -> tn_status {
    enter("tn_expr_query", || {
        let id = convert::id(expr, "expr")?;
        // SAFETY: a struct of that size, by this function's documentation.
        let info = unsafe { convert::fill(info, "info")? };
        expr::query(id, |dtype, form, shape| {
            let info = info?;
            let mut value = <tn_expr_info as convert::VersionedStruct>::defaults();
            (value.dtype, value.form, value.ndim) = (dtype.raw(), form.raw(), shape.len() as i32);
            // SAFETY: checked by `fill`, and writable by this function's documentation.
            unsafe {
                info.write(&value, core::mem::offset_of!(tn_expr_info, shape));
                info.write_numbers(core::mem::offset_of!(tn_expr_info, shape), shape);
            }
            Ok(())
        })
    })
}

/// Computes an expression, and makes an array of its value, which has the form that `tn_expr_explain` tells. Nodes
/// without a value are computed once each, on the calling thread, operands first and left before right. An operation
/// overwrites an operand, instead of allocating, if no other claim holds the operand's bytes; `tn_expr_explain` says
/// where and why. An intermediate value is released after its last use, unless the caller still has the handle of its
/// expression.
///
/// @param expr     The expression.
/// @param flags    TN_KEEP_ON_FAIL: a failure leaves all arrays and expressions as they were, so no existing array is
///                 overwritten. All nodes of the computation are TN_ERR_IN_EXPRESSION for other threads until the call
///                 returns; without the flag, each node until it has its value.
/// @param[out] out The array, another claim on the expression's value. Released by `tn_array_release`. On failure:
///                 untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_UNSUPPORTED for factors that
///         `tn_expr_lu` made; TN_ERR_POISONED if the expression failed before; TN_ERR_IN_EXPRESSION while another thread computes a part of it; TN_ERR_PENDING while a device uses
///         bytes that the call reads or would overwrite; TN_ERR_FAILED if a pivot of cholesky is not positive, or one
///         of lu is 0: without TN_KEEP_ON_FAIL, the expression and those built on it are TN_ERR_POISONED from then on;
///         TN_ERR_WOULD_COPY under `tn_copies_forbid`, see `tn_expr_dense`;
///         TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT, TN_ERR_LIMIT. After TN_ERR_PENDING, and for lack of memory or
///         handles, the call can be repeated.
/// @note Threads: any; an expression is evaluated once. Blocks: while it computes. Allocates: from the pool of the left
///       operand, or the thread's current pool; and a workspace of a few numbers per row.
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

/// Releases an expression. Expressions built on it and arrays computed from it stay valid.
///
/// @param expr     The expression, also one that failed. It is released exactly once.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup expr
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_expr_release(expr: *mut tn_expr) -> tn_status {
    enter("tn_expr_release", || expr::release(convert::id(expr, "expr")?))
}

/// Explains what computing an expression would do now: for each operation, which operand its result overwrites, or why
/// none. The text has one line per node, or is a graph for Graphviz. Releases and other threads can change the result
/// before the computation.
///
/// @param expr     The expression.
/// @param format   TN_EXPLAIN_TEXT or TN_EXPLAIN_DOT.
/// @param capacity The number of bytes at text.
/// @param[out] text The explanation with its NUL, cut off where it does not fit. NULL only with capacity 0.
/// @param[out] length The number of bytes of the whole explanation without its NUL.
/// @return TN_OK, also if the text did not fit; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for another
///         format; TN_ERR_IN_EXPRESSION while another thread computes a part of it; TN_ERR_NO_HOST_MEMORY.
/// @note Threads: any. Blocks: never. Allocates: temporary memory. Computes nothing.
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
