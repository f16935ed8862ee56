//! Test programs: cargo builds them, and each of their tests runs in a process of its own, several at a time.
//!
//! Promise: no test takes longer than its limit. A test that hangs is killed with its child processes and fails by name; the others go on.
//! A test that cannot run on this machine gives the reason, and is counted apart from tests that run only on request.

use crate::tools::{self, Done, cores, plainly, root};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;
use tenure_harness::{Outcome, RUNNER, command_by, in_parallel, run_one};

/// A program with tests.
pub struct Program {
    /// The path of its source in the repository: "tests/pool.rs", or "src/lib.rs" for unit tests.
    pub name: String,
    path: PathBuf,
    /// The emulator that runs it, and its arguments; empty: it runs by itself.
    pub runner: &'static str,
    /// The folder in which its tests start: that of the package.
    folder: PathBuf,
    /// How many tests run only on request (`#[ignore]`).
    on_request: usize,
    tests: Vec<String>,
}

/// How a test ended.
pub struct Ended {
    /// The program's name.
    pub program: String,
    /// The test's name.
    pub test: String,
    /// Whether it passed, or why not.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

/// Builds the programs of `test`, a `cargo test`, and lists their tests. `package` is the folder of the package.
pub fn build(test: &mut Command, package: &str) -> Done<Vec<Program>> {
    build_for(test, package, "")
}

/// As [`build`], for a processor that `runner` emulates.
pub fn build_for(test: &mut Command, package: &str, runner: &'static str) -> Done<Vec<Program>> {
    let mut programs = Vec::new();
    let built = tools::lines(plainly(test.arg("--no-run")), |line| {
        // "Executable tests/cuda_stream.rs (target/debug/deps/cuda_stream-0123456789abcdef)", "Executable unittests src/lib.rs (...)"
        if let Some((name, path)) = line.trim().strip_prefix("Executable ").and_then(|rest| rest.split_once(" (")) {
            let name = name.trim_start_matches("unittests ");
            programs.push(Program {
                name: if package.is_empty() { name.to_owned() } else { format!("{package}/{name}") },
                path: root().join(path.trim_end_matches(')')),
                runner,
                folder: root().join(package),
                on_request: 0,
                tests: Vec::new(),
            });
        } else {
            println!("{line}");
        }
    })?;
    if !built || programs.is_empty() {
        return Err("the tests cannot be built, see above".to_owned());
    }
    for program in &mut programs {
        program.tests = program.list(&[])?;
        let asked_for = program.list(&["--ignored"])?;
        program.on_request = asked_for.len();
        program.tests.retain(|test| !asked_for.contains(test));
    }
    Ok(programs)
}

impl Program {
    fn command(&self) -> Command {
        let mut command = command_by(self.runner, &self.path);
        command.current_dir(&self.folder).env(RUNNER, self.runner);
        command
    }

    fn list(&self, options: &[&str]) -> Done<Vec<String>> {
        let text = tools::output(self.command().arg("--list").args(options))?;
        Ok(text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
    }
}

/// Runs the tests that `chosen` accepts by program and name; `set_up` prepares each process. Prints failures at once.
pub fn run(
    programs: &[Program],
    chosen: impl Fn(&Program, &str) -> bool,
    set_up: impl Fn(&mut Command) + Sync,
) -> Vec<Ended> {
    let tests: Vec<(&Program, &String)> = programs
        .iter()
        .flat_map(|program| program.tests.iter().map(move |test| (program, test)))
        .filter(|(program, test)| chosen(program, test))
        .collect();
    let mut left: BTreeMap<&str, usize> = BTreeMap::new();
    tests.iter().for_each(|(program, _)| *left.entry(&program.name).or_default() += 1);
    let state = Mutex::new((left, Vec::new()));
    in_parallel(tests.len(), cores(), |at| {
        let (program, test) = tests[at];
        let mut process = program.command();
        process.env_remove("LD_LIBRARY_PATH").env("RUST_BACKTRACE", "0");
        set_up(&mut process);
        let (outcome, took) = run_one(&mut process, test);
        let (left, ended) = &mut *state.lock().expect("no panic while it is held");
        if let Outcome::Failed(text) = &outcome {
            println!("---- FAILED: {}: {test}\n{}\n----", program.name, text.trim_end());
        }
        ended.push(Ended { program: program.name.clone(), test: test.clone(), outcome, took });
        let more = left.get_mut(program.name.as_str()).expect("counted above");
        *more -= 1;
        if *more == 0 {
            println!("{}", summary(program, ended));
        }
    });
    state.into_inner().expect("no panic while it is held").1
}

/// Prints the line of a program whose tests are done.
fn summary(program: &Program, ended: &[Ended]) -> String {
    let own = || ended.iter().filter(|ended| ended.program == program.name);
    let count = |kind: fn(&Outcome) -> bool| own().filter(|ended| kind(&ended.outcome)).count();
    let mut text = format!("{}: {} passed", program.name, count(|outcome| matches!(outcome, Outcome::Passed)));
    for (number, word) in [
        (count(|outcome| matches!(outcome, Outcome::Failed(_))), "FAILED"),
        (count(|outcome| matches!(outcome, Outcome::Ignored(_))), "ignored"),
        (program.on_request, "on request only"),
    ] {
        if number > 0 {
            text.push_str(&format!(", {number} {word}"));
        }
    }
    let seconds: f64 = own().map(|ended| ended.took.as_secs_f64()).sum();
    format!("{text}; {seconds:.1} s")
}
