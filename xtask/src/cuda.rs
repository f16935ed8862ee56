//! The CUDA tests on the simulated driver: `cargo xtask test --sim`, a stage of the gate, and `cargo xtask soak sim`.
//!
//! Promise: the tests in `tests/gpu` run with several seeds, each with its own interleaving of device work. C and C++
//! tests with "cuda" in their names run with the first seed. The first failure is reported with the command that
//! repeats it.

use crate::programs::{self, Test};
use crate::sim;
use crate::tools::Done;
use std::collections::BTreeSet;
use std::process::Command;
use tenure_harness::Outcome;

/// Seeds in the gate.
pub const SEEDS: u64 = 3;
/// Seeds in the soak.
const MANY: u64 = 1000;
/// The program with the tests of GPUs.
const GPU: &str = "tests/gpu/";
/// Beside them run the tests with "cuda" in their names of C and C++, an example, the documents, and the compiler of
/// modules.
const BESIDE: [&str; 5] = [
    "tests/languages/c.rs",
    "tests/languages/compiler.rs",
    "tests/languages/cpp.rs",
    "tests/languages/tiled_matmul.rs",
    "tests/repository/docs.rs",
];

/// The result of a run.
#[derive(Default)]
pub struct Count {
    /// Tests that passed, over all seeds.
    pub passed: usize,
    /// Tests that cannot run on the simulator.
    pub ignored: usize,
    /// Those that failed.
    pub failed: usize,
    /// The first failure, with the command that repeats it.
    pub failure: Option<String>,
}

/// Runs the tests with `count` seeds from `first` on, until one fails.
pub fn run(first: u64, count: u64) -> Done<Count> {
    let driver = sim::stage()?;
    let targets = ["gpu", "languages", "repository"].map(|name| ["--test", name]);
    let programs = programs::build(&mut programs::of_packages(targets.as_flattened()))?;
    let mut sum = Count::default();
    for seed in first..first + count {
        // The C programs are compiled in each run and run under valgrind, so they run with one seed only.
        let is_due = |test: &Test| seed == first || test.file.starts_with(GPU);
        let set_up = |test: &mut Command| {
            test.env("LD_LIBRARY_PATH", &driver).env("TENURE_TEST_DEVICE", "sim");
            test.env("TENURE_SIM_SEED", seed.to_string());
        };
        println!("seed {seed}");
        let ended = programs::run(&programs, |_, test| is_due(test) && is_chosen(test), set_up);
        for test in &ended {
            match &test.outcome {
                Outcome::Passed => sum.passed += 1,
                Outcome::Ignored(why) => {
                    sum.ignored += 1;
                    println!("{}: {}: ignored, {why}", test.file, test.test);
                }
                Outcome::Failed(_) => sum.failed += 1,
            }
        }
        let failed = ended.iter().find(|test| matches!(test.outcome, Outcome::Failed(_)));
        sum.failure = failed.map(|test| {
            let repeat = format!("cargo xtask test --sim --seed {seed}");
            format!("{}: {} fails with seed {seed}: {repeat}", test.file, test.test)
        });
        if sum.failure.is_some() {
            return Ok(sum);
        }
        // A file without a passed test did not run on the simulator.
        let ran: BTreeSet<&str> = ended.iter().map(|test| test.file.as_str()).collect();
        for file in ran.into_iter().filter(|file| file.starts_with(GPU)) {
            if !ended.iter().any(|test| test.file == file && matches!(test.outcome, Outcome::Passed)) {
                return Err(format!("{file}: no test of it ran on the simulated driver"));
            }
        }
        if seed % 50 == 0 {
            println!("seed {seed}: {} tests passed so far", sum.passed);
        }
    }
    Ok(sum)
}

/// `cargo xtask test --sim`.
pub fn main(arguments: &[&str]) -> Done {
    let number = |text: &str| text.parse().map_err(|_| format!("\"{text}\" is no number of seeds"));
    let (first, count) = match arguments {
        [] => (1, SEEDS),
        ["--seed", seed] => (number(seed)?, 1),
        [count] => (1, number(count)?),
        _ => return Err("test --sim takes nothing, a number of seeds, or --seed and one seed".to_owned()),
    };
    finish(run(first, count)?, count)
}

/// `cargo xtask soak sim`: many seeds, which differ from run to run.
pub fn soak(count: Option<&str>) -> Done {
    let count = match count {
        None => MANY,
        Some(text) => text.parse().map_err(|_| format!("\"{text}\" is no number of seeds"))?,
    };
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |time| time.as_secs());
    println!("seeds {clock} to {}", clock + count - 1);
    finish(run(clock, count)?, count)
}

fn finish(sum: Count, seeds: u64) -> Done {
    println!("{} passed, {} failed, {} ignored, with up to {seeds} seeds", sum.passed, sum.failed, sum.ignored);
    sum.failure.map_or(Ok(()), Err)
}

/// Whether a test is one of GPUs. C++ under valgrind is left out: it takes minutes and finds nothing more.
fn is_chosen(test: &Test) -> bool {
    let is_beside = BESIDE.contains(&test.file.as_str()) && test.name.contains("cuda");
    let is_slow = test.file.ends_with("/cpp.rs") && test.name.contains("valgrind");
    test.file.starts_with(GPU) || is_beside && !is_slow
}
