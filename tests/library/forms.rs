//! Expressions over arrays that know their form: every operation on every mix of forms, and random graphs (FM-6).
//! Values are compared with scalar loops on dense copies, allocations with what explain foretold. `TENURE_ROUNDS` sets
//! the number of random graphs.

use crate::out;
use crate::support;
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, PoisonError};
use support::expr::*;
use tenure::ffi::{array::*, expr::*, report::*, view::*};
use tenure::types::*;
use tenure_harness::test;

/// Side of all matrices.
const SIDE: usize = 6;

const FORMS: [tn_form; 4] = [TN_FORM_FULL, TN_FORM_DIAGONAL, TN_FORM_LOWER, TN_FORM_UPPER];

/// Whether a matrix of this form has the element (i, j).
fn has(form: tn_form, i: usize, j: usize) -> bool {
    match form {
        TN_FORM_DIAGONAL => i == j,
        TN_FORM_LOWER => i >= j,
        TN_FORM_UPPER => i <= j,
        _ => true,
    }
}

/// The form with the elements that `keep` needs; the smallest that has them all.
fn form_with(keep: impl Fn(usize, usize) -> bool) -> tn_form {
    let needed = |i: usize, j: usize| keep(i, j);
    let fits = |form: &tn_form| (0..4).all(|at| has(*form, at / 2, at % 2) || !needed(at / 2, at % 2));
    [TN_FORM_DIAGONAL, TN_FORM_LOWER, TN_FORM_UPPER, TN_FORM_FULL].into_iter().find(fits).unwrap()
}

/// A dense copy: all elements of the matrix.
type Dense = Vec<f64>;

/// An array of a form with the elements of a dense matrix. The elements that the form hides are NaN, so that no result
/// may depend on them.
fn formed(pool: *mut tn_pool, dense: &Dense, form: tn_form, order: u32) -> Array {
    let n = SIDE as i64;
    let made = if form == TN_FORM_DIAGONAL {
        let diagonal: Vec<f64> = (0..SIDE).map(|i| dense[i * SIDE + i]).collect();
        array(pool, &[n], order, &diagonal)
    } else {
        let hidden = |at: usize| if has(form, at / SIDE, at % SIDE) { dense[at] } else { f64::NAN };
        array(pool, &[n, n], order, &(0..SIDE * SIDE).map(hidden).collect::<Vec<_>>())
    };
    ok(tn_array_set_form(made, form));
    made
}

/// The dense copy of what a handle stands for.
fn dense_of(array: Array) -> Dense {
    let (values, form) = (read(array), info(array).form);
    if form == TN_FORM_DIAGONAL {
        return (0..SIDE * SIDE).map(|at| if at % (SIDE + 1) == 0 { values[at / SIDE] } else { 0.0 }).collect();
    }
    let matrix = values.len() == SIDE * SIDE;
    let shown = |at: usize| if matrix && !has(form, at / SIDE, at % SIDE) { 0.0 } else { values[at] };
    (0..values.len()).map(shown).collect()
}

/// Random elements where the form has them. The diagonal dominates, so that all such matrices can be solved with.
fn random_dense(random: &mut Numbers, form: tn_form) -> Dense {
    let element = |random: &mut Numbers, i: usize, j: usize| match (has(form, i, j), i == j) {
        (false, _) => 0.0,
        (true, true) => SIDE as f64 + random.unit(),
        (true, false) => random.unit(),
    };
    (0..SIDE * SIDE).map(|at| element(random, at / SIDE, at % SIDE)).collect()
}

fn leaf_of_handle(array: Array) -> Expr {
    out!(tn_expr_leaf(array, TN_FORM_OF_HANDLE))
}

fn explain(e: Expr) -> String {
    let mut length = 0;
    let mut text = vec![0u8; 1 << 14];
    // SAFETY: the buffer has the given length.
    ok(unsafe { tn_expr_explain(e, TN_EXPLAIN_TEXT, text.len(), text.as_mut_ptr().cast(), &mut length) });
    text.truncate(length);
    String::from_utf8(text).unwrap()
}

/// The name of a form in explanations.
fn name(form: tn_form) -> &'static str {
    ["full", "diagonal", "lower", "upper"][form as usize]
}

/// The copy book is one for the whole process, so one test at a time counts copies.
static COUNTING: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    COUNTING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The copies in the copy book.
fn copies() -> u64 {
    // SAFETY: plain data.
    let mut sites: Vec<tn_copy_site> = vec![unsafe { std::mem::zeroed() }; 256];
    let mut n = 0;
    // SAFETY: room for that many.
    ok(unsafe { tn_copies_query(size_of::<tn_copy_site>(), sites.len(), sites.as_mut_ptr(), &mut n) });
    sites[..n].iter().map(|site| site.count).sum()
}

/// Computes, and checks form and allocations against the explanation. Returns the value and the number of allocations.
fn computed(pool: *mut tn_pool, e: Expr, what: &str) -> (Array, i64) {
    let explained = explain(e);
    let before = copies();
    let (figures, value) = measure(pool, || compute(e));
    let written_out = explained.lines().filter(|line| line.contains(" dense ") && line.contains("a new array")).count();
    assert_eq!(copies() - before, written_out as u64, "{what}:\n{explained}");
    let foretold = explained.matches("a new array").count();
    assert_eq!(figures.allocations as usize, foretold, "{what}:\n{explained}");
    let last = explained.lines().last().expect("a line");
    assert!(last.contains(&format!(": {} float64", name(info(value).form))), "{what}:\n{explained}");
    (value, figures.allocations)
}

fn equal(got: &[f64], expected: &[f64]) -> bool {
    let close = |(g, e): (&f64, &f64)| g == e || (g.is_nan() && e.is_nan()) || (g - e).abs() <= 1e-9 * (1.0 + e.abs());
    got.len() == expected.len() && got.iter().zip(expected).all(close)
}

fn zip(x: &Dense, y: &Dense, f: fn(f64, f64) -> f64) -> Dense {
    x.iter().zip(y).map(|(x, y)| f(*x, *y)).collect()
}

/// The solution of m * x = b by Gaussian elimination with partial pivoting.
fn solved(m: &Dense, b: &Dense) -> Dense {
    let n = SIDE;
    let (mut m, mut x) = (m.clone(), b.clone());
    for k in 0..n {
        let best = (k..n).max_by(|&i, &j| m[i * n + k].abs().total_cmp(&m[j * n + k].abs())).unwrap();
        for j in 0..n {
            m.swap(k * n + j, best * n + j);
            x.swap(k * n + j, best * n + j);
        }
        for i in (0..n).filter(|i| *i != k) {
            let factor = m[i * n + k] / m[k * n + k];
            for j in 0..n {
                m[i * n + j] -= factor * m[k * n + j];
                x[i * n + j] -= factor * x[k * n + j];
            }
        }
    }
    (0..n * n).map(|at| x[at] / m[at / n * (n + 1)]).collect()
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Binary {
    Add,
    Subtract,
    Times,
    Divide,
    Multiply,
    Solve,
}

impl Binary {
    const ALL: [Binary; 6] =
        [Binary::Add, Binary::Subtract, Binary::Times, Binary::Divide, Binary::Multiply, Binary::Solve];

    fn node(self, x: Expr, y: Expr) -> Expr {
        match self {
            Binary::Add => out!(tn_expr_add(x, y)),
            Binary::Subtract => out!(tn_expr_subtract(x, y)),
            Binary::Times => out!(tn_expr_elementwise(TN_EXPR_MULTIPLY, x, y)),
            Binary::Divide => out!(tn_expr_elementwise(TN_EXPR_DIVIDE, x, y)),
            Binary::Multiply => out!(tn_expr_multiply(x, y)),
            Binary::Solve => out!(tn_expr_solve(x, y)),
        }
    }

    fn dense(self, x: &Dense, y: &Dense) -> Dense {
        match self {
            Binary::Add => zip(x, y, |x, y| x + y),
            Binary::Subtract => zip(x, y, |x, y| x - y),
            Binary::Times => zip(x, y, |x, y| x * y),
            Binary::Divide => zip(x, y, |x, y| x / y),
            Binary::Multiply => naive::matmul(x, y, SIDE, SIDE, SIDE),
            Binary::Solve => solved(x, y),
        }
    }

    /// The form of the result.
    fn form(self, x: tn_form, y: tn_form) -> tn_form {
        match self {
            Binary::Times => form_with(|i, j| has(x, i, j) && has(y, i, j)),
            Binary::Divide => TN_FORM_FULL,
            _ => form_with(|i, j| has(x, i, j) || has(y, i, j)),
        }
    }

    /// Number of allocations if both operands are held, and if both are released.
    fn allocations(self, x: tn_form, y: tn_form) -> (i64, i64) {
        let diagonals = [x, y].iter().filter(|form| **form == TN_FORM_DIAGONAL).count() as i64;
        let not_full = [x, y].iter().filter(|form| **form != TN_FORM_FULL).count() as i64;
        match self {
            Binary::Add | Binary::Subtract => (1, 0),
            // The diagonal of two triangles is n values, which neither has room for.
            Binary::Times => (1, i64::from(diagonals == 0 && self.form(x, y) == TN_FORM_DIAGONAL)),
            // The zeros are written out: in place for triangles. The quotient overwrites what was written out.
            Binary::Divide => (not_full.max(1), diagonals),
            Binary::Multiply => (1, i64::from(x == TN_FORM_FULL && y == TN_FORM_FULL)),
            // LU needs a copy of a full matrix that is held. A diagonal right-hand side has no room for a matrix.
            Binary::Solve => {
                (1 + i64::from(x == TN_FORM_FULL), i64::from(y == TN_FORM_DIAGONAL && x != TN_FORM_DIAGONAL))
            }
        }
    }
}

#[test]
fn fm_6_every_operation_on_every_mix_of_forms() {
    let _alone = alone();
    let pool = pool();
    let mut random = Numbers::new(1);
    for (operation, x_form, y_form) in
        Binary::ALL.into_iter().flat_map(|o| FORMS.into_iter().flat_map(move |x| FORMS.map(|y| (o, x, y))))
    {
        for order in 0..4 {
            let orders = [[TN_ORDER_C, TN_ORDER_F][order % 2], [TN_ORDER_C, TN_ORDER_F][order / 2]];
            let (x, y) = (random_dense(&mut random, x_form), random_dense(&mut random, y_form));
            let expected = operation.dense(&x, &y);
            for held in [true, false] {
                let what = format!("{operation:?} of {} and {}, held: {held}", name(x_form), name(y_form));
                let arrays = [formed(pool, &x, x_form, orders[0]), formed(pool, &y, y_form, orders[1])];
                let leaves = arrays.map(leaf_of_handle);
                let e = operation.node(leaves[0], leaves[1]);
                leaves.into_iter().for_each(drop_expr);
                let before = arrays.map(read);
                if !held {
                    arrays.into_iter().for_each(drop_array);
                }
                let (value, allocations) = computed(pool, e, &what);
                drop_expr(e);
                let (if_held, if_released) = operation.allocations(x_form, y_form);
                assert_eq!(allocations, if held { if_held } else { if_released }, "{what}");
                assert_eq!(info(value).form, operation.form(x_form, y_form), "{what}");
                assert!(equal(&dense_of(value), &expected), "{what}:\n{:?}\n{expected:?}", dense_of(value));
                if held {
                    arrays.iter().zip(&before).for_each(|(array, before)| assert!(equal(&read(*array), before)));
                    arrays.into_iter().for_each(drop_array);
                }
                drop_array(value);
            }
        }
    }
    end(pool);
}

#[test]
fn fm_6_operations_with_one_operand() {
    let _alone = alone();
    let pool = pool();
    let mut random = Numbers::new(2);
    for form in FORMS {
        for (which, order) in (0..9).flat_map(|which| [(which, TN_ORDER_C), (which, TN_ORDER_F)]) {
            // Square roots need non-negative elements.
            let x: Dense = random_dense(&mut random, form).iter().map(|x| x.abs()).collect();
            let sum = |step: usize, stride: usize| -> Dense {
                (0..SIDE).map(|k| (0..SIDE).map(|i| x[k * step + i * stride]).sum()).collect()
            };
            let elementwise = |op| move |x| out!(tn_expr_elementwise(op, x, null_mut()));
            type Node = Box<dyn Fn(Expr) -> Expr>;
            let (node, expected, expected_form): (Node, Dense, tn_form) = match which {
                0 => (Box::new(|x| out!(tn_expr_scale(x, 0.5))), x.iter().map(|x| 0.5 * x).collect(), form),
                1 => (Box::new(elementwise(TN_EXPR_NEGATE)), x.iter().map(|x| -x).collect(), form),
                2 => (Box::new(elementwise(TN_EXPR_SQRT)), x.iter().map(|x| x.sqrt()).collect(), form),
                3 => (Box::new(elementwise(TN_EXPR_EXP)), x.iter().map(|x| x.exp()).collect(), TN_FORM_FULL),
                4 => (Box::new(elementwise(TN_EXPR_LOG)), x.iter().map(|x| x.ln()).collect(), TN_FORM_FULL),
                5 => (Box::new(|x| out!(tn_expr_sum(x, 0))), sum(1, SIDE), TN_FORM_FULL),
                6 => (Box::new(|x| out!(tn_expr_sum(x, -1))), sum(SIDE, 1), TN_FORM_FULL),
                7 => (Box::new(|x| out!(tn_expr_dense(x))), x.clone(), TN_FORM_FULL),
                _ => {
                    let turned = form_with(|i, j| has(form, j, i));
                    (Box::new(|x| out!(tn_expr_transpose(x))), naive::transpose(&x, SIDE, SIDE), turned)
                }
            };
            // exp, log and dense write out the zeros; only a diagonal has no room for them.
            let writes_out = matches!(which, 3 | 4 | 7);
            let sums = matches!(which, 5 | 6);
            let if_released = i64::from(sums) + i64::from(writes_out && form == TN_FORM_DIAGONAL);
            let triangle = form == TN_FORM_LOWER || form == TN_FORM_UPPER;
            let if_held = i64::from(which != 8) + i64::from(sums && triangle);
            for held in [true, false] {
                let what = format!("{which} of {}, held: {held}", name(form));
                let array = formed(pool, &x, form, order);
                let e = leaf_of_handle(array);
                let result = node(e);
                drop_expr(e);
                if !held {
                    drop_array(array);
                }
                let (value, allocations) = computed(pool, result, &what);
                drop_expr(result);
                assert_eq!(allocations, if held { if_held } else { if_released }, "{what}");
                assert_eq!(info(value).form, expected_form, "{what}");
                assert!(equal(&dense_of(value), &expected), "{what}: {:?} {expected:?}", dense_of(value));
                drop_array(value);
                if held {
                    drop_array(array);
                }
            }
        }
    }
    end(pool);
}

/// An expression with its expected value.
struct Made {
    expr: Expr,
    value: Dense,
    form: tn_form,
    /// A leaf, whose diagonal dominates.
    is_leaf: bool,
}

struct Graph {
    arrays: Vec<Array>,
    nodes: Vec<Made>,
}

/// Equal graphs for equal seeds. Elements stay finite, so division and logarithms are left to the tests above.
fn build(pool: *mut tn_pool, seed: u64) -> Graph {
    let mut random = Numbers::new(seed);
    let mut graph = Graph { arrays: Vec::new(), nodes: Vec::new() };
    let mut sources: Vec<(Dense, tn_form)> = Vec::new();
    for _ in 0..1 + random.below(4) {
        let form = FORMS[random.below(4)];
        let dense = random_dense(&mut random, form);
        let order = if random.below(3) == 0 { TN_ORDER_F } else { TN_ORDER_C };
        graph.arrays.push(formed(pool, &dense, form, order));
        sources.push((dense, form));
    }
    for _ in 0..3 + random.below(10) {
        let made = if graph.nodes.is_empty() || random.below(4) == 0 {
            let which = random.below(sources.len());
            let (dense, form) = sources[which].clone();
            if random.below(3) == 0 {
                let view: Array = out!(tn_array_transpose(graph.arrays[which]));
                let expr = leaf_of_handle(view);
                drop_array(view);
                let form = form_with(|i, j| has(form, j, i));
                Made { expr, value: naive::transpose(&dense, SIDE, SIDE), form, is_leaf: true }
            } else {
                Made { expr: leaf_of_handle(graph.arrays[which]), value: dense, form, is_leaf: true }
            }
        } else {
            let (x, y) = (&graph.nodes[random.below(graph.nodes.len())], &graph.nodes[random.below(graph.nodes.len())]);
            let one = |expr, value, form| Made { expr, value, form, is_leaf: false };
            let both = |operation: Binary| Made {
                expr: operation.node(x.expr, y.expr),
                value: operation.dense(&x.value, &y.value),
                form: operation.form(x.form, y.form),
                is_leaf: false,
            };
            match random.below(9) {
                0 | 1 => both(Binary::Add),
                2 => both(Binary::Subtract),
                3 => both(Binary::Times),
                4 if x.value.iter().chain(&y.value).all(|x| x.abs() < 1e6) => both(Binary::Multiply),
                5 if x.is_leaf => both(Binary::Solve),
                6 => one(out!(tn_expr_transpose(x.expr)), naive::transpose(&x.value, SIDE, SIDE), {
                    form_with(|i, j| has(x.form, j, i))
                }),
                7 => one(out!(tn_expr_dense(x.expr)), x.value.clone(), TN_FORM_FULL),
                _ => one(out!(tn_expr_scale(x.expr, -0.5)), x.value.iter().map(|x| -0.5 * x).collect(), x.form),
            }
        };
        graph.nodes.push(made);
    }
    graph
}

/// Computes the last node. `held`: of three arrays or expressions, how many the test keeps.
fn evaluate(pool: *mut tn_pool, seed: u64, held: usize) {
    let graph = build(pool, seed);
    let mut random = Numbers::new(seed ^ 0x5a5a);
    let (kept, gone): (Vec<Array>, Vec<Array>) = graph.arrays.iter().partition(|_| random.below(3) < held);
    let before: Vec<Vec<f64>> = kept.iter().map(|array| read(*array)).collect();
    gone.into_iter().for_each(drop_array);
    let (last, below) = graph.nodes.split_last().expect("a node");
    let (named, dropped): (Vec<&Made>, Vec<&Made>) = below.iter().partition(|_| random.below(3) < held);
    dropped.into_iter().for_each(|node| drop_expr(node.expr));
    let what = format!("seed {seed}, held {held}");
    let (value, _) = computed(pool, last.expr, &what);
    assert!(equal(&dense_of(value), &last.value), "{what}: {:?} {:?}", dense_of(value), last.value);
    assert_eq!(info(value).form, last.form, "{what}");
    drop_expr(last.expr);
    for node in named {
        let value = finish(node.expr);
        assert!(equal(&dense_of(value), &node.value), "{what}");
        assert_eq!(info(value).form, node.form, "{what}");
        drop_array(value);
    }
    let as_bits = |values: &[f64]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    for (array, before) in kept.into_iter().zip(before) {
        assert_eq!(as_bits(&read(array)), as_bits(&before), "{what}");
        drop_array(array);
    }
    assert_eq!(why(value), 0, "{what}");
    drop_array(value);
    assert_eq!(stats(pool).live_blocks, 0, "{what}");
}

#[test]
fn fm_6_random_graphs_over_all_forms() {
    let _alone = alone();
    let pool = pool();
    let rounds = std::env::var("TENURE_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(3000);
    for seed in 1..=rounds {
        (0..4).for_each(|held| evaluate(pool, seed, held));
    }
    end(pool);
}
