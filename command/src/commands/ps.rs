//! `tenure ps`: the processes that use Tenure, and the memory that they share.

use super::Command;
use crate::processes::{self, Found};
use crate::progress::Progress;
use crate::table::{printed, table};
use crate::text::{count, printable, size, sum};
use crate::{Failure, print};
use clap::{Arg, ArgAction, ArgMatches};
use std::process::ExitCode;

pub const COMMAND: Command = Command { name: "ps", describe, run };

/// Longer command lines are cut.
const COMMAND_CHARS: usize = 60;

fn describe(command: clap::Command) -> clap::Command {
    command
        .about("Lists the processes that use Tenure, and the memory that they share")
        .after_help(
            "Found are processes that have libtenure mapped, hold memory that it shares, or listen. A program that links the library\n\
             statically is found in the last two cases only.",
        )
        .arg(Arg::new("all").short('a').long("all").action(ArgAction::SetTrue).help("Those of all users, as far as the system tells"))
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("Prints the lists as JSON"))
}

fn run(arguments: &ArgMatches) -> Result<ExitCode, Failure> {
    let ids = processes::of_users(arguments.get_flag("all"))?;
    let mut progress = Progress::new();
    let found = processes::scan(&ids, |seen| progress.tick(|| format!("{seen} of {} processes", ids.len())));
    drop(progress);
    let output = if arguments.get_flag("json") {
        serde_json::to_string_pretty(&found).map_err(|error| error.to_string())? + "\n"
    } else {
        tables(&found)
    };
    print(&output)?;
    Ok(ExitCode::SUCCESS)
}

fn tables(found: &Found) -> String {
    if found.processes.is_empty() {
        return "no process uses Tenure\n".to_owned();
    }
    let mut processes = table(&["PID", "LISTENS", "SHARED", "LIBRARY", "COMMAND"], &[0, 2]);
    for process in &found.processes {
        let own = found.segments.iter().filter(|segment| process.segments.contains(&segment.segment));
        let shared = sum(own, |segment| segment.bytes);
        let library = match process.libraries.as_slice() {
            [] => "none mapped".to_owned(),
            [one] => one.clone(),
            [first, rest @ ..] => format!("{first} and {}", count(rest.len() as u64, "other")),
        };
        let command: String = printable(&process.command).chars().take(COMMAND_CHARS).collect();
        processes.add_row([
            process.process.to_string(),
            if process.listens { "yes" } else { "no" }.to_owned(),
            if process.segments.is_empty() { "-".to_owned() } else { size(shared) },
            printable(&library).into_owned(),
            command,
        ]);
    }
    if found.segments.is_empty() {
        return printed(&processes);
    }
    let mut segments = table(&["SEGMENT", "SIZE", "HELD BY"], &[0, 1]);
    for segment in &found.segments {
        let holders: Vec<String> = segment.processes.iter().map(u32::to_string).collect();
        segments.add_row([segment.segment.to_string(), size(segment.bytes), holders.join(", ")]);
    }
    let total = sum(&found.segments, |segment| segment.bytes);
    let title = format!("{} in {}:", size(total), count(found.segments.len() as u64, "shared segment"));
    format!("{}\n{title}\n{}", printed(&processes), printed(&segments))
}
