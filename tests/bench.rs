//! The program of `cargo xtask bench pool` compiles without warnings and runs each of its cases, on glibc and on this build's library. The
//! figures are not checked.

mod support {
    pub mod tools;
}

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::tools::{compiler, files, library, output, root};
use tenure_harness::{require, test};

fn main() -> std::process::ExitCode {
    tenure_harness::main()
}

/// Compiles the program for one set of functions.
fn program(api: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-pool-{api}"));
    let mut compile = compiler("c11");
    let sources = files("benches/pool", ".c");
    assert!(!sources.is_empty(), "benches/pool has no C file");
    compile.arg("-pthread").arg(format!("-DAPI_{api}")).args(sources.iter().map(|source| root().join(source)));
    output(compile.arg("-o").arg(&program).args(["-ldl", "-lm"])).unwrap_or_else(|text| panic!("{text}"));
    program
}

/// Runs one round with a turn of each case. Returns the names of the cases, each of which printed its figures.
fn cases(program: &Path, name: &str, library: &Path) -> BTreeSet<String> {
    let mut run = Command::new(program);
    let printed = output(run.args(["forwards", "tiny", name]).arg(library)).unwrap_or_else(|text| panic!("{text}"));
    let mut cases = BTreeSet::new();
    for line in printed.lines().filter(|line| !line.starts_with("# ")) {
        let words: Vec<&str> = line.split('\t').collect();
        let numbers: Vec<f64> = words[1..].iter().filter_map(|word| word.parse().ok()).collect();
        assert!(matches!(numbers[..], [least, median] if (0.0..=median).contains(&least)), "{name}: {line}");
        assert!(cases.insert(words[0].to_owned()), "{name}: twice: {line}");
    }
    cases
}

#[test]
fn every_case_of_the_pools_runs() {
    require(&["gcc"]);
    let theirs = cases(&program("MALLOC"), "glibc", Path::new("-"));
    let ours = cases(&program("HANDLE"), "tenure", &library());
    for group in ["alloc.", "threads.", "memory.", "touch.", "mixes."] {
        assert!(theirs.iter().any(|case| case.starts_with(group)), "no case of {group}");
    }
    assert!(theirs.is_subset(&ours), "only glibc runs {:?}", theirs.difference(&ours));
    // A single case can be selected, and an unknown allocator is an error that names it.
    let mut one = Command::new(program("MALLOC"));
    assert!(output(one.args(["one", "10", "glibc", "-", "alloc.lone_64"])).is_ok());
    let refused = output(Command::new(program("MALLOC")).args(["forwards", "tiny", "unknown", "-"]));
    assert!(refused.is_err_and(|text| text.contains("unknown")));
}
