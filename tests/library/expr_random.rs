//! Random expressions: values against scalar loops, equal bits for all holders of the operands, the prediction of
//! explain against compute, and no leak at the end. `TENURE_ROUNDS` sets the number.

use crate::out;
use crate::support;
use std::ptr::null_mut;
use support::expr::*;
use tenure::ffi::{expr::*, view::*};
use tenure::types::*;
use tenure_harness::test;

const SIDE: usize = 6;

/// The arrays that the test still holds when the expression is computed.
#[derive(Clone, Copy, PartialEq, Debug)]
enum StillHeld {
    All,
    Some,
    None,
}

/// An expression with its expected value; all values are full SIDE x SIDE matrices.
struct Made {
    expr: Expr,
    value: Vec<f64>,
}

struct Graph {
    arrays: Vec<Array>,
    nodes: Vec<Made>,
}

/// Equal graphs for equal seeds; `products`: with matrix products among the operations.
fn build(pool: *mut tn_pool, seed: u64, products: bool) -> Graph {
    let mut random = Numbers::new(seed);
    let mut graph = Graph { arrays: Vec::new(), nodes: Vec::new() };
    let mut arrays: Vec<Vec<f64>> = Vec::new();
    for _ in 0..1 + random.below(3) {
        let values = random.vector(SIDE * SIDE);
        let order = if random.below(3) == 0 { TN_ORDER_F } else { TN_ORDER_C };
        graph.arrays.push(array(pool, &[SIDE as i64; 2], order, &values));
        arrays.push(values);
    }
    for _ in 0..3 + random.below(12) {
        let made = if graph.nodes.is_empty() || random.below(4) == 0 {
            let which = random.below(arrays.len());
            if random.below(3) == 0 {
                let view: Array = out!(tn_array_transpose(graph.arrays[which]));
                let expr = leaf(view);
                drop_array(view);
                Made { expr, value: naive::transpose(&arrays[which], SIDE, SIDE) }
            } else {
                Made { expr: leaf(graph.arrays[which]), value: arrays[which].clone() }
            }
        } else {
            let (x, y) = (&graph.nodes[random.below(graph.nodes.len())], &graph.nodes[random.below(graph.nodes.len())]);
            let zip = |f: fn(f64, f64) -> f64| x.value.iter().zip(&y.value).map(|(x, y)| f(*x, *y)).collect::<Vec<_>>();
            match random.below(if products { 8 } else { 7 }) {
                0 | 1 => Made { expr: out!(tn_expr_add(x.expr, y.expr)), value: zip(|x, y| x + y) },
                2 => Made { expr: out!(tn_expr_subtract(x.expr, y.expr)), value: zip(|x, y| x - y) },
                3 => {
                    Made { expr: out!(tn_expr_elementwise(TN_EXPR_MULTIPLY, x.expr, y.expr)), value: zip(|x, y| x * y) }
                }
                4 => Made { expr: out!(tn_expr_scale(x.expr, 0.5)), value: x.value.iter().map(|x| 0.5 * x).collect() },
                5 => Made {
                    expr: out!(tn_expr_elementwise(TN_EXPR_NEGATE, x.expr, null_mut())),
                    value: x.value.iter().map(|x| -x).collect(),
                },
                6 => Made { expr: out!(tn_expr_transpose(x.expr)), value: naive::transpose(&x.value, SIDE, SIDE) },
                _ => Made {
                    expr: out!(tn_expr_multiply(x.expr, y.expr)),
                    value: naive::matmul(&x.value, &y.value, SIDE, SIDE, SIDE),
                },
            }
        };
        graph.nodes.push(made);
    }
    graph
}

fn text_of(e: Expr) -> String {
    let mut length = 0;
    let mut text = vec![0u8; 1 << 14];
    // SAFETY: the buffer has the given length.
    ok(unsafe { tn_expr_explain(e, TN_EXPLAIN_TEXT, text.len(), text.as_mut_ptr().cast(), &mut length) });
    text.truncate(length);
    String::from_utf8(text).unwrap()
}

/// Computes the last node, or several; returns the bits of the last one.
fn evaluate(pool: *mut tn_pool, seed: u64, products: bool, held: StillHeld, flags: u32) -> Vec<f64> {
    let graph = build(pool, seed, products);
    let mut random = Numbers::new(seed ^ 0x5555);
    let mut kept = Vec::new();
    for array in graph.arrays {
        match held {
            StillHeld::All => kept.push(array),
            StillHeld::Some if random.below(2) == 0 => kept.push(array),
            _ => drop_array(array),
        }
    }
    let before: Vec<Vec<f64>> = kept.iter().map(|a| read(*a)).collect();
    let last = graph.nodes.len() - 1;
    let mut named = Vec::new();
    for (at, node) in graph.nodes.iter().enumerate() {
        if at < last {
            if held == StillHeld::None || random.below(3) > 0 {
                drop_expr(node.expr);
            } else {
                named.push(at);
            }
        }
    }
    // Some kept nodes are computed first, so that they have values when the last one is computed.
    for &at in named.iter().filter(|at| **at % 2 == 0) {
        let value: Array = out!(tn_expr_compute(graph.nodes[at].expr, flags));
        assert_near(&read(value), &graph.nodes[at].value);
        drop_array(value);
    }
    let explained = text_of(graph.nodes[last].expr);
    let (figures, value) = measure(pool, || -> Array { out!(tn_expr_compute(graph.nodes[last].expr, flags)) });
    if flags == 0 {
        let predicted = explained.matches("a new array").count() as i64;
        assert_eq!(figures.allocations, predicted, "seed {seed}, {held:?}:\n{explained}");
    }
    let values = read(value);
    assert_near(&values, &graph.nodes[last].value);
    // StillHeld arrays and other expressions are unchanged.
    for (array, before) in kept.iter().zip(&before) {
        assert_same(&read(*array), before);
    }
    for at in named {
        let value = finish(graph.nodes[at].expr);
        assert_near(&read(value), &graph.nodes[at].value);
        drop_array(value);
    }
    drop_expr(graph.nodes[last].expr);
    kept.into_iter().for_each(drop_array);
    assert_same(&read(value), &values);
    assert_eq!(why(value), 0);
    drop_array(value);
    assert_eq!(stats(pool).live_blocks, 0, "seed {seed}, {held:?}");
    values
}

#[test]
fn random_expressions_have_equal_bits_for_all_holders() {
    let pool = pool();
    let rounds = std::env::var("TENURE_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(3000);
    for seed in 1..=rounds {
        // Products choose their loops by the order of their operands, which differs if another operand was overwritten.
        let products = seed % 3 == 0;
        let all = evaluate(pool, seed, products, StillHeld::All, 0);
        for (held, flags) in [
            (StillHeld::None, 0),
            (StillHeld::Some, 0),
            (StillHeld::None, TN_KEEP_ON_FAIL),
            (StillHeld::Some, TN_KEEP_ON_FAIL),
        ] {
            let other = evaluate(pool, seed, products, held, flags);
            if products { assert_near(&other, &all) } else { assert_same(&other, &all) }
        }
    }
    end(pool);
}
