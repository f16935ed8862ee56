//! `cargo xtask bench operators`: one node of an expression, by the operators of C++ and Rust, beside the calls of C (T34).
//!
//! Promise: the library as it is released. Instructions are counted by callgrind, as the difference of two runs of
//! different lengths; times are minima over the rounds, all in one run. A turn makes three nodes: two leaves and a sum.

use super::figures::{Figures, ROUNDS};
use super::instructions;
use std::path::{Path, PathBuf};
use xtask::dist;
use xtask::run::compile;
use xtask::tools::{Done, cargo, command, copy_all, root, run};

/// The most ns that a node may cost.
const TARGET_NS: f64 = 100.0;

/// Turns of the short run and of the long run under callgrind.
const LENGTHS: (u32, u32) = (1_000, 11_000);

/// Turns of a timed run.
const TURNS: u32 = 100_000;

/// Measures and prints.
pub fn bench() -> Done {
    dist::libraries()?;
    copy_all(&root().join("include"), &dist::folder().join("include"))?;
    let cpp = root().join("target/benches/operators");
    compile("benches/operators.cpp", &cpp, &[])?;
    let rust = rust_program()?;
    let programs: [(&str, &Path, &[&str]); 3] = [("C", &cpp, &["c"]), ("C++", &cpp, &["cpp"]), ("Rust", &rust, &[])];
    let mut figures = [Figures::default(), Figures::default(), Figures::default()];
    for _ in 0..ROUNDS {
        for ((_, program, words), figures) in programs.iter().zip(&mut figures) {
            figures.take(command(program).args(*words).arg(TURNS.to_string()))?;
        }
    }
    let mut calls = None;
    for ((name, program, words), figures) in programs.iter().zip(&figures) {
        let ns = figures.minimum("ns").ok_or("no figure")?;
        let met = if ns <= TARGET_NS { "met" } else { "NOT MET" };
        print!("{name}: {ns:.0} ns a node, target {TARGET_NS:.0} ns: {met}");
        if let Some(why) = instructions::missing() {
            println!("; instructions: skipped: {why}");
            continue;
        }
        let count =
            |turns: u32| instructions::collected(instructions::callgrind(program).args(*words).arg(turns.to_string()));
        let each = (count(LENGTHS.1)? - count(LENGTHS.0)?) / f64::from(3 * (LENGTHS.1 - LENGTHS.0));
        println!("; {each:.0} instructions, {:.2} of those of C", each / *calls.get_or_insert(each));
    }
    Ok(())
}

/// The program in Rust, built with the staged library.
fn rust_program() -> Done<PathBuf> {
    let mut build = cargo();
    build.args([
        "build",
        "--quiet",
        "--locked",
        "--release",
        "--package",
        "tenure-rs",
        "--no-default-features",
        "--example",
        "operators",
    ]);
    run(build.env("TENURE_LIB_DIR", dist::folder().join("lib")))?;
    Ok(root().join("target/release/examples/operators"))
}
