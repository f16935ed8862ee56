//! Test programs: cargo builds them, and each of their tests runs in a process of its own, several at a time.
//!
//! Promise: no test takes longer than its limit. A test that hangs is killed with its child processes and fails by
//! name; the others go on. A test that cannot run on this machine gives the reason, and is counted apart from tests
//! that run only on request.

use crate::tools::{self, Done, cores, plainly, root};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;
use tenure_harness::{Outcome, RUNNER, command_by, in_parallel, run_one};

/// The packages with the library and with what the tests are made of. Each build of tests names all of them: cargo
/// unites the features of the packages that a build names, and would compile the library once more for any other set.
const PACKAGES: [&str; 6] =
    ["tenure", "tenure-command", "tenure-event-log", "tenure-static-check", "tenure-harness", "tenure-cuda-sim"];

/// A `cargo test` of these targets of the packages: `--lib`, `--test NAME`.
pub fn of_packages(targets: &[&str]) -> Command {
    packages("test", targets)
}

/// Builds the examples of the packages, which tests run: a `cargo test` that names its targets builds none.
pub fn examples() -> Done {
    tools::run(&mut packages("build", &["--quiet", "--examples"]))
}

fn packages(command: &str, targets: &[&str]) -> Command {
    let mut cargo = tools::cargo();
    cargo.args([command, "--locked"]).args(PACKAGES.iter().flat_map(|package| ["--package", package])).args(targets);
    cargo
}

/// A test of a program.
pub struct Test {
    /// The name by which the program runs it, with its modules.
    pub name: String,
    /// The path of its source in the repository: "tests/library/pool.rs", or "src/lib.rs" for unit tests.
    pub file: String,
}

/// A program with tests.
pub struct Program {
    /// The path of its source in the repository: "tests/library/main.rs".
    pub name: String,
    path: PathBuf,
    /// The emulator that runs it, and its arguments; empty: it runs by itself.
    pub runner: &'static str,
    /// The folder in which its tests start: that of the package.
    folder: PathBuf,
    tests: Vec<Test>,
}

/// How a test ended.
pub struct Ended {
    /// The path of its source in the repository.
    pub file: String,
    /// The test's name.
    pub test: String,
    /// Whether it passed, or why not.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
    /// Its processor time.
    pub processor: Duration,
}

/// Builds the programs of `test`, a `cargo test`, and lists their tests.
pub fn build(test: &mut Command) -> Done<Vec<Program>> {
    build_for(test, "")
}

/// As [`build`], for a processor that `runner` emulates.
pub fn build_for(test: &mut Command, runner: &'static str) -> Done<Vec<Program>> {
    let mut programs = Vec::new();
    let built =
        tools::lines(plainly(test.args(["--no-run", "--message-format", "json-render-diagnostics"])), |line| {
            match serde_json::from_str(line) {
                Ok(message) => programs.extend(Program::of(&message, runner)),
                Err(_) => println!("{line}"),
            }
        })?;
    if !built || programs.is_empty() {
        return Err("the tests cannot be built, see above".to_owned());
    }
    for program in &mut programs {
        let asked_for = program.list(&["--ignored"])?;
        let names = program.list(&[])?.into_iter().filter(|name| !asked_for.contains(name));
        program.tests = names.map(|name| Test { file: source_of(&program.name, &name), name }).collect();
    }
    Ok(programs)
}

/// The source of a test. Programs of several files have a module for each, beside `main.rs`.
fn source_of(program: &str, test: &str) -> String {
    match (program.strip_suffix("main.rs"), test.split_once("::")) {
        (Some(folder), Some((module, _))) => format!("{folder}{module}.rs"),
        _ => program.to_owned(),
    }
}

impl Program {
    /// The program with tests that a message of cargo names.
    fn of(message: &serde_json::Value, runner: &'static str) -> Option<Program> {
        let (root, text) = (root(), |value: &serde_json::Value| value.as_str().map(PathBuf::from));
        let path = text(&message["executable"]).filter(|_| message["profile"]["test"] == true)?;
        let source = text(&message["target"]["src_path"])?;
        let name = source.strip_prefix(&root).ok()?.to_str()?.to_owned();
        let folder = text(&message["manifest_path"])?.parent()?.to_owned();
        Some(Program { name, path, runner, folder, tests: Vec::new() })
    }

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
    chosen: impl Fn(&Program, &Test) -> bool,
    set_up: impl Fn(&mut Command) + Sync,
) -> Vec<Ended> {
    let tests: Vec<(&Program, &Test)> = programs
        .iter()
        .flat_map(|program| program.tests.iter().map(move |test| (program, test)))
        .filter(|(program, test)| chosen(program, test))
        .collect();
    let mut left: BTreeMap<&str, usize> = BTreeMap::new();
    tests.iter().for_each(|(_, test)| *left.entry(&test.file).or_default() += 1);
    let state = Mutex::new((left, Vec::new()));
    in_parallel(tests.len(), cores(), |at| {
        let (program, test) = tests[at];
        let mut process = program.command();
        process.env_remove("LD_LIBRARY_PATH").env("RUST_BACKTRACE", "0");
        set_up(&mut process);
        let (outcome, ended) = run_one(&mut process, &test.name);
        let (took, processor) = ended.map_or_else(Default::default, |ended| (ended.took, ended.processor));
        let (left, ended) = &mut *state.lock().expect("no panic while it is held");
        if let Outcome::Failed(text) = &outcome {
            println!("---- FAILED: {}: {}\n{}\n----", test.file, test.name, text.trim_end());
        }
        ended.push(Ended { file: test.file.clone(), test: test.name.clone(), outcome, took, processor });
        let more = left.get_mut(test.file.as_str()).expect("counted above");
        *more -= 1;
        if *more == 0 {
            println!("{}", summary(&test.file, ended));
        }
    });
    state.into_inner().expect("no panic while it is held").1
}

/// The line of a file whose tests are done.
fn summary(file: &str, ended: &[Ended]) -> String {
    let own = || ended.iter().filter(|ended| ended.file == file);
    let count = |kind: fn(&Outcome) -> bool| own().filter(|ended| kind(&ended.outcome)).count();
    let mut text = format!("{file}: {} passed", count(|outcome| matches!(outcome, Outcome::Passed)));
    for (number, word) in [
        (count(|outcome| matches!(outcome, Outcome::Failed(_))), "FAILED"),
        (count(|outcome| matches!(outcome, Outcome::Ignored(_))), "ignored"),
    ] {
        if number > 0 {
            text.push_str(&format!(", {number} {word}"));
        }
    }
    let seconds: f64 = own().map(|ended| ended.took.as_secs_f64()).sum();
    format!("{text}; {seconds:.1} s")
}
