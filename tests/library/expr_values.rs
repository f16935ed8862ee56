//! Expressions: the result of every operation against scalar loops, for each form and layout of its operands; in place
//! and not, with equal bits.

use crate::out;
use crate::status;
use crate::support;
use std::ptr::null_mut;
use support::expr::*;
use tenure::ffi::{expr::*, view::*};
use tenure::types::*;
use tenure_harness::test;

/// The layout of an operand's array.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Lie {
    C,
    F,
    /// Every other element of a larger array, along each axis: never overwritten.
    Strided,
}

const LIES: [Lie; 3] = [Lie::C, Lie::F, Lie::Strided];

/// An array with these values (in C order) in that layout.
fn lying(pool: *mut tn_pool, lie: Lie, shape: &[i64], values: &[f64]) -> Array {
    match lie {
        Lie::C => array(pool, shape, TN_ORDER_C, values),
        Lie::F => array(pool, shape, TN_ORDER_F, values),
        Lie::Strided => {
            let twice: Vec<i64> = shape.iter().map(|n| 2 * n).collect();
            let all = twice.iter().product::<i64>() as usize;
            let large = array(pool, &twice, TN_ORDER_C, &vec![f64::NAN; all]);
            let specs: Vec<tn_slice_spec> =
                twice.iter().map(|n| tn_slice_spec { start: 0, stop: *n, step: 2, reserved: [0; 4] }).collect();
            let view: Array = out!(tn_array_slice(large, specs.len(), specs.as_ptr()));
            drop_array(large);
            write(view, values);
            view
        }
    }
}

type Build<'a> = &'a dyn Fn(&[Array]) -> Expr;

/// Computes with all arrays held, then with them released. Compares the two bit by bit, and with `expected`.
#[track_caller]
fn both_ways(what: &str, pool: *mut tn_pool, make: &dyn Fn() -> Vec<Array>, build: Build<'_>, expected: &[f64]) {
    let held = make();
    let before: Vec<Vec<f64>> = held.iter().map(|a| read(*a)).collect();
    let value = finish(build(&held));
    let apart = read(value);
    println!("{what}"); // shown if it fails
    assert_near(&apart, expected);
    for (array, before) in held.iter().zip(&before) {
        assert_same(&read(*array), before);
        assert_eq!(why(*array), 0, "{what}: what is held is free again");
    }
    drop_array(value);
    held.into_iter().for_each(drop_array);
    let given = make();
    let e = build(&given);
    given.into_iter().for_each(drop_array);
    let value = finish(e);
    assert_same(&read(value), &apart);
    drop_array(value);
    assert_eq!(stats(pool).live_blocks, 0, "{what}");
}

/// A node over operands that are released with it.
fn over(operands: &[Expr], node: Expr) -> Expr {
    operands.iter().copied().for_each(drop_expr);
    node
}

#[test]
fn elementwise_operations_are_those_of_plain_loops() {
    let pool = pool();
    let mut numbers = Numbers::new(1);
    type Two = fn(f64, f64) -> f64;
    type One = fn(f64) -> f64;
    let two: [(u32, Two); 4] = [
        (TN_EXPR_ADD, |x, y| x + y),
        (TN_EXPR_SUBTRACT, |x, y| x - y),
        (TN_EXPR_MULTIPLY, |x, y| x * y),
        (TN_EXPR_DIVIDE, |x, y| x / y),
    ];
    let one: [(u32, One); 4] =
        [(TN_EXPR_NEGATE, |x| -x), (TN_EXPR_SQRT, f64::sqrt), (TN_EXPR_EXP, f64::exp), (TN_EXPR_LOG, f64::ln)];
    for shape in [&[][..], &[1], &[7], &[40], &[5, 9], &[3, 4, 5], &[2, 1, 3, 2, 3], &[0, 3]] {
        let count = shape.iter().product::<i64>() as usize;
        let (x, y) = (numbers.vector(count), numbers.vector(count));
        for lies in LIES.iter().flat_map(|a| LIES.map(|b| [*a, b])) {
            if count == 0 && lies.contains(&Lie::Strided) {
                continue;
            }
            let make = || vec![lying(pool, lies[0], shape, &x), lying(pool, lies[1], shape, &y)];
            for (op, f) in two {
                let expected: Vec<f64> = x.iter().zip(&y).map(|(x, y)| f(*x, *y)).collect();
                let build = |arrays: &[Array]| {
                    let (a, b) = (leaf(arrays[0]), leaf(arrays[1]));
                    over(&[a, b], out!(tn_expr_elementwise(op, a, b)))
                };
                both_ways(&format!("{op} {shape:?} {lies:?}"), pool, &make, &build, &expected);
            }
        }
        for lie in LIES {
            if count == 0 && lie == Lie::Strided {
                continue;
            }
            let make = || vec![lying(pool, lie, shape, &x)];
            for (op, f) in one {
                let expected: Vec<f64> = x.iter().map(|x| f(*x)).collect();
                let build = |arrays: &[Array]| {
                    let a = leaf(arrays[0]);
                    over(&[a], out!(tn_expr_elementwise(op, a, null_mut())))
                };
                both_ways(&format!("{op} {shape:?} {lie:?}"), pool, &make, &build, &expected);
            }
            let expected: Vec<f64> = x.iter().map(|x| x * 2.5).collect();
            let build = |arrays: &[Array]| {
                let a = leaf(arrays[0]);
                over(&[a], out!(tn_expr_scale(a, 2.5)))
            };
            both_ways("scale", pool, &make, &build, &expected);
        }
    }
    end(pool);
}

#[test]
fn sums_over_each_axis() {
    let pool = pool();
    let mut numbers = Numbers::new(2);
    for shape in [&[6i64][..], &[5, 9], &[3, 4, 19], &[2, 3, 2, 2, 3], &[0, 3], &[3, 0]] {
        let count = shape.iter().product::<i64>() as usize;
        let x = numbers.vector(count);
        for axis in 0..shape.len() {
            let inner = shape[axis + 1..].iter().product::<i64>() as usize;
            let length = shape[axis] as usize;
            let outer = shape[..axis].iter().product::<i64>() as usize;
            let mut expected = vec![0.0; outer * inner];
            for a in 0..outer {
                for k in 0..length {
                    for b in 0..inner {
                        expected[a * inner + b] += x[(a * length + k) * inner + b];
                    }
                }
            }
            for lie in if count == 0 { vec![Lie::C] } else { LIES.to_vec() } {
                for axis in [axis as i32, axis as i32 - shape.len() as i32] {
                    let make = || vec![lying(pool, lie, shape, &x)];
                    let build = |arrays: &[Array]| {
                        let a = leaf(arrays[0]);
                        over(&[a], out!(tn_expr_sum(a, axis)))
                    };
                    both_ways(&format!("sum {shape:?} {axis} {lie:?}"), pool, &make, &build, &expected);
                }
            }
        }
    }
    let vector = array(pool, &[3], TN_ORDER_C, &[1.0, 2.0, 3.0]);
    let x = leaf(vector);
    assert_eq!(status!(tn_expr_sum(x, TN_ALL_AXES + 1)), TN_ERR_RANGE);
    assert_eq!(status!(tn_expr_sum(x, 1)), TN_ERR_RANGE);
    assert_eq!(status!(tn_expr_sum(x, -2)), TN_ERR_RANGE);
    drop_expr(x);
    drop_array(vector);
    end(pool);
}

/// EX-10 and the following rows: equal bits in place and not. The stride of an axis with one element means nothing.
#[test]
fn a_sum_of_one_element_keeps_its_sign() {
    let pool = pool();
    for (shape, axis) in [([1i64, 3], 0), ([3, 1], 1)] {
        for lie in LIES {
            for held in [true, false] {
                let a = lying(pool, lie, &shape, &[0.0; 3]);
                let x = leaf(a);
                let scaled: Expr = out!(tn_expr_scale(x, -1.0));
                drop_expr(x);
                let sum = over(&[scaled], out!(tn_expr_sum(scaled, axis)));
                if !held {
                    drop_array(a);
                }
                let value = finish(sum);
                assert_same(&read(value), &[-0.0; 3]);
                drop_array(value);
                if held {
                    drop_array(a);
                }
            }
        }
    }
    end(pool);
}

#[test]
fn sums_over_all_axes() {
    let pool = pool();
    let mut numbers = Numbers::new(5);
    for shape in [&[][..], &[1i64], &[100], &[5, 9], &[3, 4, 19], &[2, 3, 2, 2, 3], &[0, 3], &[0]] {
        let count = shape.iter().product::<i64>() as usize;
        let x = numbers.vector(count);
        for lie in if count == 0 { vec![Lie::C] } else { LIES.to_vec() } {
            let make = || vec![lying(pool, lie, shape, &x)];
            let build = |arrays: &[Array]| {
                let a = leaf(arrays[0]);
                over(&[a], out!(tn_expr_sum(a, TN_ALL_AXES)))
            };
            both_ways(&format!("sum {shape:?} {lie:?}"), pool, &make, &build, &[x.iter().sum()]);
        }
    }
    let values = array(pool, &[3], TN_ORDER_C, &[1.0, 2.0, 3.0]);
    let diagonal: Expr = out!(tn_expr_leaf(values, TN_FORM_DIAGONAL));
    let sum: Expr = out!(tn_expr_sum(diagonal, TN_ALL_AXES));
    drop_expr(diagonal);
    drop_array(values);
    let sum = finish(sum);
    assert_eq!(read(sum), [6.0]);
    drop_array(sum);
    end(pool);
}

#[test]
fn an_expression_tells_its_type_and_shape_before_it_is_computed() {
    let pool = pool();
    // SAFETY: a checked id; the struct is writable, or NULL.
    let query = |expr: Expr, info: *mut tn_expr_info| unsafe { tn_expr_query(expr, info) };
    let info = |expr: Expr| {
        let mut info = tn_expr_info {
            size: size_of::<tn_expr_info>(),
            dtype: 0,
            ndim: -1,
            form: 9,
            reserved: 9,
            shape: [-1; TN_MAX_NDIM],
        };
        assert_eq!(query(expr, &mut info), TN_OK);
        let (shape, rest) = info.shape.split_at(info.ndim as usize);
        assert!(rest.iter().all(|length| *length == -1), "more than ndim lengths were written");
        assert_eq!((info.form, info.reserved), (TN_FORM_FULL, 0));
        (info.dtype, shape.to_vec())
    };
    let matrix = array(pool, &[2, 3], TN_ORDER_C, &[1.0; 6]);
    let x = leaf(matrix);
    let sum: Expr = out!(tn_expr_sum(x, 0));
    let all: Expr = out!(tn_expr_sum(x, TN_ALL_AXES));
    assert_eq!(info(x), (TN_F64, vec![2, 3]));
    assert_eq!(info(sum), (TN_F64, vec![3]));
    assert_eq!(info(all), (TN_F64, vec![]));
    drop_array(finish(out!(tn_expr_sum(x, 0))));
    let mut short = tn_expr_info { size: 4, dtype: 0, ndim: 0, form: 0, reserved: 0, shape: [0; TN_MAX_NDIM] };
    assert_eq!(query(x, &mut short), TN_ERR_INVALID);
    assert_eq!(query(x, null_mut()), TN_ERR_NULL);
    [sum, all].into_iter().for_each(drop_expr);
    drop_expr(x);
    short.size = size_of::<tn_expr_info>();
    assert_eq!(query(x, &mut short), TN_ERR_STALE);
    assert_eq!(query(matrix.cast(), &mut short), TN_ERR_KIND);
    drop_array(matrix);
    end(pool);
}

/// Sizes around the kernels' block sizes.
const SIZES: [usize; 8] = [0, 1, 2, 5, 16, 33, 64, 97];

fn full(values: &[f64], form: u32, n: usize) -> Vec<f64> {
    (0..n * n)
        .map(|at| {
            let (i, j) = (at / n, at % n);
            match form {
                TN_FORM_DIAGONAL => {
                    if i == j {
                        values[i]
                    } else {
                        0.0
                    }
                }
                TN_FORM_LOWER => {
                    if j <= i {
                        values[at]
                    } else {
                        0.0
                    }
                }
                _ => values[at],
            }
        })
        .collect()
}

#[test]
fn sums_and_differences_of_matrices_by_form() {
    let pool = pool();
    let mut numbers = Numbers::new(3);
    let forms = [
        [TN_FORM_FULL, TN_FORM_DIAGONAL],
        [TN_FORM_DIAGONAL, TN_FORM_FULL],
        [TN_FORM_DIAGONAL, TN_FORM_DIAGONAL],
        [TN_FORM_LOWER, TN_FORM_LOWER],
    ];
    for (n, [left, right]) in SIZES.into_iter().flat_map(|n| forms.map(|forms| (n, forms))) {
        let shape_of = |form| {
            if form == TN_FORM_DIAGONAL { vec![n as i64] } else { vec![n as i64; 2] }
        };
        let mut values = |form| numbers.vector(shape_of(form).iter().product::<i64>() as usize);
        let (x, y) = (values(left), values(right));
        for lie in [Lie::C, Lie::F] {
            let make = || vec![lying(pool, lie, &shape_of(left), &x), lying(pool, lie, &shape_of(right), &y)];
            for sign in [1.0, -1.0] {
                let build = |arrays: &[Array]| {
                    let (a, b): (Expr, Expr) =
                        (out!(tn_expr_leaf(arrays[0], left)), out!(tn_expr_leaf(arrays[1], right)));
                    let sum = if sign > 0.0 { out!(tn_expr_add(a, b)) } else { out!(tn_expr_subtract(a, b)) };
                    over(&[a, b], sum)
                };
                let (x, y) = (full(&x, left, n), full(&y, right, n));
                let mut expected: Vec<f64> = x.iter().zip(&y).map(|(x, y)| x + sign * y).collect();
                if left == TN_FORM_DIAGONAL && right == TN_FORM_DIAGONAL {
                    expected = (0..n).map(|i| expected[i * n + i]).collect();
                }
                both_ways(&format!("{left} {right} {n} {lie:?} {sign}"), pool, &make, &build, &expected);
            }
        }
    }
    end(pool);
}

#[test]
fn products_by_form() {
    let pool = pool();
    let mut numbers = Numbers::new(4);
    for n in SIZES {
        for columns in [0, 1, 3, 40] {
            // m, the form of x, x as vector or matrix; `columns` 0: a vector.
            for (m_form, x_form) in [
                (TN_FORM_FULL, TN_FORM_FULL),
                (TN_FORM_DIAGONAL, TN_FORM_FULL),
                (TN_FORM_LOWER, TN_FORM_FULL),
                (TN_FORM_FULL, TN_FORM_DIAGONAL),
                (TN_FORM_DIAGONAL, TN_FORM_DIAGONAL),
            ] {
                let shape = |form: u32| {
                    if form == TN_FORM_DIAGONAL { vec![n as i64] } else { vec![n as i64; 2] }
                };
                let x_shape = match (x_form, columns) {
                    (TN_FORM_DIAGONAL, 1) => vec![n as i64],
                    (TN_FORM_DIAGONAL, _) => continue,
                    (_, 0) => vec![n as i64],
                    _ => vec![n as i64, columns as i64],
                };
                let count = |shape: &[i64]| shape.iter().product::<i64>() as usize;
                let (m, x) = (numbers.vector(count(&shape(m_form))), numbers.vector(count(&x_shape)));
                let (wide, x_full) = match x_form {
                    TN_FORM_DIAGONAL => (n, full(&x, x_form, n)),
                    _ => (columns.max(1), x.clone()),
                };
                let mut expected = naive::matmul(&full(&m, m_form, n), &x_full, n, n, wide);
                if m_form == TN_FORM_DIAGONAL && x_form == TN_FORM_DIAGONAL {
                    expected = (0..n).map(|i| expected[i * n + i]).collect();
                }
                for lies in LIES.iter().flat_map(|a| LIES.map(|b| [*a, b])) {
                    if n == 0 && lies.contains(&Lie::Strided) {
                        continue;
                    }
                    let make = || vec![lying(pool, lies[0], &shape(m_form), &m), lying(pool, lies[1], &x_shape, &x)];
                    let build = |arrays: &[Array]| {
                        let (a, b): (Expr, Expr) =
                            (out!(tn_expr_leaf(arrays[0], m_form)), out!(tn_expr_leaf(arrays[1], x_form)));
                        over(&[a, b], out!(tn_expr_multiply(a, b)))
                    };
                    both_ways(&format!("{m_form} {x_form} {n} {x_shape:?} {lies:?}"), pool, &make, &build, &expected);
                }
            }
        }
    }
    // Not square.
    let (a, b) = (numbers.vector(12), numbers.vector(20));
    let make = || vec![lying(pool, Lie::F, &[3, 4], &a), lying(pool, Lie::C, &[4, 5], &b)];
    let build = |arrays: &[Array]| {
        let (a, b) = (leaf(arrays[0]), leaf(arrays[1]));
        over(&[a, b], out!(tn_expr_multiply(a, b)))
    };
    both_ways("3 x 4 x 5", pool, &make, &build, &naive::matmul(&a, &b, 3, 4, 5));
    end(pool);
}

#[test]
fn factors_and_solutions() {
    let pool = pool();
    let mut numbers = Numbers::new(5);
    for n in SIZES {
        let a = numbers.positive(n);
        let l = naive::cholesky(&a, n);
        // Elements above the diagonal are not read.
        let mut dirty = a.clone();
        (0..n * n).filter(|at| at % n > at / n).for_each(|at| dirty[at] = f64::NAN);
        for lie in LIES.into_iter().filter(|lie| n > 0 || *lie == Lie::C) {
            let square = [n as i64; 2];
            let make = || vec![lying(pool, lie, &square, &dirty)];
            let build = |arrays: &[Array]| {
                let x = leaf(arrays[0]);
                over(&[x], out!(tn_expr_cholesky(x)))
            };
            both_ways(&format!("cholesky {n} {lie:?}"), pool, &make, &build, &l);
            for columns in [0, 1, 4] {
                let b_shape = if columns == 0 { vec![n as i64] } else { vec![n as i64, columns] };
                let x = numbers.vector(b_shape.iter().product::<i64>() as usize);
                let wide = columns.max(1) as usize;
                let solve = |form: u32, transposed: bool, factors: bool, m: &[f64], values: &[f64]| {
                    let m = full(m, form, n);
                    let m = if transposed { naive::transpose(&m, n, n) } else { m };
                    let b = naive::matmul(&m, &x, n, n, wide);
                    let make = || {
                        vec![
                            lying(pool, lie, if form == TN_FORM_DIAGONAL { &square[..1] } else { &square }, values),
                            lying(pool, lie, &b_shape, &b),
                        ]
                    };
                    let build = |arrays: &[Array]| {
                        let (mut m, b): (Expr, Expr) = (out!(tn_expr_leaf(arrays[0], form)), leaf(arrays[1]));
                        if transposed {
                            m = over(&[m], out!(tn_expr_transpose(m)));
                        }
                        if factors {
                            m = over(&[m], out!(tn_expr_lu(m)));
                        }
                        over(&[m, b], out!(tn_expr_solve(m, b)))
                    };
                    let what = format!("solve {form} {transposed} {factors} {n} {columns} {lie:?}");
                    both_ways(&what, pool, &make, &build, &x);
                };
                // Not symmetric, with rows in an order that needs pivots.
                let mut general = a.clone();
                general.rotate_left(n);
                (0..n * n).for_each(|at| general[at] += (at % 7) as f64 * 0.01);
                let d: Vec<f64> = (0..n).map(|i| a[i * n + i]).collect();
                for factors in [false, true] {
                    solve(TN_FORM_FULL, false, factors, &general, &general);
                    solve(TN_FORM_FULL, true, factors, &general, &general);
                    solve(TN_FORM_LOWER, false, factors, &l, &dirty_of(&l, n));
                    solve(TN_FORM_LOWER, true, factors, &l, &dirty_of(&l, n));
                    solve(TN_FORM_DIAGONAL, false, factors, &d, &d);
                }
            }
        }
    }
    end(pool);
}

fn dirty_of(lower: &[f64], n: usize) -> Vec<f64> {
    (0..n * n).map(|at| if at % n > at / n { f64::NAN } else { lower[at] }).collect()
}

/// A pivot is positive and finite, whatever the form of the matrix.
#[test]
fn cholesky_refuses_the_same_pivots_in_both_forms() {
    let pool = pool();
    for pivot in [f64::INFINITY, f64::NAN, 0.0, -1.0] {
        let (full, vector) = (array(pool, &[1, 1], TN_ORDER_C, &[pivot]), array(pool, &[1], TN_ORDER_C, &[pivot]));
        for x in [leaf(full), diagonal(vector)] {
            let l: Expr = out!(tn_expr_cholesky(x));
            assert_eq!(status!(tn_expr_compute(l, 0)), TN_ERR_FAILED, "{pivot}");
            [x, l].into_iter().for_each(drop_expr);
        }
        [full, vector].into_iter().for_each(drop_array);
    }
    end(pool);
}

#[test]
fn float32_too() {
    let pool = pool();
    let a = array_f32(pool, &[2, 2], &[4.0, 2.0, 2.0, 3.0]);
    let b = array_f32(pool, &[2], &[1.0, 2.0]);
    let (x, y) = (leaf(a), leaf(b));
    let l: Expr = out!(tn_expr_cholesky(x));
    let v: Expr = out!(tn_expr_multiply(l, y));
    let s: Expr = out!(tn_expr_solve(x, v));
    let value = finish(s);
    // L = [[2, 0], [1, sqrt 2]], v = [2, 1 + 2 sqrt 2]; A s = v.
    let root = 2.0f32.sqrt();
    let v1 = 1.0 + 2.0 * root;
    let expected = [(3.0 * 2.0 - 2.0 * v1) / 8.0, (4.0 * v1 - 2.0 * 2.0) / 8.0];
    for (got, expected) in read_f32(value).into_iter().zip(expected) {
        assert!((got - expected).abs() < 1e-5, "{got} {expected}");
    }
    let d = array(pool, &[2], TN_ORDER_C, &[1.0, 1.0]);
    let wide = diagonal(d);
    assert_eq!(status!(tn_expr_add(x, wide)), TN_ERR_DTYPE);
    [x, y, l, v, wide].into_iter().for_each(drop_expr);
    [a, b, d, value].into_iter().for_each(drop_array);
    end(pool);
}
