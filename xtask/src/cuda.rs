//! The CUDA tests on the simulated driver: `cargo xtask test --sim`, a stage of the gate, and `cargo xtask soak sim`.
//!
//! Promise: the tests in `tests/cuda_*.rs` run with several seeds, each with its own interleaving of device work. C and C++ tests with "cuda"
//! in their names run with the first seed. The first failure is reported with the command that repeats it.

use crate::programs::{self, Program};
use crate::sim;
use crate::tools::{Done, cargo, exists, named};
use std::process::Command;
use tenure_harness::Outcome;

/// Seeds in the gate.
pub const SEEDS: u64 = 3;
/// Seeds in the soak.
const MANY: u64 = 1000;
/// The programs that run the C and C++ tests, an example, the documents, and the compiler of modules; only tests with "cuda" in their names
/// run.
const BESIDE: [&str; 5] = ["c", "compiler", "cpp", "docs", "tiled_matmul"];
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

/// Why no test can run, or None.
pub fn missing() -> Option<String> {
    (!exists("tests/cuda_device.rs")).then(|| "there is no tests/cuda_device.rs".to_owned())
}

/// Runs the tests with `count` seeds from `first` on, until one fails.
pub fn run(first: u64, count: u64) -> Done<Count> {
    let driver = sim::stage()?;
    let programs = build()?;
    let mut sum = Count::default();
    for seed in first..first + count {
        // The C programs are compiled in each run and run under valgrind, so they run with one seed only.
        let is_due = |program: &Program| seed == first || program.name.starts_with("tests/cuda_");
        let set_up = |test: &mut Command| {
            test.env("LD_LIBRARY_PATH", &driver).env("TENURE_TEST_DEVICE", "sim");
            test.env("TENURE_SIM_SEED", seed.to_string());
        };
        println!("seed {seed}");
        let ended = programs::run(&programs, |program, test| is_due(program) && is_chosen(program, test), set_up);
        for test in &ended {
            match &test.outcome {
                Outcome::Passed => sum.passed += 1,
                Outcome::Ignored(why) => {
                    sum.ignored += 1;
                    println!("{}: {}: ignored, {why}", test.program, test.test);
                }
                Outcome::Failed(_) => sum.failed += 1,
            }
        }
        let failed = ended.iter().find(|test| matches!(test.outcome, Outcome::Failed(_)));
        sum.failure = failed.map(|test| {
            let repeat = format!("cargo xtask test --sim --seed {seed}");
            format!("{}: {} fails with seed {seed}: {repeat}", test.program, test.test)
        });
        if sum.failure.is_some() {
            return Ok(sum);
        }
        // A program without a passed test did not run on the simulator.
        for program in programs.iter().filter(|program| program.name.starts_with("tests/cuda_")) {
            if !ended.iter().any(|test| test.program == program.name && matches!(test.outcome, Outcome::Passed)) {
                return Err(format!("{}: no test of it ran on the simulated driver", program.name));
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

/// Builds the CUDA tests, and the programs that run the C and C++ tests.
fn build() -> Done<Vec<Program>> {
    let names = named("tests", "cuda_", ".rs")?;
    let mut build = cargo();
    build.args(["test", "--locked"]).args(BESIDE.iter().flat_map(|name| ["--test", name]));
    build.args(names.iter().flat_map(|name| ["--test", name.trim_end_matches(".rs")]));
    let programs = programs::build(&mut build, "")?;
    if programs.len() == names.len() + BESIDE.len() {
        Ok(programs)
    } else {
        Err(format!("cargo named {} programs, not {}", programs.len(), names.len() + BESIDE.len()))
    }
}

/// Whether a test is one of GPUs. C++ under valgrind is left out: it takes minutes and finds nothing more.
fn is_chosen(program: &Program, test: &str) -> bool {
    match program.name.as_str() {
        "tests/c.rs" | "tests/compiler.rs" | "tests/docs.rs" | "tests/tiled_matmul.rs" => test.contains("cuda"),
        "tests/cpp.rs" => test.contains("cuda") && !test.contains("valgrind"),
        _ => true,
    }
}
