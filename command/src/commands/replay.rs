//! `tenure replay`: serves the allocations of a recorded program again, with Tenure's pools and with the C library.
//!
//! Each round of each allocator is a process of its own, which is this program again and gets the operations on its
//! standard input. So no allocator finds memory that another one, or the reading of the log, has left.

mod heap;
mod round;

use super::Command;
use crate::progress::Progress;
use crate::table::{printed, table};
use crate::text::{count, size};
use crate::{Failure, print};
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use round::Figures;
use serde::Serialize;
use std::io::Write;
use std::process::{ExitCode, Stdio};
use tenure_event_log::operations::{Notes, Operations};

pub const COMMAND: Command = Command { name: "replay", describe, run };

/// A log may fill so many hundredths of the machine's free memory.
const MEMORY_PERCENT: u64 = 75;

fn describe(command: clap::Command) -> clap::Command {
    command
        .about("Serves the allocations of a log again with Tenure's pools and with malloc, and prints time and memory of both")
        .after_help(
            "Each byte of a block is written once. CALLS is the time of a request with its free if no byte is written. RESIDENT is the\n\
             memory at the peak, LIVE the bytes that the program had requested. malloc is that of the C library, or of the library in\n\
             LD_PRELOAD.",
        )
        .arg(Arg::new("log").value_name("LOG").required(true).help("An event log of Tenure or of RMM, packed by gzip or not"))
        .arg(
            Arg::new("rounds")
                .long("rounds")
                .value_name("N")
                .default_value("3")
                .value_parser(value_parser!(u32).range(1..=1000))
                .help("Processes of each allocator; times are the least of all rounds"),
        )
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("Prints the figures as JSON"))
        .arg(Arg::new("round").long("round").value_name("ALLOCATOR").hide(true).value_parser(heap::NAMES))
}

fn run(arguments: &ArgMatches) -> Result<ExitCode, Failure> {
    if let Some(name) = arguments.get_one::<String>("round") {
        round::serve(name)?;
        return Ok(ExitCode::SUCCESS);
    }
    let path: &String = arguments.get_one("log").expect("required");
    let rounds: u32 = *arguments.get_one("rounds").expect("it has a default");
    let mut progress = Progress::new();
    let (bytes, replay) = progress.during(&format!("reading {path}"), || read(path))?;
    let mut replay = replay;
    let allocators = heap::NAMES.iter().copied();
    for round in 0..rounds {
        // In turns, so that a change of the machine's load is not one allocator's.
        let order: Vec<&str> =
            if round % 2 == 0 { allocators.clone().collect() } else { allocators.clone().rev().collect() };
        for name in order {
            let what = format!("{name}, round {} of {rounds}", round + 1);
            let figures = progress.during(&what, || measure(name, &bytes))?;
            replay.add(name, figures);
        }
    }
    drop(progress);
    let output = if arguments.get_flag("json") {
        serde_json::to_string_pretty(&replay).map_err(|error| error.to_string())? + "\n"
    } else {
        replay.text()
    };
    print(&output)?;
    Ok(ExitCode::SUCCESS)
}

/// A log's operations as the bytes of their file, and what is known of it.
fn read(path: &str) -> Result<(Vec<u8>, Replay), Failure> {
    let log = tenure_event_log::read(path).map_err(|error| format!("{path}: {error}"))?;
    let (operations, notes) = Operations::of(&log);
    if operations.list.is_empty() {
        return Err(format!("{path}: the log has no allocation; record the kinds allocate, free and reallocate"));
    }
    let (needs, free) = (operations.peak_bytes, tenure::sys::machine::memory().free);
    if u128::from(needs) * 100 > u128::from(free) * u128::from(MEMORY_PERCENT) {
        let (needs, free) = (size(needs), size(free));
        return Err(format!("{path}: its blocks need {needs}, and {free} are free; replay it on a larger machine"));
    }
    let replay = Replay {
        allocations: notes.allocations,
        reallocations: notes.reallocations,
        peak_live_bytes: needs,
        remarks: notes.remarks(),
        allocators: Vec::new(),
        notes,
    };
    Ok((operations.to_bytes(), replay))
}

/// One round in a process of its own.
fn measure(name: &str, operations: &[u8]) -> Result<Figures, Failure> {
    let failed = |why: String| format!("the replay with {name} failed: {why}");
    let own = std::env::current_exe().map_err(|error| failed(format!("cannot find this program: {error}")))?;
    let mut child = std::process::Command::new(own)
        .args(["replay", "-", "--round", name])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    // It reads all before it prints anything. What it prints says why, if it did not.
    let _ = child.stdin.take().expect("it is a pipe").write_all(operations);
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        let why = errors.lines().last().map(|line| line.trim_start_matches("tenure replay: ").to_owned());
        return Err(failed(why.unwrap_or_else(|| format!("its process ended with {}", output.status))));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))
}

/// All that is printed.
#[derive(Serialize)]
struct Replay {
    allocations: u64,
    reallocations: u64,
    peak_live_bytes: u64,
    /// What is not replayed as the program did it.
    remarks: Vec<String>,
    allocators: Vec<Allocator>,
    #[serde(skip)]
    notes: Notes,
}

#[derive(Serialize)]
struct Allocator {
    name: &'static str,
    #[serde(flatten)]
    figures: Figures,
}

impl Replay {
    /// Adds a round. Memory is that of the first one, because it does not depend on the machine's load.
    fn add(&mut self, name: &'static str, round: Figures) {
        match self.allocators.iter_mut().find(|allocator| allocator.name == name) {
            None => self.allocators.push(Allocator { name, figures: round }),
            Some(Allocator { figures, .. }) => {
                figures.run_ns = figures.run_ns.min(round.run_ns);
                figures.calls_ns = figures.calls_ns.min(round.calls_ns);
            }
        }
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{}, {}, peak {} live\n",
            count(self.allocations, "allocation"),
            count(self.reallocations, "reallocation"),
            size(self.peak_live_bytes)
        );
        for remark in &self.remarks {
            text += &format!("  {remark}\n");
        }
        let head = ["ALLOCATOR", "TIME", "x TENURE", "CALLS", "x TENURE", "RESIDENT", "x LIVE", "x TENURE"];
        let mut rows = table(&head, &[1, 2, 3, 4, 5, 6, 7]);
        let ours = &self.allocators[0].figures;
        for Allocator { name, figures } in &self.allocators {
            let resident = figures.peak_resident_bytes;
            rows.add_row([
                (*name).to_owned(),
                format!("{:.2} ms", figures.run_ns as f64 / 1e6),
                ratio(figures.run_ns, ours.run_ns),
                format!("{:.1} ns", figures.calls_ns as f64 / self.notes.requests() as f64),
                ratio(figures.calls_ns, ours.calls_ns),
                size(resident),
                ratio(resident, self.peak_live_bytes),
                ratio(resident, ours.peak_resident_bytes),
            ]);
        }
        format!("{text}\n{}", printed(&rows))
    }
}

/// One number by another, which may be 0.
fn ratio(number: u64, by: u64) -> String {
    if by == 0 { "-".to_owned() } else { format!("{:.2}", number as f64 / by as f64) }
}
