//! A library built without the Cargo feature `linalg`: operations that need whole matrices are refused, all others
//! compute. `cargo test --no-default-features --features managed --test no_linalg`.
#![cfg(all(feature = "managed", not(feature = "linalg")))]
#![allow(clippy::macro_metavars_in_unsafe)] // `out!` stands for a call of C: its arguments are the test's own pointers

#[macro_use]
mod support {
    #[macro_use]
    pub mod expr;
    pub mod random;
}

use support::expr::*;
use tenure::ffi::{expr::*, library::tn_option_set};
use tenure::types::*;

#[test]
fn whole_matrices_are_refused_and_diagonals_are_not() {
    let pool = pool();
    let numbers = Numbers::new(1).positive(3);
    let (m, d) = (array(pool, &[3, 3], TN_ORDER_C, &numbers), array(pool, &[3], TN_ORDER_C, &[1.0, 4.0, 9.0]));
    let (x, diagonal): (Expr, Expr) = (leaf(m), out!(tn_expr_leaf(d, TN_FORM_DIAGONAL)));
    let triangle: Expr = out!(tn_expr_leaf(m, TN_FORM_LOWER));
    for status in [
        status!(tn_expr_cholesky(x)),
        status!(tn_expr_lu(x)),
        status!(tn_expr_solve(x, x)),
        status!(tn_expr_solve(triangle, x)),
        status!(tn_expr_multiply(x, x)),
        status!(tn_expr_multiply(triangle, x)),
    ] {
        assert_eq!(status, TN_ERR_UNSUPPORTED);
        assert!(last_error().contains("feature \"linalg\""), "{}", last_error());
    }
    let scaled: Expr = out!(tn_expr_multiply(diagonal, x));
    let v = finish(scaled);
    let expected: Vec<f64> = numbers.iter().enumerate().map(|(at, value)| [1.0, 4.0, 9.0][at / 3] * value).collect();
    assert_same(&read(v), &expected);
    let root: Expr = out!(tn_expr_cholesky(diagonal));
    let w = finish(root);
    assert_same(&read(w), &[1.0, 2.0, 3.0]);
    [x, triangle, diagonal].into_iter().for_each(drop_expr);
    [v, w, m, d].into_iter().for_each(drop_array);
    end(pool);
}

#[test]
fn openblas_is_refused() {
    // SAFETY: two texts.
    assert_eq!(unsafe { tn_option_set(c"expr.blas".as_ptr(), c"openblas".as_ptr()) }, TN_ERR_UNSUPPORTED);
    assert!(last_error().contains("feature \"linalg\""), "{}", last_error());
    // SAFETY: two texts.
    ok(unsafe { tn_option_set(c"expr.blas".as_ptr(), c"faer".as_ptr()) });
}
