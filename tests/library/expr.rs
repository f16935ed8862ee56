//! Expressions: how many results overwrite an operand, and the result of each operation, in place and not.

use crate::out;
use crate::status;
use crate::support;
use std::ptr::null_mut;
use support::expr::*;
use tenure::ffi::{array::*, borrow::*, expr::*};
use tenure::types::*;
use tenure_harness::test;

/// The parameters of a callee.
#[derive(Clone, Copy)]
enum Passed {
    Plain(Array),
    Given(Array),
}

use Passed::{Given, Plain};

/// A callee that takes its parameters: they are its own, and it releases them when it is done.
fn enter(passed: Passed) -> Array {
    match passed {
        Plain(array) => clone(array),
        Given(array) => {
            let taken = take(give(array));
            drop_array(array); // destructed: only its id is left
            taken
        }
    }
}

/// A leaf with the form that matches the array's shape.
fn any_leaf(array: Array) -> Expr {
    if info(array).ndim == 1 { diagonal(array) } else { leaf(array) }
}

/// L * u with L = cholesky(M1 + M2), as an expression; the parameters and all other nodes are released.
fn build_v(m1: Passed, m2: Passed, u: Passed) -> Expr {
    let (m1, m2, u) = (enter(m1), enter(m2), enter(u));
    let (x, y, z) = (any_leaf(m1), any_leaf(m2), leaf(u));
    let sum: Expr = out!(tn_expr_add(x, y));
    let factor: Expr = out!(tn_expr_cholesky(sum));
    let v: Expr = out!(tn_expr_multiply(factor, z));
    [x, y, z, sum, factor].into_iter().for_each(drop_expr);
    [m1, m2, u].into_iter().for_each(drop_array);
    v
}

fn compute_v(m1: Passed, m2: Passed, u: Passed) -> Array {
    finish(build_v(m1, m2, u))
}

fn compute_both_v(x: Passed, y1: Passed, y2: Passed, u1: Array, u2: Array) -> (Array, Array) {
    let (x, y1, y2) = (enter(x), enter(y1), enter(y2));
    let v1 = compute_v(Plain(x), Given(y1), Plain(u1));
    let v2 = compute_v(Given(x), Given(y2), Plain(u2));
    (v1, v2)
}

/// A, D1, D2, u1, u2 of one pool, and the results.
struct Problem {
    pool: *mut tn_pool,
    a: Array,
    d: [Array; 2],
    u: [Array; 2],
    values: [Vec<f64>; 5],
}

impl Problem {
    fn new() -> Problem {
        Problem::of(TN_ORDER_C)
    }

    fn of(order: u32) -> Problem {
        let n = N as usize;
        let mut numbers = Numbers::new(7);
        let a = numbers.positive(n);
        let mut rest = || numbers.vector(n);
        let (d1, d2) = (rest(), rest());
        let d1: Vec<f64> = d1.iter().map(|x| x * x).collect();
        let d2: Vec<f64> = d2.iter().map(|x| x * x + 1.0).collect();
        let (u1, u2) = (rest(), rest());
        let pool = pool();
        let vector = |values: &[f64]| array(pool, &[N], TN_ORDER_C, values);
        Problem {
            pool,
            a: array(pool, &[N, N], order, &a),
            d: [vector(&d1), vector(&d2)],
            u: [vector(&u1), vector(&u2)],
            values: [a, d1, d2, u1, u2],
        }
    }

    /// cholesky(A + D) * u, in scalar loops.
    fn expected(&self, which: usize) -> Vec<f64> {
        let n = N as usize;
        let sum = naive::with_diagonal(&self.values[0], &self.values[1 + which], 1.0);
        naive::matmul(&naive::cholesky(&sum, n), &self.values[3 + which], n, n, 1)
    }

    /// The result of EX-10, computed while all arrays are held and so not in place.
    fn reference(&self, which: usize) -> Vec<f64> {
        let v = compute_v(Plain(self.a), Plain(self.d[which]), Plain(self.u[which]));
        let values = read(v);
        assert_near(&values, &self.expected(which));
        drop_array(v);
        values
    }

    fn v(&self) -> Expr {
        build_v(Plain(self.a), Plain(self.d[0]), Plain(self.u[0]))
    }
}

#[track_caller]
fn assert_figures(figures: Figures, allocations: i64, peak: i64, live: i64) {
    assert_eq!(figures, Figures { allocations, peak, live });
}

fn end_all(pool: *mut tn_pool, arrays: &[Array]) {
    arrays.iter().copied().for_each(drop_array);
    end(pool);
}

#[test]
fn ex_10_all_held() {
    for order in [TN_ORDER_C, TN_ORDER_F] {
        let p = Problem::of(order);
        let before = [read(p.a), read(p.d[0]), read(p.u[0])];
        let e = p.v();
        let (figures, v) = measure(p.pool, || finish(e));
        assert_figures(figures, 2, BLOCK + ROW, ROW);
        assert_near(&read(v), &p.expected(0));
        for (array, values) in [p.a, p.d[0], p.u[0]].into_iter().zip(before) {
            assert_same(&read(array), &values);
            assert_eq!(why(array), 0);
        }
        end_all(p.pool, &[v, p.a, p.d[0], p.d[1], p.u[0], p.u[1]]);
    }
}

#[test]
fn ex_11_matrix_and_diagonal_released() {
    for order in [TN_ORDER_C, TN_ORDER_F] {
        let p = Problem::of(order);
        let same = p.reference(0);
        let e = p.v();
        drop_array(p.a);
        drop_array(p.d[0]);
        let (figures, v) = measure(p.pool, || finish(e));
        assert_figures(figures, 1, 0, -BLOCK);
        assert_same(&read(v), &same);
        end_all(p.pool, &[v, p.d[1], p.u[0], p.u[1]]);
    }
}

#[test]
fn ex_12_only_the_diagonal_released() {
    let p = Problem::new();
    let same = p.reference(0);
    let e = p.v();
    drop_array(p.d[0]);
    let (figures, v) = measure(p.pool, || finish(e));
    assert_figures(figures, 2, BLOCK, 0);
    assert_same(&read(v), &same);
    end_all(p.pool, &[v, p.a, p.d[1], p.u[0], p.u[1]]);
}

/// EX-13..16: something else holds the released matrix.
fn held_otherwise<T>(hold: impl FnOnce(Array) -> T, let_go: impl FnOnce(T)) {
    let p = Problem::new();
    let same = p.reference(0);
    let other = hold(p.a);
    let e = p.v();
    drop_array(p.a);
    drop_array(p.d[0]);
    let (figures, v) = measure(p.pool, || finish(e));
    assert_figures(figures, 2, BLOCK, 0);
    assert_same(&read(v), &same);
    let_go(other);
    end_all(p.pool, &[v, p.d[1], p.u[0], p.u[1]]);
}

#[test]
fn ex_13_a_clone_alive() {
    held_otherwise(clone, drop_array);
}

#[test]
fn ex_14_a_view_alive() {
    held_otherwise(|a| row(a, 3), drop_array);
}

#[test]
fn ex_15_an_export_alive() {
    for class in [0, TN_EXPORT_WRITABLE] {
        held_otherwise(|a| export(a, class), |guard| ok(tn_borrow_end(guard, 0, null_mut())));
    }
}

#[test]
fn ex_16_a_read_guard_open() {
    held_otherwise(reading, |guard| ok(tn_borrow_end(guard, 0, null_mut())));
}

#[test]
fn ex_17_a_weak_handle_does_not_keep_the_bytes() {
    let p = Problem::new();
    let same = p.reference(0);
    let weak: *mut tn_weak = out!(tn_array_weaken(p.a));
    let e = p.v();
    drop_array(p.a);
    drop_array(p.d[0]);
    let (figures, v) = measure(p.pool, || finish(e));
    assert_figures(figures, 1, 0, -BLOCK);
    assert_same(&read(v), &same);
    assert_eq!(status!(tn_weak_upgrade(weak)), TN_ERR_DESTRUCTED);
    ok(tn_weak_release(weak));
    end_all(p.pool, &[v, p.d[1], p.u[0], p.u[1]]);
}

#[test]
fn ex_20_both_v_with_all_given() {
    let p = Problem::new();
    let same = [p.reference(0), p.reference(1)];
    let (figures, (v1, v2)) =
        measure(p.pool, || compute_both_v(Given(p.a), Given(p.d[0]), Given(p.d[1]), p.u[0], p.u[1]));
    assert_figures(figures, 3, BLOCK, -BLOCK);
    assert_same(&read(v1), &same[0]);
    assert_same(&read(v2), &same[1]);
    end_all(p.pool, &[v1, v2, p.u[0], p.u[1]]);
}

#[test]
fn ex_21_both_v_the_other_way_round() {
    let p = Problem::new();
    let (figures, (v1, v2)) =
        measure(p.pool, || compute_both_v(Plain(p.d[0]), Given(p.a), Given(p.d[1]), p.u[0], p.u[1]));
    // The second call adds diagonals, and its factor is diagonal too. The caller holds D1, so X is shared and D2 takes
    // the sum.
    assert_figures(figures, 2, ROW, -BLOCK + ROW);
    assert_near(&read(v1), &p.expected(0));
    let n = N as usize;
    let expected: Vec<f64> = (0..n).map(|i| (p.values[1][i] + p.values[2][i]).sqrt() * p.values[4][i]).collect();
    assert_same(&read(v2), &expected);
    end_all(p.pool, &[v1, v2, p.d[0], p.u[0], p.u[1]]);
}

#[test]
fn ex_22_both_v_without_any_give() {
    let p = Problem::new();
    let both = |x: Array, y1: Array, y2: Array| {
        (compute_v(Plain(x), Plain(y1), Plain(p.u[0])), compute_v(Plain(x), Plain(y2), Plain(p.u[1])))
    };
    let same = [p.reference(0), p.reference(1)];
    let (figures, (v1, v2)) = measure(p.pool, || both(p.a, p.d[0], p.d[1]));
    assert_figures(figures, 4, BLOCK + 2 * ROW, 2 * ROW);
    assert_same(&read(v1), &same[0]);
    assert_same(&read(v2), &same[1]);
    end_all(p.pool, &[v1, v2, p.a, p.d[0], p.d[1], p.u[0], p.u[1]]);
}

#[test]
fn ex_23_expressions_returned() {
    let p = Problem::new();
    let same = [p.reference(0), p.reference(1)];
    let (figures, (v1, v2)) = measure(p.pool, || {
        let (x, y1, y2) = (enter(Given(p.a)), enter(Given(p.d[0])), enter(Given(p.d[1])));
        let e1 = build_v(Plain(x), Given(y1), Plain(p.u[0]));
        let e2 = build_v(Given(x), Given(y2), Plain(p.u[1]));
        // Everything is released except what the expressions need: the first still shares A with the second.
        (finish(e1), finish(e2))
    });
    assert_figures(figures, 3, BLOCK, -BLOCK);
    assert_same(&read(v1), &same[0]);
    assert_same(&read(v2), &same[1]);
    end_all(p.pool, &[v1, v2, p.u[0], p.u[1]]);
}

#[test]
fn ex_24_a_clone_of_a_given_array() {
    let p = Problem::new();
    let same = p.reference(0);
    let b = clone(p.a);
    let (figures, v) = measure(p.pool, || compute_v(Given(p.a), Plain(p.d[0]), Plain(p.u[0])));
    assert_figures(figures, 2, BLOCK + ROW, ROW);
    assert_same(&read(v), &same);
    end_all(p.pool, &[v, b, p.d[0], p.d[1], p.u[0], p.u[1]]);
}

#[test]
fn ex_25_matrix_given() {
    let p = Problem::new();
    let same = p.reference(0);
    let (figures, v) = measure(p.pool, || compute_v(Given(p.a), Plain(p.d[0]), Plain(p.u[0])));
    assert_figures(figures, 1, ROW, -BLOCK + ROW);
    assert_same(&read(v), &same);
    end_all(p.pool, &[v, p.d[0], p.d[1], p.u[0], p.u[1]]);
}

#[test]
fn ex_26_only_the_matrix_released() {
    let p = Problem::new();
    let same = p.reference(0);
    let e = p.v();
    drop_array(p.a);
    let (figures, v) = measure(p.pool, || finish(e));
    assert_figures(figures, 1, ROW, -BLOCK + ROW);
    assert_same(&read(v), &same);
    end_all(p.pool, &[v, p.d[0], p.d[1], p.u[0], p.u[1]]);
}

#[test]
fn ex_27_matrix_and_vector_given() {
    let p = Problem::new();
    let same = p.reference(0);
    let (figures, v) = measure(p.pool, || compute_v(Given(p.a), Plain(p.d[0]), Given(p.u[0])));
    assert_figures(figures, 0, 0, -BLOCK);
    assert_same(&read(v), &same);
    end_all(p.pool, &[v, p.d[0], p.d[1], p.u[1]]);
}

#[test]
fn ex_28_kept_for_a_failure() {
    let p = Problem::new();
    let same = p.reference(0);
    let e = p.v();
    drop_array(p.a);
    drop_array(p.d[0]);
    let (figures, v) = measure(p.pool, || {
        let v: Array = out!(tn_expr_compute(e, TN_KEEP_ON_FAIL));
        drop_expr(e);
        v
    });
    assert_figures(figures, 2, BLOCK + ROW, -BLOCK);
    assert_same(&read(v), &same);
    end_all(p.pool, &[v, p.d[1], p.u[0], p.u[1]]);
}

#[test]
fn ex_29_the_kept_factor_lives_in_the_matrix() {
    let p = Problem::new();
    let same = p.reference(0);
    let place = address(p.a);
    let weak: *mut tn_weak = out!(tn_array_weaken(p.a));
    let (x, y, z) = (leaf(p.a), diagonal(p.d[0]), leaf(p.u[0]));
    let sum: Expr = out!(tn_expr_add(x, y));
    let factor: Expr = out!(tn_expr_cholesky(sum));
    let v: Expr = out!(tn_expr_multiply(factor, z));
    [x, y, z, sum].into_iter().for_each(drop_expr);
    drop_array(p.a);
    drop_array(p.d[0]);
    let (figures, v) = measure(p.pool, || finish(v));
    assert_figures(figures, 1, 0, 0);
    assert_same(&read(v), &same);
    assert_eq!(status!(tn_weak_upgrade(weak)), TN_ERR_DESTRUCTED);
    ok(tn_weak_release(weak));
    let l = finish(factor);
    assert_eq!(address(l), place);
    let sum = naive::with_diagonal(&p.values[0], &p.values[1], 1.0);
    assert_near(&read(l), &naive::cholesky(&sum, N as usize));
    end_all(p.pool, &[l, v, p.d[1], p.u[0], p.u[1]]);
}
