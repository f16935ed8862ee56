//! `tenure`: who holds memory in a running process, and what of Tenure works on this machine.
//!
//! Exit status: 0; 1: the command failed, with one line on standard error that says what to do; 2: wrong arguments.
//!
//! | module | what |
//! |---|---|
//! | `commands` | one file, or folder, for each command; a new one is a file and a line |
//! | `client` | asks a running process, and checks who answers |
//! | `source` | where a report is from: a process or a file |
//! | `snapshot` | a report as types |
//! | `metrics` | reports as text for Prometheus |
//! | `profile` | a report as a profile for pprof |
//! | `text` | numbers of bytes, plural forms, text that is safe for a terminal |
//! | `processes` | processes and their memory, from /proc |
//! | `table` | columns of text |
//! | `progress` | the line that shows that something takes time |
//! | `pages` | completions for shells, and the page for man |
#![deny(unsafe_code)]

mod client;
mod commands;
mod metrics;
mod new_file;
mod pages;
mod processes;
mod profile;
mod progress;
mod snapshot;
mod source;
mod table;
mod text;

use std::io::ErrorKind;
use std::process::ExitCode;

/// Why a command failed: one line.
type Failure = String;

fn main() -> ExitCode {
    let matches = match commands::parser().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return explain(&error),
    };
    let (name, arguments) = matches.subcommand().expect("clap requires a command");
    let command = commands::ALL.iter().find(|command| command.name == name).expect("clap knows only these");
    match (command.run)(arguments) {
        Ok(code) => code,
        Err(why) => {
            eprintln!("tenure {name}: {}", text::printable(&why));
            ExitCode::FAILURE
        }
    }
}

/// Prints the help if it was asked for; else what is wrong with the arguments, in one line.
fn explain(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() || error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
    } else {
        let text = error.to_string();
        let what: Vec<&str> = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:")).collect();
        let what = what.join(" ");
        eprintln!("tenure: {}; try tenure --help", text::printable(what.trim().trim_start_matches("error: ")));
    }
    ExitCode::from(error.exit_code() as u8)
}

/// Writes to standard output. A reader that has gone, such as `head`, is no failure.
fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(format!("cannot write the output: {error}")),
        _ => Ok(()),
    }
}
