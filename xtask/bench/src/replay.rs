//! `cargo xtask replay LOG..`: the allocations of recorded programs, served by the allocators of `bench pool`.
//!
//! Promise: a process per allocator, log and round, in turns; times are minima. Memory is that of the first round,
//! because it does not depend on the machine's load. What of a log cannot be replayed is counted and printed.

use super::figures::{Figures, direction};
use super::peers::{self, Missing, Peer};
use super::pool::{self, program};
use super::record::quoted;
use super::{bars::Run, terminal::figure};
use std::path::{Path, PathBuf};
use std::process::Command;
use tenure_event_log::operations::{Notes, Operations, sizes_only};
use xtask::dist;
use xtask::tools::{Done, command, io, root};

pub const HELP: &str = "LOG.. [--pools A,B] [--runs N] [--library FILE] [--json], or LOG --sizes-only FILE [--first N]";

/// The committed logs, which are cases of `bench pool`: replay.NAME of benches/logs/NAME.gz.
const COMMITTED: &str = "benches/logs";

/// The part of the machine's free memory that a log may fill.
const MEMORY_PART: f64 = 0.75;

/// A log as a file of operations.
pub struct Recording {
    /// The log, for people.
    name: String,
    /// The name of the case that the program prints.
    case: String,
    file: PathBuf,
    notes: Notes,
    peak_bytes: u64,
}

impl Recording {
    /// The recording of a group of cases, if the group is a committed log.
    pub fn of_group(group: &str) -> Done<Option<Recording>> {
        let Some(name) = group.strip_prefix("replay.") else { return Ok(None) };
        Recording::prepare(&root().join(COMMITTED).join(format!("{name}.gz")), name).map(Some)
    }

    /// Reads a log and writes its operations for the program.
    fn prepare(path: &Path, case: &str) -> Done<Recording> {
        let log = tenure_event_log::read(path).map_err(|why| format!("{}: {why}", path.display()))?;
        let (operations, notes) = Operations::of(&log);
        if operations.list.is_empty() {
            return Err(format!(
                "{}: the log has no allocation; record the kinds allocate, free and reallocate",
                path.display()
            ));
        }
        let peak_bytes = operations.peak_bytes;
        if let Some(free) = free_memory().filter(|free| peak_bytes as f64 > MEMORY_PART * *free as f64) {
            let (needs, has) = (mib(peak_bytes as f64), mib(free as f64));
            return Err(format!("{}: its blocks need {needs} MiB, and {has} MiB are free here", path.display()));
        }
        let folder = root().join("target/replay");
        io(&folder, std::fs::create_dir_all(&folder))?;
        let file = folder.join(format!("{case}.operations"));
        io(&file, std::fs::write(&file, operations.to_bytes()))?;
        Ok(Recording { name: path.display().to_string(), case: case.to_owned(), file, notes, peak_bytes })
    }

    /// The program with its arguments.
    pub fn program(&self, peer: &Peer, scale: &str) -> Command {
        let mut program = command(program(peer.api));
        program.args(["replay", scale, peer.name]).arg(&peer.library).arg(&self.case).arg(&self.file);
        program
    }

    /// A figure of an allocator.
    fn figure(&self, figures: &Figures, part: &str) -> Option<f64> {
        figures.minimum(&format!("replay.{}.{part}", self.case))
    }

    fn blocks(&self) -> f64 {
        self.notes.requests() as f64
    }

    /// What the log has, and what of it is not replayed as it was.
    fn says(&self) -> String {
        let Notes { allocations, reallocations, .. } = self.notes;
        let peak = mib(self.peak_bytes as f64);
        let head =
            format!("{}: {allocations} allocations, {reallocations} reallocations, peak {peak} MiB live", self.name);
        self.notes.remarks().iter().fold(head, |text, remark| text + "\n  " + remark)
    }
}

fn mib(bytes: f64) -> String {
    format!("{:.1}", bytes / f64::from(1 << 20))
}

/// Bytes that processes can get without swapping.
fn free_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}

/// The options of the command line.
#[derive(Default)]
struct Options<'a> {
    logs: Vec<PathBuf>,
    pools: Vec<&'a str>,
    runs: usize,
    library: Option<PathBuf>,
    json: bool,
    sizes_only: Option<PathBuf>,
    first: Option<usize>,
}

impl<'a> Options<'a> {
    fn read(arguments: &[&'a str]) -> Done<Options<'a>> {
        let mut options = Options { runs: 3, ..Options::default() };
        let mut rest = arguments.iter();
        // Relative paths are the caller's: commands run in the repository.
        let path = |text: &str| io(Path::new(text), std::path::absolute(text));
        while let Some(&argument) = rest.next() {
            let mut value = || rest.next().copied().ok_or_else(|| format!("{argument} needs a value: {HELP}"));
            let number = |text: &str| {
                text.parse().ok().filter(|number| *number > 0).ok_or_else(|| format!("{argument} {text}: a number"))
            };
            match argument {
                "--pools" => options.pools = value()?.split(',').collect(),
                "--runs" => options.runs = number(value()?)?,
                "--library" => options.library = Some(path(value()?)?),
                "--json" => options.json = true,
                "--sizes-only" => options.sizes_only = Some(path(value()?)?),
                "--first" => options.first = Some(number(value()?)?),
                unknown if unknown.starts_with("--") => return Err(format!("replay takes {HELP}, not {unknown}")),
                log => options.logs.push(path(log)?),
            }
        }
        let one = options.sizes_only.is_some();
        if options.logs.is_empty() || (one && options.logs.len() > 1) || (options.first.is_some() && !one) {
            return Err(format!("replay takes {HELP}"));
        }
        Ok(options)
    }
}

/// `cargo xtask replay ..`
pub fn replay(arguments: &[&str]) -> Done {
    let options = Options::read(arguments)?;
    if let Some(to) = &options.sizes_only {
        return strip(&options.logs[0], to, options.first.unwrap_or(usize::MAX));
    }
    let prepared =
        options.logs.iter().enumerate().map(|(number, log)| Recording::prepare(log, &format!("log-{number}")));
    let recordings: Vec<Recording> = prepared.collect::<Done<_>>()?;
    let library = match &options.library {
        Some(library) => library.clone(),
        None if options.pools.is_empty() || options.pools.contains(&"tenure") => dist::libraries()?,
        None => PathBuf::from("-"),
    };
    let (found, mut missing) = peers::find(&options.pools, &library)?;
    pool::programs(&found)?;
    for recording in &recordings {
        let run = measure(recording, &found, options.runs, &mut missing)?;
        if options.json {
            print!("{}", json(recording, &found, &run));
        } else {
            println!("{}", recording.says());
            println!("{}", table(recording, &found, &run));
        }
    }
    for (name, why) in &missing {
        eprintln!("{name}: missing: {why}");
    }
    Ok(())
}

/// Writes a log that has only sizes.
fn strip(log: &Path, to: &Path, first: usize) -> Done {
    let whole = tenure_event_log::read(log).map_err(|why| format!("{}: {why}", log.display()))?;
    let stripped = sizes_only(&whole, first);
    tenure_event_log::write(to, &stripped).map_err(|why| format!("{}: {why}", to.display()))?;
    println!("{}: {} operations of {} events", to.display(), stripped.events.len(), whole.events.len());
    Ok(())
}

/// All rounds of all allocators.
fn measure(recording: &Recording, found: &[Peer], rounds: usize, missing: &mut Vec<Missing>) -> Done<Run> {
    let mut run = Run::new();
    for round in 0..rounds {
        let mut order: Vec<&Peer> =
            found.iter().filter(|peer| !missing.iter().any(|(name, _)| *name == peer.name)).collect();
        if direction(round) == "backwards" {
            order.reverse();
        }
        for peer in order {
            let figures = run.entry(peer.name).or_default();
            if !peer.version.is_empty() {
                figures.facts.insert("version".to_owned(), peer.version.clone());
            }
            let mut program = recording.program(peer, "quick");
            if let Err(why) = figures.take(peer.surroundings(&mut program)?) {
                let why = why.lines().last().unwrap_or_default();
                missing.push((peer.name, format!("fails in {}: {why}", recording.name)));
            }
        }
    }
    Ok(run)
}

/// The figures of one allocator.
struct Row<'a> {
    name: &'a str,
    version: &'a str,
    run_ms: f64,
    calls_ns: f64,
    fragmentation: f64,
}

fn rows<'a>(recording: &Recording, found: &[Peer], run: &'a Run) -> Vec<Row<'a>> {
    let row = |peer: &Peer| {
        let (name, figures) = run.get_key_value(peer.name)?;
        Some(Row {
            name,
            version: figures.fact("version"),
            run_ms: recording.figure(figures, "run")? * recording.blocks() / 1e6,
            calls_ns: recording.figure(figures, "calls")?,
            fragmentation: recording.figure(figures, "memory")?,
        })
    };
    found.iter().filter_map(row).collect()
}

/// A figure divided by Tenure's.
fn ratio(rows: &[Row], row: &Row, of: fn(&Row) -> f64) -> Option<f64> {
    rows.iter().find(|row| row.name == "tenure").map(|tenure| of(row) / of(tenure)).filter(|ratio| ratio.is_finite())
}

fn table(recording: &Recording, found: &[Peer], run: &Run) -> String {
    let rows = rows(recording, found, run);
    let beside =
        |row: &Row, of: fn(&Row) -> f64| ratio(&rows, row, of).map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
    let mut text = format!(
        "  {:<14} {:>10} {:>9} {:>10} {:>9} {:>14} {:>14} {:>9}\n",
        "", "run, ms", "x tenure", "calls, ns", "x tenure", "resident, MiB", "resident/live", "x tenure"
    );
    for row in &rows {
        text += &format!(
            "  {:<14} {:>10} {:>9} {:>10} {:>9} {:>14} {:>14} {:>9}\n",
            row.name,
            figure(row.run_ms),
            beside(row, |row| row.run_ms),
            figure(row.calls_ns),
            beside(row, |row| row.calls_ns),
            mib(row.fragmentation * recording.peak_bytes as f64),
            figure(row.fragmentation),
            beside(row, |row| row.fragmentation),
        );
    }
    text
}

/// A line for each allocator.
fn json(recording: &Recording, found: &[Peer], run: &Run) -> String {
    let rows = rows(recording, found, run);
    let mut text = String::new();
    for row in &rows {
        let beside =
            |of: fn(&Row) -> f64| ratio(&rows, row, of).map_or("null".to_owned(), |ratio| format!("{ratio:.3}"));
        text += &format!(
            "{{\"log\": {}, \"pool\": {}, \"version\": {}, \"run_ms\": {:.3}, \"run_ratio\": {}, \"calls_ns\": {:.3}, \"calls_ratio\": {}, \
             \"peak_resident_bytes\": {:.0}, \"peak_live_bytes\": {}, \"fragmentation\": {:.3}, \"fragmentation_ratio\": {}}}\n",
            quoted(&recording.name),
            quoted(row.name),
            quoted(row.version),
            row.run_ms,
            beside(|row| row.run_ms),
            row.calls_ns,
            beside(|row| row.calls_ns),
            row.fragmentation * recording.peak_bytes as f64,
            recording.peak_bytes,
            row.fragmentation,
            beside(|row| row.fragmentation),
        );
    }
    text
}
