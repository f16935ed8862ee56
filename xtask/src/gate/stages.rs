//! The stages of `cargo xtask test`, in the order in which they run and stand in the table.

use super::{Context, Row, row_of_all};
use crate::programs::{self, Test};
use crate::tools::{self, Done, cargo, command, plainly};
use crate::{
    abi, bundle, cuda, demo, dist, distributed, doc, header_tools, install, malloc, old_programs, page, ptx, python,
    run, sim, sim_install, sim_peers, site, target,
};
use std::process::Command;

/// A row of the table.
pub struct Stage {
    pub name: &'static str,
    /// Whether `cargo xtask test` has it.
    pub usual: bool,
    /// Whether it tests the files of a release, so that a run with it uses the shipped library.
    pub is_of_release: bool,
    /// The beginnings of the paths whose change it tests.
    pub paths: &'static [&'static str],
    pub body: Body,
}

/// What a stage runs.
pub enum Body {
    /// Tests of programs that cargo builds: the targets, by name or option, and which tests of them belong to no
    /// earlier stage.
    Tests { targets: &'static [&'static str], holds: fn(&Test) -> bool },
    /// Something else, unless something is missing that it needs.
    Own { missing: fn() -> Option<String>, run: fn(&Context) -> Done<Row> },
}

impl Stage {
    /// Whether cargo builds its tests.
    pub fn is_of_tests(&self) -> bool {
        matches!(self.body, Body::Tests { .. })
    }

    /// In `cargo xtask test` too.
    const fn usual(self) -> Stage {
        Stage { usual: true, ..self }
    }

    /// With the shipped library, also if it runs alone.
    const fn of_release(self) -> Stage {
        Stage { is_of_release: true, ..self }
    }
}

/// A stage of `--all` whose tests cargo builds.
const fn tests(
    name: &'static str,
    paths: &'static [&'static str],
    targets: &'static [&'static str],
    holds: fn(&Test) -> bool,
) -> Stage {
    Stage { name, usual: false, is_of_release: false, paths, body: Body::Tests { targets, holds } }
}

/// Any other stage of `--all`.
const fn own(
    name: &'static str,
    paths: &'static [&'static str],
    missing: fn() -> Option<String>,
    run: fn(&Context) -> Done<Row>,
) -> Stage {
    Stage { name, usual: false, is_of_release: false, paths, body: Body::Own { missing, run } }
}

const LANGUAGES: &[&str] = &["languages"];
const REPOSITORY: &[&str] = &["repository"];

pub const STAGES: &[Stage] = &[
    own("formatting", &["rustfmt.toml"], || lacks("fmt"), |_| tool(cargo().args(["fmt", "--all", "--check"]))),
    tests("C under valgrind", &["c-tests"], LANGUAGES, |test| is_c(test) && test.name.ends_with("_valgrind")),
    tests("C with sanitizers", &["c-tests"], LANGUAGES, |test| is_c(test) && test.name.ends_with("_sanitizers")),
    tests("C with checked accesses", &["c-tests"], LANGUAGES, |test| is_c(test) && test.name.ends_with("_with_checks")),
    tests("C", &["include", "c-tests"], LANGUAGES, is_c).usual(),
    tests("C++ with sanitizers", &["bindings/cpp"], LANGUAGES, |test| {
        is_cpp(test) && test.name.ends_with("_sanitizers")
    }),
    tests("C++", &["bindings/cpp"], LANGUAGES, is_usual_cpp).usual(),
    tests("C++, other compilers and valgrind", &["bindings/cpp", "tests/kernels"], LANGUAGES, |test| {
        ["cpp", "kernel_header", "tiled_matmul"].into_iter().any(|name| is_of(test, name))
    }),
    tests("Fortran", &["bindings/fortran"], LANGUAGES, |test| is_of(test, "fortran")),
    tests("Go", &["bindings/go"], LANGUAGES, |test| is_of(test, "go")),
    tests("Java", &["bindings/java"], LANGUAGES, |test| is_of(test, "java")),
    tests("Node.js", &["bindings/node"], LANGUAGES, |test| is_of(test, "node")),
    tests("R", &["bindings/r"], LANGUAGES, |test| is_of(test, "r")),
    tests("Zig", &["bindings/zig"], LANGUAGES, |test| is_of(test, "zig")),
    tests("examples of documents", &["docs", "README.md", "examples"], &["languages", "repository"], |test| {
        is_of(test, "examples") || test.name == "docs::examples_of_the_documents_run_as_shown"
    })
    .usual(),
    tests("tools", &["benches", "tests/support"], LANGUAGES, |test| test.file.starts_with("tests/languages/")),
    tests("header", &["include", "abi"], REPOSITORY, |test| is_in(test, "header")).usual(),
    tests("symbols", &["abi"], REPOSITORY, |test| is_in(test, "symbols")).usual(),
    tests("layers", &["src"], REPOSITORY, |test| is_in(test, "layers") || is_in(test, "python_layers")).usual(),
    tests("rows of the specification", &["docs/spec"], REPOSITORY, |test| is_in(test, "rows")).usual(),
    tests("documents", &["docs", "README.md", "CONTRIBUTING.md", "packaging"], REPOSITORY, |test| {
        test.file.starts_with("tests/repository/")
    })
    .usual(),
    tests("GPUs, real", &["tests/gpu"], &["gpu"], |test| test.file.starts_with("tests/gpu/")),
    tests("model", &["tests/model"], &["model"], |test| test.file == "tests/model.rs").usual(),
    tests("command, event log and test harness", &["command", "event-log", "tests/harness"], &["--tests"], |test| {
        ["command/", "event-log/", "tests/harness/"].into_iter().any(|folder| test.file.starts_with(folder))
    }),
    tests("static checks", &["static-check", "examples"], &["static_checks", "static_attributes"], |test| {
        test.file.starts_with("static-check/")
    })
    .usual(),
    tests("the simulated driver", &["cuda-sim"], &["--tests"], |test| test.file.starts_with("cuda-sim/")),
    tests("unit tests", &["src"], &["--lib"], |test| test.file == "src/lib.rs"),
    tests("Rust", &["src", "tests"], &RUST, |test| test.file.starts_with("tests/")).usual(),
    own("examples in comments", &["src"], || None, |_| counted(cargo().args(["test", "--locked", "--doc"]))),
    own("GPUs, simulated", &["cuda-sim", "tests/gpu", "src/cuda", "src/device"], || None, simulated),
    own("layouts in C and Rust", &["abi-check", "include"], || None, |_| layouts()),
    own("without linear algebra", &["tests/no_linalg.rs"], || None, |_| without(&["managed"], "no_linalg")),
    own("the core alone", &["tests/core_alone.rs"], || None, |_| without(&[], "core_alone")),
    own("Rust and C for aarch64", &["src/sys"], || target::missing("aarch64"), |_| of_target("aarch64")),
    own("Rust and C for musl", &["src/sys"], || target::missing("musl"), |_| of_target("musl")),
    own("systems without the library", &["src/sys"], target::unported_missing, |_| counts(target::unported())),
    own("interleavings (loom)", &["tests/loom.rs", "src/slots"], || None, |_| loom()),
    own("header in five languages", &["include", "tests/header_tools"], header_tools::missing, |_| header_tools()),
    own("CUDA kernels", &["src/device_copy/kernels", "xtask/ptx"], python::missing, |_| passes(ptx::check())),
    own("page of the report", &["report-page"], page::missing, |_| passes(page::check())),
    own("comments of the header", &["include"], doc::missing, |_| passes(doc::build())),
    own("documentation site", &["docs", "xtask/site"], site::missing, |_| passes(site::check())),
    own("Python", &["bindings/python"], python::missing, python).usual(),
    own("Python, longer", &["bindings/python", "report-page"], python::missing, |_| python_longer()),
    own("Python examples of documents", &["docs", "README.md"], python::missing, |_| {
        counts(python::installed().and_then(|python| python::document_examples(&python)))
    })
    .usual(),
    own("Python on simulated GPUs", &["bindings/python"], python::missing, |_| python_on_simulator()),
    DISTRIBUTED,
    own("cuda.bindings on the simulated driver", &["cuda-sim"], python::missing, |_| {
        pytest_of(&mut sim_peers::smoke(&python::environment()?)?)
    }),
    own("Rust on the C library", &["bindings/rust"], || None, |_| rust_crate(&["--", "--skip", NOT_COMPILED])).usual(),
    own("Rust that must not compile", &["bindings/rust"], || None, |_| rust_crate(&["--test", "compile"])),
    own("lints", &["src", "tests", "xtask"], || lacks("clippy"), |_| lints()),
    own("installed library", &["xtask/install"], install::missing, |_| installed()).of_release(),
    own("interface of earlier releases", &["abi"], abi::missing, |_| counts(abi::check())),
    own("old programs on the new library", &["abi"], old_programs::missing, |_| counts(old_programs::check())),
    own("programs on our malloc", &["bindings/malloc"], malloc::missing, preload),
    own("cargo xtask demo", &["examples/handover"], python::missing, |_| passes(demo::demo())),
    own("cargo xtask examples", &["examples"], python::missing, |_| passes(run::examples())),
    own("bundle for machines with GPUs", &["xtask/bundle"], bundle::missing, |_| passes(bundle::bundle(true)))
        .of_release(),
];

/// The programs with the tests of the library itself.
const RUST: [&str; 7] = ["library", "blit", "fuzz_short", "npy", "oom", "pool_heap", "rust_allocator"];

/// What the tests are told, except with `--all`: fewer seeds and steps of random operations, and the same ones in each
/// run.
pub const SHORT: [(&str, &str); 3] =
    [("TENURE_TEST_SEEDS", "4"), ("TENURE_MODEL_STEPS", "20000"), ("TENURE_STRESS_SEED", "1")];

/// `tenure.distributed` with MPI libraries and other engines, all on this machine, and the C program of `examples/mpi`.
pub const DISTRIBUTED: Stage = own(
    "between machines",
    &["bindings/python/python/tenure/distributed", "examples/mpi"],
    distributed::missing,
    |_| {
        // Without a network the engines cannot be installed, and all else can be tested.
        let python = match distributed::environment() {
            Ok(python) => python,
            Err(why) => return Ok(Row::skipped(why)),
        };
        let (python, hidden, simulator) = (python::installed_into(python)?, sim::none()?, sim::stage()?);
        // An engine that is not installed is an error.
        let tests = |driver: &std::path::Path| {
            let mut tests = command(&python);
            tests.env("TENURE_DISTRIBUTED", "1").env("LD_LIBRARY_PATH", driver);
            tests
        };
        let mut row = pytest(&mut tests(&hidden), distributed::TESTS)?;
        row.add(pytest(tests(&simulator).env("TENURE_TEST_DEVICE", "sim"), distributed::SIMULATED)?);
        row.add(Row::of(counts(distributed::examples(&python))));
        Ok(row)
    },
);

/// With the libraries that are too large for every run.
pub const PEERS: [Stage; 2] = [
    own("Python with peers", &[], python::missing, |_| {
        pytest(command(python::installed_with_peers()?).env("TENURE_PEERS", "1"), NO_CUDA)
    }),
    own("peers on the simulated driver", &[], sim_peers::missing, |_| passes(sim_peers::all(&["--check"]))),
];

/// The stage of a test: the first one that holds it.
pub fn stage_of(test: &Test) -> Option<&'static Stage> {
    STAGES.iter().find(|stage| matches!(stage.body, Body::Tests { holds, .. } if holds(test)))
}

/// The `cargo test` that builds the programs of some stages.
pub fn tests_of(stages: &[&Stage]) -> Command {
    let of = |stage: &&Stage| match stage.body {
        Body::Tests { targets, .. } => targets,
        Body::Own { .. } => &[],
    };
    let mut targets: Vec<&str> = stages.iter().flat_map(of).copied().collect();
    targets.sort();
    targets.dedup();
    // The programs are among all tests.
    if targets.contains(&"--tests") {
        targets.retain(|target| target.starts_with("--"));
    }
    let option = |target| if str::starts_with(target, "--") { vec![target] } else { vec!["--test", target] };
    programs::of_packages(&targets.into_iter().flat_map(option).collect::<Vec<_>>())
}

fn is_of(test: &Test, name: &str) -> bool {
    test.file.strip_prefix("tests/languages/").and_then(|file| file.strip_suffix(".rs")) == Some(name)
}

fn is_in(test: &Test, name: &str) -> bool {
    test.file.strip_prefix("tests/repository/").and_then(|file| file.strip_suffix(".rs")) == Some(name)
}

fn is_c(test: &Test) -> bool {
    is_of(test, "c")
}

fn is_cpp(test: &Test) -> bool {
    is_of(test, "cpp")
}

/// C++ once: each part as C++17.
fn is_usual_cpp(test: &Test) -> bool {
    is_cpp(test) && test.name.ends_with("::cpp17")
}

/// Why a command of cargo is missing.
fn lacks(tool: &str) -> Option<String> {
    let absent = tools::output(cargo().args([tool, "--version"])).is_err();
    absent.then(|| format!("cargo {tool} is not installed: rustup component add rustfmt clippy"))
}

/// Clippy finds nothing. The crates of Rust and Python need a library to link.
fn lints() -> Done<Row> {
    let library = dist::libraries()?;
    let mut clippy = cargo();
    clippy.args(["clippy", "--locked", "--workspace", "--all-targets", "--quiet", "--", "-Dwarnings"]);
    clippy.env("TENURE_LIB_DIR", library.parent().unwrap_or(&library)).env("TENURE_PYTHON_LIBRARY", &library);
    tool(&mut clippy)
}

/// A check that is one, and prints what it finds.
fn passes(done: Done) -> Done<Row> {
    counts(done.map(|()| 1))
}

/// A command of cargo that finds nothing wrong.
fn tool(command: &mut Command) -> Done<Row> {
    let ended_well = read_lines(command, |_| ());
    Ok(Row { passed: usize::from(ended_well), failed: usize::from(!ended_well), ..Row::default() })
}

/// The tests of GPUs on the simulated driver, with several seeds or one.
fn simulated(context: &Context) -> Done<Row> {
    let count = cuda::run(1, if context.is_all() { cuda::SEEDS } else { 1 })?;
    Ok(Row {
        passed: count.passed,
        failed: count.failed,
        skipped: count.ignored,
        note: count.failure.unwrap_or_default(),
        ..Row::default()
    })
}

/// The library for another target.
fn of_target(name: &str) -> Done<Row> {
    Ok(row_of_all(&target::run(name, false)?))
}

/// A test program with no more than these features of the library.
fn without(features: &[&str], program: &str) -> Done<Row> {
    let mut test = cargo();
    // In a folder of its own, because the C tests must not find this library.
    test.args(["test", "--locked", "--no-default-features", "--target-dir", "target/no-linalg"]);
    built(test.args(["--features", &features.join(","), "--test", program]), |_| ())
}

/// The interleavings, with loom's atomics; a build in a folder of its own.
fn loom() -> Done<Row> {
    let mut test = cargo();
    test.args(["test", "--locked", "--profile", "loom", "--no-default-features"]);
    test.args(["--target-dir", "target/loom", "--test", "loom"]);
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    test.env("RUSTFLAGS", format!("{flags} --cfg loom"));
    let bounded = std::env::var_os("LOOM_MAX_PREEMPTIONS").is_none();
    built(&mut test, |test| {
        if bounded {
            test.env("LOOM_MAX_PREEMPTIONS", "2"); // advised by loom's documentation for larger models
        }
    })
}

/// The Python package's tests against the installed wheel, without a driver. With names, the chosen files.
fn python(context: &Context) -> Done<Row> {
    let files = context.python_files();
    if !files.is_empty() {
        return python_files(&files);
    }
    let left_out: Vec<String> = LONGER.iter().map(|file| format!("--ignore={file}")).collect();
    let left_out: Vec<&str> = left_out.iter().map(String::as_str).collect();
    python_files(&[&IN_PARALLEL, NO_CUDA, &left_out].concat())
}

/// Files of Python tests that take a minute, or need a browser or the program `tenure`.
const LONGER: [&str; 7] = [
    "bindings/python/tests/test_command.py",
    "bindings/python/tests/test_extensions.py",
    "bindings/python/tests/test_numpy_suite.py",
    "bindings/python/tests/test_report_page.py",
    "bindings/python/tests/test_rust_crate.py",
    "bindings/python/tests/test_rust_numpy.py",
    "bindings/python/tests/test_types.py",
];

fn python_longer() -> Done<Row> {
    python_files(&[IN_PARALLEL.as_slice(), &LONGER].concat())
}

/// What pytest is told to run, without a driver. A wheel of the tests lacks the program `tenure`.
fn python_files(which: &[&str]) -> Done<Row> {
    let python = python::installed()?;
    if which.contains(&LONGER[0]) && dist::THIS.is_tested() {
        tools::copy(&dist::THIS.program()?, &python.with_file_name(dist::PROGRAM))?;
    }
    pytest(command(python).env("LD_LIBRARY_PATH", sim::none()?), which)
}

/// Those that need a driver: in a process of their own, so that the other libraries do not see the simulated one.
fn python_on_simulator() -> Done<Row> {
    let mut tests = command(python::installed()?);
    tests.env("LD_LIBRARY_PATH", sim::stage()?).env("TENURE_TEST_DEVICE", "sim").env("TENURE_SIM_DEVICES", "2");
    let files = python::cuda_tests()?;
    pytest(&mut tests, &files.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The test of the Rust crate that compiles programs.
const NOT_COMPILED: &str = "misuse_does_not_compile";

/// Tests of the Rust crate on the shared library and the simulated driver.
fn rust_crate(targets: &[&str]) -> Done<Row> {
    let (library, simulator) = (dist::libraries()?, sim::stage()?);
    let mut tests = cargo();
    tests
        .args([
            "test",
            "--locked",
            "--package",
            "tenure-rs",
            // Those of the library's sources.
            "--no-default-features",
            "--features",
            "ndarray,dlpack,half,complex,rand,csv,allocator-api2",
        ])
        .args(targets);
    tests.env("TENURE_LIB_DIR", library.parent().unwrap_or(&library));
    counted(tests.env("LD_LIBRARY_PATH", simulator).env("TENURE_TEST_DEVICE", "sim"))
}

/// C and C++ projects against the installed tree and the tarball.
fn installed() -> Done<Row> {
    let python = python::missing().is_none().then(python::environment).transpose()?;
    let passed = install::check(python.as_deref())? + sim_install::check()?;
    Ok(match python {
        Some(_) => Row { passed, ..Row::default() },
        None => Row { passed, ..Row::skipped("CMake comes with the Python environment, which is missing".to_owned()) },
    })
}

/// Existing programs on the preload library.
fn preload(context: &Context) -> Done<Row> {
    let done = malloc::test(context.is_all())?;
    Ok(Row {
        passed: done.passed,
        failed: done.failed,
        skipped: done.skipped.len(),
        missing: done.skipped.len(),
        note: if done.skipped.is_empty() { String::new() } else { "skipped: said above".to_owned() },
        ..Row::default()
    })
}

/// Builds and runs the tests of a `cargo test`; `set_up` prepares each process.
fn built(test: &mut Command, set_up: impl Fn(&mut Command) + Sync) -> Done<Row> {
    Ok(row_of_all(&programs::run(&programs::build(test)?, |_, _| true, set_up)))
}

/// Files of tests run at the same time, in a process for each core.
const IN_PARALLEL: [&str; 4] = ["-n", "auto", "--dist", "loadfile"];

/// The package's tests except those that need a CUDA driver, or engines of many machines.
const NO_CUDA: &[&str] =
    &["bindings/python/tests", "--ignore-glob=*/test_cuda*", "--ignore=bindings/python/tests/distributed"];

/// The package's tests that `which` selects, run by an environment's Python.
fn pytest(python: &mut Command, which: &[&str]) -> Done<Row> {
    pytest_of(python.args(["-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider"]).args(which))
}

/// A command that runs pytest.
fn pytest_of(command: &mut Command) -> Done<Row> {
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
    Ok(row)
}

/// The row of a stage that counts what passed.
fn counts(done: Done<usize>) -> Done<Row> {
    Ok(Row { passed: done?, ..Row::default() })
}

/// The generated comparison of layouts and constants.
fn layouts() -> Done<Row> {
    let mut row = Row::default();
    let ended_well = read_lines(cargo().args(["run", "--quiet", "--locked", "--package", "abi-check"]), |line| {
        if let Some(rest) = line.strip_prefix("PASSED ") {
            row.passed = rest.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
        }
    });
    row.failed = usize::from(!ended_well || row.passed == 0);
    Ok(row)
}

/// The binding generators on the header.
fn header_tools() -> Done<Row> {
    let done = header_tools::check()?;
    Ok(Row {
        passed: done.passed,
        failed: done.failed.len(),
        skipped: done.skipped.len(),
        missing: done.skipped.len(),
        note: if done.skipped.is_empty() { String::new() } else { format!("skipped: {}", done.skipped.join("; ")) },
        ..Row::default()
    })
}

/// A `cargo test` that is a stage of its own.
fn counted(test: &mut Command) -> Done<Row> {
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
    Ok(row)
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
