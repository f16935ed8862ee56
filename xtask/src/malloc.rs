//! `cargo xtask malloc`: the preload library of bindings/malloc under the world's programs.
//!
//! Promise: every program runs with its result compared: C tests of the functions by their status, Python's own tests by their verdict,
//! gcc by the objects that it writes, SQLite and a Python workload by what they print, each with that of a run without the preload. A
//! line of the library on the standard error (a wrong free, a request to Rust's heap) is a failure too. What this machine lacks, or what
//! fails here without the preload as well, is skipped by name. The library is built with assertions on.

use crate::programs::threads;
use crate::tools::{Done, cargo, command, has, io, output, read, root, run};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;
use tenure_harness::in_parallel;

/// The file's name.
pub const LIBRARY: &str = "libtenure_malloc.so";

/// What came of it.
#[derive(Default)]
pub struct Outcome {
    pub passed: usize,
    pub failed: usize,
    /// What was not run, and why.
    pub skipped: Vec<String>,
}

/// Programs of bindings/malloc/tests, with the variables that each is started with.
const PROGRAMS: &[(&str, &[(&str, &str)])] = &[
    ("door", &[]),
    ("door", STRICT),
    ("misuse", &[]),
    ("misuse", STRICT),
    ("threads", &[]),
    ("threads", STRICT),
    ("fork", &[]),
    ("modules", STRICT),
    ("limit", &[("TENURE_MALLOC_LIMIT", "32MiB")]),
    // It frees what is the other library's.
    ("apart", &[("TENURE_MALLOC_MISUSE", "ignore")]),
];
/// What is freed is filled, and looked at before it is handed out again: a write after a free is counted.
const STRICT: &[(&str, &str)] = &[("TENURE_MALLOC_STRICT", "1")];

/// Python's own tests, those that take seconds, and those that take longer.
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

/// Seconds after which a program hangs, however much else the machine has to do.
const PATIENCE: u32 = 3000;

/// For `env`: Python's tests send themselves what a job in the background is told to ignore.
const INTERRUPTS: &str = "--default-signal=INT,QUIT";

struct Trial {
    library: PathBuf,
    folder: PathBuf,
    long: bool,
    outcome: Outcome,
}

/// Builds the library as it is shipped (`release`) or with assertions (`soak`), and gives its path.
pub fn build(profile: &str) -> Done<PathBuf> {
    run(cargo().args(["build", "--quiet", "--locked", "--package", "tenure-malloc", "--profile", profile]))?;
    Ok(root().join("target").join(profile).join(LIBRARY))
}

/// Why nothing of it can run.
pub fn missing() -> Option<String> {
    let absent = ["gcc", "nm", "timeout"].into_iter().find(|tool| !has(tool))?;
    Some(format!("{absent} is not installed"))
}

/// Runs all that this machine can. `long`: minutes in place of seconds.
pub fn test(long: bool) -> Done<Outcome> {
    let folder = root().join("target/malloc");
    io(&folder, std::fs::create_dir_all(&folder))?;
    let mut trial = Trial { library: build("soak")?, folder, long, outcome: Outcome::default() };
    trial.step("exported symbols", |trial| trial.exports());
    trial.programs();
    trial.step("figures at the end", |trial| trial.figures());
    trial.compiler();
    trial.sqlite();
    trial.python();
    for why in &trial.outcome.skipped {
        println!("skipped: {why}");
    }
    Ok(trial.outcome)
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

impl Trial {
    /// One thing that passes or fails.
    fn step(&mut self, name: &str, body: impl FnOnce(&Trial) -> Done) {
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

    /// The program on our malloc.
    fn preloaded(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut loaded = std::ffi::OsString::from("LD_PRELOAD=");
        loaded.push(&self.library);
        // Set by `env`, so that the watch itself does not run on what it watches.
        let mut command = plain("timeout");
        command.arg("--kill-after=5").arg(PATIENCE.to_string());
        command.arg("env").arg(INTERRUPTS).arg(loaded).arg(program.as_ref());
        command.current_dir(&self.folder);
        command
    }

    /// Runs it; what it printed to stdout. A line of ours is a failure.
    fn quiet(&self, command: &mut Command) -> Done<String> {
        let done = command.output().map_err(|e| format!("{command:?}: {e}"))?;
        let (out, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        if !done.status.success() || out.contains("tenure_malloc:") || errors.contains("tenure_malloc:") {
            return Err(format!("{command:?}: {}\n{out}{errors}", done.status));
        }
        Ok(out.into_owned())
    }

    /// Exactly the functions of the reviewed list.
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
        // The compiler knows these functions, and would leave out a call, or take it for a mistake.
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
            self.step(&format!("{name}{shown}"), |trial| {
                let mut command = trial.preloaded(trial.compile(name, &[])?);
                match *name {
                    "modules" => _ = command.arg(trial.compile("module", &["-shared", "-fPIC"])?),
                    "apart" => _ = command.arg(library()?),
                    "threads" | "fork" if trial.long && variables.is_empty() => _ = command.arg("long"),
                    _ => {}
                }
                trial.quiet(command.envs(variables.iter().copied())).map(drop)
            });
        }
    }

    /// What TENURE_MALLOC_STATS prints: for `modules`, which is strict about writes after a free, no misuse.
    fn figures(&self) -> Done {
        let mut command = self.preloaded(self.folder.join("modules"));
        command.arg(self.folder.join("module")).envs(STRICT.iter().copied()).env("TENURE_MALLOC_STATS", "1");
        let done = command.output().map_err(|e| format!("{command:?}: {e}"))?;
        let errors = String::from_utf8_lossy(&done.stderr);
        let whole = errors.starts_with("tenure_malloc: modules[") && errors.trim_end().ends_with(", misuses 0");
        if done.status.success() && whole { Ok(()) } else { Err(format!("{command:?}: {}\n{errors}", done.status)) }
    }

    /// gcc writes the same objects; its passes inherit the preload.
    fn compiler(&mut self) {
        let listed = std::fs::read_dir(root().join("c-tests")).into_iter().flatten();
        let mut sources: Vec<PathBuf> = listed.filter_map(|entry| Some(entry.ok()?.path())).collect();
        sources.retain(|path| path.extension().is_some_and(|end| end == "c"));
        sources.sort();
        if !self.long {
            sources.truncate(6);
        }
        self.step(&format!("gcc -O2 on {} C tests", sources.len()), |trial| {
            let failed = Mutex::new(String::new());
            in_parallel(sources.len(), threads(), |at| {
                let source = &sources[at];
                let object = |kind: &str, mut gcc: Command| {
                    let object = trial.folder.join(format!("{kind}{at}.o"));
                    gcc.args(["-std=c11", "-O2", "-g", "-pthread", "-c", "-I"]).arg(root().join("include")).arg(source);
                    trial.quiet(gcc.arg("-o").arg(&object))?;
                    io(&object, std::fs::read(&object))
                };
                let mut gcc = plain("gcc");
                gcc.current_dir(&trial.folder);
                let equal =
                    object("plain", gcc).and_then(|plain| Ok(plain == object("preloaded", trial.preloaded("gcc"))?));
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
        self.step("sqlite3: 100 000 rows", |trial| {
            let work = root().join("bindings/malloc/tests/workload.sql");
            let told = |name: &str, mut sqlite: Command| {
                for end in ["", "-wal", "-shm"] {
                    let _ = std::fs::remove_file(trial.folder.join(format!("{name}{end}")));
                }
                let input = io(&work, std::fs::File::open(&work))?;
                trial.quiet(sqlite.args(["-batch", "-bail"]).arg(name).stdin(input).current_dir(&trial.folder))
            };
            let (plainly, preloaded) =
                (told("plain.db", plain("sqlite3"))?, told("ours.db", trial.preloaded("sqlite3"))?);
            same(&plainly, &preloaded)
        });
    }

    fn python(&mut self) {
        let Some(python) = python() else {
            return self.skip("Python: no python3 with its `test` package (libpython3-testsuite on Debian)".to_owned());
        };
        // Its small objects come from an allocator of its own otherwise.
        let all = |mut command: Command| {
            command.env("PYTHONMALLOC", "malloc").env("PYTHONHASHSEED", "0").env("PYTHONDONTWRITEBYTECODE", "1");
            command
        };
        let scale = if self.long { "10" } else { "1" };
        self.step("python3: a workload", |trial| {
            let work = root().join("bindings/malloc/tests/workload.py");
            let told = |command: Command| trial.quiet(all(command).arg(&work).arg(scale));
            same(&told(plain(&python))?, &told(trial.preloaded(&python))?)
        });
        let mut tests = PYTHON_TESTS.to_vec();
        if self.long {
            tests.extend(LONGER_PYTHON_TESTS);
        }
        let run = |trial: &Trial, command: Command, tests: &[&str]| {
            // That one asks which modules an interpreter loads by itself, which is the installation's business. The seed is for what
            // they draw.
            let tests = ["-m", "test", "--randseed", "1", "-i", "test_import_from_another_thread"].iter().chain(tests);
            trial.quiet(all(command).args(tests)).map(drop)
        };
        // Some fail by themselves: for want of a module, of rights, of a network.
        let left_out = Mutex::new(Vec::new());
        self.step(&format!("python3 -m test, {} parts", tests.len()), |trial| {
            if !trial.long && run(trial, trial.preloaded(&python), &tests).is_ok() {
                return Ok(());
            }
            let failed = Mutex::new(String::new());
            in_parallel(tests.len(), threads(), |at| {
                let name = tests[at];
                if let Err(text) = run(trial, trial.preloaded(&python), &[name]) {
                    let mut alone = plain("env");
                    alone.arg(INTERRUPTS).arg(&python);
                    match run(trial, alone, &[name]) {
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

/// The program as anybody starts it.
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

/// The library proper, for the test that has both in one process.
fn library() -> Done<PathBuf> {
    run(cargo().args(["build", "--quiet", "--locked", "--lib"]))?;
    Ok(root().join("target/debug/libtenure.so"))
}

/// A Python with its own tests. What is called python3 may be a script that chooses one.
fn python() -> Option<PathBuf> {
    let ask = ["-c", "import sys, test.test_dict; print(sys.executable)"];
    let path = output(plain("python3").args(ask)).ok()?;
    let path = Path::new(path.trim()).to_owned();
    path.exists().then_some(path)
}
