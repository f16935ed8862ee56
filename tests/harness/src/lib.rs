//! A test harness in place of libtest, for programs whose tests need a process of their own, a time limit, or tools
//! that may be missing.
//!
//! Promise: each test runs in a fresh process (the program itself, started again), so no test sees another's threads,
//! memory or locks. A test that exceeds its limit is killed with its child processes and fails by name; the others go
//! on. A test that calls [`skip`] is reported as "ignored, why". Arguments and output are libtest's, as far as people
//! and `cargo xtask` use them.
//!
//! A program has `harness = false` in its manifest, `use tenure_harness::test;`, and a `main` that returns [`main()`].

mod process;

pub use process::{Ended, Printed, output, processor_of_children, wait, watch};
pub use tenure_harness_attribute::test;

use std::any::Any;
use std::ffi::OsStr;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The variable with the name of the test that a process must run itself.
pub const RUN: &str = "TENURE_HARNESS_TEST";
/// The variable with the time limit of a test, in seconds.
pub const LIMIT: &str = "TENURE_TEST_LIMIT_SECONDS";
/// The variable with the program, and its arguments, that runs programs of the tests' processor: an emulator.
pub const RUNNER: &str = "TENURE_TEST_RUNNER";
/// The default limit: some tests take a minute on an idle machine. Its seconds are longer on a busy one.
const USUAL_LIMIT_SECONDS: u64 = 600;
/// Exit status of a test that cannot run here, as in Automake.
const SKIPPED: u8 = 77;
/// Exit status of a test that panicked, as in Rust.
const PANICKED: u8 = 101;

/// A test as `#[test]` registers it.
pub struct Test {
    /// The function's path from the name of the crate.
    pub name: &'static str,
    /// The reason why it runs only on request.
    pub ignored: Option<&'static str>,
    /// The function.
    pub run: fn(),
}

/// A test that a program makes when it starts.
pub struct Trial {
    name: String,
    ignored: Option<&'static str>,
    run: Box<dyn Fn() + Sync>,
}

impl Trial {
    /// A test with this name.
    pub fn new(name: impl Into<String>, run: impl Fn() + Sync + 'static) -> Trial {
        Trial { name: name.into(), ignored: None, run: Box::new(run) }
    }
}

/// How a test ended.
pub enum Outcome {
    /// It passed.
    Passed,
    /// It failed; its output and how it ended.
    Failed(String),
    /// It did not run, and why.
    Ignored(String),
}

/// The payload of [`skip`].
struct Skip(String);

/// Ends the test, which is reported as "ignored, why". Call it on the thread of the test.
pub fn skip(why: impl Into<String>) -> ! {
    std::panic::resume_unwind(Box::new(Skip(why.into())))
}

/// Skips the test if a program is not installed; fails if TENURE_REQUIRE_TOOLS is set.
pub fn require(programs: &[&str]) {
    for program in programs {
        let found = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
        if !found {
            missing(format!("{program} is not installed"));
        }
    }
}

/// Skips the test because something that could be installed is missing; fails if TENURE_REQUIRE_TOOLS is set.
pub fn missing(why: String) -> ! {
    assert!(std::env::var_os("TENURE_REQUIRE_TOOLS").is_none(), "{why}, and this run requires it");
    skip(why)
}

/// The time limit of one test.
pub fn limit() -> Duration {
    let seconds = std::env::var(LIMIT).ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(USUAL_LIMIT_SECONDS))
}

// One entry for programs that register none: the linker defines the section's ends only if the section exists.
#[used]
#[unsafe(link_section = "tenure_tests")]
static NONE: Test = Test { name: "", ignored: None, run: || () };

unsafe extern "C" {
    #[link_name = "__start_tenure_tests"]
    static FIRST: u8;
    #[link_name = "__stop_tenure_tests"]
    static END: u8;
}

/// The tests that `#[test]` registered.
fn registered() -> Vec<Trial> {
    let (first, end) = ((&raw const FIRST).cast::<Test>(), (&raw const END).cast::<Test>());
    // SAFETY: both are ends of the section, which has only values of this type.
    let all = unsafe { std::slice::from_raw_parts(first, end.offset_from(first) as usize) };
    let trial = |test: &Test| {
        let (_, name) = test.name.split_once("::")?;
        Some(Trial { name: name.to_owned(), ignored: test.ignored, run: Box::new(test.run) })
    };
    all.iter().filter_map(trial).collect()
}

/// Runs the program's tests as its arguments say.
pub fn main() -> ExitCode {
    main_with(Vec::new())
}

/// [`main()`], with tests that the program made.
pub fn main_with(made: Vec<Trial>) -> ExitCode {
    let mut tests = registered();
    tests.extend(made);
    tests.sort_by(|a, b| a.name.cmp(&b.name));
    if let Ok(name) = std::env::var(RUN) {
        let Some(test) = find(&tests, &name) else {
            eprintln!("no test {name}, or several");
            return ExitCode::from(PANICKED);
        };
        // A program that the test starts must not run the test too, even if it is this program: it would recurse
        // without end.
        // SAFETY: the process has only this thread.
        unsafe { std::env::remove_var(RUN) };
        return here(test);
    }
    let arguments = Arguments::read();
    let all = tests.len();
    tests.retain(|test| arguments.choose(test));
    if arguments.list {
        tests.iter().for_each(|test| println!("{}: test", test.name));
        return ExitCode::SUCCESS;
    }
    run_all(&tests, &arguments, all - tests.len())
}

/// The test of a name, which may lack the modules in front of it if no other test has that name.
fn find<'a>(tests: &'a [Trial], name: &str) -> Option<&'a Trial> {
    let is_last = |test: &&Trial| test.name.strip_suffix(name).is_some_and(|modules| modules.ends_with("::"));
    let mut last = tests.iter().filter(is_last);
    let only = last.next().filter(|_| last.next().is_none());
    tests.iter().find(|test| test.name == name).or(only)
}

/// Runs one test in this process.
fn here(test: &Trial) -> ExitCode {
    // Long after the limit, which busy machines prolong: for a process whose parent is gone.
    // SAFETY: sets a timer of the process, which ends it.
    unsafe { libc::alarm(limit().as_secs().saturating_mul(10).min(u64::from(u32::MAX)) as u32) };
    match catch_unwind(AssertUnwindSafe(|| (test.run)())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(payload) => match (payload as Box<dyn Any>).downcast::<Skip>() {
            Ok(skip) => {
                println!("\nskipped: {}", skip.0);
                ExitCode::from(SKIPPED)
            }
            Err(_) => ExitCode::from(PANICKED),
        },
    }
}

/// A command that runs a program of the tests' processor, by the emulator in [`RUNNER`] if there is one.
pub fn command(path: impl AsRef<OsStr>) -> Command {
    command_by(&std::env::var(RUNNER).unwrap_or_default(), path)
}

/// Whether an emulator runs this program.
pub fn is_emulated() -> bool {
    std::env::var(RUNNER).is_ok_and(|runner| !runner.is_empty())
}

/// A command that runs a program by a runner, whose words are separated by spaces. An empty one: by itself.
pub fn command_by(runner: &str, path: impl AsRef<OsStr>) -> Command {
    let mut words = runner.split_whitespace();
    let Some(emulator) = words.next() else { return Command::new(path) };
    let mut command = Command::new(emulator);
    command.args(words).arg(path);
    command
}

/// This program, with arguments that run one of its tests in that process. The name may lack the modules in front of
/// it.
pub fn again(test: &str) -> Command {
    let mut program = command(std::env::current_exe().expect("a program knows its own path"));
    program.env(RUN, test);
    program
}

/// Runs one test of a program in a process of its own. The program may use libtest. None: it could not be started.
pub fn run_one(program: &mut Command, name: &str) -> (Outcome, Option<Ended>) {
    program.env(RUN, name).args([name, "--exact", "--nocapture"]);
    let mut text = String::new();
    let ended = watch(program, limit(), |line| {
        text.push_str(line);
        text.push('\n');
    });
    let ended = match ended {
        Ok(ended) => ended,
        Err(why) => return (Outcome::Failed(format!("{program:?}: {why}")), None),
    };
    let outcome = match ended.status {
        None => Outcome::Failed(format!("{text}hung: not done after {} s, and killed", limit().as_secs())),
        Some(status) if status.code() == Some(i32::from(SKIPPED)) => {
            let why = text.lines().rev().find_map(|line| line.strip_prefix("skipped: "));
            Outcome::Ignored(why.unwrap_or("no reason given").to_owned())
        }
        Some(status) if status.success() => {
            let ignored = format!("test {name} ... ignored");
            match text.lines().find_map(|line| line.strip_prefix(&ignored)) {
                Some(why) => Outcome::Ignored(why.trim_start_matches(", ").to_owned()),
                None => Outcome::Passed,
            }
        }
        Some(status) => Outcome::Failed(format!("{text}{status}")),
    };
    (outcome, Some(ended))
}

/// Passes the numbers below `count` to `work`, on several threads.
pub fn in_parallel(count: usize, threads: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(count).max(1) {
            scope.spawn(|| {
                while let Some(at) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|at| *at < count) {
                    work(at);
                }
            });
        }
    });
}

fn run_all(tests: &[Trial], arguments: &Arguments, filtered: usize) -> ExitCode {
    let own = std::env::current_exe().expect("a program knows its own path");
    let start = Instant::now();
    println!("\nrunning {} tests", tests.len());
    let failed: std::sync::Mutex<Vec<(&str, String)>> = std::sync::Mutex::default();
    let [passed, ignored] = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let one_at_a_time = arguments.threads == 1;
    in_parallel(tests.len(), arguments.threads, |at| {
        let test = &tests[at];
        if one_at_a_time {
            print!("test {} ... ", test.name);
            let _ = std::io::stdout().flush();
        }
        let outcome = match test.ignored {
            Some(why) if !arguments.include_ignored => Outcome::Ignored(why.to_owned()),
            _ => run_one(&mut command(&own), &test.name).0,
        };
        let word = match outcome {
            Outcome::Passed => {
                passed.fetch_add(1, Ordering::Relaxed);
                "ok".to_owned()
            }
            Outcome::Ignored(why) => {
                ignored.fetch_add(1, Ordering::Relaxed);
                format!("ignored, {why}")
            }
            Outcome::Failed(text) => {
                failed.lock().expect("no panic while it is held").push((&test.name, text));
                "FAILED".to_owned()
            }
        };
        if one_at_a_time {
            println!("{word}");
        } else {
            println!("test {} ... {word}", test.name);
        }
    });
    let failed = failed.into_inner().expect("no panic while it is held");
    if !failed.is_empty() {
        println!("\nfailures:\n");
        failed.iter().for_each(|(name, text)| println!("---- {name} stdout ----\n{}\n", text.trim_end()));
        println!("\nfailures:");
        failed.iter().for_each(|(name, _)| println!("    {name}"));
    }
    println!(
        "\ntest result: {}. {} passed; {} failed; {} ignored; 0 measured; {filtered} filtered out; finished in {:.2}s\n",
        if failed.is_empty() { "ok" } else { "FAILED" },
        passed.into_inner(),
        failed.len(),
        ignored.into_inner(),
        start.elapsed().as_secs_f64(),
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(PANICKED) }
}

/// The supported arguments of libtest.
struct Arguments {
    filters: Vec<String>,
    skips: Vec<String>,
    exact: bool,
    list: bool,
    ignored_only: bool,
    include_ignored: bool,
    threads: usize,
}

impl Arguments {
    fn read() -> Arguments {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let mut read = Arguments {
            filters: Vec::new(),
            skips: Vec::new(),
            exact: false,
            list: false,
            ignored_only: false,
            include_ignored: false,
            threads: cores,
        };
        let mut arguments = std::env::args().skip(1).flat_map(|argument| match argument.split_once('=') {
            Some((name, value)) if name.starts_with("--") => vec![name.to_owned(), value.to_owned()],
            _ => vec![argument],
        });
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--skip" => read.skips.extend(arguments.next()),
                "--exact" => read.exact = true,
                "--list" => read.list = true,
                "--ignored" => (read.ignored_only, read.include_ignored) = (true, true),
                "--include-ignored" => read.include_ignored = true,
                "--test-threads" => {
                    read.threads =
                        arguments.next().and_then(|text| text.parse().ok()).filter(|n| *n > 0).unwrap_or(cores)
                }
                "--format" | "--color" | "-Z" => drop(arguments.next()),
                flag if flag.starts_with('-') => {}
                _ => read.filters.push(argument),
            }
        }
        read
    }

    fn choose(&self, test: &Trial) -> bool {
        let matches = |filter: &String| if self.exact { test.name == *filter } else { test.name.contains(filter) };
        (self.filters.is_empty() || self.filters.iter().any(matches))
            && !self.skips.iter().any(matches)
            && (!self.ignored_only || test.ignored.is_some())
    }
}
