//! `cargo xtask test`: the checks, with a table at the end.
//!
//! Promise: a check that could not run is `skipped` with the reason, never passed; with `--all`, or
//! TENURE_REQUIRE_TOOLS in the environment, a missing tool is a failure. A stage that fails or hangs does not keep the
//! others from running, because each test and each program has a time limit. The last line is `N passed, N failed, N
//! skipped`.
//!
//! `stages` lists what can run, `choice` finds the stages and tests of a name.

mod choice;
mod stages;

use crate::tools::{self, Done, io, root};
use crate::{dist, header_tools, programs, python, setup, sim};
use choice::Choice;
use stages::{Body, STAGES, Stage};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};
use tenure_harness::{Outcome, processor_of_children};

/// The variable with which a missing tool is a failure; the test harness knows it too.
const REQUIRE: &str = "TENURE_REQUIRE_TOOLS";

/// Which checks run.
pub enum Extent {
    /// What a user wants to know in minutes: does the library work here, from C, C++, Python and Rust?
    Usual,
    /// All checks; a missing tool is a failure.
    All,
    /// What some names touch.
    Named(Choice),
}

/// What stages are told.
pub struct Context {
    extent: Extent,
}

impl Context {
    /// Whether all checks run, also the longest.
    fn is_all(&self) -> bool {
        matches!(self.extent, Extent::All)
    }

    /// Whether a stage runs.
    fn has(&self, stage: &Stage) -> bool {
        match &self.extent {
            Extent::Usual => stage.usual,
            Extent::All => true,
            Extent::Named(choice) => choice.has(stage),
        }
    }

    /// Whether all tests of a stage run, so that one without tests is a failure.
    fn has_whole(&self, stage: &Stage) -> bool {
        match &self.extent {
            Extent::Named(choice) => choice.has_whole(stage),
            _ => self.has(stage),
        }
    }

    /// Whether a test of a stage runs.
    fn has_test(&self, stage: &Stage, test: &programs::Test) -> bool {
        match &self.extent {
            Extent::Named(choice) => choice.has_test(stage, test),
            _ => self.has(stage),
        }
    }
}

/// A row of the table.
#[derive(Default)]
pub struct Row {
    passed: usize,
    failed: usize,
    skipped: usize,
    /// Those skipped because of a missing tool, which fail where tools are required.
    missing: usize,
    note: String,
    took: Duration,
    processor: Duration,
}

impl Row {
    /// A stage that is skipped because of a missing tool.
    fn skipped(why: String) -> Row {
        Row { skipped: 1, missing: 1, note: format!("skipped: {why}"), ..Row::default() }
    }

    /// A stage that could not run counts as one check that failed.
    fn of(done: Done<Row>) -> Row {
        done.unwrap_or_else(|text| {
            println!("{text}");
            Row { failed: 1, ..Row::default() }
        })
    }

    fn add(&mut self, other: Row) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.missing += other.missing;
        self.took += other.took;
        self.processor += other.processor;
        if !other.note.is_empty() {
            self.note = other.note;
        }
    }
}

/// What a stage cost.
struct Cost {
    stage: String,
    wall: Duration,
    processor: Duration,
    /// Crates that cargo compiled.
    units: usize,
    /// Processes that the machine started meanwhile.
    processes: u64,
}

struct Gate {
    context: Context,
    rows: Vec<(String, Row)>,
    costs: Vec<Cost>,
}

/// Runs the checks that the arguments name: none for the usual ones, `--all`, or names of stages, rows, paths and
/// tests. `--timings` writes what each stage cost to `target/timings.tsv`.
pub fn run(arguments: &[&str]) -> Done {
    let start = Instant::now();
    let timings = arguments.contains(&"--timings");
    let arguments: Vec<&str> = arguments.iter().copied().filter(|argument| *argument != "--timings").collect();
    let extent = match arguments.as_slice() {
        [] => Extent::Usual,
        ["--all"] => Extent::All,
        names => Extent::Named(Choice::of(names)?),
    };
    let mut gate = Gate { context: Context { extent }, rows: Vec::new(), costs: Vec::new() };
    let stages: Vec<&Stage> = STAGES.iter().filter(|stage| gate.context.has(stage)).collect();
    // The shipped library takes minutes of optimisation.
    let is_shipped = stages.iter().any(|stage| stage.is_of_release);
    dist::choose(if is_shipped { dist::Build::Shipped } else { dist::Build::Tested });
    gate.announce(&stages);
    let mut tests: Vec<&Stage> = stages.iter().copied().filter(|stage| stage.is_of_tests()).collect();
    for stage in stages {
        match &stage.body {
            Body::Own { missing, run } => gate.stage(stage.name, missing(), run),
            // All in one go, because they share programs and run in parallel.
            Body::Tests { .. } => gate.tests(&std::mem::take(&mut tests)),
        }
    }
    if timings {
        gate.write_costs()?;
    }
    gate.finish(start)
}

/// The Python tests with the libraries that are too large for every run.
pub fn peers() -> Done {
    of_stages(&stages::PEERS)
}

/// The tests with engines of many machines.
pub fn distributed() -> Done {
    of_stages(&[stages::DISTRIBUTED])
}

fn of_stages(stages: &[Stage]) -> Done {
    let start = Instant::now();
    let mut gate = Gate { context: Context { extent: Extent::All }, rows: Vec::new(), costs: Vec::new() };
    for stage in stages {
        if let Body::Own { missing, run } = &stage.body {
            gate.stage(stage.name, missing(), run);
        }
    }
    gate.finish(start)
}

impl Gate {
    /// Says what will be skipped and how long it takes, and fetches what tests skip themselves without.
    fn announce(&self, stages: &[&Stage]) {
        setup::announce(match self.context.extent {
            Extent::Usual => Some(10),
            Extent::All => Some(50),
            Extent::Named(_) => None,
        });
        let has = |name: &str| stages.iter().any(|stage| stage.name.split(' ').next() == Some(name));
        if has("C")
            && let (None, Err(why)) = (python::missing(), python::umf())
        {
            println!("UMF is not available: {why}");
        }
        if has("Zig")
            && let (None, Err(why)) = (header_tools::missing(), header_tools::environment())
        {
            println!("Zig is not available: {why}");
        }
        // The tests of GPUs, and the test of `tenure doctor`, run without it too.
        if let Err(why) = sim::stage() {
            println!("the simulated driver is not available: {why}");
        }
    }

    /// Runs one stage, or skips it, and adds its row.
    fn stage(&mut self, name: &str, missing: Option<String>, body: impl FnOnce(&Context) -> Done<Row>) {
        println!("\n== {name}");
        let before = Before::now();
        let mut row = match missing {
            Some(why) => {
                println!("skipped: {why}");
                Row::skipped(why)
            }
            None => Row::of(body(&self.context)),
        };
        let cost = before.cost(name);
        (row.took, row.processor) = (cost.wall, cost.processor);
        self.costs.push(cost);
        self.rows.push((name.to_owned(), row));
    }

    /// The stages whose tests cargo builds: a row for each.
    fn tests(&mut self, stages: &[&Stage]) {
        if stages.is_empty() {
            return;
        }
        let mut built = Vec::new();
        let programs = || {
            let programs = programs::build(&mut stages::tests_of(stages))?;
            programs::examples().map(|()| programs)
        };
        self.stage("tests built", None, |_| {
            built = programs()?;
            Ok(Row::default())
        });
        println!("\n== tests of the library");
        let before = Before::now();
        let context = &self.context;
        let stage_of = |test: &programs::Test| stages::stage_of(test).filter(|stage| context.has_test(stage, test));
        let required = is_required(context);
        let usual = !context.is_all();
        let ended = programs::run(
            &built,
            |_, test| stage_of(test).is_some(),
            |test| {
                if required {
                    test.env(REQUIRE, "1");
                }
                if usual {
                    test.envs(stages::SHORT);
                }
            },
        );
        self.costs.push(before.cost("tests of the library"));
        let mut rows: BTreeMap<&'static str, Vec<&programs::Ended>> = BTreeMap::new();
        for test in &ended {
            let about = programs::Test { name: test.test.clone(), file: test.file.clone() };
            if let Some(stage) = stages::stage_of(&about) {
                rows.entry(stage.name).or_default().push(test);
            }
        }
        // Of all stages: the tests of one file may belong to several.
        for stage in STAGES.iter().filter(|stage| stage.is_of_tests()) {
            let tests = rows.remove(stage.name).unwrap_or_default();
            if tests.is_empty() && (built.is_empty() || !self.context.has_whole(stage)) {
                continue;
            }
            let row = match tests.is_empty() {
                true => Row { failed: 1, note: "no test ran".to_owned(), ..Row::default() },
                false => row_of(&tests),
            };
            self.costs.push(Cost {
                stage: format!("of them: {}", stage.name),
                wall: row.took,
                processor: row.processor,
                units: 0,
                processes: 0,
            });
            self.rows.push((stage.name.to_owned(), row));
        }
        let mut slowest: Vec<&programs::Ended> = ended.iter().collect();
        slowest.sort_by_key(|test| std::cmp::Reverse(test.took));
        println!("\nthe slowest tests:");
        for test in slowest.iter().take(12) {
            println!("{:7.1} s  {}: {}", test.took.as_secs_f64(), test.file, test.test);
        }
    }

    /// Writes what each stage cost.
    fn write_costs(&self) -> Done {
        let mut text = String::from("stage\twall s\tprocessor s\tcompiled units\tprocesses\n");
        for cost in &self.costs {
            let (wall, processor) = (cost.wall.as_secs_f64(), cost.processor.as_secs_f64());
            text += &format!("{}\t{wall:.1}\t{processor:.1}\t{}\t{}\n", cost.stage, cost.units, cost.processes);
        }
        let file = root().join("target/timings.tsv");
        io(&file, std::fs::write(&file, text))
    }

    /// Prints the table and the last line.
    fn finish(self, start: Instant) -> Done {
        let width = self.rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        println!("\n{:width$}  {:>6}  {:>6}  {:>7}  {:>6}", "", "passed", "failed", "skipped", "time");
        let mut sum = Row::default();
        let required = is_required(&self.context);
        for (name, mut row) in self.rows {
            if required {
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
        if sum.passed + sum.failed + sum.skipped == 0 {
            println!("no stage, row, path or test has that name");
            sum.failed = 1;
        }
        if required && sum.missing > 0 {
            println!("{} of the failed are checks that were skipped because something is missing", sum.missing);
        }
        if matches!(self.context.extent, Extent::Usual) {
            println!(
                "cargo xtask test --all has all checks: valgrind, sanitizers, other languages, simulated GPUs and more"
            );
        }
        println!("{} passed, {} failed, {} skipped", sum.passed, sum.failed, sum.skipped);
        if sum.failed > 0 { Err(String::new()) } else { Ok(()) }
    }
}

/// Whether a missing tool is a failure.
fn is_required(context: &Context) -> bool {
    context.is_all() || std::env::var_os(REQUIRE).is_some()
}

/// The state when a stage begins.
struct Before {
    start: Instant,
    clock: SystemTime,
    processor: Duration,
    processes: u64,
}

impl Before {
    fn now() -> Before {
        let (start, clock) = (Instant::now(), SystemTime::now());
        Before { start, clock, processor: processor_of_children(), processes: started_processes() }
    }

    fn cost(&self, stage: &str) -> Cost {
        Cost {
            stage: stage.to_owned(),
            wall: self.start.elapsed(),
            processor: processor_of_children().saturating_sub(self.processor),
            units: compiled_since(self.clock),
            processes: started_processes() - self.processes,
        }
    }
}

/// The number of processes that the machine has started since it was.
fn started_processes() -> u64 {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("processes ")?.parse().ok()).unwrap_or(0)
}

/// The number of crates that cargo compiled in `target` since then: it marks each in the folder `.fingerprint` of its
/// profile.
fn compiled_since(then: SystemTime) -> usize {
    let times = marks(&root().join("target"), 3).into_iter().filter_map(|mark| {
        let stamp = mark.join("invoked.timestamp").metadata().ok()?;
        stamp.modified().ok()
    });
    times.filter(|time| *time >= then).count()
}

/// What lies in the folders `.fingerprint` below a folder, at most so deep.
fn marks(folder: &Path, depth: u32) -> Vec<PathBuf> {
    let listed = |folder: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect()
    };
    let below = listed(folder).into_iter().filter(|path| path.is_dir());
    let found = below.map(|path| match path.ends_with(".fingerprint") {
        true => listed(&path),
        false if depth > 0 => marks(&path, depth - 1),
        false => Vec::new(),
    });
    found.flatten().collect()
}

/// The counts of some tests, with the reasons of those that did not run. The time is their share of the wall time of
/// all parallel tests.
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
        row.processor += test.processor;
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
