//! `cargo xtask test`: everything that must hold, with a table at the end.
//!
//! Promise: what could not run for want of a tool is `skipped` with the reason, never passed; with `--all` it is a failure. A
//! failing stage does not keep the others from running. The last line is `N passed, N failed, N skipped`.

use crate::tools::{Done, cargo, command, exists, has, plainly, root};
use crate::{cuda, doc, header_tools, install, malloc, python, run, sim, sim_install, sim_peers};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::Command;
use std::time::Instant;

/// How much is run.
#[derive(Clone, Copy, PartialEq)]
pub enum Extent {
    /// Plain `cargo test`, which has the header check: for the inner loop.
    Fast,
    /// Everything that the machine has tools for.
    Normal,
    /// Everything: a missing tool is a failure.
    All,
}

/// A line of the table.
#[derive(Default)]
struct Row {
    passed: usize,
    failed: usize,
    skipped: usize,
    note: String,
}

impl Row {
    fn skipped(why: String) -> Row {
        Row { skipped: 1, note: format!("skipped: {why}"), ..Row::default() }
    }
    fn of(done: Done) -> Row {
        match done {
            Ok(()) => Row { passed: 1, ..Row::default() },
            Err(text) => {
                println!("{text}");
                Row { failed: 1, ..Row::default() }
            }
        }
    }
    fn add(&mut self, other: Row) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        if !other.note.is_empty() {
            self.note = other.note;
        }
    }
}

struct Gate {
    extent: Extent,
    rows: Vec<(String, Row)>,
}

/// Runs the stages and prints the table.
pub fn run(extent: Extent) -> Done {
    let start = Instant::now();
    let mut gate = Gate { extent, rows: Vec::new() };
    if extent != Extent::Fast {
        gate.formatting();
        // For the C tests among those of cargo, which say so themselves if it is not there.
        if let (None, Err(why)) = (python::missing(), python::umf()) {
            println!("UMF cannot be had: {why}");
        }
    }
    gate.rust();
    gate.simulated();
    if extent != Extent::Fast {
        gate.stage("layouts in C and Rust", None, layouts);
        gate.loom();
        gate.stage("header in five languages", header_tools::missing(), header_tools);
        gate.stage("reference manual", doc::missing(), || Row::of(doc::build()));
        gate.python();
        gate.bindings();
        gate.lints();
        gate.installed();
        gate.preload();
        if exists("examples/handover") {
            gate.stage("cargo xtask demo", python::missing(), || Row::of(run::demo()));
            gate.stage("cargo xtask examples", python::missing(), || Row::of(run::examples()));
        }
    }
    gate.finish(start)
}

/// The Python tests beside the libraries that are too heavy for every run.
pub fn peers() -> Done {
    let start = Instant::now();
    let mut gate = Gate { extent: Extent::All, rows: Vec::new() };
    gate.stage("Python with peers", python::missing(), || match python::installed_with_peers() {
        Ok(python) => pytest(command(&python).env("TENURE_PEERS", "1"), NO_CUDA),
        Err(text) => Row::of(Err(text)),
    });
    gate.stage("peers on the simulated driver", sim_peers::missing(), || Row::of(sim_peers::all(&["--check"])));
    gate.finish(start)
}

impl Gate {
    /// One stage: announced, run or skipped, one row.
    fn stage(&mut self, name: &str, missing: Option<String>, body: impl FnOnce() -> Row) {
        println!("\n== {name}");
        let row = match missing {
            Some(why) => {
                println!("skipped: {why}");
                Row::skipped(why)
            }
            None => body(),
        };
        self.rows.push((name.to_owned(), row));
    }

    /// What `cargo xtask install` and the tarball have, used by a C and a C++ project.
    fn installed(&mut self) {
        self.stage("installed library", install::missing(), || {
            let python = match python::missing() {
                None => python::environment().map(Some),
                Some(_) => Ok(None),
            };
            let checked = |python: Option<std::path::PathBuf>| {
                Ok((install::check(python.as_deref())? + sim_install::check()?, python.is_some()))
            };
            match python.and_then(checked) {
                Ok((passed, true)) => Row { passed, ..Row::default() },
                Ok((passed, false)) => Row {
                    passed,
                    ..Row::skipped("CMake comes with the Python environment, which is missing".to_owned())
                },
                Err(text) => Row::of(Err(text)),
            }
        });
    }

    /// The world's programs on the preload library.
    fn preload(&mut self) {
        let long = self.extent == Extent::All;
        self.stage("programs on our malloc", malloc::missing(), || match malloc::test(long) {
            Ok(done) => Row {
                passed: done.passed,
                failed: done.failed,
                skipped: done.skipped.len(),
                note: if done.skipped.is_empty() { String::new() } else { "skipped: said above".to_owned() },
            },
            Err(text) => Row::of(Err(text)),
        });
    }

    /// The source is laid out as rustfmt.toml says.
    fn formatting(&mut self) {
        self.tool("formatting", "fmt", None, &["fmt", "--all", "--check"]);
    }

    /// No lint of clippy. After the package was built: its crate looks for the library that is staged for it.
    fn lints(&mut self) {
        let arguments = ["clippy", "--locked", "--workspace", "--all-targets", "--quiet", "--", "-Dwarnings"];
        let staged = exists("bindings/python/python/tenure/libtenure.so.0");
        let missing = (!staged).then(|| "the package's library is not staged, which takes Python".to_owned());
        self.tool("lints", "clippy", missing, &arguments);
    }

    /// A stage that is one command of cargo's.
    fn tool(&mut self, name: &str, tool: &str, missing: Option<String>, arguments: &[&str]) {
        let absent = cargo().args([tool, "--version"]).output().map_or(true, |done| !done.status.success());
        let absent = absent.then(|| format!("cargo {tool} is not installed: rustup component add rustfmt clippy"));
        self.stage(name, missing.or(absent), || {
            let ended_well = read_lines(cargo().args(arguments), |_| ());
            Row { passed: usize::from(ended_well), failed: usize::from(!ended_well), ..Row::default() }
        });
    }

    /// `cargo test`: one row for each kind of test in it.
    fn rust(&mut self) {
        println!("== cargo test");
        let mut test = cargo();
        test.args(["test", "--locked", "--no-fail-fast"]);
        if self.extent == Extent::All {
            test.env("TENURE_REQUIRE_TOOLS", "1");
        }
        let mut skip = Vec::new();
        let mut rows: BTreeMap<&'static str, Row> = BTreeMap::new();
        // libtest knows no "skipped": what needs one of these is left out and stands in the table by itself.
        for (tool, row, tests) in [
            ("gcc", HEADER, &["compiles_as_c1", "fits_dlpacks_own_header", "examples_of_the_documents"][..]),
            ("gcc", DOCS, &["examples_print"]),
            ("g++", HEADER, &["compiles_as_cpp", "fits_dlpacks_own_header"]),
            (
                "g++",
                CPP,
                &["cpp17", "cpp20", "stricter_warnings", "two_standards", "without_exceptions", "misuse_does_not"],
            ),
            ("valgrind", CPP, &["cpp17_valgrind", "cpp20_valgrind"]),
            ("nm", SYMBOLS, &["exported_symbols"]),
            ("readelf", SYMBOLS, &["soname_has", "needs_only"]),
        ] {
            if !has(tool) {
                println!("skipped: {tool} is not installed");
                rows.entry(row).or_default().add(Row::skipped(format!("{tool} is not installed")));
                skip.extend(tests.iter().flat_map(|test| ["--skip", test]));
            }
        }
        if !skip.is_empty() {
            test.arg("--").args(skip);
        }
        let mut target = String::new();
        let ended_well = read_lines(&mut test, |line| {
            let line = line.trim();
            if let Some(rest) = line.strip_prefix("Running ").or(line.strip_prefix("Doc-tests ")) {
                target = rest.split(" (").next().unwrap_or(rest).to_owned();
            } else if target == "tests/c.rs" && line.starts_with("test c_") {
                let kind = [("_valgrind ", C_VALGRIND), ("_sanitizers ", C_SANITIZERS)];
                let kind = kind.iter().find(|(part, _)| line.contains(part)).map_or(C, |(_, kind)| kind);
                rows.entry(kind).or_default().add(match line.split_once(" ... ") {
                    Some((_, "ok")) => Row { passed: 1, ..Row::default() },
                    Some((_, why)) if why.starts_with("skipped: ") => {
                        Row { note: why.to_owned(), skipped: 1, ..Row::default() }
                    }
                    _ => Row { failed: 1, ..Row::default() },
                });
            } else if let Some(counts) = line.strip_prefix("test result: ").filter(|_| is_counted(&target)) {
                rows.entry(kind_of(&target)).or_default().add(Row {
                    passed: count(counts, " passed"),
                    failed: count(counts, " failed"),
                    ..Row::default()
                });
            }
        });
        let failed: usize = rows.values().map(|row| row.failed).sum();
        if !ended_well && failed == 0 {
            rows.entry(RUST).or_default().add(Row {
                failed: 1,
                note: "cargo test failed".to_owned(),
                ..Row::default()
            });
        }
        for name in [RUST, C, C_VALGRIND, C_SANITIZERS, CPP, HEADER, SYMBOLS, LAYERS, ROWS, DOCS] {
            if let Some(row) = rows.remove(name) {
                self.rows.push((name.to_owned(), row));
            }
        }
    }

    /// The simulated driver's own tests, then those of GPUs, which skip themselves above, on it.
    fn simulated(&mut self) {
        self.stage("the simulated driver", None, || {
            counted(cargo().args(["test", "--locked", "--no-fail-fast", "--package", "tenure-cuda-sim"]))
        });
        let seeds = if self.extent == Extent::Fast { 1 } else { cuda::SEEDS };
        self.stage("GPUs, simulated", cuda::missing(), || match cuda::run(1, seeds) {
            Ok(count) => {
                Row { passed: count.passed, failed: count.failed, note: count.failure.unwrap_or_default(), skipped: 0 }
            }
            Err(text) => Row::of(Err(text)),
        });
    }

    /// The interleavings, with loom's atomics in place of the real ones: another build in a folder of its own.
    fn loom(&mut self) {
        if !exists("tests/loom.rs") {
            return;
        }
        self.stage("interleavings (loom)", None, || {
            let mut test = cargo();
            test.args(["test", "--locked", "--profile", "loom", "--target-dir", "target/loom", "--test", "loom"]);
            let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
            test.env("RUSTFLAGS", format!("{flags} --cfg loom"));
            if std::env::var_os("LOOM_MAX_PREEMPTIONS").is_none() {
                test.env("LOOM_MAX_PREEMPTIONS", "2"); // bounded: loom's own advice for larger models
            }
            counted(&mut test)
        });
    }

    /// The package's tests, against the wheel as a user installs it.
    fn python(&mut self) {
        if !exists("bindings/python/Cargo.toml") {
            return;
        }
        self.stage("Python", python::missing(), || {
            let python = match python::installed() {
                Ok(python) => python,
                Err(text) => return Row::of(Err(text)),
            };
            let mut row = match sim::none() {
                Ok(hidden) => pytest(command(&python).env("LD_LIBRARY_PATH", hidden), NO_CUDA),
                Err(text) => Row::of(Err(text)),
            };
            // In a process of their own: the other libraries do not see the simulated driver.
            match sim::stage().and_then(|simulator| Ok((simulator, python::cuda_tests()?))) {
                Ok((simulator, files)) => {
                    let mut tests = command(&python);
                    tests.env("LD_LIBRARY_PATH", simulator).env("TENURE_TEST_DEVICE", "sim");
                    let files: Vec<&str> = files.iter().map(String::as_str).collect();
                    row.add(pytest(&mut tests, &files));
                }
                Err(text) => row.add(Row::of(Err(text))),
            }
            match python::document_examples(&python) {
                Ok(count) => row.passed += count,
                Err(text) => row.add(Row::of(Err(text))),
            }
            row
        });
    }

    /// NVIDIA's Python bindings of the driver, on the simulated one.
    fn bindings(&mut self) {
        self.stage("cuda.bindings on the simulated driver", python::missing(), || {
            match python::environment().and_then(|python| sim_peers::smoke(&python)) {
                Ok(mut tests) => pytest_of(&mut tests),
                Err(text) => Row::of(Err(text)),
            }
        });
    }

    /// The table, and the last line.
    fn finish(self, start: Instant) -> Done {
        let width = self.rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        println!("\n{:width$}  {:>6}  {:>6}  {:>7}", "", "passed", "failed", "skipped");
        let mut sum = Row::default();
        for (name, row) in self.rows {
            let cell = |n: usize| if n == 0 { "-".to_owned() } else { n.to_string() };
            let (passed, failed, skipped) = (cell(row.passed), cell(row.failed), cell(row.skipped));
            println!("{}", format!("{name:width$}  {passed:>6}  {failed:>6}  {skipped:>7}  {}", row.note).trim_end());
            sum.add(Row { note: String::new(), ..row });
        }
        println!("\n{:.0} s", start.elapsed().as_secs_f64());
        let bad = sum.failed > 0 || self.extent == Extent::All && sum.skipped > 0;
        if sum.failed == 0 && bad {
            println!("--all: what is skipped counts as failed");
        }
        println!("{} passed, {} failed, {} skipped", sum.passed, sum.failed, sum.skipped);
        if bad { Err(String::new()) } else { Ok(()) }
    }
}

const RUST: &str = "Rust";
const C: &str = "C";
const C_VALGRIND: &str = "C under valgrind";
const C_SANITIZERS: &str = "C with sanitizers";
const CPP: &str = "C++";
const HEADER: &str = "header";
const SYMBOLS: &str = "symbols";
const LAYERS: &str = "layers";
const ROWS: &str = "rows of the specification";
const DOCS: &str = "documents";

/// Whether libtest's figures of a test file go into its row: the C tests have rows of their own, and tests of GPUs are another stage.
fn is_counted(target: &str) -> bool {
    target != "tests/c.rs" && !target.starts_with("tests/cuda_")
}

/// The row of a test file.
fn kind_of(target: &str) -> &'static str {
    match target {
        "tests/cpp.rs" => CPP,
        "tests/header.rs" => HEADER,
        "tests/symbols.rs" => SYMBOLS,
        "tests/layers.rs" => LAYERS,
        "tests/rows.rs" => ROWS,
        "tests/docs.rs" | "tests/examples.rs" => DOCS,
        _ => RUST,
    }
}

/// The package's tests but those that need a CUDA driver.
const NO_CUDA: &[&str] = &["bindings/python/tests", "--ignore-glob=*/test_cuda*"];

/// The package's tests by an environment's Python, as far as `which` says.
fn pytest(python: &mut Command, which: &[&str]) -> Row {
    pytest_of(python.args(["-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider"]).args(which))
}

/// A command that runs pytest.
fn pytest_of(command: &mut Command) -> Row {
    let mut row = Row::default();
    let ended_well = read_lines(command, |line| {
        // The last line: "3 failed, 120 passed, 1 skipped in 2.1s"
        if line.contains(" in ") && (line.contains(" passed") || line.contains(" failed") || line.contains(" error")) {
            let line = line.trim_matches(['=', ' ']);
            row.passed = count(line, " passed");
            row.failed = count(line, " failed") + count(line, " error");
            row.skipped = count(line, " skipped");
        }
    });
    if row.skipped > 0 {
        row.note = "skipped: pytest says why above".to_owned();
    }
    if !ended_well && row.failed == 0 {
        row.failed = 1;
    }
    row
}

/// The generated comparison of layouts and constants.
fn layouts() -> Row {
    let mut row = Row::default();
    let ended_well = read_lines(cargo().args(["run", "--quiet", "--locked", "--package", "abi-check"]), |line| {
        if let Some(rest) = line.strip_prefix("PASSED ") {
            row.passed = rest.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
        }
    });
    row.failed = usize::from(!ended_well || row.passed == 0);
    row
}

/// The generators of bindings on the header.
fn header_tools() -> Row {
    match header_tools::check() {
        Ok(done) => Row {
            passed: done.passed,
            failed: done.failed.len(),
            skipped: done.skipped.len(),
            note: if done.skipped.is_empty() { String::new() } else { format!("skipped: {}", done.skipped.join("; ")) },
        },
        Err(text) => Row::of(Err(text)),
    }
}

/// A `cargo test` of one target.
fn counted(test: &mut Command) -> Row {
    let mut row = Row::default();
    let ended_well = read_lines(test, |line| {
        if let Some(counts) = line.strip_prefix("test result: ") {
            row.passed += count(counts, " passed");
            row.failed += count(counts, " failed");
        }
    });
    // None at all would be a model that is compiled away.
    if row.failed == 0 && (!ended_well || row.passed == 0) {
        row.failed = 1;
    }
    row
}

/// The number in front of a word: 3 of "3 passed; 0 failed" for " passed".
fn count(text: &str, word: &str) -> usize {
    let Some((before, _)) = text.split_once(word) else { return 0 };
    before.rsplit(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Runs it, prints what it prints, and hands each line over; did it end well?
fn read_lines(command: &mut Command, mut line: impl FnMut(&str)) -> bool {
    let (reader, writer) = match std::io::pipe() {
        Ok(ends) => ends,
        Err(e) => {
            println!("no pipe: {e}");
            return false;
        }
    };
    let second = writer.try_clone();
    let command = plainly(command).current_dir(root());
    let started = second.and_then(|second| command.stdout(second).stderr(writer).spawn());
    // The command keeps our ends of the pipe, and the reader would wait for them for ever.
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut child = match started {
        Ok(child) => child,
        Err(e) => {
            println!("{command:?}: {e}");
            return false;
        }
    };
    for bytes in BufReader::new(reader).split(b'\n') {
        let Ok(bytes) = bytes else { break };
        let text = String::from_utf8_lossy(&bytes);
        println!("{text}");
        line(&text);
    }
    child.wait().is_ok_and(|status| status.success())
}
