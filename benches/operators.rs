//! The cost of one node of an expression that an operator of Rust builds and drops (bar T34).
//!
//!     operators TURNS     builds and drops that many sums of two matrices, and prints the least ns of a node
//!
//! `cargo xtask bench operators` also counts instructions under callgrind, from runs of two lengths. The calls of C and the operators of C++
//! are in benches/operators.cpp.

use std::time::Instant;
use tenure_rs::{Array, Matrix, Result};

/// Sums in a row, whose time is taken.
const WINDOW: u64 = 100;

fn main() -> Result<()> {
    let Some(turns) = std::env::args().nth(1).and_then(|word| word.parse::<u64>().ok()) else {
        eprintln!("usage: operators TURNS");
        std::process::exit(2);
    };
    let (m, d) = (Matrix::new(Array::from_vec(vec![1.0; 4], [2, 2])?)?, Matrix::diagonal(Array::ones([2])?)?);
    let mut least = f64::INFINITY;
    for _ in 0..turns.div_ceil(WINDOW) {
        let start = Instant::now();
        for _ in 0..WINDOW {
            drop(&m + &d);
        }
        // Two leaves and a sum.
        least = least.min(start.elapsed().as_nanos() as f64 / (3 * WINDOW) as f64);
    }
    println!("ns\t{least:.2}\t{least:.2}");
    Ok(())
}
