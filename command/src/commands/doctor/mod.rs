//! `tenure doctor`: what of Tenure works on this machine, and what other libraries share with it.
//!
//! Absent things are no failure: the exit status is 1 only if something that is there does not work.

mod driver;
mod limits;
mod python;
mod system;

use super::Command;
use crate::progress::Progress;
use crate::text::printable;
use crate::{Failure, print};
use clap::ArgMatches;
use std::process::ExitCode;

pub const COMMAND: Command = Command { name: "doctor", describe, run };

fn describe(command: clap::Command) -> clap::Command {
    command.about("Checks what of Tenure works here: driver, memory, limits, and other libraries with what they share").after_help(
        "The Python packages are those of the python3 on the PATH. The exit status is 1 if something that is there does not work.",
    )
}

/// What a check found.
#[derive(Clone, Copy, PartialEq, Debug)]
enum State {
    Works,
    /// Not there, or not known: Tenure works without.
    Absent,
    /// Something works badly, or not in every case.
    Limited,
    /// It is there and does not work.
    Broken,
}

/// A line of the output.
struct Finding {
    state: State,
    subject: String,
    text: String,
}

impl Finding {
    fn new(state: State, subject: impl Into<String>, text: impl Into<String>) -> Finding {
        Finding { state, subject: subject.into(), text: text.into() }
    }
}

/// A group of checks.
type Check = fn() -> Vec<Finding>;

const CHECKS: [(&str, Check); 5] = [
    ("GPUs", driver::check),
    ("memory", system::check),
    ("limits of a process", limits::check),
    ("allocators", system::check_preload),
    ("Python", python::check),
];

fn run(_: &ArgMatches) -> Result<ExitCode, Failure> {
    let mut output = String::new();
    let mut broken = 0;
    for (title, check) in CHECKS {
        let progress = std::sync::atomic::AtomicBool::new(true);
        let found = std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut line = Progress::new();
                while progress.load(std::sync::atomic::Ordering::Relaxed) {
                    line.tick(|| format!("checking: {title}"));
                    std::thread::sleep(std::time::Duration::from_millis(50));
                }
            });
            let found = check();
            progress.store(false, std::sync::atomic::Ordering::Relaxed);
            found
        });
        broken += found.iter().filter(|finding| finding.state == State::Broken).count();
        output += &section(title, &found);
    }
    output += match broken {
        0 => "nothing is broken\n",
        _ => "something is broken: see the lines marked BROKEN\n",
    };
    print(&output)?;
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn section(title: &str, found: &[Finding]) -> String {
    let width = found.iter().map(|finding| finding.subject.chars().count()).max().unwrap_or(0);
    let lines = found.iter().map(|finding| {
        let state = match finding.state {
            State::Works => "ok",
            State::Absent => "-",
            State::Limited => "limited",
            State::Broken => "BROKEN",
        };
        format!("  {state:<7}  {:<width$}  {}\n", printable(&finding.subject), printable(&finding.text))
    });
    format!("{title}\n{}\n", lines.collect::<String>())
}
