//! The tests of GPUs on the simulated driver: `cargo xtask test --sim`, a stage of the gate, and `cargo xtask soak sim`.
//!
//! Promise: what `tests/cuda_*.rs` hold is run with several seeds, each of which makes another interleaving of device work, and what C and C++
//! tests with "cuda" in their names hold with the first; the first that fails is named with what repeats it.

use crate::sim;
use crate::tools::{Done, cargo, command, exists, named, plainly, root};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Seeds of the gate: few, and the same each time.
pub const SEEDS: u64 = 3;
/// Seeds of the soak.
const MANY: u64 = 1000;
/// The test programs of C and C++, of whose tests those with "cuda" in their name are run.
const BESIDE: [&str; 2] = ["c", "cpp"];
/// A program that runs longer than this waits for something that never comes.
const PATIENCE: Duration = Duration::from_secs(3000);

/// A test program.
struct Program {
    /// As cargo calls it.
    name: String,
    path: PathBuf,
}

/// What was run.
#[derive(Default)]
pub struct Count {
    /// Tests that passed, over all seeds.
    pub passed: usize,
    /// Those that failed.
    pub failed: usize,
    /// What repeats the first failure.
    pub failure: Option<String>,
}

/// Why there is nothing to run.
pub fn missing() -> Option<String> {
    (!exists("tests/cuda_device.rs")).then(|| "there is no tests/cuda_device.rs".to_owned())
}

/// Runs them with `count` seeds from `first` on, until one fails.
pub fn run(first: u64, count: u64) -> Done<Count> {
    let driver = sim::stage()?;
    let programs = build()?;
    let mut sum = Count::default();
    for seed in first..first + count {
        // The C programs are compiled each time, and run under valgrind: once is what they are for.
        for program in programs.iter().filter(|program| seed == first || !BESIDE.contains(&program.name.as_str())) {
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

/// The same as a command, with a last line.
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

/// Many seeds, others each time.
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
    println!("{} passed, {} failed, with up to {seeds} seeds", sum.passed, sum.failed);
    sum.failure.map_or(Ok(()), Err)
}

/// Builds them, and what runs the C and C++ tests.
fn build() -> Done<Vec<Program>> {
    let names = named("tests", "cuda_", ".rs")?;
    let mut build = cargo();
    build.args(["test", "--locked", "--no-run"]).args(BESIDE.iter().flat_map(|name| ["--test", name]));
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
    if programs.len() == names.len() + BESIDE.len() {
        Ok(programs)
    } else {
        Err(format!("cargo named other programs:\n{text}"))
    }
}

impl Program {
    /// Runs it with a seed.
    fn run(&self, driver: &Path, seed: u64, sum: &mut Count) -> Done {
        let beside = BESIDE.contains(&self.name.as_str());
        let mut test = command(&self.path);
        test.env("LD_LIBRARY_PATH", driver).env("TENURE_TEST_DEVICE", "sim").env("TENURE_SIM_SEED", seed.to_string());
        if beside {
            // The C programs have been under valgrind then; of the C++ ones it shows no more, and takes minutes.
            test.args(if self.name == "cpp" { &["cuda", "--skip", "valgrind"][..] } else { &["cuda"] });
        }
        let (ended_well, text) = watched(&mut test)?;
        let before = (sum.passed, sum.failed);
        for line in text.lines() {
            match line.strip_prefix("test ").and_then(|line| line.rsplit_once(" ... ")) {
                Some((_, "ok")) => sum.passed += 1,
                Some((_, "FAILED")) => sum.failed += 1,
                _ => {}
            }
        }
        // None at all may be right for C and C++.
        if !ended_well && sum.failed == before.1 || !beside && (sum.passed, sum.failed) == before {
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

/// Runs it, for as long as patience lasts; did it end well, and what did it print?
fn watched(test: &mut Command) -> Done<(bool, String)> {
    let file = root().join("target/cuda-test.txt");
    let out = std::fs::File::create(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    let second = out.try_clone().map_err(|e| format!("{}: {e}", file.display()))?;
    let mut child = test.stdout(out).stderr(second).spawn().map_err(|e| format!("{test:?}: {e}"))?;
    let start = Instant::now();
    let ended_well = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status.success(),
            Ok(None) if start.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(5)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                break false;
            }
        }
    };
    let text = std::fs::read(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    Ok((ended_well, String::from_utf8_lossy(&text).into_owned()))
}
