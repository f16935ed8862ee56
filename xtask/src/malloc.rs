//! `cargo xtask malloc`: runs existing programs on the preload library of bindings/malloc.
//!
//! Promise: each program's result is checked: C tests and Python's own tests by their status, gcc by the objects that
//! it writes, SQLite and a Python workload by their output, which must be as without the preload. A line of the library
//! on the standard error (an invalid free, a use of Rust's heap) is a failure too. A program that is not installed, or
//! that fails without the preload as well, is skipped by name. The library is built with assertions.

use crate::dist::{Machine, THIS};
use crate::tools::{Done, cargo, command, cores, has, io, output, read, root, run};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;
use tenure_harness::in_parallel;

/// The file's name.
pub const LIBRARY: &str = "libtenure_malloc.so";

/// The counts of a run.
#[derive(Default)]
pub struct Outcome {
    pub passed: usize,
    pub failed: usize,
    /// The programs that were not run, with the reason.
    pub skipped: Vec<String>,
}

/// Programs of bindings/malloc/tests, with the variables that each is started with.
const PROGRAMS: &[(&str, &[(&str, &str)])] = &[
    ("functions", &[]),
    ("functions", STRICT),
    ("misuse", &[]),
    ("misuse", STRICT),
    ("threads", &[]),
    ("threads", STRICT),
    ("fork", &[]),
    ("modules", STRICT),
    ("limit", &[("TENURE_MALLOC_LIMIT", "32MiB")]),
    // It passes each library's blocks to the other one's `free`.
    ("apart", &[("TENURE_MALLOC_MISUSE", "ignore")]),
];
/// Counts writes after a free: freed memory is filled with a pattern, which is checked before the memory is reused.
const STRICT: &[(&str, &str)] = &[("TENURE_MALLOC_STRICT", "1")];

/// Python's own tests that take seconds.
const PYTHON_TESTS: &[&str] = &[
    "test_dict",
    "test_list",
    "test_bytes",
    "test_memoryview",
    "test_json",
    "test_re",
    "test_zlib",
    "test_struct",
    "test_sqlite3",
    "test_ctypes",
    "test_weakref",
    "test_thread",
    "test_fork1",
];
/// Python's own tests that take minutes.
const LONGER_PYTHON_TESTS: &[&str] = &[
    "test_set",
    "test_array",
    "test_deque",
    "test_buffer",
    "test_pickle",
    "test_decimal",
    "test_gc",
    "test_descr",
    "test_sort",
    "test_threading",
    "test_queue",
    "test_subprocess",
    "test_io",
    "test_capi",
    "test_os",
    "test_posix",
    "test_signal",
    "test_faulthandler",
    "test_tracemalloc",
    "test_unicode",
    "test_long",
    "test_collections",
    "test_itertools",
    "test_generators",
    "test_exceptions",
    "test_lzma",
    "test_bz2",
    "test_hashlib",
    "test_mmap",
    "test_xml_etree_c",
    "test_csv",
    "test_asyncio",
];

/// A program that runs longer counts as hung, also on a busy machine.
const LIMIT_SECONDS: u32 = 3000;

/// An option of `env`: Python's tests send themselves signals that a background job ignores by default.
const INTERRUPTS: &str = "--default-signal=INT,QUIT";

struct Runner {
    library: PathBuf,
    folder: PathBuf,
    long: bool,
    outcome: Outcome,
}

/// Builds the library as it is shipped (`release`) or with assertions (`soak`), and gives its path.
pub fn build(machine: Machine, profile: &str) -> Done<PathBuf> {
    Ok(machine.build(&["build", "--package", "tenure-malloc"], "target", profile)?.join(LIBRARY))
}

/// The tool that is missing, without which nothing can run.
pub fn missing() -> Option<String> {
    let absent = ["gcc", "nm", "timeout"].into_iter().find(|tool| !has(tool))?;
    Some(format!("{absent} is not installed"))
}

/// Runs all programs that this machine has. `long`: minutes in place of seconds.
pub fn test(long: bool) -> Done<Outcome> {
    let folder = root().join("target/malloc");
    io(&folder, std::fs::create_dir_all(&folder))?;
    let mut runner = Runner { library: build(THIS, "soak")?, folder, long, outcome: Outcome::default() };
    runner.step("exported symbols", |runner| runner.exports());
    runner.programs();
    runner.step("statistics at the end", |runner| runner.statistics());
    runner.compiler();
    runner.sqlite();
    runner.python();
    for why in &runner.outcome.skipped {
        println!("skipped: {why}");
    }
    Ok(runner.outcome)
}

/// `cargo xtask malloc`.
pub fn main(long: bool) -> Done {
    if let Some(why) = missing() {
        return Err(why);
    }
    let outcome = test(long)?;
    println!("{} passed, {} failed, {} skipped", outcome.passed, outcome.failed, outcome.skipped.len());
    if outcome.failed > 0 { Err(String::new()) } else { Ok(()) }
}

impl Runner {
    /// Runs one step, prints whether it passed and counts it.
    fn step(&mut self, name: &str, body: impl FnOnce(&Runner) -> Done) {
        let start = Instant::now();
        let done = body(self);
        let verdict = if done.is_ok() { "ok" } else { "FAILED" };
        println!("{name} ... {verdict} ({:.1} s)", start.elapsed().as_secs_f64());
        match done {
            Ok(()) => self.outcome.passed += 1,
            Err(text) => {
                println!("{text}");
                self.outcome.failed += 1;
            }
        }
    }

    fn skip(&mut self, why: String) {
        self.outcome.skipped.push(why);
    }

    /// A command that runs the program with the library preloaded.
    fn preloaded(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut loaded = std::ffi::OsString::from("LD_PRELOAD=");
        loaded.push(&self.library);
        // `env` sets the variable, so that `timeout` itself runs without the preload.
        let mut command = plain("timeout");
        command.arg("--kill-after=5").arg(LIMIT_SECONDS.to_string());
        command.arg("env").arg(INTERRUPTS).arg(loaded).arg(program.as_ref());
        command.current_dir(&self.folder);
        command
    }

    /// Runs it and returns its standard output. Fails if the library printed a line.
    fn quiet(&self, command: &mut Command) -> Done<String> {
        let done = command.output().map_err(|e| format!("{command:?}: {e}"))?;
        let (out, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        if !done.status.success() || out.contains("tenure_malloc:") || errors.contains("tenure_malloc:") {
            return Err(format!("{command:?}: {}\n{out}{errors}", done.status));
        }
        Ok(out.into_owned())
    }

    /// The library exports exactly the functions of `exports.txt`.
    fn exports(&self) -> Done {
        let listed = output(plain("nm").args(["-D", "--defined-only", "--format=posix"]).arg(&self.library))?;
        let mut exported: Vec<&str> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
        exported.sort_unstable();
        let reviewed = read("bindings/malloc/exports.txt")?;
        let reviewed: Vec<&str> = reviewed.lines().collect();
        if exported == reviewed {
            return Ok(());
        }
        Err(format!("exported: {exported:?}\nbindings/malloc/exports.txt: {reviewed:?}"))
    }

    fn compile(&self, name: &str, extra: &[&str]) -> Done<PathBuf> {
        let program = self.folder.join(name);
        let mut gcc = plain("gcc");
        // Without these, gcc removes calls of functions that it knows, or warns of deliberate misuse.
        gcc.args(["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fno-builtin", "-pthread"]);
        gcc.args(["-Wno-alloc-size-larger-than", "-Wno-use-after-free", "-Wno-free-nonheap-object"]).args(extra);
        gcc.arg("-I")
            .arg(root().join("include"))
            .arg(format!("bindings/malloc/tests/{name}.c"))
            .arg("-o")
            .arg(&program);
        run(gcc.arg("-ldl"))?;
        Ok(program)
    }

    fn programs(&mut self) {
        for (name, variables) in PROGRAMS {
            let shown: String = variables.iter().map(|(name, value)| format!(" {name}={value}")).collect();
            self.step(&format!("{name}{shown}"), |runner| {
                let mut command = runner.preloaded(runner.compile(name, &[])?);
                match *name {
                    "modules" => _ = command.arg(runner.compile("module", &["-shared", "-fPIC"])?),
                    "apart" => _ = command.arg(library()?),
                    "threads" | "fork" if runner.long && variables.is_empty() => _ = command.arg("long"),
                    _ => {}
                }
                runner.quiet(command.envs(variables.iter().copied())).map(drop)
            });
        }
    }

    /// TENURE_MALLOC_STATS prints a line; `modules` in strict mode has no misuse.
    fn statistics(&self) -> Done {
        let mut command = self.preloaded(self.folder.join("modules"));
        command.arg(self.folder.join("module")).envs(STRICT.iter().copied()).env("TENURE_MALLOC_STATS", "1");
        let done = command.output().map_err(|e| format!("{command:?}: {e}"))?;
        let errors = String::from_utf8_lossy(&done.stderr);
        let whole = errors.starts_with("tenure_malloc: modules[") && errors.trim_end().ends_with(", misuses 0");
        if done.status.success() && whole { Ok(()) } else { Err(format!("{command:?}: {}\n{errors}", done.status)) }
    }

    /// gcc writes equal objects with and without the preload, which its passes inherit.
    fn compiler(&mut self) {
        let listed = std::fs::read_dir(root().join("c-tests")).into_iter().flatten();
        let mut sources: Vec<PathBuf> = listed.filter_map(|entry| Some(entry.ok()?.path())).collect();
        sources.retain(|path| path.extension().is_some_and(|end| end == "c"));
        sources.sort();
        if !self.long {
            sources.truncate(6);
        }
        self.step(&format!("gcc -O2 on {} C tests", sources.len()), |runner| {
            let failed = Mutex::new(String::new());
            in_parallel(sources.len(), cores(), |at| {
                let source = &sources[at];
                let object = |kind: &str, mut gcc: Command| {
                    let object = runner.folder.join(format!("{kind}{at}.o"));
                    gcc.args(["-std=c11", "-O2", "-g", "-pthread", "-c", "-I"]).arg(root().join("include")).arg(source);
                    runner.quiet(gcc.arg("-o").arg(&object))?;
                    io(&object, std::fs::read(&object))
                };
                let mut gcc = plain("gcc");
                gcc.current_dir(&runner.folder);
                let equal =
                    object("plain", gcc).and_then(|plain| Ok(plain == object("preloaded", runner.preloaded("gcc"))?));
                let text = match equal {
                    Ok(true) => return,
                    Ok(false) => format!("{}: the objects differ\n", source.display()),
                    Err(text) => text,
                };
                failed.lock().expect("no panic while it is held").push_str(&text);
            });
            let failed = failed.into_inner().expect("no panic while it is held");
            if failed.is_empty() { Ok(()) } else { Err(failed) }
        });
    }

    fn sqlite(&mut self) {
        if !has("sqlite3") {
            return self.skip("SQLite: sqlite3 is not installed".to_owned());
        }
        self.step("sqlite3: 100 000 rows", |runner| {
            let work = root().join("bindings/malloc/tests/workload.sql");
            let told = |name: &str, mut sqlite: Command| {
                for end in ["", "-wal", "-shm"] {
                    let _ = std::fs::remove_file(runner.folder.join(format!("{name}{end}")));
                }
                let input = io(&work, std::fs::File::open(&work))?;
                runner.quiet(sqlite.args(["-batch", "-bail"]).arg(name).stdin(input).current_dir(&runner.folder))
            };
            let (plainly, preloaded) =
                (told("plain.db", plain("sqlite3"))?, told("ours.db", runner.preloaded("sqlite3"))?);
            same(&plainly, &preloaded)
        });
    }

    fn python(&mut self) {
        let Some(python) = python() else {
            return self.skip("Python: no python3 with its `test` package (libpython3-testsuite on Debian)".to_owned());
        };
        // Without this, Python allocates small objects from its own allocator.
        let all = |mut command: Command| {
            command.env("PYTHONMALLOC", "malloc").env("PYTHONHASHSEED", "0").env("PYTHONDONTWRITEBYTECODE", "1");
            command
        };
        let scale = if self.long { "10" } else { "1" };
        self.step("python3: a workload", |runner| {
            let work = root().join("bindings/malloc/tests/workload.py");
            let told = |command: Command| runner.quiet(all(command).arg(&work).arg(scale));
            same(&told(plain(&python))?, &told(runner.preloaded(&python))?)
        });
        let mut tests = PYTHON_TESTS.to_vec();
        if self.long {
            tests.extend(LONGER_PYTHON_TESTS);
        }
        let run = |runner: &Runner, command: Command, tests: &[&str]| {
            // The ignored test depends on the modules that the installation loads at start.
            let tests = ["-m", "test", "--randseed", "1", "-i", "test_import_from_another_thread"].iter().chain(tests);
            runner.quiet(all(command).args(tests)).map(drop)
        };
        // Some fail without the preload too: a module, rights or a network is missing.
        let left_out = Mutex::new(Vec::new());
        self.step(&format!("python3 -m test, {} parts", tests.len()), |runner| {
            if !runner.long && run(runner, runner.preloaded(&python), &tests).is_ok() {
                return Ok(());
            }
            let failed = Mutex::new(String::new());
            in_parallel(tests.len(), cores(), |at| {
                let name = tests[at];
                if let Err(text) = run(runner, runner.preloaded(&python), &[name]) {
                    let mut alone = plain("env");
                    alone.arg(INTERRUPTS).arg(&python);
                    match run(runner, alone, &[name]) {
                        Ok(()) => failed.lock().expect("no panic while it is held").push_str(&text),
                        Err(_) => left_out.lock().expect("no panic while it is held").push(name),
                    }
                }
            });
            let failed = failed.into_inner().expect("no panic while it is held");
            if failed.is_empty() { Ok(()) } else { Err(failed) }
        });
        let left_out = left_out.into_inner().expect("no panic while it is held");
        if !left_out.is_empty() {
            self.skip(format!(
                "python3 -m test {}: fail on this machine without the preload as well",
                left_out.join(" ")
            ));
        }
    }
}

/// The program without the preload and its variables.
fn plain(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = command(program);
    for name in ["LD_PRELOAD", "LD_LIBRARY_PATH", "TENURE_MALLOC_STATS", "TENURE_MALLOC_MISUSE", "TENURE_MALLOC_STRICT"]
    {
        command.env_remove(name);
    }
    command.env_remove("TENURE_MALLOC_LIMIT");
    command
}

fn same(plainly: &str, preloaded: &str) -> Done {
    if plainly == preloaded && !plainly.is_empty() {
        return Ok(());
    }
    Err(format!("without the preload:\n{plainly}\nwith it:\n{preloaded}"))
}

/// Builds libtenure.so, for the test that has both libraries in one process.
fn library() -> Done<PathBuf> {
    run(cargo().args(["build", "--quiet", "--locked", "--lib"]))?;
    Ok(root().join("target/debug/libtenure.so"))
}

/// A Python with its own tests. Asks for its path, because `python3` may be a script that starts another program.
fn python() -> Option<PathBuf> {
    let ask = ["-c", "import sys, test.test_dict; print(sys.executable)"];
    let path = output(plain("python3").args(ask)).ok()?;
    let path = Path::new(path.trim()).to_owned();
    path.exists().then_some(path)
}
