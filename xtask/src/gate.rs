//! `cargo xtask test`: all checks, with a table at the end.
//!
//! Promise: a check that could not run is `skipped` with the reason, never passed; with `--all`, a missing tool is a failure. A stage that
//! fails or hangs does not keep the others from running, because each test and each program has a time limit.
//! The last line is `N passed, N failed, N skipped`.

use crate::tools::{self, Done, cargo, command, exists, plainly};
use crate::{
    abi, cuda, demo, distributed, doc, header_tools, install, malloc, old_programs, page, programs, ptx, python, run,
    setup, sim, sim_install, sim_peers, site, target,
};
use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};
use tenure_harness::Outcome;

/// Which checks run.
#[derive(Clone, Copy, PartialEq)]
pub enum Extent {
    /// `cargo test` without valgrind and sanitizers, for everyday work.
    Fast,
    /// All checks for which the machine has the tools.
    Normal,
    /// All checks; a missing tool is a failure.
    All,
}

/// A row of the table.
#[derive(Default)]
struct Row {
    passed: usize,
    failed: usize,
    skipped: usize,
    /// Those skipped because of a missing tool, which fail with `--all`.
    missing: usize,
    note: String,
    took: Duration,
}

impl Row {
    /// A stage that is skipped because of a missing tool.
    fn skipped(why: String) -> Row {
        Row { skipped: 1, missing: 1, note: format!("skipped: {why}"), ..Row::default() }
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
        self.missing += other.missing;
        self.took += other.took;
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
    setup::announce(extent == Extent::Fast);
    if extent != Extent::Fast {
        gate.formatting();
        // The C tests that need UMF skip themselves without it.
        if let (None, Err(why)) = (python::missing(), python::umf()) {
            println!("UMF is not available: {why}");
        }
        // So do the tests of the Zig binding.
        if let (None, Err(why)) = (header_tools::missing(), header_tools::environment()) {
            println!("Zig is not available: {why}");
        }
    }
    // And the test of `tenure doctor` without the simulated driver.
    if let Err(why) = sim::stage() {
        println!("the simulated driver is not available: {why}");
    }
    gate.rust();
    gate.simulated();
    if extent != Extent::Fast {
        gate.stage("layouts in C and Rust", None, layouts);
        gate.stage("without linear algebra", None, || {
            let mut test = cargo();
            // In a folder of its own, because the C tests must not find this library.
            test.args(["test", "--locked", "--no-default-features", "--target-dir", "target/no-linalg"]);
            tests_of(test.args(["--test", "no_linalg"]), "")
        });
        for name in target::names() {
            gate.stage(&format!("Rust and C for {name}"), target::missing(name), || match target::run(name, false) {
                Ok(ended) => row_of_all(&ended),
                Err(text) => Row::of(Err(text)),
            });
        }
        gate.loom();
        gate.stage("header in five languages", header_tools::missing(), header_tools);
        gate.kernels();
        gate.stage("page of the report", page::missing(), || Row::of(page::check()));
        gate.stage("comments of the header", doc::missing(), || Row::of(doc::build()));
        gate.stage("documentation site", site::missing(), || Row::of(site::check()));
        gate.python();
        gate.distributed();
        gate.bindings();
        gate.rust_crate();
        gate.lints();
        gate.installed();
        gate.stage("interface of earlier releases", abi::missing(), || counts(abi::check()));
        gate.stage("old programs on the new library", old_programs::missing(), || counts(old_programs::check()));
        gate.preload();
        if exists("examples/handover") {
            gate.stage("cargo xtask demo", python::missing(), || Row::of(demo::demo()));
            gate.stage("cargo xtask examples", python::missing(), || Row::of(run::examples()));
        }
    }
    gate.finish(start)
}

/// The Python tests with the libraries that are too large for every run.
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

/// The tests with engines of many machines.
pub fn distributed() -> Done {
    let mut gate = Gate { extent: Extent::All, rows: Vec::new() };
    let start = Instant::now();
    gate.distributed();
    gate.finish(start)
}

impl Gate {
    /// Runs one stage, or skips it, and adds its row.
    fn stage(&mut self, name: &str, missing: Option<String>, body: impl FnOnce() -> Row) {
        println!("\n== {name}");
        let start = Instant::now();
        let mut row = match missing {
            Some(why) => {
                println!("skipped: {why}");
                Row::skipped(why)
            }
            None => body(),
        };
        row.took = start.elapsed();
        self.rows.push((name.to_owned(), row));
    }

    /// Builds C and C++ projects against the installed tree and the tarball.
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

    /// Existing programs on the preload library.
    fn preload(&mut self) {
        let long = self.extent == Extent::All;
        self.stage("programs on our malloc", malloc::missing(), || match malloc::test(long) {
            Ok(done) => Row {
                passed: done.passed,
                failed: done.failed,
                skipped: done.skipped.len(),
                missing: done.skipped.len(),
                took: Duration::ZERO,
                note: if done.skipped.is_empty() { String::new() } else { "skipped: said above".to_owned() },
            },
            Err(text) => Row::of(Err(text)),
        });
    }

    /// The sources are formatted as rustfmt.toml says.
    fn formatting(&mut self) {
        self.tool("formatting", "fmt", None, &["fmt", "--all", "--check"]);
    }

    /// Clippy finds nothing. Runs after the Python package is built, because its crate needs the staged library.
    fn lints(&mut self) {
        let arguments = ["clippy", "--locked", "--workspace", "--all-targets", "--quiet", "--", "-Dwarnings"];
        let staged = exists("bindings/python/python/tenure/libtenure.so.0");
        let missing = (!staged).then(|| "the package's library is not staged, which takes Python".to_owned());
        self.tool("lints", "clippy", missing, &arguments);
    }

    /// A stage that is one command of cargo.
    fn tool(&mut self, name: &str, tool: &str, missing: Option<String>, arguments: &[&str]) {
        let absent = tools::output(cargo().args([tool, "--version"])).is_err();
        let absent = absent.then(|| format!("cargo {tool} is not installed: rustup component add rustfmt clippy"));
        self.stage(name, missing.or(absent), || {
            let ended_well = read_lines(cargo().args(arguments), |_| ());
            Row { passed: usize::from(ended_well), failed: usize::from(!ended_well), ..Row::default() }
        });
    }

    /// The tests of `cargo test`: one row for each kind.
    fn rust(&mut self) {
        let mut programs = Vec::new();
        self.stage("tests built", None, || match build_all() {
            Ok(built) => {
                programs = built;
                Row::default()
            }
            Err(text) => Row::of(Err(text)),
        });
        println!("\n== tests of the library");
        let required = self.extent == Extent::All;
        let fast = self.extent == Extent::Fast;
        let ended = programs::run(
            &programs,
            |program, test| !(fast && is_slow(&program.name, test)),
            |test| {
                if required {
                    test.env("TENURE_REQUIRE_TOOLS", "1");
                }
            },
        );
        let mut kinds: BTreeMap<&'static str, Vec<&programs::Ended>> = BTreeMap::new();
        ended.iter().for_each(|test| kinds.entry(kind_of(test)).or_default().push(test));
        for &name in KINDS {
            if let Some(tests) = kinds.remove(name) {
                self.rows.push((name.to_owned(), row_of(&tests)));
            }
        }
        let mut slowest: Vec<&programs::Ended> = ended.iter().collect();
        slowest.sort_by_key(|test| std::cmp::Reverse(test.took));
        println!("\nthe slowest tests:");
        for test in slowest.iter().take(8) {
            println!("{:7.1} s  {}: {}", test.took.as_secs_f64(), test.program, test.test);
        }
        self.stage("examples in comments", None, || counted(cargo().args(["test", "--locked", "--doc"])));
    }

    /// The simulated driver's own tests, then the tests of GPUs on it.
    fn simulated(&mut self) {
        self.stage("the simulated driver", None, || {
            let mut test = cargo();
            test.args(["test", "--locked", "--package", "tenure-cuda-sim"]);
            tests_of(&mut test, "cuda-sim")
        });
        let seeds = if self.extent == Extent::Fast { 1 } else { cuda::SEEDS };
        self.stage("GPUs, simulated", cuda::missing(), || match cuda::run(1, seeds) {
            Ok(count) => Row {
                passed: count.passed,
                failed: count.failed,
                skipped: count.ignored,
                note: count.failure.unwrap_or_default(),
                ..Row::default()
            },
            Err(text) => Row::of(Err(text)),
        });
    }

    /// The interleavings, with loom's atomics; a build in a folder of its own.
    fn loom(&mut self) {
        if !exists("tests/loom.rs") {
            return;
        }
        self.stage("interleavings (loom)", None, || {
            let mut test = cargo();
            test.args(["test", "--locked", "--profile", "loom", "--target-dir", "target/loom", "--test", "loom"]);
            let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
            test.env("RUSTFLAGS", format!("{flags} --cfg loom"));
            let bounded = std::env::var_os("LOOM_MAX_PREEMPTIONS").is_none();
            programs::build(&mut test, "").map_or_else(
                |text| Row::of(Err(text)),
                |built| {
                    row_of_all(&programs::run(
                        &built,
                        |_, _| true,
                        |test| {
                            if bounded {
                                test.env("LOOM_MAX_PREEMPTIONS", "2"); // advised by loom's documentation for larger models
                            }
                        },
                    ))
                },
            )
        });
    }

    /// The committed PTX is that of its source, and compiles for each generation of GPUs. Only `--all` downloads the compilers.
    fn kernels(&mut self) {
        let absent = (self.extent != Extent::All && !ptx::is_installed())
            .then(|| "NVIDIA's compilers are not installed: cargo xtask ptx --check (a download of 64 MB)".to_owned());
        self.stage("CUDA kernels", python::missing().or(absent), || Row::of(ptx::check()));
    }

    /// The Python package's tests against the installed wheel.
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
                Ok(hidden) => {
                    pytest(command(&python).env("LD_LIBRARY_PATH", hidden), &[&IN_PARALLEL, NO_CUDA].concat())
                }
                Err(text) => Row::of(Err(text)),
            };
            // In a process of their own, so that the other libraries do not see the simulated driver.
            match sim::stage().and_then(|simulator| Ok((simulator, python::cuda_tests()?))) {
                Ok((simulator, files)) => {
                    let mut tests = command(&python);
                    tests
                        .env("LD_LIBRARY_PATH", simulator)
                        .env("TENURE_TEST_DEVICE", "sim")
                        .env("TENURE_SIM_DEVICES", "2");
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

    /// The tests of `tenure.distributed` with MPI libraries and other engines, all on this machine, and the C program of `examples/mpi`.
    fn distributed(&mut self) {
        self.stage("between machines", distributed::missing(), || {
            // Without a network the engines cannot be installed, and all else can be tested.
            let python = match distributed::environment() {
                Ok(python) => python,
                Err(why) => return Row::skipped(why),
            };
            let installed = python::installed_into(python);
            let (python, hidden, simulator) = match installed.and_then(|p| Ok((p, sim::none()?, sim::stage()?))) {
                Ok(found) => found,
                Err(text) => return Row::of(Err(text)),
            };
            // An engine that is not installed is an error.
            let tests = |driver: &std::path::Path| {
                let mut tests = command(&python);
                tests.env("TENURE_DISTRIBUTED", "1").env("LD_LIBRARY_PATH", driver);
                tests
            };
            let mut row = pytest(&mut tests(&hidden), distributed::TESTS);
            row.add(pytest(tests(&simulator).env("TENURE_TEST_DEVICE", "sim"), distributed::SIMULATED));
            match distributed::examples(&python) {
                Ok(count) => row.passed += count,
                Err(text) => row.add(Row::of(Err(text))),
            }
            row
        });
    }

    /// The tests of cuda.bindings on the simulated driver.
    fn bindings(&mut self) {
        self.stage("cuda.bindings on the simulated driver", python::missing(), || {
            match python::environment().and_then(|python| sim_peers::smoke(&python)) {
                Ok(mut tests) => pytest_of(&mut tests),
                Err(text) => Row::of(Err(text)),
            }
        });
    }

    /// The tests of the Rust crate on the shared library and the simulated driver, what must not compile, and the example of its README.
    fn rust_crate(&mut self) {
        self.stage("Rust on the C library", None, || {
            // `cargo test` leaves the library of `cargo build` as it is.
            let built = tools::run(cargo().args(["build", "--locked"])).and_then(|()| sim::stage());
            let simulator = match built {
                Ok(simulator) => simulator,
                Err(text) => return Row::of(Err(text)),
            };
            let features = "ndarray,dlpack,half,complex";
            let mut tests = cargo();
            tests.args(["test", "--locked", "--package", "tenure-rs", "--features", features]);
            counted(tests.env("LD_LIBRARY_PATH", simulator).env("TENURE_TEST_DEVICE", "sim"))
        });
    }

    /// Prints the table and the last line.
    fn finish(self, start: Instant) -> Done {
        let width = self.rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        println!("\n{:width$}  {:>6}  {:>6}  {:>7}  {:>6}", "", "passed", "failed", "skipped", "time");
        let mut sum = Row::default();
        for (name, mut row) in self.rows {
            if self.extent == Extent::All {
                row.failed += row.missing;
                row.skipped -= row.missing;
            }
            let cell = |n: usize| if n == 0 { "-".to_owned() } else { n.to_string() };
            let (passed, failed, skipped) = (cell(row.passed), cell(row.failed), cell(row.skipped));
            let seconds = format!("{:.0} s", row.took.as_secs_f64());
            let line = format!("{name:width$}  {passed:>6}  {failed:>6}  {skipped:>7}  {seconds:>6}  {}", row.note);
            println!("{}", line.trim_end());
            sum.add(Row { note: String::new(), ..row });
        }
        println!("\n{:.0} s", start.elapsed().as_secs_f64());
        if self.extent == Extent::Fast {
            println!("--fast: without valgrind, sanitizers, Python and other checks that take minutes");
        }
        if self.extent == Extent::All && sum.missing > 0 {
            println!("--all: {} of the failed are checks that were skipped because something is missing", sum.missing);
        }
        println!("{} passed, {} failed, {} skipped", sum.passed, sum.failed, sum.skipped);
        if sum.failed > 0 { Err(String::new()) } else { Ok(()) }
    }
}

const RUST: &str = "Rust";
/// The kind of the tests of GPUs in a run without the simulated driver.
const GPUS: &str = "GPUs, real";
const C: &str = "C";
const C_VALGRIND: &str = "C under valgrind";
const C_SANITIZERS: &str = "C with sanitizers";
const CPP: &str = "C++";
const FORTRAN: &str = "Fortran";
const GO: &str = "Go";
const JAVA: &str = "Java";
const NODE: &str = "Node.js";
const R: &str = "R";
const ZIG: &str = "Zig";
const HEADER: &str = "header";
const SYMBOLS: &str = "symbols";
const LAYERS: &str = "layers";
const ROWS: &str = "rows of the specification";
const DOCS: &str = "documents";
/// All of them, in the order of the table.
const KINDS: &[&str] = &[
    RUST,
    GPUS,
    C,
    C_VALGRIND,
    C_SANITIZERS,
    CPP,
    FORTRAN,
    GO,
    JAVA,
    NODE,
    R,
    ZIG,
    HEADER,
    SYMBOLS,
    LAYERS,
    ROWS,
    DOCS,
];

/// The programs of `cargo test`, of the test harness, of the event log, and of the command.
fn build_all() -> Done<Vec<programs::Program>> {
    // The command's dependencies have more features, so this builds the library once more, into the same file. The library's own tests come
    // last: they use that file, and the one that runs cargo must find it fresh.
    let command = programs::build(cargo().args(["test", "--locked", "--package", "tenure-command"]), "command")?;
    let mut built = programs::build(cargo().args(["test", "--locked"]), "")?;
    built.extend(programs::build(cargo().args(["test", "--locked", "--package", "tenure-harness"]), "tests/harness")?);
    built.extend(programs::build(cargo().args(["test", "--locked", "--package", "tenure-event-log"]), "event-log")?);
    built.extend(command);
    Ok(built)
}

/// Whether `--fast` leaves a test out: C, C++ and Fortran programs that run under a checker, which takes minutes, and C++ with other compilers and
/// in programs that must not compile.
fn is_slow(program: &str, test: &str) -> bool {
    let checked = ["_valgrind", "_sanitizers"].iter().any(|end| test.ends_with(end));
    match program {
        "tests/c.rs" | "tests/kernel_header.rs" | "tests/fortran.rs" => checked,
        "tests/cpp.rs" => {
            checked || test.ends_with("::cpp20") || ["other_compilers_agree", "misuse_does_not_compile"].contains(&test)
        }
        "tests/go.rs" => test.ends_with("_race_detector"),
        "tests/checkers.rs" => true,
        _ => false,
    }
}

/// The row of a test.
fn kind_of(test: &programs::Ended) -> &'static str {
    match test.program.as_str() {
        "tests/c.rs" if test.test.ends_with("_valgrind") => C_VALGRIND,
        "tests/c.rs" if test.test.ends_with("_sanitizers") => C_SANITIZERS,
        "tests/c.rs" => C,
        "tests/cpp.rs" | "tests/kernel_header.rs" | "tests/tiled_matmul.rs" => CPP,
        "tests/fortran.rs" => FORTRAN,
        "tests/go.rs" => GO,
        "tests/java.rs" => JAVA,
        "tests/node.rs" => NODE,
        "tests/r.rs" => R,
        "tests/zig.rs" => ZIG,
        "tests/header.rs" => HEADER,
        "tests/symbols.rs" => SYMBOLS,
        "tests/layers.rs" => LAYERS,
        "tests/rows.rs" => ROWS,
        "tests/docs.rs" | "tests/examples.rs" => DOCS,
        program if program.starts_with("tests/cuda_") => GPUS,
        _ => RUST,
    }
}

/// The counts of some tests, with the reasons of those that did not run. The time is their share of the wall time of all parallel tests.
fn row_of(tests: &[&programs::Ended]) -> Row {
    let mut row = Row::default();
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for test in tests {
        match &test.outcome {
            Outcome::Passed => row.passed += 1,
            Outcome::Failed(_) => row.failed += 1,
            Outcome::Ignored(why) => {
                row.skipped += 1;
                *reasons.entry(why).or_default() += 1;
            }
        }
        row.took += test.took / tools::cores() as u32;
    }
    if !reasons.is_empty() {
        let reasons: Vec<String> = reasons.iter().map(|(why, count)| format!("{count}: {why}")).collect();
        row.note = format!("skipped: {}", reasons.join("; "));
    }
    row
}

/// [`row_of`] for a stage that must run at least one test: a model may be compiled away by mistake.
fn row_of_all(tests: &[programs::Ended]) -> Row {
    let mut row = row_of(&tests.iter().collect::<Vec<_>>());
    if row.passed == 0 && row.failed == 0 {
        row.failed = 1;
        row.note = "no test ran".to_owned();
    }
    row
}

/// Builds and runs the tests of a package.
fn tests_of(test: &mut Command, package: &str) -> Row {
    match programs::build(test, package) {
        Ok(built) => row_of_all(&programs::run(&built, |_, _| true, |_| ())),
        Err(text) => Row::of(Err(text)),
    }
}

/// Files of tests run at the same time, in a process for each core.
const IN_PARALLEL: [&str; 4] = ["-n", "auto", "--dist", "loadfile"];

/// The package's tests except those that need a CUDA driver, or engines of many machines.
const NO_CUDA: &[&str] =
    &["bindings/python/tests", "--ignore-glob=*/test_cuda*", "--ignore=bindings/python/tests/distributed"];

/// The package's tests that `which` selects, run by an environment's Python.
fn pytest(python: &mut Command, which: &[&str]) -> Row {
    pytest_of(python.args(["-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider"]).args(which))
}

/// A command that runs pytest.
fn pytest_of(command: &mut Command) -> Row {
    let mut row = Row::default();
    let ended_well = read_lines(command, |line| {
        // Parses the last line: "3 failed, 120 passed, 1 skipped in 2.1s"
        if line.contains(" in ") && (line.contains(" passed") || line.contains(" failed") || line.contains(" error")) {
            let line = line.trim_matches(['=', ' ']);
            row.passed = count(line, " passed");
            row.failed = count(line, " failed") + count(line, " error");
            row.skipped = count(line, " skipped");
            row.missing = row.skipped;
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

/// The row of a stage that counts what passed.
fn counts(done: Done<usize>) -> Row {
    match done {
        Ok(passed) => Row { passed, ..Row::default() },
        Err(text) => Row::of(Err(text)),
    }
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

/// The binding generators on the header.
fn header_tools() -> Row {
    match header_tools::check() {
        Ok(done) => Row {
            passed: done.passed,
            failed: done.failed.len(),
            skipped: done.skipped.len(),
            missing: done.skipped.len(),
            took: Duration::ZERO,
            note: if done.skipped.is_empty() { String::new() } else { format!("skipped: {}", done.skipped.join("; ")) },
        },
        Err(text) => Row::of(Err(text)),
    }
}

/// A `cargo test` that is a stage of its own.
fn counted(test: &mut Command) -> Row {
    let mut row = Row::default();
    let ended_well = read_lines(test, |line| {
        if let Some(counts) = line.strip_prefix("test result: ") {
            row.passed += count(counts, " passed");
            row.failed += count(counts, " failed");
        }
    });
    if row.failed == 0 && !ended_well {
        row.failed = 1;
    }
    row
}

/// The number in front of a word: 3 of "3 passed; 0 failed" for " passed".
fn count(text: &str, word: &str) -> usize {
    let Some((before, _)) = text.split_once(word) else { return 0 };
    before.rsplit(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Runs it, echoes its output, and passes each line on. Returns whether it succeeded within its limit.
fn read_lines(command: &mut Command, mut line: impl FnMut(&str)) -> bool {
    let ended = tools::lines(plainly(command), |text| {
        println!("{text}");
        line(text);
    });
    ended.unwrap_or_else(|text| {
        println!("{text}");
        false
    })
}
