//! `cargo xtask fuzz`: libFuzzer on all code that parses foreign bytes, with the stable compiler.
//!
//! Promise: starts from the seeds, the committed findings (tests/fuzz/found) and the corpus of earlier runs
//! (target/fuzz/corpus). Runs each target for its time, or until one fails. A failing input lies in target/fuzz/failed.
//! Moved to tests/fuzz/found/<target>, it is part of every later test run.

use crate::tools::{Done, cargo, command, has, io, root, run, run_unlimited};
use std::path::Path;

/// The targets in `tests/fuzz/targets`.
const TARGETS: [&str; 6] = ["npy", "safetensors", "dlpack", "arrow", "descriptors", "event_log"];
/// With an explicit target triple, the flags do not apply to build scripts.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";
/// Coverage counters on every edge, and traces of comparisons, which guide the fuzzer.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-sanitizer-coverage-stack-depth";
/// Optimised, with a debug build's assertions and overflow checks.
const PROFILE: &str = "soak";
/// Longest input, in bytes. An event log's header alone has 4096.
const MAX_LEN: &str = "16384";

/// `[TARGET] [--seconds N]`: runs one target, or all, for N seconds each.
pub fn fuzz(arguments: &[&str]) -> Done {
    let usage = || format!("usage: cargo xtask fuzz [{}] [--seconds N]", TARGETS.join("|"));
    let (mut targets, mut seconds) = (TARGETS.to_vec(), 60u32);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match *argument {
            "--seconds" => seconds = rest.next().and_then(|n| n.parse().ok()).ok_or_else(usage)?,
            name if TARGETS.contains(&name) => targets = vec![name],
            _ => return Err(usage()),
        }
    }
    if !has("g++") {
        return Err("g++ is not installed, and libFuzzer is C++".to_owned());
    }
    let folder = root().join("target/fuzz");
    run(cargo()
        .args(["run", "--quiet", "--locked", "--package", "tenure-fuzz", "--bin", "seeds"])
        .arg(folder.join("seeds")))?;
    let mut build = cargo();
    build.args(["build", "--locked", "--package", "tenure-fuzz", "--features", "libfuzzer", "--profile", PROFILE]);
    build.args(["--target", TRIPLE, "--target-dir"]).arg(&folder).env("RUSTFLAGS", FLAGS);
    for target in &targets {
        build.args(["--bin", target]);
    }
    run(&mut build)?;
    for target in targets {
        println!("\n== {target}, {seconds} s");
        one(&folder, target, seconds)?;
    }
    Ok(())
}

fn one(folder: &Path, target: &str, seconds: u32) -> Done {
    let (corpus, failed) = (folder.join("corpus").join(target), folder.join("failed"));
    for path in [&corpus, &failed] {
        io(path, std::fs::create_dir_all(path))?;
    }
    let mut fuzzer = command(folder.join(TRIPLE).join(PROFILE).join(target));
    // libFuzzer writes new inputs to the first folder and only reads the others.
    fuzzer.arg(corpus).arg(folder.join("seeds").join(target));
    let found = root().join("tests/fuzz/found").join(target);
    if found.exists() {
        fuzzer.arg(found);
    }
    fuzzer.arg(format!("-artifact_prefix={}/{target}-", failed.display()));
    fuzzer.args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1", &format!("-max_len={MAX_LEN}")]);
    run_unlimited(fuzzer.arg(format!("-max_total_time={seconds}"))).map_err(|text| {
        format!("{text}\nthe input lies in {}; see xtask/src/fuzz.rs for what to do with it", failed.display())
    })
}
