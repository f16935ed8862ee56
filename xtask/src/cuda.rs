//! The CUDA tests on the simulated driver: `cargo xtask test --sim`, a stage of the gate, and `cargo xtask soak sim`.
//!
//! Promise: the tests in `tests/cuda_*.rs` run with several seeds, each with its own interleaving of device work. C and C++ tests with "cuda"
//! in their names run with the first seed. The first failure is reported with the command that repeats it.

use crate::sim;
use crate::tools::{Done, cargo, command, exists, named, plainly, root};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The number of seeds in the gate.
pub const SEEDS: u64 = 3;
/// The number of seeds in a soak.
const SOAK_SEEDS: u64 = 1000;
/// The programs that run the C and C++ tests. Of these, the tests with "cuda" in their names run.
const C_AND_CPP: [&str; 2] = ["c", "cpp"];
/// A program that runs longer than this is counted as hanging.
const TIME_LIMIT: Duration = Duration::from_secs(3000);

struct Program {
    /// The name of cargo's test target.
    name: String,
    path: PathBuf,
}

#[derive(Default)]
pub struct Count {
    /// Tests that passed, over all seeds.
    pub passed: usize,
    pub failed: usize,
    /// The first failure, with the command that repeats it.
    pub failure: Option<String>,
}

/// Why there is nothing to run; None: there are tests.
pub fn missing() -> Option<String> {
    (!exists("tests/cuda_device.rs")).then(|| "there is no tests/cuda_device.rs".to_owned())
}

/// Runs the tests with `count` seeds from `first` on, until one fails.
pub fn run(first: u64, count: u64) -> Done<Count> {
    let driver = sim::stage()?;
    let programs = build()?;
    let mut sum = Count::default();
    for seed in first..first + count {
        // The C tests compile their programs and run them under valgrind, so they run once.
        for program in programs.iter().filter(|program| seed == first || !C_AND_CPP.contains(&program.name.as_str())) {
            program.run(&driver, seed, &mut sum)?;
            if sum.failure.is_some() {
                return Ok(sum);
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
        None => SOAK_SEEDS,
        Some(text) => text.parse().map_err(|_| format!("\"{text}\" is no number of seeds"))?,
    };
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |time| time.as_secs());
    println!("seeds {clock} to {}", clock + count - 1);
    finish(run(clock, count)?, count)
}

fn finish(sum: Count, seeds: u64) -> Done {
    println!("{} passed, {} failed, with up to {seeds} seeds", sum.passed, sum.failed);
    sum.failure.map_or(Ok(()), Err)
}

/// Builds the CUDA tests, and the programs that run the C and C++ tests.
fn build() -> Done<Vec<Program>> {
    let names = named("tests", "cuda_", ".rs")?;
    let mut build = cargo();
    build.args(["test", "--locked", "--no-run"]).args(C_AND_CPP.iter().flat_map(|name| ["--test", name]));
    build.args(names.iter().flat_map(|name| ["--test", name.trim_end_matches(".rs")]));
    let output = plainly(&mut build).output().map_err(|e| format!("cargo test --no-run: {e}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("cargo test --no-run: {}\n{text}", output.status));
    }
    // "Executable tests/cuda_stream.rs (target/debug/deps/cuda_stream-0123456789abcdef)"
    let programs = text.lines().filter_map(|line| {
        let (file, path) = line.trim().strip_prefix("Executable ")?.split_once(" (")?;
        let name = file.strip_prefix("tests/")?.strip_suffix(".rs")?.to_owned();
        Some(Program { name, path: root().join(path.strip_suffix(')')?) })
    });
    let programs: Vec<Program> = programs.collect();
    if programs.len() == names.len() + C_AND_CPP.len() {
        Ok(programs)
    } else {
        Err(format!("cargo built other programs than expected:\n{text}"))
    }
}

impl Program {
    fn run(&self, driver: &Path, seed: u64, sum: &mut Count) -> Done {
        let runs_others = C_AND_CPP.contains(&self.name.as_str());
        let mut test = command(&self.path);
        test.env("LD_LIBRARY_PATH", driver).env("TENURE_TEST_DEVICE", "sim").env("TENURE_SIM_SEED", seed.to_string());
        if runs_others {
            // valgrind runs the C programs only: with the C++ ones it takes minutes and shows no more.
            test.args(if self.name == "cpp" { &["cuda", "--skip", "valgrind"][..] } else { &["cuda"] });
        }
        let (succeeded, text) = run_with_limit(&mut test)?;
        let before = (sum.passed, sum.failed);
        for line in text.lines() {
            match line.strip_prefix("test ").and_then(|line| line.rsplit_once(" ... ")) {
                Some((_, "ok")) => sum.passed += 1,
                Some((_, "FAILED")) => sum.failed += 1,
                _ => {}
            }
        }
        // A program without tests is an error, except for C and C++.
        if !succeeded && sum.failed == before.1 || !runs_others && (sum.passed, sum.failed) == before {
            sum.failed += 1;
        }
        if sum.failed > before.1 {
            println!("{text}");
            let repeat = format!("cargo xtask test --sim --seed {seed}");
            sum.failure = Some(format!("tests/{}.rs fails with seed {seed}: {repeat}", self.name));
        }
        Ok(())
    }
}

/// Runs a program until its time limit; returns whether it succeeded, and its output.
fn run_with_limit(test: &mut Command) -> Done<(bool, String)> {
    let file = root().join("target/cuda-test.txt");
    let out = std::fs::File::create(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    let second = out.try_clone().map_err(|e| format!("{}: {e}", file.display()))?;
    let mut child = test.stdout(out).stderr(second).spawn().map_err(|e| format!("{test:?}: {e}"))?;
    let start = Instant::now();
    let succeeded = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status.success(),
            Ok(None) if start.elapsed() < TIME_LIMIT => std::thread::sleep(Duration::from_millis(5)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                break false;
            }
        }
    };
    let text = std::fs::read(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    Ok((succeeded, String::from_utf8_lossy(&text).into_owned()))
}
