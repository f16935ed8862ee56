//! Expressions: the rule of overwriting and its explanation, depth, lack of memory, several threads.

use crate::out;
use crate::status;
use crate::support;
use std::cell::Cell;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};
use support::expr::*;
use tenure::ffi::{array::*, expr::*, pool::*, view::*};
use tenure::types::*;
use tenure_harness::test;

fn vector(pool: *mut tn_pool, seed: u64, n: i64) -> Array {
    array(pool, &[n], TN_ORDER_C, &Numbers::new(seed).vector(n as usize))
}

#[test]
fn ex_3_one_operand_twice() {
    let pool = pool();
    // One node as both operands.
    let a = vector(pool, 1, 32);
    let (values, place) = (read(a), address(a));
    let x = leaf(a);
    let twice: Expr = out!(tn_expr_add(x, x));
    drop_array(a);
    drop_expr(x);
    let (figures, v) = measure(pool, || finish(twice));
    assert_eq!((figures.allocations, address(v)), (0, place));
    assert_same(&read(v), &values.iter().map(|x| x + x).collect::<Vec<_>>());
    drop_array(v);
    // Two leaves on one array.
    let a = vector(pool, 1, 32);
    let place = address(a);
    let (x, y) = (leaf(a), leaf(a));
    let twice: Expr = out!(tn_expr_add(x, y));
    drop_array(a);
    [x, y].into_iter().for_each(drop_expr);
    let (figures, v) = measure(pool, || finish(twice));
    assert_eq!((figures.allocations, address(v)), (0, place));
    assert_same(&read(v), &values.iter().map(|x| x + x).collect::<Vec<_>>());
    drop_array(v);
    // Two operations: exp(a) * a. The first does not overwrite, the second may.
    let a = vector(pool, 1, 32);
    let x = leaf(a);
    let e: Expr = out!(tn_expr_elementwise(TN_EXPR_EXP, x, null_mut()));
    let product: Expr = out!(tn_expr_elementwise(TN_EXPR_MULTIPLY, x, e));
    let place = address(a);
    drop_array(a);
    [x, e].into_iter().for_each(drop_expr);
    let (figures, v) = measure(pool, || finish(product));
    assert_eq!((figures.allocations, address(v), figures.live), (1, place, 0));
    assert_same(&read(v), &values.iter().map(|x| x * x.exp()).collect::<Vec<_>>());
    drop_array(v);
    end(pool);
}

#[test]
fn ex_4_overlapping_views_are_not_overwritten() {
    let pool = pool();
    let a = vector(pool, 2, 10);
    let values = read(a);
    let (low, high) = (part(a, 0, 8), part(a, 2, 10));
    let (x, y) = (leaf(low), leaf(high));
    let sum: Expr = out!(tn_expr_add(x, y));
    [a, low, high].into_iter().for_each(drop_array);
    [x, y].into_iter().for_each(drop_expr);
    let explained = explain(sum, TN_EXPLAIN_TEXT);
    assert!(explained.contains("not aliasable"), "{explained}");
    let (figures, v) = measure(pool, || finish(sum));
    assert_eq!(figures.allocations, 1);
    assert_same(&read(v), &(0..8).map(|i| values[i] + values[i + 2]).collect::<Vec<_>>());
    drop_array(v);
    end(pool);
}

#[test]
fn ex_5_diagonals() {
    let pool = pool();
    for only_right in [false, true] {
        let (d1, d2) = (vector(pool, 3, 16), vector(pool, 4, 16));
        let places = [address(d1), address(d2)];
        let (x, y) = (diagonal(d1), diagonal(d2));
        let sum: Expr = out!(tn_expr_add(x, y));
        [x, y].into_iter().for_each(drop_expr);
        drop_array(d2);
        if !only_right {
            drop_array(d1);
        }
        let (figures, v) = measure(pool, || finish(sum));
        assert_eq!((figures.allocations, address(v)), (0, places[usize::from(only_right)]));
        drop_array(v);
        if only_right {
            drop_array(d1);
        }
    }
    end(pool);
}

#[test]
fn ex_6_full_products_overwrite_nothing() {
    let pool = pool();
    let n = 16;
    for columns in [None, Some(n)] {
        let a = array(pool, &[n, n], TN_ORDER_C, &Numbers::new(5).vector(256));
        let shape: Vec<i64> = [n].into_iter().chain(columns).collect();
        let u = array(pool, &shape, TN_ORDER_C, &Numbers::new(6).vector(shape.iter().product::<i64>() as usize));
        let before = read(u);
        let (x, y) = (leaf(a), leaf(u));
        let product: Expr = out!(tn_expr_multiply(x, y));
        [x, y].into_iter().for_each(drop_expr);
        drop_array(a);
        if columns.is_some() {
            drop_array(u);
        }
        let (figures, v) = measure(pool, || finish(product));
        let result = 8 * shape.iter().product::<i64>();
        assert_eq!((figures.allocations, figures.peak), (1, result));
        if columns.is_none() {
            assert_same(&read(u), &before);
            drop_array(u);
        }
        drop_array(v);
    }
    end(pool);
}

#[test]
fn ex_7_lu_in_the_matrix() {
    let pool = pool();
    let n = 24i64;
    let (block, row) = (8 * n * n, 8 * n);
    for (holds_m, holds_b, allocations, peak) in
        [(false, false, 0, 0), (true, false, 1, block), (true, true, 2, block + row)]
    {
        let m = array(pool, &[n, n], TN_ORDER_C, &Numbers::new(7).positive(n as usize));
        let b = vector(pool, 8, n);
        let place = address(b);
        let (x, y) = (leaf(m), leaf(b));
        let solution: Expr = out!(tn_expr_solve(x, y));
        [x, y].into_iter().for_each(drop_expr);
        if !holds_m {
            drop_array(m);
        }
        if !holds_b {
            drop_array(b);
        }
        let (figures, v) = measure(pool, || finish(solution));
        assert_eq!((figures.allocations, figures.peak), (allocations, peak));
        assert_eq!(address(v) == place, !holds_b);
        drop_array(v);
        if holds_m {
            drop_array(m);
        }
        if holds_b {
            drop_array(b);
        }
    }
    end(pool);
}

/// The factors of one matrix serve several solutions, with the bits that `solve` of the matrix gives.
#[test]
fn ex_9_factors_that_are_kept() {
    let pool = pool();
    let n = 24i64;
    for (order, holds_m) in [(TN_ORDER_C, false), (TN_ORDER_F, false), (TN_ORDER_C, true)] {
        let m = array(pool, &[n, n], order, &Numbers::new(7).vector((n * n) as usize));
        let b = vector(pool, 8, n);
        let solve = |factors: Expr| -> Expr {
            let y = leaf(b);
            let solution: Expr = out!(tn_expr_solve(factors, y));
            drop_expr(y);
            solution
        };
        let x = leaf(m);
        let (direct, factors): (Expr, Expr) = (solve(x), out!(tn_expr_lu(x)));
        drop_expr(x);
        let expected = finish(direct);
        if !holds_m {
            drop_array(m);
        }
        // The first solution factors, in place of a matrix that nobody else needs.
        let (first, second) = (solve(factors), solve(factors));
        let text = explain(first, TN_EXPLAIN_TEXT);
        let place = if holds_m { "a new array; not [0]: shared" } else { "in place of [0]" };
        assert!(text.contains(&format!("[1] lu [0]: factors float64 (24, 24), {place}\n")), "{text}");
        let (figures, v) = measure(pool, || finish(first));
        assert_eq!(figures.allocations, 1 + i64::from(holds_m), "{text}");
        assert_same(&read(v), &read(expected));
        // The second one factors nothing, and overwrites the right-hand side if that was released.
        drop_array(b);
        let (figures, w) = measure(pool, || finish(second));
        assert_eq!((figures.allocations, figures.peak), (0, 0));
        assert_same(&read(w), &read(expected));
        drop_expr(factors);
        [v, w, expected].into_iter().for_each(drop_array);
        if holds_m {
            drop_array(m);
        }
    }
    end(pool);
}

/// Threads that solve with the same factors at once: none disturbs another.
#[test]
fn ex_9_factors_for_several_threads() {
    let pool = pool();
    let n = 32i64;
    let m = array(pool, &[n, n], TN_ORDER_C, &Numbers::new(7).vector((n * n) as usize));
    let x = leaf(m);
    let factors: Expr = out!(tn_expr_lu(x));
    let b = vector(pool, 8, n);
    let solve = |factors: Expr| {
        let y = leaf(b);
        let solution: Expr = out!(tn_expr_solve(factors, y));
        drop_expr(y);
        finish(solution)
    };
    let expected = solve(factors);
    let values = read(expected);
    let (shared, right) = (factors as usize, b as usize);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let y = leaf(right as Array);
                    let solution: Expr = out!(tn_expr_solve(shared as Expr, y));
                    drop_expr(y);
                    let got = finish(solution);
                    assert_same(&read(got), &values);
                    drop_array(got);
                }
            });
        }
    });
    [x, factors].into_iter().for_each(drop_expr);
    [m, b, expected].into_iter().for_each(drop_array);
    end(pool);
}

/// What is no use of factors; a diagonal or a triangle is its own factor.
#[test]
fn ex_9_what_factors_do_not_do() {
    let pool = pool();
    let n = 8i64;
    let m = array(pool, &[n, n], TN_ORDER_C, &Numbers::new(7).positive(n as usize));
    let x = leaf(m);
    let factors: Expr = out!(tn_expr_lu(x));
    let mut none: Expr = null_mut();
    let refused = |status: tn_status, what: &str| {
        assert_eq!(status, TN_ERR_UNSUPPORTED, "{what}");
    };
    // SAFETY: handles are checked ids, and the output is writable.
    unsafe {
        refused(tn_expr_lu(factors, &mut none), "lu");
        refused(tn_expr_cholesky(factors, &mut none), "cholesky");
        refused(tn_expr_scale(factors, 2.0, &mut none), "scale");
        refused(tn_expr_dense(factors, &mut none), "dense");
        refused(tn_expr_sum(factors, 0, &mut none), "sum");
        refused(tn_expr_add(factors, x, &mut none), "add");
        refused(tn_expr_multiply(x, factors, &mut none), "multiply from the right");
        refused(tn_expr_multiply(factors, factors, &mut none), "their square");
        refused(tn_expr_solve(x, factors, &mut none), "solve for factors");
        refused(tn_expr_solve(factors, factors, &mut none), "solve for themselves");
    }
    refused(status!(tn_expr_compute(factors, 0)), "compute");
    assert!(none.is_null());
    for form in [TN_FORM_LOWER, TN_FORM_UPPER, TN_FORM_DIAGONAL] {
        let d = vector(pool, 3, n);
        let own: Expr = out!(tn_expr_leaf(if form == TN_FORM_DIAGONAL { d } else { m }, form));
        let same: Expr = out!(tn_expr_lu(own));
        let (figures, value) = measure(pool, || finish(same));
        assert_eq!(figures.allocations, 0);
        assert_eq!(address(value), address(if form == TN_FORM_DIAGONAL { d } else { m }));
        drop_expr(own);
        [value, d].into_iter().for_each(drop_array);
    }
    [x, factors].into_iter().for_each(drop_expr);
    drop_array(m);
    end(pool);
}

fn transposed(factors: Expr) -> Expr {
    out!(tn_expr_transpose(factors))
}

/// Another expression of the factors, or of their transpose.
fn used(factors: Expr, turned: bool) -> Expr {
    let once = transposed(factors);
    if turned {
        return once;
    }
    let twice = transposed(once);
    drop_expr(once);
    twice
}

fn lu_part(factors: Expr, part: tn_lu_part) -> Expr {
    out!(tn_expr_lu_part(factors, part))
}

/// The product of two expressions, which are used up.
fn product(m: Expr, x: Expr) -> Expr {
    let product: Expr = out!(tn_expr_multiply(m, x));
    [m, x].into_iter().for_each(drop_expr);
    product
}

/// EX-35, EX-36: factors, and their transpose, multiply and solve as the matrix does, in place of the right-hand side.
#[test]
fn ex_35_36_factors_multiply_and_have_a_transpose() {
    let pool = pool();
    for (n, order) in [1i64, 2, 5, 33, 70].into_iter().flat_map(|n| [(n, TN_ORDER_C), (n, TN_ORDER_F)]) {
        let m = array(pool, &[n, n], order, &Numbers::new(7).vector((n * n) as usize));
        let x = leaf(m);
        let factors: Expr = out!(tn_expr_lu(x));
        for (width, turned) in [(0, false), (0, true), (3, false), (3, true)] {
            let shape = [n, width];
            let count = (n * width.max(1)) as usize;
            let b = array(pool, &shape[..if width == 0 { 1 } else { 2 }], TN_ORDER_C, &Numbers::new(8).vector(count));
            let own = |e: Expr| if turned { transposed(e) } else { out!(tn_expr_scale(e, 1.0)) };
            let expected = finish(product(own(x), leaf(b)));
            // With b held, a new array; with b released, in its bytes.
            let held = finish(product(used(factors, turned), leaf(b)));
            assert_near(&read(held), &read(expected));
            let y = leaf(b);
            let place = address(b);
            drop_array(b);
            let (figures, v) = measure(pool, || finish(product(used(factors, turned), y)));
            assert_eq!((figures.allocations, address(v)), (0, place));
            assert_same(&read(v), &read(held));
            // The solution with the same factors gives back what was multiplied.
            let y = leaf(v);
            drop_array(v);
            let f = used(factors, turned);
            let solution: Expr = out!(tn_expr_solve(f, y));
            [f, y].into_iter().for_each(drop_expr);
            let (figures, back) = measure(pool, || finish(solution));
            assert_eq!(figures.allocations, 0);
            assert_near(&read(back), &Numbers::new(8).vector(count));
            [expected, held, back].into_iter().for_each(drop_array);
        }
        // A diagonal is written out.
        let d = vector(pool, 3, n);
        let expected = finish(product(out!(tn_expr_scale(x, 1.0)), diagonal(d)));
        let scaled = finish(product(used(factors, false), diagonal(d)));
        assert_near(&read(scaled), &read(expected));
        [x, factors].into_iter().for_each(drop_expr);
        [m, d, expected, scaled].into_iter().for_each(drop_array);
    }
    end(pool);
}

/// P L U is the matrix, with the same bits for both orders, and a part takes the bytes of factors that nobody else needs.
#[test]
fn ex_37_parts_of_factors() {
    let pool = pool();
    for n in [1i64, 2, 5, 33, 70] {
        let values = Numbers::new(7).vector((n * n) as usize);
        let mut bits: Option<[Vec<f64>; 3]> = None;
        for order in [TN_ORDER_C, TN_ORDER_F] {
            let m = array(pool, &[n, n], order, &values);
            let x = leaf(m);
            let factors: Expr = out!(tn_expr_lu(x));
            let forms = [TN_FORM_FULL, TN_FORM_LOWER, TN_FORM_UPPER];
            let parts = [TN_LU_P, TN_LU_L, TN_LU_U].map(|which| finish(lu_part(factors, which)));
            assert_eq!(parts.map(|part| info(part).form), forms);
            let [p, l, u] = parts;
            let whole = finish(product(leaf(p), product(leaf(l), leaf(u))));
            assert_near(&read(whole), &values);
            let (ones, at) = (read(p), |i: i64, j: i64| (i * n + j) as usize);
            assert_eq!(ones.iter().sum::<f64>(), n as f64);
            assert!(ones.iter().all(|one| *one == 0.0 || *one == 1.0));
            let (below, above) = (read(l), read(u));
            for (i, j) in (0..n).flat_map(|i| (0..n).map(move |j| (i, j))) {
                assert!(if i == j { below[at(i, j)] == 1.0 } else { i > j || below[at(i, j)] == 0.0 });
                assert!(below[at(i, j)].abs() <= 1.0 && (i <= j || above[at(i, j)] == 0.0));
            }
            let got = [ones, below, above];
            assert!(bits.as_ref().is_none_or(|bits| *bits == got), "the order of a matrix changes no bit");
            bits = Some(got);
            parts.into_iter().chain([whole]).for_each(drop_array);
            drop_expr(factors);
            // Of the matrix itself, in its bytes.
            drop_expr(x);
            for which in [TN_LU_L, TN_LU_U, TN_LU_P] {
                let copy = array(pool, &[n, n], order, &values);
                let (x, place) = (leaf(copy), address(copy));
                drop_array(copy);
                let expression = lu_part(x, which);
                drop_expr(x);
                let (figures, value) = measure(pool, || finish(expression));
                assert_eq!((figures.allocations, address(value)), (0, place));
                assert_eq!(read(value), bits.as_ref().unwrap()[which as usize]);
                drop_array(value);
            }
            drop_array(m);
        }
    }
    // A triangle or a diagonal is one of its own parts.
    let (n, m) = (4, vector(pool, 3, 16));
    let mut square: Array = null_mut();
    // SAFETY: a handle, a shape of two lengths, and a writable output.
    ok(unsafe { tn_array_reshape(m, 2, [n, n].as_ptr(), TN_ORDER_C, &mut square) });
    let d = vector(pool, 4, n);
    for (form, own) in [(TN_FORM_LOWER, TN_LU_L), (TN_FORM_UPPER, TN_LU_U), (TN_FORM_DIAGONAL, TN_LU_U)] {
        let source = if form == TN_FORM_DIAGONAL { d } else { square };
        let x: Expr = out!(tn_expr_leaf(source, form));
        for which in [TN_LU_P, TN_LU_L, TN_LU_U] {
            let value = finish(lu_part(x, which));
            if which == own {
                assert_eq!((address(value), info(value).form), (address(source), form));
            } else {
                assert_eq!((read(value), info(value).form), (vec![1.0; n as usize], TN_FORM_DIAGONAL));
            }
            drop_array(value);
        }
        drop_expr(x);
    }
    let mut none: Expr = null_mut();
    let x = leaf(square);
    let factors: Expr = out!(tn_expr_lu(x));
    let turned = transposed(factors);
    // SAFETY: handles are checked ids, and the output is writable.
    unsafe {
        assert_eq!(tn_expr_lu_part(turned, TN_LU_L, &mut none), TN_ERR_UNSUPPORTED);
        assert_eq!(tn_expr_lu_part(factors, 3, &mut none), TN_ERR_INVALID);
        assert_eq!(tn_expr_compute(turned, 0, &mut null_mut()), TN_ERR_UNSUPPORTED);
    }
    let wide = leaf(m);
    assert_eq!(status!(tn_expr_lu_part(wide, TN_LU_L)), TN_ERR_SHAPE);
    [x, factors, turned, wide].into_iter().for_each(drop_expr);
    [square, m, d].into_iter().for_each(drop_array);
    end(pool);
}

/// A singular matrix fails when it is factored, and every solution with it.
#[test]
fn ex_40_factors_of_a_singular_matrix() {
    let pool = pool();
    for flags in [0, TN_KEEP_ON_FAIL] {
        let m = array(pool, &[2, 2], TN_ORDER_C, &[1.0, 2.0, 2.0, 4.0]);
        let b = vector(pool, 8, 2);
        let (x, y) = (leaf(m), leaf(b));
        let factors: Expr = out!(tn_expr_lu(x));
        let (first, second): (Expr, Expr) = (out!(tn_expr_solve(factors, y)), out!(tn_expr_solve(factors, y)));
        assert_eq!(status!(tn_expr_compute(first, flags)), TN_ERR_FAILED);
        let again = if flags == 0 { TN_ERR_POISONED } else { TN_ERR_FAILED };
        assert_eq!(status!(tn_expr_compute(second, flags)), again);
        [x, y, factors, first, second].into_iter().for_each(drop_expr);
        [m, b].into_iter().for_each(drop_array);
    }
    end(pool);
}

#[test]
fn ex_8_waste() {
    let pool = pool();
    for (length, allocations) in [(2 * 16, 0), (2 * 16 + 1, 1)] {
        let a = vector(pool, 9, length);
        let head = part(a, 0, 16);
        let x = leaf(head);
        let negative: Expr = out!(tn_expr_elementwise(TN_EXPR_NEGATE, x, null_mut()));
        [a, head].into_iter().for_each(drop_array);
        drop_expr(x);
        let (figures, v) = measure(pool, || finish(negative));
        assert_eq!(figures.allocations, allocations, "{length}");
        drop_array(v);
    }
    end(pool);
}

#[test]
fn operands_with_other_holders_are_not_overwritten_and_explain_agrees() {
    let pool = pool();
    let negate = |x: Expr| -> Expr { out!(tn_expr_elementwise(TN_EXPR_NEGATE, x, null_mut())) };
    let a = vector(pool, 10, 16);
    let x = leaf(a);
    let e = negate(x);
    assert!(
        explain(e, TN_EXPLAIN_TEXT).contains("not [0]: shared, in an expression"),
        "{}",
        explain(e, TN_EXPLAIN_TEXT)
    );
    drop_array(a);
    assert!(explain(e, TN_EXPLAIN_TEXT).contains("not [0]: in an expression"));
    drop_expr(x);
    let explained = explain(e, TN_EXPLAIN_TEXT);
    assert_eq!(explained, "[0] leaf: full float64 (16)\n[1] negate [0]: full float64 (16), in place of [0]\n");
    drop_array(finish(e));
    end(pool);
}

fn explain(e: Expr, format: u32) -> String {
    let mut length = 0;
    // SAFETY: capacity 0, one output.
    ok(unsafe { tn_expr_explain(e, format, 0, null_mut(), &mut length) });
    let mut text = vec![0u8; length + 1];
    // SAFETY: space for the text and its NUL.
    ok(unsafe { tn_expr_explain(e, format, text.len(), text.as_mut_ptr().cast(), &mut length) });
    assert_eq!(text.pop(), Some(0));
    String::from_utf8(text).unwrap()
}

#[test]
fn explain_predicts_compute() {
    let pool = pool();
    let n = 16i64;
    let a = array(pool, &[n, n], TN_ORDER_C, &Numbers::new(11).positive(n as usize));
    // SAFETY: a NUL-terminated text.
    ok(unsafe { tn_array_set_name(a, c"ker\"nel".as_ptr()) });
    let (d, u) = (vector(pool, 12, n), vector(pool, 13, n));
    write(d, &vec![1.0; n as usize]);
    let (x, y, z) = (leaf(a), diagonal(d), leaf(u));
    let sum: Expr = out!(tn_expr_add(x, y));
    let factor: Expr = out!(tn_expr_cholesky(sum));
    let v: Expr = out!(tn_expr_multiply(factor, z));
    [x, y, z, sum, factor].into_iter().for_each(drop_expr);
    drop_array(a);
    assert_eq!(
        explain(v, TN_EXPLAIN_TEXT),
        "[0] leaf \"ker\\\"nel\": full float64 (16, 16)\n\
         [1] leaf: diagonal float64 (16)\n\
         [2] add [0] [1]: full float64 (16, 16), in place of [0]\n\
         [3] cholesky [2]: lower float64 (16, 16), in place of [2]\n\
         [4] leaf: full float64 (16)\n\
         [5] multiply [3] [4]: full float64 (16), a new array; not [4]: shared\n"
    );
    let dot = explain(v, TN_EXPLAIN_DOT);
    assert!(dot.starts_with("digraph expression {\n") && dot.ends_with("}\n"), "{dot}");
    for line in ["n0 -> n2 [label=\"in place\"];", "n4 -> n5 [label=\"not in place: shared\"];", "\\\"ker\\\"nel\\\""] {
        assert!(dot.contains(line), "{line} in {dot}");
    }
    // The query changed nothing.
    let (figures, value) = measure(pool, || compute(v));
    assert_eq!(figures, Figures { allocations: 1, peak: 8 * n, live: 8 * n - 8 * n * n });
    assert_eq!(explain(v, TN_EXPLAIN_TEXT), "[0] multiply: full float64 (16), computed\n");
    let mut length = 0;
    // SAFETY: as in `explain`.
    assert_eq!(unsafe { tn_expr_explain(v, 2, 0, null_mut(), &mut length) }, TN_ERR_INVALID);
    drop_expr(v);
    [value, d, u].into_iter().for_each(drop_array);
    end(pool);
}

/// The rule of overwriting, condition 7: the transpose of one element has the layout of the matrix itself.
#[test]
fn explain_predicts_a_sum_with_the_transpose_of_one_element() {
    let pool = pool();
    for n in 1..=2i64 {
        let a = array(pool, &[n, n], TN_ORDER_C, &Numbers::new(12).vector((n * n) as usize));
        let x = leaf(a);
        let negated: Expr = out!(tn_expr_elementwise(TN_EXPR_NEGATE, x, null_mut()));
        let turned: Expr = out!(tn_expr_transpose(negated));
        let sum: Expr = out!(tn_expr_add(negated, turned));
        [negated, turned].into_iter().for_each(drop_expr);
        let explained = explain(sum, TN_EXPLAIN_TEXT);
        let (figures, v) = measure(pool, || finish(sum));
        assert_eq!(figures.allocations, n, "the negated matrix, and the sum of more than one element");
        assert_eq!(explained.matches("a new array").count() as i64, n, "{explained}");
        assert_eq!(explained.contains("not aliasable"), n > 1, "{explained}");
        drop_expr(x);
        [a, v].into_iter().for_each(drop_array);
    }
    end(pool);
}

#[test]
fn transposes_are_views() {
    let pool = pool();
    let values = Numbers::new(14).vector(12);
    let a = array(pool, &[3, 4], TN_ORDER_C, &values);
    let place = address(a);
    let x = leaf(a);
    let t: Expr = out!(tn_expr_transpose(x));
    let (figures, value) = measure(pool, || compute(t));
    assert_eq!((figures.allocations, address(value)), (0, place));
    assert_same(&read(value), &naive::transpose(&values, 3, 4));
    // They keep their root: a row of the matrix is a column of its transpose, and known to be none of its other rows.
    let every_other = tn_slice_spec { start: TN_NONE, stop: TN_NONE, step: 2, reserved: [0; 4] };
    let rows: Array = out!(tn_array_slice(a, 1, &every_other));
    let between: Array = out!(tn_array_index(value, 1, 1));
    let mut overlap = u32::MAX;
    // SAFETY: the number is ours.
    ok(unsafe { tn_array_overlap(rows, between, &mut overlap) });
    assert_eq!(overlap, TN_OVERLAP_NONE);
    [rows, between, value].into_iter().for_each(drop_array);
    // The product of a matrix with its own transpose, both held by the expression alone.
    let product: Expr = out!(tn_expr_multiply(x, t));
    [x, t].into_iter().for_each(drop_expr);
    drop_array(a);
    let value = finish(product);
    assert_near(&read(value), &naive::matmul(&values, &naive::transpose(&values, 3, 4), 3, 4, 3));
    drop_array(value);
    end(pool);
}

#[test]
fn a_deep_expression_does_not_recurse() {
    let pool = pool();
    let one = array(pool, &[2], TN_ORDER_C, &[1.0, -1.0]);
    let depth = 100_000;
    let build = || {
        let x = leaf(one);
        let mut sum = x;
        for _ in 0..depth {
            let next: Expr = out!(tn_expr_add(sum, x));
            if sum != x {
                drop_expr(sum);
            }
            sum = next;
        }
        drop_expr(x);
        sum
    };
    // Released without being computed.
    drop_expr(build());
    assert_eq!(why(one), 0);
    let sum = build();
    assert_eq!(explain(sum, TN_EXPLAIN_TEXT).lines().count(), depth + 1);
    let (figures, v) = measure(pool, || finish(sum));
    assert_eq!((figures.allocations, figures.peak), (1, 16));
    assert_same(&read(v), &[depth as f64 + 1.0, -(depth as f64) - 1.0]);
    // A failure at the deepest node poisons all of them.
    let bad = array(pool, &[1, 1], TN_ORDER_C, &[-1.0]);
    let x = leaf(bad);
    let mut top: Expr = out!(tn_expr_cholesky(x));
    drop_expr(x);
    for _ in 0..depth {
        let next: Expr = out!(tn_expr_scale(top, 1.0));
        drop_expr(top);
        top = next;
    }
    assert_eq!(status!(tn_expr_compute(top, TN_KEEP_ON_FAIL)), TN_ERR_FAILED);
    assert_eq!(status!(tn_expr_compute(top, 0)), TN_ERR_FAILED);
    assert_eq!(status!(tn_expr_compute(top, 0)), TN_ERR_POISONED);
    drop_expr(top);
    [v, one, bad].into_iter().for_each(drop_array);
    end(pool);
}

#[test]
fn ex_33_two_threads_compute_one_expression() {
    let pool = pool() as usize;
    for round in 0..40 {
        let pool = pool as *mut tn_pool;
        let n = 48i64;
        let a = array(pool, &[n, n], TN_ORDER_C, &Numbers::new(round).positive(n as usize));
        let x = leaf(a);
        let l: Expr = out!(tn_expr_cholesky(x));
        drop_expr(x);
        drop_array(a);
        let place = l as usize;
        let (figures, values) = measure(pool, || {
            std::thread::scope(|scope| {
                let threads: Vec<_> = (0..3)
                    .map(|_| {
                        scope.spawn(move || {
                            let mut out = null_mut();
                            // SAFETY: one output.
                            let status = unsafe { tn_expr_compute(place as Expr, 0, &mut out) };
                            assert!(status == TN_OK || status == TN_ERR_IN_EXPRESSION, "{}", last_error());
                            (status == TN_OK).then_some(out as usize)
                        })
                    })
                    .collect();
                threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
            })
        });
        // Evaluated once, in the bytes of A.
        assert_eq!((figures.allocations, figures.live), (0, 0));
        assert!(!values.is_empty());
        let addresses: Vec<usize> = values.iter().map(|v| address(*v as Array)).collect();
        assert!(addresses.windows(2).all(|pair| pair[0] == pair[1]));
        drop_expr(l);
        values.into_iter().for_each(|v| drop_array(v as Array));
    }
    end(pool as *mut tn_pool);
}

#[test]
fn ex_43_no_memory_in_the_middle() {
    let options =
        tn_pool_options { size: size_of::<tn_pool_options>(), max_size: 4 << 20, ..tn_pool_options::default() };
    let host = tn_device { r#type: TN_CPU, id: 0 };
    let pool: *mut tn_pool = out!(tn_pool_create(host, &options));
    let n = 200i64;
    let spd = Numbers::new(20).positive(n as usize);
    let a = array(pool, &[n, n], TN_ORDER_C, &spd);
    let m = array(pool, &[n, n], TN_ORDER_C, &Numbers::new(21).vector((n * n) as usize));
    let x = leaf(a);
    let y = leaf(m);
    let factor: Expr = out!(tn_expr_cholesky(x));
    // The factor takes the place of A; the other operand is held, so the product needs memory.
    let square: Expr = out!(tn_expr_add(factor, factor));
    let upper: Expr = out!(tn_expr_transpose(square));
    let v: Expr = out!(tn_expr_multiply(upper, y));
    [x, y, factor, square, upper].into_iter().for_each(drop_expr);
    drop_array(a);
    // The rest of the pool is allocated.
    let mut taken: Vec<*mut std::ffi::c_void> = Vec::new();
    for bytes in [1usize << 20, 1 << 16, 1 << 12, 1 << 10, 256, 64] {
        loop {
            let mut block = null_mut();
            // SAFETY: one output.
            if unsafe { tn_pool_allocate(pool, bytes, 0, null_mut(), &mut block) } != TN_OK {
                break;
            }
            taken.push(block);
        }
    }
    let before = stats(pool).requested_bytes;
    for flags in [TN_KEEP_ON_FAIL, 0, 0] {
        assert_eq!(status!(tn_expr_compute(v, flags)), TN_ERR_POOL_LIMIT, "{}", last_error());
        assert_eq!(stats(pool).requested_bytes, before);
    }
    taken.into_iter().for_each(|block| ok(tn_pool_deallocate(pool, block, null_mut())));
    let (figures, value) = measure(pool, || finish(v));
    assert_eq!(figures.allocations, 1, "the factor has its value already");
    let l = naive::cholesky(&spd, n as usize);
    let twice: Vec<f64> = l.iter().map(|x| 2.0 * x).collect();
    let upper = naive::transpose(&twice, n as usize, n as usize);
    assert_near(&read(value), &naive::matmul(&upper, &read(m), n as usize, n as usize, n as usize));
    [value, m].into_iter().for_each(drop_array);
    end(pool);
}

/// What another thread gets in the middle of an evaluation with TN_KEEP_ON_FAIL.
struct Meanwhile {
    /// It has a value already.
    computed: usize,
    asked: AtomicBool,
    /// None: the other thread panicked.
    statuses: Cell<Option<[tn_status; 3]>>,
}

unsafe extern "C" fn use_computed(context: *mut std::ffi::c_void, _: usize, _: tn_pressure) -> usize {
    // SAFETY: the context of the test. The first call is the only one that touches the statuses.
    let meanwhile = unsafe { &*context.cast::<Meanwhile>() };
    let computed = meanwhile.computed;
    // The other thread can run out of memory in turn.
    if meanwhile.asked.swap(true, Ordering::Relaxed) {
        return 0;
    }
    let statuses = std::thread::spawn(move || {
        let computed: Expr = std::ptr::without_provenance_mut(computed);
        let on_it: Expr = out!(tn_expr_scale(computed, 2.0));
        let mut length = 0;
        let statuses = [
            status!(tn_expr_compute(computed, 0)),
            status!(tn_expr_compute(on_it, 0)),
            // SAFETY: the length is the only output.
            unsafe { tn_expr_explain(computed, TN_EXPLAIN_TEXT, 0, null_mut(), &mut length) },
        ];
        drop_expr(on_it);
        statuses
    });
    meanwhile.statuses.set(statuses.join().ok());
    0
}

/// EX-42: a value that a failure takes back is used by no other evaluation before.
#[test]
fn ex_42_values_are_private_until_the_evaluation_succeeds() {
    let host = tn_device { r#type: TN_CPU, id: 0 };
    let size = size_of::<tn_pool_options>();
    let options = tn_pool_options { size, max_size: 4 << 20, ..tn_pool_options::default() };
    let pool: *mut tn_pool = out!(tn_pool_create(host, &options));
    let a = vector(pool, 3, (1 << 20) / 8);
    // Each value takes 1 MiB, because its expression has a handle. The last one does not fit.
    let mut chain = vec![leaf(a)];
    for _ in 0..4 {
        chain.push(out!(tn_expr_scale(*chain.last().unwrap(), 0.5)));
    }
    let (computed, last) = (chain[1], chain[4]);
    let meanwhile = Meanwhile { computed: computed.addr(), asked: AtomicBool::new(false), statuses: Cell::new(None) };
    let context = (&raw const meanwhile).cast_mut().cast();
    // SAFETY: the context outlives the registration.
    ok(unsafe { tn_pool_on_pressure(pool, Some(use_computed), context, None) });
    let before = stats(pool).requested_bytes;
    assert_eq!(status!(tn_expr_compute(last, TN_KEEP_ON_FAIL)), TN_ERR_POOL_LIMIT, "{}", last_error());
    // SAFETY: as above.
    ok(unsafe { tn_pool_off_pressure(pool, Some(use_computed), context) });
    assert_eq!(meanwhile.statuses.get(), Some([TN_ERR_IN_EXPRESSION; 3]));
    assert_eq!(stats(pool).requested_bytes, before);
    // Nothing refers to the failed evaluation.
    let half: Vec<f64> = read(a).iter().map(|x| 0.5 * x).collect();
    let value = compute(computed);
    assert_same(&read(value), &half);
    drop_array(value);
    chain.into_iter().for_each(drop_expr);
    drop_array(a);
    end(pool);
}

/// Every status of an operand that changes while it is checked is one of its two states, never a failed check of the
/// library.
#[test]
fn ex_1_array_handles_released_by_another_thread() {
    let pool = pool();
    let shared = std::sync::atomic::AtomicUsize::new(0);
    let rounds = 100_000;
    std::thread::scope(|scope| {
        let shared = &shared;
        scope.spawn(move || {
            for seed in 0..rounds {
                let a = vector(std::ptr::without_provenance_mut(0), seed, 1);
                shared.store(a.addr(), Ordering::Release);
                (0..seed % 97).for_each(|_| std::hint::spin_loop());
                drop_array(a);
            }
            shared.store(1, Ordering::Release);
        });
        loop {
            let id = shared.load(Ordering::Acquire);
            if id == 1 {
                break;
            }
            let wrong: Expr = std::ptr::without_provenance_mut(id);
            let mut out = null_mut();
            // SAFETY: the place is ours, and any bits are checked as a handle.
            let status = unsafe { tn_expr_add(wrong, wrong, &mut out) };
            assert!([TN_ERR_NULL, TN_ERR_KIND, TN_ERR_STALE].contains(&status), "{status}");
        }
    });
    end(pool);
}
